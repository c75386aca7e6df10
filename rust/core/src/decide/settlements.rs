//! Quote, settlement and its exact negation.
//!
//! Invariant: quote and settlement are one calculation; a settlement adds the fact, a quote does not.
//! Invariant: what is committed closes to the fen: I1 to I9 are checked by the calculation and its legs sum to zero.
//! Invariant: a cancellation takes back exactly what the settlement added, and nothing that is looked up today (I10).

use std::borrow::Cow;
use std::sync::Arc;

use super::presentation::{self, Expected};
use super::{cards, readjudication, stays};
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::benefit::{AccountRequest, AccumulatorDelta, Adjudication, BenefitError, Case, Draw, Split, adjudicate};
use crate::calendar::Date;
use crate::command::{Command, Query, Reply, RequestHeader};
use crate::explain;
use crate::fact::Fact;
use crate::filing::Filing;
use crate::hub::{Context, Hub, role};
use crate::ids::{Hash32, InstitutionCode, RegionCode, SettlementId, StayId};
use crate::ledger::{LedgerAccount, Leg, is_balanced, negated};
use crate::money::Fen;
use crate::person::Person;
use crate::policy::{Counter, FilingKind, Fund, InsuranceType, OnCancel, Scope, VisitKind};
use crate::records::DayTotals;
use crate::reject::Reject;
use crate::settlement::{Cancellation, CaseFacts, Presented, Settlement, Standing};
use crate::stay::{AdmissionKind, Stay, StayState};

/// What the calculation of a stay gives, with the packages that it used.
pub(crate) struct Calculated {
    pub(crate) result: Adjudication,
    pub(crate) case: CaseFacts,
    /// By benefit year.
    pub(crate) policies: Vec<(i32, Hash32)>,
    pub(crate) catalogue: Hash32,
}

/// Settles what the chip signed, or refuses.
pub(crate) fn settle(
    hub: &Hub,
    header: &RequestHeader,
    command: &Command,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let Command::SettleStay { stay, total, account_request, use_family, quote, presentation, holder_check } = command
    else {
        unreachable!("the hub sends settlements only");
    };
    hub.institution(header.institution)?;
    let accepted = presentation::card_of(hub, presentation, *holder_check, context)?;
    let stay = stays::in_state(hub, header.institution, *stay, StayState::Discharged, context)?;
    if accepted.card.person != stay.person {
        return Err(Reject::CardNotOfPerson);
    }
    if *total != stay.sum.total {
        return Err(Reject::TotalMismatch { institution: *total, hub: stay.sum.total });
    }
    let expected = Expected::Settlement { total: *total, account: *account_request };
    presentation::check_signed(accepted.card, presentation, expected, context)?;
    let person = hub.person(stay.person)?;
    let draw = AccountRequest {
        draw: Draw::Settle,
        requested: *account_request,
        use_family: *use_family,
        own_balance: person.account.balance,
        family_balance: Fen::ZERO,
    };
    let discharge = stay.discharge.ok_or_else(|| Reject::StayNotDischarged(stay.id))?;
    let calculated = calculate(hub, person, stay, discharge, &draw, context)?;
    if quote.is_some_and(|quote| quote != quote_digest(stay.id, &calculated)) {
        return Err(Reject::QuoteStale);
    }
    let (settlement, years) = committed(hub, person, stay, calculated, accepted.presented, context)?;
    let mut facts = Vec::with_capacity(2);
    if accepted.first_use {
        facts.push(cards::enabling(hub, accepted.card, true));
    }
    facts.push(Fact::StaySettled { settlement: Arc::clone(&settlement) });
    Ok((facts, Reply::Settled { settlement, years, arpc: accepted.arpc }))
}

type Years = Vec<(AccumulatorKey, Accumulators)>;

