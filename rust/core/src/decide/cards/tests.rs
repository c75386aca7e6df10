//! The rules between the cards of a person, as stories.

mod ending;

use super::*;
use crate::card::{CardState, Channel, FailureCause, Loss, Shown, TEMPORARY_LOSS_MS};
use crate::command::LossSubject;
use crate::decide::fixture::{Desk, card_sn, certificate, making, personalisation};

const HOUR_MS: i64 = 3_600_000;

fn report(subject: LossSubject, loss: Loss, zones: &[ZoneKind]) -> Command {
    let (zones, verified_by) = (zones.to_vec(), "clerk 7".into());
    Command::ReportLoss { subject, loss, zones, channel: Channel::Desk, verified_by, holder: None }
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
    let card = &desk.hub.cards[card];
    card.insurance.shown(desk.hub.moment(card, desk.now_ms))
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
fn a_bank_zone_whose_card_is_lost_for_settlements_ends_when_the_successor_is_enabled() {
    for in_use in [true, false] {
        let mut desk = Desk::open();
        let person = desk.enrol("P1");
        let old = desk.issue(person, None);
        if in_use {
            desk.run(enable(old, ZoneKind::Bank)).unwrap();
        }
        desk.run(report(of_card(old), Loss::Formal, &[ZoneKind::Insurance])).unwrap();
        let new = desk.issue(person, Some(old));
        assert_eq!(desk.run(enable(new, ZoneKind::Insurance)), Ok(Reply::CardEnabled { cancelled: Some(old) }));
        assert_eq!(desk.hub.cards[old].bank.state, ZoneState::Cancelled);
        assert_eq!(desk.run(enable(new, ZoneKind::Bank)), Ok(Reply::CardEnabled { cancelled: None }));
    }
}

#[test]
fn a_person_has_one_application_and_a_card_one_successor() {
    let mut desk = Desk::open();
    let (person, stranger) = (desk.enrol("P1"), desk.enrol("P2"));
    let first = desk.apply_for(person, None).unwrap();
    let forbidden = Reject::CardStateForbids { state: CardState::Applied, event: "BE_REPLACED" };
    assert_eq!(desk.apply_for(person, Some(first)), Err(forbidden));
    assert_eq!(desk.apply_for(person, None), Err(Reject::CardExists { field: "person_id" }));
    let cause = FailureCause::NoValidPhoto;
    desk.run(Command::FailApplication { card: first, cause }).unwrap();
    let forbidden = Reject::CardStateForbids { state: CardState::Failed, event: "BE_REPLACED" };
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
    assert_eq!(desk.run(by_certificate(Loss::Formal)), Err(Reject::CardLost { until_ms: None }));
    assert_eq!(insurance(&desk, third), Shown::Plain(ZoneState::Applied));
    let forbidden = Reject::CardStateForbids { state: CardState::Applied, event: "REPORT_LOSS" };
    assert_eq!(desk.run(report(of_card(third), Loss::Formal, &[])), Err(forbidden));
}

#[test]
fn a_formal_loss_needs_a_desk_or_a_bank() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let card = desk.issue(person, None);
    for (channel, accepted) in [(Channel::Phone, false), (Channel::SelfService, false), (Channel::Bank, true)] {
        let Command::ReportLoss { subject, loss, zones, verified_by, holder, .. } =
            report(of_card(card), Loss::Formal, &[])
        else {
            unreachable!()
        };
        let reported = desk.run(Command::ReportLoss { subject, loss, zones, channel, verified_by, holder });
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
    let forbidden = Reject::CardStateForbids { state: CardState::Issued, event: "WITHDRAW_LOSS" };
    assert_eq!(desk.run(withdraw(card)), Err(forbidden));
    assert!(desk.run(enable(card, ZoneKind::Insurance)).is_ok());
    desk.run(report(of_card(card), Loss::Temporary, &[])).unwrap();
    let Ok(Reply::Card(view)) = desk.run(withdraw(card)) else { panic!("withdrawn") };
    assert_eq!(view.card, desk.hub.cards[card]);
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

fn replace(lost: CardId, number: u64, enable: bool) -> Command {
    Command::ReplaceCard { lost, made: personalisation(number), generation: "3".into(), enable }
}

#[test]
fn a_card_formally_lost_is_replaced_on_the_spot_in_one_record() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let old = desk.issue(person, None);
    desk.run(enable(old, ZoneKind::Insurance)).unwrap();
    desk.run(report(of_card(old), Loss::Formal, &[])).unwrap();
    let Ok(Reply::Card(view)) = desk.run(replace(old, 7, true)) else { panic!("replaced") };
    let new = view.card.id;
    assert_eq!(view.card, desk.hub.cards[new]);
    assert_eq!((view.card.seldom.predecessor, &view.card.made), (Some(old), &Some(personalisation(7))));
    let enabled = Fact::CardEnabled {
        card: new,
        zone: ZoneKind::Insurance,
        cancelled: None,
        by_first_use: false,
        moves: Vec::new(),
        legs: Vec::new(),
    };
    assert_eq!(desk.facts.len(), 4);
    assert_eq!(desk.facts[3], enabled);
    assert_eq!(insurance(&desk, old), Shown::Plain(ZoneState::FormalLost));
    assert_eq!(insurance(&desk, new), Shown::Plain(ZoneState::Enabled));
    assert_eq!(view.card.bank.state, ZoneState::Issued, "the bank enables its own zone");
}

#[test]
fn a_replacement_that_is_not_asked_to_be_enabled_waits_for_its_first_use() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let old = desk.issue(person, None);
    desk.run(report(of_card(old), Loss::Formal, &[])).unwrap();
    let Ok(Reply::Card(view)) = desk.run(replace(old, 7, false)) else { panic!("replaced") };
    assert_eq!(insurance(&desk, view.card.id), Shown::Plain(ZoneState::Issued));
}

