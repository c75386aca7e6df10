//! Requests from outside: what is accepted, what is refused and with which path, what "the same request" means, who may ask.

use medsettle_core::command::{CheckMethod, Command, Credential, Query, Request};
use medsettle_core::hub::Actor;
use medsettle_core::ids::{Hash32, InstitutionCode};
use medsettle_core::money::Fen;
use medsettle_core::person::Sex;
use medsettle_core::reject::Reject;
use medsettle_wire::decode::{Decoded, EngineRequest, Proof, decode, split_batch};
use medsettle_wire::encode::{encode_batch, encode_header, encode_outcome};
use medsettle_wire::{Operation, Reason, Refused, encode_refusal, limits, rights, v1};
use prost::Message;

const INSTITUTION: &str = "H11010500001";

fn header() -> v1::RequestHeader {
    v1::RequestHeader {
        request_id: "r-1".into(),
        created_ms: 1_800_000_000_000,
        institution_code: INSTITUTION.into(),
        operator: "clerk".into(),
        insured_region: "370100".into(),
    }
}

fn chip() -> v1::Chip {
    v1::Chip {
        pan: "9156000000000017".into(),
        sequence_number: 1,
        card_sn: "0123456789ABCDEF0123456789ABCDEF".into(),
        scheme: v1::chip::Scheme::PbocSm4 as i32,
        key_index: 3,
        atc: 300,
        amount_fen: 2_500_000,
        other_amount_fen: 0,
        terminal_country: 156,
        tvr: vec![0; 5],
        currency: 156,
        transaction_date: "2026-07-31".into(),
        transaction_type: 0,
        unpredictable_number: vec![1, 2, 3, 4],
        aip: vec![0x7c, 0],
        cvr: vec![3, 0xa4, 0x90, 0x12],
        cryptogram: vec![9; 8],
    }
}

fn shown(chip: v1::Chip) -> v1::Presentation {
    v1::Presentation { credential: Some(v1::presentation::Credential::Chip(chip)), terminal_id: "T-17".into() }
}

fn settle() -> v1::InpatientSettleRequest {
    v1::InpatientSettleRequest {
        header: Some(header()),
        stay_id: 10_000_000_000_001,
        total_fen: 2_500_000,
        presentation: Some(shown(chip())),
        ..Default::default()
    }
}

fn line() -> v1::ChargeLine {
    v1::ChargeLine {
        line_id: "1".into(),
        item_code: "XA01".into(),
        quantity: "2.5".into(),
        unit_price: "10".into(),
        date: "2026-07-01".into(),
        ..Default::default()
    }
}

fn charges(lines: Vec<v1::ChargeLine>) -> v1::InpatientAddChargesRequest {
    v1::InpatientAddChargesRequest { header: Some(header()), stay_id: 1, lines }
}

fn refused(operation: Operation, message: &impl Message) -> Refused {
    decode(operation, &message.encode_to_vec()).expect_err("refused")
}

fn accepted(operation: Operation, message: &impl Message) -> (Request, Hash32) {
    match decode(operation, &message.encode_to_vec()) {
        Ok(Decoded::Core { request, digest, .. }) => (request, digest),
        other => panic!("{other:?}"),
    }
}

/// A request with one thing wrong, the reason, and the path of the field.
fn expect(operation: Operation, message: &impl Message, reason: Reason, field: &str) {
    let refused = refused(operation, message);
    assert_eq!((refused.reason, refused.metadata["field"].as_str()), (reason, field), "{refused:?}");
}

