//! Each fact and its message.

use std::sync::Arc;

use medsettle_core::calendar::Date;
use medsettle_core::card::{Chip, Personalisation};
use medsettle_core::fact::Fact;
use medsettle_core::ids::{CardId, CardSn, FilingId, Hash32, Pan, PersonId, RegionCode, StayId, VoucherId};
use medsettle_core::money::Fen;
use medsettle_core::policy::Problem;
use medsettle_core::request::RequestKey;
use medsettle_core::stay::Voucher;

use super::{cards, credential, persons, settlement, stay, suspension};
use crate::convert::{
    Checked, Coded, Fault, at, catalogue, coded, each, filing, from_catalogue, from_filing, from_institution,
    from_line_split, from_policy, from_regions, from_years, hash, id_if_given, institution, institution_code,
    line_split, policy, regions, request_id, within, year_accumulators,
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
        Fact::CardUnlocked { .. } | Fact::GenerationRetired { .. } => cards::from_fact(fact),
        Fact::CardApplied { .. }
        | Fact::CardApplicationFailed { .. }
        | Fact::CardMade { .. }
        | Fact::CardHandedOver { .. }
        | Fact::CardEnabled { .. }
        | Fact::CardReportedLost { .. }
        | Fact::CardLossWithdrawn { .. }
        | Fact::CardLocked { .. }
        | Fact::CryptogramWrong { .. }
        | Fact::CardCancelled { .. } => from_card_fact(fact),
        Fact::AccountCredited { person, amount, period_key, legs } => Message::AccountCredited(v1::AccountCredited {
            person_id: person.0,
            amount_fen: amount.0,
            period_key: period_key.to_string(),
            legs: settlement::from_legs(legs),
        }),
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

fn from_card_fact(fact: &Fact) -> Message {
    match fact {
        Fact::CardApplied { card, person, region, generation, predecessor } => Message::CardApplied(v1::CardApplied {
            card_id: card.0,
            person_id: person.0,
            region: region.get(),
            generation: generation.to_string(),
            predecessor_card_id: predecessor.map_or(0, |card| card.0),
        }),
        Fact::CardApplicationFailed { card, cause } => {
            Message::CardApplicationFailed(v1::CardApplicationFailed { card_id: card.0, cause: cause.number() })
        }
        Fact::CardMade { card, made } => Message::CardMade(v1::CardMade {
            card_id: card.0,
            pan: made.pan.number(),
            sequence_number: u32::from(made.pan.sequence_number()),
            card_sn: made.card_sn.to_string(),
            scheme: made.chip.map_or(0, |chip| i32::from(chip.scheme)),
            key_index: made.chip.map_or(0, |chip| chip.key_index),
        }),
        Fact::CardHandedOver { card, collected_by } => {
            Message::CardHandedOver(v1::CardHandedOver { card_id: card.0, collected_by: collected_by.to_string() })
        }
        Fact::CardEnabled { card, zone, cancelled, by_first_use } => Message::CardEnabled(v1::CardEnabled {
            card_id: card.0,
            zone: zone.number(),
            cancelled_card_id: cancelled.map_or(0, |card| card.0),
            by_first_use: *by_first_use,
        }),
        Fact::CardReportedLost { card, zones, loss, until_ms, channel, verified_by } => {
            Message::CardReportedLost(v1::CardReportedLost {
                card_id: card.0,
                zones: zones.iter().map(|zone| zone.number()).collect(),
                loss: loss.number(),
                until_ms: *until_ms,
                channel: channel.number(),
                verified_by: verified_by.to_string(),
            })
        }
        Fact::CardLossWithdrawn { card, zones, verified_by } => Message::CardLossWithdrawn(v1::CardLossWithdrawn {
            card_id: card.0,
            zones: zones.iter().map(|zone| zone.number()).collect(),
            verified_by: verified_by.to_string(),
        }),
        Fact::CardLocked { card, cause } => {
            Message::CardLocked(v1::CardLocked { card_id: card.0, cause: cause.number() })
        }
        Fact::CryptogramWrong { card, institution, count } => Message::CryptogramWrong(v1::CryptogramWrong {
            card_id: card.0,
            institution_code: institution.as_str().to_owned(),
            count: *count,
        }),
        Fact::CardCancelled { card, cause } => {
            Message::CardCancelled(v1::CardCancelled { card_id: card.0, cause: cause.number() })
        }
        other => unreachable!("not of a card: {other:?}"),
    }
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
        | Message::CryptogramWrong(_)
        | Message::VoucherIssued(_)) => card_fact(message),
        Message::AccountCredited(m) => Ok(Fact::AccountCredited {
            person: PersonId(m.person_id),
            amount: Fen(m.amount_fen),
            period_key: m.period_key.into(),
            legs: at("account_credited", settlement::legs(m.legs))?,
        }),
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
        Message::InstitutionRegistered(m) => {
            Ok(Fact::InstitutionRegistered { institution: at("institution_registered", institution(m))? })
        }
        Message::PersonSuspended(m) => at("person_suspended", suspension::person(m)),
        Message::InstitutionSuspended(m) => at("institution_suspended", suspension::institution(m)),
        Message::InstitutionResumed(m) => at("institution_resumed", suspension::resumed(m)),
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
        Message::RequestReversed(m) => {
            Ok(Fact::RequestReversed { request: at("request_reversed", request(&m.institution_code, &m.request_id))? })
        }
        Message::ReversalRemembered(m) => Ok(Fact::ReversalRemembered {
            request: at("reversal_remembered", request(&m.institution_code, &m.request_id))?,
        }),
    }
}

