//! A log through the engine, in blocks as the process hands them over: what profilers and instruction counts run on.
//!
//! `cargo run --release --example feed -- LOG [json|msgpack|both] [times]` prints what went in, what came out and, as
//! nothing else of the engine does, how long it took.

use std::env::args;
use std::time::Instant;

use pyaudit_engine::{Engine, Host, NameKind, Options};

/// As intake's `BLOCK_BYTES`.
const BLOCK: usize = 256 * 1024;

fn main() -> Result<(), String> {
    let mut args = args().skip(1);
    let path = args.next().ok_or("feed: a log is wanted")?;
    let encodings = args.next().unwrap_or_else(|| "msgpack".to_owned());
    let times: usize = args.next().map_or(Ok(1), |times| times.parse()).map_err(|_| "feed: times is no number")?;
    let log = std::fs::read(&path).map_err(|error| format!("feed: {path}: {error}"))?;
    let (mut best, mut figures) = (f64::MAX, String::new());
    for _ in 0..times {
        let mut engine = Engine::new(options(&encodings))?;
        let (mut frames, mut bytes) = (0, 0);
        let begun = Instant::now();
        let mut take = |some: pyaudit_engine::Frames| {
            frames += some.len();
            bytes += some.size();
        };
        for block in log.chunks(BLOCK) {
            take(engine.feed(block));
            for (kind, id) in engine.wants() {
                let name = format!("{}{id}", if kind == NameKind::User { "user" } else { "group" });
                engine.tell(kind, id, Some(&name));
            }
        }
        take(engine.close());
        best = begun.elapsed().as_secs_f64().min(best);
        figures = format!("{} records, {frames} events, {bytes} bytes", engine.stats().records_in);
    }
    println!("{figures}; {best:.3} s at best of {times}");
    Ok(())
}

fn options(encodings: &str) -> Options {
    Options {
        host: Host {
            name: "host".to_owned(),
            id: "0123456789abcdef".to_owned(),
            architecture: "x86_64".to_owned(),
            ..Host::default()
        },
        process_start_ms: 1_700_000_000_000,
        ask_names: true,
        json: encodings != "msgpack",
        msgpack: encodings != "json",
        ..Options::default()
    }
}
