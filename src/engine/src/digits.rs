//! Numbers as decimal digits: every event has a dozen, and the formatting of `std` costs more than the digits.

/// Appends a number in decimal, with zeros in front up to `width` digits.
pub fn push(out: &mut Vec<u8>, number: u64, width: usize) {
    // The largest number has 20 digits.
    let mut digits = [b'0'; 20];
    let (mut at, mut left) = (digits.len(), number);
    while left > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - width.min(digits.len()))..]);
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
