//! The sign that each kind of rule looks for, in a sentence for whoever looks into it.
//!
//! Invariant: what is seen depends on the state and on what is asked, so a replayed journal sees it in the same places.

use super::{Seen, Subject};
use crate::accumulator::Accumulators;
use crate::alert::{AlertKind, AlertRule, Apart};
use crate::calendar::Date;
use crate::decide::readjudication::recorded_policy;
use crate::hub::Hub;
use crate::ids::{InstitutionCode, RegionCode};
use crate::money::{BASIS_POINTS, Fen};
use crate::policy::{CapMeasure, Layer, LayerBase};
use crate::region::RegionTree;
use crate::stay::AdmissionKind;
use crate::trail::{MAX_USES, Purpose, Use};

const MS_PER_MINUTE: i64 = 60_000;

/// What a rule sees, if anything.
pub(super) fn seen_by(hub: &Hub, rule: &AlertRule, seen: &Seen<'_>) -> Option<String> {
    match rule.kind {
        AlertKind::TwoPlaces => two_places(&hub.regions, rule, seen),
        AlertKind::OverlapWithStay => overlap(hub, seen),
        AlertKind::ManyInstitutions => many_institutions(rule, seen),
        AlertKind::NearCap => near_cap(hub, rule, seen),
        AlertKind::SexConflict => sex_conflict(seen),
        AlertKind::AgeConflict => age_conflict(rule, seen),
        AlertKind::Readmission => readmission(hub, rule, seen),
        AlertKind::ManyPurchases => many_purchases(rule, seen),
        // The hub raises these by itself; no package names them.
        AlertKind::WrongCryptograms | AlertKind::CounterJump | AlertKind::WrongPins => None,
    }
}

fn two_places(regions: &RegionTree, rule: &AlertRule, seen: &Seen<'_>) -> Option<String> {
    let (here, card) = (&seen.used, seen.used.card?);
    let is_apart = |other: &&Use| other.card == Some(card) && lie_apart(regions, other.region, here.region, rule.apart);
    let other = seen.person.seldom.trail.within(rule.window_hours, here.at_ms).find(is_apart)?;
    let minutes = (here.at_ms - other.at_ms) / MS_PER_MINUTE;
    Some(format!(
        "the card is shown at {} in {} {} h {} min after it was shown at {} in {}",
        here.institution,
        here.region,
        minutes / 60,
        minutes % 60,
        other.institution,
        other.region
    ))
}

fn lie_apart(regions: &RegionTree, a: RegionCode, b: RegionCode, level: Option<Apart>) -> bool {
    a != b
        && match level {
            Some(Apart::Region) | None => true,
            Some(Apart::City) => regions.city(a) != regions.city(b),
            Some(Apart::Province) => regions.province(a) != regions.province(b),
        }
}

/// A stay holds the days between its first and its last: on those two, care before the admission and medicine to take home are usual.
/// Tests and purchases outside with a slip are lines of the stay (2022-22, article 36) and no visits.
fn overlap(hub: &Hub, seen: &Seen<'_>) -> Option<String> {
    let person = seen.person;
    match seen.subject {
        Subject::Admission { .. } => {
            let Purpose::Admission { day: first } = seen.used.purpose else { return None };
            let later = |used: &&Use| used.visit_day().is_some_and(|day| day > first);
            let visit = person.seldom.trail.iter().find(later)?;
            let day = visit.visit_day()?;
            Some(format!("an admission on {first} before a visit on {day} at {}", visit.institution))
        }
        Subject::Settlement { .. } => {
            let day = seen.used.visit_day()?;
            let holds = |first: Date, last: Option<Date>| first < day && last.is_none_or(|last| day < last);
            let open = person.seldom.open_stays.iter().map(|id| &hub.stays[*id]);
            let mut open = open.filter(|stay| holds(stay.admission, stay.discharge));
            let mut settled = person.seldom.trail.iter().filter_map(|used| match used.purpose {
                Purpose::Stay { admission, discharge } if holds(admission, Some(discharge)) => {
                    Some((used.institution, admission))
                }
                _ => None,
            });
            let (institution, first) =
                open.next().map(|stay| (stay.institution, stay.admission)).or_else(|| settled.next())?;
            Some(format!("a visit on {day} during a stay at {institution} since {first}"))
        }
    }
}

