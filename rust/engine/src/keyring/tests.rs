//! What the key ring promises: nothing secret shows, nothing can be edited, two writers lose nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

struct Scratch {
    directory: TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a scratch directory") }
    }

    fn ring(&self) -> PathBuf {
        self.directory.path().join("keys.json")
    }

    /// An empty ring under `kek(1)`.
    fn with_ring() -> Self {
        let scratch = Self::new();
        KeyRing::create(&scratch.ring(), &kek(1)).expect("a new ring");
        scratch
    }

    fn import(&self, attributes: KeyAttributes, key: &str) -> Result<[u8; 3], KeyRingError> {
        KeyRing::import(&self.ring(), &kek(1), attributes, &components(key))
    }

    fn load(&self) -> KeyRing {
        KeyRing::load(&self.ring(), &kek(1)).expect("a ring that opens")
    }

    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut file = serde_json::from_slice(&fs::read(self.ring()).expect("a ring")).expect("JSON");
        change(&mut file);
        fs::write(self.ring(), file.to_string()).expect("written");
    }
}

fn kek(byte: u8) -> Kek {
    let scratch = Scratch::new();
    let path = scratch.directory.path().join("kek");
    fs::write(&path, format!("{}\n", hex::encode([byte; 32]))).expect("written");
    Kek::from_file(&path).expect("64 digits")
}

fn passphrase(text: &str) -> Kek {
    Kek::from_passphrase(text.to_owned()).expect("long enough")
}

fn attributes(scheme: Scheme, key_index: u8, from: &str, to: &str) -> KeyAttributes {
    KeyAttributes {
        issuer: "330100".to_owned(),
        scheme,
        key_index,
        pan_range: PanRange::new(from, to).expect("a range"),
        derivation: Derivation::default(),
    }
}

