//! The shape of the contract's messages as far as a walk over their bytes needs it; the tables are generated.
//!
//! Invariant: fields and enum numbers ascend, so that they are found directly where the numbers have no gaps and by
//! bisection otherwise.
//! A map is what it is on the wire: a repeated message of `key` and `value`.

/// A message of the contract, with its shape.
pub trait Schema: prost::Message + Default {
    /// The shape.
    const SCHEMA: &'static MessageSchema;
}

/// The shape of a message.
#[derive(Debug)]
pub struct MessageSchema {
    /// Without the package.
    pub name: &'static str,
    /// Ascending by number.
    pub fields: &'static [Field],
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its number on the wire.
    pub number: u32,
    /// Its name in the proto.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// How often it may stand in a message.
    pub occurs: Occurs,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names of the proto types")]
pub enum Kind {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Enum(&'static EnumSchema),
    String,
    Bytes,
    Message(&'static MessageSchema),
}

/// How often a field may stand in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurs {
    /// Once at most. Fields that share a slot (below 64) are members of one `oneof` and exclude each other.
    Once(u8),
    /// Any number of times.
    Repeated,
}

/// The numbers that an enum knows.
#[derive(Debug)]
pub struct EnumSchema {
    /// Without the package, such as `Chip.Scheme`.
    pub name: &'static str,
    /// Ascending.
    pub numbers: &'static [i32],
}

impl MessageSchema {
    /// The field with this number.
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        let direct = self.fields.get(number.wrapping_sub(1) as usize);
        direct.filter(|field| field.number == number).or_else(|| {
            let index = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
            Some(&self.fields[index])
        })
    }
}

impl EnumSchema {
    /// Whether the contract gives this number a meaning.
    pub fn knows(&self, number: i32) -> bool {
        let direct = usize::try_from(number).ok().and_then(|index| self.numbers.get(index));
        direct == Some(&number) || self.numbers.binary_search(&number).is_ok()
    }
}
