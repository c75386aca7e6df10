//! The benefit years of one bill: each year's share, deductible, adjustment and accumulators, under the best filing.
//!
//! Invariant: the shares of all years are the bill, and the deductible of a stay is charged once.
//! Leaves out: what the funds pay on a share (`layers`) and the person's part (`benefit`).

use super::layers::{Part, pay_layers};
use super::{AccumulatorDelta, BenefitError, Case, Code, LineSplit, Rule, Step};
use crate::accumulator::{Accumulators, FundAmounts};
use crate::calendar::Date;
use crate::money::{Fen, round_half_away};
use crate::policy::{Adjustment, BenefitPolicy, CrossYear, FilingKind, Scope, Unfiled, VisitKind};

/// What the funds pay of a bill, over all its years.
pub(super) struct Funded {
    pub(super) deductible: Fen,
    pub(super) funds: FundAmounts,
    pub(super) trace: Vec<Step>,
    pub(super) deltas: Vec<AccumulatorDelta>,
}

pub(super) type PolicyOfYear<'f, 'p> = &'f dyn Fn(i32) -> Option<&'p BenefitPolicy>;

pub(super) fn policy_in<'p>(
    year: i32,
    policy_of_year: PolicyOfYear<'_, 'p>,
) -> Result<&'p BenefitPolicy, BenefitError> {
    policy_of_year(year).ok_or(BenefitError::PolicyMissing { year })
}

/// The filing under which the funds pay most, the first of equals. One that the policy has no rule for counts only if
/// none has.
pub(super) fn most_favourable(
    case: &Case<'_>,
    last_year: i32,
    policy_of_year: PolicyOfYear<'_, '_>,
) -> Result<(FilingKind, Funded), BenefitError> {
    let (first, others) = case.filings.split_first().unwrap_or((&FilingKind::Unfiled, &[]));
    let mut best = fund_years(case, *first, last_year, policy_of_year).map(|funded| (*first, funded));
    for filing in others {
        let candidate = fund_years(case, *filing, last_year, policy_of_year);
        let better = match (&candidate, &best) {
            (Ok(funded), Ok((_, so_far))) => funded.funds.total() > so_far.funds.total(),
            (Ok(_), Err(_)) => true,
            (Err(_), _) => false,
        };
        if better {
            best = candidate.map(|funded| (*filing, funded));
        }
    }
    best
}

/// Calculates each benefit year's part of the bill under one filing.
fn fund_years(
    case: &Case<'_>,
    filing: FilingKind,
    last_year: i32,
    policy_of_year: PolicyOfYear<'_, '_>,
) -> Result<Funded, BenefitError> {
    let first_year = match policy_in(last_year, policy_of_year)?.cross_year {
        CrossYear::Split => case.admission.year().min(last_year),
        CrossYear::Whole => last_year,
    };
    // Deductible, two bands and the three shares of the person, as most bills have.
    let mut funded = Funded {
        deductible: Fen::ZERO,
        funds: FundAmounts::default(),
        trace: Vec::with_capacity(6),
        deltas: Vec::with_capacity(1),
    };
    let mut deductible_due = None;
    let mut billed = LineSplit::default();
    for year in first_year..=last_year {
        let policy = policy_in(year, policy_of_year)?;
        // Whether the care may be settled at all comes before what it costs.
        let adjustment = adjustment_of(policy, filing, case.scope)?;
        let counter = policy.counter();
        let before = (case.accumulators_of)(year, counter);
        if !before.is_believable() {
            return Err(BenefitError::AmountOutOfRange { what: "accumulators" });
        }
        let billed_with_year = if year == last_year { case.bill } else { share_until_new_year(case, year + 1)? };
        let eligible = billed_with_year.in_scope - billed.in_scope;
        billed = billed_with_year;

        let due = match deductible_due {
            Some(due) => due,
            None => deductible_of(case, policy, &before)?,
        };
        let chargeable = policy.deductible_year_cap.map_or(due, |cap| due.min(cap.left_after(before.deductible)));
        let deductible = chargeable.min(eligible);
        // What this year cannot charge, for want of cost or under its own cap, is left to the next.
        deductible_due = Some(due - deductible);

        push_amount(&mut funded.trace, Code::Deductible, year, deductible);
        let part = Part { case, policy, year, before, eligible, deductible, adjustment };
        let paid = pay_layers(&part, &mut funded.trace)?;
        funded.deductible += deductible;
        funded.funds += paid.funds;
        let admissions = i64::from(year == last_year && policy.visit_kind == VisitKind::Inpatient);
        let delta = Accumulators {
            admissions,
            eligible,
            deductible,
            funds: paid.funds,
            own_burden: paid.own_burden,
            account: Fen::ZERO,
        };
        funded.deltas.push(AccumulatorDelta { year, counter, delta });
    }
    Ok(funded)
}

