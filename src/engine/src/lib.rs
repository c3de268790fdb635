//! The engine: bytes of auditd's string protocol in, encoded event documents out.
//!
//! The way of the data, one module a stage:
//!
//! ```text
//! bytes ─lines─▶ line ─header─▶ record ─assembly─▶ event ─decode─▶ document ─rules─▶ ─encode─▶ frame
//! ```
//!
//! What it must never do: input or output, reading a clock (time is handed in by `tick`), raising on content, growing
//! past its limits, dropping a record that no counter names.
#![forbid(unsafe_code)]

mod assembly;
mod decode;
mod digits;
mod document;
mod encode;
mod engine;
mod fields;
mod frames;
mod gaps;
mod header;
mod layout;
mod lines;
mod names;
mod near;
mod nodes;
mod options;
mod out;
mod packed;
mod path_object;
mod recent;
mod rules;
mod sockets;
#[cfg(feature = "stages")]
pub mod stages;
mod state;
mod stats;
mod time;

pub use decode::{ECS_VERSION, SCHEMA};
pub use engine::Engine;
pub use frames::{Frame, Frames, Framing, NewHead};
pub use names::NameKind;
pub use options::{Host, IncludeRaw, Limits, Options, Restore, RuleOptions, Timing};
pub use packed::{pack, unpack, Packed};
pub use state::StateError;
pub use stats::Stats;

/// Kinds that a site's own fields can have.
pub fn kinds() -> Vec<&'static str> {
    pyaudit_knowledge::site_kinds().map(|(name, _)| name).collect()
}

/// Numbers and names of all record types.
pub fn record_types() -> Vec<(u16, &'static str)> {
    pyaudit_knowledge::record_types().collect()
}

/// Names of all fields that are known.
pub fn fields() -> Vec<&'static str> {
    let mut names: Vec<&str> = pyaudit_knowledge::field_names().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The number behind a word that took its place, as records write it; `arch` as the document names it.
pub fn number_of(kind: &str, word: &str, arch: &str) -> Option<String> {
    pyaudit_knowledge::number_of(kind, word, pyaudit_knowledge::arch_of_name(arch))
}
