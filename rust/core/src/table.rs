//! The hash table of everything that grows with persons or requests.
//!
//! One flat table doubles: among two million request ids a single insert then moves them all, for half a second in which nothing is
//! decided. This one is a row of small shards of which an insert splits at most one, each in its turn, as they fill (linear hashing).
//! Invariant: an insert moves rows of one shard only, a hundred or two, however many rows there are.
//! Invariant: a row keeps its hash, so that moving it never reads the text of its key.
//! Invariant: a clone shares all shards, and costs one count for every 64 rows; a shard is copied when one of the two changes it. So a
//! view of a whole state is taken between two decisions, and what is large beside its key is an `Arc` that such a copy shares.
//! Leaves out: order. What iterates over a table may not let its order reach a decision.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::ops::Index;
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::HashTable;

/// Rows that a shard holds on average; the fullest hold twice as many. Shards of this size are small enough for an allocator to reuse
/// the memory of one for the next, which makes inserts a quarter faster than with shards of 256; with still fewer rows, the row of
/// shards itself, of 32 bytes each, would grow large beside a processor's cache. A small table is a single shard.
const ROWS_PER_SHARD: usize = 64;

/// A map whose keys are hashed with a seed, so that callers cannot choose keys that collide.
#[derive(Clone)]
pub(crate) struct Table<K, V> {
    hasher: FixedState,
    /// Never empty.
    shards: Vec<Arc<HashTable<Row<K, V>>>>,
    /// As many low bits as tell all shards apart.
    mask: usize,
    len: usize,
}

#[derive(Clone)]
struct Row<K, V> {
    hash: u64,
    key: K,
    value: V,
}

impl<K: Eq + Hash, V> Table<K, V> {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { hasher: FixedState::with_seed(seed), shards: vec![Arc::default()], mask: 0, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let hash = self.hasher.hash_one(key);
        self.shards[self.shard_of(hash)].find(hash, |row| row.key == *key).map(|row| &row.value)
    }

