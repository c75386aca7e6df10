//! The pure functions behind `medsettle.benefit`: the rules of the core, on encoded messages.

use medsettle_core::policy::Problem;
use medsettle_wire::{Refused, encode_refusal, quote};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::rejected;

/// Apply a policy to a case: (true, encoded `QuoteResult`), or (false, encoded `Refusal`).
#[pyfunction]
pub(crate) fn benefit_quote<'py>(py: Python<'py>, policy: &[u8], case: &[u8]) -> (bool, Bound<'py, PyBytes>) {
    match quote::benefit_quote(policy, case) {
        Ok(result) => (true, PyBytes::new(py, &result)),
        Err(refused) => (false, PyBytes::new(py, &encode_refusal(&refused))),
    }
}

/// Check an encoded `BenefitPolicy`.
#[pyfunction]
pub(crate) fn policy_problems(py: Python<'_>, policy: &[u8]) -> PyResult<Vec<(String, String)>> {
    told(py.detach(|| quote::policy_problems(policy)))
}

/// Check an encoded `Catalogue`.
#[pyfunction]
pub(crate) fn catalogue_problems(py: Python<'_>, catalogue: &[u8]) -> PyResult<Vec<(String, String)>> {
    told(py.detach(|| quote::catalogue_problems(catalogue)))
}

/// Check encoded `AlertRules`.
#[pyfunction]
pub(crate) fn alert_rules_problems(py: Python<'_>, rules: &[u8]) -> PyResult<Vec<(String, String)>> {
    told(py.detach(|| quote::alert_rules_problems(rules)))
}

/// Path and text of every problem; bytes that are no package at all are refused instead.
fn told(checked: Result<Vec<Problem>, Refused>) -> PyResult<Vec<(String, String)>> {
    let problems = checked.map_err(|refused| rejected(&refused))?;
    Ok(problems.into_iter().map(|Problem { path, message }| (path, message)).collect())
}
