//! Records to events: everything that affects which records make one event lives here.
//!
//! Theory of operation
//! -------------------
//! An event is what shares (node, time, serial); auditd numbers DAEMON_* records itself, so those are keyed apart. An
//! event is open until one of these closes it:
//!
//! | what | when |
//! |---|---|
//! | EOE | at once: the kernel sends nothing of the event after it |
//! | a record type that comes alone (USER_*, DAEMON_*, …) | at once; after the grace if it says `subj=?` or `obj=?`, which announces a record of security contexts |
//! | PROCTITLE, the last record of a syscall event | after the grace (a log file has no EOE) |
//! | nothing of the above | after the event time-out |
//! | a limit | at once, marked incomplete |
//! | silence (`tick`), the end of the stream | likewise |
//!
//! Grace and time-out are counted on the node's clock, which is made of record times, from the event's *last* record:
//! an event's own time is that of the syscall's entry, which may be long ago. Time alone does not close an event: after
//! a quiet hour the next event's first record may come between two records of the last one, so a number of records has
//! to have passed as well. So the same bytes give the same events, in whatever chunks they come. Records that come
//! after their event was closed make a part of their own (`/2`).

use foldhash::HashMap;

use pyaudit_knowledge::{record_type as types, RecordType};

use crate::header::Header;
use crate::nodes::Node;
use crate::options::{Limits, Timing};
use crate::recent::Recent;

/// Records that have to have passed since an event's last one before its age closes it. Events of two CPUs were seen
/// spread over 43 lines, with at most 36 between the first and the last of one.
const PASSED_RECORDS: u64 = 32;
/// A pooled buffer larger than this is given back to the allocator.
const POOLED_BYTES: usize = 64 << 10;
const POOLED: usize = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key {
    pub node: u32,
    /// Numbered by auditd, not by the kernel.
    pub daemon: bool,
    pub time_ms: i64,
    pub serial: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub known: Option<&'static RecordType>,
    /// The line, its type and its body as ranges of the event's bytes.
    pub line: (u32, u32),
    pub type_text: (u32, u32),
    pub body: u32,
    /// Cut at our limit, or marked as cut by auditd.
    pub cut: bool,
}

impl Record {
    pub fn number(&self) -> u16 {
        self.known.map_or(u16::MAX, |known| known.number)
    }
}

/// Why an event was closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Closed {
    /// It had its end.
    #[default]
    Complete,
    Timeout,
    Limit,
    Stop,
}

#[derive(Debug, Default)]
pub struct Event {
    pub key: Key,
    /// 1, or more for what came after the event was closed.
    pub part: u32,
    pub bytes: Vec<u8>,
    pub records: Vec<Record>,
    pub closed: Closed,
    /// EOE or PROCTITLE was seen.
    pub ended: bool,
    opened: u64,
    /// The node's clock, and how many records had been taken, when the last record came.
    touched: i64,
    touched_record: u64,
    wait: Wait,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    Grace,
    #[default]
    Timeout,
}

/// Whether records of a type come alone.
fn comes_alone(number: u16) -> bool {
    number == types::USER
        || (1100..1300).contains(&number)
        || number == types::KERNEL
        || number >= 2100 && number != u16::MAX
}

fn is_daemon(number: u16) -> bool {
    (1200..1300).contains(&number)
}

fn announces_contexts(body: &[u8]) -> bool {
    let own = &body[..memchr::memchr(0x1d, body).unwrap_or(body.len())];
    memchr::memchr_iter(b'?', own).any(|at| {
        let (before, after) = (&own[..at], &own[at + 1..]);
        matches!(after.first(), None | Some(b' ')) && (before.ends_with(b"subj=") || before.ends_with(b"obj="))
    })
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It belongs to an event.
    Held { late: bool },
    /// An EOE: it ended an event, or came after its end.
    EndOfEvent,
}

/// Which limit was reached how often.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitCounts {
    pub events: u64,
    pub event_records: u64,
    pub event_bytes: u64,
    pub held_bytes: u64,
}

#[derive(Debug)]
pub struct Assembly {
    limits: Limits,
    timing: Timing,
    slots: Vec<Option<Event>>,
    free: Vec<usize>,
    open: HashMap<Key, usize>,
    /// The event of the record before: most records belong to it.
    last: Option<(Key, usize)>,
    recent: Recent,
    opened: u64,
    records_taken: u64,
    records_held: u64,
    bytes_held: usize,
    buffers: Vec<(Vec<u8>, Vec<Record>)>,
    pub limit_counts: LimitCounts,
}

impl Assembly {
    pub fn new(limits: Limits, timing: Timing) -> Self {
        Self {
            limits,
            timing,
            slots: Vec::new(),
            free: Vec::new(),
            open: HashMap::default(),
            last: None,
            recent: Recent::default(),
            opened: 0,
            records_taken: 0,
            records_held: 0,
            bytes_held: 0,
            buffers: Vec::new(),
            limit_counts: LimitCounts::default(),
        }
    }

    pub fn events_held(&self) -> u64 {
        self.open.len() as u64
    }

