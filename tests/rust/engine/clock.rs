//! A clock that cannot be believed stops what changes anything, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use medsettle_core::calendar::Date;
use medsettle_engine::archive::JournalFiles;
use medsettle_engine::clock::TimeSource;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{Config, EMPTY_COMMIT, Engine};
use medsettle_wire::encode::HubState;
use medsettle_wire::{Operation, Reason, v1};

use crate::caller::{header, reason};
use crate::process::Process;
use crate::request::{self, encode};
use crate::support::{NOW_MS, OFFICE, Time, config, counted, hospital, office, open_with, until};

const HOUR_MS: i64 = 3_600_000;

fn open_at(disk: &SimulatedDisk, time: &Time) -> Engine {
    open_with(Arc::new(Process::on(disk)), config(), time).expect("opened")
}

fn confirm(engine: &Engine) {
    let request = v1::OperationsConfirmClockRequest { header: Some(request::header(OFFICE)) };
    office(engine).get::<v1::OperationsConfirmClockResponse>(Operation::OperationsConfirmClock, &request);
}

fn enroll(engine: &Engine, number: u64) -> Result<v1::PersonsEnrollResponse, Reason> {
    office(engine).ask(Operation::PersonsEnroll, &request::enrolment(number))
}

fn state(engine: &Engine) -> HubState {
    let told = request::status(&hospital(engine)).expect("served").state();
    assert_eq!(told, engine.state());
    told
}

#[test]
fn a_clock_that_steps_stops_mutations_until_it_is_right_again_or_confirmed() {
    let time = Time::at(NOW_MS);
    let engine = open_at(&SimulatedDisk::new(), &time);
    request::furnish(&office(&engine));
    let known = request::enrolment(1);
    let first: v1::PersonsEnrollResponse = office(&engine).get(Operation::PersonsEnroll, &known);

    time.step_wall(HOUR_MS);
    assert_eq!(enroll(&engine, 2), Err(Reason::ClockSuspect));
    assert_eq!(state(&engine), HubState::ClockSuspect);
    request::trial_balance(&office(&engine));
    let again: v1::PersonsEnrollResponse = office(&engine).get(Operation::PersonsEnroll, &known);
    assert_eq!(again.person_id, first.person_id, "what was decided is told whatever the clock says");

    time.step_wall(-HOUR_MS);
    assert!(enroll(&engine, 2).is_ok());
    assert_eq!(state(&engine), HubState::Serving);

    // An hour ahead, requests made now are old, but within the window.
    time.step_wall(HOUR_MS);
    assert_eq!(enroll(&engine, 3), Err(Reason::ClockSuspect));
    confirm(&engine);
    assert_eq!(state(&engine), HubState::Serving);
    let stamp_ms = enroll(&engine, 3).expect("confirmed").header.expect("a header").stamp_ms;
    assert_eq!(stamp_ms, NOW_MS + HOUR_MS);
}

#[test]
fn a_clock_behind_the_journal_at_opening_stops_mutations_until_it_has_caught_up() {
    let disk = SimulatedDisk::new();
    let engine = open_at(&disk, &Time::at(NOW_MS));
    request::furnish(&office(&engine));
    drop(engine);

    let time = Time::at(NOW_MS - HOUR_MS);
    let engine = open_at(&disk, &time);
    assert_eq!(enroll(&engine, 1), Err(Reason::ClockSuspect));
    request::trial_balance(&office(&engine));
    time.pass(HOUR_MS);
    let stamp_ms = enroll(&engine, 1).expect("caught up").header.expect("a header").stamp_ms;
    assert_eq!(stamp_ms, NOW_MS);
    drop(engine);

    let engine = open_at(&disk, &Time::at(NOW_MS - 2_000));
    assert_eq!(enroll(&engine, 2), Err(Reason::ClockSuspect));
    confirm(&engine);
    let stamp_ms = enroll(&engine, 2).expect("confirmed").header.expect("a header").stamp_ms;
    assert_eq!(stamp_ms, NOW_MS, "a stamp never goes back");
}

#[test]
fn stamps_never_go_back_while_the_clock_is_being_slewed() {
    let disk = SimulatedDisk::new();
    let time = Time::at(NOW_MS);
    let engine = open_at(&disk, &time);
    request::furnish(&office(&engine));
    for (number, by_ms) in (1..).zip([700, -900, 1_500, -4_000, 100]) {
        time.step_wall(by_ms);
        enroll(&engine, number).expect("within the tolerance");
    }
    drop(engine);
    let frames = crate::witness::frames(Arc::new(disk));
    let stamps: Vec<i64> = frames.iter().map(|frame| frame.stamp_ms).collect();
    assert!(stamps.is_sorted());
    assert_eq!(stamps.last(), Some(&(NOW_MS + 1_300)));
}

