//! SM4 on planes.
//!
//! Source: GM/T 0002-2012.

use pulp::{Simd, WithSimd};

use super::planes::{Planes, zeroize_words};
use super::word::Word;
use crate::sm4_box::sm4_box;
use crate::sm4_parameters::{FIXED, ROUNDS, SYSTEM};

/// By how many bits the substituted word is rotated to the left for each sum of a round, and of the key schedule.
const ROUND_ROTATIONS: [usize; 4] = [2, 10, 18, 24];
const KEY_ROTATIONS: [usize; 2] = [13, 23];

/// 32 planes: a word of SM4 in every lane, the least significant bit first.
type Words<S> = [<S as Simd>::u64s; 32];

/// A block in every lane, or a key: the left half first.
pub(super) type Block<S> = [Planes<S>; 2];

/// The keys of all rounds, in every lane.
pub(super) struct Schedule<S: Simd> {
    simd: S,
    rounds: [Words<S>; ROUNDS],
}

impl<S: Simd> Schedule<S> {
    #[inline(always)]
    pub(super) fn zero(simd: S) -> Self {
        Self { simd, rounds: [[simd.splat_u64s(0); 32]; ROUNDS] }
    }

    /// Become the schedule of other keys.
    #[inline(always)]
    pub(super) fn set(&mut self, key: &Block<S>) {
        self.simd.vectorize(MakeSchedule { key, schedule: self });
    }

    /// Encrypt one block in every lane.
    #[inline(always)]
    pub(super) fn encrypt(&self, block: &mut Block<S>) {
        self.simd.vectorize(Encrypt { schedule: self, block });
    }
}

impl<S: Simd> Drop for Schedule<S> {
    #[inline(always)]
    fn drop(&mut self) {
        zeroize_words::<S>(self.rounds.as_flattened_mut());
    }
}

/// Four words, of which each round changes the oldest.
struct State<S: Simd> {
    simd: S,
    words: [Words<S>; 4],
}

impl<S: Simd> State<S> {
    #[inline(always)]
    fn new(simd: S, [left, right]: &Block<S>) -> Self {
        Self { simd, words: [half(simd, left, 32), half(simd, left, 0), half(simd, right, 32), half(simd, right, 0)] }
    }

    #[inline(always)]
    fn get(&self, word: usize, bit: usize) -> Word<S> {
        Word::new(self.simd, self.words[word % 4][bit % 32])
    }

    /// Add to the oldest word the substituted sum of the others and of `added`, and its rotations.
    #[inline(always)]
    fn round<const N: usize>(
        &mut self,
        round: usize,
        added: impl Fn(usize, Word<S>) -> Word<S>,
        rotations: [usize; N],
    ) {
        let mut substituted = [self.simd.splat_u64s(0); 32];
        for byte in 0..4 {
            let mut input = [Word::new(self.simd, self.simd.splat_u64s(0)); 8];
            for (bit, word) in input.iter_mut().enumerate() {
                let bit = 8 * byte + bit;
                let others = self.get(round + 1, bit) ^ self.get(round + 2, bit) ^ self.get(round + 3, bit);
                *word = added(bit, others);
            }
            for (bit, word) in sm4_box(input).into_iter().enumerate() {
                substituted[8 * byte + bit] = word.bits;
            }
        }
        for bit in 0..32 {
            let mut sum = self.get(round, bit) ^ Word::new(self.simd, substituted[bit]);
            for rotation in rotations {
                sum = sum ^ Word::new(self.simd, substituted[(32 + bit - rotation) % 32]);
            }
            self.words[round % 4][bit] = sum.bits;
        }
    }
}

/// 32 planes from this one on.
#[inline(always)]
fn half<S: Simd>(simd: S, planes: &Planes<S>, first: usize) -> Words<S> {
    let mut words = [simd.splat_u64s(0); 32];
    for (bit, word) in words.iter_mut().enumerate() {
        *word = planes.get(first + bit).bits;
    }
    words
}

impl<S: Simd> Drop for State<S> {
    #[inline(always)]
    fn drop(&mut self) {
        zeroize_words::<S>(self.words.as_flattened_mut());
    }
}

struct MakeSchedule<'a, S: Simd> {
    key: &'a Block<S>,
    schedule: &'a mut Schedule<S>,
}

impl<S: Simd> WithSimd for MakeSchedule<'_, S> {
    type Output = ();

    // The instruction set is that of the planes; asking for it again makes this a function of its own, compiled for it.
    #[inline(always)]
    fn with_simd<Same: Simd>(self, _same: Same) {
        let Self { key, schedule } = self;
        let simd = schedule.simd;
        let mut state = State::new(simd, key);
        for (word, parameter) in SYSTEM.into_iter().enumerate() {
            for bit in 0..32 {
                state.words[word][bit] = (state.get(word, bit) ^ constant(simd, parameter, bit)).bits;
            }
        }
        for (round, parameter) in FIXED.into_iter().enumerate() {
            state.round(round, |bit, sum| sum ^ constant(simd, parameter, bit), KEY_ROTATIONS);
            schedule.rounds[round] = state.words[round % 4];
        }
    }
}

/// The bit of a word that is the same in every lane.
#[inline(always)]
fn constant<S: Simd>(simd: S, word: u32, bit: usize) -> Word<S> {
    Word::new(simd, simd.splat_u64s(0_u64.wrapping_sub(u64::from(word >> bit & 1))))
}

struct Encrypt<'a, S: Simd> {
    schedule: &'a Schedule<S>,
    block: &'a mut Block<S>,
}

impl<S: Simd> WithSimd for Encrypt<'_, S> {
    type Output = ();

    #[inline(always)]
    fn with_simd<Same: Simd>(self, _same: Same) {
        let Self { schedule, block } = self;
        let simd = schedule.simd;
        let mut state = State::new(simd, block);
        for (round, key) in schedule.rounds.iter().enumerate() {
            state.round(round, |bit, sum| sum ^ Word::new(simd, key[bit]), ROUND_ROTATIONS);
        }
        // The words come out in reverse order.
        let [left, right] = block;
        for bit in 0..32 {
            left.set(32 + bit, state.get(3, bit));
            left.set(bit, state.get(2, bit));
            right.set(32 + bit, state.get(1, bit));
            right.set(bit, state.get(0, bit));
        }
    }
}
