//! The journal as witness: every answer is what the rules give at its place in the journal, and the places are in real time's order.
//!
//! Invariant: an acknowledged id stands in the journal once, at the sequence that its reply named.
//! Invariant: what was answered before another was asked stands before it, and what reads show was there.
//! Invariant: nothing stands there that nobody asked for.

use std::collections::{BTreeMap, BTreeSet};

use medsettle_core::command::{ARC_APPROVED, Reply, Request, Verdict};
use medsettle_core::hub::{Context, Decision, Hub};
use medsettle_core::ids::{Hash32, HubNumber};
use medsettle_core::pin::NoPin;
use medsettle_core::records::MemoryRecords;
use medsettle_core::rows::StateDigest;
use medsettle_cryptogram::{Derivation, Request as Signed, Verdict as Checked, reference};
use medsettle_engine::Answer;
use medsettle_wire::decode::{Decoded, Proof, decode};
use medsettle_wire::encode::encode_reply;
use medsettle_wire::record::StoredRecord;
use medsettle_wire::{Operation, Reason, encode_refusal, refusal, v1};
use prost::Message as _;

use super::auditor::{Auditor, Key, Sent};
use super::town::Ask;
use super::world::Place;
use crate::caller::{as_first, header, reason};
use crate::support::{config, issuer_key};
use crate::witness::{Frame, sequences_by_institution};

/// What a journal and a history of requests say of each other.
pub(super) struct Replay<'a> {
    hub: Hub,
    records: MemoryRecords,
    /// Accepted commands, and those refused for ever, by id.
    commands: BTreeMap<Key, Vec<&'a Sent>>,
    /// Reads by the sequence that they show.
    reads: BTreeMap<u64, Vec<&'a Sent>>,
    /// Refusals that left nothing behind, which must be right at one place at least of those where they may stand.
    refusals: Vec<&'a Sent>,
    refused_for_ever: BTreeSet<Key>,
    /// What snapshots say of the state behind a sequence.
    digests: &'a BTreeMap<u64, StateDigest>,
}

/// Check a journal whose first `founding` records were there before.
pub(super) fn check(auditor: &Auditor, digests: &BTreeMap<u64, StateDigest>, frames: &[Frame], founding: u64) {
    check_positions(auditor, frames, founding);
    check_headers(auditor, frames);
    let mut replay = Replay::of(auditor, digests);
    replay.see();
    for stored in frames.iter().flat_map(|frame| &frame.records) {
        if stored.record.sequence > founding {
            replay.decide_again(stored);
        }
        replay.records.observe(&stored.record, &replay.hub);
        replay.hub.apply(&stored.record);
        replay.see();
    }
    let wrong = replay.refusals.first();
    assert!(wrong.is_none(), "no place in the journal gives this refusal: {:?}", wrong.map(|sent| told(sent)));
}

/// Every acknowledged id once and where its reply says; nothing else; real time's order.
fn check_positions(auditor: &Auditor, frames: &[Frame], founding: u64) {
    let mut found = sequences_by_institution(frames);
    found.retain(|_, sequence| *sequence > founding);
    let known = auditor.positions();
    for ((place, id), sequence) in &known {
        let stands = found.remove(&(place.code().to_owned(), id.clone()));
        assert_eq!(stands, Some(*sequence), "{id} was acknowledged at {sequence}");
    }
    let refused = auditor.refused_for_ever();
    found.retain(|(institution, id), _| {
        !Place::ALL.iter().any(|place| place.code() == institution && refused.contains(&(*place, id.clone())))
    });
    assert_eq!(found, BTreeMap::new(), "nobody was told of this");

    let mut calls: Vec<(u64, u64, u64)> = auditor.history.iter().filter_map(interval).collect();
    calls.sort_unstable();
    // Of all that returned before a call was invoked, the highest position lies before that of the call.
    let mut returned: Vec<(u64, u64)> = calls.iter().map(|(_, returned, position)| (*returned, *position)).collect();
    returned.sort_unstable();
    let (mut highest, mut next) = (0, 0);
    for (invoked, _, position) in calls {
        while next < returned.len() && returned[next].0 < invoked {
            highest = highest.max(returned[next].1);
            next += 1;
        }
        assert!(position > highest, "{position} was asked after {highest} was answered");
    }
}

