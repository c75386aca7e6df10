//! Each kind of rule at its bounds: what it sees, and what it must not see.

use crate::accumulator::Accumulators;
use crate::alert::{AlertKind, AlertRule, Apart};
use crate::command::{Command, HolderCheck};
use crate::decide::fixture::alerts::{observed, rule};
use crate::decide::fixture::clinic::{bill, medicine, outpatient_year};
use crate::decide::fixture::ward::{DISTANT, LOCAL, NEIGHBOUR, line, ward_policy};
use crate::decide::fixture::{Desk, institution};
use crate::ids::CardId;
use crate::institution::{Institution, InstitutionKind};
use crate::money::Fen;
use crate::person::Sex;
use crate::policy::{BenefitPolicy, Fund, VisitKind};
use crate::stay::AdmissionKind;

const TODAY: &str = "2026-03-01";

/// A clinic under these rules, and a card.
fn watched(rules: &[AlertRule]) -> (Desk, CardId) {
    let mut desk = Desk::watched(rules);
    let card = desk.traveller("P1");
    (desk, card)
}

/// A visit of 10.00 at a hospital today.
fn visit_at(desk: &mut Desk, card: CardId, hospital: &str, check: HolderCheck) {
    desk.act_as(hospital);
    let today = crate::calendar::Date::business_day(desk.now_ms).to_string();
    let mut asked = desk.visit_of(card, bill(VisitKind::Outpatient, &today, &medicine(&today, "10"), 0), 1_000);
    asked.holder_check = check;
    desk.settle_visit(asked).unwrap();
}

fn admit_as(desk: &mut Desk, card: CardId, hospital: &str, on: &str, as_kind: AdmissionKind) {
    desk.act_as(hospital);
    let mut command = desk.admission(card, on);
    if let Command::Admit { kind, .. } = &mut command {
        *kind = as_kind;
    }
    desk.run(command).unwrap();
}

/// | first | then | level | sees |
/// | --- | --- | --- | --- |
/// | 110101 | the same | any | nothing |
/// | 110101 | 110100 above it | REGION | two places |
/// | 110101 | 110100 above it | CITY | nothing |
/// | 110101 | 110200 | CITY | two places |
/// | 110101 | 110200 | PROVINCE | nothing |
/// | 110101 | 310100 | PROVINCE | two places |
#[test]
fn two_places_are_too_far_apart_at_the_level_that_the_rule_names() {
    const ABOVE: &str = "H11010000009";
    for (then, apart, sees) in [
        (LOCAL, Apart::Region, false),
        (ABOVE, Apart::Region, true),
        (ABOVE, Apart::City, false),
        (NEIGHBOUR, Apart::City, true),
        (NEIGHBOUR, Apart::Province, false),
        (DISTANT, Apart::Province, true),
    ] {
        let places = AlertRule { window_hours: 6, apart: Some(apart), ..rule(AlertKind::TwoPlaces) };
        for (hours, within) in [(6, true), (7, false)] {
            let (mut desk, card) = watched(&[places]);
            desk.register(ABOVE, "110100");
            visit_at(&mut desk, card, LOCAL, HolderCheck::default());
            assert_eq!(desk.raised_kinds(), []);
            desk.pass_hours(hours);
            visit_at(&mut desk, card, then, HolderCheck::default());
            let expected: &[AlertKind] = if sees && within { &[AlertKind::TwoPlaces] } else { &[] };
            assert_eq!(desk.raised_kinds(), expected, "{then} after {hours} h, {apart:?}");
        }
    }
}

#[test]
fn the_victim_s_new_card_is_not_at_the_place_of_the_thief_s_old_one() {
    let places = AlertRule { window_hours: 6, apart: Some(Apart::City), ..rule(AlertKind::TwoPlaces) };
    let (mut desk, card) = watched(&[places]);
    visit_at(&mut desk, card, NEIGHBOUR, HolderCheck::default());
    let successor = desk.issue(desk.holder(card), Some(card));
    desk.run(Command::EnableCard { card: successor, zone: crate::card::ZoneKind::Insurance }).unwrap();
    visit_at(&mut desk, successor, LOCAL, HolderCheck::default());
    assert_eq!(desk.raised_kinds(), []);
    visit_at(&mut desk, successor, NEIGHBOUR, HolderCheck::default());
    assert_eq!(desk.raised_kinds(), [AlertKind::TwoPlaces]);
}

