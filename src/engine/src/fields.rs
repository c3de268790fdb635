//! The tokenizer: the text of a record to its fields.
//!
//! ```text
//! record   = own [ 0x1d enriched ]          ; the first 0x1d ends what the kernel or program wrote
//! own      = *( SP / field / word )
//! field    = name "=" value
//! value    = DQUOTE *any DQUOTE             ; ends at a quote before a delimiter, may hold spaces
//!          / "'" own "'"                    ; only after msg=, ends at the last ' of the record
//!          / *nonspace
//! avc      = "avc:" result [ "{" *perm "}" ] [ "for" ] own
//! word     = *nonspace                      ; no "=" in it
//! ```
//!
//! Departures, each because real writers make it:
//! - in `msg='…'`, words after a bare value belong to it (`op=adding group to /etc/group id=27`);
//! - there, a group of fields in parentheses is decoration of old PAM messages (`(hostname=?, res=success)`): its
//!   parentheses, and one `,` after each value in it, are no part of the values;
//! - a word in parentheses after a bare value belongs to it everywhere (`subj=docker-default (enforce)`);
//! - other words become fields without a name, so that nothing is dropped;
//! - a quote or `msg='` that is never closed was cut off: the rest is the value, marked as truncated.

use memchr::{memchr, memrchr};

use pyaudit_knowledge::RecordType;

use crate::layout::{Expected, Layout, Meaning};
use crate::near::{find, find_either};

/// Separates what the record says from what auditd added to it (`AUDIT_INTERP_SEPARATOR`).
pub const ENRICHMENT_SEPARATOR: u8 = 0x1d;

/// How a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Bare,
    Quoted,
    /// Quoted without an end: cut off.
    Truncated,
    /// Bare, and the last thing in a record that was cut off.
    CutBare,
    /// Words that belong to no field.
    Words,
    /// What stands between the braces of an AVC.
    Permissions,
}

#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    pub name: &'a [u8],
    /// Without its quotes.
    pub value: &'a [u8],
    pub form: Form,
    pub meaning: Meaning,
}

/// Splits a record's text at the first separator: its own part, and auditd's.
pub fn split_enriched(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr(ENRICHMENT_SEPARATOR, text) {
        Some(i) => (&text[..i], &text[i + 1..]),
        None => (text, &[]),
    }
}

/// What is to be taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    pub record_type: Option<&'static RecordType>,
    /// The record's own part.
    pub own: &'a [u8],
    /// The same and what follows it in memory, which may be looked at, but says nothing.
    pub begun: &'a [u8],
}

/// Takes a record's own part apart into `fields`, which is empty; returns whether its end was evidently cut off.
/// `layout` is that of the record's type.
pub fn tokenize<'a>(body: Body<'a>, layout: &mut Layout, fields: &mut Vec<Field<'a>>) -> bool {
    let Body { record_type, own, begun } = body;
    let mut scanner = Scanner {
        text: own,
        begun,
        at: 0,
        fields,
        layout,
        record_type,
        nested: false,
        grouped: false,
        truncated: false,
    };
    scanner.run();
    scanner.truncated
}

/// The enriched part as pairs of upper-case name and value; values keep their quotes.
pub fn enriched_pairs(enriched: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = enriched;
    std::iter::from_fn(move || loop {
        let start = rest.iter().position(|&b| b != b' ')?;
        rest = &rest[start..];
        let name_end = find_either(rest, 0, b'=', b' ');
        if *rest.get(name_end)? == b' ' {
            rest = &rest[name_end..];
            continue;
        }
        let (name, tail) = (&rest[..name_end], &rest[name_end + 1..]);
        let end = match tail.first() {
            // auditd escapes no quote within: a name with one is written in hex.
            Some(b'"') => (find(tail, 1, b'"') + 1).min(tail.len()),
            _ => find(tail, 0, b' '),
        };
        rest = &tail[end..];
        return Some((name, &tail[..end]));
    })
}

