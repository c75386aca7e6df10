//! Quote, settlement and its exact negation.
//!
//! Invariant: quote and settlement are one calculation; a settlement adds the fact, a quote does not.
//! Invariant: what is committed closes to the fen: I1 to I9 are checked by the calculation and its legs sum to zero.
//! Invariant: a cancellation takes back exactly what the settlement added, and nothing that is looked up today (I10).

use std::sync::Arc;

use super::alerts::{self, Seen};
use super::calculation::{Billed, Calculated, account_request, calculate, keyed, quote_digest};
use super::presentation::{self, Accepted, Expected};
use super::{cards, family, payouts, readjudication, stays};
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::benefit::{Draw, Split};
use crate::command::{Command, Query, Reply, RequestHeader};
use crate::explain;
use crate::fact::Fact;
use crate::hub::{Context, Hub, role};
use crate::ids::{InstitutionCode, PersonId, RegionCode, SettlementId, StayId};
use crate::ledger::{LedgerAccount, Leg, is_balanced, negated};
use crate::money::Fen;
use crate::person::Person;
use crate::policy::{Fund, OnCancel, VisitKind};
use crate::records::DayTotals;
use crate::reject::Reject;
use crate::settlement::{Adjustment, Cancellation, CaseFacts, FamilyDraw, Occasion, Settlement, Standing};
use crate::stay::{Stay, StayLine, StayState};

/// Settles what the chip signed, or refuses.
pub(crate) fn settle(
    hub: &Hub,
    header: &RequestHeader,
    command: &Command,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let Command::SettleStay { stay, total, account_request: requested, use_family, quote, presentation, holder_check } =
        command
    else {
        unreachable!("the hub sends settlements of stays only");
    };
    hub.institution(header.institution)?;
    let accepted = presentation::accept(hub, header.institution, presentation, *holder_check, context)?;
    let stay = stays::in_state(hub, header.institution, *stay, StayState::Discharged, context)?;
    accepted.check_stay(stay, *requested)?;
    if *total != stay.sum.total {
        return Err(Reject::TotalMismatch { institution: *total, hub: stay.sum.total });
    }
    let expected = Expected::Settlement { total: *total, account: *requested };
    presentation::check_signed(hub, &accepted, presentation, expected, context)?;
    accepted.check_home(|| {
        stays::is_local(
            hub,
            stay.insured_region,
            stay.insurance_type,
            stay.care_region,
            VisitKind::Inpatient,
            stay.admission,
        )
    })?;
    let person = hub.person(stay.person)?;
    let own_balance = accepted.own_balance(hub, person);
    let draw = account_request(hub, person, own_balance, Draw::Settle, *requested, *use_family);
    let discharge = stay.discharge.ok_or_else(|| Reject::StayNotDischarged(stay.id))?;
    let calculated = calculate(hub, person, Billed::of_stay(stay, discharge)?, &draw, context)?;
    if quote.is_some_and(|quote| quote != quote_digest(quote_of(stay.id), &calculated)) {
        return Err(Reject::QuoteStale);
    }
    commit(hub, person, stay.institution, Occasion::Stay(stay.id), calculated, accepted, context)
}

type Years = Vec<(AccumulatorKey, Accumulators)>;

/// The settlement as one list of facts: a card that comes into use by it is enabled in the same decision.
pub(crate) fn commit(
    hub: &Hub,
    person: &Person,
    institution: InstitutionCode,
    occasion: Occasion,
    calculated: Calculated,
    accepted: Accepted<'_>,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let Accepted { card, holder, first_use, presented, arpc } = accepted;
    let Calculated { result, case, policies, catalogue } = calculated;
    let deltas = keyed(result.deltas, case.insurance_type);
    let years = after(person, &deltas)?;
    let family = family::draws(hub, person, result.split.family);
    let legs = legs_of(hub, &result.split, &family, person.home, institution, &case);
    if !is_balanced(&legs) {
        return Err(Reject::Identity("M1: legs sum to zero"));
    }
    let settlement = Arc::new(Settlement {
        id: SettlementId(hub.number.id(context.sequence)),
        occasion,
        person: person.id,
        institution,
        case,
        split: result.split,
        policies,
        catalogue,
        deltas,
        legs,
        balance_after: result.balance_after,
        family,
        presented,
        stamp_ms: context.stamp_ms,
    });
    let mut facts = Vec::with_capacity(2);
    facts.extend(card.filter(|_| first_use).map(|card| cards::enabling(hub, card, true, context)));
    facts.push(Fact::Settled { settlement: Arc::clone(&settlement) });
    let seen = Seen::settlement(person, holder, &settlement, &years);
    let alerts = alerts::look(hub, &seen, context, &mut facts)?;
    Ok((facts, Reply::Settled { settlement, years, arpc, alerts }))
}

