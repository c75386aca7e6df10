//! What a simulated hub keeps: snapshots and digests that are ordered, the keeper's calls between those of the writer, and answers.
//!
//! The keeper is granted a call only when it is known to wait for one: while the hub is quiet, or in a task whose earlier calls were
//! granted one by one. Between two tasks it is left alone until the hub is quiet again, for only then is it certain that it has them.
//!
//! Invariant: what the keeper meets never touches the journal: the hub goes on serving, and tells whoever ordered.

use std::hash::Hash as _;
use std::mem::discriminant;
use std::thread;

use medsettle_engine::storage::simulated::Failure;
use medsettle_engine::{Answer, Engine};
use medsettle_wire::{Operation, Reason, v1};
use prost::Message as _;

use super::asking::OnItsWay;
use super::life::Life;
use super::machine::{Fault, Worker};
use super::town::{Ask, digest, snapshot};
use super::world::Place;
use crate::caller::{header, reason};
use crate::support::counted;
use crate::watched::Call;

/// Calls of the keeper go wrong once in so many: a snapshot takes eight, and so does every segment that is archived.
const FAULT_IN: u32 = 70;

/// Orders that a hub takes before it refuses more.
const MOST_ORDERS: u64 = 4;

/// Orders that the keeper has, or will have.
fn unfinished(engine: &Engine) -> u64 {
    counted(engine, "orders") - counted(engine, "orders_finished")
}

