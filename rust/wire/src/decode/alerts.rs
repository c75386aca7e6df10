//! Requests about alerts.

use medsettle_core::alert::AlertFilter;
use medsettle_core::command::{Command, Query};
use medsettle_core::ids::{AlertId, PersonId};

use super::{of_institution, page};
use crate::convert::{Checked, Coded, at, given_text, id, id_if_given};
use crate::limits::MAX_NOTE;
use crate::v1;

pub(super) fn list(message: v1::FraudListAlertsRequest) -> Checked<Query> {
    let of = AlertFilter {
        person: id_if_given(message.person_id).map(PersonId),
        institution: of_institution(&message.institution_code)?,
        kind: Coded::from_number(message.kind),
    };
    Ok(Query::ListAlerts { of, with_acknowledged: message.include_acknowledged, page: page(message.page)? })
}

pub(super) fn acknowledge(message: v1::FraudAcknowledgeAlertRequest) -> Checked<Command> {
    Ok(Command::AcknowledgeAlert {
        alert: at("alert_id", id(message.alert_id)).map(AlertId)?,
        note: at("note", given_text(message.note, MAX_NOTE))?,
    })
}
