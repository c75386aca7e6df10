//! A hundred cases computed by other implementations: cards that must pass and be answered, and tampered cryptograms.

use medsettle_cryptogram::{
    ArpcError, Cryptogram, Derivation, MasterKey, Pan, Request, Scheme, SequenceNumber, Session, Verdict, Verifier,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: u32,
    mk_derivation: String,
    sk_derivation: String,
    issuer_master_key: String,
    issuer_master_key_kcv: String,
    pan: String,
    psn: Option<String>,
    atc: String,
    transaction_data: String,
    arqc: String,
    arpc_method: Option<u8>,
    arc: Option<String>,
    csu: Option<String>,
    proprietary_auth_data: Option<String>,
    arpc: Option<String>,
    expected: String,
}

/// A vector with its hex decoded, owning what a request borrows.
struct Case {
    vector: Vector,
    scheme: Scheme,
    key: MasterKey,
    data: Vec<u8>,
}

impl Case {
    fn new(vector: Vector) -> Self {
        let scheme = match vector.sk_derivation.as_str() {
            "EMV_CSK_AES" => Scheme::EmvAes,
            name => Scheme::from_name(name).expect("a known scheme"),
        };
        let key = MasterKey::new(bytes(&vector.issuer_master_key));
        let data = hex::decode(&vector.transaction_data).expect("hex");
        Self { vector, scheme, key, data }
    }

    fn request(&self) -> Request<'_> {
        let derivation =
            if self.vector.mk_derivation == "EMV_A" { Derivation::OptionA } else { Derivation::ByPanLength };
        let psn = self.vector.psn.as_deref().unwrap_or("00").parse().expect("decimal");
        Request {
            scheme: self.scheme,
            derivation,
            key: &self.key,
            pan: Pan::new(&self.vector.pan).expect("a PAN"),
            sequence_number: SequenceNumber::new(psn).expect("two digits"),
            atc: u16::from_be_bytes(bytes(&self.vector.atc)),
            data: &self.data,
            cryptogram: Cryptogram(bytes(&self.vector.arqc)),
        }
    }

    fn accepted(&self) -> bool {
        match self.vector.expected.as_str() {
            "accept" => true,
            "reject" => false,
            other => panic!("vector {}: expected is {other}", self.vector.id),
        }
    }

    fn answer(&self, session: &Session) -> Vec<u8> {
        match self.vector.arpc_method {
            Some(1) => session.arpc_method_1().to_vec(),
            Some(2) => {
                let csu = bytes(self.vector.csu.as_deref().expect("csu"));
                let auth_data = hex::decode(self.vector.proprietary_auth_data.as_deref().unwrap_or("")).expect("hex");
                session.arpc_method_2(csu, &auth_data).expect("the scheme has method 2").to_vec()
            }
            other => panic!("vector {}: ARPC method {other:?}", self.vector.id),
        }
    }
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).expect("hex of this length");
    bytes
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/arqc.json");
    let text = std::fs::read_to_string(path).expect("the vectors are part of the repository");
    let file: File = serde_json::from_str(&text).expect("vectors");
    assert_eq!(file.vectors.len(), 100);
    file.vectors.into_iter().map(Case::new).collect()
}

