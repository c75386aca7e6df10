//! Decisions, by the idea they are about. Each reads the hub and gives facts with a reply, or a refusal.
//!
//! Invariant: nothing here changes anything; order of the checks is the order of precedence of refusals.

pub(crate) mod accounts;
pub(crate) mod aftermath;
pub(crate) mod alerts;
pub(crate) mod calculation;
pub(crate) mod cards;
pub(crate) mod charges;
pub(crate) mod family;
pub(crate) mod filings;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod fraud;
#[cfg(test)]
mod histories;
pub(crate) mod packages;
pub(crate) mod payouts;
pub(crate) mod persons;
pub(crate) mod pins;
pub(crate) mod presentation;
pub(crate) mod purses;
pub(crate) mod queries;
pub(crate) mod readjudication;
pub(crate) mod requests;
pub(crate) mod retirements;
pub(crate) mod settlements;
pub(crate) mod statements;
pub(crate) mod stays;
pub(crate) mod suspensions;
pub(crate) mod transfers;
pub(crate) mod visits;
pub(crate) mod vouchers;
