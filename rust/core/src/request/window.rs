//! Ids with what is known of them, in the order in which they came, which is the one in which they leave.
//!
//! Invariant: an entry never moves and, but for the mark of a reversal, never changes. So a view of the window shares all of it, however
//! much comes after, and what has left is dropped a chunk at a time.
//! Invariant: an id takes the bytes of its text and of one entry; nothing is allocated for it alone.
//! Leaves out: finding an id (`request`).

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Known, RequestKey};
use crate::ids::{InstitutionCode, RequestId};

/// Entries of a chunk. One queue for a whole window would copy millions of them whenever it grew.
const CHUNK: u32 = 1_024;

/// Numbers count on for ever, and begin again after 2^32: more ids than a window holds, which would be half a terabyte.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    chunks: VecDeque<Arc<Chunk>>,
    /// Number of the first entry of the first chunk; a multiple of [`CHUNK`].
    base: u32,
    /// How many entries of the first chunk have left.
    left: u32,
}

#[derive(Clone, Debug)]
struct Chunk {
    /// The ids, one behind the other.
    text: String,
    entries: Vec<Entry>,
}

/// What is kept of an id.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    institution: InstitutionCode,
    /// Where its text ends; it begins where the one before it ends.
    text_end: u32,
    pub(super) leaves_ms: i64,
    pub(super) known: Known,
}

impl Chunk {
    fn text_of(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.entries[before].text_end);
        &self.text[start as usize..self.entries[at].text_end as usize]
    }

    fn key(&self, at: usize) -> RequestKey {
        (self.entries[at].institution, RequestId::parse(self.text_of(at)).expect("it was one when it came"))
    }
}

impl Window {
    /// Puts an id behind all others and gives its number.
    pub(super) fn push(&mut self, key: &RequestKey, known: Known, leaves_ms: i64) -> u32 {
        if self.chunks.back().is_none_or(|last| last.entries.len() == CHUNK as usize) {
            let entries = Vec::with_capacity(CHUNK as usize);
            self.chunks.push_back(Arc::new(Chunk { text: String::new(), entries }));
        }
        let chunks = u32::try_from(self.chunks.len() - 1).expect("a window has fewer than 2^32 ids");
        let last = Arc::make_mut(self.chunks.back_mut().expect("one was put there"));
        let at = u32::try_from(last.entries.len()).expect("a chunk is small");
        last.text.push_str(key.1.as_str());
        let text_end = u32::try_from(last.text.len()).expect("ids are short");
        last.entries.push(Entry { institution: key.0, text_end, leaves_ms, known });
        if at + 1 == CHUNK {
            last.text.shrink_to_fit();
        }
        self.base.wrapping_add(chunks * CHUNK + at)
    }

    pub(super) fn entry(&self, number: u32) -> &Entry {
        let (chunk, at) = self.place(number);
        &self.chunks[chunk].entries[at]
    }

    pub(super) fn entry_mut(&mut self, number: u32) -> &mut Entry {
        let (chunk, at) = self.place(number);
        &mut Arc::make_mut(&mut self.chunks[chunk]).entries[at]
    }

    /// Whether the entry with this number is of this id.
    pub(super) fn is(&self, number: u32, (institution, id): &RequestKey) -> bool {
        let (chunk, at) = self.place(number);
        let chunk = &self.chunks[chunk];
        chunk.entries[at].institution == *institution && chunk.text_of(at) == id.as_str()
    }

    /// Every id in the order in which they came.
    pub(super) fn entries(&self) -> impl Iterator<Item = (RequestKey, &Entry)> {
        let all = self.chunks.iter().flat_map(|chunk| (0..chunk.entries.len()).map(move |at| (chunk, at)));
        all.skip(self.left as usize).map(|(chunk, at)| (chunk.key(at), &chunk.entries[at]))
    }

    /// Takes the first id out if it leaves before a moment: its number and what was known of it.
    pub(super) fn pop_before(&mut self, now_ms: i64) -> Option<(u32, RequestKey, Known)> {
        let first = self.chunks.front()?;
        let at = self.left as usize;
        let entry = first.entries.get(at).filter(|entry| entry.leaves_ms < now_ms)?;
        let popped = (self.base.wrapping_add(self.left), first.key(at), entry.known);
        self.left += 1;
        if self.left == CHUNK {
            self.chunks.pop_front();
            self.base = self.base.wrapping_add(CHUNK);
            self.left = 0;
        }
        Some(popped)
    }

    /// Chunk and place in it.
    fn place(&self, number: u32) -> (usize, usize) {
        let from_base = number.wrapping_sub(self.base);
        ((from_base / CHUNK) as usize, (from_base % CHUNK) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: i64) -> RequestKey {
        (InstitutionCode::parse("H11010500001").unwrap(), RequestId::parse(&format!("q-{n}")).unwrap())
    }

    #[test]
    fn ids_leave_in_the_order_in_which_they_came_and_those_behind_them_keep_their_numbers() {
        let (mut window, mut numbers) = (Window { base: u32::MAX - CHUNK + 1, ..Window::default() }, Vec::new());
        for n in 0..5_000 {
            numbers.push((n, window.push(&key(n), Known::ReversedUnseen, n)));
        }
        let view = window.clone();
        for gone in 0..4_100 {
            let popped = window.pop_before(4_100).expect("it leaves before");
            assert_eq!((popped.0, popped.1), (numbers[usize::try_from(gone).unwrap()].1, key(gone)));
        }
        assert_eq!(window.pop_before(4_100), None, "the next leaves at that moment");
        for (n, number) in &numbers[4_100..] {
            assert!(window.is(*number, &key(*n)) && !window.is(*number, &key(n + 1)));
            assert_eq!(window.entry(*number).leaves_ms, *n);
        }
        assert!(window.entries().map(|(key, _)| key).eq((4_100..5_000).map(key)));
        assert!(view.entries().map(|(key, _)| key).eq((0..5_000).map(key)), "a view keeps what has left");
    }

    #[test]
    fn a_view_shares_every_chunk_that_came_before_it() {
        let mut window = Window::default();
        let push = |window: &mut Window, n| window.push(&key(n), Known::ReversedUnseen, n);
        (0..3_000).for_each(|n| assert!(push(&mut window, n) < 9_000));
        let view = window.clone();
        (3_000..9_000).for_each(|n| assert!(push(&mut window, n) < 9_000));
        let shared = view.chunks.iter().zip(&window.chunks).filter(|(then, now)| Arc::ptr_eq(then, now)).count();
        assert_eq!((shared, view.chunks.len()), (2, 3), "the last had room");
    }
}
