//! One batch of commands: decoded, verified together, decided one after the other.
//!
//! Invariant: rights are checked for every command, single, batched or embedded, before anything else is done with it.
//! Invariant: order within a batch is the order of arrival; one bad command never spoils its neighbours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use medsettle_core::command::{ARC_APPROVED, Outcome, Reply, Request, Verdict};
use medsettle_core::hub::{Actor, Context, Decision};
use medsettle_core::ids::{Hash32, InstitutionCode, RegionCode};
use medsettle_cryptogram::{Request as CryptogramRequest, Verdict as CryptogramVerdict, verify};
use medsettle_wire::decode::{CryptogramCheck, Decoded, EngineRequest, decode, split_batch};
use medsettle_wire::encode::{HubStatus, encode_header, encode_outcome, encode_reply, encode_status};
use medsettle_wire::record::encode_record;
use medsettle_wire::{Operation, Reason, Refused, encode_refusal, refusal, rights};

use super::{Pipeline, panic_message};
use crate::engine::{BATCH, EMPTY_COMMIT, Job, log};
use crate::keyring::{IssuerKey, KeyRing};
use crate::reply::{Frame, Part, Parts, Waiter, refused};

/// A command that can be decided, or what is wrong with it.
pub(super) type Prepared = Result<Ready, Vec<u8>>;

pub(super) struct Ready {
    operation: Operation,
    actor: Actor,
    decoded: Decoded,
    verdict: Verdict,
}

/// A job taken apart.
pub(super) enum Work {
    Empty,
    One(Prepared),
    Many(Vec<(Option<Operation>, Prepared)>),
    Refused(Vec<u8>),
}

impl Pipeline {
    /// Decode and verify a batch, so that it can be decided.
    pub(super) fn queue_batch(&mut self, jobs: Vec<Job>) {
        let mut batch: Vec<(Waiter, Work)> = jobs.into_iter().map(take_apart).collect();
        self.verify(&mut batch);
        self.backlog.extend(batch);
    }

    /// Decide what waits, in its order, until the frame is full.
    pub(super) fn decide_backlog(&mut self) {
        while self.has_room() {
            let Some((waiter, work)) = self.backlog.pop_front() else { return };
            match work {
                Work::Empty => self.empty_commit(waiter),
                Work::Refused(refusal) => self.push(waiter, Parts::One(Part::Refusal(refusal))),
                Work::One(prepared) => {
                    let part = self.decide(prepared);
                    self.push(waiter, Parts::One(part));
                }
                Work::Many(commands) => {
                    let parts = commands.into_iter().map(|(of, prepared)| (of, self.decide(prepared))).collect();
                    let (sequence, frame) = (self.hub.sequence(), self.shown());
                    self.push(waiter, Parts::Many { sequence, frame, parts });
                }
            }
        }
    }

    /// Verify the cryptograms of the whole batch in one call.
    fn verify(&mut self, batch: &mut [(Waiter, Work)]) {
        let keys = self.keys.as_ref();
        let mut ready: Vec<(&mut Verdict, &CryptogramCheck, &IssuerKey)> = Vec::new();
        for prepared in batch.iter_mut().flat_map(|(_, work)| work.commands_mut()) {
            let Decoded::Core { presentation: Some(check), .. } = &prepared.decoded else { continue };
            match key_of(keys, check) {
                Some(key) => ready.push((&mut prepared.verdict, check, key)),
                None => prepared.verdict = Verdict::SchemeNotAllowed,
            }
        }
        let requests: Vec<CryptogramRequest<'_>> = ready.iter().map(|(_, check, key)| request(check, key)).collect();
        let mut verdicts = Vec::with_capacity(requests.len());
        let verified = catch_unwind(AssertUnwindSafe(|| verify(&requests, &mut verdicts)));
        if verified.is_err() {
            // Nothing was decided by it: without a verdict every presentation of the batch is refused.
            self.shared.metrics.panics.fetch_add(1, Relaxed);
            return;
        }
        for ((verdict, ..), found) in ready.iter_mut().zip(verdicts) {
            **verdict = match found {
                CryptogramVerdict::Valid(session) => Verdict::Valid { arpc: session.arpc_method_1(ARC_APPROVED) },
                CryptogramVerdict::Invalid => Verdict::Invalid,
            };
        }
    }

