//! Compiles the TSV files of `data/` into static tables.
//!
//! In: `data/*.tsv`. Out: `tables.rs` in cargo's output folder. A malformed row stops the build and names file and line.

mod document;
mod hash;
mod kinds;
mod meaning;
mod tsv;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    for file in ["main", "document", "hash", "kinds", "meaning", "tsv"] {
        println!("cargo:rerun-if-changed=build/{file}.rs");
    }
    println!("cargo:rerun-if-changed=src/mix.rs");
    let data = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("data");
    let mut out = String::new();
    let families = kinds::families(&data);
    let kinds = kinds::write(&data, &families, &mut out);
    let places = document::write(&data, &kinds, &mut out);
    let actions = meaning::Actions::read(&data, &places);
    meaning::write_record_types(&data, &actions, &mut out);
    meaning::write_syscalls(&data, &families, &kinds::arguments(&data, &kinds), &actions, &mut out);
    write_number_table(&mut out, "FAMILIES", &data.join("socket_families.tsv"));
    write_keys(&data, &mut out);
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("tables.rs");
    fs::write(&target, out).expect("cargo's output folder is writable");
}

fn write_number_table(out: &mut String, name: &str, path: &Path) {
    let number = |line, cell: &str| cell.parse().unwrap_or_else(|e| panic!("{}:{line}: {e}", path.display()));
    let table = tsv::rows(path, 2);
    let mut sorted: Vec<(u64, &str)> = table.iter().map(|(line, row)| (number(*line, &row[0]), &row[1][..])).collect();
    sorted.sort_unstable();
    writeln!(out, "pub(crate) static {name}: NumberTable = &{sorted:?};").unwrap();
}

/// What terminals send for their keys.
fn write_keys(data: &Path, out: &mut String) {
    let path = data.join("keys.tsv");
    let table = tsv::rows(&path, 2);
    let byte = |line: usize, pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("keys.tsv is ASCII");
        u8::from_str_radix(text, 16).unwrap_or_else(|e| panic!("{}:{line}: {e}", path.display()))
    };
    let mut keys: Vec<(Vec<u8>, &str)> = table
        .iter()
        .map(|(line, row)| (row[0].as_bytes().chunks(2).map(|pair| byte(*line, pair)).collect(), row[1].as_str()))
        .collect();
    keys.sort();
    let longest = keys.iter().map(|(bytes, _)| bytes.len()).max().unwrap_or(0);
    writeln!(out, "pub(crate) const KEY_LENGTH: usize = {longest};").unwrap();
    writeln!(out, "pub(crate) static KEYS: &[(&[u8], &str)] = &[").unwrap();
    for (bytes, name) in keys {
        writeln!(out, "(&{bytes:?}, {name:?}),").unwrap();
    }
    writeln!(out, "];").unwrap();
}
