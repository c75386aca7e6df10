//! SM4 of up to eight cards, whose words are ordinary ones but for substitution, where the bytes of all of them, of blocks and of
//! keys, are turned into eight planes of bits and go through the circuit of the S-box at once.
//!
//! Source: GM/T 0002-2012.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Request;
use crate::derive::{answered, padded_block, sm4_card_block, sm4_session_block};
use crate::key::Secret;
use crate::lanes::Group;
use crate::sm4_box::sm4_box;
use crate::sm4_parameters::{FIXED, ROUNDS, SYSTEM};
use crate::verify::{Place, Session, Verdict, made_public};

/// The bytes of twice as many words, of a block and of a key for each card, fit into planes of 64 bits.
const AT_ONCE: usize = 8;
const PAIRS: usize = AT_ONCE / 2;

/// A word of every card, two of them in one number.
type Words = [u64; PAIRS];

/// A block of every card, or a key: four words.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Blocks([Words; 4]);

/// The keys of all rounds, of every card.
#[derive(ZeroizeOnDrop)]
struct Schedule {
    rounds: [Words; ROUNDS],
    /// How many of the words in pairs are of any card.
    pairs: usize,
}

impl Blocks {
    fn zero() -> Self {
        Self([Words::default(); 4])
    }

    fn load<'a>(requests: impl Iterator<Item = &'a Request<'a>>, block: impl Fn(&Request<'_>) -> [u8; 16]) -> Self {
        let mut blocks = Self::zero();
        for (card, request) in requests.enumerate() {
            blocks.add(card, block(request));
        }
        blocks
    }

    /// Add a block to that of one card.
    fn add(&mut self, card: usize, block: [u8; 16]) {
        for (words, bytes) in self.0.iter_mut().zip(block.as_chunks().0) {
            words[card / 2] ^= u64::from(u32::from_be_bytes(*bytes)) << (card % 2 * 32);
        }
    }

    /// What is substituted in a round: the sum of all words but the oldest, and of the round's key.
    fn sums(&self, round: usize, key: &Words, sums: &mut [u64]) {
        let [second, third, fourth] = [1, 2, 3].map(|later| &self.0[(round + later) % 4]);
        for (pair, sum) in sums.iter_mut().enumerate().take(PAIRS) {
            *sum = second[pair] ^ third[pair] ^ fourth[pair] ^ key[pair];
        }
    }

    /// Add to the oldest word what was substituted, and its rotations.
    fn add_rotated(&mut self, round: usize, substituted: &[u64]) {
        for (word, pair) in self.0[round % 4].iter_mut().zip(substituted) {
            let rotated = rotate(*pair, 2) ^ rotate(*pair, 10) ^ rotate(*pair, 18) ^ rotate(*pair, 24);
            *word ^= pair ^ rotated;
        }
    }

    fn get(&self, card: usize) -> [u8; 16] {
        let mut block = [0; 16];
        for (bytes, words) in block.as_chunks_mut().0.iter_mut().zip(&self.0) {
            let word = u32::try_from(words[card / 2] >> (card % 2 * 32) & 0xFFFF_FFFF).expect("32 bits");
            *bytes = word.to_be_bytes();
        }
        block
    }
}

impl Schedule {
    fn new(pairs: usize) -> Self {
        Self { rounds: [Words::default(); ROUNDS], pairs }
    }

    /// Become the schedule of these keys, and encrypt a block with each: the next round's key is substituted with the round's words.
    fn set_and_encrypt(&mut self, keys: &Blocks, blocks: &mut Blocks) {
        let mut keys = keys.clone();
        for (words, parameter) in keys.0.iter_mut().zip(SYSTEM) {
            for pair in words {
                *pair ^= both(parameter);
            }
        }
        for step in 0..=ROUNDS {
            let mut sums = [0; 2 * PAIRS];
            let (of_blocks, of_keys) = sums.split_at_mut(self.pairs);
            let data_round = step.checked_sub(1);
            if let Some(round) = data_round {
                blocks.sums(round, &self.rounds[round], of_blocks);
            }
            if let Some(parameter) = FIXED.get(step) {
                keys.sums(step, &[both(*parameter); PAIRS], of_keys);
            }
            substitute(&mut sums, 2 * self.pairs);
            let (of_blocks, of_keys) = sums.split_at(self.pairs);
            if let Some(round) = data_round {
                blocks.add_rotated(round, of_blocks);
            }
            if step < ROUNDS {
                for (word, pair) in keys.0[step % 4].iter_mut().zip(of_keys) {
                    *word ^= pair ^ rotate(*pair, 13) ^ rotate(*pair, 23);
                }
                self.rounds[step] = keys.0[step % 4];
            }
        }
        blocks.0.reverse();
    }

