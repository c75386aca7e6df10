//! The requests that are verified together, and those of them that fill the lanes of one word.

use pulp::Simd;
use zeroize::ZeroizeOnDrop;

use super::planes::{MAX_LANES, Planes, has_lane, lanes};
use super::word::Word;
use crate::key::Secret;
use crate::verify::{Place, Request, Session, Verdict, made_public};

/// Requests of one cipher and of as many blocks, at these places of a batch.
pub(crate) struct Group<'a> {
    pub(crate) batch: &'a [Request<'a>],
    pub(crate) places: &'a [Place],
    pub(crate) blocks: usize,
    pub(crate) arc: [u8; 2],
    pub(crate) verdicts: &'a mut [Verdict],
}

impl<'a> Group<'a> {
    /// The group in parts that each fill the lanes of one word, but for the last.
    #[inline(always)]
    pub(super) fn lanes<S: Simd>(&self, simd: S) -> impl Iterator<Item = Lanes<'a, S>> + use<'a, S> {
        let batch = self.batch;
        self.places.chunks(lanes::<S>()).map(move |places| Lanes { simd, batch, places })
    }
}

/// The requests that fill the lanes of one word.
pub(super) struct Lanes<'a, S: Simd> {
    simd: S,
    batch: &'a [Request<'a>],
    places: &'a [Place],
}

impl<S: Simd> Lanes<'_, S> {
    /// Take eight bytes of every request.
    #[inline(always)]
    pub(super) fn load(&self, block: impl Fn(&Request<'_>) -> [u8; 8]) -> Planes<S> {
        let request = |place: &Place| &self.batch[place.index as usize];
        Planes::load(self.simd, self.places.iter().map(|place| u64::from_be_bytes(block(request(place)))))
    }

    /// Write down verdicts: valid for every lane that is not among `wrong`.
    #[inline(always)]
    pub(super) fn store(&self, wrong: Word<S>, keys: [Planes<S>; 2], arpc: Planes<S>, verdicts: &mut [Verdict]) {
        let mut stored = Stored([[0; MAX_LANES]; 3]);
        let [left, right] = keys;
        for (planes, blocks) in [left, right, arpc].into_iter().zip(&mut stored.0) {
            planes.store(&mut blocks[..self.places.len()]);
        }
        let [left, right, arpc] = &stored.0;
        for (lane, place) in self.places.iter().enumerate() {
            if made_public(!has_lane(wrong, lane)) {
                let key = Secret::from_halves(left[lane].to_be_bytes(), right[lane].to_be_bytes());
                let request = &self.batch[place.index as usize];
                verdicts[place.index as usize] = Verdict::Valid(Session::new(request, key, arpc[lane].to_be_bytes()));
            }
        }
    }
}

/// What comes out of the lanes: both halves of the session keys, and the answers.
#[derive(ZeroizeOnDrop)]
struct Stored([[u64; MAX_LANES]; 3]);
