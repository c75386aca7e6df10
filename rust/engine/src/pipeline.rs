//! The deciding thread: takes what was prepared beside it, decides it in order, and has it encoded and written beside it.
//!
//! ```text
//! thread   prepare                                      decide            encode                      write
//! jobs ->  decode, rights, cryptograms of the batch ->  decide, apply ->  responses, records, frame ->  write, sync, answers
//!          ^ the next batch meanwhile                   ^ more of it      ^ the next frame meanwhile
//! ```
//!
//! Invariant: one frame is in flight; what is decided meanwhile waits for it, answers of reads as well.
//! Invariant: a panic before `apply` is INTERNAL for one command; a panic in `apply` or behind it halts.
//! Leaves out: bytes of messages (`wire`), rules (`core`), frames (`encode`), writing (`writer`).

mod command;
pub(crate) mod encode;
pub(crate) mod prepare;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};
use medsettle_core::fact::Record;
use medsettle_core::hub::Hub;
use medsettle_core::records::Closing;
use medsettle_wire::Reason;

use self::encode::{Answer, Behind, BodyLength, Close, Decided, Kind, Wanted};
use self::prepare::{Batch, Work};
use crate::clock::Clock;
use crate::engine::Shared;
use crate::halt::HaltReason;
use crate::index::{Index, IndexError};
use crate::journal::{DiskState, FrameHash, Tail};
use crate::keeper::{Order, Task};
use crate::keyring::KeyRing;
use crate::limits::{FRAME_ANSWER_GOAL, FRAME_BODY_GOAL, MAX_FRAME_COMMANDS};
use crate::reply::{Frame, Leaving, Outgoing, Parts, Seen, Waiter, refuse_all, release};

/// What the writer gives back: the frame is durable, its answers are out.
pub(crate) struct Written {
    pub(crate) behind: Behind,
    pub(crate) segment: u64,
    pub(crate) buffer: Vec<u8>,
}

/// The frame that is being filled.
#[derive(Default)]
struct Filling {
    records: u64,
    commands: usize,
    answers: Vec<Outgoing>,
    answer_bytes: usize,
    /// The stamp of the first that wanted the frame holds for all.
    stamp_ms: Option<i64>,
    /// A frame is wanted though nothing was decided.
    empty_wanted: bool,
}

/// Everything that the deciding thread owns.
pub(crate) struct Pipeline {
    pub(crate) hub: Hub,
    pub(crate) index: Index,
    pub(crate) clock: Clock,
    pub(crate) keys: Option<Arc<KeyRing>>,
    pub(crate) disk: DiskState,
    pub(crate) shared: Arc<Shared>,
    pub(crate) seal_after: Duration,
    filling: Filling,
    body: BodyLength,
    max_body_len: usize,
    /// Body bytes at which a frame is closed although more is queued.
    body_goal: usize,
    /// Verified, but left for the next frame because this one is full.
    backlog: VecDeque<(Waiter, Work)>,
    in_flight: bool,
    /// How many frames there are, with the one that is in flight.
    frames: u64,
    /// The durable end of the journal.
    durable: Behind,
    buffer: Vec<u8>,
    sealed: bool,
    /// What is wanted of the state behind the frame that is being filled.
    orders: Vec<Order>,
    keeper: Sender<Task>,
    snapshots: SnapshotSchedule,
}

/// When the length of the journal asks for a snapshot.
pub(crate) struct SnapshotSchedule {
    /// So many segments after the last one; 0 for never.
    pub(crate) every_segments: u64,
    /// The segment in which the last one was ordered, or that a start from the last one begins with.
    pub(crate) last_segment: u64,
}

/// Parts that recovery found and the pipeline goes on from.
pub(crate) struct Recovered {
    pub(crate) hub: Hub,
    pub(crate) index: Index,
    pub(crate) clock: Clock,
    pub(crate) keys: Option<Arc<KeyRing>>,
    pub(crate) tail: Tail,
    pub(crate) max_body_len: usize,
    pub(crate) disk: DiskState,
    pub(crate) seal_after: Duration,
    pub(crate) snapshots: SnapshotSchedule,
}

