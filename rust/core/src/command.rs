//! What can be asked, and what is answered.
//!
//! Invariant: a command's fields are well formed by themselves; `decide` checks them against each other and the state.

mod presentation;

pub use presentation::{
    ARC_APPROVED, CheckMethod, ChipPresentation, Credential, HolderCheck, PinVerdict, Presentation, Token, Verdict,
};

use std::sync::Arc;

use crate::account::AccountKind;
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::alert::{AlertFilter, AlertRules, AlertView};
use crate::benefit::{LineSplit, Split};
use crate::calendar::Date;
use crate::card::{CancelCause, CardState, Channel, FailureCause, Loss, Moment, Personalisation, ZoneKind};
use crate::catalogue::Catalogue;
use crate::filing::Filing;
use crate::fraud::{Claim, ClaimFilter, Unwind, UnwindScope};
use crate::ids::{
    AlertId, CardId, CardSn, FilingId, Hash32, InstitutionCode, PersonId, RegionCode, RequestId, SettlementId, StayId,
    VoucherId,
};
use crate::institution::Institution;
use crate::ledger::LedgerAccount;
use crate::money::Fen;
use crate::person::{Certificate, Entitlement, Person, Sex, Spell};
use crate::policy::{BenefitPolicy, Category, FilingKind, Fund, InsuranceType, VisitKind};
use crate::records::{DayRow, DayTotals};
use crate::region::Region;
use crate::request::RequestKey;
pub use crate::request::{Outcome, ReversalEffect};
use crate::settlement::{Cancellation, Settlement, Standing};
use crate::statement::{Entry, Range};
use crate::stay::{AdmissionKind, ChargeLine, Stay, StayLine, StayState};
use crate::suspension::{PlaceSuspension, Suspension};
use crate::visit::{QuoteVisit, SettleVisit};

/// Names a mutating request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The institution's name of it.
    pub request_id: RequestId,
    /// When it was made.
    pub created_ms: i64,
    /// Who asks.
    pub institution: InstitutionCode,
    /// Clerk or device.
    pub operator: Box<str>,
}

/// Something asked of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Changes state; bound to its request id. Boxed: a queue of requests stays small.
    Command(RequestHeader, Box<Command>),
    /// Changes nothing.
    Query(Query),
}

/// How to find a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardKey {
    /// By the hub's id.
    Id(CardId),
    /// By recognition code.
    Sn(CardSn),
}

/// How to find a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonKey {
    /// By the hub's id.
    Id(PersonId),
    /// By document.
    Certificate(Certificate),
}

/// Which card or cards a loss report hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LossSubject {
    /// One card.
    Card(CardKey),
    /// Every live card of the person.
    Certificate(Certificate),
}

