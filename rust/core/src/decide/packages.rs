//! Packages and institutions: checked completely, then installed.
//!
//! Invariant: of one key, at most one package begins on a day; what is installed never changes and never goes.
//! Invariant: a new tree of regions keeps every region that is in use where it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::alert::AlertRules;
use crate::catalogue::Catalogue;
use crate::command::{Command, Reply};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{Hash32, RegionCode};
use crate::institution::Institution;
use crate::policy::{self, BenefitPolicy, Problem};
use crate::region::{Region, RegionTree};
use crate::reject::Reject;

type Decided = Result<(Vec<Fact>, Reply), Reject>;

pub(crate) fn decide(hub: &Hub, command: &Command, _context: &Context<'_>) -> Decided {
    match command {
        Command::InstallPolicy { hash, policy } => install_policy(hub, *hash, policy),
        Command::InstallCatalogue { hash, catalogue } => install_catalogue(hub, *hash, catalogue),
        Command::InstallAlertRules { hash, rules } => install_alert_rules(hub, *hash, rules),
        Command::InstallRegions { hash, regions } => install_regions(hub, *hash, regions),
        Command::RegisterInstitution { institution } => register(hub, institution),
        _ => unreachable!("the hub sends packages and institutions only"),
    }
}

fn install_policy(hub: &Hub, hash: Hash32, policy: &Arc<BenefitPolicy>) -> Decided {
    refuse_faults(policy::check(policy))?;
    known(hub, policy.region)?;
    if !hub.regions.is_home(policy.region) {
        return Err(Reject::NotHomeOfRegion(policy.region));
    }
    let installed = hub.policies.get(&(policy.region, policy.insurance_type, policy.visit_kind));
    let contradicts = |(other, package): &&(Hash32, Arc<BenefitPolicy>)| {
        *other == hash || package.effective_from == policy.effective_from
    };
    if let Some((with, _)) = installed.into_iter().flatten().find(contradicts) {
        return Err(Reject::PackageConflicts { with: *with });
    }
    Ok((vec![Fact::PolicyInstalled { hash, policy: Arc::clone(policy) }], Reply::PackageInstalled(hash)))
}

/// The care region may be anyone's: its catalogue decides what is eligible there.
fn install_catalogue(hub: &Hub, hash: Hash32, catalogue: &Arc<Catalogue>) -> Decided {
    refuse_faults(catalogue.check())?;
    known(hub, catalogue.region)?;
    let installed = hub.catalogues.get(&catalogue.region);
    let contradicts = |(other, package): &&(Hash32, Arc<Catalogue>)| {
        *other == hash || package.effective_from == catalogue.effective_from
    };
    if let Some((with, _)) = installed.into_iter().flatten().find(contradicts) {
        return Err(Reject::PackageConflicts { with: *with });
    }
    Ok((vec![Fact::CatalogueInstalled { hash, catalogue: Arc::clone(catalogue) }], Reply::PackageInstalled(hash)))
}

/// Whose fund may be robbed says what is looked for.
fn install_alert_rules(hub: &Hub, hash: Hash32, rules: &Arc<AlertRules>) -> Decided {
    refuse_faults(rules.check())?;
    known(hub, rules.region)?;
    if !hub.regions.is_home(rules.region) {
        return Err(Reject::NotHomeOfRegion(rules.region));
    }
    let installed = hub.alert_rules.get(&rules.region);
    let contradicts = |(other, package): &&(Hash32, Arc<AlertRules>)| {
        *other == hash || package.effective_from == rules.effective_from
    };
    if let Some((with, _)) = installed.into_iter().flatten().find(contradicts) {
        return Err(Reject::PackageConflicts { with: *with });
    }
    Ok((vec![Fact::AlertRulesInstalled { hash, rules: Arc::clone(rules) }], Reply::PackageInstalled(hash)))
}

fn refuse_faults(problems: Vec<Problem>) -> Result<(), Reject> {
    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems.into_iter().map(|problem| (problem.path, problem.message)).collect();
    Err(Reject::PackageInvalid { problems })
}

fn known(hub: &Hub, region: RegionCode) -> Result<(), Reject> {
    hub.regions.get(region).map(|_| ()).ok_or_else(|| Reject::RegionUnknown(region))
}

fn install_regions(hub: &Hub, hash: Hash32, regions: &[Region]) -> Decided {
    let tree = RegionTree::build(regions).map_err(|problems| Reject::PackageInvalid {
        problems: problems.into_iter().map(|(path, problem)| (path, problem.to_owned())).collect(),
    })?;
    if let Some(region) = in_use(hub).into_iter().find(|region| !keeps_its_place(&hub.regions, &tree, *region)) {
        return Err(Reject::RegionInUse(region));
    }
    let fact = Fact::RegionsInstalled { hash, regions: regions.to_vec() };
    Ok((vec![fact], Reply::PackageInstalled(hash)))
}

/// Every region that the state names, in the order of codes.
fn in_use(hub: &Hub) -> BTreeSet<RegionCode> {
    let of_persons = hub.persons.values().flat_map(|person| {
        let spells = person.documents.spells().into_iter().map(|spell| spell.region);
        spells.chain(person.seldom.filings.iter().map(|filing| filing.destination)).chain([person.home])
    });
    let of_stays = hub.stays.values().flat_map(|stay| [stay.insured_region, stay.care_region]);
    let of_institutions = hub.institutions.values().map(|institution| institution.region);
    let of_packages = hub
        .policies
        .keys()
        .map(|(region, ..)| *region)
        .chain(hub.catalogues.keys().copied())
        .chain(hub.alert_rules.keys().copied());
    let of_cards = hub.cards.values().map(|card| card.region).chain(hub.retirements.regions());
    of_persons.chain(of_stays).chain(of_institutions).chain(of_packages).chain(of_cards).collect()
}

