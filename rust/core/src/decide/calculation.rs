//! The split of a stay or a visit by today's filings, packages and accumulators.
//!
//! Invariant: quote and settlement of stays and visits are this one calculation.
//! Leaves out: charge lines (`charges`), the card, and what is committed (`settlements`).

use std::borrow::Cow;

use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::benefit::{AccountRequest, AccumulatorDelta, Adjudication, BenefitError, Case, Draw, LineSplit, adjudicate};
use crate::calendar::Date;
use crate::decide::family;
use crate::filing::Filing;
use crate::hub::{Context, Hub};
use crate::ids::{Hash32, RegionCode, StayId};
use crate::money::Fen;
use crate::person::Person;
use crate::policy::{Category, Counter, FilingKind, Fund, InsuranceType, Level, Scope, VisitKind};
use crate::reject::Reject;
use crate::settlement::CaseFacts;
use crate::stay::{AdmissionKind, Stay};

/// What is known of a stay or a visit that has charges. Everything dated is resolved for its first day.
pub(crate) struct Billed<'a> {
    pub(crate) kind: VisitKind,
    /// The stay, in whose course filings may still be made; a visit has none.
    pub(crate) stay: Option<StayId>,
    /// Deemed filed.
    pub(crate) emergency: bool,
    pub(crate) insured_region: RegionCode,
    pub(crate) insurance_type: InsuranceType,
    pub(crate) category: Category,
    pub(crate) entitlements: Cow<'a, [String]>,
    pub(crate) level: Level,
    pub(crate) care_region: RegionCode,
    pub(crate) admission: Date,
    pub(crate) discharge: Date,
    /// Sum of the lines.
    pub(crate) bill: LineSplit,
}

impl<'a> Billed<'a> {
    /// A stay that ends on this day; nothing is calculated of one without charges.
    pub(crate) fn of_stay(stay: &'a Stay, discharge: Date) -> Result<Self, Reject> {
        if stay.lines.is_empty() {
            return Err(Reject::StayEmpty(stay.id));
        }
        Ok(Self {
            kind: VisitKind::Inpatient,
            stay: Some(stay.id),
            emergency: stay.kind == AdmissionKind::Emergency,
            insured_region: stay.insured_region,
            insurance_type: stay.insurance_type,
            category: stay.category,
            entitlements: Cow::Borrowed(&stay.entitlements),
            level: stay.level,
            care_region: stay.care_region,
            admission: stay.admission,
            discharge,
            bill: stay.sum,
        })
    }

    fn scope(&self, hub: &Hub) -> Scope {
        if hub.regions.province(self.care_region) == hub.regions.province(self.insured_region) {
            Scope::InProvince
        } else {
            Scope::CrossProvince
        }
    }
}

/// What the calculation gives, with the packages that it used.
pub(crate) struct Calculated {
    pub(crate) result: Adjudication,
    pub(crate) case: CaseFacts,
    /// By benefit year.
    pub(crate) policies: Vec<(i32, Hash32)>,
    pub(crate) catalogue: Hash32,
}

/// What shall be drawn, beside what there is.
pub(crate) fn account_request(
    hub: &Hub,
    person: &Person,
    own_balance: Fen,
    draw: Draw,
    requested: Fen,
    use_family: bool,
) -> AccountRequest {
    let family_balance = if use_family { family::balance(hub, person) } else { Fen::ZERO };
    AccountRequest { draw, requested, use_family, own_balance, family_balance }
}

