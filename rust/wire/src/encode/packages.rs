//! Packages as responses show them.

use medsettle_core::command::Package;
use medsettle_core::region::Region;

use crate::convert::{Coded, from_alert_rules, from_catalogue, from_policy, from_regions};
use crate::v1;
use crate::v1::package_summary::Kind;
use crate::v1::packages_get_response as get;

pub(super) fn package(package: &Package) -> v1::PackagesGetResponse {
    let package = match package {
        Package::Policy(_, policy) => get::Package::Policy(from_policy(policy)),
        Package::Catalogue(_, catalogue) => get::Package::Catalogue(from_catalogue(catalogue)),
        Package::AlertRules(_, rules) => get::Package::AlertRules(from_alert_rules(rules)),
    };
    v1::PackagesGetResponse { header: None, package: Some(package) }
}

pub(super) fn list(packages: &[Package], regions: &[Region], next_page_token: String) -> v1::PackagesListResponse {
    v1::PackagesListResponse {
        header: None,
        packages: packages.iter().map(summary).collect(),
        regions: from_regions(regions),
        next_page_token,
    }
}

fn summary(package: &Package) -> v1::PackageSummary {
    match package {
        Package::Policy(hash, policy) => v1::PackageSummary {
            kind: Kind::Policy as i32,
            package_hash: hash.0.to_vec(),
            region: policy.region.to_string(),
            insurance_type: policy.insurance_type.number(),
            visit_kind: policy.visit_kind.number(),
            effective_from: policy.effective_from.to_string(),
            effective_to: policy.effective_to.map(|day| day.to_string()),
        },
        Package::Catalogue(hash, catalogue) => v1::PackageSummary {
            kind: Kind::Catalogue as i32,
            package_hash: hash.0.to_vec(),
            region: catalogue.region.to_string(),
            effective_from: catalogue.effective_from.to_string(),
            effective_to: catalogue.effective_to.map(|day| day.to_string()),
            ..Default::default()
        },
        Package::AlertRules(hash, rules) => v1::PackageSummary {
            kind: Kind::AlertRules as i32,
            package_hash: hash.0.to_vec(),
            region: rules.region.to_string(),
            effective_from: rules.effective_from.to_string(),
            ..Default::default()
        },
    }
}
