//! A request id gives one answer for ever, and is undone once, whenever its reversal comes.

use super::*;
use crate::command::{Command, Query};
use crate::decide::fixture::Desk;
use crate::decide::fixture::ward::{LOCAL, NEIGHBOUR, charges, code, discharge, line, update, ward_policy};
use crate::hub::Decision;
use crate::ids::{CardId, PersonId};
use crate::money::Fen;
use crate::stay::StayState;

const MINUTE_MS: i64 = 60_000;

fn ward() -> (Desk, CardId) {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    desk.credit(card, 100_000, "2026-01");
    (desk, card)
}

fn id(text: &str) -> RequestId {
    RequestId::parse(text).expect("well written")
}

fn key(hospital: &str, text: &str) -> RequestKey {
    (code(hospital), id(text))
}

fn reverse_of(text: &str) -> Command {
    Command::Reverse { request_id: id(text) }
}

fn credit_of(person: PersonId, amount: i64, period: &str) -> Command {
    Command::CreditAccount { person, amount: Fen(amount), period_key: period.into() }
}

/// The sequence of an accepted command.
fn accepted(decision: Decision) -> u64 {
    match decision {
        Decision::Commit(record, _) => record.sequence,
        other => panic!("not accepted: {other:?}"),
    }
}

fn reversed(decision: Decision) -> ReversalEffect {
    match decision {
        Decision::Commit(_, Reply::Reversed(effect)) => effect,
        other => panic!("not reversed: {other:?}"),
    }
}

fn outcome_of(desk: &Desk, text: &str) -> Outcome {
    match desk.ask(Query::GetOutcome { request_id: id(text) }) {
        Ok(Reply::Outcome { outcome, .. }) => outcome,
        other => panic!("an outcome was asked for and came {other:?}"),
    }
}

fn refused(reject: Reject) -> Decision {
    Decision::Refuse(reject)
}

#[test]
fn asking_again_gives_the_first_answer_and_another_body_is_refused() {
    let (mut desk, card) = ward();
    let credit = credit_of(desk.holder(card), 5, "2026-02");
    let sequence = accepted(desk.send("q-1", credit.clone()));
    let before = desk.hub.clone();
    desk.now_ms += MINUTE_MS;
    assert_eq!(desk.send("q-1", credit.clone()), Decision::Replay { sequence });
    let other = credit_of(desk.holder(card), 6, "2026-02");
    assert_eq!(desk.send("q-1", other), refused(Reject::RequestIdReused { original_sequence: sequence }));
    assert_eq!(desk.hub, before);
    desk.act_as(NEIGHBOUR);
    assert_eq!(desk.send("q-1", credit), refused(Reject::PeriodCredited), "ids are each institution's own");
}

#[test]
fn a_refusal_binds_nothing() {
    let (mut desk, card) = ward();
    let person = desk.holder(card);
    assert_eq!(desk.send("q-1", credit_of(person, 5, "2026-01")), refused(Reject::PeriodCredited));
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Unknown);
    accepted(desk.send("q-1", credit_of(person, 5, "2026-02")));
}

#[test]
fn a_request_executes_within_72_hours_and_up_to_five_minutes_ahead() {
    let (mut desk, card) = ward();
    let (person, now) = (desk.holder(card), desk.now_ms);
    let too_old = refused(Reject::RequestTooOld { created_ms: now - WINDOW_MS - 1 });
    assert_eq!(desk.send_made("q-1", now - WINDOW_MS - 1, credit_of(person, 1, "a")), too_old);
    accepted(desk.send_made("q-1", now - WINDOW_MS, credit_of(person, 1, "a")));
    let created_ms = now + MAX_AHEAD_MS + 1;
    let ahead = refused(Reject::ClockAhead { created_ms, stamp_ms: now });
    assert_eq!(desk.send_made("q-2", created_ms, credit_of(person, 1, "b")), ahead);
    accepted(desk.send_made("q-2", created_ms - 1, credit_of(person, 1, "b")));
}

#[test]
fn a_bound_id_is_answered_from_the_records_once_it_left_the_window() {
    let (mut desk, card) = ward();
    let (person, made) = (desk.holder(card), desk.now_ms);
    let credit = credit_of(person, 5, "2026-02");
    let sequence = accepted(desk.send("q-1", credit.clone()));
    desk.now_ms += WINDOW_MS + MAX_AHEAD_MS;
    accepted(desk.send("q-2", credit_of(person, 5, "2026-03")));
    assert!(desk.hub.requests.get(&key(LOCAL, "q-1")).is_some(), "at its moment it is still there");
    desk.now_ms += 1;
    accepted(desk.send("q-3", credit_of(person, 5, "2026-04")));
    assert_eq!(desk.hub.requests.get(&key(LOCAL, "q-1")), None);
    assert_eq!(desk.send_made("q-1", made, credit), Decision::Replay { sequence });
    let other = desk.send("q-1", credit_of(person, 6, "2026-05"));
    assert_eq!(other, refused(Reject::RequestIdReused { original_sequence: sequence }));
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Accepted { sequence, operation: 1 });
}

