//! A process on a simulated disk: it dies at a call of the test's choice, and its syncs can be held, refused or made to panic.
//!
//! Invariant: a dead process changes nothing any more, whatever its threads still try; so a crash is one moment for all of them.
//! Invariant: only what the running journal does to its segments is held or refused; opening and preparing go on.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::storage::{Access, DirectoryLock, LockError, Storage, StorageFile};

/// Far longer than any test holds a sync.
const PATIENCE: Duration = Duration::from_mins(1);

/// What becomes of the next sync of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sync {
    #[default]
    Works,
    /// It waits until told otherwise.
    Held,
    Fails,
    Panics,
}

#[derive(Default)]
struct Life {
    state: Mutex<LifeState>,
    changed: Condvar,
}

#[derive(Default)]
struct LifeState {
    dead: bool,
    /// Changing calls so far, and the one at which the process dies.
    calls: u64,
    dies_at: Option<u64>,
    sync: Sync,
    /// Syncs that wait.
    held: usize,
}

/// The process. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Process {
    disk: SimulatedDisk,
    life: Arc<Life>,
}

impl Process {
    pub(crate) fn on(disk: &SimulatedDisk) -> Self {
        Self { disk: disk.clone(), life: Arc::default() }
    }

    /// A process that dies instead of its `nth` (from 0) call that changes the disk.
    pub(crate) fn dying_at(disk: &SimulatedDisk, nth: u64) -> Self {
        let process = Self::on(disk);
        process.state().dies_at = Some(nth);
        process
    }

    pub(crate) fn die(&self) {
        self.state().dead = true;
        self.life.changed.notify_all();
    }

    /// From now on syncs of segments do this; held ones go on accordingly.
    pub(crate) fn set_sync(&self, sync: Sync) {
        self.state().sync = sync;
        self.life.changed.notify_all();
    }

    /// Wait until a sync is being held.
    pub(crate) fn until_held(&self) {
        let waiting = |state: &mut LifeState| state.held == 0;
        let waited = self.life.changed.wait_timeout_while(self.state(), PATIENCE, waiting);
        let late = waited.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        assert!(!late, "nobody syncs");
    }

    fn state(&self) -> MutexGuard<'_, LifeState> {
        self.life.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The living process, for the time of one call.
    fn living(&self) -> io::Result<MutexGuard<'_, LifeState>> {
        let state = self.state();
        if state.dead { Err(io::Error::other("the process is dead")) } else { Ok(state) }
    }

    /// The same for a call that changes the disk, which may be the last.
    fn changing(&self) -> io::Result<MutexGuard<'_, LifeState>> {
        let mut state = self.living()?;
        if state.dies_at == Some(state.calls) {
            state.dead = true;
            self.life.changed.notify_all();
            return Err(io::Error::other("the process dies"));
        }
        state.calls += 1;
        Ok(state)
    }

    fn before_sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.held += 1;
        self.life.changed.notify_all();
        let held = |state: &mut LifeState| state.sync == Sync::Held && !state.dead;
        // A test that failed never lets go; its engine must still be able to close.
        let waited = self.life.changed.wait_timeout_while(state, PATIENCE, held);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.held -= 1;
        match state.sync {
            Sync::Works | Sync::Held => Ok(()),
            Sync::Fails => Err(io::Error::other("input/output error")),
            Sync::Panics => {
                drop(state);
                panic!("the disk driver of this test panics");
            }
        }
    }

    fn wrap(&self, file: io::Result<Box<dyn StorageFile>>, is_segment: bool) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(OpenFile { process: self.clone(), file: file?, is_segment }))
    }
}

impl Storage for Process {
    fn path_of(&self, name: &str) -> PathBuf {
        self.disk.path_of(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let _living = self.living()?;
        self.disk.list()
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let _living = self.living()?;
        self.disk.exists(name)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        // Opening for the medium writes back what is dirty.
        let _living = if access == Access::ReadMedium { self.changing()? } else { self.living()? };
        self.wrap(self.disk.open(name, access), true)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let _living = self.changing()?;
        self.wrap(self.disk.create(name), false)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let _living = self.changing()?;
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let _living = self.changing()?;
        Storage::remove(&self.disk, name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let _living = self.changing()?;
        self.disk.sync_directory()
    }

    fn lock(&self) -> Result<DirectoryLock, LockError> {
        let _living = self.living()?;
        self.disk.lock()
    }
}

struct OpenFile {
    process: Process,
    file: Box<dyn StorageFile>,
    /// An existing file, as opposed to one that is being made.
    is_segment: bool,
}

impl StorageFile for OpenFile {
    fn len(&self) -> io::Result<u64> {
        let _living = self.process.living()?;
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let _living = self.process.living()?;
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let _living = self.process.changing()?;
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_segment {
            self.process.before_sync()?;
        }
        let _living = self.process.changing()?;
        self.file.sync_data()
    }
}
