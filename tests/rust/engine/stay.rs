//! A whole stay, on real files, before and after the hub was closed and opened again.

use medsettle_engine::{Answer, Engine};
use medsettle_wire::{Operation, Reason, v1};
use prost::Message;

use crate::caller::{as_first, header, reason, split_header};
use crate::request::{self, Patient};
use crate::support::{hospital, office, open_in};

/// A request that was asked, with its first answer.
struct Asked {
    operation: Operation,
    id: String,
    request: Vec<u8>,
    answer: Answer,
}

/// Asks as the hospital and keeps what was answered.
struct Clerk<'a> {
    engine: &'a Engine,
    asked: Vec<Asked>,
}

impl Clerk<'_> {
    fn ask<R: Message + Default>(
        &mut self,
        operation: Operation,
        header: Option<&v1::RequestHeader>,
        request: &impl Message,
    ) -> R {
        let (id, request) = (request::id_of(header), request.encode_to_vec());
        let answer = hospital(self.engine).call(operation.number(), request.clone());
        let response = crate::caller::read(&answer).unwrap_or_else(|reason| panic!("{operation}: {reason}"));
        self.asked.push(Asked { operation, id, request, answer });
        response
    }

    /// Admission, charges, discharge, settlement with 1,000.00 from the account, cancellation, and the settlement that stands.
    fn stay(&mut self, patient: Patient) -> v1::InpatientSettleResponse {
        let admit = request::admit(patient, 1);
        let admitted: v1::InpatientAdmitResponse = self.ask(Operation::InpatientAdmit, admit.header.as_ref(), &admit);
        let stay = admitted.stay_id;
        let charges = request::add_charges(stay, 1, 3);
        let _: v1::InpatientAddChargesResponse =
            self.ask(Operation::InpatientAddCharges, charges.header.as_ref(), &charges);
        let discharge = request::discharge(stay);
        let _: v1::InpatientDischargeResponse =
            self.ask(Operation::InpatientDischarge, discharge.header.as_ref(), &discharge);
        let settle = request::settle(patient, stay, 2, request::cost_fen(3), 100_000);
        let first: v1::InpatientSettleResponse = self.ask(Operation::InpatientSettle, settle.header.as_ref(), &settle);
        let cancel = request::cancel_settlement(first.settlement_id);
        let _: v1::InpatientCancelSettlementResponse =
            self.ask(Operation::InpatientCancelSettlement, cancel.header.as_ref(), &cancel);
        let settle = request::settle(patient, stay, 3, request::cost_fen(3), 100_000);
        self.ask(Operation::InpatientSettle, settle.header.as_ref(), &settle)
    }
}

/// All that a caller can see of the state, without the headers, which name the newest frame.
fn visible(engine: &Engine, patient: Patient) -> Vec<Vec<u8>> {
    let person_id = patient.person;
    let office_asks: [(Operation, Vec<u8>); 4] = [
        (Operation::OperationsTrialBalance, Vec::new()),
        (
            Operation::AccountsGetAccumulators,
            v1::AccountsGetAccumulatorsRequest { person_id, benefit_year: 0 }.encode_to_vec(),
        ),
        (Operation::AccountsGet, v1::AccountsGetRequest { person_id }.encode_to_vec()),
        (Operation::CardsList, v1::CardsListRequest { person_id, page: None }.encode_to_vec()),
    ];
    let hospital_asks: [(Operation, Vec<u8>); 2] = [
        (Operation::InpatientListSettlements, request::day().encode_to_vec()),
        (Operation::InpatientListStays, v1::InpatientListStaysRequest::default().encode_to_vec()),
    ];
    let (office, hospital) = (office(engine), hospital(engine));
    let office_answers = office_asks.map(|(operation, request)| office.call(operation.number(), request));
    let hospital_answers = hospital_asks.map(|(operation, request)| hospital.call(operation.number(), request));
    office_answers.iter().chain(&hospital_answers).map(|answer| as_first(answer).1).collect()
}

