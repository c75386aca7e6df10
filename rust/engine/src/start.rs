//! A start: the newest sound snapshot, then the journal behind it, and the records index as far as both.
//!
//! Invariant: what a start gives does not depend on which snapshot it began with, or on whether there was one.
//! The table of what is taken stands at `Start` in `recovery`; here is what is passed over, and the line for the operator about it.

use std::sync::Arc;

use medsettle_core::hub::Hub;
use medsettle_core::rows::Restoring;

use crate::archive::JournalFiles;
use crate::config::Config;
use crate::engine::{OpenError, log};
use crate::error::JournalError;
use crate::halt::Halt;
use crate::index::{self, Index};
use crate::journal::Tail;
use crate::journal::segment::Label;
use crate::recovery::{Opened, Opening, Options, Replayed, Unusable};
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
        let mut opening = Opening::begin(Arc::new(JournalFiles::clone(files)), options)?;
        let identity = opening.identity();
        let mut index = index::Opening::new(*files, &config.index, halt.clone());
        let numbers = snapshot::numbers(*files).map_err(JournalError::io("listing", files.path_of("")))?;
        for number in numbers {
            let unfit = match self.restored(&identity, number, &mut index)? {
                Err(unfit) => unfit,
                Ok((hub, tail)) => match replay(opening, Some(tail), hub, &mut index, halt)? {
                    (Replayed::Open(opened), hub) => return finish(*opened, hub, index, identity),
                    (Replayed::OtherHistory(again), _) => {
                        opening = *again;
                        Unfit::OtherHistory(number)
                    }
                },
            };
            log(&Passed { path: files.path_of(&snapshot::name_of(number)), unfit }.to_string());
        }
        let hub = Hub::new(config.hub, self.seed);
        match replay(opening, None, hub, &mut index, halt)? {
            (Replayed::Open(opened), hub) => finish(*opened, hub, index, identity),
            (Replayed::OtherHistory(_), _) => unreachable!("without a snapshot there is nothing to differ from"),
        }
    }

    /// The hub of a snapshot, or why it is passed over.
    fn restored(
        &self,
        identity: &Label,
        number: u64,
        index: &mut index::Opening<'_>,
    ) -> Result<Result<(Hub, Tail), Unfit>, OpenError> {
        let mut restoring = Restoring::new(self.config.hub, self.seed);
        let read = snapshot::read(self.files, identity.directory, identity.hub, number, &mut |row| restoring.add(row));
        let (head, hub) = match read.and_then(|head| Ok((head, restoring.finish()?))) {
            Ok(restored) => restored,
            Err(unfit) => return Ok(Err(unfit)),
        };
        let found = index.found()?;
        if found < head.tail.last_sequence {
            return Ok(Err(Unfit::IndexBehind { found, sequence: head.tail.last_sequence }));
        }
        index.compare_at(&head.tail)?;
        Ok(Ok((hub, head.tail)))
    }
}

fn replay(
    opening: Opening,
    after: Option<Tail>,
    mut hub: Hub,
    index: &mut index::Opening<'_>,
    halt: &Halt,
) -> Result<(Replayed, Hub), OpenError> {
    let replayed =
        opening.replay(after, halt.clone(), &mut |frame| -> Result<(), Unusable> { index.take_frame(frame, &mut hub) });
    match index.failure() {
        Some(failure) => Err(failure),
        None => Ok((replayed?, hub)),
    }
}

fn finish(opened: Opened, hub: Hub, index: index::Opening<'_>, identity: Label) -> Result<Started, OpenError> {
    let index = index.finish(identity.directory, &opened.report.tail)?;
    Ok(Started { opened, hub, index, identity })
}
