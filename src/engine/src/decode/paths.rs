//! PATH records: an object of `auditd.paths` each.

use pyaudit_knowledge::{path_fields, Kind};

use super::known_paths::{Body, Circumstances, Found};
use super::values::{is_unset_id, is_unset_text};
use super::{context, Current, Decoder, Turn, Workspace};
use crate::document::Suffix;
use crate::fields::Field;
use crate::header::decimal;
use crate::layout::Meaning;
use crate::path_object::{PathKey, PathObject};

impl<'a> Decoder<'a, '_> {
    /// Reads a PATH record, unless one with the same bytes was read before.
    pub(super) fn path_record(&mut self, turn: Turn, workspace: &mut Workspace, fields: &mut Vec<Field<'a>>) {
        let record = &self.event.records[turn.index];
        let names = self.asks_names().then(|| self.names.version());
        let circumstances = Circumstances { family: self.family(), names };
        let at = record.body as usize;
        let body = Body { bytes: &self.event.bytes[at..record.line.1 as usize], at, circumstances };
        let again = match workspace.known_paths.find(body, self.document) {
            Found::Known(object) => {
                let item = object.item.filter(|item| u32::try_from(*item).is_ok());
                self.highest_item = self.highest_item.max(item);
                return self.document.end_path(object);
            }
            Found::Again => true,
            Found::New => false,
        };
        let (missing, made_at) = (self.missing.len(), self.document.pool.len());
        self.aside = false;
        self.record(turn, workspace, fields);
        if again && !self.aside && self.missing.len() == missing {
            if let Some(object) = self.document.paths().last() {
                workspace.known_paths.keep(body, self.document, object, made_at);
            }
        }
    }

    pub(super) fn path(&mut self, current: Current<'a>, fields: &[Field<'a>]) {
        let mut path = self.document.begin_path();
        let mut seen = 0_u32;
        for field in fields {
            match field.meaning {
                Meaning::Path(index) if seen >> index & 1 == 0 => {
                    let before = path.entries.len();
                    self.path_value(field, index, &mut path);
                    seen |= u32::from(path.entries.len() > before) << index;
                }
                _ => self.rest(current, field.name, field.value, field.form),
            }
        }
        path.end(self.document);
        self.document.end_path(path);
    }

    /// One value of a PATH record.
    fn path_value(&mut self, field: &Field<'a>, index: u8, path: &mut PathObject) {
        let kind = path_fields()[usize::from(index)].kind;
        let is_id = matches!(kind, Kind::Uid | Kind::Gid);
        let enriched = if is_id { self.enriched.take(field.name) } else { None };
        let key = |suffix| PathKey { index, suffix };
        if is_unset_text(field) || is_id && is_unset_id(field.value) {
            self.mark_unset(field.name);
            return;
        }
        if kind == Kind::Context {
            if let Some(parts) = context::parse(field.value) {
                for (suffix, part) in [
                    (Suffix::User, Some(parts.user)),
                    (Suffix::Role, Some(parts.role)),
                    (Suffix::Domain, Some(parts.domain)),
                    (Suffix::Level, parts.level),
                    (Suffix::Category, parts.category),
                ] {
                    path.entries.extend(part.map(|part| (key(suffix), self.raw_item(part))));
                }
                return;
            }
        }
        if field.name == b"item" {
            self.highest_item = self.highest_item.max(decimal(field.value, u64::from(u32::MAX)));
        }
        let item = self.readable(field.value, field.form, kind);
        path.entries.push((key(Suffix::None), item));
        path.entries.extend(self.id_name(field, kind, enriched).map(|name| (key(Suffix::Name), name)));
        if let Kind::Values(_) = kind {
            let mut words = Vec::new();
            self.field_words(kind, field.value, &mut words);
            path.entries.extend(self.joined(&words).map(|text| (key(Suffix::Decoded), text)));
        }
    }
}
