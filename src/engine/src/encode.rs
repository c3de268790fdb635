//! A document as bytes: JSON text or msgpack, from one walk, so that both say the same.

mod json;
mod msgpack;

use pyaudit_knowledge::{path_fields, place, Key, Node, Place};

use crate::document::{Document, Item, PathObject, RestField, RestRecord, Slot, Suffix, Text};
use crate::out::Out;

pub use json::Json;
pub use msgpack::Msgpack;

/// Objects within objects: `auditd.summary.object.primary` is in three, and the document is one.
const MAX_DEPTH: usize = 8;

/// Keys of `auditd.records[]`.
static TYPE: Key = Key::new("type", "");
static FIELDS: Key = Key::new("fields", "");
static NAME: Key = Key::new("name", "");
static VALUE: Key = Key::new("value", "");
static DECODED: Key = Key::new("decoded", "");

/// What an encoding has to be able to write. What opens something gives what its end has to be told.
pub trait Encoding {
    /// Which of both it is, where things are kept in both.
    const NUMBER: usize;
    /// Something that was written before.
    fn written(&mut self, bytes: &[u8]);
    fn map(&mut self, keys: usize) -> usize;
    fn end_map(&mut self, start: usize);
    fn list(&mut self, items: usize) -> usize;
    /// Before each item of a list.
    fn item(&mut self);
    fn end_list(&mut self, start: usize);
    fn known_key(&mut self, key: &Key);
    /// A key, made of a name and what is appended to it.
    fn key(&mut self, name: &str, suffix: &str);
    /// A key and the first `length` bytes of a block, which are UTF-8.
    fn short_member(&mut self, key: &Key, block: &[u8; 16], length: usize);
    /// A text that begins a longer one; its bytes are UTF-8.
    fn part(&mut self, begun: &[u8], length: usize);
    /// A text; its bytes are UTF-8.
    fn text(&mut self, text: &[u8]);
    fn number(&mut self, number: i64);
    fn null(&mut self);
}

/// Writes a document.
pub fn document(document: &Document, out: &mut impl Encoding) {
    Walk { document, out }.document();
}

/// An object of `auditd.paths` in each encoding.
pub fn path(document: &Document, path: &PathObject, out: &mut Out) -> [Vec<u8>; 2] {
    out.clear();
    Walk { document, out: &mut Json::new(out) }.path(path);
    let json = out.written().to_vec();
    out.clear();
    Walk { document, out: &mut Msgpack::new(out) }.path(path);
    [json, out.written().to_vec()]
}

struct Walk<'a, E> {
    document: &'a Document,
    out: &'a mut E,
}

