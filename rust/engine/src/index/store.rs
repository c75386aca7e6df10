//! Where rows lie: a key-value store with tables, and one in memory for disks that are in memory.
//!
//! Invariant: a batch is there whole or not at all, also after a crash; batches are never reordered.
//! Leaves out: what rows mean; the store on disk (`disk`).

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use fjall::Slice;

use super::key::Table;
use super::overlay::View;

/// Why a store did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreError {
    /// There is no room; nothing was written.
    #[error("the disk is full")]
    Full,
    /// What it holds cannot be believed.
    #[error("{0}")]
    Damaged(String),
    /// Anything else: it may work again in another process.
    #[error("{0}")]
    Failed(String),
}

/// One row of a table with its key.
pub(super) type Pair = (Slice, Slice);

/// Rows in the order of their keys.
pub(super) type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair, StoreError>> + 'a>;

/// A change of one row, whose key is as `key::within` has it; without a value it is taken out.
pub(super) type Change = (Table, Slice, Option<Slice>);

pub(super) trait Store: Send + Sync {
    fn get(&self, table: Table, key: &Slice) -> Result<Option<Slice>, StoreError>;
    /// The rows from a key on, up to another of the table or its end.
    fn range(&self, table: Table, from: &Slice, to: &Slice) -> Pairs<'_>;
    /// Change rows, each at most once, all together.
    fn commit(&self, changes: &mut dyn Iterator<Item = Change>) -> Result<(), StoreError>;
    /// Bytes that are free where it lies, if that can be asked; for messages.
    fn free_bytes(&self) -> Option<u64> {
        None
    }
    /// Make everything durable that was committed.
    fn persist(&self) -> Result<(), StoreError>;
    /// Never be opened again as it is: something in it cannot be believed.
    fn condemn(&self);
}

/// An index in memory; clones share it. It outlives the engine, as a disk does, and belongs to one data directory.
#[derive(Clone, Default)]
pub struct MemoryIndex(Arc<Memory>);

type Tables = [BTreeMap<Slice, Slice>; Table::ALL.len()];

#[derive(Default)]
struct Memory {
    tables: RwLock<Tables>,
    /// What a power cut would leave.
    persisted: RwLock<Tables>,
    full: AtomicBool,
}

impl MemoryIndex {
    /// Another index with the same rows, all of them durable.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::of(self.0.tables.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Another index with what a power cut would leave of this one.
    #[must_use]
    pub fn durable_copy(&self) -> Self {
        Self::of(self.0.persisted.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn of(tables: Tables) -> Self {
        let persisted = RwLock::new(tables.clone());
        Self(Arc::new(Memory { tables: RwLock::new(tables), persisted, ..Memory::default() }))
    }

    /// Sequence up to which its records are.
    pub fn sequence(&self) -> u64 {
        View::mark(self).ok().flatten().map_or(0, |mark| mark.sequence)
    }

    /// Take no more rows, or again.
    pub fn set_full(&self, full: bool) {
        self.0.full.store(full, Relaxed);
    }

    /// Hold what another holds, all of it durable.
    pub(super) fn replace_by(&self, other: &Self) {
        let tables = other.0.tables.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.0.persisted.write().unwrap_or_else(PoisonError::into_inner).clone_from(&tables);
        *self.0.tables.write().unwrap_or_else(PoisonError::into_inner) = tables;
    }

    pub(super) fn clear(&self) {
        *self.0.tables.write().unwrap_or_else(PoisonError::into_inner) = Tables::default();
        *self.0.persisted.write().unwrap_or_else(PoisonError::into_inner) = Tables::default();
    }
}

impl Store for MemoryIndex {
    fn get(&self, table: Table, key: &Slice) -> Result<Option<Slice>, StoreError> {
        let tables = self.0.tables.read().unwrap_or_else(PoisonError::into_inner);
        Ok(tables[table as usize].get(key).cloned())
    }

    fn range(&self, table: Table, from: &Slice, to: &Slice) -> Pairs<'_> {
        let tables = self.0.tables.read().unwrap_or_else(PoisonError::into_inner);
        let found = tables[table as usize].range::<Slice, _>((Included(from), Excluded(to)));
        let found: Vec<Pair> = found.map(|(key, value)| (key.clone(), value.clone())).collect();
        Box::new(found.into_iter().map(Ok))
    }

    fn commit(&self, changes: &mut dyn Iterator<Item = Change>) -> Result<(), StoreError> {
        if self.0.full.load(Relaxed) {
            return Err(StoreError::Full);
        }
        let mut tables = self.0.tables.write().unwrap_or_else(PoisonError::into_inner);
        for (table, key, value) in changes {
            match value {
                Some(value) => drop(tables[table as usize].insert(key, value)),
                None => drop(tables[table as usize].remove(&key)),
            }
        }
        Ok(())
    }

    fn persist(&self) -> Result<(), StoreError> {
        let tables = self.0.tables.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.0.persisted.write().unwrap_or_else(PoisonError::into_inner) = tables;
        Ok(())
    }

    fn condemn(&self) {
        self.clear();
    }
}
