//! Alerts lie open until somebody looks at them, once; then they are records.

use crate::alert::{AlertFilter, AlertKind, AlertRule, Alerts, MAX_OPEN_PER_PERSON};
use crate::command::{Command, Page, Reply, Request, RequestHeader};
use crate::decide::fixture::alerts::{observed, rule};
use crate::decide::fixture::clinic::{bill, medicine};
use crate::decide::fixture::ward::{LOCAL, NEIGHBOUR, code};
use crate::decide::fixture::{Desk, day};
use crate::hub::{Actor, Context, Decision};
use crate::ids::{AlertId, CardId, Hash32, RequestId, SettlementId};
use crate::person::Sex;
use crate::policy::VisitKind;
use crate::reject::Reject;

const TODAY: &str = "2026-03-01";
const ALL: Page = Page { size: 500, after: None };

fn sex_rule() -> AlertRule {
    rule(AlertKind::SexConflict)
}

fn watched() -> Desk {
    Desk::watched(&[sex_rule(), AlertRule { tolerance_years: Some(0), ..rule(AlertKind::AgeConflict) }])
}

/// A visit at a hospital by a man, which leaves one alert, or two where his age is off as well.
fn impostor(desk: &mut Desk, card: CardId, at: &str, birth_year: i32) -> (SettlementId, Vec<AlertId>) {
    desk.act_as(at);
    let mut asked = desk.visit_of(card, bill(VisitKind::Outpatient, TODAY, &medicine(TODAY, "10"), 0), 1_000);
    asked.holder_check = observed(Some(Sex::Male), Some(birth_year));
    match desk.run(Command::SettleVisit(asked)) {
        Ok(Reply::Settled { settlement, alerts, .. }) => (settlement.id, alerts),
        other => panic!("{other:?}"),
    }
}

fn ids(views: &[crate::alert::AlertView]) -> Vec<AlertId> {
    views.iter().map(|view| view.alert.id).collect()
}

#[test]
fn what_soft_rules_saw_is_named_in_the_answer_and_kept_with_the_settlement() {
    let mut desk = watched();
    let card = desk.patient("P1");
    let (settlement, alerts) = impostor(&mut desk, card, LOCAL, 1950);
    let base = desk.hub.number.id(0);
    assert_eq!(alerts, [AlertId(base + 1), AlertId(base + 2)]);
    let (listed, next) = desk.alerts(AlertFilter::default(), false, ALL);
    assert_eq!((ids(&listed), next), (alerts, None));
    let alert = &listed[0].alert;
    assert_eq!((alert.kind, alert.person, alert.card), (AlertKind::SexConflict, desk.holder(card), Some(card)));
    assert_eq!((alert.settlement, alert.stay, alert.institution), (Some(settlement), None, code(LOCAL)));
    assert_eq!((alert.package, alert.stamp_ms), (Some(Hash32([40; 32])), desk.now_ms));
    assert_eq!(&*alert.text, "male was seen, female is documented");
    assert_eq!(&*listed[1].alert.text, "someone born about 1950 was seen, 30 years from 1980 as documented");
    let mut admission = desk.admission(card, TODAY);
    if let Command::Admit { holder_check, .. } = &mut admission {
        *holder_check = observed(Some(Sex::Male), None);
    }
    let Ok(Reply::Admitted(admitted)) = desk.run(admission) else { panic!("admitted") };
    assert_eq!(admitted.alerts, [AlertId(base + 3)]);
    assert_eq!((desk.raised()[0].settlement, desk.raised()[0].stay), (None, Some(admitted.stay)));
}

#[test]
fn alerts_are_listed_by_person_institution_and_kind_in_pages() {
    let mut desk = watched();
    let cards = [desk.traveller("P1"), desk.traveller("P2")];
    let mut all = Vec::new();
    for (card, at, born) in
        [(cards[0], LOCAL, 1980), (cards[1], NEIGHBOUR, 1950), (cards[0], NEIGHBOUR, 1950), (cards[1], LOCAL, 1980)]
    {
        all.extend(impostor(&mut desk, card, at, born).1);
    }
    assert_eq!(all.len(), 6);
    let first = all[1];
    desk.acknowledge(first, "seen").unwrap();
    let person = Some(desk.holder(cards[1]));
    let (institution, kind) = (Some(code(NEIGHBOUR)), Some(AlertKind::AgeConflict));
    let none = AlertFilter::default();
    for (of, expected) in [
        (none, vec![all[0], all[1], all[2], all[3], all[4], all[5]]),
        (AlertFilter { person, ..none }, vec![all[1], all[2], all[5]]),
        (AlertFilter { institution, ..none }, vec![all[1], all[2], all[3], all[4]]),
        (AlertFilter { kind, ..none }, vec![all[2], all[4]]),
        (AlertFilter { person, kind, ..none }, vec![all[2]]),
    ] {
        let open: Vec<AlertId> = expected.iter().copied().filter(|id| *id != first).collect();
        assert_eq!(ids(&desk.alerts(of, false, ALL).0), open, "{of:?}");
        // Pages of two, with those that were acknowledged between the open ones.
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let (rows, next) = desk.alerts(of, true, Page { size: 2, after });
            paged.extend(ids(&rows));
            after = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(paged, expected, "{of:?}");
    }
}

