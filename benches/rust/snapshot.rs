//! What a snapshot costs those who settle meanwhile, and what it saves at the next start.
//!
//! `PERSONS` persons with cards and money, 32 callers that settle visits one after the other: first without a snapshot, then while one is
//! cut. After that the same directory is started from the snapshot, then from its journal alone, and verified.
//! `MEDSETTLE_BENCH_DIR` chooses the file system.

mod hub;
mod town;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use medsettle_benches::figures::{Floor, note};
use medsettle_benches::process::{resident_mib, scratch};
use medsettle_engine::archive::JournalFiles;
use medsettle_engine::index::IndexHome;
use medsettle_engine::limits::READ_WINDOW_LEN;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::{Config, Engine, verify};
use medsettle_wire::record::SCHEMA;
use medsettle_wire::{Operation, v1};

use crate::hub::{caller, process, request, support, visits, watched};
use crate::support::{NOW_MS, OFFICE, Time, config, hospital, office, open_with};
use crate::town::{Holder, settle_in};

const CALLERS: usize = 32;
/// Of so many persons one is ill.
const HOLDERS_AMONG: usize = 10;
/// How often it is verified, beside bare reading.
const ROUNDS: usize = 3;
/// How long they settle without a snapshot.
const UNDISTURBED: Duration = Duration::from_secs(10);

fn settings(data: &Path) -> Config {
    let index = IndexHome::within(data);
    Config { segment_len: 256 << 20, snapshot_segments: 0, index, data: data.to_owned(), ..config() }
}

fn open(data: &Path) -> Engine {
    let storage = Arc::new(DataDirectory::create(data).expect("a data directory"));
    open_with(storage, settings(data), &Time::at(NOW_MS)).expect("opened")
}

