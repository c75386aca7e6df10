//! The tables of the records index and how their keys are written; `INDEX.md` shows them as one table.
//!
//! Invariant: keys sort as what they name does: numbers are big-endian, signed ones with the sign bit turned.
//! Invariant: a text of any length is hashed, so every key has a bounded length.
//! Invariant: the place of a table in [`Table::ALL`] and the form of its rows are part of the index's format: a change of either raises
//! [`FORMAT`], and an index of another format is rebuilt.

use arrayvec::ArrayVec;
use fjall::Slice;
use medsettle_core::calendar::Date;
use medsettle_core::fraud::ClaimFilter;
use medsettle_core::ids::{CardId, InstitutionCode, PersonId, SettlementId, StayId};
use medsettle_core::request::RequestKey;
use medsettle_core::stay::StayState;

/// The format of keys and rows.
pub(super) const FORMAT: u32 = 2;

/// A table of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Mark,
    Settlements,
    SettlementsOfYear,
    SettlementsOfCard,
    Cancellations,
    Stays,
    StaysOf,
    DayRows,
    DayTotals,
    Statements,
    Requests,
    Answers,
    Frames,
    Alerts,
    AlertsOf,
    Unwinds,
    Claims,
    ClaimsOf,
}

impl Table {
    pub(super) const ALL: [Self; 18] = [
        Self::Mark,
        Self::Settlements,
        Self::SettlementsOfYear,
        Self::SettlementsOfCard,
        Self::Cancellations,
        Self::Stays,
        Self::StaysOf,
        Self::DayRows,
        Self::DayTotals,
        Self::Statements,
        Self::Requests,
        Self::Answers,
        Self::Frames,
        Self::Alerts,
        Self::AlertsOf,
        Self::Unwinds,
        Self::Claims,
        Self::ClaimsOf,
    ];

    /// Its name, for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mark => "mark",
            Self::Settlements => "settlements",
            Self::SettlementsOfYear => "settlements_of_year",
            Self::SettlementsOfCard => "settlements_of_card",
            Self::Cancellations => "cancellations",
            Self::Stays => "stays",
            Self::StaysOf => "stays_of",
            Self::DayRows => "day_rows",
            Self::DayTotals => "day_totals",
            Self::Statements => "statements",
            Self::Requests => "requests",
            Self::Answers => "answers",
            Self::Frames => "frames",
            Self::Alerts => "alerts",
            Self::AlertsOf => "alerts_of",
            Self::Unwinds => "unwinds",
            Self::Claims => "claims",
            Self::ClaimsOf => "claims_of",
        }
    }
}

/// The one row of [`Table::Mark`].
pub(super) const MARK: [u8; 0] = [];

/// The longest key: a claim under the hash of its case number.
const LONGEST: usize = 1 + 32 + 8;

/// A key, or what several begin with.
pub(super) type Key = ArrayVec<u8, LONGEST>;

fn join(parts: &[&[u8]]) -> Key {
    let mut key = Key::new();
    for part in parts {
        key.try_extend_from_slice(part).expect("it is no longer than the longest");
    }
    key
}

/// A key as stores have it, behind the number of its table.
pub(super) fn within(table: Table, key: &[u8]) -> Slice {
    let mut within = ArrayVec::<u8, { 1 + LONGEST }>::new();
    within.push(table as u8);
    within.try_extend_from_slice(key).expect("it is no longer than the longest");
    Slice::new(&within)
}

/// What lies behind every key of a table, as stores have it.
pub(super) fn end_of(table: Table) -> Slice {
    Slice::new(&[table as u8 + 1])
}

/// A number as a key, or as the last part of one.
pub(super) fn number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The number at the end of a key.
pub(super) fn last_number(key: &[u8]) -> u64 {
    let end = key.last_chunk().expect("the key ends with a number");
    u64::from_be_bytes(*end)
}

/// What lies behind every key that begins with a prefix; nothing where that is the end of the table.
pub(super) fn behind(prefix: &[u8]) -> Option<Key> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = join(&[&prefix[..=last]]);
    end[last] += 1;
    Some(end)
}

fn signed(number: i32) -> [u8; 4] {
    (number.cast_unsigned() ^ 1 << 31).to_be_bytes()
}

fn moment(stamp_ms: i64) -> [u8; 8] {
    (stamp_ms.cast_unsigned() ^ 1 << 63).to_be_bytes()
}

pub(super) fn year(person: PersonId, year: i32) -> Key {
    join(&[&number(person.0), &signed(year)])
}

pub(super) fn settlement_of_year(person: PersonId, of: i32, id: SettlementId) -> Key {
    join(&[&year(person, of), &number(id.0)])
}

pub(super) fn card_since(card: CardId, since_ms: i64) -> Key {
    join(&[&number(card.0), &moment(since_ms)])
}

pub(super) fn settlement_of_card(card: CardId, stamp_ms: i64, id: SettlementId) -> Key {
    join(&[&card_since(card, stamp_ms), &number(id.0)])
}