/// When an executed command was under way, and its position.
fn interval(sent: &Sent) -> Option<(u64, u64, u64)> {
    let answer = sent.answer.as_ref().filter(|answer| answer.ok && sent.ask.id.is_some())?;
    let header = header(answer);
    (!header.replayed).then_some((sent.invoked, sent.returned, header.sequence))
}

/// The hash in a header is that of the frame that holds, or shows, the sequence in it.
fn check_headers(auditor: &Auditor, frames: &[Frame]) {
    let mut ends = BTreeMap::new();
    let mut last = 0;
    for frame in frames {
        let before = last;
        last = frame.records.last().map_or(last, |stored| stored.record.sequence);
        ends.insert(frame.hash, (before, last, frame.stamp_ms));
    }
    for sent in &auditor.history {
        let Some(answer) = sent.answer.as_ref().filter(|answer| answer.ok) else { continue };
        let header = header(answer);
        let hash: [u8; 32] = header.chain_hash.as_slice().try_into().expect("32 bytes");
        let (before, last, stamp_ms) = *ends.get(&hash).unwrap_or_else(|| panic!("{} shows a lost frame", told(sent)));
        let shown = header.sequence <= last
            && (header.sequence > before || (sent.ask.id.is_none() && header.sequence == before));
        assert!(shown, "{} names a frame that has {before} to {last}", told(sent));
        assert_eq!(header.stamp_ms, stamp_ms, "{}", told(sent));
        assert!(
            header.replayed || header.sequence >= sent.low,
            "{} shows an older state than was told before",
            told(sent)
        );
    }
}

impl<'a> Replay<'a> {
    fn of(auditor: &'a Auditor, digests: &'a BTreeMap<u64, StateDigest>) -> Self {
        let number: HubNumber = config().hub;
        let mut replay = Self {
            hub: Hub::new(number, 7),
            records: MemoryRecords::default(),
            commands: BTreeMap::new(),
            reads: BTreeMap::new(),
            refusals: Vec::new(),
            refused_for_ever: auditor.refused_for_ever(),
            digests,
        };
        for sent in &auditor.history {
            let Some(answer) = &sent.answer else { continue };
            let key = sent.ask.id.clone().map(|id| (sent.ask.place, id));
            match key {
                None => replay.reads.entry(header(answer).sequence).or_default().push(sent),
                Some(key) if answer.ok => replay.commands.entry(key).or_default().push(sent),
                Some(key) if replay.refused_for_ever.contains(&key) && reason(answer) == Reason::CryptogramInvalid => {
                    replay.commands.entry(key).or_default().push(sent);
                }
                Some(_) => match reason(answer) {
                    Reason::ClockSuspect | Reason::DiskFull | Reason::RoleForbidden => {}
                    _ => replay.refusals.push(sent),
                },
            }
        }
        replay
    }

    /// Decide a command anew at its place: the same record, the same answer.
    fn decide_again(&self, stored: &StoredRecord) {
        let place = Place::ALL.iter().find(|place| place.code() == stored.record.institution.as_str());
        let key = (*place.expect("one of three"), stored.record.request_id.as_str().to_owned());
        // Asked by one whose hub died over it, it has no answer to compare; but then an outcome was asked for and compared.
        let Some(sent) = self.commands.get(&key).and_then(|sent| sent.first()) else { return };
        let (decision, request) = self.decide(&sent.ask, stored.record.stamp_ms);
        match decision {
            Decision::Commit(record, reply) => {
                assert_eq!(*record, stored.record, "{}", told(sent));
                let mut body = Vec::new();
                encode_reply(sent.ask.operation, &reply, &mut body);
                assert_eq!(body, stored.response, "{}", told(sent));
                for sent in &self.commands[&key] {
                    assert_eq!(as_first(answer(sent)).1, body, "{}", told(sent));
                }
            }
            Decision::RefuseWith(record, reject) => {
                assert_eq!(*record, stored.record, "{}", told(sent));
                let refused = encode_refusal(&refusal(&reject).about(sent.ask.operation, &request));
                assert_eq!(refused, stored.response, "{}", told(sent));
                for sent in &self.commands[&key] {
                    assert_eq!(answer(sent).bytes, refused, "{}", told(sent));
                }
            }
            other => panic!("{} stands at {}, where it gives {other:?}", told(sent), stored.record.sequence),
        }
    }

