//! The engine as its users see it: `feed` bytes, `tick` time, take frames.

use std::collections::VecDeque;

use pyaudit_knowledge::place;

use crate::assembly::{range, Assembly, Closed, Event, Key, Taken};
use crate::decode::{decode, own, Decoded, Setting};
use crate::document::Document;
use crate::encode::{self, Json, Msgpack};
use crate::frames::{Frames, NewHead};
use crate::gaps::{Gap, Serials};
use crate::header;
use crate::lines::{Line, Lines};
use crate::names::{NameKind, Names};
use crate::nodes::Nodes;
use crate::options::{Options, Restore};
use crate::rules::{Rules, Verdict};
use crate::state::{SavedClosed, SavedEvent, SavedNode, State, StateError};
use crate::stats::Stats;

/// Own documents are `pipeline_error`s; nobody files them under a category.
const OWN_CATEGORY: &str = "";

#[derive(Debug)]
pub struct Engine {
    options: Options,
    lines: Lines,
    inner: Inner,
    /// Bytes came since the last tick, or when the silence began.
    fed: bool,
    silent_since: Option<u64>,
    /// What `restore` published; it goes out with the first frames.
    restored: Option<Frames>,
    /// The stream was closed, and nothing came since.
    clean: bool,
}

/// All but the line splitter, so that lines can be handed on while they are split.
#[derive(Debug)]
struct Inner {
    nodes: Nodes,
    assembly: Assembly,
    names: Names,
    rules: Rules,
    closed: Vec<Event>,
    /// Closed events in order; the first may wait for a name.
    ready: VecDeque<Ready>,
    ready_bytes: usize,
    ready_records: u64,
    /// How many of `ready` were asked which names they lack.
    probed: usize,
    document: Document,
    stats: Stats,
    own_documents: u64,
    newest_ms: Option<i64>,
}

#[derive(Debug, Default)]
struct Ready {
    event: Event,
    incomplete: Option<&'static str>,
    /// Ids whose names it waits for.
    missing: Vec<(NameKind, u32)>,
}

impl Engine {
    /// Builds an engine; `state` is what `state()` of the process before gave.
    pub fn new(options: Options) -> Result<Self, String> {
        let rules = Rules::new(&options.rules, &options.sinks)?;
        if options.host.id.is_empty() {
            return Err("host.id is empty: the identity of events needs it".to_owned());
        }
        let timing = options.timing;
        let inner = Inner {
            nodes: Nodes::new(&options.host),
            assembly: Assembly::new(options.limits, timing),
            names: Names::new(timing.name_wait_ms, timing.name_ttl_ms, timing.name_negative_ttl_ms),
            rules,
            closed: Vec::new(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            ready_records: 0,
            probed: 0,
            document: Document::default(),
            stats: Stats::default(),
            own_documents: 0,
            newest_ms: None,
        };
        let lines = Lines::new(options.limits.line_bytes);
        Ok(Self { options, lines, inner, fed: false, silent_since: None, restored: None, clean: false })
    }

    /// Takes over from the process before: its serials, which events it published lately, and the records that it had
    /// not published. Call it before anything is fed; what it publishes comes with the first frames.
    ///
    /// Those records are a part of their own (`/2`) whatever comes of them: the process before may have gone on after
    /// it saved its state, and published the event under its plain id. Not so in a `replay`, which knows better.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        let state = State::read(state)?;
        let rebooted = state.boot_id != self.options.host.boot_id.as_bytes();
        let mut indices = Vec::new();
        for saved in &state.nodes {
            let index = self.inner.nodes.index((!saved.name.is_empty()).then_some(&saved.name[..]));
            indices.push(index);
            let Some(index) = index else { continue };
            let node = self.inner.nodes.get_mut(index);
            node.marks_ends = saved.marks_ends;
            if let (Some((high, time_ms)), false) = (saved.high, rebooted && index == 0) {
                node.serials = Serials::restore(high, time_ms, &saved.gaps, state.clean);
            }
        }
        for SavedClosed { node, daemon, time_ms, serial, part } in state.closed {
            if let Some(&Some(node)) = indices.get(node as usize) {
                self.inner.assembly.remember(Key { node: node as u32, daemon, time_ms, serial }, part);
            }
        }
        let mut frames = self.frames();
        for event in &state.held {
            self.inner.restore_event(event, &self.options, &mut frames);
        }
        self.restored = Some(frames);
        Ok(())
    }

