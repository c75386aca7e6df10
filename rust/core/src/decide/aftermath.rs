//! What a refusal leaves behind.
//!
//! Most refusals leave nothing. A few must be remembered, or they could be tried for ever; such a refusal is a record like any
//! other, binds its request id, and is given again when it is asked again.
//!
//! | refusal | of | leaves |
//! | --- | --- | --- |
//! | `CRYPTOGRAM_INVALID` | a known card, within the institution's day | one more wrong cryptogram there |
//! | `COUNTER_JUMP` | a card in use | the card locked |
//! | `CARD_LOCKED`, the counter ran out | a card in use | the card locked |
//!
//! Invariant: what is left never moves money, a limit or another card.

use crate::card::{Card, LockCause, Shown, ZoneState};
use crate::command::{ChipPresentation, Command, Credential, RequestHeader};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::reject::Reject;

pub(crate) fn of(
    hub: &Hub,
    header: &RequestHeader,
    command: &Command,
    reject: &Reject,
    context: &Context<'_>,
) -> Vec<Fact> {
    let fact = match reject {
        Reject::CryptogramInvalid => wrong_cryptogram(hub, header, command, context),
        Reject::CounterJump { .. } => locked(hub, command, LockCause::CounterJumped, context),
        Reject::CounterExhausted => locked(hub, command, LockCause::CounterExhausted, context),
        _ => None,
    };
    fact.into_iter().collect()
}

fn wrong_cryptogram(hub: &Hub, header: &RequestHeader, command: &Command, context: &Context<'_>) -> Option<Fact> {
    let card = named(hub, chip(command)?)?.id;
    let institution = header.institution;
    // Nobody is counted who never registered: each would be a new row.
    hub.institutions.get(&institution)?;
    let count = hub.wrong_cryptograms.next(institution, card, context.stamp_ms)?;
    Some(Fact::CryptogramWrong { card, institution, count })
}

fn locked(hub: &Hub, command: &Command, cause: LockCause, context: &Context<'_>) -> Option<Fact> {
    let card = named(hub, chip(command)?)?;
    let in_use = card.insurance.shown(hub.moment(card, context.stamp_ms)) == Shown::Plain(ZoneState::Enabled);
    in_use.then_some(Fact::CardLocked { card: card.id, cause })
}

fn named<'a>(hub: &'a Hub, chip: &ChipPresentation) -> Option<&'a Card> {
    hub.cards.get(hub.by_pan.get(&chip.pan)?)
}

fn chip(command: &Command) -> Option<&ChipPresentation> {
    let presentation = match command {
        Command::Admit { presentation, .. } | Command::SettleStay { presentation, .. } => presentation,
        Command::SettleVisit(asked) => &asked.presentation,
        _ => return None,
    };
    match &presentation.credential {
        Credential::Chip(chip) => Some(chip),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
