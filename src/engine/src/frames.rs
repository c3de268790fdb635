//! What comes out: encoded events, each with a small header, so that nothing behind opens a document.

use std::borrow::Cow;

/// Bytes of one field of a header, in the batch's own text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range {
    at: u32,
    length: u32,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    id: Range,
    host: Range,
    session: Option<Range>,
    category: Range,
    /// Number in the queue; 0 until it has one.
    sequence: u64,
    time_ms: i64,
    keep: bool,
    records: u32,
    routes: u64,
    /// Where the documents end; they begin where the one before ends. JSON ends with a newline.
    json_end: usize,
    msgpack_end: usize,
}

/// How frames are joined for a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each JSON document and a newline.
    JsonLines,
    /// msgpack documents one after the other.
    Msgpack,
    /// Each document after its length as a big-endian 32-bit number.
    JsonPrefixed,
    MsgpackPrefixed,
}

impl Framing {
    fn is_json(self) -> bool {
        matches!(self, Framing::JsonLines | Framing::JsonPrefixed)
    }
}

/// Header of a frame and its documents.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub id: &'a str,
    pub host: &'a str,
    pub session: Option<&'a str>,
    pub category: &'a str,
    /// Number in the queue; 0 until it has one.
    pub sequence: u64,
    pub time_ms: i64,
    /// Outlives other frames when something has to be dropped.
    pub keep: bool,
    pub records: u32,
    /// Bit n: goes to sink n.
    pub routes: u64,
    pub json: Option<&'a [u8]>,
    pub msgpack: Option<&'a [u8]>,
}

/// A batch of frames.
#[derive(Debug, Default)]
pub struct Frames {
    heads: Vec<Head>,
    text: String,
    json: Option<Vec<u8>>,
    msgpack: Option<Vec<u8>>,
}

/// A frame's header before its documents are written.
#[derive(Clone, Copy, Debug)]
pub struct NewHead<'a> {
    pub id: &'a str,
    pub host: &'a str,
    pub session: Option<&'a str>,
    pub category: &'a str,
    pub time_ms: i64,
    pub keep: bool,
    pub records: u32,
    pub routes: u64,
}

impl Frames {
    pub fn new(json: bool, msgpack: bool) -> Self {
        Self { heads: Vec::new(), text: String::new(), json: json.then(Vec::new), msgpack: msgpack.then(Vec::new) }
    }

    /// Makes room for the documents of so many bytes of records, so that few are copied as it grows. Many are more than twice
    /// as long, but room that is not used is memory of small batches for as long as they wait.
    pub fn expect(&mut self, record_bytes: usize) {
        let out = self.json.iter_mut().chain(&mut self.msgpack);
        out.for_each(|out| out.reserve(2 * record_bytes));
    }

    pub fn len(&self) -> usize {
        self.heads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Where JSON is written to, if it is wanted.
    pub fn json_out(&mut self) -> Option<&mut Vec<u8>> {
        self.json.as_mut()
    }

    pub fn msgpack_out(&mut self) -> Option<&mut Vec<u8>> {
        self.msgpack.as_mut()
    }

    /// Adds the header of the documents that were just written.
    pub fn push(&mut self, head: &NewHead<'_>) {
        let session = head.session.map(|session| self.keep(session));
        let (id, host, category) = (self.keep(head.id), self.keep(head.host), self.keep(head.category));
        let end = |out: &Option<Vec<u8>>| out.as_ref().map_or(0, Vec::len);
        self.heads.push(Head {
            id,
            host,
            session,
            category,
            sequence: 0,
            time_ms: head.time_ms,
            keep: head.keep,
            records: head.records,
            routes: head.routes,
            json_end: end(&self.json),
            msgpack_end: end(&self.msgpack),
        });
    }

    fn keep(&mut self, text: &str) -> Range {
        let at = self.text.len() as u32;
        self.text.push_str(text);
        Range { at, length: text.len() as u32 }
    }

    fn text(&self, range: Range) -> &str {
        &self.text[range.at as usize..(range.at + range.length) as usize]
    }

    pub fn get(&self, index: usize) -> Option<Frame<'_>> {
        let head = self.heads.get(index)?;
        Some(Frame {
            id: self.text(head.id),
            host: self.text(head.host),
            session: head.session.map(|range| self.text(range)),
            category: self.text(head.category),
            sequence: head.sequence,
            time_ms: head.time_ms,
            keep: head.keep,
            records: head.records,
            routes: head.routes,
            json: self.document(index, true).map(|line| &line[..line.len() - 1]),
            msgpack: self.document(index, false),
        })
    }