#[test]
fn a_hub_without_history_suspects_its_clock_as_well_and_only_an_operator_confirms_it() {
    let time = Time::at(NOW_MS);
    let engine = open_at(&SimulatedDisk::new(), &time);
    time.step_wall(HOUR_MS);
    assert_eq!(enroll(&engine, 1), Err(Reason::ClockSuspect));
    let certificate = v1::Certificate { kind: v1::certificate::Kind::Passport.into(), number: "E1".into() };
    let eligibility = v1::PersonsCheckEligibilityRequest {
        credential: Some(v1::persons_check_eligibility_request::Credential::Certificate(certificate)),
        visit_kind: v1::visit_kind::Kind::Inpatient.into(),
        day: String::new(),
    };
    let answer = hospital(&engine).call(Operation::PersonsCheckEligibility.number(), encode(&eligibility));
    assert_eq!(reason(&answer), Reason::PersonUnknown);
    let request = v1::OperationsConfirmClockRequest { header: Some(request::header(crate::support::HOSPITAL)) };
    let answer = hospital(&engine).call(Operation::OperationsConfirmClock.number(), encode(&request));
    assert_eq!(reason(&answer), Reason::RoleForbidden);
    assert_eq!(state(&engine), HubState::ClockSuspect);
    confirm(&engine);
    request::furnish(&office(&engine));
    assert!(enroll(&engine, 1).is_ok());
}

/// A person enrolled by a request that is made now.
fn enroll_now(engine: &Engine, time: &Time, number: u64) -> Result<v1::PersonsEnrollResponse, Reason> {
    let header = v1::RequestHeader { created_ms: time.wall_ms(), ..request::header(OFFICE) };
    let request = v1::PersonsEnrollRequest { header: Some(header), ..request::enrolment(number) };
    office(engine).ask(Operation::PersonsEnroll, &request)
}

/// What a hub answers of its state, and the stamps of its frames.
fn told(engine: &Engine, time: &Time) -> (v1::OperationsTrialBalanceResponse, u64, HubState) {
    let status = request::status(&hospital(engine)).expect("served");
    assert_eq!(status.header.as_ref().map(|header| header.stamp_ms <= time.wall_ms()), Some(true));
    (request::trial_balance(&office(engine)), status.persons, status.state())
}

/// A disk of a hub that was furnished at `NOW_MS`.
fn furnished() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    request::furnish(&office(&open_at(&disk, &Time::at(NOW_MS))));
    disk
}

/// Milliseconds at a moment of UTC+8.
fn moment(day: &str, hour: i64) -> i64 {
    let days = Date::parse(day).expect("a date").days();
    (i64::from(days) * 24 + hour - 8) * HOUR_MS
}

#[test]
fn a_clock_that_jumps_a_day_back_or_ten_years_on_or_over_a_leap_day_or_a_new_year_decides_nothing() {
    const DAY_MS: i64 = 24 * HOUR_MS;
    for (from_ms, by_ms) in [
        (NOW_MS, -DAY_MS),
        (NOW_MS, 3_652 * DAY_MS),
        (moment("2028-02-28", 23), 2 * HOUR_MS),
        (moment("2028-02-29", 23), 2 * HOUR_MS),
        (moment("2026-12-31", 23), 2 * HOUR_MS),
        (moment("2027-01-01", 1), -2 * HOUR_MS),
    ] {
        let (disk, time) = (furnished(), Time::at(from_ms));
        let engine = open_at(&disk, &time);
        enroll_now(&engine, &time, 1).expect("the clock is right");
        time.step_wall(by_ms);
        assert_eq!(enroll_now(&engine, &time, 2).err(), Some(Reason::ClockSuspect), "{from_ms} and {by_ms}");
        assert_eq!(state(&engine), HubState::ClockSuspect);
        request::trial_balance(&office(&engine));

        time.step_wall(-by_ms);
        let right = enroll_now(&engine, &time, 3).expect("right again").header.expect("a header");
        assert_eq!(right.stamp_ms, from_ms, "the wrong time left nothing behind");
        let before = told(&engine, &time);
        drop(engine);

        let engine = open_at(&disk, &time);
        assert_eq!(told(&engine, &time), before, "replay gives the same");
        drop(engine);
        let stamps: Vec<i64> = crate::witness::frames(Arc::new(disk)).iter().map(|frame| frame.stamp_ms).collect();
        assert_eq!(stamps[stamps.len() - 2..], [from_ms, from_ms]);
        assert!(stamps.is_sorted());
    }
}

