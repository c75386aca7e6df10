//! Questions about the past, answered from rows.
//!
//! Invariant: a question reads a page, never a history: every list that can be asked for has its own order of keys.
//! Leaves out: waiting for what was handed over and not taken in yet (`Index`).

use std::collections::BTreeMap;
use std::sync::Arc;

use medsettle_core::accumulator::AccumulatorKey;
use medsettle_core::alert::{AlertFilter, AlertView};
use medsettle_core::calendar::Date;
use medsettle_core::fraud::{Claim, ClaimFilter, Unwind};
use medsettle_core::ids::{AlertId, CardId, InstitutionCode, PersonId, SettlementId, StayId, UnwindId};
use medsettle_core::records::{DayRow, DayTotals, StayFilter};
use medsettle_core::request::{Bound, RequestKey};
use medsettle_core::settlement::{Cancellation, Settlement, Standing};
use medsettle_core::statement::{Entry, PAGE_ENTRIES, Range};
use medsettle_core::stay::{Stay, StayState, intervals_overlap};
use serde::de::DeserializeOwned;

use super::fold::unreadable;
use super::key::{self, Key, Table};
use super::overlay::View;
use super::row::{AnswerRow, Bed, ClaimRow, EntryRow, FrameRow, Mark, Named, Totals};
use super::store::StoreError;
use crate::journal::FrameHash;
use crate::reply::Seen;

/// What was answered to a request, for ever.
pub(crate) struct FirstAnswer {
    /// The response without its header, or the refusal.
    pub(crate) body: Vec<u8>,
    /// It is a refusal that left something behind.
    pub(crate) refused: bool,
    /// The frame of the record, unless that is still being filled.
    pub(crate) frame: Option<Seen>,
}

type Found<T> = Result<T, StoreError>;

impl View {
    fn row<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Found<Option<T>> {
        let found = self.get(table, key)?;
        found.map(|row| postcard::from_bytes(&row).map_err(|error| unreadable(table, &error))).transpose()
    }

    /// A row that another one names.
    fn named<T: DeserializeOwned>(&self, table: Table, id: u64) -> Found<T> {
        let found = self.row(table, &key::number(id))?;
        found.ok_or_else(|| StoreError::Damaged(format!("{} has no row {id}, which another names", table.name())))
    }

    pub(super) fn mark(store: &dyn super::store::Store) -> Found<Option<Mark>> {
        let found = store.get(Table::Mark, &key::within(Table::Mark, &key::MARK))?;
        found.map(|row| postcard::from_bytes(&row).map_err(|error| unreadable(Table::Mark, &error))).transpose()
    }

    /// Ids of a list from the one after `after` on.
    fn listed(&self, table: Table, list: &[u8], after: Option<u64>) -> impl Iterator<Item = Found<u64>> {
        let rows = key::listed_after(list, after).map(|from| self.range(table, &from, key::behind(list).as_deref()));
        rows.into_iter().flatten().map(|row| row.map(|(key, _)| key::last_number(&key)))
    }

    /// Rows of a table whose keys are ids, from the one after `after` on.
    fn rows_after<T: DeserializeOwned>(&self, table: Table, after: Option<u64>) -> impl Iterator<Item = Found<T>> {
        let rows = key::listed_after(&[], after).map(|from| self.range(table, &from, None));
        rows.into_iter().flatten().map(move |row| {
            let (_, row) = row?;
            postcard::from_bytes(&row).map_err(|error| unreadable(table, &error))
        })
    }

    pub(super) fn first_answer(&self, sequence: u64) -> Found<FirstAnswer> {
        let row = self.get(Table::Answers, &key::number(sequence))?;
        let row = row.ok_or_else(|| StoreError::Damaged(format!("the answer of record {sequence} is missing")))?;
        let AnswerRow { refused, body } =
            postcard::from_bytes(&row).map_err(|error| unreadable(Table::Answers, &error))?;
        Ok(FirstAnswer { body: body.to_vec(), refused, frame: self.frame_of(sequence)? })
    }

    /// The frame that holds a record, unless that is still being filled.
    pub(super) fn frame_of(&self, sequence: u64) -> Found<Option<Seen>> {
        let Some(row) = self.range(Table::Frames, &key::number(sequence), None).next() else { return Ok(None) };
        let FrameRow { hash, stamp_ms } =
            postcard::from_bytes(&row?.1).map_err(|error| unreadable(Table::Frames, &error))?;
        Ok(Some(Seen { hash: FrameHash(hash), stamp_ms }))
    }

    pub(super) fn settlement(&self, id: SettlementId) -> Found<Option<Standing>> {
        self.row(Table::Settlements, &key::number(id.0))
    }

