//! The rows that are not on disk yet, over those that are: what everybody reads.
//!
//! Invariant: rows of a frame go to disk only after the frame is durable, whole, and with the mark that says so.
//! Invariant: only the filling thread changes the overlay; others read it at any time and see each record whole or not at all.

use std::collections::{BTreeMap, HashMap, VecDeque, btree_map};
use std::iter::Peekable;
use std::ops::Bound::{Excluded, Included};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use fjall::Slice;
use foldhash::fast::FixedState;

use super::key::{MARK, Table, end_of, within};
use super::row::{Encoder, Mark};
use super::store::{Change, Pair, Pairs, Store, StoreError};

type Changes = BTreeMap<Slice, Option<Slice>>;

/// Rows that a few records change, by table and in no order.
#[derive(Default)]
pub(super) struct Rows {
    tables: [HashMap<Slice, Option<Slice>, FixedState>; Table::ALL.len()],
    bytes: usize,
}

impl Rows {
    /// What a row is changed to, if it is changed.
    pub(super) fn get(&self, table: Table, key: &Slice) -> Option<&Option<Slice>> {
        self.tables[table as usize].get(key)
    }

    pub(super) fn set(&mut self, table: Table, key: Slice, value: Option<Slice>) {
        debug_assert_eq!(key.first(), Some(&(table as u8)));
        self.bytes += key.len() + value.as_ref().map_or(0, |value| value.len());
        self.tables[table as usize].insert(key, value);
    }
}

/// A frame's end.
#[derive(Clone, Copy)]
pub(super) struct Closed {
    pub(super) number: u64,
    pub(super) sequence: u64,
    pub(super) hash: [u8; 32],
}

/// What one frame changes.
#[derive(Default)]
struct Set {
    tables: [Changes; Table::ALL.len()],
    bytes: usize,
    /// Nothing while the frame is being filled.
    closed: Option<Closed>,
}

impl Set {
    fn append(&mut self, newer: Rows) {
        for (mine, newer) in self.tables.iter_mut().zip(newer.tables) {
            mine.extend(newer);
        }
        self.bytes += newer.bytes;
    }
}

#[derive(Default)]
struct Sets {
    /// Oldest first; the last one is being filled.
    sets: VecDeque<Set>,
    /// The newest frame that is durable.
    durable: u64,
}

impl Sets {
    fn is_durable(&self, set: &Set) -> bool {
        set.closed.is_some_and(|closed| closed.number <= self.durable)
    }

    fn durable(&self) -> impl DoubleEndedIterator<Item = &Set> {
        let durable = self.sets.iter().take_while(|set| self.is_durable(set)).count();
        self.sets.range(..durable)
    }
}

/// A store with the overlay on top.
pub(super) struct View {
    pub(super) store: Box<dyn Store>,
    overlay: RwLock<Sets>,
    whose: Mark,
}

impl View {
    /// Over what a store holds; marks that are written say whose it is.
    pub(super) fn over(store: Box<dyn Store>, whose: Mark) -> Self {
        Self { store, overlay: RwLock::default(), whose }
    }

    fn read(&self) -> RwLockReadGuard<'_, Sets> {
        self.overlay.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, StoreError> {
        self.get_within(table, &within(table, key))
    }

    /// The same for a key as stores have it.
    pub(super) fn get_within(&self, table: Table, key: &Slice) -> Result<Option<Slice>, StoreError> {
        debug_assert_eq!(key.first(), Some(&(table as u8)));
        let overlay = self.read();
        let pending = overlay.sets.iter().rev().find_map(|set| set.tables[table as usize].get(key)).cloned();
        drop(overlay);
        pending.map_or_else(|| self.store.get(table, key), Ok)
    }

