//! Takes a batch apart without decoding it, so that one bad command spoils only itself.

use crate::contract::Operation;
use crate::error::{BatchError, DecodeError};
use crate::schema::Schema;
use crate::strict;
use crate::v1;

/// Commands in one message: what one frame of the journal and one wait of a caller may hold.
pub const MAX_COMMANDS: usize = 10_000;

/// The encoded commands of a `BatchSubmitRequest` or `BatchStreamRequest`, whose shapes are the same. Each is then looked at by
/// [`command`], alone.
pub fn commands(bytes: &[u8]) -> Result<Vec<&[u8]>, BatchError> {
    let mut commands = Vec::new();
    let mut size = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (field, wire_type) = strict::key(v1::BatchSubmitRequest::SCHEMA, &mut rest)?;
        let command = strict::delimited(wire_type, &mut rest).map_err(|fault| fault.inside(field.name, Some(size)))?;
        size += 1;
        if size <= MAX_COMMANDS {
            commands.push(command);
        }
    }
    if size > MAX_COMMANDS { Err(BatchError::TooLarge { size }) } else { Ok(commands) }
}

/// Which operation an encoded `Command` asks for, and its request, not yet checked.
pub fn command(bytes: &[u8]) -> Result<(Operation, &[u8]), DecodeError> {
    let mut rest = bytes;
    let mut seen = 0;
    let mut asked = None;
    while !rest.is_empty() {
        let (field, wire_type) = strict::key(v1::Command::SCHEMA, &mut rest)?;
        let request = strict::occur(field, &mut seen)
            .and_then(|()| strict::delimited(wire_type, &mut rest))
            .map_err(|fault| fault.inside(field.name, None))?;
        asked = Operation::from_number(field.number).map(|operation| (operation, request));
    }
    asked.ok_or_else(|| DecodeError::here("names no command"))
}