fn assert_answered_as_first(engine: &Engine, asked: &[Asked]) {
    for Asked { operation, id, request, answer } in asked {
        let again = hospital(engine).call(operation.number(), request.clone());
        assert!(header(&again).replayed, "{operation} was carried out again");
        assert_eq!(as_first(&again), as_first(answer), "{operation}");
        let outcome = request::outcome(&hospital(engine), id);
        assert_eq!(outcome.method, operation.name());
        assert_eq!(outcome.original_sequence, header(answer).sequence);
        let (original, body) = split_header(&outcome.original_response);
        assert_eq!((v1::ResponseHeader { replayed: false, ..original }, body.to_vec()), as_first(answer));
    }
}

#[test]
fn a_whole_stay_is_the_same_after_the_hub_was_closed_and_opened_again() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let engine = open_in(&directory);
    request::furnish(&office(&engine));
    let patient = request::enroll(&office(&engine), 1);
    let mut clerk = Clerk { engine: &engine, asked: Vec::new() };
    let settled = clerk.stay(patient);
    let asked = clerk.asked;

    let split = settled.split.expect("a split");
    // 75,000.00 less the deductible of 1,000.00, of which the pool pays 88 %; 1,000.00 comes from the account.
    assert_eq!((split.total_fen, split.pool_fen, split.account_fen), (7_500_000, 6_512_000, 100_000));
    assert_eq!(split.cash_fen, 7_500_000 - 6_512_000 - 100_000);
    assert_eq!(settled.balance_after_fen, 400_000);
    assert_eq!(settled.chip_answer.expect("an answer for the chip").arpc.len(), 8);
    let day: v1::InpatientListSettlementsResponse =
        hospital(&engine).get(Operation::InpatientListSettlements, &request::day());
    assert_eq!((day.count, day.total_fen, day.cash_fen), (3, split.total_fen, split.cash_fen));
    let books = request::trial_balance(&office(&engine));
    assert_eq!(books.personal_balances_fen, 400_000);

    assert_answered_as_first(&engine, &asked);
    let before = visible(&engine, patient);
    engine.close();
    let engine = open_in(&directory);
    assert!(!engine.report().created);
    assert_eq!(visible(&engine, patient), before);
    assert_answered_as_first(&engine, &asked);
    assert_eq!(visible(&engine, patient), before);
}

#[test]
fn every_answer_names_its_sequence_its_frame_and_its_time() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let engine = open_in(&directory);
    request::furnish(&office(&engine));
    let patient = request::enroll(&office(&engine), 1);
    let mut clerk = Clerk { engine: &engine, asked: Vec::new() };
    clerk.stay(patient);
    let headers: Vec<v1::ResponseHeader> = clerk.asked.iter().map(|asked| header(&asked.answer)).collect();
    let read =
        header(&hospital(&engine).call(Operation::InpatientListSettlements.number(), request::day().encode_to_vec()));
    assert!(headers.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence));
    assert!(headers.windows(2).all(|pair| pair[0].chain_hash != pair[1].chain_hash), "each had a frame of its own");
    assert!(headers.iter().all(|header| header.stamp_ms == crate::support::NOW_MS && header.chain_hash.len() == 32));
    assert_eq!(Some(&read), headers.last(), "a read names the newest frame that it saw");
    drop(clerk);
    engine.close();

    let storage = medsettle_engine::storage::DataDirectory::create(directory.path().join("data")).expect("there");
    let frames = crate::witness::frames(std::sync::Arc::new(storage));
    for header in headers {
        let frame = frames.iter().find(|frame| frame.holds(header.sequence)).expect("a frame holds it");
        assert_eq!((frame.hash.to_vec(), frame.stamp_ms), (header.chain_hash, header.stamp_ms));
    }
}

#[test]
fn an_id_with_another_body_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let engine = open_in(&directory);
    request::furnish(&office(&engine));
    let patient = request::enroll(&office(&engine), 1);
    let credit = request::credit(patient.person, 700, "2026-03");
    let _: v1::AccountsCreditResponse = office(&engine).get(Operation::AccountsCredit, &credit);
    let books = request::trial_balance(&office(&engine));
    let other = v1::AccountsCreditRequest { amount_fen: 701, ..credit };
    let answer = office(&engine).call(Operation::AccountsCredit.number(), other.encode_to_vec());
    assert_eq!(reason(&answer), Reason::RequestIdReused);
    assert_eq!(request::trial_balance(&office(&engine)), books);
}
