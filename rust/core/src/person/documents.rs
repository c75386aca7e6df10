//! What a person's documents say, as the hub keeps it: a [`Profile`] in sixty bytes instead of six allocations.
//!
//! Invariant: what is read of it is what the profile says.

use serde::{Deserialize, Serialize};

use super::{Certificate, Entitlement, Profile, Sex, Spell, covers, spell_on, spell_on_or_last};
use crate::calendar::Date;
use crate::packed::Packed;

/// A profile, packed. What settlements ask for comes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Packed")]
pub struct Documents(Packed);

/// The parts in their order.
type Parts = (Vec<Spell>, Vec<Entitlement>, Sex, Date, Box<str>, Vec<Certificate>);

impl Documents {
    /// What a profile says.
    pub fn of(profile: &Profile) -> Self {
        let Profile { name, sex, birth_date, certificates, spells, entitlements } = profile;
        Self(Packed::of(&(spells, entitlements, sex, birth_date, name, certificates)))
    }

    /// All of it.
    pub fn profile(&self) -> Profile {
        let (spells, entitlements, sex, birth_date, name, certificates): Parts = self.0.read().next();
        Profile { name, sex, birth_date, certificates, spells, entitlements }
    }

    /// [`Profile::spell_on`].
    pub fn spell_on(&self, day: Date) -> Option<Spell> {
        spell_on(&self.spells(), day).cloned()
    }

    /// [`Profile::spell_on_or_last`].
    pub fn spell_on_or_last(&self, day: Date) -> Option<Spell> {
        spell_on_or_last(&self.spells(), day).cloned()
    }

    /// Names of the entitlements held on a day, sorted.
    pub fn entitlements_on(&self, day: Date) -> Vec<String> {
        let mut parts = self.0.read();
        let _: Vec<Spell> = parts.next();
        let entitlements: Vec<Entitlement> = parts.next();
        let held = entitlements.iter().filter(|e| covers(e.from, e.to, day));
        let mut names: Vec<String> = held.map(|e| e.name.to_string()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Sex and day of birth.
    pub fn born(&self) -> (Sex, Date) {
        let mut parts = self.0.read();
        let _: (Vec<Spell>, Vec<Entitlement>) = parts.next();
        parts.next()
    }

    /// First character of the name, the rest masked: enough for the clerk to compare, too little to learn a name.
    pub fn masked_name(&self) -> String {
        self.profile().name.chars().enumerate().map(|(i, c)| if i == 0 { c } else { '*' }).collect()
    }

    /// Every period of insurance.
    pub fn spells(&self) -> Vec<Spell> {
        self.0.read().next()
    }
}

impl TryFrom<Packed> for Documents {
    type Error = &'static str;

    fn try_from(packed: Packed) -> Result<Self, &'static str> {
        let mut parts = packed.read();
        let sound = parts.try_next::<Parts>().is_some() && parts.is_at_end();
        if sound { Ok(Self(packed)) } else { Err("no profile") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RegionCode;
    use crate::person::{CertificateKind, SpellStatus};
    use crate::policy::{Category, InsuranceType};

    fn day(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    fn spell(insurance_type: InsuranceType, from: &str, to: Option<&str>) -> Spell {
        Spell {
            insurance_type,
            region: RegionCode::parse("370100").unwrap(),
            category: Category::Active,
            status: SpellStatus::Normal,
            from: day(from),
            to: to.map(day),
        }
    }

    #[test]
    fn what_is_read_in_part_is_what_the_whole_profile_says() {
        let held =
            |name: &str, to: Option<&str>| Entitlement { name: name.into(), from: day("2026-01-01"), to: to.map(day) };
        let certificate = |number| Certificate::new(CertificateKind::Passport, number).unwrap();
        let profile = Profile {
            name: "王小明".into(),
            sex: Sex::Female,
            birth_date: day("1990-03-07"),
            certificates: vec![certificate("E1"), certificate("E2")],
            spells: vec![
                spell(InsuranceType::Resident, "2020-01-01", None),
                spell(InsuranceType::Employee, "2025-01-01", Some("2025-12-31")),
            ],
            entitlements: vec![held("B", None), held("A", Some("2026-06-30")), held("B", Some("2026-02-01"))],
        };
        let documents = Documents::of(&profile);
        assert_eq!(documents.profile(), profile);
        assert_eq!(documents.spells(), profile.spells);
        for text in ["2019-12-31", "2020-01-01", "2025-06-01", "2026-01-01"] {
            assert_eq!(documents.spell_on(day(text)).as_ref(), profile.spell_on(day(text)), "{text}");
            assert_eq!(documents.spell_on_or_last(day(text)).as_ref(), profile.spell_on_or_last(day(text)), "{text}");
        }
        assert_eq!(documents.entitlements_on(day("2026-01-15")), ["A", "B"]);
        assert_eq!(documents.entitlements_on(day("2026-07-01")), ["B"]);
        assert_eq!((documents.born(), documents.masked_name().as_str()), ((Sex::Female, profile.birth_date), "王**"));
        let written = postcard::to_allocvec(&documents).unwrap();
        assert_eq!(postcard::from_bytes::<Documents>(&written).unwrap(), documents);
        let cut = postcard::to_allocvec(&Packed::of(&profile.spells)).unwrap();
        assert!(postcard::from_bytes::<Documents>(&cut).is_err(), "spells alone are no documents");
    }
}
