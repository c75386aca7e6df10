//! The thread that takes records into the index, and brings rows to disk behind the durable frames.
//!
//! Invariant: it takes in what it is given in the order of the journal, and whoever waits for a record is woken once it can be read.
//! Invariant: while the disk is full it goes on taking in and tries again; after any other failure the engine halts, and the next
//! opening catches up from the journal.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::fold::{Fold, Observed};
use super::overlay::{Closed, View};
use super::row::FrameRow;
use super::store::StoreError;
use crate::engine::log;
use crate::halt::{Halt, HaltReason};
use crate::journal::{FrameHash, FrameHeader};
use crate::limits::{DISK_FULL_RETRY_MS, INDEX_COMMIT_GOAL, INDEX_RESERVE};
use crate::pipeline::panic_message;
use crate::storage::{told_full, told_room};

/// What is handed over, in the order of the journal.
pub(crate) enum Fed {
    Record(Box<Observed>),
    Frame { number: u64, sequence: u64, row: FrameRow },
    Durable { number: u64 },
}

impl Fed {
    /// That a frame ends; one without records is nothing to the index.
    pub(crate) fn frame(header: &FrameHeader, hash: FrameHash) -> Option<Self> {
        let row = FrameRow { hash: hash.0, stamp_ms: header.stamp_ms };
        (header.facts() > 0).then_some(Self::Frame { number: header.number, sequence: header.last_sequence, row })
    }
}

/// What others see of the filling.
#[derive(Default)]
pub(super) struct Filled {
    /// Sequence of the newest record that can be read.
    taken_in: AtomicU64,
    /// Sequence that the newest frame ends with whose row can be read.
    framed: AtomicU64,
    /// Sequence up to which rows are in the store.
    pub(super) applied: AtomicU64,
    /// There is no room for rows that are durable.
    pub(super) full: AtomicBool,
    ended: Mutex<bool>,
    progress: Condvar,
}

impl Filled {
    pub(super) fn from(sequence: u64) -> Self {
        let filled = Self::default();
        for reached in [&filled.taken_in, &filled.framed, &filled.applied] {
            reached.store(sequence, Release);
        }
        filled
    }

    pub(super) fn has_taken_in(&self, sequence: u64) -> bool {
        self.taken_in.load(Acquire) >= sequence
    }

    /// Wait until a record can be read; false where it never will.
    pub(super) fn wait_for(&self, sequence: u64) -> bool {
        let ended = self.progress.wait_while(self.ended(), |ended| !*ended && !self.has_taken_in(sequence));
        drop(ended);
        self.has_taken_in(sequence)
    }

    /// Wait until the frame that holds a record can be read; false where it never will.
    pub(super) fn wait_for_frame_of(&self, sequence: u64) -> bool {
        drop(self.progress.wait_while(self.ended(), |ended| !*ended && !self.has_framed(sequence)));
        self.has_framed(sequence)
    }

    pub(super) fn has_framed(&self, sequence: u64) -> bool {
        self.framed.load(Acquire) >= sequence
    }

    /// Wait until rows up to a sequence are in the store, at most so long; whether they are.
    pub(super) fn wait_for_applied(&self, sequence: u64, at_most: Duration) -> bool {
        let is_behind = |_: &mut bool| self.applied.load(Acquire) < sequence;
        let waited = self.progress.wait_timeout_while(self.ended(), at_most, is_behind);
        drop(waited);
        self.applied.load(Acquire) >= sequence
    }

    /// Wait until rows up to a sequence are in the store or have found no room there; false where neither will come about.
    pub(super) fn wait_until_tried(&self, sequence: u64) -> bool {
        let is_tried = || self.applied.load(Acquire) >= sequence || self.full.load(Acquire);
        drop(self.progress.wait_while(self.ended(), |ended| !*ended && !is_tried()));
        is_tried()
    }

    fn note_full(&self) {
        let _woken = self.ended();
        self.full.store(true, Release);
        self.progress.notify_all();
    }

