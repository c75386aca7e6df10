//! What years of history cost: memory, disk, and how long answers about the past take, while settlements go on being made.
//!
//! Every settlement goes through the whole engine on real files, with its records index on disk. A clock that is turned lets years pass:
//! days are as long as settlements fill them, so the state (persons, three days of request ids) stays as it is and only history grows.
//! `HISTORY` is how many settlements are made, `MEDSETTLE_BENCH_DIR` chooses the file system.

mod hub;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use medsettle_benches::figures::{Floor, note};
use medsettle_benches::process::{resident_mib, scratch};
use medsettle_engine::index::IndexHome;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::{BATCH, Config, Engine};
use medsettle_wire::{Operation, v1};
use prost::Message;

use crate::caller::{Caller, Sent};
use crate::hub::{caller, process, request, support, visits, watched};
use crate::request::Patient;
use crate::support::{HOSPITAL, NOW_MS, Time, config, hospital, office, open_with};

const DAY_MS: i64 = 86_400_000;
const CHECKPOINTS: u64 = 10;
/// A hub has persons; what they hold is state, not history.
const PATIENTS: u64 = 5_000;
/// Commands of one message, and messages under way: enough that the engine never waits for requests.
const BATCH_LEN: u64 = 500;
const IN_FLIGHT: usize = 4;
/// Days that the history covers: two years.
const DAYS: u64 = 730;
const SAMPLES: u64 = 300;

struct Run<'a> {
    engine: &'a Engine,
    hospital: Caller<'a>,
    time: Time,
    patients: Vec<Patient>,
    per_day: u64,
    made: u64,
    waiting: VecDeque<Sent>,
    /// The sequence that the newest answer showed.
    sequence: u64,
}

