//! Insured persons who are not ill: each with a card in use, money, and two years of sums.
//!
//! Leaves out: the past. Nothing is noted in the records, so what a ward of them takes in memory is state.

use medsettle_core::accumulator::{AccumulatorKey, Accumulators};
use medsettle_core::calendar::Date;
use medsettle_core::card::ZoneKind;
use medsettle_core::command::{Command, Reply};
use medsettle_core::hub::{Decision, Hub};
use medsettle_core::money::Fen;
use medsettle_core::person::{Certificate, CertificateKind};
use medsettle_core::policy::{Counter, Fund, InsuranceType};

use crate::{Ward, enrolment_with};

/// A made-up person of a region that is nobody's: a thousand of each day of a century.
fn identity_card(number: u64) -> Certificate {
    let (number, of_day) = (i32::try_from(number / 1_000).expect("fewer than in the country"), number % 1_000);
    let born = Date::from_days(number % 36_500 - 20_000).expect("a day of the calendar").to_string().replace('-', "");
    let digits = format!("000000{born}{of_day:03}");
    let candidates = "0123456789X".chars().map(|check| format!("{digits}{check}"));
    let right = candidates.map(|text| Certificate::new(CertificateKind::IdentityCard, &text)).find_map(Result::ok);
    right.expect("one of the check characters is right")
}

impl Ward {
    /// Enrol one more, with `per_request_ms` between two requests.
    pub fn insure(&mut self, number: u64, per_request_ms: i64) {
        let Reply::PersonEnrolled(person) =
            self.settle_down(enrolment_with(identity_card(number), "张伟明"), per_request_ms)
        else {
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
