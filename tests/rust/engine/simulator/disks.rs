//! What a simulated hub keeps when its machine is gone: the disk of its data directory, that of its archive, and its index.
//!
//! Invariant: a copy has everything of its own, so that it may be damaged, or go another way.
//! Invariant: what was cut as a snapshot and bears its name is sound, whatever became of the machine.

use std::sync::Arc;

use fastrand::Rng;
use medsettle_engine::archive::JournalFiles;
use medsettle_engine::index::MemoryIndex;
use medsettle_engine::journal::{DirectoryId, HubId};
use medsettle_engine::snapshot::{self, Head};
use medsettle_engine::storage::Storage as _;
use medsettle_engine::storage::simulated::SimulatedDisk;

use super::machine::Machine;
use crate::process::Process;
use crate::support::config;

/// The disks and the index of one hub.
pub(super) struct Disks {
    pub(super) data: SimulatedDisk,
    pub(super) archive: SimulatedDisk,
    /// The archive has a disk of its own.
    pub(super) apart: bool,
    pub(super) index: MemoryIndex,
    /// What a power cut leaves of the index.
    durable_index: MemoryIndex,
    /// The index was gone when this snapshot was the newest: it need not be as far as those up to it, only as those that follow.
    promised_behind: u64,
    pub(super) directory: DirectoryId,
}

impl Disks {
    /// A hub's own disk, whose archive goes elsewhere if `apart`.
    pub(super) fn new(data: SimulatedDisk, apart: bool, index: MemoryIndex, directory: DirectoryId) -> Self {
        let archive = if apart { SimulatedDisk::new() } else { data.clone() };
        let durable_index = index.durable_copy();
        Self { data, archive, apart, index, durable_index, promised_behind: 0, directory }
    }

    /// The same again, and nobody using it.
    pub(super) fn copy(&self) -> Self {
        let data = self.data.copy();
        let archive = if self.apart { self.archive.copy() } else { data.clone() };
        let (index, durable_index) = (self.index.copy(), self.durable_index.copy());
        let Self { apart, promised_behind, directory, .. } = *self;
        Self { data, archive, apart, index, durable_index, promised_behind, directory }
    }

    /// The machine dies now: what the index makes durable while its threads end is too late.
    pub(super) fn cut_off_index(&mut self) {
        self.durable_index = self.index.durable_copy();
    }

    /// The journal as it lies there.
    pub(super) fn files(&self) -> JournalFiles {
        JournalFiles::new(Arc::new(self.data.clone()), Arc::new(self.archive.clone()))
    }

    /// The journal as a process has it that dies with the test's engine.
    pub(super) fn in_a_process(&self) -> JournalFiles {
        JournalFiles::new(Arc::new(Process::on(&self.data)), Arc::new(Process::on(&self.archive)))
    }

    /// The journal as a machine has it whose calls wait for leave.
    pub(super) fn on(&self, machine: &Machine) -> JournalFiles {
        JournalFiles::new(Arc::new(machine.clone()), Arc::new(machine.beside(&self.archive)))
    }

    fn each(&self) -> impl Iterator<Item = &SimulatedDisk> {
        std::iter::once(&self.data).chain(self.apart.then_some(&self.archive))
    }

    /// The process is gone, or the power: of what was not synced, what the seed lets stay stays.
    pub(super) fn strike(&mut self, rng: &mut Rng) {
        let how = rng.u32(..5);
        for disk in self.each() {
            match how {
                0 | 1 => disk.kill(),
                2 => disk.crash(|_| false),
                3 => disk.crash(|_| true),
                _ => {
                    let mut stays = rng.fork();
                    disk.crash(|_| stays.bool());
                }
            }
        }
        if how > 1 {
            self.index = self.durable_index.copy();
        }
        // Somebody throws it away, or it was on a disk that is no more.
        if rng.u32(..12) == 0 {
            self.index = MemoryIndex::default();
            self.promised_behind = self.snapshots().first().map_or(0, |head| head.tail.number);
        }
    }

    /// Every file whose name ends so, with the disk it lies on.
    pub(super) fn named(&self, endings: &[&str]) -> Vec<(SimulatedDisk, String)> {
        let within = |disk: &SimulatedDisk| {
            let names = disk.list().expect("a disk in memory").into_iter();
            let wanted = names.filter(|name| endings.iter().any(|ending| name.ends_with(ending)));
            wanted.map(|name| (disk.clone(), name)).collect::<Vec<_>>()
        };
        self.each().flat_map(within).collect()
    }

    /// Heads of all snapshots, newest first.
    pub(super) fn snapshots(&self) -> Vec<Head> {
        let numbers = snapshot::numbers(&self.data).expect("a disk in memory");
        let read = |number: &u64| {
            let hub = HubId(config().hub.get().into());
            let head = snapshot::read(&self.data, self.directory, hub, *number, &mut |_| Ok(()));
            head.unwrap_or_else(|unfit| panic!("a snapshot that has its name: {unfit}"))
        };
        numbers.iter().map(read).collect()
    }

    /// The newest snapshot, and the newest that a start may begin with: the index must be as far.
    pub(super) fn newest_and_usable(&self) -> (Option<u64>, Option<u64>) {
        let (heads, reached) = (self.snapshots(), self.index.sequence());
        let is_usable = |head: &&Head| head.tail.last_sequence <= reached;
        for head in heads.iter().filter(|head| head.tail.number > self.promised_behind) {
            assert!(is_usable(&head), "a snapshot has its name, and the index is behind it");
        }
        let number = |head: &Head| head.tail.number;
        (heads.first().map(number), heads.iter().find(is_usable).map(number))
    }
}
