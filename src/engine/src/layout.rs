//! The fields that records of a type have: the next record of a type mostly has the fields of the one before it, in the
//! same order, so what they are called and what is known of them need not be found out again.
//!
//! Nothing follows from a guess that is wrong: the name is read then, and expected the next time.

use pyaudit_knowledge::{field, path_field, record_type as types, Field as Known, RecordType};

/// Fields of one record that are remembered; a SYSCALL record has 28.
const MAX_FIELDS: usize = 48;
/// A name that is longer, with its `=`, is read each time.
const MAX_NAME: usize = 16;

/// What is known of a field of a record type.
#[derive(Clone, Copy, Debug)]
pub enum Meaning {
    Unknown,
    Field(&'static Known),
    /// A field of a PATH record: its index in `path_fields`.
    Path(u8),
}

impl Meaning {
    pub fn of(record_type: Option<&RecordType>, name: &[u8]) -> Self {
        if record_type.is_some_and(|known| known.number == types::PATH) {
            return path_field(name).map_or(Meaning::Unknown, |index| Meaning::Path(index as u8));
        }
        field(record_type.map_or("", |known| known.name), name).map_or(Meaning::Unknown, Meaning::Field)
    }
}

/// A field, by how it is written.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The name and `=`, and which bits of them count.
    text: u128,
    mask: u128,
    /// Bytes of the name.
    pub length: usize,
    pub meaning: Meaning,
}

/// The fields of the last record of a type.
#[derive(Debug, Default)]
pub struct Layout {
    expected: Vec<Expected>,
}

impl Layout {
    /// The field that comes at a position, if a text begins with its name and `=`.
    #[inline]
    pub fn find(&self, position: usize, text: &[u8]) -> Option<&Expected> {
        let expected = self.expected.get(position)?;
        let begun = u128::from_le_bytes(*text.first_chunk::<MAX_NAME>()?);
        if (begun ^ expected.text) & expected.mask == 0 {
            Some(expected)
        } else {
            None
        }
    }

    /// Expects a field at a position from now on.
    pub fn learn(&mut self, position: usize, name: &[u8], meaning: Meaning) {
        if name.len() >= MAX_NAME || position > self.expected.len() || position >= MAX_FIELDS {
            return;
        }
        let mut text = [0; MAX_NAME];
        text[..name.len()].copy_from_slice(name);
        text[name.len()] = b'=';
        let mask = u128::MAX >> (8 * (MAX_NAME - 1 - name.len()));
        let expected = Expected { text: u128::from_le_bytes(text), mask, length: name.len(), meaning };
        match self.expected.get_mut(position) {
            Some(there) => *there = expected,
            None => self.expected.push(expected),
        }
    }
}

/// The layouts of all record types, and one for those that have no name.
#[derive(Debug, Default)]
pub struct Layouts {
    layouts: Vec<Layout>,
}

impl Layouts {
    pub fn of(&mut self, record_type: Option<&RecordType>) -> &mut Layout {
        let index = record_type.map_or(0, |known| usize::from(known.index) + 1);
        if index >= self.layouts.len() {
            self.layouts.resize_with(index + 1, Layout::default);
        }
        &mut self.layouts[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyaudit_knowledge::record_type_of_name;

    #[test]
    fn a_field_is_found_where_it_was() {
        let mut layout = Layout::default();
        for (position, name) in [&b"a"[..], b"uid", b"fifteen-letters"].into_iter().enumerate() {
            layout.learn(position, name, Meaning::of(None, name));
        }
        let length = |position, text: &[u8]| layout.find(position, text).map(|found| found.length);
        assert_eq!(length(0, b"a=0 uid=0 0123456789"), Some(1));
        assert_eq!(length(1, b"uid=0 0123456789"), Some(3));
        assert_eq!(length(2, b"fifteen-letters=1"), Some(15));
        assert!(layout.find(1, b"uid=0 0123456789").is_some_and(|found| matches!(found.meaning, Meaning::Field(_))));
        // Another name, a longer one, a text that ends before it can be compared.
        assert_eq!(length(1, b"gid=0 0123456789"), None);
        assert_eq!(length(0, b"ab=0 0123456789a"), None);
        assert_eq!(length(0, b"a=0"), None);
        assert_eq!(length(3, b"a=0 0123456789abc"), None);
    }

    #[test]
    fn what_is_learnt_is_bounded() {
        let mut layout = Layout::default();
        layout.learn(0, b"sixteen-letters-", Meaning::Unknown);
        layout.learn(1, b"a", Meaning::Unknown);
        assert!(layout.expected.is_empty());
        (0..2 * MAX_FIELDS).for_each(|position| layout.learn(position, b"a", Meaning::Unknown));
        assert_eq!(layout.expected.len(), MAX_FIELDS);
    }

    #[test]
    fn a_path_has_fields_of_its_own() {
        let path = record_type_of_name(b"PATH");
        assert!(matches!(Meaning::of(path, b"name"), Meaning::Path(_)));
        assert!(matches!(Meaning::of(path, b"pid"), Meaning::Unknown));
        assert!(matches!(Meaning::of(None, b"pid"), Meaning::Field(_)));
        let mut layouts = Layouts::default();
        layouts.of(path).learn(0, b"a", Meaning::Unknown);
        assert!(layouts.of(None).expected.is_empty());
        assert_eq!(layouts.of(path).expected.len(), 1);
    }
}
