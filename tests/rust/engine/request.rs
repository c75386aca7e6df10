//! Requests as institutions send them: a region with its packages, persons with cards, and stays from admission to settlement.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use medsettle_core::calendar::Date;
use medsettle_cryptogram::{Derivation, Pan, Request, Scheme, SequenceNumber, SignedFields, TransactionDate, sign};
use medsettle_wire::v1::{self, presentation::Credential};
use medsettle_wire::{Operation, Reason};
use prost::Message;

use crate::caller::Caller;
use crate::support::{HOSPITAL, NOW_MS, OFFICE, issuer_key};

const PLACE: &str = "370100";

/// Price of one unit of the only item, in fen.
const UNIT_FEN: i64 = 250_000;

static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// A header with an id that was never used.
pub(crate) fn header(institution: &str) -> v1::RequestHeader {
    let number = REQUESTS.fetch_add(1, Relaxed);
    named_header(institution, &format!("{institution}-{number}"))
}

pub(crate) fn named_header(institution: &str, request_id: &str) -> v1::RequestHeader {
    v1::RequestHeader {
        request_id: request_id.into(),
        created_ms: NOW_MS,
        institution_code: institution.into(),
        operator: "clerk".into(),
        insured_region: String::new(),
    }
}

pub(crate) fn date() -> String {
    date_at(NOW_MS)
}

/// The business day of a moment.
pub(crate) fn date_at(now_ms: i64) -> String {
    Date::business_day(now_ms).to_string()
}

/// A person with a card, by number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patient {
    pub(crate) number: u64,
    pub(crate) person: u64,
}

/// Install what a region needs, and the hospital.
pub(crate) fn furnish(office: &Caller<'_>) {
    let region = |code: &str, parent: &str| v1::Region {
        code: code.into(),
        name: code.into(),
        parent: parent.into(),
        home: true,
    };
    let regions = vec![region("370000", ""), region(PLACE, "370000")];
    let request = v1::PackagesInstallRegionsRequest { header: Some(header(OFFICE)), regions };
    office.get::<v1::PackagesInstallRegionsResponse>(Operation::PackagesInstallRegions, &request);
    let request = v1::PackagesInstallPolicyRequest { header: Some(header(OFFICE)), policy: Some(policy()) };
    office.get::<v1::PackagesInstallPolicyResponse>(Operation::PackagesInstallPolicy, &request);
    let request = v1::PackagesInstallCatalogueRequest { header: Some(header(OFFICE)), catalogue: Some(catalogue()) };
    office.get::<v1::PackagesInstallCatalogueResponse>(Operation::PackagesInstallCatalogue, &request);
    let request = v1::InstitutionsRegisterRequest { header: Some(header(OFFICE)), institution: Some(institution()) };
    office.get::<v1::InstitutionsRegisterResponse>(Operation::InstitutionsRegister, &request);
}

/// The hospital.
pub(crate) fn institution() -> v1::Institution {
    v1::Institution {
        institution_code: HOSPITAL.into(),
        name: "first hospital".into(),
        kind: v1::institution::Kind::Hospital.into(),
        level: v1::level::Kind::Three.into(),
        region: PLACE.into(),
        networked: true,
        cross_region: true,
    }
}

/// Enroll a person, give a card and pay a contribution of 5,000.00 into the account.
pub(crate) fn enroll(office: &Caller<'_>, number: u64) -> Patient {
    let enrolled: v1::PersonsEnrollResponse = office.get(Operation::PersonsEnroll, &enrolment(number));
    let patient = Patient { number, person: enrolled.person_id };
    issue(office, patient, 0);
    office.get::<v1::AccountsCreditResponse>(Operation::AccountsCredit, &credit(patient.person, 500_000, "2026-02"));
    patient
}

