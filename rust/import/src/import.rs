//! The import of one file: messages go out, answers come in, and what is behind is a whole beginning of the file.
//!
//! ```text
//! file -> piece of rows -> message -> hub -> answer -> next step of the rows | row done
//!                            ^ several pieces at once          pieces retire in the order of the file
//! ```
//!
//! Invariant: totals, rejects and position are of the pieces that have retired, so they always describe the same rows.
//! Invariant: a row counts as imported once, also where its answer was lost in a crash and is given again.
//! Leaves out: how a message travels, where rejects and position are kept, and when a refused message is sent again (whoever drives it).

mod piece;

use std::collections::{HashSet, VecDeque};
use std::path::Path;

use medsettle_wire::{Reason, batch_answer, v1};
use serde::{Deserialize, Serialize};

use self::piece::Piece;
use crate::columns::Kind;
use crate::csv::Found;
use crate::fault::{FileError, Stopped};
use crate::kind::{Rules, rules};
use crate::limits::{COMMANDS_GOAL, MAX_COMMANDS_OF_ROW, MESSAGE_GOAL, PIECES_IN_FLIGHT};
use crate::message::{Caller, Message};
use crate::money::Money;
use crate::rejects;
use crate::source::{Position, Source};
use crate::totals::Totals;

/// What is behind: a beginning of the file, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behind {
    /// Where the file goes on.
    pub position: Position,
    /// What became of the rows before.
    pub totals: Totals,
    /// The newest decision of the hub that an answer about them named; of a new import, the newest before it began.
    pub sequence: u64,
    /// The hash of the frame that holds it.
    #[serde(with = "hex_hash")]
    pub chain_hash: [u8; 32],
    /// No later decision is about the rows before, and no earlier one about the rows behind.
    pub known: u64,
}

impl Behind {
    /// As it is kept from one run to the next.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("it has string keys and numbers only")
    }

    /// As an earlier run kept it.
    pub fn from_json(json: &str) -> Result<Self, FileError> {
        serde_json::from_str(json).map_err(|error| FileError::Checkpoint(error.to_string()))
    }
}

/// The import of one file.
pub struct Import {
    source: Source,
    rules: Box<dyn Rules>,
    money: Money,
    caller: Caller,
    pieces: VecDeque<Piece>,
    /// Pieces that have retired.
    retired: u64,
    ended: bool,
    behind: Behind,
    rejects: Vec<u8>,
    claims: Claims,
    /// Persons whose rows are under way and for whom further rows wait.
    busy: HashSet<u64>,
}

/// Answers that were given before and are this import's all the same: they were lost in the crash of an earlier run.
struct Claims {
    /// Decisions up to here were known to the run before.
    known: u64,
    /// The first decision of this run; whatever was decided before it and is not known was decided by an earlier run.
    first: u64,
    taken: HashSet<u64>,
    resumed: bool,
}

impl Claims {
    /// Whether a row whose last answer has this sequence is newly imported.
    fn count(&mut self, fresh: bool, sequence: u64) -> bool {
        if fresh {
            self.first = self.first.min(sequence);
            return true;
        }
        self.resumed && sequence > self.known && sequence < self.first && self.taken.insert(sequence)
    }
}

impl Import {
    /// Open a file, to begin at its beginning. `sequence` and `chain_hash` are of the newest decision of the hub.
    pub fn begin(
        path: &Path,
        kind: Kind,
        caller: Caller,
        sequence: u64,
        chain_hash: [u8; 32],
    ) -> Result<Self, FileError> {
        let source = Source::open(path, kind)?;
        let position = source.position();
        let behind = Behind { position, totals: Totals::default(), sequence, chain_hash, known: sequence };
        Ok(Self::new(source, kind, caller, behind, false))
    }

    /// Open a file, to go on with it where an earlier run came to.
    pub fn resume(path: &Path, kind: Kind, caller: Caller, behind: Behind) -> Result<Self, FileError> {
        let mut source = Source::open(path, kind)?;
        if behind.totals.all().rows != behind.position.rows {
            return Err(FileError::Checkpoint("its totals are not of its rows".into()));
        }
        source.resume(behind.position)?;
        Ok(Self::new(source, kind, caller, behind, true))
    }

    fn new(source: Source, kind: Kind, caller: Caller, behind: Behind, resumed: bool) -> Self {
        let header = source.header();
        let (rules, money) = (rules(kind, header), Money::new(kind, header));
        let claims = Claims { known: behind.known, first: u64::MAX, taken: HashSet::new(), resumed };
        // A resumed import goes on with its rejects file, which has its header.
        let rejects = if resumed { Vec::new() } else { rejects::header_row(header) };
        Self {
            source,
            rules,
            money,
            caller,
            pieces: VecDeque::new(),
            retired: 0,
            ended: false,
            behind,
            rejects,
            claims,
            busy: HashSet::new(),
        }
    }

    /// What is behind.
    pub fn behind(&self) -> &Behind {
        &self.behind
    }

