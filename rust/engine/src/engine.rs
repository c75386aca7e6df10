//! An engine on a data directory: opened, fed with jobs, closed.
//!
//! Invariant: every job is answered exactly once, also when the queue is full, after a halt and after close.
//! Invariant: no thread here ever touches Python; all of them block signals.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use medsettle_wire::Reason;
use medsettle_wire::encode::HubState;
use medsettle_wire::record::SCHEMA;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use crate::archive::{self, ArchiveError, JournalFiles, refuse_within_index};
use crate::clock::{Clock, SystemTimeSource, TimeSource};
use crate::config::Config;
use crate::error::JournalError;
use crate::halt::{Halt, HaltReason};
use crate::index::{IndexError, IndexStatus};
use crate::journal::{Appended, Chain, DiskState, HubId, JournalPort, LocalJournal, WriterStopper};
use crate::keeper::{Keeper, Task};
use crate::keyring::{KeyRing, KeyRingError};
use crate::pipeline::encode::{Behind, BodyLength, Encoder, Ending, InFlight, Progress};
use crate::pipeline::prepare::Preparer;
use crate::pipeline::{Pipeline, Recovered, SnapshotSchedule, Written, order, panic_message};
use crate::recovery::{OpenReport, Options};
use crate::reply::{Leaving, Sink, Waiter, refuse_all, release};
use crate::start::{Started, Starting};
use crate::storage::{DataDirectory, DirectoryLock};
use crate::take::TakeQueue;

/// The operation number of an empty commit: a frame without records, the floor of every benchmark.
pub const EMPTY_COMMIT: u32 = 0;

/// The operation number of `Batch.Submit`.
pub const BATCH: u32 = u32::MAX;

/// Something asked of the engine.
pub struct Job {
    /// The caller's name of it.
    pub ticket: u64,
    /// Contract number, [`EMPTY_COMMIT`] or [`BATCH`].
    pub operation: u32,
    /// Bit `n` is the role with number `n`.
    pub roles: u32,
    /// The caller's institution.
    pub institution: String,
    /// The encoded request.
    pub request: Vec<u8>,
    /// Where the answer goes.
    pub sink: Arc<dyn Sink>,
}

/// Why an engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Lock, damage, or another fault of the data directory.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The archive is not what the settings say.
    #[error(transparent)]
    Archive(ArchiveError),
    /// The key ring cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// A thread shall run on a core that there is not, or not for this process.
    #[error("cores: {core}: {cause}")]
    Core {
        /// Which.
        core: usize,
        /// Why not.
        cause: std::io::Error,
    },
    /// A thread could not be started.
    #[error("starting {thread}: {cause}")]
    Thread {
        /// Its name.
        thread: &'static str,
        /// Why.
        cause: std::io::Error,
    },
    /// The directory cannot be used at all.
    #[error("{path}: {cause}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The records index cannot be used, and cannot be made again either.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// No randomness for the seeds of tables.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl From<ArchiveError> for OpenError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Journal(error) => Self::Journal(error),
            error => Self::Archive(error),
        }
    }
}

/// What the engine counted since it was opened.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Frames that are durable.
    pub(crate) frames: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) overloaded: AtomicU64,
    pub(crate) panics: AtomicU64,
    /// Snapshots and digests that were ordered, by somebody or by the length of the journal, and those that are finished, well or not.
    pub(crate) orders: AtomicU64,
    pub(crate) orders_finished: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) archived: AtomicU64,
}

/// What all threads of an engine see.
pub(crate) struct Shared {
    pub(crate) halt: Halt,
    pub(crate) metrics: Metrics,
    pub(crate) index: IndexStatus,
    clock_suspect: AtomicBool,
    stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn state(&self, disk: &DiskState) -> HubState {
        if self.halt.reason().is_some() {
            HubState::Halted
        } else if self.is_full(disk) {
            HubState::DiskFull
        } else if self.clock_suspect.load(Relaxed) {
            HubState::ClockSuspect
        } else {
            HubState::Serving
        }
    }

    /// Whether there is no room for what would be decided: for frames, or for their rows in the index.
    pub(crate) fn is_full(&self, disk: &DiskState) -> bool {
        disk.is_full() || self.index.is_full()
    }

