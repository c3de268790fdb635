//! The head of a line: `[node=NAME ]type=TYPE msg=audit(SEC[.MS][:SERIAL]):` and what follows it.
//!
//! Departures from that grammar, each because a real writer makes it: leading spaces; no space, or no `:`, before the
//! fields; a type given as a number; milliseconds or serial missing (0 then, as libauparse reads it).

use pyaudit_knowledge::{record_type_of_name, record_type_of_number, RecordType};

use crate::near::find;

/// A time past this (year 9999) is no time.
const MAX_SECONDS: u64 = 253_402_300_799;
/// Longest node name: twice what DNS allows, for names the administrator chose (`name_format = user`).
const MAX_NODE: usize = 510;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    pub node: Option<&'a [u8]>,
    /// The type as written, e.g. `SYSCALL` or `UNKNOWN[1334]`.
    pub type_text: &'a [u8],
    /// Milliseconds since 1970.
    pub time_ms: i64,
    pub serial: u32,
    /// Offset of the first byte after the header.
    pub body: usize,
}

impl Header<'_> {
    /// What is known of the record's type; `UNKNOWN[n]` and bare numbers are looked up by number.
    pub fn known_type(&self) -> Option<&'static RecordType> {
        record_type_of_name(self.type_text).or_else(|| {
            let digits = self
                .type_text
                .strip_prefix(b"UNKNOWN[")
                .and_then(|rest| rest.strip_suffix(b"]"))
                .unwrap_or(self.type_text);
            u16::try_from(decimal(digits, u64::from(u16::MAX))?).ok().and_then(record_type_of_number)
        })
    }
}

/// Whether a line that cannot be read is the mark of an event's end, cut off in its head: auditd 4.2 and 4.2.1 cut 16
/// bytes off every record of the plain format, and of this one nothing is left that anybody could miss.
pub fn is_cut_end(line: &[u8]) -> bool {
    line.strip_prefix(b"type=EOE msg=audit(")
        .is_some_and(|rest| rest.iter().all(|byte| byte.is_ascii_digit() || b".:".contains(byte)))
}

/// A decimal number that is all of `digits` and at most `max`.
pub fn decimal(digits: &[u8], max: u64) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    (value <= max).then_some(value)
}

/// A decimal number at the start of `text`, and how many bytes it has.
fn leading_decimal(text: &[u8], max: u64) -> Option<(u64, usize)> {
    let length = text.iter().take_while(|b| b.is_ascii_digit()).count();
    decimal(&text[..length], max).map(|value| (value, length))
}

/// The last time and serial read, and how they were written: the next record mostly has the same.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    /// From the first digit to the parenthesis that closes it; empty before the first record.
    text: Vec<u8>,
    time_ms: i64,
    serial: u32,
}

/// Reads the head of a line, or says in a few words what was expected.
pub fn parse(line: &[u8]) -> Result<Header<'_>, &'static str> {
    parse_after(line, &mut Stamp::default())
}

/// The same, after the record that `stamp` is of.
pub fn parse_after<'a>(line: &'a [u8], stamp: &mut Stamp) -> Result<Header<'a>, &'static str> {
    let mut at = line.iter().take_while(|&&b| b == b' ').count();
    let mut node = None;
    if line[at..].starts_with(b"node=") {
        let name = token(line, at + 5);
        // A name becomes part of the events' identity, so it has to be text.
        let text = std::str::from_utf8(name).is_ok_and(|name| !name.chars().any(char::is_control));
        if name.is_empty() || name.len() > MAX_NODE || !text {
            return Err("node= holds no usable name");
        }
        at += 5 + name.len() + 1;
        node = Some(name);
    }
    let rest = line.get(at..).unwrap_or_default();
    if !rest.starts_with(b"type=") {
        return Err("no type= where it was expected");
    }
    let type_text = token(line, at + 5);
    if type_text.is_empty() {
        return Err("type= holds no name");
    }
    at += 5 + type_text.len() + 1;
    let rest = line.get(at..).unwrap_or_default();
    if !rest.starts_with(b"msg=audit(") {
        return Err("no msg=audit( after the type");
    }
    at += b"msg=audit(".len();
    let rest = &line[at..];
    if stamp.text.is_empty() || !rest.starts_with(&stamp.text) {
        let (time_ms, serial, length) = read_stamp(rest)?;
        stamp.text.clear();
        stamp.text.extend_from_slice(&rest[..length]);
        (stamp.time_ms, stamp.serial) = (time_ms, serial);
    }
    at += stamp.text.len();
    if line.get(at) == Some(&b':') {
        at += 1;
    }
    Ok(Header { node, type_text, time_ms: stamp.time_ms, serial: stamp.serial, body: at })
}

