//! Many cards at once: one bit of every card's block in one word, so that one operation works for all of them.
//!
//! A *lane* is a bit position in a word, and belongs to one card; a *plane* is a word that holds the same bit of the blocks of all
//! lanes. A cipher is then a circuit of AND, OR, XOR and NOT over planes. Permutations of bits, and with them the whole key schedule
//! of DES, only say which plane is meant, so that a key of its own for every card costs nothing.
//!
//! Invariant: time does not depend on secrets. Circuits branch on nothing and look nothing up; which plane is read is fixed at
//! compile time or by the number of the round; loops run over lanes, rounds and blocks, whose numbers are public. A lane's
//! verdict is the first thing that leaves planes, and verdicts are public.
//! Invariant: key material in planes is zeroized when its planes are dropped. Copies that the compiler spills are not.
//! Left out: AES, for which processors have instructions (`aes`); batches that fill too few lanes
//! (`crate::few`); which requests go together (`crate::verify`).

mod aes;
mod des;
mod group;
mod planes;
mod sm4;
mod sm4_cards;
mod tdes;
mod word;

pub(crate) use aes::AesCards;
pub(crate) use group::Group;
pub(crate) use sm4_cards::VerifySm4;
pub(crate) use tdes::VerifyTdes;
pub(crate) use word::Bits;
