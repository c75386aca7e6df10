//! How long a decision will at most be once it is encoded: what whoever decides must know before it is applied, and need not encode it for.
//!
//! Invariant: nothing that is encoded is longer than its bound here; a test compares them for records of any values.
//! Leaves out: kinds of decisions that are rare or have no end that can be told cheaply. They have no bound, and are encoded to be measured.

use medsettle_core::command::Reply;
use medsettle_core::fact::{Fact, Record};
use medsettle_core::person::Profile;
use medsettle_core::settlement::{Occasion, Settlement};
use medsettle_core::stay::StayLine;

/// A message of numbers, codes and hashes, without what may come often in it or is text.
const FIXED: usize = 512;

/// A charge line of a record, and one of a response; without its text.
const LINE: usize = 384;

/// The sums of a year.
const YEAR: usize = 256;

/// A step of a calculation.
const STEP: usize = 128;

/// A leg of the books, a part of a profile without its text, and other small messages.
const SMALL: usize = 96;

/// Most bytes that the record of a decision takes, with its response in it; none where only encoding it would tell.
pub fn bound(record: &Record, reply: &Reply) -> Option<usize> {
    let facts: Option<usize> = record.facts.iter().map(of_fact).sum();
    Some(FIXED + record.operator.len() + facts? + of_reply(reply)?)
}

fn of_reply(reply: &Reply) -> Option<usize> {
    match reply {
        Reply::Done
        | Reply::PersonEnrolled(_)
        | Reply::CardApplied(_)
        | Reply::CardEnabled { .. }
        | Reply::Balance(_)
        | Reply::Discharged { .. } => Some(FIXED),
        Reply::ChargesAdded { lines, .. } => Some(FIXED + of_lines(lines)),
        Reply::Settled { settlement, years, alerts, .. } => {
            let lines = settlement.visit().map_or(0, |visit| of_lines(&visit.lines));
            let steps = settlement.split.trace.len() * STEP;
            Some(2 * FIXED + lines + steps + years.len() * YEAR + alerts.len() * SMALL)
        }
        _ => None,
    }
}

fn of_fact(fact: &Fact) -> Option<usize> {
    match fact {
        Fact::PersonEnrolled { profile, .. } => Some(FIXED + of_profile(profile)),
        Fact::CardApplied { generation, .. } => Some(FIXED + generation.len()),
        Fact::CardMade { legs, .. } => Some(FIXED + legs.len() * SMALL),
        Fact::CardHandedOver { collected_by, .. } => Some(FIXED + collected_by.len()),
        Fact::CardEnabled { moves, legs, .. } => Some(FIXED + (moves.len() + legs.len()) * SMALL),
        Fact::AccountCredited { period_key, legs, .. } => Some(FIXED + period_key.len() + legs.len() * SMALL),
        Fact::YearOpened { .. } => Some(FIXED + YEAR),
        Fact::PatientDischarged { .. } => Some(FIXED),
        Fact::ChargesAdded { lines, .. } => Some(FIXED + of_lines(lines)),
        Fact::Settled { settlement } => Some(of_settlement(settlement)),
        _ => None,
    }
}

fn of_profile(profile: &Profile) -> usize {
    let certificates: usize = profile.certificates.iter().map(|certificate| SMALL + certificate.number().len()).sum();
    let entitlements: usize = profile.entitlements.iter().map(|entitlement| SMALL + entitlement.name.len()).sum();
    profile.name.len() + certificates + profile.spells.len() * SMALL + entitlements
}

fn of_lines(lines: &[StayLine]) -> usize {
    let line = |line: &StayLine| {
        LINE + line.line.item_code.len() + line.line.outside.as_ref().map_or(0, |(_, slip)| slip.len())
    };
    lines.iter().map(line).sum()
}

fn of_settlement(settlement: &Settlement) -> usize {
    let Settlement { occasion, case, split, policies, deltas, legs, family, presented, .. } = settlement;
    let visit = match occasion {
        Occasion::Stay(_) => 0,
        Occasion::Visit(visit) => visit.department.len() + visit.diagnosis.len() + of_lines(&visit.lines),
    };
    let entitlements: usize = case.entitlements.iter().map(|name| SMALL + name.len()).sum();
    let small = (policies.len() + legs.len() + family.len()) * SMALL;
    let years = deltas.len() * YEAR;
    3 * FIXED + visit + entitlements + split.trace.len() * STEP + small + years + presented.terminal.len()
}