/// Time in milliseconds, serial, and how many bytes they have with the parenthesis that closes them.
fn read_stamp(line: &[u8]) -> Result<(i64, u32, usize), &'static str> {
    let mut at = 0;
    let (seconds, length) = leading_decimal(&line[at..], MAX_SECONDS).ok_or("no time in msg=audit()")?;
    at += length;
    let mut millis = 0;
    if line.get(at) == Some(&b'.') {
        let (value, length) = leading_decimal(&line[at + 1..], 999).ok_or("milliseconds are not 0 to 999")?;
        millis = value;
        at += 1 + length;
    }
    let mut serial = 0;
    if line.get(at) == Some(&b':') {
        let (value, length) =
            leading_decimal(&line[at + 1..], u64::from(u32::MAX)).ok_or("the serial is no 32-bit number")?;
        serial = value;
        at += 1 + length;
    }
    if line.get(at) != Some(&b')') {
        return Err("msg=audit( is not closed");
    }
    at += 1;
    let time_ms = i64::try_from(seconds * 1000 + millis).map_err(|_| "no time in msg=audit()")?;
    let serial = u32::try_from(serial).map_err(|_| "the serial is no 32-bit number")?;
    Ok((time_ms, serial, at))
}

/// The bytes from `start` to the next space or the end.
fn token(line: &[u8], start: usize) -> &[u8] {
    let rest = line.get(start..).unwrap_or_default();
    &rest[..find(rest, 0, b' ')]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_auditd_writes() {
        let line = b"node=web-1 type=SYSCALL msg=audit(1712380979.018:240): arch=c000003e";
        let header = parse(line).unwrap();
        assert_eq!(header.node, Some(&b"web-1"[..]));
        assert_eq!((header.time_ms, header.serial), (1_712_380_979_018, 240));
        assert_eq!(&line[header.body..], b" arch=c000003e");
        assert_eq!(header.known_type().unwrap().number, 1300);
    }

    #[test]
    fn a_type_that_auditd_did_not_know_is_known_by_its_number() {
        let header = parse(b"type=UNKNOWN[1425] msg=audit(1.002:3): subj_selinux=x").unwrap();
        assert_eq!(header.known_type().unwrap().lower, "mac_task_contexts");
        assert!(parse(b"type=FOO_BAR msg=audit(1.002:3): a=1").unwrap().known_type().is_none());
    }

    #[test]
    fn the_record_before_changes_nothing() {
        let mut stamp = Stamp::default();
        for line in [
            &b"type=SYSCALL msg=audit(5.001:9): a=1"[..],
            b"type=PATH msg=audit(5.001:9): a=1",
            b"type=PATH msg=audit(5.001:91): a=1",
            b"type=PATH msg=audit(5.001:9",
            b"type=PATH msg=audit(5.001:9)",
            b"type=PATH msg=audit(",
            b"node=a type=PATH msg=audit(5:9): a",
        ] {
            assert_eq!(parse_after(line, &mut stamp), parse(line));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (line, error) in [
            (&b"garbage"[..], "no type= where it was expected"),
            (b"", "no type= where it was expected"),
            (b"type=SYSCALL", "no msg=audit( after the type"),
            (b"type=SYSCALL msg=audit(abc): x=1", "no time in msg=audit()"),
            (b"type=SYSCALL msg=audit(1.1000:1): x=1", "milliseconds are not 0 to 999"),
            (b"type=SYSCALL msg=audit(1.1:4294967296): x=1", "the serial is no 32-bit number"),
            (b"type=SYSCALL msg=audit(1.1:1", "msg=audit( is not closed"),
            (b"node= type=SYSCALL msg=audit(1.1:1):", "node= holds no usable name"),
            (b"node=\xff type=SYSCALL msg=audit(1.1:1):", "node= holds no usable name"),
        ] {
            assert_eq!(parse(line), Err(error), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn forgives_what_real_writers_do() {
        assert_eq!(parse(b"  type=USER msg=audit(5:9):uid=0").unwrap().time_ms, 5000);
        assert_eq!(parse(b"type=USER msg=audit(5.001:9) uid=0").unwrap().serial, 9);
        assert_eq!(parse(b"type=1300 msg=audit(5.001:9): a").unwrap().known_type().unwrap().name, "SYSCALL");
    }
}
