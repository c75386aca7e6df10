//! Commands made ready beside the deciding thread: taken apart, decoded, their rights checked, their cryptograms verified together.
//!
//! Invariant: what comes out is in the order in which it came in, and nothing here depends on the state.
//! Invariant: rights are checked for every command, single, batched or embedded, before anything else is done with it.
//! Invariant: a panic here is INTERNAL for one command, or for those of one batch that showed a card; nothing was decided by it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_channel::{Receiver, Sender};
use medsettle_core::command::{ARC_APPROVED, Verdict};
use medsettle_core::hub::Actor;
use medsettle_core::ids::InstitutionCode;
use medsettle_cryptogram::{Request as CryptogramRequest, Verdict as CryptogramVerdict, Verifier};
use medsettle_wire::decode::{CryptogramCheck, Decoded, EngineRequest, MadeKey, Proof, decode, split_batch};
use medsettle_wire::{Operation, Reason, Refused, encode_refusal, refusal, rights};

use super::panic_message;
use crate::engine::{BATCH, EMPTY_COMMIT, Job, Shared, log};
use crate::keyring::{IssuerKey, KeyRing};
use crate::limits::PREPARED_COMMANDS;
use crate::reply::{Waiter, refused};

/// A command that can be decided, or what is wrong with it.
pub(crate) type Prepared = Result<Ready, Vec<u8>>;

pub(crate) struct Ready {
    pub(super) operation: Operation,
    pub(super) actor: Actor,
    pub(super) decoded: Decoded,
    pub(super) verdict: Verdict,
}

/// A job taken apart.
pub(crate) enum Work {
    Empty,
    One(Prepared),
    Many(Vec<(Option<Operation>, Prepared)>),
    Refused(Vec<u8>),
}

/// Jobs that are ready to be decided, in their order.
pub(crate) type Batch = Vec<(Waiter, Work)>;

/// Everything that the preparing thread owns.
pub(crate) struct Preparer {
    keys: Option<Arc<KeyRing>>,
    verifier: Verifier,
    shared: Arc<Shared>,
}

impl Preparer {
    pub(crate) fn new(keys: Option<Arc<KeyRing>>, shared: Arc<Shared>) -> Self {
        Self { keys, verifier: Verifier::new(), shared }
    }

    /// Work until the queue is closed. Who decides takes every batch until then, also after a halt.
    pub(crate) fn run(&mut self, jobs: &Receiver<Job>, ready: &Sender<Batch>) {
        for job in jobs {
            let batch = self.prepare(job, jobs);
            // Who waits in a batch that nobody takes is told when it is dropped.
            if ready.send(batch).is_err() {
                return;
            }
        }
    }

    /// What is queued is the batch; no timer holds anybody back.
    fn prepare(&mut self, first: Job, jobs: &Receiver<Job>) -> Batch {
        let (mut batch, mut commands) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(job) = next {
            let (waiter, work) = take_apart(job, &self.shared);
            commands += work.len();
            batch.push((waiter, work));
            next = if commands < PREPARED_COMMANDS { jobs.try_recv().ok() } else { None };
        }
        self.verify(&mut batch);
        batch
    }

    /// Verify the cryptograms of the whole batch in one call.
    fn verify(&mut self, batch: &mut [(Waiter, Work)]) {
        let keys = self.keys.as_deref();
        let mut ready: Vec<(&mut Verdict, &CryptogramCheck, &IssuerKey)> = Vec::new();
        for prepared in batch.iter_mut().flat_map(|(_, work)| work.commands_mut()) {
            match &prepared.decoded {
                Decoded::Core { proof: Some(Proof::Cryptogram(check)), .. } => match key_of(keys, check) {
                    Some(key) => ready.push((&mut prepared.verdict, check, key)),
                    None => prepared.verdict = Verdict::SchemeNotAllowed,
                },
                Decoded::Core { proof: Some(Proof::Token(check)), .. } => {
                    let signed = keys.is_some_and(|keys| keys.has_signed(check));
                    prepared.verdict = if signed { Verdict::Signed } else { Verdict::Invalid };
                }
                Decoded::Core { proof: Some(Proof::MadeKey(made)), .. } if !may_be_made(keys, made) => {
                    prepared.verdict = Verdict::SchemeNotAllowed;
                }
                _ => {}
            }
        }
        let requests: Vec<CryptogramRequest<'_>> = ready.iter().map(|(_, check, key)| request(check, key)).collect();
        let mut verdicts = Vec::with_capacity(requests.len());
        let verifier = &mut self.verifier;
        let verified = catch_unwind(AssertUnwindSafe(|| verifier.verify(&requests, ARC_APPROVED, &mut verdicts)));
        if let Err(panic) = verified {
            self.shared.metrics.panics.fetch_add(1, Relaxed);
            log(&format!("verifying cryptograms panicked: {}", panic_message(&*panic)));
            withhold(batch);
            return;
        }
        for ((verdict, ..), found) in ready.iter_mut().zip(verdicts) {
            **verdict = match found {
                CryptogramVerdict::Valid(session) => Verdict::Valid { arpc: session.arpc_method_1() },
                CryptogramVerdict::Invalid => Verdict::Invalid,
            };
        }
    }
}

