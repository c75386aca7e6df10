//! The past on disk, as callers see it: an index that does not fit its journal is made again, and a full disk loses nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use medsettle_engine::error::JournalError;
use medsettle_engine::index::{IndexHome, MemoryIndex, rebuild};
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{Config, EMPTY_COMMIT, Engine, OpenError};
use medsettle_wire::encode::HubState;
use medsettle_wire::v1::command::Command;
use medsettle_wire::v1::messages_get_outcome_response::Outcome;
use medsettle_wire::{Operation, Reason, v1};

use crate::caller::{Sent, as_first, header, reason};
use crate::request::{self, Patient, encode};
use crate::support::{NOW_MS, OFFICE, Time, config, hospital, office, open_at, open_with, until};

const DAY_MS: i64 = 86_400_000;

/// A data directory on real files, with one patient.
struct Town {
    scratch: tempfile::TempDir,
    patient: Patient,
}

impl Town {
    fn found() -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let engine = open_at(&scratch.path().join("data"), &Time::at(NOW_MS)).expect("opened");
        request::furnish(&office(&engine));
        let patient = request::enroll(&office(&engine), 1);
        engine.close();
        Self { scratch, patient }
    }

    fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    fn index(&self) -> PathBuf {
        self.data().join("index")
    }

    fn open(&self) -> Engine {
        open_at(&self.data(), &Time::at(NOW_MS)).expect("opened")
    }

    /// Credit under request ids that begin so, each once.
    fn credit(&self, engine: &Engine, ids: &str, count: i64) {
        for number in 0..count {
            let credited =
                office(engine).call(Operation::AccountsCredit.number(), encode(&self.crediting(ids, number)));
            header(&credited);
        }
    }

    fn crediting(&self, ids: &str, number: i64) -> v1::AccountsCreditRequest {
        let header = Some(request::named_header(OFFICE, &format!("{ids}-{number}")));
        v1::AccountsCreditRequest { header, ..request::credit(self.patient.person, 1, &format!("{ids}{number}")) }
    }

    /// Amounts of the patient's statement after the first credit.
    fn statement(&self, engine: &Engine) -> Vec<String> {
        let request =
            v1::AccountsStatementRequest { person_id: self.patient.person, ..v1::AccountsStatementRequest::default() };
        let page: v1::AccountsStatementResponse = office(engine).get(Operation::AccountsStatement, &request);
        page.entries.iter().map(|entry| format!("{} {}", entry.sequence, entry.amount_fen)).collect()
    }
}

fn copy_tree(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

/// Spoil the index, open, and find everything as it was.
fn is_made_again(spoil: impl FnOnce(&Town)) {
    let town = Town::found();
    let engine = town.open();
    town.credit(&engine, "kept", 3);
    let statement = town.statement(&engine);
    engine.close();
    spoil(&town);
    let engine = town.open();
    assert_eq!(town.statement(&engine), statement);
    assert_eq!(request::outcome(&office(&engine), "kept-2").outcome(), Outcome::Accepted);
    town.credit(&engine, "later", 1);
    assert_eq!(town.statement(&engine).len(), statement.len() + 1);
}

#[test]
fn an_index_that_is_gone_is_made_again() {
    is_made_again(|town| fs::remove_dir_all(town.index()).expect("removed"));
}

#[test]
fn an_index_that_cannot_be_read_is_made_again() {
    is_made_again(|town| {
        for entry in fs::read_dir(town.index()).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                fs::write(path, [0x5A; 99]).expect("written");
            }
        }
    });
}

#[test]
fn the_index_of_another_directory_is_made_again() {
    is_made_again(|town| {
        let other = Town::found();
        let engine = other.open();
        other.credit(&engine, "other", 5);
        engine.close();
        copy_tree(&other.index(), &town.index());
    });
}

