//! Bodies of frames that are decoded on other threads, ahead of whoever folds them: what a start, a rebuilt index and a check of all facts
//! take of more than one processor.
//!
//! ```text
//! walk: reads, checks, hashes -> pieces of a few frames -> decoders in turn -> fold
//!                                                              ^--- folded ---'
//! ```
//!
//! Invariant: frames are folded one at a time in the order in which they were given, whichever decoder was faster.
//! Invariant: behind a frame that cannot be used nothing is folded, and no other frame is reported in its place.
//! Invariant: the walk stays on the caller's thread, and only [`PIECES_AHEAD`] pieces for each decoder are in memory.
//! Invariant: what was folded is dropped by the thread that decoded it, so that its memory serves for the next piece; an allocator that
//! gets it back from another thread takes fresh memory meanwhile.
//! Leaves out: reading and judging frames (`recovery`, `verify`), what bodies mean (the caller's `decode` and `fold`).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::error::{Damage, Finding};
use crate::journal::{FrameHash, FrameHeader, FrameRef};
use crate::limits::{MAX_DECODERS, PIECE_GOAL, PIECES_AHEAD};
use crate::recovery::Unusable;

/// A frame without its body.
pub(crate) struct Folded {
    pub(crate) header: FrameHeader,
    pub(crate) hash: FrameHash,
    path: Arc<Path>,
    offset: u64,
}

impl Folded {
    /// What is said of it when its body cannot be used.
    pub(crate) fn unusable(&self, what: String) -> Finding {
        let damage = Damage::Body { frame: self.header.number, what };
        Finding { path: self.path.to_path_buf(), offset: self.offset, damage }
    }
}

/// Some frames in a row, with their bodies one behind the other.
#[derive(Default)]
struct Piece {
    bodies: Vec<u8>,
    frames: Vec<(Folded, Range<usize>)>,
}

type Decoded<D> = Vec<(Folded, Result<D, Unusable>)>;

/// Where a decoder's pieces go, and where they go back.
struct Passed<D> {
    decoded: Receiver<Decoded<D>>,
    folded: Sender<Decoded<D>>,
}

/// Where a walk gives the frames that it meets.
pub(crate) struct Ahead {
    piece: Piece,
    path: Arc<Path>,
    decoders: Vec<Sender<Piece>>,
    turn: usize,
}

