//! The walk over a message's bytes: what follows the contract passes, what does not is named by its path.

use medsettle_wire::{
    BatchError, DecodeError, Field, Kind, MAX_COMMANDS, MessageSchema, Occurs, Operation, Schema, command, commands,
    strict, v1,
};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use prost::Message as _;

fn settle_request() -> v1::InpatientSettleRequest {
    v1::InpatientSettleRequest {
        header: Some(v1::RequestHeader {
            request_id: "H11010500001-20260301-000017".into(),
            created_ms: 1_772_323_200_000,
            institution_code: "H11010500001".into(),
            operator: "clerk 7".into(),
            insured_region: "320100".into(),
        }),
        stay_id: 1 << 40,
        total_fen: 1_234_567,
        account_request_fen: 50_000,
        quote_digest: vec![7; 32],
        presentation: Some(v1::Presentation {
            credential: Some(v1::presentation::Credential::Chip(v1::Chip {
                pan: "9156000000000000017".into(),
                card_sn: "0123456789ABCDEF0123456789ABCDEF".into(),
                scheme: v1::chip::Scheme::PbocSm4 as i32,
                atc: 300,
                cryptogram: vec![1; 8],
                ..Default::default()
            })),
            terminal_id: "T-17".into(),
        }),
        holder_check: Some(v1::HolderCheck { observed_birth_year: -1, ..Default::default() }),
        ..Default::default()
    }
}

fn settle_fault(bytes: &[u8]) -> DecodeError {
    strict::decode::<v1::InpatientSettleRequest>(bytes).unwrap_err()
}

fn policy_fault(policy: &v1::BenefitPolicy) -> DecodeError {
    strict::decode::<v1::BenefitPolicy>(&policy.encode_to_vec()).unwrap_err()
}

/// Bytes of one length-delimited field.
fn delimited(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::bytes::encode(number, &content.to_vec(), &mut bytes);
    bytes
}

#[test]
fn a_request_as_prost_writes_it_passes_and_comes_back_whole() {
    let request = settle_request();
    assert_eq!(strict::decode::<v1::InpatientSettleRequest>(&request.encode_to_vec()), Ok(request));
    assert_eq!(strict::decode::<v1::OperationsStatusRequest>(&[]), Ok(v1::OperationsStatusRequest::default()));
}

#[test]
fn every_prefix_that_cuts_a_field_is_truncated() {
    let bytes = delimited(8, &delimited(1, &delimited(1, b"9156")));
    for end in 1..bytes.len() {
        assert_eq!(settle_fault(&bytes[..end]).problem, "is truncated", "cut at {end}");
    }
    let fault = settle_fault(&delimited(8, &delimited(1, &[0x0a, 5, b'9'])));
    assert_eq!(fault.to_string(), "presentation.chip.pan is truncated");
}

#[test]
fn an_unknown_field_is_named_by_the_message_that_holds_it() {
    assert_eq!(settle_fault(&[0x98, 0x06, 0]).to_string(), "the request has an unknown field 99");
    assert_eq!(settle_fault(&[0x00, 0]).to_string(), "the request has an unknown field 0");
    let fault = settle_fault(&delimited(8, &delimited(1, &[0xf8, 0x01, 0])));
    assert_eq!(fault.to_string(), "presentation.chip has an unknown field 31");
}

#[test]
fn a_number_outside_its_type_or_enum_is_refused() {
    let mut request = settle_request();
    request.holder_check.as_mut().unwrap().method = 9;
    let fault = settle_fault(&request.encode_to_vec());
    assert_eq!(fault.to_string(), "holder_check.method holds 9, which is not a value of HolderCheck.Method");
    let birth_year = [&[0x18][..], &[0x80, 0x80, 0x80, 0x80, 0x08]].concat();
    let fault = settle_fault(&delimited(9, &birth_year));
    let problem = "holds 2147483648, which is not a signed 32-bit number";
    assert_eq!(fault, DecodeError::at("holder_check.observed_birth_year", problem));
    let fault = settle_fault(&delimited(8, &delimited(1, &[0x30, 0x80, 0x80, 0x80, 0x80, 0x10])));
    assert_eq!(fault, DecodeError::at("presentation.chip.atc", "holds 4294967296, which is not a 32-bit number"));
    assert_eq!(settle_fault(&[0x28, 2]), DecodeError::at("use_family", "holds 2, which is not a truth value"));
}

#[test]
fn a_varint_of_more_than_64_bits_is_refused() {
    let most = [&[0x10][..], &[0xff; 9], &[0x01]].concat();
    assert_eq!(strict::decode::<v1::InpatientSettleRequest>(&most).unwrap().stay_id, u64::MAX);
    for last in [0x02, 0x80] {
        let over = [&[0x10][..], &[0xff; 9], &[last, 0]].concat();
        assert_eq!(settle_fault(&over), DecodeError::at("stay_id", "holds a number of more than 64 bits"));
    }
}

