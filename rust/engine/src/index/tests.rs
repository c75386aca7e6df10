//! The index against records in memory: every question has the same answer, whatever was closed, lost or taken in twice.

mod past;

use std::fs;
use std::path::Path;

use medsettle_core::alert::{AlertFilter, AlertKind};
use medsettle_core::calendar::Date;
use medsettle_core::fraud::ClaimFilter;
use medsettle_core::ids::{AlertId, PersonId, SettlementId, StayId, UnwindId};
use medsettle_core::records::{Closing, Records, StayFilter};
use medsettle_core::statement::Range;
use medsettle_core::stay::StayState;
use proptest::prelude::*;

use self::past::{PERSONS, Past, Step, card_of, institution, new_hub, step, year_of};
use super::*;
use crate::journal::{FrameKind, HashAlgorithm, HubId};

const DIRECTORY: DirectoryId = DirectoryId([5; 16]);

/// What happens to the index meanwhile.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Step(Step),
    /// The frame that is being filled is made.
    Frame,
    /// All frames made are durable.
    Durable,
    /// The hub is closed and opened.
    Reopen,
    /// The hub dies, and the index is as it was at the last turn like this.
    Lose,
    /// The hub dies, and some tables are further than the mark.
    Blur,
    /// Everything is asked.
    Ask,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        24 => step().prop_map(Turn::Step),
        5 => Just(Turn::Frame),
        4 => Just(Turn::Durable),
        1 => Just(Turn::Reopen),
        1 => Just(Turn::Lose),
        1 => Just(Turn::Blur),
        2 => Just(Turn::Ask),
    ];
    prop::collection::vec(turn, 1..120)
}

/// A frame that was made: the sequence that it ends with.
#[derive(Clone, Copy)]
struct Made {
    header_number: u64,
    first: u64,
    last: u64,
}

/// An index that follows a past.
struct Follower {
    past: Past,
    home: IndexHome,
    index: Option<Index>,
    /// How many records the index was given.
    given: usize,
    frames: Vec<Made>,
    durable: u64,
    /// A copy of the index as it once was.
    copy: Option<tempfile::TempDir>,
}

impl Follower {
    fn begin(home: IndexHome) -> Self {
        let index = Some(open(&home));
        let past = Past::begin();
        let mut follower = Self { past, home, index, given: 0, frames: Vec::new(), durable: 0, copy: None };
        follower.give();
        follower
    }

    fn index(&self) -> &Index {
        self.index.as_ref().expect("open")
    }

    /// Give the index what it does not have of the past so far, with the hub as it was then.
    fn give(&mut self) {
        let mut hub = new_hub();
        for (place, record) in self.past.journal.iter().enumerate() {
            if place >= self.given && !self.index().has(record.sequence) {
                let closing = Closing::of(record, &hub);
                self.index().limit_lag(record.stamp_ms, record.sequence);
                self.index().take(Box::new(record.clone()), closing, &answer(record.sequence));
            }
            hub.apply(record);
            let ended = self.frames.iter().find(|frame| frame.last == record.sequence).copied();
            if let Some(made) = ended.filter(|_| place >= self.given && !self.index().has(record.sequence)) {
                self.close_frame(made);
            }
        }
        self.given = self.past.journal.len();
    }

