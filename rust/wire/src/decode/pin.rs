//! PINs, taken out of a request before anything else is made of it.
//!
//! Invariant: a PIN is in no command, no digest, no debug text and no record; what is kept of it until the decision is wiped from memory then.

use std::fmt;

use medsettle_core::account::AccountKind;
use zeroize::Zeroizing;

use crate::convert::{Checked, Coded, Fault};
use crate::v1;

/// Digits of a PIN.
const DIGITS: usize = 6;

/// A PIN that came with a request, to be hashed for the card that it is said to be of.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(Zeroizing<[u8; DIGITS]>);

impl Pin {
    /// Its digits in ASCII.
    pub fn expose(&self) -> &[u8; DIGITS] {
        &self.0
    }

    fn parse(text: &Zeroizing<String>) -> Checked<Self> {
        match <[u8; DIGITS]>::try_from(text.as_bytes()) {
            Ok(digits) if digits.iter().all(u8::is_ascii_digit) => Ok(Self(Zeroizing::new(digits))),
            _ => Err(Fault::of("pin", "must have six digits")),
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

/// A request that carries a PIN.
pub(super) trait WithPin {
    /// Takes it out; nothing where the request needs none.
    fn take_pin(&mut self) -> Checked<Option<Pin>>;
}

fn taken(field: &mut String) -> Zeroizing<String> {
    Zeroizing::new(std::mem::take(field))
}

impl WithPin for v1::CardsSetPinRequest {
    fn take_pin(&mut self) -> Checked<Option<Pin>> {
        Pin::parse(&taken(&mut self.pin)).map(Some)
    }
}

impl WithPin for v1::CardsVerifyPinRequest {
    fn take_pin(&mut self) -> Checked<Option<Pin>> {
        Pin::parse(&taken(&mut self.pin)).map(Some)
    }
}

/// The online account is used with a PIN, the purse without; that there is no other is not this field's fault.
impl WithPin for v1::AccountsPurchaseRequest {
    fn take_pin(&mut self) -> Checked<Option<Pin>> {
        let pin = taken(&mut self.pin);
        if self.account == AccountKind::Online.number() {
            return Pin::parse(&pin).map(Some);
        }
        let is_purse = self.account == AccountKind::Offline.number();
        if pin.is_empty() || !is_purse { Ok(None) } else { Err(Fault::of("pin", "is of the online account only")) }
    }
}
