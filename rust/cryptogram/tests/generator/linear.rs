//! Sums of wires (XOR), computed with shared parts.
//!
//! The two wires that occur together in most sums are added once for all of them, until every sum is one wire; among
//! equally frequent pairs luck decides.

use super::circuit::{Circuit, Op};
use super::luck::Luck;

/// Sums as bit sets over `wires`; bit `i` is the `i`-th of them.
pub(super) fn sums(circuit: &mut Circuit, wires: &[usize], sums: &[u32], luck: &mut Luck) -> Vec<usize> {
    let mut wires = wires.to_vec();
    let mut sums: Vec<u128> = sums.iter().map(|sum| u128::from(*sum)).collect();
    assert!(sums.iter().all(|sum| *sum != 0), "no sum is empty");
    while let Some((left, right)) = most_frequent_pair(&sums, wires.len(), luck) {
        let both = 1 << left | 1 << right;
        for sum in sums.iter_mut().filter(|sum| **sum & both == both) {
            *sum = *sum & !both | 1 << wires.len();
        }
        wires.push(circuit.add(Op::Xor, wires[left], wires[right]));
    }
    sums.iter().map(|sum| wires[sum.trailing_zeros() as usize]).collect()
}

fn most_frequent_pair(sums: &[u128], count: usize, luck: &mut Luck) -> Option<(usize, usize)> {
    let (mut best, mut pairs) = (1, Vec::new());
    for left in 0..count {
        for right in left + 1..count {
            let both = 1_u128 << left | 1 << right;
            let frequency = sums.iter().filter(|sum| **sum & both == both).count();
            if frequency > best {
                (best, pairs) = (frequency, Vec::new());
            }
            if frequency == best {
                pairs.push((left, right));
            }
        }
    }
    (!pairs.is_empty()).then(|| pairs[luck.below(pairs.len())])
}
