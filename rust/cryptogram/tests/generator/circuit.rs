//! Circuits of bitwise operations with two inputs, and their text in Rust.

use std::fmt::Write;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    And,
    Or,
    Xor,
    /// The left one without the right one: one instruction where the processor has it.
    AndNot,
    Not,
}

impl Op {
    pub(super) const OF_TWO: [Self; 4] = [Self::And, Self::Or, Self::Xor, Self::AndNot];

    pub(super) const fn of(self, left: u64, right: u64) -> u64 {
        match self {
            Self::And => left & right,
            Self::Or => left | right,
            Self::Xor => left ^ right,
            Self::AndNot => left & !right,
            Self::Not => !left,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Gate {
    op: Op,
    left: usize,
    right: usize,
}

/// Wires are numbered: first the inputs, then the gates in the order in which they are computed.
#[derive(Clone)]
pub(super) struct Circuit {
    inputs: usize,
    gates: Vec<Gate>,
}

impl Circuit {
    pub(super) fn new(inputs: usize) -> Self {
        Self { inputs, gates: Vec::new() }
    }

    pub(super) fn gate_count(&self) -> usize {
        self.gates.len()
    }

    pub(super) fn wire_count(&self) -> usize {
        self.inputs + self.gates.len()
    }

    /// Add a gate, unless the same is there already, and return its wire.
    pub(super) fn add(&mut self, op: Op, left: usize, right: usize) -> usize {
        let gate = Gate { op, left, right };
        if let Some(known) = self.gates.iter().position(|other| *other == gate) {
            return self.inputs + known;
        }
        self.gates.push(gate);
        self.wire_count() - 1
    }

    /// Add all gates of another circuit, whose inputs are these wires, and return the wires of its outputs.
    pub(super) fn include(&mut self, other: &Self, inputs: &[usize], outputs: &[usize]) -> Vec<usize> {
        let mut wires = inputs.to_vec();
        for gate in &other.gates {
            wires.push(self.add(gate.op, wires[gate.left], wires[gate.right]));
        }
        outputs.iter().map(|output| wires[*output]).collect()
    }

    /// The text of a function from the inputs to these outputs.
    pub(super) fn text(&self, name: &str, what: &str, outputs: &[usize]) -> String {
        let (inputs, output_count) = (self.inputs, outputs.len());
        let list = |wires: &[usize]| wires.iter().map(|wire| format!("w{wire}")).collect::<Vec<_>>().join(", ");
        let mut text = format!("/// {what}: {} operations.\n#[inline(always)]\n", self.gate_count());
        let _ = writeln!(text, "pub(crate) fn {name}<B: Bits>(inputs: [B; {inputs}]) -> [B; {output_count}] {{");
        let _ = writeln!(text, "    let [{}] = inputs;", list(&(0..inputs).collect::<Vec<_>>()));
        for (position, Gate { op, left, right }) in self.gates.iter().enumerate() {
            let wire = inputs + position;
            let _ = match op {
                Op::And => writeln!(text, "    let w{wire} = w{left} & w{right};"),
                Op::Or => writeln!(text, "    let w{wire} = w{left} | w{right};"),
                Op::Xor => writeln!(text, "    let w{wire} = w{left} ^ w{right};"),
                Op::AndNot => writeln!(text, "    let w{wire} = w{left} & !w{right};"),
                Op::Not => writeln!(text, "    let w{wire} = !w{left};"),
            };
        }
        let _ = writeln!(text, "    [{}]\n}}", list(outputs));
        text
    }
}
