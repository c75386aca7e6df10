//! Verification of cryptograms by scheme and size of batch on one core: by the widest lanes of the machine and by narrower
//! ones, beside one card after the other by the block ciphers of other crates.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use medsettle_cryptogram::{
    Cryptogram, Derivation, MasterKey, Pan, Request, Scheme, SequenceNumber, Verifier, reference, sign,
};

const SIZES: [usize; 4] = [1, 8, 64, 512];
const ARC: [u8; 2] = *b"00";

fn verify_batches(criterion: &mut Criterion) {
    let key = MasterKey::new([0x5B; 16]);
    let mut group = criterion.benchmark_group("cryptogram");
    // There are many of them, and they hardly vary.
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    for scheme in Scheme::ALL {
        for size in SIZES {
            let batch: Vec<_> = (0..size).map(|number| request(scheme, &key, number)).collect();
            group.throughput(Throughput::Elements(size as u64));
            verify_batch(&mut group, scheme, &batch);
        }
    }
    group.finish();
}

fn verify_batch(group: &mut BenchmarkGroup<'_, WallTime>, scheme: Scheme, batch: &[Request<'_>]) {
    let id = |by: &str| BenchmarkId::new(format!("{}, {by}", scheme.name()), batch.len());
    let mut verdicts = Vec::with_capacity(batch.len());
    group.bench_function(id("one by one"), |bencher| {
        bencher.iter(|| reference::verify(black_box(batch), ARC, &mut verdicts));
    });
    for (width, mut verifier) in Verifier::of_every_width() {
        group.bench_function(id(width), |bencher| {
            bencher.iter(|| verifier.verify(black_box(batch), ARC, &mut verdicts));
        });
    }
}

/// What a chip signs when a stay is settled, with another card and counter for every request.
fn request(scheme: Scheme, key: &MasterKey, number: usize) -> Request<'_> {
    let unsigned = Request {
        scheme,
        derivation: Derivation::ByPanLength,
        key,
        pan: Pan::new(&format!("9156{number:012}")).expect("16 digits"),
        sequence_number: SequenceNumber::new(0).expect("two digits"),
        atc: u16::try_from(number).expect("small"),
        data: &[0x31; 37],
        cryptogram: Cryptogram([0; 8]),
    };
    Request { cryptogram: sign(&unsigned), ..unsigned }
}

criterion_group!(benches, verify_batches);
criterion_main!(benches);
