//! The arguments of a program, gathered from any number of EXECVE records.
//!
//! ```text
//! argc=3 a0="sh" a1=2D63 a2_len=20 a2[0]=6563686F20 a2[1]=68656C6C6F
//! ```
//! A long argument comes in pieces, over several records; hex pieces are joined before they are decoded. Records may
//! come in any order, so nothing is joined before all have been seen.

use crate::fields::Form;

/// Arguments that may be missing before a list full of nulls says less than the fields themselves.
const MAX_MISSING: u32 = 4096;

#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    argument: u32,
    number: u32,
    value: &'a [u8],
    form: Form,
}

#[derive(Debug, Default)]
pub struct Arguments<'a> {
    pieces: Vec<Piece<'a>>,
    /// `aN_len` by argument.
    lengths: Vec<(u32, &'a [u8])>,
    pub argc: Option<u32>,
}

/// What a field of an EXECVE record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Argument(u32),
    Piece(u32, u32),
    Length(u32),
}

/// Reads `a3`, `a3[1]`, `a3_len`.
pub fn name(text: &[u8]) -> Option<Name> {
    let rest = text.strip_prefix(b"a")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = |text: &[u8]| -> Option<u32> {
        (text.len() < 10).then(|| crate::header::decimal(text, u64::from(u32::MAX)))?.map(|n| n as u32)
    };
    let argument = number(&rest[..digits])?;
    match &rest[digits..] {
        b"" => Some(Name::Argument(argument)),
        b"_len" => Some(Name::Length(argument)),
        tail => {
            let piece = tail.strip_prefix(b"[")?.strip_suffix(b"]")?;
            Some(Name::Piece(argument, number(piece)?))
        }
    }
}

/// One argument, joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument<'p, 'a> {
    pub index: u32,
    pub pieces: &'p [Piece<'a>],
    /// A piece is missing or was cut off.
    pub cut: bool,
}

impl PartialEq for Piece<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.argument, self.number) == (other.argument, other.number)
    }
}
impl Eq for Piece<'_> {}

impl<'a> Arguments<'a> {
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.lengths.is_empty() && self.argc.is_none()
    }

    /// Takes a field.
    pub fn take(&mut self, name: Name, value: &'a [u8], form: Form) {
        match name {
            Name::Length(argument) => self.lengths.push((argument, value)),
            Name::Argument(argument) => self.pieces.push(Piece { argument, number: u32::MAX, value, form }),
            Name::Piece(argument, piece) => self.pieces.push(Piece { argument, number: piece, value, form }),
        }
    }

    /// Puts the pieces in order; returns what was there twice.
    pub fn sort(&mut self) -> Vec<(String, &'a [u8])> {
        self.pieces.sort_by_key(|p| (p.argument, p.number));
        let mut twice = Vec::new();
        self.pieces.dedup_by(|later, first| {
            let same = later.argument == first.argument && (later.number == first.number || later.number == u32::MAX);
            if same {
                twice.push((later.name(), later.value));
            }
            same
        });
        self.lengths.sort_by_key(|&(argument, _)| argument);
        self.lengths.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same && later.1 != first.1 {
                twice.push((format!("a{}_len", later.0), later.1));
            }
            same
        });
        twice
    }

    fn length(&self, argument: u32) -> Option<u64> {
        let found = self.lengths.binary_search_by_key(&argument, |&(a, _)| a).ok()?;
        crate::header::decimal(self.lengths[found].1, u64::MAX)
    }

    /// How many places the list has: all arguments that are there, and those that argc says should be.
    /// `None` if more are missing than a list should show.
    pub fn places(&self) -> Option<u32> {
        let highest = self.pieces.last().map_or(0, |p| p.argument + 1);
        let places = highest.max(self.argc.unwrap_or(0));
        let mut present = 0;
        let mut last = None;
        for piece in &self.pieces {
            if last != Some(piece.argument) {
                present += 1;
                last = Some(piece.argument);
            }
        }
        (places - present <= MAX_MISSING).then_some(places)
    }

    /// The arguments in order; call `sort` before.
    pub fn joined(&self) -> impl Iterator<Item = Argument<'_, 'a>> {
        self.pieces.chunk_by(|a, b| a.argument == b.argument).map(|pieces| {
            let index = pieces[0].argument;
            let in_row = pieces[0].number == u32::MAX || pieces.iter().enumerate().all(|(i, p)| p.number == i as u32);
            let length: usize = pieces.iter().map(|p| p.value.len()).sum();
            let expected = self.length(index);
            let cut = !in_row
                || pieces.iter().any(|p| matches!(p.form, Form::Truncated | Form::CutBare))
                || expected.is_some_and(|expected| expected != length as u64);
            Argument { index, pieces, cut }
        })
    }

    /// Every field as it came, for when they cannot be joined.
    pub fn raw(&self) -> impl Iterator<Item = (String, &'a [u8])> + '_ {
        self.pieces.iter().map(|p| (p.name(), p.value))
    }

    /// The `_len` of arguments of which no piece came.
    pub fn lone_lengths(&self) -> impl Iterator<Item = (String, &'a [u8])> + '_ {
        let alone = |argument: u32| self.pieces.binary_search_by_key(&argument, |p| p.argument).is_err();
        self.lengths.iter().filter(move |&&(a, _)| alone(a)).map(|&(a, length)| (format!("a{a}_len"), length))
    }
}

impl Piece<'_> {
    /// Pieces of hex may have an odd number of digits each; only what was cut off has so as a whole.
    fn is_hex(&self) -> bool {
        let digits = !self.value.is_empty() && self.value.iter().all(u8::is_ascii_hexdigit);
        digits
            && match self.form {
                Form::Bare => self.number != u32::MAX || super::hex::is_hex(self.value),
                Form::CutBare => true,
                _ => false,
            }
    }

    fn name(&self) -> String {
        if self.number == u32::MAX {
            format!("a{}", self.argument)
        } else {
            format!("a{}[{}]", self.argument, self.number)
        }
    }
}