fn committed(
    hub: &Hub,
    person: &Person,
    stay: &Stay,
    calculated: Calculated,
    presented: Presented,
    context: &Context<'_>,
) -> Result<(Arc<Settlement>, Years), Reject> {
    let Calculated { result, case, policies, catalogue } = calculated;
    let deltas = keyed(result.deltas, stay.insurance_type);
    let years = after(person, &deltas)?;
    let legs = legs_of(&result.split, person.home, stay);
    if !is_balanced(&legs) {
        return Err(Reject::Identity("M1: legs sum to zero"));
    }
    let settlement = Arc::new(Settlement {
        id: SettlementId(hub.number.id(context.sequence)),
        stay: stay.id,
        person: person.id,
        institution: stay.institution,
        case,
        split: result.split,
        policies,
        catalogue,
        deltas,
        legs,
        balance_after: result.balance_after,
        presented,
        stamp_ms: context.stamp_ms,
    });
    Ok((settlement, years))
}

/// The split of a stay by today's filings, packages and accumulators.
pub(crate) fn calculate(
    hub: &Hub,
    person: &Person,
    stay: &Stay,
    discharge: Date,
    draw: &AccountRequest,
    context: &Context<'_>,
) -> Result<Calculated, Reject> {
    if stay.lines.is_empty() {
        return Err(Reject::StayEmpty(stay.id));
    }
    let in_force = |day: Date| hub.policy(stay.insured_region, stay.insurance_type, VisitKind::Inpatient, day);
    let (pool, last_package) =
        in_force(discharge).ok_or_else(|| Reject::PolicyNotInForce { region: stay.insured_region, day: discharge })?;
    let last_year = discharge.year();
    // The package of one year's part of the stay: in force at the discharge, or on the last day of a year that ends
    // during it. The calculation asks often, and nearly always for the last year, which is looked up once.
    let package_of = |year: i32| {
        if year == last_year {
            return Some(last_package);
        }
        in_force(Date::from_calendar(year, 12, 31)?).map(|(_, package)| package)
    };
    let (catalogue, _) = hub.catalogue(stay.care_region, discharge)?;
    let local = hub.regions.within(stay.care_region, pool);
    let filings = filing_kinds(hub, person, stay, local, context.today());
    let scope = (!local).then(|| scope_of(hub, stay));
    let used = |year: i32, counter: Counter| {
        person.used(AccumulatorKey { insurance_type: stay.insurance_type, year, counter })
    };
    let case = Case {
        bill: stay.sum,
        level: stay.level,
        category: stay.category,
        entitlements: &stay.entitlements,
        filings: &filings,
        scope,
        admission: stay.admission,
        discharge,
        accumulators_of: &used,
    };
    let result = adjudicate(&case, &|year| package_of(year).map(|(_, policy)| &**policy), draw)
        .map_err(|error| refusal(error, stay.insured_region, discharge))?;
    let case = CaseFacts {
        visit_kind: VisitKind::Inpatient,
        insured_region: stay.insured_region,
        care_region: stay.care_region,
        insurance_type: stay.insurance_type,
        category: stay.category,
        entitlements: stay.entitlements.clone(),
        level: stay.level,
        filing: result.filing,
        scope,
        admission: stay.admission,
        discharge,
    };
    let hash = |year| package_of(year).map(|(hash, _)| (year, *hash));
    let mut policies = Vec::with_capacity(result.deltas.len());
    policies.extend(result.deltas.iter().filter_map(|change| hash(change.year)));
    Ok(Calculated { result, case, policies, catalogue })
}

/// The filings of which the most favourable counts, by the day of admission. One made during the stay counts from the admission.
///
/// | care | filed | kinds |
/// | --- | --- | --- |
/// | in the own pool | long-term elsewhere | LONG_TERM_AT_HOME |
/// | in the own pool | anything else | LOCAL |
/// | elsewhere | what is valid there | those kinds |
/// | elsewhere, emergency | whatever | EMERGENCY too: deemed filed |
/// | elsewhere | nothing | UNFILED |
fn filing_kinds(hub: &Hub, person: &Person, stay: &Stay, local: bool, today: Date) -> Cow<'static, [FilingKind]> {
    if local {
        let long_term = |filing: &Filing| filing.kind == FilingKind::LongTerm && filing.is_valid_on(stay.admission);
        let at_home = person.filings.iter().any(long_term);
        return Cow::Borrowed(if at_home { &[FilingKind::LongTermAtHome] } else { &[FilingKind::Local] });
    }
    let permitting = person.filings.iter().filter(|filing| filing.permits_stay(&hub.regions, stay, today));
    let mut kinds: Vec<FilingKind> = permitting.map(|filing| filing.kind).collect();
    if stay.kind == AdmissionKind::Emergency {
        kinds.push(FilingKind::Emergency);
    }
    kinds.sort_unstable();
    kinds.dedup();
    Cow::Owned(kinds)
}

