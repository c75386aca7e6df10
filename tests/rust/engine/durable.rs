//! No answer leaves before its frame is durable, and none is forgotten: whatever happens to the disk, to a thread or to the hub.

use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{EMPTY_COMMIT, Engine};
use medsettle_wire::encode::HubState;
use medsettle_wire::{Operation, Reason, v1};

use crate::caller::{Sent, header, reason};
use crate::process::{Process, Sync};
use crate::request::{self, encode};
use crate::support::{counted, hospital, office, open_on, open_process, until};

/// A hub with one person whose account holds 5,000.00.
fn furnished(process: &Process) -> (Engine, u64) {
    let engine = open_process(process);
    request::furnish(&office(&engine));
    let person = request::enroll(&office(&engine), 1).person;
    (engine, person)
}

fn balance_fen(engine: &Engine, person_id: u64) -> i64 {
    let account: v1::AccountsGetResponse =
        office(engine).get(Operation::AccountsGet, &v1::AccountsGetRequest { person_id });
    account.accounts[0].balance_fen
}

/// A credit whose sync is held, and behind it a read, another credit and an outcome, all decided.
struct Waiting {
    credit: v1::AccountsCreditRequest,
    first: Sent,
    read: Sent,
    second: Sent,
    outcome: Sent,
}

impl Waiting {
    fn behind_a_held_sync(process: &Process, engine: &Engine, person_id: u64) -> Self {
        let office = office(engine);
        let decided = counted(engine, "answered");
        process.set_sync(Sync::Held);
        let credit = request::credit(person_id, 1, "first");
        let request_id = request::id_of(credit.header.as_ref());
        let first = office.send(Operation::AccountsCredit.number(), encode(&credit));
        process.until_held();
        let read = office.send(Operation::AccountsGet.number(), encode(&v1::AccountsGetRequest { person_id }));
        let second = office.send(Operation::AccountsCredit.number(), encode(&request::credit(person_id, 2, "second")));
        let outcome = v1::MessagesGetOutcomeRequest { request_id };
        let outcome = office.send(Operation::MessagesGetOutcome.number(), encode(&outcome));
        until("all are decided", || counted(engine, "answered") == decided + 4);
        Self { credit, first, read, second, outcome }
    }

    fn all(&self) -> [&Sent; 4] {
        [&self.first, &self.read, &self.second, &self.outcome]
    }
}

#[test]
fn an_answer_waits_for_its_sync_and_so_does_a_read_of_what_is_not_durable() {
    let process = Process::on(&SimulatedDisk::new());
    let (engine, person) = furnished(&process);
    let waiting = Waiting::behind_a_held_sync(&process, &engine, person);
    assert!(waiting.all().iter().all(|sent| !sent.is_answered()));
    process.set_sync(Sync::Works);

    let first = header(&waiting.first.answer());
    let read: v1::AccountsGetResponse = waiting.read.read().expect("accepted");
    assert_eq!(read.accounts[0].balance_fen, 500_001);
    assert_eq!(read.header.as_ref(), Some(&first), "it saw the frame that was being written, and names it");
    let outcome: v1::MessagesGetOutcomeResponse = waiting.outcome.read().expect("accepted");
    assert_eq!(outcome.original_sequence, first.sequence);
    assert_eq!(header(&waiting.second.answer()).sequence, first.sequence + 1);
}

#[test]
fn a_failed_sync_halts_and_a_restart_keeps_what_was_acknowledged() {
    for unsynced_stays in [false, true] {
        let disk = SimulatedDisk::new();
        let process = Process::on(&disk);
        let (engine, person) = furnished(&process);
        let waiting = Waiting::behind_a_held_sync(&process, &engine, person);
        process.set_sync(Sync::Fails);
        for sent in waiting.all() {
            assert_eq!(reason(&sent.answer()), Reason::Halted);
        }
        assert_eq!(engine.state(), HubState::Halted);
        assert!(engine.halt_reason().contains("syncing"), "{}", engine.halt_reason());
        let late = hospital(&engine).send(Operation::OperationsStatus.number(), Vec::new());
        assert!(late.is_answered(), "nobody waits for a halted hub");
        assert_eq!(reason(&late.answer()), Reason::Halted);
        engine.close();
        process.die();
        disk.crash(|_| unsynced_stays);

        let engine = open_on(&disk);
        let kept = if unsynced_stays { 500_001 } else { 500_000 };
        assert_eq!(balance_fen(&engine, person), kept);
        let again = office(&engine).call(Operation::AccountsCredit.number(), encode(&waiting.credit));
        assert_eq!(header(&again).replayed, unsynced_stays);
        assert_eq!(balance_fen(&engine, person), 500_001);
        assert_eq!(request::trial_balance(&office(&engine)).personal_balances_fen, 500_001);
    }
}

#[test]
fn a_panic_while_writing_answers_everybody_and_halts() {
    let process = Process::on(&SimulatedDisk::new());
    let (engine, person) = furnished(&process);
    let waiting = Waiting::behind_a_held_sync(&process, &engine, person);
    process.set_sync(Sync::Panics);
    for sent in waiting.all() {
        assert_eq!(reason(&sent.answer()), Reason::Halted);
    }
    assert_eq!(engine.state(), HubState::Halted);
    engine.close();
}

#[test]
fn closing_makes_durable_and_answers_all_that_was_asked_before() {
    let disk = SimulatedDisk::new();
    let process = Process::on(&disk);
    let (engine, person) = furnished(&process);
    let waiting = Waiting::behind_a_held_sync(&process, &engine, person);
    let status = || hospital(&engine).send(Operation::OperationsStatus.number(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| engine.close());
        // While open, a job waits behind the held sync; a closed hub refuses it at once.
        until("the hub is closed", || status().is_answered());
        process.set_sync(Sync::Works);
    });
    assert!(waiting.all().iter().all(|sent| sent.answer().ok));
    assert_eq!(reason(&status().answer()), Reason::Halted);
    engine.close();
    assert_eq!(balance_fen(&open_on(&disk), person), 500_003);
}

#[test]
fn an_empty_commit_has_a_frame_and_a_time_of_its_own() {
    let engine = open_on(&SimulatedDisk::new());
    let caller = hospital(&engine);
    let commits = [(); 2].map(|()| header(&caller.call(EMPTY_COMMIT, Vec::new())));
    assert_ne!(commits[0].chain_hash, commits[1].chain_hash);
    assert!(commits.iter().all(|header| header.sequence == 0 && header.stamp_ms == crate::support::NOW_MS));
}
