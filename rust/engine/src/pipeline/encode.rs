//! The encoding thread: makes frames of what was decided, while more is being decided and the frame before is being written.
//!
//! ```text
//! decided, closed, durable -> responses, records -> closed? hash, chain -> write
//!                                      '-> observed, framed, durable -> records index
//! ```
//!
//! Invariant: steps are taken in the order of the decisions, so the journal, the responses and the records index have one order.
//! Invariant: nothing leaves from here; answers go along with their frame to whoever writes it.
//! Leaves out: how long a frame may become (the deciding thread asks [`BodyLength`] before it applies anything).

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender};
use medsettle_core::command::Reply;
use medsettle_core::fact::Record;
use medsettle_core::hub::Hub;
use medsettle_core::records::Closing;
use medsettle_wire::encode::encode_reply;
use medsettle_wire::record::encode_record;
use medsettle_wire::{Operation, Reason};

use crate::halt::{Halt, HaltReason};
use crate::index::{Fed, Observed};
use crate::journal::{self, BodyTooLong, Chain};
use crate::keeper::{Frozen, Order, Task};
use crate::limits::FRAME_BODY_GOAL;
use crate::reply::{Made, Outgoing, Responses, Seen, refuse_all};

/// What the deciding thread hands over, in the order in which it came about.
pub(crate) enum Step {
    Decided(Box<Decided>),
    Close(Box<Close>),
    /// A frame is durable; for the records index.
    Durable {
        number: u64,
    },
}

/// A decision that was applied.
pub(crate) struct Decided {
    pub(crate) record: Box<Record>,
    pub(crate) closing: Closing,
    pub(crate) answer: Answer,
}

/// What was answered, without header.
pub(crate) enum Answer {
    /// A response that is still to be encoded; with its record it is no longer than their bound.
    Reply(Operation, Reply),
    /// What had to be encoded to be measured, with its record.
    Encoded { record: Vec<u8>, answer: Vec<u8> },
}

/// What was decided is to be a frame.
pub(crate) struct Close {
    pub(crate) kind: Kind,
    pub(crate) stamp_ms: i64,
    /// The newest frame that is known to be durable.
    pub(crate) durable: u64,
    /// Memory for it.
    pub(crate) buffer: Vec<u8>,
    pub(crate) answers: Vec<Outgoing>,
    /// The state behind it, where something is wanted of it.
    pub(crate) wanted: Option<Wanted>,
}

/// What kind of frame it is to be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Business { records: u64 },
    Seal,
}

/// Orders about a state.
pub(crate) struct Wanted {
    pub(crate) hub: Hub,
    pub(crate) orders: Vec<Order>,
}

impl Wanted {
    /// The tasks, once it is known which frame the state stands behind.
    pub(crate) fn behind(self, frame: Behind) -> Vec<Task> {
        let frozen = Arc::new(Frozen { hub: self.hub, tail: frame.tail, seen: frame.newest });
        self.orders.into_iter().map(|order| Task { frozen: Arc::clone(&frozen), order }).collect()
    }
}

/// The end of the journal behind some frame.
#[derive(Clone, Copy)]
pub(crate) struct Behind {
    pub(crate) tail: journal::Tail,
    /// The newest frame that holds a decision.
    pub(crate) newest: Seen,
}

/// A frame on its way to the writer, with the answers that wait for it.
pub(crate) struct InFlight {
    pub(crate) frame: journal::Frame,
    pub(crate) answers: Vec<Outgoing>,
    pub(crate) made: Made,
    /// The newest frame before it that holds a decision.
    pub(crate) newest: Seen,
    pub(crate) behind: Behind,
    /// Orders about the state behind this frame, for the keeper once it is durable.
    pub(crate) tasks: Vec<Task>,
}

/// What the thread works with.
pub(crate) struct Encoder {
    pub(crate) chain: Chain,
    /// The newest frame that holds a decision.
    pub(crate) newest: Seen,
    pub(crate) index: Sender<Vec<Fed>>,
    pub(crate) frames: Sender<InFlight>,
    pub(crate) ending: Ending,
    pub(crate) halt: Halt,
}

/// The frame that is being filled.
#[derive(Default)]
struct Filling {
    body: Vec<u8>,
    responses: Responses,
    /// The response that is being encoded.
    response: Vec<u8>,
}

impl Encoder {
    /// Work until nothing more is decided, or until a frame cannot be made or written.
    pub(crate) fn run(&mut self, steps: &Receiver<Vec<Step>>) {
        let mut filling = Filling::default();
        for steps in steps {
            let mut fed = Vec::with_capacity(steps.len() + 1);
            for step in steps {
                match step {
                    Step::Decided(decided) => fed.push(Fed::Record(Box::new(self.encode(*decided, &mut filling)))),
                    Step::Close(close) => match self.close(*close, &mut filling) {
                        Ok(framed) => fed.extend(framed),
                        Err(()) => return,
                    },
                    Step::Durable { number } => fed.push(Fed::Durable { number }),
                }
            }
            // An index that has failed has halted the engine.
            let _ = self.index.send(fed);
        }
    }

