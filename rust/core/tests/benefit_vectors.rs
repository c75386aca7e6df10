//! The bills of `tests/vectors/benefit_cases.json`, computed by other programs, to the fen.

use medsettle_core::accumulator::Accumulators;
use medsettle_core::benefit::{
    AccountRequest, Adjudication, Case, Code, Draw, LineSplit, Split, Step, adjudicate, split_line,
};
use medsettle_core::calendar::Date;
use medsettle_core::catalogue::{CeilingOrder, ItemClass, Terms};
use medsettle_core::ids::RegionCode;
use medsettle_core::money::{Fen, Quantity, UnitPrice};
use medsettle_core::policy::{
    AccountUse, Adjustment, AdmissionRange, AnyOf, Band, BandBasis, BandMeasure, BenefitPolicy, CapMeasure, Category,
    CrossYear, DeductibleRow, FilingAdjustment, FilingKind, Fund, InsuranceType, Layer, LayerBase, Level, Mode,
    OnCancel, OnTransfer, Unfiled, VisitKind, check,
};
use serde_json::Value;

const FUND_FIELDS: [(&str, Fund); 7] = [
    ("pool_fen", Fund::Pool),
    ("large_sum_fen", Fund::LargeSum),
    ("catastrophic_fen", Fund::Catastrophic),
    ("civil_servant_fen", Fund::CivilServant),
    ("supplement_fen", Fund::Supplement),
    ("medical_aid_fen", Fund::MedicalAid),
    ("other_fund_fen", Fund::Other),
];

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/benefit_cases.json")).expect("valid JSON")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not text: {value}"))
}

fn optional_fen(value: &Value) -> Option<Fen> {
    value.as_i64().map(Fen)
}

fn fen(value: &Value) -> Fen {
    optional_fen(value).unwrap_or_else(|| panic!("not an amount: {value}"))
}

fn named<T>(value: &Value, from_name: fn(&str) -> Option<T>) -> T {
    from_name(text(value)).unwrap_or_else(|| panic!("unknown name: {value}"))
}

fn any_of<T: Copy + Into<u8>>(value: &Value, from_name: fn(&str) -> Option<T>) -> AnyOf<T> {
    AnyOf::of(&items(value).map(|name| named(name, from_name)).collect::<Vec<_>>())
}

fn basis_points(value: &Value) -> u32 {
    value.as_u64().and_then(|bp| u32::try_from(bp).ok()).unwrap_or_else(|| panic!("not a ratio: {value}"))
}

fn adjustment(value: &Value) -> Adjustment {
    Adjustment { mode: named(&value["mode"], Mode::from_name), value_bp: basis_points(&value["value_bp"]) }
}

fn deductible_row(row: &Value) -> DeductibleRow {
    DeductibleRow {
        levels: any_of(&row["levels"], Level::from_name),
        categories: any_of(&row["categories"], Category::from_name),
        entitlements: Vec::new(),
        admission: named(&row["admission"], AdmissionRange::parse),
        amount: fen(&row["amount_fen"]),
    }
}

fn layer(value: &Value) -> Layer {
    Layer {
        fund: named(&value["fund"], Fund::from_name),
        base: named(&value["base"], LayerBase::from_name),
        deductible_counts: value["deductible_counts"].as_bool().unwrap_or(true),
        entitlements: Vec::new(),
        bands: items(&value["bands"])
            .map(|band| Band {
                levels: any_of(&band["levels"], Level::from_name),
                categories: any_of(&band["categories"], Category::from_name),
                entitlements: Vec::new(),
                from: fen(&band["from_fen"]),
                to: optional_fen(&band["to_fen"]),
                rate_bp: basis_points(&band["rate_bp"]),
            })
            .collect(),
        annual_cap: optional_fen(&value["annual_cap_fen"]),
        cap_measure: named(&value["cap_measure"], CapMeasure::from_name),
    }
}

