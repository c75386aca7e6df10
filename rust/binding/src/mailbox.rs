//! Where the engine leaves answers for one event loop or one waiting thread, and the bell that it rings.
//!
//! Invariant: the bell is an eventfd, readable from the first `wake` after a `push` until the answers are taken.
//! Invariant: nothing here attaches to the interpreter, so engine threads may call it at any time.
//! Invariant: the descriptor lives as long as anybody may still ring, however early the receiver gave up.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use medsettle_engine::{Answer, Sink};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, read, write};

/// Answers that wait for their receiver.
pub(crate) struct Mailbox {
    answers: Mutex<Vec<Answer>>,
    bell: OwnedFd,
}

impl Mailbox {
    pub(crate) fn new() -> Result<Self, Errno> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { answers: Mutex::default(), bell })
    }

    /// The descriptor for an event loop's selector.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.bell.as_raw_fd()
    }

    /// Sleep until the bell rings; `Errno::INTR` when a signal came first.
    pub(crate) fn wait(&self) -> Result<(), Errno> {
        poll(&mut [PollFd::new(&self.bell, PollFlags::IN)], None).map(drop)
    }

    /// Silence the bell and take every answer. Whatever is pushed after that rings again.
    pub(crate) fn take(&self) -> Vec<Answer> {
        let mut rings = [0; 8];
        match read(self.bell.as_fd(), &mut rings) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => unreachable!("an eventfd was read with {error}"),
        }
        std::mem::take(&mut *self.answers())
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Mailbox {
    fn push(&self, answer: Answer) {
        self.answers().push(answer);
    }

    fn wake(&self) {
        // It fails only when the counter is full, and then the bell is ringing already.
        let _ = write(&self.bell, &1_u64.to_ne_bytes());
    }
}
