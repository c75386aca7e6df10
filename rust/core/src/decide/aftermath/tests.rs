//! Wrong cryptograms are counted where they are shown, and a card whose counter is wrong is locked.

use crate::alert::AlertKind;
use crate::card::{CancelCause, Channel, LockCause, Loss, ZoneKind};
use crate::command::{
    CardKey, CheckMethod, Command, Credential, HolderCheck, LossSubject, Outcome, Query, Reply, ReversalEffect, Verdict,
};
use crate::decide::fixture::ward::{LOCAL, NEIGHBOUR, ward_policy};
use crate::decide::fixture::{ARPC, Desk};
use crate::decide::requests::reversible;
use crate::fact::Fact;
use crate::guess::{COUNTS_MS, MAX_COUNTED_PER_DAY};
use crate::hub::{Decision, Hub};
use crate::ids::{CardId, RequestId};
use crate::reject::Reject;

fn ward() -> (Desk, CardId) {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    (desk, card)
}

fn guess(desk: &mut Desk, card: CardId) -> Result<(), Reject> {
    desk.verdict = Verdict::Invalid;
    let guessed = desk.admit(card, "2026-02-20").map(|_| ());
    desk.verdict = Verdict::Valid { arpc: ARPC };
    guessed
}

/// Alerts that the last command raised.
fn kinds(desk: &Desk) -> Vec<AlertKind> {
    let alerts = desk.facts.iter().filter_map(|fact| match fact {
        Fact::AlertRaised { alert } => Some(alert.kind),
        _ => None,
    });
    alerts.collect()
}

fn with_counter(desk: &Desk, card: CardId, atc: u16) -> Command {
    let mut admission = desk.admission(card, "2026-02-20");
    let Command::Admit { presentation, .. } = &mut admission else { unreachable!("an admission") };
    let Credential::Chip(chip) = &mut presentation.credential else { unreachable!("a chip") };
    chip.atc = atc;
    admission
}

#[test]
fn three_guesses_stop_the_card_where_they_were_made_for_a_day_and_nowhere_else() {
    let (mut desk, card) = ward();
    desk.act_as(NEIGHBOUR);
    for count in 1..=3 {
        assert_eq!(guess(&mut desk, card), Err(Reject::CryptogramInvalid));
        let institution = desk.actor.institution;
        assert_eq!(desk.facts[0], Fact::CryptogramWrong { card, institution, count });
        assert_eq!(kinds(&desk), if count == 3 { vec![AlertKind::WrongCryptograms] } else { Vec::new() });
    }
    let until_ms = desk.now_ms + COUNTS_MS;
    let before = desk.hub.clone();
    assert_eq!(desk.admit(card, "2026-02-20"), Err(Reject::CardBlockedHere { until_ms }));
    assert_eq!(guess(&mut desk, card), Err(Reject::CardBlockedHere { until_ms }), "nor is the guess judged");
    assert_eq!(desk.hub, before);
    desk.act_as(LOCAL);
    let stay = desk.admit(card, "2026-02-20").unwrap();
    desk.run(Command::CancelAdmission { stay }).unwrap();
    desk.act_as(NEIGHBOUR);
    desk.now_ms = until_ms - 1;
    assert_eq!(desk.admit(card, "2026-02-20"), Err(Reject::CardBlockedHere { until_ms }));
    desk.now_ms = until_ms;
    assert!(desk.admit(card, "2026-02-20").is_ok());
}

#[test]
fn a_right_cryptogram_or_a_day_makes_earlier_guesses_count_no_more() {
    let (mut desk, card) = ward();
    for _ in 0..2 {
        assert_eq!(guess(&mut desk, card), Err(Reject::CryptogramInvalid));
    }
    let stay = desk.admit(card, "2026-02-20").unwrap();
    desk.run(Command::CancelAdmission { stay }).unwrap();
    let institution = desk.actor.institution;
    for (wait_ms, count) in [(0, 1), (COUNTS_MS - 1, 2), (COUNTS_MS, 1), (0, 2)] {
        desk.now_ms += wait_ms;
        assert_eq!(guess(&mut desk, card), Err(Reject::CryptogramInvalid));
        assert_eq!(desk.facts, [Fact::CryptogramWrong { card, institution, count }]);
    }
}

#[test]
fn an_institution_s_day_of_guesses_is_bounded() {
    let (mut desk, card) = ward();
    let institution = desk.actor.institution;
    for other in 0..u64::from(MAX_COUNTED_PER_DAY) {
        desk.hub.wrong_cryptograms.note(institution, CardId(other + 1), 1, desk.now_ms);
    }
    let before = desk.hub.clone();
    assert_eq!(guess(&mut desk, card), Err(Reject::CryptogramInvalid));
    assert_eq!(desk.hub, before, "a broken terminal does not fill the journal");
    desk.act_as(NEIGHBOUR);
    guess(&mut desk, card).unwrap_err();
    assert_ne!(desk.hub, before, "elsewhere it counts");
}

