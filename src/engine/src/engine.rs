//! The engine as its users see it: `feed` bytes, `tick` time, take frames.

mod publish;

use std::collections::VecDeque;

use foldhash::HashMap;

use pyaudit_knowledge::Kind;

use crate::assembly::{range, Assembly, Closed, Event, Key, Taken};
use crate::decode::Workspace;
use crate::document::Document;
use crate::frames::Frames;
use crate::gaps::Serials;
use crate::header;
use crate::lines::{Line, Lines};
use crate::names::{NameKind, Names};
use crate::nodes::Nodes;
use crate::options::{Limits, Options, Restore};
use crate::rules::Rules;
use crate::sockets::{SavedSocket, Sockets};
use crate::state::{SavedClosed, SavedEvent, SavedNode, State, StateError};
use crate::stats::Stats;

/// So many events, or bytes of their records, are published together. To read lines and to write documents takes more code
/// than a processor's cache of instructions has room for: going from one to the other for each event fetches it each time.
const TOGETHER: usize = 32;
const TOGETHER_BYTES: usize = 64 << 10;
/// Sockets that a state keeps, 30 bytes each: it is written often.
const SAVED_SOCKETS: usize = 4096;

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
    stamp: header::Stamp,
    nodes: Nodes,
    assembly: Assembly,
    names: Names,
    rules: Rules,
    sockets: Sockets,
    fields: HashMap<Vec<u8>, Kind>,
    closed: Vec<Event>,
    /// Closed events in order; the first may wait for a name.
    ready: VecDeque<Ready>,
    ready_bytes: usize,
    ready_records: u64,
    /// How many of `ready` were asked which names they lack.
    probed: usize,
    document: Document,
    workspace: Workspace,
    writer: publish::Writer,
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
        let fields = options.fields.iter().map(|(name, kind)| own_field(name, kind)).collect::<Result<_, _>>()?;
        let inner = Inner {
            stamp: header::Stamp::default(),
            nodes: Nodes::new(&options.host),
            assembly: Assembly::new(options.limits, timing),
            names: Names::new(timing.name_wait_ms, timing.name_ttl_ms, timing.name_negative_ttl_ms),
            rules,
            sockets: Sockets::default(),
            fields,
            closed: Vec::new(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            ready_records: 0,
            probed: 0,
            document: Document::default(),
            workspace: Workspace::default(),
            writer: publish::Writer::default(),
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
        for socket in state.sockets {
            if let Some(&Some(node)) = indices.get(socket.node as usize) {
                self.inner.sockets.restore(SavedSocket { node: node as u32, ..socket });
            }
        }
        let mut frames = self.frames();
        for event in &state.held {
            self.inner.restore_event(event, &self.options, &mut frames);
        }
        self.inner.publish(&self.options, &mut frames, false);
        self.restored = Some(frames);
        Ok(())
    }

    fn frames(&mut self) -> Frames {
        self.restored.take().unwrap_or_else(|| Frames::new(self.options.json, self.options.msgpack))
    }

    /// Takes bytes of the stream, in chunks of any size. Never fails on content.
    pub fn feed(&mut self, chunk: &[u8]) -> Frames {
        let mut frames = self.frames();
        frames.expect(chunk.len());
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

    /// Ends the stream, but still waits for names: who has time for them answers `wants`, ticks, and then closes.
    pub fn end(&mut self) -> Frames {
        let mut frames = self.frames();
        let (lines, inner, options) = (&mut self.lines, &mut self.inner, &self.options);
        let cut = lines.finish(|line| inner.line(line, options, &mut frames, false));
        self.inner.stats.bytes_cut += cut;
        self.inner.assembly.close_all(&mut self.inner.closed);
        self.inner.collect();
        self.inner.publish(&self.options, &mut frames, false);
        frames
    }

    /// Ends the stream: everything that is held is published, marked where it is incomplete.
    pub fn close(&mut self) -> Frames {
        let mut frames = self.end();
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
            sockets: inner.sockets.saved().take(SAVED_SOCKETS).collect(),
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
        let header = match header::parse_after(line.bytes, &mut self.stamp) {
            Ok(header) => header,
            Err(_) if header::is_cut_end(line.bytes) => {
                self.stats.records_end_of_event += 1;
                self.stats.lines_truncated += u64::from(!line.cut);
                return;
            }
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
        let any = !self.closed.is_empty();
        if any {
            self.collect();
        }
        if !gaps.is_empty() || any && self.is_time(options.limits) {
            self.publish(options, frames, false);
        }
        for gap in gaps {
            self.gap(&gap, index, options, frames);
        }
    }

    /// Whether enough is ready to be published; of small limits, half.
    fn is_time(&self, limits: Limits) -> bool {
        self.ready.len() >= TOGETHER.min(limits.events / 2)
            || self.ready_bytes >= TOGETHER_BYTES.min(limits.held_bytes / 2)
    }

    /// Takes the records of an event that the process before had not published, as the next part of it; in a replay, as the
    /// part that they were.
    fn restore_event(&mut self, saved: &SavedEvent, options: &Options, frames: &mut Frames) {
        if let Some(Ok(header)) = saved.lines.first().map(|(_, line)| header::parse(line)) {
            let node = self.node(header.node, options, frames);
            let key = self.assembly.key(&header, header.known_type(), node as u32);
            match options.restore {
                Restore::NextPart => self.assembly.remember_at_least(key, saved.part),
                Restore::Replay => self.assembly.begin_part(key, saved.part),
            }
        }
        for (cut, line) in &saved.lines {
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
        self.sockets.forget_foreign();
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
}

/// A field that a site has of its own, and its kind.
fn own_field(name: &str, kind: &str) -> Result<(Vec<u8>, Kind), String> {
    if pyaudit_knowledge::field_names().any(|known| known == name) {
        return Err(format!("fields: {name:?} is known already, its kind cannot be changed"));
    }
    let found = pyaudit_knowledge::site_kinds().find(|(known, _)| *known == kind);
    let (_, found) = found.ok_or_else(|| format!("fields: {name:?}: there is no kind {kind:?}"))?;
    Ok((name.as_bytes().to_vec(), found))
}
