//! From replies of the core to the bytes of responses.
//!
//! Invariant: a response is encoded without its header, which is field 1 and is put in front when the reply leaves; so a stored response is
//! given again under a new header.

mod accounts;
mod alerts;
mod batch;
mod cards;
mod engine;
mod fraud;
mod inpatient;
mod packages;
mod persons;
mod visits;

pub use batch::encode_batch;
pub use engine::{
    HubState, HubStatus, JournalPage, SnapshotPage, encode_digest, encode_journal_page, encode_snapshot,
    encode_snapshot_page, encode_status,
};
pub use inpatient::encode_outcome;

use medsettle_core::benefit::Split;
use medsettle_core::command::Reply;

use crate::append::{append, append_field};
use crate::contract::Operation;
use crate::convert::{from_filing, from_institution, from_line_split, from_years};
use crate::v1;

/// Appends a response's header: field 1 of every response.
pub fn encode_header(sequence: u64, chain_hash: &[u8; 32], stamp_ms: i64, replayed: bool, out: &mut Vec<u8>) {
    let header = v1::ResponseHeader { sequence, chain_hash: chain_hash.to_vec(), stamp_ms, replayed };
    append_field(1, &header, 0, out);
}

/// Appends a response without its header. The original response of an [`Outcome`](Reply::Outcome) is only known to whoever keeps it:
/// [`encode_outcome`].
pub fn encode_reply(operation: Operation, reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Done => {}
        Reply::PersonEnrolled(person) => append(&v1::PersonsEnrollResponse { header: None, person_id: person.0 }, out),
        // What is answered by several operations in the same shape is encoded by one of their messages.
        Reply::Person(person) => {
            append(&v1::PersonsGetResponse { header: None, person: Some(persons::person(person)) }, out);
        }
        Reply::Eligibility(eligibility) => append(&persons::eligibility(eligibility), out),
        Reply::CardApplied(card) => append(&v1::CardsApplyResponse { header: None, card_id: card.0 }, out),
        Reply::VoucherIssued(voucher) => {
            append(&v1::CardsAuthorizeStayResponse { header: None, voucher_id: voucher.0 }, out);
        }
        Reply::CardEnabled { cancelled } => {
            let cancelled_card_id = cancelled.map_or(0, |card| card.0);
            append(&v1::CardsEnableResponse { header: None, cancelled_card_id }, out);
        }
        Reply::LossReported(views) => {
            append(&v1::CardsReportLossResponse { header: None, cards: views.iter().map(cards::card).collect() }, out);
        }
        Reply::Card(view) => append(&v1::CardsGetResponse { header: None, card: Some(cards::card(view)) }, out),
        Reply::Cards { cards: views, next } => {
            let cards = views.iter().map(cards::card).collect();
            append(&v1::CardsListResponse { header: None, cards, next_page_token: token(*next) }, out);
        }
        Reply::CardCounts { counts, insured } => append(&cards::counts(counts, *insured), out),
        Reply::PaidOut { waiting } => {
            append(&v1::AccountsPayOutResponse { header: None, waiting: *waiting }, out);
        }
        Reply::Accounts { accounts, payers } => append(&accounts::get(accounts, payers), out),
        Reply::Balance(balance) => append(&v1::AccountsCreditResponse { header: None, balance_fen: balance.0 }, out),
        Reply::Statement { entries, next } => append(&accounts::statement(entries, *next), out),
        Reply::Accumulators { person, years } => {
            append(&v1::AccountsGetAccumulatorsResponse { header: None, years: from_years(*person, years) }, out);
        }
        Reply::FilingFiled(filing) => append(&v1::FilingsFileResponse { header: None, filing_id: filing.0 }, out),
        Reply::Filings { person, filings, next } => {
            let filings = filings.iter().map(|filing| from_filing(*person, filing)).collect();
            append(&v1::FilingsListResponse { header: None, filings, next_page_token: token(*next) }, out);
        }
        Reply::PackageInstalled(hash) => {
            append(&v1::PackagesInstallPolicyResponse { header: None, package_hash: hash.0.to_vec() }, out);
        }
        Reply::Package(package) => append(&packages::package(package), out),
        Reply::Packages { packages, regions, next } => append(&packages::list(packages, regions, token(*next)), out),
        Reply::Institution(institution) => {
            let institution = Some(from_institution(institution));
            append(&v1::InstitutionsGetResponse { header: None, institution }, out);
        }
        Reply::Alerts { alerts, next } => append(&self::alerts::list(alerts, token(*next)), out),
        Reply::Outcome { outcome, .. } => encode_outcome(outcome, &[], out),
        Reply::Reversed(effect) => append(&inpatient::reversed(effect), out),
        Reply::UnwindPreviewed { unwind, years, digest } => {
            let effect = Some(fraud::effect(unwind, years, false));
            let preview_digest = digest.0.to_vec();
            append(&v1::FraudPreviewUnwindResponse { header: None, effect, preview_digest }, out);
        }
        Reply::Unwound { unwind, years } => {
            let effect = Some(fraud::effect(unwind, years, true));
            append(&v1::FraudUnwindResponse { header: None, unwind_id: unwind.id.0, effect }, out);
        }
        Reply::Claims { claims, next } => {
            let claims = claims.iter().map(fraud::claim).collect();
            append(&v1::FraudListClaimsResponse { header: None, claims, next_page_token: token(*next) }, out);
        }
        Reply::TrialBalance { balances, sum, personal } => {
            append(&engine::trial_balance(balances, *sum, *personal), out);
        }
        Reply::Admitted(_)
        | Reply::Stay(_)
        | Reply::ChargesAdded { .. }
        | Reply::ChargesRevoked { .. }
        | Reply::Discharged { .. }
        | Reply::Quoted { .. }
        | Reply::Settled { .. }
        | Reply::Cancelled { .. }
        | Reply::Settlement(_)
        | Reply::Stays { .. }
        | Reply::Settlements { .. }
        | Reply::Explained { .. } => encode_inpatient(operation, reply, out),
    }
}

