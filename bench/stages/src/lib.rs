//! The whole engine over a log, as the benches run it.
#![forbid(unsafe_code)]

use pyaudit_engine::{Engine, Frames, Host, NameKind, Options, RuleOptions};

/// As intake's `BLOCK_BYTES`.
const BLOCK: usize = 256 * 1024;

/// What becomes of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A rule drops them when they have been decoded.
    Dropped,
    Msgpack,
    Json,
}

/// Feeds a log; gives the bytes that came out.
///
/// # Panics
/// If the engine cannot be built, which is a bug of this file.
#[must_use]
pub fn feed(log: &[u8], output: Output) -> usize {
    let mut engine = Engine::new(options(output)).expect("the options are right");
    let mut bytes = 0;
    let mut take = |frames: Frames| bytes += frames.size();
    for block in log.chunks(BLOCK) {
        take(engine.feed(block));
        for (kind, id) in engine.wants() {
            let name = format!("{}{id}", if kind == NameKind::User { "user" } else { "group" });
            engine.tell(kind, id, Some(&name));
        }
    }
    take(engine.close());
    bytes
}

fn options(output: Output) -> Options {
    let drop_all = RuleOptions {
        name: "all".to_owned(),
        matches: vec![("host".to_owned(), vec!["*".to_owned()])],
        drop: true,
        ..RuleOptions::default()
    };
    Options {
        host: Host { name: "host".to_owned(), id: "0123456789abcdef".to_owned(), ..Host::default() },
        ask_names: true,
        json: output == Output::Json,
        msgpack: output == Output::Msgpack,
        rules: if output == Output::Dropped { vec![drop_all] } else { Vec::new() },
        ..Options::default()
    }
}

/// The log that `AUDIT_LOG` names.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn log() -> Vec<u8> {
    let path = std::env::var("AUDIT_LOG").expect("AUDIT_LOG names a log; `python -m bench.corpus` makes one");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_unless_they_are_dropped() {
        let log = b"type=CWD msg=audit(1.000:1): cwd=\"/\"\n";
        assert!(feed(log, Output::Json) > feed(log, Output::Msgpack));
        assert_eq!(feed(log, Output::Dropped), 0);
    }
}
