//! What one settlement costs the deciding thread: `decide` and `apply`, without bytes, cryptogram and journal.

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use medsettle_benches::figures::{Floor, note};
use medsettle_benches::{Rounds, Ward};
use medsettle_core::command::Request;

fn settle(criterion: &mut Criterion) {
    // What is known of a thousand persons stays in the processor's cache; of ten thousand it does not.
    for patients in [1_000, 10_000] {
        let mut rounds = Rounds::of(Ward::with_patients(patients));
        criterion.bench_function(&format!("settlement/decide+apply, {patients} persons"), |bencher| {
            bencher.iter_custom(|iterations| rounds.time(iterations, Ward::settlement));
        });
    }
    // The floor of the measurement itself: two readings of the clock for each of the two stretches.
    criterion.bench_function("settlement/clock readings", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            for _ in 0..iterations * 2 {
                let start = Instant::now();
                spent += start.elapsed();
            }
            spent
        });
    });
}

/// Patients of a comparison: what is known of them stays in the processor's cache.
const PATIENTS: u64 = 1_000;

/// Settlements that are timed together, with and without rules in turn; they divide [`PATIENTS`].
const STRETCH: usize = 50;

/// How often all of them are settled.
const ROUNDS: usize = 100;

/// What a full package of alert rules adds: the same settlements side by side, by a hub without rules and by one that looks with all
/// of them.
fn watch(_: &mut Criterion) {
    for (visits, used) in [(0, "one use"), (31, "as many uses as a trail holds")] {
        let mut plain = Ward::with_patients(PATIENTS);
        plain.visit(visits);
        let mut watched = plain.clone();
        watched.watch();
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (mut plain, mut watched) = (plain.clone(), watched.clone());
            for start in (0..plain.patients()).step_by(STRETCH) {
                without.push(stretch(&mut plain, start..start + STRETCH));
                with.push(stretch(&mut watched, start..start + STRETCH));
            }
        }
        // A run is a round: what its stretches took by the median.
        let of_rounds = |all: &[Duration]| {
            all.chunks(all.len() / ROUNDS).map(|round| median_us(round.to_vec())).collect::<Vec<_>>()
        };
        let floor = of_rounds(&without);
        let floor = Floor { name: "settlement without rules", values: &floor };
        note(&format!("settlement/alert rules after {used}"), "us", &of_rounds(&with), Some(floor));
        let (without, with) = (median_us(without), median_us(with));
        println!(
            "settlement/alert rules after {used}: {without:.2} us without, {with:.2} us with, ratio {:.3}",
            with / without
        );
    }
}

/// Median time of one settlement. A stretch is shorter than a scheduler's turn: most of them ran alone even where much else runs.
fn median_us(mut stretches: Vec<Duration>) -> f64 {
    stretches.sort_unstable();
    stretches[stretches.len() / 2].as_secs_f64() * 1e6 / f64::from(u32::try_from(STRETCH).expect("few"))
}

/// Settle these patients; only `decide` and `apply` are on the clock.
fn stretch(ward: &mut Ward, patients: Range<usize>) -> Duration {
    let requests: Vec<Request> = patients.map(|patient| ward.settlement(patient)).collect();
    let mut records = Vec::with_capacity(requests.len());
    let start = Instant::now();
    for request in &requests {
        let record = ward.decide(black_box(request));
        ward.apply(black_box(&record));
        records.push(record);
    }
    start.elapsed()
}

criterion_group!(benches, settle, watch);
criterion_main!(benches);
