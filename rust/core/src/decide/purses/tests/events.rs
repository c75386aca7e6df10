//! Random card events among people with money in every account.

use proptest::prelude::*;

use crate::account::AccountKind;
use crate::card::{CancelCause, Loss, Personalisation, ZoneKind};
use crate::command::Command;
use crate::decide::fixture::ward::ward_policy;
use crate::decide::fixture::{Desk, personalisation};
use crate::ids::CardId;
use crate::money::Fen;
use crate::statement::Entry;

const PERSONS: usize = 2;

/// What happens to the newest card of a person or, where there is one, to the one before.
#[derive(Clone, Copy, Debug)]
enum Step {
    Apply,
    HandOver,
    Enable(ZoneKind),
    Lose(Loss),
    Withdraw,
    Cancel,
    TopUp(AccountKind, i64),
    Purchase(AccountKind, i64),
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<(usize, bool, Step)>> {
    let account = || prop_oneof![Just(AccountKind::Online), Just(AccountKind::Offline)];
    let step = prop_oneof![
        4 => Just(Step::Apply),
        4 => Just(Step::HandOver),
        5 => prop_oneof![3 => Just(ZoneKind::Insurance), 1 => Just(ZoneKind::Bank)].prop_map(Step::Enable),
        2 => prop_oneof![Just(Loss::Temporary), Just(Loss::Formal)].prop_map(Step::Lose),
        1 => Just(Step::Withdraw),
        1 => Just(Step::Cancel),
        5 => (account(), 1..5_000_i64).prop_map(|(account, amount)| Step::TopUp(account, amount)),
        4 => (account(), 1..5_000_i64).prop_map(|(account, amount)| Step::Purchase(account, amount)),
        1 => Just(Step::Wait),
    ];
    prop::collection::vec((0..PERSONS, prop::bool::weighted(0.3), step), 1..120)
}

/// Take a step, and give by how much it should have changed what all hold together.
fn take(desk: &mut Desk, cards: &mut [Vec<CardId>; PERSONS], person: usize, before: bool, step: Step) -> i64 {
    let of_person = &mut cards[person];
    let newest = *of_person.last().expect("everybody has a card");
    let card = if before { of_person.iter().nth_back(1).copied().unwrap_or(newest) } else { newest };
    match step {
        Step::Apply => {
            let id = desk.holder(newest);
            let Ok(card) = desk.apply_for(id, Some(newest)) else { return 0 };
            // One in three has no chip, and a purse of its own.
            let chip = personalisation(card.0).chip.filter(|_| card.0 % 3 != 0);
            let made = Personalisation { chip, ..personalisation(card.0) };
            let purse = Fen(if chip.is_none() { 1_000 } else { 0 });
            desk.run(Command::MarkCardMade { card, made, purse }).unwrap();
            of_person.push(card);
            return purse.0;
        }
        Step::HandOver => drop(desk.run(Command::HandOverCard { card, collected_by: "the holder".into() })),
        Step::Enable(zone) => drop(desk.run(Command::EnableCard { card, zone })),
        Step::Lose(loss) => drop(desk.lose(card, loss)),
        Step::Withdraw => {
            let command = Command::WithdrawLoss { card, zones: Vec::new(), verified_by: "clerk".into() };
            drop(desk.run(command));
        }
        Step::Cancel => drop(desk.run(Command::CancelCard { card, cause: CancelCause::Returned })),
        Step::TopUp(account, amount) => return desk.top_up(card, account, amount).map_or(0, |_| amount),
        Step::Purchase(account, amount) => return desk.purchase(card, account, amount).map_or(0, |_| -amount),
        Step::Wait => desk.now_ms += 3 * 86_400_000,
    }
    0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn f5_no_card_event_changes_what_all_hold_together(steps in steps()) {
        let mut desk = Desk::ward(ward_policy());
        let mut cards = ["P0", "P1"].map(|passport| vec![desk.patient(passport)]);
        let mut expected = 0;
        for (person, before, step) in steps {
            expected += i128::from(take(&mut desk, &mut cards, person, before, step));
            prop_assert_eq!(desk.money(), expected, "{:?}", step);
        }
        for of_person in &cards {
            let held: i64 = desk.held(of_person[0]).iter().map(|(_, _, held)| held).sum();
            let moved: i64 = desk.statement(of_person[0]).iter().map(|Entry { amount, .. }| amount.0).sum();
            prop_assert_eq!(moved, held, "a statement adds up to what its accounts hold");
        }
    }
}
