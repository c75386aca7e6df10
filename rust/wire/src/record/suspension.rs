//! Suspensions in the journal.

use medsettle_core::calendar::Date;
use medsettle_core::fact::Fact;
use medsettle_core::ids::PersonId;
use medsettle_core::suspension::{PlaceSuspension, Suspension};

use super::facts::day;
use crate::convert::{Checked, at, institution_code};
use crate::v1;
use crate::v1::fact::Fact as Message;

pub(super) fn from_fact(fact: &Fact) -> Message {
    match fact {
        Fact::PersonSuspended { person, days, case_number } => Message::PersonSuspended(v1::PersonSuspended {
            person_id: person.0,
            from_days: days.from.days(),
            to_days: days.to.map(Date::days),
            case_number: case_number.to_string(),
        }),
        Fact::InstitutionSuspended { institution, suspension, case_number } => {
            Message::InstitutionSuspended(v1::InstitutionSuspended {
                institution_code: institution.as_str().to_owned(),
                department: suspension.department.to_string(),
                from_days: suspension.days.from.days(),
                to_days: suspension.days.to.map(Date::days),
                case_number: case_number.to_string(),
            })
        }
        Fact::InstitutionResumed { institution, department } => Message::InstitutionResumed(v1::InstitutionResumed {
            institution_code: institution.as_str().to_owned(),
            department: department.to_string(),
        }),
        other => unreachable!("not a suspension: {other:?}"),
    }
}

fn days(from: i32, to: Option<i32>) -> Checked<Suspension> {
    Ok(Suspension { from: at("from_days", day(from))?, to: at("to_days", to.map(day).transpose())? })
}

pub(super) fn person(message: v1::PersonSuspended) -> Checked<Fact> {
    Ok(Fact::PersonSuspended {
        person: PersonId(message.person_id),
        days: days(message.from_days, message.to_days)?,
        case_number: message.case_number.into(),
    })
}

pub(super) fn institution(message: v1::InstitutionSuspended) -> Checked<Fact> {
    Ok(Fact::InstitutionSuspended {
        institution: at("institution_code", institution_code(&message.institution_code))?,
        suspension: PlaceSuspension {
            department: message.department.into(),
            days: days(message.from_days, message.to_days)?,
        },
        case_number: message.case_number.into(),
    })
}

pub(super) fn resumed(message: v1::InstitutionResumed) -> Checked<Fact> {
    Ok(Fact::InstitutionResumed {
        institution: at("institution_code", institution_code(&message.institution_code))?,
        department: message.department.into(),
    })
}
