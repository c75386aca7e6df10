//! Alerts through the engine: durable with the settlement that raised them, and what rules look at is there again after a restart.

use medsettle_engine::Engine;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_wire::{Operation, Reason, Role, v1};

use crate::caller::Caller;
use crate::request::{self, Patient};
use crate::support::{HOSPITAL, OFFICE, hospital, office, open_on};

const OTHER: &str = "H37010500002";

/// Two institutions within a day are too many, softly; a person of the other sex is refused.
fn watched(engine: &Engine) -> Patient {
    use v1::alert_rule::Kind;
    let office = office(engine);
    request::furnish(&office);
    let second = v1::Institution { institution_code: OTHER.into(), ..request::institution() };
    let request = v1::InstitutionsRegisterRequest { header: Some(request::header(OFFICE)), institution: Some(second) };
    office.get::<v1::InstitutionsRegisterResponse>(Operation::InstitutionsRegister, &request);
    let many =
        v1::AlertRule { kind: Kind::ManyInstitutions.into(), window_hours: 24, count: 2, ..v1::AlertRule::default() };
    let sex = v1::AlertRule { kind: Kind::SexConflict.into(), hard: true, ..v1::AlertRule::default() };
    let rules = v1::AlertRules { region: "370100".into(), effective_from: "2026-01-01".into(), rules: vec![many, sex] };
    let request = v1::PackagesInstallAlertRulesRequest { header: Some(request::header(OFFICE)), rules: Some(rules) };
    office.get::<v1::PackagesInstallAlertRulesResponse>(Operation::PackagesInstallAlertRules, &request);
    request::enroll(&office, 1)
}

fn other(engine: &Engine) -> Caller<'_> {
    Caller::new(engine, OTHER, &[Role::Hospital])
}

fn admission(patient: Patient, atc: u32, at: &str, on: &str) -> v1::InpatientAdmitRequest {
    let header = Some(request::header(at));
    v1::InpatientAdmitRequest { header, admission_date: on.into(), ..request::admit(patient, atc) }
}

fn listed(engine: &Engine, include_acknowledged: bool) -> Vec<v1::Alert> {
    let request = v1::FraudListAlertsRequest { include_acknowledged, ..v1::FraudListAlertsRequest::default() };
    office(engine).get::<v1::FraudListAlertsResponse>(Operation::FraudListAlerts, &request).alerts
}

fn acknowledgement(alert_id: u64) -> v1::FraudAcknowledgeAlertRequest {
    v1::FraudAcknowledgeAlertRequest { header: Some(request::header(OFFICE)), alert_id, note: "looked into".into() }
}

#[test]
fn an_alert_and_what_rules_look_at_survive_every_restart() {
    let disk = SimulatedDisk::new();
    let engine = open_on(&disk);
    let patient = watched(&engine);
    let first: v1::InpatientAdmitResponse =
        hospital(&engine).get(Operation::InpatientAdmit, &admission(patient, 1, HOSPITAL, "2026-02-20"));
    assert!(first.alert_ids.is_empty(), "{:?}", first.alert_ids);
    hospital(&engine)
        .get::<v1::InpatientDischargeResponse>(Operation::InpatientDischarge, &request::discharge(first.stay_id));
    drop(engine);

    // The use before the restart is the one that this hospital is too many after.
    let engine = open_on(&disk);
    let again = admission(patient, 2, OTHER, "2026-02-28");
    let second: v1::InpatientAdmitResponse = other(&engine).get(Operation::InpatientAdmit, &again);
    let [alert_id] = second.alert_ids[..] else { panic!("one alert: {:?}", second.alert_ids) };
    let replayed: v1::InpatientAdmitResponse = other(&engine).get(Operation::InpatientAdmit, &again);
    assert_eq!(replayed.alert_ids, [alert_id]);
    let open = listed(&engine, false);
    assert_eq!(open.len(), 1, "the first answer given again raises nothing");
    assert_eq!((open[0].alert_id, open[0].stay_id, open[0].person_id), (alert_id, second.stay_id, patient.person));
    drop(engine);

    let engine = open_on(&disk);
    assert_eq!(listed(&engine, false), open);
    office(&engine)
        .get::<v1::FraudAcknowledgeAlertResponse>(Operation::FraudAcknowledgeAlert, &acknowledgement(alert_id));
    assert_eq!(listed(&engine, false), Vec::new());
    let kept = listed(&engine, true);
    assert_eq!((kept[0].acknowledged_by.as_str(), kept[0].note.as_str()), ("clerk", "looked into"));
    drop(engine);

    let engine = open_on(&disk);
    assert_eq!(listed(&engine, true), kept);
    let again = office(&engine)
        .ask::<v1::FraudAcknowledgeAlertResponse>(Operation::FraudAcknowledgeAlert, &acknowledgement(alert_id));
    assert_eq!(again, Err(Reason::AlertAcknowledged));
}

#[test]
fn a_hard_rule_binds_no_request_id_and_the_same_request_may_come_again() {
    let disk = SimulatedDisk::new();
    let engine = open_on(&disk);
    let patient = watched(&engine);
    let sequence =
        |engine: &Engine| request::status(&office(engine)).expect("a status").header.expect("a header").sequence;
    let mut asked = admission(patient, 1, HOSPITAL, "2026-02-20");
    asked.holder_check = Some(v1::HolderCheck { observed_sex: v1::sex::Kind::Male.into(), ..request::holder_check() });
    let before = sequence(&engine);
    let refused = hospital(&engine).ask::<v1::InpatientAdmitResponse>(Operation::InpatientAdmit, &asked);
    assert_eq!(refused.map(|_| ()), Err(Reason::AlertRuleRefuses));
    assert_eq!((sequence(&engine), listed(&engine, true)), (before, Vec::new()));
    // The clerk had looked at the person behind.
    asked.holder_check =
        Some(v1::HolderCheck { observed_sex: v1::sex::Kind::Female.into(), ..request::holder_check() });
    hospital(&engine).get::<v1::InpatientAdmitResponse>(Operation::InpatientAdmit, &asked);
}
