//! Generations of cards that are over, or will be.
//!
//! Invariant: a generation ends in a region and everything below it on the earliest date that was set for any region above; from that
//! day on its live cards show RETIRED, without a job that visits them.
//! Invariant: a date that has come is never moved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::ids::RegionCode;
use crate::region::RegionTree;

/// Cut-over dates by generation and region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retirements {
    dates: BTreeMap<Box<str>, BTreeMap<RegionCode, Date>>,
}

impl Retirements {
    /// The date that was set for this very region.
    pub fn set_for(&self, region: RegionCode, generation: &str) -> Option<Date> {
        self.dates.get(generation)?.get(&region).copied()
    }

    /// The first day on which cards of the generation that were issued in the region no longer work.
    pub fn cut_over(&self, regions: &RegionTree, region: RegionCode, generation: &str) -> Option<Date> {
        let by_region = self.dates.get(generation)?;
        regions.upwards(region).filter_map(|region| by_region.get(&region)).min().copied()
    }

    /// Whether cards of the generation that were issued in the region no longer work on that day.
    pub fn is_over(&self, regions: &RegionTree, region: RegionCode, generation: &str, day: Date) -> bool {
        self.cut_over(regions, region, generation).is_some_and(|cut_over| cut_over <= day)
    }

    /// Every region for which a date was set.
    pub fn regions(&self) -> impl Iterator<Item = RegionCode> {
        self.dates.values().flat_map(|by_region| by_region.keys().copied())
    }

    pub(crate) fn set(&mut self, region: RegionCode, generation: &str, cut_over: Date) {
        self.dates.entry(generation.into()).or_default().insert(region, cut_over);
    }
}
