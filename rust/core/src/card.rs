//! One card: its two zones, its counter, and what each event does to a zone.
//!
//! Invariant: a temporary loss hides a zone's state and never replaces it, so at its end the zone is again what it was,
//! and what happens to the card meanwhile is not lost.
//! Invariant: a counter value is accepted once.
//! Leaves out: finding the card and its person, successors (`hub`), and the cryptogram itself (crate `cryptogram`).

mod transition;

pub use transition::Event;

use crate::ids::{CardId, CardSn, Pan, PersonId, RegionCode};
use crate::money::Fen;
use crate::reject::Reject;

/// A temporary loss lasts 7 × 24 hours.
pub const TEMPORARY_LOSS_MS: i64 = 7 * 24 * 3_600_000;

/// How far ahead of the highest counter a card may be; more says that it was used elsewhere, or copied.
pub const MAX_COUNTER_JUMP: u16 = 1_000;

/// The two zones of a card live apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ZoneKind {
    /// Settlements.
    Insurance,
    /// Payouts and personal money.
    Bank,
}

impl ZoneKind {
    /// Both zones.
    pub const ALL: [Self; 2] = [Self::Insurance, Self::Bank];
}

/// What a zone is, temporary loss aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneState {
    /// Asked for.
    Applied,
    /// The application failed.
    Failed(FailureCause),
    /// Made, not collected.
    Made,
    /// Collected, not enabled.
    Issued,
    /// In use.
    Enabled,
    /// Reported lost with a document; for ever.
    FormalLost,
    /// Locked until a desk unlocks it.
    Locked,
    /// Dead.
    Cancelled,
    /// Its generation is over.
    Retired,
}

/// Why an application failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockCause {
    /// The counter was further ahead than it may be.
    CounterJumped,
    /// The counter ran out.
    CounterExhausted,
}

/// Kind of loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Ends by itself.
    Temporary,
    /// Never ends.
    Formal,
}

/// How a loss was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// One zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// What it is beneath a temporary loss.
    pub state: ZoneState,
    /// When the temporary loss ends; meaningless once passed.
    pub lost_until_ms: Option<i64>,
}

/// What a zone shows at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// No temporary loss hides the state.
    Plain(ZoneState),
    /// Lost until the moment given.
    TempLost(i64),
}

impl Zone {
    /// The state at a moment: at `until` itself the loss is over.
    pub fn shown(&self, now_ms: i64) -> Shown {
        match self.lost_until_ms {
            Some(until) if now_ms < until && self.can_be_lost() => Shown::TempLost(until),
            _ => Shown::Plain(self.state),
        }
    }

    /// Only a zone that is, or can come, into use can be lost temporarily.
    fn can_be_lost(&self) -> bool {
        matches!(self.state, ZoneState::Issued | ZoneState::Enabled | ZoneState::Locked)
    }
}

/// Chip algorithms and keys of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Number of the scheme in the contract.
    pub scheme: u8,
    /// Which of the issuer's keys.
    pub key_index: u32,
}

/// What a card is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personalisation {
    /// Number and sequence number.
    pub pan: Pan,
    /// Recognition code.
    pub card_sn: CardSn,
    /// Its chip; a card of a generation without one is read by its stripe.
    pub chip: Option<Chip>,
}

/// One card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Given at application.
    pub id: CardId,
    /// Its holder.
    pub person: PersonId,
    /// Issuing region.
    pub region: RegionCode,
    /// Name of its generation.
    pub generation: Box<str>,
    /// The card that it replaces.
    pub predecessor: Option<CardId>,
    /// Known once it is made.
    pub made: Option<Personalisation>,
    /// Settlements.
    pub insurance: Zone,
    /// Payouts.
    pub bank: Zone,
    /// Counter values seen.
    pub counter: Counter,
    /// Money kept under a card without a chip.
    pub purse: Fen,
    /// What the purse in the chip holds, as far as the hub was told.
    pub offline: Fen,
}