#[test]
fn a_second_value_is_refused_for_a_single_field_and_for_a_choice() {
    let twice = "is given twice, or with another choice of the same field";
    assert_eq!(settle_fault(&[0x10, 1, 0x10, 1]), DecodeError::at("stay_id", twice));
    let both = [delimited(1, &[]), vec![0x18, 1]].concat();
    assert_eq!(settle_fault(&delimited(8, &both)), DecodeError::at("presentation.voucher_id", twice));
}

#[test]
fn faults_in_lists_carry_their_index_packed_or_not() {
    let level = |numbers: &[i32]| v1::Band { levels: numbers.to_vec(), ..Default::default() };
    let layers =
        vec![v1::Layer::default(), v1::Layer { bands: vec![level(&[1]), level(&[1, 2, 9])], ..Default::default() }];
    let fault = policy_fault(&v1::BenefitPolicy { layers, ..Default::default() });
    let problem = "holds 9, which is not a value of Level.Kind";
    assert_eq!(fault, DecodeError::at("layers[1].bands[1].levels[2]", problem));
    let mixed = [&[0x08, 1, 0x0a, 2, 1, 2, 0x08, 3][..], &[0x08, 9]].concat();
    assert_eq!(strict::decode::<v1::Band>(&mixed).unwrap_err(), DecodeError::at("levels[4]", problem));
    let names = [delimited(3, b"low_income"), delimited(3, &[0xff])].concat();
    assert_eq!(strict::decode::<v1::Band>(&names).unwrap_err(), DecodeError::at("entitlements[1]", "is not UTF-8"));
    assert_eq!(
        strict::decode::<v1::Band>(&[0x0d, 1, 2, 3, 4]).unwrap_err(),
        DecodeError::at("levels[0]", "is of another type")
    );
}

#[test]
fn a_batch_comes_apart_into_its_commands_and_a_bad_one_spoils_only_itself() {
    let settle = v1::Command { command: Some(v1::command::Command::InpatientSettle(settle_request())) };
    let mut bytes = v1::BatchSubmitRequest { commands: vec![settle.clone()] }.encode_to_vec();
    bytes.extend(delimited(1, &delimited(709, &[0xff])));
    bytes.extend(delimited(1, &delimited(999, &[])));
    bytes.extend(delimited(1, &[]));
    let commands = commands(&bytes).unwrap();
    let (operation, request) = command(commands[0]).unwrap();
    assert_eq!((operation, request), (Operation::InpatientSettle, settle_request().encode_to_vec().as_slice()));
    let (_, request) = command(commands[1]).unwrap();
    assert_eq!(settle_fault(request).to_string(), "the request is truncated");
    assert_eq!(command(commands[2]).unwrap_err().to_string(), "the request has an unknown field 999");
    assert_eq!(command(commands[3]).unwrap_err().to_string(), "the request names no command");
}

#[test]
fn a_batch_is_refused_whole_when_it_is_torn_or_too_large() {
    assert_eq!(commands(&[0x0a, 0, 0x0a, 3]), Err(DecodeError::at("commands[1]", "is truncated").into()));
    assert_eq!(commands(&[0x12, 0]), Err(DecodeError::here("has an unknown field 2").into()));
    assert_eq!(commands(&[0x0a, 0].repeat(MAX_COMMANDS)).unwrap().len(), MAX_COMMANDS);
    let size = MAX_COMMANDS + 1;
    assert_eq!(commands(&[0x0a, 0].repeat(size)), Err(BatchError::TooLarge { size }));
}

/// Writes random messages by their schema, and one fault where it is told to.
struct Writer {
    rng: TestRng,
    /// How many values come before the fault; none for a message without fault.
    fault_after: Option<usize>,
    /// Where the fault stands, once written.
    planted: Option<String>,
}

