//! Alert rules of an insured region, and the alerts that they or the hub itself raise.
//!
//! Invariant: a rule has exactly the fields that its kind has; what is checked before a package is installed needs no check later.
//! Invariant: an alert lies open in the state until somebody acknowledges it; then it is a record.
//! Leaves out: what a rule looks at (`trail`), and whether it sees a sign (`decide::alerts`).
//!
//! | kind | `window_hours` | `count` | `ratio_bp` | `apart` | `tolerance_years` |
//! | --- | --- | --- | --- | --- | --- |
//! | `TWO_PLACES` | yes | - | - | yes | - |
//! | `OVERLAP_WITH_STAY`, `SEX_CONFLICT` | - | - | - | - | - |
//! | `MANY_INSTITUTIONS`, `MANY_PURCHASES` | yes | yes | - | - | - |
//! | `NEAR_CAP` | - | - | yes | - | - |
//! | `AGE_CONFLICT` | - | - | - | - | yes |
//! | `READMISSION` | whole days | - | - | - | - |
//! | `WRONG_CRYPTOGRAMS`, `COUNTER_JUMP`, `WRONG_PINS` | of the hub itself, in no package | | | | |

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::ids::{AlertId, CardId, Hash32, InstitutionCode, PersonId, RegionCode, SettlementId, StayId};
use crate::money::BASIS_POINTS;
use crate::policy::Problem;
use crate::trail::{KEPT_HOURS, MAX_USES};

/// Rules of one package: every settlement looks at all of them, and no region has named a dozen.
pub const MAX_RULES: usize = 32;

/// Years by which an estimated age may be off: beyond it, a rule of ages would see nothing.
pub const MAX_TOLERANCE_YEARS: u32 = 50;

/// Open alerts of one person, so that what soft rules leave in memory grows with persons and not with their use of cards. Whoever
/// looks at a person with a hundred open alerts misses nothing by the next one, which is not raised.
pub const MAX_OPEN_PER_PERSON: usize = 100;

/// What is wrong with a field that another kind of rule has.
const FOREIGN: &str = "means nothing for a rule of this kind";

/// What a rule looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AlertKind {
    /// The same card at two places too far apart.
    TwoPlaces,
    /// A visit within a stay.
    OverlapWithStay,
    /// Many institutions in few days.
    ManyInstitutions,
    /// A fund has nearly paid its limit of the year.
    NearCap,
    /// The institution saw a person of the other sex.
    SexConflict,
    /// The institution saw a person of another age.
    AgeConflict,
    /// An admission soon after a discharge.
    Readmission,
    /// A card was blocked at an institution; the hub raises it by itself.
    WrongCryptograms,
    /// A card's counter jumped; the hub raises it by itself.
    CounterJump,
    /// Many purchases at one pharmacy.
    ManyPurchases,
    /// A card was locked by wrong PINs; the hub raises it by itself.
    WrongPins,
}

/// At which level of the region tree two places must differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Apart {
    /// Two regions.
    Region,
    /// Two regions on the level below the province.
    City,
    /// Two provinces.
    Province,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRule {
    /// What it looks for.
    pub kind: AlertKind,
    /// Refuses instead of leaving an alert.
    pub hard: bool,
    /// How far it looks back.
    pub window_hours: u32,
    /// How many are too many.
    pub count: u32,
    /// Which part of a limit, in parts per ten thousand.
    pub ratio_bp: u32,
    /// How far is too far.
    pub apart: Option<Apart>,
    /// By how many years an age may be off.
    pub tolerance_years: Option<u32>,
}

/// The rules of one region, in force until a later package begins. Without rules nothing is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRules {
    /// The insured region whose rules these are.
    pub region: RegionCode,
    /// First day in force.
    pub effective_from: Date,
    /// In the order in which they are looked at.
    pub rules: Vec<AlertRule>,
}

