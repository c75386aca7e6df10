//! Makes an index from the whole journal.
//!
//! Invariant: the journal is only read, and not beyond its first fault: what stands behind a gap cannot be folded.
//! Invariant: `rebuild` throws an index away only when the new one is whole.
//! Leaves out: who may do it. `Engine::open_on` and a restore hold the directory's lock, `rebuild` takes it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use medsettle_core::hub::Hub;
use medsettle_core::ids::HubNumber;
use medsettle_core::records::Closing;
use medsettle_wire::record::{SCHEMA, StoredRecord, decode_body};

use super::{Index, IndexError, IndexHome};
use crate::ahead::{Folded, decoded_ahead};
use crate::engine::OpenError;
use crate::error::JournalError;
use crate::halt::Halt;
use crate::journal::{DirectoryId, FrameHash, FrameHeader, FrameRef, Tail};
use crate::pipeline::panic_message;
use crate::recovery::{self, Unusable};
use crate::storage::Storage;
use crate::verify::{self, Objection, Seen};

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Rebuilt {
    pub frames: u64,
    pub records: u64,
}

/// Make the index of a data directory again beside the one that is there, which it replaces. Refuses while a hub is using the directory;
/// `progress` gets bytes read and in total.
pub fn rebuild(
    storage: &dyn Storage,
    home: &IndexHome,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Rebuilt, OpenError> {
    let _lock = recovery::lock(storage)?;
    let Some(identity) = recovery::identity_of(storage)? else {
        return Err(JournalError::NoJournal { directory: recovery::directory_of(storage) }.into());
    };
    let beside = home.beside();
    beside.clear()?;
    let made = make(storage, &beside, identity.directory, progress);
    let replaced = made.and_then(|tail| home.replace_by(&beside).map(|()| tail).map_err(OpenError::from));
    let tail = match replaced {
        Ok(tail) => tail,
        Err(error) => {
            // What made it fail counts; what stays is thrown away by the next one.
            let _ = beside.clear();
            return Err(error);
        }
    };
    Ok(Rebuilt { frames: tail.number, records: tail.last_sequence })
}

fn make(
    storage: &dyn Storage,
    home: &IndexHome,
    directory: DirectoryId,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Tail, OpenError> {
    let halt = Halt::default();
    let mut index = Index::open(home, directory, halt.clone(), &mut |_| {})?;
    let tail = fill(&mut index, storage, progress)?;
    close_at(&mut index, home, &halt, tail.last_sequence)?;
    Ok(tail)
}

/// Close an index that was given everything up to a sequence, and see that it has it.
fn close_at(index: &mut Index, home: &IndexHome, halt: &Halt, sequence: u64) -> Result<(), IndexError> {
    index.close();
    match halt.reason() {
        Some(reason) => Err(IndexError::Failed { place: home.place(), cause: reason.to_string() }),
        None if index.status.applied_sequence() < sequence => Err(index.no_room()),
        None => Ok(()),
    }
}

/// An index that is made from the frames that somebody else reads, in a directory that nobody has opened yet.
pub(crate) struct Making {
    home: IndexHome,
    index: Index,
    halt: Halt,
    hub: Hub,
    full: bool,
}

impl Making {
    /// Begin with what will be the first frame.
    pub(crate) fn begin(home: IndexHome, directory: DirectoryId, hub: HubNumber) -> Result<Self, OpenError> {
        home.clear()?;
        let halt = Halt::default();
        let index = Index::open(&home, directory, halt.clone(), &mut |_| {})?;
        Ok(Self { home, index, halt, hub: Hub::new(hub, 0), full: false })
    }

    /// Fold the next frame.
    pub(crate) fn take_frame(&mut self, frame: &FrameRef<'_>) -> Result<(), Unusable> {
        self.full |= self.index.is_overfull();
        let mut stored = decode(frame.header, frame.body)?;
        take_frame((!self.full).then_some(&self.index), (frame.header, frame.hash), &mut stored, &mut self.hub)
    }

    /// Bring all of it to the disk; gives the state behind the last frame.
    pub(crate) fn finish(mut self) -> Result<Hub, IndexError> {
        close_at(&mut self.index, &self.home, &self.halt, self.hub.sequence())?;
        Ok(self.hub)
    }
}

/// Give the whole journal to an index that may hold the beginning already. Returns where the journal ends.
pub(super) fn fill(
    index: &mut Index,
    storage: &dyn Storage,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Tail, OpenError> {
    let (mut hub, mut full) = (None, false);
    let (filled, was_full) = (&mut *index, &mut full);
    let fold = move |frame: &Folded, stored: &mut Vec<StoredRecord>| {
        let hub = hub.get_or_insert_with(|| Hub::new(number_of(&frame.header), 0));
        *was_full |= filled.is_overfull();
        // What waits for room would pile up in memory.
        if *was_full { Ok(()) } else { take_frame(Some(filled), (&frame.header, frame.hash), stored, hub) }
    };
    let mut is_broken = false;
    let (report, unusable) = decoded_ahead(decode, fold, |ahead| {
        verify::inspect(storage, SCHEMA, &mut |seen| match seen {
            Seen::Frame(_) if is_broken => Err(Objection::Enough),
            Seen::Frame(frame) => ahead.give(&frame).map_err(|_| Objection::Enough),
            Seen::Progress { done_bytes, total_bytes } => {
                progress(done_bytes, total_bytes);
                Ok(())
            }
            Seen::Finding(_) => {
                is_broken = true;
                Ok(())
            }
            Seen::Torn(_) => Ok(()),
        })
    });
    let report = report?;
    match unusable.or_else(|| report.findings.into_iter().next()) {
        _ if full => Err(index.no_room().into()),
        Some(finding) => {
            let directory = recovery::directory_of(storage);
            Err(JournalError::Corrupt { finding: Box::new(finding), directory }.into())
        }
        None => Ok(report.tail),
    }
}

fn number_of(header: &FrameHeader) -> HubNumber {
    let number = u32::try_from(header.hub.0).ok().and_then(HubNumber::new);
    number.expect("a hub that has written a frame has a number")
}

/// The records of a frame, for [`decoded_ahead`].
pub(crate) fn decode(header: &FrameHeader, body: &[u8]) -> Result<Vec<StoredRecord>, Unusable> {
    decode_body(body, header.stamp_ms).map_err(|error| Unusable(error.to_string()))
}

/// Fold a frame of the journal into a hub, and give an index those of its records that it does not have.
pub(super) fn take_frame(
    index: Option<&Index>,
    (header, hash): (&FrameHeader, FrameHash),
    stored: &mut Vec<StoredRecord>,
    hub: &mut Hub,
) -> Result<(), Unusable> {
    let index = index.filter(|index| !index.has(header.last_sequence));
    let folded = catch_unwind(AssertUnwindSafe(|| match index {
        Some(index) => {
            for StoredRecord { record, response } in stored.drain(..) {
                let closing = Closing::of(&record, hub);
                hub.apply(&record);
                index.take(Box::new(record), closing, &response);
            }
        }
        None => hub.apply_all(stored.iter().map(|stored| &stored.record)),
    }));
    folded.map_err(|panic| Unusable(panic_message(&*panic)))?;
    if let Some(index) = index {
        index.close_frame(header, hash);
        index.note_durable(header.number);
    }
    Ok(())
}