#[test]
fn only_a_card_that_is_lost_for_ever_is_replaced_and_only_once() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let forbidden = |state| Err(Reject::CardStateForbids { state, event: "REPLACE" });
    let replaced = Err(Reject::CardExists { field: "lost_card_id" });
    assert_eq!(desk.run(replace(CardId(1), 7, true)), Err(Reject::CardUnknown));
    let first = desk.issue(person, None);
    assert_eq!(desk.run(replace(first, 7, true)), forbidden(CardState::Issued));
    desk.run(enable(first, ZoneKind::Insurance)).unwrap();
    desk.run(report(of_card(first), Loss::Temporary, &[])).unwrap();
    assert_eq!(desk.run(replace(first, 7, true)), forbidden(CardState::TempLost));
    desk.run(report(of_card(first), Loss::Formal, &[])).unwrap();
    let Ok(Reply::Card(second)) = desk.run(replace(first, 7, true)) else { panic!("replaced") };
    let second = second.card.id;
    assert_eq!(desk.run(replace(first, 8, true)), replaced, "two replacements at once");
    assert_eq!(desk.apply_for(person, Some(first)), Err(Reject::CardExists { field: "predecessor_card_id" }));
    desk.run(report(of_card(second), Loss::Formal, &[])).unwrap();
    assert_eq!(desk.run(replace(first, 8, true)), replaced, "its successor was lost and is the one to be replaced");
    let Ok(Reply::Card(third)) = desk.run(replace(second, 8, true)) else { panic!("replaced") };
    assert_eq!(desk.run(replace(first, 9, true)), replaced, "its successor's successor is in use");
    assert_eq!(insurance(&desk, third.card.id), Shown::Plain(ZoneState::Enabled));
}

#[test]
fn a_card_whose_successor_was_exchanged_is_replaced_by_neither_application_nor_desk() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let first = desk.issue(person, None);
    desk.run(report(of_card(first), Loss::Formal, &[])).unwrap();
    let Ok(Reply::Card(second)) = desk.run(replace(first, 7, true)) else { panic!("replaced") };
    let third = desk.issue(person, Some(second.card.id));
    assert_eq!(
        desk.run(enable(third, ZoneKind::Insurance)),
        Ok(Reply::CardEnabled { cancelled: Some(second.card.id) })
    );
    assert_eq!(desk.apply_for(person, Some(first)), Err(Reject::CardExists { field: "predecessor_card_id" }));
    assert_eq!(desk.run(replace(first, 8, true)), Err(Reject::CardExists { field: "lost_card_id" }));
    assert_eq!(insurance(&desk, third), Shown::Plain(ZoneState::Enabled));
}

