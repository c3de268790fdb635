//! JSON text (RFC 8259), one document after the other, each ended by a newline.
//!
//! Every member and every item is written with a comma before it; the first one's is overwritten by the bracket that
//! opens what it stands in, once that is closed.

use pyaudit_knowledge::{Block, Key};

use super::Encoding;
use crate::digits::Digits;
use crate::out::Out;

#[derive(Debug)]
pub struct Json<'a> {
    out: &'a mut Out,
}

impl<'a> Json<'a> {
    pub fn new(out: &'a mut Out) -> Self {
        Self { out }
    }

    fn escaped(&mut self, bytes: &[u8]) {
        let mut clean = 0;
        while let Some(at) = special(&bytes[clean..]) {
            let at = clean + at;
            self.out.bytes(&bytes[clean..at]);
            clean = at + 1;
            match bytes[at] {
                b'"' => self.out.bytes(b"\\\""),
                b'\\' => self.out.bytes(b"\\\\"),
                b'\n' => self.out.bytes(b"\\n"),
                b'\r' => self.out.bytes(b"\\r"),
                b'\t' => self.out.bytes(b"\\t"),
                byte => {
                    let digit = |half: u8| b"0123456789abcdef"[usize::from(half & 15)];
                    self.out.bytes(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte)]);
                }
            }
        }
        self.out.bytes(&bytes[clean..]);
    }

    fn close(&mut self, start: usize, open: u8, close: u8) {
        if self.out.len() == start {
            self.out.byte(open);
        } else {
            self.out.set(start, open);
        }
        self.out.byte(close);
    }
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// Marks the bytes of a word that have to be escaped. A borrow can mark bytes above the first that is marked, never the
/// first itself.
fn marks(word: u64) -> u64 {
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let equals = |byte: u8| {
        let differs = word ^ (ONES * u64::from(byte));
        differs.wrapping_sub(ONES) & !differs
    };
    (below_space | equals(b'"') | equals(b'\\')) & HIGH
}

/// The first byte that has to be escaped: a control character, a quote, a backslash. Eight bytes at a time.
fn special(bytes: &[u8]) -> Option<usize> {
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let found = marks(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let is_special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    words.remainder().iter().position(is_special).map(|rest| at + rest)
}

/// Whether the first `length` bytes of a block have nothing to escape.
fn is_plain(block: &[u8; 16], length: usize) -> bool {
    let word = |at: usize| u64::from_le_bytes(*block[at..].first_chunk().expect("the block has two words"));
    // Only the first mark is exact: what a mark within the text follows from is within the text as well.
    let (first, second) = (marks(word(0)), marks(word(8)));
    let count = |length: usize| if length >= 8 { u64::MAX } else { !(u64::MAX << (8 * length)) };
    (first & count(length)) | (second & count(length.saturating_sub(8))) == 0
}

impl Encoding for Json<'_> {
    const NUMBER: usize = 0;

    fn out(&mut self) -> &mut Out {
        self.out
    }

    #[inline]
    fn block(key: &Key) -> &Block {
        &key.json
    }

    fn written(&mut self, bytes: &[u8]) {
        self.out.bytes(bytes);
    }

    fn map(&mut self, _keys: usize) -> usize {
        self.out.len()
    }

    fn end_map(&mut self, start: usize) {
        self.close(start, b'{', b'}');
    }

    fn list(&mut self, _items: usize) -> usize {
        self.out.len()
    }

    fn item(&mut self) {
        self.out.byte(b',');
    }

    fn end_list(&mut self, start: usize) {
        self.close(start, b'[', b']');
    }

    #[inline]
    fn known_key(&mut self, key: &Key) {
        self.out.key(&key.json);
    }

    fn key(&mut self, name: &str, suffix: &str) {
        self.out.bytes(b",\"");
        self.out.bytes(name.as_bytes());
        self.out.bytes(suffix.as_bytes());
        self.out.bytes(b"\":");
    }

    #[inline]
    fn short_member(&mut self, before: (&[u8; 32], usize), text: (&[u8; 16], usize)) {
        if is_plain(text.0, text.1) {
            self.out.framed(before, *b"\"", text, *b"\"");
        } else {
            self.out.block(before.0, before.1);
            self.text(&text.0[..text.1]);
        }
    }

    #[inline]
    fn part(&mut self, begun: &[u8], length: usize) {
        if length <= 16 {
            if let Some(block) = begun.first_chunk::<16>() {
                if is_plain(block, length) {
                    self.out.byte(b'"');
                    self.out.block(block, length);
                    self.out.byte(b'"');
                    return;
                }
            }
        }
        self.text(&begun[..length]);
    }

    fn text(&mut self, text: &[u8]) {
        self.out.byte(b'"');
        self.escaped(text);
        self.out.byte(b'"');
    }

    fn number(&mut self, number: i64) {
        if number < 0 {
            self.out.byte(b'-');
        }
        self.out.bytes(Digits::of(number.unsigned_abs(), 1).text());
    }

    fn null(&mut self) {
        self.out.bytes(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_be_escaped_is_found_wherever_it_stands() {
        let plain: Vec<u8> = (0..=255).filter(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').collect();
        assert_eq!(special(&plain), None);
        for length in 1..20 {
            for at in 0..length {
                for byte in (0..0x20).chain([b'"', b'\\']) {
                    let mut bytes = vec![0x80_u8; length];
                    bytes[at] = byte;
                    bytes[length - 1] = if at == length - 1 { byte } else { b'"' };
                    assert_eq!(special(&bytes), Some(at));
                }
            }
        }
    }

    #[test]
    fn a_short_part_is_plain_whatever_follows_it() {
        for length in 0..=16 {
            for at in 0..16 {
                for byte in [0, 0x1f, b'"', b'\\', b' ', 0x7f, 0xff] {
                    let mut block = [b'a'; 16];
                    block[at] = byte;
                    let plain = at >= length || !matches!(byte, 0 | 0x1f | b'"' | b'\\');
                    assert_eq!(is_plain(&block, length), plain, "{byte} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn separators_and_escapes() {
        let mut out = Out::default();
        let mut json = Json::new(&mut out);
        let outer = json.map(2);
        json.key("a", "_bytes");
        let list = json.list(3);
        json.item();
        json.text("q\"\\\n\u{1b}é".as_bytes());
        json.item();
        json.null();
        json.item();
        json.number(-5);
        json.end_list(list);
        json.key("b", "");
        let inner = json.map(0);
        json.end_map(inner);
        json.end_map(outer);
        assert_eq!(
            std::str::from_utf8(out.written()).unwrap(),
            "{\"a_bytes\":[\"q\\\"\\\\\\n\\u001bé\",null,-5],\"b\":{}}"
        );
    }
}
