//! Which descriptor of which process is a TCP socket, a UDP socket, …: a socket address alone does not say it.
//!
//! Learned from audited `socket()` calls and handed on by `accept()` and `dup()`. A descriptor is forgotten when it is
//! closed or another file gets its number, when its process executes another program or exits, when it was not used for
//! long, and when there are too many. What is not audited is not known: where `close()` is not, a descriptor may be somebody else's by now: so the family of the address and
//! the parent of the process have to be those of the `socket()` call, or nothing is said.

use foldhash::HashMap;

use pyaudit_knowledge::{place, Place, Syscall};

use crate::decode::hex;
use crate::document::{Document, Slot, Text};
use crate::header::decimal;

/// Descriptors known at a time, some 4 MiB. A busy host has that many connections open; past it those go that were not
/// used for the longest time.
const MAX_SOCKETS: usize = 65_536;
/// Descriptors of one process: a server has one listener for thousands of accepted ones, and a process that opens
/// sockets without end must not push out those of all others.
const MAX_PER_PROCESS: usize = 4096;
/// How long a descriptor is believed without being used, in record time. Processes end without a record (their exit is
/// seldom audited) and pids come again: by default after 32,768 new ones, on a busy host some minutes.
const TIMEOUT_MS: i64 = 600_000;

/// Calls that give the process a descriptor that is no socket we know.
const OPENERS: [&str; 28] = [
    "creat",
    "epoll_create",
    "epoll_create1",
    "eventfd",
    "eventfd2",
    "fanotify_init",
    "fsmount",
    "fsopen",
    "fspick",
    "inotify_init",
    "inotify_init1",
    "io_uring_setup",
    "landlock_create_ruleset",
    "memfd_create",
    "memfd_secret",
    "mq_open",
    "open",
    "open_by_handle_at",
    "open_tree",
    "openat",
    "openat2",
    "perf_event_open",
    "pidfd_getfd",
    "pidfd_open",
    "signalfd",
    "signalfd4",
    "timerfd_create",
    "userfaultfd",
];

/// What ECS calls a transport: the protocol's keyword.
const TRANSPORTS: [(&str, &str); 9] = [
    ("IPPROTO_TCP", "tcp"),
    ("IPPROTO_UDP", "udp"),
    ("IPPROTO_ICMP", "icmp"),
    ("IPPROTO_ICMPV6", "ipv6-icmp"),
    ("IPPROTO_SCTP", "sctp"),
    ("IPPROTO_UDPLITE", "udplite"),
    ("IPPROTO_DCCP", "dccp"),
    ("IPPROTO_MPTCP", "mptcp"),
    ("IPPROTO_IGMP", "igmp"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    ppid: u32,
    /// Index into `TRANSPORTS`.
    transport: u8,
    v6: bool,
    used_ms: i64,
}

/// A descriptor of a process, at a time.
#[derive(Clone, Copy, Debug)]
pub struct SocketKey {
    process: (u32, u32),
    ppid: u32,
    fd: u32,
    time_ms: i64,
}

impl SocketKey {
    /// The descriptor that the event's syscall was given first.
    pub fn of(node: u32, time_ms: i64, document: &Document) -> Option<Self> {
        let fd = if is_socketcall(document) {
            nested_argument(document)?
        } else {
            hex::number(document.text_at(place::AUDITD_DATA_A0)?)?
        };
        let fd = u32::try_from(fd & 0xffff_ffff).ok()?;
        let (process, ppid) = process(node, document)?;
        Some(Self { process, ppid, fd, time_ms })
    }
}

/// What is known of all descriptors.
#[derive(Debug, Default)]
pub struct Sockets {
    processes: HashMap<(u32, u32), HashMap<u32, Socket>>,
    count: usize,
}

/// A descriptor as the state saves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedSocket {
    pub node: u32,
    pub pid: u32,
    pub ppid: u32,
    pub fd: u32,
    pub transport: u8,
    pub v6: bool,
    pub used_ms: i64,
}

