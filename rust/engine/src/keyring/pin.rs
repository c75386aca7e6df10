//! The key under which PINs are hashed.
//!
//! Six digits are soon tried through, so a hash without a key would be as good as the PIN. The key stays for as long as the journal
//! whose PINs it hashed: with another one no PIN can be compared.

use std::fmt;
use std::path::Path;

use medsettle_core::ids::{CardId, Hash32};
use medsettle_core::pin::HashedPin;
use medsettle_wire::decode::Pin;
use zeroize::Zeroizing;

use super::{Kek, KeyRefused, KeyRing, KeyRingError, file};

/// A key for PINs, wiped from memory when it is dropped.
#[derive(Clone)]
pub struct PinKey(Zeroizing<[u8; PinKey::LENGTH]>);

impl PinKey {
    pub(super) const LENGTH: usize = 32;

    pub(super) fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn random() -> Result<Self, KeyRingError> {
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    pub(super) fn expose(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// By which people compare keys, and by which a hub knows under which key a PIN was set.
    pub fn check_value(&self) -> [u8; 3] {
        let [a, b, c, ..] = *blake3::keyed_hash(&self.0, b"medsettle PIN key").as_bytes();
        [a, b, c]
    }

    /// Of a PIN and the card that it is of, so that equal PINs of two cards have different hashes.
    pub fn hash(&self, card: CardId, pin: &Pin) -> HashedPin {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&card.0.to_be_bytes());
        hasher.update(pin.expose());
        HashedPin { hash: Hash32(*hasher.finalize().as_bytes()), key_check: self.check_value() }
    }
}

impl fmt::Debug for PinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinKey(..)")
    }
}

impl KeyRing {
    /// Add a random key for PINs to a file that has none, and return its check value.
    pub fn generate_pin_key(path: &Path, kek: &Kek) -> Result<[u8; 3], KeyRingError> {
        let _lock = file::lock(path)?;
        let mut ring = Self::load(path, kek)?;
        if ring.pin_key.is_some() {
            let (path, entry) = (path.to_owned(), "PIN key".to_owned());
            return Err(KeyRingError::Refused { path, entry, reason: KeyRefused::PinKeyPresent });
        }
        let key = PinKey::random()?;
        let check_value = key.check_value();
        ring.pin_key = Some(key);
        file::replace(path, kek, &ring)?;
        Ok(check_value)
    }

    /// The key for PINs.
    pub fn pin_key(&self) -> Option<&PinKey> {
        self.pin_key.as_ref()
    }
}
