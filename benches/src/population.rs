//! People who are insured and in no bed, made by the commands of their desks: as many as memory holds.
//!
//! Invariant: the past is not kept, so what grows is the state of a hub and nothing else.
//! Invariant: the clock goes on while they are enrolled, so that request ids leave the window as they do in a year of work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use medsettle_core::accumulator::{AccumulatorKey, Accumulators};
use medsettle_core::calendar::Date;
use medsettle_core::card::ZoneKind;
use medsettle_core::command::{Command, Credential, HolderCheck, Presentation, Reply, Request, RequestHeader, Verdict};
use medsettle_core::fact::Record;
use medsettle_core::hub::{Actor, Context, Decision, Hub};
use medsettle_core::ids::{Hash32, PersonId, RequestId};
use medsettle_core::money::{Fen, Quantity};
use medsettle_core::person::{Certificate, CertificateKind};
use medsettle_core::pin::NoPin;
use medsettle_core::policy::{BenefitPolicy, Fund, InsuranceType, VisitKind};
use medsettle_core::records::MemoryRecords;
use medsettle_core::visit::{SettleVisit, VisitBill};

use crate::{NOW_MS, Ward, chip, enrolment_with, line, policy};

/// What a visit costs: one item of class A.
const VISIT: Fen = Fen(250_000);

/// Over how much time they are enrolled.
const ENROLLED_WITHIN_MS: i64 = 2_000 * 86_400_000;

/// A hub with so many people.
pub struct Population {
    ward: Ward,
    nothing: MemoryRecords,
    now_ms: i64,
    step_ms: i64,
    persons: u64,
    /// How often the cards were shown that were shown most.
    shown: u16,
}

impl Population {
    /// A hub without people that shall have so many.
    pub fn begin(persons: u64) -> Self {
        let mut ward = Ward::with_patients(0);
        let outpatient = BenefitPolicy { visit_kind: VisitKind::Outpatient, ..policy() };
        ward.run(Command::InstallPolicy { hash: Hash32([5; 32]), policy: Arc::new(outpatient) });
        let step_ms = ENROLLED_WITHIN_MS / i64::try_from(persons.max(1)).expect("fewer than there are milliseconds");
        Self { ward, nothing: MemoryRecords::default(), now_ms: NOW_MS, step_ms, persons: 0, shown: 1 }
    }

    /// How many there are.
    pub fn persons(&self) -> u64 {
        self.persons
    }

    /// Enrol people until there are so many, each with a card in use, an account and accumulators of two years.
    pub fn grow(&mut self, persons: u64) {
        while self.persons < persons {
            self.persons += 1;
            self.now_ms += self.step_ms;
            self.enroll(self.persons);
        }
    }

    fn enroll(&mut self, card: u64) {
        let Reply::PersonEnrolled(person) = self.run(enrolment_with(identity_card(card), "张伟明")) else {
            panic!("enrolled")
        };
        let apply = Command::ApplyForCard { person, predecessor: None, generation: "3".into() };
        let Reply::CardApplied(id) = self.run(apply) else { panic!("applied") };
        self.run(Ward::made(id, card));
        self.run(Ward::handed_over(id));
        self.run(Command::EnableCard { card: id, zone: ZoneKind::Insurance });
        self.run(Command::CreditAccount { person, amount: Fen(500_000), period_key: "2026".into() });
        for year in [2025, 2026] {
            self.run(Self::year_of(person, year));
        }
    }

    fn year_of(person: PersonId, year: i32) -> Command {
        let counter = policy().counter();
        let key = AccumulatorKey { year, insurance_type: InsuranceType::Employee, counter };
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
        Command::OpenYear { person, key, accumulators }
    }

    /// Settle a visit of each of `count` people all over the table, and give the time of `decide` and `apply` alone.
    pub fn settle(&mut self, count: u64) -> Duration {
        self.shown += 1;
        let stride = (self.persons / count).max(1);
        let mut spent = Duration::ZERO;
        for card in
            (1..=self.persons).step_by(usize::try_from(stride).expect("few")).take(usize::try_from(count).expect("few"))
        {
            let request = self.request(Self::visit_of(card, self.shown, Date::business_day(self.now_ms)));
            let start = Instant::now();
            let record = decided(&self.ward.hub, &request, &self.context());
            self.ward.hub.apply(&record);
            spent += start.elapsed();
        }
        spent
    }

    fn visit_of(card: u64, atc: u16, today: Date) -> Command {
        let mut line = line();
        line.date = today;
        line.quantity = Quantity::parse("1").expect("a quantity");
        let mut presentation = chip(card, atc, VISIT, 0x00);
        if let Presentation { credential: Credential::Chip(chip), .. } = &mut presentation {
            chip.transaction_date = today;
        }
        let bill = VisitBill {
            kind: VisitKind::Outpatient,
            day: today,
            department: "01".into(),
            lines: vec![(line, None)],
            account_request: Fen::ZERO,
            use_family: false,
        };
        Command::SettleVisit(SettleVisit {
            bill,
            diagnosis: "A00".into(),
            total: VISIT,
            quote: None,
            presentation,
            holder_check: HolderCheck::default(),
        })
    }

    fn run(&mut self, command: Command) -> Reply {
        let request = self.request(command);
        let Decision::Commit(record, reply) = self.ward.hub.decide(&request, &self.context()) else {
            panic!("the command is accepted: {:?}", self.ward.hub.decide(&request, &self.context()))
        };
        self.ward.hub.apply(&record);
        reply
    }

    fn request(&mut self, command: Command) -> Request {
        self.ward.requests += 1;
        let header = RequestHeader {
            request_id: RequestId::parse(&format!("H11010500001-{:016}", self.ward.requests)).expect("well written"),
            created_ms: self.now_ms,
            institution: self.ward.hospital,
            operator: "bench".into(),
        };
        Request::Command(header, Box::new(command))
    }

    fn context(&self) -> Context<'_> {
        Context {
            stamp_ms: self.now_ms,
            sequence: self.ward.hub.sequence() + 1,
            actor: Actor { institution: self.ward.hospital, roles: u32::MAX },
            operation: 1,
            digest: Hash32::default(),
            verdict: Verdict::Valid { arpc: [0; 8] },
            pin: &NoPin,
            records: &self.nothing,
        }
    }
}

/// A made-up person of a region that is nobody's: a thousand of each day of a century.
fn identity_card(number: u64) -> Certificate {
    let (day, of_day) = (i32::try_from(number / 1_000).expect("fewer than in the country"), number % 1_000);
    let born = Date::from_days(day % 36_500 - 20_000).expect("a day of the calendar").to_string().replace('-', "");
    let digits = format!("000000{born}{of_day:03}");
    let candidates = "0123456789X".chars().map(|check| format!("{digits}{check}"));
    let right = candidates.map(|text| Certificate::new(CertificateKind::IdentityCard, &text)).find_map(Result::ok);
    right.expect("one of the check characters is right")
}

fn decided(hub: &Hub, request: &Request, context: &Context<'_>) -> Box<Record> {
    let Decision::Commit(record, _) = hub.decide(request, context) else { panic!("the visit is settled") };
    record
}
