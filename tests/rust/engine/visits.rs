//! Claims that come at once: the limit of a year holds, whichever of them is first.

use std::sync::Barrier;
use std::thread;

use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_wire::{Operation, Role, v1};
use prost::Message;

use crate::caller::{Caller, Sent, header};
use crate::request::{self, Patient};
use crate::support::{HOSPITAL, OFFICE, hospital, office, open_on};

pub(crate) const PHARMACY: &str = "P37010500001";
pub(crate) const LIMIT_FEN: i64 = 550_000;
const USED_FEN: i64 = 545_000;
pub(crate) const CLAIM_FEN: i64 = 20_000;
const PATIENTS: u64 = 100;
const ROUNDS: u32 = 100;

/// Install what visits need: 55 % of everything eligible up to the limit, in both kinds of place.
pub(crate) fn furnish(office: &Caller<'_>) {
    request::furnish(office);
    for kind in [v1::visit_kind::Kind::Outpatient, v1::visit_kind::Kind::Pharmacy] {
        let layer = v1::Layer {
            fund: v1::fund::Kind::Pool.into(),
            base: v1::layer_base::Kind::EligibleAfterDeductible.into(),
            bands: vec![v1::Band { rate_bp: 5_500, ..v1::Band::default() }],
            annual_cap_fen: Some(LIMIT_FEN),
            ..v1::Layer::default()
        };
        let stays = request::policy();
        let policy =
            v1::BenefitPolicy { visit_kind: kind.into(), deductibles: Vec::new(), layers: vec![layer], ..stays };
        let request = v1::PackagesInstallPolicyRequest { header: Some(request::header(OFFICE)), policy: Some(policy) };
        office.get::<v1::PackagesInstallPolicyResponse>(Operation::PackagesInstallPolicy, &request);
    }
    let pharmacy = v1::Institution {
        institution_code: PHARMACY.into(),
        name: "first pharmacy".into(),
        kind: v1::institution::Kind::Pharmacy.into(),
        ..request::institution()
    };
    let request =
        v1::InstitutionsRegisterRequest { header: Some(request::header(OFFICE)), institution: Some(pharmacy) };
    office.get::<v1::InstitutionsRegisterResponse>(Operation::InstitutionsRegister, &request);
}

/// A person who has used all but 50.00 of the year's limit.
fn nearly_exhausted(office: &Caller<'_>, number: u64) -> Patient {
    let patient = request::enroll(office, number);
    let used = v1::Accumulators { eligible_fen: 990_909, pool_fen: USED_FEN, ..v1::Accumulators::default() };
    let request = v1::AccountsOpenYearRequest {
        header: Some(request::header(OFFICE)),
        person_id: patient.person,
        insurance_type: v1::insurance_type::Kind::Employee.into(),
        benefit_year: 2026,
        counter: v1::counter::Kind::Outpatient.into(),
        accumulators: Some(used),
    };
    office.get::<v1::AccountsOpenYearResponse>(Operation::AccountsOpenYear, &request);
    patient
}

/// One of two simultaneous claims: a visit at the hospital, or a purchase at the pharmacy.
pub(crate) fn claim(patient: Patient, atc: u32, at_pharmacy: bool) -> v1::VisitsSettleRequest {
    let kind = if at_pharmacy { v1::visit_kind::Kind::Pharmacy } else { v1::visit_kind::Kind::Outpatient };
    let line = v1::ChargeLine {
        line_id: "1".into(),
        item_code: "A1".into(),
        quantity: "1".into(),
        unit_price: "200".into(),
        date: request::date(),
        ..v1::ChargeLine::default()
    };
    v1::VisitsSettleRequest {
        header: Some(request::header(if at_pharmacy { PHARMACY } else { HOSPITAL })),
        visit_kind: kind.into(),
        visit_date: request::date(),
        lines: vec![line],
        total_fen: CLAIM_FEN,
        presentation: Some(request::shown(patient, atc, CLAIM_FEN, 0, 0x00)),
        holder_check: Some(request::holder_check()),
        ..v1::VisitsSettleRequest::default()
    }
}

