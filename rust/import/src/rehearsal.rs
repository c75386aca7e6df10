//! A row without a hub: whether everything that it may ask for is well formed, by the same decoder that a hub uses.
//!
//! Leaves out: whatever depends on what a hub knows (who is enrolled, which regions there are, what was credited).

use medsettle_core::command::{Command, Request};
use medsettle_core::person::Profile;
use medsettle_wire::decode::{Decoded, decode, split_batch};
use medsettle_wire::{Reason, Refused};

use crate::fault::Fault;
use crate::kind::Rules;
use crate::message::{Caller, Message};
use crate::rows::Cells;

/// What is wrong with a row, whatever the hub knows.
pub(crate) fn rehearse(rules: &dyn Rules, cells: &Cells<'_>) -> Result<(), Fault> {
    let caller = Caller { institution: "000000000000".to_owned(), operator: String::new() };
    let mut message = Message::new(&caller, 1);
    rules.rehearse(cells, &mut message)?;
    let bytes = message.into_bytes();
    let refused = |refused: &Refused| fault(rules, refused);
    for item in split_batch(&bytes).map_err(|error| refused(&error))? {
        let decoded =
            item.and_then(|(operation, request)| decode(operation, request)).map_err(|error| refused(&error))?;
        check_profile(rules, decoded)?;
    }
    Ok(())
}

/// What the fields of a person mean together is the core's to say.
fn check_profile(rules: &dyn Rules, decoded: Decoded) -> Result<(), Fault> {
    let Decoded::Core { request: Request::Command(_, command), .. } = decoded else { return Ok(()) };
    let Command::EnrollPerson { name, sex, birth_date, certificates, spells, entitlements } = *command else {
        return Ok(());
    };
    let profile = Profile { name, sex, birth_date, certificates, spells, entitlements };
    profile.check().map_err(|(field, problem)| Fault::malformed(rules.column(&field), problem))
}

fn fault(rules: &dyn Rules, refused: &Refused) -> Fault {
    let value = |key: &str| refused.metadata.get(key).cloned().unwrap_or_default();
    let detail = match refused.reason {
        Reason::AmountTooLarge => format!("limit_fen={}", value("limit_fen")),
        _ => value("problem"),
    };
    Fault { field: rules.column(&value("field")).into(), reason: refused.reason.name(), detail: detail.into() }
}