/// Split a key into two components.
fn components(key: &str) -> [MasterKey; 2] {
    let mut bytes = [0; 16];
    hex::decode_to_slice(key, &mut bytes).expect("16 bytes");
    let mask = [0x5A, 0xC3, 0x17, 0x88, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let masked = std::array::from_fn(|place| bytes[place] ^ mask[place]);
    [MasterKey::new(mask), MasterKey::new(masked)]
}

fn pan(text: &str) -> Pan {
    Pan::new(text).expect("a PAN")
}

/// One master key of each scheme with its check value, from the cryptogram vectors.
const KEYS: [(Scheme, &str, &str); 4] = [
    (Scheme::PbocSm4, "66982A332DA61217F47EBFB68D01A2B9", "E54746"),
    (Scheme::PbocTdes, "0DC1D0C8613252F792EFC175A7A12675", "E970A0"),
    (Scheme::EmvCskTdes, "73C2A45E91199B1C4A1AF71C37759185", "532F11"),
    (Scheme::EmvAes, "5F3ABC0FD3B73CC410E24445DA7EB766", "BBD44C"),
];

#[test]
fn imported_keys_have_the_check_values_of_the_vectors() {
    let scratch = Scratch::with_ring();
    for (key_index, (scheme, key, check_value)) in (0..).zip(KEYS) {
        let returned = scratch.import(attributes(scheme, key_index, "9156", "9156"), key).expect("imported");
        assert_eq!(hex::encode_upper(returned), check_value);
    }
    let ring = scratch.load();
    assert_eq!(ring.issuers().len(), KEYS.len());
    for (loaded, (scheme, key, check_value)) in ring.issuers().zip(KEYS) {
        assert_eq!(loaded.attributes().scheme, scheme);
        assert_eq!(hex::encode_upper(loaded.check_value()), check_value);
        assert_eq!(hex::encode_upper(loaded.master_key().expose()), key);
    }
}

#[test]
fn generated_keys_differ_and_tdes_keys_have_odd_parity() {
    let scratch = Scratch::with_ring();
    for (key_index, scheme) in (0..).zip(Scheme::ALL.into_iter().chain(Scheme::ALL)) {
        let attributes = attributes(scheme, key_index, "9156", "9156");
        KeyRing::generate(&scratch.ring(), &kek(1), attributes).expect("generated");
    }
    let ring = scratch.load();
    let mut seen: Vec<_> = ring.issuers().map(|key| *key.master_key().expose()).collect();
    for key in ring.issuers().filter(|key| key.attributes().scheme.is_tdes()) {
        assert!(key.master_key().expose().iter().all(|byte| byte.count_ones() % 2 == 1));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 8);
}

#[test]
fn three_components_combine_and_their_parity_is_mended() {
    let scratch = Scratch::with_ring();
    let parts = [[0x11; 16], [0x22; 16], [0x40; 16]].map(|mut bytes| {
        bytes[0] ^= 0x08;
        MasterKey::new(bytes)
    });
    let attributes = attributes(Scheme::PbocTdes, 1, "9156", "9156");
    KeyRing::import(&scratch.ring(), &kek(1), attributes, &parts).expect("imported");
    let mut combined = [0x73; 16];
    combined[0] = 0x7A; // 11 ^ 22 ^ 40 ^ 08 = 7B, which has an even number of bits.
    assert_eq!(scratch.load().issuers().next().expect("one").master_key().expose(), &combined);
}

#[test]
fn one_or_four_components_are_refused() {
    let scratch = Scratch::with_ring();
    for count in [0, 1, 4] {
        let parts: Vec<_> = (1..=count).map(|byte| MasterKey::new([byte; 16])).collect();
        let attributes = attributes(Scheme::EmvAes, 1, "9156", "9156");
        let refused = KeyRing::import(&scratch.ring(), &kek(1), attributes, &parts);
        let reason = KeyRefused::Components(usize::from(count));
        assert!(matches!(refused, Err(KeyRingError::Refused { reason: found, .. }) if found == reason));
    }
}

#[test]
fn components_that_cancel_out_are_refused() {
    let scratch = Scratch::with_ring();
    let refused = scratch.import(attributes(Scheme::PbocSm4, 1, "9156", "9156"), &"00".repeat(16));
    assert!(matches!(refused, Err(KeyRingError::Refused { reason: KeyRefused::WeakKey, .. })));
    assert_eq!(scratch.load().issuers().len(), 0);
}

#[test]
fn a_key_is_found_only_by_its_range_its_index_and_its_scheme() {
    let scratch = Scratch::with_ring();
    let [(sm4, sm4_key, _), (tdes, tdes_key, _), _, (aes, aes_key, _)] = KEYS;
    scratch.import(attributes(sm4, 3, "9156", "9157"), sm4_key).expect("imported");
    scratch.import(attributes(aes, 3, "915801", "915805"), aes_key).expect("imported");
    scratch.import(attributes(tdes, 2, "91560", "91561"), tdes_key).expect("imported");
    let ring = scratch.load();
    let found = |digits, scheme, index| ring.find(&pan(digits), scheme, index).map(|key| key.attributes().scheme);

    assert_eq!(found("9156000000000000", sm4, 3), Some(sm4));
    assert_eq!(found("9157999999999999999", sm4, 3), Some(sm4));
    assert_eq!(found("9158010000000000", aes, 3), Some(aes));
    assert_eq!(found("9158059999999999", aes, 3), Some(aes));
    assert_eq!(found("9156199999999999", tdes, 2), Some(tdes));

    assert_eq!(found("9155999999999999", sm4, 3), None, "before the range");
    assert_eq!(found("9158000000000000", sm4, 3), None, "between the ranges");
    assert_eq!(found("9158060000000000", aes, 3), None, "after the range");
    assert_eq!(found("9156200000000000", tdes, 2), None, "after the range of that index");
    assert_eq!(found("9156000000000000", tdes, 3), None, "another scheme");
    assert_eq!(found("9156000000000000", sm4, 2), None, "the scheme of another index");
    assert_eq!(found("9156000000000000", sm4, 4), None, "an index without keys");
}

#[test]
fn overlapping_ranges_of_one_index_are_refused_whatever_their_scheme() {
    let scratch = Scratch::with_ring();
    let [(sm4, sm4_key, _), (tdes, tdes_key, _), ..] = KEYS;
    scratch.import(attributes(sm4, 1, "915610", "915620"), sm4_key).expect("imported");
    for (from, to) in [("915610", "915610"), ("9156", "9156"), ("91562099", "91562100"), ("915500", "915610")] {
        let refused = scratch.import(attributes(tdes, 1, from, to), tdes_key);
        let overlap =
            |reason: &KeyRefused| matches!(reason, KeyRefused::Overlap { other } if other.contains("PBOC_SM4"));
        assert!(matches!(&refused, Err(KeyRingError::Refused { reason, .. }) if overlap(reason)), "{from} {refused:?}");
    }
    for (index, from, to) in [(2, "9156", "9156"), (1, "91562100", "91562199"), (1, "915000", "915609")] {
        scratch.import(attributes(tdes, index, from, to), tdes_key).expect("no overlap");
    }
}

#[test]
fn attributes_that_make_no_sense_are_refused() {
    for (from, to) in
        [("", ""), ("9156", "915"), ("9157", "9156"), ("91a6", "9156"), ("9156000000001", "9156000000002")]
    {
        assert!(matches!(PanRange::new(from, to), Err(KeyRefused::PanRange { .. })), "{from} {to}");
    }
    let scratch = Scratch::with_ring();
    let (_, key, _) = KEYS[0];
    let valid = attributes(Scheme::PbocSm4, 1, "9156", "9156");
    for issuer in ["", "a|b", "杭州", &"x".repeat(33)] {
        let refused = scratch.import(KeyAttributes { issuer: issuer.to_owned(), ..valid.clone() }, key);
        assert!(matches!(refused, Err(KeyRingError::Refused { reason: KeyRefused::Issuer, .. })), "{issuer}");
    }
    let refused = scratch.import(KeyAttributes { derivation: Derivation::OptionA, ..valid }, key);
    assert!(matches!(refused, Err(KeyRingError::Refused { reason: KeyRefused::Derivation { .. }, .. })));
}

#[test]
fn another_key_encryption_key_is_refused_even_by_an_empty_ring() {
    let scratch = Scratch::with_ring();
    let refused = KeyRing::load(&scratch.ring(), &kek(2));
    assert!(matches!(refused, Err(KeyRingError::WrongKek { .. })));
    let refused = KeyRing::generate(&scratch.ring(), &kek(2), attributes(Scheme::EmvAes, 1, "9156", "9156"));
    assert!(matches!(refused, Err(KeyRingError::WrongKek { .. })));
    let refused = KeyRing::load(&scratch.ring(), &passphrase("correct horse battery"));
    assert!(matches!(refused, Err(KeyRingError::OtherKindOfKek { .. })));
}

#[test]
fn no_attribute_of_an_entry_can_be_edited() {
    let (_, key, _) = KEYS[2];
    let edits = [
        ("purpose", json!("PIN")),
        ("issuer", json!("330200")),
        ("scheme", json!("PBOC_TDES")),
        ("key_index", json!(2)),
        ("pan_from", json!("9155")),
        ("pan_to", json!("9157")),
        ("derivation", json!("OPTION_A")),
        ("check_value", json!("532F12")),
        ("nonce", json!("00".repeat(12))),
        ("wrapped_key", json!("00".repeat(32))),
        ("wrapped_key", json!("")),
    ];
    for (field, value) in edits {
        let scratch = Scratch::with_ring();
        scratch.import(attributes(Scheme::EmvCskTdes, 1, "9156", "9156"), key).expect("imported");
        scratch.edit(|file| {
            let entry = file["entries"][0].as_object_mut().expect("an entry");
            assert!(entry.insert(field.to_owned(), value).is_some(), "{field} is a field");
        });
        let refused = KeyRing::load(&scratch.ring(), &kek(1)).expect_err(field);
        assert!(matches!(refused, KeyRingError::DamagedEntry { .. }), "{field}: {refused}");
        assert!(refused.to_string().contains("keys.json") && refused.to_string().contains("index"), "{refused}");
    }
}

#[test]
fn an_entry_that_stands_twice_or_says_more_than_is_known_is_refused() {
    let (scheme, key, _) = KEYS[0];
    let scratch = Scratch::with_ring();
    scratch.import(attributes(scheme, 1, "9156", "9156"), key).expect("imported");
    scratch.edit(|file| {
        let entry = file["entries"][0].clone();
        file["entries"].as_array_mut().expect("entries").push(entry);
    });
    let refused = KeyRing::load(&scratch.ring(), &kek(1));
    assert!(matches!(refused, Err(KeyRingError::Refused { reason: KeyRefused::Overlap { .. }, .. })));
    scratch.edit(|file| file["entries"][1]["note"] = json!("unbound"));
    assert!(matches!(KeyRing::load(&scratch.ring(), &kek(1)), Err(KeyRingError::Format { .. })));
}

#[test]
fn another_version_is_refused() {
    let scratch = Scratch::with_ring();
    scratch.edit(|file| file["version"] = json!(2));
    assert!(matches!(KeyRing::load(&scratch.ring(), &kek(1)), Err(KeyRingError::Format { .. })));
}

#[test]
fn after_rotation_only_the_new_key_opens_the_same_keys() {
    let scratch = Scratch::with_ring();
    for (key_index, (scheme, key, _)) in (0..).zip(KEYS) {
        scratch.import(attributes(scheme, key_index, "9156", "9156"), key).expect("imported");
    }
    let new = passphrase("correct horse battery");
    KeyRing::rotate(&scratch.ring(), &kek(1), &new).expect("rotated");
    assert!(matches!(KeyRing::load(&scratch.ring(), &kek(1)), Err(KeyRingError::OtherKindOfKek { .. })));
    let wrong = passphrase("correct horse battered");
    assert!(matches!(KeyRing::load(&scratch.ring(), &wrong), Err(KeyRingError::WrongKek { .. })));
    let ring = KeyRing::load(&scratch.ring(), &new).expect("opens");
    let keys: Vec<_> = ring.issuers().map(|key| hex::encode_upper(key.master_key().expose())).collect();
    assert_eq!(keys, KEYS.map(|(_, key, _)| key));

    scratch.edit(|file| file["kek"]["passes"] = json!(1));
    assert!(matches!(KeyRing::load(&scratch.ring(), &new), Err(KeyRingError::WrongKek { .. })), "cheaper parameters");
    scratch.edit(|file| file["kek"]["memory_kib"] = json!(u32::MAX));
    assert!(matches!(KeyRing::load(&scratch.ring(), &new), Err(KeyRingError::Format { .. })), "costly parameters");
}

#[test]
fn a_ring_is_private_to_its_owner_and_never_overwritten_by_a_new_one() {
    let scratch = Scratch::with_ring();
    let (scheme, key, _) = KEYS[0];
    let mode = || fs::metadata(scratch.ring()).expect("a ring").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    scratch.import(attributes(scheme, 1, "9156", "9156"), key).expect("imported");
    assert_eq!(mode(), 0o600);
    assert!(matches!(KeyRing::create(&scratch.ring(), &kek(1)), Err(KeyRingError::Io { .. })));
    assert_eq!(scratch.load().issuers().len(), 1);
    assert_eq!(fs::read_dir(scratch.directory.path()).expect("listed").count(), 1, "nothing is left beside it");
}

#[test]
fn keys_added_at_the_same_time_are_all_there() {
    let scratch = Scratch::with_ring();
    std::thread::scope(|scope| {
        for key_index in 0..8 {
            let path = scratch.ring();
            scope.spawn(move || {
                let attributes = attributes(Scheme::PbocSm4, key_index, "9156", "9156");
                KeyRing::generate(&path, &kek(1), attributes).expect("generated");
            });
        }
    });
    assert_eq!(scratch.load().issuers().len(), 8);
}

#[test]
fn a_malformed_key_encryption_key_names_its_origin_and_nothing_else() {
    let scratch = Scratch::new();
    let path = scratch.directory.path().join("kek");
    for text in ["", "00112233", &"zz".repeat(32), &"ab".repeat(33)] {
        fs::write(&path, text).expect("written");
        let message = Kek::from_file(&path).expect_err("malformed").to_string();
        assert!(message.contains("kek: a key-encryption key is written as 64"), "{message}");
        assert!(text.is_empty() || !message.contains(text), "{message}");
    }
    assert!(matches!(Kek::from_env("MEDSETTLE_TEST_KEK_NOT_SET"), Err(KeyRingError::KekNotSet(_))));
    // Whatever the machine, this variable is set and is no key.
    assert!(matches!(Kek::from_env("PATH"), Err(KeyRingError::MalformedKek { .. })));
    assert!(matches!(Kek::from_passphrase("hunter2".to_owned()), Err(KeyRingError::ShortPassphrase { .. })));
}

#[test]
fn nothing_secret_is_shown_or_stored() {
    let scratch = Scratch::with_ring();
    let (scheme, key, _) = KEYS[0];
    scratch.import(attributes(scheme, 1, "9156", "9156"), key).expect("imported");
    let ring = scratch.load();
    let raw = format!("{:?}", ring.issuers().next().expect("one").master_key().expose());
    let shown = format!("{ring:?} {ring:#?} {:?}", kek(1));
    let stored = fs::read_to_string(scratch.ring()).expect("a ring");
    for text in [&shown, &stored] {
        assert!(!text.to_uppercase().contains(key) && !text.contains(&raw), "{text}");
    }
    assert!(shown.contains("MasterKey(hidden)") && shown.contains("Kek(hidden)"), "{shown}");
}
