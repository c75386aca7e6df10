//! What a hub keeps in memory of one insured person, and of one request id of the window.
//!
//! `PERSONS` persons, each with a card in use, money, two years of sums and every index. They come in so slowly that the window holds few of
//! their requests; after that, requests alone come in at one moment.

use std::time::Instant;

use medsettle_benches::Ward;
use medsettle_benches::process::resident_bytes;

/// Requests of a person until there is nothing left to be had.
const REQUESTS_EACH: i64 = 8;
/// Ids that the window holds while persons come in.
const IN_WINDOW: i64 = 100_000;
const WINDOW_MS: i64 = 72 * 3_600_000;

fn main() {
    let persons: u64 = std::env::var("PERSONS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let mut ward = Ward::with_patients(0);
    // The window is full, and the allocator has what it needs for it, before anything is counted.
    let first = u64::try_from(IN_WINDOW / REQUESTS_EACH).expect("a count");
    let insure = |ward: &mut Ward, numbers: std::ops::RangeInclusive<u64>| {
        numbers.for_each(|number| ward.insure(number, WINDOW_MS / IN_WINDOW));
    };
    insure(&mut ward, 1..=first);
    let (before, start) = (resident_bytes(), Instant::now());
    insure(&mut ward, first + 1..=first + persons);
    let each = (resident_bytes() - before) / persons;
    println!("{persons} persons in {:?}: {each} bytes each (at most 512)", start.elapsed());
    let before = resident_bytes();
    let more = persons / 10;
    for number in 1..=more {
        ward.insure(first + persons + number, 0);
    }
    let of_requests = (resident_bytes() - before).saturating_sub(more * each) / (more * REQUESTS_EACH.unsigned_abs());
    println!("{} request ids: {of_requests} bytes each", more * REQUESTS_EACH.unsigned_abs());
}
