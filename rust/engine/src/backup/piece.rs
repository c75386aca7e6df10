//! The files of a backup: a magic, then the contents of frames one behind the other. FORMAT.md says the bytes.
//!
//! Invariant: `tmp -> sync -> rename -> sync directory`; a name is never given twice.
//! Invariant: reading ends with the frame that the name promises, or with damage at an offset.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::{BackupError, Decoded, damaged, decode, io, opening};
use crate::error::Damage;
use crate::journal::frame::HEADER_LEN;
use crate::journal::{FrameHeader, HubId, Tail};
use crate::storage::{make_file, open_regular};

/// First bytes of a piece.
pub(super) const PIECE_MAGIC: [u8; 8] = *b"MEDPIECE";
/// Version of the layout of a piece.
pub(super) const PIECE_VERSION: u32 = 1;
/// Magic, version, and four bytes of zero.
pub(super) const PIECE_HEAD_LEN: usize = 16;

const SUFFIX: &str = ".frames";
const TEMPORARY_SUFFIX: &str = ".frames.tmp";
const BUFFER_LEN: usize = 1 << 20;

/// The name of a piece: its first and its last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PieceName {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl PieceName {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (first, last) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let piece = Self { first: first.parse().ok()?, last: last.parse().ok()? };
        (piece.to_string() == name && piece.first <= piece.last && piece.last < u64::MAX).then_some(piece)
    }
}

impl fmt::Display for PieceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:012}-{:012}{SUFFIX}", self.first, self.last)
    }
}

/// Whether a file of this name is a piece that was never finished.
pub(super) fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY_SUFFIX)
}

fn head() -> [u8; PIECE_HEAD_LEN] {
    let mut head = [0; PIECE_HEAD_LEN];
    head[..8].copy_from_slice(&PIECE_MAGIC);
    head[8..12].copy_from_slice(&PIECE_VERSION.to_le_bytes());
    head
}

/// A piece that is being written.
pub(super) struct PieceWriter {
    directory: PathBuf,
    temporary: PathBuf,
    first: u64,
    file: BufWriter<File>,
    len: u64,
}

impl PieceWriter {
    pub(super) fn begin(directory: &Path, first: u64) -> Result<Self, BackupError> {
        let temporary = directory.join(format!("{first:012}{TEMPORARY_SUFFIX}"));
        let file = make_file(&temporary).map_err(io("making", &temporary))?;
        let file = BufWriter::with_capacity(BUFFER_LEN, file);
        let mut piece = Self { directory: directory.to_owned(), temporary, first, file, len: 0 };
        piece.write(&head())?;
        Ok(piece)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.len += bytes.len() as u64;
        self.file.write_all(bytes).map_err(io("writing", &self.temporary))
    }

    /// Sync the piece and give it its name.
    pub(super) fn finish(self, last: u64) -> Result<(), BackupError> {
        let Self { directory, temporary, first, file, .. } = self;
        let file = file.into_inner().map_err(|error| io("writing", &temporary)(error.into_error()))?;
        file.sync_all().map_err(io("syncing", &temporary))?;
        let path = directory.join(PieceName { first, last }.to_string());
        fs::rename(&temporary, &path).map_err(io("naming", &path))?;
        File::open(&directory).and_then(|opened| opened.sync_all()).map_err(io("syncing", &directory))
    }
}

/// A piece that is being read, frame by frame.
pub(super) struct PieceReader {
    path: PathBuf,
    name: PieceName,
    file: BufReader<File>,
    offset: u64,
    content: Vec<u8>,
    /// The header of the first frame was read already.
    peeked: bool,
}

impl PieceReader {
    pub(super) fn open(directory: &Path, name: PieceName) -> Result<Self, BackupError> {
        let path = directory.join(name.to_string());
        let file = open_regular(File::options().read(true), &path).map_err(opening(&path))?;
        let file = BufReader::with_capacity(BUFFER_LEN, file);
        let mut reader = Self { path, name, file, offset: 0, content: Vec::new(), peeked: false };
        reader.content.resize(PIECE_HEAD_LEN, 0);
        if !reader.fill(0)? {
            return Err(damaged(&reader.path, 0, Damage::Cut { frame: name.first }));
        }
        let version = u32::from_le_bytes(reader.content[8..12].try_into().expect("four bytes long"));
        if reader.content[..8] == PIECE_MAGIC && version > PIECE_VERSION {
            return Err(damaged(&reader.path, 0, Damage::NewerFormat { found: version, supported: PIECE_VERSION }));
        }
        if reader.content != head() {
            return Err(damaged(&reader.path, 0, Damage::Label));
        }
        reader.offset = PIECE_HEAD_LEN as u64;
        Ok(reader)
    }

