//! Kinds of values, and the tables that say what numbers mean.

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
    /// An operation of io_uring, named as the syscall that does the same.
    UringOp,
    /// A syscall's return value: a negative one is an errno.
    Exit,
    /// success, res, result in all their spellings.
    Result,
    Session,
    /// A socket address in hex.
    Saddr,
    /// A security context.
    Context,
    /// An argument that is best read in decimal.
    Decimal,
    /// A number whose name takes its place.
    Name(&'static Values),
    /// A number whose meaning stands beside it.
    Values(&'static Values),
    /// Type and permissions of a file; the meaning stands beside it.
    Mode,
    /// What was typed at a terminal; the names of the keys stand beside it.
    Keystrokes,
}

/// How the number of a field is written. Arguments of syscalls are always hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Decimal,
    /// An error: the sign that the kernel gives it says nothing.
    Error,
    Hex,
    Octal,
    /// Hex after `0x`, octal after `0`, else decimal.
    Prefixed,
}

/// What the numbers of one kind mean.
#[derive(Debug)]
pub struct Values {
    pub name: &'static str,
    pub base: Base,
    /// How many bits count: an `int` argument has 32, whatever stands above them.
    pub(crate) width: u32,
    /// By family of architectures.
    pub(crate) tables: &'static [&'static Table],
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Values {}

#[derive(Debug)]
pub(crate) enum Table {
    /// Sorted by number.
    Names(&'static [(u64, &'static str)]),
    /// The bits, and whether one of them is named where it is not set.
    Bits(&'static [Bits], bool),
}

/// One flag, or one value of several bits that belong together.
#[derive(Debug)]
pub(crate) struct Bits {
    pub value: u64,
    pub mask: u64,
    pub name: &'static str,
}

impl Values {
    /// Gives the names of a number, and the bits that have none. `family` is the architecture's.
    pub fn names(&self, family: usize, number: u64, mut name: impl FnMut(&'static str)) -> Option<u64> {
        let number = if self.width == 32 { number & 0xffff_ffff } else { number };
        match self.tables[family] {
            Table::Names(table) => {
                let found = table.binary_search_by_key(&number, |&(n, _)| n).ok()?;
                name(table[found].1);
                Some(0)
            }
            Table::Bits(table, has_zero) => {
                // Most numbers of most tables are 0, and few tables have a name for it.
                if number == 0 && !*has_zero {
                    return None;
                }
                let (mut left, mut seen, mut any) = (number, 0, false);
                for bits in *table {
                    if number & bits.mask == bits.value && seen & bits.mask == 0 {
                        name(bits.name);
                        any = true;
                        seen |= bits.mask;
                        left &= !bits.mask;
                    }
                }
                any.then_some(left)
            }
        }
    }

    /// The number behind a name.
    pub fn number_of(&self, family: usize, name: &str) -> Option<u64> {
        match self.tables[family] {
            Table::Names(table) => table.iter().find(|(_, known)| *known == name).map(|(number, _)| *number),
            Table::Bits(table, _) => table.iter().find(|bits| bits.name == name).map(|bits| bits.value),
        }
    }

    /// The one name of a number.
    pub fn name_of(&self, family: usize, number: u64) -> Option<&'static str> {
        let mut found = None;
        let left = self.names(family, number, |name| found = found.or(Some(name)))?;
        found.filter(|_| left == 0)
    }
}

/// Types of files: the upper bits of a mode, the name that C gives them (POSIX, sys/stat.h), and what people call them.
pub const FILE_TYPES: [(u64, &str, &str); 7] = [
    (0o010_000, "S_IFIFO", "named-pipe"),
    (0o020_000, "S_IFCHR", "character-device"),
    (0o040_000, "S_IFDIR", "directory"),
    (0o060_000, "S_IFBLK", "block-device"),
    (0o100_000, "S_IFREG", "file"),
    (0o120_000, "S_IFLNK", "symlink"),
    (0o140_000, "S_IFSOCK", "socket"),
];
/// The bits of a mode that hold the type, and those that hold permissions.
pub const FILE_TYPE_MASK: u64 = 0o170_000;
pub const PERMISSIONS_MASK: u64 = 0o7777;
