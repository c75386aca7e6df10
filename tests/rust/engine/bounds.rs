//! What the engine does not take: more than it can hold, a directory of somebody else, a card that nobody signed for.

use std::sync::Arc;

use medsettle_core::ids::HubNumber;
use medsettle_engine::archive::JournalFiles;
use medsettle_engine::limits::PREPARED_COMMANDS;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{BATCH, Config, EMPTY_COMMIT, Engine};
use medsettle_wire::v1::{self, command::Command, presentation::Credential};
use medsettle_wire::{MAX_COMMANDS, Operation, Reason, Role};
use prost::Message;

use crate::caller::{Caller, Sent, batch, header, read, reason};
use crate::process::{Process, Sync};
use crate::request::{self, Patient, encode};
use crate::support::{HOSPITAL, NOW_MS, Time, config, counted, hospital, key_ring, office, open_on, open_with, until};

#[test]
fn a_full_queue_refuses_at_once_and_answers_all_that_it_took() {
    let process = Process::on(&SimulatedDisk::new());
    let engine = open_with(Arc::new(process.clone()), Config { queue_len: 4, ..config() }, &Time::at(NOW_MS));
    let engine = engine.expect("opened");
    let hospital = hospital(&engine);
    process.set_sync(Sync::Held);
    let mut taken = vec![hospital.send(EMPTY_COMMIT, Vec::new())];
    process.until_held();
    // The frame behind the held one is filled to its bound, one batch waits behind it and another one behind that, each as long as batches
    // become: so the next jobs stay in the queue.
    let status = Command::OperationsStatus(v1::OperationsStatusRequest::default());
    taken.push(hospital.send(BATCH, batch(vec![status.clone(); MAX_COMMANDS])));
    until("the batch is decided", || counted(&engine, "answered") == MAX_COMMANDS as u64);
    for _ in 0..2 {
        taken.push(hospital.send(BATCH, batch(vec![status.clone(); PREPARED_COMMANDS])));
        until("the batch is prepared", || counted(&engine, "queued") == 0);
    }
    let ask = || hospital.send(Operation::OperationsStatus.number(), Vec::new());
    taken.extend((0..4).map(|_| ask()));
    for _ in 0..3 {
        let refused = ask();
        assert!(refused.is_answered());
        assert_eq!(reason(&refused.answer()), Reason::Overloaded);
    }
    assert_eq!((counted(&engine, "queued"), counted(&engine, "overloaded")), (4, 3));
    assert!(taken.iter().all(|sent| !sent.is_answered()));
    process.set_sync(Sync::Works);
    assert!(taken.iter().all(|sent| sent.answer().ok));
    assert!(ask().answer().ok);
}

#[test]
fn a_directory_belongs_to_one_engine_at_a_time_and_to_one_hub_for_ever() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let config =
        |hub| Config { data: scratch.path().join("data"), hub: HubNumber::new(hub).expect("a number"), ..config() };
    let engine = Engine::open(config(1)).expect("opened");
    let second = Engine::open(config(1)).expect_err("in use").to_string();
    assert!(second.contains("in use by process"), "{second}");
    assert!(request::status(&hospital(&engine)).is_ok(), "the first goes on");
    engine.close();
    let foreign = Engine::open(config(2)).expect_err("of another hub").to_string();
    assert!(foreign.contains("belongs to hub 1, not to hub 2"), "{foreign}");
    Engine::open(config(1)).expect("its own");
}

#[test]
fn a_caller_without_a_place_in_the_contract_is_refused() {
    let engine = open_on(&SimulatedDisk::new());
    for institution in ["", "h37010500001", "H3701050000", "H370105000011"] {
        let answer = Caller::new(&engine, institution, &[Role::Hospital]).call(1101, Vec::new());
        assert_eq!(reason(&answer), Reason::CertificateNotAccepted);
    }
    let answer = Caller::new(&engine, HOSPITAL, &[]).call(1101, Vec::new());
    assert_eq!(reason(&answer), Reason::RoleForbidden);
    for take in [Operation::OperationsTakeJournal, Operation::OperationsTakeSnapshot].map(Operation::number) {
        assert_eq!(reason(&hospital(&engine).call(take, Vec::new())), Reason::RoleForbidden);
        let nobody = Caller::new(&engine, "", &[Role::Operator]).call(take, Vec::new());
        assert_eq!(reason(&nobody), Reason::CertificateNotAccepted);
    }
    for unknown in [1, 399, 1108, u32::MAX - 1] {
        assert_eq!(reason(&hospital(&engine).call(unknown, Vec::new())), Reason::MethodNotAvailable);
    }
}

