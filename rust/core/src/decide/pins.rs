//! PINs: set at a desk, compared anywhere, counted before they are answered.
//!
//! Invariant: a card that is lost, locked or over is refused before its PIN is looked at, so it tells nothing about the PIN.
//! Leaves out what a wrong one leaves behind (`aftermath`).

use super::cards;
use crate::card::Card;
use crate::command::{CardKey, Reply};
use crate::fact::Fact;
use crate::hub::{Context, Hub, role};
use crate::ids::{CardId, CardSn};
use crate::reject::Reject;

type Decided = Result<(Vec<Fact>, Reply), Reject>;

/// A new PIN, also for a card that too many wrong ones have locked.
pub(crate) fn set(hub: &Hub, id: CardId, context: &Context<'_>) -> Decided {
    let card = hub.card(id)?;
    match card.may_settle(hub.moment(card, context.stamp_ms), true) {
        Ok(_) | Err(Reject::CardLocked) => {}
        Err(refusal) => return Err(refusal),
    }
    let hashed = context.pin.hashed(id).ok_or(Reject::PinKeyMissing)?;
    Ok((vec![Fact::PinSet { card: id, hashed }], Reply::Done))
}

/// Compares at a desk, or at an institution that is registered: each try costs the holder one, so nobody unknown has any.
pub(crate) fn verify(hub: &Hub, card: CardSn, context: &Context<'_>) -> Decided {
    if context.actor.roles & role::DESK == 0 {
        hub.institution(context.actor.institution)?;
    }
    let card = cards::find(hub, CardKey::Sn(card))?;
    card.may_settle(hub.moment(card, context.stamp_ms), true)?;
    compare(card, context)?;
    Ok((vec![Fact::PinVerified { card: card.id }], Reply::Done))
}

/// Whether the PIN that came is the card's.
pub(crate) fn compare(card: &Card, context: &Context<'_>) -> Result<(), Reject> {
    let pin = card.seldom.pin.ok_or(Reject::PinNotSet)?;
    let shown = context.pin.hashed(card.id).ok_or(Reject::PinKeyMissing)?;
    if shown.key_check != pin.hashed.key_check {
        return Err(Reject::PinKeyMissing);
    }
    if shown.hash == pin.hashed.hash {
        Ok(())
    } else {
        Err(Reject::PinWrong { tries_left: pin.tries_left().saturating_sub(1) })
    }
}

#[cfg(test)]
mod tests;