/// Whether the way up to the province is the same, and what was home still is.
fn keeps_its_place(before: &RegionTree, after: &RegionTree, region: RegionCode) -> bool {
    before.upwards(region).eq(after.upwards(region)) && (after.is_home(region) || !before.is_home(region))
}

fn register(hub: &Hub, institution: &Institution) -> Decided {
    known(hub, institution.region)?;
    Ok((vec![Fact::InstitutionRegistered { institution: institution.clone() }], Reply::Done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{self, Desk, day, region, regions};

    fn install(hash: u8, policy: BenefitPolicy) -> Command {
        Command::InstallPolicy { hash: Hash32([hash; 32]), policy: Arc::new(policy) }
    }

    fn from(first: &str) -> BenefitPolicy {
        BenefitPolicy { effective_from: day(first), ..fixture::policy("110100") }
    }

    #[test]
    fn the_later_of_two_packages_wins_from_its_first_day_on() {
        let mut desk = Desk::open();
        for (hash, first) in [(2, "2026-01-01"), (1, "2025-01-01")] {
            assert_eq!(desk.run(install(hash, from(first))), Ok(Reply::PackageInstalled(Hash32([hash; 32]))));
        }
        let in_force = |desk: &Desk, on| {
            let key = from("2026-01-01");
            desk.hub
                .policy(region("110101"), key.insurance_type, key.visit_kind, day(on))
                .map(|(_, (hash, _))| hash.0[0])
        };
        assert_eq!(in_force(&desk, "2024-12-31"), None);
        assert_eq!(in_force(&desk, "2025-12-31"), Some(1));
        assert_eq!(in_force(&desk, "2026-01-01"), Some(2));
    }

    #[test]
    fn a_policy_is_refused_with_every_fault_away_from_home_or_beside_one_of_the_same_day() {
        let mut desk = Desk::open();
        let mut faulty = from("2026-01-01");
        faulty.effective_to = Some(day("2025-12-31"));
        faulty.layers.clear();
        let Err(Reject::PackageInvalid { problems }) = desk.run(install(1, faulty)) else { panic!("refused") };
        assert_eq!(problems.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["effective_to", "layers"]);
        let away = fixture::policy("310100");
        assert_eq!(desk.run(install(1, away)), Err(Reject::NotHomeOfRegion(region("310100"))));
        let nowhere = fixture::policy("990000");
        assert_eq!(desk.run(install(1, nowhere)), Err(Reject::RegionUnknown(region("990000"))));
        desk.run(install(1, from("2026-01-01"))).unwrap();
        let conflict = Err(Reject::PackageConflicts { with: Hash32([1; 32]) });
        assert_eq!(desk.run(install(2, from("2026-01-01"))), conflict);
        assert_eq!(desk.run(install(1, from("2027-01-01"))), conflict);
    }

    #[test]
    fn a_catalogue_of_another_hub_s_region_is_installed_once_per_day() {
        let mut desk = Desk::open();
        let catalogue = |hash, region| Command::InstallCatalogue {
            hash: Hash32([hash; 32]),
            catalogue: Arc::new(fixture::catalogue(region)),
        };
        assert_eq!(desk.run(catalogue(1, "310100")), Ok(Reply::PackageInstalled(Hash32([1; 32]))));
        assert_eq!(desk.run(catalogue(2, "310100")), Err(Reject::PackageConflicts { with: Hash32([1; 32]) }));
        assert_eq!(desk.run(catalogue(2, "990000")), Err(Reject::RegionUnknown(region("990000"))));
    }

    #[test]
    fn a_new_tree_may_grow_but_not_move_what_is_in_use() {
        let mut desk = Desk::open();
        desk.enrol("P1");
        desk.register("H11010500001", "110200");
        let install = |regions| Command::InstallRegions { hash: Hash32([9; 32]), regions };
        let without = |code: &str| {
            let rest = regions().into_iter().filter(|node| node.code != region(code));
            rest.map(|node| Region { parent: node.parent.filter(|parent| *parent != region(code)), ..node }).collect()
        };
        let mut moved = regions();
        moved.iter_mut().filter(|node| node.code == region("110200")).for_each(|node| node.parent = None);
        let away = regions().into_iter().map(|node| Region { home: false, ..node }).collect();
        for (tree, region_in_use) in
            [(without("110100"), "110100"), (without("110000"), "110100"), (moved, "110200"), (away, "110100")]
        {
            assert_eq!(desk.run(install(tree)), Err(Reject::RegionInUse(region(region_in_use))));
        }
        let grown = || {
            let mut grown: Vec<Region> = without("310100");
            grown.push(Region { code: region("440000"), name: "粤".into(), parent: None, home: false });
            grown
        };
        assert_eq!(desk.run(install(grown())), Ok(Reply::PackageInstalled(Hash32([9; 32]))));
        let orphan = Region { code: region("520100"), name: "".into(), parent: Some(region("520000")), home: false };
        let problems = vec![("regions[0].parent".to_owned(), "is not in the tree".to_owned())];
        assert_eq!(desk.run(install(vec![orphan])), Err(Reject::PackageInvalid { problems }));
    }

    #[test]
    fn an_institution_stands_in_a_known_region_and_can_be_registered_anew() {
        let mut desk = Desk::open();
        let nowhere = fixture::institution("H11010500001", "990000");
        let register = |institution| Command::RegisterInstitution { institution };
        assert_eq!(desk.run(register(nowhere)), Err(Reject::RegionUnknown(region("990000"))));
        desk.register("H11010500001", "110100");
        desk.register("H11010500001", "310100");
        assert!(desk.hub.institutions.values().map(|known| known.region).eq([region("310100")]));
    }
}