impl Sockets {
    /// What carries a connection, if it is known; `family` is the address's.
    pub fn transport(&self, key: SocketKey, family: Option<&[u8]>) -> Option<&'static str> {
        let socket = self.find(key)?;
        let fits = match family {
            Some(b"ipv4") => true, // also through an IPv6 socket, as a mapped address
            Some(b"ipv6") => socket.v6,
            _ => false,
        };
        fits.then(|| TRANSPORTS[usize::from(socket.transport)].1)
    }

    fn find(&self, key: SocketKey) -> Option<&Socket> {
        let socket = self.processes.get(&key.process)?.get(&key.fd)?;
        // Also back in time: a clock that was set says nothing of how long it was.
        let fresh = key.time_ms.abs_diff(socket.used_ms) <= TIMEOUT_MS.unsigned_abs();
        (fresh && socket.ppid == key.ppid).then_some(socket)
    }

    /// Learns from an event that was decoded; `call` is its syscall.
    pub fn observe(&mut self, call: &Syscall, node: u32, time_ms: i64, document: &Document) {
        let number = |at| hex::number(document.text_at(at)?);
        let result = result(document);
        // These are not told by their first argument.
        match call.name {
            "clone" | "clone3" | "fork" | "vfork" => {
                // A process that had this number is gone; what the new one was given is not followed.
                return self.forget((node, result.unwrap_or_default()));
            }
            "socketpair" => {
                let pair = [place::AUDITD_DATA_FD0, place::AUDITD_DATA_FD1];
                let pair = pair.map(|at| decimal(document.text_at(at)?, u64::from(u32::MAX)).map(|fd| fd as u32));
                if let Some(process) = process(node, document) {
                    pair.into_iter().flatten().for_each(|fd| self.close((process.0, fd)));
                }
                return;
            }
            name if OPENERS.contains(&name) => {
                if let (Some(process), Some(fd)) = (process(node, document), result) {
                    self.close((process.0, fd));
                }
                return;
            }
            _ => {}
        }
        let Some(key) = SocketKey::of(node, time_ms, document) else { return };
        let is_of_sockets = || call.actions.iter().any(|rule| rule.action.object == "socket");
        let succeeded = || document.text_at(place::AUDITD_RESULT) == Some(b"success");
        match call.name {
            "socket" => {
                let Some(fd) = result else { return };
                let opened = if is_socketcall(document) { None } else { opened(key, document) };
                self.set(SocketKey { fd, ..key }, opened);
            }
            "fcntl" | "fcntl64" if !is_one_of(document, place::AUDITD_DECODED_A1, &["F_DUPFD", "F_DUPFD_CLOEXEC"]) => {}
            "accept" | "accept4" | "dup" | "dup2" | "dup3" | "fcntl" | "fcntl64" => {
                let known = self.find(key).map(|socket| Socket { used_ms: time_ms, ..*socket });
                let Some(fd) = result else { return };
                if let Some(known) = known {
                    self.set(key, Some(known));
                }
                self.set(SocketKey { fd, ..key }, known);
            }
            "close" => self.set(key, None),
            "close_range" => {
                let last = number(place::AUDITD_DATA_A1).map_or(u32::MAX, |last| last as u32);
                self.close_range(key.process, key.fd, last);
            }
            // Only a call that fails comes back to the program that made it.
            "execve" | "execveat" if !succeeded() => {}
            "execve" | "execveat" | "exit" | "exit_group" => self.forget(key.process),
            _ if !is_of_sockets() => {}
            _ => {
                if let Some(known) = self.find(key).copied() {
                    self.set(key, Some(Socket { used_ms: time_ms, ..known }));
                }
            }
        }
    }

    fn close(&mut self, ((node, pid), fd): ((u32, u32), u32)) {
        self.close_range((node, pid), fd, fd);
    }

    fn close_range(&mut self, process: (u32, u32), first: u32, last: u32) {
        let Some(of_process) = self.processes.get_mut(&process) else { return };
        let before = of_process.len();
        of_process.retain(|fd, _| !(first..=last).contains(fd));
        self.count -= before - of_process.len();
        if of_process.is_empty() {
            self.processes.remove(&process);
        }
    }

    fn forget(&mut self, process: (u32, u32)) {
        self.count -= self.processes.remove(&process).map_or(0, |gone| gone.len());
    }

    /// Forgets what belongs to other nodes than the local one.
    pub fn forget_foreign(&mut self) {
        self.processes.retain(|(node, _), _| *node == 0);
        self.count = self.processes.values().map(HashMap::len).sum();
    }

    fn set(&mut self, key: SocketKey, socket: Option<Socket>) {
        let Some(socket) = socket else {
            if let Some(of_process) = self.processes.get_mut(&key.process) {
                self.count -= usize::from(of_process.remove(&key.fd).is_some());
                if of_process.is_empty() {
                    self.processes.remove(&key.process);
                }
            }
            return;
        };
        if self.count >= MAX_SOCKETS {
            self.make_room();
        }
        let of_process = self.processes.entry(key.process).or_default();
        if of_process.len() < MAX_PER_PROCESS || of_process.contains_key(&key.fd) {
            self.count += usize::from(of_process.insert(key.fd, socket).is_none());
        }
    }

    /// Forgets the half that was not used for the longest time.
    fn make_room(&mut self) {
        let mut times: Vec<i64> = self.processes.values().flat_map(|fds| fds.values().map(|s| s.used_ms)).collect();
        let middle = times.len() / 2;
        let oldest_kept = *times.select_nth_unstable(middle).1;
        for fds in self.processes.values_mut() {
            fds.retain(|_, socket| socket.used_ms > oldest_kept);
        }
        self.processes.retain(|_, fds| !fds.is_empty());
        self.count = self.processes.values().map(HashMap::len).sum();
    }

    /// What the next process needs.
    pub fn saved(&self) -> impl Iterator<Item = SavedSocket> + '_ {
        self.processes.iter().flat_map(|(&(node, pid), fds)| {
            fds.iter().map(move |(&fd, s)| SavedSocket {
                node,
                pid,
                ppid: s.ppid,
                fd,
                transport: s.transport,
                v6: s.v6,
                used_ms: s.used_ms,
            })
        })
    }

    /// Takes over what the process before saved.
    pub fn restore(&mut self, saved: SavedSocket) {
        if usize::from(saved.transport) < TRANSPORTS.len() {
            let SavedSocket { node, pid, ppid, fd, transport, v6, used_ms } = saved;
            let key = SocketKey { process: (node, pid), ppid, fd, time_ms: used_ms };
            self.set(key, Some(Socket { ppid, transport, v6, used_ms }));
        }
    }
}

