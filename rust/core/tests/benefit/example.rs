//! A small policy and case that the suites bend to their purpose.

use medsettle_core::accumulator::Accumulators;
use medsettle_core::benefit::{AccountRequest, Adjudication, BenefitError, Case, Draw, LineSplit, adjudicate};
use medsettle_core::calendar::Date;
use medsettle_core::ids::RegionCode;
use medsettle_core::money::Fen;
use medsettle_core::policy::{
    AccountUse, AdmissionRange, AnyOf, Band, BandBasis, BandMeasure, BenefitPolicy, CapMeasure, Category, Counter,
    CrossYear, DeductibleRow, FilingKind, Fund, InsuranceType, Layer, LayerBase, Level, OnCancel, OnTransfer, Unfiled,
    VisitKind,
};

pub(crate) fn day(text: &str) -> Date {
    Date::parse(text).expect("exists")
}

pub(crate) fn band(from: i64, to: Option<i64>, rate_bp: u32) -> Band {
    Band {
        levels: AnyOf::ANY,
        categories: AnyOf::ANY,
        entitlements: Vec::new(),
        from: Fen(from),
        to: to.map(Fen),
        rate_bp,
    }
}

pub(crate) fn layer(fund: Fund, base: LayerBase, bands: Vec<Band>, annual_cap: Option<i64>) -> Layer {
    Layer {
        fund,
        base,
        deductible_counts: true,
        entitlements: Vec::new(),
        bands,
        annual_cap: annual_cap.map(Fen),
        cap_measure: CapMeasure::Fund,
    }
}

pub(crate) fn deductible(admission: &str, amount: i64) -> DeductibleRow {
    let admission = AdmissionRange::parse(admission).expect("well written");
    DeductibleRow {
        levels: AnyOf::ANY,
        categories: AnyOf::ANY,
        entitlements: Vec::new(),
        admission,
        amount: Fen(amount),
    }
}

/// Deductible 1,000 then 500; the pool pays 80 % to 100,000, large-sum 90 % of what is beyond.
pub(crate) fn policy() -> BenefitPolicy {
    BenefitPolicy {
        region: RegionCode::parse("370100").expect("six digits"),
        insurance_type: InsuranceType::Employee,
        visit_kind: VisitKind::Inpatient,
        counter: None,
        effective_from: day("2025-01-01"),
        effective_to: None,
        deductibles: vec![deductible("1", 100_000), deductible("2+", 50_000)],
        deductible_year_cap: None,
        band_measure: BandMeasure::AfterDeductible,
        band_basis: BandBasis::Stay,
        layers: vec![
            layer(Fund::Pool, LayerBase::EligibleAfterDeductible, vec![band(0, None, 8_000)], Some(10_000_000)),
            layer(Fund::LargeSum, LayerBase::Overflow, vec![band(0, None, 9_000)], None),
        ],
        filing_adjustments: Vec::new(),
        unfiled: Unfiled::Refused,
        unfiled_adjustment: None,
        cross_year: CrossYear::Whole,
        on_cancel: OnCancel::Keep,
        account_use: AccountUse::Allowed,
        family_use: AccountUse::Allowed,
        on_transfer: OnTransfer::Carry,
    }
}

pub(crate) fn eligible_bill(in_scope: i64) -> LineSplit {
    LineSplit { total: Fen(in_scope), in_scope: Fen(in_scope), ..LineSplit::default() }
}

pub(crate) fn no_accumulators(_: i32, _: Counter) -> Accumulators {
    Accumulators::default()
}

pub(crate) fn case(in_scope: i64) -> Case<'static> {
    Case {
        bill: eligible_bill(in_scope),
        level: Level::Three,
        category: Category::Active,
        entitlements: &[],
        filings: &[FilingKind::Local],
        scope: None,
        admission: day("2025-06-01"),
        discharge: day("2025-06-08"),
        accumulators_of: &no_accumulators,
    }
}

pub(crate) const NO_ACCOUNT: AccountRequest = AccountRequest {
    draw: Draw::Quote,
    requested: Fen::ZERO,
    use_family: false,
    own_balance: Fen::ZERO,
    family_balance: Fen::ZERO,
};

pub(crate) fn settle(case: &Case<'_>, policy: &BenefitPolicy) -> Result<Adjudication, BenefitError> {
    adjudicate(case, &|_| Some(policy), &NO_ACCOUNT)
}
