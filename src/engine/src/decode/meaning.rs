//! What an event means: action, category, type, outcome. What it was done to and by whom is in `summary`.

use pyaudit_knowledge::{place, record_type as types, Account, Action, ActionRule, PathChoice, Peer, Place};

use super::{Decoder, Text};
use crate::document::Slot;
use crate::path_object::Nametype;

/// A connection that is being made: neither success nor failure yet.
const IN_PROGRESS: &[u8] = b"EINPROGRESS";
/// What a syscall event without a rule of its own is, as in auditbeat: rules that people have depend on it.
static DEFAULT: Action = Action {
    action: "",
    categories: &["process"],
    types: &["info"],
    object: "",
    actor: &[pyaudit_knowledge::Source::Field(place::USER_AUDIT_ID, place::USER_AUDIT_NAME)],
    actor_secondary: &[pyaudit_knowledge::Source::Field(place::USER_ID, place::USER_NAME)],
    how: &[],
    primary: &[],
    secondary: &[],
    path: PathChoice::Object,
    account: Account::None,
    peer: Peer::None,
};

impl Decoder<'_, '_> {
    pub(super) fn meaning(&mut self) -> Option<&'static Action> {
        let by_record = self.by_record();
        let by_call = self.call.map(|call| self.rule(call.actions).unwrap_or(&DEFAULT));
        let action = by_record.or(by_call.filter(|action| !action.action.is_empty())).or_else(|| self.fallback());
        if let Some(action) = action {
            self.document.put_static(place::EVENT_ACTION, action.action);
            self.classify(action);
        } else if let Some(call) = self.call {
            self.document.put_static(place::EVENT_ACTION, call.name);
        }
        // What seccomp kept from running did not do what it would have done.
        let by_call = by_call.filter(|_| !self.was_refused());
        // A record that means something of its own was written by a syscall that means something too.
        if let Some(by_call) = by_call.or_else(|| self.document.has(place::AUDITD_DATA_SYSCALL).then_some(&DEFAULT)) {
            self.classify(by_call);
        }
        if self.creates() {
            self.classify_as(place::EVENT_TYPE, "creation");
        }
        let outcome = self.outcome();
        self.document.put_static(place::EVENT_OUTCOME, outcome);
        let meant = action.or(by_call);
        if let Some(meant) = meant {
            self.summary(meant, by_call);
        }
        action
    }

    /// The rule that fits the fields that are there.
    fn rule(&self, rules: &'static [ActionRule]) -> Option<&'static Action> {
        let fits = |rule: &&ActionRule| match rule.when {
            None => true,
            Some((at, None)) => self.document.has(at),
            Some((at, Some(word))) => self.document.text_at(at) == Some(word.as_bytes()),
        };
        rules.iter().find(fits).map(|rule| &rule.action)
    }

    /// Whether seccomp answered in the syscall's place.
    fn was_refused(&self) -> bool {
        let code = self.document.text_at(place::AUDITD_DATA_CODE);
        self.event.records.iter().any(|record| record.number() == types::SECCOMP)
            && matches!(code, Some(b"kill_thread" | b"kill_process" | b"trap" | b"errno"))
    }

    /// A record type that has a rule decides, the lowest number first.
    fn by_record(&self) -> Option<&'static Action> {
        let known = self.event.records.iter().filter_map(|record| record.known);
        let ruled = known.filter_map(|known| Some((known.number, self.rule(known.actions)?)));
        ruled.min_by_key(|(number, _)| *number).map(|(_, action)| action)
    }

    fn fallback(&self) -> Option<&'static Action> {
        self.event.records.iter().find_map(|record| self.rule(record.known?.fallbacks))
    }

    fn classify(&mut self, action: &Action) {
        for category in action.categories {
            self.classify_as(place::EVENT_CATEGORY, category);
        }
        for kind in action.types {
            self.classify_as(place::EVENT_TYPE, kind);
        }
    }

    fn classify_as(&mut self, at: Place, class: &'static str) {
        let same = |item: &Text| self.document.is_one_of(*item, &[class]);
        if !self.document.list(at).iter().flatten().any(same) {
            let word = self.document.word(class);
            self.document.push(at, Some(word));
        }
    }

    /// Whether a PATH record says that its file was made by this event.
    fn creates(&self) -> bool {
        self.document.paths().iter().any(|path| path.nametype == Nametype::Create)
    }

    fn outcome(&self) -> &'static str {
        let pending = self.document.text_at(place::AUDITD_DATA_EXIT) == Some(IN_PROGRESS);
        match self.document.text_at(place::AUDITD_RESULT) {
            Some(b"success") => "success",
            Some(b"fail") if !pending => "failure",
            _ => "unknown",
        }
    }

    pub(super) fn text(&self, at: Place) -> Option<Text> {
        match self.document.slot(at) {
            Slot::Text(item) => Some(item),
            _ => None,
        }
    }
}
