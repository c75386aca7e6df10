//! Files on their way into a hub, behind `medsettle.importing`: messages come out, answers go in.
//!
//! Invariant: Python is handed whole messages; no row and no field crosses.
//! Invariant: files are read detached.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use medsettle_import::limits::MAX_PARTS;
use medsettle_import::{self as import, Behind, Caller, FileError, Kind, Stopped, Totals};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::{ImportStopped, os_failure, value_error};
use crate::journal::Telling;

/// The import of one file.
#[pyclass(frozen, module = "medsettle._core")]
pub(crate) struct FileImport {
    import: Mutex<import::Import>,
    path: PathBuf,
}

#[pymethods]
impl FileImport {
    /// Begin at the beginning of a file; `sequence` and `chain_hash` are of the hub's newest decision.
    #[staticmethod]
    fn begin(
        py: Python<'_>,
        path: PathBuf,
        kind: &str,
        institution: String,
        operator: String,
        sequence: u64,
        chain_hash: [u8; 32],
    ) -> PyResult<Self> {
        let kind = named(kind)?;
        let caller = Caller { institution, operator };
        let begun = py.detach(|| import::Import::begin(&path, kind, caller, sequence, chain_hash));
        let import = Mutex::new(begun.map_err(|error| file_error(&path, &error))?);
        Ok(Self { import, path })
    }

    /// Go on where an earlier run came to; `behind` is what that run told.
    #[staticmethod]
    fn resume(
        py: Python<'_>,
        path: PathBuf,
        kind: &str,
        institution: String,
        operator: String,
        behind: &str,
    ) -> PyResult<Self> {
        let kind = named(kind)?;
        let caller = Caller { institution, operator };
        let behind = Behind::from_json(behind).map_err(|error| file_error(&path, &error))?;
        let resumed = py.detach(|| import::Import::resume(&path, kind, caller, behind));
        let import = Mutex::new(resumed.map_err(|error| file_error(&path, &error))?);
        Ok(Self { import, path })
    }

    /// Put together the next message, with its number; None where answers must come first, or nothing is left.
    fn next_message<'py>(&self, py: Python<'py>, now_ms: i64) -> PyResult<Option<(u64, Bound<'py, PyBytes>)>> {
        let next = self.on(py, |import| import.next_message(now_ms))?;
        Ok(next.map(|(number, message)| (number, PyBytes::new(py, &message))))
    }

    /// Take in what the hub answered to a message.
    fn take_answer(&self, py: Python<'_>, number: u64, answer: &[u8]) -> PyResult<()> {
        self.on(py, |import| import.take_answer(number, answer))
    }

    /// Bytes for the end of the rejects file; each is given once.
    fn take_rejects<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.locked().take_rejects())
    }

    /// What is behind, to go on from; a JSON object.
    fn behind(&self) -> String {
        self.locked().behind().to_json()
    }

    /// Sequence and frame hash of the hub's newest decision that is known.
    fn seen<'py>(&self, py: Python<'py>) -> (u64, Bound<'py, PyBytes>) {
        let behind = *self.locked().behind();
        (behind.sequence, PyBytes::new(py, &behind.chain_hash))
    }

    /// Control totals of the rows that are behind.
    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        totals(py, &self.locked().behind().totals)
    }

    /// How much of the file is read, and how much it is.
    fn progress(&self) -> (u64, u64) {
        self.locked().progress()
    }

    /// Whether nothing is left.
    fn is_done(&self) -> bool {
        self.locked().is_done()
    }
}

impl FileImport {
    fn locked(&self) -> std::sync::MutexGuard<'_, import::Import> {
        self.import.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut import::Import) -> Result<T, Stopped> + Send,
    ) -> PyResult<T> {
        py.detach(|| work(&mut self.locked())).map_err(|stopped| match stopped {
            Stopped::File(error) => file_error(&self.path, &error),
            stopped => ImportStopped::new_err(stopped.to_string()),
        })
    }
}

/// The check of one file, without a hub.
#[pyclass(frozen, module = "medsettle._core")]
pub(crate) struct FileCheck {
    check: Mutex<import::Check>,
    path: PathBuf,
}

#[pymethods]
impl FileCheck {
    /// Open a file and check its header.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf, kind: &str) -> PyResult<Self> {
        let kind = named(kind)?;
        let opened = py.detach(|| import::Check::open(&path, kind));
        let check = Mutex::new(opened.map_err(|error| file_error(&path, &error))?);
        Ok(Self { check, path })
    }

    /// Look at some more rows; False at the end.
    fn step(&self, py: Python<'_>) -> PyResult<bool> {
        py.detach(|| self.locked().step()).map_err(|error| file_error(&self.path, &error))
    }

    /// Bytes for the end of a rejects file; each is given once.
    fn take_rejects<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.locked().take_rejects())
    }

    /// Control totals of what was seen; as imported counts what is well formed.
    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        totals(py, self.locked().totals())
    }

    /// How much of the file was seen, and how much it is.
    fn progress(&self) -> (u64, u64) {
        self.locked().progress()
    }
}

impl FileCheck {
    fn locked(&self) -> std::sync::MutexGuard<'_, import::Check> {
        self.check.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Length and hash of a file.
#[pyfunction]
#[pyo3(signature = (path, progress))]
pub(crate) fn import_fingerprint(
    py: Python<'_>,
    path: PathBuf,
    progress: Option<Py<PyAny>>,
) -> PyResult<(u64, String)> {
    let mut telling = Telling::to(progress);
    let found = py.detach(|| import::fingerprint(&path, &mut |done, total| telling.tell(done, total)));
    telling.raised()?;
    found.map_err(|error| file_error(&path, &FileError::Io(error)))
}

/// A column as (name, required, how often it may stand, money, what stands in it).
type Described = (&'static str, bool, usize, bool, &'static str);

/// The columns of a kind of file.
#[pyfunction]
pub(crate) fn import_columns(kind: &str) -> PyResult<Vec<Described>> {
    let described = |column: &import::Column| {
        let times = if column.part.is_some() { MAX_PARTS } else { 1 };
        (column.name, column.required, times, column.money, column.about)
    };
    Ok(named(kind)?.columns().iter().map(described).collect())
}

fn named(kind: &str) -> PyResult<Kind> {
    Kind::from_name(kind).ok_or_else(|| value_error(format!("no kind of file is called {kind:?}")))
}

fn totals<'py>(py: Python<'py>, totals: &Totals) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let sums = [("imported", totals.imported), ("already", totals.already), ("rejected", totals.rejected)];
    for (name, sum) in sums {
        dict.set_item(name, (sum.rows, sum.fen))?;
    }
    Ok(dict)
}

fn file_error(path: &Path, error: &FileError) -> PyErr {
    let text = format!("{}: {error}", path.display());
    match error {
        FileError::Io(_) => os_failure(text),
        FileError::Refused(_) | FileError::Checkpoint(_) => value_error(text),
    }
}
