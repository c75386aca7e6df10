//! A full disk is met before a frame needs the space: new work is refused, the rest goes on, and space that returns is noticed.

use std::sync::Arc;

use medsettle_engine::storage::Storage;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{Config, EMPTY_COMMIT, Engine};
use medsettle_wire::encode::HubState;
use medsettle_wire::{Operation, Reason, v1};

use crate::caller::{as_first, header, reason};
use crate::process::{Process, Sync};
use crate::request::{self, Patient, encode};
use crate::support::{NOW_MS, Time, config, counted, hospital, office, open_with, until};

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

    fn segments(&self) -> usize {
        self.disk.list().expect("names").iter().filter(|name| name.ends_with(".seg")).count()
    }

    /// Take all space that is left, at a moment when the segment behind the active one is prepared.
    fn fill(&self, active: usize) {
        until("the next segment is prepared", || self.segments() == active + 1);
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
    tight.fill(1);
    let mut accepted = Vec::new();
    let refused = loop {
        let credit = tight.credit(accepted.len() as u64);
        let answer = office.call(Operation::AccountsCredit.number(), encode(&credit));
        if !answer.ok {
            assert_eq!(reason(&answer), Reason::DiskFull);
            break credit;
        }
        accepted.push((credit, answer));
        assert!(accepted.len() < 100, "the disk holds 62 frames");
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

/// A frame that was decided before the disk was found full, and finds no place behind the first of its segment.
fn with_a_frame_that_waits_for_space(then: impl FnOnce(&Tight, &crate::caller::Sent)) -> (SimulatedDisk, u64) {
    let tight = Tight::with_segments_of(32 << 10);
    let Tight { process, engine, patient, .. } = &tight;
    let office = office(engine);
    let admit = request::admit(*patient, 1);
    let admitted: v1::InpatientAdmitResponse = hospital(engine).get(Operation::InpatientAdmit, &admit);
    // Go to the end of a segment, then hold the first frame of the next one.
    let mut number = 0;
    let before = loop {
        let segments = tight.segments();
        until("the next segment is prepared", || tight.segments() == segments.max(2));
        office.get::<v1::AccountsCreditResponse>(Operation::AccountsCredit, &tight.credit(number));
        number += 1;
        if segments >= 2 && tight.segments() > segments {
            break segments;
        }
        assert!(number < 100);
    };
    until("the next segment is prepared", || tight.segments() == before + 1);
    process.set_sync(Sync::Held);
    let decided = counted(engine, "answered");
    let first = office.send(Operation::AccountsCredit.number(), encode(&tight.credit(1_000)));
    process.until_held();
    let charges = request::add_charges(admitted.stay_id, 1, 60);
    let large = hospital(engine).send(Operation::InpatientAddCharges.number(), encode(&charges));
    until("it is decided", || counted(engine, "answered") == decided + 2);
    tight.fill(before);
    process.set_sync(Sync::Works);
    assert!(first.answer().ok);
    then(&tight, &large);
    (tight.disk.clone(), admitted.stay_id)
}

#[test]
fn a_frame_that_waits_for_space_is_written_when_there_is_some() {
    with_a_frame_that_waits_for_space(|tight, large| {
        tight.disk.set_capacity(None);
        large.read::<v1::InpatientAddChargesResponse>().expect("written in the end");
    });
}
