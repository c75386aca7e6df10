//! From the bytes of a request to what the core understands.
//!
//! Invariant: a request that leaves here is well formed in every field; what is not is refused with the field's path.
//! Invariant: two requests are the same exactly when their digests are: operation and content without operator and time.
//! Leaves out: who may ask (`rights`), and what fields mean together (the core).

#![expect(
    clippy::needless_pass_by_value,
    reason = "each conversion takes its message over, whether it has texts to move or not"
)]

mod accounts;
mod alerts;
mod batch;
mod cards;
mod fraud;
mod inpatient;
mod operations;
mod packages;
mod persons;
mod pin;
mod presentation;
mod token;
mod visits;

pub use batch::{BatchItem, split_batch};
pub use pin::Pin;
pub use presentation::{CryptogramCheck, MadeKey, Proof};
pub use token::TokenCheck;

use self::pin::WithPin;
use medsettle_core::command::{Command, Page, Query, Request, RequestHeader};
use medsettle_core::ids::{Hash32, InstitutionCode, PersonId};

use crate::append::append;
use crate::contract::Operation;
use crate::convert::{Checked, Fault, at, id, institution_code, name, region, request_id};
use crate::error::DecodeError;
use crate::limits::{DEFAULT_PAGE_SIZE, MAX_ACTOR, MAX_PAGE_SIZE, MAX_REQUEST_BYTES};
use crate::refused::Refused;
use crate::schema::Schema;
use crate::{strict, v1};

/// A request that is well formed.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// For the rules.
    Core {
        /// What is asked.
        request: Request,
        /// What "the same request" means; all zero for a query, which is bound to no id.
        digest: Hash32,
        /// What is to be verified before the decision.
        proof: Option<Proof>,
    },
    /// For the engine itself.
    Engine(EngineRequest),
}

/// What the engine answers without the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineRequest {
    /// `Operations.Status`.
    Status {
        /// A decision that the caller was told of; 0 for none.
        seen_sequence: u64,
    },
    /// `Operations.ConfirmClock`.
    ConfirmClock(RequestHeader),
    /// `Operations.Snapshot`.
    Snapshot(RequestHeader),
    /// `Operations.Digest`.
    Digest,
    /// One message of `Operations.TakeJournal`.
    TakeJournal {
        /// The first frame wanted.
        from_frame_number: u64,
    },
    /// One message of `Operations.TakeSnapshot`.
    TakeSnapshot {
        /// The newest frame that the caller has.
        last_frame_number: u64,
        /// The first byte of the file that is wanted.
        from_offset: u64,
    },
}

