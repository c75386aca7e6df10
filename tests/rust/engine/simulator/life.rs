//! One life of a simulated hub: it opens, is audited, works in rounds, and dies at a moment that the seed chose.
//!
//! A round is one request that fills a frame, and others that come while that frame is being written; the next frame takes
//! them together. Every call of the writer and the preparer is granted here, one after the other, so the same seed gives the
//! same frames.
//!
//! Invariant: nothing is granted before the hub is quiet: all that was sent is decided, or waits for what is granted next.

use std::collections::BTreeMap;
use std::hash::Hash as _;
use std::thread;

use fastrand::Rng;
use medsettle_core::rows::StateDigest;
use medsettle_engine::journal::frame::BLOCK_LEN;
use medsettle_engine::storage::simulated::Failure;
use medsettle_engine::{EMPTY_COMMIT, Engine};
use medsettle_wire::encode::HubState;
use medsettle_wire::{Reason, v1};
use prost::Message as _;

use super::Tally;
use super::asking::OnItsWay;
use super::auditor::Auditor;
use super::books::Books;
use super::damage::Content;
use super::machine::{Fault, Machine, Worker};
use super::town::{Plan, digest};
use super::world::Place;
use crate::support::{Time, counted};
use crate::watched::Call;

/// Calls of the hub to its disk go wrong once in so many.
const FAULT_IN: u32 = 40;

/// A step that no hub believes, and how far a clock may step without being doubted.
const HOUR_MS: i64 = 3_600_000;
const TOLERATED_MS: i64 = 4_000;

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    /// The machine died; or the hub halted and its process was ended.
    Died,
    Closed,
}

/// What stays the same over all lives of one seed.
pub(super) struct Course {
    pub(super) rng: Rng,
    pub(super) auditor: Auditor,
    pub(super) time: Time,
    pub(super) wall_ms: i64,
    /// The stamp that the hub's clock has reached.
    pub(super) stamp_ms: i64,
    /// How far the wall clock is from where it was when the hub opened, against the monotonic one.
    pub(super) departed_ms: i64,
    pub(super) tickets: u64,
    pub(super) trace: std::hash::DefaultHasher,
    pub(super) faults: bool,
    /// Snapshots and digests are ordered now and then.
    pub(super) orders: bool,
    /// What the journal holds, found by whoever folded the whole of it.
    pub(super) left: Content,
    /// The sequence of the newest snapshot that somebody was told of.
    pub(super) snapshot_told: u64,
    /// Digests of the state behind sequences, as snapshots tell them.
    pub(super) digests: BTreeMap<u64, StateDigest>,
    pub(super) tally: Tally,
}

/// A running hub.
pub(super) struct Life<'a> {
    pub(super) course: &'a mut Course,
    pub(super) machine: Machine,
    pub(super) engine: Engine,
    /// Commands that were sent so far, every one of a batch.
    pub(super) commands: u64,
    /// Orders that nobody sent: the journal had grown.
    automatic: u64,
    /// Snapshots and digests that were asked for and not answered.
    pub(super) orders: Vec<OnItsWay>,
    /// How many orders the hub had when it was quiet last.
    pub(super) busy: u64,
    /// The keeper is known to wait for leave.
    pub(super) keeper_waits: bool,
    /// What the keeper met since the oldest of the orders was given.
    pub(super) met: Vec<Fault>,
    pub(super) is_halted: bool,
    /// No further segment comes: the hub halts when it needs one.
    preparer_failed: bool,
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        // The engine joins its threads, and after a violation nobody grants them anything any more.
        if thread::panicking() {
            self.machine.die();
        }
    }
}

impl<'a> Life<'a> {
    pub(super) fn of(course: &'a mut Course, machine: Machine, engine: Engine) -> Self {
        Self {
            course,
            machine,
            engine,
            commands: 0,
            automatic: 0,
            orders: Vec::new(),
            busy: 0,
            keeper_waits: false,
            met: Vec::new(),
            is_halted: false,
            preparer_failed: false,
        }
    }

    /// Work until the end that the seed chose.
    pub(super) fn live(&mut self) -> Ending {
        if !self.prepare() {
            return Ending::Died;
        }
        self.settle();
        self.audit();
        for _ in 0..self.course.rng.u32(2..9) {
            if !self.round() {
                return Ending::Died;
            }
            if self.is_halted {
                self.says_that_it_halted();
                return Ending::Died;
            }
        }
        if self.course.rng.u32(..4) == 0 { Ending::Closed } else { Ending::Died }
    }

