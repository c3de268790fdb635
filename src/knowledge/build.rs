//! Compiles the TSV files of `data/` into static tables.
//!
//! In: `data/*.tsv`. Out: `tables.rs` in cargo's output folder. A malformed row stops the build and names file and line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "src/mix.rs"]
mod mix;
use mix::mix;

type Row = Vec<String>;

/// Rows of a TSV file after the comment lines and the line of column names, each with its line number.
fn rows(path: &Path, columns: usize) -> Vec<(usize, Row)> {
    println!("cargo:rerun-if-changed={}", path.display());
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    let body = lines.filter(|(_, line)| !line.starts_with('#') && !line.is_empty()).skip(1);
    body.map(|(number, line)| {
        let row: Row = line.split('\t').map(str::to_owned).collect();
        assert!(row.len() == columns, "{}:{number}: expected {columns} columns, found {}", path.display(), row.len());
        (number, row)
    })
    .collect()
}

/// The name of a place as a Rust constant: `process.parent.pid` is `PROCESS_PARENT_PID`.
fn constant(path: &str) -> String {
    path.trim_start_matches('@').replace(['.', '-'], "_").to_uppercase()
}

fn kind_variant(kind: &str) -> String {
    kind.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

fn snake(field: &str) -> String {
    field.replace('-', "_").to_lowercase()
}

/// Searches a multiplier under which all names fall into different slots, and writes the slot table.
fn perfect_hash(out: &mut String, prefix: &str, names: &[String], bits: u32) {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..5_000_000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let multiplier = seed | 1;
        let mut slots = vec![0_u16; 1 << bits];
        let free = names.iter().enumerate().all(|(i, name)| {
            let slot = &mut slots[(mix(name.as_bytes(), multiplier) >> (64 - bits)) as usize];
            let free = *slot == 0;
            *slot = u16::try_from(i + 1).expect("fewer than 65535 names");
            free
        });
        if free {
            writeln!(out, "pub(crate) const {prefix}_MULTIPLIER: u64 = {multiplier};").unwrap();
            writeln!(out, "pub(crate) const {prefix}_BITS: u32 = {bits};").unwrap();
            writeln!(out, "pub(crate) static {prefix}_SLOTS: [u16; {}] = {slots:?};", slots.len()).unwrap();
            return;
        }
    }
    panic!("no multiplier separates the {} names of {prefix} in {} slots", names.len(), 1 << bits);
}

struct Node {
    path: String,
    key: String,
    kind: String,
    depth: usize,
    parent: usize,
}

/// Adds a place, and before it the objects that it stands in.
fn add_node(nodes: &mut Vec<Node>, index: &mut BTreeMap<String, usize>, path: &str, kind: &str) {
    let (parent_path, key) = path.rsplit_once('.').unwrap_or(("", path));
    if !index.contains_key(parent_path) {
        add_node(nodes, index, parent_path, "object");
    }
    if index.contains_key(path) {
        return;
    }
    let parent = index[parent_path];
    index.insert(path.to_owned(), nodes.len());
    let depth = nodes[parent].depth + 1;
    nodes.push(Node { path: path.into(), key: key.into(), kind: kind.into(), depth, parent });
}

/// The document's tree in the order of the rows; objects that have no row of their own come before their first child.
fn document(data: &Path, data_names: &[(String, String)]) -> Vec<Node> {
    let mut leaves: Vec<(String, String)> = Vec::new();
    for (_, row) in rows(&data.join("document.tsv"), 4) {
        let (path, kind) = (row[0].clone(), row[1].clone());
        leaves.push((path.clone(), kind));
        if path == "auditd.data" {
            leaves.extend(data_names.iter().map(|(name, kind)| (format!("auditd.data.{name}"), kind.clone())));
        }
    }
    let mut nodes = vec![Node { path: String::new(), key: String::new(), kind: "object".into(), depth: 0, parent: 0 }];
    let mut index: BTreeMap<String, usize> = BTreeMap::from([(String::new(), 0)]);
    for (path, kind) in &leaves {
        add_node(&mut nodes, &mut index, path, kind);
    }
    order_depth_first(nodes)
}

