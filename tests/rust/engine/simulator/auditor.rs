//! The auditor: books kept from requests and replies alone, held against every later answer of the hub.
//!
//! Invariant: it never looks at the hub's state or files; what it knows was sent to it, or asked from it, by encoded messages.
//! Invariant: an id has one first answer, for ever; what was acknowledged is never asked about in vain.
//! Leaves out: the order of everything (`replay`).

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use medsettle_engine::Answer;
use medsettle_wire::v1::messages_get_outcome_response::Outcome;
use medsettle_wire::{Reason, v1};
use prost::Message;

use super::books::Books;
use super::town::{Ask, Expect, Plan, Town, outcome, reuse};
use super::world::{Place, World};
use crate::caller::{as_first, header, reason};

/// A request that was sent, by the auditor's own reading of time and order.
pub(super) struct Sent {
    pub(super) ask: Ask,
    pub(super) invoked: u64,
    pub(super) returned: u64,
    /// It was decided behind this sequence, which had been acknowledged before, and not behind that one.
    pub(super) low: u64,
    pub(super) high: u64,
    /// The time by which the hub decides.
    pub(super) stamp_ms: i64,
    /// None where the hub died over it.
    pub(super) answer: Option<Answer>,
}

/// The first answer to a request.
enum First {
    Response { header: v1::ResponseHeader, body: Vec<u8> },
    Refusal(Vec<u8>),
}

struct Request {
    ask: Ask,
    first: Option<First>,
    in_doubt: bool,
    reversed: bool,
}

pub(super) type Key = (Place, String);

/// What the auditor knows.
pub(super) struct Auditor {
    pub(super) town: Town,
    pub(super) books: Books,
    pub(super) history: Vec<Sent>,
    requests: BTreeMap<Key, Request>,
    order: Vec<Key>,
    /// Asked, or answered, since the hub was last audited.
    recent: BTreeSet<Key>,
    reversed_unseen: BTreeSet<Key>,
    clock: u64,
    /// The highest sequence that was acknowledged.
    pub(super) acknowledged: u64,
    /// Records behind it that are known from refusals, which name no sequence.
    refusals_behind: u64,
}