impl Card {
    /// A card as its application leaves it.
    pub fn applied(
        id: CardId,
        person: PersonId,
        region: RegionCode,
        generation: Box<str>,
        predecessor: Option<CardId>,
    ) -> Self {
        let zone = Zone { state: ZoneState::Applied, lost_until_ms: None };
        let counter = Counter::default();
        let (purse, offline) = (Fen::ZERO, Fen::ZERO);
        let (insurance, bank) = (zone, zone);
        Self { id, person, region, generation, predecessor, made: None, insurance, bank, counter, purse, offline }
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

    /// Whether the card is on its way to its holder, or with the holder and never enabled.
    pub fn is_application(&self) -> bool {
        matches!(self.insurance.state, ZoneState::Applied | ZoneState::Made | ZoneState::Issued)
    }

    /// Whether the card could still settle, now or after a collection or the end of a temporary loss.
    pub fn is_live(&self) -> bool {
        !matches!(
            self.insurance.state,
            ZoneState::Failed(_) | ZoneState::FormalLost | ZoneState::Cancelled | ZoneState::Retired
        )
    }

    /// May it settle now? `Ok(true)` says that this is its first use, which needs a verified holder and enables it.
    pub fn may_settle(&self, now_ms: i64, holder_verified: bool) -> Result<bool, Reject> {
        match self.insurance.shown(now_ms) {
            Shown::TempLost(until) => Err(Reject::CardLost { until_ms: Some(until) }),
            Shown::Plain(ZoneState::Enabled) => Ok(false),
            Shown::Plain(ZoneState::Issued) if holder_verified => Ok(true),
            Shown::Plain(ZoneState::Issued) => Err(Reject::HolderNotVerified),
            Shown::Plain(ZoneState::Made) => Err(Reject::CardNotCollected),
            Shown::Plain(ZoneState::Applied | ZoneState::Failed(_)) => {
                Err(Reject::CardNotEnabled { state: self.insurance.state })
            }
            Shown::Plain(ZoneState::FormalLost) => Err(Reject::CardLost { until_ms: None }),
            Shown::Plain(ZoneState::Locked) => Err(Reject::CardLocked),
            Shown::Plain(ZoneState::Cancelled) => Err(Reject::CardCancelled),
            Shown::Plain(ZoneState::Retired) => Err(Reject::CardRetired),
        }
    }
}

/// Counter values that were seen: the highest, and which of the 64 below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Highest value accepted; 0 before the first.
    pub highest: u16,
    /// Bit `n` stands for `highest - n`.
    pub seen: u64,
}

impl Counter {
    /// Accept a value once: above the highest within [`MAX_COUNTER_JUMP`], or unseen within the window below it.
    ///
    /// | value | verdict |
    /// | --- | --- |
    /// | 65535 | `CARD_LOCKED`: the counter ran out |
    /// | above highest + 1,000 | `COUNTER_JUMP` |
    /// | above highest | accept |
    /// | seen, 0, or 64 or more below | `CRYPTOGRAM_REPLAYED` |
    /// | unseen in the window | accept |
    pub fn accept(self, value: u16) -> Result<Self, Reject> {
        if value == u16::MAX {
            return Err(Reject::CounterExhausted);
        }
        if value > self.highest {
            let ahead = value - self.highest;
            if ahead > MAX_COUNTER_JUMP {
                return Err(Reject::CounterJump { atc: value, highest: self.highest });
            }
            let seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            return Ok(Self { highest: value, seen });
        }
        let bit = 1u64.checked_shl(u32::from(self.highest - value));
        match bit {
            Some(bit) if value != 0 && self.seen & bit == 0 => Ok(Self { seen: self.seen | bit, ..self }),
            _ => Err(Reject::CryptogramReplayed { atc: value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f4_a_temporary_loss_ends_by_itself_at_its_very_moment() {
        let zone = Zone { state: ZoneState::Issued, lost_until_ms: Some(1_000) };
        assert_eq!(zone.shown(999), Shown::TempLost(1_000));
        assert_eq!(zone.shown(1_000), Shown::Plain(ZoneState::Issued));
    }

    #[test]
    fn a_formal_loss_shows_through_a_temporary_one() {
        let zone = Zone { state: ZoneState::FormalLost, lost_until_ms: Some(1_000) };
        assert_eq!(zone.shown(0), Shown::Plain(ZoneState::FormalLost));
    }

    #[test]
    fn a_counter_is_accepted_once_in_any_order_within_the_window() {
        let mut counter = Counter::default();
        for value in [5, 3, 70, 69, 7] {
            counter = counter.accept(value).unwrap();
        }
        for value in [0, 3, 5, 6, 7, 69, 70] {
            assert_eq!(counter.accept(value), Err(Reject::CryptogramReplayed { atc: value }), "{value}");
        }
        assert!(counter.accept(8).is_ok());
    }

    #[test]
    fn a_counter_may_not_jump_or_run_out() {
        let counter = Counter::default();
        assert!(counter.accept(1_000).is_ok());
        assert_eq!(counter.accept(1_001), Err(Reject::CounterJump { atc: 1_001, highest: 0 }));
        assert_eq!(counter.accept(u16::MAX), Err(Reject::CounterExhausted));
    }
}
