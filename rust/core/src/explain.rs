//! A settlement told to a person: what was billed, what the rules took from it, who paid, and what happened since.
//!
//! Invariant: nothing is computed here; every number stands in the settlement.

use crate::benefit::{Code, Split, Step};
use crate::money::Fen;
use crate::policy::Fund;
use crate::settlement::{Adjustment, Occasion, Standing};
use crate::stay::StayLine;

/// The lines of the explanation, in order.
pub fn text(standing: &Standing) -> Vec<String> {
    let settlement = &standing.settlement;
    let case = &settlement.case;
    let mut lines = vec![
        match &settlement.occasion {
            Occasion::Stay(stay) => {
                format!("Settlement {} of stay {stay}, {} to {}.", settlement.id, case.admission, case.discharge)
            }
            Occasion::Visit(visit) => {
                let of = if visit.department.is_empty() { String::new() } else { format!(" ({})", visit.department) };
                format!("Settlement {} of a visit on {}, {}{of}.", settlement.id, case.discharge, case.visit_kind)
            }
        },
        format!(
            "Insured in {} ({}, {}), treated in {} at {} (level {}), filing {}{}.",
            case.insured_region,
            case.insurance_type,
            case.category,
            case.care_region,
            settlement.institution,
            case.level,
            case.filing,
            case.scope.map_or(String::new(), |scope| format!(", {scope}")),
        ),
    ];
    for (key, _) in standing.deltas() {
        lines.push(format!("Counts in {} under {} for {}.", key.year, key.counter, key.insurance_type));
    }
    if let Some(visit) = settlement.visit() {
        lines.extend(visit.lines.iter().map(describe_line));
    }
    describe_split(&settlement.split, &mut lines);
    lines.push(format!("Balance of the personal account afterwards {}.", yuan(settlement.balance_after)));
    for adjustment in &standing.adjustments {
        describe_adjustment(adjustment, &mut lines);
    }
    if let Some(cancellation) = standing.cancelled_by {
        lines.push(format!("Cancelled by {cancellation}: every amount was taken back."));
    }
    lines
}

fn describe_line(line: &StayLine) -> String {
    let billed = &line.line;
    let (code, quantity, price) = (&billed.item_code, billed.quantity, billed.unit_price);
    let (total, in_scope) = (yuan(line.split.total), yuan(line.split.in_scope));
    format!("Line {}: {code}, {quantity} × {price} = {total}, of which {in_scope} is eligible.", billed.line_id)
}

fn describe_split(split: &Split, lines: &mut Vec<String>) {
    let bill = &split.bill;
    lines.push(format!("Bill {}.", yuan(bill.total)));
    lines.extend(split.trace.iter().map(describe_step));
    for fund in Fund::ALL {
        if split.funds[*fund] != Fen::ZERO {
            lines.push(format!("{fund} pays {}.", yuan(split.funds[*fund])));
        }
    }
    lines.push(format!(
        "Funds pay {}, the person {}: {} from accounts{}, {} in cash.",
        yuan(split.fund_total()),
        yuan(split.person_part),
        yuan(split.account),
        if split.family == Fen::ZERO { String::new() } else { format!(" ({} of the family's)", yuan(split.family)) },
        yuan(split.cash),
    ));
}

fn describe_step(step: &Step) -> String {
    let meaning = match step.code {
        Code::Deductible => "deductible".into(),
        Code::Band(fund, band) => format!("{fund}, band {band}"),
        Code::OverCap(_) => "beyond the yearly limit".into(),
        Code::OwnPay => "own expense".into(),
        Code::FirstPay => "first-pay share".into(),
        Code::OverCeiling => "over the price ceiling".into(),
    };
    let amount = yuan(step.amount);
    if step.rate_numerator == step.rate_denominator {
        return format!("{:<4} {meaning}: {amount}", step.code.to_string());
    }
    let base = fraction(step.base_numerator, step.base_denominator);
    let rate = percent(step.rate_numerator, step.rate_denominator);
    format!("{:<4} {meaning}: {base} × {rate} = {amount}", step.code.to_string())
}

fn describe_adjustment(adjustment: &Adjustment, lines: &mut Vec<String>) {
    let (who, amount) = if adjustment.fund_delta < Fen::ZERO {
        ("the person owes the insured place", -adjustment.fund_delta)
    } else {
        ("the insured place pays out to the person", adjustment.fund_delta)
    };
    lines.push(format!("Recomputed after cancellation {}: {who} {}.", adjustment.because_of, yuan(amount)));
    describe_split(&adjustment.split, lines);
}

fn yuan(amount: Fen) -> String {
    let sign = if amount < Fen::ZERO { "-" } else { "" };
    let fen = amount.0.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

/// A base in fen as yuan; exact where the denominator is 1, else cut after four decimals and marked.
fn fraction(numerator: i64, denominator: i64) -> String {
    if denominator == 1 {
        return yuan(Fen(numerator));
    }
    let ten_thousandths = i128::from(numerator) * 100 / i128::from(denominator);
    format!("{}.{:04}…", ten_thousandths / 10_000, ten_thousandths % 10_000)
}

fn percent(numerator: i64, denominator: i64) -> String {
    let hundredths = i128::from(numerator) * 10_000 / i128::from(denominator);
    let (whole, part) = (hundredths / 100, hundredths % 100);
    if part == 0 { format!("{whole} %") } else { format!("{whole}.{part:02} %") }
}
