//! JSON text (RFC 8259), one document after the other, each ended by a newline.

use std::io::Write as _;

use super::Encoding;

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

    fn escaped(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut clean = 0;
        for (i, &byte) in bytes.iter().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.out.extend_from_slice(&bytes[clean..i]);
            clean = i + 1;
            match byte {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                _ => write!(self.out, "\\u{byte:04x}").expect("writing to a Vec cannot fail"),
            }
        }
        self.out.extend_from_slice(&bytes[clean..]);
    }
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
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.comma = false;
    }

    fn text(&mut self, text: &str) {
        self.separate();
        self.out.push(b'"');
        self.escaped(text);
        self.out.push(b'"');
    }

    fn number(&mut self, number: i64) {
        self.separate();
        write!(self.out, "{number}").expect("writing to a Vec cannot fail");
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
    fn separators_and_escapes() {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        json.map(2);
        json.key("a", "_bytes");
        json.list(3);
        json.text("q\"\\\n\u{1b}é");
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
