//! What every simulated hub begins with: a disk with a furnished region and three insured persons, keys, and callers.
//!
//! Invariant: the disk and all that is on it are the same in every process, so that a seed means the same everywhere.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use medsettle_core::hub::Actor;
use medsettle_core::ids::InstitutionCode;
use medsettle_engine::archive::JournalFiles;
use medsettle_engine::index::{IndexHome, MemoryIndex};
use medsettle_engine::journal::DirectoryId;
use medsettle_engine::journal::frame::{BLOCK_LEN, is_untouched};
use medsettle_engine::journal::segment::{name_of, number_of};
use medsettle_engine::keyring::Kek;
use medsettle_engine::storage::Storage as _;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::{Config, Engine, OpenError};
use medsettle_wire::{Role, v1};
use prost::Message;

use super::disks::Disks;
use crate::caller::{Caller, split_header};
use crate::request::{self, Patient};
use crate::support::{HOSPITAL, NOW_MS, OFFICE, Time, config, key_ring, until};
use crate::visits::{self, PHARMACY};

pub(super) const PATIENTS: u64 = 3;
/// What each of them was credited.
pub(super) const CREDITED_FEN: i64 = 500_000;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    Office,
    Hospital,
    Pharmacy,
}

impl Place {
    pub(super) const ALL: [Self; 3] = [Self::Office, Self::Hospital, Self::Pharmacy];

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Office => OFFICE,
            Self::Hospital => HOSPITAL,
            Self::Pharmacy => PHARMACY,
        }
    }

    fn roles_of(self) -> &'static [Role] {
        match self {
            Self::Office => &[Role::Operator, Role::Desk, Role::Issuer],
            Self::Hospital => &[Role::Hospital],
            Self::Pharmacy => &[Role::Pharmacy],
        }
    }

    pub(super) fn roles(self) -> u32 {
        self.roles_of().iter().fold(0, |bits, role| bits | 1 << *role as i32)
    }

    pub(super) fn actor(self) -> Actor {
        Actor { institution: InstitutionCode::parse(self.code()).expect("a code"), roles: self.roles() }
    }
}

/// The request under another id.
pub(super) fn named(request: &[u8], id: &str) -> Vec<u8> {
    let (header, rest) = split_request(request);
    let header = v1::RequestHeader { request_id: id.to_owned(), ..header }.encode_to_vec();
    let mut renamed = Vec::with_capacity(request.len() + id.len());
    prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut renamed);
    prost::encoding::encode_varint(header.len() as u64, &mut renamed);
    renamed.extend_from_slice(&header);
    renamed.extend_from_slice(rest);
    renamed
}

fn split_request(request: &[u8]) -> (v1::RequestHeader, &[u8]) {
    let mut rest = request;
    assert_eq!(prost::encoding::decode_key(&mut rest), Ok((1, prost::encoding::WireType::LengthDelimited)));
    let length = prost::encoding::decode_varint(&mut rest).expect("a length");
    let (header, body) = rest.split_at(usize::try_from(length).expect("short"));
    (v1::RequestHeader::decode(header).expect("a header"), body)
}

fn last_segment_is_untouched(disk: &SimulatedDisk) -> bool {
    let last = disk.list().expect("a disk in memory").iter().filter_map(|name| number_of(name)).max();
    let content = last.and_then(|number| disk.content(&name_of(number)));
    content.is_some_and(|content| is_untouched(&content[BLOCK_LEN..]))
}

/// Settings of a hub that a seed draws.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) segment_len: u64,
    pub(super) snapshot_segments: u64,
}

impl Settings {
    /// A hub that cuts snapshots only when it is asked.
    pub(super) const PLAIN: Self = Self { segment_len: 64 << 10, snapshot_segments: 0 };
}

/// The furnished disk, and where the keys are.
pub(super) struct World {
    furnished: Disks,
    pub(super) patients: Vec<Patient>,
    /// Sequence of the last record on that disk.
    pub(super) sequence: u64,
    keys: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let keys = tempfile::tempdir().expect("a scratch directory");
        key_ring(&keys);
        let furnished = Disks::new(SimulatedDisk::new(), false, MemoryIndex::default(), DirectoryId([0; 16]));
        let mut world = Self { furnished, patients: Vec::new(), sequence: 0, keys };
        let files = world.furnished.in_a_process();
        let index = world.furnished.index.clone();
        let engine = world.open(files, Settings::PLAIN, &index, &Time::at(NOW_MS)).expect("opened");
        world.furnished.directory = engine.report().directory;
        let ids = Arc::new(AtomicU64::new(1));
        let rename = move |request: &[u8]| named(request, &format!("founding-{}", ids.fetch_add(1, Relaxed)));
        let office = Caller::new(&engine, OFFICE, Place::Office.roles_of()).renaming(Arc::new(rename));
        visits::furnish(&office);
        world.patients = (1..=PATIENTS).map(|number| request::enroll(&office, number)).collect();
        let status: v1::OperationsStatusResponse = Caller::new(&engine, OFFICE, Place::Office.roles_of())
            .get(medsettle_wire::Operation::OperationsStatus, &v1::OperationsStatusRequest::default());
        world.sequence = split_header(&status.encode_to_vec()).0.sequence;
        // The preparer goes its own way here; the disk is the same once the segment behind the active one lies ready.
        until("the next segment is prepared", || last_segment_is_untouched(&world.furnished.data));
        drop(engine);
        world
    }

    /// A furnished disk of one's own, with the archive on it or apart.
    pub(super) fn disks(&self, apart: bool) -> Disks {
        let Disks { data, index, directory, .. } = self.furnished.copy();
        Disks::new(data, apart, index, directory)
    }

    pub(super) fn open(
        &self,
        files: JournalFiles,
        settings: Settings,
        index: &MemoryIndex,
        time: &Time,
    ) -> Result<Engine, OpenError> {
        let kek = Kek::from_file(&self.keys.path().join("kek")).expect("64 digits");
        let ring: PathBuf = self.keys.path().join("keys.json");
        let Settings { segment_len, snapshot_segments } = settings;
        let index = IndexHome::Memory(index.clone());
        let config = Config { keys: Some((ring, kek)), segment_len, snapshot_segments, index, ..config() };
        Engine::open_on(files, config, Box::new(time.clone()))
    }
}