#[test]
fn without_the_issuers_key_no_card_is_accepted() {
    let disk = SimulatedDisk::new();
    let files = JournalFiles::in_one(Arc::new(disk.clone()));
    let engine = Engine::open_on(files, config(), Box::new(Time::at(NOW_MS))).expect("opened");
    request::furnish(&office(&engine));
    let patient = request::enroll(&office(&engine), 1);
    let admit = request::admit(patient, 1);
    let refused = hospital(&engine).call(Operation::InpatientAdmit.number(), encode(&admit));
    assert_eq!(reason(&refused), Reason::SchemeNotAllowed);
    drop(engine);
    let admitted = hospital(&open_on(&disk)).call(Operation::InpatientAdmit.number(), encode(&admit));
    assert!(!header(&admitted).replayed, "the refusal left nothing behind");
}

#[test]
fn a_key_ring_that_does_not_open_opens_no_engine() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let (ring, kek) = key_ring(&scratch);
    std::fs::write(&ring, "{}").expect("written");
    let disk = SimulatedDisk::new();
    let config = Config { keys: Some((ring.clone(), kek)), ..config() };
    let files = JournalFiles::in_one(Arc::new(disk.clone()));
    let error = Engine::open_on(files, config, Box::new(Time::at(NOW_MS))).expect_err("no ring");
    assert!(error.to_string().contains(&ring.display().to_string()), "{error}");
    open_on(&disk);
}

#[test]
fn a_wrong_cryptogram_is_refused_beside_right_ones() {
    let engine = open_on(&SimulatedDisk::new());
    request::furnish(&office(&engine));
    let patients = [1, 2, 3].map(|number| request::enroll(&office(&engine), number));
    let mut admissions = patients.map(|patient| request::admit(patient, 1));
    let Some(v1::Presentation { credential: Some(Credential::Chip(chip)), .. }) = &mut admissions[1].presentation
    else {
        panic!("a chip is shown")
    };
    chip.cryptogram[7] ^= 1;
    let forged = admissions[1].clone();
    let response = hospital(&engine).submit(admissions.map(Command::InpatientAdmit).into());
    let accepted: Vec<bool> = response
        .results
        .iter()
        .map(|result| !matches!(result.result, Some(v1::command_result::Result::Refusal(_))))
        .collect();
    assert_eq!(accepted, [true, false, true]);
    let again = hospital(&engine).call(Operation::InpatientAdmit.number(), encode(&forged));
    assert_eq!(reason(&again), Reason::CryptogramInvalid);
    let right = hospital(&engine).call(Operation::InpatientAdmit.number(), encode(&request::admit(patients[1], 1)));
    assert!(right.ok, "the forged one did not use up the counter");
}

/// Stays of as many patients, open for charges.
fn stays(engine: &Engine, count: u64) -> Vec<u64> {
    request::furnish(&office(engine));
    let admit = |patient: Patient| {
        let admitted: v1::InpatientAdmitResponse =
            hospital(engine).get(Operation::InpatientAdmit, &request::admit(patient, 1));
        admitted.stay_id
    };
    (1..=count).map(|number| admit(request::enroll(&office(engine), number))).collect()
}

#[test]
fn a_frame_never_outgrows_its_segment_however_much_is_decided_behind_a_slow_disk() {
    const SEGMENT_LEN: u64 = 128 << 10;
    let disk = SimulatedDisk::new();
    let process = Process::on(&disk);
    let small = Config { segment_len: SEGMENT_LEN, ..config() };
    let engine = open_with(Arc::new(process.clone()), small, &Time::at(NOW_MS)).expect("opened");
    let stays = stays(&engine, 24);
    let hospital = hospital(&engine);
    process.set_sync(Sync::Held);
    let commit = hospital.send(EMPTY_COMMIT, Vec::new());
    process.until_held();
    let charges = Operation::InpatientAddCharges.number();
    let sent: Vec<Sent> =
        stays.iter().map(|stay| hospital.send(charges, encode(&request::add_charges(*stay, 1, 100)))).collect();
    process.set_sync(Sync::Works);
    assert!(commit.answer().ok);
    for sent in &sent {
        sent.read::<v1::InpatientAddChargesResponse>().expect("it waits for the next frame");
    }
    let too_many = hospital.call(charges, encode(&request::add_charges(stays[0], 1_000, 900)));
    assert_eq!(reason(&too_many), Reason::RequestTooLarge);
    let refusal = v1::Refusal::decode(&*too_many.bytes).expect("a refusal");
    assert!(refusal.metadata.contains_key("limit") && refusal.metadata.contains_key("size"), "{refusal:?}");
    read::<v1::InpatientAddChargesResponse>(
        &hospital.call(charges, encode(&request::add_charges(stays[0], 1_000, 100))),
    )
    .expect("the hub goes on");
    engine.close();

    let frames = crate::witness::frames(Arc::new(disk));
    let longest = frames.iter().map(|frame| frame.body_len as u64).max().expect("frames");
    assert!((SEGMENT_LEN / 8..SEGMENT_LEN).contains(&longest), "{longest}");
    assert_eq!(
        frames.iter().map(|frame| frame.records.len() as u64).sum::<u64>(),
        crate::witness::sequences(&frames).len() as u64
    );
}
