//! The permutations of DES (FIPS 46-3), as tables that both ways to compute it use.
//!
//! Bits of blocks and keys are numbered as in the standard, from 1, unless a table says otherwise.

/// Bit `i` of the block after the initial permutation is this bit of the block before it.
#[rustfmt::skip]
pub(crate) const INITIAL_PERMUTATION: [u8; 64] = [
    58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4,
    62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
    57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3,
    61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
];

/// Bit `i` of what a round adds is this bit of the outputs of the boxes.
#[rustfmt::skip]
const PERMUTATION: [u8; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
    2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];

/// The first choice of key bits, which leaves parity out.
#[rustfmt::skip]
const FIRST_CHOICE: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18,
    10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
    63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22,
    14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
];

/// The second choice, of the bits that a round has after rotating.
#[rustfmt::skip]
const SECOND_CHOICE: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
    41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];

const ROTATIONS: [usize; 16] = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

/// Where the permutation puts each output bit of the boxes, both counted from 0.
pub(crate) const PLACES: [u8; 32] = {
    let mut places = [0; 32];
    let mut place = 0;
    while place < 32 {
        places[PERMUTATION[place as usize] as usize - 1] = place;
        place += 1;
    }
    places
};

/// Which bit of the key each bit of each round's key is, counted from the least significant, which is 0.
pub(crate) const ROUND_KEY_BITS: [[u8; 48]; 16] = {
    let mut bits = [[0; 48]; 16];
    let (mut round, mut rotated) = (0, 0);
    while round < 16 {
        rotated += ROTATIONS[round];
        let mut bit = 0;
        while bit < 48 {
            let chosen = SECOND_CHOICE[bit] as usize - 1;
            let half = chosen / 28 * 28;
            bits[round][bit] = 64 - FIRST_CHOICE[half + (chosen % 28 + rotated) % 28];
            bit += 1;
        }
        round += 1;
    }
    bits
};
