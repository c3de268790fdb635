//! The document of one event, before it is encoded: what stands at which place.
//!
//! Every text is a range of one pool, which begins with the event's own bytes; what had to be decoded or is a word of ours
//! stands behind them. Places are written in the order of the knowledge's tree, whatever the order they were filled in.

pub use pyaudit_knowledge::Suffix;
use pyaudit_knowledge::{place, Place};

use crate::path_object::PathObject;

/// A text of the document: a range of its pool.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    at: u32,
    length: u32,
    /// The bytes are not UTF-8, so the exact ones are written beside. All others are known to be UTF-8.
    pub lossy: bool,
    /// A word of ours, by which other things are decided.
    word: bool,
}

impl Text {
    pub fn at(self) -> usize {
        self.at as usize
    }

    /// The same text where what begins at `from` begins at `to`.
    pub fn moved(self, from: usize, to: usize) -> Self {
        Self { at: self.at - from as u32 + to as u32, ..self }
    }

    /// What is left behind the first bytes of a text that is UTF-8, and will be.
    pub fn tail(self, from: usize) -> Self {
        Self { at: self.at + from as u32, length: self.length - from as u32, ..self }
    }
}

/// An item of a list; `None` is null.
pub type Item = Option<Text>;

#[derive(Clone, Copy, Debug)]
pub enum Slot {
    /// Nothing; an object is filled by what is in it.
    Empty,
    Text(Text),
    Number(i64),
    /// Index into `lists`.
    List(u16),
    /// `auditd.paths`, which is kept apart.
    Paths,
    /// `auditd.records`, likewise.
    Records,
}

/// Fields of one record that have no place of their own.
#[derive(Clone, Debug)]
pub struct RestRecord {
    /// Position of the record in its event.
    pub position: u32,
    pub record_type: Text,
    pub fields: Vec<RestField>,
}

/// A field of `auditd.records[].fields`.
#[derive(Clone, Copy, Debug)]
pub struct RestField {
    pub name: Text,
    pub value: Text,
    pub suffix: Suffix,
    /// What the value means, in words joined by `|`.
    pub decoded: Option<Text>,
}

/// Places there is room for: an index is masked with it, so that no look-up needs to be compared with a length.
const ROOM: usize = place::COUNT.next_power_of_two();
const WORDS: usize = ROOM / 64;

/// Places that are filled: bit n of word m is place 64 m + n.
pub type Filled = [u64; WORDS];

/// Where a place is in the tables.
#[inline]
fn index(at: Place) -> usize {
    at.index() & (ROOM - 1)
}

/// Word and bit of a place.
#[inline]
fn bit(at: Place) -> (usize, u64) {
    let index = index(at);
    (index / 64, 1 << (index % 64))
}

#[derive(Debug, Default)]
struct List {
    items: Vec<Item>,
    /// One of them is not UTF-8, so there is a second list beside it.
    lossy: bool,
}

/// What one event says, by place.
#[derive(Debug)]
pub struct Document {
    /// What stands at a place that is filled; what stands at others is of events before.
    slots: Box<[Slot; ROOM]>,
    /// Places whose exact bytes are written beside them.
    exact: Vec<Place>,
    filled: Filled,
    lists: Vec<List>,
    lists_used: usize,
    /// All texts; only what stands behind the event's own bytes may be changed.
    pub pool: Vec<u8>,
    paths: Vec<PathObject>,
    paths_used: usize,
    pub rest: Vec<RestRecord>,
    /// The event's own bytes are ASCII, so no part of them needs to be looked at.
    ascii: bool,
}

/// What every document of one origin begins with.
#[derive(Debug)]
pub struct Template {
    slots: Vec<(Place, Slot)>,
    filled: Filled,
    pool: Vec<u8>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            slots: Box::new([Slot::Empty; ROOM]),
            exact: Vec::new(),
            filled: [0; WORDS],
            lists: Vec::new(),
            lists_used: 0,
            pool: Vec::new(),
            paths: Vec::new(),
            paths_used: 0,
            rest: Vec::new(),
            ascii: false,
        }
    }
}

impl Document {
    /// Makes the document empty and keeps its memory. `raw` are the bytes of the event that it is to say.
    pub fn clear(&mut self, raw: &[u8]) {
        self.filled = [0; WORDS];
        self.exact.clear();
        for list in &mut self.lists[..self.lists_used] {
            list.items.clear();
            list.lossy = false;
        }
        self.lists_used = 0;
        self.pool.clear();
        self.pool.extend_from_slice(raw);
        self.paths_used = 0;
        self.rest.clear();
        self.ascii = raw.is_ascii();
    }

    /// What is in the document, for others to begin with: texts and numbers, no lists, in a document without an event.
    pub fn into_template(self) -> Template {
        Template {
            slots: self.places().map(|at| (at, self.filled_slot(at))).collect(),
            filled: self.filled,
            pool: self.pool,
        }
    }

