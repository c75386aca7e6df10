//! What a check of a data directory says of its snapshots.
//!
//! Invariant: every snapshot that is there is read whole, and nothing of it is kept: memory does not grow with the state.
//! Invariant: a snapshot that a running hub replaces meanwhile is no finding.
//!
//! | a snapshot | finding |
//! | --- | --- |
//! | head, length, content hash, padding, a row, or the digest of the rows is not as written | it cannot be used |
//! | of another directory or hub, under another frame's name, of another format | it cannot be used |
//! | its frame has another hash in this journal, or says other things of itself | it cannot be used |
//! | sound, but the journal ends before its frame | frames that were durable are gone |
//! | sound, its frame could not be read | none of its own: the journal has one there |
//! | sound, its frame is this journal's | none |

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use medsettle_core::hub::Hub;
use medsettle_core::ids::HubNumber;
use medsettle_core::rows::{RowReader, StateDigest};
use medsettle_wire::record::decode_body;

use super::VerifyReport;
use crate::error::{Damage, Finding, JournalError};
use crate::journal::{FrameRef, Tail};
use crate::recovery::Unusable;
use crate::snapshot::{self, Head, Unfit, name_of};
use crate::storage::{Access, Storage};

/// A snapshot that a start can begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the file, its head and its length")]
pub struct Sound {
    pub path: PathBuf,
    pub head: Head,
    pub bytes: u64,
}

/// The snapshots of a directory, and the frames behind which they should stand.
pub(super) struct Snapshots {
    /// Newest first, with their lengths.
    files: Vec<(u64, u64)>,
    frames: BTreeMap<u64, Tail>,
}

impl Snapshots {
    /// What is there. Whatever a snapshot stands behind is durable, so a walk that begins now will come to it.
    pub(super) fn in_directory(storage: &dyn Storage) -> Result<Self, JournalError> {
        let numbers = snapshot::numbers(storage).map_err(JournalError::io("listing", storage.path_of("")))?;
        let len = |number: u64| storage.open(&name_of(number), Access::Read).and_then(|file| file.len()).unwrap_or(0);
        let files = numbers.into_iter().map(|number| (number, len(number))).collect();
        Ok(Self { files, frames: BTreeMap::new() })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, len)| len).sum()
    }

    /// The walk stands on a frame.
    pub(super) fn note(&mut self, frame: &FrameRef<'_>) {
        if self.files.iter().any(|(number, _)| *number == frame.header.number) {
            self.frames.insert(frame.header.number, Tail::after(frame.header, frame.hash));
        }
    }

    /// Read them all, behind the walk that `report` tells of. `progress` gets the bytes of them that were read.
    pub(super) fn check(
        &self,
        storage: &dyn Storage,
        report: &mut VerifyReport,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), JournalError> {
        let (mut done, is_whole) = (0, report.findings.is_empty());
        for &(number, len) in &self.files {
            let path = storage.path_of(&name_of(number));
            match self.examine(storage, number, report, &mut |read| progress(done + read.min(len))) {
                Ok(head) if is_whole && head.tail.number > report.tail.number => {
                    let damage = Damage::EndsBeforeSnapshot { frame: report.tail.number, snapshot: number };
                    report.findings.push(Finding { path, offset: 0, damage });
                }
                Ok(head) if self.frames.contains_key(&number) => {
                    report.snapshots.push(Sound { path, head, bytes: len });
                }
                Ok(_) => {}
                Err(Unfit::Io(error)) if error.kind() == ErrorKind::NotFound => {}
                Err(Unfit::Io(error)) if is_the_systems(&error) => {
                    return Err(JournalError::io("reading", path)(error));
                }
                Err(unfit) => report.findings.push(finding(path, &unfit)),
            }
            done += len;
            progress(done);
        }
        let unfinished = storage.path_of(snapshot::TEMPORARY_NAME);
        report.unfinished_snapshot = storage.exists(snapshot::TEMPORARY_NAME).unwrap_or(false).then_some(unfinished);
        Ok(())
    }

    fn examine(
        &self,
        storage: &dyn Storage,
        number: u64,
        report: &VerifyReport,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Head, Unfit> {
        let file = storage.open(&name_of(number), Access::Read)?;
        let mut rows = report.identity.and_then(|identity| hub_number(identity.hub.0)).map(RowReader::new);
        let head = snapshot::read_file(file, progress, &mut |row| {
            rows.as_mut().map_or(Ok(()), |rows| rows.read(row).map(drop))
        })?;
        if let Some(identity) = report.identity {
            head.is_of(identity.directory, identity.hub, number)?;
        }
        let expected = head.tail.last_sequence;
        match rows.map(RowReader::finish).transpose()? {
            Some(found) if found != expected => return Err(Unfit::Sequence { found, expected }),
            _ => {}
        }
        self.frames.get(&number).map_or(Ok(()), |frame| head.stands_behind(frame))?;
        Ok(head)
    }
}

fn finding(path: PathBuf, unfit: &Unfit) -> Finding {
    Finding { path, offset: unfit.offset(), damage: Damage::Snapshot { what: unfit.to_string() } }
}

/// Bytes that cannot be decompressed are an error as well, but nothing that the system said.
fn is_the_systems(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}

fn hub_number(hub: u64) -> Option<HubNumber> {
    u32::try_from(hub).ok().and_then(HubNumber::new)
}

/// The state that the journal gives, compared with each snapshot: what a check can do beside the walk, at the cost of a start from the
/// first frame and the memory of a hub.
pub struct Replay {
    hub: Option<Hub>,
    last_frame: u64,
    wanted: Vec<u64>,
    digests: BTreeMap<u64, StateDigest>,
}

impl Replay {
    /// For the snapshots that are in a directory.
    pub fn towards(storage: &dyn Storage) -> Result<Self, JournalError> {
        let wanted = snapshot::numbers(storage).map_err(JournalError::io("listing", storage.path_of("")))?;
        Ok(Self { hub: None, last_frame: 0, wanted, digests: BTreeMap::new() })
    }

    /// Fold the next frame of the walk. Behind a gap there is no state to compare with any more.
    pub fn take_frame(&mut self, frame: &FrameRef<'_>) -> Result<(), Unusable> {
        let header = frame.header;
        let stored = decode_body(frame.body, header.stamp_ms).map_err(|error| Unusable(error.to_string()))?;
        if header.number != self.last_frame + 1 {
            return Ok(());
        }
        self.last_frame = header.number;
        let Some(number) = hub_number(header.hub.0) else { return Ok(()) };
        let hub = self.hub.get_or_insert_with(|| Hub::new(number, 0));
        for entry in &stored {
            hub.apply(&entry.record);
        }
        if self.wanted.contains(&header.number) {
            self.digests.insert(header.number, hub.digest());
        }
        Ok(())
    }

    /// Compare what the walk found sound; what differs becomes a finding.
    pub fn compare(&self, report: &mut VerifyReport) {
        let differs = |sound: &Sound| {
            let expected = *self.digests.get(&sound.head.tail.number)?;
            let found = sound.head.digest;
            (found != expected).then(|| finding(sound.path.clone(), &Unfit::Replay { found, expected }))
        };
        let findings: Vec<Finding> = report.snapshots.iter().filter_map(differs).collect();
        report.snapshots.retain(|sound| differs(sound).is_none());
        report.findings.extend(findings);
    }
}