fn encode_inpatient(operation: Operation, reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Admitted(admitted) => append(&inpatient::admitted(admitted), out),
        Reply::Stay(stay) => {
            // An answer that is kept for ever must not be longer than its request calls for.
            let with_lines = operation == Operation::InpatientGetStay;
            append(&v1::InpatientGetStayResponse { header: None, stay: Some(inpatient::stay(stay, with_lines)) }, out);
        }
        Reply::ChargesAdded { lines, sum } => {
            let lines = lines.iter().map(inpatient::stay_line).collect();
            let stay_sum = Some(from_line_split(sum));
            append(&v1::InpatientAddChargesResponse { header: None, lines, stay_sum }, out);
        }
        Reply::ChargesRevoked { count, sum } => {
            let revoked = u32::try_from(*count).expect("a stay has few lines");
            let stay_sum = Some(from_line_split(sum));
            append(&v1::InpatientRevokeChargesResponse { header: None, revoked, stay_sum }, out);
        }
        Reply::Discharged { sum } => {
            append(&v1::InpatientDischargeResponse { header: None, stay_sum: Some(from_line_split(sum)) }, out);
        }
        Reply::Quoted { split, lines, policy, catalogue, digest, clipped, filing } => {
            let quoted = inpatient::quoted(split, (*policy, *catalogue), *digest, *clipped, *filing);
            if operation == Operation::VisitsQuote {
                append(&visits::quoted(quoted, lines), out);
            } else {
                append(&quoted, out);
            }
        }
        Reply::Settled { settlement, years, arpc, alerts } => {
            let settled = inpatient::settled(settlement, years, *arpc, alerts);
            match settlement.visit() {
                None => append(&settled, out),
                Some(visit) => append(&visits::settled(settled, visit), out),
            }
        }
        Reply::Cancelled { cancellation, years } => append(&inpatient::cancelled(cancellation, years), out),
        Reply::Settlement(standing) => {
            let settlement = Some(inpatient::settlement(standing));
            append(&v1::InpatientGetSettlementResponse { header: None, settlement }, out);
        }
        Reply::Stays { stays, next } => {
            let stays = stays.iter().map(|stay| inpatient::stay(stay, false)).collect();
            append(&v1::InpatientListStaysResponse { header: None, stays, next_page_token: token(*next) }, out);
        }
        Reply::Settlements { rows, totals, next } => append(&inpatient::day(rows, totals, token(*next)), out),
        Reply::Explained { standing, text } => {
            let settlement = Some(inpatient::settlement(standing));
            append(&v1::InpatientExplainResponse { header: None, settlement, text: text.clone() }, out);
        }
        other => unreachable!("not of a stay: {other:?}"),
    }
}

