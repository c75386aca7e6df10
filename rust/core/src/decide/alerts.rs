//! What alert rules see when a card is shown, and who looks at it afterwards.
//!
//! Invariant: a hard rule refuses before anything is left behind; what soft rules see stands in the record of what they let pass.
//! Invariant: nothing is allocated unless a rule sees something.
//! Leaves out: what each kind of rule looks for (`signs`), and installing packages of rules (`packages`).
//!
//! | | admission | settlement of a stay | visit |
//! | --- | --- | --- | --- |
//! | `TWO_PLACES`, `MANY_INSTITUTIONS`, `SEX_CONFLICT`, `AGE_CONFLICT` | yes | yes | yes |
//! | `OVERLAP_WITH_STAY` | visits on later days | - | stays that hold its day |
//! | `NEAR_CAP` | - | yes | yes |
//! | `READMISSION` | yes | - | - |
//! | `MANY_PURCHASES` | - | - | at a pharmacy |

mod signs;

use std::sync::Arc;

use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::alert::{AlertFilter, AlertKind, AlertView, MAX_OPEN_PER_PERSON};
use crate::command::{HolderCheck, Page, Reply, RequestHeader};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{AlertId, CardId, Hash32, InstitutionCode, PersonId, RegionCode, SettlementId, StayId};
use crate::person::Person;
use crate::reject::Reject;
use crate::settlement::Settlement;
use crate::stay::{AdmissionKind, Stay};
use crate::trail::Use;

/// What a card is shown for, as rules look at it.
pub(crate) struct Seen<'a> {
    /// Whose card.
    person: &'a Person,
    /// Whom the institution saw.
    holder: HolderCheck,
    /// Whose rules.
    insured: RegionCode,
    /// What will be noted of it.
    used: Use,
    subject: Subject<'a>,
}

/// What it is about.
enum Subject<'a> {
    Admission {
        stay: StayId,
        kind: AdmissionKind,
    },
    /// With each year as it will be.
    Settlement {
        settlement: &'a Settlement,
        years: &'a [(AccumulatorKey, Accumulators)],
    },
}

impl<'a> Seen<'a> {
    /// A patient is admitted.
    pub(crate) fn admission(
        person: &'a Person,
        holder: HolderCheck,
        stay: &Stay,
        card: Option<CardId>,
        context: &Context<'_>,
    ) -> Self {
        let used = Use::at_admission(stay, card, context.stamp_ms);
        let subject = Subject::Admission { stay: stay.id, kind: stay.kind };
        Self { person, holder, insured: stay.insured_region, used, subject }
    }

    /// A stay or a visit is settled.
    pub(crate) fn settlement(
        person: &'a Person,
        holder: HolderCheck,
        settlement: &'a Settlement,
        years: &'a [(AccumulatorKey, Accumulators)],
    ) -> Self {
        let used = Use::at_settlement(settlement);
        let subject = Subject::Settlement { settlement, years };
        Self { person, holder, insured: settlement.case.insured_region, used, subject }
    }
}

/// Look with every rule in force for the insured region today. What soft rules see is added to the facts; a hard rule refuses.
pub(crate) fn look(
    hub: &Hub,
    seen: &Seen<'_>,
    context: &Context<'_>,
    facts: &mut Vec<Fact>,
) -> Result<Vec<AlertId>, Reject> {
    let mut raised = Vec::new();
    let Some((package, rules)) = hub.alert_rules(seen.insured, context) else { return Ok(raised) };
    for rule in &rules.rules {
        let Some(text) = signs::seen_by(hub, rule, seen) else { continue };
        if rule.hard {
            return Err(Reject::AlertRuleRefuses { kind: rule.kind });
        }
        let (settlement, stay) = match seen.subject {
            Subject::Admission { stay, .. } => (None, Some(stay)),
            Subject::Settlement { settlement, .. } => (Some(settlement.id), None),
        };
        let sighting = Sighting {
            kind: rule.kind,
            person: seen.person.id,
            card: seen.used.card,
            settlement,
            stay,
            institution: seen.used.institution,
            package: Some(*package),
            text,
        };
        let Some(fact) = raise(hub, raised.len(), sighting, context) else { break };
        if let Fact::AlertRaised { alert } = &fact {
            raised.push(alert.id);
        }
        facts.push(fact);
    }
    Ok(raised)
}

/// What an alert shall say.
pub(crate) struct Sighting {
    pub(crate) kind: AlertKind,
    pub(crate) person: PersonId,
    pub(crate) card: Option<CardId>,
    pub(crate) settlement: Option<SettlementId>,
    pub(crate) stay: Option<StayId>,
    pub(crate) institution: InstitutionCode,
    /// Of the rule; `None` where the hub raises it by itself.
    pub(crate) package: Option<Hash32>,
    pub(crate) text: String,
}

/// The fact of an alert, of which the record raises so many before; `None` where the person has as many open as one may.
pub(crate) fn raise(hub: &Hub, before: usize, sighting: Sighting, context: &Context<'_>) -> Option<Fact> {
    if hub.alerts.open_of(sighting.person) + before >= MAX_OPEN_PER_PERSON {
        return None;
    }
    let Sighting { kind, person, card, settlement, stay, institution, package, text } = sighting;
    let id = AlertId(hub.number.id(hub.alerts.number(before as u64)));
    let stamp_ms = context.stamp_ms;
    let text = text.into();
    let alert = crate::alert::Alert { id, kind, person, card, settlement, stay, institution, package, stamp_ms, text };
    Some(Fact::AlertRaised { alert: Arc::new(alert) })
}

/// Note that somebody, who must be named, looked at an open alert.
pub(crate) fn acknowledge(
    hub: &Hub,
    header: &RequestHeader,
    alert: AlertId,
    note: &str,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    if hub.alerts.get(alert).is_none() {
        return Err(match context.records.acknowledged_alert(alert) {
            Some(_) => Reject::AlertAcknowledged(alert),
            None => Reject::AlertUnknown(alert),
        });
    }
    if header.operator.is_empty() {
        return Err(Reject::malformed("header.operator", "must say who looked at the alert"));
    }
    Ok((vec![Fact::AlertAcknowledged { alert, note: note.into() }], Reply::Done))
}

/// Open alerts and, where asked for, those that were acknowledged, in one order of ids.
pub(crate) fn list(hub: &Hub, of: AlertFilter, with_acknowledged: bool, page: Page, context: &Context<'_>) -> Reply {
    let after = page.after.map(AlertId);
    let open = hub.alerts.list(of, after, page.size + 1).into_iter();
    let mut alerts: Vec<AlertView> = open.map(|alert| AlertView { alert, acknowledged: None }).collect();
    if with_acknowledged {
        alerts.extend(context.records.acknowledged_alerts(of, after, page.size + 1));
        alerts.sort_by_key(|view| view.alert.id);
    }
    let next = (alerts.len() > page.size).then(|| alerts[page.size - 1].alert.id.0);
    alerts.truncate(page.size);
    Reply::Alerts { alerts, next }
}

#[cfg(test)]
mod tests;
