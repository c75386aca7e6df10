//! Settlements, their negations and the books in the journal.

use std::sync::Arc;

use medsettle_core::accumulator::{AccumulatorKey, Accumulators};
use medsettle_core::ids::{PersonId, SettlementId, StayId};
use medsettle_core::ledger::{LedgerAccount, Leg};
use medsettle_core::money::Fen;
use medsettle_core::settlement::{Adjustment, Cancellation, CaseFacts, FamilyDraw, Occasion, Presented, Settlement};
use medsettle_core::stay::Stay;
use medsettle_core::visit::Visit;

use super::credential;
use super::facts::{day, region};
use super::stay::{from_line, line, stay};
use crate::convert::{
    Checked, Coded, Fault, at, coded, each, from_split, from_years, hash, institution_code, split, within,
    year_accumulators,
};
use crate::v1;
use crate::v1::ledger_balance::Account;

pub(super) fn from_settlement(settlement: &Settlement) -> v1::StoredSettlement {
    let policies = settlement
        .policies
        .iter()
        .map(|(benefit_year, hash)| v1::YearPolicy { benefit_year: *benefit_year, policy_hash: hash.0.to_vec() });
    v1::StoredSettlement {
        settlement_id: settlement.id.0,
        occasion: Some(from_occasion(&settlement.occasion)),
        person_id: settlement.person.0,
        institution_code: settlement.institution.as_str().to_owned(),
        case: Some(from_case(&settlement.case)),
        split: Some(from_split(&settlement.split, None)),
        policies: policies.collect(),
        catalogue_hash: settlement.catalogue.0.to_vec(),
        deltas: from_years(settlement.person, &settlement.deltas),
        legs: from_legs(&settlement.legs),
        balance_after_fen: settlement.balance_after.0,
        credential: Some(credential::from_shown(&settlement.presented.credential)),
        terminal_id: settlement.presented.terminal.to_string(),
        stamp_ms: settlement.stamp_ms,
        family: from_draws(&settlement.family),
    }
}

pub(super) fn settlement(message: v1::StoredSettlement) -> Checked<Settlement> {
    let person = PersonId(message.person_id);
    let policy = |row: v1::YearPolicy| Ok((row.benefit_year, at("policy_hash", hash(&row.policy_hash))?));
    Ok(Settlement {
        id: SettlementId(message.settlement_id),
        occasion: within("occasion", message.occasion, occasion)?,
        person,
        institution: at("institution_code", institution_code(&message.institution_code))?,
        case: within("case", message.case, case)?,
        split: within("split", message.split, split)?,
        policies: each("policies", message.policies, policy)?,
        catalogue: at("catalogue_hash", hash(&message.catalogue_hash))?,
        deltas: years("deltas", person, message.deltas)?,
        legs: legs(message.legs)?,
        balance_after: Fen(message.balance_after_fen),
        family: draws(&message.family),
        presented: Presented {
            credential: within("credential", message.credential.as_ref(), credential::shown)?,
            terminal: message.terminal_id.into(),
        },
        stamp_ms: message.stamp_ms,
    })
}

pub(super) fn from_draws(draws: &[FamilyDraw]) -> Vec<v1::FamilyDraw> {
    let draw = |draw: &FamilyDraw| v1::FamilyDraw {
        payer_person_id: draw.payer.0,
        amount_fen: draw.amount.0,
        balance_after_fen: draw.balance_after.0,
    };
    draws.iter().map(draw).collect()
}

pub(super) fn draws(messages: &[v1::FamilyDraw]) -> Vec<FamilyDraw> {
    let draw = |message: &v1::FamilyDraw| FamilyDraw {
        payer: PersonId(message.payer_person_id),
        amount: Fen(message.amount_fen),
        balance_after: Fen(message.balance_after_fen),
    };
    messages.iter().map(draw).collect()
}

fn from_occasion(occasion: &Occasion) -> v1::stored_settlement::Occasion {
    use v1::stored_settlement::Occasion as Message;
    match occasion {
        Occasion::Stay(stay) => Message::StayId(stay.0),
        Occasion::Visit(visit) => Message::Visit(v1::StoredVisit {
            department: visit.department.to_string(),
            diagnosis: visit.diagnosis.to_string(),
            lines: visit.lines.iter().map(from_line).collect(),
        }),
    }
}

fn occasion(message: v1::stored_settlement::Occasion) -> Checked<Occasion> {
    use v1::stored_settlement::Occasion as Message;
    match message {
        Message::StayId(stay) => Ok(Occasion::Stay(StayId(stay))),
        Message::Visit(visit) => Ok(Occasion::Visit(Arc::new(Visit {
            department: visit.department.into(),
            diagnosis: visit.diagnosis.into(),
            lines: each("lines", visit.lines, line)?,
        }))),
    }
}

