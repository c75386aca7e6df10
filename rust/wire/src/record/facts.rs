//! Each fact and its message.

use std::sync::Arc;

use medsettle_core::calendar::Date;
use medsettle_core::fact::Fact;
use medsettle_core::ids::{CardSn, FilingId, Hash32, PersonId, RegionCode, StayId, VoucherId};
use medsettle_core::money::Fen;
use medsettle_core::policy::Problem;
use medsettle_core::request::RequestKey;
use medsettle_core::stay::Voucher;

use super::{account, alerts, cards, credential, fraud, persons, settlement, stay, suspension};
use crate::convert::{
    Checked, Coded, Fault, at, catalogue, coded, each, filing, from_catalogue, from_filing, from_institution,
    from_line_split, from_policy, from_regions, from_years, hash, institution, institution_code, line_split, policy,
    regions, request_id, within, year_accumulators,
};
use crate::error::DecodeError;
use crate::v1;
use crate::v1::fact::Fact as Message;

/// A day by its number.
pub(super) fn day(days: i32) -> Checked<Date> {
    Date::from_days(days).ok_or_else(|| Fault::here("is no day of the calendar"))
}

/// A region by its number.
pub(super) fn region(number: u32) -> Checked<RegionCode> {
    crate::convert::region(&number.to_string())
}

pub(super) fn from_fact(fact: &Fact) -> v1::Fact {
    let message = match fact {
        Fact::PersonEnrolled { person, profile, home } => Message::PersonEnrolled(v1::PersonEnrolled {
            person_id: person.0,
            profile: Some(persons::from_profile(profile)),
            home_region: home.get(),
        }),
        Fact::PersonUpdated { person, profile } => Message::PersonUpdated(v1::PersonUpdated {
            person_id: person.0,
            profile: Some(persons::from_profile(profile)),
        }),
        Fact::PersonTransferred { .. } => persons::from_transferred(fact),
        Fact::CardApplied { .. }
        | Fact::CardApplicationFailed { .. }
        | Fact::CardMade { .. }
        | Fact::CardHandedOver { .. }
        | Fact::CardEnabled { .. }
        | Fact::CardReportedLost { .. }
        | Fact::CardLossWithdrawn { .. }
        | Fact::CardLocked { .. }
        | Fact::CryptogramWrong { .. }
        | Fact::CardCancelled { .. }
        | Fact::CardUnlocked { .. }
        | Fact::PinSet { .. }
        | Fact::PinWrong { .. }
        | Fact::PinVerified { .. }
        | Fact::GenerationRetired { .. } => cards::from_fact(fact),
        Fact::AccountCredited { .. }
        | Fact::ToppedUp { .. }
        | Fact::Purchased { .. }
        | Fact::PayOutMade { .. }
        | Fact::PayOutReleased { .. }
        | Fact::PayOutWithdrawn { .. }
        | Fact::FamilyLinked { .. }
        | Fact::FamilyUnlinked { .. } => account::from_fact(fact),
        Fact::YearOpened { person, key, accumulators } => {
            let mut years = from_years(*person, &[(*key, *accumulators)]);
            Message::YearOpened(years.remove(0))
        }
        Fact::FilingFiled { person, filing } => Message::FilingFiled(from_filing(*person, filing)),
        Fact::FilingWithdrawn { person, filing } => {
            Message::FilingWithdrawn(v1::FilingWithdrawn { person_id: person.0, filing_id: filing.0 })
        }
        Fact::PolicyInstalled { hash, policy } => Message::PolicyInstalled(v1::PolicyInstalled {
            package_hash: hash.0.to_vec(),
            policy: Some(from_policy(policy)),
        }),
        Fact::CatalogueInstalled { hash, catalogue } => Message::CatalogueInstalled(v1::CatalogueInstalled {
            package_hash: hash.0.to_vec(),
            catalogue: Some(from_catalogue(catalogue)),
        }),
        Fact::RegionsInstalled { hash, regions } => Message::RegionsInstalled(v1::RegionsInstalled {
            package_hash: hash.0.to_vec(),
            regions: from_regions(regions),
        }),
        Fact::AlertRulesInstalled { .. } | Fact::AlertRaised { .. } | Fact::AlertAcknowledged { .. } => {
            alerts::from_fact(fact)
        }
        Fact::InstitutionRegistered { institution } => Message::InstitutionRegistered(from_institution(institution)),
        Fact::PersonSuspended { .. } | Fact::InstitutionSuspended { .. } | Fact::InstitutionResumed { .. } => {
            suspension::from_fact(fact)
        }
        Fact::PatientAdmitted { .. }
        | Fact::VoucherIssued { .. }
        | Fact::StayUpdated { .. }
        | Fact::ChargesAdded { .. }
        | Fact::ChargesRevoked { .. }
        | Fact::PatientDischarged { .. }
        | Fact::DischargeCancelled { .. }
        | Fact::AdmissionCancelled { .. } => from_stay_fact(fact),
        Fact::Settled { settlement } => Message::Settled(settlement::from_settlement(settlement)),
        Fact::SettlementCancelled { cancellation, stay } => Message::SettlementCancelled(
            settlement::from_cancellation(cancellation, stay.as_deref().map(stay::from_stay)),
        ),
        Fact::Unwound { unwind } => Message::Unwound(fraud::from_unwind(unwind)),
        Fact::RequestReversed { request } => {
            let (institution_code, request_id) = from_request(request);
            Message::RequestReversed(v1::RequestReversed { institution_code, request_id })
        }
        Fact::ReversalRemembered { request } => {
            let (institution_code, request_id) = from_request(request);
            Message::ReversalRemembered(v1::ReversalRemembered { institution_code, request_id })
        }
    };
    v1::Fact { fact: Some(message) }
}

