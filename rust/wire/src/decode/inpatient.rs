//! Requests about stays and settlements, and about what became of a request.

use medsettle_core::command::{Command, Query};
use medsettle_core::ids::{Hash32, PersonId, SettlementId, StayId};
use medsettle_core::money::{Fen, Quantity, UnitPrice};
use medsettle_core::stay::ChargeLine;

use super::presentation::{holder_check, presentation};
use super::{Asked, page};
use crate::convert::{
    Checked, Coded, Fault, amount, at, coded, day, each, given_text, hash, id, id_if_given, institution_code,
    optional_day, request_id, text,
};
use crate::limits::{MAX_DIAGNOSIS, MAX_ITEM_CODE, MAX_SHORT_TEXT};
use crate::v1;

fn stay(number: u64) -> Checked<StayId> {
    at("stay_id", id(number)).map(StayId)
}

pub(super) fn settlement(number: u64) -> Checked<SettlementId> {
    at("settlement_id", id(number)).map(SettlementId)
}

pub(super) fn admit(message: v1::InpatientAdmitRequest) -> Checked<Asked> {
    let (shown, proof) = presentation(message.presentation)?;
    let command = Command::Admit {
        presentation: shown,
        holder_check: holder_check(message.holder_check),
        admission: at("admission_date", day(&message.admission_date))?,
        kind: at("kind", coded(message.kind))?,
        department: at("department", text(message.department, MAX_SHORT_TEXT))?,
        diagnosis: at("diagnosis", text(message.diagnosis, MAX_DIAGNOSIS))?,
    };
    Ok(Asked { command, proof })
}

pub(super) fn update_stay(message: v1::InpatientUpdateStayRequest) -> Checked<Command> {
    Ok(Command::UpdateStay {
        stay: stay(message.stay_id)?,
        admission: at("admission_date", optional_day(message.admission_date.as_ref()))?,
        kind: Coded::from_number(message.kind),
        department: at("department", message.department.map(|given| text(given, MAX_SHORT_TEXT)).transpose())?,
        diagnosis: at("diagnosis", message.diagnosis.map(|given| text(given, MAX_DIAGNOSIS)).transpose())?,
    })
}

pub(super) fn add_charges(message: v1::InpatientAddChargesRequest) -> Checked<Command> {
    Ok(Command::AddCharges { stay: stay(message.stay_id)?, lines: each("lines", message.lines, charge_line)? })
}

/// One spelling for one number, because the id is given back as a number.
fn line_id(text: &str) -> Checked<u64> {
    let formed =
        (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| formed).ok_or_else(|| Fault::here("must be 1 to 15 digits that do not begin with 0"))
}

pub(super) fn charge_line(message: v1::ChargeLine) -> Checked<(ChargeLine, Option<Fen>)> {
    let quantity = Quantity::parse(&message.quantity);
    let unit_price = UnitPrice::parse(&message.unit_price);
    let takes_back = Some(&message.takes_back_line_id).filter(|text| !text.is_empty());
    let line = ChargeLine {
        line_id: at("line_id", line_id(&message.line_id))?,
        item_code: at("item_code", given_text(message.item_code, MAX_ITEM_CODE))?,
        quantity: quantity.ok_or_else(|| Fault::of("quantity", "is no number with at most 4 decimals"))?,
        unit_price: unit_price.ok_or_else(|| Fault::of("unit_price", "is no price with at most 6 decimals"))?,
        date: at("date", day(&message.date))?,
        takes_back: at("takes_back_line_id", takes_back.map(|text| line_id(text)).transpose())?,
        own_expense: message.own_expense,
        restriction_met: message.restriction_met,
        outside: match (message.outside_institution_code.as_str(), message.outside_slip) {
            ("", slip) if slip.is_empty() => None,
            (code, slip) => Some((
                at("outside_institution_code", institution_code(code))?,
                at("outside_slip", text(slip, MAX_SHORT_TEXT))?,
            )),
        },
    };
    // The total of a refund is negative.
    let own_total = at("amount_fen", message.amount_fen.map(|fen| amount(fen.saturating_abs())).transpose())?;
    Ok((line, own_total.and(message.amount_fen).map(Fen)))
}

