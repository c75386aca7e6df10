//! The life of cards: application, making, collection, enabling, loss and cancellation.
//!
//! Invariant: a person has at most one application (a card that is applied for, made or collected and never enabled) and, beside it, at
//! most one card in use; so at most one card per person and zone is enabled (F1).
//! Invariant: enabling the insurance zone of a card and the end of the card that it replaces are one fact (F2).
//! Leaves out: what an event does to one zone (`card::Zone::after`), losses and what follows them (`loss`, `replacement`, `unlocking`).

mod loss;
mod replacement;
mod unlocking;

use super::{payouts, purses};
use crate::card::{Card, Chip, Event, Personalisation, ZoneKind, ZoneState};
use crate::command::{CardKey, CardView, Command, Reply, Verdict};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{CardId, PersonId};
use crate::money::Fen;
use crate::person::Person;
use crate::reject::Reject;

type Decided = Result<(Vec<Fact>, Reply), Reject>;

/// Whatever brings a bank zone into use pays out in the same record what waits for one.
pub(crate) fn decide(hub: &Hub, command: &Command, context: &Context<'_>) -> Decided {
    let (mut facts, reply) = decide_card(hub, command, context)?;
    payouts::release(hub, &mut facts, context.stamp_ms);
    Ok((facts, reply))
}

fn decide_card(hub: &Hub, command: &Command, context: &Context<'_>) -> Decided {
    let known = |id: CardId| hub.card(id).map(|card| (card, hub.moment(card, context.stamp_ms)));
    match command {
        Command::ApplyForCard { person, predecessor, generation } => {
            apply_for(hub, *person, *predecessor, generation, context)
        }
        Command::FailApplication { card, cause } => {
            let (applied, now) = known(*card)?;
            applied.after(Event::FailApplication(*cause), now)?;
            Ok((vec![Fact::CardApplicationFailed { card: *card, cause: *cause }], Reply::Done))
        }
        Command::MarkCardMade { card, made, purse } => mark_made(hub, *card, made, *purse, context),
        Command::HandOverCard { card, collected_by } => {
            let (made, now) = known(*card)?;
            made.after(Event::HandOver, now)?;
            Ok((vec![Fact::CardHandedOver { card: *card, collected_by: collected_by.clone() }], Reply::Done))
        }
        Command::EnableCard { card, zone } => enable(hub, *card, *zone, context),
        Command::ReportLoss { .. } | Command::WithdrawLoss { .. } => loss::decide(hub, command, context),
        Command::ReplaceCard { lost, made, generation, enable } => {
            let new = replacement::New { made, generation, enable: *enable };
            replacement::decide(hub, *lost, &new, context)
        }
        Command::UnlockCard { card, zone, presentation } => {
            unlocking::decide(hub, *card, *zone, presentation.as_ref(), context)
        }
        Command::CancelCard { card, cause } => {
            let (card, now) = known(*card)?;
            let (zones, after) = card.after_in(&[], Event::Cancel, now)?;
            Ok((vec![Fact::CardCancelled { card: card.id, zones, cause: *cause }], shown(hub, &after, context)))
        }
        _ => unreachable!("the hub sends commands about cards only"),
    }
}

/// A card as it is shown at the stamp.
pub(crate) fn view(hub: &Hub, card: &Card, context: &Context<'_>) -> CardView {
    CardView { card: card.clone(), at: hub.moment(card, context.stamp_ms) }
}

fn shown(hub: &Hub, card: &Card, context: &Context<'_>) -> Reply {
    Reply::Card(Box::new(view(hub, card, context)))
}

/// The person's cards in the order of application.
pub(crate) fn of_person<'a>(hub: &'a Hub, person: &'a Person) -> impl Iterator<Item = &'a Card> {
    person.cards.iter().map(|id| &hub.cards[*id])
}

/// The card that a key names.
pub(crate) fn find(hub: &Hub, key: CardKey) -> Result<&Card, Reject> {
    match key {
        CardKey::Id(id) => hub.card(id),
        CardKey::Sn(sn) => hub.card(hub.card_with_sn(&sn).ok_or_else(|| Reject::CardUnknown)?),
    }
}

fn apply_for(hub: &Hub, id: PersonId, predecessor: Option<CardId>, generation: &str, context: &Context<'_>) -> Decided {
    let person = hub.person(id)?;
    if let Some(predecessor) = predecessor {
        check_predecessor(hub, person, predecessor, context)?;
    }
    check_application(hub, person, generation, context)?;
    let card = CardId(hub.number.id(context.sequence));
    let generation = generation.into();
    let fact = Fact::CardApplied { card, person: id, region: person.home, generation, predecessor };
    Ok((vec![fact], Reply::CardApplied(card)))
}

/// Whether a person may get a card of a generation: one at a time, and none that no longer works.
fn check_application(hub: &Hub, person: &Person, generation: &str, context: &Context<'_>) -> Result<(), Reject> {
    if of_person(hub, person).any(|card| card.is_application(hub.moment(card, context.stamp_ms))) {
        return Err(Reject::CardExists { field: "person_id" });
    }
    match hub.retirements.cut_over(&hub.regions, person.home, generation) {
        Some(cut_over) if cut_over <= context.today() => Err(Reject::GenerationRetired { cut_over }),
        _ => Ok(()),
    }
}

