//! The machine that a simulated hub runs on: its disks, a gate before every call of the threads that change them, and the desk
//! where answers arrive.
//!
//! Invariant: writer, preparer and keeper change a disk only when the simulator grants the call, so what has happened at any
//! moment is the seed's choice and never that of the operating system.
//! Invariant: a dead machine changes nothing any more and acknowledges nothing: its death is one moment for all threads.
//! Leaves out: what happens to the disks when the machine dies (`life`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use medsettle_engine::journal::segment::{name_of, number_of};
use medsettle_engine::storage::simulated::{Failure, SimulatedDisk};
use medsettle_engine::{Answer, Sink};

use crate::watched::{Call, Change, Watched, Watcher};

/// Far longer than any step of a hub takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A thread whose calls wait for leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Worker {
    Writer,
    Preparer,
    Keeper,
}

impl Worker {
    fn of_this_thread() -> Option<Self> {
        match thread::current().name() {
            Some("medsettle-write") => Some(Self::Writer),
            Some("journal-prepare") => Some(Self::Preparer),
            Some("medsettle-keep") => Some(Self::Keeper),
            _ => None,
        }
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Works,
    Fails(Failure),
    NoSpace,
    /// It says that it worked, and the medium holds another bit than was written.
    Rots(u64),
    DiesBefore,
    DiesAfter,
}

#[derive(Default)]
struct Gate {
    waiting: Option<Call>,
    leave: Option<Fault>,
}

/// What the keeper brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) snapshots: u64,
    pub(super) archived: u64,
}

#[derive(Default)]
struct State {
    dead: bool,
    writer: Gate,
    preparer: Gate,
    keeper: Gate,
    /// The thread that opens the hub, with its calls so far and the one that goes wrong.
    opener: Option<ThreadId>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    /// Number of the segment that is written to, and whether it has yet to get its first durable frame.
    active: u64,
    begun: bool,
    preparer_is_due: bool,
    /// Frames that the writer has made durable.
    durable: u64,
    kept: Kept,
    answers: BTreeMap<u64, Answer>,
    /// Tickets that the keeper answers. A digest needs no disk: whether it comes before the machine dies is nobody's choice, so one that
    /// comes behind is only never heard.
    orders: BTreeSet<u64>,
    /// Answered a second time, or acknowledged by a dead machine.
    wrongly_answered: Vec<u64>,
}

impl State {
    fn gate(&mut self, worker: Worker) -> &mut Gate {
        match worker {
            Worker::Writer => &mut self.writer,
            Worker::Preparer => &mut self.preparer,
            Worker::Keeper => &mut self.keeper,
        }
    }

    /// Take note of a call that worked.
    fn note_done(&mut self, worker: Worker, change: &Change<'_>) {
        match (worker, change.call) {
            (Worker::Writer, Call::Sync) => {
                self.durable += 1;
                self.preparer_is_due |= std::mem::take(&mut self.begun);
            }
            (Worker::Keeper, Call::Rename) if change.name.ends_with(".snapshot") => self.kept.snapshots += 1,
            (Worker::Keeper, Call::Rename) if change.name.ends_with(".archive") => self.kept.archived += 1,
            _ => {}
        }
    }
}

/// The gates of a machine. Clones are the same ones.
#[derive(Clone, Default)]
pub(super) struct Gates {
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
}

/// The machine, as one of its disks shows it. Clones are the same one.
pub(super) type Machine = Watched<Gates>;

impl Machine {
    pub(super) fn on(disk: &SimulatedDisk) -> Self {
        Self { disk: disk.clone(), watcher: Gates::default() }
    }

