//! What a refusal leaves behind.
//!
//! Most refusals leave nothing. A few must be remembered, or they could be tried for ever; such a refusal is a record like any
//! other, binds its request id, and is given again when it is asked again.
//!
//! | refusal | of | leaves |
//! | --- | --- | --- |
//! | `CRYPTOGRAM_INVALID` | a known card, within the institution's day | one more wrong cryptogram there; an alert at the third |
//! | `COUNTER_JUMP` | a card in use, or collected and shown for its first use | the card locked, an alert |
//! | `CARD_LOCKED`, the counter ran out | the same | the card locked, an alert |
//! | `PIN_WRONG` | a card in use | one try less; at the sixth the card locked, an alert |
//!
//! A counter is looked at only after the cryptogram that signs it was right, so nobody locks a card without its chip.
//!
//! Invariant: what is left never moves money, a limit or another card.

use super::alerts::{self, Sighting};
use super::cards;
use crate::alert::AlertKind;
use crate::card::{Card, Event, LockCause};
use crate::command::{CardKey, ChipPresentation, Command, Credential, RequestHeader};
use crate::fact::Fact;
use crate::guess::MAX_WRONG;
use crate::hub::{Context, Hub};
use crate::ids::InstitutionCode;
use crate::pin::MAX_WRONG_PINS;
use crate::reject::Reject;

pub(crate) fn of(
    hub: &Hub,
    header: &RequestHeader,
    command: &Command,
    reject: &Reject,
    context: &Context<'_>,
) -> Vec<Fact> {
    let cause = match reject {
        Reject::CryptogramInvalid => return wrong_cryptogram(hub, header, command, context).unwrap_or_default(),
        Reject::PinWrong { tries_left } => {
            return wrong_pin(hub, header, command, *tries_left, context).unwrap_or_default();
        }
        Reject::CounterJump { .. } => LockCause::CounterJumped,
        Reject::CounterRanOut => LockCause::CounterExhausted,
        _ => return Vec::new(),
    };
    locked(hub, header, command, cause, context).unwrap_or_default()
}

fn wrong_cryptogram(hub: &Hub, header: &RequestHeader, command: &Command, context: &Context<'_>) -> Option<Vec<Fact>> {
    let card = named(hub, chip(command)?)?;
    let institution = header.institution;
    // Nobody is counted who never registered: each would be a new row.
    hub.institutions.get(institution)?;
    let count = hub.wrong_cryptograms.next(institution, card.id, context.stamp_ms)?;
    let mut facts = vec![Fact::CryptogramWrong { card: card.id, institution, count }];
    if count == MAX_WRONG {
        let text = format!("{count} wrong cryptograms within a day; the card is refused here for a day");
        facts.extend(alert(hub, AlertKind::WrongCryptograms, card, institution, text, context));
    }
    Some(facts)
}

fn wrong_pin(
    hub: &Hub,
    header: &RequestHeader,
    command: &Command,
    tries_left: u32,
    context: &Context<'_>,
) -> Option<Vec<Fact>> {
    let (Command::VerifyPin { card } | Command::Purchase { card, .. }) = command else { return None };
    let card = cards::find(hub, CardKey::Sn(*card)).ok()?;
    let mut facts = vec![Fact::PinWrong { card: card.id, count: MAX_WRONG_PINS - tries_left }];
    if tries_left == 0 {
        facts.push(Fact::CardLocked { card: card.id, cause: LockCause::WrongPins });
        let text = format!("{MAX_WRONG_PINS} wrong PINs; the card is locked");
        facts.extend(alert(hub, AlertKind::WrongPins, card, header.institution, text, context));
    }
    Some(facts)
}

fn locked(
    hub: &Hub,
    header: &RequestHeader,
    command: &Command,
    cause: LockCause,
    context: &Context<'_>,
) -> Option<Vec<Fact>> {
    let chip = chip(command)?;
    let card = named(hub, chip)?;
    card.insurance.after(Event::Lock, hub.moment(card, context.stamp_ms)).ok()?;
    let text = format!("counter {} after {}; the card is locked", chip.atc, card.counter.highest);
    let mut facts = vec![Fact::CardLocked { card: card.id, cause }];
    facts.extend(alert(hub, AlertKind::CounterJump, card, header.institution, text, context));
    Some(facts)
}

fn alert(
    hub: &Hub,
    kind: AlertKind,
    card: &Card,
    institution: InstitutionCode,
    text: String,
    context: &Context<'_>,
) -> Option<Fact> {
    let (person, card) = (card.person, Some(card.id));
    let sighting = Sighting { kind, person, card, settlement: None, stay: None, institution, package: None, text };
    alerts::raise(hub, 0, sighting, context)
}

fn named<'a>(hub: &'a Hub, chip: &ChipPresentation) -> Option<&'a Card> {
    hub.cards.get(hub.card_with_pan(&chip.pan)?)
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
