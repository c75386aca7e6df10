//! The machine that a simulated hub runs on: its disk, a gate before every call of the writer and of the preparer, and the
//! desk where answers arrive.
//!
//! Invariant: the writer and the preparer touch the disk only when the simulator grants the call, so what has happened at
//! any moment is the seed's choice and never that of the operating system.
//! Invariant: a dead machine changes nothing any more and acknowledges nothing: its death is one moment for all threads.
//! Leaves out: what happens to the disk when the machine dies (`life`).

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use medsettle_engine::journal::segment::{name_of, number_of};
use medsettle_engine::storage::simulated::{Failure, SimulatedDisk};
use medsettle_engine::storage::{Access, DirectoryLock, LockError, Storage, StorageFile};
use medsettle_engine::{Answer, Sink};

/// Far longer than any step of a hub takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A thread whose calls wait for leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Worker {
    Writer,
    Preparer,
}

/// A call that waits at its gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Create,
    Write { offset: u64, len: usize },
    Sync,
    Rename,
    SyncDirectory,
    WriteBack,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Works,
    Fails(Failure),
    NoSpace,
    DiesBefore,
    DiesAfter,
}

#[derive(Default)]
struct Gate {
    waiting: Option<Call>,
    leave: Option<Fault>,
}

#[derive(Default)]
struct State {
    dead: bool,
    writer: Gate,
    preparer: Gate,
    /// The thread that opens the hub, with its calls so far and the one that goes wrong.
    opener: Option<ThreadId>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    /// Number of the segment that is written to, and whether it has yet to get its first durable frame.
    active: u64,
    begun: bool,
    preparer_is_due: bool,
    answers: BTreeMap<u64, Answer>,
    /// Answered a second time, or acknowledged by a dead machine.
    wrongly_answered: Vec<u64>,
}

impl State {
    fn gate(&mut self, worker: Worker) -> &mut Gate {
        match worker {
            Worker::Writer => &mut self.writer,
            Worker::Preparer => &mut self.preparer,
        }
    }
}

/// The machine. Clones are the same one.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) disk: SimulatedDisk,
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
}

impl Machine {
    pub(super) fn on(disk: &SimulatedDisk) -> Self {
        Self { disk: disk.clone(), state: Arc::default(), changed: Arc::default() }
    }

    /// This thread opens a hub; let its `nth` call that changes the disk meet a fault.
    pub(super) fn opening(&self, fault: Option<(u64, Fault)>) {
        let mut state = self.state();
        (state.opener, state.calls, state.fault) = (Some(thread::current().id()), 0, fault);
    }

    /// The hub is open, or could not be opened.
    pub(super) fn opened(&self) {
        let mut state = self.state();
        (state.opener, state.begun) = (None, false);
        state.preparer_is_due = self.disk.content(&name_of(state.active + 1)).is_none();
    }

    /// Whether the preparer makes a segment now, as soon as it is let.
    pub(super) fn preparer_is_due(&self) -> bool {
        self.state().preparer_is_due
    }

    pub(super) fn preparer_is_done(&self) {
        self.state().preparer_is_due = false;
    }

