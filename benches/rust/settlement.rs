//! What one settlement costs the deciding thread: `decide` and `apply`, without bytes, cryptogram and journal.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use medsettle_benches::Ward;

fn settle(criterion: &mut Criterion) {
    // What is known of a thousand persons stays in the processor's cache; of ten thousand it does not.
    for patients in [1_000, 10_000] {
        let discharged = Ward::with_patients(patients);
        let mut ward = discharged.clone();
        let mut next = 0;
        criterion.bench_function(&format!("settlement/decide+apply, {patients} persons"), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                for _ in 0..iterations {
                    if next == ward.patients() {
                        // All are settled: begin again with all discharged.
                        ward = discharged.clone();
                        next = 0;
                    }
                    let request = ward.settlement(next);
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

criterion_group!(benches, settle);
criterion_main!(benches);
