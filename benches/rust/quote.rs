//! What the arithmetic of a benefit costs: who pays what of one bill, without looking anything up and without recording anything.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use medsettle_benches::policy;
use medsettle_core::accumulator::Accumulators;
use medsettle_core::benefit::{AccountRequest, Case, Draw, LineSplit, adjudicate};
use medsettle_core::calendar::Date;
use medsettle_core::money::Fen;
use medsettle_core::policy::{Category, Counter, FilingKind, Fund, Level};

fn quote(criterion: &mut Criterion) {
    let policy = policy();
    let account = AccountRequest {
        draw: Draw::Quote,
        requested: Fen(50_000),
        use_family: false,
        own_balance: Fen(300_000),
        family_balance: Fen::ZERO,
    };
    let day = |text| Date::parse(text).expect("a day of the calendar");
    // Nothing used of the year; and so much that this bill goes beyond the limit of the first layer into the second.
    for (name, pool_used) in [("deductible, two layers", Fen::ZERO), ("beyond the limit", Fen(59_000_000))] {
        let mut used = Accumulators { admissions: 1, ..Accumulators::default() };
        used.funds[Fund::Pool] = pool_used;
        let accumulators_of = move |_: i32, _: Counter| used;
        let bill = LineSplit { total: Fen(2_500_000), in_scope: Fen(2_500_000), ..LineSplit::default() };
        let case = Case {
            bill,
            level: Level::Three,
            category: Category::Active,
            entitlements: &[],
            filings: &[FilingKind::Local],
            scope: None,
            admission: day("2026-02-20"),
            discharge: day("2026-02-28"),
            accumulators_of: &accumulators_of,
        };
        let policy_of_year = |_: i32| Some(&policy);
        criterion.bench_function(&format!("quote/{name}"), |bencher| {
            bencher.iter(|| adjudicate(black_box(&case), &policy_of_year, black_box(&account)).expect("it closes"));
        });
    }
}

criterion_group!(benches, quote);
criterion_main!(benches);