/// Apply for the card that bears the patient's number, which may follow another, make it and hand it over; gives its id.
pub(crate) fn issue(office: &Caller<'_>, patient: Patient, predecessor_card_id: u64) -> u64 {
    let request = apply_for_card(patient, predecessor_card_id);
    let v1::CardsApplyResponse { card_id, .. } = office.get(Operation::CardsApply, &request);
    office.get::<v1::CardsMarkMadeResponse>(Operation::CardsMarkMade, &mark_made(patient, card_id));
    office.get::<v1::CardsHandOverResponse>(Operation::CardsHandOver, &hand_over(card_id));
    card_id
}

pub(crate) fn apply_for_card(patient: Patient, predecessor_card_id: u64) -> v1::CardsApplyRequest {
    v1::CardsApplyRequest {
        header: Some(header(OFFICE)),
        person_id: patient.person,
        predecessor_card_id,
        generation: "3".into(),
    }
}

pub(crate) fn mark_made(patient: Patient, card_id: u64) -> v1::CardsMarkMadeRequest {
    v1::CardsMarkMadeRequest {
        header: Some(header(OFFICE)),
        card_id,
        pan: pan(patient.number),
        sequence_number: 0,
        card_sn: card_sn(patient.number),
        scheme: v1::chip::Scheme::PbocSm4.into(),
        key_index: 1,
        purse_fen: 0,
    }
}

pub(crate) fn hand_over(card_id: u64) -> v1::CardsHandOverRequest {
    v1::CardsHandOverRequest { header: Some(header(OFFICE)), card_id, collected_by: "holder".into() }
}

pub(crate) fn enrolment(number: u64) -> v1::PersonsEnrollRequest {
    v1::PersonsEnrollRequest {
        header: Some(header(OFFICE)),
        name: "patient".into(),
        sex: v1::sex::Kind::Female.into(),
        birth_date: "1970-01-01".into(),
        certificates: vec![v1::Certificate {
            kind: v1::certificate::Kind::Passport.into(),
            number: format!("E{number:010}"),
        }],
        spells: vec![v1::InsuranceSpell {
            insurance_type: v1::insurance_type::Kind::Employee.into(),
            region: PLACE.into(),
            category: v1::category::Kind::Active.into(),
            status: v1::insurance_spell::Status::Normal.into(),
            from_date: "2020-01-01".into(),
            to_date: None,
        }],
        entitlements: Vec::new(),
    }
}

pub(crate) fn credit(person: u64, amount_fen: i64, period_key: &str) -> v1::AccountsCreditRequest {
    v1::AccountsCreditRequest {
        header: Some(header(OFFICE)),
        person_id: person,
        amount_fen,
        period_key: period_key.into(),
    }
}

pub(crate) fn admit(patient: Patient, atc: u32) -> v1::InpatientAdmitRequest {
    v1::InpatientAdmitRequest {
        header: Some(header(HOSPITAL)),
        presentation: Some(shown(patient, atc, 0, 0, 0x31)),
        holder_check: Some(holder_check()),
        admission_date: "2026-02-20".into(),
        kind: v1::admission_kind::Kind::Planned.into(),
        department: "01".into(),
        diagnosis: "A00".into(),
    }
}

/// Charge lines from number `first` on, each of ten units.
pub(crate) fn add_charges(stay_id: u64, first: u64, count: u64) -> v1::InpatientAddChargesRequest {
    let line = |number: u64| v1::ChargeLine {
        line_id: number.to_string(),
        item_code: "A1".into(),
        quantity: "10".into(),
        unit_price: "2500".into(),
        date: "2026-02-21".into(),
        ..v1::ChargeLine::default()
    };
    v1::InpatientAddChargesRequest {
        header: Some(header(HOSPITAL)),
        stay_id,
        lines: (first..first + count).map(line).collect(),
    }
}

/// What `count` of those lines cost.
pub(crate) fn cost_fen(count: u64) -> i64 {
    10 * UNIT_FEN * i64::try_from(count).expect("few lines")
}

pub(crate) fn discharge(stay_id: u64) -> v1::InpatientDischargeRequest {
    v1::InpatientDischargeRequest { header: Some(header(HOSPITAL)), stay_id, discharge_date: "2026-02-28".into() }
}

