//! A loss report among settlements that are under way: its position in the journal decides, for ever.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use medsettle_core::fact::Fact;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::{Answer, Config, Engine};
use medsettle_wire::{Operation, Reason, v1};

use crate::caller::{as_first, header, reason};
use crate::request::{self, Patient, encode};
use crate::support::{NOW_MS, Time, config, hospital, office, open_with};
use crate::visits;
use crate::witness;

const SETTLEMENTS: usize = 100_000;
/// Of twenty settlements that many are made with the card that is reported: a chip counts to 65,534 and no further.
const OF_THE_VICTIM: usize = 13;
const BYSTANDERS: usize = 8;
const SENDERS: usize = 8;
/// So many of one sender wait for their answers at once; all together fill half of the engine's queue.
const IN_FLIGHT: usize = 256;

/// A settlement as it is sent.
struct Purchase {
    patient: Patient,
    id: String,
    request: Vec<u8>,
}

/// A settlement with its answer, by its place in the order of sending.
struct Sent {
    place: usize,
    answer: Answer,
}

/// In the order in which each chip counted.
fn purchases(victim: Patient, bystanders: &[Patient]) -> Vec<Purchase> {
    let mut counters = BTreeMap::<u64, u32>::new();
    let purchase = |place: usize| {
        let bystander = bystanders[place / 20 % bystanders.len()];
        let patient = if place % 20 < OF_THE_VICTIM { victim } else { bystander };
        let atc = counters.entry(patient.number).or_default();
        *atc += 1;
        let request = visits::claim(patient, *atc, false);
        Purchase { patient, id: request::id_of(request.header.as_ref()), request: encode(&request) }
    };
    (0..SETTLEMENTS).map(purchase).collect()
}

/// Send what no sender has sent yet, in order, many at once, until nothing is left.
fn send(engine: &Engine, purchases: &[Purchase], next: &Mutex<()>, sent: &AtomicUsize) -> Vec<Sent> {
    let hospital = hospital(engine);
    let (mut waiting, mut answered) = (VecDeque::new(), Vec::new());
    loop {
        // The chip's counter must arrive in order, so taking a place and sending it are one step.
        let step = next.lock().unwrap_or_else(PoisonError::into_inner);
        let place = sent.load(SeqCst);
        let Some(purchase) = purchases.get(place) else { break };
        waiting.push_back((place, hospital.send(Operation::VisitsSettle.number(), purchase.request.clone())));
        sent.store(place + 1, SeqCst);
        drop(step);
        if waiting.len() == IN_FLIGHT {
            let (place, oldest) = waiting.pop_front().expect("many");
            answered.push(Sent { place, answer: oldest.answer() });
        }
    }
    answered.extend(waiting.into_iter().map(|(place, waiting)| Sent { place, answer: waiting.answer() }));
    answered
}

/// A report with what had been sent when its acknowledgement was read.
struct Report {
    id: String,
    request: Vec<u8>,
    answer: Answer,
    sent_before: usize,
}

fn report(engine: &Engine, victim: Patient, sent: &AtomicUsize) -> Report {
    let request = request::report_loss(victim, v1::loss::Kind::Formal);
    let (id, request) = (request::id_of(request.header.as_ref()), encode(&request));
    while sent.load(SeqCst) < SETTLEMENTS / 2 {
        thread::yield_now();
    }
    let answer = office(engine).call(Operation::CardsReportLoss.number(), request.clone());
    Report { id, request, answer, sent_before: sent.load(SeqCst) }
}

fn open(storage: &Arc<DataDirectory>) -> Engine {
    let config = Config { segment_len: 16 << 20, ..config() };
    open_with(Arc::clone(storage) as _, config, &Time::at(NOW_MS)).expect("opened")
}

