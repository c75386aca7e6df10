//! Commits of the journal beside bare `fdatasync` on the same file system, in the same run.
//!
//! The floor writes the same number of bytes to a zero-filled file of its own and syncs after each write.
//! `MEDSETTLE_BENCH_DIR` chooses the file system; the default is the directory for temporary files.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use medsettle_benches::process::scratch;
use medsettle_engine::halt::Halt;
use medsettle_engine::journal::{Appended, HubId, JournalPort};
use medsettle_engine::recovery::{Options, open};
use medsettle_engine::storage::DataDirectory;

const FILE_LEN: u64 = 64 << 20;

fn commits(criterion: &mut Criterion) {
    let directory = scratch();
    let mut group = criterion.benchmark_group("journal");
    group.sample_size(30);
    for body_len in [400, 16 << 10, 64 << 10] {
        let body = vec![0x5A; body_len];
        let options = Options { segment_len: FILE_LEN, ..Options::new(HubId(1), 1) };
        let storage = Arc::new(DataDirectory::create(directory.path().join(format!("j{body_len}"))).expect("created"));
        let mut opened = open(storage, &options, Halt::default(), &mut |_| Ok(())).expect("opened");
        let mut buffer = Vec::new();
        let mut frame_len = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("commit", body_len), |bencher| {
            bencher.iter(|| {
                let tail = *opened.chain.tail();
                let taken = std::mem::take(&mut buffer);
                let frame = opened.chain.business(1, 0, tail.number, &body, taken).expect("the body fits");
                frame_len = frame.bytes().len();
                assert_eq!(opened.journal.append(tail.epoch, tail.hash, &frame), Appended::Durable);
                buffer = frame.into_buffer();
            });
        });
        let file = zero_filled(&directory.path().join(format!("f{body_len}")));
        let bytes = vec![0x5A; frame_len];
        let mut offset = 0;
        group.bench_function(BenchmarkId::new("bare write and fdatasync", body_len), |bencher| {
            bencher.iter(|| {
                if offset + frame_len as u64 > FILE_LEN {
                    offset = 0;
                }
                file.write_all_at(black_box(&bytes), offset).expect("written");
                rustix::fs::fdatasync(&file).expect("synced");
                offset += frame_len as u64;
            });
        });
    }
    group.finish();
}

fn zero_filled(path: &std::path::Path) -> File {
    let mut file = File::create_new(path).expect("created");
    let zeros = vec![0; 1 << 20];
    for _ in 0..FILE_LEN >> 20 {
        file.write_all(&zeros).expect("filled");
    }
    file.sync_all().expect("synced");
    file
}

criterion_group!(benches, commits);
criterion_main!(benches);