    /// Let the preparer make its segment, if it wants to; false if the machine died of it.
    fn prepare(&mut self) -> bool {
        // A hub that opened prepares the segment behind the active one, unless it lies there already.
        if !self.machine.preparer_is_due() {
            return true;
        }
        let mut named = false;
        // A preparer that forgets to make the name durable comes no more; the next power cut tells.
        while let Some(call) = self.machine.preparer_waits(named) {
            named = call == Call::Rename;
            let fault = match call {
                Call::Write { .. } if self.course.faults && self.course.rng.u32(..200) == 0 => Fault::NoSpace,
                _ => self.fault(call),
            };
            self.note(Worker::Preparer, call, fault);
            self.machine.grant(Worker::Preparer, fault);
            match fault {
                Fault::DiesBefore | Fault::DiesAfter => {
                    self.machine.die();
                    return false;
                }
                Fault::NoSpace => {
                    if !self.disk_full() {
                        return false;
                    }
                }
                Fault::Fails(_) => {
                    self.preparer_failed = true;
                    break;
                }
                Fault::Works if call == Call::SyncDirectory => break,
                Fault::Works | Fault::Rots(_) => {}
            }
        }
        self.machine.preparer_is_done();
        true
    }

    /// The preparer found no space: new work is refused, everything else goes on, and with space so does the work.
    fn disk_full(&mut self) -> bool {
        self.until(|engine| engine.state() == HubState::DiskFull);
        let asks = self.asks();
        let sent: Vec<OnItsWay> = asks.into_iter().map(|ask| self.send(&[ask])).collect();
        let tickets: Vec<u64> = sent.iter().map(|sent| sent.ticket).collect();
        self.machine.until_answered(&tickets);
        self.receive(sent, Some(Reason::DiskFull));
        if self.course.rng.u32(..4) == 0 {
            self.machine.die();
            return false;
        }
        let call = self.machine.until_waiting(Worker::Preparer);
        self.note(Worker::Preparer, call, Fault::Works);
        self.machine.grant(Worker::Preparer, Fault::Works);
        self.until(|engine| engine.state() == HubState::Serving);
        true
    }

    /// Requests that come while others are being written; false if the machine died meanwhile.
    fn round(&mut self) -> bool {
        let closed = self.turn_clock();
        let mut jobs = self.jobs().into_iter();
        let mut sent = Vec::new();
        self.automatic = self.decided() - self.commands;
        // One after the other, until one has a frame that is being written.
        for job in jobs.by_ref() {
            let ticket = self.send_into(&job, &mut sent);
            if job[0].plan == Plan::Order {
                self.until_decided();
                continue;
            }
            let tickets = [ticket];
            if !self.machine.until_writing_or_answered(&tickets) {
                continue;
            }
            if self.course.rng.bool() {
                let call = self.machine.until_waiting(Worker::Writer);
                if !self.grant(call) {
                    return self.bury(sent, closed);
                }
                self.machine.until_writing_or_answered(&tickets);
            }
            break;
        }
        // The others come meanwhile.
        for job in jobs {
            self.send_into(&job, &mut sent);
        }
        self.until_decided();
        let tickets: Vec<u64> = sent.iter().map(|sent| sent.ticket).collect();
        while self.machine.until_writing_or_answered(&tickets) {
            if !self.keep_meanwhile() {
                return self.bury(sent, closed);
            }
            let call = self.machine.until_waiting(Worker::Writer);
            if !self.grant(call) {
                return self.bury(sent, closed);
            }
        }
        self.is_halted |= self.preparer_failed && self.engine.state() == HubState::Halted;
        self.receive(sent, closed);
        if closed == Some(Reason::ClockSuspect) {
            self.course.time.step_wall(-HOUR_MS);
        }
        self.is_halted || (self.prepare() && self.keep_quietly())
    }

    /// Commands that were decided and orders that were taken, by whomever they were given.
    fn decided(&self) -> u64 {
        ["answered", "refused", "orders"].iter().map(|name| counted(&self.engine, name)).sum()
    }

    /// Wait until all that was sent is decided.
    fn until_decided(&self) {
        let expected = self.commands + self.automatic;
        self.until(|engine| engine.state() == HubState::Halted || self.decided() >= expected);
    }