fn order_depth_first(nodes: Vec<Node>) -> Vec<Node> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate().skip(1) {
        children[node.parent].push(i);
    }
    let mut order = Vec::new();
    let mut stack = vec![0];
    while let Some(i) = stack.pop() {
        order.push(i);
        stack.extend(children[i].iter().rev());
    }
    let mut position = vec![0; nodes.len()];
    for (new, &old) in order.iter().enumerate() {
        position[old] = new;
    }
    let mut slots: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    order
        .iter()
        .map(|&old| {
            let mut node = slots[old].take().expect("each node once");
            node.parent = position[node.parent];
            node
        })
        .collect()
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/mix.rs");
    let data = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("data");
    let mut out = String::new();
    write_record_types(&data, &mut out);
    write_numbers(&data, &mut out);
    write_arches(&data, &mut out);
    write_actions(&data, &mut out);
    write_fields(&data, &mut out);
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("tables.rs");
    fs::write(&target, out).expect("cargo's output folder is writable");
}

fn write_record_types(data: &Path, out: &mut String) {
    let table = rows(&data.join("record_types.tsv"), 3);
    let auxiliary: Vec<String> =
        rows(&data.join("auxiliary_types.tsv"), 1).into_iter().map(|(_, mut row)| row.remove(0)).collect();
    let mut names = Vec::new();
    writeln!(out, "pub(crate) static RECORD_TYPES: &[RecordType] = &[").unwrap();
    for (_, row) in &table {
        names.push(row[1].clone());
        let lower = row[1].to_lowercase();
        let alone = !auxiliary.contains(&row[1]);
        writeln!(out, "RecordType {{ number: {}, name: {:?}, lower: {lower:?}, leads: {alone} }},", row[0], row[1])
            .unwrap();
    }
    writeln!(out, "];").unwrap();
    perfect_hash(out, "TYPE", &names, 13);
    writeln!(out, "pub mod record_type {{").unwrap();
    for (_, row) in &table {
        writeln!(out, "pub const {}: u16 = {};", row[1].replace('-', "_"), row[0]).unwrap();
    }
    writeln!(out, "}}").unwrap();
}

fn write_number_table(out: &mut String, name: &str, path: &Path, radix: u32) {
    let table = rows(path, 2);
    let mut sorted: Vec<(u64, &str)> = table
        .iter()
        .map(|(line, row)| {
            let number = u64::from_str_radix(&row[0], radix);
            (number.unwrap_or_else(|e| panic!("{}:{line}: {e}", path.display())), row[1].as_str())
        })
        .collect();
    sorted.sort_unstable();
    writeln!(out, "pub(crate) static {name}: NumberTable = &{sorted:?};").unwrap();
}

fn write_numbers(data: &Path, out: &mut String) {
    for (name, file) in [
        ("SIGNALS", "signals"),
        ("FAMILIES", "socket_families"),
        ("SECCOMP_ACTIONS", "seccomp_actions"),
        ("FILTER_LISTS", "filter_lists"),
    ] {
        let radix = if file == "seccomp_actions" { 16 } else { 10 };
        write_number_table(out, name, &data.join(file).with_extension("tsv"), radix);
    }
}

fn write_arches(data: &Path, out: &mut String) {
    let table = rows(&data.join("arches.tsv"), 5);
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (_, row) in &table {
        if row[2] != "-" {
            files.insert(constant(&format!("syscalls.{}", row[2])), data.join("syscalls").join(&row[2]));
        }
        files.insert(constant(&format!("errno.{}", row[3])), data.join("errno").join(&row[3]));
    }
    for (name, stem) in &files {
        write_number_table(out, name, &PathBuf::from(format!("{}.tsv", stem.display())), 10);
    }
    let mut sorted: Vec<&Row> = table.iter().map(|(_, row)| row).collect();
    sorted.sort_by_key(|row| u32::from_str_radix(&row[0], 16).expect("audit_arch is hex"));
    writeln!(out, "pub(crate) static ARCHES: &[Arch] = &[").unwrap();
    for row in sorted {
        let calls = if row[2] == "-" { "&[]".to_owned() } else { constant(&format!("syscalls.{}", row[2])) };
        writeln!(
            out,
            "Arch {{ value: 0x{}, name: {:?}, syscalls: {calls}, errno: {}, big_endian: {} }},",
            row[0],
            row[1],
            constant(&format!("errno.{}", row[3])),
            row[4] == "big"
        )
        .unwrap();
    }
    writeln!(out, "];").unwrap();
}

