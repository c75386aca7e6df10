//! Some rows of the file that are under way together, with how far each of them is.
//!
//! Invariant: a piece has one message out at a time, so the steps of its rows never overtake each other.

use std::collections::HashSet;

use medsettle_wire::v1::CommandResult;
use medsettle_wire::v1::command_result::Result as Answered;

use crate::csv::Found;
use crate::fault::{Fault, Stopped};
use crate::header::Header;
use crate::kind::{Next, Rules, State};
use crate::limits::{COMMANDS_GOAL, MAX_COMMANDS_OF_ROW, MAX_ROW_BYTES, MESSAGE_GOAL};
use crate::message::Message;
use crate::money::Money;
use crate::rehearsal;
use crate::rejects;
use crate::rows::{Cells, Rows};
use crate::source::Position;
use crate::totals::Totals;

#[derive(Default)]
pub(super) struct Piece {
    rows: Rows,
    states: Vec<Progress>,
    fen: Vec<i128>,
    /// The message that was put together while the rows were read.
    first: Vec<u8>,
    /// What is out: rows with the number of their commands.
    asked: Vec<(u32, u16)>,
    waiting: bool,
    undecided: usize,
    ready: usize,
    rejected: Vec<(u32, Fault)>,
    totals: Totals,
    end: Position,
    newest: Option<(u64, [u8; 32])>,
    /// The first decision about any of its rows.
    earliest: Option<u64>,
}

#[derive(Clone, Copy)]
enum Progress {
    /// Its next step may be asked for.
    Ready(State),
    Asked(State),
    Done,
}

impl Piece {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rows_mut(&mut self) -> &mut Rows {
        &mut self.rows
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    pub(super) fn is_done(&self) -> bool {
        self.undecided == 0 && !self.waiting
    }

