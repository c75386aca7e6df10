//! The issuers' master keys: which key checks the cards of which PAN range, and the operations on the file they are in.
//!
//! Invariant: for one PAN and key index there is at most one key, hence one scheme; nothing falls back to another.
//! Invariant: key material is in memory only inside [`MasterKey`], which is zeroized on drop and never shown, and on
//! disk only wrapped. An entry with any attribute edited does not open.
//! Left out: the cryptograms themselves (`medsettle-cryptogram`); the format of the file (`file`); the key that wraps
//! the others (`kek`). The ring is loaded once; a running hub does not see later changes of the file.

mod error;
mod file;
mod kek;
mod pin;
mod token;
/// Keep this process, and with it every key in its memory, out of core dumps and away from debuggers of other users.
///
/// It holds for the whole process, so it is for a program that is a hub, not for one that embeds a hub.
pub fn forbid_core_dumps() -> std::io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?)
}

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use medsettle_cryptogram::{Derivation, MasterKey, Pan, Scheme};
use zeroize::Zeroizing;

pub use error::{KeyRefused, KeyRingError};
pub use kek::Kek;
pub use pin::PinKey;
pub use token::TokenKey;

/// The longest issuer name. A name is shown in tables and messages.
const MAX_ISSUER_LENGTH: usize = 32;

/// A closed range of PANs, given by the digits with which its first and last begin: `9156` to `9157` is every PAN
/// that begins with 9156 or 9157.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanRange {
    from: String,
    to: String,
}

impl PanRange {
    /// Take two prefixes of equal length, at most as long as the shortest PAN.
    pub fn new(from: &str, to: &str) -> Result<Self, KeyRefused> {
        let decimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let length_fits = (1..=Pan::MIN_DIGITS).contains(&from.len()) && from.len() == to.len();
        if !length_fits || !decimal(from) || !decimal(to) || from > to {
            return Err(KeyRefused::PanRange { from: from.to_owned(), to: to.to_owned() });
        }
        Ok(Self { from: from.to_owned(), to: to.to_owned() })
    }

    /// The digits with which the first PAN begins.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The digits with which the last PAN begins.
    pub fn to(&self) -> &str {
        &self.to
    }

    fn contains(&self, pan: &Pan) -> bool {
        let head = &pan.as_str()[..self.from.len()];
        self.from.as_str() <= head && head <= self.to.as_str()
    }

    fn overlaps(&self, other: &Self) -> bool {
        let length = self.from.len().min(other.from.len());
        self.from[..length] <= other.to[..length] && other.from[..length] <= self.to[..length]
    }
}

/// What a key is for. Every attribute is bound into the wrapping of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttributes {
    /// The issuer's name: letters, digits, `-` and `_`.
    pub issuer: String,
    /// The only scheme in which the key is used.
    pub scheme: Scheme,
    /// The index by which a card names the key.
    pub key_index: u8,
    /// The cards that have keys derived from this one.
    pub pan_range: PanRange,
    /// The issuer's choice of derivation; anything but the default needs [`Scheme::EmvCskTdes`].
    pub derivation: Derivation,
}

impl KeyAttributes {
    fn check(&self) -> Result<(), KeyRefused> {
        if !is_name(&self.issuer) {
            return Err(KeyRefused::Issuer);
        }
        if self.derivation != Derivation::default() && self.scheme != Scheme::EmvCskTdes {
            return Err(KeyRefused::Derivation { scheme: self.scheme.name() });
        }
        Ok(())
    }

    fn conflicts_with(&self, other: &Self) -> bool {
        self.key_index == other.key_index && self.pan_range.overlaps(&other.pan_range)
    }
}

/// Whether an issuer, or one of its keys, may be called so.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_ISSUER_LENGTH).contains(&text.len()) && text.bytes().all(allowed)
}

/// Names the entry in messages.
impl fmt::Display for KeyAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, scheme, key_index, pan_range: PanRange { from, to }, .. } = self;
        write!(f, "{issuer} {} index {key_index} PAN {from}-{to}", scheme.name())
    }
}

/// One issuer's key, unwrapped.
#[derive(Debug)]
pub struct IssuerKey {
    attributes: KeyAttributes,
    key: MasterKey,
    check_value: [u8; 3],
}

impl IssuerKey {
    fn new(attributes: KeyAttributes, key: MasterKey) -> Self {
        let check_value = key.check_value(attributes.scheme);
        Self { attributes, key, check_value }
    }

    /// Where the key stands in the ring's order.
    fn place(&self) -> (u8, &str) {
        (self.attributes.key_index, &self.attributes.pan_range.from)
    }

    /// What the key is for.
    pub fn attributes(&self) -> &KeyAttributes {
        &self.attributes
    }

    /// The key, to be put into a `medsettle_cryptogram::Request`.
    pub fn master_key(&self) -> &MasterKey {
        &self.key
    }

