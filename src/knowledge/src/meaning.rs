//! What events mean: the actions of record types and syscalls, and the arguments of syscalls.

use crate::{Arch, Kind, Place};

/// A syscall of any architecture.
#[derive(Debug)]
pub struct Syscall {
    pub name: &'static str,
    pub actions: &'static [ActionRule],
    pub arguments: &'static [Argument],
}

/// How one of a0 to a3 is read.
#[derive(Debug)]
pub struct Argument {
    pub index: u8,
    pub kind: Kind,
    /// Only if the meaning of another argument holds one of these names.
    pub when: Option<(u8, &'static [&'static str])>,
    /// Where it is in this register.
    pub on: Machines,
}

/// Machines that something is true on.
#[derive(Debug)]
pub enum Machines {
    All,
    Bits64,
    Not(&'static [&'static str]),
}

impl Machines {
    /// Whether a machine is one of them; one that is unknown is.
    pub fn holds(&self, arch: Option<&Arch>) -> bool {
        match (self, arch) {
            (Machines::Bits64, Some(arch)) => arch.is_64_bit(),
            (Machines::Not(names), Some(arch)) => !names.contains(&arch.name),
            _ => true,
        }
    }
}

/// An action, and the field that has to be there, or say a word, for it to be meant.
#[derive(Debug)]
pub struct ActionRule {
    pub when: Option<(Place, Option<&'static str>)>,
    pub action: Action,
}

/// What an event means.
#[derive(Debug)]
pub struct Action {
    pub action: &'static str,
    pub categories: &'static [&'static str],
    pub types: &'static [&'static str],
    /// What was acted on: `file`, `socket`, …; empty where that cannot be said.
    pub object: &'static str,
    /// Where to look for who did it; the first that is there counts, as in all lists here.
    pub actor: &'static [Source],
    pub actor_secondary: &'static [Source],
    /// Where to look for how; empty: the program.
    pub how: &'static [Source],
    pub primary: &'static [Source],
    pub secondary: &'static [Source],
    pub path: PathChoice,
    pub account: Account,
    pub peer: Peer,
}

impl Action {
    /// Whether events of this kind outlive others when something has to be dropped: log-ins and account changes.
    pub fn keep(&self) -> bool {
        self.categories.iter().any(|c| matches!(*c, "authentication" | "iam" | "session"))
    }
}

/// Where a word of the summary comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A field: the places of its value and of its name or meaning.
    Field(Place, Place),
    /// The file of the event.
    Path,
    /// The other file of the event: the new name of a rename, the target of a link.
    OtherPath,
    /// Address or path of the socket.
    Socket,
    /// Port of the socket.
    Port,
}

/// Which PATH record is the file of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathChoice {
    None,
    /// The lowest item that is not the directory of another.
    Object,
    /// The one after it.
    Second,
    /// The one that was made.
    Created,
    /// The one that was removed.
    Deleted,
    /// The lowest item.
    First,
}

/// Who the account of a user-space record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    None,
    /// Who somebody becomes: `user.effective`.
    Effective,
    /// Whose account is managed: `user.target`.
    Target,
    /// A group: `group`.
    Group,
}

/// The end of a connection that an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    None,
    /// The socket address is where it comes from.
    Source,
    /// The socket address is where it goes to.
    Destination,
    /// The field `addr` is where it comes from.
    Addr,
}
