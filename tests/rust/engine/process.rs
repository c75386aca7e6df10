//! A process on a simulated disk: it dies at a call of the test's choice, and its syncs can be held, refused or made to panic.
//!
//! Invariant: a dead process changes nothing any more, whatever its threads still try; so a crash is one moment for all of them.
//! Invariant: only what the running journal does to its segments is held or refused; opening and preparing go on.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use medsettle_engine::storage::simulated::SimulatedDisk;

use crate::watched::{Call, Change, Watched, Watcher};

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

/// Who decides what becomes of a process's calls.
#[derive(Clone, Default)]
pub(crate) struct Fate(Arc<Life>);

/// The process. Clones are the same one.
pub(crate) type Process = Watched<Fate>;

impl Process {
    pub(crate) fn on(disk: &SimulatedDisk) -> Self {
        Self { disk: disk.clone(), watcher: Fate::default() }
    }

    /// A process that dies instead of its `nth` (from 0) call that changes the disk.
    pub(crate) fn dying_at(disk: &SimulatedDisk, nth: u64) -> Self {
        let process = Self::on(disk);
        process.watcher.state().dies_at = Some(nth);
        process
    }

    pub(crate) fn die(&self) {
        self.watcher.state().dead = true;
        self.watcher.0.changed.notify_all();
    }

    /// From now on syncs of segments do this; held ones go on accordingly.
    pub(crate) fn set_sync(&self, sync: Sync) {
        self.watcher.state().sync = sync;
        self.watcher.0.changed.notify_all();
    }

    /// Wait until a sync is being held.
    pub(crate) fn until_held(&self) {
        let waiting = |state: &mut LifeState| state.held == 0;
        let waited = self.watcher.0.changed.wait_timeout_while(self.watcher.state(), PATIENCE, waiting);
        let late = waited.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        assert!(!late, "nobody syncs");
    }
}

impl Fate {
    fn state(&self) -> MutexGuard<'_, LifeState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The living process, for the time of one call.
    fn living(&self) -> io::Result<MutexGuard<'_, LifeState>> {
        let state = self.state();
        if state.dead { Err(io::Error::other("the process is dead")) } else { Ok(state) }
    }

    fn before_sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.held += 1;
        self.0.changed.notify_all();
        let held = |state: &mut LifeState| state.sync == Sync::Held && !state.dead;
        // A test that failed never lets go; its engine must still be able to close.
        let waited = self.0.changed.wait_timeout_while(state, PATIENCE, held);
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
}

impl Watcher for Fate {
    fn look<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let _living = self.living()?;
        act()
    }

    fn change<T>(&self, change: &Change<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if change.call == Call::Sync && change.existed {
            self.before_sync()?;
        }
        let mut state = self.living()?;
        if state.dies_at == Some(state.calls) {
            state.dead = true;
            self.0.changed.notify_all();
            return Err(io::Error::other("the process dies"));
        }
        state.calls += 1;
        act()
    }
}
