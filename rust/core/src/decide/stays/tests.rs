//! Where a stay stands after each command, which nights it may cover, and who may read it.

use super::*;
use crate::command::Query;
use crate::decide::fixture::ward::{DISTANT, LOCAL, NEIGHBOUR, charges, code, discharge, line, update, ward_policy};
use crate::decide::fixture::{self, Desk, day, region};
use crate::ids::{CardId, SettlementId};
use crate::money::Fen;
use crate::policy::{FilingKind, Level};
use crate::stay::intervals_overlap;

const COMMANDS: [&str; 8] = [
    "UpdateStay",
    "AddCharges",
    "RevokeCharges",
    "Discharge",
    "CancelDischarge",
    "CancelAdmission",
    "Settle",
    "CancelSettlement",
];

/// A stay that came into this state by commands.
fn stay_in(state: StayState) -> (Desk, CardId, StayId, SettlementId) {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    let stay = desk.admit(card, "2026-01-10").unwrap();
    desk.run(charges(stay, &[line(1, "A1", "1", "5000", "2026-01-10")])).unwrap();
    let mut settlement = SettlementId(0);
    match state {
        StayState::Open => {}
        StayState::Discharged => drop(desk.run(discharge(stay, "2026-01-20")).unwrap()),
        StayState::Settled => {
            desk.run(discharge(stay, "2026-01-20")).unwrap();
            settlement = desk.settle(stay, card, 0).unwrap().id;
        }
        StayState::Void => drop(desk.run(Command::CancelAdmission { stay }).unwrap()),
    }
    assert_eq!(desk.state(stay), state);
    (desk, card, stay, settlement)
}

fn command(desk: &Desk, name: &str, card: CardId, stay: StayId, settlement: SettlementId) -> Command {
    match name {
        "UpdateStay" => update(stay, None),
        "AddCharges" => charges(stay, &[line(2, "A1", "1", "10", "2026-01-11")]),
        "RevokeCharges" => Command::RevokeCharges { stay, line_ids: vec![1] },
        "Discharge" => discharge(stay, "2026-01-21"),
        "CancelDischarge" => Command::CancelDischarge { stay },
        "CancelAdmission" => Command::CancelAdmission { stay },
        "Settle" => desk.settlement(stay, card, 0),
        "CancelSettlement" => Command::CancelSettlement { settlement },
        other => panic!("{other} is no command"),
    }
}

/// What the table of the module says: the state afterwards, or the refusal.
fn expected(name: &str, state: StayState, stay: StayId, settlement: SettlementId) -> Result<StayState, Reject> {
    use StayState::{Discharged, Open, Settled, Void};
    match (name, state) {
        ("UpdateStay" | "AddCharges" | "RevokeCharges", Open) | ("CancelDischarge", Discharged) => Ok(Open),
        ("Discharge", Open) | ("CancelSettlement", Settled) => Ok(Discharged),
        ("CancelAdmission", Open | Discharged) => Ok(Void),
        ("Settle", Discharged) => Ok(Settled),
        ("CancelSettlement", _) => Err(Reject::SettlementUnknown(settlement)),
        (_, Settled) => Err(Reject::AlreadySettled { stay, settlement }),
        ("CancelDischarge" | "Settle", Open) => Err(Reject::StayNotDischarged(stay)),
        (_, state) => Err(Reject::StayNotOpen { stay, state }),
    }
}

#[test]
fn every_command_moves_every_state_as_the_table_says_and_a_refusal_changes_nothing() {
    for state in [StayState::Open, StayState::Discharged, StayState::Settled, StayState::Void] {
        for name in COMMANDS {
            let (mut desk, card, stay, settlement) = stay_in(state);
            let before = desk.hub.clone();
            let command = command(&desk, name, card, stay, settlement);
            let after = desk.run(command).map(|_| desk.state(stay));
            assert_eq!(after, expected(name, state, stay, settlement), "{name} in {state:?}");
            assert_eq!(after.is_err(), desk.hub == before, "{name} in {state:?}");
        }
    }
}

