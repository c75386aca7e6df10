//! A data directory that is not open here, behind `medsettle.journal`.
//!
//! Invariant: nothing of a journal is changed, and only `reindex` takes the lock; walks are detached, and attach only to report progress.

use std::io;
use std::path::{Path, PathBuf};

use medsettle_engine::archive::JournalFiles;
use medsettle_engine::error::Finding;
use medsettle_engine::explain::{ExplainError, explain as tell};
use medsettle_engine::index::{IndexHome, Rebuilt, rebuild};
use medsettle_engine::journal::{FrameHash, FrameHeader, FrameRef};
use medsettle_engine::recovery::Unusable;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::verify::{self as walk, Seen};
use medsettle_wire::record::{SCHEMA, decode_body, encoded_records};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::errors::{CorruptJournal, journal_error, open_error};

/// Walk every frame and gather all that is wrong; `progress` gets the bytes done and the bytes in all.
#[pyfunction]
#[pyo3(signature = (data, progress))]
pub(crate) fn verify(py: Python<'_>, data: PathBuf, progress: Option<Py<PyAny>>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let directory = existing(&data)?;
    let mut raised = None;
    let report = py.detach(|| {
        let mut tell = telling(progress.as_ref(), &mut raised);
        let mut decode = |frame: &FrameRef<'_>| {
            decode_body(frame.body, frame.header.stamp_ms).map(drop).map_err(|error| Unusable(error.to_string()))
        };
        walk::verify(&directory, SCHEMA, &mut tell, &mut decode)
    });
    if let Some(error) = raised {
        return Err(error);
    }
    report.map_err(|error| journal_error(&error))?.findings.iter().map(|finding| described(py, finding)).collect()
}

/// Throw the records index away and make it again from the journal; returns how many frames and records that was.
#[pyfunction]
#[pyo3(signature = (data, progress))]
pub(crate) fn reindex(py: Python<'_>, data: PathBuf, progress: Option<Py<PyAny>>) -> PyResult<(u64, u64)> {
    let directory = existing(&data)?;
    let mut raised = None;
    let rebuilt =
        py.detach(|| rebuild(&directory, &IndexHome::within(&data), &mut telling(progress.as_ref(), &mut raised)));
    if let Some(error) = raised {
        return Err(error);
    }
    let Rebuilt { frames, records } = rebuilt.map_err(|error| open_error(&error))?;
    Ok((frames, records))
}

/// Tells how far a detached walk is; after an exception no more.
fn telling<'a>(progress: Option<&'a Py<PyAny>>, raised: &'a mut Option<PyErr>) -> impl FnMut(u64, u64) + 'a {
    move |done_bytes, total_bytes| {
        if let Some(progress) = progress.filter(|_| raised.is_none()) {
            *raised = Python::attach(|py| progress.call1(py, (done_bytes, total_bytes)).err());
        }
    }
}

fn described<'py>(py: Python<'py>, finding: &Finding) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("path", finding.path.to_string_lossy())?;
    dict.set_item("offset", finding.offset)?;
    dict.set_item("problem", finding.damage.to_string())?;
    Ok(dict)
}

/// Read `limit` frames from number `from_frame` on.
#[pyfunction]
pub(crate) fn inspect(
    py: Python<'_>,
    data: PathBuf,
    from_frame: u64,
    limit: usize,
) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let directory = existing(&data)?;
    let mut frames = Vec::new();
    let walked = py.detach(|| {
        walk::inspect(&directory, SCHEMA, &mut |seen| {
            if let Seen::Frame(frame) = seen
                && frame.header.number >= from_frame
                && frames.len() < limit
            {
                frames.push(Copied::new(&frame)?);
            }
            Ok(())
        })
    });
    walked.map_err(|error| journal_error(&error))?;
    frames.iter().map(|frame| frame.shown(py)).collect()
}

/// A frame with its records still encoded.
struct Copied {
    header: FrameHeader,
    hash: FrameHash,
    records: Vec<Vec<u8>>,
}

impl Copied {
    fn new(frame: &FrameRef<'_>) -> Result<Self, Unusable> {
        let records = encoded_records(frame.body).map_err(|error| Unusable(error.to_string()))?;
        let records = records.into_iter().map(<[u8]>::to_vec).collect();
        Ok(Self { header: frame.header.clone(), hash: frame.hash, records })
    }

    fn shown<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Self { header, hash, records } = self;
        let dict = PyDict::new(py);
        dict.set_item("number", header.number)?;
        dict.set_item("epoch", header.epoch)?;
        dict.set_item("stamp_ms", header.stamp_ms)?;
        dict.set_item("first_sequence", header.first_sequence)?;
        dict.set_item("last_sequence", header.last_sequence)?;
        dict.set_item("hash", PyBytes::new(py, &hash.0))?;
        dict.set_item("records", PyList::new(py, records.iter().map(|record| PyBytes::new(py, record)))?)?;
        Ok(dict)
    }
}

/// The lines about a settlement or an unwind; `None` where the journal knows neither by this number.
#[pyfunction]
pub(crate) fn explain(py: Python<'_>, data: PathBuf, id: u64) -> PyResult<Option<Vec<String>>> {
    let directory = existing(&data)?;
    py.detach(|| tell(&directory, id)).map_err(|error| match error {
        ExplainError::Journal(error) => journal_error(&error),
        ExplainError::Damaged(finding) => CorruptJournal::new_err(finding.to_string()),
    })
}

fn existing(data: &Path) -> PyResult<JournalFiles> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", data.display()));
    Ok(DataDirectory::existing(data).and_then(JournalFiles::of).map_err(named)?)
}