#[test]
fn a_settlement_is_read_with_the_cryptogram_that_its_chip_signed() {
    let Ok(Decoded::Core { request, proof, .. }) = decode(Operation::InpatientSettle, &settle().encode_to_vec()) else {
        panic!("accepted")
    };
    let Request::Command(header, command) = request else { panic!("a command") };
    assert_eq!((header.request_id.as_str(), &*header.operator), ("r-1", "clerk"));
    let Command::SettleStay { total, quote: None, presentation: shown, .. } = *command else { panic!("a settlement") };
    assert_eq!(total, Fen(2_500_000));
    let Credential::Chip(chip) = shown.credential else { panic!("a chip") };
    let Some(Proof::Cryptogram(check)) = proof else { panic!("a chip was shown") };
    assert_eq!((check.atc, check.key_index, check.pan.as_str()), (chip.atc, 3, "9156000000000017"));
    assert_eq!(check.data.as_bytes()[..6], [0, 0, 0x02, 0x50, 0, 0]);
    assert_eq!(check.data.as_bytes().len(), 37);
}

#[test]
fn a_malformed_settlement_is_refused_with_the_path_of_the_field() {
    use Reason::{AmountTooLarge, RequestMalformed};
    type Change = fn(&mut v1::InpatientSettleRequest);
    let in_header: [(Change, &str); 6] = [
        (|m| m.header = None, "header"),
        (|m| m.header.as_mut().unwrap().request_id = "a b".into(), "header.request_id"),
        (|m| m.header.as_mut().unwrap().created_ms = 0, "header.created_ms"),
        (|m| m.header.as_mut().unwrap().institution_code = "h".into(), "header.institution_code"),
        (|m| m.header.as_mut().unwrap().operator = "o".repeat(65), "header.operator"),
        (|m| m.header.as_mut().unwrap().insured_region = "x".into(), "header.insured_region"),
    ];
    let in_body: [(Change, &str); 6] = [
        (|m| m.stay_id = 0, "stay_id"),
        (|m| m.total_fen = -1, "total_fen"),
        (|m| m.account_request_fen = i64::MIN, "account_request_fen"),
        (|m| m.quote_digest = vec![0; 31], "quote_digest"),
        (|m| m.interim = true, "interim"),
        (|m| m.presentation = None, "presentation"),
    ];
    for (change, field) in in_header.into_iter().chain(in_body) {
        let mut message = settle();
        change(&mut message);
        expect(Operation::InpatientSettle, &message, RequestMalformed, field);
    }
    let too_large = v1::InpatientSettleRequest { total_fen: 10_000_000_001, ..settle() };
    expect(Operation::InpatientSettle, &too_large, AmountTooLarge, "total_fen");
}

#[test]
fn a_malformed_chip_is_refused_with_the_path_of_the_field() {
    type Change = fn(&mut v1::Chip);
    let changes: [(Change, &str); 16] = [
        (|c| c.pan = "91560".into(), "pan"),
        (|c| c.sequence_number = 100, "sequence_number"),
        (|c| c.card_sn = "0123".into(), "card_sn"),
        (|c| c.scheme = 0, "scheme"),
        (|c| c.atc = 65_536, "atc"),
        (|c| c.amount_fen = -1, "amount_fen"),
        (|c| c.other_amount_fen = -1, "other_amount_fen"),
        (|c| c.terminal_country = 1_000, "terminal_country"),
        (|c| c.currency = 70_000, "currency"),
        (|c| c.tvr = vec![0; 4], "tvr"),
        (|c| c.transaction_date = "2026-02-29".into(), "transaction_date"),
        (|c| c.transaction_type = 256, "transaction_type"),
        (|c| c.unpredictable_number.clear(), "unpredictable_number"),
        (|c| c.aip.push(0), "aip"),
        (|c| c.cvr = vec![0; 3], "cvr"),
        (|c| c.cryptogram.clear(), "cryptogram"),
    ];
    for (change, field) in changes {
        let mut chip = chip();
        change(&mut chip);
        let message = v1::InpatientSettleRequest { presentation: Some(shown(chip)), ..settle() };
        let path = format!("presentation.chip.{field}");
        expect(Operation::InpatientSettle, &message, Reason::RequestMalformed, &path);
    }
    let stripe = v1::presentation::Credential::Stripe(v1::Stripe { card_sn: "12".into() });
    for (credential, path) in [
        (stripe, "presentation.stripe.card_sn"),
        (v1::presentation::Credential::VoucherId(0), "presentation.voucher_id"),
    ] {
        let presentation = v1::Presentation { credential: Some(credential), terminal_id: "T-17".into() };
        let message = v1::InpatientSettleRequest { presentation: Some(presentation), ..settle() };
        expect(Operation::InpatientSettle, &message, Reason::RequestMalformed, path);
    }
    let nothing = v1::Presentation { credential: None, terminal_id: "T-17".into() };
    let message = v1::InpatientSettleRequest { presentation: Some(nothing), ..settle() };
    expect(Operation::InpatientSettle, &message, Reason::RequestMalformed, "presentation");
}

