//! Snapshots: the state after one frame in a file of its own, so that a start need not fold the whole journal.
//!
//! Invariant: a snapshot gets its name only when it was read back from the medium and gave the digest it was written with.
//! Invariant: a snapshot is never needed to know what was decided: the journal alone gives the same state.
//! Invariant: [`KEPT`] snapshots stay; what a start needs beside the older of them stays in the data directory as well.
//! FORMAT.md says every byte. Leaves out: when one is cut (`keeper`), and which one a start takes (`recovery`).

mod file;

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::PathBuf;

use medsettle_core::hub::Hub;
use medsettle_core::rows::{BadRow, FORMAT as ROWS_FORMAT, StateDigest};

pub(crate) use self::file::BytesRead;
use self::file::{BlockWriter, BodyReader};
use crate::journal::frame::{
    BLOCK_LEN, SECTOR_LEN, SectorState, frame_seed, is_untouched, seal_sector, state_with_seed,
};
use crate::journal::{DirectoryId, FrameHash, HubId, Tail};
use crate::limits::READ_WINDOW_LEN;
use crate::storage::{Access, AlignedBuffer, Storage, StorageFile};

/// How many stay: should the newest be damaged on the medium, the one before it serves.
pub const KEPT: usize = 2;
/// Version of the layout of the file.
pub const FORMAT_VERSION: u32 = 1;
/// First bytes of a snapshot.
pub const SNAPSHOT_MAGIC: [u8; 8] = *b"MEDSNAPS";

const MAGIC: Range<usize> = 0..8;
const VERSION: Range<usize> = 8..12;
const ROWS: Range<usize> = 12..16;
const DIRECTORY: Range<usize> = 16..32;
const HUB: Range<usize> = 32..40;
const NUMBER: Range<usize> = 40..48;
const EPOCH: Range<usize> = 48..56;
const LAST_SEQUENCE: Range<usize> = 56..64;
const STAMP_MS: Range<usize> = 64..72;
const FRAME_HASH: Range<usize> = 72..104;
const ROW_COUNT: Range<usize> = 104..112;
const DIGEST: Range<usize> = 112..128;
const BODY_LEN: Range<usize> = 128..136;
const BODY_HASH: Range<usize> = 136..168;

/// Name, first byte and length of every field of the head, in order.
pub const HEAD_FIELDS: [(&str, Range<usize>); 14] = [
    ("magic", MAGIC),
    ("format version", VERSION),
    ("rows format", ROWS),
    ("directory id", DIRECTORY),
    ("hub id", HUB),
    ("frame number", NUMBER),
    ("epoch", EPOCH),
    ("last sequence", LAST_SEQUENCE),
    ("stamp", STAMP_MS),
    ("frame hash", FRAME_HASH),
    ("row count", ROW_COUNT),
    ("state digest", DIGEST),
    ("body length", BODY_LEN),
    ("body hash", BODY_HASH),
];

const SUFFIX: &str = ".snapshot";
/// Name while it is being written; a leftover of a crash is overwritten by the next.
pub(crate) const TEMPORARY_NAME: &str = "snapshot.tmp";

/// Name of the snapshot behind frame `number`.
pub fn name_of(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (name_of(number) == name).then_some(number)
}

/// Whose state a snapshot holds, and after which frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "directory, hub, last frame, and what sums up the rows")]
pub struct Head {
    pub directory: DirectoryId,
    pub hub: HubId,
    pub tail: Tail,
    pub rows: u64,
    pub digest: StateDigest,
}

