//! Circuits for functions given as truth tables of at most six inputs.
//!
//! A function is looked for among what the circuit computes already, then one gate and two gates from it. When that
//! fails it is split by one input: for one half of the inputs it is built as if the other half did not matter, and what is
//! wrong in the other half is built and added there. Which input, and which half first, is what a recipe tells.

use super::circuit::{Circuit, Op};
use super::luck::Luck;

/// How a split is chosen.
pub(super) enum Choice<'a> {
    /// Try so many of the ways at the outermost split, a third as many at each further one, and keep the shortest.
    Search { luck: &'a mut Luck, width: usize },
    /// Take the next letter of a recipe: `a` and `b` for the first input, and so on.
    Follow(&'a mut std::str::Chars<'a>),
}

#[derive(Clone)]
pub(super) struct Builder {
    pub(super) circuit: Circuit,
    inputs: usize,
    /// What every wire computes: bit `x` is its value for the inputs `x`.
    tables: Vec<u64>,
    /// The splits taken.
    pub(super) recipe: String,
}

impl Builder {
    pub(super) fn new(inputs: usize) -> Self {
        let table = |input: usize| (0..64_u64).filter(|x| x >> input & 1 == 1).map(|x| 1 << x).sum();
        let tables = (0..inputs).map(table).collect();
        Self { circuit: Circuit::new(inputs), inputs, tables, recipe: String::new() }
    }

    fn add(&mut self, op: Op, left: usize, right: usize) -> usize {
        let wire = self.circuit.add(op, left, right);
        if wire == self.tables.len() {
            self.tables.push(op.of(self.tables[left], self.tables[right]));
        }
        wire
    }

    /// A wire that equals `target` wherever `care` has a bit, when the circuit stays within `limit` gates.
    pub(super) fn build(&mut self, target: u64, care: u64, limit: usize, choice: &mut Choice<'_>) -> Option<usize> {
        let within = |builder: &Self, wire| (builder.circuit.gate_count() <= limit).then_some(wire);
        if let Some(wire) = self.nothing_or_one_gate(target, care) {
            return within(self, wire);
        }
        if self.circuit.gate_count() + 2 > limit {
            return None;
        }
        if let Some(wire) = self.two_gates(target, care) {
            return within(self, wire);
        }
        match choice {
            Choice::Follow(recipe) => {
                let letter = recipe.next().expect("the recipe is long enough");
                let split = usize::try_from(u32::from(letter) - u32::from('a')).expect("a letter");
                self.split(split, target, care, limit, choice)
            }
            Choice::Search { luck, width } => {
                let divides = |split: &usize| care & self.half(*split) != 0 && care & !self.half(*split) != 0;
                let mut splits: Vec<_> = (0..2 * self.inputs).filter(divides).collect();
                luck.shuffle(&mut splits);
                splits.truncate((*width).max(1));
                let (mut limit, mut best) = (limit, None);
                for split in splits {
                    let mut trial = self.clone();
                    let mut choice = Choice::Search { luck, width: *width / 3 };
                    if let Some(wire) = trial.split(split, target, care, limit, &mut choice) {
                        limit = trial.circuit.gate_count() - 1;
                        best = Some((trial, wire));
                    }
                }
                let wire;
                (*self, wire) = best?;
                Some(wire)
            }
        }
    }

    /// The inputs that a split looks at first.
    fn half(&self, split: usize) -> u64 {
        let input = self.tables[split / 2];
        if split.is_multiple_of(2) { !input } else { input }
    }

    fn split(&mut self, split: usize, target: u64, care: u64, limit: usize, choice: &mut Choice<'_>) -> Option<usize> {
        let limit_before = limit.checked_sub(2)?;
        let half = self.half(split);
        self.recipe.push(char::from(b'a' + u8::try_from(split).expect("below 12")));
        let first = self.build(target, care & half, limit_before, choice)?;
        let wrong = target ^ self.tables[first];
        let correction = self.build(wrong, care & !half, limit_before, choice)?;
        let confined = if split.is_multiple_of(2) { Op::And } else { Op::AndNot };
        let confined = self.add(confined, correction, split / 2);
        let wire = self.add(Op::Xor, first, confined);
        (self.circuit.gate_count() <= limit).then_some(wire)
    }

