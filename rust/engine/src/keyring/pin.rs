//! The key under which PINs are hashed.
//!
//! Six digits are soon tried through, so a hash without a key would be as good as the PIN. The key stays for as long as the journal
//! whose PINs it hashed: with another one no PIN is right.

use std::fmt;
use std::path::Path;

use medsettle_core::ids::{CardId, Hash32};
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

    /// Of a PIN and the card that it is of, so that equal PINs of two cards have different hashes.
    pub fn hash(&self, card: CardId, pin: &Pin) -> Hash32 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&card.0.to_be_bytes());
        hasher.update(pin.expose());
        Hash32(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for PinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinKey(..)")
    }
}

impl KeyRing {
    /// Add a random key for PINs to a file that has none.
    pub fn generate_pin_key(path: &Path, kek: &Kek) -> Result<(), KeyRingError> {
        let _lock = file::lock(path)?;
        let mut ring = Self::load(path, kek)?;
        if ring.pin_key.is_some() {
            let (path, entry) = (path.to_owned(), "PIN key".to_owned());
            return Err(KeyRingError::Refused { path, entry, reason: KeyRefused::PinKeyPresent });
        }
        ring.pin_key = Some(PinKey::random()?);
        file::replace(path, kek, &ring)
    }

    /// The key for PINs.
    pub fn pin_key(&self) -> Option<&PinKey> {
        self.pin_key.as_ref()
    }
}
