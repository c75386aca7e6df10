//! The rules of settlement that the recorded bills do not reach, one by one.

use crate::example::{NO_ACCOUNT, band, case, day, deductible, eligible_bill, layer, no_accumulators, policy, settle};
use medsettle_core::accumulator::Accumulators;
use medsettle_core::benefit::{
    AccountRequest, Adjudication, BenefitError, Case, Code, Draw, LineSplit, Rule, adjudicate,
};
use medsettle_core::money::Fen;
use medsettle_core::policy::{
    AccountUse, Adjustment, AnyOf, BandBasis, BandMeasure, BenefitPolicy, CapMeasure, Category, Counter, CrossYear,
    FilingAdjustment, FilingKind, Fund, LayerBase, Level, Mode, Scope, Unfiled, VisitKind,
};

fn paid(case: &Case<'_>, policy: &BenefitPolicy, fund: Fund) -> Fen {
    settle(case, policy).expect("has rules").split.funds[fund]
}

fn after(eligible: i64, deductible: i64, pool: i64) -> Accumulators {
    let mut before =
        Accumulators { admissions: 1, eligible: Fen(eligible), deductible: Fen(deductible), ..Accumulators::default() };
    before.funds[Fund::Pool] = Fen(pool);
    before
}

#[test]
fn nothing_eligible_is_still_a_settlement() {
    let bill = LineSplit { total: Fen(700), own_pay: Fen(700), ..LineSplit::default() };
    let result = settle(&Case { bill, ..case(0) }, &policy()).expect("settles");
    assert_eq!((result.split.fund_total(), result.split.cash), (Fen(0), Fen(700)));
    assert_eq!(result.deltas[0].delta.admissions, 1);
    assert_eq!(settle(&case(0), &policy()).expect("settles").split.trace, []);
}

#[test]
fn the_deductible_is_bounded_by_eligible_cost_and_by_the_year() {
    assert_eq!(settle(&case(60_000), &policy()).expect("settles").split.deductible, Fen(60_000));
    let capped = BenefitPolicy { deductible_year_cap: Some(Fen(120_000)), ..policy() };
    let before = |_, _| after(500_000, 100_000, 320_000);
    let second = Case { accumulators_of: &before, ..case(1_000_000) };
    assert_eq!(settle(&second, &policy()).expect("settles").split.deductible, Fen(50_000));
    assert_eq!(settle(&second, &capped).expect("settles").split.deductible, Fen(20_000));
}

#[test]
fn a_level_or_category_without_rules_is_refused_and_never_zero() {
    let mut only_three = policy();
    only_three.layers[0].bands[0].levels = AnyOf::of(&[Level::Three]);
    let two = Case { level: Level::Two, ..case(1_000_000) };
    let what = Rule::Bands { fund: Fund::Pool, level: Level::Two, category: Category::Active };
    assert_eq!(settle(&two, &only_three), Err(BenefitError::NoRule { what }));

    let mut deductible_of_three = policy();
    for row in &mut deductible_of_three.deductibles {
        row.levels = AnyOf::of(&[Level::Three]);
    }
    let what = Rule::Deductible { level: Level::Two, category: Category::Active, admission: 1 };
    assert_eq!(settle(&two, &deductible_of_three), Err(BenefitError::NoRule { what }));
}

#[test]
fn bands_continue_over_the_year_where_the_package_says_so() {
    let mut stay = BenefitPolicy { deductibles: Vec::new(), ..policy() };
    stay.layers[0].bands = vec![band(0, Some(1_000_000), 5_000), band(1_000_000, None, 9_000)];
    let year = BenefitPolicy { band_basis: BandBasis::Year, ..stay.clone() };
    let before = |_, _| after(900_000, 100_000, 0);
    let second = Case { accumulators_of: &before, ..case(400_000) };
    assert_eq!(paid(&second, &stay, Fund::Pool), Fen(200_000));
    // The year stands at 8,000 without its deductible: 2,000 at half, 2,000 at nine tenths.
    assert_eq!(paid(&second, &year, Fund::Pool), Fen(100_000 + 180_000));
    let with_deductible = BenefitPolicy { band_measure: BandMeasure::Eligible, ..year };
    assert_eq!(paid(&second, &with_deductible, Fund::Pool), Fen(50_000 + 270_000));
}

