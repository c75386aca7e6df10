//! Every width of words gives the verdicts and answers of a plain implementation with other crates' block ciphers.
#![cfg(feature = "card")]

use medsettle_cryptogram::{
    Cryptogram, Derivation, MasterKey, Pan, Request, Scheme, SequenceNumber, Verdict, Verifier, reference, sign,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Around one lane, the words of every width, and the cards that stand side by side in AES.
const SIZES: [usize; 16] = [1, 2, 3, 4, 31, 32, 33, 63, 64, 65, 127, 255, 256, 257, 511, 513];

/// What a request borrows, and what is wrong with it.
#[derive(Clone, Debug)]
struct Card {
    scheme: Scheme,
    derivation: Derivation,
    key: usize,
    pan: Pan,
    sequence_number: u8,
    atc: u16,
    data: Vec<u8>,
    /// By what the cryptogram differs from the right one.
    error: u64,
}

impl Card {
    fn request<'a>(&'a self, keys: &'a [MasterKey]) -> Request<'a> {
        let unsigned = Request {
            scheme: self.scheme,
            derivation: self.derivation,
            key: &keys[self.key],
            pan: self.pan,
            sequence_number: SequenceNumber::new(self.sequence_number).expect("two digits"),
            atc: self.atc,
            data: &self.data,
            cryptogram: Cryptogram([0; 8]),
        };
        let right = u64::from_be_bytes(sign(&unsigned).0);
        Request { cryptogram: Cryptogram((right ^ self.error).to_be_bytes()), ..unsigned }
    }
}

/// Three keys of issuers, so that neighbours have the same one and others.
fn keys() -> impl Strategy<Value = Vec<MasterKey>> {
    prop::collection::vec(any::<[u8; 16]>().prop_map(MasterKey::new), 3)
}

fn card(schemes: &'static [Scheme], lengths: impl Strategy<Value = usize> + 'static) -> impl Strategy<Value = Card> {
    let data = lengths.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length));
    let pan = "[0-9]{12,19}".prop_map(|text| Pan::new(&text).expect("12 to 19 digits"));
    // Half of the cryptograms are wrong, by one bit or by any.
    let error = prop_oneof![2 => Just(0), 1 => (0..64_u32).prop_map(|bit| 1 << bit), 1 => 1..u64::MAX];
    let drawn = (select(schemes), select(&Derivation::ALL), 0..3_usize, pan, 0..100_u8, any::<u16>(), data, error);
    drawn.prop_map(|(scheme, derivation, key, pan, sequence_number, atc, data, error)| Card {
        scheme,
        derivation,
        key,
        pan,
        sequence_number,
        atc,
        data,
        error,
    })
}

/// A verdict as what can be compared: nothing, or both answers.
type Shown = Option<([u8; 8], Option<[u8; 4]>)>;

fn shown(verdicts: Vec<Verdict>) -> Vec<Shown> {
    let show = |verdict| match verdict {
        Verdict::Valid(session) => {
            Some((session.arpc_method_1(), session.arpc_method_2([1, 2, 3, 4], &[5, 6, 7, 8, 9]).ok()))
        }
        Verdict::Invalid => None,
    };
    verdicts.into_iter().map(show).collect()
}

fn assert_all_agree(batch: &[Request<'_>], arc: [u8; 2]) {
    let mut verdicts = Vec::new();
    reference::verify(batch, arc, &mut verdicts);
    let expected = shown(verdicts);
    for (name, mut verifier) in Verifier::of_every_width() {
        // What is left of an earlier batch must not matter.
        for _ in 0..2 {
            let mut verdicts = Vec::new();
            verifier.verify(batch, arc, &mut verdicts);
            let found = shown(verdicts);
            let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
            assert_eq!(differs, None, "{name}: {:?}", differs.map(|position| &batch[position]));
            assert_eq!(found.len(), expected.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mixed_batches_of_every_size_are_decided_as_one_by_one(
        size in select(&SIZES[..]),
        keys in keys(),
        cards in prop::collection::vec(card(&Scheme::ALL, select(&[0_usize, 7, 8, 15, 16, 17, 33, 37, 64][..])), 513),
        arc in any::<[u8; 2]>(),
    ) {
        let batch: Vec<_> = cards[..size].iter().map(|card| card.request(&keys)).collect();
        assert_all_agree(&batch, arc);
    }

    #[test]
    fn batches_of_some_schemes_are_decided_as_one_by_one(
        schemes in subsequence(&Scheme::ALL[..], 1..=2),
        keys in keys(),
        cards in prop::collection::vec(card(&Scheme::ALL, 33..38_usize), 140),
        arc in any::<[u8; 2]>(),
    ) {
        let of_these = cards.iter().filter(|card| schemes.contains(&card.scheme));
        let batch: Vec<_> = of_these.map(|card| card.request(&keys)).collect();
        assert_all_agree(&batch, arc);
    }
}

/// As the batches of a hub are: one scheme, one length of data, every word full or not.
#[test]
fn one_wrong_cryptogram_is_found_in_any_lane() {
    let key = MasterKey::new([0x5B; 16]);
    for scheme in Scheme::ALL {
        let mut batch: Vec<_> = (0..600_u16).map(|atc| plain_request(scheme, &key, atc)).collect();
        for (name, mut verifier) in Verifier::of_every_width() {
            let mut verdicts = Vec::new();
            for wrong in (0..600).step_by(7) {
                let right = std::mem::replace(&mut batch[wrong].cryptogram, Cryptogram([0x99; 8]));
                verifier.verify(&batch, *b"00", &mut verdicts);
                let invalid = |verdict: &Verdict| matches!(verdict, Verdict::Invalid);
                let found: Vec<_> = (0..600).filter(|position| invalid(&verdicts[*position])).collect();
                assert_eq!(found, [wrong], "{name}, {}", scheme.name());
                batch[wrong].cryptogram = right;
            }
        }
    }
}

#[test]
fn an_empty_batch_has_no_verdicts() {
    for (_, mut verifier) in Verifier::of_every_width() {
        let mut verdicts = vec![Verdict::Invalid];
        verifier.verify(&[], *b"00", &mut verdicts);
        assert!(verdicts.is_empty());
    }
}

#[test]
fn a_batch_of_one_width_is_as_good_as_of_another_size() {
    let key = MasterKey::new([0xC4; 16]);
    for scheme in Scheme::ALL {
        for size in SIZES {
            let batch: Vec<_> =
                (0..u16::try_from(size).expect("small")).map(|atc| plain_request(scheme, &key, atc)).collect();
            assert_all_agree(&batch, *b"Z3");
        }
    }
}

fn plain_request(scheme: Scheme, key: &MasterKey, atc: u16) -> Request<'_> {
    let unsigned = Request {
        scheme,
        derivation: Derivation::ByPanLength,
        key,
        pan: Pan::new(&format!("9156{atc:012}")).expect("16 digits"),
        sequence_number: SequenceNumber::new(0).expect("two digits"),
        atc,
        data: &[0x31; 37],
        cryptogram: Cryptogram([0; 8]),
    };
    Request { cryptogram: sign(&unsigned), ..unsigned }
}
