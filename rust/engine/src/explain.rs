//! Tells a settlement or an unwind from the journal alone, years later and without a hub.
//!
//! Invariant: nothing is changed and no lock is taken. A journal with damage is not told from: half a history would be another one.
//! Invariant: of the history only what belongs to the one settlement is kept, so memory does not grow with it.
//! Leaves out the words themselves (`medsettle_core::explain`).

use std::sync::Arc;

use medsettle_core::explain;
use medsettle_core::fact::{Fact, Record};
use medsettle_core::fraud::Unwind;
use medsettle_core::ids::{SettlementId, UnwindId};
use medsettle_core::settlement::{Adjustment, Standing};
use medsettle_wire::record::{SCHEMA, decode_body};

use crate::error::{Finding, JournalError};
use crate::recovery::{Unusable, directory_of};
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

/// The lines about a settlement or an unwind; a line that leads there from its cancellation; nothing where the journal
/// knows none of them by this number.
pub fn explain(storage: &dyn Storage, id: u64) -> Result<Option<Vec<String>>, ExplainError> {
    let mut told = Told { id, standing: None, unwind: None, cancels: None };
    let report = verify::inspect(storage, SCHEMA, &mut |seen| {
        let Seen::Frame(frame) = seen else { return Ok(()) };
        let stored = decode_body(frame.body, frame.header.stamp_ms).map_err(|error| Unusable(error.to_string()))?;
        for entry in stored {
            told.take(&entry.record);
        }
        Ok(())
    })?;
    if let Some(finding) = report.findings.into_iter().next() {
        return Err(ExplainError::Damaged(finding));
    }
    if let Some((unwind, operator)) = told.unwind {
        return Ok(Some(explain::unwind(&unwind, &operator)));
    }
    if let Some(settlement) = told.cancels {
        let directory = directory_of(storage);
        let told =
            format!("{id} cancels settlement {settlement}; all of it: medsettle explain {directory} {settlement}");
        return Ok(Some(vec![told]));
    }
    Ok(told.standing.map(|standing| explain::text(&standing)))
}

/// What the journal says of one number.
struct Told {
    id: u64,
    standing: Option<Standing>,
    /// With the operator who asked for it.
    unwind: Option<(Arc<Unwind>, Box<str>)>,
    /// The settlement that it cancels.
    cancels: Option<SettlementId>,
}

impl Told {
    fn take(&mut self, record: &Record) {
        for fact in &record.facts {
            match fact {
                Fact::Settled { settlement } if settlement.id.0 == self.id => {
                    self.standing = Some(Standing {
                        settlement: Arc::clone(settlement),
                        adjustments: Vec::new(),
                        cancelled_by: None,
                        unwound_by: None,
                        request_id: record.request_id.as_str().into(),
                    });
                }
                Fact::SettlementCancelled { cancellation, .. } => {
                    self.adjust(&cancellation.adjustments);
                    if cancellation.id.0 == self.id {
                        self.cancels = Some(cancellation.settlement.id);
                    }
                    self.note(cancellation.settlement.id, |standing| standing.cancelled_by = Some(cancellation.id));
                }
                Fact::Unwound { unwind } => {
                    self.adjust(&unwind.adjustments);
                    for reversal in &unwind.reversals {
                        self.note(reversal.settlement, |standing| standing.unwound_by = Some(unwind.id));
                    }
                    if unwind.id == UnwindId(self.id) {
                        self.unwind = Some((Arc::clone(unwind), record.operator.clone()));
                    }
                }
                _ => {}
            }
        }
    }

    fn adjust(&mut self, adjustments: &[Adjustment]) {
        for adjustment in adjustments {
            self.note(adjustment.settlement, |standing| standing.adjustments.push(adjustment.clone()));
        }
    }

    /// Note what happened to a settlement, if it is the one.
    fn note(&mut self, id: SettlementId, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.standing.as_mut().filter(|standing| standing.settlement.id == id) {
            change(standing);
        }
    }
}
