//! Settlements, by what they are about.

mod cancelling;
mod filing;
mod quoting;
