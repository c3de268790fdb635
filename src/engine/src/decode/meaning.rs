//! What an event means: action, category, type, outcome, the two ends of a connection.

use pyaudit_knowledge::{
    fallback_action, place, record_action, record_type as types, syscall_action, Action, Peer, Place,
};

use super::{Decoder, TextItem};
use crate::document::{Slot, Text};

/// A connection that is being made: neither success nor failure yet.
const IN_PROGRESS: &[u8] = b"EINPROGRESS";
/// What a syscall event without a rule of its own is, as in auditbeat: rules that people have depend on it.
const DEFAULT: Action = Action { action: "", categories: &["process"], types: &["info"], peer: None };

impl Decoder<'_, '_> {
    pub(super) fn meaning(&mut self) -> Option<&'static Action> {
        let action = self.action();
        if let Some(action) = action {
            self.document.put_static(place::EVENT_ACTION, action.action);
            self.say(action);
        } else if let Some(syscall) = self.text(place::AUDITD_DATA_SYSCALL) {
            // The number of a syscall that nobody knows says nothing.
            if matches!(syscall.text, Text::Static(_)) {
                self.document.put(place::EVENT_ACTION, syscall);
            }
            self.say(&DEFAULT);
        }
        if self.creates() && !self.types_hold("creation") {
            self.document.push(place::EVENT_TYPE, Some(word("creation")));
        }
        if let Some(peer) = self.syscall.and_then(syscall_action).and_then(|action| action.peer) {
            self.peer(peer);
        }
        let outcome = self.outcome();
        self.document.put_static(place::EVENT_OUTCOME, outcome);
        action
    }

    /// A record type that has a rule decides, the lowest number first; else the syscall.
    fn action(&self) -> Option<&'static Action> {
        let known = self.event.records.iter().filter_map(|record| record.known);
        let by_record = known.filter(|known| record_action(known.name).is_some()).min_by_key(|known| known.number);
        match by_record {
            Some(known) if matches!(known.number, types::AVC | types::USER_AVC) => self.policy_action(known.name),
            Some(known) => record_action(known.name),
            None => self
                .syscall
                .and_then(syscall_action)
                .or_else(|| self.event.records.iter().find_map(|record| fallback_action(record.known?.name))),
        }
    }

    /// SELinux and AppArmor say by a word of the same record type whether they denied, allowed, or only report.
    fn policy_action(&self, record_type: &'static str) -> Option<&'static Action> {
        let word = |at, prefix: &str| {
            let word = self.document.text_at(&self.event.bytes, at)?;
            record_action(&format!("{prefix}_{}", String::from_utf8_lossy(word).to_uppercase()))
        };
        word(place::AUDITD_DATA_APPARMOR, "APPARMOR")
            .or_else(|| word(place::AUDITD_DATA_SERESULT, "AVC"))
            .or_else(|| record_action(record_type))
    }

    fn say(&mut self, meaning: &Action) {
        for category in meaning.categories {
            self.document.push(place::EVENT_CATEGORY, Some(word(category)));
        }
        for kind in meaning.types {
            self.document.push(place::EVENT_TYPE, Some(word(kind)));
        }
    }

    fn types_hold(&self, kind: &str) -> bool {
        let same = |item: &TextItem| matches!(item.text, Text::Static(text) if text == kind);
        self.document.list(place::EVENT_TYPE).iter().flatten().any(same)
    }

    /// Whether a PATH record says that its file was made by this event.
    fn creates(&self) -> bool {
        let created = |item: &TextItem| self.document.bytes(&self.event.bytes, item.text) == b"CREATE";
        let nametype = |index: u8| pyaudit_knowledge::path_fields()[usize::from(index)].key == "nametype";
        self.document.paths.iter().flat_map(|p| &p.entries).any(|(key, item)| nametype(key.index) && created(item))
    }

    fn outcome(&self) -> &'static str {
        let raw = &self.event.bytes;
        let pending = self.document.text_at(raw, place::AUDITD_DATA_EXIT) == Some(IN_PROGRESS);
        match self.document.text_at(raw, place::AUDITD_RESULT) {
            Some(b"success") => "success",
            Some(b"fail") if !pending => "failure",
            _ => "unknown",
        }
    }

    /// Copies the socket's address to the end of the connection that it is.
    fn peer(&mut self, peer: Peer) {
        let (ip, port, address, direction) = match peer {
            Peer::Source => (place::SOURCE_IP, place::SOURCE_PORT, place::SOURCE_ADDRESS, "ingress"),
            Peer::Destination => (place::DESTINATION_IP, place::DESTINATION_PORT, place::DESTINATION_ADDRESS, "egress"),
        };
        if let Some(addr) = self.text(place::AUDITD_DATA_SOCKET_ADDR) {
            self.document.put(ip, addr);
            self.document.put(address, addr);
            let number = self.document.text_at(&self.event.bytes, place::AUDITD_DATA_SOCKET_PORT);
            if let Some(number) = number.and_then(|digits| crate::header::decimal(digits, 65_535)) {
                self.document.put_number(port, number as i64);
            }
            let v4 = self.document.text_at(&self.event.bytes, place::AUDITD_DATA_SOCKET_FAMILY) == Some(b"ipv4");
            self.document.put_static(place::NETWORK_TYPE, if v4 { "ipv4" } else { "ipv6" });
        } else if let Some(path) = self.text(place::AUDITD_DATA_SOCKET_PATH) {
            self.document.put(address, path);
        } else {
            return;
        }
        self.document.put_static(place::NETWORK_DIRECTION, direction);
    }

    fn text(&self, at: Place) -> Option<TextItem> {
        match self.document.slot(at) {
            Slot::Text(item) => Some(item),
            _ => None,
        }
    }
}

fn word(text: &'static str) -> TextItem {
    TextItem { text: Text::Static(text), lossy: false }
}