pub(crate) fn settle(
    patient: Patient,
    stay_id: u64,
    atc: u32,
    total_fen: i64,
    account_fen: i64,
) -> v1::InpatientSettleRequest {
    v1::InpatientSettleRequest {
        header: Some(header(HOSPITAL)),
        stay_id,
        total_fen,
        account_request_fen: account_fen,
        presentation: Some(shown(patient, atc, total_fen, account_fen, 0x00)),
        holder_check: Some(holder_check()),
        ..v1::InpatientSettleRequest::default()
    }
}

pub(crate) fn cancel_settlement(settlement_id: u64) -> v1::InpatientCancelSettlementRequest {
    v1::InpatientCancelSettlementRequest { header: Some(header(HOSPITAL)), settlement_id }
}

/// The day's account of the hospital.
pub(crate) fn day() -> v1::InpatientListSettlementsRequest {
    let page = Some(v1::Page { page_size: 500, page_token: String::new() });
    v1::InpatientListSettlementsRequest { day: date(), institution_code: String::new(), page }
}

/// What the hub says became of a request.
pub(crate) fn outcome(caller: &Caller<'_>, request_id: &str) -> v1::MessagesGetOutcomeResponse {
    let request = v1::MessagesGetOutcomeRequest { request_id: request_id.into() };
    caller.get(Operation::MessagesGetOutcome, &request)
}

pub(crate) fn status(caller: &Caller<'_>) -> Result<v1::OperationsStatusResponse, Reason> {
    caller.ask(Operation::OperationsStatus, &v1::OperationsStatusRequest::default())
}

/// A report of every card of a person, by certificate, at a desk; a formal loss never ends.
pub(crate) fn report_loss(patient: Patient, loss: v1::loss::Kind) -> v1::CardsReportLossRequest {
    let certificate = enrolment(patient.number).certificates.remove(0);
    v1::CardsReportLossRequest {
        header: Some(header(OFFICE)),
        subject: Some(v1::cards_report_loss_request::Subject::Certificate(certificate)),
        loss: loss.into(),
        channel: v1::channel::Kind::Desk.into(),
        verified_by: "clerk 7".into(),
        ..v1::CardsReportLossRequest::default()
    }
}

/// The card was found before anything happened.
pub(crate) fn withdraw_loss(card_id: u64) -> v1::CardsWithdrawLossRequest {
    v1::CardsWithdrawLossRequest {
        header: Some(header(OFFICE)),
        card_id,
        verified_by: "clerk 7".into(),
        ..v1::CardsWithdrawLossRequest::default()
    }
}

/// The books, which must be even.
pub(crate) fn trial_balance(office: &Caller<'_>) -> v1::OperationsTrialBalanceResponse {
    let books: v1::OperationsTrialBalanceResponse =
        office.get(Operation::OperationsTrialBalance, &v1::OperationsTrialBalanceRequest {});
    assert_eq!(books.sum_fen, 0);
    books
}

/// The chip of a patient signs today.
pub(crate) fn shown(patient: Patient, atc: u32, amount_fen: i64, other_amount_fen: i64, kind: u8) -> v1::Presentation {
    shown_on(NOW_MS, patient, atc, amount_fen, other_amount_fen, kind)
}

