//! Whatever bytes arrive, there is an answer, nobody else notices, and what is refused has changed nothing.

use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{BATCH, Engine};
use medsettle_wire::encode::HubState;
use medsettle_wire::{Operation, Reason, Role};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use crate::caller::{Caller, batch, header, reason};
use crate::request::{self, encode};
use crate::support::{HOSPITAL, counted, office, open_on};

const EVERY_ROLE: [Role; 7] =
    [Role::Hospital, Role::Pharmacy, Role::Desk, Role::Issuer, Role::Operator, Role::Auditor, Role::Hub];

fn anybody(engine: &Engine) -> Caller<'_> {
    Caller::new(engine, HOSPITAL, &EVERY_ROLE)
}

/// Sequence of the newest decision.
fn sequence(engine: &Engine) -> u64 {
    header(&anybody(engine).call(Operation::OperationsStatus.number(), Vec::new())).sequence
}

/// Refusals that are remembered, each by one record: a cryptogram that could be tried for ever, and a counter that locks the card.
const REMEMBERED: [Reason; 3] = [Reason::CryptogramInvalid, Reason::CounterJump, Reason::CardLocked];

/// Ask, and see that nobody was disturbed and that a refusal changed nothing, unless it is one to be remembered.
fn assert_harmless(engine: &Engine, operation: u32, request: Vec<u8>) -> Result<(), TestCaseError> {
    let before = sequence(engine);
    let answer = anybody(engine).call(operation, request);
    if !answer.ok {
        let left = sequence(engine) - before;
        let remembered = REMEMBERED.contains(&reason(&answer));
        prop_assert!(left <= u64::from(remembered), "{} left {left} records", reason(&answer));
    }
    prop_assert_eq!(counted(engine, "panics"), 0);
    prop_assert_eq!(engine.state(), HubState::Serving);
    Ok(())
}

/// Every operation of the contract, the batch, and numbers that are none.
fn operations() -> Vec<u32> {
    let mut numbers: Vec<u32> = Operation::ALL.into_iter().map(Operation::number).collect();
    numbers.extend([BATCH, 1, 309, u32::MAX - 1]);
    numbers
}

#[test]
fn arbitrary_bytes_are_answered_by_every_operation_and_change_nothing() {
    let engine = open_on(&SimulatedDisk::new());
    let strategy = proptest::collection::vec(any::<u8>(), 0..64);
    for operation in operations() {
        let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config)
            .run(&strategy, |request| assert_harmless(&engine, operation, request))
            .unwrap_or_else(|error| panic!("operation {operation}: {error}"));
    }
    assert_eq!(sequence(&engine), 0);
}

/// Well-formed requests of a hub at work.
fn sound(engine: &Engine) -> Vec<(u32, Vec<u8>)> {
    request::furnish(&office(engine));
    let patients = [1, 2, 3].map(|number| request::enroll(&office(engine), number));
    let [admitted, _, waiting] = patients;
    let response: medsettle_wire::v1::InpatientAdmitResponse =
        Caller::new(engine, HOSPITAL, &[Role::Hospital]).get(Operation::InpatientAdmit, &request::admit(admitted, 1));
    let stay = response.stay_id;
    let credit = request::credit(admitted.person, 5, "2026-03");
    let mut hospital_credit = credit.clone();
    hospital_credit.header = Some(request::header(HOSPITAL));
    vec![
        (Operation::PersonsEnroll.number(), encode(&request::enrolment(9))),
        (Operation::AccountsCredit.number(), encode(&credit)),
        (Operation::InpatientAdmit.number(), encode(&request::admit(waiting, 1))),
        (Operation::InpatientAddCharges.number(), encode(&request::add_charges(stay, 1, 3))),
        (Operation::InpatientDischarge.number(), encode(&request::discharge(stay))),
        (Operation::InpatientSettle.number(), encode(&request::settle(admitted, stay, 2, request::cost_fen(3), 0))),
        (Operation::InpatientCancelSettlement.number(), encode(&request::cancel_settlement(stay))),
        (Operation::InpatientListSettlements.number(), encode(&request::day())),
        (
            BATCH,
            batch(vec![
                medsettle_wire::v1::command::Command::AccountsCredit(hospital_credit),
                medsettle_wire::v1::command::Command::InpatientAdmit(request::admit(patients[1], 1)),
            ]),
        ),
    ]
}

#[test]
fn a_request_damaged_on_its_way_is_answered_and_a_refused_one_changes_nothing() {
    let engine = open_on(&SimulatedDisk::new());
    let sound = sound(&engine);
    let damage = proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4);
    let strategy = (any::<Index>(), damage, any::<Index>(), any::<bool>());
    let config = ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() };
    let damaged = TestRunner::new(config).run(&strategy, |(which, damage, end, cut)| {
        let (operation, mut request) = which.get(&sound).clone();
        for (place, byte) in damage {
            *place.get_mut(&mut request) = byte;
        }
        if cut {
            request.truncate(end.index(request.len()));
        }
        assert_harmless(&engine, operation, request)
    });
    damaged.unwrap_or_else(|error| panic!("{error}"));
    request::trial_balance(&office(&engine));
}
