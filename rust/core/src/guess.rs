//! Wrong cryptograms, counted per card and institution.
//!
//! Invariant: what is guessed at one institution stops the card there and nowhere else, so nobody can lock a province's cards by
//! guessing numbers.
//! Invariant: memory is bounded by [`MAX_COUNTED_PER_DAY`] and the institutions; what no longer counts is forgotten at the next count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::ids::{CardId, InstitutionCode};

/// After so many wrong cryptograms a card is refused where they were shown.
pub const MAX_WRONG: u32 = 3;

/// How long a wrong cryptogram counts, and how long the last of them stops the card.
pub const COUNTS_MS: i64 = 24 * 3_600_000;

/// Wrong cryptograms that are counted at one institution in one day; a broken terminal shall not fill the journal.
pub const MAX_COUNTED_PER_DAY: u32 = 1_000;

/// Of one card at one institution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wrong {
    count: u32,
    last_ms: i64,
}

impl Wrong {
    fn counts(self, now_ms: i64) -> bool {
        now_ms < self.last_ms + COUNTS_MS
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    day: Date,
    counted: u32,
    cards: BTreeMap<CardId, Wrong>,
}

/// All that still counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongCryptograms {
    places: BTreeMap<InstitutionCode, Place>,
}

impl WrongCryptograms {
    /// Until when the card is refused there.
    pub fn blocked_until(&self, institution: InstitutionCode, card: CardId, now_ms: i64) -> Option<i64> {
        let wrong = self.places.get(&institution)?.cards.get(&card)?;
        (wrong.counts(now_ms) && wrong.count >= MAX_WRONG).then_some(wrong.last_ms + COUNTS_MS)
    }

    /// What the count would be with one more; nothing once the institution's day is full.
    pub fn next(&self, institution: InstitutionCode, card: CardId, now_ms: i64) -> Option<u32> {
        let Some(place) = self.places.get(&institution) else { return Some(1) };
        if place.day == Date::business_day(now_ms) && place.counted >= MAX_COUNTED_PER_DAY {
            return None;
        }
        let before = place.cards.get(&card).filter(|wrong| wrong.counts(now_ms));
        Some(before.map_or(0, |wrong| wrong.count) + 1)
    }

    pub(crate) fn note(&mut self, institution: InstitutionCode, card: CardId, count: u32, now_ms: i64) {
        let day = Date::business_day(now_ms);
        let new = || Place { day, counted: 0, cards: BTreeMap::new() };
        let place = self.places.entry(institution).or_insert_with(new);
        if place.day != day {
            (place.day, place.counted) = (day, 0);
            place.cards.retain(|_, wrong| wrong.counts(now_ms));
        }
        place.counted += 1;
        place.cards.insert(card, Wrong { count, last_ms: now_ms });
    }

    /// The card was right there: what was wrong before no longer counts.
    pub(crate) fn forget(&mut self, institution: InstitutionCode, card: CardId) {
        if let Some(place) = self.places.get_mut(&institution) {
            place.cards.remove(&card);
        }
    }
}