#[test]
fn an_index_of_the_same_directory_with_other_decisions_is_made_again() {
    for decided in [1, 3, 9] {
        let town = Town::found();
        let before = town.scratch.path().join("before");
        copy_tree(&town.data(), &before);
        let engine = town.open();
        town.credit(&engine, "lost", 3);
        engine.close();
        let index = town.scratch.path().join("index");
        copy_tree(&town.index(), &index);

        // The directory as it was goes another way, and the index of the first way comes back to it.
        copy_tree(&before, &town.data());
        let engine = town.open();
        town.credit(&engine, "kept", decided);
        let statement = town.statement(&engine);
        engine.close();
        copy_tree(&index, &town.index());
        let engine = town.open();
        assert_eq!(town.statement(&engine), statement, "after {decided}");
        assert_eq!(request::outcome(&office(&engine), "lost-0").outcome(), Outcome::Unknown);
        assert_eq!(request::outcome(&office(&engine), "kept-0").outcome(), Outcome::Accepted);
    }
}

#[test]
fn an_index_of_a_fork_that_is_as_far_as_the_snapshot_is_made_again() {
    // Credits of a patient were told that nobody had decided: a copy of the directory had run on, and its index was put beside the original.
    for behind_an_empty_frame in [false, true] {
        let town = Town::found();
        let fork = Town { scratch: tempfile::tempdir().expect("a scratch directory"), patient: town.patient };
        copy_tree(&town.data(), &fork.data());
        let engine = fork.open();
        fork.credit(&engine, "forked", 3);
        engine.close();

        let engine = town.open();
        town.credit(&engine, "kept", 3);
        if behind_an_empty_frame {
            assert!(office(&engine).call(EMPTY_COMMIT, Vec::new()).ok);
        }
        let snapshot = v1::OperationsSnapshotRequest { header: Some(request::header(OFFICE)) };
        office(&engine).get::<v1::OperationsSnapshotResponse>(Operation::OperationsSnapshot, &snapshot);
        let (statement, status) = (town.statement(&engine), request::status(&office(&engine)).expect("a status"));
        engine.close();

        copy_tree(&fork.index(), &town.index());
        let engine = town.open();
        assert_eq!(town.statement(&engine), statement, "behind an empty frame: {behind_an_empty_frame}");
        assert_eq!(request::outcome(&office(&engine), "forked-0").outcome(), Outcome::Unknown);
        assert_eq!(request::outcome(&office(&engine), "kept-0").outcome(), Outcome::Accepted);
        let again = request::status(&office(&engine)).expect("a status");
        assert_eq!(again.header, status.header, "the hash of the newest decision is that of this journal");
    }
}

#[test]
fn an_index_that_is_behind_takes_the_rest_from_the_journal() {
    let town = Town::found();
    let behind = town.scratch.path().join("behind");
    copy_tree(&town.index(), &behind);
    let engine = town.open();
    town.credit(&engine, "rest", 5);
    let (statement, applied) = (town.statement(&engine), engine.index().clone());
    engine.close();
    assert!(applied.persist().is_err(), "a closed index promises nothing");
    copy_tree(&behind, &town.index());
    let engine = town.open();
    assert_eq!(town.statement(&engine), statement);
    until("it is taken in", || engine.index().applied_sequence() == applied.applied_sequence());
    assert_eq!(engine.index().persist().expect("persisted"), applied.applied_sequence());
}

#[test]
fn a_rebuild_refuses_while_a_hub_holds_the_directory_and_changes_no_answer() {
    let town = Town::found();
    let engine = town.open();
    town.credit(&engine, "kept", 4);
    let statement = town.statement(&engine);
    let storage = DataDirectory::existing(town.data()).expect("a directory");
    let home = IndexHome::within(&town.data());
    let refused = rebuild(&storage, &home, &mut |_, _| {});
    assert!(matches!(refused, Err(OpenError::Journal(JournalError::Locked { .. }))), "{refused:?}");
    let sequence = engine.report().tail.last_sequence + 4;
    engine.close();

    let mut told = Vec::new();
    let rebuilt = rebuild(&storage, &home, &mut |done, total| told.push((done, total))).expect("made");
    assert_eq!(rebuilt.records, sequence);
    assert!(told.is_sorted() && told.last().is_some_and(|(done, total)| done == total));
    let engine = town.open();
    assert_eq!(engine.index().applied_sequence(), sequence, "nothing is left to take in");
    assert_eq!(town.statement(&engine), statement);
}

