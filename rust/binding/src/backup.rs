//! Making, checking and restoring backups, behind `medsettle.journal`.
//!
//! Invariant: files are written and read detached.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use medsettle_engine::backup::{self, BackupError, CheckedBackup};
use medsettle_engine::error::Finding;
use medsettle_wire::record::SCHEMA;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::{
    BackupUnusable, CorruptJournal, DirectoryLocked, ServerForgot, journal_error, os_failure, value_error,
};
use crate::journal::{Telling, described, described_snapshot};

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

    /// Make durable what was taken in of frames, and release the directory.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.on(py, backup::Backup::close)
    }

    /// The frame behind which the newest snapshot of the backup stands; 0 without one that can be used.
    fn snapshot_frame(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).snapshot_frame()
    }

    /// The snapshots that were there as it was opened and cannot be used, each with the reason.
    fn passed(&self) -> Vec<String> {
        let backup = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        backup.passed().iter().map(ToString::to_string).collect()
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

/// Whether a directory holds a backup rather than a journal.
#[pyfunction]
pub(crate) fn is_backup(directory: PathBuf) -> bool {
    backup::is_backup(&directory)
}

/// Check all of a backup; `progress` gets the bytes done and the bytes in all.
#[pyfunction]
#[pyo3(signature = (directory, progress))]
pub(crate) fn verify_backup(
    py: Python<'_>,
    directory: PathBuf,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'_, PyDict>> {
    let mut telling = Telling::to(progress);
    let checked = py.detach(|| backup::check(&directory, SCHEMA, &mut |done, total| telling.tell(done, total)));
    telling.raised()?;
    let CheckedBackup { pieces, frames, records, tail, snapshots, unfinished, findings } =
        checked.map_err(backup_error)?;
    let dict = PyDict::new(py);
    dict.set_item("pieces", pieces)?;
    dict.set_item("frames", frames)?;
    dict.set_item("records", records)?;
    dict.set_item("last_frame", tail.number)?;
    dict.set_item("last_sequence", tail.last_sequence)?;
    dict.set_item("last_hash", PyBytes::new(py, &tail.hash.0))?;
    let snapshots: PyResult<Vec<_>> = snapshots.iter().map(|sound| described_snapshot(py, sound)).collect();
    dict.set_item("snapshots", snapshots?)?;
    dict.set_item("unfinished", unfinished.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())?;
    dict.set_item("frames_are_whole", findings.iter().all(|finding| finding.damage.spares_the_journal()))?;
    let told = |finding: &Finding| described(py, finding, &finding.advice_in_backup());
    dict.set_item("findings", findings.iter().map(told).collect::<PyResult<Vec<_>>>()?)?;
    Ok(dict)
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
        BackupError::NotNext { .. } | BackupError::NoBackup { .. } | BackupError::Closed { .. } => {
            BackupUnusable::new_err(text)
        }
        BackupError::TargetNotEmpty { .. } | BackupError::OfHub { .. } => value_error(text),
        BackupError::Io { .. } | BackupError::Index(_) => os_failure(text),
        BackupError::Journal(error) => journal_error(&error),
    }
}
