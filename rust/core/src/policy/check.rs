//! Complete checking of a policy before it is accepted: every problem, each with its path.
//!
//! Invariant: a policy without problems has exactly one ratio for every fen of cost of whomever it speaks of.
//! Leaves out: what a reader of JSON finds before there is a policy (unknown names, malformed numbers and dates).

use std::collections::BTreeSet;
use std::fmt;

use super::{
    Adjustment, Band, BenefitPolicy, CapMeasure, Category, DeductibleRow, FilingKind, Layer, LayerBase, Level, Unfiled,
    VisitKind,
};
use crate::money::{BASIS_POINTS, Fen, MAX_AMOUNT};

/// Trace codes number the bands with two digits.
const MAX_BANDS_OF_A_PERSON: usize = 99;

/// Something that must be put right, and where it stands in the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Field path, such as `layers[0].bands[2].to_fen`.
    pub path: String,
    /// What is wrong, for the person who writes the package.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Finds every problem of a policy, in the order of its fields.
pub fn check(policy: &BenefitPolicy) -> Vec<Problem> {
    let mut found = Vec::new();
    check_frame(policy, &mut found);
    check_deductibles(policy, &mut found);
    check_layers(policy, &mut found);
    check_filings(policy, &mut found);
    found
}

fn check_frame(policy: &BenefitPolicy, found: &mut Vec<Problem>) {
    if policy.effective_to.is_some_and(|last| last < policy.effective_from) {
        found.push(Problem::new("effective_to", "lies before effective_from"));
    }
}

fn check_amount(amount: Fen, path: impl FnOnce() -> String, found: &mut Vec<Problem>) {
    if !amount.is_amount() {
        found.push(Problem::new(path(), format!("must lie between 0 and {}", MAX_AMOUNT.0)));
    }
}

fn everyone() -> impl Iterator<Item = (Level, Category)> {
    Level::ALL.iter().flat_map(|level| Category::ALL.iter().map(|category| (*level, *category)))
}

fn check_deductibles(policy: &BenefitPolicy, found: &mut Vec<Problem>) {
    let rows = &policy.deductibles;
    for (index, row) in rows.iter().enumerate() {
        check_amount(row.amount, || format!("deductibles[{index}].amount_fen"), found);
        check_entitlements(&row.entitlements, &format!("deductibles[{index}]"), found);
        for (earlier_index, earlier) in rows[..index].iter().enumerate() {
            let person = everyone().find(|(l, c)| row.speaks_of(*l, *c) && earlier.speaks_of(*l, *c));
            let admission = row.admission.first_shared(earlier.admission);
            if row.entitlements != earlier.entitlements {
                continue;
            }
            if let (Some((level, category)), Some(admission)) = (person, admission) {
                found.push(Problem::new(
                    format!("deductibles[{index}]"),
                    format!("repeats deductibles[{earlier_index}] for {level}, {category}, admission {admission}"),
                ));
            }
        }
    }
    if policy.visit_kind == VisitKind::Inpatient {
        check_admissions(policy, found);
    }
    if let Some(cap) = policy.deductible_year_cap {
        check_amount(cap, || "deductible_year_cap_fen".to_owned(), found);
    }
}

/// Whoever has a deductible at all must have one, be it zero, at every admission of the year.
fn check_admissions(policy: &BenefitPolicy, found: &mut Vec<Problem>) {
    let mut uncovered = BTreeSet::new();
    for (level, category) in everyone() {
        let general = |row: &&DeductibleRow| row.entitlements.is_empty() && row.speaks_of(level, category);
        let rows: Vec<_> = policy.deductibles.iter().filter(general).collect();
        if !rows.is_empty() {
            // A range names at most admission 99, so what holds for 100 holds for all later ones.
            uncovered.extend((1..=100).find(|number| !rows.iter().any(|row| row.admission.includes(*number))));
        }
    }
    for admission in uncovered {
        found.push(Problem::new("deductibles", format!("no row for admission {admission}")));
    }
}

fn check_layers(policy: &BenefitPolicy, found: &mut Vec<Problem>) {
    if policy.layers.is_empty() {
        found.push(Problem::new("layers", "at least one layer must pay"));
    }
    for (index, layer) in policy.layers.iter().enumerate() {
        let path = format!("layers[{index}]");
        let earlier = &policy.layers[..index];
        if earlier.iter().any(|other| other.fund == layer.fund) {
            found
                .push(Problem::new(format!("{path}.fund"), format!("{} pays in an earlier layer already", layer.fund)));
        }
        check_base(layer, earlier, &path, found);
        check_entitlements(&layer.entitlements, &path, found);
        check_bands(layer, &path, found);
        if let Some(cap) = layer.annual_cap {
            check_amount(cap, || format!("{path}.annual_cap_fen"), found);
        }
        let knows_the_year =
            matches!(layer.base, LayerBase::EligibleAfterDeductible | LayerBase::OwnEligibleBurdenOfYear);
        if layer.cap_measure == CapMeasure::Eligible && !knows_the_year {
            found.push(Problem::new(
                format!("{path}.cap_measure"),
                format!("no accumulator tells how much cost on {} a year has covered; use FUND", layer.base),
            ));
        }
        let has_threshold = layer.bands.iter().all(|band| band.from > Fen::ZERO);
        if layer.cap_measure == CapMeasure::Eligible
            && layer.base == LayerBase::EligibleAfterDeductible
            && has_threshold
        {
            found.push(Problem::new(
                format!("{path}.cap_measure"),
                "the year's accumulators cannot tell cost below the first band from cost that was covered; use FUND",
            ));
        }
    }
}

