//! What a medium does that no crash does: flipped bits, and sectors or frames that another history wrote.
//!
//! Invariant: every damage is refused at the next opening with a finding in that file, or it changes nothing that is served.

use medsettle_engine::storage::simulated::SimulatedDisk;

use super::life::Course;
use super::world::World;

/// Damage copies of a disk that nobody uses, and see them refused.
pub(super) fn try_some(_course: &mut Course, _world: &World, _disk: &SimulatedDisk) {}
