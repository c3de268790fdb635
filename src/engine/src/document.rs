//! The document of one event, before it is encoded: what stands at which place.
//!
//! Values are not copied: a text is a range of the event's own bytes, a range of `scratch` (what had to be decoded), or
//! a constant. Places are written in the order of the knowledge's tree, whatever the order they were filled in.

use pyaudit_knowledge::{place, Place};

/// A text of the document: where its bytes are.
#[derive(Clone, Copy, Debug)]
pub enum Text {
    Raw { at: u32, length: u32 },
    Scratch { at: u32, length: u32 },
    Static(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct TextItem {
    pub text: Text,
    /// The bytes are not UTF-8, so the exact ones are written beside. All others are known to be UTF-8.
    pub lossy: bool,
}

/// An item of a list; `None` is null.
pub type Item = Option<TextItem>;

#[derive(Clone, Copy, Debug)]
pub enum Slot {
    Empty,
    Text(TextItem),
    Number(i64),
    /// Index into `lists`.
    List(u16),
}

/// One object of `auditd.paths`: index of the key, whether it is the `_name` beside it or a part of a context, value.
#[derive(Clone, Debug, Default)]
pub struct PathObject {
    pub entries: Vec<(PathKey, TextItem)>,
}

/// A key of a path object, ordered as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathKey {
    pub index: u8,
    pub suffix: Suffix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suffix {
    None,
    Name,
    User,
    Role,
    Domain,
    Level,
    Category,
    /// What the number means, in words.
    Decoded,
}

impl Suffix {
    pub fn text(self) -> &'static str {
        match self {
            Suffix::None => "",
            Suffix::Name => "_name",
            Suffix::User => "_user",
            Suffix::Role => "_role",
            Suffix::Domain => "_domain",
            Suffix::Level => "_level",
            Suffix::Category => "_category",
            Suffix::Decoded => "_decoded",
        }
    }
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
    pub name: TextItem,
    pub value: TextItem,
    pub suffix: Suffix,
    /// What the value means, in words joined by `|`.
    pub decoded: Option<TextItem>,
}

const WORDS: usize = place::COUNT.div_ceil(64);

#[derive(Debug, Default)]
struct List {
    items: Vec<Item>,
    /// One of them is not UTF-8, so there is a second list beside it.
    lossy: bool,
}

/// What one event says, by place.
#[derive(Debug)]
pub struct Document {
    slots: Vec<Slot>,
    /// Keys within each object, `_bytes` keys included.
    counts: Vec<u16>,
    filled: [u64; WORDS],
    lists: Vec<List>,
    lists_used: usize,
    pub scratch: Vec<u8>,
    pub paths: Vec<PathObject>,
    pub rest: Vec<RestRecord>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            slots: vec![Slot::Empty; place::COUNT],
            counts: vec![0; place::COUNT],
            filled: [0; WORDS],
            lists: Vec::new(),
            lists_used: 0,
            scratch: Vec::new(),
            paths: Vec::new(),
            rest: Vec::new(),
        }
    }
}