    pub(super) fn settlements_of_year(&self, person: PersonId, key: AccumulatorKey) -> Found<Vec<Standing>> {
        let counts =
            |standing: &Standing| standing.stands() && standing.deltas().iter().any(|(counted, _)| *counted == key);
        let mut found = Vec::new();
        for id in self.listed(Table::SettlementsOfYear, &key::year(person, key.year), None) {
            let standing: Standing = self.named(Table::Settlements, id?)?;
            if counts(&standing) {
                found.push(standing);
            }
        }
        found.sort_by_key(|standing| (standing.settlement.case.admission, standing.settlement.id));
        Ok(found)
    }

    pub(super) fn past_stay(&self, id: StayId) -> Found<Option<Arc<Stay>>> {
        self.row(Table::Stays, &key::stay(id))
    }

    pub(super) fn overlapping_stay(
        &self,
        person: PersonId,
        admission: Date,
        discharge: Option<Date>,
    ) -> Found<Option<Arc<Stay>>> {
        let list = key::stays_of_person(person);
        for row in self.range(Table::StaysOf, &list, key::behind(&list).as_deref()) {
            let (key, row) = row?;
            let bed: Bed = postcard::from_bytes(&row).map_err(|error| unreadable(Table::StaysOf, &error))?;
            let overlaps = intervals_overlap((bed.admission, bed.discharge), (admission, discharge));
            if bed.state == StayState::Settled && overlaps {
                return self.named(Table::Stays, key::last_number(&key)).map(Some);
            }
        }
        Ok(None)
    }

    pub(super) fn past_stays(&self, of: StayFilter, after: Option<StayId>, limit: usize) -> Found<Vec<Arc<Stay>>> {
        let after = after.map(|id| id.0);
        let wanted = |stay: &Arc<Stay>| of.wants(stay);
        let lists: Vec<Key> = match of {
            StayFilter { person: Some(person), .. } => vec![key::stays_of_person(person)],
            StayFilter { institution: Some(code), state: Some(state), .. } => {
                vec![key::stays_of_institution(code, state)]
            }
            StayFilter { institution: Some(code), state: None, .. } => {
                [StayState::Settled, StayState::Void].map(|state| key::stays_of_institution(code, state)).into()
            }
            StayFilter { state: Some(StayState::Void), .. } => vec![key::void_stays()],
            StayFilter { state: Some(StayState::Open | StayState::Discharged), .. } => Vec::new(),
            StayFilter { state: Some(StayState::Settled) | None, .. } => {
                let stays = self.rows_after::<Arc<Stay>>(Table::Stays, after);
                return stays.filter(|stay| stay.as_ref().map_or(true, wanted)).take(limit).collect();
            }
        };
        let mut ids = Vec::new();
        for list in lists {
            // A person has few stays of which the filter may want none; of an institution's every one is wanted.
            let most = if of.person.is_some() { usize::MAX } else { limit };
            ids.extend(self.listed(Table::StaysOf, &list, after).take(most).collect::<Found<Vec<u64>>>()?);
        }
        ids.sort_unstable();
        let stays = ids.into_iter().map(|id| self.named::<Arc<Stay>>(Table::Stays, id));
        stays.filter(|stay| stay.as_ref().map_or(true, wanted)).take(limit).collect()
    }

    pub(super) fn day(
        &self,
        institution: InstitutionCode,
        day: Date,
        after: Option<SettlementId>,
        limit: usize,
    ) -> Found<(Vec<DayRow>, DayTotals)> {
        let of_day = key::day(institution, day);
        let totals = self.row::<Totals>(Table::DayTotals, &of_day)?.unwrap_or_default().totals;
        let Some(from) = key::listed_after(&of_day, after.map(|id| id.0)) else { return Ok((Vec::new(), totals)) };
        let rows = self.range(Table::DayRows, &from, key::behind(&of_day).as_deref()).take(limit);
        let rows = rows.map(|row| postcard::from_bytes(&row?.1).map_err(|error| unreadable(Table::DayRows, &error)));
        Ok((rows.collect::<Found<_>>()?, totals))
    }

    pub(super) fn statement(&self, person: PersonId, range: Range) -> Found<(Vec<Entry>, bool)> {
        let list = key::statement(person);
        // Entries lie by days, as their records do: what is to be followed is of the day of its frame.
        let followed = if range.after == 0 { None } else { self.frame_of(range.after)? };
        let from = range.from.max(followed.map(|frame| Date::business_day(frame.stamp_ms)));
        let from = from.map_or(list.clone(), |day| key::statement_day(person, day));
        let behind = match range.to.map(|day| (day, Date::from_days(day.days() + 1))) {
            Some((_, Some(next))) => Some(key::statement_day(person, next)),
            Some((_, None)) | None => key::behind(&list),
        };
        let mut loaded = Loaded { view: self, unwinds: BTreeMap::new() };
        let mut entries: Vec<Entry> = Vec::new();
        for row in self.range(Table::Statements, &from, behind.as_deref()) {
            let (key, row) = row?;
            let sequence = key::last_number(&key[..key.len() - 4]);
            if sequence <= range.after {
                continue;
            }
            if entries.len() >= PAGE_ENTRIES && entries.last().is_some_and(|last| last.sequence < sequence) {
                return Ok((entries, true));
            }
            let row: EntryRow = postcard::from_bytes(&row).map_err(|error| unreadable(Table::Statements, &error))?;
            entries.push(row.entry(sequence, &mut loaded)?);
        }
        Ok((entries, false))
    }

