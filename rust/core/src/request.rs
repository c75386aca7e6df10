//! Request ids: what was asked, once and for ever.
//!
//! Invariant: an id is bound by a decision that left facts, and by nothing else; a bound id gives its first answer for ever.
//! Invariant: ids stay in memory for [`WINDOW_MS`] after the request was made; an older request is never executed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fact::Record;
use crate::ids::{Hash32, InstitutionCode, RequestId, SettlementId};
use crate::table::Table;

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
    known: Table<RequestKey, Known>,
    leaving: Leaving,
    remembered: BTreeMap<InstitutionCode, u32>,
}

impl PartialEq for Requests {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

impl Requests {
    pub(crate) fn new(seed: u64) -> Self {
        Self { known: Table::seeded(seed), leaving: Leaving::default(), remembered: BTreeMap::new() }
    }

    /// What memory knows of an id.
    pub fn get(&self, key: &RequestKey) -> Option<&Known> {
        self.known.get(key)
    }

    /// Bring the rows of ids into the processor's cache ([`Table::bring`]).
    pub(crate) fn bring(&self, keys: &[RequestKey]) -> usize {
        self.known.bring(keys)
    }

    /// How many unseen requests an institution has reversed within the window.
    pub fn remembered(&self, institution: InstitutionCode) -> u32 {
        self.remembered.get(&institution).copied().unwrap_or(0)
    }

    pub(crate) fn bind(&mut self, key: RequestKey, bound: Bound, now_ms: i64) {
        self.forget_before(now_ms);
        self.leaving.push(now_ms + WINDOW_MS + MAX_AHEAD_MS, key.clone());
        self.known.insert(key, Known::Bound(bound));
    }

    pub(crate) fn remember_unseen(&mut self, key: RequestKey, now_ms: i64) {
        self.forget_before(now_ms);
        *self.remembered.entry(key.0).or_default() += 1;
        self.leaving.push(now_ms + WINDOW_MS + MAX_AHEAD_MS, key.clone());
        self.known.insert(key, Known::ReversedUnseen);
    }

    /// Every id of the window with the moment at which it leaves, in that order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (RequestKey, Known, i64)> {
        let leaving = self.leaving.chunks.iter().flat_map(|chunk| chunk.iter());
        leaving.filter_map(|(leaves_ms, key)| Some((key.clone(), *self.known.get(key)?, *leaves_ms)))
    }

    /// Know an id again that leaves after all that were restored before it.
    pub(crate) fn restore(&mut self, key: RequestKey, known: Known, leaves_ms: i64) {
        if known == Known::ReversedUnseen {
            *self.remembered.entry(key.0).or_default() += 1;
        }
        self.leaving.push(leaves_ms, key.clone());
        self.known.insert(key, known);
    }

    pub(crate) fn mark_reversed(&mut self, key: &RequestKey) {
        if let Some(Known::Bound(bound)) = self.known.get_mut(key) {
            bound.reversed = true;
        }
    }

    /// Every id leaves once no request that bears it could still execute: its window, counted from the latest `created_ms` it may have had.
    fn forget_before(&mut self, now_ms: i64) {
        while let Some(key) = self.leaving.pop_before(now_ms) {
            if let Some(Known::ReversedUnseen) = self.known.remove(&key)
                && let Some(count) = self.remembered.get_mut(&key.0)
            {
                *count -= 1;
            }
        }
    }
}

/// Keys with the moment at which they leave memory, in the order in which they came.
///
/// In chunks, because one queue that holds all of a window would copy millions of keys whenever it grows; clones share them.
#[derive(Clone, Debug, Default)]
struct Leaving {
    /// None is empty; only the last has room.
    chunks: VecDeque<Arc<VecDeque<(i64, RequestKey)>>>,
}

impl Leaving {
    const CHUNK: usize = 1_024;

    fn push(&mut self, leaves_ms: i64, key: RequestKey) {
        match self.chunks.back_mut() {
            Some(last) if last.len() < Self::CHUNK => Arc::make_mut(last).push_back((leaves_ms, key)),
            _ => {
                let mut chunk = VecDeque::with_capacity(Self::CHUNK);
                chunk.push_back((leaves_ms, key));
                self.chunks.push_back(Arc::new(chunk));
            }
        }
    }

    fn pop_before(&mut self, now_ms: i64) -> Option<RequestKey> {
        let first = self.chunks.front_mut()?;
        first.front().filter(|(leaves_ms, _)| *leaves_ms < now_ms)?;
        let first = Arc::make_mut(first);
        let (_, key) = first.pop_front()?;
        if first.is_empty() {
            self.chunks.pop_front();
        }
        Some(key)
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
