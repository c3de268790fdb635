//! msgpack: maps, arrays, str, int and nil only; no bin and no extension types, which consumers do not take.

use super::Encoding;

#[derive(Debug)]
pub struct Msgpack<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Msgpack<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A head whose length has one of three sizes.
    fn head(&mut self, length: usize, fix: (u8, usize), wide: [u8; 2]) {
        if length < fix.1 {
            self.out.push(fix.0 | length as u8);
        } else if let Ok(length) = u16::try_from(length) {
            self.out.push(wide[0]);
            self.out.extend_from_slice(&length.to_be_bytes());
        } else {
            // An event is bounded to far less than 4 GiB.
            self.out.push(wide[1]);
            self.out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }

    fn text_head(&mut self, length: usize) {
        match length {
            32..=255 => self.out.extend_from_slice(&[0xd9, length as u8]),
            _ => self.head(length, (0xa0, 32), [0xda, 0xdb]),
        }
    }
}

impl Encoding for Msgpack<'_> {
    fn map(&mut self, keys: usize) {
        self.head(keys, (0x80, 16), [0xde, 0xdf]);
    }

    fn end_map(&mut self) {}

    fn list(&mut self, items: usize) {
        self.head(items, (0x90, 16), [0xdc, 0xdd]);
    }

    fn end_list(&mut self) {}

    fn key(&mut self, name: &str, suffix: &str) {
        self.text_head(name.len() + suffix.len());
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.text_head(text.len());
        self.out.extend_from_slice(text);
    }

    fn number(&mut self, number: i64) {
        match number {
            0..=127 => self.out.push(number as u8),
            -32..=-1 => self.out.push(number.to_be_bytes()[7]),
            128..=255 => self.out.extend_from_slice(&[0xcc, number as u8]),
            256..=65_535 => {
                self.out.push(0xcd);
                self.out.extend_from_slice(&number.to_be_bytes()[6..]);
            }
            65_536..=4_294_967_295 => {
                self.out.push(0xce);
                self.out.extend_from_slice(&number.to_be_bytes()[4..]);
            }
            _ => {
                self.out.push(0xd3);
                self.out.extend_from_slice(&number.to_be_bytes());
            }
        }
    }

    fn null(&mut self) {
        self.out.push(0xc0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(write: impl FnOnce(&mut Msgpack<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Msgpack::new(&mut out));
        out
    }

    #[test]
    fn the_shortest_form_of_each_number() {
        assert_eq!(bytes(|m| m.number(127)), [0x7f]);
        assert_eq!(bytes(|m| m.number(-1)), [0xff]);
        assert_eq!(bytes(|m| m.number(255)), [0xcc, 0xff]);
        assert_eq!(bytes(|m| m.number(256)), [0xcd, 1, 0]);
        assert_eq!(bytes(|m| m.number(65_536)), [0xce, 0, 1, 0, 0]);
        assert_eq!(bytes(|m| m.number(-33))[0], 0xd3);
    }

    #[test]
    fn heads_grow_with_what_they_count() {
        assert_eq!(bytes(|m| m.map(15)), [0x8f]);
        assert_eq!(bytes(|m| m.map(16)), [0xde, 0, 16]);
        assert_eq!(bytes(|m| m.list(70_000)), [0xdd, 0, 1, 0x11, 0x70]);
        assert_eq!(bytes(|m| m.text("a".repeat(31).as_bytes()))[0], 0xbf);
        assert_eq!(bytes(|m| m.text("a".repeat(32).as_bytes()))[..2], [0xd9, 32]);
        assert_eq!(bytes(|m| m.text("a".repeat(256).as_bytes()))[..3], [0xda, 1, 0]);
    }
}
