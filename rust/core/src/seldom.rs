//! What few rows of a kind have: one word of the others.
//!
//! Invariant: what is as if nothing had ever been there is equal to nothing, and is written as nothing; so a row that lost the last of it
//! has the bytes of one that never had any.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What most rows have nothing of.
pub trait Blank: Default + PartialEq + 'static {
    /// Nothing of it.
    const NOTHING: &'static Self;
}

/// A value that takes memory once there is something in it. It reads as if it were always there.
#[derive(Clone, Debug, Default)]
pub struct Seldom<T>(Option<Box<T>>);

impl<T> Seldom<T> {
    /// There is something.
    pub fn of(value: T) -> Self {
        Self(Some(Box::new(value)))
    }
}

impl<T: Blank> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::NOTHING)
    }
}

impl<T: Blank> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Blank> PartialEq for Seldom<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Blank + Eq> Eq for Seldom<T> {}

impl<T: Blank + Serialize> Serialize for Seldom<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_deref().filter(|value| *value != T::NOTHING).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Seldom<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| Self(value.map(Box::new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Debts {
        owed: Vec<u32>,
    }

    impl Blank for Debts {
        const NOTHING: &'static Self = &Self { owed: Vec::new() };
    }

    #[test]
    fn what_lost_the_last_of_it_is_and_reads_and_is_written_as_what_never_had_any() {
        let never: Seldom<Debts> = Seldom::default();
        let mut once = never.clone();
        once.owed.push(7);
        assert_ne!(once, never);
        assert_eq!((never.owed.len(), once.owed.as_slice()), (0, &[7][..]));
        let written = postcard::to_allocvec(&once).unwrap();
        assert_eq!(postcard::from_bytes::<Seldom<Debts>>(&written).unwrap(), once);
        once.owed.clear();
        assert_eq!(once, never);
        assert_eq!(postcard::to_allocvec(&once).unwrap(), postcard::to_allocvec(&never).unwrap());
    }
}
