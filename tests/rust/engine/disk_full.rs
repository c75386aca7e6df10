//! A full disk is met before a frame needs the space: new work is refused, the rest goes on, and space that returns is noticed.

use std::sync::Arc;

use medsettle_engine::journal::frame::{BLOCK_LEN, is_untouched};
use medsettle_engine::journal::segment::name_of;
use medsettle_engine::limits::MIN_SEGMENT_LEN;
use medsettle_engine::storage::Storage;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{Config, EMPTY_COMMIT, Engine};
use medsettle_wire::encode::HubState;
use medsettle_wire::{Operation, Reason, v1};

use crate::caller::{Sent, as_first, header, reason};
use crate::process::{Process, Sync};
use crate::request::{self, Patient, encode};
use crate::support::{NOW_MS, OFFICE, Time, config, counted, hospital, office, open_on, open_with, until};

/// An open hub on a disk that holds its files and not a byte more.
struct Tight {
    disk: SimulatedDisk,
    process: Process,
    engine: Engine,
    patient: Patient,
}

impl Tight {
    fn with_segments_of(segment_len: u64) -> Self {
        let disk = SimulatedDisk::new();
        let process = Process::on(&disk);
        let config = Config { segment_len, ..config() };
        let engine = open_with(Arc::new(process.clone()), config, &Time::at(NOW_MS)).expect("opened");
        request::furnish(&office(&engine));
        let patient = request::enroll(&office(&engine), 1);
        Self { disk, process, engine, patient }
    }

    /// Number of the segment that is written to, and how many blocks of it hold frames.
    fn active(&self) -> (u64, usize) {
        let blocks = |number| {
            let content = self.disk.content(&name_of(number))?;
            Some(content.chunks(BLOCK_LEN).skip(1).filter(|block| !is_untouched(block)).count())
        };
        let used = |number| blocks(number).filter(|used| *used > 0).map(|used| (number, used));
        (1..).map_while(used).last().expect("a segment in use")
    }

    /// Take all space that is left, once the segment behind the active one is prepared.
    fn fill(&self) {
        let next = name_of(self.active().0 + 1);
        until("the next segment is prepared", || self.disk.content(&next).is_some());
        let names = self.disk.list().expect("names");
        let used = names.iter().filter_map(|name| self.disk.content(name)).map(|content| content.len()).sum();
        self.disk.set_capacity(Some(used));
    }

    fn credit(&self, period_key: u64) -> v1::AccountsCreditRequest {
        request::credit(self.patient.person, 1, &period_key.to_string())
    }
}

#[test]
fn new_work_is_refused_while_the_disk_is_full_and_goes_on_when_there_is_space() {
    let tight = Tight::with_segments_of(128 << 10);
    let Tight { disk, engine, patient, .. } = &tight;
    let office = office(engine);
    tight.fill();
    let mut accepted = Vec::new();
    let refused = loop {
        let credit = tight.credit(accepted.len() as u64);
        let answer = office.call(Operation::AccountsCredit.number(), encode(&credit));
        if !answer.ok {
            assert_eq!(reason(&answer), Reason::DiskFull);
            break credit;
        }
        accepted.push((credit, answer));
        if tight.active().0 == 2 {
            until("the disk is found full", || engine.state() == HubState::DiskFull);
        }
        assert!(accepted.len() < 100, "a segment holds 31 frames");
    };
    assert_eq!(request::status(&hospital(engine)).expect("read").state(), HubState::DiskFull);
    assert_eq!(reason(&office.call(EMPTY_COMMIT, Vec::new())), Reason::DiskFull);
    let balance_fen = 500_000 + i64::try_from(accepted.len()).expect("few");
    assert_eq!(request::trial_balance(&office).personal_balances_fen, balance_fen);
    for (credit, answer) in &accepted {
        let again = office.call(Operation::AccountsCredit.number(), encode(credit));
        assert_eq!(as_first(&again), as_first(answer), "what was decided is told whatever the disk holds");
    }

    disk.set_capacity(None);
    until("the space is noticed", || engine.state() == HubState::Serving);
    assert!(!header(&office.call(Operation::AccountsCredit.number(), encode(&refused))).replayed);
    assert_eq!(request::trial_balance(&office).personal_balances_fen, balance_fen + 1);
    let account: v1::AccountsGetResponse =
        office.get(Operation::AccountsGet, &v1::AccountsGetRequest { person_id: patient.person });
    assert_eq!(account.accounts[0].balance_fen, balance_fen + 1);
}

