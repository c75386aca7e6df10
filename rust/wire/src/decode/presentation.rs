//! How a card was shown: what the rules look at, and what the cryptogram signs.

use medsettle_core::card;
use medsettle_core::command::{ChipPresentation, Credential, HolderCheck, Presentation};
use medsettle_core::ids::{CardSn, Pan, VoucherId};
use medsettle_cryptogram::{
    Cryptogram, Pan as SignedPan, Scheme, SequenceNumber, SignedBytes, SignedFields, TransactionDate,
};

use super::pin::Pin;
use super::token::{TokenCheck, token};
use crate::convert::{Checked, Coded, Fault, amount, array, at, coded, day, given_text, id, number, within};
use crate::limits::{FIRST_BIRTH_YEAR, MAX_TERMINAL};
use crate::v1;

/// What proves a credential, to be verified with an issuer's key before the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Of a chip.
    Cryptogram(CryptogramCheck),
    /// Of an electronic credential. Boxed: chips are the many, and a queue of requests stays small.
    Token(Box<TokenCheck>),
    /// Of the holder.
    Pin(Pin),
    /// Of nobody yet: the key of a chip that shall be made.
    MadeKey(MadeKey),
}

/// Names the issuer's key that a card is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MadeKey {
    /// The scheme of its chip.
    pub scheme: Scheme,
    /// Which of the issuer's keys.
    pub key_index: u32,
    /// Number of the card.
    pub pan: SignedPan,
}

/// A cryptogram with what it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CryptogramCheck {
    /// The scheme that the card claims.
    pub scheme: Scheme,
    /// Which of the issuer's keys.
    pub key_index: u32,
    /// Number of the card.
    pub pan: SignedPan,
    /// Its sequence number.
    pub sequence_number: SequenceNumber,
    /// Its counter.
    pub atc: u16,
    /// What it signs, built from the presentation's own fields.
    pub data: SignedBytes,
    /// The cryptogram.
    pub cryptogram: Cryptogram,
}

pub(super) fn presentation(message: Option<v1::Presentation>) -> Checked<(Presentation, Option<Proof>)> {
    use v1::presentation::Credential as Message;
    within("presentation", message, |message| {
        let credential = message.credential.ok_or_else(|| Fault::here("shows no card and no credential"))?;
        let (credential, proof) = match credential {
            Message::Chip(chip) => {
                let (chip, check) = at("chip", self::chip(&chip))?;
                (Credential::Chip(chip), Some(Proof::Cryptogram(check)))
            }
            Message::Stripe(stripe) => {
                let card_sn = at("stripe", at("card_sn", self::card_sn(&stripe.card_sn)))?;
                (Credential::Stripe(card_sn), None)
            }
            Message::Electronic(electronic) => {
                let (token, check) = at("electronic", at("token", token(&electronic.token)))?;
                (Credential::Electronic(token), Some(Proof::Token(Box::new(check))))
            }
            Message::VoucherId(number) => (Credential::Voucher(VoucherId(at("voucher_id", id(number))?)), None),
        };
        let terminal = at("terminal_id", given_text(message.terminal_id, MAX_TERMINAL))?;
        Ok((Presentation { credential, terminal }, proof))
    })
}

/// A card's number and sequence number.
pub(super) fn pan(digits: &str, sequence_number: u32) -> Checked<Pan> {
    if sequence_number > 99 {
        return Err(Fault::of("sequence_number", "is more than 99"));
    }
    Pan::parse(digits, sequence_number).ok_or_else(|| Fault::of("pan", "must have 12 to 19 digits"))
}

/// A card's recognition code.
pub(super) fn card_sn(text: &str) -> Checked<CardSn> {
    CardSn::parse(text).ok_or_else(|| Fault::here("must be 32 digits of 0-9 A-F"))
}

/// The chip that a card is made with; none for a generation without chips.
pub(super) fn made_chip(scheme: i32, key_index: u32) -> Checked<Option<card::Chip>> {
    if scheme == v1::chip::Scheme::Unspecified as i32 {
        let none = key_index == 0;
        return if none { Ok(None) } else { Err(Fault::of("key_index", "is given without a scheme")) };
    }
    chip_keys(scheme, key_index).map(Some)
}

