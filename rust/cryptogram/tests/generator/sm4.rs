//! The S-box of SM4 as a circuit, from its algebra: S(x) = A · (A · x + c)⁻¹ + c over GF(2⁸), where A is circulant.
//!
//! The field is written as a tower: GF(2⁸) as polynomials y·a + b over GF(2⁴), that over GF(2²), that over GF(2). There
//! (a, b)⁻¹ = (a · D⁻¹, (a + b) · D⁻¹) with D = ν·a² + a·b + b². Squares are linear, so that only three multiplications and
//! one inversion of four bits are not. Which of the equivalent towers is shortest was found by trying all.

use std::time::{Duration, Instant};

use super::circuit::{Circuit, Op};
use super::linear::sums;
use super::luck::Luck;
use super::tables;

/// x⁸ + x⁷ + x⁶ + x⁵ + x⁴ + x² + 1.
const POLYNOMIAL: u16 = 0x1F5;
/// The first row of A; the next ones are it, rotated to the left by one bit each.
const FIRST_ROW: u8 = 0xA7;
const CONSTANT: u8 = 0xD3;

/// What `search` found.
const RECIPE: Recipe = Recipe { omega: 2, nu: 12, root: 0, seed: 84 };
const INVERSION_RECIPE: &str = "3210bcac";

#[derive(Clone, Copy, Debug)]
struct Recipe {
    /// z² + z + omega makes GF(2⁴) of GF(2²).
    omega: u8,
    /// y² + y + nu makes GF(2⁸) of GF(2⁴).
    nu: u8,
    /// Which of the eight roots of `POLYNOMIAL` in the tower stands for x.
    root: usize,
    /// Decides among sums that are equally good.
    seed: u64,
}

/// Multiply in GF(2²) = GF(2)[w] / (w² + w + 1).
fn multiply_2(a: u8, b: u8) -> u8 {
    let (a1, a0, b1, b0) = (a >> 1, a & 1, b >> 1, b & 1);
    ((a1 & b0) ^ (a0 & b1) ^ (a1 & b1)) << 1 | (a0 & b0) ^ (a1 & b1)
}

/// Multiply in an extension by t² + t + c of a field of `bits` bits.
fn multiply_extended(a: u8, b: u8, bits: u32, c: u8, multiply: impl Fn(u8, u8) -> u8) -> u8 {
    let low = u8::MAX >> (8 - bits);
    let (a1, a0, b1, b0) = (a >> bits, a & low, b >> bits, b & low);
    let (high, crossed) = (multiply(a1, b1), multiply(a1, b0) ^ multiply(a0, b1));
    (high ^ crossed) << bits | multiply(a0, b0) ^ multiply(high, c)
}

impl Recipe {
    fn multiply_4(self, a: u8, b: u8) -> u8 {
        multiply_extended(a, b, 2, self.omega, multiply_2)
    }

    fn multiply_8(self, a: u8, b: u8) -> u8 {
        multiply_extended(a, b, 4, self.nu, |a, b| self.multiply_4(a, b))
    }

    /// Whether both extensions are fields: their polynomials have no root below.
    fn is_field(self) -> bool {
        (0..4).all(|t| multiply_2(t, t) ^ t != self.omega) && (0..16).all(|t| self.multiply_4(t, t) ^ t != self.nu)
    }

    /// What the powers of x, 1 to x⁷, are in the tower.
    fn powers(self) -> Option<[u8; 8]> {
        let powers_of = |root: u8| {
            let mut powers = [1; 9];
            for exponent in 1..9 {
                powers[exponent] = self.multiply_8(powers[exponent - 1], root);
            }
            powers
        };
        let vanishes =
            |powers: &[u8; 9]| (0..9).filter(|i| POLYNOMIAL >> i & 1 == 1).fold(0, |sum, i| sum ^ powers[i]) == 0;
        let powers = (2..=255).map(powers_of).filter(vanishes).nth(self.root)?;
        powers.first_chunk().copied()
    }

