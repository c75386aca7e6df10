//! What documents say of a person, and the change of the insured region, in the journal.

use std::sync::Arc;

use medsettle_core::fact::Fact;
use medsettle_core::ids::PersonId;
use medsettle_core::person::Profile;

use super::facts::{day, region};
use super::settlement;
use crate::convert::{
    Checked, Coded, at, certificates, coded, each, entitlements, from_certificates, from_entitlements, from_spells,
    from_year_key, spells, within, year_key,
};
use crate::v1;
use crate::v1::fact::Fact as Message;

pub(super) fn from_profile(profile: &Profile) -> v1::Profile {
    v1::Profile {
        name: profile.name.to_string(),
        sex: profile.sex.number(),
        birth_days: profile.birth_date.days(),
        certificates: from_certificates(&profile.certificates),
        spells: from_spells(&profile.spells),
        entitlements: from_entitlements(&profile.entitlements),
    }
}

pub(super) fn profile(message: v1::Profile) -> Checked<Arc<Profile>> {
    Ok(Arc::new(Profile {
        name: message.name.into(),
        sex: at("sex", coded(message.sex))?,
        birth_date: at("birth_days", day(message.birth_days))?,
        certificates: certificates(message.certificates)?,
        spells: spells(message.spells)?,
        entitlements: entitlements(message.entitlements)?,
    }))
}

pub(super) fn from_transferred(fact: &Fact) -> Message {
    let Fact::PersonTransferred { person, profile, home, anew, legs } = fact else {
        unreachable!("not a change of the insured region: {fact:?}")
    };
    Message::PersonTransferred(v1::PersonTransferred {
        person_id: person.0,
        profile: Some(from_profile(profile)),
        home_region: home.get(),
        anew: anew.iter().map(|key| from_year_key(*person, *key)).collect(),
        legs: settlement::from_legs(legs),
    })
}

pub(super) fn transferred(message: v1::PersonTransferred) -> Checked<Fact> {
    Ok(Fact::PersonTransferred {
        person: PersonId(message.person_id),
        profile: within("profile", message.profile, profile)?,
        home: at("home_region", region(message.home_region))?,
        anew: each("anew", message.anew, |row| year_key(&row))?,
        legs: settlement::legs(message.legs)?,
    })
}
