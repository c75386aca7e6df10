//! Fills the next segment with zeros before it is needed, on a thread of its own.
//!
//! Invariant: a segment gets its name only when every byte of it is written and synced.
//! Invariant: at most one segment without a durable frame lies behind the last one with, also after a crash.
//! Invariant: a full disk is met here, never by a frame: the flag `DiskState` goes up, and down when there is space again.
//! Invariant: a sync is never repeated; a file whose sync failed is thrown away or ends the journal.
//! Leaves out: refusing work while the disk is full, which the pipeline does.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::frame::BLOCK_LEN;
use super::segment::{Label, name_of, temporary_name_of};
use crate::engine::log;
use crate::halt::HaltReason;
use crate::limits::{DISK_FULL_RETRY_MS, FILL_BYTES_PER_SECOND, FILL_CHUNK_LEN};
use crate::storage::{AlignedBuffer, Storage, StorageFile, told_full, told_room};

/// Whether there is space for the next segment. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct DiskState(Arc<AtomicBool>);

impl DiskState {
    /// New work is to be refused `DISK_FULL`: what is left of the active segment is kept for what is already decided.
    pub fn is_full(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Whether it was so before.
    fn set_full(&self, full: bool) -> bool {
        self.0.swap(full, Ordering::AcqRel)
    }
}

/// What a full disk has no room for, in words.
const SEGMENT: &str = "the next segment of the journal";

/// Hands out prepared segments in order.
pub(crate) struct Preparer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    storage: Arc<dyn Storage>,
    /// Label of the segments to come, but for the number.
    label: Label,
    disk: DiskState,
    /// How far the writer is in the active segment, in bytes: when it gains on the filling, that hurries.
    writer_position: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Number of the segment that is prepared or being prepared.
    number: u64,
    ready: bool,
    wanted_now: bool,
    ending: Ending,
    failed: Option<HaltReason>,
}

/// How far it has come to the end.
#[derive(PartialEq, Eq)]
enum Ending {
    NotYet,
    /// Space is not waited for: a disk that is full, or found full from now on, stops it.
    OnFullDisk,
    Stopped,
}

