//! Institutions: who may settle for whom.

use serde::{Deserialize, Serialize};

use crate::ids::{InstitutionCode, RegionCode};
use crate::policy::Level;
use crate::table::Keyed;

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstitutionKind {
    /// With beds.
    Hospital,
    /// Without beds.
    Clinic,
    /// Sells medicine.
    Pharmacy,
}

/// A registered institution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Institution {
    /// Its code.
    pub code: InstitutionCode,
    /// Its name, for people.
    pub name: Box<str>,
    /// Its kind.
    pub kind: InstitutionKind,
    /// Its level, which chooses deductibles, bands and ceilings.
    pub level: Level,
    /// Care region.
    pub region: RegionCode,
    /// May settle for persons of its own pool.
    pub networked: bool,
    /// May settle for persons of other pools.
    pub cross_region: bool,
}

impl Keyed for Institution {
    type Key = InstitutionCode;

    fn key(&self) -> InstitutionCode {
        self.code
    }
}

impl Institution {
    /// Whether it may settle for a person of its own pool, or of another where it is open to other regions.
    pub fn may_settle_for(&self, own_pool: bool) -> bool {
        self.networked && (own_pool || self.cross_region)
    }
}