/// The fields that only some kinds have.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Field {
    Window,
    Count,
    Ratio,
    Apart,
    Tolerance,
}

impl AlertKind {
    /// Every kind, in the order of the contract.
    pub const ALL: [Self; 11] = [
        Self::TwoPlaces,
        Self::OverlapWithStay,
        Self::ManyInstitutions,
        Self::NearCap,
        Self::SexConflict,
        Self::AgeConflict,
        Self::Readmission,
        Self::WrongCryptograms,
        Self::CounterJump,
        Self::ManyPurchases,
        Self::WrongPins,
    ];

    /// The fields of a rule of this kind; `None` where the hub raises it by itself.
    fn fields(self) -> Option<&'static [Field]> {
        match self {
            Self::TwoPlaces => Some(&[Field::Window, Field::Apart]),
            Self::OverlapWithStay | Self::SexConflict => Some(&[]),
            Self::ManyInstitutions | Self::ManyPurchases => Some(&[Field::Window, Field::Count]),
            Self::NearCap => Some(&[Field::Ratio]),
            Self::AgeConflict => Some(&[Field::Tolerance]),
            Self::Readmission => Some(&[Field::Window]),
            Self::WrongCryptograms | Self::CounterJump | Self::WrongPins => None,
        }
    }
}

impl AlertRules {
    /// Whether the package is in force on that day, unless a later one is.
    pub fn in_force_on(&self, day: Date) -> bool {
        self.effective_from <= day
    }

    /// Finds every problem, in the package's order.
    pub fn check(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.rules.len() > MAX_RULES {
            found.push(Problem::new("rules", format!("are more than {MAX_RULES}")));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            check_rule(index, rule, &mut found);
            let alike = |other: &AlertRule| AlertRule { hard: rule.hard, ..*other } == *rule;
            if let Some(earlier) = self.rules[..index].iter().position(alike) {
                found.push(Problem::new(format!("rules[{index}]"), format!("repeats rules[{earlier}]")));
            }
        }
        found
    }
}

fn check_rule(index: usize, rule: &AlertRule, found: &mut Vec<Problem>) {
    let mut report =
        |field: &str, problem: String| found.push(Problem::new(format!("rules[{index}].{field}"), problem));
    let Some(fields) = rule.kind.fields() else {
        report("kind", "is raised by the hub itself and is no rule".into());
        return;
    };
    let most_uses = u32::try_from(MAX_USES).expect("few");
    for (name, field, value, least, most) in [
        ("window_hours", Field::Window, rule.window_hours, 1, KEPT_HOURS),
        ("count", Field::Count, rule.count, 2, most_uses),
        ("ratio_bp", Field::Ratio, rule.ratio_bp, 1, BASIS_POINTS),
    ] {
        if fields.contains(&field) && !(least..=most).contains(&value) {
            report(name, format!("must lie between {least} and {most}"));
        }
        if !fields.contains(&field) && value != 0 {
            report(name, FOREIGN.into());
        }
    }
    if rule.kind == AlertKind::Readmission && !rule.window_hours.is_multiple_of(24) {
        report("window_hours", "must be whole days, because admissions and discharges are".into());
    }
    match (fields.contains(&Field::Apart), rule.apart) {
        (true, None) => report("apart", "is missing".into()),
        (false, Some(_)) => report("apart", FOREIGN.into()),
        _ => {}
    }
    match (fields.contains(&Field::Tolerance), rule.tolerance_years) {
        (true, None) => report("tolerance_years", "is missing".into()),
        (true, Some(years)) if years > MAX_TOLERANCE_YEARS => {
            report("tolerance_years", format!("must lie between 0 and {MAX_TOLERANCE_YEARS}"));
        }
        (false, Some(_)) => report("tolerance_years", FOREIGN.into()),
        _ => {}
    }
}

