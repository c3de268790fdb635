//! The syscall of an event: what its arguments mean, and which one socketcall() and ipc() stand for.

use pyaudit_knowledge::place;

use super::{hex, Current, Decoder};
use crate::document::Suffix;
use crate::fields::Field;

impl<'a> Decoder<'a, '_> {
    /// Reads the arguments of the syscall, and which one socketcall() and ipc() stand for.
    pub(super) fn call(&mut self) {
        let Some(call) = self.call else { return };
        self.call_arguments(call);
        if matches!(call.name, "socketcall" | "ipc") {
            let meant = self.document.list(place::AUDITD_DECODED_A0).first().copied().flatten();
            let meant = meant.and_then(|item| pyaudit_knowledge::syscall(self.document.as_word(item)?));
            self.nested = meant;
            self.call = meant.or(self.call);
        }
    }

    /// The arguments of the call that socketcall() was told to make, which would be a0 to a3 of another machine.
    pub(super) fn socketcall(&mut self, current: Current<'a>, fields: &[Field<'a>]) {
        let raw = [&b"a0"[..], b"a1", b"a2", b"a3"].map(|name| {
            let field = fields.iter().find(|field| field.name == name)?;
            hex::number(field.value)
        });
        let decoded = match self.nested {
            Some(call) => self.nested_arguments(call, raw),
            None => [None; 4],
        };
        for field in fields {
            let index = [&b"a0"[..], b"a1", b"a2", b"a3"].iter().position(|name| *name == field.name);
            match index.and_then(|index| decoded[index]) {
                Some(words) => {
                    let value = self.raw_item(field.value);
                    let name = self.name_item(field.name);
                    self.rest_item(current.position, name, value, Suffix::None, Some(words));
                }
                None => self.field(current, field),
            }
        }
    }
}
