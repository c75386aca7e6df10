//! The forms of single fields, and how a fault finds its path.

use medsettle_core::calendar::Date;
use medsettle_core::ids::{Hash32, InstitutionCode, RegionCode, RequestId};
use medsettle_core::money::Fen;

use crate::error::DecodeError;

/// A value that is not of its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `REQUEST_MALFORMED`.
    Malformed(DecodeError),
    /// `AMOUNT_TOO_LARGE`.
    AmountTooLarge(DecodeError),
}

pub(crate) type Checked<T> = Result<T, Fault>;

impl Fault {
    /// A problem of the field that is being looked at.
    pub(crate) fn here(problem: &'static str) -> Self {
        Self::Malformed(DecodeError::here(problem))
    }

    /// A problem of a field of the message that is being looked at.
    pub(crate) fn of(field: &str, problem: &'static str) -> Self {
        Self::here(problem).inside(field, None)
    }

    fn inside(self, name: &str, index: Option<usize>) -> Self {
        match self {
            Self::Malformed(error) => Self::Malformed(error.inside(name, index)),
            Self::AmountTooLarge(error) => Self::AmountTooLarge(error.inside(name, index)),
        }
    }

    /// Where and what, whatever the reason.
    pub(crate) fn into_error(self) -> DecodeError {
        match self {
            Self::Malformed(error) | Self::AmountTooLarge(error) => error,
        }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

/// Names the field of a value.
pub(crate) fn at<T>(field: &str, value: Checked<T>) -> Checked<T> {
    value.map_err(|fault| fault.inside(field, None))
}

/// Converts every value of a repeated field.
pub(crate) fn each<M, T>(field: &str, values: Vec<M>, convert: impl Fn(M) -> Checked<T>) -> Checked<Vec<T>> {
    let convert = |(index, value)| convert(value).map_err(|fault: Fault| fault.inside(field, Some(index)));
    values.into_iter().enumerate().map(convert).collect()
}

/// Converts a message that must be there.
pub(crate) fn within<M, T>(field: &str, message: Option<M>, convert: impl FnOnce(M) -> Checked<T>) -> Checked<T> {
    at(field, message.ok_or_else(|| Fault::here("is missing")).and_then(convert))
}

/// A day of the calendar.
pub(crate) fn day(text: &str) -> Checked<Date> {
    Date::parse(text).ok_or_else(|| Fault::here("is no day of the calendar as YYYY-MM-DD"))
}

/// A day, or none where the text is empty.
pub(crate) fn day_if_given(text: &str) -> Checked<Option<Date>> {
    if text.is_empty() { Ok(None) } else { day(text).map(Some) }
}

/// A day of a field with presence.
pub(crate) fn optional_day(text: Option<&String>) -> Checked<Option<Date>> {
    text.map(|text| day(text)).transpose()
}

/// Six digits.
pub(crate) fn region(text: &str) -> Checked<RegionCode> {
    RegionCode::parse(text).ok_or_else(|| Fault::here("must be six digits that do not begin with 0"))
}

/// Twelve characters.
pub(crate) fn institution_code(text: &str) -> Checked<InstitutionCode> {
    InstitutionCode::parse(text).ok_or_else(|| Fault::here("must be 12 characters of A-Z 0-9"))
}

/// An institution's name of a request.
pub(crate) fn request_id(text: &str) -> Checked<RequestId> {
    RequestId::parse(text).ok_or_else(|| Fault::here("must be 1 to 64 characters of A-Z a-z 0-9 . _ : -"))
}

/// A number given by a hub.
pub(crate) fn id(number: u64) -> Checked<u64> {
    id_if_given(number).ok_or_else(|| Fault::here("is missing"))
}

/// A number given by a hub, or none where it is 0.
pub(crate) fn id_if_given(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

/// An amount of a bill, a limit or a request.
pub(crate) fn amount(fen: i64) -> Checked<Fen> {
    if fen < 0 {
        return Err(Fault::here("must not be negative"));
    }
    let amount = Fen(fen);
    if amount.is_amount() { Ok(amount) } else { Err(Fault::AmountTooLarge(DecodeError::here("is too large"))) }
}

/// A text of at most so many characters, which may be empty.
pub(crate) fn text(text: String, most: usize) -> Checked<Box<str>> {
    if text.chars().any(is_unprintable) {
        return Err(Fault::here("has control or direction characters"));
    }
    if text.trim() != text {
        return Err(Fault::here("begins or ends with a space"));
    }
    // No text has more characters than bytes.
    if text.len() <= most || text.chars().count() <= most {
        Ok(text.into_boxed_str())
    } else {
        Err(Fault::Malformed(DecodeError::here(format!("has more than {most} characters"))))
    }
}

/// Characters that change what a terminal or a page shows around them.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Somebody's name, of at most so many characters, which may be empty. What nobody sees makes no other name.
pub(crate) fn name(given: String, most: usize) -> Checked<Box<str>> {
    if given.chars().any(is_invisible) {
        return Err(Fault::here("has characters that nobody sees"));
    }
    text(given, most)
}

/// Format characters, and the others that show as nothing: fillers and selectors of a variant.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{AD}'
            | '\u{34F}'
            | '\u{600}'..='\u{605}'
            | '\u{61C}'
            | '\u{6DD}'
            | '\u{70F}'
            | '\u{890}'..='\u{891}'
            | '\u{8E2}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{110BD}'
            | '\u{110CD}'
            | '\u{13430}'..='\u{1343F}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// A text of at most so many characters that must be given.
pub(crate) fn given_text(given: String, most: usize) -> Checked<Box<str>> {
    if given.is_empty() { Err(Fault::here("is missing")) } else { text(given, most) }
}

/// Bytes of an exact length.
pub(crate) fn array<const LENGTH: usize>(bytes: &[u8]) -> Checked<[u8; LENGTH]> {
    let wrong = |_| Fault::Malformed(DecodeError::here(format!("must have {LENGTH} bytes and has {}", bytes.len())));
    bytes.try_into().map_err(wrong)
}

/// A hash.
pub(crate) fn hash(bytes: &[u8]) -> Checked<Hash32> {
    array(bytes).map(Hash32)
}

/// A number of a narrower type.
pub(crate) fn number<T: TryFrom<u32>>(number: u32) -> Checked<T> {
    T::try_from(number).map_err(|_| Fault::here("is out of range"))
}
