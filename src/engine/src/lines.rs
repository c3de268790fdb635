//! Chunks of bytes to lines, whatever the chunking.
//!
//! A line ends with `\n`; the last one may lack it. A line longer than the limit is cut there and the rest counted:
//! auditd writes at most 8971 bytes (9.3 KiB with a node name), so what is longer did not come from a healthy auditd.

use memchr::memchr;

/// One line without its newline.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub bytes: &'a [u8],
    /// The line was cut at the limit.
    pub cut: bool,
}

#[derive(Debug)]
pub struct Lines {
    /// The beginning of a line whose end has not come yet; never longer than the limit.
    partial: Vec<u8>,
    /// Bytes of the current line that came after the limit.
    over: u64,
    limit: usize,
}

impl Lines {
    pub fn new(limit: usize) -> Self {
        Self { partial: Vec::new(), over: 0, limit }
    }

    /// Calls `each` with every line that ends in `chunk`; returns how many bytes were cut off long lines.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Line<'_>)) -> u64 {
        let mut rest = chunk;
        let mut cut_bytes = 0;
        while let Some(end) = memchr(b'\n', rest) {
            let (piece, tail) = (&rest[..end], &rest[end + 1..]);
            if self.partial.is_empty() && self.over == 0 {
                let kept = piece.len().min(self.limit);
                cut_bytes += (piece.len() - kept) as u64;
                each(Line { bytes: &piece[..kept], cut: kept < piece.len() });
            } else {
                self.keep(piece);
                cut_bytes += self.end(&mut each);
            }
            rest = tail;
        }
        self.keep(rest);
        cut_bytes
    }

    /// Calls `each` with the last line if it lacks its newline; returns how many bytes were cut off it.
    pub fn finish(&mut self, mut each: impl FnMut(Line<'_>)) -> u64 {
        if self.partial.is_empty() {
            return 0;
        }
        self.end(&mut each)
    }

    fn keep(&mut self, piece: &[u8]) {
        let kept = piece.len().min(self.limit - self.partial.len());
        self.partial.extend_from_slice(&piece[..kept]);
        self.over += (piece.len() - kept) as u64;
    }

    fn end(&mut self, each: &mut impl FnMut(Line<'_>)) -> u64 {
        let over = std::mem::take(&mut self.over);
        each(Line { bytes: &self.partial, cut: over > 0 });
        self.partial.clear();
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(limit: usize, chunks: &[&[u8]]) -> (Vec<(Vec<u8>, bool)>, u64) {
        let mut lines = Lines::new(limit);
        let mut out = Vec::new();
        let mut cut = 0;
        for chunk in chunks {
            cut += lines.feed(chunk, |line| out.push((line.bytes.to_vec(), line.cut)));
        }
        cut += lines.finish(|line| out.push((line.bytes.to_vec(), line.cut)));
        (out, cut)
    }

    #[test]
    fn any_chunking_gives_the_same_lines() {
        let text = b"one\n\ntwo two two\nlast";
        let whole = split(7, &[text]);
        assert_eq!(
            whole,
            (
                vec![
                    (b"one".to_vec(), false),
                    (b"".to_vec(), false),
                    (b"two two".to_vec(), true),
                    (b"last".to_vec(), false)
                ],
                4
            )
        );
        for size in 1..text.len() {
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(split(7, &chunks), whole, "chunks of {size}");
        }
    }
}