    pub(super) fn has_ready(&self) -> bool {
        self.ready > 0 || !self.first.is_empty()
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn end(&self) -> Position {
        self.end
    }

    pub(super) fn newest(&self) -> Option<(u64, [u8; 32])> {
        self.newest
    }

    pub(super) fn earliest(&self) -> Option<u64> {
        self.earliest
    }

    pub(super) fn seen(&mut self, sequence: u64, chain_hash: &[u8]) {
        if let Ok(chain_hash) = chain_hash.try_into() {
            self.newest = Some((sequence, chain_hash));
        }
    }

    /// Take in the row that was read last.
    pub(super) fn add(
        &mut self,
        rules: &dyn Rules,
        money: &Money,
        header: &Header,
        found: Found,
        message: &mut Message<'_>,
    ) {
        let number = self.states.len();
        let first = if found == Found::Cut {
            Err(Fault::malformed("", format!("is longer than {MAX_ROW_BYTES} bytes; is a quotation mark not closed?")))
        } else {
            Cells::new(self.rows.row(number), header)
        };
        let fen = first.as_ref().ok().and_then(|cells| money.of(cells).ok()).unwrap_or(0);
        self.fen.push(fen);
        let before = message.commands();
        let asked = first.and_then(|cells| {
            if rules.is_rehearsed() {
                rehearsal::rehearse(rules, &cells)?;
            }
            rules.ask(&cells, &State::default(), message)
        });
        match asked {
            Ok(()) => {
                self.note_asked(number, message.commands() - before);
                self.states.push(Progress::Asked(State::default()));
                self.undecided += 1;
            }
            Err(fault) => {
                self.states.push(Progress::Done);
                self.reject(number, fault);
            }
        }
    }

    /// No further row comes; `message` is what they ask for first.
    pub(super) fn close(&mut self, end: Position, message: Vec<u8>) {
        self.end = end;
        self.first = message;
    }

    fn note_asked(&mut self, row: usize, commands: usize) {
        let row = u32::try_from(row).expect("a piece has few rows");
        self.asked.push((row, u16::try_from(commands).expect("a row asks for few commands")));
    }

    /// Put the next step of rows that are ready into a message.
    pub(super) fn ask(
        &mut self,
        rules: &dyn Rules,
        header: &Header,
        busy: &mut HashSet<u64>,
        message: &mut Message<'_>,
    ) {
        if !self.first.is_empty() {
            let commands = self.asked.iter().map(|(_, commands)| usize::from(*commands)).sum();
            message.take_over(std::mem::take(&mut self.first), commands);
            self.waiting = true;
            return;
        }
        self.asked.clear();
        for row in 0..self.states.len() {
            let Progress::Ready(state) = self.states[row] else { continue };
            if message.commands() + MAX_COMMANDS_OF_ROW > COMMANDS_GOAL || message.len() >= MESSAGE_GOAL {
                break;
            }
            if !state.holds && rules.is_exclusive(&state) && !busy.insert(state.person) {
                continue;
            }
            let state = State { holds: rules.is_exclusive(&state), ..state };
            let before = message.commands();
            let asked = self.cells(row, header).and_then(|cells| rules.ask(&cells, &state, message));
            self.ready -= 1;
            match asked {
                Ok(()) => {
                    self.states[row] = Progress::Asked(state);
                    self.note_asked(row, message.commands() - before);
                }
                Err(fault) => self.decide(row, &state, busy, |piece| piece.reject(row, fault)),
            }
        }
        self.waiting = message.commands() > 0;
    }

    fn cells<'a>(&'a self, row: usize, header: &'a Header) -> Result<Cells<'a>, Fault> {
        Cells::new(self.rows.row(row), header)
    }

    /// Take in the results of the message that is out. `count` tells whether a row counts as imported, by whether something of it was new
    /// and the sequence of its last decision; decisions up to `known` are of rows before.
    pub(super) fn take(
        &mut self,
        rules: &dyn Rules,
        header: &Header,
        busy: &mut HashSet<u64>,
        results: Vec<CommandResult>,
        known: u64,
        count: &mut dyn FnMut(bool, u64) -> bool,
    ) -> Result<(), Stopped> {
        let asked = std::mem::take(&mut self.asked);
        let commands: usize = asked.iter().map(|(_, commands)| usize::from(*commands)).sum();
        if !self.waiting || results.len() != commands || results.iter().any(|result| result.result.is_none()) {
            return Err(Stopped::NoAnswer);
        }
        self.waiting = false;
        let mut results = results.into_iter().filter_map(|result| result.result);
        for (row, commands) in asked {
            let row = row as usize;
            let Progress::Asked(mut state) = self.states[row] else { return Err(Stopped::NoAnswer) };
            let of_row: Vec<Answered> = results.by_ref().take(usize::from(commands)).collect();
            for header in of_row.iter().filter_map(decision) {
                state.fresh |= !header.replayed;
                state.sequence = header.sequence;
                if header.sequence > known {
                    self.earliest = Some(self.earliest.map_or(header.sequence, |first| first.min(header.sequence)));
                }
            }
            let next = self.cells(row, header).and_then(|cells| rules.take(&cells, &mut state, of_row));
            match next {
                Ok(Next::Ask) => {
                    self.states[row] = Progress::Ready(state);
                    self.ready += 1;
                }
                Ok(Next::Done) => {
                    let imported = count(state.fresh, state.sequence);
                    self.decide(row, &state, busy, |piece| {
                        let sum = if imported { &mut piece.totals.imported } else { &mut piece.totals.already };
                        sum.add_row(piece.fen[row]);
                    });
                }
                Err(fault) => self.decide(row, &state, busy, |piece| piece.reject(row, fault)),
            }
        }
        Ok(())
    }

    fn decide(&mut self, row: usize, state: &State, busy: &mut HashSet<u64>, note: impl FnOnce(&mut Self)) {
        if state.holds {
            busy.remove(&state.person);
        }
        self.states[row] = Progress::Done;
        self.undecided -= 1;
        note(self);
    }

    fn reject(&mut self, row: usize, fault: Fault) {
        self.totals.rejected.add_row(self.fen[row]);
        self.rejected.push((u32::try_from(row).expect("a piece has few rows"), fault));
    }

    /// Append the rejected rows in the order of the file; `before` counts the rows before the piece.
    pub(super) fn append_rejects(&mut self, before: u64, header: &Header, out: &mut Vec<u8>) {
        self.rejected.sort_by_key(|(row, _)| *row);
        for (row, fault) in &self.rejected {
            rejects::append(before + u64::from(*row) + 1, fault, self.rows.row(*row as usize), header, out);
        }
    }
}

/// The header of a decision that left facts; reads decide nothing.
fn decision(result: &Answered) -> Option<&medsettle_wire::v1::ResponseHeader> {
    match result {
        Answered::PersonsEnroll(response) => response.header.as_ref(),
        Answered::CardsApply(response) => response.header.as_ref(),
        Answered::CardsMarkMade(response) => response.header.as_ref(),
        Answered::CardsHandOver(response) => response.header.as_ref(),
        Answered::CardsEnable(response) => response.header.as_ref(),
        Answered::AccountsCredit(response) => response.header.as_ref(),
        Answered::AccountsOpenYear(response) => response.header.as_ref(),
        Answered::FilingsFile(response) => response.header.as_ref(),
        _ => None,
    }
}