    pub(crate) fn halt_reason(&self) -> String {
        self.halt.reason().map(ToString::to_string).unwrap_or_default()
    }

    /// Whether the engine is closing, so that long work beside it ends.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    pub(crate) fn note_clock(&self, trusted: bool) {
        self.clock_suspect.store(!trusted, Relaxed);
    }
}

fn directory(path: &Path) -> Result<DataDirectory, OpenError> {
    DataDirectory::create(path).map_err(|cause| OpenError::Directory { path: path.to_owned(), cause })
}

fn hub_id(config: &Config) -> HubId {
    HubId(u64::from(config.hub.get()))
}

/// A line for the operator; never anything that a caller sent.
pub(crate) fn log(line: &str) {
    eprintln!("medsettle: {line}");
}

/// A running engine.
pub struct Engine {
    jobs: Mutex<Option<Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    shared: Arc<Shared>,
    disk: DiskState,
    stopper: WriterStopper,
    takes: TakeQueue,
    lock: Mutex<Option<DirectoryLock>>,
    report: OpenReport,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("report", &self.report).finish_non_exhaustive()
    }
}

impl Engine {
    /// Open or create a data directory, recover it, and start.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_by(config, Box::new(SystemTimeSource))
    }

    /// The same by a clock of the caller's choice.
    pub fn open_by(config: Config, time: Box<dyn TimeSource>) -> Result<Self, OpenError> {
        if let Some(path) = &config.archive {
            let unfit = |cause| OpenError::Directory { path: path.clone(), cause };
            refuse_within_index(&config.data, path).map_err(unfit)?;
        }
        for core in config.cores.iter().copied() {
            may_run_on(core).map_err(|cause| OpenError::Core { core, cause })?;
        }
        let files = archive::take_up(&directory(&config.data)?, hub_id(&config), config.archive.as_deref())?;
        Self::open_on(files, config, time)
    }

    /// The same on storages and by a clock of the caller's choice.
    #[expect(clippy::needless_pass_by_value, reason = "the key that unwraps the ring ends with the opening")]
    pub fn open_on(files: JournalFiles, config: Config, time: Box<dyn TimeSource>) -> Result<Self, OpenError> {
        let began = Instant::now();
        let keys = config.keys.as_ref().map(|(path, kek)| KeyRing::load(path, kek).map(Arc::new)).transpose()?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(OpenError::Random)?;
        let seed = u64::from_le_bytes(seed);
        let options = Options { segment_len: config.segment_len, ..Options::new(hub_id(&config), SCHEMA) };
        let halt = Halt::default();
        let Started { opened, hub, index, identity } =
            Starting { files: &files, config: &config, seed }.start(&options, &halt)?;
        if let Some(torn) = &opened.report.torn {
            log(&torn.to_string());
        }
        log(&format!("{}; it took {:.1} s", opened.report, began.elapsed().as_secs_f64()));
        let clock = Clock::new(time, opened.report.tail.stamp_ms);
        let journal = opened.journal;
        let (disk, stopper, lock) = (journal.disk(), journal.stopper(), journal.lock());
        let (takes, taking) = TakeQueue::new(Box::new(journal.durable()), Box::new(files.clone()));
        let shared = Arc::new(Shared {
            halt,
            metrics: Metrics::default(),
            index: index.status(),
            clock_suspect: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        });
        let snapshots =
            SnapshotSchedule { every_segments: config.snapshot_segments, last_segment: opened.report.first_read };
        let seal_after = Duration::from_millis(config.seal_after_ms);
        let (tail, max_body_len) = (opened.report.tail, opened.chain.max_body_len());
        let recovered =
            Recovered { hub, index, clock, keys, tail, max_body_len, disk: disk.clone(), seal_after, snapshots };
        let end = recovered.end()?;
        let keeper = Keeper { files, identity, shared: Arc::clone(&shared) };
        let (jobs, mut threads) = start(journal, opened.chain, (recovered, end), keeper, &config, &shared)?;
        threads.push(spawn("medsettle-take", taking)?);
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(threads),
            shared,
            disk,
            stopper,
            takes,
            lock: Mutex::new(Some(lock)),
            report: opened.report,
        })
    }

    /// How far the records index is, and a way to make it durable.
    pub fn index(&self) -> &IndexStatus {
        &self.shared.index
    }

    /// What opening found.
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// Queue a job. Never blocks: what cannot be queued is refused at once.
    pub fn send(&self, job: Job) {
        let queue = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let refused = match queue {
            _ if self.shared.halt.reason().is_some() => Some((job, Reason::Halted)),
            None => Some((job, Reason::Halted)),
            Some(_) if TakeQueue::is_for(&job) => self.takes.send(job).err(),
            Some(queue) => match queue.try_send(job) {
                Ok(()) => None,
                Err(TrySendError::Full(job)) => {
                    self.shared.metrics.overloaded.fetch_add(1, Relaxed);
                    Some((job, Reason::Overloaded))
                }
                Err(TrySendError::Disconnected(job)) => Some((job, Reason::Halted)),
            },
        };
        if let Some((Job { ticket, sink, .. }, reason)) = refused {
            Waiter::new(ticket, sink).refuse_now(reason);
        }
    }

    /// Whether it serves.
    pub fn state(&self) -> HubState {
        self.shared.state(&self.disk)
    }

    /// Why it halted; empty while it has not.
    pub fn halt_reason(&self) -> String {
        self.shared.halt_reason()
    }

    /// Names and values of what was counted since it was opened.
    pub fn metrics(&self) -> Vec<(&'static str, u64)> {
        let metrics = &self.shared.metrics;
        let queued = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Sender::len);
        vec![
            ("frames", metrics.frames.load(Acquire)),
            ("records", metrics.records.load(Relaxed)),
            ("batches", metrics.batches.load(Relaxed)),
            ("answered", metrics.answered.load(Relaxed)),
            ("refused", metrics.refused.load(Relaxed)),
            ("replayed", metrics.replayed.load(Relaxed)),
            ("overloaded", metrics.overloaded.load(Relaxed)),
            ("panics", metrics.panics.load(Relaxed)),
            ("orders", metrics.orders.load(Acquire)),
            ("orders_finished", metrics.orders_finished.load(Acquire)),
            ("snapshots", metrics.snapshots.load(Acquire)),
            ("archived", metrics.archived.load(Acquire)),
            ("queued", queued as u64),
            ("begun_behind_frame", self.report.snapshot.unwrap_or(0)),
        ]
    }

    /// Take no more jobs, make durable what was decided, and join the threads. A second call does nothing.
    pub fn close(&self) {
        // Before anybody is turned away, so that whoever is knows that long work is ending as well.
        self.shared.stopping.store(true, Relaxed);
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.takes.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A frame may be waiting for a segment that never comes.
        self.stopper.wait_for_no_space();
        for thread in threads {
            // A thread that panicked has latched the halt by its guard.
            let _ = thread.join();
        }
        self.lock().take();
    }

    /// In a child after fork: close the copied descriptor of the directory's lock, which the parent still holds. Threads do not live in
    /// a child, so it must also be forgotten there, never dropped.
    pub fn close_inherited(&self) {
        if let Some(lock) = &*self.lock() {
            lock.close_inherited();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<DirectoryLock>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

type Running = (Sender<Job>, Vec<JoinHandle<()>>);

fn start(
    journal: LocalJournal,
    chain: Chain,
    (mut recovered, end): (Recovered, Behind),
    keeper: Keeper,
    config: &Config,
    shared: &Arc<Shared>,
) -> Result<Running, OpenError> {
    let [prepare_on, decide_on, encode_on, write_on] = std::array::from_fn(|stage| config.cores.get(stage).copied());
    let (jobs, queue) = bounded(config.queue_len);
    let (prepared, ready) = bounded(1);
    // What is decided in two frames is all that waits here: one that is made, and one that is filled.
    let (steps, to_encode) = unbounded();
    let (frames, to_write) = bounded::<InFlight>(1);
    let (done, written) = bounded(1);
    let (orders, tasks) = unbounded();
    let keeping = spawn("medsettle-keep", move || keeper.run(&tasks))?;
    let writer = spawn("medsettle-write", {
        let (shared, orders) = (Arc::clone(shared), orders.clone());
        move || {
            bind(write_on);
            guarded("write", &shared, || write_frames(journal, &to_write, &done, &orders, &shared.halt));
        }
    })?;
    let progress = Arc::new(Progress::default());
    let body = BodyLength::new(Arc::clone(&progress));
    let mut encoder = Encoder {
        chain,
        newest: end.newest,
        index: recovered.index.behind(steps),
        frames,
        ending: Ending(progress),
        halt: shared.halt.clone(),
    };
    let encoding = spawn("medsettle-encode", {
        let shared = Arc::clone(shared);
        move || {
            bind(encode_on);
            guarded("encode", &shared, || encoder.run(&to_encode));
            // Whoever waits for it learns that it has ended when it is known why.
            drop(encoder);
        }
    })?;
    let mut preparer = Preparer::new(recovered.keys.clone(), Arc::clone(shared));
    let decider = spawn("medsettle-decide", {
        let shared = Arc::clone(shared);
        move || {
            bind(decide_on);
            let mut pipeline = Pipeline::new(recovered, end, body, orders, Arc::clone(&shared));
            guarded("decide", &shared, || pipeline.run(&ready, &written));
            // After a panic this answers all who wait in it.
            drop(pipeline);
            // Until nobody prepares any more: a batch that waits here would be answered only when both sides are gone.
            for batch in ready {
                drop(batch);
            }
        }
    })?;
    let preparing = spawn("medsettle-prep", {
        let shared = Arc::clone(shared);
        move || {
            bind(prepare_on);
            guarded("prepare", &shared, || preparer.run(&queue, &prepared));
            // Whoever decides learns that nothing more comes, also after a panic here.
            drop(prepared);
            answer_the_rest(&queue);
        }
    })?;
    Ok((jobs, vec![preparing, decider, encoding, writer, keeping]))
}

/// Bind the calling thread to a core, where one is named. That it may run there was seen before it was started.
fn bind(core: Option<usize>) {
    let bound = core.map(|core| {
        let mut only = CpuSet::new();
        only.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &only))
    });
    if let Some(Err(error)) = bound {
        log(&format!("a thread runs on any core: {error}"));
    }
}