    /// Bring the rows of keys into the processor's cache, those that are there and the places of those that will be: step by step for all
    /// of them, because only reads that do not wait for one another overlap. What is returned says nothing, but depends on every read.
    pub(crate) fn bring<'k>(&self, keys: impl IntoIterator<Item = &'k K>) -> usize
    where
        K: 'k,
    {
        let keys = keys.into_iter().map(|key| (self.hasher.hash_one(key), key));
        let found: Vec<_> = keys.map(|(hash, key)| (hash, key, self.shard_of(hash))).collect();
        let heads = found.iter().fold(0, |sum, (_, _, shard)| sum ^ self.shards[*shard].len());
        let rows =
            found.iter().filter(|(hash, key, shard)| self.shards[*shard].find(*hash, |row| row.key == **key).is_some());
        heads ^ rows.count()
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|rows| rows.iter()).map(|row| (&row.key, &row.value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Between two powers of two, the shards that were split in this round and those that came of it are told apart by one bit more
    /// than the ones that wait.
    fn shard_of(&self, hash: u64) -> usize {
        let wide = middle(hash) & self.mask;
        if wide < self.shards.len() { wide } else { wide & (self.mask >> 1) }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Table<K, V> {
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard_of(hash);
        self.shard_mut(shard).find_mut(hash, |row| row.key == *key).map(|row| &mut row.value)
    }

    /// Puts the value in, in the place of any that the key had.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let hash = self.hasher.hash_one(&key);
        let shard = self.shard_of(hash);
        let rows = self.shard_mut(shard);
        if let Some(row) = rows.find_mut(hash, |row| row.key == key) {
            row.value = value;
            return;
        }
        rows.insert_unique(hash, Row { hash, key, value }, |row| row.hash);
        self.len += 1;
        if self.len > self.shards.len() * ROWS_PER_SHARD {
            self.split_next();
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard_of(hash);
        let row = self.shard_mut(shard).find_entry(hash, |row| row.key == *key).ok()?.remove().0;
        self.len -= 1;
        Some(row.value)
    }

    /// Splits the shard whose turn it is into itself and a new last one.
    fn split_next(&mut self) {
        let new = self.shards.len();
        self.mask = (new + 1).next_power_of_two() - 1;
        let split = new & (self.mask >> 1);
        let mask = self.mask;
        // What stays keeps the room into which it will grow again.
        let rows = self.shard_mut(split);
        let mut moved = HashTable::with_capacity(rows.len() / 2);
        for row in rows.extract_if(|row| middle(row.hash) & mask == new) {
            moved.insert_unique(row.hash, row, |row| row.hash);
        }
        self.shards.push(Arc::new(moved));
    }

    /// A shard to be changed: copied first if a clone still shares it.
    fn shard_mut(&mut self, shard: usize) -> &mut HashTable<Row<K, V>> {
        Arc::make_mut(&mut self.shards[shard])
    }
}

/// What of a hash tells shards apart; within a shard, rows are found by the bits below and above.
fn middle(hash: u64) -> usize {
    usize::try_from(hash >> 32).expect("32 bits")
}

impl<K: Eq + Hash, V> Default for Table<K, V> {
    fn default() -> Self {
        Self::seeded(0)
    }
}

/// The same keys with the same values, whatever the seeds.
impl<K: Eq + Hash, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Eq + Hash, V: Eq> Eq for Table<K, V> {}

impl<K: Eq + Hash + fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Eq + Hash, V> Index<&K> for Table<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
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

    fn operations() -> impl Strategy<Value = Vec<(bool, u32, u8)>> {
        proptest::collection::vec((prop::bool::weighted(0.8), 0..KEYS, any::<u8>()), 0..20_000)
    }

    fn full(seed: u64, keys: impl IntoIterator<Item = u32>) -> Table<u32, u32> {
        let mut table = Table::seeded(seed);
        keys.into_iter().for_each(|key| table.insert(key, key));
        table
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_table_answers_as_a_map_does(seed in any::<u64>(), operations in operations()) {
            let (mut table, mut map) = (Table::seeded(seed), HashMap::new());
            for (insert, key, value) in operations {
                prop_assert_eq!(table.get(&key), map.get(&key));
                if insert {
                    table.insert(key, value);
                    map.insert(key, value);
                } else {
                    prop_assert_eq!(table.remove(&key), map.remove(&key));
                }
                prop_assert_eq!(table.len(), map.len());
            }
            for key in 0..KEYS {
                prop_assert_eq!(table.get_mut(&key), map.get_mut(&key));
            }
            prop_assert_eq!(table.iter().map(|(key, value)| (*key, *value)).collect::<HashMap<_, _>>(), map);
        }
    }

    #[test]
    fn no_shard_outgrows_what_one_insert_may_move() {
        let mut table = Table::seeded(7);
        for key in 0..200_000u32 {
            table.insert(key, ());
            if key % 1_000 == 0 {
                let largest = table.shards.iter().map(|rows| rows.len()).max().expect("never empty");
                assert!(largest <= 3 * ROWS_PER_SHARD, "{largest} rows in one shard of {}", table.shards.len());
            }
        }
        let smallest = table.shards.iter().map(|rows| rows.len()).min().expect("never empty");
        assert!(smallest >= ROWS_PER_SHARD / 4, "{smallest} rows in a shard");
    }

    #[test]
    fn a_clone_keeps_what_it_held_while_the_other_changes_and_copies_only_changed_shards() {
        let mut table = full(3, 0..20_000);
        let before = table.clone();
        for key in 0..10 {
            *table.get_mut(&key).expect("it was put in") += 1;
        }
        table.remove(&11);
        table.insert(20_001, 1);
        assert_eq!(before, full(4, 0..20_000));
        assert_eq!(table.len(), 20_000);
        let shared = table.shards.iter().zip(&before.shards).filter(|(now, then)| Arc::ptr_eq(now, then)).count();
        assert!(shared >= before.shards.len() - 14, "{shared} of {} shards are shared", before.shards.len());
    }

    #[test]
    fn tables_are_equal_by_what_they_hold_and_not_by_seed_or_order() {
        let table = full(1, 0..5_000);
        assert_eq!(table, full(2, (0..5_000).rev()));
        assert_ne!(table, full(1, 0..4_999));
        assert_ne!(table, full(1, 1..5_001));
        let mut changed = table.clone();
        changed.insert(17, 18);
        assert_ne!(table, changed);
    }
}
