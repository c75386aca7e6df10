//! Many requests as one message, and the answers in it, by the bytes.
//!
//! Invariant: an answer in a batch is the same bytes as the answer alone.

use medsettle_engine::Answer;
use medsettle_wire::Operation;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

use super::town::Ask;

const COMMANDS: u32 = 1;
const RESULTS: u32 = 2;
const REFUSAL: u32 = 1;

/// A stream is not a command.
pub(super) fn takes(ask: &Ask) -> bool {
    ask.operation != Operation::AccountsStatement
}

pub(super) fn encode(asks: &[Ask]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ask in asks {
        let mut command = Vec::new();
        append(ask.operation.number(), &ask.request, &mut command);
        append(COMMANDS, &command, &mut bytes);
    }
    bytes
}

/// The answers of an encoded `Batch.Submit` response.
pub(super) fn results(response: &[u8]) -> Vec<Answer> {
    let results = fields(response).into_iter().filter(|(field, _)| *field == RESULTS);
    results
        .map(|(_, result)| {
            let [(field, bytes)] = fields(result)[..] else { panic!("a result is one answer") };
            Answer { ticket: 0, ok: field != REFUSAL, bytes: bytes.to_vec() }
        })
        .collect()
}

fn append(field: u32, content: &[u8], out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Fields of a message that has only messages in it.
fn fields(mut rest: &[u8]) -> Vec<(u32, &[u8])> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (field, wire_type) = decode_key(&mut rest).expect("a key");
        assert_eq!(wire_type, WireType::LengthDelimited);
        let len = usize::try_from(decode_varint(&mut rest).expect("a length")).expect("short");
        let (content, behind) = rest.split_at(len);
        fields.push((field, content));
        rest = behind;
    }
    fields
}
