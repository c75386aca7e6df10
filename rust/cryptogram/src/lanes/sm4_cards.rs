//! Verification by SM4.

use pulp::{Simd, WithSimd};

use super::group::{Group, Lanes};
use super::planes::Planes;
use super::sm4::{Block, Schedule};
use crate::Request;
use crate::derive::{answered, padded_block, sm4_card_block, sm4_session_block};
use crate::verify::Verdict;

/// Verify a group whose requests are of a scheme with SM4.
pub(crate) struct VerifySm4<'a>(pub(crate) Group<'a>);

impl WithSimd for VerifySm4<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(group) = self;
        let mut schedule = Schedule::zero(simd);
        for lanes in group.lanes(simd) {
            verify(simd, &lanes, &mut schedule, group.blocks, group.arc, group.verdicts);
        }
    }
}

#[inline(always)]
fn verify<S: Simd>(
    simd: S,
    lanes: &Lanes<'_, S>,
    schedule: &mut Schedule<S>,
    blocks: usize,
    arc: [u8; 2],
    verdicts: &mut [Verdict],
) {
    schedule.set(&load(lanes, |request| *request.key.0.bytes()));
    let mut card = load(lanes, sm4_card_block);
    schedule.encrypt(&mut card);
    schedule.set(&card);
    let mut session = load(lanes, sm4_session_block);
    schedule.encrypt(&mut session);
    schedule.set(&session);

    let mut mac = load(lanes, |request| padded_block(request.data, 0));
    schedule.encrypt(&mut mac);
    for position in 1..blocks {
        let [left, right] = load(lanes, |request| padded_block(request.data, position));
        mac[0].add(&left);
        mac[1].add(&right);
        schedule.encrypt(&mut mac);
    }

    let wrong = mac[0].differing(&lanes.load(|request| request.cryptogram.0));
    // A wrong cryptogram is not answered: its lane goes on with zeros, and what comes of them stays here.
    let left = lanes.load(|request| answered(request.cryptogram.0, arc)).without(wrong);
    let mut arpc = [left, Planes::zero(simd)];
    schedule.encrypt(&mut arpc);
    let [arpc, _] = arpc;
    lanes.store(wrong, session, arpc, verdicts);
}

/// Take 16 bytes of every request.
#[inline(always)]
fn load<S: Simd>(lanes: &Lanes<'_, S>, block: impl Fn(&Request<'_>) -> [u8; 16]) -> Block<S> {
    let half = |request: &Request<'_>, half: usize| block(request).as_chunks().0[half];
    [lanes.load(|request| half(request, 0)), lanes.load(|request| half(request, 1))]
}
