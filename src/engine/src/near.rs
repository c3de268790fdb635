//! Searching bytes that are near: names and values of records are a few bytes long, and calling a search that is made for
//! long texts costs more than looking at eight bytes at once here.

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// Marks the lowest byte of a word that is the one searched for, and perhaps some above it.
#[inline]
fn marks(word: u64, byte: u8) -> u64 {
    let differs = word ^ (ONES * u64::from(byte));
    differs.wrapping_sub(ONES) & !differs & HIGH
}

/// From here on it was not near, and the search that is made for long texts takes over.
const NEAR: usize = 64;

/// Where a byte stands, from `from` on; the text's length if it does not.
#[inline]
pub fn find(text: &[u8], from: usize, byte: u8) -> usize {
    first_word(text, from, |word| marks(word, byte)).unwrap_or_else(|from| find_further(text, from, byte))
}

/// Where one of two bytes stands, likewise.
#[inline]
pub fn find_either(text: &[u8], from: usize, one: u8, other: u8) -> usize {
    let found = first_word(text, from, |word| marks(word, one) | marks(word, other));
    found.unwrap_or_else(|from| find_either_further(text, from, one, other))
}

/// Looks at eight bytes, or says from where on to look further.
#[inline]
fn first_word(text: &[u8], from: usize, found: impl Fn(u64) -> u64) -> Result<usize, usize> {
    let Some(word) = text.get(from..).and_then(<[u8]>::first_chunk) else { return Err(from) };
    let marked = found(u64::from_le_bytes(*word));
    if marked == 0 {
        return Err(from + 8);
    }
    Ok(from + marked.trailing_zeros() as usize / 8)
}

#[inline(never)]
fn find_further(text: &[u8], from: usize, byte: u8) -> usize {
    let mut at = from;
    while at < from + NEAR {
        match first_word(text, at, |word| marks(word, byte)) {
            Ok(found) => return found,
            Err(next) if next > at => at = next,
            Err(_) => break,
        }
    }
    let rest = text.get(at..).unwrap_or_default();
    let found = if rest.len() < 8 { rest.iter().position(|&b| b == byte) } else { memchr::memchr(byte, rest) };
    found.map_or(text.len(), |rest| at + rest)
}

#[inline(never)]
fn find_either_further(text: &[u8], from: usize, one: u8, other: u8) -> usize {
    let mut at = from;
    while at < from + NEAR {
        match first_word(text, at, |word| marks(word, one) | marks(word, other)) {
            Ok(found) => return found,
            Err(next) if next > at => at = next,
            Err(_) => break,
        }
    }
    let rest = text.get(at..).unwrap_or_default();
    let found = if rest.len() < 8 {
        rest.iter().position(|&b| b == one || b == other)
    } else {
        memchr::memchr2(one, other, rest)
    };
    found.map_or(text.len(), |rest| at + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for length in (0..30).chain(70..90) {
            for at in 0..=length {
                for around in [b'a', 0, 0x7f, 0x80, 0xff, b'!', 0x1f] {
                    let mut text = vec![around; length];
                    if at < length {
                        text[at] = b' ';
                    }
                    for from in [0, at / 2, at] {
                        assert_eq!(find(&text, from, b' '), at);
                        assert_eq!(find_either(&text, from, b'=', b' '), at);
                        assert_eq!(find_either(&text, from, b' ', b'='), at);
                    }
                }
            }
        }
        assert_eq!(find(b"a b ", 2, b' '), 3);
        assert_eq!(find_either(b"name=value rest", 0, b'=', b' '), 4);
    }
}
