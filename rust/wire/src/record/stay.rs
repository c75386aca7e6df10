//! Stays and their lines in the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use medsettle_core::ids::{CardId, PersonId, SettlementId, StayId, VoucherId};
use medsettle_core::money::{Fen, Quantity, UnitPrice};
use medsettle_core::stay::{ChargeLine, Stay, StayLine, Voucher};

use super::facts::{day, region};
use crate::convert::{
    Checked, Coded, Fault, at, coded, each, from_line_split, hash, id_if_given, institution_code, line_split, within,
};
use crate::v1;

pub(super) fn from_stay(stay: &Stay) -> v1::StoredStay {
    v1::StoredStay {
        stay_id: stay.id.0,
        person_id: stay.person.0,
        institution_code: stay.institution.as_str().to_owned(),
        state: stay.state.number(),
        kind: stay.kind.number(),
        admission_days: stay.admission.days(),
        discharge_days: stay.discharge.map(medsettle_core::calendar::Date::days),
        department: stay.department.to_string(),
        diagnosis: stay.diagnosis.to_string(),
        insured_region: stay.insured_region.get(),
        insurance_type: stay.insurance_type.number(),
        category: stay.category.number(),
        entitlements: stay.entitlements.clone(),
        level: stay.level.number(),
        care_region: stay.care_region.get(),
        lines: stay.lines.values().map(from_line).collect(),
        sum: Some(from_line_split(&stay.sum)),
        next_ordinal: stay.next_ordinal,
        settlement_id: stay.settlement.map_or(0, |settlement| settlement.0),
        voucher_id: stay.voucher.map_or(0, |voucher| voucher.id.0),
        voucher_account_limit_fen: stay.voucher.map_or(0, |voucher| voucher.account_limit.0),
        admitted_with_card_id: stay.admitted_with.0,
        admitted_ms: stay.admitted_ms,
    }
}

pub(super) fn stay(message: v1::StoredStay) -> Checked<Stay> {
    let mut lines = BTreeMap::new();
    for line in each("lines", message.lines, line)? {
        if lines.insert(line.line.line_id, line).is_some() {
            return Err(Fault::of("lines", "hold a line twice"));
        }
    }
    Ok(Stay {
        id: StayId(message.stay_id),
        person: PersonId(message.person_id),
        institution: at("institution_code", institution_code(&message.institution_code))?,
        state: at("state", coded(message.state))?,
        kind: at("kind", coded(message.kind))?,
        admission: at("admission_days", day(message.admission_days))?,
        discharge: at("discharge_days", message.discharge_days.map(day).transpose())?,
        department: message.department.into(),
        diagnosis: message.diagnosis.into(),
        insured_region: at("insured_region", region(message.insured_region))?,
        insurance_type: at("insurance_type", coded(message.insurance_type))?,
        category: at("category", coded(message.category))?,
        entitlements: message.entitlements,
        level: at("level", coded(message.level))?,
        care_region: at("care_region", region(message.care_region))?,
        lines: Arc::new(lines),
        sum: within("sum", message.sum, |sum| Ok(line_split(sum)))?,
        next_ordinal: message.next_ordinal,
        settlement: id_if_given(message.settlement_id).map(SettlementId),
        voucher: id_if_given(message.voucher_id)
            .map(|id| Voucher { id: VoucherId(id), account_limit: Fen(message.voucher_account_limit_fen) }),
        admitted_with: CardId(message.admitted_with_card_id),
        admitted_ms: message.admitted_ms,
    })
}

pub(super) fn from_line(stay_line: &StayLine) -> v1::StoredLine {
    let line = &stay_line.line;
    let (outside_institution_code, outside_slip) = match &line.outside {
        Some((code, slip)) => (code.as_str().to_owned(), slip.to_string()),
        None => Default::default(),
    };
    v1::StoredLine {
        line_id: line.line_id,
        item_code: line.item_code.to_string(),
        quantity_ten_thousandths: line.quantity.ten_thousandths(),
        unit_price_millionths: line.unit_price.millionths(),
        date_days: line.date.days(),
        takes_back_line_id: line.takes_back.unwrap_or(0),
        own_expense: line.own_expense,
        restriction_met: line.restriction_met,
        outside_institution_code,
        outside_slip,
        split: Some(from_line_split(&stay_line.split)),
        class: stay_line.class.number(),
        catalogue_hash: stay_line.catalogue.0.to_vec(),
        left_ten_thousandths: stay_line.left.ten_thousandths(),
        ordinal: stay_line.ordinal,
    }
}

pub(super) fn line(message: v1::StoredLine) -> Checked<StayLine> {
    let unit_price = UnitPrice::from_millionths(message.unit_price_millionths);
    let outside = match (message.outside_institution_code.as_str(), message.outside_slip) {
        ("", slip) if slip.is_empty() => None,
        (code, slip) => Some((at("outside_institution_code", institution_code(code))?, slip.into_boxed_str())),
    };
    let line = ChargeLine {
        line_id: message.line_id,
        item_code: message.item_code.into(),
        quantity: Quantity::from_ten_thousandths(message.quantity_ten_thousandths),
        unit_price: unit_price.ok_or_else(|| Fault::of("unit_price_millionths", "is negative"))?,
        date: at("date_days", day(message.date_days))?,
        takes_back: id_if_given(message.takes_back_line_id),
        own_expense: message.own_expense,
        restriction_met: message.restriction_met,
        outside,
    };
    Ok(StayLine {
        line,
        split: within("split", message.split, |split| Ok(line_split(split)))?,
        class: at("class", coded(message.class))?,
        catalogue: at("catalogue_hash", hash(&message.catalogue_hash))?,
        left: Quantity::from_ten_thousandths(message.left_ten_thousandths),
        ordinal: message.ordinal,
    })
}
