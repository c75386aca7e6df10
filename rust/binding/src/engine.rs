//! An open engine as Python holds it, for threads that wait and for event loops that do not.
//!
//! Invariant: a request is copied once on its way in and an answer once on its way out.
//! Invariant: in the child of a fork every use raises `HubUnusable`, and nobody joins threads that are not there.
//! Invariant: a caller whom Ctrl-C wakes leaves; the command that waits commits all the same.

use std::mem;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use medsettle_engine::clock::{SystemTimeSource, TimeSource};
use medsettle_engine::{Answer, BATCH, Config, Job};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict};
use rustix::io::Errno;

use crate::clock::ManualClock;
use crate::errors::{HubUnusable, open_error, os_error, value_error};
use crate::keys::named_kek;
use crate::mailbox::Mailbox;

/// The engine with the process that opened it.
struct Owned {
    engine: Arc<medsettle_engine::Engine>,
    pid: u32,
}

impl Owned {
    fn is_inherited(&self) -> bool {
        self.pid != process::id()
    }

    fn usable(&self) -> PyResult<&medsettle_engine::Engine> {
        if self.is_inherited() {
            return Err(HubUnusable::new_err("this hub was opened before a fork, in the parent process"));
        }
        Ok(&self.engine)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.is_inherited() {
            // Dropping an engine joins its threads, which a child of a fork does not have.
            mem::forget(Arc::clone(&self.engine));
        }
    }
}

/// An engine on a data directory, for any number of threads.
#[pyclass(frozen, module = "medsettle._core")]
pub(crate) struct Engine(Arc<Owned>);

type Encoded<'py> = (bool, Bound<'py, PyBytes>);

#[pymethods]
impl Engine {
    /// Open or create the data directory and start the engine's threads.
    #[staticmethod]
    #[pyo3(signature = (data, *, keys, kek, config, clock=None))]
    fn open(
        py: Python<'_>,
        data: PathBuf,
        keys: Option<PathBuf>,
        kek: Option<&str>,
        config: &str,
        clock: Option<&Bound<'_, ManualClock>>,
    ) -> PyResult<Self> {
        let keys = match (keys, kek) {
            (None, None) => None,
            (Some(path), Some(kek)) => Some((path, named_kek(kek)?)),
            (Some(_), None) => return Err(value_error("a key ring needs its key-encryption key: give kek as well")),
            (None, Some(_)) => return Err(value_error("a key-encryption key without a key ring: give keys as well")),
        };
        let config = Config::from_json(data, keys, config).map_err(value_error)?;
        let time =
            clock.map_or_else(|| Box::new(SystemTimeSource) as Box<dyn TimeSource>, |clock| clock.get().source());
        let engine =
            py.detach(|| medsettle_engine::Engine::open_by(config, time)).map_err(|error| open_error(&error))?;
        Ok(Self(Arc::new(Owned { engine: Arc::new(engine), pid: process::id() })))
    }

    /// Decide one command and wait, detached, until its answer is durable.
    fn call<'py>(
        &self,
        py: Python<'py>,
        operation: u32,
        roles: u32,
        institution: String,
        request: &[u8],
    ) -> PyResult<Encoded<'py>> {
        let mailbox = Arc::new(Mailbox::new().map_err(os_error)?);
        let sink = Arc::clone(&mailbox) as _;
        self.0.usable()?.send(Job { ticket: 0, operation, roles, institution, request: request.to_vec(), sink });
        let Answer { ok, bytes, .. } = received(py, &mailbox)?;
        Ok((ok, PyBytes::new(py, &bytes)))
    }

    /// Decide an encoded `BatchSubmitRequest` and wait, detached, until its answer is durable.
    fn submit<'py>(&self, py: Python<'py>, roles: u32, institution: String, request: &[u8]) -> PyResult<Encoded<'py>> {
        self.call(py, BATCH, roles, institution, request)
    }

    /// Open a port for one event loop.
    fn port(&self) -> PyResult<Port> {
        self.0.usable()?;
        let mailbox = Arc::new(Mailbox::new().map_err(os_error)?);
        Ok(Port { engine: Arc::clone(&self.0), mailbox: Some(mailbox) })
    }

    /// Tell the state by its name in `OperationsStatusResponse.State`.
    fn state(&self) -> PyResult<&'static str> {
        Ok(self.0.usable()?.state().as_str_name())
    }

    /// Tell why the engine halted; empty while it has not.
    fn halt_reason(&self) -> PyResult<String> {
        Ok(self.0.usable()?.halt_reason())
    }

    /// Read the engine's counters.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.0.usable()?.metrics().into_py_dict(py)
    }

    /// Answer what is queued and join the threads, detached; may be called again.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let engine = self.0.usable()?;
        py.detach(|| engine.close());
        Ok(())
    }

    /// In the child of a fork: close the copy of the directory's lock.
    fn close_inherited(&self) {
        if self.0.is_inherited() {
            self.0.engine.close_inherited();
        }
    }
}

/// Sleep detached until the only answer is there. Only Ctrl-C, or another signal whose handler raises, ends it earlier.
fn received(py: Python<'_>, mailbox: &Mailbox) -> PyResult<Answer> {
    loop {
        match py.detach(|| mailbox.wait()) {
            Ok(()) => {
                if let Some(answer) = mailbox.take().pop() {
                    return Ok(answer);
                }
            }
            Err(Errno::INTR) => py.check_signals()?,
            Err(error) => return Err(os_error(error)),
        }
    }
}

/// An engine as one event loop sees it.
#[pyclass(module = "medsettle._core")]
pub(crate) struct Port {
    engine: Arc<Owned>,
    mailbox: Option<Arc<Mailbox>>,
}

impl Port {
    fn open(&self) -> PyResult<&Arc<Mailbox>> {
        self.mailbox.as_ref().ok_or_else(|| HubUnusable::new_err("this port is closed"))
    }
}

#[pymethods]
impl Port {
    /// Return the eventfd that is readable while answers wait.
    fn fileno(&self) -> PyResult<RawFd> {
        Ok(self.open()?.descriptor())
    }

    /// Queue one command; operation 0 is an empty frame through the group commit.
    fn send(&self, ticket: u64, operation: u32, roles: u32, institution: String, request: &[u8]) -> PyResult<()> {
        let sink = Arc::clone(self.open()?) as _;
        self.engine.usable()?.send(Job { ticket, operation, roles, institution, request: request.to_vec(), sink });
        Ok(())
    }

    /// Queue an encoded `BatchSubmitRequest`.
    fn send_batch(&self, ticket: u64, roles: u32, institution: String, request: &[u8]) -> PyResult<()> {
        self.send(ticket, BATCH, roles, institution, request)
    }

    /// Take every answer that waits, as (ticket, ok, bytes), and make the eventfd unreadable.
    fn reap<'py>(&self, py: Python<'py>) -> PyResult<Vec<(u64, bool, Bound<'py, PyBytes>)>> {
        let answers = self.open()?.take();
        Ok(answers.iter().map(|answer| (answer.ticket, answer.ok, PyBytes::new(py, &answer.bytes))).collect())
    }

    /// Close the port; answers that come later are dropped. May be called again.
    fn close(&mut self) {
        self.mailbox = None;
    }
}
