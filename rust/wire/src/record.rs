//! Records as the journal keeps them: the core's facts as messages of `journal.proto`, and back.
//!
//! Invariant: reading what was written gives the same record and the same response; nothing unknown is dropped, it is refused.
//! Invariant: any change of the messages used here raises [`SCHEMA`]; a test binds the number to their descriptors.
//! Leaves out: frames, their stamps and hashes (the engine).

mod account;
mod alerts;
mod cards;
mod credential;
mod facts;
mod fraud;
mod persons;
mod settlement;
mod stay;
mod suspension;

pub(crate) use settlement::ledger_account;

use medsettle_core::fact::Record;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::append::append_field;
use crate::convert::{Checked, at, each, hash, institution_code, request_id};
use crate::error::DecodeError;
use crate::schema::Schema as _;
use crate::{strict, v1};

/// Number of the form in which records are written. A journal with a higher number is refused.
pub const SCHEMA: u32 = 1;

/// Fields of `FrameBody` and of `Record`.
const RECORDS: u32 = 1;
const RESPONSE: u32 = 10;

/// A record as it was read, with the response, or the refusal, that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// What was decided.
    pub record: Record,
    /// The response without its header; the refusal where the record was refused.
    pub response: Vec<u8>,
}

/// A body of a frame that this release cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {index} of the frame: {fault}")]
pub struct RecordError {
    /// Place in the frame.
    pub index: usize,
    /// Field and problem.
    pub fault: DecodeError,
}

/// Appends a record with its response (without header, may be empty) to the body of a frame.
pub fn encode_record(record: &Record, response: &[u8], out: &mut Vec<u8>) {
    let message = v1::Record {
        sequence: record.sequence,
        operation: record.operation,
        institution_code: record.institution.as_str().to_owned(),
        request_id: record.request_id.as_str().to_owned(),
        request_digest: record.digest.0.to_vec(),
        created_ms: record.created_ms,
        operator: record.operator.to_string(),
        roles: record.roles,
        facts: record.facts.iter().map(facts::from_fact).collect(),
        response: Vec::new(),
        forwarded_by: if record.actor == record.institution { String::new() } else { record.actor.to_string() },
        refused: record.refused,
    };
    // The response is appended as it is, not copied through the message; its field is the last.
    let response_length = if response.is_empty() {
        0
    } else {
        key_len(RESPONSE) + encoded_len_varint(response.len() as u64) + response.len()
    };
    append_field(RECORDS, &message, response_length, out);
    if !response.is_empty() {
        encode_key(RESPONSE, WireType::LengthDelimited, out);
        encode_varint(response.len() as u64, out);
        out.extend_from_slice(response);
    }
}

/// Reads the body of a frame, whose header gives the stamp of its records.
pub fn decode_body(body: &[u8], stamp_ms: i64) -> Result<Vec<StoredRecord>, RecordError> {
    let mut records = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let index = records.len();
        let record = take_record(&mut rest, stamp_ms).map_err(|fault| RecordError { index, fault })?;
        records.push(record);
    }
    Ok(records)
}

/// The encoded records of the body of a frame, not looked into.
pub fn encoded_records(body: &[u8]) -> Result<Vec<&[u8]>, RecordError> {
    let mut records = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let record = take_encoded(&mut rest).map_err(|fault| RecordError { index: records.len(), fault })?;
        records.push(record);
    }
    Ok(records)
}

fn take_encoded<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let (_, wire_type) = strict::key(v1::FrameBody::SCHEMA, rest)?;
    strict::delimited(wire_type, rest)
}

/// One record at a time, so that a frame of 16 MiB is never held twice.
fn take_record(rest: &mut &[u8], stamp_ms: i64) -> Result<StoredRecord, DecodeError> {
    let message: v1::Record = strict::decode(take_encoded(rest)?)?;
    record(message, stamp_ms).map_err(crate::convert::Fault::into_error)
}

fn record(message: v1::Record, stamp_ms: i64) -> Checked<StoredRecord> {
    let institution = at("institution_code", institution_code(&message.institution_code))?;
    let record = Record {
        sequence: message.sequence,
        stamp_ms,
        operation: message.operation,
        institution,
        actor: match message.forwarded_by.as_str() {
            "" => institution,
            forwarded_by => at("forwarded_by", institution_code(forwarded_by))?,
        },
        request_id: at("request_id", request_id(&message.request_id))?,
        digest: at("request_digest", hash(&message.request_digest))?,
        created_ms: message.created_ms,
        operator: message.operator.into_boxed_str(),
        roles: message.roles,
        refused: message.refused,
        facts: each("facts", message.facts, facts::fact)?,
    };
    Ok(StoredRecord { record, response: message.response })
}
