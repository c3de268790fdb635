//! What auditd wrote beside a record (`log_format = ENRICHED`): names for its ids.

use crate::fields::enriched_pairs;

/// Names that auditd adds to one record: a SYSCALL record has 11. Past it somebody plays games, and names are left out.
const MAX_NAMES: usize = 64;
/// auditd adds these, too; we name them ourselves, and nobody asks.
const NOT_ASKED: [&[u8]; 2] = [b"ARCH", b"SYSCALL"];

#[derive(Debug, Default)]
pub struct Enriched<'a> {
    pairs: Vec<(&'a [u8], &'a [u8])>,
    /// Bit n: pair n has been taken.
    taken: u64,
    /// All before this one were taken.
    first: usize,
}

impl<'a> Enriched<'a> {
    /// With the memory of one that is no longer needed.
    pub fn with_memory_of(earlier: Enriched<'_>) -> Self {
        Self { pairs: super::emptied(earlier.pairs), taken: 0, first: 0 }
    }

    pub fn clear(&mut self) {
        self.pairs.clear();
        self.taken = 0;
        self.first = 0;
    }

    /// Reads what stands behind the separator.
    pub fn read(&mut self, text: &'a [u8]) {
        self.clear();
        self.pairs.extend(enriched_pairs(text).take(MAX_NAMES).filter(|(name, _)| !NOT_ASKED.contains(name)));
    }

    /// The value for a field: the first of that name that no field has taken. Repeated fields have repeated names there,
    /// in the same order.
    pub fn take(&mut self, field: &[u8]) -> Option<&'a [u8]> {
        let is_free = |index: usize| self.taken >> index & 1 == 0;
        let index =
            (self.first..self.pairs.len()).find(|&index| is_free(index) && is_same(self.pairs[index].0, field))?;
        self.taken |= 1 << index;
        while self.first < self.pairs.len() && self.taken >> self.first & 1 == 1 {
            self.first += 1;
        }
        Some(self.pairs[index].1)
    }
}

fn is_same(name: &[u8], field: &[u8]) -> bool {
    name.len() == field.len() && name.eq_ignore_ascii_case(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_once_and_in_their_order() {
        let mut enriched = Enriched::default();
        enriched.read(b"ARCH=x86_64 UID=\"a\" GID=\"b\" UID=\"c\" EUID=\"d\"");
        assert_eq!(enriched.take(b"euid"), Some(&b"\"d\""[..]));
        assert_eq!(enriched.take(b"uid"), Some(&b"\"a\""[..]));
        assert_eq!(enriched.take(b"uid"), Some(&b"\"c\""[..]));
        assert_eq!(enriched.take(b"uid"), None);
        assert_eq!(enriched.take(b"gid"), Some(&b"\"b\""[..]));
        enriched.read(b"UID=\"e\"");
        assert_eq!(enriched.take(b"uid"), Some(&b"\"e\""[..]));
    }

    #[test]
    fn there_may_be_more_than_anybody_needs() {
        let text = "UID=\"a\" ".repeat(100);
        let mut enriched = Enriched::default();
        enriched.read(text.as_bytes());
        assert_eq!((0..100).filter(|_| enriched.take(b"uid").is_some()).count(), MAX_NAMES);
    }
}