/// A frame that was decided before the disk is found full, and will find no place behind the first of its segment, whose sync is held.
/// Both wait: the first's sender, and the other's.
fn with_a_frame_that_will_find_no_space(then: impl FnOnce(&Tight, &Sent, &Sent)) -> (SimulatedDisk, u64) {
    // A segment holds three blocks: three credits, or the charges.
    let tight = Tight::with_segments_of(MIN_SEGMENT_LEN);
    let Tight { process, engine, patient, .. } = &tight;
    let (office, hospital) = (office(engine), hospital(engine));
    let admitted: v1::InpatientAdmitResponse = hospital.get(Operation::InpatientAdmit, &request::admit(*patient, 1));
    let credit = |key| office.get::<v1::AccountsCreditResponse>(Operation::AccountsCredit, &tight.credit(key));
    let mut key = 0;
    while tight.active().1 < 3 {
        credit(key);
        key += 1;
    }
    tight.fill();

    process.set_sync(Sync::Held);
    let decided = counted(engine, "answered");
    let header = Some(request::named_header(OFFICE, "first-of-its-segment"));
    let first = v1::AccountsCreditRequest { header, ..tight.credit(1_000) };
    let first = office.send(Operation::AccountsCredit.number(), encode(&first));
    process.until_held();
    let charges = request::add_charges(admitted.stay_id, 1, 60);
    let large = hospital.send(Operation::InpatientAddCharges.number(), encode(&charges));
    until("it is decided", || counted(engine, "answered") == decided + 2);
    then(&tight, &first, &large);
    (tight.disk.clone(), admitted.stay_id)
}

fn with_a_frame_that_waits_for_space(then: impl FnOnce(&Tight, &Sent)) -> (SimulatedDisk, u64) {
    with_a_frame_that_will_find_no_space(|tight, first, large| {
        tight.process.set_sync(Sync::Works);
        assert!(first.answer().ok);
        until("the disk is found full", || tight.engine.state() == HubState::DiskFull);
        assert!(!large.is_answered());
        then(tight, large);
    })
}

#[test]
fn a_frame_that_waits_for_space_is_written_when_there_is_some() {
    with_a_frame_that_waits_for_space(|tight, large| {
        tight.disk.set_capacity(None);
        large.read::<v1::InpatientAddChargesResponse>().expect("written in the end");
    });
}

#[test]
fn closing_does_not_wait_for_space_and_nothing_acknowledged_is_lost() {
    let (disk, stay_id) = with_a_frame_that_waits_for_space(|tight, large| {
        tight.engine.close();
        assert_eq!(reason(&large.answer()), Reason::Halted);
    });
    assert_only_the_credit_is_there(&disk, stay_id);
}

#[test]
fn closing_does_not_wait_for_space_that_runs_out_meanwhile() {
    let (disk, stay_id) = with_a_frame_that_will_find_no_space(|tight, first, large| {
        std::thread::scope(|threads| {
            threads.spawn(|| tight.engine.close());
            // While the sync is held nothing is answered but what comes too late.
            until("it is closing", || office(&tight.engine).send(EMPTY_COMMIT, Vec::new()).is_answered());
            tight.process.set_sync(Sync::Works);
        });
        assert!(first.answer().ok);
        assert_eq!(reason(&large.answer()), Reason::Halted);
    });
    assert_only_the_credit_is_there(&disk, stay_id);
}

fn assert_only_the_credit_is_there(disk: &SimulatedDisk, stay_id: u64) {
    disk.set_capacity(None);
    let engine = open_on(disk);
    let stay: v1::InpatientGetStayResponse =
        hospital(&engine).get(Operation::InpatientGetStay, &v1::InpatientGetStayRequest { stay_id });
    assert_eq!(stay.stay.expect("a stay").lines, []);
    let credited = request::outcome(&office(&engine), "first-of-its-segment");
    assert_eq!(credited.outcome(), v1::messages_get_outcome_response::Outcome::Accepted);
}
