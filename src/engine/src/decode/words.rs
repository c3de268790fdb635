//! What numbers mean, in words: flags, modes, the arguments of syscalls, keys that were typed.

use pyaudit_knowledge::{
    place, Argument, Base, Kind, Place, Syscall, Values, FILE_TYPES, FILE_TYPE_MASK, PERMISSIONS_MASK,
};

use super::{hex, Decoder};
use crate::document::Text;
use crate::header::decimal;
use crate::names::{Found, NameKind};

/// Where the meaning of a0 to a3 goes.
const DECODED: [Place; 4] =
    [place::AUDITD_DECODED_A0, place::AUDITD_DECODED_A1, place::AUDITD_DECODED_A2, place::AUDITD_DECODED_A3];
/// (uid_t)-1: leave the id as it is.
const UNSET: u64 = 0xffff_ffff;

/// A number as a field of this base writes it.
pub(super) fn parse(base: Base, text: &[u8]) -> Option<u64> {
    let octal = |text: &[u8]| {
        let digit = |value: u64, byte: &u8| value.checked_mul(8)?.checked_add(u64::from(byte.wrapping_sub(b'0')));
        let digits = !text.is_empty() && text.iter().all(|byte| (b'0'..=b'7').contains(byte));
        digits.then_some(text)?.iter().try_fold(0, digit)
    };
    match base {
        Base::Error => decimal(text.strip_prefix(b"-").unwrap_or(text), u64::MAX),
        Base::Hex => hex::number(text),
        Base::Octal => octal(text),
        Base::Prefixed if text.starts_with(b"0x") => hex::number(text),
        Base::Prefixed if text.len() > 1 && text[0] == b'0' => octal(text),
        Base::Decimal | Base::Prefixed => decimal(text, u64::MAX),
    }
}

impl Decoder<'_, '_> {
    pub(super) fn family(&self) -> usize {
        self.arch.map_or(0, |arch| arch.family)
    }