#[test]
fn a_request_of_last_week_is_answered_as_it_was_whatever_the_clock_did_in_between() {
    let town = Town::found();
    let time = Time::at(NOW_MS);
    let engine = open_at(&town.data(), &time).expect("opened");
    let asked = town.crediting("old", 0);
    let first = office(&engine).call(Operation::AccountsCredit.number(), encode(&asked));
    for day in 1..=8 {
        time.pass(DAY_MS);
        let enrolment = v1::PersonsEnrollRequest {
            header: Some(v1::RequestHeader {
                created_ms: NOW_MS + day * DAY_MS,
                ..request::named_header(OFFICE, &format!("day-{day}"))
            }),
            ..request::enrolment(100 + u64::try_from(day).expect("positive"))
        };
        header(&office(&engine).call(Operation::PersonsEnroll.number(), encode(&enrolment)));
        let again = office(&engine).call(Operation::AccountsCredit.number(), encode(&asked));
        assert_eq!(as_first(&again), as_first(&first), "after {day} days");
        let other = v1::AccountsCreditRequest { amount_fen: 2, ..asked.clone() };
        let reused = office(&engine).call(Operation::AccountsCredit.number(), encode(&other));
        assert_eq!(reason(&reused), Reason::RequestIdReused);
    }
}

#[test]
fn while_the_index_has_no_room_new_work_is_refused_and_nothing_is_lost() {
    let (disk, memory) = (SimulatedDisk::new(), MemoryIndex::default());
    let open = || {
        let config = Config { index: IndexHome::Memory(memory.clone()), ..config() };
        open_with(Arc::new(disk.clone()), config, &Time::at(NOW_MS))
    };
    let engine = open().expect("opened");
    request::furnish(&office(&engine));
    let patient = request::enroll(&office(&engine), 1);
    let credit = |key: &str| {
        let header = Some(request::named_header(OFFICE, key));
        encode(&v1::AccountsCreditRequest { header, ..request::credit(patient.person, 1, key) })
    };
    let send = |engine: &Engine, key| office(engine).call(Operation::AccountsCredit.number(), credit(key));
    // What was decided before is written, so that only what is sent from here on meets the full disk.
    let is_written = || {
        let status = request::status(&office(&engine)).expect("a status");
        engine.index().applied_sequence() >= status.header.expect("a header").sequence
    };
    until("the index has everything", is_written);
    memory.set_full(true);
    let first = send(&engine, "first");
    until("the index is found full", || engine.state() == HubState::DiskFull);
    assert_eq!(reason(&send(&engine, "refused")), Reason::DiskFull);
    assert_eq!(as_first(&send(&engine, "first")), as_first(&first), "what was decided is told from memory");
    assert_eq!(request::outcome(&office(&engine), "first").outcome(), Outcome::Accepted);

    memory.set_full(false);
    until("the room is noticed", || engine.state() == HubState::Serving);
    header(&send(&engine, "refused"));
    until("the index has everything", is_written);
    memory.set_full(true);
    header(&send(&engine, "last"));
    engine.close();

    memory.set_full(false);
    let engine = open().expect("opened");
    for key in ["first", "refused", "last"] {
        assert_eq!(request::outcome(&office(&engine), key).outcome(), Outcome::Accepted, "{key}");
        assert!(header(&send(&engine, key)).replayed);
    }
    assert!(
        hospital(&engine)
            .ask::<v1::OperationsStatusResponse>(Operation::OperationsStatus, &v1::OperationsStatusRequest::default())
            .is_ok()
    );
}

