//! The one call through which keys are used: verify a batch, and answer what passed.
//!
//! Invariant: [`Session`] has no other constructor than a cryptogram that passed.
//! Left out: whether the counter was seen before, whether the card may be used: the core decides that afterwards.

use std::fmt;

use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::block::{encrypt, first_eight, xor};
use crate::derive::session_key;
use crate::key::Secret;
use crate::mac::mac;
use crate::{Cryptogram, Derivation, MasterKey, Pan, Scheme, SequenceNumber};

/// A cryptogram with all it takes to check it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The scheme to which `key` belongs.
    pub scheme: Scheme,
    /// The issuer's choice that belongs to `key`.
    pub derivation: Derivation,
    /// The master key of the card's issuer.
    pub key: &'a MasterKey,
    /// The number of the card that is said to have signed.
    pub pan: Pan,
    /// Its sequence number.
    pub sequence_number: SequenceNumber,
    /// The chip's transaction counter.
    pub atc: u16,
    /// The bytes the chip signed, before padding; see [`crate::SignedFields::encode`].
    pub data: &'a [u8],
    /// What the chip sent.
    pub cryptogram: Cryptogram,
}

/// What became of one request.
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    /// The card's chip signed exactly these bytes with this counter.
    Valid(Session),
    /// It did not. Why is not known: a cryptogram does not tell.
    Invalid,
}

/// Verify a batch: `verdicts` is emptied and then holds one verdict per request, in the order of the requests.
pub fn verify(batch: &[Request<'_>], verdicts: &mut Vec<Verdict>) {
    verdicts.clear();
    verdicts.extend(batch.iter().map(verify_one));
}

fn verify_one(request: &Request<'_>) -> Verdict {
    let key = key_of(request);
    let expected = mac(request.scheme, &key, request.data);
    if expected.ct_eq(&request.cryptogram.0).into() {
        Verdict::Valid(Session { scheme: request.scheme, key, cryptogram: request.cryptogram })
    } else {
        Verdict::Invalid
    }
}

fn key_of(request: &Request<'_>) -> Secret {
    let Request { scheme, derivation, key, pan, sequence_number, atc, .. } = request;
    session_key(*scheme, *derivation, key, pan, *sequence_number, *atc)
}

/// Compute the cryptogram that the chip makes for a request, whose own cryptogram is not looked at: the chip's side,
/// for tests and benches.
#[cfg(feature = "card")]
pub fn sign(request: &Request<'_>) -> Cryptogram {
    Cryptogram(mac(request.scheme, &key_of(request), request.data))
}

/// An answer that cannot be given.
#[expect(missing_docs, reason = "the message of each variant says what it means")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ArpcError {
    #[error("{} has no ARPC method 2", .0.name())]
    NoMethod2(Scheme),
    #[error("proprietary authentication data have at most 8 bytes, these have {0}")]
    AuthDataTooLong(usize),
}

/// A card that has proved itself, ready to be answered.
pub struct Session {
    scheme: Scheme,
    key: Secret,
    cryptogram: Cryptogram,
}

impl Session {
    /// Compute the ARPC over the response code that the hub decided (EMV 4.4 Book 2 8.2.1; JR/T 0025.7-2013 6.2).
    pub fn arpc_method_1(&self, arc: [u8; 2]) -> [u8; 8] {
        let answered = xor(self.cryptogram.0, [arc[0], arc[1], 0, 0, 0, 0, 0, 0]);
        let mut padded = [0; 16];
        padded[..8].copy_from_slice(&answered);
        match self.scheme {
            Scheme::PbocTdes | Scheme::EmvCskTdes => encrypt(&self.key.tdes(), answered),
            Scheme::PbocSm4 => first_eight(encrypt(&self.key.sm4(), padded)),
            Scheme::EmvAes => first_eight(encrypt(&self.key.aes(), padded)),
        }
    }

    /// Compute the ARPC over a card status update and up to 8 bytes of the issuer's own (EMV 4.4 Book 2 8.2.2).
    pub fn arpc_method_2(&self, csu: [u8; 4], auth_data: &[u8]) -> Result<[u8; 4], ArpcError> {
        if matches!(self.scheme, Scheme::PbocSm4 | Scheme::PbocTdes) {
            return Err(ArpcError::NoMethod2(self.scheme));
        }
        if auth_data.len() > 8 {
            return Err(ArpcError::AuthDataTooLong(auth_data.len()));
        }
        let mut data = [0; 20];
        let length = 12 + auth_data.len();
        data[..8].copy_from_slice(&self.cryptogram.0);
        data[8..12].copy_from_slice(&csu);
        data[12..length].copy_from_slice(auth_data);
        let [a, b, c, d, ..] = mac(self.scheme, &self.key, &data[..length]);
        Ok([a, b, c, d])
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
