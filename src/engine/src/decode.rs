//! An event's records to its document.
//!
//! The SYSCALL record is read first, then the others by rising type number: who comes first owns a place of the
//! document, what comes later and finds it taken goes to `auditd.records`. Which field goes where, and how its value is
//! written, is knowledge (`pyaudit_knowledge`); nothing here knows a field's place by itself but those of the event.

mod calls;
mod command;
pub mod context;
mod enriched;
pub mod execve;
mod files;
pub mod hex;
mod known_paths;
mod meaning;
pub mod own;
mod paths;
mod rest;
pub mod sockaddr;
mod summary;
mod values;
mod words;

use foldhash::HashMap;

use pyaudit_knowledge::{place, record_type as types, Action, Arch, Kind, Place, Syscall};

use self::enriched::Enriched;
use self::known_paths::KnownPaths;
use crate::assembly::{range, Event, Record};
use crate::digits;
use crate::document::{Document, Template, Text};
use crate::fields::{split_enriched, tokenize, Body, Field, Form};
use crate::layout::{Layouts, Meaning};
use crate::names::{NameKind, Names};
use crate::options::{Host, IncludeRaw};
use crate::sockets::Sockets;
use crate::time::Second;

/// Version of the document's layout (`auditd.schema`).
pub const SCHEMA: i64 = 1;
/// `ecs.version`.
pub const ECS_VERSION: &str = "8.17.0";
/// The rank of record types that have no name; see `Decoder::order`.
const UNKNOWN: u32 = u32::MAX;

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

/// Memory that one event leaves to the next.
#[derive(Debug, Default)]
pub struct Workspace {
    fields: Vec<Field<'static>>,
    enriched: Enriched<'static>,
    order: Vec<Turn>,
    layouts: Layouts,
    known_paths: KnownPaths,
    second: Second,
    template: Option<Template>,
    words: Vec<Text>,
}

/// A vector of something else with the same memory.
fn emptied<T, U>(mut vector: Vec<T>) -> Vec<U> {
    vector.clear();
    // Collecting into a vector of things of the same layout reuses the memory.
    vector.into_iter().map(|_| unreachable!("the vector was emptied")).collect()
}

