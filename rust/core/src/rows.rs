//! The state as rows of bytes: what a snapshot holds, and what the digest of the state sums.
//!
//! Invariant: the rows of a hub, put into an empty one in their order, make an equal hub. What can be told from other rows (indexes of
//! certificates, PANs and card numbers, counts) is no row.
//! Invariant: the digest is a sum over rows, so it depends neither on their order nor on the seed of the tables. What is empty has no row.
//! Invariant: rows are read by the program that wrote them or one with the same [`FORMAT`]; every other one folds the journal instead.
//! Leaves out: files and their checksums (`engine`), and when rows are written.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, AlertRules, Alerts};
use crate::card::Card;
use crate::catalogue::Catalogue;
use crate::census::Census;
use crate::guess::WrongCryptograms;
use crate::hub::Hub;
use crate::ids::{Hash32, HubNumber, InstitutionCode};
use crate::institution::Institution;
use crate::ledger::Ledger;
use crate::person::Person;
use crate::policy::BenefitPolicy;
use crate::region::RegionTree;
use crate::request::{Known, RequestKey};
use crate::retirement::Retirements;
use crate::stay::Stay;
use crate::suspension::PlaceSuspension;
use crate::token::UsedTokens;

/// Raised by every change of what a row holds or means; a test compares rows of every kind with what they were.
pub const FORMAT: u32 = 2;

/// One row. The place of a variant is its number in the bytes: new ones come last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Row {
    /// First: whose state this is and how far it is.
    Head {
        hub: u32,
        sequence: u64,
    },
    Regions(RegionTree),
    Institution(Institution),
    Suspensions(InstitutionCode, Vec<PlaceSuspension>),
    Policy(Hash32, Arc<BenefitPolicy>),
    Catalogue(Hash32, Arc<Catalogue>),
    AlertRules(Hash32, Arc<AlertRules>),
    Retirements(Retirements),
    Census(Census),
    Ledger(Ledger),
    WrongCryptograms(WrongCryptograms),
    UsedTokens(UsedTokens),
    AlertsRaised(u64),
    Alert(Arc<Alert>),
    Person(Arc<Person>),
    Card(Arc<Card>),
    Stay(Arc<Stay>),
    /// An id of the window with the moment at which it leaves; in the order in which they leave.
    Request {
        key: RequestKey,
        known: Known,
        leaves_ms: i64,
    },
}

/// Sum of a 128-bit hash of every row.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct StateDigest(pub u128);

impl StateDigest {
    /// Take in a row as [`Hub::each_row`] gives it.
    pub fn add(&mut self, row: &[u8]) {
        let hash = blake3::hash(row);
        let (half, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        self.0 = self.0.wrapping_add(u128::from_le_bytes(*half));
    }
}

impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Hub {
    /// Every row, encoded, one after the other in the same bytes.
    pub fn each_row<E>(&self, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut bytes = Vec::with_capacity(1_024);
        self.rows(&mut |row| {
            bytes.clear();
            bytes = postcard::to_extend(&row, std::mem::take(&mut bytes)).expect("rows hold only what can be written");
            each(&bytes)
        })
    }

    /// Digest of the whole state. It walks all rows: not for the thread that decides.
    pub fn digest(&self) -> StateDigest {
        let mut digest = StateDigest::default();
        let Ok(()) = self.each_row(|row| {
            digest.add(row);
            Ok::<(), std::convert::Infallible>(())
        });
        digest
    }

    fn rows<E>(&self, each: &mut impl FnMut(Row) -> Result<(), E>) -> Result<(), E> {
        each(Row::Head { hub: self.number.get(), sequence: self.sequence })?;
        unless_empty(&self.regions, Row::Regions, each)?;
        self.institutions
            .values()
            .try_for_each(|institution| each(Row::Institution(Institution::clone(institution))))?;
        for (code, suspensions) in &self.suspensions {
            each(Row::Suspensions(*code, suspensions.clone()))?;
        }
        for (hash, policy) in self.policies.values().flatten() {
            each(Row::Policy(*hash, Arc::clone(policy)))?;
        }
        for (hash, catalogue) in self.catalogues.values().flatten() {
            each(Row::Catalogue(*hash, Arc::clone(catalogue)))?;
        }
        for (hash, rules) in self.alert_rules.values().flatten() {
            each(Row::AlertRules(*hash, Arc::clone(rules)))?;
        }
        unless_empty(&self.retirements, Row::Retirements, each)?;
        unless_empty(&self.census, Row::Census, each)?;
        unless_empty(&self.ledger, Row::Ledger, each)?;
        unless_empty(&self.wrong_cryptograms, Row::WrongCryptograms, each)?;
        unless_empty(&self.used_tokens, Row::UsedTokens, each)?;
        if self.alerts.raised() > 0 {
            each(Row::AlertsRaised(self.alerts.raised()))?;
        }
        self.alerts.open().try_for_each(|alert| each(Row::Alert(Arc::clone(alert))))?;
        self.persons.values().try_for_each(|person| each(Row::Person(Arc::clone(person))))?;
        self.cards.values().try_for_each(|card| each(Row::Card(Arc::clone(card))))?;
        self.stays.values().try_for_each(|stay| each(Row::Stay(Arc::clone(stay))))?;
        self.requests.rows().try_for_each(|(key, known, leaves_ms)| each(Row::Request { key, known, leaves_ms }))
    }
}

fn unless_empty<T: Clone + Default + PartialEq, E>(
    part: &T,
    row: fn(T) -> Row,
    each: &mut impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    if *part == T::default() { Ok(()) } else { each(row(part.clone())) }
}

/// Bytes that are no row, or a row that cannot stand here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {number} {what}")]
pub struct BadRow {
    /// Which, from 1.
    pub number: u64,
    /// What is wrong with it.
    pub what: &'static str,
}

/// A row that was read and can stand where it stands.
pub struct ReadRow(Row);

/// Reads rows in their order and keeps none of them: enough to say whether they make a hub.
pub struct RowReader {
    hub: HubNumber,
    rows: u64,
    sequence: u64,
}

impl RowReader {
    /// Of the rows of the hub with this number.
    pub fn new(hub: HubNumber) -> Self {
        Self { hub, rows: 0, sequence: 0 }
    }

