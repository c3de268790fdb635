//! Milliseconds since 1970 as RFC 3339 text.

use crate::digits;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// Year, month, day of a day counted from 1970-01-01, after Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The texts of the second that an event before was of: most events share it.
#[derive(Debug, Default)]
pub struct Second {
    number: Option<i64>,
    /// `2026-11-21T01:09:45.`
    rfc3339: Vec<u8>,
    /// `1795223385.`
    decimal: Vec<u8>,
}

impl Second {
    fn set(&mut self, time_ms: i64) {
        let number = time_ms.div_euclid(1000);
        if self.number == Some(number) {
            return;
        }
        self.number = Some(number);
        self.rfc3339.clear();
        write_rfc3339(&mut self.rfc3339, number * 1000);
        self.rfc3339.truncate(self.rfc3339.len() - "000Z".len());
        self.decimal.clear();
        digits::push_signed(&mut self.decimal, number);
        self.decimal.push(b'.');
    }

    /// Appends a time as `write_rfc3339` does.
    pub fn push_rfc3339(&mut self, out: &mut Vec<u8>, time_ms: i64) {
        self.set(time_ms);
        let [a, b, c] = millis(time_ms);
        out.extend_from_slice(&self.rfc3339);
        out.extend_from_slice(&[a, b, c, b'Z']);
    }

    /// Appends seconds and milliseconds since 1970, e.g. `1795223385.324`.
    pub fn push_decimal(&mut self, out: &mut Vec<u8>, time_ms: i64) {
        self.set(time_ms);
        out.extend_from_slice(&self.decimal);
        out.extend_from_slice(&millis(time_ms));
    }
}

fn millis(time_ms: i64) -> [u8; 3] {
    let ms = time_ms.rem_euclid(1000) as u16;
    [ms / 100, ms / 10 % 10, ms % 10].map(|digit| b'0' + digit as u8)
}

/// Appends e.g. `2026-11-21T01:09:45.324Z`.
pub fn write_rfc3339(out: &mut Vec<u8>, time_ms: i64) {
    let (year, month, day) = civil(time_ms.div_euclid(MILLIS_PER_DAY));
    let ms = time_ms.rem_euclid(MILLIS_PER_DAY);
    let (hour, minute, second, milli) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    let parts =
        [(month, 2, b'-'), (day, 2, b'-'), (hour, 2, b'T'), (minute, 2, b':'), (second, 2, b':'), (milli, 3, b'.')];
    if year < 0 {
        out.push(b'-');
    }
    digits::push(out, year.unsigned_abs(), 4);
    for (number, width, before) in parts {
        out.push(before);
        digits::push(out, number.unsigned_abs(), width);
    }
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ms: i64) -> String {
        let mut out = Vec::new();
        write_rfc3339(&mut out, ms);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_dates() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_795_223_385_324), "2026-11-21T01:09:45.324Z");
        assert_eq!(text(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(text(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_second_that_is_known_is_written_the_same() {
        let mut second = Second::default();
        for time_ms in [0, 999, 1000, 1_795_223_385_324, 1_795_223_385_007, -1, -1000, -1001, -62_167_219_200_001] {
            let (mut fast, mut plain) = (Vec::new(), Vec::new());
            second.push_rfc3339(&mut fast, time_ms);
            write_rfc3339(&mut plain, time_ms);
            assert_eq!(fast, plain);
            fast.clear();
            second.push_decimal(&mut fast, time_ms);
            let expected = format!("{}.{:03}", time_ms.div_euclid(1000), time_ms.rem_euclid(1000));
            assert_eq!(fast, expected.as_bytes());
        }
    }
}
