//! Visits to outpatient departments and pharmacies: quoted, and billed and settled in one step.
//!
//! Invariant: order of the checks is place, card, person, lines, totals, signature, calculation, quote.
//! Invariant: a visit that is committed keeps its lines with their splits, so that the record alone recomputes it.
//! Leaves out: the calculation, what is committed and its negation (`calculation`, `settlements`).
//!
//! | institution | INPATIENT | OUTPATIENT, role HOSPITAL | PHARMACY, role PHARMACY |
//! | --- | --- | --- | --- |
//! | hospital, clinic | is no visit | yes | refused |
//! | pharmacy | is no visit | refused | yes |

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::calculation::{Billed, account_request, calculate, quote_digest};
use super::charges::{BadLines, Tariff, split_billed};
use super::presentation::{self, Expected};
use super::{cards, queries, settlements, stays, suspensions};
use crate::benefit::{Draw, LineSplit};
use crate::command::{CardKey, Reply, RequestHeader};
use crate::fact::Fact;
use crate::hub::{Context, Hub, role};
use crate::ids::InstitutionCode;
use crate::institution::{Institution, InstitutionKind};
use crate::money::{Fen, MAX_AMOUNT, Quantity};
use crate::person::Person;
use crate::policy::VisitKind;
use crate::reject::Reject;
use crate::settlement::Occasion;
use crate::stay::{ChargeLine, MAX_LINES_PER_REQUEST, StayLine};
use crate::visit::{QuoteVisit, SettleVisit, Visit, VisitBill, VisitHolder};

/// Settles what the chip signed, or refuses.
pub(crate) fn settle(
    hub: &Hub,
    header: &RequestHeader,
    asked: &SettleVisit,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let bill = &asked.bill;
    let place = place_of(hub, header.institution, bill.kind, context)?;
    let accepted = presentation::accept(hub, place.code, &asked.presentation, asked.holder_check, context)?;
    let person = hub.person(accepted.card()?.person)?;
    let (care, lines) = billed(hub, place, person, bill, context)?;
    if asked.total != care.bill.total {
        return Err(Reject::TotalMismatch { institution: asked.total, hub: care.bill.total });
    }
    let expected = Expected::Settlement { total: asked.total, account: bill.account_request };
    presentation::check_signed(hub, &accepted, &asked.presentation, expected, context)?;
    accepted.check_home(|| {
        stays::is_local(hub, care.insured_region, care.insurance_type, care.care_region, bill.kind, bill.day)
    })?;
    let own_balance = accepted.own_balance(hub, person);
    let draw = account_request(hub, person, own_balance, Draw::Settle, bill.account_request, bill.use_family);
    let calculated = calculate(hub, person, care, &draw, context)?;
    if asked.quote.is_some_and(|quote| quote != quote_digest(quote_of(person, bill, &lines), &calculated)) {
        return Err(Reject::QuoteStale);
    }
    let visit = Visit { department: bill.department.clone(), diagnosis: asked.diagnosis.clone(), lines };
    let occasion = Occasion::Visit(Arc::new(visit));
    settlements::commit(hub, person, place.code, occasion, calculated, accepted, context)
}

/// The split, computed and not committed.
pub(crate) fn quote(hub: &Hub, asked: &QuoteVisit, context: &Context<'_>) -> Result<Reply, Reject> {
    let bill = &asked.bill;
    let place = place_of(hub, context.actor.institution, bill.kind, context)?;
    let person = match &asked.holder {
        VisitHolder::Card(sn) => hub.person(cards::find(hub, CardKey::Sn(*sn))?.person)?,
        VisitHolder::Certificate(certificate) => queries::person_of(hub, certificate)?,
    };
    let (care, lines) = billed(hub, place, person, bill, context)?;
    let draw = account_request(hub, person, person.account.balance, Draw::Quote, bill.account_request, bill.use_family);
    let calculated = calculate(hub, person, care, &draw, context)?;
    let of = quote_of(person, bill, &lines);
    Ok(settlements::quoted(of, lines, bill.account_request, calculated))
}

/// The institution, when it gives this kind of care and the caller may settle it.
fn place_of<'a>(
    hub: &'a Hub,
    institution: InstitutionCode,
    kind: VisitKind,
    context: &Context<'_>,
) -> Result<&'a Institution, Reject> {
    let place = hub.institution(institution)?;
    let needed = match kind {
        VisitKind::Inpatient => return Err(Reject::malformed("visit_kind", "a stay is no visit")),
        VisitKind::Outpatient => role::HOSPITAL,
        VisitKind::Pharmacy => role::PHARMACY,
    };
    if !gives(place.kind, kind) {
        return Err(Reject::VisitNotOffered { institution: place.kind, visit: kind });
    }
    if context.actor.roles & (needed | role::HUB) == 0 {
        return Err(Reject::RoleForbidden);
    }
    Ok(place)
}