    fn frames(&mut self) -> Frames {
        self.restored.take().unwrap_or_else(|| Frames::new(self.options.json, self.options.msgpack))
    }

    /// Takes bytes of the stream, in chunks of any size. Never fails on content.
    pub fn feed(&mut self, chunk: &[u8]) -> Frames {
        let mut frames = self.frames();
        self.fed |= !chunk.is_empty();
        self.clean &= chunk.is_empty();
        self.inner.stats.bytes_in += chunk.len() as u64;
        let (lines, inner, options) = (&mut self.lines, &mut self.inner, &self.options);
        let cut = lines.feed(chunk, |line| inner.line(line, options, &mut frames, false));
        self.inner.stats.bytes_cut += cut;
        self.inner.publish(&self.options, &mut frames, false);
        frames
    }

    /// Takes one line that must not be read, because reading it failed before: it is published as it is.
    pub fn feed_unparsed(&mut self, line: &[u8]) -> Frames {
        let mut frames = self.frames();
        let line = &line[..line.len().min(self.options.limits.line_bytes)];
        self.inner.stats.bytes_in += line.len() as u64;
        self.inner.stats.records_in += 1;
        self.inner.publish(&self.options, &mut frames, true);
        self.inner.unparsed(
            Line { bytes: line, cut: false },
            "the engine failed on this line",
            &self.options,
            &mut frames,
        );
        frames
    }

    /// Tells the time in monotonic milliseconds: events wait no longer than they should when nothing comes.
    pub fn tick(&mut self, now_ms: u64) -> Frames {
        let mut frames = self.frames();
        self.inner.names.tick(now_ms);
        if std::mem::take(&mut self.fed) || self.silent_since.is_none() {
            self.silent_since = Some(now_ms);
        }
        let silent_ms = now_ms.saturating_sub(self.silent_since.unwrap_or(now_ms));
        let timing = self.options.timing;
        let idle = silent_ms >= timing.idle_ms;
        if idle || silent_ms >= u64::try_from(timing.grace_ms).unwrap_or(0) {
            self.inner.assembly.close_idle(idle, &mut self.inner.closed);
            self.inner.collect();
        }
        if idle {
            self.inner.all_gaps(&self.options, &mut frames);
        }
        self.inner.publish(&self.options, &mut frames, false);
        frames
    }

    /// Ends the stream: everything that is held is published, marked where it is incomplete.
    pub fn close(&mut self) -> Frames {
        let mut frames = self.frames();
        let (lines, inner, options) = (&mut self.lines, &mut self.inner, &self.options);
        let cut = lines.finish(|line| inner.line(line, options, &mut frames, false));
        self.inner.stats.bytes_cut += cut;
        self.inner.assembly.close_all(&mut self.inner.closed);
        self.inner.collect();
        self.inner.publish(&self.options, &mut frames, true);
        self.inner.all_gaps(&self.options, &mut frames);
        self.clean = true;
        frames
    }

    /// The ids whose names events wait for, each asked for once.
    pub fn wants(&mut self) -> Vec<(NameKind, u32)> {
        self.inner.names.take_wants()
    }

    /// Answers `wants`; the events come with the next frames.
    pub fn tell(&mut self, kind: NameKind, id: u32, name: Option<&str>) {
        self.inner.names.tell(kind, id, name);
    }

