//! One charge line, and the sums of many: how a price divides by the rules of the place of care.
//!
//! Invariant: total = own pay + over ceiling + first pay + in scope, for every line and every sum of lines.
//! Invariant: taking back everything of a line leaves zero, however it was taken back.
//! Leaves out: which terms an item has (`catalogue`) and which lines a stay holds.

use std::iter::Sum;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

use super::{BenefitError, Identity};
use crate::catalogue::{CeilingOrder, ItemClass, Terms};
use crate::money::{BASIS_POINTS, Fen, Quantity, UnitPrice, round_half_away};

/// Ten-thousandths of a piece times millionths of a yuan, in one fen.
const UNITS_PER_FEN: i128 = 100_000_000;

/// A total and its four parts: of a line, of a bill, or of what a refund takes off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSplit {
    /// `medfee_sumamt`.
    pub total: Fen,
    /// Wholly the person's, `fulamt_ownpay_amt`.
    pub own_pay: Fen,
    /// Above the price ceiling, `overlmt_selfpay`.
    pub over_ceiling: Fen,
    /// First-pay share of class B, `preselfpay_amt`.
    pub first_pay: Fen,
    /// Eligible, `inscp_scp_amt`.
    pub in_scope: Fen,
}

impl LineSplit {
    /// I5: the total is the sum of the four.
    pub fn check(&self) -> Result<(), Identity> {
        let parts = self.own_pay + self.over_ceiling + self.first_pay + self.in_scope;
        if self.total == parts { Ok(()) } else { Err(Identity::FourSplits) }
    }

    /// I8: the header is the sum of the lines, in the total and each of the four.
    pub fn check_lines<'a>(&self, lines: impl IntoIterator<Item = &'a Self>) -> Result<(), Identity> {
        let sum: Self = lines.into_iter().copied().sum();
        if *self == sum { Ok(()) } else { Err(Identity::HeaderOfLines) }
    }

    fn zip(self, other: Self, combine: fn(Fen, Fen) -> Fen) -> Self {
        Self {
            total: combine(self.total, other.total),
            own_pay: combine(self.own_pay, other.own_pay),
            over_ceiling: combine(self.over_ceiling, other.over_ceiling),
            first_pay: combine(self.first_pay, other.first_pay),
            in_scope: combine(self.in_scope, other.in_scope),
        }
    }
}

impl Add for LineSplit {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, Add::add)
    }
}

impl Sub for LineSplit {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.zip(other, Sub::sub)
    }
}

impl Sum for LineSplit {
    fn sum<I: Iterator<Item = Self>>(splits: I) -> Self {
        splits.fold(Self::default(), Add::add)
    }
}

/// Divides the price of `quantity` pieces, which is not negative.
pub fn split_line(terms: &Terms, quantity: Quantity, price: UnitPrice) -> Result<LineSplit, BenefitError> {
    if quantity < Quantity::ZERO {
        return Err(BenefitError::AmountOutOfRange { what: "quantity" });
    }
    let pieces = i128::from(quantity.ten_thousandths());
    let to_fen = |units: i128| {
        let fen = i64::try_from(round_half_away(units, UNITS_PER_FEN)).ok().map(Fen);
        fen.filter(|amount| amount.is_amount()).ok_or(BenefitError::AmountOutOfRange { what: "line total" })
    };
    let total = to_fen(pieces * i128::from(price.millionths()))?;
    if terms.class == ItemClass::C {
        return Ok(LineSplit { total, own_pay: total, ..LineSplit::default() });
    }
    let (over_ceiling, first_pay) = match terms.order {
        CeilingOrder::CeilingFirst => {
            let excess = terms.ceiling.map_or(0, |ceiling| (price.millionths() - ceiling.millionths()).max(0));
            let over_ceiling = to_fen(pieces * i128::from(excess))?;
            (over_ceiling, first_pay_of(terms, total - over_ceiling))
        }
        CeilingOrder::FirstPayFirst => {
            let first_pay = first_pay_of(terms, total);
            let rest = i128::from((total - first_pay).0) * UNITS_PER_FEN;
            let excess = terms.ceiling.map_or(0, |ceiling| (rest - pieces * i128::from(ceiling.millionths())).max(0));
            (to_fen(excess)?, first_pay)
        }
    };
    let in_scope = total - over_ceiling - first_pay;
    Ok(LineSplit { total, own_pay: Fen::ZERO, over_ceiling, first_pay, in_scope })
}

/// What a refund adds to the bill, on the terms of the line it takes back: never more than zero.
///
/// It is the split of what is left after less that of what was left before, so that roundings never remain.
pub fn split_refund(
    terms: &Terms,
    price: UnitPrice,
    left_before: Quantity,
    left_after: Quantity,
) -> Result<LineSplit, BenefitError> {
    if left_after > left_before {
        return Err(BenefitError::AmountOutOfRange { what: "quantity" });
    }
    Ok(split_line(terms, left_after, price)? - split_line(terms, left_before, price)?)
}

fn first_pay_of(terms: &Terms, amount: Fen) -> Fen {
    if terms.class != ItemClass::B {
        return Fen::ZERO;
    }
    let share = round_half_away(i128::from(amount.0) * i128::from(terms.first_pay_bp), i128::from(BASIS_POINTS));
    Fen(i64::try_from(share).expect("a share is not larger than its amount"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(order: CeilingOrder, quantity: &str, price: &str, ceiling: &str) -> LineSplit {
        let terms = Terms { class: ItemClass::B, first_pay_bp: 1_000, ceiling: UnitPrice::parse(ceiling), order };
        let quantity = Quantity::parse(quantity).expect("well written");
        split_line(&terms, quantity, UnitPrice::parse(price).expect("well written")).expect("in range")
    }

    #[test]
    fn the_first_pay_share_comes_before_the_ceiling_where_the_catalogue_says_so() {
        let ceiling_first = split(CeilingOrder::CeilingFirst, "10", "12", "10");
        assert_eq!(
            (ceiling_first.over_ceiling, ceiling_first.first_pay, ceiling_first.in_scope),
            (Fen(2_000), Fen(1_000), Fen(9_000))
        );
        // Of 120.00 the person first pays 12.00; of the remaining 108.00 the ceiling allows 100.00.
        let first_pay_first = split(CeilingOrder::FirstPayFirst, "10", "12", "10");
        assert_eq!(
            (first_pay_first.over_ceiling, first_pay_first.first_pay, first_pay_first.in_scope),
            (Fen(800), Fen(1_200), Fen(10_000))
        );
    }

    #[test]
    fn a_line_beyond_the_largest_amount_is_refused() {
        let whole = |text| UnitPrice::parse(text).expect("well written");
        let million = Quantity::parse("1000000").expect("well written");
        assert!(split_line(&Terms::OWN_EXPENSE, million, whole("100")).is_ok());
        let refused = Err(BenefitError::AmountOutOfRange { what: "line total" });
        assert_eq!(split_line(&Terms::OWN_EXPENSE, million, whole("100.0001")), refused);
        let largest = Quantity::parse("999999999999.9999").expect("well written");
        assert_eq!(split_line(&Terms::OWN_EXPENSE, largest, whole("9999999999.999999")), refused);
    }
}
