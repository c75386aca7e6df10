//! A ward for benchmarks: a hub with persons whose stays are discharged and wait for their settlement.
//!
//! Invariant: everything goes through `Hub::decide`; nothing is put into the state by hand.

mod card_events;
pub mod figures;
mod population;
pub mod process;
mod rounds;
mod watch;

pub use population::Population;
pub use rounds::Rounds;

use std::sync::Arc;

use medsettle_core::calendar::Date;
use medsettle_core::card::{Chip, Personalisation};
use medsettle_core::catalogue::{Catalogue, CeilingOrder, Item, ItemClass};
use medsettle_core::command::{
    CheckMethod, ChipPresentation, Command, Credential, HolderCheck, Presentation, Reply, Request, RequestHeader,
    Verdict,
};
use medsettle_core::fact::Record;
use medsettle_core::hub::{Actor, Context, Decision, Hub};
use medsettle_core::ids::{
    CardId, CardSn, Hash32, HubNumber, InstitutionCode, Pan, PersonId, RegionCode, RequestId, StayId,
};
use medsettle_core::institution::{Institution, InstitutionKind};
use medsettle_core::money::{Fen, Quantity, UnitPrice};
use medsettle_core::person::{Certificate, CertificateKind, Sex, Spell, SpellStatus};
use medsettle_core::pin::NoPin;
use medsettle_core::policy::{
    AccountUse, AdmissionRange, AnyOf, Band, BandBasis, BandMeasure, BenefitPolicy, CapMeasure, Category, CrossYear,
    DeductibleRow, Fund, InsuranceType, Layer, LayerBase, Level, OnCancel, OnTransfer, Unfiled, VisitKind,
};
use medsettle_core::records::MemoryRecords;
use medsettle_core::region::Region;
use medsettle_core::stay::{AdmissionKind, ChargeLine};

/// The extension's allocator, so that what is measured here is what runs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 2026-03-02 in the morning of UTC+8.
const NOW_MS: i64 = 1_772_416_800_000;

/// The bill of every stay: 25,000.00 of class A.
const BILL: Fen = Fen(2_500_000);

/// How the hospital checks a holder at settlement, and whom it sees: the person of the documents.
const SEEN: HolderCheck = HolderCheck { method: CheckMethod::Face, sex: Some(Sex::Male), birth_year: Some(1970) };

/// A person in a bed.
#[derive(Clone, Copy)]
pub struct Patient {
    card: u64,
    id: CardId,
    person: PersonId,
    stay: StayId,
    atc: u16,
}

/// A hub, its past, and patients who wait.
#[derive(Clone)]
pub struct Ward {
    hub: Hub,
    records: MemoryRecords,
    hospital: InstitutionCode,
    patients: Vec<Patient>,
    requests: u64,
    now_ms: i64,
}

impl Ward {
    /// A ward with this many patients.
    pub fn with_patients(count: u64) -> Self {
        let hospital = InstitutionCode::parse("H11010500001").expect("twelve characters");
        let number = HubNumber::new(1).expect("a hub number");
        let mut ward = Self {
            hub: Hub::new(number, 7),
            records: MemoryRecords::default(),
            hospital,
            patients: Vec::new(),
            requests: 0,
            now_ms: NOW_MS,
        };
        ward.furnish();
        for card in 1..=count {
            ward.admit(card);
        }
        ward
    }

    /// The next settlement of a patient: the request and the digest that names it.
    pub fn settlement(&mut self, patient: usize) -> Request {
        let Patient { card, stay, atc, .. } = self.patients[patient];
        self.patients[patient].atc += 1;
        let chip = chip(card, atc, BILL, 0x00);
        self.request(Command::SettleStay {
            stay,
            total: BILL,
            account_request: Fen::ZERO,
            use_family: false,
            quote: None,
            presentation: chip,
            holder_check: SEEN,
        })
    }

    /// Decide a request, which is accepted.
    pub fn decide(&self, request: &Request) -> Box<Record> {
        let Decision::Commit(record, _) = self.hub.decide(request, &self.context()) else {
            panic!("the request is accepted")
        };
        record
    }

