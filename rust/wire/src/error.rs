//! What is wrong with the bytes or fields of a request.

use std::borrow::Cow;

/// A request that does not follow the contract, whatever the state of the hub: the refusal `REQUEST_MALFORMED`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}", if field.is_empty() { "the request" } else { field })]
pub struct DecodeError {
    /// Path in proto names with indexes, such as `presentation.chip.atc` or `lines[3].quantity`; empty for the request itself.
    pub field: String,
    /// Completes the sentence that begins with the field, such as `is not UTF-8`.
    pub problem: Cow<'static, str>,
}

impl DecodeError {
    /// A problem of the message that is being looked at, to be placed by [`inside`](Self::inside) on the way out.
    pub fn here(problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field: String::new(), problem: problem.into() }
    }

    /// A problem of a field of the message that is being looked at.
    pub fn at(field: impl Into<String>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// Places the problem inside a field of the message around it; `index` where that field is repeated.
    #[must_use]
    pub fn inside(self, name: &str, index: Option<usize>) -> Self {
        let mut field = match index {
            Some(index) => format!("{name}[{index}]"),
            None => name.to_owned(),
        };
        if !self.field.is_empty() {
            field.push('.');
            field.push_str(&self.field);
        }
        Self { field, problem: self.problem }
    }
}

/// A batch that is refused as a whole, because its commands cannot be told apart or are too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The message around the commands does not follow the contract.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// More than [`MAX_COMMANDS`](crate::MAX_COMMANDS).
    #[error("{size} commands, at most {limit} are taken", limit = crate::MAX_COMMANDS)]
    TooLarge {
        /// How many commands the message holds.
        size: usize,
    },
}
