//! Gives out the durable frames of the open journal, page by page: what a backup is made from.
//!
//! Invariant: a frame that is not durable is never given out.
//! Invariant: deciding and writing never wait for this thread; it reads files that they have finished with.
//! Invariant: what is in memory is bounded by the queue, one page and a few open files, however many take the journal.
//! Leaves out: where a frame lies (`FrameReader`), what a backup does with it (`backup`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use medsettle_core::hub::Actor;
use medsettle_core::ids::InstitutionCode;
use medsettle_wire::decode::{Decoded, EngineRequest, decode};
use medsettle_wire::encode::{JournalPage, encode_journal_page};
use medsettle_wire::{Operation, Reason, Refused, encode_refusal, rights};

use crate::engine::{Job, log};
use crate::error::JournalError;
use crate::journal::{FrameReader, FrameSource};
use crate::limits::{MAX_TAKES, TAKE_PAGE_BYTES, TAKE_QUEUE_LEN};
use crate::pipeline::panic_message;
use crate::reply::{Waiter, refused};

/// The way to the thread.
pub(crate) struct TakeQueue(Mutex<Option<Sender<Job>>>);

impl TakeQueue {
    /// A queue, and the work of the thread that answers it.
    pub(crate) fn new(journal: Box<dyn FrameReader>) -> (Self, impl FnOnce() + Send + 'static) {
        let (jobs, queue) = bounded(TAKE_QUEUE_LEN);
        (Self(Mutex::new(Some(jobs))), move || Taker { journal, takes: Vec::new() }.run(&queue))
    }

    /// Whether the job is one for this queue.
    pub(crate) fn is_for(job: &Job) -> bool {
        job.operation == Operation::OperationsTakeJournal.number()
    }

    /// Queue a job, or give it back with the reason why not.
    pub(crate) fn send(&self, job: Job) -> Result<(), (Job, Reason)> {
        let queue = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(queue) = queue else { return Err((job, Reason::Halted)) };
        queue.try_send(job).map_err(|unsent| match unsent {
            TrySendError::Full(job) => (job, Reason::Overloaded),
            TrySendError::Disconnected(job) => (job, Reason::Halted),
        })
    }

    /// Take no more jobs; the thread ends behind those that wait.
    pub(crate) fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A journal that somebody is in the middle of taking.
struct Take {
    next: u64,
    frames: Box<dyn FrameSource + Send>,
}

struct Taker {
    journal: Box<dyn FrameReader>,
    /// Oldest first. Whoever asks for the next page goes on where the last one ended, without looking for it again.
    takes: Vec<Take>,
}

impl Taker {
    fn run(mut self, queue: &Receiver<Job>) {
        for job in queue {
            let Job { ticket, roles, institution, request, sink, .. } = job;
            let waiter = Waiter::new(ticket, sink);
            let answer = catch_unwind(AssertUnwindSafe(|| self.answer(roles, &institution, &request)));
            let answer = answer.unwrap_or_else(|panic| {
                log(&format!("taking the journal panicked: {}", panic_message(&*panic)));
                Err(refused(Reason::Internal))
            });
            waiter.answer_now(answer);
        }
    }

    fn answer(&mut self, roles: u32, institution: &str, request: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        let operation = Operation::OperationsTakeJournal;
        let institution = InstitutionCode::parse(institution).ok_or_else(|| refused(Reason::CertificateNotAccepted))?;
        if rights::check_header(operation, &Actor { institution, roles }, None).is_err() {
            return Err(encode_refusal(&Refused::role_forbidden(operation)));
        }
        let decoded = decode(operation, request).map_err(|refused| encode_refusal(&refused))?;
        let Decoded::Engine(EngineRequest::TakeJournal { from_frame_number }) = decoded else {
            return Err(refused(Reason::Internal));
        };
        let page = self.page(from_frame_number).map_err(|error| {
            // Where it lies is the operator's business, not the caller's.
            log(&format!("the journal cannot be taken. {error}"));
            refused(Reason::Internal)
        })?;
        Ok(encode_journal_page(page))
    }

    fn page(&mut self, from: u64) -> Result<JournalPage, JournalError> {
        let mut take = match self.takes.iter().position(|take| take.next == from) {
            Some(open) => self.takes.remove(open),
            None => Take { next: from, frames: self.journal.read(from)? },
        };
        let mut page = JournalPage { durable_frame_number: self.journal.tail().number, ..JournalPage::default() };
        take.frames.go_on();
        let mut bytes = 0;
        while bytes < TAKE_PAGE_BYTES {
            let Some(frame) = take.frames.next()? else { return Ok(page) };
            let content = frame.content();
            bytes += content.len();
            take.next = frame.header.number + 1;
            page.frames.push((frame.header.number, content));
        }
        page.next_frame_number = take.next;
        if self.takes.len() == MAX_TAKES {
            self.takes.remove(0);
        }
        self.takes.push(take);
        Ok(page)
    }
}