impl Run<'_> {
    fn day_of(&self, number: u64) -> i64 {
        i64::try_from(number / self.per_day).expect("few days")
    }

    fn request(&self, number: u64) -> v1::VisitsSettleRequest {
        let now_ms = NOW_MS + self.day_of(number) * DAY_MS;
        let patient = self.patients[usize::try_from(number % PATIENTS).expect("an index")];
        let atc = u32::try_from(number / PATIENTS + 1).expect("a counter");
        let date = request::date_at(now_ms);
        let mut claim = visits::claim(patient, 1, false);
        claim.header = Some(v1::RequestHeader { created_ms: now_ms, ..request::named_header(HOSPITAL, &id(number)) });
        claim.presentation = Some(request::shown_on(now_ms, patient, atc, visits::CLAIM_FEN, 0, 0x00));
        claim.visit_date.clone_from(&date);
        claim.lines[0].date = date;
        claim
    }

    /// Settle until so many are made, then wait until the index has all of them.
    fn settle_until(&mut self, goal: u64) {
        while self.made < goal {
            let end = goal.min(self.made + BATCH_LEN).min((self.made / self.per_day + 1) * self.per_day);
            let commands = (self.made..end).map(|number| v1::command::Command::VisitsSettle(self.request(number)));
            let message = caller::batch(commands.collect());
            self.waiting.push_back(self.hospital.send(BATCH, message));
            self.made = end;
            // A day ends when all its settlements are made.
            let ends_day = end.is_multiple_of(self.per_day);
            let most = if end == goal || ends_day { 0 } else { IN_FLIGHT - 1 };
            while self.waiting.len() > most {
                let oldest = self.waiting.pop_front().expect("some wait");
                self.check(&oldest.read().expect("a batch that is taken"));
            }
            if ends_day {
                self.time.pass(DAY_MS);
            }
        }
        while self.engine.index().applied_sequence() < self.sequence {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn check(&mut self, batch: &v1::BatchSubmitResponse) {
        self.sequence = batch.header.as_ref().expect("a header").sequence;
        for result in &batch.results {
            assert!(matches!(result.result, Some(v1::command_result::Result::VisitsSettle(_))), "{result:?}");
        }
    }

    /// Numbers all over the past: every sample another.
    fn samples(&self) -> impl Iterator<Item = u64> + use<> {
        let made = self.made;
        (0..SAMPLES).map(move |sample| sample.wrapping_mul(0x9e37_79b9_7f4a_7c15) % made)
    }

    fn time(&self, what: &str, mut ask: impl FnMut(u64)) {
        let mut spent: Vec<Duration> = self
            .samples()
            .map(|number| {
                let start = Instant::now();
                ask(number);
                start.elapsed()
            })
            .collect();
        spent.sort_unstable();
        let at = |percent: usize| spent[(spent.len() - 1) * percent / 100].as_micros();
        println!(
            "    {what:<34} p50 {:>7} us   p90 {:>7} us   p99 {:>7} us   max {:>7} us",
            at(50),
            at(90),
            at(99),
            at(100)
        );
    }

    fn measure(&self) {
        let (hospital, office) = (&self.hospital, office(self.engine));
        self.time("GetOutcome of an old id", |number| {
            let outcome = request::outcome(hospital, &id(number));
            assert!(!outcome.original_response.is_empty());
        });
        self.time("Statement, one page", |number| {
            let person_id = self.patients[usize::try_from(number % PATIENTS).expect("an index")].person;
            let request = v1::AccountsStatementRequest { person_id, ..v1::AccountsStatementRequest::default() };
            let page: v1::AccountsStatementResponse = office.get(Operation::AccountsStatement, &request);
            assert!(!page.entries.is_empty());
        });
        self.time("ListSettlements, one page", |number| {
            let date = request::date_at(NOW_MS + self.day_of(number) * DAY_MS);
            let request = v1::InpatientListSettlementsRequest { day: date, ..request::day() };
            let page: v1::InpatientListSettlementsResponse =
                hospital.get(Operation::InpatientListSettlements, &request);
            assert!(page.count > 0);
        });
        let now_ms = NOW_MS + self.day_of(self.made) * DAY_MS;
        let settlement = |number| {
            let outcome = request::outcome(hospital, &id(number));
            v1::VisitsSettleResponse::decode(&*outcome.original_response).expect("settled").settlement_id
        };
        let mut settlements: VecDeque<u64> = self.samples().map(settlement).collect();
        self.time("cancellation of an old settlement", |number| {
            let settlement_id = settlements.pop_front().expect("one for each sample");
            let name = format!("cancel-{}-{number}", self.made);
            let header = v1::RequestHeader { created_ms: now_ms, ..request::named_header(HOSPITAL, &name) };
            let cancel = v1::VisitsCancelRequest { header: Some(header), settlement_id };
            // One that an earlier sample cancelled is refused after the same look into the past.
            let _: Result<v1::VisitsCancelResponse, _> = hospital.ask(Operation::VisitsCancel, &cancel);
        });
    }
}

fn id(number: u64) -> String {
    format!("{HOSPITAL}-{number:012}")
}

fn bytes_of(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a handful of digits is noted")]
fn number(of: u64) -> f64 {
    of as f64
}

fn main() {
    let history: u64 = std::env::var("HISTORY").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let scratch = scratch();
    let data = scratch.path().join("data");
    let storage = Arc::new(DataDirectory::create(&data).expect("a data directory"));
    let index = IndexHome::within(&data);
    let settings = Config { segment_len: 256 << 20, index, data: data.clone(), ..config() };
    let time = Time::at(NOW_MS);
    let engine = open_with(storage, settings, &time).expect("opened");
    visits::furnish(&office(&engine));
    let patients = (1..=PATIENTS).map(|number| request::enroll(&office(&engine), number)).collect();
    let per_day = (history / DAYS).max(1);
    let hospital = hospital(&engine);
    let mut run =
        Run { engine: &engine, hospital, time, patients, per_day, made: 0, waiting: VecDeque::new(), sequence: 0 };
    println!("{history} settlements of {PATIENTS} persons, {per_day} a day; {} MiB before the first", resident_mib());
    let mut index_before = bytes_of(&data.join("index"));
    let (mut rates, mut memory) = (Vec::new(), Vec::new());
    for checkpoint in 1..=CHECKPOINTS {
        let (start, before) = (Instant::now(), run.made);
        run.settle_until(history * checkpoint / CHECKPOINTS);
        let (made, spent) = (run.made - before, start.elapsed());
        let index = bytes_of(&data.join("index"));
        println!(
            "{:>11} settlements   {:>6}/s   memory {:>5} MiB   index {:>6} MiB, {:>5} bytes a settlement",
            run.made,
            u128::from(made) * 1_000 / spent.as_millis().max(1),
            resident_mib(),
            index >> 20,
            index.saturating_sub(index_before) / made.max(1),
        );
        index_before = index;
        rates.push(number(made) / spent.as_secs_f64());
        memory.push(number(resident_mib()));
        if checkpoint == 1 || checkpoint == CHECKPOINTS {
            // The chips' counters go on where they are; cancellations are few.
            run.measure();
        }
    }
    let last = rates.len() - 1;
    for (what, unit, of) in [("rate", "/s", &rates), ("memory", "MiB", &memory)] {
        let floor = Floor { name: "the first tenth", values: &of[..1] };
        note(&format!("history of {history} settlements, {what} of the last tenth"), unit, &of[last..], Some(floor));
    }
    let started = Instant::now();
    let persisted = engine.index().persist().expect("persisted");
    println!("durable up to sequence {persisted} after {:?} more", started.elapsed());
    engine.close();
}
