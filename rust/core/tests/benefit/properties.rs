//! What must hold for every package, bill and history.

use crate::example::{band, case, day, deductible, layer, policy, settle};
use medsettle_core::accumulator::Accumulators;
use medsettle_core::benefit::{
    AccountRequest, BenefitError, Case, Code, Draw, LineSplit, Step, adjudicate, check_identities, split_line,
    split_refund,
};
use medsettle_core::calendar::Date;
use medsettle_core::catalogue::{CeilingOrder, ItemClass, Terms};
use medsettle_core::money::{Fen, Quantity, Ratio, UnitPrice, round_half_away};
use medsettle_core::policy::{
    Adjustment, Band, BandBasis, BandMeasure, BenefitPolicy, CapMeasure, Counter, CrossYear, FilingAdjustment,
    FilingKind, Fund, LayerBase, Mode, check,
};
use proptest::prelude::*;

fn bands() -> impl Strategy<Value = Vec<Band>> {
    let first = prop_oneof![3 => Just(0), 1 => 0..3_000_000_i64];
    (first, prop::collection::vec((1..5_000_000_i64, 0..=10_000_u32), 1..5), any::<bool>()).prop_map(
        |(first, widths, bounded)| {
            let mut from = first;
            let mut bands: Vec<Band> = Vec::new();
            for (width, rate_bp) in widths {
                bands.push(band(from, Some(from + width), rate_bp));
                from += width;
            }
            if let (false, Some(last)) = (bounded, bands.last_mut()) {
                last.to = None;
            }
            bands
        },
    )
}

fn cap() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(prop_oneof![0..100_000_i64, 0..30_000_000_i64])
}

fn policies() -> impl Strategy<Value = BenefitPolicy> {
    let pool = (bands(), 0..30_000_000_i64, any::<bool>());
    let beyond = (bands(), cap(), bands(), cap(), any::<bool>(), any::<bool>());
    let rest = (prop::option::of((bands(), cap())), prop::option::of((bands(), cap())));
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of((any::<bool>(), 0..=10_000_u32)));
    let deductibles = (0..200_000_i64, 0..100_000_i64, prop::option::of(0..250_000_i64));
    (pool, beyond, rest, switches, deductibles).prop_map(|(pool, beyond, rest, switches, deductibles)| {
        let mut policy = policy();
        let (pool_bands, pool_cap, cap_on_cost) = pool;
        let (large_bands, large_cap, own_bands, own_cap, deductible_counts, own_cap_on_cost) = beyond;
        let mut first = layer(Fund::Pool, LayerBase::EligibleAfterDeductible, pool_bands, Some(pool_cap));
        let large = layer(Fund::LargeSum, LayerBase::Overflow, large_bands, large_cap);
        let mut own = layer(Fund::Catastrophic, LayerBase::OwnEligibleBurdenOfYear, own_bands, own_cap);
        own.deductible_counts = deductible_counts;
        for (layer, on_cost) in [(&mut first, cap_on_cost), (&mut own, own_cap_on_cost)] {
            // A threshold below which cost is not covered cannot be told from the year's eligible cost.
            let tellable = layer.base != LayerBase::EligibleAfterDeductible || layer.bands[0].from == Fen::ZERO;
            layer.cap_measure = if on_cost && tellable { CapMeasure::Eligible } else { CapMeasure::Fund };
        }
        policy.layers = vec![first, large, own];
        for (fund, base, given) in [
            (Fund::CivilServant, LayerBase::RemainingEligibleBurden, rest.0),
            (Fund::Other, LayerBase::EligibleAfterDeductible, rest.1),
        ] {
            policy.layers.extend(given.map(|(bands, cap)| layer(fund, base, bands, cap)));
        }
        let (over_the_year, with_deductible, by_nights, adjustment) = switches;
        policy.band_basis = if over_the_year { BandBasis::Year } else { BandBasis::Stay };
        policy.band_measure = if with_deductible { BandMeasure::Eligible } else { BandMeasure::AfterDeductible };
        policy.cross_year = if by_nights { CrossYear::Split } else { CrossYear::Whole };
        policy.filing_adjustments.extend(adjustment.map(|(points, value_bp)| FilingAdjustment {
            kind: FilingKind::LongTerm,
            scope: None,
            adjustment: Adjustment { mode: if points { Mode::Points } else { Mode::Factor }, value_bp },
        }));
        policy.deductibles = vec![deductible("1", deductibles.0), deductible("2+", deductibles.1)];
        policy.deductible_year_cap = deductibles.2.map(Fen);
        policy
    })
}