    fn encode(&self, decided: Decided, filling: &mut Filling) -> Observed {
        let Decided { record, closing, answer } = decided;
        let Filling { body, responses, response } = filling;
        response.clear();
        match answer {
            Answer::Reply(operation, reply) => {
                encode_reply(operation, &reply, response);
                encode_record(&record, response, body);
            }
            Answer::Encoded { record, answer } => {
                response.extend_from_slice(&answer);
                body.extend_from_slice(&record);
            }
        }
        responses.push(record.sequence, response);
        self.ending.0.note(record.sequence, body.len());
        Observed { record, closing, answer: response.as_slice().into() }
    }

    /// Make the frame and send it on its way. Returns what the index is told of it; fails where there is no going on.
    fn close(&mut self, close: Close, filling: &mut Filling) -> Result<Option<Fed>, ()> {
        let Close { kind, stamp_ms, durable, buffer, answers, wanted } = close;
        let frame = match self.frame(kind, stamp_ms, durable, &filling.body, buffer) {
            Ok(frame) => frame,
            Err(error) => {
                // Decided and applied, yet it cannot be written: the state is ahead of the journal, so nothing may leave.
                let message = error.to_string();
                self.halt.latch(HaltReason::StagePanicked { stage: "encode", message });
                refuse_all(answers, Reason::Halted);
                return Err(());
            }
        };
        // The next frame is filled in memory that is warm; a rare long body does not keep it for ever.
        for used in [&mut filling.body, &mut filling.response] {
            used.clear();
            used.shrink_to(FRAME_BODY_GOAL);
        }
        let (header, hash) = (frame.header(), frame.hash());
        let seen = Seen { hash, stamp_ms: header.stamp_ms };
        let framed = Fed::frame(header, hash);
        let newest = if header.facts() > 0 { mem::replace(&mut self.newest, seen) } else { self.newest };
        let behind = Behind { tail: *self.chain.tail(), newest: self.newest };
        let tasks = wanted.map_or_else(Vec::new, |wanted| wanted.behind(behind));
        let made = Made { seen, responses: mem::take(&mut filling.responses) };
        if let Err(unsent) = self.frames.send(InFlight { frame, answers, made, newest, behind, tasks }) {
            refuse_all(unsent.0.answers, Reason::Halted);
            return Err(());
        }
        Ok(framed)
    }

    fn frame(
        &mut self,
        kind: Kind,
        stamp_ms: i64,
        durable: u64,
        body: &[u8],
        buffer: Vec<u8>,
    ) -> Result<journal::Frame, BodyTooLong> {
        match kind {
            Kind::Business { records } => self.chain.business(records, stamp_ms, durable, body, buffer),
            Kind::Seal => Ok(self.chain.seal(stamp_ms, durable, buffer)),
        }
    }
}

/// How far the encoding is.
#[derive(Default)]
pub(crate) struct Progress {
    encoded: Mutex<Encoded>,
    changed: Condvar,
}

#[derive(Default)]
struct Encoded {
    /// Sequence of the newest record that is encoded.
    sequence: u64,
    /// Bytes of the body that ends with it.
    body: usize,
    ended: bool,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, Encoded> {
        self.encoded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, sequence: u64, body: usize) {
        let mut encoded = self.lock();
        (encoded.sequence, encoded.body) = (sequence, body);
        self.changed.notify_all();
    }
}

