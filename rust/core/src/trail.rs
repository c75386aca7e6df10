//! The recent uses of a person's cards: as much of the past as alert rules look at while something is decided.
//!
//! Invariant: a trail follows from the facts alone, and what was undone leaves none of it.
//! Invariant: it never holds more than [`MAX_USES`] uses, nor one that is older than [`KEPT_HOURS`] when another is noted.
//! Leaves out: what the uses mean (`decide::alerts`), and older ones, which are records.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::ids::{CardId, InstitutionCode, RegionCode, SettlementId, StayId};
use crate::policy::VisitKind;
use crate::settlement::Settlement;
use crate::stay::Stay;

/// Uses of one person, two kilobytes: more in a month than any rule counts, and the memory of a hub with a hundred million persons is not
/// taken by the few who use a card every day.
pub const MAX_USES: usize = 32;

/// How far back rules may look, 31 days: the widest published check counts admissions within 15 days and purchases within a month.
pub const KEPT_HOURS: u32 = 744;

const MS_PER_HOUR: i64 = 3_600_000;

/// What a card was shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// An admission.
    Admission {
        /// Its day.
        day: Date,
    },
    /// The settlement of a stay.
    Stay {
        /// First day.
        admission: Date,
        /// Last day.
        discharge: Date,
    },
    /// An outpatient visit.
    Outpatient {
        /// Its day.
        day: Date,
    },
    /// A purchase at a pharmacy.
    Purchase {
        /// Its day.
        day: Date,
    },
}

/// One use of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Hub's time.
    pub at_ms: i64,
    /// The card, where one was shown.
    pub card: Option<CardId>,
    /// Where.
    pub institution: InstitutionCode,
    /// Care region.
    pub region: RegionCode,
    /// What for.
    pub purpose: Purpose,
    /// Id of the stay that began or of the settlement. Both come from the sequence of their record, so no two are the same.
    origin: u64,
}

impl Use {
    /// The card that is shown at an admission.
    pub(crate) fn at_admission(stay: &Stay, card: Option<CardId>, at_ms: i64) -> Self {
        Self {
            at_ms,
            card,
            institution: stay.institution,
            region: stay.care_region,
            purpose: Purpose::Admission { day: stay.admission },
            origin: stay.id.0,
        }
    }

    /// The card that is shown at a settlement.
    pub(crate) fn at_settlement(settlement: &Settlement) -> Self {
        let case = &settlement.case;
        let day = case.admission;
        Self {
            at_ms: settlement.stamp_ms,
            card: settlement.presented.credential.card(),
            institution: settlement.institution,
            region: case.care_region,
            purpose: match case.visit_kind {
                VisitKind::Inpatient => Purpose::Stay { admission: day, discharge: case.discharge },
                VisitKind::Outpatient => Purpose::Outpatient { day },
                VisitKind::Pharmacy => Purpose::Purchase { day },
            },
            origin: settlement.id.0,
        }
    }

    /// The day of a visit.
    pub fn visit_day(&self) -> Option<Date> {
        match self.purpose {
            Purpose::Outpatient { day } | Purpose::Purchase { day } => Some(day),
            Purpose::Admission { .. } | Purpose::Stay { .. } => None,
        }
    }
}

/// The recent uses, oldest first. It takes no memory before the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail(VecDeque<Use>);

impl Trail {
    /// No use.
    pub(crate) const NONE: Self = Self(VecDeque::new());

    /// The uses within so many hours before a moment, newest first.
    pub fn within(&self, hours: u32, before_ms: i64) -> impl Iterator<Item = &Use> {
        let from = before_ms.saturating_sub(i64::from(hours) * MS_PER_HOUR);
        self.iter().take_while(move |used| used.at_ms >= from)
    }

    /// Every use that is kept, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Use> {
        self.0.iter().rev()
    }

    pub(crate) fn note(&mut self, used: Use) {
        let uses = &mut self.0;
        let from = used.at_ms.saturating_sub(i64::from(KEPT_HOURS) * MS_PER_HOUR);
        while uses.front().is_some_and(|oldest| oldest.at_ms < from) || uses.len() >= MAX_USES {
            uses.pop_front();
        }
        uses.push_back(used);
    }

    /// Forget a settlement that was undone.
    pub(crate) fn forget_settlement(&mut self, settlement: SettlementId) {
        self.forget(settlement.0);
    }

    /// Forget an admission that was undone.
    pub(crate) fn forget_admission(&mut self, stay: StayId) {
        self.forget(stay.0);
    }

    fn forget(&mut self, origin: u64) {
        self.0.retain(|used| used.origin != origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(hour: i64) -> Use {
        Use {
            at_ms: hour * MS_PER_HOUR,
            card: None,
            institution: InstitutionCode::parse("P11010000001").unwrap(),
            region: RegionCode::parse("110100").unwrap(),
            purpose: Purpose::Purchase { day: Date::parse("2026-03-01").unwrap() },
            origin: hour.unsigned_abs(),
        }
    }

    fn hours(uses: impl Iterator<Item = Use>) -> Vec<i64> {
        uses.map(|used| used.at_ms / MS_PER_HOUR).collect()
    }

    #[test]
    fn a_trail_holds_the_newest_uses_and_none_older_than_it_keeps() {
        let mut trail = Trail::default();
        for hour in 1..=40 {
            trail.note(used(hour));
        }
        assert_eq!(hours(trail.iter().copied()), (9..=40).rev().collect::<Vec<_>>());
        trail.note(used(40 + 744));
        assert_eq!(hours(trail.iter().copied()), [784, 40], "one that is as old as it keeps is kept");
        trail.note(used(785));
        assert_eq!(hours(trail.iter().copied()), [785, 784]);
    }

    #[test]
    fn a_window_reaches_back_to_its_first_moment() {
        let mut trail = Trail::default();
        for hour in [1, 5, 9] {
            trail.note(used(hour));
        }
        assert_eq!(hours(trail.within(4, 9 * MS_PER_HOUR).copied()), [9, 5]);
        assert_eq!(hours(trail.within(3, 9 * MS_PER_HOUR).copied()), [9]);
    }

    #[test]
    fn what_is_undone_leaves_nothing_behind() {
        let mut trail = Trail::default();
        for hour in [1, 2] {
            trail.note(used(hour));
        }
        trail.forget_settlement(SettlementId(1));
        assert_eq!(hours(trail.iter().copied()), [2]);
        trail.forget_settlement(SettlementId(1));
        trail.forget_admission(StayId(2));
        assert_eq!(trail, Trail::default());
    }
}
