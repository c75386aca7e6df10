//! Names of things: regions, institutions, cards, requests, and the numbers that the hub gives.
//!
//! Invariant: a value of these types is well formed; their constructors are the only way in.
//! Invariant: a number given by a hub is `hub × 10^13 + sequence of the record that created the thing`, so it is unique in the country,
//! readable as decimals, and exact in languages whose numbers are doubles while the hub number is below 900.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Room for sequences below a hub's number: ten trillion records, a thousand years of the whole country.
pub const IDS_PER_HUB: u64 = 10_000_000_000_000;

/// Largest hub number whose ids stay positive in a signed 64-bit integer.
pub const MAX_HUB_NUMBER: u32 = 900_000;

/// Number of a hub in the country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HubNumber(u32);

impl HubNumber {
    /// Accept 1 to [`MAX_HUB_NUMBER`].
    pub const fn new(number: u32) -> Option<Self> {
        if number >= 1 && number <= MAX_HUB_NUMBER { Some(Self(number)) } else { None }
    }

    /// The bare number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The hub that gave an id; none gives the small numbers below the first hub's.
    pub fn of_id(id: u64) -> Option<Self> {
        u32::try_from(id / IDS_PER_HUB).ok().and_then(Self::new)
    }

    /// The id of what the record with this sequence creates.
    pub const fn id(self, sequence: u64) -> u64 {
        self.0 as u64 * IDS_PER_HUB + sequence
    }
}

macro_rules! given_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

given_ids! {
    /// An insured person.
    PersonId;
    /// A card, from its application on.
    CardId;
    /// A filing for treatment elsewhere.
    FilingId;
    /// An inpatient stay.
    StayId;
    /// A settlement or its exact negation.
    SettlementId;
    /// An alert, counted by itself: one record may raise several.
    AlertId;
    /// A desk's voucher for a stay.
    VoucherId;
    /// What was taken back from a thief, as one decision.
    UnwindId;
}

/// Six-digit administrative division.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct RegionCode(u32);

impl TryFrom<u32> for RegionCode {
    type Error = &'static str;

    fn try_from(code: u32) -> Result<Self, &'static str> {
        if (100_000..1_000_000).contains(&code) { Ok(Self(code)) } else { Err("no region code") }
    }
}

impl RegionCode {
    /// Read six digits, the first not 0.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        if digits { text.parse().ok().map(Self) } else { None }
    }

    /// The number of six digits.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RegionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

/// Twelve characters that name an institution.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "[u8; 12]")]
pub struct InstitutionCode([u8; 12]);

impl TryFrom<[u8; 12]> for InstitutionCode {
    type Error = &'static str;

    fn try_from(code: [u8; 12]) -> Result<Self, &'static str> {
        if code.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            Ok(Self(code))
        } else {
            Err("no institution code")
        }
    }
}

impl InstitutionCode {
    /// Read 12 characters of `A-Z 0-9`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 12] = text.as_bytes().try_into().ok()?;
        Self::try_from(bytes).ok()
    }

    /// The twelve characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII is accepted")
    }
}

impl fmt::Display for InstitutionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InstitutionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A card's number with its sequence number, in ten bytes; together they name one card of an issuer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(Rust, packed(2))]
pub struct Pan {
    digits: u64,
    length: u8,
    sequence_number: u8,
}

impl Pan {
    /// Read 12 to 19 digits and a sequence number of 0 to 99.
    pub fn parse(text: &str, sequence_number: u32) -> Option<Self> {
        let formed = (12..=19).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let sequence_number = u8::try_from(sequence_number).ok().filter(|n| *n <= 99)?;
        let length = u8::try_from(text.len()).ok()?;
        // Nineteen nines are below 2^64.
        if formed { Some(Self { digits: text.parse().ok()?, length, sequence_number }) } else { None }
    }

    /// The digits as they were read, with leading zeros.
    pub fn number(&self) -> String {
        format!("{:0width$}", { self.digits }, width = usize::from(self.length))
    }

    /// 0 to 99.
    pub const fn sequence_number(&self) -> u8 {
        self.sequence_number
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Card numbers never reach a log whole.
        write!(f, "…{:04}", self.digits % 10_000)
    }
}

/// Recognition code of a card, as readers return it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CardSn([u8; 16]);

impl CardSn {
    /// Read 32 upper-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 32 {
            return None;
        }
        let digit = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'A'..=b'F' => Some(b - b'A' + 10),
            _ => None,
        };
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for CardSn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 0xf)];
        }
        f.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl fmt::Debug for CardSn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An institution's own name of a request, unique for ever within the institution. Cloning shares it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "&str")]
pub struct RequestId(Arc<str>);

impl TryFrom<&str> for RequestId {
    type Error = &'static str;

    fn try_from(text: &str) -> Result<Self, &'static str> {
        Self::parse(text).ok_or("no request id")
    }
}

impl RequestId {
    /// Read 1 to 64 characters of `A-Z a-z 0-9 . _ : -`.
    pub fn parse(text: &str) -> Option<Self> {
        let formed = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'));
        formed.then(|| Self(text.into()))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A 32-byte hash: of a package, a quote, a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash32(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pan_keeps_its_leading_zeros_and_nineteen_digits() {
        for text in ["0156000000001", "9999999999999999999", "915600000000"] {
            assert_eq!(Pan::parse(text, 7).unwrap().number(), text);
        }
        assert!(Pan::parse("91560000000", 0).is_none());
        assert!(Pan::parse("9156000000001", 100).is_none());
        assert!(Pan::parse("91560000000a1", 0).is_none());
    }

    #[test]
    fn a_card_sn_reads_back_as_it_was_written() {
        let text = "0123456789ABCDEF0011223344556677";
        assert_eq!(CardSn::parse(text).unwrap().to_string(), text);
        assert!(CardSn::parse(&text.to_lowercase()).is_none());
    }

    #[test]
    fn the_largest_hub_still_gives_ids_that_fit_a_signed_integer() {
        let id = HubNumber::new(MAX_HUB_NUMBER).unwrap().id(IDS_PER_HUB - 1);
        assert!(i64::try_from(id).is_ok());
    }
}
