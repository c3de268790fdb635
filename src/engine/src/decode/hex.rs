//! Hex digits to bytes: how the kernel and libaudit hide bytes that would break a record.

/// What a byte is as a digit; `NO_DIGIT` if it is none.
static DIGITS: [u8; 256] = digits();
const NO_DIGIT: u8 = 0xff;

const fn digits() -> [u8; 256] {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        table[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    table
}

fn digit(byte: u8) -> Option<u8> {
    Some(DIGITS[usize::from(byte)]).filter(|&digit| digit != NO_DIGIT)
}

/// Whether a bare value is hex: an even number of digits, at least one pair.
pub fn is_hex(text: &[u8]) -> bool {
    // Most values that are no hex begin with something else.
    text.len() >= 2
        && text.len() % 2 == 0
        && DIGITS[usize::from(text[0])] != NO_DIGIT
        && text.iter().fold(0, |all, &byte| all | DIGITS[usize::from(byte)]) != NO_DIGIT
}

/// The same, in upper case: what programs write bare may look like hex by chance, libaudit's hex is upper case.
pub fn is_upper_hex(text: &[u8]) -> bool {
    is_hex(text) && !text.iter().any(u8::is_ascii_lowercase)
}

/// Whether a text is hex that lost its last digit; in upper case, as the kernel and libaudit write it.
pub fn is_cut(text: &[u8]) -> bool {
    text.len() >= 3 && text.len() % 2 == 1 && is_upper_hex(&text[1..]) && text[0].is_ascii_hexdigit()
}

/// Appends the bytes of a hex text; an odd last digit is left out.
pub fn decode(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend(text.chunks_exact(2).map(|pair| {
        let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
        high << 4 | low & 15
    }));
    debug_assert!(out.len() - start == text.len() / 2 && text.iter().all(u8::is_ascii_hexdigit));
}

/// A number in hex that is all of `text`.
pub fn number(text: &[u8]) -> Option<u64> {
    let text = text.strip_prefix(b"0x").unwrap_or(text);
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    text.iter().try_fold(0, |value, &byte| Some(value << 4 | u64::from(digit(byte)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_even_and_only_digits() {
        assert!(is_hex(b"6c73") && is_hex(b"6C73"));
        assert!(!is_hex(b"") && !is_hex(b"6") && !is_hex(b"6c7") && !is_hex(b"6c7g"));
        assert!(is_upper_hex(b"28C3") && !is_upper_hex(b"beef"));
        assert!(is_cut(b"2F6") && !is_cut(b"2F") && !is_cut(b"2f6") && !is_cut(b"2") && !is_cut(b"2G6"));
    }

    #[test]
    fn decodes_bytes_and_numbers() {
        let mut out = Vec::new();
        decode(b"6C7300ff", &mut out);
        assert_eq!(out, b"ls\0\xff");
        assert_eq!(number(b"c000003e"), Some(0xc000_003e));
        assert_eq!(number(b"0x7ffc0000"), Some(0x7ffc_0000));
        assert_eq!(number(b"xyz"), None);
        assert_eq!(number(b"12345678901234567"), None);
    }
}