fn bills() -> impl Strategy<Value = LineSplit> {
    let amount = || prop_oneof![0..1_000_i64, 0..50_000_000_i64].prop_map(Fen);
    (amount(), amount(), amount(), amount()).prop_map(|(own_pay, over_ceiling, first_pay, in_scope)| LineSplit {
        total: own_pay + over_ceiling + first_pay + in_scope,
        own_pay,
        over_ceiling,
        first_pay,
        in_scope,
    })
}

fn histories() -> impl Strategy<Value = Accumulators> {
    (0..4_i64, 0..20_000_000_i64, 0..200_000_i64, 0..10_000_000_i64, 0..20_000_000_i64, 0..1_000_000_i64).prop_map(
        |(admissions, eligible, deductible, own_burden, pool, large_sum)| {
            let mut before = Accumulators {
                admissions,
                eligible: Fen(eligible),
                deductible: Fen(deductible),
                own_burden: Fen(own_burden),
                ..Accumulators::default()
            };
            before.funds[Fund::Pool] = Fen(pool);
            before.funds[Fund::LargeSum] = Fen(large_sum);
            before
        },
    )
}

fn stay_over_new_year(bill: LineSplit, nights_before: i32, before: &dyn Fn(i32, Counter) -> Accumulators) -> Case<'_> {
    let admission = Date::from_days(day("2026-01-01").days() - nights_before).expect("exists");
    Case {
        bill,
        filings: &[FilingKind::LongTerm],
        admission,
        discharge: day("2026-01-05"),
        accumulators_of: before,
        ..case(0)
    }
}

/// What a fund paid in a year by its steps alone: the exact sum of base times rate, rounded once.
fn recomputed(trace: &[Step], year: i32, fund: Fund) -> Fen {
    let mut sum = Ratio::ZERO;
    for step in trace {
        if step.year == year && matches!(step.code, Code::Band(payer, _) if payer == fund) {
            let product = Ratio::reduced(
                i128::from(step.base_numerator) * i128::from(step.rate_numerator),
                i128::from(step.base_denominator) * i128::from(step.rate_denominator),
            );
            sum = Ratio::reduced(
                sum.numerator() * product.denominator() + product.numerator() * sum.denominator(),
                sum.denominator() * product.denominator(),
            );
        }
    }
    Fen(i64::try_from(round_half_away(sum.numerator(), sum.denominator())).expect("an amount"))
}

