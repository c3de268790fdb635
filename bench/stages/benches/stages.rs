//! `make bench-stages`, or `AUDIT_LOG=some.log cargo bench`: what each stage costs with all before it, in bytes of the
//! log a second. The first are floors: nobody can read a log faster than it can be copied or split into lines.

use std::sync::OnceLock;

use divan::counter::BytesCount;
use divan::{black_box, Bencher};
use pyaudit_engine::stages;
use pyaudit_stages::{feed, log, Output};

fn main() {
    divan::main();
}

fn run(bencher: Bencher, stage: impl Fn(&[u8]) -> usize + Sync) {
    static LOG: OnceLock<Vec<u8>> = OnceLock::new();
    let log = LOG.get_or_init(log);
    bencher.counter(BytesCount::new(log.len())).bench(|| stage(black_box(log)));
}

#[divan::bench]
fn a_copy(bencher: Bencher) {
    run(bencher, |log| black_box(log.to_vec()).len());
}

#[divan::bench]
fn b_line_split_by_memchr(bencher: Bencher) {
    run(bencher, |log| memchr::memchr_iter(b'\n', log).count());
}

#[divan::bench]
fn c_lines(bencher: Bencher) {
    run(bencher, stages::lines);
}

#[divan::bench]
fn d_headers(bencher: Bencher) {
    run(bencher, stages::headers);
}

#[divan::bench]
fn e_events_put_together(bencher: Bencher) {
    run(bencher, stages::events);
}

#[divan::bench]
fn f_fields(bencher: Bencher) {
    run(bencher, stages::fields);
}

#[divan::bench]
fn g_decoded_and_dropped(bencher: Bencher) {
    run(bencher, |log| feed(log, Output::Dropped));
}

#[divan::bench]
fn h_msgpack(bencher: Bencher) {
    run(bencher, |log| feed(log, Output::Msgpack));
}

#[divan::bench]
fn i_json(bencher: Bencher) {
    run(bencher, |log| feed(log, Output::Json));
}