/// A holder read of a debit and not at which terminal it was made.
#[test]
fn f9_no_card_is_shown_without_its_terminal() {
    let nowhere = || Some(v1::Presentation { terminal_id: String::new(), ..shown(chip()) });
    let message = v1::InpatientSettleRequest { presentation: nowhere(), ..settle() };
    expect(Operation::InpatientSettle, &message, Reason::RequestMalformed, "presentation.terminal_id");
    let message = v1::InpatientAdmitRequest { presentation: nowhere(), ..Default::default() };
    let message = v1::InpatientAdmitRequest { header: settle().header, ..message };
    expect(Operation::InpatientAdmit, &message, Reason::RequestMalformed, "presentation.terminal_id");
}

#[test]
fn a_malformed_line_is_refused_with_its_index() {
    type Change = fn(&mut v1::ChargeLine);
    let changes: [(Change, &str); 11] = [
        (|l| l.line_id = "0".into(), "line_id"),
        (|l| l.line_id = "01".into(), "line_id"),
        (|l| l.line_id = "1234567890123456".into(), "line_id"),
        (|l| l.item_code.clear(), "item_code"),
        (|l| l.item_code = "x".repeat(41), "item_code"),
        (|l| l.quantity = "1.00001".into(), "quantity"),
        (|l| l.unit_price = "-1".into(), "unit_price"),
        (|l| l.date = "2026-06-31".into(), "date"),
        (|l| l.takes_back_line_id = "a".into(), "takes_back_line_id"),
        (|l| l.outside_institution_code = "x".into(), "outside_institution_code"),
        (|l| l.outside_slip = "slip".into(), "outside_institution_code"),
    ];
    for (change, field) in changes {
        let mut second = line();
        change(&mut second);
        let path = format!("lines[1].{field}");
        expect(Operation::InpatientAddCharges, &charges(vec![line(), second]), Reason::RequestMalformed, &path);
    }
    let huge = v1::ChargeLine { amount_fen: Some(i64::MIN), ..line() };
    expect(Operation::InpatientAddCharges, &charges(vec![huge]), Reason::AmountTooLarge, "lines[0].amount_fen");
}

#[test]
fn the_own_total_of_a_refund_is_negative() {
    let refund = v1::ChargeLine { amount_fen: Some(-2_500), quantity: "-2.5".into(), ..line() };
    let (Request::Command(_, command), _) = accepted(Operation::InpatientAddCharges, &charges(vec![refund, line()]))
    else {
        panic!("a command")
    };
    let Command::AddCharges { lines, .. } = *command else { panic!("charges") };
    assert_eq!(lines.iter().map(|(_, own)| *own).collect::<Vec<_>>(), [Some(Fen(-2_500)), None]);
}

