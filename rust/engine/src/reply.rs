//! Answers on their way out: what waits for a frame, and how it is handed over.
//!
//! Invariant: an answer that depends on a frame is handed over only after that frame is durable, or as HALTED.
//! Invariant: every job is answered exactly once, whatever happens to the engine.

use std::sync::Arc;

use medsettle_core::command::Outcome;
use medsettle_wire::encode::{encode_batch, encode_header, encode_outcome};
use medsettle_wire::{Operation, Reason, Refused, encode_refusal};

use crate::journal::FrameHash;

/// An answer to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The caller's name of the job.
    pub ticket: u64,
    /// Whether `bytes` are the response; else they are a refusal.
    pub ok: bool,
    /// Encoded response, or encoded `medsettle.v1.Refusal`.
    pub bytes: Vec<u8>,
}

/// Where answers go: one for an event loop, one for a waiting thread.
pub trait Sink: Send + Sync {
    /// Take an answer; it need not be noticed before `wake`.
    fn push(&self, answer: Answer);
    /// Notice what was pushed. Called once per batch.
    fn wake(&self);
}

/// A job that waits. One that is dropped without an answer, because a stage panicked, is told that the hub halted.
pub(crate) struct Waiter {
    ticket: u64,
    sink: Option<Arc<dyn Sink>>,
}

impl Waiter {
    pub(crate) fn new(ticket: u64, sink: Arc<dyn Sink>) -> Self {
        Self { ticket, sink: Some(sink) }
    }

    /// Hand over an answer; the sink is still to be woken.
    fn answer(mut self, ok: bool, bytes: Vec<u8>) -> Arc<dyn Sink> {
        let sink = self.sink.take().expect("a waiter is answered once");
        sink.push(Answer { ticket: self.ticket, ok, bytes });
        sink
    }

    /// Hand over a response or a refusal and wake its sink.
    pub(crate) fn answer_now(self, answer: Result<Vec<u8>, Vec<u8>>) {
        let ok = answer.is_ok();
        self.answer(ok, answer.unwrap_or_else(|refusal| refusal)).wake();
    }

    /// Refuse and wake its sink.
    pub(crate) fn refuse_now(self, reason: Reason) {
        self.answer(false, refused(reason)).wake();
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            sink.push(Answer { ticket: self.ticket, ok: false, bytes: refused(Reason::Halted) });
            sink.wake();
        }
    }
}

/// What a response header says of the frame that holds, or shows, the decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) hash: FrameHash,
    pub(crate) stamp_ms: i64,
}

/// Which frame stands in a response's header.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Frame {
    /// The one that is being filled.
    Next,
    /// The newest before it that holds a decision: with the sequence it is what a caller can prove forgetting by, so frames that decide
    /// nothing, which a backup may lack, do not count.
    Newest,
    /// One that is known already.
    Known(Seen),
}

/// A frame that was filled, with what it answers.
pub(crate) struct Made {
    pub(crate) seen: Seen,
    pub(crate) responses: Responses,
}

/// The responses of the records of one frame.
#[derive(Default)]
pub(crate) struct Responses {
    /// Sequence of the first record.
    first: u64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Responses {
    /// Take in that of the next record.
    pub(crate) fn push(&mut self, sequence: u64, response: &[u8]) {
        if self.ends.is_empty() {
            self.first = sequence;
        }
        self.bytes.extend_from_slice(response);
        self.ends.push(self.bytes.len());
    }

    fn of(&self, sequence: u64) -> &[u8] {
        let place = usize::try_from(sequence - self.first).expect("a frame has few records");
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[place]]
    }
}

/// What headers say when answers leave.
#[derive(Clone, Copy)]
pub(crate) struct Leaving<'a> {
    /// The frame that the answers waited for; none where they waited for nothing.
    pub(crate) made: Option<&'a Made>,
    /// See [`Frame::Newest`].
    pub(crate) newest: Seen,
}

