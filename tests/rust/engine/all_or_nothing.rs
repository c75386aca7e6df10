//! Decisions that change much at once, and a hub that dies at any call to the disk while one is made: all of it, or nothing.
//!
//! Invariant: what is compared is everything that a caller can see, so a half that shows anywhere is found.
//! A further decision of this kind is one more [`Scenario`].

use std::sync::Arc;

use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{Answer, Engine, OpenError};
use medsettle_wire::v1::messages_get_outcome_response::Outcome;
use medsettle_wire::{Operation, Reason, v1};
use prost::Message;

use crate::caller::{as_first, reason};
use crate::process::Process;
use crate::request::{self, Patient, encode};
use crate::support::{NOW_MS, OFFICE, Time, config, hospital, office, open_with};
use crate::visits;

/// Opening, deciding and answering change the disk about ten times; the last of these deaths comes after the answer.
const CALLS: u64 = 16;

/// What of the page cache stays when the power fails, by sector: nothing, all, every other one, the first of each block, the rest.
const POWER_CUTS: [u64; 5] = [0, u64::MAX, 0x5555_5555_5555_5555, 0x0101_0101_0101_0101, 0xfefe_fefe_fefe_fefe];

/// A decision that must be there whole or not at all.
struct Scenario {
    /// Furnish a hub up to the moment before, and make the request.
    prepare: fn(&Engine) -> Decision,
}

struct Decision {
    operation: Operation,
    /// Asked by the hospital, else by the office.
    by_hospital: bool,
    id: String,
    request: Vec<u8>,
    /// Whose cards and money it changes.
    person: u64,
}

/// A card in use with both zones, and its successor, which the holder has collected.
fn replaced(engine: &Engine) -> (Patient, u64) {
    let office = office(engine);
    visits::furnish(&office);
    let patient = request::enroll(&office, 1);
    let visit = visits::claim(patient, 1, false);
    hospital(engine).get::<v1::VisitsSettleResponse>(Operation::VisitsSettle, &visit);
    let cards: v1::CardsListResponse =
        office.get(Operation::CardsList, &v1::CardsListRequest { person_id: patient.person, page: None });
    let old = cards.cards[0].card_id;
    let bank = enabling(old, v1::zone::Kind::Bank);
    office.get::<v1::CardsEnableResponse>(Operation::CardsEnable, &bank);
    let successor = Patient { number: 2, ..patient };
    let new = request::issue(&office, successor, old);
    (successor, new)
}

fn enabling(card_id: u64, zone: v1::zone::Kind) -> v1::CardsEnableRequest {
    v1::CardsEnableRequest { header: Some(request::header(OFFICE)), card_id, zone: zone.into() }
}

/// The successor is enabled at a desk and the card before ends.
const ENABLING: Scenario = Scenario {
    prepare: |engine| {
        let (patient, card) = replaced(engine);
        let request = enabling(card, v1::zone::Kind::Insurance);
        let id = request::id_of(request.header.as_ref());
        let (operation, request) = (Operation::CardsEnable, encode(&request));
        Decision { operation, by_hospital: false, id, request, person: patient.person }
    },
};

/// The successor is used for the first time: a settlement, its counter and the end of the card before.
const FIRST_USE: Scenario = Scenario {
    prepare: |engine| {
        let (patient, _) = replaced(engine);
        let request = visits::claim(patient, 1, false);
        let id = request::id_of(request.header.as_ref());
        let (operation, request) = (Operation::VisitsSettle, encode(&request));
        Decision { operation, by_hospital: true, id, request, person: patient.person }
    },
};

/// What a thief settled with the card is taken back, with its claims.
const UNWINDING: Scenario = Scenario {
    prepare: |engine| {
        let office = office(engine);
        visits::furnish(&office);
        let patient = request::enroll(&office, 1);
        office.get::<v1::AccountsCreditResponse>(
            Operation::AccountsCredit,
            &request::credit(patient.person, 250_000, "2026-01"),
        );
        for number in 1..=5 {
            let visit = visits::claim(patient, number, false);
            hospital(engine).get::<v1::VisitsSettleResponse>(Operation::VisitsSettle, &visit);
        }
        let cards: v1::CardsListResponse =
            office.get(Operation::CardsList, &v1::CardsListRequest { person_id: patient.person, page: None });
        let mut header = request::header(OFFICE);
        header.operator = "clerk".into();
        let scope = v1::UnwindScope { card_id: cards.cards[0].card_id, since_ms: 1, ..Default::default() };
        let request = v1::FraudUnwindRequest {
            header: Some(header),
            scope: Some(scope),
            case_number: "F-1".into(),
            second_approver: "director".into(),
            preview_digest: Vec::new(),
        };
        let id = request::id_of(request.header.as_ref());
        let (operation, request) = (Operation::FraudUnwind, encode(&request));
        Decision { operation, by_hospital: false, id, request, person: patient.person }
    },
};

