//! The state of a hub and its books as responses show them.

use medsettle_core::ids::RegionCode;
use medsettle_core::ledger::LedgerAccount;

use crate::append::append;
use crate::record::ledger_account;
use crate::v1;
pub use crate::v1::operations_status_response::State as HubState;

/// What `Operations.Status` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubStatus<'a> {
    /// What the hub does.
    pub state: HubState,
    /// Its number in the country.
    pub hub_number: u32,
    /// Number of the newest durable frame.
    pub frame_number: u64,
    /// Release that runs.
    pub version: &'a str,
    /// Persons it holds.
    pub persons: u64,
    /// Stays that wait for their settlement.
    pub open_stays: u64,
    /// Why it halted; empty otherwise.
    pub halt_reason: &'a str,
    /// Regions whose persons it decides.
    pub home_regions: &'a [RegionCode],
    /// Hash of the frame that holds the decision which the caller asked about; none where there is no such decision.
    pub seen_chain_hash: Option<[u8; 32]>,
}

/// Appends the response of `Operations.Status` without its header.
pub fn encode_status(status: &HubStatus<'_>, out: &mut Vec<u8>) {
    let response = v1::OperationsStatusResponse {
        header: None,
        state: status.state as i32,
        hub_number: status.hub_number,
        frame_number: status.frame_number,
        version: status.version.to_owned(),
        persons: status.persons,
        open_stays: status.open_stays,
        halt_reason: status.halt_reason.to_owned(),
        home_regions: status.home_regions.iter().map(ToString::to_string).collect(),
        seen_chain_hash: status.seen_chain_hash.map_or_else(Vec::new, |hash| hash.to_vec()),
    };
    append(&response, out);
}

/// Appends the response of `Operations.Digest` without its header.
pub fn encode_digest(digest: u128, out: &mut Vec<u8>) {
    append(&v1::OperationsDigestResponse { header: None, digest: digest.to_be_bytes().to_vec() }, out);
}

/// Appends the response of `Operations.Snapshot` without its header.
pub fn encode_snapshot(snapshot_sequence: u64, out: &mut Vec<u8>) {
    append(&v1::OperationsSnapshotResponse { header: None, snapshot_sequence }, out);
}

/// What one message of `Operations.TakeJournal` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalPage {
    /// Frames by their numbers, each with header and body.
    pub frames: Vec<(u64, Vec<u8>)>,
    /// Where the next page begins; 0 for the last.
    pub next_frame_number: u64,
    /// The newest durable frame.
    pub durable_frame_number: u64,
}

/// The response of `Operations.TakeJournal` with a page of the journal.
pub fn encode_journal_page(page: JournalPage) -> Vec<u8> {
    let frame = |(frame_number, content)| v1::JournalFrame { frame_number, content };
    let response = v1::OperationsTakeJournalResponse {
        frames: page.frames.into_iter().map(frame).collect(),
        next_from_frame_number: page.next_frame_number,
        durable_frame_number: page.durable_frame_number,
    };
    let mut bytes = Vec::new();
    append(&response, &mut bytes);
    bytes
}

/// What one message of `Operations.TakeSnapshot` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPage {
    /// The frame behind which the snapshot stands; 0 where there is none.
    pub frame_number: u64,
    /// Bytes of its file.
    pub content: Vec<u8>,
    /// Where the next page begins; 0 for the last.
    pub next_offset: u64,
    /// Length of the file.
    pub file_bytes: u64,
}

/// The response of `Operations.TakeSnapshot` with a page of the file.
pub fn encode_snapshot_page(page: SnapshotPage) -> Vec<u8> {
    let SnapshotPage { frame_number, content, next_offset, file_bytes } = page;
    let response =
        v1::OperationsTakeSnapshotResponse { frame_number, content, next_from_offset: next_offset, file_bytes };
    let mut bytes = Vec::new();
    append(&response, &mut bytes);
    bytes
}

pub(super) fn trial_balance(
    balances: &[(LedgerAccount, i128)],
    sum: i128,
    personal: i128,
) -> v1::OperationsTrialBalanceResponse {
    // 92 quadrillion yuan.
    let fen = |amount: i128| i64::try_from(amount).expect("the books of a country fit 64 bits");
    let row = |(account, balance): &(LedgerAccount, i128)| {
        let leg = ledger_account(*account);
        v1::LedgerBalance {
            account: leg.account,
            region: if leg.region == 0 { String::new() } else { format!("{:06}", leg.region) },
            fund: leg.fund,
            insurance_type: leg.insurance_type,
            institution_code: leg.institution_code,
            balance_fen: fen(*balance),
        }
    };
    v1::OperationsTrialBalanceResponse {
        header: None,
        balances: balances.iter().map(row).collect(),
        sum_fen: fen(sum),
        personal_balances_fen: fen(personal),
    }
}
