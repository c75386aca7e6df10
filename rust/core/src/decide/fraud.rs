//! Taking back what a thief settled, and the claims that come of it.
//!
//! Invariant: preview and unwind are one calculation; the unwind adds the fact.
//! Invariant: what is recomputed are the holder's own later settlements, in the order of admission, as if the thief's had never been.
//!
//! | asked | refused as |
//! | --- | --- |
//! | without an operator, a case or a second approver, or both approvers the same | `REQUEST_MALFORMED` |
//! | since or until in the future, or until before since | `REQUEST_MALFORMED` |
//! | an exclusion that is not in the period | `REQUEST_MALFORMED` |
//! | nothing stands there any more | `NOTHING_TO_UNWIND` |
//! | more than one decision holds | `UNWIND_TOO_LARGE` |
//! | other than the preview that was approved | `QUOTE_STALE` |

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{payouts, readjudication, settlements};
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::command::{Page, Reply, RequestHeader, UnwindRequest};
use crate::fact::Fact;
use crate::fraud::{ClaimFilter, MAX_RECOMPUTED, MAX_REVERSED, Reversal, Unwind, UnwindScope, VoidedStay};
use crate::hub::{Context, Hub};
use crate::ids::{Hash32, PersonId, SettlementId, UnwindId};
use crate::ledger::{LedgerAccount, Leg, is_balanced};
use crate::money::Fen;
use crate::person::Person;
use crate::reject::Reject;
use crate::settlement::{FamilyDraw, Standing};
use crate::stay::Stay;

/// What an unwind would do.
pub(crate) fn preview(hub: &Hub, scope: &UnwindScope, context: &Context<'_>) -> Result<Reply, Reject> {
    let unwind = effect(hub, scope, context)?;
    let years = years_after(hub, &unwind)?;
    let digest = digest_of(&unwind, &years);
    Ok(Reply::UnwindPreviewed { unwind: Arc::new(unwind), years, digest })
}

/// Take everything back as one fact, and pay what that gives the holder.
pub(crate) fn unwind(
    hub: &Hub,
    header: &RequestHeader,
    asked: &UnwindRequest,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    if header.operator.is_empty() {
        return Err(Reject::malformed("header.operator", "must name who asks"));
    }
    // Two spellings are not two persons.
    if asked.second_approver.to_lowercase() == header.operator.to_lowercase() {
        return Err(Reject::malformed("second_approver", "must be another person than header.operator"));
    }
    let unwind = Unwind {
        case_number: asked.case_number.clone(),
        second_approver: asked.second_approver.clone(),
        ..effect(hub, &asked.scope, context)?
    };
    let years = years_after(hub, &unwind)?;
    if asked.preview.is_some_and(|preview| preview != digest_of(&unwind, &years)) {
        return Err(Reject::QuoteStale);
    }
    let unwind = Arc::new(unwind);
    let mut facts = vec![Fact::Unwound { unwind: Arc::clone(&unwind) }];
    let person = hub.person(unwind.person)?;
    facts.extend(unwind.voided.iter().map(|voided| Fact::AdmissionCancelled { stay: voided.stay }));
    facts.extend(unwind.reversals.iter().flat_map(|reversal| payouts::withdrawals(person, reversal.settlement)));
    facts.extend(payouts::differences(hub, person, unwind.recomputed(), context.stamp_ms));
    Ok((facts, Reply::Unwound { unwind, years }))
}

/// Claims on institutions, in the order of the settlements.
pub(crate) fn claims(filter: &ClaimFilter, page: Page, context: &Context<'_>) -> Reply {
    let mut claims = context.records.claims(filter, page.after.map(SettlementId), page.size + 1);
    let next = (claims.len() > page.size).then(|| claims[page.size - 1].reversal().settlement.0);
    claims.truncate(page.size);
    Reply::Claims { claims, next }
}