#[test]
fn a_limit_on_eligible_cost_counts_what_the_year_has_covered() {
    let mut limited = BenefitPolicy { deductibles: Vec::new(), ..policy() };
    limited.layers[0].cap_measure = CapMeasure::Eligible;
    limited.layers[0].annual_cap = Some(Fen(1_000_000));
    let before = |_, _| after(900_000, 100_000, 0);
    let second = Case { accumulators_of: &before, ..case(500_000) };
    let split = settle(&second, &limited).expect("settles").split;
    assert_eq!((split.funds[Fund::Pool], split.funds[Fund::LargeSum]), (Fen(160_000), Fen(270_000)));
}

#[test]
fn the_deductible_fills_a_limit_on_eligible_cost_where_bands_measure_it() {
    let mut limited = BenefitPolicy { band_measure: BandMeasure::Eligible, ..policy() };
    limited.layers[0].cap_measure = CapMeasure::Eligible;
    limited.layers[0].annual_cap = Some(Fen(1_000_000));
    let split = settle(&case(1_500_000), &limited).expect("settles").split;
    assert_eq!((split.funds[Fund::Pool], split.funds[Fund::LargeSum]), (Fen(720_000), Fen(450_000)));
}

#[test]
fn a_limit_used_up_before_sends_everything_on() {
    let before = |_, _| after(0, 0, 10_000_000);
    let split = settle(&Case { accumulators_of: &before, ..case(1_050_000) }, &policy()).expect("settles").split;
    assert_eq!((split.funds[Fund::Pool], split.funds[Fund::LargeSum]), (Fen(0), Fen(900_000)));
    let codes: Vec<Code> = split.trace.iter().map(|step| step.code).collect();
    assert_eq!(codes, [Code::Deductible, Code::OverCap(1), Code::Band(Fund::LargeSum, 1)]);
}

#[test]
fn catastrophic_tiers_continue_and_may_leave_out_the_deductible() {
    let mut resident = policy();
    resident.layers = vec![
        layer(Fund::Pool, LayerBase::EligibleAfterDeductible, vec![band(0, None, 5_000)], None),
        layer(
            Fund::Catastrophic,
            LayerBase::OwnEligibleBurdenOfYear,
            vec![band(1_500_000, Some(2_000_000), 6_000), band(2_000_000, None, 7_000)],
            None,
        ),
    ];
    let before = |_, _| Accumulators { admissions: 1, own_burden: Fen(1_400_000), ..Accumulators::default() };
    let second = Case { accumulators_of: &before, ..case(2_050_000) };
    // Burden 10,500 with the deductible of 500: from 14,000 to 24,500 of the year.
    let result = settle(&second, &resident).expect("settles");
    assert_eq!(result.split.funds[Fund::Catastrophic], Fen(300_000 + 315_000));
    assert_eq!(result.deltas[0].delta.own_burden, Fen(1_050_000));

    resident.layers[1].deductible_counts = false;
    let result = settle(&second, &resident).expect("settles");
    assert_eq!(result.split.funds[Fund::Catastrophic], Fen(300_000 + 280_000));
    assert_eq!(result.deltas[0].delta.own_burden, Fen(1_000_000));

    // A limit on covered cost leaves out the 15,000 that no tier covers.
    resident.layers[1].cap_measure = CapMeasure::Eligible;
    resident.layers[1].annual_cap = Some(Fen(600_000));
    assert_eq!(paid(&second, &resident, Fund::Catastrophic), Fen(300_000 + 70_000));
}

