//! One inpatient stay and its charge lines.
//!
//! Invariant: the stay's sum equals the sum of its lines, for the total and all four splits (I8).
//! Invariant: what is left of a line is what was billed less what was taken back, and is never negative.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::benefit::LineSplit;
use crate::calendar::Date;
use crate::catalogue::ItemClass;
use crate::ids::{CardId, Hash32, InstitutionCode, PersonId, RegionCode, SettlementId, StayId, VoucherId};
use crate::money::{Fen, Quantity, UnitPrice};
use crate::policy::{Category, InsuranceType, Level};
use crate::table::Keyed;

/// Lines of one request: what a ward sends at once; every one of them can be refused with its own reason.
pub const MAX_LINES_PER_REQUEST: usize = 1_000;

/// Lines of one stay: the fact that reopens a settled stay holds them all and must fit a frame.
pub const MAX_LINES_PER_STAY: usize = 20_000;

/// Where a stay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StayState {
    /// Charges may be added.
    Open,
    /// Waits for its settlement.
    Discharged,
    /// Settled.
    Settled,
    /// Its admission was cancelled.
    Void,
}

/// Kind of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmissionKind {
    /// Planned.
    Planned,
    /// Emergency: deemed filed.
    Emergency,
    /// Transfer from another institution.
    Transfer,
}

/// A billed item as the institution sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeLine {
    /// Unique in its stay; 1 to 15 digits, not 0.
    pub line_id: u64,
    /// Item of the care region's catalogue.
    pub item_code: Box<str>,
    /// Negative takes back.
    pub quantity: Quantity,
    /// Price of one.
    pub unit_price: UnitPrice,
    /// Day of the service.
    pub date: Date,
    /// The line that a negative quantity takes back.
    pub takes_back: Option<u64>,
    /// Outside the catalogue, wholly the person's.
    pub own_expense: bool,
    /// `Some(false)` makes the line class C.
    pub restriction_met: Option<bool>,
    /// Where a test or purchase outside was made, with its slip.
    pub outside: Option<(InstitutionCode, Box<str>)>,
}

/// A line with its split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayLine {
    /// As sent.
    pub line: ChargeLine,
    /// What it added to the stay; negative for a refund.
    pub split: LineSplit,
    /// The class that was applied.
    pub class: ItemClass,
    /// The catalogue version that was applied.
    pub catalogue: Hash32,
    /// What is left of the quantity after refunds; a refund itself leaves nothing.
    pub left: Quantity,
    /// Place in the order in which the stay's lines came.
    pub ordinal: u32,
}

/// A stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// Given at admission.
    pub id: StayId,
    /// The patient.
    pub person: PersonId,
    /// Where the patient lies.
    pub institution: InstitutionCode,
    /// Where the stay stands.
    pub state: StayState,
    /// Kind of admission.
    pub kind: AdmissionKind,
    /// Day of admission.
    pub admission: Date,
    /// Day of discharge, once known.
    pub discharge: Option<Date>,
    /// Department.
    pub department: Box<str>,
    /// Diagnosis.
    pub diagnosis: Box<str>,
    /// Fixed at admission.
    pub insured_region: RegionCode,
    /// Fixed at admission.
    pub insurance_type: InsuranceType,
    /// Fixed at admission.
    pub category: Category,
    /// Fixed at admission.
    pub entitlements: Vec<String>,
    /// Fixed at admission.
    pub level: Level,
    /// Fixed at admission.
    pub care_region: RegionCode,
    /// In the order of line ids; shared, so that settling and cancelling copy none of them.
    pub lines: Arc<BTreeMap<u64, StayLine>>,
    /// Sum of the lines.
    pub sum: LineSplit,
    /// Ordinal of the next line.
    pub next_ordinal: u32,
    /// The settlement that stands.
    pub settlement: Option<SettlementId>,
    /// What a desk issued in place of a card.
    pub voucher: Option<Voucher>,
    /// The card with which the patient was admitted.
    pub admitted_with: CardId,
    /// When that was, by the hub's time.
    pub admitted_ms: i64,
}

/// Stands in for a card when a stay is settled: the holder died, the card was lost during the stay, the chip is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    /// Given by the hub.
    pub id: VoucherId,
    /// What may be drawn from accounts with it.
    pub account_limit: Fen,
}

impl Keyed for Stay {
    type Key = StayId;

    fn key(&self) -> StayId {
        self.id
    }
}

impl Stay {
    /// The interval [admission, discharge) of the stay; without a discharge it has no end.
    pub fn overlaps(&self, admission: Date, discharge: Option<Date>) -> bool {
        intervals_overlap((self.admission, self.discharge), (admission, discharge))
    }
}

/// Whether two half-open intervals of days have a night in common; a same-day transfer and a stay of one day have none.
pub fn intervals_overlap(a: (Date, Option<Date>), b: (Date, Option<Date>)) -> bool {
    let start = a.0.max(b.0);
    a.1.is_none_or(|end| start < end) && b.1.is_none_or(|end| start < end)
}
