//! Which of several faults of a presentation is told, and what a first use does.

use super::*;
use crate::card::{CancelCause, Channel, Chip, Loss, TEMPORARY_LOSS_MS, ZoneKind, ZoneState};
use crate::command::{CardKey, CheckMethod, Command, LossSubject, Reply};
use crate::decide::fixture::ward::ward_policy;
use crate::decide::fixture::{Desk, card_sn, day};
use crate::fact::Fact;
use crate::ids::{CardId, Pan, StayId};

type Bend = fn(&mut ChipPresentation);

/// The command with its chip bent, and the holder checked or not.
fn bent(mut command: Command, check: HolderCheck, bend: impl Fn(&mut ChipPresentation)) -> Command {
    let (Command::Admit { presentation, holder_check, .. } | Command::SettleStay { presentation, holder_check, .. }) =
        &mut command
    else {
        panic!("presents nothing")
    };
    let Credential::Chip(chip) = &mut presentation.credential else { panic!("no chip") };
    bend(chip);
    *holder_check = check;
    command
}

fn admit(desk: &mut Desk, card: CardId, bend: impl Fn(&mut ChipPresentation)) -> Result<Reply, Reject> {
    let command = bent(desk.admission(card, "2026-02-01"), HolderCheck::default(), bend);
    desk.run(command)
}

/// A stay of 5,000.00 that waits for its settlement.
fn discharged() -> (Desk, CardId, StayId) {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    desk.credit(card, 100_000, "2026-01");
    let stay = desk.discharged(card, "2026-01-10", "2026-01-20", "5000");
    (desk, card, stay)
}

#[test]
fn a_wrong_cryptogram_learns_nothing_of_the_card_or_the_stay() {
    let (mut desk, card, stay) = discharged();
    let settlement = desk.settlement(stay, card, 0);
    let nothing_is_right = |chip: &mut ChipPresentation| {
        chip.pan = Pan::parse("9156000000000", 0).unwrap();
        chip.amount = Fen(1);
        chip.transaction_date = day("2020-01-01");
    };
    for (verdict, reject) in [
        (Verdict::Invalid, Reject::CryptogramInvalid),
        (Verdict::NotPresented, Reject::CryptogramInvalid),
        (Verdict::SchemeNotAllowed, Reject::SchemeNotAllowed { key_index: 1 }),
    ] {
        desk.verdict = verdict;
        assert_eq!(desk.run(settlement.clone()), Err(reject.clone()));
        let before = desk.hub.clone();
        assert_eq!(desk.run(bent(settlement.clone(), HolderCheck::default(), nothing_is_right)), Err(reject.clone()));
        assert_eq!(admit(&mut desk, card, nothing_is_right), Err(reject));
        assert_eq!(desk.hub, before);
    }
}

#[test]
fn a_chip_that_is_not_the_card_that_was_made_is_not_known() {
    let (mut desk, card, _) = discharged();
    for (bend, reject) in [
        ((|chip| chip.pan = Pan::parse("9156000000000", 0).unwrap()) as Bend, Reject::CardUnknown),
        (|chip| chip.card_sn = card_sn(1), Reject::CardUnknown),
        (|chip| chip.chip = Chip { scheme: 2, ..chip.chip }, Reject::SchemeNotAllowed { key_index: 1 }),
        (|chip| chip.chip = Chip { key_index: 2, ..chip.chip }, Reject::SchemeNotAllowed { key_index: 2 }),
    ] {
        assert_eq!(admit(&mut desk, card, bend), Err(reject));
    }
}