pub(super) fn revoke_charges(message: v1::InpatientRevokeChargesRequest) -> Checked<Command> {
    let line_ids = each("line_ids", message.line_ids, |text| line_id(&text))?;
    Ok(Command::RevokeCharges { stay: stay(message.stay_id)?, line_ids })
}

pub(super) fn discharge(message: v1::InpatientDischargeRequest) -> Checked<Command> {
    let discharge = at("discharge_date", day(&message.discharge_date))?;
    Ok(Command::Discharge { stay: stay(message.stay_id)?, discharge })
}

pub(super) fn cancel_discharge(message: v1::InpatientCancelDischargeRequest) -> Checked<Command> {
    Ok(Command::CancelDischarge { stay: stay(message.stay_id)? })
}

pub(super) fn cancel_admission(message: v1::InpatientCancelAdmissionRequest) -> Checked<Command> {
    Ok(Command::CancelAdmission { stay: stay(message.stay_id)? })
}

pub(super) fn quote(message: v1::InpatientQuoteRequest) -> Checked<Query> {
    Ok(Query::Quote {
        stay: stay(message.stay_id)?,
        account_request: at("account_request_fen", amount(message.account_request_fen))?,
        use_family: message.use_family,
    })
}

/// The quote that a settlement names, if any.
pub(super) fn quote_digest(bytes: &[u8]) -> Checked<Option<Hash32>> {
    let given = Some(bytes).filter(|digest| !digest.is_empty());
    at("quote_digest", given.map(hash).transpose())
}

pub(super) fn settle(message: v1::InpatientSettleRequest) -> Checked<Asked> {
    if message.interim {
        return Err(Fault::of("interim", "must be false"));
    }
    let quote = quote_digest(&message.quote_digest)?;
    let (shown, proof) = presentation(message.presentation)?;
    let command = Command::SettleStay {
        stay: stay(message.stay_id)?,
        total: at("total_fen", amount(message.total_fen))?,
        account_request: at("account_request_fen", amount(message.account_request_fen))?,
        use_family: message.use_family,
        quote,
        presentation: shown,
        holder_check: holder_check(message.holder_check),
    };
    Ok(Asked { command, proof })
}

pub(super) fn cancel_settlement(message: v1::InpatientCancelSettlementRequest) -> Checked<Command> {
    Ok(Command::CancelSettlement { settlement: settlement(message.settlement_id)? })
}

pub(super) fn get_stay(message: v1::InpatientGetStayRequest) -> Checked<Query> {
    stay(message.stay_id).map(Query::GetStay)
}

pub(super) fn get_settlement(message: v1::InpatientGetSettlementRequest) -> Checked<Query> {
    settlement(message.settlement_id).map(Query::GetSettlement)
}

pub(super) fn explain(message: v1::InpatientExplainRequest) -> Checked<Query> {
    settlement(message.settlement_id).map(Query::Explain)
}

fn of_institution(text: &str) -> Checked<Option<medsettle_core::ids::InstitutionCode>> {
    let code = Some(text).filter(|text| !text.is_empty());
    at("institution_code", code.map(institution_code).transpose())
}

pub(super) fn list_stays(message: v1::InpatientListStaysRequest) -> Checked<Query> {
    Ok(Query::ListStays {
        person: id_if_given(message.person_id).map(PersonId),
        institution: of_institution(&message.institution_code)?,
        state: Coded::from_number(message.state),
        page: page(message.page)?,
    })
}

pub(super) fn list_settlements(message: v1::InpatientListSettlementsRequest) -> Checked<Query> {
    Ok(Query::ListSettlements {
        day: at("day", day(&message.day))?,
        institution: of_institution(&message.institution_code)?,
        page: page(message.page)?,
    })
}

pub(super) fn get_outcome(message: v1::MessagesGetOutcomeRequest) -> Checked<Query> {
    Ok(Query::GetOutcome { request_id: at("request_id", request_id(&message.request_id))? })
}

pub(super) fn reverse(message: v1::MessagesReverseRequest) -> Checked<Command> {
    let reversed = at("reversed_request_id", request_id(&message.reversed_request_id))?;
    Ok(Command::Reverse { request_id: reversed })
}
