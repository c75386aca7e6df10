//! What a person may expect of a visit before it begins.
//!
//! Invariant: nothing is learned here that a clerk with the card or the document in hand does not need; names are masked.

use super::person_of;
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::calendar::Date;
use crate::card::{Card, ZoneState};
use crate::command::{CardKey, Eligibility, Reply};
use crate::decide::{cards, stays, suspensions, visits};
use crate::filing;
use crate::hub::{Context, Hub, role};
use crate::ids::CardSn;
use crate::institution::Institution;
use crate::money::Fen;
use crate::person::{Certificate, Person, Spell};
use crate::policy::{BandMeasure, BenefitPolicy, CapMeasure, Fund, Layer, LayerBase, VisitKind};
use crate::reject::Reject;
use crate::stay::{Stay, StayState};

/// Callers that ask for a person and not for a visit at their own place.
const NOT_AN_INSTITUTION: u32 = role::DESK | role::READS_ALL | role::HUB;

/// A visit that somebody asks about.
struct Visit<'a> {
    hub: &'a Hub,
    person: &'a Person,
    card: Option<&'a Card>,
    spell: Option<&'a Spell>,
    institution: Option<&'a Institution>,
    kind: VisitKind,
    day: Date,
}

pub(super) fn check(
    hub: &Hub,
    sn: Option<CardSn>,
    certificate: Option<&Certificate>,
    kind: VisitKind,
    day: Date,
    context: &Context<'_>,
) -> Result<Reply, Reject> {
    let (person, shown) = match (sn, certificate) {
        (Some(sn), _) => {
            let card = cards::find(hub, CardKey::Sn(sn))?;
            (hub.person(card.person)?, Some(card))
        }
        (None, Some(certificate)) => (person_of(hub, certificate)?, None),
        (None, None) => return Err(Reject::malformed("credential", "a card or a certificate is needed")),
    };
    let card = shown.or_else(|| in_state(hub, person, ZoneState::Enabled));
    let spell = person.documents.spell_on(day);
    let spell = spell.as_ref();
    let institution = hub.institutions.get(context.actor.institution);
    let visit = Visit { hub, person, card, spell, institution, kind, day };
    let filing = institution.and_then(|i| filing::applying(person, &hub.regions, i.region, day).next());
    Ok(Reply::Eligibility(Box::new(Eligibility {
        person: person.id,
        masked_name: person.documents.masked_name(),
        insured_region: spell.map(|spell| spell.region),
        insurance_type: spell.map(|spell| spell.insurance_type),
        category: spell.map(|spell| spell.category),
        card: card.map(|card| cards::view(hub, card, context)),
        filing: filing.cloned(),
        balance: person.account.balance,
        remaining: visit.remaining(),
        open_stay: visit.stays().find(|stay| stay.state == StayState::Open).map(|stay| stay.id),
        blocks: visit.blocks(context),
    })))
}

/// The person's card in a state, whatever hides it.
fn in_state<'a>(hub: &'a Hub, person: &'a Person, state: ZoneState) -> Option<&'a Card> {
    cards::of_person(hub, person).find(|card| card.insurance.state == state)
}

impl<'a> Visit<'a> {
    fn policy(&self) -> Option<&'a BenefitPolicy> {
        let spell = self.spell?;
        let (_, (_, policy)) = self.hub.policy(spell.region, spell.insurance_type, self.kind, self.day)?;
        Some(policy)
    }

    /// Stays that are open or discharged.
    fn stays(&self) -> impl Iterator<Item = &'a Stay> {
        let hub = self.hub;
        self.person.seldom.open_stays.iter().map(|id| &hub.stays[*id])
    }

    /// What is left of each limit of the year, in the order in which the funds pay.
    fn remaining(&self) -> Vec<(Fund, Option<Fen>)> {
        let (Some(policy), Some(spell)) = (self.policy(), self.spell) else { return Vec::new() };
        let insurance_type = spell.insurance_type;
        let key = AccumulatorKey { insurance_type, year: self.day.year(), counter: policy.counter() };
        let used = self.person.used(key);
        let held = self.person.documents.entitlements_on(self.day);
        let layers = policy.layers.iter().filter(|layer| layer.is_for(&held));
        layers
            .map(|layer| (layer.fund, layer.annual_cap.map(|cap| cap.left_after(counted(policy, layer, &used)))))
            .collect()
    }

    /// The refusals that the visit would meet now, most important first.
    fn blocks(&self, context: &Context<'_>) -> Vec<Reject> {
        // Whoever comes with a certificate may still have a card to enable by its first use.
        let card = self.card.or_else(|| in_state(self.hub, self.person, ZoneState::Issued));
        let may_settle = |card: &Card| card.may_settle(self.hub.moment(card, context.stamp_ms), true);
        let card = card.ok_or_else(|| Reject::CardUnknown).and_then(may_settle);
        let insured = self.spell.ok_or_else(|| Reject::NotInsured { day: self.day });
        [
            card.err(),
            insured.err(),
            self.place_refuses(context),
            self.suspended(context),
            self.stay_overlaps(),
            self.package_missing(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn place_refuses(&self, context: &Context<'_>) -> Option<Reject> {
        let Some(institution) = self.institution else {
            let visits = context.actor.roles & NOT_AN_INSTITUTION == 0;
            return visits.then_some(Reject::InstitutionUnknown(context.actor.institution));
        };
        if !visits::gives(institution.kind, self.kind) {
            return Some(Reject::VisitNotOffered { institution: institution.kind, visit: self.kind });
        }
        let spell = self.spell?;
        let own_pool =
            stays::is_local(self.hub, spell.region, spell.insurance_type, institution.region, self.kind, self.day);
        (!institution.may_settle_for(own_pool)).then_some(Reject::InstitutionNotNetworked)
    }

    /// No department is named, so only what holds for the whole institution shows.
    fn suspended(&self, context: &Context<'_>) -> Option<Reject> {
        let place = context.actor.institution;
        suspensions::check_may_begin(self.hub, self.person, place, "", self.day, context).err()
    }

    fn stay_overlaps(&self) -> Option<Reject> {
        let other = self.stays().find(|stay| self.kind == VisitKind::Inpatient && stay.overlaps(self.day, None))?;
        Some(Reject::StayOverlaps { other: other.id, institution: other.institution })
    }

    fn package_missing(&self) -> Option<Reject> {
        let spell = self.spell?;
        if self.policy().is_none() {
            return Some(Reject::PolicyNotInForce { region: spell.region, day: self.day });
        }
        self.hub.catalogue(self.institution?.region, self.day).err()
    }
}

/// What the limit of a layer counts. Where the bands of a burden begin above zero, less was covered than this, so that
/// what is shown as left is never too much.
fn counted(policy: &BenefitPolicy, layer: &Layer, used: &Accumulators) -> Fen {
    match (layer.cap_measure, layer.base, policy.band_measure) {
        (CapMeasure::Fund, _, _) => used.funds[layer.fund],
        (CapMeasure::Eligible, LayerBase::OwnEligibleBurdenOfYear, _) => used.own_burden,
        (CapMeasure::Eligible, _, BandMeasure::Eligible) => used.eligible,
        (CapMeasure::Eligible, _, BandMeasure::AfterDeductible) => used.eligible.left_after(used.deductible),
    }
}
