//! Every way in which the rules refuse, as data.
//!
//! Invariant: a refusal changes nothing. `wire` maps each variant to its reason in the contract, exhaustively.
//! Leaves out: refusals of the edge and the engine (rights, overload, clock), which never come here.

use thiserror::Error;

use crate::account::AccountKind;
use crate::alert::AlertKind;
use crate::calendar::Date;
use crate::card::CardState;
use crate::ids::{AlertId, FilingId, Hash32, HubNumber, InstitutionCode, RegionCode, SettlementId, StayId, VoucherId};
use crate::institution::InstitutionKind;
use crate::money::Fen;
use crate::policy::VisitKind;
use crate::stay::StayState;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "each variant is documented by its text and by its reason in the contract")]
pub enum Reject {
    #[error("{field}: {problem}")]
    Malformed { field: String, problem: String },
    #[error("request id used before with another body")]
    RequestIdReused { original_sequence: u64 },
    #[error("request was reversed")]
    RequestReversed,
    #[error("request is older than the window")]
    RequestTooOld { created_ms: i64 },
    #[error("request was made in the future")]
    ClockAhead { created_ms: i64, stamp_ms: i64 },
    #[error("{what}: {size} over the limit of {limit}")]
    TooLarge { what: &'static str, limit: usize, size: usize },
    #[error("requests of this kind cannot be reversed")]
    NotReversible,
    #[error("too many reversals of unknown requests")]
    ReversalsExhausted,

    #[error("no such card")]
    CardUnknown,
    #[error("card is not enabled")]
    CardNotEnabled { state: CardState },
    #[error("card is lost")]
    CardLost { until_ms: Option<i64> },
    #[error("card is locked")]
    CardLocked,
    #[error("card is cancelled")]
    CardCancelled,
    #[error("card is of a retired generation")]
    CardRetired,
    #[error("card is of another person")]
    CardNotOfPerson,
    #[error("card was not collected")]
    CardNotCollected,
    #[error("holder was not verified at first use")]
    HolderNotVerified,
    #[error("cryptogram is wrong")]
    CryptogramInvalid,
    #[error("counter was seen before")]
    CryptogramReplayed { atc: u16 },
    #[error("counter ran out")]
    CounterRanOut,
    #[error("counter jumped")]
    CounterJump { atc: u16, highest: u16 },
    #[error("signed amount differs")]
    AmountMismatch { field: &'static str, signed: Fen, expected: Fen },
    #[error("no key is allowed for this card, index and scheme")]
    SchemeNotAllowed { key_index: u32 },
    #[error("signed date is not within a day of now")]
    PresentationStale { transaction_date: Date },
    #[error("card's state {state:?} does not allow {event}")]
    CardStateForbids { state: CardState, event: &'static str },
    #[error("card exists: {field}")]
    CardExists { field: &'static str },
    #[error("PIN is wrong")]
    PinWrong { tries_left: u32 },
    #[error("card has no PIN")]
    PinNotSet,
    #[error("the key for PINs is not there")]
    PinKeyMissing,
    #[error("credential is not accepted")]
    CredentialNotAccepted,
    #[error("counter has run out, so the card is never unlocked")]
    CounterExhausted,
    #[error("generation is over since {cut_over}")]
    GenerationRetired { cut_over: Date },
    #[error("too many wrong cryptograms here")]
    CardBlockedHere { until_ms: i64 },
    #[error("token is not right")]
    TokenInvalid,
    #[error("token is not valid now")]
    TokenExpired { expires_ms: i64 },
    #[error("token was used")]
    TokenUsed,
    #[error("voucher is not of this stay")]
    VoucherUnknown(VoucherId),
    #[error("voucher does not allow so much")]
    VoucherLimitExceeded { limit: Fen, requested: Fen },
    #[error("card without a chip is away from home")]
    CardHomeRegionOnly,

    #[error("no such stay")]
    StayUnknown(StayId),
    #[error("stay is {state:?}")]
    StayNotOpen { stay: StayId, state: StayState },
    #[error("quote is stale")]
    QuoteStale,
    #[error("settlement was cancelled")]
    AlreadyCancelled { settlement: SettlementId, cancellation: SettlementId },
    #[error("stay overlaps another")]
    StayOverlaps { other: StayId, institution: InstitutionCode },
    #[error("a later settlement stands")]
    LaterSettlementExists { later: SettlementId },
    #[error("totals differ")]
    TotalMismatch { institution: Fen, hub: Fen },
    #[error("stay is settled")]
    AlreadySettled { stay: StayId, settlement: SettlementId },
    #[error("stay is not discharged")]
    StayNotDischarged(StayId),
    #[error("line id in use")]
    LineDuplicate { lines: Vec<u64> },
    #[error("refund exceeds what is left")]
    RefundExceeds { lines: Vec<u64> },
    #[error("item is not in the catalogue")]
    ItemUnknown { lines: Vec<u64> },
    #[error("line's amount is not quantity times price")]
    LineTotalMismatch { lines: Vec<u64> },
    #[error("nothing stands that could be unwound")]
    NothingToUnwind,
    #[error("more settlements than the limit of {limit}")]
    UnwindTooLarge { limit: usize },
    #[error("no such settlement")]
    SettlementUnknown(SettlementId),
    #[error("{field}: {problem}")]
    StayDatesWrong { field: String, problem: &'static str },
    #[error("no such line in the stay")]
    LineUnknown { lines: Vec<u64> },
    #[error("stay has too many lines")]
    StayTooLong,
    #[error("stay has no charges")]
    StayEmpty(StayId),
    #[error("line is taken back by another")]
    LineTakenBack { lines: Vec<u64> },
    #[error("alert rule {kind:?} refuses")]
    AlertRuleRefuses { kind: AlertKind },
    #[error("no such alert")]
    AlertUnknown(AlertId),
    #[error("alert was acknowledged")]
    AlertAcknowledged(AlertId),

    #[error("balance is insufficient")]
    BalanceInsufficient { requested: Fen, available: Fen },
    #[error("account holds less than the purchase")]
    PurchaseExceeds { requested: Fen, available: Fen },
    #[error("no policy in force")]
    PolicyNotInForce { region: RegionCode, day: Date },
    #[error("no catalogue in force")]
    CatalogueNotInForce { region: RegionCode, day: Date },
    #[error("no rule: {what}")]
    NoRule { what: String },
    #[error("package has {} faults", problems.len())]
    PackageInvalid { problems: Vec<(String, String)> },
    #[error("package conflicts")]
    PackageConflicts { with: Hash32 },
    #[error("period was credited")]
    PeriodCredited,
    #[error("year has accumulators")]
    YearOpened { year: i32 },
    #[error("{field}: amount too large")]
    AmountTooLarge { field: String },
    #[error("account use is forbidden")]
    AccountUseForbidden,

    #[error("claim was paid or waits")]
    ClaimPaid { claim_number: Box<str> },
    #[error("account is not offered")]
    AccountNotOffered(AccountKind),

    #[error("no such person")]
    PersonUnknown,
    #[error("filing is missing")]
    FilingMissing,
    #[error("institution is not networked")]
    InstitutionNotNetworked,
    #[error("not home of region")]
    NotHomeOfRegion(RegionCode),
    #[error("networked settlement of the person is suspended")]
    PersonSuspended { until: Option<Date> },
    #[error("institution or department is suspended")]
    InstitutionSuspended { until: Option<Date> },
    #[error("nothing is suspended")]
    NotSuspended,
    #[error("not insured")]
    NotInsured { day: Date },
    #[error("no such institution")]
    InstitutionUnknown(InstitutionCode),
    #[error("no such region")]
    RegionUnknown(RegionCode),
    #[error("certificate names another person")]
    CertificateInUse,
    #[error("no such filing")]
    FilingUnknown(FilingId),
    #[error("filing conflicts")]
    FilingConflicts { with: FilingId },
    #[error("a {institution:?} does not give {visit} care")]
    VisitNotOffered { institution: InstitutionKind, visit: VisitKind },
    #[error("region is in use")]
    RegionInUse(RegionCode),
    #[error("person is of another hub")]
    PersonOfOtherHub { hub: HubNumber },
    #[error("family link exists")]
    FamilyLinkExists,
    #[error("no such family link")]
    FamilyLinkUnknown,
    #[error("too many family links")]
    FamilyLinksFull,

    #[error("role does not allow the method")]
    RoleForbidden,
    #[error("not the caller's institution")]
    NotYourInstitution(InstitutionCode),
    #[error("an identity did not hold: {0}")]
    Identity(&'static str),
}

impl Reject {
    /// A fault of one field.
    pub fn malformed(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { field: field.into(), problem: problem.into() }
    }
}
