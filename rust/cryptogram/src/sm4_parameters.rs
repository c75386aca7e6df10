//! The parameters of SM4 (GM/T 0002-2012, 7.3), which both ways to compute it use.

pub(crate) const ROUNDS: usize = 32;

/// FK, by which a key is masked before its schedule.
pub(crate) const SYSTEM: [u32; 4] = [0xA3B1_BAC6, 0x56AA_3350, 0x677D_9197, 0xB270_22DC];

/// CK: byte `j` of word `i` is 7 · (4 · i + j) modulo 256, the first byte being the most significant.
pub(crate) const FIXED: [u32; ROUNDS] = {
    let mut words = [0; ROUNDS];
    let mut byte: u8 = 0;
    while byte < 128 {
        let word = &mut words[byte as usize / 4];
        *word = (*word << 8) | byte.wrapping_mul(7) as u32;
        byte += 1;
    }
    words
};
