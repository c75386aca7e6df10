//! What grows with the years of one person: sums of each year, and which periods were credited to the account. Packed, because most sums
//! of most years are zero or small: of a year stand its key, a bit for each sum that is not zero, and those sums.
//!
//! Invariant: how many years there are, the years in the order of their keys, then periods in the order in which they were credited, each once.

use serde::ser::SerializeTuple;
use serde::{Deserialize, Serialize, Serializer};

use super::{AccumulatorKey, Accumulators, SUMS};
use crate::packed::{Packed, Unpacking};

/// Sums by key, and keys of credited periods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Packed")]
pub struct Years(Packed);

/// One year.
type Year = (AccumulatorKey, Accumulators);

/// How a year is written.
struct Written(Year);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, sums) = &self.0;
        let sums = sums.to_sums();
        let present = sums.iter().enumerate().fold(0u16, |bits, (place, sum)| bits | u16::from(*sum != 0) << place);
        let mut row = serializer.serialize_tuple(2 + present.count_ones() as usize)?;
        row.serialize_element(key)?;
        row.serialize_element(&present)?;
        sums.iter().filter(|sum| **sum != 0).try_for_each(|sum| row.serialize_element(sum))?;
        row.end()
    }
}

fn next_year(years: &mut Unpacking<'_>) -> Option<Year> {
    let (key, present): (AccumulatorKey, u16) = years.try_next()?;
    let mut sums = [0; SUMS];
    for (place, sum) in sums.iter_mut().enumerate() {
        if present >> place & 1 == 1 {
            *sum = years.try_next()?;
        }
    }
    (present >> SUMS == 0).then(|| (key, Accumulators::from_sums(sums)))
}

impl Default for Years {
    fn default() -> Self {
        Self(Packed::of(&0_u32))
    }
}

impl Years {
    /// Every year in which something was opened or used, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = Year> {
        let mut parts = self.0.read();
        let count: u32 = parts.next();
        (0..count).map(move |_| next_year(&mut parts).expect("it was written as one"))
    }

    /// The sums of a year, where there are any.
    pub fn get(&self, key: AccumulatorKey) -> Option<Accumulators> {
        self.iter().find(|(of, _)| *of == key).map(|(_, sums)| sums)
    }

    /// Bring them into the processor's cache, as [`crate::table::Table::bring`] does.
    pub(crate) fn bring(&self) -> usize {
        self.0.bring()
    }

    /// Replace the sums of a year, which begins with nothing.
    pub(crate) fn set(&mut self, key: AccumulatorKey, sums: Accumulators) {
        let before = self.iter().take_while(|(of, _)| *of < key);
        let after = self.iter().skip_while(|(of, _)| *of <= key);
        let years = before.chain([(key, sums)]).chain(after).collect();
        self.replace(years);
    }

    /// Forget years.
    pub(crate) fn forget(&mut self, keys: &[AccumulatorKey]) {
        if !keys.is_empty() {
            let years = self.iter().filter(|(key, _)| !keys.contains(key)).collect();
            self.replace(years);
        }
    }

    fn replace(&mut self, years: Vec<Year>) {
        let count = u32::try_from(years.len()).expect("a calendar has fewer years");
        self.0 = Packed::of(&count).with(years.into_iter().map(Written)).followed_by(&self.periods());
    }

    /// Where the periods begin; years are read without them, however many there are.
    fn periods(&self) -> Unpacking<'_> {
        let mut parts = self.0.read();
        let count: u32 = parts.next();
        for _ in 0..count {
            next_year(&mut parts).expect("it was written as one");
        }
        parts
    }

    /// Whether a period was credited before.
    pub fn is_credited(&self, period_key: &str) -> bool {
        let mut keys = self.periods();
        std::iter::from_fn(|| (!keys.is_at_end()).then(|| keys.next::<&str>())).any(|credited| credited == period_key)
    }

    pub(crate) fn note_credited(&mut self, period_key: &str) {
        if !self.is_credited(period_key) {
            self.0 = self.0.with([period_key]);
        }
    }
}

impl TryFrom<Packed> for Years {
    type Error = &'static str;

    fn try_from(packed: Packed) -> Result<Self, &'static str> {
        let (mut parts, mut last) = (packed.read(), None);
        let count: u32 = parts.try_next().ok_or("no count of years")?;
        for _ in 0..count {
            let (key, _) = next_year(&mut parts).ok_or("no year")?;
            if last.replace(key).is_some_and(|last| key <= last) {
                return Err("years in another order");
            }
        }
        while !parts.is_at_end() {
            parts.try_next::<&str>().ok_or("no period key")?;
        }
        Ok(Self(packed))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::money::Fen;
    use crate::policy::{Counter, InsuranceType};

    fn key(n: i32) -> AccumulatorKey {
        let counter = Counter::ALL[usize::from(n % 2 != 0)];
        AccumulatorKey { insurance_type: InsuranceType::Employee, year: 2020 + n / 2, counter }
    }

    #[test]
    fn a_person_may_have_as_many_years_as_the_calendar() {
        let mut years = Years::default();
        years.note_credited("2026-01");
        for n in (0..600).rev() {
            years.set(key(n), Accumulators { eligible: Fen(n.into()), ..Accumulators::default() });
        }
        assert!(years.iter().map(|(of, _)| of).eq((0..600).map(key)));
        assert_eq!(years.get(key(599)).map(|sums| sums.eligible), Some(Fen(599)));
        assert!(years.is_credited("2026-01"));
    }

    proptest! {
        #[test]
        fn years_answer_as_a_map_and_a_set_do(changes in proptest::collection::vec((0..8, any::<i64>()), 0..30), gone in 0..8) {
            let (mut years, mut map, mut set) = (Years::default(), BTreeMap::new(), BTreeSet::new());
            for (n, amount) in changes {
                let period = format!("2026-{n}");
                prop_assert_eq!(years.is_credited(&period), set.contains(&period));
                if amount % 3 == 0 {
                    years.note_credited(&period);
                    set.insert(period);
                    continue;
                }
                let sums = Accumulators { eligible: Fen(amount), admissions: i64::from(n), ..Accumulators::default() };
                years.set(key(n), sums);
                map.insert(key(n), sums);
            }
            prop_assert!(years.iter().eq(map.clone()));
            years.forget(&[key(gone)]);
            map.remove(&key(gone));
            prop_assert!(years.iter().eq(map));
            prop_assert!(set.iter().all(|period| years.is_credited(period)));
            let written = postcard::to_allocvec(&years).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Years>(&written).unwrap(), years);
        }
    }
}
