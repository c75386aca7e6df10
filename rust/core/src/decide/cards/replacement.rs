//! Replacement on the spot: a holder whose card is formally lost leaves the desk with a new one.
//!
//! Invariant: application, making, collection and, if asked, enabling are one record; a refusal leaves none of them.

use super::{Decided, check_application, check_numbers, enabling, is_replaced, of_person, shown};
use crate::card::{Card, Event, Generation, Personalisation, ZoneKind, ZoneState};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::CardId;
use crate::money::Fen;
use crate::person::Person;
use crate::reject::Reject;

/// Who takes a card that is made on the spot: the person who stands at the desk and was identified for the report.
const COLLECTED_BY: &str = "holder";

/// The new card.
pub(super) struct New<'a> {
    pub(super) made: &'a Personalisation,
    pub(super) generation: &'a str,
    pub(super) enable: bool,
}

pub(super) fn decide(hub: &Hub, lost: CardId, new: &New<'_>, context: &Context<'_>) -> Decided {
    let lost = hub.card(lost)?;
    let person = hub.person(lost.person)?;
    check_lost(hub, lost, person, context)?;
    check_application(hub, person, new.generation, context)?;
    check_numbers(hub, new.made, context)?;
    let id = CardId(hub.number.id(context.sequence));
    let (region, generation) = (person.home, Box::from(new.generation));
    let mut card = Card::applied(id, person.id, region, Generation::new(generation), Some(lost.id));
    let now = hub.moment(&card, context.stamp_ms);
    card = card.after(Event::MarkMade, now)?.after(Event::HandOver, now)?;
    card.made = Some(new.made.clone());
    let mut facts = vec![
        Fact::CardApplied {
            card: id,
            person: person.id,
            region,
            generation: Box::clone(&card.generation),
            predecessor: card.seldom.predecessor,
        },
        Fact::CardMade { card: id, made: new.made.clone(), purse: Fen::ZERO, legs: Vec::new() },
        Fact::CardHandedOver { card: id, collected_by: COLLECTED_BY.into() },
    ];
    if new.enable {
        card.insurance = card.insurance.after(Event::Enable, now)?;
        facts.push(enabling(hub, &card, false, context));
    }
    Ok((facts, shown(hub, &card, context)))
}

/// Only a card that is lost for ever, was not replaced yet and beside which none is in use is replaced on the spot; any other exchange
/// is planned, by an application.
fn check_lost(hub: &Hub, lost: &Card, person: &Person, context: &Context<'_>) -> Result<(), Reject> {
    let shown = lost.zone(ZoneKind::Insurance).shown(hub.moment(lost, context.stamp_ms)).name();
    if lost.insurance.state != ZoneState::FormalLost {
        return Err(Reject::CardStateForbids { state: shown, event: "REPLACE" });
    }
    if is_replaced(hub, person, lost.id, context) {
        return Err(Reject::CardExists { field: "lost_card_id" });
    }
    // The card that was to be exchanged for the lost one works until the replacement is enabled; any other in use shows that this
    // card's holder was given another already.
    let before = predecessors(hub, lost);
    let in_use = |card: &&Card| card.insurance.state == ZoneState::Enabled && !before.contains(&card.id);
    if of_person(hub, person).find(in_use).is_some() {
        return Err(Reject::CardExists { field: "lost_card_id" });
    }
    Ok(())
}

fn predecessors(hub: &Hub, card: &Card) -> Vec<CardId> {
    std::iter::successors(card.seldom.predecessor, |id| hub.cards[*id].seldom.predecessor).collect()
}
