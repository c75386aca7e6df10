//! Makes an index from the whole journal.
//!
//! Invariant: the journal is only read; what was in the index is thrown away first.
//! Leaves out: who may do it. `Engine::open_on` holds the directory's lock, `rebuild` takes it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use medsettle_core::hub::Hub;
use medsettle_core::ids::HubNumber;
use medsettle_core::records::Closing;
use medsettle_wire::record::{SCHEMA, StoredRecord, decode_body};

use super::{Index, IndexError, IndexHome};
use crate::engine::OpenError;
use crate::error::JournalError;
use crate::halt::Halt;
use crate::journal::{FrameRef, Tail};
use crate::pipeline::panic_message;
use crate::recovery::{self, Unusable};
use crate::storage::Storage;
use crate::verify::{self, Seen};

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Rebuilt {
    pub frames: u64,
    pub records: u64,
}

/// Throw the index of a data directory away and make it again. Refuses while a hub is using the directory; `progress` gets bytes read
/// and in total.
pub fn rebuild(
    storage: &dyn Storage,
    home: &IndexHome,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Rebuilt, OpenError> {
    let _lock = recovery::lock(storage)?;
    let Some(identity) = recovery::identity_of(storage)? else {
        return Err(JournalError::NoJournal { directory: recovery::directory_of(storage) }.into());
    };
    home.clear()?;
    let halt = Halt::default();
    let mut index = Index::open(home, identity.directory, halt.clone(), &mut |_| {})?;
    let tail = fill(&index, storage, progress)?;
    index.close();
    let cause = match halt.reason() {
        Some(reason) => reason.to_string(),
        None if index.status.applied_sequence() < tail.last_sequence => {
            return Err(index.no_room().into());
        }
        None => return Ok(Rebuilt { frames: tail.number, records: tail.last_sequence }),
    };
    Err(IndexError::Failed { place: home.place(), cause }.into())
}

/// Give the whole journal to an index that may hold the beginning already. Returns where the journal ends.
pub(super) fn fill(
    index: &Index,
    storage: &dyn Storage,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Tail, OpenError> {
    let (mut hub, mut full) = (None, false);
    let report = verify::inspect(storage, SCHEMA, &mut |seen| match seen {
        Seen::Frame(frame) => {
            let hub = hub.get_or_insert_with(|| Hub::new(number_of(&frame), 0));
            full |= index.is_overfull();
            // What waits for room would pile up in memory.
            if full { Ok(()) } else { Ok(take_frame(Some(index), &frame, hub)?) }
        }
        Seen::Progress { done_bytes, total_bytes } => {
            progress(done_bytes, total_bytes);
            Ok(())
        }
        Seen::Finding(_) | Seen::Torn(_) => Ok(()),
    })?;
    match report.findings.into_iter().next() {
        _ if full => Err(index.no_room().into()),
        Some(finding) => {
            let directory = recovery::directory_of(storage);
            Err(JournalError::Corrupt { finding: Box::new(finding), directory }.into())
        }
        None => Ok(report.tail),
    }
}

fn number_of(frame: &FrameRef<'_>) -> HubNumber {
    let number = u32::try_from(frame.header.hub.0).ok().and_then(HubNumber::new);
    number.expect("a hub that has written a frame has a number")
}

/// Fold a frame of the journal into a hub, and give an index those of its records that it does not have.
pub(super) fn take_frame(index: Option<&Index>, frame: &FrameRef<'_>, hub: &mut Hub) -> Result<(), Unusable> {
    let header = frame.header;
    let stored = decode_body(frame.body, header.stamp_ms).map_err(|error| Unusable(error.to_string()))?;
    let index = index.filter(|index| !index.has(header.last_sequence));
    for StoredRecord { record, response } in stored {
        let folded = catch_unwind(AssertUnwindSafe(|| {
            let closing = index.map(|index| (index, Closing::of(&record, hub)));
            hub.apply(&record);
            if let Some((index, closing)) = closing {
                index.take(Box::new(record), closing, &response);
            }
        }));
        folded.map_err(|panic| Unusable(panic_message(&*panic)))?;
    }
    if let Some(index) = index {
        index.close_frame(header, frame.hash);
        index.note_durable(header.number);
    }
    Ok(())
}
