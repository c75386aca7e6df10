//! A settlement as it was committed, its exact negation, and what a recomputation changed later.
//!
//! Invariant: a settlement holds all that is needed to negate, recompute and explain it; nothing is looked up in today's rules.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::benefit::Split;
use crate::calendar::Date;
use crate::ids::{
    CardId, CardSn, Hash32, InstitutionCode, PersonId, RegionCode, SettlementId, StayId, UnwindId, VoucherId,
};
use crate::ledger::Leg;
use crate::money::Fen;
use crate::policy::{Category, FilingKind, InsuranceType, Level, Scope, VisitKind};
use crate::token::TokenId;
use crate::visit::Visit;

/// What was shown, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presented {
    /// The credential.
    pub credential: CredentialShown,
    /// The terminal.
    pub terminal: Box<str>,
}

/// A credential that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CredentialShown {
    /// A chip, with a right cryptogram.
    Chip {
        /// The card.
        card: CardId,
        /// Its recognition code.
        card_sn: CardSn,
        /// Its counter, which it will not be accepted with again.
        atc: u16,
    },
    /// A card without a chip.
    Stripe {
        /// The card.
        card: CardId,
        /// Its recognition code.
        card_sn: CardSn,
    },
    /// A token of the issuer that stands for a card.
    Electronic {
        /// The card.
        card: CardId,
        /// Its recognition code.
        card_sn: CardSn,
        /// The token, which will not be accepted again.
        token: TokenId,
        /// When the token ends.
        expires_ms: i64,
    },
    /// A desk's voucher: no card at all.
    Voucher(VoucherId),
}

impl CredentialShown {
    /// The card that was used.
    pub fn card(&self) -> Option<CardId> {
        match self {
            Self::Chip { card, .. } | Self::Stripe { card, .. } | Self::Electronic { card, .. } => Some(*card),
            Self::Voucher(_) => None,
        }
    }

    /// Its recognition code.
    pub fn card_sn(&self) -> Option<CardSn> {
        match self {
            Self::Chip { card_sn, .. } | Self::Stripe { card_sn, .. } | Self::Electronic { card_sn, .. } => {
                Some(*card_sn)
            }
            Self::Voucher(_) => None,
        }
    }
}

/// What was known of the case when it was settled; the input of the benefit calculation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFacts {
    /// Which kind of package applied.
    pub visit_kind: VisitKind,
    /// Insured region.
    pub insured_region: RegionCode,
    /// Care region.
    pub care_region: RegionCode,
    /// Scheme.
    pub insurance_type: InsuranceType,
    /// Category.
    pub category: Category,
    /// Entitlements held.
    pub entitlements: Vec<String>,
    /// Level of the institution.
    pub level: Level,
    /// Filing that was applied.
    pub filing: FilingKind,
    /// Within the province or across; `None` in the own pool.
    pub scope: Option<Scope>,
    /// First day.
    pub admission: Date,
    /// Last day.
    pub discharge: Date,
}

/// What is settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Occasion {
    /// A stay, which keeps its lines.
    Stay(StayId),
    /// A visit, which is nowhere else.
    Visit(Arc<Visit>),
}

/// A settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Its id.
    pub id: SettlementId,
    /// What was settled.
    pub occasion: Occasion,
    /// The patient.
    pub person: PersonId,
    /// Where.
    pub institution: InstitutionCode,
    /// The input of the calculation.
    pub case: CaseFacts,
    /// Who pays what.
    pub split: Split,
    /// Policy packages that were used, by benefit year.
    pub policies: Vec<(i32, Hash32)>,
    /// Catalogue of the discharge day.
    pub catalogue: Hash32,
    /// What it added to each year.
    pub deltas: Vec<(AccumulatorKey, Accumulators)>,
    /// What it added to the books.
    pub legs: Vec<Leg>,
    /// Balance of the own account afterwards.
    pub balance_after: Fen,
    /// What each payer of the family paid, in the order of drawing.
    pub family: Vec<FamilyDraw>,
    /// How the card was shown.
    pub presented: Presented,
    /// Hub's time.
    pub stamp_ms: i64,
}

/// What one account of the family paid, or got back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyDraw {
    /// Whose account.
    pub payer: PersonId,
    /// How much, always positive.
    pub amount: Fen,
    /// What the account holds afterwards.
    pub balance_after: Fen,
}

/// What a recomputation changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// The settlement that was recomputed.
    pub settlement: SettlementId,
    /// The cancellation, or the unwind, that made it necessary.
    pub because_of: SettlementId,
    /// Funds after less before; positive is paid out to the person, negative is owed by the person. Of a settlement that is itself taken
    /// back: what had been paid out before and is owed now, whose legs are those of what takes it back.
    pub fund_delta: Fen,
    /// The split as it is now. Account and cash are as they were: they were paid.
    pub split: Split,
    /// What it adds to each year now.
    pub deltas: Vec<(AccumulatorKey, Accumulators)>,
    /// What the change adds to each year: now less before.
    pub changes: Vec<(AccumulatorKey, Accumulators)>,
    /// What the change adds to the books.
    pub legs: Vec<Leg>,
}

/// The exact negation of a settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// Its own id.
    pub id: SettlementId,
    /// The settlement that it negates.
    pub settlement: Arc<Settlement>,
    /// What it takes back from the books: the settlement's legs and those of its adjustments, negated.
    pub legs: Vec<Leg>,
    /// What it takes back from each year: the deltas in force.
    pub deltas: Vec<(AccumulatorKey, Accumulators)>,
    /// Balance of the own account afterwards.
    pub balance_after: Fen,
    /// What each payer of the family gets back, whether the link still stands or not.
    pub family: Vec<FamilyDraw>,
    /// What had been paid out on the settlement and is owed now, then later settlements that were recomputed.
    pub adjustments: Vec<Adjustment>,
    /// Hub's time.
    pub stamp_ms: i64,
}

/// A settlement with everything that happened to it since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// As committed.
    pub settlement: Arc<Settlement>,
    /// Recomputations, oldest first.
    pub adjustments: Vec<Adjustment>,
    /// Its negation.
    pub cancelled_by: Option<SettlementId>,
    /// What took it back from a thief.
    pub unwound_by: Option<UnwindId>,
    /// The institution's request id.
    pub request_id: Box<str>,
}

impl Settlement {
    /// The package of the discharge year.
    pub fn policy(&self) -> Hash32 {
        self.policies.last().map(|(_, hash)| *hash).unwrap_or_default()
    }

    /// The stay that was settled, where it was one.
    pub fn stay(&self) -> Option<StayId> {
        match self.occasion {
            Occasion::Stay(stay) => Some(stay),
            Occasion::Visit(_) => None,
        }
    }

    /// The visit that was settled, where it was one.
    pub fn visit(&self) -> Option<&Visit> {
        match &self.occasion {
            Occasion::Stay(_) => None,
            Occasion::Visit(visit) => Some(visit),
        }
    }
}

impl Standing {
    /// What it adds to each year now.
    pub fn deltas(&self) -> &[(AccumulatorKey, Accumulators)] {
        self.adjustments.last().map_or(&self.settlement.deltas, |last| &last.deltas)
    }

    /// The split as it is now.
    pub fn split(&self) -> &Split {
        self.adjustments.last().map_or(&self.settlement.split, |last| &last.split)
    }

    /// Whether it still counts.
    pub fn stands(&self) -> bool {
        self.cancelled_by.is_none() && self.unwound_by.is_none()
    }
}
