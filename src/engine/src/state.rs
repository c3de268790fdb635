//! What survives a restart: the highest serial of each node, and the records of events that were not published yet.
//!
//! ```text
//! state = "PYAUDIT" version(u8) count(u32) *node count(u32) *line
//! node  = name-length(u32) name high(u32) time_ms(i64)
//! line  = length(u32) bytes
//! ```
//! Numbers are little-endian. The size is bounded by the limits on nodes and held bytes.

const MAGIC: &[u8] = b"PYAUDIT";
const VERSION: u8 = 1;

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

#[derive(Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Node name (empty: local), highest serial, its time.
    pub nodes: Vec<(Vec<u8>, u32, i64)>,
    pub lines: Vec<Vec<u8>>,
}

impl State {
    pub fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        let count = |n: usize| (n as u32).to_le_bytes();
        out.extend(count(self.nodes.len()));
        for (name, high, time_ms) in &self.nodes {
            out.extend(count(name.len()));
            out.extend(name);
            out.extend(high.to_le_bytes());
            out.extend(time_ms.to_le_bytes());
        }
        out.extend(count(self.lines.len()));
        for line in &self.lines {
            out.extend(count(line.len()));
            out.extend(line);
        }
        out
    }

    pub fn read(bytes: &[u8]) -> Result<Self, StateError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(StateError::NotAState)?;
        let (&version, rest) = rest.split_first().ok_or(StateError::Damaged)?;
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        let mut reader = Reader(rest);
        let mut state = State::default();
        for _ in 0..reader.number()? {
            let length = reader.number()?;
            let name = reader.take(length as usize)?.to_vec();
            let high = reader.number()?;
            let time = reader.take(8)?.try_into().map_err(|_| StateError::Damaged)?;
            state.nodes.push((name, high, i64::from_le_bytes(time)));
        }
        for _ in 0..reader.number()? {
            let length = reader.number()?;
            state.lines.push(reader.take(length as usize)?.to_vec());
        }
        if reader.0.is_empty() {
            Ok(state)
        } else {
            Err(StateError::Damaged)
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], StateError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(StateError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, StateError> {
        let bytes = self.take(4)?.try_into().map_err(|_| StateError::Damaged)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let state = State {
            nodes: vec![(b"".to_vec(), 7, 5), (b"db-1".to_vec(), u32::MAX, -1)],
            lines: vec![b"type=CWD msg=audit(1.1:1): cwd=\"/\"".to_vec()],
        };
        let bytes = state.write();
        assert_eq!(State::read(&bytes), Ok(state));
        for length in 0..bytes.len() {
            assert!(State::read(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn another_version_is_named() {
        assert_eq!(State::read(b"PYAUDIT\x09"), Err(StateError::Version(9)));
        assert_eq!(State::read(b"hello"), Err(StateError::NotAState));
    }
}
