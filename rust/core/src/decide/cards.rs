//! The life of cards: application, making, collection, enabling, loss and cancellation.
//!
//! Invariant: a person has at most one application (a card that is applied for, made or collected and never enabled) and, beside it, at
//! most one card in use; so at most one card per person and zone is enabled (F1).
//! Invariant: enabling the insurance zone of a card and the end of the card that it replaces are one fact (F2).
//! Leaves out: what an event does to one zone (`card::Zone::after`).

use super::{payouts, purses};
use crate::card::{Card, Channel, Event, Loss, Personalisation, TEMPORARY_LOSS_MS, ZoneKind, ZoneState};
use crate::command::{CardKey, CardView, Command, LossSubject, Reply};
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
    payouts::release(hub, &mut facts);
    Ok((facts, reply))
}

fn decide_card(hub: &Hub, command: &Command, context: &Context<'_>) -> Decided {
    let now_ms = context.stamp_ms;
    match command {
        Command::ApplyForCard { person, predecessor, generation } => {
            apply_for(hub, *person, *predecessor, generation, context)
        }
        Command::FailApplication { card, cause } => {
            hub.card(*card)?.after(Event::FailApplication(*cause), now_ms)?;
            Ok((vec![Fact::CardApplicationFailed { card: *card, cause: *cause }], Reply::Done))
        }
        Command::MarkCardMade { card, made, purse } => mark_made(hub, *card, made, *purse, context),
        Command::HandOverCard { card, collected_by } => {
            hub.card(*card)?.after(Event::HandOver, now_ms)?;
            Ok((vec![Fact::CardHandedOver { card: *card, collected_by: collected_by.clone() }], Reply::Done))
        }
        Command::EnableCard { card, zone } => enable(hub, *card, *zone, context),
        Command::ReportLoss { subject, loss, zones, channel, verified_by } => {
            let report = LossReport { loss: *loss, zones, channel: *channel, verified_by };
            report_loss(hub, subject, &report, context)
        }
        Command::WithdrawLoss { card, zones, verified_by } => {
            let (zones, after) = hub.card(*card)?.after_in(zones, Event::WithdrawLoss, now_ms)?;
            let fact = Fact::CardLossWithdrawn { card: *card, zones, verified_by: verified_by.clone() };
            Ok((vec![fact], shown(after, context)))
        }
        Command::CancelCard { card, cause } => {
            let after = hub.card(*card)?.after(Event::Cancel, now_ms)?;
            Ok((vec![Fact::CardCancelled { card: *card, cause: *cause }], shown(after, context)))
        }
        _ => unreachable!("the hub sends commands about cards only"),
    }
}

fn shown(card: Card, context: &Context<'_>) -> Reply {
    Reply::Card(Box::new(CardView { card, at_ms: context.stamp_ms }))
}

/// The person's cards in the order of application.
pub(crate) fn of_person<'a>(hub: &'a Hub, person: &'a Person) -> impl Iterator<Item = &'a Card> {
    person.cards.iter().map(|id| &hub.cards[id])
}

/// The card that a key names.
pub(crate) fn find(hub: &Hub, key: CardKey) -> Result<&Card, Reject> {
    match key {
        CardKey::Id(id) => hub.card(id),
        CardKey::Sn(sn) => hub.card(*hub.by_sn.get(&sn).ok_or_else(|| Reject::CardUnknown)?),
    }
}

fn apply_for(hub: &Hub, id: PersonId, predecessor: Option<CardId>, generation: &str, context: &Context<'_>) -> Decided {
    let person = hub.person(id)?;
    if let Some(predecessor) = predecessor {
        check_predecessor(hub, person, predecessor)?;
    }
    if of_person(hub, person).any(Card::is_application) {
        return Err(Reject::CardExists { field: "person_id" });
    }
    let card = CardId(hub.number.id(context.sequence));
    let generation = generation.into();
    let fact = Fact::CardApplied { card, person: id, region: person.home, generation, predecessor };
    Ok((vec![fact], Reply::CardApplied(card)))
}

/// A card can be replaced once it was in its holder's hands, by one live card.
fn check_predecessor(hub: &Hub, person: &Person, id: CardId) -> Result<(), Reject> {
    let card = hub.card(id)?;
    if card.person != person.id {
        return Err(Reject::CardNotOfPerson);
    }
    let state = card.insurance.state;
    if matches!(state, ZoneState::Applied | ZoneState::Failed(_)) {
        return Err(Reject::CardStateForbids { state, event: "BE_REPLACED" });
    }
    if of_person(hub, person).any(|other| other.predecessor == Some(id) && other.is_live()) {
        return Err(Reject::CardExists { field: "predecessor_card_id" });
    }
    Ok(())
}

