//! What has no place of its own, or found it taken: `auditd.records`.

use pyaudit_knowledge::field;

use super::{Current, Decoder};
use crate::document::{RestField, RestRecord, Suffix, Text};
use crate::fields::{Field, Form};
use crate::layout::Meaning;

impl<'a> Decoder<'a, '_> {
    /// Keeps a field that has no place, with its value as far as it is known how to read it.
    pub(super) fn rest(&mut self, current: Current<'a>, name: &'a [u8], value: &'a [u8], form: Form) {
        // Most sites have none, so most names need not be hashed.
        let own = || if self.setting.fields.is_empty() { None } else { self.setting.fields.get(name).copied() };
        let known = field(current.type_name, name).map(|known| known.kind).or_else(own);
        let Some(kind) = known.filter(|_| form != Form::Words) else {
            let name = self.name_item(if form == Form::Words { b"text" } else { name });
            let value = self.raw_item(value);
            self.rest_item(current.position, name, value, Suffix::None, None);
            return;
        };
        let item = self.readable(value, form, kind);
        let mut words = Vec::new();
        self.field_words(kind, value, &mut words);
        let decoded = self.joined(&words);
        let field = self.name_item(name);
        self.rest_item(current.position, field, item, Suffix::None, decoded);
        if !self.setting.fields.is_empty() && self.setting.fields.contains_key(name) {
            let field = Field { name, value, form, meaning: Meaning::Unknown };
            if let Some(name) = self.id_name(&field, kind, None) {
                let field = self.name_item(field.name);
                self.rest_item(current.position, field, name, Suffix::Name, None);
            }
        }
    }

    pub(super) fn rest_at(&mut self, position: usize, name: &[u8], value: &[u8]) {
        let item = self.document.keep(value);
        let name = self.name_item(name);
        self.rest_item(position, name, item, Suffix::None, None);
    }

    /// The name of a field. It is copied: names that the tokenizer gives (`seresult`) do not stand in the event.
    pub(super) fn name_item(&mut self, name: &[u8]) -> Text {
        self.document.keep(name)
    }

    pub(super) fn rest_item(
        &mut self,
        position: usize,
        name: Text,
        value: Text,
        suffix: Suffix,
        decoded: Option<Text>,
    ) {
        self.aside = true;
        let position = position as u32;
        if self.document.rest.last().is_none_or(|last| last.position != position) {
            let record_type = self.type_text(&self.event.records[position as usize]);
            self.document.rest.push(RestRecord { position, record_type, fields: Vec::new() });
        }
        if let Some(last) = self.document.rest.last_mut() {
            last.fields.push(RestField { name, value, suffix, decoded });
        }
    }
}
