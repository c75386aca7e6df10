//! What packages say, without a hub: the functions behind `medsettle policy check` and `medsettle.benefit.quote`.
//!
//! Invariant: the calculation is the engine's own.

use std::collections::BTreeMap;

use medsettle_core::accumulator::Accumulators;
use medsettle_core::benefit::{AccountRequest, Adjudication, BenefitError, Case, Draw, adjudicate};
use medsettle_core::calendar::Date;
use medsettle_core::ids::Hash32;
use medsettle_core::policy::{BenefitPolicy, Category, FilingKind, Level, Problem, Scope, check};
use medsettle_core::reject::Reject;
use prost::Message as _;

use crate::convert::{
    self, Checked, Coded, Fault, amount, at, coded, day_if_given, each, from_accumulators, from_split,
    given_accumulators, given_text, policy_hash, within,
};
use crate::limits::MAX_LABEL;
use crate::refused::{Refused, refusal};
use crate::{strict, v1};

/// Reads an encoded `BenefitPolicy` that passes every check, or refuses with all its problems.
pub fn policy_from_bytes(bytes: &[u8]) -> Result<BenefitPolicy, Refused> {
    let policy = convert::policy(&strict::decode(bytes)?)?;
    let problems = check(&policy);
    if problems.is_empty() { Ok(policy) } else { Err(problems.into()) }
}

/// Every problem of an encoded `BenefitPolicy`. Values that cannot be read are named first; only a policy without such is checked further.
pub fn policy_problems(bytes: &[u8]) -> Result<Vec<Problem>, Refused> {
    Ok(convert::policy(&strict::decode(bytes)?).map_or_else(|unreadable| unreadable, |policy| check(&policy)))
}

/// Every problem of an encoded `Catalogue`, in the same way.
pub fn catalogue_problems(bytes: &[u8]) -> Result<Vec<Problem>, Refused> {
    let catalogue = convert::catalogue(&strict::decode(bytes)?);
    Ok(catalogue.map_or_else(|unreadable| unreadable, |catalogue| catalogue.check()))
}

/// Every problem of encoded `AlertRules`, in the same way.
pub fn alert_rules_problems(bytes: &[u8]) -> Result<Vec<Problem>, Refused> {
    Ok(convert::alert_rules(&strict::decode(bytes)?).map_or_else(|unreadable| unreadable, |rules| rules.check()))
}

/// Hash of an encoded `BenefitPolicy`, as its installation will show it.
pub fn policy_hash_of(bytes: &[u8]) -> Result<Hash32, Refused> {
    policy_from_bytes(bytes).map(|policy| policy_hash(&policy))
}

/// Who pays what of an encoded `QuoteCase` under an encoded `BenefitPolicy`: an encoded `QuoteResult`. The policy is taken for every year of
/// the case, in force or not; a case without dates lies in the year in which the policy begins.
pub fn benefit_quote(policy: &[u8], case: &[u8]) -> Result<Vec<u8>, Refused> {
    let policy = policy_from_bytes(policy)?;
    let asked = asked(strict::decode(case)?, &policy)?;
    let used = |year, _| asked.used_in(year);
    let input = Case {
        bill: asked.bill,
        level: asked.level,
        category: asked.category,
        entitlements: &asked.entitlements,
        filings: &[asked.filing],
        scope: asked.scope,
        admission: asked.admission,
        discharge: asked.discharge,
        accumulators_of: &used,
    };
    let result = adjudicate(&input, &|_| Some(&policy), &asked.account)
        .map_err(|error| refused(error, &policy, asked.discharge))?;
    Ok(quoted(&asked, &policy, &result)?.encode_to_vec())
}

/// A case that is well formed.
struct Asked {
    bill: medsettle_core::benefit::LineSplit,
    level: Level,
    category: Category,
    entitlements: Vec<String>,
    filing: FilingKind,
    scope: Option<Scope>,
    dated: bool,
    admission: Date,
    discharge: Date,
    before: Accumulators,
    by_year: BTreeMap<i32, Accumulators>,
    account: AccountRequest,
}

impl Asked {
    fn used_in(&self, year: i32) -> Accumulators {
        let of_discharge_year = if year == self.discharge.year() { self.before } else { Accumulators::default() };
        self.by_year.get(&year).copied().unwrap_or(of_discharge_year)
    }
}