#[test]
fn another_institution_s_stay_is_refused_in_every_state_and_an_unknown_one_is_unknown() {
    for state in [StayState::Open, StayState::Discharged, StayState::Settled, StayState::Void] {
        let (mut desk, card, stay, settlement) = stay_in(state);
        let before = desk.hub.clone();
        for name in COMMANDS {
            let command = command(&desk, name, card, stay, settlement);
            desk.act_as(NEIGHBOUR);
            let refused = desk.run(command);
            desk.act_as(LOCAL);
            let unknown = name == "CancelSettlement" && state != StayState::Settled;
            let reject = if unknown {
                Reject::SettlementUnknown(settlement)
            } else {
                Reject::NotYourInstitution(code(NEIGHBOUR))
            };
            assert_eq!(refused, Err(reject), "{name} in {state:?}");
        }
        assert_eq!(desk.run(update(StayId(5), None)), Err(Reject::StayUnknown(StayId(5))));
        assert_eq!(desk.hub, before);
    }
}

#[test]
fn two_intervals_overlap_when_they_have_a_night_in_common() {
    for (a, b, overlap) in [
        (("10", Some("20")), ("20", None), false),
        (("10", Some("20")), ("19", None), true),
        (("10", Some("20")), ("05", Some("10")), false),
        (("10", Some("20")), ("05", Some("11")), true),
        (("10", Some("20")), ("12", Some("13")), true),
        (("10", None), ("20", None), true),
        (("10", None), ("05", Some("10")), false),
        (("10", Some("10")), ("10", None), false),
        (("10", Some("10")), ("05", Some("20")), false),
    ] {
        let interval = |(from, to): (&str, Option<&str>)| {
            let of_month = |text: &str| day(&format!("2026-01-{text}"));
            (of_month(from), to.map(of_month))
        };
        assert_eq!(intervals_overlap(interval(a), interval(b)), overlap, "{a:?} {b:?}");
        assert_eq!(intervals_overlap(interval(b), interval(a)), overlap, "{b:?} {a:?}");
    }
}

#[test]
fn a_person_is_transferred_on_the_day_of_discharge_and_not_before_it_whether_settled_or_not() {
    for settled in [false, true] {
        let mut desk = Desk::ward(ward_policy());
        let card = desk.patient("P1");
        let first = desk.discharged(card, "2026-01-10", "2026-01-20", "5000");
        if settled {
            desk.settle(first, card, 0).unwrap();
        }
        desk.act_as(NEIGHBOUR);
        let overlaps = Err(Reject::StayOverlaps { other: first, institution: code(LOCAL) });
        assert_eq!(desk.admit(card, "2026-01-19"), overlaps);
        assert_eq!(desk.admit(card, "2026-01-09"), overlaps, "a stay without discharge has no end");
        let second = desk.admit(card, "2026-01-20").unwrap();
        let overlaps = Reject::StayOverlaps { other: second, institution: code(NEIGHBOUR) };
        assert_eq!(desk.admit(card, "2026-02-20"), Err(overlaps.clone()));
        let overlaps_first = Err(Reject::StayOverlaps { other: first, institution: code(LOCAL) });
        assert_eq!(desk.run(update(second, Some("2026-01-19"))), overlaps_first);
        desk.run(Command::CancelAdmission { stay: second }).unwrap();
        assert!(desk.admit(card, "2026-02-20").is_ok(), "a void stay blocks nothing");
    }
}

#[test]
fn a_discharge_stands_once_the_patient_lies_elsewhere() {
    for settled in [false, true] {
        let mut desk = Desk::ward(ward_policy());
        let card = desk.patient("P1");
        let first = desk.discharged(card, "2026-01-10", "2026-01-20", "5000");
        desk.act_as(NEIGHBOUR);
        desk.file(card, FilingKind::Transfer, "110200", "2026-01-01", None);
        let second = desk.discharged(card, "2026-01-20", "2026-01-25", "5000");
        let mut settlement = None;
        if settled {
            settlement = Some(desk.settle(second, card, 0).unwrap().id);
        }
        desk.act_as(LOCAL);
        let overlaps = Err(Reject::StayOverlaps { other: second, institution: code(NEIGHBOUR) });
        assert_eq!(desk.run(Command::CancelDischarge { stay: first }), overlaps);
        desk.act_as(NEIGHBOUR);
        if let Some(settlement) = settlement {
            desk.cancel(settlement).unwrap();
        }
        desk.run(Command::CancelAdmission { stay: second }).unwrap();
        desk.act_as(LOCAL);
        assert_eq!(desk.run(Command::CancelDischarge { stay: first }), Ok(Reply::Done));
        assert_eq!(desk.stay(first).discharge, None);
    }
}

