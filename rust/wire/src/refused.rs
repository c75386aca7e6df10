//! A refusal as it leaves the hub: its reason in the contract, and the values that the reason promises.
//!
//! Invariant: every way in which the rules refuse has its reason; a new one does not compile until it has.
//! Invariant: the metadata of a refusal are of the keys that its reason declares, and never internal text.

use std::collections::BTreeMap;

use medsettle_core::account::MAX_PAYERS;
use medsettle_core::card::CardState;
use medsettle_core::command::{CardKey, Command, Credential, LossSubject, Presentation, Query, Request};
use medsettle_core::ids::Hash32;
use medsettle_core::money::MAX_AMOUNT;
use medsettle_core::policy::Problem;
use medsettle_core::reject::Reject;
use medsettle_core::request::{MAX_REMEMBERED, WINDOW_MS};
use medsettle_core::stay::MAX_LINES_PER_STAY;
use medsettle_core::visit::VisitHolder;
use prost::Message as _;

use crate::contract::{Operation, Reason};
use crate::convert::{Coded, Fault};
use crate::error::{BatchError, DecodeError};
use crate::limits::{MAX_PROBLEMS_BYTES, PROBLEM_FRAME_BYTES};
use crate::v1;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} {metadata:?}")]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// Values of the keys that the reason declares.
    pub metadata: BTreeMap<&'static str, String>,
}

impl Refused {
    /// A refusal without metadata.
    pub fn new(reason: Reason) -> Self {
        Self { reason, metadata: BTreeMap::new() }
    }

    /// The hub does not serve the method.
    pub fn not_available(operation: Operation) -> Self {
        Self::new(Reason::MethodNotAvailable).with("method", operation.name())
    }

    /// The caller's roles do not allow the operation.
    pub fn role_forbidden(operation: Operation) -> Self {
        Self::new(Reason::RoleForbidden).with("method", operation.name())
    }

    /// A request or an answer that is longer, or has more parts, than is taken.
    pub fn too_large(limit: usize, size: usize) -> Self {
        Self::new(Reason::RequestTooLarge).with("limit", limit).with("size", size)
    }

    /// A package with its faults, as a JSON list of paths and problems. What goes beyond the bound is counted in a last row.
    pub(crate) fn package_invalid<'a>(problems: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut rows = Vec::new();
        let (mut length, mut left_out) = (0, 0usize);
        for (path, problem) in problems {
            length += path.len() + problem.len() + PROBLEM_FRAME_BYTES;
            if length <= MAX_PROBLEMS_BYTES {
                rows.push(serde_json::json!({ "path": path, "problem": problem }));
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 {
            rows.push(serde_json::json!({ "path": "", "problem": format!("and {left_out} more; check the file") }));
        }
        Self::new(Reason::PackageInvalid).with("problems", serde_json::Value::from(rows))
    }

    /// The same about a request, with what only the request knows.
    #[must_use]
    pub fn about(mut self, operation: Operation, request: &Request) -> Self {
        for key in self.reason.entry().metadata {
            let value = match (*key, request) {
                ("method", _) => operation.name().to_owned(),
                ("card", request) => match card_of(request) {
                    Some(card) => card,
                    None => continue,
                },
                ("request_id", Request::Command(header, _)) => header.request_id.as_str().to_owned(),
                ("period_key", Request::Command(_, command)) => match &**command {
                    Command::CreditAccount { period_key, .. } => period_key.to_string(),
                    _ => continue,
                },
                _ => continue,
            };
            self.metadata.entry(*key).or_insert(value);
        }
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts alike stand at the call without a sign")]
    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.metadata.insert(key, value.to_string());
        self
    }

    fn with_lines(self, lines: &[u64]) -> Self {
        let ids: Vec<String> = lines.iter().map(u64::to_string).collect();
        self.with("lines", ids.join(","))
    }
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Self {
        Self::new(Reason::RequestMalformed).with("field", error.field).with("problem", error.problem)
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed(error) => error.into(),
            Fault::AmountTooLarge(error) => {
                Self::new(Reason::AmountTooLarge).with("field", error.field).with("limit_fen", MAX_AMOUNT.0)
            }
        }
    }
}

