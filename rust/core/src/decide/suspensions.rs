//! Suspending persons, institutions and departments, and what that stops.
//!
//! Invariant: a person has one suspension and a department one: a new one takes the place of the one before.

use crate::calendar::Date;
use crate::command::{Command, Reply};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::InstitutionCode;
use crate::person::Person;
use crate::reject::Reject;
use crate::stay::Stay;
use crate::suspension::{PlaceSuspension, Suspension};

pub(crate) fn decide(hub: &Hub, command: &Command) -> Result<(Vec<Fact>, Reply), Reject> {
    let fact = match command {
        Command::SuspendPerson { person, days, case_number } => {
            hub.person(*person)?;
            in_order(*days)?;
            Fact::PersonSuspended { person: *person, days: *days, case_number: case_number.clone() }
        }
        Command::SuspendInstitution { institution, suspension, case_number } => {
            hub.institution(*institution)?;
            in_order(suspension.days)?;
            Fact::InstitutionSuspended {
                institution: *institution,
                suspension: suspension.clone(),
                case_number: case_number.clone(),
            }
        }
        Command::ResumeInstitution { institution, department } => {
            hub.institution(*institution)?;
            if !of_institution(hub, *institution).iter().any(|suspended| suspended.department == *department) {
                return Err(Reject::NotSuspended);
            }
            Fact::InstitutionResumed { institution: *institution, department: department.clone() }
        }
        _ => unreachable!("the hub sends suspensions only"),
    };
    Ok((vec![fact], Reply::Done))
}

fn in_order(days: Suspension) -> Result<(), Reject> {
    if days.to.is_some_and(|to| to < days.from) {
        return Err(Reject::malformed("to_date", "is before from_date"));
    }
    Ok(())
}

fn of_institution(hub: &Hub, institution: InstitutionCode) -> &[PlaceSuspension] {
    hub.suspensions.get(&institution).map_or(&[], Vec::as_slice)
}

/// Refuse an admission or a visit of a suspended person, or at a suspended place.
pub(crate) fn check_may_begin(
    hub: &Hub,
    person: &Person,
    institution: InstitutionCode,
    department: &str,
    day: Date,
    context: &Context<'_>,
) -> Result<(), Reject> {
    let stops = |days: Suspension| days.stops(context.today(), day);
    refuse_place(concerning(hub, institution, department), stops)?;
    refuse_person(person, stops)
}

/// Refuse to move a stay to where, or back to when, it could not have begun. What is left as it was is not looked at: a stay that
/// began before a suspension goes on.
pub(crate) fn check_may_move(
    hub: &Hub,
    person: &Person,
    before: &Stay,
    after: &Stay,
    context: &Context<'_>,
) -> Result<(), Reject> {
    let day = after.admission;
    if after.department != before.department {
        let of_department = |suspended: &&PlaceSuspension| suspended.department == after.department;
        let concerned = of_institution(hub, after.institution).iter().filter(of_department);
        refuse_place(concerned, |days| days.stops(context.today(), day))?;
    }
    if day != before.admission {
        refuse_place(concerning(hub, after.institution, &after.department), |days| days.stops(day, day))?;
        refuse_person(person, |days| days.stops(day, day))?;
    }
    Ok(())
}

/// Suspensions of the whole institution, and of the department.
fn concerning<'a>(
    hub: &'a Hub,
    institution: InstitutionCode,
    department: &'a str,
) -> impl Iterator<Item = &'a PlaceSuspension> {
    let concerns =
        move |suspended: &&PlaceSuspension| suspended.department.is_empty() || &*suspended.department == department;
    of_institution(hub, institution).iter().filter(concerns)
}

fn refuse_place<'a>(
    mut places: impl Iterator<Item = &'a PlaceSuspension>,
    stops: impl Fn(Suspension) -> bool,
) -> Result<(), Reject> {
    match places.find(|suspended| stops(suspended.days)) {
        Some(suspended) => Err(Reject::InstitutionSuspended { until: suspended.days.to }),
        None => Ok(()),
    }
}