fn wrong_day<T>(field: &str, problem: &'static str) -> Result<T, Reject> {
    Err(Reject::StayDatesWrong { field: field.into(), problem })
}

#[test]
fn an_admission_lies_before_its_charges_and_not_in_the_future_of_the_business_day() {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    // Midnight of the business day is 16:00 UTC.
    desk.now_ms += 16 * 3_600_000 - 1;
    assert_eq!(desk.admit(card, "2026-03-02"), wrong_day("admission_date", "is in the future"));
    desk.now_ms += 1;
    let stay = desk.admit(card, "2026-03-02").unwrap();
    assert_eq!(desk.run(update(stay, Some("2026-03-03"))), wrong_day("admission_date", "is in the future"));
    desk.run(update(stay, Some("2026-02-20"))).unwrap();
    desk.run(charges(stay, &[line(1, "A1", "1", "10", "2026-02-21")])).unwrap();
    assert_eq!(desk.run(update(stay, Some("2026-02-22"))), wrong_day("admission_date", "is after a charge line"));
    let Ok(Reply::Stay(updated)) = desk.run(update(stay, Some("2026-02-21"))) else { panic!("updated") };
    assert_eq!((updated.admission, &*updated.department, &*updated.diagnosis), (day("2026-02-21"), "ICU", "K35"));
    assert_eq!(updated, desk.stay(stay));
}

#[test]
fn a_discharge_lies_between_the_admission_with_its_charges_and_today() {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    let stay = desk.admit(card, "2026-02-20").unwrap();
    desk.run(charges(stay, &[line(1, "A1", "1", "10", "2026-02-25")])).unwrap();
    for (on, problem) in [
        ("2026-02-19", "is before the admission"),
        ("2026-02-24", "is before a charge line"),
        ("2026-03-02", "is in the future"),
    ] {
        assert_eq!(desk.run(discharge(stay, on)), wrong_day("discharge_date", problem));
    }
    let sum = desk.stay(stay).sum;
    assert_eq!(desk.run(discharge(stay, "2026-02-25")), Ok(Reply::Discharged { sum }));
}

#[test]
fn an_institution_admits_its_own_pool_when_networked_and_others_when_open_to_them() {
    for (at, networked, cross_region, admits) in [
        ("110101", true, false, true),
        ("110101", false, true, false),
        ("110200", true, true, true),
        ("110200", true, false, false),
        ("310100", true, true, true),
        ("310100", true, false, false),
        ("310100", false, true, false),
    ] {
        let mut desk = Desk::ward(ward_policy());
        let card = desk.patient("P1");
        let institution = Institution { networked, cross_region, ..fixture::institution(LOCAL, at) };
        desk.run(Command::RegisterInstitution { institution }).unwrap();
        let admitted = desk.admit(card, "2026-02-01").map(|_| ());
        let expected = if admits { Ok(()) } else { Err(Reject::InstitutionNotNetworked) };
        assert_eq!(admitted, expected, "{at} {networked} {cross_region}");
    }
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    desk.act_as("H99999999999");
    assert_eq!(desk.admit(card, "2026-02-01"), Err(Reject::InstitutionUnknown(code("H99999999999"))));
}

