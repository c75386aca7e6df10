//! Key material: 16 bytes that are zeroized when dropped and never shown.

use std::fmt;

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::ZeroizeOnDrop;

use crate::Scheme;
use crate::few::{Tdes, sm4_of_zeros};
use crate::scheme::Cipher;

/// Any 16-byte key of a scheme: an issuer's, a card's or a session's.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Secret([u8; 16]);

impl Secret {
    pub(crate) const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn from_halves(left: [u8; 8], right: [u8; 8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&left);
        bytes[8..].copy_from_slice(&right);
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn halves(&self) -> [&[u8; 8]; 2] {
        let [left, right] = self.0.as_chunks().0 else { unreachable!("16 bytes are two halves") };
        [left, right]
    }
}

/// An issuer master key, from which every card's key derives.
pub struct MasterKey(pub(crate) Secret);

impl MasterKey {
    /// The length of every scheme's issuer master key in bytes.
    pub const LENGTH: usize = 16;

    /// Take over key material. The caller zeroizes its own copy.
    pub const fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Lend the key material to whoever wraps it for storage; nobody else has a use for it.
    pub const fn expose(&self) -> &[u8; Self::LENGTH] {
        self.0.bytes()
    }

    /// Compute the check value by which people compare keys: the first three bytes of a zero block encrypted with it.
    pub fn check_value(&self, scheme: Scheme) -> [u8; 3] {
        let first_eight = match scheme.cipher() {
            Cipher::Tdes => Tdes::new(&self.0).encrypt([0; 8]),
            Cipher::Sm4 => sm4_of_zeros(&self.0),
            Cipher::Aes => {
                let mut block = aes::Block::default();
                Aes128Enc::new(self.0.bytes().into()).encrypt_block(&mut block);
                *block.first_chunk().expect("16 bytes")
            }
        };
        *first_eight.first_chunk().expect("8 bytes")
    }

    /// Whether the key protects less than its length promises: all bytes zero, or a triple-DES key with equal halves
    /// or one of the published weak halves.
    pub fn is_weak(&self, scheme: Scheme) -> bool {
        let bytes = self.0.bytes();
        *bytes == [0; 16] || (scheme.is_tdes() && des::weak_key_test(bytes).is_err())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}