/// Without the case, whose paper is not part of what happens.
fn effect(hub: &Hub, scope: &UnwindScope, context: &Context<'_>) -> Result<Unwind, Reject> {
    let card = hub.card(scope.card)?;
    let person = hub.person(card.person)?;
    let now_ms = context.stamp_ms;
    let until_ms = scope.until_ms.unwrap_or(now_ms);
    for (field, moment_ms) in [("scope.since_ms", scope.since_ms), ("scope.until_ms", until_ms)] {
        if moment_ms > now_ms {
            return Err(Reject::malformed(field, "is in the future"));
        }
    }
    if until_ms < scope.since_ms {
        return Err(Reject::malformed("scope.until_ms", "is before since_ms"));
    }
    let reversed = thefts(scope, until_ms, context)?;
    let voided = beds(hub, person, scope, until_ms)?;
    if reversed.is_empty() && voided.is_empty() {
        return Err(Reject::NothingToUnwind);
    }
    let later = readjudication::within_reach(&reversed, person, context.records);
    check_size(later.len(), MAX_RECOMPUTED)?;
    let id = UnwindId(hub.number.id(context.sequence));
    let because_of = SettlementId(id.0);
    let owed = reversed.iter().filter_map(|standing| payouts::owed(person, standing, because_of));
    let recomputed = readjudication::recompute(hub, person, &reversed, &later, because_of)?;
    Ok(Unwind {
        id,
        card: card.id,
        person: person.id,
        since_ms: scope.since_ms,
        until_ms,
        excluded: scope.excluded.clone(),
        excluded_stays: scope.excluded_stays.clone(),
        case_number: Box::default(),
        second_approver: Box::default(),
        reversals: reversals(hub, person, &reversed)?,
        voided,
        adjustments: owed.chain(recomputed).collect(),
        stamp_ms: now_ms,
    })
}

/// What stands of the card's settlements in the period, without the holder's own.
fn thefts(scope: &UnwindScope, until_ms: i64, context: &Context<'_>) -> Result<Vec<Standing>, Reject> {
    let limit = MAX_REVERSED + scope.excluded.len() + 1;
    let mut found = context.records.settled_with(scope.card, scope.since_ms, until_ms, limit);
    for (i, excluded) in scope.excluded.iter().enumerate() {
        let Some(place) = found.iter().position(|standing| standing.settlement.id == *excluded) else {
            let field = format!("scope.excluded_settlement_ids[{i}]");
            return Err(Reject::malformed(field, "is no standing settlement with this card in this period"));
        };
        found.remove(place);
    }
    check_size(found.len(), MAX_REVERSED)?;
    Ok(found)
}

/// Stays that began with the card in the period and wait for their settlement, without the holder's own.
fn beds(hub: &Hub, person: &Person, scope: &UnwindScope, until_ms: i64) -> Result<Vec<VoidedStay>, Reject> {
    let began =
        |stay: &&Stay| stay.admitted_with == scope.card && (scope.since_ms..=until_ms).contains(&stay.admitted_ms);
    let mut found: Vec<&Stay> = person.seldom.open_stays.iter().map(|id| &hub.stays[*id]).filter(began).collect();
    found.sort_by_key(|stay| stay.id);
    for (i, excluded) in scope.excluded_stays.iter().enumerate() {
        let Some(place) = found.iter().position(|stay| stay.id == *excluded) else {
            let field = format!("scope.excluded_stay_ids[{i}]");
            return Err(Reject::malformed(
                field,
                "is no stay that began with this card in this period and is not settled",
            ));
        };
        found.remove(place);
    }
    let voided = |stay: &Stay| VoidedStay { stay: stay.id, institution: stay.institution, admission: stay.admission };
    Ok(found.into_iter().map(voided).collect())
}

fn check_size(count: usize, limit: usize) -> Result<(), Reject> {
    if count > limit { Err(Reject::UnwindTooLarge { limit }) } else { Ok(()) }
}

