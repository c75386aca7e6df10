//! From bill to who-pays-what: one settlement, as a function of the case, the packages and the account request.
//!
//! Invariant: a Quote and a Settle of the same case are the same calculation; they differ only in how the account
//! request is met.
//! Invariant: what leaves here satisfies the identities; a result that does not is an error and never an answer.
//! Leaves out: finding packages, filings and accumulators in force, and recording anything.

mod layers;
mod line;
mod split;
mod years;

pub use line::{LineSplit, split_line, split_refund};
pub use split::{Code, Identity, Split, Step};

use std::fmt;

use crate::accumulator::Accumulators;
use crate::calendar::Date;
use crate::money::Fen;
use crate::policy::{AccountUse, BenefitPolicy, CapMeasure, Category, Counter, FilingKind, Fund, Level, Scope};
use years::{Funded, most_favourable, policy_in, push_amount};

/// A rule that the policy does not have, so that there is nothing to calculate by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// An adjustment for a filing that needs one.
    Filing(FilingKind),
    /// A deductible, in a policy that has deductibles.
    Deductible {
        /// Institution level.
        level: Level,
        /// Person category.
        category: Category,
        /// Admission of the year.
        admission: u32,
    },
    /// Bands of a layer.
    Bands {
        /// The layer's fund.
        fund: Fund,
        /// Institution level.
        level: Level,
        /// Person category.
        category: Category,
    },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filing(kind) => write!(f, "adjustment for filing {kind}"),
            Self::Deductible { level, category, admission } => {
                write!(f, "deductible for level {level}, category {category}, admission {admission}")
            }
            Self::Bands { fund, level, category } => write!(f, "{fund} bands for level {level}, category {category}"),
        }
    }
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BenefitError {
    /// The policy does not speak of the case.
    #[error("the policy has no {what}")]
    NoRule {
        /// What is missing.
        what: Rule,
    },
    /// No package covers a benefit year of the stay.
    #[error("no benefit policy is in force for {year}")]
    PolicyMissing {
        /// The benefit year.
        year: i32,
    },
    /// Nothing is filed and the policy refuses that.
    #[error("nothing is filed for this care, and the policy refuses unfiled care")]
    FilingMissing,
    /// An account was asked for, and the policy forbids the use of every one that was meant.
    #[error("the policy forbids the use of accounts")]
    AccountUseForbidden,
    /// The account request cannot be drawn exactly.
    #[error("{requested} was asked from accounts, {available} can be drawn")]
    BalanceInsufficient {
        /// What was asked.
        requested: Fen,
        /// What balances, policy and the person's part allow.
        available: Fen,
    },
    /// An input outside its range, or a base too fine for the trace.
    #[error("{what} is out of range")]
    AmountOutOfRange {
        /// Which.
        what: &'static str,
    },
    /// A bug of this calculation, or a bill that does not close.
    #[error(transparent)]
    Identity(#[from] Identity),
}

/// One settlement to calculate. Everything dated has been resolved by the caller: filings and entitlements for the
/// admission day, the institution's level, the person's category.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The sums of the charge lines.
    pub bill: LineSplit,
    /// Level of the institution.
    pub level: Level,
    /// Category of the person.
    pub category: Category,
    /// Entitlements that the person holds.
    pub entitlements: &'a [String],
    /// The filings that apply, of which the most favourable counts; none is [`FilingKind::Unfiled`].
    pub filings: &'a [FilingKind],
    /// How far from home the care was; `None` in the insured region itself.
    pub scope: Option<Scope>,
    /// Day of admission; of a visit its day.
    pub admission: Date,
    /// Day of discharge; of a visit its day.
    pub discharge: Date,
    /// The person's accumulators by benefit year and counter, before this settlement.
    pub accumulators_of: &'a dyn Fn(i32, Counter) -> Accumulators,
}

/// How an account request is met that is larger than what can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// By what can be drawn.
    Quote,
    /// Not at all: the card has signed the amount.
    Settle,
}

/// What the person wants paid from accounts, and what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRequest {
    /// How a request beyond the balances is met.
    pub draw: Draw,
    /// The amount asked for, own and family account together.
    pub requested: Fen,
    /// Whether the family account may be used after the own one.
    pub use_family: bool,
    /// Balance of the own account.
    pub own_balance: Fen,
    /// What the family account makes available.
    pub family_balance: Fen,
}

/// How a settlement changes one year's accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccumulatorDelta {
    /// The benefit year.
    pub year: i32,
    /// Stays or visits.
    pub counter: Counter,
    /// What is added.
    pub delta: Accumulators,
}

