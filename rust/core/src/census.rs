//! How many persons are insured and how many cards are in each state, kept while records are applied.
//!
//! Invariant: a count is asked for without a walk over persons or cards. What changes by itself, the end of a temporary loss or the
//! first and last day of a spell, waits here in the order of time and is taken in as records go by.
//! Leaves out: retirement, which hides whole groups of cards and is put over the counts when they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::card::{Card, CardState, Generation, Moment};
use crate::ids::{CardId, RegionCode};
use crate::person::{Profile, SpellStatus};
use crate::table::Table;

/// Cards by the state of their insurance zone, in the order of [`CardState::ALL`].
pub type ByState = [u64; CardState::ALL.len()];

/// The counts as they were at the stamp of the last record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    now_ms: i64,
    cards: BTreeMap<RegionCode, BTreeMap<Generation, ByState>>,
    /// Cards that show a temporary loss, by its end.
    losses: BTreeSet<(i64, CardId)>,
    insured: BTreeMap<RegionCode, Insured>,
}

/// Persons insured in one region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Insured {
    now: i64,
    /// By how many the number changes on days that have not come.
    later: BTreeMap<Date, i64>,
}

impl Census {
    /// Take in what has changed by itself until the stamp of a record.
    pub(crate) fn advance(&mut self, now_ms: i64, cards: &Table<Card>) {
        let before = Date::business_day(self.now_ms);
        // Stamps never go back; were one to, what has ended would still have ended.
        let now_ms = now_ms.max(self.now_ms);
        self.now_ms = now_ms;
        while let Some((until_ms, id)) = self.losses.first().copied().filter(|(until_ms, _)| *until_ms <= now_ms) {
            self.losses.remove(&(until_ms, id));
            let card = cards.get(id).expect("a card that was lost is known");
            let shown = shown(card, now_ms);
            let counts = self.group(card);
            counts[CardState::TempLost as usize] -= 1;
            counts[shown as usize] += 1;
        }
        let today = Date::business_day(now_ms);
        if today != before {
            for insured in self.insured.values_mut() {
                while let Some(day) = insured.later.first_entry().filter(|day| *day.key() <= today) {
                    insured.now += day.remove();
                }
            }
        }
    }

    /// A card appears, or appears again after it has changed.
    pub(crate) fn enter(&mut self, card: &Card) {
        let state = shown(card, self.now_ms);
        self.group(card)[state as usize] += 1;
        self.losses.extend(running_loss(card, self.now_ms));
    }

    /// A card disappears, or is about to change.
    pub(crate) fn leave(&mut self, card: &Card) {
        let state = shown(card, self.now_ms);
        self.group(card)[state as usize] -= 1;
        if let Some(loss) = running_loss(card, self.now_ms) {
            self.losses.remove(&loss);
        }
    }

    fn group(&mut self, card: &Card) -> &mut ByState {
        self.cards.entry(card.region).or_default().entry(card.generation.clone()).or_default()
    }

    /// The name of a generation as all cards of a region share it.
    pub(crate) fn generation(&self, region: RegionCode, name: &str) -> Generation {
        let known = self.cards.get(&region).and_then(|groups| groups.get_key_value(&Box::<str>::from(name)));
        known.map_or_else(|| Generation::new(name.into()), |(known, _)| Arc::clone(known))
    }

    /// Count what a profile says of its person's insurance, or with -1 take it back.
    pub(crate) fn count_insured(&mut self, profile: &Profile, by: i64) {
        let today = Date::business_day(self.now_ms);
        for (day, region, change) in changes(profile) {
            let insured = self.insured.entry(region).or_default();
            if day <= today {
                insured.now += change * by;
                continue;
            }
            let later = insured.later.entry(day).or_default();
            *later += change * by;
            if *later == 0 {
                insured.later.remove(&day);
            }
        }
    }

    /// Cards by region and generation, at a moment that is not before the last record.
    pub(crate) fn groups(&self, now_ms: i64, cards: &Table<Card>) -> Vec<(RegionCode, &str, ByState)> {
        let mut ended: BTreeMap<(RegionCode, &str), Vec<CardState>> = BTreeMap::new();
        // Losses that have ended since the last record: the next one will take them in.
        for (_, id) in self.losses.range(..=(now_ms, CardId(u64::MAX))) {
            let card = &cards[*id];
            ended.entry((card.region, &**card.generation)).or_default().push(shown(card, now_ms));
        }
        let groups =
            self.cards.iter().flat_map(|(region, groups)| groups.iter().map(|(name, counts)| (*region, name, counts)));
        groups
            .map(|(region, generation, counts)| {
                let mut counts = *counts;
                for state in ended.get(&(region, &***generation)).into_iter().flatten() {
                    counts[CardState::TempLost as usize] -= 1;
                    counts[*state as usize] += 1;
                }
                (region, &***generation, counts)
            })
            .collect()
    }

    /// Persons insured by region, on a day that is not before the last record's.
    pub(crate) fn insured(&self, today: Date) -> impl Iterator<Item = (RegionCode, u64)> {
        self.insured.iter().map(move |(region, insured)| {
            let since: i64 = insured.later.range(..=today).map(|(_, change)| change).sum();
            (*region, u64::try_from(insured.now + since).expect("nobody leaves who has not come"))
        })
    }
}

/// What a card shows, retirement aside.
fn shown(card: &Card, now_ms: i64) -> CardState {
    card.insurance.shown(Moment { now_ms, retired: false }).name()
}

fn running_loss(card: &Card, now_ms: i64) -> Option<(i64, CardId)> {
    let lost = shown(card, now_ms) == CardState::TempLost;
    { card.insurance.lost_until_ms }.filter(|_| lost).map(|until_ms| (until_ms.get(), card.id))
}

/// The days on which the region changes in which a person is insured: by how many each region's number changes then.
fn changes(profile: &Profile) -> Vec<(Date, RegionCode, i64)> {
    let in_force = profile.spells.iter().filter(|spell| spell.status == SpellStatus::Normal);
    let after = |last: Date| Date::from_days(last.days() + 1);
    let mut days: Vec<Date> =
        in_force.flat_map(|spell| [Some(spell.from), spell.to.and_then(after)]).flatten().collect();
    days.sort_unstable();
    days.dedup();
    let mut changes = Vec::with_capacity(days.len());
    let mut before = None;
    for day in days {
        let region = profile.spell_on(day).map(|spell| spell.region);
        if region != before {
            changes.extend(before.map(|region| (day, region, -1)));
            changes.extend(region.map(|region| (day, region, 1)));
            before = region;
        }
    }
    changes
}
