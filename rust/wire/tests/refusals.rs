//! Every way in which the rules refuse has its reason, and carries what the reason promises and nothing else.

use std::collections::BTreeSet;

use medsettle_core::account::AccountKind;
use medsettle_core::alert::AlertKind;
use medsettle_core::calendar::Date;
use medsettle_core::card::CardState;
use medsettle_core::ids::{
    AlertId, FilingId, Hash32, HubNumber, InstitutionCode, RegionCode, SettlementId, StayId, VoucherId,
};
use medsettle_core::institution::InstitutionKind;
use medsettle_core::money::Fen;
use medsettle_core::policy::VisitKind;
use medsettle_core::reject::Reject;
use medsettle_core::stay::StayState;
use medsettle_wire::{Reason, encode_refusal, refusal, strict, v1};

fn rejects() -> Vec<Reject> {
    [of_requests_and_cards(), of_stays_and_settlements(), of_persons_and_packages()].concat()
}

/// What stops a request before anything is counted: the request itself, its card, and what stands for a card.
fn of_requests_and_cards() -> Vec<Reject> {
    let day = Date::parse("2026-02-28").unwrap();
    vec![
        Reject::malformed("lines[3].quantity", "must be positive"),
        Reject::RequestIdReused { original_sequence: 1 },
        Reject::RequestReversed,
        Reject::RequestTooOld { created_ms: 1 },
        Reject::ClockAhead { created_ms: 2, stamp_ms: 1 },
        Reject::TooLarge { what: "lines", limit: 1, size: 2 },
        Reject::NotReversible,
        Reject::ReversalsExhausted,
        Reject::CardUnknown,
        Reject::CardNotEnabled { state: CardState::Failed },
        Reject::CardLost { until_ms: Some(1) },
        Reject::CardLost { until_ms: None },
        Reject::CardLocked,
        Reject::CardCancelled,
        Reject::CardRetired,
        Reject::CardNotOfPerson,
        Reject::CardNotCollected,
        Reject::HolderNotVerified,
        Reject::CryptogramInvalid,
        Reject::CryptogramReplayed { atc: 1 },
        Reject::CounterJump { atc: 2_000, highest: 1 },
        Reject::AmountMismatch { field: "amount_fen", signed: Fen(1), expected: Fen(2) },
        Reject::SchemeNotAllowed { key_index: 7 },
        Reject::PresentationStale { transaction_date: day },
        Reject::CardStateForbids { state: CardState::Made, event: "enable" },
        Reject::CardExists { field: "pan" },
        Reject::CredentialNotAccepted,
        Reject::PinWrong { tries_left: 5 },
        Reject::PinNotSet,
        Reject::PinKeyMissing,
        Reject::CounterExhausted,
        Reject::GenerationRetired { cut_over: day },
        Reject::CardBlockedHere { until_ms: 1 },
        Reject::CounterRanOut,
        Reject::TokenInvalid,
        Reject::TokenExpired { expires_ms: 1 },
        Reject::TokenUsed,
        Reject::VoucherUnknown(VoucherId(1)),
        Reject::VoucherLimitExceeded { limit: Fen(1), requested: Fen(2) },
        Reject::CardHomeRegionOnly,
    ]
}

/// What stops a stay, its lines, its settlement or the way back.
fn of_stays_and_settlements() -> Vec<Reject> {
    let institution = InstitutionCode::parse("H11010500001").unwrap();
    let (stay, settlement, lines) = (StayId(1), SettlementId(2), vec![7, 8]);
    vec![
        Reject::StayUnknown(stay),
        Reject::StayNotOpen { stay, state: StayState::Discharged },
        Reject::QuoteStale,
        Reject::AlreadyCancelled { settlement, cancellation: SettlementId(3) },
        Reject::StayOverlaps { other: stay, institution },
        Reject::LaterSettlementExists { later: settlement },
        Reject::TotalMismatch { institution: Fen(1), hub: Fen(2) },
        Reject::AlreadySettled { stay, settlement },
        Reject::StayNotDischarged(stay),
        Reject::LineDuplicate { lines: lines.clone() },
        Reject::RefundExceeds { lines: lines.clone() },
        Reject::ItemUnknown { lines: lines.clone() },
        Reject::LineTotalMismatch { lines: lines.clone() },
        Reject::SettlementUnknown(settlement),
        Reject::NothingToUnwind,
        Reject::UnwindTooLarge { limit: 500 },
        Reject::StayDatesWrong { field: "discharge_date".into(), problem: "is in the future" },
        Reject::LineUnknown { lines: lines.clone() },
        Reject::StayTooLong,
        Reject::StayEmpty(stay),
        Reject::LineTakenBack { lines },
        Reject::AlertRuleRefuses { kind: AlertKind::SexConflict },
        Reject::AlertUnknown(AlertId(1)),
        Reject::AlertAcknowledged(AlertId(1)),
    ]
}

