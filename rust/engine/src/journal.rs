//! The write-ahead log: what a journal is made of and how frames follow one another.
//!
//! Invariant: frame numbers grow by one, sequences have no gap, each frame names the hash of the one before.
//! Invariant: at most one frame is between its write and the return of its sync.
//! Map: `frame` bytes of a frame, `segment` the files, `preparer` fills the next file, `writer` appends, `reader` walks
//! frames, `durable` reads behind the writer, `port` is what a replicated journal will implement as well.

mod durable;
pub mod frame;
mod port;
mod preparer;
mod reader;
pub mod segment;
mod window;
mod writer;

pub use durable::{DurableFrames, FrameRange};
pub use frame::{BodyTooLong, Frame, FrameHash, FrameHeader, FrameKind, HashAlgorithm, HeaderError, HubId};
pub use port::{Appended, FrameReader, FrameSource, JournalPort};
pub(crate) use preparer::make_segment;
pub use preparer::{DiskState, WriterStopper};
pub use reader::FrameRef;
pub(crate) use reader::{Dialect, Scanned, SegmentScan};
pub use segment::DirectoryId;
pub use writer::LocalJournal;
pub(crate) use writer::{Position, WriterParts};

use crate::error::Damage;
use crate::limits::MAX_BODY_LEN;

/// Where a journal ends: what the next frame must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Number of the last frame; 0 in an empty journal.
    pub number: u64,
    /// Its hash; zero in an empty journal.
    pub hash: FrameHash,
    /// The epoch it belongs to; the first is 1.
    pub epoch: u64,
    /// Sequence of the last fact; 0 before the first.
    pub last_sequence: u64,
    /// Stamp of the frame; the least there is in an empty journal.
    pub stamp_ms: i64,
}

impl Tail {
    /// The tail of an empty journal.
    pub const EMPTY: Self =
        Self { number: 0, hash: FrameHash([0; 32]), epoch: 1, last_sequence: 0, stamp_ms: i64::MIN };

    /// The tail that `header` followed, as far as the header tells.
    pub(crate) fn before(header: &FrameHeader) -> Self {
        let raises_epoch = u64::from(header.kind == FrameKind::Epoch);
        Self {
            number: header.number.saturating_sub(1),
            hash: header.previous,
            epoch: header.epoch.saturating_sub(raises_epoch),
            last_sequence: header.first_sequence.saturating_sub(1),
            stamp_ms: i64::MIN,
        }
    }

    /// The tail once a frame with `header` and `hash` stands behind this one.
    pub(crate) fn after(header: &FrameHeader, hash: FrameHash) -> Self {
        Self {
            number: header.number,
            hash,
            epoch: header.epoch,
            last_sequence: header.last_sequence,
            stamp_ms: header.stamp_ms,
        }
    }

    /// Number of the frame that comes next. It saturates, since a damaged header may claim any number.
    pub fn next_number(&self) -> u64 {
        self.number.saturating_add(1)
    }

    /// Whether a frame with `header` may follow in the journal of `hub`.
    pub(crate) fn accepts(&self, header: &FrameHeader, hub: HubId) -> Result<(), Damage> {
        let frame = self.next_number();
        let order = |holds: bool, what| if holds { Ok(()) } else { Err(Damage::Order { frame, what }) };
        if header.number != frame {
            return Err(Damage::Number { frame, found: header.number });
        }
        if header.hub != hub {
            return Err(Damage::Hub { frame, expected: hub, found: header.hub });
        }
        if header.previous != self.hash {
            return Err(Damage::Previous { frame, expected: self.hash, found: header.previous });
        }
        match header.kind {
            FrameKind::Epoch => order(header.epoch > self.epoch, "an epoch frame does not begin a later epoch")?,
            FrameKind::Business | FrameKind::Seal => {
                order(header.epoch == self.epoch, "the epoch changes without an epoch frame")?;
            }
        }
        let begins_behind = self.last_sequence.checked_add(1) == Some(header.first_sequence);
        order(begins_behind, "its first sequence does not follow the last one")?;
        order(header.last_sequence >= self.last_sequence, "its last sequence lies before its first")?;
        let may_hold_facts = header.kind == FrameKind::Business;
        order(may_hold_facts || header.last_sequence == self.last_sequence, "only a business frame holds facts")?;
        order(header.stamp_ms >= self.stamp_ms, "its stamp lies before the last one")?;
        order(header.durable_up_to <= self.number, "it calls itself or a later frame durable")
    }
}

/// Makes the frames of one journal, each following the last one made.
///
/// It belongs to the thread that encodes.
#[derive(Debug, Clone)]
pub struct Chain {
    tail: Tail,
    hub: HubId,
    schema: u32,
    max_body_len: usize,
}

impl Chain {
    pub(crate) fn new(tail: Tail, hub: HubId, schema: u32, max_body_len: usize) -> Self {
        Self { tail, hub, schema, max_body_len: max_body_len.min(MAX_BODY_LEN) }
    }

    /// The last frame made, durable or not.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// The longest body a frame of this journal holds: a segment must take it.
    pub fn max_body_len(&self) -> usize {
        self.max_body_len
    }

    /// A business frame with the next `facts` sequences. A stamp before the last one is raised to it. `durable_up_to` is
    /// the newest frame known to be durable; `buffer` is reused.
    pub fn business(
        &mut self,
        facts: u64,
        stamp_ms: i64,
        durable_up_to: u64,
        body: &[u8],
        buffer: Vec<u8>,
    ) -> Result<Frame, BodyTooLong> {
        if body.len() > self.max_body_len {
            return Err(BodyTooLong { len: body.len(), limit: self.max_body_len });
        }
        let header = self.header(FrameKind::Business, facts, stamp_ms, durable_up_to);
        self.push(header, body, buffer)
    }

    /// A seal frame: no facts, no body.
    pub fn seal(&mut self, stamp_ms: i64, durable_up_to: u64, buffer: Vec<u8>) -> Frame {
        let header = self.header(FrameKind::Seal, 0, stamp_ms, durable_up_to);
        self.push(header, &[], buffer).expect("an empty body fits")
    }

    /// The frame that begins the next epoch, after a restore or a takeover.
    pub fn next_epoch(&mut self, stamp_ms: i64, durable_up_to: u64, buffer: Vec<u8>) -> Frame {
        let header = self.header(FrameKind::Epoch, 0, stamp_ms, durable_up_to);
        self.push(header, &[], buffer).expect("an empty body fits")
    }

    fn header(&self, kind: FrameKind, facts: u64, stamp_ms: i64, durable_up_to: u64) -> FrameHeader {
        FrameHeader {
            schema: self.schema,
            kind,
            hash_algorithm: HashAlgorithm::Blake3,
            hub: self.hub,
            number: self.tail.next_number(),
            epoch: self.tail.epoch + u64::from(kind == FrameKind::Epoch),
            first_sequence: self.tail.last_sequence + 1,
            last_sequence: self.tail.last_sequence + facts,
            stamp_ms: stamp_ms.max(self.tail.stamp_ms),
            durable_up_to,
            key_id: 0,
            body_len: 0,
            previous: self.tail.hash,
        }
    }

    fn push(&mut self, header: FrameHeader, body: &[u8], buffer: Vec<u8>) -> Result<Frame, BodyTooLong> {
        let frame = Frame::encode(header, body, buffer)?;
        self.tail = Tail::after(frame.header(), frame.hash());
        Ok(frame)
    }
}
