//! What becomes of later settlements when an earlier one goes.

use super::*;
use crate::account::MAX_CLAIM_NUMBER;
use crate::card::ZoneKind;
use crate::command::{Command, Reply};
use crate::decide::fixture::ward::{charges, discharge, inpatient_year, line, ward_policy};
use crate::decide::fixture::{Desk, day};
use crate::fact::Fact;
use crate::ids::{CardId, RegionCode};
use crate::policy::{CrossYear, InsuranceType, OnCancel};

fn readjudicating() -> BenefitPolicy {
    BenefitPolicy { on_cancel: OnCancel::Readjudicate, ..ward_policy() }
}

fn ward(policy: BenefitPolicy) -> (Desk, CardId) {
    let mut desk = Desk::ward(policy);
    let card = desk.patient("P1");
    desk.credit(card, 1_000_000, "2026-01");
    (desk, card)
}

fn pool() -> LedgerAccount {
    LedgerAccount::Fund { region: home(), insurance_type: InsuranceType::Employee, fund: Fund::Pool }
}

fn home() -> RegionCode {
    RegionCode::parse("110100").unwrap()
}

fn owed_to_persons() -> LedgerAccount {
    LedgerAccount::PersonSettlement(home())
}

#[test]
fn the_second_admission_becomes_the_first_and_the_person_owes_the_difference() {
    let (mut desk, card) = ward(readjudicating());
    let first = desk.settled(card, "2026-01-10", "2026-01-20", "21600");
    let stay = desk.discharged(card, "2026-02-01", "2026-02-10", "21600");
    let second = desk.settle(stay, card, 30_000).unwrap();
    assert_eq!((first.split.fund_total(), second.split.fund_total()), (Fen(1_812_800), Fen(1_856_800)));
    let balance = desk.balance(card);
    let cancellation = desk.cancel(first.id).unwrap();
    let [adjustment] = &cancellation.adjustments[..] else { panic!("{cancellation:?}") };
    assert_eq!((adjustment.settlement, adjustment.because_of), (second.id, cancellation.id));
    assert_eq!((adjustment.split.fund_total(), adjustment.fund_delta), (Fen(1_812_800), Fen(-44_000)));
    let leg = |account, amount| Leg { account, amount: Fen(amount) };
    assert_eq!(adjustment.legs, [leg(pool(), 44_000), leg(owed_to_persons(), -44_000)]);
    let (before, after) = (&second.split, &adjustment.split);
    assert_eq!((after.bill, after.account, after.cash), (before.bill, before.account, before.cash));
    assert_eq!((after.deductible, after.person_part), (Fen(100_000), before.person_part + Fen(44_000)));
    // The years are as if the second had been the first and only one.
    let mut alone = first.deltas.clone();
    alone[0].1.account = Fen(30_000);
    assert_eq!(vec![(inpatient_year(2026), desk.used(card, 2026))], alone);
    assert_eq!((desk.balance(card), desk.books()[&pool()]), (balance, -1_812_800));
    let standing = desk.standing(second.id);
    assert_eq!((standing.split(), standing.deltas(), standing.stands()), (after, &alone[..], true));
    assert_eq!(standing.settlement, second, "what was committed stays as it was");
    let told = crate::explain::text(&standing);
    assert!(told.iter().any(|line| line.contains(&cancellation.id.to_string())), "{told:?}");
    // The hospital's day knows nothing of it: bill, account and cash never changed.
    let (rows, totals) = desk.today();
    assert_eq!((rows.len(), totals.fund_total), (3, Fen(1_856_800)));
}

#[test]
fn cancelling_an_adjusted_settlement_leaves_all_books_as_if_neither_had_been() {
    let (mut desk, card) = ward(readjudicating());
    let (books, balance) = (desk.books(), desk.balance(card));
    let first = desk.settled(card, "2026-01-10", "2026-01-20", "21600");
    let stay = desk.discharged(card, "2026-02-01", "2026-02-10", "21600");
    let second = desk.settle(stay, card, 30_000).unwrap();
    desk.cancel(first.id).unwrap();
    assert_eq!(desk.books()[&owed_to_persons()], -44_000);
    let cancellation = desk.cancel(second.id).unwrap();
    assert_eq!(cancellation.adjustments, []);
    assert_eq!(cancellation.legs.iter().map(|leg| leg.amount).sum::<Fen>(), Fen::ZERO);
    assert_eq!((desk.books(), desk.balance(card)), (books, balance));
    assert_eq!(desk.used(card, 2026), Accumulators::default());
    let again = desk.settle(stay, card, 0).unwrap();
    assert_eq!(again.split.fund_total(), Fen(1_812_800));
}

