//! PINs as stories.

use crate::alert::AlertKind;
use crate::card::{Channel, LockCause, Loss, Shown, ZoneKind, ZoneState};
use crate::command::{CardKey, Command, LossSubject, Reply};
use crate::decide::fixture::ward::ward_policy;
use crate::decide::fixture::{Desk, Digits};
use crate::fact::Fact;
use crate::hub::{Actor, Decision, role};
use crate::ids::{CardId, InstitutionCode};
use crate::pin::MAX_WRONG_PINS;
use crate::reject::Reject;

const RIGHT: Digits = Digits(Some("246810"), [1; 3]);
const WRONG: Digits = Digits(Some("111111"), [1; 3]);

fn with_pin() -> (Desk, CardId) {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    assert_eq!(desk.run(Command::SetPin { card }), Ok(Reply::Done));
    (desk, card)
}

fn asked(desk: &Desk, card: CardId) -> Command {
    Command::VerifyPin { card: desk.hub.cards[card].made.as_ref().unwrap().card_sn }
}

fn verify(desk: &mut Desk, card: CardId, pin: Digits) -> Result<Reply, Reject> {
    desk.pin = pin;
    desk.run(asked(desk, card))
}

fn tries_left(desk: &Desk, card: CardId) -> u32 {
    desk.hub.cards[card].seldom.pin.unwrap().tries_left()
}

fn insurance(desk: &Desk, card: CardId) -> Shown {
    let card = &desk.hub.cards[card];
    card.insurance.shown(desk.hub.moment(card, desk.now_ms))
}

#[test]
fn the_sixth_wrong_pin_in_a_row_locks_the_card_in_its_own_record_and_then_not_even_the_right_one_is_compared() {
    let (mut desk, card) = with_pin();
    for left in (0..MAX_WRONG_PINS).rev() {
        assert_eq!(verify(&mut desk, card, WRONG), Err(Reject::PinWrong { tries_left: left }));
        assert_eq!(tries_left(&desk, card), left);
    }
    let count = MAX_WRONG_PINS;
    let locked = Fact::CardLocked { card, cause: LockCause::WrongPins };
    let [wrong, lock, Fact::AlertRaised { alert }] = &desk.facts[..] else { panic!("{:?}", desk.facts) };
    assert_eq!((wrong, lock), (&Fact::PinWrong { card, count }, &locked));
    assert_eq!((alert.kind, alert.card), (AlertKind::WrongPins, Some(card)));
    assert_eq!(insurance(&desk, card), Shown::Locked);
    let records = desk.journal.len();
    for pin in [RIGHT, WRONG] {
        assert_eq!(verify(&mut desk, card, pin), Err(Reject::CardLocked));
    }
    assert_eq!(desk.journal.len(), records);
}

#[test]
fn the_right_pin_a_new_one_and_unlocking_give_every_try_back() {
    let (mut desk, card) = with_pin();
    verify(&mut desk, card, WRONG).unwrap_err();
    assert_eq!(verify(&mut desk, card, RIGHT), Ok(Reply::Done));
    assert_eq!(tries_left(&desk, card), MAX_WRONG_PINS);
    for _ in 0..MAX_WRONG_PINS {
        verify(&mut desk, card, WRONG).unwrap_err();
    }
    desk.run(Command::SetPin { card }).unwrap();
    assert_eq!((tries_left(&desk, card), insurance(&desk, card)), (MAX_WRONG_PINS, Shown::Locked));
    desk.run(Command::UnlockCard { card, zone: ZoneKind::Insurance, presentation: None }).unwrap();
    assert_eq!(insurance(&desk, card), Shown::Plain(ZoneState::Enabled));
    assert_eq!(verify(&mut desk, card, WRONG), Ok(Reply::Done), "it is the new one");
    for _ in 0..MAX_WRONG_PINS {
        verify(&mut desk, card, RIGHT).unwrap_err();
    }
    desk.run(Command::UnlockCard { card, zone: ZoneKind::Insurance, presentation: None }).unwrap();
    assert_eq!(tries_left(&desk, card), MAX_WRONG_PINS);
}

#[test]
fn a_wrong_pin_asked_again_under_its_id_is_refused_again_and_counted_once() {
    let (mut desk, card) = with_pin();
    desk.pin = WRONG;
    let command = asked(&desk, card);
    let Decision::RefuseWith(record, _) = desk.send("once", command.clone()) else { panic!("counted") };
    assert!(record.refused);
    desk.pin = RIGHT;
    assert_eq!(desk.send("once", command), Decision::Replay { sequence: record.sequence });
    assert_eq!(tries_left(&desk, card), MAX_WRONG_PINS - 1);
}

#[test]
fn a_pin_needs_a_card_in_hand_a_key_and_to_be_set_and_none_of_this_costs_a_try() {
    let (mut desk, card) = with_pin();
    let other = desk.patient("P2");
    assert_eq!(verify(&mut desk, other, RIGHT), Err(Reject::PinNotSet));
    for unusable in [Digits(None, [1; 3]), Digits(RIGHT.0, [2; 3]), Digits(WRONG.0, [2; 3])] {
        assert_eq!(verify(&mut desk, card, unusable), Err(Reject::PinKeyMissing), "no key, or another one");
    }
    desk.pin = Digits(None, [1; 3]);
    assert_eq!(desk.run(Command::SetPin { card }), Err(Reject::PinKeyMissing));
    desk.pin = RIGHT;
    desk.run(Command::ReportLoss {
        subject: LossSubject::Card(CardKey::Id(card)),
        loss: Loss::Formal,
        zones: ZoneKind::ALL.to_vec(),
        channel: Channel::Desk,
        verified_by: "clerk".into(),
        holder: None,
    })
    .unwrap();
    let lost = Err(Reject::CardLost { until_ms: None });
    assert_eq!(verify(&mut desk, card, WRONG), lost);
    assert_eq!(desk.run(Command::SetPin { card }), lost);
    assert_eq!(tries_left(&desk, card), MAX_WRONG_PINS);
}

#[test]
fn equal_pins_of_two_cards_have_different_hashes() {
    let (mut desk, card) = with_pin();
    let other = desk.patient("P2");
    desk.run(Command::SetPin { card: other }).unwrap();
    assert_ne!(desk.hub.cards[card].seldom.pin, desk.hub.cards[other].seldom.pin);
}

#[test]
fn nobody_who_never_registered_has_a_try_but_a_desk_has() {
    let (mut desk, card) = with_pin();
    let institution = InstitutionCode::parse("H99999900009").unwrap();
    desk.actor = Actor { institution, roles: role::HOSPITAL };
    assert_eq!(verify(&mut desk, card, WRONG), Err(Reject::InstitutionUnknown(institution)));
    assert_eq!(tries_left(&desk, card), MAX_WRONG_PINS);
    desk.actor.roles = role::DESK;
    assert_eq!(verify(&mut desk, card, RIGHT), Ok(Reply::Done));
}
