//! The document's tree (document.tsv) and where each field goes (fields.tsv, path_fields.tsv).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::hash::{ends, perfect_hash};
use crate::kinds::Kinds;
use crate::tsv::{constant, rows, snake};

struct Node {
    path: String,
    key: String,
    kind: String,
    depth: usize,
    parent: usize,
}

/// Where a field goes, as the other tables need it: places of its value and of its name or meaning, 0 for none.
pub type Places = BTreeMap<String, (usize, usize)>;

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
fn tree(data: &Path, below: &BTreeMap<String, Vec<String>>) -> Vec<Node> {
    let mut nodes = vec![Node { path: String::new(), key: String::new(), kind: "object".into(), depth: 0, parent: 0 }];
    let mut index: BTreeMap<String, usize> = BTreeMap::from([(String::new(), 0)]);
    for (_, row) in rows(&data.join("document.tsv"), 4) {
        add_node(&mut nodes, &mut index, &row[0], &row[1]);
        for name in below.get(&row[0]).into_iter().flatten() {
            add_node(&mut nodes, &mut index, &format!("{}.{name}", row[0]), "keyword");
        }
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

/// Keys below `auditd.data` and `auditd.decoded`.
fn generated_keys(data: &Path, kinds: &Kinds) -> BTreeMap<String, Vec<String>> {
    let mut values: Vec<String> = Vec::new();
    let mut decoded: Vec<String> = (0..4).map(|i| format!("a{i}")).collect();
    for (_, row) in rows(&data.join("fields.tsv"), 4).iter().filter(|(_, row)| row[3] == "data") {
        let name = snake(&row[1]);
        if matches!(row[2].as_str(), "uid" | "gid") {
            values.push(format!("{name}_name"));
        }
        if kinds.is_beside(&row[2]) {
            decoded.push(name.clone());
        }
        values.push(name);
    }
    // A subject's label that is not an SELinux context has no parts; it stays whole.
    values.push("subj".into());
    for names in [&mut values, &mut decoded] {
        names.sort();
        names.dedup();
    }
    BTreeMap::from([("auditd.data".to_owned(), values), ("auditd.decoded".to_owned(), decoded)])
}

/// Writes the places and the fields.
pub fn write(data: &Path, kinds: &Kinds, out: &mut String) -> Places {
    let nodes = tree(data, &generated_keys(data, kinds));
    let place: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(i, node)| (node.path.as_str(), i)).collect();
    write_places(out, &nodes);

    // One entry per field name; overrides by record type stand in a list of their own.
    let mut places = Places::new();
    let mut names: Vec<String> = Vec::new();
    let mut general = String::new();
    let mut overrides = String::new();
    let all = rows(&data.join("fields.tsv"), 4);
    let overridden: BTreeSet<String> = all.iter().filter(|(_, r)| r[0] != "*").map(|(_, r)| r[1].clone()).collect();
    for (line, row) in all {
        let at = |path: &str| *place.get(path).unwrap_or_else(|| panic!("fields.tsv:{line}: no place {path}"));
        let named = matches!(row[2].as_str(), "uid" | "gid");
        let key = snake(&row[1]);
        let (main, beside) = match (row[3].as_str(), named) {
            ("data", true) => (at(&format!("auditd.data.{key}")), at(&format!("auditd.data.{key}_name"))),
            ("data", false) if kinds.is_beside(&row[2]) || is_argument(&key) => {
                (at(&format!("auditd.data.{key}")), at(&format!("auditd.decoded.{key}")))
            }
            ("data", false) => (at(&format!("auditd.data.{key}")), 0),
            (object, true) => (at(&format!("{object}.id")), at(&format!("{object}.name"))),
            (path, false) => (at(path), 0),
        };
        let kind = kinds.expression(&row[2], "fields.tsv", line);
        let overridden = overridden.contains(&row[1]);
        let entry = format!(
            "Field {{ name: {:?}, ends: {}, kind: {kind}, place: Place({main}), beside: Place({beside}), overridden: {overridden} }}",
            row[1],
            ends(&row[1])
        );
        if row[0] == "*" {
            places.insert(row[1].clone(), (main, beside));
            names.push(row[1].clone());
            writeln!(general, "{entry},").unwrap();
        } else {
            places.entry(row[1].clone()).or_insert((main, beside));
            writeln!(overrides, "({:?}, {entry}),", row[0]).unwrap();
        }
    }
    writeln!(out, "pub(crate) static FIELDS: &[Field] = &[\n{general}];").unwrap();
    writeln!(out, "pub(crate) static FIELD_OVERRIDES: &[(&str, Field)] = &[\n{overrides}];").unwrap();
    perfect_hash(out, "FIELD", &names, 13);

    let mut keys = String::new();
    let mut names = Vec::new();
    writeln!(out, "pub(crate) static PATH_FIELDS: &[PathField] = &[").unwrap();
    for (index, (line, row)) in rows(&data.join("path_fields.tsv"), 3).into_iter().enumerate() {
        writeln!(keys, "pub const {}: u8 = {index};", constant(&row[2])).unwrap();
        let kind = kinds.expression(&row[1], "path_fields.tsv", line);
        let key = &row[2];
        writeln!(
            out,
            "PathField {{ name: {:?}, ends: {}, kind: {kind}, key: {key:?}, written: Suffix::keys({key:?}) }},",
            row[0],
            ends(&row[0])
        )
        .unwrap();
        names.push(row[0].clone());
    }
    writeln!(out, "];\npub mod path_key {{\n{keys}}}").unwrap();
    perfect_hash(out, "PATH_FIELD", &names, 8);
    places
}

/// a0 to a3: what they mean depends on the syscall.
fn is_argument(key: &str) -> bool {
    matches!(key, "a0" | "a1" | "a2" | "a3")
}

fn write_places(out: &mut String, nodes: &[Node]) {
    writeln!(out, "pub(crate) static NODES: &[Node] = &[").unwrap();
    for (i, node) in nodes.iter().enumerate() {
        let end = (i + 1..nodes.len()).find(|&j| nodes[j].depth <= node.depth).unwrap_or(nodes.len());
        let object = node.kind == "object";
        writeln!(out, "Node {{ key: {:?}, path: {:?}, end: {end}, object: {object} }},", node.key, node.path).unwrap();
    }
    let parents: Vec<usize> = nodes.iter().map(|node| node.parent).collect();
    writeln!(out, "];\npub(crate) static PARENTS: [u16; {}] = {parents:?};", nodes.len()).unwrap();
    writeln!(out, "pub(crate) static NODE_KEYS: [Key; {}] = [", nodes.len()).unwrap();
    for node in nodes {
        writeln!(out, "Key::new({:?}, \"\"),", node.key).unwrap();
    }
    writeln!(out, "];\npub mod place {{\nuse crate::Place;").unwrap();
    writeln!(out, "pub const COUNT: usize = {};", nodes.len()).unwrap();
    for (i, node) in nodes.iter().enumerate().skip(1) {
        writeln!(out, "pub const {}: Place = Place({i});", constant(&node.path)).unwrap();
    }
    writeln!(out, "}}").unwrap();
}
