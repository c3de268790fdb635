//! The hash of the name tables; `build.rs` searches multipliers for it, and look-ups use the same ones.

/// A name's first and last eight bytes, and its length: all of a name of up to 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub first: u64,
    pub last: u64,
    pub length: usize,
}

impl Ends {
    pub fn of(name: &[u8]) -> Self {
        let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => (short(name), short(name)),
        };
        Self { first, last, length: name.len() }
    }

    /// Names that fall into one slot do not compile.
    pub fn mix(self, multiplier: u64) -> u64 {
        let length = (self.length as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (self.first ^ self.last.rotate_left(29) ^ length).wrapping_mul(multiplier)
    }
}

/// Fewer than eight bytes as a number, little-endian. Not copied to a buffer: this is done for every field of every
/// record.
fn short(name: &[u8]) -> u64 {
    if let (Some(front), Some(back)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*front)) | u64::from(u32::from_le_bytes(*back)) << (8 * (name.len() - 4));
    }
    match *name {
        [] => 0,
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, ..] => u64::from(u32::from_le_bytes([a, b, c, 0])),
    }
}
