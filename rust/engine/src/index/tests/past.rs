//! Random pasts: records with every fact that the index knows, folded into a hub and into the model beside it.
//!
//! Leaves out: whether the rules would have decided so. Only what `apply` needs must be right, so that every fact can follow any other.

use std::sync::Arc;

use medsettle_core::account::AccountKind;
use medsettle_core::accumulator::{AccumulatorKey, Accumulators};
use medsettle_core::alert::{Alert, AlertKind};
use medsettle_core::benefit::{LineSplit, Split};
use medsettle_core::calendar::Date;
use medsettle_core::fact::{Fact, Record};
use medsettle_core::fraud::{Reversal, Unwind};
use medsettle_core::hub::Hub;
use medsettle_core::ids::{
    AlertId, CardId, CardSn, Hash32, HubNumber, InstitutionCode, PersonId, RegionCode, RequestId, SettlementId, StayId,
    UnwindId,
};
use medsettle_core::money::Fen;
use medsettle_core::person::{Certificate, CertificateKind, Profile, Sex, Spell, SpellStatus};
use medsettle_core::policy::{Category, Counter, FilingKind, InsuranceType, Level, VisitKind};
use medsettle_core::records::{MemoryRecords, Records};
use medsettle_core::request::RequestKey;
use medsettle_core::settlement::{
    Adjustment, Cancellation, CaseFacts, CredentialShown, FamilyDraw, Occasion, Presented, Settlement, Standing,
};
use medsettle_core::stay::{AdmissionKind, Stay, StayState};
use medsettle_core::visit::Visit;
use proptest::prelude::*;

pub(super) const PERSONS: u64 = 3;
const DAY_MS: i64 = 86_400_000;
const FIRST_MS: i64 = 1_772_416_800_000;

/// What happens next. Things that were made are named by their age: 0 is the newest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Credit { person: u64 },
    TopUp { person: u64 },
    Admit { person: u64, at: usize, nights: i32 },
    SettleStay { age: usize, family: bool },
    CancelAdmission { age: usize },
    Visit { person: u64, at: usize, family: bool, cash: bool },
    Cancel { age: usize, adjusted: usize, reversing: bool },
    Unwind { person: u64, most: usize, adjusted: usize, case: usize },
    Alert { person: u64, at: usize },
    Acknowledge { age: usize },
    Refuse { person: u64 },
    Wait { hours: i64 },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let person = || 1..=PERSONS;
    let at = || 0..2_usize;
    let age = || 0..6_usize;
    prop_oneof![
        1 => person().prop_map(|person| Step::Credit { person }),
        1 => person().prop_map(|person| Step::TopUp { person }),
        4 => (person(), at(), 0..9_i32).prop_map(|(person, at, nights)| Step::Admit { person, at, nights }),
        4 => (age(), any::<bool>()).prop_map(|(age, family)| Step::SettleStay { age, family }),
        1 => age().prop_map(|age| Step::CancelAdmission { age }),
        6 => (person(), at(), any::<bool>(), any::<bool>())
            .prop_map(|(person, at, family, cash)| Step::Visit { person, at, family, cash }),
        3 => (age(), 0..3_usize, any::<bool>())
            .prop_map(|(age, adjusted, reversing)| Step::Cancel { age, adjusted, reversing }),
        2 => (person(), 1..4_usize, 0..3_usize, 0..2_usize)
            .prop_map(|(person, most, adjusted, case)| Step::Unwind { person, most, adjusted, case }),
        2 => (person(), at()).prop_map(|(person, at)| Step::Alert { person, at }),
        2 => age().prop_map(|age| Step::Acknowledge { age }),
        1 => person().prop_map(|person| Step::Refuse { person }),
        2 => (1..60_i64).prop_map(|hours| Step::Wait { hours }),
    ]
}

pub(super) fn institution(at: usize) -> InstitutionCode {
    InstitutionCode::parse(["H11010000001", "H11010000002"][at]).expect("twelve characters")
}

fn region() -> RegionCode {
    RegionCode::parse("110100").expect("six digits")
}

/// Everybody's card has the number of its holder and a hundred.
pub(super) fn card_of(person: PersonId) -> CardId {
    CardId(person.0 + 100)
}

/// Whose accounts pay for a person beside the person's own.
fn payer_of(person: PersonId) -> PersonId {
    PersonId(person.0 % PERSONS + 1)
}

/// A hub with its past, kept by the model.
pub(super) struct Past {
    pub(super) hub: Hub,
    pub(super) model: MemoryRecords,
    pub(super) journal: Vec<Record>,
    pub(super) now_ms: i64,
    /// What was made, oldest first, to be named again.
    stays: Vec<Arc<Stay>>,
    pub(super) settlements: Vec<SettlementId>,
    alerts: Vec<AlertId>,
    pub(super) unwinds: Vec<UnwindId>,
    raised: u64,
}

