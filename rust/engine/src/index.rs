//! The records index: what decisions and questions ask of the past, on disk, so that memory does not grow with history.
//!
//! Invariant: everything in it comes from the journal; it can be thrown away and is made again (`rebuild`).
//! Invariant: the store is never ahead of the journal; rows of newer records stand in memory, over it, and are read as well.
//! Invariant: what is asked is answered as if every record before had been taken in; the deciding thread waits only where it must.
//! Map: `key` tables and keys, `row` what lies under them, `fold` how a record changes them, `query` answers, `overlay` what is not on
//! disk yet, `filler` the thread, `store` and `disk` where rows lie, `rebuild` from the journal. `INDEX.md` shows the tables.

mod disk;
mod filler;
mod fold;
mod home;
mod key;
mod opening;
mod overlay;
mod query;
mod rebuild;
mod row;
mod store;

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering::Acquire;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use medsettle_core::accumulator::AccumulatorKey;
use medsettle_core::alert::{AlertFilter, AlertView};
use medsettle_core::calendar::Date;
use medsettle_core::fact::Record;
use medsettle_core::fraud::{Claim, ClaimFilter, Unwind};
use medsettle_core::ids::{AlertId, CardId, InstitutionCode, PersonId, SettlementId, StayId, UnwindId};
use medsettle_core::records::{Closing, DayRow, DayTotals, Records, StayFilter};
use medsettle_core::request::{Bound, RequestKey};
use medsettle_core::settlement::Standing;
use medsettle_core::statement::{Entry, Range};
use medsettle_core::stay::Stay;

pub(crate) use self::filler::Fed;
use self::filler::{Filled, Filler};
pub(crate) use self::fold::Observed;
pub(crate) use self::home::INDEX_NAME;
pub use self::home::{IndexError, IndexHome};
pub(crate) use self::opening::Opening;
use self::overlay::View;
pub(crate) use self::query::FirstAnswer;
pub(crate) use self::rebuild::{Making, decode};
pub use self::rebuild::{Rebuilt, rebuild};
use self::row::Mark;
pub use self::store::MemoryIndex;
use self::store::{Store, StoreError};
use crate::engine::{OpenError, spawn};
use crate::halt::Halt;
use crate::journal::{DirectoryId, FrameHash, FrameHeader};
use crate::limits::{
    INDEX_FULL_LEN, INDEX_HAND_OVER_LEN, INDEX_MAX_LAG_MS, INDEX_QUEUE, INDEX_WAIT_MS, STEPS_HANDED_OVER,
};
use crate::pipeline::encode::{Close, Decided, Step};
use crate::reply::Seen;

/// What others than the deciding thread may ask of an index.
#[derive(Clone)]
pub struct IndexStatus {
    filled: Arc<Filled>,
    /// Only the engine's threads keep the store open.
    view: Weak<View>,
    place: Arc<str>,
}

impl IndexStatus {
    /// Sequence up to which records are in the store; what is newer would have to be taken from the journal.
    pub fn applied_sequence(&self) -> u64 {
        self.filled.applied.load(Acquire)
    }

    /// Wait a little until records up to a sequence are in the store; false if they are not yet.
    pub(crate) fn wait_for_applied(&self, sequence: u64) -> bool {
        self.filled.wait_for_applied(sequence, Duration::from_millis(INDEX_WAIT_MS))
    }

    /// Make the store durable. Returns the sequence up to which it is.
    pub fn persist(&self) -> Result<u64, IndexError> {
        let sequence = self.applied_sequence();
        let failed = |cause: String| IndexError::Failed { place: self.place.to_string(), cause };
        let view = self.view.upgrade().ok_or_else(|| failed("it is closed".into()))?;
        view.store.persist().map_err(|error| failed(error.to_string()))?;
        Ok(sequence)
    }

    /// What is said where it has no room.
    pub(crate) fn no_room(&self) -> IndexError {
        IndexError::Full { place: self.place.to_string() }
    }

    /// Whether durable records wait because there is no room for them.
    pub(crate) fn is_full(&self) -> bool {
        self.filled.full.load(Acquire)
    }
}

/// What is collected for another thread, so that handing over costs nothing beside it.
struct Outbox<T> {
    to: Option<Sender<Vec<T>>>,
    collected: RefCell<Vec<T>>,
    /// Weight of what is collected, in whatever its limit counts.
    weight: Cell<usize>,
    limit: usize,
}

impl<T> Outbox<T> {
    fn new(to: Option<Sender<Vec<T>>>, limit: usize) -> Self {
        Self { to, collected: RefCell::default(), weight: Cell::default(), limit }
    }

