//! Admission, discharge and their cancellation.
//!
//! | state | UpdateStay, AddCharges, RevokeCharges | Discharge | CancelDischarge | CancelAdmission | Settle | CancelSettlement |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | OPEN | OPEN | DISCHARGED | refused | VOID | refused | - |
//! | DISCHARGED | refused | refused | OPEN | VOID | SETTLED | - |
//! | SETTLED | refused | refused | refused | refused | refused | DISCHARGED |
//! | VOID | refused | refused | refused | refused | refused | - |

use std::sync::Arc;

use super::alerts::{self, Seen};
use super::presentation::{self, Expected};
use super::{cards, suspensions};
use crate::benefit::LineSplit;
use crate::calendar::Date;
use crate::command::{Admitted, Command, HolderCheck, Page, Presentation, Query, Reply, RequestHeader};
use crate::fact::Fact;
use crate::filing;
use crate::hub::{Context, Hub, role};
use crate::ids::{InstitutionCode, RegionCode, StayId};
use crate::institution::Institution;
use crate::person::Person;
use crate::policy::{InsuranceType, VisitKind};
use crate::records::StayFilter;
use crate::reject::Reject;
use crate::stay::{AdmissionKind, Stay, StayState};

pub(crate) fn decide(
    hub: &Hub,
    header: &RequestHeader,
    command: &Command,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    match command {
        Command::Admit { presentation, holder_check, admission, kind, department, diagnosis } => {
            let asked = Asked { admission: *admission, kind: *kind, department, diagnosis };
            admit(hub, header, presentation, *holder_check, &asked, context)
        }
        Command::UpdateStay { stay, admission, kind, department, diagnosis } => {
            let stay = in_state(hub, header.institution, *stay, StayState::Open, context)?;
            let mut changed = Stay::clone(stay);
            changed.admission = admission.unwrap_or(stay.admission);
            changed.kind = kind.unwrap_or(stay.kind);
            changed.department = department.clone().unwrap_or_else(|| stay.department.clone());
            changed.diagnosis = diagnosis.clone().unwrap_or_else(|| stay.diagnosis.clone());
            check_admission_day(&changed, context)?;
            let person = hub.person(stay.person)?;
            suspensions::check_may_move(hub, person, stay, &changed, context)?;
            check_overlap(hub, person, Some(stay.id), changed.admission, None, context)?;
            let fact = Fact::StayUpdated {
                stay: stay.id,
                admission: changed.admission,
                kind: changed.kind,
                department: changed.department.clone(),
                diagnosis: changed.diagnosis.clone(),
            };
            Ok((vec![fact], Reply::Stay(Arc::new(changed))))
        }
        Command::Discharge { stay, discharge } => {
            let stay = in_state(hub, header.institution, *stay, StayState::Open, context)?;
            check_discharge_day(stay, *discharge, context)?;
            let fact = Fact::PatientDischarged { stay: stay.id, discharge: *discharge };
            Ok((vec![fact], Reply::Discharged { sum: stay.sum }))
        }
        Command::CancelDischarge { stay } => {
            let stay = in_state(hub, header.institution, *stay, StayState::Discharged, context)?;
            // While it was discharged, the person may have been admitted elsewhere.
            check_overlap(hub, hub.person(stay.person)?, Some(stay.id), stay.admission, None, context)?;
            Ok((vec![Fact::DischargeCancelled { stay: stay.id }], Reply::Done))
        }
        Command::CancelAdmission { stay } => {
            let fact = cancel_admission(hub, header.institution, *stay, context)?;
            Ok((vec![fact], Reply::Done))
        }
        _ => unreachable!("the hub sends stay commands only"),
    }
}

/// What an admission says of itself.
struct Asked<'a> {
    admission: Date,
    kind: AdmissionKind,
    department: &'a str,
    diagnosis: &'a str,
}