impl<E: Encoding> Walk<'_, E> {
    /// The places in their order; an object ends with the last of its descendants.
    fn document(&mut self) {
        let document = self.document;
        // What is open around the innermost object: where it ends, and what its end has to be told.
        let mut outer = [(0, 0); MAX_DEPTH];
        let mut depth = 0;
        let mut inner = (place::COUNT, self.out.map(document.keys(Place::NONE)));
        for (word, &bits) in document.filled().iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                while index >= inner.0 {
                    self.out.end_map(inner.1);
                    depth -= 1;
                    inner = outer[depth];
                }
                let at = Place(index as u16);
                match document.filled_slot(at) {
                    Slot::Text(item) => self.member(at, item),
                    Slot::Empty => {
                        self.out.known_key(at.key());
                        outer[depth] = inner;
                        depth += 1;
                        inner = (usize::from(at.node().end), self.out.map(document.keys(at)));
                    }
                    slot => self.other(at, slot),
                }
            }
        }
        self.out.end_map(inner.1);
        for &(_, start) in outer[..depth].iter().rev() {
            self.out.end_map(start);
        }
    }

    fn other(&mut self, at: Place, slot: Slot) {
        self.out.known_key(at.key());
        match slot {
            Slot::Number(number) => self.out.number(number),
            Slot::List(_) => self.list(at.node(), self.document.list(at)),
            Slot::Paths => self.paths(),
            Slot::Records => self.rest(),
            Slot::Text(_) | Slot::Empty => {}
        }
    }

    fn bytes(&self, item: Text) -> &[u8] {
        self.document.bytes(item)
    }

    #[inline]
    fn text(&mut self, item: Text) {
        if item.lossy {
            let text = String::from_utf8_lossy(self.document.bytes(item));
            return self.out.text(text.as_bytes());
        }
        let (begun, length) = self.document.begun(item);
        debug_assert!(std::str::from_utf8(&begun[..length]).is_ok(), "{}", begun[..length].escape_ascii());
        self.out.part(begun, length);
    }

    /// A key and its text; `false` if the exact bytes have to be written beside it.
    #[inline]
    fn keyed(&mut self, key: &Key, item: Text) -> bool {
        if !item.lossy {
            let (begun, length) = self.document.begun(item);
            if length <= 16 {
                if let Some(block) = begun.first_chunk() {
                    self.out.short_member(key, block, length);
                    return true;
                }
            }
        }
        self.out.known_key(key);
        self.text(item);
        !item.lossy
    }

    /// The text of a place, and the exact bytes beside it where the text cannot say them.
    #[inline]
    fn member(&mut self, at: Place, item: Text) {
        if !self.keyed(at.key(), item) {
            self.out.key(at.node().key, "_bytes");
            self.exact(item);
        }
    }

    fn exact(&mut self, item: Text) {
        let bytes = base64(self.bytes(item));
        self.out.text(bytes.as_bytes());
    }

    fn list(&mut self, node: &Node, items: &[Item]) {
        let start = self.out.list(items.len());
        for item in items {
            self.out.item();
            match item {
                Some(item) => self.text(*item),
                None => self.out.null(),
            }
        }
        self.out.end_list(start);
        if items.iter().flatten().any(|item| item.lossy) {
            self.out.key(node.key, "_bytes");
            let start = self.out.list(items.len());
            for item in items {
                self.out.item();
                match item {
                    Some(item) if item.lossy => self.exact(*item),
                    _ => self.out.null(),
                }
            }
            self.out.end_list(start);
        }
    }

    fn paths(&mut self) {
        let start = self.out.list(self.document.paths().len());
        for path in self.document.paths() {
            self.out.item();
            self.path(path);
        }
        self.out.end_list(start);
    }

    fn path(&mut self, path: &PathObject) {
        if let Some(written) = path.written {
            return self.out.written(self.document.written(E::NUMBER, written[E::NUMBER]));
        }
        let keys = path.entries.len() + path.entries.iter().filter(|(_, item)| item.lossy).count();
        let start = self.out.map(keys);
        for &(key, item) in &path.entries {
            let field = &path_fields()[usize::from(key.index)];
            if !self.keyed(&field.written[key.suffix as usize], item) {
                self.out.key(&format!("{}{}", field.key, key.suffix.text()), "_bytes");
                self.exact(item);
            }
        }
        self.out.end_map(start);
    }

    fn rest(&mut self) {
        let start = self.out.list(self.document.rest.len());
        for record in &self.document.rest {
            self.out.item();
            self.rest_record(record);
        }
        self.out.end_list(start);
    }

    fn rest_record(&mut self, record: &RestRecord) {
        let start = self.out.map(2);
        self.out.known_key(&TYPE);
        self.text(record.record_type);
        self.out.known_key(&FIELDS);
        let fields = self.out.list(record.fields.len());
        for field in &record.fields {
            self.out.item();
            self.rest_field(field);
        }
        self.out.end_list(fields);
        self.out.end_map(start);
    }

    fn rest_field(&mut self, &RestField { name, value, suffix, decoded }: &RestField) {
        let keys = 2 + usize::from(name.lossy) + usize::from(value.lossy) + usize::from(decoded.is_some());
        let start = self.out.map(keys);
        if suffix == Suffix::None {
            self.rest_member(&NAME, "name_bytes", name);
        } else {
            // Only names the knowledge has get a suffix, and those are ASCII.
            let text = String::from_utf8_lossy(self.bytes(name)).into_owned() + suffix.text();
            self.out.known_key(&NAME);
            self.out.text(text.as_bytes());
        }
        self.rest_member(&VALUE, "value_bytes", value);
        if let Some(decoded) = decoded {
            self.rest_member(&DECODED, "decoded_bytes", decoded);
        }
        self.out.end_map(start);
    }

    fn rest_member(&mut self, key: &Key, exact: &str, item: Text) {
        if !self.keyed(key, item) {
            self.out.key(exact, "");
            self.exact(item);
        }
    }
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, &b| word << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for i in 0..4 {
            if i <= group.len() {
                out.push(char::from(ALPHABET[(word >> (18 - 6 * i) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_known_texts() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\xff\xfe\xfd\xfc", "//79/A==")]
        {
            assert_eq!(base64(bytes), text);
        }
    }
}
