//! What a journal tells of one number, without its hub.

use medsettle_engine::archive::JournalFiles;
use medsettle_engine::explain::explain;
use medsettle_engine::storage::DataDirectory;
use medsettle_wire::{Operation, v1};

use crate::request;
use crate::support::{hospital, office, open_in};

#[test]
fn the_number_of_a_cancellation_leads_to_its_settlement() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let data = scratch.path().join("data");
    let engine = open_in(&scratch);
    request::furnish(&office(&engine));
    let patient = request::enroll(&office(&engine), 1);
    let ward = hospital(&engine);
    let admitted: v1::InpatientAdmitResponse = ward.get(Operation::InpatientAdmit, &request::admit(patient, 1));
    let stay = admitted.stay_id;
    let _: v1::InpatientAddChargesResponse =
        ward.get(Operation::InpatientAddCharges, &request::add_charges(stay, 1, 3));
    let _: v1::InpatientDischargeResponse = ward.get(Operation::InpatientDischarge, &request::discharge(stay));
    let settle = request::settle(patient, stay, 2, request::cost_fen(3), 100_000);
    let settled: v1::InpatientSettleResponse = ward.get(Operation::InpatientSettle, &settle);
    let settlement = settled.settlement_id;
    let cancel = request::cancel_settlement(settlement);
    let cancelled: v1::InpatientCancelSettlementResponse = ward.get(Operation::InpatientCancelSettlement, &cancel);
    drop(engine);

    let cancellation = cancelled.cancellation_id;
    let files = JournalFiles::of(DataDirectory::existing(&data).expect("there")).expect("there");
    let told = |number| explain(&files, number).expect("it can be read");
    let data = data.display();
    let line =
        format!("{cancellation} cancels settlement {settlement}; all of it: medsettle explain {data} {settlement}");
    assert_eq!(told(cancellation), Some(vec![line]));
    let of_settlement = told(settlement).expect("a settlement").concat();
    assert!(of_settlement.contains(&format!("Cancelled by {cancellation}")), "{of_settlement}");
    assert_eq!(told(cancellation + 1_000), None);
}