fn admit(
    hub: &Hub,
    header: &RequestHeader,
    presentation: &Presentation,
    holder_check: HolderCheck,
    asked: &Asked<'_>,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let institution = hub.institution(header.institution)?;
    let accepted = presentation::accept(hub, institution.code, presentation, holder_check, context)?;
    let card = accepted.card()?;
    let person = hub.person(card.person)?;
    presentation::check_signed(hub, &accepted, presentation, Expected::Admission, context)?;
    let day = asked.admission;
    let spell = person.documents.spell_on(day).ok_or_else(|| Reject::NotInsured { day })?;
    check_networked(hub, institution, spell.region, spell.insurance_type, VisitKind::Inpatient, day)?;
    accepted.check_home(|| {
        is_local(hub, spell.region, spell.insurance_type, institution.region, VisitKind::Inpatient, day)
    })?;
    suspensions::check_may_begin(hub, person, institution.code, asked.department, day, context)?;
    let stay = Stay {
        id: StayId(hub.number.id(context.sequence)),
        person: person.id,
        institution: institution.code,
        state: StayState::Open,
        kind: asked.kind,
        admission: day,
        discharge: None,
        department: asked.department.into(),
        diagnosis: asked.diagnosis.into(),
        insured_region: spell.region,
        insurance_type: spell.insurance_type,
        category: spell.category,
        entitlements: person.documents.entitlements_on(day),
        level: institution.level,
        care_region: institution.region,
        lines: Arc::default(),
        sum: LineSplit::default(),
        next_ordinal: 0,
        settlement: None,
        voucher: None,
        admitted_with: card.id,
        admitted_ms: context.stamp_ms,
    };
    check_admission_day(&stay, context)?;
    check_overlap(hub, person, None, day, None, context)?;
    let mut facts = Vec::with_capacity(2);
    if accepted.first_use {
        facts.push(cards::enabling(hub, card, true, context));
    }
    let stay = Arc::new(stay);
    facts.push(Fact::PatientAdmitted { stay: Arc::clone(&stay), shown: accepted.presented.credential });
    let seen = Seen::admission(person, accepted.holder, &stay, Some(card.id), context);
    let alerts = alerts::look(hub, &seen, context, &mut facts)?;
    let reply = Admitted {
        stay: stay.id,
        person: person.id,
        masked_name: person.documents.masked_name(),
        insured_region: stay.insured_region,
        insurance_type: stay.insurance_type,
        category: stay.category,
        filing: filing::applying(person, &hub.regions, stay.care_region, day).next().cloned(),
        arpc: accepted.arpc,
        alerts,
    };
    Ok((facts, Reply::Admitted(reply)))
}

/// Void a stay that is not settled.
pub(crate) fn cancel_admission(
    hub: &Hub,
    institution: InstitutionCode,
    id: StayId,
    context: &Context<'_>,
) -> Result<Fact, Reject> {
    let stay = open(hub, institution, id, context)?;
    Ok(Fact::AdmissionCancelled { stay: stay.id })
}

/// The stay, open or discharged, of the institution that asks.
pub(crate) fn open<'a>(
    hub: &'a Hub,
    institution: InstitutionCode,
    id: StayId,
    context: &Context<'_>,
) -> Result<&'a Arc<Stay>, Reject> {
    if let Some(stay) = hub.stays.shared(id) {
        return if stay.institution == institution { Ok(stay) } else { Err(Reject::NotYourInstitution(institution)) };
    }
    match context.records.past_stay(id) {
        None => Err(Reject::StayUnknown(id)),
        Some(stay) if stay.institution != institution => Err(Reject::NotYourInstitution(institution)),
        Some(stay) => Err(no_longer_open(&stay)),
    }
}

/// Why nothing can be done any more with a stay that was settled or is void.
pub(crate) fn no_longer_open(past: &Stay) -> Reject {
    match past.settlement {
        Some(settlement) => Reject::AlreadySettled { stay: past.id, settlement },
        None => Reject::StayNotOpen { stay: past.id, state: past.state },
    }
}

/// The stay in the one state that a command needs.
pub(crate) fn in_state<'a>(
    hub: &'a Hub,
    institution: InstitutionCode,
    id: StayId,
    state: StayState,
    context: &Context<'_>,
) -> Result<&'a Arc<Stay>, Reject> {
    let stay = open(hub, institution, id, context)?;
    match (stay.state == state, state) {
        (true, _) => Ok(stay),
        (false, StayState::Discharged) => Err(Reject::StayNotDischarged(id)),
        (false, _) => Err(Reject::StayNotOpen { stay: id, state: stay.state }),
    }
}

/// An institution settles for its own pool when it is networked, and for others when it is open to other regions.
/// The pool is the region whose package is in force for the person.
pub(crate) fn check_networked(
    hub: &Hub,
    institution: &Institution,
    insured: RegionCode,
    insurance_type: InsuranceType,
    kind: VisitKind,
    day: Date,
) -> Result<(), Reject> {
    let local = is_local(hub, insured, insurance_type, institution.region, kind, day);
    if institution.may_settle_for(local) { Ok(()) } else { Err(Reject::InstitutionNotNetworked) }
}

