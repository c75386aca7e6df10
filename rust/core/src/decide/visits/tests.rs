//! Visits, by what they are about.

mod limits;
mod settling;
mod undoing;