#[test]
fn time_that_passes_over_a_leap_day_and_a_new_year_is_no_step_and_replays_to_the_same() {
    let disk = furnished();
    let mut stamped = Vec::new();
    for (day, days) in [("2027-12-31", 2), ("2028-02-28", 3), ("2028-12-31", 2)] {
        let time = Time::at(moment(day, 12));
        let engine = open_at(&disk, &time);
        for _ in 0..days {
            let number = stamped.len() as u64 + 1;
            let header = enroll_now(&engine, &time, number).expect("no step").header.expect("a header");
            assert_eq!(header.stamp_ms, time.wall_ms());
            stamped.push(request::date_at(header.stamp_ms));
            time.pass(24 * HOUR_MS);
        }
        let before = told(&engine, &time);
        drop(engine);
        assert_eq!(told(&open_at(&disk, &time), &time), before);
    }
    let days = ["2027-12-31", "2028-01-01", "2028-02-28", "2028-02-29", "2028-03-01", "2028-12-31", "2029-01-01"];
    assert_eq!(stamped, days);
    let frames = crate::witness::frames(Arc::new(disk));
    assert!(frames.is_sorted_by_key(|frame| frame.stamp_ms));
}

/// A time source that can fail in the only way there is.
struct Brittle {
    time: Time,
    broken: Arc<AtomicBool>,
}

impl TimeSource for Brittle {
    fn wall_ms(&self) -> i64 {
        assert!(!self.broken.load(Relaxed), "the clock of this test panics");
        self.time.wall_ms()
    }

    fn monotonic_ms(&self) -> i64 {
        self.time.monotonic_ms()
    }
}

#[test]
fn a_panic_of_the_deciding_thread_answers_everybody_and_halts() {
    let broken = Arc::new(AtomicBool::new(false));
    let time = Brittle { time: Time::at(NOW_MS), broken: Arc::clone(&broken) };
    let files = JournalFiles::in_one(Arc::new(Process::on(&SimulatedDisk::new())));
    let engine = Engine::open_on(files, config(), Box::new(time)).expect("opened");
    let office = office(&engine);
    request::furnish(&office);
    broken.store(true, Relaxed);
    let sent: Vec<_> =
        (1..20).map(|n| office.send(Operation::PersonsEnroll.number(), encode(&request::enrolment(n)))).collect();
    for sent in sent {
        assert_eq!(reason(&sent.answer()), Reason::Halted);
    }
    assert_eq!(engine.state(), HubState::Halted);
    assert!(engine.halt_reason().contains("decide"), "{}", engine.halt_reason());
}

#[test]
fn an_idle_journal_is_sealed_once() {
    let disk = SimulatedDisk::new();
    let engine = open_at(&disk, &Time::at(NOW_MS));
    request::furnish(&office(&engine));
    drop(engine);
    let open_impatient = |disk: &SimulatedDisk| {
        let config = Config { seal_after_ms: 1, ..config() };
        open_with(Arc::new(Process::on(disk)), config, &Time::at(NOW_MS)).expect("opened")
    };
    let engine = open_impatient(&disk);
    until("a seal frame follows the last business frame", || counted(&engine, "frames") > 0);
    let read = header(&hospital(&engine).call(Operation::OperationsStatus.number(), Vec::new()));
    // In the time that another hub takes to be idle this often, this one has been idle as well.
    let other = open_impatient(&SimulatedDisk::new());
    for commits in 1..=10 {
        assert!(hospital(&other).call(EMPTY_COMMIT, Vec::new()).ok);
        until("the other hub is sealed", || counted(&other, "frames") >= 2 * commits);
    }
    drop(engine);
    let frames = crate::witness::frames(Arc::new(disk));
    let seals: Vec<_> = frames.iter().filter(|frame| frame.records.is_empty()).collect();
    assert_eq!(seals.len(), 1, "frames without a record");
    let decided = frames.iter().rev().find(|frame| !frame.records.is_empty()).expect("a frame with a record");
    assert_eq!(decided.hash.to_vec(), read.chain_hash, "a read names the frame of the newest decision, not the seal");
}
