//! Money and exact numbers: fen, rationals, and the decimals in which quantities and prices are written.
//!
//! Invariant: nothing here rounds except the functions that say so, and they round half away from zero.
//! Invariant: an amount that enters is at most [`MAX_AMOUNT`]; sums that can leave `i64` are checked.
//! Leaves out: what an amount means (benefit, accumulator, account).

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// The largest amount of one bill, line, limit or request: 100 million yuan.
///
/// A trace keeps the exact base of every step in 64 bits. A ratio lowered by a factor has denominator 10^8, and
/// 10^10 fen times 10^8 is the largest power of ten that still fits.
pub const MAX_AMOUNT: Fen = Fen(10_000_000_000);

/// Parts per ten thousand in one whole.
pub const BASIS_POINTS: u32 = 10_000;

/// An amount of money in fen, a hundredth of a yuan.
///
/// The operators panic on overflow in every build; amounts within [`MAX_AMOUNT`] cannot reach it. Where sums grow over
/// years, use the checked methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fen(pub i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, or `None` where it leaves 64 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` where it leaves 64 bits.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Whether this may be the amount of a bill, a limit or a request: from zero to [`MAX_AMOUNT`].
    pub fn is_amount(self) -> bool {
        (Self::ZERO..=MAX_AMOUNT).contains(&self)
    }

    /// What is left of this after `used`; nothing where more was used.
    #[must_use]
    pub fn left_after(self, used: Self) -> Self {
        Self(self.0.saturating_sub(used.0).max(0))
    }
}

impl Add for Fen {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.checked_add(other).expect("amounts are bounded far below the range of i64")
    }
}

impl Sub for Fen {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.checked_sub(other).expect("amounts are bounded far below the range of i64")
    }
}

impl Neg for Fen {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl AddAssign for Fen {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Fen {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Fen {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// In yuan, with both decimals.
impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let fen = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", fen / 100, fen % 100)
    }
}

/// The product. Nearly always both factors fit 64 bits, and then one instruction multiplies what takes thirty in 128.
pub fn product(a: i128, b: i128) -> i128 {
    match (i64::try_from(a), i64::try_from(b)) {
        (Ok(a), Ok(b)) => i128::from(a) * i128::from(b),
        _ => a * b,
    }
}

/// `numerator / denominator` to the nearest whole number, halves away from zero. The denominator is positive.
pub fn round_half_away(numerator: i128, denominator: i128) -> i128 {
    debug_assert!(denominator > 0, "a denominator is positive");
    // Division of 128 bits costs ten times that of 64, and nearly every amount fits.
    let (quotient, round_up) = match (i64::try_from(numerator), i64::try_from(denominator)) {
        (Ok(n), Ok(d)) => (i128::from(n / d), (n % d).unsigned_abs() >= d.unsigned_abs().div_ceil(2)),
        _ => (
            numerator / denominator,
            (numerator % denominator).unsigned_abs() >= denominator.unsigned_abs().div_ceil(2),
        ),
    };
    if round_up { quotient + numerator.signum() } else { quotient }
}

/// An exact number of fen, as a fraction with positive denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };

    /// A whole number of fen.
    pub fn whole(amount: Fen) -> Self {
        Self { numerator: i128::from(amount.0), denominator: 1 }
    }

    /// The fraction in lowest terms. The denominator is positive.
    pub fn reduced(numerator: i128, denominator: i128) -> Self {
        debug_assert!(denominator > 0, "a denominator is positive");
        if denominator == 1 {
            return Self { numerator, denominator };
        }
        let divisor = greatest_common_divisor(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).expect("it divides a positive i128");
        Self { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    /// Above the line.
    pub fn numerator(self) -> i128 {
        self.numerator
    }

    /// Below the line, positive.
    pub fn denominator(self) -> i128 {
        self.denominator
    }

    /// Whether nothing is left.
    pub fn is_zero(self) -> bool {
        self.numerator == 0
    }

    /// Numerator and denominator in 64 bits, as a trace stores them; `None` where they do not fit.
    pub fn in_64_bits(self) -> Option<(i64, i64)> {
        Some((i64::try_from(self.numerator).ok()?, i64::try_from(self.denominator).ok()?))
    }
}

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        if let (Ok(mut small), Ok(mut rest)) = (u64::try_from(a), u64::try_from(b)) {
            while rest != 0 {
                (small, rest) = (rest, small % rest);
            }
            return u128::from(small);
        }
        (a, b) = (b, a % b);
    }
    a
}

/// How many of an item: ten-thousandths, at most 12 digits before the point. Negative where something is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quantity(i64);

/// The price of one, or its ceiling: millionths of a yuan, at most 10 digits before the point, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitPrice(i64);

const QUANTITY_DECIMALS: usize = 4;
const PRICE_DECIMALS: usize = 6;
/// Both are written with at most 16 digits (`N16,4` and `N16,6` of the national interface), so that they fit 64 bits.
const DIGITS: usize = 16;

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads digits with at most 4 decimals and an optional minus; `None` for any other spelling.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('-') {
            Some(digits) => parse_decimal(digits, QUANTITY_DECIMALS).filter(|scaled| *scaled != 0).map(|q| Self(-q)),
            None => parse_decimal(text, QUANTITY_DECIMALS).map(Self),
        }
    }

    /// The sum, or `None` where it leaves 64 bits. Taking back adds a negative quantity.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// From ten-thousandths, as a journal stores it.
    pub fn from_ten_thousandths(scaled: i64) -> Self {
        Self(scaled)
    }

    /// In ten-thousandths.
    pub fn ten_thousandths(self) -> i64 {
        self.0
    }
}

