//! A simulated disk as a hub sees it, with somebody in between who may hold, fail or end every call.
//!
//! Invariant: no call reaches the disk but by its watcher, and each does so whole, or with the effect that the watcher chose.
//! Leaves out: what becomes of a call (`process` for tests with one plan, `simulator/machine` for histories).

use std::io;
use std::path::PathBuf;

use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::storage::{Access, DirectoryLock, LockError, Storage, StorageFile};

/// A call that changes a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Create,
    Write {
        offset: u64,
        len: usize,
    },
    Sync,
    Rename,
    Remove,
    SyncDirectory,
    /// Opening for the medium writes back what is dirty.
    WriteBack,
}

/// A call with what it is about.
pub(crate) struct Change<'a> {
    pub(crate) call: Call,
    pub(crate) disk: &'a SimulatedDisk,
    /// The file; of a renaming, the name that it gets.
    pub(crate) name: &'a str,
    /// The file was there when it was opened, as opposed to one that is being made.
    pub(crate) existed: bool,
}

/// Who stands between a hub and its disk.
pub(crate) trait Watcher: Clone + Send + Sync + 'static {
    /// Make a call that changes nothing, unless the process is dead.
    fn look<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T>;

    /// Make a call that changes the disk, or not, or let something else become of it.
    fn change<T>(&self, change: &Change<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T>;

    /// A file is opened to be written to.
    fn opened_for_writing(&self, _name: &str) {}
}

/// A disk under the eyes of a watcher. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Watched<W> {
    pub(crate) disk: SimulatedDisk,
    pub(crate) watcher: W,
}

impl<W: Watcher> Watched<W> {
    fn change<T>(
        &self,
        call: Call,
        name: &str,
        existed: bool,
        act: impl FnOnce(&SimulatedDisk) -> io::Result<T>,
    ) -> io::Result<T> {
        self.watcher.change(&Change { call, disk: &self.disk, name, existed }, || act(&self.disk))
    }

    fn watch(&self, name: &str, file: Box<dyn StorageFile>, existed: bool) -> Box<dyn StorageFile> {
        Box::new(WatchedFile { on: self.clone(), name: name.to_owned(), file, existed })
    }
}

impl<W: Watcher> Storage for Watched<W> {
    fn path_of(&self, name: &str) -> PathBuf {
        self.disk.path_of(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.watcher.look(|| self.disk.list())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.watcher.look(|| self.disk.exists(name))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = if access == Access::ReadMedium {
            self.change(Call::WriteBack, name, true, |disk| disk.open(name, access))?
        } else {
            self.watcher.look(|| self.disk.open(name, access))?
        };
        if access == Access::Write {
            self.watcher.opened_for_writing(name);
        }
        Ok(self.watch(name, file, true))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = self.change(Call::Create, name, false, |disk| disk.create(name))?;
        Ok(self.watch(name, file, false))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(Call::Rename, to, true, |disk| disk.rename(from, to))
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(Call::Rename, to, true, |disk| disk.rename_new(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(Call::Remove, name, true, |disk| Storage::remove(disk, name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.change(Call::SyncDirectory, "", true, Storage::sync_directory)
    }

    fn lock(&self) -> Result<DirectoryLock, LockError> {
        self.watcher.look(|| Ok(()))?;
        self.disk.lock()
    }
}

struct WatchedFile<W> {
    on: Watched<W>,
    name: String,
    file: Box<dyn StorageFile>,
    existed: bool,
}

impl<W: Watcher> StorageFile for WatchedFile<W> {
    fn len(&self) -> io::Result<u64> {
        self.on.watcher.look(|| self.file.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.on.watcher.look(|| self.file.read_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let call = Call::Write { offset, len: bytes.len() };
        self.on.change(call, &self.name, self.existed, |_| self.file.write_at(bytes, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.on.change(Call::Sync, &self.name, self.existed, |_| self.file.sync_data())
    }
}
