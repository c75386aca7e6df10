//! An engine for a test: its settings, its clock, its keys, and the callers that every hub has.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use medsettle_core::ids::HubNumber;
use medsettle_cryptogram::{Derivation, MasterKey, Scheme};
use medsettle_engine::archive::JournalFiles;
use medsettle_engine::clock::TimeSource;
use medsettle_engine::index::{IndexHome, MemoryIndex};
use medsettle_engine::keyring::{Kek, KeyAttributes, KeyRing, PanRange};
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::storage::{DataDirectory, Storage};
use medsettle_engine::{Config, Engine, OpenError};
use medsettle_wire::Role;

use crate::caller::Caller;
use crate::process::Process;

/// 2026-03-02 in the morning of UTC+8.
pub(crate) const NOW_MS: i64 = 1_772_416_800_000;

pub(crate) const HOSPITAL: &str = "H37010500001";
pub(crate) const OFFICE: &str = "A37000000001";

/// The issuer's key in two components, which are combined by XOR.
const COMPONENTS: [[u8; 16]; 2] = [[0x5A; 16], *b"\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10"];

/// The clocks of the test's machine.
#[derive(Clone, Debug)]
pub(crate) struct Time {
    wall_ms: Arc<AtomicI64>,
    monotonic_ms: Arc<AtomicI64>,
}

impl Time {
    pub(crate) fn at(wall_ms: i64) -> Self {
        Self { wall_ms: Arc::new(AtomicI64::new(wall_ms)), monotonic_ms: Arc::default() }
    }

    pub(crate) fn step_wall(&self, by_ms: i64) {
        self.wall_ms.fetch_add(by_ms, Relaxed);
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.step_wall(ms);
        self.monotonic_ms.fetch_add(ms, Relaxed);
    }
}

impl TimeSource for Time {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Relaxed)
    }

    fn monotonic_ms(&self) -> i64 {
        self.monotonic_ms.load(Relaxed)
    }
}

/// Settings under which no seal frame comes between and every segment is small.
pub(crate) fn config() -> Config {
    Config {
        data: PathBuf::new(),
        hub: HubNumber::new(37).expect("a hub number"),
        keys: None,
        segment_len: 1 << 20,
        queue_len: 4_096,
        seal_after_ms: 3_600_000,
        archive: None,
        snapshot_segments: 0,
        cores: Vec::new(),
        index: IndexHome::Memory(MemoryIndex::default()),
    }
}

/// The key of the cards that the test's chips carry.
pub(crate) fn issuer_key() -> MasterKey {
    let [one, other] = COMPONENTS;
    MasterKey::new(std::array::from_fn(|place| one[place] ^ other[place]))
}

/// A key ring in a scratch directory.
pub(crate) fn key_ring(scratch: &tempfile::TempDir) -> (PathBuf, Kek) {
    let (kek, ring) = (scratch.path().join("kek"), scratch.path().join("keys.json"));
    std::fs::write(&kek, hex::encode([7; 32])).expect("written");
    let kek = Kek::from_file(&kek).expect("64 digits");
    KeyRing::create(&ring, &kek).expect("a new ring");
    let attributes = KeyAttributes {
        issuer: "370100".into(),
        scheme: Scheme::PbocSm4,
        key_index: 1,
        pan_range: PanRange::new("9156", "9156").expect("a range"),
        derivation: Derivation::default(),
    };
    KeyRing::import(&ring, &kek, attributes, &COMPONENTS.map(MasterKey::new)).expect("imported");
    (ring, kek)
}

/// Open on a storage of the test's choice, with the issuer's keys.
pub(crate) fn open_with(storage: Arc<dyn Storage>, config: Config, time: &Time) -> Result<Engine, OpenError> {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let config = Config { keys: Some(key_ring(&scratch)), ..config };
    Engine::open_on(JournalFiles::in_one(storage), config, Box::new(time.clone()))
}

/// Open on a simulated disk that works.
pub(crate) fn open_on(disk: &SimulatedDisk) -> Engine {
    open_process(&Process::on(disk))
}

pub(crate) fn open_process(process: &Process) -> Engine {
    open_with(Arc::new(process.clone()), config(), &Time::at(NOW_MS)).expect("opened")
}

/// Open on real files, with the records index on disk.
pub(crate) fn open_in(directory: &tempfile::TempDir) -> Engine {
    open_at(&directory.path().join("data"), &Time::at(NOW_MS)).expect("opened")
}

/// Open a data directory of real files by a clock.
pub(crate) fn open_at(data: &Path, time: &Time) -> Result<Engine, OpenError> {
    let storage = DataDirectory::create(data).expect("a data directory");
    open_with(Arc::new(storage), Config { index: IndexHome::within(data), ..config() }, time)
}

/// The agency that furnishes the hub: operator, desk, card issuer.
pub(crate) fn office(engine: &Engine) -> Caller<'_> {
    Caller::new(engine, OFFICE, &[Role::Operator, Role::Desk, Role::Issuer])
}

pub(crate) fn hospital(engine: &Engine) -> Caller<'_> {
    Caller::new(engine, HOSPITAL, &[Role::Hospital])
}

/// What the engine counted under a name.
pub(crate) fn counted(engine: &Engine, name: &str) -> u64 {
    let metrics = engine.metrics();
    metrics.iter().find(|(known, _)| *known == name).expect("a metric of that name").1
}

/// Wait for something that the engine does by itself.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let given_up = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < given_up, "{what}: waited in vain");
        thread::sleep(Duration::from_millis(1));
    }
}
