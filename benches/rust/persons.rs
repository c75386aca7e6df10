//! What a person takes of memory, and whether a settlement costs more where there are many: the state of a hub alone, without journal.
//!
//! `PERSONS` people with a card, an account and accumulators of two years. At every power of ten from ten thousand on, and at the end:
//! `decide` and `apply` of a visit of people all over the table. At the end, when request ids of three days of two thousand are there as in
//! years of work: memory of the process for each person.

use medsettle_benches::Population;
use medsettle_benches::figures::{Floor, median, note};
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
        if point >= persons {
            let bytes = (resident_kib() - before_kib) as f64 * 1_024.0 / point as f64;
            println!("{point:>9} persons: {bytes:.0} bytes of memory each");
            note(&format!("memory of a person, {point} persons"), "bytes", &[bytes], None);
        }
        people.settle(VISITS);
        let visits: Vec<f64> = (0..RUNS).map(|_| people.settle(VISITS).as_secs_f64() * 1e6 / VISITS as f64).collect();
        if fewest.is_empty() {
            fewest.clone_from(&visits);
        }
        let (least, most) = visits.iter().fold((f64::MAX, 0.0), |(least, most), us| (us.min(least), us.max(most)));
        let median = median(&visits);
        println!("{point:>9} persons: decide+apply of a visit {median:.2} us ({least:.2}-{most:.2})");
        let floor = (point > FEWEST).then_some(Floor { name: "10000 persons", values: &fewest });
        note(&format!("decide+apply of a visit, {point} persons"), "us", &visits, floor);
    }
}
