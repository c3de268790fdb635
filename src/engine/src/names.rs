//! Names of users and groups that the records do not carry: asked for outside, kept for a while.
//!
//! An event waits for a name at most `name_wait_ms`, counted by `tick`, and never twice for the same id: an answer that
//! is overdue costs nothing until it comes. An expired name is still used while it is asked for again.

use foldhash::HashMap;

/// Ids known at a time. A host has far fewer users that do anything; past it the table starts anew.
const MAX_NAMES: usize = 65_536;
/// How often whoever keeps what `find` gave has to ask again: much more often than a name expires.
const VERSION_MS: u64 = 5000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameKind {
    User,
    Group,
}

impl NameKind {
    /// As the seam spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            NameKind::User => "uid",
            NameKind::Group => "gid",
        }
    }
}

#[derive(Debug)]
enum State {
    /// Asked for; since when, as soon as a tick has told the time.
    Wanted {
        since: Option<u64>,
    },
    /// Asked for in vain so far; nobody waits any longer.
    Overdue,
    Known {
        told_at: u64,
        asked_again: bool,
    },
}

#[derive(Debug)]
struct Entry {
    state: State,
    name: Option<Box<str>>,
}

/// What can be said of a name now.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    Name(&'a str),
    None,
    /// Not yet known, and worth waiting for.
    Wait,
}

#[derive(Debug)]
pub struct Names {
    entries: HashMap<(NameKind, u32), Entry>,
    wants: Vec<(NameKind, u32)>,
    waiting: Vec<(NameKind, u32)>,
    now: u64,
    /// Changes when an answer that was given is now another one, and now and then, so that what is used is asked for again.
    version: u64,
    versioned_at: u64,
    wait_ms: u64,
    ttl_ms: u64,
    negative_ttl_ms: u64,
    pub wanted: u64,
    pub timed_out: u64,
}

impl Names {
    pub fn new(wait_ms: u64, ttl_ms: u64, negative_ttl_ms: u64) -> Self {
        Self {
            entries: HashMap::default(),
            wants: Vec::new(),
            waiting: Vec::new(),
            now: 0,
            version: 0,
            versioned_at: 0,
            wait_ms,
            ttl_ms,
            negative_ttl_ms,
            wanted: 0,
            timed_out: 0,
        }
    }

