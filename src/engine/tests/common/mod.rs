//! What the engine's tests share.
#![allow(dead_code)] // each test file uses its own part

use pyaudit_engine::{Engine, Frames, Host, Options, Stats};
use serde_json::Value;

pub fn options() -> Options {
    Options {
        host: Host { name: "lab".into(), id: "id".into(), nodes: vec!["lab.example".into()], ..Host::default() },
        json: true,
        sinks: vec!["one".into(), "two".into()],
        ..Options::default()
    }
}

pub fn engine() -> Engine {
    Engine::new(options()).unwrap()
}

pub fn documents(frames: &Frames) -> Vec<Value> {
    (0..frames.len()).map(|i| serde_json::from_slice(frames.get(i).unwrap().json.unwrap()).unwrap()).collect()
}

/// Feeds lines and closes the stream: all documents, with the ledger checked.
pub fn read(lines: &[impl AsRef<str>]) -> Vec<Value> {
    read_with(options(), lines).0
}

pub fn read_with(options: Options, lines: &[impl AsRef<str>]) -> (Vec<Value>, Stats) {
    let mut engine = Engine::new(options).unwrap();
    let mut all = documents(&engine.feed(text(lines).as_bytes()));
    all.extend(documents(&engine.close()));
    let stats = engine.stats();
    assert!(stats.balanced(), "{stats:?}");
    assert_eq!(stats.records_held, 0);
    (all, stats)
}

pub fn text(lines: &[impl AsRef<str>]) -> String {
    lines.iter().flat_map(|line| [line.as_ref(), "\n"]).collect()
}

/// A record at second 1000 + `ms` of event `serial`.
pub fn record(kind: &str, ms: u32, serial: u32, body: &str) -> String {
    format!("type={kind} msg=audit({}.{:03}:{serial}): {body}", 1000 + ms / 1000, ms % 1000)
}

pub fn ids(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|d| d["event"]["id"].as_str().unwrap()).collect()
}