fn asked(message: v1::QuoteCase, policy: &BenefitPolicy) -> Checked<Asked> {
    let dates = (
        at("admission_date", day_if_given(&message.admission_date))?,
        at("discharge_date", day_if_given(&message.discharge_date))?,
    );
    let (admission, discharge) = match dates {
        (Some(admission), Some(discharge)) if admission <= discharge => (admission, discharge),
        (Some(_), Some(_)) => return Err(Fault::of("discharge_date", "is before admission_date")),
        (None, None) => (policy.effective_from, policy.effective_from),
        (None, Some(_)) => return Err(Fault::of("admission_date", "is missing")),
        (Some(_), None) => return Err(Fault::of("discharge_date", "is missing")),
    };
    let mut by_year = BTreeMap::new();
    for (year, sums) in &message.accumulators_by_year {
        let field = format!("accumulators_by_year[{year}]");
        if Date::new_year(*year).is_none() {
            return Err(Fault::of(&field, "is of no year of the calendar"));
        }
        by_year.insert(*year, at(&field, given_accumulators(sums))?);
    }
    let before = message.accumulators_before.unwrap_or_default();
    Ok(Asked {
        bill: within("bill", message.bill, bill)?,
        level: at("institution_level", coded(message.institution_level))?,
        category: at("person_category", coded(message.person_category))?,
        entitlements: each("entitlements", message.entitlements, |name| given_text(name, MAX_LABEL).map(String::from))?,
        filing: at("filing", coded(message.filing))?,
        scope: Coded::from_number(message.scope),
        dated: dates.0.is_some(),
        admission,
        discharge,
        before: at("accumulators_before", given_accumulators(&before))?,
        by_year,
        account: at("account", account(&message.account.unwrap_or_default()))?,
    })
}

fn bill(message: v1::LineSplit) -> Checked<medsettle_core::benefit::LineSplit> {
    for (field, fen) in [
        ("total_fen", message.total_fen),
        ("own_pay_fen", message.own_pay_fen),
        ("over_ceiling_fen", message.over_ceiling_fen),
        ("first_pay_fen", message.first_pay_fen),
        ("in_scope_fen", message.in_scope_fen),
    ] {
        at(field, amount(fen))?;
    }
    let bill = convert::line_split(message);
    bill.check().map_err(|_| Fault::of("total_fen", "is not the sum of its four parts"))?;
    Ok(bill)
}

fn account(message: &v1::QuoteAccount) -> Checked<AccountRequest> {
    Ok(AccountRequest {
        draw: Draw::Quote,
        requested: at("account_request_fen", amount(message.account_request_fen))?,
        use_family: message.use_family,
        own_balance: at("own_balance_fen", amount(message.own_balance_fen))?,
        family_balance: at("family_balance_fen", amount(message.family_balance_fen))?,
    })
}

fn quoted(asked: &Asked, policy: &BenefitPolicy, result: &Adjudication) -> Result<v1::QuoteResult, Refused> {
    let mut split = from_split(&result.split, None);
    split.policy_hash = policy_hash(policy).0.to_vec();
    let mut after = asked.by_year.clone();
    after.insert(asked.discharge.year(), asked.used_in(asked.discharge.year()));
    for change in &result.deltas {
        let sum = asked.used_in(change.year).checked_add(change.delta);
        let sum = sum.ok_or_else(|| refusal(&Reject::AmountTooLarge { field: "accumulators_by_year".into() }))?;
        after.insert(change.year, sum);
    }
    let accumulators_after = after.get(&asked.discharge.year()).map(from_accumulators);
    let by_year = after.iter().map(|(year, sums)| (*year, from_accumulators(sums)));
    Ok(v1::QuoteResult {
        split: Some(split),
        accumulators_after,
        accumulators_by_year: if asked.dated { by_year.collect() } else { BTreeMap::new() },
        balance_after_fen: result.balance_after.0,
    })
}

fn refused(error: BenefitError, policy: &BenefitPolicy, day: Date) -> Refused {
    refusal(&match error {
        BenefitError::NoRule { what } => Reject::NoRule { what: what.to_string() },
        BenefitError::PolicyMissing { .. } => Reject::PolicyNotInForce { region: policy.region, day },
        BenefitError::FilingMissing => Reject::FilingMissing,
        BenefitError::AccountUseForbidden => Reject::AccountUseForbidden,
        BenefitError::BalanceInsufficient { requested, available } => {
            Reject::BalanceInsufficient { requested, available }
        }
        BenefitError::AmountOutOfRange { what } => Reject::AmountTooLarge { field: what.into() },
        BenefitError::Identity(_) => Reject::Identity("quote"),
    })
}