fn open(process: &Process) -> Result<Engine, OpenError> {
    open_with(Arc::new(process.clone()), config(), &Time::at(NOW_MS))
}

fn reopened(disk: &SimulatedDisk) -> Engine {
    open(&Process::on(disk)).expect("a hub that died opens again")
}

impl Decision {
    fn ask(&self, engine: &Engine) -> Answer {
        let caller = if self.by_hospital { hospital(engine) } else { office(engine) };
        caller.call(self.operation.number(), self.request.clone())
    }

    /// Everything that a caller can see of the person, of the day and of the books.
    fn visible(&self, engine: &Engine) -> Vec<Vec<u8>> {
        let person_id = self.person;
        let accumulators = v1::AccountsGetAccumulatorsRequest { person_id, benefit_year: 0 };
        let asked = [
            (Operation::CardsList, encode(&v1::CardsListRequest { person_id, page: None })),
            (Operation::AccountsGet, encode(&v1::AccountsGetRequest { person_id })),
            (Operation::AccountsGetAccumulators, encode(&accumulators)),
            (Operation::OperationsTrialBalance, Vec::new()),
            (Operation::FraudListClaims, Vec::new()),
        ];
        let office = office(engine);
        let told = asked.map(|(operation, request)| office.call(operation.number(), request));
        let day = hospital(engine).call(Operation::InpatientListSettlements.number(), request::day().encode_to_vec());
        told.iter().chain([&day]).map(|answer| as_first(answer).1).collect()
    }

    fn outcome(&self, engine: &Engine) -> Outcome {
        let caller = if self.by_hospital { hospital(engine) } else { office(engine) };
        request::outcome(&caller, &self.id).outcome()
    }
}

/// Die at every call to the disk, with the power or without; gives how often nothing and how often all was there.
fn die_everywhere(scenario: &Scenario) -> (u32, u32) {
    let furnished = SimulatedDisk::new();
    let engine = reopened(&furnished);
    let decision = (scenario.prepare)(&engine);
    let before = decision.visible(&engine);
    drop(engine);
    let undisturbed = reopened(&furnished.copy());
    let first = decision.ask(&undisturbed);
    let after = decision.visible(&undisturbed);
    assert!(first.ok, "{}", reason(&first));
    assert_ne!(before, after);
    drop(undisturbed);

    let (mut nothing, mut all) = (0, 0);
    for nth in 0..CALLS {
        for power in POWER_CUTS.map(Some).into_iter().chain([None]) {
            let disk = furnished.copy();
            let process = Process::dying_at(&disk, nth);
            let answer = open(&process).ok().map(|engine| {
                let answer = decision.ask(&engine);
                process.die();
                answer
            });
            match power {
                Some(stays) => disk.crash(|offset| stays >> (offset / 512 % 64) & 1 == 1),
                None => disk.kill(),
            }
            let acknowledged = answer.is_some_and(|answer| {
                assert!(answer.ok || reason(&answer) == Reason::Halted, "refused: {}", reason(&answer));
                answer.ok
            });
            assert!(acknowledged || nth < CALLS - 1, "the deaths end before the answer comes");
            let engine = reopened(&disk);
            let seen = decision.visible(&engine);
            if decision.outcome(&engine) == Outcome::Accepted {
                assert_eq!(seen, after, "call {nth}, {power:x?}: not all of it");
                all += 1;
            } else {
                assert_eq!(decision.outcome(&engine), Outcome::Unknown);
                assert!(!acknowledged, "call {nth}, {power:x?}: it was acknowledged and is lost");
                assert_eq!(seen, before, "call {nth}, {power:x?}: something of it");
                nothing += 1;
            }
            // Asked again, it is there: made now, or given again.
            assert_eq!(as_first(&decision.ask(&engine)).1, as_first(&first).1);
            assert_eq!(decision.visible(&engine), after);
        }
    }
    (nothing, all)
}

#[test]
fn f2_an_enabling_that_ends_the_card_before_is_there_whole_or_not_at_all_wherever_the_hub_dies() {
    let (nothing, all) = die_everywhere(&ENABLING);
    assert!(nothing > 0 && all > 0, "{nothing} times nothing, {all} times all");
}

#[test]
fn f2_a_first_use_that_ends_the_card_before_is_there_whole_or_not_at_all_wherever_the_hub_dies() {
    let (nothing, all) = die_everywhere(&FIRST_USE);
    assert!(nothing > 0 && all > 0, "{nothing} times nothing, {all} times all");
}

#[test]
fn f7_an_unwind_is_there_whole_or_not_at_all_wherever_the_hub_dies() {
    let (nothing, all) = die_everywhere(&UNWINDING);
    assert!(nothing > 0 && all > 0, "{nothing} times nothing, {all} times all");
}
