//! How a record changes rows.
//!
//! Invariant: a record that is folded again, on top of itself and of later ones, leaves what it left the first time, once the later ones
//! are folded again as well: after a crash some tables may be further than the mark says.
//! Leaves out: the state, which `Hub::apply` folds.

use std::sync::Arc;

use fjall::Slice;
use medsettle_core::alert::{Acknowledgement, Alert, AlertView};
use medsettle_core::calendar::Date;
use medsettle_core::fact::{Fact, Record};
use medsettle_core::fraud::{Claim, Unwind};
use medsettle_core::ids::{InstitutionCode, SettlementId, StayId};
use medsettle_core::money::Fen;
use medsettle_core::records::{Closing, DayRow};
use medsettle_core::request::Bound;
use medsettle_core::settlement::{Adjustment, Cancellation, Settlement, Standing};
use medsettle_core::stay::{Stay, StayState};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::key::{self, Table};
use super::overlay::{Rows, View};
use super::row::{AnswerRow, Bed, ClaimRow, Encoder, EntryRow, FrameRow, Totals, decode};
use super::store::StoreError;

/// A record with what it left beside its facts.
pub(crate) struct Observed {
    pub(crate) record: Box<Record>,
    pub(crate) closing: Closing,
    /// The response without its header, or the refusal.
    pub(crate) answer: Box<[u8]>,
}

/// Rows that records change, over a view that does not have them yet.
pub(super) struct Fold<'a> {
    view: &'a View,
    pub(super) rows: Rows,
    encoder: Encoder,
}

type Done = Result<(), StoreError>;

impl<'a> Fold<'a> {
    pub(super) fn over(view: &'a View) -> Self {
        Self { view, rows: Rows::default(), encoder: Encoder::default() }
    }

    fn get<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StoreError> {
        let key = key::within(table, key);
        let found = match self.rows.get(table, &key) {
            Some(changed) => changed.clone(),
            None => self.view.get_within(table, &key)?,
        };
        found.map(|row| decode(&row).map_err(|error| unreadable(table, &error))).transpose()
    }

    fn set(&mut self, table: Table, key: impl AsRef<[u8]>, row: &impl Serialize) {
        let row = self.encoder.encode(row);
        self.rows.set(table, key::within(table, key.as_ref()), Some(row));
    }

    /// A row that is nothing but its key.
    fn list(&mut self, table: Table, key: impl AsRef<[u8]>) {
        self.rows.set(table, key::within(table, key.as_ref()), Some(Slice::default()));
    }

    fn remove(&mut self, table: Table, key: impl AsRef<[u8]>) {
        self.rows.set(table, key::within(table, key.as_ref()), None);
    }

    /// Change a row, where it is there.
    fn change<T: Serialize + DeserializeOwned>(
        &mut self,
        table: Table,
        key: &[u8],
        change: impl FnOnce(&mut T),
    ) -> Done {
        if let Some(mut row) = self.get(table, key)? {
            change(&mut row);
            self.set(table, key, &row);
        }
        Ok(())
    }

    /// A frame ends here.
    pub(super) fn close_frame(&mut self, last_sequence: u64, row: FrameRow) {
        self.set(Table::Frames, key::number(last_sequence), &row);
    }

    /// Take in a record.
    pub(super) fn take(&mut self, observed: &Observed) -> Done {
        let Observed { record, closing, answer } = observed;
        for fact in &record.facts {
            match fact {
                Fact::Settled { settlement } => self.settled(settlement, record, closing)?,
                Fact::SettlementCancelled { cancellation, .. } => self.cancelled(cancellation, record)?,
                Fact::Unwound { unwind } => self.unwound(unwind)?,
                Fact::AdmissionCancelled { stay } => self.close_stay(closing, *stay, StayState::Void, None),
                Fact::AlertAcknowledged { alert, note } => {
                    let alert = closing.alerts.iter().find(|closed| closed.id == *alert);
                    self.acknowledged(alert.expect("what is acknowledged was open"), note, record);
                }
                Fact::RequestReversed { request } => {
                    self.change(Table::Requests, &key::request(request), |bound: &mut Bound| bound.reversed = true)?;
                }
                _ => {}
            }
        }
        let day = Date::business_day(record.stamp_ms);
        for (place, (person, entry)) in (0..).zip(&closing.entries) {
            let key = key::statement_entry(*person, day, record.sequence, place);
            self.set(Table::Statements, key, &EntryRow::of(entry));
        }
        self.set(Table::Requests, key::request(&record.request_key()), &Bound::by(record));
        let answer = AnswerRow { refused: record.refused, body: answer };
        self.set(Table::Answers, key::number(record.sequence), &answer);
        Ok(())
    }

    fn settled(&mut self, settlement: &Arc<Settlement>, record: &Record, closing: &Closing) -> Done {
        if let Some(stay) = settlement.stay() {
            self.close_stay(closing, stay, StayState::Settled, Some(settlement.id));
        }
        for (of, _) in &settlement.deltas {
            self.list(Table::SettlementsOfYear, key::settlement_of_year(settlement.person, of.year, settlement.id));
        }
        if let Some(card) = settlement.presented.credential.card() {
            let key = key::settlement_of_card(card, settlement.stamp_ms, settlement.id);
            self.list(Table::SettlementsOfCard, key);
        }
        self.add_row(settlement.institution, &DayRow::settled(settlement, record), record)?;
        let standing = Standing {
            settlement: Arc::clone(settlement),
            adjustments: Vec::new(),
            cancelled_by: None,
            unwound_by: None,
            request_id: record.request_id.as_str().into(),
        };
        self.set(Table::Settlements, key::number(settlement.id.0), &standing);
        Ok(())
    }