    fn close_frame(&self, made: Made) {
        let header = FrameHeader {
            schema: 1,
            kind: FrameKind::Business,
            hash_algorithm: HashAlgorithm::Blake3,
            hub: HubId(11),
            number: made.header_number,
            epoch: 1,
            first_sequence: made.first,
            last_sequence: made.last,
            stamp_ms: self.past.journal[usize::try_from(made.first - 1).expect("few")].stamp_ms,
            durable_up_to: 0,
            key_id: 0,
            body_len: 0,
            previous: FrameHash([0; 32]),
        };
        self.index().close_frame(&header, hash_of(made.header_number));
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Step(step) => {
                self.past.take(step);
                self.give();
            }
            Turn::Frame => self.make_frame(),
            Turn::Durable => {
                self.durable = self.frames.len() as u64;
                self.index().note_durable(self.durable);
            }
            Turn::Reopen => {
                // What is not durable is not in the journal of the next opening: it is made durable first.
                self.make_frame();
                self.take(Turn::Durable);
                self.reopen();
            }
            Turn::Lose => {
                self.make_frame();
                self.take(Turn::Durable);
                self.index = None;
                if let IndexHome::Directory(path) = &self.home {
                    let now = tempfile::tempdir().expect("scratch");
                    copy_tree(path, now.path());
                    if let Some(before) = self.copy.replace(now) {
                        fs::remove_dir_all(path).expect("removed");
                        copy_tree(before.path(), path);
                        tear_log(path);
                    }
                }
                self.reopen();
            }
            Turn::Blur => {
                self.make_frame();
                self.take(Turn::Durable);
                self.index = None;
                self.blur();
                self.reopen();
            }
            Turn::Ask => self.compare(),
        }
    }

    fn make_frame(&mut self) {
        let first = self.frames.last().map_or(1, |frame| frame.last + 1);
        let last = self.past.hub.sequence();
        if last >= first {
            let made = Made { header_number: self.frames.len() as u64 + 1, first, last };
            self.frames.push(made);
            self.close_frame(made);
        }
    }

    fn reopen(&mut self) {
        self.index = None;
        self.index = Some(open(&self.home));
        let (found, hash) = self.index().found();
        if let Some(frame) = self.frames.iter().find(|frame| frame.last == found) {
            assert_eq!(hash, hash_of(frame.header_number));
        } else {
            assert_eq!(found, 0, "an index ends with a frame");
        }
        self.given = 0;
        self.give();
        self.index().note_durable(self.durable);
    }

    /// Take the mark back to an earlier frame, as if only its table had lost the end.
    fn blur(&self) {
        let store = self.home.store().expect("opened");
        let mark = View::mark(&*store).expect("read").expect("marked");
        let earlier = self.frames.iter().rev().find(|frame| frame.last < mark.sequence);
        if let Some(earlier) = earlier.filter(|_| mark.sequence.is_multiple_of(2)) {
            let mark = Mark { sequence: earlier.last, hash: hash_of(earlier.header_number).0, ..mark };
            let marked = (
                key::Table::Mark,
                key::within(key::Table::Mark, &key::MARK),
                Some(row::Encoder::default().encode(&mark)),
            );
            store.commit(&mut std::iter::once(marked)).expect("committed");
        }
    }

    /// Every question has the model's answer.
    fn compare(&self) {
        let (index, model): (&dyn Records, &dyn Records) = (self.index(), &self.past.model);
        // Before anything that waits until all is taken in.
        let newest_ms = self.past.journal.last().map_or(0, |record| record.stamp_ms);
        for record in &self.past.journal {
            let bound = index.request(&record.request_key());
            // The state is asked before, and knows the ids of three days.
            let may_be_unknown = bound.is_none() && newest_ms - record.stamp_ms <= INDEX_MAX_LAG_MS;
            assert!(may_be_unknown || bound == model.request(&record.request_key()), "{record:?}");
        }
        let ids = |of: &mut dyn FnMut(u64)| {
            for record in &self.past.journal {
                of(self.past.hub.number().id(record.sequence));
            }
            of(0);
            of(u64::MAX);
        };
        ids(&mut |id| {
            assert_eq!(index.settlement(SettlementId(id)), model.settlement(SettlementId(id)));
            assert_eq!(index.past_stay(StayId(id)), model.past_stay(StayId(id)));
            assert_eq!(index.unwind(UnwindId(id)), model.unwind(UnwindId(id)));
            assert_eq!(index.acknowledged_alert(AlertId(id)), model.acknowledged_alert(AlertId(id)));
        });
        for record in &self.past.journal {
            let first = self.index().first_answer(record.sequence);
            assert_eq!((first.body, first.refused), (answer(record.sequence), record.refused));
            let frame = self.frames.iter().find(|frame| frame.last >= record.sequence);
            assert_eq!(first.frame.map(|seen| seen.hash), frame.map(|frame| hash_of(frame.header_number)));
        }
        for person in (1..=PERSONS + 1).map(PersonId) {
            self.compare_person(person, index, model);
        }
        self.compare_lists(index, model);
    }

    fn compare_person(&self, person: PersonId, index: &dyn Records, model: &dyn Records) {
        let today = Date::business_day(self.past.now_ms);
        for year in [today.year() - 1, today.year(), today.year() + 1] {
            let key = medsettle_core::accumulator::AccumulatorKey { year, ..year_of(today) };
            assert_eq!(index.settlements_of_year(person, key), model.settlements_of_year(person, key));
        }
        let days: Vec<Date> = (-9..3).filter_map(|by| Date::from_days(today.days() + by * 3)).collect();
        for (from, to) in days.iter().flat_map(|from| days.iter().map(move |to| (*from, *to))) {
            for until in [None, Some(to)] {
                assert_eq!(index.overlapping_stay(person, from, until), model.overlapping_stay(person, from, until));
                for after in [0, 3, self.past.hub.sequence() / 2, self.past.hub.sequence(), u64::MAX] {
                    let range = Range { after, from: Some(from).filter(|_| until.is_some()), to: until };
                    assert_eq!(index.statement(person, range), model.statement(person, range), "{range:?}");
                }
            }
        }
        let card = card_of(person);
        for (since, until) in [(i64::MIN, i64::MAX), (self.past.now_ms - 200_000_000, self.past.now_ms), (5, 4)] {
            for limit in [0, 1, 3, 99] {
                let (found, expected) =
                    (index.settled_with(card, since, until, limit), model.settled_with(card, since, until, limit));
                assert_eq!(found, expected);
            }
        }
    }

    fn compare_lists(&self, index: &dyn Records, model: &dyn Records) {
        let places = [None, Some(institution(0)), Some(institution(1))];
        let persons = [None, Some(PersonId(1)), Some(PersonId(2))];
        let after = [None, self.past.settlements.first().map(|id| id.0), Some(u64::MAX)];
        for (institution, person) in places.iter().flat_map(|place| persons.map(|person| (*place, person))) {
            for (after, limit) in after.iter().flat_map(|after| [1, 4, 99].map(|limit| (*after, limit))) {
                for state in [None, Some(StayState::Settled), Some(StayState::Void), Some(StayState::Open)] {
                    let of = StayFilter { person, institution, state };
                    let after = after.map(StayId);
                    assert_eq!(index.past_stays(of, after, limit), model.past_stays(of, after, limit), "{of:?}");
                }
                for kind in [None, Some(AlertKind::NearCap)] {
                    let of = AlertFilter { person, institution, kind };
                    let after = after.map(AlertId);
                    assert_eq!(
                        index.acknowledged_alerts(of, after, limit),
                        model.acknowledged_alerts(of, after, limit)
                    );
                }
                for case in [None, Some("case"), Some("case 2"), Some("case 3")] {
                    let of = ClaimFilter { institution, case_number: case.map(Into::into) };
                    let after = after.map(SettlementId);
                    assert_eq!(index.claims(&of, after, limit), model.claims(&of, after, limit), "{of:?}");
                }
            }
        }
        let days: std::collections::BTreeSet<Date> =
            self.past.journal.iter().map(|record| Date::business_day(record.stamp_ms)).collect();
        for (day, place) in days.into_iter().flat_map(|day| [0, 1].map(|place| (day, institution(place)))) {
            for (after, limit) in after.iter().flat_map(|after| [1, 99].map(|limit| (*after, limit))) {
                let after = after.map(SettlementId);
                assert_eq!(index.day(place, day, after, limit), model.day(place, day, after, limit));
            }
        }
    }
}

