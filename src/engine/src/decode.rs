//! An event's records to its document.
//!
//! The SYSCALL record is read first, then the others by rising type number: who comes first owns a place of the
//! document, what comes later and finds it taken goes to `auditd.records`. Which field goes where, and how its value is
//! written, is knowledge (`pyaudit_knowledge`); nothing here knows a field's place by itself but those of the event.

mod calls;
mod command;
pub mod context;
pub mod execve;
mod files;
pub mod hex;
mod meaning;
pub mod own;
mod rest;
pub mod sockaddr;
mod summary;
mod values;
mod words;

use std::collections::HashMap;

use pyaudit_knowledge::{place, record_type as types, Action, Arch, Kind, Place, Syscall};

use crate::assembly::{range, Event, Record};
use crate::digits;
use crate::document::{Document, PathObject, Text, TextItem};
use crate::fields::{enriched_pairs, split_enriched, tokenize, Field, Form};
use crate::names::{NameKind, Names};
use crate::options::{Host, IncludeRaw};
use crate::sockets::Sockets;
use crate::time::write_rfc3339;

/// Version of the document's layout (`auditd.schema`).
pub const SCHEMA: i64 = 1;
/// `ecs.version`.
pub const ECS_VERSION: &str = "8.17.0";
/// Names that auditd adds to one record: a SYSCALL record has 11. Past it somebody plays games, and names are left out.
const MAX_ENRICHED: usize = 64;

/// Where documents come from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub host: &'a Host,
    /// Name of the node, if it is not the local host.
    pub foreign: Option<&'a [u8]>,
    pub include_raw: IncludeRaw,
}

/// What the engine knows about an event besides its records.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    pub origin: Origin<'a>,
    pub ask_names: bool,
    /// Why the event is known to lack records.
    pub incomplete: Option<&'static str>,
    /// Kinds of fields that a site has of its own.
    pub fields: &'a HashMap<Vec<u8>, Kind>,
    pub sockets: &'a Sockets,
}

/// What the frame's header needs to know, besides what is in the document.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Names worth waiting for: decode again when they are there.
    pub missing: Vec<(NameKind, u32)>,
    pub incomplete: bool,
    pub action: Option<&'static Action>,
    pub call: Option<&'static Syscall>,
}

/// Writes an event into an empty document.
pub fn decode(event: &Event, setting: &Setting<'_>, names: &mut Names, document: &mut Document) -> Decoded {
    let mut decoder = Decoder {
        event,
        setting,
        names,
        document,
        arch: None,
        call: None,
        nested: None,
        words: Vec::new(),
        missing: Vec::new(),
        arguments: execve::Arguments::default(),
        execve_position: 0,
        enriched: Vec::new(),
        highest_item: None,
    };
    decoder.head();
    decoder.records();
    decoder.arguments();
    let action = decoder.meaning();
    let incomplete = decoder.completeness();
    let missing = std::mem::take(&mut decoder.missing);
    let call = decoder.call;
    document.rest.sort_by_key(|record| record.position);
    if !document.rest.is_empty() {
        document.mark(place::AUDITD_RECORDS);
    }
    if !document.paths.is_empty() {
        document.mark(place::AUDITD_PATHS);
    }
    Decoded { missing, incomplete, action, call }
}

struct Decoder<'a, 'd> {
    event: &'a Event,
    setting: &'a Setting<'a>,
    names: &'d mut Names,
    document: &'d mut Document,
    /// Of the SYSCALL record, for records that lack one of their own.
    arch: Option<&'static Arch>,
    /// The syscall of the event; for socketcall() and ipc() the one that is meant.
    call: Option<&'static Syscall>,
    /// The call that a SOCKETCALL record has the arguments of.
    nested: Option<&'static Syscall>,
    words: Vec<TextItem>,
    missing: Vec<(NameKind, u32)>,
    arguments: execve::Arguments<'a>,
    execve_position: usize,
    /// What auditd added to the record that is being read: names and values that no field has taken yet.
    enriched: Vec<(&'a [u8], &'a [u8])>,
    /// Highest number of a PATH record.
    highest_item: Option<u64>,
}