/// Days of a visit against a stay of 10 to 20 February, which is open, waits for its settlement, or is settled.
#[test]
fn a_visit_overlaps_a_stay_between_its_first_and_its_last_day() {
    for state in ["open", "discharged", "settled"] {
        for (on, inside, open) in [
            ("2026-02-09", false, false),
            ("2026-02-10", false, false),
            ("2026-02-11", true, true),
            ("2026-02-19", true, true),
            ("2026-02-20", false, true),
            ("2026-02-21", false, true),
        ] {
            let (mut desk, card) = watched(&[rule(AlertKind::OverlapWithStay)]);
            match state {
                "open" => drop(desk.admit(card, "2026-02-10").unwrap()),
                "discharged" => drop(desk.discharged(card, "2026-02-10", "2026-02-20", "2000")),
                _ => drop(desk.settled(card, "2026-02-10", "2026-02-20", "2000")),
            }
            assert_eq!(desk.raised_kinds(), []);
            desk.visited(card, VisitKind::Pharmacy, on, 1_000);
            let expected: &[AlertKind] =
                if inside || (open && state == "open") { &[AlertKind::OverlapWithStay] } else { &[] };
            assert_eq!(desk.raised_kinds(), expected, "a visit on {on}, the stay is {state}");
        }
    }
}

#[test]
fn an_admission_that_is_reported_after_visits_on_later_days_overlaps_them() {
    for (admitted, sees) in [("2026-02-27", true), ("2026-02-28", false)] {
        let (mut desk, card) = watched(&[rule(AlertKind::OverlapWithStay)]);
        desk.visited(card, VisitKind::Outpatient, "2026-02-28", 1_000);
        desk.act_as(LOCAL);
        desk.admit(card, admitted).unwrap();
        assert_eq!(!desk.raised_kinds().is_empty(), sees, "admitted on {admitted}");
    }
}

/// Article 36 of the national rules: what is bought outside with a slip is a line of the stay, and no visit beside it.
#[test]
fn a_test_outside_with_a_slip_belongs_to_the_stay_and_overlaps_nothing() {
    let (mut desk, card) = watched(&[rule(AlertKind::OverlapWithStay)]);
    let stay = desk.admit(card, "2026-02-10").unwrap();
    let outside = crate::stay::ChargeLine {
        outside: Some((crate::decide::fixture::ward::code(NEIGHBOUR), "annex 12".into())),
        ..line(1, "A1", "1", "300", "2026-02-12")
    };
    desk.run(crate::decide::fixture::ward::charges(stay, &[outside])).unwrap();
    desk.run(crate::decide::fixture::ward::discharge(stay, "2026-02-20")).unwrap();
    desk.settle(stay, card, 0).unwrap();
    assert_eq!(desk.raised_kinds(), []);
}

#[test]
fn many_institutions_are_counted_once_each_within_the_window() {
    let many = AlertRule { window_hours: 48, count: 3, ..rule(AlertKind::ManyInstitutions) };
    let (mut desk, card) = watched(&[many]);
    for (hospital, hours, sees) in [
        (LOCAL, 0, false),
        (LOCAL, 1, false),
        (NEIGHBOUR, 1, false),
        (LOCAL, 1, false),
        (DISTANT, 1, true),
        (LOCAL, 47, false),
        (NEIGHBOUR, 1, true),
        (NEIGHBOUR, 48, false),
    ] {
        desk.pass_hours(hours);
        visit_at(&mut desk, card, hospital, HolderCheck::default());
        assert_eq!(!desk.raised_kinds().is_empty(), sees, "{hospital} after {hours} h more");
    }
    let alert = desk.hub.alerts.list(crate::alert::AlertFilter::default(), None, 1).remove(0);
    assert_eq!(&*alert.text, "3 institutions within 48 h: H31010000001, H11010000001, H11020000001");
}

