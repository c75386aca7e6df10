//! A settlement told to a person: what was billed, what the rules took from it, who paid, and what happened since.
//!
//! Invariant: nothing is computed here; every number stands in the settlement.

use crate::benefit::{Code, Split, Step};
use crate::calendar::Date;
use crate::fraud::{Reversal, Unwind, VoidedStay};
use crate::ids::SettlementId;
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
    let split = &settlement.split;
    lines.push(format!(
        "Funds pay {}, the person {}: {} from accounts{}, {} in cash.",
        yuan(split.fund_total()),
        yuan(split.person_part),
        yuan(split.account),
        if split.family == Fen::ZERO { String::new() } else { format!(" ({} of the family's)", yuan(split.family)) },
        yuan(split.cash),
    ));
    lines.push(format!("Balance of the personal account afterwards {}.", yuan(settlement.balance_after)));
    let undone_by = standing.cancelled_by.or(standing.unwound_by.map(|unwind| SettlementId(unwind.0)));
    let (owed, recomputed): (Vec<_>, Vec<_>) =
        standing.adjustments.iter().partition(|adjustment| Some(adjustment.because_of) == undone_by);
    for adjustment in recomputed {
        describe_adjustment(adjustment, &mut lines);
    }
    if let Some(unwind) = standing.unwound_by {
        lines.push(format!("Taken back by unwind {unwind}: it was a thief's."));
    }
    if let Some(cancellation) = standing.cancelled_by {
        let exactly = if owed.is_empty() { ": every amount was taken back" } else { "" };
        lines.push(format!("Cancelled by {cancellation}{exactly}."));
    }
    lines.extend(owed.into_iter().map(describe_owed));
    lines
}

/// What was taken back from a thief, and where every fen of it went; the operator is the one of the record.
pub fn unwind(unwind: &Unwind, operator: &str) -> Vec<String> {
    let Unwind { id, card, person, case_number, second_approver, .. } = unwind;
    let (since, until) = (moment(unwind.since_ms), moment(unwind.until_ms));
    let mut lines = vec![
        format!(
            "Unwind {id} of case {case_number}: card {card} of person {person}, used by another from {since} to {until}."
        ),
        format!("Decided on {}, asked for by {operator} and approved by {second_approver}.", moment(unwind.stamp_ms)),
    ];
    for reversal in &unwind.reversals {
        let Reversal { settlement, institution, fund, account, .. } = reversal;
        let family = reversal.family_total();
        let of_family = if family == Fen::ZERO { String::new() } else { format!(", family {}", yuan(family)) };
        lines.push(format!(
            "Settlement {settlement} at {institution} taken back: funds {}, account {}{of_family}; {} is claimed there.",
            yuan(*fund),
            yuan(*account),
            yuan(reversal.claimed()),
        ));
        if reversal.withdrawn != Fen::ZERO {
            lines.push(format!("  {} that waited to be paid out on it are not paid.", yuan(reversal.withdrawn)));
        }
        for (key, delta) in &reversal.deltas {
            let (eligible, funds) = (yuan(delta.eligible), yuan(delta.funds.total()));
            lines.push(format!(
                "  Year {} ({}): {eligible} eligible and {funds} of the limit are free again.",
                key.year, key.counter
            ));
        }
    }
    for VoidedStay { stay, institution, admission } in &unwind.voided {
        lines.push(format!("Stay {stay} at {institution}, begun on {admission} and never settled, is void."));
    }
    for excluded in &unwind.excluded {
        lines.push(format!("Settlement {excluded} was the holder's own and stays."));
    }
    for excluded in &unwind.excluded_stays {
        lines.push(format!("Stay {excluded} was the holder's own and goes on."));
    }
    lines.extend(unwind.owed().map(describe_owed));
    for adjustment in unwind.recomputed() {
        describe_adjustment(adjustment, &mut lines);
    }
    lines.push(format!(
        "In all {} come back to the funds, {} to the holder's account{}; {} are claimed{}. Cash that was paid at the counter is nobody's credit.",
        yuan(unwind.sum(|reversal| reversal.fund)),
        yuan(unwind.sum(|reversal| reversal.account)),
        match unwind.sum(Reversal::family_total) {
            Fen::ZERO => String::new(),
            family => format!(", {} to the family's", yuan(family)),
        },
        yuan(unwind.sum(Reversal::claimed)),
        match unwind.owed().map(|adjustment| adjustment.fund_delta).sum::<Fen>() {
            Fen::ZERO => String::new(),
            owed => format!(", and {} are owed by the holder", yuan(-owed)),
        },
    ));
    lines
}

/// Business day and time of day, to the second.
fn moment(ms: i64) -> String {
    let (day, seconds) = Date::business_time(ms);
    format!("{day} {:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
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

/// What had been paid out on a settlement that is taken back itself.
fn describe_owed(adjustment: &Adjustment) -> String {
    let (settlement, owed) = (adjustment.settlement, yuan(-adjustment.fund_delta));
    format!(
        "On settlement {settlement} {owed} had been paid out to the person, who owes them to the insured place now."
    )
}

fn describe_adjustment(adjustment: &Adjustment, lines: &mut Vec<String>) {
    let (who, amount) = if adjustment.fund_delta < Fen::ZERO {
        ("the person owes the insured place", -adjustment.fund_delta)
    } else {
        ("the insured place pays out to the person", adjustment.fund_delta)
    };
    lines.push(format!(
        "Settlement {} recomputed after {}: {who} {}.",
        adjustment.settlement,
        adjustment.because_of,
        yuan(amount)
    ));
    let split = &adjustment.split;
    describe_split(split, lines);
    lines.push(format!(
        "Funds pay {}, the person {}; at the counter {} were paid from accounts and {} in cash, which stays as it was.",
        yuan(split.fund_total()),
        yuan(split.person_part),
        yuan(split.account),
        yuan(split.cash),
    ));
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
