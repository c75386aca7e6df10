//! Arbitrary alerts and rules, whatever kinds and fields come together.

use medsettle_core::alert::{Alert, AlertKind, AlertRule, AlertRules, Apart};

use super::*;

impl Arbitrary {
    pub(super) fn alert_rules(&mut self) -> AlertRules {
        let rules = self.some(|a| AlertRule {
            kind: a.pick(&AlertKind::ALL),
            hard: a.flag(),
            window_hours: a.number(),
            count: a.number(),
            ratio_bp: a.number(),
            apart: a.maybe(|a| a.pick(&[Apart::Region, Apart::City, Apart::Province])),
            tolerance_years: a.maybe(Self::number),
        });
        AlertRules { region: self.region(), effective_from: self.day(), rules }
    }

    pub(super) fn alert(&mut self) -> Alert {
        Alert {
            id: AlertId(self.bits()),
            kind: self.pick(&AlertKind::ALL),
            person: PersonId(self.bits()),
            card: self.maybe(|a| CardId(a.id())),
            settlement: self.maybe(|a| SettlementId(a.id())),
            stay: self.maybe(|a| StayId(a.id())),
            institution: self.institution_code(),
            package: self.maybe(Self::hash),
            stamp_ms: self.signed(),
            text: self.text().into(),
        }
    }
}
