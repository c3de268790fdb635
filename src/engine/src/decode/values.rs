//! Values of fields, each kind its own way.

use pyaudit_knowledge::{arch, errno, place, record_type as types, uring_op, Field as Known, Kind, Place};

use super::{context, hex, sockaddr, Current, Decoder};
use crate::digits::{self, Digits};
use crate::document::{Suffix, Text};
use crate::fields::{Field, Form};
use crate::header::decimal;
use crate::names::NameKind;

/// Highest error number the kernel returns (`MAX_ERRNO`); a lower return value is an address.
const MAX_ERRNO: u64 = 4095;

/// Unset ids: (uid_t)-1, as a program or the kernel writes it.
pub(super) fn is_unset_id(value: &[u8]) -> bool {
    matches!(value, b"4294967295" | b"-1")
}

fn is_bare(form: Form) -> bool {
    matches!(form, Form::Bare | Form::CutBare)
}

/// Text that says that there is nothing; only bare, since a program may really be called `?`.
pub(super) fn is_unset_text(field: &Field<'_>) -> bool {
    field.form == Form::Bare && matches!(field.value, b"(null)" | b"(none)" | b"?")
}

/// success, fail, or the word itself.
fn result_word(value: &[u8]) -> Option<&'static str> {
    match value {
        b"yes" | b"success" | b"1" => Some("success"),
        b"no" | b"failed" | b"fail" | b"failure" | b"0" => Some("fail"),
        _ => None,
    }
}