#[test]
fn an_alert_is_acknowledged_once_by_somebody_who_is_named() {
    let mut desk = watched();
    let card = desk.patient("P1");
    let (_, alerts) = impostor(&mut desk, card, LOCAL, 1980);
    let [alert] = alerts[..] else { panic!("one") };
    assert_eq!(desk.acknowledge(AlertId(alert.0 + 1), "?"), Err(Reject::AlertUnknown(AlertId(alert.0 + 1))));
    assert_eq!(acknowledged_by_nobody(&desk, alert), Err("header.operator".to_owned()));
    desk.pass_hours(3);
    assert_eq!(desk.acknowledge(alert, "her brother, with her consent"), Ok(Reply::Done));
    assert_eq!(desk.acknowledge(alert, "again"), Err(Reject::AlertAcknowledged(alert)));
    assert_eq!(desk.alerts(AlertFilter::default(), false, ALL).0, []);
    let (kept, _) = desk.alerts(AlertFilter::default(), true, ALL);
    let seen = kept[0].acknowledged.as_ref().expect("acknowledged");
    assert_eq!((&*seen.by, &*seen.note, seen.stamp_ms), ("clerk", "her brother, with her consent", desk.now_ms));
    assert_eq!(kept[0].alert.stamp_ms, desk.now_ms - 3 * 3_600_000);
    // The next one takes a number that was never given.
    assert_eq!(impostor(&mut desk, card, LOCAL, 1980).1, [AlertId(alert.0 + 1)]);
}

/// The field that is at fault when a request without operator asks.
fn acknowledged_by_nobody(desk: &Desk, alert: AlertId) -> Result<(), String> {
    let header = RequestHeader {
        request_id: RequestId::parse("nobody").unwrap(),
        created_ms: desk.now_ms,
        institution: desk.actor.institution,
        operator: "".into(),
    };
    let context = Context {
        stamp_ms: desk.now_ms,
        sequence: desk.hub.sequence() + 1,
        actor: Actor { roles: u32::MAX, ..desk.actor },
        operation: 1,
        digest: Hash32::default(),
        verdict: desk.verdict,
        pin: &desk.pin,
        records: &desk.records,
    };
    let command = Command::AcknowledgeAlert { alert, note: "seen".into() };
    match desk.hub.decide(&Request::Command(header, Box::new(command)), &context) {
        Decision::Refuse(Reject::Malformed { field, .. }) => Err(field),
        _ => Ok(()),
    }
}

#[test]
fn one_person_has_so_many_open_alerts_and_no_more_while_settlements_go_on() {
    let mut desk = watched();
    let (card, other) = (desk.patient("P1"), desk.patient("P2"));
    let mut alerts = Vec::new();
    for visit in 0..=MAX_OPEN_PER_PERSON / 2 {
        let (_, raised) = impostor(&mut desk, card, LOCAL, 1950);
        assert_eq!(raised.len(), if visit < MAX_OPEN_PER_PERSON / 2 { 2 } else { 0 });
        alerts.extend(raised);
    }
    assert_eq!(desk.hub.alerts.open_of(desk.hub.cards[card].person), MAX_OPEN_PER_PERSON);
    assert_eq!(impostor(&mut desk, other, LOCAL, 1950).1.len(), 2, "another person's are counted apart");
    desk.acknowledge(alerts[0], "seen").unwrap();
    assert_eq!(impostor(&mut desk, card, LOCAL, 1950).1.len(), 1);
}

#[test]
fn rules_are_a_package_of_a_home_region_with_one_first_day() {
    use crate::decide::fixture::alerts::alert_rules;
    use crate::decide::fixture::region;
    let mut desk = Desk::open();
    let rules = |at: &str, from: &str| alert_rules(at, from, &[sex_rule()]);
    let faulty = AlertRule { count: 1, ..sex_rule() };
    let faulty = alert_rules("990000", "2026-01-01", &[faulty, rule(AlertKind::CounterJump)]);
    let Err(Reject::PackageInvalid { problems }) = desk.install_alert_rules(1, faulty) else { panic!("refused") };
    assert_eq!(problems.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["rules[0].count", "rules[1].kind"]);
    assert_eq!(desk.install_alert_rules(1, rules("990000", TODAY)), Err(Reject::RegionUnknown(region("990000"))));
    assert_eq!(desk.install_alert_rules(1, rules("310100", TODAY)), Err(Reject::NotHomeOfRegion(region("310100"))));
    assert_eq!(desk.install_alert_rules(1, rules("110100", TODAY)), Ok(Hash32([1; 32])));
    let conflict = Err(Reject::PackageConflicts { with: Hash32([1; 32]) });
    assert_eq!(desk.install_alert_rules(2, rules("110100", TODAY)), conflict);
    assert_eq!(desk.install_alert_rules(1, rules("110100", "2027-01-01")), conflict);
    desk.install_alert_rules(2, rules("110101", "2027-01-01")).unwrap();
    let page = Page { size: 10, after: None };
    let Ok(Reply::Packages { packages, .. }) =
        desk.ask(crate::command::Query::ListPackages { region: Some(region("110101")), page })
    else {
        panic!("listed")
    };
    let crate::command::Package::AlertRules(hash, found) = &packages[0] else { panic!("{packages:?}") };
    assert_eq!((*hash, found.effective_from), (Hash32([2; 32]), day("2027-01-01")));
    let get = crate::command::Query::GetPackage { hash: *hash };
    assert_eq!(desk.ask(get), Ok(Reply::Package(packages[0].clone())));
    let mut without: Vec<_> = crate::decide::fixture::regions();
    without.retain(|node| node.code != region("110101"));
    let tree = Command::InstallRegions { hash: Hash32([9; 32]), regions: without };
    assert_eq!(desk.run(tree), Err(Reject::RegionInUse(region("110101"))));
    assert_eq!(desk.hub.alerts, Alerts::default());
}