impl Recovered {
    /// The end of the journal.
    pub(crate) fn end(&self) -> Result<Behind, IndexError> {
        let undecided = Seen { hash: FrameHash::default(), stamp_ms: self.tail.stamp_ms.max(0) };
        let newest = self.index.newest_frame(self.hub.sequence())?;
        Ok(Behind { tail: self.tail, newest: newest.unwrap_or(undecided) })
    }
}

impl Pipeline {
    pub(crate) fn new(
        recovered: Recovered,
        end: Behind,
        body: BodyLength,
        keeper: Sender<Task>,
        shared: Arc<Shared>,
    ) -> Self {
        let Recovered { hub, index, clock, keys, tail, max_body_len, disk, seal_after, snapshots } = recovered;
        Self {
            hub,
            index,
            clock,
            keys,
            disk,
            shared,
            seal_after,
            filling: Filling::default(),
            body,
            max_body_len,
            // Short segments hold short bodies; there too the largest single record fits behind.
            body_goal: FRAME_BODY_GOAL.min(max_body_len / 4),
            backlog: VecDeque::new(),
            in_flight: false,
            frames: tail.number,
            durable: end,
            buffer: Vec::new(),
            // A journal that ends with business was cut off by a crash; it is sealed at the first idle moment.
            sealed: tail.number == 0,
            orders: Vec::new(),
            keeper,
            snapshots,
        }
    }

    /// Work until the queue is closed and everything decided is durable, or until a halt.
    pub(crate) fn run(&mut self, ready: &Receiver<Batch>, written: &Receiver<Written>) {
        let mut open = true;
        let nobody = crossbeam_channel::never();
        while open || self.in_flight || self.is_awaited() {
            if self.shared.halt.reason().is_some() {
                break;
            }
            let idle = !self.in_flight && !self.sealed && !self.is_awaited();
            let ready_now = if open && self.has_room() && self.backlog.is_empty() { ready } else { &nobody };
            select! {
                recv(ready_now) -> batch => match batch {
                    Ok(batch) => self.take_batch(batch),
                    Err(_) => open = false,
                },
                recv(written) -> done => match done {
                    Ok(done) => self.note_written(done),
                    Err(_) => break,
                },
                default(if idle { self.seal_after } else { Duration::MAX }) => self.close(Kind::Seal, self.clock.last_stamp_ms(), Vec::new()),
            }
            self.advance();
        }
        refuse_all(std::mem::take(&mut self.filling.answers), Reason::Halted);
        for (waiter, _) in self.backlog.drain(..) {
            waiter.refuse_now(Reason::Halted);
        }
    }

    /// Hand over what is filled and fill the next frame with what did not fit, until a frame is in flight or nothing is left.
    fn advance(&mut self) {
        loop {
            self.send_frame();
            self.decide_backlog();
            if self.in_flight || !self.is_awaited() {
                // What was decided meanwhile is encoded meanwhile.
                self.index.hand_over();
                return;
            }
        }
    }

    fn has_room(&mut self) -> bool {
        let Filling { commands, answer_bytes, .. } = self.filling;
        commands < MAX_FRAME_COMMANDS && answer_bytes < FRAME_ANSWER_GOAL && self.body_is_within(self.body_goal)
    }

    /// Whether the body that is being filled is not longer than this. Where bounds do not tell, its encoding is waited for.
    fn body_is_within(&mut self, limit: usize) -> bool {
        self.body.at_most() <= limit || {
            self.index.hand_over();
            self.body.exact() <= limit
        }
    }

    /// Whether somebody waits for the frame that is being filled.
    fn is_awaited(&self) -> bool {
        !self.filling.answers.is_empty() || !self.orders.is_empty()
    }

