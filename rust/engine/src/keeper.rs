//! The keeper: snapshots and digests of a state that stands still, beside the thread that decides.
//!
//! Invariant: what it works on is a view of the state behind one durable frame; deciding goes on meanwhile.
//! Invariant: a snapshot is made final only when the records index is on disk as far, so a start from it misses nothing of the past.
//! Invariant: a snapshot that waits for that keeps no digest waiting, and nobody who asked for it once there is no room for the index.
//! Invariant: a segment leaves the data directory only when no start from either kept snapshot needs it.
//! Invariant: whatever fails here is told and tried again with the next snapshot; the journal does not depend on it.
//! Leaves out: when a view is taken (`pipeline`), the files themselves (`snapshot`, `archive`).

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crossbeam_channel::{Receiver, TryRecvError};
use medsettle_core::hub::Hub;
use medsettle_wire::Reason;
use medsettle_wire::encode::{encode_digest, encode_snapshot};
use medsettle_wire::record::SCHEMA;

use crate::archive::JournalFiles;
use crate::engine::{Shared, log};
use crate::error::JournalError;
use crate::index::IndexError;
use crate::journal::segment::{Label, name_of};
use crate::journal::{SegmentScan, Tail};
use crate::limits::MAX_ORDERS;
use crate::pipeline::panic_message;
use crate::recovery::segment_numbers;
use crate::reply::{Frame, Leaving, Outgoing, Part, Parts, Seen, Waiter, release};
use crate::snapshot::{self, Unfit};
use crate::storage::{Access, Storage as _};

/// A state that stands still, behind the frame that `tail` says.
pub(crate) struct Frozen {
    pub(crate) hub: Hub,
    pub(crate) tail: Tail,
    /// The newest frame that holds a decision, for the headers of answers.
    pub(crate) seen: Seen,
}

/// What is wanted of a state.
pub(crate) enum Order {
    /// A snapshot; asked for by somebody, or by the length of the journal.
    Snapshot(Option<Waiter>),
    /// Its digest.
    Digest(Waiter),
}

/// An order with the state that it is about.
pub(crate) struct Task {
    pub(crate) frozen: Arc<Frozen>,
    pub(crate) order: Order,
}

/// What the thread works with.
pub(crate) struct Keeper {
    pub(crate) files: JournalFiles,
    pub(crate) identity: Label,
    pub(crate) shared: Arc<Shared>,
}

impl Keeper {
    /// Work until nothing more is ordered.
    pub(crate) fn run(&self, tasks: &Receiver<Task>) {
        // Snapshots in their order, each until the index has come as far. There are at most as many as orders.
        let mut waiting: VecDeque<Task> = VecDeque::new();
        loop {
            let next = if let Some(first) = waiting.front() {
                self.shared.index.wait_for_applied(first.frozen.tail.last_sequence);
                tasks.try_recv()
            } else {
                tasks.recv().map_err(|_| TryRecvError::Disconnected)
            };
            match next {
                Ok(task) if matches!(task.order, Order::Snapshot(_)) => waiting.push_back(task),
                Ok(task) => self.finish(task),
                Err(TryRecvError::Disconnected) if waiting.is_empty() => return,
                Err(_) => {}
            }
            while let Some(task) = waiting.pop_front_if(|task| self.is_due(task)) {
                self.finish(task);
            }
        }
    }

    /// Whether the index is as far as the state of a snapshot, or waiting for it is over.
    fn is_due(&self, task: &Task) -> bool {
        let is_asked_for = matches!(task.order, Order::Snapshot(Some(_)));
        self.is_ending()
            || self.shared.index.applied_sequence() >= task.frozen.tail.last_sequence
            || (is_asked_for && self.shared.index.is_full())
    }

    fn is_ending(&self) -> bool {
        self.shared.is_stopping() || self.shared.halt.reason().is_some()
    }

    fn finish(&self, Task { frozen, order }: Task) {
        let worked = catch_unwind(AssertUnwindSafe(|| self.work(&frozen, order)));
        if let Err(panic) = worked {
            log(&format!("a snapshot or digest panicked: {}", panic_message(&*panic)));
        }
        self.shared.metrics.orders_finished.fetch_add(1, Release);
    }