/// Decodes the request of an operation.
pub fn decode(operation: Operation, bytes: &[u8]) -> Result<Decoded, Refused> {
    if bytes.len() > MAX_REQUEST_BYTES {
        return Err(Refused::too_large(MAX_REQUEST_BYTES, bytes.len()));
    }
    match operation {
        Operation::PersonsEnroll => command(operation, bytes, persons::enroll),
        Operation::PersonsUpdate => command(operation, bytes, persons::update),
        Operation::PersonsTransferRegion => command(operation, bytes, persons::transfer_region),
        Operation::PersonsSuspendNetwork => command(operation, bytes, persons::suspend),
        Operation::PersonsGet => query(bytes, persons::get),
        Operation::PersonsCheckEligibility => query(bytes, persons::check_eligibility),
        Operation::CardsApply => command(operation, bytes, cards::apply),
        Operation::CardsFailApplication => command(operation, bytes, cards::fail_application),
        Operation::CardsMarkMade => command(operation, bytes, cards::mark_made),
        Operation::CardsHandOver => command(operation, bytes, cards::hand_over),
        Operation::CardsEnable => command(operation, bytes, cards::enable),
        Operation::CardsReportLoss => command(operation, bytes, cards::report_loss),
        Operation::CardsWithdrawLoss => command(operation, bytes, cards::withdraw_loss),
        Operation::CardsReplace => command(operation, bytes, cards::replace),
        Operation::CardsUnlock => command(operation, bytes, cards::unlock),
        Operation::CardsRetireGeneration => command(operation, bytes, cards::retire_generation),
        Operation::CardsSetPin => with_pin(operation, bytes, cards::set_pin),
        Operation::CardsVerifyPin => with_pin(operation, bytes, cards::verify_pin),
        Operation::CardsCancel => command(operation, bytes, cards::cancel),
        Operation::CardsAuthorizeStay => command(operation, bytes, cards::authorize_stay),
        Operation::CardsGet => query(bytes, cards::get),
        Operation::CardsCountByState => query(bytes, cards::count_by_state),
        Operation::CardsList => query(bytes, cards::list),
        Operation::AccountsCredit => command(operation, bytes, accounts::credit),
        Operation::AccountsOpenYear => command(operation, bytes, accounts::open_year),
        Operation::AccountsTopUp => command(operation, bytes, accounts::top_up),
        Operation::AccountsPayOut => command(operation, bytes, accounts::pay_out),
        Operation::AccountsPurchase => with_pin(operation, bytes, accounts::purchase),
        Operation::AccountsLinkFamily => command(operation, bytes, accounts::link_family),
        Operation::AccountsUnlinkFamily => command(operation, bytes, accounts::unlink_family),
        Operation::AccountsGet => query(bytes, accounts::get),
        Operation::AccountsStatement => query(bytes, accounts::statement),
        Operation::AccountsGetAccumulators => query(bytes, accounts::get_accumulators),
        Operation::FilingsFile => command(operation, bytes, persons::file),
        Operation::FilingsWithdraw => command(operation, bytes, persons::withdraw_filing),
        Operation::FilingsList => query(bytes, persons::list_filings),
        Operation::PackagesInstallPolicy => install(operation, bytes, packages::install_policy),
        Operation::PackagesInstallCatalogue => install(operation, bytes, packages::install_catalogue),
        Operation::PackagesInstallRegions => install(operation, bytes, packages::install_regions),
        Operation::PackagesInstallAlertRules => install(operation, bytes, packages::install_alert_rules),
        Operation::PackagesGet => query(bytes, packages::get),
        Operation::PackagesList => query(bytes, packages::list),
        Operation::InstitutionsRegister => command(operation, bytes, packages::register_institution),
        Operation::InstitutionsSuspend => command(operation, bytes, packages::suspend_institution),
        Operation::InstitutionsResume => command(operation, bytes, packages::resume_institution),
        Operation::InstitutionsGet => query(bytes, packages::get_institution),
        Operation::InpatientAdmit => command(operation, bytes, inpatient::admit),
        Operation::InpatientUpdateStay => command(operation, bytes, inpatient::update_stay),
        Operation::InpatientAddCharges => command(operation, bytes, inpatient::add_charges),
        Operation::InpatientRevokeCharges => command(operation, bytes, inpatient::revoke_charges),
        Operation::InpatientDischarge => command(operation, bytes, inpatient::discharge),
        Operation::InpatientCancelDischarge => command(operation, bytes, inpatient::cancel_discharge),
        Operation::InpatientCancelAdmission => command(operation, bytes, inpatient::cancel_admission),
        Operation::InpatientQuote => query(bytes, inpatient::quote),
        Operation::InpatientSettle => command(operation, bytes, inpatient::settle),
        Operation::InpatientCancelSettlement => command(operation, bytes, inpatient::cancel_settlement),
        Operation::InpatientGetStay => query(bytes, inpatient::get_stay),
        Operation::InpatientGetSettlement => query(bytes, inpatient::get_settlement),
        Operation::InpatientListStays => query(bytes, inpatient::list_stays),
        Operation::InpatientListSettlements => query(bytes, inpatient::list_settlements),
        Operation::InpatientExplain => query(bytes, inpatient::explain),
        Operation::VisitsQuote => query(bytes, visits::quote),
        Operation::VisitsSettle => command(operation, bytes, visits::settle),
        Operation::VisitsCancel => command(operation, bytes, visits::cancel),
        Operation::FraudListAlerts => query(bytes, alerts::list),
        Operation::FraudAcknowledgeAlert => command(operation, bytes, alerts::acknowledge),
        Operation::MessagesGetOutcome => query(bytes, inpatient::get_outcome),
        Operation::MessagesReverse => command(operation, bytes, inpatient::reverse),
        Operation::FraudPreviewUnwind => query(bytes, fraud::preview),
        Operation::FraudUnwind => command(operation, bytes, fraud::unwind),
        Operation::FraudListClaims => query(bytes, fraud::list_claims),
        Operation::OperationsTrialBalance => {
            query(bytes, |_: v1::OperationsTrialBalanceRequest| Ok(Query::TrialBalance))
        }
        Operation::OperationsStatus => operations::status(bytes),
        Operation::OperationsConfirmClock => operations::confirm_clock(bytes),
        Operation::OperationsSnapshot => operations::snapshot(bytes),
        Operation::OperationsDigest => operations::digest(bytes),
        Operation::OperationsTakeJournal => operations::take_journal(bytes),
        Operation::OperationsTakeSnapshot => operations::take_snapshot(bytes),
    }
}