/// Whether this process may run on a core.
fn may_run_on(core: usize) -> std::io::Result<()> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?.is_set(core)?;
    if allowed { Ok(()) } else { Err(std::io::Error::other("this process may not run there")) }
}

/// After a halt, or once the queue is closed, whoever still waits in it is told.
fn answer_the_rest(queue: &Receiver<Job>) {
    for Job { ticket, sink, .. } in queue {
        Waiter::new(ticket, sink).refuse_now(Reason::Halted);
    }
}

/// Append frames one at a time; answers leave when theirs is durable.
fn write_frames(
    mut journal: LocalJournal,
    frames: &Receiver<InFlight>,
    done: &Sender<Written>,
    keeper: &Sender<Task>,
    halt: &Halt,
) {
    for InFlight { frame, answers, made, newest, behind, tasks } in frames {
        let (epoch, previous) = (frame.header().epoch, frame.header().previous);
        let leaving = Leaving { made: Some(&made), newest };
        match journal.append(epoch, previous, &frame) {
            Appended::Durable => {
                release(answers, leaving);
                for task in tasks {
                    order(keeper, task);
                }
            }
            Appended::Fenced { .. } | Appended::Indeterminate(_) => {
                halt.latch(HaltReason::Stopped);
                refuse_all(answers, Reason::Halted);
                return;
            }
        }
        if done.send(Written { behind, segment: journal.segment(), buffer: frame.into_buffer() }).is_err() {
            return;
        }
    }
}

/// Run a stage; a panic latches the halt, so that nobody waits for it.
fn guarded(stage: &'static str, shared: &Shared, work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        let message = panic_message(&*panic);
        log(&format!("stage {stage} panicked: {message}"));
        shared.halt.latch(HaltReason::StagePanicked { stage, message });
    }
}

pub(crate) fn spawn(name: &'static str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    let signal_free = move || {
        // Signals belong to the host program's own threads; a failure here only means that one may be taken here.
        let _ = SigSet::all().thread_block();
        work();
    };
    Builder::new().name(name.into()).spawn(signal_free).map_err(|cause| OpenError::Thread { thread: name, cause })
}
