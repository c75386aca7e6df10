//! F4: when a loss ends, and what the card then is.

use super::{HOUR_MS, of_card, report, withdraw};
use crate::calendar::Date;
use crate::card::{CancelCause, CardState, Loss, Shown, TEMPORARY_LOSS_MS, Zone, ZoneKind, ZoneState};
use crate::command::Command;
use crate::decide::fixture::Desk;
use crate::decide::fixture::clinic::{bill, medicine};
use crate::hub::Hub;
use crate::ids::CardId;
use crate::policy::VisitKind;
use crate::reject::Reject;

const SECOND_MS: i64 = 1_000;

/// What becomes of a visit today.
fn visit(desk: &mut Desk, card: CardId) -> Result<(), Reject> {
    let today = Date::business_day(desk.now_ms).to_string();
    let asked = desk.visit_of(card, bill(VisitKind::Outpatient, &today, &medicine(&today, "1"), 0), 100);
    desk.settle_visit(asked).map(drop)
}

/// Bring the zones of a card into a state before anything is reported.
fn bring(desk: &mut Desk, card: CardId, was: Shown) {
    let zone = match was {
        Shown::Plain(state) => Zone::plain(state),
        Shown::Locked => Zone { locked: true, ..Zone::plain(ZoneState::Enabled) },
        Shown::TempLost(_) | Shown::Retired => unreachable!("no state before a loss"),
    };
    let Hub { cards, census, .. } = &mut desk.hub;
    let card = cards.get_mut(card).expect("a card that was issued");
    census.leave(card);
    (card.insurance, card.bank) = (zone, zone);
    census.enter(card);
}

/// At until − 1 s refuse, at until the card is again what it was, whatever that was.
#[test]
fn f4_at_until_a_card_is_what_it_was_and_a_second_before_it_is_lost() {
    for (was, then) in [
        (Shown::Plain(ZoneState::Enabled), Ok(())),
        (Shown::Plain(ZoneState::Issued), Err(Reject::HolderNotVerified)),
        (Shown::Locked, Err(Reject::CardLocked)),
    ] {
        let mut desk = Desk::clinic(|policy| policy);
        let card = desk.patient("P1");
        bring(&mut desk, card, was);
        assert_eq!(visit(&mut desk, card), then, "{was:?}, before the loss");
        let until_ms = desk.now_ms + TEMPORARY_LOSS_MS;
        desk.run(report(of_card(card), Loss::Temporary, &[])).unwrap();
        let lost = Err(Reject::CardLost { until_ms: Some(until_ms) });
        for now_ms in [desk.now_ms, desk.now_ms + HOUR_MS, until_ms - SECOND_MS, until_ms - 1] {
            desk.now_ms = now_ms;
            assert_eq!(visit(&mut desk, card), lost, "{was:?}, {} ms before the end", until_ms - now_ms);
        }
        for now_ms in [until_ms, until_ms + 1, until_ms + 1_000 * HOUR_MS] {
            desk.now_ms = now_ms;
            assert_eq!(visit(&mut desk, card), then, "{was:?}, {} ms after the end", now_ms - until_ms);
            for zone in ZoneKind::ALL {
                let card = &desk.hub.cards[card];
                assert_eq!(card.zone(zone).shown(desk.hub.moment(card, now_ms)), was);
            }
        }
    }
}

#[test]
fn f4_a_formal_loss_never_ends_also_where_a_temporary_one_would_have() {
    let mut desk = Desk::clinic(|policy| policy);
    let card = desk.patient("P1");
    desk.run(report(of_card(card), Loss::Temporary, &[])).unwrap();
    desk.now_ms += HOUR_MS;
    desk.run(report(of_card(card), Loss::Formal, &[])).unwrap();
    for hours in [1, 7 * 24, 365 * 24, 10 * 365 * 24] {
        desk.now_ms += hours * HOUR_MS;
        assert_eq!(visit(&mut desk, card), Err(Reject::CardLost { until_ms: None }), "{hours} hours later");
        let forbidden = Reject::CardStateForbids { state: CardState::FormalLost, event: "WITHDRAW_LOSS" };
        assert_eq!(desk.run(withdraw(card)), Err(forbidden));
    }
}

/// A card that was lost for ever was cancelled by mistake, and its holder could no longer be given another on the spot.
#[test]
fn f4_a_formal_loss_is_not_cancelled_and_the_way_to_a_replacement_stays_open() {
    let cancel = |card| Command::CancelCard { card, cause: CancelCause::Returned };
    let replace = |lost| {
        let made = crate::decide::fixture::personalisation(77);
        Command::ReplaceCard { lost, made, generation: "3".into(), enable: true }
    };
    let mut desk = Desk::open();
    let card = desk.patient("P1");
    desk.run(report(of_card(card), Loss::Formal, &[])).unwrap();
    let forbidden = Reject::CardStateForbids { state: CardState::FormalLost, event: "CANCEL" };
    assert_eq!(desk.run(cancel(card)), Err(forbidden));
    assert!(desk.run(replace(card)).is_ok());

    let half = desk.patient("P2");
    desk.run(report(of_card(half), Loss::Formal, &[ZoneKind::Insurance])).unwrap();
    desk.run(cancel(half)).unwrap();
    let zones = |desk: &Desk| (desk.hub.cards[half].insurance.state, desk.hub.cards[half].bank.state);
    assert_eq!(zones(&desk), (ZoneState::FormalLost, ZoneState::Cancelled), "the bank zone can still be ended");

    let other = desk.patient("P3");
    desk.run(report(of_card(other), Loss::Formal, &[ZoneKind::Bank])).unwrap();
    desk.run(cancel(other)).unwrap();
    let card = &desk.hub.cards[other];
    assert_eq!((card.insurance.state, card.bank.state), (ZoneState::Cancelled, ZoneState::FormalLost));
}
