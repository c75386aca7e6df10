//! Messages that requests, responses and records share: accumulators, splits, filings, institutions.

use medsettle_core::accumulator::{AccumulatorKey, Accumulators, FundAmounts};
use medsettle_core::benefit::{LineSplit, Split};
use medsettle_core::filing::Filing;
use medsettle_core::ids::{FilingId, Hash32, PersonId};
use medsettle_core::institution::Institution;
use medsettle_core::money::Fen;
use medsettle_core::policy::Fund;

use super::check::{Checked, Fault, at, day, each, given_text, institution_code, optional_day, region, within};
use super::coded::{Coded, coded};
use super::trace;
use crate::limits::{MAX_ADMISSIONS, MAX_NAME};
use crate::v1;

/// Accumulators, or a change of them, as a hub wrote them.
fn accumulators(message: &v1::Accumulators) -> Accumulators {
    let mut funds = FundAmounts::default();
    funds[Fund::Pool] = Fen(message.pool_fen);
    funds[Fund::LargeSum] = Fen(message.large_sum_fen);
    funds[Fund::Catastrophic] = Fen(message.catastrophic_fen);
    funds[Fund::CivilServant] = Fen(message.civil_servant_fen);
    funds[Fund::Supplement] = Fen(message.supplement_fen);
    funds[Fund::MedicalAid] = Fen(message.medical_aid_fen);
    funds[Fund::Other] = Fen(message.other_fund_fen);
    Accumulators {
        admissions: i64::from(message.admissions),
        eligible: Fen(message.eligible_fen),
        deductible: Fen(message.deductible_fen),
        funds,
        own_burden: Fen(message.own_burden_fen),
        account: Fen(message.account_fen),
    }
}

/// Accumulators as somebody gives them: sums that a year can have.
pub(crate) fn given_accumulators(message: &v1::Accumulators) -> Checked<Accumulators> {
    if !(0..=MAX_ADMISSIONS).contains(&message.admissions) {
        return Err(Fault::of("admissions", "is no number of admissions"));
    }
    for (field, amount) in [
        ("eligible_fen", message.eligible_fen),
        ("deductible_fen", message.deductible_fen),
        ("pool_fen", message.pool_fen),
        ("large_sum_fen", message.large_sum_fen),
        ("catastrophic_fen", message.catastrophic_fen),
        ("civil_servant_fen", message.civil_servant_fen),
        ("supplement_fen", message.supplement_fen),
        ("medical_aid_fen", message.medical_aid_fen),
        ("other_fund_fen", message.other_fund_fen),
        ("own_burden_fen", message.own_burden_fen),
        ("account_fen", message.account_fen),
    ] {
        at(field, super::amount(amount))?;
    }
    Ok(accumulators(message))
}

pub(crate) fn from_accumulators(accumulators: &Accumulators) -> v1::Accumulators {
    let Accumulators { admissions, eligible, deductible, funds, own_burden, account } = *accumulators;
    v1::Accumulators {
        // An imported year begins far below, and a settlement adds one.
        admissions: i32::try_from(admissions).expect("a number of admissions"),
        eligible_fen: eligible.0,
        deductible_fen: deductible.0,
        pool_fen: funds[Fund::Pool].0,
        large_sum_fen: funds[Fund::LargeSum].0,
        catastrophic_fen: funds[Fund::Catastrophic].0,
        civil_servant_fen: funds[Fund::CivilServant].0,
        supplement_fen: funds[Fund::Supplement].0,
        medical_aid_fen: funds[Fund::MedicalAid].0,
        other_fund_fen: funds[Fund::Other].0,
        own_burden_fen: own_burden.0,
        account_fen: account.0,
    }
}

/// Which accumulators a message is about, whether it has them or not; whose they are is left to the caller.
pub(crate) fn year_key(message: &v1::YearAccumulators) -> Checked<AccumulatorKey> {
    Ok(AccumulatorKey {
        insurance_type: at("insurance_type", coded(message.insurance_type))?,
        year: message.benefit_year,
        counter: at("counter", coded(message.counter))?,
    })
}

/// The key alone.
pub(crate) fn from_year_key(person: PersonId, key: AccumulatorKey) -> v1::YearAccumulators {
    v1::YearAccumulators {
        person_id: person.0,
        insurance_type: key.insurance_type.number(),
        benefit_year: key.year,
        counter: key.counter.number(),
        accumulators: None,
    }
}

/// A year's accumulators with their key.
pub(crate) fn year_accumulators(message: v1::YearAccumulators) -> Checked<(AccumulatorKey, Accumulators)> {
    let key = year_key(&message)?;
    let sums = within("accumulators", message.accumulators, |sums| Ok(accumulators(&sums)))?;
    Ok((key, sums))
}

pub(crate) fn from_years(person: PersonId, years: &[(AccumulatorKey, Accumulators)]) -> Vec<v1::YearAccumulators> {
    let one = |(key, accumulators): &(AccumulatorKey, Accumulators)| v1::YearAccumulators {
        accumulators: Some(from_accumulators(accumulators)),
        ..from_year_key(person, *key)
    };
    years.iter().map(one).collect()
}

