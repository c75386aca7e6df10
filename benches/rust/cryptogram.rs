//! Verification of cryptograms by scheme, in batches of 512 on one core.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use medsettle_cryptogram::{Cryptogram, Derivation, MasterKey, Pan, Request, Scheme, SequenceNumber, sign, verify};

const BATCH: usize = 512;

fn verify_batches(criterion: &mut Criterion) {
    let key = MasterKey::new([0x5B; 16]);
    let data = [0x31; 37];
    let mut group = criterion.benchmark_group("cryptogram");
    group.throughput(Throughput::Elements(BATCH as u64));
    for scheme in Scheme::ALL {
        let batch: Vec<Request<'_>> = (0..BATCH)
            .map(|i| {
                let unsigned = Request {
                    scheme,
                    derivation: Derivation::ByPanLength,
                    key: &key,
                    pan: Pan::new(&format!("9156{i:012}")).expect("16 digits"),
                    sequence_number: SequenceNumber::new(0).expect("two digits"),
                    atc: 1,
                    data: &data,
                    cryptogram: Cryptogram([0; 8]),
                };
                Request { cryptogram: sign(&unsigned), ..unsigned }
            })
            .collect();
        let mut verdicts = Vec::with_capacity(BATCH);
        group.bench_function(scheme.name(), |bencher| bencher.iter(|| verify(black_box(&batch), &mut verdicts)));
    }
    group.finish();
}

criterion_group!(benches, verify_batches);
criterion_main!(benches);