/// Where the next page starts; empty after the last.
fn token(next: Option<u64>) -> String {
    next.map(|id| id.to_string()).unwrap_or_default()
}

/// A split with every amount turned.
fn negated(split: &Split) -> Split {
    let mut turned = split.clone();
    let bill = &mut turned.bill;
    let amounts = [
        &mut bill.total,
        &mut bill.own_pay,
        &mut bill.over_ceiling,
        &mut bill.first_pay,
        &mut bill.in_scope,
        &mut turned.deductible,
        &mut turned.hospital_part,
        &mut turned.person_part,
        &mut turned.account,
        &mut turned.family,
        &mut turned.cash,
    ];
    for amount in amounts {
        *amount = -*amount;
    }
    for fund in medsettle_core::policy::Fund::ALL {
        turned.funds[*fund] = -turned.funds[*fund];
    }
    for step in &mut turned.trace {
        step.base_numerator = -step.base_numerator;
        step.amount = -step.amount;
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Kind, Schema};

    /// Number, name and kind of every field.
    fn shape<M: Schema>() -> Vec<(u32, &'static str, String)> {
        let kind = |kind: Kind| match kind {
            Kind::Message(message) => message.name.to_owned(),
            other => format!("{other:?}"),
        };
        M::SCHEMA.fields.iter().map(|field| (field.number, field.name, kind(field.kind))).collect()
    }

    #[test]
    fn responses_that_share_a_reply_share_their_shape() {
        assert_eq!(shape::<v1::PersonsGetResponse>(), shape::<v1::PersonsUpdateResponse>());
        assert_eq!(shape::<v1::PersonsGetResponse>(), shape::<v1::PersonsTransferRegionResponse>());
        assert_eq!(shape::<v1::CardsGetResponse>(), shape::<v1::CardsWithdrawLossResponse>());
        assert_eq!(shape::<v1::CardsGetResponse>(), shape::<v1::CardsCancelResponse>());
        assert_eq!(shape::<v1::CardsGetResponse>(), shape::<v1::CardsReplaceResponse>());
        assert_eq!(shape::<v1::CardsGetResponse>(), shape::<v1::CardsUnlockResponse>());
        assert_eq!(shape::<v1::InpatientCancelSettlementResponse>(), shape::<v1::VisitsCancelResponse>());
        assert_eq!(shape::<v1::InpatientGetStayResponse>(), shape::<v1::InpatientUpdateStayResponse>());
        let installed = shape::<v1::PackagesInstallPolicyResponse>();
        assert_eq!(installed, shape::<v1::PackagesInstallCatalogueResponse>());
        assert_eq!(installed, shape::<v1::PackagesInstallRegionsResponse>());
        assert_eq!(installed, shape::<v1::PackagesInstallAlertRulesResponse>());
    }

    #[test]
    fn what_is_done_without_more_to_say_is_a_header_alone() {
        let header_alone = shape::<v1::AccountsOpenYearResponse>();
        assert_eq!(header_alone.len(), 1);
        for other in [
            shape::<v1::CardsFailApplicationResponse>(),
            shape::<v1::CardsMarkMadeResponse>(),
            shape::<v1::CardsHandOverResponse>(),
            shape::<v1::AccountsLinkFamilyResponse>(),
            shape::<v1::AccountsUnlinkFamilyResponse>(),
            shape::<v1::CardsRetireGenerationResponse>(),
            shape::<v1::FilingsWithdrawResponse>(),
            shape::<v1::InstitutionsRegisterResponse>(),
            shape::<v1::InpatientCancelDischargeResponse>(),
            shape::<v1::InpatientCancelAdmissionResponse>(),
            shape::<v1::FraudAcknowledgeAlertResponse>(),
            shape::<v1::OperationsConfirmClockResponse>(),
        ] {
            assert_eq!(other, header_alone);
        }
    }
}