pub(crate) fn line_split(message: v1::LineSplit) -> LineSplit {
    LineSplit {
        total: Fen(message.total_fen),
        own_pay: Fen(message.own_pay_fen),
        over_ceiling: Fen(message.over_ceiling_fen),
        first_pay: Fen(message.first_pay_fen),
        in_scope: Fen(message.in_scope_fen),
    }
}

pub(crate) fn from_line_split(split: &LineSplit) -> v1::LineSplit {
    v1::LineSplit {
        total_fen: split.total.0,
        own_pay_fen: split.own_pay.0,
        over_ceiling_fen: split.over_ceiling.0,
        first_pay_fen: split.first_pay.0,
        in_scope_fen: split.in_scope.0,
    }
}

/// A split as a hub wrote it; its hashes are left to the caller.
pub(crate) fn split(message: v1::Split) -> Checked<Split> {
    let mut funds = FundAmounts::default();
    funds[Fund::Pool] = Fen(message.pool_fen);
    funds[Fund::LargeSum] = Fen(message.large_sum_fen);
    funds[Fund::Catastrophic] = Fen(message.catastrophic_fen);
    funds[Fund::CivilServant] = Fen(message.civil_servant_fen);
    funds[Fund::Supplement] = Fen(message.supplement_fen);
    funds[Fund::MedicalAid] = Fen(message.medical_aid_fen);
    funds[Fund::Other] = Fen(message.other_fund_fen);
    Ok(Split {
        bill: LineSplit {
            total: Fen(message.total_fen),
            own_pay: Fen(message.own_pay_fen),
            over_ceiling: Fen(message.over_ceiling_fen),
            first_pay: Fen(message.first_pay_fen),
            in_scope: Fen(message.in_scope_fen),
        },
        deductible: Fen(message.deductible_fen),
        funds,
        hospital_part: Fen(message.hospital_part_fen),
        person_part: Fen(message.person_part_fen),
        account: Fen(message.account_fen),
        family: Fen(message.family_fen),
        cash: Fen(message.cash_fen),
        trace: each("trace", message.trace, |step| trace::step(&step))?,
    })
}

/// A split with the hashes of the packages used, where they belong to it.
pub(crate) fn from_split(split: &Split, hashes: Option<(Hash32, Hash32)>) -> v1::Split {
    let Split { bill, deductible, funds, hospital_part, person_part, account, family, cash, trace } = split;
    let (policy_hash, catalogue_hash) =
        hashes.map_or_else(Default::default, |(policy, catalogue)| (policy.0.to_vec(), catalogue.0.to_vec()));
    v1::Split {
        total_fen: bill.total.0,
        own_pay_fen: bill.own_pay.0,
        over_ceiling_fen: bill.over_ceiling.0,
        first_pay_fen: bill.first_pay.0,
        in_scope_fen: bill.in_scope.0,
        deductible_fen: deductible.0,
        pool_fen: funds[Fund::Pool].0,
        large_sum_fen: funds[Fund::LargeSum].0,
        catastrophic_fen: funds[Fund::Catastrophic].0,
        civil_servant_fen: funds[Fund::CivilServant].0,
        supplement_fen: funds[Fund::Supplement].0,
        medical_aid_fen: funds[Fund::MedicalAid].0,
        other_fund_fen: funds[Fund::Other].0,
        fund_total_fen: funds.total().0,
        hospital_part_fen: hospital_part.0,
        person_part_fen: person_part.0,
        account_fen: account.0,
        family_fen: family.0,
        cash_fen: cash.0,
        trace: trace.iter().map(trace::from_step).collect(),
        policy_hash,
        catalogue_hash,
    }
}

/// A filing; whose it is is left to the caller.
pub(crate) fn filing(message: &v1::Filing) -> Checked<Filing> {
    Ok(Filing {
        id: FilingId(message.filing_id),
        kind: at("kind", coded(message.kind))?,
        destination: at("destination", region(&message.destination))?,
        valid_from: at("valid_from", day(&message.valid_from))?,
        valid_to: at("valid_to", optional_day(message.valid_to.as_ref()))?,
    })
}

pub(crate) fn from_filing(person: PersonId, filing: &Filing) -> v1::Filing {
    v1::Filing {
        filing_id: filing.id.0,
        person_id: person.0,
        kind: filing.kind.number(),
        destination: filing.destination.to_string(),
        valid_from: filing.valid_from.to_string(),
        valid_to: filing.valid_to.map(|day| day.to_string()),
    }
}

pub(crate) fn institution(message: v1::Institution) -> Checked<Institution> {
    Ok(Institution {
        code: at("institution_code", institution_code(&message.institution_code))?,
        name: at("name", given_text(message.name, MAX_NAME))?,
        kind: at("kind", coded(message.kind))?,
        level: at("level", coded(message.level))?,
        region: at("region", region(&message.region))?,
        networked: message.networked,
        cross_region: message.cross_region,
    })
}

pub(crate) fn from_institution(institution: &Institution) -> v1::Institution {
    v1::Institution {
        institution_code: institution.code.as_str().to_owned(),
        name: institution.name.to_string(),
        kind: institution.kind.number(),
        level: institution.level.number(),
        region: institution.region.to_string(),
        networked: institution.networked,
        cross_region: institution.cross_region,
    }
}