    /// How much of the file is behind or under way, and how much it is.
    pub fn progress(&self) -> (u64, u64) {
        self.source.progress()
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.ended && self.pieces.is_empty()
    }

    /// Bytes that belong at the end of the rejects file, for rows that are behind; each is given once.
    pub fn take_rejects(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rejects)
    }

    /// Put together the next message, with the number by which its answer is handed in; none where answers must come first, or nothing is left.
    pub fn next_message(&mut self, now_ms: i64) -> Result<Option<(u64, Vec<u8>)>, Stopped> {
        loop {
            let mut message = Message::new(&self.caller, now_ms);
            for (n, piece) in self.pieces.iter_mut().enumerate() {
                if piece.is_waiting() || !piece.has_ready() {
                    continue;
                }
                piece.ask(&*self.rules, self.source.header(), &mut self.busy, &mut message);
                if message.commands() > 0 {
                    let number = self.retired + n as u64;
                    return Ok(Some((number, message.into_bytes())));
                }
            }
            drop(message);
            self.retire();
            if self.ended || self.pieces.len() >= PIECES_IN_FLIGHT {
                return Ok(None);
            }
            self.read_piece(now_ms)?;
        }
    }

    /// Take in what the hub answered to the message with a number.
    pub fn take_answer(&mut self, number: u64, answer: &[u8]) -> Result<(), Stopped> {
        let answer = batch_answer(answer).ok_or(Stopped::NoAnswer)?;
        let index = number.checked_sub(self.retired).and_then(|n| usize::try_from(n).ok());
        let piece = index.and_then(|n| self.pieces.get_mut(n)).ok_or(Stopped::NoAnswer)?;
        if let Some(stopped) = answer.results.iter().find_map(stops) {
            return Err(stopped);
        }
        let newest = answer.header.unwrap_or_default();
        let claims = &mut self.claims;
        let known = claims.known;
        let mut count = |fresh, sequence| claims.count(fresh, sequence);
        let (rules, header) = (&*self.rules, self.source.header());
        piece.take(rules, header, &mut self.busy, answer.results, known, &mut count)?;
        piece.seen(newest.sequence, &newest.chain_hash);
        self.retire();
        Ok(())
    }

    /// Read rows and put together what they ask for first.
    fn read_piece(&mut self, now_ms: i64) -> Result<(), Stopped> {
        let mut piece = Piece::default();
        let mut message = Message::new(&self.caller, now_ms);
        message.reserve(MESSAGE_GOAL + MESSAGE_GOAL / 8);
        while message.commands() + MAX_COMMANDS_OF_ROW <= COMMANDS_GOAL
            && message.len() < MESSAGE_GOAL
            && piece.len() < COMMANDS_GOAL
        {
            match self.source.read(piece.rows_mut())? {
                Found::End => {
                    self.ended = true;
                    break;
                }
                found => piece.add(&*self.rules, &self.money, self.source.header(), found, &mut message),
            }
        }
        piece.close(self.source.position(), message.into_bytes());
        self.pieces.push_back(piece);
        Ok(())
    }

    /// Let go of what is done at the front.
    fn retire(&mut self) {
        while self.pieces.front().is_some_and(Piece::is_done) {
            let mut piece = self.pieces.pop_front().expect("it is there");
            piece.append_rejects(self.behind.position.rows, self.source.header(), &mut self.rejects);
            self.behind.totals.add(piece.totals());
            self.behind.position = piece.end();
            if let Some((sequence, chain_hash)) =
                piece.newest().filter(|(sequence, _)| *sequence >= self.behind.sequence)
            {
                (self.behind.sequence, self.behind.chain_hash) = (sequence, chain_hash);
            }
            self.retired += 1;
        }
        // Rows behind may be decided already: of a message that was split, or where one row had to wait for another.
        let ahead = self.pieces.iter().filter_map(Piece::earliest).min();
        let known = ahead.map_or(self.behind.sequence, |earliest| self.behind.sequence.min(earliest - 1));
        self.behind.known = self.behind.known.max(known);
    }
}

/// Refusals that no row can mend end the import: what the hub refuses to everybody now, or to this caller.
fn stops(result: &v1::CommandResult) -> Option<Stopped> {
    let Some(v1::command_result::Result::Refusal(refusal)) = &result.result else { return None };
    let reason = u32::try_from(refusal.reason).ok().and_then(Reason::from_number)?;
    let of_the_hub = reason.number() >= FIRST_OF_ACCESS && reason != Reason::Internal;
    (of_the_hub || matches!(reason, Reason::ClockAhead | Reason::RequestTooOld)).then(|| {
        let mut values: Vec<String> = refusal.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        values.sort();
        let detail = if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) };
        Stopped::Refused { reason: reason.name(), detail }
    })
}

/// Reasons from here on are of access (7xxx) and of the engine (9xxx).
const FIRST_OF_ACCESS: u32 = 7_000;

/// A hash as hexadecimal digits.
mod hex_hash {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&blake3::Hash::from(*hash).to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        blake3::Hash::from_hex(text).map(Into::into).map_err(D::Error::custom)
    }
}