fn scope_of(hub: &Hub, stay: &Stay) -> Scope {
    if hub.regions.province(stay.care_region) == hub.regions.province(stay.insured_region) {
        Scope::InProvince
    } else {
        Scope::CrossProvince
    }
}

pub(crate) fn refusal(error: BenefitError, insured: RegionCode, discharge: Date) -> Reject {
    match error {
        BenefitError::NoRule { what } => Reject::NoRule { what: what.to_string() },
        BenefitError::PolicyMissing { year } => Reject::PolicyNotInForce {
            region: insured,
            day: Date::from_calendar(year, 12, 31).filter(|day| *day < discharge).unwrap_or(discharge),
        },
        BenefitError::FilingMissing => Reject::FilingMissing,
        BenefitError::AccountUseForbidden => Reject::AccountUseForbidden,
        BenefitError::BalanceInsufficient { requested, available } => {
            Reject::BalanceInsufficient { requested, available }
        }
        BenefitError::AmountOutOfRange { what } => Reject::AmountTooLarge { field: what.into() },
        BenefitError::Identity(_) => Reject::Identity("the calculation did not close"),
    }
}

pub(crate) fn keyed(deltas: Vec<AccumulatorDelta>, insurance_type: InsuranceType) -> Years {
    let key = |year, counter| AccumulatorKey { insurance_type, year, counter };
    deltas.into_iter().map(|change| (key(change.year, change.counter), change.delta)).collect()
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
fn legs_of(split: &Split, home: RegionCode, stay: &Stay) -> Vec<Leg> {
    let mut legs = Vec::with_capacity(6);
    let mut leg = |account, amount: Fen| {
        if amount != Fen::ZERO {
            legs.push(Leg { account, amount });
        }
    };
    leg(LedgerAccount::Institution(stay.institution), split.bill.total);
    for fund in Fund::ALL {
        let (region, insurance_type) = (stay.insured_region, stay.insurance_type);
        leg(LedgerAccount::Fund { region, insurance_type, fund: *fund }, -split.funds[*fund]);
    }
    leg(LedgerAccount::HospitalPart(stay.institution), -split.hospital_part);
    leg(LedgerAccount::PersonalAccounts(home), -split.account);
    leg(LedgerAccount::Cash(stay.institution), -split.cash);
    legs
}

/// Names a quote by everything that it showed.
fn quote_digest(stay: StayId, calculated: &Calculated) -> Hash32 {
    let split = &calculated.result.split;
    let mut hasher = blake3::Hasher::new();
    let mut add = |number: i64| {
        hasher.update(&number.to_le_bytes());
    };
    add(i64::try_from(stay.0).expect("ids stay below 2^63"));
    let bill = &split.bill;
    for amount in [bill.total, bill.own_pay, bill.over_ceiling, bill.first_pay, bill.in_scope, split.deductible] {
        add(amount.0);
    }
    for fund in Fund::ALL {
        add(split.funds[*fund].0);
    }
    for amount in [split.hospital_part, split.person_part, split.account, split.family, split.cash] {
        add(amount.0);
    }
    hasher.update(calculated.result.filing.name().as_bytes());
    for (_, policy) in &calculated.policies {
        hasher.update(&policy.0);
    }
    hasher.update(&calculated.catalogue.0);
    Hash32(*hasher.finalize().as_bytes())
}

fn quote(
    hub: &Hub,
    id: StayId,
    account_request: Fen,
    use_family: bool,
    context: &Context<'_>,
) -> Result<Reply, Reject> {
    let institution = context.actor.institution;
    let stay = match hub.stays.get(&id) {
        Some(stay) => {
            stays::may_read(context, stay.institution)?;
            stay
        }
        None => stays::open(hub, institution, id, context)?,
    };
    let person = hub.person(stay.person)?;
    let draw = AccountRequest {
        draw: Draw::Quote,
        requested: account_request,
        use_family,
        own_balance: person.account.balance,
        family_balance: Fen::ZERO,
    };
    // An open stay is quoted as if the patient left today.
    let discharge = stay.discharge.unwrap_or_else(|| context.today());
    let calculated = calculate(hub, person, stay, discharge, &draw, context)?;
    let digest = quote_digest(id, &calculated);
    let Calculated { result, policies, catalogue, .. } = calculated;
    let policy = policies.last().map(|(_, hash)| *hash).unwrap_or_default();
    Ok(Reply::Quoted {
        clipped: result.split.account < account_request,
        filing: result.filing,
        split: Box::new(result.split),
        policy,
        catalogue,
        digest,
    })
}

/// Negates a settlement; its stay waits to be settled again. The policy says what becomes of later settlements.
pub(crate) fn cancel(
    hub: &Hub,
    institution: InstitutionCode,
    id: SettlementId,
    context: &Context<'_>,
) -> Result<(Fact, Reply), Reject> {
    let standing = context.records.settlement(id).ok_or_else(|| Reject::SettlementUnknown(id))?;
    let settlement = &standing.settlement;
    if settlement.institution != institution {
        return Err(Reject::NotYourInstitution(institution));
    }
    if let Some(cancellation) = standing.cancelled_by {
        return Err(Reject::AlreadyCancelled { settlement: id, cancellation });
    }
    let stay = context.records.past_stay(settlement.stay).ok_or_else(|| Reject::StayUnknown(settlement.stay))?;
    let person = hub.person(settlement.person)?;
    let rule = readjudication::recorded_policy(hub, settlement, settlement.case.discharge.year())
        .map_or(OnCancel::Keep, |policy| policy.on_cancel);
    let deltas = standing.deltas().to_vec();
    let drawn = settlement.split.account - settlement.split.family;
    let cancellation_id = SettlementId(hub.number.id(context.sequence));
    let later = || readjudication::later_than(&standing, context.records);
    let adjustments = match rule {
        OnCancel::Keep => Vec::new(),
        OnCancel::LastFirst => match later().first() {
            None => Vec::new(),
            Some(later) => return Err(Reject::LaterSettlementExists { later: later.settlement.id }),
        },
        OnCancel::Readjudicate => readjudication::recompute(hub, person, &standing, &later(), cancellation_id)?,
    };
    let cancellation = Arc::new(Cancellation {
        id: cancellation_id,
        settlement: Arc::clone(settlement),
        legs: negated_legs(&standing),
        balance_after: person.account.balance + drawn,
        adjustments,
        deltas,
        stamp_ms: context.stamp_ms,
    });
    let years = years_after(person, &cancellation)?;
    let mut reopened = Stay::clone(&stay);
    reopened.state = StayState::Discharged;
    reopened.settlement = None;
    let fact = Fact::SettlementCancelled { cancellation: Arc::clone(&cancellation), stay: Arc::new(reopened) };
    Ok((fact, Reply::Cancelled { cancellation, years }))
}

fn negated_legs(standing: &Standing) -> Vec<Leg> {
    let adjusted = standing.adjustments.iter().flat_map(|adjustment| &adjustment.legs);
    negated(&standing.settlement.legs.iter().chain(adjusted).copied().collect::<Vec<_>>())
}

fn years_after(person: &Person, cancellation: &Cancellation) -> Result<Years, Reject> {
    let too_large = || Reject::AmountTooLarge { field: "accumulators".into() };
    let mut years = Vec::new();
    for (key, delta) in &cancellation.deltas {
        let mut used = person.used(*key).checked_sub(*delta).ok_or_else(too_large)?;
        let changes = cancellation.adjustments.iter().flat_map(|adjustment| &adjustment.changes);
        for (_, change) in changes.filter(|(changed, _)| changed == key) {
            used = used.checked_add(*change).ok_or_else(too_large)?;
        }
        years.push((*key, used));
    }
    Ok(years)
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