    fn push(&self, what: T, weight: usize) {
        self.collected.borrow_mut().push(what);
        self.weight.set(self.weight.get() + weight);
        if self.weight.get() >= self.limit {
            self.hand_over();
        }
    }

    /// Give the other thread what was collected. It waits while that is too far behind.
    fn hand_over(&self) {
        self.weight.set(0);
        let collected = self.collected.take();
        if !collected.is_empty()
            && let Some(to) = &self.to
        {
            // A thread that has failed has halted the engine, which needs nothing of it any more.
            let _ = to.send(collected);
        }
    }
}

/// The index as the deciding thread has it: it hands records over, and asks. While a journal is opened they go to the filling thread, and
/// later to the encoding thread, which passes them on.
pub(crate) struct Index {
    status: IndexStatus,
    view: Arc<View>,
    /// Found when it was opened: everything up to here is there.
    found: Mark,
    halt: Halt,
    fed: Outbox<Fed>,
    steps: Outbox<Step>,
    filler: Option<JoinHandle<()>>,
    /// The newest record that was observed.
    observed: Cell<u64>,
    /// The sequence that the newest frame ends with.
    closed: Cell<u64>,
    lag: Cell<Lag>,
    /// The same for what may not be in the store yet.
    stored_lag: Cell<Lag>,
    /// Whether that lies so little apart that the state knows every request id of it.
    stored_lately: Cell<bool>,
}

/// What may not be taken in yet was stamped at `since_ms` or later; what comes after `upto`, at `next_ms` or later.
#[derive(Clone, Copy, Default)]
struct Lag {
    since_ms: i64,
    next_ms: i64,
    upto: u64,
}

impl Lag {
    /// A record was decided; `has_come` says up to which of them has been reached.
    fn note(cell: &Cell<Self>, stamp_ms: i64, sequence: u64, has_come: impl Fn(u64) -> bool) -> Self {
        let lag = cell.get();
        if has_come(lag.upto) {
            cell.set(Self { since_ms: lag.next_ms, next_ms: stamp_ms, upto: sequence });
        }
        cell.get()
    }
}

