//! A backup: the frames of one hub's journal, and a snapshot that they cover, in files beside nobody's hub. `piece` and `snapshot` write
//! and read the files, `restore` makes a data directory of them, `check` only reads.
//!
//! Invariant: a piece gets its name only when it is whole and synced; the name says which frames are in it.
//! Invariant: every frame that is taken in follows the one before by number, hash, sequence and stamp, or nothing is kept of it.
//! Leaves out: where frames and snapshots come from (the caller), what bodies mean while a backup is made; a restore reads every one.

mod check;
mod piece;
mod placing;
mod restore;
mod snapshot;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use check::{CheckedBackup, check, is_backup};
pub use restore::{Restored, restore};

use self::piece::{PieceName, PieceReader, PieceWriter};
use self::snapshot::SnapshotWriter;
use crate::archive::is_archived;
use crate::error::{Damage, Finding, JournalError};
use crate::index::IndexError;
use crate::journal::frame::HEADER_LEN;
use crate::journal::segment::{IDENTITY_NAME, number_of};
use crate::journal::{FrameHash, FrameHeader, HubId, Tail};
use crate::limits::BACKUP_PIECE_GOAL;
use crate::snapshot::{Head, Passed, TEMPORARY_NAME, Unfit, name_of};
use crate::storage::{Access, DataDirectory, DirectoryLock, LockError, Storage};

/// Why a backup cannot be made, gone on with, or restored.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it and its fields are")]
pub enum BackupError {
    #[error("the backup is damaged, and nothing of it is used. {0}. All that is wrong: medsettle verify {dir}", dir = directory_of(.0))]
    Damaged(Finding),
    #[error("{directory} holds no backup")]
    NoBackup { directory: String },
    #[error(
        "the hub has forgotten: its frame {number} has the hash {found}, the backup in {directory} holds that frame with the hash {expected}"
    )]
    Forgotten { directory: String, number: u64, expected: FrameHash, found: FrameHash },
    #[error("what came as frame {number} cannot follow in the backup: {what}")]
    NotNext { number: u64, what: String },
    #[error("the backup in {directory} was closed")]
    Closed { directory: String },
    #[error("{directory} is in use by another backup")]
    Busy { directory: String },
    #[error("{directory} is not empty; a restore makes a directory of its own")]
    TargetNotEmpty { directory: String },
    #[error("{directory} is the data directory of a hub or an archive; a backup needs a directory of its own")]
    OfHub { directory: String },
    #[error("{action} {path} failed: {cause}")]
    Io {
        action: &'static str,
        path: String,
        #[source]
        cause: io::Error,
    },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Index(#[from] IndexError),
}

fn directory_of(finding: &Finding) -> std::path::Display<'_> {
    finding.path.parent().unwrap_or(Path::new(".")).display()
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.display().to_string();
    move |cause| BackupError::Io { action, path, cause }
}

/// The same for a file that counts: what is no file is damage.
fn opening(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |cause| match JournalError::opening(path, String::new())(cause) {
        JournalError::Corrupt { finding, .. } => BackupError::Damaged(*finding),
        error => error.into(),
    }
}

fn damaged(path: &Path, offset: u64, damage: Damage) -> BackupError {
    BackupError::Damaged(Finding { path: path.to_owned(), offset, damage })
}

/// A frame out of its content: header and body.
struct Decoded<'a> {
    header: FrameHeader,
    hash: FrameHash,
    body: &'a [u8],
}

/// Take a frame's content apart and see that it has the hash it bears and follows `tail` in the journal of `hub`, which the first
/// frame names.
fn decode<'a>(content: &'a [u8], tail: &Tail, hub: Option<HubId>, schema: u32) -> Result<Decoded<'a>, Damage> {
    let frame = tail.next_number();
    if content.len() < HEADER_LEN {
        return Err(Damage::Cut { frame });
    }
    let (header, body) = content.split_at(HEADER_LEN);
    let (header, hash) = FrameHeader::decode(header, schema).map_err(|error| Damage::Header { frame, error })?;
    if body.len() != header.body_len as usize {
        return Err(Damage::Cut { frame });
    }
    tail.accepts(&header, hub.unwrap_or(header.hub))?;
    if header.hash_with(body) != hash {
        return Err(Damage::Hash { frame });
    }
    Ok(Decoded { header, hash, body })
}

