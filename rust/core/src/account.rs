//! The person's own medical money.
//!
//! Invariant: a balance is never negative; a period key is credited once.

use crate::money::Fen;

/// Longest period key.
pub const MAX_PERIOD_KEY: usize = 32;

/// Accounts that may pay for one person: parents, children and spouse of a large family; more is no family, and each
/// is looked at in every settlement that asks for it.
pub const MAX_PAYERS: usize = 8;

/// A personal account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What it holds.
    pub balance: Fen,
    /// Keys of the periods that were credited, sorted.
    pub credited: Vec<Box<str>>,
}

impl Account {
    /// Whether the period was credited before.
    pub fn is_credited(&self, key: &str) -> bool {
        self.credited.binary_search_by(|k| (**k).cmp(key)).is_ok()
    }

    pub(crate) fn note_credited(&mut self, key: &str) {
        if let Err(i) = self.credited.binary_search_by(|k| (**k).cmp(key)) {
            self.credited.insert(i, key.into());
        }
    }
}