#[test]
fn each_state_of_the_card_refuses_in_its_own_words_before_amounts_are_looked_at() {
    let lose = |card, loss| {
        let (subject, verified_by) = (LossSubject::Card(CardKey::Id(card)), "clerk".into());
        Command::ReportLoss { subject, loss, zones: Vec::new(), channel: Channel::Desk, verified_by, holder: None }
    };
    let (fresh, card, stay) = discharged();
    let until_ms = Some(fresh.now_ms + TEMPORARY_LOSS_MS);
    for (event, reject) in [
        (lose(card, Loss::Temporary), Reject::CardLost { until_ms }),
        (lose(card, Loss::Formal), Reject::CardLost { until_ms: None }),
        (Command::CancelCard { card, cause: CancelCause::Returned }, Reject::CardCancelled),
    ] {
        let (mut desk, ..) = discharged();
        let wrong_amount =
            bent(desk.settlement(stay, card, 0), HolderCheck::by(CheckMethod::Pin), |chip| chip.amount = Fen(1));
        desk.run(event).unwrap();
        assert_eq!(desk.run(wrong_amount), Err(reject));
    }
    let (mut desk, ..) = discharged();
    desk.run(lose(card, Loss::Temporary)).unwrap();
    desk.now_ms += TEMPORARY_LOSS_MS - 1;
    assert_eq!(desk.settle(stay, card, 0), Err(Reject::CardLost { until_ms }));
    desk.now_ms += 1;
    assert!(desk.settle(stay, card, 0).is_ok(), "at its end the card is what it was");
}

#[test]
fn a_card_that_was_made_and_not_collected_is_refused() {
    let (mut desk, ..) = discharged();
    let person = desk.enrol("P9");
    let card = desk.apply_for(person, None).unwrap();
    let made = crate::decide::fixture::personalisation(card.0);
    desk.run(Command::MarkCardMade { card, made, purse: Fen::ZERO }).unwrap();
    assert_eq!(admit(&mut desk, card, |_| ()), Err(Reject::CardNotCollected));
}

#[test]
fn another_person_s_card_settles_nothing_even_with_the_right_amount() {
    let (mut desk, _, stay) = discharged();
    let stranger = desk.patient("P2");
    assert_eq!(desk.settle(stay, stranger, 0), Err(Reject::CardNotOfPerson));
}

#[test]
fn what_the_chip_signed_is_what_is_asked() {
    let (mut desk, card, stay) = discharged();
    let mismatch =
        |field, signed, expected| Reject::AmountMismatch { field, signed: Fen(signed), expected: Fen(expected) };
    let settlement = desk.settlement(stay, card, 50_000);
    let before = desk.hub.clone();
    for (bend, reject) in [
        ((|chip| chip.amount = Fen(499_999)) as Bend, mismatch("amount_fen", 499_999, 500_000)),
        (|chip| chip.other_amount = Fen(50_001), mismatch("other_amount_fen", 50_001, 50_000)),
    ] {
        assert_eq!(desk.run(bent(settlement.clone(), HolderCheck::default(), bend)), Err(reject));
    }
    for (bend, field) in [
        ((|chip| chip.currency = 840) as Bend, "presentation.chip.currency"),
        (|chip| chip.terminal_country = 840, "presentation.chip.currency"),
        (|chip| chip.transaction_type = 0x31, "presentation.chip.transaction_type"),
    ] {
        let refused = desk.run(bent(settlement.clone(), HolderCheck::default(), bend));
        assert!(matches!(&refused, Err(Reject::Malformed { field: at, .. }) if at == field), "{refused:?}");
    }
    desk.run(settlement).unwrap();
    for (bend, reject) in [
        ((|chip| chip.amount = Fen(1)) as Bend, mismatch("amount_fen", 1, 0)),
        (|chip| chip.other_amount = Fen(1), mismatch("other_amount_fen", 1, 0)),
    ] {
        assert_eq!(admit(&mut desk, card, bend), Err(reject));
    }
    let refused = admit(&mut desk, card, |chip| chip.transaction_type = 0);
    assert!(matches!(refused, Err(Reject::Malformed { .. })));
    assert_ne!(desk.hub, before);
}

#[test]
fn a_signed_date_is_within_a_day_of_the_business_day() {
    for (signed, accepted) in
        [("2026-02-27", false), ("2026-02-28", true), ("2026-03-01", true), ("2026-03-02", true), ("2026-03-03", false)]
    {
        let (mut desk, card, _) = discharged();
        let transaction_date = day(signed);
        let admitted = admit(&mut desk, card, |chip| chip.transaction_date = transaction_date).map(|_| ());
        let expected = if accepted { Ok(()) } else { Err(Reject::PresentationStale { transaction_date }) };
        assert_eq!(admitted, expected, "{signed}");
    }
}