/// What persons, institutions, money and packages forbid.
fn of_persons_and_packages() -> Vec<Reject> {
    let day = Date::parse("2026-02-28").unwrap();
    let region = RegionCode::parse("110101").unwrap();
    let institution = InstitutionCode::parse("H11010500001").unwrap();
    vec![
        Reject::BalanceInsufficient { requested: Fen(2), available: Fen(1) },
        Reject::PurchaseExceeds { requested: Fen(2), available: Fen(1) },
        Reject::PolicyNotInForce { region, day },
        Reject::CatalogueNotInForce { region, day },
        Reject::NoRule { what: "POOL bands".into() },
        Reject::PackageInvalid { problems: vec![("layers[0]".into(), "has \"no\" bands".into())] },
        Reject::PackageConflicts { with: Hash32([0xab; 32]) },
        Reject::PeriodCredited,
        Reject::YearOpened { year: 2026 },
        Reject::AmountTooLarge { field: "total_fen".into() },
        Reject::AccountUseForbidden,
        Reject::PersonUnknown,
        Reject::FilingMissing,
        Reject::InstitutionNotNetworked,
        Reject::NotHomeOfRegion(region),
        Reject::NotInsured { day },
        Reject::PersonSuspended { until: Some(day) },
        Reject::InstitutionSuspended { until: None },
        Reject::NotSuspended,
        Reject::InstitutionUnknown(institution),
        Reject::RegionUnknown(region),
        Reject::CertificateInUse,
        Reject::FilingUnknown(FilingId(1)),
        Reject::FilingConflicts { with: FilingId(1) },
        Reject::VisitNotOffered { institution: InstitutionKind::Pharmacy, visit: VisitKind::Outpatient },
        Reject::RegionInUse(region),
        Reject::ClaimPaid { claim_number: "C1".into() },
        Reject::AccountNotOffered(AccountKind::Purse),
        Reject::PersonOfOtherHub { hub: HubNumber::new(12).unwrap() },
        Reject::FamilyLinkExists,
        Reject::FamilyLinkUnknown,
        Reject::FamilyLinksFull,
        Reject::RoleForbidden,
        Reject::NotYourInstitution(institution),
        Reject::Identity("I1"),
    ]
}

/// Reasons that the edge, the engine or `wire` itself gives, and those of methods that are not served yet.
const NOT_OF_THE_RULES: [Reason; 7] = [
    Reason::CertificateNotAccepted,
    Reason::MethodNotAvailable,
    Reason::Overloaded,
    Reason::Halted,
    Reason::Recovering,
    Reason::ClockSuspect,
    Reason::DiskFull,
];

#[test]
fn every_reason_is_given_by_a_rule_or_known_to_come_from_elsewhere() {
    let given: BTreeSet<Reason> =
        rejects().iter().map(|reject| refusal(reject).reason).chain(NOT_OF_THE_RULES).collect();
    assert!(given.iter().copied().eq(Reason::ALL));
}

#[test]
fn metadata_are_of_the_keys_that_the_reason_declares() {
    for reject in rejects() {
        let refused = refusal(&reject);
        let declared = refused.reason.entry().metadata;
        for (key, value) in &refused.metadata {
            assert!(declared.contains(key), "{reject:?} carries {key}, which {} does not declare", refused.reason);
            assert!(!value.is_empty(), "{reject:?}: {key}");
        }
        // What only the request knows is added by `about`; what has no end has no "until".
        let missing: Vec<_> = declared.iter().filter(|key| !refused.metadata.contains_key(*key)).collect();
        let of_request = ["card", "request_id", "method", "period_key", "until_ms", "until"];
        assert!(missing.iter().all(|key| of_request.contains(key)), "{reject:?} lacks {missing:?}");
    }
}

#[test]
fn values_are_written_for_the_caller_to_use() {
    let of = |reject: &Reject, key: &str| refusal(reject).metadata[key].clone();
    assert_eq!(of(&Reject::LineDuplicate { lines: vec![7, 12] }, "lines"), "7,12");
    assert_eq!(of(&Reject::PackageConflicts { with: Hash32([0x0a; 32]) }, "package_hash"), "0a".repeat(32));
    assert_eq!(of(&Reject::CardLost { until_ms: Some(5) }, "state"), "TEMP_LOST");
    assert_eq!(of(&Reject::CardLost { until_ms: None }, "state"), "FORMAL_LOST");
    let problems = vec![("a".to_owned(), "says \"b\"".to_owned()), ("c".to_owned(), "d".to_owned())];
    assert_eq!(
        of(&Reject::PackageInvalid { problems }, "problems"),
        r#"[{"path":"a","problem":"says \"b\""},{"path":"c","problem":"d"}]"#
    );
}

#[test]
fn a_refusal_travels_as_its_message() {
    let refused = refusal(&Reject::TotalMismatch { institution: Fen(1), hub: Fen(2) });
    let message: v1::Refusal = strict::decode(&encode_refusal(&refused)).unwrap();
    assert_eq!(message.reason(), v1::reason::Code::TotalMismatch);
    assert_eq!(message.metadata["hub_total_fen"], "2");
    assert_eq!(message.metadata.len(), 2);
}
