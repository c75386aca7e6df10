//! What one card event costs the deciding thread, beside a settlement: `decide` and `apply` alone.

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use medsettle_benches::{Rounds, Ward};
use medsettle_core::command::Request;

/// Small enough for the processor's cache, as for the first figure of `settlement`.
const PATIENTS: u64 = 1_000;

fn measure(bencher: &mut Bencher<'_>, begin: &Ward, event: fn(&mut Ward, usize) -> Request) {
    let mut rounds = Rounds::of(begin.clone());
    bencher.iter_custom(|iterations| rounds.time(iterations, event));
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