#[test]
fn a_layer_is_for_those_who_hold_its_entitlement() {
    let mut aided = policy();
    let mut aid = layer(Fund::MedicalAid, LayerBase::RemainingEligibleBurden, vec![band(0, None, 5_000)], None);
    aid.entitlements = vec!["LOW_INCOME".to_owned(), "DESTITUTE".to_owned()];
    let mut wholly = band(0, None, 10_000);
    wholly.entitlements = vec!["DESTITUTE".to_owned()];
    aid.bands.push(wholly);
    aided.layers.push(aid);
    let holding = |entitlements: &[String]| paid(&Case { entitlements, ..case(1_100_000) }, &aided, Fund::MedicalAid);
    // 11,000 less 8,000 from the pool leaves 3,000.
    assert_eq!(holding(&[]), Fen(0));
    assert_eq!(holding(&["LOW_INCOME".to_owned()]), Fen(150_000));
    assert_eq!(holding(&["DESTITUTE".to_owned()]), Fen(300_000));
    assert_eq!(holding(&["DESTITUTE".to_owned(), "LOW_INCOME".to_owned()]), Fen(300_000));
}

fn filed(kind: FilingKind, scope: Option<Scope>, mode: Mode, value_bp: u32) -> FilingAdjustment {
    FilingAdjustment { kind, scope, adjustment: Adjustment { mode, value_bp } }
}

#[test]
fn each_filing_has_its_rule_or_none() {
    let mut adjusted = BenefitPolicy { deductibles: Vec::new(), ..policy() };
    adjusted.filing_adjustments = vec![
        filed(FilingKind::Transfer, Some(Scope::InProvince), Mode::Points, 500),
        filed(FilingKind::Transfer, Some(Scope::CrossProvince), Mode::Points, 1_000),
        filed(FilingKind::Emergency, None, Mode::Factor, 9_500),
        filed(FilingKind::OtherTemporary, None, Mode::Points, 9_000),
    ];
    let under = |kind: FilingKind, scope: Option<Scope>| {
        settle(&Case { filings: &[kind], scope, ..case(1_000_000) }, &adjusted).map(|r| r.split.fund_total().0)
    };
    let no_rule = |kind| Err(BenefitError::NoRule { what: Rule::Filing(kind) });
    let cross = Some(Scope::CrossProvince);
    for (kind, scope, expected) in [
        (FilingKind::Local, None, Ok(800_000)),
        (FilingKind::LongTerm, cross, Ok(800_000)),
        (FilingKind::LongTermAtHome, None, Ok(800_000)),
        (FilingKind::Transfer, Some(Scope::InProvince), Ok(750_000)),
        (FilingKind::Transfer, cross, Ok(700_000)),
        (FilingKind::Transfer, None, no_rule(FilingKind::Transfer)),
        (FilingKind::Emergency, cross, Ok(760_000)),
        (FilingKind::OtherTemporary, cross, Ok(0)),
        (FilingKind::Unfiled, cross, Err(BenefitError::FilingMissing)),
    ] {
        assert_eq!(under(kind, scope), expected, "{kind}");
    }
    adjusted.unfiled = Unfiled::Reduced;
    adjusted.unfiled_adjustment = Some(Adjustment { mode: Mode::Factor, value_bp: 5_000 });
    let unfiled = Case { filings: &[], scope: cross, ..case(1_000_000) };
    assert_eq!(paid(&unfiled, &adjusted, Fund::Pool), Fen(400_000));
}

#[test]
fn of_several_filings_the_most_favourable_counts() {
    let mut adjusted = policy();
    adjusted.filing_adjustments = vec![
        filed(FilingKind::Transfer, None, Mode::Points, 1_000),
        filed(FilingKind::Emergency, None, Mode::Factor, 9_500),
    ];
    let filings = [FilingKind::OtherTemporary, FilingKind::Transfer, FilingKind::Emergency, FilingKind::Transfer];
    let result = settle(&Case { filings: &filings, ..case(1_000_000) }, &adjusted).expect("one has a rule");
    assert_eq!(result.filing, FilingKind::Emergency);
}

