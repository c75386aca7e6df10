//! The stamps of frames, and whether the wall clock can be believed.
//!
//! Invariant: stamps never go back; order is the sequence, the stamp only says when.
//! Invariant: a clock under suspicion gives no stamp, so a clock ten years ahead cannot drag the journal there.
//! Leaves out: business days and benefit years (core), and what a refused mutation is answered (pipeline).

use std::fmt;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::limits::CLOCK_TOLERANCE_MS;

/// Where time comes from; tests inject theirs.
pub trait TimeSource: Send {
    /// Milliseconds since 1970 UTC by the wall clock, which may step.
    fn wall_ms(&self) -> i64;
    /// Milliseconds since any fixed moment by a clock that never steps.
    fn monotonic_ms(&self) -> i64;
}

/// The clocks of the machine. The monotonic one goes on while the machine sleeps, so waking up is not a step.
#[derive(Debug, Default)]
pub struct SystemTimeSource;

impl TimeSource for SystemTimeSource {
    fn wall_ms(&self) -> i64 {
        milliseconds(clock_gettime(ClockId::Realtime))
    }

    fn monotonic_ms(&self) -> i64 {
        milliseconds(clock_gettime(ClockId::Boottime))
    }
}

fn milliseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000).saturating_add(time.tv_nsec / 1_000_000)
}

/// Why mutations are refused `CLOCK_SUSPECT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants say what `by_ms` is")]
pub enum ClockSuspect {
    /// The wall clock departed from the monotonic one by `by_ms` (negative: it went back).
    Stepped { by_ms: i64 },
    /// At start the wall clock was behind the last stamp of the journal, and still is by `by_ms`.
    BehindJournal { by_ms: i64 },
}

impl fmt::Display for ClockSuspect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stepped { by_ms } => write!(out, "the wall clock stepped by {by_ms} ms against the monotonic clock"),
            Self::BehindJournal { by_ms } => {
                write!(out, "the wall clock is {by_ms} ms behind the last stamp of the journal")
            }
        }
    }
}

/// Gives stamps while the clock is right.
///
/// | wall − monotonic, against the anchor | wall against the last stamp at start | stamp |
/// | --- | --- | --- |
/// | within 5 s | not behind, or confirmed | max(wall, last) |
/// | within 5 s | behind | suspect until it is no longer behind, or confirmed |
/// | more than 5 s | any | suspect until it is back within 5 s, or confirmed |
pub struct Clock {
    source: Box<dyn TimeSource>,
    /// Wall minus monotonic at the start or at the last confirmation.
    anchor_ms: i64,
    last_stamp_ms: i64,
    behind_at_start: bool,
}

impl Clock {
    /// `last_stamp_ms` is the stamp of the last frame of the journal.
    pub fn new(source: Box<dyn TimeSource>, last_stamp_ms: i64) -> Self {
        let wall_ms = source.wall_ms();
        let anchor_ms = wall_ms.saturating_sub(source.monotonic_ms());
        Self { source, anchor_ms, last_stamp_ms, behind_at_start: wall_ms < last_stamp_ms }
    }

    /// The stamp for a frame decided now: max(now, last).
    pub fn stamp(&mut self) -> Result<i64, ClockSuspect> {
        let wall_ms = self.source.wall_ms();
        let by_ms = wall_ms.saturating_sub(self.source.monotonic_ms()).saturating_sub(self.anchor_ms);
        if by_ms.saturating_abs() > CLOCK_TOLERANCE_MS {
            return Err(ClockSuspect::Stepped { by_ms });
        }
        if self.behind_at_start && wall_ms < self.last_stamp_ms {
            return Err(ClockSuspect::BehindJournal { by_ms: self.last_stamp_ms.saturating_sub(wall_ms) });
        }
        self.behind_at_start = false;
        self.last_stamp_ms = self.last_stamp_ms.max(wall_ms);
        Ok(self.last_stamp_ms)
    }