    pub fn records_held(&self) -> u64 {
        self.records_held
    }

    /// Gives the memory of a published event back.
    pub fn recycle(&mut self, event: Event) {
        if self.buffers.len() < POOLED && event.bytes.capacity() <= POOLED_BYTES {
            let (mut bytes, mut records) = (event.bytes, event.records);
            bytes.clear();
            records.clear();
            self.buffers.push((bytes, records));
        }
    }

    /// Takes a record of `node` (whose index is `node_index`); closed events are appended to `closed`.
    #[allow(clippy::too_many_arguments)]
    pub fn take(
        &mut self,
        line: &[u8],
        cut: bool,
        header: &Header<'_>,
        known: Option<&'static RecordType>,
        node: &mut Node,
        node_index: u32,
        closed: &mut Vec<Event>,
    ) -> Taken {
        self.records_taken += 1;
        let number = known.map_or(u16::MAX, |known| known.number);
        let key = self.key(header, known, node_index);
        if number == types::EOE {
            node.marks_ends = true;
            if let Some(slot) = self.find(key) {
                self.mark_ended(slot);
                self.close(slot, Closed::Complete, closed);
            }
            return Taken::EndOfEvent;
        }
        let mut late = false;
        let mut slot = self.find(key);
        if let Some(found) = slot {
            if self.is_full(found, line.len()) {
                self.close(found, Closed::Limit, closed);
                slot = None;
            }
        }
        if self.bytes_held + line.len() > self.limits.held_bytes || slot.is_none() {
            self.make_room(line.len(), slot.is_none(), closed);
            slot = self.find(key);
        }
        let slot = slot.unwrap_or_else(|| {
            let (slot, part) = self.open_event(key);
            late = part > 1;
            slot
        });
        self.append(slot, line, cut, header, known);
        self.last = Some((key, slot));
        if number == types::PROCTITLE {
            node.marks_ends = true;
            self.mark_ended(slot);
        }
        let ended = self.event(slot).ended;
        if comes_alone(number) && !announces_contexts(&line[header.body..]) {
            self.close(slot, Closed::Complete, closed);
        } else {
            let wait = if ended || comes_alone(number) || self.event(slot).wait == Wait::Grace {
                Wait::Grace
            } else {
                Wait::Timeout
            };
            let deadline = node.clock + self.wait_ms(wait);
            node.next_deadline = node.next_deadline.min(deadline);
            let taken = self.records_taken;
            let event = self.event_mut(slot);
            event.wait = wait;
            event.touched = node.clock;
            event.touched_record = taken;
        }
        Taken::Held { late }
    }

    /// What identifies the event of a record.
    #[allow(clippy::unused_self)] // which records make one event is this type's to say
    pub fn key(&self, header: &Header<'_>, known: Option<&'static RecordType>, node: u32) -> Key {
        let daemon = known.is_some_and(|known| is_daemon(known.number));
        Key { node, daemon, time_ms: header.time_ms, serial: header.serial }
    }

    /// Makes the next records of an event a later part than `part`, unless it is open already.
    pub fn remember_at_least(&mut self, key: Key, part: u32) {
        if !self.open.contains_key(&key) && self.recent.part(key) < part {
            self.remember(key, part);
        }
    }

    /// Makes the next records of an event this part, unless it is open already. An event that waits for a name is among
    /// those that were closed.
    pub fn begin_part(&mut self, key: Key, part: u32) {
        let before = part.saturating_sub(1);
        if !self.open.contains_key(&key) && self.recent.part(key) != before {
            self.remember(key, before);
        }
    }

    /// Closes the events of a node that have waited long enough.
    pub fn expire(&mut self, node: &mut Node, node_index: u32, closed: &mut Vec<Event>) {
        if node.clock < node.next_deadline {
            return;
        }
        let mut due = Vec::new();
        let mut next = i64::MAX;
        for (slot, event) in self.slots.iter().enumerate() {
            let Some(event) = event.as_ref().filter(|event| event.key.node == node_index) else { continue };
            let deadline = event.touched + self.wait_ms(event.wait);
            if deadline <= node.clock && self.records_taken - event.touched_record >= PASSED_RECORDS {
                due.push((event.opened, slot, event.wait));
            } else {
                next = next.min(deadline);
            }
        }
        node.next_deadline = next;
        due.sort_unstable_by_key(|&(opened, _, _)| opened);
        for (_, slot, wait) in due {
            self.close(slot, if wait == Wait::Grace { Closed::Complete } else { Closed::Timeout }, closed);
        }
    }

    /// Closes events because the stream is silent: those that look complete, or all.
    pub fn close_idle(&mut self, all: bool, closed: &mut Vec<Event>) {
        self.close_where(|wait| (all || wait == Wait::Grace).then_some(Closed::Timeout), closed);
    }

    /// Closes everything: the stream has ended.
    pub fn close_all(&mut self, closed: &mut Vec<Event>) {
        self.close_where(|_| Some(Closed::Stop), closed);
    }

    /// All open events, oldest first.
    pub fn held(&self) -> Vec<&Event> {
        let mut events: Vec<&Event> = self.slots.iter().flatten().collect();
        events.sort_unstable_by_key(|event| event.opened);
        events
    }