/// The years as they are once the deltas are added.
fn after(person: &Person, deltas: &Years) -> Result<Years, Reject> {
    let mut years = Vec::with_capacity(deltas.len());
    for (key, delta) in deltas {
        let Some(sum) = person.used(*key).checked_add(*delta) else {
            return Err(Reject::AmountTooLarge { field: "accumulators".into() });
        };
        years.push((*key, sum));
    }
    Ok(years)
}

/// Who gave and who got: the institution earns the bill, paid by funds, accounts, cash and what it bears itself.
fn legs_of(
    hub: &Hub,
    split: &Split,
    family: &[FamilyDraw],
    home: RegionCode,
    institution: InstitutionCode,
    case: &CaseFacts,
) -> Vec<Leg> {
    let mut legs = Vec::with_capacity(6 + family.len());
    let mut leg = |account, amount: Fen| {
        if amount != Fen::ZERO {
            legs.push(Leg { account, amount });
        }
    };
    leg(LedgerAccount::Institution(institution), split.bill.total);
    for fund in Fund::ALL {
        let (region, insurance_type) = (case.insured_region, case.insurance_type);
        leg(LedgerAccount::Fund { region, insurance_type, fund: *fund }, -split.funds[*fund]);
    }
    leg(LedgerAccount::HospitalPart(institution), -split.hospital_part);
    leg(LedgerAccount::PersonalAccounts(home), split.family - split.account);
    for draw in family {
        leg(LedgerAccount::PersonalAccounts(hub.persons[draw.payer].home), -draw.amount);
    }
    leg(LedgerAccount::Cash(institution), -split.cash);
    legs
}

/// Begins the digest of a quote of this stay.
fn quote_of(stay: StayId) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&stay.0.to_le_bytes());
    hasher
}

/// What a calculation shows that is not committed.
pub(crate) fn quoted(of: blake3::Hasher, lines: Vec<StayLine>, requested: Fen, calculated: Calculated) -> Reply {
    let digest = quote_digest(of, &calculated);
    let Calculated { result, policies, catalogue, .. } = calculated;
    let policy = policies.last().map(|(_, hash)| *hash).unwrap_or_default();
    Reply::Quoted {
        clipped: result.split.account < requested,
        filing: result.filing,
        split: Box::new(result.split),
        lines,
        policy,
        catalogue,
        digest,
    }
}

fn quote(hub: &Hub, id: StayId, requested: Fen, use_family: bool, context: &Context<'_>) -> Result<Reply, Reject> {
    let institution = context.actor.institution;
    let stay = match hub.stays.get(id) {
        Some(stay) => {
            stays::may_read(context, stay.institution)?;
            stay
        }
        None => stays::open(hub, institution, id, context)?,
    };
    let person = hub.person(stay.person)?;
    let draw = account_request(hub, person, person.account.balance, Draw::Quote, requested, use_family);
    // An open stay is quoted as if the patient left today.
    let discharge = stay.discharge.unwrap_or_else(|| context.today());
    let calculated = calculate(hub, person, Billed::of_stay(stay, discharge)?, &draw, context)?;
    Ok(quoted(quote_of(id), Vec::new(), requested, calculated))
}

