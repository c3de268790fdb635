//! A document as bytes: JSON text or msgpack, from one walk, so that both say the same.

mod json;
mod msgpack;

use pyaudit_knowledge::{path_fields, place, Node, Place};

use crate::document::{Document, Item, PathObject, RestField, RestRecord, Slot, Suffix, TextItem};

pub use json::Json;
pub use msgpack::Msgpack;

/// What an encoding has to be able to write.
pub trait Encoding {
    fn map(&mut self, keys: usize);
    fn end_map(&mut self);
    fn list(&mut self, items: usize);
    fn end_list(&mut self);
    /// A key, made of a name and what is appended to it.
    fn key(&mut self, name: &str, suffix: &str);
    /// The key of a place.
    fn place(&mut self, node: &Node) {
        self.key(node.key, "");
    }
    /// A text; its bytes are UTF-8.
    fn text(&mut self, text: &[u8]);
    fn number(&mut self, number: i64);
    fn null(&mut self);
}

/// Writes a document; `raw` are the event's own bytes.
pub fn document(document: &Document, raw: &[u8], out: &mut impl Encoding) {
    Walk { document, raw, out }.object(Place::NONE);
}

struct Walk<'a, E> {
    document: &'a Document,
    raw: &'a [u8],
    out: &'a mut E,
}

impl<E: Encoding> Walk<'_, E> {
    fn object(&mut self, object: Place) {
        self.out.map(self.document.keys(object));
        let end = usize::from(object.node().end);
        let mut at = object.index() + 1;
        while let Some(index) = self.document.next_filled(at, end) {
            let child = Place(index as u16);
            let node = child.node();
            if node.object {
                self.out.place(node);
                self.object(child);
                at = usize::from(node.end);
                continue;
            }
            match self.document.slot(child) {
                Slot::Text(item) if item.lossy => self.keyed(node.key, Suffix::None, item),
                Slot::Text(item) => {
                    self.out.place(node);
                    self.text(item);
                }
                Slot::Number(number) => {
                    self.out.place(node);
                    self.out.number(number);
                }
                Slot::List(_) => self.list(node.key, self.document.list(child)),
                Slot::Empty if child == place::AUDITD_PATHS => self.paths(),
                Slot::Empty => self.rest(),
            }
            at = index + 1;
        }
        self.out.end_map();
    }

    fn bytes(&self, item: TextItem) -> &[u8] {
        self.document.bytes(self.raw, item.text)
    }

    fn text(&mut self, item: TextItem) {
        let bytes = self.document.bytes(self.raw, item.text);
        if item.lossy {
            self.out.text(String::from_utf8_lossy(bytes).as_bytes());
        } else {
            debug_assert!(std::str::from_utf8(bytes).is_ok(), "{}", bytes.escape_ascii());
            self.out.text(bytes);
        }
    }

    /// A key and its text, and the exact bytes beside it where the text cannot say them.
    fn keyed(&mut self, key: &str, suffix: Suffix, item: TextItem) {
        self.out.key(key, suffix.text());
        self.text(item);
        if item.lossy {
            let bytes = base64(self.bytes(item));
            if suffix == Suffix::None {
                self.out.key(key, "_bytes");
            } else {
                self.out.key(&format!("{key}{}", suffix.text()), "_bytes");
            }
            self.out.text(bytes.as_bytes());
        }
    }

    fn list(&mut self, key: &str, items: &[Item]) {
        self.out.key(key, "");
        self.out.list(items.len());
        for item in items {
            match item {
                Some(item) => self.text(*item),
                None => self.out.null(),
            }
        }
        self.out.end_list();
        if items.iter().flatten().any(|item| item.lossy) {
            self.out.key(key, "_bytes");
            self.out.list(items.len());
            for item in items {
                match item {
                    Some(item) if item.lossy => {
                        let bytes = base64(self.bytes(*item));
                        self.out.text(bytes.as_bytes());
                    }
                    _ => self.out.null(),
                }
            }
            self.out.end_list();
        }
    }

    fn paths(&mut self) {
        self.out.key(place::AUDITD_PATHS.node().key, "");
        self.out.list(self.document.paths.len());
        for path in &self.document.paths {
            self.path(path);
        }
        self.out.end_list();
    }

    fn path(&mut self, path: &PathObject) {
        let keys = path.entries.len() + path.entries.iter().filter(|(_, item)| item.lossy).count();
        self.out.map(keys);
        for &(key, item) in &path.entries {
            self.keyed(path_fields()[usize::from(key.index)].key, key.suffix, item);
        }
        self.out.end_map();
    }

    fn rest(&mut self) {
        self.out.key(place::AUDITD_RECORDS.node().key, "");
        self.out.list(self.document.rest.len());
        for record in &self.document.rest {
            self.rest_record(record);
        }
        self.out.end_list();
    }

    fn rest_record(&mut self, record: &RestRecord) {
        self.out.map(2);
        self.out.key("type", "");
        let record_type = self.document.item(self.raw, record.record_type);
        self.text(record_type);
        self.out.key("fields", "");
        self.out.list(record.fields.len());
        for &RestField { name, value, suffix, decoded } in &record.fields {
            self.out.map(2 + usize::from(name.lossy) + usize::from(value.lossy) + usize::from(decoded.is_some()));
            if suffix == Suffix::None {
                self.keyed("name", Suffix::None, name);
            } else {
                // Only names the knowledge has get a suffix, and those are ASCII.
                let text = String::from_utf8_lossy(self.bytes(name)).into_owned() + suffix.text();
                self.out.key("name", "");
                self.out.text(text.as_bytes());
            }
            self.keyed("value", Suffix::None, value);
            if let Some(decoded) = decoded {
                self.keyed("decoded", Suffix::None, decoded);
            }
            self.out.end_map();
        }
        self.out.end_list();
        self.out.end_map();
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