#[test]
fn a_reversal_that_comes_before_its_request_refuses_it_for_as_long_as_it_could_execute() {
    let (mut desk, card) = ward();
    let (person, made) = (desk.holder(card), desk.now_ms);
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Unknown);
    assert_eq!(reversed(desk.send("v-1", reverse_of("q-1"))), ReversalEffect::Remembered);
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Reversed { original: None });
    let late = |desk: &mut Desk| desk.send_made("q-1", made + MAX_AHEAD_MS, credit_of(person, 5, "2026-02"));
    assert_eq!(late(&mut desk), refused(Reject::RequestReversed));
    desk.now_ms += WINDOW_MS + MAX_AHEAD_MS;
    accepted(desk.send("q-2", credit_of(person, 5, "2026-03")));
    assert_eq!(late(&mut desk), refused(Reject::RequestReversed), "its last moment");
    desk.now_ms += 1;
    accepted(desk.send("q-3", credit_of(person, 5, "2026-04")));
    assert_eq!(late(&mut desk), refused(Reject::RequestTooOld { created_ms: made + MAX_AHEAD_MS }));
    desk.act_as(NEIGHBOUR);
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Unknown);
}

#[test]
fn a_reversal_asked_again_is_answered_alike_and_under_another_id_remembers_nothing_more() {
    let (mut desk, _) = ward();
    let sequence = accepted(desk.send("v-1", reverse_of("q-1")));
    assert_eq!(desk.send("v-1", reverse_of("q-1")), Decision::Replay { sequence });
    assert_eq!(reversed(desk.send("v-2", reverse_of("q-1"))), ReversalEffect::Remembered);
    assert_eq!(desk.hub.requests.remembered(desk.actor.institution), 1);
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Reversed { original: None });
    let own = refused(Reject::malformed("reversed_request_id", "is the request's own id"));
    assert_eq!(desk.send("v-3", reverse_of("v-3")), own);
}

#[test]
fn an_admission_is_reversed_by_its_id_once() {
    let (mut desk, card) = ward();
    let admission = desk.admission(card, "2026-02-01");
    let sequence = accepted(desk.send("q-1", admission.clone()));
    let stay = StayId(desk.hub.number().id(sequence));
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Accepted { sequence, operation: reversible::ADMIT });
    desk.run(discharge(stay, "2026-02-03")).unwrap();
    assert_eq!(reversed(desk.send("v-1", reverse_of("q-1"))), ReversalEffect::Undone { cancellation: None });
    assert_eq!(desk.state(stay), StayState::Void);
    let original = Some((sequence, reversible::ADMIT));
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Reversed { original });
    assert_eq!(reversed(desk.send("v-2", reverse_of("q-1"))), ReversalEffect::AlreadyUndone);
    assert_eq!(desk.send("q-1", admission), Decision::Replay { sequence }, "the first answer for ever");
    assert!(desk.admit(card, "2026-02-01").is_ok());
}

#[test]
fn a_settlement_is_reversed_by_its_id_once_and_the_stay_settles_anew() {
    let (mut desk, card) = ward();
    let stay = desk.discharged(card, "2026-01-10", "2026-01-20", "5000");
    let (books, balance) = (desk.books(), desk.balance(card));
    let sequence = accepted(desk.send("q-1", desk.settlement(stay, card, 50_000)));
    let settlement = SettlementId(desk.hub.number().id(sequence));
    let effect = reversed(desk.send("v-1", reverse_of("q-1")));
    let cancellation = SettlementId(desk.hub.number().id(desk.hub.sequence()));
    assert_eq!(effect, ReversalEffect::Undone { cancellation: Some(cancellation) });
    assert_eq!((desk.books(), desk.balance(card), desk.state(stay)), (books, balance, StayState::Discharged));
    assert_eq!(desk.standing(settlement).cancelled_by, Some(cancellation));
    let again = desk.settle(stay, card, 0).unwrap();
    assert_eq!(reversed(desk.send("v-2", reverse_of("q-1"))), ReversalEffect::AlreadyUndone);
    assert_eq!(desk.stay(stay).settlement, Some(again.id), "a second reversal does not reach the new settlement");
}

#[test]
fn what_was_cancelled_by_its_own_id_is_undone_already() {
    let (mut desk, card) = ward();
    let admitted = accepted(desk.send("q-1", desk.admission(card, "2026-02-01")));
    let stay = StayId(desk.hub.number().id(admitted));
    desk.run(Command::CancelAdmission { stay }).unwrap();
    assert_eq!(reversed(desk.send("v-1", reverse_of("q-1"))), ReversalEffect::AlreadyUndone);
    let stay = desk.discharged(card, "2026-01-10", "2026-01-20", "5000");
    let settled = accepted(desk.send("q-2", desk.settlement(stay, card, 0)));
    desk.cancel(SettlementId(desk.hub.number().id(settled))).unwrap();
    assert_eq!(reversed(desk.send("v-2", reverse_of("q-2"))), ReversalEffect::AlreadyUndone);
    let original = Some((settled, reversible::SETTLE));
    assert_eq!(outcome_of(&desk, "q-2"), Outcome::Reversed { original });
}

