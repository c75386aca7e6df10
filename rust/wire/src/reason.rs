//! What the catalog says about a reason: how a refusal travels and what to do about it.

use std::fmt;

use crate::contract::Reason;
pub use crate::v1::{retry::Kind as Retry, status::Code as Status};

/// A reason's line of the catalog.
#[derive(Debug)]
pub struct ReasonEntry {
    /// Such as `CARD_LOST`.
    pub name: &'static str,
    /// The gRPC status that carries it.
    pub status: Status,
    /// What the caller may do with the request.
    pub retry: Retry,
    /// Keys of the metadata that a refusal with this reason carries.
    pub metadata: &'static [&'static str],
    /// What the clerk should do.
    pub advice: &'static str,
    /// The same in Chinese.
    pub advice_zh: &'static str,
}

impl Reason {
    /// The number in the contract, never reused.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Such as `CARD_LOST`.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::reason::Code;

    #[test]
    fn the_catalog_names_every_reason_as_the_contract_does() {
        for reason in Reason::ALL {
            let code = Code::try_from(i32::try_from(reason.number()).unwrap()).unwrap();
            assert_eq!(code.as_str_name(), reason.name());
            assert_eq!(Reason::from_number(reason.number()), Some(reason));
        }
        assert_eq!(Reason::from_number(0), None);
    }

    #[test]
    fn a_malformed_request_is_an_invalid_argument_that_names_field_and_problem() {
        let entry = Reason::RequestMalformed.entry();
        assert_eq!((entry.status, entry.retry), (Status::InvalidArgument, Retry::Never));
        assert_eq!(entry.metadata, ["field", "problem"]);
    }
}
