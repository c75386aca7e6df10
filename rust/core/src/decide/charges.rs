//! Charge lines: added all or none, revoked, taken back.
//!
//! Invariant: a refund is split on the terms of the line that it takes back, as the difference that it makes to what is left.
//! Invariant: refunds of a line are revoked in the reverse of the order in which they came, so that roundings never remain.

use std::collections::{BTreeMap, BTreeSet};

use super::stays;
use crate::benefit::{BenefitError, LineSplit, split_line, split_refund};
use crate::catalogue::{ItemClass, Terms, TermsError};
use crate::command::Reply;
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{Hash32, InstitutionCode, RegionCode, StayId};
use crate::money::{Fen, MAX_AMOUNT, Quantity};
use crate::policy::{InsuranceType, Level};
use crate::reject::Reject;
use crate::stay::{ChargeLine, MAX_LINES_PER_REQUEST, MAX_LINES_PER_STAY, Stay, StayLine, StayState};

/// Bad lines, gathered by what is wrong with them; the first kind in this order is the refusal, with all its lines.
#[derive(Default)]
pub(super) struct BadLines {
    dates: Vec<(usize, &'static str)>,
    duplicate: Vec<u64>,
    unknown_item: Vec<u64>,
    /// Behind those above: a refund of a line that is bad itself names nothing.
    unknown_line: Vec<u64>,
    refund: Vec<u64>,
    amount: Vec<u64>,
}

impl BadLines {
    pub(super) fn duplicate(&mut self, line: &ChargeLine) {
        self.duplicate.push(line.line_id);
    }

    pub(super) fn date(&mut self, index: usize, problem: &'static str) {
        self.dates.push((index, problem));
    }

    /// The institution's own total of a line, where it gave one, against the hub's.
    pub(super) fn compare(&mut self, line: &ChargeLine, given: Option<Fen>, total: Fen) {
        if given.is_some_and(|given| given != total) {
            self.amount.push(line.line_id);
        }
    }

    pub(super) fn verdict(self) -> Result<(), Reject> {
        if let Some((i, problem)) = self.dates.first() {
            return Err(Reject::StayDatesWrong { field: format!("lines[{i}].date"), problem });
        }
        for (lines, reject) in [
            (self.duplicate, (|lines| Reject::LineDuplicate { lines }) as fn(Vec<u64>) -> Reject),
            (self.unknown_item, |lines| Reject::ItemUnknown { lines }),
            (self.unknown_line, |lines| Reject::LineUnknown { lines }),
            (self.refund, |lines| Reject::RefundExceeds { lines }),
            (self.amount, |lines| Reject::LineTotalMismatch { lines }),
        ] {
            if !lines.is_empty() {
                return Err(reject(lines));
            }
        }
        Ok(())
    }
}

/// What is known of a line while a request is worked through.
struct Running<'a> {
    stay: &'a Stay,
    added: BTreeMap<u64, StayLine>,
    sum: LineSplit,
}

impl Running<'_> {
    fn line(&self, id: u64) -> Option<&StayLine> {
        self.added.get(&id).or_else(|| self.stay.lines.get(&id))
    }
}