    pub(super) fn die(&self) {
        self.state().dead = true;
        self.changed.notify_all();
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The call of a worker that waits, if one does.
    pub(super) fn waiting(&self, worker: Worker) -> Option<Call> {
        self.state().gate(worker).waiting
    }

    /// Wait until a worker waits at its gate.
    pub(super) fn until_waiting(&self, worker: Worker) -> Call {
        self.until(|state| state.gate(worker).waiting.is_some());
        self.waiting(worker).expect("nobody else grants it")
    }

    /// The preparer's next call, once it waits; after the file has its name none may come.
    pub(super) fn preparer_waits(&self, named: bool) -> Option<Call> {
        if !named {
            return Some(self.until_waiting(Worker::Preparer));
        }
        let waits = |state: &mut State| state.preparer.waiting.is_none();
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE / 10, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.preparer.waiting
    }

    /// Wait until the writer wants to go on, or all of these are answered; true if it is the writer.
    pub(super) fn until_writing_or_answered(&self, tickets: &[u64]) -> bool {
        self.until(|state| {
            state.writer.waiting.is_some() || tickets.iter().all(|ticket| state.answers.contains_key(ticket))
        });
        self.waiting(Worker::Writer).is_some()
    }

    pub(super) fn until_answered(&self, tickets: &[u64]) {
        self.until(|state| tickets.iter().all(|ticket| state.answers.contains_key(ticket)));
    }

    /// Let the call that waits go on, with this outcome, and wait until that has come about.
    pub(super) fn grant(&self, worker: Worker, fault: Fault) {
        let mut state = self.state();
        let gate = state.gate(worker);
        assert!(gate.waiting.take().is_some(), "only what waits is granted");
        gate.leave = Some(fault);
        drop(state);
        self.changed.notify_all();
        // Whoever takes leave acts before it lets go of the state.
        self.until(|state| state.gate(worker).leave.is_none());
    }

    /// The answers that are there, taken away.
    pub(super) fn take_answers(&self) -> BTreeMap<u64, Answer> {
        let mut state = self.state();
        assert!(state.wrongly_answered.is_empty(), "answered twice, or acknowledged by a dead machine");
        std::mem::take(&mut state.answers)
    }

    fn until(&self, mut holds: impl FnMut(&mut State) -> bool) {
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, |state| !holds(state));
        let (state, late) = waited.unwrap_or_else(PoisonError::into_inner);
        let gates = (state.writer.waiting, state.preparer.waiting);
        drop(state);
        assert!(!late.timed_out(), "the hub does not go on; its writer and preparer wait at {gates:?}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Make a call that changes the disk, once it has leave.
    fn pass<T>(&self, call: Call, in_segment: bool, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        let worker = match thread::current().name() {
            Some("medsettle-write") => Some(Worker::Writer),
            Some("journal-prepare") => Some(Worker::Preparer),
            _ => None,
        };
        let fault = if let Some(worker) = worker {
            state.gate(worker).waiting = Some(call);
            self.changed.notify_all();
            let waits = |state: &mut State| !state.dead && state.gate(worker).leave.is_none();
            let waited = self.changed.wait_timeout_while(state, PATIENCE * 2, waits);
            let (granted, late) = waited.unwrap_or_else(PoisonError::into_inner);
            state = granted;
            // Nobody grants anything any more: the simulator gave up, and the engine must be able to close.
            state.dead |= late.timed_out();
            let gate = state.gate(worker);
            gate.waiting = None;
            let fault = gate.leave.take().unwrap_or(Fault::Works);
            self.changed.notify_all();
            fault
        } else if state.opener == Some(thread::current().id()) {
            let here = state.calls;
            state.calls += 1;
            state.fault.filter(|(nth, _)| *nth == here).map_or(Fault::Works, |(_, fault)| fault)
        } else {
            Fault::Works
        };
        if state.dead {
            return Err(death());
        }
        match fault {
            Fault::Works => {
                let done = act();
                if worker == Some(Worker::Writer) && call == Call::Sync && done.is_ok() {
                    state.preparer_is_due |= std::mem::take(&mut state.begun);
                }
                done
            }
            Fault::Fails(failure) if in_segment && matches!(call, Call::Write { .. } | Call::Sync) => {
                self.disk.fail_segment_call(0, failure);
                act()
            }
            Fault::Fails(_) => Err(io::Error::other("input/output error")),
            Fault::NoSpace => Err(ErrorKind::StorageFull.into()),
            Fault::DiesBefore => {
                state.dead = true;
                self.changed.notify_all();
                Err(death())
            }
            Fault::DiesAfter => {
                let _done = act();
                state.dead = true;
                self.changed.notify_all();
                Err(death())
            }
        }
    }

    fn living(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.dead { Err(death()) } else { Ok(state) }
    }

    fn wrap(&self, file: io::Result<Box<dyn StorageFile>>, in_segment: bool) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(OpenFile { machine: self.clone(), file: file?, in_segment }))
    }
}

fn death() -> io::Error {
    io::Error::other("the machine is dead")
}

impl Sink for Machine {
    fn push(&self, answer: Answer) {
        let mut state = self.state();
        let ticket = answer.ticket;
        let acknowledged_dead = state.dead && answer.ok;
        let twice = state.answers.insert(ticket, answer).is_some();
        if twice || acknowledged_dead {
            state.wrongly_answered.push(ticket);
        }
    }

    fn wake(&self) {
        drop(self.state());
        self.changed.notify_all();
    }
}

impl Storage for Machine {
    fn path_of(&self, name: &str) -> PathBuf {
        self.disk.path_of(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let _living = self.living()?;
        self.disk.list()
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let _living = self.living()?;
        self.disk.exists(name)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        if access == Access::ReadMedium {
            // Opening for the medium writes back what is dirty.
            return self.wrap(self.pass(Call::WriteBack, false, || self.disk.open(name, access)), true);
        }
        let mut living = self.living()?;
        if access == Access::Write {
            (living.active, living.begun) = (number_of(name).unwrap_or(0), true);
        }
        self.wrap(self.disk.open(name, access), true)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.wrap(self.pass(Call::Create, false, || self.disk.create(name)), false)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.pass(Call::Rename, false, || self.disk.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.pass(Call::Rename, false, || Storage::remove(&self.disk, name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.pass(Call::SyncDirectory, false, || self.disk.sync_directory())
    }

    fn lock(&self) -> Result<DirectoryLock, LockError> {
        let _living = self.living()?;
        self.disk.lock()
    }
}

struct OpenFile {
    machine: Machine,
    file: Box<dyn StorageFile>,
    /// An existing file, as opposed to one that is being made.
    in_segment: bool,
}

impl StorageFile for OpenFile {
    fn len(&self) -> io::Result<u64> {
        let _living = self.machine.living()?;
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let _living = self.machine.living()?;
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let call = Call::Write { offset, len: bytes.len() };
        self.machine.pass(call, self.in_segment, || self.file.write_at(bytes, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.machine.pass(Call::Sync, self.in_segment, || self.file.sync_data())
    }
}
