//! Bytes that are being written: a buffer that is longer than what was written, so that short texts are copied as whole
//! blocks, a load and a store each, and only what counts of them is kept.

use pyaudit_knowledge::Block;

/// What the buffer grows by at least.
const GROWTH: usize = 4096;

#[derive(Debug, Default)]
pub struct Out {
    bytes: Vec<u8>,
    at: usize,
}

impl Out {
    pub fn clear(&mut self) {
        self.at = 0;
    }

    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.at]
    }

    /// How much was written.
    pub fn len(&self) -> usize {
        self.at
    }

    /// Forgets what was written from `at` on.
    pub fn back_to(&mut self, at: usize) {
        self.at = self.at.min(at);
    }

    /// Overwrites a byte that was written.
    pub fn set(&mut self, at: usize, byte: u8) {
        self.bytes[at] = byte;
    }

    #[cold]
    #[inline(never)]
    fn grown<const N: usize>(&mut self) -> &mut [u8; N] {
        self.grow(N);
        self.bytes[self.at..].first_chunk_mut().expect("the buffer was made that long")
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        let length = (self.bytes.len() * 2).max(self.at + more + GROWTH);
        self.bytes.resize(length, 0);
    }

    /// The next bytes of the buffer.
    #[inline]
    fn next<const N: usize>(&mut self) -> &mut [u8; N] {
        if self.bytes.len() - self.at < N {
            return self.grown();
        }
        self.bytes[self.at..].first_chunk_mut().expect("the buffer is that long")
    }

    #[inline]
    pub fn byte(&mut self, byte: u8) {
        *self.next() = [byte];
        self.at += 1;
    }

    /// Bytes of which only the first `length` count.
    #[inline]
    pub fn block<const N: usize>(&mut self, bytes: &[u8; N], length: usize) {
        *self.next() = *bytes;
        self.at += length.min(N);
    }

    #[inline]
    pub fn key(&mut self, block: &Block) {
        self.block(block.bytes(), block.length());
    }

    /// What stands before a text, of at most 31 bytes, its opening, the text, of at most 16, and its closing; lengths
    /// say how much of the blocks counts. One look at the room that is left for all of it.
    #[inline]
    pub fn framed<const O: usize, const C: usize>(
        &mut self,
        before: (&[u8; 32], usize),
        opening: [u8; O],
        text: (&[u8; 16], usize),
        closing: [u8; C],
    ) {
        // Says to the compiler what the caller makes sure of.
        let (begin, length) = (before.1 & 31, text.1 & 31);
        let to: &mut [u8; 64] = self.next();
        to[..32].copy_from_slice(before.0);
        to[begin..begin + O].copy_from_slice(&opening);
        to[begin + O..begin + O + 16].copy_from_slice(text.0);
        let end = begin + O + length;
        to[end..end + C].copy_from_slice(&closing);
        self.at += end + C;
    }

    /// A text that begins a longer one; what follows it there may be read, too, but does not count.
    #[inline]
    pub fn part(&mut self, begun: &[u8], length: usize) {
        if length <= 16 {
            if let Some(block) = begun.first_chunk::<16>() {
                return self.block(block, length);
            }
        } else if length <= 32 {
            if let Some(block) = begun.first_chunk::<32>() {
                return self.block(block, length);
            }
        }
        self.bytes(&begun[..length]);
    }

    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if end > self.bytes.len() {
            self.grow(bytes.len());
        }
        let to = &mut self.bytes[self.at..end];
        // Two blocks that overlap hold all of a short text.
        match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) if bytes.len() <= 16 => {
                if let Some(to) = to.first_chunk_mut() {
                    *to = *first;
                }
                if let Some(to) = to.last_chunk_mut() {
                    *to = *last;
                }
            }
            (None, _) => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
                (Some(first), Some(last)) => {
                    if let Some(to) = to.first_chunk_mut() {
                        *to = *first;
                    }
                    if let Some(to) = to.last_chunk_mut() {
                        *to = *last;
                    }
                }
                _ => to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte),
            },
            _ => to.copy_from_slice(bytes),
        }
        self.at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyaudit_knowledge::Key;

    #[test]
    fn what_is_written_stands_there_in_order() {
        let text: Vec<u8> = (0..=255).collect();
        let (mut out, mut expected) = (Out::default(), Vec::new());
        for round in 0..60 {
            for length in 0..70 {
                let at = (round * 7 + length) % 186;
                out.part(&text[at..], length);
                out.bytes(&text[at..at + length]);
                out.byte(b'|');
                out.block(b"abc", 2);
                let key = &Key::new("key", "").json;
                let before = (key.bytes(), key.length());
                out.framed(before, *b"<", (b"0123456789abcdef", length % 17), *b">");
                expected.extend_from_slice(&text[at..at + length]);
                expected.extend_from_slice(&text[at..at + length]);
                expected.extend_from_slice(b"|ab,\"key\":<");
                expected.extend_from_slice(&b"0123456789abcdef"[..length % 17]);
                expected.push(b'>');
            }
            // Where nothing follows that could be read, too.
            out.part(&text[250..], 6);
            expected.extend_from_slice(&text[250..]);
        }
        assert_eq!(out.written(), expected);
        assert_eq!(out.len(), expected.len());
        out.clear();
        assert_eq!(out.written(), b"");
    }
}