fn policy(value: &Value) -> BenefitPolicy {
    BenefitPolicy {
        region: named(&value["region"], RegionCode::parse),
        insurance_type: named(&value["insurance_type"], InsuranceType::from_name),
        visit_kind: named(&value["visit_kind"], VisitKind::from_name),
        counter: None,
        effective_from: named(&value["effective_from"], Date::parse),
        effective_to: None,
        deductibles: items(&value["deductibles"]).map(deductible_row).collect(),
        deductible_year_cap: None,
        band_measure: named(&value["band_measure"], BandMeasure::from_name),
        band_basis: named(&value["band_basis"], BandBasis::from_name),
        layers: items(&value["layers"]).map(layer).collect(),
        filing_adjustments: items(&value["filing_adjustments"])
            .map(|row| FilingAdjustment {
                kind: named(&row["kind"], FilingKind::from_name),
                scope: None,
                adjustment: adjustment(row),
            })
            .collect(),
        unfiled: named(&value["unfiled"], Unfiled::from_name),
        unfiled_adjustment: value.get("unfiled_adjustment").map(adjustment),
        cross_year: named(&value["cross_year"], CrossYear::from_name),
        on_cancel: named(&value["on_cancel"], OnCancel::from_name),
        account_use: AccountUse::Allowed,
        family_use: AccountUse::Allowed,
        on_transfer: OnTransfer::Carry,
    }
}

fn bill(value: &Value) -> LineSplit {
    LineSplit {
        total: fen(&value["total_fen"]),
        own_pay: fen(&value["own_pay_fen"]),
        over_ceiling: fen(&value["over_ceiling_fen"]),
        first_pay: fen(&value["first_pay_fen"]),
        in_scope: fen(&value["in_scope_fen"]),
    }
}

fn accumulators(value: &Value) -> Accumulators {
    let mut before = Accumulators {
        admissions: value["admissions"].as_i64().expect("a count"),
        deductible: fen(&value["deductible_fen"]),
        own_burden: fen(&value["own_burden_fen"]),
        ..Accumulators::default()
    };
    for (field, fund) in FUND_FIELDS {
        before.funds[fund] = optional_fen(&value[field]).unwrap_or_default();
    }
    before
}

fn run(vectors: &Value, case: &Value) -> Adjudication {
    let policy = policy(&vectors["policies"][text(&case["policy"])]);
    let before = accumulators(&case["accumulators_before"]);
    let day = Date::parse("2025-06-01").expect("exists");
    let input = Case {
        bill: bill(&case["bill"]),
        level: named(&case["institution_level"], Level::from_name),
        category: named(&case["person_category"], Category::from_name),
        entitlements: &[],
        filings: &[named(&case["filing"], FilingKind::from_name)],
        scope: None,
        admission: day,
        discharge: day,
        accumulators_of: &|_, _| before,
    };
    let account = &case["account"];
    let request = AccountRequest {
        draw: Draw::Quote,
        requested: fen(&account["account_request_fen"]),
        use_family: account["use_family"].as_bool().expect("a flag"),
        own_balance: fen(&account["own_balance_fen"]),
        family_balance: fen(&account["family_balance_fen"]),
    };
    adjudicate(&input, &|_| Some(&policy), &request).unwrap_or_else(|error| panic!("{}: {error}", case["id"]))
}

/// Recomputes a fund from its steps alone: the exact sum of base times rate, rounded once.
fn recomputed(steps: &[&Step]) -> Fen {
    let product = |step: &&Step| {
        let numerator = i128::from(step.base_numerator) * i128::from(step.rate_numerator);
        (numerator, i128::from(step.base_denominator) * i128::from(step.rate_denominator))
    };
    let (numerator, denominator) = steps.iter().map(product).fold((0, 1), |(n, d), (next_n, next_d)| {
        if d == next_d { (n + next_n, d) } else { (n * next_d + next_n * d, d * next_d) }
    });
    let doubled = (2 * numerator + denominator) / (2 * denominator);
    Fen(i64::try_from(doubled).expect("an amount"))
}

fn assert_recomputable(id: &str, split: &Split) {
    for fund in Fund::ALL {
        let steps: Vec<&Step> =
            split.trace.iter().filter(|step| matches!(step.code, Code::Band(payer, _) if payer == *fund)).collect();
        assert_eq!(recomputed(&steps), split.funds[*fund], "{id}: {fund} from its trace");
        for step in steps.iter().rev().skip(1) {
            assert_eq!(recomputed(&[*step]), step.amount, "{id}: {}", step.code);
        }
    }
    for (code, amount) in [
        (Code::Deductible, split.deductible),
        (Code::OwnPay, split.bill.own_pay),
        (Code::FirstPay, split.bill.first_pay),
        (Code::OverCeiling, split.bill.over_ceiling),
    ] {
        let steps: Vec<&Step> = split.trace.iter().filter(|step| step.code == code).collect();
        assert_eq!(recomputed(&steps), amount, "{id}: {code} from its trace");
    }
}

