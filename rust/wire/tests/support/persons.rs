//! Arbitrary persons, filings, regions and institutions.

use medsettle_core::person::{Certificate, CertificateKind, Entitlement, Profile, Sex, Spell, SpellStatus};

use super::*;

impl Arbitrary {
    pub(super) fn profile(&mut self) -> Arc<Profile> {
        Arc::new(Profile {
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
        })
    }

    pub(super) fn filing(&mut self) -> Filing {
        Filing {
            id: FilingId(self.bits()),
            kind: self.pick(FilingKind::ALL),
            destination: self.region(),
            valid_from: self.day(),
            valid_to: self.maybe(Self::day),
        }
    }

    pub(super) fn region_node(&mut self) -> Region {
        let (code, parent) = (self.region(), self.maybe(Self::region));
        Region { code, name: self.word(), parent, home: self.flag() }
    }

    pub(super) fn institution(&mut self) -> Institution {
        Institution {
            code: self.institution_code(),
            name: self.word(),
            kind: self.pick(&[InstitutionKind::Hospital, InstitutionKind::Clinic, InstitutionKind::Pharmacy]),
            level: self.pick(Level::ALL),
            region: self.region(),
            networked: self.flag(),
            cross_region: self.flag(),
        }
    }
}
