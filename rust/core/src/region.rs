//! The tree of regions: district -> pool -> province, and of which of them this hub is home.
//!
//! Invariant: every parent exists and no region is its own ancestor; both are checked before a tree is accepted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::RegionCode;

/// The longest way from a district to its province; a deeper tree is a mistake in the file.
pub const MAX_DEPTH: usize = 8;

/// One node of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its six digits.
    pub code: RegionCode,
    /// Its name, for people.
    pub name: Box<str>,
    /// `None` for a province.
    pub parent: Option<RegionCode>,
    /// This hub decides persons insured here and below.
    pub home: bool,
}

/// A checked tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionTree {
    nodes: BTreeMap<RegionCode, Region>,
}

impl RegionTree {
    /// Check and build; every fault is given with its path.
    pub fn build(regions: &[Region]) -> Result<Self, Vec<(String, &'static str)>> {
        let mut problems = Vec::new();
        let mut nodes = BTreeMap::new();
        for (i, region) in regions.iter().enumerate() {
            if nodes.insert(region.code, region.clone()).is_some() {
                problems.push((format!("regions[{i}].code"), "stands twice"));
            }
        }
        for (i, region) in regions.iter().enumerate() {
            let mut at = region;
            let mut depth = 0;
            while let Some(parent) = at.parent {
                let Some(next) = nodes.get(&parent) else {
                    problems.push((format!("regions[{i}].parent"), "is not in the tree"));
                    break;
                };
                at = next;
                depth += 1;
                if depth > MAX_DEPTH {
                    problems.push((format!("regions[{i}].parent"), "leads in a circle or too deep"));
                    break;
                }
            }
        }
        if problems.is_empty() { Ok(Self { nodes }) } else { Err(problems) }
    }

    /// The node of a code.
    pub fn get(&self, code: RegionCode) -> Option<&Region> {
        self.nodes.get(&code)
    }

    /// Every node in the order of codes.
    pub fn iter(&self) -> impl Iterator<Item = &Region> {
        self.nodes.values()
    }

    /// The region itself, then everything above it up to its province.
    pub fn upwards(&self, code: RegionCode) -> impl Iterator<Item = RegionCode> {
        std::iter::successors(self.nodes.get(&code), |node| node.parent.and_then(|parent| self.nodes.get(&parent)))
            .map(|node| node.code)
    }

    /// Whether `inner` is `outer` or lies below it.
    pub fn within(&self, inner: RegionCode, outer: RegionCode) -> bool {
        self.upwards(inner).any(|code| code == outer)
    }

    /// The region above a code that is next to its province; a province itself where there is nothing between.
    pub fn city(&self, code: RegionCode) -> Option<RegionCode> {
        let below_province = |above: &RegionCode| self.nodes[above].parent.is_some();
        self.upwards(code).take_while(below_province).last().or_else(|| self.province(code))
    }

    /// The topmost region above a code.
    pub fn province(&self, code: RegionCode) -> Option<RegionCode> {
        self.upwards(code).last()
    }

    /// Whether this hub decides persons insured in the region.
    pub fn is_home(&self, code: RegionCode) -> bool {
        self.upwards(code).any(|code| self.nodes[&code].home)
    }
}
