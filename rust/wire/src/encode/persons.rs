//! Persons as responses show them.

use medsettle_core::command::Eligibility;
use medsettle_core::person::Person;

use super::cards;
use crate::convert::{Coded, from_certificates, from_entitlements, from_filing, from_spells};
use crate::refused::refusal;
use crate::v1;

pub(super) fn person(person: &Person) -> v1::Person {
    let (profile, suspension) = (person.documents.profile(), person.seldom.suspension);
    v1::Person {
        person_id: person.id.0,
        name: profile.name.to_string(),
        sex: profile.sex.number(),
        birth_date: profile.birth_date.to_string(),
        certificates: from_certificates(&profile.certificates),
        spells: from_spells(&profile.spells),
        entitlements: from_entitlements(&profile.entitlements),
        network_suspended_from: suspension.map(|days| days.from.to_string()),
        network_suspended_to: suspension.and_then(|days| days.to).map(|to| to.to_string()),
    }
}

pub(super) fn eligibility(eligibility: &Eligibility) -> v1::PersonsCheckEligibilityResponse {
    let card_state = eligibility.card.as_ref().map(|view| cards::shown(&view.card.insurance, view.at).0);
    let remaining = eligibility
        .remaining
        .iter()
        .map(|(fund, left)| v1::RemainingLimit { fund: fund.number(), remaining_fen: left.map(|left| left.0) });
    v1::PersonsCheckEligibilityResponse {
        header: None,
        person_id: eligibility.person.0,
        masked_name: eligibility.masked_name.clone(),
        insured_region: eligibility.insured_region.map(|region| region.to_string()).unwrap_or_default(),
        insurance_type: eligibility.insurance_type.map_or(0, Coded::number),
        category: eligibility.category.map_or(0, Coded::number),
        card_state: card_state.unwrap_or(0),
        filing: eligibility.filing.as_ref().map(|filing| from_filing(eligibility.person, filing)),
        balance_fen: eligibility.balance.0,
        remaining: remaining.collect(),
        open_stay_id: eligibility.open_stay.map_or(0, |stay| stay.0),
        blocks: eligibility.blocks.iter().map(|block| refusal(block).reason.name().to_owned()).collect(),
    }
}
