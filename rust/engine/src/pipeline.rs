//! The deciding thread: takes what was prepared beside it, decides it in order, and hands a frame to the writer.
//!
//! ```text
//! thread    prepare                                         decide                     write
//! jobs ->   decode, rights, cryptograms of the batch   ->   decide, apply, frame   ->  write, sync, answers
//!           ^ the next batch meanwhile                      ^ the next frame meanwhile
//! ```
//!
//! Invariant: one frame is in flight; what is decided meanwhile waits for it, answers of reads as well.
//! Invariant: a panic before `apply` is INTERNAL for one command; a panic in `apply` halts.
//! Leaves out: bytes of messages (`wire`), rules (`core`), writing (`writer`).

mod command;
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

use self::prepare::{Batch, Work};
use crate::clock::Clock;
use crate::engine::Shared;
use crate::halt::HaltReason;
use crate::index::Index;
use crate::journal::{self, Chain, DiskState, FrameHash};
use crate::keeper::{Frozen, Order, Task};
use crate::keyring::KeyRing;
use crate::limits::{FRAME_ANSWER_GOAL, FRAME_BODY_GOAL, MAX_FRAME_COMMANDS};
use crate::reply::{Frame, Outgoing, Parts, Seen, Waiter, refuse_all, release};

/// A frame on its way to the writer, with the answers that wait for it.
pub(crate) struct InFlight {
    pub(crate) frame: journal::Frame,
    pub(crate) answers: Vec<Outgoing>,
    pub(crate) seen: Seen,
    /// Orders about the state behind this frame, for the keeper once it is durable.
    pub(crate) tasks: Vec<Task>,
}

/// What the writer gives back: the frame is durable, its answers are out.
pub(crate) struct Written {
    pub(crate) number: u64,
    pub(crate) segment: u64,
    pub(crate) buffer: Vec<u8>,
}

/// The frame that is being filled.
#[derive(Default)]
struct Filling {
    body: Vec<u8>,
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
    pub(crate) chain: Chain,
    pub(crate) disk: DiskState,
    pub(crate) shared: Arc<Shared>,
    pub(crate) seal_after: Duration,
    filling: Filling,
    /// Body bytes at which a frame is closed although more is queued.
    body_goal: usize,
    /// Verified, but left for the next frame because this one is full.
    backlog: VecDeque<(Waiter, Work)>,
    in_flight: bool,
    durable: u64,
    buffer: Vec<u8>,
    sealed: bool,
    /// The newest frame made that holds a decision, for the headers of reads: with the sequence it is what a caller can prove
    /// forgetting by, so frames that decide nothing, which a backup may lack, do not count.
    last: Seen,
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
    pub(crate) chain: Chain,
    pub(crate) disk: DiskState,
    pub(crate) seal_after: Duration,
    pub(crate) snapshots: SnapshotSchedule,
}

impl Pipeline {
    pub(crate) fn new(recovered: Recovered, keeper: Sender<Task>, shared: Arc<Shared>) -> Self {
        let Recovered { hub, index, clock, keys, chain, disk, seal_after, snapshots } = recovered;
        let tail = *chain.tail();
        let undecided = Seen { hash: FrameHash::default(), stamp_ms: tail.stamp_ms.max(0) };
        let last = index.frame_of(hub.sequence()).unwrap_or(undecided);
        Self {
            hub,
            index,
            clock,
            keys,
            disk,
            shared,
            seal_after,
            filling: Filling::default(),
            // Short segments hold short bodies; there too the largest single record fits behind.
            body_goal: FRAME_BODY_GOAL.min(chain.max_body_len() / 4),
            backlog: VecDeque::new(),
            in_flight: false,
            durable: tail.number,
            buffer: Vec::new(),
            // A journal that ends with business was cut off by a crash; it is sealed at the first idle moment.
            sealed: tail.number == 0,
            last,
            orders: Vec::new(),
            keeper,
            snapshots,
            chain,
        }
    }

