//! Commands of one message, as whoever imports asks for them.
//!
//! Invariant: a row's request ids follow from what names the row and from nothing else: not from the file, its place in it, or the time. So
//! the same row in the same file, in another one, or in a mended rejects file is the same request, and is carried out once.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use medsettle_wire::append_command;
use medsettle_wire::v1;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Twelve characters.
    pub institution: String,
    /// Who runs the import.
    pub operator: String,
}

/// A message that is being put together.
pub(crate) struct Message<'a> {
    bytes: Vec<u8>,
    commands: usize,
    caller: &'a Caller,
    now_ms: i64,
}

impl<'a> Message<'a> {
    pub(crate) fn new(caller: &'a Caller, now_ms: i64) -> Self {
        Self { bytes: Vec::new(), commands: 0, caller, now_ms }
    }

    pub(crate) fn commands(&self) -> usize {
        self.commands
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A message that was put together before.
    pub(crate) fn take_over(&mut self, bytes: Vec<u8>, commands: usize) {
        (self.bytes, self.commands) = (bytes, commands);
    }

    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// The header of a request about what `parts` name.
    #[expect(clippy::unnecessary_wraps, reason = "it is a field of every request, and fields of messages are optional")]
    pub(crate) fn header(&self, of: &str, parts: &[&[u8]]) -> Option<v1::RequestHeader> {
        Some(v1::RequestHeader {
            request_id: request_id(of, parts),
            created_ms: self.now_ms,
            institution_code: self.caller.institution.clone(),
            operator: self.caller.operator.clone(),
            insured_region: String::new(),
        })
    }

    pub(crate) fn push(&mut self, command: v1::command::Command) {
        append_command(command, &mut self.bytes);
        self.commands += 1;
    }
}

/// 128 bits of a cryptographic hash: no two rows of all files of the country share one, and no number of a person can be read off it.
fn request_id(of: &str, parts: &[&[u8]]) -> String {
    let mut hash = blake3::Hasher::new();
    for part in [of.as_bytes()].iter().chain(parts) {
        hash.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut id = String::with_capacity(26);
    id.push_str("i:");
    BASE64_URL_SAFE_NO_PAD.encode_string(&hash.finalize().as_bytes()[..16], &mut id);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_the_parts_and_their_borders() {
        let id = request_id("persons", &[b"ab", b"c"]);
        assert_eq!(id, request_id("persons", &[b"ab", b"c"]));
        for other in [
            request_id("persons", &[b"a", b"bc"]),
            request_id("cards", &[b"ab", b"c"]),
            request_id("persons", &[b"abc"]),
        ] {
            assert_ne!(id, other);
        }
        assert_eq!(id.len(), 24);
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b)), "{id}");
    }
}