    /// Compare what reads saw of this state, and strike the refusals that are right in it.
    fn see(&mut self) {
        if let Some(digest) = self.digests.get(&self.hub.sequence()) {
            assert_eq!(self.hub.digest(), *digest, "a snapshot behind {} holds another state", self.hub.sequence());
        }
        for sent in self.reads.remove(&self.hub.sequence()).unwrap_or_default() {
            let operation = sent.ask.operation;
            match operation {
                Operation::OperationsStatus | Operation::OperationsSnapshot => continue,
                Operation::OperationsDigest => {
                    let told = v1::OperationsDigestResponse::decode(&*answer(sent).bytes).expect("a digest");
                    assert_eq!(told.digest, self.hub.digest().0.to_be_bytes(), "the digest at {}", self.hub.sequence());
                    continue;
                }
                _ => {}
            }
            let (Decision::Answer(reply), _) = self.decide(&sent.ask, sent.stamp_ms) else {
                panic!("{} is not answered at {}", told(sent), self.hub.sequence())
            };
            // An outcome tells another answer, which the auditor compares.
            if let Reply::Outcome { .. } = reply {
                continue;
            }
            let mut body = Vec::new();
            encode_reply(operation, &reply, &mut body);
            assert_eq!(as_first(answer(sent)).1, body, "{} at {}", told(sent), self.hub.sequence());
        }
        let here = self.hub.sequence();
        let refusals = std::mem::take(&mut self.refusals);
        let is_wrong_here = |sent: &&Sent| {
            let may_stand = sent.low <= here && here <= sent.high;
            !(may_stand && self.refuses(sent))
        };
        let left = refusals.into_iter().filter(is_wrong_here).collect();
        self.refusals = left;
    }

    fn refuses(&self, sent: &Sent) -> bool {
        let (decision, request) = self.decide(&sent.ask, sent.stamp_ms);
        let Decision::Refuse(reject) = decision else { return false };
        encode_refusal(&refusal(&reject).about(sent.ask.operation, &request)) == answer(sent).bytes
    }

    fn decide(&self, ask: &Ask, stamp_ms: i64) -> (Decision, Request) {
        let decoded = decode(ask.operation, &ask.request).expect("well formed");
        let Decoded::Core { request, digest, proof } = decoded else { panic!("{} is of the engine", ask.operation) };
        let decision = self.hub.decide(&request, &self.context(ask, digest, proof.as_ref(), stamp_ms));
        (decision, request)
    }

    fn context(&self, ask: &Ask, digest: Hash32, proof: Option<&Proof>, stamp_ms: i64) -> Context<'_> {
        Context {
            stamp_ms,
            sequence: self.hub.sequence() + 1,
            actor: ask.place.actor(),
            operation: ask.operation.number(),
            digest,
            verdict: verdict(proof),
            pin: &NoPin,
            records: &self.records,
        }
    }
}

fn verdict(proof: Option<&Proof>) -> Verdict {
    let Some(Proof::Cryptogram(check)) = proof else { return Verdict::NotPresented };
    let signed = Signed {
        scheme: check.scheme,
        derivation: Derivation::default(),
        key: &issuer_key(),
        pan: check.pan,
        sequence_number: check.sequence_number,
        atc: check.atc,
        data: check.data.as_bytes(),
        cryptogram: check.cryptogram,
    };
    let mut verdicts = Vec::new();
    // Not by the engine's lanes: what witnesses them is another implementation.
    reference::verify(&[signed], ARC_APPROVED, &mut verdicts);
    match &verdicts[0] {
        Checked::Valid(session) => Verdict::Valid { arpc: session.arpc_method_1() },
        Checked::Invalid => Verdict::Invalid,
    }
}

fn answer(sent: &Sent) -> &Answer {
    sent.answer.as_ref().expect("only what was answered is compared")
}

fn told(sent: &Sent) -> String {
    format!("{} {}", sent.ask.operation, sent.ask.id.as_deref().unwrap_or("read"))
}
