//! Many commands in one message: their order, their rights, and what one of them can do to the others.

use std::sync::Arc;

use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{BATCH, Config};
use medsettle_wire::limits::MAX_REQUEST_BYTES;
use medsettle_wire::v1::{self, command::Command, command_result::Result as Outcome};
use medsettle_wire::{MAX_COMMANDS, Operation, Reason};
use prost::Message;

use crate::caller::{Sent, batch, read, reason, reason_of, split_header};
use crate::process::{Process, Sync};
use crate::request;
use crate::support::{NOW_MS, Time, config, hospital, office, open_on, open_process, open_with};

fn reason_at(response: &v1::BatchSubmitResponse, place: usize) -> Reason {
    match &response.results[place].result {
        Some(Outcome::Refusal(refusal)) => reason_of(refusal),
        other => panic!("accepted: {other:?}"),
    }
}

/// The balance that a credit or a read of an account names.
fn balance_at(response: &v1::BatchSubmitResponse, place: usize) -> i64 {
    match &response.results[place].result {
        Some(Outcome::AccountsCredit(credited)) => credited.balance_fen,
        Some(Outcome::AccountsGet(account)) => account.accounts[0].balance_fen,
        other => panic!("no balance: {other:?}"),
    }
}

fn status() -> Command {
    Command::OperationsStatus(v1::OperationsStatusRequest::default())
}

#[test]
fn commands_are_decided_in_their_order_and_one_bad_one_spoils_only_itself() {
    let engine = open_on(&SimulatedDisk::new());
    let office = office(&engine);
    request::furnish(&office);
    let person_id = request::enroll(&office, 1).person;
    let credit = |fen, key| Command::AccountsCredit(request::credit(person_id, fen, key));
    let get = || Command::AccountsGet(v1::AccountsGetRequest { person_id });
    let nameless = v1::AccountsCreditRequest { header: None, ..request::credit(person_id, 1, "c") };
    let response = office.submit(vec![
        credit(10, "a"),
        get(),
        credit(10, "a"),
        Command::AccountsCredit(nameless),
        Command::AccountsCredit(request::credit(999, 1, "d")),
        Command::OperationsDigest(v1::OperationsDigestRequest::default()),
        credit(20, "b"),
        get(),
    ]);
    assert_eq!(response.results.len(), 8);
    assert_eq!((balance_at(&response, 0), balance_at(&response, 1)), (500_010, 500_010));
    assert_eq!(reason_at(&response, 2), Reason::PeriodCredited);
    assert_eq!(reason_at(&response, 3), Reason::RequestMalformed);
    assert_eq!(reason_at(&response, 4), Reason::PersonUnknown);
    assert_eq!(reason_at(&response, 5), Reason::MethodNotAvailable);
    assert_eq!((balance_at(&response, 6), balance_at(&response, 7)), (500_030, 500_030));
}

#[test]
fn a_command_that_cannot_be_told_is_refused_alone() {
    let engine = open_on(&SimulatedDisk::new());
    let mut bytes = batch(vec![status()]);
    // Commands: of operation 309, which is no command; without any operation; of operation 1103 with a truncated request.
    for command in [&[0xAA, 0x13, 0x00][..], &[], &[0xFA, 0x44, 0x05, 0x0A]] {
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut bytes);
        prost::encoding::encode_varint(command.len() as u64, &mut bytes);
        bytes.extend_from_slice(command);
    }
    bytes.extend_from_slice(&batch(vec![status()]));
    let response: v1::BatchSubmitResponse = read(&hospital(&engine).call(BATCH, bytes)).expect("taken");
    assert_eq!(response.results.len(), 5);
    assert!((1..4).all(|place| reason_at(&response, place) == Reason::RequestMalformed));
    for place in [0, 4] {
        assert!(matches!(response.results[place].result, Some(Outcome::OperationsStatus(_))));
    }
}

#[test]
fn a_batch_opens_no_method_and_no_institution_to_its_sender() {
    let engine = open_on(&SimulatedDisk::new());
    request::furnish(&office(&engine));
    let hospital = hospital(&engine);
    let mut stranger = request::cancel_settlement(1);
    stranger.header = Some(request::header("H37010500002"));
    let response = hospital.submit(vec![
        Command::PersonsEnroll(request::enrolment(1)),
        Command::OperationsTrialBalance(v1::OperationsTrialBalanceRequest {}),
        Command::InpatientCancelSettlement(stranger),
        Command::InpatientListSettlements(request::day()),
    ]);
    assert_eq!(reason_at(&response, 0), Reason::RoleForbidden);
    assert_eq!(reason_at(&response, 1), Reason::RoleForbidden);
    assert_eq!(reason_at(&response, 2), Reason::NotYourInstitution);
    assert!(matches!(response.results[3].result, Some(Outcome::InpatientListSettlements(_))));
    assert_eq!(request::status(&hospital).expect("served").persons, 0);
}