impl Work {
    fn len(&self) -> usize {
        match self {
            Self::Many(commands) => commands.len(),
            Self::Empty | Self::One(_) | Self::Refused(_) => 1,
        }
    }

    fn commands_mut(&mut self) -> impl Iterator<Item = &mut Ready> {
        self.prepared_mut().filter_map(|prepared| prepared.as_mut().ok())
    }

    fn prepared_mut(&mut self) -> Box<dyn Iterator<Item = &mut Prepared> + '_> {
        match self {
            Self::One(prepared) => Box::new(std::iter::once(prepared)),
            Self::Many(commands) => Box::new(commands.iter_mut().map(|(_, prepared)| prepared)),
            Self::Empty | Self::Refused(_) => Box::new(std::iter::empty()),
        }
    }
}

fn take_apart(job: Job, shared: &Shared) -> (Waiter, Work) {
    let Job { ticket, operation, roles, institution, request, sink } = job;
    let work = match InstitutionCode::parse(&institution) {
        None => Work::Refused(refused(Reason::CertificateNotAccepted)),
        Some(_) if operation == EMPTY_COMMIT => Work::Empty,
        Some(institution) => {
            let actor = Actor { institution, roles };
            if operation == BATCH {
                split(actor, &request, shared).unwrap_or_else(Work::Refused)
            } else {
                Work::One(prepare_number(operation, actor, &request, shared))
            }
        }
    };
    (Waiter::new(ticket, sink), work)
}

fn split(actor: Actor, request: &[u8], shared: &Shared) -> Result<Work, Vec<u8>> {
    let commands =
        caught(shared, "splitting", "a batch", || split_batch(request).map_err(|refused| encode_refusal(&refused)))?;
    let prepare_one = |command| match command {
        Ok((operation, bytes)) => (Some(operation), prepare(operation, actor, bytes, shared)),
        Err(refused) => (None, Err(encode_refusal(&refused))),
    };
    Ok(Work::Many(commands.into_iter().map(prepare_one).collect()))
}

fn prepare_number(operation: u32, actor: Actor, request: &[u8], shared: &Shared) -> Prepared {
    match Operation::from_number(operation) {
        Some(operation) => prepare(operation, actor, request, shared),
        None => Err(refused(Reason::MethodNotAvailable)),
    }
}

/// Decode a command and check its caller's right to it.
fn prepare(operation: Operation, actor: Actor, bytes: &[u8], shared: &Shared) -> Prepared {
    let decode_and_check = || {
        // Who may not ask learns nothing about the request.
        if !rights::holds_one_of(actor.roles, operation) {
            return Err(Refused::role_forbidden(operation));
        }
        let decoded = decode(operation, bytes)?;
        let right = match &decoded {
            Decoded::Core { request, .. } => rights::check(operation, &actor, request),
            Decoded::Engine(
                EngineRequest::Status { .. }
                | EngineRequest::TakeJournal { .. }
                | EngineRequest::TakeSnapshot { .. }
                | EngineRequest::Digest,
            ) => rights::check_header(operation, &actor, None),
            Decoded::Engine(EngineRequest::ConfirmClock(header) | EngineRequest::Snapshot(header)) => {
                rights::check_header(operation, &actor, Some(header))
            }
        };
        right.map_err(|reject| about(&refusal(&reject), operation, &decoded))?;
        Ok(Ready { operation, actor, decoded, verdict: Verdict::NotPresented })
    };
    caught(shared, "decoding", operation, || decode_and_check().map_err(|refused: Refused| encode_refusal(&refused)))
}

