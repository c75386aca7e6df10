//! How a record changes the state.
//!
//! Invariant: nothing here refuses, looks at a rule, or depends on anything but the state and the record.
//! A fact that names what is not there is damage that recovery reports: it panics, and the engine halts.

use std::num::NonZeroI64;
use std::sync::Arc;

use super::{Hub, Versions};
use crate::account::{AccountKind, PurseMove};
use crate::calendar::Date;
use crate::card::{Card, LockCause, Loss, Zone, ZoneKind, ZoneState};
use crate::fact::{Fact, Record};
use crate::fraud::Unwind;
use crate::ids::{CardId, Hash32, InstitutionCode, PersonId, StayId};
use crate::money::{Fen, Quantity};
use crate::person::{Person, Transfer};
use crate::pin::Pin;
use crate::region::RegionTree;
use crate::request::Bound;
use crate::settlement::{Adjustment, Cancellation, CredentialShown, FamilyDraw, Settlement};
use crate::stay::{Stay, StayLine, StayState};
use crate::trail::Use;

impl Hub {
    /// Fold a record into the state.
    pub fn apply(&mut self, record: &Record) {
        assert_eq!(record.sequence, self.sequence + 1, "records are applied in the order of their sequences");
        self.sequence = record.sequence;
        self.census.advance(record.stamp_ms, &self.cards);
        for fact in &record.facts {
            self.apply_fact(fact, record);
        }
        self.requests.bind(&record.request_key(), Bound::by(record), record.stamp_ms);
    }

    fn apply_fact(&mut self, fact: &Fact, record: &Record) {
        match fact {
            Fact::PersonEnrolled { .. }
            | Fact::PersonUpdated { .. }
            | Fact::PersonTransferred { .. }
            | Fact::PersonSuspended { .. } => self.apply_person(fact, record),
            Fact::CardApplied { .. }
            | Fact::CardApplicationFailed { .. }
            | Fact::CardMade { .. }
            | Fact::CardHandedOver { .. }
            | Fact::CardEnabled { .. }
            | Fact::CardReportedLost { .. }
            | Fact::CardLossWithdrawn { .. }
            | Fact::CardLocked { .. }
            | Fact::CardUnlocked { .. }
            | Fact::PinSet { .. }
            | Fact::PinWrong { .. }
            | Fact::PinVerified { .. }
            | Fact::CardCancelled { .. } => self.apply_card(fact),
            Fact::GenerationRetired { region, generation, cut_over } => {
                self.retirements.set(*region, generation, *cut_over);
            }
            Fact::CryptogramWrong { card, institution, count } => {
                self.wrong_cryptograms.note(*institution, *card, *count, record.stamp_ms);
            }
            Fact::AccountCredited { .. }
            | Fact::ToppedUp { .. }
            | Fact::Purchased { .. }
            | Fact::PayOutMade { .. }
            | Fact::PayOutReleased { .. }
            | Fact::PayOutWithdrawn { .. }
            | Fact::FamilyLinked { .. }
            | Fact::FamilyUnlinked { .. } => self.apply_account(fact),
            Fact::YearOpened { person, key, accumulators } => {
                self.person_mut(*person).years.set(*key, *accumulators);
            }
            Fact::FilingFiled { person, filing } => self.person_mut(*person).seldom.filings.push(filing.clone()),
            Fact::FilingWithdrawn { person, filing } => {
                self.person_mut(*person).seldom.filings.retain(|f| f.id != *filing);
            }
            Fact::PolicyInstalled { hash, policy } => {
                let versions = self.policies.entry((policy.region, policy.insurance_type, policy.visit_kind));
                insert_version(versions.or_default(), *hash, policy, |policy| policy.effective_from);
            }
            Fact::CatalogueInstalled { hash, catalogue } => {
                let versions = self.catalogues.entry(catalogue.region).or_default();
                insert_version(versions, *hash, catalogue, |catalogue| catalogue.effective_from);
            }
            Fact::RegionsInstalled { regions, .. } => {
                self.regions = RegionTree::build(regions).expect("a tree is checked before it becomes a fact");
            }
            Fact::AlertRulesInstalled { hash, rules } => {
                let versions = self.alert_rules.entry(rules.region).or_default();
                insert_version(versions, *hash, rules, |rules| rules.effective_from);
            }
            Fact::AlertRaised { alert } => self.alerts.raise(Arc::clone(alert)),
            Fact::AlertAcknowledged { alert, .. } => self.alerts.close(*alert),
            Fact::InstitutionRegistered { institution } => {
                self.institutions.insert(institution.clone());
            }
            Fact::InstitutionSuspended { institution, suspension, .. } => {
                let suspended = self.suspensions.entry(*institution).or_default();
                suspended.retain(|other| other.department != suspension.department);
                suspended.push(suspension.clone());
            }
            Fact::InstitutionResumed { institution, department } => {
                let suspended = self.suspensions.get_mut(institution).expect("what is resumed was suspended");
                suspended.retain(|other| other.department != *department);
            }
            Fact::RequestReversed { request } => self.requests.mark_reversed(request),
            Fact::ReversalRemembered { request } => self.requests.remember_unseen(request, record.stamp_ms),
            _ => self.apply_stay(fact, record.stamp_ms),
        }
    }

