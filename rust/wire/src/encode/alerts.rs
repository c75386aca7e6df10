//! Alerts as responses show them.

use medsettle_core::alert::AlertView;
use medsettle_core::ids::AlertId;

use crate::convert::Coded;
use crate::v1;

pub(super) fn list(alerts: &[AlertView], next_page_token: String) -> v1::FraudListAlertsResponse {
    v1::FraudListAlertsResponse { header: None, alerts: alerts.iter().map(alert).collect(), next_page_token }
}

/// What a settlement or an admission says of the alerts that it left.
pub(super) fn ids(alerts: &[AlertId]) -> Vec<u64> {
    alerts.iter().map(|alert| alert.0).collect()
}

fn alert(view: &AlertView) -> v1::Alert {
    let AlertView { alert, acknowledged } = view;
    let mut shown = v1::Alert {
        alert_id: alert.id.0,
        kind: alert.kind.number(),
        person_id: alert.person.0,
        card_id: alert.card.map_or(0, |card| card.0),
        settlement_id: alert.settlement.map_or(0, |settlement| settlement.0),
        institution_code: alert.institution.as_str().to_owned(),
        stamp_ms: alert.stamp_ms,
        text: alert.text.to_string(),
        stay_id: alert.stay.map_or(0, |stay| stay.0),
        package_hash: alert.package.map(|package| package.0.to_vec()).unwrap_or_default(),
        ..v1::Alert::default()
    };
    if let Some(acknowledged) = acknowledged {
        shown.acknowledged = true;
        shown.acknowledged_by = acknowledged.by.to_string();
        shown.acknowledged_ms = acknowledged.stamp_ms;
        shown.note = acknowledged.note.to_string();
    }
    shown
}
