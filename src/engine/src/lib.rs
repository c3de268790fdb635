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
mod document;
mod encode;
mod engine;
mod fields;
mod frames;
mod gaps;
mod header;
mod lines;
mod names;
mod nodes;
mod options;
mod rules;
mod state;
mod stats;
mod time;

pub use decode::{ECS_VERSION, SCHEMA};
pub use engine::Engine;
pub use frames::{Frame, Frames, Framing};
pub use names::NameKind;
pub use options::{Host, IncludeRaw, Limits, Options, Restore, RuleOptions, Timing};
pub use state::StateError;
pub use stats::Stats;
