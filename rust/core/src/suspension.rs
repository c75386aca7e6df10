//! Suspensions: days on which a person, an institution or one of its departments may begin nothing new.
//!
//! Invariant: a suspension stops admissions and visits; a stay that was admitted before settles all the same.
//! Leaves out: who may suspend (`wire::rights`) and what is begun (`decide`).

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::person::covers;

/// Days on which nothing new may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// First day.
    pub from: Date,
    /// Last day; `None` lasts until it is resumed.
    pub to: Option<Date>,
}

impl Suspension {
    /// Whether something that is asked for on one day, for another, falls under it: neither may a visit be dated back to before the
    /// suspension, nor one within it be reported later.
    pub fn stops(&self, asked: Date, begins: Date) -> bool {
        [asked, begins].into_iter().any(|day| covers(self.from, self.to, day))
    }
}

/// A suspension of an institution, or of one department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceSuspension {
    /// The department; empty is the whole institution.
    pub department: Box<str>,
    /// When.
    pub days: Suspension,
}
