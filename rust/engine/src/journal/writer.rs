//! The local journal: appends frames to segments of one data directory and reads back the durable ones.
//!
//! Invariant: one write and one sync per frame, one frame at a time; `Durable` only after the sync returned.
//! Invariant: after a failed write or sync nothing is written, synced or retried any more.
//! Invariant: a frame lies within one segment; what does not fit goes to the next one.
//! Leaves out: opening and repairing (`recovery`), making frames (`Chain`), batching and idle time (pipeline).

use std::sync::Arc;

use super::preparer::{DiskState, Preparer, WriterStopper};
use super::segment::{FIRST_FRAME_OFFSET, Label, name_of};
use super::{Appended, Dialect, DurableFrames, Frame, FrameHash, FrameSource, JournalPort, Tail};
use crate::error::JournalError;
use crate::halt::{Halt, HaltReason};
use crate::storage::{Access, DirectoryLock, Storage, StorageFile};

/// A place between frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// What recovery found out and the writer goes on from.
pub(crate) struct WriterParts {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) lock: DirectoryLock,
    pub(crate) identity: Label,
    pub(crate) dialect: Dialect,
    pub(crate) halt: Halt,
    pub(crate) tail: Tail,
    pub(crate) position: Position,
    pub(crate) segment_len: u64,
    /// Whether the segment behind the active one lies there already.
    pub(crate) next_is_ready: bool,
}

/// The journal in one data directory. It belongs to one writer thread.
pub struct LocalJournal {
    durable: DurableFrames,
    active: Box<dyn StorageFile>,
    active_len: u64,
    position: Position,
    preparer: Preparer,
    halt: Halt,
    lock: DirectoryLock,
}

impl LocalJournal {
    pub(crate) fn start(parts: WriterParts) -> Result<Self, JournalError> {
        let WriterParts { storage, lock, identity, dialect, halt, tail, position, segment_len, next_is_ready } = parts;
        let name = name_of(position.segment);
        let io = |action| JournalError::io(action, storage.path_of(&name));
        let active = storage.open(&name, Access::Write).map_err(io("opening"))?;
        let active_len = active.len().map_err(io("asking the length of"))?;
        let label = Label { file_len: segment_len, ..identity };
        let preparer = Preparer::start(Arc::clone(&storage), label, position.segment + 1, next_is_ready)
            .map_err(io("starting the preparer for"))?;
        preparer.writer_is_at(position.offset);
        let durable = DurableFrames::new(storage, identity, dialect, tail);
        Ok(Self { durable, active, active_len, position, preparer, halt, lock })
    }

    /// The segment that the last frame lies in.
    pub fn segment(&self) -> u64 {
        self.position.segment
    }

    /// The durable frames, for other threads.
    pub fn durable(&self) -> DurableFrames {
        self.durable.clone()
    }

    /// Whether the disk is full, for the pipeline to refuse by.
    pub fn disk(&self) -> DiskState {
        self.preparer.disk()
    }

    /// What makes a writer that waits for a segment give up.
    pub fn stopper(&self) -> WriterStopper {
        self.preparer.stopper()
    }

    /// The lock of the data directory.
    pub fn lock(&self) -> DirectoryLock {
        self.lock.clone()
    }

    /// Write and sync `frame` behind the last one.
    fn write(&mut self, frame: &Frame) -> Result<(), HaltReason> {
        let bytes = frame.bytes();
        let len = bytes.len() as u64;
        let begins_segment = self.position.offset + len > self.active_len;
        if begins_segment {
            self.next_segment(frame)?;
        }
        let offset = self.position.offset;
        if let Err(cause) = self.active.write_at(bytes, offset) {
            return Err(HaltReason::WriteFailed {
                path: self.active_path(),
                offset,
                len: bytes.len(),
                cause: cause.to_string(),
            });
        }
        if let Err(cause) = self.active.sync_data() {
            return Err(HaltReason::SyncFailed { path: self.active_path(), cause: cause.to_string() });
        }
        if begins_segment {
            self.preparer.begin_next();
        }
        self.position.offset += len;
        self.preparer.writer_is_at(self.position.offset);
        Ok(())
    }

    /// Go on in the next segment, where `frame` must fit.
    fn next_segment(&mut self, frame: &Frame) -> Result<(), HaltReason> {
        let segment = self.preparer.take()?;
        let name = name_of(segment);
        let opened = self.durable.storage().open(&name, Access::Write).and_then(|file| Ok((file.len()?, file)));
        (self.active_len, self.active) = opened.map_err(|cause| HaltReason::PrepareFailed {
            path: self.durable.storage().path_of(&name).display().to_string(),
            cause: cause.to_string(),
        })?;
        self.position = Position { segment, offset: FIRST_FRAME_OFFSET };
        let (len, capacity) = (frame.bytes().len(), self.active_len - FIRST_FRAME_OFFSET);
        if len as u64 > capacity {
            return Err(HaltReason::FrameExceedsSegment { number: frame.header().number, len, capacity });
        }
        Ok(())
    }

    fn active_path(&self) -> String {
        self.durable.storage().path_of(&name_of(self.position.segment)).display().to_string()
    }
}

impl JournalPort for LocalJournal {
    fn append(&mut self, epoch: u64, previous: FrameHash, frame: &Frame) -> Appended {
        if let Some(reason) = self.halt.reason() {
            return Appended::Indeterminate(reason.clone());
        }
        let tail = self.durable.tail();
        let header = frame.header();
        let is_of_caller = header.epoch == epoch && header.previous == previous;
        if !is_of_caller || tail.accepts(header, self.durable.hub()).is_err() {
            return Appended::Fenced { tail };
        }
        match self.write(frame) {
            Ok(()) => {
                self.durable.advance(Tail::after(header, frame.hash()));
                Appended::Durable
            }
            Err(reason) => Appended::Indeterminate(self.halt.latch(reason)),
        }
    }

    fn tail(&self) -> Tail {
        self.durable.tail()
    }

    fn read(&self, from: u64) -> Result<Box<dyn FrameSource + Send>, JournalError> {
        Ok(Box::new(self.durable.read(from)?))
    }
}