#[test]
fn an_admission_whose_stay_is_settled_is_not_reversed_before_the_settlement() {
    let (mut desk, card) = ward();
    accepted(desk.send("q-1", desk.admission(card, "2026-01-10")));
    let stay = StayId(desk.hub.number().id(desk.hub.sequence()));
    desk.run(charges(stay, &[line(1, "A1", "1", "5000", "2026-01-10")])).unwrap();
    desk.run(discharge(stay, "2026-01-20")).unwrap();
    let settlement = desk.settle(stay, card, 0).unwrap().id;
    let before = desk.hub.clone();
    assert_eq!(desk.send("v-1", reverse_of("q-1")), refused(Reject::AlreadySettled { stay, settlement }));
    assert_eq!(desk.hub, before);
    desk.cancel(settlement).unwrap();
    assert_eq!(reversed(desk.send("v-1", reverse_of("q-1"))), ReversalEffect::Undone { cancellation: None });
}

#[test]
fn other_requests_and_reversals_themselves_are_not_reversible() {
    let (mut desk, card) = ward();
    let stay = desk.admit(card, "2026-02-01").unwrap();
    accepted(desk.send("q-1", update(stay, None)));
    accepted(desk.send("v-1", reverse_of("q-9")));
    let before = desk.hub.clone();
    assert_eq!(desk.send("v-2", reverse_of("q-1")), refused(Reject::NotReversible));
    assert_eq!(desk.send("v-2", reverse_of("v-1")), refused(Reject::NotReversible));
    assert_eq!(desk.hub, before);
}

#[test]
fn another_institution_s_request_of_the_same_name_is_not_touched() {
    let (mut desk, card) = ward();
    let sequence = accepted(desk.send("q-1", desk.admission(card, "2026-02-01")));
    desk.act_as(NEIGHBOUR);
    assert_eq!(reversed(desk.send("v-1", reverse_of("q-1"))), ReversalEffect::Remembered);
    desk.act_as(LOCAL);
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Accepted { sequence, operation: reversible::ADMIT });
    assert_eq!(desk.state(StayId(desk.hub.number().id(sequence))), StayState::Open);
}

#[test]
fn a_request_older_than_the_window_is_reversed_from_the_records() {
    let (mut desk, card) = ward();
    let stay = desk.discharged(card, "2026-01-10", "2026-01-20", "5000");
    let made = desk.now_ms;
    let settlement = desk.settlement(stay, card, 0);
    let sequence = accepted(desk.send("q-1", settlement.clone()));
    desk.now_ms += 2 * WINDOW_MS;
    desk.credit(card, 1, "2026-02");
    assert_eq!(desk.hub.requests.get(&key(LOCAL, "q-1")), None);
    assert!(matches!(reversed(desk.send("v-1", reverse_of("q-1"))), ReversalEffect::Undone { cancellation: Some(_) }));
    let original = Some((sequence, reversible::SETTLE));
    assert_eq!(outcome_of(&desk, "q-1"), Outcome::Reversed { original });
    assert_eq!(reversed(desk.send("v-2", reverse_of("q-1"))), ReversalEffect::AlreadyUndone);
    assert_eq!(desk.send_made("q-1", made, settlement), Decision::Replay { sequence });
}

#[test]
fn an_institution_has_so_many_reversals_remembered_and_no_more_until_they_leave_the_window() {
    let (mut desk, card) = ward();
    let hospital = desk.actor.institution;
    for n in 0..MAX_REMEMBERED {
        accepted(desk.send(&format!("v-{n}"), reverse_of(&format!("lost-{n}"))));
    }
    assert_eq!(desk.hub.requests.remembered(hospital), MAX_REMEMBERED);
    assert_eq!(desk.send("w-1", reverse_of("lost")), refused(Reject::ReversalsExhausted));
    accepted(desk.send("w-2", reverse_of("lost-1")));
    accepted(desk.send("w-3", desk.admission(card, "2026-02-01")));
    assert!(matches!(reversed(desk.send("w-4", reverse_of("w-3"))), ReversalEffect::Undone { .. }));
    desk.act_as(NEIGHBOUR);
    accepted(desk.send("w-1", reverse_of("lost")));
    desk.act_as(LOCAL);
    desk.now_ms += WINDOW_MS + MAX_AHEAD_MS + 1;
    desk.credit(card, 1, "2026-02");
    assert_eq!(desk.hub.requests.remembered(hospital), 0);
    assert_eq!(reversed(desk.send("w-1", reverse_of("lost"))), ReversalEffect::Remembered);
}