fn from_case(case: &CaseFacts) -> v1::StoredCase {
    v1::StoredCase {
        visit_kind: case.visit_kind.number(),
        insured_region: case.insured_region.get(),
        care_region: case.care_region.get(),
        insurance_type: case.insurance_type.number(),
        category: case.category.number(),
        entitlements: case.entitlements.clone(),
        level: case.level.number(),
        filing_kind: case.filing.number(),
        scope: case.scope.map_or(0, Coded::number),
        admission_days: case.admission.days(),
        discharge_days: case.discharge.days(),
    }
}

fn case(message: v1::StoredCase) -> Checked<CaseFacts> {
    Ok(CaseFacts {
        visit_kind: at("visit_kind", coded(message.visit_kind))?,
        insured_region: at("insured_region", region(message.insured_region))?,
        care_region: at("care_region", region(message.care_region))?,
        insurance_type: at("insurance_type", coded(message.insurance_type))?,
        category: at("category", coded(message.category))?,
        entitlements: message.entitlements,
        level: at("level", coded(message.level))?,
        filing: at("filing_kind", coded(message.filing_kind))?,
        scope: Coded::from_number(message.scope),
        admission: at("admission_days", day(message.admission_days))?,
        discharge: at("discharge_days", day(message.discharge_days))?,
    })
}

/// The years of one person; they repeat whose they are.
pub(super) fn years(
    field: &str,
    person: PersonId,
    messages: Vec<v1::YearAccumulators>,
) -> Checked<Vec<(AccumulatorKey, Accumulators)>> {
    each(field, messages, |message| {
        if message.person_id == person.0 {
            year_accumulators(message)
        } else {
            Err(Fault::of("person_id", "is of another person"))
        }
    })
}

pub(super) fn from_cancellation(cancellation: &Cancellation, stay: Option<v1::StoredStay>) -> v1::SettlementCancelled {
    let person = cancellation.settlement.person;
    v1::SettlementCancelled {
        cancellation_id: cancellation.id.0,
        settlement: Some(from_settlement(&cancellation.settlement)),
        legs: from_legs(&cancellation.legs),
        deltas: from_years(person, &cancellation.deltas),
        balance_after_fen: cancellation.balance_after.0,
        adjustments: cancellation.adjustments.iter().map(|adjustment| from_adjustment(person, adjustment)).collect(),
        stamp_ms: cancellation.stamp_ms,
        stay,
        family: from_draws(&cancellation.family),
    }
}

pub(super) fn cancellation(message: v1::SettlementCancelled) -> Checked<(Cancellation, Option<Stay>)> {
    let settlement = within("settlement", message.settlement, settlement)?;
    let person = settlement.person;
    let cancellation = Cancellation {
        id: SettlementId(message.cancellation_id),
        settlement: Arc::new(settlement),
        legs: legs(message.legs)?,
        deltas: years("deltas", person, message.deltas)?,
        balance_after: Fen(message.balance_after_fen),
        family: draws(&message.family),
        adjustments: each("adjustments", message.adjustments, |message| adjustment(person, message))?,
        stamp_ms: message.stamp_ms,
    };
    // A stay waits to be settled again; nothing is left of a visit.
    let stay = match (&cancellation.settlement.occasion, message.stay) {
        (Occasion::Stay(_), message) => Some(within("stay", message, stay)?),
        (Occasion::Visit(_), None) => None,
        (Occasion::Visit(_), Some(_)) => return Err(Fault::of("stay", "stands where a visit was settled")),
    };
    Ok((cancellation, stay))
}

/// A recomputation is of the same person as the cancellation that made it necessary.
pub(super) fn from_adjustment(person: PersonId, adjustment: &Adjustment) -> v1::StoredAdjustment {
    v1::StoredAdjustment {
        settlement_id: adjustment.settlement.0,
        cancellation_id: adjustment.because_of.0,
        fund_delta_fen: adjustment.fund_delta.0,
        split: Some(from_split(&adjustment.split, None)),
        deltas: from_years(person, &adjustment.deltas),
        changes: from_years(person, &adjustment.changes),
        legs: from_legs(&adjustment.legs),
    }
}

