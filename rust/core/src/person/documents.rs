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