/// A verdict that there is not must not count against a card: whoever showed one is told that it was no fault of theirs.
fn withhold(batch: &mut [(Waiter, Work)]) {
    for prepared in batch.iter_mut().flat_map(|(_, work)| work.prepared_mut()) {
        let shows =
            matches!(prepared, Ok(Ready { decoded: Decoded::Core { proof: Some(Proof::Cryptogram(_)), .. }, .. }));
        if shows {
            *prepared = Err(refused(Reason::Internal));
        }
    }
}

/// Do something that changes nothing. A panic in it is INTERNAL for the one command, and nobody else's matter.
pub(super) fn caught<T>(
    shared: &Shared,
    doing: &str,
    what: impl fmt::Display,
    work: impl FnOnce() -> Result<T, Vec<u8>>,
) -> Result<T, Vec<u8>> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        shared.metrics.panics.fetch_add(1, Relaxed);
        log(&format!("{doing} {what} panicked: {}", panic_message(&*panic)));
        Err(refused(Reason::Internal))
    })
}

fn about(refused: &Refused, operation: Operation, decoded: &Decoded) -> Refused {
    match decoded {
        Decoded::Core { request, .. } => refused.clone().about(operation, request),
        Decoded::Engine(_) => refused.clone(),
    }
}

/// Whether the cryptograms of a chip that shall be made could be told. A hub without an issuer's key tells none, and cannot know which
/// key another hub has.
fn may_be_made(keys: Option<&KeyRing>, made: &MadeKey) -> bool {
    let Some(keys) = keys.filter(|keys| keys.issuers().len() > 0) else { return true };
    u8::try_from(made.key_index).is_ok_and(|index| keys.find(&made.pan, made.scheme, index).is_some())
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

#[cfg(test)]
mod tests {
    use medsettle_core::command::{Query, Request};
    use medsettle_core::ids::{Hash32, RequestId};
    use medsettle_cryptogram::{Cryptogram, Pan, Scheme, SequenceNumber, SignedFields, TransactionDate};

    use super::*;
    use crate::reply::{Answer, Sink};

    struct Nobody;

    impl Sink for Nobody {
        fn push(&self, _: Answer) {}

        fn wake(&self) {}
    }

    fn ready(proof: Option<Proof>) -> Ready {
        let request = Request::Query(Query::GetOutcome { request_id: RequestId::parse("q-1").unwrap() });
        let institution = InstitutionCode::parse("H11010500001").unwrap();
        Ready {
            operation: Operation::MessagesGetOutcome,
            actor: Actor { institution, roles: 0 },
            decoded: Decoded::Core { request, digest: Hash32::default(), proof },
            verdict: Verdict::NotPresented,
        }
    }

    fn shown() -> Proof {
        let fields = SignedFields {
            amount_fen: 1,
            other_amount_fen: 0,
            terminal_country: 156,
            tvr: [0; 5],
            currency: 156,
            transaction_date: TransactionDate::new(2026, 3, 2).unwrap(),
            transaction_type: 0,
            unpredictable_number: [0; 4],
            aip: [0; 2],
            atc: 1,
            cvr: None,
        };
        Proof::Cryptogram(CryptogramCheck {
            scheme: Scheme::PbocSm4,
            key_index: 1,
            pan: Pan::new("9156000000001").unwrap(),
            sequence_number: SequenceNumber::new(0).unwrap(),
            atc: 1,
            data: fields.encode().unwrap(),
            cryptogram: Cryptogram([0; 8]),
        })
    }

    #[test]
    fn where_no_verdict_came_about_cards_are_told_so_and_what_showed_none_goes_on() {
        let works = [
            Work::One(Ok(ready(Some(shown())))),
            Work::Many(vec![(None, Ok(ready(None))), (None, Ok(ready(Some(shown()))))]),
            Work::One(Ok(ready(None))),
        ];
        let waiter = || Waiter::new(1, Arc::new(Nobody) as Arc<dyn Sink>);
        let mut batch: Vec<_> = works.into_iter().map(|work| (waiter(), work)).collect();
        withhold(&mut batch);
        let internal: Vec<_> = batch
            .iter_mut()
            .flat_map(|(_, work)| work.prepared_mut())
            .map(|prepared| prepared.as_ref().err().map(|refusal| *refusal == refused(Reason::Internal)))
            .collect();
        assert_eq!(internal, [Some(true), None, Some(true), None]);
    }
}
