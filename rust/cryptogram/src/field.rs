//! What identifies a card to its issuer's keys (PAN and sequence number), and the cryptogram itself.
//!
//! Invariant: a [`Pan`] is 12 to 19 decimal digits. Its check digit is the card file's matter, not this crate's.

use std::fmt;

use thiserror::Error;

/// A field that no chip can have produced.
#[expect(missing_docs, reason = "the message of each variant says what it means")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FieldError {
    #[error("a PAN has 12 to 19 digits, this has {0}")]
    PanLength(usize),
    // The text is not repeated, since it may be a mistyped number of a real card.
    #[error("a PAN consists of decimal digits only")]
    PanNotDecimal,
    #[error("a PAN sequence number is 0 to 99, this is {0}")]
    SequenceNumber(u8),
    #[error("{field} has at most 12 digits of fen, this is {fen}")]
    Amount { field: &'static str, fen: u64 },
    #[error("{field} has at most 3 digits, this is {code}")]
    NumericCode { field: &'static str, code: u16 },
    #[error("there is no date {year}-{month}-{day} on any chip")]
    Date { year: u16, month: u8, day: u8 },
}

/// The number of a card.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pan {
    /// ASCII digits, then zero bytes.
    digits: [u8; Self::MAX_DIGITS],
    length: u8,
}

impl Pan {
    /// The shortest PAN accepted.
    pub const MIN_DIGITS: usize = 12;
    /// The longest PAN there is (ISO/IEC 7812).
    pub const MAX_DIGITS: usize = 19;

    /// Take the decimal digits of a PAN, without blanks.
    pub fn new(text: &str) -> Result<Self, FieldError> {
        if !(Self::MIN_DIGITS..=Self::MAX_DIGITS).contains(&text.len()) {
            return Err(FieldError::PanLength(text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FieldError::PanNotDecimal);
        }
        let mut digits = [0; Self::MAX_DIGITS];
        digits[..text.len()].copy_from_slice(text.as_bytes());
        let length = u8::try_from(text.len()).expect("at most 19");
        Ok(Self { digits, length })
    }

    /// Return the digits as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("decimal digits are ASCII")
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }

    /// Return the digits as packed decimal.
    pub(crate) fn packed(&self) -> u128 {
        let mut ascii = [0; 24];
        ascii[..Self::MAX_DIGITS].copy_from_slice(&self.digits);
        let all = ascii.as_chunks().0.iter().fold(0, |all, eight| (all << 32) | u128::from(packed_eight(*eight)));
        // What follows the last digit are zeros.
        all >> (4 * (24 - u32::from(self.length)))
    }
}

/// Pack eight ASCII digits, pairs of them first.
fn packed_eight(ascii: [u8; 8]) -> u64 {
    let digits = u64::from_be_bytes(ascii) & 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (digits | (digits >> 4)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs | (pairs >> 8)) & 0x0000_FFFF_0000_FFFF;
    (fours | (fours >> 16)) & 0xFFFF_FFFF
}

/// Shows the issuer's digits and the last four, as a receipt does.
impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.as_str();
        let hidden = text.len() - 10;
        write!(f, "Pan({}{}{})", &text[..6], "*".repeat(hidden), &text[6 + hidden..])
    }
}

/// Tells cards with the same PAN apart, 0 to 99. A card without one counts as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(u8);

impl SequenceNumber {
    /// Take a sequence number of two decimal digits.
    pub const fn new(number: u8) -> Result<Self, FieldError> {
        if number > 99 { Err(FieldError::SequenceNumber(number)) } else { Ok(Self(number)) }
    }

    /// Return the number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Eight bytes as received from a chip. They are public; what they ought to be never leaves this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cryptogram(pub [u8; 8]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pan_has_12_to_19_decimal_digits() {
        assert_eq!(Pan::new("91561234567"), Err(FieldError::PanLength(11)));
        assert_eq!(Pan::new("91561234567890123456"), Err(FieldError::PanLength(20)));
        assert_eq!(Pan::new("9156 12345678"), Err(FieldError::PanNotDecimal));
        assert_eq!(Pan::new("915612345678٣"), Err(FieldError::PanNotDecimal));
        for text in ["915612345678", "9156123456789012345"] {
            assert_eq!(Pan::new(text).expect("valid").as_str(), text);
        }
    }

    #[test]
    fn a_pan_is_packed_digit_by_digit() {
        for text in ["915612345678", "9156123456789", "9156123456789012", "9156123456789012345"] {
            assert_eq!(format!("{:x}", Pan::new(text).expect("valid").packed()), text);
        }
        assert_eq!(Pan::new("000000000001").expect("valid").packed(), 1);
    }

    #[test]
    fn debug_shows_a_pan_only_in_part() {
        let pan = Pan::new("9156123456789012").expect("valid");
        assert_eq!(format!("{pan:?}"), "Pan(915612******9012)");
    }

    #[test]
    fn a_sequence_number_has_two_digits() {
        assert_eq!(SequenceNumber::new(99).map(SequenceNumber::get), Ok(99));
        assert_eq!(SequenceNumber::new(100), Err(FieldError::SequenceNumber(100)));
    }
}