/// Every order is as likely as any other: Fisher and Yates over splitmix64.
fn shuffle<T>(rows: &mut [T], seed: &mut u64) {
    for last in (1..rows.len()).rev() {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let other = usize::try_from((mixed ^ (mixed >> 31)) % (last as u64 + 1)).expect("an index");
        rows.swap(last, other);
    }
}

#[test]
fn f6_two_claims_at_once_are_paid_50_00_together_in_10_000_repetitions_in_random_order() {
    let disk = SimulatedDisk::new();
    let engine = open_on(&disk);
    let (office, hospital) = (office(&engine), hospital(&engine));
    let pharmacy = Caller::new(&engine, PHARMACY, &[Role::Pharmacy]);
    furnish(&office);
    let patients: Vec<Patient> = (1..=PATIENTS).map(|number| nearly_exhausted(&office, number)).collect();
    let books = request::trial_balance(&office);
    let (mut seed, mut hospital_first) = (20_260_302, 0_u32);
    for round in 0..ROUNDS {
        // Two threads send at once, each one claim of every patient. Which claim, which presentation was signed first, and in
        // which order a thread sends are as random as which thread is faster.
        let mut sides = [Vec::new(), Vec::new()];
        for who in 0..patients.len() {
            let mut claims = [(who, 2 * round + 1, who % 2 == 0), (who, 2 * round + 2, who % 2 == 1)];
            shuffle(&mut claims, &mut seed);
            sides.iter_mut().zip(claims).for_each(|(side, claim)| side.push(claim));
        }
        for side in &mut sides {
            shuffle(side, &mut seed);
        }
        let start = Barrier::new(sides.len());
        let send = |side: &[(usize, u32, bool)]| -> Vec<(usize, bool, Sent)> {
            start.wait();
            let send = |(who, atc, at_pharmacy): &(usize, u32, bool)| {
                let request = claim(patients[*who], *atc, *at_pharmacy).encode_to_vec();
                let caller = if *at_pharmacy { &pharmacy } else { &hospital };
                (*who, *at_pharmacy, caller.send(Operation::VisitsSettle.number(), request))
            };
            side.iter().map(send).collect()
        };
        let mut sent = thread::scope(|scope| {
            let sending = sides.each_ref().map(|side| scope.spawn(|| send(side)));
            sending.into_iter().flat_map(|side| side.join().expect("a side that ends")).collect::<Vec<_>>()
        });
        sent.sort_by_key(|(_, _, sent)| header(&sent.answer()).sequence);
        let mut paid = vec![Vec::new(); patients.len()];
        let mut cancellations = Vec::with_capacity(sent.len());
        for (who, at_pharmacy, sent) in sent {
            let settled: v1::VisitsSettleResponse = sent.read().expect("settled");
            paid[who].push(settled.split.expect("a split").fund_total_fen);
            hospital_first += u32::from(!at_pharmacy && paid[who].len() == 1);
            let (caller, institution) = if at_pharmacy { (&pharmacy, PHARMACY) } else { (&hospital, HOSPITAL) };
            let header = Some(request::header(institution));
            let cancel = v1::VisitsCancelRequest { header, settlement_id: settled.settlement_id };
            cancellations.push(caller.send(Operation::VisitsCancel.number(), cancel.encode_to_vec()));
        }
        for paid in &paid {
            assert_eq!(
                *paid,
                [LIMIT_FEN - USED_FEN, 0],
                "round {round}: who stands first in the journal gets the rest"
            );
        }
        for cancelled in cancellations {
            cancelled.read::<v1::VisitsCancelResponse>().expect("cancelled");
        }
    }
    let repetitions = ROUNDS * u32::try_from(PATIENTS).expect("few");
    assert_eq!(repetitions, 10_000);
    assert!((1_000..9_000).contains(&hospital_first), "the order was not random: {hospital_first}");
    let personal = |books: &v1::OperationsTrialBalanceResponse| books.personal_balances_fen;
    assert_eq!(personal(&request::trial_balance(&office)), personal(&books));
}
