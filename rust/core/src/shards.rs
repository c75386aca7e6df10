//! The hash set under everything that grows with persons or requests.
//!
//! One flat set doubles: among two million request ids a single insert then moves them all, for half a second in which nothing is
//! decided. This one is a row of small shards of which an insert splits at most one, each in its turn, as they fill (linear hashing).
//! Invariant: an insert moves rows of one shard only, a hundred or two, however many rows there are.
//! Invariant: a clone shares all shards, and costs one count for every 80 rows; a shard is copied when one of the two changes it. So a
//! view of a whole state is taken between two decisions, and rows are small: a pointer, or a few words that say where something stands.
//! Leaves out: what a row is and how it is hashed (`table`, `finder`), and order. What iterates over shards may not let its order reach a
//! decision.

use std::sync::Arc;

use hashbrown::HashTable;

/// Rows that a shard holds on average; the fullest hold twice as many. Shards of this size are small enough for an allocator to reuse
/// the memory of one for the next; with still fewer rows, the row of shards itself, of 56 bytes each, would grow large beside a processor's
/// cache. A small table is a single shard.
const ROWS_PER_SHARD: usize = 80;

/// Rows that are found by a hash and what tells them apart.
#[derive(Clone, Debug)]
pub(crate) struct Shards<R> {
    /// Never empty.
    all: Vec<Arc<HashTable<R>>>,
    /// As many low bits as tell all shards apart.
    mask: usize,
    len: usize,
}

impl<R> Default for Shards<R> {
    fn default() -> Self {
        Self { all: vec![Arc::default()], mask: 0, len: 0 }
    }
}

impl<R> Shards<R> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn find(&self, hash: u64, is: impl FnMut(&R) -> bool) -> Option<&R> {
        self.all[self.shard_of(hash)].find(hash, is)
    }

    /// How many rows stand in the shard of a hash: reading it brings the shard's head into the processor's cache.
    pub(crate) fn head(&self, hash: u64) -> usize {
        self.all[self.shard_of(hash)].len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        self.all.iter().flat_map(|rows| rows.iter())
    }

    /// Between two powers of two, the shards that were split in this round and those that came of it are told apart by one bit more
    /// than the ones that wait.
    fn shard_of(&self, hash: u64) -> usize {
        let wide = middle(hash) & self.mask;
        if wide < self.all.len() { wide } else { wide & (self.mask >> 1) }
    }
}

impl<R: Clone> Shards<R> {
    pub(crate) fn find_mut(&mut self, hash: u64, is: impl FnMut(&R) -> bool) -> Option<&mut R> {
        let shard = self.shard_of(hash);
        self.shard_mut(shard).find_mut(hash, is)
    }

    /// Puts a row in; `hash_of` gives the hash of any row, and is asked when rows move.
    pub(crate) fn insert(&mut self, hash: u64, row: R, hash_of: impl Fn(&R) -> u64) {
        let shard = self.shard_of(hash);
        self.shard_mut(shard).insert_unique(hash, row, &hash_of);
        self.len += 1;
        if self.len > self.all.len() * ROWS_PER_SHARD {
            self.split_next(hash_of);
        }
    }

    pub(crate) fn remove(&mut self, hash: u64, is: impl FnMut(&R) -> bool) -> Option<R> {
        let shard = self.shard_of(hash);
        let row = self.shard_mut(shard).find_entry(hash, is).ok()?.remove().0;
        self.len -= 1;
        Some(row)
    }

    /// Splits the shard whose turn it is into itself and a new last one.
    fn split_next(&mut self, hash_of: impl Fn(&R) -> u64) {
        let new = self.all.len();
        self.mask = (new + 1).next_power_of_two() - 1;
        let split = new & (self.mask >> 1);
        let mask = self.mask;
        let rows = self.shard_mut(split);
        let mut moved = HashTable::new();
        for row in rows.extract_if(|row| middle(hash_of(row)) & mask == new) {
            moved.insert_unique(hash_of(&row), row, &hash_of);
        }
        // The room is for both; what stays will hardly fill half of it before its turn comes again.
        rows.shrink_to_fit(&hash_of);
        self.all.push(Arc::new(moved));
    }

    /// A shard to be changed: copied first if a clone still shares it.
    fn shard_mut(&mut self, shard: usize) -> &mut HashTable<R> {
        Arc::make_mut(&mut self.all[shard])
    }
}

/// What of a hash tells shards apart; within a shard, rows are found by the bits below and above.
fn middle(hash: u64) -> usize {
    usize::try_from(hash >> 32).expect("32 bits")
}

#[cfg(test)]
mod tests {
    use foldhash::quality::FixedState;
    use std::hash::BuildHasher;

    use super::*;

    fn hash(key: u32) -> u64 {
        FixedState::with_seed(7).hash_one(key)
    }

    fn full(keys: std::ops::Range<u32>) -> Shards<u32> {
        let mut shards = Shards::default();
        keys.for_each(|key| shards.insert(hash(key), key, |row| hash(*row)));
        shards
    }

    #[test]
    fn no_shard_outgrows_what_one_insert_may_move() {
        let mut shards = Shards::default();
        for key in 0..200_000u32 {
            shards.insert(hash(key), key, |row| hash(*row));
            if key % 1_000 == 0 {
                let largest = shards.all.iter().map(|rows| rows.len()).max().expect("never empty");
                assert!(largest <= 3 * ROWS_PER_SHARD, "{largest} rows in one shard of {}", shards.all.len());
            }
        }
        let smallest = shards.all.iter().map(|rows| rows.len()).min().expect("never empty");
        assert!(smallest >= ROWS_PER_SHARD / 4, "{smallest} rows in a shard");
    }

    #[test]
    fn a_clone_keeps_what_it_held_while_the_other_changes_and_copies_only_changed_shards() {
        let mut shards = full(0..20_000);
        let before = shards.clone();
        for key in 0..10 {
            assert_eq!(shards.remove(hash(key), |row| *row == key), Some(key));
        }
        shards.insert(hash(20_001), 20_001, |row| hash(*row));
        assert_eq!((shards.len(), before.len()), (19_991, 20_000));
        assert!((0..20_000).all(|key| before.find(hash(key), |row| *row == key).is_some()));
        let shared = shards.all.iter().zip(&before.all).filter(|(now, then)| Arc::ptr_eq(now, then)).count();
        assert!(shared >= before.all.len() - 12, "{shared} of {} shards are shared", before.all.len());
    }
}
