//! Cards that were locked, at a desk.

use super::*;
use crate::card::{CardState, Channel, Loss, Moment, Shown, TEMPORARY_LOSS_MS, ZoneState};
use crate::command::{CardKey, ChipPresentation, Command, LossSubject, Reply, Verdict};
use crate::decide::fixture::Desk;
use crate::decide::fixture::ward::{shown as shows, ward_policy};

/// A card in use whose chip has shown a counter, by which it was locked.
fn locked_by(atc: u16) -> (Desk, CardId) {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    let Command::Admit { holder_check, admission, kind, department, diagnosis, .. } =
        desk.admission(card, "2026-03-01")
    else {
        unreachable!("an admission")
    };
    let presentation = shows(ChipPresentation { atc, ..desk.chip(card) });
    desk.run(Command::Admit { presentation, holder_check, admission, kind, department, diagnosis }).unwrap_err();
    assert_eq!(insurance(&desk, card), Shown::Locked);
    (desk, card)
}

fn insurance(desk: &Desk, card: CardId) -> Shown {
    desk.hub.cards[card].insurance.shown(Moment { now_ms: desk.now_ms, retired: false })
}

fn unlock(card: CardId, presentation: Option<Presentation>) -> Command {
    Command::UnlockCard { card, zone: ZoneKind::Insurance, presentation }
}

fn with_counter(desk: &Desk, card: CardId, atc: u16) -> Presentation {
    shows(ChipPresentation { atc, ..desk.chip(card) })
}

#[test]
fn a_desk_gives_a_locked_zone_back_as_it_was_and_its_counter_goes_on_where_it_stood() {
    let (mut desk, card) = locked_by(1_001);
    let Ok(Reply::Card(view)) = desk.run(unlock(card, None)) else { panic!("unlocked") };
    assert_eq!(view.card, desk.hub.cards[card]);
    assert_eq!(insurance(&desk, card), Shown::Plain(ZoneState::Enabled));
    assert_eq!(desk.hub.cards[card].counter.highest, 0);
    desk.admit(card, "2026-03-01").expect("its next counter");
    let forbidden = Reject::CardStateForbids { state: CardState::Enabled, event: "UNLOCK" };
    assert_eq!(desk.run(unlock(card, None)), Err(forbidden));
}

#[test]
fn a_chip_that_is_shown_at_the_desk_clears_its_jump() {
    let (mut desk, card) = locked_by(40_000);
    let presentation = with_counter(&desk, card, 40_001);
    let Ok(Reply::Card(view)) = desk.run(unlock(card, Some(presentation))) else { panic!("unlocked") };
    assert_eq!(view.card, desk.hub.cards[card]);
    assert_eq!(desk.hub.cards[card].counter.highest, 40_001);
    let used = with_counter(&desk, card, 40_001);
    desk.admit(card, "2026-03-01").expect("40,002 follows");
    assert_eq!(desk.hub.cards[card].counter.accept(40_001), Err(Reject::CryptogramReplayed { atc: 40_001 }));
    assert!(matches!(desk.run(unlock(card, Some(used))), Err(Reject::CardStateForbids { .. })));
}

#[test]
fn only_a_right_and_fresh_presentation_of_that_very_card_is_taken() {
    let (mut desk, card) = locked_by(1_001);
    let other = desk.patient("P2");
    let stale = crate::decide::fixture::day("2026-02-20");
    let with_money = ChipPresentation { amount: crate::money::Fen(1), ..desk.chip(card) };
    let refused = [
        (shows(desk.chip(other)), Reject::malformed("presentation.chip", "is another card")),
        (
            shows(ChipPresentation { transaction_date: stale, ..desk.chip(card) }),
            Reject::PresentationStale { transaction_date: stale },
        ),
        (
            shows(with_money.clone()),
            Reject::AmountMismatch {
                field: "amount_fen",
                signed: with_money.amount,
                expected: crate::money::Fen::ZERO,
            },
        ),
        (with_counter(&desk, card, 0), Reject::CryptogramReplayed { atc: 0 }),
        (with_counter(&desk, card, u16::MAX), Reject::CounterExhausted),
    ];
    let before = desk.hub.clone();
    for (presentation, reject) in refused {
        assert_eq!(desk.run(unlock(card, Some(presentation))), Err(reject));
    }
    desk.verdict = Verdict::Invalid;
    let guessed = with_counter(&desk, card, 1);
    assert_eq!(desk.run(unlock(card, Some(guessed))), Err(Reject::CryptogramInvalid));
    assert_eq!(desk.hub, before);
}

#[test]
fn a_card_that_is_locked_and_lost_is_unlocked_only_once_it_is_found() {
    let (mut desk, card) = locked_by(1_001);
    desk.run(Command::ReportLoss {
        subject: LossSubject::Card(CardKey::Id(card)),
        loss: Loss::Temporary,
        zones: Vec::new(),
        channel: Channel::Phone,
        verified_by: "hotline".into(),
        holder: None,
    })
    .unwrap();
    let until_ms = desk.now_ms + TEMPORARY_LOSS_MS;
    assert_eq!(desk.run(unlock(card, None)), Err(Reject::CardLost { until_ms: Some(until_ms) }));
    desk.now_ms = until_ms;
    assert_eq!(insurance(&desk, card), Shown::Locked, "it is again what it was");
    desk.run(unlock(card, None)).unwrap();
    assert_eq!(insurance(&desk, card), Shown::Plain(ZoneState::Enabled));
}

/// A chip that shows an earlier counter.
fn with_an_earlier_counter(desk: &Desk, card: CardId) -> ChipPresentation {
    let mut earlier = desk.hub.clone();
    earlier.cards.get_mut(card).unwrap().counter = crate::card::Counter::default();
    let of_earlier = Desk { hub: earlier, ..Desk::open() };
    of_earlier.chip(card)
}

#[test]
fn a_counter_that_has_run_out_is_never_unlocked() {
    let (mut desk, card) = locked_by(u16::MAX);
    for presentation in [None, Some(shows(with_an_earlier_counter(&desk, card)))] {
        assert_eq!(desk.run(unlock(card, presentation)), Err(Reject::CounterExhausted));
    }
    assert_eq!(insurance(&desk, card), Shown::Locked);
}
