//! A piece of a file in memory, through which a walk reads in large steps.
//!
//! Invariant: buffer, offsets and lengths stay aligned to blocks, so that a file opened past the page cache can be read.

use std::io;

use crate::limits::READ_WINDOW_LEN;
use crate::storage::{AlignedBuffer, StorageFile};

/// A piece of a file in memory. Offsets asked for never go back by more than what is held.
pub(super) struct Window {
    file: Box<dyn StorageFile>,
    file_len: u64,
    buffer: AlignedBuffer,
    start: u64,
    filled: usize,
}

impl Window {
    pub(super) fn new(file: Box<dyn StorageFile>, file_len: u64) -> Self {
        let held = file_len.min(READ_WINDOW_LEN as u64);
        let buffer = AlignedBuffer::zeroed(usize::try_from(held).expect("at most a window"));
        Self { file, file_len, buffer, start: 0, filled: 0 }
    }

    /// Read anew what is asked for next.
    pub(super) fn forget(&mut self) {
        self.filled = 0;
    }

    pub(super) fn file_len(&self) -> u64 {
        self.file_len
    }

    /// `len` bytes at `offset`, which is a multiple of a block; both lie within the file.
    pub(super) fn get(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let held = self.start..self.start + self.filled as u64;
        if !(held.contains(&offset) && offset + len as u64 <= held.end) {
            self.fill(offset, len)?;
        }
        let from = usize::try_from(offset - self.start).expect("within the buffer");
        Ok(&self.buffer[from..from + len])
    }

    fn fill(&mut self, offset: u64, len: usize) -> io::Result<()> {
        let left = usize::try_from(self.file_len - offset).unwrap_or(usize::MAX);
        let wanted = len.max(READ_WINDOW_LEN).min(left);
        let held_end = self.start + self.filled as u64;
        let kept = if (self.start..held_end).contains(&offset) { held_end - offset } else { 0 };
        let kept = usize::try_from(kept).expect("within the buffer");
        let from = self.filled - kept;
        if wanted > self.buffer.len() {
            let mut larger = AlignedBuffer::zeroed(wanted);
            larger[..kept].copy_from_slice(&self.buffer[from..from + kept]);
            self.buffer = larger;
        } else {
            self.buffer.copy_within(from..from + kept, 0);
        }
        (self.start, self.filled) = (offset, 0);
        self.file.read_at(&mut self.buffer[kept..wanted], offset + kept as u64)?;
        self.filled = wanted;
        Ok(())
    }
}