/// Why a snapshot cannot be used; the journal, or an older snapshot, can.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it and its fields are")]
pub enum Unfit {
    #[error("its head is damaged")]
    Head,
    #[error("its format is version {found}, this program knows {known}")]
    Format { found: u32, known: u32 },
    #[error("its rows have format {found}, this program knows {known}")]
    Rows { found: u32, known: u32 },
    #[error("it belongs to another data directory or hub")]
    Foreign,
    #[error("it says that it stands behind frame {0}, against its name")]
    Misnamed(u64),
    #[error("it is {found} bytes long, its head says that {content} bytes of content lie behind the first block")]
    Length { found: u64, content: u64 },
    #[error("its content does not have the hash it bears")]
    Hash,
    #[error("bytes behind its content are not zero")]
    Padding,
    #[error("its {0}")]
    Row(#[from] BadRow),
    #[error("it holds {found} rows with digest {digest}, its head says {rows} and {expected}")]
    Digest { found: u64, digest: StateDigest, rows: u64, expected: StateDigest },
    #[error("reading it failed: {0}")]
    Io(#[from] io::Error),
    #[error("the records index holds records up to {found} only, the snapshot begins behind {sequence}")]
    IndexBehind { found: u64, sequence: u64 },
    #[error("the journal has another frame {0} than the one it stands behind")]
    OtherHistory(u64),
    #[error("it stands behind frame {frame}, the frames of the backup end with {last}")]
    Ahead { frame: u64, last: u64 },
    #[error("what its head says of frame {0} is not what that frame says")]
    OtherFrame(u64),
    #[error("its rows are the state behind sequence {found}, its head says {expected}")]
    Sequence { found: u64, expected: u64 },
    #[error("its digest is {found}, the journal up to there gives {expected}")]
    Replay { found: StateDigest, expected: StateDigest },
}

impl Unfit {
    /// Where in the file it shows.
    pub fn offset(&self) -> u64 {
        let field = match self {
            Self::Head | Self::Io(_) | Self::IndexBehind { .. } => return 0,
            Self::Hash | Self::Row(_) | Self::Padding => return BLOCK_LEN as u64,
            Self::Format { .. } => VERSION,
            Self::Rows { .. } => ROWS,
            Self::Foreign => DIRECTORY,
            Self::Misnamed(_) | Self::Ahead { .. } => NUMBER,
            Self::OtherFrame(_) => EPOCH,
            Self::Sequence { .. } => LAST_SEQUENCE,
            Self::OtherHistory(_) => FRAME_HASH,
            Self::Digest { .. } | Self::Replay { .. } => DIGEST,
            Self::Length { .. } => BODY_LEN,
        };
        field.start as u64
    }
}

/// A snapshot that cannot be used, and why; for the log.
#[derive(Debug)]
#[expect(missing_docs, reason = "the file and what is wrong with it")]
pub struct Passed {
    pub path: PathBuf,
    pub unfit: Unfit,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was passed over: {}", self.path.display(), self.unfit)
    }
}

/// The numbers of the frames behind which there are snapshots, newest first.
pub fn numbers(storage: &dyn Storage) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = storage.list()?.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    Ok(numbers)
}

/// Write the state behind `tail`, read it back from the medium, name it, and remove all but the newest [`KEPT`]. Once `stopped` says so it
/// ends with [`ErrorKind::Interrupted`].
pub fn write(
    storage: &dyn Storage,
    directory: DirectoryId,
    hub_id: HubId,
    tail: Tail,
    hub: &Hub,
    stopped: &dyn Fn() -> bool,
) -> Result<Head, Unfit> {
    let go_on = || if stopped() { Err(io::Error::from(ErrorKind::Interrupted)) } else { Ok(()) };
    let file = storage.create(TEMPORARY_NAME)?;
    let mut body = BlockWriter::new(&*file, BLOCK_LEN as u64)?;
    let mut head = Head { directory, hub: hub_id, tail, rows: 0, digest: StateDigest::default() };
    hub.each_row(|row| {
        go_on()?;
        head.rows += 1;
        head.digest.add(row);
        body.row(row)
    })?;
    let (body_len, body_hash) = body.finish()?;
    let mut block = AlignedBuffer::zeroed(BLOCK_LEN);
    head.encode(body_len, &body_hash, &mut block);
    file.write_at(&block, 0)?;
    file.sync_data()?;
    drop(file);
    read_file(storage.open(TEMPORARY_NAME, Access::ReadMedium)?, &mut |_| {}, &mut |_| Ok(()))?;
    go_on()?;
    storage.rename(TEMPORARY_NAME, &name_of(tail.number))?;
    storage.sync_directory()?;
    for old in numbers(storage)?.into_iter().skip(KEPT) {
        storage.remove(&name_of(old))?;
    }
    Ok(head)
}

