//! Unlocking at a desk, with or without the chip in hand.
//!
//! Invariant: a counter that has run out is never unlocked; a counter that has jumped goes on only from a value that the chip itself
//! signed today.

use super::{Decided, shown};
use crate::card::{Event, ZoneKind};
use crate::command::Presentation;
use crate::decide::presentation;
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::CardId;
use crate::reject::Reject;

pub(super) fn decide(
    hub: &Hub,
    id: CardId,
    zone: ZoneKind,
    presentation: Option<&Presentation>,
    context: &Context<'_>,
) -> Decided {
    let card = hub.card(id)?;
    let mut after = card.clone();
    *after.zone_mut(zone) = card.zone(zone).after(Event::Unlock, hub.moment(card, context.stamp_ms))?;
    if card.counter.is_exhausted() {
        return Err(Reject::CounterExhausted);
    }
    let atc = match presentation {
        None => None,
        Some(shown) => {
            let atc = presentation::signed_at_desk(hub, card, shown, context)?;
            after.counter = card.counter.reset_to(atc)?;
            Some(atc)
        }
    };
    Ok((vec![Fact::CardUnlocked { card: id, zone, atc }], shown(hub, &after, context)))
}

#[cfg(test)]
mod tests;