    fn apply_person(&mut self, fact: &Fact, record: &Record) {
        match fact {
            Fact::PersonEnrolled { person, profile, home } => {
                for certificate in &profile.certificates {
                    self.by_certificate.insert(certificate, person.0);
                }
                self.census.count_insured(profile, 1);
                self.persons.insert(Person::enrolled(*person, profile, *home));
            }
            Fact::PersonUpdated { person, profile } => {
                let before = self.person_mut(*person).renew(profile);
                for certificate in &before.certificates {
                    self.by_certificate.remove(certificate, person.0);
                }
                for certificate in &profile.certificates {
                    self.by_certificate.insert(certificate, person.0);
                }
                self.census.count_insured(&before, -1);
                self.census.count_insured(profile, 1);
            }
            Fact::PersonTransferred { person, profile, home, anew, legs } => {
                let at = self.number.id(record.sequence);
                let person = self.person_mut(*person);
                let before = person.renew(profile);
                let home_before = std::mem::replace(&mut person.home, *home);
                person.years.forget(anew);
                person.seldom.transfers.push(Transfer { at, home_before, anew: anew.clone() });
                self.census.count_insured(&before, -1);
                self.census.count_insured(profile, 1);
                self.ledger.post(legs);
            }
            Fact::PersonSuspended { person, days, .. } => self.person_mut(*person).seldom.suspension = Some(*days),
            _ => unreachable!("only facts about persons are sent here"),
        }
    }

    fn apply_card(&mut self, fact: &Fact) {
        match fact {
            Fact::CardApplied { card, person, region, generation, predecessor } => {
                let generation = self.census.generation(*region, generation);
                let applied = Card::applied(*card, *person, *region, generation, *predecessor);
                self.census.enter(&applied);
                self.cards.insert(applied);
                self.person_mut(*person).add_card(*card);
            }
            Fact::CardApplicationFailed { card, cause } => self.set_both(*card, ZoneState::Failed(*cause)),
            Fact::CardMade { card, made, purse, legs } => {
                self.by_pan.insert(&made.pan, card.0);
                self.by_sn.insert(&made.card_sn, card.0);
                let making = self.card_mut(*card);
                making.made = Some(made.clone());
                if *purse != Fen::ZERO {
                    making.seldom.purse = *purse;
                }
                self.ledger.post(legs);
                self.set_both(*card, ZoneState::Made);
            }
            Fact::CardHandedOver { card, .. } => self.set_both(*card, ZoneState::Issued),
            Fact::CardEnabled { card, zone, cancelled, moves, legs, .. } => {
                self.change_zone(*card, *zone, |zone| zone.state = ZoneState::Enabled);
                for moved in moves {
                    self.move_purse(*card, moved);
                }
                self.ledger.post(legs);
                if let Some(predecessor) = cancelled {
                    self.set_both(*predecessor, ZoneState::Cancelled);
                }
            }
            Fact::CardReportedLost { card, zones, loss, until_ms, .. } => {
                for zone in zones {
                    self.change_zone(*card, *zone, |zone| match loss {
                        Loss::Temporary => zone.lost_until_ms = until_ms.and_then(NonZeroI64::new),
                        Loss::Formal => zone.state = ZoneState::FormalLost,
                    });
                }
            }
            Fact::CardLossWithdrawn { card, zones, .. } => {
                for zone in zones {
                    self.change_zone(*card, *zone, |zone| zone.lost_until_ms = None);
                }
            }
            Fact::CardUnlocked { card, zone, atc } => {
                self.change_zone(*card, *zone, |zone| zone.locked = false);
                if *zone == ZoneKind::Insurance {
                    self.count_wrong_pins(*card, 0);
                }
                if let Some(atc) = atc {
                    let card = self.card_mut(*card);
                    card.counter = card.counter.reset_to(*atc).expect("the counter was checked when it was decided");
                }
            }
            Fact::CardLocked { card, cause } => {
                self.change_zone(*card, ZoneKind::Insurance, |zone| zone.locked = true);
                if *cause == LockCause::CounterExhausted {
                    let card = self.card_mut(*card);
                    card.counter = card.counter.exhausted();
                }
            }
            Fact::PinSet { card, hashed } => self.card_mut(*card).seldom.pin = Some(Pin::new(*hashed)),
            Fact::PinWrong { card, count } => self.count_wrong_pins(*card, *count),
            Fact::PinVerified { card } => self.count_wrong_pins(*card, 0),
            Fact::CardCancelled { card, zones, .. } => {
                for zone in zones {
                    self.change_zone(*card, *zone, |zone| zone.state = ZoneState::Cancelled);
                }
            }
            _ => unreachable!("only card facts are sent here"),
        }
    }