/// Verify requests and return the sessions of those that passed, to be answered with a response code.
fn sessions_for(batch: &[Request<'_>], arc: [u8; 2]) -> Vec<Option<Session>> {
    let mut verdicts = Vec::new();
    Verifier::new().verify(batch, arc, &mut verdicts);
    let session = |verdict| match verdict {
        Verdict::Valid(session) => Some(session),
        Verdict::Invalid => None,
    };
    verdicts.into_iter().map(session).collect()
}

fn sessions(batch: &[Request<'_>]) -> Vec<Option<Session>> {
    sessions_for(batch, *b"00")
}

#[test]
fn every_vector_is_decided_and_answered_as_expected() {
    let cases = cases();
    let batch: Vec<_> = cases.iter().map(Case::request).collect();
    // One batch has one response code, and each vector its own.
    for (position, case) in cases.iter().enumerate() {
        let arc = case.vector.arc.as_deref().map(bytes).unwrap_or_default();
        let sessions = sessions_for(&batch, arc);
        let accepted: Vec<_> = sessions.iter().map(Option::is_some).collect();
        assert_eq!(accepted, cases.iter().map(Case::accepted).collect::<Vec<_>>());
        let answer = sessions[position].as_ref().map(|session| hex::encode_upper(case.answer(session)));
        assert_eq!(answer, case.vector.arpc, "vector {}", case.vector.id);
    }
}

#[test]
fn a_vector_alone_is_decided_and_answered_as_expected() {
    for case in cases() {
        let arc = case.vector.arc.as_deref().map(bytes).unwrap_or_default();
        let session = sessions_for(&[case.request()], arc).remove(0);
        let answer = session.map(|session| hex::encode_upper(case.answer(&session)));
        assert_eq!(answer, case.vector.arpc, "vector {}", case.vector.id);
    }
}

#[test]
fn every_scheme_and_both_derivations_of_long_numbers_are_among_the_vectors() {
    let accepted: Vec<_> = cases().into_iter().filter(Case::accepted).collect();
    for scheme in Scheme::ALL {
        assert!(accepted.iter().any(|case| case.scheme == scheme), "{}", scheme.name());
    }
    for derivation in Derivation::ALL {
        let long = |case: &Case| case.scheme == Scheme::EmvCskTdes && case.vector.pan.len() > 16;
        assert!(accepted.iter().any(|case| long(case) && case.request().derivation == derivation));
    }
}

#[test]
fn every_single_bit_flip_of_a_cryptogram_is_refused() {
    for case in cases().iter().filter(|case| case.accepted()) {
        let request = case.request();
        let flips = (0..64).map(|bit| {
            let flipped = u64::from_be_bytes(request.cryptogram.0) ^ 1 << bit;
            Request { cryptogram: Cryptogram(flipped.to_be_bytes()), ..request }
        });
        let batch: Vec<_> = flips.collect();
        assert!(sessions(&batch).iter().all(Option::is_none), "vector {}", case.vector.id);
    }
}

#[test]
fn another_card_counter_or_signed_byte_is_refused() {
    for case in cases().iter().filter(|case| case.accepted()) {
        let request = case.request();
        let mut data = case.data.clone();
        data[0] ^= 1;
        let mut longer = case.data.clone();
        longer.push(0x80);
        let other_pan = Pan::new("9156000000000001").expect("a PAN");
        let other_number = SequenceNumber::new((request.sequence_number.get() + 1) % 100).expect("two digits");
        let batch = [
            Request { pan: other_pan, ..request },
            Request { sequence_number: other_number, ..request },
            Request { atc: request.atc ^ 1, ..request },
            Request { data: &data, ..request },
            Request { data: &longer, ..request },
        ];
        assert!(sessions(&batch).iter().all(Option::is_none), "vector {}", case.vector.id);
    }
}

#[test]
fn check_values_equal_those_of_the_vectors() {
    for case in cases() {
        let check_value = hex::encode_upper(case.key.check_value(case.scheme));
        assert_eq!(check_value, case.vector.issuer_master_key_kcv, "vector {}", case.vector.id);
    }
}

#[test]
fn method_2_is_refused_where_the_scheme_has_none_or_the_data_are_too_long() {
    for case in cases().iter().filter(|case| case.accepted()) {
        let session = sessions(&[case.request()]).remove(0).expect("accepted");
        let too_long = session.arpc_method_2([0; 4], &[0; 9]);
        match case.scheme {
            Scheme::PbocSm4 | Scheme::PbocTdes => {
                assert_eq!(too_long, Err(ArpcError::NoMethod2(case.scheme)));
                assert_eq!(session.arpc_method_2([0; 4], &[]), Err(ArpcError::NoMethod2(case.scheme)));
            }
            Scheme::EmvCskTdes | Scheme::EmvAes => assert_eq!(too_long, Err(ArpcError::AuthDataTooLong(9))),
        }
    }
}

#[test]
fn verdicts_of_an_earlier_batch_are_gone() {
    let cases = cases();
    let mut verdicts = Vec::new();
    let mut verifier = Verifier::new();
    verifier.verify(&[cases[0].request(), cases[1].request()], *b"00", &mut verdicts);
    verifier.verify(&[cases[2].request()], *b"00", &mut verdicts);
    assert_eq!(verdicts.len(), 1);
}

#[test]
fn nothing_secret_is_shown() {
    let cases = cases();
    let case = cases.iter().find(|case| case.accepted()).expect("an accepted vector");
    let mut verdicts = Vec::new();
    Verifier::new().verify(&[case.request()], *b"00", &mut verdicts);
    let shown = format!("{:?} {:?}", case.request(), verdicts[0]);
    assert!(shown.contains("MasterKey(hidden)") && shown.contains("Session { scheme: "), "{shown}");
    assert!(!shown.contains(&case.vector.pan), "{shown}");
}

#[test]
fn sessions_and_verifiers_may_move_to_another_thread() {
    const fn send<T: Send>() {}
    const { send::<Session>() };
    const { send::<Verifier>() };
}

#[test]
fn weak_keys_are_recognized() {
    for scheme in Scheme::ALL {
        assert!(MasterKey::new([0; 16]).is_weak(scheme), "{}", scheme.name());
        let equal_halves = MasterKey::new(bytes("0123456789ABCDEF0123456789ABCDEF"));
        assert_eq!(equal_halves.is_weak(scheme), scheme.is_tdes(), "{}", scheme.name());
    }
    assert!(cases().iter().all(|case| !case.key.is_weak(case.scheme)));
}

#[cfg(feature = "card")]
#[test]
fn the_chip_signs_what_the_vectors_say() {
    for case in cases().iter().filter(|case| case.accepted()) {
        let unsigned = Request { cryptogram: Cryptogram([0; 8]), ..case.request() };
        assert_eq!(medsettle_cryptogram::sign(&unsigned), case.request().cryptogram, "vector {}", case.vector.id);
    }
}
