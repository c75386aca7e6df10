//! What is asked of the engine itself.

use super::{Decoded, EngineRequest, header, no_header};
use crate::convert::at;
use crate::refused::Refused;
use crate::{strict, v1};

pub(super) fn status(bytes: &[u8]) -> Result<Decoded, Refused> {
    let v1::OperationsStatusRequest { seen_sequence } = strict::decode(bytes)?;
    Ok(Decoded::Engine(EngineRequest::Status { seen_sequence }))
}

pub(super) fn confirm_clock(bytes: &[u8]) -> Result<Decoded, Refused> {
    let message: v1::OperationsConfirmClockRequest = strict::decode(bytes)?;
    Ok(Decoded::Engine(EngineRequest::ConfirmClock(at("header", header(message.header.ok_or_else(no_header)?))?)))
}

pub(super) fn snapshot(bytes: &[u8]) -> Result<Decoded, Refused> {
    let message: v1::OperationsSnapshotRequest = strict::decode(bytes)?;
    Ok(Decoded::Engine(EngineRequest::Snapshot(at("header", header(message.header.ok_or_else(no_header)?))?)))
}

pub(super) fn digest(bytes: &[u8]) -> Result<Decoded, Refused> {
    strict::decode::<v1::OperationsDigestRequest>(bytes)?;
    Ok(Decoded::Engine(EngineRequest::Digest))
}

pub(super) fn take_journal(bytes: &[u8]) -> Result<Decoded, Refused> {
    let v1::OperationsTakeJournalRequest { from_frame_number } = strict::decode(bytes)?;
    // A journal begins with frame 1.
    Ok(Decoded::Engine(EngineRequest::TakeJournal { from_frame_number: from_frame_number.max(1) }))
}

pub(super) fn take_snapshot(bytes: &[u8]) -> Result<Decoded, Refused> {
    let v1::OperationsTakeSnapshotRequest { last_frame_number, from_offset } = strict::decode(bytes)?;
    Ok(Decoded::Engine(EngineRequest::TakeSnapshot { last_frame_number, from_offset }))
}
