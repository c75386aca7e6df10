//! The benefit policy package: what an insured region pays, as data.
//!
//! Invariant: a region's peculiarity is a row here and never a branch in the calculation.
//! Invariant: a row that names no levels, categories or entitlements applies to all.
//! Leaves out: finding the package in force (its registry), the calculation (`benefit`), reading JSON (`wire`).

mod check;
mod dictionary;

use serde::{Deserialize, Serialize};

pub use check::{Problem, check};
pub use dictionary::{
    AccountUse, AnyOf, BandBasis, BandMeasure, CapMeasure, Category, Counter, CrossYear, FilingKind, Fund,
    InsuranceType, LayerBase, Level, Mode, OnCancel, OnTransfer, Scope, Unfiled, VisitKind,
};

use crate::calendar::Date;
use crate::ids::RegionCode;
use crate::money::Fen;

/// The rules of one region for one insurance type and kind of visit, in force from a day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenefitPolicy {
    /// The insured region whose rules these are.
    pub region: RegionCode,
    /// Whom they cover.
    pub insurance_type: InsuranceType,
    /// Which visits they cover.
    pub visit_kind: VisitKind,
    /// The accumulators they read and grow; `None` takes the one of the visit kind.
    pub counter: Option<Counter>,
    /// First day in force.
    pub effective_from: Date,
    /// Last day in force; `None` until replaced.
    pub effective_to: Option<Date>,
    /// What the person bears before any fund pays; without rows there is no deductible.
    pub deductibles: Vec<DeductibleRow>,
    /// The most deductible of one year; `None` is unbounded.
    pub deductible_year_cap: Option<Fen>,
    /// Whether bands of the first layer are measured on eligible cost with or without the deductible.
    pub band_measure: BandMeasure,
    /// Whether those bands begin anew with each stay or continue over the year.
    pub band_basis: BandBasis,
    /// The funds, in the order in which they pay.
    pub layers: Vec<Layer>,
    /// How filings lower the ratio of layers on the eligible cost after the deductible.
    pub filing_adjustments: Vec<FilingAdjustment>,
    /// What happens without a filing.
    pub unfiled: Unfiled,
    /// The adjustment for unfiled care where it is reduced.
    pub unfiled_adjustment: Option<Adjustment>,
    /// How a stay across the new year is settled.
    pub cross_year: CrossYear,
    /// What a cancellation does to the later settlements of the year.
    pub on_cancel: OnCancel,
    /// Whether the person's own account may pay the person's part.
    pub account_use: AccountUse,
    /// Whether a family account may pay the person's part.
    pub family_use: AccountUse,
    /// What was used elsewhere, for who comes from another insured region during the year.
    pub on_transfer: OnTransfer,
}

impl BenefitPolicy {
    /// The deductible row for this person and admission: of holders of an entitlement first, else the general one.
    pub fn deductible_for(
        &self,
        level: Level,
        category: Category,
        held: &[String],
        admission: u32,
    ) -> Option<&DeductibleRow> {
        let mut rows =
            self.deductibles.iter().filter(|row| row.speaks_of(level, category) && row.admission.includes(admission));
        let general = rows.clone().find(|row| row.entitlements.is_empty());
        rows.find(|row| holds_any(held, &row.entitlements)).or(general)
    }

    /// The accumulators which this package reads and grows.
    pub fn counter(&self) -> Counter {
        self.counter.unwrap_or(match self.visit_kind {
            VisitKind::Inpatient => Counter::Inpatient,
            VisitKind::Outpatient | VisitKind::Pharmacy => Counter::Outpatient,
        })
    }

    /// Whether the package is in force on that day.
    pub fn in_force_on(&self, day: Date) -> bool {
        self.effective_from <= day && self.effective_to.is_none_or(|last| day <= last)
    }
}

/// One amount of deductible and when it applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeductibleRow {
    /// Institution levels.
    pub levels: AnyOf<Level>,
    /// Person categories.
    pub categories: AnyOf<Category>,
    /// The row is for holders of one of these and stands in for the general rows; empty is for all.
    pub entitlements: Vec<String>,
    /// Which admissions of the year.
    pub admission: AdmissionRange,
    /// The amount.
    pub amount: Fen,
}

