//! What the journal asks of a disk: a handful of operations on files and on one directory.
//!
//! Invariant: `write_at` takes all bytes or fails; nothing here retries.
//! Invariant: names are plain file names in the one data directory; nobody else builds paths.
//! Trusted of the medium (see FORMAT.md): a sector of 512 bytes is written whole or not at all.
//! The real disk is in `disk`; `simulated` (feature `simulated-disk`) tears, loses and refuses.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

mod disk;
#[cfg(any(test, feature = "simulated-disk"))]
pub mod simulated;

pub use disk::DataDirectory;
pub(crate) use disk::{LOCK_NAME, close_directory, free_bytes, make_directory, make_file, open_regular};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading through the page cache.
    Read,
    /// Reading what the medium holds: what is dirty is written back first, then the page cache is avoided.
    ReadMedium,
    /// Reading and writing through the page cache.
    Write,
}

/// One open file. Offsets and lengths are multiples of 4,096 except for `Read`.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a segment is empty by its length")]
pub trait StorageFile: Send + Sync {
    /// Bytes of the file.
    fn len(&self) -> io::Result<u64>;
    /// Fill `buffer` from `offset`, or fail.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Write all of `bytes` at `offset`, or fail; after a failure any of their sectors may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Make what was written durable. After a failure nothing is known and it must not be called again.
    fn sync_data(&self) -> io::Result<()>;
}

/// One data directory.
pub trait Storage: Send + Sync {
    /// Where `name` is, or the directory itself for an empty name; for messages.
    fn path_of(&self, name: &str) -> PathBuf;
    /// Where archived segments lie, if not here; for messages.
    fn archive_path(&self) -> Option<PathBuf> {
        None
    }
    /// Bytes that are free where it lies, if that can be asked; for messages.
    fn free_bytes(&self) -> Option<u64> {
        None
    }
    /// All names in the directory, sorted.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Whether there is a file called `name`.
    fn exists(&self, name: &str) -> io::Result<bool>;
    /// Open the existing file called `name`.
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>>;
    /// The file called `name` where it lies a second time, if it does, with its place: for those who compare the two.
    fn open_copy(&self, _name: &str) -> Option<(PathBuf, io::Result<Box<dyn StorageFile>>)> {
        None
    }
    /// A new file, written past the page cache where the file system can; an older one of that name is removed.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;
    /// Give a file another name, replacing a file of that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// The same, but a file of that name stays what it is: `AlreadyExists`.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;
    /// Take a file's name away; what still reads it goes on reading.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Make names durable.
    fn sync_directory(&self) -> io::Result<()>;
    /// Take the directory for this process.
    fn lock(&self) -> Result<DirectoryLock, LockError>;
}

/// What an operator reads when a disk has no room: how much is free, and how much is needed.
pub(crate) fn told_full(what: &str, free: Option<u64>, needed: u64) -> String {
    let amount =
        |bytes: u64| if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) };
    let (needed, free) = (amount(needed), free.map_or_else(|| "less".into(), amount));
    format!("DISK_FULL: {what} needs {needed} and {free} is free; new work is refused until there is room")
}

/// What an operator reads when there is room again.
pub(crate) fn told_room(what: &str) -> String {
    format!("{what} has room again")
}

/// Why the directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("held by another process")]
    Held {
        /// The holder's process id, if the lock file tells it.
        holder_pid: Option<u32>,
    },
    /// It could not be found out.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The exclusive lock on a data directory; released when the last clone is dropped.
#[derive(Clone)]
pub struct DirectoryLock {
    holder: Arc<Mutex<Option<Box<dyn Send>>>>,
}

impl DirectoryLock {
    pub(crate) fn new(holder: Box<dyn Send>) -> Self {
        Self { holder: Arc::new(Mutex::new(Some(holder))) }
    }

    /// Close the descriptor that a forked child inherited. The parent keeps the lock; without this the child would
    /// hold it beyond the parent's death.
    pub fn close_inherited(&self) {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Bytes whose address is a multiple of 4,096, as reads and writes past the page cache require.
pub(crate) struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    const ALIGNMENT: usize = 4096;

    pub(crate) fn zeroed(len: usize) -> Self {
        let bytes = vec![0; len + Self::ALIGNMENT];
        let start = bytes.as_ptr().align_offset(Self::ALIGNMENT);
        Self { bytes, start, len }
    }
}

impl std::ops::Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl std::ops::DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_what_is_free_and_what_is_needed() {
        let told = |free| told_full("the records index", free, 256 << 20);
        let both =
            "DISK_FULL: the records index needs 256 MiB and 3 MiB is free; new work is refused until there is room";
        assert_eq!(told(Some(3 << 20)), both);
        assert!(told(Some(7 << 10)).contains("7 KiB is free"));
        assert!(told(None).contains("less is free"));
    }
}