    fn count_wrong_pins(&mut self, card: CardId, count: u32) {
        let card = self.card_mut(card);
        if let Some(pin) = card.seldom.pin {
            card.seldom.pin = Some(Pin { wrong: count, ..pin });
        }
    }

    fn apply_account(&mut self, fact: &Fact) {
        match fact {
            Fact::AccountCredited { person, amount, period_key, legs } => {
                let person = self.person_mut(*person);
                person.account.balance += *amount;
                person.years.note_credited(period_key);
                self.ledger.post(legs);
            }
            Fact::ToppedUp { person, card, account, balance_after, legs, .. }
            | Fact::Purchased { person, card, account, balance_after, legs, .. } => {
                self.set_balance(*person, *card, *account, *balance_after);
                self.ledger.post(legs);
            }
            Fact::PayOutMade { person, pay_out, legs, .. } => {
                self.person_mut(*person).seldom.pay_outs.push(pay_out.clone());
                self.ledger.post(legs);
            }
            Fact::PayOutReleased { person, claim_number, legs, .. } => {
                let pay_outs = &mut self.person_mut(*person).seldom.pay_outs;
                let waiting = pay_outs.iter_mut().find(|pay_out| pay_out.claim_number == *claim_number);
                waiting.expect("what is released was made").waiting = false;
                self.ledger.post(legs);
            }
            Fact::PayOutWithdrawn { person, claim_number, legs } => {
                self.person_mut(*person).seldom.pay_outs.retain(|pay_out| pay_out.claim_number != *claim_number);
                self.ledger.post(legs);
            }
            Fact::FamilyLinked { person, payer } => self.person_mut(*person).seldom.payers.push(*payer),
            Fact::FamilyUnlinked { person, payer } => {
                self.person_mut(*person).seldom.payers.retain(|other| other != payer);
            }
            _ => unreachable!("only facts of accounts are sent here"),
        }
    }

    fn move_purse(&mut self, to: CardId, moved: &PurseMove) {
        let from = self.card_mut(moved.from);
        match moved.account {
            AccountKind::Purse => {
                from.seldom.purse -= moved.amount;
                let person = from.person;
                self.person_mut(person).account.balance += moved.amount;
            }
            AccountKind::Offline => {
                from.seldom.offline -= moved.amount;
                self.card_mut(to).seldom.offline += moved.amount;
            }
            _ => unreachable!("only purses belong to a card"),
        }
    }

