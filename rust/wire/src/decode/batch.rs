//! The commands of a batch, told apart before any is decoded.

use crate::contract::Operation;
use crate::limits::MAX_REQUEST_BYTES;
use crate::refused::Refused;
use crate::{batch, error::DecodeError};

/// A command of a batch, not yet decoded, or its own refusal.
pub type BatchItem<'a> = Result<(Operation, &'a [u8]), Refused>;

/// Splits the commands of a `BatchSubmitRequest` or `BatchStreamRequest`. One that cannot be told is refused by itself; the batch is
/// refused only where its commands cannot be told apart or are too many.
pub fn split_batch(bytes: &[u8]) -> Result<Vec<BatchItem<'_>>, Refused> {
    if bytes.len() > MAX_REQUEST_BYTES {
        return Err(Refused::too_large(MAX_REQUEST_BYTES, bytes.len()));
    }
    let told = |(index, command)| {
        batch::command(command).map_err(|error: DecodeError| error.inside("commands", Some(index)).into())
    };
    Ok(batch::commands(bytes)?.into_iter().enumerate().map(told).collect())
}
