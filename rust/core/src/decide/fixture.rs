//! A small hub for the tests of decisions: every command goes through the whole of `Hub::decide` and is applied and recorded.
//!
//! Regions: 110000 over 110100 (home, over 110101) and 110200; 310000 over 310100, which are another hub's.

pub(crate) mod alerts;
pub(crate) mod clinic;
pub(crate) mod ward;

use crate::calendar::Date;
use crate::card::{Chip, Personalisation};
use crate::catalogue::{Catalogue, CeilingOrder, Item, ItemClass};
use crate::command::{Command, Query, Reply, Request, RequestHeader, Verdict};
use crate::fact::{Fact, Record};
use crate::hub::{Actor, Context, Decision, Hub};
use crate::ids::{CardId, CardSn, Hash32, HubNumber, InstitutionCode, Pan, PersonId, RegionCode, RequestId};
use crate::institution::{Institution, InstitutionKind};
use crate::money::Fen;
use crate::person::{Certificate, CertificateKind, Sex, Spell, SpellStatus};
use crate::pin::{HashedPin, ShownPin};
use crate::policy::{
    AccountUse, AnyOf, Band, BandBasis, BandMeasure, BenefitPolicy, CapMeasure, Category, CrossYear, Fund,
    InsuranceType, Layer, LayerBase, Level, OnCancel, OnTransfer, Unfiled, VisitKind,
};
use crate::records::MemoryRecords;
use crate::region::Region;
use crate::reject::Reject;

use super::requests::reversible;

/// Answer to every right cryptogram.
pub(crate) const ARPC: [u8; 8] = [7; 8];

/// A PIN, or none, and the check value of the key under which it is hashed.
#[derive(Clone, Copy)]
pub(crate) struct Digits(pub(crate) Option<&'static str>, pub(crate) [u8; 3]);

impl ShownPin for Digits {
    fn hashed(&self, card: CardId) -> Option<HashedPin> {
        let hash = |digits| Hash32(*blake3::hash(format!("{card} {digits}").as_bytes()).as_bytes());
        self.0.map(|digits| HashedPin { hash: hash(digits), key_check: self.1 })
    }
}

/// A hub and the institution that asks it, which has every role.
pub(crate) struct Desk {
    pub(crate) hub: Hub,
    pub(crate) records: MemoryRecords,
    pub(crate) now_ms: i64,
    pub(crate) actor: Actor,
    /// Verdict on the cryptogram of whatever is presented.
    pub(crate) verdict: Verdict,
    /// The PIN that comes with every command.
    pub(crate) pin: Digits,
    /// Facts of the last accepted command.
    pub(crate) facts: Vec<Fact>,
    /// Every record, from the first.
    pub(crate) journal: Vec<Record>,
}

impl Desk {
    /// A hub that knows its regions, on 2026-03-01.
    pub(crate) fn open() -> Self {
        let institution = InstitutionCode::parse("D11010000001").unwrap();
        let mut desk = Self {
            hub: Hub::new(HubNumber::new(11).unwrap(), 7),
            records: MemoryRecords::default(),
            now_ms: i64::from(day("2026-03-01").days()) * 86_400_000,
            actor: Actor { institution, roles: u32::MAX },
            verdict: Verdict::Valid { arpc: ARPC },
            pin: Digits(Some("246810"), [1; 3]),
            facts: Vec::new(),
            journal: Vec::new(),
        };
        desk.run(Command::InstallRegions { hash: Hash32::default(), regions: regions() }).unwrap();
        desk
    }

    fn context(&self, operation: u32, digest: Hash32) -> Context<'_> {
        Context {
            stamp_ms: self.now_ms,
            sequence: self.hub.sequence() + 1,
            actor: self.actor,
            operation,
            digest,
            verdict: self.verdict,
            pin: &self.pin,
            records: &self.records,
        }
    }

    /// Decide a command under a new request id, and apply it where it is accepted.
    pub(crate) fn run(&mut self, command: Command) -> Result<Reply, Reject> {
        match self.send(&format!("r-{}", self.hub.sequence()), command) {
            Decision::Commit(_, reply) => Ok(reply),
            Decision::Refuse(reject) | Decision::RefuseWith(_, reject) => Err(reject),
            other => panic!("a command was answered with {other:?}"),
        }
    }

    /// Decide a command under a request id that is made now.
    pub(crate) fn send(&mut self, request_id: &str, command: Command) -> Decision {
        self.send_made(request_id, self.now_ms, command)
    }

    /// Decide a command under a request id that was made at a moment; record and apply what it leaves.
    pub(crate) fn send_made(&mut self, request_id: &str, created_ms: i64, command: Command) -> Decision {
        let header = RequestHeader {
            request_id: RequestId::parse(request_id).unwrap(),
            created_ms,
            institution: self.actor.institution,
            operator: "clerk".into(),
        };
        let operation = match command {
            Command::Admit { .. } => reversible::ADMIT,
            Command::SettleStay { .. } => reversible::SETTLE,
            Command::SettleVisit(_) => reversible::SETTLE_VISIT,
            _ => 1,
        };
        let digest = Hash32(*blake3::hash(format!("{command:?}").as_bytes()).as_bytes());
        let request = Request::Command(header, Box::new(command));
        let decision = self.hub.decide(&request, &self.context(operation, digest));
        if let Decision::Commit(record, _) | Decision::RefuseWith(record, _) = &decision {
            self.records.observe(record, &self.hub);
            self.hub.apply(record);
            self.facts.clone_from(&record.facts);
            self.journal.push(Record::clone(record));
        }
        decision
    }

    /// Ask.
    pub(crate) fn ask(&self, query: Query) -> Result<Reply, Reject> {
        match self.hub.decide(&Request::Query(query), &self.context(1, Hash32::default())) {
            Decision::Answer(reply) => Ok(reply),
            Decision::Refuse(reject) => Err(reject),
            other => panic!("a query was answered with {other:?}"),
        }
    }

    /// Enrol an employee of 110100 with this passport.
    pub(crate) fn enrol(&mut self, passport: &str) -> PersonId {
        let Ok(Reply::PersonEnrolled(person)) = self.run(enrolment(passport)) else { panic!("enrolled") };
        person
    }

    /// Register a networked hospital that is open to other regions.
    pub(crate) fn register(&mut self, code: &str, region: &str) {
        let institution = institution(code, region);
        self.run(Command::RegisterInstitution { institution }).unwrap();
    }

    /// Apply for a card.
    pub(crate) fn apply_for(&mut self, person: PersonId, predecessor: Option<CardId>) -> Result<CardId, Reject> {
        let reply = self.run(Command::ApplyForCard { person, predecessor, generation: "3".into() })?;
        let Reply::CardApplied(card) = reply else { panic!("{reply:?}") };
        Ok(card)
    }

    /// Apply for a card, make it with the card's id as its number, and hand it over.
    pub(crate) fn issue(&mut self, person: PersonId, predecessor: Option<CardId>) -> CardId {
        let card = self.apply_for(person, predecessor).unwrap();
        self.run(making(card, card.0)).unwrap();
        self.run(Command::HandOverCard { card, collected_by: "the holder".into() }).unwrap();
        card
    }
}

