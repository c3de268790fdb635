//! The hash of the name tables; `build.rs` searches multipliers for it, and look-ups use the same ones.

/// Mixes a name's first and last eight bytes with its length. Names that fall into one slot do not compile.
pub fn mix(name: &[u8], multiplier: u64) -> u64 {
    let mut first = [0_u8; 8];
    let mut last = [0_u8; 8];
    let n = name.len().min(8);
    first[..n].copy_from_slice(&name[..n]);
    last[..n].copy_from_slice(&name[name.len() - n..]);
    let word = u64::from_le_bytes(first)
        ^ u64::from_le_bytes(last).rotate_left(29)
        ^ (name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word.wrapping_mul(multiplier)
}