impl Auditor {
    pub(super) fn of(world: &World) -> Self {
        Self {
            town: Town::of(world),
            books: Books::of(world),
            history: Vec::new(),
            requests: BTreeMap::new(),
            order: Vec::new(),
            recent: BTreeSet::new(),
            reversed_unseen: BTreeSet::new(),
            clock: 0,
            acknowledged: world.sequence,
            refusals_behind: 0,
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// A request leaves; gives its place in the history.
    pub(super) fn send(&mut self, ask: &Ask, stamp_ms: i64) -> usize {
        let invoked = self.tick();
        let (low, high, returned) = (self.acknowledged, u64::MAX, u64::MAX);
        self.history.push(Sent { ask: ask.clone(), invoked, returned, low, high, stamp_ms, answer: None });
        if let Some(id) = &ask.id
            && !is_foreign(ask)
        {
            let key = (ask.place, id.clone());
            self.recent.insert(key.clone());
            if !self.requests.contains_key(&key) {
                self.order.push(key.clone());
                let request = Request { ask: ask.clone(), first: None, in_doubt: false, reversed: false };
                self.requests.insert(key, request);
            }
        }
        self.history.len() - 1
    }

    /// Its answer is read, while the hub refuses new work for `closed`, if it does.
    pub(super) fn receive(&mut self, place: usize, answer: Answer, closed: Option<Reason>) {
        let returned = self.tick();
        let ask = self.history[place].ask.clone();
        if !answer.ok && reason(&answer) == Reason::Halted {
            self.doubt(&ask);
            return;
        }
        self.history[place].returned = returned;
        if answer.ok {
            self.acknowledge(header(&answer).sequence);
        }
        match (&ask.id, answer.ok) {
            (None, ok) => assert!(ok, "{} was refused: {}", ask.operation, reason(&answer)),
            (Some(id), true) => self.accepted(&ask, id, &answer),
            (Some(id), false) => self.refused(&ask, id, &answer, closed),
        }
        self.history[place].answer = Some(answer);
    }

    fn acknowledge(&mut self, sequence: u64) {
        if sequence > self.acknowledged {
            (self.acknowledged, self.refusals_behind) = (sequence, 0);
        }
    }

    /// Nothing is under way: all that was decided was decided not behind the last sequence known.
    pub(super) fn close_round(&mut self) {
        let known = self.acknowledged + self.refusals_behind;
        for sent in self.history.iter_mut().rev().take_while(|sent| sent.high == u64::MAX) {
            sent.high = known;
        }
    }

    fn doubt(&mut self, ask: &Ask) {
        let known = ask.id.as_ref().and_then(|id| self.requests.get_mut(&(ask.place, id.clone())));
        if let Some(request) = known
            && !is_foreign(ask)
        {
            request.in_doubt |= request.first.is_none();
        }
    }

    fn accepted(&mut self, ask: &Ask, id: &str, answer: &Answer) {
        let key = (ask.place, id.to_owned());
        assert!(!is_foreign(ask), "{id} was accepted with another body");
        let request = self.requests.get(&key).expect("what is answered was sent");
        let (answered, body) = as_first(answer);
        match &request.first {
            Some(First::Response { header: first, body: first_body }) => {
                assert!(header(answer).replayed, "{id} was executed again");
                assert_eq!((&answered, &body), (first, first_body), "{id} has another answer than at first");
            }
            Some(First::Refusal(_)) => panic!("{id} was refused for ever and is now accepted"),
            None => {
                assert!(!header(answer).replayed, "{id} was answered before, yet nobody was told");
                let refused = matches!(ask.expect, Expect::Refused(_));
                assert!(!refused, "{} {id} was accepted: {:?}", ask.operation, ask.plan);
                self.bind(&key, answer);
            }
        }
    }

    /// The first answer to a request is known.
    fn bind(&mut self, key: &Key, answer: &Answer) {
        let (header, body) = as_first(answer);
        let sequence = header.sequence;
        let request = self.requests.get_mut(key).expect("what is answered was sent");
        request.first = Some(First::Response { header, body });
        request.in_doubt = false;
        let ask = request.ask.clone();
        self.acknowledge(sequence);
        if let Some(reversed) = self.books.learn(&mut self.town, &ask, &answer.bytes) {
            let reversed = (key.0, reversed);
            match self.requests.get_mut(&reversed) {
                Some(request) => request.reversed = true,
                None => drop(self.reversed_unseen.insert(reversed)),
            }
        }
    }

    fn refused(&mut self, ask: &Ask, id: &str, answer: &Answer, closed: Option<Reason>) {
        let key = (ask.place, id.to_owned());
        let why = reason(answer);
        let told = format!("{} {id} was refused: {why}", ask.operation);
        if is_foreign(ask) {
            let right =
                ask.expect == Expect::Refused(why) || closed == Some(why) || self.reversed_unseen.contains(&key);
            assert!(right, "{told}");
            return;
        }
        let unseen = self.reversed_unseen.contains(&key);
        let request = self.requests.get_mut(&key).expect("what is answered was sent");
        match &request.first {
            Some(First::Response { .. }) => panic!("{told}, after it was accepted"),
            Some(First::Refusal(first)) => return assert_eq!(&answer.bytes, first, "{told}, at first otherwise"),
            None => {}
        }
        if closed == Some(why) || (unseen && why == Reason::RequestReversed) {
            return;
        }
        match ask.expect {
            Expect::Accepted => panic!("{told}, as {:?}", ask.plan),
            Expect::Refused(expected) | Expect::Unless(expected) => assert_eq!(why, expected, "{told}"),
            Expect::Open => {}
        }
        if why == Reason::CryptogramInvalid {
            request.first = Some(First::Refusal(answer.bytes.clone()));
            request.in_doubt = false;
            self.refusals_behind += 1;
        }
    }

    /// Something asked before: again, or its id for something else.
    pub(super) fn again(&self, rng: &mut Rng, busy: &BTreeSet<usize>) -> Option<Ask> {
        if let Some((place, id)) = self.reversed_unseen.first()
            && rng.u32(..6) == 0
        {
            let expect = Expect::Refused(Reason::RequestReversed);
            return Some(Ask { expect, ..reuse(id, *place, 1) });
        }
        let (place, id) = self.order.get(rng.usize(..self.order.len().max(1)))?;
        let request = &self.requests[&(*place, id.clone())];
        let Request { ask, first, in_doubt, .. } = request;
        if rng.u32(..3) == 0 {
            return first.is_some().then(|| reuse(id, *place, 1));
        }
        let is_free = ask.plan.who().is_none_or(|who| !busy.contains(&who));
        let expect = match first {
            Some(First::Response { .. }) => Expect::Accepted,
            Some(First::Refusal(_)) => Expect::Refused(Reason::CryptogramInvalid),
            // Applied for twice, a person has two cards.
            None if *in_doubt || !is_free || matches!(ask.plan, Plan::Apply { .. }) => return None,
            None => Expect::Open,
        };
        // What was never executed may be now, in a hub that has moved on.
        Some(Ask { expect, ..ask.clone() })
    }

    /// What to ask a hub that came back: everything in doubt, everything of late, and some of the rest.
    pub(super) fn doubts(&mut self, rng: &mut Rng) -> Vec<(Key, Ask)> {
        for key in &self.order {
            if self.requests[key].in_doubt || rng.u32(..12) == 0 {
                self.recent.insert(key.clone());
            }
        }
        let recent = std::mem::take(&mut self.recent);
        let asked = self.order.iter().filter(|key| recent.contains(*key));
        asked.map(|key| (key.clone(), outcome(key.0, &key.1))).collect()
    }

    /// What the hub says became of a request.
    pub(super) fn resolve(&mut self, key: &Key, answer: &Answer) {
        let found = v1::MessagesGetOutcomeResponse::decode(&*answer.bytes).expect("an outcome");
        let unseen = self.reversed_unseen.contains(key);
        let request = self.requests.get_mut(key).expect("what is asked about was sent");
        let id = &key.1;
        match (&request.first, found.outcome()) {
            (Some(First::Response { header, body }), outcome) => {
                let expected = if request.reversed { Outcome::Reversed } else { Outcome::Accepted };
                // A reversal in doubt may have come through.
                let may_be = outcome == Outcome::Reversed && !request.reversed;
                assert!(outcome == expected || may_be, "{id} was acknowledged and is {outcome:?}");
                if outcome == Outcome::Reversed {
                    return assert!(found.original_response.is_empty(), "{id} was undone");
                }
                let original = Answer { ok: true, bytes: found.original_response, ticket: 0 };
                let (original_header, original_body) = as_first(&original);
                assert_eq!((&original_header, &original_body), (header, body), "{id} has another answer than at first");
                assert_eq!(found.original_sequence, header.sequence);
            }
            (Some(First::Refusal(first)), outcome) => {
                assert_eq!(outcome, Outcome::Refused, "{id} was refused for ever");
                assert_eq!(&found.original_refusal.unwrap_or_default().encode_to_vec(), first);
            }
            (None, Outcome::Unknown) => request.in_doubt = false,
            (None, Outcome::Reversed) => assert!(unseen, "{id} was never reversed"),
            (None, outcome) => {
                assert!(request.in_doubt, "{id} was not executed and is {outcome:?}");
                if outcome == Outcome::Refused {
                    request.in_doubt = false;
                    let refusal = found.original_refusal.unwrap_or_default().encode_to_vec();
                    request.first = Some(First::Refusal(refusal));
                } else {
                    let answer = Answer { ok: true, bytes: found.original_response, ticket: 0 };
                    self.bind(key, &answer);
                }
            }
        }
    }

    /// Every id with the sequence that was acknowledged for it; no id is left in doubt.
    pub(super) fn positions(&self) -> BTreeMap<Key, u64> {
        let position = |(key, request): (&Key, &Request)| match &request.first {
            Some(First::Response { header, .. }) => Some((key.clone(), header.sequence)),
            _ => None,
        };
        self.requests.iter().filter_map(position).collect()
    }

    /// Ids that were refused for ever.
    pub(super) fn refused_for_ever(&self) -> BTreeSet<Key> {
        let refused = |(_, request): &(&Key, &Request)| matches!(request.first, Some(First::Refusal(_)));
        self.requests.iter().filter(refused).map(|(key, _)| key.clone()).collect()
    }
}

/// It bears an id that stands for something else.
fn is_foreign(ask: &Ask) -> bool {
    ask.plan == Plan::Read
}
