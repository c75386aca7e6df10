//! Compares a segment with its archived form where both are there.
//!
//! Invariant: nothing is said of a segment that lies in one place only, or that a hub archives meanwhile.
//! Leaves out: what is in either of them (`verify` walks the one in the data directory).

use std::path::PathBuf;

use crate::error::{Damage, Finding, JournalError};
use crate::journal::segment::name_of;
use crate::limits::READ_WINDOW_LEN;
use crate::recovery::directory_of;
use crate::storage::{Access, AlignedBuffer, Storage, StorageFile};

/// What is wrong with the archived form of segment `number`.
pub(super) fn compared(storage: &dyn Storage, number: u64) -> Result<Option<Finding>, JournalError> {
    let name = name_of(number);
    let Some((path, copy)) = storage.open_copy(&name) else { return Ok(None) };
    let copy = match copy.map_err(JournalError::opening(path.clone(), directory_of(storage))) {
        Ok(copy) => copy,
        Err(JournalError::Corrupt { finding, .. }) => return Ok(Some(*finding)),
        Err(error) => return Err(error),
    };
    let segment_path = storage.path_of(&name);
    let file = storage.open(&name, Access::Read);
    let file = match file.map_err(JournalError::opening(segment_path.clone(), directory_of(storage))) {
        // The walk has told of it.
        Err(JournalError::Corrupt { .. }) => return Ok(None),
        opened => opened?,
    };
    let differs = difference(&(&*file, segment_path), &(&*copy, path.clone()))?;
    Ok(differs.map(|offset| Finding { path, offset, damage: Damage::ArchivedOtherwise }))
}

/// The offset of the first byte in which two files differ.
fn difference(
    one: &(&dyn StorageFile, PathBuf),
    other: &(&dyn StorageFile, PathBuf),
) -> Result<Option<u64>, JournalError> {
    let read = |(file, path): &(&dyn StorageFile, PathBuf), buffer: &mut [u8], offset| {
        file.read_at(buffer, offset).map_err(JournalError::io("reading", path.clone()))
    };
    let len = |(file, path): &(&dyn StorageFile, PathBuf)| {
        file.len().map_err(JournalError::io("asking the length of", path.clone()))
    };
    let (len, other_len) = (len(one)?, len(other)?);
    if len != other_len {
        return Ok(Some(0));
    }
    let mut offset = 0;
    while offset < len {
        let window = usize::try_from(len - offset).unwrap_or(usize::MAX).min(READ_WINDOW_LEN);
        let (mut here, mut there) = (AlignedBuffer::zeroed(window), AlignedBuffer::zeroed(window));
        read(one, &mut here, offset)?;
        read(other, &mut there, offset)?;
        if let Some(at) = here.iter().zip(there.iter()).position(|(here, there)| here != there) {
            return Ok(Some(offset + at as u64));
        }
        offset += window as u64;
    }
    Ok(None)
}
