//! The journal as witness: what stands in it, compared with what callers asked and were answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use medsettle_engine::archive::JournalFiles;
use medsettle_engine::halt::Halt;
use medsettle_engine::journal::HubId;
use medsettle_engine::recovery::{self, Options};
use medsettle_engine::storage::Storage;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_wire::record::{SCHEMA, StoredRecord, decode_body};
use medsettle_wire::{Operation, v1};

use crate::caller::header;
use crate::request;
use crate::support::{config, office, open_on};

/// A frame of a closed journal.
pub(crate) struct Frame {
    pub(crate) hash: [u8; 32],
    pub(crate) stamp_ms: i64,
    pub(crate) records: Vec<StoredRecord>,
    pub(crate) body_len: usize,
}

impl Frame {
    pub(crate) fn holds(&self, sequence: u64) -> bool {
        self.records.iter().any(|stored| stored.record.sequence == sequence)
    }
}

/// Every frame of a journal that nobody has open.
pub(crate) fn frames(storage: Arc<dyn Storage>) -> Vec<Frame> {
    frames_of(JournalFiles::in_one(storage))
}

/// The same of a journal with its archive.
pub(crate) fn frames_of(files: JournalFiles) -> Vec<Frame> {
    let mut frames = Vec::new();
    let options = Options::new(HubId(config().hub.get().into()), SCHEMA);
    recovery::open(Arc::new(files), &options, Halt::default(), &mut |frame| {
        let stamp_ms = frame.header.stamp_ms;
        let records = decode_body(frame.body, stamp_ms).expect("readable records");
        frames.push(Frame { hash: frame.hash.0, stamp_ms, records, body_len: frame.body.len() });
        Ok(())
    })
    .expect("a journal that opens");
    frames
}

/// Sequences of all records by request id; no id stands there twice.
pub(crate) fn sequences(frames: &[Frame]) -> BTreeMap<String, u64> {
    let mut sequences = BTreeMap::new();
    for StoredRecord { record, .. } in frames.iter().flat_map(|frame| &frame.records) {
        let id = record.request_id.as_str().to_owned();
        let twice = sequences.insert(id, record.sequence);
        assert_eq!(twice, None, "{:?} stands in the journal twice", record.request_id);
    }
    sequences
}

/// Sequences of all records by institution and request id; no id stands there twice.
pub(crate) fn sequences_by_institution(frames: &[Frame]) -> BTreeMap<(String, String), u64> {
    let mut sequences = BTreeMap::new();
    for StoredRecord { record, .. } in frames.iter().flat_map(|frame| &frame.records) {
        let key = (record.institution.as_str().to_owned(), record.request_id.as_str().to_owned());
        let twice = sequences.insert(key, record.sequence);
        assert_eq!(twice, None, "{:?} stands in the journal twice", record.request_id);
    }
    sequences
}

/// A request between two readings of a clock that all callers share.
struct Interval {
    id: String,
    invoked: u64,
    returned: u64,
    sequence: u64,
}

#[test]
fn what_was_answered_before_another_was_asked_stands_before_it() {
    const CALLERS: u64 = 6;
    const CALLS: u64 = 60;
    let disk = SimulatedDisk::new();
    let engine = open_on(&disk);
    request::furnish(&office(&engine));
    let person = request::enroll(&office(&engine), 1).person;
    let clock = AtomicU64::new(0);
    let call = |caller: u64, number: u64| {
        // Every third request is asked twice at once, as after a lost reply.
        let credit = request::credit(person, 1, &format!("{caller}-{number}"));
        let office = office(&engine);
        let invoked = clock.fetch_add(1, SeqCst);
        let sent = office.send(Operation::AccountsCredit.number(), request::encode(&credit));
        let again =
            number.is_multiple_of(3).then(|| office.send(Operation::AccountsCredit.number(), request::encode(&credit)));
        let sequence = header(&sent.answer()).sequence;
        let returned = clock.fetch_add(1, SeqCst);
        if let Some(again) = again {
            let again = header(&again.answer());
            assert_eq!((again.sequence, again.replayed), (sequence, true));
        }
        Interval { id: request::id_of(credit.header.as_ref()), invoked, returned, sequence }
    };
    let intervals: Vec<Interval> = thread::scope(|scope| {
        let call = &call;
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| scope.spawn(move || (0..CALLS).map(|n| call(caller, n)).collect::<Vec<_>>()))
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller that ends")).collect()
    });
    let balance: v1::AccountsGetResponse =
        office(&engine).get(Operation::AccountsGet, &v1::AccountsGetRequest { person_id: person });
    assert_eq!(balance.accounts[0].balance_fen, 500_000 + i64::try_from(CALLERS * CALLS).expect("few"));
    engine.close();

    let frames = frames(Arc::new(disk));
    assert!(frames.iter().any(|frame| frame.records.len() > 1), "callers shared frames");
    let sequences = sequences(&frames);
    for one in &intervals {
        assert_eq!(sequences.get(&one.id), Some(&one.sequence));
        for other in &intervals {
            assert!(one.returned > other.invoked || one.sequence < other.sequence, "{} and {}", one.id, other.id);
        }
    }
}