fn open(home: &IndexHome) -> Index {
    Index::open(home, DIRECTORY, Halt::default(), &mut |line| panic!("{line}")).expect("opened")
}

fn hash_of(frame: u64) -> FrameHash {
    FrameHash([u8::try_from(frame % 250).expect("a byte"); 32])
}

fn answer(sequence: u64) -> Vec<u8> {
    format!("answer {sequence}").into_bytes()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

/// Take some bytes off the end of the database's log, as a power cut may.
fn tear_log(index: &Path) {
    for entry in fs::read_dir(index).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let file = fs::OpenOptions::new().write(true).open(&path).expect("opened");
            let len = file.metadata().expect("a length").len();
            file.set_len(len.saturating_sub(len / 3 + 1)).expect("cut");
        }
    }
}

fn follow(home: IndexHome, turns: Vec<Turn>) {
    let mut follower = Follower::begin(home);
    for turn in turns {
        follower.take(turn);
    }
    follower.compare();
    follower.take(Turn::Reopen);
    follower.compare();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_every_question_as_records_in_memory_do(turns in turns()) {
        follow(IndexHome::Memory(MemoryIndex::default()), turns);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_on_disk_does_so_too_whatever_a_crash_took_of_it(turns in turns()) {
        let scratch = tempfile::tempdir().expect("scratch");
        follow(IndexHome::Directory(scratch.path().join("index")), turns);
    }
}

#[test]
fn a_row_that_cannot_be_read_halts_the_engine_and_the_index_is_made_again() {
    let scratch = tempfile::tempdir().expect("scratch");
    let home = IndexHome::Directory(scratch.path().join("index"));
    let mut follower = Follower::begin(home.clone());
    follower.take(Turn::Step(Step::Visit { person: 1, at: 0, family: false, cash: true }));
    follower.take(Turn::Reopen);
    follower.compare();
    let settled = follower.past.settlements[0];
    let table = key::Table::Settlements;
    let garbage = (table, key::within(table, &key::number(settled.0)), Some([0xFF; 3].into()));
    follower.index().view.store.commit(&mut std::iter::once(garbage)).expect("committed");
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| follower.index().settlement(settled)));
    assert!(asked.is_err(), "what cannot be read is not taken for what is not there");
    let reason = follower.index().halt.reason().cloned();
    assert!(matches!(reason, Some(crate::halt::HaltReason::IndexFailed { .. })), "{reason:?}");

    follower.index = None;
    let mut told = Vec::new();
    let again = Index::open(&home, DIRECTORY, Halt::default(), &mut |line| told.push(line.to_owned())).expect("opened");
    assert_eq!(again.found().0, 0);
    assert!(told[0].contains("it was found damaged"), "{told:?}");
    drop(again);
    follower.reopen();
    follower.compare();
}

