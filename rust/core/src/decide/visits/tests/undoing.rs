//! A visit is taken back exactly, by its id or by its request, in its own benefit year; the package says what follows.

use crate::accumulator::Accumulators;
use crate::card::ZoneKind;
use crate::command::{Command, Outcome, Query, Reply, ReversalEffect};
use crate::decide::fixture::Desk;
use crate::decide::fixture::clinic::{PHARMACY, bill, medicine};
use crate::decide::fixture::ward::{LOCAL, NEIGHBOUR, code};
use crate::decide::requests::reversible;
use crate::hub::Decision;
use crate::ids::{CardId, RequestId, SettlementId};
use crate::ledger::{LedgerAccount, negated};
use crate::money::Fen;
use crate::policy::{BenefitPolicy, Fund, OnCancel, VisitKind};
use crate::reject::Reject;

const TODAY: &str = "2026-03-01";
const OUTPATIENT: VisitKind = VisitKind::Outpatient;

fn clinic(on_cancel: OnCancel) -> (Desk, CardId) {
    let mut desk = Desk::clinic(|policy| BenefitPolicy { on_cancel, ..policy });
    let card = desk.patient("P1");
    desk.credit(card, 100_000, "2026-01");
    (desk, card)
}

#[test]
fn every_amount_leg_and_accumulator_is_negated_and_no_stay_is_left() {
    let (mut desk, card) = clinic(OnCancel::Keep);
    let (books, balance) = (desk.books(), desk.balance(card));
    let asked = desk.visit_of(card, bill(OUTPATIENT, TODAY, &medicine(TODAY, "200"), 5_000), 20_000);
    let settlement = desk.settle_visit(asked).unwrap();
    assert_ne!((desk.books(), desk.balance(card)), (books.clone(), balance));
    let cancellation = desk.cancel_visit(settlement.id).unwrap();
    assert_eq!((&cancellation.legs, &cancellation.deltas), (&negated(&settlement.legs), &settlement.deltas));
    assert_eq!((desk.books(), desk.balance(card)), (books, balance));
    assert_eq!(desk.used_by_visits(card, 2026), Accumulators::default());
    assert_eq!((desk.hub.stays.len(), desk.hub.persons[desk.holder(card)].seldom.open_stays.len()), (0, 0));
    let (rows, totals) = desk.today();
    assert_eq!((rows[1].cancels, rows[1].total), (Some(settlement.id), Fen(-20_000)));
    assert_eq!((totals.count, totals.total, totals.fund_total, totals.account), (2, Fen::ZERO, Fen::ZERO, Fen::ZERO));
    let again = Reject::AlreadyCancelled { settlement: settlement.id, cancellation: cancellation.id };
    assert_eq!(desk.cancel_visit(settlement.id), Err(again));
}

#[test]
fn a_visit_of_last_year_is_taken_back_from_last_year() {
    let (mut desk, card) = clinic(OnCancel::Keep);
    let old = desk.visited(card, OUTPATIENT, "2025-12-31", 20_000);
    desk.visited(card, OUTPATIENT, "2026-01-01", 20_000);
    let of_2026 = desk.used_by_visits(card, 2026);
    assert_eq!(desk.used_by_visits(card, 2025).funds[Fund::Pool], Fen(11_000));
    desk.cancel_visit(old.id).unwrap();
    assert_eq!((desk.used_by_visits(card, 2025), desk.used_by_visits(card, 2026)), (Accumulators::default(), of_2026));
}

