//! Commits of the journal beside bare `fdatasync` on the same file system, in turns of the same run.
//!
//! The floor writes the same number of bytes to a zero-filled file of its own and syncs after each write. A disk that others use changes
//! its pace from second to second, so the two take turns after a few commits, and the figure is the median of what turns differ by.
//! `MEDSETTLE_BENCH_DIR` chooses the file system; the default is the directory for temporary files.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use medsettle_benches::figures::{Floor, median, note};
use medsettle_benches::process::scratch;
use medsettle_engine::halt::Halt;
use medsettle_engine::journal::{Appended, HubId, JournalPort};
use medsettle_engine::recovery::{Opened, Options, open};
use medsettle_engine::storage::DataDirectory;

/// The journal goes on to its next segment as in a hub; the floor begins its file again.
const FILE_LEN: u64 = 64 << 20;
const BODY_LENS: [usize; 3] = [400, 16 << 10, 64 << 10];
const TURNS: usize = 60;
const COMMITS_OF_TURN: u32 = 20;

struct Journal {
    opened: Opened,
    body: Vec<u8>,
    buffer: Vec<u8>,
    frame_len: usize,
}

impl Journal {
    fn commit(&mut self) {
        let Self { opened, body, buffer, frame_len } = self;
        let tail = *opened.chain.tail();
        let frame = opened.chain.business(1, 0, tail.number, body, std::mem::take(buffer)).expect("the body fits");
        *frame_len = frame.bytes().len();
        assert_eq!(opened.journal.append(tail.epoch, tail.hash, &frame), Appended::Durable);
        *buffer = frame.into_buffer();
    }
}

struct Bare {
    file: File,
    bytes: Vec<u8>,
    offset: u64,
}

impl Bare {
    fn commit(&mut self) {
        let len = self.bytes.len() as u64;
        if self.offset + len > FILE_LEN {
            self.offset = 0;
        }
        self.file.write_all_at(black_box(&self.bytes), self.offset).expect("written");
        rustix::fs::fdatasync(&self.file).expect("synced");
        self.offset += len;
    }
}

fn zero_filled(path: &Path) -> File {
    let mut file = File::create_new(path).expect("created");
    let zeros = vec![0; 1 << 20];
    for _ in 0..FILE_LEN >> 20 {
        file.write_all(&zeros).expect("filled");
    }
    file.sync_all().expect("synced");
    file
}

fn turn(mut commit: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..COMMITS_OF_TURN).for_each(|_| commit());
    start.elapsed() / COMMITS_OF_TURN
}

fn main() {
    let directory = scratch();
    for body_len in BODY_LENS {
        let options = Options { segment_len: FILE_LEN, ..Options::new(HubId(1), 1) };
        let storage = Arc::new(DataDirectory::create(directory.path().join(format!("j{body_len}"))).expect("created"));
        let opened = open(storage, &options, Halt::default(), &mut |_| Ok(())).expect("opened");
        let mut journal = Journal { opened, body: vec![0x5A; body_len], buffer: Vec::new(), frame_len: 0 };
        journal.commit();
        let file = zero_filled(&directory.path().join(format!("f{body_len}")));
        let mut bare = Bare { file, bytes: vec![0x5A; journal.frame_len], offset: 0 };
        let turns: Vec<_> = (0..TURNS).map(|_| (turn(|| journal.commit()), turn(|| bare.commit()))).collect();
        let rate = |of: &Duration| 1.0 / of.as_secs_f64();
        let commits: Vec<_> = turns.iter().map(|(commit, _)| rate(commit)).collect();
        let bares: Vec<_> = turns.iter().map(|(_, bare)| rate(bare)).collect();
        let ratios: Vec<_> = commits.iter().zip(&bares).map(|(commit, bare)| commit / bare).collect();
        let ratio = median(&ratios);
        let floor = Floor { name: "bare write and fdatasync of the same bytes", values: &bares };
        note(&format!("journal commit, {body_len} B"), "/s", &commits, Some(floor));
        println!(
            "journal commit of {body_len:>5} B: {:>7.0}/s, {ratio:.2} x the rate of bare write and fdatasync of {} B ({:.0}/s)",
            median(&commits),
            bare.bytes.len(),
            median(&bares),
        );
    }
}
