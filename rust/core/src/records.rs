//! What `decide` may ask about the past: the port, and an index in memory that answers it.
//!
//! The state keeps persons, open stays and the request window; everything older is a record. An engine fetches the records that a command
//! names before it is decided, from wherever it keeps them.
//! Invariant: records are derived from facts alone and can be rebuilt from the journal.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::accumulator::AccumulatorKey;
use crate::alert::{Acknowledgement, Alert, AlertFilter, AlertView};
use crate::calendar::Date;
use crate::fact::{Fact, Record};
use crate::fraud::{Claim, ClaimFilter, Unwind};
use crate::hub::Hub;
use crate::ids::{AlertId, CardId, InstitutionCode, PersonId, SettlementId, StayId, UnwindId};
use crate::money::Fen;
use crate::request::{Bound, RequestKey};
use crate::settlement::{Adjustment, Cancellation, Settlement, Standing};
use crate::statement::{self, Entry, Range};
use crate::stay::{Stay, StayState};

/// One row of an institution's day; a cancellation is a row of its own with negative amounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRow {
    /// The settlement or cancellation.
    pub id: SettlementId,
    /// The settlement that this row negates.
    pub cancels: Option<SettlementId>,
    /// The institution's request id.
    pub request_id: Box<str>,
    /// Bill.
    pub total: Fen,
    /// All funds.
    pub fund_total: Fen,
    /// Own and family account.
    pub account: Fen,
    /// Cash.
    pub cash: Fen,
    /// Hub's time.
    pub stamp_ms: i64,
}

/// Count and sums of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTotals {
    /// Rows.
    pub count: u64,
    /// Bills.
    pub total: Fen,
    /// Funds.
    pub fund_total: Fen,
    /// Accounts.
    pub account: Fen,
    /// Cash.
    pub cash: Fen,
}

impl DayRow {
    /// The row of a settlement in the day of its record.
    pub fn settled(settlement: &Settlement, record: &Record) -> Self {
        let split = &settlement.split;
        Self {
            id: settlement.id,
            cancels: None,
            request_id: record.request_id.as_str().into(),
            total: split.bill.total,
            fund_total: split.fund_total(),
            account: split.account,
            cash: split.cash,
            stamp_ms: record.stamp_ms,
        }
    }

    /// The row of a cancellation in the day of its record.
    pub fn cancelled(cancellation: &Cancellation, record: &Record) -> Self {
        let row = Self::settled(&cancellation.settlement, record);
        Self {
            id: cancellation.id,
            cancels: Some(row.id),
            total: -row.total,
            fund_total: -row.fund_total,
            account: -row.account,
            cash: -row.cash,
            ..row
        }
    }
}

impl DayTotals {
    /// Count a row.
    pub fn add(&mut self, row: &DayRow) {
        self.count += 1;
        self.total += row.total;
        self.fund_total += row.fund_total;
        self.account += row.account;
        self.cash += row.cash;
    }
}

/// What only the hub as it is before a record knows of what the record leaves to the past. With the record it is all that records are
/// made of, so that they can be kept elsewhere, and later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// Stays that the record settles or voids, as they were.
    pub stays: Vec<Arc<Stay>>,
    /// Alerts that it acknowledges.
    pub alerts: Vec<Arc<Alert>>,
    /// Entries of statements, and whose they are.
    pub entries: Vec<(PersonId, Entry)>,
}

impl Closing {
    /// What a record closes, with the hub as it is before the record is applied.
    pub fn of(record: &Record, before: &Hub) -> Self {
        let mut closing = Self::default();
        for fact in &record.facts {
            match fact {
                Fact::Settled { settlement } => {
                    closing.stays.extend(settlement.stay().and_then(|stay| before.stays.shared(stay).cloned()));
                }
                Fact::AdmissionCancelled { stay } => closing.stays.extend(before.stays.shared(*stay).cloned()),
                Fact::AlertAcknowledged { alert, .. } => {
                    closing.alerts.push(Arc::clone(before.alerts.get(*alert).expect("what is acknowledged was open")));
                }
                _ => {}
            }
        }
        statement::entries_of(record, before, |person, entry| closing.entries.push((person, entry)));
        closing
    }
}

