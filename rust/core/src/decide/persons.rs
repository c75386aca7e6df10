//! Enrolment of persons and changes of their documents.
//!
//! Invariant: a certificate names one person.
//! Invariant: the hub is home of every person's region; the account stays in the ledger of the region of enrolment.
//! Leaves out: the change of the insured region, which moves card and account.

use std::sync::Arc;

use crate::command::{Command, Reply};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{PersonId, RegionCode};
use crate::person::{Documents, Person, Profile};
use crate::reject::Reject;

pub(crate) fn decide(hub: &Hub, command: &Command, context: &Context<'_>) -> Result<(Vec<Fact>, Reply), Reject> {
    match command {
        Command::EnrollPerson { name, sex, birth_date, certificates, spells, entitlements } => {
            let profile = Profile {
                name: name.clone(),
                sex: *sex,
                birth_date: *birth_date,
                certificates: certificates.clone(),
                spells: spells.clone(),
                entitlements: entitlements.clone(),
            };
            let home = check(hub, &profile, None, context)?;
            let person = PersonId(hub.number.id(context.sequence));
            Ok((vec![Fact::PersonEnrolled { person, profile: Arc::new(profile), home }], Reply::PersonEnrolled(person)))
        }
        Command::UpdatePerson { person, name, certificates, spells, entitlements } => {
            let before = hub.person(*person)?;
            let mut profile = before.documents.profile();
            if let Some(name) = name {
                profile.name.clone_from(name);
            }
            if !certificates.is_empty() {
                profile.certificates.clone_from(certificates);
            }
            if !spells.is_empty() {
                profile.spells.clone_from(spells);
            }
            if let Some(entitlements) = entitlements {
                profile.entitlements.clone_from(entitlements);
            }
            check(hub, &profile, Some(*person), context)?;
            let profile = Arc::new(profile);
            let after = Person { documents: Documents::of(&profile), ..before.clone() };
            Ok((vec![Fact::PersonUpdated { person: *person, profile }], Reply::Person(Box::new(after))))
        }
        _ => unreachable!("the hub sends commands about persons only"),
    }
}

/// Check a profile against the state; gives the region in which the person is insured.
fn check(hub: &Hub, profile: &Profile, owner: Option<PersonId>, context: &Context<'_>) -> Result<RegionCode, Reject> {
    profile.check().map_err(|(field, problem)| Reject::malformed(field, problem))?;
    let of_another = |holder: PersonId| Some(holder) != owner;
    if profile.certificates.iter().filter_map(|certificate| hub.person_named(certificate)).any(of_another) {
        return Err(Reject::CertificateInUse);
    }
    if let Some(spell) = profile.spells.iter().find(|spell| hub.regions.get(spell.region).is_none()) {
        return Err(Reject::RegionUnknown(spell.region));
    }
    let spell = profile.spell_on_or_last(context.today()).expect("a checked profile has a spell");
    if hub.regions.is_home(spell.region) { Ok(spell.region) } else { Err(Reject::NotHomeOfRegion(spell.region)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{Desk, certificate, day, enrolment, region, spell};
    use crate::person::SpellStatus;

    fn with_spells(spells: Vec<crate::person::Spell>) -> Command {
        let Command::EnrollPerson { name, sex, birth_date, certificates, entitlements, .. } = enrolment("P1") else {
            unreachable!()
        };
        Command::EnrollPerson { name, sex, birth_date, certificates, spells, entitlements }
    }

    fn with_certificates(person: PersonId, numbers: &[&str]) -> Command {
        let certificates = numbers.iter().map(|number| certificate(number)).collect();
        Command::UpdatePerson { person, name: None, certificates, spells: Vec::new(), entitlements: None }
    }

    #[test]
    fn a_certificate_names_one_person_and_is_free_again_when_given_up() {
        let mut desk = Desk::open();
        let first = desk.enrol("P1");
        assert_eq!(desk.run(enrolment("P1")), Err(Reject::CertificateInUse));
        let second = desk.enrol("P2");
        assert_eq!(desk.run(with_certificates(second, &["P1"])), Err(Reject::CertificateInUse));
        desk.run(with_certificates(first, &["P3", "P1"])).expect("the own certificate may stay");
        desk.run(with_certificates(first, &["P3"])).unwrap();
        desk.run(with_certificates(second, &["P1"])).expect("given up by the first person");
    }

    #[test]
    fn a_person_is_enrolled_at_the_home_of_the_spell_in_force_or_else_of_the_last() {
        let mut desk = Desk::open();
        let ended = crate::person::Spell { to: Some(day("2020-12-31")), ..spell("110100", "2010-01-01") };
        let away = spell("310100", "2021-01-01");
        let unknown = spell("990000", "2021-01-01");
        assert_eq!(
            desk.run(with_spells(vec![ended.clone(), away.clone()])),
            Err(Reject::NotHomeOfRegion(region("310100")))
        );
        assert_eq!(desk.run(with_spells(vec![unknown])), Err(Reject::RegionUnknown(region("990000"))));
        let suspended = crate::person::Spell { status: SpellStatus::Suspended, ..spell("110100", "2021-01-01") };
        let away_before = crate::person::Spell { to: Some(day("2020-12-31")), ..spell("310100", "2010-01-01") };
        let Ok(Reply::PersonEnrolled(person)) = desk.run(with_spells(vec![suspended, away_before])) else {
            panic!("the last spell is at home")
        };
        assert_eq!(desk.hub.persons[person].home, region("110100"));
    }

    #[test]
    fn an_update_changes_what_it_names_and_nothing_else() {
        let mut desk = Desk::open();
        let person = desk.enrol("P1");
        let before = Person::clone(&desk.hub.persons[person]);
        let update = Command::UpdatePerson {
            person,
            name: Some("王小明".into()),
            certificates: Vec::new(),
            spells: Vec::new(),
            entitlements: None,
        };
        let Ok(Reply::Person(shown)) = desk.run(update) else { panic!("accepted") };
        assert_eq!(*shown, desk.hub.persons[person]);
        assert_eq!(
            *shown,
            Person {
                documents: Documents::of(&Profile { name: "王小明".into(), ..before.documents.profile() }),
                ..before
            }
        );
    }
}