#[test]
fn many_purchases_are_those_at_one_pharmacy() {
    const OTHER: &str = "P11010000002";
    let many = AlertRule { window_hours: 24, count: 3, ..rule(AlertKind::ManyPurchases) };
    let (mut desk, card) = watched(&[many]);
    let other = Institution { kind: InstitutionKind::Pharmacy, ..institution(OTHER, "110101") };
    desk.run(Command::RegisterInstitution { institution: other }).unwrap();
    let mut buy = |at: Option<&str>| {
        desk.serve(VisitKind::Pharmacy);
        if let Some(other) = at {
            desk.actor.institution = crate::decide::fixture::ward::code(other);
        }
        let asked = desk.visit_of(card, bill(VisitKind::Pharmacy, TODAY, &medicine(TODAY, "10"), 0), 1_000);
        desk.settle_visit(asked).unwrap();
        desk.raised_kinds()
    };
    assert_eq!([buy(None), buy(Some(OTHER)), buy(None)], [[], [], []]);
    assert_eq!([buy(None), buy(None)], [[AlertKind::ManyPurchases], [AlertKind::ManyPurchases]]);
    assert_eq!(buy(Some(OTHER)), []);
    desk.visited(card, VisitKind::Outpatient, TODAY, 1_000);
    assert_eq!(desk.raised_kinds(), [], "a visit at a hospital is no purchase");
}

/// The lost-card case: 5,450.00 of 5,500.00 were gone before anyone noticed.
#[test]
fn a_year_near_its_limit_is_seen_once_when_the_ratio_is_reached() {
    let near = AlertRule { ratio_bp: 9_000, ..rule(AlertKind::NearCap) };
    let (mut desk, card) = watched(&[near]);
    let mut used = Accumulators::default();
    used.funds[Fund::Pool] = Fen(494_450);
    let (person, key) = (desk.holder(card), outpatient_year(2026));
    desk.run(Command::OpenYear { person, key, accumulators: used }).unwrap();
    // 90 % of 5,500.00 are 4,950.00; 55 % of 9.99 are 5.49, and then of 0.01 one fen.
    for (fen, sees) in [(999, false), (2, true), (20_000, false)] {
        desk.visited(card, VisitKind::Pharmacy, TODAY, fen);
        assert_eq!(!desk.raised_kinds().is_empty(), sees, "a claim of {fen} fen");
    }
    let alert = desk.hub.alerts.list(crate::alert::AlertFilter::default(), None, 1).remove(0);
    assert_eq!(&*alert.text, "4950.00 of 5500.00 used of the limit of POOL in 2026");
}

/// | settlement | limit | sees |
/// | --- | --- | --- |
/// | brings the pool to its limit in one stay | FUND | near |
/// | of a package without a limit | - | nothing |
#[test]
fn a_stay_is_measured_by_the_package_that_it_was_settled_with() {
    let near = AlertRule { ratio_bp: 10_000, ..rule(AlertKind::NearCap) };
    for (cap, sees) in [(Some(Fen(88_000)), true), (Some(Fen(88_001)), false), (None, false)] {
        let mut policy = ward_policy();
        policy.layers[0].annual_cap = cap;
        let mut desk = Desk::ward(policy);
        desk.watch(&[near]);
        let card = desk.patient("P1");
        // 1,000.00 are deductible; of the rest the pool pays 88 %.
        desk.settled(card, "2026-02-10", "2026-02-20", "2000");
        assert_eq!(!desk.raised_kinds().is_empty(), sees, "{cap:?}");
    }
}