    /// Let time pass, or let the clock step a little, or far; the reason why new work is refused, if it is.
    fn turn_clock(&mut self) -> Option<Reason> {
        let Course { rng, time, wall_ms, stamp_ms, departed_ms, .. } = &mut *self.course;
        let by_ms = rng.i64(1..2_000);
        time.pass(by_ms);
        *wall_ms += by_ms;
        if rng.u32(..30) == 0 {
            time.step_wall(HOUR_MS);
            return Some(Reason::ClockSuspect);
        }
        if rng.u32(..5) == 0 {
            let by_ms = rng.i64(-TOLERATED_MS..TOLERATED_MS) - *departed_ms;
            time.step_wall(by_ms);
            *wall_ms += by_ms;
            *departed_ms += by_ms;
        }
        *stamp_ms = (*stamp_ms).max(*wall_ms);
        None
    }

    /// What becomes of a call.
    fn fault(&mut self, call: Call) -> Fault {
        let rng = &mut self.course.rng;
        // Names are made and long frames are written once in twenty calls.
        let is_long = |call| matches!(call, Call::Write { len, .. } if len > BLOCK_LEN && len <= 4 * BLOCK_LEN);
        let is_rare = matches!(call, Call::Create | Call::SyncDirectory) || is_long(call);
        let one_in = if is_rare { FAULT_IN / 8 } else { FAULT_IN };
        if !self.course.faults || rng.u32(..one_in) != 0 {
            return Fault::Works;
        }
        match rng.u32(..4) {
            0 => Fault::DiesBefore,
            1 => Fault::DiesAfter,
            2 => Fault::Fails(Failure::InputOutput),
            _ => {
                let len = if let Call::Write { len, .. } = call { len } else { 8_192 };
                Fault::Fails(Failure::Short(512 * rng.usize(..len / 512)))
            }
        }
    }

    /// Grant the writer's call; false if the machine died of it.
    fn grant(&mut self, call: Call) -> bool {
        let fault = self.fault(call);
        self.note(Worker::Writer, call, fault);
        self.machine.grant(Worker::Writer, fault);
        self.is_halted |= matches!(fault, Fault::Fails(_));
        !matches!(fault, Fault::DiesBefore | Fault::DiesAfter)
    }

    fn note(&mut self, worker: Worker, call: Call, fault: Fault) {
        (worker, call, format!("{fault:?}")).hash(&mut self.course.trace);
    }

    /// The machine died: whoever waits will never know.
    fn bury(&mut self, sent: Vec<OnItsWay>, closed: Option<Reason>) -> bool {
        self.machine.die();
        let tickets: Vec<u64> = sent.iter().map(|sent| sent.ticket).collect();
        self.machine.until_answered(&tickets);
        self.receive(sent, closed);
        false
    }

    /// A hub that halted says so to everybody, for ever.
    fn says_that_it_halted(&mut self) {
        assert_eq!(self.engine.state(), HubState::Halted, "after a call that failed");
        self.course.tickets += 1;
        let ticket = self.course.tickets;
        self.dispatch(ticket, Place::Office, EMPTY_COMMIT, Vec::new());
        self.machine.until_answered(&[ticket]);
        let answer = self.machine.take_answer(ticket).expect("waited for");
        assert!(!answer.ok && crate::caller::reason(&answer) == Reason::Halted);
    }

    /// Compare the hub with the journal, folded from its first frame on, and with the auditor's books.
    fn audit(&mut self) {
        let answer = self.ask(digest());
        self.course.tally.digests += 1;
        let found = v1::OperationsDigestResponse::decode(&*answer.bytes).expect("a digest");
        assert_eq!(found.digest, self.course.left.digest.0.to_be_bytes(), "the state is not that of the whole journal");
        self.settle();
        let Course { rng, auditor, .. } = &mut *self.course;
        for (key, ask) in auditor.doubts(rng) {
            let answer = self.ask(ask);
            self.course.auditor.resolve(&key, &answer);
        }
        self.course.auditor.close_round();
        let checks = Books::checks(&self.course.auditor.town);
        for (check, ask) in checks {
            let answer = self.ask(ask);
            self.course.auditor.books.check(check, &answer);
        }
    }

    /// Wait for something that the hub does by itself and tells nobody.
    #[track_caller]
    pub(super) fn until(&self, holds: impl Fn(&Engine) -> bool) {
        let given_up = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !holds(&self.engine) {
            assert!(std::time::Instant::now() < given_up, "the hub does not go on");
            thread::yield_now();
        }
    }
}