/// Which care an institution gives by its kind.
pub(crate) fn gives(institution: InstitutionKind, kind: VisitKind) -> bool {
    match institution {
        InstitutionKind::Hospital | InstitutionKind::Clinic => kind != VisitKind::Pharmacy,
        InstitutionKind::Pharmacy => kind == VisitKind::Pharmacy,
    }
}

/// The bill with each line split on the terms of the place and of the day.
fn billed(
    hub: &Hub,
    place: &Institution,
    person: &Person,
    bill: &VisitBill,
    context: &Context<'_>,
) -> Result<(Billed<'static>, Vec<StayLine>), Reject> {
    let day = bill.day;
    if day > context.today() {
        return Err(Reject::StayDatesWrong { field: "visit_date".into(), problem: "is in the future" });
    }
    let spell = person.documents.spell_on(day).ok_or_else(|| Reject::NotInsured { day })?;
    stays::check_networked(hub, place, spell.region, spell.insurance_type, bill.kind, day)?;
    suspensions::check_may_begin(hub, person, place.code, &bill.department, day, context)?;
    let tariff = Tariff { care_region: place.region, insurance_type: spell.insurance_type, level: place.level };
    let (lines, sum) = split(hub, tariff, bill)?;
    let care = Billed {
        kind: bill.kind,
        stay: None,
        emergency: false,
        insured_region: spell.region,
        insurance_type: spell.insurance_type,
        category: spell.category,
        entitlements: Cow::Owned(person.documents.entitlements_on(day)),
        level: place.level,
        care_region: place.region,
        admission: day,
        discharge: day,
        bill: sum,
    };
    Ok((care, lines))
}

fn split(hub: &Hub, tariff: Tariff, bill: &VisitBill) -> Result<(Vec<StayLine>, LineSplit), Reject> {
    if bill.lines.is_empty() {
        return Err(Reject::malformed("lines", "at least one is needed"));
    }
    if bill.lines.len() > MAX_LINES_PER_REQUEST {
        return Err(Reject::TooLarge { what: "lines", limit: MAX_LINES_PER_REQUEST, size: bill.lines.len() });
    }
    let mut bad = BadLines::default();
    let mut known = BTreeSet::new();
    let mut lines = Vec::with_capacity(bill.lines.len());
    let mut sum = LineSplit::default();
    for (i, (line, amount)) in bill.lines.iter().enumerate() {
        let field = format!("lines[{i}]");
        check_form(line, &field)?;
        if !known.insert(line.line_id) {
            bad.duplicate(line);
            continue;
        }
        if line.date != bill.day {
            bad.date(i, "is not the day of the visit");
            continue;
        }
        let Some(mut split) = split_billed(hub, tariff, line, &field, &mut bad)? else { continue };
        split.ordinal = u32::try_from(i).expect("a request has few lines");
        bad.compare(line, *amount, split.split.total);
        sum = sum + split.split;
        if sum.total > MAX_AMOUNT {
            return Err(Reject::AmountTooLarge { field });
        }
        lines.push(split);
    }
    bad.verdict()?;
    Ok((lines, sum))
}

/// A visit is billed and paid at once: nothing of it was there before that could be taken back.
fn check_form(line: &ChargeLine, field: &str) -> Result<(), Reject> {
    if line.takes_back.is_some() {
        return Err(Reject::malformed(format!("{field}.takes_back_line_id"), "a visit has nothing to take back"));
    }
    if line.quantity <= Quantity::ZERO {
        return Err(Reject::malformed(format!("{field}.quantity"), "must be positive"));
    }
    Ok(())
}

/// Begins the digest of a quote by who came, for what, when, and each line that is shown.
fn quote_of(person: &Person, bill: &VisitBill, lines: &[StayLine]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bill.kind.name().as_bytes());
    hasher.update(&person.id.0.to_le_bytes());
    hasher.update(&bill.day.days().to_le_bytes());
    for StayLine { line, split, class: _, catalogue, .. } in lines {
        hasher.update(&line.line_id.to_le_bytes());
        for Fen(amount) in [split.total, split.own_pay, split.over_ceiling, split.first_pay, split.in_scope] {
            hasher.update(&amount.to_le_bytes());
        }
        hasher.update(&catalogue.0);
    }
    hasher
}

#[cfg(test)]
mod tests;