/// Tells whoever waits that nothing more will be encoded, whatever the reason, when it is dropped.
pub(crate) struct Ending(pub(crate) Arc<Progress>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

/// How long the body of the frame is that is being filled, as the deciding thread knows it: exactly as far as it has asked, and behind that by
/// bounds.
pub(crate) struct BodyLength {
    progress: Arc<Progress>,
    encoded: usize,
    /// The last record that may not be encoded yet, and the bounds of all such.
    pending: Option<u64>,
    pending_bounds: usize,
}

impl BodyLength {
    pub(crate) fn new(progress: Arc<Progress>) -> Self {
        Self { progress, encoded: 0, pending: None, pending_bounds: 0 }
    }

    /// A record was handed over that takes at most so many bytes.
    pub(crate) fn add(&mut self, sequence: u64, bound: usize) {
        self.pending = Some(sequence);
        self.pending_bounds += bound;
    }

    /// The next frame begins.
    pub(crate) fn begin(&mut self) {
        (self.encoded, self.pending, self.pending_bounds) = (0, None, 0);
    }

    /// Its length, or more.
    pub(crate) fn at_most(&self) -> usize {
        self.encoded + self.pending_bounds
    }

    /// Its length. Everything must have been handed over: it is waited for.
    pub(crate) fn exact(&mut self) -> usize {
        if let Some(last) = self.pending {
            let encoded = self.progress.lock();
            let is_behind = |encoded: &mut Encoded| !encoded.ended && encoded.sequence < last;
            let encoded = self.progress.changed.wait_while(encoded, is_behind).unwrap_or_else(PoisonError::into_inner);
            assert!(encoded.sequence >= last, "the encoding has failed");
            (self.encoded, self.pending, self.pending_bounds) = (encoded.body, None, 0);
        }
        self.encoded
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use crossbeam_channel::unbounded;
    use medsettle_core::ids::{Hash32, InstitutionCode, RequestId};
    use medsettle_wire::record::SCHEMA;

    use super::*;
    use crate::journal::{FrameHash, HubId};
    use crate::reply::{Part, Parts, Sink, Waiter, refused};

    #[test]
    fn a_body_is_known_by_bounds_until_its_encoding_is_waited_for() {
        let progress = Arc::new(Progress::default());
        let mut body = BodyLength::new(Arc::clone(&progress));
        assert_eq!((body.at_most(), body.exact()), (0, 0));
        body.add(7, 100);
        body.add(8, 50);
        progress.note(7, 30);
        assert_eq!(body.at_most(), 150);
        let encoding = thread::spawn({
            let progress = Arc::clone(&progress);
            move || {
                thread::sleep(Duration::from_millis(5));
                progress.note(8, 41);
            }
        });
        assert_eq!((body.exact(), body.at_most()), (41, 41), "of both, whenever the second is encoded");
        encoding.join().expect("it ends");
        body.add(9, 10);
        assert_eq!(body.at_most(), 51);
        body.begin();
        assert_eq!((body.at_most(), body.exact()), (0, 0), "the next frame holds nothing yet");
    }

    /// Keeps what it is answered.
    #[derive(Default)]
    struct Mailbox(Mutex<Vec<(u64, bool)>>);

    impl Sink for Mailbox {
        fn push(&self, answer: crate::reply::Answer) {
            assert_eq!(answer.bytes, refused(Reason::Halted));
            self.0.lock().expect("whole").push((answer.ticket, answer.ok));
        }

        fn wake(&self) {}
    }

    fn nothing_decided(sequence: u64) -> Record {
        let institution = InstitutionCode::parse("H11010500001").expect("a code");
        Record {
            sequence,
            stamp_ms: 1,
            operation: 1,
            institution,
            actor: institution,
            request_id: RequestId::parse("r-1").expect("an id"),
            digest: Hash32::default(),
            created_ms: 1,
            operator: "".into(),
            roles: 0,
            refused: false,
            facts: Vec::new(),
        }
    }

    #[test]
    fn a_frame_that_cannot_be_made_halts_and_answers_all_who_wait_for_it_or_behind_it() {
        let (steps, to_encode) = unbounded();
        let (index, indexed) = unbounded();
        let (frames, to_write) = unbounded();
        let halt = Halt::default();
        let mut encoder = Encoder {
            chain: Chain::new(journal::Tail::EMPTY, HubId(1), SCHEMA, 50),
            newest: Seen { hash: FrameHash::default(), stamp_ms: 0 },
            index,
            frames,
            ending: Ending(Arc::default()),
            halt: halt.clone(),
        };
        let mailbox = Arc::new(Mailbox::default());
        let waits = |ticket: u64| {
            let sink = Arc::clone(&mailbox) as Arc<dyn Sink>;
            Outgoing { waiter: Waiter::new(ticket, sink), parts: Parts::One(Part::Decided { sequence: ticket }) }
        };
        for sequence in 1..=2 {
            let answer = Answer::Encoded { record: vec![0; 51], answer: Vec::new() };
            let record = Box::new(nothing_decided(sequence));
            let decided = Step::Decided(Box::new(Decided { record, closing: Closing::default(), answer }));
            let kind = Kind::Business { records: 1 };
            let (answers, buffer) = (vec![waits(sequence)], Vec::new());
            let close = Close { kind, stamp_ms: 1, durable: 0, buffer, answers, wanted: None };
            steps.send(vec![decided, Step::Close(Box::new(close))]).expect("received");
        }
        encoder.run(&to_encode);
        drop((encoder, to_encode, steps));
        assert!(matches!(halt.reason(), Some(HaltReason::StagePanicked { stage: "encode", .. })));
        assert_eq!(*mailbox.0.lock().expect("whole"), [(1, false), (2, false)]);
        assert!(to_write.recv().is_err() && indexed.recv().is_err(), "nothing goes on");
    }

    #[test]
    #[should_panic(expected = "the encoding has failed")]
    fn nobody_waits_for_an_encoding_that_has_ended() {
        let progress = Arc::new(Progress::default());
        drop(Ending(Arc::clone(&progress)));
        let mut body = BodyLength::new(progress);
        body.add(1, 10);
        body.exact();
    }
}
