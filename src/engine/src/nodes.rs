//! The hosts that records come from, each with a clock of its own made of record times.

use crate::gaps::Serials;
use crate::options::Host;

/// Nodes known at a time; an aggregating auditd of that size is unheard of. Past it the table starts anew.
const MAX_NODES: usize = 1024;
/// A record this much older than the newest one is old (a syscall that blocked for long), or the clock was set back.
const STEP_BACK_MS: i64 = 10_000;
/// A jump forward counts as no more than this: nothing waits longer, and the clock cannot overflow.
const MAX_STEP_MS: i64 = 86_400_000;
/// So many old records in a row: the clock was set back.
const STEP_BACK_RECORDS: u32 = 64;

#[derive(Debug)]
pub struct Node {
    /// As the records name it; empty for the local host.
    pub name: Vec<u8>,
    /// Milliseconds of record time that have passed; never goes back.
    pub clock: i64,
    newest_ms: Option<i64>,
    old_in_a_row: u32,
    pub serials: Serials,
    /// An EOE or PROCTITLE was seen: events of this node have an end.
    pub marks_ends: bool,
    /// Clock at which the next event of this node has waited long enough; a lower bound.
    pub next_deadline: i64,
}

impl Node {
    pub fn new(name: &[u8]) -> Self {
        Self {
            name: name.to_vec(),
            clock: 0,
            newest_ms: None,
            old_in_a_row: 0,
            serials: Serials::default(),
            marks_ends: false,
            next_deadline: i64::MAX,
        }
    }

    pub fn is_local(&self) -> bool {
        self.name.is_empty()
    }

    /// Takes the time of a record: the clock moves by as much as the newest time does.
    pub fn see_time(&mut self, time_ms: i64) {
        let Some(newest) = self.newest_ms else {
            self.newest_ms = Some(time_ms);
            return;
        };
        if time_ms > newest {
            self.clock += (time_ms - newest).min(MAX_STEP_MS);
            self.newest_ms = Some(time_ms);
            self.old_in_a_row = 0;
        } else if newest - time_ms > STEP_BACK_MS {
            self.old_in_a_row += 1;
            if self.old_in_a_row >= STEP_BACK_RECORDS {
                self.newest_ms = Some(time_ms);
                self.old_in_a_row = 0;
            }
        } else {
            self.old_in_a_row = 0;
        }
    }
}

#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<Node>,
    local_names: Vec<Vec<u8>>,
}

impl Nodes {
    /// The local host is always node 0.
    pub fn new(host: &Host) -> Self {
        let names = [&host.name, &host.id].into_iter().chain(&host.nodes);
        let local_names = names.map(|name| name.as_bytes().to_vec()).collect();
        Self { nodes: vec![Node::new(b"")], local_names }
    }

    /// Index of the node of a record, if it is known or there is room for it.
    pub fn index(&mut self, name: Option<&[u8]>) -> Option<usize> {
        // auditd writes `node=(null)` when it was told to name the host but could not find out how.
        let Some(name) = name.filter(|name| *name != b"(null)") else { return Some(0) };
        if self.local_names.iter().any(|n| n == name) {
            return Some(0);
        }
        if let Some(i) = self.nodes.iter().position(|node| node.name == name) {
            return Some(i);
        }
        if self.nodes.len() == MAX_NODES {
            return None;
        }
        self.nodes.push(Node::new(name));
        Some(self.nodes.len() - 1)
    }

    /// Forgets all foreign nodes. Nothing may refer to them any more.
    pub fn forget_foreign(&mut self) {
        self.nodes.truncate(1);
    }

    pub fn get(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub fn get_mut(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.iter_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_host_has_one_clock_under_all_its_names() {
        let host =
            Host { name: "web-1".into(), id: "x".into(), nodes: vec!["web-1.example".into()], ..Host::default() };
        let mut nodes = Nodes::new(&host);
        assert_eq!(nodes.index(None), Some(0));
        assert_eq!(nodes.index(Some(b"(null)")), Some(0));
        assert_eq!(nodes.index(Some(b"web-1")), Some(0));
        assert_eq!(nodes.index(Some(b"web-1.example")), Some(0));
        assert_eq!(nodes.index(Some(b"db-1")), Some(1));
        assert_eq!(nodes.index(Some(b"db-1")), Some(1));
    }

    #[test]
    fn one_old_record_does_not_move_the_clock() {
        let mut node = Node::new(b"");
        for time in [100_000, 100_010, 1000, 100_020] {
            node.see_time(time);
        }
        assert_eq!(node.clock, 20);
    }

    #[test]
    fn a_clock_that_was_set_back_runs_on() {
        let mut node = Node::new(b"");
        node.see_time(10_000_000);
        for i in 0..200 {
            node.see_time(5_000_000 + i * 10);
        }
        assert!(node.clock > 1000, "{}", node.clock);
    }

    #[test]
    fn nodes_are_bounded() {
        let mut nodes = Nodes::new(&Host::default());
        let made = (0..2000).filter(|i| nodes.index(Some(format!("n{i}").as_bytes())).is_some()).count();
        assert_eq!(made, MAX_NODES - 1);
        nodes.forget_foreign();
        assert!(nodes.index(Some(b"again")).is_some());
    }
}