/// A backup that takes frames in.
pub struct Backup {
    directory: PathBuf,
    schema: u32,
    hub: Option<HubId>,
    tail: Tail,
    piece: Option<PieceWriter>,
    snapshot: Option<SnapshotWriter>,
    /// The frame behind which the kept snapshot stands; 0 without one that is sound.
    snapshot_frame: u64,
    passed: Vec<Passed>,
    /// None once it was closed.
    lock: Option<DirectoryLock>,
}

impl Backup {
    /// Begin a backup in a directory, or go on with the one that is there; its newest piece and its snapshot are read and checked.
    pub fn open(directory: &Path, schema: u32) -> Result<Self, BackupError> {
        let storage = DataDirectory::create(directory).map_err(io("making", directory))?;
        refuse_of_hub(directory)?;
        let lock = storage.lock().map_err(|error| match error {
            LockError::Held { .. } => BackupError::Busy { directory: directory.display().to_string() },
            LockError::Io(cause) => io("locking", directory)(cause),
        })?;
        // Again: a hub may have begun there until now.
        refuse_of_hub(directory)?;
        let pieces = pieces_of(directory)?;
        for left in temporary_files(directory)? {
            fs::remove_file(&left).map_err(io("removing", &left))?;
        }
        let (mut tail, mut hub) = (Tail::EMPTY, None);
        if let Some(newest) = pieces.last() {
            let mut reader = PieceReader::open(directory, *newest)?;
            let first = reader.first_header(schema)?;
            tail = Tail::before(&first);
            hub = Some(first.hub);
            while let Some(frame) = reader.next(&tail, hub, schema)? {
                tail = Tail::after(&frame.header, frame.hash);
            }
        }
        let directory = directory.to_owned();
        let (snapshot_frame, passed) = (0, Vec::new());
        let mut backup = Self {
            directory,
            schema,
            hub,
            tail,
            piece: None,
            snapshot: None,
            snapshot_frame,
            passed,
            lock: Some(lock),
        };
        backup.find_snapshot()?;
        Ok(backup)
    }

    /// Read the kept snapshots again: one that rotted is as good as none, so that it is taken anew.
    fn find_snapshot(&mut self) -> Result<(), BackupError> {
        for number in snapshot::numbers(&self.directory)? {
            match self.examine(&name_of(number), number)? {
                Ok(_) => {
                    self.snapshot_frame = number;
                    break;
                }
                Err(unfit) => self.passed.push(Passed { path: self.directory.join(name_of(number)), unfit }),
            }
        }
        Ok(())
    }

    /// Read a snapshot whole, against the frame behind which it says that it stands.
    fn examine(&self, name: &str, frame: u64) -> Result<Result<Head, Unfit>, BackupError> {
        let pieces = pieces_of(&self.directory)?;
        match (snapshot::frame_of(&self.directory, &pieces, frame, self.schema)?, self.hub) {
            (Some(tail), Some(hub)) => snapshot::examine(&self.directory, name, Access::ReadMedium, hub, &tail),
            _ => Ok(Err(Unfit::Ahead { frame, last: self.tail.number })),
        }
    }

    /// The last frame that was taken in.
    pub fn tail(&self) -> Tail {
        self.tail
    }

    /// Take in the content of a frame: the last one again, which must be the same, or the next one.
    pub fn take(&mut self, number: u64, content: &[u8]) -> Result<(), BackupError> {
        self.check_open()?;
        if number == self.tail.number && number > 0 {
            return self.compare(number, content);
        }
        let frame = decode(content, &self.tail, self.hub, self.schema).map_err(|damage| match damage {
            Damage::Previous { expected, found, .. } => {
                let directory = self.directory.display().to_string();
                BackupError::Forgotten { directory, number: self.tail.number, expected, found }
            }
            damage => BackupError::NotNext { number, what: damage.to_string() },
        })?;
        if self.piece.is_none() {
            self.piece = Some(PieceWriter::begin(&self.directory, frame.header.number)?);
        }
        let piece = self.piece.as_mut().expect("a piece was begun");
        piece.write(content)?;
        self.hub = Some(frame.header.hub);
        self.tail = Tail::after(&frame.header, frame.hash);
        if piece.len() >= BACKUP_PIECE_GOAL { self.keep() } else { Ok(()) }
    }

