//! A data directory that is not open here, behind `medsettle.journal`.
//!
//! Invariant: nothing of a journal is changed, and only `reindex` takes the lock; walks are detached, and attach only to report progress.
//! Invariant: frames come one by one from a thread that reads ahead by a few; a reader who stops ends that thread.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use medsettle_engine::archive::JournalFiles;
use medsettle_engine::error::{Finding, JournalError};
use medsettle_engine::explain::{ExplainError, explain as tell};
use medsettle_engine::index::{IndexHome, Rebuilt, rebuild};
use medsettle_engine::journal::{FrameHash, FrameHeader, FrameKind, FrameRef};
use medsettle_engine::recovery::Unusable;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::verify::{self as walk, Begin, Objection, Replay, Seen, Sound, VerifyReport};
use medsettle_wire::record::{SCHEMA, encoded_records};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::errors::{CorruptJournal, journal_error, open_error};

/// Frames that are read ahead of whoever takes them.
const FRAMES_AHEAD: usize = 4;

/// Walk every frame, read every snapshot, and gather all that is wrong; `progress` gets the bytes done and the bytes in all.
#[pyfunction]
#[pyo3(signature = (data, replay, progress))]
pub(crate) fn verify(
    py: Python<'_>,
    data: PathBuf,
    replay: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'_, PyDict>> {
    let directory = existing(&data)?;
    let mut telling = Telling::to(progress);
    let report = py.detach(|| walked(&directory, replay, &mut |done, total| telling.tell(done, total)));
    telling.raised()?;
    let VerifyReport { segments, frames, facts, tail, torn, snapshots, unfinished_snapshot, findings, .. } =
        report.map_err(|error| journal_error(&error))?;
    let dict = PyDict::new(py);
    dict.set_item("segments", segments)?;
    dict.set_item("frames", frames)?;
    dict.set_item("records", facts)?;
    dict.set_item("last_frame", tail.number)?;
    dict.set_item("last_sequence", tail.last_sequence)?;
    dict.set_item("last_hash", PyBytes::new(py, &tail.hash.0))?;
    dict.set_item("torn", torn.map(|torn| torn.to_string()))?;
    let snapshots: PyResult<Vec<_>> = snapshots.iter().map(|sound| described_snapshot(py, sound)).collect();
    dict.set_item("snapshots", snapshots?)?;
    dict.set_item("unfinished_snapshot", unfinished_snapshot.map(|path| path.display().to_string()))?;
    dict.set_item("journal_is_whole", findings.iter().all(|finding| finding.damage.spares_the_journal()))?;
    let findings: PyResult<Vec<_>> =
        findings.iter().map(|finding| described(py, finding, &finding.advice(&data))).collect();
    dict.set_item("findings", findings?)?;
    Ok(dict)
}

fn walked(
    directory: &JournalFiles,
    replay: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, JournalError> {
    if replay {
        let mut replay = Replay::towards(directory)?;
        let mut report = walk::verify(directory, SCHEMA, progress, &mut |frame| replay.take_frame(frame))?;
        replay.compare(&mut report);
        return Ok(report);
    }
    walk::verify_records(directory, SCHEMA, progress)
}

pub(crate) fn described_snapshot<'py>(py: Python<'py>, sound: &Sound) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("path", sound.path.to_string_lossy())?;
    dict.set_item("frame", sound.head.tail.number)?;
    dict.set_item("sequence", sound.head.tail.last_sequence)?;
    dict.set_item("digest", PyBytes::new(py, &sound.head.digest.0.to_be_bytes()))?;
    dict.set_item("bytes", sound.bytes)?;
    Ok(dict)
}

/// Make the records index again from the journal, in place of the old one; returns how many frames and records that was.
#[pyfunction]
#[pyo3(signature = (data, progress))]
pub(crate) fn reindex(py: Python<'_>, data: PathBuf, progress: Option<Py<PyAny>>) -> PyResult<(u64, u64)> {
    let directory = existing(&data)?;
    let mut telling = Telling::to(progress);
    let rebuilt =
        py.detach(|| rebuild(&directory, &IndexHome::within(&data), &mut |done, total| telling.tell(done, total)));
    telling.raised()?;
    let Rebuilt { frames, records } = rebuilt.map_err(|error| open_error(&error))?;
    Ok((frames, records))
}

