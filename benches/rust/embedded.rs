//! Settlements a second of an engine in this process: messages of 1,000 visits, every cryptogram checked, everything durable.
//!
//! The messages are made before the clock starts and their answers looked at after it has stopped, so what runs is the engine alone. Beside
//! the rate stand what each of its threads spent on a settlement, and the floor: bare write and sync of as many bytes in as many pieces.
//! `PERSONS` are insured, one in ten of them is settled for; `MEDSETTLE_BENCH_DIR` chooses the file system.

mod hub;
mod town;

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use medsettle_benches::figures::{Floor, median, note};
use medsettle_benches::process::{resident_mib, scratch, thread_times};
use medsettle_engine::index::IndexHome;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::{BATCH, Config, Engine};
use medsettle_wire::v1;
use medsettle_wire::v1::command::Command;
use medsettle_wire::v1::command_result::Result as Outcome;
use prost::Message;

use crate::caller::Sent;
use crate::hub::{caller, process, request, support, visits, watched};
use crate::support::{NOW_MS, Time, config, hospital, office, open_with};
use crate::town::{Holder, settle_in};

const MESSAGE_LEN: usize = 1_000;
const MESSAGES: usize = 60;
/// Messages that wait for their answers: a stream's worth.
const IN_FLIGHT: usize = 8;
const ROUNDS: usize = 7;

fn messages(holders: &[Holder], round: usize) -> Vec<Vec<u8>> {
    let mut ill = holders.iter().cycle().skip(round * MESSAGE_LEN * MESSAGES % holders.len());
    let mut message = || {
        let claims = ill.by_ref().take(MESSAGE_LEN).map(|holder| Command::VisitsSettle(holder.claim()));
        caller::batch(claims.collect())
    };
    (0..MESSAGES).map(|_| message()).collect()
}

/// Send all, a few at a time, and wait for every answer.
fn settle(engine: &Engine, messages: Vec<Vec<u8>>) -> (Duration, Vec<Sent>) {
    let hospital = hospital(engine);
    let (mut waiting, mut answered) = (VecDeque::new(), Vec::with_capacity(messages.len()));
    let start = Instant::now();
    for message in messages {
        if waiting.len() == IN_FLIGHT {
            let first: Sent = waiting.pop_front().expect("some wait");
            first.answer();
            answered.push(first);
        }
        waiting.push_back(hospital.send(BATCH, message));
    }
    for sent in waiting {
        sent.answer();
        answered.push(sent);
    }
    (start.elapsed(), answered)
}

fn check(answered: &[Sent]) {
    for sent in answered {
        let response = v1::BatchSubmitResponse::decode(&*sent.answer().bytes).expect("a response");
        let settled = response.results.iter().filter(|result| matches!(result.result, Some(Outcome::VisitsSettle(_))));
        assert_eq!(settled.count(), MESSAGE_LEN, "{:?}", response.results.first());
    }
}

fn journal_bytes(data: &Path) -> u64 {
    let entries = std::fs::read_dir(data).expect("a directory").map(|entry| entry.expect("an entry").path());
    let segments = entries.filter(|path| path.extension().is_some_and(|suffix| suffix == "journal"));
    let used = |path: std::path::PathBuf| {
        // A segment is as long as its settings say from the beginning; what was written of it is not zero.
        let bytes = std::fs::read(path).expect("read");
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
    };
    segments.map(used).sum()
}

/// How long bare writes of so many bytes in so many pieces take, each synced.
fn floor(data: &Path, bytes: u64, pieces: u64) -> Duration {
    let piece = vec![1; usize::try_from(bytes / pieces).expect("a frame")];
    let path = data.join("floor");
    let mut file = File::create(&path).expect("created");
    file.write_all(&vec![0; usize::try_from(bytes).expect("a few frames")]).expect("written");
    file.sync_all().expect("synced");
    let mut file = File::options().write(true).open(&path).expect("opened");
    let start = Instant::now();
    for _ in 0..pieces {
        file.write_all(&piece).expect("written");
        file.sync_data().expect("synced");
    }
    let spent = start.elapsed();
    std::fs::remove_file(path).expect("removed");
    spent
}

fn frames(engine: &Engine) -> u64 {
    engine.metrics().iter().find(|(name, _)| *name == "frames").expect("counted").1
}

#[expect(clippy::cast_precision_loss, reason = "it is told with two digits")]
fn main() {
    let persons: u64 = std::env::var("PERSONS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let scratch = scratch();
    let data = scratch.path().join("data");
    let storage = Arc::new(DataDirectory::create(&data).expect("a data directory"));
    let index = IndexHome::within(&data);
    let settings = Config { segment_len: 256 << 20, snapshot_segments: 0, index, data: data.clone(), ..config() };
    let engine = open_with(storage, settings, &Time::at(NOW_MS)).expect("opened");
    visits::furnish(&office(&engine));
    let start = Instant::now();
    let holders = settle_in(&engine, persons, 10);
    println!("{persons} persons with cards in {:?}, {} MiB", start.elapsed(), resident_mib());
    let count = (MESSAGE_LEN * MESSAGES) as f64;
    let (mut rates, mut floors) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let messages = messages(&holders, round);
        let (bytes_before, frames_before, threads_before) = (journal_bytes(&data), frames(&engine), thread_times());
        let (spent, answered) = settle(&engine, messages);
        let threads = thread_times();
        check(&answered);
        let (bytes, frames) = (journal_bytes(&data) - bytes_before, frames(&engine) - frames_before);
        let floor = floor(&data, bytes, frames);
        let each: Vec<String> = threads
            .iter()
            .map(|(name, time)| (name, time.saturating_sub(threads_before.get(name).copied().unwrap_or_default())))
            .filter(|(_, time)| *time > Duration::from_millis(5))
            .map(|(name, time)| format!("{name} {:.2}", time.as_secs_f64() * 1e6 / count))
            .collect();
        println!(
            "    {:>7.0} settlements/s, {:.2} x the floor's {:?}; {} bytes each, {:.0} a frame; us of each by thread: {}",
            count / spent.as_secs_f64(),
            spent.as_secs_f64() / floor.as_secs_f64(),
            floor,
            bytes / (MESSAGE_LEN * MESSAGES) as u64,
            count / frames as f64,
            each.join(", ")
        );
        rates.push(count / spent.as_secs_f64());
        floors.push(count / floor.as_secs_f64());
    }
    let name = format!("embedded, messages of 1,000, visits, engine alone, {persons} persons");
    note(&name, "/s", &rates, Some(Floor { name: "bare write and fdatasync of the same bytes", values: &floors }));
    let (least, most) = rates.iter().fold((f64::MAX, 0.0_f64), |(least, most), rate| (rate.min(least), rate.max(most)));
    println!("    median {:.0} settlements/s, {least:.0} to {most:.0}", median(&rates));
}