fn mark_made(hub: &Hub, id: CardId, made: &Personalisation, purse: Fen, context: &Context<'_>) -> Decided {
    let card = hub.card(id)?;
    card.after(Event::MarkMade, context.stamp_ms)?;
    if hub.by_pan.contains_key(&made.pan) {
        return Err(Reject::CardExists { field: "pan" });
    }
    if hub.by_sn.contains_key(&made.card_sn) {
        return Err(Reject::CardExists { field: "card_sn" });
    }
    let legs = purses::opening(card, made.chip.is_some(), purse)?;
    Ok((vec![Fact::CardMade { card: id, made: made.clone(), purse, legs }], Reply::Done))
}

fn enable(hub: &Hub, id: CardId, zone: ZoneKind, context: &Context<'_>) -> Decided {
    let card = hub.card(id)?;
    card.zone(zone).after(Event::Enable, context.stamp_ms)?;
    let fact = match zone {
        ZoneKind::Insurance => enabling(hub, card, false, context),
        ZoneKind::Bank => {
            // The bank zone cancels nobody: the card before must end, with its insurance zone or at a desk, first.
            if others(hub, card).any(|other| is_in_use(other.bank.state)) {
                return Err(Reject::CardExists { field: "zone" });
            }
            let (moves, legs) = (Vec::new(), Vec::new());
            Fact::CardEnabled { card: id, zone, cancelled: None, by_first_use: false, moves, legs }
        }
    };
    let Fact::CardEnabled { cancelled, .. } = fact else { unreachable!("made just above") };
    Ok((vec![fact], Reply::CardEnabled { cancelled }))
}

/// The insurance zone of a collected card comes into use; the card in use before ends in the same fact. A card that is
/// dead already, above all one formally lost, stays what it is. The holder's money goes along.
pub(crate) fn enabling(hub: &Hub, card: &Card, by_first_use: bool, context: &Context<'_>) -> Fact {
    let ends = |other: &&Card| other.insurance.state == ZoneState::Issued || is_in_use(other.insurance.state);
    let mut ending = others(hub, card).filter(ends);
    let cancelled = ending.next().map(|other| other.id);
    debug_assert!(ending.next().is_none(), "a person has one card in use");
    let (moves, legs) = purses::moving(hub, card, cancelled, context.stamp_ms);
    Fact::CardEnabled { card: card.id, zone: ZoneKind::Insurance, cancelled, by_first_use, moves, legs }
}

pub(super) fn others<'a>(hub: &'a Hub, card: &'a Card) -> impl Iterator<Item = &'a Card> {
    of_person(hub, &hub.persons[&card.person]).filter(|other| other.id != card.id)
}

/// A locked zone is in use: a desk can unlock it.
fn is_in_use(state: ZoneState) -> bool {
    matches!(state, ZoneState::Enabled | ZoneState::Locked)
}

struct LossReport<'a> {
    loss: Loss,
    zones: &'a [ZoneKind],
    channel: Channel,
    verified_by: &'a str,
}

/// One card, or every card of a person that can still be lost: a caller does not know which was in the purse.
fn report_loss(hub: &Hub, subject: &LossSubject, report: &LossReport<'_>, context: &Context<'_>) -> Decided {
    if report.loss == Loss::Formal && !matches!(report.channel, Channel::Desk | Channel::Bank) {
        return Err(Reject::malformed("channel", "a formal loss is reported at a desk or a bank"));
    }
    let cards: Vec<&Card> = match subject {
        LossSubject::Card(key) => vec![find(hub, *key)?],
        LossSubject::Certificate(certificate) => {
            let person = hub.by_certificate.get(certificate).ok_or_else(|| Reject::PersonUnknown)?;
            of_person(hub, hub.person(*person)?).filter(|card| can_be_lost(card)).collect()
        }
    };
    let mut facts = Vec::new();
    let mut views = Vec::new();
    let mut refusal = Reject::CardUnknown;
    for card in cards {
        match card.after_in(report.zones, Event::ReportLoss(report.loss), context.stamp_ms) {
            Ok((zones, after)) => {
                facts.push(reported(card.id, zones, report, context));
                views.push(CardView { card: after, at_ms: context.stamp_ms });
            }
            Err(reject) => refusal = reject,
        }
    }
    if facts.is_empty() { Err(refusal) } else { Ok((facts, Reply::LossReported(views))) }
}

/// Whether a zone of the card is or can come into use, so that a report of all cards means this one too.
fn can_be_lost(card: &Card) -> bool {
    ZoneKind::ALL.into_iter().map(|kind| card.zone(kind).state).any(|s| s == ZoneState::Issued || is_in_use(s))
}

fn reported(card: CardId, zones: Vec<ZoneKind>, report: &LossReport<'_>, context: &Context<'_>) -> Fact {
    Fact::CardReportedLost {
        card,
        zones,
        loss: report.loss,
        until_ms: (report.loss == Loss::Temporary).then_some(context.stamp_ms + TEMPORARY_LOSS_MS),
        channel: report.channel,
        verified_by: report.verified_by.into(),
    }
}

#[cfg(test)]
mod tests;