/// One record while it is read.
#[derive(Clone, Copy)]
struct Current<'a> {
    /// Where its fields without a place are listed.
    position: usize,
    record: &'a Record,
    type_name: &'static str,
    /// Another record of this type speaks for the event.
    again: bool,
}

/// When a record is read, and as what.
#[derive(Clone, Copy)]
struct Turn {
    index: usize,
    position: usize,
    again: bool,
}

/// How much a record of a mandatory access control says: denied, denied in words only, let through.
///
/// Neither a blank nor a quote can stand in what a user names: such names are written in hex.
fn severity(body: &[u8]) -> u8 {
    let holds = |text: &[u8]| body.windows(text.len()).any(|window| window == text);
    let denied = holds(b"avc:  denied ") || holds(b"apparmor=\"DENIED\"") || holds(b"apparmor=\"KILLED\"");
    match denied {
        true if !holds(b" permissive=1") => 0,
        true => 1,
        false if holds(b"apparmor=\"ALLOWED\"") => 1,
        false => 2,
    }
}

impl<'a> Decoder<'a, '_> {
    fn head(&mut self) {
        let key = self.event.key;
        let start = self.document.scratch.len();
        write_rfc3339(&mut self.document.scratch, key.time_ms);
        let time = self.document.kept_since(start);
        self.document.put(place::TIMESTAMP, TextItem { text: time, lossy: false });
        own::common(self.document, self.setting.origin);
        self.event_id();
        self.document.put_number(place::EVENT_SEQUENCE, i64::from(key.serial));
        self.document.put_static(place::EVENT_KIND, "event");
        if self.event.part > 1 {
            self.document.put_number(place::AUDITD_PART, i64::from(self.event.part));
        }
        if let Some(reason) = self.setting.incomplete {
            self.document.put_static(place::AUDITD_INCOMPLETE, reason);
        }
        for record in &self.event.records {
            let name = self.type_text(record);
            let item = self.document.item(&self.event.bytes, name);
            self.document.push(place::AUDITD_RECORD_TYPES, Some(item));
            if record.cut {
                self.mark_truncated(b"line");
            }
        }
        if self.setting.origin.include_raw == IncludeRaw::Always {
            for record in &self.event.records {
                let item = self.raw_item(&self.event.bytes[range(record.line)]);
                self.document.push(place::EVENT_ORIGINAL, Some(item));
            }
        }
    }

    /// `<host id>:<sec>.<ms>:<serial>`, `d` before the serial that auditd gave, `/n` for a later part.
    fn event_id(&mut self) {
        let key = self.event.key;
        let start = self.document.scratch.len();
        let host = own::host_id(self.setting.origin);
        let out = &mut self.document.scratch;
        out.extend_from_slice(host.as_bytes());
        out.push(b':');
        digits::push_signed(out, key.time_ms.div_euclid(1000));
        out.push(b'.');
        digits::push(out, key.time_ms.rem_euclid(1000).unsigned_abs(), 3);
        out.push(b':');
        if key.daemon {
            out.push(b'd');
        }
        digits::push(out, u64::from(key.serial), 1);
        if self.event.part > 1 {
            out.push(b'/');
            digits::push(out, u64::from(self.event.part), 1);
        }
        let text = self.document.kept_since(start);
        self.document.put(place::EVENT_ID, TextItem { text, lossy: false });
    }

    /// The document's spelling of a record's type.
    fn type_text(&mut self, record: &Record) -> Text {
        if let Some(known) = record.known {
            return Text::Static(known.lower);
        }
        let start = self.document.scratch.len();
        self.document.scratch.extend(self.event.bytes[range(record.type_text)].iter().map(u8::to_ascii_lowercase));
        self.document.kept_since(start)
    }

    fn records(&mut self) {
        let order = self.order();
        let leads = |turn: &&Turn| self.event.records[turn.index].known.is_none_or(|known| known.leads);
        if let Some(leader) = order.iter().find(leads).or(order.first()) {
            let name = self.type_text(&self.event.records[leader.index]);
            let item = self.document.item(&self.event.bytes, name);
            self.document.put(place::AUDITD_MESSAGE_TYPE, item);
        }
        let mut fields = Vec::new();
        for turn in order {
            fields.clear();
            self.record(turn, &mut fields);
        }
    }

    /// The order in which records are read: the SYSCALL record first, then by type.
    ///
    /// Of several records of one type one speaks for the event; the others are listed whole, so that what is said in
    /// one place was said by one record. It takes the first position of its type in that list.
    fn order(&self) -> Vec<Turn> {
        let records = &self.event.records;
        let mut order: Vec<Turn> =
            (0..records.len()).map(|index| Turn { index, position: index, again: false }).collect();
        let unknown = |record: &Record| record.known.is_none().then(|| &self.event.bytes[range(record.type_text)]);
        let kind = |turn: &Turn| {
            let number = records[turn.index].number();
            (number != types::SYSCALL, number, unknown(&records[turn.index]))
        };
        order.sort_by(|one, other| kind(one).cmp(&kind(other)));
        for group in order.chunk_by_mut(|one, other| kind(one) == kind(other)) {
            // Each PATH is an object of its own, and the EXECVE records are parts of one.
            if group.len() > 1 && !matches!(records[group[0].index].number(), types::PATH | types::EXECVE) {
                self.elect(group);
            }
        }
        order
    }

    /// Puts the record that speaks for others of its type first: what was denied before what was let through, and then
    /// one that does not depend on the order in which they came.
    fn elect(&self, group: &mut [Turn]) {
        let rank = |turn: &Turn| {
            let record = &self.event.records[turn.index];
            let body = split_enriched(&self.event.bytes[record.body as usize..record.line.1 as usize]).0;
            (severity(body), body.len(), body)
        };
        let Some(first) = (0..group.len()).min_by_key(|&i| rank(&group[i])) else { return };
        let positions: Vec<usize> = group.iter().map(|turn| turn.position).collect();
        group[..=first].rotate_right(1);
        for (i, (turn, position)) in group.iter_mut().zip(positions).enumerate() {
            *turn = Turn { position, again: i > 0, ..*turn };
        }
    }

    fn record(&mut self, turn: Turn, fields: &mut Vec<Field<'a>>) {
        let Turn { index, position, again } = turn;
        let record = &self.event.records[index];
        let body = &self.event.bytes[record.body as usize..record.line.1 as usize];
        let (own, enriched) = split_enriched(body);
        let mut cut = tokenize(own, fields);
        if let Some(last) = fields.last_mut() {
            // Hex has pairs of digits: an odd one at the end of the record lost its other half.
            cut |= last.form == Form::Bare && Self::is_hidden(record, last) && hex::is_cut(last.value);
            if cut && last.form == Form::Bare {
                last.form = Form::CutBare;
            }
            if cut {
                self.mark_truncated(if last.name.is_empty() { b"line" } else { last.name });
            }
        }
        self.enriched.clear();
        if !cut {
            // A record whose own part does not end as it should may have been ended by bytes of a user.
            self.enriched.extend(enriched_pairs(enriched).take(MAX_ENRICHED));
        }
        let current = Current { position, record, type_name: record.known.map_or("", |known| known.name), again };
        match record.number() {
            types::EXECVE => self.execve(current, fields),
            types::PATH => self.path(current, fields),
            types::SOCKETCALL if self.nested.is_some() && !again => self.socketcall(current, fields),
            number => {
                for &field in fields.iter() {
                    self.field(current, field);
                }
                if number == types::SYSCALL && !again {
                    self.call();
                }
            }
        }
    }

    /// Whether the kernel or libaudit writes a field in hex where it has bytes to hide.
    fn is_hidden(record: &Record, field: &Field<'a>) -> bool {
        let known = pyaudit_knowledge::field(record.known.map_or("", |known| known.name), field.name);
        record.number() == types::EXECVE && matches!(execve::name(field.name), Some(execve::Name::Argument(_)))
            || known.is_some_and(|known| matches!(known.kind, Kind::Escaped | Kind::Key | Kind::Proctitle))
    }

    fn field(&mut self, current: Current<'a>, field: Field<'a>) {
        match pyaudit_knowledge::field(current.type_name, field.name) {
            Some(known) => self.known(current, field, known),
            None => self.rest(current, field.name, field.value, field.form),
        }
    }

    fn execve(&mut self, current: Current<'a>, fields: &[Field<'a>]) {
        self.execve_position = current.position;
        for &field in fields {
            if let Some(name) = execve::name(field.name) {
                self.arguments.take(name, field.value, field.form);
                continue;
            }
            if field.name == b"argc" {
                let argc = crate::header::decimal(field.value, u64::from(u32::MAX)).map(|argc| argc as u32);
                self.arguments.argc = self.arguments.argc.or(argc);
            }
            self.field(current, field);
        }
    }

    fn path(&mut self, current: Current<'a>, fields: &[Field<'a>]) {
        let mut path = PathObject::default();
        for &field in fields {
            let index = pyaudit_knowledge::path_field(field.name);
            let twice = |index: usize| path.entries.iter().any(|(key, _)| usize::from(key.index) == index);
            match index.filter(|&index| !twice(index)) {
                Some(index) => self.path_value(field, index, &mut path),
                None => self.rest(current, field.name, field.value, field.form),
            }
        }
        path.entries.sort_by_key(|&(key, _)| key);
        self.document.paths.push(path);
    }

    /// Bytes that stand in the event as they are.
    fn raw_item(&self, bytes: &'a [u8]) -> TextItem {
        let at = bytes.as_ptr() as usize - self.event.bytes.as_ptr() as usize;
        self.document.item(&self.event.bytes, Text::Raw { at: at as u32, length: bytes.len() as u32 })
    }

    /// Says that a value was cut off before it reached us; `line` if it is not known which.
    fn mark_truncated(&mut self, name: &[u8]) {
        if !self.list_holds(place::AUDITD_TRUNCATED, name) {
            let text = self.document.keep(name);
            let item = self.document.item(&self.event.bytes, text);
            self.document.push(place::AUDITD_TRUNCATED, Some(item));
        }
    }

    fn list_holds(&self, at: Place, text: &[u8]) -> bool {
        let same = |item: &TextItem| self.document.bytes(&self.event.bytes, item.text) == text;
        self.document.list(at).iter().flatten().any(same)
    }

    fn mark_unset(&mut self, name: &[u8]) {
        if !self.list_holds(place::AUDITD_UNSET, name) {
            let item = self.name_item(name);
            self.document.push(place::AUDITD_UNSET, Some(item));
        }
    }

    /// What auditd wrote beside the record for a field: the first of that name that no field has taken. Repeated fields
    /// have repeated names there, in the same order.
    fn take_enriched(&mut self, field: &[u8]) -> Option<&'a [u8]> {
        let index = self.enriched.iter().position(|(name, _)| name.eq_ignore_ascii_case(field))?;
        Some(self.enriched.remove(index).1)
    }

    /// The name of a user or group: from the record, or from those that were asked for. Anybody can write into some
    /// enriched parts, so what stands there is never more than the name of the number in the same record.
    fn name_of(&mut self, id: &[u8], enriched: Option<&'a [u8]>, kind: NameKind) -> Option<TextItem> {
        if let Some(name) = enriched.and_then(|value| self.enriched_name(value)) {
            return Some(name);
        }
        let id = crate::header::decimal(id, u64::from(u32::MAX))? as u32;
        self.asked_name(id, kind)
    }

    /// A name as auditd writes it: quoted, or hex where a byte needed hiding.
    fn enriched_name(&mut self, value: &'a [u8]) -> Option<TextItem> {
        if let Some(quoted) = value.strip_prefix(b"\"") {
            let name = quoted.strip_suffix(b"\"")?;
            let is_name = !name.is_empty() && !name.starts_with(b"unknown(") && name != b"unset";
            return is_name.then(|| self.raw_item(name));
        }
        if !hex::is_upper_hex(value) {
            return None;
        }
        let start = self.document.scratch.len();
        hex::decode(value, &mut self.document.scratch);
        let text = self.document.kept_since(start);
        Some(self.document.item(&self.event.bytes, text))
    }

    /// Says that PATH records are missing. The kernel numbers those that it writes without gaps; how many there are
    /// (`items=`) says nothing, since it hides some.
    fn completeness(&mut self) -> bool {
        if self.event.part == 1 && self.highest_item.is_some_and(|item| item >= self.document.paths.len() as u64) {
            self.document.put_static(place::AUDITD_INCOMPLETE, "missing");
        }
        self.document.has(place::AUDITD_INCOMPLETE)
    }
}
