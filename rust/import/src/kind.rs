//! What a row of each kind asks of the hub, step by step, and what its answers mean.
//!
//! Invariant: what a row wants is decided by ordinary commands of the contract; nothing here knows how the hub decides.
//! Invariant: a row is asked for again from its first step after a crash; the ids of its requests are the same then.

mod accounts;
mod accumulators;
mod cards;
mod filings;
mod holder;
mod of_person;
mod persons;

use medsettle_wire::v1;
use medsettle_wire::{Reason, v1::command_result::Result as Answered};

use self::of_person::OfPerson;
use crate::columns::Kind;
use crate::fault::Fault;
use crate::header::Header;
use crate::message::Message;
use crate::rows::Cells;

/// How far a row is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    /// Which step is next, or is being answered; each kind numbers its own.
    pub(crate) step: u8,
    /// The person, once known.
    pub(crate) person: u64,
    /// The card or the filing, once known.
    pub(crate) thing: u64,
    /// The hub knew the thing before this row was asked for.
    pub(crate) found: bool,
    /// Something that was asked for the row was not known before.
    pub(crate) fresh: bool,
    /// Rows of the same person wait for this one.
    pub(crate) holds: bool,
    /// Of the last decision about the row.
    pub(crate) sequence: u64,
}

/// What is next for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another step.
    Ask,
    /// The row is in the hub: by this import, or before.
    Done,
}

/// A kind of file under a header.
pub(crate) trait Rules: Send + Sync {
    /// Append the commands of a row's next step.
    fn ask(&self, cells: &Cells<'_>, state: &State, message: &mut Message<'_>) -> Result<(), Fault>;

    /// Take in the results of these commands.
    fn take(&self, cells: &Cells<'_>, state: &mut State, results: Vec<Answered>) -> Result<Next, Fault>;

    /// Append every command that the row may come to, as if the hub had named person and card: what is malformed shows before anything is
    /// asked.
    fn rehearse(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault>;

    /// The column at fault where the hub names a field of a request.
    fn column(&self, field: &str) -> String {
        field.to_owned()
    }

    /// Whether rows of one person wait for each other from this step on.
    fn is_exclusive(&self, _state: &State) -> bool {
        false
    }

    /// Whether a row that is malformed in a later step would leave something behind, so that it is rehearsed before its first.
    fn is_rehearsed(&self) -> bool {
        false
    }
}

/// The rules of a kind.
pub(crate) fn rules(kind: Kind, header: &Header) -> Box<dyn Rules> {
    match kind {
        Kind::Persons => Box::new(persons::Persons::new(header)),
        Kind::Cards => Box::new(cards::Cards::new(header)),
        Kind::Accounts => Box::new(OfPerson::new(header, accounts::Credit::new(header))),
        Kind::Accumulators => Box::new(OfPerson::new(header, accumulators::Opening::new(header))),
        Kind::Filings => Box::new(filings::Filings::new(header)),
    }
}

/// An accepted result, or the refusal.
pub(crate) fn accepted(result: Answered) -> Result<Answered, Refusal> {
    match result {
        Answered::Refusal(refusal) => Err(Refusal(refusal)),
        accepted => Ok(accepted),
    }
}

/// A refusal of one command.
pub(crate) struct Refusal(v1::Refusal);

impl Refusal {
    pub(crate) fn is(&self, reason: Reason) -> bool {
        u32::try_from(self.0.reason).is_ok_and(|number| number == reason.number())
    }

    /// A value that the refusal carries.
    pub(crate) fn value(&self, key: &str) -> &str {
        self.0.metadata.get(key).map_or("", String::as_str)
    }

    /// As the row's fault; `rules` names the column.
    pub(crate) fn fault(&self, rules: &dyn Rules) -> Fault {
        let known = u32::try_from(self.0.reason).ok().and_then(Reason::from_number);
        let field = self.0.metadata.get("field").map_or_else(String::new, |field| rules.column(field));
        let mut rest: Vec<_> = self.0.metadata.iter().filter(|(key, _)| *key != "field").collect();
        rest.sort();
        let detail = match rest[..] {
            [(key, problem)] if key == "problem" => problem.clone(),
            _ => rest.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", "),
        };
        let reason = known.map_or("UNSPECIFIED", Reason::name);
        Fault { field: field.into(), reason, detail: detail.into() }
    }
}

/// The results of a step that asked for exactly one thing.
pub(crate) fn only(results: Vec<Answered>) -> Answered {
    let mut results = results.into_iter();
    let only = results.next().expect("the session hands over as many results as commands");
    debug_assert!(results.next().is_none());
    only
}

/// A fault that stands for an answer of another operation than was asked for.
pub(crate) fn unexpected() -> Fault {
    Fault { field: "".into(), reason: "INTERNAL", detail: "the hub answered something else".into() }
}