pub(crate) fn calculate(
    hub: &Hub,
    person: &Person,
    care: Billed<'_>,
    draw: &AccountRequest,
    context: &Context<'_>,
) -> Result<Calculated, Reject> {
    let discharge = care.discharge;
    let in_force = |day: Date| hub.policy(care.insured_region, care.insurance_type, care.kind, day);
    let (pool, last_package) =
        in_force(discharge).ok_or_else(|| Reject::PolicyNotInForce { region: care.insured_region, day: discharge })?;
    let last_year = discharge.year();
    // The package of one year's part of the stay: in force at the discharge, or on the last day of a year that ends
    // during it. The calculation asks often, and nearly always for the last year, which is looked up once.
    let package_of = |year: i32| {
        if year == last_year {
            return Some(last_package);
        }
        in_force(Date::from_calendar(year, 12, 31)?).map(|(_, package)| package)
    };
    let (catalogue, _) = hub.catalogue(care.care_region, discharge)?;
    let local = hub.regions.within(care.care_region, pool);
    let filings = filing_kinds(hub, person, &care, local, context.today());
    let scope = (!local).then(|| care.scope(hub));
    let used = |year: i32, counter: Counter| {
        person.used(AccumulatorKey { insurance_type: care.insurance_type, year, counter })
    };
    let case = Case {
        bill: care.bill,
        level: care.level,
        category: care.category,
        entitlements: &care.entitlements,
        filings: &filings,
        scope,
        admission: care.admission,
        discharge,
        accumulators_of: &used,
    };
    let result = adjudicate(&case, &|year| package_of(year).map(|(_, policy)| &**policy), draw)
        .map_err(|error| refusal(error, care.insured_region, discharge))?;
    let hash = |year| package_of(year).map(|(hash, _)| (year, *hash));
    let mut policies = Vec::with_capacity(result.deltas.len());
    policies.extend(result.deltas.iter().filter_map(|change| hash(change.year)));
    let case = CaseFacts {
        visit_kind: care.kind,
        insured_region: care.insured_region,
        care_region: care.care_region,
        insurance_type: care.insurance_type,
        category: care.category,
        entitlements: care.entitlements.into_owned(),
        level: care.level,
        filing: result.filing,
        scope,
        admission: care.admission,
        discharge,
    };
    Ok(Calculated { result, case, policies, catalogue })
}

/// The filings of which the most favourable counts, by the day of admission or of the visit. One made during the stay
/// counts from the admission.
///
/// | care | filed | kinds |
/// | --- | --- | --- |
/// | in the own pool | long-term elsewhere | LONG_TERM_AT_HOME |
/// | in the own pool | anything else | LOCAL |
/// | elsewhere | what is valid there | those kinds |
/// | elsewhere, emergency | whatever | EMERGENCY too: deemed filed |
/// | elsewhere | nothing | UNFILED |
fn filing_kinds(hub: &Hub, person: &Person, care: &Billed<'_>, local: bool, today: Date) -> Cow<'static, [FilingKind]> {
    if local {
        let long_term = |filing: &Filing| filing.kind == FilingKind::LongTerm && filing.is_valid_on(care.admission);
        let at_home = person.seldom.filings.iter().any(long_term);
        return Cow::Borrowed(if at_home { &[FilingKind::LongTermAtHome] } else { &[FilingKind::Local] });
    }
    let permits = |filing: &&Filing| match care.stay {
        Some(stay) => filing.permits_stay(&hub.regions, stay, care.care_region, care.admission, today),
        None => filing.permits(&hub.regions, care.care_region, care.admission),
    };
    let mut kinds: Vec<FilingKind> = person.seldom.filings.iter().filter(permits).map(|filing| filing.kind).collect();
    if care.emergency {
        kinds.push(FilingKind::Emergency);
    }
    kinds.sort_unstable();
    kinds.dedup();
    Cow::Owned(kinds)
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

/// What is added to each year, under the years' keys.
pub(crate) fn keyed(
    deltas: Vec<AccumulatorDelta>,
    insurance_type: InsuranceType,
) -> Vec<(AccumulatorKey, Accumulators)> {
    let key = |year, counter| AccumulatorKey { insurance_type, year, counter };
    deltas.into_iter().map(|change| (key(change.year, change.counter), change.delta)).collect()
}

/// Names a quote by everything that it showed. The hasher comes with what the quote was of.
pub(crate) fn quote_digest(mut hasher: blake3::Hasher, calculated: &Calculated) -> Hash32 {
    let split = &calculated.result.split;
    let mut add = |number: i64| {
        hasher.update(&number.to_le_bytes());
    };
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