impl UnitPrice {
    /// Reads digits with at most 6 decimals and no sign; `None` for any other spelling.
    pub fn parse(text: &str) -> Option<Self> {
        parse_decimal(text, PRICE_DECIMALS).map(Self)
    }

    /// From millionths of a yuan, as a journal stores it; `None` where negative.
    pub fn from_millionths(scaled: i64) -> Option<Self> {
        (scaled >= 0).then_some(Self(scaled))
    }

    /// In millionths of a yuan.
    pub fn millionths(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write_decimal(f, self.0.unsigned_abs(), QUANTITY_DECIMALS)
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0.unsigned_abs(), PRICE_DECIMALS)
    }
}

/// One spelling for one number, save trailing zeros: no sign, exponent, space, leading zero or bare point.
fn parse_decimal(text: &str, decimals: usize) -> Option<i64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let well_written = !whole.is_empty()
        && whole.len() <= DIGITS - decimals
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.len() <= decimals;
    if !well_written {
        return None;
    }
    let zeros = std::iter::repeat_n(b'0', decimals - fraction.len());
    whole
        .bytes()
        .chain(fraction.bytes())
        .chain(zeros)
        .try_fold(0, |scaled: i64, digit| digit.is_ascii_digit().then(|| scaled * 10 + i64::from(digit - b'0')))
}

fn write_decimal(f: &mut fmt::Formatter<'_>, scaled: u64, decimals: usize) -> fmt::Result {
    let digits = format!("{scaled:0width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { f.write_str(whole) } else { write!(f, "{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_away_from_zero_in_both_widths() {
        let wide = i128::from(i64::MAX) * 1_000;
        for (numerator, denominator, expected) in [
            (5, 10, 1),
            (4, 10, 0),
            (-5, 10, -1),
            (-4, 10, 0),
            (15, 10, 2),
            (1, 3, 0),
            (2, 3, 1),
            (-2, 3, -1),
            (0, 7, 0),
        ] {
            assert_eq!(round_half_away(numerator, denominator), expected, "{numerator}/{denominator}");
            assert_eq!(round_half_away(numerator * wide, denominator * wide), expected, "{numerator}/{denominator}");
        }
    }

    #[test]
    fn a_decimal_has_one_spelling() {
        for (text, scaled) in [("0", 0), ("7", 70_000), ("2.5", 25_000), ("0.0001", 1), ("33.30", 333_000)] {
            assert_eq!(Quantity::parse(text), Some(Quantity(scaled)), "{text}");
        }
        assert_eq!(Quantity::parse("-1.5"), Some(Quantity(-15_000)));
        assert_eq!(Quantity::parse("999999999999.9999"), Some(Quantity(9_999_999_999_999_999)));
        assert_eq!(UnitPrice::parse("45.333333"), Some(UnitPrice(45_333_333)));
        for text in [
            "",
            "-",
            "+1",
            " 1",
            "1 ",
            "1e3",
            "1.",
            ".5",
            "01",
            "00",
            "-0",
            "-0.0",
            "--1",
            "1.00001",
            "1,5",
            "1.2.3",
            "１",
            "1000000000000",
            "0x1",
            "1.-5",
        ] {
            assert_eq!(Quantity::parse(text), None, "{text:?}");
        }
        for text in ["-1", "0.0000001", "10000000000"] {
            assert_eq!(UnitPrice::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_print_as_they_are_written() {
        assert_eq!(Fen(-5).to_string(), "-0.05");
        assert_eq!(Fen(2_160_000).to_string(), "21600.00");
        for text in ["0", "7", "2.5", "-0.0001", "120"] {
            assert_eq!(Quantity::parse(text).map(|q| q.to_string()).as_deref(), Some(text));
        }
        assert_eq!(UnitPrice::parse("0.500000").map(|p| p.to_string()).as_deref(), Some("0.5"));
    }

    #[test]
    fn a_fraction_is_kept_in_lowest_terms() {
        assert_eq!(Ratio::reduced(8_800, 10_000).in_64_bits(), Some((22, 25)));
        assert_eq!(Ratio::reduced(0, 9_000).in_64_bits(), Some((0, 1)));
        let wide = i128::from(u64::MAX) * 3;
        assert_eq!(Ratio::reduced(wide, wide * 2).in_64_bits(), Some((1, 2)));
        assert_eq!(Ratio::reduced(wide, 2).in_64_bits(), None);
    }
}
