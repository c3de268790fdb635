//! What survives a restart: the serials of each node, which events were published lately, and the records of those that
//! were not.
//!
//! ```text
//! state  = "PYAUDIT" version(u8) clean(u8) text(boot id) list(node) list(closed) list(held) list(socket)
//! node   = text(name) high(u32) time_ms(i64) marks_ends(u8) list(gap)
//! gap    = first(u32) last(u32) before_ms(i64) after_ms(i64)
//! closed = node(u32) daemon(u8) time_ms(i64) serial(u32) part(u32)
//! held   = part(u32) list(line)
//! line   = cut(u8) text
//! socket = node(u32) pid(u32) ppid(u32) fd(u32) transport(u8) v6(u8) used_ms(i64)
//! text   = length(u32) bytes          list(x) = count(u32) *x
//! ```
//! Numbers are little-endian; a node is named by its place in the list. The size is bounded by the limits on nodes,
//! gaps, remembered events, held bytes and sockets. Version 1 had no sockets and is still read. `clean` says that the stream had been closed: nothing came after it.

use crate::sockets::SavedSocket;

const MAGIC: &[u8] = b"PYAUDIT";
const VERSION: u8 = 2;
const WITHOUT_SOCKETS: u8 = 1;

/// Why a state cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    NotAState,
    Version(u8),
    Damaged,
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StateError::NotAState => write!(f, "this is no saved state of the engine"),
            StateError::Version(found) => write!(f, "the state has version {found}, this engine reads {VERSION}"),
            StateError::Damaged => write!(f, "the state is cut off or damaged"),
        }
    }
}

/// First and last serial, and the times around them.
pub type SavedGap = (u32, u32, i64, i64);