#[test]
fn a_counter_value_is_used_once_and_may_not_jump_and_amounts_are_compared_first() {
    let (mut desk, card, stay) = discharged();
    let settlement = desk.settlement(stay, card, 0);
    let with = |atc: u16| bent(settlement.clone(), HolderCheck::default(), move |chip| chip.atc = atc);
    assert_eq!(desk.run(with(1)), Err(Reject::CryptogramReplayed { atc: 1 }), "used at the admission");
    let both = bent(with(1), HolderCheck::default(), |chip| chip.amount = Fen(1));
    assert!(matches!(desk.run(both), Err(Reject::AmountMismatch { .. })));
    assert_eq!(desk.hub.cards[card].counter.highest, 1, "what is refused moves no counter");
    desk.run(with(1_001)).unwrap();
    assert_eq!(desk.hub.cards[card].counter.highest, 1_001);
    assert_eq!(admit(&mut desk, card, |chip| chip.atc = 1_001), Err(Reject::CryptogramReplayed { atc: 1_001 }));
    let jumped = admit(&mut desk, card, |chip| chip.atc = 2_002);
    assert_eq!(jumped, Err(Reject::CounterJump { atc: 2_002, highest: 1_001 }));
}

#[test]
fn a_first_use_needs_a_verified_holder_and_ends_the_card_before_in_the_same_fact() {
    let (mut desk, old, stay) = discharged();
    let person = desk.holder(old);
    let new = desk.issue(person, Some(old));
    let settlement = desk.settlement(stay, new, 0);
    assert_eq!(desk.run(settlement.clone()), Err(Reject::HolderNotVerified));
    // The card says that it checked a PIN, and that the check failed.
    let failed = bent(settlement.clone(), HolderCheck::default(), |chip| chip.cvr = Some([0, 0b110, 0, 0]));
    assert_eq!(desk.run(failed), Err(Reject::HolderNotVerified));
    desk.run(bent(settlement, HolderCheck::by(CheckMethod::Photo), |_| ())).unwrap();
    let [enabled, Fact::Settled { settlement }] = &desk.facts[..] else { panic!("{:?}", desk.facts) };
    let (zone, by_first_use) = (ZoneKind::Insurance, true);
    let (moves, legs) = (Vec::new(), Vec::new());
    assert_eq!(*enabled, Fact::CardEnabled { card: new, zone, cancelled: Some(old), by_first_use, moves, legs });
    assert_eq!(settlement.presented.credential.card(), Some(new));
    assert_eq!(desk.hub.cards[old].insurance.state, ZoneState::Cancelled);
    assert_eq!(desk.hub.cards[new].insurance.state, ZoneState::Enabled);
    assert_eq!(desk.admit(old, "2026-02-01"), Err(Reject::CardCancelled));
    assert!(desk.admit(new, "2026-02-01").is_ok());
}

#[test]
fn a_pin_that_the_card_checked_is_a_verified_holder_at_a_first_admission() {
    let (mut desk, ..) = discharged();
    let person = desk.enrol("P9");
    let card = desk.issue(person, None);
    assert_eq!(admit(&mut desk, card, |_| ()), Err(Reject::HolderNotVerified));
    admit(&mut desk, card, |chip| chip.cvr = Some([0, 0b100, 0, 0])).unwrap();
    assert!(matches!(&desk.facts[..], [Fact::CardEnabled { cancelled: None, .. }, Fact::PatientAdmitted { .. }]));
    assert_eq!(desk.hub.cards[card].counter.highest, 1);
}

#[test]
fn a_first_use_that_is_refused_for_anything_else_enables_nothing() {
    let (mut desk, old, stay) = discharged();
    let person = desk.holder(old);
    let new = desk.issue(person, Some(old));
    let before = desk.hub.clone();
    let too_much = bent(desk.settlement(stay, new, 100_001), HolderCheck::by(CheckMethod::Photo), |_| ());
    assert!(matches!(desk.run(too_much), Err(Reject::BalanceInsufficient { .. })));
    assert_eq!(desk.hub, before);
}
