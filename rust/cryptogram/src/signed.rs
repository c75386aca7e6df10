//! The fields of a presentation that the chip signs, and their bytes in the order in which it signs them.
//!
//! Invariant: the bytes are built from the fields, never taken from the caller.

use crate::FieldError;

const MAX_AMOUNT_FEN: u64 = 999_999_999_999;
const MAX_NUMERIC_CODE: u16 = 999;

/// What a chip signs; tags in brackets. Fields already in the chip's own form are byte arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedFields {
    /// Amount authorised (9F02).
    pub amount_fen: u64,
    /// Other amount (9F03).
    pub other_amount_fen: u64,
    /// ISO 3166 numeric code (9F1A): 156.
    pub terminal_country: u16,
    /// Terminal verification results (95).
    pub tvr: [u8; 5],
    /// ISO 4217 numeric code (5F2A): 156.
    pub currency: u16,
    /// Transaction date (9A).
    pub transaction_date: TransactionDate,
    /// Transaction type (9C) as on the wire, two packed digits: type 31 is 0x31.
    pub transaction_type: u8,
    /// Unpredictable number (9F37).
    pub unpredictable_number: [u8; 4],
    /// Application interchange profile (82).
    pub aip: [u8; 2],
    /// Application transaction counter (9F36).
    pub atc: u16,
    /// Card verification results, absent for EMV applications that do not sign them.
    pub cvr: Option<[u8; 4]>,
}

impl SignedFields {
    /// Put the fields in the chip's order: 37 bytes, 33 without card verification results.
    pub fn encode(&self) -> Result<SignedBytes, FieldError> {
        let mut bytes = SignedBytes { bytes: [0; 37], length: 0 };
        bytes.push(&packed_amount("amount", self.amount_fen)?);
        bytes.push(&packed_amount("other amount", self.other_amount_fen)?);
        bytes.push(&packed_code("terminal country", self.terminal_country)?);
        bytes.push(&self.tvr);
        bytes.push(&packed_code("currency", self.currency)?);
        bytes.push(&self.transaction_date.0);
        bytes.push(&[self.transaction_type]);
        bytes.push(&self.unpredictable_number);
        bytes.push(&self.aip);
        bytes.push(&self.atc.to_be_bytes());
        if let Some(cvr) = self.cvr {
            bytes.push(&cvr);
        }
        Ok(bytes)
    }
}

/// The encoded fields, without allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedBytes {
    bytes: [u8; 37],
    length: usize,
}

impl SignedBytes {
    /// Return the 33 or 37 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, field: &[u8]) {
        self.bytes[self.length..self.length + field.len()].copy_from_slice(field);
        self.length += field.len();
    }
}

/// A chip's date: packed digits of year, month and day, without the century.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionDate([u8; 3]);

impl TransactionDate {
    /// Take a calendar date. Months and days are checked for their range only; the calendar is the caller's.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, FieldError> {
        if year > 9999 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(FieldError::Date { year, month, day });
        }
        Ok(Self(packed(u64::from(year % 100) * 10_000 + u64::from(month) * 100 + u64::from(day))))
    }
}

fn packed_amount(field: &'static str, fen: u64) -> Result<[u8; 6], FieldError> {
    if fen > MAX_AMOUNT_FEN {
        return Err(FieldError::Amount { field, fen });
    }
    Ok(packed(fen))
}

fn packed_code(field: &'static str, code: u16) -> Result<[u8; 2], FieldError> {
    if code > MAX_NUMERIC_CODE {
        return Err(FieldError::NumericCode { field, code });
    }
    Ok(packed(u64::from(code)))
}

/// Pack the last `2 * N` decimal digits of a number, two to a byte.
fn packed<const N: usize>(mut number: u64) -> [u8; N] {
    let mut bytes = [0; N];
    for byte in bytes.iter_mut().rev() {
        let pair = u8::try_from(number % 100).expect("below 100");
        *byte = ((pair / 10) << 4) | (pair % 10);
        number /= 100;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settlement() -> SignedFields {
        SignedFields {
            amount_fen: 1_234_567_890,
            other_amount_fen: 50_000,
            terminal_country: 156,
            tvr: [0x80, 0x00, 0x04, 0x00, 0x01],
            currency: 156,
            transaction_date: TransactionDate::new(2026, 7, 31).expect("a date"),
            transaction_type: 0x31,
            unpredictable_number: [0xDE, 0xAD, 0xBE, 0xEF],
            aip: [0x7C, 0x00],
            atc: 0x01FF,
            cvr: Some([0x03, 0xA4, 0x90, 0x12]),
        }
    }

    #[test]
    fn fields_stand_in_the_order_in_which_the_chip_signs_them() {
        let bytes = settlement().encode().expect("in range");
        let by_hand = "001234567890000000050000015680000400010156260731\
                       31DEADBEEF7C0001FF03A49012";
        assert_eq!(hex::encode_upper(bytes.as_bytes()), by_hand);
        assert_eq!(bytes.as_bytes().len(), 37);
    }

    #[test]
    fn without_verification_results_the_last_four_bytes_are_missing() {
        let with = settlement().encode().expect("in range");
        let without = SignedFields { cvr: None, ..settlement() }.encode().expect("in range");
        assert_eq!(without.as_bytes(), &with.as_bytes()[..33]);
    }

    #[test]
    fn amounts_have_at_most_twelve_digits() {
        let most = SignedFields { amount_fen: 999_999_999_999, ..settlement() }.encode().expect("in range");
        assert_eq!(most.as_bytes()[..6], [0x99; 6]);
        let refused = SignedFields { amount_fen: 1_000_000_000_000, ..settlement() }.encode();
        assert_eq!(refused, Err(FieldError::Amount { field: "amount", fen: 1_000_000_000_000 }));
        let refused = SignedFields { other_amount_fen: u64::MAX, ..settlement() }.encode();
        assert_eq!(refused, Err(FieldError::Amount { field: "other amount", fen: u64::MAX }));
    }

    #[test]
    fn country_and_currency_have_at_most_three_digits() {
        let refused = SignedFields { terminal_country: 1000, ..settlement() }.encode();
        assert_eq!(refused, Err(FieldError::NumericCode { field: "terminal country", code: 1000 }));
        let refused = SignedFields { currency: 1156, ..settlement() }.encode();
        assert_eq!(refused, Err(FieldError::NumericCode { field: "currency", code: 1156 }));
    }

    #[test]
    fn a_date_has_a_month_and_a_day() {
        assert!(TransactionDate::new(2026, 12, 31).is_ok());
        for (year, month, day) in [(2026, 0, 1), (2026, 13, 1), (2026, 1, 0), (2026, 1, 32), (10_000, 1, 1)] {
            assert_eq!(TransactionDate::new(year, month, day), Err(FieldError::Date { year, month, day }));
        }
    }
}