    fn work(&self, frozen: &Frozen, order: Order) {
        match order {
            Order::Digest(waiter) => {
                let mut body = Vec::new();
                encode_digest(frozen.hub.digest().0, &mut body);
                answer(waiter, frozen, body);
            }
            Order::Snapshot(asked) => match (self.snapshot(frozen), asked) {
                (Ok(()), Some(waiter)) => {
                    let mut body = Vec::new();
                    encode_snapshot(frozen.tail.last_sequence, &mut body);
                    answer(waiter, frozen, body);
                }
                (Ok(()), None) => {}
                (Err(Uncut::Stopped), asked) => drop(asked),
                (Err(uncut), asked) => {
                    log(&format!("no snapshot behind frame {}: {uncut}", frozen.tail.number));
                    if let Some(waiter) = asked {
                        let reason = if uncut.is_disk_full() { Reason::DiskFull } else { Reason::Internal };
                        waiter.refuse_now(reason);
                    }
                }
            },
        }
    }

    fn snapshot(&self, frozen: &Frozen) -> Result<(), Uncut> {
        let Frozen { hub, tail, .. } = frozen;
        self.persist_index(tail.last_sequence)?;
        let stopped = || self.shared.is_stopping();
        snapshot::write(&self.files, self.identity.directory, self.identity.hub, *tail, hub, &stopped)?;
        self.shared.metrics.snapshots.fetch_add(1, Release);
        match self.archive() {
            Ok(()) | Err(Uncut::Stopped) => {}
            Err(unmoved) => log(&format!(
                "the snapshot behind frame {} is cut, but what no start needs any more is not archived: {unmoved}",
                tail.number
            )),
        }
        Ok(())
    }

    /// Bring the records index to the disk, as far as the state is.
    fn persist_index(&self, sequence: u64) -> Result<(), Uncut> {
        if self.shared.index.applied_sequence() < sequence {
            return Err(if self.is_ending() { Uncut::Stopped } else { self.shared.index.no_room().into() });
        }
        let unpersisted = |error: IndexError| if self.is_ending() { Uncut::Stopped } else { error.into() };
        self.shared.index.persist().map(drop).map_err(unpersisted)
    }

    /// Move to the archive what no start needs: every segment before the one with the frame of the older snapshot.
    fn archive(&self) -> Result<(), Uncut> {
        let kept = snapshot::numbers(&self.files).map_err(Unfit::Io)?;
        let Some(older) = kept.get(snapshot::KEPT - 1) else { return Ok(()) };
        let here = self.files.in_data();
        let mut numbers = segment_numbers(&*here)?;
        while numbers.len() > 1 {
            let (number, next) = (numbers.remove(0), numbers[0]);
            let mut scan = SegmentScan::open(&*here, &self.identity, next, Access::Read)?;
            if scan.first_header(SCHEMA)?.is_none_or(|first| first.number > *older) {
                break;
            }
            if self.shared.is_stopping() {
                return Err(Uncut::Stopped);
            }
            self.files.archive(&self.identity, number, SCHEMA)?;
            self.shared.metrics.archived.fetch_add(1, Release);
            log(&format!("{} is archived", self.files.path_of(&name_of(number)).display()));
        }
        Ok(())
    }
}

/// Why there is no new snapshot, or why its segments stay.
#[derive(Debug, thiserror::Error)]
enum Uncut {
    #[error("the hub is closing")]
    Stopped,
    #[error(transparent)]
    Snapshot(Unfit),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl From<Unfit> for Uncut {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Io(error) if error.kind() == ErrorKind::Interrupted => Self::Stopped,
            unfit => Self::Snapshot(unfit),
        }
    }
}

impl Uncut {
    fn is_disk_full(&self) -> bool {
        let full = |error: &std::io::Error| {
            matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WriteZero)
        };
        match self {
            Self::Index(IndexError::Full { .. }) => true,
            Self::Snapshot(Unfit::Io(error)) | Self::Journal(JournalError::Io { cause: error, .. }) => full(error),
            _ => false,
        }
    }
}

fn answer(waiter: Waiter, frozen: &Frozen, body: Vec<u8>) {
    let part = Part::Response { sequence: frozen.tail.last_sequence, frame: Frame::Newest, replayed: false, body };
    let leaving = Leaving { made: None, newest: frozen.seen };
    release(vec![Outgoing { waiter, parts: Parts::One(part) }], leaving);
}

impl Shared {
    /// Whether the deciding thread may order something more; the keeper gives the place back.
    pub(crate) fn take_order(&self) -> bool {
        let waiting = self.metrics.orders.load(Relaxed) - self.metrics.orders_finished.load(Acquire);
        let taken = waiting < MAX_ORDERS;
        if taken {
            self.metrics.orders.fetch_add(1, Release);
        }
        taken
    }
}
