//! A start from a snapshot: the same hub as from the whole journal, whatever is wrong with a snapshot or lies in the archive.
//!
//! The rows of the recovery table about snapshots, on real files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use medsettle_engine::archive::JournalFiles;
use medsettle_engine::index::IndexHome;
use medsettle_engine::snapshot::HEAD_FIELDS;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::{Answer, Config, Engine, verify};
use medsettle_wire::record::SCHEMA;
use medsettle_wire::v1::command::Command;
use medsettle_wire::{Operation, Reason, v1};
use prost::Message;

use crate::caller::{as_first, header, reason_of};
use crate::request;
use crate::support::{HOSPITAL, NOW_MS, OFFICE, Time, config, hospital, office, open_with, until};

const SEGMENT_LEN: u64 = 32 << 10;

/// A scratch place with a data directory, and what was asked and answered there.
pub(crate) struct Place {
    pub(crate) scratch: tempfile::TempDir,
    pub(crate) archive: Option<PathBuf>,
    pub(crate) segment_len: u64,
    asked: Vec<(Vec<u8>, Answer)>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        Self { scratch, archive: None, segment_len: SEGMENT_LEN, asked: Vec::new() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    pub(crate) fn try_open(&self) -> Result<Engine, medsettle_engine::OpenError> {
        let (segment_len, index) = (self.segment_len, IndexHome::within(&self.data()));
        let archive = self.archive.clone();
        let config = Config { data: self.data(), segment_len, snapshot_segments: 0, archive, index, ..config() };
        Engine::open_by(config, Box::new(Time::at(NOW_MS)))
    }

    pub(crate) fn open(&self) -> Engine {
        self.try_open().expect("it opens")
    }

    /// As many persons and credits as fill some segments; then a snapshot.
    pub(crate) fn fill(&mut self, engine: &Engine, persons: std::ops::Range<u64>) -> u64 {
        for number in persons {
            let patient = request::enroll(&office(engine), number);
            for month in 1..=12 {
                let credit = request::credit(patient.person, 500, &format!("extra {month}")).encode_to_vec();
                let answer = office(engine).call(Operation::AccountsCredit.number(), credit.clone());
                assert!(answer.ok);
                self.asked.push((credit, answer));
            }
        }
        Self::cut(engine)
    }

    /// Cut a snapshot; the sequence behind which it stands.
    pub(crate) fn cut(engine: &Engine) -> u64 {
        let snapshot = v1::OperationsSnapshotRequest { header: Some(request::header(OFFICE)) };
        let cut: v1::OperationsSnapshotResponse = office(engine).get(Operation::OperationsSnapshot, &snapshot);
        cut.snapshot_sequence
    }

    /// A hub with two snapshots and frames behind the newer one.
    pub(crate) fn with_two_snapshots() -> Self {
        let mut place = Self::new();
        let engine = place.open();
        request::furnish(&office(&engine));
        place.fill(&engine, 1..20);
        place.fill(&engine, 20..40);
        request::enroll(&office(&engine), 99);
        drop(engine);
        assert_eq!(place.snapshots().len(), 2);
        place
    }

    pub(crate) fn names(&self, suffix: &str) -> Vec<PathBuf> {
        let within = |directory: &Path| {
            let entries = fs::read_dir(directory).expect("a directory");
            entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
        };
        let mut paths = within(&self.data());
        paths.extend(self.archive.iter().flat_map(|archive| within(archive)));
        paths.retain(|path| path.to_string_lossy().ends_with(suffix));
        paths.sort();
        paths
    }

    pub(crate) fn snapshots(&self) -> Vec<PathBuf> {
        self.names(".snapshot")
    }

    /// Digest, books, and every answer of before given again.
    pub(crate) fn shown(&self, engine: &Engine) -> (Vec<u8>, i64, u64) {
        for (asked, first) in &self.asked {
            let again = office(engine).call(Operation::AccountsCredit.number(), asked.clone());
            assert!(header(&again).replayed);
            assert_eq!(as_first(&again), as_first(first));
        }
        let digest: v1::OperationsDigestResponse =
            office(engine).get(Operation::OperationsDigest, &v1::OperationsDigestRequest {});
        let persons = request::status(&office(engine)).expect("a status").persons;
        (digest.digest, request::trial_balance(&office(engine)).personal_balances_fen, persons)
    }

    pub(crate) fn damage(path: &Path, offset: usize) {
        let mut bytes = fs::read(path).expect("a file");
        bytes[offset] ^= 0x10;
        fs::write(path, bytes).expect("written");
    }
}

#[test]
fn a_start_from_a_snapshot_gives_what_the_whole_journal_gives() {
    let place = Place::with_two_snapshots();
    let engine = place.open();
    assert!(engine.report().first_read > 1, "it began with a snapshot");
    let (report, snapshot) = (engine.report(), engine.report().snapshot.expect("it began with one"));
    let (behind, last) = (report.tail.number - snapshot, report.tail.number);
    let told = format!("started from the snapshot behind frame {snapshot}: {behind} frames folded, the last is {last}");
    assert_eq!(report.to_string(), told);
    let from_snapshot = place.shown(&engine);
    drop(engine);
    assert!(!place.names(".archive").is_empty(), "what no start needs is archived");
    for snapshot in place.snapshots() {
        fs::remove_file(snapshot).expect("removed");
    }
    let engine = place.open();
    assert_eq!(engine.report().first_read, 1);
    assert!(engine.report().to_string().starts_with("started without a snapshot: "));
    assert_eq!(place.shown(&engine), from_snapshot);
}

#[test]
fn the_digest_of_a_hub_that_runs_is_that_of_its_replay() {
    let mut place = Place::new();
    let engine = place.open();
    request::furnish(&office(&engine));
    place.fill(&engine, 1..5);
    request::enroll(&office(&engine), 99);
    let running = place.shown(&engine);
    drop(engine);
    assert_eq!(place.shown(&place.open()), running);
}

#[test]
fn a_damaged_snapshot_is_passed_over_for_the_older_and_then_for_the_journal() {
    let place = Place::with_two_snapshots();
    let engine = place.open();
    let (first_read, shown) = (engine.report().first_read, place.shown(&engine));
    drop(engine);
    let [older, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    // Its head, its rows, and a part that is cut off.
    let whole = fs::read(newer).expect("a snapshot");
    for offset in [9, 60, 4_096 + 20, 4_096 + 300] {
        Place::damage(newer, offset);
        let engine = place.open();
        assert!(engine.report().first_read < first_read, "it began with the older one");
        assert_eq!(place.shown(&engine), shown, "damage at {offset}");
        drop(engine);
        fs::write(newer, &whole).expect("written");
    }
    fs::write(newer, &whole[..4_096]).expect("written");
    assert_eq!(place.shown(&place.open()), shown);
    fs::write(newer, []).expect("written");
    Place::damage(older, 4_096 + 20);
    let engine = place.open();
    assert_eq!((engine.report().first_read, place.shown(&engine)), (1, shown));
}

#[test]
fn without_a_sound_snapshot_a_journal_that_does_not_reach_back_is_refused() {
    let place = Place::with_two_snapshots();
    for snapshot in place.snapshots() {
        Place::damage(&snapshot, 4_096 + 20);
    }
    for archived in place.names(".archive") {
        fs::rename(&archived, place.scratch.path().join(archived.file_name().expect("a name"))).expect("moved");
    }
    let error = place.try_open().expect_err("refused").to_string();
    assert!(error.contains("00000001.journal at offset 0: segments 1 to "), "{error}");
    assert!(error.contains("medsettle verify"), "{error}");
}

#[test]
fn a_journal_that_ends_before_its_snapshot_has_lost_what_was_durable() {
    let mut place = Place::new();
    let engine = place.open();
    request::furnish(&office(&engine));
    place.fill(&engine, 1..8);
    drop(engine);
    let kept = place.scratch.path().join("kept");
    fs::create_dir(&kept).expect("made");
    for segment in place.names(".journal") {
        fs::copy(&segment, kept.join(segment.file_name().expect("a name"))).expect("copied");
    }
    let engine = place.open();
    place.fill(&engine, 8..16);
    drop(engine);
    for segment in place.names(".journal").into_iter().chain(place.names(".archive")) {
        fs::remove_file(segment).expect("removed");
    }
    for segment in fs::read_dir(&kept).expect("kept") {
        let segment = segment.expect("an entry").path();
        fs::copy(&segment, place.data().join(segment.file_name().expect("a name"))).expect("copied");
    }
    let refused = || {
        let error = place.try_open().expect_err("refused").to_string();
        assert!(error.contains("frames that were durable are gone"), "{error}");
    };
    refused();
    // What the snapshot proves does not depend on whether a start may begin with it.
    fs::remove_dir_all(place.data().join("index")).expect("removed");
    refused();
    refused();
}

#[test]
fn a_snapshot_of_another_directory_or_history_is_passed_over() {
    let place = Place::with_two_snapshots();
    let engine = place.open();
    let shown = place.shown(&engine);
    drop(engine);
    let foreign = Place::with_two_snapshots();
    for (own, other) in place.snapshots().iter().zip(foreign.snapshots()) {
        fs::copy(other, own).expect("copied");
    }
    let engine = place.open();
    assert_eq!((engine.report().first_read, place.shown(&engine)), (1, shown));
}

#[test]
fn a_snapshot_whose_rows_do_not_give_its_digest_is_passed_over() {
    let place = Place::with_two_snapshots();
    let engine = place.open();
    let (first_read, shown) = (engine.report().first_read, place.shown(&engine));
    drop(engine);
    let [_, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    let mut bytes = fs::read(newer).expect("a snapshot");
    let (_, digest) = HEAD_FIELDS.iter().find(|(name, _)| *name == "state digest").expect("a field");
    bytes[digest.start] ^= 1;
    fs::write(newer, sealed_anew(bytes)).expect("written");
    let engine = place.open();
    assert!(engine.report().first_read < first_read, "it began with the older one");
    assert_eq!(place.shown(&engine), shown);
}

/// A snapshot whose head was changed, so that nothing but what it says tells.
pub(crate) fn sealed_anew(mut bytes: Vec<u8>) -> Vec<u8> {
    let seed = crc32c::crc32c_append(crc32c::crc32c(&0_u64.to_le_bytes()), &0_u32.to_le_bytes());
    let checksum = crc32c::crc32c_append(seed, &bytes[..508]);
    bytes[508..512].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn a_snapshot_of_a_fork_of_the_same_directory_is_passed_over() {
    let mut place = Place::with_two_snapshots();
    let mut fork = Place::new();
    copy_all(&place.data(), &fork.data());
    for (place, persons) in [(&mut place, 50..60), (&mut fork, 60..70)] {
        let engine = place.open();
        place.fill(&engine, persons);
    }
    let engine = place.open();
    let (first_read, shown) = (engine.report().first_read, place.shown(&engine));
    drop(engine);
    let [_, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    let [_, forked] = &fork.snapshots()[..] else { panic!("two snapshots") };
    assert_eq!(newer.file_name(), forked.file_name(), "they stand behind frames of one number");
    fs::copy(forked, newer).expect("copied");
    let engine = place.open();
    assert!(engine.report().first_read < first_read, "it began with the older one");
    assert_eq!(place.shown(&engine), shown);
}

#[test]
fn a_start_from_either_snapshot_needs_nothing_of_the_archive() {
    let place = Place::with_two_snapshots();
    let engine = place.open();
    let shown = place.shown(&engine);
    drop(engine);
    let archived = place.names(".archive");
    assert!(!archived.is_empty());
    for archived in archived {
        fs::remove_file(archived).expect("removed");
    }
    assert_eq!(place.shown(&place.open()), shown);
    let [_, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    Place::damage(newer, 60);
    assert_eq!(place.shown(&place.open()), shown);
}

#[test]
fn a_start_without_its_index_folds_the_whole_journal_so_that_no_answer_of_the_past_is_lost() {
    let place = Place::with_two_snapshots();
    let engine = place.open();
    let shown = place.shown(&engine);
    drop(engine);
    fs::remove_dir_all(place.data().join("index")).expect("removed");
    let engine = place.open();
    assert_eq!((engine.report().first_read, place.shown(&engine)), (1, shown));
}

pub(crate) fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let copy = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_all(&path, &copy);
        } else {
            fs::copy(&path, copy).expect("copied");
        }
    }
}

#[test]
fn a_snapshot_that_was_being_written_is_nothing() {
    let mut place = Place::with_two_snapshots();
    let engine = place.open();
    let (first_read, shown) = (engine.report().first_read, place.shown(&engine));
    drop(engine);
    fs::write(place.data().join("snapshot.tmp"), [7; 5_000]).expect("written");
    fs::write(place.data().join("archive.tmp"), [7; 5_000]).expect("written");
    let engine = place.open();
    assert_eq!((engine.report().first_read, place.shown(&engine)), (first_read, shown));
    place.fill(&engine, 50..52);
    assert_eq!(place.snapshots().len(), 2, "two are kept");
}

#[test]
fn an_archive_elsewhere_is_found_by_whoever_reads_the_journal() {
    let mut place = Place::new();
    place.archive = Some(place.scratch.path().join("archive"));
    let engine = place.open();
    request::furnish(&office(&engine));
    place.fill(&engine, 1..20);
    place.fill(&engine, 20..40);
    drop(engine);
    let archived = place.names(".archive");
    assert!(!archived.is_empty() && archived.iter().all(|path| path.parent() == place.archive.as_deref()));
    let walk = || {
        let files = JournalFiles::of(DataDirectory::existing(place.data()).expect("there")).expect("there");
        verify::verify(&files, SCHEMA, &mut |_, _| {}, &mut |_| Ok(())).expect("it can be read")
    };
    let report = walk();
    assert_eq!(report.findings, []);
    assert!(report.frames > 400, "{} frames", report.frames);
    let plain: u64 = archived.len() as u64 * SEGMENT_LEN;
    let compressed: u64 = archived.iter().map(|path| fs::metadata(path).expect("there").len()).sum();
    assert!(compressed * 2 < plain, "{compressed} of {plain} bytes");
    let whole = fs::read(&archived[0]).expect("an archived segment");
    for offset in [20, 5_000, whole.len() - 40, whole.len() - 100] {
        Place::damage(&archived[0], offset);
        let files = JournalFiles::of(DataDirectory::existing(place.data()).expect("there")).expect("there");
        let verified = verify::verify(&files, SCHEMA, &mut |_, _| {}, &mut |_| Ok(()));
        let found = verified.map(|report| report.findings.iter().map(ToString::to_string).collect::<String>());
        let said = found.unwrap_or_else(|error| error.to_string());
        assert!(said.contains("00000001.archive"), "damage at {offset} of {}: {said}", whole.len());
        fs::write(&archived[0], &whole).expect("written");
    }
}

#[test]
fn a_journal_that_grows_by_so_many_segments_brings_a_snapshot_and_archives_by_itself() {
    let place = Place::new();
    let storage = DataDirectory::create(place.data()).expect("a data directory");
    let index = IndexHome::within(&place.data());
    let config = Config { data: place.data(), segment_len: SEGMENT_LEN, snapshot_segments: 2, index, ..config() };
    let engine = open_with(Arc::new(storage), config, &Time::at(NOW_MS)).expect("it opens");
    request::furnish(&office(&engine));
    for number in 1..40 {
        request::enroll(&office(&engine), number);
    }
    until("archived segments", || !place.names(".archive").is_empty());
}

#[test]
fn a_batch_holds_no_snapshot_and_only_operators_cut_one() {
    let place = Place::new();
    let engine = place.open();
    request::furnish(&office(&engine));
    let snapshot = v1::OperationsSnapshotRequest { header: Some(request::header(HOSPITAL)) };
    let refused = hospital(&engine).ask::<v1::OperationsSnapshotResponse>(Operation::OperationsSnapshot, &snapshot);
    assert_eq!(refused.unwrap_err(), Reason::RoleForbidden);
    let in_a_batch = v1::OperationsSnapshotRequest { header: Some(request::header(OFFICE)) };
    let commands =
        vec![Command::OperationsSnapshot(in_a_batch), Command::OperationsDigest(v1::OperationsDigestRequest {})];
    for result in office(&engine).submit(commands).results {
        let Some(v1::command_result::Result::Refusal(refusal)) = result.result else { panic!("{result:?}") };
        assert_eq!(reason_of(&refusal), Reason::MethodNotAvailable);
    }
    assert!(place.snapshots().is_empty());
}
