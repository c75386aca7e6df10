//! Double-entry books over everything that moves.
//!
//! Invariant: the legs of one fact sum to zero, so the trial balance of all accounts is always zero.
//! Sign: what an account owes or has received is positive; what it paid or gave is negative.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{InstitutionCode, RegionCode};
use crate::money::Fen;
use crate::policy::{Fund, InsuranceType};

/// An account of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LedgerAccount {
    /// A fund of an insured region.
    Fund {
        /// Insured region.
        region: RegionCode,
        /// Scheme.
        insurance_type: InsuranceType,
        /// Fund.
        fund: Fund,
    },
    /// All personal accounts of a region together; equals the sum of its persons' balances.
    PersonalAccounts(RegionCode),
    /// What an institution has earned.
    Institution(InstitutionCode),
    /// What patients paid in cash at an institution.
    Cash(InstitutionCode),
    /// What an institution bears itself.
    HospitalPart(InstitutionCode),
    /// Where contributions to personal accounts of a region come from.
    Contributions(RegionCode),
    /// What a recomputation made persons of a region owe (negative) or receive.
    PersonSettlement(RegionCode),
    /// All online accounts of a region together.
    OnlineAccounts(RegionCode),
    /// All purses kept under chipless cards of a region together.
    CardPurses(RegionCode),
    /// All purses in chips of a region's cards together.
    OfflinePurses(RegionCode),
    /// Where the money comes from that holders pay in at desks of a region.
    TopUps(RegionCode),
    /// Where reimbursements of a region come from.
    Reimbursements(RegionCode),
    /// What was paid out to bank zones.
    BankPayouts(RegionCode),
    /// What waits to be paid out.
    PayoutsWaiting(RegionCode),
    /// What is claimed back from an institution (negative).
    Claims(InstitutionCode),
}

/// One movement on one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Which account.
    pub account: LedgerAccount,
    /// Signed amount.
    pub amount: Fen,
}

/// Balances of all accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    balances: BTreeMap<LedgerAccount, i128>,
}

impl Ledger {
    /// Post legs that sum to zero.
    pub(crate) fn post(&mut self, legs: &[Leg]) {
        debug_assert!(is_balanced(legs));
        for leg in legs {
            *self.balances.entry(leg.account).or_default() += i128::from(leg.amount.0);
        }
    }

    /// Every account that was ever touched, in a fixed order.
    pub fn balances(&self) -> impl Iterator<Item = (LedgerAccount, i128)> {
        self.balances.iter().map(|(account, balance)| (*account, *balance))
    }

    /// Always zero.
    pub fn trial_balance(&self) -> i128 {
        self.balances.values().sum()
    }
}

/// Whether legs sum to zero.
pub fn is_balanced(legs: &[Leg]) -> bool {
    legs.iter().map(|leg| i128::from(leg.amount.0)).sum::<i128>() == 0
}

/// The legs with every sign turned.
pub fn negated(legs: &[Leg]) -> Vec<Leg> {
    legs.iter().map(|leg| Leg { amount: Fen(-leg.amount.0), ..*leg }).collect()
}
