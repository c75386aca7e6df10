//! Between the contract's fields and the core's types: each field's form is checked here, once, and named by its path.
//!
//! Invariant: a conversion from the contract never panics, whatever the values; one into the contract never fails.
//! Leaves out: what fields mean together, which the core decides.

mod alert_rules;
mod check;
mod coded;
mod common;
mod credential;
mod package;
mod persons;
mod trace;

pub(crate) use alert_rules::{alert_rules, alert_rules_hash, from_alert_rules};
pub(crate) use check::{Checked, Fault, at, each, within};
pub(crate) use check::{
    amount, array, day, day_if_given, given_text, hash, id, id_if_given, institution_code, name, number, optional_day,
    region, request_id, text,
};
pub(crate) use coded::{Coded, coded};
pub(crate) use common::{
    filing, from_accumulators, from_filing, from_institution, from_line_split, from_split, from_year_key, from_years,
    given_accumulators, institution, line_split, split, year_accumulators, year_key,
};
pub(crate) use credential::{credential_kind, voucher_id};
pub(crate) use package::{
    catalogue, catalogue_hash, from_catalogue, from_policy, from_regions, policy, policy_hash, regions, regions_hash,
};
pub(crate) use persons::{
    certificate, certificates, entitlements, from_certificates, from_entitlements, from_spells, spell, spells,
};
