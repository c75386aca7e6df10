//! Rows of the index, where they are not the core's own types.
//!
//! Invariant: what is large and stands elsewhere in the index is named, not repeated.

use std::sync::Arc;

use fjall::Slice;
use medsettle_core::account::AccountKind;
use medsettle_core::calendar::Date;
use medsettle_core::fraud::Claim;
use medsettle_core::ids::{InstitutionCode, SettlementId, UnwindId};
use medsettle_core::money::Fen;
use medsettle_core::records::DayTotals;
use medsettle_core::settlement::{Cancellation, Settlement};
use medsettle_core::statement::{Entry, Event};
use medsettle_core::stay::{Stay, StayState};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::store::StoreError;

/// How far an index is, and whose it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) format: u32,
    pub(super) directory: [u8; 16],
    /// Everything up to this sequence is in the index.
    pub(super) sequence: u64,
    /// Hash of the frame that ends with it.
    pub(super) hash: [u8; 32],
}

/// Count and sums of a day, up to a sequence: what is taken in again after a crash does not count twice.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) through: u64,
    pub(super) totals: DayTotals,
}

/// What of a stay an overlap needs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Bed {
    pub(super) state: StayState,
    pub(super) admission: Date,
    pub(super) discharge: Option<Date>,
}

impl Bed {
    pub(super) fn of(stay: &Stay) -> Self {
        Self { state: stay.state, admission: stay.admission, discharge: stay.discharge }
    }
}

/// Where a claim stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ClaimRow {
    pub(super) unwind: UnwindId,
    pub(super) reversal: usize,
}

impl ClaimRow {
    pub(super) fn of(claim: &Claim) -> Self {
        Self { unwind: claim.unwind.id, reversal: claim.reversal }
    }
}

/// The first answer to a request: the response without its header, or the refusal.
#[derive(Serialize, Deserialize)]
pub(super) struct AnswerRow<'a> {
    pub(super) refused: bool,
    pub(super) body: &'a [u8],
}

/// A frame that holds records.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct FrameRow {
    pub(super) hash: [u8; 32],
    pub(super) stamp_ms: i64,
}

/// An entry of a statement.
#[derive(Serialize, Deserialize)]
pub(super) struct EntryRow {
    stamp_ms: i64,
    institution: InstitutionCode,
    account: AccountKind,
    amount: Fen,
    balance: Fen,
    event: EventRow,
}

#[derive(Serialize, Deserialize)]
enum EventRow {
    /// What is small is whole.
    Small(Event),
    Settled(SettlementId),
    Cancelled(SettlementId),
    FamilyPaid(SettlementId),
    FamilyReturned(SettlementId),
    Unwound(ClaimRow),
}

/// Where what entries name is found.
pub(super) trait Named {
    fn settlement(&mut self, id: SettlementId) -> Result<Arc<Settlement>, StoreError>;
    fn cancellation(&mut self, id: SettlementId) -> Result<Arc<Cancellation>, StoreError>;
    fn claim(&mut self, row: ClaimRow) -> Result<Claim, StoreError>;
}

impl EntryRow {
    pub(super) fn of(entry: &Entry) -> Self {
        let Entry { stamp_ms, institution, account, amount, balance, ref event, sequence: _ } = *entry;
        let event = match event {
            Event::Settled(settlement) => EventRow::Settled(settlement.id),
            Event::FamilyPaid(settlement) => EventRow::FamilyPaid(settlement.id),
            Event::Cancelled(cancellation) => EventRow::Cancelled(cancellation.id),
            Event::FamilyReturned(cancellation) => EventRow::FamilyReturned(cancellation.id),
            Event::Unwound(claim) => EventRow::Unwound(ClaimRow::of(claim)),
            Event::Credited { .. }
            | Event::Adjusted { .. }
            | Event::ToppedUp { .. }
            | Event::Purchased { .. }
            | Event::PurseOpened { .. }
            | Event::PurseMoved { .. }
            | Event::PaidOut { .. } => EventRow::Small(event.clone()),
        };
        Self { stamp_ms, institution, account, amount, balance, event }
    }

    pub(super) fn entry(self, sequence: u64, named: &mut dyn Named) -> Result<Entry, StoreError> {
        let Self { stamp_ms, institution, account, amount, balance, event } = self;
        let event = match event {
            EventRow::Small(event) => event,
            EventRow::Settled(id) => Event::Settled(named.settlement(id)?),
            EventRow::FamilyPaid(id) => Event::FamilyPaid(named.settlement(id)?),
            EventRow::Cancelled(id) => Event::Cancelled(named.cancellation(id)?),
            EventRow::FamilyReturned(id) => Event::FamilyReturned(named.cancellation(id)?),
            EventRow::Unwound(row) => Event::Unwound(named.claim(row)?),
        };
        Ok(Entry { sequence, stamp_ms, institution, account, amount, balance, event })
    }
}

/// Writes rows one after the other, without memory that each would have to grow for itself.
pub(super) struct Encoder(Vec<u8>);

impl Default for Encoder {
    fn default() -> Self {
        // Most rows are shorter.
        Self(vec![0; 4 << 10])
    }
}

impl Encoder {
    pub(super) fn encode(&mut self, row: &impl Serialize) -> Slice {
        loop {
            match postcard::to_slice(row, &mut self.0) {
                Ok(row) => return Slice::new(row),
                Err(postcard::Error::SerializeBufferFull) => self.0.resize(2 * self.0.len(), 0),
                Err(error) => panic!("a row that cannot be written: {error}"),
            }
        }
    }
}

/// Reads a row that came whole from the index.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    postcard::from_bytes(bytes)
}
