//! The journal against the faults it must survive, on a simulated disk and on a real one.

mod archiving;
mod damage;
mod faults;
mod format;
mod preparing;
mod real_disk;
mod support;
mod taking;
mod torn;