#[test]
fn a_replacement_needs_new_numbers_and_no_card_beside_it() {
    let mut desk = Desk::open();
    let (person, other) = (desk.enrol("P1"), desk.enrol("P2"));
    let taken = desk.issue(other, None);
    let lost = desk.issue(person, None);
    desk.run(report(of_card(lost), Loss::Formal, &[])).unwrap();
    assert_eq!(desk.run(replace(lost, taken.0, true)), Err(Reject::CardExists { field: "pan" }));
    let applied = desk.apply_for(person, None).unwrap();
    assert_eq!(desk.run(replace(lost, 7, true)), Err(Reject::CardExists { field: "person_id" }));
    desk.run(Command::MarkCardMade { card: applied, made: personalisation(applied.0), purse: Fen::ZERO }).unwrap();
    desk.run(Command::HandOverCard { card: applied, collected_by: "the holder".into() }).unwrap();
    desk.run(enable(applied, ZoneKind::Insurance)).unwrap();
    let already = Err(Reject::CardExists { field: "lost_card_id" });
    assert_eq!(desk.run(replace(lost, 7, true)), already, "another card came into use");
    assert_eq!(insurance(&desk, applied), Shown::Plain(ZoneState::Enabled));
}

#[test]
fn a_new_card_lost_before_its_first_use_is_replaced_and_the_old_one_works_until_then() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let old = desk.issue(person, None);
    desk.run(enable(old, ZoneKind::Insurance)).unwrap();
    let new = desk.issue(person, Some(old));
    desk.run(report(of_card(new), Loss::Formal, &[])).unwrap();
    let Ok(Reply::Card(view)) = desk.run(replace(new, 7, false)) else { panic!("replaced") };
    assert_eq!(insurance(&desk, old), Shown::Plain(ZoneState::Enabled));
    let replaced = view.card.id;
    assert_eq!(desk.run(enable(replaced, ZoneKind::Insurance)), Ok(Reply::CardEnabled { cancelled: Some(old) }));
}

#[test]
fn a_report_names_no_card_of_another_person_than_the_caller_was_verified_as() {
    let mut desk = Desk::open();
    let (person, _) = (desk.enrol("P1"), desk.enrol("P2"));
    let card = desk.issue(person, None);
    let verified = |holder: &str, subject| Command::ReportLoss {
        subject,
        loss: Loss::Temporary,
        zones: Vec::new(),
        channel: Channel::Phone,
        verified_by: "hotline".into(),
        holder: Some(certificate(holder)),
    };
    let before = desk.hub.clone();
    let by_certificate = || LossSubject::Certificate(certificate("P1"));
    for subject in [of_card(card), LossSubject::Card(CardKey::Sn(card_sn(card.0))), by_certificate()] {
        assert_eq!(desk.run(verified("P2", subject.clone())), Err(Reject::CardNotOfPerson));
        assert_eq!(desk.run(verified("P9", subject)), Err(Reject::PersonUnknown));
    }
    assert_eq!(desk.hub, before);
    desk.run(verified("P1", of_card(card))).expect("the holder's own");
}

/// A caller whose card was lost for ever long ago was told that there is no such card.
#[test]
fn a_report_of_all_cards_says_so_where_the_last_one_is_lost_for_ever_already() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let by_certificate = || report(LossSubject::Certificate(certificate("P1")), Loss::Temporary, &[]);
    assert_eq!(desk.run(by_certificate()), Err(Reject::CardUnknown), "who has no card has none to lose");
    let card = desk.issue(person, None);
    desk.run(report(of_card(card), Loss::Formal, &[])).unwrap();
    assert_eq!(desk.run(by_certificate()), Err(Reject::CardLost { until_ms: None }));
}

/// A holder left the desk with a card that no terminal could ever accept: it was made with a key that the hub does not have.
#[test]
fn a_card_whose_key_is_not_there_is_neither_made_nor_put_in_place_of_another() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let lost = desk.issue(person, None);
    desk.run(report(of_card(lost), Loss::Formal, &[])).unwrap();
    let replaced = || Command::ReplaceCard { lost, made: personalisation(7), generation: "3".into(), enable: true };
    desk.verdict = Verdict::SchemeNotAllowed;
    let before = desk.hub.clone();
    assert_eq!(desk.run(replaced()), Err(Reject::SchemeNotAllowed { key_index: 1 }));
    assert_eq!(desk.hub, before);
    let other = desk.enrol("P2");
    let applied = desk.apply_for(other, None).unwrap();
    assert_eq!(desk.run(making(applied, 8)), Err(Reject::SchemeNotAllowed { key_index: 1 }));
    let mut chipless = personalisation(8);
    chipless.chip = None;
    desk.run(Command::MarkCardMade { card: applied, made: chipless, purse: Fen::ZERO }).expect("it has no key");
    desk.verdict = Verdict::NotPresented;
    desk.run(replaced()).unwrap();
}