#[test]
fn later_settlements_are_recomputed_by_admission_and_only_those_that_change_are_adjusted() {
    let (mut desk, card) = ward(readjudicating());
    let first = desk.settled(card, "2026-01-05", "2026-01-08", "5000");
    let late = desk.discharged(card, "2026-01-20", "2026-01-25", "5000");
    let third = desk.settled(card, "2026-02-10", "2026-02-15", "5000");
    let second = desk.settle(late, card, 0).unwrap();
    let cancellation = desk.cancel(first.id).unwrap();
    let [adjustment] = &cancellation.adjustments[..] else { panic!("{cancellation:?}") };
    assert_eq!((adjustment.settlement, adjustment.fund_delta), (second.id, Fen(-44_000)));
    assert_eq!(desk.standing(third.id).adjustments, []);
    // A second recomputation starts from the first: the third becomes the first of the year.
    let cancellation = desk.cancel(second.id).unwrap();
    assert_eq!(cancellation.adjustments, [], "the third was committed before the second");
    desk.settle(late, card, 0).unwrap();
    let cancellation = desk.cancel(third.id).unwrap();
    let [adjustment] = &cancellation.adjustments[..] else { panic!("{cancellation:?}") };
    assert_eq!(adjustment.fund_delta, Fen(-44_000));
    assert_eq!(desk.used(card, 2026).deductible, Fen(100_000));
}

#[test]
fn a_settlement_adjusted_twice_is_undone_whole() {
    let policy = || {
        let mut policy = readjudicating();
        policy.deductibles[1].admission = crate::policy::AdmissionRange::parse("2").unwrap();
        let mut third = policy.deductibles[1].clone();
        third.admission = crate::policy::AdmissionRange::parse("3+").unwrap();
        third.amount = Fen::ZERO;
        policy.deductibles.push(third);
        policy
    };
    let (mut desk, card) = ward(policy());
    let books = desk.books();
    let first = desk.settled(card, "2026-01-05", "2026-01-08", "5000");
    let second = desk.settled(card, "2026-01-10", "2026-01-15", "5000");
    let third = desk.settled(card, "2026-01-20", "2026-01-25", "5000");
    let deltas = |adjustments: &[Adjustment]| adjustments.iter().map(|one| one.fund_delta.0).collect::<Vec<_>>();
    assert_eq!(deltas(&desk.cancel(first.id).unwrap().adjustments), [-44_000, -44_000]);
    assert_eq!(deltas(&desk.cancel(second.id).unwrap().adjustments), [-44_000]);
    let standing = desk.standing(third.id);
    assert_eq!((standing.adjustments.len(), standing.split().deductible), (2, Fen(100_000)));
    assert_eq!(desk.books()[&pool()], -i128::from(standing.split().fund_total().0));
    desk.cancel(third.id).unwrap();
    assert_eq!((desk.books(), desk.used(card, 2026)), (books, Accumulators::default()));
}

#[test]
fn a_claim_that_was_cut_because_another_had_used_the_limit_gets_the_difference() {
    let mut limited = readjudicating();
    limited.deductibles.clear();
    limited.layers[0].bands[0].rate_bp = 5_500;
    limited.layers[0].annual_cap = Some(Fen(550_000));
    let (mut desk, card) = ward(limited);
    let wrongful = desk.settled(card, "2026-01-05", "2026-01-08", "9909.09");
    assert_eq!(wrongful.split.fund_total(), Fen(545_000));
    let genuine = desk.settled(card, "2026-02-01", "2026-02-03", "200");
    assert_eq!(genuine.split.fund_total(), Fen(5_000));
    let cancellation = desk.cancel(wrongful.id).unwrap();
    let [adjustment] = &cancellation.adjustments[..] else { panic!("{cancellation:?}") };
    assert_eq!((adjustment.fund_delta, adjustment.split.fund_total()), (Fen(6_000), Fen(11_000)));
    assert_eq!(desk.books()[&LedgerAccount::PayoutsWaiting(home())], 6_000);
    assert_eq!(desk.used(card, 2026).funds[Fund::Pool], Fen(11_000));
}

#[test]
fn what_a_recomputation_gave_is_paid_to_the_bank_zone_and_owed_back_once_its_settlement_goes() {
    let mut limited = readjudicating();
    limited.deductibles.clear();
    limited.layers[0].annual_cap = Some(Fen(550_000));
    let (mut desk, card) = ward(limited);
    desk.run(Command::EnableCard { card, zone: ZoneKind::Bank }).unwrap();
    let wrongful = desk.settled(card, "2026-01-05", "2026-01-08", "9000");
    let genuine = desk.settled(card, "2026-02-01", "2026-02-03", "200");
    let cancellation = desk.cancel(wrongful.id).unwrap();
    let [adjustment] = &cancellation.adjustments[..] else { panic!("{cancellation:?}") };
    let given = adjustment.fund_delta;
    assert!(given > Fen::ZERO);
    let [_, Fact::PayOutMade { pay_out, card: paid_to, .. }] = &desk.facts[..] else { panic!("{:?}", desk.facts) };
    assert_eq!((pay_out.amount, *paid_to), (given, Some(card)));
    assert_eq!(&*pay_out.claim_number, format!("adjustment {}/{}", cancellation.id, genuine.id));
    assert!(pay_out.claim_number.len() > MAX_CLAIM_NUMBER, "no desk can have given it");
    let gone = desk.cancel(genuine.id).unwrap();
    let told: Vec<_> = gone.adjustments.iter().map(|one| (one.settlement, one.fund_delta)).collect();
    assert_eq!(told, [(genuine.id, -given)]);
    let books = desk.books();
    let (paid, owed) = (books[&LedgerAccount::BankPayouts(home())], books[&owed_to_persons()]);
    assert_eq!((paid, owed), (i128::from(given.0), -i128::from(given.0)));
    assert_eq!(books.get(&pool()), None);
}

