//! How a card is shown with a command, and what came of its cryptogram.
//!
//! Invariant: the cryptogram itself never comes here; its verdict stands in the context of the decision.

use crate::calendar::Date;
use crate::ids::{CardSn, InstitutionCode, Pan, VoucherId};
use crate::money::Fen;
use crate::person::Sex;
use crate::token::TokenId;

/// A card as the terminal read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// What was shown.
    pub credential: Credential,
    /// Where.
    pub terminal: Box<str>,
}

/// What was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A chip.
    Chip(ChipPresentation),
    /// A card without a chip.
    Stripe(CardSn),
    /// A token of the issuer.
    Electronic(Token),
    /// A desk's voucher.
    Voucher(VoucherId),
}

/// What a token says; its signature was verified before and the verdict stands in the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its own name.
    pub id: TokenId,
    /// The card that it stands for.
    pub card_sn: CardSn,
    /// Where it may be shown.
    pub audience: InstitutionCode,
    /// When it was issued.
    pub issued_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
}

/// What a chip signed; the cryptogram itself was verified before and its verdict stands in the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChipPresentation {
    /// Number and sequence number.
    pub pan: Pan,
    /// Recognition code.
    pub card_sn: CardSn,
    /// Scheme and key.
    pub chip: crate::card::Chip,
    /// Counter.
    pub atc: u16,
    /// Signed amount.
    pub amount: Fen,
    /// Signed other amount.
    pub other_amount: Fen,
    /// Signed country, currency and type.
    pub terminal_country: u16,
    /// ISO 4217.
    pub currency: u16,
    /// 9C, as a byte.
    pub transaction_type: u8,
    /// Signed date.
    pub transaction_date: Date,
    /// Card verification results, where the scheme signs them.
    pub cvr: Option<[u8; 4]>,
}

/// How the institution checked the holder, and whom it saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HolderCheck {
    /// How.
    pub method: CheckMethod,
    /// Sex, where it was noted.
    pub sex: Option<Sex>,
    /// Year of birth as it was estimated or read, where it was noted.
    pub birth_year: Option<i32>,
}

impl HolderCheck {
    /// Checked like this; nothing was noted of whom was seen.
    pub const fn by(method: CheckMethod) -> Self {
        Self { method, sex: None, birth_year: None }
    }
}

/// How the institution checked the holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckMethod {
    /// Not at all.
    #[default]
    None,
    /// Photo.
    Photo,
    /// PIN.
    Pin,
    /// Face.
    Face,
}

/// Verdict on the cryptogram, or the signature, of a command; or on the key of a chip that shall be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The command presents none, or makes a chip whose key is there.
    NotPresented,
    /// No key is allowed for PAN, index and scheme.
    SchemeNotAllowed,
    /// Wrong, whatever the cause.
    Invalid,
    /// Right; the answer for the chip, should the command be accepted.
    Valid {
        /// Response cryptogram over [`ARC_APPROVED`].
        arpc: [u8; 8],
    },
    /// A token that its issuer signed.
    Signed,
}

/// Response code of an accepted command: "00".
pub const ARC_APPROVED: [u8; 2] = *b"00";
