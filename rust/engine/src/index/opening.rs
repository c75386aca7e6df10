//! The index while the journal is opened: it takes from the replay what it does not have.
//!
//! | what is found | what happens |
//! | --- | --- |
//! | nothing | made from the replay |
//! | this directory's, up to a frame that the journal has | takes what is behind that frame |
//! | another directory's, another format, unreadable, condemned | thrown away, made from the replay |
//! | up to a frame that the journal does not have, or ahead of it | thrown away, made in a second walk |
//! | as far as the snapshot that a start begins with, but by the hash of another frame | the same |
//! | no room, and few rows wait for it | opens; new work is refused `DISK_FULL` until there is |
//! | no room for more rows than memory is given to | the hub does not open |

use super::{Index, IndexHome, rebuild};
use crate::ahead::Folded;
use crate::engine::{OpenError, log};
use crate::error::JournalError;
use crate::halt::Halt;
use crate::journal::{DirectoryId, FrameHash, Tail};
use crate::recovery::Unusable;
use crate::storage::Storage;
use crate::verify::{self, Begin, Objection, Seen};
use medsettle_core::hub::Hub;
use medsettle_wire::record::{SCHEMA, StoredRecord};

/// An index of a directory that is locked, before the journal is open.
pub(crate) struct Opening<'a> {
    storage: &'a dyn Storage,
    home: &'a IndexHome,
    halt: Halt,
    index: Index,
    /// What it has is not what the journal has.
    stale: bool,
    full: bool,
}

impl<'a> Opening<'a> {
    pub(crate) fn begin(
        storage: &'a dyn Storage,
        home: &'a IndexHome,
        directory: DirectoryId,
        halt: Halt,
    ) -> Result<Self, OpenError> {
        let index = Index::open(home, directory, halt.clone(), &mut log)?;
        Ok(Self { storage, home, halt, index, stale: false, full: false })
    }

    /// Sequence up to which records are there.
    pub(crate) fn found(&self) -> u64 {
        self.index.found().0
    }

    /// Compare what is there with the journal, where it is as far as a snapshot: the replay begins behind that and shows no frame of it.
    pub(crate) fn compare_at(&mut self, snapshot: &Tail) -> Result<(), OpenError> {
        let (found, hash) = self.index.found();
        if found != snapshot.last_sequence || found == 0 || hash == snapshot.hash {
            return Ok(());
        }
        // Frames that decide nothing may lie between its newest decision and the snapshot.
        self.stale |= hash_of(self.storage, found)? != Some(hash);
        Ok(())
    }

    /// Fold a frame with its records into the hub, and take from it what is not there.
    pub(crate) fn take_frame(
        &mut self,
        frame: &Folded,
        stored: &mut Vec<StoredRecord>,
        hub: &mut Hub,
    ) -> Result<(), Unusable> {
        let (found, hash) = self.index.found();
        let header = &frame.header;
        let holds_found = header.first_sequence <= found && found <= header.last_sequence;
        self.stale |= holds_found && (found != header.last_sequence || hash != frame.hash);
        // What waits for room would otherwise pile up in memory.
        self.full |= self.index.is_overfull();
        let observes = !self.stale && !self.full;
        rebuild::take_frame(observes.then_some(&self.index), (header, frame.hash), stored, hub)
    }

    /// The index, as far as the journal.
    pub(crate) fn finish(self, directory: DirectoryId, tail: &Tail) -> Result<Index, OpenError> {
        let Self { storage, home, halt, mut index, stale, full } = self;
        if full {
            return Err(index.no_room().into());
        }
        // Ahead is no proof of loss: an opening that died fills it with a last frame before it has made sure of that.
        let (found, sequence) = (index.found().0, tail.last_sequence);
        if stale || found > sequence {
            log(&format!(
                "the records index in {} is made again from the journal: it is of another history (it knows decision {found}, the \
                 journal ends with {sequence})",
                home.place()
            ));
            index.close();
            drop(index);
            home.clear()?;
            index = Index::open(home, directory, halt, &mut log)?;
            rebuild::fill(&mut index, storage, &mut |_, _| {})?;
        }
        // From the first decision on, a request id that left the window is found here.
        index.catch_up()?;
        Ok(index)
    }
}

/// The hash of the frame that ends with a sequence, in this journal.
fn hash_of(storage: &dyn Storage, sequence: u64) -> Result<Option<FrameHash>, JournalError> {
    let mut found = None;
    verify::inspect_from(storage, SCHEMA, Begin::Sequence(sequence), &mut |seen| match seen {
        Seen::Frame(frame) if frame.header.last_sequence >= sequence => {
            found = (frame.header.last_sequence == sequence).then_some(frame.hash);
            Err(Objection::Enough)
        }
        _ => Ok(()),
    })?;
    Ok(found)
}