impl From<BatchError> for Refused {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Malformed(error) => error.into(),
            BatchError::TooLarge { size } => Self::too_large(crate::MAX_COMMANDS, size),
        }
    }
}

impl From<Vec<Problem>> for Refused {
    fn from(problems: Vec<Problem>) -> Self {
        Self::package_invalid(problems.iter().map(|problem| (problem.path.as_str(), problem.message.as_str())))
    }
}

/// The refusal of a rule, in the words of the contract.
pub fn refusal(reject: &Reject) -> Refused {
    metadata(reject, Refused::new(reason(reject)))
}

/// The card that a request is about, by what it names it by.
fn card_of(request: &Request) -> Option<String> {
    let named = |key: &CardKey| match key {
        CardKey::Id(id) => id.to_string(),
        CardKey::Sn(card_sn) => card_sn.to_string(),
    };
    let shown = |presentation: &Presentation| match &presentation.credential {
        Credential::Chip(chip) => Some(chip.card_sn.to_string()),
        Credential::Stripe(card_sn) => Some(card_sn.to_string()),
        Credential::Electronic(token) => Some(token.card_sn.to_string()),
        Credential::Voucher(_) => None,
    };
    match request {
        Request::Query(Query::GetCard(key)) => Some(named(key)),
        Request::Query(Query::QuoteVisit(asked)) => match &asked.holder {
            VisitHolder::Card(card_sn) => Some(card_sn.to_string()),
            VisitHolder::Certificate(_) => None,
        },
        Request::Query(Query::CheckEligibility { card, .. }) => card.map(|card_sn| card_sn.to_string()),
        Request::Query(Query::PreviewUnwind(scope)) => Some(scope.card.to_string()),
        Request::Query(_) => None,
        Request::Command(_, command) => match &**command {
            Command::Admit { presentation, .. } | Command::SettleStay { presentation, .. } => shown(presentation),
            Command::SettleVisit(asked) => shown(&asked.presentation),
            Command::ApplyForCard { predecessor, .. } => predecessor.map(|card| card.to_string()),
            Command::FailApplication { card, .. }
            | Command::MarkCardMade { card, .. }
            | Command::HandOverCard { card, .. }
            | Command::EnableCard { card, .. }
            | Command::WithdrawLoss { card, .. }
            | Command::TopUp { card, .. }
            | Command::UnlockCard { card, .. }
            | Command::SetPin { card }
            | Command::CancelCard { card, .. } => Some(card.to_string()),
            Command::ReplaceCard { lost, .. } => Some(lost.to_string()),
            Command::Unwind(asked) => Some(asked.scope.card.to_string()),
            Command::Purchase { card, .. } | Command::VerifyPin { card } => Some(card.to_string()),
            Command::ReportLoss { subject: LossSubject::Card(key), .. } => Some(named(key)),
            _ => None,
        },
    }
}

/// A refusal as `medsettle.v1.Refusal`.
pub fn encode_refusal(refused: &Refused) -> Vec<u8> {
    let metadata = refused.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    v1::Refusal { reason: refused.reason.number().cast_signed(), metadata }.encode_to_vec()
}

