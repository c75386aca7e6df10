//! One visit to an outpatient department or a pharmacy: billed and settled in one step.
//!
//! Invariant: a visit is one day; all its lines are of that day, and none takes another back.
//! Leaves out: an id of its own. A visit is named by its settlement, with which it begins and ends.

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::command::{HolderCheck, Presentation};
use crate::ids::{CardSn, Hash32};
use crate::money::Fen;
use crate::person::Certificate;
use crate::policy::VisitKind;
use crate::stay::{ChargeLine, StayLine};

/// What a settlement keeps of a visit beside its case: enough to bill it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Department, or counter.
    pub department: Box<str>,
    /// Diagnosis.
    pub diagnosis: Box<str>,
    /// In the order of the request.
    pub lines: Vec<StayLine>,
}

/// A visit as the institution bills it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitBill {
    /// Which kind of package applies; a stay is no visit.
    pub kind: VisitKind,
    /// Day of the visit.
    pub day: Date,
    /// Department, or counter.
    pub department: Box<str>,
    /// Each line with the institution's own total, where it gave one.
    pub lines: Vec<(ChargeLine, Option<Fen>)>,
    /// What shall be drawn from accounts.
    pub account_request: Fen,
    /// Whether the family account may be used after the own one.
    pub use_family: bool,
}

/// Who comes, where no card is presented yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VisitHolder {
    /// By the card's recognition code.
    Card(CardSn),
    /// By document.
    Certificate(Certificate),
}

/// Asks what a visit would cost whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteVisit {
    /// Who comes.
    pub holder: VisitHolder,
    /// The bill.
    pub bill: VisitBill,
}

/// Settles a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleVisit {
    /// The bill.
    pub bill: VisitBill,
    /// Diagnosis.
    pub diagnosis: Box<str>,
    /// The institution's total of the bill.
    pub total: Fen,
    /// The quote that was shown to the patient.
    pub quote: Option<Hash32>,
    /// The card.
    pub presentation: Presentation,
    /// How its holder was checked.
    pub holder_check: HolderCheck,
}
