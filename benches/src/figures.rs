//! Figures in the one form that all benchmarks share, noted in the file that `MEDSETTLE_BENCH_FIGURES` names.
//!
//! Owns the lines that benchmarks in Rust write; the form is that of `benches/python/figures.py`, which reads them.
//! Invariant: a ratio is formed run by run, with a floor that was measured in the same run.

use std::fs::{self, OpenOptions};
use std::io::Write;

use serde_json::{Value, json};

/// What a figure is compared with: its name, and its value beside every run, or one for all.
#[derive(Clone, Copy)]
pub struct Floor<'a> {
    /// What it is.
    pub name: &'a str,
    /// In the unit of the figure.
    pub values: &'a [f64],
}

/// Append a figure to the file, where there is one.
pub fn note(name: &str, unit: &str, values: &[f64], floor: Option<Floor<'_>>) {
    let Some(file) = std::env::var_os("MEDSETTLE_BENCH_FIGURES") else { return };
    let ratios = floor.map(|floor| {
        let beside = |run: usize| floor.values[if floor.values.len() == 1 { 0 } else { run }];
        values.iter().enumerate().map(|(run, value)| value / beside(run)).collect::<Vec<_>>()
    });
    let figure = json!({
        "name": name,
        "unit": unit,
        "value": spread(values),
        "runs": values.len(),
        "floor": floor.map_or("", |floor| floor.name),
        "floor_value": floor.map(|floor| spread(floor.values)),
        "ratio": ratios.map(|ratios| spread(&ratios)),
        "machine": machine(),
    });
    let mut lines = OpenOptions::new().create(true).append(true).open(file).expect("a file for figures");
    writeln!(lines, "{figure}").expect("a figure is noted");
}

/// Of so many runs the noise is as far as the farthest lies from the median; of more it is three standard errors of the median.
const FEW_RUNS: usize = 5;

/// Standard error of the median of one run, in median absolute deviations.
const ERROR_OF_MEDIAN: f64 = 1.4826 * 1.2533;

#[expect(clippy::cast_precision_loss, reason = "runs are few")]
fn spread(values: &[f64]) -> Value {
    let median = median(values);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let noise = if values.len() <= FEW_RUNS {
        (most - median).max(median - least)
    } else {
        let deviations: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
        3.0 * ERROR_OF_MEDIAN * self::median(&deviations) / (values.len() as f64).sqrt()
    };
    json!({ "median": median, "least": least, "most": most, "noise": noise })
}

/// The middle of some runs.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[half - 1], sorted[half]) } else { sorted[half] }
}

/// The processor, its cores, the kernel and what else is running; the file system is in the lines of those who use one.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}, load {load}", read("/proc/sys/kernel/osrelease").trim())
}