    fn decide(&mut self, prepared: Prepared) -> Part {
        let decided = prepared.and_then(|ready| {
            if self.shared.halt.reason().is_some() {
                return Err(refused(Reason::Halted));
            }
            let Ready { operation, actor, decoded, verdict } = ready;
            match decoded {
                Decoded::Engine(request) => Ok(self.engine_request(&request)),
                Decoded::Core { request, digest, .. } => self.decide_core(operation, actor, &request, digest, verdict),
            }
        });
        let part = decided.unwrap_or_else(Part::Refusal);
        self.filling.commands += 1;
        let counter = match part {
            Part::Response { .. } => &self.shared.metrics.answered,
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
    ) -> Result<Part, Vec<u8>> {
        let context = Context {
            stamp_ms: self.stamp(matches!(request, Request::Command(..)))?,
            sequence: self.hub.sequence() + 1,
            actor,
            operation: operation.number(),
            digest,
            verdict,
            records: &self.history.records,
        };
        let decided = catch_unwind(AssertUnwindSafe(|| self.hub.decide(request, &context)));
        match decided {
            Ok(Decision::Refuse(reject)) => Err(encode_refusal(&refusal(&reject).about(operation, request))),
            Ok(decision) => self.carry_out(operation, decision),
            Err(panic) => {
                self.shared.metrics.panics.fetch_add(1, Relaxed);
                log(&format!("deciding {operation} panicked: {}", panic_message(&*panic)));
                Err(refused(Reason::Internal))
            }
        }
    }

    /// The stamp of the frame that is being filled. Without a trusted clock or room on disk nothing is changed.
    fn stamp(&mut self, mutating: bool) -> Result<i64, Vec<u8>> {
        let refuse = |reason| Err(refused(reason));
        if !mutating {
            return Ok(self.filling.stamp_ms.or_else(|| self.trusted_now()).unwrap_or(self.clock.last_stamp_ms()));
        }
        if self.disk.is_full() {
            return refuse(Reason::DiskFull);
        }
        if let Some(stamp_ms) = self.filling.stamp_ms {
            return Ok(stamp_ms);
        }
        self.trusted_now().map_or_else(|| refuse(Reason::ClockSuspect), Ok)
    }

    /// Now, unless the clock is under suspicion; who asks for the engine's state learns it.
    fn trusted_now(&mut self) -> Option<i64> {
        let now_ms = self.clock.stamp().ok();
        self.shared.note_clock(now_ms.is_some());
        now_ms
    }

    fn carry_out(&mut self, operation: Operation, decision: Decision) -> Result<Part, Vec<u8>> {
        match decision {
            Decision::Refuse(_) => unreachable!("refusals were answered before"),
            Decision::Replay { sequence } => {
                self.shared.metrics.replayed.fetch_add(1, Relaxed);
                let (body, frame) = self.history.response(sequence);
                Ok(Part::Response { sequence, frame: frame.map_or(Frame::Next, Frame::Known), replayed: true, body })
            }
            Decision::Answer(reply) => {
                let mut body = Vec::new();
                self.encode(operation, &reply, &mut body);
                Ok(Part::Response { sequence: self.hub.sequence(), frame: self.shown(), replayed: false, body })
            }
            Decision::Commit(record, reply) => {
                let mut body = Vec::with_capacity(512);
                self.encode(operation, &reply, &mut body);
                let before = self.filling.body.len();
                encode_record(&record, &body, &mut self.filling.body);
                if self.filling.body.len() > self.chain.max_body_len() {
                    // It was not applied, so taking its bytes off undoes it.
                    self.filling.body.truncate(before);
                    let alone = before == 0;
                    return Err(refused(if alone { Reason::RequestTooLarge } else { Reason::Overloaded }));
                }
                self.apply(&record, &body).map_err(|()| refused(Reason::Halted))?;
                self.filling.records += 1;
                self.filling.stamp_ms.get_or_insert(record.stamp_ms);
                self.shared.metrics.records.fetch_add(1, Relaxed);
                Ok(Part::Response { sequence: record.sequence, frame: Frame::Next, replayed: false, body })
            }
        }
    }

    fn encode(&self, operation: Operation, reply: &Reply, body: &mut Vec<u8>) {
        let Reply::Outcome { outcome, .. } = reply else {
            return encode_reply(operation, reply, body);
        };
        let mut original = Vec::new();
        if let Outcome::Accepted { sequence, .. } = outcome {
            let (response, frame) = self.history.response(*sequence);
            let seen = frame.unwrap_or(self.last);
            encode_header(*sequence, &seen.hash.0, seen.stamp_ms, true, &mut original);
            original.extend_from_slice(&response);
        }
        encode_outcome(outcome, &original, body);
    }

    fn engine_request(&mut self, request: &EngineRequest) -> Part {
        let mut body = Vec::new();
        match request {
            EngineRequest::Status => {
                self.trusted_now();
                let home_regions: Vec<RegionCode> = self.hub.home_regions().collect();
                let status = HubStatus {
                    state: self.shared.state(&self.disk),
                    hub_number: self.hub.number().get(),
                    frame_number: self.chain.tail().number,
                    version: env!("CARGO_PKG_VERSION"),
                    persons: self.hub.person_count() as u64,
                    open_stays: self.hub.open_stay_count() as u64,
                    halt_reason: &self.shared.halt_reason(),
                    home_regions: &home_regions,
                };
                encode_status(&status, &mut body);
            }
            EngineRequest::ConfirmClock(_) => {
                self.clock.confirm();
                self.trusted_now();
            }
        }
        Part::Response { sequence: self.hub.sequence(), frame: self.shown(), replayed: false, body }
    }
}

impl Work {
    fn commands_mut(&mut self) -> Box<dyn Iterator<Item = &mut Ready> + '_> {
        match self {
            Self::One(prepared) => Box::new(prepared.as_mut().ok().into_iter()),
            Self::Many(commands) => Box::new(commands.iter_mut().filter_map(|(_, prepared)| prepared.as_mut().ok())),
            Self::Empty | Self::Refused(_) => Box::new(std::iter::empty()),
        }
    }
}