fn check_base(layer: &Layer, earlier: &[Layer], path: &str, found: &mut Vec<Problem>) {
    let overflows = |other: &Layer| {
        matches!(other.base, LayerBase::EligibleAfterDeductible | LayerBase::Overflow) && other.annual_cap.is_some()
    };
    let wrong = match layer.base {
        LayerBase::Overflow if !earlier.iter().any(overflows) => "no earlier layer has an annual cap to overflow",
        LayerBase::OwnEligibleBurdenOfYear if earlier.iter().any(|other| other.base == layer.base) => {
            "the year's burden is continued by one layer only; use REMAINING_ELIGIBLE_BURDEN"
        }
        _ => return,
    };
    found.push(Problem::new(format!("{path}.base"), wrong));
}

fn check_entitlements(named: &[String], path: &str, found: &mut Vec<Problem>) {
    for (index, entitlement) in named.iter().enumerate() {
        if entitlement.is_empty() {
            found.push(Problem::new(format!("{path}.entitlements[{index}]"), "is empty"));
        } else if named[..index].contains(entitlement) {
            found.push(Problem::new(format!("{path}.entitlements[{index}]"), "is named twice"));
        }
    }
}

fn check_bands(layer: &Layer, path: &str, found: &mut Vec<Problem>) {
    if layer.bands.is_empty() {
        found.push(Problem::new(format!("{path}.bands"), "at least one band must give a ratio"));
    }
    for (index, band) in layer.bands.iter().enumerate() {
        let path = format!("{path}.bands[{index}]");
        check_entitlements(&band.entitlements, &path, found);
        check_amount(band.from, || format!("{path}.from_fen"), found);
        if let Some(to) = band.to {
            check_amount(to, || format!("{path}.to_fen"), found);
            if to <= band.from {
                found.push(Problem::new(format!("{path}.to_fen"), "must lie above from_fen"));
            }
        }
        if band.rate_bp > BASIS_POINTS {
            found.push(Problem::new(format!("{path}.rate_bp"), "is over 100 %"));
        }
    }
    check_tariffs(layer, path, found);
}

/// The bands that one person meets must follow each other without gap or overlap. What lies below the first of them
/// is not covered, as with the threshold of catastrophic insurance.
fn check_tariffs(layer: &Layer, path: &str, found: &mut Vec<Problem>) {
    let groups: BTreeSet<&[String]> = layer.bands.iter().map(|band| band.entitlements.as_slice()).collect();
    let mut told = BTreeSet::new();
    for group in groups {
        for (level, category) in everyone() {
            let met: Vec<(usize, &Band)> = layer
                .bands
                .iter()
                .enumerate()
                .filter(|(_, band)| band.speaks_of(level, category) && band.entitlements == group)
                .collect();
            if met.len() > MAX_BANDS_OF_A_PERSON && told.insert((0, 0)) {
                let message = format!("more than {MAX_BANDS_OF_A_PERSON} bands for {level}, {category}");
                found.push(Problem::new(format!("{path}.bands"), message));
            }
            for pair in met.windows(2) {
                let [(before, lower), (index, upper)] = [pair[0], pair[1]];
                let wrong = match lower.to {
                    Some(to) if to == upper.from => continue,
                    Some(to) if to < upper.from => "leaves a gap after",
                    _ => "overlaps",
                };
                if told.insert((before, index)) {
                    found.push(Problem::new(
                        format!("{path}.bands[{index}].from_fen"),
                        format!("{wrong} bands[{before}] for {level}, {category}"),
                    ));
                }
            }
        }
    }
}

fn check_filings(policy: &BenefitPolicy, found: &mut Vec<Problem>) {
    let rows = &policy.filing_adjustments;
    for (index, row) in rows.iter().enumerate() {
        let path = format!("filing_adjustments[{index}]");
        check_adjustment(row.adjustment, &path, found);
        if row.kind == FilingKind::Unfiled {
            found.push(Problem::new(format!("{path}.kind"), "unfiled care is set by unfiled and unfiled_adjustment"));
        }
        let repeated = rows[..index].iter().position(|earlier| {
            earlier.kind == row.kind && (earlier.scope.is_none() || row.scope.is_none() || earlier.scope == row.scope)
        });
        if let Some(earlier) = repeated {
            found.push(Problem::new(path, format!("repeats filing_adjustments[{earlier}] for {}", row.kind)));
        }
    }
    match policy.unfiled_adjustment {
        Some(adjustment) => check_adjustment(adjustment, "unfiled_adjustment", found),
        None if policy.unfiled == Unfiled::Reduced => {
            found.push(Problem::new("unfiled_adjustment", "is missing while unfiled care is REDUCED"));
        }
        None => {}
    }
}

fn check_adjustment(adjustment: Adjustment, path: &str, found: &mut Vec<Problem>) {
    if adjustment.value_bp > BASIS_POINTS {
        found.push(Problem::new(format!("{path}.value_bp"), "is over 100 %"));
    }
}
