//! The table of everything that grows with persons: rows that hold their own key.
//!
//! Invariant: callers cannot choose keys that collide, for keys are hashed with a seed.
//! Invariant: a row costs its table a pointer and its share of empty places, for the key is read from the row itself.
//! Leaves out: order. What iterates over a table may not let its order reach a decision.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::ops::Index;
use std::sync::Arc;

use foldhash::quality::FixedState;

use crate::shards::Shards;

/// What holds its own key. The table keeps it behind a pointer.
pub(crate) trait Keyed {
    type Key: Copy + Eq + Hash;

    fn key(&self) -> Self::Key;
}

/// Rows by key, behind counted pointers: a copy of a shard shares them, and a row is copied when it is changed while it is shared.
pub(crate) struct Table<R> {
    hasher: FixedState,
    rows: Shards<Arc<R>>,
}

impl<R: Keyed> Table<R> {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { hasher: FixedState::with_seed(seed), rows: Shards::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn get(&self, key: R::Key) -> Option<&R> {
        self.shared(key).map(|row| &**row)
    }

    /// The row as it may be shared with whoever keeps it as it is now.
    pub(crate) fn shared(&self, key: R::Key) -> Option<&Arc<R>> {
        self.rows.find(self.hasher.hash_one(key), |row| row.key() == key)
    }

    pub(crate) fn contains_key(&self, key: R::Key) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<R>> {
        self.rows.iter()
    }

    /// Bring the rows of keys into the processor's cache, those that are there and the places of those that will be: step by step for all
    /// of them, because only reads that do not wait for one another overlap. What is returned says nothing, but depends on every read.
    pub(crate) fn bring(&self, keys: &[R::Key]) -> usize {
        let found: Vec<_> = keys.iter().map(|key| (self.hasher.hash_one(key), *key)).collect();
        let heads = found.iter().fold(0, |sum, (hash, _)| sum ^ self.rows.head(*hash));
        let rows = found.iter().filter(|(hash, key)| self.rows.find(*hash, |row| row.key() == *key).is_some());
        heads ^ rows.count()
    }

    /// Puts a row in, in the place of any that has its key.
    pub(crate) fn insert(&mut self, row: impl Into<Arc<R>>) {
        let row = row.into();
        let key = row.key();
        let hasher = &self.hasher;
        let hash = hasher.hash_one(key);
        match self.rows.find_mut(hash, |row| row.key() == key) {
            Some(before) => *before = row,
            None => self.rows.insert(hash, row, |row| hasher.hash_one(row.key())),
        }
    }

    pub(crate) fn remove(&mut self, key: R::Key) -> Option<Arc<R>> {
        self.rows.remove(self.hasher.hash_one(key), |row| row.key() == key)
    }
}

impl<R: Keyed + Clone> Table<R> {
    pub(crate) fn get_mut(&mut self, key: R::Key) -> Option<&mut R> {
        self.rows.find_mut(self.hasher.hash_one(key), |row| row.key() == key).map(Arc::make_mut)
    }
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        Self { hasher: self.hasher.clone(), rows: self.rows.clone() }
    }
}

/// The same rows, whatever the seeds.
impl<R: Keyed + PartialEq> PartialEq for Table<R> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.values().all(|row| other.get(row.key()) == Some(row))
    }
}

impl<R: fmt::Debug> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.rows.iter()).finish()
    }
}

impl<R: Keyed> Index<R::Key> for Table<R> {
    type Output = R;

    fn index(&self, key: R::Key) -> &R {
        self.get(key).expect("the key is in the table")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// So few keys that most are met again, yet enough for dozens of shards.
    const KEYS: u32 = 10_000;

    #[derive(Clone, Debug, PartialEq)]
    struct Pair(u32, u32);

    impl Keyed for Pair {
        type Key = u32;

        fn key(&self) -> u32 {
            self.0
        }
    }

    fn operations() -> impl Strategy<Value = Vec<(bool, u32, u8)>> {
        proptest::collection::vec((prop::bool::weighted(0.8), 0..KEYS, any::<u8>()), 0..20_000)
    }

    fn full(seed: u64, keys: impl IntoIterator<Item = u32>) -> Table<Pair> {
        let mut table = Table::seeded(seed);
        keys.into_iter().for_each(|key| table.insert(Pair(key, key)));
        table
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_table_answers_as_a_map_does(seed in any::<u64>(), operations in operations()) {
            let (mut table, mut map) = (Table::seeded(seed), HashMap::new());
            for (insert, key, value) in operations {
                prop_assert_eq!(table.get(key).map(|pair: &Pair| pair.1), map.get(&key).copied());
                if insert {
                    table.insert(Pair(key, value.into()));
                    map.insert(key, u32::from(value));
                } else {
                    prop_assert_eq!(table.remove(key).map(|pair| pair.1), map.remove(&key));
                }
                prop_assert_eq!(table.len(), map.len());
            }
            for key in 0..KEYS {
                prop_assert_eq!(table.get_mut(key).map(|pair| pair.1), map.get(&key).copied());
            }
            prop_assert_eq!(table.values().map(|pair| (pair.0, pair.1)).collect::<HashMap<_, _>>(), map);
        }
    }

    #[test]
    fn a_clone_keeps_what_it_held_while_the_other_changes() {
        let mut table = full(3, 0..20_000);
        let before = table.clone();
        for key in 0..10 {
            table.get_mut(key).expect("it was put in").1 += 1;
        }
        table.remove(11);
        table.insert(Pair(20_001, 1));
        assert_eq!(before, full(4, 0..20_000));
        assert_eq!((table[9].1, before[9].1), (10, 9));
    }

    #[test]
    fn tables_are_equal_by_what_they_hold_and_not_by_seed_or_order() {
        let table = full(1, 0..5_000);
        assert_eq!(table, full(2, (0..5_000).rev()));
        assert_ne!(table, full(1, 0..4_999));
        assert_ne!(table, full(1, 1..5_001));
        let mut changed = table.clone();
        changed.insert(Pair(17, 18));
        assert_ne!(table, changed);
    }
}
