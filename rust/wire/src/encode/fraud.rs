//! What was taken back from a thief, as responses show it.

use medsettle_core::accumulator::{AccumulatorKey, Accumulators};
use medsettle_core::fraud::{Claim, Reversal, Unwind, VoidedStay};

use super::inpatient::adjustment;
use crate::convert::from_years;
use crate::v1;

pub(super) fn effect(unwind: &Unwind, years: &[(AccumulatorKey, Accumulators)], decided: bool) -> v1::UnwindEffect {
    v1::UnwindEffect {
        reversed_settlement_ids: unwind.reversals.iter().map(|reversal| reversal.settlement.0).collect(),
        balance_restored_fen: unwind.sum(|reversal| reversal.account).0,
        accumulators_restored: from_years(unwind.person, years),
        adjustments: unwind.adjustments.iter().map(adjustment).collect(),
        claims: unwind.claims().map(|reversal| of_reversal(unwind, reversal, decided)).collect(),
        person_id: unwind.person.0,
        fund_restored_fen: unwind.sum(|reversal| reversal.fund).0,
        family_restored_fen: unwind.sum(Reversal::family_total).0,
        withdrawn_fen: unwind.sum(|reversal| reversal.withdrawn).0,
        voided_stays: unwind.voided.iter().map(voided).collect(),
    }
}

fn voided(voided: &VoidedStay) -> v1::VoidedStay {
    v1::VoidedStay {
        stay_id: voided.stay.0,
        institution_code: voided.institution.as_str().to_owned(),
        admission_date: voided.admission.to_string(),
    }
}

pub(super) fn claim(claim: &Claim) -> v1::Claim {
    of_reversal(&claim.unwind, claim.reversal(), true)
}

fn of_reversal(unwind: &Unwind, reversal: &Reversal, decided: bool) -> v1::Claim {
    v1::Claim {
        claim_id: reversal.settlement.0,
        institution_code: reversal.institution.as_str().to_owned(),
        settlement_id: reversal.settlement.0,
        fund_fen: reversal.fund.0,
        account_fen: (reversal.account + reversal.family_total()).0,
        case_number: unwind.case_number.to_string(),
        unwind_id: if decided { unwind.id.0 } else { 0 },
    }
}