/// Negates a settlement of this kind of occasion; its stay waits to be settled again, a visit is over. The policy says
/// what becomes of later settlements.
pub(crate) fn cancel(
    hub: &Hub,
    institution: InstitutionCode,
    id: SettlementId,
    is_of_kind: fn(&Settlement) -> bool,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let standing = context.records.settlement(id).ok_or_else(|| Reject::SettlementUnknown(id))?;
    let settlement = &standing.settlement;
    if settlement.institution != institution {
        return Err(Reject::NotYourInstitution(institution));
    }
    if !is_of_kind(settlement) {
        return Err(Reject::SettlementUnknown(id));
    }
    if let Some(cancellation) = standing.cancelled_by {
        return Err(Reject::AlreadyCancelled { settlement: id, cancellation });
    }
    if let Some(unwind) = standing.unwound_by {
        return Err(Reject::AlreadyCancelled { settlement: id, cancellation: SettlementId(unwind.0) });
    }
    let stay = settlement.stay().map(|id| reopened(id, context)).transpose()?;
    let person = hub.person(settlement.person)?;
    let rule = readjudication::recorded_policy(hub, settlement, settlement.case.discharge.year())
        .map_or(OnCancel::Keep, |policy| policy.on_cancel);
    let deltas: Years = person.counting(&standing).copied().collect();
    let drawn = settlement.split.account - settlement.split.family;
    let cancellation_id = SettlementId(hub.number.id(context.sequence));
    let cancelled = std::slice::from_ref(&standing);
    let recomputed = match rule {
        OnCancel::Keep => Vec::new(),
        OnCancel::LastFirst => match readjudication::later_than(cancelled, person, context.records).first() {
            None => Vec::new(),
            Some(later) => return Err(Reject::LaterSettlementExists { later: later.settlement.id }),
        },
        OnCancel::Readjudicate => {
            let later = readjudication::within_reach(cancelled, person, context.records);
            readjudication::recompute(hub, person, cancelled, &later, cancellation_id)?
        }
    };
    let mut moneys: Vec<Fact> = payouts::withdrawals(person, id).collect();
    moneys.extend(payouts::differences(hub, person, recomputed.iter(), context.stamp_ms));
    let owed = payouts::owed(person, &standing, cancellation_id);
    let adjustments: Vec<Adjustment> = owed.into_iter().chain(recomputed).collect();
    let cancellation = Arc::new(Cancellation {
        id: cancellation_id,
        settlement: Arc::clone(settlement),
        legs: negated_legs(hub, &standing),
        balance_after: person.account.balance + drawn,
        family: family::returns(hub, settlement),
        adjustments,
        deltas,
        stamp_ms: context.stamp_ms,
    });
    let years = readjudication::years_after(person, cancellation.deltas.iter(), &cancellation.adjustments)?;
    let mut facts = vec![Fact::SettlementCancelled { cancellation: Arc::clone(&cancellation), stay }];
    facts.append(&mut moneys);
    Ok((facts, Reply::Cancelled { cancellation, years }))
}

/// A settled stay as it was before.
fn reopened(id: StayId, context: &Context<'_>) -> Result<Arc<Stay>, Reject> {
    let settled = context.records.past_stay(id).ok_or_else(|| Reject::StayUnknown(id))?;
    Ok(Arc::new(Stay { state: StayState::Discharged, settlement: None, ..Stay::clone(&settled) }))
}

/// Every leg of a settlement and its adjustments the other way round, where accounts follow their holders to the regions that hold them now.
pub(crate) fn negated_legs(hub: &Hub, standing: &Standing) -> Vec<Leg> {
    let adjusted = standing.adjustments.iter().flat_map(|adjustment| &adjustment.legs);
    let mut legs = negated(&standing.settlement.legs.iter().chain(adjusted).copied().collect::<Vec<_>>());
    legs.extend(to_present_homes(hub, &standing.settlement));
    legs
}

fn to_present_homes(hub: &Hub, settlement: &Settlement) -> impl Iterator<Item = Leg> {
    let own = (settlement.person, settlement.split.account - settlement.split.family);
    let family = settlement.family.iter().map(|draw| (draw.payer, draw.amount));
    let moved = move |(holder, amount): (PersonId, Fen)| {
        let holder = &hub.persons[holder];
        let then = holder.home_when(settlement.id.0);
        let leg = |home, amount| Leg { account: LedgerAccount::PersonalAccounts(home), amount };
        let moves = then != holder.home && amount != Fen::ZERO;
        moves.then(|| [leg(then, -amount), leg(holder.home, amount)]).into_iter().flatten()
    };
    std::iter::once(own).chain(family).flat_map(moved)
}

pub(crate) fn query(hub: &Hub, query: &Query, context: &Context<'_>) -> Result<Reply, Reject> {
    match query {
        Query::Quote { stay, account_request, use_family } => quote(hub, *stay, *account_request, *use_family, context),
        Query::GetSettlement(id) => Ok(Reply::Settlement(Box::new(read(*id, context)?))),
        Query::Explain(id) => {
            let standing = Box::new(read(*id, context)?);
            let text = explain::text(&standing);
            Ok(Reply::Explained { standing, text })
        }
        Query::ListSettlements { day, institution, page } => {
            let own = context.actor.institution;
            let of = institution.unwrap_or(own);
            let may = of == own || context.actor.roles & (role::READS_ALL | role::HUB) != 0;
            if !may {
                return Err(Reject::NotYourInstitution(of));
            }
            let after = page.after.map(SettlementId);
            let (mut rows, totals): (_, DayTotals) = context.records.day(of, *day, after, page.size + 1);
            let next = (rows.len() > page.size).then(|| rows[page.size - 1].id.0);
            rows.truncate(page.size);
            Ok(Reply::Settlements { rows, totals, next })
        }
        _ => unreachable!("the hub sends settlement queries only"),
    }
}

fn read(id: SettlementId, context: &Context<'_>) -> Result<Standing, Reject> {
    let standing = context.records.settlement(id).ok_or_else(|| Reject::SettlementUnknown(id))?;
    stays::may_read(context, standing.settlement.institution)?;
    Ok(standing)
}

#[cfg(test)]
mod tests;
