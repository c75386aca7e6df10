//! What a benchmark on real files asks of its process and of the disk.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Memory of this process that is in use, in MiB.
pub fn resident_mib() -> u64 {
    resident_kib() >> 10
}

/// The same in KiB.
pub fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

/// A directory that is taken away again, on the file system that `MEDSETTLE_BENCH_DIR` names or where temporary files are.
pub fn scratch() -> tempfile::TempDir {
    match std::env::var_os("MEDSETTLE_BENCH_DIR") {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }
    .expect("a scratch directory")
}

/// Processor time of the threads of this process, by name.
pub fn thread_times() -> BTreeMap<String, Duration> {
    let mut times = BTreeMap::<String, Duration>::new();
    for task in fs::read_dir("/proc/self/task").expect("Linux") {
        let task = task.expect("a thread").path();
        // A thread may end between the listing and the reading.
        let (Ok(name), Ok(spent)) = (fs::read_to_string(task.join("comm")), fs::read_to_string(task.join("schedstat")))
        else {
            continue;
        };
        let nanos = spent.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number");
        *times.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(nanos);
    }
    times
}
