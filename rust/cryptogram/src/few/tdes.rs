//! Triple DES of one card.
//!
//! Invariant: time does not depend on secrets. A box is four truth tables of 64 bits in registers, and its input is a number of
//! bits by which they are shifted: no memory is read at a secret place, and shifts take the same time for every number of bits
//! on the processors that the hub runs on (x86-64 and aarch64).

use std::hint::black_box;

use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

use crate::derive::{answered, padded_block, tdes_card_block, tdes_session_blocks};
use crate::des_boxes::TRUTH_TABLES;
use crate::des_tables::{INITIAL_PERMUTATION, PLACES, ROUND_KEY_BITS};
use crate::key::Secret;
use crate::lanes::Group;
use crate::verify::{Request, Session, Verdict, made_public};

/// For each bit of a key, which bits it sets in the keys of the 16 rounds. A round's key has eight bits for each box, of which
/// the lower six are used.
const SPREAD: [[u64; 16]; 64] = {
    let mut spread = [[0; 16]; 64];
    let mut round = 0;
    while round < 16 {
        let mut bit = 0;
        while bit < 48 {
            spread[ROUND_KEY_BITS[round][bit] as usize][round] |= 1 << (bit / 6 * 8 + bit % 6);
            bit += 1;
        }
        round += 1;
    }
    spread
};

/// The keys of the 16 rounds.
#[derive(ZeroizeOnDrop)]
struct Schedule([u64; 16]);

impl Schedule {
    fn new(key: [u8; 8]) -> Self {
        let key = u64::from_be_bytes(key);
        let mut rounds = [0; 16];
        for (bit, spread) in SPREAD.iter().enumerate() {
            // Without the box the compiler makes a jump of it, which spares the work for bits that are 0.
            let mask = black_box(0_u64.wrapping_sub(key >> bit & 1));
            for (round, spread) in rounds.iter_mut().zip(spread) {
                *round ^= mask & spread;
            }
        }
        Self(rounds)
    }
}

/// The two halves of a block after the initial permutation. Bit `i` of the standard is bit `i - 1` here.
#[derive(Clone, Copy)]
struct Halves {
    left: u32,
    right: u32,
}

impl Halves {
    fn of(block: u64) -> Self {
        let bit = |position: usize| (block >> (64 - INITIAL_PERMUTATION[position]) & 1) as u32;
        let half = |first: usize| (0..32).fold(0, |half, position| half | bit(first + position) << position);
        Self { left: half(0), right: half(32) }
    }

    fn block(self) -> u64 {
        let both = u64::from(self.right) << 32 | u64::from(self.left);
        let place = |position: usize| (both >> position & 1) << (64 - INITIAL_PERMUTATION[position]);
        (0..64).fold(0, |block, position| block | place(position))
    }

    /// All rounds; the last one does not exchange the halves.
    fn pass<'a>(self, rounds: impl Iterator<Item = &'a u64>) -> Self {
        let Self { mut left, mut right } = self;
        for key in rounds {
            (left, right) = (right, left ^ scramble(right, *key));
        }
        Self { left: right, right: left }
    }
}

#[inline]
fn scramble(half: u32, key: u64) -> u32 {
    let mut scrambled = 0;
    for (number, tables) in TRUTH_TABLES.iter().enumerate() {
        let first_bit = u32::try_from(4 * number + 31).expect("small") % 32;
        let input = (u64::from(half.rotate_right(first_bit)) ^ (key >> (8 * number))) & 63;
        for (bit, table) in tables.iter().enumerate() {
            let place = PLACES[4 * number + bit];
            let shifted = table >> input;
            // At place 0 the compiler would test a bit of a register, which is as constant, but Valgrind takes it for a read of memory.
            let shifted = if place == 0 { black_box(shifted) } else { shifted };
            scrambled |= ((shifted & 1) as u32) << place;
        }
    }
    scrambled
}

/// A two-key triple-DES key.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Tdes {
    left: Schedule,
    right: Schedule,
}

impl Tdes {
    pub(crate) fn new(key: &Secret) -> Self {
        let [left, right] = key.halves().map(|half| Schedule::new(*half));
        Self { left, right }
    }

    pub(crate) fn encrypt(&self, block: [u8; 8]) -> [u8; 8] {
        self.triple(Halves::of(u64::from_be_bytes(block))).block().to_be_bytes()
    }

    fn triple(&self, halves: Halves) -> Halves {
        halves.pass(self.left.0.iter()).pass(self.right.0.iter().rev()).pass(self.left.0.iter())
    }

    /// ISO/IEC 9797-1 algorithm 3 with padding method 2: single DES in a chain, triple DES at its end.
    pub(crate) fn mac(&self, data: &[u8]) -> [u8; 8] {
        let last = data.len() / 8;
        let mut chain = 0;
        for position in 0..last {
            let halves = Halves::of(chain ^ u64::from_be_bytes(padded_block(data, position)));
            chain = halves.pass(self.left.0.iter()).block();
        }
        let halves = Halves::of(chain ^ u64::from_be_bytes(padded_block(data, last)));
        self.triple(halves).block().to_be_bytes()
    }
}

/// Verify the requests of a group one after the other.
pub(crate) fn verify(group: Group<'_>) {
    let Group { batch, places, arc, verdicts, .. } = group;
    for place in places {
        let request = &batch[place.index as usize];
        let key = session_key(request);
        let cipher = Tdes::new(&key);
        let valid = cipher.mac(request.data).ct_eq(&request.cryptogram.0);
        if made_public(valid.into()) {
            let arpc = cipher.encrypt(answered(request.cryptogram.0, arc));
            verdicts[place.index as usize] = Verdict::Valid(Session::new(request, key, arpc));
        }
    }
}

fn session_key(request: &Request<'_>) -> Secret {
    let issuer = Tdes::new(&request.key.0);
    let left = tdes_card_block(request);
    let card_key = Secret::from_halves(issuer.encrypt(left), issuer.encrypt(left.map(|byte| !byte)));
    let card = Tdes::new(&card_key);
    let [left, right] = tdes_session_blocks(request);
    Secret::from_halves(card.encrypt(left), card.encrypt(right))
}
