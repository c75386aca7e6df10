//! The rules between the cards of a person, as stories and as random histories.

mod ending;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::card::{CancelCause, FailureCause, Shown};
use crate::decide::fixture::{Desk, card_sn, certificate, enrolment, making, personalisation};
use crate::money::Fen;

const HOUR_MS: i64 = 3_600_000;

fn report(subject: LossSubject, loss: Loss, zones: &[ZoneKind]) -> Command {
    let (zones, verified_by) = (zones.to_vec(), "clerk 7".into());
    Command::ReportLoss { subject, loss, zones, channel: Channel::Desk, verified_by }
}

fn of_card(card: CardId) -> LossSubject {
    LossSubject::Card(CardKey::Id(card))
}

fn enable(card: CardId, zone: ZoneKind) -> Command {
    Command::EnableCard { card, zone }
}

fn withdraw(card: CardId) -> Command {
    Command::WithdrawLoss { card, zones: Vec::new(), verified_by: "clerk 7".into() }
}

fn insurance(desk: &Desk, card: CardId) -> Shown {
    desk.hub.cards[&card].insurance.shown(desk.now_ms)
}

#[test]
fn f2_the_old_card_works_until_the_new_one_is_enabled_and_ends_in_the_same_fact() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let old = desk.issue(person, None);
    assert_eq!(desk.run(enable(old, ZoneKind::Insurance)), Ok(Reply::CardEnabled { cancelled: None }));
    let new = desk.issue(person, Some(old));
    assert_eq!(insurance(&desk, old), Shown::Plain(ZoneState::Enabled));
    assert_eq!(desk.run(enable(new, ZoneKind::Insurance)), Ok(Reply::CardEnabled { cancelled: Some(old) }));
    assert_eq!(desk.facts.len(), 1);
    assert_eq!(insurance(&desk, old), Shown::Plain(ZoneState::Cancelled));
    assert_eq!(insurance(&desk, new), Shown::Plain(ZoneState::Enabled));
}

#[test]
fn a_card_formally_lost_stays_so_when_its_successor_is_enabled() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let old = desk.issue(person, None);
    desk.run(enable(old, ZoneKind::Insurance)).unwrap();
    desk.run(report(of_card(old), Loss::Formal, &[])).unwrap();
    let new = desk.issue(person, Some(old));
    assert_eq!(desk.run(enable(new, ZoneKind::Insurance)), Ok(Reply::CardEnabled { cancelled: None }));
    assert_eq!(insurance(&desk, old), Shown::Plain(ZoneState::FormalLost));
}

#[test]
fn a_person_has_one_application_and_a_card_one_successor() {
    let mut desk = Desk::open();
    let (person, stranger) = (desk.enrol("P1"), desk.enrol("P2"));
    let first = desk.apply_for(person, None).unwrap();
    let forbidden = Reject::CardStateForbids { state: ZoneState::Applied, event: "BE_REPLACED" };
    assert_eq!(desk.apply_for(person, Some(first)), Err(forbidden));
    assert_eq!(desk.apply_for(person, None), Err(Reject::CardExists { field: "person_id" }));
    let cause = FailureCause::NoValidPhoto;
    desk.run(Command::FailApplication { card: first, cause }).unwrap();
    let forbidden = Reject::CardStateForbids { state: ZoneState::Failed(cause), event: "BE_REPLACED" };
    assert_eq!(desk.apply_for(person, Some(first)), Err(forbidden));
    let second = desk.issue(person, None);
    assert_eq!(desk.apply_for(person, None), Err(Reject::CardExists { field: "person_id" }), "issued, not enabled");
    desk.run(enable(second, ZoneKind::Insurance)).unwrap();
    assert_eq!(desk.apply_for(stranger, Some(second)), Err(Reject::CardNotOfPerson));
    assert_eq!(desk.apply_for(stranger, Some(CardId(1))), Err(Reject::CardUnknown));
    let third = desk.issue(person, Some(second));
    desk.run(enable(third, ZoneKind::Insurance)).unwrap();
    assert_eq!(desk.apply_for(person, Some(second)), Err(Reject::CardExists { field: "predecessor_card_id" }));
    assert!(desk.apply_for(person, Some(third)).is_ok());
}

#[test]
fn a_card_number_and_a_recognition_code_are_used_once() {
    let mut desk = Desk::open();
    let (person, other) = (desk.enrol("P1"), desk.enrol("P2"));
    let taken = desk.issue(person, None);
    let card = desk.apply_for(other, None).unwrap();
    let mut made = personalisation(taken.0);
    made.card_sn = card_sn(1);
    assert_eq!(
        desk.run(Command::MarkCardMade { card, made, purse: Fen::ZERO }),
        Err(Reject::CardExists { field: "pan" })
    );
    let mut made = personalisation(1);
    made.card_sn = card_sn(taken.0);
    assert_eq!(
        desk.run(Command::MarkCardMade { card, made, purse: Fen::ZERO }),
        Err(Reject::CardExists { field: "card_sn" })
    );
    assert_eq!(desk.run(making(card, 1)), Ok(Reply::Done));
}

