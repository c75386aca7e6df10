//! Single blocks through any block cipher, as plain arrays.

use sm4::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt};

pub(crate) fn encrypt<C, const N: usize>(cipher: &C, block: [u8; N]) -> [u8; N]
where
    C: BlockCipherEncrypt,
    Array<u8, C::BlockSize>: From<[u8; N]> + Into<[u8; N]>,
{
    let mut block = Array::from(block);
    cipher.encrypt_block(&mut block);
    block.into()
}

pub(crate) fn decrypt<C, const N: usize>(cipher: &C, block: [u8; N]) -> [u8; N]
where
    C: BlockCipherDecrypt,
    Array<u8, C::BlockSize>: From<[u8; N]> + Into<[u8; N]>,
{
    let mut block = Array::from(block);
    cipher.decrypt_block(&mut block);
    block.into()
}

pub(crate) fn xor<const N: usize>(mut left: [u8; N], right: [u8; N]) -> [u8; N] {
    for (byte, other) in left.iter_mut().zip(right) {
        *byte ^= other;
    }
    left
}

/// The left half of a block.
pub(crate) fn first_eight(block: [u8; 16]) -> [u8; 8] {
    let [first, ..] = block.as_chunks().0 else { unreachable!("16 bytes are two halves") };
    *first
}
