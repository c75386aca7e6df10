//! The corpus of the fuzz targets as ordinary tests: what once broke a rule, or comes close to one, is tried on every run.

use std::path::Path;

#[path = "../../fuzz/checks.rs"]
mod checks;

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut tried = 0;
    for entry in std::fs::read_dir(&corpus).expect("the corpus is there") {
        let path = entry.expect("listed").path();
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("read"));
        tried += 1;
    }
    assert!(tried >= 5, "{} holds {tried} inputs", corpus.display());
}

#[test]
fn every_request_of_the_corpus_is_refused_or_understood() {
    replay("request", checks::request);
}

#[test]
fn every_body_of_the_corpus_is_refused_or_read_whole() {
    replay("record", checks::record);
}

#[test]
fn every_header_of_the_corpus_is_refused_or_written_as_it_was_read() {
    replay("frame", checks::frame);
}

#[test]
fn every_journal_of_the_corpus_is_refused_or_opens_with_what_was_written() {
    replay("recovery", checks::recovery);
}
