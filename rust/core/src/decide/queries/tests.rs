//! What desks, hospitals and auditors are told.

use std::sync::Arc;

use super::*;
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::card::{Channel, Loss, ZoneKind};
use crate::command::{CardKey, Command, Eligibility, LossSubject};
use crate::decide::fixture::{self, Desk, card_sn, certificate, day, region};
use crate::ids::{CardId, CardSn, InstitutionCode, PersonId};
use crate::ledger::LedgerAccount;
use crate::money::Fen;
use crate::policy::{Counter, FilingKind, Fund, InsuranceType, VisitKind};

const HOSPITAL: &str = "H31010000001";
/// The role of a hospital alone.
const HOSPITAL_ROLE: u32 = 1 << 1;

/// A hospital away from home, with both packages installed, asks.
fn hospital() -> Desk {
    let mut desk = Desk::open();
    desk.register(HOSPITAL, "310100");
    let policy = Arc::new(fixture::policy("110100"));
    desk.run(Command::InstallPolicy { hash: Hash32([1; 32]), policy }).unwrap();
    let catalogue = Arc::new(fixture::catalogue("310000"));
    desk.run(Command::InstallCatalogue { hash: Hash32([2; 32]), catalogue }).unwrap();
    desk.actor.institution = InstitutionCode::parse(HOSPITAL).unwrap();
    desk.actor.roles = HOSPITAL_ROLE;
    desk
}

fn eligibility(desk: &Desk, card: Option<CardSn>, passport: Option<&str>) -> Result<Eligibility, Reject> {
    let certificate = passport.map(certificate);
    let visit_kind = VisitKind::Inpatient;
    match desk.ask(Query::CheckEligibility { card, certificate, visit_kind, day: None })? {
        Reply::Eligibility(eligibility) => Ok(*eligibility),
        other => panic!("{other:?}"),
    }
}

fn enabled(desk: &mut Desk, person: PersonId) -> CardId {
    let card = desk.issue(person, None);
    desk.run(Command::EnableCard { card, zone: ZoneKind::Insurance }).unwrap();
    card
}

#[test]
fn a_hospital_learns_what_a_visit_would_meet() {
    let mut desk = hospital();
    let person = desk.enrol("P1");
    let card = enabled(&mut desk, person);
    desk.run(Command::CreditAccount { person, amount: Fen(250_000), period_key: "2026-02".into() }).unwrap();
    let key = AccumulatorKey { insurance_type: InsuranceType::Employee, year: 2026, counter: Counter::Inpatient };
    let mut accumulators = Accumulators::default();
    accumulators.funds[Fund::Pool] = Fen(545_000);
    desk.run(Command::OpenYear { person, key, accumulators }).unwrap();
    let filing = |kind, destination: &str| Command::File {
        person,
        kind,
        destination: region(destination),
        valid_from: day("2026-01-01"),
        valid_to: None,
    };
    desk.run(filing(FilingKind::LongTerm, "110200")).unwrap();
    desk.run(filing(FilingKind::Transfer, "310000")).unwrap();

    let told = eligibility(&desk, Some(card_sn(card.0)), None).unwrap();
    assert_eq!((told.person, told.masked_name.as_str(), told.balance), (person, "张*", Fen(250_000)));
    assert_eq!(told.insured_region, Some(region("110100")));
    assert_eq!(told.filing.map(|filing| filing.kind), Some(FilingKind::Transfer));
    assert_eq!(told.remaining, [(Fund::Pool, Some(Fen(5_000))), (Fund::LargeSum, None)]);
    assert_eq!((told.open_stay, told.blocks), (None, Vec::new()));
    let by_certificate = eligibility(&desk, None, Some("P1")).unwrap();
    assert_eq!(by_certificate.card.map(|view| view.card.id), Some(card), "the card in use is found");
}

#[test]
fn every_refusal_that_waits_is_told_the_most_important_first() {
    let mut desk = Desk::open();
    desk.actor.roles = HOSPITAL_ROLE;
    let person = desk.enrol("P1");
    let card = enabled(&mut desk, person);
    let until_ms = Some(desk.now_ms + crate::card::TEMPORARY_LOSS_MS);
    desk.run(Command::ReportLoss {
        subject: LossSubject::Card(CardKey::Id(card)),
        loss: Loss::Temporary,
        zones: Vec::new(),
        channel: Channel::Phone,
        verified_by: "hotline".into(),
        holder: None,
    })
    .unwrap();
    let policy_missing = Reject::PolicyNotInForce { region: region("110100"), day: day("2026-03-01") };
    let lost = Reject::CardLost { until_ms };
    let unknown = Reject::InstitutionUnknown(desk.actor.institution);
    let sn = Some(card_sn(card.0));
    let told = eligibility(&desk, sn, None).unwrap();
    assert_eq!(told.blocks, [lost.clone(), unknown, policy_missing.clone()]);
    let mut outside = fixture::institution(desk.actor.institution.as_str(), "310100");
    outside.cross_region = false;
    desk.run(Command::RegisterInstitution { institution: outside }).unwrap();
    let told = eligibility(&desk, sn, None).unwrap();
    assert_eq!(told.blocks, [lost, Reject::InstitutionNotNetworked, policy_missing]);
}

