//! Prepared commands, decided one after the other.
//!
//! Invariant: order within a batch is the order of arrival; one bad command never spoils its neighbours.

use std::sync::atomic::Ordering::Relaxed;

use medsettle_core::command::{Outcome, Reply, Request, Verdict};
use medsettle_core::fact::Record;
use medsettle_core::hub::{Actor, Context, Decision};
use medsettle_core::ids::{CardId, Hash32, RegionCode};
use medsettle_core::pin::{HashedPin, ShownPin};
use medsettle_wire::bound::bound;
use medsettle_wire::decode::{Decoded, EngineRequest, Proof};
use medsettle_wire::encode::{HubStatus, encode_reply, encode_status};
use medsettle_wire::record::encode_record;
use medsettle_wire::{Operation, Reason, Refused, encode_refusal, refusal};

use super::Pipeline;
use super::encode::Answer;
use super::prepare::{Prepared, Ready, Work, caught};
use crate::index::FirstAnswer;
use crate::keeper::Order;
use crate::keyring::KeyRing;
use crate::limits::MAX_BATCH_ANSWER_BYTES;
use crate::reply::{Frame, Part, Parts, Waiter, refused};

impl Pipeline {
    /// Decide what waits, in its order, until the frame is full.
    pub(super) fn decide_backlog(&mut self) {
        while self.has_room() {
            let Some((waiter, work)) = self.backlog.pop_front() else { return };
            match work {
                Work::Empty => {
                    let part = self.empty_commit().unwrap_or_else(Part::Refusal);
                    self.push(waiter, Parts::One(part));
                }
                Work::Refused(refusal) => self.push(waiter, Parts::One(Part::Refusal(refusal))),
                Work::One(Ok(Ready { decoded: Decoded::Engine(EngineRequest::Snapshot(_)), .. }))
                    if self.shared.is_full(&self.disk) =>
                {
                    // It would wait for room in the index, or find none itself.
                    self.shared.metrics.refused.fetch_add(1, Relaxed);
                    self.push(waiter, Parts::One(Part::Refusal(refused(Reason::DiskFull))));
                }
                Work::One(Ok(Ready { decoded: Decoded::Engine(EngineRequest::Snapshot(_)), .. })) => {
                    self.take_order(waiter, |waiter| Order::Snapshot(Some(waiter)));
                }
                Work::One(Ok(Ready { decoded: Decoded::Engine(EngineRequest::Digest), .. })) => {
                    self.take_order(waiter, Order::Digest);
                }
                Work::One(prepared) => {
                    let part = self.decide(prepared);
                    self.push(waiter, Parts::One(part));
                }
                Work::Many(commands) => {
                    let parts = self.decide_many(commands);
                    let (sequence, frame) = (self.hub.sequence(), self.shown());
                    self.push(waiter, Parts::Many { sequence, frame, parts });
                }
            }
        }
    }

    /// Leave to the keeper what is asked of the whole state.
    fn take_order(&mut self, waiter: Waiter, order: impl FnOnce(Waiter) -> Order) {
        if self.shared.take_order() {
            self.orders.push(order(waiter));
        } else {
            self.shared.metrics.refused.fetch_add(1, Relaxed);
            self.push(waiter, Parts::One(Part::Refusal(refused(Reason::Overloaded))));
        }
    }

    /// Decide the commands of one message in their order, as long as their answers may travel together.
    fn decide_many(&mut self, commands: Vec<(Option<Operation>, Prepared)>) -> Vec<(Option<Operation>, Part)> {
        let before = self.filling.answer_bytes;
        let decide = |(operation, prepared)| {
            let size = self.filling.answer_bytes - before;
            let part = if size < MAX_BATCH_ANSWER_BYTES {
                self.decide(prepared)
            } else {
                Part::Refusal(encode_refusal(&Refused::too_large(MAX_BATCH_ANSWER_BYTES, size)))
            };
            (operation, part)
        };
        commands.into_iter().map(decide).collect()
    }

