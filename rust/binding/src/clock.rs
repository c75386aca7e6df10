//! A clock that its owner turns, for an engine in whose world days shall pass: tests, simulations, rehearsals.
//!
//! Invariant: it never goes back, and both of the engine's clocks read it, so what passes is never taken for a step.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use medsettle_engine::clock::TimeSource;
use pyo3::prelude::*;

use crate::errors::value_error;

/// The moment that everybody reads.
#[derive(Clone)]
pub(crate) struct Turned(Arc<AtomicI64>);

impl TimeSource for Turned {
    fn wall_ms(&self) -> i64 {
        self.0.load(Relaxed)
    }

    fn monotonic_ms(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Stands until it is told that time passes.
#[pyclass(frozen, module = "medsettle._core")]
pub(crate) struct ManualClock(Turned);

#[pymethods]
impl ManualClock {
    #[new]
    fn new(now_ms: i64) -> Self {
        Self(Turned(Arc::new(AtomicI64::new(now_ms))))
    }

    /// Milliseconds since 1970 UTC.
    #[getter]
    fn now_ms(&self) -> i64 {
        self.0.wall_ms()
    }

    /// Let time pass.
    fn advance(&self, ms: i64) -> PyResult<()> {
        if ms < 0 {
            return Err(value_error("time does not go back"));
        }
        self.0.0.fetch_add(ms, Relaxed);
        Ok(())
    }
}

impl ManualClock {
    /// What an engine reads.
    pub(crate) fn source(&self) -> Box<dyn TimeSource> {
        Box::new(self.0.clone())
    }
}
