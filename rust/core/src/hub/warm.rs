//! Folds a run of records, whose rows are brought into the processor's cache together before.
//!
//! A fold reaches a row through three or four reads that wait for one another and for memory; among a million persons that is most of what
//! it takes. Reads of different records do not wait for one another, so the rows of a whole run come in about the time of a few.
//! Invariant: bringing them changes nothing, and the state is the same as without it.

use std::hint::black_box;

use super::Hub;
use crate::fact::{Fact, Record};
use crate::ids::{CardId, PersonId, StayId};
use crate::person::Certificate;
use crate::request::RequestKey;

/// Records of a run: enough that reads overlap as far as a processor can, few enough that their rows stay in its cache until they are used.
const RUN: usize = 64;

/// What the facts of a run name.
#[derive(Default)]
struct Named<'r> {
    requests: Vec<RequestKey>,
    persons: Vec<PersonId>,
    cards: Vec<CardId>,
    stays: Vec<StayId>,
    certificates: Vec<&'r Certificate>,
}

impl Hub {
    /// Fold records into the state, as [`Hub::apply`] does one after the other.
    pub fn apply_all<'r>(&mut self, mut records: impl Iterator<Item = &'r Record>) {
        let mut run = Vec::with_capacity(RUN);
        loop {
            run.clear();
            run.extend(records.by_ref().take(RUN));
            if run.is_empty() {
                return;
            }
            self.bring(&run);
            for record in &run {
                self.apply(record);
            }
        }
    }

    fn bring(&self, run: &[&Record]) {
        let mut named = Named::default();
        for record in run {
            named.requests.push(record.request_key());
            record.facts.iter().for_each(|fact| named.note(fact));
        }
        let Named { requests, persons, cards, stays, certificates } = named;
        let mut brought = self.requests.bring(&requests);
        brought ^= self.by_certificate.bring(certificates.into_iter()) ^ self.stays.bring(&stays);
        brought ^= self.persons.bring(&persons) ^ self.cards.bring(&cards);
        for person in persons.iter().filter_map(|id| self.persons.get(*id)) {
            brought ^= person.years.bring() ^ person.cards.len();
        }
        for card in cards.iter().filter_map(|id| self.cards.get(*id)) {
            brought ^= card.generation.len() ^ usize::from(card.made.is_some());
        }
        black_box(brought);
    }
}

impl<'r> Named<'r> {
    /// What is common in a journal; what is rare finds its rows by itself.
    fn note(&mut self, fact: &'r Fact) {
        match fact {
            Fact::PersonEnrolled { profile, .. } => self.certificates.extend(&profile.certificates),
            Fact::CardApplied { person, .. }
            | Fact::AccountCredited { person, .. }
            | Fact::YearOpened { person, .. }
            | Fact::FilingFiled { person, .. } => self.persons.push(*person),
            Fact::CardMade { card, .. }
            | Fact::CardHandedOver { card, .. }
            | Fact::CardEnabled { card, .. }
            | Fact::CardReportedLost { card, .. }
            | Fact::CardLossWithdrawn { card, .. } => self.cards.push(*card),
            Fact::PatientAdmitted { stay, shown } => {
                self.persons.push(stay.person);
                self.cards.extend(shown.card());
            }
            Fact::ChargesAdded { stay, .. }
            | Fact::ChargesRevoked { stay, .. }
            | Fact::PatientDischarged { stay, .. } => self.stays.push(*stay),
            Fact::Settled { settlement } => {
                self.persons.push(settlement.person);
                self.cards.extend(settlement.presented.credential.card());
                self.stays.extend(settlement.stay());
            }
            _ => {}
        }
    }
}
