//! Accounts and their statements as responses show them.

use medsettle_core::ids::PersonId;
use medsettle_core::money::Fen;
use medsettle_core::settlement::{CredentialShown, Settlement};
use medsettle_core::statement::{Entry, Event, PersonalAccount};

use crate::convert::{Coded, credential_kind};
use crate::v1;
use crate::v1::statement_entry::Kind;

pub(super) fn get(insurance: Fen, payers: &[PersonId]) -> v1::AccountsGetResponse {
    let account = v1::Account { kind: v1::account::Kind::Insurance as i32, balance_fen: insurance.0 };
    let payer_person_ids = payers.iter().map(|payer| payer.0).collect();
    v1::AccountsGetResponse { header: None, accounts: vec![account], payer_person_ids }
}

pub(super) fn statement(entries: &[Entry], next: Option<u64>) -> v1::AccountsStatementResponse {
    let entries = entries.iter().map(entry).collect();
    v1::AccountsStatementResponse { header: None, entries, next_after_sequence: next.unwrap_or_default() }
}

fn entry(entry: &Entry) -> v1::StatementEntry {
    let row = v1::StatementEntry {
        sequence: entry.sequence,
        stamp_ms: entry.stamp_ms,
        account: account_kind(entry.account) as i32,
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
    let presented = &settlement.presented;
    v1::StatementEntry {
        terminal_id: presented.terminal.to_string(),
        card_sn: presented.credential.card_sn().map(|card_sn| card_sn.to_string()).unwrap_or_default(),
        card_id: presented.credential.card().map_or(0, |card| card.0),
        // A chip settles only with a right cryptogram.
        cryptogram_valid: matches!(presented.credential, CredentialShown::Chip { .. }),
        credential: credential_kind(&presented.credential) as i32,
        settlement_id: settlement.id.0,
        total_fen: sign * settlement.split.bill.total.0,
        fund_total_fen: sign * settlement.split.fund_total().0,
        visit_kind: settlement.case.visit_kind.number(),
        ..row
    }
}

fn account_kind(account: PersonalAccount) -> v1::account::Kind {
    match account {
        PersonalAccount::Insurance => v1::account::Kind::Insurance,
    }
}
