//! Records with arbitrary facts, drawn from a seed.
#![expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "any bits will do")]

mod accounts;
mod alerts;
mod cards;
mod packages;
mod persons;

use std::sync::Arc;

use medsettle_core::account::{AccountKind, PayOut, PurseMove};
use medsettle_core::accumulator::{AccumulatorKey, Accumulators};
use medsettle_core::benefit::{Code, LineSplit, Split, Step};
use medsettle_core::calendar::Date;
use medsettle_core::card::{CancelCause, Channel, Chip, FailureCause, LockCause, Loss, Personalisation, ZoneKind};
use medsettle_core::catalogue::{Catalogue, CeilingOrder, Item, ItemClass};
use medsettle_core::fact::{Fact, Record};
use medsettle_core::filing::Filing;
use medsettle_core::fraud::{Reversal, Unwind, VoidedStay};
use medsettle_core::ids::{
    AlertId, CardId, CardSn, FilingId, Hash32, InstitutionCode, Pan, PersonId, RegionCode, RequestId, SettlementId,
    StayId, UnwindId, VoucherId,
};
use medsettle_core::institution::{Institution, InstitutionKind};
use medsettle_core::ledger::{LedgerAccount, Leg};
use medsettle_core::money::{Fen, MAX_AMOUNT, Quantity, UnitPrice};
use medsettle_core::pin::HashedPin;
use medsettle_core::policy::{
    AccountUse, Adjustment, AdmissionRange, AnyOf, Band, BandBasis, BandMeasure, BenefitPolicy, CapMeasure, Category,
    Counter, CrossYear, DeductibleRow, FilingAdjustment, FilingKind, Fund, InsuranceType, Layer, LayerBase, Level,
    Mode, OnCancel, OnTransfer, Scope, Unfiled, VisitKind,
};
use medsettle_core::region::Region;
use medsettle_core::settlement::{
    Adjustment as Recomputed, Cancellation, CaseFacts, CredentialShown, FamilyDraw, Occasion, Presented, Settlement,
};
use medsettle_core::stay::{AdmissionKind, ChargeLine, Stay, StayLine, StayState, Voucher};
use medsettle_core::suspension::{PlaceSuspension, Suspension};
use medsettle_core::token::TokenId;
use medsettle_core::visit::Visit;

/// How many kinds of facts there are.
pub(crate) const FACTS: usize = 52;

/// A source of values: splitmix64.
pub(crate) struct Arbitrary(u64);