/// The result of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjudication {
    /// Who pays what, and why.
    pub split: Split,
    /// The filing that counted.
    pub filing: FilingKind,
    /// Balance of the own account afterwards.
    pub balance_after: Fen,
    /// The changes of accumulators, by year; a stay that is split by nights has one per year.
    pub deltas: Vec<AccumulatorDelta>,
}

/// Calculates one settlement. `policy_of_year` gives the package in force for a benefit year, which has passed its
/// check.
pub fn adjudicate<'p>(
    case: &Case<'_>,
    policy_of_year: &dyn Fn(i32) -> Option<&'p BenefitPolicy>,
    account: &AccountRequest,
) -> Result<Adjudication, BenefitError> {
    let bill = &case.bill;
    for amount in [bill.total, bill.own_pay, bill.over_ceiling, bill.first_pay, bill.in_scope] {
        if !amount.is_amount() {
            return Err(BenefitError::AmountOutOfRange { what: "bill" });
        }
    }
    bill.check()?;
    let last_year = case.discharge.year();
    let (filing, funded) = most_favourable(case, last_year, policy_of_year)?;
    let Funded { deductible, funds, mut trace, mut deltas } = funded;
    for (code, amount) in
        [(Code::OwnPay, bill.own_pay), (Code::FirstPay, bill.first_pay), (Code::OverCeiling, bill.over_ceiling)]
    {
        push_amount(&mut trace, code, last_year, amount);
    }
    let hospital_part = Fen::ZERO;
    let person_part = bill.total - funds.total() - hospital_part;
    let drawn = draw(person_part, policy_in(last_year, policy_of_year)?, account)?;
    if let Some(last) = deltas.last_mut() {
        last.delta.account = drawn.account - drawn.family;
    }
    let result = Adjudication {
        split: Split {
            bill: *bill,
            deductible,
            funds,
            hospital_part,
            person_part,
            account: drawn.account,
            family: drawn.family,
            cash: person_part - drawn.account,
            trace,
        },
        filing,
        balance_after: account.own_balance - (drawn.account - drawn.family),
        deltas,
    };
    check_identities(&result, case, policy_of_year, account)?;
    Ok(result)
}

/// Checks a result against what it was made from: I1 to I6 and the deductible of I9 on the split, I7 on the balance,
/// and the limits of I9 against each year's policy and accumulators.
pub fn check_identities<'p>(
    result: &Adjudication,
    case: &Case<'_>,
    policy_of_year: &dyn Fn(i32) -> Option<&'p BenefitPolicy>,
    account: &AccountRequest,
) -> Result<(), Identity> {
    result.split.check()?;
    let from_own = result.split.account - result.split.family;
    if result.balance_after != account.own_balance - from_own
        || (from_own > Fen::ZERO && result.balance_after < Fen::ZERO)
    {
        return Err(Identity::Balance);
    }
    for change in &result.deltas {
        let before = (case.accumulators_of)(change.year, change.counter);
        let policy = policy_of_year(change.year).ok_or(Identity::Limits)?;
        for layer in &policy.layers {
            let limit = match (layer.annual_cap, layer.cap_measure) {
                (Some(cap), CapMeasure::Fund) => cap.left_after(before.funds[layer.fund]),
                _ => change.delta.eligible,
            };
            if change.delta.funds[layer.fund] > limit {
                return Err(Identity::Limits);
            }
        }
    }
    Ok(())
}

struct Drawn {
    account: Fen,
    family: Fen,
}

/// Draws the own account first, then the family's, never more than the person's part.
fn draw(person_part: Fen, policy: &BenefitPolicy, request: &AccountRequest) -> Result<Drawn, BenefitError> {
    let AccountRequest { draw, requested, use_family, own_balance, family_balance } = *request;
    if !requested.is_amount() {
        return Err(BenefitError::AmountOutOfRange { what: "account request" });
    }
    let usable = |rule: AccountUse, balance: Fen| {
        if rule == AccountUse::Allowed { balance.max(Fen::ZERO).min(person_part) } else { Fen::ZERO }
    };
    let own = usable(policy.account_use, own_balance);
    let family_use = if use_family { policy.family_use } else { AccountUse::Forbidden };
    let family = usable(family_use, family_balance);
    let forbidden = policy.account_use == AccountUse::Forbidden && family_use == AccountUse::Forbidden;
    if draw == Draw::Settle && requested > Fen::ZERO && forbidden {
        return Err(BenefitError::AccountUseForbidden);
    }
    let available = person_part.min(own + family);
    if draw == Draw::Settle && requested > available {
        return Err(BenefitError::BalanceInsufficient { requested, available });
    }
    let account = requested.min(available);
    Ok(Drawn { account, family: account.left_after(own) })
}