impl Past {
    /// A hub with its persons and their cards.
    pub(super) fn begin() -> Self {
        let mut past = Self {
            hub: new_hub(),
            model: MemoryRecords::default(),
            journal: Vec::new(),
            now_ms: FIRST_MS,
            stays: Vec::new(),
            settlements: Vec::new(),
            alerts: Vec::new(),
            unwinds: Vec::new(),
            raised: 0,
        };
        for person in (1..=PERSONS).map(PersonId) {
            let enrolled = Fact::PersonEnrolled { person, profile: profile(person).into(), home: region() };
            let (card, generation) = (card_of(person), "3".into());
            let applied = Fact::CardApplied { card, person, region: region(), generation, predecessor: None };
            past.record(0, vec![enrolled, applied]);
        }
        past
    }

    fn id(&self) -> u64 {
        self.hub.number().id(self.hub.sequence() + 1)
    }

    pub(super) fn request(&self, sequence: u64) -> RequestKey {
        self.journal[usize::try_from(sequence - 1).expect("few")].request_key()
    }

    fn record(&mut self, at: usize, facts: Vec<Fact>) {
        let sequence = self.hub.sequence() + 1;
        let refused = matches!(facts[..], [Fact::CryptogramWrong { .. }]);
        let record = Record {
            sequence,
            stamp_ms: self.now_ms,
            operation: 700 + u32::try_from(sequence % 9).expect("a digit"),
            institution: institution(at),
            actor: institution(at),
            request_id: RequestId::parse(&format!("r-{sequence}")).expect("well written"),
            digest: Hash32([u8::try_from(sequence % 251).expect("a byte"); 32]),
            created_ms: self.now_ms - 5,
            operator: "clerk".into(),
            roles: 1,
            refused,
            facts,
        };
        self.model.observe(&record, &self.hub);
        self.hub.apply(&record);
        self.journal.push(record);
    }