    /// Looks a name up; asks for it if nobody has yet.
    pub fn find(&mut self, kind: NameKind, id: u32) -> Found<'_> {
        let key = (kind, id);
        if self.entries.len() >= MAX_NAMES && !self.entries.contains_key(&key) {
            self.entries.clear();
            self.waiting.clear();
            self.version += 1;
        }
        let (now, ttl_ms, negative_ttl_ms) = (self.now, self.ttl_ms, self.negative_ttl_ms);
        let (wants, waiting, wanted) = (&mut self.wants, &mut self.waiting, &mut self.wanted);
        let entry = self.entries.entry(key).or_insert_with(|| {
            wants.push(key);
            waiting.push(key);
            *wanted += 1;
            Entry { state: State::Wanted { since: None }, name: None }
        });
        match &mut entry.state {
            State::Wanted { .. } => return Found::Wait,
            State::Overdue => {}
            State::Known { told_at, asked_again } => {
                let ttl = if entry.name.is_some() { ttl_ms } else { negative_ttl_ms };
                if !*asked_again && now.saturating_sub(*told_at) > ttl {
                    *asked_again = true;
                    *wanted += 1;
                    wants.push(key);
                }
            }
        }
        entry.name.as_deref().map_or(Found::None, Found::Name)
    }

    /// While it is the same, `find` answers what it answered; `Wait` is no answer.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether an answer is outstanding and still worth waiting for.
    pub fn waits(&self, kind: NameKind, id: u32) -> bool {
        self.entries.get(&(kind, id)).is_some_and(|entry| matches!(entry.state, State::Wanted { .. }))
    }

    /// Takes an answer; what nobody asked for is welcome too (names known beforehand).
    pub fn tell(&mut self, kind: NameKind, id: u32, name: Option<&str>) {
        let state = State::Known { told_at: self.now, asked_again: false };
        let before = self.entries.insert((kind, id), Entry { state, name: name.map(Into::into) });
        // One that came in time, or the same one, changes nothing that `find` answered.
        let gave = before.filter(|entry| !matches!(entry.state, State::Wanted { .. }));
        self.version += u64::from(gave.is_some_and(|entry| entry.name.as_deref() != name));
    }

    /// The ids to ask for since the last call.
    pub fn take_wants(&mut self) -> Vec<(NameKind, u32)> {
        std::mem::take(&mut self.wants)
    }

    /// Tells the time: monotonic milliseconds.
    pub fn tick(&mut self, now: u64) {
        self.now = now;
        if now.saturating_sub(self.versioned_at) >= VERSION_MS {
            self.versioned_at = now;
            self.version += 1;
        }
        let (entries, wait_ms, timed_out) = (&mut self.entries, self.wait_ms, &mut self.timed_out);
        self.waiting.retain(|key| {
            let Some(entry) = entries.get_mut(key) else { return false };
            match &mut entry.state {
                State::Wanted { since: Some(since) } if now.saturating_sub(*since) >= wait_ms => {
                    entry.state = State::Overdue;
                    *timed_out += 1;
                    false
                }
                State::Wanted { since } => {
                    since.get_or_insert(now);
                    true
                }
                State::Overdue | State::Known { .. } => false,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_once_and_then_known() {
        let mut names = Names::new(20, 300, 60);
        assert_eq!(names.find(NameKind::User, 1000), Found::Wait);
        assert_eq!(names.find(NameKind::User, 1000), Found::Wait);
        assert_eq!(names.take_wants(), [(NameKind::User, 1000)]);
        names.tell(NameKind::User, 1000, Some("lab"));
        assert_eq!(names.find(NameKind::User, 1000), Found::Name("lab"));
        assert!(names.take_wants().is_empty());
    }

    #[test]
    fn an_answer_that_hangs_costs_one_wait() {
        let mut names = Names::new(20, 300, 60);
        assert_eq!(names.find(NameKind::User, 1), Found::Wait);
        names.tick(1000);
        assert_eq!(names.find(NameKind::User, 1), Found::Wait);
        names.tick(1020);
        assert_eq!(names.find(NameKind::User, 1), Found::None);
        assert_eq!(names.timed_out, 1);
        assert_eq!(names.take_wants().len(), 1);
        names.tell(NameKind::User, 1, Some("late"));
        assert_eq!(names.find(NameKind::User, 1), Found::Name("late"));
    }

    #[test]
    fn another_answer_has_another_version() {
        let mut names = Names::new(20, 300, 60);
        let first = names.version();
        names.find(NameKind::User, 1);
        assert_eq!(names.version(), first);
        // Nobody had an answer before the first one, and the same one is no other.
        names.tell(NameKind::User, 1, Some("a"));
        names.tell(NameKind::User, 1, Some("a"));
        assert_eq!(names.version(), first);
        names.tell(NameKind::User, 1, Some("b"));
        let told = names.version();
        assert_ne!(told, first);
        names.tell(NameKind::User, 1, None);
        assert_ne!(names.version(), told);
        let told = names.version();
        names.tick(VERSION_MS - 1);
        assert_eq!(names.version(), told);
        names.tick(VERSION_MS);
        assert_ne!(names.version(), told);
    }

    #[test]
    fn who_went_without_a_name_is_told_that_it_came() {
        let mut names = Names::new(20, 300, 60);
        names.find(NameKind::User, 1);
        names.tick(1);
        names.tick(21);
        assert_eq!(names.find(NameKind::User, 1), Found::None);
        let without = names.version();
        names.tell(NameKind::User, 1, Some("late"));
        assert_ne!(names.version(), without);
    }

    #[test]
    fn an_expired_name_is_used_while_it_is_asked_again() {
        let mut names = Names::new(20, 300, 60);
        names.tell(NameKind::Group, 5, Some("old"));
        names.tell(NameKind::Group, 6, None);
        names.tick(61);
        assert_eq!(names.find(NameKind::Group, 5), Found::Name("old"));
        assert_eq!(names.find(NameKind::Group, 6), Found::None);
        assert_eq!(names.take_wants(), [(NameKind::Group, 6)]);
        names.tick(301);
        assert_eq!(names.find(NameKind::Group, 5), Found::Name("old"));
        assert_eq!(names.take_wants(), [(NameKind::Group, 5)]);
    }
}
