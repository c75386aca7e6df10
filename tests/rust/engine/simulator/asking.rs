//! What a simulated hub is asked in a round, as jobs on their way, and the answers on theirs to the auditor.
//!
//! Invariant: requests are sent, and answers read, in an order that the seed alone decides.
//! Leaves out: when frames are written between them (`life`), what the keeper answers (`keeping`).

use std::collections::BTreeSet;
use std::hash::Hash as _;
use std::sync::Arc;

use medsettle_engine::{Answer, BATCH, Job};
use medsettle_wire::Reason;

use super::auditor::Auditor;
use super::batch;
use super::life::{Course, Life};
use super::machine::Worker;
use super::town::{Ask, Plan, Round};
use super::world::Place;

/// One job with the requests in it.
pub(super) struct OnItsWay {
    pub(super) ticket: u64,
    pub(super) places: Vec<usize>,
    is_batch: bool,
}

impl Life<'_> {
    /// Requests of a round.
    pub(super) fn asks(&mut self) -> Vec<Ask> {
        let Course { rng, auditor, .. } = &mut *self.course;
        let wanted = if rng.u32(..6) == 0 { rng.usize(8..13) } else { rng.usize(1..5) };
        let (mut asks, mut busy) = (Vec::new(), BTreeSet::new());
        while asks.len() < wanted {
            if rng.u32(..5) == 0
                && let Some(again) = auditor.again(rng, &busy)
            {
                busy.extend(again.plan.who());
                asks.push(again);
                continue;
            }
            let Auditor { town, books, .. } = &mut *auditor;
            let balance_fen = |who| books.balance_fen(who);
            let mut round = Round { rng, busy, balance_fen: &balance_fen };
            let next = town.next(&mut round);
            busy = round.busy;
            let twice = next.len() == 1 && rng.u32(..10) == 0;
            asks.extend(next.iter().cloned());
            if twice {
                asks.extend(next);
            }
        }
        asks
    }

    /// Single requests, and now and then some of them as one batch, or an empty commit among them.
    pub(super) fn jobs(&mut self) -> Vec<Vec<Ask>> {
        let mut jobs: Vec<Vec<Ask>> = Vec::new();
        for ask in self.asks() {
            let joins = |job: &Vec<Ask>| job[0].place == ask.place && batch::takes(&ask) && batch::takes(&job[0]);
            match jobs.last_mut() {
                Some(last) if joins(last) && self.course.rng.u32(..4) == 0 => last.push(ask),
                _ => jobs.push(vec![ask]),
            }
        }
        if let Some(order) = self.order() {
            jobs.insert(self.course.rng.usize(..=jobs.len()), vec![order]);
        }
        jobs
    }

    /// Send a job; what the keeper answers is waited for elsewhere.
    pub(super) fn send_into(&mut self, job: &[Ask], sent: &mut Vec<OnItsWay>) -> u64 {
        let on_its_way = self.send(job);
        let ticket = on_its_way.ticket;
        if job[0].plan == Plan::Order {
            self.orders.push(on_its_way);
        } else {
            sent.push(on_its_way);
        }
        ticket
    }

    pub(super) fn send(&mut self, asks: &[Ask]) -> OnItsWay {
        let stamp_ms = self.course.stamp_ms;
        let places = asks.iter().map(|ask| self.course.auditor.send(ask, stamp_ms)).collect();
        self.course.tickets += 1;
        let ticket = self.course.tickets;
        if asks[0].plan == Plan::Order {
            self.machine.expect_of_keeper(ticket);
        }
        let place = asks[0].place;
        let is_batch = asks.len() > 1;
        let (operation, request) =
            if is_batch { (BATCH, batch::encode(asks)) } else { (asks[0].operation.number(), asks[0].request.clone()) };
        self.commands += asks.len() as u64;
        self.dispatch(ticket, place, operation, request);
        OnItsWay { ticket, places, is_batch }
    }

    pub(super) fn dispatch(&self, ticket: u64, place: Place, operation: u32, request: Vec<u8>) {
        let (roles, institution) = (place.roles(), place.code().to_owned());
        self.engine.send(Job { ticket, operation, roles, institution, request, sink: Arc::new(self.machine.clone()) });
    }

    /// Hand the answers of a round to the auditor, in the order in which they were asked.
    pub(super) fn receive(&mut self, sent: Vec<OnItsWay>, closed: Option<Reason>) {
        for OnItsWay { ticket, places, is_batch } in sent {
            let answer = self.machine.take_answer(ticket).expect("waited for");
            (ticket, answer.ok, &answer.bytes).hash(&mut self.course.trace);
            if is_batch && answer.ok {
                let results = batch::results(&answer.bytes);
                assert_eq!(results.len(), places.len());
                for (place, answer) in places.into_iter().zip(results) {
                    self.course.auditor.receive(place, answer, closed);
                }
            } else {
                for place in places {
                    self.course.auditor.receive(place, answer.clone(), closed);
                }
            }
        }
        let is_ordered = |ticket: &u64| self.orders.iter().any(|order| order.ticket == *ticket);
        assert!(self.machine.unclaimed().iter().all(is_ordered), "answers that nobody waits for");
        if !self.machine.is_dead() && !self.is_halted {
            let written = self.machine.waiting(Worker::Writer);
            assert_eq!(written, None, "everybody is answered, and a frame is still to be written");
            self.course.auditor.close_round();
        }
    }

    /// Ask one thing that needs no frame.
    pub(super) fn ask(&mut self, ask: Ask) -> Answer {
        let sent = self.send(&[ask]);
        let (ticket, place) = (sent.ticket, sent.places[0]);
        self.machine.until_answered(&[ticket]);
        self.receive(vec![sent], None);
        self.course.auditor.history[place].answer.clone().expect("answered")
    }
}
