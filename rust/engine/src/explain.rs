//! Tells a settlement or an unwind from the journal alone, years later and without a hub.
//!
//! Invariant: nothing is changed and no lock is taken. A journal with damage is not told from: half a history would be another one.
//! Leaves out the words themselves (`medsettle_core::explain`). It folds the whole journal until records have an index on disk.

use std::panic::{AssertUnwindSafe, catch_unwind};

use medsettle_core::explain;
use medsettle_core::fact::Fact;
use medsettle_core::hub::Hub;
use medsettle_core::ids::{HubNumber, SettlementId, UnwindId};
use medsettle_core::records::{MemoryRecords, Records};
use medsettle_wire::record::{SCHEMA, decode_body};

use crate::error::{Finding, JournalError};
use crate::pipeline::panic_message;
use crate::recovery::Unusable;
use crate::storage::Storage;
use crate::verify::{self, Seen};

/// Why nothing could be told.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means")]
pub enum ExplainError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{0}")]
    Damaged(Finding),
}

/// The lines about a settlement or an unwind; nothing where the journal knows neither by this number.
pub fn explain(storage: &dyn Storage, id: u64) -> Result<Option<Vec<String>>, ExplainError> {
    // Whose journal it is makes no difference to what it says.
    let mut hub = Hub::new(HubNumber::new(1).expect("a number of a hub"), 0);
    let mut records = MemoryRecords::default();
    let mut operator: Box<str> = Box::default();
    let report = verify::inspect(storage, SCHEMA, &mut |seen| {
        let Seen::Frame(frame) = seen else { return Ok(()) };
        let stored = decode_body(frame.body, frame.header.stamp_ms).map_err(|error| Unusable(error.to_string()))?;
        for entry in stored {
            let folded = catch_unwind(AssertUnwindSafe(|| {
                records.observe(&entry.record, &hub);
                hub.apply(&entry.record);
            }));
            folded.map_err(|panic| Unusable(panic_message(&*panic)))?;
            if entry.record.facts.iter().any(|fact| matches!(fact, Fact::Unwound { unwind } if unwind.id.0 == id)) {
                operator = entry.record.operator;
            }
        }
        Ok(())
    })?;
    if let Some(finding) = report.findings.into_iter().next() {
        return Err(ExplainError::Damaged(finding));
    }
    if let Some(unwind) = records.unwind(UnwindId(id)) {
        return Ok(Some(explain::unwind(&unwind, &operator)));
    }
    Ok(records.settlement(SettlementId(id)).map(|standing| explain::text(&standing)))
}