#[test]
fn recomputation_goes_by_the_package_that_the_settlement_recorded() {
    let (mut desk, card) = ward(readjudicating());
    let first = desk.settled(card, "2026-01-10", "2026-01-20", "5000");
    desk.settled(card, "2026-02-01", "2026-02-10", "5000");
    let mut generous = BenefitPolicy { effective_from: day("2026-01-15"), ..readjudicating() };
    generous.layers[0].bands[0].rate_bp = 10_000;
    desk.install(9, generous);
    assert_eq!(desk.cancel(first.id).unwrap().adjustments[0].fund_delta, Fen(-44_000));
}

#[test]
fn a_settlement_counts_as_later_in_every_year_it_shares_with_the_cancelled_one() {
    let (mut desk, card) = ward(BenefitPolicy { cross_year: CrossYear::Split, ..readjudicating() });
    let other = desk.patient("P2");
    let of_2025 = desk.settled(card, "2025-12-01", "2025-12-10", "5000");
    let across = desk.settled(card, "2025-12-28", "2026-01-07", "10000");
    let of_2026 = desk.settled(card, "2026-01-20", "2026-01-25", "5000");
    desk.settled(other, "2026-01-20", "2026-01-25", "5000");
    assert_eq!((across.split.deductible, of_2026.split.deductible), (Fen(50_000), Fen(50_000)));
    let cancellation = desk.cancel(of_2025.id).unwrap();
    let adjusted: Vec<_> = cancellation.adjustments.iter().map(|one| (one.settlement, one.fund_delta)).collect();
    assert_eq!(adjusted, [(across.id, Fen(-44_000))]);
    let changed: Vec<_> =
        cancellation.adjustments[0].changes.iter().map(|(key, by)| (key.year, by.deductible)).collect();
    assert_eq!(changed, [(2025, Fen(50_000)), (2026, Fen::ZERO)]);
    assert_eq!(desk.used(card, 2025).deductible, Fen(100_000));
    // Without the stay across the years, the one of 2026 becomes the first of its year.
    let cancellation = desk.cancel(across.id).unwrap();
    let adjusted: Vec<_> = cancellation.adjustments.iter().map(|one| (one.settlement, one.fund_delta)).collect();
    assert_eq!(adjusted, [(of_2026.id, Fen(-44_000))]);
    assert_eq!(desk.used(card, 2025), Accumulators::default());
    assert_eq!(desk.books()[&pool()], 2 * -352_000);
}

/// What stands of two of the holder's stays, one over the new year and one after it, and both years, had an earlier one been or not.
fn over_the_new_year(policy: &BenefitPolicy, had_been: bool) -> impl PartialEq + std::fmt::Debug {
    let (mut desk, card) = ward(policy.clone());
    let earlier = had_been.then(|| desk.settled(card, "2025-12-01", "2025-12-10", "3000"));
    let across = desk.admit(card, "2025-12-28").unwrap();
    let lines = [line(1, "A1", "1", "200", "2025-12-28"), line(2, "A1", "1", "1000", "2026-01-02")];
    desk.run(charges(across, &lines)).unwrap();
    desk.run(discharge(across, "2026-01-03")).unwrap();
    let across = desk.settle(across, card, 0).unwrap();
    let after = desk.settled(card, "2026-01-20", "2026-01-25", "2000");
    if let Some(earlier) = earlier {
        let Ok(Reply::Cancelled { years, .. }) = desk.run(Command::CancelSettlement { settlement: earlier.id }) else {
            panic!("cancelled")
        };
        let told = years.iter().map(|(key, _)| key.year).collect::<Vec<_>>();
        assert_eq!(told, [2025, 2026], "every year that changed is answered");
        assert!(years.iter().all(|(key, used)| desk.hub.persons[desk.holder(card)].used(*key) == *used));
    }
    let shares = [across, after].map(|own| {
        let standing = desk.standing(own.id);
        (standing.split().funds, standing.split().deductible, standing.deltas().to_vec())
    });
    (shares, desk.used(card, 2025), desk.used(card, 2026))
}

#[test]
fn a_stay_over_the_new_year_carries_a_recomputation_into_the_next() {
    for annual_cap in [None, Some(Fen(100_000))] {
        let deductible_year_cap = Some(Fen(50_000));
        let mut policy = BenefitPolicy { cross_year: CrossYear::Split, deductible_year_cap, ..readjudicating() };
        policy.deductibles.truncate(1);
        policy.deductibles[0].admission = crate::policy::AdmissionRange::parse("1+").unwrap();
        policy.deductibles[0].amount = Fen(50_000);
        policy.layers[0].annual_cap = annual_cap;
        assert_eq!(over_the_new_year(&policy, true), over_the_new_year(&policy, false), "{annual_cap:?}");
    }
}
