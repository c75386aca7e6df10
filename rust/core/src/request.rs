//! Request ids: what was asked, once and for ever.
//!
//! Invariant: an id is bound by a decision that left facts, and by nothing else; a bound id gives its first answer for ever.
//! Invariant: ids stay in memory for [`WINDOW_MS`] after the request was made; an older request is never executed.

use std::collections::VecDeque;

use foldhash::quality::FixedState;
use hashbrown::HashMap;

use crate::fact::Record;
use crate::ids::{Hash32, InstitutionCode, RequestId};

/// How long an id executes or replays from memory.
pub const WINDOW_MS: i64 = 72 * 3_600_000;

/// How far an institution's clock may be ahead of the hub's.
pub const MAX_AHEAD_MS: i64 = 5 * 60_000;

/// Reversals of requests that never arrived, remembered per institution; more says that its system is broken.
pub const MAX_REMEMBERED: u32 = 10_000;

/// What a bound id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Sequence of the record that bound it.
    pub sequence: u64,
    /// Operation number in the contract.
    pub operation: u32,
    /// Digest of the request's canonical form.
    pub digest: Hash32,
    /// When the institution made it.
    pub created_ms: i64,
    /// It was undone by a reversal.
    pub reversed: bool,
}

impl Bound {
    /// As the record binds it.
    pub(crate) fn by(record: &Record) -> Self {
        Self {
            sequence: record.sequence,
            operation: record.operation,
            digest: record.digest,
            created_ms: record.created_ms,
            reversed: false,
        }
    }
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was accepted.
    Bound(Bound),
    /// It was reversed before it arrived.
    ReversedUnseen,
}

/// Full name of a request.
pub type RequestKey = (InstitutionCode, RequestId);

/// The ids of the window.
#[derive(Clone, Debug)]
pub struct Requests {
    known: HashMap<RequestKey, Known, FixedState>,
    /// Keys with the moment at which they leave memory, in the order in which they came.
    leaving: VecDeque<(i64, RequestKey)>,
    remembered: HashMap<InstitutionCode, u32, FixedState>,
}

impl PartialEq for Requests {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

impl Requests {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            known: HashMap::with_hasher(FixedState::with_seed(seed)),
            leaving: VecDeque::new(),
            remembered: HashMap::with_hasher(FixedState::with_seed(seed)),
        }
    }

    /// What memory knows of an id.
    pub fn get(&self, key: &RequestKey) -> Option<&Known> {
        self.known.get(key)
    }

    /// How many unseen requests an institution has reversed within the window.
    pub fn remembered(&self, institution: InstitutionCode) -> u32 {
        self.remembered.get(&institution).copied().unwrap_or(0)
    }

    pub(crate) fn bind(&mut self, key: RequestKey, bound: Bound, now_ms: i64) {
        self.forget_before(now_ms);
        self.leaving.push_back((now_ms + WINDOW_MS + MAX_AHEAD_MS, key.clone()));
        self.known.insert(key, Known::Bound(bound));
    }

    pub(crate) fn remember_unseen(&mut self, key: RequestKey, now_ms: i64) {
        self.forget_before(now_ms);
        *self.remembered.entry(key.0).or_default() += 1;
        self.leaving.push_back((now_ms + WINDOW_MS + MAX_AHEAD_MS, key.clone()));
        self.known.insert(key, Known::ReversedUnseen);
    }

    pub(crate) fn mark_reversed(&mut self, key: &RequestKey) {
        if let Some(Known::Bound(bound)) = self.known.get_mut(key) {
            bound.reversed = true;
        }
    }

    /// Every id leaves once no request that bears it could still execute: its window, counted from the latest `created_ms` it may have had.
    fn forget_before(&mut self, now_ms: i64) {
        while self.leaving.front().is_some_and(|(at, _)| *at < now_ms) {
            let (_, key) = self.leaving.pop_front().expect("just seen");
            if let Some(Known::ReversedUnseen) = self.known.remove(&key)
                && let Some(count) = self.remembered.get_mut(&key.0)
            {
                *count -= 1;
            }
        }
    }
}
