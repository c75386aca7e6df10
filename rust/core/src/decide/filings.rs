//! Filings: made, also late, and withdrawn.
//!
//! Invariant: of one kind and destination a person has one filing for a day.
//! Leaves out: which filing counts for a stay (`filing::applying`, `settlements`).

use crate::calendar::Date;
use crate::command::{Command, Reply};
use crate::fact::Fact;
use crate::filing::Filing;
use crate::hub::{Context, Hub};
use crate::ids::{FilingId, PersonId, RegionCode};
use crate::person::Person;
use crate::policy::{FilingKind, VisitKind};
use crate::reject::Reject;

use super::stays;

pub(crate) fn decide(hub: &Hub, command: &Command, context: &Context<'_>) -> Result<(Vec<Fact>, Reply), Reject> {
    match command {
        Command::File { person, kind, destination, valid_from, valid_to } => {
            let filing = Filing {
                id: FilingId(hub.number.id(context.sequence)),
                kind: *kind,
                destination: *destination,
                valid_from: *valid_from,
                valid_to: *valid_to,
            };
            file(hub, *person, filing)
        }
        Command::WithdrawFiling { person, filing } => {
            let (person, filing) = (*person, *filing);
            if hub.person(person)?.seldom.filings.iter().any(|other| other.id == filing) {
                Ok((vec![Fact::FilingWithdrawn { person, filing }], Reply::Done))
            } else {
                Err(Reject::FilingUnknown(filing))
            }
        }
        _ => unreachable!("the hub sends commands about filings only"),
    }
}

/// A first day in the past is no fault: a filing made before the discharge is settled counts from its admission (2022-22, article 16).
fn file(hub: &Hub, person: PersonId, filing: Filing) -> Result<(Vec<Fact>, Reply), Reject> {
    let holder = hub.person(person)?;
    if !matches!(
        filing.kind,
        FilingKind::LongTerm | FilingKind::Transfer | FilingKind::Emergency | FilingKind::OtherTemporary
    ) {
        return Err(Reject::malformed("kind", "is derived and cannot be filed"));
    }
    if filing.valid_to.is_some_and(|to| to < filing.valid_from) {
        return Err(Reject::malformed("valid_to", "is before valid_from"));
    }
    if hub.regions.get(filing.destination).is_none() {
        return Err(Reject::RegionUnknown(filing.destination));
    }
    if is_at_home(hub, holder, filing.destination, filing.valid_from) {
        return Err(Reject::malformed("destination", "is at home"));
    }
    let contradicts = |other: &&Filing| {
        other.kind == filing.kind
            && other.destination == filing.destination
            && other.valid_to.is_none_or(|to| to >= filing.valid_from)
            && filing.valid_to.is_none_or(|to| to >= other.valid_from)
    };
    if let Some(other) = holder.seldom.filings.iter().find(contradicts) {
        return Err(Reject::FilingConflicts { with: other.id });
    }
    let id = filing.id;
    Ok((vec![Fact::FilingFiled { person, filing }], Reply::FilingFiled(id)))
}

/// Whether a destination lies in the person's pool or contains it.
fn is_at_home(hub: &Hub, person: &Person, destination: RegionCode, day: Date) -> bool {
    let spell = person.documents.spell_on_or_last(day).expect("a person has a spell");
    stays::is_local(hub, spell.region, spell.insurance_type, destination, VisitKind::Inpatient, day)
        || hub.regions.within(spell.region, destination)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{Desk, day, region};

    fn filing(person: PersonId, kind: FilingKind, destination: &str, from: &str, to: Option<&str>) -> Command {
        let (destination, valid_from, valid_to) = (region(destination), day(from), to.map(day));
        Command::File { person, kind, destination, valid_from, valid_to }
    }

    #[test]
    fn a_filing_may_begin_in_the_past_and_names_a_place_away_from_home() {
        let mut desk = Desk::open();
        let person = desk.enrol("P1");
        let transfer = |destination, from, to| filing(person, FilingKind::Transfer, destination, from, to);
        let malformed = |field: &str, problem: &str| Err(Reject::malformed(field, problem));
        for home in ["110100", "110101", "110000"] {
            assert_eq!(desk.run(transfer(home, "2026-01-01", None)), malformed("destination", "is at home"), "{home}");
        }
        assert_eq!(desk.run(transfer("990000", "2026-01-01", None)), Err(Reject::RegionUnknown(region("990000"))));
        let backwards = transfer("310000", "2026-01-02", Some("2026-01-01"));
        assert_eq!(desk.run(backwards), malformed("valid_to", "is before valid_from"));
        for kind in [FilingKind::Local, FilingKind::LongTermAtHome, FilingKind::Unfiled] {
            let derived = filing(person, kind, "310000", "2026-01-01", None);
            assert_eq!(desk.run(derived), malformed("kind", "is derived and cannot be filed"));
        }
        assert!(matches!(desk.run(transfer("310000", "2015-01-01", None)), Ok(Reply::FilingFiled(_))));
        assert!(matches!(desk.run(transfer("110200", "2026-01-01", None)), Ok(Reply::FilingFiled(_))));
    }

    #[test]
    fn of_one_kind_and_destination_one_filing_stands_for_a_day_until_it_is_withdrawn() {
        let mut desk = Desk::open();
        let (person, stranger) = (desk.enrol("P1"), desk.enrol("P2"));
        let first = filing(person, FilingKind::Transfer, "310000", "2026-01-01", Some("2026-06-30"));
        let Ok(Reply::FilingFiled(id)) = desk.run(first) else { panic!("accepted") };
        let conflict = Err(Reject::FilingConflicts { with: id });
        let overlapping = filing(person, FilingKind::Transfer, "310000", "2026-06-30", None);
        assert_eq!(desk.run(overlapping.clone()), conflict);
        let later = filing(person, FilingKind::Transfer, "310000", "2026-07-01", Some("2026-07-01"));
        assert!(desk.run(later).is_ok());
        assert!(desk.run(filing(person, FilingKind::LongTerm, "310000", "2026-01-01", None)).is_ok());
        let withdraw = |person| Command::WithdrawFiling { person, filing: id };
        assert_eq!(desk.run(withdraw(stranger)), Err(Reject::FilingUnknown(id)));
        assert_eq!(desk.run(withdraw(person)), Ok(Reply::Done));
        assert_eq!(desk.run(withdraw(person)), Err(Reject::FilingUnknown(id)));
        let shorter = filing(person, FilingKind::Transfer, "310000", "2026-01-01", Some("2026-06-30"));
        assert!(desk.run(shorter).is_ok(), "the withdrawn filing blocks nothing");
    }
}
