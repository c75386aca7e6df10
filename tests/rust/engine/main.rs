//! The whole engine as its callers meet it: encoded requests in, encoded answers out, on real files and on disks that fail.
//!
//! Invariant: nothing here looks inside; what a test knows, it knows from answers, from files and from a second opening.

mod alerts;
mod all_or_nothing;
mod archive;
mod archives;
mod backup;
mod batches;
mod bounds;
mod caller;
mod clock;
mod crash;
mod disk_full;
mod durable;
mod explained;
mod index;
mod losses;
mod poison;
mod process;
mod race;
mod reindex;
mod request;
mod simulator;
mod snapshots;
mod stay;
mod support;
mod verify;
mod visits;
mod watched;
mod witness;