    /// The check value by which people compare keys.
    pub fn check_value(&self) -> [u8; 3] {
        self.check_value
    }
}

/// All issuers' keys: secret ones for cryptograms, public ones for tokens; and the hub's own key for PINs.
#[derive(Debug, Default)]
pub struct KeyRing {
    /// Ordered by key index, then by the beginning of the PAN range; ranges of one index do not overlap.
    keys: Vec<IssuerKey>,
    /// By name.
    token_keys: Vec<TokenKey>,
    pin_key: Option<PinKey>,
}

impl KeyRing {
    /// Write a key ring with nothing but a random key for PINs. An existing file is never replaced.
    pub fn create(path: &Path, kek: &Kek) -> Result<(), KeyRingError> {
        file::create(path, kek)
    }

    /// Read and unwrap every key. One entry that does not open refuses the whole file.
    pub fn load(path: &Path, kek: &Kek) -> Result<Self, KeyRingError> {
        file::read(path, kek)
    }

    /// Add a random key to the file and return its check value.
    pub fn generate(path: &Path, kek: &Kek, attributes: KeyAttributes) -> Result<[u8; 3], KeyRingError> {
        let mut bytes = Zeroizing::new([0; MasterKey::LENGTH]);
        getrandom::fill(&mut *bytes)?;
        Self::extend_file(path, kek, attributes, bytes)
    }

    /// Add the key of which two or three custodians hold components, which are combined by XOR, to the file, and
    /// return its check value.
    pub fn import(
        path: &Path,
        kek: &Kek,
        attributes: KeyAttributes,
        components: &[MasterKey],
    ) -> Result<[u8; 3], KeyRingError> {
        if !(2..=3).contains(&components.len()) {
            return Err(KeyRingError::refused(path, &attributes, KeyRefused::Components(components.len())));
        }
        let mut bytes = Zeroizing::new([0; MasterKey::LENGTH]);
        for component in components {
            for (byte, part) in bytes.iter_mut().zip(component.expose()) {
                *byte ^= part;
            }
        }
        Self::extend_file(path, kek, attributes, bytes)
    }

    /// Wrap every key anew, from now on under `new`.
    pub fn rotate(path: &Path, kek: &Kek, new: &Kek) -> Result<(), KeyRingError> {
        let _lock = file::lock(path)?;
        file::replace(path, new, &Self::load(path, kek)?)
    }

    /// Find the key that checks a card: the PAN's range and the index name it, and it must be of that very scheme.
    pub fn find(&self, pan: &Pan, scheme: Scheme, key_index: u8) -> Option<&IssuerKey> {
        // Ranges of one index do not overlap, so only the last that begins at or before the PAN can hold it.
        let after = self.keys.partition_point(|key| key.place() <= (key_index, pan.as_str()));
        let candidate = self.keys[..after].last()?;
        let KeyAttributes { scheme: its_scheme, key_index: its_index, pan_range, .. } = &candidate.attributes;
        (*its_scheme == scheme && *its_index == key_index && pan_range.contains(pan)).then_some(candidate)
    }

    /// Every key with its attributes and check value, by key index and PAN range.
    pub fn issuers(&self) -> impl ExactSizeIterator<Item = &IssuerKey> {
        self.keys.iter()
    }

    fn extend_file(
        path: &Path,
        kek: &Kek,
        attributes: KeyAttributes,
        mut bytes: Zeroizing<[u8; MasterKey::LENGTH]>,
    ) -> Result<[u8; 3], KeyRingError> {
        if attributes.scheme.is_tdes() {
            set_odd_parity(&mut *bytes);
        }
        let key = IssuerKey::new(attributes, MasterKey::new(*bytes));
        let check_value = key.check_value;
        let _lock = file::lock(path)?;
        let mut ring = Self::load(path, kek)?;
        ring.add(path, key)?;
        file::replace(path, kek, &ring)?;
        Ok(check_value)
    }

    fn add(&mut self, path: &Path, key: IssuerKey) -> Result<(), KeyRingError> {
        let attributes = &key.attributes;
        let refused = |reason| Err(KeyRingError::refused(path, attributes, reason));
        if let Err(reason) = attributes.check() {
            return refused(reason);
        }
        if key.key.is_weak(attributes.scheme) {
            return refused(KeyRefused::WeakKey);
        }
        if let Some(other) = self.keys.iter().find(|other| other.attributes.conflicts_with(attributes)) {
            return refused(KeyRefused::Overlap { other: other.attributes.to_string() });
        }
        let place = self.keys.partition_point(|other| other.place() < key.place());
        self.keys.insert(place, key);
        Ok(())
    }
}

/// Triple-DES keys are stored with odd parity in every byte, as other systems expect them. DES ignores it, so the
/// check value is the same.
fn set_odd_parity(bytes: &mut [u8]) {
    for byte in bytes {
        if byte.count_ones() % 2 == 0 {
            *byte ^= 1;
        }
    }
}