impl<'a> Argument<'_, 'a> {
    /// The argument's text if it stands in the record as it is.
    pub fn plain(&self) -> Option<&'a [u8]> {
        match self.pieces {
            [one] if !one.is_hex() => Some(one.value),
            _ => None,
        }
    }

    /// Appends the argument's bytes.
    pub fn decode(&self, out: &mut Vec<u8>) {
        let hex = self.pieces.iter().all(Piece::is_hex);
        match self.pieces {
            [one] if hex => super::hex::decode(one.value, out),
            pieces if hex => super::hex::decode(&pieces.iter().map(|p| p.value).collect::<Vec<_>>().concat(), out),
            pieces => {
                for piece in pieces {
                    if piece.is_hex() {
                        super::hex::decode(piece.value, out);
                    } else {
                        out.extend_from_slice(piece.value);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments<'a>(fields: &[(&str, &'a str, Form)]) -> Arguments<'a> {
        let mut arguments = Arguments::default();
        for (field, value, form) in fields {
            arguments.take(name(field.as_bytes()).unwrap(), value.as_bytes(), *form);
        }
        arguments
    }

    fn texts(arguments: &Arguments<'_>) -> Vec<(u32, String, bool)> {
        let text = |a: Argument<'_, '_>| {
            let mut out = Vec::new();
            a.decode(&mut out);
            (a.index, String::from_utf8(out).unwrap(), a.cut)
        };
        arguments.joined().map(text).collect()
    }

    #[test]
    fn names() {
        assert_eq!(name(b"a0"), Some(Name::Argument(0)));
        assert_eq!(name(b"a12[3]"), Some(Name::Piece(12, 3)));
        assert_eq!(name(b"a12_len"), Some(Name::Length(12)));
        for other in [&b"argc"[..], b"a", b"a1x", b"a1[", b"a1[x]", b"a99999999999"] {
            assert_eq!(name(other), None);
        }
    }

    #[test]
    fn pieces_are_joined_whatever_their_order() {
        let mut split = arguments(&[
            ("a1[1]", "6C6C6F", Form::Bare),
            ("a0", "sh", Form::Quoted),
            ("a1_len", "10", Form::Bare),
            ("a1[0]", "6865", Form::Bare),
        ]);
        assert!(split.sort().is_empty());
        assert_eq!(texts(&split), [(0, "sh".into(), false), (1, "hello".into(), false)]);
    }

    #[test]
    fn a_missing_piece_is_noticed() {
        let mut split = arguments(&[("a1_len", "10", Form::Bare), ("a1[1]", "6C6C6F", Form::Bare)]);
        split.sort();
        assert_eq!(texts(&split), [(1, "llo".into(), true)]);
        split.argc = Some(4);
        assert_eq!(split.places(), Some(4));
    }

    #[test]
    fn a_boast_of_arguments_costs_nothing() {
        let mut one = arguments(&[("a0", "x", Form::Quoted)]);
        one.argc = Some(u32::MAX);
        assert_eq!(one.places(), None);
    }

    #[test]
    fn what_comes_twice_is_given_back() {
        let mut twice = arguments(&[("a0", "x", Form::Quoted), ("a0", "y", Form::Quoted)]);
        assert_eq!(twice.sort(), [("a0".to_owned(), &b"y"[..])]);
        let mut lengths =
            arguments(&[("a1_len", "4", Form::Bare), ("a1_len", "5", Form::Bare), ("a2_len", "6", Form::Bare)]);
        assert_eq!(lengths.sort(), [("a1_len".to_owned(), &b"5"[..])]);
        assert_eq!(lengths.lone_lengths().count(), 2);
    }
}
