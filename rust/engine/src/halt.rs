//! Why the engine stopped, and the latch that everybody who must stop looks at.
//!
//! Invariant: the first reason stays; a later one never replaces it.
//! Invariant: nothing un-latches. Only a new process, after recovery, works on the directory again.

use std::sync::{Arc, OnceLock};

/// Why no further fact can be made durable by this process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum HaltReason {
    /// The write of a frame failed: some of its sectors may be on disk.
    #[error("writing {len} bytes at offset {offset} of {path} failed: {cause}")]
    WriteFailed { path: String, offset: u64, len: usize, cause: String },
    /// The sync after a frame failed: the kernel may have dropped the pages, so a second sync would say a lie.
    #[error("syncing {path} failed: {cause}")]
    SyncFailed { path: String, cause: String },
    /// The next segment cannot be prepared, for another cause than a full disk.
    #[error("preparing {path} failed: {cause}")]
    PrepareFailed { path: String, cause: String },
    /// A frame was handed over that no segment of this journal can hold.
    #[error("frame {number} of {len} bytes fits into no segment: a segment holds {capacity}")]
    FrameExceedsSegment { number: u64, len: usize, capacity: u64 },
    /// The journal was told to stop while a frame waited for its segment.
    #[error("stopped while waiting for the next segment")]
    Stopped,
    /// The records index can be neither read nor written. The journal is untouched; the next opening takes from it what the index lacks.
    #[error("the records index failed: {cause}")]
    IndexFailed { cause: String },
    /// A stage that may not fail did; `stage` is its name.
    #[error("stage {stage} panicked: {message}")]
    StagePanicked { stage: &'static str, message: String },
}

/// The latch. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Halt(Arc<OnceLock<HaltReason>>);

impl Halt {
    /// Latch `reason` and return the reason that holds, which is an earlier one if there was one.
    pub fn latch(&self, reason: HaltReason) -> HaltReason {
        self.0.get_or_init(|| reason).clone()
    }

    /// The reason, once halted.
    pub fn reason(&self) -> Option<&HaltReason> {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let halt = Halt::default();
        assert_eq!(halt.reason(), None);
        let first = HaltReason::SyncFailed { path: "1".into(), cause: "EIO".into() };
        assert_eq!(halt.latch(first.clone()), first);
        assert_eq!(halt.clone().latch(HaltReason::Stopped), first);
        assert_eq!(halt.reason(), Some(&first));
    }
}