fn card_fact(message: Message) -> Checked<Fact> {
    match message {
        Message::CardUnlocked(m) => at("card_unlocked", cards::unlocked(&m)),
        Message::GenerationRetired(m) => at("generation_retired", cards::generation_retired(m)),
        Message::CardApplied(m) => at("card_applied", card_applied(m)),
        Message::CardApplicationFailed(m) => {
            let cause = at("card_application_failed.cause", coded(m.cause))?;
            Ok(Fact::CardApplicationFailed { card: CardId(m.card_id), cause })
        }
        Message::CardMade(m) => at("card_made", card_made(&m)),
        Message::CardHandedOver(m) => {
            Ok(Fact::CardHandedOver { card: CardId(m.card_id), collected_by: m.collected_by.into() })
        }
        Message::CardEnabled(m) => Ok(Fact::CardEnabled {
            card: CardId(m.card_id),
            zone: at("card_enabled.zone", coded(m.zone))?,
            cancelled: id_if_given(m.cancelled_card_id).map(CardId),
            by_first_use: m.by_first_use,
        }),
        Message::CardReportedLost(m) => at("card_reported_lost", card_reported_lost(m)),
        Message::CardLossWithdrawn(m) => Ok(Fact::CardLossWithdrawn {
            card: CardId(m.card_id),
            zones: at("card_loss_withdrawn", each("zones", m.zones, coded))?,
            verified_by: m.verified_by.into(),
        }),
        Message::CardCancelled(m) => {
            Ok(Fact::CardCancelled { card: CardId(m.card_id), cause: at("card_cancelled.cause", coded(m.cause))? })
        }
        Message::CardLocked(m) => {
            Ok(Fact::CardLocked { card: CardId(m.card_id), cause: at("card_locked.cause", coded(m.cause))? })
        }
        Message::CryptogramWrong(m) => Ok(Fact::CryptogramWrong {
            card: CardId(m.card_id),
            institution: at("cryptogram_wrong.institution_code", institution_code(&m.institution_code))?,
            count: m.count,
        }),
        Message::VoucherIssued(m) => Ok(Fact::VoucherIssued {
            stay: StayId(m.stay_id),
            voucher: Voucher { id: VoucherId(m.voucher_id), account_limit: Fen(m.account_limit_fen) },
            cause: m.cause.into(),
        }),
        _ => unreachable!("only facts of cards are sent here"),
    }
}

fn card_applied(message: v1::CardApplied) -> Checked<Fact> {
    Ok(Fact::CardApplied {
        card: CardId(message.card_id),
        person: PersonId(message.person_id),
        region: at("region", region(message.region))?,
        generation: message.generation.into(),
        predecessor: id_if_given(message.predecessor_card_id).map(CardId),
    })
}

fn card_made(message: &v1::CardMade) -> Checked<Fact> {
    let pan = Pan::parse(&message.pan, message.sequence_number);
    let made = Personalisation {
        pan: pan.ok_or_else(|| Fault::of("pan", "is no number of a card"))?,
        card_sn: card_sn(&message.card_sn)?,
        chip: match u8::try_from(message.scheme).map_err(|_| Fault::of("scheme", "is no scheme"))? {
            0 => None,
            scheme => Some(Chip { scheme, key_index: message.key_index }),
        },
    };
    Ok(Fact::CardMade { card: CardId(message.card_id), made })
}

fn card_reported_lost(message: v1::CardReportedLost) -> Checked<Fact> {
    Ok(Fact::CardReportedLost {
        card: CardId(message.card_id),
        zones: each("zones", message.zones, coded)?,
        loss: at("loss", coded(message.loss))?,
        until_ms: message.until_ms,
        channel: at("channel", coded(message.channel))?,
        verified_by: message.verified_by.into(),
    })
}

/// The first problem of a package, which was without any when it was installed.
fn unreadable(problems: Vec<Problem>) -> Fault {
    let first = problems.into_iter().next().unwrap_or_else(|| Problem { path: String::new(), message: String::new() });
    Fault::Malformed(DecodeError::at(first.path, first.message))
}

fn package_hash(bytes: &[u8]) -> Checked<Hash32> {
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
    let shown = within("credential", message.credential, credential::shown)?;
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