    /// Another disk of the same machine.
    pub(super) fn beside(&self, disk: &SimulatedDisk) -> Self {
        Self { disk: disk.clone(), watcher: self.watcher.clone() }
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

    /// Frames that were made durable since the hub was opened.
    pub(super) fn durable(&self) -> u64 {
        self.state().durable
    }

    pub(super) fn kept(&self) -> Kept {
        self.state().kept
    }

    pub(super) fn die(&self) {
        self.state().dead = true;
        self.watcher.changed.notify_all();
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
        let waited = self.watcher.changed.wait_timeout_while(self.state(), PATIENCE / 10, waits);
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
        self.watcher.changed.notify_all();
        // Whoever takes leave acts before it lets go of the state.
        self.until(|state| state.gate(worker).leave.is_none());
    }

    /// The answer to a ticket, taken away, if it is there.
    pub(super) fn take_answer(&self, ticket: u64) -> Option<Answer> {
        let mut state = self.state();
        assert!(state.wrongly_answered.is_empty(), "answered twice, or acknowledged by a dead machine");
        state.answers.remove(&ticket)
    }

    /// This ticket is one that the keeper answers.
    pub(super) fn expect_of_keeper(&self, ticket: u64) {
        self.state().orders.insert(ticket);
    }

    /// Tickets that were answered and not asked for.
    pub(super) fn unclaimed(&self) -> Vec<u64> {
        self.state().answers.keys().copied().collect()
    }

    fn until(&self, mut holds: impl FnMut(&mut State) -> bool) {
        let waited = self.watcher.changed.wait_timeout_while(self.state(), PATIENCE, |state| !holds(state));
        let (state, late) = waited.unwrap_or_else(PoisonError::into_inner);
        let gates = (state.writer.waiting, state.preparer.waiting, state.keeper.waiting);
        drop(state);
        assert!(!late.timed_out(), "the hub does not go on; its writer, preparer and keeper wait at {gates:?}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.watcher.state()
    }
}

fn death() -> io::Error {
    io::Error::other("the machine is dead")
}

fn input_output_error() -> io::Error {
    io::Error::other("input/output error")
}

impl Gates {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wait at the gate of a worker; the leave that it gets.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        worker: Worker,
        call: Call,
    ) -> (MutexGuard<'a, State>, Fault) {
        state.gate(worker).waiting = Some(call);
        self.changed.notify_all();
        let waits = |state: &mut State| !state.dead && state.gate(worker).leave.is_none();
        let waited = self.changed.wait_timeout_while(state, PATIENCE * 2, waits);
        let (mut state, late) = waited.unwrap_or_else(PoisonError::into_inner);
        // Nobody grants anything any more: the simulator gave up, and the engine must be able to close.
        state.dead |= late.timed_out();
        let gate = state.gate(worker);
        gate.waiting = None;
        let fault = gate.leave.take().unwrap_or(Fault::Works);
        self.changed.notify_all();
        (state, fault)
    }
}

impl Watcher for Gates {
    fn look<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let state = self.state();
        if state.dead { Err(death()) } else { act() }
    }

    /// Make a call that changes a disk, once it has leave.
    fn change<T>(&self, change: &Change<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        let worker = Worker::of_this_thread();
        let fault = if let Some(worker) = worker {
            let (granted, fault) = self.wait(state, worker, change.call);
            state = granted;
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
        let in_segment = change.existed && matches!(change.call, Call::Write { .. } | Call::Sync);
        match fault {
            Fault::Works | Fault::Rots(_) => {
                let done = act();
                if let (Some(worker), Ok(_)) = (worker, &done) {
                    state.note_done(worker, change);
                }
                if let Fault::Rots(place) = fault {
                    rot(change, place);
                }
                done
            }
            Fault::Fails(failure) if in_segment => {
                change.disk.fail_segment_call(0, failure);
                act()
            }
            Fault::Fails(_) => Err(input_output_error()),
            Fault::NoSpace => Err(ErrorKind::StorageFull.into()),
            Fault::DiesBefore | Fault::DiesAfter => {
                if fault == Fault::DiesAfter {
                    let _done = act();
                }
                state.dead = true;
                self.changed.notify_all();
                Err(death())
            }
        }
    }

    fn opened_for_writing(&self, name: &str) {
        let mut state = self.state();
        (state.active, state.begun) = (number_of(name).unwrap_or(0), true);
    }
}

/// Flip one bit of what was written of a file.
fn rot(change: &Change<'_>, place: u64) {
    let content = change.disk.content(change.name).expect("it is being written");
    let written = content.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1) as u64;
    change.disk.rot(change.name, usize::try_from(place / 8 % written).expect("within a file"), (place % 8) as u8);
}

impl Sink for Machine {
    fn push(&self, answer: Answer) {
        let mut state = self.state();
        let ticket = answer.ticket;
        let acknowledged_dead = state.dead && answer.ok && !state.orders.contains(&ticket);
        let twice = state.answers.insert(ticket, answer).is_some();
        if twice || acknowledged_dead {
            state.wrongly_answered.push(ticket);
        }
    }

    fn wake(&self) {
        drop(self.state());
        self.watcher.changed.notify_all();
    }
}
