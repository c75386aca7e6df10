//! Insured persons: documents, insurance spells, entitlements, and what belongs to one person alone.
//!
//! Invariant: a certificate names one person; an identity number carries its right check character.
//! Invariant: spells of one insurance type do not overlap.

mod documents;

use serde::{Deserialize, Serialize};

pub use documents::Documents;

use crate::account::{Account, PayOut};
use crate::accumulator::{AccumulatorKey, Accumulators, Years};
use crate::calendar::Date;
use crate::filing::Filing;
use crate::ids::{CardId, PersonId, RegionCode, SettlementId, StayId};
use crate::money::Fen;
use crate::policy::{Category, InsuranceType};
use crate::seldom::{Blank, Seldom};
use crate::settlement::Standing;
use crate::suspension::Suspension;
use crate::table::Keyed;
use crate::trail::Trail;

/// Sex as a document states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sex {
    /// Male.
    Male,
    /// Female.
    Female,
}

/// Kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CertificateKind {
    /// 18 characters with a check character.
    IdentityCard,
    /// Passport.
    Passport,
    /// Residence permit.
    ResidencePermit,
    /// Military document.
    Military,
}

/// A document that names a person.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Certificate {
    kind: CertificateKind,
    number: Box<str>,
}

impl Certificate {
    /// Check the number's form: letters and digits, and for an identity card its date and ISO 7064 MOD 11-2 check character.
    pub fn new(kind: CertificateKind, number: &str) -> Result<Self, &'static str> {
        if !(1..=32).contains(&number.len()) {
            return Err("must have 1 to 32 characters");
        }
        if !number.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            return Err("must consist of upper-case letters and digits");
        }
        if kind == CertificateKind::IdentityCard {
            check_identity_number(number)?;
        }
        Ok(Self { kind, number: number.into() })
    }

    /// Its kind.
    pub fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// Its number.
    pub fn number(&self) -> &str {
        &self.number
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Numbers of people never reach a log.
        write!(f, "{:?}", self.kind)
    }
}

fn check_identity_number(number: &str) -> Result<(), &'static str> {
    let bytes = number.as_bytes();
    if bytes.len() != 18 || !bytes[..17].iter().all(u8::is_ascii_digit) {
        return Err("an identity number has 17 digits and a check character");
    }
    let date = format!("{}-{}-{}", &number[6..10], &number[10..12], &number[12..14]);
    if Date::parse(&date).is_none() {
        return Err("the date in the identity number does not exist");
    }
    // ISO 7064 MOD 11-2: each digit is weighted with a power of two, the check character makes the sum 1 modulo 11.
    let product = bytes[..17].iter().fold(0u32, |sum, b| (sum + u32::from(b - b'0')) * 2 % 11);
    let expected = b"10X98765432"[usize::try_from(product).expect("below 11")];
    if bytes[17] == expected { Ok(()) } else { Err("the check character of the identity number is wrong") }
}

/// Whether insurance is in force during a spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpellStatus {
    /// In force.
    Normal,
    /// Suspended.
    Suspended,
    /// Ended.
    Ended,
}

/// One dated period of insurance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spell {
    /// Scheme.
    pub insurance_type: InsuranceType,
    /// Insured region.
    pub region: RegionCode,
    /// Category in that period.
    pub category: Category,
    /// Whether it is in force.
    pub status: SpellStatus,
    /// First day.
    pub from: Date,
    /// Last day; `None` has no end.
    pub to: Option<Date>,
}

/// A dated right that opens bands, deductibles and layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// Its name in policy packages.
    pub name: Box<str>,
    /// First day.
    pub from: Date,
    /// Last day; `None` has no end.
    pub to: Option<Date>,
}

/// What documents say of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Full name.
    pub name: Box<str>,
    /// Sex.
    pub sex: Sex,
    /// Day of birth.
    pub birth_date: Date,
    /// At least one.
    pub certificates: Vec<Certificate>,
    /// At least one.
    pub spells: Vec<Spell>,
    /// Any number.
    pub entitlements: Vec<Entitlement>,
}

impl Profile {
    /// The spell in force on a day; employees' insurance goes before residents'.
    pub fn spell_on(&self, day: Date) -> Option<&Spell> {
        spell_on(&self.spells, day)
    }

    /// The spell in force on a day, or else the last one.
    pub fn spell_on_or_last(&self, day: Date) -> Option<&Spell> {
        spell_on_or_last(&self.spells, day)
    }

    /// Faults that a single field cannot show, with their paths.
    pub fn check(&self) -> Result<(), (String, &'static str)> {
        if self.certificates.is_empty() {
            return Err(("certificates".into(), "at least one is needed"));
        }
        if self.spells.is_empty() {
            return Err(("spells".into(), "at least one is needed"));
        }
        for (i, spell) in self.spells.iter().enumerate() {
            if spell.to.is_some_and(|to| to < spell.from) {
                return Err((format!("spells[{i}].to_date"), "is before from_date"));
            }
            let overlaps = |other: &Spell| {
                other.insurance_type == spell.insurance_type
                    && other.to.is_none_or(|to| to >= spell.from)
                    && spell.to.is_none_or(|to| to >= other.from)
            };
            if self.spells[..i].iter().any(overlaps) {
                return Err((format!("spells[{i}]"), "overlaps another spell of the same insurance"));
            }
        }
        for (i, entitlement) in self.entitlements.iter().enumerate() {
            if entitlement.to.is_some_and(|to| to < entitlement.from) {
                return Err((format!("entitlements[{i}].to_date"), "is before from_date"));
            }
        }
        Ok(())
    }
}

