//! A package of rules is checked completely, and the table of fields says what each kind has.

use super::*;

fn bare(kind: AlertKind) -> AlertRule {
    AlertRule { kind, hard: false, window_hours: 0, count: 0, ratio_bp: 0, apart: None, tolerance_years: None }
}

fn full(kind: AlertKind) -> AlertRule {
    AlertRule {
        window_hours: 24,
        count: 3,
        ratio_bp: 9_000,
        apart: Some(Apart::City),
        tolerance_years: Some(10),
        ..bare(kind)
    }
}

fn package(rules: Vec<AlertRule>) -> AlertRules {
    let region = RegionCode::parse("110100").unwrap();
    AlertRules { region, effective_from: Date::parse("2026-01-01").unwrap(), rules }
}

fn paths(rules: Vec<AlertRule>) -> Vec<String> {
    package(rules).check().into_iter().map(|problem| problem.path).collect()
}

/// The table at the head of the module, as fields in the order of the message.
fn fields_of(kind: AlertKind) -> &'static [&'static str] {
    match kind {
        AlertKind::TwoPlaces => &["window_hours", "apart"],
        AlertKind::OverlapWithStay | AlertKind::SexConflict => &[],
        AlertKind::ManyInstitutions | AlertKind::ManyPurchases => &["window_hours", "count"],
        AlertKind::NearCap => &["ratio_bp"],
        AlertKind::AgeConflict => &["tolerance_years"],
        AlertKind::Readmission => &["window_hours"],
        AlertKind::WrongCryptograms | AlertKind::CounterJump | AlertKind::WrongPins => &["kind"],
    }
}

#[test]
fn a_rule_has_exactly_the_fields_of_its_kind() {
    let all = ["window_hours", "count", "ratio_bp", "apart", "tolerance_years"];
    for kind in AlertKind::ALL {
        let own = fields_of(kind);
        let of_rule =
            |fields: Vec<&str>| fields.into_iter().map(|field| format!("rules[0].{field}")).collect::<Vec<_>>();
        assert_eq!(paths(vec![bare(kind)]), of_rule(own.to_vec()), "{kind:?} without fields lacks its own");
        let foreign = match own {
            ["kind"] => vec!["kind"],
            own => all.into_iter().filter(|field| !own.contains(field)).collect(),
        };
        assert_eq!(paths(vec![full(kind)]), of_rule(foreign), "{kind:?} with every field has too many");
    }
}

#[test]
fn fields_lie_within_what_can_be_looked_at() {
    let places = AlertRule { window_hours: 744, apart: Some(Apart::Region), ..bare(AlertKind::TwoPlaces) };
    let many = AlertRule { window_hours: 1, count: 32, ..bare(AlertKind::ManyInstitutions) };
    let cap = AlertRule { ratio_bp: 10_000, ..bare(AlertKind::NearCap) };
    let age = AlertRule { tolerance_years: Some(0), ..bare(AlertKind::AgeConflict) };
    let again = AlertRule { window_hours: 360, ..bare(AlertKind::Readmission) };
    assert_eq!(paths(vec![places, many, cap, age, again]), Vec::<String>::new());
    for (rule, field) in [
        (AlertRule { window_hours: 745, ..places }, "window_hours"),
        (AlertRule { count: 33, ..many }, "count"),
        (AlertRule { count: 1, ..many }, "count"),
        (AlertRule { ratio_bp: 10_001, ..cap }, "ratio_bp"),
        (AlertRule { tolerance_years: Some(51), ..age }, "tolerance_years"),
        (AlertRule { window_hours: 25, ..again }, "window_hours"),
    ] {
        assert_eq!(paths(vec![rule]), [format!("rules[0].{field}")], "{rule:?}");
    }
}

#[test]
fn a_rule_that_says_the_same_twice_and_a_rule_too_many_are_named() {
    let soft = AlertRule { window_hours: 24, apart: Some(Apart::City), ..bare(AlertKind::TwoPlaces) };
    let hard_sooner = AlertRule { hard: true, window_hours: 2, ..soft };
    assert_eq!(paths(vec![soft, hard_sooner]), Vec::<String>::new());
    assert_eq!(paths(vec![soft, hard_sooner, AlertRule { hard: true, ..soft }]), ["rules[2]"]);
    let many = (1..=33).map(|hours| AlertRule { window_hours: hours, ..soft }).collect();
    assert_eq!(paths(many), ["rules"]);
}