pub(super) fn day(institution: InstitutionCode, day: Date) -> Key {
    join(&[institution.as_str().as_bytes(), &signed(day.days())])
}

pub(super) fn day_row(institution: InstitutionCode, of: Date, id: SettlementId) -> Key {
    join(&[&day(institution, of), &number(id.0)])
}

pub(super) fn statement(person: PersonId) -> Key {
    join(&[&number(person.0)])
}

pub(super) fn statement_day(person: PersonId, day: Date) -> Key {
    join(&[&number(person.0), &signed(day.days())])
}

/// A sequence stands for the entries of its record; more than one are told apart by their place.
pub(super) fn statement_entry(person: PersonId, day: Date, sequence: u64, place: u32) -> Key {
    join(&[&statement_day(person, day), &number(sequence), &place.to_be_bytes()])
}

/// Bytes of a hash that stands for a request id: with the table's number as much as the database keeps of a key without memory of its own.
const REQUEST_LEN: usize = 19;

/// The beginning of a BLAKE3 hash: random from its first byte, so that the search for an id, which every new request begins with, compares a few
/// bytes where texts of one institution would begin alike. Two ids with one hash would take 2^76 attempts to find.
pub(super) fn request((institution, id): &RequestKey) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(institution.as_str().as_bytes()).update(id.as_str().as_bytes());
    join(&[&hasher.finalize().as_bytes()[..REQUEST_LEN]])
}

/// Stays of a person; the rows say what an overlap needs.
pub(super) fn stays_of_person(person: PersonId) -> Key {
    join(&[&[0], &number(person.0)])
}

/// Stays of an institution in a state.
pub(super) fn stays_of_institution(institution: InstitutionCode, state: StayState) -> Key {
    join(&[&[1], institution.as_str().as_bytes(), &[state_number(state)]])
}

/// Void stays of all: they are few among many.
pub(super) fn void_stays() -> Key {
    join(&[&[2]])
}

fn state_number(state: StayState) -> u8 {
    match state {
        StayState::Open => 0,
        StayState::Discharged => 1,
        StayState::Settled => 2,
        StayState::Void => 3,
    }
}

/// Acknowledged alerts of a person.
pub(super) fn alerts_of_person(person: PersonId) -> Key {
    join(&[&[0], &number(person.0)])
}

/// Acknowledged alerts at an institution.
pub(super) fn alerts_of_institution(institution: InstitutionCode) -> Key {
    join(&[&[1], institution.as_str().as_bytes()])
}

pub(super) fn claims_on(institution: InstitutionCode) -> Key {
    join(&[&[0], institution.as_str().as_bytes()])
}

/// A case number may be any text, so its hash stands for it.
pub(super) fn claims_of_case(case_number: &str) -> Key {
    join(&[&[1], blake3::hash(case_number.as_bytes()).as_bytes()])
}

/// The narrowest list that holds every claim that a filter wants; nothing for the list of all.
pub(super) fn claims_of(filter: &ClaimFilter) -> Option<Key> {
    let of_case = filter.case_number.as_deref().map(claims_of_case);
    of_case.or_else(|| filter.institution.map(claims_on))
}

/// A row of a list: the list's prefix with the id.
pub(super) fn listed(prefix: &[u8], id: u64) -> Key {
    join(&[prefix, &number(id)])
}

/// The first key of a list behind an id.
pub(super) fn listed_after(prefix: &[u8], after: Option<u64>) -> Option<Key> {
    match after {
        None => Some(join(&[prefix])),
        Some(after) => Some(listed(prefix, after.checked_add(1)?)),
    }
}

pub(super) fn stay(id: StayId) -> [u8; 8] {
    number(id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_what_they_name() {
        let days: Vec<Key> = ["0001-01-01", "1969-12-31", "1970-01-01", "2026-03-02", "9999-12-31"]
            .into_iter()
            .map(|day| statement_day(PersonId(7), Date::parse(day).expect("a day")))
            .collect();
        assert!(days.is_sorted());
        let moments = [i64::MIN, -1, 0, 1, i64::MAX].map(|stamp_ms| card_since(CardId(7), stamp_ms));
        assert!(moments.is_sorted());
    }

    #[test]
    fn what_lies_behind_a_prefix_lies_behind_all_that_begin_with_it() {
        assert_eq!(behind(&[1, 2]).as_deref(), Some(&[1, 3][..]));
        assert_eq!(behind(&[1, 255, 255]).as_deref(), Some(&[2][..]));
        assert_eq!(behind(&[255, 255]), None);
    }

    #[test]
    fn every_table_has_its_place_and_its_own_name() {
        for (place, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table as usize, place);
        }
        let names: std::collections::BTreeSet<_> = Table::ALL.into_iter().map(Table::name).collect();
        assert_eq!(names.len(), Table::ALL.len());
    }
}