    fn invert_4(self, a: u8) -> u8 {
        (0..16).find(|b| self.multiply_4(a, *b) == 1).unwrap_or(0)
    }
}

/// A linear map of bytes by what it makes of each bit.
fn apply(columns: [u8; 8], x: u8) -> u8 {
    (0..8).filter(|bit| x >> bit & 1 == 1).fold(0, |sum, bit| sum ^ columns[bit])
}

fn circulant(x: u8) -> u8 {
    let is_odd = |row: &u32| (FIRST_ROW.rotate_left(*row) & x).count_ones() % 2 == 1;
    (0..8).filter(is_odd).fold(0, |sum, row| sum | 1 << row)
}

/// The nine sums of four bits whose products by pairs make a multiplication, three times three by Karatsuba.
const KARATSUBA: [u8; 9] = [0b1000, 0b0100, 0b1100, 0b0010, 0b0001, 0b0011, 0b1010, 0b0101, 0b1111];

/// Which of the nine products each bit of a product in GF(2⁴) is the sum of, the lowest bit first.
fn products_of_bits(recipe: Recipe) -> [u32; 4] {
    // In GF(2²): of products h, l, m (high, low, mixed) the high bit is m + l and the low one l + h.
    let halves = |first: u32| [0b011 << first, 0b110 << first];
    let ([p0, p1], [q0, q1], [r0, r1]) = (halves(0), halves(3), halves(6));
    // The high half is R + Q, the low one Q + omega · P; omega is w or w + 1.
    let (scaled_0, scaled_1) = if recipe.omega == 2 { (p1, p1 ^ p0) } else { (p1 ^ p0, p0) };
    [q0 ^ scaled_0, q1 ^ scaled_1, r0 ^ q0, r1 ^ q1]
}

/// All four-bit values of a linear function as columns: what it makes of each of the four bits.
fn bits_of(columns: [u8; 4], bit: u32) -> u8 {
    (0..4).map(|column| (columns[column] >> bit & 1) << column).fold(0, |sum, bit| sum | bit)
}

/// The circuit and its outputs, bit 0 first in inputs and outputs.
fn circuit(recipe: Recipe, inversion: &(Circuit, Vec<usize>)) -> Option<(Circuit, Vec<usize>)> {
    let to_tower = recipe.powers()?;
    let luck = &mut Luck::new(recipe.seed);
    let mut circuit = Circuit::new(8);
    // Bit i of the tower's element is the parity of these input bits, and of a constant.
    let columns = [0, 1, 2, 3, 4, 5, 6, 7].map(|bit| apply(to_tower, circulant(1 << bit)));
    let form = |bits: u8| {
        (0..8)
            .filter(|input| (columns[*input] & bits).count_ones() % 2 == 1)
            .fold(0, |sum: u32, input| sum | 1 << input)
    };
    let flips = apply(to_tower, CONSTANT);
    let odd = |bits: u8| (flips & bits).count_ones() % 2 == 1;

    let squares_a = [1, 2, 4, 8].map(|a| recipe.multiply_4(recipe.nu, recipe.multiply_4(a, a)));
    let squares_b = [1, 2, 4, 8].map(|b| recipe.multiply_4(b, b));
    // The forms of the inputs: factors a, b and a + b with their Karatsuba sums, and the linear part of D.
    let mut wanted: Vec<u8> = Vec::new();
    wanted.extend(KARATSUBA.map(|bits| bits << 4));
    wanted.extend(KARATSUBA);
    wanted.extend(KARATSUBA.map(|bits| bits << 4 | bits));
    wanted.extend([0, 1, 2, 3].map(|bit| bits_of(squares_a, bit) << 4 | bits_of(squares_b, bit)));
    let forms: Vec<u32> = wanted.iter().map(|bits| form(*bits)).collect();
    let inputs: Vec<usize> = (0..8).collect();
    let mut wires = sums(&mut circuit, &inputs, &forms, luck);
    for (wire, bits) in wires.iter_mut().zip(&wanted) {
        if odd(*bits) {
            *wire = circuit.add(Op::Not, *wire, *wire);
        }
    }
    let (factor_a, rest) = wires.split_at(9);
    let (factor_b, rest) = rest.split_at(9);
    let (factor_sum, linear_part) = rest.split_at(9);

    let product_bits = products_of_bits(recipe);
    let products: Vec<usize> = factor_a.iter().zip(factor_b).map(|(a, b)| circuit.add(Op::And, *a, *b)).collect();
    let norm = sums(&mut circuit, &products, &product_bits, luck);
    let norm: Vec<usize> =
        norm.iter().zip(linear_part).map(|(left, right)| circuit.add(Op::Xor, *left, *right)).collect();
    let inverse = circuit.include(&inversion.0, &norm, &inversion.1);
    let inverse = sums(&mut circuit, &inverse, &KARATSUBA.map(u32::from), luck);
    let by_inverse = |circuit: &mut Circuit, factor: &[usize]| -> Vec<usize> {
        factor.iter().zip(&inverse).map(|(left, right)| circuit.add(Op::And, *left, *right)).collect()
    };
    let mut products = by_inverse(&mut circuit, factor_a);
    products.extend(by_inverse(&mut circuit, factor_sum));

    // Back from the tower and through A once more: every output bit is a sum of the 18 products.
    let tower_bits: Vec<u32> = product_bits.iter().map(|bits| bits << 9).chain(product_bits).collect();
    let from_tower = inverse_map(to_tower);
    let outputs = [0, 1, 2, 3, 4, 5, 6, 7].map(|output| {
        (0..8)
            .filter(|bit| circulant(apply(from_tower, 1 << bit)) >> output & 1 == 1)
            .fold(0, |sum, bit| sum ^ tower_bits[bit])
    });
    let mut outputs = sums(&mut circuit, &products, &outputs, luck);
    for (bit, wire) in outputs.iter_mut().enumerate() {
        if CONSTANT >> bit & 1 == 1 {
            *wire = circuit.add(Op::Not, *wire, *wire);
        }
    }
    Some((circuit, outputs))
}