/// What must be in the key ring for a card that is made like this.
pub(super) fn made_key(digits: &str, scheme: i32, key_index: u32) -> Checked<Option<MadeKey>> {
    if scheme == v1::chip::Scheme::Unspecified as i32 {
        return Ok(None);
    }
    let pan = SignedPan::new(digits).map_err(|_| Fault::of("pan", "must have 12 to 19 digits"))?;
    Ok(Some(MadeKey { scheme: at("scheme", coded(scheme))?, key_index, pan }))
}

/// The scheme and key of a chip.
pub(super) fn chip_keys(scheme: i32, key_index: u32) -> Checked<card::Chip> {
    let scheme: Scheme = at("scheme", coded(scheme))?;
    Ok(card::Chip { scheme: u8::try_from(scheme.number()).expect("the contract has four"), key_index })
}

fn chip(message: &v1::Chip) -> Checked<(ChipPresentation, CryptogramCheck)> {
    let transaction_date = at("transaction_date", day(&message.transaction_date))?;
    let cvr = if message.cvr.is_empty() { None } else { Some(at("cvr", array(&message.cvr))?) };
    let chip = ChipPresentation {
        pan: pan(&message.pan, message.sequence_number)?,
        card_sn: at("card_sn", card_sn(&message.card_sn))?,
        chip: chip_keys(message.scheme, message.key_index)?,
        atc: at("atc", number(message.atc))?,
        amount: at("amount_fen", amount(message.amount_fen))?,
        other_amount: at("other_amount_fen", amount(message.other_amount_fen))?,
        terminal_country: at("terminal_country", numeric_code(message.terminal_country))?,
        currency: at("currency", numeric_code(message.currency))?,
        transaction_type: at("transaction_type", number(message.transaction_type))?,
        transaction_date,
        cvr,
    };
    let check = CryptogramCheck {
        scheme: at("scheme", coded(message.scheme))?,
        key_index: message.key_index,
        pan: SignedPan::new(&message.pan).map_err(|_| Fault::of("pan", "must have 12 to 19 digits"))?,
        sequence_number: at("sequence_number", sequence_number(&chip))?,
        atc: chip.atc,
        data: signed(message, &chip)?,
        cryptogram: Cryptogram(at("cryptogram", array(&message.cryptogram))?),
    };
    Ok((chip, check))
}

fn sequence_number(chip: &ChipPresentation) -> Checked<SequenceNumber> {
    SequenceNumber::new(chip.pan.sequence_number()).map_err(|_| Fault::here("is more than 99"))
}

fn signed(message: &v1::Chip, chip: &ChipPresentation) -> Checked<SignedBytes> {
    let out_of_range = |_| Fault::here("holds a value that no chip signs");
    let (year, month, day) = chip.transaction_date.calendar();
    let narrow = |value: u32| u8::try_from(value).expect("months and days are small");
    let year = u16::try_from(year).expect("a year of the calendar");
    let fields = SignedFields {
        amount_fen: chip.amount.0.unsigned_abs(),
        other_amount_fen: chip.other_amount.0.unsigned_abs(),
        terminal_country: chip.terminal_country,
        tvr: at("tvr", array(&message.tvr))?,
        currency: chip.currency,
        transaction_date: TransactionDate::new(year, narrow(month), narrow(day)).map_err(out_of_range)?,
        transaction_type: chip.transaction_type,
        unpredictable_number: at("unpredictable_number", array(&message.unpredictable_number))?,
        aip: at("aip", array(&message.aip))?,
        atc: chip.atc,
        cvr: chip.cvr,
    };
    fields.encode().map_err(out_of_range)
}

/// A code of three digits (ISO 3166, ISO 4217).
fn numeric_code(code: u32) -> Checked<u16> {
    number(code).and_then(|code| if code <= 999 { Ok(code) } else { Err(Fault::here("has more than 3 digits")) })
}

/// How the holder was checked and who was seen; saying nothing is not checking.
pub(super) fn holder_check(message: Option<v1::HolderCheck>) -> Checked<HolderCheck> {
    let Some(message) = message else { return Ok(HolderCheck::default()) };
    let birth_year = match message.observed_birth_year {
        0 => None,
        year if (FIRST_BIRTH_YEAR..=9_999).contains(&year) => Some(year),
        _ => return Err(Fault::of("holder_check.observed_birth_year", "is no year in which anyone alive was born")),
    };
    Ok(HolderCheck {
        method: Coded::from_number(message.method).unwrap_or_default(),
        sex: Coded::from_number(message.observed_sex),
        birth_year,
    })
}
