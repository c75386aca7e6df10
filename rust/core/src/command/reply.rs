//! What is answered.
//!
//! Invariant: a reply is made of ideas of the rules, as they stand after its facts; how it is written is the business of the edge.

use std::sync::Arc;

use crate::account::AccountKind;
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::alert::{AlertRules, AlertView};
use crate::benefit::{LineSplit, Split};
use crate::card::{CardState, Moment};
use crate::catalogue::Catalogue;
use crate::filing::Filing;
use crate::fraud::{Claim, Unwind};
use crate::ids::{AlertId, CardId, FilingId, Hash32, PersonId, RegionCode, StayId, VoucherId};
use crate::institution::Institution;
use crate::ledger::LedgerAccount;
use crate::money::Fen;
use crate::person::Person;
use crate::policy::{BenefitPolicy, Category, FilingKind, Fund, InsuranceType};
use crate::records::{DayRow, DayTotals};
use crate::region::Region;
use crate::request::{Outcome, RequestKey, ReversalEffect};
use crate::settlement::{Cancellation, Settlement, Standing};
use crate::statement::Entry;
use crate::stay::{Stay, StayLine};

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