    /// The last stamp given. A frame without a decision (seal) takes it while the clock is suspect.
    pub fn last_stamp_ms(&self) -> i64 {
        self.last_stamp_ms
    }

    /// An operator says that the wall clock is right as it is now.
    pub fn confirm(&mut self) {
        self.anchor_ms = self.source.wall_ms().saturating_sub(self.source.monotonic_ms());
        self.behind_at_start = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Clone, Default)]
    struct Told {
        wall: Arc<AtomicI64>,
        monotonic: Arc<AtomicI64>,
    }

    impl Told {
        fn step_wall(&self, by_ms: i64) {
            self.wall.fetch_add(by_ms, Ordering::Relaxed);
        }

        fn pass(&self, ms: i64) {
            self.step_wall(ms);
            self.monotonic.fetch_add(ms, Ordering::Relaxed);
        }
    }

    impl TimeSource for Told {
        fn wall_ms(&self) -> i64 {
            self.wall.load(Ordering::Relaxed)
        }

        fn monotonic_ms(&self) -> i64 {
            self.monotonic.load(Ordering::Relaxed)
        }
    }

    fn clock_at(wall_ms: i64, last_stamp_ms: i64) -> (Clock, Told) {
        let told = Told::default();
        told.step_wall(wall_ms);
        (Clock::new(Box::new(told.clone()), last_stamp_ms), told)
    }

    #[test]
    fn a_stamp_is_never_before_the_last_one() {
        let (mut clock, time) = clock_at(1_000_000, 999_999);
        assert_eq!(clock.stamp(), Ok(1_000_000));
        time.step_wall(-CLOCK_TOLERANCE_MS);
        assert_eq!(clock.stamp(), Ok(1_000_000));
        time.pass(CLOCK_TOLERANCE_MS + 7);
        assert_eq!(clock.stamp(), Ok(1_000_007));
    }

    #[test]
    fn a_step_beyond_the_tolerance_is_suspect_until_it_is_taken_back() {
        for direction in [1, -1] {
            let by_ms = direction * (CLOCK_TOLERANCE_MS + 1);
            let (mut clock, time) = clock_at(1_000_000, 0);
            time.step_wall(by_ms);
            assert_eq!(clock.stamp(), Err(ClockSuspect::Stepped { by_ms }));
            assert_eq!(clock.last_stamp_ms(), 0);
            time.step_wall(-by_ms);
            assert_eq!(clock.stamp(), Ok(1_000_000));
        }
    }

    #[test]
    fn ten_years_ahead_leaves_no_stamp_of_that_year_behind() {
        let (mut clock, time) = clock_at(1_000_000, 0);
        let ten_years_ms = 10 * 365 * 86_400_000;
        time.step_wall(ten_years_ms);
        assert!(clock.stamp().is_err());
        time.step_wall(-ten_years_ms);
        assert_eq!(clock.stamp(), Ok(1_000_000));
    }

    #[test]
    fn a_confirmed_step_is_believed() {
        let (mut clock, time) = clock_at(1_000_000, 0);
        time.step_wall(3_600_000);
        assert!(clock.stamp().is_err());
        clock.confirm();
        assert_eq!(clock.stamp(), Ok(4_600_000));
        time.step_wall(-3_600_000);
        assert_eq!(clock.stamp(), Err(ClockSuspect::Stepped { by_ms: -3_600_000 }));
    }

    #[test]
    fn behind_the_journal_at_start_is_suspect_until_caught_up_or_confirmed() {
        let (mut clock, time) = clock_at(1_000, 3_000);
        assert_eq!(clock.stamp(), Err(ClockSuspect::BehindJournal { by_ms: 2_000 }));
        time.pass(2_000);
        assert_eq!(clock.stamp(), Ok(3_000));

        let (mut clock, _time) = clock_at(1_000, 3_000);
        clock.confirm();
        assert_eq!(clock.stamp(), Ok(3_000));
    }
}
