//! A town of insured persons on a real engine, with cards and money, for benchmarks that settle for them.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use medsettle_engine::Engine;
use medsettle_wire::v1;
use medsettle_wire::v1::command::Command;
use medsettle_wire::v1::command_result::Result as Outcome;

use crate::request::{self, Patient};
use crate::support::office;
use crate::visits;

/// Persons of one batch.
const BATCH_LEN: u64 = 1_000;

/// Somebody with a chip, and how often it was shown.
pub(crate) struct Holder {
    patient: Patient,
    shown: AtomicU32,
}

impl Holder {
    /// The next claim of a visit.
    pub(crate) fn claim(&self) -> v1::VisitsSettleRequest {
        let atc = self.shown.fetch_add(1, Relaxed) + 1;
        visits::claim(self.patient, atc, false)
    }
}

/// Enrol so many; gives every `ill`-th of them, so that those who are settled for live all over the table.
pub(crate) fn settle_in(engine: &Engine, persons: u64, ill: usize) -> Vec<Holder> {
    let mut holders = Vec::new();
    for first in (1..=persons).step_by(usize::try_from(BATCH_LEN).expect("few")) {
        let made = enroll(engine, first..(first + BATCH_LEN).min(persons + 1));
        holders.extend(made.into_iter().step_by(ill).map(|patient| Holder { patient, shown: AtomicU32::new(0) }));
    }
    holders
}

/// Send one command for each, and give what the results hold.
fn all<T>(engine: &Engine, commands: impl Iterator<Item = Command>, read: impl Fn(Outcome) -> T) -> Vec<T> {
    let response = office(engine).submit(commands.collect());
    response.results.into_iter().map(|result| read(result.result.expect("a result"))).collect()
}

/// Enrol persons with these numbers, with cards and 5,000.00 each.
fn enroll(engine: &Engine, numbers: std::ops::Range<u64>) -> Vec<Patient> {
    let enrol = numbers.clone().map(|number| Command::PersonsEnroll(request::enrolment(number)));
    let persons = all(engine, enrol, |outcome| match outcome {
        Outcome::PersonsEnroll(enrolled) => enrolled.person_id,
        other => panic!("{other:?}"),
    });
    let patients: Vec<Patient> = numbers.zip(persons).map(|(number, person)| Patient { number, person }).collect();
    let apply = patients.iter().map(|patient| Command::CardsApply(request::apply_for_card(*patient, 0)));
    let cards = all(engine, apply, |outcome| match outcome {
        Outcome::CardsApply(applied) => applied.card_id,
        other => panic!("{other:?}"),
    });
    let of = |command: fn(Patient, u64) -> Command| {
        let commands = patients.iter().zip(&cards).map(move |(patient, card)| command(*patient, *card));
        all(engine, commands, |outcome| assert!(!matches!(outcome, Outcome::Refusal(_)), "{outcome:?}"));
    };
    of(|patient, card| Command::CardsMarkMade(request::mark_made(patient, card)));
    of(|_, card| Command::CardsHandOver(request::hand_over(card)));
    of(|patient, _| Command::AccountsCredit(request::credit(patient.person, 500_000, "2026-02")));
    patients
}
