//! msgpack: maps, arrays, str, int and nil only; no bin and no extension types, which consumers do not take.

use pyaudit_knowledge::{Block, Key};

use super::Encoding;
use crate::out::Out;

#[derive(Debug)]
pub struct Msgpack<'a> {
    out: &'a mut Out,
}

impl<'a> Msgpack<'a> {
    pub fn new(out: &'a mut Out) -> Self {
        Self { out }
    }

    /// A head whose length has one of three sizes.
    fn head(&mut self, length: usize, fix: (u8, usize), wide: [u8; 2]) {
        if length < fix.1 {
            self.out.byte(fix.0 | length as u8);
        } else if let Ok(length) = u16::try_from(length) {
            let [high, low] = length.to_be_bytes();
            self.out.block(&[wide[0], high, low], 3);
        } else {
            // An event is bounded to far less than 4 GiB.
            let [a, b, c, d] = (length as u32).to_be_bytes();
            self.out.block(&[wide[1], a, b, c, d], 5);
        }
    }

    #[inline]
    fn text_head(&mut self, length: usize) {
        match length {
            0..=31 => self.out.byte(0xa0 | length as u8),
            32..=255 => self.out.block(&[0xd9, length as u8], 2),
            _ => self.head(length, (0, 0), [0xda, 0xdb]),
        }
    }
}

impl Encoding for Msgpack<'_> {
    const NUMBER: usize = 1;

    fn out(&mut self) -> &mut Out {
        self.out
    }

    #[inline]
    fn block(key: &Key) -> &Block {
        &key.msgpack
    }

    fn written(&mut self, bytes: &[u8]) {
        self.out.bytes(bytes);
    }

    fn map(&mut self, keys: usize) -> usize {
        self.head(keys, (0x80, 16), [0xde, 0xdf]);
        0
    }

    fn end_map(&mut self, _start: usize) {}

    fn list(&mut self, items: usize) -> usize {
        self.head(items, (0x90, 16), [0xdc, 0xdd]);
        0
    }

    fn item(&mut self) {}

    fn end_list(&mut self, _start: usize) {}

    #[inline]
    fn known_key(&mut self, key: &Key) {
        self.out.key(&key.msgpack);
    }

    fn key(&mut self, name: &str, suffix: &str) {
        self.text_head(name.len() + suffix.len());
        self.out.bytes(name.as_bytes());
        self.out.bytes(suffix.as_bytes());
    }

    #[inline]
    fn short_member(&mut self, before: (&[u8; 32], usize), text: (&[u8; 16], usize)) {
        self.out.framed(before, [0xa0 | text.1 as u8], text, []);
    }

    #[inline]
    fn part(&mut self, begun: &[u8], length: usize) {
        self.text_head(length);
        self.out.part(begun, length);
    }

    #[inline]
    fn text(&mut self, text: &[u8]) {
        self.text_head(text.len());
        self.out.bytes(text);
    }

    fn number(&mut self, number: i64) {
        let bytes = number.to_be_bytes();
        let mut wide = [0; 9];
        wide[1..].copy_from_slice(&bytes);
        match number {
            -32..=127 => self.out.byte(bytes[7]),
            128..=255 => self.out.block(&[0xcc, bytes[7]], 2),
            256..=65_535 => self.out.block(&[0xcd, bytes[6], bytes[7]], 3),
            65_536..=4_294_967_295 => self.out.block(&[0xce, bytes[4], bytes[5], bytes[6], bytes[7]], 5),
            _ => {
                wide[0] = 0xd3;
                self.out.block(&wide, 9);
            }
        }
    }

    fn null(&mut self) {
        self.out.byte(0xc0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(write: impl FnOnce(&mut Msgpack<'_>)) -> Vec<u8> {
        let mut out = Out::default();
        write(&mut Msgpack::new(&mut out));
        out.written().to_vec()
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
        assert_eq!(bytes(|m| _ = m.map(15)), [0x8f]);
        assert_eq!(bytes(|m| _ = m.map(16)), [0xde, 0, 16]);
        assert_eq!(bytes(|m| _ = m.list(70_000)), [0xdd, 0, 1, 0x11, 0x70]);
        assert_eq!(bytes(|m| m.text("a".repeat(31).as_bytes()))[0], 0xbf);
        assert_eq!(bytes(|m| m.text("a".repeat(32).as_bytes()))[..2], [0xd9, 32]);
        assert_eq!(bytes(|m| m.text("a".repeat(256).as_bytes()))[..3], [0xda, 1, 0]);
    }
}