/// The outcome of one command.
pub(crate) enum Part {
    /// What was decided in the frame that is being filled; the response comes with it.
    Decided { sequence: u64 },
    /// A response without its header.
    Response { sequence: u64, frame: Frame, replayed: bool, body: Vec<u8> },
    /// What became of another request, with its first answer, which may wait for the same frame.
    Outcome { sequence: u64, frame: Frame, outcome: Outcome, original: Option<Box<Part>> },
    /// A refusal, encoded.
    Refusal(Vec<u8>),
}

/// A refusal that only its reason explains, encoded.
pub(crate) fn refused(reason: Reason) -> Vec<u8> {
    encode_refusal(&Refused::new(reason))
}

impl Part {
    /// Bytes that it holds.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Decided { .. } => 0,
            Self::Response { body, .. } => body.len(),
            Self::Outcome { original, .. } => original.as_ref().map_or(0, |first| first.len()),
            Self::Refusal(bytes) => bytes.len(),
        }
    }

    fn finish(self, leaving: Leaving<'_>) -> (bool, Vec<u8>) {
        match self {
            Self::Refusal(bytes) => (false, bytes),
            Self::Decided { sequence } => {
                let made = leaving.made.expect(IN_ONE);
                (true, response(sequence, made.seen, false, made.responses.of(sequence)))
            }
            Self::Response { sequence, frame, replayed, body } => {
                let seen = match frame {
                    Frame::Known(seen) => seen,
                    Frame::Newest => leaving.newest,
                    Frame::Next => leaving.made.expect(IN_ONE).seen,
                };
                (true, response(sequence, seen, replayed, &body))
            }
            Self::Outcome { sequence, frame, outcome, original } => {
                let original = original.map_or_else(Vec::new, |first| first.finish(leaving).1);
                let mut body = Vec::new();
                encode_outcome(&outcome, &original, &mut body);
                Self::Response { sequence, frame, replayed: false, body }.finish(leaving)
            }
        }
    }
}

const IN_ONE: &str = "a decision that waits for a frame is in one";

fn response(sequence: u64, seen: Seen, replayed: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 64);
    encode_header(sequence, &seen.hash.0, seen.stamp_ms, replayed, &mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

/// What a job asked for.
pub(crate) enum Parts {
    /// One command.
    One(Part),
    /// Many, in order, with the header of their message.
    Many { sequence: u64, frame: Frame, parts: Vec<(Option<Operation>, Part)> },
}

/// A job with its outcome.
pub(crate) struct Outgoing {
    pub(crate) waiter: Waiter,
    pub(crate) parts: Parts,
}

/// Hand over all answers, then wake each sink once.
pub(crate) fn release(batch: Vec<Outgoing>, leaving: Leaving<'_>) {
    hand_over(batch, |parts| match parts {
        Parts::One(part) => part.finish(leaving),
        Parts::Many { sequence, frame, parts } => {
            let header = Part::Response { sequence, frame, replayed: false, body: Vec::new() };
            let (_, mut bytes) = header.finish(leaving);
            let results = parts.into_iter().map(|(operation, part)| match (operation, part.finish(leaving)) {
                (Some(operation), (true, response)) => Ok((operation, response)),
                (_, (_, refusal)) => Err(refusal),
            });
            encode_batch(results, &mut bytes);
            (true, bytes)
        }
    });
}

/// Answer a whole batch with one refusal: its frame did not become durable.
pub(crate) fn refuse_all(batch: Vec<Outgoing>, reason: Reason) {
    hand_over(batch, |_| (false, refused(reason)));
}

fn hand_over(batch: Vec<Outgoing>, mut finish: impl FnMut(Parts) -> (bool, Vec<u8>)) {
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    for Outgoing { waiter, parts } in batch {
        let (ok, bytes) = finish(parts);
        let sink = waiter.answer(ok, bytes);
        if !sinks.iter().any(|known| Arc::ptr_eq(known, &sink)) {
            sinks.push(sink);
        }
    }
    for sink in sinks {
        sink.wake();
    }
}
