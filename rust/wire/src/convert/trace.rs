//! The steps of a calculation and the codes under which the contract shows them.

use medsettle_core::benefit::{Code, Step};
use medsettle_core::money::{Fen, round_half_away};
use medsettle_core::policy::Fund;

use super::check::{Checked, Fault, at};
use crate::v1;

/// Prefix of a fund's bands and how many digits follow.
const fn prefix(fund: Fund) -> (&'static str, usize) {
    match fund {
        Fund::Pool => ("C", 3),
        Fund::LargeSum => ("L", 3),
        Fund::Catastrophic => ("PL", 2),
        Fund::CivilServant => ("GB", 2),
        Fund::Supplement => ("PS", 2),
        Fund::MedicalAid => ("MA", 2),
        Fund::Other => ("OT", 2),
    }
}

const OVER_CAP: (&str, usize) = ("EC", 2);
const DEDUCTIBLE: &str = "S001";
const OWN_PAY: &str = "101";
const FIRST_PAY: &str = "102";
const OVER_CEILING: &str = "103";

/// The code as `Code` prints it, without the formatting machinery: a settlement has about ten.
fn text(code: Code) -> String {
    match code {
        Code::Deductible => DEDUCTIBLE.into(),
        Code::Band(fund, band) => numbered(prefix(fund), band),
        Code::OverCap(count) => numbered(OVER_CAP, count),
        Code::OwnPay => OWN_PAY.into(),
        Code::FirstPay => FIRST_PAY.into(),
        Code::OverCeiling => OVER_CEILING.into(),
    }
}

fn numbered((prefix, digits): (&str, usize), number: u8) -> String {
    let mut text = String::with_capacity(5);
    text.push_str(prefix);
    for place in (0..3u32).rev() {
        let divisor = 10u8.pow(place);
        if (place as usize) < digits || number >= divisor {
            text.push(char::from(b'0' + number / divisor % 10));
        }
    }
    text
}

fn code(text: &str) -> Option<Code> {
    match text {
        DEDUCTIBLE => Some(Code::Deductible),
        OWN_PAY => Some(Code::OwnPay),
        FIRST_PAY => Some(Code::FirstPay),
        OVER_CEILING => Some(Code::OverCeiling),
        _ => {
            let (letters, digits) = text.split_at(text.find(|letter: char| letter.is_ascii_digit())?);
            let number = digits.parse().ok()?;
            let fund = Fund::ALL.iter().find(|fund| prefix(**fund).0 == letters);
            let found = match fund {
                Some(fund) => Code::Band(*fund, number),
                None if letters == OVER_CAP.0 => Code::OverCap(number),
                None => return None,
            };
            // One spelling for one code.
            (self::text(found) == text).then_some(found)
        }
    }
}

pub(super) fn step(step: &v1::TraceStep) -> Checked<Step> {
    let found = code(&step.code).ok_or_else(|| Fault::here("is no code of a step"));
    if step.base_denominator <= 0 || step.rate_denominator <= 0 {
        return Err(Fault::here("divides by nothing"));
    }
    Ok(Step {
        code: at("code", found)?,
        year: step.benefit_year,
        base_numerator: step.base_numerator,
        base_denominator: step.base_denominator,
        rate_numerator: step.rate_numerator,
        rate_denominator: step.rate_denominator,
        amount: Fen(step.amount_fen),
    })
}

pub(super) fn from_step(step: &Step) -> v1::TraceStep {
    let base = round_half_away(i128::from(step.base_numerator), i128::from(step.base_denominator));
    v1::TraceStep {
        code: text(step.code),
        base_numerator: step.base_numerator,
        base_denominator: step.base_denominator,
        base_fen: i64::try_from(base).expect("a whole part of 64 bits"),
        rate_numerator: step.rate_numerator,
        rate_denominator: step.rate_denominator,
        amount_fen: step.amount.0,
        benefit_year: step.year,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_stands_as_the_core_prints_it() {
        let bands = Fund::ALL.iter().flat_map(|fund| (0..=u8::MAX).map(|band| Code::Band(*fund, band)));
        let others = [Code::Deductible, Code::OwnPay, Code::FirstPay, Code::OverCeiling];
        for known in bands.chain((0..=u8::MAX).map(Code::OverCap)).chain(others) {
            assert_eq!(text(known), known.to_string());
            assert_eq!(code(&text(known)), Some(known));
        }
    }

    #[test]
    fn a_code_has_one_spelling() {
        for other in ["", "C", "C1", "C0001", "C256", "PL1", "PL001", "XX01", "104", "S002", "C+01", "c001"] {
            assert_eq!(code(other), None, "{other:?}");
        }
    }
}
