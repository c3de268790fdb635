//! PATH records that were seen before: hosts run the same programs and open the same files again and again, and what
//! the kernel writes of a file is the same each time, byte for byte.
//!
//! A record that came twice in a row of its slot is kept as it was decoded and as it is written. What a record says
//! depends on nothing but its bytes, the architecture's family, and on the names of users that were asked for; records
//! that say anything outside their own object (a value that is unset, a field without a place) are not kept.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::document::{Document, PathKey, PathObject, Text};
use crate::encode;
use crate::out::Out;

/// Records kept, each in the slot of its hash: some 1 MiB when all are of the usual size.
const SLOTS: usize = 1024;
/// A record that is longer is not kept: with what was made of it, no more than 8 MiB whatever comes.
const MAX_BODY: usize = 1024;

/// What a record's meaning depends on besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Family of the event's architecture.
    pub family: usize,
    /// The version of the names that were answered; `None` where none are asked for.
    pub names: Option<u64>,
}

#[derive(Debug)]
struct Kept {
    body: Vec<u8>,
    circumstances: Circumstances,
    /// Which of the event's paths it is.
    item: Option<u64>,
    /// The values, and whether each is a part of what was made; else it is one of the body.
    entries: Vec<(PathKey, Text, bool)>,
    made: Vec<u8>,
    written: [Vec<u8>; 2],
}

#[derive(Debug, Default)]
struct Slot {
    /// Of the record that came last.
    hash: u64,
    kept: Option<Box<Kept>>,
}

/// A record's body, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    pub bytes: &'a [u8],
    /// Offset in the pool.
    pub at: usize,
    pub circumstances: Circumstances,
}

/// What `find` found.
#[derive(Debug)]
pub enum Found {
    /// The object, and which of the event's paths it is.
    Known(PathObject, Option<u64>),
    /// It comes a second time: `keep` it.
    Again,
    New,
}

#[derive(Debug)]
pub struct KnownPaths {
    slots: Vec<Slot>,
    /// Not salted: whoever makes records collide on purpose makes them be read again, no more.
    hasher: FixedState,
    out: Out,
}

impl Default for KnownPaths {
    fn default() -> Self {
        let mut slots = Vec::new();
        slots.resize_with(SLOTS, Slot::default);
        Self { slots, hasher: FixedState::default(), out: Out::default() }
    }
}

impl KnownPaths {
    fn slot(&mut self, bytes: &[u8]) -> (u64, &mut Slot) {
        let hash = self.hasher.hash_one(bytes);
        (hash, &mut self.slots[hash as usize % SLOTS])
    }

    pub fn find(&mut self, body: Body<'_>, document: &mut Document) -> Found {
        if body.bytes.len() > MAX_BODY {
            return Found::New;
        }
        let (hash, slot) = self.slot(body.bytes);
        if let Some(kept) = &slot.kept {
            if kept.body == body.bytes && kept.circumstances == body.circumstances {
                return Found::Known(kept.object(body.at, document), kept.item);
            }
        }
        if std::mem::replace(&mut slot.hash, hash) == hash {
            return Found::Again;
        }
        Found::New
    }

    /// Keeps a record whose object is complete; `made_at` is the offset from which on the pool holds what was made of it.
    pub fn keep(
        &mut self,
        body: Body<'_>,
        document: &Document,
        object: &PathObject,
        item: Option<u64>,
        made_at: usize,
    ) {
        let end = body.at + body.bytes.len();
        let mut entries = Vec::with_capacity(object.entries.len());
        for &(key, text) in &object.entries {
            let made = text.at() >= made_at;
            let within = made || (body.at..end).contains(&text.at());
            if text.lossy || !within {
                return;
            }
            entries.push((key, text.moved(if made { made_at } else { body.at }, 0), made));
        }
        let written = encode::path(document, object, &mut self.out);
        let (_, slot) = self.slot(body.bytes);
        slot.kept = Some(Box::new(Kept {
            body: body.bytes.to_vec(),
            circumstances: body.circumstances,
            item,
            entries,
            made: document.pool[made_at..].to_vec(),
            written,
        }));
    }
}

impl Kept {
    fn object(&self, at: usize, document: &mut Document) -> PathObject {
        let mut object = document.begin_path();
        let made_at = document.pool.len();
        document.pool.extend_from_slice(&self.made);
        let place = |made| if made { made_at } else { at };
        object.entries.extend(self.entries.iter().map(|&(key, text, made)| (key, text.moved(0, place(made)))));
        object.written = Some(document.keep_written(&self.written));
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Suffix;

    const RECORD: &[u8] = b"item=0 name=/a";

    fn body(bytes: &[u8], at: usize, names: Option<u64>) -> Body<'_> {
        Body { bytes, at, circumstances: Circumstances { family: 0, names } }
    }

    fn texts(document: &Document, object: &PathObject) -> Vec<Vec<u8>> {
        object.entries.iter().map(|(_, text)| document.bytes(*text).to_vec()).collect()
    }

    /// Keeps `RECORD`, of whose values one was made.
    fn kept() -> KnownPaths {
        let (mut known, mut document) = (KnownPaths::default(), Document::default());
        document.clear(RECORD);
        assert!(matches!(known.find(body(RECORD, 0, None), &mut document), Found::New));
        assert!(matches!(known.find(body(RECORD, 0, None), &mut document), Found::Again));
        let made_at = document.pool.len();
        let made = document.made(b"made");
        let mut object = document.begin_path();
        for (index, text) in [document.raw(5, 1), document.raw(12, 2), made].into_iter().enumerate() {
            object.entries.push((PathKey { index: index as u8, suffix: Suffix::None }, text));
        }
        known.keep(body(RECORD, 0, None), &document, &object, Some(0), made_at);
        known
    }

    #[test]
    fn what_came_twice_is_the_same_wherever_it_stands() {
        let (mut known, mut document) = (kept(), Document::default());
        document.clear(&[b"before ", RECORD].concat());
        document.word("more");
        let Found::Known(object, item) = known.find(body(RECORD, 7, None), &mut document) else {
            panic!("it is known")
        };
        assert_eq!((item, texts(&document, &object)), (Some(0), vec![b"0".to_vec(), b"/a".to_vec(), b"made".to_vec()]));
        let json = document.written(0, object.written.unwrap()[0]);
        assert_eq!(std::str::from_utf8(json), Ok(r#"{"item":"0","name":"/a","inode":"made"}"#));
    }

    #[test]
    fn other_names_or_bytes_are_no_match() {
        let (mut known, mut document) = (kept(), Document::default());
        document.clear(RECORD);
        assert!(matches!(known.find(body(RECORD, 0, Some(1)), &mut document), Found::Again));
        assert!(matches!(known.find(body(b"item=0 name=/b", 0, None), &mut document), Found::New));
    }

    #[test]
    fn what_is_long_is_not_kept() {
        let (mut known, mut document) = (KnownPaths::default(), Document::default());
        let long = vec![b'a'; MAX_BODY + 1];
        for _ in 0..3 {
            assert!(matches!(known.find(body(&long, 0, None), &mut document), Found::New));
        }
    }
}
