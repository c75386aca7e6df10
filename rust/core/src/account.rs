//! The person's own medical money, and the names of the other accounts beside it.
//!
//! Invariant: a balance is never negative. A period key is credited once; which were is among what is kept year by year.

use serde::{Deserialize, Serialize};

use crate::ids::{CardId, RegionCode};
use crate::money::Fen;

/// Longest period key.
pub const MAX_PERIOD_KEY: usize = 32;

/// Accounts that may pay for one person: parents, children and spouse of a large family; more is no family, and each
/// is looked at in every settlement that asks for it.
pub const MAX_PAYERS: usize = 8;

/// An account in which the hub keeps money of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AccountKind {
    /// The person's own medical money.
    Insurance,
    /// Used with a card and its PIN; stops with the card.
    Online,
    /// The purse in a chip: no PIN, and nobody can stop it.
    Offline,
    /// What the hub keeps under a card without a chip.
    Purse,
    /// The bank zone of a card, whose balance the bank keeps.
    Bank,
}

/// Money of an older card that goes with its holder: from `Purse` to the insurance account, from `Offline` to the new card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurseMove {
    /// The older card.
    pub from: CardId,
    /// Which of its two purses.
    pub account: AccountKind,
    /// All that it held.
    pub amount: Fen,
}

/// Longest claim number.
pub const MAX_CLAIM_NUMBER: usize = 32;

/// What is paid to a person, by its claim number: a reimbursement, or what a recomputation gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayOut {
    /// Names it, once for the person.
    pub claim_number: Box<str>,
    /// How much.
    pub amount: Fen,
    /// In whose books it waits.
    pub region: RegionCode,
    /// No bank zone was in use.
    pub waiting: bool,
}

/// A personal account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What it holds.
    pub balance: Fen,
}
