//! Who did it, to what, how; the two ends of a connection; the accounts and addresses that are involved.

use std::net::IpAddr;

use pyaudit_knowledge::{place, Account, Action, PathChoice, Peer, Place, Source};

use super::Decoder;
use crate::document::{Slot, Text};
use crate::header::decimal;
use crate::sockets::SocketKey;

/// Programs that run others' text: the name of the task says more than theirs. Either the whole name, or what it
/// begins with (`python3.11`).
const INTERPRETERS: [&[u8]; 6] = [b"sh", b"bash", b"dash", b"zsh", b"ksh", b"node"];
const VERSIONED_INTERPRETERS: [&[u8]; 4] = [b"python", b"perl", b"ruby", b"php"];

/// Users of one event that are named together: a signal to a whole process group has an OBJ_PID record for each of its
/// processes, and each name is compared with all before.
const MAX_RELATED: usize = 64;

impl Decoder<'_, '_> {
    /// Fills what the action of an event has to say of it; `call` is what its syscall has to say.
    pub(super) fn summary(&mut self, action: &Action, call: Option<&Action>) {
        let of_call = |pick: fn(&Action) -> bool| call.filter(|call| pick(call));
        let peer =
            if action.peer == Peer::None { of_call(|call| call.peer != Peer::None).unwrap_or(action) } else { action };
        self.peer(peer.peer);
        let path = if action.path == PathChoice::None { call.unwrap_or(action) } else { action };
        let file_type = self.file(path.path);
        self.account(action.account);
        self.transport(action.object == "socket" || call.is_some_and(|call| call.object == "socket"));
        self.capabilities();
        self.exit_code();

        self.summarize(place::AUDITD_SUMMARY_ACTOR_PRIMARY, action.actor);
        self.summarize(place::AUDITD_SUMMARY_ACTOR_SECONDARY, action.actor_secondary);
        let object = if action.object == "file" { file_type.unwrap_or("file") } else { action.object };
        if !object.is_empty() {
            self.document.put_static(place::AUDITD_SUMMARY_OBJECT_TYPE, object);
        }
        self.summarize(place::AUDITD_SUMMARY_OBJECT_PRIMARY, action.primary);
        self.summarize(place::AUDITD_SUMMARY_OBJECT_SECONDARY, action.secondary);
        self.summarize(place::AUDITD_SUMMARY_HOW, action.how);
        if let Some(how) = self.program() {
            self.document.put(place::AUDITD_SUMMARY_HOW, how);
        }
    }

    fn summarize(&mut self, at: Place, sources: &[Source]) {
        for source in sources {
            if let Some(item) = self.source(*source) {
                self.document.put(at, item);
                return;
            }
        }
    }

    fn source(&mut self, source: Source) -> Option<Text> {
        match source {
            Source::Path => self.text(place::FILE_PATH),
            Source::OtherPath => self.text(place::FILE_TARGET_PATH),
            Source::Socket => {
                self.text(place::AUDITD_DATA_SOCKET_ADDR).or_else(|| self.text(place::AUDITD_DATA_SOCKET_PATH))
            }
            Source::Port => self.text(place::AUDITD_DATA_SOCKET_PORT),
            Source::Field(at, name) => {
                let named = if name == Place::NONE { None } else { self.value(name) };
                named.or_else(|| self.value(at)).or_else(|| self.unset(at, name))
            }
        }
    }

    /// The value at a place as a text.
    fn value(&mut self, at: Place) -> Option<Text> {
        match self.document.slot(at) {
            Slot::Text(item) => Some(item),
            Slot::Number(number) => Some(self.made(number.to_string().as_bytes())),
            Slot::List(_) => self.document.list(at).first().copied().flatten(),
            Slot::Empty | Slot::Paths | Slot::Records => None,
        }
    }

    /// The word for a user whom the record names as nobody.
    fn unset(&mut self, at: Place, name: Place) -> Option<Text> {
        let field = if at == place::USER_AUDIT_ID { "auid" } else { at.node().key };
        let same = |item: &Text| {
            let bytes = self.document.bytes(*item).iter();
            bytes.map(|&b| if b == b'-' { b'_' } else { b }).eq(field.bytes())
        };
        let nobody = name != Place::NONE && self.document.list(place::AUDITD_UNSET).iter().flatten().any(same);
        nobody.then(|| self.document.word("unset"))
    }

    fn program(&self) -> Option<Text> {
        let name = self.text(place::PROCESS_NAME);
        let Some(executable) = self.text(place::PROCESS_EXECUTABLE) else { return name };
        let path = self.document.bytes(executable);
        let base = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        let interprets =
            INTERPRETERS.contains(&base) || VERSIONED_INTERPRETERS.iter().any(|name| base.starts_with(name));
        Some(name.filter(|_| interprets).unwrap_or(executable))
    }

    /// Copies the address of the other side to the end of the connection that it is.
    fn peer(&mut self, peer: Peer) {
        let (ip, port, address, direction) = match peer {
            Peer::None => return,
            Peer::Addr => return self.remote_login(),
            Peer::Source => (place::SOURCE_IP, place::SOURCE_PORT, place::SOURCE_ADDRESS, "ingress"),
            Peer::Destination => (place::DESTINATION_IP, place::DESTINATION_PORT, place::DESTINATION_ADDRESS, "egress"),
        };
        if let Some(addr) = self.text(place::AUDITD_DATA_SOCKET_ADDR) {
            self.document.put(ip, addr);
            self.document.put(address, addr);
            self.document.push(place::RELATED_IP, Some(addr));
            let number = self.document.text_at(place::AUDITD_DATA_SOCKET_PORT);
            if let Some(number) = number.and_then(|digits| decimal(digits, 65_535)) {
                self.document.put_number(port, number as i64);
            }
            let v4 = self.document.text_at(place::AUDITD_DATA_SOCKET_FAMILY) == Some(b"ipv4");
            self.document.put_static(place::NETWORK_TYPE, if v4 { "ipv4" } else { "ipv6" });
        } else if let Some(path) = self.text(place::AUDITD_DATA_SOCKET_PATH) {
            self.document.put(address, path);
        } else {
            return;
        }
        self.document.put_static(place::NETWORK_DIRECTION, direction);
    }

