//! Packages of alert rules, read and hashed like every other package.

use medsettle_core::alert::{AlertRule, AlertRules};
use medsettle_core::ids::Hash32;
use medsettle_core::policy::Problem;
use prost::Message as _;

use super::check::{day, region};
use super::coded::{Coded, coded};
use super::package::{Found, hash};
use crate::v1;

/// The alert rules of a message.
pub(crate) fn alert_rules(message: &v1::AlertRules) -> Result<AlertRules, Vec<Problem>> {
    let mut found = Found::default();
    let region = found.take("region", region(&message.region));
    let effective_from = found.take("effective_from", day(&message.effective_from));
    let rules = found.each("rules", &message.rules, |message, found| {
        Some(AlertRule {
            kind: found.take("kind", coded(message.kind))?,
            hard: message.hard,
            window_hours: message.window_hours,
            count: message.count,
            ratio_bp: message.ratio_bp,
            apart: Coded::from_number(message.apart),
            tolerance_years: message.tolerance_years,
        })
    });
    let build = || Some(AlertRules { region: region?, effective_from: effective_from?, rules: rules? });
    found.finish(build())
}

pub(crate) fn from_alert_rules(rules: &AlertRules) -> v1::AlertRules {
    let rule = |rule: &AlertRule| v1::AlertRule {
        kind: rule.kind.number(),
        hard: rule.hard,
        window_hours: rule.window_hours,
        count: rule.count,
        ratio_bp: rule.ratio_bp,
        apart: rule.apart.map_or(0, Coded::number),
        tolerance_years: rule.tolerance_years,
    };
    v1::AlertRules {
        region: rules.region.to_string(),
        effective_from: rules.effective_from.to_string(),
        rules: rules.rules.iter().map(rule).collect(),
    }
}

/// Hash of a package of alert rules.
pub(crate) fn alert_rules_hash(rules: &AlertRules) -> Hash32 {
    hash(&from_alert_rules(rules).encode_to_vec())
}
