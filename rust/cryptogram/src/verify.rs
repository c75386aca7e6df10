//! The one call through which keys are used: verify a batch and answer what passed.
//!
//! Invariant: [`Session`] has no other constructor than a cryptogram that passed.
//! Invariant: verdicts stand in the order of the requests, however these were grouped; no request changes the verdict of another.
//! Invariant: time does not depend on secrets, only on what is public: how many requests there are of which scheme, how long
//! their data, which of them have the same issuer, and which passed.
//! Left out: whether the counter was seen before, whether the card may be used: the core decides that afterwards.

use std::fmt;

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use pulp::Arch;
use thiserror::Error;

use crate::few::{Tdes, verify_sm4, verify_tdes};
use crate::key::Secret;
use crate::lanes::{AesCards, Group, VerifySm4, VerifyTdes};
use crate::scheme::Cipher;
use crate::{Cryptogram, Derivation, MasterKey, Pan, Scheme, SequenceNumber};

// A word of lanes takes as long for one card as for all of them. These are the crossings that `cargo bench --bench cryptogram`
// shows on the machine of `benches/README.md`; they depend little on the machine, since all ways are made of the same operations.
/// Up to so many cards with triple DES are verified one by one: 7 µs each, where a word of 64 lanes takes 34 to 37 µs.
const FEW_TDES: usize = 4;
/// Up to so many cards with SM4 share the words of their bytes, as many as these hold: 12 to 25 µs, where a word of 64 lanes takes 34 to 39 µs.
const FEW_SM4: usize = 8;
/// Up to so many cards fill one word of 64 bits, which takes less than a vector of words, of which the rest would be empty.
const ONE_WORD: usize = 64;

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

/// The place of a request in a batch. In their order, requests that are verified together stand together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    cipher: Cipher,
    blocks: u32,
    pub(crate) index: u32,
}

/// Verifies batches, with memory that it keeps from one to the next and the widest words that the machine has.
pub struct Verifier {
    arch: Arch,
    places: Vec<Place>,
    aes: AesCards,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Verifier {
    /// Find out what the machine can do.
    pub fn new() -> Self {
        Self { arch: Arch::new(), places: Vec::new(), aes: AesCards::default() }
    }

    /// A verifier for every width of words that the machine has, the portable one first, for tests and benches.
    #[cfg(any(test, feature = "card"))]
    pub fn of_every_width() -> Vec<(&'static str, Self)> {
        let mut archs = vec![("portable", Arch::Scalar)];
        #[cfg(target_arch = "x86_64")]
        {
            archs.extend(pulp::x86::V3::try_new().map(|v3| ("avx2", Arch::V3(v3))));
            archs.extend(pulp::x86::V4::try_new().map(|v4| ("avx512", Arch::V4(v4))));
        }
        #[cfg(not(target_arch = "x86_64"))]
        archs.push(("detected", Arch::new()));
        archs.into_iter().map(|(name, arch)| (name, Self { arch, ..Self::new() })).collect()
    }

    /// Verify a batch, and answer what passed with this response code: `verdicts` is emptied and then holds one verdict per request, in the
    /// order of the requests.
    ///
    /// Requests that are alike in cipher and number of blocks are verified together, whatever their issuer. One request takes
    /// about as long as all that fit into the lanes beside it, so that batches should be as large as they come.
    pub fn verify(&mut self, batch: &[Request<'_>], arc: [u8; 2], verdicts: &mut Vec<Verdict>) {
        verdicts.clear();
        verdicts.resize_with(batch.len(), || Verdict::Invalid);
        self.places.clear();
        self.places.extend(batch.iter().zip(0..).map(|(request, index)| {
            let cipher = request.scheme.cipher();
            Place { cipher, blocks: blocks_of(cipher, request.data.len()), index }
        }));
        self.places.sort_unstable();
        for places in self.places.chunk_by(|left, right| (left.cipher, left.blocks) == (right.cipher, right.blocks)) {
            let Place { cipher, blocks, .. } = places[0];
            let arch = if places.len() <= ONE_WORD { Arch::Scalar } else { self.arch };
            let group = Group { batch, places, blocks: blocks as usize, arc, verdicts };
            match cipher {
                Cipher::Tdes if places.len() <= FEW_TDES => verify_tdes(group),
                Cipher::Tdes => arch.dispatch(VerifyTdes(group)),
                Cipher::Sm4 if places.len() <= FEW_SM4 => verify_sm4(group),
                Cipher::Sm4 => arch.dispatch(VerifySm4(group)),
                Cipher::Aes => self.aes.verify(group),
            }
        }
    }
}

/// Let a verdict decide what happens next. Nothing else that comes of a secret may, and only lines with this call; `tests/hidden_key.rs` watches.
#[inline]
pub(crate) fn made_public(verdict: bool) -> bool {
    verdict
}

/// How many blocks are encrypted for a MAC over so many bytes.
fn blocks_of(cipher: Cipher, length: usize) -> u32 {
    let blocks = match cipher {
        Cipher::Tdes => length / 8 + 1,
        Cipher::Sm4 => length / 16 + 1,
        // CMAC pads only what does not fill its last block.
        Cipher::Aes => length.div_ceil(16).max(1),
    };
    u32::try_from(blocks).expect("signed bytes are few")
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

/// A card that has proved itself, and how it is answered.
pub struct Session {
    scheme: Scheme,
    key: Secret,
    cryptogram: Cryptogram,
    arpc: [u8; 8],
}

impl Session {
    pub(crate) fn new(request: &Request<'_>, key: Secret, arpc: [u8; 8]) -> Self {
        Self { scheme: request.scheme, key, cryptogram: request.cryptogram, arpc }
    }

    /// The ARPC over the response code with which the batch was verified (EMV 4.4 Book 2 8.2.1; JR/T 0025.7-2013 6.2).
    pub fn arpc_method_1(&self) -> [u8; 8] {
        self.arpc
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
        let mac: [u8; 8] = if self.scheme.is_tdes() {
            Tdes::new(&self.key).mac(&data[..length])
        } else {
            let mac = Cmac::<Aes128>::new(self.key.bytes().into()).chain_update(&data[..length]).finalize();
            *mac.as_bytes().first_chunk().expect("16 bytes")
        };
        Ok(*mac.first_chunk().expect("8 bytes"))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
