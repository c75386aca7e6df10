//! A disk in memory that can tear, lose, fill up and refuse.
//!
//! It keeps apart what the page cache shows, what is dirty and what the medium holds. A crash keeps of the dirty sectors
//! those that the test chooses. A failed sync leaves the dirty pages clean and unwritten, as Linux does: a second sync
//! would succeed and the data would be gone.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, DirectoryLock, LockError, Storage, StorageFile};
use crate::journal::frame::SECTOR_LEN;

/// What goes wrong at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The call fails and has no effect; the dirty pages of a sync are lost.
    InputOutput,
    /// A write stops after this many bytes; a sync writes this many bytes of what is dirty and fails.
    Short(usize),
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    /// The directory as processes see it, and as it is after a crash.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    files: Vec<FileState>,
    locked: bool,
    /// Open files of processes that died belong to earlier generations.
    generation: u64,
    capacity: Option<usize>,
    segment_calls: u64,
    failure: Option<(u64, Failure)>,
}

#[derive(Clone, Default)]
struct FileState {
    cache: Vec<u8>,
    medium: Vec<u8>,
    /// Sectors written to the cache but not synced, oldest first.
    dirty: Vec<(usize, Vec<u8>)>,
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another disk with the same content and nobody using it.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = State { locked: false, failure: None, ..self.state().clone() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The process dies and the power with it. Of the sectors that were not synced, those stay for which `stays` (given
    /// the offset in the file) says so; names not synced are lost.
    pub fn crash(&self, mut stays: impl FnMut(u64) -> bool) {
        let mut state = self.state();
        for file in &mut state.files {
            for (offset, sector) in std::mem::take(&mut file.dirty) {
                if stays(offset as u64) {
                    write(&mut file.medium, offset, &sector);
                }
            }
            file.cache.clone_from(&file.medium);
        }
        state.names = state.durable_names.clone();
        state.generation += 1;
        state.locked = false;
    }

    /// The process dies; the page cache and the names stay.
    pub fn kill(&self) {
        let mut state = self.state();
        state.generation += 1;
        state.locked = false;
    }

    /// Let the `nth` (from 0) write or sync of a segment from now on fail; fillings do not count.
    pub fn fail_segment_call(&self, nth: u64, failure: Failure) {
        let mut state = self.state();
        state.failure = Some((state.segment_calls + nth, failure));
    }

    /// How many writes and syncs of segments there were.
    pub fn segment_calls(&self) -> u64 {
        self.state().segment_calls
    }

    /// Bound the bytes of all files together.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.state().capacity = bytes;
    }

    /// What the page cache shows of `name`, if there is that file.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|file| state.files[*file].cache.clone())
    }

    /// Replace or make `name`, durably.
    pub fn set_content(&self, name: &str, content: Vec<u8>) {
        let mut state = self.state();
        state.files.push(FileState { cache: content.clone(), medium: content, dirty: Vec::new() });
        let file = state.files.len() - 1;
        state.names.insert(name.to_owned(), file);
        state.durable_names.insert(name.to_owned(), file);
    }

    /// Change the bytes at `offset` of `name`, durably.
    pub fn patch(&self, name: &str, offset: usize, bytes: &[u8]) {
        let mut state = self.state();
        let file = state.names[name];
        write(&mut state.files[file].cache, offset, bytes);
        write(&mut state.files[file].medium, offset, bytes);
    }

    /// Let the medium hold another bit than was written; the page cache goes on showing the right one.
    pub fn rot(&self, name: &str, offset: usize, bit: u8) {
        let mut state = self.state();
        let file = state.names[name];
        state.files[file].medium[offset] ^= 1 << bit;
    }

    /// Remove `name`, durably.
    pub fn remove(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Count a call on a segment; the failure that is due, if one is.
    fn count_segment_call(&mut self) -> Option<Failure> {
        let call = self.segment_calls;
        self.segment_calls += 1;
        self.failure.filter(|(at, _)| *at == call).map(|(_, failure)| failure)
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

fn input_output_error() -> io::Error {
    io::Error::other("input/output error")
}

impl Storage for SimulatedDisk {
    fn path_of(&self, name: &str) -> PathBuf {
        PathBuf::from("/simulated").join(name).components().collect()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.state().names.contains_key(name))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let mut state = self.state();
        let file = state.find(name)?;
        if access == Access::ReadMedium {
            // What is written back lies in the cache of the device: it is read from there, and a power cut takes it all the same.
            let content = &mut state.files[file];
            content.cache.clone_from(&content.medium);
            for (offset, sector) in &content.dirty {
                write(&mut content.cache, *offset, sector);
            }
        }
        let is_segment = crate::journal::segment::number_of(name).is_some();
        Ok(Box::new(SimulatedFile { disk: self.clone(), file, generation: state.generation, is_segment }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut state = self.state();
        if let Some(old) = state.names.get(name).copied() {
            state.files[old] = FileState::default();
        }
        state.files.push(FileState::default());
        let file = state.files.len() - 1;
        state.names.insert(name.to_owned(), file);
        Ok(Box::new(SimulatedFile { disk: self.clone(), file, generation: state.generation, is_segment: false }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        if self.exists(to)? { Err(ErrorKind::AlreadyExists.into()) } else { self.rename(from, to) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.find(name)?;
        state.names.remove(name);
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn lock(&self) -> Result<DirectoryLock, LockError> {
        let mut state = self.state();
        if state.locked {
            return Err(LockError::Held { holder_pid: Some(std::process::id()) });
        }
        state.locked = true;
        Ok(DirectoryLock::new(Box::new(SimulatedLock { disk: self.clone(), generation: state.generation })))
    }
}

struct SimulatedLock {
    disk: SimulatedDisk,
    generation: u64,
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.generation == self.generation {
            state.locked = false;
        }
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
    generation: u64,
    is_segment: bool,
}

impl SimulatedFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.generation == self.generation { Ok(state) } else { Err(io::Error::other("the process died")) }
    }
}

impl StorageFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.file].cache.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state()?;
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.files[self.file].cache.get(from..from + buffer.len()).ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let failure = if self.is_segment { state.count_segment_call() } else { None };
        let taken = match failure {
            None => bytes.len(),
            Some(Failure::InputOutput) => return Err(input_output_error()),
            Some(Failure::Short(len)) => len.min(bytes.len()),
        };
        let used: usize = state.names.values().map(|file| state.files[*file].cache.len()).sum();
        let grows_by = (from + taken).saturating_sub(state.files[self.file].cache.len());
        if state.capacity.is_some_and(|capacity| grows_by > 0 && used + grows_by > capacity) {
            return Err(ErrorKind::StorageFull.into());
        }
        let file = &mut state.files[self.file];
        write(&mut file.cache, from, &bytes[..taken]);
        for (sector, at) in bytes[..taken].chunks(SECTOR_LEN).zip((from..).step_by(SECTOR_LEN)) {
            file.dirty.push((at, sector.to_vec()));
        }
        if taken == bytes.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        let failure = if self.is_segment { state.count_segment_call() } else { None };
        let file = &mut state.files[self.file];
        let mut left = match failure {
            None => usize::MAX,
            Some(Failure::InputOutput) => 0,
            Some(Failure::Short(len)) => len,
        };
        for (offset, sector) in std::mem::take(&mut file.dirty) {
            if left >= sector.len() {
                left -= sector.len();
                write(&mut file.medium, offset, &sector);
            }
        }
        if failure.is_none() { Ok(()) } else { Err(input_output_error()) }
    }
}