    /// Note a decided record in the past, which must come before it is applied.
    pub fn observe(&mut self, record: &Record) {
        self.records.observe(record, &self.hub);
    }

    /// Fold a decided record into the state.
    pub fn apply(&mut self, record: &Record) {
        self.hub.apply(record);
    }

    /// How many patients there are.
    pub fn patients(&self) -> usize {
        self.patients.len()
    }

    fn context(&self) -> Context<'_> {
        Context {
            stamp_ms: self.now_ms,
            sequence: self.hub.sequence() + 1,
            actor: Actor { institution: self.hospital, roles: u32::MAX },
            operation: 1,
            digest: Hash32::default(),
            verdict: Verdict::Valid { arpc: [0; 8] },
            pin: &NoPin,
            records: &self.records,
        }
    }

    fn request(&mut self, command: Command) -> Request {
        self.requests += 1;
        let header = RequestHeader {
            request_id: RequestId::parse(&format!("H11010500001-{:016}", self.requests)).expect("well written"),
            created_ms: self.now_ms,
            institution: self.hospital,
            operator: "bench".into(),
        };
        Request::Command(header, Box::new(command))
    }

    /// Decide and apply a command, which is accepted.
    pub fn carry_out(&mut self, request: &Request) -> Reply {
        let Decision::Commit(record, reply) = self.hub.decide(request, &self.context()) else {
            panic!("the command is accepted")
        };
        self.records.observe(&record, &self.hub);
        self.hub.apply(&record);
        reply
    }

    fn run(&mut self, command: Command) -> Reply {
        let request = self.request(command);
        self.carry_out(&request)
    }

    fn furnish(&mut self) {
        let region = |code: &str, parent: Option<&str>| Region {
            code: region(code),
            name: code.into(),
            parent: parent.map(self::region),
            home: true,
        };
        let regions = vec![region("370000", None), region("370100", Some("370000"))];
        self.run(Command::InstallRegions { hash: Hash32([1; 32]), regions });
        self.run(Command::InstallPolicy { hash: Hash32([2; 32]), policy: Arc::new(policy()) });
        self.run(Command::InstallCatalogue { hash: Hash32([3; 32]), catalogue: Arc::new(catalogue()) });
        self.run(Command::RegisterInstitution {
            institution: Institution {
                code: self.hospital,
                name: "bench".into(),
                kind: InstitutionKind::Hospital,
                level: Level::Three,
                region: self::region("370100"),
                networked: true,
                cross_region: true,
            },
        });
    }

    fn admit(&mut self, card: u64) {
        let Reply::PersonEnrolled(person) = self.run(enrolment(card)) else { panic!("enrolled") };
        let Reply::CardApplied(id) =
            self.run(Command::ApplyForCard { person, predecessor: None, generation: "3".into() })
        else {
            panic!("applied")
        };
        self.issue(id, card);
        let Reply::Admitted(admitted) = self.run(Command::Admit {
            presentation: chip(card, 1, Fen::ZERO, 0x31),
            holder_check: HolderCheck::by(CheckMethod::Face),
            admission: day("2026-02-20"),
            kind: AdmissionKind::Planned,
            department: "01".into(),
            diagnosis: "A00".into(),
        }) else {
            panic!("admitted")
        };
        let lines = vec![(line(), None)];
        self.run(Command::AddCharges { stay: admitted.stay, lines });
        self.run(Command::Discharge { stay: admitted.stay, discharge: day("2026-02-28") });
        self.patients.push(Patient { card, id, person, stay: admitted.stay, atc: 2 });
    }

    fn issue(&mut self, id: CardId, card: u64) {
        self.run(Self::made(id, card));
        self.run(Self::handed_over(id));
    }

    fn made(id: CardId, card: u64) -> Command {
        let chip = Some(Chip { scheme: 1, key_index: 1 });
        let made = Personalisation { pan: pan(card), card_sn: card_sn(card), chip };
        Command::MarkCardMade { card: id, made, purse: Fen::ZERO }
    }

    fn handed_over(id: CardId) -> Command {
        Command::HandOverCard { card: id, collected_by: "holder".into() }
    }
}

fn day(text: &str) -> Date {
    Date::parse(text).expect("a day of the calendar")
}