pub(crate) fn add(
    hub: &Hub,
    institution: InstitutionCode,
    id: StayId,
    lines: &[(ChargeLine, Option<Fen>)],
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let stay = stays::in_state(hub, institution, id, StayState::Open, context)?;
    if lines.is_empty() {
        return Err(Reject::malformed("lines", "at least one is needed"));
    }
    if lines.len() > MAX_LINES_PER_REQUEST {
        return Err(Reject::TooLarge { what: "lines", limit: MAX_LINES_PER_REQUEST, size: lines.len() });
    }
    if stay.lines.len() + lines.len() > MAX_LINES_PER_STAY {
        return Err(Reject::StayTooLong);
    }
    let mut running = Running { stay, added: BTreeMap::new(), sum: stay.sum };
    let mut order = Vec::with_capacity(lines.len());
    let mut taken: BTreeMap<u64, Quantity> = BTreeMap::new();
    let mut bad = BadLines::default();
    for (i, (line, amount)) in lines.iter().enumerate() {
        if running.line(line.line_id).is_some() {
            bad.duplicate(line);
            continue;
        }
        if line.date < stay.admission {
            bad.date(i, "is before the admission");
            continue;
        }
        if line.date > context.today() {
            bad.date(i, "is in the future");
            continue;
        }
        let field = format!("lines[{i}]");
        let Some(mut split) = split_one(hub, &running, &mut taken, line, &field, &mut bad)? else { continue };
        bad.compare(line, *amount, split.split.total);
        split.ordinal = stay.next_ordinal + u32::try_from(i).expect("a request has few lines");
        running.sum = running.sum + split.split;
        if running.sum.total > MAX_AMOUNT {
            return Err(Reject::AmountTooLarge { field });
        }
        order.push(line.line_id);
        running.added.insert(line.line_id, split);
    }
    bad.verdict()?;
    let lines: Vec<StayLine> = order.iter().map(|id| running.added[id].clone()).collect();
    let sum = running.sum;
    debug_assert!(sum.check_lines(stay.lines.values().chain(&lines).map(|line| &line.split)).is_ok());
    Ok((vec![Fact::ChargesAdded { stay: id, lines: lines.clone(), sum }], Reply::ChargesAdded { lines, sum }))
}

/// Split one line, or note what is wrong with it.
fn split_one(
    hub: &Hub,
    running: &Running<'_>,
    taken: &mut BTreeMap<u64, Quantity>,
    line: &ChargeLine,
    field: &str,
    bad: &mut BadLines,
) -> Result<Option<StayLine>, Reject> {
    let too_large = |_: BenefitError| Reject::AmountTooLarge { field: field.into() };
    let (split, class, catalogue, left) = match (line.takes_back, line.quantity > Quantity::ZERO) {
        (None, true) => {
            return split_billed(hub, Tariff::of(running.stay), line, field, bad);
        }
        (None, false) => {
            return Err(Reject::malformed(format!("{field}.quantity"), "must be positive, or take a line back"));
        }
        (Some(_), true) => {
            return Err(Reject::malformed(format!("{field}.quantity"), "must be negative where a line is taken back"));
        }
        (Some(id), false) => {
            let Some(base) = running.line(id).filter(|base| base.line.takes_back.is_none()) else {
                bad.unknown_line.push(line.line_id);
                return Ok(None);
            };
            let matches = base.line.item_code == line.item_code && base.line.unit_price == line.unit_price;
            let before = taken.get(&id).copied().unwrap_or(base.left);
            let after = before.checked_add(line.quantity).filter(|after| *after >= Quantity::ZERO);
            let (true, Some(after)) = (matches, after) else {
                bad.refund.push(line.line_id);
                return Ok(None);
            };
            taken.insert(id, after);
            // The version of the day on which the item was billed decides, whatever was installed since.
            let Some(terms) = terms_by_version(hub, running.stay, base) else {
                return Err(Reject::CatalogueNotInForce { region: running.stay.care_region, day: base.line.date });
            };
            let split = split_refund(&terms, base.line.unit_price, before, after).map_err(too_large)?;
            (split, base.class, base.catalogue, Quantity::ZERO)
        }
    };
    Ok(Some(StayLine { line: line.clone(), split, class, catalogue, left, ordinal: 0 }))
}

/// By whose catalogue and on which terms a line is split.
#[derive(Clone, Copy)]
pub(super) struct Tariff {
    pub(super) care_region: RegionCode,
    pub(super) insurance_type: InsuranceType,
    pub(super) level: Level,
}

impl Tariff {
    fn of(stay: &Stay) -> Self {
        Self { care_region: stay.care_region, insurance_type: stay.insurance_type, level: stay.level }
    }
}

/// Split a line that takes nothing back, by the catalogue of its day, or note that the catalogue does not know it.
pub(super) fn split_billed(
    hub: &Hub,
    tariff: Tariff,
    line: &ChargeLine,
    field: &str,
    bad: &mut BadLines,
) -> Result<Option<StayLine>, Reject> {
    let Some((catalogue, terms)) = terms_of(hub, tariff, line)? else {
        bad.unknown_item.push(line.line_id);
        return Ok(None);
    };
    let split = split_line(&terms, line.quantity, line.unit_price)
        .map_err(|_| Reject::AmountTooLarge { field: field.into() })?;
    Ok(Some(StayLine { line: line.clone(), split, class: terms.class, catalogue, left: line.quantity, ordinal: 0 }))
}

