//! What documents say of a person.

use medsettle_core::person::{Certificate, Entitlement, Spell};

use super::check::{Checked, Fault, at, day, each, given_text, optional_day, region};
use super::coded::{Coded, coded};
use crate::limits::{MAX_LABEL, MAX_PARTS_OF_PERSON};
use crate::v1;

pub(crate) fn certificate(message: &v1::Certificate) -> Checked<Certificate> {
    let kind = at("kind", coded(message.kind))?;
    Certificate::new(kind, &message.number).map_err(|problem| Fault::of("number", problem))
}

pub(crate) fn certificates(messages: Vec<v1::Certificate>) -> Checked<Vec<Certificate>> {
    few("certificates", &messages)?;
    each("certificates", messages, |message| certificate(&message))
}

pub(crate) fn from_certificates(certificates: &[Certificate]) -> Vec<v1::Certificate> {
    let one = |certificate: &Certificate| v1::Certificate {
        kind: certificate.kind().number(),
        number: certificate.number().to_owned(),
    };
    certificates.iter().map(one).collect()
}

pub(crate) fn spell(message: &v1::InsuranceSpell) -> Checked<Spell> {
    Ok(Spell {
        insurance_type: at("insurance_type", coded(message.insurance_type))?,
        region: at("region", region(&message.region))?,
        category: at("category", coded(message.category))?,
        status: at("status", coded(message.status))?,
        from: at("from_date", day(&message.from_date))?,
        to: at("to_date", optional_day(message.to_date.as_ref()))?,
    })
}

pub(crate) fn spells(messages: Vec<v1::InsuranceSpell>) -> Checked<Vec<Spell>> {
    few("spells", &messages)?;
    each("spells", messages, |message| spell(&message))
}

pub(crate) fn from_spells(spells: &[Spell]) -> Vec<v1::InsuranceSpell> {
    let one = |spell: &Spell| v1::InsuranceSpell {
        insurance_type: spell.insurance_type.number(),
        region: spell.region.to_string(),
        category: spell.category.number(),
        status: spell.status.number(),
        from_date: spell.from.to_string(),
        to_date: spell.to.map(|day| day.to_string()),
    };
    spells.iter().map(one).collect()
}

fn entitlement(message: v1::Entitlement) -> Checked<Entitlement> {
    Ok(Entitlement {
        name: at("name", given_text(message.name, MAX_LABEL))?,
        from: at("from_date", day(&message.from_date))?,
        to: at("to_date", optional_day(message.to_date.as_ref()))?,
    })
}

pub(crate) fn entitlements(messages: Vec<v1::Entitlement>) -> Checked<Vec<Entitlement>> {
    few("entitlements", &messages)?;
    each("entitlements", messages, entitlement)
}

pub(crate) fn from_entitlements(entitlements: &[Entitlement]) -> Vec<v1::Entitlement> {
    let one = |entitlement: &Entitlement| v1::Entitlement {
        name: entitlement.name.to_string(),
        from_date: entitlement.from.to_string(),
        to_date: entitlement.to.map(|day| day.to_string()),
    };
    entitlements.iter().map(one).collect()
}

fn few<T>(field: &str, parts: &[T]) -> Checked<()> {
    if parts.len() <= MAX_PARTS_OF_PERSON { Ok(()) } else { Err(Fault::of(field, "are more than any person has")) }
}
