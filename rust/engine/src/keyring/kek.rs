//! The key-encryption key: 32 bytes from a file or the environment, or derived from a passphrase by Argon2id.
//!
//! Invariant: the key and the passphrase are zeroized on drop and never shown.

use std::path::Path;
use std::{env, fmt, fs};

use aes_gcm::{Aes256Gcm, KeyInit};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeyRingError;

/// Shorter passphrases fall to guessing whatever Argon2id costs.
const MIN_PASSPHRASE_CHARACTERS: usize = 12;

/// RFC 9106 section 4, the choice for machines without memory to spare: 64 MiB, 3 passes, 4 lanes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;

/// What a file may ask for, so that a forged one cannot exhaust memory or time before its key is found wrong.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

/// The key that wraps the keys of a ring.
pub struct Kek(Secret);

enum Secret {
    Raw(Zeroizing<[u8; 32]>),
    Passphrase(Zeroizing<String>),
}

impl Kek {
    /// Read 64 hexadecimal digits from a file; white space around them is ignored.
    pub fn from_file(path: &Path) -> Result<Self, KeyRingError> {
        let text = fs::read_to_string(path).map_err(|source| KeyRingError::Io {
            path: path.to_owned(),
            doing: "read the key-encryption key",
            source,
        })?;
        Self::from_hex(text, || path.display().to_string())
    }

    /// Read 64 hexadecimal digits from an environment variable.
    pub fn from_env(variable: &str) -> Result<Self, KeyRingError> {
        let origin = || format!("environment variable {variable}");
        match env::var(variable) {
            Ok(text) => Self::from_hex(text, origin),
            Err(env::VarError::NotPresent) => Err(KeyRingError::KekNotSet(variable.to_owned())),
            Err(env::VarError::NotUnicode(_)) => Err(KeyRingError::MalformedKek { origin: origin() }),
        }
    }

    /// Take a passphrase, from which each ring derives its own key with its own salt.
    pub fn from_passphrase(passphrase: String) -> Result<Self, KeyRingError> {
        let passphrase = Zeroizing::new(passphrase);
        if passphrase.chars().count() < MIN_PASSPHRASE_CHARACTERS {
            return Err(KeyRingError::ShortPassphrase { least: MIN_PASSPHRASE_CHARACTERS });
        }
        Ok(Self(Secret::Passphrase(passphrase)))
    }

    fn from_hex(text: String, origin: impl FnOnce() -> String) -> Result<Self, KeyRingError> {
        let text = Zeroizing::new(text);
        let mut bytes = Zeroizing::new([0; 32]);
        match hex::decode_to_slice(text.trim(), &mut *bytes) {
            Ok(()) => Ok(Self(Secret::Raw(bytes))),
            Err(_) => Err(KeyRingError::MalformedKek { origin: origin() }),
        }
    }

    /// Describe for a new file how its key comes from this secret; a passphrase gets a fresh salt.
    pub(super) fn new_source(&self) -> Result<KekSource, KeyRingError> {
        match self.0 {
            Secret::Raw(_) => Ok(KekSource::Raw),
            Secret::Passphrase(_) => {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt)?;
                Ok(KekSource::Argon2id {
                    memory_kib: MEMORY_KIB,
                    passes: PASSES,
                    lanes: LANES,
                    salt: hex::encode_upper(salt),
                })
            }
        }
    }

    /// Come to the cipher that wraps the keys of the file with this head.
    pub(super) fn cipher(&self, path: &Path, source: &KekSource) -> Result<Aes256Gcm, KeyRingError> {
        let other_kind = |expected| KeyRingError::OtherKindOfKek { path: path.to_owned(), expected };
        match (&self.0, source) {
            (Secret::Raw(key), KekSource::Raw) => Ok(Aes256Gcm::new((&**key).into())),
            (Secret::Raw(_), KekSource::Argon2id { .. }) => Err(other_kind("a passphrase")),
            (Secret::Passphrase(_), KekSource::Raw) => Err(other_kind("a key from a file or the environment")),
            (Secret::Passphrase(passphrase), KekSource::Argon2id { memory_kib, passes, lanes, salt }) => {
                let salt = hex::decode(salt).map_err(|error| KeyRingError::format(path, &error))?;
                if *memory_kib > MAX_MEMORY_KIB || *passes > MAX_PASSES || *lanes > MAX_LANES {
                    return Err(KeyRingError::format(path, &"the passphrase parameters are too costly"));
                }
                let mut key = Zeroizing::new([0; 32]);
                Params::new(*memory_kib, *passes, *lanes, Some(key.len()))
                    .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
                    .and_then(|argon2| argon2.hash_password_into(passphrase.as_bytes(), &salt, &mut *key))
                    .map_err(|error| KeyRingError::format(path, &error))?;
                Ok(Aes256Gcm::new((&*key).into()))
            }
        }
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek(hidden)")
    }
}

/// How the wrapping key of a file comes from the secret that opens it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub(super) enum KekSource {
    Raw,
    Argon2id { memory_kib: u32, passes: u32, lanes: u32, salt: String },
}

impl fmt::Display for KekSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("RAW"),
            Self::Argon2id { memory_kib, passes, lanes, salt } => {
                write!(f, "ARGON2ID|{memory_kib}|{passes}|{lanes}|{salt}")
            }
        }
    }
}