impl<'a> Decoder<'a, '_> {
    /// Puts a field that the knowledge has to its place.
    pub(super) fn known(&mut self, current: Current<'a>, field: &Field<'a>, known: &'static Known) {
        let is_id = matches!(known.kind, Kind::Uid | Kind::Gid);
        let enriched = if is_id { self.enriched.take(field.name) } else { None };
        if current.again {
            return self.listed(current, field, known, enriched);
        }
        let may_be_unset = is_id || matches!(known.kind, Kind::Session | Kind::Number);
        if is_unset_text(field) || may_be_unset && is_unset_id(field.value) {
            self.mark_unset(field.name);
            return;
        }
        let put = match known.kind {
            Kind::Uid | Kind::Gid => self.id(field, known, enriched),
            Kind::Key => self.keys(field, known.place),
            Kind::Number => self.number(field, known.place),
            Kind::Result => self.result(field, known.place),
            Kind::Saddr => self.saddr(field),
            Kind::Context => self.context(field),
            Kind::Arch => {
                self.note_arch(current, field);
                let item = self.readable(field.value, field.form, known.kind);
                self.document.put(known.place, item)
            }
            Kind::Syscall => self.syscall(field, known.place),
            Kind::UringOp => self.operation(field, known.place),
            Kind::Values(_) | Kind::Mode | Kind::Keystrokes => self.explained(field, known),
            Kind::Text
            | Kind::Escaped
            | Kind::Account
            | Kind::Proctitle
            | Kind::Exit
            | Kind::Session
            | Kind::Decimal
            | Kind::Name(_) => {
                let item = self.readable(field.value, field.form, known.kind);
                self.document.put(known.place, item)
            }
        };
        if !put {
            self.listed(current, field, known, enriched);
        }
    }

    /// Puts a field into the list of those that have no place, with the name of an id beside it.
    fn listed(&mut self, current: Current<'a>, field: &Field<'a>, known: &Known, enriched: Option<&'a [u8]>) {
        self.rest(current, field.name, field.value, field.form);
        if let Some(name) = self.id_name(field, known.kind, enriched) {
            let field = self.name_item(field.name);
            self.rest_item(current.position, field, name, Suffix::Name, None);
        }
    }

    /// A value as people read it, without asking where it goes.
    pub(super) fn readable(&mut self, value: &'a [u8], form: Form, kind: Kind) -> Text {
        let word = match kind {
            Kind::Escaped | Kind::Account | Kind::Key | Kind::Keystrokes
                if form == Form::CutBare && hex::is_cut(value) =>
            {
                return self.decoded(value);
            }
            Kind::Escaped | Kind::Key | Kind::Saddr | Kind::Keystrokes if is_bare(form) && hex::is_hex(value) => {
                return if kind == Kind::Saddr { self.raw_item(value) } else { self.decoded(value) };
            }
            Kind::Account if is_bare(form) && hex::is_upper_hex(value) => return self.decoded(value),
            Kind::Proctitle => return self.title(value, form),
            Kind::Text if form == Form::Permissions => return self.permissions(value),
            Kind::Arch => hex::number(value).and_then(|v| arch(u32::try_from(v).ok()?)).map(|arch| arch.name),
            Kind::Syscall => decimal(value, u64::MAX).and_then(|nr| self.arch?.syscall(nr)).map(|call| call.name),
            Kind::UringOp => decimal(value, u64::MAX).and_then(uring_op),
            Kind::Exit => {
                value.strip_prefix(b"-").and_then(|nr| decimal(nr, MAX_ERRNO)).and_then(|nr| match self.arch {
                    Some(arch) => arch.errno(nr),
                    None => errno(nr),
                })
            }
            Kind::Name(values) => self.number_name(values, value),
            _ => None,
        };
        match word {
            Some(word) => self.document.word(word),
            None => self.raw_item(value),
        }
    }

    fn decoded(&mut self, value: &[u8]) -> Text {
        let start = self.document.pool.len();
        hex::decode(value, &mut self.document.pool);
        self.document.kept_since(start)
    }

    /// A process title: NULs become one space each.
    fn title(&mut self, value: &'a [u8], form: Form) -> Text {
        if !is_bare(form) || !(hex::is_hex(value) || hex::is_cut(value)) {
            return self.raw_item(value);
        }
        let start = self.document.pool.len();
        hex::decode(value, &mut self.document.pool);
        for byte in &mut self.document.pool[start..] {
            if *byte == 0 {
                *byte = b' ';
            }
        }
        self.document.kept_since(start)
    }

    /// Permissions of an AVC: the words between the braces, joined by commas.
    fn permissions(&mut self, value: &[u8]) -> Text {
        let start = self.document.pool.len();
        for (i, word) in value.split(|&b| b == b' ').filter(|word| !word.is_empty()).enumerate() {
            if i > 0 {
                self.document.pool.push(b',');
            }
            self.document.pool.extend_from_slice(word);
        }
        self.document.kept_since(start)
    }

    fn note_arch(&mut self, current: Current<'a>, field: &Field<'a>) {
        let found = hex::number(field.value).and_then(|value| arch(u32::try_from(value).ok()?));
        if current.record.number() == types::SYSCALL || self.arch.is_none() {
            self.arch = found;
        }
    }

    fn syscall(&mut self, field: &Field<'a>, at: Place) -> bool {
        let call = decimal(field.value, u64::MAX).and_then(|nr| self.arch?.syscall(nr));
        self.call = self.call.or(call);
        if let Some(call) = call {
            return self.document.put_static(at, call.name);
        }
        let item = self.raw_item(field.value);
        self.document.put(at, item)
    }

    /// An operation of io_uring means what the syscall of its name means.
    fn operation(&mut self, field: &Field<'a>, at: Place) -> bool {
        let item = self.readable(field.value, field.form, Kind::UringOp);
        if let Some(name) = self.document.as_word(item) {
            self.call = self.call.or_else(|| pyaudit_knowledge::syscall(name));
        }
        self.document.put(at, item)
    }

    /// A value that keeps its place and has its meaning beside it.
    fn explained(&mut self, field: &Field<'a>, known: &'static Known) -> bool {
        let item = self.readable(field.value, field.form, known.kind);
        if !self.document.put(known.place, item) {
            return false;
        }
        let mut words = std::mem::take(&mut self.words);
        words.clear();
        self.field_words(known.kind, field.value, &mut words);
        self.document.put_list(known.beside, &words);
        self.words = words;
        true
    }

    fn id(&mut self, field: &Field<'a>, known: &'static Known, enriched: Option<&'a [u8]>) -> bool {
        let item = self.raw_item(field.value);
        if !self.document.put(known.place, item) {
            return false;
        }
        if let Some(name) = self.id_name(field, known.kind, enriched) {
            self.document.put(known.beside, name);
            if known.kind == Kind::Uid {
                self.relate_user(name);
            }
        }
        true
    }

    pub(super) fn id_name(&mut self, field: &Field<'a>, kind: Kind, enriched: Option<&'a [u8]>) -> Option<Text> {
        match kind {
            Kind::Uid => self.name_of(field.value, enriched, NameKind::User),
            Kind::Gid => self.name_of(field.value, enriched, NameKind::Group),
            _ => None,
        }
    }

    fn keys(&mut self, field: &Field<'a>, at: Place) -> bool {
        if self.document.has(at) {
            return false;
        }
        if !is_bare(field.form) || !hex::is_hex(field.value) {
            let item = self.readable(field.value, field.form, Kind::Key);
            self.document.push(at, Some(item));
            return true;
        }
        let mut keys = Vec::new();
        hex::decode(field.value, &mut keys);
        // Every key is followed by the separator when there are several.
        for key in keys.strip_suffix(b"\x01").unwrap_or(&keys).split(|&b| b == 1) {
            let item = self.document.keep(key);
            self.document.push(at, Some(item));
        }
        true
    }

    fn number(&mut self, field: &Field<'a>, at: Place) -> bool {
        match decimal(field.value, i64::MAX as u64) {
            // The number has to give the same text again: no leading zeros.
            Some(number) if field.value.len() == 1 || field.value[0] != b'0' => {
                self.document.put_number(at, number as i64)
            }
            _ => false,
        }
    }

    fn result(&mut self, field: &Field<'a>, at: Place) -> bool {
        if let Some(word) = result_word(field.value) {
            return self.document.put_static(at, word);
        }
        let item = self.raw_item(field.value);
        self.document.put(at, item)
    }

    fn context(&mut self, field: &Field<'a>) -> bool {
        if self.document.has(place::USER_SELINUX_USER) || self.document.has(place::AUDITD_DATA_SUBJ) {
            return false;
        }
        let Some(parts) = context::parse(field.value) else {
            let item = self.raw_item(field.value);
            return self.document.put(place::AUDITD_DATA_SUBJ, item);
        };
        for (at, part) in [
            (place::USER_SELINUX_USER, Some(parts.user)),
            (place::USER_SELINUX_ROLE, Some(parts.role)),
            (place::USER_SELINUX_DOMAIN, Some(parts.domain)),
            (place::USER_SELINUX_LEVEL, parts.level),
            (place::USER_SELINUX_CATEGORY, parts.category),
        ] {
            if let Some(part) = part {
                let item = self.raw_item(part);
                self.document.put(at, item);
            }
        }
        true
    }

    fn saddr(&mut self, field: &Field<'a>) -> bool {
        if self.document.has(place::AUDITD_DATA_SOCKET_FAMILY) || self.document.has(place::AUDITD_DATA_SOCKET_SADDR) {
            return false;
        }
        let mut bytes = Vec::new();
        if hex::is_hex(field.value) {
            hex::decode(field.value, &mut bytes);
        }
        let parsed = sockaddr::parse(&bytes, self.arch.is_some_and(|arch| arch.big_endian));
        if parsed.as_ref().is_none_or(|parsed| !parsed.exact) {
            let item = self.raw_item(field.value);
            self.document.put(place::AUDITD_DATA_SOCKET_SADDR, item);
        }
        let Some(parsed) = parsed else { return true };
        self.socket(&parsed);
        true
    }

    fn socket(&mut self, parsed: &sockaddr::Sockaddr<'_>) {
        use sockaddr::Address;
        let family = match parsed.family {
            1 => Some("unix"),
            2 => Some("ipv4"),
            10 => Some("ipv6"),
            16 => Some("netlink"),
            _ => None,
        };
        if let Some(family) = family {
            self.document.put_made(place::AUDITD_DATA_SOCKET_FAMILY, family.as_bytes());
        } else {
            self.put_digits(place::AUDITD_DATA_SOCKET_FAMILY, parsed.family.into());
        }
        match parsed.address {
            Address::Unix([first, rest @ ..]) => {
                let start = self.document.pool.len();
                self.document.pool.push(if *first == 0 { b'@' } else { *first });
                self.document.pool.extend_from_slice(rest);
                let item = self.document.kept_since(start);
                self.document.put(place::AUDITD_DATA_SOCKET_PATH, item);
            }
            Address::V4 { ip, port } => {
                let start = self.document.pool.len();
                for (i, octet) in ip.octets().into_iter().enumerate() {
                    if i > 0 {
                        self.document.pool.push(b'.');
                    }
                    digits::push(&mut self.document.pool, octet.into(), 1);
                }
                let item = self.document.made_since(start);
                self.internet(item, port);
            }
            Address::V6 { ip, port } => {
                let item = self.document.made(ip.to_string().as_bytes());
                self.internet(item, port);
            }
            Address::Netlink { pid, groups } => {
                self.put_digits(place::AUDITD_DATA_SOCKET_PID, pid.into());
                self.put_digits(place::AUDITD_DATA_SOCKET_GROUPS, groups.into());
            }
            Address::Unix([]) | Address::Other => {}
        }
    }

    fn internet(&mut self, ip: Text, port: u16) {
        self.document.put(place::AUDITD_DATA_SOCKET_ADDR, ip);
        self.put_digits(place::AUDITD_DATA_SOCKET_PORT, port.into());
    }

    /// Puts a number as text.
    fn put_digits(&mut self, at: Place, number: u64) {
        self.document.put_made(at, Digits::of(number, 1).text());
    }
}