/// Questions about the past.
pub trait Records {
    /// A settlement with what happened to it since.
    fn settlement(&self, id: SettlementId) -> Option<Standing>;
    /// The person's standing settlements that count in a year, in the order of admission, then of the journal.
    fn settlements_of_year(&self, person: PersonId, key: AccumulatorKey) -> Vec<Standing>;
    /// A stay that is settled or void.
    fn past_stay(&self, id: StayId) -> Option<Arc<Stay>>;
    /// The first settled stay of the person, by its id, that has a night in common with [admission, discharge).
    fn overlapping_stay(&self, person: PersonId, admission: Date, discharge: Option<Date>) -> Option<Arc<Stay>>;
    /// Settled and void stays after `after` in the order of ids: of a person, of an institution, or both.
    fn past_stays(&self, of: StayFilter, after: Option<StayId>, limit: usize) -> Vec<Arc<Stay>>;
    /// An institution's rows of a day after `after`, in the order of the journal, with the totals of the whole day.
    fn day(
        &self,
        institution: InstitutionCode,
        day: Date,
        after: Option<SettlementId>,
        limit: usize,
    ) -> (Vec<DayRow>, DayTotals);
    /// A page of what moved the person's money or used the person's limits, oldest first, and whether more follows.
    fn statement(&self, person: PersonId, range: Range) -> (Vec<Entry>, bool);
    /// Standing settlements with a card that were made in a period, both ends included, in the order of the journal.
    fn settled_with(&self, card: CardId, since_ms: i64, until_ms: i64, limit: usize) -> Vec<Standing>;
    /// Claims on institutions after `after`, in the order of the settlements.
    fn claims(&self, of: &ClaimFilter, after: Option<SettlementId>, limit: usize) -> Vec<Claim>;
    /// What was taken back from a thief.
    fn unwind(&self, id: UnwindId) -> Option<Arc<Unwind>>;
    /// A request id that left the window.
    fn request(&self, key: &RequestKey) -> Option<Bound>;
    /// An alert that somebody looked at.
    fn acknowledged_alert(&self, id: AlertId) -> Option<AlertView>;
    /// Alerts that somebody looked at, after `after` in the order of ids.
    fn acknowledged_alerts(&self, of: AlertFilter, after: Option<AlertId>, limit: usize) -> Vec<AlertView>;
}

/// Which stays a listing wants; `None` does not restrict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StayFilter {
    /// Of this person.
    pub person: Option<PersonId>,
    /// Of this institution.
    pub institution: Option<InstitutionCode>,
    /// In this state.
    pub state: Option<StayState>,
}

impl StayFilter {
    /// Whether a stay is wanted.
    pub fn wants(&self, stay: &Stay) -> bool {
        self.person.is_none_or(|person| person == stay.person)
            && self.institution.is_none_or(|code| code == stay.institution)
            && self.state.is_none_or(|state| state == stay.state)
    }
}

/// Records in memory, grown by one fact after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryRecords {
    settlements: BTreeMap<SettlementId, Standing>,
    by_person: BTreeMap<PersonId, Vec<SettlementId>>,
    by_card: BTreeMap<CardId, Vec<SettlementId>>,
    unwinds: BTreeMap<UnwindId, Arc<Unwind>>,
    claims: BTreeMap<SettlementId, Claim>,
    stays: BTreeMap<StayId, Arc<Stay>>,
    stays_by_person: BTreeMap<PersonId, Vec<StayId>>,
    days: BTreeMap<(InstitutionCode, Date), (Vec<DayRow>, DayTotals)>,
    statements: BTreeMap<PersonId, Vec<Entry>>,
    requests: BTreeMap<RequestKey, Bound>,
    alerts: BTreeMap<AlertId, AlertView>,
}

