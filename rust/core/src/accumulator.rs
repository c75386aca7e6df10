//! What a person has used of a benefit year: the sums on which deductibles, bands and limits depend.
//!
//! Invariant: accumulators change by adding a settlement's delta or subtracting exactly that delta.
//! Leaves out: whose they are (the person) and where they are kept (`hub`).

mod years;

use std::ops::{AddAssign, Index, IndexMut};

use serde::{Deserialize, Serialize};

pub use years::Years;

use crate::money::{Fen, MAX_AMOUNT};
use crate::policy::{Counter, Fund, InsuranceType};

/// Which accumulators of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccumulatorKey {
    /// The scheme.
    pub insurance_type: InsuranceType,
    /// The benefit year.
    pub year: i32,
    /// Stays or visits.
    pub counter: Counter,
}

/// One amount per fund.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundAmounts([Fen; Fund::ALL.len()]);

impl FundAmounts {
    /// All funds together.
    pub fn total(&self) -> Fen {
        self.0.iter().copied().sum()
    }

    fn try_zip(self, other: Self, combine: fn(Fen, Fen) -> Option<Fen>) -> Option<Self> {
        let mut combined = self;
        for (amount, other) in combined.0.iter_mut().zip(other.0) {
            *amount = combine(*amount, other)?;
        }
        Some(combined)
    }
}

impl AddAssign for FundAmounts {
    fn add_assign(&mut self, other: Self) {
        for (amount, more) in self.0.iter_mut().zip(other.0) {
            *amount += more;
        }
    }
}

impl Index<Fund> for FundAmounts {
    type Output = Fen;

    fn index(&self, fund: Fund) -> &Fen {
        &self.0[fund as usize]
    }
}

impl IndexMut<Fund> for FundAmounts {
    fn index_mut(&mut self, fund: Fund) -> &mut Fen {
        &mut self.0[fund as usize]
    }
}

/// How many sums [`Accumulators`] have.
const SUMS: usize = 5 + Fund::ALL.len();

/// Beyond this no sum of a year is believed: a million bills of the largest amount.
const MAX_YEAR_AMOUNT: i64 = 1_000_000 * MAX_AMOUNT.0;

/// The sums of one benefit year and counter, or a settlement's change of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accumulators {
    /// Stays settled; visits are not counted.
    pub admissions: i64,
    /// Eligible cost.
    pub eligible: Fen,
    /// Deductible charged.
    pub deductible: Fen,
    /// What each fund paid.
    pub funds: FundAmounts,
    /// Eligible cost that the person bore before the catastrophic layer paid.
    pub own_burden: Fen,
    /// Drawn from the own account; what a family member paid is not theirs.
    pub account: Fen,
}

impl Accumulators {
    /// Whether every sum may be that of a year, so that calculations on it cannot leave 64 bits.
    pub fn is_believable(&self) -> bool {
        let amounts = [self.eligible, self.deductible, self.own_burden, self.account];
        let believable = |amount: &Fen| (0..=MAX_YEAR_AMOUNT).contains(&amount.0);
        (0..=i64::from(u32::MAX) - 1).contains(&self.admissions)
            && amounts.iter().all(believable)
            && self.funds.0.iter().all(believable)
    }

    /// Every sum, always in this order.
    fn to_sums(self) -> [i64; SUMS] {
        let Self { admissions, eligible, deductible, funds, own_burden, account } = self;
        let mut sums = [0; SUMS];
        sums[..5].copy_from_slice(&[admissions, eligible.0, deductible.0, own_burden.0, account.0]);
        sums[5..].copy_from_slice(&funds.0.map(|fund| fund.0));
        sums
    }

    fn from_sums(sums: [i64; SUMS]) -> Self {
        let [admissions, eligible, deductible, own_burden, account, funds @ ..] = sums;
        Self {
            admissions,
            eligible: Fen(eligible),
            deductible: Fen(deductible),
            funds: FundAmounts(funds.map(Fen)),
            own_burden: Fen(own_burden),
            account: Fen(account),
        }
    }

    /// Both together; `None` where a sum leaves 64 bits.
    pub fn checked_add(self, delta: Self) -> Option<Self> {
        self.try_zip(delta, i64::checked_add, Fen::checked_add)
    }

    /// Without the delta; `None` where a sum leaves 64 bits.
    pub fn checked_sub(self, delta: Self) -> Option<Self> {
        self.try_zip(delta, i64::checked_sub, Fen::checked_sub)
    }

    fn try_zip(
        self,
        other: Self,
        count: fn(i64, i64) -> Option<i64>,
        amount: fn(Fen, Fen) -> Option<Fen>,
    ) -> Option<Self> {
        Some(Self {
            admissions: count(self.admissions, other.admissions)?,
            eligible: amount(self.eligible, other.eligible)?,
            deductible: amount(self.deductible, other.deductible)?,
            funds: self.funds.try_zip(other.funds, amount)?,
            own_burden: amount(self.own_burden, other.own_burden)?,
            account: amount(self.account, other.account)?,
        })
    }
}
