//! Issuers' public keys for the tokens of electronic credentials.
//!
//! Invariant: a key is found by its name alone and verifies nothing but Ed25519; a weak key is never taken.

use std::fmt;
use std::path::Path;

use ed25519_dalek::{Signature, VerifyingKey};
use medsettle_wire::decode::TokenCheck;

use super::{Kek, KeyRefused, KeyRing, KeyRingError, file, is_name};

/// One issuer's key for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKey {
    name: String,
    key: VerifyingKey,
}

impl TokenKey {
    /// Take a name, letters, digits, `-` and `_`, and a public key.
    pub fn new(name: &str, public_key: [u8; 32]) -> Result<Self, KeyRefused> {
        if !is_name(name) {
            return Err(KeyRefused::Issuer);
        }
        let key = VerifyingKey::from_bytes(&public_key).ok().filter(|key| !key.is_weak());
        let key = key.ok_or(KeyRefused::WeakKey)?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// The name that tokens give as `kid`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token key {}", self.name)
    }
}

impl KeyRing {
    /// Add an issuer's public key for tokens to the file.
    pub fn import_token_key(path: &Path, kek: &Kek, key: TokenKey) -> Result<(), KeyRingError> {
        let _lock = file::lock(path)?;
        let mut ring = Self::load(path, kek)?;
        ring.add_token_key(path, key)?;
        file::replace(path, kek, &ring)
    }

    /// Every key for tokens, by name.
    pub fn token_keys(&self) -> &[TokenKey] {
        &self.token_keys
    }

    /// Whether the key that a token names signed it.
    pub fn has_signed(&self, token: &TokenCheck) -> bool {
        let Ok(place) = self.token_keys.binary_search_by(|key| key.name.as_str().cmp(&token.key)) else { return false };
        let signature = Signature::from_bytes(&token.signature);
        self.token_keys[place].key.verify_strict(token.signed.as_bytes(), &signature).is_ok()
    }

    pub(super) fn add_token_key(&mut self, path: &Path, key: TokenKey) -> Result<(), KeyRingError> {
        match self.token_keys.binary_search_by(|other| other.name.cmp(&key.name)) {
            Ok(_) => Err(KeyRingError::Refused {
                path: path.to_owned(),
                entry: key.to_string(),
                reason: KeyRefused::NameInUse,
            }),
            Err(place) => {
                self.token_keys.insert(place, key);
                Ok(())
            }
        }
    }
}
