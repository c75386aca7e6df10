//! What can be wrong with a journal, in words that name the file, the offset and the command that looks closer.
//!
//! Invariant: a `Finding` always names a place; `JournalError` always names the directory or a file in it.

use std::cmp::Ordering;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::segments;
use crate::journal::{FrameHash, HeaderError, HubId};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the file, the place in it and what is wrong there")]
pub struct Finding {
    pub path: PathBuf,
    pub offset: u64,
    pub damage: Damage,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at {}: {}", self.path.display(), self.place(), self.damage)
    }
}

/// What is wrong. None of these is left behind by a crash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it and its fields are")]
pub enum Damage {
    #[error("sector {sector} of frame {frame} is damaged: it is neither as written nor untouched")]
    SectorDamaged { frame: u64, sector: u64 },
    #[error("sectors of frame {frame}, which was durable, are gone")]
    SectorLost { frame: u64 },
    #[error("frame {found} lies where frame {expected} belongs")]
    FrameMisplaced { expected: u64, found: u64 },
    #[error("frame {frame} is not whole, yet something was written behind it")]
    WrittenBehind { frame: u64 },
    #[error("frame {frame}: {error}")]
    Header { frame: u64, error: HeaderError },
    #[error("frame {frame} says it is {found}")]
    Number { frame: u64, found: u64 },
    #[error("frame {frame} belongs to hub {found}, this directory to hub {expected}")]
    Hub { frame: u64, expected: HubId, found: HubId },
    #[error("frame {frame} follows a frame with hash {found}, the frame before it has {expected}")]
    Previous { frame: u64, expected: FrameHash, found: FrameHash },
    #[error("the content of frame {frame} does not have the hash it bears")]
    Hash { frame: u64 },
    #[error("frame {frame} breaks the order of the journal: {what}")]
    Order { frame: u64, what: &'static str },
    #[error("frame {frame} is longer than what is left of its segment")]
    BeyondSegment { frame: u64 },
    #[error("bytes behind the body of frame {frame} are not zero")]
    Padding { frame: u64 },
    #[error("the body of frame {frame} cannot be used: {what}")]
    Body { frame: u64, what: String },
    #[error("the file that names the data directory is missing, though there are segments")]
    IdentityMissing,
    #[error("{}", missing(*first, *last, places.as_deref()))]
    SegmentMissing { first: u64, last: u64, places: Option<String> },
    #[error("the file is {found} bytes long, it was made with {expected}")]
    FileLength { expected: u64, found: u64 },
    #[error("it is no regular file but {found}")]
    NoRegularFile { found: &'static str },
    #[error("the label at the beginning of the file is damaged")]
    Label,
    #[error(
        "format {found} of the file is newer than {supported}, the newest this program knows: it needs the program that wrote it, or a later one"
    )]
    NewerFormat { found: u32, supported: u32 },
    #[error("the file is segment {found} under the name of segment {expected}")]
    SegmentNumber { expected: u64, found: u64 },
    #[error("the file belongs to another data directory")]
    ForeignDirectory,
    #[error("more than one prepared segment lies behind the last used one")]
    PreparedTwice,
    #[error(
        "the journal ends with frame {frame}, but a snapshot stands behind frame {snapshot}: frames that were durable are gone"
    )]
    EndsBeforeSnapshot { frame: u64, snapshot: u64 },
    #[error("a restore into this directory was interrupted; run it again")]
    RestoreInterrupted,
    #[error("the file ends within frame {frame}, or before it")]
    Cut { frame: u64 },
    #[error("the file holds more than the frames up to {last} that its name promises")]
    BehindPiece { last: u64 },
    #[error("{}", piece_missing(*first, *last))]
    PieceMissing { first: u64, last: u64 },
    #[error("this segment is in use although the one before it is not")]
    UsedBehindPrepared,
    #[error("the archived segment is damaged: {what}")]
    Archive { what: &'static str },
    #[error("the archived segment differs from the segment of the same number in the data directory; both are kept")]
    ArchivedOtherwise,
    /// Of a snapshot, in the words of [`crate::snapshot::Unfit`].
    #[error("the snapshot cannot be used: {what}")]
    Snapshot { what: String },
}

impl Damage {
    /// Whether what was decided is safe: a snapshot only spares a start some time.
    pub fn spares_the_journal(&self) -> bool {
        matches!(self, Self::Snapshot { .. })
    }

    /// The frame in which it lies, where it lies in one.
    fn frame(&self) -> Option<u64> {
        match self {
            Self::SectorDamaged { frame, .. }
            | Self::SectorLost { frame }
            | Self::FrameMisplaced { expected: frame, .. }
            | Self::WrittenBehind { frame }
            | Self::Header { frame, .. }
            | Self::Number { frame, .. }
            | Self::Hub { frame, .. }
            | Self::Previous { frame, .. }
            | Self::Hash { frame }
            | Self::Order { frame, .. }
            | Self::BeyondSegment { frame }
            | Self::Padding { frame }
            | Self::Body { frame, .. }
            | Self::EndsBeforeSnapshot { frame, .. }
            | Self::Cut { frame } => Some(*frame),
            _ => None,
        }
    }
}

/// A piece that begins too early has no frames missing before it: two pieces hold the same.
fn piece_missing(first: u64, last: u64) -> String {
    match first.cmp(&last) {
        Ordering::Less => format!("the frames {first} to {last} are missing before it"),
        Ordering::Equal => format!("frame {first} is missing before it"),
        Ordering::Greater => format!("it begins with frame {}, which the piece before it holds as well", last + 1),
    }
}