    pub(super) fn settled_with(
        &self,
        card: CardId,
        since_ms: i64,
        until_ms: i64,
        limit: usize,
    ) -> Found<Vec<Standing>> {
        let from = key::card_since(card, since_ms);
        let to = until_ms.checked_add(1).map(|until_ms| key::card_since(card, until_ms));
        let to = to.or_else(|| key::behind(&key::number(card.0)));
        let mut found = Vec::new();
        for row in self.range(Table::SettlementsOfCard, &from, to.as_deref()) {
            if found.len() >= limit {
                break;
            }
            let standing: Standing = self.named(Table::Settlements, key::last_number(&row?.0))?;
            if standing.stands() {
                found.push(standing);
            }
        }
        Ok(found)
    }

    pub(super) fn claims(&self, of: &ClaimFilter, after: Option<SettlementId>, limit: usize) -> Found<Vec<Claim>> {
        let after = after.map(|id| id.0);
        let mut loaded = Loaded { view: self, unwinds: BTreeMap::new() };
        let list = key::claims_of(of);
        let rows: Box<dyn Iterator<Item = Found<ClaimRow>>> = match &list {
            Some(list) => {
                Box::new(self.listed(Table::ClaimsOf, list, after).map(|id| self.named::<ClaimRow>(Table::Claims, id?)))
            }
            None => Box::new(self.rows_after(Table::Claims, after)),
        };
        let mut found = Vec::new();
        for row in rows {
            if found.len() >= limit {
                break;
            }
            let claim = loaded.claim(row?)?;
            if of.wants(&claim) {
                found.push(claim);
            }
        }
        Ok(found)
    }

    pub(super) fn unwind(&self, id: UnwindId) -> Found<Option<Arc<Unwind>>> {
        self.row(Table::Unwinds, &key::number(id.0))
    }

    pub(super) fn request(&self, key: &RequestKey) -> Found<Option<Bound>> {
        self.row(Table::Requests, &key::request(key))
    }

    /// Whether the store alone, without what stands over it, knows an id.
    pub(super) fn is_request_stored(&self, key: &RequestKey) -> Found<bool> {
        let key = key::within(Table::Requests, &key::request(key));
        Ok(self.store.get(Table::Requests, &key)?.is_some())
    }

    pub(super) fn acknowledged_alert(&self, id: AlertId) -> Found<Option<AlertView>> {
        self.row(Table::Alerts, &key::number(id.0))
    }

    pub(super) fn acknowledged_alerts(
        &self,
        of: AlertFilter,
        after: Option<AlertId>,
        limit: usize,
    ) -> Found<Vec<AlertView>> {
        let after = after.map(|id| id.0);
        let list = match of {
            AlertFilter { person: Some(person), .. } => Some(key::alerts_of_person(person)),
            AlertFilter { institution: Some(code), .. } => Some(key::alerts_of_institution(code)),
            AlertFilter { .. } => None,
        };
        let views: Box<dyn Iterator<Item = Found<AlertView>>> = match &list {
            Some(list) => Box::new(self.listed(Table::AlertsOf, list, after).map(|id| self.named(Table::Alerts, id?))),
            None => Box::new(self.rows_after(Table::Alerts, after)),
        };
        let wanted = |view: &Found<AlertView>| view.as_ref().map_or(true, |view| of.wants(&view.alert));
        views.filter(wanted).take(limit).collect()
    }
}

/// What rows of a page name; an unwind that many name is read once.
struct Loaded<'a> {
    view: &'a View,
    unwinds: BTreeMap<UnwindId, Arc<Unwind>>,
}

impl Named for Loaded<'_> {
    fn settlement(&mut self, id: SettlementId) -> Found<Arc<Settlement>> {
        self.view.named::<Standing>(Table::Settlements, id.0).map(|standing| standing.settlement)
    }

    fn cancellation(&mut self, id: SettlementId) -> Found<Arc<Cancellation>> {
        self.view.named(Table::Cancellations, id.0)
    }

    fn claim(&mut self, row: ClaimRow) -> Found<Claim> {
        let ClaimRow { unwind, reversal } = row;
        if !self.unwinds.contains_key(&unwind) {
            self.unwinds.insert(unwind, self.view.named(Table::Unwinds, unwind.0)?);
        }
        Ok(Claim { unwind: Arc::clone(&self.unwinds[&unwind]), reversal })
    }
}