#[test]
fn a_filing_does_not_lower_what_is_paid_beyond_the_pool() {
    let mut adjusted = policy();
    adjusted.filing_adjustments = vec![filed(FilingKind::Transfer, None, Mode::Points, 1_000)];
    let before = |_, _| after(0, 0, 10_000_000);
    let beyond = Case { filings: &[FilingKind::Transfer], accumulators_of: &before, ..case(1_050_000) };
    assert_eq!(paid(&beyond, &adjusted, Fund::LargeSum), Fen(900_000));
}

fn split_by_nights(bill: LineSplit, discharge: &str, policies: &[(i32, BenefitPolicy)]) -> Adjudication {
    let before = |year, _| Accumulators { admissions: i64::from(year == 2025), ..Accumulators::default() };
    let stay =
        Case { bill, admission: day("2025-12-30"), discharge: day(discharge), accumulators_of: &before, ..case(0) };
    let of_year = |year| policies.iter().find(|(known, _)| *known == year).map(|(_, policy)| policy);
    adjudicate(&stay, &of_year, &NO_ACCOUNT).expect("settles")
}

#[test]
fn a_stay_across_the_new_year_is_split_by_nights_each_under_its_package() {
    let split = BenefitPolicy { cross_year: CrossYear::Split, ..policy() };
    let mut next = split.clone();
    next.layers[0].bands[0].rate_bp = 9_000;
    let bill = LineSplit { total: Fen(300_005), own_pay: Fen(5), in_scope: Fen(300_000), ..LineSplit::default() };
    let result = split_by_nights(bill, "2026-01-02", &[(2025, split), (2026, next)]);
    // Two of three nights: 2,000 eligible, less the second admission's deductible of 500, at 80 %; then 1,000 at 90 %.
    assert_eq!(result.split.funds[Fund::Pool], Fen(120_000 + 90_000));
    assert_eq!(result.split.deductible, Fen(50_000));
    let [first, last] = [&result.deltas[0], &result.deltas[1]];
    assert_eq!((first.year, first.delta.admissions, first.delta.eligible), (2025, 0, Fen(200_000)));
    assert_eq!((last.year, last.delta.admissions, last.delta.eligible), (2026, 1, Fen(100_000)));
    assert_eq!((first.delta.deductible, last.delta.deductible), (Fen(50_000), Fen(0)));
}

#[test]
fn a_deductible_that_the_old_year_cannot_use_carries_over() {
    let split = BenefitPolicy { cross_year: CrossYear::Split, ..policy() };
    let years = [(2025, split.clone()), (2026, split)];
    let result = split_by_nights(eligible_bill(60_000), "2026-01-02", &years);
    assert_eq!((result.deltas[0].delta.deductible, result.deltas[1].delta.deductible), (Fen(40_000), Fen(10_000)));
    let no_night_after = split_by_nights(eligible_bill(60_000), "2026-01-01", &years);
    assert_eq!(no_night_after.deltas[0].delta.eligible, Fen(60_000));
    assert_eq!((no_night_after.deltas[1].delta.eligible, no_night_after.deltas[1].delta.admissions), (Fen(0), 1));
}

#[test]
fn a_whole_stay_counts_in_the_year_of_discharge() {
    let result = split_by_nights(eligible_bill(300_000), "2026-01-02", &[(2026, policy())]);
    assert_eq!((result.deltas.len(), result.deltas[0].year), (1, 2026));
    // The first admission of 2026, though the second of 2025.
    assert_eq!(result.split.deductible, Fen(100_000));
}

