//! The index while the journal is opened: it takes from the replay what it does not have.
//!
//! | what is found | what happens |
//! | --- | --- |
//! | nothing | made from the replay |
//! | this directory's, up to a frame that the journal has | takes what is behind that frame |
//! | another directory's, another format, unreadable, condemned | thrown away, made from the replay |
//! | up to a frame that the journal does not have, or ahead of it | thrown away, made in a second walk |
//! | no room, and few rows wait for it | opens; new work is refused `DISK_FULL` until there is |
//! | no room for more rows than memory is given to | the hub does not open |

use super::{Index, IndexHome, rebuild};
use crate::engine::{OpenError, log};
use crate::halt::Halt;
use crate::journal::{DirectoryId, FrameRef, Tail};
use crate::recovery::{self, Unusable};
use crate::storage::Storage;
use medsettle_core::hub::Hub;

/// An index that is being opened. The directory is locked, but whose it is shows only with the first frame.
pub(crate) struct Opening<'a> {
    storage: &'a dyn Storage,
    home: &'a IndexHome,
    halt: Halt,
    index: Option<Index>,
    /// What it has is not what the journal has.
    stale: bool,
    full: bool,
    failed: Option<OpenError>,
}

impl<'a> Opening<'a> {
    pub(crate) fn new(storage: &'a dyn Storage, home: &'a IndexHome, halt: Halt) -> Self {
        Self { storage, home, halt, index: None, stale: false, full: false, failed: None }
    }

    /// Sequence up to which records are there.
    pub(crate) fn found(&mut self) -> Result<u64, OpenError> {
        if self.index.is_none() {
            self.index = Some(self.open()?);
        }
        Ok(self.index.as_ref().expect("opened just now").found().0)
    }

    /// Fold a frame into the hub, and take from it what is not there.
    pub(crate) fn take_frame(&mut self, frame: &FrameRef<'_>, hub: &mut Hub) -> Result<(), Unusable> {
        if self.index.is_none() {
            match self.open() {
                Ok(index) => self.index = Some(index),
                Err(error) => {
                    let unusable = Unusable(error.to_string());
                    self.failed = Some(error);
                    return Err(unusable);
                }
            }
        }
        let index = self.index.as_ref().expect("opened just now");
        let (found, hash) = index.found();
        let header = frame.header;
        let holds_found = header.first_sequence <= found && found <= header.last_sequence;
        self.stale |= holds_found && (found != header.last_sequence || hash != frame.hash);
        // What waits for room would otherwise pile up in memory.
        self.full |= index.is_overfull();
        let observes = !self.stale && !self.full;
        rebuild::take_frame(observes.then_some(index), frame, hub)
    }

    fn open(&self) -> Result<Index, OpenError> {
        let identity = recovery::identity_of(self.storage)?;
        let identity = identity.expect("a journal with a frame says whose it is");
        Index::open(self.home, identity.directory, self.halt.clone(), &mut log)
    }

    /// Why opening the journal failed, where that was the index.
    pub(crate) fn failure(&mut self) -> Option<OpenError> {
        self.failed.take()
    }

    /// The index, as far as the journal.
    pub(crate) fn finish(mut self, directory: DirectoryId, tail: &Tail) -> Result<Index, OpenError> {
        let mut index = match self.index.take() {
            Some(index) => index,
            None => Index::open(self.home, directory, self.halt.clone(), &mut log)?,
        };
        if self.full {
            return Err(index.no_room().into());
        }
        if self.stale || index.found().0 > tail.last_sequence {
            log(&format!(
                "the records index in {} is made again from the journal: it is of another history",
                self.home.place()
            ));
            index.close();
            drop(index);
            self.home.clear()?;
            index = Index::open(self.home, directory, self.halt.clone(), &mut log)?;
            rebuild::fill(&index, self.storage, &mut |_, _| {})?;
        }
        // From the first decision on, a request id that left the window is found here.
        index.catch_up()?;
        Ok(index)
    }
}
