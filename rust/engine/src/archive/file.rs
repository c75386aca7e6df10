//! The file of an archived segment: label, compressed frames, the table of their places, and a trailer that finds the table.
//!
//! Invariant: frames are compressed one by one, so that one is read without the others.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::journal::frame::frame_len;
use crate::journal::frame::{BLOCK_LEN, is_untouched};
use crate::journal::segment::{FIRST_FRAME_OFFSET, Label};
use crate::limits::{MAX_BODY_LEN, READ_WINDOW_LEN, SNAPSHOT_COMPRESSION};
use crate::storage::{AlignedBuffer, StorageFile};

/// Last bytes of an archived segment begin with this.
pub const ARCHIVE_MAGIC: [u8; 8] = *b"MEDARCHV";
/// Version of the layout.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: Range<usize> = 0..8;
const VERSION: Range<usize> = 8..12;
const RESERVED: Range<usize> = 12..16;
const FRAMES: Range<usize> = 16..24;
const TABLE: Range<usize> = 24..32;
const HASH: Range<usize> = 32..64;
const TRAILER_LEN: usize = HASH.end;

/// Name, first byte and length of every field of the trailer, the last bytes of the file.
pub const TRAILER_FIELDS: [(&str, Range<usize>); 6] = [
    ("magic", MAGIC),
    ("format version", VERSION),
    ("reserved", RESERVED),
    ("frame count", FRAMES),
    ("table offset", TABLE),
    ("table hash", HASH),
];

const SEGMENT_OFFSET: Range<usize> = 0..8;
const ARCHIVE_OFFSET: Range<usize> = 8..16;
const FRAME_LEN: Range<usize> = 16..20;
const COMPRESSED_LEN: Range<usize> = 20..24;
const ENTRY_LEN: usize = COMPRESSED_LEN.end;

/// Name, first byte and length of every field of a row of the table.
pub const ENTRY_FIELDS: [(&str, Range<usize>); 4] = [
    ("offset in the segment", SEGMENT_OFFSET),
    ("offset in this file", ARCHIVE_OFFSET),
    ("frame length", FRAME_LEN),
    ("compressed length", COMPRESSED_LEN),
];

/// Where a frame lies, in the segment and here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    segment_offset: u64,
    archive_offset: u64,
    frame_len: u32,
    compressed_len: u32,
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[SEGMENT_OFFSET].copy_from_slice(&self.segment_offset.to_le_bytes());
        bytes[ARCHIVE_OFFSET].copy_from_slice(&self.archive_offset.to_le_bytes());
        bytes[FRAME_LEN].copy_from_slice(&self.frame_len.to_le_bytes());
        bytes[COMPRESSED_LEN].copy_from_slice(&self.compressed_len.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        Self {
            segment_offset: u64::from_le_bytes(bytes[SEGMENT_OFFSET].try_into().expect("eight bytes long")),
            archive_offset: u64::from_le_bytes(bytes[ARCHIVE_OFFSET].try_into().expect("eight bytes long")),
            frame_len: u32::from_le_bytes(bytes[FRAME_LEN].try_into().expect("four bytes long")),
            compressed_len: u32::from_le_bytes(bytes[COMPRESSED_LEN].try_into().expect("four bytes long")),
        }
    }

    fn end(&self) -> u64 {
        self.segment_offset + u64::from(self.frame_len)
    }
}

/// Writes an archived segment.
pub(super) struct ArchiveWriter<'a> {
    file: &'a dyn StorageFile,
    hasher: blake3::Hasher,
    pending: Vec<u8>,
    /// Bytes given so far, and those written out of them.
    len: u64,
    written: u64,
    table: Vec<u8>,
    frames: u64,
}

impl<'a> ArchiveWriter<'a> {
    /// Begin with the label block of the segment.
    pub(super) fn new(file: &'a dyn StorageFile, label: &[u8]) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(label);
        let mut writer = Self { file, hasher, pending: Vec::new(), len: 0, written: 0, table: Vec::new(), frames: 0 };
        writer.put(label)?;
        Ok(writer)
    }

    /// Add the next frame, which lies at `segment_offset`.
    pub(super) fn frame(&mut self, segment_offset: u64, bytes: &[u8]) -> io::Result<()> {
        let compressed = zstd::bulk::compress(bytes, SNAPSHOT_COMPRESSION)?;
        let short = |len: usize| u32::try_from(len).map_err(io::Error::other);
        let (frame_len, compressed_len) = (short(bytes.len())?, short(compressed.len())?);
        let entry = Entry { segment_offset, archive_offset: self.len, frame_len, compressed_len };
        self.table.extend_from_slice(&entry.encode());
        self.frames += 1;
        self.put(&compressed)
    }

    /// Write table and trailer; the file is still to be synced.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let table_offset = self.len;
        let table = std::mem::take(&mut self.table);
        self.put(&table)?;
        self.hasher.update(&table);
        let padded = (self.len + TRAILER_LEN as u64).next_multiple_of(BLOCK_LEN as u64) - TRAILER_LEN as u64;
        let padding = usize::try_from(padded - self.len).expect("less than two blocks");
        self.put(&vec![0; padding])?;
        let mut trailer = [0; TRAILER_LEN];
        trailer[MAGIC].copy_from_slice(&ARCHIVE_MAGIC);
        trailer[VERSION].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        trailer[FRAMES].copy_from_slice(&self.frames.to_le_bytes());
        trailer[TABLE].copy_from_slice(&table_offset.to_le_bytes());
        trailer[HASH].copy_from_slice(self.hasher.finalize().as_bytes());
        self.put(&trailer)?;
        self.write_out(0)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        self.len += bytes.len() as u64;
        if self.pending.len() >= READ_WINDOW_LEN { self.write_out(self.pending.len() % BLOCK_LEN) } else { Ok(()) }
    }

    /// Write all but the last `kept` bytes: whole blocks.
    fn write_out(&mut self, kept: usize) -> io::Result<()> {
        let len = self.pending.len() - kept;
        let mut blocks = AlignedBuffer::zeroed(len);
        blocks.copy_from_slice(&self.pending[..len]);
        self.file.write_at(&blocks, self.written)?;
        self.written += len as u64;
        self.pending.drain(..len);
        Ok(())
    }
}

