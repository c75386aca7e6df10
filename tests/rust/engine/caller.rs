//! A caller: sends encoded requests in the name of an institution and waits for the answers.
//!
//! Invariant: a ticket that is answered never, or twice before it was read, fails the test that asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use medsettle_engine::{Answer, BATCH, Engine, Job, Sink};
use medsettle_wire::{Operation, Reason, Role, v1};
use prost::Message;

/// Far longer than any answer takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

static TICKETS: AtomicU64 = AtomicU64::new(1);

/// Answers by ticket.
#[derive(Default)]
struct Mailbox {
    answers: Mutex<BTreeMap<u64, Vec<Answer>>>,
    rung: Condvar,
}

impl Sink for Mailbox {
    fn push(&self, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.entry(answer.ticket).or_default().push(answer);
    }

    fn wake(&self) {
        // Taking the lock orders this behind a waiter that has just looked.
        drop(self.answers.lock());
        self.rung.notify_all();
    }
}

/// Changes requests before they are sent.
pub(crate) type Rename = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

/// An institution that talks to an engine.
#[derive(Clone)]
pub(crate) struct Caller<'a> {
    engine: &'a Engine,
    institution: &'static str,
    roles: u32,
    mailbox: Arc<Mailbox>,
    rename: Option<Arc<Rename>>,
}

/// A job on its way.
pub(crate) struct Sent {
    ticket: u64,
    mailbox: Arc<Mailbox>,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(engine: &'a Engine, institution: &'static str, roles: &[Role]) -> Self {
        let roles = roles.iter().fold(0, |bits, role| bits | 1 << *role as i32);
        Self { engine, institution, roles, mailbox: Arc::default(), rename: None }
    }

    /// The same caller, whose requests get other ids on their way: a test that must be the same in every run counts its own.
    pub(crate) fn renaming(self, rename: Arc<Rename>) -> Self {
        Self { rename: Some(rename), ..self }
    }

    pub(crate) fn send(&self, operation: u32, request: Vec<u8>) -> Sent {
        let ticket = TICKETS.fetch_add(1, Relaxed);
        let sink = Arc::clone(&self.mailbox) as Arc<dyn Sink>;
        let (roles, institution) = (self.roles, self.institution.to_owned());
        let request = match &self.rename {
            Some(rename) => rename(&request),
            None => request,
        };
        self.engine.send(Job { ticket, operation, roles, institution, request, sink });
        Sent { ticket, mailbox: Arc::clone(&self.mailbox) }
    }

    pub(crate) fn call(&self, operation: u32, request: Vec<u8>) -> Answer {
        self.send(operation, request).answer()
    }

    /// Ask and read the response, or the refusal's reason.
    pub(crate) fn ask<R: Message + Default>(&self, operation: Operation, request: &impl Message) -> Result<R, Reason> {
        read(&self.call(operation.number(), request.encode_to_vec()))
    }

    /// Ask for what is accepted.
    pub(crate) fn get<R: Message + Default>(&self, operation: Operation, request: &impl Message) -> R {
        self.ask(operation, request).unwrap_or_else(|reason| panic!("{operation} was refused: {reason}"))
    }

    /// Submit commands as one batch.
    pub(crate) fn submit(&self, commands: Vec<v1::command::Command>) -> v1::BatchSubmitResponse {
        read(&self.call(BATCH, batch(commands))).expect("a batch that is taken")
    }
}

impl Sent {
    /// Whether the answer is there already.
    pub(crate) fn is_answered(&self) -> bool {
        self.mailbox.answers.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&self.ticket)
    }

    /// Wait for the one answer.
    pub(crate) fn answer(&self) -> Answer {
        let answers = self.mailbox.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |answers: &mut BTreeMap<u64, _>| !answers.contains_key(&self.ticket);
        let (answers, late) = self.mailbox.rung.wait_timeout_while(answers, PATIENCE, missing).expect("not poisoned");
        assert!(!late.timed_out(), "ticket {} was never answered", self.ticket);
        let [answer] = &answers[&self.ticket][..] else { panic!("ticket {} was answered twice", self.ticket) };
        answer.clone()
    }

    /// Wait and read the response, or the refusal's reason.
    pub(crate) fn read<R: Message + Default>(&self) -> Result<R, Reason> {
        read(&self.answer())
    }
}

/// What nobody asks for any more is not kept: a benchmark sends millions.
impl Drop for Sent {
    fn drop(&mut self) {
        self.mailbox.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.ticket);
    }
}

/// The response of an answer, or the reason of its refusal.
pub(crate) fn read<R: Message + Default>(answer: &Answer) -> Result<R, Reason> {
    if answer.ok { Ok(R::decode(&*answer.bytes).expect("a response")) } else { Err(reason(answer)) }
}

pub(crate) fn reason(answer: &Answer) -> Reason {
    assert!(!answer.ok, "this was accepted");
    reason_of(&v1::Refusal::decode(&*answer.bytes).expect("a refusal"))
}

pub(crate) fn reason_of(refusal: &v1::Refusal) -> Reason {
    let number = u32::try_from(refusal.reason).expect("reasons are positive");
    Reason::from_number(number).expect("a reason of the contract")
}

/// A `Batch.Submit` request.
pub(crate) fn batch(commands: Vec<v1::command::Command>) -> Vec<u8> {
    let commands = commands.into_iter().map(|command| v1::Command { command: Some(command) }).collect();
    v1::BatchSubmitRequest { commands }.encode_to_vec()
}

/// The header of a response, whatever the response: it is always the first field.
pub(crate) fn header(answer: &Answer) -> v1::ResponseHeader {
    assert!(answer.ok, "refused: {}", reason(answer));
    split_header(&answer.bytes).0
}

/// The header of an encoded response, and all that follows it.
pub(crate) fn split_header(response: &[u8]) -> (v1::ResponseHeader, &[u8]) {
    let mut rest = response;
    assert_eq!(prost::encoding::decode_key(&mut rest), Ok((1, prost::encoding::WireType::LengthDelimited)));
    let length = prost::encoding::decode_varint(&mut rest).expect("a length");
    let (header, body) = rest.split_at(usize::try_from(length).expect("short"));
    (v1::ResponseHeader::decode(header).expect("a header"), body)
}

/// The answer as it would be were it the first: its header says so, every other byte stays.
pub(crate) fn as_first(answer: &Answer) -> (v1::ResponseHeader, Vec<u8>) {
    assert!(answer.ok, "refused: {}", reason(answer));
    let (header, body) = split_header(&answer.bytes);
    (v1::ResponseHeader { replayed: false, ..header }, body.to_vec())
}