fn reversals(hub: &Hub, person: &Person, reversed: &[Standing]) -> Result<Vec<Reversal>, Reject> {
    let mut balances = Balances { hub, changed: BTreeMap::new() };
    let mut reversals = Vec::with_capacity(reversed.len());
    for standing in reversed {
        let settlement = &standing.settlement;
        let split = &settlement.split;
        let account = split.account - split.family;
        let balance_after = balances.add(settlement.person, account)?;
        let mut family = Vec::with_capacity(settlement.family.len());
        for draw in &settlement.family {
            family.push(FamilyDraw { balance_after: balances.add(draw.payer, draw.amount)?, ..*draw });
        }
        let legs = legs_of(hub, standing);
        if !is_balanced(&legs) {
            return Err(Reject::Identity("M1: legs sum to zero"));
        }
        reversals.push(Reversal {
            settlement: settlement.id,
            institution: settlement.institution,
            stay: settlement.stay(),
            visit_kind: settlement.case.visit_kind,
            presented: settlement.presented.clone(),
            total: split.bill.total,
            fund: split.fund_total(),
            account,
            balance_after,
            family,
            deltas: person.counting(standing).copied().collect(),
            legs,
            withdrawn: payouts::withdrawn(person, settlement.id),
        });
    }
    Ok(reversals)
}

/// Balances while money comes back to them.
struct Balances<'a> {
    hub: &'a Hub,
    changed: BTreeMap<PersonId, Fen>,
}

impl Balances<'_> {
    fn add(&mut self, person: PersonId, amount: Fen) -> Result<Fen, Reject> {
        let before = self.changed.get(&person).copied().unwrap_or(self.hub.person(person)?.account.balance);
        let too_large = || Reject::AmountTooLarge { field: "balance_restored_fen".into() };
        let after = before.checked_add(amount).ok_or_else(too_large)?;
        self.changed.insert(person, after);
        Ok(after)
    }
}

/// Funds and accounts get back what they paid, and the person what earlier recomputations took or gave; the institution owes the rest.
/// Its bill, what it bears itself and the cash are as they were.
fn legs_of(hub: &Hub, standing: &Standing) -> Vec<Leg> {
    use LedgerAccount::{Cash, HospitalPart, Institution};
    let mut legs = settlements::negated_legs(hub, standing);
    legs.retain(|leg| !matches!(leg.account, Institution(_) | Cash(_) | HospitalPart(_)));
    let claimed: Fen = legs.iter().map(|leg| leg.amount).sum();
    if claimed != Fen::ZERO {
        legs.push(Leg { account: LedgerAccount::Claims(standing.settlement.institution), amount: -claimed });
    }
    legs
}

type Years = Vec<(AccumulatorKey, Accumulators)>;

/// Every year that is touched, as it is afterwards.
fn years_after(hub: &Hub, unwind: &Unwind) -> Result<Years, Reject> {
    let taken_back = unwind.reversals.iter().flat_map(|reversal| &reversal.deltas);
    readjudication::years_after(hub.person(unwind.person)?, taken_back, &unwind.adjustments)
}

/// Names an unwind by everything that it does.
fn digest_of(unwind: &Unwind, years: &Years) -> Hash32 {
    let mut hasher = blake3::Hasher::new();
    let mut add = |number: i64| {
        hasher.update(&number.to_le_bytes());
    };
    add(unwind.card.0.cast_signed());
    for reversal in &unwind.reversals {
        add(reversal.settlement.0.cast_signed());
        add(reversal.fund.0);
        add(reversal.balance_after.0);
        add(reversal.withdrawn.0);
        reversal.family.iter().for_each(|draw| add(draw.balance_after.0));
    }
    for voided in &unwind.voided {
        add(voided.stay.0.cast_signed());
    }
    for adjustment in &unwind.adjustments {
        add(adjustment.settlement.0.cast_signed());
        add(adjustment.fund_delta.0);
    }
    for (key, used) in years {
        add(i64::from(key.year));
        add(used.eligible.0);
        add(used.deductible.0);
        add(used.funds.total().0);
    }
    Hash32(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests;
