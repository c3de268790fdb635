//! An object of `auditd.paths`: what a PATH record says of one file.

use std::sync::Arc;

use pyaudit_knowledge::{path_key, Suffix};

use crate::document::{Document, Text};
use crate::header::decimal;

/// A key of a path object, ordered as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathKey {
    pub index: u8,
    pub suffix: Suffix,
}

/// What a record says of its file in relation to the event; the event's file is chosen by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nametype {
    #[default]
    Other,
    Normal,
    Create,
    Delete,
    /// Looked up in vain: the name is right, there is no file.
    Unknown,
    /// The directory of another.
    Parent,
}

impl Nametype {
    fn of(text: &[u8]) -> Self {
        match text {
            b"NORMAL" => Self::Normal,
            b"CREATE" => Self::Create,
            b"DELETE" => Self::Delete,
            b"UNKNOWN" => Self::Unknown,
            b"PARENT" => Self::Parent,
            _ => Self::Other,
        }
    }
}

/// A value that the event is told of, besides being written.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    Name,
    Device,
    Inode,
    Mode,
    User,
    Group,
    UserName,
    GroupName,
}

impl Asked {
    const ALL: [Asked; 8] = [
        Asked::Name,
        Asked::Device,
        Asked::Inode,
        Asked::Mode,
        Asked::User,
        Asked::Group,
        Asked::UserName,
        Asked::GroupName,
    ];

    fn key(self) -> PathKey {
        let (index, suffix) = match self {
            Asked::Name => (path_key::NAME, Suffix::None),
            Asked::Device => (path_key::DEV, Suffix::None),
            Asked::Inode => (path_key::INODE, Suffix::None),
            Asked::Mode => (path_key::MODE, Suffix::None),
            Asked::User => (path_key::OUID, Suffix::None),
            Asked::Group => (path_key::OGID, Suffix::None),
            Asked::UserName => (path_key::OUID, Suffix::Name),
            Asked::GroupName => (path_key::OGID, Suffix::Name),
        };
        PathKey { index, suffix }
    }
}

#[derive(Debug, Default)]
pub struct PathObject {
    /// Values by key, in the order in which they are written; empty if it is one that was kept.
    pub entries: Vec<(PathKey, Text)>,
    pub nametype: Nametype,
    /// Which of the event's paths it is.
    pub item: Option<u64>,
    pub kept: Option<Placed>,
}

/// An object that was kept, in the pool of another event.
#[derive(Debug)]
pub struct Placed {
    kept: Arc<KeptPath>,
    /// Where the record's body stands, and where what was made of it.
    body: usize,
    made: usize,
}

impl Placed {
    /// It as it is written.
    pub fn written(&self, encoding: usize) -> &[u8] {
        self.kept.written(encoding)
    }
}

impl PathObject {
    /// Notes what the event is decided by; all entries are there.
    pub fn end(&mut self, document: &Document) {
        // Kernels write the fields in the order of the keys.
        if !self.entries.is_sorted_by_key(|&(key, _)| key) {
            self.entries.sort_by_key(|&(key, _)| key);
        }
        let bytes = |index| self.entry(PathKey { index, suffix: Suffix::None }).map(|text| document.bytes(text));
        let (nametype, item) = (bytes(path_key::NAMETYPE), bytes(path_key::ITEM));
        let item = item.and_then(|digits| decimal(digits, u64::MAX));
        self.nametype = nametype.map_or(Nametype::Other, Nametype::of);
        self.item = item;
    }

    fn entry(&self, key: PathKey) -> Option<Text> {
        self.entries.iter().find(|(found, _)| *found == key).map(|(_, text)| *text)
    }

    pub fn value(&self, asked: Asked) -> Option<Text> {
        match &self.kept {
            Some(Placed { kept, body, made }) => {
                kept.asked[asked as usize].map(|part| part.text.moved(0, if part.made { *made } else { *body }))
            }
            None => self.entry(asked.key()),
        }
    }
}

/// A part of a body or of what was made of it, from which it is counted.
#[derive(Clone, Copy, Debug)]
struct Part {
    text: Text,
    made: bool,
}

/// An object apart from the document that it was decoded in.
#[derive(Debug)]
pub struct KeptPath {
    /// One after the other, since it is mostly far from any cache: the body, what was made of it, and the object as it is
    /// written in msgpack and in JSON.
    bytes: Box<[u8]>,
    body_end: u32,
    made_end: u32,
    msgpack_end: u32,
    nametype: Nametype,
    item: Option<u64>,
    asked: [Option<Part>; 8],
}

