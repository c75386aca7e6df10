//! Arbitrary documents of persons.

use medsettle_core::person::{Certificate, CertificateKind, Entitlement, Profile, Sex, Spell, SpellStatus};

use super::*;

impl Arbitrary {
    pub(super) fn profile(&mut self) -> Profile {
        Profile {
            name: self.text().into(),
            sex: self.pick(&[Sex::Male, Sex::Female]),
            birth_date: self.day(),
            certificates: self.some(|a| {
                let kind =
                    a.pick(&[CertificateKind::Passport, CertificateKind::ResidencePermit, CertificateKind::Military]);
                Certificate::new(kind, &format!("E{}", a.bits())).unwrap()
            }),
            spells: self.some(|a| Spell {
                insurance_type: a.pick(InsuranceType::ALL),
                region: a.region(),
                category: a.pick(Category::ALL),
                status: a.pick(&[SpellStatus::Normal, SpellStatus::Suspended, SpellStatus::Ended]),
                from: a.day(),
                to: a.maybe(Self::day),
            }),
            entitlements: self.some(|a| Entitlement { name: a.word(), from: a.day(), to: a.maybe(Self::day) }),
        }
    }
}