    fn change_standing(&mut self, id: SettlementId, change: impl FnOnce(&mut Standing)) -> Done {
        self.change(Table::Settlements, &key::number(id.0), change)
    }

    fn cancelled(&mut self, cancellation: &Cancellation, record: &Record) -> Done {
        let settlement = &cancellation.settlement;
        self.change_standing(settlement.id, |standing| standing.cancelled_by = Some(cancellation.id))?;
        self.adjusted(&cancellation.adjustments)?;
        if let Some(stay) = settlement.stay() {
            self.reopen_stay(settlement, stay);
        }
        self.set(Table::Cancellations, key::number(cancellation.id.0), cancellation);
        self.add_row(settlement.institution, &DayRow::cancelled(cancellation, record), record)
    }

    fn adjusted(&mut self, adjustments: &[Adjustment]) -> Done {
        for adjustment in adjustments {
            let mut person = None;
            self.change_standing(adjustment.settlement, |standing| {
                let because_of = adjustment.because_of;
                if standing.adjustments.iter().all(|known| known.because_of != because_of) {
                    standing.adjustments.push(adjustment.clone());
                }
                person = Some(standing.settlement.person);
            })?;
            for (of, _) in person.iter().flat_map(|_| &adjustment.deltas) {
                let key = key::settlement_of_year(person.expect("found"), of.year, adjustment.settlement);
                self.list(Table::SettlementsOfYear, key);
            }
        }
        Ok(())
    }

    fn unwound(&mut self, unwind: &Arc<Unwind>) -> Done {
        for (place, reversal) in unwind.reversals.iter().enumerate() {
            self.change_standing(reversal.settlement, |standing| standing.unwound_by = Some(unwind.id))?;
            if let Some(id) = reversal.stay {
                self.void_settled_stay(id)?;
            }
            if reversal.claimed() != Fen::ZERO {
                let claim = Claim { unwind: Arc::clone(unwind), reversal: place };
                let id = reversal.settlement.0;
                self.set(Table::Claims, key::number(id), &ClaimRow::of(&claim));
                let lists = [key::claims_on(reversal.institution), key::claims_of_case(&unwind.case_number)];
                for list in lists {
                    self.list(Table::ClaimsOf, key::listed(&list, id));
                }
            }
        }
        self.adjusted(&unwind.adjustments)?;
        self.set(Table::Unwinds, key::number(unwind.id.0), unwind);
        Ok(())
    }

    fn close_stay(&mut self, closing: &Closing, id: StayId, state: StayState, settlement: Option<SettlementId>) {
        let before = closing.stays.iter().find(|stay| stay.id == id).expect("a closed stay was open");
        self.keep_stay(&Stay { state, settlement, ..Stay::clone(before) });
    }

    fn keep_stay(&mut self, stay: &Stay) {
        let id = stay.id.0;
        self.set(Table::Stays, key::stay(stay.id), stay);
        let of_person = key::listed(&key::stays_of_person(stay.person), id);
        self.set(Table::StaysOf, of_person, &Bed::of(stay));
        self.list(Table::StaysOf, key::listed(&key::stays_of_institution(stay.institution, stay.state), id));
        if stay.state == StayState::Void {
            self.list(Table::StaysOf, key::listed(&key::void_stays(), id));
        }
    }

    /// A settled stay is open again: it is in the state, and here no longer.
    fn reopen_stay(&mut self, settlement: &Settlement, id: StayId) {
        self.remove(Table::Stays, key::stay(id));
        let person = key::stays_of_person(settlement.person);
        let institution = key::stays_of_institution(settlement.institution, StayState::Settled);
        for list in [person, institution] {
            self.remove(Table::StaysOf, key::listed(&list, id.0));
        }
    }

    /// The thief's bed was not the holder's: it stands in nobody's way any more.
    fn void_settled_stay(&mut self, id: StayId) -> Done {
        let Some(mut stay) = self.get::<Stay>(Table::Stays, &key::stay(id))? else { return Ok(()) };
        let listed = key::stays_of_institution(stay.institution, stay.state);
        self.remove(Table::StaysOf, key::listed(&listed, id.0));
        stay.state = StayState::Void;
        self.keep_stay(&stay);
        Ok(())
    }

    fn acknowledged(&mut self, alert: &Arc<Alert>, note: &str, record: &Record) {
        let (by, stamp_ms, note) = (record.operator.clone(), record.stamp_ms, note.into());
        let view = AlertView { alert: Arc::clone(alert), acknowledged: Some(Acknowledgement { by, stamp_ms, note }) };
        self.set(Table::Alerts, key::number(alert.id.0), &view);
        for list in [key::alerts_of_person(alert.person), key::alerts_of_institution(alert.institution)] {
            self.list(Table::AlertsOf, key::listed(&list, alert.id.0));
        }
    }

    fn add_row(&mut self, institution: InstitutionCode, row: &DayRow, record: &Record) -> Done {
        let day = Date::business_day(row.stamp_ms);
        let of_day = key::day(institution, day);
        let mut counted: Totals = self.get(Table::DayTotals, &of_day)?.unwrap_or_default();
        // One record may make several rows of a day only if it were several decisions, and it is one.
        if counted.through < record.sequence {
            counted.through = record.sequence;
            counted.totals.add(row);
            self.set(Table::DayTotals, of_day, &counted);
        }
        self.set(Table::DayRows, key::day_row(institution, day, row.id), row);
        Ok(())
    }
}

pub(super) fn unreadable(table: Table, error: &dyn std::error::Error) -> StoreError {
    StoreError::Damaged(format!("a row of {} cannot be read: {error}", table.name()))
}