    fn encrypt(&self, blocks: &mut Blocks) {
        for (round, key) in self.rounds.iter().enumerate() {
            let mut sums = [0; 2 * PAIRS];
            blocks.sums(round, key, &mut sums[..self.pairs]);
            substitute(&mut sums, self.pairs);
            blocks.add_rotated(round, &sums[..self.pairs]);
        }
        // The words come out in reverse order.
        blocks.0.reverse();
    }
}

/// A word of the standard for two cards.
const fn both(word: u32) -> u64 {
    ((word as u64) << 32) | word as u64
}

/// Rotate both words of a pair to the left.
const fn rotate(pair: u64, by: u32) -> u64 {
    let wrapped = both((1 << by) - 1);
    ((pair << by) & !wrapped) | ((pair >> (32 - by)) & wrapped)
}

/// Substitute every byte of so many pairs of words.
#[inline]
fn substitute(words: &mut [u64; 2 * PAIRS], pairs: usize) {
    let mut planes = [0; 8];
    for (pair, word) in words.iter().enumerate().take(pairs) {
        let turned = transpose(*word);
        for (bit, plane) in planes.iter_mut().enumerate() {
            *plane |= ((turned >> (8 * bit)) & 0xFF) << (8 * pair);
        }
    }
    let planes = sm4_box(planes);
    for (pair, word) in words.iter_mut().enumerate().take(pairs) {
        let turned = planes.iter().enumerate().map(|(bit, plane)| ((plane >> (8 * pair)) & 0xFF) << (8 * bit));
        *word = transpose(turned.fold(0, |all, byte| all | byte));
    }
}

/// Transpose eight times eight bits: bit `i` of byte `j` becomes bit `j` of byte `i`.
const fn transpose(bits: u64) -> u64 {
    let changed = (bits >> 7 ^ bits) & 0x00AA_00AA_00AA_00AA;
    let bits = bits ^ changed ^ changed << 7;
    let changed = (bits >> 14 ^ bits) & 0x0000_CCCC_0000_CCCC;
    let bits = bits ^ changed ^ changed << 14;
    let changed = (bits >> 28 ^ bits) & 0x0000_0000_F0F0_F0F0;
    bits ^ changed ^ changed << 28
}

/// Verify the requests of a group, so many at once as there is room for.
pub(crate) fn verify(group: Group<'_>) {
    let Group { batch, places, blocks, arc, verdicts } = group;
    for places in places.chunks(AT_ONCE) {
        verify_at_once(batch, places, blocks, arc, verdicts);
    }
}

fn verify_at_once(batch: &[Request<'_>], places: &[Place], blocks: usize, arc: [u8; 2], verdicts: &mut [Verdict]) {
    let requests = || places.iter().map(|place| &batch[place.index as usize]);
    let mut schedule = Schedule::new(places.len().div_ceil(2));
    let mut card = Blocks::load(requests(), sm4_card_block);
    schedule.set_and_encrypt(&Blocks::load(requests(), |request| *request.key.0.bytes()), &mut card);
    let mut session = Blocks::load(requests(), sm4_session_block);
    schedule.set_and_encrypt(&card, &mut session);
    let mut mac = Blocks::load(requests(), |request| padded_block(request.data, 0));
    schedule.set_and_encrypt(&session, &mut mac);
    for position in 1..blocks {
        for (card, request) in requests().enumerate() {
            mac.add(card, padded_block(request.data, position));
        }
        schedule.encrypt(&mut mac);
    }
    let mut valid = [Choice::from(0); AT_ONCE];
    let mut arpc = Blocks::zero();
    for (card, request) in requests().enumerate() {
        valid[card] = mac.get(card)[..8].ct_eq(&request.cryptogram.0);
        // A wrong cryptogram is not answered: its card goes on with zeros, and what comes of them stays here.
        let answer = u64::from_ne_bytes(answered(request.cryptogram.0, arc));
        let mut block = [0; 16];
        block[..8].copy_from_slice(&u64::conditional_select(&0, &answer, valid[card]).to_ne_bytes());
        arpc.add(card, block);
    }
    schedule.encrypt(&mut arpc);
    for (card, place) in places.iter().enumerate() {
        if made_public(valid[card].into()) {
            let request = &batch[place.index as usize];
            let answer = *arpc.get(card).first_chunk().expect("16 bytes");
            let key = Secret::new(session.get(card));
            verdicts[place.index as usize] = Verdict::Valid(Session::new(request, key, answer));
        }
    }
}

/// Encrypt a block of zeros with one key, and return the first half: a key's check value is part of it.
pub(crate) fn sm4_of_zeros(key: &Secret) -> [u8; 8] {
    let mut keys = Blocks::zero();
    keys.add(0, *key.bytes());
    let mut block = Blocks::zero();
    Schedule::new(1).set_and_encrypt(&keys, &mut block);
    *block.get(0).first_chunk().expect("16 bytes")
}