impl Life<'_> {
    /// Wait until all that is durable is known to be, and the keeper waits for leave or has nothing to do. Then hear what it has to say.
    pub(super) fn settle(&mut self) {
        let durable = self.machine.durable();
        self.until(|engine| counted(engine, "frames") >= durable);
        let machine = self.machine.clone();
        self.until(|engine| machine.waiting(Worker::Keeper).is_some() || unfinished(engine) == 0);
        self.keeper_waits = self.machine.waiting(Worker::Keeper).is_some();
        self.receive_orders();
    }

    /// An order for the round that begins: a digest only if the keeper has nothing else to do, so that it is there at once.
    pub(super) fn order(&mut self) -> Option<Ask> {
        let idle = unfinished(&self.engine) == 0;
        let rng = &mut self.course.rng;
        if !self.course.orders {
            return None;
        }
        match rng.u32(..10) {
            0 | 1 => Some(snapshot(&mut self.course.auditor.town)),
            2 if idle => Some(digest()),
            _ => None,
        }
    }

    /// Let the keeper make some calls, or none, while others wait; false if the machine died of it.
    pub(super) fn keep_meanwhile(&mut self) -> bool {
        while self.keeper_waits && self.course.rng.u32(..3) == 0 {
            if !self.keep() {
                return false;
            }
        }
        true
    }

    /// The hub is quiet: let the keeper go on for a while; false if the machine died of it.
    pub(super) fn keep_quietly(&mut self) -> bool {
        self.settle();
        let calls = [0, 4, 20, 80][self.course.rng.usize(..4)];
        for _ in 0..calls {
            if !self.keeper_waits {
                break;
            }
            if !self.keep() {
                return false;
            }
            self.settle();
        }
        true
    }

    /// Let the keeper do all that was ordered; false if the machine died, now or before.
    pub(super) fn finish_keeping(&mut self) -> bool {
        if self.machine.is_dead() || self.is_halted {
            return false;
        }
        self.settle();
        while self.keeper_waits {
            if !self.keep() {
                return false;
            }
            self.settle();
        }
        true
    }

    /// Grant the call that the keeper waits for; false if the machine died of it.
    fn keep(&mut self) -> bool {
        let call = self.machine.waiting(Worker::Keeper).expect("it waits");
        let fault = self.keeper_fault(call);
        // How long a write is depends on the order of rows, which is another in every process.
        (Worker::Keeper, discriminant(&call), format!("{fault:?}")).hash(&mut self.course.trace);
        self.met.push(fault);
        let finished = counted(&self.engine, "orders_finished");
        self.machine.grant(Worker::Keeper, fault);
        if matches!(fault, Fault::DiesBefore | Fault::DiesAfter) {
            self.machine.die();
            return false;
        }
        let machine = self.machine.clone();
        let goes_on = |engine: &Engine| counted(engine, "orders_finished") == finished;
        self.until(|engine| machine.waiting(Worker::Keeper).is_some() || !goes_on(engine));
        self.keeper_waits = goes_on(&self.engine);
        true
    }

    fn keeper_fault(&mut self, call: Call) -> Fault {
        let rng = &mut self.course.rng;
        // What a medium does to a file before it is read back, and what dies between a name and the sync that makes it last.
        let one_in = if matches!(call, Call::Sync | Call::SyncDirectory) { FAULT_IN / 4 } else { FAULT_IN };
        if !self.course.faults || rng.u32(..one_in) != 0 {
            return Fault::Works;
        }
        match (rng.u32(..4), call) {
            (0, _) => Fault::DiesBefore,
            (1, _) => Fault::DiesAfter,
            (_, Call::Sync) => Fault::Rots(rng.u64(..)),
            (2, Call::Create | Call::Write { .. }) => Fault::NoSpace,
            _ => Fault::Fails(Failure::InputOutput),
        }
    }

    /// Read the answers to orders, in the order in which they were given.
    fn receive_orders(&mut self) {
        for order in std::mem::take(&mut self.orders) {
            match self.machine.take_answer(order.ticket) {
                Some(answer) => self.hear(&order, answer),
                None => self.orders.push(order),
            }
        }
        if self.orders.is_empty() {
            self.met.clear();
        }
        self.busy = unfinished(&self.engine);
    }

    fn hear(&mut self, order: &OnItsWay, answer: Answer) {
        (order.ticket, answer.ok, &answer.bytes).hash(&mut self.course.trace);
        let place = order.places[0];
        let operation = self.course.auditor.history[place].ask.operation;
        if answer.ok {
            if operation == Operation::OperationsSnapshot {
                let cut = v1::OperationsSnapshotResponse::decode(&*answer.bytes).expect("a snapshot");
                assert_eq!(cut.snapshot_sequence, header(&answer).sequence);
                self.course.snapshot_told = self.course.snapshot_told.max(cut.snapshot_sequence);
            } else {
                self.course.tally.digests += 1;
            }
            return self.course.auditor.receive(place, answer, None);
        }
        let why = reason(&answer);
        let right = match why {
            // The journal may have asked for one or two since.
            Reason::Overloaded => self.busy + 2 >= MOST_ORDERS,
            Reason::DiskFull => self.met.contains(&Fault::NoSpace),
            Reason::Internal => self.met.iter().any(|fault| matches!(fault, Fault::Fails(_) | Fault::Rots(_))),
            _ => false,
        };
        assert!(right, "{operation} was refused: {why}, after {:?}", self.met);
    }

    /// Close a hub whose keeper is at work: that ends where it may be left.
    pub(super) fn close_at_work(&mut self) {
        self.course.tally.closed_at_work += u64::from(self.keeper_waits);
        let (engine, machine) = (&self.engine, &self.machine);
        thread::scope(|scope| {
            let closing = scope.spawn(|| engine.close());
            // Once nobody is let in any more, the keeper sees at its next look that the hub is closing.
            let status = v1::OperationsStatusRequest::default().encode_to_vec();
            let is_let_in = |ticket| {
                self.dispatch(ticket, Place::Office, Operation::OperationsStatus.number(), status.clone());
                machine.until_answered(&[ticket]);
                machine.take_answer(ticket).expect("waited for").ok
            };
            let mut ticket = u64::MAX / 2;
            while is_let_in(ticket) {
                ticket += 1;
            }
            while !closing.is_finished() {
                if machine.waiting(Worker::Keeper).is_some() {
                    machine.grant(Worker::Keeper, Fault::Works);
                }
                thread::yield_now();
            }
        });
    }

    /// End the process. Whoever ordered something is told at last, also that it will not come.
    pub(super) fn bury_orders(mut self) {
        self.engine.close();
        for OnItsWay { ticket, .. } in std::mem::take(&mut self.orders) {
            assert!(self.machine.take_answer(ticket).is_some(), "an order that nobody answered");
        }
        assert_eq!(self.machine.unclaimed(), [0; 0], "answers that nobody waits for");
    }
}