#[test]
fn a_report_by_certificate_hits_every_card_in_hand_and_not_the_one_that_is_being_made() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let by_certificate = |loss| report(LossSubject::Certificate(certificate("P1")), loss, &[]);
    assert_eq!(desk.run(by_certificate(Loss::Temporary)), Err(Reject::CardUnknown));
    let old = desk.issue(person, None);
    desk.run(enable(old, ZoneKind::Insurance)).unwrap();
    let new = desk.issue(person, Some(old));
    let Ok(Reply::LossReported(hit)) = desk.run(by_certificate(Loss::Temporary)) else { panic!("accepted") };
    assert_eq!(hit.iter().map(|view| view.card.id).collect::<Vec<_>>(), [old, new]);
    let until_ms = Some(desk.now_ms + TEMPORARY_LOSS_MS);
    desk.now_ms += HOUR_MS;
    assert_eq!(desk.run(by_certificate(Loss::Temporary)), Err(Reject::CardLost { until_ms }));
    desk.run(by_certificate(Loss::Formal)).expect("a formal loss goes over a temporary one");
    let third = desk.apply_for(person, Some(new)).unwrap();
    assert_eq!(desk.run(by_certificate(Loss::Formal)), Err(Reject::CardUnknown));
    assert_eq!(insurance(&desk, third), Shown::Plain(ZoneState::Applied));
    let forbidden = Reject::CardStateForbids { state: ZoneState::Applied, event: "REPORT_LOSS" };
    assert_eq!(desk.run(report(of_card(third), Loss::Formal, &[])), Err(forbidden));
}

#[test]
fn a_formal_loss_needs_a_desk_or_a_bank() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let card = desk.issue(person, None);
    for (channel, accepted) in [(Channel::Phone, false), (Channel::SelfService, false), (Channel::Bank, true)] {
        let Command::ReportLoss { subject, loss, zones, verified_by, .. } = report(of_card(card), Loss::Formal, &[])
        else {
            unreachable!()
        };
        let reported = desk.run(Command::ReportLoss { subject, loss, zones, channel, verified_by });
        assert_eq!(reported.is_ok(), accepted, "{channel:?}");
    }
}

#[test]
fn f4_a_temporary_loss_ends_at_its_moment_or_when_it_is_withdrawn() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let card = desk.issue(person, None);
    let lost = Err(Reject::CardLost { until_ms: Some(desk.now_ms + TEMPORARY_LOSS_MS) });
    desk.run(report(of_card(card), Loss::Temporary, &[ZoneKind::Insurance])).unwrap();
    desk.now_ms += TEMPORARY_LOSS_MS - 1;
    assert_eq!(desk.run(enable(card, ZoneKind::Insurance)), lost);
    assert!(desk.run(enable(card, ZoneKind::Bank)).is_ok(), "the other zone was not reported");
    desk.now_ms += 1;
    let forbidden = Reject::CardStateForbids { state: ZoneState::Issued, event: "WITHDRAW_LOSS" };
    assert_eq!(desk.run(withdraw(card)), Err(forbidden));
    assert!(desk.run(enable(card, ZoneKind::Insurance)).is_ok());
    desk.run(report(of_card(card), Loss::Temporary, &[])).unwrap();
    let Ok(Reply::Card(view)) = desk.run(withdraw(card)) else { panic!("withdrawn") };
    assert_eq!(view.card, desk.hub.cards[&card]);
    assert_eq!(insurance(&desk, card), Shown::Plain(ZoneState::Enabled));
}

#[test]
fn a_bank_zone_comes_into_use_only_after_that_of_the_card_before_ended() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let old = desk.issue(person, None);
    for zone in ZoneKind::ALL {
        desk.run(enable(old, zone)).unwrap();
    }
    let new = desk.issue(person, Some(old));
    assert_eq!(desk.run(enable(new, ZoneKind::Bank)), Err(Reject::CardExists { field: "zone" }));
    desk.run(enable(new, ZoneKind::Insurance)).unwrap();
    assert_eq!(desk.run(enable(new, ZoneKind::Bank)), Ok(Reply::CardEnabled { cancelled: None }));
}

