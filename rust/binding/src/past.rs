//! A hub as it was, behind `medsettle.journal.as_of`.
//!
//! Invariant: replay and reads are detached; nothing is changed on disk.

use std::path::PathBuf;

use medsettle_engine::{PastError, Until};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{journal_error, value_error};
use crate::journal::{Telling, damaged, existing};

/// The state of a hub at a moment or at a sequence.
#[pyclass(frozen, module = "medsettle._core")]
pub(crate) struct Past(medsettle_engine::Past);

#[pymethods]
impl Past {
    /// Fold the journal up to a moment or to a sequence, or to its end.
    #[staticmethod]
    #[pyo3(signature = (data, at_ms, sequence, progress))]
    fn replay(
        py: Python<'_>,
        data: PathBuf,
        at_ms: Option<i64>,
        sequence: Option<u64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let directory = existing(&data)?;
        let until = match (at_ms, sequence) {
            (Some(moment), None) => Until::Moment(moment),
            (None, Some(sequence)) => Until::Sequence(sequence),
            (None, None) => Until::Newest,
            (Some(_), Some(_)) => return Err(value_error("give either a moment or a sequence")),
        };
        let mut telling = Telling::to(progress);
        let past = py.detach(|| medsettle_engine::Past::replay(&directory, until, &mut |d, t| telling.tell(d, t)));
        telling.raised()?;
        past.map(Self).map_err(|error| match error {
            PastError::Journal(error) => journal_error(&error),
            PastError::Damaged(finding) => damaged(&finding, &data),
            PastError::NotYet { .. } => value_error(error),
        })
    }

    /// The last decision that is in it; 0 before the first.
    #[getter]
    fn sequence(&self) -> u64 {
        self.0.sequence()
    }

    /// When that was decided.
    #[getter]
    fn stamp_ms(&self) -> i64 {
        self.0.stamp_ms()
    }

    /// Ask one read by its operation's number.
    fn call<'py>(&self, py: Python<'py>, operation: u32, request: &[u8]) -> (bool, Bound<'py, PyBytes>) {
        let answer = py.detach(|| self.0.ask(operation, request));
        let ok = answer.is_ok();
        (ok, PyBytes::new(py, &answer.unwrap_or_else(|refusal| refusal)))
    }
}
