//! Finds the id of a row by something else that the row says of itself: a person by a certificate, a card by its number.
//!
//! Invariant: twelve bytes an entry. What the hash leaves open is read from the row, so what it was found by is not kept twice.
//! Leaves out: the rows; whoever asks says whether an id is the one.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;

use crate::shards::Shards;

/// Ids by half a hash of what they are found by.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    hasher: FixedState,
    entries: Shards<Entry>,
}

#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
struct Entry {
    hash: Half,
    id: u64,
}

/// Half of a hash, from which the whole that [`Shards`] want is spread again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Half(u32);

impl Half {
    pub(crate) fn of(hasher: &FixedState, what: &(impl Hash + ?Sized)) -> Self {
        let hash = hasher.hash_one(what);
        Self(u32::try_from(hash >> 32).expect("32 bits"))
    }

    /// Shards are told apart by the lower bits of the upper half, rows within one by the lowest bits and the uppermost seven. Both come from
    /// the upper bits here, which tell shards apart only when there are a quarter of a million of them.
    pub(crate) fn spread(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.0 >> 18)
    }
}

impl Finder {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { hasher: FixedState::with_seed(seed), entries: Shards::default() }
    }

    /// The id of which `is` says that its row is the one.
    pub(crate) fn find(&self, what: &(impl Hash + ?Sized), mut is: impl FnMut(u64) -> bool) -> Option<u64> {
        let hash = Half::of(&self.hasher, what);
        self.entries.find(hash.spread(), |entry| entry.hash == hash && is(entry.id)).map(|entry| entry.id)
    }

    /// Bring the places of what will be found or put in into the processor's cache, as [`crate::table::Table::bring`] does.
    pub(crate) fn bring<'w, T: Hash + ?Sized + 'w>(&self, what: impl Iterator<Item = &'w T>) -> usize {
        let hashes: Vec<_> = what.map(|what| Half::of(&self.hasher, what)).collect();
        let heads = hashes.iter().fold(0, |sum, hash| sum ^ self.entries.head(hash.spread()));
        let found =
            hashes.iter().filter(|hash| self.entries.find(hash.spread(), |entry| entry.hash == **hash).is_some());
        heads ^ found.count()
    }

    pub(crate) fn insert(&mut self, what: &(impl Hash + ?Sized), id: u64) {
        let hash = Half::of(&self.hasher, what);
        self.entries.insert(hash.spread(), Entry { hash, id }, |entry| { entry.hash }.spread());
    }

    pub(crate) fn remove(&mut self, what: &(impl Hash + ?Sized), id: u64) {
        let hash = Half::of(&self.hasher, what);
        self.entries.remove(hash.spread(), |entry| (entry.hash, entry.id) == (hash, id));
    }
}

/// The same ids as often, whatever the seeds. What each is found by follows from its row.
impl PartialEq for Finder {
    fn eq(&self, other: &Self) -> bool {
        let ids = |finder: &Self| {
            let mut ids: Vec<u64> = finder.entries.iter().map(|entry| entry.id).collect();
            ids.sort_unstable();
            ids
        };
        ids(self) == ids(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: u64) -> String {
        format!("E{id}")
    }

    #[test]
    fn every_id_is_found_by_its_own_name_among_many_and_no_longer_once_it_is_removed() {
        let mut finder = Finder::seeded(5);
        (0..200_000).for_each(|id| finder.insert(&name(id), id));
        let found = |finder: &Finder, id| finder.find(&name(id), |found| found == id);
        assert!((0..200_000).all(|id| found(&finder, id) == Some(id)));
        assert_eq!(found(&finder, 200_000), None);
        (0..200_000).step_by(3).for_each(|id| finder.remove(&name(id), id));
        assert!((0..200_000).all(|id| found(&finder, id).is_some() == (id % 3 != 0)));
    }

    #[test]
    fn two_names_with_one_hash_are_told_apart_by_their_rows() {
        let mut finder = Finder::seeded(5);
        finder.insert("one", 1);
        finder.insert("one", 2);
        assert_eq!(finder.find("one", |id| id == 2), Some(2));
        finder.remove("one", 2);
        assert_eq!(finder.find("one", |id| id == 2), None);
        assert_eq!(finder.find("one", |id| id == 1), Some(1));
    }
}