/// The chip of a patient signs at a moment.
pub(crate) fn shown_on(
    now_ms: i64,
    patient: Patient,
    atc: u32,
    amount_fen: i64,
    other_amount_fen: i64,
    kind: u8,
) -> v1::Presentation {
    let today = date_at(now_ms);
    let number = |digits: &str| digits.parse::<u16>().expect("digits");
    let (year, month, day) = (number(&today[..4]), number(&today[5..7]), number(&today[8..]));
    let two_digits = |number: u16| u8::try_from(number).expect("two digits");
    let signed_on = TransactionDate::new(year, two_digits(month), two_digits(day)).expect("a date");
    let (unpredictable_number, cvr) = ([1, 2, 3, 4], [3, 0, 0, 0]);
    let signed = SignedFields {
        amount_fen: amount_fen.unsigned_abs(),
        other_amount_fen: other_amount_fen.unsigned_abs(),
        terminal_country: 156,
        tvr: [0; 5],
        currency: 156,
        transaction_date: signed_on,
        transaction_type: kind,
        unpredictable_number,
        aip: [0x7C, 0],
        atc: u16::try_from(atc).expect("a counter"),
        cvr: Some(cvr),
    };
    let data = signed.encode().expect("what a chip signs");
    let cryptogram = sign(&Request {
        scheme: Scheme::PbocSm4,
        derivation: Derivation::default(),
        key: &issuer_key(),
        pan: Pan::new(&pan(patient.number)).expect("a PAN"),
        sequence_number: SequenceNumber::default(),
        atc: signed.atc,
        data: data.as_bytes(),
        cryptogram: medsettle_cryptogram::Cryptogram([0; 8]),
    });
    let chip = v1::Chip {
        pan: pan(patient.number),
        sequence_number: 0,
        card_sn: card_sn(patient.number),
        scheme: v1::chip::Scheme::PbocSm4.into(),
        key_index: 1,
        atc,
        amount_fen,
        other_amount_fen,
        terminal_country: 156,
        tvr: signed.tvr.to_vec(),
        currency: 156,
        transaction_date: today,
        transaction_type: kind.into(),
        unpredictable_number: unpredictable_number.to_vec(),
        aip: signed.aip.to_vec(),
        cvr: cvr.to_vec(),
        cryptogram: cryptogram.0.to_vec(),
    };
    v1::Presentation { credential: Some(Credential::Chip(chip)), terminal_id: "T1".into() }
}

pub(crate) fn holder_check() -> v1::HolderCheck {
    v1::HolderCheck { method: v1::holder_check::Method::Face.into(), ..v1::HolderCheck::default() }
}

fn pan(number: u64) -> String {
    format!("9156{number:015}")
}

fn card_sn(number: u64) -> String {
    format!("{number:032X}")
}

/// Deductible, pool with a cap, large-sum: as most cities have it.
pub(crate) fn policy() -> v1::BenefitPolicy {
    let layer = |fund: v1::fund::Kind, base: v1::layer_base::Kind, rate_bp, annual_cap_fen| v1::Layer {
        fund: fund.into(),
        base: base.into(),
        bands: vec![v1::Band { rate_bp, ..v1::Band::default() }],
        annual_cap_fen,
        ..v1::Layer::default()
    };
    v1::BenefitPolicy {
        region: PLACE.into(),
        insurance_type: v1::insurance_type::Kind::Employee.into(),
        visit_kind: v1::visit_kind::Kind::Inpatient.into(),
        effective_from: "2025-01-01".into(),
        deductibles: vec![v1::Deductible { amount_fen: 100_000, ..v1::Deductible::default() }],
        band_measure: v1::band_measure::Kind::AfterDeductible.into(),
        band_basis: v1::band_basis::Kind::Stay.into(),
        layers: vec![
            layer(v1::fund::Kind::Pool, v1::layer_base::Kind::EligibleAfterDeductible, 8_800, Some(60_000_000)),
            layer(v1::fund::Kind::LargeSum, v1::layer_base::Kind::Overflow, 9_000, None),
        ],
        unfiled: v1::unfiled::Kind::Refused.into(),
        cross_year: v1::cross_year::Kind::Whole.into(),
        on_cancel: v1::on_cancel::Kind::Keep.into(),
        ..v1::BenefitPolicy::default()
    }
}

pub(crate) fn catalogue() -> v1::Catalogue {
    let item = v1::CatalogueItem {
        code: "A1".into(),
        name: "bed".into(),
        class: v1::catalogue_item::Class::A.into(),
        ..v1::CatalogueItem::default()
    };
    v1::Catalogue {
        region: PLACE.into(),
        effective_from: "2025-01-01".into(),
        items: vec![item],
        ..v1::Catalogue::default()
    }
}

/// The id in the header of an encoded request.
pub(crate) fn id_of(header: Option<&v1::RequestHeader>) -> String {
    header.expect("a header").request_id.clone()
}

pub(crate) fn encode(message: &impl Message) -> Vec<u8> {
    message.encode_to_vec()
}