impl Index {
    /// Open the index of a data directory. One that is another directory's, of another format or unreadable is thrown away, and the
    /// reason told.
    pub(crate) fn open(
        home: &IndexHome,
        directory: DirectoryId,
        halt: Halt,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Self, OpenError> {
        let (store, found) = match open_usable(home, directory) {
            Ok(opened) => opened,
            Err(why) => {
                tell(&format!("the records index in {} is made again from the journal: {why}", home.place()));
                home.clear()?;
                let store = home.store().map_err(|error| home.error(&error))?;
                (store, Mark { format: key::FORMAT, directory: directory.0, ..Mark::default() })
            }
        };
        Self::start(home, store, found, halt)
    }

    fn start(home: &IndexHome, store: Box<dyn Store>, found: Mark, halt: Halt) -> Result<Self, OpenError> {
        let view = Arc::new(View::over(store, found));
        let filled = Arc::new(Filled::from(found.sequence));
        let (feed, fed) = bounded(INDEX_QUEUE);
        let filler = Filler { view: Arc::clone(&view), filled: Arc::clone(&filled), fed, halt: halt.clone() };
        let filler = spawn("medsettle-index", move || filler.run())?;
        Ok(Self {
            status: IndexStatus { filled, view: Arc::downgrade(&view), place: home.place().into() },
            view,
            found,
            halt,
            fed: Outbox::new(Some(feed), INDEX_HAND_OVER_LEN),
            steps: Outbox::new(None, STEPS_HANDED_OVER),
            filler: Some(filler),
            observed: Cell::new(found.sequence),
            closed: Cell::new(found.sequence),
            lag: Cell::default(),
            stored_lag: Cell::default(),
            stored_lately: Cell::default(),
        })
    }

    /// From now on what is decided goes to the encoding thread. Returns how that reaches the filling thread.
    pub(crate) fn behind(&mut self, encoder: Sender<Vec<Step>>) -> Sender<Vec<Fed>> {
        self.fed.hand_over();
        self.steps.to = Some(encoder);
        self.fed.to.take().expect("it is open, and not behind another")
    }

    /// For other threads.
    pub(crate) fn status(&self) -> IndexStatus {
        self.status.clone()
    }

    /// Whether more rows wait for room than memory is given to.
    fn is_overfull(&self) -> bool {
        self.status.is_full() && self.view.durable_bytes() > INDEX_FULL_LEN
    }

    fn no_room(&self) -> IndexError {
        self.status.no_room()
    }

    /// Whether a record is in the index since before it was opened, so that it need not be observed.
    pub(crate) fn has(&self, sequence: u64) -> bool {
        sequence <= self.found.sequence
    }

    /// Sequence and frame hash up to which records were there when it was opened.
    pub(crate) fn found(&self) -> (u64, FrameHash) {
        (self.found.sequence, FrameHash(self.found.hash))
    }

    /// Take note of a record that comes from the journal, while nothing is decided.
    fn take(&self, record: Box<Record>, closing: Closing, answer: &[u8]) {
        self.observed.set(record.sequence);
        let len = answer.len() + size_of::<Observed>() + record.facts.len() * size_of::<medsettle_core::fact::Fact>();
        self.fed.push(Fed::Record(Box::new(Observed { record, closing, answer: answer.into() })), len);
    }

    /// A frame of the journal ends here.
    fn close_frame(&self, header: &FrameHeader, hash: FrameHash) {
        if let Some(fed) = Fed::frame(header, hash) {
            self.fed.push(fed, 0);
            self.closed.set(header.last_sequence);
        }
    }

    /// Take note of a record that was decided.
    pub(crate) fn decided(&self, decided: Box<Decided>, bound: usize) {
        let Record { stamp_ms, sequence, .. } = *decided.record;
        self.limit_lag(stamp_ms, sequence);
        self.observed.set(sequence);
        self.steps.push(Step::Decided(decided), bound);
    }

    /// What was decided up to here is a frame.
    pub(crate) fn close_filled(&self, close: Box<Close>) {
        self.closed.set(self.observed.get());
        self.steps.push(Step::Close(close), 0);
        self.steps.hand_over();
    }

    /// A frame is durable, with all before it.
    pub(crate) fn note_durable(&self, number: u64) {
        if self.steps.to.is_some() {
            self.steps.push(Step::Durable { number }, 0);
        } else {
            self.fed.push(Fed::Durable { number }, 0);
            self.fed.hand_over();
        }
    }

    /// Let the other threads have what was noted.
    pub(crate) fn hand_over(&self) {
        self.fed.hand_over();
        self.steps.hand_over();
    }

    /// A request id of the window is in the state; it must be readable here before it leaves there. Records are taken in within moments,
    /// but a clock that is turned by hand lets days pass between two of them. Called once a decision is applied: ids leave the state then, and at
    /// no other time, so what holds now holds until the next.
    fn limit_lag(&self, stamp_ms: i64, sequence: u64) {
        let Lag { since_ms, .. } =
            Lag::note(&self.lag, stamp_ms, sequence, |upto| self.status.filled.has_taken_in(upto));
        if stamp_ms - since_ms > INDEX_MAX_LAG_MS {
            self.wait_for(self.observed.get());
            self.lag.set(Lag { since_ms: stamp_ms, next_ms: stamp_ms, upto: sequence });
        }
        let stored = Lag::note(&self.stored_lag, stamp_ms, sequence, |upto| self.status.applied_sequence() >= upto);
        self.stored_lately.set(stamp_ms - stored.since_ms <= INDEX_MAX_LAG_MS);
    }

    /// Wait until a record that was observed can be read.
    fn wait_for(&self, sequence: u64) {
        if !self.status.filled.has_taken_in(sequence) {
            self.hand_over();
            assert!(self.status.filled.wait_for(sequence), "the records index has failed");
        }
    }

    /// Wait until everything from the journal can be read, and is in the store if there is room for it.
    fn catch_up(&self) -> Result<(), IndexError> {
        self.hand_over();
        let observed = self.observed.get();
        if self.status.filled.wait_for(observed) && self.status.filled.wait_until_tried(observed) {
            return if self.is_overfull() { Err(self.no_room()) } else { Ok(()) };
        }
        let cause = self.halt.reason().map_or_else(|| "it has stopped".to_owned(), ToString::to_string);
        Err(IndexError::Failed { place: self.status.place.to_string(), cause })
    }

    /// Everything that was observed, to be asked.
    fn all(&self) -> &View {
        self.wait_for(self.observed.get());
        &self.view
    }

    /// An answer that cannot be read is no answer: the question fails, and the engine halts.
    fn sure<T>(&self, found: Result<T, StoreError>) -> T {
        found.unwrap_or_else(|error| {
            filler::fail(&self.view, &self.halt, &error);
            panic!("the records index: {error}");
        })
    }

    /// What was answered to the record of a sequence.
    pub(crate) fn first_answer(&self, sequence: u64) -> FirstAnswer {
        self.wait_for(sequence);
        self.wait_for_frame_of(sequence);
        self.sure(self.view.first_answer(sequence))
    }

    /// The frame that holds the record of a sequence; none where there is no such record, or its frame is still being filled.
    pub(crate) fn frame_of(&self, sequence: u64) -> Option<Seen> {
        if !(1..=self.closed.get()).contains(&sequence) {
            return None;
        }
        self.wait_for_frame_of(sequence);
        self.sure(self.view.frame_of(sequence))
    }

    /// The frame of the last record of all, where an opening has found one.
    pub(crate) fn newest_frame(&self, sequence: u64) -> Result<Option<Seen>, IndexError> {
        let failed =
            |error: StoreError| IndexError::Failed { place: self.status.place.to_string(), cause: error.to_string() };
        if sequence == 0 { Ok(None) } else { self.view.frame_of(sequence).map_err(failed) }
    }

    /// Wait until the frame that holds a record can be read, unless that is still being filled.
    fn wait_for_frame_of(&self, sequence: u64) {
        if sequence <= self.closed.get() && !self.status.filled.has_framed(sequence) {
            self.hand_over();
            assert!(self.status.filled.wait_for_frame_of(sequence), "the records index has failed");
        }
    }

    /// Hand over the rest and wait until all that is durable is on disk. Whoever stands between must end when nothing more comes.
    pub(crate) fn close(&mut self) {
        self.hand_over();
        (self.fed.to, self.steps.to) = (None, None);
        if let Some(filler) = self.filler.take() {
            // A filling thread that panicked has woken whoever waited.
            let _ = filler.join();
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.close();
    }
}

/// The store with its mark, or why it cannot be used as it is. A new one is usable.
fn open_usable(home: &IndexHome, directory: DirectoryId) -> Result<(Box<dyn Store>, Mark), String> {
    let store = home.store().map_err(|error| error.to_string())?;
    let new = Mark { format: key::FORMAT, directory: directory.0, ..Mark::default() };
    let mark = View::mark(&*store).map_err(|error| error.to_string())?.unwrap_or(new);
    if mark.format != key::FORMAT {
        return Err(format!("its format is version {}, this program's is {}", mark.format, key::FORMAT));
    }
    if mark.directory != directory.0 {
        return Err("it belongs to another data directory".into());
    }
    Ok((store, mark))
}

impl Records for Index {
    fn settlement(&self, id: SettlementId) -> Option<Standing> {
        self.sure(self.all().settlement(id))
    }

    fn settlements_of_year(&self, person: PersonId, key: AccumulatorKey) -> Vec<Standing> {
        self.sure(self.all().settlements_of_year(person, key))
    }

    fn past_stay(&self, id: StayId) -> Option<Arc<Stay>> {
        self.sure(self.all().past_stay(id))
    }

    fn overlapping_stay(&self, person: PersonId, admission: Date, discharge: Option<Date>) -> Option<Arc<Stay>> {
        self.sure(self.all().overlapping_stay(person, admission, discharge))
    }

    fn past_stays(&self, of: StayFilter, after: Option<StayId>, limit: usize) -> Vec<Arc<Stay>> {
        self.sure(self.all().past_stays(of, after, limit))
    }

    fn day(
        &self,
        institution: InstitutionCode,
        day: Date,
        after: Option<SettlementId>,
        limit: usize,
    ) -> (Vec<DayRow>, DayTotals) {
        self.sure(self.all().day(institution, day, after, limit))
    }

    fn statement(&self, person: PersonId, range: Range) -> (Vec<Entry>, bool) {
        self.sure(self.all().statement(person, range))
    }

    fn settled_with(&self, card: CardId, since_ms: i64, until_ms: i64, limit: usize) -> Vec<Standing> {
        self.sure(self.all().settled_with(card, since_ms, until_ms, limit))
    }

    fn claims(&self, of: &ClaimFilter, after: Option<SettlementId>, limit: usize) -> Vec<Claim> {
        self.sure(self.all().claims(of, after, limit))
    }

    fn unwind(&self, id: UnwindId) -> Option<Arc<Unwind>> {
        self.sure(self.all().unwind(id))
    }

    /// Asked by every new request, of ids that the state does not know. A record that is not taken in yet, or not in the store, has its id in the
    /// state's window ([`Index::limit_lag`]), so an id that is not found was never bound, and nothing is waited for. One that is found may have
    /// been reversed by a record that is not taken in yet.
    fn request(&self, key: &RequestKey) -> Option<Bound> {
        let is_bound = if self.stored_lately.get() {
            self.view.is_request_stored(key)
        } else {
            self.view.request(key).map(|bound| bound.is_some())
        };
        if self.sure(is_bound) { self.sure(self.all().request(key)) } else { None }
    }

    fn acknowledged_alert(&self, id: AlertId) -> Option<AlertView> {
        self.sure(self.all().acknowledged_alert(id))
    }

    fn acknowledged_alerts(&self, of: AlertFilter, after: Option<AlertId>, limit: usize) -> Vec<AlertView> {
        self.sure(self.all().acknowledged_alerts(of, after, limit))
    }
}

#[cfg(test)]
mod tests;
