//! A small journal on a simulated disk, and what was acknowledged of it.

use std::sync::Arc;

use medsettle_engine::error::{Damage, Finding, JournalError};
use medsettle_engine::halt::Halt;
use medsettle_engine::journal::{Appended, Chain, Frame, HubId, JournalPort, LocalJournal};
use medsettle_engine::limits::MIN_SEGMENT_LEN;
use medsettle_engine::recovery::{self, OpenReport, Options};
use medsettle_engine::storage::Storage;
use medsettle_engine::storage::simulated::SimulatedDisk;

pub(crate) const HUB: HubId = HubId(31);
pub(crate) const SCHEMA: u32 = 3;

pub(crate) fn options() -> Options {
    Options { segment_len: MIN_SEGMENT_LEN, ..Options::new(HUB, SCHEMA) }
}

pub(crate) struct Session {
    pub(crate) journal: LocalJournal,
    pub(crate) chain: Chain,
    pub(crate) report: OpenReport,
    /// Bodies of the frames that opening found.
    pub(crate) found: Vec<Vec<u8>>,
}

pub(crate) fn open_with(storage: impl Storage + 'static, options: &Options) -> Result<Session, JournalError> {
    let mut found = Vec::new();
    let opened = recovery::open(Arc::new(storage), options, Halt::default(), &mut |frame| {
        found.push(frame.body.to_vec());
        Ok(())
    })?;
    Ok(Session { journal: opened.journal, chain: opened.chain, report: opened.report, found })
}

pub(crate) fn open(disk: &SimulatedDisk) -> Result<Session, JournalError> {
    open_with(disk.clone(), &options())
}

/// What opening refuses `disk` for.
pub(crate) fn refusal(disk: &SimulatedDisk) -> Finding {
    match open(disk) {
        Err(JournalError::Corrupt { finding, .. }) => *finding,
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(session) => panic!("opened, with {} frames", session.found.len()),
    }
}

pub(crate) fn damage(disk: &SimulatedDisk) -> Damage {
    refusal(disk).damage
}

impl Session {
    pub(crate) fn frame(&mut self, body: &[u8]) -> Frame {
        let durable_up_to = self.journal.tail().number;
        self.chain.business(1, 1_000, durable_up_to, body, Vec::new()).expect("the body fits")
    }

    pub(crate) fn append_frame(&mut self, frame: &Frame) -> Appended {
        self.journal.append(frame.header().epoch, frame.header().previous, frame)
    }

    pub(crate) fn append(&mut self, body: &[u8]) -> Appended {
        let frame = self.frame(body);
        self.append_frame(&frame)
    }
}

/// A body of `len` bytes that differs from those of other seeds and is nowhere zero.
pub(crate) fn body(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((seed * 31 + at * 7) % 255 + 1).expect("at most 255")).collect()
}

/// A disk with a closed journal that holds one frame per body, and the next segment prepared.
pub(crate) fn journal_of(bodies: &[Vec<u8>]) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let mut session = open(&disk).expect("a new journal opens");
    for body in bodies {
        assert_eq!(session.append(body), Appended::Durable);
    }
    wait_for_prepared(&disk);
    disk
}

/// Wait until the preparer has nothing to do. Closing a journal does not wait for it.
pub(crate) fn wait_for_prepared(disk: &SimulatedDisk) {
    let used = |name: &str| disk.content(name).expect("listed")[4096..].iter().any(|byte| *byte != 0);
    loop {
        let names = disk.list().expect("a simulated disk lists");
        let segments: Vec<_> = names.iter().filter(|name| name.ends_with(".journal")).collect();
        if segments.len() > 1 && !used(segments[segments.len() - 1]) {
            return;
        }
        std::thread::yield_now();
    }
}
