//! Finds the id of a row by something else that the row says of itself: a person by a certificate, a card by its number.
//!
//! Invariant: ten bytes an entry. What the hash leaves open is read from the row, so what it was found by is not kept twice; and of an id the
//! sequence is kept, for all are of one hub.
//! Leaves out: the rows; whoever asks says whether an id is the one.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;

use crate::ids::{HubNumber, IDS_PER_HUB};
use crate::shards::Shards;

/// Ids by half a hash of what they are found by.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    hub: HubNumber,
    hasher: FixedState,
    entries: Shards<Entry>,
}

#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(2))]
struct Entry {
    hash: Half,
    /// A sequence is below 2^44.
    sequence: [u16; 3],
}

impl Entry {
    fn new(hash: Half, id: u64) -> Self {
        let sequence = id % IDS_PER_HUB;
        let part = |place: u32| u16::try_from(sequence >> (16 * place) & 0xffff).expect("16 bits");
        Self { hash, sequence: [part(0), part(1), part(2)] }
    }

    fn id(self, hub: HubNumber) -> u64 {
        let [low, middle, high] = self.sequence.map(u64::from);
        hub.id(high << 32 | middle << 16 | low)
    }
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
    /// Of ids of a hub.
    pub(crate) fn seeded(hub: HubNumber, seed: u64) -> Self {
        Self { hub, hasher: FixedState::with_seed(seed), entries: Shards::default() }
    }

    /// The id of which `is` says that its row is the one.
    pub(crate) fn find(&self, what: &(impl Hash + ?Sized), mut is: impl FnMut(u64) -> bool) -> Option<u64> {
        let hash = Half::of(&self.hasher, what);
        self.entries
            .find(hash.spread(), |entry| { entry.hash } == hash && is(entry.id(self.hub)))
            .map(|entry| entry.id(self.hub))
    }

    /// Bring the places of what will be found or put in into the processor's cache, as [`crate::table::Table::bring`] does.
    pub(crate) fn bring<'w, T: Hash + ?Sized + 'w>(&self, what: impl Iterator<Item = &'w T>) -> usize {
        let hashes: Vec<_> = what.map(|what| Half::of(&self.hasher, what)).collect();
        let heads = hashes.iter().fold(0, |sum, hash| sum ^ self.entries.head(hash.spread()));
        let found =
            hashes.iter().filter(|hash| self.entries.find(hash.spread(), |entry| { entry.hash } == **hash).is_some());
        heads ^ found.count()
    }

    pub(crate) fn insert(&mut self, what: &(impl Hash + ?Sized), id: u64) {
        let hash = Half::of(&self.hasher, what);
        self.entries.insert(hash.spread(), Entry::new(hash, id), |entry| { entry.hash }.spread());
    }

    pub(crate) fn remove(&mut self, what: &(impl Hash + ?Sized), id: u64) {
        let hash = Half::of(&self.hasher, what);
        let hub = self.hub;
        self.entries.remove(hash.spread(), |entry| ({ entry.hash }, entry.id(hub)) == (hash, id));
    }
}

/// The same ids as often, whatever the seeds. What each is found by follows from its row.
impl PartialEq for Finder {
    fn eq(&self, other: &Self) -> bool {
        let ids = |finder: &Self| {
            let mut ids: Vec<u64> = finder.entries.iter().map(|entry| entry.id(finder.hub)).collect();
            ids.sort_unstable();
            ids
        };
        ids(self) == ids(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder() -> Finder {
        Finder::seeded(HubNumber::new(7).unwrap(), 5)
    }

    fn id(sequence: u64) -> u64 {
        HubNumber::new(7).unwrap().id(sequence)
    }

    fn name(id: u64) -> String {
        format!("E{id}")
    }

    #[test]
    fn every_id_is_found_by_its_own_name_among_many_and_no_longer_once_it_is_removed() {
        let mut finder = finder();
        // From the smallest to the largest sequence of a hub.
        let all: Vec<u64> =
            (0..200_000).map(|n| id(n * (IDS_PER_HUB / 200_000) + n % 7)).chain([id(IDS_PER_HUB - 1)]).collect();
        for id in &all {
            finder.insert(&name(*id), *id);
        }
        let found = |finder: &Finder, id: u64| finder.find(&name(id), |found| found == id);
        assert!(all.iter().all(|id| found(&finder, *id) == Some(*id)));
        assert_eq!(found(&finder, id(9)), None);
        for id in all.iter().step_by(3) {
            finder.remove(&name(*id), *id);
        }
        assert!(all.iter().enumerate().all(|(n, id)| found(&finder, *id).is_some() == (n % 3 != 0)));
    }

    #[test]
    fn two_names_with_one_hash_are_told_apart_by_their_rows() {
        let mut finder = finder();
        let (one, two) = (id(1), id(2));
        finder.insert("one", one);
        finder.insert("one", two);
        assert_eq!(finder.find("one", |id| id == two), Some(two));
        finder.remove("one", two);
        assert_eq!(finder.find("one", |id| id == two), None);
        assert_eq!(finder.find("one", |id| id == one), Some(one));
    }
}