fn from_stay_fact(fact: &Fact) -> Message {
    match fact {
        Fact::PatientAdmitted { stay, shown } => Message::PatientAdmitted(v1::PatientAdmitted {
            stay: Some(stay::from_stay(stay)),
            credential: Some(credential::from_shown(shown)),
        }),
        Fact::VoucherIssued { stay, voucher, cause } => Message::VoucherIssued(v1::VoucherIssued {
            stay_id: stay.0,
            voucher_id: voucher.id.0,
            account_limit_fen: voucher.account_limit.0,
            cause: cause.to_string(),
        }),
        Fact::StayUpdated { stay, admission, kind, department, diagnosis } => Message::StayUpdated(v1::StayUpdated {
            stay_id: stay.0,
            admission_days: admission.days(),
            kind: kind.number(),
            department: department.to_string(),
            diagnosis: diagnosis.to_string(),
        }),
        Fact::ChargesAdded { stay, lines, sum } => Message::ChargesAdded(v1::ChargesAdded {
            stay_id: stay.0,
            lines: lines.iter().map(stay::from_line).collect(),
            sum: Some(from_line_split(sum)),
        }),
        Fact::ChargesRevoked { stay, line_ids, sum } => Message::ChargesRevoked(v1::ChargesRevoked {
            stay_id: stay.0,
            line_ids: line_ids.clone(),
            sum: Some(from_line_split(sum)),
        }),
        Fact::PatientDischarged { stay, discharge } => {
            Message::PatientDischarged(v1::PatientDischarged { stay_id: stay.0, discharge_days: discharge.days() })
        }
        Fact::DischargeCancelled { stay } => Message::DischargeCancelled(v1::DischargeCancelled { stay_id: stay.0 }),
        Fact::AdmissionCancelled { stay } => Message::AdmissionCancelled(v1::AdmissionCancelled { stay_id: stay.0 }),
        other => unreachable!("not of a stay: {other:?}"),
    }
}

