//! Alerts and their rules in the journal.

use std::sync::Arc;

use medsettle_core::alert::Alert;
use medsettle_core::fact::Fact;
use medsettle_core::ids::{AlertId, CardId, PersonId, SettlementId, StayId};

use super::facts::{package_hash, unreadable};
use crate::convert::{
    Checked, Coded, alert_rules, at, coded, from_alert_rules, hash, id_if_given, institution_code, within,
};
use crate::v1;
use crate::v1::fact::Fact as Message;

pub(super) fn from_fact(fact: &Fact) -> Message {
    match fact {
        Fact::AlertRulesInstalled { hash, rules } => Message::AlertRulesInstalled(v1::AlertRulesInstalled {
            package_hash: hash.0.to_vec(),
            rules: Some(from_alert_rules(rules)),
        }),
        Fact::AlertRaised { alert } => Message::AlertRaised(v1::AlertRaised {
            alert_id: alert.id.0,
            kind: alert.kind.number(),
            person_id: alert.person.0,
            card_id: alert.card.map_or(0, |card| card.0),
            settlement_id: alert.settlement.map_or(0, |settlement| settlement.0),
            stay_id: alert.stay.map_or(0, |stay| stay.0),
            institution_code: alert.institution.as_str().to_owned(),
            package_hash: alert.package.map(|package| package.0.to_vec()).unwrap_or_default(),
            stamp_ms: alert.stamp_ms,
            text: alert.text.to_string(),
        }),
        Fact::AlertAcknowledged { alert, note } => {
            Message::AlertAcknowledged(v1::AlertAcknowledged { alert_id: alert.0, note: note.to_string() })
        }
        other => unreachable!("not of an alert: {other:?}"),
    }
}

pub(super) fn rules_installed(message: v1::AlertRulesInstalled) -> Checked<Fact> {
    let rules = within("rules", message.rules, |message| alert_rules(&message).map_err(unreadable))?;
    Ok(Fact::AlertRulesInstalled { hash: package_hash(&message.package_hash)?, rules: Arc::new(rules) })
}

pub(super) fn raised(message: v1::AlertRaised) -> Checked<Fact> {
    let package = Some(message.package_hash.as_slice()).filter(|package| !package.is_empty());
    let alert = Alert {
        id: AlertId(message.alert_id),
        kind: at("kind", coded(message.kind))?,
        person: PersonId(message.person_id),
        card: id_if_given(message.card_id).map(CardId),
        settlement: id_if_given(message.settlement_id).map(SettlementId),
        stay: id_if_given(message.stay_id).map(StayId),
        institution: at("institution_code", institution_code(&message.institution_code))?,
        package: at("package_hash", package.map(hash).transpose())?,
        stamp_ms: message.stamp_ms,
        text: message.text.into(),
    };
    Ok(Fact::AlertRaised { alert: Arc::new(alert) })
}

pub(super) fn acknowledged(message: v1::AlertAcknowledged) -> Fact {
    Fact::AlertAcknowledged { alert: AlertId(message.alert_id), note: message.note.into() }
}