    /// Rows from a key on, up to another.
    pub(super) fn range(&self, table: Table, from: &[u8], to: Option<&[u8]>) -> Merged<'_> {
        let mut pending = Changes::new();
        let (from, to) = (within(table, from), to.map_or_else(|| end_of(table), |to| within(table, to)));
        if to <= from {
            let nothing: Pairs<'_> = Box::new(std::iter::empty());
            return Merged { stored: nothing.peekable(), pending: pending.into_iter().peekable() };
        }
        let overlay = self.read();
        for set in &overlay.sets {
            let range = set.tables[table as usize].range::<Slice, _>((Included(&from), Excluded(&to)));
            pending.extend(range.map(|(key, value)| (key.clone(), value.clone())));
        }
        // Under the lock: rows leave the overlay after they are in the store, so none is missed.
        let stored = self.store.range(table, &from, &to).peekable();
        Merged { stored, pending: pending.into_iter().peekable() }
    }

    /// Take in what the newest records change.
    pub(super) fn append(&self, rows: Rows) {
        if rows.bytes == 0 {
            return;
        }
        let mut overlay = self.overlay.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open @ Set { closed: None, .. }) = overlay.sets.back_mut() {
            open.append(rows);
        } else {
            let mut open = Set::default();
            open.append(rows);
            overlay.sets.push_back(open);
        }
    }

    /// The frame that was filled is made; without records it changes nothing.
    pub(super) fn close(&self, closed: Closed) {
        let mut overlay = self.overlay.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open @ Set { closed: None, .. }) = overlay.sets.back_mut() {
            open.closed = Some(closed);
        }
    }

    pub(super) fn note_durable(&self, number: u64) {
        self.overlay.write().unwrap_or_else(PoisonError::into_inner).durable = number;
    }

    /// Bytes that may go to disk.
    pub(super) fn durable_bytes(&self) -> usize {
        self.read().durable().map(|set| set.bytes).sum()
    }

    /// Write what is durable to disk, as one batch; returns the mark, where there was anything.
    pub(super) fn commit(&self) -> Result<Option<Mark>, StoreError> {
        let overlay = self.read();
        let count = overlay.durable().count();
        let Some(closed) = overlay.durable().next_back().and_then(|set| set.closed) else { return Ok(None) };
        let rows_of = |table: Table| {
            let rows = overlay.durable().flat_map(|set| &set.tables[table as usize]);
            newest_of(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
        };
        let changed: Vec<Vec<(Slice, Option<Slice>)>> = Table::ALL.into_iter().map(rows_of).collect();
        drop(overlay);
        let mark = Mark { sequence: closed.sequence, hash: closed.hash, ..self.whose };
        let changed = changed.into_iter().zip(Table::ALL);
        let changed = changed.flat_map(|(rows, table)| rows.into_iter().map(move |(key, value)| (table, key, value)));
        let marked: Change = (Table::Mark, within(Table::Mark, &MARK), Some(Encoder::default().encode(&mark)));
        self.store.commit(&mut changed.chain([marked]))?;
        self.overlay.write().unwrap_or_else(PoisonError::into_inner).sets.drain(..count);
        Ok(Some(mark))
    }
}

/// The newest of the rows with one key, in the order of keys; they come set by set, each in that order.
fn newest_of(mut rows: Vec<(Slice, Option<Slice>)>) -> Vec<(Slice, Option<Slice>)> {
    // It keeps the order of equal keys and merges what is in order already.
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    rows.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    rows
}

/// Rows of the store with those of the overlay in their places.
pub(super) struct Merged<'a> {
    stored: Peekable<Pairs<'a>>,
    pending: Peekable<btree_map::IntoIter<Slice, Option<Slice>>>,
}

impl Iterator for Merged<'_> {
    type Item = Result<Pair, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((key, _)) = self.pending.peek() else { return self.stored.next() };
            match self.stored.peek() {
                Some(Err(_)) => return self.stored.next(),
                Some(Ok((stored, _))) if stored < key => return self.stored.next(),
                Some(Ok((stored, _))) if stored == key => drop(self.stored.next()),
                _ => {}
            }
            if let Some((key, Some(value))) = self.pending.next() {
                return Some(Ok((key, value)));
            }
        }
    }
}