fn reason(reject: &Reject) -> Reason {
    match reject {
        Reject::Malformed { .. } => Reason::RequestMalformed,
        Reject::RequestIdReused { .. } => Reason::RequestIdReused,
        Reject::RequestReversed => Reason::RequestReversed,
        Reject::RequestTooOld { .. } => Reason::RequestTooOld,
        Reject::ClockAhead { .. } => Reason::ClockAhead,
        Reject::TooLarge { .. } => Reason::RequestTooLarge,
        Reject::NotReversible => Reason::RequestUnknown,
        Reject::ReversalsExhausted => Reason::ReversalsExhausted,
        Reject::CardUnknown => Reason::CardUnknown,
        Reject::CardNotEnabled { .. } => Reason::CardNotEnabled,
        Reject::CardLost { .. } => Reason::CardLost,
        Reject::CardLocked | Reject::CounterRanOut => Reason::CardLocked,
        Reject::CardCancelled => Reason::CardCancelled,
        Reject::CardRetired => Reason::CardRetired,
        Reject::CardNotOfPerson => Reason::CardNotOfPerson,
        Reject::CardNotCollected => Reason::CardNotCollected,
        Reject::HolderNotVerified => Reason::HolderNotVerified,
        Reject::CryptogramInvalid => Reason::CryptogramInvalid,
        Reject::CryptogramReplayed { .. } => Reason::CryptogramReplayed,
        Reject::CounterJump { .. } => Reason::CounterJump,
        Reject::AmountMismatch { .. } => Reason::AmountMismatch,
        Reject::SchemeNotAllowed { .. } => Reason::SchemeNotAllowed,
        Reject::PresentationStale { .. } => Reason::PresentationStale,
        Reject::CardStateForbids { .. } => Reason::CardStateForbids,
        Reject::CardExists { .. } => Reason::CardExists,
        Reject::CounterExhausted => Reason::CounterExhausted,
        Reject::GenerationRetired { .. } => Reason::GenerationRetired,
        Reject::CredentialNotAccepted => Reason::CredentialNotAccepted,
        Reject::CardBlockedHere { .. } => Reason::CardBlockedHere,
        Reject::TokenInvalid => Reason::TokenInvalid,
        Reject::TokenExpired { .. } => Reason::TokenExpired,
        Reject::TokenUsed => Reason::TokenUsed,
        Reject::VoucherUnknown(_) => Reason::VoucherUnknown,
        Reject::VoucherLimitExceeded { .. } => Reason::VoucherLimitExceeded,
        Reject::CardHomeRegionOnly => Reason::CardHomeRegionOnly,
        Reject::PinWrong { .. } => Reason::PinWrong,
        Reject::PinNotSet => Reason::PinNotSet,
        Reject::PinKeyMissing => Reason::PinKeyMissing,
        Reject::StayUnknown(_) => Reason::StayUnknown,
        Reject::StayNotOpen { .. } => Reason::StayNotOpen,
        Reject::QuoteStale => Reason::QuoteStale,
        Reject::AlreadyCancelled { .. } => Reason::AlreadyCancelled,
        Reject::StayOverlaps { .. } => Reason::StayOverlaps,
        Reject::LaterSettlementExists { .. } => Reason::LaterSettlementExists,
        Reject::TotalMismatch { .. } => Reason::TotalMismatch,
        Reject::AlreadySettled { .. } => Reason::AlreadySettled,
        Reject::StayNotDischarged(_) => Reason::StayNotDischarged,
        Reject::LineDuplicate { .. } => Reason::LineDuplicate,
        Reject::RefundExceeds { .. } => Reason::RefundExceeds,
        Reject::ItemUnknown { .. } => Reason::ItemUnknown,
        Reject::LineTotalMismatch { .. } => Reason::LineTotalMismatch,
        Reject::SettlementUnknown(_) => Reason::SettlementUnknown,
        Reject::NothingToUnwind => Reason::NothingToUnwind,
        Reject::UnwindTooLarge { .. } => Reason::UnwindTooLarge,
        Reject::StayDatesWrong { .. } => Reason::StayDatesWrong,
        Reject::LineUnknown { .. } => Reason::LineUnknown,
        Reject::StayTooLong => Reason::StayHasTooManyLines,
        Reject::StayEmpty(_) => Reason::StayEmpty,
        Reject::LineTakenBack { .. } => Reason::LineTakenBack,
        Reject::AlertRuleRefuses { .. } => Reason::AlertRuleRefuses,
        Reject::AlertUnknown(_) => Reason::AlertUnknown,
        Reject::AlertAcknowledged(_) => Reason::AlertAcknowledged,
        Reject::BalanceInsufficient { .. } => Reason::BalanceInsufficient,
        Reject::PurchaseExceeds { .. } => Reason::PurchaseExceeds,
        Reject::PolicyNotInForce { .. } => Reason::PolicyNotInForce,
        Reject::CatalogueNotInForce { .. } => Reason::CatalogueNotInForce,
        Reject::NoRule { .. } => Reason::NoRule,
        Reject::PackageInvalid { .. } => Reason::PackageInvalid,
        Reject::PackageConflicts { .. } => Reason::PackageConflicts,
        Reject::PeriodCredited => Reason::PeriodCredited,
        Reject::YearOpened { .. } => Reason::YearOpened,
        Reject::AmountTooLarge { .. } => Reason::AmountTooLarge,
        Reject::AccountUseForbidden => Reason::AccountUseForbidden,
        Reject::ClaimPaid { .. } => Reason::ClaimPaid,
        Reject::AccountNotOffered(_) => Reason::AccountNotOffered,
        Reject::PersonUnknown => Reason::PersonUnknown,
        Reject::FilingMissing => Reason::FilingMissing,
        Reject::InstitutionNotNetworked => Reason::InstitutionNotNetworked,
        Reject::NotHomeOfRegion(_) => Reason::NotHomeOfRegion,
        Reject::NotInsured { .. } => Reason::NotInsured,
        Reject::PersonSuspended { .. } => Reason::PersonSuspended,
        Reject::InstitutionSuspended { .. } => Reason::InstitutionSuspended,
        Reject::NotSuspended => Reason::NotSuspended,
        Reject::InstitutionUnknown(_) => Reason::InstitutionUnknown,
        Reject::RegionUnknown(_) => Reason::RegionUnknown,
        Reject::CertificateInUse => Reason::CertificateInUse,
        Reject::FilingUnknown(_) => Reason::FilingUnknown,
        Reject::FilingConflicts { .. } => Reason::FilingConflicts,
        Reject::RegionInUse(_) => Reason::RegionInUse,
        Reject::VisitNotOffered { .. } => Reason::VisitNotOffered,
        Reject::PersonOfOtherHub { .. } => Reason::PersonOfOtherHub,
        Reject::FamilyLinkExists | Reject::FamilyLinkUnknown | Reject::FamilyLinksFull => reason_of_family(reject),
        Reject::RoleForbidden => Reason::RoleForbidden,
        Reject::NotYourInstitution(_) => Reason::NotYourInstitution,
        Reject::Identity(_) => Reason::Internal,
    }
}