/// Something that looked like fraud and was not refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What was looked for.
    pub kind: AlertKind,
    /// Whose card or documents.
    pub person: PersonId,
    /// The card that was shown.
    pub card: Option<CardId>,
    /// What was settled.
    pub settlement: Option<SettlementId>,
    /// The stay that began.
    pub stay: Option<StayId>,
    /// Where.
    pub institution: InstitutionCode,
    /// The package with the rule; `None` where the hub raised it by itself.
    pub package: Option<Hash32>,
    /// Hub's time.
    pub stamp_ms: i64,
    /// What was seen, for the person who looks into it.
    pub text: Box<str>,
}

/// That somebody looked at an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: Box<str>,
    /// When.
    pub stamp_ms: i64,
    /// What they found.
    pub note: Box<str>,
}

/// An alert with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// As it was raised.
    pub alert: Arc<Alert>,
    /// `None` while it is open.
    pub acknowledged: Option<Acknowledgement>,
}

/// Which alerts a listing wants; `None` does not restrict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertFilter {
    /// Of this person.
    pub person: Option<PersonId>,
    /// Of this institution.
    pub institution: Option<InstitutionCode>,
    /// Of this kind.
    pub kind: Option<AlertKind>,
}

impl AlertFilter {
    /// Whether an alert is wanted.
    pub fn wants(&self, alert: &Alert) -> bool {
        self.person.is_none_or(|person| person == alert.person)
            && self.institution.is_none_or(|code| code == alert.institution)
            && self.kind.is_none_or(|kind| kind == alert.kind)
    }
}

/// The alerts that are open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    /// How many were ever raised; the next one takes the number after it.
    raised: u64,
    open: BTreeMap<AlertId, Arc<Alert>>,
    by_person: BTreeSet<(PersonId, AlertId)>,
}

impl Alerts {
    /// Number of the alert that a decision raises as its `n`th, from 0.
    pub(crate) fn number(&self, n: u64) -> u64 {
        self.raised + 1 + n
    }

    /// An alert that is open.
    pub fn get(&self, id: AlertId) -> Option<&Arc<Alert>> {
        self.open.get(&id)
    }

    /// How many of a person are open.
    pub(crate) fn open_of(&self, person: PersonId) -> usize {
        self.by_person.range((person, AlertId(0))..=(person, AlertId(u64::MAX))).count()
    }

    /// The open ones after an id that a listing wants, in the order of ids.
    pub(crate) fn list(&self, of: AlertFilter, after: Option<AlertId>, limit: usize) -> Vec<Arc<Alert>> {
        let after = after.unwrap_or(AlertId(0));
        if let Some(person) = of.person {
            let ids = self.by_person.range((Excluded((person, after)), Unbounded));
            let own = ids.take_while(|(whose, _)| *whose == person).map(|(_, id)| &self.open[id]);
            return own.filter(|alert| of.wants(alert)).take(limit).cloned().collect();
        }
        let rest = self.open.range((Excluded(after), Unbounded)).map(|(_, alert)| alert);
        rest.filter(|alert| of.wants(alert)).take(limit).cloned().collect()
    }

    /// How many were ever raised.
    pub(crate) fn raised(&self) -> u64 {
        self.raised
    }

    /// All that are open, in the order of ids.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.open.values()
    }

    /// None open, but so many raised before.
    pub(crate) fn raised_before(raised: u64) -> Self {
        Self { raised, ..Self::default() }
    }

    pub(crate) fn raise(&mut self, alert: Arc<Alert>) {
        self.raised += 1;
        self.reopen(alert);
    }

    /// Keep an alert as open that was counted when it was raised.
    pub(crate) fn reopen(&mut self, alert: Arc<Alert>) {
        self.by_person.insert((alert.person, alert.id));
        self.open.insert(alert.id, alert);
    }

    pub(crate) fn close(&mut self, id: AlertId) {
        let alert = self.open.remove(&id).expect("what is acknowledged was open");
        self.by_person.remove(&(alert.person, id));
    }
}

#[cfg(test)]
mod tests;
