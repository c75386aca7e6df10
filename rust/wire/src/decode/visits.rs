//! Requests about visits.

use medsettle_core::command::{Command, Query};
use medsettle_core::visit::{QuoteVisit, SettleVisit, VisitBill, VisitHolder};

use super::Asked;
use super::inpatient::{charge_line, quote_digest, settlement};
use super::presentation::{card_sn, holder_check, presentation};
use crate::convert::{Checked, Fault, amount, at, certificate, coded, day, each, text};
use crate::limits::{MAX_DIAGNOSIS, MAX_SHORT_TEXT};
use crate::v1;

pub(super) fn quote(message: v1::VisitsQuoteRequest) -> Checked<Query> {
    use v1::visits_quote_request::Holder;
    let holder = match message.holder.ok_or_else(|| Fault::of("holder", "is missing"))? {
        Holder::CardSn(text) => VisitHolder::Card(at("card_sn", card_sn(&text))?),
        Holder::Certificate(document) => VisitHolder::Certificate(at("certificate", certificate(&document))?),
    };
    let bill = VisitBill {
        kind: at("visit_kind", coded(message.visit_kind))?,
        day: at("visit_date", day(&message.visit_date))?,
        department: at("department", text(message.department, MAX_SHORT_TEXT))?,
        lines: each("lines", message.lines, charge_line)?,
        account_request: at("account_request_fen", amount(message.account_request_fen))?,
        use_family: message.use_family,
    };
    Ok(Query::QuoteVisit(Box::new(QuoteVisit { holder, bill })))
}

pub(super) fn settle(message: v1::VisitsSettleRequest) -> Checked<Asked> {
    let quote = quote_digest(&message.quote_digest)?;
    let (shown, proof) = presentation(message.presentation)?;
    let bill = VisitBill {
        kind: at("visit_kind", coded(message.visit_kind))?,
        day: at("visit_date", day(&message.visit_date))?,
        department: at("department", text(message.department, MAX_SHORT_TEXT))?,
        lines: each("lines", message.lines, charge_line)?,
        account_request: at("account_request_fen", amount(message.account_request_fen))?,
        use_family: message.use_family,
    };
    let command = Command::SettleVisit(SettleVisit {
        bill,
        diagnosis: at("diagnosis", text(message.diagnosis, MAX_DIAGNOSIS))?,
        total: at("total_fen", amount(message.total_fen))?,
        quote,
        presentation: shown,
        holder_check: holder_check(message.holder_check),
    });
    Ok(Asked { command, proof })
}

pub(super) fn cancel(message: v1::VisitsCancelRequest) -> Checked<Command> {
    Ok(Command::CancelVisit(settlement(message.settlement_id)?))
}
