//! Requests about fraud.

use medsettle_core::command::{Command, Query, UnwindRequest};
use medsettle_core::fraud::{ClaimFilter, MAX_REVERSED, UnwindScope};
use medsettle_core::ids::{CardId, SettlementId, StayId};

use super::{actor, of_institution, page};
use crate::convert::{Checked, Fault, at, each, given_text, hash, id, text, within};
use crate::error::DecodeError;
use crate::limits::MAX_LABEL;
use crate::v1;

fn scope(message: Option<v1::UnwindScope>) -> Checked<UnwindScope> {
    within("scope", message, |message| {
        if message.since_ms <= 0 {
            return Err(Fault::of("since_ms", "must be a time after 1970"));
        }
        if message.until_ms < 0 {
            return Err(Fault::of("until_ms", "must be a time after 1970"));
        }
        // As many can be excluded as can be taken back; more says that the period is wrong.
        for (field, excluded) in [
            ("excluded_settlement_ids", &message.excluded_settlement_ids),
            ("excluded_stay_ids", &message.excluded_stay_ids),
        ] {
            if excluded.len() > MAX_REVERSED {
                return Err(DecodeError::at(field, format!("are more than {MAX_REVERSED}")).into());
            }
        }
        Ok(UnwindScope {
            card: CardId(at("card_id", id(message.card_id))?),
            since_ms: message.since_ms,
            until_ms: Some(message.until_ms).filter(|until_ms| *until_ms != 0),
            excluded: each("excluded_settlement_ids", message.excluded_settlement_ids, |number| {
                id(number).map(SettlementId)
            })?,
            excluded_stays: each("excluded_stay_ids", message.excluded_stay_ids, |number| id(number).map(StayId))?,
        })
    })
}

pub(super) fn preview(message: v1::FraudPreviewUnwindRequest) -> Checked<Query> {
    scope(message.scope).map(|scope| Query::PreviewUnwind(Box::new(scope)))
}

pub(super) fn unwind(message: v1::FraudUnwindRequest) -> Checked<Command> {
    let preview = Some(&message.preview_digest).filter(|digest| !digest.is_empty());
    Ok(Command::Unwind(UnwindRequest {
        scope: scope(message.scope)?,
        case_number: at("case_number", given_text(message.case_number, MAX_LABEL))?,
        second_approver: actor("second_approver", message.second_approver)?,
        preview: at("preview_digest", preview.map(|digest| hash(digest)).transpose())?,
    }))
}

pub(super) fn list_claims(message: v1::FraudListClaimsRequest) -> Checked<Query> {
    let case_number = at("case_number", text(message.case_number, MAX_LABEL))?;
    let filter = ClaimFilter {
        institution: of_institution(&message.institution_code)?,
        case_number: Some(case_number).filter(|case_number| !case_number.is_empty()),
    };
    Ok(Query::ListClaims { filter, page: page(message.page)? })
}