impl MemoryRecords {
    /// Take note of a record, with the hub as it is before the record is applied.
    pub fn observe(&mut self, record: &Record, before: &Hub) {
        for fact in &record.facts {
            match fact {
                Fact::Settled { settlement } => {
                    if let Some(stay) = settlement.stay() {
                        self.keep_stay(before, stay, StayState::Settled, Some(settlement.id));
                    }
                    self.by_person.entry(settlement.person).or_default().push(settlement.id);
                    if let Some(card) = settlement.presented.credential.card() {
                        self.by_card.entry(card).or_default().push(settlement.id);
                    }
                    self.add_row(settlement.institution, DayRow::settled(settlement, record));
                    let standing = Standing {
                        settlement: Arc::clone(settlement),
                        adjustments: Vec::new(),
                        cancelled_by: None,
                        unwound_by: None,
                        request_id: record.request_id.as_str().into(),
                    };
                    self.settlements.insert(settlement.id, standing);
                }
                Fact::SettlementCancelled { cancellation, .. } => self.cancel(cancellation, record),
                Fact::Unwound { unwind } => self.note_unwind(unwind),
                Fact::AdmissionCancelled { stay } => self.keep_stay(before, *stay, StayState::Void, None),
                Fact::AlertAcknowledged { alert, note } => {
                    let alert = before.alerts.get(*alert).expect("what is acknowledged was open");
                    let (by, stamp_ms, note) = (record.operator.clone(), record.stamp_ms, note.clone());
                    let acknowledged = Some(Acknowledgement { by, stamp_ms, note });
                    self.alerts.insert(alert.id, AlertView { alert: Arc::clone(alert), acknowledged });
                }
                Fact::RequestReversed { request } => {
                    if let Some(bound) = self.requests.get_mut(request) {
                        bound.reversed = true;
                    }
                }
                _ => {}
            }
        }
        statement::entries_of(record, before, |person, entry| {
            self.statements.entry(person).or_default().push(entry);
        });
        self.requests.insert(record.request_key(), Bound::by(record));
    }

    fn cancel(&mut self, cancellation: &Cancellation, record: &Record) {
        let settlement = &cancellation.settlement;
        if let Some(standing) = self.settlements.get_mut(&settlement.id) {
            standing.cancelled_by = Some(cancellation.id);
        }
        self.adjust(&cancellation.adjustments);
        if let Some(stay) = settlement.stay() {
            self.stays.remove(&stay);
            if let Some(stays) = self.stays_by_person.get_mut(&settlement.person) {
                stays.retain(|id| *id != stay);
            }
        }
        self.add_row(settlement.institution, DayRow::cancelled(cancellation, record));
    }

    fn adjust(&mut self, adjustments: &[Adjustment]) {
        for adjustment in adjustments {
            if let Some(standing) = self.settlements.get_mut(&adjustment.settlement) {
                standing.adjustments.push(adjustment.clone());
            }
        }
    }

    fn note_unwind(&mut self, unwind: &Arc<Unwind>) {
        for (place, reversal) in unwind.reversals.iter().enumerate() {
            if let Some(standing) = self.settlements.get_mut(&reversal.settlement) {
                standing.unwound_by = Some(unwind.id);
            }
            // The thief's bed was not the holder's: it stands in nobody's way any more.
            if let Some(stay) = reversal.stay.and_then(|stay| self.stays.get_mut(&stay)) {
                Arc::make_mut(stay).state = StayState::Void;
            }
            if reversal.claimed() != Fen::ZERO {
                let claim = Claim { unwind: Arc::clone(unwind), reversal: place };
                self.claims.insert(reversal.settlement, claim);
            }
        }
        self.adjust(&unwind.adjustments);
        self.unwinds.insert(unwind.id, Arc::clone(unwind));
    }

    fn keep_stay(&mut self, before: &Hub, id: StayId, state: StayState, settlement: Option<SettlementId>) {
        let mut stay = Stay::clone(&before.stays[id]);
        stay.state = state;
        stay.settlement = settlement;
        self.stays_by_person.entry(stay.person).or_default().push(id);
        self.stays.insert(id, Arc::new(stay));
    }

