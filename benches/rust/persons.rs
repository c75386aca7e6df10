//! What a person takes of memory, and whether a settlement costs more where there are many: the state of a hub alone, without journal.
//!
//! `PERSONS` people with a card, an account and accumulators of two years. At every power of ten from ten thousand on, and at the end:
//! memory of the process for each, and `decide` and `apply` of a visit of people all over the table.

use medsettle_benches::Population;
use medsettle_benches::figures::{Floor, note};
use medsettle_benches::process::resident_kib;

/// From here on what the process has anyhow is little beside its people.
const FEWEST: u64 = 10_000;
/// Visits that are timed together; each person has one in a run.
const VISITS: u64 = 5_000;
const RUNS: usize = 5;

#[expect(clippy::cast_precision_loss, reason = "a handful of digits is shown")]
fn main() {
    let persons: u64 = std::env::var("PERSONS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let powers = (4..).map(|exponent| 10_u64.pow(exponent)).take_while(|&power| power < persons);
    let points: Vec<u64> = powers.chain([persons.max(FEWEST)]).collect();
    let mut people = Population::begin(persons);
    let before_kib = resident_kib();
    let mut fewest = Vec::new();
    for point in points {
        people.grow(point);
        let bytes = (resident_kib() - before_kib) as f64 * 1_024.0 / point as f64;
        let visits: Vec<f64> = (0..RUNS).map(|_| people.settle(VISITS).as_secs_f64() * 1e6 / VISITS as f64).collect();
        if fewest.is_empty() {
            fewest.clone_from(&visits);
        }
        let mut sorted = visits.clone();
        sorted.sort_by(f64::total_cmp);
        println!(
            "{point:>9} persons: {bytes:>5.0} bytes each; decide+apply of a visit {:.2} us ({:.2}-{:.2})",
            sorted[RUNS / 2],
            sorted[0],
            sorted[RUNS - 1]
        );
        note(&format!("memory of a person, {point} persons"), "bytes", &[bytes], None);
        let floor = (point > FEWEST).then_some(Floor { name: "10000 persons", values: &fewest });
        note(&format!("decide+apply of a visit, {point} persons"), "us", &visits, floor);
    }
}
