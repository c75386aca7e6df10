//! A ward that looks for fraud: a full package of alert rules, none of which sees anything, and patients who used their cards often.
//!
//! Leaves out: what an alert costs. It is raised once in many thousand settlements.

use std::sync::Arc;

use medsettle_core::alert::{AlertKind, AlertRule, AlertRules, Apart};
use medsettle_core::command::{Command, HolderCheck};
use medsettle_core::ids::Hash32;
use medsettle_core::money::Fen;
use medsettle_core::policy::{BenefitPolicy, VisitKind};
use medsettle_core::visit::{SettleVisit, VisitBill};

use crate::{Patient, Ward, chip, day, line, policy, region};

/// What a visit costs: one item of class A.
const VISIT: Fen = Fen(250_000);

impl Ward {
    /// Install every kind of rule that a package may have, distance at two levels.
    pub fn watch(&mut self) {
        let rule = |kind| AlertRule {
            kind,
            hard: false,
            window_hours: 0,
            count: 0,
            ratio_bp: 0,
            apart: None,
            tolerance_years: None,
        };
        let hard = |rule| AlertRule { hard: true, ..rule };
        let (days, month) = (7 * 24, 31 * 24);
        let places = rule(AlertKind::TwoPlaces);
        let rules = vec![
            hard(AlertRule { window_hours: 2, apart: Some(Apart::Province), ..places }),
            AlertRule { window_hours: 6, apart: Some(Apart::City), ..places },
            rule(AlertKind::OverlapWithStay),
            AlertRule { window_hours: days, count: 5, ..rule(AlertKind::ManyInstitutions) },
            AlertRule { ratio_bp: 9_000, ..rule(AlertKind::NearCap) },
            hard(rule(AlertKind::SexConflict)),
            AlertRule { tolerance_years: Some(10), ..rule(AlertKind::AgeConflict) },
            AlertRule { window_hours: 2 * days, ..rule(AlertKind::Readmission) },
            AlertRule { window_hours: month, count: 10, ..rule(AlertKind::ManyPurchases) },
        ];
        let rules = AlertRules { region: region("370100"), effective_from: day("2026-01-01"), rules };
        self.run(Command::InstallAlertRules { hash: Hash32([4; 32]), rules: Arc::new(rules) });
    }

    /// Let every patient come to the outpatient department so many times.
    pub fn visit(&mut self, times: usize) {
        let outpatient = BenefitPolicy { visit_kind: VisitKind::Outpatient, ..policy() };
        self.run(Command::InstallPolicy { hash: Hash32([5; 32]), policy: Arc::new(outpatient) });
        for patient in 0..self.patients.len() {
            for _ in 0..times {
                let Patient { card, atc, .. } = self.patients[patient];
                self.patients[patient].atc += 1;
                let mut line = line();
                line.date = day("2026-03-02");
                line.quantity = medsettle_core::money::Quantity::parse("1").expect("a quantity");
                let bill = VisitBill {
                    kind: VisitKind::Outpatient,
                    day: day("2026-03-02"),
                    department: "01".into(),
                    lines: vec![(line, None)],
                    account_request: Fen::ZERO,
                    use_family: false,
                };
                self.run(Command::SettleVisit(SettleVisit {
                    bill,
                    diagnosis: "A00".into(),
                    total: VISIT,
                    quote: None,
                    presentation: chip(card, atc, VISIT, 0x00),
                    holder_check: HolderCheck::default(),
                }));
            }
        }
    }
}
