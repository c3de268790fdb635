//! Perfect hashing of names: a multiplier under which all names fall into different slots.

use std::fmt::Write as _;

#[path = "../src/mix.rs"]
mod mix;
use mix::Ends;

/// A name as the tables compare it.
pub fn ends(name: &str) -> String {
    let Ends { first, last, length } = Ends::of(name.as_bytes());
    format!("Ends {{ first: {first}, last: {last}, length: {length} }}")
}

/// Searches the multiplier and writes the slot table.
pub fn perfect_hash(out: &mut String, prefix: &str, names: &[String], bits: u32) {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..5_000_000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let multiplier = seed | 1;
        let mut slots = vec![0_u16; 1 << bits];
        let free = names.iter().enumerate().all(|(i, name)| {
            let slot = &mut slots[(Ends::of(name.as_bytes()).mix(multiplier) >> (64 - bits)) as usize];
            let free = *slot == 0;
            *slot = u16::try_from(i + 1).expect("fewer than 65535 names");
            free
        });
        if free {
            writeln!(out, "pub(crate) const {prefix}_MULTIPLIER: u64 = {multiplier};").unwrap();
            writeln!(out, "pub(crate) const {prefix}_BITS: u32 = {bits};").unwrap();
            writeln!(out, "pub(crate) static {prefix}_SLOTS: [u16; {}] = {slots:?};", slots.len()).unwrap();
            return;
        }
    }
    panic!("no multiplier separates the {} names of {prefix} in {} slots", names.len(), 1 << bits);
}