/// An archived segment, to be read as the segment was.
pub(super) struct ArchivedSegment {
    file: Box<dyn StorageFile>,
    label: Vec<u8>,
    segment_len: u64,
    table: Vec<Entry>,
    /// The frame that was read last: a walk reads it in pieces.
    last: Mutex<Option<(usize, Vec<u8>)>>,
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the archived segment is damaged: {what}"))
}

impl ArchivedSegment {
    pub(super) fn open(file: Box<dyn StorageFile>) -> io::Result<Self> {
        let file_len = file.len()?;
        if file_len < 2 * BLOCK_LEN as u64 || !file_len.is_multiple_of(BLOCK_LEN as u64) {
            return Err(damaged("its length"));
        }
        let label = read(&*file, 0, BLOCK_LEN)?;
        let trailer = read(&*file, file_len - TRAILER_LEN as u64, TRAILER_LEN)?;
        let long = |range: Range<usize>| u64::from_le_bytes(trailer[range].try_into().expect("eight bytes long"));
        let version = u32::from_le_bytes(trailer[VERSION].try_into().expect("four bytes long"));
        if trailer[MAGIC] != ARCHIVE_MAGIC || trailer[RESERVED] != [0; 4] {
            return Err(damaged("its trailer"));
        }
        if version != FORMAT_VERSION {
            return Err(damaged(&format!("its format is version {version}, this program knows {FORMAT_VERSION}")));
        }
        let table_len = long(FRAMES).checked_mul(ENTRY_LEN as u64);
        let table_end = table_len.and_then(|len| long(TABLE).checked_add(len));
        if table_end.is_none_or(|end| end > file_len - TRAILER_LEN as u64) {
            return Err(damaged("its trailer"));
        }
        let table_len = usize::try_from(table_len.unwrap_or(0)).map_err(io::Error::other)?;
        let table_end = table_end.unwrap_or_default();
        let padding = usize::try_from(file_len - TRAILER_LEN as u64 - table_end).map_err(io::Error::other)?;
        if padding >= BLOCK_LEN || !is_untouched(&read(&*file, table_end, padding)?) {
            return Err(damaged("its padding"));
        }
        let table = read(&*file, long(TABLE), table_len)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&label).update(&table);
        if hasher.finalize().as_bytes()[..] != trailer[HASH] {
            return Err(damaged("its table"));
        }
        let table: Vec<Entry> = table.chunks_exact(ENTRY_LEN).map(Entry::decode).collect();
        let segment_len = Label::decode(&label).map_err(|_| damaged("its label"))?.file_len;
        Ok(Self { file, label, segment_len, table, last: Mutex::new(None) })
    }

    /// The bytes of frame `place`, decompressed.
    fn frame(&self, place: usize) -> io::Result<Vec<u8>> {
        let entry = &self.table[place];
        if entry.frame_len as usize > frame_len(MAX_BODY_LEN) {
            return Err(damaged("its table"));
        }
        let compressed = read(&*self.file, entry.archive_offset, entry.compressed_len as usize)?;
        let bytes = zstd::bulk::decompress(&compressed, entry.frame_len as usize);
        let whole = bytes.ok().filter(|bytes| bytes.len() == entry.frame_len as usize);
        whole.ok_or_else(|| {
            damaged(&format!("the frame at offset {} of its uncompressed content", entry.segment_offset))
        })
    }

    /// Copy what frame `place` holds of the bytes from `offset` on; how many there were.
    fn copy_frame(&self, place: usize, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(held, _)| *held != place) {
            *last = Some((place, self.frame(place)?));
        }
        let (_, bytes) = last.as_ref().expect("it was just read");
        let from = usize::try_from(offset - self.table[place].segment_offset).expect("within a frame");
        let len = into.len().min(bytes.len() - from);
        into[..len].copy_from_slice(&bytes[from..from + len]);
        Ok(len)
    }
}

/// Bytes at any offset, by whole blocks as reading past the page cache wants.
fn read(file: &dyn StorageFile, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let block = BLOCK_LEN as u64;
    let start = offset / block * block;
    let skipped = usize::try_from(offset - start).expect("less than a block");
    let mut blocks = AlignedBuffer::zeroed((skipped + len).next_multiple_of(BLOCK_LEN));
    file.read_at(&mut blocks, start)?;
    Ok(blocks[skipped..skipped + len].to_vec())
}

impl StorageFile for ArchivedSegment {
    fn len(&self) -> io::Result<u64> {
        Ok(self.segment_len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset + buffer.len() as u64 > self.segment_len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (mut filled, mut at) = (0, offset);
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let place = self.table.partition_point(|entry| entry.end() <= at);
            let copied = match self.table.get(place) {
                _ if at < FIRST_FRAME_OFFSET => {
                    let from = usize::try_from(at).expect("within the label");
                    let len = rest.len().min(BLOCK_LEN - from);
                    rest[..len].copy_from_slice(&self.label[from..from + len]);
                    len
                }
                Some(entry) if entry.segment_offset <= at => self.copy_frame(place, at, rest)?,
                // Frames lie without a gap, so what is behind the last one was never written.
                _ => {
                    rest.fill(0);
                    rest.len()
                }
            };
            filled += copied;
            at += copied as u64;
        }
        Ok(())
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }
}