fn reason_of_family(reject: &Reject) -> Reason {
    match reject {
        Reject::FamilyLinkExists => Reason::FamilyLinkExists,
        Reject::FamilyLinkUnknown => Reason::FamilyLinkUnknown,
        Reject::FamilyLinksFull => Reason::FamilyLinksFull,
        other => unreachable!("not of a family: {other:?}"),
    }
}

fn metadata(reject: &Reject, refused: Refused) -> Refused {
    match reject {
        Reject::Malformed { field, problem } => refused.with("field", field).with("problem", problem),
        Reject::PinWrong { tries_left } => refused.with("tries_left", tries_left),
        Reject::StayDatesWrong { field, problem } => refused.with("field", field).with("problem", problem),
        Reject::RequestIdReused { original_sequence } => refused.with("original_sequence", original_sequence),
        Reject::RequestTooOld { created_ms } => refused.with("created_ms", created_ms).with("window_ms", WINDOW_MS),
        Reject::ClockAhead { created_ms, stamp_ms } => {
            refused.with("created_ms", created_ms).with("stamp_ms", stamp_ms)
        }
        Reject::TooLarge { what: _, limit, size } => refused.with("limit", limit).with("size", size),
        Reject::ReversalsExhausted => refused.with("limit", MAX_REMEMBERED),
        Reject::CardNotEnabled { state } => refused.with("state", state.contract_name()),
        Reject::CardLost { until_ms: Some(until_ms) } => {
            refused.with("state", CardState::TempLost.contract_name()).with("until_ms", until_ms)
        }
        Reject::CardLost { until_ms: None } => refused.with("state", CardState::FormalLost.contract_name()),
        Reject::CryptogramReplayed { atc } => refused.with("atc", atc),
        Reject::CounterJump { atc, highest } => refused.with("atc", atc).with("highest", highest),
        Reject::AmountMismatch { field, signed, expected } => {
            refused.with("field", field).with("signed_fen", signed.0).with("expected_fen", expected.0)
        }
        Reject::SchemeNotAllowed { key_index } => refused.with("key_index", key_index),
        Reject::PresentationStale { transaction_date } => refused.with("transaction_date", transaction_date),
        Reject::CardStateForbids { state, event } => refused.with("state", state.contract_name()).with("event", event),
        Reject::GenerationRetired { cut_over } => refused.with("cut_over_date", cut_over),
        Reject::CardExists { field } => refused.with("field", field),
        Reject::CardBlockedHere { until_ms } => refused.with("until_ms", until_ms),
        Reject::TokenExpired { expires_ms } => refused.with("expires_ms", expires_ms),
        Reject::VoucherUnknown(voucher) => refused.with("voucher_id", voucher),
        Reject::VoucherLimitExceeded { limit, requested } => {
            refused.with("limit_fen", limit.0).with("requested_fen", requested.0)
        }
        Reject::PolicyNotInForce { region, day } | Reject::CatalogueNotInForce { region, day } => {
            refused.with("region", region).with("day", day)
        }
        Reject::BalanceInsufficient { requested, available } | Reject::PurchaseExceeds { requested, available } => {
            refused.with("requested_fen", requested.0).with("available_fen", available.0)
        }
        Reject::NoRule { what } => refused.with("rule", what),
        Reject::PackageInvalid { problems } => {
            Refused::package_invalid(problems.iter().map(|(path, problem)| (path.as_str(), problem.as_str())))
        }
        Reject::PackageConflicts { with } => refused.with("package_hash", hex(*with)),
        Reject::YearOpened { year } => refused.with("benefit_year", year),
        Reject::AmountTooLarge { field } => refused.with("field", field).with("limit_fen", MAX_AMOUNT.0),
        Reject::NotHomeOfRegion(region) | Reject::RegionUnknown(region) | Reject::RegionInUse(region) => {
            refused.with("region", region)
        }
        Reject::NotInsured { day } => refused.with("day", day),
        Reject::PersonSuspended { until: Some(until) } | Reject::InstitutionSuspended { until: Some(until) } => {
            refused.with("until", until)
        }
        Reject::InstitutionUnknown(code) | Reject::NotYourInstitution(code) => refused.with("institution_code", code),
        Reject::VisitNotOffered { institution, visit } => {
            refused.with("institution_kind", institution.contract_name()).with("visit_kind", visit.contract_name())
        }
        Reject::ClaimPaid { claim_number } => refused.with("claim_number", claim_number),
        Reject::AccountNotOffered(account) => refused.with("account", account.contract_name()),
        Reject::PersonOfOtherHub { hub } => refused.with("hub_number", hub.get()),
        Reject::FamilyLinksFull => refused.with("limit", MAX_PAYERS),
        Reject::FilingUnknown(filing) | Reject::FilingConflicts { with: filing } => refused.with("filing_id", filing),
        _ => metadata_of_stay(reject, refused),
    }
}

