//! What one card event costs the deciding thread, beside a settlement: `decide` and `apply` alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use medsettle_benches::Ward;
use medsettle_core::command::Request;

/// Small enough for the processor's cache, as for the first figure of `settlement`.
const PATIENTS: u64 = 1_000;

/// Measure an event of one patient after the other; when all had it, the ward begins again as it was.
fn measure(bencher: &mut Bencher<'_>, begin: &Ward, event: fn(&mut Ward, usize) -> Request) {
    let mut ward = begin.clone();
    let mut next = 0;
    bencher.iter_custom(|iterations| {
        let mut spent = Duration::ZERO;
        for _ in 0..iterations {
            if next == ward.patients() {
                ward = begin.clone();
                next = 0;
            }
            let request = event(&mut ward, next);
            next += 1;
            let start = Instant::now();
            let record = ward.decide(black_box(&request));
            spent += start.elapsed();
            ward.observe(&record);
            let start = Instant::now();
            ward.apply(black_box(&record));
            spent += start.elapsed();
        }
        spent
    });
}

fn card_events(criterion: &mut Criterion) {
    let discharged = Ward::with_patients(PATIENTS);
    let mut lost = discharged.clone();
    for patient in 0..lost.patients() {
        let request = lost.loss_report(patient);
        lost.carry_out(&request);
    }
    let mut replaced = discharged.clone();
    replaced.issue_successors();
    let mut group = criterion.benchmark_group("card events");
    group.bench_function("settlement", |bencher| measure(bencher, &discharged, Ward::settlement));
    group.bench_function("loss report", |bencher| measure(bencher, &discharged, Ward::loss_report));
    group.bench_function("withdrawal", |bencher| measure(bencher, &lost, Ward::withdrawal));
    group.bench_function("enabling a successor", |bencher| measure(bencher, &replaced, Ward::enabling));
    group.finish();
}

criterion_group!(benches, card_events);
criterion_main!(benches);
