//! Stays and settlements as responses show them.

use medsettle_core::accumulator::{AccumulatorKey, Accumulators};
use medsettle_core::benefit::Split;
use medsettle_core::command::{ARC_APPROVED, Admitted, Outcome, ReversalEffect};
use medsettle_core::ids::Hash32;
use medsettle_core::policy::FilingKind;
use medsettle_core::records::{DayRow, DayTotals};
use medsettle_core::settlement::{Adjustment, Cancellation, Settlement, Standing};
use medsettle_core::stay::{Stay, StayLine};

use prost::Message as _;

use super::negated;
use crate::append::append;
use crate::contract::Operation;
use crate::convert::{Coded, credential_kind, from_filing, from_line_split, from_split, from_years, voucher_id};
use crate::v1;

type Years = [(AccumulatorKey, Accumulators)];

/// What is not a chip takes no answer.
fn chip_answer(arpc: Option<[u8; 8]>) -> v1::ChipAnswer {
    v1::ChipAnswer { arc: ARC_APPROVED.to_vec(), arpc: arpc.map_or_else(Vec::new, |arpc| arpc.to_vec()) }
}

pub(super) fn admitted(admitted: &Admitted) -> v1::InpatientAdmitResponse {
    v1::InpatientAdmitResponse {
        header: None,
        stay_id: admitted.stay.0,
        person_id: admitted.person.0,
        masked_name: admitted.masked_name.clone(),
        insured_region: admitted.insured_region.to_string(),
        insurance_type: admitted.insurance_type.number(),
        category: admitted.category.number(),
        filing: admitted.filing.as_ref().map(|filing| from_filing(admitted.person, filing)),
        chip_answer: Some(chip_answer(admitted.arpc)),
    }
}

pub(super) fn stay(stay: &Stay, with_lines: bool) -> v1::Stay {
    let mut lines: Vec<&StayLine> = if with_lines { stay.lines.values().collect() } else { Vec::new() };
    lines.sort_by_key(|line| line.ordinal);
    v1::Stay {
        stay_id: stay.id.0,
        person_id: stay.person.0,
        institution_code: stay.institution.as_str().to_owned(),
        state: stay.state.number(),
        kind: stay.kind.number(),
        admission_date: stay.admission.to_string(),
        discharge_date: stay.discharge.map(|day| day.to_string()).unwrap_or_default(),
        department: stay.department.to_string(),
        diagnosis: stay.diagnosis.to_string(),
        insured_region: stay.insured_region.to_string(),
        insurance_type: stay.insurance_type.number(),
        category: stay.category.number(),
        level: stay.level.number(),
        care_region: stay.care_region.to_string(),
        lines: lines.into_iter().map(stay_line).collect(),
        sum: Some(from_line_split(&stay.sum)),
        settlement_id: stay.settlement.map_or(0, |settlement| settlement.0),
    }
}

pub(super) fn stay_line(stay_line: &StayLine) -> v1::StayLine {
    let line = &stay_line.line;
    let (outside_institution_code, outside_slip) = match &line.outside {
        Some((code, slip)) => (code.as_str().to_owned(), slip.to_string()),
        None => Default::default(),
    };
    v1::StayLine {
        line: Some(v1::ChargeLine {
            line_id: line.line_id.to_string(),
            item_code: line.item_code.to_string(),
            quantity: line.quantity.to_string(),
            unit_price: line.unit_price.to_string(),
            date: line.date.to_string(),
            takes_back_line_id: line.takes_back.map(|id| id.to_string()).unwrap_or_default(),
            own_expense: line.own_expense,
            restriction_met: line.restriction_met,
            amount_fen: Some(stay_line.split.total.0),
            outside_institution_code,
            outside_slip,
        }),
        split: Some(from_line_split(&stay_line.split)),
        class: stay_line.class.number(),
        catalogue_hash: stay_line.catalogue.0.to_vec(),
    }
}

pub(super) fn quoted(
    split: &Split,
    hashes: (Hash32, Hash32),
    digest: Hash32,
    account_clipped: bool,
    filing: FilingKind,
) -> v1::InpatientQuoteResponse {
    v1::InpatientQuoteResponse {
        header: None,
        split: Some(from_split(split, Some(hashes))),
        quote_digest: digest.0.to_vec(),
        account_clipped,
        filing_kind: filing.number(),
    }
}

pub(super) fn settled(settlement: &Settlement, years: &Years, arpc: Option<[u8; 8]>) -> v1::InpatientSettleResponse {
    v1::InpatientSettleResponse {
        header: None,
        settlement_id: settlement.id.0,
        split: Some(from_split(&settlement.split, Some((settlement.policy(), settlement.catalogue)))),
        balance_after_fen: settlement.balance_after.0,
        accumulators: from_years(settlement.person, years),
        chip_answer: Some(chip_answer(arpc)),
        filing_kind: settlement.case.filing.number(),
    }
}

pub(super) fn cancelled(cancellation: &Cancellation, years: &Years) -> v1::InpatientCancelSettlementResponse {
    let settlement = &cancellation.settlement;
    let hashes = Some((settlement.policy(), settlement.catalogue));
    v1::InpatientCancelSettlementResponse {
        header: None,
        cancellation_id: cancellation.id.0,
        split: Some(from_split(&negated(&settlement.split), hashes)),
        balance_after_fen: cancellation.balance_after.0,
        accumulators: from_years(settlement.person, years),
        adjustments: cancellation.adjustments.iter().map(adjustment).collect(),
    }
}