    /// What the next process needs to go on where this one is.
    pub fn state(&self) -> Vec<u8> {
        let inner = &self.inner;
        let node = |node: &crate::nodes::Node| SavedNode {
            name: node.name.clone(),
            high: node.serials.watermark(),
            marks_ends: node.marks_ends,
            gaps: node.serials.waiting().collect(),
        };
        let closed = |(key, part): (Key, u32)| SavedClosed {
            node: key.node,
            daemon: key.daemon,
            time_ms: key.time_ms,
            serial: key.serial,
            part,
        };
        let event = |event: &Event| SavedEvent {
            part: event.part,
            lines: event.records.iter().map(|r| (r.cut, event.bytes[range(r.line)].to_vec())).collect(),
        };
        let ready = inner.ready.iter().map(|ready| &ready.event);
        State {
            clean: self.clean,
            boot_id: self.options.host.boot_id.clone().into_bytes(),
            nodes: inner.nodes.iter().map(node).collect(),
            closed: inner.assembly.recent().map(closed).collect(),
            held: ready.chain(inner.assembly.held()).map(event).collect(),
        }
        .write()
    }

    pub fn stats(&self) -> Stats {
        let mut stats = self.inner.stats;
        stats.records_held = self.inner.assembly.records_held() + self.inner.ready_records;
        stats.events_held = self.inner.assembly.events_held() + self.inner.ready.len() as u64;
        let limits = self.inner.assembly.limit_counts;
        stats.limit_events = limits.events;
        stats.limit_event_records = limits.event_records;
        stats.limit_event_bytes = limits.event_bytes;
        stats.limit_held_bytes += limits.held_bytes;
        stats.names_wanted = self.inner.names.wanted;
        stats.names_timed_out = self.inner.names.timed_out;
        stats
    }
}

impl Inner {
    fn line(&mut self, line: Line<'_>, options: &Options, frames: &mut Frames, restored: bool) {
        // auditd >= 4.2 ends a record that it cut with a NUL.
        let end = line.bytes.iter().rposition(|&b| b != 0).map_or(0, |i| i + 1);
        let line = Line { bytes: &line.bytes[..end], cut: line.cut || end < line.bytes.len() };
        if line.bytes.is_empty() && !line.cut {
            self.stats.lines_blank += 1;
            return;
        }
        if restored {
            self.stats.records_restored += 1;
        } else {
            self.stats.records_in += 1;
        }
        self.stats.lines_truncated += u64::from(line.cut);
        let header = match header::parse(line.bytes) {
            Ok(header) => header,
            Err(error) => {
                // What came before it is published before it.
                self.publish(options, frames, false);
                self.unparsed(line, error, options, frames);
                return;
            }
        };
        let index = self.node(header.node, options, frames);
        let known = header.known_type();
        let node = self.nodes.get_mut(index);
        node.see_time(header.time_ms);
        self.newest_ms = Some(self.newest_ms.map_or(header.time_ms, |newest| newest.max(header.time_ms)));
        let daemon = known.is_some_and(|known| (1200..1300).contains(&known.number));
        // A serial of 0 is none: the kernel starts at 1.
        if !daemon && header.serial != 0 && !restored {
            node.serials.see(header.serial, header.time_ms, node.clock);
        }
        self.assembly.expire(node, index as u32, &mut self.closed);
        let taken = self.assembly.take(line.bytes, line.cut, &header, known, node, index as u32, &mut self.closed);
        match taken {
            Taken::Held { late } => self.stats.late_parts += u64::from(late),
            Taken::EndOfEvent => self.stats.records_end_of_event += 1,
        }
        let node = self.nodes.get_mut(index);
        let gaps = if node.serials.pending() {
            node.serials.overdue(node.clock, options.timing.event_timeout_ms)
        } else {
            Vec::new()
        };
        if !self.closed.is_empty() {
            self.collect();
            self.publish(options, frames, false);
        }
        for gap in gaps {
            self.gap(&gap, index, options, frames);
        }
    }

