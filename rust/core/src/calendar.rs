//! Days: reading and writing them, the business day of a moment, nights and years.
//!
//! Invariant: a [`Date`] lies in the years 1 to 9999 of the Gregorian calendar, so it always has its ten characters.
//! Leaves out: the clock; moments come in as milliseconds since 1970 UTC.

use std::fmt;
use std::num::NonZeroI32;

use serde::{Deserialize, Serialize};

const MS_PER_DAY: i64 = 86_400_000;
/// All of China keeps UTC+8; business days are days of that zone.
const ZONE_OFFSET_MS: i64 = 8 * 3_600_000;

/// From the day before [`Date::MIN`] to 1970-01-01.
const DAYS_BEFORE_FIRST: i32 = 719_163;
/// From 0000-03-01, before any [`Date`].
const DAYS_BEFORE_1970: i32 = 719_468;
/// What is left of a year from March belongs to the next one of the calendar.
const DAYS_MARCH_TO_DECEMBER: u32 = 306;

/// A day. It counts from the day before [`Date::MIN`], so that no day is zero and one that may be missing takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Date(NonZeroI32);

/// Written as days since 1970.
impl From<Date> for i32 {
    fn from(date: Date) -> Self {
        date.days()
    }
}

impl TryFrom<i32> for Date {
    type Error = &'static str;

    fn try_from(days: i32) -> Result<Self, &'static str> {
        Self::from_days(days).ok_or("no day of the calendar")
    }
}

impl Date {
    /// 0001-01-01.
    pub const MIN: Self = Self::counted(-719_162);
    /// 9999-12-31.
    pub const MAX: Self = Self::counted(2_932_896);

    /// The day that many days after 1970-01-01; `None` outside the years 1 to 9999.
    pub fn from_days(days: i32) -> Option<Self> {
        (Self::MIN.days()..=Self::MAX.days()).contains(&days).then(|| Self::counted(days))
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i32 {
        self.0.get() - DAYS_BEFORE_FIRST
    }

    const fn counted(days: i32) -> Self {
        Self(NonZeroI32::new(days + DAYS_BEFORE_FIRST).expect("no day lies before the first"))
    }

    /// The day of the Gregorian calendar; `None` if it does not exist.
    pub fn from_calendar(year: i32, month: u32, day: u32) -> Option<Self> {
        let exists = (1..=9999).contains(&year) && day >= 1 && day <= days_in_month(year, month)?;
        exists.then(|| Self::counted(days_from_calendar(year, month, day)))
    }

    /// Reads `YYYY-MM-DD` and nothing else; `None` for another spelling or a day that does not exist.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
        if bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |digits: &[u8]| {
            digits
                .iter()
                .try_fold(0u32, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))
        };
        let year = i32::try_from(number(&bytes[..4])?).ok()?;
        Self::from_calendar(year, number(&bytes[5..7])?, number(&bytes[8..])?)
    }

    /// The business day (UTC+8) of a moment; moments outside the calendar count as its first or last day.
    pub fn business_day(moment_ms: i64) -> Self {
        let days = moment_ms.saturating_add(ZONE_OFFSET_MS).div_euclid(MS_PER_DAY);
        let held = days.clamp(i64::from(Self::MIN.days()), i64::from(Self::MAX.days()));
        Self::counted(i32::try_from(held).expect("held between two i32"))
    }

    /// The business day of a moment and the seconds that have passed of it.
    pub fn business_time(moment_ms: i64) -> (Self, i64) {
        let of_day = moment_ms.saturating_add(ZONE_OFFSET_MS).rem_euclid(MS_PER_DAY);
        (Self::business_day(moment_ms), of_day / 1_000)
    }

    /// The calendar year, which is the benefit year.
    pub fn year(self) -> i32 {
        let (year, day_of_year) = self.year_from_march();
        if day_of_year < DAYS_MARCH_TO_DECEMBER { year } else { year + 1 }
    }

    /// 1 January of that year; `None` outside the years 1 to 9999.
    pub fn new_year(year: i32) -> Option<Self> {
        Self::from_calendar(year, 1, 1)
    }

    /// Nights from this day until `later`: negative where `later` is earlier.
    pub fn nights_until(self, later: Self) -> i32 {
        later.days() - self.days()
    }

    /// Year, month and day.
    pub fn calendar(self) -> (i32, u32, u32) {
        let (_, day_of_year) = self.year_from_march();
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        (self.year(), month, day)
    }

    /// The year that began on 1 March, so that the leap day ends one, and the day in it, from 0.
    fn year_from_march(self) -> (i32, u32) {
        // Eras of 400 years repeat exactly.
        let shifted = (self.days() + DAYS_BEFORE_1970).cast_unsigned();
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        ((year_of_era + era * 400).cast_signed(), day_of_year)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.calendar();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

fn days_in_month(year: i32, month: u32) -> Option<u32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

fn days_from_calendar(year: i32, month: u32, day: u32) -> i32 {
    let (month, day) = (month.cast_signed(), day.cast_signed());
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_BEFORE_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_is_written_and_read_back() {
        let mut previous = None;
        for days in (Date::MIN.days()..=Date::MAX.days()).step_by(17).chain([Date::MAX.days()]) {
            let date = Date::from_days(days).expect("inside the calendar");
            let text = date.to_string();
            assert_eq!(Date::parse(&text), Some(date), "{text}");
            assert!(previous < Some(text.clone()), "{text} sorts after the day before it");
            previous = Some(text);
        }
        assert_eq!(Date::MIN.to_string(), "0001-01-01");
        assert_eq!(Date::MAX.to_string(), "9999-12-31");
        assert_eq!(Date::parse("1970-01-01").map(Date::days), Some(0));
        assert_eq!(Date::parse("2025-12-31").map(Date::days), Some(20_453));
    }

    #[test]
    fn a_day_that_does_not_exist_is_refused() {
        for text in ["2025-02-29", "1900-02-29", "2025-04-31", "2025-13-01", "2025-00-10", "2025-01-00", "0000-01-01"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert!(Date::parse("2024-02-29").is_some());
        assert!(Date::parse("2000-02-29").is_some());
        for text in ["2025-1-01", "2025/01/01", "20250101", " 2025-01-01", "2025-01-01T00", "2025-01-0１", "+025-01-01"]
        {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_business_day_turns_at_sixteen_hours_utc() {
        assert_eq!(Date::business_day(57_599_999).to_string(), "1970-01-01");
        assert_eq!(Date::business_day(57_600_000).to_string(), "1970-01-02");
        assert_eq!(Date::business_day(-28_800_001).to_string(), "1969-12-31");
        assert_eq!(Date::business_day(i64::MAX), Date::MAX);
        assert_eq!(Date::business_day(i64::MIN), Date::MIN);
    }

    #[test]
    fn nights_are_counted_across_the_new_year() {
        let day = |text| Date::parse(text).expect("exists");
        assert_eq!(day("2025-12-30").nights_until(day("2026-01-02")), 3);
        assert_eq!(Date::new_year(2026), Some(day("2026-01-01")));
        assert_eq!(day("2026-01-01").year(), 2026);
        assert_eq!(day("2025-12-31").year(), 2025);
    }
}