#[test]
fn a_later_change_of_institution_or_insurance_stops_new_admissions_and_no_open_stay() {
    let mut desk = Desk::ward(ward_policy());
    let (card, other) = (desk.patient("P1"), desk.patient("P2"));
    let stay = desk.discharged(card, "2026-01-10", "2026-01-20", "5000");
    let institution = Institution { networked: false, level: Level::One, ..fixture::institution(LOCAL, "310100") };
    desk.run(Command::RegisterInstitution { institution }).unwrap();
    let ended = crate::person::Spell { to: Some(day("2026-01-15")), ..fixture::spell("110100", "2010-01-01") };
    let (person, entitlements) = (desk.holder(card), None);
    desk.run(Command::UpdatePerson { person, name: None, certificates: vec![], spells: vec![ended], entitlements })
        .unwrap();
    assert_eq!(desk.admit(other, "2026-02-01"), Err(Reject::InstitutionNotNetworked));
    assert_eq!(desk.admit(card, "2026-02-01"), Err(Reject::NotInsured { day: day("2026-02-01") }));
    let settlement = desk.settle(stay, card, 0).unwrap();
    assert_eq!(settlement.case.level, Level::Three);
    assert_eq!(settlement.case.care_region, region("110101"));
    assert_eq!(settlement.split.fund_total(), Fen(352_000));
}

#[test]
fn an_admission_tells_the_filing_that_applies_and_never_refuses_for_want_of_one() {
    let mut desk = Desk::ward(ward_policy());
    desk.act_as(DISTANT);
    let (filed, unfiled) = (desk.patient("P1"), desk.patient("P2"));
    desk.file(filed, FilingKind::Transfer, "310000", "2026-02-01", None);
    for (card, on, kind) in [(filed, "2026-02-01", Some(FilingKind::Transfer)), (unfiled, "2026-02-01", None)] {
        let command = desk.admission(card, on);
        let Ok(Reply::Admitted(admitted)) = desk.run(command) else { panic!("admitted") };
        assert_eq!(admitted.filing.map(|filing| filing.kind), kind);
        assert_eq!(admitted.masked_name, "张*");
        assert_eq!(admitted.insured_region, region("110100"));
    }
}

#[test]
fn a_hospital_lists_its_own_stays_in_the_order_of_ids_and_an_auditor_everyone_s() {
    let mut desk = Desk::ward(ward_policy());
    let (one, two) = (desk.patient("P1"), desk.patient("P2"));
    let settled = desk.settled(one, "2026-01-10", "2026-01-20", "5000").stay().unwrap();
    let void = desk.admit(two, "2026-01-10").unwrap();
    desk.run(Command::CancelAdmission { stay: void }).unwrap();
    let open = desk.admit(one, "2026-02-01").unwrap();
    desk.act_as(NEIGHBOUR);
    let elsewhere = desk.admit(two, "2026-02-01").unwrap();
    desk.act_as(LOCAL);
    let list = |desk: &Desk, person, institution: Option<&str>, state, size, after: Option<StayId>| {
        let page = Page { size, after: after.map(|id| id.0) };
        let institution = institution.map(code);
        let Reply::Stays { stays, next } = desk.ask(Query::ListStays { person, institution, state, page })? else {
            panic!("stays")
        };
        Ok((stays.iter().map(|stay| stay.id).collect::<Vec<_>>(), next.map(StayId)))
    };
    assert_eq!(list(&desk, None, None, None, 500, None), Ok((vec![settled, void, open], None)));
    assert_eq!(list(&desk, None, None, None, 2, None), Ok((vec![settled, void], Some(void))));
    assert_eq!(list(&desk, None, None, None, 2, Some(void)), Ok((vec![open], None)));
    assert_eq!(list(&desk, None, None, Some(StayState::Void), 500, None), Ok((vec![void], None)));
    assert_eq!(list(&desk, Some(desk.holder(one)), None, None, 500, None), Ok((vec![settled, open], None)));
    let forbidden = Reject::NotYourInstitution(code(NEIGHBOUR));
    assert_eq!(list(&desk, None, Some(NEIGHBOUR), None, 500, None), Err(forbidden.clone()));
    assert_eq!(desk.ask(Query::GetStay(elsewhere)), Err(forbidden));
    assert_eq!(desk.ask(Query::GetStay(StayId(5))), Err(Reject::StayUnknown(StayId(5))));
    desk.actor.roles = 1 << 6;
    assert_eq!(list(&desk, None, None, None, 500, None), Ok((vec![settled, void, open, elsewhere], None)));
    assert_eq!(list(&desk, None, Some(NEIGHBOUR), None, 500, None), Ok((vec![elsewhere], None)));
    assert!(desk.ask(Query::GetStay(elsewhere)).is_ok());
}
