//! Requests about accounts: what is accepted, what is refused and with which path, and that a PIN leaves no trace.

use medsettle_core::account::AccountKind;
use medsettle_core::calendar::Date;
use medsettle_core::command::{Command, Query, Request};
use medsettle_core::ids::{CardId, CardSn, Hash32, PersonId};
use medsettle_core::money::Fen;
use medsettle_core::statement::Range;
use medsettle_wire::decode::{Decoded, Proof, decode};
use medsettle_wire::{Operation, Reason, v1};
use prost::Message;

const CARD_SN: &str = "0123456789ABCDEF0123456789ABCDEF";

fn header() -> v1::RequestHeader {
    v1::RequestHeader {
        request_id: "r-1".into(),
        created_ms: 1_800_000_000_000,
        institution_code: "H11010500001".into(),
        operator: "clerk".into(),
        insured_region: String::new(),
    }
}

fn accepted(operation: Operation, message: &impl Message) -> (Request, Hash32) {
    match decode(operation, &message.encode_to_vec()) {
        Ok(Decoded::Core { request, digest, proof: None | Some(Proof::Pin(_)) }) => (request, digest),
        other => panic!("{other:?}"),
    }
}

fn command(operation: Operation, message: &impl Message) -> Command {
    match accepted(operation, message).0 {
        Request::Command(_, command) => *command,
        Request::Query(query) => panic!("{query:?}"),
    }
}

/// A request with one thing wrong, the reason, and the path of the field.
fn expect(operation: Operation, message: &impl Message, reason: Reason, field: &str) {
    let refused = decode(operation, &message.encode_to_vec()).expect_err("refused");
    assert_eq!((refused.reason, refused.metadata["field"].as_str()), (reason, field), "{refused:?}");
}

fn purchase(account: v1::account::Kind, pin: &str) -> v1::AccountsPurchaseRequest {
    v1::AccountsPurchaseRequest {
        header: Some(header()),
        card_sn: CARD_SN.into(),
        account: account.into(),
        amount_fen: 5,
        terminal_id: "T1".into(),
        pin: pin.into(),
    }
}

#[test]
fn accounts_are_asked_for_by_whole_ids_and_real_days() {
    use Reason::RequestMalformed;
    let link = |person_id, payer_person_id| v1::AccountsLinkFamilyRequest {
        header: Some(header()),
        person_id,
        payer_person_id,
    };
    assert_eq!(
        command(Operation::AccountsLinkFamily, &link(1, 2)),
        Command::LinkFamily { person: PersonId(1), payer: PersonId(2) }
    );
    expect(Operation::AccountsLinkFamily, &link(0, 2), RequestMalformed, "person_id");
    expect(Operation::AccountsUnlinkFamily, &link(1, 0), RequestMalformed, "payer_person_id");
    let statement = |from: &str, to: &str| v1::AccountsStatementRequest {
        person_id: 1,
        from_date: from.into(),
        to_date: to.into(),
        after_sequence: 7,
    };
    let (request, digest) = accepted(Operation::AccountsStatement, &statement("2026-02-28", ""));
    let range = Range { after: 7, from: Date::parse("2026-02-28"), to: None };
    assert_eq!(request, Request::Query(Query::Statement { person: PersonId(1), range }));
    assert_eq!(digest, Hash32::default());
    expect(Operation::AccountsStatement, &statement("2026-02-30", ""), RequestMalformed, "from_date");
    expect(Operation::AccountsStatement, &statement("", "today"), RequestMalformed, "to_date");
}

#[test]
fn a_top_up_and_a_purchase_name_their_account_and_card() {
    use Reason::{AmountTooLarge, RequestMalformed};
    let top_up = v1::AccountsTopUpRequest {
        header: Some(header()),
        card_id: 3,
        account: v1::account::Kind::Offline.into(),
        amount_fen: 5,
    };
    let expected = Command::TopUp { card: CardId(3), account: AccountKind::Offline, amount: Fen(5) };
    assert_eq!(command(Operation::AccountsTopUp, &top_up), expected);
    let wrong = |change: fn(&mut v1::AccountsTopUpRequest)| {
        let mut message = top_up.clone();
        change(&mut message);
        message
    };
    expect(Operation::AccountsTopUp, &wrong(|m| m.card_id = 0), RequestMalformed, "card_id");
    expect(Operation::AccountsTopUp, &wrong(|m| m.account = 0), RequestMalformed, "account");
    expect(Operation::AccountsTopUp, &wrong(|m| m.amount_fen = i64::MAX), AmountTooLarge, "amount_fen");
    let expected = Command::Purchase {
        card: CardSn::parse(CARD_SN).unwrap(),
        account: AccountKind::Online,
        amount: Fen(5),
        terminal: "T1".into(),
    };
    assert_eq!(command(Operation::AccountsPurchase, &purchase(v1::account::Kind::Online, "123456")), expected);
    let wrong = |change: fn(&mut v1::AccountsPurchaseRequest)| {
        let mut message = purchase(v1::account::Kind::Offline, "");
        change(&mut message);
        message
    };
    expect(Operation::AccountsPurchase, &wrong(|m| m.card_sn = "x".into()), RequestMalformed, "card_sn");
    expect(Operation::AccountsPurchase, &wrong(|m| m.terminal_id = String::new()), RequestMalformed, "terminal_id");
    expect(Operation::AccountsPurchase, &wrong(|m| m.pin = "123456".into()), RequestMalformed, "pin");
}

#[test]
fn a_pin_has_six_digits_and_leaves_no_trace_in_the_digest_or_the_command() {
    use v1::account::Kind::Online;
    for pin in ["", "12345", "1234567", "12345x", "１２３４５６"] {
        expect(Operation::AccountsPurchase, &purchase(Online, pin), Reason::RequestMalformed, "pin");
    }
    // A digest over six digits could be tried out, and it is kept for ever.
    let one = accepted(Operation::AccountsPurchase, &purchase(Online, "907163"));
    let other = accepted(Operation::AccountsPurchase, &purchase(Online, "654321"));
    assert_eq!(one, other);
    assert!(!format!("{one:?}").contains("907163"));
}
