//! The holder's statement, page by page.
//!
//! Leaves out: what is an entry (`statement`), and where entries are kept (`records`).

use crate::command::Reply;
use crate::hub::{Context, Hub};
use crate::ids::PersonId;
use crate::reject::Reject;
use crate::statement::Range;

pub(crate) fn page(hub: &Hub, person: PersonId, range: Range, context: &Context<'_>) -> Result<Reply, Reject> {
    hub.person(person)?;
    if range.from.zip(range.to).is_some_and(|(from, to)| to < from) {
        return Err(Reject::malformed("to_date", "is before from_date"));
    }
    let (entries, more) = context.records.statement(person, range);
    let next = entries.last().map(|entry| entry.sequence).filter(|_| more);
    Ok(Reply::Statement { entries, next })
}

#[cfg(test)]
mod tests;
