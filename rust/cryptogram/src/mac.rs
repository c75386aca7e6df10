//! The MAC of each scheme over any bytes.
//!
//! Sources: EMV 4.4 Book 2 A1.2, 8.1.2; JR/T 0025.7-2013 11.1.2.1; JR/T 0025.17-2013 6.1.2; NIST SP 800-38B.

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use des::Des;
use sm4::cipher::{Array, BlockCipherEncrypt};

use crate::Scheme;
use crate::block::{decrypt, encrypt, first_eight, xor};
use crate::key::Secret;

/// Compute the eight bytes that a chip holding this session key sends for `data`.
pub(crate) fn mac(scheme: Scheme, session_key: &Secret, data: &[u8]) -> [u8; 8] {
    match scheme {
        Scheme::PbocTdes | Scheme::EmvCskTdes => retail_mac(session_key, data),
        Scheme::PbocSm4 => first_eight(cbc_mac(&session_key.sm4(), data)),
        Scheme::EmvAes => {
            let cmac = Cmac::<Aes128>::new(session_key.bytes().into()).chain_update(data);
            first_eight(cmac.finalize().into_bytes().into())
        }
    }
}

/// ISO/IEC 9797-1 algorithm 3: single DES in a chain, triple DES at its end.
fn retail_mac(key: &Secret, data: &[u8]) -> [u8; 8] {
    let [left, right] = key.halves().map(|half| Des::new(half.into()));
    encrypt(&left, decrypt(&right, cbc_mac(&left, data)))
}

/// The last block of CBC with zero IV, after ISO/IEC 9797-1 padding method 2: one byte 80, then zeros to a full block,
/// a block of its own when the data end on a border.
fn cbc_mac<C, const N: usize>(cipher: &C, data: &[u8]) -> [u8; N]
where
    C: BlockCipherEncrypt,
    Array<u8, C::BlockSize>: From<[u8; N]> + Into<[u8; N]>,
{
    let (blocks, rest) = data.as_chunks::<N>();
    let chain = blocks.iter().fold([0; N], |chain, block| encrypt(cipher, xor(chain, *block)));
    let mut last = [0; N];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    encrypt(cipher, xor(chain, last))
}
