//! Reports of loss and their withdrawal.
//!
//! Invariant: a report kills at once every zone that it names and that can still be killed; it never extends a temporary loss.
//! Invariant: whoever was verified as one person touches no card of another.

use super::{Decided, find, of_person, shown, view};
use crate::card::{Card, Channel, Event, Loss, TEMPORARY_LOSS_MS, ZoneKind, ZoneState};
use crate::command::{Command, LossSubject, Reply};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{CardId, PersonId};
use crate::person::Certificate;
use crate::reject::Reject;

pub(super) fn decide(hub: &Hub, command: &Command, context: &Context<'_>) -> Decided {
    match command {
        Command::ReportLoss { subject, loss, zones, channel, verified_by, holder } => {
            let report = LossReport { loss: *loss, zones, channel: *channel, verified_by };
            report_loss(hub, subject, holder.as_ref(), &report, context)
        }
        Command::WithdrawLoss { card, zones, verified_by } => {
            let card = hub.card(*card)?;
            let now = hub.moment(card, context.stamp_ms);
            let (zones, after) = card.after_in(zones, Event::WithdrawLoss, now)?;
            let fact = Fact::CardLossWithdrawn { card: card.id, zones, verified_by: verified_by.clone() };
            Ok((vec![fact], shown(hub, &after, context)))
        }
        _ => unreachable!("only losses are sent here"),
    }
}

struct LossReport<'a> {
    loss: Loss,
    zones: &'a [ZoneKind],
    channel: Channel,
    verified_by: &'a str,
}

/// One card, or every card of a person that can still be lost: a caller does not know which was in the purse.
fn report_loss(
    hub: &Hub,
    subject: &LossSubject,
    holder: Option<&Certificate>,
    report: &LossReport<'_>,
    context: &Context<'_>,
) -> Decided {
    if report.loss == Loss::Formal && !matches!(report.channel, Channel::Desk | Channel::Bank) {
        return Err(Reject::malformed("channel", "a formal loss is reported at a desk or a bank"));
    }
    let mut refusal = Reject::CardUnknown;
    let (person, cards): (PersonId, Vec<&Card>) = match subject {
        LossSubject::Card(key) => {
            let card = find(hub, *key)?;
            (card.person, vec![card])
        }
        LossSubject::Certificate(certificate) => {
            let person = hub.person(named(hub, certificate)?)?;
            if of_person(hub, person).any(is_lost_for_ever) {
                refusal = Reject::CardLost { until_ms: None };
            }
            (person.id, of_person(hub, person).filter(|card| can_be_lost(card)).collect())
        }
    };
    if let Some(holder) = holder
        && named(hub, holder)? != person
    {
        return Err(Reject::CardNotOfPerson);
    }
    let mut facts = Vec::new();
    let mut views = Vec::new();
    for card in cards {
        let now = hub.moment(card, context.stamp_ms);
        match card.after_in(report.zones, Event::ReportLoss(report.loss), now) {
            Ok((zones, after)) => {
                facts.push(reported(card.id, zones, report, context));
                views.push(view(hub, &after, context));
            }
            Err(reject) => refusal = reject,
        }
    }
    if facts.is_empty() { Err(refusal) } else { Ok((facts, Reply::LossReported(views))) }
}

fn named(hub: &Hub, certificate: &Certificate) -> Result<PersonId, Reject> {
    hub.person_named(certificate).ok_or_else(|| Reject::PersonUnknown)
}

/// Whether a zone of the card is or can come into use, so that a report of all cards means this one too.
fn can_be_lost(card: &Card) -> bool {
    ZoneKind::ALL.into_iter().any(|kind| card.zone(kind).state.is_in_hand())
}

/// Whether a zone was reported before, so that its holder may go on to a replacement.
fn is_lost_for_ever(card: &Card) -> bool {
    ZoneKind::ALL.into_iter().any(|kind| card.zone(kind).state == ZoneState::FormalLost)
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
