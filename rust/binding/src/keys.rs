//! The key ring file, behind `medsettle.keys`.
//!
//! Invariant: no function returns a key. Deriving a key from a passphrase takes a while; callers are detached.

use std::path::{Path, PathBuf};

use medsettle_cryptogram::{Derivation, MasterKey};
use medsettle_engine::keyring::{IssuerKey, Kek, KeyAttributes, KeyRing, PanRange, TokenKey};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::cryptogram::{named_derivation, named_scheme};
use crate::errors::{KeyRingError, key_refused, key_ring_error};

/// Write a key ring with nothing but a key for PINs; an existing file is never replaced.
#[pyfunction]
pub(crate) fn keyring_create(py: Python<'_>, path: PathBuf, kek: &str) -> PyResult<()> {
    py.detach(|| KeyRing::create(&path, &named_kek(kek)?).map_err(|error| key_ring_error(&error)))
}

/// Add a random key and return its check value.
#[expect(clippy::too_many_arguments, reason = "a key has these attributes")]
#[pyfunction]
pub(crate) fn keyring_generate(
    py: Python<'_>,
    path: PathBuf,
    kek: &str,
    issuer: String,
    scheme: &str,
    key_index: i64,
    pan_from: &str,
    pan_to: &str,
    derivation: Option<&str>,
) -> PyResult<String> {
    let attributes = attributes(&path, issuer, scheme, key_index, [pan_from, pan_to], derivation)?;
    let added = py.detach(|| Ok::<_, PyErr>(KeyRing::generate(&path, &named_kek(kek)?, attributes)))?;
    added.map(hex::encode_upper).map_err(|error| key_ring_error(&error))
}

/// Add the key that the custodians' components make and return its check value.
#[expect(clippy::too_many_arguments, reason = "a key has these attributes")]
#[pyfunction]
pub(crate) fn keyring_import_components(
    py: Python<'_>,
    path: PathBuf,
    kek: &str,
    issuer: String,
    scheme: &str,
    key_index: i64,
    pan_from: &str,
    pan_to: &str,
    derivation: Option<&str>,
    components: Vec<PyBackedBytes>,
) -> PyResult<String> {
    let attributes = attributes(&path, issuer, scheme, key_index, [pan_from, pan_to], derivation)?;
    let components = components
        .iter()
        .map(|component| match (**component).try_into() {
            Ok(bytes) => Ok(MasterKey::new(bytes)),
            Err(_) => Err(key_refused(
                &path,
                format_args!("a component has {} bytes, this has {}", MasterKey::LENGTH, component.len()),
            )),
        })
        .collect::<PyResult<Vec<_>>>()?;
    let added = py.detach(|| Ok::<_, PyErr>(KeyRing::import(&path, &named_kek(kek)?, attributes, &components)))?;
    added.map(hex::encode_upper).map_err(|error| key_ring_error(&error))
}

/// Issuer, scheme, key index, PAN from, PAN to, derivation unless it is the default, check value.
type Row = (String, &'static str, u8, String, String, Option<&'static str>, String);

/// List the keys by key index and PAN range.
#[pyfunction]
pub(crate) fn keyring_list(py: Python<'_>, path: PathBuf, kek: &str) -> PyResult<Vec<Row>> {
    let ring = py.detach(|| KeyRing::load(&path, &named_kek(kek)?).map_err(|error| key_ring_error(&error)))?;
    Ok(ring.issuers().map(row).collect())
}

/// Add an issuer's public key for tokens: 32 bytes of Ed25519.
#[pyfunction]
pub(crate) fn keyring_import_token_key(
    py: Python<'_>,
    path: PathBuf,
    kek: &str,
    name: &str,
    public_key: [u8; 32],
) -> PyResult<()> {
    let key = TokenKey::new(name, public_key).map_err(|problem| key_refused(&path, problem))?;
    py.detach(|| KeyRing::import_token_key(&path, &named_kek(kek)?, key).map_err(|error| key_ring_error(&error)))
}

