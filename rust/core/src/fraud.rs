//! What a thief did with a card, taken back as one fact.
//!
//! Invariant: an unwind restores funds, accounts and limits, each in its own benefit year, and claims the same money from the
//! institutions that did not check the holder; its legs sum to zero.
//! Invariant: a stay that the thief began and never settled is void with the rest, so that it stands in nobody's way.
//! Invariant: cash and what an institution earned stay where they are: a thief's cash is nobody's credit.
//! Invariant: a settlement is unwound once, as a whole, and then neither unwound nor cancelled again.
//! Leaves out: who may unwind, and how it is decided (`decide::fraud`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::calendar::Date;
use crate::ids::{CardId, InstitutionCode, PersonId, SettlementId, StayId, UnwindId};
use crate::ledger::Leg;
use crate::money::Fen;
use crate::policy::VisitKind;
use crate::settlement::{Adjustment, FamilyDraw, Presented};

/// Settlements that one unwind takes back: more than a year of daily purchases, while the fact stays far below a frame.
pub const MAX_REVERSED: usize = 500;

/// Later settlements of the holder that one unwind recomputes; each carries its new trace.
pub const MAX_RECOMPUTED: usize = 500;

/// What was the thief's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnwindScope {
    /// The card that was used.
    pub card: CardId,
    /// First moment.
    pub since_ms: i64,
    /// Last moment; `None` is now.
    pub until_ms: Option<i64>,
    /// The holder's own settlements in that period.
    pub excluded: Vec<SettlementId>,
    /// The holder's own stays that began in that period and are not settled.
    pub excluded_stays: Vec<StayId>,
}

/// A committed unwind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwind {
    /// Its id.
    pub id: UnwindId,
    /// The card.
    pub card: CardId,
    /// Its holder.
    pub person: PersonId,
    /// First moment.
    pub since_ms: i64,
    /// Last moment.
    pub until_ms: i64,
    /// What was left out.
    pub excluded: Vec<SettlementId>,
    /// What was left out of the stays that are not settled.
    pub excluded_stays: Vec<StayId>,
    /// The agency's case.
    pub case_number: Box<str>,
    /// Who approved it beside the operator who asked.
    pub second_approver: Box<str>,
    /// In the order of the journal.
    pub reversals: Vec<Reversal>,
    /// Stays that began with the card and are not settled, void by facts of their own in the same record.
    pub voided: Vec<VoidedStay>,
    /// What had been paid out on reversed settlements and is owed now, then the holder's later settlements as they should have been.
    pub adjustments: Vec<Adjustment>,
    /// Hub's time.
    pub stamp_ms: i64,
}

/// A stay that a thief began and that nobody settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidedStay {
    /// Which.
    pub stay: StayId,
    /// Where.
    pub institution: InstitutionCode,
    /// Day of admission.
    pub admission: Date,
}

/// What is taken back of one settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal {
    /// The settlement.
    pub settlement: SettlementId,
    /// Where it was made.
    pub institution: InstitutionCode,
    /// The stay that was settled, which is void now.
    pub stay: Option<StayId>,
    /// What kind of care it was.
    pub visit_kind: VisitKind,
    /// How the card was shown.
    pub presented: Presented,
    /// The bill.
    pub total: Fen,
    /// What the funds paid.
    pub fund: Fen,
    /// What the holder's own account paid.
    pub account: Fen,
    /// What that account holds once it is back.
    pub balance_after: Fen,
    /// What comes back to each payer of the family.
    pub family: Vec<FamilyDraw>,
    /// What is taken back from each year: the deltas in force.
    pub deltas: Vec<(AccumulatorKey, Accumulators)>,
    /// In the books.
    pub legs: Vec<Leg>,
    /// What waited to be paid out because it had been recomputed, and is not paid.
    pub withdrawn: Fen,
}

impl Reversal {
    /// What comes back to the family's accounts.
    pub fn family_total(&self) -> Fen {
        self.family.iter().map(|draw| draw.amount).sum()
    }

    /// What is claimed from the institution; nothing where the thief paid all in cash.
    pub fn claimed(&self) -> Fen {
        self.fund + self.account + self.family_total()
    }
}

impl Unwind {
    /// One amount of every reversal, added up.
    pub fn sum(&self, amount: impl Fn(&Reversal) -> Fen) -> Fen {
        self.reversals.iter().map(amount).sum()
    }

    /// What had been paid out on reversed settlements, which had been recomputed before, and is owed now.
    pub fn owed(&self) -> impl Iterator<Item = &Adjustment> {
        self.adjustments.iter().filter(|adjustment| self.reverses(adjustment.settlement))
    }

    /// The holder's later settlements as they should have been.
    pub fn recomputed(&self) -> impl Iterator<Item = &Adjustment> {
        self.adjustments.iter().filter(|adjustment| !self.reverses(adjustment.settlement))
    }

    fn reverses(&self, settlement: SettlementId) -> bool {
        self.reversals.iter().any(|reversal| reversal.settlement == settlement)
    }

    /// Reversals that an institution owes for.
    pub fn claims(&self) -> impl Iterator<Item = &Reversal> {
        self.reversals.iter().filter(|reversal| reversal.claimed() != Fen::ZERO)
    }
}

/// A claim on an institution. It has the number of its settlement, which is claimed once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The unwind that made it.
    pub unwind: Arc<Unwind>,
    /// Place of the reversal.
    pub reversal: usize,
}

impl Claim {
    /// What was reversed.
    pub fn reversal(&self) -> &Reversal {
        &self.unwind.reversals[self.reversal]
    }
}

/// Which claims a listing wants; `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimFilter {
    /// On this institution.
    pub institution: Option<InstitutionCode>,
    /// Of this case.
    pub case_number: Option<Box<str>>,
}

impl ClaimFilter {
    /// Whether a claim is wanted.
    pub fn wants(&self, claim: &Claim) -> bool {
        self.institution.is_none_or(|code| code == claim.reversal().institution)
            && self.case_number.as_ref().is_none_or(|case| *case == claim.unwind.case_number)
    }
}