    /// The remote end that a program names in `addr` and `hostname`.
    fn remote_login(&mut self) {
        let ip = |item: Text| {
            let text = std::str::from_utf8(self.document.bytes(item)).ok()?;
            text.parse::<IpAddr>().ok()
        };
        let addr = self.text(place::AUDITD_DATA_ADDR);
        let hostname = self.text(place::AUDITD_DATA_HOSTNAME);
        let found = addr.and_then(|item| Some((item, ip(item)?)));
        // Programs without a remote end write the name of their own host.
        let host = self.setting.origin.host;
        let is_own = |item: Text| {
            let bytes = self.document.bytes(item);
            let nodes = host.nodes.iter().map(String::as_bytes);
            bytes == host.name.as_bytes() || nodes.into_iter().any(|node| node == bytes)
        };
        let domain = hostname.filter(|item| ip(*item).is_none() && !is_own(*item));
        if let Some((item, ip)) = found {
            self.document.put(place::SOURCE_IP, item);
            self.document.push(place::RELATED_IP, Some(item));
            self.document.put_static(place::NETWORK_TYPE, if ip.is_ipv4() { "ipv4" } else { "ipv6" });
            self.document.put_static(place::NETWORK_DIRECTION, "ingress");
        }
        if let Some(item) = addr.or(domain) {
            self.document.put(place::SOURCE_ADDRESS, item);
        }
        if let Some(item) = domain {
            self.document.put(place::SOURCE_DOMAIN, item);
        }
    }

    /// Whose account a user-space record is about.
    fn account(&mut self, account: Account) {
        let (id, id_name) = (self.text(place::AUDITD_DATA_ID), self.text(place::AUDITD_DATA_ID_NAME));
        let (acct, grp) = (self.text(place::AUDITD_DATA_ACCT), self.text(place::AUDITD_DATA_GRP));
        let (at_id, at_name, name) = match account {
            Account::None => return,
            Account::Effective => (place::USER_EFFECTIVE_ID, place::USER_EFFECTIVE_NAME, acct),
            Account::Target => (place::USER_TARGET_ID, place::USER_TARGET_NAME, acct),
            Account::Group => (place::GROUP_ID, place::GROUP_NAME, grp.or(acct)),
        };
        if let Some(id) = id {
            self.document.put(at_id, id);
        }
        if let Some(name) = name.or(id_name) {
            self.document.put(at_name, name);
        }
        if account == Account::Group && grp.is_some() {
            // A user who joins or leaves the group.
            if let Some(user) = acct {
                self.document.put(place::USER_TARGET_NAME, user);
            }
        }
        if let Some(user) = acct.filter(|_| account != Account::Group || grp.is_some()) {
            self.relate_user(user);
        }
    }

    /// Notes the name of a user once.
    pub(super) fn relate_user(&mut self, name: Text) {
        let bytes = self.document.bytes(name);
        let same = |item: &Text| self.document.bytes(*item) == bytes;
        let related = self.document.list(place::RELATED_USER);
        if related.len() < MAX_RELATED && !related.iter().flatten().any(same) {
            self.document.push(place::RELATED_USER, Some(name));
        }
    }

    /// Capabilities that the process has now, by CAPSET or by those of its program's file.
    fn capabilities(&mut self) {
        for (from, to) in [
            (place::AUDITD_DECODED_CAP_PP, place::PROCESS_THREAD_CAPABILITIES_PERMITTED),
            (place::AUDITD_DECODED_PP, place::PROCESS_THREAD_CAPABILITIES_PERMITTED),
            (place::AUDITD_DECODED_CAP_PE, place::PROCESS_THREAD_CAPABILITIES_EFFECTIVE),
            (place::AUDITD_DECODED_PE, place::PROCESS_THREAD_CAPABILITIES_EFFECTIVE),
        ] {
            if self.document.has(from) && !self.document.has(to) {
                for item in self.document.list(from).to_vec() {
                    self.document.push(to, item);
                }
            }
        }
    }

    /// What a process that ends gives to its parent: the low byte of the argument.
    fn exit_code(&mut self) {
        if self.call.is_some_and(|call| matches!(call.name, "exit" | "exit_group")) {
            let status = self.document.text_at(place::AUDITD_DATA_A0).and_then(super::hex::number);
            if let Some(status) = status {
                self.document.put_number(place::PROCESS_EXIT_CODE, (status & 0xff) as i64);
            }
        }
    }

    /// What carries the connection, if the socket() call of this process and descriptor was seen.
    fn transport(&mut self, is_socket: bool) {
        let Some(call) = self.call.filter(|_| is_socket) else { return };
        let Some(socket) = SocketKey::of(self.event.key.node, self.event.key.time_ms, self.document) else {
            return;
        };
        let family = self.document.text_at(place::AUDITD_DATA_SOCKET_FAMILY);
        if call.name == "socket" {
            return;
        }
        if let Some(transport) = self.setting.sockets.transport(socket, family) {
            self.document.put_static(place::NETWORK_TRANSPORT, transport);
        }
    }
}
