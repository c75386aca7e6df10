//! Who may ask for what: the contract's table of roles, and that an institution acts only for itself.
//!
//! Invariant: every command, single, batched or embedded, passes here before it is decided.
//! Leaves out: whose person or stay a hospital may read; that depends on the state, and the core decides it.

use medsettle_core::command::{Request, RequestHeader};
use medsettle_core::hub::{Actor, role};
use medsettle_core::reject::Reject;

use crate::contract::Operation;
use crate::method::Role;

/// Checks the roles of the caller and in whose name a request is made.
pub fn check(operation: Operation, actor: &Actor, request: &Request) -> Result<(), Reject> {
    match request {
        Request::Command(header, _) => check_header(operation, actor, Some(header)),
        Request::Query(_) => check_header(operation, actor, None),
    }
}

/// The same for a request that the engine answers by itself; a read has no header.
pub fn check_header(operation: Operation, actor: &Actor, header: Option<&RequestHeader>) -> Result<(), Reject> {
    if !holds_one_of(actor.roles, operation) {
        return Err(Reject::RoleForbidden);
    }
    match header {
        // A hub forwards on behalf of the institution that the request names, where its role allows the operation.
        Some(header) if header.institution != actor.institution && !forwards(actor.roles, operation) => {
            Err(Reject::NotYourInstitution(header.institution))
        }
        _ => Ok(()),
    }
}

fn forwards(roles: u32, operation: Operation) -> bool {
    roles & role::HUB != 0 && operation.roles().contains(Role::Hub)
}

/// Whether one of the roles, bit n for number n, may ask for the operation.
pub fn holds_one_of(roles: u32, operation: Operation) -> bool {
    let held = (0..u32::BITS.cast_signed()).filter(|number| roles >> number & 1 == 1);
    held.filter_map(|number| Role::try_from(number).ok()).any(|role| operation.roles().contains(role))
}