    fn set_balance(&mut self, person: PersonId, card: CardId, account: AccountKind, balance: Fen) {
        match account {
            AccountKind::Online => self.person_mut(person).seldom.online = balance,
            AccountKind::Offline => self.card_mut(card).seldom.offline = balance,
            _ => unreachable!("only the online account and the purse in a chip are paid into and bought from"),
        }
    }

    fn apply_stay(&mut self, fact: &Fact, now_ms: i64) {
        match fact {
            Fact::PatientAdmitted { stay, shown } => {
                self.note_shown(shown, stay.institution, now_ms);
                self.open(Arc::clone(stay));
                let used = Use::at_admission(stay, shown.card(), now_ms);
                self.person_mut(stay.person).seldom.trail.note(used);
            }
            Fact::VoucherIssued { stay, voucher, .. } => self.stay_mut(*stay).voucher = Some(*voucher),
            Fact::StayUpdated { stay, admission, kind, department, diagnosis } => {
                let stay = self.stay_mut(*stay);
                stay.admission = *admission;
                stay.kind = *kind;
                stay.department.clone_from(department);
                stay.diagnosis.clone_from(diagnosis);
            }
            Fact::ChargesAdded { stay, lines, sum } => {
                let stay = self.stay_mut(*stay);
                stay.sum = *sum;
                for line in lines {
                    add_line(stay, line);
                }
            }
            Fact::ChargesRevoked { stay, line_ids, sum } => {
                let stay = self.stay_mut(*stay);
                stay.sum = *sum;
                for id in line_ids {
                    remove_line(stay, *id);
                }
            }
            Fact::PatientDischarged { stay, discharge } => {
                let stay = self.stay_mut(*stay);
                stay.state = StayState::Discharged;
                stay.discharge = Some(*discharge);
            }
            Fact::DischargeCancelled { stay } => {
                let stay = self.stay_mut(*stay);
                stay.state = StayState::Open;
                stay.discharge = None;
            }
            Fact::AdmissionCancelled { stay } => self.close(*stay).seldom.trail.forget_admission(*stay),
            Fact::Settled { settlement } => self.apply_settlement(settlement),
            Fact::Unwound { unwind } => self.apply_unwind(unwind),
            Fact::SettlementCancelled { cancellation, stay } => {
                self.apply_cancellation(cancellation);
                if let Some(stay) = stay {
                    self.open(Arc::clone(stay));
                }
            }
            _ => unreachable!("every other fact was matched before"),
        }
    }

    fn apply_settlement(&mut self, settlement: &Settlement) {
        self.note_shown(&settlement.presented.credential, settlement.institution, settlement.stamp_ms);
        let person = match settlement.stay() {
            Some(stay) => {
                let patient = self.close(stay);
                patient.settled_until = patient.settled_until.max(Some(settlement.case.discharge));
                patient
            }
            None => self.person_mut(settlement.person),
        };
        person.seldom.trail.note(Use::at_settlement(settlement));
        person.account.balance = settlement.balance_after;
        for (key, delta) in &settlement.deltas {
            let used = person.used(*key).checked_add(*delta).expect("decided within bounds");
            person.years.set(*key, used);
        }
        self.set_family(&settlement.family);
        self.ledger.post(&settlement.legs);
    }

    fn set_family(&mut self, draws: &[FamilyDraw]) {
        for draw in draws {
            self.person_mut(draw.payer).account.balance = draw.balance_after;
        }
    }

    fn apply_cancellation(&mut self, cancellation: &Cancellation) {
        let person = self.person_mut(cancellation.settlement.person);
        person.seldom.trail.forget_settlement(cancellation.settlement.id);
        person.account.balance = cancellation.balance_after;
        for (key, delta) in &cancellation.deltas {
            let used = person.used(*key).checked_sub(*delta).expect("what is taken back was added before");
            person.years.set(*key, used);
        }
        self.set_family(&cancellation.family);
        self.ledger.post(&cancellation.legs);
        self.adjust(cancellation.settlement.person, &cancellation.adjustments);
    }