fn refuse_person(person: &Person, stops: impl Fn(Suspension) -> bool) -> Result<(), Reject> {
    match person.seldom.suspension.filter(|days| stops(*days)) {
        Some(days) => Err(Reject::PersonSuspended { until: days.to }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Query;
    use crate::decide::fixture::Desk;
    use crate::decide::fixture::clinic::{bill, medicine};
    use crate::decide::fixture::day;
    use crate::decide::fixture::ward::{LOCAL, code, ward_policy};
    use crate::ids::PersonId;
    use crate::policy::VisitKind;

    fn days(from: &str, to: Option<&str>) -> Suspension {
        Suspension { from: day(from), to: to.map(day) }
    }

    fn suspend_person(person: PersonId, days: Suspension) -> Command {
        Command::SuspendPerson { person, days, case_number: "F-1".into() }
    }

    fn suspend(department: &str, days: Suspension) -> Command {
        Command::SuspendInstitution {
            institution: code(LOCAL),
            suspension: PlaceSuspension { department: department.into(), days },
            case_number: "F-2".into(),
        }
    }

    fn resume(department: &str) -> Command {
        Command::ResumeInstitution { institution: code(LOCAL), department: department.into() }
    }

    fn ward() -> Desk {
        Desk::ward(ward_policy())
    }

    #[test]
    fn a_suspended_person_is_not_admitted_on_these_days_nor_dated_back_out_of_them() {
        let mut desk = ward();
        let card = desk.patient("P1");
        let person = desk.holder(card);
        let until = Some(day("2026-03-31"));
        desk.run(suspend_person(person, days("2026-03-01", Some("2026-03-31")))).unwrap();
        let refused = Err(Reject::PersonSuspended { until });
        assert_eq!(desk.admit(card, "2026-03-01"), refused);
        assert_eq!(desk.admit(card, "2026-02-27"), refused, "today is 2026-03-01");
        let asked = Query::CheckEligibility {
            card: None,
            certificate: Some(crate::decide::fixture::certificate("P1")),
            visit_kind: VisitKind::Inpatient,
            day: Some(day("2026-03-01")),
        };
        let Ok(Reply::Eligibility(shown)) = desk.ask(asked) else { panic!("answered") };
        assert_eq!(shown.blocks, [Reject::PersonSuspended { until }]);
        desk.run(suspend_person(person, days("2026-01-01", Some("2026-02-20")))).expect("a shorter one instead");
        assert_eq!(desk.admit(card, "2026-02-20"), Err(Reject::PersonSuspended { until: Some(day("2026-02-20")) }));
        desk.admit(card, "2026-02-21").expect("it has ended");
    }

    #[test]
    fn a_suspension_after_the_admission_stops_neither_the_stay_nor_its_settlement() {
        let mut desk = ward();
        let card = desk.patient("P1");
        let stay = desk.discharged(card, "2026-02-20", "2026-02-25", "5000");
        desk.run(suspend_person(desk.holder(card), days("2026-01-01", None))).unwrap();
        desk.run(suspend("", days("2026-01-01", None))).unwrap();
        desk.settle(stay, card, 0).expect("what began before is settled");
    }

    #[test]
    fn an_open_stay_is_moved_neither_to_a_suspended_department_nor_back_into_suspended_days() {
        let mut desk = ward();
        let card = desk.patient("P1");
        let stay = desk.admit(card, "2026-02-20").unwrap();
        let update = |admission: Option<&str>, department: Option<&str>| Command::UpdateStay {
            stay,
            admission: admission.map(day),
            kind: None,
            department: department.map(Into::into),
            diagnosis: Some("K36".into()),
        };
        let of_person = days("2026-02-10", Some("2026-02-12"));
        desk.run(suspend_person(desk.holder(card), of_person)).unwrap();
        let refused = Err(Reject::PersonSuspended { until: of_person.to });
        assert_eq!(desk.run(update(Some("2026-02-12"), None)), refused);
        desk.run(suspend("ICU", days("2026-03-01", None))).unwrap();
        let refused = Err(Reject::InstitutionSuspended { until: None });
        assert_eq!(desk.run(update(None, Some("ICU"))), refused);
        desk.run(suspend("surgery", days("2026-02-16", None))).unwrap();
        assert_eq!(desk.run(update(Some("2026-02-19"), None)), refused);
        desk.run(update(Some("2026-02-15"), None)).expect("before its department was suspended");
        desk.run(suspend("", days("2026-02-15", None))).unwrap();
        desk.run(update(None, None)).expect("what is left as it was goes on");
        desk.run(update(None, Some("cardiology")))
            .expect("only its own suspension closes a department to those who are in");
        assert_eq!(desk.run(update(Some("2026-02-16"), None)), refused);
        assert_eq!(desk.stay(stay).admission, day("2026-02-15"));
    }

    #[test]
    fn a_suspended_department_stops_its_admissions_and_a_suspended_institution_all() {
        let mut desk = ward();
        let card = desk.patient("P1");
        let admission = |desk: &Desk, department: &str| {
            let Command::Admit { presentation, holder_check, admission, kind, diagnosis, .. } =
                desk.admission(card, "2026-03-01")
            else {
                unreachable!("an admission")
            };
            Command::Admit { presentation, holder_check, admission, kind, diagnosis, department: department.into() }
        };
        let refused = Err(Reject::InstitutionSuspended { until: None });
        desk.run(suspend("surgery", days("2026-03-01", None))).unwrap();
        assert_eq!(desk.run(admission(&desk, "surgery")), refused);
        desk.run(suspend("", days("2026-03-01", None))).unwrap();
        assert_eq!(desk.run(admission(&desk, "cardiology")), refused);
        desk.run(resume("")).unwrap();
        assert_eq!(desk.run(admission(&desk, "surgery")), refused, "the department's own stays");
        desk.run(admission(&desk, "cardiology")).expect("resumed");
        desk.run(resume("surgery")).unwrap();
        assert_eq!(desk.run(resume("surgery")), Err(Reject::NotSuspended));
    }

    #[test]
    fn a_suspended_person_and_a_suspended_pharmacy_settle_no_visit() {
        let mut desk = Desk::clinic(|policy| policy);
        let card = desk.patient("P1");
        let today = "2026-03-01";
        let bill = || bill(VisitKind::Pharmacy, today, &medicine(today, "200"), 0);
        desk.serve(VisitKind::Pharmacy);
        desk.run(suspend_person(desk.holder(card), days(today, Some(today)))).unwrap();
        let refused = Reject::PersonSuspended { until: Some(day(today)) };
        assert_eq!(desk.settle_visit(desk.visit_of(card, bill(), 20_000)), Err(refused));
        desk.now_ms += 86_400_000;
        let suspension = PlaceSuspension { department: "".into(), days: days("2026-03-02", None) };
        let place = desk.actor.institution;
        desk.run(Command::SuspendInstitution { institution: place, suspension, case_number: "F-3".into() }).unwrap();
        let refused = Reject::InstitutionSuspended { until: None };
        assert_eq!(desk.settle_visit(desk.visit_of(card, bill(), 20_000)), Err(refused));
    }

    #[test]
    fn a_registration_anew_lifts_no_suspension() {
        let mut desk = ward();
        let card = desk.patient("P1");
        desk.run(suspend("", days("2026-03-01", Some("2026-03-02")))).unwrap();
        desk.register(LOCAL, "110101");
        let until = Some(day("2026-03-02"));
        assert_eq!(desk.admit(card, "2026-03-01"), Err(Reject::InstitutionSuspended { until }));
    }

    #[test]
    fn who_is_not_known_and_days_that_run_backwards_are_refused() {
        let mut desk = ward();
        assert_eq!(desk.run(suspend_person(PersonId(1), days("2026-03-01", None))), Err(Reject::PersonUnknown));
        let card = desk.patient("P1");
        let backwards = days("2026-03-02", Some("2026-03-01"));
        let refused = Err(Reject::malformed("to_date", "is before from_date"));
        assert_eq!(desk.run(suspend_person(desk.holder(card), backwards)), refused);
        assert_eq!(desk.run(suspend("", backwards)), refused);
        let nowhere = code("H99999999999");
        let unknown = Command::ResumeInstitution { institution: nowhere, department: "".into() };
        assert_eq!(desk.run(unknown), Err(Reject::InstitutionUnknown(nowhere)));
    }
}