/// The process of an event, and its parent.
fn process(node: u32, document: &Document) -> Option<((u32, u32), u32)> {
    let number = |at| match document.slot(at) {
        Slot::Number(number) => u32::try_from(number).ok(),
        _ => None,
    };
    Some(((node, number(place::PROCESS_PID)?), number(place::PROCESS_PARENT_PID)?))
}

/// Whether the call was made by way of socketcall(), whose own first argument is which call it is to be.
fn is_socketcall(document: &Document) -> bool {
    document.text_at(place::AUDITD_DATA_SYSCALL) == Some(b"socketcall")
}

/// The first argument in the SOCKETCALL record.
fn nested_argument(document: &Document) -> Option<u64> {
    let is = |item: &Text, text: &[u8]| document.bytes(*item) == text;
    let record = document.rest.iter().find(|record| document.bytes(record.record_type) == b"socketcall")?;
    let field = record.fields.iter().find(|field| is(&field.name, b"a0"))?;
    hex::number(document.bytes(field.value))
}

fn is_one_of(document: &Document, at: Place, names: &[&str]) -> bool {
    document.list(at).iter().flatten().any(|item| document.is_one_of(*item, names))
}

/// The descriptor that a syscall gave.
fn result(document: &Document) -> Option<u32> {
    decimal(document.text_at(place::AUDITD_DATA_EXIT)?, i32::MAX as u64).map(|fd| fd as u32)
}

