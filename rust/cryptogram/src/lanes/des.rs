//! DES on planes.
//!
//! Source: FIPS 46-3. Bit 1 of the standard is the most significant one, plane 63.

use pulp::{Simd, WithSimd};

use super::planes::{BITS, Planes, zeroize_words};
use super::word::Word;
use crate::des_boxes::{box_1, box_2, box_3, box_4, box_5, box_6, box_7, box_8};
use crate::des_tables::{INITIAL_PERMUTATION, PLACES, ROUND_KEY_BITS};

#[derive(Clone, Copy)]
pub(super) enum Direction {
    Encrypt,
    Decrypt,
}

use Direction::{Decrypt, Encrypt};

/// The two halves of a triple-DES key.
pub(super) type KeyPair<S> = [Planes<S>; 2];

/// Encrypt with the first half, decrypt with the second, encrypt with the first.
#[inline(always)]
pub(super) fn encrypt_triple<S: Simd>(simd: S, [left, right]: &KeyPair<S>, block: &mut Planes<S>) {
    simd.vectorize(Passes { simd, block, keys: [(left, Encrypt), (right, Decrypt), (left, Encrypt)] });
}

/// Encrypt with one key.
#[inline(always)]
pub(super) fn encrypt<S: Simd>(simd: S, key: &Planes<S>, block: &mut Planes<S>) {
    simd.vectorize(Passes { simd, block, keys: [(key, Encrypt)] });
}

/// A block through DES several times. The permutations at the end of one pass and at the start of the next cancel.
struct Passes<'a, S: Simd, const N: usize> {
    simd: S,
    block: &'a mut Planes<S>,
    keys: [(&'a Planes<S>, Direction); N],
}

impl<S: Simd, const N: usize> WithSimd for Passes<'_, S, N> {
    type Output = ();

    // The instruction set is that of the planes; asking for it again makes this a function of its own, compiled for it.
    #[inline(always)]
    fn with_simd<Same: Simd>(self, _same: Same) {
        let Self { simd, block, keys } = self;
        let mut halves = [[simd.splat_u64s(0); 32]; 2];
        for (position, bit) in INITIAL_PERMUTATION.iter().enumerate() {
            halves[position / 32][position % 32] = block.get(64 - usize::from(*bit)).bits;
        }
        for (key, direction) in keys {
            let [left, right] = &mut halves;
            for pair in 0..8 {
                let [first, second] = match direction {
                    Encrypt => [2 * pair, 2 * pair + 1],
                    Decrypt => [15 - 2 * pair, 14 - 2 * pair],
                };
                round(simd, left, right, key, &ROUND_KEY_BITS[first]);
                round(simd, right, left, key, &ROUND_KEY_BITS[second]);
            }
            // The last round does not exchange the halves.
            halves.swap(0, 1);
        }
        for (position, bit) in INITIAL_PERMUTATION.iter().enumerate() {
            block.set(64 - usize::from(*bit), Word::new(simd, halves[position / 32][position % 32]));
        }
        for half in &mut halves {
            zeroize_words::<S>(half);
        }
    }
}

#[inline(always)]
fn round<S: Simd>(simd: S, left: &mut [S::u64s; 32], right: &[S::u64s; 32], key: &Planes<S>, key_bits: &[u8; 48]) {
    let halves = &mut Halves { simd, left, right, key, key_bits };
    halves.add(0, box_1(halves.input(0)));
    halves.add(1, box_2(halves.input(1)));
    halves.add(2, box_3(halves.input(2)));
    halves.add(3, box_4(halves.input(3)));
    halves.add(4, box_5(halves.input(4)));
    halves.add(5, box_6(halves.input(5)));
    halves.add(6, box_7(halves.input(6)));
    halves.add(7, box_8(halves.input(7)));
}

/// What one round works on.
struct Halves<'a, S: Simd> {
    simd: S,
    left: &'a mut [S::u64s; 32],
    right: &'a [S::u64s; 32],
    key: &'a Planes<S>,
    key_bits: &'a [u8; 48],
}

impl<S: Simd> Halves<'_, S> {
    /// The input of a box: six neighbouring bits of the right half, the first and last of which it shares with other boxes.
    #[inline(always)]
    fn input(&self, number: usize) -> [Word<S>; 6] {
        let mut input = [Word::new(self.simd, self.simd.splat_u64s(0)); 6];
        for (bit, word) in input.iter_mut().enumerate() {
            let key_bit = usize::from(self.key_bits[6 * number + bit]) % BITS;
            *word = Word::new(self.simd, self.right[(4 * number + bit + 31) % 32]) ^ self.key.get(key_bit);
        }
        input
    }

    /// Add the output of a box to the left half, where the permutation puts it.
    #[inline(always)]
    fn add(&mut self, number: usize, output: [Word<S>; 4]) {
        for (bit, word) in output.into_iter().enumerate() {
            let place = &mut self.left[usize::from(PLACES[4 * number + bit])];
            *place = (Word::new(self.simd, *place) ^ word).bits;
        }
    }
}