    /// Begins an empty document with what is in a template.
    pub fn begin(&mut self, template: &Template) {
        let start = self.pool.len();
        self.pool.extend_from_slice(&template.pool);
        self.filled = template.filled;
        for &(at, slot) in &template.slots {
            self.slots[index(at)] = match slot {
                Slot::Text(text) => Slot::Text(text.moved(0, start)),
                slot => slot,
            };
        }
    }

    #[inline]
    pub fn has(&self, at: Place) -> bool {
        let (word, bit) = bit(at);
        self.filled[word] & bit != 0
    }

    #[inline]
    pub fn slot(&self, at: Place) -> Slot {
        if self.has(at) {
            self.slots[index(at)]
        } else {
            Slot::Empty
        }
    }

    pub fn filled(&self) -> &Filled {
        &self.filled
    }

    /// The places that are filled, in the order in which they are written.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        (0..place::COUNT).map(|index| Place(index as u16)).filter(|at| self.has(*at))
    }

    /// Places whose exact bytes are written beside them.
    pub fn exact(&self) -> &[Place] {
        &self.exact
    }

    /// What stands at a place that is filled.
    #[inline]
    pub fn filled_slot(&self, at: Place) -> Slot {
        self.slots[index(at)]
    }

    /// Fills a place that is empty.
    #[inline]
    fn fill(&mut self, at: Place, slot: Slot) {
        let (word, bit) = bit(at);
        self.filled[word] |= bit;
        self.slots[index(at)] = slot;
    }

    /// Nothing more will be put: fills the places of what is kept apart.
    pub fn finish(&mut self) {
        if !self.rest.is_empty() {
            self.fill(place::AUDITD_RECORDS, Slot::Records);
        }
        if self.paths_used > 0 {
            self.fill(place::AUDITD_PATHS, Slot::Paths);
        }
    }

    /// Puts a text; a place that is taken keeps what it has.
    #[inline]
    pub fn put(&mut self, at: Place, item: Text) -> bool {
        if self.has(at) {
            return false;
        }
        self.fill(at, Slot::Text(item));
        if item.lossy {
            self.exact.push(at);
        }
        true
    }

    /// Puts a constant.
    pub fn put_static(&mut self, at: Place, text: &'static str) -> bool {
        if self.has(at) {
            return false;
        }
        let word = self.word(text);
        self.fill(at, Slot::Text(word));
        true
    }

    /// Puts text that is made here, and is UTF-8.
    pub fn put_made(&mut self, at: Place, bytes: &[u8]) -> bool {
        let text = self.made(bytes);
        self.put(at, text)
    }

    pub fn put_number(&mut self, at: Place, number: i64) -> bool {
        if self.has(at) {
            return false;
        }
        self.fill(at, Slot::Number(number));
        true
    }

    /// Appends to the list at a place.
    pub fn push(&mut self, at: Place, item: Item) {
        let index = self.list_at(at);
        let list = &mut self.lists[index];
        list.items.push(item);
        if !list.lossy && item.is_some_and(|item| item.lossy) {
            list.lossy = true;
            self.exact.push(at);
        }
    }

    /// Makes a list exist even if nothing is ever pushed to it.
    pub fn open_list(&mut self, at: Place) {
        self.list_at(at);
    }

    fn list_at(&mut self, at: Place) -> usize {
        if let Slot::List(index) = self.slot(at) {
            return usize::from(index);
        }
        if self.lists_used == self.lists.len() {
            self.lists.push(List::default());
        }
        let index = self.lists_used;
        self.lists_used += 1;
        self.fill(at, Slot::List(index as u16));
        index
    }

    pub fn list(&self, at: Place) -> &[Item] {
        match self.slot(at) {
            Slot::List(index) => &self.lists[usize::from(index)].items,
            _ => &[],
        }
    }

    /// Puts a list; a place that is taken keeps what it has.
    pub fn put_list(&mut self, at: Place, items: &[Text]) {
        if !self.has(at) {
            for &item in items {
                self.push(at, Some(item));
            }
        }
    }

    /// The objects of `auditd.paths`.
    pub fn paths(&self) -> &[PathObject] {
        &self.paths[..self.paths_used]
    }

    /// Begins another object of `auditd.paths`, with the memory of one of an event before.
    pub fn begin_path(&mut self) -> PathObject {
        let mut path = self.paths.get_mut(self.paths_used).map(std::mem::take).unwrap_or_default();
        path.entries.clear();
        path.kept = None;
        path
    }

    /// Adds the object that was begun last.
    pub fn end_path(&mut self, path: PathObject) {
        if self.paths_used == self.paths.len() {
            self.paths.push(path);
        } else {
            self.paths[self.paths_used] = path;
        }
        self.paths_used += 1;
    }

    /// A part of the event's own bytes.
    #[inline]
    pub fn raw(&self, at: usize, length: usize) -> Text {
        let text = Text { at: at as u32, length: length as u32, lossy: false, word: false };
        if self.ascii {
            text
        } else {
            self.examined(text)
        }
    }

    /// Copies bytes.
    pub fn keep(&mut self, bytes: &[u8]) -> Text {
        let start = self.pool.len();
        self.pool.extend_from_slice(bytes);
        self.kept_since(start)
    }

    /// Copies bytes that are UTF-8.
    pub fn made(&mut self, bytes: &[u8]) -> Text {
        let start = self.pool.len();
        self.pool.extend_from_slice(bytes);
        self.made_since(start)
    }

    /// A word of ours.
    pub fn word(&mut self, word: &'static str) -> Text {
        Text { word: true, ..self.made(word.as_bytes()) }
    }

    /// What was appended to the pool since `start`.
    pub fn kept_since(&self, start: usize) -> Text {
        self.examined(self.made_since(start))
    }

    /// The same, of what is UTF-8.
    pub fn made_since(&self, start: usize) -> Text {
        Text { at: start as u32, length: (self.pool.len() - start) as u32, lossy: false, word: false }
    }

    /// Says of a text whether its bytes are UTF-8.
    fn examined(&self, text: Text) -> Text {
        let bytes = self.bytes(text);
        Text { lossy: !bytes.is_ascii() && std::str::from_utf8(bytes).is_err(), ..text }
    }

    pub fn bytes(&self, text: Text) -> &[u8] {
        &self.pool[text.at as usize..(text.at + text.length) as usize]
    }

    /// Appends a text to the pool once more.
    pub fn append(&mut self, text: Text) {
        let at = text.at as usize;
        self.pool.extend_from_within(at..at + text.length as usize);
    }

    /// A text as a part of the pool: what it begins, and how long it is.
    #[inline]
    pub fn begun(&self, text: Text) -> (&[u8], usize) {
        (&self.pool[text.at as usize..], text.length as usize)
    }

    /// Whether a text is one of these words of ours.
    pub fn is_one_of(&self, text: Text, words: &[&str]) -> bool {
        text.word && words.iter().any(|word| word.as_bytes() == self.bytes(text))
    }

    /// A text that is a word of ours.
    pub fn as_word(&self, text: Text) -> Option<&str> {
        text.word.then(|| std::str::from_utf8(self.bytes(text)).ok()).flatten()
    }

    /// The text at a place, if there is one.
    pub fn text_at(&self, at: Place) -> Option<&[u8]> {
        match self.slot(at) {
            Slot::Text(text) => Some(self.bytes(text)),
            _ => None,
        }
    }

    /// A text as UTF-8, with U+FFFD for what is not: for places whose exact bytes stand elsewhere.
    pub fn readable(&mut self, text: Text) -> Text {
        if !text.lossy {
            return text;
        }
        let shown = String::from_utf8_lossy(self.bytes(text)).into_owned();
        self.made(shown.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_stands_until_it_is_cleared() {
        let mut document = Document::default();
        assert!(document.put_number(place::PROCESS_PID, 1));
        assert!(!document.put_number(place::PROCESS_PID, 2));
        document.put_static(place::PROCESS_NAME, "a");
        let title = document.keep(b"\xff");
        document.put(place::PROCESS_TITLE, title);
        assert_eq!(document.exact(), [place::PROCESS_TITLE]);
        assert!(matches!(document.slot(place::PROCESS_PID), Slot::Number(1)));
        document.clear(b"");
        document.finish();
        assert!(!document.has(place::PROCESS_PID) && document.exact().is_empty());
        assert_eq!(document.filled(), &[0; WORDS]);
        assert!(document.put_number(place::PROCESS_PID, 3));
    }

    #[test]
    fn a_template_is_what_it_was_made_of() {
        let mut first = Document::default();
        first.put_static(place::EVENT_KIND, "event");
        first.put_number(place::AUDITD_SCHEMA, 1);
        let template = first.into_template();
        let mut document = Document::default();
        for raw in [&b"one"[..], b"another one"] {
            document.clear(raw);
            document.begin(&template);
            assert_eq!(document.text_at(place::EVENT_KIND), Some(&b"event"[..]));
            assert!(matches!(document.slot(place::AUDITD_SCHEMA), Slot::Number(1)));
            document.put_static(place::EVENT_ACTION, "a");
            assert_eq!(document.places().count(), 3);
        }
    }

    #[test]
    fn places_come_in_their_order() {
        let mut document = Document::default();
        document.put_static(place::AUDITD_RESULT, "success");
        document.put_static(place::EVENT_ID, "x");
        document.finish();
        let seen: Vec<&str> = document.places().map(|at| at.node().path).collect();
        assert_eq!(seen, ["event.id", "auditd.result"]);
    }
}