#[test]
fn a_refusal_that_leaves_something_is_given_again_for_ever() {
    let (mut desk, card) = ward();
    desk.verdict = Verdict::Invalid;
    let admission = desk.admission(card, "2026-02-20");
    let Decision::RefuseWith(record, Reject::CryptogramInvalid) = desk.send("g-1", admission.clone()) else {
        panic!("refused and counted")
    };
    assert!(record.refused);
    desk.verdict = Verdict::Valid { arpc: ARPC };
    assert_eq!(desk.send("g-1", admission), Decision::Replay { sequence: record.sequence });
    let outcome = desk.ask(Query::GetOutcome { request_id: RequestId::parse("g-1").unwrap() });
    let Ok(Reply::Outcome { outcome, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(outcome, Outcome::Refused { sequence: record.sequence, operation: reversible::ADMIT });
    let undone = desk.run(Command::Reverse { request_id: RequestId::parse("g-1").unwrap() });
    assert_eq!(undone, Ok(Reply::Reversed(ReversalEffect::AlreadyUndone)));
    let mut replayed = Hub::new(desk.hub.number(), 7);
    desk.journal.iter().for_each(|record| replayed.apply(record));
    assert_eq!(replayed, desk.hub);
}

#[test]
fn a_counter_that_jumps_or_runs_out_locks_a_card_in_use() {
    for (atc, reject, cause) in [
        (1_001, Reject::CounterJump { atc: 1_001, highest: 0 }, LockCause::CounterJumped),
        (u16::MAX, Reject::CounterRanOut, LockCause::CounterExhausted),
    ] {
        let (mut desk, card) = ward();
        let admission = with_counter(&desk, card, atc);
        let next = with_counter(&desk, card, 1);
        assert_eq!(desk.run(admission), Err(reject));
        assert_eq!(desk.facts[0], Fact::CardLocked { card, cause });
        assert_eq!(kinds(&desk), [AlertKind::CounterJump]);
        assert!(desk.hub.cards[card].insurance.locked);
        let exhausted = cause == LockCause::CounterExhausted;
        assert_eq!(desk.hub.cards[card].counter.highest, if exhausted { u16::MAX } else { 0 });
        assert_eq!(desk.run(next), Err(Reject::CardLocked));
    }
}

#[test]
fn a_card_collected_and_never_enabled_is_locked_too_and_one_that_is_dead_is_not() {
    for (atc, cause) in [(1_001, LockCause::CounterJumped), (u16::MAX, LockCause::CounterExhausted)] {
        let (mut desk, card) = ward();
        let person = desk.holder(card);
        let new = desk.issue(person, Some(card));
        let first_use = |desk: &Desk, atc| {
            let mut command = with_counter(desk, new, atc);
            let Command::Admit { holder_check, .. } = &mut command else { unreachable!("an admission") };
            *holder_check = HolderCheck::by(CheckMethod::Photo);
            command
        };
        let (jumped, next, dead) = (first_use(&desk, atc), first_use(&desk, 1), first_use(&desk, 2_000));
        desk.run(jumped).unwrap_err();
        assert_eq!(desk.facts[0], Fact::CardLocked { card: new, cause });
        assert_eq!(kinds(&desk), [AlertKind::CounterJump]);
        assert_eq!(desk.run(next.clone()), Err(Reject::CardLocked));
        let stay = desk.admit(card, "2026-02-20").expect("the card before works on");
        desk.run(Command::CancelAdmission { stay }).unwrap();
        if cause == LockCause::CounterJumped {
            desk.run(Command::UnlockCard { card: new, zone: ZoneKind::Insurance, presentation: None }).unwrap();
            desk.run(next).expect("its holder was at a desk");
        }
        desk.run(Command::CancelCard { card: new, cause: CancelCause::Returned }).unwrap();
        let before = desk.hub.clone();
        assert_eq!(desk.run(dead), Err(Reject::CardCancelled));
        assert_eq!(desk.hub, before);
    }
}

#[test]
fn guesses_at_a_lost_card_count_and_say_nothing_of_the_loss() {
    let (mut desk, card) = ward();
    let (subject, verified_by) = (LossSubject::Card(CardKey::Id(card)), "the desk".into());
    let (loss, channel) = (Loss::Formal, Channel::Desk);
    desk.run(Command::ReportLoss { subject, loss, zones: Vec::new(), channel, verified_by, holder: None }).unwrap();
    assert_eq!(guess(&mut desk, card), Err(Reject::CryptogramInvalid));
    assert!(matches!(desk.facts[..], [Fact::CryptogramWrong { count: 1, .. }]));
}
