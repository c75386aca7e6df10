//! Verification by AES, for which processors have instructions: many cards side by side, one step of all of them after
//! the other, so that the steps of different cards overlap in the processor.
//!
//! Invariant: time does not depend on secrets: the crate `aes` uses the instructions, or bit slices where there are none.
//! Invariant: keys are zeroized when they have been used.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

use super::group::Group;
use crate::derive::{aes_card_block, aes_session_block, answered, padded_block};
use crate::key::Secret;
use crate::verify::{Place, Request, Session, Verdict, made_public};

/// How many cards are side by side: their key schedules fit into the first cache of every processor.
const SIDE_BY_SIDE: usize = 32;

/// A block of every card, for which memory is kept.
#[derive(Default)]
pub(crate) struct AesCards {
    ciphers: Vec<Aes128Enc>,
}

impl AesCards {
    pub(crate) fn verify(&mut self, group: Group<'_>) {
        let Group { batch, places, blocks, arc, verdicts } = group;
        for places in places.chunks(SIDE_BY_SIDE) {
            Cards { batch, places, ciphers: &mut self.ciphers }.verify(blocks, arc, verdicts);
        }
    }
}

struct Cards<'a> {
    batch: &'a [Request<'a>],
    places: &'a [Place],
    /// One of every card, with the key of the step.
    ciphers: &'a mut Vec<Aes128Enc>,
}

/// A block of every card.
type Blocks = [Block; SIDE_BY_SIDE];

impl Cards<'_> {
    fn verify(mut self, blocks: usize, arc: [u8; 2], verdicts: &mut [Verdict]) {
        let session_keys = &mut [Block::default(); SIDE_BY_SIDE];
        self.set(session_keys, aes_card_block);
        self.encrypt_by_issuers(session_keys);
        self.set_keys(session_keys);
        self.set(session_keys, aes_session_block);
        self.encrypt(session_keys);
        self.set_keys(session_keys);

        let macs = &mut [Block::default(); SIDE_BY_SIDE];
        self.mac(macs, blocks);
        let answers = &mut [Block::default(); SIDE_BY_SIDE];
        let mut valid = [Choice::from(0); SIDE_BY_SIDE];
        for (card, request) in self.requests().enumerate() {
            valid[card] = macs[card][..8].ct_eq(&request.cryptogram.0);
            // A wrong cryptogram is not answered: its card goes on with zeros, and what comes of them stays here.
            let answer = u64::from_ne_bytes(answered(request.cryptogram.0, arc));
            answers[card][..8].copy_from_slice(&u64::conditional_select(&0, &answer, valid[card]).to_ne_bytes());
        }
        self.encrypt(answers);
        for (card, place) in self.places.iter().enumerate() {
            if made_public(valid[card].into()) {
                let request = &self.batch[place.index as usize];
                let arpc = *answers[card].first_chunk().expect("a block has 16 bytes");
                let key = Secret::new(session_keys[card].into());
                verdicts[place.index as usize] = Verdict::Valid(Session::new(request, key, arpc));
            }
        }
        self.ciphers.clear();
        for blocks in [session_keys, macs, answers] {
            blocks.zeroize();
        }
    }

    /// CMAC (NIST SP 800-38B) with the keys that are set.
    fn mac(&self, chain: &mut Blocks, blocks: usize) {
        let last = &mut [Block::default(); SIDE_BY_SIDE];
        self.encrypt(last);
        for (last, request) in last.iter_mut().zip(self.requests()) {
            let subkey = double(u128::from_be_bytes((*last).into()));
            // The last block has a subkey of its own when it had to be padded.
            let masked = match request.data.get(16 * (blocks - 1)..).and_then(|rest| rest.first_chunk()) {
                Some(block) => subkey ^ u128::from_be_bytes(*block),
                None => double(subkey) ^ u128::from_be_bytes(padded_block(request.data, blocks - 1)),
            };
            *last = masked.to_be_bytes().into();
        }
        for position in 0..blocks - 1 {
            for (chain, request) in chain.iter_mut().zip(self.requests()) {
                add(chain, padded_block(request.data, position).into());
            }
            self.encrypt(chain);
        }
        for (chain, last) in chain.iter_mut().zip(&*last) {
            add(chain, *last);
        }
        self.encrypt(chain);
        last.zeroize();
    }

    fn requests(&self) -> impl Iterator<Item = &Request<'_>> {
        self.places.iter().map(|place| &self.batch[place.index as usize])
    }

    fn set(&self, blocks: &mut Blocks, block: impl Fn(&Request<'_>) -> [u8; 16]) {
        for (place, request) in blocks.iter_mut().zip(self.requests()) {
            *place = block(request).into();
        }
    }

    /// Neighbours mostly have the same issuer, whose key schedule is then made once.
    fn encrypt_by_issuers(&self, blocks: &mut Blocks) {
        let key = |place: &Place| self.batch[place.index as usize].key;
        let mut rest = &mut blocks[..self.places.len()];
        for run in self.places.chunk_by(|left, right| std::ptr::eq(key(left), key(right))) {
            let (blocks, after) = rest.split_at_mut(run.len());
            Aes128Enc::new(key(&run[0]).0.bytes().into()).encrypt_blocks(blocks);
            rest = after;
        }
    }

    fn set_keys(&mut self, keys: &Blocks) {
        self.ciphers.clear();
        self.ciphers.extend(keys[..self.places.len()].iter().map(Aes128Enc::new));
    }

    fn encrypt(&self, blocks: &mut Blocks) {
        for (cipher, block) in self.ciphers.iter().zip(blocks) {
            cipher.encrypt_block(block);
        }
    }
}

fn add(left: &mut Block, right: Block) {
    *left = (u128::from_ne_bytes((*left).into()) ^ u128::from_ne_bytes(right.into())).to_ne_bytes().into();
}

/// Multiply by x in GF(2¹²⁸).
fn double(block: u128) -> u128 {
    (block << 1) ^ (0x87 & 0_u128.wrapping_sub(block >> 127))
}