fn metadata_of_stay(reject: &Reject, refused: Refused) -> Refused {
    match reject {
        Reject::StayUnknown(stay) | Reject::StayNotDischarged(stay) | Reject::StayEmpty(stay) => {
            refused.with("stay_id", stay)
        }
        Reject::StayNotOpen { stay, state } => refused.with("stay_id", stay).with("state", state.contract_name()),
        Reject::AlreadyCancelled { settlement, cancellation } => {
            refused.with("settlement_id", settlement).with("cancellation_id", cancellation)
        }
        Reject::StayOverlaps { other, institution } => {
            refused.with("other_stay_id", other).with("other_institution_code", institution)
        }
        Reject::LaterSettlementExists { later } => refused.with("later_settlement_id", later),
        Reject::TotalMismatch { institution, hub } => {
            refused.with("institution_total_fen", institution.0).with("hub_total_fen", hub.0)
        }
        Reject::AlreadySettled { stay, settlement } => refused.with("stay_id", stay).with("settlement_id", settlement),
        Reject::UnwindTooLarge { limit } => refused.with("limit", limit),
        Reject::SettlementUnknown(settlement) => refused.with("settlement_id", settlement),
        Reject::StayTooLong => refused.with("limit", MAX_LINES_PER_STAY),
        Reject::AlertRuleRefuses { kind } => refused.with("rule", kind.contract_name()),
        Reject::AlertUnknown(alert) | Reject::AlertAcknowledged(alert) => refused.with("alert_id", alert),
        Reject::LineDuplicate { lines }
        | Reject::RefundExceeds { lines }
        | Reject::ItemUnknown { lines }
        | Reject::LineTotalMismatch { lines }
        | Reject::LineUnknown { lines }
        | Reject::LineTakenBack { lines } => refused.with_lines(lines),
        _ => refused,
    }
}

fn hex(hash: Hash32) -> String {
    use std::fmt::Write as _;
    hash.0.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