/// Writes an event into an empty document.
pub fn decode(
    event: &Event,
    setting: &Setting<'_>,
    names: &mut Names,
    document: &mut Document,
    workspace: &mut Workspace,
) -> Decoded {
    let mut decoder = Decoder {
        event,
        setting,
        names,
        document,
        arch: None,
        call: None,
        nested: None,
        words: std::mem::take(&mut workspace.words),
        missing: Vec::new(),
        arguments: execve::Arguments::default(),
        execve_position: 0,
        enriched: Enriched::with_memory_of(std::mem::take(&mut workspace.enriched)),
        highest_item: None,
        aside: false,
    };
    decoder.head(workspace);
    decoder.records(workspace);
    decoder.arguments();
    let action = decoder.meaning();
    let incomplete = decoder.completeness();
    let missing = std::mem::take(&mut decoder.missing);
    let call = decoder.call;
    workspace.enriched = Enriched::with_memory_of(decoder.enriched);
    workspace.words = decoder.words;
    document.rest.sort_by_key(|record| record.position);
    document.finish();
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
    words: Vec<Text>,
    missing: Vec<(NameKind, u32)>,
    arguments: execve::Arguments<'a>,
    execve_position: usize,
    /// What auditd added to the record that is being read.
    enriched: Enriched<'a>,
    /// Highest number of a PATH record.
    highest_item: Option<u64>,
    /// The record that is being read said something that its PATH object does not hold.
    aside: bool,
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
#[derive(Clone, Copy, Debug)]
struct Turn {
    rank: u32,
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
    fn head(&mut self, workspace: &mut Workspace) {
        let key = self.event.key;
        let origin = self.setting.origin;
        if origin.foreign.is_some() {
            own::common(self.document, origin);
        } else {
            let template = workspace.template.get_or_insert_with(|| {
                let mut document = Document::default();
                own::common(&mut document, origin);
                document.into_template()
            });
            self.document.begin(template);
        }
        let start = self.document.pool.len();
        workspace.second.push_rfc3339(&mut self.document.pool, key.time_ms);
        let time = self.document.made_since(start);
        self.document.put(place::TIMESTAMP, time);
        self.event_id(&mut workspace.second);
        self.document.put_number(place::EVENT_SEQUENCE, i64::from(key.serial));
        self.document.put_static(place::EVENT_KIND, "event");
        if self.event.part > 1 {
            self.document.put_number(place::AUDITD_PART, i64::from(self.event.part));
        }
        if let Some(reason) = self.setting.incomplete {
            self.document.put_static(place::AUDITD_INCOMPLETE, reason);
        }
        for record in &self.event.records {
            let item = self.type_text(record);
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
    fn event_id(&mut self, second: &mut Second) {
        let key = self.event.key;
        let start = self.document.pool.len();
        let host = own::host_id(self.setting.origin);
        let out = &mut self.document.pool;
        out.extend_from_slice(host.as_bytes());
        out.push(b':');
        second.push_decimal(out, key.time_ms);
        out.push(b':');
        if key.daemon {
            out.push(b'd');
        }
        digits::push(out, u64::from(key.serial), 1);
        if self.event.part > 1 {
            out.push(b'/');
            digits::push(out, u64::from(self.event.part), 1);
        }
        let text = self.document.made_since(start);
        self.document.put(place::EVENT_ID, text);
    }

    /// The document's spelling of a record's type.
    fn type_text(&mut self, record: &Record) -> Text {
        if let Some(known) = record.known {
            return self.document.word(known.lower);
        }
        let start = self.document.pool.len();
        self.document.pool.extend(self.event.bytes[range(record.type_text)].iter().map(u8::to_ascii_lowercase));
        self.document.kept_since(start)
    }

    fn records(&mut self, workspace: &mut Workspace) {
        let mut order = std::mem::take(&mut workspace.order);
        self.order(&mut order);
        let leads = |turn: &&Turn| self.event.records[turn.index].known.is_none_or(|known| known.leads);
        if let Some(leader) = order.iter().find(leads).or(order.first()) {
            let item = self.type_text(&self.event.records[leader.index]);
            self.document.put(place::AUDITD_MESSAGE_TYPE, item);
        }
        let mut fields = emptied(std::mem::take(&mut workspace.fields));
        for &turn in &order {
            fields.clear();
            if self.event.records[turn.index].number() == types::PATH {
                self.path_record(turn, workspace, &mut fields);
            } else {
                self.record(turn, workspace, &mut fields);
            }
        }
        workspace.fields = emptied(fields);
        workspace.order = order;
    }

    /// The order in which records are read: the SYSCALL record first, then by type.
    ///
    /// Of several records of one type one speaks for the event; the others are listed whole, so that what is said in
    /// one place was said by one record. It takes the first position of its type in that list.
    fn order(&self, order: &mut Vec<Turn>) {
        let records = &self.event.records;
        let rank = |record: &Record| match record.known {
            Some(known) if known.number == types::SYSCALL => 0,
            Some(known) => 1 + u32::from(known.number),
            None => UNKNOWN,
        };
        order.clear();
        let turns = records.iter().enumerate();
        order.extend(turns.map(|(index, record)| Turn { rank: rank(record), index, position: index, again: false }));
        // Only types that have no number are told apart by their names. Those of others would be empty texts that point
        // nowhere, and to compare two of them takes memcmp hundreds of cycles where it has masked loads (AVX-512).
        let name = |turn: &Turn| &self.event.bytes[range(records[turn.index].type_text)];
        order.sort_by(|one, other| match (one.rank, other.rank) {
            (UNKNOWN, UNKNOWN) => name(one).cmp(name(other)),
            (one, other) => one.cmp(&other),
        });
        let same =
            |one: &Turn, other: &Turn| one.rank == other.rank && (one.rank != UNKNOWN || name(one) == name(other));
        for group in order.chunk_by_mut(same) {
            // Each PATH is an object of its own, and the EXECVE records are parts of one.
            if group.len() > 1 && !matches!(records[group[0].index].number(), types::PATH | types::EXECVE) {
                self.elect(group);
            }
        }
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

    fn record(&mut self, turn: Turn, workspace: &mut Workspace, fields: &mut Vec<Field<'a>>) {
        let Turn { index, position, again, .. } = turn;
        let record = &self.event.records[index];
        let begun = &self.event.bytes[record.body as usize..];
        let (own, enriched) = split_enriched(&begun[..(record.line.1 - record.body) as usize]);
        let body = Body { record_type: record.known, own, begun };
        let mut cut = tokenize(body, workspace.layouts.of(record.known), fields);
        if let Some(last) = fields.last_mut() {
            // Hex has pairs of digits: an odd one at the end of the record lost its other half.
            cut |= last.form == Form::Bare && hex::is_cut(last.value) && Self::is_hidden(record, last);
            if cut && last.form == Form::Bare {
                last.form = Form::CutBare;
            }
            if cut {
                self.mark_truncated(if last.name.is_empty() { b"line" } else { last.name });
            }
        }
        if cut {
            // A record whose own part does not end as it should may have been ended by bytes of a user.
            self.enriched.clear();
        } else {
            self.enriched.read(enriched);
        }
        let current = Current { position, record, type_name: record.known.map_or("", |known| known.name), again };
        match record.number() {
            types::EXECVE => self.execve(current, fields),
            types::PATH => self.path(current, fields),
            types::SOCKETCALL if self.nested.is_some() && !again => self.socketcall(current, fields),
            number => {
                for field in fields.iter() {
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

    fn field(&mut self, current: Current<'a>, field: &Field<'a>) {
        match field.meaning {
            Meaning::Field(known) => self.known(current, field, known),
            Meaning::Path(_) | Meaning::Unknown => self.rest(current, field.name, field.value, field.form),
        }
    }

    fn execve(&mut self, current: Current<'a>, fields: &[Field<'a>]) {
        self.execve_position = current.position;
        for field in fields {
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

    /// Bytes that stand in the event as they are.
    fn raw_item(&self, bytes: &'a [u8]) -> Text {
        let at = bytes.as_ptr() as usize - self.event.bytes.as_ptr() as usize;
        self.document.raw(at, bytes.len())
    }

    /// Says that a value was cut off before it reached us; `line` if it is not known which.
    fn mark_truncated(&mut self, name: &[u8]) {
        self.aside = true;
        if !self.list_holds(place::AUDITD_TRUNCATED, name) {
            let item = self.document.keep(name);
            self.document.push(place::AUDITD_TRUNCATED, Some(item));
        }
    }

    fn list_holds(&self, at: Place, text: &[u8]) -> bool {
        let same = |item: &Text| self.document.bytes(*item) == text;
        self.document.list(at).iter().flatten().any(same)
    }

    fn mark_unset(&mut self, name: &[u8]) {
        self.aside = true;
        if !self.list_holds(place::AUDITD_UNSET, name) {
            let item = self.name_item(name);
            self.document.push(place::AUDITD_UNSET, Some(item));
        }
    }

    /// The name of a user or group: from the record, or from those that were asked for. Anybody can write into some
    /// enriched parts, so what stands there is never more than the name of the number in the same record.
    fn name_of(&mut self, id: &[u8], enriched: Option<&'a [u8]>, kind: NameKind) -> Option<Text> {
        if let Some(name) = enriched.and_then(|value| self.enriched_name(value)) {
            return Some(name);
        }
        let id = crate::header::decimal(id, u64::from(u32::MAX))? as u32;
        self.asked_name(id, kind)
    }

    /// A name as auditd writes it: quoted, or hex where a byte needed hiding.
    fn enriched_name(&mut self, value: &'a [u8]) -> Option<Text> {
        if let Some(quoted) = value.strip_prefix(b"\"") {
            let name = quoted.strip_suffix(b"\"")?;
            let is_name = !name.is_empty() && !name.starts_with(b"unknown(") && name != b"unset";
            return is_name.then(|| self.raw_item(name));
        }
        if !hex::is_upper_hex(value) {
            return None;
        }
        let start = self.document.pool.len();
        hex::decode(value, &mut self.document.pool);
        Some(self.document.kept_since(start))
    }

    /// Says that PATH records are missing. The kernel numbers those that it writes without gaps; how many there are
    /// (`items=`) says nothing, since it hides some.
    fn completeness(&mut self) -> bool {
        if self.event.part == 1 && self.highest_item.is_some_and(|item| item >= self.document.paths().len() as u64) {
            self.document.put_static(place::AUDITD_INCOMPLETE, "missing");
        }
        self.document.has(place::AUDITD_INCOMPLETE)
    }
}
