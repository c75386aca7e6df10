//! The deterministic simulator: seeded clients, the real engine on a simulated disk, crashes anywhere, and an auditor.
//!
//! A seed is a whole history: a hub lives several lives on one disk, and between them its machine is killed or loses its power.
//! After every life the auditor asks what became of everything; after the last the journal is its witness. `make simulate`
//! runs any number of seeds, and a seed that fails is repeated by one line.
//!
//! Invariant: the same seed is the same run, on every machine and in any company of other seeds.
//! Map: `world` what is there at the beginning, `disks` what outlives a machine, `machine` the gates between the hub's threads and its
//! disks, `life` the order of things, `asking` requests and answers, `keeping` snapshots and archive, `town` clients, `auditor` and `books` what must hold, `replay` the
//! journal as witness, `damage` what a medium does.

mod asking;
mod auditor;
mod batch;
mod books;
mod damage;
mod disks;
mod keeping;
mod life;
mod machine;
mod replay;
mod spoiled;
mod town;
mod world;

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;

use fastrand::Rng;
use medsettle_engine::error::JournalError;
use medsettle_engine::storage::simulated::Failure;
use medsettle_engine::{Engine, OpenError};

use self::auditor::Auditor;
use self::damage::Content;
use self::disks::Disks;
use self::life::{Course, Ending, Life};
use self::machine::{Fault, Machine};
use self::world::{Settings, World};
use crate::support::{NOW_MS, Time};
use crate::witness;

/// Seeds of the suite.
const SEEDS: u64 = 2_000;
const SEGMENT_LENS: [u64; 5] = [32 << 10, 32 << 10, 40 << 10, 48 << 10, 64 << 10];

/// What happened in histories, so that nobody believes to have seen what never came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    snapshots: u64,
    archived: u64,
    /// Starts from a snapshot; starts that could not begin with any, or not with the newest, because the index was gone.
    starts: u64,
    without_index: u64,
    /// Starts from spoiled copies, and those of them from a snapshot all the same.
    spoiled: u64,
    spoiled_starts: u64,
    digests: u64,
    /// Hubs that were closed while the keeper was at work.
    closed_at_work: u64,
    /// Sum of the hashes of all that happened: two runs of the same seeds have the same.
    trace: u64,
}

impl Tally {
    fn counts(&self) -> [u64; 8] {
        let Self {
            snapshots,
            archived,
            starts,
            without_index,
            spoiled,
            spoiled_starts,
            digests,
            closed_at_work,
            trace: _,
        } = *self;
        [snapshots, archived, starts, without_index, spoiled, spoiled_starts, digests, closed_at_work]
    }

    fn has_at_least(&self, least: &Self) -> bool {
        self.counts().iter().zip(least.counts()).all(|(count, least)| *count >= least)
    }

    fn add(&mut self, other: Self) {
        let Self {
            snapshots,
            archived,
            starts,
            without_index,
            spoiled,
            spoiled_starts,
            digests,
            closed_at_work,
            trace,
        } = other;
        self.snapshots += snapshots;
        self.archived += archived;
        self.starts += starts;
        self.without_index += without_index;
        self.spoiled += spoiled;
        self.spoiled_starts += spoiled_starts;
        self.digests += digests;
        self.closed_at_work += closed_at_work;
        self.trace = self.trace.wrapping_add(trace);
    }
}

/// Run the history of a seed; gives what happened.
fn run(seed: u64, world: &World) -> Tally {
    let mut rng = Rng::with_seed(seed);
    let segment_len = SEGMENT_LENS[rng.usize(..SEGMENT_LENS.len())];
    // Mostly as often as there is something to snapshot; some hubs cut only when they are asked, and some are never asked, because a keeper
    // syncs directories so often that it hides who else forgets to.
    let (snapshot_segments, orders) =
        [(0, false), (0, false), (0, true), (1, true), (1, true), (1, true), (1, true), (2, true)][rng.usize(..8)];
    let settings = Settings { segment_len, snapshot_segments };
    let mut disks = world.disks(rng.bool());
    let lives = rng.u32(2..6);
    let mut course =
        Course::of(rng, orders, Auditor::of(world), damage::content_of(&disks.copy()).expect("a furnished disk"), seed);
    for _ in 0..lives {
        course.faults = true;
        if let Some((machine, engine)) = open(&mut course, world, &mut disks, settings) {
            let mut life = Life::of(&mut course, machine.clone(), engine);
            let ending = life.live();
            end(life, &mut disks, &machine, ending);
        }
        disks.strike(&mut course.rng);
        damage::try_some(&mut course, world, &disks);
    }
    // The last one is spared, so that everything in doubt is cleared up.
    course.faults = false;
    let (machine, engine) = open(&mut course, world, &mut disks, settings).expect("a hub that died opens again");
    let mut life = Life::of(&mut course, machine.clone(), engine);
    life.live();
    end(life, &mut disks, &machine, Ending::Closed);
    course.note_snapshots(&disks);
    replay::check(&course.auditor, &course.digests, &witness::frames_of(disks.files()), world.sequence);
    Tally { trace: course.trace.finish(), ..course.tally }
}