    fn add_row(&mut self, institution: InstitutionCode, row: DayRow) {
        let (rows, totals) = self.days.entry((institution, Date::business_day(row.stamp_ms))).or_default();
        totals.add(&row);
        rows.push(row);
    }
}

impl Records for MemoryRecords {
    fn settlement(&self, id: SettlementId) -> Option<Standing> {
        self.settlements.get(&id).cloned()
    }

    fn settlements_of_year(&self, person: PersonId, key: AccumulatorKey) -> Vec<Standing> {
        let ids = self.by_person.get(&person).into_iter().flatten();
        let counts =
            |standing: &&Standing| standing.stands() && standing.deltas().iter().any(|(counted, _)| *counted == key);
        let mut found: Vec<Standing> = ids.map(|id| &self.settlements[id]).filter(counts).cloned().collect();
        found.sort_by_key(|standing| (standing.settlement.case.admission, standing.settlement.id));
        found
    }

    fn past_stay(&self, id: StayId) -> Option<Arc<Stay>> {
        self.stays.get(&id).cloned()
    }

    fn overlapping_stay(&self, person: PersonId, admission: Date, discharge: Option<Date>) -> Option<Arc<Stay>> {
        let ids = self.stays_by_person.get(&person).into_iter().flatten();
        let overlaps = |stay: &&Arc<Stay>| stay.state == StayState::Settled && stay.overlaps(admission, discharge);
        ids.map(|id| &self.stays[id]).filter(overlaps).min_by_key(|stay| stay.id).cloned()
    }

    fn past_stays(&self, of: StayFilter, after: Option<StayId>, limit: usize) -> Vec<Arc<Stay>> {
        let rest = self.stays.range((after.map_or(Unbounded, Excluded), Unbounded));
        rest.map(|(_, stay)| stay).filter(|stay| of.wants(stay)).take(limit).cloned().collect()
    }

    fn day(
        &self,
        institution: InstitutionCode,
        day: Date,
        after: Option<SettlementId>,
        limit: usize,
    ) -> (Vec<DayRow>, DayTotals) {
        let Some((rows, totals)) = self.days.get(&(institution, day)) else { return Default::default() };
        let rest = rows.iter().filter(|row| after.is_none_or(|after| row.id > after));
        (rest.take(limit).cloned().collect(), *totals)
    }

    fn statement(&self, person: PersonId, range: Range) -> (Vec<Entry>, bool) {
        let entries = self.statements.get(&person).map_or(&[][..], Vec::as_slice);
        let (page, more) = range.page(entries);
        (page.to_vec(), more)
    }

    fn settled_with(&self, card: CardId, since_ms: i64, until_ms: i64, limit: usize) -> Vec<Standing> {
        let made =
            |standing: &&Standing| standing.stands() && (since_ms..=until_ms).contains(&standing.settlement.stamp_ms);
        let ids = self.by_card.get(&card).into_iter().flatten();
        ids.map(|id| &self.settlements[id]).filter(made).take(limit).cloned().collect()
    }

    fn claims(&self, of: &ClaimFilter, after: Option<SettlementId>, limit: usize) -> Vec<Claim> {
        let rest = self.claims.range((after.map_or(Unbounded, Excluded), Unbounded));
        rest.map(|(_, claim)| claim).filter(|claim| of.wants(claim)).take(limit).cloned().collect()
    }

    fn unwind(&self, id: UnwindId) -> Option<Arc<Unwind>> {
        self.unwinds.get(&id).cloned()
    }

    fn request(&self, key: &RequestKey) -> Option<Bound> {
        self.requests.get(key).copied()
    }

    fn acknowledged_alert(&self, id: AlertId) -> Option<AlertView> {
        self.alerts.get(&id).cloned()
    }

    fn acknowledged_alerts(&self, of: AlertFilter, after: Option<AlertId>, limit: usize) -> Vec<AlertView> {
        let rest = self.alerts.range((after.map_or(Unbounded, Excluded), Unbounded));
        rest.map(|(_, view)| view).filter(|view| of.wants(&view.alert)).take(limit).cloned().collect()
    }
}
