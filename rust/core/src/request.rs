//! Request ids: what was asked, once and for ever.
//!
//! Invariant: an id is bound by a decision that left facts, and by nothing else; a bound id gives its first answer for ever.
//! Invariant: ids stay in memory for [`WINDOW_MS`] after the request was made; an older request is never executed.

mod window;

use std::collections::BTreeMap;

use foldhash::quality::FixedState;
use serde::{Deserialize, Serialize};

use self::window::Window;
use crate::fact::Record;
use crate::finder::Half;
use crate::ids::{Hash32, InstitutionCode, RequestId, SettlementId};
use crate::shards::Shards;

/// How long an id executes or replays from memory.
pub const WINDOW_MS: i64 = 72 * 3_600_000;

/// How far an institution's clock may be ahead of the hub's.
pub const MAX_AHEAD_MS: i64 = 5 * 60_000;

/// Reversals of requests that never arrived, remembered per institution; more says that its system is broken.
pub const MAX_REMEMBERED: u32 = 10_000;

/// What a bound id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// It was refused, and the refusal left something behind.
    pub refused: bool,
}

impl Bound {
    /// As the record binds it.
    pub fn by(record: &Record) -> Self {
        Self {
            sequence: record.sequence,
            operation: record.operation,
            digest: record.digest,
            created_ms: record.created_ms,
            reversed: false,
            refused: record.refused,
        }
    }
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    window: Window,
    hasher: FixedState,
    places: Shards<Place>,
    remembered: BTreeMap<InstitutionCode, u32>,
}

/// Where in the window an id stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: Half,
    number: u32,
}

impl PartialEq for Requests {
    fn eq(&self, other: &Self) -> bool {
        self.rows().map(|(key, known, _)| (key, known)).eq(other.rows().map(|(key, known, _)| (key, known)))
    }
}

impl Requests {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            window: Window::default(),
            hasher: FixedState::with_seed(seed),
            places: Shards::default(),
            remembered: BTreeMap::new(),
        }
    }

    /// What memory knows of an id.
    pub fn get(&self, key: &RequestKey) -> Option<&Known> {
        self.place(key).map(|number| &self.window.entry(number).known)
    }

    fn place(&self, key: &RequestKey) -> Option<u32> {
        let hash = Half::of(&self.hasher, key);
        let is = |place: &Place| place.hash == hash && self.window.is(place.number, key);
        self.places.find(hash.spread(), is).map(|place| place.number)
    }

    /// Bring the places of ids into the processor's cache, as [`crate::table::Table::bring`] does.
    pub(crate) fn bring(&self, keys: &[RequestKey]) -> usize {
        let hashes: Vec<_> = keys.iter().map(|key| Half::of(&self.hasher, key)).collect();
        let heads = hashes.iter().fold(0, |sum, hash| sum ^ self.places.head(hash.spread()));
        heads
            ^ hashes
                .iter()
                .filter(|hash| self.places.find(hash.spread(), |place| place.hash == **hash).is_some())
                .count()
    }

    /// How many unseen requests an institution has reversed within the window.
    pub fn remembered(&self, institution: InstitutionCode) -> u32 {
        self.remembered.get(&institution).copied().unwrap_or(0)
    }

    pub(crate) fn bind(&mut self, key: &RequestKey, bound: Bound, now_ms: i64) {
        self.forget_before(now_ms);
        self.restore(key, Known::Bound(bound), now_ms + WINDOW_MS + MAX_AHEAD_MS);
    }

    pub(crate) fn remember_unseen(&mut self, key: &RequestKey, now_ms: i64) {
        self.forget_before(now_ms);
        self.restore(key, Known::ReversedUnseen, now_ms + WINDOW_MS + MAX_AHEAD_MS);
    }

    /// Every id of the window with the moment at which it leaves, in that order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (RequestKey, Known, i64)> {
        self.window.entries().map(|(key, entry)| (key, entry.known, entry.leaves_ms))
    }

    /// Know an id, which leaves after all that are known already.
    pub(crate) fn restore(&mut self, key: &RequestKey, known: Known, leaves_ms: i64) {
        if known == Known::ReversedUnseen {
            *self.remembered.entry(key.0).or_default() += 1;
        }
        let hash = Half::of(&self.hasher, key);
        let number = self.window.push(key, known, leaves_ms);
        self.places.insert(hash.spread(), Place { hash, number }, |place| place.hash.spread());
    }

    pub(crate) fn mark_reversed(&mut self, key: &RequestKey) {
        if let Some(number) = self.place(key)
            && let Known::Bound(bound) = &mut self.window.entry_mut(number).known
        {
            bound.reversed = true;
        }
    }

    /// Every id leaves once no request that bears it could still execute: its window, counted from the latest `created_ms` it may have had.
    fn forget_before(&mut self, now_ms: i64) {
        while let Some((number, key, known)) = self.window.pop_before(now_ms) {
            let hash = Half::of(&self.hasher, &key);
            self.places.remove(hash.spread(), |place| place.number == number);
            if known == Known::ReversedUnseen
                && let Some(count) = self.remembered.get_mut(&key.0)
            {
                *count -= 1;
            }
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not bound.
    Unknown,
    /// Bound by the record with this sequence.
    Accepted {
        /// The record.
        sequence: u64,
        /// Its operation.
        operation: u32,
    },
    /// Refused for ever by the record with this sequence.
    Refused {
        /// The record.
        sequence: u64,
        /// Its operation.
        operation: u32,
    },
    /// Undone, or refused before it came.
    Reversed {
        /// The record, where there is one.
        original: Option<(u64, u32)>,
    },
}

/// What a reversal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversalEffect {
    /// The request is undone.
    Undone {
        /// The negative settlement, where one was made.
        cancellation: Option<SettlementId>,
    },
    /// It will be refused.
    Remembered,
    /// It had been undone before.
    AlreadyUndone,
}
