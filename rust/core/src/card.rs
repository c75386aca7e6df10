//! One card: its two zones, its counter, and whether it may settle.
//!
//! Invariant: what a card may do at a moment follows from its zones, its counter and whether its generation is over then.
//! Leaves out: what each event does to a zone (`transition`), finding the card and its person, successors (`hub`), and the cryptogram
//! itself (crate `cryptogram`).

mod counter;
mod transition;
mod zone;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use counter::{Counter, MAX_COUNTER_JUMP};
pub use transition::Event;
pub use zone::{CardState, Moment, Shown, Zone, ZoneKind, ZoneState};

use crate::ids::{CardId, CardSn, Pan, PersonId, RegionCode};
use crate::money::Fen;
use crate::pin::Pin;
use crate::reject::Reject;
use crate::seldom::{Blank, Seldom};
use crate::table::Keyed;

/// A temporary loss lasts 7 × 24 hours.
pub const TEMPORARY_LOSS_MS: i64 = 7 * 24 * 3_600_000;

/// Why an application failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureCause {
    /// The bank could not open the account.
    BankAccountRefused,
    /// Issued in another city of the province.
    IssuedElsewhere,
    /// Issued under the resident scheme.
    IssuedAsResident,
    /// Left the employer.
    LeftEmployer,
    /// No valid photo.
    NoValidPhoto,
    /// Name or identity number changed.
    NameOrNumberChanged,
}

/// Why a card was cancelled at a desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelCause {
    /// Given back.
    Returned,
    /// The holder died.
    HolderDead,
    /// Should not have been issued.
    IssuedInError,
    /// The insured region changed.
    RegionChanged,
}

/// Why a card was locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockCause {
    /// The counter was further ahead than it may be.
    CounterJumped,
    /// The counter ran out.
    CounterExhausted,
    /// Too many wrong PINs in a row.
    WrongPins,
}

/// Kind of loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// Ends by itself.
    Temporary,
    /// Never ends.
    Formal,
}

/// How a loss was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// Hotline.
    Phone,
    /// Machine or app.
    SelfService,
    /// Service desk.
    Desk,
    /// Bank.
    Bank,
}

/// Chip algorithms and keys of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(Rust, packed(2))]
pub struct Chip {
    /// Number of the scheme in the contract.
    pub scheme: u8,
    /// Which of the issuer's keys.
    pub key_index: u32,
}

/// What a card is made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personalisation {
    /// Number and sequence number.
    pub pan: Pan,
    /// Recognition code.
    pub card_sn: CardSn,
    /// Its chip; a card of a generation without one is read by its stripe.
    pub chip: Option<Chip>,
}

/// One card. There are millions, so every byte is one of a million.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Given at application.
    pub id: CardId,
    /// Its holder.
    pub person: PersonId,
    /// Issuing region.
    pub region: RegionCode,
    /// Name of its generation, shared by all its cards of a region.
    pub generation: Generation,
    /// Known once it is made.
    pub made: Option<Personalisation>,
    /// Settlements.
    pub insurance: Zone,
    /// Payouts.
    pub bank: Zone,
    /// Counter values seen.
    pub counter: Counter,
    /// What few cards have.
    pub seldom: Seldom<SeldomOfCard>,
}

/// Name of a generation: one word wherever it stands.
pub type Generation = Arc<Box<str>>;

/// What few cards have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeldomOfCard {
    /// The card that it replaces.
    pub predecessor: Option<CardId>,
    /// Money kept under a card without a chip.
    pub purse: Fen,
    /// What the purse in the chip holds, as far as the hub was told.
    pub offline: Fen,
    /// Set at a desk.
    pub pin: Option<Pin>,
}

impl Blank for SeldomOfCard {
    const NOTHING: &'static Self = &Self { predecessor: None, purse: Fen::ZERO, offline: Fen::ZERO, pin: None };
}

impl Keyed for Card {
    type Key = CardId;

    fn key(&self) -> CardId {
        self.id
    }
}

impl Card {
    /// A card as its application leaves it.
    pub fn applied(
        id: CardId,
        person: PersonId,
        region: RegionCode,
        generation: Generation,
        predecessor: Option<CardId>,
    ) -> Self {
        let zone = Zone::plain(ZoneState::Applied);
        let counter = Counter::default();
        let (insurance, bank) = (zone, zone);
        Self {
            id,
            person,
            region,
            generation,
            made: None,
            insurance,
            bank,
            counter,
            seldom: predecessor.map_or_else(Seldom::default, |predecessor| {
                Seldom::of(SeldomOfCard { predecessor: Some(predecessor), ..SeldomOfCard::default() })
            }),
        }
    }

    /// A zone.
    pub fn zone(&self, kind: ZoneKind) -> &Zone {
        match kind {
            ZoneKind::Insurance => &self.insurance,
            ZoneKind::Bank => &self.bank,
        }
    }

    pub(crate) fn zone_mut(&mut self, kind: ZoneKind) -> &mut Zone {
        match kind {
            ZoneKind::Insurance => &mut self.insurance,
            ZoneKind::Bank => &mut self.bank,
        }
    }

    /// Whether the card was made with a chip; one without is read by its stripe.
    pub fn has_chip(&self) -> bool {
        self.made.as_ref().is_some_and(|made| made.chip.is_some())
    }

    /// Whether the card is on its way to its holder, or with the holder and never enabled, and can still come into use.
    pub fn is_application(&self, at: Moment) -> bool {
        !at.retired && matches!(self.insurance.state, ZoneState::Applied | ZoneState::Made | ZoneState::Issued)
    }

    /// May it settle now? `Ok(true)` says that this is its first use, which needs a verified holder and enables it.
    pub fn may_settle(&self, at: Moment, holder_verified: bool) -> Result<bool, Reject> {
        match self.insurance.shown(at) {
            Shown::TempLost(until) => Err(Reject::CardLost { until_ms: Some(until) }),
            Shown::Locked => Err(Reject::CardLocked),
            Shown::Retired => Err(Reject::CardRetired),
            Shown::Plain(state) => match state {
                ZoneState::Enabled => Ok(false),
                ZoneState::Issued if holder_verified => Ok(true),
                ZoneState::Issued => Err(Reject::HolderNotVerified),
                ZoneState::Made => Err(Reject::CardNotCollected),
                ZoneState::Applied | ZoneState::Failed(_) => Err(Reject::CardNotEnabled { state: state.into() }),
                ZoneState::FormalLost => Err(Reject::CardLost { until_ms: None }),
                ZoneState::Cancelled => Err(Reject::CardCancelled),
            },
        }
    }
}
