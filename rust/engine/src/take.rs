//! Gives out the durable frames of the open journal, and its snapshots, page by page: what a backup is made from.
//!
//! Invariant: a frame that is not durable is never given out.
//! Invariant: a snapshot that the hub removes while somebody takes it is given out to its end, as long as its place stays open.
//! Invariant: deciding and writing never wait for this thread; it reads files that they have finished with.
//! Invariant: what is in memory is bounded by the queue, one page and a few open files, however many take the journal.
//! Leaves out: where a frame lies (`FrameReader`), what a backup does with it (`backup`).

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use medsettle_core::hub::Actor;
use medsettle_core::ids::InstitutionCode;
use medsettle_wire::decode::{Decoded, EngineRequest, decode};
use medsettle_wire::encode::{JournalPage, SnapshotPage, encode_journal_page, encode_snapshot_page};
use medsettle_wire::{Operation, Reason, Refused, encode_refusal, rights};

use crate::engine::{Job, log};
use crate::error::JournalError;
use crate::journal::{FrameReader, FrameSource};
use crate::limits::{MAX_TAKES, TAKE_IDLE, TAKE_PAGE_BYTES, TAKE_QUEUE_LEN};
use crate::pipeline::panic_message;
use crate::reply::{Waiter, refused};
use crate::snapshot;
use crate::storage::{Access, Storage, StorageFile};

const OPERATIONS: [Operation; 2] = [Operation::OperationsTakeJournal, Operation::OperationsTakeSnapshot];

/// The way to the thread.
pub(crate) struct TakeQueue(Mutex<Option<Sender<Job>>>);

impl TakeQueue {
    /// A queue, and the work of the thread that answers it.
    pub(crate) fn new(
        journal: Box<dyn FrameReader>,
        snapshots: Box<dyn Storage>,
    ) -> (Self, impl FnOnce() + Send + 'static) {
        let (jobs, queue) = bounded(TAKE_QUEUE_LEN);
        let taker = Taker { journal, snapshots, takes: Vec::new(), snapshot_takes: Vec::new() };
        (Self(Mutex::new(Some(jobs))), move || taker.run(&queue))
    }

    /// Whether the job is one for this queue.
    pub(crate) fn is_for(job: &Job) -> bool {
        OPERATIONS.iter().any(|operation| job.operation == operation.number())
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

/// A snapshot that somebody is in the middle of taking. The file stays readable when its name is gone.
struct SnapshotTake {
    /// As it was asked for.
    last_frame: u64,
    next: u64,
    frame: u64,
    file: Box<dyn StorageFile>,
    len: u64,
}

struct Taker {
    journal: Box<dyn FrameReader>,
    snapshots: Box<dyn Storage>,
    /// Oldest first. Whoever asks for the next page goes on where the last one ended, without looking for it again.
    takes: Vec<Take>,
    snapshot_takes: Vec<SnapshotTake>,
}

impl Taker {
    fn run(mut self, queue: &Receiver<Job>) {
        loop {
            match queue.recv_timeout(TAKE_IDLE) {
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {
                    self.takes.clear();
                    self.snapshot_takes.clear();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn work(&mut self, job: Job) {
        let Job { ticket, roles, institution, request, sink, operation } = job;
        let waiter = Waiter::new(ticket, sink);
        let answer = catch_unwind(AssertUnwindSafe(|| self.answer(operation, roles, &institution, &request)));
        let answer = answer.unwrap_or_else(|panic| {
            log(&format!("taking the journal panicked: {}", panic_message(&*panic)));
            Err(refused(Reason::Internal))
        });
        waiter.answer_now(answer);
    }

    fn answer(&mut self, operation: u32, roles: u32, institution: &str, request: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        let operation = Operation::from_number(operation).ok_or_else(|| refused(Reason::MethodNotAvailable))?;
        let institution = InstitutionCode::parse(institution).ok_or_else(|| refused(Reason::CertificateNotAccepted))?;
        if rights::check_header(operation, &Actor { institution, roles }, None).is_err() {
            return Err(encode_refusal(&Refused::role_forbidden(operation)));
        }
        let page = match decode(operation, request).map_err(|refused| encode_refusal(&refused))? {
            Decoded::Engine(EngineRequest::TakeJournal { from_frame_number }) => {
                self.page(from_frame_number).map(encode_journal_page)
            }
            Decoded::Engine(EngineRequest::TakeSnapshot { last_frame_number, from_offset }) => {
                self.snapshot_page(last_frame_number, from_offset).map(encode_snapshot_page)
            }
            _ => return Err(refused(Reason::Internal)),
        };
        page.map_err(|error| {
            // Where it lies is the operator's business, not the caller's.
            log(&format!("{operation} failed. {error}"));
            refused(Reason::Internal)
        })
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
        keep_open(&mut self.takes, take);
        Ok(page)
    }

    fn snapshot_page(&mut self, last_frame: u64, from: u64) -> Result<SnapshotPage, JournalError> {
        let is_asked = |take: &SnapshotTake| (take.last_frame, take.next) == (last_frame, from);
        let mut take = match self.snapshot_takes.iter().position(is_asked) {
            Some(open) => self.snapshot_takes.remove(open),
            None => match self.open_snapshot(last_frame)? {
                Some(take) => take,
                None => return Ok(SnapshotPage::default()),
            },
        };
        let from = from.min(take.len);
        let len = usize::try_from(take.len - from).unwrap_or(usize::MAX).min(TAKE_PAGE_BYTES);
        let mut content = vec![0; len];
        let path = self.snapshots.path_of(&snapshot::name_of(take.frame));
        take.file.read_at(&mut content, from).map_err(JournalError::io("reading", path))?;
        take.next = from + len as u64;
        let next_offset = if take.next < take.len { take.next } else { 0 };
        let page = SnapshotPage { frame_number: take.frame, content, next_offset, file_bytes: take.len };
        if next_offset > 0 {
            keep_open(&mut self.snapshot_takes, take);
        }
        Ok(page)
    }

    /// The newest snapshot that does not stand behind a later frame.
    fn open_snapshot(&self, last_frame: u64) -> Result<Option<SnapshotTake>, JournalError> {
        let numbers = snapshot::numbers(&*self.snapshots);
        let numbers = numbers.map_err(JournalError::io("listing", self.snapshots.path_of("")))?;
        for frame in numbers.into_iter().filter(|number| *number <= last_frame) {
            let name = snapshot::name_of(frame);
            let opened = self.snapshots.open(&name, Access::Read).and_then(|file| Ok((file.len()?, file)));
            match opened {
                Ok((len, file)) => return Ok(Some(SnapshotTake { last_frame, next: 0, frame, file, len })),
                // It was removed since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(JournalError::io("opening", self.snapshots.path_of(&name))(error)),
            }
        }
        Ok(None)
    }
}

fn keep_open<T>(takes: &mut Vec<T>, take: T) {
    if takes.len() == MAX_TAKES {
        takes.remove(0);
    }
    takes.push(take);
}
