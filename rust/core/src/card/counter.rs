//! The counter of a card's chip: which values were seen, and which may still come.
//!
//! Invariant: a counter value is accepted once.

use serde::{Deserialize, Serialize};

use crate::reject::Reject;

/// How far ahead of the highest counter a card may be; more says that it was used elsewhere, or copied.
pub const MAX_COUNTER_JUMP: u16 = 1_000;

/// Counter values that were seen: the highest, and which of the 64 below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
            return Err(Reject::CounterRanOut);
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

    /// Take a value that may lie any way ahead: the card is at a desk and so is its holder, so a jump is cleared.
    ///
    /// Below the highest it is accepted as ever; a counter that has run out is refused.
    pub fn reset_to(self, value: u16) -> Result<Self, Reject> {
        if self.is_exhausted() || value == u16::MAX {
            return Err(Reject::CounterExhausted);
        }
        if value > self.highest { Ok(Self { highest: value, seen: 1 }) } else { self.accept(value) }
    }

    /// The counter of a chip that has shown its last value.
    #[must_use]
    pub fn exhausted(self) -> Self {
        Self { highest: u16::MAX, seen: self.seen }
    }

    /// Whether the chip has shown its last value: such a card is never unlocked, its holder needs a new one.
    pub fn is_exhausted(self) -> bool {
        self.highest == u16::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(counter.accept(u16::MAX), Err(Reject::CounterRanOut));
    }

    #[test]
    fn a_desk_takes_a_counter_that_has_jumped_but_none_that_was_seen_or_has_run_out() {
        let counter = Counter::default().accept(5).unwrap();
        let after = counter.reset_to(40_000).unwrap();
        assert_eq!(after.highest, 40_000);
        for seen in [5, 40_000] {
            assert_eq!(after.reset_to(seen), Err(Reject::CryptogramReplayed { atc: seen }));
        }
        assert!(after.accept(39_999).is_ok(), "the window lies below the new value");
        assert_eq!(after.reset_to(u16::MAX), Err(Reject::CounterExhausted));
        assert_eq!(after.exhausted().reset_to(40_001), Err(Reject::CounterExhausted));
    }
}