/// What of the bill belongs to the nights before the new year of `year`. Shares are rounded one by one and cumulate, so
/// that the last part, which is what they leave of the bill, takes the rounding.
fn share_until_new_year(case: &Case<'_>, year: i32) -> Result<LineSplit, BenefitError> {
    let new_year = Date::new_year(year).ok_or(BenefitError::AmountOutOfRange { what: "discharge" })?;
    let nights = i128::from(case.admission.nights_until(case.discharge));
    let before = i128::from(case.admission.nights_until(new_year));
    let share = |amount: Fen| {
        let exact = round_half_away(i128::from(amount.0) * before, nights);
        Fen(i64::try_from(exact).expect("a share is not larger than its amount"))
    };
    let bill = &case.bill;
    let (own_pay, over_ceiling) = (share(bill.own_pay), share(bill.over_ceiling));
    let (first_pay, in_scope) = (share(bill.first_pay), share(bill.in_scope));
    Ok(LineSplit { total: own_pay + over_ceiling + first_pay + in_scope, own_pay, over_ceiling, first_pay, in_scope })
}

/// The deductible of this admission; a policy without deductibles charges none.
fn deductible_of(case: &Case<'_>, policy: &BenefitPolicy, before: &Accumulators) -> Result<Fen, BenefitError> {
    if policy.deductibles.is_empty() {
        return Ok(Fen::ZERO);
    }
    let admission = match policy.visit_kind {
        VisitKind::Inpatient => u32::try_from(before.admissions + 1).expect("believable accumulators"),
        // Visits are not counted, so each is the first.
        VisitKind::Outpatient | VisitKind::Pharmacy => 1,
    };
    let (level, category) = (case.level, case.category);
    let row = policy
        .deductible_for(level, category, case.entitlements, admission)
        .ok_or(BenefitError::NoRule { what: Rule::Deductible { level, category, admission } })?;
    Ok(row.amount)
}

/// | filing | with a row | without |
/// | --- | --- | --- |
/// | local, long-term, long-term at home | the row | no adjustment |
/// | transfer, emergency, other temporary | the row | no rule |
/// | unfiled | `unfiled_adjustment`, or refused by `unfiled` | no rule |
fn adjustment_of(
    policy: &BenefitPolicy,
    filing: FilingKind,
    scope: Option<Scope>,
) -> Result<Option<Adjustment>, BenefitError> {
    let no_rule = BenefitError::NoRule { what: Rule::Filing(filing) };
    if filing == FilingKind::Unfiled {
        return match policy.unfiled {
            Unfiled::Refused => Err(BenefitError::FilingMissing),
            Unfiled::Reduced => policy.unfiled_adjustment.map(Some).ok_or(no_rule),
        };
    }
    let row = policy
        .filing_adjustments
        .iter()
        .find(|row| row.kind == filing && (row.scope.is_none() || row.scope == scope))
        .map(|row| row.adjustment);
    let needs_no_row = matches!(filing, FilingKind::Local | FilingKind::LongTerm | FilingKind::LongTermAtHome);
    if row.is_none() && !needs_no_row { Err(no_rule) } else { Ok(row) }
}

pub(super) fn push_amount(trace: &mut Vec<Step>, code: Code, year: i32, amount: Fen) {
    if amount > Fen::ZERO {
        trace.push(Step::whole(code, year, amount));
    }
}