impl Ahead {
    /// Take a frame. Refuses once nothing is folded any more: what stopped it is reported in the place of what the walk makes of this.
    pub(crate) fn give(&mut self, frame: &FrameRef<'_>) -> Result<(), Unusable> {
        if *self.path != *frame.path {
            self.path = frame.path.into();
        }
        let from = self.piece.bodies.len();
        self.piece.bodies.extend_from_slice(frame.body);
        let path = Arc::clone(&self.path);
        let folded = Folded { header: frame.header.clone(), hash: frame.hash, path, offset: frame.offset };
        self.piece.frames.push((folded, from..self.piece.bodies.len()));
        // Frames without a body count as well.
        let len = self.piece.bodies.len() + self.piece.frames.len() * size_of::<Folded>();
        if len < PIECE_GOAL { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<(), Unusable> {
        let piece = std::mem::take(&mut self.piece);
        let decoder = &self.decoders[self.turn];
        self.turn = (self.turn + 1) % self.decoders.len();
        decoder.send(piece).map_err(|_| Unusable("a frame before it cannot be used".into()))
    }
}

/// Let `walk` give frames, `decode` their bodies on other threads, and `fold` what comes of it in their order on one more. Returns what
/// the walk returned once all that it gave is folded, and the first frame that could not be decoded or folded.
pub(crate) fn decoded_ahead<D: Send, R>(
    decode: impl Fn(&FrameHeader, &[u8]) -> Result<D, Unusable> + Sync,
    fold: impl FnMut(&Folded, &mut D) -> Result<(), Unusable> + Send,
    walk: impl FnOnce(&mut Ahead) -> R,
) -> (R, Option<Finding>) {
    let spare = thread::available_parallelism().map_or(1, |all| all.get() - 1);
    thread::scope(|scope| {
        let decode = &decode;
        let mut decoders = Vec::new();
        let mut passed = Vec::new();
        for _ in 0..spare.clamp(1, MAX_DECODERS) {
            let (give, given) = bounded::<Piece>(PIECES_AHEAD);
            let (pass, decoded) = bounded::<Decoded<D>>(PIECES_AHEAD);
            // As many as are under way; the folding thread never waits for this.
            let (folded, back) = unbounded();
            scope.spawn(move || decode_all(&given, &pass, &back, decode));
            decoders.push(give);
            passed.push(Passed { decoded, folded });
        }
        let folding = scope.spawn(move || fold_all(&passed, fold));
        let mut ahead = Ahead { piece: Piece::default(), path: Path::new("").into(), decoders, turn: 0 };
        let walked = walk(&mut ahead);
        // What stopped the folding is what counts.
        let _ = ahead.hand_over();
        drop(ahead);
        (walked, joined(folding))
    })
}

fn decode_all<D>(
    given: &Receiver<Piece>,
    pass: &Sender<Decoded<D>>,
    back: &Receiver<Decoded<D>>,
    decode: &impl Fn(&FrameHeader, &[u8]) -> Result<D, Unusable>,
) {
    for Piece { bodies, frames } in given {
        let decoded = frames.into_iter().map(|(frame, body)| {
            let decoded = decode(&frame.header, &bodies[body]);
            (frame, decoded)
        });
        if pass.send(decoded.collect()).is_err() {
            return;
        }
        back.try_iter().for_each(drop);
    }
}

/// The first frame that cannot be used. The decoders end when it is found, and the walk with them.
fn fold_all<D>(passed: &[Passed<D>], mut fold: impl FnMut(&Folded, &mut D) -> Result<(), Unusable>) -> Option<Finding> {
    for Passed { decoded, folded } in passed.iter().cycle() {
        // A decoder without a next piece was the last in turn.
        let mut piece = decoded.recv().ok()?;
        for (frame, decoded) in &mut piece {
            let used = decoded.as_mut().map_err(|unusable| unusable.clone()).and_then(|decoded| fold(frame, decoded));
            if let Err(Unusable(what)) = used {
                return Some(frame.unusable(what));
            }
        }
        // A decoder that has ended needs nothing back.
        let _ = folded.send(piece);
    }
    None
}

/// What a thread gave, or its panic.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::HubId;
    use crate::journal::frame::{FrameKind, HashAlgorithm};

    const FRAMES: u64 = 3_000;

    fn header(number: u64) -> FrameHeader {
        FrameHeader {
            schema: 1,
            kind: FrameKind::Business,
            hash_algorithm: HashAlgorithm::Blake3,
            hub: HubId(1),
            number,
            epoch: 0,
            first_sequence: number,
            last_sequence: number,
            stamp_ms: 0,
            durable_up_to: 0,
            key_id: 0,
            body_len: 0,
            previous: FrameHash::default(),
        }
    }

    /// Bodies of very different lengths, so that decoders overtake each other.
    fn body(number: u64) -> Vec<u8> {
        let len = if number.is_multiple_of(97) { 300_000 } else { usize::try_from(number % 1_009).expect("small") };
        vec![u8::try_from(number % 251).expect("a byte"); len]
    }

    fn sum(body: &[u8]) -> u64 {
        body.iter().map(|byte| u64::from(*byte)).sum()
    }

    /// What was folded, how many frames were given before one was refused, and what is reported.
    fn run(
        decodes: impl Fn(u64) -> bool + Sync,
        folds: impl Fn(u64) -> bool + Sync,
    ) -> (Vec<(u64, u64)>, u64, Option<Finding>) {
        let mut folded = Vec::new();
        let decode = |header: &FrameHeader, body: &[u8]| {
            if decodes(header.number) { Ok(sum(body)) } else { Err(Unusable("cannot be decoded".into())) }
        };
        let fold = |frame: &Folded, sum: &mut u64| {
            folded.push((frame.header.number, *sum));
            if folds(frame.header.number) { Ok(()) } else { Err(Unusable("cannot be folded".into())) }
        };
        let (given, unusable) = decoded_ahead(decode, fold, |ahead| {
            let give = |number: &u64| {
                let (header, path) = (header(*number), format!("{:08}.journal", number / 1_000));
                let frame = FrameRef {
                    header: &header,
                    hash: FrameHash::default(),
                    path: Path::new(&path),
                    offset: number * 4_096,
                    body: &body(*number),
                };
                ahead.give(&frame).is_ok()
            };
            u64::try_from((1..=FRAMES).take_while(give).count()).expect("few")
        });
        (folded, given, unusable)
    }

    fn expected(upto: u64) -> Vec<(u64, u64)> {
        (1..=upto).map(|number| (number, sum(&body(number)))).collect()
    }

    #[test]
    fn frames_are_folded_in_their_order_whichever_is_decoded_first() {
        let (folded, given, unusable) = run(|_| true, |_| true);
        assert_eq!((folded, given, unusable), (expected(FRAMES), FRAMES, None));
    }

    #[test]
    fn the_first_frame_that_cannot_be_used_is_reported_with_its_place_and_nothing_behind_it_is_folded() {
        let place = |number: u64, what: &str| {
            let damage = Damage::Body { frame: number, what: what.into() };
            Some(Finding { path: format!("{:08}.journal", number / 1_000).into(), offset: number * 4_096, damage })
        };
        let (folded, given, unusable) = run(|number| number < 1_200, |_| true);
        assert_eq!((folded, unusable), (expected(1_199), place(1_200, "cannot be decoded")));
        assert!(given < FRAMES, "the walk goes on to the end though nothing is folded");
        let (folded, _, unusable) = run(|number| number != 1_201, |number| number != 1_100);
        assert_eq!((folded, unusable), (expected(1_100), place(1_100, "cannot be folded")));
        let (folded, given, unusable) = run(|number| number < FRAMES, |_| true);
        assert_eq!((folded, given, unusable), (expected(FRAMES - 1), FRAMES, place(FRAMES, "cannot be decoded")));
    }

    #[test]
    fn a_panic_while_decoding_reaches_the_caller() {
        let panicked = std::panic::catch_unwind(|| run(|number| number != 500 || panic!("frame 500"), |_| true));
        assert!(panicked.is_err());
    }
}
