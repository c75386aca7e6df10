//! The complete checking of packages: each mistake is found and named by its path.

use crate::example::{band, day, deductible, layer, policy};
use medsettle_core::catalogue::{Catalogue, CeilingOrder, Item, ItemClass};
use medsettle_core::ids::RegionCode;
use medsettle_core::money::Fen;
use medsettle_core::policy::{
    Adjustment, AdmissionRange, AnyOf, BenefitPolicy, CapMeasure, Category, FilingAdjustment, FilingKind, Fund,
    LayerBase, Level, Mode, Scope, Unfiled, check,
};

type Mistake = (&'static str, fn(&mut BenefitPolicy), &'static [&'static str]);

fn transfer(scope: Option<Scope>, value_bp: u32) -> FilingAdjustment {
    FilingAdjustment { kind: FilingKind::Transfer, scope, adjustment: Adjustment { mode: Mode::Points, value_bp } }
}

const MISTAKES: &[Mistake] = &[
    ("ends before it begins", |p| p.effective_to = Some(day("2024-12-31")), &["effective_to"]),
    ("negative deductible", |p| p.deductibles[0].amount = Fen(-1), &["deductibles[0].amount_fen"]),
    ("two deductibles for one admission", |p| p.deductibles.push(deductible("3+", 0)), &["deductibles[2]"]),
    ("no deductible for the second admission", |p| p.deductibles[1] = deductible("3+", 0), &["deductibles"]),
    ("no deductible from the third on", |p| p.deductibles[1] = deductible("2", 0), &["deductibles"]),
    ("negative yearly deductible", |p| p.deductible_year_cap = Some(Fen(-1)), &["deductible_year_cap_fen"]),
    ("no layers", |p| p.layers.clear(), &["layers"]),
    ("a fund twice", |p| p.layers[1].fund = Fund::Pool, &["layers[1].fund"]),
    ("overflow of nothing", |p| p.layers[0].annual_cap = None, &["layers[1].base"]),
    ("overflow first", |p| p.layers.swap(0, 1), &["layers[0].base"]),
    ("negative limit", |p| p.layers[0].annual_cap = Some(Fen(-1)), &["layers[0].annual_cap_fen"]),
    ("limit on overflow cost", |p| p.layers[1].cap_measure = CapMeasure::Eligible, &["layers[1].cap_measure"]),
    ("no bands", |p| p.layers[0].bands.clear(), &["layers[0].bands"]),
    ("over 100 %", |p| p.layers[0].bands[0].rate_bp = 10_001, &["layers[0].bands[0].rate_bp"]),
    ("empty band", |p| p.layers[0].bands[0].to = Some(Fen(0)), &["layers[0].bands[0].to_fen"]),
    ("negative band", |p| p.layers[0].bands[0].from = Fen(-1), &["layers[0].bands[0].from_fen"]),
    ("overlap", |p| p.layers[0].bands.push(band(5, None, 9_000)), &["layers[0].bands[1].from_fen"]),
    (
        "gap for one level only",
        |p| {
            p.layers[0].bands[0].to = Some(Fen(10));
            p.layers[0].bands.push(band(10, Some(20), 9_000));
            p.layers[0].bands[1].levels = AnyOf::of(&[Level::Three, Level::Two]);
            p.layers[0].bands.push(band(20, None, 9_000));
        },
        &["layers[0].bands[2].from_fen"],
    ),
    (
        "overlap for one category only",
        |p| {
            p.layers[0].bands[0].to = Some(Fen(10));
            p.layers[0].bands.push(band(0, Some(10), 9_000));
            p.layers[0].bands[0].categories = AnyOf::of(&[Category::Active, Category::Retired]);
            p.layers[0].bands[1].categories = AnyOf::of(&[Category::Retired, Category::Resident]);
        },
        &["layers[0].bands[1].from_fen"],
    ),
    ("empty entitlement", |p| p.layers[0].entitlements = vec![String::new()], &["layers[0].entitlements[0]"]),
    (
        "entitlement twice",
        |p| p.layers[0].bands[0].entitlements = vec!["A".to_owned(), "A".to_owned()],
        &["layers[0].bands[0].entitlements[1]"],
    ),
    (
        "two layers on the year's burden",
        |p| {
            for fund in [Fund::Catastrophic, Fund::Supplement] {
                p.layers.push(layer(fund, LayerBase::OwnEligibleBurdenOfYear, vec![band(0, None, 1)], None));
            }
        },
        &["layers[3].base"],
    ),
    (
        "a filing twice",
        |p| p.filing_adjustments = vec![transfer(Some(Scope::InProvince), 1), transfer(None, 2)],
        &["filing_adjustments[1]"],
    ),
    ("over 100 points", |p| p.filing_adjustments = vec![transfer(None, 10_001)], &["filing_adjustments[0].value_bp"]),
    (
        "unfiled as a filing",
        |p| p.filing_adjustments = vec![FilingAdjustment { kind: FilingKind::Unfiled, ..transfer(None, 1) }],
        &["filing_adjustments[0].kind"],
    ),
    (
        "a cap on eligible cost above a threshold",
        |p| {
            p.layers[0].cap_measure = CapMeasure::Eligible;
            p.layers[0].bands.iter_mut().for_each(|band| band.from = Fen(1));
        },
        &["layers[0].cap_measure"],
    ),
    ("reduced by nothing known", |p| p.unfiled = Unfiled::Reduced, &["unfiled_adjustment"]),
    (
        "several at once",
        |p| {
            p.layers[1].bands[0].rate_bp = 20_000;
            p.unfiled_adjustment = Some(Adjustment { mode: Mode::Factor, value_bp: 10_001 });
        },
        &["layers[1].bands[0].rate_bp", "unfiled_adjustment.value_bp"],
    ),
];

#[test]
fn every_mistake_is_named_by_its_path() {
    assert_eq!(check(&policy()), []);
    for (mistake, make, paths) in MISTAKES {
        let mut wrong = policy();
        make(&mut wrong);
        let problems = check(&wrong);
        let found: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(found, *paths, "{mistake}: {problems:?}");
    }
}

#[test]
fn admissions_are_numbers_or_open_ranges() {
    for (text, included, excluded) in
        [("1", vec![1], vec![2]), ("2+", vec![2, 3, 50], vec![1]), ("3+", vec![3], vec![2])]
    {
        let range = AdmissionRange::parse(text).expect("well written");
        assert!(included.iter().all(|number| range.includes(*number)), "{text}");
        assert!(!excluded.iter().any(|number| range.includes(*number)), "{text}");
        assert_eq!(range.to_string(), text);
    }
    for text in ["", "+", "0", "01", "-1", "1++", "100", "1-2", " 1", "三"] {
        assert_eq!(AdmissionRange::parse(text), None, "{text:?}");
    }
}

fn item(code: &str, class: ItemClass, employee_bp: Option<u32>) -> Item {
    Item { code: code.into(), name: code.into(), class, first_pay_bp: [employee_bp, None], ceilings: [None; 4] }
}

#[test]
fn a_catalogue_finds_its_items_and_its_mistakes() {
    let items = vec![
        item("M2", ItemClass::B, Some(1_000)),
        item("M1", ItemClass::A, None),
        item("M2", ItemClass::C, None),
        item("", ItemClass::B, None),
        item("M3", ItemClass::B, Some(10_001)),
    ];
    let catalogue = Catalogue::new(
        RegionCode::parse("370000").expect("six digits"),
        day("2025-01-01"),
        None,
        CeilingOrder::CeilingFirst,
        items,
    );
    assert_eq!(catalogue.item("M1").map(|found| found.class), Some(ItemClass::A));
    assert_eq!(catalogue.item("M4"), None);
    let paths: Vec<String> = catalogue.check().into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["items[3].code", "items[3].first_pay_bp", "items[4].first_pay_bp", "items[2].code"]);
}
