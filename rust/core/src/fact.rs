//! What was decided: facts in the past tense, and the record that carries them into the journal.
//!
//! Invariant: a record is applied whole or not at all; facts hold everything that `apply` needs, so a later change of a rule never
//! rewrites history.
//! Invariant: a record with a request binds that request's id.

use std::sync::Arc;

use crate::account::{AccountKind, PayOut, PurseMove};
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::alert::{Alert, AlertRules};
use crate::benefit::LineSplit;
use crate::calendar::Date;
use crate::card::{CancelCause, Channel, FailureCause, LockCause, Loss, Personalisation, ZoneKind};
use crate::catalogue::Catalogue;
use crate::filing::Filing;
use crate::fraud::Unwind;
use crate::ids::{AlertId, CardId, FilingId, Hash32, InstitutionCode, PersonId, RegionCode, RequestId, StayId};
use crate::institution::Institution;
use crate::ledger::Leg;
use crate::money::Fen;
use crate::person::Profile;
use crate::pin::HashedPin;
use crate::policy::BenefitPolicy;
use crate::region::Region;
use crate::request::RequestKey;
use crate::settlement::{Cancellation, CredentialShown, Settlement};
use crate::stay::{AdmissionKind, Stay, StayLine, Voucher};
use crate::suspension::{PlaceSuspension, Suspension};

/// One decision that left facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the hub's history; ids of what it creates come from it.
    pub sequence: u64,
    /// Time of the frame.
    pub stamp_ms: i64,
    /// Contract number of the operation.
    pub operation: u32,
    /// The institution that asked.
    pub institution: InstitutionCode,
    /// Whose certificate it was: the same institution, or the hub that forwarded the request.
    pub actor: InstitutionCode,
    /// Its name of the request.
    pub request_id: RequestId,
    /// Digest of the request's canonical form.
    pub digest: Hash32,
    /// When the institution made the request.
    pub created_ms: i64,
    /// Clerk or device.
    pub operator: Box<str>,
    /// Roles of the caller, as a bit set of the contract's role numbers.
    pub roles: u32,
    /// The request was refused; the facts are what the refusal leaves behind.
    pub refused: bool,
    /// What was decided, in order.
    pub facts: Vec<Fact>,
}

