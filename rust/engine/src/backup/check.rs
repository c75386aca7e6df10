//! Reads a backup where it lies: every frame of every piece, and the snapshot.
//!
//! Invariant: nothing is changed and no lock is taken; a snapshot that a running backup replaces meanwhile is no finding.
//! Invariant: a backup without a finding restores. That the frames, folded anew, give the digest of the snapshot is left to the restore,
//! which goes on without one where they do not.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use medsettle_wire::record::decode_body;

use super::piece::{PieceName, PieceReader};
use super::{BackupError, damaged, io, names_in, snapshot, temporary_files};
use crate::error::{Damage, Finding};
use crate::journal::frame::HEADER_LEN;
use crate::journal::segment::IDENTITY_NAME;
use crate::journal::{HubId, Tail};
use crate::snapshot::{Unfit, name_of};
use crate::storage::Access;
use crate::verify::Sound;

/// How much there is in a backup, and all that is wrong with it: at most one finding of each piece.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct CheckedBackup {
    pub pieces: u64,
    pub frames: u64,
    pub records: u64,
    /// The last frame that could be read.
    pub tail: Tail,
    pub snapshots: Vec<Sound>,
    /// What an interrupted backup left; the next one removes it.
    pub unfinished: Vec<PathBuf>,
    pub findings: Vec<Finding>,
}

/// Whether a directory holds pieces of a backup, and no journal.
pub fn is_backup(directory: &Path) -> bool {
    let is_piece = |name: &String| PieceName::parse(name).is_some();
    names_in(directory)
        .is_ok_and(|names| names.iter().any(is_piece) && !names.iter().any(|name| *name == IDENTITY_NAME))
}

/// Check the backup in a directory; `progress` gets bytes done and in total.
pub fn check(directory: &Path, schema: u32, progress: &mut dyn FnMut(u64, u64)) -> Result<CheckedBackup, BackupError> {
    // First: a snapshot gets its name behind the frames that it needs.
    let len_of_snapshot = |number: u64| len_of(&directory.join(name_of(number))).unwrap_or(0);
    let snapshots: Vec<_> =
        snapshot::numbers(directory)?.into_iter().map(|number| (number, len_of_snapshot(number))).collect();
    let mut pieces: Vec<PieceName> = names_in(directory)?.iter().filter_map(|name| PieceName::parse(name)).collect();
    pieces.sort_unstable();
    if pieces.is_empty() {
        return Err(BackupError::NoBackup { directory: directory.display().to_string() });
    }
    let piece_lens = pieces.iter().map(|name| len_of(&directory.join(name.to_string())));
    let total_bytes = piece_lens.sum::<Result<u64, _>>()? + snapshots.iter().map(|(_, len)| len).sum::<u64>();
    let report = CheckedBackup {
        pieces: pieces.len() as u64,
        frames: 0,
        records: 0,
        tail: Tail::EMPTY,
        snapshots: Vec::new(),
        unfinished: temporary_files(directory)?,
        findings: Vec::new(),
    };
    let frames = snapshots.iter().map(|(number, _)| (*number, None)).collect();
    let told = Told { progress, done_bytes: 0, total_bytes };
    let mut walk = Walk { directory, schema, hub: None, next: 1, frames, told, report };
    for piece in pieces {
        walk.piece(piece)?;
    }
    for (number, bytes) in snapshots {
        walk.snapshot(number, bytes)?;
    }
    Ok(walk.report)
}

fn len_of(path: &Path) -> Result<u64, BackupError> {
    fs::metadata(path).map(|found| found.len()).map_err(io("asking the length of", path))
}

struct Told<'a> {
    progress: &'a mut dyn FnMut(u64, u64),
    done_bytes: u64,
    total_bytes: u64,
}

impl Told<'_> {
    fn done(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        (self.progress)(self.done_bytes, self.total_bytes);
    }
}

struct Walk<'a> {
    directory: &'a Path,
    schema: u32,
    hub: Option<HubId>,
    /// The frame with which the next piece must begin.
    next: u64,
    /// The frames behind which the backup has snapshots, once they were read.
    frames: BTreeMap<u64, Option<Tail>>,
    told: Told<'a>,
    report: CheckedBackup,
}

impl Walk<'_> {
    fn piece(&mut self, name: PieceName) -> Result<(), BackupError> {
        let path = self.directory.join(name.to_string());
        let end = self.told.done_bytes + len_of(&path)?;
        if name.first != self.next {
            let damage = Damage::PieceMissing { first: self.next, last: name.first.saturating_sub(1) };
            self.report.findings.push(Finding { path: path.clone(), offset: 0, damage });
        }
        self.next = name.last + 1;
        match self.read(name, &path) {
            Err(BackupError::Damaged(finding)) => self.report.findings.push(finding),
            read => read?,
        }
        self.told.done(end.saturating_sub(self.told.done_bytes));
        Ok(())
    }

    fn read(&mut self, name: PieceName, path: &Path) -> Result<(), BackupError> {
        let mut reader = PieceReader::open(self.directory, name)?;
        // Behind damage the chain is taken up again where this piece takes it up.
        if self.report.tail.next_number() != name.first {
            self.report.tail = Tail::before(&reader.first_header(self.schema)?);
        }
        loop {
            let offset = reader.offset();
            let Some(frame) = reader.next(&self.report.tail, self.hub, self.schema)? else { return Ok(()) };
            let header = &frame.header;
            let records = decode_body(frame.body, header.stamp_ms).map_err(|error| {
                damaged(path, offset, Damage::Body { frame: header.number, what: error.to_string() })
            })?;
            self.report.records += records.len() as u64;
            self.report.frames += 1;
            self.hub = Some(header.hub);
            self.report.tail = Tail::after(header, frame.hash);
            if let Some(wanted) = self.frames.get_mut(&header.number) {
                *wanted = Some(self.report.tail);
            }
            self.told.done((HEADER_LEN + frame.body.len()) as u64);
        }
    }

    /// Behind a frame that could not be read a snapshot may stand soundly: the damage before it is a finding, it is none.
    fn snapshot(&mut self, number: u64, bytes: u64) -> Result<(), BackupError> {
        let name = name_of(number);
        let path = self.directory.join(&name);
        let frame = self.frames.get(&number).copied().flatten();
        let frames_are_whole = self.report.findings.iter().all(|finding| finding.damage.spares_the_journal());
        let examined = match (&frame, self.hub) {
            (None, _) if frames_are_whole => Ok(Err(Unfit::Ahead { frame: number, last: self.report.tail.number })),
            (Some(frame), Some(hub)) => snapshot::examine(self.directory, &name, Access::ReadMedium, hub, frame),
            (None, Some(hub)) => snapshot::read_whole(self.directory, &name, Access::ReadMedium, hub, number),
            (_, None) => return Ok(()),
        };
        match examined {
            Err(BackupError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            examined => match examined? {
                Ok(head) if frame.is_some() => self.report.snapshots.push(Sound { path, head, bytes }),
                Ok(_) => {}
                Err(unfit) => {
                    let damage = Damage::Snapshot { what: unfit.to_string() };
                    self.report.findings.push(Finding { path, offset: unfit.offset(), damage });
                }
            },
        }
        self.told.done(bytes);
        Ok(())
    }
}
