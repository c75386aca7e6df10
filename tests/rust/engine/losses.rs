//! Lost cards by the engine's clock and by what is durable: from when on they are dead, and until when.

use std::sync::Arc;

use medsettle_core::card::TEMPORARY_LOSS_MS;
use medsettle_engine::Engine;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_wire::{Operation, Reason, v1};

use crate::caller::header;
use crate::process::{Process, Sync};
use crate::request::{self, Patient, encode};
use crate::support::{NOW_MS, Time, config, counted, hospital, office, open_process, open_with, until};
use crate::visits::{self, CLAIM_FEN};

const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// A hub whose clock the test turns, with one patient whose card is used for the first time.
struct Years {
    disk: SimulatedDisk,
    time: Time,
    now_ms: i64,
    engine: Engine,
    patient: Patient,
    atc: u32,
}

impl Years {
    fn begin() -> Self {
        let (disk, time) = (SimulatedDisk::new(), Time::at(NOW_MS));
        let engine = Self::open(&disk, &time);
        visits::furnish(&office(&engine));
        let patient = request::enroll(&office(&engine), 1);
        let mut years = Self { disk, time, now_ms: NOW_MS, engine, patient, atc: 0 };
        years.settle().expect("first use of a card that was collected");
        years
    }

    fn open(disk: &SimulatedDisk, time: &Time) -> Engine {
        open_with(Arc::new(Process::on(disk)), config(), time).expect("opened")
    }

    /// Close the hub and open it again, as at any moment of these days.
    fn reopen(self) -> Self {
        let Self { disk, time, now_ms, engine, patient, atc } = self;
        drop(engine);
        let engine = Self::open(&disk, &time);
        Self { disk, time, now_ms, engine, patient, atc }
    }

    fn pass(&mut self, ms: i64) {
        self.time.pass(ms);
        self.now_ms += ms;
    }

    fn header_now(&self, header: Option<v1::RequestHeader>) -> Option<v1::RequestHeader> {
        header.map(|header| v1::RequestHeader { created_ms: self.now_ms, ..header })
    }

    fn settle(&mut self) -> Result<v1::VisitsSettleResponse, Reason> {
        self.atc += 1;
        let mut visit = visits::claim(self.patient, self.atc, false);
        visit.header = self.header_now(visit.header);
        visit.visit_date = request::date_at(self.now_ms);
        visit.lines[0].date = request::date_at(self.now_ms);
        visit.presentation = Some(request::shown_on(self.now_ms, self.patient, self.atc, CLAIM_FEN, 0, 0x00));
        hospital(&self.engine).ask(Operation::VisitsSettle, &visit)
    }

    fn report(&mut self, loss: v1::loss::Kind) -> Result<v1::CardsReportLossResponse, Reason> {
        let mut report = request::report_loss(self.patient, loss);
        report.header = self.header_now(report.header);
        office(&self.engine).ask(Operation::CardsReportLoss, &report)
    }

    fn shown(&self) -> v1::card::State {
        let request = v1::CardsListRequest { person_id: self.patient.person, page: None };
        let cards: v1::CardsListResponse = office(&self.engine).get(Operation::CardsList, &request);
        let [card] = &cards.cards[..] else { panic!("{} cards", cards.cards.len()) };
        card.insurance_state()
    }
}

#[test]
fn f4_a_temporary_loss_refuses_until_its_last_second_and_ends_by_itself() {
    let mut hub = Years::begin();
    let reported = hub.report(v1::loss::Kind::Temporary).expect("reported");
    assert_eq!(reported.cards[0].insurance_lost_until_ms, NOW_MS + TEMPORARY_LOSS_MS);
    assert_eq!(hub.settle().err(), Some(Reason::CardLost));
    hub.pass(3 * DAY_MS);
    assert_eq!(hub.report(v1::loss::Kind::Temporary).err(), Some(Reason::CardLost), "it is not extended in silence");
    hub.pass(TEMPORARY_LOSS_MS - 3 * DAY_MS - SECOND_MS);
    assert_eq!((hub.settle().err(), hub.shown()), (Some(Reason::CardLost), v1::card::State::TempLost));
    let mut hub = hub.reopen();
    assert_eq!((hub.settle().err(), hub.shown()), (Some(Reason::CardLost), v1::card::State::TempLost));
    hub.pass(SECOND_MS);
    let mut hub = hub.reopen();
    assert_eq!(hub.shown(), v1::card::State::Enabled, "it is what it was before");
    assert!(hub.settle().is_ok());
}

#[test]
fn f4_a_formal_loss_never_ends() {
    let mut hub = Years::begin();
    hub.report(v1::loss::Kind::Temporary).expect("reported by telephone");
    hub.report(v1::loss::Kind::Formal).expect("and at a desk");
    for days in [7, 365, 3_650] {
        hub.pass(days * DAY_MS);
        assert_eq!((hub.settle().err(), hub.shown()), (Some(Reason::CardLost), v1::card::State::FormalLost));
        hub = hub.reopen();
    }
    assert_eq!((hub.settle().err(), hub.shown()), (Some(Reason::CardLost), v1::card::State::FormalLost));
}

#[test]
fn f3_a_report_is_acknowledged_only_when_it_is_durable_and_binds_before() {
    let process = Process::on(&SimulatedDisk::new());
    let engine = open_process(&process);
    visits::furnish(&office(&engine));
    let patient = request::enroll(&office(&engine), 1);
    let purchase = |atc| encode(&visits::claim(patient, atc, false));
    let (hospital, office) = (hospital(&engine), office(&engine));
    let decided = counted(&engine, "answered");
    process.set_sync(Sync::Held);
    let first = hospital.send(Operation::VisitsSettle.number(), purchase(1));
    process.until_held();
    let second = hospital.send(Operation::VisitsSettle.number(), purchase(2));
    let report = encode(&request::report_loss(patient, v1::loss::Kind::Formal));
    let report = office.send(Operation::CardsReportLoss.number(), report);
    let third = hospital.send(Operation::VisitsSettle.number(), purchase(3));
    until("all are decided", || counted(&engine, "answered") + counted(&engine, "refused") >= decided + 4);
    assert!([&first, &second, &report, &third].iter().all(|sent| !sent.is_answered()), "nothing of it is durable");
    process.set_sync(Sync::Works);
    let reported_at = header(&report.answer()).sequence;
    assert!([first, second].iter().all(|sent| header(&sent.answer()).sequence < reported_at));
    assert_eq!(third.read::<v1::VisitsSettleResponse>().err(), Some(Reason::CardLost));
}
