//! What was undone leaves no trace that a later rule would see, and a replay sees what was seen.

use crate::alert::{AlertKind, AlertRule, Apart};
use crate::command::{Command, UnwindRequest};
use crate::decide::fixture::Desk;
use crate::decide::fixture::alerts::{hard, observed, rule};
use crate::decide::fixture::clinic::{bill, medicine};
use crate::decide::fixture::ward::{LOCAL, NEIGHBOUR};
use crate::fraud::UnwindScope;
use crate::hub::{Decision, Hub};
use crate::ids::{CardId, HubNumber, RequestId};
use crate::person::Sex;
use crate::policy::VisitKind;
use crate::records::MemoryRecords;
use crate::reject::Reject;

const TODAY: &str = "2026-03-01";

fn watched(rules: &[AlertRule]) -> (Desk, CardId) {
    let mut desk = Desk::watched(rules);
    let card = desk.traveller("P1");
    (desk, card)
}

fn places() -> AlertRule {
    AlertRule { window_hours: 6, apart: Some(Apart::City), ..rule(AlertKind::TwoPlaces) }
}

fn visit_at_neighbour(desk: &mut Desk, card: CardId) -> Result<(), Reject> {
    desk.act_as(NEIGHBOUR);
    let asked = desk.visit_of(card, bill(VisitKind::Outpatient, TODAY, &medicine(TODAY, "10"), 0), 1_000);
    desk.settle_visit(asked).map(drop)
}

#[test]
fn a_cancelled_visit_is_no_place_where_the_card_was() {
    let (mut desk, card) = watched(&[places()]);
    let visit = desk.visited(card, VisitKind::Outpatient, TODAY, 1_000);
    desk.cancel_visit(visit.id).unwrap();
    visit_at_neighbour(&mut desk, card).unwrap();
    assert_eq!(desk.raised_kinds(), []);
}

#[test]
fn a_reversed_visit_and_a_cancelled_admission_are_no_places_either() {
    let (mut desk, card) = watched(&[places()]);
    desk.serve(VisitKind::Outpatient);
    let asked = desk.visit_of(card, bill(VisitKind::Outpatient, TODAY, &medicine(TODAY, "10"), 0), 1_000);
    assert!(matches!(desk.send("lost", Command::SettleVisit(asked)), Decision::Commit(..)));
    desk.run(Command::Reverse { request_id: RequestId::parse("lost").unwrap() }).unwrap();
    let stay = desk.admit(card, TODAY).unwrap();
    desk.run(Command::CancelAdmission { stay }).unwrap();
    visit_at_neighbour(&mut desk, card).unwrap();
    assert_eq!(desk.raised_kinds(), []);
}

#[test]
fn neither_the_admission_nor_the_settlement_of_a_thief_is_a_place_once_it_was_unwound() {
    let many = AlertRule { window_hours: 48, count: 2, ..rule(AlertKind::ManyInstitutions) };
    let (mut desk, card) = watched(&[places(), many]);
    desk.settled(card, "2026-02-20", "2026-02-25", "2000");
    let scope = UnwindScope { card, since_ms: 0, until_ms: None, excluded: Vec::new(), excluded_stays: Vec::new() };
    let (case_number, second_approver) = ("F-2026-1".into(), "director".into());
    desk.run(Command::Unwind(UnwindRequest { scope, case_number, second_approver, preview: None })).unwrap();
    assert_eq!(desk.hub.persons[desk.holder(card)].seldom.trail.iter().count(), 0);
    visit_at_neighbour(&mut desk, card).unwrap();
    assert_eq!(desk.raised_kinds(), []);
}

#[test]
fn a_cancelled_settlement_of_a_stay_is_no_discharge_long_ago() {
    let again = AlertRule { window_hours: 24, ..rule(AlertKind::Readmission) };
    let (mut desk, card) = watched(&[again]);
    let settled = desk.settled(card, "2026-02-01", "2026-02-10", "2000");
    let Some(stay) = settled.stay() else { panic!("of a stay") };
    desk.cancel(settled.id).unwrap();
    desk.run(Command::CancelAdmission { stay }).unwrap();
    desk.admit(card, "2026-02-11").unwrap();
    assert_eq!(desk.raised_kinds(), []);
}

#[test]
fn a_hard_rule_refuses_a_visit_an_admission_and_a_settlement_and_changes_nothing() {
    let (mut desk, card) = watched(&[]);
    let stay = desk.discharged(card, "2026-02-01", "2026-02-10", "2000");
    desk.install_alert_rules(
        41,
        crate::decide::fixture::alerts::alert_rules(
            "110100",
            "2026-02-01",
            &[places(), hard(rule(AlertKind::SexConflict))],
        ),
    )
    .unwrap();
    let man = observed(Some(Sex::Male), None);
    let mut visit = desk.visit_of(card, bill(VisitKind::Outpatient, TODAY, &medicine(TODAY, "10"), 0), 1_000);
    visit.holder_check = man;
    let mut commands = [Command::SettleVisit(visit), desk.settlement(stay, card, 0), desk.admission(card, TODAY)];
    for command in &mut commands {
        if let Command::Admit { holder_check, .. } | Command::SettleStay { holder_check, .. } = command {
            *holder_check = man;
        }
    }
    // The soft rule before the hard one would see something too: the card was admitted here, and is shown next door.
    desk.act_as(NEIGHBOUR);
    for (at, command) in [NEIGHBOUR, LOCAL, NEIGHBOUR].into_iter().zip(commands) {
        desk.act_as(at);
        let before = desk.hub.clone();
        assert_eq!(desk.run(command), Err(Reject::AlertRuleRefuses { kind: AlertKind::SexConflict }));
        assert_eq!(desk.hub, before);
    }
    visit_at_neighbour(&mut desk, card).unwrap();
    assert_eq!(desk.raised_kinds(), [AlertKind::TwoPlaces]);
}

#[test]
fn a_replay_of_the_journal_finds_the_same_trails_and_alerts() {
    let many = AlertRule { window_hours: 48, count: 2, ..rule(AlertKind::ManyInstitutions) };
    let (mut desk, card) = watched(&[places(), many]);
    desk.visited(card, VisitKind::Pharmacy, TODAY, 1_000);
    visit_at_neighbour(&mut desk, card).unwrap();
    let first = desk.raised()[0].id;
    assert_eq!(desk.raised_kinds(), [AlertKind::TwoPlaces, AlertKind::ManyInstitutions]);
    desk.acknowledge(first, "the driver of the family").unwrap();
    let visit = desk.visited(card, VisitKind::Outpatient, TODAY, 1_000);
    desk.cancel_visit(visit.id).unwrap();
    desk.act_as(LOCAL);
    desk.admit(card, TODAY).unwrap();
    let (mut hub, mut records) = (Hub::new(HubNumber::new(11).unwrap(), 7), MemoryRecords::default());
    for record in &desk.journal {
        records.observe(record, &hub);
        hub.apply(record);
    }
    assert_eq!((&hub, &records), (&desk.hub, &desk.records));
    assert_eq!(desk.hub.persons[desk.holder(card)].seldom.trail.iter().count(), 3);
}
