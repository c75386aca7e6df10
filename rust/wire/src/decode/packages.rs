//! Requests about packages and institutions.

use std::sync::Arc;

use medsettle_core::command::{Command, Query};
use medsettle_core::suspension::{PlaceSuspension, Suspension};

use super::page;
use crate::convert::{
    Checked, Fault, alert_rules, alert_rules_hash, at, catalogue, catalogue_hash, day, given_text, hash, institution,
    institution_code, optional_day, policy, policy_hash, region, regions, regions_hash, text, within,
};
use crate::limits::{MAX_LABEL, MAX_SHORT_TEXT};
use crate::refused::Refused;
use crate::v1;

pub(super) fn install_policy(message: v1::PackagesInstallPolicyRequest) -> Result<Command, Refused> {
    let policy = policy(&message.policy.ok_or_else(|| Fault::of("policy", "is missing"))?)?;
    Ok(Command::InstallPolicy { hash: policy_hash(&policy), policy: Arc::new(policy) })
}

pub(super) fn install_catalogue(message: v1::PackagesInstallCatalogueRequest) -> Result<Command, Refused> {
    let catalogue = catalogue(&message.catalogue.ok_or_else(|| Fault::of("catalogue", "is missing"))?)?;
    Ok(Command::InstallCatalogue { hash: catalogue_hash(&catalogue), catalogue: Arc::new(catalogue) })
}

pub(super) fn install_alert_rules(message: v1::PackagesInstallAlertRulesRequest) -> Result<Command, Refused> {
    let rules = alert_rules(&message.rules.ok_or_else(|| Fault::of("rules", "is missing"))?)?;
    Ok(Command::InstallAlertRules { hash: alert_rules_hash(&rules), rules: Arc::new(rules) })
}

pub(super) fn install_regions(message: v1::PackagesInstallRegionsRequest) -> Result<Command, Refused> {
    if message.regions.is_empty() {
        return Err(Fault::of("regions", "are missing").into());
    }
    let regions = regions(&message.regions)?;
    Ok(Command::InstallRegions { hash: regions_hash(&regions), regions })
}

pub(super) fn get(message: v1::PackagesGetRequest) -> Checked<Query> {
    Ok(Query::GetPackage { hash: at("package_hash", hash(&message.package_hash))? })
}

pub(super) fn list(message: v1::PackagesListRequest) -> Checked<Query> {
    let of = Some(&message.region).filter(|text| !text.is_empty());
    let region = at("region", of.map(|text| region(text)).transpose())?;
    Ok(Query::ListPackages { region, page: page(message.page)? })
}

pub(super) fn register_institution(message: v1::InstitutionsRegisterRequest) -> Checked<Command> {
    let institution = within("institution", message.institution, institution)?;
    Ok(Command::RegisterInstitution { institution })
}

pub(super) fn suspend_institution(message: v1::InstitutionsSuspendRequest) -> Checked<Command> {
    Ok(Command::SuspendInstitution {
        institution: at("subject_code", institution_code(&message.subject_code))?,
        suspension: PlaceSuspension {
            department: at("department", text(message.department, MAX_SHORT_TEXT))?,
            days: Suspension {
                from: at("from_date", day(&message.from_date))?,
                to: at("to_date", optional_day(message.to_date.as_ref()))?,
            },
        },
        case_number: at("case_number", given_text(message.case_number, MAX_LABEL))?,
    })
}

pub(super) fn resume_institution(message: v1::InstitutionsResumeRequest) -> Checked<Command> {
    Ok(Command::ResumeInstitution {
        institution: at("subject_code", institution_code(&message.subject_code))?,
        department: at("department", text(message.department, MAX_SHORT_TEXT))?,
    })
}

pub(super) fn get_institution(message: v1::InstitutionsGetRequest) -> Checked<Query> {
    at("institution_code", institution_code(&message.institution_code)).map(Query::GetInstitution)
}