/// Something that changes state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named and documented in the contract")]
pub enum Command {
    EnrollPerson {
        name: Box<str>,
        sex: Sex,
        birth_date: Date,
        certificates: Vec<Certificate>,
        spells: Vec<Spell>,
        entitlements: Vec<Entitlement>,
    },
    UpdatePerson {
        person: PersonId,
        name: Option<Box<str>>,
        certificates: Vec<Certificate>,
        spells: Vec<Spell>,
        entitlements: Option<Vec<Entitlement>>,
    },
    TransferRegion {
        person: PersonId,
        spell: Spell,
    },
    ApplyForCard {
        person: PersonId,
        predecessor: Option<CardId>,
        generation: Box<str>,
    },
    FailApplication {
        card: CardId,
        cause: FailureCause,
    },
    MarkCardMade {
        card: CardId,
        made: Personalisation,
        purse: Fen,
    },
    HandOverCard {
        card: CardId,
        collected_by: Box<str>,
    },
    EnableCard {
        card: CardId,
        zone: ZoneKind,
    },
    ReportLoss {
        subject: LossSubject,
        loss: Loss,
        zones: Vec<ZoneKind>,
        channel: Channel,
        verified_by: Box<str>,
        /// Whom the caller was verified as, where that was asked.
        holder: Option<Certificate>,
    },
    WithdrawLoss {
        card: CardId,
        zones: Vec<ZoneKind>,
        verified_by: Box<str>,
    },
    /// The new card takes the place of one that is formally lost, on the spot.
    ReplaceCard {
        lost: CardId,
        made: Personalisation,
        generation: Box<str>,
        enable: bool,
    },
    UnlockCard {
        card: CardId,
        zone: ZoneKind,
        presentation: Option<Presentation>,
    },
    CancelCard {
        card: CardId,
        cause: CancelCause,
    },
    RetireGeneration {
        region: RegionCode,
        generation: Box<str>,
        cut_over: Date,
    },
    AuthorizeStay {
        stay: StayId,
        account_limit: Fen,
        cause: Box<str>,
    },
    CreditAccount {
        person: PersonId,
        amount: Fen,
        period_key: Box<str>,
    },
    OpenYear {
        person: PersonId,
        key: AccumulatorKey,
        accumulators: Accumulators,
    },
    TopUp {
        card: CardId,
        account: AccountKind,
        amount: Fen,
    },
    Purchase {
        card: CardSn,
        account: AccountKind,
        amount: Fen,
        terminal: Box<str>,
    },
    PayOut {
        person: PersonId,
        amount: Fen,
        claim_number: Box<str>,
    },
    LinkFamily {
        person: PersonId,
        payer: PersonId,
    },
    UnlinkFamily {
        person: PersonId,
        payer: PersonId,
    },
    File {
        person: PersonId,
        kind: FilingKind,
        destination: RegionCode,
        valid_from: Date,
        valid_to: Option<Date>,
    },
    WithdrawFiling {
        person: PersonId,
        filing: FilingId,
    },
    InstallPolicy {
        hash: Hash32,
        policy: Arc<BenefitPolicy>,
    },
    InstallCatalogue {
        hash: Hash32,
        catalogue: Arc<Catalogue>,
    },
    InstallRegions {
        hash: Hash32,
        regions: Vec<Region>,
    },
    InstallAlertRules {
        hash: Hash32,
        rules: Arc<AlertRules>,
    },
    RegisterInstitution {
        institution: Institution,
    },
    SuspendPerson {
        person: PersonId,
        days: Suspension,
        case_number: Box<str>,
    },
    SuspendInstitution {
        institution: InstitutionCode,
        suspension: PlaceSuspension,
        case_number: Box<str>,
    },
    /// Of the whole institution where the department is empty.
    ResumeInstitution {
        institution: InstitutionCode,
        department: Box<str>,
    },
    Admit {
        presentation: Presentation,
        holder_check: HolderCheck,
        admission: Date,
        kind: AdmissionKind,
        department: Box<str>,
        diagnosis: Box<str>,
    },
    UpdateStay {
        stay: StayId,
        admission: Option<Date>,
        kind: Option<AdmissionKind>,
        department: Option<Box<str>>,
        diagnosis: Option<Box<str>>,
    },
    /// Each line with the institution's own total, where it gave one.
    AddCharges {
        stay: StayId,
        lines: Vec<(ChargeLine, Option<Fen>)>,
    },
    RevokeCharges {
        stay: StayId,
        line_ids: Vec<u64>,
    },
    Discharge {
        stay: StayId,
        discharge: Date,
    },
    CancelDischarge {
        stay: StayId,
    },
    CancelAdmission {
        stay: StayId,
    },
    SettleStay {
        stay: StayId,
        total: Fen,
        account_request: Fen,
        use_family: bool,
        quote: Option<Hash32>,
        presentation: Presentation,
        holder_check: HolderCheck,
    },
    CancelSettlement {
        settlement: SettlementId,
    },
    SettleVisit(SettleVisit),
    CancelVisit(SettlementId),
    AcknowledgeAlert {
        alert: AlertId,
        note: Box<str>,
    },
    Reverse {
        request_id: RequestId,
    },
    Unwind(UnwindRequest),
}

/// Asks for what a thief settled to be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwindRequest {
    /// What was the thief's.
    pub scope: UnwindScope,
    /// The agency's case.
    pub case_number: Box<str>,
    /// Another person than the operator.
    pub second_approver: Box<str>,
    /// The preview that both approved.
    pub preview: Option<Hash32>,
}

/// Where a page starts and how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows.
    pub size: usize,
    /// Id of the last row of the page before.
    pub after: Option<u64>,
}

/// Something that only reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named and documented in the contract")]
pub enum Query {
    GetPerson(PersonKey),
    CheckEligibility {
        card: Option<CardSn>,
        certificate: Option<Certificate>,
        visit_kind: VisitKind,
        day: Option<Date>,
    },
    GetCard(CardKey),
    ListCards {
        person: PersonId,
        page: Page,
    },
    /// Of a region and what lies below it, or of all; of one generation, or of all.
    CountCards {
        region: Option<RegionCode>,
        generation: Option<Box<str>>,
    },
    GetAccount {
        person: PersonId,
    },
    GetAccumulators {
        person: PersonId,
        year: Option<i32>,
    },
    /// One page of a statement.
    Statement {
        person: PersonId,
        range: Range,
    },
    ListFilings {
        person: PersonId,
        page: Page,
    },
    GetPackage {
        hash: Hash32,
    },
    ListPackages {
        region: Option<RegionCode>,
        page: Page,
    },
    GetInstitution(InstitutionCode),
    Quote {
        stay: StayId,
        account_request: Fen,
        use_family: bool,
    },
    QuoteVisit(Box<QuoteVisit>),
    GetStay(StayId),
    GetSettlement(SettlementId),
    ListStays {
        person: Option<PersonId>,
        institution: Option<InstitutionCode>,
        state: Option<StayState>,
        page: Page,
    },
    ListSettlements {
        day: Date,
        institution: Option<InstitutionCode>,
        page: Page,
    },
    Explain(SettlementId),
    ListAlerts {
        of: AlertFilter,
        with_acknowledged: bool,
        page: Page,
    },
    GetOutcome {
        request_id: RequestId,
    },
    PreviewUnwind(Box<UnwindScope>),
    ListClaims {
        filter: ClaimFilter,
        page: Page,
    },
    TrialBalance,
}

