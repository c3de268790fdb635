//! What is known about Linux audit: record types, fields, architectures, syscalls, errno, the places of the document.
//!
//! All of it is data in `../data/*.tsv`; `build.rs` compiles it into the static tables that this file looks things up
//! in. No decoding happens here and nothing here allocates.
#![forbid(unsafe_code)]

mod keys;
mod kinds;
mod meaning;
mod mix;

pub use keys::{Block, Key, Suffix};
pub use kinds::{Base, Kind, Values, FILE_TYPES, FILE_TYPE_MASK, PERMISSIONS_MASK};
pub use meaning::{Account, Action, ActionRule, Argument, Machines, PathChoice, Peer, Source, Syscall};
use mix::Ends;

/// A table of numbers and their names, sorted by number.
type NumberTable = &'static [(u64, &'static str)];

/// A record type as auditd writes it (`type=NAME`).
#[derive(Debug)]
pub struct RecordType {
    pub number: u16,
    /// Its own place among all that are known.
    pub index: u16,
    pub name: &'static str,
    ends: Ends,
    /// The name as the document spells it.
    pub lower: &'static str,
    /// Whether it can be what the event is about, or only accompanies such a record.
    pub leads: bool,
    /// What an event means that has such a record.
    pub actions: &'static [ActionRule],
    /// What it means if its syscall, where there is one, does not say it.
    pub fallbacks: &'static [ActionRule],
}

/// One value of the kernel's `AUDIT_ARCH_*` list.
#[derive(Debug)]
pub struct Arch {
    pub value: u32,
    pub name: &'static str,
    /// Architectures that number flags alike; 0 is most of them.
    pub family: usize,
    calls: &'static Calls,
    errno: NumberTable,
    pub big_endian: bool,
}

/// The syscalls of an architecture: indices into `SYSCALLS` plus 1, from the lowest number on.
#[derive(Debug)]
struct Calls {
    first: u64,
    slots: &'static [u16],
    /// Numbers far above: x32's, and arm's own.
    others: &'static [(u64, u16)],
}

static NO_CALLS: Calls = Calls { first: 0, slots: &[], others: &[] };

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

    /// Its key within the object that it stands in.
    #[inline]
    pub fn key(self) -> &'static Key {
        &NODE_KEYS[self.index()]
    }

    /// The object that it stands in.
    #[must_use]
    pub fn parent(self) -> Place {
        Place(PARENTS[self.index()])
    }
}

/// A node of the document's tree.
#[derive(Debug)]
pub struct Node {
    /// Key within the parent object.
    pub key: &'static str,
    /// Dotted path from the root.
    pub path: &'static str,
    /// First node after this one's descendants.
    pub end: u16,
    pub object: bool,
}

/// Where a field of any record goes.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    ends: Ends,
    pub kind: Kind,
    pub place: Place,
    /// Place of what stands beside it: the name of a user or group, or what the number means.
    pub beside: Place,
    /// Some record types have a field of this name that is another.
    overridden: bool,
}

/// A key of `auditd.paths[]`.
#[derive(Debug)]
pub struct PathField {
    pub name: &'static str,
    ends: Ends,
    pub kind: Kind,
    pub key: &'static str,
    /// The key with each suffix.
    pub written: [Key; 8],
}

#[allow(clippy::unreadable_literal)] // the numbers are written by the build script, for the compiler
mod tables {
    #[allow(clippy::wildcard_imports)] // the tables are made of everything that is defined here
    use super::{keys::*, kinds::*, meaning::*, mix::Ends, *};
    include!(concat!(env!("OUT_DIR"), "/tables.rs"));
}
pub use tables::{path_key, place, record_type};
use tables::{
    ARCHES, ERRNO_GENERIC, FAMILIES, FIELDS, FIELD_BITS, FIELD_MULTIPLIER, FIELD_OVERRIDES, FIELD_SLOTS, KEYS,
    KEY_LENGTH, KINDS, NODES, NODE_KEYS, PARENTS, PATH_FIELDS, PATH_FIELD_BITS, PATH_FIELD_MULTIPLIER,
    PATH_FIELD_SLOTS, RECORD_TYPES, SYSCALLS, TYPE_BITS, TYPE_MULTIPLIER, TYPE_SLOTS, VALUES_URING_OP,
};

fn number(table: NumberTable, number: u64) -> Option<&'static str> {
    table.binary_search_by_key(&number, |&(n, _)| n).ok().map(|i| table[i].1)
}

/// Whether a name is one of the tables'; its ends say all of it, unless it is longer than they are.
fn is_named(known: &str, known_ends: Ends, name: &[u8], ends: Ends) -> bool {
    known_ends == ends && (ends.length <= 16 || known.as_bytes() == name)
}

