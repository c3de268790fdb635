//! PATH records that were seen before: hosts run the same programs and open the same files again and again, and what
//! the kernel writes of a file is the same each time, byte for byte.
//!
//! A record that came twice in a row of its slot is kept as it was decoded and as it is written. What a record says
//! depends on nothing but its bytes, the architecture's family, and on the names of users that were asked for; records
//! that say anything outside their own object (a value that is unset, a field without a place) are not kept, nor are those
//! that wait for a name.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::document::Document;
use crate::encode;
use crate::out::Out;
use crate::path_object::{KeptPath, PathObject};

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

#[derive(Debug, Default)]
struct Slot {
    /// Of the record that came last.
    hash: u64,
    kept: Option<(Circumstances, Arc<KeptPath>)>,
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
    Known(PathObject),
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
        if let Some((circumstances, kept)) = &slot.kept {
            if *circumstances == body.circumstances && kept.body() == body.bytes {
                let mut object = document.begin_path();
                kept.place(body.at, document, &mut object);
                return Found::Known(object);
            }
        }
        if std::mem::replace(&mut slot.hash, hash) == hash {
            return Found::Again;
        }
        Found::New
    }

    /// Keeps a record whose object is complete; `made_at` is the offset from which on the pool holds what was made of it.
    pub fn keep(&mut self, body: Body<'_>, document: &Document, object: &PathObject, made_at: usize) {
        let [json, msgpack] = encode::path(document, object, &mut self.out);
        let kept = KeptPath::of(document, object, (body.at, body.bytes), made_at, [&json, &msgpack]);
        let (_, slot) = self.slot(body.bytes);
        if let Some(kept) = kept {
            slot.kept = Some((body.circumstances, Arc::new(kept)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path_object::{Asked, PathKey};
    use pyaudit_knowledge::{path_key, Suffix};

    const RECORD: &[u8] = b"item=0 name=/a";

    fn body(bytes: &[u8], at: usize, names: Option<u64>) -> Body<'_> {
        Body { bytes, at, circumstances: Circumstances { family: 0, names } }
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
        let values =
            [(path_key::ITEM, document.raw(5, 1)), (path_key::NAME, document.raw(12, 2)), (path_key::INODE, made)];
        object.entries.extend(values.map(|(index, text)| (PathKey { index, suffix: Suffix::None }, text)));
        object.end(&document);
        known.keep(body(RECORD, 0, None), &document, &object, made_at);
        known
    }

    #[test]
    fn what_came_twice_is_the_same_wherever_it_stands() {
        let (mut known, mut document) = (kept(), Document::default());
        document.clear(&[b"before ", RECORD].concat());
        document.word("more");
        let Found::Known(object) = known.find(body(RECORD, 7, None), &mut document) else { panic!("it is known") };
        let value = |asked| object.value(asked).map(|text| document.bytes(text));
        assert_eq!(
            (object.item, value(Asked::Name), value(Asked::Inode)),
            (Some(0), Some(&b"/a"[..]), Some(&b"made"[..]))
        );
        let json = object.kept.as_ref().map(|kept| kept.written(0));
        assert_eq!(json, Some(&br#"{"item":"0","name":"/a","inode":"made"}"#[..]));
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