fn spell_on(spells: &[Spell], day: Date) -> Option<&Spell> {
    let covers = |spell: &&Spell| covers(spell.from, spell.to, day) && spell.status == SpellStatus::Normal;
    spells.iter().filter(covers).min_by_key(|spell| spell.insurance_type != InsuranceType::Employee)
}

fn spell_on_or_last(spells: &[Spell], day: Date) -> Option<&Spell> {
    spell_on(spells, day).or_else(|| spells.iter().max_by_key(|spell| spell.from))
}

/// Whether a dated period with an optional last day contains a day.
pub fn covers(from: Date, to: Option<Date>, day: Date) -> bool {
    from <= day && to.is_none_or(|to| day <= to)
}

/// Everything the hub keeps of one person in memory. There are millions, so every byte is one of a million.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Given at enrolment.
    pub id: PersonId,
    /// What documents say.
    pub documents: Documents,
    /// Region whose ledger holds the person's account.
    pub home: RegionCode,
    /// The latest discharge of any stay that was ever settled: an admission on that day or later meets none of them, so the records need
    /// not be asked. It does not go back when a settlement is undone.
    pub settled_until: Option<Date>,
    /// The person's own medical money.
    pub account: Account,
    /// What was used of every year, and the periods that were credited.
    pub years: Years,
    /// In the order of application.
    pub cards: Box<[CardId]>,
    /// What few persons have.
    pub seldom: Seldom<SeldomOfPerson>,
}

/// What few persons have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeldomOfPerson {
    /// What the online account holds.
    pub online: Fen,
    /// In the order in which they were decided.
    pub pay_outs: Vec<PayOut>,
    /// In the order of filing.
    pub filings: Vec<Filing>,
    /// Stays that are open or discharged and not settled.
    pub open_stays: Vec<StayId>,
    /// Days on which networked settlement may not begin.
    pub suspension: Option<Suspension>,
    /// Whose accounts may pay for this person, in the order of linking, which is that of drawing.
    pub payers: Vec<PersonId>,
    /// Changes of the insured region, in their order.
    pub transfers: Vec<Transfer>,
    /// Recent uses of the person's cards.
    pub trail: Trail,
}

impl Blank for SeldomOfPerson {
    const NOTHING: &'static Self = &Self {
        online: Fen::ZERO,
        pay_outs: Vec::new(),
        filings: Vec::new(),
        open_stays: Vec::new(),
        suspension: None,
        payers: Vec::new(),
        transfers: Vec::new(),
        trail: Trail::NONE,
    };
}

/// What a change of the insured region leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Ids of this and later are of what was made with the change or after it.
    pub at: u64,
    /// Region that held the account until then.
    pub home_before: RegionCode,
    /// Years in which what was settled before no longer counts.
    pub anew: Vec<AccumulatorKey>,
}

impl Keyed for Person {
    type Key = PersonId;

    fn key(&self) -> PersonId {
        self.id
    }
}

impl Person {
    /// Somebody who was just enrolled.
    pub(crate) fn enrolled(id: PersonId, profile: &Profile, home: RegionCode) -> Self {
        Self {
            id,
            documents: Documents::of(profile),
            home,
            settled_until: None,
            account: Account::default(),
            years: Years::default(),
            cards: Box::default(),
            seldom: Seldom::default(),
        }
    }

    /// Keep what new documents say; gives what the ones before said.
    pub(crate) fn renew(&mut self, profile: &Profile) -> Profile {
        std::mem::replace(&mut self.documents, Documents::of(profile)).profile()
    }

    pub(crate) fn add_card(&mut self, card: CardId) {
        self.cards = self.cards.iter().copied().chain([card]).collect();
    }

    /// Region that held the account when something with this id was made.
    pub fn home_when(&self, id: u64) -> RegionCode {
        self.seldom
            .transfers
            .iter()
            .find(|transfer| id < transfer.at)
            .map_or(self.home, |transfer| transfer.home_before)
    }

    /// Whether what a settlement added to a year is still in it: it is not where a new region began to count anew.
    pub fn still_counts(&self, key: AccumulatorKey, settlement: SettlementId) -> bool {
        !self.seldom.transfers.iter().any(|transfer| settlement.0 < transfer.at && transfer.anew.contains(&key))
    }

    /// What a settlement of the person still counts, year by year.
    pub fn counting<'a>(&'a self, standing: &'a Standing) -> impl Iterator<Item = &'a (AccumulatorKey, Accumulators)> {
        standing.deltas().iter().filter(|(key, _)| self.still_counts(*key, standing.settlement.id))
    }

    /// What was used in a year; zero where nothing was.
    pub fn used(&self, key: AccumulatorKey) -> Accumulators {
        self.years.get(key).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_number_needs_its_check_character_and_a_real_date() {
        // Region 000000 is nobody's.
        let good = "00000019900307001";
        let check = "0123456789X".chars().find(|c| check_identity_number(&format!("{good}{c}")).is_ok()).unwrap();
        let wrong = "0123456789X".chars().filter(|c| check_identity_number(&format!("{good}{c}")).is_ok()).count();
        assert_eq!(wrong, 1);
        assert!(Certificate::new(CertificateKind::IdentityCard, &format!("{good}{check}")).is_ok());
        assert_eq!(
            Certificate::new(CertificateKind::IdentityCard, "000000199002300014"),
            Err("the date in the identity number does not exist")
        );
        assert!(Certificate::new(CertificateKind::Passport, "e1234567").is_err());
    }
}