/// Settle with 32 callers until `done` says so; the latencies in order.
fn settle(engine: &Engine, holders: &[Holder], done: &(dyn Fn() -> bool + Sync)) -> Vec<Duration> {
    let share = holders.len().div_ceil(CALLERS);
    let mut spent: Vec<Duration> = thread::scope(|scope| {
        let callers: Vec<_> = holders
            .chunks(share)
            .map(|own| {
                scope.spawn(move || {
                    let mut spent = Vec::new();
                    for holder in own.iter().cycle() {
                        if done() {
                            break;
                        }
                        let claim = holder.claim();
                        let start = Instant::now();
                        let _: v1::VisitsSettleResponse = hospital(engine).get(Operation::VisitsSettle, &claim);
                        spent.push(start.elapsed());
                    }
                    spent
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller that ends")).collect()
    });
    spent.sort_unstable();
    spent
}

fn percentile(spent: &[Duration], per_thousand: usize) -> u128 {
    spent[(spent.len() - 1) * per_thousand / 1_000].as_micros()
}

fn told(what: &str, spent: &[Duration], over: Duration) {
    let rate = spent.len() as u128 * 1_000 / over.as_millis().max(1);
    println!(
        "    {what:<26} {rate:>7}/s   p50 {:>6} us   p99 {:>6} us   p99.9 {:>6} us",
        percentile(spent, 500),
        percentile(spent, 990),
        percentile(spent, 999)
    );
}

#[expect(clippy::cast_precision_loss, reason = "it is told with two digits")]
fn ratio(one: u128, other: u128) -> f64 {
    one as f64 / other as f64
}

fn files_with(data: &Path, suffix: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(data).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|found| found == suffix)).collect()
}

fn while_a_snapshot_is_cut(engine: &Engine, holders: &[Holder]) {
    let start = Instant::now();
    let without = settle(engine, holders, &|| start.elapsed() > UNDISTURBED);
    told("settling", &without, start.elapsed());
    let (before, peak, cut) = (resident_mib(), AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    let with = thread::scope(|scope| {
        scope.spawn(|| {
            let header = Some(request::header(OFFICE));
            let asked = v1::OperationsSnapshotRequest { header };
            let _: v1::OperationsSnapshotResponse = office(engine).get(Operation::OperationsSnapshot, &asked);
            cut.store(true, Relaxed);
        });
        scope.spawn(|| {
            while !cut.load(Relaxed) {
                peak.fetch_max(resident_mib(), Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        settle(engine, holders, &|| cut.load(Relaxed))
    });
    told("while a snapshot is cut", &with, start.elapsed());
    let peak = peak.load(Relaxed);
    println!(
        "    the snapshot took {:?}; p99 {:.2} x (at most 2); memory {before} -> {peak} MiB, {:.2} x (at most 1.3)",
        start.elapsed(),
        ratio(percentile(&with, 990), percentile(&without, 990)),
        ratio(peak.into(), before.into())
    );
    let persons = holders.len() * HOLDERS_AMONG;
    note(
        &format!("settlement of 32 callers while a snapshot is cut, p99, {persons} persons"),
        "us",
        &[ratio(percentile(&with, 990), 1)],
        Some(Floor { name: "without a snapshot", values: &[ratio(percentile(&without, 990), 1)] }),
    );
    note(
        &format!("memory while a snapshot is cut, {persons} persons"),
        "MiB",
        &[ratio(peak.into(), 1)],
        Some(Floor { name: "before", values: &[ratio(before.into(), 1)] }),
    );
}

fn starts(data: &Path, persons: u64) {
    let (mut from_snapshot, mut from_journal, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=2 * ROUNDS {
        if round == ROUNDS + 1 {
            for snapshot in files_with(data, "snapshot") {
                fs::remove_file(snapshot).expect("removed");
            }
        }
        // What is in the page cache already, as what a start reads is.
        let (_, reading) = bare_read(data);
        let start = Instant::now();
        let engine = open(data);
        let (spent, records) = (start.elapsed(), engine.report().tail.last_sequence);
        if round <= ROUNDS {
            println!("    start from the snapshot: {spent:?}");
            from_snapshot.push(spent.as_secs_f64());
        } else {
            let rate = ratio(records.into(), spent.as_micros());
            from_journal.push(rate * 1e6);
            bare.push(ratio(records.into(), reading.as_micros()) * 1e6);
            println!("    start from the journal: {spent:?} for {records} records, {rate:.2} M/s (at least 1)");
        }
    }
    note(&format!("start from a snapshot, {persons} persons"), "s", &from_snapshot, None);
    let floor = Floor { name: "bare reading of the segments", values: &bare };
    note(&format!("start from the journal, records, {persons} persons"), "/s", &from_journal, Some(floor));
    verified(data, persons);
}

/// Verify as `medsettle verify` does, beside reading the same files and nothing else.
fn verified(data: &Path, persons: u64) {
    let (mut bytes, mut floor) = (Vec::new(), Vec::new());
    let files = JournalFiles::of(DataDirectory::existing(data).expect("there")).expect("there");
    for _ in 0..ROUNDS {
        let (read, bare) = bare_read(data);
        let start = Instant::now();
        let report = verify::verify(&files, SCHEMA, &mut |_, _| {}, &mut |_| Ok(()));
        assert_eq!(report.expect("it can be read").findings, []);
        let every_byte = start.elapsed();
        let start = Instant::now();
        let report = verify::verify_records(&files, SCHEMA, &mut |_, _| {}).expect("it can be read");
        assert_eq!(report.findings, []);
        let every_record = start.elapsed();
        bytes.push(ratio(read.into(), every_byte.as_nanos()));
        floor.push(ratio(read.into(), bare.as_nanos()));
        println!(
            "    verify {} MB with {} records: every byte {:.2} GB/s, {:.2} x of bare reading ({:.2} GB/s); and every record {:.2} GB/s",
            read / 1_000_000,
            report.facts,
            ratio(read.into(), every_byte.as_nanos()),
            ratio(bare.as_nanos(), every_byte.as_nanos()),
            ratio(read.into(), bare.as_nanos()),
            ratio(read.into(), every_record.as_nanos()),
        );
    }
    let floor = Floor { name: "bare reading of the segments", values: &floor };
    note(&format!("verify, every byte, {persons} persons"), "GB/s", &bytes, Some(floor));
}

/// Bytes of all segments, and how long it takes to read them.
fn bare_read(data: &Path) -> (u64, Duration) {
    let (start, mut read, mut window) = (Instant::now(), 0, vec![0; READ_WINDOW_LEN]);
    for segment in files_with(data, "journal") {
        let mut file = fs::File::open(segment).expect("opened");
        loop {
            match file.read(&mut window).expect("read") {
                0 => break,
                len => read += len as u64,
            }
        }
    }
    (read, start.elapsed())
}

fn main() {
    let persons: u64 = std::env::var("PERSONS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let scratch = scratch();
    let data = scratch.path().join("data");
    let engine = open(&data);
    visits::furnish(&office(&engine));
    let start = Instant::now();
    let holders = settle_in(&engine, persons, HOLDERS_AMONG);
    println!("{persons} persons with cards in {:?}, {} MiB", start.elapsed(), resident_mib());
    while_a_snapshot_is_cut(&engine, &holders);
    drop(engine);
    starts(&data, persons);
}