/// The terms of an item in the catalogue in force on the line's day; nothing where the catalogue does not know it.
fn terms_of(hub: &Hub, of: Tariff, line: &ChargeLine) -> Result<Option<(Hash32, Terms)>, Reject> {
    let (hash, catalogue) = hub.catalogue(of.care_region, line.date)?;
    if line.own_expense {
        return Ok(Some((hash, Terms::OWN_EXPENSE)));
    }
    match catalogue.terms(&line.item_code, of.insurance_type, of.level) {
        Ok(_) if line.restriction_met == Some(false) => Ok(Some((hash, Terms::OWN_EXPENSE))),
        Ok(terms) => Ok(Some((hash, terms))),
        Err(TermsError::ItemUnknown) => Ok(None),
        Err(error @ TermsError::NoFirstPay(_)) => Err(Reject::NoRule { what: format!("{}: {error}", line.item_code) }),
    }
}

fn terms_by_version(hub: &Hub, stay: &Stay, base: &StayLine) -> Option<Terms> {
    if base.class == ItemClass::C {
        return Some(Terms::OWN_EXPENSE);
    }
    let versions = hub.regions.upwards(stay.care_region).filter_map(|region| hub.catalogues.get(&region)).flatten();
    let (_, catalogue) = versions.into_iter().find(|(hash, _)| *hash == base.catalogue)?;
    catalogue.terms(&base.line.item_code, stay.insurance_type, stay.level).ok()
}

pub(crate) fn revoke(
    hub: &Hub,
    institution: InstitutionCode,
    id: StayId,
    line_ids: &[u64],
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let stay = stays::in_state(hub, institution, id, StayState::Open, context)?;
    let wanted: BTreeSet<u64> =
        if line_ids.is_empty() { stay.lines.keys().copied().collect() } else { line_ids.iter().copied().collect() };
    let unknown: Vec<u64> = wanted.iter().copied().filter(|id| !stay.lines.contains_key(id)).collect();
    if !unknown.is_empty() {
        return Err(Reject::LineUnknown { lines: unknown });
    }
    let mut going: Vec<&StayLine> = wanted.iter().map(|id| &stay.lines[id]).collect();
    // Latest first: refunds before their lines, later refunds before earlier ones.
    going.sort_by_key(|line| std::cmp::Reverse(line.ordinal));
    let staying = latest_staying_refunds(stay, &wanted);
    let held: Vec<u64> = going.iter().filter(|line| is_held(line, &staying)).map(|line| line.line.line_id).collect();
    if !held.is_empty() {
        return Err(Reject::LineTakenBack { lines: held });
    }
    let gone: LineSplit = going.iter().map(|line| line.split).sum();
    let sum = stay.sum - gone;
    let line_ids: Vec<u64> = going.iter().map(|line| line.line.line_id).collect();
    let reply = Reply::ChargesRevoked { count: line_ids.len(), sum };
    Ok((vec![Fact::ChargesRevoked { stay: id, line_ids, sum }], reply))
}

/// Of each line that is taken back, the ordinal of the latest refund that stays behind; one pass over the stay.
fn latest_staying_refunds(stay: &Stay, going: &BTreeSet<u64>) -> BTreeMap<u64, u32> {
    let mut latest = BTreeMap::new();
    for refund in stay.lines.values().filter(|line| !going.contains(&line.line.line_id)) {
        if let Some(base) = refund.line.takes_back {
            let ordinal: &mut u32 = latest.entry(base).or_default();
            *ordinal = refund.ordinal.max(*ordinal);
        }
    }
    latest
}

/// Whether a later refund that stays behind rests on this line or refund.
fn is_held(line: &StayLine, staying: &BTreeMap<u64, u32>) -> bool {
    let base = line.line.takes_back.unwrap_or(line.line.line_id);
    staying.get(&base).is_some_and(|latest| *latest > line.ordinal)
}

#[cfg(test)]
mod tests;