#[test]
fn other_requests_are_refused_with_the_path_of_the_field() {
    use Reason::RequestMalformed;
    let person = v1::PersonsEnrollRequest {
        header: Some(header()),
        name: "测试".into(),
        sex: v1::sex::Kind::Female as i32,
        birth_date: "1990-03-07".into(),
        certificates: vec![v1::Certificate { kind: 1, number: "000000199003070010".into() }],
        spells: vec![v1::InsuranceSpell { insurance_type: 1, region: "370100".into(), ..Default::default() }],
        ..Default::default()
    };
    expect(Operation::PersonsEnroll, &person, RequestMalformed, "certificates[0].number");
    let no_document = v1::PersonsEnrollRequest { certificates: Vec::new(), ..person };
    expect(Operation::PersonsEnroll, &no_document, RequestMalformed, "spells[0].category");
    let unnamed = v1::PersonsEnrollRequest { name: String::new(), ..no_document };
    expect(Operation::PersonsEnroll, &unnamed, RequestMalformed, "name");
    let entitlements =
        vec![v1::Entitlement { name: "low_income".into(), from_date: "2026-01-01".into(), to_date: None }];
    let update = v1::PersonsUpdateRequest { header: Some(header()), person_id: 1, entitlements, ..Default::default() };
    expect(Operation::PersonsUpdate, &update, RequestMalformed, "entitlements");
    let page = Some(v1::Page { page_size: 501, page_token: String::new() });
    expect(Operation::CardsList, &v1::CardsListRequest { person_id: 1, page }, RequestMalformed, "page.page_size");
    let page = Some(v1::Page { page_size: 1, page_token: "x".into() });
    expect(Operation::CardsList, &v1::CardsListRequest { person_id: 1, page }, RequestMalformed, "page.page_token");
    expect(Operation::PersonsGet, &v1::PersonsGetRequest { key: None }, RequestMalformed, "key");
    let loss = v1::CardsReportLossRequest {
        header: Some(header()),
        subject: Some(v1::cards_report_loss_request::Subject::CardId(1)),
        loss: 1,
        channel: 1,
        zones: vec![1, 0],
        verified_by: "desk".into(),
        holder: None,
    };
    expect(Operation::CardsReportLoss, &loss, RequestMalformed, "zones[1]");
    let sums = v1::Accumulators { pool_fen: -1, ..Default::default() };
    let year = v1::AccountsOpenYearRequest {
        header: Some(header()),
        person_id: 1,
        insurance_type: 1,
        benefit_year: 2026,
        counter: 1,
        accumulators: Some(sums),
    };
    expect(Operation::AccountsOpenYear, &year, RequestMalformed, "accumulators.pool_fen");
}

#[test]
fn an_unknown_field_is_refused_before_anything_is_read() {
    let mut bytes = settle().encode_to_vec();
    bytes.extend([0xf8, 0x07, 1]);
    let refused = decode(Operation::InpatientSettle, &bytes).unwrap_err();
    assert_eq!(refused.reason, Reason::RequestMalformed);
    assert_eq!(refused.metadata["problem"], "has an unknown field 127");
}