/// A request that changes state.
trait Mutating: Schema {
    fn header_mut(&mut self) -> &mut Option<v1::RequestHeader>;
}

macro_rules! mutating {
    ($($message:ident)+) => { $(
        impl Mutating for v1::$message {
            fn header_mut(&mut self) -> &mut Option<v1::RequestHeader> {
                &mut self.header
            }
        }
    )+ };
}

mutating! {
    PersonsEnrollRequest PersonsUpdateRequest PersonsTransferRegionRequest PersonsSuspendNetworkRequest
    CardsApplyRequest CardsFailApplicationRequest CardsMarkMadeRequest CardsHandOverRequest CardsEnableRequest
    CardsReportLossRequest CardsWithdrawLossRequest CardsReplaceRequest CardsUnlockRequest CardsCancelRequest
    CardsRetireGenerationRequest CardsSetPinRequest CardsVerifyPinRequest CardsAuthorizeStayRequest
    AccountsCreditRequest AccountsTopUpRequest AccountsPurchaseRequest AccountsPayOutRequest AccountsOpenYearRequest
    AccountsLinkFamilyRequest AccountsUnlinkFamilyRequest
    FilingsFileRequest FilingsWithdrawRequest
    PackagesInstallPolicyRequest PackagesInstallCatalogueRequest PackagesInstallRegionsRequest
    PackagesInstallAlertRulesRequest
    InstitutionsRegisterRequest InstitutionsSuspendRequest InstitutionsResumeRequest
    InpatientAdmitRequest InpatientUpdateStayRequest InpatientAddChargesRequest InpatientRevokeChargesRequest
    InpatientDischargeRequest InpatientCancelDischargeRequest InpatientCancelAdmissionRequest
    InpatientSettleRequest InpatientCancelSettlementRequest
    VisitsSettleRequest VisitsCancelRequest
    FraudAcknowledgeAlertRequest
    MessagesReverseRequest
    FraudUnwindRequest
}

/// A command, with the proof of the credential that came with it.
struct Asked {
    command: Command,
    proof: Option<Proof>,
}

impl From<Command> for Asked {
    fn from(command: Command) -> Self {
        Self { command, proof: None }
    }
}

fn command<M: Mutating, A: Into<Asked>>(
    operation: Operation,
    bytes: &[u8],
    convert: impl FnOnce(M) -> Checked<A>,
) -> Result<Decoded, Refused> {
    install(operation, bytes, |message| convert(message).map_err(Refused::from))
}

/// A command whose conversion may refuse for more than a field: packages, which name all their faults.
fn install<M: Mutating, A: Into<Asked>>(
    operation: Operation,
    bytes: &[u8],
    convert: impl FnOnce(M) -> Result<A, Refused>,
) -> Result<Decoded, Refused> {
    asked(operation, strict::decode(bytes)?, bytes.len(), convert)
}