/// Care is local when it lies in the pool of the insured person: the region at which the policy in force was installed.
pub(crate) fn is_local(
    hub: &Hub,
    insured: RegionCode,
    insurance_type: InsuranceType,
    care: RegionCode,
    kind: VisitKind,
    day: Date,
) -> bool {
    let pool = hub.policy(insured, insurance_type, kind, day).map_or(insured, |(region, ..)| region);
    hub.regions.within(care, pool)
}

fn check_admission_day(stay: &Stay, context: &Context<'_>) -> Result<(), Reject> {
    let wrong = |problem| Err(Reject::StayDatesWrong { field: "admission_date".into(), problem });
    if stay.admission > context.today() {
        return wrong("is in the future");
    }
    if stay.lines.values().any(|line| line.line.date < stay.admission) {
        return wrong("is after a charge line");
    }
    Ok(())
}

fn check_discharge_day(stay: &Stay, discharge: Date, context: &Context<'_>) -> Result<(), Reject> {
    let wrong = |problem| Err(Reject::StayDatesWrong { field: "discharge_date".into(), problem });
    if discharge < stay.admission {
        return wrong("is before the admission");
    }
    if discharge > context.today() {
        return wrong("is in the future");
    }
    if stay.lines.values().any(|line| line.line.date > discharge) {
        return wrong("is before a charge line");
    }
    Ok(())
}

/// A person lies in one bed at a time: half-open intervals, so a transfer on the same day is allowed.
fn check_overlap(
    hub: &Hub,
    person: &Person,
    except: Option<StayId>,
    admission: Date,
    discharge: Option<Date>,
    context: &Context<'_>,
) -> Result<(), Reject> {
    let open = person.seldom.open_stays.iter().filter(|id| Some(**id) != except);
    let overlapping =
        open.filter_map(|id| hub.stays.shared(*id)).find(|other| other.overlaps(admission, discharge)).cloned();
    // What was settled up to the day of admission has no night behind it; only an admission dated back looks into the past.
    let may_overlap_settled = person.settled_until.is_some_and(|until| admission < until);
    let settled = || context.records.overlapping_stay(person.id, admission, discharge);
    let overlapping = overlapping.or_else(|| may_overlap_settled.then(settled).flatten());
    match overlapping {
        Some(other) => Err(Reject::StayOverlaps { other: other.id, institution: other.institution }),
        None => Ok(()),
    }
}

/// Whether the caller may read what belongs to an institution.
pub(crate) fn may_read(context: &Context<'_>, institution: InstitutionCode) -> Result<(), Reject> {
    let may = context.actor.institution == institution
        || context.actor.roles & (role::READS_ALL | role::HUB | role::DESK) != 0;
    if may { Ok(()) } else { Err(Reject::NotYourInstitution(institution)) }
}

pub(crate) fn query(hub: &Hub, query: &Query, context: &Context<'_>) -> Result<Reply, Reject> {
    match query {
        Query::GetStay(id) => {
            let found = hub.stays.shared(*id).cloned().or_else(|| context.records.past_stay(*id));
            let stay = found.ok_or_else(|| Reject::StayUnknown(*id))?;
            may_read(context, stay.institution)?;
            Ok(Reply::Stay(stay))
        }
        Query::ListStays { person, institution, state, page } => {
            let institution = if context.actor.roles & role::READS_ALL != 0 {
                *institution
            } else {
                let own = context.actor.institution;
                may_read(context, institution.unwrap_or(own))?;
                Some(institution.unwrap_or(own))
            };
            Ok(list(hub, StayFilter { person: *person, institution, state: *state }, *page, context))
        }
        _ => unreachable!("the hub sends stay queries only"),
    }
}

/// Open stays and past ones in one order of ids.
fn list(hub: &Hub, filter: StayFilter, page: Page, context: &Context<'_>) -> Reply {
    let after = page.after.map(StayId);
    let beyond = |stay: &&Arc<Stay>| after.is_none_or(|after| stay.id > after) && filter.wants(stay);
    let mut stays: Vec<Arc<Stay>> = hub.stays.values().filter(beyond).cloned().collect();
    stays.extend(context.records.past_stays(filter, after, page.size + 1));
    stays.sort_by_key(|stay| stay.id);
    let next = (stays.len() > page.size).then(|| stays[page.size - 1].id.0);
    stays.truncate(page.size);
    Reply::Stays { stays, next }
}

#[cfg(test)]
mod tests;
