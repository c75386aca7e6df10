//! Filings: permission to be treated elsewhere under the home policy.

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::ids::{FilingId, RegionCode, StayId};
use crate::person::{Person, covers};
use crate::policy::FilingKind;
use crate::region::RegionTree;

/// A filing that was made and not withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filing {
    /// Given when filed.
    pub id: FilingId,
    /// Long-term, transfer, emergency or other temporary; the other kinds are derived.
    pub kind: FilingKind,
    /// Covers this region and everything below it.
    pub destination: RegionCode,
    /// First day.
    pub valid_from: Date,
    /// Last day; `None` is valid until withdrawn.
    pub valid_to: Option<Date>,
}

impl Filing {
    /// Whether it is valid on a day.
    pub fn is_valid_on(&self, day: Date) -> bool {
        covers(self.valid_from, self.valid_to, day)
    }

    /// Whether it permits an admission on this day in this care region. The end of validity during the stay does not matter (2022-22, article 12).
    pub fn permits(&self, regions: &RegionTree, care_region: RegionCode, admission: Date) -> bool {
        self.is_valid_on(admission) && regions.within(care_region, self.destination)
    }

    /// Whether it permits a stay that is settled today. One made since the admission counts from there (2022-22, article 16).
    pub fn permits_stay(
        &self,
        regions: &RegionTree,
        stay: StayId,
        care_region: RegionCode,
        admission: Date,
        today: Date,
    ) -> bool {
        // Ids of both are given in the order of the journal.
        let made_since = self.id.0 > stay.0 && self.valid_from <= today;
        let from = if made_since { self.valid_from.min(admission) } else { self.valid_from };
        covers(from, self.valid_to, admission) && regions.within(care_region, self.destination)
    }
}

/// The filings that permit a person to be treated in a care region, when admitted on this day.
pub fn applying<'a>(
    person: &'a Person,
    regions: &'a RegionTree,
    care_region: RegionCode,
    admission: Date,
) -> impl Iterator<Item = &'a Filing> {
    person.seldom.filings.iter().filter(move |filing| filing.permits(regions, care_region, admission))
}