    /// Work until the queue is closed and everything decided is durable, or until a halt.
    pub(crate) fn run(&mut self, ready: &Receiver<Batch>, frames: &Sender<InFlight>, written: &Receiver<Written>) {
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
                default(if idle { self.seal_after } else { Duration::MAX }) => self.seal(frames),
            }
            self.advance(frames);
        }
        refuse_all(std::mem::take(&mut self.filling.answers), Reason::Halted);
        for (waiter, _) in self.backlog.drain(..) {
            waiter.refuse_now(Reason::Halted);
        }
    }

    /// Hand over what is filled and fill the next frame with what did not fit, until a frame is in flight or nothing is left.
    fn advance(&mut self, frames: &Sender<InFlight>) {
        loop {
            self.send_frame(frames);
            self.decide_backlog();
            if self.in_flight || !self.is_awaited() {
                return;
            }
        }
    }

    fn has_room(&self) -> bool {
        let Filling { commands, body, answer_bytes, .. } = &self.filling;
        *commands < MAX_FRAME_COMMANDS && body.len() < self.body_goal && *answer_bytes < FRAME_ANSWER_GOAL
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
        self.durable = done.number;
        self.index.note_durable(done.number);
        self.order_when_due(done.segment);
        self.buffer = done.buffer;
        self.shared.metrics.frames.fetch_add(1, Release);
    }

    /// Hand the filled frame over, or release answers that wait for nothing.
    fn send_frame(&mut self, frames: &Sender<InFlight>) {
        if self.in_flight || (!self.is_awaited() && !self.filling.empty_wanted) {
            return;
        }
        let Filling { mut body, records, answers, stamp_ms, empty_wanted, .. } = std::mem::take(&mut self.filling);
        if records == 0 && !empty_wanted {
            self.filling.body = body;
            release(answers, None);
            // Nothing is in flight: the state is that behind the last frame, which is durable.
            for task in self.take_orders() {
                order(&self.keeper, task);
            }
            return;
        }
        let stamp_ms = stamp_ms.expect("whoever wants a frame has stamped it");
        let buffer = std::mem::take(&mut self.buffer);
        match self.chain.business(records, stamp_ms, self.durable, &body, buffer) {
            Ok(frame) => {
                // The next frame is filled in memory that is warm; a rare long body does not keep it for ever.
                body.clear();
                body.shrink_to(FRAME_BODY_GOAL);
                self.filling.body = body;
                self.launch(frame, answers, frames);
            }
            Err(error) => {
                // Decided and applied, yet it cannot be written: the state is ahead of the journal, so nothing may leave.
                let message = error.to_string();
                self.shared.halt.latch(HaltReason::StagePanicked { stage: "frame", message });
                refuse_all(answers, Reason::Halted);
            }
        }
    }

    fn launch(&mut self, frame: journal::Frame, answers: Vec<Outgoing>, frames: &Sender<InFlight>) {
        let header = frame.header();
        let seen = Seen { hash: frame.hash(), stamp_ms: header.stamp_ms };
        self.index.close_frame(header, seen.hash);
        self.sealed = header.last_sequence < header.first_sequence && answers.is_empty();
        if header.facts() > 0 {
            self.last = seen;
        }
        self.in_flight = true;
        let tasks = self.take_orders();
        if let Err(unsent) = frames.send(InFlight { frame, answers, seen, tasks }) {
            refuse_all(unsent.0.answers, Reason::Halted);
        }
    }

    /// The state as it is between two frames, with what is wanted of it. A view of it costs little, however many persons it holds.
    fn take_orders(&mut self) -> Vec<Task> {
        if self.orders.is_empty() {
            return Vec::new();
        }
        let frozen = Arc::new(Frozen { hub: self.hub.clone(), tail: *self.chain.tail(), seen: self.last });
        self.orders.drain(..).map(|order| Task { frozen: Arc::clone(&frozen), order }).collect()
    }

    /// Order a snapshot where the journal has grown by so many segments since the last one, unless the keeper has enough to do.
    fn order_when_due(&mut self, segment: u64) {
        let SnapshotSchedule { every_segments, last_segment } = &mut self.snapshots;
        if *every_segments > 0 && segment >= *last_segment + *every_segments && self.shared.take_order() {
            *last_segment = segment;
            self.orders.push(Order::Snapshot(None));
        }
    }

    fn seal(&mut self, frames: &Sender<InFlight>) {
        let stamp_ms = self.clock.last_stamp_ms();
        let buffer = std::mem::take(&mut self.buffer);
        let frame = self.chain.seal(stamp_ms, self.durable, buffer);
        self.launch(frame, Vec::new(), frames);
    }

    /// Fold a record into the state and hand it to the index. A panic here leaves the state unknown: the engine halts.
    fn apply(&mut self, record: Box<Record>, response: &[u8]) -> Result<(), ()> {
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let closing = Closing::of(&record, &self.hub);
            self.hub.apply(&record);
            self.index.observe(record, closing, response);
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
        if self.filling.records > 0 { Frame::Next } else { Frame::Known(self.last) }
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
