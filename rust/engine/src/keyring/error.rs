//! Why a key ring, or a key for it, is refused. Messages name file and entry, never key material.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::KeyAttributes;

/// An operation on a key-ring file that failed. The file is as it was.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means")]
pub enum KeyRingError {
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
    #[error("{}: not a key ring that this version can read: {reason}", path.display())]
    Format { path: PathBuf, reason: String },
    #[error("{origin}: a key-encryption key is written as 64 hexadecimal digits")]
    MalformedKek { origin: String },
    #[error("environment variable {0} is not set")]
    KekNotSet(String),
    #[error("a passphrase has at least {least} characters")]
    ShortPassphrase { least: usize },
    #[error("{}: this key ring is opened with {expected}", path.display())]
    OtherKindOfKek { path: PathBuf, expected: &'static str },
    #[error("{}: the key-encryption key does not open this key ring", path.display())]
    WrongKek { path: PathBuf },
    #[error("{}: entry {entry} has been changed or damaged", path.display())]
    DamagedEntry { path: PathBuf, entry: String },
    #[error("{}: entry {entry}: {reason}", path.display())]
    Refused { path: PathBuf, entry: String, reason: KeyRefused },
}

impl KeyRingError {
    pub(super) fn refused(path: &Path, attributes: &KeyAttributes, reason: KeyRefused) -> Self {
        Self::Refused { path: path.to_owned(), entry: attributes.to_string(), reason }
    }

    pub(super) fn format(path: &Path, reason: &impl ToString) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// A key that a ring does not take.
#[derive(Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means")]
pub enum KeyRefused {
    #[error("a name has 1 to 32 letters, digits, '-' or '_'")]
    Issuer,
    #[error("'{from}' to '{to}' is no PAN range: two prefixes of 1 to 12 digits, equally long, the lower first")]
    PanRange { from: String, to: String },
    #[error("{scheme} knows no choice of derivation")]
    Derivation { scheme: &'static str },
    #[error("a key is combined from 2 or 3 components, not {0}")]
    Components(usize),
    #[error("a key of this name is there already; tokens name theirs by it")]
    NameInUse,
    #[error("there is one already, and PINs that were set under it cannot be compared under another")]
    PinKeyPresent,
    #[error("the key is weak: all zero, equal halves or a known weak DES key")]
    WeakKey,
    #[error("its PAN range overlaps that of {other}, which has the same key index")]
    Overlap { other: String },
}