fn adjustment(adjustment: &Adjustment) -> v1::SettlementAdjustment {
    v1::SettlementAdjustment {
        settlement_id: adjustment.settlement.0,
        fund_delta_fen: adjustment.fund_delta.0,
        split: Some(from_split(&adjustment.split, None)),
    }
}

pub(super) fn settlement(standing: &Standing) -> v1::Settlement {
    use v1::settlement::State;
    let settlement = &standing.settlement;
    let visit = settlement.visit();
    let case = &settlement.case;
    v1::Settlement {
        settlement_id: settlement.id.0,
        stay_id: settlement.stay().map_or(0, |stay| stay.0),
        person_id: settlement.person.0,
        institution_code: settlement.institution.as_str().to_owned(),
        state: if standing.stands() { State::Standing } else { State::Cancelled } as i32,
        admission_date: case.admission.to_string(),
        discharge_date: case.discharge.to_string(),
        insurance_type: case.insurance_type.number(),
        category: case.category.number(),
        level: case.level.number(),
        filing_kind: case.filing.number(),
        insured_region: case.insured_region.to_string(),
        care_region: case.care_region.to_string(),
        split: Some(from_split(&settlement.split, Some((settlement.policy(), settlement.catalogue)))),
        accumulator_deltas: from_years(settlement.person, &settlement.deltas),
        stamp_ms: settlement.stamp_ms,
        card_sn: settlement.presented.credential.card_sn().map(|card_sn| card_sn.to_string()).unwrap_or_default(),
        terminal_id: settlement.presented.terminal.to_string(),
        request_id: standing.request_id.to_string(),
        cancellation_id: standing.cancelled_by.map_or(0, |id| id.0),
        adjustments: standing.adjustments.iter().map(adjustment).collect(),
        visit_kind: case.visit_kind.number(),
        department: visit.map(|visit| visit.department.to_string()).unwrap_or_default(),
        diagnosis: visit.map(|visit| visit.diagnosis.to_string()).unwrap_or_default(),
        lines: visit.into_iter().flat_map(|visit| &visit.lines).map(stay_line).collect(),
        credential: credential_kind(&settlement.presented.credential) as i32,
        voucher_id: voucher_id(&settlement.presented.credential),
    }
}

pub(super) fn day(
    rows: &[DayRow],
    totals: &DayTotals,
    next_page_token: String,
) -> v1::InpatientListSettlementsResponse {
    let row = |row: &DayRow| v1::SettlementRow {
        settlement_id: row.id.0,
        cancels_settlement_id: row.cancels.map_or(0, |id| id.0),
        request_id: row.request_id.to_string(),
        total_fen: row.total.0,
        fund_total_fen: row.fund_total.0,
        account_fen: row.account.0,
        cash_fen: row.cash.0,
        stamp_ms: row.stamp_ms,
    };
    v1::InpatientListSettlementsResponse {
        header: None,
        rows: rows.iter().map(row).collect(),
        count: totals.count,
        total_fen: totals.total.0,
        fund_total_fen: totals.fund_total.0,
        account_fen: totals.account.0,
        cash_fen: totals.cash.0,
        next_page_token,
    }
}

/// Appends the response of `Messages.GetOutcome` without its header. `original` is the response of the request that is asked about, with or
/// without a header, or its refusal, and empty where there is none.
pub fn encode_outcome(outcome: &Outcome, original: &[u8], out: &mut Vec<u8>) {
    use v1::messages_get_outcome_response::Outcome as Kind;
    let (kind, bound) = match *outcome {
        Outcome::Unknown => (Kind::Unknown, None),
        Outcome::Accepted { sequence, operation } => (Kind::Accepted, Some((sequence, operation))),
        Outcome::Refused { sequence, operation } => (Kind::Refused, Some((sequence, operation))),
        Outcome::Reversed { original } => (Kind::Reversed, original),
    };
    let refused = kind == Kind::Refused;
    let method = bound.and_then(|(_, operation)| Operation::from_number(operation)).map(Operation::name);
    let response = v1::MessagesGetOutcomeResponse {
        header: None,
        outcome: kind as i32,
        method: method.unwrap_or_default().to_owned(),
        original_response: if refused { Vec::new() } else { original.to_vec() },
        original_sequence: bound.map_or(0, |(sequence, _)| sequence),
        original_refusal: refused.then(|| v1::Refusal::decode(original).expect("a refusal that this hub gave")),
    };
    append(&response, out);
}

pub(super) fn reversed(effect: &ReversalEffect) -> v1::MessagesReverseResponse {
    use v1::messages_reverse_response::Effect;
    let (effect, cancellation) = match effect {
        ReversalEffect::Undone { cancellation } => (Effect::Undone, *cancellation),
        ReversalEffect::Remembered => (Effect::Remembered, None),
        ReversalEffect::AlreadyUndone => (Effect::AlreadyUndone, None),
    };
    let cancellation_id = cancellation.map_or(0, |id| id.0);
    v1::MessagesReverseResponse { header: None, effect: effect as i32, cancellation_id }
}
