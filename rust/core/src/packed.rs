//! Bytes in which a row keeps what is read seldom or in parts, each value behind the one before in the encoding of rows.
//!
//! A list costs its place, its room to grow and an allocation, and so does every text in it; of ten million persons each of these is a
//! quarter of a gigabyte.
//! Invariant: bytes are made from values of the type that reads them, and what was read from a file is read through once before it is kept.
//! Leaves out: what the values are; their types know their own order.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Values, packed.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        Self::default().with([value])
    }

    /// With these behind what is there.
    pub(crate) fn with<T: Serialize>(&self, values: impl IntoIterator<Item = T>) -> Self {
        Self::extended(&self.0, values)
    }

    /// With the rest of other values behind what is there.
    pub(crate) fn followed_by(&self, rest: &Unpacking<'_>) -> Self {
        Self([&*self.0, rest.0].concat().into())
    }

    fn extended<T: Serialize>(first: &[u8], values: impl IntoIterator<Item = T>) -> Self {
        let mut bytes = Vec::with_capacity(first.len() + 128);
        bytes.extend_from_slice(first);
        for value in values {
            bytes = postcard::to_extend(&value, bytes).expect("rows hold only what can be written");
        }
        // A copy of the right size: an allocator leaves what shrinks a little where it is, in more room than it needs.
        Self(bytes.as_slice().into())
    }

    /// Bring the bytes into the processor's cache, as [`crate::table::Table::bring`] does.
    pub(crate) fn bring(&self) -> usize {
        self.0.first().map_or(0, |byte| usize::from(*byte))
    }

    /// A reader from the beginning.
    pub(crate) fn read(&self) -> Unpacking<'_> {
        Unpacking(&self.0)
    }
}

/// Reads packed values in their order.
pub(crate) struct Unpacking<'p>(&'p [u8]);

impl<'p> Unpacking<'p> {
    /// The next value.
    pub(crate) fn next<T: Deserialize<'p>>(&mut self) -> T {
        self.try_next().expect("what was packed can be unpacked")
    }

    /// The next value, if the bytes hold one.
    pub(crate) fn try_next<T: Deserialize<'p>>(&mut self) -> Option<T> {
        let (value, rest) = postcard::take_from_bytes(self.0).ok()?;
        self.0 = rest;
        Some(value)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Packed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("packed values")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Packed, E> {
                Ok(Packed(bytes.into()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is packed may name people, which no log may.
        write!(f, "{} bytes", self.0.len())
    }
}