/// A hub on real files that has decided something for which its index has no room.
fn without_room() -> (Engine, MemoryIndex, tempfile::TempDir) {
    let (memory, scratch) = (MemoryIndex::default(), tempfile::tempdir().expect("a scratch directory"));
    let storage = DataDirectory::create(scratch.path().join("data")).expect("a data directory");
    let config = Config { index: IndexHome::Memory(memory.clone()), ..config() };
    let engine = open_with(Arc::new(storage), config, &Time::at(NOW_MS)).expect("opened");
    request::furnish(&office(&engine));
    let patient = request::enroll(&office(&engine), 1);
    until("the index has everything", || {
        let status = request::status(&office(&engine)).expect("a status");
        engine.index().applied_sequence() >= status.header.expect("a header").sequence
    });
    memory.set_full(true);
    let credit = encode(&request::credit(patient.person, 1, "the last"));
    header(&office(&engine).call(Operation::AccountsCredit.number(), credit));
    (engine, memory, scratch)
}

fn order_snapshot(engine: &Engine) -> Sent {
    let snapshot = v1::OperationsSnapshotRequest { header: Some(request::header(OFFICE)) };
    office(engine).send(Operation::OperationsSnapshot.number(), encode(&snapshot))
}

#[test]
fn a_snapshot_is_refused_at_once_while_the_index_has_no_room_and_a_digest_is_told() {
    // Whoever asked a hub with a full disk for a snapshot was kept waiting, and an auditor who asked for the digest behind it as well.
    let (engine, memory, _scratch) = without_room();
    let digest = || {
        let asked = v1::OperationsDigestRequest::default();
        office(&engine).get::<v1::OperationsDigestResponse>(Operation::OperationsDigest, &asked).digest
    };
    assert_eq!(reason(&order_snapshot(&engine).answer()), Reason::DiskFull, "found full while it waits");
    until("it is found full", || engine.state() == HubState::DiskFull);
    assert_eq!(reason(&order_snapshot(&engine).answer()), Reason::DiskFull);
    let told = digest();
    memory.set_full(false);
    until("there is room", || engine.state() == HubState::Serving);
    assert!(order_snapshot(&engine).read::<v1::OperationsSnapshotResponse>().is_ok());
    assert_eq!(digest(), told);
}

/// A hub that credited somebody so often, 500 times at once, is closed: an index that knows nothing of it and has no room, and what opens the
/// hub with it.
fn after_credits(batches: u64) -> (MemoryIndex, impl Fn() -> Result<Engine, OpenError>) {
    let (disk, memory) = (SimulatedDisk::new(), MemoryIndex::default());
    let engine = open_with(Arc::new(disk.clone()), config(), &Time::at(NOW_MS)).expect("opened");
    request::furnish(&office(&engine));
    let person = request::enroll(&office(&engine), 1).person;
    for batch in 0..batches {
        let credit = |number| Command::AccountsCredit(request::credit(person, 1, &format!("{batch} {number}")));
        office(&engine).submit((0..500).map(credit).collect());
    }
    engine.close();
    memory.set_full(true);
    let index = memory.clone();
    let open = move || {
        let config = Config { index: IndexHome::Memory(index.clone()), ..config() };
        open_with(Arc::new(disk.clone()), config, &Time::at(NOW_MS))
    };
    (memory, open)
}

#[test]
fn a_hub_whose_index_finds_no_room_for_a_little_opens_and_can_be_read() {
    let (memory, open) = after_credits(1);
    let engine = open().expect("opened");
    assert_eq!(engine.state(), HubState::DiskFull);
    assert_eq!(request::trial_balance(&office(&engine)).personal_balances_fen, 500_500);
    let new = office(&engine).call(Operation::PersonsEnroll.number(), encode(&request::enrolment(2)));
    assert_eq!(reason(&new), Reason::DiskFull);
    memory.set_full(false);
    until("the room is noticed", || engine.state() == HubState::Serving);
}

#[test]
fn an_index_that_is_made_for_the_first_time_says_that_it_has_no_room() {
    let (memory, open) = after_credits(20);
    let error = open().expect_err("no room");
    assert!(matches!(error, OpenError::Index(_)) && error.to_string().contains("the disk is full"), "{error}");
    memory.set_full(false);
    let engine = open().expect("opened");
    assert_eq!(request::trial_balance(&office(&engine)).personal_balances_fen, 510_000);
}