struct Scanner<'a, 'f> {
    text: &'a [u8],
    /// The text and what follows it.
    begun: &'a [u8],
    at: usize,
    fields: &'f mut Vec<Field<'a>>,
    layout: &'f mut Layout,
    record_type: Option<&'static RecordType>,
    /// Within `msg='…'`.
    nested: bool,
    /// Within a group in parentheses there.
    grouped: bool,
    truncated: bool,
}

impl<'a> Scanner<'a, '_> {
    fn run(&mut self) {
        self.skip_spaces();
        if self.text[self.at..].starts_with(b"avc:") {
            self.avc();
        }
        loop {
            self.skip_spaces();
            let rest = &self.text[self.at..];
            if rest.is_empty() {
                return;
            }
            // A name cannot go on behind the text's end: what ends it is within the text.
            if let Some(&Expected { length, meaning, .. }) = self.layout.find(self.fields.len(), &self.begun[self.at..])
            {
                if length < rest.len() {
                    self.at += length + 1;
                    self.value(&rest[..length], meaning);
                    continue;
                }
            }
            let stop = find_either(rest, 0, b'=', b' ');
            if rest.get(stop) == Some(&b'=') && stop > 0 {
                self.field(stop);
            } else {
                self.word(find(rest, 0, b' '));
            }
        }
    }

    fn skip_spaces(&mut self) {
        while self.text.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    fn field(&mut self, name_length: usize) {
        let mut name = &self.text[self.at..self.at + name_length];
        self.at += name_length + 1;
        if self.nested && name.len() > 1 && name[0] == b'(' {
            name = &name[1..];
            self.grouped = true;
            return self.value(name, Meaning::of(self.record_type, name));
        }
        let meaning = Meaning::of(self.record_type, name);
        self.layout.learn(self.fields.len(), name, meaning);
        self.value(name, meaning);
    }

    #[inline]
    fn value(&mut self, name: &'a [u8], meaning: Meaning) {
        let rest = &self.text[self.at..];
        match rest.first() {
            Some(b'"') => self.quoted(name, meaning, &rest[1..]),
            Some(b'\'') if name == b"msg" && !self.nested => self.nested_message(&rest[1..]),
            _ => {
                let end = find(rest, 0, b' ');
                self.at += end;
                let value = if self.grouped { self.strip_decoration(&rest[..end]) } else { &rest[..end] };
                self.fields.push(Field { name, value, form: Form::Bare, meaning });
            }
        }
    }

    /// Takes the comma off a value in a group, or the parenthesis that ends the group.
    fn strip_decoration(&mut self, value: &'a [u8]) -> &'a [u8] {
        if let Some(last) = value.strip_suffix(b")").filter(|_| !value.starts_with(b"(")) {
            self.grouped = false;
            return last;
        }
        value.strip_suffix(b",").unwrap_or(value)
    }

    fn quoted(&mut self, name: &'a [u8], meaning: Meaning, rest: &'a [u8]) {
        let mut end = 0;
        loop {
            end = find(rest, end, b'"');
            if end == rest.len() {
                break;
            }
            if matches!(rest.get(end + 1), None | Some(b' ' | b'\'' | b',' | b')' | b':')) {
                self.fields.push(Field { name, value: &rest[..end], form: Form::Quoted, meaning });
                self.at += end + 2;
                if self.nested && matches!(rest.get(end + 1), Some(b',' | b')' | b':')) {
                    self.at += 1;
                }
                return;
            }
            end += 1;
        }
        self.fields.push(Field { name, value: rest, form: Form::Truncated, meaning });
        self.truncated = true;
        self.at = self.text.len();
    }

    fn nested_message(&mut self, rest: &'a [u8]) {
        let end = memrchr(b'\'', rest);
        self.truncated |= end.is_none();
        let (inner, after) = end.map_or((rest, rest.len() + 1), |end| (&rest[..end], end + 2));
        let mut scanner = Scanner {
            text: inner,
            begun: rest,
            at: 0,
            fields: self.fields,
            layout: self.layout,
            record_type: self.record_type,
            nested: true,
            grouped: false,
            truncated: false,
        };
        scanner.run();
        self.truncated |= scanner.truncated;
        self.at += after;
    }

    fn word(&mut self, length: usize) {
        let (start, end) = (self.at, self.at + length);
        let word = &self.text[start..end];
        self.at = end;
        if word.iter().all(|b| matches!(b, b':' | b',' | b'(' | b')')) {
            return;
        }
        let parenthesised = word[0] == b'(' && word[length - 1] == b')';
        let (text, nested) = (self.text, self.nested);
        if let Some(last) = self.fields.last_mut() {
            let joins = match last.form {
                Form::Words => true,
                Form::Bare => nested || parenthesised,
                Form::Quoted | Form::Truncated | Form::CutBare | Form::Permissions => false,
            };
            // The value's own bytes end where the spaces before this word begin, unless decoration was stripped.
            if let Some(value_start) = joins.then(|| offset_within(text, last.value)).flatten() {
                let between = &text[value_start + last.value.len()..start];
                if between.iter().all(|&b| b == b' ') {
                    last.value = &text[value_start..end];
                    return;
                }
            }
        }
        self.fields.push(Field { name: b"", value: word, form: Form::Words, meaning: Meaning::Unknown });
    }

    /// A field whose name is ours.
    fn own(&mut self, name: &'static [u8], value: &'a [u8], form: Form) {
        let meaning = Meaning::of(self.record_type, name);
        self.fields.push(Field { name, value, form, meaning });
    }

    fn avc(&mut self) {
        self.at += b"avc:".len();
        self.skip_spaces();
        let rest = &self.text[self.at..];
        let end = memchr(b' ', rest).unwrap_or(rest.len());
        // libselinux also writes fields right behind `avc:`.
        if end == 0 || memchr(b'=', &rest[..end]).is_some() {
            return;
        }
        self.own(b"seresult", &rest[..end], Form::Quoted);
        self.at += end;
        self.skip_spaces();
        let rest = &self.text[self.at..];
        if let (Some(b'{'), Some(close)) = (rest.first(), memchr(b'}', rest)) {
            self.own(b"seperms", &rest[1..close], Form::Permissions);
            self.at += close + 1;
            self.skip_spaces();
            if self.text[self.at..].starts_with(b"for ") {
                self.at += b"for".len();
            }
        }
    }
}

/// Where `part` begins in `whole`, if it is a part of it.
fn offset_within(whole: &[u8], part: &[u8]) -> Option<usize> {
    (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize).filter(|&at| at + part.len() <= whole.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8]) -> Vec<(String, String, Form)> {
        let mut fields = Vec::new();
        let mut layout = Layout::default();
        let body = Body { record_type: None, own: text, begun: text };
        tokenize(body, &mut layout, &mut fields);
        // What was learnt changes nothing, whatever follows.
        let mut longer = text.to_vec();
        longer.extend_from_slice(b"a=1 b=2 c=3 d=4 e=5");
        let (mut again, body) = (Vec::new(), Body { own: &longer[..text.len()], begun: &longer, ..body });
        tokenize(body, &mut layout, &mut again);
        let plain = |fields: &[Field<'_>]| {
            format!("{:?}", fields.iter().map(|f| (f.name, f.value, f.form)).collect::<Vec<_>>())
        };
        assert_eq!(plain(&again), plain(&fields));
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        fields.iter().map(|f| (text(f.name), text(f.value), f.form)).collect()
    }

    fn cut<'a>(text: &'a [u8], fields: &mut Vec<Field<'a>>) -> bool {
        tokenize(Body { record_type: None, own: text, begun: text }, &mut Layout::default(), fields)
    }

    fn pairs(text: &[u8]) -> Vec<String> {
        shown(text).into_iter().map(|(name, value, _)| format!("{name}={value}")).collect()
    }

    #[test]
    fn kernel_records() {
        assert_eq!(
            shown(b" item=0 name=\"/tmp/a b\" inode=1 nametype=NORMAL"),
            [
                ("item".into(), "0".into(), Form::Bare),
                ("name".into(), "/tmp/a b".into(), Form::Quoted),
                ("inode".into(), "1".into(), Form::Bare),
                ("nametype".into(), "NORMAL".into(), Form::Bare),
            ]
        );
    }

    #[test]
    fn a_message_within_a_record() {
        assert_eq!(
            pairs(b" pid=1 msg='op=adding group to /etc/group id=27 reason=\"it's odd\" acct=\"it's\" res=success'"),
            ["pid=1", "op=adding group to /etc/group", "id=27", "reason=it's odd", "acct=it's", "res=success"]
        );
        assert_eq!(
            pairs(b" user pid=1 uid=0 msg='PAM: accounting acct=root : exe=\"/usr/sbin/crond\" (hostname=?, addr=?, terminal=cron res=success)'"),
            ["=user", "pid=1", "uid=0", "=PAM: accounting", "acct=root", "exe=/usr/sbin/crond", "hostname=?", "addr=?", "terminal=cron", "res=success"]
        );
        assert_eq!(
            pairs(b" msg='val=a=b=c empty= trail=1, paren=(3) last=(null)'"),
            ["val=a=b=c", "empty=", "trail=1,", "paren=(3)", "last=(null)"]
        );
    }

    #[test]
    fn marks_at_the_end_of_a_value_are_part_of_it() {
        assert_eq!(
            pairs(b" msg='addr=2001:db8:: acct=foo: exe=/a/b) list=a,'"),
            ["addr=2001:db8::", "acct=foo:", "exe=/a/b)", "list=a,"]
        );
    }

    #[test]
    fn access_vectors() {
        assert_eq!(
            pairs(b" avc:  denied  { read write } for  pid=10 comm=\"a b\" tclass=file"),
            ["seresult=denied", "seperms= read write ", "pid=10", "comm=a b", "tclass=file"]
        );
        assert_eq!(
            pairs(b" msg='avc:  received policyload notice (seqno=2) exe=\"/x\"'"),
            ["seresult=received", "=policyload notice", "seqno=2", "exe=/x"]
        );
        assert_eq!(pairs(b" msg='avc:  op=setenforce lsm=selinux res=1'"), ["op=setenforce", "lsm=selinux", "res=1"]);
    }

    #[test]
    fn words_are_kept() {
        assert_eq!(pairs(b" netlabel: auid=0"), ["=netlabel:", "auid=0"]);
        assert_eq!(
            pairs(b" subj=docker-default (enforce) key=(null)"),
            ["subj=docker-default (enforce)", "key=(null)"]
        );
        assert_eq!(pairs(b" msg='hello world no fields'"), ["=hello world no fields"]);
        assert_eq!(pairs(b" =x a=1"), ["==x", "a=1"]);
    }

    #[test]
    fn what_was_cut_off_is_said() {
        let mut fields = Vec::new();
        assert!(cut(b" pid=5 msg='op=open acct=\"roo", &mut fields));
        assert_eq!(fields.last().unwrap().form, Form::Truncated);
        fields.clear();
        assert!(cut(b" pid=5 msg='op=open", &mut fields));
        fields.clear();
        assert!(!cut(b" pid=5 msg='op=open'", &mut fields));
    }

    #[test]
    fn the_first_separator_ends_the_record() {
        let (own, enriched) = split_enriched(b" a=1\x1dAUID=\"x y\" UID=root \x1dUID=\"forged\"");
        assert_eq!(own, b" a=1");
        let all: Vec<_> = enriched_pairs(enriched).collect();
        assert_eq!(all[0], (&b"AUID"[..], &b"\"x y\""[..]));
        assert_eq!(all[1], (&b"UID"[..], &b"root"[..]));
        assert_eq!(all[2].0, b"\x1dUID");
    }
}
