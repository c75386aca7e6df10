//! A cancellation takes back exactly what its settlement added, and the stay waits to be settled again.

use crate::accumulator::Accumulators;
use crate::command::{Command, Page, Query, Reply};
use crate::decide::fixture::Desk;
use crate::decide::fixture::day;
use crate::decide::fixture::ward::{charges, discharge, inpatient_year, line, ward_policy};
use crate::hub::Decision;
use crate::ids::{CardId, SettlementId, StayId};
use crate::ledger::negated;
use crate::money::Fen;
use crate::policy::{BenefitPolicy, CrossYear, Fund, OnCancel};
use crate::records::DayTotals;
use crate::reject::Reject;
use crate::stay::StayState;

fn ward(on_cancel: OnCancel) -> (Desk, CardId) {
    let mut desk = Desk::ward(BenefitPolicy { on_cancel, ..ward_policy() });
    let card = desk.patient("P1");
    desk.credit(card, 100_000, "2026-01");
    (desk, card)
}

/// A bill in which every part of the split is something.
fn mixed_stay(desk: &mut Desk, card: CardId) -> StayId {
    let stay = desk.admit(card, "2026-01-10").unwrap();
    let on = "2026-01-11";
    let lines = [line(1, "A1", "1", "5000", on), line(2, "B1", "3", "120.01", on), line(3, "C1", "1", "7", on)];
    desk.run(charges(stay, &lines)).unwrap();
    desk.run(discharge(stay, "2026-01-20")).unwrap();
    stay
}

#[test]
fn every_amount_leg_and_accumulator_is_negated_and_the_stay_is_as_it_was() {
    let (mut desk, card) = ward(OnCancel::Keep);
    let id = mixed_stay(&mut desk, card);
    let (books, balance, stay) = (desk.books(), desk.balance(card), desk.stay(id));
    let settlement = desk.settle(id, card, 50_000).unwrap();
    assert_ne!(desk.books(), books);
    let Ok(Reply::Cancelled { cancellation, years }) =
        desk.run(Command::CancelSettlement { settlement: settlement.id })
    else {
        panic!("cancelled")
    };
    assert_eq!(cancellation.settlement, settlement);
    assert_eq!(cancellation.legs, negated(&settlement.legs));
    assert_eq!(cancellation.deltas, settlement.deltas);
    assert_eq!(cancellation.adjustments, []);
    assert_eq!(years, [(inpatient_year(2026), Accumulators::default())]);
    assert_eq!((desk.books(), desk.balance(card), desk.stay(id)), (books, balance, stay));
    assert_eq!(desk.used(card, 2026), Accumulators::default());
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
    let (rows, totals) = desk.today();
    assert_eq!(totals, DayTotals { count: 2, ..DayTotals::default() });
    assert_eq!((rows[1].id, rows[1].cancels), (cancellation.id, Some(settlement.id)));
    assert_eq!((rows[1].total, rows[1].fund_total), (-rows[0].total, -rows[0].fund_total));
    assert_eq!((rows[1].account, rows[1].cash), (Fen(-50_000), -rows[0].cash));
    let standing = desk.standing(settlement.id);
    assert_eq!((standing.cancelled_by, &standing.settlement), (Some(cancellation.id), &settlement));
    let page = Page { size: 10, after: None };
    let listed = desk.ask(Query::ListStays { person: None, institution: None, state: None, page });
    assert_eq!(listed, Ok(Reply::Stays { stays: vec![desk.stay(id)], next: None }), "it is no past stay any more");
}

#[test]
fn a_stay_is_settled_again_after_its_cancellation_even_with_other_charges() {
    let (mut desk, card) = ward(OnCancel::Keep);
    let stay = mixed_stay(&mut desk, card);
    let first = desk.settle(stay, card, 50_000).unwrap();
    let again = Reject::AlreadySettled { stay, settlement: first.id };
    assert_eq!(desk.settle(stay, card, 0), Err(again));
    desk.cancel(first.id).unwrap();
    let second = desk.settle(stay, card, 50_000).unwrap();
    assert_eq!((&second.split, &second.deltas), (&first.split, &first.deltas));
    assert_ne!(second.id, first.id);
    desk.cancel(second.id).unwrap();
    desk.run(Command::CancelDischarge { stay }).unwrap();
    desk.run(Command::RevokeCharges { stay, line_ids: vec![3] }).unwrap();
    desk.run(discharge(stay, "2026-01-20")).unwrap();
    let third = desk.settle(stay, card, 0).unwrap();
    assert_eq!(third.split.bill.total, first.split.bill.total - Fen(700));
    assert_eq!(desk.used(card, 2026).admissions, 1);
    assert_eq!(desk.today().1.count, 5);
}

#[test]
fn a_settlement_is_cancelled_once() {
    let (mut desk, card) = ward(OnCancel::Keep);
    let settlement = desk.settled(card, "2026-01-10", "2026-01-20", "5000").id;
    let cancel = Command::CancelSettlement { settlement };
    let Decision::Commit(record, _) = desk.send("c-1", cancel.clone()) else { panic!("cancelled") };
    let before = desk.hub.clone();
    let cancellation = SettlementId(desk.hub.number().id(record.sequence));
    assert_eq!(desk.send("c-1", cancel), Decision::Replay { sequence: record.sequence });
    assert_eq!(desk.cancel(settlement), Err(Reject::AlreadyCancelled { settlement, cancellation }));
    assert_eq!(desk.cancel(cancellation), Err(Reject::SettlementUnknown(cancellation)));
    assert_eq!(desk.hub, before);
}