fn terms() -> impl Strategy<Value = Terms> {
    let class = prop_oneof![Just(ItemClass::A), Just(ItemClass::B), Just(ItemClass::C)];
    let order = prop_oneof![Just(CeilingOrder::CeilingFirst), Just(CeilingOrder::FirstPayFirst)];
    (class, 0..=10_000_u32, prop::option::of(0..100_000_000_i64), order).prop_map(
        |(class, first_pay_bp, ceiling, order)| Terms {
            class,
            first_pay_bp,
            ceiling: ceiling.and_then(UnitPrice::from_millionths),
            order,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_settlement_closes_and_recomputes_from_its_trace(
        policy in policies(),
        bill in bills(),
        before in histories(),
        nights_before in 0..10,
        account in (0..60_000_000_i64, any::<bool>(), 0..1_000_000_i64, 0..1_000_000_i64),
    ) {
        prop_assert_eq!(check(&policy), []);
        let before_of = |_, _| before;
        let case = stay_over_new_year(bill, nights_before, &before_of);
        let of_year = |_| Some(&policy);
        let (requested, use_family, own, family) = account;
        let request = AccountRequest {
            draw: Draw::Quote, requested: Fen(requested), use_family, own_balance: Fen(own), family_balance: Fen(family),
        };
        let result = adjudicate(&case, &of_year, &request).expect("the policy speaks of everyone");
        prop_assert_eq!(check_identities(&result, &case, &of_year, &request), Ok(()));
        let split = &result.split;
        prop_assert!(split.cash >= Fen::ZERO && split.person_part >= bill.total - bill.in_scope);

        let exact = Draw::Settle;
        let signed = AccountRequest { draw: exact, requested: split.account, ..request };
        prop_assert_eq!(&adjudicate(&case, &of_year, &signed).expect("the quote can be drawn"), &result);
        if split.account < request.requested {
            let beyond = AccountRequest { draw: exact, requested: split.account + Fen(1), ..request };
            let refused = matches!(adjudicate(&case, &of_year, &beyond), Err(BenefitError::BalanceInsufficient { .. }));
            prop_assert!(refused, "more than the quote was drawn");
        }

        prop_assert!(split.trace.iter().all(|step| step.amount >= Fen::ZERO && step.base_numerator >= 0));
        for change in &result.deltas {
            for fund in Fund::ALL {
                let by_steps = recomputed(&split.trace, change.year, *fund);
                prop_assert_eq!(by_steps, change.delta.funds[*fund], "{} {}", fund, change.year);
            }
        }
        let eligible: Fen = result.deltas.iter().map(|change| change.delta.eligible).sum();
        prop_assert_eq!(eligible, bill.in_scope);
    }

    #[test]
    fn no_fund_pays_beyond_what_its_year_has_left(policy in policies(), in_scope in 0..100_000_000_i64, before in histories()) {
        let before_of = |_, _| before;
        let result = settle(&Case { accumulators_of: &before_of, ..case(in_scope) }, &policy).expect("has rules");
        for layer in &policy.layers {
            if let (Some(cap), CapMeasure::Fund) = (layer.annual_cap, layer.cap_measure) {
                let left = (cap - before.funds[layer.fund]).max(Fen::ZERO);
                prop_assert!(result.split.funds[layer.fund] <= left, "{}", layer.fund);
            }
        }
        prop_assert!(result.split.fund_total() <= Fen(in_scope));
    }

    #[test]
    fn a_higher_pool_limit_never_lowers_what_the_pool_pays(
        policy in policies(), in_scope in 0..100_000_000_i64, before in histories(), raise in 0..10_000_000_i64,
    ) {
        let before_of = |_, _| before;
        let case = Case { accumulators_of: &before_of, ..case(in_scope) };
        let mut raised = policy.clone();
        raised.layers[0].annual_cap = policy.layers[0].annual_cap.map(|cap| cap + Fen(raise));
        let pool = |policy: &BenefitPolicy| settle(&case, policy).expect("has rules").split.funds[Fund::Pool];
        prop_assert!(pool(&raised) >= pool(&policy));
    }

    #[test]
    fn bands_of_one_ratio_pay_like_one_band(cuts in prop::collection::btree_set(1..50_000_000_i64, 0..6), rate_bp in 0..=10_000_u32, in_scope in 0..60_000_000_i64) {
        let mut whole = policy();
        whole.layers[0].bands = vec![band(0, None, rate_bp)];
        let mut cut = whole.clone();
        cut.layers[0].bands.clear();
        let mut from = 0;
        for to in cuts {
            cut.layers[0].bands.push(band(from, Some(to), rate_bp));
            from = to;
        }
        cut.layers[0].bands.push(band(from, None, rate_bp));
        let funds = |policy: &BenefitPolicy| settle(&case(in_scope), policy).expect("has rules").split.funds;
        prop_assert_eq!(funds(&cut), funds(&whole));
    }

    #[test]
    fn taking_back_everything_leaves_zero(
        quantity in 1..100_000_000_i64,
        price in 0..100_000_000_i64,
        takes in prop::collection::vec(0..100_000_000_i64, 0..6),
        terms in terms(),
    ) {
        let price = UnitPrice::from_millionths(price).expect("not negative");
        let mut left = Quantity::from_ten_thousandths(quantity);
        let mut sum = split_line(&terms, left, price).expect("in range");
        prop_assert_eq!(sum.check(), Ok(()));
        prop_assert!(sum.in_scope >= Fen::ZERO && sum.over_ceiling >= Fen::ZERO && sum.first_pay >= Fen::ZERO);
        for take in takes.into_iter().chain([i64::MAX]) {
            let after = Quantity::from_ten_thousandths((left.ten_thousandths().saturating_sub(take)).max(0));
            let refund = split_refund(&terms, price, left, after).expect("in range");
            prop_assert!(refund.check().is_ok() && refund.total <= Fen::ZERO);
            sum = sum + refund;
            left = after;
            prop_assert_eq!(sum, split_line(&terms, left, price).expect("in range"));
        }
        prop_assert_eq!(sum, LineSplit::default());
    }

    #[test]
    fn every_decimal_is_read_back_as_printed(scaled in -9_999_999_999_999_999..=9_999_999_999_999_999_i64) {
        let quantity = Quantity::from_ten_thousandths(scaled);
        prop_assert_eq!(Quantity::parse(&quantity.to_string()), Some(quantity));
        if let Some(price) = UnitPrice::from_millionths(scaled) {
            prop_assert_eq!(UnitPrice::parse(&price.to_string()), Some(price));
        }
    }
}
