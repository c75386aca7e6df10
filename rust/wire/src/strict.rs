//! Walks the bytes of a message along its schema and refuses what prost would let pass: unknown fields and enum numbers,
//! values out of their type's range, and a second value for a field that has one.
//!
//! Invariant: bytes that pass are decoded by prost without loss: encoding the result again says the same.
//! Invariant: no byte sequence makes the walk panic, and it allocates only to name a fault.
//! Whether a value makes sense (a date, an amount) is for the conversion that follows.

use std::borrow::Cow;

use crate::contract::DEEPEST;
use crate::error::DecodeError;
use crate::schema::{EnumSchema, Field, Kind, MessageSchema, Occurs, Schema};

/// The deepest nesting of messages that the contract may use. Unknown fields are refused, so no caller can nest deeper than
/// the contract does; the bound keeps the walk's recursion small (prost itself stops at 100).
pub const MAX_DEPTH: usize = 8;
const _: () = assert!(DEEPEST <= MAX_DEPTH);

const TRUNCATED: &str = "is truncated";
const WRONG_TYPE: &str = "is of another type";

/// Decodes a message that follows its schema in every byte.
pub fn decode<M: Schema>(bytes: &[u8]) -> Result<M, DecodeError> {
    check(M::SCHEMA, bytes)?;
    M::decode(bytes).map_err(|error| DecodeError::here(error.to_string()))
}

/// Checks that every byte of a message follows its schema.
pub fn check(message: &MessageSchema, bytes: &[u8]) -> Result<(), DecodeError> {
    let mut rest = bytes;
    let mut seen = 0;
    while !rest.is_empty() {
        let start = bytes.len() - rest.len();
        let (field, wire_type) = key(message, &mut rest)?;
        let mut element = 0;
        occur(field, &mut seen).and_then(|()| value(field, wire_type, &mut rest, &mut element)).map_err(|fault| {
            let index = match field.occurs {
                Occurs::Once(_) => None,
                Occurs::Repeated => Some(values_of(field, &bytes[..start]) + element),
            };
            fault.inside(field.name, index)
        })?;
    }
    Ok(())
}

/// How the bytes of a value are delimited; the other wire types occur nowhere in the contract.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Length,
    Other,
}

/// Takes a key off the bytes and finds its field.
pub(crate) fn key(message: &MessageSchema, rest: &mut &[u8]) -> Result<(&'static Field, WireType), DecodeError> {
    let key = varint(rest)?;
    let number = key >> 3;
    let field = u32::try_from(number).ok().and_then(|number| message.field(number));
    let field = field.ok_or_else(|| DecodeError::here(format!("has an unknown field {number}")))?;
    let wire_type = match key & 7 {
        0 => WireType::Varint,
        2 => WireType::Length,
        _ => WireType::Other,
    };
    Ok((field, wire_type))
}

/// Takes a value that is delimited by its length.
pub(crate) fn delimited<'a>(wire_type: WireType, rest: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    if wire_type != WireType::Length {
        return Err(DecodeError::here(WRONG_TYPE));
    }
    let length = varint(rest)?;
    let taken = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (taken, after) = taken.ok_or_else(|| DecodeError::here(TRUNCATED))?;
    *rest = after;
    Ok(taken)
}

/// Marks a field as seen, and refuses it where its slot is taken.
pub(crate) fn occur(field: &Field, seen: &mut u64) -> Result<(), DecodeError> {
    if let Occurs::Once(slot) = field.occurs {
        let bit = 1 << slot;
        if *seen & bit != 0 {
            return Err(DecodeError::here("is given twice, or with another choice of the same field"));
        }
        *seen |= bit;
    }
    Ok(())
}

/// Takes the value of a field off the bytes; `element` is where a packed list got to.
fn value(field: &Field, wire_type: WireType, rest: &mut &[u8], element: &mut usize) -> Result<(), DecodeError> {
    match field.kind {
        Kind::Message(message) => check(message, delimited(wire_type, rest)?),
        Kind::Bytes => delimited(wire_type, rest).map(drop),
        Kind::String => match std::str::from_utf8(delimited(wire_type, rest)?) {
            Ok(_) => Ok(()),
            Err(_) => Err(DecodeError::here("is not UTF-8")),
        },
        kind if wire_type == WireType::Varint => number(kind, varint(rest)?),
        // A list of numbers may come packed or one by one, whatever the proto prefers.
        kind if field.occurs == Occurs::Repeated => {
            let mut packed = delimited(wire_type, rest)?;
            while !packed.is_empty() {
                number(kind, varint(&mut packed)?)?;
                *element += 1;
            }
            Ok(())
        }
        _ => Err(DecodeError::here(WRONG_TYPE)),
    }
}

/// Checks that a number is one of its type. A negative number is sign-extended to 64 bits on the wire.
fn number(kind: Kind, raw: u64) -> Result<(), DecodeError> {
    let signed = raw.cast_signed();
    let (in_range, range): (bool, Cow<'static, str>) = match kind {
        Kind::Bool => (raw <= 1, "a truth value".into()),
        Kind::Int32 => (i32::try_from(signed).is_ok(), "a signed 32-bit number".into()),
        Kind::Uint32 => (u32::try_from(raw).is_ok(), "a 32-bit number".into()),
        Kind::Enum(known) if !knows(known, signed) => (false, format!("a value of {}", known.name).into()),
        Kind::Enum(_) | Kind::Int64 | Kind::Uint64 | Kind::String | Kind::Bytes | Kind::Message(_) => return Ok(()),
    };
    if in_range { Ok(()) } else { Err(DecodeError::here(format!("holds {signed}, which is not {range}"))) }
}

fn knows(known: &EnumSchema, number: i64) -> bool {
    i32::try_from(number).is_ok_and(|number| known.knows(number))
}

/// Takes a varint of at most 64 bits.
fn varint(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    // Lengths, keys and most values are one byte long.
    if let [byte @ 0..=0x7f, after @ ..] = *rest {
        *rest = after;
        return Ok(u64::from(*byte));
    }
    let mut value = 0;
    for (index, &byte) in rest.iter().take(10).enumerate() {
        let low = u64::from(byte & 0x7f);
        if index == 9 && low > 1 {
            break;
        }
        value |= low << (7 * index);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return Ok(value);
        }
    }
    Err(DecodeError::here(if rest.len() < 10 { TRUNCATED } else { "holds a number of more than 64 bits" }))
}

/// How many values of a repeated field stand in bytes that were walked without a fault. Counted only when a fault needs its
/// index, so that the walk itself keeps no counters.
fn values_of(field: &Field, mut walked: &[u8]) -> usize {
    let mut count = 0;
    while let Ok(key) = varint(&mut walked) {
        let own = key >> 3 == u64::from(field.number);
        let values = match key & 7 {
            0 => varint(&mut walked).map(|_| 1),
            _ => delimited(WireType::Length, &mut walked).map(|bytes| match field.kind {
                Kind::Message(_) | Kind::Bytes | Kind::String => 1,
                // A packed number ends with the byte whose high bit is clear.
                _ => bytes.iter().filter(|byte| **byte < 0x80).count(),
            }),
        };
        count += if own { values.unwrap_or(0) } else { 0 };
    }
    count
}