/// Add a random key for PINs to a ring that has none, and return its check value.
#[pyfunction]
pub(crate) fn keyring_generate_pin_key(py: Python<'_>, path: PathBuf, kek: &str) -> PyResult<String> {
    let added = py.detach(|| Ok::<_, PyErr>(KeyRing::generate_pin_key(&path, &named_kek(kek)?)))?;
    added.map(hex::encode_upper).map_err(|error| key_ring_error(&error))
}

/// Check value of the key for PINs, if the ring has one.
#[pyfunction]
pub(crate) fn keyring_pin_key(py: Python<'_>, path: PathBuf, kek: &str) -> PyResult<Option<String>> {
    let ring = py
        .detach(|| Ok::<_, PyErr>(KeyRing::load(&path, &named_kek(kek)?)))?
        .map_err(|error| key_ring_error(&error))?;
    Ok(ring.pin_key().map(|key| hex::encode_upper(key.check_value())))
}

/// List the public keys for tokens by name.
#[pyfunction]
pub(crate) fn keyring_token_keys(py: Python<'_>, path: PathBuf, kek: &str) -> PyResult<Vec<(String, String)>> {
    let ring = py.detach(|| KeyRing::load(&path, &named_kek(kek)?).map_err(|error| key_ring_error(&error)))?;
    Ok(ring.token_keys().iter().map(|key| (key.name().to_owned(), hex::encode_upper(key.public_key()))).collect())
}

/// Wrap every key anew, from now on under `new_kek`.
#[pyfunction]
pub(crate) fn keyring_rotate(py: Python<'_>, path: PathBuf, kek: &str, new_kek: &str) -> PyResult<()> {
    py.detach(|| {
        let (kek, new_kek) = (named_kek(kek)?, named_kek(new_kek)?);
        KeyRing::rotate(&path, &kek, &new_kek).map_err(|error| key_ring_error(&error))
    })
}

/// Find the key-encryption key that `file:PATH`, `env:NAME` or `passphrase:TEXT` names.
pub(crate) fn named_kek(specification: &str) -> PyResult<Kek> {
    let kek = match specification.split_once(':') {
        Some(("file", path)) => Kek::from_file(Path::new(path)),
        Some(("env", variable)) => Kek::from_env(variable),
        Some(("passphrase", passphrase)) => Kek::from_passphrase(passphrase.to_owned()),
        // The text is not repeated: it may be a passphrase that lacks its word in front.
        _ => {
            return Err(KeyRingError::new_err(
                "a key-encryption key is named by file:PATH, env:NAME or passphrase:TEXT",
            ));
        }
    };
    kek.map_err(|error| key_ring_error(&error))
}

fn attributes(
    path: &Path,
    issuer: String,
    scheme: &str,
    key_index: i64,
    [pan_from, pan_to]: [&str; 2],
    derivation: Option<&str>,
) -> PyResult<KeyAttributes> {
    let refused = |problem: String| key_refused(path, problem);
    let scheme = named_scheme(scheme).map_err(refused)?;
    let derivation = named_derivation(scheme, derivation).map_err(refused)?;
    let key_index =
        u8::try_from(key_index).map_err(|_| refused(format!("a key index is 0 to 255, this is {key_index}")))?;
    let pan_range = PanRange::new(pan_from, pan_to).map_err(|problem| key_refused(path, problem))?;
    Ok(KeyAttributes { issuer, scheme, key_index, pan_range, derivation })
}

fn row(key: &IssuerKey) -> Row {
    let KeyAttributes { issuer, scheme, key_index, pan_range, derivation } = key.attributes();
    let derivation = (*derivation != Derivation::default()).then(|| derivation.name());
    (
        issuer.clone(),
        scheme.name(),
        *key_index,
        pan_range.from().to_owned(),
        pan_range.to().to_owned(),
        derivation,
        hex::encode_upper(key.check_value()),
    )
}

/// Keep the keys of this process out of core dumps.
#[pyfunction]
pub(crate) fn forbid_core_dumps() -> PyResult<()> {
    Ok(medsettle_engine::keyring::forbid_core_dumps()?)
}