fn take_apart(job: Job) -> (Waiter, Work) {
    let Job { ticket, operation, roles, institution, request, sink } = job;
    let work = match InstitutionCode::parse(&institution) {
        None => Work::Refused(refused(Reason::CertificateNotAccepted)),
        Some(_) if operation == EMPTY_COMMIT => Work::Empty,
        Some(institution) => {
            let actor = Actor { institution, roles };
            if operation == BATCH {
                split(actor, &request)
            } else {
                Work::One(prepare_number(operation, actor, &request))
            }
        }
    };
    (Waiter::new(ticket, sink), work)
}

fn split(actor: Actor, request: &[u8]) -> Work {
    match split_batch(request) {
        Err(refused) => Work::Refused(encode_refusal(&refused)),
        Ok(commands) => {
            let prepare_one = |command| match command {
                Ok((operation, bytes)) => (Some(operation), prepare(operation, actor, bytes)),
                Err(refused) => (None, Err(encode_refusal(&refused))),
            };
            Work::Many(commands.into_iter().map(prepare_one).collect())
        }
    }
}

fn prepare_number(operation: u32, actor: Actor, request: &[u8]) -> Prepared {
    match Operation::from_number(operation) {
        Some(operation) => prepare(operation, actor, request),
        None => Err(refused(Reason::MethodNotAvailable)),
    }
}

/// Decode a command and check its caller's right to it. A panic is this command's own fault and nobody else's.
fn prepare(operation: Operation, actor: Actor, bytes: &[u8]) -> Prepared {
    let prepared = catch_unwind(AssertUnwindSafe(|| {
        let decoded = decode(operation, bytes)?;
        let right = match &decoded {
            Decoded::Core { request, .. } => rights::check(operation, &actor, request),
            Decoded::Engine(EngineRequest::Status) => rights::check_header(operation, &actor, None),
            Decoded::Engine(EngineRequest::ConfirmClock(header)) => {
                rights::check_header(operation, &actor, Some(header))
            }
        };
        right.map_err(|reject| about(&refusal(&reject), operation, &decoded))?;
        Ok(Ready { operation, actor, decoded, verdict: Verdict::NotPresented })
    }));
    let prepared = prepared.unwrap_or_else(|_| Err(Refused::new(Reason::Internal)));
    prepared.map_err(|refused| encode_refusal(&refused))
}

fn about(refused: &Refused, operation: Operation, decoded: &Decoded) -> Refused {
    match decoded {
        Decoded::Core { request, .. } => refused.clone().about(operation, request),
        Decoded::Engine(_) => refused.clone(),
    }
}

fn key_of<'a>(keys: Option<&'a KeyRing>, check: &CryptogramCheck) -> Option<&'a IssuerKey> {
    keys?.find(&check.pan, check.scheme, u8::try_from(check.key_index).ok()?)
}

fn request<'a>(check: &'a CryptogramCheck, key: &'a IssuerKey) -> CryptogramRequest<'a> {
    CryptogramRequest {
        scheme: check.scheme,
        derivation: key.attributes().derivation,
        key: key.master_key(),
        pan: check.pan,
        sequence_number: check.sequence_number,
        atc: check.atc,
        data: check.data.as_bytes(),
        cryptogram: check.cryptogram,
    }
}