impl Arbitrary {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    fn some<T>(&mut self, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| make(self)).collect()
    }

    fn id(&mut self) -> u64 {
        self.below(u64::MAX) + 1
    }

    fn signed(&mut self) -> i64 {
        self.bits().cast_signed() >> 8
    }

    fn fen(&mut self) -> Fen {
        Fen(self.signed())
    }

    fn amount(&mut self) -> Fen {
        Fen(self.below(MAX_AMOUNT.0.unsigned_abs() + 1).cast_signed())
    }

    fn number(&mut self) -> u32 {
        self.bits() as u32
    }

    fn year(&mut self) -> i32 {
        1 + self.below(9_999) as i32
    }

    fn text(&mut self) -> String {
        let drawn: String = (0..self.below(12)).map(|_| self.pick(&['a', 'Z', '0', '医', ' ', '"'])).collect();
        drawn.trim().to_owned()
    }

    fn word(&mut self) -> Box<str> {
        format!("w{}", self.text()).into()
    }

    fn hash(&mut self) -> Hash32 {
        Hash32([self.bits() as u8; 32])
    }

    fn day(&mut self) -> Date {
        let days = i64::from(Date::MIN.days()) + self.below(3_652_059) as i64;
        Date::from_days(i32::try_from(days).unwrap()).unwrap()
    }

    fn region(&mut self) -> RegionCode {
        RegionCode::parse(&(100_000 + self.below(900_000)).to_string()).unwrap()
    }

    fn institution_code(&mut self) -> InstitutionCode {
        InstitutionCode::parse(&format!("H{:011}", self.below(100_000_000_000))).unwrap()
    }

    fn request_id(&mut self) -> RequestId {
        RequestId::parse(&format!("r-{}", self.bits())).unwrap()
    }

    pub(crate) fn record(&mut self) -> Record {
        Record {
            sequence: self.bits(),
            stamp_ms: self.signed(),
            operation: self.number(),
            institution: self.institution_code(),
            actor: self.institution_code(),
            request_id: self.request_id(),
            digest: self.hash(),
            created_ms: self.signed(),
            operator: self.text().into(),
            roles: self.number(),
            refused: self.flag(),
            facts: self.some(Self::fact),
        }
    }

    fn fact(&mut self) -> Fact {
        match self.below(FACTS as u64) {
            0 => Fact::PersonEnrolled { person: PersonId(self.bits()), profile: self.profile(), home: self.region() },
            1 => Fact::PersonUpdated { person: PersonId(self.bits()), profile: self.profile() },
            2..=9 => self.fact_of_card(),
            10 => Fact::AccountCredited {
                person: PersonId(self.bits()),
                amount: self.fen(),
                period_key: self.text().into(),
                legs: self.some(Self::leg),
            },
            11 => {
                Fact::YearOpened { person: PersonId(self.bits()), key: self.key(), accumulators: self.accumulators() }
            }
            12 => Fact::FilingFiled { person: PersonId(self.bits()), filing: self.filing() },
            13 => Fact::FilingWithdrawn { person: PersonId(self.bits()), filing: FilingId(self.bits()) },
            14 => Fact::PolicyInstalled { hash: self.hash(), policy: Arc::new(self.policy()) },
            15 => Fact::CatalogueInstalled { hash: self.hash(), catalogue: Arc::new(self.catalogue()) },
            16 => Fact::RegionsInstalled { hash: self.hash(), regions: self.some(Self::region_node) },
            17 => Fact::InstitutionRegistered { institution: self.institution() },
            18 => Fact::PersonSuspended {
                person: PersonId(self.bits()),
                days: self.suspension(),
                case_number: self.text().into(),
            },
            19 => Fact::InstitutionSuspended {
                institution: self.institution_code(),
                suspension: PlaceSuspension { department: self.text().into(), days: self.suspension() },
                case_number: self.text().into(),
            },
            20 => Fact::InstitutionResumed { institution: self.institution_code(), department: self.text().into() },
            21 => Fact::AlertRulesInstalled { hash: self.hash(), rules: Arc::new(self.alert_rules()) },
            22 => Fact::AlertRaised { alert: Arc::new(self.alert()) },
            23 => Fact::AlertAcknowledged { alert: AlertId(self.bits()), note: self.text().into() },
            24 => Fact::CardLocked {
                card: CardId(self.bits()),
                cause: self.pick(&[LockCause::CounterJumped, LockCause::CounterExhausted, LockCause::WrongPins]),
            },
            25 => Fact::CryptogramWrong {
                card: CardId(self.bits()),
                institution: self.institution_code(),
                count: self.number(),
            },
            26 => Fact::VoucherIssued { stay: StayId(self.bits()), voucher: self.voucher(), cause: self.text().into() },
            27..=34 => self.fact_of_account(),
            35..=37 => self.fact_of_life(),
            38 => Fact::PinSet {
                card: CardId(self.bits()),
                hashed: HashedPin { hash: self.hash(), key_check: [self.bits() as u8; 3] },
            },
            39 => Fact::PinWrong { card: CardId(self.bits()), count: self.number() },
            40 => Fact::PinVerified { card: CardId(self.bits()) },
            _ => self.fact_of_stay(),
        }
    }

    fn account_kind(&mut self) -> AccountKind {
        self.pick(&[
            AccountKind::Insurance,
            AccountKind::Online,
            AccountKind::Offline,
            AccountKind::Purse,
            AccountKind::Bank,
        ])
    }

    fn suspension(&mut self) -> Suspension {
        Suspension { from: self.day(), to: self.maybe(Self::day) }
    }

    fn fact_of_stay(&mut self) -> Fact {
        match self.below(11) {
            0 => Fact::PatientAdmitted { stay: Arc::new(self.stay()), shown: self.shown() },
            1 => Fact::StayUpdated {
                stay: StayId(self.bits()),
                admission: self.day(),
                kind: self.admission_kind(),
                department: self.text().into(),
                diagnosis: self.text().into(),
            },
            2 => Fact::ChargesAdded { stay: StayId(self.bits()), lines: self.some(Self::line), sum: self.line_split() },
            3 => Fact::ChargesRevoked {
                stay: StayId(self.bits()),
                line_ids: self.some(Self::bits),
                sum: self.line_split(),
            },
            4 => Fact::PatientDischarged { stay: StayId(self.bits()), discharge: self.day() },
            5 => Fact::DischargeCancelled { stay: StayId(self.bits()) },
            6 => Fact::AdmissionCancelled { stay: StayId(self.bits()) },
            7 => Fact::Settled { settlement: Arc::new(self.settlement()) },
            8 => {
                let cancellation = Arc::new(self.cancellation());
                let stay = cancellation.settlement.stay().map(|_| Arc::new(self.stay()));
                Fact::SettlementCancelled { cancellation, stay }
            }
            9 => Fact::RequestReversed { request: (self.institution_code(), self.request_id()) },
            _ => Fact::ReversalRemembered { request: (self.institution_code(), self.request_id()) },
        }
    }

    fn personalisation(&mut self) -> Personalisation {
        let digits = format!("9156{:012}", self.below(1_000_000_000_000));
        Personalisation {
            pan: Pan::parse(&digits, self.below(100) as u32).unwrap(),
            card_sn: self.card_sn(),
            chip: self.maybe(|a| Chip { scheme: 1 + a.below(4) as u8, key_index: a.number() }),
        }
    }

    fn unwind(&mut self) -> Unwind {
        Unwind {
            id: UnwindId(self.id()),
            card: CardId(self.bits()),
            person: PersonId(self.bits()),
            since_ms: self.signed(),
            until_ms: self.signed(),
            excluded: self.some(|a| SettlementId(a.id())),
            excluded_stays: self.some(|a| StayId(a.id())),
            case_number: self.text().into(),
            second_approver: self.text().into(),
            reversals: self.some(Self::reversal),
            voided: self.some(|a| VoidedStay {
                stay: StayId(a.bits()),
                institution: a.institution_code(),
                admission: a.day(),
            }),
            adjustments: self.some(Self::recomputed),
            stamp_ms: self.signed(),
        }
    }

    fn reversal(&mut self) -> Reversal {
        Reversal {
            settlement: SettlementId(self.id()),
            institution: self.institution_code(),
            stay: self.maybe(|a| StayId(a.id())),
            visit_kind: self.pick(&[VisitKind::Inpatient, VisitKind::Outpatient, VisitKind::Pharmacy]),
            presented: Presented { credential: self.shown(), terminal: self.text().into() },
            total: self.fen(),
            fund: self.fen(),
            account: self.fen(),
            balance_after: self.fen(),
            family: self.some(Self::family_draw),
            deltas: self.years(),
            legs: self.some(Self::leg),
            withdrawn: self.fen(),
        }
    }

    fn recomputed(&mut self) -> Recomputed {
        Recomputed {
            settlement: SettlementId(self.bits()),
            because_of: SettlementId(self.bits()),
            fund_delta: self.fen(),
            split: self.split(),
            deltas: self.years(),
            changes: self.years(),
            legs: self.some(Self::leg),
        }
    }

    fn shown(&mut self) -> CredentialShown {
        let (card, card_sn) = (CardId(self.bits()), self.card_sn());
        match self.below(4) {
            0 => CredentialShown::Chip { card, card_sn, atc: self.bits() as u16 },
            1 => CredentialShown::Stripe { card, card_sn },
            2 => {
                let token = TokenId([self.bits() as u8; 16]);
                CredentialShown::Electronic { card, card_sn, token, expires_ms: self.signed() }
            }
            _ => CredentialShown::Voucher(VoucherId(self.id())),
        }
    }

    fn voucher(&mut self) -> Voucher {
        Voucher { id: VoucherId(self.id()), account_limit: self.fen() }
    }

    fn leg(&mut self) -> Leg {
        let account = match self.below(15) {
            0 => LedgerAccount::Fund {
                region: self.region(),
                insurance_type: self.pick(InsuranceType::ALL),
                fund: self.pick(Fund::ALL),
            },
            1 => LedgerAccount::PersonalAccounts(self.region()),
            2 => LedgerAccount::Institution(self.institution_code()),
            3 => LedgerAccount::Cash(self.institution_code()),
            4 => LedgerAccount::HospitalPart(self.institution_code()),
            5 => LedgerAccount::Contributions(self.region()),
            6 => LedgerAccount::OnlineAccounts(self.region()),
            7 => LedgerAccount::CardPurses(self.region()),
            8 => LedgerAccount::OfflinePurses(self.region()),
            9 => LedgerAccount::TopUps(self.region()),
            10 => LedgerAccount::Reimbursements(self.region()),
            11 => LedgerAccount::BankPayouts(self.region()),
            12 => LedgerAccount::PayoutsWaiting(self.region()),
            13 => LedgerAccount::Claims(self.institution_code()),
            _ => LedgerAccount::PersonSettlement(self.region()),
        };
        Leg { account, amount: self.fen() }
    }

    fn key(&mut self) -> AccumulatorKey {
        AccumulatorKey {
            insurance_type: self.pick(InsuranceType::ALL),
            year: self.year(),
            counter: self.pick(Counter::ALL),
        }
    }

    fn accumulators(&mut self) -> Accumulators {
        let mut sums = Accumulators {
            admissions: self.signed() >> 32,
            eligible: self.fen(),
            deductible: self.fen(),
            own_burden: self.fen(),
            account: self.fen(),
            ..Accumulators::default()
        };
        for fund in Fund::ALL {
            sums.funds[*fund] = self.fen();
        }
        sums
    }

    fn years(&mut self) -> Vec<(AccumulatorKey, Accumulators)> {
        self.some(|a| (a.key(), a.accumulators()))
    }

    fn admission_kind(&mut self) -> AdmissionKind {
        self.pick(&[AdmissionKind::Planned, AdmissionKind::Emergency, AdmissionKind::Transfer])
    }

    fn line_split(&mut self) -> LineSplit {
        LineSplit {
            total: self.fen(),
            own_pay: self.fen(),
            over_ceiling: self.fen(),
            first_pay: self.fen(),
            in_scope: self.fen(),
        }
    }

    fn line(&mut self) -> StayLine {
        let line = ChargeLine {
            line_id: self.bits(),
            item_code: self.text().into(),
            quantity: Quantity::from_ten_thousandths(self.signed()),
            unit_price: self.unit_price(),
            date: self.day(),
            takes_back: self.maybe(Self::id),
            own_expense: self.flag(),
            restriction_met: self.maybe(Self::flag),
            outside: self.maybe(|a| (a.institution_code(), a.text().into())),
        };
        StayLine {
            line,
            split: self.line_split(),
            class: self.class(),
            catalogue: self.hash(),
            left: Quantity::from_ten_thousandths(self.signed()),
            ordinal: self.number(),
        }
    }

    fn stay(&mut self) -> Stay {
        Stay {
            id: StayId(self.bits()),
            person: PersonId(self.bits()),
            institution: self.institution_code(),
            state: self.pick(&[StayState::Open, StayState::Discharged, StayState::Settled, StayState::Void]),
            kind: self.admission_kind(),
            admission: self.day(),
            discharge: self.maybe(Self::day),
            department: self.text().into(),
            diagnosis: self.text().into(),
            insured_region: self.region(),
            insurance_type: self.pick(InsuranceType::ALL),
            category: self.pick(Category::ALL),
            entitlements: self.some(Self::text),
            level: self.pick(Level::ALL),
            care_region: self.region(),
            lines: Arc::new(self.some(Self::line).into_iter().map(|line| (line.line.line_id, line)).collect()),
            sum: self.line_split(),
            next_ordinal: self.number(),
            settlement: self.maybe(|a| SettlementId(a.id())),
            voucher: self.maybe(Self::voucher),
            admitted_with: CardId(self.bits()),
            admitted_ms: self.signed(),
        }
    }

    fn split(&mut self) -> Split {
        let mut split = Split {
            bill: self.line_split(),
            deductible: self.fen(),
            hospital_part: self.fen(),
            person_part: self.fen(),
            account: self.fen(),
            family: self.fen(),
            cash: self.fen(),
            trace: self.some(Self::step),
            ..Split::default()
        };
        for fund in Fund::ALL {
            split.funds[*fund] = self.fen();
        }
        split
    }

    fn step(&mut self) -> Step {
        let number = self.bits() as u8;
        let fund = self.pick(Fund::ALL);
        Step {
            code: self.pick(&[
                Code::Deductible,
                Code::Band(fund, number),
                Code::OverCap(number),
                Code::OwnPay,
                Code::FirstPay,
                Code::OverCeiling,
            ]),
            year: self.year(),
            base_numerator: self.signed(),
            base_denominator: self.signed().abs().max(1),
            rate_numerator: self.signed(),
            rate_denominator: self.signed().abs().max(1),
            amount: self.fen(),
        }
    }

    fn occasion(&mut self) -> Occasion {
        if self.below(2) == 0 {
            return Occasion::Stay(StayId(self.bits()));
        }
        let (department, diagnosis) = (self.text().into(), self.text().into());
        Occasion::Visit(Arc::new(Visit { department, diagnosis, lines: self.some(Self::line) }))
    }

    fn settlement(&mut self) -> Settlement {
        Settlement {
            id: SettlementId(self.bits()),
            occasion: self.occasion(),
            person: PersonId(self.bits()),
            institution: self.institution_code(),
            case: CaseFacts {
                visit_kind: self.pick(VisitKind::ALL),
                insured_region: self.region(),
                care_region: self.region(),
                insurance_type: self.pick(InsuranceType::ALL),
                category: self.pick(Category::ALL),
                entitlements: self.some(Self::text),
                level: self.pick(Level::ALL),
                filing: self.pick(FilingKind::ALL),
                scope: self.maybe(|a| a.pick(Scope::ALL)),
                admission: self.day(),
                discharge: self.day(),
            },
            split: self.split(),
            policies: self.some(|a| (a.year(), a.hash())),
            catalogue: self.hash(),
            deltas: self.years(),
            legs: self.some(Self::leg),
            balance_after: self.fen(),
            family: self.some(Self::family_draw),
            presented: Presented { credential: self.shown(), terminal: self.text().into() },
            stamp_ms: self.signed(),
        }
    }

    fn family_draw(&mut self) -> FamilyDraw {
        FamilyDraw { payer: PersonId(self.bits()), amount: self.fen(), balance_after: self.fen() }
    }

    fn card_sn(&mut self) -> CardSn {
        CardSn::parse(&format!("{:016X}{:016X}", self.bits(), self.bits())).unwrap()
    }

    fn cancellation(&mut self) -> Cancellation {
        Cancellation {
            id: SettlementId(self.bits()),
            settlement: Arc::new(self.settlement()),
            legs: self.some(Self::leg),
            deltas: self.years(),
            balance_after: self.fen(),
            family: self.some(Self::family_draw),
            adjustments: self.some(Self::recomputed),
            stamp_ms: self.signed(),
        }
    }
}