fn write_actions(data: &Path, out: &mut String) {
    let list = |text: &str| format!("&{:?}", text.split(',').collect::<Vec<_>>());
    for (by, name) in [("syscall", "SYSCALL_ACTIONS"), ("record", "RECORD_ACTIONS"), ("fallback", "FALLBACK_ACTIONS")] {
        let mut sorted: Vec<Row> =
            rows(&data.join("actions.tsv"), 6).into_iter().map(|(_, row)| row).filter(|row| row[0] == by).collect();
        sorted.sort();
        writeln!(out, "pub(crate) static {name}: &[(&str, Action)] = &[").unwrap();
        for row in sorted {
            let (categories, types) = (list(&row[3]), list(&row[4]));
            let peer = match row[5].as_str() {
                "source" => "Some(Peer::Source)",
                "destination" => "Some(Peer::Destination)",
                _ => "None",
            };
            writeln!(
                out,
                "({:?}, Action {{ action: {:?}, categories: {categories}, types: {types}, peer: {peer} }}),",
                row[1], row[2]
            )
            .unwrap();
        }
        writeln!(out, "];").unwrap();
    }
}

fn write_fields(data: &Path, out: &mut String) {
    let fields = rows(&data.join("fields.tsv"), 4);
    let mut data_names: BTreeMap<String, String> = BTreeMap::new();
    for (_, row) in fields.iter().filter(|(_, row)| row[3] == "data") {
        let name = snake(&row[1]);
        if matches!(row[2].as_str(), "uid" | "gid") {
            data_names.insert(format!("{name}_name"), "keyword".into());
        }
        data_names.insert(name, "keyword".into());
    }
    // A subject's label that is not an SELinux context has no parts; it stays whole.
    data_names.insert("subj".into(), "keyword".into());
    let nodes = document(data, &data_names.into_iter().collect::<Vec<_>>());
    let place: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(i, node)| (node.path.as_str(), i)).collect();
    write_places(out, &nodes);

    // One entry per field name; overrides by record type stand in a list of their own.
    let mut names: Vec<String> = Vec::new();
    let mut general = String::new();
    let mut overrides = String::new();
    for (line, row) in &fields {
        let at = |path: &str| *place.get(path).unwrap_or_else(|| panic!("fields.tsv:{line}: no place {path}"));
        let named = matches!(row[2].as_str(), "uid" | "gid");
        let (main, name) = match (row[3].as_str(), named) {
            ("data", false) => (at(&format!("auditd.data.{}", snake(&row[1]))), 0),
            ("data", true) => {
                let key = snake(&row[1]);
                (at(&format!("auditd.data.{key}")), at(&format!("auditd.data.{key}_name")))
            }
            (object, true) => (at(&format!("{object}.id")), at(&format!("{object}.name"))),
            (path, false) => (at(path), 0),
        };
        let entry = format!(
            "Field {{ name: {:?}, kind: Kind::{}, place: Place({main}), name_place: Place({name}) }},",
            row[1],
            kind_variant(&row[2])
        );
        if row[0] == "*" {
            names.push(row[1].clone());
            writeln!(general, "{entry}").unwrap();
        } else {
            writeln!(overrides, "({:?}, {}),", row[0], entry.trim_end_matches(',')).unwrap();
        }
    }
    writeln!(out, "pub(crate) static FIELDS: &[Field] = &[\n{general}];").unwrap();
    writeln!(out, "pub(crate) static FIELD_OVERRIDES: &[(&str, Field)] = &[\n{overrides}];").unwrap();
    perfect_hash(out, "FIELD", &names, 13);

    writeln!(out, "pub(crate) static PATH_FIELDS: &[PathField] = &[").unwrap();
    for (_, row) in rows(&data.join("path_fields.tsv"), 3) {
        writeln!(out, "PathField {{ name: {:?}, kind: Kind::{}, key: {:?} }},", row[0], kind_variant(&row[1]), row[2])
            .unwrap();
    }
    writeln!(out, "];").unwrap();
}

fn write_places(out: &mut String, nodes: &[Node]) {
    writeln!(out, "pub(crate) static NODES: &[Node] = &[").unwrap();
    for (i, node) in nodes.iter().enumerate() {
        let end = (i + 1..nodes.len()).find(|&j| nodes[j].depth <= node.depth).unwrap_or(nodes.len());
        let object = node.kind == "object";
        writeln!(
            out,
            "Node {{ key: {:?}, path: {:?}, parent: {}, end: {end}, object: {object} }},",
            node.key, node.path, node.parent
        )
        .unwrap();
    }
    writeln!(out, "];\npub mod place {{\nuse crate::Place;").unwrap();
    writeln!(out, "pub const COUNT: usize = {};", nodes.len()).unwrap();
    for (i, node) in nodes.iter().enumerate().skip(1) {
        writeln!(out, "pub const {}: Place = Place({i});", constant(&node.path)).unwrap();
    }
    writeln!(out, "}}").unwrap();
}
