//! Encoded messages at the end of a buffer.
//!
//! Invariant: room is made once for a whole message; prost would ask a growing vector for it with every byte of a number, which doubles
//! the cost of encoding.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

/// Appends a message as it is.
pub(crate) fn append(message: &impl Message, out: &mut Vec<u8>) {
    append_sized(message, message.encoded_len(), out);
}

/// Appends a message as a field whose last `more` bytes, fields of the same message, are for the caller to append.
pub(crate) fn append_field(number: u32, message: &impl Message, more: usize, out: &mut Vec<u8>) {
    let own = message.encoded_len();
    let length = own + more;
    out.reserve(key_len(number) + encoded_len_varint(length as u64) + length);
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
    append_sized(message, own, out);
}

fn append_sized(message: &impl Message, length: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + length, 0);
    let mut room = &mut out[start..];
    message.encode_raw(&mut room);
    assert!(room.is_empty(), "a message is as long as it says");
}