impl Writer {
    fn new(seed: u64, fault_after: Option<usize>) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self { rng: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes), fault_after, planted: None }
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.rng.next_u32() % bound
    }

    fn message(&mut self, schema: &MessageSchema, path: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut seen = 0_u64;
        for field in schema.fields {
            let times = match field.occurs {
                Occurs::Repeated => self.below(3),
                Occurs::Once(slot) if seen & (1 << slot) == 0 => self.below(2),
                Occurs::Once(_) => 0,
            };
            for index in 0..times {
                let inner = match field.occurs {
                    Occurs::Repeated => format!("{path}{}[{index}]", field.name),
                    Occurs::Once(slot) => {
                        seen |= 1 << slot;
                        format!("{path}{}", field.name)
                    }
                };
                self.field(field, &inner, &mut bytes);
            }
        }
        bytes
    }

    fn field(&mut self, field: &Field, path: &str, bytes: &mut Vec<u8>) {
        let fault = match self.fault_after.as_mut() {
            Some(0) if self.planted.is_none() => {
                self.planted = Some(path.to_owned());
                true
            }
            Some(values @ 1..) => {
                *values -= 1;
                false
            }
            _ => false,
        };
        let number = field.number;
        let random = self.rng.next_u64() >> self.below(64);
        let small = self.rng.next_u32() >> self.below(32);
        match field.kind {
            Kind::Message(inner) => {
                let content =
                    if fault { b"\x80\x80\x80\x80\x01".to_vec() } else { self.message(inner, &format!("{path}.")) };
                bytes.extend(delimited(number, &content));
            }
            Kind::String if fault => bytes.extend(delimited(number, b"ok\xc3")),
            Kind::String => bytes.extend(delimited(number, "住院 stay".as_bytes())),
            Kind::Bytes if fault => prost::encoding::uint64::encode(number, &random, bytes),
            Kind::Bytes => bytes.extend(delimited(number, &random.to_le_bytes())),
            Kind::Int64 | Kind::Uint64 if fault => prost::encoding::fixed64::encode(number, &random, bytes),
            Kind::Int64 | Kind::Uint64 => prost::encoding::uint64::encode(number, &random, bytes),
            _ if fault => prost::encoding::uint64::encode(number, &(1 << 40), bytes),
            Kind::Bool => prost::encoding::uint64::encode(number, &(random & 1), bytes),
            Kind::Int32 => prost::encoding::int32::encode(number, &small.cast_signed(), bytes),
            Kind::Uint32 => prost::encoding::uint32::encode(number, &small, bytes),
            Kind::Enum(known) => {
                let value = known.numbers[small as usize % known.numbers.len()];
                prost::encoding::int32::encode(number, &value, bytes);
            }
        }
    }
}

fn round_trip<M: Schema + PartialEq + std::fmt::Debug>(seed: u64, fault_after: usize) -> Result<(), TestCaseError> {
    let bytes = Writer::new(seed, None).message(M::SCHEMA, "");
    let message = strict::decode::<M>(&bytes);
    prop_assert!(message.is_ok(), "{:?}", message);
    let message = message.unwrap();
    prop_assert_eq!(strict::decode::<M>(&message.encode_to_vec()), Ok(message));

    let mut writer = Writer::new(seed, Some(fault_after));
    let bytes = writer.message(M::SCHEMA, "");
    if let Some(planted) = writer.planted {
        prop_assert_eq!(strict::decode::<M>(&bytes).unwrap_err().field, planted);
    }
    Ok(())
}

proptest! {
    #[test]
    fn messages_of_the_contract_pass_and_a_planted_fault_is_found_at_its_path(seed: u64, fault_after in 0_usize..40) {
        round_trip::<v1::InpatientSettleRequest>(seed, fault_after)?;
        round_trip::<v1::InpatientAddChargesRequest>(seed, fault_after)?;
        round_trip::<v1::CardsReportLossRequest>(seed, fault_after)?;
        round_trip::<v1::PackagesInstallPolicyRequest>(seed, fault_after)?;
        round_trip::<v1::QuoteCase>(seed, fault_after)?;
        round_trip::<v1::BatchSubmitRequest>(seed, fault_after)?;
    }

    #[test]
    fn no_bytes_make_the_walk_panic_and_what_passes_prost_decodes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for schema in [v1::InpatientSettleRequest::SCHEMA, v1::BatchSubmitRequest::SCHEMA, v1::QuoteCase::SCHEMA] {
            let _ = strict::check(schema, &bytes);
        }
        if strict::check(v1::BenefitPolicy::SCHEMA, &bytes).is_ok() {
            prop_assert!(v1::BenefitPolicy::decode(bytes.as_slice()).is_ok());
        }
    }

    #[test]
    fn a_flipped_byte_never_panics_and_never_reaches_prost_undecodable(seed: u64, place: prop::sample::Index, flip in 1_u8..) {
        let mut bytes = Writer::new(seed, None).message(v1::BatchSubmitRequest::SCHEMA, "");
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            if strict::check(v1::BatchSubmitRequest::SCHEMA, &bytes).is_ok() {
                prop_assert!(v1::BatchSubmitRequest::decode(bytes.as_slice()).is_ok());
            }
            if let Ok(commands) = commands(&bytes) {
                for bytes in commands { let _ = command(bytes); }
            }
        }
    }
}
