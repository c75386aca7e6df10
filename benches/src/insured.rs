//! Insured persons who are not ill: each with a card in use, money, and two years of sums.
//!
//! Leaves out: the past. Nothing is noted in the records, so what a ward of them takes in memory is state.

use medsettle_core::accumulator::{AccumulatorKey, Accumulators};
use medsettle_core::card::ZoneKind;
use medsettle_core::command::{Command, Reply};
use medsettle_core::hub::{Decision, Hub};
use medsettle_core::money::Fen;
use medsettle_core::policy::{Counter, Fund, InsuranceType};

use crate::{Ward, enrolment};

impl Ward {
    /// Enrol one more, with `per_request_ms` between two requests.
    pub fn insure(&mut self, number: u64, per_request_ms: i64) {
        let Reply::PersonEnrolled(person) = self.settle_down(enrolment(number), per_request_ms) else {
            panic!("enrolled")
        };
        let apply = Command::ApplyForCard { person, predecessor: None, generation: "3".into() };
        let Reply::CardApplied(card) = self.settle_down(apply, per_request_ms) else { panic!("applied") };
        for command in Self::issuing(card, number) {
            self.settle_down(command, per_request_ms);
        }
        self.settle_down(Command::EnableCard { card, zone: ZoneKind::Bank }, per_request_ms);
        let (amount, period_key) = (Fen(500_000), "2026-02".into());
        self.settle_down(Command::CreditAccount { person, amount, period_key }, per_request_ms);
        for year in [2025, 2026] {
            let key = AccumulatorKey { insurance_type: InsuranceType::Employee, year, counter: Counter::Inpatient };
            let mut accumulators = Accumulators {
                admissions: 2,
                eligible: Fen(3_123_456),
                deductible: Fen(150_000),
                own_burden: Fen(412_345),
                account: Fen(98_765),
                ..Accumulators::default()
            };
            accumulators.funds[Fund::Pool] = Fen(2_345_678);
            accumulators.funds[Fund::LargeSum] = Fen(123_456);
            self.settle_down(Command::OpenYear { person, key, accumulators }, per_request_ms);
        }
    }

    fn settle_down(&mut self, command: Command, per_request_ms: i64) -> Reply {
        self.now_ms += per_request_ms;
        let request = self.request(command);
        let Decision::Commit(record, reply) = self.hub.decide(&request, &self.context()) else {
            panic!("the command is accepted")
        };
        self.hub.apply(&record);
        reply
    }

    /// The state alone.
    pub fn into_hub(self) -> Hub {
        self.hub
    }
}