    fn take_batch(&mut self, batch: Batch) {
        self.shared.metrics.batches.fetch_add(1, Relaxed);
        self.backlog.extend(batch);
        self.decide_backlog();
    }

    fn note_written(&mut self, done: Written) {
        self.in_flight = false;
        self.durable = done.behind;
        self.index.note_durable(done.behind.tail.number);
        self.order_when_due(done.segment);
        self.buffer = done.buffer;
        self.shared.metrics.frames.fetch_add(1, Release);
    }

    /// Hand the filled frame over, or release answers that wait for nothing.
    fn send_frame(&mut self) {
        if self.in_flight || (!self.is_awaited() && !self.filling.empty_wanted) {
            return;
        }
        let Filling { records, answers, stamp_ms, empty_wanted, .. } = std::mem::take(&mut self.filling);
        if records == 0 && !empty_wanted {
            // Nothing is in flight: the state is that behind the last frame, which is durable.
            release(answers, Leaving { made: None, newest: self.durable.newest });
            for task in self.take_orders().into_iter().flat_map(|wanted| wanted.behind(self.durable)) {
                order(&self.keeper, task);
            }
            return;
        }
        let stamp_ms = stamp_ms.expect("whoever wants a frame has stamped it");
        self.close(Kind::Business { records }, stamp_ms, answers);
    }

    /// Have a frame made of what was decided, and written.
    fn close(&mut self, kind: Kind, stamp_ms: i64, answers: Vec<Outgoing>) {
        let nothing_decided = !matches!(kind, Kind::Business { records: 1.. });
        self.sealed = nothing_decided && answers.is_empty();
        self.in_flight = true;
        self.frames += 1;
        self.body.begin();
        let (durable, buffer) = (self.durable.tail.number, std::mem::take(&mut self.buffer));
        let wanted = self.take_orders();
        self.index.close_filled(Box::new(Close { kind, stamp_ms, durable, buffer, answers, wanted }));
    }

    /// The state as it is between two frames, with what is wanted of it. A view of it costs little, however many persons it holds.
    fn take_orders(&mut self) -> Option<Wanted> {
        let orders = std::mem::take(&mut self.orders);
        (!orders.is_empty()).then(|| Wanted { hub: self.hub.clone(), orders })
    }

    /// Order a snapshot where the journal has grown by so many segments since the last one, unless the keeper has enough to do.
    fn order_when_due(&mut self, segment: u64) {
        let SnapshotSchedule { every_segments, last_segment } = &mut self.snapshots;
        if *every_segments > 0 && segment >= *last_segment + *every_segments && self.shared.take_order() {
            *last_segment = segment;
            self.orders.push(Order::Snapshot(None));
        }
    }

    /// Fold a record of at most `bound` bytes into the state and hand it on. A panic here leaves the state unknown: the engine halts.
    fn apply(&mut self, record: Box<Record>, answer: Answer, bound: usize) -> Result<(), ()> {
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let closing = Closing::of(&record, &self.hub);
            self.hub.apply(&record);
            self.index.decided(Box::new(Decided { record, closing, answer }), bound);
        }));
        applied.map_err(|panic| {
            let message = panic_message(&*panic);
            self.shared.halt.latch(HaltReason::StagePanicked { stage: "apply", message });
        })
    }

    fn push(&mut self, waiter: Waiter, parts: Parts) {
        self.filling.answers.push(Outgoing { waiter, parts });
    }

    /// The header of a read: the frame being filled if it shows what was decided there, else the newest one.
    fn shown(&self) -> Frame {
        if self.filling.records > 0 { Frame::Next } else { Frame::Newest }
    }
}

/// Give the keeper a task. One that has ended serves nobody any more: the engine is closing.
pub(crate) fn order(keeper: &Sender<Task>, task: Task) {
    let _ = keeper.send(task);
}

/// What a panic said, for the log.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
