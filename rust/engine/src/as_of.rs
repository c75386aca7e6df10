//! The state of a hub as it was, from the journal alone: facts are folded up to a moment, a sequence or the end, then the ordinary reads are asked.
//!
//! Invariant: nothing is changed and no lock is taken; a hub may be writing meanwhile.
//! Invariant: up to the place where it ends the journal is sound: a state of half a history would be another one.
//! Leaves out: what is decided today; only reads can be asked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use medsettle_core::command::{Reply, Request, Verdict};
use medsettle_core::hub::{Actor, Context, Decision, Hub};
use medsettle_core::ids::{Hash32, HubNumber, InstitutionCode};
use medsettle_core::pin::NoPin;
use medsettle_core::records::MemoryRecords;
use medsettle_wire::decode::{Decoded, decode};
use medsettle_wire::encode::{encode_header, encode_reply};
use medsettle_wire::record::{SCHEMA, decode_body};
use medsettle_wire::{Operation, Reason, Refused, Role, encode_refusal, refusal, rights};

use crate::error::{Finding, JournalError};
use crate::journal::FrameHash;
use crate::pipeline::panic_message;
use crate::recovery::Unusable;
use crate::reply::refused;
use crate::storage::Storage;
use crate::verify::{self, Objection, Seen};

/// Up to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// All that was decided at this moment or before, in milliseconds since 1970 UTC.
    Moment(i64),
    /// All up to the decision of this sequence.
    Sequence(u64),
    /// All that the journal holds.
    Newest,
}

/// Why there is no such state.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it means")]
pub enum PastError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{0}")]
    Damaged(Finding),
    #[error("the journal ends with sequence {last}; there is no sequence {wanted} yet")]
    NotYet { wanted: u64, last: u64 },
}

/// A hub as it was.
pub struct Past {
    hub: Hub,
    records: MemoryRecords,
    until: Until,
    stamp_ms: i64,
    hash: FrameHash,
}

impl Past {
    /// Fold the journal up to `until`; `progress` gets bytes done and in total.
    pub fn replay(storage: &dyn Storage, until: Until, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, PastError> {
        // Ids name the hub that gave them; whose journal it is makes no difference to what was decided.
        let hub = Hub::new(HubNumber::new(1).expect("a number of a hub"), 0);
        let records = MemoryRecords::default();
        let mut past = Self { hub, records, until, stamp_ms: 0, hash: FrameHash::default() };
        let mut damaged = false;
        let report = verify::inspect(storage, SCHEMA, &mut |seen| match seen {
            Seen::Frame(frame) => {
                if damaged || past.ends_before(frame.header.stamp_ms, frame.header.first_sequence) {
                    return Err(Objection::Enough);
                }
                let stamp_ms = frame.header.stamp_ms;
                let stored = decode_body(frame.body, stamp_ms).map_err(|error| Unusable(error.to_string()))?;
                for entry in stored {
                    if past.ends_before(stamp_ms, entry.record.sequence) {
                        return Err(Objection::Enough);
                    }
                    let folded = catch_unwind(AssertUnwindSafe(|| {
                        past.records.observe(&entry.record, &past.hub);
                        past.hub.apply(&entry.record);
                    }));
                    folded.map_err(|panic| Unusable(panic_message(&*panic)))?;
                    (past.stamp_ms, past.hash) = (stamp_ms, frame.hash);
                }
                Ok(())
            }
            Seen::Progress { done_bytes, total_bytes } => {
                progress(done_bytes, total_bytes);
                Ok(())
            }
            // What lies behind damage does not follow what lies before it, and must not be folded onto that.
            Seen::Finding(_) => {
                damaged = true;
                Ok(())
            }
            Seen::Torn(_) => Ok(()),
        })?;
        if let Some(finding) = report.findings.into_iter().next() {
            return Err(PastError::Damaged(finding));
        }
        match until {
            Until::Sequence(wanted) if wanted > past.hub.sequence() => {
                Err(PastError::NotYet { wanted, last: past.hub.sequence() })
            }
            _ => Ok(past),
        }
    }

    fn ends_before(&self, stamp_ms: i64, sequence: u64) -> bool {
        match self.until {
            Until::Moment(moment_ms) => stamp_ms > moment_ms,
            Until::Sequence(last) => sequence > last,
            Until::Newest => false,
        }
    }

    /// The last decision that is in it; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.hub.sequence()
    }

    /// When that was decided.
    pub fn stamp_ms(&self) -> i64 {
        self.stamp_ms
    }

    /// What a read was answered then, or would have been; an encoded response, or an encoded refusal.
    pub fn ask(&self, operation: u32, request: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        let operation = Operation::from_number(operation).ok_or_else(|| refused(Reason::MethodNotAvailable))?;
        let institution = InstitutionCode::parse("MEDSETTLECLI").expect("a code of an institution");
        let actor = Actor { institution, roles: 1 << Role::Operator as u32 | 1 << Role::Auditor as u32 };
        if !rights::holds_one_of(actor.roles, operation) {
            return Err(encode_refusal(&Refused::role_forbidden(operation)));
        }
        let decoded = decode(operation, request).map_err(|refused| encode_refusal(&refused))?;
        let Decoded::Core { request: request @ Request::Query(_), .. } = decoded else {
            return Err(encode_refusal(&Refused::not_available(operation)));
        };
        let context = Context {
            stamp_ms: match self.until {
                Until::Moment(moment_ms) => moment_ms,
                Until::Sequence(_) | Until::Newest => self.stamp_ms,
            },
            sequence: self.hub.sequence() + 1,
            actor,
            operation: operation.number(),
            digest: Hash32::default(),
            verdict: Verdict::NotPresented,
            pin: &NoPin,
            records: &self.records,
        };
        match self.hub.decide(&request, &context) {
            // A first answer is kept by the hub that gave it.
            Decision::Answer(Reply::Outcome { .. }) => Err(encode_refusal(&Refused::not_available(operation))),
            Decision::Answer(reply) => {
                let mut response = Vec::new();
                encode_header(self.hub.sequence(), &self.hash.0, self.stamp_ms, false, &mut response);
                encode_reply(operation, &reply, &mut response);
                Ok(response)
            }
            Decision::Refuse(reject) => Err(encode_refusal(&refusal(&reject).about(operation, &request))),
            Decision::Replay { .. } | Decision::Commit(..) | Decision::RefuseWith(..) => Err(refused(Reason::Internal)),
        }
    }
}