#[derive(Debug, Default, PartialEq, Eq)]
pub struct SavedNode {
    /// Empty for the local host.
    pub name: Vec<u8>,
    pub high: Option<(u32, i64)>,
    pub marks_ends: bool,
    pub gaps: Vec<SavedGap>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct SavedClosed {
    pub node: u32,
    pub daemon: bool,
    pub time_ms: i64,
    pub serial: u32,
    pub part: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub struct SavedEvent {
    pub part: u32,
    /// Whether it was cut, and the line.
    pub lines: Vec<(bool, Vec<u8>)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct State {
    pub clean: bool,
    pub boot_id: Vec<u8>,
    pub nodes: Vec<SavedNode>,
    pub closed: Vec<SavedClosed>,
    pub held: Vec<SavedEvent>,
    pub sockets: Vec<SavedSocket>,
}

impl State {
    pub fn write(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.0.extend([VERSION, u8::from(self.clean)]);
        out.text(&self.boot_id);
        out.count(self.nodes.len());
        for node in &self.nodes {
            out.text(&node.name);
            let (high, time_ms) = node.high.unwrap_or_default();
            out.0.push(u8::from(node.high.is_some()));
            out.0.extend(high.to_le_bytes());
            out.0.extend(time_ms.to_le_bytes());
            out.0.push(u8::from(node.marks_ends));
            out.count(node.gaps.len());
            for (first, last, before, after) in &node.gaps {
                out.0.extend(first.to_le_bytes());
                out.0.extend(last.to_le_bytes());
                out.0.extend(before.to_le_bytes());
                out.0.extend(after.to_le_bytes());
            }
        }
        out.count(self.closed.len());
        for closed in &self.closed {
            out.0.extend(closed.node.to_le_bytes());
            out.0.push(u8::from(closed.daemon));
            out.0.extend(closed.time_ms.to_le_bytes());
            out.0.extend(closed.serial.to_le_bytes());
            out.0.extend(closed.part.to_le_bytes());
        }
        out.count(self.held.len());
        for event in &self.held {
            out.0.extend(event.part.to_le_bytes());
            out.count(event.lines.len());
            for (cut, line) in &event.lines {
                out.0.push(u8::from(*cut));
                out.text(line);
            }
        }
        out.count(self.sockets.len());
        for socket in &self.sockets {
            for number in [socket.node, socket.pid, socket.ppid, socket.fd] {
                out.0.extend(number.to_le_bytes());
            }
            out.0.extend([socket.transport, u8::from(socket.v6)]);
            out.0.extend(socket.used_ms.to_le_bytes());
        }
        out.0
    }

    pub fn read(bytes: &[u8]) -> Result<Self, StateError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(StateError::NotAState)?;
        let (&version, rest) = rest.split_first().ok_or(StateError::Damaged)?;
        if version != VERSION && version != WITHOUT_SOCKETS {
            return Err(StateError::Version(version));
        }
        let mut reader = Reader(rest);
        let mut state = State { clean: reader.flag()?, boot_id: reader.text()?, ..State::default() };
        for _ in 0..reader.number()? {
            let name = reader.text()?;
            let known = reader.flag()?;
            let high = (reader.number()?, reader.time()?);
            let mut node =
                SavedNode { name, high: known.then_some(high), marks_ends: reader.flag()?, gaps: Vec::new() };
            for _ in 0..reader.number()? {
                node.gaps.push((reader.number()?, reader.number()?, reader.time()?, reader.time()?));
            }
            state.nodes.push(node);
        }
        for _ in 0..reader.number()? {
            state.closed.push(SavedClosed {
                node: reader.number()?,
                daemon: reader.flag()?,
                time_ms: reader.time()?,
                serial: reader.number()?,
                part: reader.number()?,
            });
        }
        for _ in 0..reader.number()? {
            let mut event = SavedEvent { part: reader.number()?, lines: Vec::new() };
            for _ in 0..reader.number()? {
                event.lines.push((reader.flag()?, reader.text()?));
            }
            state.held.push(event);
        }
        let sockets = if version == WITHOUT_SOCKETS { 0 } else { reader.number()? };
        for _ in 0..sockets {
            state.sockets.push(SavedSocket {
                node: reader.number()?,
                pid: reader.number()?,
                ppid: reader.number()?,
                fd: reader.number()?,
                transport: reader.take(1)?[0],
                v6: reader.flag()?,
                used_ms: reader.time()?,
            });
        }
        if reader.0.is_empty() {
            Ok(state)
        } else {
            Err(StateError::Damaged)
        }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn count(&mut self, n: usize) {
        self.0.extend((n as u32).to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.count(text.len());
        self.0.extend(text);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], StateError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(StateError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn flag(&mut self) -> Result<bool, StateError> {
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(StateError::Damaged),
        }
    }

    fn number(&mut self) -> Result<u32, StateError> {
        let bytes = self.take(4)?.try_into().map_err(|_| StateError::Damaged)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn time(&mut self) -> Result<i64, StateError> {
        let bytes = self.take(8)?.try_into().map_err(|_| StateError::Damaged)?;
        Ok(i64::from_le_bytes(bytes))
    }

    fn text(&mut self) -> Result<Vec<u8>, StateError> {
        let length = self.number()?;
        Ok(self.take(length as usize)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let state = State {
            clean: true,
            boot_id: b"boot".to_vec(),
            nodes: vec![
                SavedNode { name: Vec::new(), high: Some((7, 5)), marks_ends: true, gaps: vec![(1, 2, 3, 4)] },
                SavedNode { name: b"db-1".to_vec(), high: None, marks_ends: false, gaps: Vec::new() },
            ],
            closed: vec![SavedClosed { node: 0, daemon: true, time_ms: -1, serial: u32::MAX, part: 2 }],
            held: vec![SavedEvent { part: 1, lines: vec![(true, b"type=CWD msg=audit(1.1:1): cwd=\"/\"".to_vec())] }],
            sockets: vec![SavedSocket { node: 0, pid: 7, ppid: 1, fd: 3, transport: 1, v6: true, used_ms: 9 }],
        };
        let bytes = state.write();
        assert_eq!(State::read(&bytes), Ok(state));
        for length in 0..bytes.len() {
            assert!(State::read(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_state_of_the_version_before_is_read() {
        let mut bytes = State { clean: true, ..State::default() }.write();
        bytes[MAGIC.len()] = WITHOUT_SOCKETS;
        bytes.truncate(bytes.len() - 4);
        assert_eq!(State::read(&bytes), Ok(State { clean: true, ..State::default() }));
    }

    #[test]
    fn another_version_is_named() {
        assert_eq!(State::read(b"PYAUDIT\x09"), Err(StateError::Version(9)));
        assert_eq!(State::read(b"hello"), Err(StateError::NotAState));
    }
}