/// Where segments were looked for is only told if it was in more than one place.
fn missing(first: u64, last: u64, places: Option<&str>) -> String {
    let (are, they) = if first == last { ("is", "it lies") } else { ("are", "they lie") };
    let places = places.map(|places| format!(": {they} neither in {places}")).unwrap_or_default();
    format!("{} {are} missing{places}", segments(first, last))
}

const RESTORE_COMMAND: &str = "medsettle restore --backup YOUR_BACKUP --to NEW_DIR";

impl Finding {
    /// The place in the file; in an archived segment, that in what it decompresses to.
    pub fn place(&self) -> String {
        let is_file = !matches!(self.damage, Damage::NoRegularFile { .. });
        let is_archived = is_file && self.path.extension().is_some_and(|end| end == "archive");
        format!("offset {}{}", self.offset, if is_archived { " of its uncompressed content" } else { "" })
    }

    /// What to do about it, in the data directory in which it was found; archived segments may lie elsewhere.
    pub fn advice(&self, directory: &Path) -> String {
        let directory = directory.display();
        match &self.damage {
            Damage::Snapshot { .. } => format!(
                "a start passes over it, and nothing is lost but time; rm {}, and the hub cuts another",
                self.path.display()
            ),
            Damage::ArchivedOtherwise => format!(
                "one of the two is an older copy, or another hub's: compare them, and move away the one that medsettle verify {directory} does not pass with"
            ),
            Damage::RestoreInterrupted => "run the same medsettle restore again".to_owned(),
            Damage::NewerFormat { .. } => "use the program that wrote it, or a later one".to_owned(),
            Damage::NoRegularFile { .. } => {
                format!("move it away and put the file back in its place; what a backup holds: {RESTORE_COMMAND}")
            }
            damage => format!(
                "what can still be read: {}; what a backup holds: {RESTORE_COMMAND}",
                inspect_command(damage, &directory)
            ),
        }
    }

    /// What to do about it where it was found in a backup.
    pub fn advice_in_backup(&self) -> String {
        match &self.damage {
            Damage::Snapshot { .. } => {
                "a restore passes over it, and nothing is lost but time; the next medsettle backup takes it anew"
            }
            Damage::NewerFormat { .. } => "use the program that wrote it, or a later one",
            _ => "no restore takes it; make another while the hub runs: medsettle backup --from HOST:PORT --to NEW_DIR",
        }
        .to_owned()
    }
}

/// The command that shows the frames around the damage, or all where it is of no frame.
fn inspect_command(damage: &Damage, directory: &dyn fmt::Display) -> String {
    match damage.frame() {
        Some(frame) => {
            let (first, last) = (frame.saturating_sub(1).max(1), frame.saturating_add(1));
            format!("medsettle inspect {directory} --from {first} --to {last}")
        }
        None => format!("medsettle inspect {directory} --json"),
    }
}

/// Damage that was met below the reading of bytes, carried by an [`io::Error`].
#[derive(Debug, Clone, thiserror::Error)]
#[error("{damage}")]
pub(crate) struct Unreadable {
    pub(crate) offset: u64,
    pub(crate) damage: Damage,
}

impl From<Unreadable> for io::Error {
    fn from(unreadable: Unreadable) -> Self {
        Self::new(io::ErrorKind::InvalidData, unreadable)
    }
}

/// Why a journal cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it and its fields are")]
pub enum JournalError {
    /// Something no crash leaves behind. Nothing was changed.
    #[error(
        "the journal is damaged and stays closed. {finding}. All that is wrong: medsettle verify {directory}; frame by frame: {}", inspect_command(&finding.damage, directory)
    )]
    Corrupt { finding: Box<Finding>, directory: String },
    #[error(
        "the journal in {directory} belongs to hub {found}, not to hub {expected}; see: medsettle inspect {directory}"
    )]
    ForeignHub { directory: String, expected: HubId, found: HubId },
    #[error("{directory} holds no journal")]
    NoJournal { directory: String },
    #[error("{directory} is in use by {}; one hub per data directory", match holder_pid { Some(pid) => format!("process {pid}"), None => "another process".to_owned() })]
    Locked { directory: String, holder_pid: Option<u32> },
    #[error("a segment of {len} bytes is not possible: it takes whole blocks of 4096 bytes and at least {least}")]
    SegmentLen { len: u64, least: u64 },
    #[error("{action} {path} failed: {cause}")]
    Io {
        action: &'static str,
        path: String,
        #[source]
        cause: io::Error,
    },
}

impl JournalError {
    /// An error of the operating system while doing `action` to `path`.
    pub(crate) fn io(action: &'static str, path: PathBuf) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action, path: path.display().to_string(), cause }
    }

    /// The same for a file that counts in the data directory called `directory`: damage in it is told as such.
    pub(crate) fn opening(path: PathBuf, directory: String) -> impl FnOnce(io::Error) -> Self {
        move |cause| match cause.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Unreadable { offset, damage }) => {
                let finding = Finding { path, offset: *offset, damage: damage.clone() };
                Self::Corrupt { finding: Box::new(finding), directory }
            }
            None => Self::io("opening", path)(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_says_what_is_missing_before_it_or_what_is_held_twice() {
        let told = |first, last| Damage::PieceMissing { first, last }.to_string();
        assert_eq!(told(3, 7), "the frames 3 to 7 are missing before it");
        assert_eq!(told(3, 3), "frame 3 is missing before it");
        assert_eq!(told(8, 4), "it begins with frame 5, which the piece before it holds as well");
    }
}