/// Open the hub; none if its machine died of it.
fn open(course: &mut Course, world: &World, disks: &mut Disks, settings: Settings) -> Option<(Machine, Engine)> {
    course.note_snapshots(disks);
    disks.cut_off_index();
    let (newest, usable) = disks.newest_and_usable();
    let machine = Machine::on(&disks.data);
    let fault = (course.faults && course.rng.u32(..4) == 0).then(|| {
        let fault = [Fault::DiesBefore, Fault::DiesAfter, Fault::Fails(Failure::InputOutput)];
        (course.rng.u64(..10), fault[course.rng.usize(..fault.len())])
    });
    machine.opening(fault);
    let opened = world.open(disks.on(&machine), settings, &disks.index, &course.time);
    machine.opened();
    match opened {
        Ok(engine) => {
            assert_eq!(engine.report().snapshot, usable, "a start begins with the newest snapshot that it may use");
            course.tally.starts += u64::from(usable.is_some());
            course.tally.without_index += u64::from(usable != newest);
            course.hub_opened(&engine);
            if course.rng.u32(..4) == 0 {
                let second = Disks::on(disks, &Machine::on(&disks.data));
                let second = world.open(second, settings, &disks.index, &course.time);
                let is_locked = matches!(second, Err(OpenError::Journal(JournalError::Locked { .. })));
                assert!(is_locked, "a second process has the directory as well");
            }
            Some((machine, engine))
        }
        Err(error) => {
            machine.die();
            let of_disk = matches!(error, OpenError::Journal(JournalError::Io { .. }));
            assert!(fault.is_some() && of_disk, "a hub that died does not open again: {error}");
            None
        }
    }
}

fn end(mut life: Life<'_>, disks: &mut Disks, machine: &Machine, ending: Ending) {
    if ending == Ending::Closed && life.course.rng.bool() {
        life.close_at_work();
    } else if ending == Ending::Died || !life.finish_keeping() {
        machine.die();
        disks.cut_off_index();
    }
    let kept = machine.kept();
    life.course.tally.snapshots += kept.snapshots;
    life.course.tally.archived += kept.archived;
    life.bury_orders();
    if !machine.is_dead() {
        disks.cut_off_index();
    }
    machine.die();
}

impl Course {
    fn of(rng: Rng, orders: bool, auditor: Auditor, left: Content, seed: u64) -> Self {
        let mut trace = std::hash::DefaultHasher::new();
        trace.write_u64(seed);
        Self {
            rng,
            auditor,
            time: Time::at(NOW_MS),
            wall_ms: NOW_MS,
            stamp_ms: NOW_MS,
            departed_ms: 0,
            tickets: 0,
            trace,
            faults: true,
            orders,
            left,
            snapshot_told: 0,
            digests: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// What snapshots say of the state is to be compared with the journal, in the end.
    fn note_snapshots(&mut self, disks: &Disks) {
        let heads = disks.snapshots();
        let newest = heads.first().map_or(0, |head| head.tail.last_sequence);
        assert!(newest >= self.snapshot_told, "a snapshot that somebody was told of is gone");
        self.digests.extend(heads.iter().map(|head| (head.tail.last_sequence, head.digest)));
    }

    /// A clock begins anew: what it was off by is believed from now on, but never a stamp before the journal's last.
    fn hub_opened(&mut self, engine: &Engine) {
        let tail_ms = engine.report().tail.stamp_ms;
        if self.wall_ms < tail_ms {
            self.time.pass(tail_ms - self.wall_ms);
            self.wall_ms = tail_ms;
        }
        (self.stamp_ms, self.departed_ms) = (self.wall_ms, 0);
    }
}

/// Run seeds on as many threads as help; panics with the first that fails and the line that repeats it.
fn run_all(seeds: std::ops::Range<u64>) -> Tally {
    let world = World::new();
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    let failed = Mutex::new(None);
    let threads = thread::available_parallelism().map_or(2, usize::from) * 3;
    let work = || {
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= seeds.end || failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                return;
            }
            match catch_unwind(AssertUnwindSafe(|| run(seed, &world))) {
                Ok(happened) => tally.lock().unwrap_or_else(PoisonError::into_inner).add(happened),
                Err(panic) => {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((seed, panic));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    if let Some((seed, panic)) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        eprintln!("seed {seed} fails; to repeat it: make simulate SEED={seed}");
        resume_unwind(panic);
    }
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn two_thousand_histories_with_crashes_anywhere_satisfy_the_auditor_and_the_journal_is_their_witness() {
    let tally = run_all(0..SEEDS);
    // A simulator that has stopped doing any of it proves nothing about it.
    let least = Tally {
        snapshots: 2 * SEEDS,
        archived: SEEDS / 2,
        starts: SEEDS,
        without_index: SEEDS / 20,
        spoiled: SEEDS / 2,
        spoiled_starts: SEEDS / 4,
        digests: 3 * SEEDS,
        closed_at_work: SEEDS / 40,
        trace: 0,
    };
    assert!(tally.has_at_least(&least), "{tally:?}, and at least {least:?} is expected");
}

#[test]
fn a_seed_is_the_same_run_again() {
    let world = World::new();
    let all = || {
        thread::scope(|scope| {
            let world = &world;
            let runs: Vec<_> = (0..40).map(|seed| scope.spawn(move || run(seed, world))).collect();
            runs.into_iter().map(|run| run.join().expect("a history that ends well")).collect::<Vec<_>>()
        })
    };
    // In company of the others, again, and alone.
    let (first, again) = (all(), all());
    for (seed, (first, again)) in (0..).zip(first.iter().zip(&again)) {
        assert_eq!(first, again, "seed {seed}");
        assert_eq!(*first, run(seed, &world), "seed {seed} alone");
    }
}

/// `make simulate`: `SEEDS` histories, or the one of `SEED`.
#[test]
#[ignore = "for as long as one likes: make simulate SEEDS=100000"]
fn as_many_histories_as_were_asked_for() {
    let given = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let number = |name: &str| given(name).map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("MEDSETTLE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MEDSETTLE_SEEDS").unwrap_or(SEEDS),
    };
    let count = seeds.end - seeds.start;
    let started = std::time::Instant::now();
    let tally = run_all(seeds);
    println!("{count} histories in {:.1} s: {tally:?}", started.elapsed().as_secs_f64());
}