/// The record type of a name, e.g. `SYSCALL`. `UNKNOWN[1334]` is the caller's to take apart.
pub fn record_type_of_name(name: &[u8]) -> Option<&'static RecordType> {
    let ends = Ends::of(name);
    let slot = TYPE_SLOTS[(ends.mix(TYPE_MULTIPLIER) >> (64 - TYPE_BITS)) as usize];
    let found = RECORD_TYPES.get(usize::from(slot).checked_sub(1)?)?;
    is_named(found.name, found.ends, name, ends).then_some(found)
}

/// The record type of a number.
pub fn record_type_of_number(number: u16) -> Option<&'static RecordType> {
    RECORD_TYPES.binary_search_by_key(&number, |t| t.number).ok().map(|i| &RECORD_TYPES[i])
}

/// All record types: numbers and names.
pub fn record_types() -> impl Iterator<Item = (u16, &'static str)> {
    RECORD_TYPES.iter().map(|known| (known.number, known.name))
}

/// What is known of a field, for the given record type.
pub fn field(record_type: &str, name: &[u8]) -> Option<&'static Field> {
    let ends = Ends::of(name);
    let slot = FIELD_SLOTS[(ends.mix(FIELD_MULTIPLIER) >> (64 - FIELD_BITS)) as usize];
    let found = usize::from(slot).checked_sub(1).map(|index| &FIELDS[index]);
    let found = found.filter(|found| is_named(found.name, found.ends, name, ends));
    if found.is_some_and(|found| !found.overridden) {
        return found;
    }
    // Few record types have a rule of their own, and those few rules are found faster by looking than by hashing.
    let own = FIELD_OVERRIDES.iter().find(|(t, f)| *t == record_type && f.name.as_bytes() == name);
    own.map(|(_, own)| own).or(found)
}

/// The names of all fields that are known.
pub fn field_names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|field| field.name).chain(FIELD_OVERRIDES.iter().map(|(_, field)| field.name))
}

/// Index of a field of a PATH record in `path_fields`.
pub fn path_field(name: &[u8]) -> Option<usize> {
    let ends = Ends::of(name);
    let slot = PATH_FIELD_SLOTS[(ends.mix(PATH_FIELD_MULTIPLIER) >> (64 - PATH_FIELD_BITS)) as usize];
    let index = usize::from(slot).checked_sub(1)?;
    is_named(PATH_FIELDS[index].name, PATH_FIELDS[index].ends, name, ends).then_some(index)
}

/// The keys of `auditd.paths[]` in the order in which they are written.
pub fn path_fields() -> &'static [PathField] {
    PATH_FIELDS
}

/// The kinds that a site's own fields can have: those whose values mean something by themselves.
pub fn site_kinds() -> impl Iterator<Item = (&'static str, Kind)> {
    let alone = |kind: &Kind| {
        matches!(
            kind,
            Kind::Text
                | Kind::Escaped
                | Kind::Account
                | Kind::Uid
                | Kind::Gid
                | Kind::Exit
                | Kind::Name(_)
                | Kind::Values(_)
                | Kind::Mode
                | Kind::Keystrokes
        )
    };
    KINDS.iter().copied().filter(move |(_, kind)| alone(kind))
}

/// The key whose sequence a text begins with, the longest one: its length and its name.
pub fn key(text: &[u8]) -> Option<(usize, &'static str)> {
    let lengths = (1..=text.len().min(KEY_LENGTH)).rev();
    let find = |length| Some((length, KEYS[KEYS.binary_search_by_key(&&text[..length], |&(bytes, _)| bytes).ok()?].1));
    lengths.into_iter().find_map(find)
}

/// The architecture of an `AUDIT_ARCH_*` value.
pub fn arch(value: u32) -> Option<&'static Arch> {
    ARCHES.binary_search_by_key(&value, |a| a.value).ok().map(|i| &ARCHES[i])
}

impl Arch {
    /// The syscall of a number, where the architecture's table has it.
    pub fn syscall(&self, nr: u64) -> Option<&'static Syscall> {
        let Calls { first, slots, others } = self.calls;
        let near = slots.get(usize::try_from(nr.checked_sub(*first)?).ok()?);
        let slot = match near {
            Some(slot) => *slot,
            None => others[others.binary_search_by_key(&nr, |&(n, _)| n).ok()?].1,
        };
        SYSCALLS.get(usize::from(slot).checked_sub(1)?)
    }

    fn number_of_syscall(&self, name: &str) -> Option<u64> {
        let index = SYSCALLS.binary_search_by_key(&name, |syscall| syscall.name).ok()? + 1;
        let Calls { first, slots, others } = self.calls;
        let near = slots.iter().position(|&slot| usize::from(slot) == index).map(|at| first + at as u64);
        near.or_else(|| others.iter().find(|(_, slot)| usize::from(*slot) == index).map(|(nr, _)| *nr))
    }

    /// Whether ids have 16 bits in a syscall: where there is one of the same name with 32. Machines of 64 bits came after
    /// ids of 16, and have none.
    pub fn has_16_bit_ids(&self, syscall: &str) -> bool {
        !self.is_64_bit() && self.number_of_syscall(&format!("{syscall}32")).is_some()
    }

    /// `__AUDIT_ARCH_64BIT` of linux/audit.h.
    pub fn is_64_bit(&self) -> bool {
        self.value & 0x8000_0000 != 0
    }

    /// The name of an error number.
    pub fn errno(&self, nr: u64) -> Option<&'static str> {
        number(self.errno, nr)
    }
}