/// One event of a random history. Cards are named by their age: 0 is the newest.
#[derive(Clone, Debug)]
enum Step {
    Apply(Option<usize>),
    Issue(usize),
    Fail(usize),
    Enable(usize, ZoneKind),
    Lose(Option<usize>, Loss, Vec<ZoneKind>),
    Withdraw(usize),
    Cancel(usize),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let card = 0..3_usize;
    let zone = prop::sample::select(ZoneKind::ALL.to_vec());
    let zones = prop::sample::subsequence(ZoneKind::ALL.to_vec(), 0..=2);
    let loss = prop::sample::select(vec![Loss::Temporary, Loss::Formal]);
    let step = prop_oneof![
        3 => prop::option::of(card.clone()).prop_map(Step::Apply),
        4 => card.clone().prop_map(Step::Issue),
        1 => card.clone().prop_map(Step::Fail),
        6 => (card.clone(), zone).prop_map(|(card, zone)| Step::Enable(card, zone)),
        3 => (prop::option::of(card.clone()), loss, zones).prop_map(|(card, loss, zones)| Step::Lose(card, loss, zones)),
        1 => card.clone().prop_map(Step::Withdraw),
        1 => card.prop_map(Step::Cancel),
        2 => (1..200_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

fn take(desk: &mut Desk, person: PersonId, step: Step) -> Result<Reply, Reject> {
    let cards = desk.hub.persons[&person].cards.clone();
    let card = |age: usize| cards.iter().rev().nth(age).copied().unwrap_or(CardId(1));
    match step {
        Step::Apply(predecessor) => {
            let predecessor = predecessor.map(card);
            desk.run(Command::ApplyForCard { person, predecessor, generation: "3".into() })
        }
        Step::Issue(age) => {
            let card = card(age);
            desk.run(making(card, card.0))?;
            desk.run(Command::HandOverCard { card, collected_by: "the holder".into() })
        }
        Step::Fail(age) => desk.run(Command::FailApplication { card: card(age), cause: FailureCause::NoValidPhoto }),
        Step::Enable(age, zone) => desk.run(enable(card(age), zone)),
        Step::Lose(Some(age), loss, zones) => desk.run(report(of_card(card(age)), loss, &zones)),
        Step::Lose(None, loss, zones) => desk.run(report(LossSubject::Certificate(certificate("P1")), loss, &zones)),
        Step::Withdraw(age) => desk.run(withdraw(card(age))),
        Step::Cancel(age) => desk.run(Command::CancelCard { card: card(age), cause: CancelCause::Returned }),
        Step::Wait(hours) => {
            desk.now_ms += hours * HOUR_MS;
            Ok(Reply::Done)
        }
    }
}

fn is_dead(state: ZoneState) -> bool {
    matches!(state, ZoneState::Failed(_) | ZoneState::FormalLost | ZoneState::Cancelled | ZoneState::Retired)
}

proptest! {
    /// F1: never two enabled cards in a zone. F2: what ends by enabling ends in that fact. Beside them: the dead stay dead, a temporary
    /// loss is never moved, and a reply shows each card as it then is.
    #[test]
    fn f1_in_any_history_one_card_per_person_and_zone_is_enabled_and_the_dead_stay_dead(steps in steps()) {
        let mut desk = Desk::open();
        desk.run(enrolment("P2")).unwrap();
        let person = desk.enrol("P1");
        let mut dead = BTreeSet::new();
        for step in steps {
            let before = desk.hub.clone();
            let reply = take(&mut desk, person, step);
            let cards: Vec<&Card> = of_person(&desk.hub, &desk.hub.persons[&person]).collect();
            for zone in ZoneKind::ALL {
                let in_use = cards.iter().filter(|card| is_in_use(card.zone(zone).state)).count();
                prop_assert!(in_use <= 1, "{zone:?}: {cards:?}");
                for card in &cards {
                    let state = card.zone(zone).state;
                    prop_assert!(is_dead(state) || !dead.contains(&(card.id, zone)), "{:?} came back", card.id);
                    if is_dead(state) {
                        dead.insert((card.id, zone));
                    }
                    let until_before = before.cards.get(&card.id).and_then(|card| match card.zone(zone).shown(desk.now_ms) {
                        Shown::TempLost(until) => Some(until),
                        Shown::Plain(_) => None,
                    });
                    if let (Some(before), Shown::TempLost(until)) = (until_before, card.zone(zone).shown(desk.now_ms)) {
                        prop_assert_eq!(before, until);
                    }
                }
            }
            prop_assert!(cards.iter().filter(|card| card.is_application()).count() <= 1);
            match reply {
                Ok(Reply::CardEnabled { .. }) => prop_assert_eq!(desk.facts.len(), 1),
                Ok(Reply::Card(view)) => prop_assert_eq!(&view.card, &desk.hub.cards[&view.card.id]),
                Ok(Reply::LossReported(views)) => {
                    prop_assert!(!views.is_empty());
                    for view in views {
                        prop_assert_eq!(&view.card, &desk.hub.cards[&view.card.id]);
                    }
                }
                _ => {}
            }
        }
    }

    /// F5: card events neither create nor destroy money, nor move any between accounts where no card bears a purse.
    #[test]
    fn f5_in_any_history_of_cards_the_books_stay_what_they_were(steps in steps()) {
        let mut desk = Desk::open();
        let person = desk.enrol("P1");
        desk.run(Command::CreditAccount { person, amount: Fen(250_000), period_key: "2026-02".into() }).unwrap();
        let (books, balance) = (desk.books(), desk.hub.persons[&person].account.balance);
        assert!(!books.is_empty());
        for step in steps {
            let _accepted = take(&mut desk, person, step);
            prop_assert_eq!(&desk.books(), &books);
            prop_assert_eq!(desk.hub.persons[&person].account.balance, balance);
        }
    }
}
