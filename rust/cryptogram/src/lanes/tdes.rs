//! Verification by triple DES.

use pulp::{Simd, WithSimd};

use super::des::{KeyPair, encrypt, encrypt_triple};
use super::group::{Group, Lanes};
use crate::derive::{answered, padded_block, tdes_card_block, tdes_session_blocks};
use crate::verify::Verdict;

/// Verify a group whose requests are of schemes with triple DES.
pub(crate) struct VerifyTdes<'a>(pub(crate) Group<'a>);

impl WithSimd for VerifyTdes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(group) = self;
        for lanes in group.lanes(simd) {
            verify(simd, &lanes, group.blocks, group.arc, group.verdicts);
        }
    }
}

#[inline(always)]
fn verify<S: Simd>(simd: S, lanes: &Lanes<'_, S>, blocks: usize, arc: [u8; 2], verdicts: &mut [Verdict]) {
    let session = session_keys(simd, lanes);
    let mut mac = lanes.load(|request| padded_block(request.data, 0));
    for position in 1..blocks {
        encrypt(simd, &session[0], &mut mac);
        mac.add(&lanes.load(|request| padded_block(request.data, position)));
    }
    // The last block of the chain is encrypted by the first third of triple DES.
    encrypt_triple(simd, &session, &mut mac);

    let wrong = mac.differing(&lanes.load(|request| request.cryptogram.0));
    // A wrong cryptogram is not answered: its lane goes on with zeros, and what comes of them stays here.
    let mut arpc = lanes.load(|request| answered(request.cryptogram.0, arc)).without(wrong);
    encrypt_triple(simd, &session, &mut arpc);
    lanes.store(wrong, session, arpc, verdicts);
}

#[inline(always)]
fn session_keys<S: Simd>(simd: S, lanes: &Lanes<'_, S>) -> KeyPair<S> {
    let issuer = [lanes.load(|request| *request.key.0.halves()[0]), lanes.load(|request| *request.key.0.halves()[1])];
    let left = lanes.load(tdes_card_block);
    let right = left.complement();
    let mut card = [left, right];
    encrypt_triple(simd, &issuer, &mut card[0]);
    encrypt_triple(simd, &issuer, &mut card[1]);
    let mut session =
        [lanes.load(|request| tdes_session_blocks(request)[0]), lanes.load(|request| tdes_session_blocks(request)[1])];
    encrypt_triple(simd, &card, &mut session[0]);
    encrypt_triple(simd, &card, &mut session[1]);
    session
}