#[test]
fn every_policy_passes_its_check() {
    let vectors = vectors();
    for (name, value) in vectors["policies"].as_object().expect("policies by name") {
        assert_eq!(check(&policy(value)), [], "{name}");
    }
}

#[test]
fn every_case_is_settled_to_the_fen_and_recomputes_from_its_trace() {
    let vectors = vectors();
    for case in items(&vectors["cases"]) {
        let id = text(&case["id"]);
        let result = run(&vectors, case);
        let (split, expected) = (&result.split, &case["expected"]);
        assert_eq!(split.bill, bill(expected), "{id}");
        for (field, fund) in FUND_FIELDS {
            assert_eq!(split.funds[fund], fen(&expected[field]), "{id}: {field}");
        }
        for (field, amount) in [
            ("deductible_fen", split.deductible),
            ("fund_total_fen", split.fund_total()),
            ("hospital_part_fen", split.hospital_part),
            ("person_part_fen", split.person_part),
            ("account_fen", split.account),
            ("family_fen", split.family),
            ("cash_fen", split.cash),
        ] {
            assert_eq!(amount, fen(&expected[field]), "{id}: {field}");
        }
        if let Some(balance) = optional_fen(&expected["balance_after_fen"]) {
            assert_eq!(result.balance_after, balance, "{id}: balance_after_fen");
        }
        assert_recomputable(id, split);
    }
}

#[test]
fn the_recorded_bill_shows_its_steps_exactly() {
    let vectors = vectors();
    let case = items(&vectors["cases"]).find(|case| case["id"] == "recorded-real-bill").expect("is listed");
    let trace = run(&vectors, case).split.trace;
    let codes: Vec<String> = trace.iter().map(|step| step.code.to_string()).collect();
    assert_eq!(codes, ["S001", "C001", "C002", "C003", "EC01", "L001", "101"]);
    let large_sum = trace[5];
    // 67,039.6347... yuan: no whole number of fen would recompute.
    assert_eq!((large_sum.base_numerator, large_sum.base_denominator), (650_284_457, 97));
    assert_eq!((large_sum.rate_numerator, large_sum.rate_denominator), (8_000, 10_000));
    assert_eq!(large_sum.amount, Fen(5_363_171));
}

#[test]
fn charge_lines_are_split_to_the_fen_and_add_up_to_their_header() {
    let vectors = vectors();
    let mut splits = Vec::new();
    for line in items(&vectors["charge_lines"]["lines"]) {
        let class = match text(&line["item_class"]) {
            "A" => ItemClass::A,
            "B" => ItemClass::B,
            "C" => ItemClass::C,
            other => panic!("unknown class {other}"),
        };
        let terms = Terms {
            class,
            first_pay_bp: basis_points(&line["first_pay_bp"]),
            ceiling: line["ceiling"].as_str().map(|price| UnitPrice::parse(price).expect("well written")),
            order: CeilingOrder::CeilingFirst,
        };
        let quantity = named(&line["quantity"], Quantity::parse);
        let split = split_line(&terms, quantity, named(&line["unit_price"], UnitPrice::parse)).expect("in range");
        assert_eq!(split, bill(&line["expected"]), "{line}");
        assert_eq!(split.check(), Ok(()));
        splits.push(split);
    }
    let header = bill(&vectors["charge_lines"]["expected_header"]);
    assert_eq!(header.check_lines(&splits), Ok(()));
    assert!(header.check_lines(&splits[1..]).is_err());
}

#[test]
fn a_real_response_satisfies_the_identities() {
    let vectors = vectors();
    let real = &vectors["real_response"];
    let mut split = Split {
        bill: bill(real),
        deductible: fen(&real["deductible_fen"]),
        person_part: fen(&real["person_part_fen"]),
        account: fen(&real["account_fen"]),
        cash: fen(&real["cash_fen"]),
        ..Split::default()
    };
    split.funds[Fund::Pool] = fen(&real["pool_fen"]);
    split.trace.push(Step {
        code: Code::Band(Fund::Pool, 1),
        year: 2025,
        base_numerator: fen(&real["pool_fen"]).0,
        base_denominator: 1,
        rate_numerator: 1,
        rate_denominator: 1,
        amount: fen(&real["pool_fen"]),
    });
    assert_eq!(split.fund_total(), fen(&real["fund_total_fen"]));
    assert_eq!(split.check(), Ok(()));
    split.cash += Fen(1);
    assert!(split.check().is_err());
}