#[test]
fn a_year_without_package_is_named() {
    let split = BenefitPolicy { cross_year: CrossYear::Split, ..policy() };
    let stay = Case { admission: day("2025-12-30"), discharge: day("2026-01-02"), ..case(1_000) };
    let only_2026 = |year| (year == 2026).then_some(&split);
    assert_eq!(adjudicate(&stay, &only_2026, &NO_ACCOUNT), Err(BenefitError::PolicyMissing { year: 2025 }));
}

#[test]
fn a_visit_uses_its_own_counter_and_is_no_admission() {
    let visits = BenefitPolicy { visit_kind: VisitKind::Pharmacy, deductibles: vec![deductible("1", 0)], ..policy() };
    let before = |_, counter| {
        if counter == Counter::Outpatient { after(0, 0, 9_990_000) } else { no_accumulators(2025, counter) }
    };
    let result = settle(&Case { accumulators_of: &before, ..case(100_000) }, &visits).expect("settles");
    assert_eq!(result.split.funds[Fund::Pool], Fen(10_000));
    assert_eq!((result.deltas[0].counter, result.deltas[0].delta.admissions), (Counter::Outpatient, 0));
}

#[test]
fn a_quote_clips_the_account_and_a_settlement_draws_exactly_or_refuses() {
    let rules = policy();
    let request = |draw, requested, use_family| AccountRequest {
        draw,
        requested: Fen(requested),
        use_family,
        own_balance: Fen(5_000),
        family_balance: Fen(3_000),
    };
    let drawn = |rules: &BenefitPolicy, request: AccountRequest| {
        // The person's part is 280.00: the deductible is beyond the bill.
        adjudicate(&case(28_000), &|_| Some(rules), &request)
            .map(|r| (r.split.account.0, r.split.family.0, r.balance_after.0))
    };
    let refused = |requested, available| {
        Err(BenefitError::BalanceInsufficient { requested: Fen(requested), available: Fen(available) })
    };
    assert_eq!(drawn(&rules, request(Draw::Quote, 9_000, true)), Ok((8_000, 3_000, 0)));
    assert_eq!(drawn(&rules, request(Draw::Quote, 9_000, false)), Ok((5_000, 0, 0)));
    assert_eq!(drawn(&rules, request(Draw::Settle, 4_000, true)), Ok((4_000, 0, 1_000)));
    assert_eq!(drawn(&rules, request(Draw::Settle, 8_000, true)), Ok((8_000, 3_000, 0)));
    assert_eq!(drawn(&rules, request(Draw::Settle, 8_001, true)), refused(8_001, 8_000));
    assert_eq!(drawn(&rules, request(Draw::Settle, 5_001, false)), refused(5_001, 5_000));
    let no_family = BenefitPolicy { family_use: AccountUse::Forbidden, ..policy() };
    assert_eq!(drawn(&no_family, request(Draw::Settle, 5_001, true)), refused(5_001, 5_000));
    let no_own = BenefitPolicy { account_use: AccountUse::Forbidden, ..policy() };
    assert_eq!(drawn(&no_own, request(Draw::Quote, 5_001, true)), Ok((3_000, 3_000, 5_000)));
    let rich = AccountRequest { own_balance: Fen(50_000), ..request(Draw::Settle, 28_001, false) };
    assert_eq!(drawn(&rules, rich), refused(28_001, 28_000));
    let negative = request(Draw::Quote, -1, false);
    assert_eq!(drawn(&rules, negative), Err(BenefitError::AmountOutOfRange { what: "account request" }));
}

#[test]
fn a_bill_that_does_not_close_or_is_too_large_is_refused() {
    let open = LineSplit { total: Fen(11), in_scope: Fen(10), ..LineSplit::default() };
    assert!(matches!(settle(&Case { bill: open, ..case(0) }, &policy()), Err(BenefitError::Identity(_))));
    for in_scope in [-1, 10_000_000_001] {
        let out_of_range = Err(BenefitError::AmountOutOfRange { what: "bill" });
        assert_eq!(settle(&case(in_scope), &policy()), out_of_range);
    }
}