    /// Takes the records of an event that the process before had not published, as the next part of it.
    fn restore_event(&mut self, saved: &SavedEvent, options: &Options, frames: &mut Frames) {
        for (cut, line) in &saved.lines {
            if let Ok(header) = header::parse(line) {
                let node = self.node(header.node, options, frames);
                let key = self.assembly.key(&header, header.known_type(), node as u32);
                self.assembly
                    .remember_at_least(key, saved.part.saturating_sub(u32::from(options.restore == Restore::Replay)));
            }
            self.line(Line { bytes: line, cut: *cut }, options, frames, true);
        }
    }

    /// The node of a record; when there are too many, the foreign ones are forgotten and counted.
    fn node(&mut self, name: Option<&[u8]>, options: &Options, frames: &mut Frames) -> usize {
        if let Some(index) = self.nodes.index(name) {
            return index;
        }
        self.stats.limit_nodes += 1;
        self.assembly.close_all(&mut self.closed);
        self.collect();
        self.publish(options, frames, true);
        self.nodes.forget_foreign();
        self.assembly.forget_foreign();
        self.nodes.index(name).unwrap_or(0)
    }

    /// Moves closed events to those that are to be published.
    fn collect(&mut self) {
        for event in self.closed.drain(..) {
            let ends = self.nodes.get(event.key.node as usize).marks_ends;
            let syscall = event.records.iter().any(|r| r.number() == pyaudit_knowledge::record_type::SYSCALL);
            let incomplete = match event.closed {
                Closed::Limit => Some("limit"),
                Closed::Timeout if ends && syscall && !event.ended => Some("timeout"),
                Closed::Stop if ends && syscall && !event.ended => Some("stop"),
                Closed::Complete | Closed::Timeout | Closed::Stop => None,
            };
            self.ready_bytes += event.bytes.len();
            self.ready_records += event.records.len() as u64;
            self.ready.push_back(Ready { event, incomplete, missing: Vec::new() });
        }
    }

    /// Publishes what is ready, in order, up to the first event that waits for a name; `force` waits for none.
    /// Every event is decoded once, and once more if it had to wait.
    fn publish(&mut self, options: &Options, frames: &mut Frames, force: bool) {
        while let Some(ready) = self.ready.pop_front() {
            // Too much waits behind a name: go without it.
            let full = self.ready_bytes > options.limits.held_bytes || self.ready.len() >= options.limits.events;
            let go = force || full;
            let waits = !go && ready.missing.iter().any(|&(kind, id)| self.names.waits(kind, id));
            let missing = if waits { ready.missing.clone() } else { self.event(&ready, options, frames, go) };
            if !missing.is_empty() {
                self.ready.push_front(Ready { missing, ..ready });
                self.probed = self.probed.max(1);
                self.probe(options);
                return;
            }
            self.stats.limit_held_bytes += u64::from(full && !force);
            self.ready_bytes -= ready.event.bytes.len();
            self.ready_records -= ready.event.records.len() as u64;
            self.probed = self.probed.saturating_sub(1);
            self.assembly.recycle(ready.event);
        }
    }

    /// Has the events behind one that waits ask for their names too, so that all wait at the same time.
    fn probe(&mut self, options: &Options) {
        for index in self.probed..self.ready.len() {
            let Some(mut ready) = self.ready.get_mut(index).map(std::mem::take) else { break };
            ready.missing = self.decode(&ready, options).missing;
            self.ready[index] = ready;
        }
        self.probed = self.ready.len();
    }

    /// Writes an event into the document.
    fn decode(&mut self, ready: &Ready, options: &Options) -> Decoded {
        let node = self.nodes.get(ready.event.key.node as usize);
        let setting = Setting {
            host: &options.host,
            foreign: (!node.is_local()).then_some(&node.name[..]),
            include_raw: options.include_raw,
            ask_names: options.ask_names,
            incomplete: ready.incomplete,
        };
        self.document.clear();
        decode(&ready.event, &setting, &mut self.names, &mut self.document)
    }

