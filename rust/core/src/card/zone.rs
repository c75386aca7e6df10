//! One zone of a card: what it is, what hides that, and what it shows at a moment.
//!
//! Invariant: a temporary loss and a lock hide a zone's state and never replace it, so when they end the zone is again what it was, and
//! what happens to the card meanwhile is not lost.
//! Invariant: what ends by the clock, or begins by it, is evaluated at the moment given; no job changes a zone.

use std::num::NonZeroI64;

use serde::{Deserialize, Serialize};

use super::{FailureCause, TEMPORARY_LOSS_MS};

/// The two zones of a card live apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// What a zone is, whatever hides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Dead.
    Cancelled,
}

impl ZoneState {
    /// Whether nothing brings the zone into use any more.
    pub fn is_dead(self) -> bool {
        CardState::from(self).is_dead()
    }

    /// Whether the card is in its holder's hands and the zone not dead.
    pub fn is_in_hand(self) -> bool {
        matches!(self, Self::Issued | Self::Enabled)
    }
}

/// One zone, in twelve bytes.
#[repr(Rust, packed(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// What it is beneath what hides it.
    pub state: ZoneState,
    /// When the temporary loss ends; meaningless once passed.
    pub lost_until_ms: Option<NonZeroI64>,
    /// Locked until a desk unlocks it; meaningless once dead.
    pub locked: bool,
}

/// When a card is looked at, and what the time has made of its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The stamp.
    pub now_ms: i64,
    /// Whether the cut-over date of the card's generation has come.
    pub retired: bool,
}

/// What a zone shows at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shown {
    /// Nothing hides the state.
    Plain(ZoneState),
    /// Lost until the time given.
    TempLost(i64),
    /// Locked.
    Locked,
    /// Its generation is over.
    Retired,
}

/// The name of what a zone shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named and documented at `ZoneState` and `Shown`")]
pub enum CardState {
    Applied,
    Failed,
    Made,
    Issued,
    Enabled,
    TempLost,
    FormalLost,
    Locked,
    Cancelled,
    Retired,
}

impl CardState {
    /// Every state, in the order of the contract.
    pub const ALL: [Self; 10] = [
        Self::Applied,
        Self::Failed,
        Self::Made,
        Self::Issued,
        Self::Enabled,
        Self::TempLost,
        Self::FormalLost,
        Self::Locked,
        Self::Cancelled,
        Self::Retired,
    ];

    /// Whether the zone itself has ended, which the end of its generation does not hide.
    pub fn is_dead(self) -> bool {
        matches!(self, Self::Failed | Self::FormalLost | Self::Cancelled)
    }
}

impl From<ZoneState> for CardState {
    fn from(state: ZoneState) -> Self {
        match state {
            ZoneState::Applied => Self::Applied,
            ZoneState::Failed(_) => Self::Failed,
            ZoneState::Made => Self::Made,
            ZoneState::Issued => Self::Issued,
            ZoneState::Enabled => Self::Enabled,
            ZoneState::FormalLost => Self::FormalLost,
            ZoneState::Cancelled => Self::Cancelled,
        }
    }
}

impl Shown {
    /// Its name.
    pub fn name(self) -> CardState {
        match self {
            Self::Plain(state) => state.into(),
            Self::TempLost(_) => CardState::TempLost,
            Self::Locked => CardState::Locked,
            Self::Retired => CardState::Retired,
        }
    }
}

impl Zone {
    /// A zone that nothing hides.
    pub fn plain(state: ZoneState) -> Self {
        Self { state, lost_until_ms: None, locked: false }
    }

    /// What it shows: at `until` itself a loss is over. Retirement goes before loss, and loss before lock.
    pub fn shown(&self, at: Moment) -> Shown {
        if self.state.is_dead() {
            return Shown::Plain(self.state);
        }
        if at.retired {
            return Shown::Retired;
        }
        // Only a zone that is, or can come, into use can be lost or locked.
        let lost_until_ms = self.lost_until_ms;
        match lost_until_ms {
            _ if !self.state.is_in_hand() => Shown::Plain(self.state),
            Some(until) if at.now_ms < until.get() => Shown::TempLost(until.get()),
            _ if self.locked => Shown::Locked,
            _ => Shown::Plain(self.state),
        }
    }

    /// The zone with a temporary loss that begins now.
    pub(super) fn lost_from(self, now_ms: i64) -> Self {
        Self { lost_until_ms: NonZeroI64::new(now_ms + TEMPORARY_LOSS_MS), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now_ms: i64) -> Moment {
        Moment { now_ms, retired: false }
    }

    #[test]
    fn a_temporary_loss_ends_by_itself_at_its_very_moment() {
        let zone = Zone { lost_until_ms: NonZeroI64::new(1_000), ..Zone::plain(ZoneState::Issued) };
        assert_eq!(zone.shown(at(999)), Shown::TempLost(1_000));
        assert_eq!(zone.shown(at(1_000)), Shown::Plain(ZoneState::Issued));
        let locked = Zone { locked: true, ..zone };
        assert_eq!(locked.shown(at(999)), Shown::TempLost(1_000));
        assert_eq!(locked.shown(at(1_000)), Shown::Locked);
    }

    #[test]
    fn a_formal_loss_shows_through_a_temporary_one_a_lock_and_retirement() {
        let zone = Zone { state: ZoneState::FormalLost, lost_until_ms: NonZeroI64::new(1_000), locked: true };
        assert_eq!(zone.shown(Moment { now_ms: 0, retired: true }), Shown::Plain(ZoneState::FormalLost));
    }

    #[test]
    fn a_generation_that_is_over_hides_whatever_its_live_cards_were() {
        let retired = Moment { now_ms: 0, retired: true };
        for state in [ZoneState::Applied, ZoneState::Made, ZoneState::Issued, ZoneState::Enabled] {
            assert_eq!(
                Zone { state, lost_until_ms: NonZeroI64::new(1_000), locked: true }.shown(retired),
                Shown::Retired
            );
        }
    }
}
