//! The files of a data directory: their names and the label block at the beginning of each.
//!
//! Invariant: a segment is zero-filled and synced before it gets its name, and its label never changes.
//! Invariant: the file `IDENTITY` exists from the moment the first segment does, so that a directory whose segments were
//! lost is told from a new one.
//! Leaves out: frames. Which frame comes first in a segment is said by that frame, at offset 4,096.

use std::fmt;
use std::ops::Range;

use super::frame::{
    BLOCK_LEN, HubId, SECTOR_LEN, SECTOR_PAYLOAD_LEN, SectorState, frame_seed, is_untouched, seal_sector,
    state_with_seed,
};
use crate::error::Damage;

/// Name of the file that says which directory this is.
pub const IDENTITY_NAME: &str = "IDENTITY";
/// Version of the layout of label, segment and frame.
pub const FORMAT_VERSION: u32 = 1;
/// First bytes of a segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"MEDSEGMT";
/// First bytes of the identity file.
pub const IDENTITY_MAGIC: [u8; 8] = *b"MEDIDENT";
/// First bytes of the identity file while the directory is made of a backup: with it the directory does not open.
pub const RESTORING_MAGIC: [u8; 8] = *b"MEDRESTO";
/// Offset of the first frame of a segment.
pub const FIRST_FRAME_OFFSET: u64 = BLOCK_LEN as u64;

const MAGIC: Range<usize> = 0..8;
const VERSION: Range<usize> = 8..12;
const RESERVED: Range<usize> = 12..16;
const DIRECTORY: Range<usize> = 16..32;
const HUB: Range<usize> = 32..40;
const SEGMENT: Range<usize> = 40..48;
const FILE_LEN: Range<usize> = 48..56;

/// Name, first byte and length of every field of a label, in order.
pub const LABEL_FIELDS: [(&str, Range<usize>); 7] = [
    ("magic", MAGIC),
    ("format version", VERSION),
    ("reserved", RESERVED),
    ("directory id", DIRECTORY),
    ("hub id", HUB),
    ("segment number", SEGMENT),
    ("file length", FILE_LEN),
];

const SUFFIX: &str = ".journal";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// The data directory a file was made in, drawn at random when the directory is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DirectoryId(pub [u8; 16]);

impl DirectoryId {
    /// A new one.
    pub fn random() -> std::io::Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        Ok(Self(id))
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for DirectoryId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Name of segment `number`.
pub fn name_of(number: u64) -> String {
    format!("{number:08}{SUFFIX}")
}

/// Name of segment `number` while it is being filled.
pub fn temporary_name_of(number: u64) -> String {
    format!("{number:08}{SUFFIX}{TEMPORARY_SUFFIX}")
}

/// The number of the segment that is called `name`, if that is a segment's name.
pub fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (name_of(number) == name).then_some(number)
}

/// Make `block` the identity file of a directory that is being made of a backup.
pub(crate) fn encode_restoring(block: &mut [u8]) {
    let block = &mut block[..BLOCK_LEN];
    block.fill(0);
    block[MAGIC].copy_from_slice(&RESTORING_MAGIC);
    seal_sector(&mut block[..SECTOR_LEN], frame_seed(0), 0);
}

/// Whether `block` is what `encode_restoring` makes.
pub(crate) fn is_restoring(block: &[u8]) -> bool {
    let mut mark = [0; BLOCK_LEN];
    encode_restoring(&mut mark);
    block == mark
}

/// The first block of a segment, or all of the identity file (segment number 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// The data directory the file was made in.
    pub directory: DirectoryId,
    /// The hub whose directory that is.
    pub hub: HubId,
    /// Number of the segment; 0 in the identity file.
    pub segment: u64,
    /// Bytes of the whole file; it never grows.
    pub file_len: u64,
}

impl Label {
    /// The label of the identity file.
    pub fn identity(directory: DirectoryId, hub: HubId) -> Self {
        Self { directory, hub, segment: 0, file_len: BLOCK_LEN as u64 }
    }

    fn magic(&self) -> [u8; 8] {
        if self.segment == 0 { IDENTITY_MAGIC } else { SEGMENT_MAGIC }
    }

    /// Write the label over the first block of `block`.
    pub fn encode(&self, block: &mut [u8]) {
        let block = &mut block[..BLOCK_LEN];
        block.fill(0);
        block[MAGIC].copy_from_slice(&self.magic());
        block[VERSION].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        block[DIRECTORY].copy_from_slice(&self.directory.0);
        block[HUB].copy_from_slice(&self.hub.0.to_le_bytes());
        block[SEGMENT].copy_from_slice(&self.segment.to_le_bytes());
        block[FILE_LEN].copy_from_slice(&self.file_len.to_le_bytes());
        seal_sector(&mut block[..SECTOR_LEN], frame_seed(0), 0);
    }

    /// The label in `block`.
    pub fn decode(block: &[u8]) -> Result<Self, Damage> {
        let (sector, rest) = block[..BLOCK_LEN].split_at(SECTOR_LEN);
        if state_with_seed(sector, frame_seed(0), 0) != SectorState::Valid || !is_untouched(rest) {
            return Err(Damage::Label);
        }
        let number = |range: Range<usize>| u64::from_le_bytes(sector[range].try_into().expect("eight bytes long"));
        let version = u32::from_le_bytes(sector[VERSION].try_into().expect("four bytes long"));
        if version > FORMAT_VERSION {
            return Err(Damage::NewerFormat { found: version, supported: FORMAT_VERSION });
        }
        let label = Self {
            directory: DirectoryId(sector[DIRECTORY].try_into().expect("sixteen bytes long")),
            hub: HubId(number(HUB)),
            segment: number(SEGMENT),
            file_len: number(FILE_LEN),
        };
        let rest_is_zero = is_untouched(&sector[RESERVED]) && is_untouched(&sector[FILE_LEN.end..SECTOR_PAYLOAD_LEN]);
        if sector[MAGIC] == label.magic() && version == FORMAT_VERSION && rest_is_zero {
            Ok(label)
        } else {
            Err(Damage::Label)
        }
    }

    /// Whether the file with this label, `found_len` bytes long, is segment `number` of the directory of `identity`.
    pub(crate) fn check(&self, identity: &Self, number: u64, found_len: u64) -> Result<(), Damage> {
        if (self.directory, self.hub) != (identity.directory, identity.hub) {
            Err(Damage::ForeignDirectory)
        } else if self.segment != number {
            Err(Damage::SegmentNumber { expected: number, found: self.segment })
        } else if self.file_len != found_len {
            Err(Damage::FileLength { expected: self.file_len, found: found_len })
        } else {
            Ok(())
        }
    }
}