    /// Read the next row; none for the head, whose sequence is noted.
    pub fn read(&mut self, row: &[u8]) -> Result<Option<ReadRow>, BadRow> {
        self.rows += 1;
        let number = self.rows;
        let bad = |what| BadRow { number, what };
        let (row, rest) = postcard::take_from_bytes(row).map_err(|_| bad("cannot be read"))?;
        if !rest.is_empty() {
            return Err(bad("is longer than what it holds"));
        }
        match row {
            Row::Head { hub, .. } if number == 1 && hub != self.hub.get() => Err(bad("is of another hub")),
            Row::Head { sequence, .. } if number == 1 => {
                self.sequence = sequence;
                Ok(None)
            }
            Row::Head { .. } => Err(bad("is a second head")),
            _ if number == 1 => Err(bad("is not the head")),
            row if self.is_foreign(&row) => Err(bad("has the id of another hub")),
            row => Ok(Some(ReadRow(row))),
        }
    }

    /// Whether it is of somebody, or a card, to whom another hub gave the id.
    fn is_foreign(&self, row: &Row) -> bool {
        let id = match row {
            Row::Person(person) => person.id.0,
            Row::Card(card) => card.id.0,
            _ => return false,
        };
        HubNumber::of_id(id) != Some(self.hub)
    }

    /// The last decision that the rows know of, once every row was looked at.
    pub fn finish(self) -> Result<u64, BadRow> {
        if self.rows == 0 { Err(BadRow { number: 1, what: "is missing" }) } else { Ok(self.sequence) }
    }
}

/// A hub that is made from its rows, which another thread may read.
pub struct Restoring {
    hub: Hub,
}

impl Restoring {
    /// Of the hub with this number; `seed` as for [`Hub::new`].
    pub fn new(number: HubNumber, seed: u64) -> Self {
        Self { hub: Hub::new(number, seed) }
    }

    /// Put the next row in.
    pub fn put(&mut self, ReadRow(row): ReadRow) {
        let hub = &mut self.hub;
        match row {
            Row::Head { .. } => unreachable!("the head is read where rows are counted"),
            Row::Regions(regions) => hub.regions = regions,
            Row::Institution(institution) => hub.institutions.insert(institution),
            Row::Suspensions(code, suspensions) => drop(hub.suspensions.insert(code, suspensions)),
            Row::Policy(hash, policy) => {
                let key = (policy.region, policy.insurance_type, policy.visit_kind);
                hub.policies.entry(key).or_default().push((hash, policy));
            }
            Row::Catalogue(hash, catalogue) => {
                hub.catalogues.entry(catalogue.region).or_default().push((hash, catalogue));
            }
            Row::AlertRules(hash, rules) => hub.alert_rules.entry(rules.region).or_default().push((hash, rules)),
            Row::Retirements(retirements) => hub.retirements = retirements,
            Row::Census(census) => hub.census = census,
            Row::Ledger(ledger) => hub.ledger = ledger,
            Row::WrongCryptograms(wrong) => hub.wrong_cryptograms = wrong,
            Row::UsedTokens(used) => hub.used_tokens = used,
            Row::AlertsRaised(raised) => hub.alerts = Alerts::raised_before(raised),
            Row::Alert(alert) => hub.alerts.reopen(alert),
            Row::Person(person) => {
                for certificate in person.documents.profile().certificates {
                    hub.by_certificate.insert(&certificate, person.id.0);
                }
                hub.persons.insert(person);
            }
            Row::Card(mut card) => {
                let own = Arc::get_mut(&mut card).expect("nobody else has it yet");
                own.generation = hub.census.generation(own.region, &own.generation);
                if let Some(made) = &card.made {
                    hub.by_pan.insert(&made.pan, card.id.0);
                    hub.by_sn.insert(&made.card_sn, card.id.0);
                }
                hub.cards.insert(card);
            }
            Row::Stay(stay) => hub.stays.insert(stay),
            Row::Request { key, known, leaves_ms } => hub.requests.restore(&key, known, leaves_ms),
        }
    }

    /// The hub, once every row is in it; `sequence` is what [`RowReader::finish`] gave.
    pub fn finish(mut self, sequence: u64) -> Hub {
        self.hub.sequence = sequence;
        self.hub
    }
}

#[cfg(test)]
pub(crate) mod tests;