/// The architecture of a name; of those that share one, the first.
pub fn arch_of_name(name: &str) -> Option<&'static Arch> {
    ARCHES.iter().find(|arch| arch.name == name)
}

/// The number behind a word that took its place, as records write it: the way back from a document. `kind` is that of
/// the field, `arch` the architecture that the event names.
pub fn number_of(kind: &str, word: &str, arch: Option<&'static Arch>) -> Option<String> {
    let family = arch.map_or(0, |arch| arch.family);
    let named = |(number, name): &(u64, &str)| (*name == word).then_some(*number);
    match kind {
        "arch" => arch_of_name(word).map(|arch| format!("{:x}", arch.value)),
        "syscall" => arch?.number_of_syscall(word).map(|nr| nr.to_string()),
        "exit" => arch.map_or(ERRNO_GENERIC, |arch| arch.errno).iter().find_map(named).map(|nr| format!("-{nr}")),
        "uring_op" => VALUES_URING_OP.number_of(0, word).map(|nr| nr.to_string()),
        _ => match KINDS.iter().find(|(known, _)| *known == kind)?.1 {
            Kind::Name(values) => values.number_of(family, word).map(|number| match values.base {
                Base::Hex => format!("0x{number:x}"),
                _ => number.to_string(),
            }),
            _ => None,
        },
    }
}

/// The syscall of a name.
pub fn syscall(name: &str) -> Option<&'static Syscall> {
    SYSCALLS.binary_search_by_key(&name, |syscall| syscall.name).ok().map(|i| &SYSCALLS[i])
}

/// An operation of io_uring, named as the syscall that does the same.
pub fn uring_op(nr: u64) -> Option<&'static str> {
    VALUES_URING_OP.name_of(0, nr)
}

/// The name of an error number on most architectures.
pub fn errno(nr: u64) -> Option<&'static str> {
    number(ERRNO_GENERIC, nr)
}

/// The name of a socket family in lower case, e.g. `inet6`.
pub fn socket_family(nr: u64) -> Option<&'static str> {
    number(FAMILIES, nr)
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
        assert_eq!(arch(0xc000_003e).unwrap().syscall(59).unwrap().name, "execve");
        assert_eq!(arch(0x4000_0003).unwrap().syscall(11).unwrap().name, "execve");
        assert_eq!(arch(0xc000_00b7).unwrap().syscall(221).unwrap().name, "execve");
        assert_eq!(arch(0xc000_003e).unwrap().errno(115), Some("EINPROGRESS"));
    }

    #[test]
    fn ids_of_16_bits_are_a_thing_of_32_bit_machines() {
        let wider = |arch: &Arch, call: &Syscall| arch.number_of_syscall(&format!("{}32", call.name)).is_some();
        for arch in ARCHES.iter().filter(|arch| arch.is_64_bit()) {
            assert_eq!(SYSCALLS.iter().find(|call| wider(arch, call)).map(|call| call.name), None, "{}", arch.name);
        }
        let has = |arch, call| arch_of_name(arch).is_some_and(|arch| arch.has_16_bit_ids(call));
        assert!(has("i386", "setuid") && !has("i386", "setuid32") && !has("x86_64", "setuid"));
    }

    #[test]
    fn names_lead_back_to_numbers() {
        let of = |kind, word| number_of(kind, word, arch(0xc000_003e));
        assert_eq!(of("arch", "x86_64").as_deref(), Some("c000003e"));
        assert_eq!(of("syscall", "execve").as_deref(), Some("59"));
        assert_eq!(of("exit", "EACCES").as_deref(), Some("-13"));
        assert_eq!(of("signal", "SIGKILL").as_deref(), Some("9"));
        assert_eq!(of("seccomp", "log").as_deref(), Some("0x7ffc0000"));
        assert_eq!(of("filter_list", "exit").as_deref(), Some("4"));
        assert_eq!(of("uring_op", "openat").as_deref(), Some("18"));
        assert_eq!(number_of("exit", "EDEADLK", arch(0x8000_002b)).as_deref(), Some("-78"));
        for (kind, word) in [("syscall", "nosuch"), ("exit", "0"), ("text", "x"), ("nosuch", "x")] {
            assert_eq!(of(kind, word), None);
        }
    }

    #[test]
    fn the_tree_of_places_is_in_depth_first_order() {
        for (i, node) in NODES.iter().enumerate().skip(1) {
            let parent = Place(i as u16).parent();
            assert!(parent.index() < i);
            assert!(i < usize::from(parent.node().end));
            assert!(parent.node().object, "{}", node.path);
        }
        assert_eq!(place::PROCESS_PID.node().path, "process.pid");
    }
}
