//! A start: the newest sound snapshot, then the journal behind it, and the records index as far as both.
//!
//! Invariant: what a start gives does not depend on which snapshot it began with, or on whether there was one.
//! The table of what is taken stands at `Start` in `recovery`; here is what is passed over, and the line for the operator about it.

use std::mem;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::bounded;
use medsettle_core::hub::Hub;
use medsettle_core::rows::{ReadRow, Restoring, RowReader};
use medsettle_wire::record::StoredRecord;

use crate::ahead::{Folded, decoded_ahead, joined};
use crate::archive::JournalFiles;
use crate::config::Config;
use crate::engine::{OpenError, log};
use crate::error::JournalError;
use crate::halt::Halt;
use crate::index::{self, Index, decode};
use crate::journal::Tail;
use crate::journal::segment::Label;
use crate::limits::{ROWS_AHEAD, ROWS_HANDED_OVER};
use crate::recovery::{Opened, Opening, Options, Through, directory_of};
use crate::snapshot::{self, Passed, Unfit};
use crate::storage::Storage as _;

/// What a start begins with.
pub(crate) struct Starting<'a> {
    pub(crate) files: &'a JournalFiles,
    pub(crate) config: &'a Config,
    pub(crate) seed: u64,
}

/// What a start gives.
pub(crate) struct Started {
    pub(crate) opened: Opened,
    pub(crate) hub: Hub,
    pub(crate) index: Index,
    pub(crate) identity: Label,
}

impl Starting<'_> {
    pub(crate) fn start(&self, options: &Options, halt: &Halt) -> Result<Started, OpenError> {
        let Self { files, config, .. } = self;
        let opening = Opening::begin(Arc::new(JournalFiles::clone(files)), options)?;
        let identity = opening.identity();
        let mut index = index::Opening::begin(*files, &config.index, identity.directory, halt.clone())?;
        let numbers = snapshot::numbers(*files).map_err(JournalError::io("listing", files.path_of("")))?;
        let mut replayed = None;
        // What a sound snapshot stands behind was durable, whether or not a start can begin with it.
        let mut durable = 0;
        for number in numbers {
            let unfit = match self.restored(&identity, number, &mut index)? {
                Err(unfit) => {
                    if matches!(unfit, Unfit::IndexBehind { .. }) {
                        durable = durable.max(number);
                    }
                    unfit
                }
                Ok((hub, tail)) => match self.replay(&opening, Some(tail), hub, &mut index)? {
                    (Some(through), hub) => {
                        replayed = Some((through, hub));
                        break;
                    }
                    (None, _) => Unfit::OtherHistory(number),
                },
            };
            log(&Passed { path: files.path_of(&snapshot::name_of(number)), unfit }.to_string());
        }
        let (through, hub) = if let Some(replayed) = replayed {
            replayed
        } else {
            let (through, hub) = self.replay(&opening, None, Hub::new(config.hub, self.seed), &mut index)?;
            (through.expect("without a snapshot there is nothing to differ from"), hub)
        };
        through.reaches(*files, durable)?;
        let opened = opening.open(through, halt.clone())?;
        let index = index.finish(identity.directory, &opened.report.tail)?;
        Ok(Started { opened, hub, index, identity })
    }

    /// Fold what stands behind `after`. Nothing of the journal is changed yet.
    fn replay(
        &self,
        opening: &Opening,
        after: Option<Tail>,
        mut hub: Hub,
        index: &mut index::Opening<'_>,
    ) -> Result<(Option<Through>, Hub), JournalError> {
        let fold = |frame: &Folded, stored: &mut Vec<StoredRecord>| index.take_frame(frame, stored, &mut hub);
        let (walked, unusable) =
            decoded_ahead(decode, fold, |ahead| opening.walk(after, &mut |frame| ahead.give(frame)));
        match unusable {
            Some(finding) => {
                let directory = directory_of(self.files);
                Err(JournalError::Corrupt { finding: Box::new(finding), directory })
            }
            None => Ok((walked?, hub)),
        }
    }

    /// The hub of a snapshot, or why it is passed over. Rows are put into it on a thread of their own, while more are read.
    fn restored(
        &self,
        identity: &Label,
        number: u64,
        index: &mut index::Opening<'_>,
    ) -> Result<Result<(Hub, Tail), Unfit>, OpenError> {
        let (number_of_hub, seed) = (self.config.hub, self.seed);
        let (give, given) = bounded::<Vec<ReadRow>>(ROWS_AHEAD);
        let restored = thread::scope(|scope| {
            let restoring = scope.spawn(move || {
                let mut restoring = Restoring::new(number_of_hub, seed);
                given.into_iter().flatten().for_each(|row| restoring.put(row));
                restoring
            });
            let (mut reader, mut rows) = (RowReader::new(number_of_hub), Vec::with_capacity(ROWS_HANDED_OVER));
            let read = snapshot::read(self.files, identity.directory, identity.hub, number, &mut |row| {
                rows.extend(reader.read(row)?);
                if rows.len() == ROWS_HANDED_OVER {
                    // A thread that panicked is found out when it is joined.
                    let _ = give.send(mem::replace(&mut rows, Vec::with_capacity(ROWS_HANDED_OVER)));
                }
                Ok(())
            });
            let _ = give.send(rows);
            drop(give);
            let restoring = joined(restoring);
            read.and_then(|head| Ok((head, restoring.finish(reader.finish()?))))
        });
        let (head, hub) = match restored {
            Ok(restored) => restored,
            Err(unfit) => return Ok(Err(unfit)),
        };
        let found = index.found();
        if found < head.tail.last_sequence {
            return Ok(Err(Unfit::IndexBehind { found, sequence: head.tail.last_sequence }));
        }
        index.compare_at(&head.tail)?;
        Ok(Ok((hub, head.tail)))
    }
}