#[test]
fn a_batch_holds_from_no_command_to_ten_thousand() {
    let engine = open_on(&SimulatedDisk::new());
    let hospital = hospital(&engine);
    assert_eq!(hospital.submit(Vec::new()).results, []);
    assert_eq!(hospital.submit(vec![status(); MAX_COMMANDS]).results.len(), MAX_COMMANDS);
    let answer = hospital.call(BATCH, batch(vec![status(); MAX_COMMANDS + 1]));
    assert_eq!(reason(&answer), Reason::RequestTooLarge);
    assert_eq!(v1::Refusal::decode(&*answer.bytes).expect("a refusal").metadata["limit"], MAX_COMMANDS.to_string());
}

#[test]
fn a_request_longer_than_the_limit_is_refused_before_it_is_read() {
    let engine = open_on(&SimulatedDisk::new());
    let hospital = hospital(&engine);
    for operation in [BATCH, Operation::InpatientAddCharges.number()] {
        let answer = hospital.call(operation, vec![0xFF; MAX_REQUEST_BYTES + 1]);
        assert_eq!(reason(&answer), Reason::RequestTooLarge);
        let answer = hospital.call(operation, vec![0xFF; MAX_REQUEST_BYTES]);
        assert_eq!(reason(&answer), Reason::RequestMalformed);
    }
}

#[test]
fn batches_of_reads_that_queue_up_are_all_answered() {
    let process = Process::on(&SimulatedDisk::new());
    let engine = open_process(&process);
    let hospital = hospital(&engine);
    process.set_sync(Sync::Held);
    let commit = hospital.send(medsettle_engine::EMPTY_COMMIT, Vec::new());
    process.until_held();
    let full = batch(vec![status(); MAX_COMMANDS]);
    let mut sent: Vec<Sent> = (0..4).map(|_| hospital.send(BATCH, full.clone())).collect();
    sent.push(hospital.send(Operation::OperationsStatus.number(), Vec::new()));
    process.set_sync(Sync::Works);
    assert!(commit.answer().ok);
    assert!(sent.iter().all(|sent| sent.answer().ok));
}

#[test]
fn a_frame_takes_what_fits_by_its_real_length_and_the_rest_of_the_message_may_come_again() {
    const CREDITS: usize = 700;
    let disk = SimulatedDisk::new();
    let settings = Config { segment_len: 64 << 10, ..config() };
    let engine = open_with(Arc::new(disk), settings, &Time::at(NOW_MS)).expect("opened");
    let office = office(&engine);
    request::furnish(&office);
    let person = request::enroll(&office, 1).person;
    let credits = (0..CREDITS).map(|n| Command::AccountsCredit(request::credit(person, 1, &format!("p-{n}"))));
    let mut waiting: Vec<Command> = credits.collect();
    let mut rounds = Vec::new();
    while !waiting.is_empty() {
        let results = office.submit(waiting.clone()).results;
        let is_refused = |result: &v1::CommandResult| match result.result.as_ref() {
            Some(Outcome::Refusal(refusal)) => {
                assert_eq!(reason_of(refusal), Reason::Overloaded);
                true
            }
            _ => false,
        };
        let refused: Vec<bool> = results.iter().map(is_refused).collect();
        let accepted = refused.iter().filter(|refused| !**refused).count();
        assert!(refused[accepted..].iter().all(|refused| *refused), "what fits comes first");
        rounds.push(accepted);
        waiting =
            waiting.into_iter().zip(refused).filter_map(|(command, refused)| refused.then_some(command)).collect();
    }
    // A credit takes some 150 bytes of the 60 KiB, and nobody can tell without encoding it that it takes less than a thousand.
    assert!(rounds.len() > 1 && rounds[0] > CREDITS / 2, "{rounds:?}");
    assert_eq!(request::trial_balance(&office).personal_balances_fen, 500_000 + 700);
}

#[test]
fn an_id_that_comes_twice_in_one_batch_has_one_effect_and_one_answer() {
    let engine = open_on(&SimulatedDisk::new());
    let office = office(&engine);
    request::furnish(&office);
    let person_id = request::enroll(&office, 1).person;
    let credit = request::credit(person_id, 10, "a");
    let request_id = request::id_of(credit.header.as_ref());
    let response = office.submit(vec![
        Command::AccountsCredit(credit.clone()),
        Command::AccountsCredit(credit),
        Command::MessagesGetOutcome(v1::MessagesGetOutcomeRequest { request_id }),
    ]);
    let [first, second, outcome] = &response.results[..] else { panic!("three results") };
    let (Some(Outcome::AccountsCredit(first)), Some(Outcome::AccountsCredit(second))) = (&first.result, &second.result)
    else {
        panic!("accepted twice")
    };
    let again = v1::ResponseHeader { replayed: true, ..first.header.clone().expect("a header") };
    assert_eq!(first.header.as_ref().map(|header| &header.chain_hash), response.header.as_ref().map(|h| &h.chain_hash));
    assert_eq!((second.header.as_ref(), second.balance_fen), (Some(&again), first.balance_fen));
    // The original names the frame that holds it, although that was not made yet when the outcome was told.
    let Some(Outcome::MessagesGetOutcome(outcome)) = &outcome.result else { panic!("told") };
    assert_eq!(split_header(&outcome.original_response).0, again);
    assert_eq!(request::trial_balance(&office).personal_balances_fen, 500_010);
}