    /// Where the next frame lies.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The header of the first frame, before anything else is read.
    pub(super) fn first_header(&mut self, schema: u32) -> Result<FrameHeader, BackupError> {
        let frame = self.name.first;
        self.content.resize(HEADER_LEN, 0);
        if !self.fill(0)? {
            return Err(damaged(&self.path, self.offset, Damage::Cut { frame }));
        }
        self.peeked = true;
        let decoded = FrameHeader::decode(&self.content, schema);
        let (header, _) = decoded.map_err(|error| damaged(&self.path, self.offset, Damage::Header { frame, error }))?;
        if header.number == frame {
            return Ok(header);
        }
        Err(damaged(&self.path, self.offset, Damage::Number { frame, found: header.number }))
    }

    /// The frame behind `tail`, or none behind the last; anything else is damage.
    pub(super) fn next(
        &mut self,
        tail: &Tail,
        hub: Option<HubId>,
        schema: u32,
    ) -> Result<Option<Decoded<'_>>, BackupError> {
        let at_end = tail.number == self.name.last;
        self.content.resize(HEADER_LEN, 0);
        let has_header = std::mem::take(&mut self.peeked) || self.fill(0)?;
        let here = self.offset;
        if at_end && has_header {
            return Err(damaged(&self.path, here, Damage::BehindPiece { last: self.name.last }));
        }
        if at_end {
            return Ok(None);
        }
        let frame = tail.next_number();
        if !has_header {
            return Err(damaged(&self.path, here, Damage::Cut { frame }));
        }
        let header = FrameHeader::decode(&self.content, schema);
        let (header, _) = header.map_err(|error| damaged(&self.path, here, Damage::Header { frame, error }))?;
        let len = HEADER_LEN + header.body_len as usize;
        self.content.resize(len, 0);
        if !self.fill(HEADER_LEN)? {
            return Err(damaged(&self.path, here, Damage::Cut { frame }));
        }
        self.offset += len as u64;
        decode(&self.content, tail, hub, schema).map(Some).map_err(|damage| damaged(&self.path, here, damage))
    }

    /// Fill the content from `from` on; false where the file ends before. Bytes behind the last frame count as a header, whole or not.
    fn fill(&mut self, from: usize) -> Result<bool, BackupError> {
        let mut filled = from;
        while filled < self.content.len() {
            match self.file.read(&mut self.content[filled..]) {
                Ok(0) if filled == from => return Ok(from == self.content.len()),
                Ok(0) => {
                    let frame = self.name.last;
                    return Err(damaged(&self.path, self.offset, Damage::Cut { frame }));
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io("reading", &self.path)(error)),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_a_piece_begins_with() {
        let document = include_str!("../../FORMAT.md");
        let magic = std::str::from_utf8(&PIECE_MAGIC).expect("letters");
        assert!(document.contains(&format!("`PIECE_MAGIC` = `{magic}`")));
        assert!(document.contains(&format!("`PIECE_VERSION` = {PIECE_VERSION}")));
        assert!(document.contains(&format!("A piece is {PIECE_HEAD_LEN} bytes of head")));
        assert_eq!(head()[..8], PIECE_MAGIC);
        assert_eq!(head()[8..12], PIECE_VERSION.to_le_bytes());
    }

    #[test]
    fn a_name_says_the_frames_and_no_other_name_is_a_piece() {
        let piece = PieceName { first: 1, last: 12_000 };
        assert_eq!(piece.to_string(), "000000000001-000000012000.frames");
        assert_eq!(PieceName::parse(&piece.to_string()), Some(piece));
        for other in ["1-2.frames", "000000000002-000000000001.frames", "LOCK", "000000000001.frames.tmp"] {
            assert_eq!(PieceName::parse(other), None, "{other}");
        }
    }
}