    fn compare(&self, number: u64, content: &[u8]) -> Result<(), BackupError> {
        let header = content.get(..HEADER_LEN).ok_or(Damage::Cut { frame: number });
        let decoded = header.and_then(|header| {
            FrameHeader::decode(header, self.schema).map_err(|error| Damage::Header { frame: number, error })
        });
        let (_, found) = decoded.map_err(|damage| BackupError::NotNext { number, what: damage.to_string() })?;
        if found == self.tail.hash {
            return Ok(());
        }
        let directory = self.directory.display().to_string();
        Err(BackupError::Forgotten { directory, number, expected: self.tail.hash, found })
    }

    /// Make durable what was taken in of frames.
    pub fn keep(&mut self) -> Result<(), BackupError> {
        self.piece.take().map_or(Ok(()), |piece| piece.finish(self.tail.number))
    }

    /// The frame behind which the newest snapshot of the backup stands; 0 without one that can be used.
    pub fn snapshot_frame(&self) -> u64 {
        self.snapshot_frame
    }

    /// The snapshots that were there as it was opened and cannot be used.
    pub fn passed(&self) -> &[Passed] {
        &self.passed
    }

    /// Take in the next bytes of the snapshot behind a frame. With another frame it begins anew.
    pub fn take_snapshot(&mut self, frame: u64, content: &[u8]) -> Result<(), BackupError> {
        self.check_open()?;
        if self.snapshot.as_ref().is_none_or(|begun| begun.frame != frame) {
            self.snapshot = Some(SnapshotWriter::begin(&self.directory, frame)?);
        }
        self.snapshot.as_mut().expect("it was begun").write(content)
    }

    /// All of the snapshot was taken in: check it against the frames, which are made durable first, and keep it instead of the one
    /// before. One that cannot be used is thrown away, and given back with the reason.
    pub fn keep_snapshot(&mut self) -> Result<Option<Passed>, BackupError> {
        self.keep()?;
        let Some(taken) = self.snapshot.take() else { return Ok(None) };
        let frame = taken.frame;
        taken.finish()?;
        match self.examine(TEMPORARY_NAME, frame)? {
            Ok(_) => {
                snapshot::keep(&self.directory, frame)?;
                self.snapshot_frame = frame;
                // They were removed.
                self.passed.clear();
                Ok(None)
            }
            Err(unfit) => {
                snapshot::discard(&self.directory)?;
                Ok(Some(Passed { path: self.directory.join(name_of(frame)), unfit }))
            }
        }
    }

    /// Make durable what was taken in of frames, and let others have the directory. Nothing is taken in any more.
    pub fn close(&mut self) -> Result<(), BackupError> {
        let kept = self.keep();
        (self.snapshot, self.lock) = (None, None);
        kept
    }

    fn check_open(&self) -> Result<(), BackupError> {
        if self.lock.is_some() {
            return Ok(());
        }
        Err(BackupError::Closed { directory: self.directory.display().to_string() })
    }

    /// Throw away what was taken in of a snapshot that was not finished.
    pub fn discard_snapshot(&mut self) -> Result<(), BackupError> {
        self.check_open()?;
        self.snapshot = None;
        snapshot::discard(&self.directory)
    }
}

/// Refuse a directory with anything of a hub: a backup removes snapshots.
fn refuse_of_hub(directory: &Path) -> Result<(), BackupError> {
    let of_hub = |name: &String| name == IDENTITY_NAME || number_of(name).is_some() || is_archived(name);
    if names_in(directory)?.iter().any(of_hub) {
        return Err(BackupError::OfHub { directory: directory.display().to_string() });
    }
    Ok(())
}

/// The pieces of a backup in their order, without a gap.
fn pieces_of(directory: &Path) -> Result<Vec<PieceName>, BackupError> {
    let mut pieces: Vec<PieceName> = names_in(directory)?.iter().filter_map(|name| PieceName::parse(name)).collect();
    pieces.sort_unstable();
    let mut next = 1;
    for piece in &pieces {
        if piece.first != next {
            let path = directory.join(piece.to_string());
            return Err(damaged(&path, 0, Damage::PieceMissing { first: next, last: piece.first.saturating_sub(1) }));
        }
        next = piece.last + 1;
    }
    Ok(pieces)
}

fn temporary_files(directory: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let names = names_in(directory)?;
    let is_temporary = |name: &&String| piece::is_temporary(name) || *name == TEMPORARY_NAME;
    Ok(names.iter().filter(is_temporary).map(|name| directory.join(name)).collect())
}

fn names_in(directory: &Path) -> Result<Vec<String>, BackupError> {
    let storage = DataDirectory::existing(directory).map_err(io("opening", directory))?;
    storage.list().map_err(io("listing", directory))
}
