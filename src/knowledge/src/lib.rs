//! What is known about Linux audit: record types, fields, architectures, syscalls, errno, the places of the document.
//!
//! All of it is data in `../data/*.tsv`; `build.rs` compiles it into the static tables that this file looks things up
//! in. No decoding happens here and nothing here allocates.
#![forbid(unsafe_code)]

/// A table of numbers and their names, sorted by number.
pub type NumberTable = &'static [(u64, &'static str)];

/// A record type as auditd writes it (`type=NAME`).
#[derive(Debug)]
pub struct RecordType {
    pub number: u16,
    pub name: &'static str,
    /// The name as the document spells it.
    pub lower: &'static str,
    /// Whether it can be what the event is about, or only accompanies such a record.
    pub leads: bool,
}

/// One value of the kernel's `AUDIT_ARCH_*` list.
#[derive(Debug)]
pub struct Arch {
    pub value: u32,
    pub name: &'static str,
    syscalls: NumberTable,
    errno: NumberTable,
    pub big_endian: bool,
}

/// How the value of a field is written by the kernel or by a program, and so how it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it stands.
    Text,
    /// Quoted, or hex where a byte needed hiding.
    Escaped,
    /// As `Escaped`, but programs also write it bare: hex only in upper case and of even length.
    Account,
    /// As `Escaped`; several keys are joined by 0x01.
    Key,
    /// As `Escaped`; NULs between the arguments.
    Proctitle,
    Uid,
    Gid,
    /// A decimal number that the document holds as a number.
    Number,
    Arch,
    Syscall,
    /// A syscall's return value: a negative one is an errno.
    Exit,
    /// success, res, result in all their spellings.
    Result,
    Session,
    /// A socket address in hex.
    Saddr,
    Signal,
    /// A security context.
    Context,
    /// A seccomp return value in hex.
    Seccomp,
    /// A list of audit rules: a number, or its name.
    FilterList,
}

/// A place of the document: an index into its tree, in the order in which places are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub u16);

impl Place {
    /// No place; also the root of the tree.
    pub const NONE: Place = Place(0);

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    pub fn node(self) -> &'static Node {
        &NODES[self.index()]
    }
}

/// A node of the document's tree.
#[derive(Debug)]
pub struct Node {
    /// Key within the parent object.
    pub key: &'static str,
    /// Dotted path from the root.
    pub path: &'static str,
    pub parent: u16,
    /// First node after this one's descendants.
    pub end: u16,
    pub object: bool,
}

/// Where a field of any record goes.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub place: Place,
    /// Place of the user's or group's name, for `Uid` and `Gid`.
    pub name_place: Place,
}

/// A key of `auditd.paths[]`.
#[derive(Debug)]
pub struct PathField {
    pub name: &'static str,
    pub kind: Kind,
    pub key: &'static str,
}

/// What an event means.
#[derive(Debug)]
pub struct Action {
    pub action: &'static str,
    pub categories: &'static [&'static str],
    pub types: &'static [&'static str],
    /// Which end of a connection the event's socket address is.
    pub peer: Option<Peer>,
}

impl Action {
    /// Whether events of this kind outlive others when something has to be dropped: log-ins and account changes.
    pub fn keep(&self) -> bool {
        self.categories.iter().any(|c| matches!(*c, "authentication" | "iam" | "session"))
    }
}

/// The end of a connection that a socket address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Source,
    Destination,
}

mod mix;
use mix::mix;

#[allow(clippy::unreadable_literal)] // the numbers are written by build.rs, for the compiler
mod tables {
    use super::{Action, Arch, Field, Kind, Node, NumberTable, PathField, Peer, Place, RecordType};
    include!(concat!(env!("OUT_DIR"), "/tables.rs"));
}
pub use tables::{place, record_type};
use tables::{
    ARCHES, ERRNO_GENERIC, FALLBACK_ACTIONS, FAMILIES, FIELDS, FIELD_BITS, FIELD_MULTIPLIER, FIELD_OVERRIDES,
    FIELD_SLOTS, FILTER_LISTS, NODES, PATH_FIELDS, RECORD_ACTIONS, RECORD_TYPES, SECCOMP_ACTIONS, SIGNALS,
    SYSCALL_ACTIONS, TYPE_BITS, TYPE_MULTIPLIER, TYPE_SLOTS,
};

fn number(table: NumberTable, number: u64) -> Option<&'static str> {
    table.binary_search_by_key(&number, |&(n, _)| n).ok().map(|i| table[i].1)
}

/// The record type of a name, e.g. `SYSCALL`. `UNKNOWN[1334]` is the caller's to take apart.
pub fn record_type_of_name(name: &[u8]) -> Option<&'static RecordType> {
    let slot = TYPE_SLOTS[(mix(name, TYPE_MULTIPLIER) >> (64 - TYPE_BITS)) as usize];
    let found = RECORD_TYPES.get(usize::from(slot).checked_sub(1)?)?;
    (found.name.as_bytes() == name).then_some(found)
}

/// The record type of a number.
pub fn record_type_of_number(number: u16) -> Option<&'static RecordType> {
    RECORD_TYPES.binary_search_by_key(&number, |t| t.number).ok().map(|i| &RECORD_TYPES[i])
}

