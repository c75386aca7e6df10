//! What was taken back from a thief, in the journal.

use medsettle_core::fraud::{Reversal, Unwind, VoidedStay};
use medsettle_core::ids::{CardId, PersonId, SettlementId, StayId, UnwindId};
use medsettle_core::money::Fen;
use medsettle_core::settlement::Presented;

use super::credential;
use super::facts::day;
use super::settlement::{adjustment, draws, from_adjustment, from_draws, from_legs, legs, years};
use crate::convert::{Checked, Coded, at, coded, each, from_years, id_if_given, institution_code, within};
use crate::v1;

pub(super) fn from_unwind(unwind: &Unwind) -> v1::Unwound {
    let person = unwind.person;
    v1::Unwound {
        unwind_id: unwind.id.0,
        card_id: unwind.card.0,
        person_id: person.0,
        since_ms: unwind.since_ms,
        until_ms: unwind.until_ms,
        excluded_settlement_ids: unwind.excluded.iter().map(|settlement| settlement.0).collect(),
        case_number: unwind.case_number.to_string(),
        second_approver: unwind.second_approver.to_string(),
        reversals: unwind.reversals.iter().map(|reversal| from_reversal(person, reversal)).collect(),
        adjustments: unwind.adjustments.iter().map(|adjustment| from_adjustment(person, adjustment)).collect(),
        stamp_ms: unwind.stamp_ms,
        excluded_stay_ids: unwind.excluded_stays.iter().map(|stay| stay.0).collect(),
        voided_stays: unwind.voided.iter().map(from_voided).collect(),
    }
}

pub(super) fn unwind(message: v1::Unwound) -> Checked<Unwind> {
    let person = PersonId(message.person_id);
    Ok(Unwind {
        id: UnwindId(message.unwind_id),
        card: CardId(message.card_id),
        person,
        since_ms: message.since_ms,
        until_ms: message.until_ms,
        excluded: message.excluded_settlement_ids.into_iter().map(SettlementId).collect(),
        excluded_stays: message.excluded_stay_ids.into_iter().map(StayId).collect(),
        case_number: message.case_number.into(),
        second_approver: message.second_approver.into(),
        reversals: each("reversals", message.reversals, |message| reversal(person, message))?,
        voided: each("voided_stays", message.voided_stays, |stay| voided(&stay))?,
        adjustments: each("adjustments", message.adjustments, |message| adjustment(person, message))?,
        stamp_ms: message.stamp_ms,
    })
}

fn from_voided(voided: &VoidedStay) -> v1::StoredVoidedStay {
    v1::StoredVoidedStay {
        stay_id: voided.stay.0,
        institution_code: voided.institution.as_str().to_owned(),
        admission_days: voided.admission.days(),
    }
}

fn voided(message: &v1::StoredVoidedStay) -> Checked<VoidedStay> {
    Ok(VoidedStay {
        stay: StayId(message.stay_id),
        institution: at("institution_code", institution_code(&message.institution_code))?,
        admission: at("admission_days", day(message.admission_days))?,
    })
}

fn from_reversal(person: PersonId, reversal: &Reversal) -> v1::StoredReversal {
    v1::StoredReversal {
        settlement_id: reversal.settlement.0,
        institution_code: reversal.institution.as_str().to_owned(),
        stay_id: reversal.stay.map_or(0, |stay| stay.0),
        fund_fen: reversal.fund.0,
        account_fen: reversal.account.0,
        balance_after_fen: reversal.balance_after.0,
        family: from_draws(&reversal.family),
        deltas: from_years(person, &reversal.deltas),
        legs: from_legs(&reversal.legs),
        withdrawn_fen: reversal.withdrawn.0,
        credential: Some(credential::from_shown(&reversal.presented.credential)),
        terminal_id: reversal.presented.terminal.to_string(),
        total_fen: reversal.total.0,
        visit_kind: reversal.visit_kind.number(),
    }
}

fn reversal(person: PersonId, message: v1::StoredReversal) -> Checked<Reversal> {
    Ok(Reversal {
        settlement: SettlementId(message.settlement_id),
        institution: at("institution_code", institution_code(&message.institution_code))?,
        stay: id_if_given(message.stay_id).map(StayId),
        visit_kind: at("visit_kind", coded(message.visit_kind))?,
        presented: Presented {
            credential: within("credential", message.credential.as_ref(), credential::shown)?,
            terminal: message.terminal_id.into(),
        },
        total: Fen(message.total_fen),
        fund: Fen(message.fund_fen),
        account: Fen(message.account_fen),
        balance_after: Fen(message.balance_after_fen),
        family: draws(&message.family),
        deltas: years("deltas", person, message.deltas)?,
        legs: legs(message.legs)?,
        withdrawn: Fen(message.withdrawn_fen),
    })
}