#[test]
fn only_the_institution_itself_cancels_and_a_stay_is_cancelled_as_a_stay() {
    let (mut desk, card) = clinic(OnCancel::Keep);
    let visit = desk.visited(card, OUTPATIENT, TODAY, 20_000);
    let stay = desk.settled(card, "2026-01-10", "2026-01-20", "5000");
    assert_eq!(desk.cancel_visit(stay.id), Err(Reject::SettlementUnknown(stay.id)));
    assert_eq!(desk.cancel(visit.id), Err(Reject::SettlementUnknown(visit.id)));
    assert_eq!(desk.cancel_visit(SettlementId(5)), Err(Reject::SettlementUnknown(SettlementId(5))));
    desk.act_as(NEIGHBOUR);
    assert_eq!(desk.cancel_visit(visit.id), Err(Reject::NotYourInstitution(code(NEIGHBOUR))));
    desk.serve(VisitKind::Pharmacy);
    assert_eq!(desk.cancel_visit(visit.id), Err(Reject::NotYourInstitution(code(PHARMACY))));
    assert_eq!(desk.ask(Query::GetSettlement(visit.id)), Err(Reject::NotYourInstitution(code(LOCAL))));
    let purchase = desk.visited(card, VisitKind::Pharmacy, TODAY, 20_000);
    assert!(desk.cancel_visit(purchase.id).is_ok());
}

#[test]
fn the_package_says_what_becomes_of_later_visits() {
    // The wrongful visit used all but 50.00 of the limit; the genuine one, at a pharmacy, was cut.
    let both = |rule| {
        let (mut desk, card) = clinic(rule);
        let wrongful = desk.visited(card, OUTPATIENT, "2026-02-01", 990_909);
        let genuine = desk.visited(card, VisitKind::Pharmacy, "2026-02-10", 20_000);
        assert_eq!((wrongful.split.fund_total(), genuine.split.fund_total()), (Fen(545_000), Fen(5_000)));
        desk.serve(OUTPATIENT);
        (desk, card, wrongful, genuine)
    };
    let (mut desk, card, wrongful, _) = both(OnCancel::Keep);
    assert_eq!(desk.cancel_visit(wrongful.id).unwrap().adjustments, []);
    assert_eq!(desk.used_by_visits(card, 2026).funds[Fund::Pool], Fen(5_000));

    let (mut desk, _, wrongful, genuine) = both(OnCancel::LastFirst);
    assert_eq!(desk.cancel_visit(wrongful.id), Err(Reject::LaterSettlementExists { later: genuine.id }));
    desk.serve(VisitKind::Pharmacy);
    desk.cancel_visit(genuine.id).unwrap();
    desk.serve(OUTPATIENT);
    assert!(desk.cancel_visit(wrongful.id).is_ok());

    let (mut desk, card, wrongful, genuine) = both(OnCancel::Readjudicate);
    let cancellation = desk.cancel_visit(wrongful.id).unwrap();
    let [adjustment] = &cancellation.adjustments[..] else { panic!("{cancellation:?}") };
    assert_eq!((adjustment.settlement, adjustment.fund_delta), (genuine.id, Fen(6_000)));
    assert_eq!(desk.used_by_visits(card, 2026).funds[Fund::Pool], Fen(11_000));
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
    desk.serve(VisitKind::Pharmacy);
    desk.cancel_visit(genuine.id).unwrap();
    assert_eq!(desk.used_by_visits(card, 2026), Accumulators::default());
}