#[test]
fn rows_of_a_frame_reach_the_store_only_when_the_frame_is_durable() {
    let home = IndexHome::Memory(MemoryIndex::default());
    let mut follower = Follower::begin(home.clone());
    follower.make_frame();
    follower.take(Turn::Step(Step::Credit { person: 1 }));
    follower.make_frame();
    follower.take(Turn::Step(Step::Credit { person: 1 }));
    follower.compare();
    let mark = || View::mark(&*home.store().expect("opened")).expect("read");
    assert_eq!(mark(), None);
    follower.index().note_durable(1);
    let first = follower.frames[0].last;
    while follower.index().status().applied_sequence() < first {
        std::thread::yield_now();
    }
    assert_eq!(mark().map(|mark| mark.sequence), Some(first));
    follower.compare();
    // What is not durable is gone with the engine.
    follower.index = None;
    assert_eq!(mark().map(|mark| mark.sequence), Some(first));
}

#[test]
fn an_id_that_was_reversed_a_moment_ago_is_said_to_be_reversed() {
    let home = IndexHome::Memory(MemoryIndex::default());
    let mut follower = Follower::begin(home);
    follower.take(Turn::Step(Step::Visit { person: 1, at: 0, family: false, cash: true }));
    let visit = follower.past.journal.last().expect("it was settled").request_key();
    // Beyond what the state knows, and with the newest records close together.
    for _ in 0..2 {
        follower.take(Turn::Step(Step::Wait { hours: 59 }));
        follower.take(Turn::Step(Step::Credit { person: 1 }));
        follower.take(Turn::Frame);
        follower.take(Turn::Durable);
        let newest = follower.past.hub.sequence();
        while follower.index().status().applied_sequence() < newest {
            std::thread::yield_now();
        }
    }
    for _ in 0..2 {
        follower.take(Turn::Step(Step::Credit { person: 1 }));
    }
    assert!(follower.index().stored_lately.get(), "the database alone is asked first");
    follower.take(Turn::Step(Step::Cancel { age: 0, adjusted: 0, reversing: true }));
    let bound = follower.index().request(&visit).expect("an id is bound for ever");
    assert!(bound.reversed, "by a record that nobody has taken in yet");
}