pub(super) fn adjustment(person: PersonId, message: v1::StoredAdjustment) -> Checked<Adjustment> {
    Ok(Adjustment {
        settlement: SettlementId(message.settlement_id),
        because_of: SettlementId(message.cancellation_id),
        fund_delta: Fen(message.fund_delta_fen),
        split: within("split", message.split, split)?,
        deltas: years("deltas", person, message.deltas)?,
        changes: years("changes", person, message.changes)?,
        legs: legs(message.legs)?,
    })
}

pub(super) fn from_legs(legs: &[Leg]) -> Vec<v1::Leg> {
    legs.iter().map(|leg| v1::Leg { amount_fen: leg.amount.0, ..ledger_account(leg.account) }).collect()
}

/// An account of the books, as a leg without amount.
pub(crate) fn ledger_account(account: LedgerAccount) -> v1::Leg {
    let of = |account: Account| v1::Leg { account: account as i32, ..Default::default() };
    match account {
        LedgerAccount::Fund { region, insurance_type, fund } => v1::Leg {
            region: region.get(),
            insurance_type: insurance_type.number(),
            fund: fund.number(),
            ..of(Account::Fund)
        },
        LedgerAccount::PersonalAccounts(region) => v1::Leg { region: region.get(), ..of(Account::PersonalAccounts) },
        LedgerAccount::Contributions(region) => v1::Leg { region: region.get(), ..of(Account::Contributions) },
        LedgerAccount::PersonSettlement(region) => v1::Leg { region: region.get(), ..of(Account::PersonSettlement) },
        LedgerAccount::OnlineAccounts(region) => v1::Leg { region: region.get(), ..of(Account::OnlineAccounts) },
        LedgerAccount::CardPurses(region) => v1::Leg { region: region.get(), ..of(Account::CardPurses) },
        LedgerAccount::OfflinePurses(region) => v1::Leg { region: region.get(), ..of(Account::OfflinePurses) },
        LedgerAccount::TopUps(region) => v1::Leg { region: region.get(), ..of(Account::TopUps) },
        LedgerAccount::Reimbursements(region) => v1::Leg { region: region.get(), ..of(Account::Reimbursements) },
        LedgerAccount::BankPayouts(region) => v1::Leg { region: region.get(), ..of(Account::BankPayouts) },
        LedgerAccount::PayoutsWaiting(region) => v1::Leg { region: region.get(), ..of(Account::PayoutsWaiting) },
        LedgerAccount::Institution(code) => {
            v1::Leg { institution_code: code.as_str().to_owned(), ..of(Account::Institution) }
        }
        LedgerAccount::Cash(code) => v1::Leg { institution_code: code.as_str().to_owned(), ..of(Account::Cash) },
        LedgerAccount::HospitalPart(code) => {
            v1::Leg { institution_code: code.as_str().to_owned(), ..of(Account::HospitalPart) }
        }
        LedgerAccount::Claims(code) => v1::Leg { institution_code: code.as_str().to_owned(), ..of(Account::Claims) },
    }
}

pub(super) fn legs(messages: Vec<v1::Leg>) -> Checked<Vec<Leg>> {
    each("legs", messages, |message| Ok(Leg { account: account(&message)?, amount: Fen(message.amount_fen) }))
}

fn account(message: &v1::Leg) -> Checked<LedgerAccount> {
    let region = || at("region", region(message.region));
    let institution = || at("institution_code", institution_code(&message.institution_code));
    match message.account() {
        Account::Unspecified => Err(Fault::of("account", "is missing")),
        Account::Fund => Ok(LedgerAccount::Fund {
            region: region()?,
            insurance_type: at("insurance_type", coded(message.insurance_type))?,
            fund: at("fund", coded(message.fund))?,
        }),
        Account::PersonalAccounts => region().map(LedgerAccount::PersonalAccounts),
        Account::Contributions => region().map(LedgerAccount::Contributions),
        Account::PersonSettlement => region().map(LedgerAccount::PersonSettlement),
        Account::OnlineAccounts => region().map(LedgerAccount::OnlineAccounts),
        Account::CardPurses => region().map(LedgerAccount::CardPurses),
        Account::OfflinePurses => region().map(LedgerAccount::OfflinePurses),
        Account::TopUps => region().map(LedgerAccount::TopUps),
        Account::Reimbursements => region().map(LedgerAccount::Reimbursements),
        Account::BankPayouts => region().map(LedgerAccount::BankPayouts),
        Account::PayoutsWaiting => region().map(LedgerAccount::PayoutsWaiting),
        Account::Institution => institution().map(LedgerAccount::Institution),
        Account::Cash => institution().map(LedgerAccount::Cash),
        Account::HospitalPart => institution().map(LedgerAccount::HospitalPart),
        Account::Claims => institution().map(LedgerAccount::Claims),
    }
}