/// The holder is a woman born in 1980; the thief was a man thirty years older.
#[test]
fn sex_and_age_conflict_with_the_documents_only_where_they_were_observed() {
    let age = AlertRule { tolerance_years: Some(10), ..rule(AlertKind::AgeConflict) };
    let rules = [rule(AlertKind::SexConflict), age];
    let (sex, aged) = (AlertKind::SexConflict, AlertKind::AgeConflict);
    for (check, expected) in [
        (observed(None, None), &[][..]),
        (observed(Some(Sex::Female), Some(1980)), &[]),
        (observed(Some(Sex::Male), None), &[sex]),
        (observed(None, Some(1990)), &[]),
        (observed(None, Some(1970)), &[]),
        (observed(None, Some(1991)), &[aged]),
        (observed(None, Some(1969)), &[aged]),
        (observed(Some(Sex::Male), Some(1950)), &[sex, aged]),
    ] {
        let (mut desk, card) = watched(&rules);
        visit_at(&mut desk, card, LOCAL, check);
        assert_eq!(desk.raised_kinds(), expected, "{check:?} at a visit");
        let mut admission = desk.admission(card, TODAY);
        if let Command::Admit { holder_check, .. } = &mut admission {
            *holder_check = check;
        }
        desk.run(admission).unwrap();
        assert_eq!(desk.raised_kinds(), expected, "{check:?} at an admission");
    }
}

/// | discharged | admitted | as | sees |
/// | --- | --- | --- | --- |
/// | 1 February | 15 days later | PLANNED | readmission |
/// | 1 February | 16 days later | PLANNED | nothing |
/// | 1 February | the same day | TRANSFER | nothing: passed on |
/// | 1 February | the same day | PLANNED | readmission |
/// | 1 February | the next day | TRANSFER | readmission |
#[test]
fn a_readmission_is_within_days_of_the_last_discharge_and_no_transfer() {
    let again = AlertRule { window_hours: 15 * 24, ..rule(AlertKind::Readmission) };
    let (planned, transfer) = (AdmissionKind::Planned, AdmissionKind::Transfer);
    for settled in [false, true] {
        for (on, kind, sees) in [
            ("2026-02-16", planned, true),
            ("2026-02-17", planned, false),
            ("2026-02-01", transfer, false),
            ("2026-02-01", planned, true),
            ("2026-02-02", transfer, true),
        ] {
            let (mut desk, card) = watched(&[again]);
            let stay = desk.discharged(card, "2026-01-20", "2026-02-01", "2000");
            assert_eq!(desk.raised_kinds(), []);
            if settled {
                desk.settle(stay, card, 0).unwrap();
            }
            admit_as(&mut desk, card, NEIGHBOUR, on, kind);
            assert_eq!(!desk.raised_kinds().is_empty(), sees, "{kind:?} on {on}, settled: {settled}");
        }
    }
}

#[test]
fn rules_are_those_of_the_most_specific_insured_region_in_force_today() {
    use crate::decide::fixture::alerts::alert_rules;
    let sex = rule(AlertKind::SexConflict);
    let man = observed(Some(Sex::Male), None);
    let mut desk = Desk::clinic(|policy: BenefitPolicy| policy);
    let card = desk.patient("P1");
    desk.install_alert_rules(1, alert_rules("110100", "2026-03-02", &[sex])).unwrap();
    visit_at(&mut desk, card, LOCAL, man);
    assert_eq!(desk.raised_kinds(), [], "not yet in force");
    desk.pass_hours(24);
    visit_at(&mut desk, card, LOCAL, man);
    assert_eq!(desk.raised_kinds(), [AlertKind::SexConflict]);
    desk.install_alert_rules(2, alert_rules("110101", "2026-01-01", &[])).unwrap();
    visit_at(&mut desk, card, LOCAL, man);
    assert_eq!(desk.raised_kinds(), [AlertKind::SexConflict], "the care region's rules are not the person's");
    desk.install_alert_rules(3, alert_rules("110100", "2026-03-03", &[])).unwrap();
    desk.pass_hours(24);
    visit_at(&mut desk, card, LOCAL, man);
    assert_eq!(desk.raised_kinds(), [], "a package without rules ends those before");
}
