//! Events that were closed lately: a record of one that comes late makes a later part of it, not a new event.

use std::collections::VecDeque;

use crate::assembly::Key;

/// Closed events remembered, each in the slot of its serial: at 10,000 events/s this is 1.6 s, and 0.5 MB. Serials rise
/// one by one, so events that are near each other in time are so in memory.
const EVENTS: usize = 16_384;
/// How many of them survive a restart: records come late by tens of events, not by thousands.
const SAVED: usize = 2048;

#[derive(Debug)]
pub struct Recent {
    /// Events and how many parts of them were published; no part of those that are none.
    slots: Vec<(Key, u32)>,
    /// The last ones, in the order in which they were closed.
    order: VecDeque<Key>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { slots: vec![(Key::default(), 0); EVENTS], order: VecDeque::with_capacity(SAVED + 1) }
    }
}

/// The slot of an event. Nodes count for themselves, and auditd for itself: their serials are kept apart.
fn slot(key: Key) -> usize {
    let counter = key.node.wrapping_mul(2).wrapping_add(u32::from(key.daemon));
    key.serial.wrapping_add(counter.wrapping_mul(0x9E37_79B1)) as usize % EVENTS
}

impl Recent {
    /// How many parts of an event were published, as far as it is remembered.
    pub fn part(&self, key: Key) -> u32 {
        match self.slots[slot(key)] {
            (found, part) if found == key => part,
            _ => 0,
        }
    }

    /// Notes a part of an event that was published.
    pub fn remember(&mut self, key: Key, part: u32) {
        let before = std::mem::replace(&mut self.slots[slot(key)], (key, part));
        if before.0 == key && before.1 > 0 {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > SAVED {
            self.order.pop_front();
        }
    }

    /// The events closed last that are still remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Key, u32)> + '_ {
        self.order.iter().map(|&key| (key, self.part(key))).filter(|&(_, part)| part > 0)
    }

    /// Forgets events of foreign nodes.
    pub fn forget_foreign(&mut self) {
        for slot in self.slots.iter_mut().filter(|(key, _)| key.node != 0) {
            *slot = (Key::default(), 0);
        }
        self.order.retain(|key| key.node == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(node: u32, serial: u32) -> Key {
        Key { node, daemon: false, time_ms: 5, serial }
    }

    #[test]
    fn parts_are_remembered_until_others_take_their_place() {
        let mut recent = Recent::default();
        assert_eq!(recent.part(key(0, 7)), 0);
        recent.remember(key(0, 7), 1);
        recent.remember(key(0, 7), 2);
        assert_eq!(recent.part(key(0, 7)), 2);
        assert_eq!(recent.part(Key { daemon: true, ..key(0, 7) }), 0);
        assert_eq!(recent.part(Key { time_ms: 6, ..key(0, 7) }), 0);
        for serial in 8..8 + EVENTS as u32 {
            recent.remember(key(0, serial), 1);
        }
        assert_eq!(recent.part(key(0, 7)), 0);
        assert_eq!(recent.part(key(0, 8)), 1);
        let saved: Vec<u32> = recent.iter().map(|(key, _)| key.serial).collect();
        let newest = 7 + EVENTS as u32;
        assert_eq!(saved, (newest + 1 - SAVED as u32..=newest).collect::<Vec<_>>());
    }

    #[test]
    fn foreign_nodes_can_be_forgotten() {
        let mut recent = Recent::default();
        recent.remember(key(0, 1), 1);
        recent.remember(key(3, 1), 1);
        assert_eq!(recent.iter().count(), 2);
        recent.forget_foreign();
        assert_eq!(recent.iter().collect::<Vec<_>>(), [(key(0, 1), 1)]);
        assert_eq!(recent.part(key(3, 1)), 0);
    }

    #[test]
    fn an_event_without_a_number_is_remembered_too() {
        let mut recent = Recent::default();
        assert_eq!(recent.part(Key::default()), 0);
        recent.remember(Key::default(), 1);
        assert_eq!(recent.part(Key::default()), 1);
        assert_eq!(recent.iter().count(), 1);
    }
}