/// Counts each institution once, this one among them, and no further than the rule asks.
fn many_institutions(rule: &AlertRule, seen: &Seen<'_>) -> Option<String> {
    let here = &seen.used;
    let mut known = [here.institution; MAX_USES];
    let mut count = 1;
    let limit = rule.count as usize;
    for used in seen.person.seldom.trail.within(rule.window_hours, here.at_ms) {
        if count == limit {
            break;
        }
        if !known[..count].contains(&used.institution) {
            known[count] = used.institution;
            count += 1;
        }
    }
    (count >= limit).then(|| {
        let names: Vec<&str> = known[..count].iter().map(InstitutionCode::as_str).collect();
        format!("{count} institutions within {} h: {}", rule.window_hours, names.join(", "))
    })
}

/// Only the settlement by which the ratio is reached is seen, so that a year is seen once for each fund.
fn near_cap(hub: &Hub, rule: &AlertRule, seen: &Seen<'_>) -> Option<String> {
    let Subject::Settlement { settlement, years } = seen.subject else { return None };
    for (key, after) in years {
        let before = seen.person.used(*key);
        let Some(policy) = recorded_policy(hub, settlement, key.year) else { continue };
        for layer in &policy.layers {
            let Some(cap) = layer.annual_cap else { continue };
            let (before, after) = (counted(layer, &before), counted(layer, after));
            if !reaches(before, cap, rule.ratio_bp) && reaches(after, cap, rule.ratio_bp) {
                return Some(format!("{} of {} used of the limit of {} in {}", after, cap, layer.fund, key.year));
            }
        }
    }
    None
}

/// What the limit of a layer counts.
fn counted(layer: &Layer, year: &Accumulators) -> Fen {
    match (layer.cap_measure, layer.base) {
        (CapMeasure::Fund, _) => year.funds[layer.fund],
        (CapMeasure::Eligible, LayerBase::OwnEligibleBurdenOfYear) => year.own_burden,
        (CapMeasure::Eligible, _) => year.eligible,
    }
}

fn reaches(used: Fen, cap: Fen, ratio_bp: u32) -> bool {
    i128::from(used.0) * i128::from(BASIS_POINTS) >= i128::from(cap.0) * i128::from(ratio_bp)
}

fn sex_conflict(seen: &Seen<'_>) -> Option<String> {
    let (observed, documented) = (seen.holder.sex?, seen.person.documents.born().0);
    (observed != documented).then(|| format!("{observed:?} was seen, {documented:?} is documented").to_lowercase())
}

fn age_conflict(rule: &AlertRule, seen: &Seen<'_>) -> Option<String> {
    let (observed, documented) = (seen.holder.birth_year?, seen.person.documents.born().1.year());
    let off = observed.abs_diff(documented);
    (off > rule.tolerance_years?)
        .then(|| format!("someone born about {observed} was seen, {off} years from {documented} as documented"))
}

/// Days from the last discharge that is known, whether the stay was settled or waits for it. One who is passed on to another institution
/// on the day of discharge was not readmitted.
fn readmission(hub: &Hub, rule: &AlertRule, seen: &Seen<'_>) -> Option<String> {
    let (Subject::Admission { kind, .. }, Purpose::Admission { day }) = (&seen.subject, seen.used.purpose) else {
        return None;
    };
    let person = seen.person;
    let waiting = person.seldom.open_stays.iter().map(|id| &hub.stays[*id]);
    let waiting = waiting.filter_map(|stay| Some((stay.discharge?, stay.institution)));
    let settled = person.seldom.trail.iter().filter_map(|used| match used.purpose {
        Purpose::Stay { discharge, .. } => Some((discharge, used.institution)),
        _ => None,
    });
    let before = waiting.chain(settled).filter(|(discharge, _)| *discharge <= day);
    let (discharge, institution) = before.max_by_key(|(discharge, _)| *discharge)?;
    let days = discharge.nights_until(day).unsigned_abs();
    let is_transfer = *kind == AdmissionKind::Transfer && days == 0;
    (!is_transfer && days * 24 <= rule.window_hours)
        .then(|| format!("an admission {days} day(s) after the discharge from {institution} on {discharge}"))
}

fn many_purchases(rule: &AlertRule, seen: &Seen<'_>) -> Option<String> {
    let here = &seen.used;
    let is_purchase = |used: &Use| matches!(used.purpose, Purpose::Purchase { .. });
    if !is_purchase(here) {
        return None;
    }
    let recent = seen.person.seldom.trail.within(rule.window_hours, here.at_ms);
    let alike = recent.filter(|used| used.institution == here.institution && is_purchase(used));
    let count = 1 + alike.take(rule.count as usize - 1).count();
    (count >= rule.count as usize)
        .then(|| format!("{count} purchases at {} within {} h", here.institution, rule.window_hours))
}