#[test]
fn a_package_is_refused_with_every_problem_at_once() {
    let policy = v1::BenefitPolicy {
        region: "37".into(),
        insurance_type: 1,
        visit_kind: 1,
        effective_from: "2025-02-29".into(),
        band_measure: 1,
        band_basis: 1,
        unfiled: 2,
        cross_year: 1,
        on_cancel: 1,
        layers: vec![v1::Layer {
            fund: 1,
            base: 1,
            bands: vec![v1::Band { to_fen: Some(-1), ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let install = v1::PackagesInstallPolicyRequest { header: Some(header()), policy: Some(policy) };
    let refused = refused(Operation::PackagesInstallPolicy, &install);
    assert_eq!(refused.reason, Reason::PackageInvalid);
    let problems: serde_json::Value = serde_json::from_str(&refused.metadata["problems"]).unwrap();
    let paths: Vec<_> = problems.as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["region", "effective_from", "layers[0].bands[0].to_fen"]);
}

#[test]
fn packages_that_mean_the_same_have_one_hash() {
    let item = |ceilings: &[(i32, &str)]| v1::CatalogueItem {
        code: "X".into(),
        class: 1,
        ceilings: ceilings.iter().map(|(level, price)| v1::Ceiling { level: *level, price: (*price).into() }).collect(),
        ..Default::default()
    };
    let hash = |items: Vec<v1::CatalogueItem>| {
        let catalogue =
            v1::Catalogue { region: "370100".into(), effective_from: "2025-01-01".into(), items, ..Default::default() };
        let install = v1::PackagesInstallCatalogueRequest { header: Some(header()), catalogue: Some(catalogue) };
        match accepted(Operation::PackagesInstallCatalogue, &install) {
            (Request::Command(_, command), _) => match *command {
                Command::InstallCatalogue { hash, .. } => hash,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let one = hash(vec![item(&[(0, "2.50")])]);
    assert_eq!(one, hash(vec![item(&[(4, "2.5"), (3, "2.5"), (2, "2.5"), (1, "2.5")])]));
    assert_ne!(one, hash(vec![item(&[(1, "2.5")])]));
}

#[test]
fn the_digest_ignores_operator_and_time_and_nothing_else() {
    type Change = fn(&mut v1::InpatientSettleRequest);
    let digest = |message: &v1::InpatientSettleRequest| accepted(Operation::InpatientSettle, message).1;
    let original = digest(&settle());
    let mut again = settle();
    let header = again.header.as_mut().unwrap();
    header.operator = "another".into();
    header.created_ms += 60_000;
    assert_eq!(digest(&again), original);
    let changes: [Change; 10] = [
        |m| m.header.as_mut().unwrap().request_id = "r-2".into(),
        |m| m.header.as_mut().unwrap().institution_code = "H11010500002".into(),
        |m| m.header.as_mut().unwrap().insured_region.clear(),
        |m| m.stay_id += 1,
        |m| m.total_fen += 1,
        |m| m.account_request_fen += 1,
        |m| m.use_family = true,
        |m| m.quote_digest = vec![0; 32],
        |m| m.presentation.as_mut().unwrap().terminal_id = "T-18".into(),
        |m| m.holder_check = Some(v1::HolderCheck { method: 1, ..Default::default() }),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = settle();
        change(&mut other);
        assert_ne!(digest(&other), original, "change {index}");
    }
    let stay = v1::InpatientCancelDischargeRequest { header: Some(self::header()), stay_id: 1 };
    assert_ne!(
        accepted(Operation::InpatientCancelDischarge, &stay).1,
        accepted(Operation::InpatientCancelAdmission, &stay).1
    );
}

#[test]
fn fields_in_another_order_are_the_same_request() {
    let message = settle();
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    v1::InpatientSettleRequest { header: message.header.clone(), ..Default::default() }.encode_raw(&mut first);
    v1::InpatientSettleRequest { header: None, ..message.clone() }.encode_raw(&mut rest);
    rest.extend(first);
    let Ok(Decoded::Core { digest, .. }) = decode(Operation::InpatientSettle, &rest) else { panic!("accepted") };
    assert_eq!(digest, accepted(Operation::InpatientSettle, &message).1);
}

#[test]
fn a_snapshot_is_asked_for_by_somebody_and_a_digest_by_anybody_who_may() {
    let refused = decode(Operation::OperationsSnapshot, b"").unwrap_err();
    assert_eq!(refused.reason, Reason::RequestMalformed);
    assert_eq!(refused.metadata["field"], "header");
    let digest = decode(Operation::OperationsDigest, b"").expect("it has no fields");
    assert_eq!(digest, Decoded::Engine(EngineRequest::Digest));
}

#[test]
fn a_request_over_the_limit_is_refused_unread() {
    let refused = decode(Operation::InpatientSettle, &vec![0; limits::MAX_REQUEST_BYTES + 1]).unwrap_err();
    assert_eq!(refused.reason, Reason::RequestTooLarge);
    assert_eq!(refused.metadata["limit"], limits::MAX_REQUEST_BYTES.to_string());
}

#[test]
fn the_engine_gets_its_own_requests() {
    let status = |seen_sequence| Ok(Decoded::Engine(EngineRequest::Status { seen_sequence }));
    assert_eq!(decode(Operation::OperationsStatus, &[]), status(0));
    let seen = v1::OperationsStatusRequest { seen_sequence: 7 }.encode_to_vec();
    assert_eq!(decode(Operation::OperationsStatus, &seen), status(7));
    for (asked, from_frame_number) in [(0, 1), (1, 1), (7, 7)] {
        let asked = v1::OperationsTakeJournalRequest { from_frame_number: asked }.encode_to_vec();
        let expected = Ok(Decoded::Engine(EngineRequest::TakeJournal { from_frame_number }));
        assert_eq!(decode(Operation::OperationsTakeJournal, &asked), expected, "a journal begins with frame 1");
    }
    let asked = v1::OperationsTakeSnapshotRequest { last_frame_number: 9, from_offset: 4_096 }.encode_to_vec();
    let expected = EngineRequest::TakeSnapshot { last_frame_number: 9, from_offset: 4_096 };
    assert_eq!(decode(Operation::OperationsTakeSnapshot, &asked), Ok(Decoded::Engine(expected)));
    let confirm = v1::OperationsConfirmClockRequest { header: Some(header()) };
    let decoded = decode(Operation::OperationsConfirmClock, &confirm.encode_to_vec());
    let Ok(Decoded::Engine(EngineRequest::ConfirmClock(header))) = decoded else { panic!("{decoded:?}") };
    assert_eq!(header.request_id.as_str(), "r-1");
}

fn actor(institution: &str, roles: &[v1::role::Kind]) -> Actor {
    let roles = roles.iter().fold(0, |bits, role| bits | 1 << *role as i32);
    Actor { institution: InstitutionCode::parse(institution).unwrap(), roles }
}

#[test]
fn a_command_needs_a_role_of_its_method_and_the_own_institution() {
    use v1::role::Kind::{Auditor, Desk, Hospital, Hub, Operator, Unspecified};
    let (request, _) = accepted(Operation::InpatientSettle, &settle());
    let own = Ok(());
    let foreign = Err(Reject::NotYourInstitution(InstitutionCode::parse(INSTITUTION).unwrap()));
    let forbidden = Err(Reject::RoleForbidden);
    for (institution, roles, expected) in [
        (INSTITUTION, &[Hospital][..], own.clone()),
        (INSTITUTION, &[Desk, Hospital], own.clone()),
        (INSTITUTION, &[Hub], own.clone()),
        ("H99999999999", &[Hub], own.clone()),
        ("H99999999999", &[Hospital], foreign.clone()),
        (INSTITUTION, &[Desk], forbidden.clone()),
        (INSTITUTION, &[Operator, Auditor], forbidden.clone()),
        ("H99999999999", &[Operator], forbidden.clone()),
        (INSTITUTION, &[Unspecified], forbidden.clone()),
        (INSTITUTION, &[], forbidden.clone()),
    ] {
        let verdict = rights::check(Operation::InpatientSettle, &actor(institution, roles), &request);
        assert_eq!(verdict, expected, "{institution} {roles:?}");
    }
    let balance = Request::Query(Query::TrialBalance);
    let check = |roles: &[_]| rights::check(Operation::OperationsTrialBalance, &actor(INSTITUTION, roles), &balance);
    assert_eq!(check(&[Auditor]), Ok(()));
    assert_eq!(check(&[Hospital, Hub]), forbidden);
    let every_bit = Actor { roles: !0b1111_1111, ..actor(INSTITUTION, &[]) };
    assert_eq!(rights::check(Operation::InpatientSettle, &every_bit, &request), forbidden);
}

#[test]
fn one_bad_command_of_a_batch_is_refused_alone() {
    let settle = v1::Command { command: Some(v1::command::Command::InpatientSettle(self::settle())) };
    let batch = v1::BatchSubmitRequest { commands: vec![settle.clone(), v1::Command::default(), settle] };
    let bytes = batch.encode_to_vec();
    let items = split_batch(&bytes).unwrap();
    assert_eq!(items.len(), 3);
    for good in [&items[0], &items[2]] {
        let (operation, request) = good.as_ref().unwrap();
        assert_eq!(*operation, Operation::InpatientSettle);
        assert!(decode(*operation, request).is_ok());
    }
    let refused = items[1].as_ref().unwrap_err();
    assert_eq!((refused.reason, refused.metadata["field"].as_str()), (Reason::RequestMalformed, "commands[1]"));
    assert_eq!(split_batch(&[]), Ok(Vec::new()));
}

#[test]
fn a_batch_of_more_commands_than_a_frame_holds_is_refused() {
    let commands = vec![v1::Command::default(); medsettle_wire::MAX_COMMANDS + 1];
    let refused = split_batch(&v1::BatchSubmitRequest { commands }.encode_to_vec()).unwrap_err();
    assert_eq!(refused.reason, Reason::RequestTooLarge);
    assert_eq!(refused.metadata["size"], "10001");
}

#[test]
fn results_of_a_batch_stand_in_its_order_under_its_header() {
    let mut response = Vec::new();
    encode_header(7, &[1; 32], 9, false, &mut response);
    let refusal = medsettle_wire::encode_refusal(&Refused::new(Reason::QuoteStale));
    let mut out = Vec::new();
    encode_header(8, &[2; 32], 9, false, &mut out);
    encode_batch([Ok((Operation::InpatientCancelDischarge, response)), Err(refusal)], &mut out);
    let read = v1::BatchSubmitResponse::decode(out.as_slice()).unwrap();
    assert_eq!(read.header.map(|header| header.sequence), Some(8));
    let results: Vec<_> = read.results.into_iter().map(|result| result.result.unwrap()).collect();
    let [v1::command_result::Result::InpatientCancelDischarge(done), v1::command_result::Result::Refusal(stale)] =
        &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!(done.header.as_ref().map(|header| header.sequence), Some(7));
    assert_eq!(stale.reason(), v1::reason::Code::QuoteStale);
}

#[test]
fn an_outcome_holds_the_original_response() {
    use medsettle_core::command::Outcome;
    let accepted = Outcome::Accepted { sequence: 5, operation: Operation::InpatientSettle.number() };
    let mut out = Vec::new();
    encode_outcome(&accepted, b"original", &mut out);
    let read = v1::MessagesGetOutcomeResponse::decode(out.as_slice()).unwrap();
    assert_eq!((read.method.as_str(), read.original_sequence), ("Inpatient.Settle", 5));
    assert_eq!(read.original_response, b"original");
}

#[test]
fn what_was_seen_of_a_holder_is_read_and_a_year_that_cannot_be_is_named() {
    let seen = |observed_birth_year| v1::InpatientSettleRequest {
        holder_check: Some(v1::HolderCheck { method: 4, observed_sex: 1, observed_birth_year }),
        ..settle()
    };
    for (year, expected) in [(0, None), (1_850, Some(1_850)), (9_999, Some(9_999))] {
        let Decoded::Core { request: Request::Command(_, command), .. } =
            decode(Operation::InpatientSettle, &seen(year).encode_to_vec()).unwrap()
        else {
            panic!("a command")
        };
        let Command::SettleStay { holder_check, .. } = *command else { panic!("{command:?}") };
        assert_eq!((holder_check.method, holder_check.sex), (CheckMethod::None, Some(Sex::Male)));
        assert_eq!(holder_check.birth_year, expected);
    }
    for year in [-1, 70, 1_849, 10_000] {
        expect(Operation::InpatientSettle, &seen(year), Reason::RequestMalformed, "holder_check.observed_birth_year");
    }
}

#[test]
fn the_outcome_of_a_request_that_was_refused_for_ever_holds_the_refusal() {
    use medsettle_core::command::Outcome;
    let refused = Outcome::Refused { sequence: 5, operation: Operation::InpatientAdmit.number() };
    let mut out = Vec::new();
    encode_outcome(&refused, &encode_refusal(&Refused::new(Reason::CryptogramInvalid)), &mut out);
    let read = v1::MessagesGetOutcomeResponse::decode(out.as_slice()).unwrap();
    assert_eq!(read.outcome(), v1::messages_get_outcome_response::Outcome::Refused);
    assert_eq!(read.original_refusal.unwrap().reason(), v1::reason::Code::CryptogramInvalid);
    assert!(read.original_response.is_empty());
}