/// F3. Eight senders keep two thousand settlements under way without a pause, 65,000 of them with one card in the order of
/// its counter, the others with cards of other persons; when half is sent, a ninth caller reports the victim's cards by
/// certificate. Everything that can be under way then is: requests that wait, that are decided and not written, written and
/// not synced, synced and not answered. The position of the report in the journal must divide the settlements of that card
/// into those that committed and those that were refused `CARD_LOST`, with none on the wrong side; the others go on.
#[test]
fn f3_of_100_000_settlements_that_race_one_loss_report_none_commits_behind_it() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let storage = Arc::new(DataDirectory::create(directory.path().join("data")).expect("a data directory"));
    let engine = open(&storage);
    visits::furnish(&office(&engine));
    let victim = request::enroll(&office(&engine), 1);
    let bystanders: Vec<Patient> =
        (2..).take(BYSTANDERS).map(|number| request::enroll(&office(&engine), number)).collect();
    let books = request::trial_balance(&office(&engine)).personal_balances_fen;

    let purchases = purchases(victim, &bystanders);
    let (next, sent) = (Mutex::new(()), AtomicUsize::new(0));
    let (answers, report) = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(|| send(&engine, &purchases, &next, &sent))).collect();
        let reporter = scope.spawn(|| report(&engine, victim, &sent));
        let answers: Vec<Sent> =
            senders.into_iter().flat_map(|sender| sender.join().expect("a sender that ends")).collect();
        (answers, reporter.join().expect("a reporter that ends"))
    });
    assert_eq!(answers.len(), SETTLEMENTS);
    let reported_at = header(&report.answer).sequence;
    let mut committed = BTreeMap::new();
    let (mut refused, mut bystanders_after) = (0, 0);
    for Sent { place, answer } in &answers {
        let purchase = &purchases[*place];
        let is_victim = purchase.patient.number == victim.number;
        if answer.ok {
            let sequence = header(answer).sequence;
            committed.insert(purchase.id.clone(), sequence);
            assert!(!is_victim || sequence < reported_at, "{} committed behind the report", purchase.id);
            assert!(!is_victim || *place < report.sent_before, "{} was sent after the acknowledgement", purchase.id);
            bystanders_after += usize::from(sequence > reported_at);
        } else {
            assert_eq!((is_victim, reason(answer)), (true, Reason::CardLost));
            refused += 1;
        }
    }
    let raced = (10_000..50_000).contains(&refused) && bystanders_after > 1_000;
    assert!(raced, "no race: {refused} were refused and {bystanders_after} others committed behind the report");
    assert_eq!(request::trial_balance(&office(&engine)).personal_balances_fen, books, "a report moves no money");
    drop(engine);

    check_journal(&storage, victim, &report, committed);

    // What was decided stays decided, and the card stays dead, when all is known from the journal alone.
    let engine = open(&storage);
    let again = office(&engine).call(Operation::CardsReportLoss.number(), report.request);
    assert_eq!(as_first(&again), as_first(&report.answer));
    for Sent { place, answer } in answers.iter().step_by(97) {
        let again = hospital(&engine).call(Operation::VisitsSettle.number(), purchases[*place].request.clone());
        if answer.ok {
            assert_eq!(as_first(&again), as_first(answer));
        } else {
            assert_eq!(reason(&again), Reason::CardLost);
        }
    }
}

/// The journal says of itself what the callers were told: no settlement of that person stands behind the report.
fn check_journal(storage: &Arc<DataDirectory>, victim: Patient, report: &Report, mut committed: BTreeMap<String, u64>) {
    let frames = witness::frames(Arc::clone(storage) as _);
    let mut reported_at = None;
    for stored in frames.iter().flat_map(|frame| &frame.records) {
        let (id, sequence) = (stored.record.request_id.as_str(), stored.record.sequence);
        if id == report.id {
            assert!(stored.record.facts.iter().any(|fact| matches!(fact, Fact::CardReportedLost { .. })));
            reported_at = Some(sequence);
        }
        let settled = stored.record.facts.iter().find_map(|fact| match fact {
            Fact::Settled { settlement } => Some(settlement.person.0),
            _ => None,
        });
        if let Some(person) = settled {
            assert!(person != victim.person || reported_at.is_none(), "{id} stands behind the report");
            assert_eq!(committed.remove(id), Some(sequence), "{id}");
        }
    }
    assert_eq!(reported_at, Some(header(&report.answer).sequence));
    assert_eq!(committed, BTreeMap::new(), "acknowledged and not in the journal");
}