    fn note_framed(&self, sequence: u64) {
        let _woken = self.ended();
        self.framed.store(sequence, Release);
        self.progress.notify_all();
    }

    fn note_applied(&self, sequence: u64) {
        let _woken = self.ended();
        self.applied.store(sequence, Release);
        self.progress.notify_all();
    }

    fn note_taken_in(&self, sequence: u64) {
        let _woken = self.ended();
        self.taken_in.store(sequence, Release);
        self.progress.notify_all();
    }

    fn ended(&self) -> MutexGuard<'_, bool> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells all who wait that nothing more will be taken in, whatever the reason.
struct Ending(Arc<Filled>);

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.ended() = true;
        self.0.progress.notify_all();
    }
}

/// What the thread works on.
pub(super) struct Filler {
    pub(super) view: Arc<View>,
    pub(super) filled: Arc<Filled>,
    pub(super) fed: Receiver<Vec<Fed>>,
    pub(super) halt: Halt,
}

impl Filler {
    /// Work until nothing more is handed over.
    pub(super) fn run(self) {
        let _ending = Ending(Arc::clone(&self.filled));
        let filled = catch_unwind(AssertUnwindSafe(|| self.fill()));
        let panicked = |panic: Box<dyn Any + Send>| Err(StoreError::Failed(panic_message(&*panic)));
        if let Err(error) = filled.unwrap_or_else(panicked) {
            fail(&self.view, &self.halt, &error);
        }
    }

    fn fill(&self) -> Result<(), StoreError> {
        loop {
            match self.next() {
                Ok(batch) => self.take_in(batch)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while self.view.durable_bytes() < INDEX_COMMIT_GOAL
                && let Ok(batch) = self.fed.try_recv()
            {
                self.take_in(batch)?;
            }
            self.commit()?;
        }
        self.commit()?;
        self.view.store.persist()
    }

    fn next(&self) -> Result<Vec<Fed>, RecvTimeoutError> {
        if self.filled.full.load(Acquire) {
            self.fed.recv_timeout(Duration::from_millis(DISK_FULL_RETRY_MS))
        } else {
            self.fed.recv().map_err(|_| RecvTimeoutError::Disconnected)
        }
    }

    fn take_in(&self, batch: Vec<Fed>) -> Result<(), StoreError> {
        let mut fold = Fold::over(&self.view);
        let mut newest = None;
        for fed in batch {
            match fed {
                Fed::Record(observed) => {
                    fold.take(&observed)?;
                    newest = Some(observed.record.sequence);
                }
                Fed::Frame { number, sequence, row } => {
                    fold.close_frame(sequence, row);
                    self.view.append(std::mem::take(&mut fold.rows));
                    self.view.close(Closed { number, sequence, hash: row.hash });
                    self.filled.note_framed(sequence);
                }
                Fed::Durable { number } => self.view.note_durable(number),
            }
        }
        self.view.append(fold.rows);
        if let Some(newest) = newest {
            self.filled.note_taken_in(newest);
        }
        Ok(())
    }

    fn commit(&self) -> Result<(), StoreError> {
        match self.view.commit() {
            Ok(Some(mark)) => self.filled.note_applied(mark.sequence),
            Ok(None) => {}
            Err(StoreError::Full) => {
                if !self.filled.full.load(Acquire) {
                    log(&told_full("the records index", self.view.store.free_bytes(), INDEX_RESERVE));
                }
                self.filled.note_full();
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        if self.filled.full.swap(false, AcqRel) {
            log(&told_room("the records index"));
        }
        Ok(())
    }
}

/// The index cannot be read or written, and nothing may be decided without it. What cannot be believed is not opened again.
pub(super) fn fail(view: &View, halt: &Halt, error: &StoreError) {
    if matches!(error, StoreError::Damaged(_)) {
        view.store.condemn();
    }
    halt.latch(HaltReason::IndexFailed { cause: error.to_string() });
}