    fn decide(&mut self, prepared: Prepared) -> Part {
        let decided = prepared.and_then(|ready| {
            if self.shared.halt.reason().is_some() {
                return Err(refused(Reason::Halted));
            }
            let Ready { operation, actor, decoded, verdict } = ready;
            match decoded {
                Decoded::Engine(request) => self.engine_request(operation, &request),
                Decoded::Core { request, digest, proof } => {
                    self.decide_core(operation, actor, &request, digest, verdict, proof.as_ref())
                }
            }
        });
        let part = decided.unwrap_or_else(Part::Refusal);
        self.filling.commands += 1;
        self.filling.answer_bytes += part.len();
        let counter = match part {
            Part::Decided { .. } | Part::Response { .. } | Part::Outcome { .. } => &self.shared.metrics.answered,
            Part::Refusal(_) => &self.shared.metrics.refused,
        };
        counter.fetch_add(1, Relaxed);
        part
    }

    fn decide_core(
        &mut self,
        operation: Operation,
        actor: Actor,
        request: &Request,
        digest: Hash32,
        verdict: Verdict,
        proof: Option<&Proof>,
    ) -> Result<Part, Vec<u8>> {
        let stamp = self.stamp(matches!(request, Request::Command(..)));
        let context = Context {
            stamp_ms: stamp.unwrap_or_else(|_| self.last_stamp_ms()),
            sequence: self.hub.sequence() + 1,
            actor,
            operation: operation.number(),
            digest,
            verdict,
            pin: &PinToHash { keys: self.keys.as_deref(), proof },
            records: &self.index,
        };
        let decision = caught(&self.shared, "deciding", operation, || Ok(self.hub.decide(request, &context)))?;
        match (decision, stamp) {
            // What was decided is told again, also while nothing new may be decided.
            (Decision::Replay { sequence }, _) => {
                self.shared.metrics.replayed.fetch_add(1, Relaxed);
                Ok(self.first_answer(sequence))
            }
            (_, Err(reason)) => Err(refused(reason)),
            (Decision::Refuse(reject), _) => Err(encode_refusal(&refusal(&reject).about(operation, request))),
            (Decision::Answer(reply), _) => Ok(self.show(operation, &reply)),
            (Decision::Commit(record, reply), _) => self.commit(operation, record, reply),
            (Decision::RefuseWith(record, reject), _) => {
                let refusal = encode_refusal(&refusal(&reject).about(operation, request));
                self.commit_measured(record, refusal.clone())?;
                Err(refusal)
            }
        }
    }

    /// The stamp of the frame that is being filled. Without a trusted clock or room on disk nothing is changed.
    fn stamp(&mut self, mutating: bool) -> Result<i64, Reason> {
        if !mutating {
            let now_ms = self.filling.stamp_ms.or_else(|| self.trusted_now());
            return Ok(now_ms.unwrap_or_else(|| self.last_stamp_ms()));
        }
        if self.shared.is_full(&self.disk) {
            return Err(Reason::DiskFull);
        }
        self.filling.stamp_ms.or_else(|| self.trusted_now()).ok_or(Reason::ClockSuspect)
    }

    /// What is still certain when the clock is not; a hub without history has no stamp yet.
    fn last_stamp_ms(&self) -> i64 {
        self.clock.last_stamp_ms().max(0)
    }

    /// Now, unless the clock is under suspicion; who asks for the engine's state learns it.
    fn trusted_now(&mut self) -> Option<i64> {
        let now_ms = self.clock.stamp().ok();
        self.shared.note_clock(now_ms.is_some());
        now_ms
    }

    /// The response to the record of a sequence, given again; or its refusal.
    fn first_answer(&self, sequence: u64) -> Part {
        let FirstAnswer { body, refused, frame } = self.index.first_answer(sequence);
        if refused {
            return Part::Refusal(body);
        }
        Part::Response { sequence, frame: frame.map_or(Frame::Next, Frame::Known), replayed: true, body }
    }

    /// An answer that changes nothing.
    fn show(&self, operation: Operation, reply: &Reply) -> Part {
        let (sequence, frame) = (self.hub.sequence(), self.shown());
        if let Reply::Outcome { outcome, .. } = *reply {
            let original = match outcome {
                Outcome::Accepted { sequence, .. } | Outcome::Refused { sequence, .. } => {
                    Some(Box::new(self.first_answer(sequence)))
                }
                Outcome::Unknown | Outcome::Reversed { .. } => None,
            };
            return Part::Outcome { sequence, frame, outcome, original };
        }
        let mut body = Vec::new();
        encode_reply(operation, reply, &mut body);
        Part::Response { sequence, frame, replayed: false, body }
    }