/// The PIN is taken out before anything is made of the request, so that not even its digest knows it.
fn with_pin<M: Mutating + WithPin>(
    operation: Operation,
    bytes: &[u8],
    convert: impl FnOnce(M) -> Checked<Command>,
) -> Result<Decoded, Refused> {
    let mut message: M = strict::decode(bytes)?;
    let proof = message.take_pin()?.map(Proof::Pin);
    asked(operation, message, bytes.len(), |message| Ok(Asked { command: convert(message)?, proof }))
}

fn asked<M: Mutating, A: Into<Asked>>(
    operation: Operation,
    mut message: M,
    length: usize,
    convert: impl FnOnce(M) -> Result<A, Refused>,
) -> Result<Decoded, Refused> {
    let header = message.header_mut().as_mut().ok_or_else(no_header)?;
    let operator = std::mem::take(&mut header.operator);
    let created_ms = std::mem::take(&mut header.created_ms);
    let digest = digest(operation, &message, length);
    let header = message.header_mut().take().ok_or_else(no_header)?;
    let header = at("header", self::header(v1::RequestHeader { operator, created_ms, ..header }))?;
    let Asked { command, proof } = convert(message)?.into();
    Ok(Decoded::Core { request: Request::Command(header, Box::new(command)), digest, proof })
}

fn query<M: Schema>(bytes: &[u8], convert: impl FnOnce(M) -> Checked<Query>) -> Result<Decoded, Refused> {
    let query = convert(strict::decode(bytes)?)?;
    Ok(Decoded::Core { request: Request::Query(query), digest: Hash32::default(), proof: None })
}

/// Over the operation's number and the message as prost writes it, whatever order and spelling the sender chose.
fn digest<M: prost::Message>(operation: Operation, message: &M, about: usize) -> Hash32 {
    let mut canonical = Vec::with_capacity(4 + about);
    canonical.extend_from_slice(&operation.number().to_be_bytes());
    append(message, &mut canonical);
    Hash32(*blake3::hash(&canonical).as_bytes())
}

fn no_header() -> DecodeError {
    DecodeError::at("header", "is missing")
}

fn header(message: v1::RequestHeader) -> Checked<RequestHeader> {
    if message.created_ms <= 0 {
        return Err(Fault::of("created_ms", "must be a time after 1970"));
    }
    if !message.insured_region.is_empty() {
        at("insured_region", region(&message.insured_region))?;
    }
    Ok(RequestHeader {
        request_id: at("request_id", request_id(&message.request_id))?,
        created_ms: message.created_ms,
        institution: at("institution_code", institution_code(&message.institution_code))?,
        operator: at("operator", name(message.operator, MAX_ACTOR))?,
    })
}

fn page(message: Option<v1::Page>) -> Checked<Page> {
    let v1::Page { page_size, page_token } = message.unwrap_or_default();
    let size = match page_size {
        0 => DEFAULT_PAGE_SIZE,
        size if size <= MAX_PAGE_SIZE => size,
        _ => return Err(Fault::of("page.page_size", "is more than 500")),
    };
    let after = Some(&page_token).filter(|token| !token.is_empty());
    let after = after.map(|token| token.parse().map_err(|_| Fault::of("page.page_token", "is of no listing")));
    Ok(Page { size: size as usize, after: after.transpose()? })
}

/// None where it does not restrict.
fn of_institution(text: &str) -> Checked<Option<InstitutionCode>> {
    let code = Some(text).filter(|text| !text.is_empty());
    at("institution_code", code.map(institution_code).transpose())
}

fn person(id: u64) -> Checked<PersonId> {
    at("person_id", self::id(id)).map(PersonId)
}

/// Who acted: must be named.
fn actor(field: &str, given: String) -> Checked<Box<str>> {
    at(field, if given.is_empty() { Err(Fault::here("is missing")) } else { name(given, MAX_ACTOR) })
}
