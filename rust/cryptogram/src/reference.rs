//! The same as [`crate::Verifier`] in the plainest way: one card after the other, by the block ciphers of well-known crates.
//!
//! Left out: constant time. The DES and SM4 crates look up tables, so this is for tests, benches and the chip's side only.

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use des::{Des, TdesEde2};
use sm4::Sm4;
use sm4::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt};

use crate::derive::{
    aes_card_block, aes_session_block, answered, sm4_card_block, sm4_session_block, tdes_card_block,
    tdes_session_blocks,
};
use crate::key::Secret;
use crate::scheme::Cipher;
use crate::{Cryptogram, Request, Session, Verdict};

/// Verify a batch as [`crate::Verifier::verify`] does.
pub fn verify(batch: &[Request<'_>], arc: [u8; 2], verdicts: &mut Vec<Verdict>) {
    verdicts.clear();
    verdicts.extend(batch.iter().map(|request| verify_one(request, arc)));
}

/// Compute the cryptogram that the chip makes for a request, whose own cryptogram is not looked at.
pub fn sign(request: &Request<'_>) -> Cryptogram {
    Cryptogram(mac(request.scheme.cipher(), &session_key(request), request.data))
}

fn verify_one(request: &Request<'_>, arc: [u8; 2]) -> Verdict {
    let key = session_key(request);
    if mac(request.scheme.cipher(), &key, request.data) != request.cryptogram.0 {
        return Verdict::Invalid;
    }
    let block = answered(request.cryptogram.0, arc);
    let mut padded = [0; 16];
    padded[..8].copy_from_slice(&block);
    let arpc = match request.scheme.cipher() {
        Cipher::Tdes => encrypt(&tdes(&key), block),
        Cipher::Sm4 => first_eight(encrypt(&sm4(&key), padded)),
        Cipher::Aes => first_eight(encrypt(&aes(&key), padded)),
    };
    Verdict::Valid(Session::new(request, key, arpc))
}

/// Derive the key that signs one transaction of a card.
fn session_key(request: &Request<'_>) -> Secret {
    let issuer = &request.key.0;
    match request.scheme.cipher() {
        Cipher::Tdes => {
            let left = tdes_card_block(request);
            let card =
                Secret::from_halves(encrypt(&tdes(issuer), left), encrypt(&tdes(issuer), left.map(|byte| !byte)));
            let [left, right] = tdes_session_blocks(request);
            Secret::from_halves(encrypt(&tdes(&card), left), encrypt(&tdes(&card), right))
        }
        Cipher::Sm4 => {
            let card = Secret::new(encrypt(&sm4(issuer), sm4_card_block(request)));
            Secret::new(encrypt(&sm4(&card), sm4_session_block(request)))
        }
        Cipher::Aes => {
            let card = Secret::new(encrypt(&aes(issuer), aes_card_block(request)));
            Secret::new(encrypt(&aes(&card), aes_session_block(request)))
        }
    }
}

fn tdes(key: &Secret) -> TdesEde2 {
    TdesEde2::new(key.bytes().into())
}

fn sm4(key: &Secret) -> Sm4 {
    Sm4::new(key.bytes().into())
}

fn aes(key: &Secret) -> Aes128 {
    Aes128::new(key.bytes().into())
}

/// Compute the eight bytes that a chip holding this session key sends for `data`.
fn mac(cipher: Cipher, session_key: &Secret, data: &[u8]) -> [u8; 8] {
    match cipher {
        Cipher::Tdes => retail_mac(session_key, data),
        Cipher::Sm4 => first_eight(cbc_mac(&sm4(session_key), data)),
        Cipher::Aes => {
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

fn encrypt<C, const N: usize>(cipher: &C, block: [u8; N]) -> [u8; N]
where
    C: BlockCipherEncrypt,
    Array<u8, C::BlockSize>: From<[u8; N]> + Into<[u8; N]>,
{
    let mut block = Array::from(block);
    cipher.encrypt_block(&mut block);
    block.into()
}

fn decrypt<C, const N: usize>(cipher: &C, block: [u8; N]) -> [u8; N]
where
    C: BlockCipherDecrypt,
    Array<u8, C::BlockSize>: From<[u8; N]> + Into<[u8; N]>,
{
    let mut block = Array::from(block);
    cipher.decrypt_block(&mut block);
    block.into()
}

fn xor<const N: usize>(mut left: [u8; N], right: [u8; N]) -> [u8; N] {
    for (byte, other) in left.iter_mut().zip(right) {
        *byte ^= other;
    }
    left
}

fn first_eight(block: [u8; 16]) -> [u8; 8] {
    *block.first_chunk().expect("16 bytes")
}
