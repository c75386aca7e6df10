//! The results of a batch, in its order.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::contract::Operation;

/// Field of `BatchSubmitResponse` and `BatchStreamResponse`.
const RESULTS: u32 = 2;

/// Field of `CommandResult`; the others are the operations' numbers.
const REFUSAL: u32 = 1;

/// Appends the results of a batch without its header: of each command its whole response, header included, or its encoded refusal. A refused
/// command may be one that could not be told, so its operation does not matter.
pub fn encode_batch<B: AsRef<[u8]>>(results: impl IntoIterator<Item = Result<(Operation, B), B>>, out: &mut Vec<u8>) {
    for result in results {
        let (field, message) = match &result {
            Ok((operation, response)) => (operation.number(), response.as_ref()),
            Err(refusal) => (REFUSAL, refusal.as_ref()),
        };
        let length = key_len(field) + encoded_len_varint(message.len() as u64) + message.len();
        encode_key(RESULTS, WireType::LengthDelimited, out);
        encode_varint(length as u64, out);
        encode_key(field, WireType::LengthDelimited, out);
        encode_varint(message.len() as u64, out);
        out.extend_from_slice(message);
    }
}
