//! What is encrypted to get from the issuer's master key to the card's key to the key of one session, and what a MAC is
//! computed over: the rules of each scheme apart from the ciphers.
//!
//! Sources: EMV 4.4 Book 2 A1.2, A1.3.1, A1.4, 8.2.1; JR/T 0025.7-2013 6.2, 11.1.2 to 11.1.4; JR/T 0025.17-2013 8.1.
//! Left out: the parity bits that some of these rules set on DES keys. DES ignores them, and no derived key leaves
//! this crate.

use sha1::{Digest, Sha1};

use crate::{Derivation, Pan, Request, Scheme, SequenceNumber};

/// PAN and sequence number as packed decimal, padded with zero digits on the left.
struct CardDigits {
    packed: [u8; 16],
    pan_digits: usize,
}

impl CardDigits {
    fn new(pan: &Pan, sequence_number: SequenceNumber) -> Self {
        let (pan_digits, number) = (pan.as_bytes().len(), sequence_number.get());
        let packed = (pan.packed() << 8) | u128::from(((number / 10) << 4) | (number % 10));
        Self { packed: packed.to_be_bytes(), pan_digits }
    }

    /// The 16 rightmost digits.
    fn rightmost(&self) -> [u8; 8] {
        let [.., last] = self.packed.as_chunks().0 else { unreachable!("16 bytes are two halves") };
        *last
    }

    /// The first 16 decimal digits of the hash over all digits; where it has too few, its letters A to F stand for 0
    /// to 5. A hash has 40 digits and letters, so the two passes always find 16.
    fn hashed(&self) -> [u8; 8] {
        let length = (self.pan_digits + 2).div_ceil(2);
        let hash = Sha1::digest(&self.packed[16 - length..]);
        let nibbles = || hash.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        let decimal = nibbles().filter(|nibble| *nibble < 10);
        let letters = nibbles().filter(|nibble| *nibble >= 10).map(|nibble| nibble - 10);
        let mut packed = [0; 8];
        for (position, digit) in decimal.chain(letters).take(16).enumerate() {
            packed[position / 2] |= if position % 2 == 0 { digit << 4 } else { digit };
        }
        packed
    }
}

/// The block that a triple-DES issuer's key encrypts to the left half of a card's key. The right half comes from its
/// complement.
pub(crate) fn tdes_card_block(request: &Request<'_>) -> [u8; 8] {
    let digits = CardDigits::new(&request.pan, request.sequence_number);
    let may_be_hashed = request.scheme == Scheme::EmvCskTdes && request.derivation == Derivation::ByPanLength;
    if may_be_hashed && digits.pan_digits > 16 { digits.hashed() } else { digits.rightmost() }
}

/// The block that an SM4 issuer's key encrypts to a card's key.
pub(crate) fn sm4_card_block(request: &Request<'_>) -> [u8; 16] {
    let left = CardDigits::new(&request.pan, request.sequence_number).rightmost();
    let mut block = [0; 16];
    block[..8].copy_from_slice(&left);
    block[8..].copy_from_slice(&left.map(|byte| !byte));
    block
}

/// The block that an AES issuer's key encrypts to a card's key.
pub(crate) fn aes_card_block(request: &Request<'_>) -> [u8; 16] {
    CardDigits::new(&request.pan, request.sequence_number).packed
}

/// The blocks that a card's triple-DES key encrypts to the two halves of a session's.
pub(crate) fn tdes_session_blocks(request: &Request<'_>) -> [[u8; 8]; 2] {
    let [high, low] = request.atc.to_be_bytes();
    match request.scheme {
        Scheme::EmvCskTdes => [[high, low, 0xF0, 0, 0, 0, 0, 0], [high, low, 0x0F, 0, 0, 0, 0, 0]],
        _ => [[0, 0, 0, 0, 0, 0, high, low], [0, 0, 0, 0, 0, 0, !high, !low]],
    }
}

/// The block that a card's SM4 key encrypts to a session's.
pub(crate) fn sm4_session_block(request: &Request<'_>) -> [u8; 16] {
    let [high, low] = request.atc.to_be_bytes();
    [0, 0, 0, 0, 0, 0, high, low, 0, 0, 0, 0, 0, 0, !high, !low]
}

/// The block that a card's AES key encrypts to a session's.
pub(crate) fn aes_session_block(request: &Request<'_>) -> [u8; 16] {
    let [high, low] = request.atc.to_be_bytes();
    [high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// A block of data after ISO/IEC 9797-1 padding method 2: one byte 80, then zeros to a full block, a block of its own
/// when the data end on a border.
#[inline]
pub(crate) fn padded_block<const N: usize>(data: &[u8], position: usize) -> [u8; N] {
    let rest = data.get(N * position..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return *block;
    }
    let mut block = [0; N];
    block[..rest.len()].copy_from_slice(rest);
    block[rest.len()] = 0x80;
    block
}

/// What an ARPC by method 1 is computed over: the cryptogram with the response code added.
pub(crate) fn answered(cryptogram: [u8; 8], arc: [u8; 2]) -> [u8; 8] {
    let mut block = cryptogram;
    block[0] ^= arc[0];
    block[1] ^= arc[1];
    block
}