fn inverse_map(columns: [u8; 8]) -> [u8; 8] {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|bit| (0..=255).find(|x| apply(columns, *x) == 1 << bit).expect("an isomorphism"))
}

fn inversion_tables(recipe: Recipe) -> [u64; 4] {
    // Six inputs of which two do not exist: the table of four is repeated.
    [0, 1, 2, 3].map(|bit| (0..64_u8).filter(|x| recipe.invert_4(x & 15) >> bit & 1 == 1).map(|x| 1 << x).sum())
}

pub(super) fn file() -> String {
    let inversion = tables::follow(4, &inversion_tables(RECIPE), INVERSION_RECIPE);
    let (circuit, outputs) = circuit(RECIPE, &inversion).expect("the recipe names a field");
    format!("{}{}", super::HEAD, circuit.text("sm4_box", "The S-box of SM4, bit 0 first", &outputs))
}

pub(super) fn search(seconds: u64) {
    for omega in [2, 3] {
        let end = Instant::now() + Duration::from_secs(seconds);
        let recipe = Recipe { omega, ..RECIPE };
        tables::search(&format!("inversion, omega {omega}"), 4, &inversion_tables(recipe), || Instant::now() < end);
    }
    // Its length is the same for all recipes of one omega, so that any inversion serves to compare them.
    let mut inversion = (Circuit::new(4), vec![0, 1, 2, 3]);
    inversion.0.add(Op::Not, 0, 0);
    let (mut best, mut seed) = (usize::MAX, 0);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        seed += 1;
        for (omega, nu, root) in (2..4).flat_map(|o| (1..16).flat_map(move |n| (0..8).map(move |r| (o, n, r)))) {
            let recipe = Recipe { omega, nu, root, seed };
            if let Some((circuit, _)) = recipe.is_field().then(|| circuit(recipe, &inversion)).flatten()
                && circuit.gate_count() < best
            {
                best = circuit.gate_count();
                println!("SM4: {best} operations beside the inversion, {recipe:?}");
            }
        }
    }
}