/// Put a sound snapshot of another directory of the same hub into this one: the same file under this directory's id, read back from the
/// medium.
pub(crate) fn adopt(storage: &dyn Storage, directory: DirectoryId, from: &dyn StorageFile) -> Result<Head, Unfit> {
    let mut window = AlignedBuffer::zeroed(READ_WINDOW_LEN);
    from.read_at(&mut window[..BLOCK_LEN], 0)?;
    let (head, body_len, body_hash) = Head::decode(&window[..BLOCK_LEN])?;
    let head = Head { directory, ..head };
    let file = storage.create(TEMPORARY_NAME)?;
    let (mut offset, end) = (BLOCK_LEN as u64, from.len()?);
    while offset < end {
        let len = usize::try_from(end - offset).unwrap_or(usize::MAX).min(READ_WINDOW_LEN);
        from.read_at(&mut window[..len], offset)?;
        file.write_at(&window[..len], offset)?;
        offset += len as u64;
    }
    head.encode(body_len, &body_hash, &mut window[..BLOCK_LEN]);
    file.write_at(&window[..BLOCK_LEN], 0)?;
    file.sync_data()?;
    drop(file);
    let read_back = read_file(storage.open(TEMPORARY_NAME, Access::ReadMedium)?, &mut |_| {}, &mut |_| Ok(()))?;
    if read_back != head {
        return Err(Unfit::Head);
    }
    storage.rename(TEMPORARY_NAME, &name_of(head.tail.number))?;
    storage.sync_directory()?;
    Ok(head)
}

/// Called with every row in order.
pub type EachRow<'a> = dyn FnMut(&[u8]) -> Result<(), BadRow> + 'a;

/// Read the snapshot behind frame `number` of this directory. What `each` was given counts only if this succeeds.
pub fn read(
    storage: &dyn Storage,
    directory: DirectoryId,
    hub: HubId,
    number: u64,
    each: &mut EachRow<'_>,
) -> Result<Head, Unfit> {
    let head = read_file(storage.open(&name_of(number), Access::Read)?, &mut |_| {}, each)?;
    head.is_of(directory, hub, number)?;
    Ok(head)
}

/// Read a file that is a snapshot of whatever directory; `progress` gets the bytes that were read.
pub(crate) fn read_file<'a>(
    file: Box<dyn StorageFile>,
    progress: &'a mut BytesRead<'a>,
    each: &mut EachRow<'_>,
) -> Result<Head, Unfit> {
    let file_len = file.len()?;
    if file_len < BLOCK_LEN as u64 {
        return Err(Unfit::Head);
    }
    let mut block = AlignedBuffer::zeroed(BLOCK_LEN);
    file.read_at(&mut block, 0)?;
    let (head, body_len, body_hash) = Head::decode(&block)?;
    let body = BodyReader::new(file, BLOCK_LEN as u64, body_len, file_len, progress);
    let mut body = body.ok_or(Unfit::Length { found: file_len, content: body_len })?;
    let (mut rows, mut digest) = (0, StateDigest::default());
    // Bytes that are not as they were written may fail in many ways before they fail by their hash; that is the cause.
    let taken = body.each_row(&mut |row| {
        rows += 1;
        digest.add(row);
        each(row)
    });
    let (hash, padded) = body.finish()?;
    if hash != body_hash {
        return Err(Unfit::Hash);
    }
    taken?;
    if !padded {
        return Err(Unfit::Padding);
    }
    if (rows, digest) != (head.rows, head.digest) {
        return Err(Unfit::Digest { found: rows, digest, rows: head.rows, expected: head.digest });
    }
    Ok(head)
}