impl Document {
    /// Makes the document empty and keeps its memory.
    pub fn clear(&mut self) {
        for word in 0..WORDS {
            let mut bits = self.filled[word];
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                self.slots[index] = Slot::Empty;
                self.counts[index] = 0;
            }
        }
        self.counts[0] = 0;
        self.filled = [0; WORDS];
        for list in &mut self.lists[..self.lists_used] {
            list.items.clear();
            list.lossy = false;
        }
        self.lists_used = 0;
        self.scratch.clear();
        self.paths.clear();
        self.rest.clear();
    }

    pub fn has(&self, at: Place) -> bool {
        self.filled[at.index() / 64] >> (at.index() % 64) & 1 == 1
    }

    pub fn slot(&self, at: Place) -> Slot {
        self.slots[at.index()]
    }

    /// Number of keys of an object that has any.
    pub fn keys(&self, object: Place) -> usize {
        usize::from(self.counts[object.index()])
    }

    /// The first filled place from `from` on, up to but without `end`.
    pub fn next_filled(&self, from: usize, end: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut bits = *self.filled.get(word)? & (u64::MAX << (from % 64));
        loop {
            if bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                return (index < end).then_some(index);
            }
            word += 1;
            if word * 64 >= end {
                return None;
            }
            bits = *self.filled.get(word)?;
        }
    }

    fn fill(&mut self, at: Place) {
        let index = at.index();
        if self.has(at) {
            return;
        }
        self.filled[index / 64] |= 1 << (index % 64);
        if index != 0 {
            let parent = Place(at.node().parent);
            self.counts[parent.index()] += 1;
            self.fill(parent);
        }
    }

    /// Puts a text; a place that is taken keeps what it has.
    pub fn put(&mut self, at: Place, item: TextItem) -> bool {
        if self.has(at) {
            return false;
        }
        self.fill(at);
        self.slots[at.index()] = Slot::Text(item);
        if item.lossy {
            self.counts[usize::from(at.node().parent)] += 1;
        }
        true
    }

    /// Puts a constant.
    pub fn put_static(&mut self, at: Place, text: &'static str) -> bool {
        self.put(at, TextItem { text: Text::Static(text), lossy: false })
    }

    /// Puts text that is made here, and is UTF-8.
    pub fn put_made(&mut self, at: Place, bytes: &[u8]) -> bool {
        let text = self.keep(bytes);
        self.put(at, TextItem { text, lossy: false })
    }

    pub fn put_number(&mut self, at: Place, number: i64) -> bool {
        if self.has(at) {
            return false;
        }
        self.fill(at);
        self.slots[at.index()] = Slot::Number(number);
        true
    }

    /// Appends to the list at a place.
    pub fn push(&mut self, at: Place, item: Item) {
        let index = self.list_at(at);
        let list = &mut self.lists[index];
        list.items.push(item);
        if !list.lossy && item.is_some_and(|item| item.lossy) {
            list.lossy = true;
            self.counts[usize::from(at.node().parent)] += 1;
        }
    }

    /// Makes a list exist even if nothing is ever pushed to it.
    pub fn open_list(&mut self, at: Place) {
        self.list_at(at);
    }

    fn list_at(&mut self, at: Place) -> usize {
        if let Slot::List(index) = self.slots[at.index()] {
            return usize::from(index);
        }
        if self.lists_used == self.lists.len() {
            self.lists.push(List::default());
        }
        let index = self.lists_used;
        self.lists_used += 1;
        self.fill(at);
        self.slots[at.index()] = Slot::List(index as u16);
        index
    }

    pub fn list(&self, at: Place) -> &[Item] {
        match self.slots[at.index()] {
            Slot::List(index) => &self.lists[usize::from(index)].items,
            _ => &[],
        }
    }

    /// Puts a list; a place that is taken keeps what it has.
    pub fn put_list(&mut self, at: Place, items: &[TextItem]) {
        if !self.has(at) {
            for &item in items {
                self.push(at, Some(item));
            }
        }
    }

    /// Marks the places whose content is kept apart (`auditd.paths`, `auditd.records`).
    pub fn mark(&mut self, at: Place) {
        self.fill(at);
    }

    /// Copies bytes that were decoded and gives them a place to be referred to.
    pub fn keep(&mut self, bytes: &[u8]) -> Text {
        let at = self.scratch.len() as u32;
        self.scratch.extend_from_slice(bytes);
        Text::Scratch { at, length: bytes.len() as u32 }
    }

    /// What was appended to `scratch` since `start`, as a text.
    pub fn kept_since(&self, start: usize) -> Text {
        Text::Scratch { at: start as u32, length: (self.scratch.len() - start) as u32 }
    }

    /// The bytes of a text; `raw` are the event's own bytes.
    pub fn bytes<'a>(&'a self, raw: &'a [u8], text: Text) -> &'a [u8] {
        match text {
            Text::Raw { at, length } => &raw[at as usize..(at + length) as usize],
            Text::Scratch { at, length } => &self.scratch[at as usize..(at + length) as usize],
            Text::Static(text) => text.as_bytes(),
        }
    }

    /// The text at a place, if there is one.
    pub fn text_at<'a>(&'a self, raw: &'a [u8], at: Place) -> Option<&'a [u8]> {
        match self.slots[at.index()] {
            Slot::Text(item) => Some(self.bytes(raw, item.text)),
            _ => None,
        }
    }

    /// A text as UTF-8, with U+FFFD for what is not: for places whose exact bytes stand elsewhere.
    pub fn readable(&mut self, raw: &[u8], item: TextItem) -> TextItem {
        if !item.lossy {
            return item;
        }
        let shown = String::from_utf8_lossy(self.bytes(raw, item.text)).into_owned();
        TextItem { text: self.keep(shown.as_bytes()), lossy: false }
    }

    /// A text as an item: says whether its bytes are UTF-8.
    pub fn item(&self, raw: &[u8], text: Text) -> TextItem {
        let bytes = self.bytes(raw, text);
        TextItem { text, lossy: !bytes.is_ascii() && std::str::from_utf8(bytes).is_err() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_count_their_keys() {
        let mut document = Document::default();
        assert!(document.put_number(place::PROCESS_PID, 1));
        assert!(!document.put_number(place::PROCESS_PID, 2));
        document.put_static(place::PROCESS_NAME, "a");
        document.put(place::PROCESS_TITLE, TextItem { text: Text::Static(""), lossy: true });
        let process = Place(place::PROCESS_PID.node().parent);
        assert_eq!(document.keys(process), 4);
        assert_eq!(document.keys(Place::NONE), 1);
        document.clear();
        assert_eq!(document.keys(process), 0);
        assert!(!document.has(place::PROCESS_PID));
        assert!(document.next_filled(0, place::COUNT).is_none());
    }

    #[test]
    fn places_come_in_their_order() {
        let mut document = Document::default();
        document.put_static(place::AUDITD_RESULT, "success");
        document.put_static(place::EVENT_ID, "x");
        let mut seen = Vec::new();
        let mut at = 1;
        while let Some(index) = document.next_filled(at, place::COUNT) {
            seen.push(Place(index as u16).node().path);
            at = index + 1;
        }
        assert_eq!(seen, ["event", "event.id", "auditd", "auditd.result"]);
    }
}
