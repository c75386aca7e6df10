//! Requests about persons and their filings.

use medsettle_core::command::{Command, PersonKey, Query};
use medsettle_core::ids::FilingId;
use medsettle_core::suspension::Suspension;

use super::presentation::card_sn;
use super::{page, person};
use crate::convert::{
    Checked, Fault, at, certificate, certificates, coded, day, day_if_given, entitlements, given_text, id,
    optional_day, region, spell, spells,
};
use crate::limits::{MAX_LABEL, MAX_NAME};
use crate::v1;

pub(super) fn enroll(message: v1::PersonsEnrollRequest) -> Checked<Command> {
    Ok(Command::EnrollPerson {
        name: at("name", given_text(message.name, MAX_NAME))?,
        sex: at("sex", coded(message.sex))?,
        birth_date: at("birth_date", day(&message.birth_date))?,
        certificates: certificates(message.certificates)?,
        spells: spells(message.spells)?,
        entitlements: entitlements(message.entitlements)?,
    })
}

pub(super) fn update(message: v1::PersonsUpdateRequest) -> Checked<Command> {
    let given = entitlements(message.entitlements)?;
    if !message.replace_entitlements && !given.is_empty() {
        return Err(Fault::of("entitlements", "are given without replace_entitlements"));
    }
    Ok(Command::UpdatePerson {
        person: person(message.person_id)?,
        name: message.name.map(|name| at("name", given_text(name, MAX_NAME))).transpose()?,
        certificates: certificates(message.certificates)?,
        spells: spells(message.spells)?,
        entitlements: message.replace_entitlements.then_some(given),
    })
}

pub(super) fn transfer_region(message: v1::PersonsTransferRegionRequest) -> Checked<Command> {
    let person = person(message.person_id)?;
    let new_spell = message.new_spell.ok_or_else(|| Fault::of("new_spell", "is missing"))?;
    Ok(Command::TransferRegion { person, spell: at("new_spell", spell(&new_spell))? })
}

pub(super) fn suspend(message: v1::PersonsSuspendNetworkRequest) -> Checked<Command> {
    Ok(Command::SuspendPerson {
        person: person(message.person_id)?,
        days: Suspension {
            from: at("from_date", day(&message.from_date))?,
            to: Some(at("to_date", day(&message.to_date))?),
        },
        case_number: at("case_number", given_text(message.case_number, MAX_LABEL))?,
    })
}

pub(super) fn get(message: v1::PersonsGetRequest) -> Checked<Query> {
    let key = match message.key.ok_or_else(|| Fault::of("key", "is missing"))? {
        v1::persons_get_request::Key::PersonId(id) => PersonKey::Id(person(id)?),
        v1::persons_get_request::Key::Certificate(document) => {
            PersonKey::Certificate(at("certificate", certificate(&document))?)
        }
    };
    Ok(Query::GetPerson(key))
}

pub(super) fn check_eligibility(message: v1::PersonsCheckEligibilityRequest) -> Checked<Query> {
    use v1::persons_check_eligibility_request::Credential;
    let (card, certificate) = match message.credential.ok_or_else(|| Fault::of("credential", "is missing"))? {
        Credential::CardSn(text) => (Some(at("card_sn", card_sn(&text))?), None),
        Credential::Certificate(document) => (None, Some(at("certificate", certificate(&document))?)),
    };
    let visit_kind = at("visit_kind", coded(message.visit_kind))?;
    let day = at("day", day_if_given(&message.day))?;
    Ok(Query::CheckEligibility { card, certificate, visit_kind, day })
}

pub(super) fn file(message: v1::FilingsFileRequest) -> Checked<Command> {
    Ok(Command::File {
        person: person(message.person_id)?,
        kind: at("kind", coded(message.kind))?,
        destination: at("destination", region(&message.destination))?,
        valid_from: at("valid_from", day(&message.valid_from))?,
        valid_to: at("valid_to", optional_day(message.valid_to.as_ref()))?,
    })
}

pub(super) fn withdraw_filing(message: v1::FilingsWithdrawRequest) -> Checked<Command> {
    let filing = FilingId(at("filing_id", id(message.filing_id))?);
    Ok(Command::WithdrawFiling { person: person(message.person_id)?, filing })
}

pub(super) fn list_filings(message: v1::FilingsListRequest) -> Checked<Query> {
    Ok(Query::ListFilings { person: person(message.person_id)?, page: page(message.page)? })
}