#[test]
fn who_is_not_insured_or_has_no_card_is_told_so() {
    let mut desk = hospital();
    let person = desk.enrol("P1");
    let told = eligibility(&desk, None, Some("P1")).unwrap();
    assert_eq!((told.card, told.blocks), (None, vec![Reject::CardUnknown]));
    desk.issue(person, None);
    let told = eligibility(&desk, None, Some("P1")).unwrap();
    assert_eq!((told.card, told.blocks), (None, Vec::new()), "first use would enable the card");
    let asked = Query::CheckEligibility {
        card: None,
        certificate: Some(certificate("P1")),
        visit_kind: VisitKind::Inpatient,
        day: Some(day("2009-12-31")),
    };
    let Ok(Reply::Eligibility(told)) = desk.ask(asked) else { panic!("answered") };
    assert_eq!(told.blocks, [Reject::NotInsured { day: day("2009-12-31") }]);
    assert_eq!((told.insured_region, told.remaining), (None, Vec::new()));
    assert_eq!(eligibility(&desk, None, Some("P9")), Err(Reject::PersonUnknown));
    assert_eq!(eligibility(&desk, Some(card_sn(1)), None), Err(Reject::CardUnknown));
    assert!(matches!(eligibility(&desk, None, None), Err(Reject::Malformed { .. })));
}

#[test]
fn pages_of_cards_and_packages_join_without_gap() {
    let mut desk = hospital();
    let person = desk.enrol("P1");
    let mut cards = Vec::new();
    for _ in 0..3 {
        let card = enabled(&mut desk, person);
        cards.push(card);
    }
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = Page { size: 2, after };
        let Ok(Reply::Cards { cards, next }) = desk.ask(Query::ListCards { person, page }) else { panic!("listed") };
        assert!(cards.iter().all(|view| view.at.now_ms == desk.now_ms));
        listed.extend(cards.iter().map(|view| view.card.id));
        after = next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(listed, cards);

    let packages = |region, after| {
        let page = Page { size: 1, after };
        let Ok(Reply::Packages { packages, regions, next }) = desk.ask(Query::ListPackages { region, page }) else {
            panic!("listed")
        };
        (packages, regions.len(), next)
    };
    let policy = Package::Policy(Hash32([1; 32]), Arc::new(fixture::policy("110100")));
    let catalogue = Package::Catalogue(Hash32([2; 32]), Arc::new(fixture::catalogue("310000")));
    assert_eq!(packages(None, None), (vec![policy], fixture::regions().len(), Some(1)));
    assert_eq!(packages(None, Some(1)), (vec![catalogue.clone()], 0, None));
    assert_eq!(packages(Some(region("310000")), None), (vec![catalogue.clone()], 1, None));
    assert_eq!(desk.ask(Query::GetPackage { hash: Hash32([2; 32]) }), Ok(Reply::Package(catalogue)));
    assert!(matches!(desk.ask(Query::GetPackage { hash: Hash32([3; 32]) }), Err(Reject::Malformed { .. })));
}

#[test]
fn a_person_s_own_things_are_found_by_id_certificate_and_code() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let card = desk.issue(person, None);
    let by_id = desk.ask(Query::GetPerson(PersonKey::Id(person)));
    assert_eq!(by_id, desk.ask(Query::GetPerson(PersonKey::Certificate(certificate("P1")))));
    assert!(matches!(by_id, Ok(Reply::Person(found)) if found.id == person));
    let by_id = desk.ask(Query::GetCard(CardKey::Id(card)));
    assert_eq!(by_id, desk.ask(Query::GetCard(CardKey::Sn(card_sn(card.0)))));
    assert!(matches!(by_id, Ok(Reply::Card(view)) if view.card.id == card));
    for year in [2025, 2026] {
        let key = AccumulatorKey { insurance_type: InsuranceType::Employee, year, counter: Counter::Inpatient };
        desk.run(Command::OpenYear { person, key, accumulators: Accumulators::default() }).unwrap();
    }
    let years = |year| match desk.ask(Query::GetAccumulators { person, year }) {
        Ok(Reply::Accumulators { years, .. }) => years.into_iter().map(|(key, _)| key.year).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!((years(None), years(Some(2026)), years(Some(2024))), (vec![2025, 2026], vec![2026], vec![]));
}

#[test]
fn the_trial_balance_is_zero_and_personal_accounts_hold_what_persons_have() {
    let mut desk = Desk::open();
    for (passport, amount) in [("P1", 100), ("P2", 250)] {
        let person = desk.enrol(passport);
        desk.run(Command::CreditAccount { person, amount: Fen(amount), period_key: "k".into() }).unwrap();
    }
    let home = region("110100");
    let balances = vec![(LedgerAccount::PersonalAccounts(home), 350), (LedgerAccount::Contributions(home), -350)];
    assert_eq!(desk.ask(Query::TrialBalance), Ok(Reply::TrialBalance { balances, sum: 0, personal: 350 }));
}