pub(super) fn fact(message: v1::Fact) -> Checked<Fact> {
    match message.fact.ok_or_else(|| Fault::here("is of no kind that this release knows"))? {
        Message::PersonEnrolled(m) => Ok(Fact::PersonEnrolled {
            person: PersonId(m.person_id),
            profile: within("person_enrolled.profile", m.profile, persons::profile)?,
            home: at("person_enrolled.home_region", region(m.home_region))?,
        }),
        Message::PersonUpdated(m) => Ok(Fact::PersonUpdated {
            person: PersonId(m.person_id),
            profile: within("person_updated.profile", m.profile, persons::profile)?,
        }),
        Message::PersonTransferred(m) => at("person_transferred", persons::transferred(m)),
        message @ (Message::CardUnlocked(_)
        | Message::GenerationRetired(_)
        | Message::CardApplied(_)
        | Message::CardApplicationFailed(_)
        | Message::CardMade(_)
        | Message::CardHandedOver(_)
        | Message::CardEnabled(_)
        | Message::CardReportedLost(_)
        | Message::CardLossWithdrawn(_)
        | Message::CardCancelled(_)
        | Message::CardLocked(_)
        | Message::PinSet(_)
        | Message::PinWrong(_)
        | Message::PinVerified(_)
        | Message::CryptogramWrong(_)) => cards::fact(message),
        Message::VoucherIssued(m) => Ok(Fact::VoucherIssued {
            stay: StayId(m.stay_id),
            voucher: Voucher { id: VoucherId(m.voucher_id), account_limit: Fen(m.account_limit_fen) },
            cause: m.cause.into(),
        }),
        Message::AccountCredited(m) => at("account_credited", account::credited(m)),
        Message::ToppedUp(m) => at("topped_up", account::topped_up(m)),
        Message::Purchased(m) => at("purchased", account::purchased(m)),
        Message::PayOutMade(m) => at("pay_out_made", account::pay_out_made(m)),
        Message::PayOutReleased(m) => at("pay_out_released", account::pay_out_released(m)),
        Message::PayOutWithdrawn(m) => at("pay_out_withdrawn", account::pay_out_withdrawn(m)),
        Message::FamilyLinked(m) => {
            Ok(Fact::FamilyLinked { person: PersonId(m.person_id), payer: PersonId(m.payer_person_id) })
        }
        Message::FamilyUnlinked(m) => {
            Ok(Fact::FamilyUnlinked { person: PersonId(m.person_id), payer: PersonId(m.payer_person_id) })
        }
        Message::YearOpened(m) => {
            let person = PersonId(m.person_id);
            let (key, accumulators) = at("year_opened", year_accumulators(m))?;
            Ok(Fact::YearOpened { person, key, accumulators })
        }
        Message::FilingFiled(m) => {
            Ok(Fact::FilingFiled { person: PersonId(m.person_id), filing: at("filing_filed", filing(&m))? })
        }
        Message::FilingWithdrawn(m) => {
            Ok(Fact::FilingWithdrawn { person: PersonId(m.person_id), filing: FilingId(m.filing_id) })
        }
        Message::PolicyInstalled(m) => at("policy_installed", policy_installed(m)),
        Message::CatalogueInstalled(m) => at("catalogue_installed", catalogue_installed(m)),
        Message::RegionsInstalled(m) => at("regions_installed", regions_installed(&m)),
        Message::AlertRulesInstalled(m) => at("alert_rules_installed", alerts::rules_installed(m)),
        Message::AlertRaised(m) => at("alert_raised", alerts::raised(m)),
        Message::AlertAcknowledged(m) => Ok(alerts::acknowledged(m)),
        Message::InstitutionRegistered(m) => {
            Ok(Fact::InstitutionRegistered { institution: at("institution_registered", institution(m))? })
        }
        Message::PersonSuspended(m) => at("person_suspended", suspension::person(m)),
        Message::InstitutionSuspended(m) => at("institution_suspended", suspension::institution(m)),
        Message::InstitutionResumed(m) => at("institution_resumed", suspension::resumed(m)),
        Message::RequestReversed(m) => {
            Ok(Fact::RequestReversed { request: at("request_reversed", request(&m.institution_code, &m.request_id))? })
        }
        Message::ReversalRemembered(m) => Ok(Fact::ReversalRemembered {
            request: at("reversal_remembered", request(&m.institution_code, &m.request_id))?,
        }),
        other => stay_fact(other),
    }
}

