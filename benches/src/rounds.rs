//! What is timed of one request after the other.

use std::hint::black_box;
use std::time::{Duration, Instant};

use medsettle_core::command::Request;

use crate::Ward;

/// A request of one patient after the other; when all had theirs, the ward begins again as it was.
pub struct Rounds {
    begin: Ward,
    ward: Ward,
    next: usize,
}

impl Rounds {
    /// Rounds through a ward as it is now.
    pub fn of(begin: Ward) -> Self {
        Self { ward: begin.clone(), begin, next: 0 }
    }

    /// Carry out this many requests; only `decide` and `apply` are on the clock.
    pub fn time(&mut self, count: u64, request: impl Fn(&mut Ward, usize) -> Request) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..count {
            if self.next == self.ward.patients() {
                self.ward = self.begin.clone();
                self.next = 0;
            }
            let request = request(&mut self.ward, self.next);
            self.next += 1;
            let start = Instant::now();
            let record = self.ward.decide(black_box(&request));
            spent += start.elapsed();
            self.ward.observe(&record);
            let start = Instant::now();
            self.ward.apply(black_box(&record));
            spent += start.elapsed();
        }
        spent
    }
}