    fn nothing_or_one_gate(&mut self, target: u64, care: u64) -> Option<usize> {
        let fits = |table: u64| (table ^ target) & care == 0;
        if let Some(wire) = self.tables.iter().position(|table| fits(*table)) {
            return Some(wire);
        }
        if let Some(wire) = self.tables.iter().position(|table| fits(!*table)) {
            return Some(self.add(Op::Not, wire, wire));
        }
        for (left, of_left) in self.tables.iter().enumerate() {
            for (right, of_right) in self.tables.iter().enumerate() {
                if let Some(op) = Op::OF_TWO.into_iter().find(|op| fits(op.of(*of_left, *of_right))) {
                    return Some(self.add(op, left, right));
                }
            }
        }
        None
    }

    fn two_gates(&mut self, target: u64, care: u64) -> Option<usize> {
        let fits = |table: u64| (table ^ target) & care == 0;
        for (left, of_left) in self.tables.iter().enumerate() {
            for (right, of_right) in self.tables.iter().enumerate() {
                for inner in Op::OF_TWO {
                    if right < left && inner != Op::AndNot {
                        continue;
                    }
                    let table = inner.of(*of_left, *of_right);
                    for (third, of_third) in self.tables.iter().enumerate() {
                        let outer = Op::OF_TWO.into_iter().find(|op| fits(op.of(table, *of_third)));
                        let swapped = fits(of_third & !table);
                        if outer.is_some() || swapped {
                            let wire = self.add(inner, left, right);
                            return Some(match outer {
                                Some(op) => self.add(op, wire, third),
                                None => self.add(Op::AndNot, third, wire),
                            });
                        }
                    }
                }
            }
        }
        None
    }
}

/// Build several functions in one circuit. The first characters of a recipe are the order in which they are built.
pub(super) fn follow(inputs: usize, targets: &[u64], recipe: &str) -> (Circuit, Vec<usize>) {
    let (order, splits) = recipe.split_at(targets.len());
    let order: Vec<_> = order.chars().map(|digit| digit.to_digit(10).expect("a digit") as usize).collect();
    let mut chars = splits.chars();
    let built = build_all(inputs, targets, &order, usize::MAX, &mut Choice::Follow(&mut chars));
    let (builder, outputs) = built.expect("a recipe ends");
    (builder.circuit, outputs)
}

/// Look for shorter and shorter circuits until `go_on` says no, and print recipes.
pub(super) fn search(name: &str, inputs: usize, targets: &[u64], mut go_on: impl FnMut() -> bool) {
    let (mut best, mut seed) = (usize::MAX, 0);
    while go_on() {
        seed += 1;
        let mut luck = Luck::new(seed);
        let mut order: Vec<_> = (0..targets.len()).collect();
        luck.shuffle(&mut order);
        let mut choice = Choice::Search { luck: &mut luck, width: 12 };
        if let Some((builder, _)) = build_all(inputs, targets, &order, best - 1, &mut choice) {
            best = builder.circuit.gate_count();
            let order: String = order.iter().map(ToString::to_string).collect();
            println!("{name}: {best} operations, seed {seed}, recipe \"{order}{}\"", builder.recipe);
        }
    }
}

fn build_all(
    inputs: usize,
    targets: &[u64],
    order: &[usize],
    limit: usize,
    choice: &mut Choice<'_>,
) -> Option<(Builder, Vec<usize>)> {
    let mut builder = Builder::new(inputs);
    let mut outputs = vec![0; targets.len()];
    // With fewer than six inputs a table repeats itself.
    for output in order {
        outputs[*output] = builder.build(targets[*output], !0, limit, choice)?;
    }
    Some((builder, outputs))
}