impl Record {
    /// Full name of the request.
    pub fn request_key(&self) -> RequestKey {
        (self.institution, self.request_id.clone())
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A person was enrolled; the ledger of `home` holds the account.
    PersonEnrolled {
        /// New id.
        person: PersonId,
        /// What documents say.
        profile: Arc<Profile>,
        /// Region of the account.
        home: RegionCode,
    },
    /// A person's documents changed.
    PersonUpdated {
        /// Who.
        person: PersonId,
        /// What documents say now.
        profile: Arc<Profile>,
    },
    /// A card was asked for.
    CardApplied {
        /// New id.
        card: CardId,
        /// Holder.
        person: PersonId,
        /// Issuing region.
        region: RegionCode,
        /// Generation.
        generation: Box<str>,
        /// The card to be replaced.
        predecessor: Option<CardId>,
    },
    /// An application failed.
    CardApplicationFailed {
        /// The card.
        card: CardId,
        /// Why.
        cause: FailureCause,
    },
    /// A card was made.
    CardMade {
        /// The card.
        card: CardId,
        /// What is on it.
        made: Personalisation,
        /// What the purse under it begins with.
        purse: Fen,
        /// In the books.
        legs: Vec<Leg>,
    },
    /// A card was collected.
    CardHandedOver {
        /// The card.
        card: CardId,
        /// Who took it.
        collected_by: Box<str>,
    },
    /// A zone came into use; for the insurance zone the predecessor ends and its money moves in the same fact.
    CardEnabled {
        /// The card.
        card: CardId,
        /// The zone.
        zone: ZoneKind,
        /// The card that ended.
        cancelled: Option<CardId>,
        /// By first use at an institution.
        by_first_use: bool,
        /// What older cards held.
        moves: Vec<PurseMove>,
        /// In the books.
        legs: Vec<Leg>,
    },
    /// Zones were reported lost.
    CardReportedLost {
        /// The card.
        card: CardId,
        /// Which zones.
        zones: Vec<ZoneKind>,
        /// Kind of loss.
        loss: Loss,
        /// End of a temporary loss.
        until_ms: Option<i64>,
        /// How it was reported.
        channel: Channel,
        /// Who verified the caller.
        verified_by: Box<str>,
    },
    /// A temporary loss was withdrawn.
    CardLossWithdrawn {
        /// The card.
        card: CardId,
        /// Which zones.
        zones: Vec<ZoneKind>,
        /// Who verified the caller.
        verified_by: Box<str>,
    },
    /// The insurance zone of a card was locked.
    CardLocked {
        /// The card.
        card: CardId,
        /// Why.
        cause: LockCause,
    },
    /// A card was shown with a wrong cryptogram.
    CryptogramWrong {
        /// The card.
        card: CardId,
        /// Where.
        institution: InstitutionCode,
        /// How many there were at that institution, this one included.
        count: u32,
    },
    /// A desk set the PIN of a card.
    PinSet {
        /// The card.
        card: CardId,
        /// Under the key.
        hashed: HashedPin,
    },
    /// A PIN was wrong.
    PinWrong {
        /// The card.
        card: CardId,
        /// How many there were in a row, this one included.
        count: u32,
    },
    /// A PIN was right, so every try is given back.
    PinVerified {
        /// The card.
        card: CardId,
    },
    /// A desk unlocked a zone.
    CardUnlocked {
        /// The card.
        card: CardId,
        /// The zone.
        zone: ZoneKind,
        /// The counter that the card showed at the desk, from which it goes on.
        atc: Option<u16>,
    },
    /// A card was cancelled at a desk or with its insured region: every zone that is not dead. A formal loss never ends.
    CardCancelled {
        /// The card.
        card: CardId,
        /// Which zones.
        zones: Vec<ZoneKind>,
        /// Why.
        cause: CancelCause,
    },
    /// A generation of cards ends.
    GenerationRetired {
        /// Where, with all that lies below.
        region: RegionCode,
        /// Which.
        generation: Box<str>,
        /// First day on which it no longer works.
        cut_over: Date,
    },
    /// A person is insured in another region; cards that end with it are facts of their own in the same record.
    PersonTransferred {
        /// Who.
        person: PersonId,
        /// What documents say now.
        profile: Arc<Profile>,
        /// Region of the account now.
        home: RegionCode,
        /// Years in which the new region begins to count anew.
        anew: Vec<AccumulatorKey>,
        /// The balance goes along, in the books.
        legs: Vec<Leg>,
    },
    /// Money came into a personal account.
    AccountCredited {
        /// Whose.
        person: PersonId,
        /// How much.
        amount: Fen,
        /// For which period.
        period_key: Box<str>,
        /// In the books.
        legs: Vec<Leg>,
    },
    /// A holder paid in.
    ToppedUp {
        /// Whose.
        person: PersonId,
        /// With which card.
        card: CardId,
        /// `Online` or `Offline`.
        account: AccountKind,
        /// How much.
        amount: Fen,
        /// What the account holds afterwards.
        balance_after: Fen,
        /// In the books.
        legs: Vec<Leg>,
    },
    /// An institution was paid from an account other than the insurance account.
    Purchased {
        /// Whose.
        person: PersonId,
        /// With which card.
        card: CardId,
        /// `Online` or `Offline`.
        account: AccountKind,
        /// How much.
        amount: Fen,
        /// What the account holds afterwards.
        balance_after: Fen,
        /// The terminal.
        terminal: Box<str>,
        /// In the books.
        legs: Vec<Leg>,
    },
    /// A person is paid: for care that was paid in cash, or what a recomputation gives.
    PayOutMade {
        /// Whose.
        person: PersonId,
        /// What, and whether it waits.
        pay_out: PayOut,
        /// To whose bank zone; none where it waits.
        card: Option<CardId>,
        /// In the books.
        legs: Vec<Leg>,
    },
    /// A pay-out that waited was paid.
    PayOutReleased {
        /// Whose.
        person: PersonId,
        /// Which.
        claim_number: Box<str>,
        /// To whose bank zone.
        card: CardId,
        /// In the books.
        legs: Vec<Leg>,
    },
    /// A pay-out that waited is not paid: the recomputed settlement that gave it is taken back itself.
    PayOutWithdrawn {
        /// Whose.
        person: PersonId,
        /// Which.
        claim_number: Box<str>,
        /// In the books.
        legs: Vec<Leg>,
    },
    /// An account may pay for another person.
    FamilyLinked {
        /// Whose bills.
        person: PersonId,
        /// Whose account.
        payer: PersonId,
    },
    /// An account pays no later bills of another person.
    FamilyUnlinked {
        /// Whose bills.
        person: PersonId,
        /// Whose account.
        payer: PersonId,
    },
    /// A running year was imported.
    YearOpened {
        /// Whose.
        person: PersonId,
        /// Which.
        key: AccumulatorKey,
        /// What was used before.
        accumulators: Accumulators,
    },
    /// A filing was made.
    FilingFiled {
        /// Whose.
        person: PersonId,
        /// The filing.
        filing: Filing,
    },
    /// A filing was withdrawn.
    FilingWithdrawn {
        /// Whose.
        person: PersonId,
        /// Which.
        filing: FilingId,
    },
    /// A policy package was installed.
    PolicyInstalled {
        /// Its hash.
        hash: Hash32,
        /// The package.
        policy: Arc<BenefitPolicy>,
    },
    /// A catalogue was installed.
    CatalogueInstalled {
        /// Its hash.
        hash: Hash32,
        /// The package.
        catalogue: Arc<Catalogue>,
    },
    /// The tree of regions was installed.
    RegionsInstalled {
        /// Its hash.
        hash: Hash32,
        /// The whole tree.
        regions: Vec<Region>,
    },
    /// Alert rules were installed.
    AlertRulesInstalled {
        /// Their hash.
        hash: Hash32,
        /// The package.
        rules: Arc<AlertRules>,
    },
    /// Something looked like fraud and was not refused.
    AlertRaised {
        /// What, where and about whom.
        alert: Arc<Alert>,
    },
    /// The operator of the record looked at an alert.
    AlertAcknowledged {
        /// Which.
        alert: AlertId,
        /// What they found.
        note: Box<str>,
    },
    /// An institution was registered, or its registration replaced.
    InstitutionRegistered {
        /// The institution.
        institution: Institution,
    },
    /// A person may begin nothing new on these days.
    PersonSuspended {
        /// Who.
        person: PersonId,
        /// When; it takes the place of any before.
        days: Suspension,
        /// Why.
        case_number: Box<str>,
    },
    /// An institution or a department may begin nothing new on these days.
    InstitutionSuspended {
        /// The institution.
        institution: InstitutionCode,
        /// What of it and when; it takes the place of any of the same department.
        suspension: PlaceSuspension,
        /// Why.
        case_number: Box<str>,
    },
    /// A suspension was lifted.
    InstitutionResumed {
        /// The institution.
        institution: InstitutionCode,
        /// The department; empty is the whole institution.
        department: Box<str>,
    },
    /// A patient was admitted.
    PatientAdmitted {
        /// The stay as it begins.
        stay: Arc<Stay>,
        /// What was shown.
        shown: CredentialShown,
    },
    /// A desk let a stay be settled without a card.
    VoucherIssued {
        /// Which stay.
        stay: StayId,
        /// It takes the place of any before.
        voucher: Voucher,
        /// Why.
        cause: Box<str>,
    },
    /// What is known of a stay changed.
    StayUpdated {
        /// Which.
        stay: StayId,
        /// Day of admission.
        admission: Date,
        /// Kind.
        kind: AdmissionKind,
        /// Department.
        department: Box<str>,
        /// Diagnosis.
        diagnosis: Box<str>,
    },
    /// Charge lines were added.
    ChargesAdded {
        /// To which stay.
        stay: StayId,
        /// In the order of the request.
        lines: Vec<StayLine>,
        /// Sum of the stay afterwards.
        sum: LineSplit,
    },
    /// Charge lines were revoked.
    ChargesRevoked {
        /// From which stay.
        stay: StayId,
        /// Which, in the order in which they are taken off.
        line_ids: Vec<u64>,
        /// Sum of the stay afterwards.
        sum: LineSplit,
    },
    /// A patient was discharged.
    PatientDischarged {
        /// From which stay.
        stay: StayId,
        /// Day.
        discharge: Date,
    },
    /// A discharge was cancelled.
    DischargeCancelled {
        /// Of which stay.
        stay: StayId,
    },
    /// An admission was cancelled, its charges void.
    AdmissionCancelled {
        /// Which stay.
        stay: StayId,
    },
    /// A stay or a visit was settled.
    Settled {
        /// The settlement.
        settlement: Arc<Settlement>,
    },
    /// A settlement was negated; its stay waits to be settled again.
    SettlementCancelled {
        /// The negation.
        cancellation: Arc<Cancellation>,
        /// The stay as it was before it was settled; a visit is over.
        stay: Option<Arc<Stay>>,
    },
    /// Everything settled with a card in a period was taken back.
    Unwound {
        /// What was taken back, and what became of the holder's own settlements.
        unwind: Arc<Unwind>,
    },
    /// A request was undone by a reversal.
    RequestReversed {
        /// Which.
        request: RequestKey,
    },
    /// A request that had not arrived was reversed; it will be refused.
    ReversalRemembered {
        /// Which.
        request: RequestKey,
    },
}