    fn document(&self, index: usize, json: bool) -> Option<&[u8]> {
        let end_of = |head: &Head| if json { head.json_end } else { head.msgpack_end };
        let out = if json { self.json.as_ref() } else { self.msgpack.as_ref() }?;
        let start = index.checked_sub(1).map_or(0, |before| end_of(&self.heads[before]));
        Some(&out[start..end_of(&self.heads[index])])
    }

    /// The documents of the frames that go to `sink` (to any, if none is named), joined; `None` if the encoding was not
    /// asked for when the engine was built.
    pub fn blob(&self, framing: Framing, sink: Option<u32>) -> Option<Cow<'_, [u8]>> {
        let out = if framing.is_json() { self.json.as_ref() } else { self.msgpack.as_ref() }?;
        let wanted = |head: &Head| sink.is_none_or(|bit| head.routes >> bit & 1 == 1);
        let prefixed = matches!(framing, Framing::JsonPrefixed | Framing::MsgpackPrefixed);
        if !prefixed && self.heads.iter().all(wanted) {
            return Some(Cow::Borrowed(out));
        }
        let mut joined = Vec::with_capacity(out.len() + if prefixed { 4 * self.heads.len() } else { 0 });
        for (index, _) in self.heads.iter().enumerate().filter(|(_, head)| wanted(head)) {
            let mut document = self.document(index, framing.is_json())?;
            if prefixed {
                if framing.is_json() {
                    document = &document[..document.len() - 1];
                }
                joined.extend_from_slice(&(document.len() as u32).to_be_bytes());
            }
            joined.extend_from_slice(document);
        }
        Some(Cow::Owned(joined))
    }

    /// One document that was made elsewhere.
    pub fn single(head: &NewHead<'_>, json: Option<&[u8]>, msgpack: Option<&[u8]>) -> Self {
        let mut frames = Self::new(json.is_some(), msgpack.is_some());
        if let (Some(out), Some(document)) = (&mut frames.json, json) {
            out.extend_from_slice(document);
            out.push(b'\n');
        }
        if let (Some(out), Some(document)) = (&mut frames.msgpack, msgpack) {
            out.extend_from_slice(document);
        }
        frames.push(head);
        frames
    }

    /// All frames of several batches of one engine, in order, numbered from `first` on.
    pub fn joined(batches: &[&Frames], first: u64) -> Self {
        let parts = batches.iter().flat_map(|&batch| (0..batch.len()).map(move |index| (batch, index)));
        let mut all = Self::gathered(batches.iter().copied(), parts);
        for (sequence, head) in (first..).zip(&mut all.heads) {
            head.sequence = sequence;
        }
        all
    }

    /// Single frames of other batches of one engine, in the order given.
    pub fn collected(parts: &[(&Frames, usize)]) -> Self {
        Self::gathered(parts.iter().map(|&(batch, _)| batch), parts.iter().copied())
    }

    /// The same frames without their documents.
    #[must_use]
    pub fn heads(&self) -> Self {
        let heads = self.heads.iter().map(|head| Head { json_end: 0, msgpack_end: 0, ..*head }).collect();
        Self { heads, text: self.text.clone(), json: None, msgpack: None }
    }

    /// The frames from a sequence on.
    #[must_use]
    pub fn since(&self, sequence: u64) -> Self {
        self.those(|head| head.sequence >= sequence)
    }

    /// The frames that outlive others when something has to be dropped, or those that do not.
    #[must_use]
    pub fn of_class(&self, keep: bool) -> Self {
        self.those(|head| head.keep == keep)
    }

    fn those(&self, wanted: impl Fn(&Head) -> bool) -> Self {
        let indexes = self.heads.iter().enumerate().filter(|(_, head)| wanted(head)).map(|(index, _)| index);
        Self::gathered([self].into_iter(), indexes.map(|index| (self, index)))
    }

    /// Copies of frames, in the encodings that all of their batches have.
    fn gathered<'a>(
        batches: impl Iterator<Item = &'a Frames>,
        parts: impl Iterator<Item = (&'a Frames, usize)>,
    ) -> Self {
        let has =
            batches.fold((true, true), |has, each| (has.0 && each.json.is_some(), has.1 && each.msgpack.is_some()));
        let mut all = Self::new(has.0, has.1);
        let parts: Vec<(&Frames, usize)> = parts.collect();
        let bytes =
            |json| parts.iter().filter_map(|&(batch, index)| batch.document(index, json)).map(<[u8]>::len).sum();
        all.json.iter_mut().for_each(|out| out.reserve_exact(bytes(true)));
        all.msgpack.iter_mut().for_each(|out| out.reserve_exact(bytes(false)));
        all.heads.reserve_exact(parts.len());
        for (batch, index) in parts {
            all.take(batch, index);
        }
        all
    }

    /// Appends a frame of another batch.
    pub(crate) fn take(&mut self, from: &Frames, index: usize) {
        let Some(frame) = from.get(index) else { return };
        if let (Some(out), Some(line)) = (&mut self.json, from.document(index, true)) {
            out.extend_from_slice(line);
        }
        if let (Some(out), Some(document)) = (&mut self.msgpack, from.document(index, false)) {
            out.extend_from_slice(document);
        }
        let Frame { id, host, session, category, time_ms, keep, records, routes, sequence, .. } = frame;
        self.push(&NewHead { id, host, session, category, time_ms, keep, records, routes });
        self.number_last(sequence);
    }

    pub(crate) fn number_last(&mut self, sequence: u64) {
        if let Some(head) = self.heads.last_mut() {
            head.sequence = sequence;
        }
    }

    /// Bytes of memory that the documents and headers take, about.
    pub fn size(&self) -> usize {
        let documents = self.json.as_ref().map_or(0, Vec::len) + self.msgpack.as_ref().map_or(0, Vec::len);
        documents + self.text.len() + self.heads.len() * size_of::<Head>()
    }

    /// Earliest and latest time of the frames.
    pub fn span(&self) -> Option<(i64, i64)> {
        let times = || self.heads.iter().map(|head| head.time_ms);
        Some((times().min()?, times().max()?))
    }

    /// Indexes of the frames that go to a sink.
    pub fn indexes_for(&self, sink: u32) -> Vec<usize> {
        (0..self.len()).filter(|&index| self.heads[index].routes >> sink & 1 == 1).collect()
    }

    /// How many frames go to a sink.
    pub fn count_for(&self, sink: u32) -> usize {
        self.heads.iter().filter(|head| head.routes >> sink & 1 == 1).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Frames {
        let mut frames = Frames::new(true, true);
        for (id, routes) in [("a", 1), ("b", 3)] {
            frames.json_out().unwrap().extend_from_slice(format!("{{{id}}}\n").as_bytes());
            frames.msgpack_out().unwrap().extend_from_slice(id.as_bytes());
            frames.push(&NewHead {
                id,
                host: "h",
                session: None,
                category: "process",
                time_ms: 5,
                keep: false,
                records: 2,
                routes,
            });
        }
        frames
    }

    #[test]
    fn a_frame_has_its_own_documents() {
        let frames = batch();
        assert_eq!(frames.get(1).unwrap().json, Some(&b"{b}"[..]));
        assert_eq!(frames.get(1).unwrap().msgpack, Some(&b"b"[..]));
        assert!(frames.get(2).is_none());
    }

    #[test]
    fn heads_say_all_but_the_documents() {
        let (frames, heads) = (batch(), batch().heads());
        assert_eq!(heads.len(), 2);
        let plain = |frame: Frame<'_>| format!("{:?}", Frame { json: None, msgpack: None, ..frame });
        for index in 0..2 {
            assert_eq!(heads.get(index).map(|frame| format!("{frame:?}")), frames.get(index).map(plain));
        }
    }

    #[test]
    fn a_sink_gets_what_is_routed_to_it() {
        let frames = batch();
        assert_eq!(&*frames.blob(Framing::JsonLines, None).unwrap(), b"{a}\n{b}\n");
        assert_eq!(&*frames.blob(Framing::JsonLines, Some(1)).unwrap(), b"{b}\n");
        assert_eq!(&*frames.blob(Framing::MsgpackPrefixed, Some(1)).unwrap(), b"\0\0\0\x01b");
        assert_eq!(&*frames.blob(Framing::JsonPrefixed, None).unwrap(), b"\0\0\0\x03{a}\0\0\0\x03{b}");
        assert_eq!((frames.count_for(0), frames.count_for(1), frames.count_for(2)), (2, 1, 0));
        assert!(Frames::new(false, true).blob(Framing::JsonLines, None).is_none());
    }
}
