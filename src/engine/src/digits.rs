//! Numbers as decimal digits: every event has a dozen, and the formatting of `std` costs more than the digits.

/// The largest number has 20 digits.
const LONGEST: usize = 20;

/// A number in decimal, with zeros in front up to `width` digits.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    bytes: [u8; LONGEST],
    start: usize,
}

impl Digits {
    pub fn of(number: u64, width: usize) -> Self {
        let mut bytes = [b'0'; LONGEST];
        let (mut start, mut left) = (LONGEST, number);
        while left > 0 || start == LONGEST {
            start -= 1;
            bytes[start] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        Self { bytes, start: start.min(LONGEST - width.min(LONGEST)) }
    }

    pub fn text(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Appends a number in decimal, with zeros in front up to `width` digits.
pub fn push(out: &mut Vec<u8>, number: u64, width: usize) {
    out.extend_from_slice(Digits::of(number, width).text());
}

/// The same for a number that may be negative.
pub fn push_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push(out, number.unsigned_abs(), 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_standard_library_writes_them() {
        for number in [0, 1, 9, 10, 99, 12_345, u64::MAX] {
            for width in [1, 3, 20] {
                let mut out = Vec::new();
                push(&mut out, number, width);
                assert_eq!(String::from_utf8(out).unwrap(), format!("{number:0width$}"));
            }
        }
        for number in [0, -1, i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            push_signed(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