pub(crate) fn day(text: &str) -> Date {
    Date::parse(text).expect("a day of the calendar")
}

pub(crate) fn region(code: &str) -> RegionCode {
    RegionCode::parse(code).expect("six digits")
}

pub(crate) fn regions() -> Vec<Region> {
    let node = |code: &str, parent: Option<&str>, home| Region {
        code: region(code),
        name: code.into(),
        parent: parent.map(region),
        home,
    };
    vec![
        node("110000", None, false),
        node("110100", Some("110000"), true),
        node("110101", Some("110100"), false),
        node("110200", Some("110000"), false),
        node("310000", None, false),
        node("310100", Some("310000"), false),
    ]
}

pub(crate) fn certificate(number: &str) -> Certificate {
    Certificate::new(CertificateKind::Passport, number).expect("letters and digits")
}

/// An employee's spell without end.
pub(crate) fn spell(code: &str, from: &str) -> Spell {
    Spell {
        insurance_type: InsuranceType::Employee,
        region: region(code),
        category: Category::Active,
        status: SpellStatus::Normal,
        from: day(from),
        to: None,
    }
}

pub(crate) fn enrolment(passport: &str) -> Command {
    Command::EnrollPerson {
        name: "张三".into(),
        sex: Sex::Female,
        birth_date: day("1980-05-01"),
        certificates: vec![certificate(passport)],
        spells: vec![spell("110100", "2010-01-01")],
        entitlements: Vec::new(),
    }
}

pub(crate) fn institution(code: &str, at: &str) -> Institution {
    Institution {
        code: InstitutionCode::parse(code).expect("twelve characters"),
        name: "第一医院".into(),
        kind: InstitutionKind::Hospital,
        level: Level::Three,
        region: region(at),
        networked: true,
        cross_region: true,
    }
}

pub(crate) fn card_sn(number: u64) -> CardSn {
    CardSn::parse(&format!("{number:032X}")).expect("32 digits")
}

/// A card is made with a number and nothing in its purse.
pub(crate) fn making(card: CardId, number: u64) -> Command {
    Command::MarkCardMade { card, made: personalisation(number), purse: Fen::ZERO }
}

pub(crate) fn personalisation(number: u64) -> Personalisation {
    let pan = Pan::parse(&format!("9156{number:015}"), 0).expect("19 digits");
    Personalisation { pan, card_sn: card_sn(number), chip: Some(Chip { scheme: 1, key_index: 1 }) }
}

/// Half of everything for everybody, up to 5,500.00 of the pool, then of large-sum insurance without limit.
pub(crate) fn policy(code: &str) -> BenefitPolicy {
    let band = Band {
        levels: AnyOf::ANY,
        categories: AnyOf::ANY,
        entitlements: Vec::new(),
        from: Fen::ZERO,
        to: None,
        rate_bp: 5_000,
    };
    let layer = |fund, base, annual_cap| Layer {
        fund,
        base,
        deductible_counts: true,
        entitlements: Vec::new(),
        bands: vec![band.clone()],
        annual_cap,
        cap_measure: CapMeasure::Fund,
    };
    BenefitPolicy {
        region: region(code),
        insurance_type: InsuranceType::Employee,
        visit_kind: VisitKind::Inpatient,
        counter: None,
        effective_from: day("2025-01-01"),
        effective_to: None,
        deductibles: Vec::new(),
        deductible_year_cap: None,
        band_measure: BandMeasure::Eligible,
        band_basis: BandBasis::Stay,
        layers: vec![
            layer(Fund::Pool, LayerBase::EligibleAfterDeductible, Some(Fen(550_000))),
            layer(Fund::LargeSum, LayerBase::Overflow, None),
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

/// One item of class A.
pub(crate) fn catalogue(code: &str) -> Catalogue {
    let item = Item {
        code: "A1".into(),
        name: "床位费".into(),
        class: ItemClass::A,
        first_pay_bp: [None; InsuranceType::ALL.len()],
        ceilings: [None; Level::ALL.len()],
    };
    Catalogue::new(region(code), day("2025-01-01"), None, CeilingOrder::CeilingFirst, vec![item])
}
