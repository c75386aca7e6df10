//! Quotes and checks of packages without a hub.

use medsettle_wire::quote::{benefit_quote, policy_problems};
use medsettle_wire::{Reason, strict, v1};
use prost::Message;

/// The first admission of the shared cases: 1,000 yuan of deductible, then 88 %.
fn policy() -> v1::BenefitPolicy {
    let band = |rate_bp| v1::Band { rate_bp, ..Default::default() };
    v1::BenefitPolicy {
        region: "370100".into(),
        insurance_type: v1::insurance_type::Kind::Employee as i32,
        visit_kind: v1::visit_kind::Kind::Inpatient as i32,
        effective_from: "2025-01-01".into(),
        deductibles: vec![v1::Deductible { amount_fen: 100_000, ..Default::default() }],
        band_measure: v1::band_measure::Kind::AfterDeductible as i32,
        band_basis: v1::band_basis::Kind::Stay as i32,
        layers: vec![v1::Layer {
            fund: v1::fund::Kind::Pool as i32,
            base: v1::layer_base::Kind::EligibleAfterDeductible as i32,
            bands: vec![band(8_800)],
            annual_cap_fen: Some(60_000_000),
            ..Default::default()
        }],
        unfiled: v1::unfiled::Kind::Refused as i32,
        cross_year: v1::cross_year::Kind::Whole as i32,
        on_cancel: v1::on_cancel::Kind::Keep as i32,
        ..Default::default()
    }
}

fn case() -> v1::QuoteCase {
    v1::QuoteCase {
        institution_level: v1::level::Kind::Three as i32,
        person_category: v1::category::Kind::Active as i32,
        filing: v1::filing::Kind::Local as i32,
        accumulators_before: Some(v1::Accumulators { admissions: 1, ..Default::default() }),
        account: Some(v1::QuoteAccount { own_balance_fen: 10_000, account_request_fen: 20_000, ..Default::default() }),
        bill: Some(v1::LineSplit {
            total_fen: 2_500_000,
            own_pay_fen: 300_000,
            over_ceiling_fen: 0,
            first_pay_fen: 40_000,
            in_scope_fen: 2_160_000,
        }),
        ..Default::default()
    }
}

fn quote(case: &v1::QuoteCase) -> v1::QuoteResult {
    let bytes = benefit_quote(&policy().encode_to_vec(), &case.encode_to_vec()).unwrap();
    strict::decode(&bytes).unwrap()
}

#[test]
fn a_quote_splits_the_bill_and_shows_the_sums_afterwards() {
    let result = quote(&case());
    let split = result.split.unwrap();
    assert_eq!((split.deductible_fen, split.pool_fen, split.person_part_fen), (100_000, 1_812_800, 687_200));
    assert_eq!((split.account_fen, split.cash_fen, result.balance_after_fen), (10_000, 677_200, 0));
    assert_eq!((split.policy_hash.len(), split.catalogue_hash.len()), (32, 0));
    let codes: Vec<_> = split.trace.iter().map(|step| step.code.as_str()).collect();
    assert_eq!(codes, ["S001", "C001", "101", "102"]);
    let after = result.accumulators_after.unwrap();
    assert_eq!((after.admissions, after.pool_fen, after.eligible_fen), (2, 1_812_800, 2_160_000));
    assert!(result.accumulators_by_year.is_empty(), "a case without dates names no year");
}

#[test]
fn the_sums_of_a_dated_case_are_of_its_year() {
    let mut dated = case();
    dated.admission_date = "2026-03-01".into();
    dated.discharge_date = "2026-03-08".into();
    let used_up = v1::Accumulators { pool_fen: 60_000_000, ..Default::default() };
    dated.accumulators_by_year.insert(2026, used_up);
    let result = quote(&dated);
    assert_eq!(result.split.unwrap().pool_fen, 0);
    assert_eq!(result.accumulators_by_year[&2026].pool_fen, 60_000_000);
}

#[test]
fn a_case_that_cannot_be_is_refused_with_its_field() {
    type Change = fn(&mut v1::QuoteCase);
    let changes: [(Change, &str); 6] = [
        (|c| c.bill.as_mut().unwrap().total_fen += 1, "bill.total_fen"),
        (|c| c.bill = None, "bill"),
        (|c| c.institution_level = 0, "institution_level"),
        (|c| c.discharge_date = "2026-01-01".into(), "admission_date"),
        (|c| c.accumulators_before.as_mut().unwrap().admissions = -1, "accumulators_before.admissions"),
        (|c| c.accumulators_by_year.extend([(0, v1::Accumulators::default())]), "accumulators_by_year[0]"),
    ];
    for (change, field) in changes {
        let mut case = case();
        change(&mut case);
        let refused = benefit_quote(&policy().encode_to_vec(), &case.encode_to_vec()).unwrap_err();
        assert_eq!((refused.reason, refused.metadata["field"].as_str()), (Reason::RequestMalformed, field));
    }
    let unfiled = v1::QuoteCase { filing: v1::filing::Kind::Unfiled as i32, ..case() };
    let refused = benefit_quote(&policy().encode_to_vec(), &unfiled.encode_to_vec()).unwrap_err();
    assert_eq!(refused.reason, Reason::FilingMissing);
}

#[test]
fn problems_of_a_policy_are_listed_with_their_paths() {
    assert_eq!(policy_problems(&policy().encode_to_vec()), Ok(Vec::new()));
    let mut faulty = policy();
    faulty.layers[0].bands[0].rate_bp = 10_001;
    let paths = |policy: &v1::BenefitPolicy| -> Vec<String> {
        policy_problems(&policy.encode_to_vec()).unwrap().into_iter().map(|problem| problem.path).collect()
    };
    assert_eq!(paths(&faulty), ["layers[0].bands[0].rate_bp"]);
    let refused = benefit_quote(&faulty.encode_to_vec(), &case().encode_to_vec()).unwrap_err();
    assert_eq!(refused.reason, Reason::PackageInvalid);
    faulty.band_basis = 0;
    assert_eq!(paths(&faulty), ["band_basis"]);
}
