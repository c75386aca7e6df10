//! Credentials beside the chip: stripes and tokens.

use super::*;
use crate::card::{Personalisation, ZoneKind};
use crate::command::{Command, Reply};
use crate::decide::fixture::ward::{DISTANT, LOCAL, code, ward_policy};
use crate::decide::fixture::{Desk, card_sn, day, personalisation};
use crate::fact::Fact;
use crate::ids::{CardId, StayId};
use crate::money::Fen;
use crate::stay::AdmissionKind;
use crate::token::TokenId;

/// A patient with a card in use, made like this.
fn patient(change: impl Fn(Personalisation) -> Personalisation) -> (Desk, CardId) {
    let mut desk = Desk::ward(ward_policy());
    let person = desk.enrol("P1");
    let card = desk.apply_for(person, None).unwrap();
    desk.run(Command::MarkCardMade { card, made: change(personalisation(card.0)), purse: Fen::ZERO }).unwrap();
    desk.run(Command::HandOverCard { card, collected_by: "the holder".into() }).unwrap();
    desk.run(Command::EnableCard { card, zone: ZoneKind::Insurance }).unwrap();
    (desk, card)
}

fn admit(desk: &mut Desk, credential: Credential, check: HolderCheck) -> Result<StayId, Reject> {
    let command = Command::Admit {
        presentation: Presentation { credential, terminal: "T1".into() },
        holder_check: check,
        admission: day("2026-02-20"),
        kind: AdmissionKind::Planned,
        department: "surgery".into(),
        diagnosis: "K35".into(),
    };
    match desk.run(command)? {
        Reply::Admitted(admitted) => Ok(admitted.stay),
        other => panic!("an admission was answered with {other:?}"),
    }
}

fn chipless(mut made: Personalisation) -> Personalisation {
    made.chip = None;
    made
}

#[test]
fn a_card_without_a_chip_is_read_by_its_stripe_at_home_with_its_holder_checked() {
    let (mut desk, card) = patient(chipless);
    let stripe = Credential::Stripe(desk.hub.cards[card].made.as_ref().unwrap().card_sn);
    assert_eq!(admit(&mut desk, stripe.clone(), HolderCheck::default()), Err(Reject::HolderNotVerified));
    desk.act_as(DISTANT);
    assert_eq!(admit(&mut desk, stripe.clone(), HolderCheck::by(CheckMethod::Photo)), Err(Reject::CardHomeRegionOnly));
    desk.act_as(LOCAL);
    admit(&mut desk, stripe, HolderCheck::by(CheckMethod::Photo)).unwrap();
    let [Fact::PatientAdmitted { shown, .. }] = &desk.facts[..] else { panic!("{:?}", desk.facts) };
    assert!(matches!(shown, CredentialShown::Stripe { card: used, .. } if *used == card));
}

#[test]
fn a_card_with_a_chip_is_not_read_by_its_stripe_and_one_without_shows_no_cryptogram() {
    let (mut desk, card) = patient(|made| made);
    let stripe = Credential::Stripe(desk.hub.cards[card].made.as_ref().unwrap().card_sn);
    assert_eq!(admit(&mut desk, stripe, HolderCheck::by(CheckMethod::Photo)), Err(Reject::CredentialNotAccepted));
    let chip = Credential::Chip(desk.chip(card));
    let (mut desk, _) = patient(chipless);
    assert_eq!(
        admit(&mut desk, chip, HolderCheck::by(CheckMethod::Photo)),
        Err(Reject::SchemeNotAllowed { key_index: 1 })
    );
}

/// A token for the card, valid for three minutes around the desk's present.
fn token(desk: &Desk, card: CardId, id: u8) -> Token {
    Token {
        id: TokenId([id; 16]),
        card_sn: desk.hub.cards[card].made.as_ref().unwrap().card_sn,
        audience: desk.actor.institution,
        issued_ms: desk.now_ms - 60_000,
        expires_ms: desk.now_ms + 120_000,
    }
}

#[test]
fn a_token_stands_for_its_card_once() {
    let (mut desk, card) = patient(|made| made);
    desk.verdict = Verdict::Signed;
    let shown = token(&desk, card, 1);
    let stay = admit(&mut desk, Credential::Electronic(shown), HolderCheck::default()).unwrap();
    desk.run(Command::CancelAdmission { stay }).unwrap();
    assert_eq!(admit(&mut desk, Credential::Electronic(shown), HolderCheck::default()), Err(Reject::TokenUsed));
    let another = token(&desk, card, 2);
    let stay = admit(&mut desk, Credential::Electronic(another), HolderCheck::default()).unwrap();
    // Once it is over it is refused for that, and no longer remembered.
    desk.now_ms = shown.expires_ms + 1;
    let later = token(&desk, card, 3);
    let over = Reject::TokenExpired { expires_ms: shown.expires_ms };
    assert_eq!(admit(&mut desk, Credential::Electronic(shown), HolderCheck::default()), Err(over));
    assert!(desk.hub.used_tokens.contains(shown.id, shown.expires_ms));
    desk.run(Command::CancelAdmission { stay }).unwrap();
    admit(&mut desk, Credential::Electronic(later), HolderCheck::default()).unwrap();
    assert!(!desk.hub.used_tokens.contains(shown.id, shown.expires_ms));
}

#[test]
fn a_token_is_for_one_institution_and_for_five_minutes_and_signed() {
    type Bend = fn(&mut Token);
    for (bend, reject) in [
        ((|token| token.audience = code(DISTANT)) as Bend, Reject::TokenInvalid),
        (|token| token.expires_ms = token.issued_ms + MAX_TOKEN_LIFE_MS + 1, Reject::TokenInvalid),
        (|token| token.expires_ms = token.issued_ms, Reject::TokenInvalid),
        (|token| token.card_sn = card_sn(9), Reject::CardUnknown),
    ] {
        let (mut desk, card) = patient(|made| made);
        desk.verdict = Verdict::Signed;
        let mut bent = token(&desk, card, 1);
        bend(&mut bent);
        assert_eq!(admit(&mut desk, Credential::Electronic(bent), HolderCheck::default()), Err(reject));
    }
    let (mut desk, card) = patient(|made| made);
    let shown = Credential::Electronic(token(&desk, card, 1));
    for verdict in [Verdict::Invalid, Verdict::NotPresented, Verdict::Valid { arpc: [1; 8] }] {
        desk.verdict = verdict;
        assert_eq!(admit(&mut desk, shown.clone(), HolderCheck::default()), Err(Reject::TokenInvalid));
    }
}

#[test]
fn a_token_of_a_lost_card_is_refused_like_the_card() {
    let (mut desk, card) = patient(|made| made);
    desk.verdict = Verdict::Signed;
    let shown = token(&desk, card, 1);
    desk.hub.cards.get_mut(card).unwrap().insurance.state = crate::card::ZoneState::FormalLost;
    let lost = Err(Reject::CardLost { until_ms: None });
    assert_eq!(admit(&mut desk, Credential::Electronic(shown), HolderCheck::default()), lost);
}
