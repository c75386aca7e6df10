//! No secret decides where the processor goes or what it reads: shown on the compiled code, by Valgrind.
//!
//! Memcheck follows every bit that was never written, and reports where one decides a jump or an address. The issuer's key is declared
//! such a bit pattern before a batch is verified, so that all derived from it counts as well. Only verdicts may decide anything; they
//! pass `made_public`. That the reports come at all is shown on the plain implementation, which looks up tables.
//!
//! `make secrets` runs it on the code as it ships. It needs `valgrind` with its `vgdb`, which makes the declaration from outside.
#![cfg(feature = "card")]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use medsettle_cryptogram::{
    Cryptogram, Derivation, MasterKey, Pan, Request, Scheme, SequenceNumber, Verifier, reference, sign,
};

/// Which implementation the other process uses, for how many cards of each scheme, and the file for which it waits.
const TASK: &str = "MEDSETTLE_HIDDEN_KEY_TASK";

#[test]
#[ignore = "needs valgrind, and the code as it ships: make secrets"]
fn only_verdicts_decide_where_the_processor_goes_or_what_it_reads() {
    for (width, _) in Verifier::of_every_width() {
        // Few cards, a word that is not full, and several words.
        for cards in [1, 3, 20, 70, 300] {
            assert_eq!(
                places_that_secrets_decide(width, cards),
                BTreeSet::new(),
                "{width}, {cards} cards of each scheme"
            );
        }
    }
}

#[test]
#[ignore = "needs valgrind: make secrets"]
fn a_lookup_in_a_table_would_be_reported() {
    let found = places_that_secrets_decide("reference", 1);
    assert!(found.iter().any(|place| place.contains("apply_sboxes")), "{found:?}");
}

/// Not a test of its own: what the others run under Valgrind.
#[test]
#[ignore = "the other tests start it"]
fn verify_with_a_hidden_key() {
    let Ok(task) = std::env::var(TASK) else { return };
    let [how, cards, flag] = task.split(' ').collect::<Vec<_>>().try_into().expect("three words");
    let key = Box::new(MasterKey::new([0x5B; 16]));
    let numbers = 0..cards.parse::<usize>().expect("a number");
    let batch: Vec<_> = Scheme::ALL
        .into_iter()
        .flat_map(|scheme| numbers.clone().map(move |number| (scheme, number)))
        .map(|(scheme, number)| request(scheme, &key, number))
        .collect();
    println!("the key is at {:p}", key.expose());
    // Declared from outside while the process is running; in a system call it could not be.
    while !Path::new(flag).exists() {
        (0..1_000).for_each(|number| {
            black_box(number);
        });
    }
    let mut verdicts = Vec::new();
    match Verifier::of_every_width().into_iter().find(|(width, _)| *width == how) {
        Some((_, mut verifier)) => verifier.verify(&batch, *b"00", &mut verdicts),
        None => reference::verify(&batch, *b"00", &mut verdicts),
    }
    assert_eq!(verdicts.len(), batch.len());
}

/// Verify in another process under Valgrind, and return every place where a bit of the key decided, but for verdicts.
fn places_that_secrets_decide(how: &str, cards: usize) -> BTreeSet<String> {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (flag, log) = (folder.path().join("flag"), folder.path().join("log"));
    let mut child = Command::new("valgrind")
        .args(["--vgdb=yes", "--error-limit=no", "--num-callers=40"])
        .arg(format!("--log-file={}", log.display()))
        .arg(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "verify_with_a_hidden_key", "--nocapture", "--test-threads=1"])
        .env(TASK, format!("{how} {cards} {}", flag.display()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("valgrind is installed");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.split_once("the key is at ").map(|(_, address)| address.to_owned()));
    let address = address.expect("the other process tells where its key is");
    let declared = Command::new("vgdb")
        .arg(format!("--pid={}", child.id()))
        .args(["make_memory", "undefined", &address, "16"])
        .output()
        .expect("vgdb comes with valgrind");
    assert!(declared.status.success(), "{declared:?}");
    std::fs::write(&flag, "").expect("a scratch file");
    let _rest: Vec<_> = lines.collect();
    assert!(child.wait().expect("it ends").success());
    let report = std::fs::read_to_string(&log).expect("valgrind writes a log");
    assert!(report.contains("ERROR SUMMARY"), "{report}");
    reported_places(&report)
}

/// The innermost function of this crate in each report, unless its line makes a verdict public.
fn reported_places(report: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = report.lines().map(|line| line.split_once("== ").map_or("", |(_, rest)| rest)).collect();
    let starts = |line: &str| line.starts_with("Conditional jump") || line.starts_with("Use of uninit");
    let mut places = BTreeSet::new();
    for (position, line) in lines.iter().enumerate().filter(|(_, line)| starts(line)) {
        let frames: Vec<&str> = lines[position + 1..].iter().copied().take_while(|line| line.contains(": ")).collect();
        if !frames.iter().any(|frame| makes_public(frame)) {
            places.insert(format!("{line}: {}", frames.join(" <- ")));
        }
    }
    places
}

/// Whether a frame, `at 0x…: function (file.rs:12)`, is at a line that makes a verdict public.
fn makes_public(frame: &str) -> bool {
    let Some((_, place)) = frame.rsplit_once('(') else { return false };
    let Some((file, line)) = place.trim_end_matches(')').split_once(".rs:") else { return false };
    let Ok(line) = line.parse::<usize>() else { return false };
    let name = format!("{}.rs", file.rsplit('/').next().unwrap_or(file));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    ["", "few", "lanes"].iter().any(|folder| {
        let text = std::fs::read_to_string(source.join(folder).join(&name)).unwrap_or_default();
        line.checked_sub(1).and_then(|above| text.lines().nth(above)).is_some_and(|line| line.contains("made_public("))
    })
}

fn request(scheme: Scheme, key: &MasterKey, number: usize) -> Request<'_> {
    let unsigned = Request {
        scheme,
        derivation: Derivation::ByPanLength,
        key,
        pan: Pan::new(&format!("9156{number:012}")).expect("16 digits"),
        sequence_number: SequenceNumber::new(0).expect("two digits"),
        atc: u16::try_from(number).expect("small"),
        data: &[0x31; 37],
        cryptogram: Cryptogram([0; 8]),
    };
    Request { cryptogram: sign(&unsigned), ..unsigned }
}