    /// The name that takes a number's place.
    pub(super) fn number_name(&self, values: &Values, text: &[u8]) -> Option<&'static str> {
        values.name_of(self.family(), parse(values.base, text)?)
    }

    /// What a field's value means, appended to `words`; nothing where that is not known.
    pub(super) fn field_words(&mut self, kind: Kind, value: &[u8], words: &mut Vec<Text>) {
        match kind {
            Kind::Values(values) => {
                if let Some(number) = parse(values.base, value) {
                    self.value_words(values, number, words);
                }
            }
            Kind::Mode => {
                if let Some(mode) = parse(Base::Octal, value) {
                    self.mode_words(mode, words);
                }
            }
            Kind::Keystrokes if hex::is_hex(value) => self.keystrokes(value, words),
            _ => {}
        }
    }

    fn value_words(&mut self, values: &Values, number: u64, words: &mut Vec<Text>) {
        let family = self.family();
        let document = &mut *self.document;
        if let Some(left) = values.names(family, number, |name| words.push(document.word(name))) {
            if left != 0 {
                let item = self.made(format!("{left:#x}").as_bytes());
                words.push(item);
            }
        }
    }

    /// Text that is made here, and is UTF-8.
    pub(super) fn made(&mut self, text: &[u8]) -> Text {
        self.document.made(text)
    }

    fn mode_words(&mut self, mode: u64, words: &mut Vec<Text>) {
        if let Some((_, name, _)) = FILE_TYPES.iter().find(|(bits, ..)| *bits == mode & FILE_TYPE_MASK) {
            words.push(self.document.word(name));
        }
        let permissions = self.made(format!("{:04o}", mode & PERMISSIONS_MASK).as_bytes());
        words.push(permissions);
    }

    /// Keys by name in angle brackets, what else was typed as it is.
    fn keystrokes(&mut self, value: &[u8], words: &mut Vec<Text>) {
        let mut typed = Vec::new();
        hex::decode(value, &mut typed);
        let (mut at, mut plain) = (0, 0);
        while at < typed.len() {
            let first = typed[at];
            // Keys send control characters; what is printed is searched for nothing.
            let key = if (0x20..0x7f).contains(&first) { None } else { pyaudit_knowledge::key(&typed[at..]) };
            let (length, name) = match key {
                Some((length, name)) => (length, format!("<{name}>")),
                None if first < 0x20 => (1, format!("<^{}>", char::from(first + b'@'))),
                None => {
                    at += 1;
                    continue;
                }
            };
            self.typed(&typed[plain..at], words);
            let item = self.made(name.as_bytes());
            words.push(item);
            at += length;
            plain = at;
        }
        self.typed(&typed[plain..], words);
    }

    fn typed(&mut self, bytes: &[u8], words: &mut Vec<Text>) {
        if !bytes.is_empty() {
            let text = self.document.keep(bytes);
            words.push(text);
        }
    }

    /// Says what the arguments of the event's syscall mean.
    pub(super) fn call_arguments(&mut self, call: &'static Syscall) {
        let raw = [place::AUDITD_DATA_A0, place::AUDITD_DATA_A1, place::AUDITD_DATA_A2, place::AUDITD_DATA_A3]
            .map(|at| hex::number(self.document.text_at(at)?));
        let mut words = std::mem::take(&mut self.words);
        for with_condition in [false, true] {
            for argument in call.arguments.iter().filter(|argument| argument.when.is_some() == with_condition) {
                let at = DECODED[usize::from(argument.index)];
                let holds = |(index, names): &(u8, &[&str])| {
                    let list = self.document.list(DECODED[usize::from(*index)]);
                    list.iter().flatten().any(|item| self.document.is_one_of(*item, names))
                };
                if self.document.has(at) || !argument.when.as_ref().is_none_or(holds) || !argument.on.holds(self.arch) {
                    continue;
                }
                if let Some(number) = raw[usize::from(argument.index)] {
                    words.clear();
                    self.argument_words(call, argument, number, &mut words);
                    self.document.put_list(at, &words);
                }
            }
        }
        self.words = words;
    }

    /// What the arguments of a SOCKETCALL record mean: those of the call that socketcall() was told to make.
    pub(super) fn nested_arguments(&mut self, call: &'static Syscall, raw: [Option<u64>; 4]) -> [Option<Text>; 4] {
        let mut lists: [Vec<Text>; 4] = [const { Vec::new() }; 4];
        for with_condition in [false, true] {
            for argument in call.arguments.iter().filter(|argument| argument.when.is_some() == with_condition) {
                let at = usize::from(argument.index);
                let holds = |(index, names): &(u8, &[&str])| {
                    lists[usize::from(*index)].iter().any(|item| self.document.is_one_of(*item, names))
                };
                let Some(number) = raw[at].filter(|_| lists[at].is_empty()) else { continue };
                if argument.when.as_ref().is_none_or(holds) {
                    let mut words = std::mem::take(&mut lists[at]);
                    self.argument_words(call, argument, number, &mut words);
                    lists[at] = words;
                }
            }
        }
        lists.map(|words| self.joined(&words))
    }

    fn argument_words(&mut self, call: &Syscall, argument: &Argument, number: u64, words: &mut Vec<Text>) {
        match argument.kind {
            Kind::Values(values) | Kind::Name(values) => self.value_words(values, number, words),
            Kind::Mode => self.mode_words(number, words),
            Kind::Uid => self.id_word(call, number, NameKind::User, words),
            Kind::Gid => self.id_word(call, number, NameKind::Group, words),
            Kind::Decimal => {
                // An int; what the register holds above it says nothing.
                let item = self.made((number as u32 as i32).to_string().as_bytes());
                words.push(item);
            }
            _ => {}
        }
    }

    /// A user or group by name, else by number.
    fn id_word(&mut self, call: &Syscall, number: u64, kind: NameKind, words: &mut Vec<Text>) {
        let has_16_bits = self.arch.is_some_and(|arch| arch.has_16_bit_ids(call.name));
        let mask = if has_16_bits { UNSET >> 16 } else { UNSET };
        let id = number & mask;
        if id == mask {
            words.push(self.document.word("unset"));
            return;
        }
        let item = self.asked_name(id as u32, kind);
        let item = item.unwrap_or_else(|| self.made(id.to_string().as_bytes()));
        words.push(item);
    }

    /// Whether names may be asked for: those of another host nobody here knows.
    pub(super) fn asks_names(&self) -> bool {
        self.setting.ask_names && self.setting.origin.foreign.is_none()
    }

    /// The name of a user or group, if it was asked for and is known; the event may wait for it.
    pub(super) fn asked_name(&mut self, id: u32, kind: NameKind) -> Option<Text> {
        if !self.asks_names() {
            return None;
        }
        match self.names.find(kind, id) {
            Found::Name(name) => Some(self.document.made(name.as_bytes())),
            Found::None => None,
            Found::Wait => {
                self.missing.push((kind, id));
                None
            }
        }
    }

    /// Words as one text, where a list has no place.
    pub(super) fn joined(&mut self, words: &[Text]) -> Option<Text> {
        if words.is_empty() {
            return None;
        }
        let start = self.document.pool.len();
        for (i, item) in words.iter().enumerate() {
            if i > 0 {
                self.document.pool.push(b'|');
            }
            self.append(*item);
        }
        Some(self.document.kept_since(start))
    }

    /// Appends the bytes of a text to what is being made.
    pub(super) fn append(&mut self, item: Text) {
        self.document.append(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_base() {
        assert_eq!(parse(Base::Decimal, b"12"), Some(12));
        assert_eq!((parse(Base::Error, b"-13"), parse(Base::Error, b"13")), (Some(13), Some(13)));
        assert_eq!(parse(Base::Hex, b"0000003fffffffff"), Some(0x3f_ffff_ffff));
        assert_eq!(parse(Base::Octal, b"0100644"), Some(0o100_644));
        assert_eq!(parse(Base::Prefixed, b"0x241"), Some(0x241));
        assert_eq!(parse(Base::Prefixed, b"02"), Some(2));
        assert_eq!(parse(Base::Prefixed, b"0"), Some(0));
        for (base, text) in [
            (Base::Decimal, &b"x"[..]),
            (Base::Decimal, b"-1"),
            (Base::Error, b"--1"),
            (Base::Octal, b"8"),
            (Base::Octal, b""),
            (Base::Hex, b"q"),
            (Base::Prefixed, b""),
        ] {
            assert_eq!(parse(base, text), None);
        }
        assert_eq!(parse(Base::Octal, b"7777777777777777777777777"), None);
    }
}