    fn close_where(&mut self, why: impl Fn(Wait) -> Option<Closed>, closed: &mut Vec<Event>) {
        let open = self.slots.iter().enumerate();
        let mut due: Vec<(u64, usize, Closed)> = open
            .filter_map(|(slot, event)| {
                let event = event.as_ref()?;
                let reason =
                    if event.wait == Wait::Grace { why(event.wait).map(|_| Closed::Complete) } else { why(event.wait) };
                Some((event.opened, slot, reason?))
            })
            .collect();
        due.sort_unstable_by_key(|&(opened, _, _)| opened);
        for (_, slot, reason) in due {
            self.close(slot, reason, closed);
        }
    }

    fn wait_ms(&self, wait: Wait) -> i64 {
        match wait {
            Wait::Grace => self.timing.grace_ms,
            Wait::Timeout => self.timing.event_timeout_ms,
        }
    }

    fn event(&self, slot: usize) -> &Event {
        self.slots[slot].as_ref().expect("the slot of an open event")
    }

    fn event_mut(&mut self, slot: usize) -> &mut Event {
        self.slots[slot].as_mut().expect("the slot of an open event")
    }

    fn mark_ended(&mut self, slot: usize) {
        self.event_mut(slot).ended = true;
    }

    fn find(&self, key: Key) -> Option<usize> {
        match self.last {
            Some((last, slot)) if last == key => Some(slot),
            _ => self.open.get(&key).copied(),
        }
    }

    /// Whether one more line would exceed what one event may hold.
    fn is_full(&mut self, slot: usize, line_bytes: usize) -> bool {
        let event = self.event(slot);
        let records = event.records.len() >= self.limits.event_records;
        let bytes = event.bytes.len() + line_bytes > self.limits.event_bytes;
        self.limit_counts.event_records += u64::from(records);
        self.limit_counts.event_bytes += u64::from(bytes && !records);
        records || bytes
    }

    /// Closes the oldest events until another line fits, or another event.
    fn make_room(&mut self, line_bytes: usize, another: bool, closed: &mut Vec<Event>) {
        loop {
            let events = another && self.open.len() >= self.limits.events;
            let bytes = self.bytes_held + line_bytes > self.limits.held_bytes;
            if !(events || bytes) {
                return;
            }
            let open = self.slots.iter().enumerate();
            let oldest = open.filter_map(|(slot, e)| e.as_ref().map(|e| (e.opened, slot))).min();
            let Some((_, slot)) = oldest else { return };
            self.limit_counts.events += u64::from(events);
            self.limit_counts.held_bytes += u64::from(bytes && !events);
            self.close(slot, Closed::Limit, closed);
        }
    }

    fn open_event(&mut self, key: Key) -> (usize, u32) {
        let part = 1 + self.recent.part(key);
        let (bytes, records) = self.buffers.pop().unwrap_or_default();
        let event = Event {
            key,
            part,
            bytes,
            records,
            closed: Closed::Complete,
            ended: false,
            opened: self.opened,
            touched: 0,
            touched_record: 0,
            wait: Wait::Timeout,
        };
        self.opened += 1;
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot] = Some(event);
            slot
        } else {
            self.slots.push(Some(event));
            self.slots.len() - 1
        };
        self.open.insert(key, slot);
        (slot, part)
    }

    fn append(&mut self, slot: usize, line: &[u8], cut: bool, header: &Header<'_>, known: Option<&'static RecordType>) {
        self.records_held += 1;
        self.bytes_held += line.len();
        let event = self.slots[slot].as_mut().expect("the slot of an open event");
        let start = event.bytes.len() as u32;
        let type_at = start + (header.type_text.as_ptr() as usize - line.as_ptr() as usize) as u32;
        event.bytes.extend_from_slice(line);
        event.records.push(Record {
            known,
            line: (start, event.bytes.len() as u32),
            type_text: (type_at, type_at + header.type_text.len() as u32),
            body: start + header.body as u32,
            cut,
        });
    }

    fn close(&mut self, slot: usize, reason: Closed, closed: &mut Vec<Event>) {
        let Some(mut event) = self.slots[slot].take() else { return };
        self.free.push(slot);
        self.open.remove(&event.key);
        if self.last.is_some_and(|(_, last)| last == slot) {
            self.last = None;
        }
        self.records_held -= event.records.len() as u64;
        self.bytes_held -= event.bytes.len();
        self.remember(event.key, event.part);
        event.closed = reason;
        closed.push(event);
    }

    /// The events closed last, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = (Key, u32)> + '_ {
        self.recent.iter()
    }

    /// Forgets closed events of foreign nodes: their numbers are given to others.
    pub fn forget_foreign(&mut self) {
        self.recent.forget_foreign();
    }

    pub fn remember(&mut self, key: Key, part: u32) {
        self.recent.remember(key, part);
    }
}

/// A pair of offsets as a range of indices.
pub fn range((from, to): (u32, u32)) -> std::ops::Range<usize> {
    from as usize..to as usize
}