    /// Publishes one event, unless it should wait for names, which are given back.
    fn event(&mut self, ready: &Ready, options: &Options, frames: &mut Frames, force: bool) -> Vec<(NameKind, u32)> {
        let decoded = self.decode(ready, options);
        if !decoded.missing.is_empty() && !force {
            return decoded.missing;
        }
        let event = &ready.event;
        let records = event.records.len() as u32;
        let routes = match self.rules.judge(&self.document, &event.bytes) {
            Verdict::Route(routes) => routes,
            Verdict::Drop => {
                self.stats.events_filtered += 1;
                self.stats.records_filtered += u64::from(records);
                return Vec::new();
            }
        };
        self.stats.events_published += 1;
        self.stats.records_published += u64::from(records);
        self.stats.events_incomplete += u64::from(decoded.incomplete);
        let action = decoded.action;
        let category = action.and_then(|action| action.categories.first()).copied().unwrap_or("process");
        let keep = action.is_some_and(pyaudit_knowledge::Action::keep);
        write_frame(&self.document, &event.bytes, frames, category, event.key.time_ms, keep, records, routes);
        Vec::new()
    }

    fn own_id(&mut self, options: &Options) -> String {
        self.own_documents += 1;
        format!("{}:p{}-{}", options.host.id, options.process_start_ms, self.own_documents)
    }

    fn unparsed(&mut self, line: Line<'_>, error: &'static str, options: &Options, frames: &mut Frames) {
        self.stats.lines_unparsed += 1;
        self.stats.records_published += 1;
        self.stats.events_published += 1;
        let id = self.own_id(options);
        // The line has no time that could be believed; the newest record's is the closest there is.
        let time_ms = self.newest_ms.unwrap_or(options.process_start_ms);
        self.document.clear();
        own::unparsed(&mut self.document, &local(options), &id, time_ms, line, error);
        let routes = self.rules.everywhere();
        write_frame(&self.document, line.bytes, frames, OWN_CATEGORY, time_ms, false, 1, routes);
    }

    fn gap(&mut self, gap: &Gap, node_index: usize, options: &Options, frames: &mut Frames) {
        self.stats.gaps += 1;
        self.stats.gap_serials += u64::from(gap.count());
        self.stats.events_published += 1;
        let id = self.own_id(options);
        let node = self.nodes.get(node_index);
        let foreign = (!node.is_local()).then_some(&node.name[..]);
        self.document.clear();
        own::gap(&mut self.document, &Setting { foreign, ..local(options) }, &id, gap);
        let routes = self.rules.everywhere();
        write_frame(&self.document, b"", frames, OWN_CATEGORY, gap.after_ms, false, 0, routes);
    }

    /// Publishes gaps that nobody will fill any more.
    fn all_gaps(&mut self, options: &Options, frames: &mut Frames) {
        let mut gaps = Vec::new();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            gaps.extend(node.serials.finish().into_iter().map(|gap| (index, gap)));
        }
        for (index, gap) in gaps {
            self.gap(&gap, index, options, frames);
        }
    }
}

/// The setting of our own documents.
fn local(options: &Options) -> Setting<'_> {
    Setting { host: &options.host, foreign: None, include_raw: options.include_raw, ask_names: false, incomplete: None }
}

#[allow(clippy::too_many_arguments)]
fn write_frame(
    document: &Document,
    raw: &[u8],
    frames: &mut Frames,
    category: &'static str,
    time_ms: i64,
    keep: bool,
    records: u32,
    routes: u64,
) {
    if let Some(out) = frames.json_out() {
        encode::document(document, raw, &mut Json::new(out));
        out.push(b'\n');
    }
    if let Some(out) = frames.msgpack_out() {
        encode::document(document, raw, &mut Msgpack::new(out));
    }
    let text = |at| document.text_at(raw, at).map(String::from_utf8_lossy);
    let id = text(place::EVENT_ID).unwrap_or_default();
    let host = text(place::HOST_NAME).unwrap_or_default();
    let session = text(place::AUDITD_SESSION);
    frames.push(&NewHead {
        id: &id,
        host: &host,
        session: session.as_deref(),
        category,
        time_ms,
        keep,
        records,
        routes,
    });
}
