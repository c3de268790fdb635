//! Events that are ready become frames: decoded, judged by the rules, encoded. And documents of our own.

use std::borrow::Cow;

use pyaudit_knowledge::{place, Action};

use super::{Inner, Ready};
use crate::decode::{decode, own, Decoded, Origin, Setting};
use crate::document::Document;
use crate::encode::{self, Json, Msgpack, Plans};
use crate::frames::{Frames, NewHead};
use crate::gaps::Gap;
use crate::lines::Line;
use crate::names::NameKind;
use crate::options::Options;
use crate::out::Out;
use crate::rules::Verdict;

/// Own documents are `pipeline_error`s; nobody files them under a category.
const OWN_CATEGORY: &str = "";

/// What documents are written with.
#[derive(Debug, Default)]
pub(super) struct Writer {
    out: Out,
    json: Plans,
    msgpack: Plans,
}

impl Inner {
    /// Publishes what is ready, in order, up to the first event that waits for a name; `force` waits for none.
    /// Every event is decoded once, and once more if it had to wait.
    pub(super) fn publish(&mut self, options: &Options, frames: &mut Frames, force: bool) {
        while let Some(ready) = self.ready.pop_front() {
            // Too much waits behind a name: go without it.
            let full = self.ready_bytes > options.limits.held_bytes || self.ready.len() >= options.limits.events;
            let waits = !force && !full && ready.missing.iter().any(|&(kind, id)| self.names.waits(kind, id));
            let missing = if waits { ready.missing.clone() } else { self.event(&ready, options, frames, force, full) };
            if !missing.is_empty() {
                self.ready.push_front(Ready { missing, ..ready });
                self.probed = self.probed.max(1);
                self.probe(options);
                return;
            }
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
            origin: Origin { foreign: (!node.is_local()).then_some(&node.name[..]), ..local(options) },
            ask_names: options.ask_names,
            incomplete: ready.incomplete,
            fields: &self.fields,
            sockets: &self.sockets,
        };
        self.document.clear(&ready.event.bytes);
        decode(&ready.event, &setting, &mut self.names, &mut self.document, &mut self.workspace)
    }

    /// Publishes one event, unless it should wait for names, which are given back; `full`: there is no room to wait in.
    fn event(
        &mut self,
        ready: &Ready,
        options: &Options,
        frames: &mut Frames,
        force: bool,
        full: bool,
    ) -> Vec<(NameKind, u32)> {
        let decoded = self.decode(ready, options);
        if !decoded.missing.is_empty() && !force {
            if !full {
                return decoded.missing;
            }
            self.stats.limit_held_bytes += 1;
        }
        let event = &ready.event;
        if let Some(call) = decoded.call {
            let key = event.key;
            self.sockets.observe(call, key.node, key.time_ms, &self.document);
        }
        let records = event.records.len() as u32;
        let (routes, said) = match self.rules.judge(&self.document) {
            Verdict::Publish { routes, keep } => (routes, keep),
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
        let keep = said.unwrap_or_else(|| action.is_some_and(Action::keep));
        write_frame(&self.document, &mut self.writer, frames, category, event.key.time_ms, keep, records, routes);
        Vec::new()
    }

    fn own_id(&mut self, options: &Options) -> String {
        self.own_documents += 1;
        format!("{}:p{}-{}", options.host.id, options.process_start_ms, self.own_documents)
    }

    pub(super) fn unparsed(&mut self, line: Line<'_>, error: &'static str, options: &Options, frames: &mut Frames) {
        self.stats.lines_unparsed += 1;
        self.stats.records_published += 1;
        self.stats.events_published += 1;
        let id = self.own_id(options);
        // The line has no time that could be believed; the newest record's is the closest there is.
        let time_ms = self.newest_ms.unwrap_or(options.process_start_ms);
        self.document.clear(line.bytes);
        own::unparsed(&mut self.document, local(options), &id, time_ms, line, error);
        let routes = self.rules.everywhere();
        write_frame(&self.document, &mut self.writer, frames, OWN_CATEGORY, time_ms, false, 1, routes);
    }

    pub(super) fn gap(&mut self, gap: &Gap, node_index: usize, options: &Options, frames: &mut Frames) {
        self.stats.gaps += 1;
        self.stats.gap_serials += u64::from(gap.count());
        self.stats.events_published += 1;
        let id = self.own_id(options);
        let node = self.nodes.get(node_index);
        let foreign = (!node.is_local()).then_some(&node.name[..]);
        self.document.clear(b"");
        own::gap(&mut self.document, Origin { foreign, ..local(options) }, &id, gap);
        let routes = self.rules.everywhere();
        // That something was lost outlives what else is to be told.
        write_frame(&self.document, &mut self.writer, frames, OWN_CATEGORY, gap.after_ms, true, 0, routes);
    }

    /// Publishes gaps that nobody will fill any more.
    pub(super) fn all_gaps(&mut self, options: &Options, frames: &mut Frames) {
        let mut gaps = Vec::new();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            gaps.extend(node.serials.finish().into_iter().map(|gap| (index, gap)));
        }
        for (index, gap) in gaps {
            self.gap(&gap, index, options, frames);
        }
    }
}

/// The origin of our own documents.
fn local(options: &Options) -> Origin<'_> {
    Origin { host: &options.host, foreign: None, include_raw: options.include_raw }
}

/// Bytes as text; nearly all of them are.
fn readable(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[allow(clippy::too_many_arguments)]
fn write_frame(
    document: &Document,
    writer: &mut Writer,
    frames: &mut Frames,
    category: &'static str,
    time_ms: i64,
    keep: bool,
    records: u32,
    routes: u64,
) {
    let Writer { out, json, msgpack } = writer;
    if let Some(to) = frames.json_out() {
        out.clear();
        encode::document(document, json, &mut Json::new(out));
        out.byte(b'\n');
        to.extend_from_slice(out.written());
    }
    if let Some(to) = frames.msgpack_out() {
        out.clear();
        encode::document(document, msgpack, &mut Msgpack::new(out));
        to.extend_from_slice(out.written());
    }
    let text = |at| document.text_at(at).map(readable);
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
