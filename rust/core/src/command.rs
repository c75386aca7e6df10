//! What can be asked; what is answered is `reply`.
//!
//! Invariant: a command's fields are well formed by themselves; `decide` checks them against each other and the state.

mod presentation;
mod reply;

pub use presentation::{
    ARC_APPROVED, CheckMethod, ChipPresentation, Credential, HolderCheck, Presentation, Token, Verdict,
};
pub use reply::{Admitted, CardView, Eligibility, Package, Reply};

use std::sync::Arc;

use crate::account::AccountKind;
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::alert::{AlertFilter, AlertRules};
use crate::calendar::Date;
use crate::card::{CancelCause, Channel, FailureCause, Loss, Personalisation, ZoneKind};
use crate::catalogue::Catalogue;
use crate::fraud::{ClaimFilter, UnwindScope};
use crate::ids::{
    AlertId, CardId, CardSn, FilingId, Hash32, InstitutionCode, PersonId, RegionCode, RequestId, SettlementId, StayId,
};
use crate::institution::Institution;
use crate::money::Fen;
use crate::person::{Certificate, Entitlement, Sex, Spell};
use crate::policy::{BenefitPolicy, FilingKind, VisitKind};
use crate::region::Region;
pub use crate::request::{Outcome, ReversalEffect};
use crate::statement::Range;
use crate::stay::{AdmissionKind, ChargeLine, StayState};
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
    SetPin {
        card: CardId,
    },
    VerifyPin {
        card: CardSn,
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
