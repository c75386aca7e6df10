//! The key-ring file: JSON with these names, which do not change. All binary values are hexadecimal.
//!
//! - `format` "medsettle-keyring", `version` 1.
//! - `kek`: `source` RAW, or ARGON2ID with `memory_kib passes lanes salt`; `kek_check`: `nonce` and `tag` of an empty
//!   text under the key-encryption key, bound to `kek`.
//! - `entries[]`: `purpose` CRYPTOGRAM, `issuer scheme key_index pan_from pan_to derivation check_value`, and
//!   `nonce wrapped_key`: AES-256-GCM ciphertext and tag, bound to all the others.
//! - `token_keys[]`, left out where there are none: `name public_key`, and `nonce tag` of an empty text, bound to both: a public key is
//!   no secret, but only who holds the key-encryption key may add one.
//! - `pin_key`, left out where there is none: `nonce wrapped_key`.
//!
//! Invariant: a file is replaced whole (written aside, synced, renamed, directory synced), readable by its owner only.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, Nonce, Payload};
use medsettle_cryptogram::{Derivation, MasterKey, Scheme};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::kek::KekSource;
use super::{IssuerKey, Kek, KeyAttributes, KeyRing, KeyRingError, PanRange, PinKey, TokenKey};

const FORMAT: &str = "medsettle-keyring";
const VERSION: u32 = 1;
const PURPOSE: &str = "CRYPTOGRAM";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingFile {
    format: String,
    version: u32,
    kek: KekSource,
    kek_check: KekCheck,
    entries: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    token_keys: Vec<TokenEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin_key: Option<PinEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KekCheck {
    nonce: String,
    tag: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    purpose: String,
    issuer: String,
    scheme: String,
    key_index: u8,
    pan_from: String,
    pan_to: String,
    derivation: String,
    check_value: String,
    nonce: String,
    wrapped_key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEntry {
    name: String,
    public_key: String,
    nonce: String,
    tag: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinEntry {
    nonce: String,
    wrapped_key: String,
}

impl PinEntry {
    fn wrap(cipher: &Aes256Gcm, key: &PinKey) -> Result<Self, KeyRingError> {
        let (nonce, wrapped_key) = seal(cipher, key.expose(), &Self::bound())?;
        Ok(Self { nonce, wrapped_key })
    }

    fn unwrap(&self, cipher: &Aes256Gcm, path: &Path) -> Result<PinKey, KeyRingError> {
        let damaged = || KeyRingError::DamagedEntry { path: path.to_owned(), entry: "PIN key".to_owned() };
        let bytes = open(cipher, &self.nonce, &self.wrapped_key, &Self::bound()).ok_or_else(damaged)?;
        <[u8; PinKey::LENGTH]>::try_from(bytes.as_slice()).map(PinKey::new).map_err(|_| damaged())
    }

    fn bound() -> String {
        format!("{FORMAT}|{VERSION}|PIN")
    }
}

impl TokenEntry {
    fn wrap(cipher: &Aes256Gcm, key: &TokenKey) -> Result<Self, KeyRingError> {
        let (name, public_key) = (key.name().to_owned(), hex::encode_upper(key.public_key()));
        let (nonce, tag) = seal(cipher, &[], &Self::bound(&name, &public_key))?;
        Ok(Self { name, public_key, nonce, tag })
    }

    fn unwrap(&self, cipher: &Aes256Gcm, path: &Path) -> Result<TokenKey, KeyRingError> {
        let entry = || format!("token key {}", self.name);
        let damaged = || KeyRingError::DamagedEntry { path: path.to_owned(), entry: entry() };
        open(cipher, &self.nonce, &self.tag, &Self::bound(&self.name, &self.public_key)).ok_or_else(damaged)?;
        let mut public_key = [0; 32];
        hex::decode_to_slice(&self.public_key, &mut public_key).map_err(|_| damaged())?;
        let refused = |reason| KeyRingError::Refused { path: path.to_owned(), entry: entry(), reason };
        TokenKey::new(&self.name, public_key).map_err(refused)
    }

    fn bound(name: &str, public_key: &str) -> String {
        format!("{FORMAT}|{VERSION}|TOKEN|{name}|{public_key}")
    }
}

impl Entry {
    fn wrap(cipher: &Aes256Gcm, key: &IssuerKey) -> Result<Self, KeyRingError> {
        let KeyAttributes { issuer, scheme, key_index, pan_range, derivation } = &key.attributes;
        let mut entry = Self {
            purpose: PURPOSE.to_owned(),
            issuer: issuer.clone(),
            scheme: scheme.name().to_owned(),
            key_index: *key_index,
            pan_from: pan_range.from().to_owned(),
            pan_to: pan_range.to().to_owned(),
            derivation: derivation.name().to_owned(),
            check_value: hex::encode_upper(key.check_value),
            nonce: String::new(),
            wrapped_key: String::new(),
        };
        (entry.nonce, entry.wrapped_key) = seal(cipher, key.key.expose(), &entry.bound())?;
        Ok(entry)
    }

    fn unwrap(&self, cipher: &Aes256Gcm, path: &Path) -> Result<IssuerKey, KeyRingError> {
        let damaged = || KeyRingError::DamagedEntry { path: path.to_owned(), entry: self.name() };
        // The wrapping comes first: whatever else is odd about an entry that does not open, somebody changed it.
        let bytes = open(cipher, &self.nonce, &self.wrapped_key, &self.bound()).ok_or_else(damaged)?;
        let bytes = <[u8; MasterKey::LENGTH]>::try_from(bytes.as_slice()).map(Zeroizing::new).map_err(|_| damaged())?;
        let unknown = |field| KeyRingError::format(path, &format!("entry {}: unknown {field}", self.name()));
        if self.purpose != PURPOSE {
            return Err(unknown("purpose"));
        }
        let attributes = KeyAttributes {
            issuer: self.issuer.clone(),
            scheme: Scheme::from_name(&self.scheme).ok_or_else(|| unknown("scheme"))?,
            key_index: self.key_index,
            pan_range: PanRange::new(&self.pan_from, &self.pan_to).map_err(|reason| KeyRingError::Refused {
                path: path.to_owned(),
                entry: self.name(),
                reason,
            })?,
            derivation: Derivation::from_name(&self.derivation).ok_or_else(|| unknown("derivation"))?,
        };
        let key = IssuerKey::new(attributes, MasterKey::new(*bytes));
        if hex::encode_upper(key.check_value) == self.check_value { Ok(key) } else { Err(damaged()) }
    }

    /// The bytes bound into the wrapping: every attribute. No value that is accepted contains the separator.
    fn bound(&self) -> String {
        let Self { purpose, issuer, scheme, key_index, pan_from, pan_to, derivation, check_value, .. } = self;
        format!(
            "{FORMAT}|{VERSION}|{purpose}|{issuer}|{scheme}|{key_index}|{pan_from}|{pan_to}|{derivation}|{check_value}"
        )
    }

    fn name(&self) -> String {
        let Self { issuer, scheme, key_index, pan_from, pan_to, .. } = self;
        format!("{issuer} {scheme} index {key_index} PAN {pan_from}-{pan_to}")
    }
}

/// Write a ring with nothing but a key for PINs where no file is.
pub(super) fn create(path: &Path, kek: &Kek) -> Result<(), KeyRingError> {
    let text = serialize(path, kek, &KeyRing { pin_key: Some(PinKey::random()?), ..KeyRing::default() })?;
    write(path, &text, |file| file.persist_noclobber(path).map_err(|error| error.error))
}

/// Put a ring in the place of the one at `path`, wrapped anew.
pub(super) fn replace(path: &Path, kek: &Kek, ring: &KeyRing) -> Result<(), KeyRingError> {
    let text = serialize(path, kek, ring)?;
    write(path, &text, |file| file.persist(path).map_err(|error| error.error))
}

/// Read the ring at `path`.
pub(super) fn read(path: &Path, kek: &Kek) -> Result<KeyRing, KeyRingError> {
    let text = fs::read_to_string(path).map_err(io_error(path, "read the key ring"))?;
    let file: RingFile = serde_json::from_str(&text).map_err(|error| KeyRingError::format(path, &error))?;
    if file.format != FORMAT || file.version != VERSION {
        return Err(KeyRingError::format(path, &format!("it says {} version {}", file.format, file.version)));
    }
    let cipher = kek.cipher(path, &file.kek)?;
    if open(&cipher, &file.kek_check.nonce, &file.kek_check.tag, &bound_head(&file.kek)).is_none() {
        return Err(KeyRingError::WrongKek { path: path.to_owned() });
    }
    let mut ring = KeyRing::default();
    for entry in &file.entries {
        ring.add(path, entry.unwrap(&cipher, path)?)?;
    }
    for entry in &file.token_keys {
        ring.add_token_key(path, entry.unwrap(&cipher, path)?)?;
    }
    ring.pin_key = file.pin_key.map(|entry| entry.unwrap(&cipher, path)).transpose()?;
    Ok(ring)
}

/// Keep others from changing the file as long as the returned handle lives.
pub(super) fn lock(path: &Path) -> Result<File, KeyRingError> {
    let lock = || {
        loop {
            let file = File::open(path)?;
            file.lock()?;
            // Whoever held the lock has put another file in its place, which is the one to lock.
            let (locked, current) = (file.metadata()?, fs::metadata(path)?);
            if (locked.dev(), locked.ino()) == (current.dev(), current.ino()) {
                return Ok(file);
            }
        }
    };
    lock().map_err(io_error(path, "lock the key ring"))
}

fn serialize(path: &Path, kek: &Kek, ring: &KeyRing) -> Result<String, KeyRingError> {
    let source = kek.new_source()?;
    let cipher = kek.cipher(path, &source)?;
    let (nonce, tag) = seal(&cipher, &[], &bound_head(&source))?;
    let entries = ring.keys.iter().map(|key| Entry::wrap(&cipher, key)).collect::<Result<_, _>>()?;
    let token_keys = ring.token_keys().iter().map(|key| TokenEntry::wrap(&cipher, key)).collect::<Result<_, _>>()?;
    let pin_key = ring.pin_key().map(|key| PinEntry::wrap(&cipher, key)).transpose()?;
    let file = RingFile {
        format: FORMAT.to_owned(),
        version: VERSION,
        kek: source,
        kek_check: KekCheck { nonce, tag },
        entries,
        token_keys,
        pin_key,
    };
    let mut text = serde_json::to_string_pretty(&file).expect("strings and numbers serialize");
    text.push('\n');
    Ok(text)
}

fn bound_head(source: &KekSource) -> String {
    format!("{FORMAT}|{VERSION}|KEK|{source}")
}

/// Encrypt under a fresh random nonce; both in hexadecimal.
fn seal(cipher: &Aes256Gcm, text: &[u8], bound: &str) -> Result<(String, String), KeyRingError> {
    let mut nonce = Nonce::<Aes256Gcm>::default();
    getrandom::fill(&mut nonce)?;
    let sealed = cipher
        .encrypt(&nonce, Payload { msg: text, aad: bound.as_bytes() })
        .expect("AES-GCM takes any text shorter than 64 GiB");
    Ok((hex::encode_upper(nonce), hex::encode_upper(sealed)))
}

/// Decrypt what [`seal`] made; nothing if any of the four is not what it was.
fn open(cipher: &Aes256Gcm, nonce: &str, sealed: &str, bound: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut nonce_bytes = Nonce::<Aes256Gcm>::default();
    hex::decode_to_slice(nonce, &mut nonce_bytes).ok()?;
    let sealed = hex::decode(sealed).ok()?;
    cipher.decrypt(&nonce_bytes, Payload { msg: &sealed, aad: bound.as_bytes() }).ok().map(Zeroizing::new)
}

fn write(path: &Path, text: &str, put: impl FnOnce(NamedTempFile) -> io::Result<File>) -> Result<(), KeyRingError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let write = || {
        // Such a file is created with mode 0600.
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        put(file)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(io_error(path, "write the key ring"))
}

fn io_error(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> KeyRingError {
    move |source| KeyRingError::Io { path: path.to_owned(), doing, source }
}
