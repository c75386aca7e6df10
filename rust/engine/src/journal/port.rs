//! What the engine asks of a journal, wherever it is kept.
//!
//! Invariant: `Durable` is said only of a frame that every later recovery will find.
//! Leaves out: how. The local journal is in `writer`; a replicated one stands behind the same port.

use super::{Frame, FrameHash, FrameRef, Tail};
use crate::error::JournalError;
use crate::halt::HaltReason;

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It will be found after any crash.
    Durable,
    /// It does not follow the tail or its epoch is over: somebody else writes this journal. Nothing was written.
    Fenced {
        /// The tail that holds.
        tail: Tail,
    },
    /// It may be found after a restart or not. The journal takes no more frames.
    Indeterminate(HaltReason),
}

/// Frames in order, one at a time.
pub trait FrameSource {
    /// The next frame, or none after the last that was durable when the reading began or went on.
    fn next(&mut self) -> Result<Option<FrameRef<'_>>, JournalError>;

    /// Take in what has become durable since.
    fn go_on(&mut self);
}

/// The durable frames of a journal, wherever they lie: in its segments, in an archive, or in another machine's.
pub trait FrameReader: Send {
    /// The last durable frame.
    fn tail(&self) -> Tail;

    /// The frames from number `from` to the last one durable now.
    fn read(&self, from: u64) -> Result<Box<dyn FrameSource + Send>, JournalError>;
}

/// A journal.
pub trait JournalPort: Send {
    /// Make `frame` durable behind the frame with hash `previous`, in `epoch`.
    fn append(&mut self, epoch: u64, previous: FrameHash, frame: &Frame) -> Appended;

    /// The last durable frame.
    fn tail(&self) -> Tail;

    /// The frames from number `from` to the last one durable now.
    fn read(&self, from: u64) -> Result<Box<dyn FrameSource + Send>, JournalError>;
}
