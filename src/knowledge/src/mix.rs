//! The hash of the name tables; `build.rs` searches multipliers for it, and look-ups use the same ones.

/// Mixes a name's first and last eight bytes with its length. Names that fall into one slot do not compile.
pub fn mix(name: &[u8], multiplier: u64) -> u64 {
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (short(name), short(name)),
    };
    let word = first ^ last.rotate_left(29) ^ (name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word.wrapping_mul(multiplier)
}

/// Fewer than eight bytes as a number, little-endian. Not copied to a buffer: this is done for every field of every
/// record.
fn short(name: &[u8]) -> u64 {
    if let (Some(front), Some(back)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*front)) | u64::from(u32::from_le_bytes(*back)) << (8 * (name.len() - 4));
    }
    name.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}
