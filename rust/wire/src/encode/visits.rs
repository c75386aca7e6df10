//! Visits as responses show them: what is shown of a stay, with the lines.

use medsettle_core::stay::StayLine;
use medsettle_core::visit::Visit;

use super::inpatient::stay_line;
use crate::v1;

pub(super) fn quoted(quoted: v1::InpatientQuoteResponse, lines: &[StayLine]) -> v1::VisitsQuoteResponse {
    let v1::InpatientQuoteResponse { header, split, quote_digest, account_clipped, filing_kind } = quoted;
    let lines = lines.iter().map(stay_line).collect();
    v1::VisitsQuoteResponse { header, split, lines, quote_digest, account_clipped, filing_kind }
}

pub(super) fn settled(settled: v1::InpatientSettleResponse, visit: &Visit) -> v1::VisitsSettleResponse {
    let v1::InpatientSettleResponse {
        header,
        settlement_id,
        split,
        balance_after_fen,
        accumulators,
        chip_answer,
        filing_kind,
        alert_ids,
    } = settled;
    v1::VisitsSettleResponse {
        header,
        settlement_id,
        split,
        lines: visit.lines.iter().map(stay_line).collect(),
        balance_after_fen,
        accumulators,
        chip_answer,
        filing_kind,
        alert_ids,
    }
}