    /// Put a record with its response into the frame that is being filled, and apply it.
    fn commit(&mut self, operation: Operation, record: Box<Record>, reply: Reply) -> Result<Part, Vec<u8>> {
        let sequence = record.sequence;
        match bound(&record, &reply).and_then(|bound| Some((bound, self.max_body_len.checked_sub(bound)?))) {
            Some((bound, room)) if self.body_is_within(room) => {
                self.apply_bounded(record, Answer::Reply(operation, reply), bound)?;
            }
            _ => {
                let mut answer = Vec::new();
                encode_reply(operation, &reply, &mut answer);
                self.commit_measured(record, answer)?;
            }
        }
        Ok(Part::Decided { sequence })
    }

    /// The same where it has to be encoded to know whether it fits.
    fn commit_measured(&mut self, record: Box<Record>, answer: Vec<u8>) -> Result<(), Vec<u8>> {
        let mut encoded = Vec::new();
        encode_record(&record, &answer, &mut encoded);
        let (size, limit) = (encoded.len(), self.max_body_len);
        if size > limit {
            return Err(encode_refusal(&Refused::too_large(limit, size)));
        }
        if !self.body_is_within(limit - size) {
            return Err(refused(Reason::Overloaded));
        }
        self.apply_bounded(record, Answer::Encoded { record: encoded, answer }, size)
    }

    fn apply_bounded(&mut self, record: Box<Record>, answer: Answer, bound: usize) -> Result<(), Vec<u8>> {
        let Record { sequence, stamp_ms, .. } = *record;
        self.apply(record, answer, bound).map_err(|()| refused(Reason::Halted))?;
        self.body.add(sequence, bound);
        self.filling.records += 1;
        self.filling.stamp_ms.get_or_insert(stamp_ms);
        self.shared.metrics.records.fetch_add(1, Relaxed);
        Ok(())
    }

    /// A frame without a record.
    fn empty_commit(&mut self) -> Result<Part, Vec<u8>> {
        let stamp_ms = self.stamp(true).map_err(refused)?;
        self.filling.stamp_ms.get_or_insert(stamp_ms);
        self.filling.empty_wanted = true;
        let sequence = self.hub.sequence();
        Ok(Part::Response { sequence, frame: Frame::Next, replayed: false, body: Vec::new() })
    }

    fn engine_request(&mut self, operation: Operation, request: &EngineRequest) -> Result<Part, Vec<u8>> {
        let mut body = Vec::new();
        match request {
            EngineRequest::Status { seen_sequence } => {
                self.trusted_now();
                let home_regions: Vec<RegionCode> = self.hub.home_regions().collect();
                let status = HubStatus {
                    state: self.shared.state(&self.disk),
                    hub_number: self.hub.number().get(),
                    frame_number: self.frames,
                    version: env!("CARGO_PKG_VERSION"),
                    persons: self.hub.person_count() as u64,
                    open_stays: self.hub.open_stay_count() as u64,
                    halt_reason: &self.shared.halt_reason(),
                    home_regions: &home_regions,
                    seen_chain_hash: self.index.frame_of(*seen_sequence).map(|seen| seen.hash.0),
                };
                encode_status(&status, &mut body);
            }
            EngineRequest::ConfirmClock(_) => {
                self.clock.confirm();
                self.trusted_now();
            }
            // Many may stand in one message; each would hold a view of the state.
            EngineRequest::Snapshot(_) | EngineRequest::Digest
            // Files are read elsewhere; what asks for it is sent there before it is queued here.
            | EngineRequest::TakeJournal { .. }
            | EngineRequest::TakeSnapshot { .. } => return Err(encode_refusal(&Refused::not_available(operation))),
        }
        Ok(Part::Response { sequence: self.hub.sequence(), frame: self.shown(), replayed: false, body })
    }
}

/// The PIN of a request; it is hashed when its card is known.
struct PinToHash<'a> {
    keys: Option<&'a KeyRing>,
    proof: Option<&'a Proof>,
}

impl ShownPin for PinToHash<'_> {
    fn hashed(&self, card: CardId) -> Option<HashedPin> {
        let Some(Proof::Pin(pin)) = self.proof else { return None };
        Some(self.keys?.pin_key()?.hash(card, pin))
    }
}
