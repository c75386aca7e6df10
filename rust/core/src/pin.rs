//! PINs of cards, which are kept as keyed hashes.
//!
//! Invariant: no PIN comes into the core. Whoever asks holds it back and hashes it for the card that the core has found.
//! Invariant: a PIN is compared only under the key under which it was set; under another one every PIN would be wrong, and cost a try.
//! Invariant: a wrong PIN is counted by the record that refuses it, so no try is free, whatever crashes.

use serde::{Deserialize, Serialize};

use crate::ids::{CardId, Hash32};

/// So many wrong PINs in a row lock the card: a guess at six digits succeeds in at most 6 of 1,000,000 cases.
pub const MAX_WRONG_PINS: u32 = 6;

/// A PIN under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedPin {
    /// Keyed hash of the card's id and the PIN.
    pub hash: Hash32,
    /// Check value of the key.
    pub key_check: [u8; 3],
}

/// The PIN of one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// As it was set.
    pub hashed: HashedPin,
    /// Wrong ones since the last right one that was accepted, or since a desk gave the tries back.
    pub wrong: u32,
}

impl Pin {
    /// A PIN that was just set.
    pub fn new(hashed: HashedPin) -> Self {
        Self { hashed, wrong: 0 }
    }

    /// How many wrong ones may follow before the card is locked.
    pub fn tries_left(&self) -> u32 {
        MAX_WRONG_PINS.saturating_sub(self.wrong)
    }
}

/// The PIN that came with a command.
pub trait ShownPin {
    /// What it is under the key, were it of this card; nothing where there is no key, or no PIN.
    fn hashed(&self, card: CardId) -> Option<HashedPin>;
}

/// No PIN came.
pub struct NoPin;

impl ShownPin for NoPin {
    fn hashed(&self, _: CardId) -> Option<HashedPin> {
        None
    }
}
