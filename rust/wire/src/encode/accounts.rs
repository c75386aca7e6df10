//! Accounts and their statements as responses show them.

use medsettle_core::account::AccountKind;
use medsettle_core::ids::{CardId, PersonId};
use medsettle_core::money::Fen;
use medsettle_core::settlement::{CredentialShown, Presented, Settlement};
use medsettle_core::statement::{Entry, Event};

use crate::convert::{Coded, credential_kind};
use crate::v1;
use crate::v1::statement_entry::Kind;

pub(super) fn get(accounts: &[(AccountKind, Option<CardId>, Fen)], payers: &[PersonId]) -> v1::AccountsGetResponse {
    let account = |(kind, card, balance): &(AccountKind, Option<CardId>, Fen)| v1::Account {
        kind: kind.number(),
        balance_fen: balance.0,
        card_id: card.map_or(0, |card| card.0),
    };
    let payer_person_ids = payers.iter().map(|payer| payer.0).collect();
    v1::AccountsGetResponse { header: None, accounts: accounts.iter().map(account).collect(), payer_person_ids }
}

pub(super) fn statement(entries: &[Entry], next: Option<u64>) -> v1::AccountsStatementResponse {
    let entries = entries.iter().map(entry).collect();
    v1::AccountsStatementResponse { header: None, entries, next_after_sequence: next.unwrap_or_default() }
}

fn entry(entry: &Entry) -> v1::StatementEntry {
    let row = v1::StatementEntry {
        sequence: entry.sequence,
        stamp_ms: entry.stamp_ms,
        account: entry.account.number(),
        amount_fen: entry.amount.0,
        balance_fen: entry.balance.0,
        institution_code: entry.institution.as_str().to_owned(),
        ..Default::default()
    };
    let of = |kind: Kind| v1::StatementEntry { kind: kind as i32, ..row.clone() };
    match &entry.event {
        Event::Credited { period_key } => v1::StatementEntry { reference: period_key.to_string(), ..of(Kind::Credit) },
        Event::Settled(settlement) => settled(of(Kind::Settlement), settlement, 1),
        Event::Cancelled(cancellation) => v1::StatementEntry {
            cancellation_id: cancellation.id.0,
            ..settled(of(Kind::Cancellation), &cancellation.settlement, -1)
        },
        Event::Adjusted { settlement, fund_delta } => {
            v1::StatementEntry { settlement_id: settlement.0, fund_total_fen: fund_delta.0, ..of(Kind::Adjustment) }
        }
        Event::Unwound(claim) => {
            let reversal = claim.reversal();
            v1::StatementEntry {
                settlement_id: reversal.settlement.0,
                total_fen: -reversal.total.0,
                fund_total_fen: -reversal.fund.0,
                visit_kind: reversal.visit_kind.number(),
                reference: claim.unwind.case_number.to_string(),
                unwind_id: claim.unwind.id.0,
                ..presented(of(Kind::Unwind), &reversal.presented)
            }
        }
        Event::ToppedUp { card } => v1::StatementEntry { card_id: card.0, ..of(Kind::TopUp) },
        Event::Purchased { card, card_sn, terminal } => v1::StatementEntry {
            card_id: card.0,
            card_sn: card_sn.to_string(),
            terminal_id: terminal.to_string(),
            ..of(Kind::Purchase)
        },
        Event::PurseOpened { card, card_sn } => {
            v1::StatementEntry { card_id: card.0, card_sn: card_sn.to_string(), ..of(Kind::Credit) }
        }
        Event::PurseMoved { from, to, card_sn } => {
            // What went shows the card that it left, what came the card that brought it.
            let card = if entry.amount < Fen::ZERO { from } else { to };
            v1::StatementEntry { card_id: card.0, card_sn: card_sn.to_string(), ..of(Kind::PurseMoved) }
        }
        Event::PaidOut { claim_number, card, waiting } => v1::StatementEntry {
            card_id: card.map_or(0, |card| card.0),
            reference: claim_number.to_string(),
            waiting_fen: waiting.0,
            ..of(Kind::PayOut)
        },
        Event::FamilyPaid(settlement) => v1::StatementEntry {
            patient_person_id: settlement.person.0,
            ..settled(of(Kind::FamilyPayment), settlement, 1)
        },
        Event::FamilyReturned(cancellation) => v1::StatementEntry {
            patient_person_id: cancellation.settlement.person.0,
            cancellation_id: cancellation.id.0,
            ..settled(of(Kind::FamilyReturn), &cancellation.settlement, -1)
        },
    }
}

/// What a settlement tells of the card and of the bill; `sign` is negative in its negation.
fn settled(row: v1::StatementEntry, settlement: &Settlement, sign: i64) -> v1::StatementEntry {
    v1::StatementEntry {
        settlement_id: settlement.id.0,
        total_fen: sign * settlement.split.bill.total.0,
        fund_total_fen: sign * settlement.split.fund_total().0,
        visit_kind: settlement.case.visit_kind.number(),
        ..presented(row, &settlement.presented)
    }
}

/// What was shown, and where.
fn presented(row: v1::StatementEntry, Presented { credential, terminal }: &Presented) -> v1::StatementEntry {
    v1::StatementEntry {
        terminal_id: terminal.to_string(),
        card_sn: credential.card_sn().map(|card_sn| card_sn.to_string()).unwrap_or_default(),
        card_id: credential.card().map_or(0, |card| card.0),
        credential: credential_kind(credential) as i32,
        // A chip settles only with a right cryptogram; nothing else has one.
        cryptogram_valid: matches!(credential, CredentialShown::Chip { .. }),
        ..row
    }
}
