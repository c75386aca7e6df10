//! The body of a snapshot: rows behind their lengths, compressed as one zstd frame, in whole blocks behind the head.
//!
//! Invariant: memory is bounded by a few windows and the longest row, whatever the size of the state.

use std::io::{self, ErrorKind, Read, Write};

use medsettle_core::rows::BadRow;

use super::{EachRow, Unfit};
use crate::journal::frame::{BLOCK_LEN, is_untouched};
use crate::limits::{MAX_ROW_LEN, READ_WINDOW_LEN, SNAPSHOT_COMPRESSION};
use crate::storage::{AlignedBuffer, StorageFile};

/// Compresses rows into a file.
pub(super) struct BlockWriter<'a> {
    encoder: zstd::stream::write::Encoder<'static, Blocks<'a>>,
}

impl<'a> BlockWriter<'a> {
    /// From `offset` on.
    pub(super) fn new(file: &'a dyn StorageFile, offset: u64) -> io::Result<Self> {
        let blocks = Blocks {
            file,
            offset,
            buffer: AlignedBuffer::zeroed(READ_WINDOW_LEN),
            filled: 0,
            len: 0,
            hasher: blake3::Hasher::new(),
        };
        Ok(Self { encoder: zstd::stream::write::Encoder::new(blocks, SNAPSHOT_COMPRESSION)? })
    }

    pub(super) fn row(&mut self, row: &[u8]) -> io::Result<()> {
        let len = u32::try_from(row.len()).ok().filter(|len| *len <= MAX_ROW_LEN);
        let len = len.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "a row is longer than a snapshot takes"))?;
        self.encoder.write_all(&len.to_le_bytes())?;
        self.encoder.write_all(row)
    }

    /// Length and hash of the compressed bytes; they are written, but not synced.
    pub(super) fn finish(self) -> io::Result<(u64, [u8; 32])> {
        let mut blocks = self.encoder.finish()?;
        blocks.flush_last()?;
        Ok((blocks.len, *blocks.hasher.finalize().as_bytes()))
    }
}

/// Gathers bytes into whole blocks.
struct Blocks<'a> {
    file: &'a dyn StorageFile,
    offset: u64,
    buffer: AlignedBuffer,
    filled: usize,
    len: u64,
    hasher: blake3::Hasher,
}

impl Blocks<'_> {
    fn write_out(&mut self, len: usize) -> io::Result<()> {
        self.file.write_at(&self.buffer[..len], self.offset)?;
        self.offset += len as u64;
        self.filled = 0;
        Ok(())
    }

    fn flush_last(&mut self) -> io::Result<()> {
        let whole = self.filled.next_multiple_of(BLOCK_LEN);
        let filled = self.filled;
        self.buffer[filled..whole].fill(0);
        if whole > 0 { self.write_out(whole) } else { Ok(()) }
    }
}

impl Write for Blocks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (filled, taken) = (self.filled, bytes.len().min(self.buffer.len() - self.filled));
        self.buffer[filled..filled + taken].copy_from_slice(&bytes[..taken]);
        self.hasher.update(&bytes[..taken]);
        self.len += taken as u64;
        self.filled += taken;
        if self.filled == self.buffer.len() {
            self.write_out(self.filled)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads rows from a file.
pub(super) struct BodyReader<'a> {
    compressed: Compressed<'a>,
}

/// Called with the bytes of a file that were read so far.
pub(crate) type BytesRead<'a> = dyn FnMut(u64) + 'a;

impl<'a> BodyReader<'a> {
    /// `body_len` bytes from `offset` of a file of `file_len` bytes; none if they do not fit.
    pub(super) fn new(
        file: Box<dyn StorageFile>,
        offset: u64,
        body_len: u64,
        file_len: u64,
        progress: &'a mut BytesRead<'a>,
    ) -> Option<Self> {
        let end = offset.checked_add(body_len)?;
        (end.checked_next_multiple_of(BLOCK_LEN as u64)? == file_len).then(|| {
            let buffer = AlignedBuffer::zeroed(READ_WINDOW_LEN);
            let (held, hasher) = (0..0, blake3::Hasher::new());
            let compressed = Compressed { file, offset, end, file_len, buffer, held, hasher, padded: true, progress };
            Self { compressed }
        })
    }

    pub(super) fn each_row(&mut self, each: &mut EachRow<'_>) -> Result<(), Unfit> {
        let mut decoder = zstd::stream::read::Decoder::new(&mut self.compressed)?;
        let mut row = Vec::new();
        let mut number = 0;
        loop {
            number += 1;
            let mut len = [0; 4];
            match decoder.read(&mut len[..1])? {
                0 => return Ok(()),
                _ => decoder.read_exact(&mut len[1..])?,
            }
            let len = u32::from_le_bytes(len);
            if len > MAX_ROW_LEN {
                return Err(BadRow { number, what: "is longer than any row" }.into());
            }
            row.resize(len as usize, 0);
            decoder.read_exact(&mut row)?;
            each(&row)?;
        }
    }

    /// The hash of all compressed bytes, also of those that no row was read from, and whether nothing but zeros lies behind them.
    pub(super) fn finish(mut self) -> io::Result<([u8; 32], bool)> {
        io::copy(&mut self.compressed, &mut io::sink())?;
        Ok((*self.compressed.hasher.finalize().as_bytes(), self.compressed.padded))
    }
}

struct Compressed<'a> {
    file: Box<dyn StorageFile>,
    offset: u64,
    end: u64,
    file_len: u64,
    buffer: AlignedBuffer,
    held: std::ops::Range<usize>,
    hasher: blake3::Hasher,
    padded: bool,
    progress: &'a mut BytesRead<'a>,
}

impl Read for Compressed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.held.is_empty() && self.offset < self.end {
            // Whole blocks are read, as reading past the page cache wants; what lies behind the end is no content.
            let left = usize::try_from(self.file_len - self.offset).unwrap_or(usize::MAX);
            let read = left.min(self.buffer.len());
            self.file.read_at(&mut self.buffer[..read], self.offset)?;
            let content = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX).min(read);
            self.hasher.update(&self.buffer[..content]);
            self.padded &= is_untouched(&self.buffer[content..read]);
            self.held = 0..content;
            self.offset += content as u64;
            (self.progress)(self.offset);
        }
        let taken = into.len().min(self.held.len());
        into[..taken].copy_from_slice(&self.buffer[self.held.start..self.held.start + taken]);
        self.held.start += taken;
        Ok(taken)
    }
}
