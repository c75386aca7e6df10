//! Reads the durable frames of an open journal, from any thread, while the writer goes on.
//!
//! Invariant: a frame that is not durable is never given out.
//! Leaves out: reading a journal that another process writes (`verify`).

use std::sync::{Arc, Mutex, PoisonError};

use super::segment::{Label, number_of};
use super::{Dialect, FrameHeader, FrameReader, FrameRef, FrameSource, HubId, Scanned, SegmentScan, Tail};
use crate::error::{Damage, JournalError};
use crate::storage::{Access, Storage};

/// The durable frames of one journal. Clones see the same.
#[derive(Clone)]
pub struct DurableFrames {
    storage: Arc<dyn Storage>,
    identity: Label,
    dialect: Dialect,
    tail: Arc<Mutex<Tail>>,
}

impl DurableFrames {
    pub(crate) fn new(storage: Arc<dyn Storage>, identity: Label, dialect: Dialect, tail: Tail) -> Self {
        Self { storage, identity, dialect, tail: Arc::new(Mutex::new(tail)) }
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(crate) fn hub(&self) -> HubId {
        self.dialect.hub
    }

    /// The last durable frame.
    pub fn tail(&self) -> Tail {
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn advance(&self, tail: Tail) {
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = tail;
    }

    /// The frames from number `from` to the last one durable now.
    pub fn read(&self, from: u64) -> Result<FrameRange, JournalError> {
        let last = self.tail().number;
        // Frames lie in order, so the wanted one is in the last segment that does not begin behind it.
        let (mut segment, mut beyond) = (1, self.last_segment()? + 1);
        while beyond - segment > 1 {
            let middle = segment + (beyond - segment) / 2;
            match self.first_of(middle)? {
                Some(first) if first.number <= from => segment = middle,
                _ => beyond = middle,
            }
        }
        let tail = self.first_of(segment)?.map_or(Tail::EMPTY, |first| Tail::before(&first));
        let scan = self.scan(segment)?;
        Ok(FrameRange { frames: self.clone(), scan, segment, tail, from, last })
    }

    fn last_segment(&self) -> Result<u64, JournalError> {
        let names = self.storage.list().map_err(JournalError::io("listing", self.storage.path_of("")))?;
        Ok(names.iter().filter_map(|name| number_of(name)).max().unwrap_or(1))
    }

    fn scan(&self, segment: u64) -> Result<SegmentScan, JournalError> {
        SegmentScan::open(&*self.storage, &self.identity, segment, Access::Read)
    }

    /// The header of the first frame of `segment`, if it has one.
    fn first_of(&self, segment: u64) -> Result<Option<FrameHeader>, JournalError> {
        self.scan(segment)?.first_header(self.dialect.schema)
    }
}

impl FrameReader for DurableFrames {
    fn tail(&self) -> Tail {
        self.tail()
    }

    fn read(&self, from: u64) -> Result<Box<dyn FrameSource + Send>, JournalError> {
        Ok(Box::new(self.read(from)?))
    }
}

/// Durable frames in order.
pub struct FrameRange {
    frames: DurableFrames,
    scan: SegmentScan,
    segment: u64,
    tail: Tail,
    from: u64,
    last: u64,
}

impl FrameSource for FrameRange {
    fn next(&mut self) -> Result<Option<FrameRef<'_>>, JournalError> {
        while self.tail.number < self.last {
            match self.scan.next(&self.tail, self.frames.dialect)? {
                Scanned::Frame => {
                    let frame = self.scan.frame();
                    self.tail = Tail::after(frame.header, frame.hash);
                    if self.tail.number >= self.from {
                        return Ok(Some(self.scan.frame()));
                    }
                }
                Scanned::End => {
                    self.segment += 1;
                    self.scan = self.frames.scan(self.segment)?;
                }
                Scanned::Torn { frame, offset, .. } => {
                    return Err(self.scan.corrupt(offset, Damage::SectorLost { frame }));
                }
            }
        }
        Ok(None)
    }

    fn go_on(&mut self) {
        self.last = self.frames.tail().number;
        // What is in memory may be of a time when the frames to come were not written yet.
        self.scan.forget();
    }
}
