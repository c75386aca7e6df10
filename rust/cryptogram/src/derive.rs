//! From the issuer's master key to the card's key to the key of one session, one row of rules per scheme.
//!
//! Sources: EMV 4.4 Book 2 A1.3.1, A1.4; JR/T 0025.7-2013 11.1.3, 11.1.4; JR/T 0025.17-2013 8.1.3, 8.1.4.
//! Left out: the parity bits that some of these rules set on DES keys. DES ignores them, and no derived key leaves
//! this crate.

use sha1::{Digest, Sha1};

use crate::block::encrypt;
use crate::key::Secret;
use crate::{Derivation, MasterKey, Pan, Scheme, SequenceNumber};

/// PAN and sequence number as packed decimal, padded with zero digits on the left.
struct CardDigits {
    packed: [u8; 16],
    pan_digits: usize,
}

impl CardDigits {
    fn new(pan: &Pan, sequence_number: SequenceNumber) -> Self {
        let mut digits = [0; 32];
        let pan_digits = pan.as_bytes().len();
        for (digit, ascii) in digits[30 - pan_digits..30].iter_mut().zip(pan.as_bytes()) {
            *digit = ascii - b'0';
        }
        digits[30] = sequence_number.get() / 10;
        digits[31] = sequence_number.get() % 10;
        let mut packed = [0; 16];
        for (byte, pair) in packed.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = (pair[0] << 4) | pair[1];
        }
        Self { packed, pan_digits }
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

fn card_key(
    scheme: Scheme,
    derivation: Derivation,
    issuer: &Secret,
    pan: &Pan,
    sequence_number: SequenceNumber,
) -> Secret {
    let digits = CardDigits::new(pan, sequence_number);
    let tdes_pair = |left: [u8; 8]| {
        let cipher = issuer.tdes();
        Secret::from_halves(encrypt(&cipher, left), encrypt(&cipher, left.map(|byte| !byte)))
    };
    match scheme {
        Scheme::PbocTdes => tdes_pair(digits.rightmost()),
        Scheme::EmvCskTdes => match derivation {
            Derivation::ByPanLength if digits.pan_digits > 16 => tdes_pair(digits.hashed()),
            Derivation::ByPanLength | Derivation::OptionA => tdes_pair(digits.rightmost()),
        },
        Scheme::PbocSm4 => {
            let left = digits.rightmost();
            let mut block = [0; 16];
            block[..8].copy_from_slice(&left);
            block[8..].copy_from_slice(&left.map(|byte| !byte));
            Secret::new(encrypt(&issuer.sm4(), block))
        }
        Scheme::EmvAes => Secret::new(encrypt(&issuer.aes(), digits.packed)),
    }
}

/// Derive the key that signs one transaction, the `atc`-th of that card.
pub(crate) fn session_key(
    scheme: Scheme,
    derivation: Derivation,
    issuer: &MasterKey,
    pan: &Pan,
    sequence_number: SequenceNumber,
    atc: u16,
) -> Secret {
    let card_key = card_key(scheme, derivation, &issuer.0, pan, sequence_number);
    let [high, low] = atc.to_be_bytes();
    let tdes_pair = |left, right| {
        let cipher = card_key.tdes();
        Secret::from_halves(encrypt(&cipher, left), encrypt(&cipher, right))
    };
    match scheme {
        Scheme::PbocTdes => tdes_pair([0, 0, 0, 0, 0, 0, high, low], [0, 0, 0, 0, 0, 0, !high, !low]),
        Scheme::EmvCskTdes => tdes_pair([high, low, 0xF0, 0, 0, 0, 0, 0], [high, low, 0x0F, 0, 0, 0, 0, 0]),
        Scheme::PbocSm4 => {
            let block = [0, 0, 0, 0, 0, 0, high, low, 0, 0, 0, 0, 0, 0, !high, !low];
            Secret::new(encrypt(&card_key.sm4(), block))
        }
        Scheme::EmvAes => Secret::new(encrypt(&card_key.aes(), [high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
    }
}