/// What is known of a field, for the given record type.
pub fn field(record_type: &str, name: &[u8]) -> Option<&'static Field> {
    // Few record types have a rule of their own, and those few rules are found faster by looking than by hashing.
    if let Some((_, own)) = FIELD_OVERRIDES.iter().find(|(t, f)| *t == record_type && f.name.as_bytes() == name) {
        return Some(own);
    }
    let slot = FIELD_SLOTS[(mix(name, FIELD_MULTIPLIER) >> (64 - FIELD_BITS)) as usize];
    let found = FIELDS.get(usize::from(slot).checked_sub(1)?)?;
    (found.name.as_bytes() == name).then_some(found)
}

/// Index of a field of a PATH record in `path_fields`.
pub fn path_field(name: &[u8]) -> Option<usize> {
    PATH_FIELDS.iter().position(|f| f.name.as_bytes() == name)
}

/// The keys of `auditd.paths[]` in the order in which they are written.
pub fn path_fields() -> &'static [PathField] {
    PATH_FIELDS
}

/// The architecture of an `AUDIT_ARCH_*` value.
pub fn arch(value: u32) -> Option<&'static Arch> {
    ARCHES.binary_search_by_key(&value, |a| a.value).ok().map(|i| &ARCHES[i])
}

impl Arch {
    /// The name of a syscall, where the architecture's table has it.
    pub fn syscall(&self, nr: u64) -> Option<&'static str> {
        number(self.syscalls, nr)
    }

    /// The name of an error number.
    pub fn errno(&self, nr: u64) -> Option<&'static str> {
        number(self.errno, nr)
    }
}

/// The name of an error number on most architectures.
pub fn errno(nr: u64) -> Option<&'static str> {
    number(ERRNO_GENERIC, nr)
}

/// The name of a signal, e.g. `SIGKILL`.
pub fn signal(nr: u64) -> Option<&'static str> {
    number(SIGNALS, nr)
}

/// The name of a socket family in lower case, e.g. `inet6`.
pub fn socket_family(nr: u64) -> Option<&'static str> {
    number(FAMILIES, nr)
}

/// The name of a seccomp action, e.g. `kill_process`; the lower 16 bits are data and not part of it.
pub fn seccomp_action(value: u64) -> Option<&'static str> {
    number(SECCOMP_ACTIONS, value & 0xffff_0000)
}

/// The name of a list of audit rules.
pub fn filter_list(nr: u64) -> Option<&'static str> {
    number(FILTER_LISTS, nr)
}

/// What an event with this syscall means.
pub fn syscall_action(name: &str) -> Option<&'static Action> {
    SYSCALL_ACTIONS.binary_search_by_key(&name, |(n, _)| n).ok().map(|i| &SYSCALL_ACTIONS[i].1)
}

/// What an event that this record type leads means.
pub fn record_action(name: &str) -> Option<&'static Action> {
    RECORD_ACTIONS.binary_search_by_key(&name, |(n, _)| n).ok().map(|i| &RECORD_ACTIONS[i].1)
}

/// What an event with this record type means if its syscall, if there is one, does not say it.
pub fn fallback_action(name: &str) -> Option<&'static Action> {
    FALLBACK_ACTIONS.binary_search_by_key(&name, |(n, _)| n).ok().map(|i| &FALLBACK_ACTIONS[i].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name() {
        for known in FIELDS {
            assert_eq!(field("SYSCALL", known.name.as_bytes()).map(|f| f.name), Some(known.name));
        }
        assert!(field("SYSCALL", b"").is_none());
        assert!(field("SYSCALL", b"no_such_field").is_none());
    }

    #[test]
    fn a_record_type_may_read_a_field_its_own_way() {
        assert_eq!(field("DEL_USER", b"id").unwrap().kind, Kind::Uid);
        assert_eq!(field("DEL_GROUP", b"id").unwrap().kind, Kind::Gid);
    }

    #[test]
    fn every_record_type_is_found_by_name_and_number() {
        for known in RECORD_TYPES {
            assert_eq!(record_type_of_name(known.name.as_bytes()).unwrap().number, known.number);
            assert_eq!(record_type_of_number(known.number).unwrap().number, known.number);
        }
        assert!(record_type_of_name(b"NO_SUCH_TYPE").is_none());
    }

    #[test]
    fn syscalls_are_named_by_the_architecture_that_made_them() {
        assert_eq!(arch(0xc000_003e).unwrap().syscall(59), Some("execve"));
        assert_eq!(arch(0x4000_0003).unwrap().syscall(11), Some("execve"));
        assert_eq!(arch(0xc000_00b7).unwrap().syscall(221), Some("execve"));
        assert_eq!(arch(0xc000_003e).unwrap().errno(115), Some("EINPROGRESS"));
    }

    #[test]
    fn the_tree_of_places_is_in_depth_first_order() {
        for (i, node) in NODES.iter().enumerate().skip(1) {
            assert!(usize::from(node.parent) < i);
            assert!(i < usize::from(NODES[usize::from(node.parent)].end));
            assert!(NODES[usize::from(node.parent)].object, "{}", node.path);
        }
        assert_eq!(place::PROCESS_PID.node().path, "process.pid");
    }
}
