//! Request ids: first answers, outcomes, and reversal before, after and instead of the original.
//!
//! | id | asked again | reversed |
//! | --- | --- | --- |
//! | unknown, within the window | executed | remembered: refused should it arrive |
//! | bound, same body | first answer | undone once; then said to be undone |
//! | bound by a refusal that left something behind | that refusal | nothing to undo; said to be undone |
//! | bound, other body | REQUEST_ID_REUSED | - |
//! | reversed unseen | REQUEST_REVERSED | remembered already |
//! | older than the window | first answer from the records, else REQUEST_TOO_OLD | undone from the records |

use super::{settlements, stays};
use crate::command::{Outcome, Reply, RequestHeader, ReversalEffect};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{RequestId, SettlementId, StayId};
use crate::reject::Reject;
use crate::request::{Bound, Known, MAX_AHEAD_MS, MAX_REMEMBERED, RequestKey, WINDOW_MS};

/// Operations that a reversal undoes, by their contract numbers; `wire` proves them against the contract.
pub mod reversible {
    /// `Inpatient.Admit`.
    pub const ADMIT: u32 = 701;
    /// `Inpatient.Settle`.
    pub const SETTLE: u32 = 709;
    /// `Visits.Settle`.
    pub const SETTLE_VISIT: u32 = 802;
}

/// The sequence whose answer is to be given again, or nothing when the request is new and may execute.
pub(crate) fn known(hub: &Hub, header: &RequestHeader, context: &Context<'_>) -> Result<Option<u64>, Reject> {
    let key = (header.institution, header.request_id.clone());
    match find(hub, &key, context) {
        Some(Known::ReversedUnseen) => Err(Reject::RequestReversed),
        Some(Known::Bound(bound)) if bound.digest != context.digest || bound.operation != context.operation => {
            Err(Reject::RequestIdReused { original_sequence: bound.sequence })
        }
        Some(Known::Bound(bound)) => Ok(Some(bound.sequence)),
        None if header.created_ms < context.stamp_ms - WINDOW_MS => {
            Err(Reject::RequestTooOld { created_ms: header.created_ms })
        }
        None if header.created_ms > context.stamp_ms + MAX_AHEAD_MS => {
            Err(Reject::ClockAhead { created_ms: header.created_ms, stamp_ms: context.stamp_ms })
        }
        None => Ok(None),
    }
}

fn find(hub: &Hub, key: &RequestKey, context: &Context<'_>) -> Option<Known> {
    hub.requests.get(key).copied().or_else(|| context.records.request(key).map(Known::Bound))
}

pub(crate) fn reverse(
    hub: &Hub,
    header: &RequestHeader,
    id: &RequestId,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let key = (header.institution, id.clone());
    if *id == header.request_id {
        return Err(Reject::malformed("reversed_request_id", "is the request's own id"));
    }
    match find(hub, &key, context) {
        None => {
            if hub.requests.remembered(header.institution) >= MAX_REMEMBERED {
                return Err(Reject::ReversalsExhausted);
            }
            let fact = Fact::ReversalRemembered { request: key };
            Ok((vec![fact], Reply::Reversed(ReversalEffect::Remembered)))
        }
        Some(Known::ReversedUnseen) => {
            // Nothing more to remember, but this reversal too must have its answer for ever.
            let fact = Fact::RequestReversed { request: key };
            Ok((vec![fact], Reply::Reversed(ReversalEffect::Remembered)))
        }
        Some(Known::Bound(bound)) => undo(hub, header, key, &bound, context),
    }
}

/// Undo an accepted request, unless that was done before, by a reversal or by its id.
fn undo(
    hub: &Hub,
    header: &RequestHeader,
    key: RequestKey,
    bound: &Bound,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let reversed = Fact::RequestReversed { request: key };
    let already = || Ok((vec![reversed.clone()], Reply::Reversed(ReversalEffect::AlreadyUndone)));
    // A request that was refused for ever left nothing to undo.
    if bound.reversed || bound.refused {
        return already();
    }
    let created = hub.number.id(bound.sequence);
    let (mut facts, cancellation) = match bound.operation {
        reversible::ADMIT => match stays::cancel_admission(hub, header.institution, StayId(created), context) {
            Err(Reject::StayNotOpen { .. }) => return already(),
            cancelled => (vec![cancelled?], None),
        },
        reversible::SETTLE | reversible::SETTLE_VISIT => {
            match settlements::cancel(hub, header.institution, SettlementId(created), |_| true, context) {
                Err(Reject::AlreadyCancelled { .. }) => return already(),
                cancelled => (cancelled?.0, Some(SettlementId(hub.number.id(context.sequence)))),
            }
        }
        _ => return Err(Reject::NotReversible),
    };
    facts.push(reversed);
    Ok((facts, Reply::Reversed(ReversalEffect::Undone { cancellation })))
}

pub(crate) fn outcome(hub: &Hub, request_id: &RequestId, context: &Context<'_>) -> Reply {
    let key = (context.actor.institution, request_id.clone());
    let outcome = match find(hub, &key, context) {
        None => Outcome::Unknown,
        Some(Known::ReversedUnseen) => Outcome::Reversed { original: None },
        Some(Known::Bound(Bound { reversed: true, sequence, operation, .. })) => {
            Outcome::Reversed { original: Some((sequence, operation)) }
        }
        Some(Known::Bound(Bound { refused: true, sequence, operation, .. })) => {
            Outcome::Refused { sequence, operation }
        }
        Some(Known::Bound(Bound { sequence, operation, .. })) => Outcome::Accepted { sequence, operation },
    };
    Reply::Outcome { request: key, outcome }
}

#[cfg(test)]
mod tests;