    fn apply_unwind(&mut self, unwind: &Unwind) {
        for reversal in &unwind.reversals {
            let person = self.person_mut(unwind.person);
            person.account.balance = reversal.balance_after;
            person.seldom.trail.forget_settlement(reversal.settlement);
            if let Some(stay) = reversal.stay {
                person.seldom.trail.forget_admission(stay);
            }
            for (key, delta) in &reversal.deltas {
                let used = person.used(*key).checked_sub(*delta).expect("what is taken back was added before");
                person.years.set(*key, used);
            }
            self.set_family(&reversal.family);
            self.ledger.post(&reversal.legs);
        }
        self.adjust(unwind.person, &unwind.adjustments);
    }

    fn adjust(&mut self, person: PersonId, adjustments: &[Adjustment]) {
        for adjustment in adjustments {
            let person = self.person_mut(person);
            for (key, change) in &adjustment.changes {
                let used = person.used(*key).checked_add(*change).expect("decided within bounds");
                person.years.set(*key, used);
            }
            self.ledger.post(&adjustment.legs);
        }
    }

    fn open(&mut self, stay: Arc<Stay>) {
        self.person_mut(stay.person).seldom.open_stays.push(stay.id);
        self.stays.insert(stay);
    }

    /// Takes a stay out and returns its patient.
    fn close(&mut self, id: StayId) -> &mut Person {
        let stay = self.stays.remove(id).expect("a closed stay was open");
        let patient = self.person_mut(stay.person);
        patient.seldom.open_stays.retain(|open| *open != id);
        patient
    }

    /// What was shown is not shown again: the counter moves, the token is used.
    fn note_shown(&mut self, shown: &CredentialShown, institution: InstitutionCode, now_ms: i64) {
        match shown {
            CredentialShown::Chip { card: id, atc, .. } => {
                let card = self.card_mut(*id);
                card.counter = card.counter.accept(*atc).expect("the counter was checked when it was decided");
                self.wrong_cryptograms.forget(institution, *id);
            }
            CredentialShown::Electronic { token, expires_ms, .. } => self.used_tokens.note(*token, *expires_ms, now_ms),
            CredentialShown::Stripe { .. } | CredentialShown::Voucher(_) => {}
        }
    }

    fn set_both(&mut self, card: CardId, state: ZoneState) {
        for zone in ZoneKind::ALL {
            self.change_zone(card, zone, |zone| zone.state = state);
        }
    }

    /// The only way in which a zone changes, so that the counts follow.
    fn change_zone(&mut self, id: CardId, kind: ZoneKind, change: impl FnOnce(&mut Zone)) {
        let card = self.cards.get_mut(id).expect("facts name cards that were applied for");
        self.census.leave(card);
        change(card.zone_mut(kind));
        self.census.enter(card);
    }

    fn person_mut(&mut self, id: PersonId) -> &mut Person {
        self.persons.get_mut(id).expect("facts name persons that were enrolled")
    }

    fn card_mut(&mut self, id: CardId) -> &mut Card {
        self.cards.get_mut(id).expect("facts name cards that were applied for")
    }

    fn stay_mut(&mut self, id: StayId) -> &mut Stay {
        self.stays.get_mut(id).expect("facts name stays that are open")
    }
}

/// Of two versions with one first day, the one that was installed later comes later.
fn insert_version<T>(versions: &mut Versions<T>, hash: Hash32, package: &Arc<T>, first_day: fn(&T) -> Date) {
    let at = versions.partition_point(|(_, other)| first_day(other) <= first_day(package));
    versions.insert(at, (hash, Arc::clone(package)));
}

fn add_line(stay: &mut Stay, line: &StayLine) {
    let lines = Arc::make_mut(&mut stay.lines);
    if let Some(id) = line.line.takes_back {
        let base = lines.get_mut(&id).expect("a refund names a line of its stay");
        base.left = base.left.checked_add(line.line.quantity).expect("decided within bounds");
    }
    stay.next_ordinal = line.ordinal + 1;
    lines.insert(line.line.line_id, line.clone());
}

fn remove_line(stay: &mut Stay, id: u64) {
    let lines = Arc::make_mut(&mut stay.lines);
    let line = lines.remove(&id).expect("a revoked line was in its stay");
    if let Some(base) = line.line.takes_back
        && let Some(base) = lines.get_mut(&base)
    {
        let back = Quantity::from_ten_thousandths(-line.line.quantity.ten_thousandths());
        base.left = base.left.checked_add(back).expect("decided within bounds");
    }
}