fn stay_fact(message: Message) -> Checked<Fact> {
    match message {
        Message::PatientAdmitted(m) => at("patient_admitted", patient_admitted(m)),
        Message::StayUpdated(m) => at("stay_updated", stay_updated(m)),
        Message::ChargesAdded(m) => at("charges_added", charges_added(m)),
        Message::ChargesRevoked(m) => Ok(Fact::ChargesRevoked {
            stay: StayId(m.stay_id),
            line_ids: m.line_ids,
            sum: within("charges_revoked.sum", m.sum, |sum| Ok(line_split(sum)))?,
        }),
        Message::PatientDischarged(m) => Ok(Fact::PatientDischarged {
            stay: StayId(m.stay_id),
            discharge: at("patient_discharged.discharge_days", day(m.discharge_days))?,
        }),
        Message::DischargeCancelled(m) => Ok(Fact::DischargeCancelled { stay: StayId(m.stay_id) }),
        Message::AdmissionCancelled(m) => Ok(Fact::AdmissionCancelled { stay: StayId(m.stay_id) }),
        Message::Settled(m) => Ok(Fact::Settled { settlement: Arc::new(at("settled", settlement::settlement(m))?) }),
        Message::SettlementCancelled(m) => {
            let (cancellation, stay) = at("settlement_cancelled", settlement::cancellation(m))?;
            Ok(Fact::SettlementCancelled { cancellation: Arc::new(cancellation), stay: stay.map(Arc::new) })
        }
        Message::Unwound(m) => Ok(Fact::Unwound { unwind: Arc::new(at("unwound", fraud::unwind(m))?) }),
        _ => unreachable!("every other message was matched before"),
    }
}

/// The first problem of a package, which was without any when it was installed.
pub(super) fn unreadable(problems: Vec<Problem>) -> Fault {
    let first = problems.into_iter().next().unwrap_or_else(|| Problem { path: String::new(), message: String::new() });
    Fault::Malformed(DecodeError::at(first.path, first.message))
}

pub(super) fn package_hash(bytes: &[u8]) -> Checked<Hash32> {
    at("package_hash", hash(bytes))
}

fn policy_installed(message: v1::PolicyInstalled) -> Checked<Fact> {
    let policy = within("policy", message.policy, |message| policy(&message).map_err(unreadable))?;
    Ok(Fact::PolicyInstalled { hash: package_hash(&message.package_hash)?, policy: Arc::new(policy) })
}

fn catalogue_installed(message: v1::CatalogueInstalled) -> Checked<Fact> {
    let catalogue = within("catalogue", message.catalogue, |message| catalogue(&message).map_err(unreadable))?;
    Ok(Fact::CatalogueInstalled { hash: package_hash(&message.package_hash)?, catalogue: Arc::new(catalogue) })
}

fn regions_installed(message: &v1::RegionsInstalled) -> Checked<Fact> {
    let regions = regions(&message.regions).map_err(unreadable)?;
    Ok(Fact::RegionsInstalled { hash: package_hash(&message.package_hash)?, regions })
}

fn patient_admitted(message: v1::PatientAdmitted) -> Checked<Fact> {
    let shown = within("credential", message.credential.as_ref(), credential::shown)?;
    Ok(Fact::PatientAdmitted { stay: Arc::new(within("stay", message.stay, stay::stay)?), shown })
}

fn stay_updated(message: v1::StayUpdated) -> Checked<Fact> {
    Ok(Fact::StayUpdated {
        stay: StayId(message.stay_id),
        admission: at("admission_days", day(message.admission_days))?,
        kind: at("kind", coded(message.kind))?,
        department: message.department.into(),
        diagnosis: message.diagnosis.into(),
    })
}

fn charges_added(message: v1::ChargesAdded) -> Checked<Fact> {
    Ok(Fact::ChargesAdded {
        stay: StayId(message.stay_id),
        lines: each("lines", message.lines, stay::line)?,
        sum: within("sum", message.sum, |sum| Ok(line_split(sum)))?,
    })
}

fn from_request((institution, request): &RequestKey) -> (String, String) {
    (institution.as_str().to_owned(), request.as_str().to_owned())
}

fn request(code: &str, id: &str) -> Checked<RequestKey> {
    Ok((at("institution_code", institution_code(code))?, at("request_id", request_id(id))?))
}

pub(super) fn card_sn(text: &str) -> Checked<CardSn> {
    CardSn::parse(text).ok_or_else(|| Fault::of("card_sn", "is no recognition code"))
}