/// What an admission found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// New id.
    pub stay: StayId,
    /// The patient.
    pub person: PersonId,
    /// For the clerk to compare.
    pub masked_name: String,
    /// Fixed for the stay.
    pub insured_region: RegionCode,
    /// Fixed for the stay.
    pub insurance_type: InsuranceType,
    /// Fixed for the stay.
    pub category: Category,
    /// What applies on the day; none matters only at settlement.
    pub filing: Option<Filing>,
    /// For the chip, where one was shown.
    pub arpc: Option<[u8; 8]>,
    /// What soft rules saw.
    pub alerts: Vec<AlertId>,
}

/// What a person may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named and documented in the contract")]
pub struct Eligibility {
    pub person: PersonId,
    pub masked_name: String,
    pub insured_region: Option<RegionCode>,
    pub insurance_type: Option<InsuranceType>,
    pub category: Option<Category>,
    pub card: Option<CardView>,
    pub filing: Option<Filing>,
    pub balance: Fen,
    pub remaining: Vec<(Fund, Option<Fen>)>,
    pub open_stay: Option<StayId>,
    /// Names of refusals, most important first.
    pub blocks: Vec<crate::reject::Reject>,
}

/// A card with the moment at which it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardView {
    /// The card.
    pub card: crate::card::Card,
    /// Decides which temporary losses still hold, and whether its generation is over.
    pub at: Moment,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Package {
    /// A benefit policy.
    Policy(Hash32, Arc<BenefitPolicy>),
    /// A catalogue.
    Catalogue(Hash32, Arc<Catalogue>),
    /// Alert rules.
    AlertRules(Hash32, Arc<AlertRules>),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named and documented in the contract")]
pub enum Reply {
    PersonEnrolled(PersonId),
    Person(Box<Person>),
    Eligibility(Box<Eligibility>),
    CardApplied(CardId),
    CardEnabled {
        cancelled: Option<CardId>,
    },
    LossReported(Vec<CardView>),
    VoucherIssued(VoucherId),
    Card(Box<CardView>),
    Cards {
        cards: Vec<CardView>,
        next: Option<u64>,
    },
    CardCounts {
        counts: Vec<(CardState, u64)>,
        insured: u64,
    },
    Balance(Fen),
    PaidOut {
        waiting: bool,
    },
    Accounts {
        /// Purses with their cards.
        accounts: Vec<(AccountKind, Option<CardId>, Fen)>,
        payers: Vec<PersonId>,
    },
    Accumulators {
        person: PersonId,
        years: Vec<(AccumulatorKey, Accumulators)>,
    },
    Statement {
        entries: Vec<Entry>,
        /// The sequence after which the next page begins.
        next: Option<u64>,
    },
    FilingFiled(FilingId),
    Filings {
        person: PersonId,
        filings: Vec<Filing>,
        next: Option<u64>,
    },
    PackageInstalled(Hash32),
    Package(Package),
    Packages {
        packages: Vec<Package>,
        regions: Vec<Region>,
        next: Option<u64>,
    },
    Institution(Institution),
    /// For operations whose response is a header alone.
    Done,
    Admitted(Admitted),
    /// A stay that is open.
    Stay(Arc<Stay>),
    ChargesAdded {
        lines: Vec<StayLine>,
        sum: LineSplit,
    },
    ChargesRevoked {
        count: usize,
        sum: LineSplit,
    },
    Discharged {
        sum: LineSplit,
    },
    Quoted {
        split: Box<Split>,
        /// Of a visit; a stay has shown its own.
        lines: Vec<StayLine>,
        policy: Hash32,
        catalogue: Hash32,
        digest: Hash32,
        clipped: bool,
        filing: FilingKind,
    },
    Settled {
        settlement: Arc<Settlement>,
        years: Vec<(AccumulatorKey, Accumulators)>,
        arpc: Option<[u8; 8]>,
        /// What soft rules saw.
        alerts: Vec<AlertId>,
    },
    Cancelled {
        cancellation: Arc<Cancellation>,
        years: Vec<(AccumulatorKey, Accumulators)>,
    },
    Settlement(Box<Standing>),
    Stays {
        stays: Vec<Arc<Stay>>,
        next: Option<u64>,
    },
    Settlements {
        rows: Vec<DayRow>,
        totals: DayTotals,
        next: Option<u64>,
    },
    Explained {
        standing: Box<Standing>,
        text: Vec<String>,
    },
    Alerts {
        alerts: Vec<AlertView>,
        next: Option<u64>,
    },
    Outcome {
        request: RequestKey,
        outcome: Outcome,
    },
    Reversed(ReversalEffect),
    UnwindPreviewed {
        unwind: Arc<Unwind>,
        years: Vec<(AccumulatorKey, Accumulators)>,
        digest: Hash32,
    },
    Unwound {
        unwind: Arc<Unwind>,
        years: Vec<(AccumulatorKey, Accumulators)>,
    },
    Claims {
        claims: Vec<Claim>,
        next: Option<u64>,
    },
    TrialBalance {
        balances: Vec<(LedgerAccount, i128)>,
        sum: i128,
        personal: i128,
    },
}