/// A card can be replaced once it was in its holder's hands, and once.
fn check_predecessor(hub: &Hub, person: &Person, id: CardId, context: &Context<'_>) -> Result<(), Reject> {
    let card = hub.card(id)?;
    if card.person != person.id {
        return Err(Reject::CardNotOfPerson);
    }
    let state = card.insurance.state;
    if matches!(state, ZoneState::Applied | ZoneState::Failed(_)) {
        return Err(Reject::CardStateForbids { state: state.into(), event: "BE_REPLACED" });
    }
    if is_replaced(hub, person, id, context) {
        return Err(Reject::CardExists { field: "predecessor_card_id" });
    }
    Ok(())
}

/// Whether a card has a successor, or a successor of one, that is alive or was lost: it is that card's turn to be replaced.
/// One that failed, was cancelled or never reached the holder before its generation ended stands in nobody's way.
fn is_replaced(hub: &Hub, person: &Person, id: CardId, context: &Context<'_>) -> bool {
    // Successors come later in the order of application, so one walk follows every line.
    let mut line = vec![id];
    for card in of_person(hub, person) {
        if !card.seldom.predecessor.is_some_and(|predecessor| line.contains(&predecessor)) {
            continue;
        }
        let gone = match card.insurance.state {
            ZoneState::Failed(_) | ZoneState::Cancelled => true,
            ZoneState::Applied | ZoneState::Made => hub.moment(card, context.stamp_ms).retired,
            ZoneState::Issued | ZoneState::Enabled | ZoneState::FormalLost => false,
        };
        if !gone {
            return true;
        }
        line.push(card.id);
    }
    false
}

fn mark_made(hub: &Hub, id: CardId, made: &Personalisation, purse: Fen, context: &Context<'_>) -> Decided {
    let card = hub.card(id)?;
    card.after(Event::MarkMade, hub.moment(card, context.stamp_ms))?;
    check_numbers(hub, made, context)?;
    let legs = purses::opening(card, made.chip.is_some(), purse)?;
    Ok((vec![Fact::CardMade { card: id, made: made.clone(), purse, legs }], Reply::Done))
}

/// A number and a recognition code name one card, and its key is one with which the hub can tell its cryptograms.
fn check_numbers(hub: &Hub, made: &Personalisation, context: &Context<'_>) -> Result<(), Reject> {
    if let (Some(Chip { key_index, .. }), Verdict::SchemeNotAllowed) = (made.chip, context.verdict) {
        return Err(Reject::SchemeNotAllowed { key_index });
    }
    if hub.card_with_pan(&made.pan).is_some() {
        return Err(Reject::CardExists { field: "pan" });
    }
    if hub.card_with_sn(&made.card_sn).is_some() {
        return Err(Reject::CardExists { field: "card_sn" });
    }
    Ok(())
}

fn enable(hub: &Hub, id: CardId, zone: ZoneKind, context: &Context<'_>) -> Decided {
    let card = hub.card(id)?;
    card.zone(zone).after(Event::Enable, hub.moment(card, context.stamp_ms))?;
    let fact = match zone {
        ZoneKind::Insurance => enabling(hub, card, false, context),
        ZoneKind::Bank => {
            // The bank zone cancels nobody: the card before must end, with its insurance zone or at a desk, first.
            if others(hub, card).any(|other| other.bank.state == ZoneState::Enabled) {
                return Err(Reject::CardExists { field: "zone" });
            }
            let (moves, legs) = (Vec::new(), Vec::new());
            Fact::CardEnabled { card: id, zone, cancelled: None, by_first_use: false, moves, legs }
        }
    };
    let Fact::CardEnabled { cancelled, .. } = fact else { unreachable!("made just above") };
    Ok((vec![fact], Reply::CardEnabled { cancelled }))
}

/// The insurance zone of a collected card comes into use; the card in use before ends in the same fact, or else one that was formally
/// lost for settlements and whose bank zone was not, or else one that was made and whose generation ended before it came into use. A card
/// of which both zones are dead already, above all one formally lost, stays what it is.
/// The holder's money goes along.
pub(crate) fn enabling(hub: &Hub, card: &Card, by_first_use: bool, context: &Context<'_>) -> Fact {
    let in_state = |states: &'static [ZoneState]| {
        others(hub, card).filter(move |other| states.contains(&other.insurance.state)).map(|other| other.id)
    };
    let mut in_use = in_state(&[ZoneState::Enabled]);
    let cancelled = in_use
        .next()
        .or_else(|| half_lost(hub, card))
        .or_else(|| in_state(&[ZoneState::Issued, ZoneState::Made]).next());
    debug_assert!(in_use.next().is_none(), "a person has one card in use");
    let ends = |ended: &Card| ended.after(Event::Supersede, hub.moment(ended, context.stamp_ms));
    debug_assert!(cancelled.is_none_or(|id| ends(&hub.cards[id]).is_ok()), "the card before ends as the table says");
    let (moves, legs) = purses::moving(hub, card, cancelled, context.stamp_ms);
    Fact::CardEnabled { card: card.id, zone: ZoneKind::Insurance, cancelled, by_first_use, moves, legs }
}

/// The card of which only the insurance zone is formally lost: the one whose bank zone is in use, or else the latest.
fn half_lost(hub: &Hub, card: &Card) -> Option<CardId> {
    others(hub, card)
        .filter(|other| other.insurance.state == ZoneState::FormalLost && other.bank.state.is_in_hand())
        .max_by_key(|other| other.bank.state == ZoneState::Enabled)
        .map(|other| other.id)
}

pub(super) fn others<'a>(hub: &'a Hub, card: &'a Card) -> impl Iterator<Item = &'a Card> {
    of_person(hub, &hub.persons[card.person]).filter(|other| other.id != card.id)
}

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod tests;
