//! What rules see, what they leave, and who looks at it.

mod keeping;
mod seeing;
mod undoing;
