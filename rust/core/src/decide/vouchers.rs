//! Vouchers: a desk lets a stay be settled without a card, where its patient died, lost the card during the stay, or holds a broken chip.
//!
//! Invariant: a voucher is good for its stay and for nothing else; a later one takes its place.
//! Invariant: it draws on accounts no more than the desk named.

use super::stays;
use crate::command::Reply;
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{StayId, VoucherId};
use crate::money::{Fen, MAX_AMOUNT};
use crate::reject::Reject;
use crate::stay::Voucher;

pub(crate) fn issue(
    hub: &Hub,
    stay: StayId,
    account_limit: Fen,
    cause: &str,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    if account_limit < Fen::ZERO {
        return Err(Reject::malformed("account_limit_fen", "must not be negative"));
    }
    if account_limit > MAX_AMOUNT {
        return Err(Reject::AmountTooLarge { field: "account_limit_fen".into() });
    }
    if !hub.stays.contains_key(stay) {
        let past = context.records.past_stay(stay);
        return Err(past.map_or(Reject::StayUnknown(stay), |past| stays::no_longer_open(&past)));
    }
    let voucher = Voucher { id: VoucherId(hub.number.id(context.sequence)), account_limit };
    Ok((vec![Fact::VoucherIssued { stay, voucher, cause: cause.into() }], Reply::VoucherIssued(voucher.id)))
}

#[cfg(test)]
mod tests;
