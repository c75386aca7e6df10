//! Words of lanes: `u64` where nothing better is known of the machine, vectors of them where it has any.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use pulp::Simd;

/// What a circuit computes with.
pub(crate) trait Bits:
    Copy + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> + Not<Output = Self>
{
}

impl<T> Bits for T where
    T: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> + Not<Output = Self>
{
}

/// The widest word of an instruction set, with the proof that the machine has it.
#[derive(Clone, Copy)]
pub(super) struct Word<S: Simd> {
    simd: S,
    pub(super) bits: S::u64s,
}

impl<S: Simd> Word<S> {
    #[inline(always)]
    pub(super) fn new(simd: S, bits: S::u64s) -> Self {
        Self { simd, bits }
    }
}

// Only what is inlined into a function for the instruction set is compiled for it.
impl<S: Simd> BitAnd for Word<S> {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self { bits: self.simd.and_u64s(self.bits, other.bits), ..self }
    }
}

impl<S: Simd> BitOr for Word<S> {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self { bits: self.simd.or_u64s(self.bits, other.bits), ..self }
    }
}

impl<S: Simd> BitXor for Word<S> {
    type Output = Self;

    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self { bits: self.simd.xor_u64s(self.bits, other.bits), ..self }
    }
}

impl<S: Simd> Not for Word<S> {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self { bits: self.simd.not_u64s(self.bits), ..self }
    }
}
