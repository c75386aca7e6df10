//! What moves the money of persons in the journal, settlements aside.

use medsettle_core::account::{PayOut, PurseMove};
use medsettle_core::fact::Fact;
use medsettle_core::ids::{CardId, PersonId};
use medsettle_core::money::Fen;

use super::facts::region;
use super::settlement::{from_legs, legs};
use crate::convert::{Checked, Coded, at, coded, each, id_if_given};
use crate::v1;
use crate::v1::fact::Fact as Message;

pub(super) fn from_fact(fact: &Fact) -> Message {
    match fact {
        Fact::AccountCredited { person, amount, period_key, legs } => Message::AccountCredited(v1::AccountCredited {
            person_id: person.0,
            amount_fen: amount.0,
            period_key: period_key.to_string(),
            legs: from_legs(legs),
        }),
        Fact::ToppedUp { person, card, account, amount, balance_after, legs } => Message::ToppedUp(v1::ToppedUp {
            person_id: person.0,
            card_id: card.0,
            account: account.number(),
            amount_fen: amount.0,
            balance_after_fen: balance_after.0,
            legs: from_legs(legs),
        }),
        Fact::Purchased { person, card, account, amount, balance_after, terminal, legs } => {
            Message::Purchased(v1::Purchased {
                person_id: person.0,
                card_id: card.0,
                account: account.number(),
                amount_fen: amount.0,
                balance_after_fen: balance_after.0,
                terminal_id: terminal.to_string(),
                legs: from_legs(legs),
            })
        }
        Fact::PayOutMade { person, pay_out, card, legs } => Message::PayOutMade(v1::PayOutMade {
            person_id: person.0,
            claim_number: pay_out.claim_number.to_string(),
            amount_fen: pay_out.amount.0,
            card_id: card.map_or(0, |card| card.0),
            region: pay_out.region.get(),
            legs: from_legs(legs),
        }),
        Fact::PayOutReleased { person, claim_number, card, legs } => Message::PayOutReleased(v1::PayOutReleased {
            person_id: person.0,
            claim_number: claim_number.to_string(),
            card_id: card.0,
            legs: from_legs(legs),
        }),
        Fact::PayOutWithdrawn { person, claim_number, legs } => Message::PayOutWithdrawn(v1::PayOutWithdrawn {
            person_id: person.0,
            claim_number: claim_number.to_string(),
            legs: from_legs(legs),
        }),
        Fact::FamilyLinked { person, payer } => {
            Message::FamilyLinked(v1::FamilyLinked { person_id: person.0, payer_person_id: payer.0 })
        }
        Fact::FamilyUnlinked { person, payer } => {
            Message::FamilyUnlinked(v1::FamilyUnlinked { person_id: person.0, payer_person_id: payer.0 })
        }
        other => unreachable!("not of an account: {other:?}"),
    }
}

pub(super) fn credited(message: v1::AccountCredited) -> Checked<Fact> {
    Ok(Fact::AccountCredited {
        person: PersonId(message.person_id),
        amount: Fen(message.amount_fen),
        period_key: message.period_key.into(),
        legs: legs(message.legs)?,
    })
}

pub(super) fn topped_up(message: v1::ToppedUp) -> Checked<Fact> {
    Ok(Fact::ToppedUp {
        person: PersonId(message.person_id),
        card: CardId(message.card_id),
        account: at("account", coded(message.account))?,
        amount: Fen(message.amount_fen),
        balance_after: Fen(message.balance_after_fen),
        legs: legs(message.legs)?,
    })
}

pub(super) fn purchased(message: v1::Purchased) -> Checked<Fact> {
    Ok(Fact::Purchased {
        person: PersonId(message.person_id),
        card: CardId(message.card_id),
        account: at("account", coded(message.account))?,
        amount: Fen(message.amount_fen),
        balance_after: Fen(message.balance_after_fen),
        terminal: message.terminal_id.into(),
        legs: legs(message.legs)?,
    })
}

pub(super) fn pay_out_made(message: v1::PayOutMade) -> Checked<Fact> {
    let card = id_if_given(message.card_id).map(CardId);
    let pay_out = PayOut {
        claim_number: message.claim_number.into(),
        amount: Fen(message.amount_fen),
        region: at("region", region(message.region))?,
        waiting: card.is_none(),
    };
    Ok(Fact::PayOutMade { person: PersonId(message.person_id), pay_out, card, legs: legs(message.legs)? })
}

pub(super) fn pay_out_released(message: v1::PayOutReleased) -> Checked<Fact> {
    Ok(Fact::PayOutReleased {
        person: PersonId(message.person_id),
        claim_number: message.claim_number.into(),
        card: CardId(message.card_id),
        legs: legs(message.legs)?,
    })
}

pub(super) fn pay_out_withdrawn(message: v1::PayOutWithdrawn) -> Checked<Fact> {
    Ok(Fact::PayOutWithdrawn {
        person: PersonId(message.person_id),
        claim_number: message.claim_number.into(),
        legs: legs(message.legs)?,
    })
}

pub(super) fn from_moves(moves: &[PurseMove]) -> Vec<v1::PurseMoved> {
    let message = |moved: &PurseMove| v1::PurseMoved {
        from_card_id: moved.from.0,
        account: moved.account.number(),
        amount_fen: moved.amount.0,
    };
    moves.iter().map(message).collect()
}

pub(super) fn moves(messages: Vec<v1::PurseMoved>) -> Checked<Vec<PurseMove>> {
    each("moves", messages, |message| {
        Ok(PurseMove {
            from: CardId(message.from_card_id),
            account: at("account", coded(message.account))?,
            amount: Fen(message.amount_fen),
        })
    })
}
