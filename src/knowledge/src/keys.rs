//! Keys of documents, ready to be copied: a key is written some hundred times an event.

/// Bytes that are copied as a whole; only those that `length` counts are meant.
#[derive(Debug)]
#[repr(align(32))]
pub struct Block {
    /// The last one is the length of what is before it.
    bytes: [u8; Self::SIZE],
}

impl Block {
    /// Long enough for every key, its punctuation included; what is longer does not compile.
    pub const SIZE: usize = 32;

    #[inline]
    pub fn bytes(&self) -> &[u8; Self::SIZE] {
        &self.bytes
    }

    #[inline]
    pub fn length(&self) -> usize {
        // Says to the compiler what `new` made sure of.
        usize::from(self.bytes[Self::SIZE - 1] & 31)
    }

    const fn new(parts: [&[u8]; 4]) -> Self {
        let (mut bytes, mut length, mut part) = ([0; Self::SIZE], 0, 0);
        while part < parts.len() {
            let mut at = 0;
            while at < parts[part].len() {
                bytes[length] = parts[part][at];
                length += 1;
                at += 1;
            }
            part += 1;
        }
        assert!(length < Self::SIZE, "a key of a document is shorter");
        bytes[Self::SIZE - 1] = length as u8;
        Self { bytes }
    }
}

/// A key in both encodings.
#[derive(Debug)]
pub struct Key {
    /// Quoted, a comma before it and a colon behind.
    pub json: Block,
    /// With its head: a key is shorter than 32 bytes.
    pub msgpack: Block,
}

impl Key {
    /// The key made of a name and what is appended to it.
    pub const fn new(name: &str, suffix: &str) -> Self {
        let (name, suffix) = (name.as_bytes(), suffix.as_bytes());
        let length = name.len() + suffix.len();
        Self {
            json: Block::new([b",\"", name, suffix, b"\":"]),
            msgpack: Block::new([&[0xa0 | length as u8], name, suffix, b""]),
        }
    }
}

/// What can be appended to a key of `auditd.paths[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suffix {
    None,
    Name,
    User,
    Role,
    Domain,
    Level,
    Category,
    /// What the number means, in words.
    Decoded,
}

impl Suffix {
    pub const ALL: [Suffix; 8] = [
        Suffix::None,
        Suffix::Name,
        Suffix::User,
        Suffix::Role,
        Suffix::Domain,
        Suffix::Level,
        Suffix::Category,
        Suffix::Decoded,
    ];

    pub const fn text(self) -> &'static str {
        match self {
            Suffix::None => "",
            Suffix::Name => "_name",
            Suffix::User => "_user",
            Suffix::Role => "_role",
            Suffix::Domain => "_domain",
            Suffix::Level => "_level",
            Suffix::Category => "_category",
            Suffix::Decoded => "_decoded",
        }
    }

    /// A name with each of them.
    pub(crate) const fn keys(name: &str) -> [Key; 8] {
        let all = Suffix::ALL;
        [
            Key::new(name, all[0].text()),
            Key::new(name, all[1].text()),
            Key::new(name, all[2].text()),
            Key::new(name, all[3].text()),
            Key::new(name, all[4].text()),
            Key::new(name, all[5].text()),
            Key::new(name, all[6].text()),
            Key::new(name, all[7].text()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(block: &Block) -> &[u8] {
        &block.bytes[..block.length()]
    }

    #[test]
    fn a_key_is_written_as_each_encoding_writes_it() {
        let key = Key::new("ouid", "_name");
        assert_eq!(text(&key.json), b",\"ouid_name\":");
        assert_eq!(text(&key.msgpack), b"\xa9ouid_name");
    }

    #[test]
    fn each_suffix_has_its_key() {
        for (suffix, key) in Suffix::ALL.into_iter().zip(Suffix::keys("a")) {
            assert_eq!(text(&key.msgpack)[1..], *format!("a{}", suffix.text()).as_bytes());
            assert_eq!(Suffix::ALL[suffix as usize], suffix);
        }
    }
}
