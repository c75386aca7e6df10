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
