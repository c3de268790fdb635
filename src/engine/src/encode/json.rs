//! JSON text (RFC 8259), one document after the other, each ended by a newline.

use std::io::Write as _;

use pyaudit_knowledge::Node;

use super::Encoding;
use crate::digits;

#[derive(Debug)]
pub struct Json<'a> {
    out: &'a mut Vec<u8>,
    comma: bool,
}

impl<'a> Json<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, comma: false }
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }

    fn escaped(&mut self, bytes: &[u8]) {
        let mut clean = 0;
        while let Some(at) = special(&bytes[clean..]) {
            let at = clean + at;
            self.out.extend_from_slice(&bytes[clean..at]);
            clean = at + 1;
            match bytes[at] {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                byte => write!(self.out, "\\u{byte:04x}").expect("writing to a Vec cannot fail"),
            }
        }
        self.out.extend_from_slice(&bytes[clean..]);
    }
}

/// The first byte that has to be escaped: a control character, a quote, a backslash. Eight bytes at a time.
fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let below_space = |word: u64| word.wrapping_sub(ONES * 0x20) & !word;
    let equals = |word: u64, byte: u8| {
        let differs = word ^ (ONES * u64::from(byte));
        differs.wrapping_sub(ONES) & !differs
    };
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        let found = (below_space(word) | equals(word, b'"') | equals(word, b'\\')) & HIGH;
        if found != 0 {
            // A borrow can mark bytes above the first that is marked, never the first itself.
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let is_special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    words.remainder().iter().position(is_special).map(|rest| at + rest)
}

impl Encoding for Json<'_> {
    fn map(&mut self, _keys: usize) {
        self.separate();
        self.out.push(b'{');
        self.comma = false;
    }

    fn end_map(&mut self) {
        self.out.push(b'}');
        self.comma = true;
    }

    fn list(&mut self, _items: usize) {
        self.separate();
        self.out.push(b'[');
        self.comma = false;
    }

    fn end_list(&mut self) {
        self.out.push(b']');
        self.comma = true;
    }

    fn key(&mut self, name: &str, suffix: &str) {
        self.out.reserve(name.len() + suffix.len() + 4);
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.comma = false;
    }

    fn place(&mut self, node: &Node) {
        self.separate();
        self.out.extend_from_slice(node.json.as_bytes());
        self.comma = false;
    }

    fn text(&mut self, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.separate();
        self.out.push(b'"');
        self.escaped(text);
        self.out.push(b'"');
    }

    fn number(&mut self, number: i64) {
        self.separate();
        digits::push_signed(self.out, number);
    }

    fn null(&mut self) {
        self.separate();
        self.out.extend_from_slice(b"null");
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
    fn separators_and_escapes() {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        json.map(2);
        json.key("a", "_bytes");
        json.list(3);
        json.text("q\"\\\n\u{1b}é".as_bytes());
        json.null();
        json.number(-5);
        json.end_list();
        json.key("b", "");
        json.map(0);
        json.end_map();
        json.end_map();
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a_bytes\":[\"q\\\"\\\\\\n\\u001bé\",null,-5],\"b\":{}}");
    }
}
