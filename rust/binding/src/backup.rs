//! Making and restoring backups, behind `medsettle.journal`.
//!
//! Invariant: files are written and read detached.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use medsettle_engine::backup::{self, BackupError};
use medsettle_wire::record::SCHEMA;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::{
    BackupUnusable, CorruptJournal, DirectoryLocked, ServerForgot, journal_error, os_failure, value_error,
};
use crate::journal::Telling;

/// A backup that takes frames and snapshots in.
#[pyclass(frozen, module = "medsettle._core")]
pub(crate) struct Backup(Mutex<backup::Backup>);

#[pymethods]
impl Backup {
    /// Begin a backup in a directory, or go on with the one that is there.
    #[staticmethod]
    fn open(py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        let opened = py.detach(|| backup::Backup::open(&directory, SCHEMA));
        Ok(Self(Mutex::new(opened.map_err(backup_error)?)))
    }

    /// The last frame taken in, as (number, last sequence, hash).
    fn tail<'py>(&self, py: Python<'py>) -> (u64, u64, Bound<'py, PyBytes>) {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner).tail();
        (tail.number, tail.last_sequence, PyBytes::new(py, &tail.hash.0))
    }

    /// Take in frames as (number, content): the last one again, or those that follow.
    fn take(&self, py: Python<'_>, frames: Vec<(u64, Vec<u8>)>) -> PyResult<()> {
        self.on(py, |backup| frames.iter().try_for_each(|(number, content)| backup.take(*number, content)))
    }

    /// Make durable what was taken in of frames.
    fn keep(&self, py: Python<'_>) -> PyResult<()> {
        self.on(py, backup::Backup::keep)
    }

    /// The frame behind which the newest snapshot of the backup stands; 0 without one.
    fn snapshot_frame(&self, py: Python<'_>) -> PyResult<u64> {
        self.on(py, |backup| backup.snapshot_frame())
    }

    /// Take in the next bytes of the snapshot behind a frame.
    fn take_snapshot(&self, py: Python<'_>, frame: u64, content: Vec<u8>) -> PyResult<()> {
        self.on(py, |backup| backup.take_snapshot(frame, &content))
    }

    /// Check and keep the snapshot that was taken in; gives the reason why it cannot be used.
    fn keep_snapshot(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.on(py, backup::Backup::keep_snapshot)?.map(|unfit| unfit.to_string()))
    }

    /// Throw away what was taken in of a snapshot.
    fn discard_snapshot(&self, py: Python<'_>) -> PyResult<()> {
        self.on(py, backup::Backup::discard_snapshot)
    }
}

impl Backup {
    fn on<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut backup::Backup) -> Result<T, BackupError> + Send,
    ) -> PyResult<T> {
        py.detach(|| work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))).map_err(backup_error)
    }
}

/// Make a data directory of a backup.
#[pyfunction]
#[pyo3(signature = (backup, data, segment_bytes, now_ms, progress))]
pub(crate) fn restore(
    py: Python<'_>,
    backup: PathBuf,
    data: PathBuf,
    segment_bytes: u64,
    now_ms: i64,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'_, PyDict>> {
    let mut telling = Telling::to(progress);
    let restored = py.detach(|| {
        backup::restore(&backup, &data, segment_bytes, SCHEMA, now_ms, &mut |done, total| telling.tell(done, total))
    });
    telling.raised()?;
    let restored = restored.map_err(backup_error)?;
    let dict = PyDict::new(py);
    dict.set_item("hub", restored.hub.0)?;
    dict.set_item("directory", restored.directory.to_string())?;
    dict.set_item("frames", restored.frames)?;
    dict.set_item("last_sequence", restored.last_sequence)?;
    dict.set_item("last_hash", PyBytes::new(py, &restored.last_hash.0))?;
    dict.set_item("epoch", restored.epoch)?;
    dict.set_item("snapshot_frame", restored.snapshot_frame)?;
    dict.set_item("passed", restored.passed)?;
    Ok(dict)
}

fn backup_error(error: BackupError) -> PyErr {
    let text = error.to_string();
    match error {
        BackupError::Damaged(_) => CorruptJournal::new_err(text),
        BackupError::Forgotten { .. } => ServerForgot::new_err(text),
        BackupError::Busy { .. } => DirectoryLocked::new_err(text),
        BackupError::NotNext { .. } | BackupError::NoBackup { .. } => BackupUnusable::new_err(text),
        BackupError::TargetNotEmpty { .. } | BackupError::OfHub { .. } => value_error(text),
        BackupError::Io { .. } | BackupError::Index(_) => os_failure(text),
        BackupError::Journal(error) => journal_error(&error),
    }
}