#[test]
fn money_that_came_since_stays_when_a_settlement_is_cancelled() {
    let (mut desk, card) = ward(OnCancel::Keep);
    let stay = mixed_stay(&mut desk, card);
    let settlement = desk.settle(stay, card, 60_000).unwrap();
    desk.credit(card, 7, "2026-02");
    assert_eq!(desk.cancel(settlement.id).unwrap().balance_after, Fen(100_007));
    assert_eq!(desk.balance(card), Fen(100_007));
}

#[test]
fn where_the_last_goes_first_an_earlier_settlement_waits_for_the_later_ones_of_its_year() {
    let (mut desk, card) = ward(OnCancel::LastFirst);
    let other = desk.patient("P2");
    let before_year = desk.settled(card, "2025-11-01", "2025-11-05", "5000").id;
    let first = desk.settled(card, "2026-01-10", "2026-01-20", "5000").id;
    let second = desk.settled(card, "2026-01-20", "2026-01-25", "5000").id;
    desk.settled(other, "2026-01-20", "2026-01-25", "5000");
    let before = desk.hub.clone();
    assert_eq!(desk.cancel(first), Err(Reject::LaterSettlementExists { later: second }));
    assert_eq!(desk.hub, before);
    assert!(desk.cancel(before_year).is_ok(), "another year's settlements are not later ones of this year");
    assert!(desk.cancel(second).is_ok());
    assert!(desk.cancel(first).is_ok());
    assert_eq!(desk.used(card, 2026), Accumulators::default());
}

#[test]
fn where_later_settlements_are_kept_none_is_touched() {
    let (mut desk, card) = ward(OnCancel::Keep);
    let first = desk.settled(card, "2026-01-10", "2026-01-20", "5000");
    let second = desk.settled(card, "2026-01-20", "2026-01-25", "5000");
    assert_eq!(second.split.deductible, Fen(50_000));
    assert_eq!(desk.cancel(first.id).unwrap().adjustments, []);
    let standing = desk.standing(second.id);
    assert_eq!((standing.split(), standing.deltas()), (&second.split, &second.deltas[..]));
    assert_eq!(vec![(inpatient_year(2026), desk.used(card, 2026))], second.deltas);
}

#[test]
fn the_package_that_was_applied_says_what_a_cancellation_does_whatever_was_installed_since() {
    let (mut desk, card) = ward(OnCancel::Keep);
    let first = desk.settled(card, "2026-01-10", "2026-01-20", "5000");
    let later = BenefitPolicy { effective_from: day("2026-01-15"), on_cancel: OnCancel::LastFirst, ..ward_policy() };
    desk.install(9, later);
    let second = desk.settled(card, "2026-01-20", "2026-01-25", "5000");
    assert!(desk.cancel(first.id).is_ok());
    desk.settled(card, "2026-02-01", "2026-02-02", "5000");
    assert!(matches!(desk.cancel(second.id), Err(Reject::LaterSettlementExists { .. })));
}

#[test]
fn a_stay_across_the_new_year_is_counted_in_both_years_and_taken_back_from_both() {
    let mut desk = Desk::ward(BenefitPolicy { cross_year: CrossYear::Split, ..ward_policy() });
    let card = desk.patient("P1");
    // Four of ten nights lie before the new year.
    let stay = desk.discharged(card, "2025-12-28", "2026-01-07", "10000");
    let books = desk.books();
    let settlement = desk.settle(stay, card, 0).unwrap();
    let (before, after) = (desk.used(card, 2025), desk.used(card, 2026));
    assert_eq!((before.admissions, after.admissions), (0, 1));
    assert_eq!((before.eligible, after.eligible), (Fen(400_000), Fen(600_000)));
    assert_eq!((before.deductible, after.deductible), (Fen(100_000), Fen::ZERO));
    assert_eq!((before.funds[Fund::Pool], after.funds[Fund::Pool]), (Fen(264_000), Fen(528_000)));
    assert_eq!(settlement.policies.iter().map(|(year, _)| *year).collect::<Vec<_>>(), [2025, 2026]);
    let Ok(Reply::Cancelled { years, .. }) = desk.run(Command::CancelSettlement { settlement: settlement.id }) else {
        panic!("cancelled")
    };
    let nothing = Accumulators::default();
    assert_eq!(years, [(inpatient_year(2025), nothing), (inpatient_year(2026), nothing)]);
    assert_eq!((desk.used(card, 2025), desk.used(card, 2026)), (nothing, nothing));
    assert_eq!((desk.books(), desk.state(stay)), (books, StayState::Discharged));
}

#[test]
fn each_part_of_a_split_stay_goes_by_the_package_of_its_own_year() {
    let mut desk = Desk::ward(BenefitPolicy { cross_year: CrossYear::Split, ..ward_policy() });
    let card = desk.patient("P1");
    let mut of_2026 =
        BenefitPolicy { cross_year: CrossYear::Split, effective_from: day("2026-01-01"), ..ward_policy() };
    of_2026.layers[0].bands[0].rate_bp = 5_000;
    desk.install(9, of_2026);
    let stay = desk.discharged(card, "2025-12-28", "2026-01-07", "10000");
    let settlement = desk.settle(stay, card, 0).unwrap();
    assert_eq!(settlement.split.fund_total(), Fen(264_000 + 300_000));
    assert_eq!(
        settlement.policies.iter().map(|(year, hash)| (*year, hash.0[0])).collect::<Vec<_>>(),
        [(2025, 1), (2026, 9)]
    );
}