impl Head {
    /// Whether it is of this directory and hub, under the name of its frame.
    pub(crate) fn is_of(&self, directory: DirectoryId, hub: HubId, number: u64) -> Result<(), Unfit> {
        if (self.directory, self.hub) != (directory, hub) {
            return Err(Unfit::Foreign);
        }
        if self.tail.number == number { Ok(()) } else { Err(Unfit::Misnamed(self.tail.number)) }
    }

    /// Whether the frame of the journal that has its number is the one behind which it stands.
    pub(crate) fn stands_behind(&self, frame: &Tail) -> Result<(), Unfit> {
        if self.tail.hash != frame.hash {
            return Err(Unfit::OtherHistory(frame.number));
        }
        if self.tail == *frame { Ok(()) } else { Err(Unfit::OtherFrame(frame.number)) }
    }

    fn encode(&self, body_len: u64, body_hash: &[u8; 32], block: &mut [u8]) {
        let Self { directory, hub, tail, rows, digest } = self;
        block.fill(0);
        block[MAGIC].copy_from_slice(&SNAPSHOT_MAGIC);
        block[VERSION].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        block[ROWS].copy_from_slice(&ROWS_FORMAT.to_le_bytes());
        block[DIRECTORY].copy_from_slice(&directory.0);
        block[HUB].copy_from_slice(&hub.0.to_le_bytes());
        block[NUMBER].copy_from_slice(&tail.number.to_le_bytes());
        block[EPOCH].copy_from_slice(&tail.epoch.to_le_bytes());
        block[LAST_SEQUENCE].copy_from_slice(&tail.last_sequence.to_le_bytes());
        block[STAMP_MS].copy_from_slice(&tail.stamp_ms.to_le_bytes());
        block[FRAME_HASH].copy_from_slice(&tail.hash.0);
        block[ROW_COUNT].copy_from_slice(&rows.to_le_bytes());
        block[DIGEST].copy_from_slice(&digest.0.to_le_bytes());
        block[BODY_LEN].copy_from_slice(&body_len.to_le_bytes());
        block[BODY_HASH].copy_from_slice(body_hash);
        seal_sector(&mut block[..SECTOR_LEN], frame_seed(0), 0);
    }

    fn decode(block: &[u8]) -> Result<(Self, u64, [u8; 32]), Unfit> {
        let (sector, rest) = block.split_at(SECTOR_LEN);
        let sealed = state_with_seed(sector, frame_seed(0), 0) == SectorState::Valid && is_untouched(rest);
        if !sealed || sector[MAGIC] != SNAPSHOT_MAGIC {
            return Err(Unfit::Head);
        }
        let short = |range: Range<usize>| u32::from_le_bytes(sector[range].try_into().expect("four bytes long"));
        let long = |range: Range<usize>| u64::from_le_bytes(sector[range].try_into().expect("eight bytes long"));
        let hash = |range: Range<usize>| -> [u8; 32] { sector[range].try_into().expect("thirty-two bytes long") };
        if short(VERSION) != FORMAT_VERSION {
            return Err(Unfit::Format { found: short(VERSION), known: FORMAT_VERSION });
        }
        if short(ROWS) != ROWS_FORMAT {
            return Err(Unfit::Rows { found: short(ROWS), known: ROWS_FORMAT });
        }
        let tail = Tail {
            number: long(NUMBER),
            hash: FrameHash(hash(FRAME_HASH)),
            epoch: long(EPOCH),
            last_sequence: long(LAST_SEQUENCE),
            stamp_ms: long(STAMP_MS).cast_signed(),
        };
        let head = Self {
            directory: DirectoryId(sector[DIRECTORY].try_into().expect("sixteen bytes long")),
            hub: HubId(long(HUB)),
            tail,
            rows: long(ROW_COUNT),
            digest: StateDigest(u128::from_le_bytes(sector[DIGEST].try_into().expect("sixteen bytes long"))),
        };
        Ok((head, long(BODY_LEN), hash(BODY_HASH)))
    }
}