pub(crate) fn described<'py>(py: Python<'py>, finding: &Finding, advice: &str) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("path", finding.path.to_string_lossy())?;
    dict.set_item("offset", finding.offset)?;
    dict.set_item("place", finding.place())?;
    dict.set_item("problem", finding.damage.to_string())?;
    dict.set_item("advice", advice)?;
    Ok(dict)
}

/// A callable that is told of progress; once it raises, it is not called again.
pub(crate) struct Telling {
    progress: Option<Py<PyAny>>,
    raised: Option<PyErr>,
}

impl Telling {
    pub(crate) fn to(progress: Option<Py<PyAny>>) -> Self {
        Self { progress, raised: None }
    }

    pub(crate) fn tell(&mut self, done: u64, total: u64) {
        if let Some(progress) = self.progress.as_ref().filter(|_| self.raised.is_none()) {
            self.raised = Python::attach(|py| progress.call1(py, (done, total)).err());
        }
    }

    pub(crate) fn raised(self) -> PyResult<()> {
        self.raised.map_or(Ok(()), Err)
    }
}

/// The frames of a journal one by one: an iterator of dictionaries, and of findings between them.
#[pyclass(frozen, module = "medsettle._core")]
pub(crate) struct Frames {
    told: Mutex<Receiver<Told>>,
    data: PathBuf,
}

enum Told {
    Frame(Copied),
    Finding(Finding),
    Failed(JournalError),
}

/// Read frames in their order from a frame's number or a sequence on, whichever is given.
#[pyfunction]
#[pyo3(signature = (data, from_frame, from_sequence))]
pub(crate) fn inspect(data: PathBuf, from_frame: Option<u64>, from_sequence: Option<u64>) -> PyResult<Frames> {
    let directory = existing(&data)?;
    let begin = match (from_frame, from_sequence) {
        (Some(frame), _) => Begin::Frame(frame),
        (None, Some(sequence)) => Begin::Sequence(sequence),
        (None, None) => Begin::Beginning,
    };
    let (tell, told) = sync_channel(FRAMES_AHEAD);
    let wanted = move |header: &FrameHeader| {
        from_frame.is_none_or(|from| header.number >= from)
            && from_sequence.is_none_or(|from| header.last_sequence >= from)
    };
    thread::Builder::new().name("medsettle-inspect".into()).spawn(move || {
        let walked = walk::inspect_from(&directory, SCHEMA, begin, &mut |seen| {
            let told = match seen {
                Seen::Frame(frame) if wanted(frame.header) => Told::Frame(Copied::new(&frame)?),
                Seen::Finding(finding) => Told::Finding(finding.clone()),
                Seen::Frame(_) | Seen::Torn(_) | Seen::Progress { .. } => return Ok(()),
            };
            tell.send(told).map_err(|_| Objection::Enough)
        });
        if let Err(error) = walked {
            // Nobody may be listening any more.
            let _ = tell.send(Told::Failed(error));
        }
    })?;
    Ok(Frames { told: Mutex::new(told), data })
}

#[pymethods]
impl Frames {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let told = py.detach(|| self.told.lock().unwrap_or_else(PoisonError::into_inner).recv());
        match told {
            Ok(Told::Frame(frame)) => frame.shown(py).map(Some),
            Ok(Told::Finding(finding)) => described(py, &finding, &finding.advice(&self.data)).map(Some),
            Ok(Told::Failed(error)) => Err(journal_error(&error)),
            Err(_) => Ok(None),
        }
    }
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
        let kind = match header.kind {
            FrameKind::Business => "business",
            FrameKind::Seal => "seal",
            FrameKind::Epoch => "epoch",
        };
        dict.set_item("kind", kind)?;
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
        ExplainError::Damaged(finding) => damaged(&finding, &data),
    })
}

/// Damage that ends a reading, with the command that tells all of it.
pub(crate) fn damaged(finding: &Finding, data: &Path) -> PyErr {
    CorruptJournal::new_err(format!("{finding}. All that is wrong: medsettle verify {}", data.display()))
}

pub(crate) fn existing(data: &Path) -> PyResult<JournalFiles> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", data.display()));
    Ok(DataDirectory::existing(data).and_then(JournalFiles::of).map_err(named)?)
}
