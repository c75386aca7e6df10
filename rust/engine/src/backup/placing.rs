//! Puts the snapshot of a backup into the directory that a restore makes.
//!
//! Invariant: it is put in place only if the frames up to it, folded anew, give its digest; the records index, without which no start can
//! begin with it, is made on the way.
//! Invariant: one that cannot be used is passed over and told of; the frames suffice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use medsettle_core::ids::HubNumber;

use super::{BackupError, damaged, io, snapshot};
use crate::engine::OpenError;
use crate::error::Damage;
use crate::index::{IndexHome, Making};
use crate::journal::{DirectoryId, FrameRef, HubId, Tail};
use crate::recovery::Unusable;
use crate::snapshot::{Head, Passed, Unfit, adopt, name_of};
use crate::storage::{Access, DataDirectory, Storage as _};

/// The snapshot that is put in place, and what it takes.
pub(super) struct Placing {
    from: PathBuf,
    chosen: Option<Head>,
    making: Option<Making>,
    /// Those that cannot be used, each with the reason.
    pub(super) passed: Vec<String>,
}

impl Placing {
    /// The newest snapshot that is sound and stands behind a frame of the backup.
    pub(super) fn choose(
        from: &Path,
        hub: HubId,
        frames: &BTreeMap<u64, Tail>,
        last: Tail,
    ) -> Result<Self, BackupError> {
        let mut placing = Self { from: from.to_owned(), chosen: None, making: None, passed: Vec::new() };
        for number in snapshot::numbers(from)? {
            let examined = match frames.get(&number) {
                Some(frame) => snapshot::examine(from, &name_of(number), Access::Read, hub, frame)?,
                None => Err(Unfit::Ahead { frame: number, last: last.number }),
            };
            match examined {
                Ok(head) => {
                    placing.chosen = Some(head);
                    break;
                }
                Err(unfit) => placing.pass(number, unfit),
            }
        }
        Ok(placing)
    }

    fn pass(&mut self, number: u64, unfit: Unfit) {
        self.passed.push(Passed { path: self.from.join(name_of(number)), unfit }.to_string());
    }

    /// Make room for the index of the directory that is being made.
    pub(super) fn begin(
        &mut self,
        storage: &DataDirectory,
        directory: DirectoryId,
        hub: HubId,
    ) -> Result<(), BackupError> {
        let number = u32::try_from(hub.0).ok().and_then(HubNumber::new);
        if let (Some(_), Some(number)) = (&self.chosen, number) {
            let home = IndexHome::within(storage.path());
            let made = Making::begin(home, directory, number);
            self.making = Some(made.map_err(|error| match error {
                OpenError::Index(error) => BackupError::Index(error),
                OpenError::Journal(error) => BackupError::Journal(error),
                error => io("making the records index in", storage.path())(std::io::Error::other(error)),
            })?);
        }
        Ok(())
    }

    /// The next frame, read back from the medium.
    pub(super) fn take_frame(&mut self, frame: &FrameRef<'_>) -> Result<(), BackupError> {
        match (&self.chosen, &mut self.making) {
            (Some(head), Some(making)) if frame.header.number <= head.tail.number => {
                let folded = making.take_frame(frame);
                folded.map_err(|Unusable(what)| {
                    damaged(frame.path, frame.offset, Damage::Body { frame: frame.header.number, what })
                })
            }
            _ => Ok(()),
        }
    }

    /// Copy the snapshot, if the frames gave its digest. Gives the frame behind which it stands, 0 if there is none.
    pub(super) fn finish(&mut self, storage: &DataDirectory, directory: DirectoryId) -> Result<u64, BackupError> {
        let (Some(head), Some(making)) = (self.chosen.take(), self.making.take()) else { return Ok(0) };
        let number = head.tail.number;
        let path = self.from.join(name_of(number));
        let (found, expected) = (head.digest, making.finish()?.digest());
        if found != expected {
            self.pass(number, Unfit::Replay { found, expected });
            return Ok(0);
        }
        let source = DataDirectory::existing(&self.from).and_then(|from| from.open(&name_of(number), Access::Read));
        let file = source.map_err(io("opening", &path))?;
        match adopt(storage, directory, &*file) {
            Ok(_) => Ok(number),
            Err(Unfit::Io(error)) => Err(io("copying", &path)(error)),
            Err(unfit) => {
                self.pass(number, unfit);
                Ok(0)
            }
        }
    }
}