impl State {
    fn is_stopped(&self) -> bool {
        self.ending == Ending::Stopped
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_full(&self) {
        if !self.disk.set_full(true) {
            log(&told_full(SEGMENT, self.storage.free_bytes(), self.label.file_len));
        }
    }

    fn note_room(&self) {
        if self.disk.set_full(false) {
            log(&told_room(SEGMENT));
        }
    }

    fn stop(&self) {
        self.state().ending = Ending::Stopped;
        self.changed.notify_all();
    }
}

/// Makes a writer that waits for its segment give up. Clones share it.
#[derive(Clone)]
pub struct WriterStopper(Arc<Shared>);

impl WriterStopper {
    /// From now on a full disk ends the waiting for a segment with `HaltReason::Stopped`; what has space goes on.
    pub fn wait_for_no_space(&self) {
        let mut state = self.0.state();
        if !state.is_stopped() {
            state.ending = if self.0.disk.is_full() { Ending::Stopped } else { Ending::OnFullDisk };
        }
        drop(state);
        self.0.changed.notify_all();
    }
}

impl Preparer {
    /// Prepare segments from `number` on, with that one `ready` if it lies there already.
    pub(crate) fn start(storage: Arc<dyn Storage>, label: Label, number: u64, ready: bool) -> io::Result<Self> {
        let state = State { number, ready, wanted_now: false, ending: Ending::NotYet, failed: None };
        let shared = Arc::new(Shared {
            storage,
            label,
            disk: DiskState::default(),
            writer_position: AtomicU64::new(0),
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let work = Arc::clone(&shared);
        let thread = Builder::new().name("journal-prepare".into()).spawn(move || run(&work))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(crate) fn disk(&self) -> DiskState {
        self.shared.disk.clone()
    }

    pub(crate) fn stopper(&self) -> WriterStopper {
        WriterStopper(Arc::clone(&self.shared))
    }

    pub(crate) fn writer_is_at(&self, position: u64) {
        self.shared.writer_position.store(position, Ordering::Relaxed);
    }

    /// The number of the next segment, as soon as it is ready. The one after it is begun by `begin_next`.
    pub(crate) fn take(&self) -> Result<u64, HaltReason> {
        let mut state = self.shared.state();
        state.wanted_now = true;
        self.shared.changed.notify_all();
        while !state.ready {
            if let Some(reason) = &state.failed {
                return Err(reason.clone());
            }
            if state.is_stopped() {
                return Err(HaltReason::Stopped);
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.wanted_now = false;
        self.writer_is_at(0);
        Ok(state.number)
    }

    /// Begin the segment behind the one taken, which now holds a durable frame. Sooner, a crash could leave two segments
    /// without a frame, and that is how a journal looks that has lost one.
    pub(crate) fn begin_next(&self) {
        let mut state = self.shared.state();
        state.number += 1;
        state.ready = false;
        self.shared.changed.notify_all();
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            debug_assert!(joined.is_ok(), "the preparer does not panic");
        }
    }
}

fn run(shared: &Shared) {
    loop {
        let mut state = shared.state();
        while state.ready && !state.is_stopped() {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_stopped() {
            return;
        }
        let label = Label { segment: state.number, ..shared.label };
        drop(state);
        let outcome = prepare(shared, &label);
        let mut state = shared.state();
        match outcome {
            Ok(()) => state.ready = true,
            Err(Unprepared::Stopped) => return,
            Err(Unprepared::Failed(cause)) => {
                let path = shared.storage.path_of(&name_of(label.segment)).display().to_string();
                state.failed = Some(HaltReason::PrepareFailed { path, cause: cause.to_string() });
                shared.changed.notify_all();
                return;
            }
        }
        shared.changed.notify_all();
    }
}

enum Unprepared {
    Stopped,
    Failed(io::Error),
}

/// Make the segment with `label`, waiting for space as often as it takes.
fn prepare(shared: &Shared, label: &Label) -> Result<(), Unprepared> {
    loop {
        let started = Instant::now();
        let mut stopped = false;
        let made = make_segment(&*shared.storage, label, &mut |file, chunk, offset| {
            stopped = stopped || !pace(shared, started, offset, label.file_len);
            while !stopped {
                match file.write_at(chunk, offset) {
                    Err(error) if is_disk_full(&error) => stopped = !wait_for_space(shared),
                    written => return written.inspect(|()| shared.note_room()),
                }
            }
            Err(ErrorKind::Interrupted.into())
        });
        match made {
            Ok(()) => {
                shared.note_room();
                return Ok(());
            }
            Err(_) if stopped => return Err(Unprepared::Stopped),
            // No space for the name or at the sync: the next attempt makes a new file.
            Err(error) if is_disk_full(&error) => {
                if !wait_for_space(shared) {
                    return Err(Unprepared::Stopped);
                }
            }
            Err(error) => return Err(Unprepared::Failed(error)),
        }
    }
}

type WriteChunk<'a> = dyn FnMut(&dyn StorageFile, &[u8], u64) -> io::Result<()> + 'a;

/// Zero-fill, sync and name the segment with `label`, writing each chunk by `write`.
pub(crate) fn make_segment(storage: &dyn Storage, label: &Label, write: &mut WriteChunk<'_>) -> io::Result<()> {
    let temporary = temporary_name_of(label.segment);
    let file = storage.create(&temporary)?;
    let chunk_len = label.file_len.min(FILL_CHUNK_LEN as u64);
    let mut chunk = AlignedBuffer::zeroed(usize::try_from(chunk_len).expect("at most a chunk"));
    label.encode(&mut chunk);
    let mut offset = 0;
    while offset < label.file_len {
        let len = chunk_len.min(label.file_len - offset);
        write(&*file, &chunk[..usize::try_from(len).expect("at most a chunk")], offset)?;
        if offset == 0 {
            chunk[..BLOCK_LEN].fill(0);
        }
        offset += len;
    }
    file.sync_data()?;
    storage.rename(&temporary, &name_of(label.segment))?;
    storage.sync_directory()
}

/// Whether there was no room. A short write counts: the file system took what it had room for.
fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WriteZero)
}

/// Raise the flag and wait a little; false when told to stop.
fn wait_for_space(shared: &Shared) -> bool {
    shared.note_full();
    if shared.state().ending == Ending::OnFullDisk {
        shared.stop();
    }
    wait(shared, Duration::from_millis(DISK_FULL_RETRY_MS), |_| false)
}

/// Wait until `written` bytes may have been filled at the rate limit, unless the writer gains on the filling; false when
/// told to stop.
fn pace(shared: &Shared, started: Instant, written: u64, segment_len: u64) -> bool {
    let due = Duration::from_millis(written.saturating_mul(1_000) / FILL_BYTES_PER_SECOND);
    let early = due.saturating_sub(started.elapsed());
    let writer_gains = shared.writer_position.load(Ordering::Relaxed) >= written.min(segment_len);
    wait(shared, if writer_gains { Duration::ZERO } else { early }, |state| state.wanted_now)
}

fn wait(shared: &Shared, time: Duration, enough: impl Fn(&State) -> bool) -> bool {
    let until = Instant::now() + time;
    let mut state = shared.state();
    loop {
        if state.is_stopped() {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || enough(&state) {
            return true;
        }
        state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}