impl DeductibleRow {
    /// Whether the row speaks of this level and category, whatever the admission.
    pub fn speaks_of(&self, level: Level, category: Category) -> bool {
        self.levels.includes(level) && self.categories.includes(category)
    }
}

/// Admissions of a year by number: `1`, `2`, `2+`, `3+`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionRange {
    first: u32,
    open_ended: bool,
}

impl AdmissionRange {
    /// Every admission; what a row without admission means.
    pub const ANY: Self = Self { first: 1, open_ended: true };

    /// Reads a number from 1 to 99, with `+` for "and every later one"; `None` for any other spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, open_ended) = match text.strip_suffix('+') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let well_written = (1..=2).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && !digits.starts_with('0');
        let first = digits.parse().ok()?;
        well_written.then_some(Self { first, open_ended })
    }

    /// Whether it speaks of that admission of the year.
    pub fn includes(self, number: u32) -> bool {
        number == self.first || (self.open_ended && number > self.first)
    }

    /// The first admission of which both ranges speak.
    fn first_shared(self, other: Self) -> Option<u32> {
        let candidate = self.first.max(other.first);
        (self.includes(candidate) && other.includes(candidate)).then_some(candidate)
    }
}

impl std::fmt::Display for AdmissionRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.first, if self.open_ended { "+" } else { "" })
    }
}

/// One fund's turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Who pays.
    pub fund: Fund,
    /// On what.
    pub base: LayerBase,
    /// Whether the deductible belongs to a base that is a burden.
    pub deductible_counts: bool,
    /// The layer is only for holders of one of these; empty is for all.
    pub entitlements: Vec<String>,
    /// The ratios, each on its stretch of cost.
    pub bands: Vec<Band>,
    /// The limit of a year; `None` is unbounded.
    pub annual_cap: Option<Fen>,
    /// What the limit counts.
    pub cap_measure: CapMeasure,
}

impl Layer {
    /// Whether the layer is for a person who holds these entitlements.
    pub fn is_for(&self, held: &[String]) -> bool {
        self.entitlements.is_empty() || holds_any(held, &self.entitlements)
    }

    /// The bands for this person, in the package's order.
    ///
    /// Bands that name an entitlement which the person holds stand in for those that name none. Where several such
    /// groups would apply, the one listed first does.
    pub fn bands_for<'a>(
        &'a self,
        level: Level,
        category: Category,
        held: &[String],
    ) -> impl Iterator<Item = &'a Band> + use<'a> {
        let group = self
            .bands
            .iter()
            .filter(|band| band.speaks_of(level, category))
            .map(|band| band.entitlements.as_slice())
            .find(|named| holds_any(held, named))
            .unwrap_or_default();
        self.bands.iter().filter(move |band| band.speaks_of(level, category) && band.entitlements == group)
    }
}

fn holds_any(held: &[String], named: &[String]) -> bool {
    named.iter().any(|entitlement| held.contains(entitlement))
}

/// A ratio on the cost from one position up to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// Institution levels.
    pub levels: AnyOf<Level>,
    /// Person categories.
    pub categories: AnyOf<Category>,
    /// The band is only for holders of one of these; empty is for all.
    pub entitlements: Vec<String>,
    /// Where it begins.
    pub from: Fen,
    /// Where it ends; `None` never.
    pub to: Option<Fen>,
    /// What the fund pays, in parts per ten thousand.
    pub rate_bp: u32,
}

impl Band {
    fn speaks_of(&self, level: Level, category: Category) -> bool {
        self.levels.includes(level) && self.categories.includes(category)
    }
}

/// How a filing changes a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// By subtraction or by multiplication.
    pub mode: Mode,
    /// Points to take off, or the factor; parts per ten thousand.
    pub value_bp: u32,
}

/// The adjustment of one filing kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilingAdjustment {
    /// The filing.
    pub kind: FilingKind,
    /// Where the care was; `None` is anywhere.
    pub scope: Option<Scope>,
    /// The change.
    pub adjustment: Adjustment,
}