fn region(code: &str) -> RegionCode {
    RegionCode::parse(code).expect("six digits")
}

fn pan(card: u64) -> Pan {
    Pan::parse(&format!("9156{card:015}"), 0).expect("19 digits")
}

fn card_sn(card: u64) -> CardSn {
    CardSn::parse(&format!("{card:032X}")).expect("32 digits")
}

fn chip(card: u64, atc: u16, amount: Fen, transaction_type: u8) -> Presentation {
    let chip = ChipPresentation {
        pan: pan(card),
        card_sn: card_sn(card),
        chip: Chip { scheme: 1, key_index: 1 },
        atc,
        amount,
        other_amount: Fen::ZERO,
        terminal_country: 156,
        currency: 156,
        transaction_type,
        transaction_date: day("2026-03-02"),
        cvr: None,
    };
    Presentation { credential: Credential::Chip(chip), terminal: "T1".into() }
}

fn line() -> ChargeLine {
    ChargeLine {
        line_id: 1,
        item_code: "A1".into(),
        quantity: Quantity::parse("10").expect("a quantity"),
        unit_price: UnitPrice::parse("2500").expect("a price"),
        date: day("2026-02-21"),
        takes_back: None,
        own_expense: false,
        restriction_met: None,
        outside: None,
    }
}

fn enrolment(card: u64) -> Command {
    let certificate = Certificate::new(CertificateKind::Passport, &format!("E{card:010}")).expect("letters and digits");
    enrolment_with(certificate, "bench")
}

fn enrolment_with(certificate: Certificate, name: &str) -> Command {
    Command::EnrollPerson {
        name: name.into(),
        sex: Sex::Male,
        birth_date: day("1970-01-01"),
        certificates: vec![certificate],
        spells: vec![Spell {
            insurance_type: InsuranceType::Employee,
            region: region("370100"),
            category: Category::Active,
            status: SpellStatus::Normal,
            from: day("2020-01-01"),
            to: None,
        }],
        entitlements: Vec::new(),
    }
}

/// Deductible, pool with a cap, large-sum: as most cities have it.
pub fn policy() -> BenefitPolicy {
    let band = |rate_bp| Band {
        levels: AnyOf::ANY,
        categories: AnyOf::ANY,
        entitlements: Vec::new(),
        from: Fen::ZERO,
        to: None,
        rate_bp,
    };
    let layer = |fund, base, rate_bp, annual_cap| Layer {
        fund,
        base,
        deductible_counts: true,
        entitlements: Vec::new(),
        bands: vec![band(rate_bp)],
        annual_cap,
        cap_measure: CapMeasure::Fund,
    };
    BenefitPolicy {
        region: region("370100"),
        insurance_type: InsuranceType::Employee,
        visit_kind: VisitKind::Inpatient,
        counter: None,
        effective_from: day("2025-01-01"),
        effective_to: None,
        deductibles: vec![DeductibleRow {
            levels: AnyOf::ANY,
            categories: AnyOf::ANY,
            entitlements: Vec::new(),
            admission: AdmissionRange::ANY,
            amount: Fen(100_000),
        }],
        deductible_year_cap: None,
        band_measure: BandMeasure::AfterDeductible,
        band_basis: BandBasis::Stay,
        layers: vec![
            layer(Fund::Pool, LayerBase::EligibleAfterDeductible, 8_800, Some(Fen(60_000_000))),
            layer(Fund::LargeSum, LayerBase::Overflow, 9_000, None),
        ],
        filing_adjustments: Vec::new(),
        unfiled: Unfiled::Refused,
        unfiled_adjustment: None,
        cross_year: CrossYear::Whole,
        on_cancel: OnCancel::Keep,
        account_use: AccountUse::Allowed,
        family_use: AccountUse::Allowed,
        on_transfer: OnTransfer::Carry,
    }
}

fn catalogue() -> Catalogue {
    let item = Item {
        code: "A1".into(),
        name: "bench".into(),
        class: ItemClass::A,
        first_pay_bp: [None; InsuranceType::ALL.len()],
        ceilings: [None; Level::ALL.len()],
    };
    Catalogue::new(region("370100"), day("2025-01-01"), None, CeilingOrder::CeilingFirst, vec![item])
}