impl KeptPath {
    /// Keeps an object of a record whose body stands at `body` of the document's pool, and what was made of it from
    /// `made_at` on; `None` if it has a value that is not UTF-8, or that comes from elsewhere. `written` is JSON and msgpack.
    pub fn of(
        document: &Document,
        object: &PathObject,
        body: (usize, &[u8]),
        made_at: usize,
        written: [&[u8]; 2],
    ) -> Option<Self> {
        let (at, body) = body;
        let part = |text: Text| {
            let made = text.at() >= made_at;
            let within = made || (at..at + body.len()).contains(&text.at());
            (within && !text.lossy).then(|| Part { text: text.moved(if made { made_at } else { at }, 0), made })
        };
        if object.entries.iter().any(|(_, text)| part(*text).is_none()) {
            return None;
        }
        let made = &document.pool[made_at..];
        let [json, msgpack] = written;
        let made_end = body.len() + made.len();
        Some(Self {
            bytes: [body, made, msgpack, json].concat().into(),
            body_end: body.len() as u32,
            made_end: made_end as u32,
            msgpack_end: (made_end + msgpack.len()) as u32,
            nametype: object.nametype,
            item: object.item,
            asked: Asked::ALL.map(|asked| object.value(asked).and_then(part)),
        })
    }

    pub fn body(&self) -> &[u8] {
        &self.bytes[..self.body_end as usize]
    }

    fn written(&self, encoding: usize) -> &[u8] {
        let msgpack_end = self.msgpack_end as usize;
        match encoding {
            0 => &self.bytes[msgpack_end..],
            _ => &self.bytes[self.made_end as usize..msgpack_end],
        }
    }

    /// Makes the object that was kept one of a document whose pool has its record's body at `body`.
    pub fn place(self: &Arc<Self>, body: usize, document: &mut Document, object: &mut PathObject) {
        let made = document.pool.len();
        document.pool.extend_from_slice(&self.bytes[self.body_end as usize..self.made_end as usize]);
        (object.nametype, object.item) = (self.nametype, self.item);
        object.kept = Some(Placed { kept: Arc::clone(self), body, made });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"item=3 name=/a nametype=CREATE mode=1";

    fn object(document: &mut Document) -> PathObject {
        document.clear(BODY);
        let made = document.made(b"made");
        let mut object = document.begin_path();
        let parts = [(path_key::NAMETYPE, 24, 6), (path_key::ITEM, 5, 1), (path_key::NAME, 12, 2)];
        for (index, at, length) in parts {
            object.entries.push((PathKey { index, suffix: Suffix::None }, document.raw(at, length)));
        }
        object.entries.push((Asked::UserName.key(), made));
        object.end(document);
        object
    }

    #[test]
    fn an_event_is_told_what_it_asks_for() {
        let mut document = Document::default();
        let object = object(&mut document);
        assert_eq!((object.nametype, object.item), (Nametype::Create, Some(3)));
        assert!(object.entries.is_sorted_by_key(|&(key, _)| key));
        let value = |asked| object.value(asked).map(|text| document.bytes(text));
        assert_eq!(value(Asked::Name), Some(&b"/a"[..]));
        assert_eq!(value(Asked::UserName), Some(&b"made"[..]));
        assert_eq!(value(Asked::Mode), None);
    }

    #[test]
    fn what_was_kept_says_the_same_elsewhere() {
        let mut document = Document::default();
        let first = object(&mut document);
        let kept = KeptPath::of(&document, &first, (0, BODY), BODY.len(), [b"json", b"msgpack"]);
        let kept = Arc::new(kept.expect("all of it is there"));
        assert_eq!(kept.body(), BODY);
        document.clear(&[b"before ", BODY].concat());
        document.word("more");
        let mut again = document.begin_path();
        kept.place(7, &mut document, &mut again);
        assert_eq!((again.nametype, again.item), (Nametype::Create, Some(3)));
        let value = |asked| again.value(asked).map(|text| document.bytes(text));
        assert_eq!(value(Asked::Name), Some(&b"/a"[..]));
        assert_eq!(value(Asked::UserName), Some(&b"made"[..]));
        assert_eq!(value(Asked::Inode), None);
        let placed = again.kept.as_ref().unwrap();
        assert_eq!((placed.written(0), placed.written(1)), (&b"json"[..], &b"msgpack"[..]));
    }

    #[test]
    fn what_comes_from_elsewhere_is_not_kept() {
        let mut document = Document::default();
        let mut other = object(&mut document);
        let end = BODY.len();
        assert!(KeptPath::of(&document, &other, (5, &BODY[5..]), end, [b"", b""]).is_some());
        assert!(KeptPath::of(&document, &other, (6, &BODY[6..]), end, [b"", b""]).is_none());
        let lossy = document.keep(b"\xff");
        other.entries.push((Asked::Group.key(), lossy));
        assert!(KeptPath::of(&document, &other, (0, BODY), end, [b"", b""]).is_none());
    }
}
