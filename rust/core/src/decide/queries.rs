//! Answers that change nothing.
//!
//! Invariant: an answer does not depend on the order of a hash map; lists are in the order of ids.
//! Leaves out: stays, settlements and request ids, which their own modules answer; who may ask what, which the contract's roles say.

mod eligibility;

use std::sync::Arc;

use super::{accounts, alerts, cards, fraud, requests, retirements, settlements, statements, stays, visits};
use crate::command::{Package, Page, PersonKey, Query, Reply};
use crate::hub::{Context, Hub};
use crate::ids::{Hash32, RegionCode};
use crate::person::{Certificate, Person};
use crate::reject::Reject;

pub(crate) fn answer(hub: &Hub, query: &Query, context: &Context<'_>) -> Result<Reply, Reject> {
    match query {
        Query::GetPerson(key) => {
            let person = match key {
                PersonKey::Id(id) => hub.person(*id)?,
                PersonKey::Certificate(certificate) => person_of(hub, certificate)?,
            };
            Ok(Reply::Person(Box::new(person.clone())))
        }
        Query::CheckEligibility { card, certificate, visit_kind, day } => {
            let day = day.unwrap_or_else(|| context.today());
            eligibility::check(hub, *card, certificate.as_ref(), *visit_kind, day, context)
        }
        Query::GetCard(key) => Ok(Reply::Card(Box::new(cards::view(hub, cards::find(hub, *key)?, context)))),
        Query::ListCards { person, page } => {
            let of_person = cards::of_person(hub, hub.person(*person)?);
            let (cards, next) = page_of(of_person, |card| card.id.0, *page);
            Ok(Reply::Cards { cards: cards.into_iter().map(|card| cards::view(hub, card, context)).collect(), next })
        }
        Query::CountCards { region, generation } => retirements::count(hub, *region, generation.as_deref(), context),
        Query::GetAccount { person } => Ok(accounts::of_person(hub, hub.person(*person)?)),
        Query::Statement { person, range } => statements::page(hub, *person, *range, context),
        Query::GetAccumulators { person, year } => Ok(accumulators(hub.person(*person)?, *year)),
        Query::ListFilings { person, page } => {
            let (filings, next) = page_of(hub.person(*person)?.seldom.filings.iter(), |filing| filing.id.0, *page);
            Ok(Reply::Filings { person: *person, filings: filings.into_iter().cloned().collect(), next })
        }
        Query::GetPackage { hash } => package(hub, *hash),
        Query::ListPackages { region, page } => Ok(list_packages(hub, *region, *page)),
        Query::GetInstitution(code) => Ok(Reply::Institution(hub.institution(*code)?.clone())),
        Query::TrialBalance => Ok(trial_balance(hub)),
        Query::GetStay(_) | Query::ListStays { .. } => stays::query(hub, query, context),
        Query::Quote { .. } | Query::GetSettlement(_) | Query::ListSettlements { .. } | Query::Explain(_) => {
            settlements::query(hub, query, context)
        }
        Query::QuoteVisit(asked) => visits::quote(hub, asked, context),
        Query::PreviewUnwind(scope) => fraud::preview(hub, scope, context),
        Query::ListClaims { filter, page } => Ok(fraud::claims(filter, *page, context)),
        Query::ListAlerts { of, with_acknowledged, page } => {
            Ok(alerts::list(hub, *of, *with_acknowledged, *page, context))
        }
        Query::GetOutcome { request_id } => Ok(requests::outcome(hub, request_id, context)),
    }
}

pub(crate) fn person_of<'a>(hub: &'a Hub, certificate: &Certificate) -> Result<&'a Person, Reject> {
    hub.person(hub.person_named(certificate).ok_or_else(|| Reject::PersonUnknown)?)
}

/// The rows of a page, and the id after which the next one begins. Rows come in the order of their ids.
fn page_of<T>(rows: impl Iterator<Item = T>, id: impl Fn(&T) -> u64, page: Page) -> (Vec<T>, Option<u64>) {
    let rest = rows.filter(|row| page.after.is_none_or(|after| id(row) > after));
    let mut rows: Vec<T> = rest.take(page.size + 1).collect();
    let more = rows.len() > page.size;
    rows.truncate(page.size);
    let next = rows.last().map(id).filter(|_| more);
    (rows, next)
}

fn accumulators(person: &Person, year: Option<i32>) -> Reply {
    let wanted = person.years.iter().filter(|(key, _)| year.is_none_or(|year| key.year == year));
    Reply::Accumulators { person: person.id, years: wanted.collect() }
}

/// Every package in a fixed order: policies by region, insurance, visit kind and first day, then catalogues and alert rules by region
/// and first day.
fn packages(hub: &Hub) -> impl Iterator<Item = (RegionCode, Package)> {
    let policies = hub.policies.values().flatten();
    let catalogues = hub.catalogues.values().flatten();
    let alert_rules = hub.alert_rules.values().flatten();
    policies
        .map(|(hash, policy)| (policy.region, Package::Policy(*hash, Arc::clone(policy))))
        .chain(catalogues.map(|(hash, catalogue)| (catalogue.region, Package::Catalogue(*hash, Arc::clone(catalogue)))))
        .chain(alert_rules.map(|(hash, rules)| (rules.region, Package::AlertRules(*hash, Arc::clone(rules)))))
}

fn package(hub: &Hub, wanted: Hash32) -> Result<Reply, Reject> {
    let is_wanted = |package: &Package| match package {
        Package::Policy(hash, _) | Package::Catalogue(hash, _) | Package::AlertRules(hash, _) => *hash == wanted,
    };
    let found = packages(hub).map(|(_, package)| package).find(is_wanted);
    found.map(Reply::Package).ok_or_else(|| Reject::malformed("package_hash", "names no package that is installed"))
}

/// Packages have no ids of their own: a page begins after so many rows. The tree comes with the first page.
fn list_packages(hub: &Hub, region: Option<RegionCode>, page: Page) -> Reply {
    let wanted = |code: RegionCode| region.is_none_or(|region| region == code);
    let rows = (1..).zip(packages(hub).filter(|(of, _)| wanted(*of)));
    let (rows, next) = page_of(rows, |(row, _)| *row, page);
    let packages = rows.into_iter().map(|(_, (_, package))| package).collect();
    let first_page = page.after.is_none();
    let regions = hub.regions.iter().filter(|node| first_page && wanted(node.code)).cloned().collect();
    Reply::Packages { packages, regions, next }
}

fn trial_balance(hub: &Hub) -> Reply {
    Reply::TrialBalance {
        balances: hub.ledger.balances().collect(),
        sum: hub.ledger.trial_balance(),
        personal: hub
            .persons
            .values()
            .map(|person| i128::from(person.account.balance.0) + i128::from(person.seldom.online.0))
            .sum::<i128>()
            + hub
                .cards
                .values()
                .map(|card| i128::from(card.seldom.purse.0) + i128::from(card.seldom.offline.0))
                .sum::<i128>(),
    }
}

#[cfg(test)]
mod tests;