    /// Take a step; what names nothing does nothing.
    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Credit { person } => {
                let (person, period_key) = (PersonId(person), self.id().to_string().into());
                let amount = Fen(10_000);
                self.record(0, vec![Fact::AccountCredited { person, amount, period_key, legs: Vec::new() }]);
            }
            Step::TopUp { person } => {
                let (person, account) = (PersonId(person), AccountKind::Online);
                let (amount, balance_after) = (Fen(500), Fen(i64::try_from(self.hub.sequence()).expect("few") * 500));
                let card = card_of(person);
                let legs = Vec::new();
                self.record(1, vec![Fact::ToppedUp { person, card, account, amount, balance_after, legs }]);
            }
            Step::Admit { person, at, nights } => self.admit(PersonId(person), at, nights),
            Step::SettleStay { age, family } => self.settle_stay(age, family),
            Step::CancelAdmission { age } => {
                if let Some(stay) = self.waiting(age) {
                    self.record(at_of(&stay), vec![Fact::AdmissionCancelled { stay: stay.id }]);
                }
            }
            Step::Visit { person, at, family, cash } => self.visit(PersonId(person), at, family, cash),
            Step::Cancel { age, adjusted, reversing } => self.cancel(age, adjusted, reversing),
            Step::Unwind { person, most, adjusted, case } => self.unwind(PersonId(person), most, adjusted, case),
            Step::Alert { person, at } => self.raise(PersonId(person), at),
            Step::Acknowledge { age } => {
                if let Some(place) = self.alerts.len().checked_sub(age + 1) {
                    let alert = self.alerts.remove(place);
                    self.record(0, vec![Fact::AlertAcknowledged { alert, note: format!("{alert} seen").into() }]);
                }
            }
            Step::Refuse { person } => {
                let card = card_of(PersonId(person));
                self.record(1, vec![Fact::CryptogramWrong { card, institution: institution(1), count: 1 }]);
            }
            Step::Wait { hours } => self.now_ms += hours * DAY_MS / 24,
        }
    }

    fn waiting(&self, age: usize) -> Option<Arc<Stay>> {
        let waits = |stay: &&Arc<Stay>| self.model.past_stay(stay.id).is_none();
        self.stays.iter().rev().filter(waits).nth(age).cloned()
    }

    fn admit(&mut self, person: PersonId, at: usize, nights: i32) {
        let discharge = Date::business_day(self.now_ms);
        let stay = Arc::new(Stay {
            id: StayId(self.id()),
            person,
            institution: institution(at),
            state: StayState::Discharged,
            kind: AdmissionKind::Planned,
            admission: Date::from_days(discharge.days() - nights).expect("a day"),
            discharge: Some(discharge),
            department: "01".into(),
            diagnosis: "A00".into(),
            insured_region: region(),
            insurance_type: InsuranceType::Employee,
            category: Category::Active,
            entitlements: vec!["one".into()],
            level: Level::Three,
            care_region: region(),
            lines: Arc::default(),
            sum: LineSplit::default(),
            next_ordinal: 0,
            admitted_with: card_of(person),
            admitted_ms: self.now_ms,
            settlement: None,
            voucher: None,
        });
        self.stays.push(Arc::clone(&stay));
        self.record(at, vec![Fact::PatientAdmitted { shown: shown(person), stay }]);
    }

    fn settle_stay(&mut self, age: usize, family: bool) {
        let Some(stay) = self.waiting(age) else { return };
        let days = (stay.admission, stay.discharge.expect("discharged"));
        self.settle(stay.person, at_of(&stay), Occasion::Stay(stay.id), days, family, false);
    }

    fn visit(&mut self, person: PersonId, at: usize, family: bool, cash: bool) {
        let visit = Visit { department: "01".into(), diagnosis: "A00".into(), lines: Vec::new() };
        let day = Date::business_day(self.now_ms);
        self.settle(person, at, Occasion::Visit(Arc::new(visit)), (day, day), family, cash);
    }

    fn settle(
        &mut self,
        person: PersonId,
        at: usize,
        occasion: Occasion,
        days: (Date, Date),
        family: bool,
        cash: bool,
    ) {
        let id = self.id();
        let amount = Fen(1 + i64::try_from(id % 1_000).expect("few"));
        let mut split = Split { person_part: amount, cash: amount, ..Split::default() };
        split.bill.total = amount;
        if !cash {
            (split.account, split.cash) = (amount, Fen::ZERO);
        }
        let payer = payer_of(person);
        let draw = FamilyDraw { payer, amount: Fen(1), balance_after: self.balance(payer) - Fen(1) };
        let family: Vec<FamilyDraw> = (family && !cash).then_some(draw).into_iter().collect();
        split.family = family.iter().map(|draw| draw.amount).sum();
        let settlement = Arc::new(Settlement {
            id: SettlementId(id),
            occasion,
            person,
            institution: institution(at),
            case: CaseFacts {
                visit_kind: VisitKind::Outpatient,
                insured_region: region(),
                care_region: region(),
                insurance_type: InsuranceType::Employee,
                category: Category::Active,
                entitlements: Vec::new(),
                level: Level::Two,
                filing: FilingKind::Local,
                scope: None,
                admission: days.0,
                discharge: days.1,
            },
            deltas: vec![(
                year_of(days.1),
                Accumulators { account: split.account - split.family, ..Accumulators::default() },
            )],
            balance_after: self.balance(person) - (split.account - split.family),
            split,
            policies: vec![(days.1.year(), Hash32([2; 32]))],
            catalogue: Hash32([3; 32]),
            legs: Vec::new(),
            family,
            presented: Presented { credential: shown(person), terminal: "T1".into() },
            stamp_ms: self.now_ms,
        });
        self.settlements.push(settlement.id);
        self.record(at, vec![Fact::Settled { settlement }]);
    }

    /// What the past says the person's account held last.
    fn balance(&self, person: PersonId) -> Fen {
        let mut after = 0;
        let mut balance = Fen::ZERO;
        loop {
            let (entries, more) =
                self.model.statement(person, medsettle_core::statement::Range { after, ..Default::default() });
            for entry in &entries {
                if entry.account == AccountKind::Insurance {
                    balance = entry.balance;
                }
                after = entry.sequence;
            }
            if !more {
                return balance;
            }
        }
    }

    /// Settlements that stand, newest first.
    fn standing(&self) -> impl Iterator<Item = Standing> + '_ {
        let standing = self.settlements.iter().rev().filter_map(|id| self.model.settlement(*id));
        standing.filter(Standing::stands)
    }

    fn adjustments(&self, without: &[SettlementId], because_of: SettlementId, count: usize) -> Vec<Adjustment> {
        let Some(person) = without.first().and_then(|id| self.model.settlement(*id)) else { return Vec::new() };
        let others = self.standing().filter(|other| other.settlement.person == person.settlement.person);
        let others = others.filter(|other| !without.contains(&other.settlement.id));
        let adjusted = others.take(count).map(|other| {
            let mut deltas = other.deltas().to_vec();
            for (key, _) in &mut deltas {
                // A recomputation may move what counts to another year.
                key.year += 1;
            }
            Adjustment {
                settlement: other.settlement.id,
                because_of,
                fund_delta: Fen(7),
                split: other.split().clone(),
                deltas,
                changes: Vec::new(),
                legs: Vec::new(),
            }
        });
        adjusted.collect()
    }

    fn cancel(&mut self, age: usize, adjusted: usize, reversing: bool) {
        let Some(standing) = self.standing().nth(age) else { return };
        let settlement = &standing.settlement;
        let id = SettlementId(self.id());
        let stay = settlement.stay().map(|stay| {
            let settled = self.model.past_stay(stay).expect("a settled stay");
            Arc::new(Stay { state: StayState::Discharged, settlement: None, ..Stay::clone(&settled) })
        });
        let cancellation = Arc::new(Cancellation {
            id,
            legs: Vec::new(),
            deltas: Vec::new(),
            balance_after: self.balance(settlement.person) + settlement.split.account - settlement.split.family,
            family: settlement.family.clone(),
            adjustments: self.adjustments(&[settlement.id], id, adjusted),
            settlement: Arc::clone(settlement),
            stamp_ms: self.now_ms,
        });
        let mut facts = vec![Fact::SettlementCancelled { cancellation, stay }];
        if reversing {
            let sequence = settlement.id.0 - self.hub.number().id(0);
            facts.push(Fact::RequestReversed { request: self.request(sequence) });
        }
        self.record(usize::from(settlement.institution == institution(1)), facts);
    }

    fn unwind(&mut self, person: PersonId, most: usize, adjusted: usize, case: usize) {
        let of_card = self.standing().filter(|standing| standing.settlement.person == person);
        let mut reversed: Vec<Standing> = of_card.take(most).collect();
        reversed.reverse();
        if reversed.is_empty() {
            return;
        }
        let ids: Vec<SettlementId> = reversed.iter().map(|standing| standing.settlement.id).collect();
        let id = UnwindId(self.id());
        let reversals = reversed.iter().map(|standing| {
            let Settlement { id, institution, split, family, case, presented, .. } = &*standing.settlement;
            Reversal {
                settlement: *id,
                institution: *institution,
                stay: standing.settlement.stay(),
                visit_kind: case.visit_kind,
                presented: presented.clone(),
                total: split.bill.total,
                fund: Fen::ZERO,
                account: split.account - split.family,
                balance_after: Fen(77),
                family: family.clone(),
                deltas: Vec::new(),
                legs: Vec::new(),
                withdrawn: Fen::ZERO,
            }
        });
        let unwind = Unwind {
            id,
            card: card_of(person),
            person,
            since_ms: FIRST_MS,
            until_ms: self.now_ms,
            excluded: Vec::new(),
            excluded_stays: Vec::new(),
            voided: Vec::new(),
            case_number: ["case", "case 2"][case].into(),
            second_approver: "two".into(),
            reversals: reversals.collect(),
            adjustments: self.adjustments(&ids, SettlementId(id.0), adjusted),
            stamp_ms: self.now_ms,
        };
        self.unwinds.push(id);
        self.record(0, vec![Fact::Unwound { unwind: Arc::new(unwind) }]);
    }

    fn raise(&mut self, person: PersonId, at: usize) {
        self.raised += 1;
        let alert = Arc::new(Alert {
            id: AlertId(self.hub.number().id(self.raised)),
            kind: [AlertKind::NearCap, AlertKind::TwoPlaces][at],
            person,
            card: Some(card_of(person)),
            settlement: None,
            stay: None,
            institution: institution(at),
            package: None,
            stamp_ms: self.now_ms,
            text: "seen".into(),
        });
        self.alerts.push(alert.id);
        self.record(at, vec![Fact::AlertRaised { alert }]);
    }
}

pub(super) fn new_hub() -> Hub {
    Hub::new(HubNumber::new(11).expect("a number"), 7)
}

pub(super) fn year_of(day: Date) -> AccumulatorKey {
    AccumulatorKey { insurance_type: InsuranceType::Employee, year: day.year(), counter: Counter::Outpatient }
}

fn at_of(stay: &Stay) -> usize {
    usize::from(stay.institution == institution(1))
}

fn shown(person: PersonId) -> CredentialShown {
    let card_sn = CardSn::parse(&format!("{:032X}", person.0)).expect("32 digits");
    CredentialShown::Stripe { card: card_of(person), card_sn }
}

fn profile(person: PersonId) -> Profile {
    let day = |text| Date::parse(text).expect("a day");
    Profile {
        name: "张三".into(),
        sex: Sex::Female,
        birth_date: day("1980-05-01"),
        certificates: vec![
            Certificate::new(CertificateKind::Passport, &format!("E{:08}", person.0)).expect("written well"),
        ],
        spells: vec![Spell {
            insurance_type: InsuranceType::Employee,
            region: region(),
            category: Category::Active,
            status: SpellStatus::Normal,
            from: day("2010-01-01"),
            to: None,
        }],
        entitlements: Vec::new(),
    }
}