#[test]
fn a_visit_is_reversed_by_its_request_once_and_before_it_comes() {
    let (mut desk, card) = clinic(OnCancel::Keep);
    desk.act_as(LOCAL);
    let books = desk.books();
    let asked = |desk: &Desk| {
        Command::SettleVisit(desk.visit_of(card, bill(OUTPATIENT, TODAY, &medicine(TODAY, "200"), 5_000), 20_000))
    };
    let visit = asked(&desk);
    let Decision::Commit(record, _) = desk.send("v-1", visit.clone()) else { panic!("settled") };
    assert_eq!(desk.send("v-1", visit), Decision::Replay { sequence: record.sequence });
    let request_id = RequestId::parse("v-1").unwrap();
    let outcome = |desk: &Desk| match desk.ask(Query::GetOutcome { request_id: request_id.clone() }) {
        Ok(Reply::Outcome { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    };
    let accepted = (record.sequence, reversible::SETTLE_VISIT);
    assert_eq!(outcome(&desk), Outcome::Accepted { sequence: accepted.0, operation: accepted.1 });
    let reversal = Command::Reverse { request_id: request_id.clone() };
    let Ok(Reply::Reversed(ReversalEffect::Undone { cancellation: Some(_) })) = desk.run(reversal.clone()) else {
        panic!("undone")
    };
    assert_eq!((desk.books(), outcome(&desk)), (books.clone(), Outcome::Reversed { original: Some(accepted) }));
    assert_eq!(desk.run(reversal), Ok(Reply::Reversed(ReversalEffect::AlreadyUndone)));
    let late = Command::Reverse { request_id: RequestId::parse("v-2").unwrap() };
    assert_eq!(desk.run(late), Ok(Reply::Reversed(ReversalEffect::Remembered)));
    let visit = asked(&desk);
    assert_eq!(desk.send("v-2", visit), Decision::Refuse(Reject::RequestReversed));
    assert_eq!(desk.books(), books);
}

/// 495.00 of a cancelled visit were paid to the bank: they had waited for a bank zone, and the cancellation left them waiting.
#[test]
fn what_waits_on_a_visit_is_not_paid_once_the_visit_is_cancelled() {
    let (mut desk, card) = clinic(OnCancel::Readjudicate);
    let first = desk.visited(card, OUTPATIENT, TODAY, 990_000);
    let cut = desk.visited(card, OUTPATIENT, TODAY, 100_000);
    desk.cancel_visit(first.id).unwrap();
    let home = crate::decide::fixture::region("110100");
    assert_eq!(desk.books()[&LedgerAccount::PayoutsWaiting(home)], 49_500);
    let cancellation = desk.cancel_visit(cut.id).unwrap();
    assert_eq!(cancellation.adjustments, [], "nothing was paid, so nothing is owed");
    assert_eq!(desk.books().get(&LedgerAccount::PayoutsWaiting(home)), None);
    let told = crate::explain::text(&desk.standing(cut.id)).join("\n");
    assert!(told.ends_with("every amount was taken back."), "{told}");
    desk.run(Command::EnableCard { card, zone: ZoneKind::Bank }).unwrap();
    assert!(desk.books().keys().all(|account| !matches!(account, LedgerAccount::BankPayouts(_))), "{:?}", desk.books());
}

/// 495.00 had been paid to the bank on a visit that was then cancelled, and the record said that every amount was taken back.
#[test]
fn what_was_paid_on_a_visit_is_told_as_owed_once_the_visit_is_cancelled() {
    let (mut desk, card) = clinic(OnCancel::Readjudicate);
    desk.run(Command::EnableCard { card, zone: ZoneKind::Bank }).unwrap();
    let first = desk.visited(card, OUTPATIENT, TODAY, 990_000);
    let cut = desk.visited(card, OUTPATIENT, TODAY, 100_000);
    desk.cancel_visit(first.id).unwrap();
    let cancellation = desk.cancel_visit(cut.id).unwrap();
    let told: Vec<_> = cancellation.adjustments.iter().map(|a| (a.settlement, a.fund_delta, a.legs.len())).collect();
    assert_eq!(told, [(cut.id, Fen(-49_500), 0)]);
    let home = crate::decide::fixture::region("110100");
    assert_eq!(desk.books()[&LedgerAccount::PersonSettlement(home)], -49_500);
    let shown = desk.statement(card).into_iter().last().unwrap();
    assert_eq!(shown.event, crate::statement::Event::Adjusted { settlement: cut.id, fund_delta: Fen(-49_500) });
    let told = crate::explain::text(&desk.standing(cut.id)).join("\n");
    assert!(told.contains("495.00 had been paid out to the person, who owes them"), "{told}");
    assert!(!told.contains("every amount was taken back"), "{told}");
}