/// What a socket() call opened, if it is one that has a transport.
fn opened(key: SocketKey, document: &Document) -> Option<Socket> {
    let has = |at, name: &str| is_one_of(document, at, &[name]);
    let v6 = has(place::AUDITD_DECODED_A0, "AF_INET6");
    if !v6 && !has(place::AUDITD_DECODED_A0, "AF_INET") {
        return None;
    }
    let protocol = hex::number(document.text_at(place::AUDITD_DATA_A2)?)? & 0xffff_ffff;
    let name = match protocol {
        0 if has(place::AUDITD_DECODED_A1, "SOCK_STREAM") => "IPPROTO_TCP",
        0 if has(place::AUDITD_DECODED_A1, "SOCK_DGRAM") => "IPPROTO_UDP",
        0 => return None,
        _ => TRANSPORTS.iter().find(|(name, _)| has(place::AUDITD_DECODED_A2, name))?.0,
    };
    if has(place::AUDITD_DECODED_A1, "SOCK_RAW") && matches!(name, "IPPROTO_TCP" | "IPPROTO_UDP") {
        return None; // it makes packets of its own, no connections
    }
    let transport = TRANSPORTS.iter().position(|(known, _)| *known == name)? as u8;
    Some(Socket { ppid: key.ppid, transport, v6, used_ms: key.time_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32, fd: u32, time_ms: i64) -> SocketKey {
        SocketKey { process: (0, pid), ppid: 1, fd, time_ms }
    }

    fn tcp(used_ms: i64) -> Socket {
        Socket { ppid: 1, transport: 0, v6: false, used_ms }
    }

    #[test]
    fn a_descriptor_is_forgotten_when_it_should_be() {
        let mut sockets = Sockets::default();
        sockets.set(key(7, 3, 0), Some(tcp(0)));
        sockets.set(key(7, 4, 0), Some(tcp(0)));
        assert_eq!(sockets.transport(key(7, 3, TIMEOUT_MS), Some(b"ipv4")), Some("tcp"));
        assert_eq!(sockets.transport(key(7, 3, TIMEOUT_MS + 1), Some(b"ipv4")), None);
        assert_eq!(sockets.transport(key(7, 3, 0), Some(b"ipv6")), None);
        assert_eq!(sockets.transport(key(7, 3, 0), Some(b"unix")), None);
        assert_eq!(sockets.transport(SocketKey { ppid: 2, ..key(7, 3, 0) }, Some(b"ipv4")), None);
        sockets.set(key(7, 3, 0), None);
        assert_eq!(sockets.transport(key(7, 3, 0), Some(b"ipv4")), None);
        sockets.forget((0, 7));
        assert_eq!((sockets.count, sockets.processes.len()), (0, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut sockets = Sockets::default();
        for fd in 0..2 * MAX_PER_PROCESS as u32 {
            sockets.set(key(1, fd, 0), Some(tcp(0)));
        }
        assert_eq!(sockets.count, MAX_PER_PROCESS);
        for n in 0..3 * MAX_SOCKETS as u32 {
            sockets.set(key(2 + n, 3, i64::from(n)), Some(tcp(i64::from(n))));
            assert!(sockets.count <= MAX_SOCKETS);
        }
        let newest = 3 * MAX_SOCKETS as u32 - 1;
        let now = i64::from(newest);
        assert_eq!(sockets.transport(key(2 + newest, 3, now), Some(b"ipv4")), Some("tcp"));
        assert_eq!(sockets.saved().count(), sockets.count);
    }

    #[test]
    fn all_of_one_age_still_make_room() {
        let mut sockets = Sockets::default();
        for n in 0..2 * MAX_SOCKETS as u32 {
            sockets.set(key(n, 3, 0), Some(tcp(0)));
        }
        assert!(sockets.count <= MAX_SOCKETS);
    }
}
