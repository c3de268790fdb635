//! A document as bytes: JSON text or msgpack, from one walk, so that both say the same.

mod json;
mod msgpack;
mod plan;

use pyaudit_knowledge::{path_fields, Block, Key, Node};

use crate::document::{Document, Item, RestField, RestRecord, Slot, Suffix, Text};
use crate::out::Out;
use crate::path_object::PathObject;

pub use json::Json;
pub use msgpack::Msgpack;
use plan::Plan;
pub use plan::Plans;

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
    /// Where it writes.
    fn out(&mut self) -> &mut Out;
    /// A key as it writes it.
    fn block(key: &Key) -> &Block;
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
    /// A text of at most 16 bytes and what stands before it, of at most 31: `(block, length)` each. Both are UTF-8.
    fn short_member(&mut self, before: (&[u8; 32], usize), text: (&[u8; 16], usize));
    /// A text that begins a longer one; its bytes are UTF-8.
    fn part(&mut self, begun: &[u8], length: usize);
    /// A text; its bytes are UTF-8.
    fn text(&mut self, text: &[u8]);
    fn number(&mut self, number: i64);
    fn null(&mut self);
}

/// Writes a document that is finished.
pub fn document(document: &Document, plans: &mut Plans, out: &mut impl Encoding) {
    let plan = plans.of(document, out);
    Walk { document, out }.document(&plan);
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
    fn document(&mut self, plan: &Plan) {
        let document = self.document;
        for &step in &plan.steps {
            let (before, length) = (plan.before(step), usize::from(step.length));
            let slot = document.filled_slot(step.at);
            match before.first_chunk() {
                Some(block) if length < 32 => match slot {
                    Slot::Text(item) if self.short(block, length, item) => continue,
                    _ => self.out.out().block::<32>(block, length),
                },
                _ => self.out.written(&before[..length]),
            }
            match slot {
                Slot::Text(item) => {
                    self.text(item);
                    if item.lossy {
                        self.out.key(step.at.node().key, "_bytes");
                        self.exact(item);
                    }
                }
                Slot::Number(number) => self.out.number(number),
                Slot::List(_) => self.list(step.at.node(), document.list(step.at)),
                Slot::Paths => self.paths(),
                Slot::Records => self.rest(),
                Slot::Empty => {}
            }
        }
        self.out.written(plan.end());
    }

    /// Writes a text and what stands before it at once, if it is short.
    #[inline]
    fn short(&mut self, before: &[u8; 32], before_length: usize, item: Text) -> bool {
        let (begun, length) = self.document.begun(item);
        match begun.first_chunk() {
            Some(block) if length <= 16 && !item.lossy => {
                self.out.short_member((before, before_length), (block, length));
                true
            }
            _ => false,
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
        let block = E::block(key);
        if !self.short(block.bytes(), block.length(), item) {
            self.out.known_key(key);
            self.text(item);
        }
        !item.lossy
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
                Some(item) if self.short(&[0; 32], 0, *item) => {}
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
        if let Some(kept) = &path.kept {
            return self.out.written(kept.written(E::NUMBER));
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
