//! Blocks of 64 bits, one per lane, turned into 64 planes and back.
//!
//! Invariant: plane `p` holds bit `p` of every lane's block, the least significant bit being 0.
//! Invariant: lanes without a card hold zero blocks.

use pulp::bytemuck::{cast_slice, cast_slice_mut};
use pulp::{Simd, WithSimd};
use zeroize::Zeroize;

use super::word::Word;

pub(super) const BITS: usize = 64;

/// The lanes of the widest word there is.
pub(super) const MAX_LANES: usize = 512;

/// How many lanes a word has.
pub(super) const fn lanes<S: Simd>() -> usize {
    BITS * S::U64_LANES
}

/// A block per lane.
pub(super) struct Planes<S: Simd> {
    simd: S,
    words: [S::u64s; BITS],
}

impl<S: Simd> Planes<S> {
    #[inline(always)]
    pub(super) fn zero(simd: S) -> Self {
        Self { simd, words: [simd.splat_u64s(0); BITS] }
    }

    /// Take one block for each lane, from the first lane on.
    #[inline(always)]
    pub(super) fn load(simd: S, blocks: impl Iterator<Item = u64>) -> Self {
        let mut planes = Self::zero(simd);
        let rows = cast_slice_mut::<S::u64s, u64>(&mut planes.words);
        for (lane, block) in blocks.enumerate() {
            rows[lane % BITS * S::U64_LANES + lane / BITS] = block;
        }
        simd.vectorize(Transpose { rows });
        planes
    }

    /// Give back the blocks of the first lanes, as many as there are places.
    #[inline(always)]
    pub(super) fn store(mut self, blocks: &mut [u64]) {
        let rows = cast_slice_mut::<S::u64s, u64>(&mut self.words);
        self.simd.vectorize(Transpose { rows });
        for (lane, block) in blocks.iter_mut().enumerate() {
            *block = rows[lane % BITS * S::U64_LANES + lane / BITS];
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, plane: usize) -> Word<S> {
        Word::new(self.simd, self.words[plane])
    }

    #[inline(always)]
    pub(super) fn set(&mut self, plane: usize, word: Word<S>) {
        self.words[plane] = word.bits;
    }

    /// Add another block (XOR).
    #[inline(always)]
    pub(super) fn add(&mut self, other: &Self) {
        for plane in 0..BITS {
            self.set(plane, self.get(plane) ^ other.get(plane));
        }
    }

    #[inline(always)]
    pub(super) fn complement(&self) -> Self {
        let mut complement = Self::zero(self.simd);
        for plane in 0..BITS {
            complement.set(plane, !self.get(plane));
        }
        complement
    }

    /// The same with zero blocks in these lanes.
    #[inline(always)]
    pub(super) fn without(mut self, lanes: Word<S>) -> Self {
        for plane in 0..BITS {
            self.set(plane, self.get(plane) & !lanes);
        }
        self
    }

    /// The lanes in which this block differs from another.
    #[inline(always)]
    pub(super) fn differing(&self, other: &Self) -> Word<S> {
        let mut lanes = Word::new(self.simd, self.simd.splat_u64s(0));
        for plane in 0..BITS {
            lanes = lanes | (self.get(plane) ^ other.get(plane));
        }
        lanes
    }
}

impl<S: Simd> Drop for Planes<S> {
    #[inline(always)]
    fn drop(&mut self) {
        zeroize_words::<S>(&mut self.words);
    }
}

#[inline(always)]
pub(super) fn zeroize_words<S: Simd>(words: &mut [S::u64s]) {
    cast_slice_mut::<S::u64s, u64>(words).zeroize();
}

/// Whether a lane's bit is set.
#[inline(always)]
pub(super) fn has_lane<S: Simd>(word: Word<S>, lane: usize) -> bool {
    cast_slice::<S::u64s, u64>(&[word.bits])[lane / BITS] >> (lane % BITS) & 1 == 1
}

/// Transpose matrices of 64 times 64 bits, as many as a word has numbers, whose rows stand side by side: in each, squares of 32
/// times 32 bits change places, in those squares of 16, and so on. It is a function of its own because it is long and needed often.
struct Transpose<'a> {
    rows: &'a mut [u64],
}

impl WithSimd for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        exchange::<S, 32>(self.rows, 0x0000_0000_FFFF_FFFF);
        exchange::<S, 16>(self.rows, 0x0000_FFFF_0000_FFFF);
        exchange::<S, 8>(self.rows, 0x00FF_00FF_00FF_00FF);
        exchange::<S, 4>(self.rows, 0x0F0F_0F0F_0F0F_0F0F);
        exchange::<S, 2>(self.rows, 0x3333_3333_3333_3333);
        exchange::<S, 1>(self.rows, 0x5555_5555_5555_5555);
    }
}

#[inline(always)]
fn exchange<S: Simd, const SIDE: usize>(rows: &mut [u64], mask: u64) {
    for pair in rows.chunks_exact_mut(2 * SIDE * S::U64_LANES) {
        let (upper, lower) = pair.split_at_mut(SIDE * S::U64_LANES);
        for (upper, lower) in upper.iter_mut().zip(lower) {
            let changed = ((*upper >> SIDE) ^ *lower) & mask;
            *lower ^= changed;
            *upper ^= changed << SIDE;
        }
    }
}
