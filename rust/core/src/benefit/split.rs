//! The result of a settlement: who pays what, why, and the identities that must hold before it counts.
//!
//! Invariant: a split that [`Split::check`] accepts closes in every row; nothing else may be committed.
//! Leaves out: the hashes of the packages used, which the caller knows and records beside it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::accumulator::FundAmounts;
use crate::benefit::LineSplit;
use crate::money::Fen;
use crate::policy::Fund;

/// Who pays what of one bill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The bill: total, own pay, over ceiling, first pay, in scope.
    pub bill: LineSplit,
    /// Deductible charged, `act_pay_dedc`.
    pub deductible: Fen,
    /// What each fund pays.
    pub funds: FundAmounts,
    /// What the hospital bears, `hosp_part_amt`.
    pub hospital_part: Fen,
    /// What the person bears, `psn_part_amt`.
    pub person_part: Fen,
    /// Paid from accounts, the family's included, `acct_pay`.
    pub account: Fen,
    /// Of that, from a family account, `acct_mulaid_pay`.
    pub family: Fen,
    /// Paid in cash, `psn_cash_pay`.
    pub cash: Fen,
    /// Why: every step with its exact base and rate.
    pub trace: Vec<Step>,
}

impl Split {
    /// All funds together, `fund_pay_sumamt`.
    pub fn fund_total(&self) -> Fen {
        self.funds.total()
    }

    /// The identities that a split alone can break: I1 to I6, and of I9 the deductible.
    pub fn check(&self) -> Result<(), Identity> {
        if self.bill.total != self.fund_total() + self.person_part + self.hospital_part {
            return Err(Identity::Total);
        }
        if self.person_part != self.account + self.cash {
            return Err(Identity::PersonPart);
        }
        if !(Fen::ZERO..=self.account).contains(&self.family) {
            return Err(Identity::FamilyPart);
        }
        self.bill.check()?;
        let mut paid = FundAmounts::default();
        for step in &self.trace {
            if let Code::Band(fund, _) = step.code {
                paid[fund] += step.amount;
            }
        }
        if paid != self.funds {
            return Err(Identity::TraceOfFunds);
        }
        if self.deductible > self.bill.in_scope {
            return Err(Identity::Limits);
        }
        Ok(())
    }
}

/// An identity that does not hold: a bug, never an input.
///
/// I2 is not among them: the total of the funds is their sum by construction of [`FundAmounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Identity {
    /// I1.
    #[error("I1: total = funds + person part + hospital part")]
    Total,
    /// I3.
    #[error("I3: person part = account + cash")]
    PersonPart,
    /// I4.
    #[error("I4: 0 <= family <= account")]
    FamilyPart,
    /// I5.
    #[error("I5: total = own pay + over ceiling + first pay + in scope")]
    FourSplits,
    /// I6.
    #[error("I6: a fund's steps of the trace add up to what it pays")]
    TraceOfFunds,
    /// I7.
    #[error("I7: balance after = balance before - own account part, not negative")]
    Balance,
    /// I8.
    #[error("I8: the header is the sum of its lines")]
    HeaderOfLines,
    /// I9.
    #[error("I9: the deductible is within scope and each fund within its limit")]
    Limits,
}

/// One step of the calculation: `amount` is base times rate in fen, halves away from zero, except that a fund's last
/// paid step takes what rounding left between its steps and its total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What the step is.
    pub code: Code,
    /// The benefit year in which it counts.
    pub year: i32,
    /// Exact base in fen, above the line.
    pub base_numerator: i64,
    /// Exact base in fen, below the line.
    pub base_denominator: i64,
    /// Exact rate, above the line.
    pub rate_numerator: i64,
    /// Exact rate, below the line.
    pub rate_denominator: i64,
    /// The result.
    pub amount: Fen,
}

impl Step {
    /// A step that takes an amount as it is.
    pub(super) fn whole(code: Code, year: i32, amount: Fen) -> Self {
        Self {
            code,
            year,
            base_numerator: amount.0,
            base_denominator: 1,
            rate_numerator: 1,
            rate_denominator: 1,
            amount,
        }
    }
}

/// What a step is, written as in the national list of policy items; medical aid and other funds, for which that list
/// has no code, are `MA` and `OT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// `S001`.
    Deductible,
    /// A fund's band, counted from 1 among the bands that the person meets: `C001`, `L001`, `PL01`, `GB01`, `PS01`, `MA01`, `OT01`.
    Band(Fund, u8),
    /// `EC01`: cost beyond the pool's limit; `EC02`: beyond the limit of the layer on that cost.
    OverCap(u8),
    /// `101`.
    OwnPay,
    /// `102`.
    FirstPay,
    /// `103`.
    OverCeiling,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deductible => f.write_str("S001"),
            Self::Band(Fund::Pool, band) => write!(f, "C{band:03}"),
            Self::Band(Fund::LargeSum, band) => write!(f, "L{band:03}"),
            Self::Band(Fund::Catastrophic, band) => write!(f, "PL{band:02}"),
            Self::Band(Fund::CivilServant, band) => write!(f, "GB{band:02}"),
            Self::Band(Fund::Supplement, band) => write!(f, "PS{band:02}"),
            Self::Band(Fund::MedicalAid, band) => write!(f, "MA{band:02}"),
            Self::Band(Fund::Other, band) => write!(f, "OT{band:02}"),
            Self::OverCap(count) => write!(f, "EC{count:02}"),
            Self::OwnPay => f.write_str("101"),
            Self::FirstPay => f.write_str("102"),
            Self::OverCeiling => f.write_str("103"),
        }
    }
}
