//! What the engine keeps of the past in memory: the records that decisions ask for, and the first answers.
//!
//! Invariant: everything here comes from the journal, and is rebuilt from it at every start.
//! Leaves out: keeping it on disk; until then memory grows with history.

use medsettle_core::fact::Record;
use medsettle_core::hub::Hub;
use medsettle_core::records::MemoryRecords;

use crate::journal::FrameHash;
use crate::reply::Seen;

/// First answers and records.
pub(crate) struct History {
    pub(crate) records: MemoryRecords,
    /// The response of sequence `n` at `n - 1`, and whether it is a refusal.
    responses: Vec<(Box<[u8]>, bool)>,
    /// Last sequence of each frame that holds records, with what its responses say of it.
    frames: Vec<(u64, Seen)>,
}

/// What was answered to a request, for ever.
pub(crate) struct FirstAnswer {
    /// The response without its header, or the refusal.
    pub(crate) body: Vec<u8>,
    /// It is a refusal that left something behind.
    pub(crate) refused: bool,
    /// The frame of the record, unless that is still being filled.
    pub(crate) frame: Option<Seen>,
}

impl History {
    /// Nothing yet. The seed keeps callers from choosing request ids that collide.
    pub(crate) fn new(seed: u64) -> Self {
        Self { records: MemoryRecords::seeded(seed), responses: Vec::new(), frames: Vec::new() }
    }

    /// Take note of a record, with the hub as it is before the record is applied.
    pub(crate) fn observe(&mut self, record: &Record, response: &[u8], before: &Hub) {
        self.records.observe(record, before);
        self.responses.push((response.into(), record.refused));
    }

    /// A frame ends with this sequence.
    pub(crate) fn close_frame(&mut self, last_sequence: u64, hash: FrameHash, stamp_ms: i64) {
        if self.frames.last().is_none_or(|(last, _)| *last < last_sequence) {
            self.frames.push((last_sequence, Seen { hash, stamp_ms }));
        }
    }

    /// What was answered to the record of a sequence.
    pub(crate) fn first_answer(&self, sequence: u64) -> FirstAnswer {
        let index = usize::try_from(sequence - 1).expect("as many responses as memory holds");
        let (response, refused) = &self.responses[index];
        FirstAnswer { body: response.to_vec(), refused: *refused, frame: self.frame_of(sequence) }
    }

    /// The frame that holds the record of a sequence; none where there is no such record, or its frame is still being filled.
    pub(crate) fn frame_of(&self, sequence: u64) -> Option<Seen> {
        let frame = self.frames.partition_point(|(last, _)| *last < sequence);
        self.frames.get(frame).filter(|_| sequence > 0).map(|(_, seen)| *seen)
    }
}
