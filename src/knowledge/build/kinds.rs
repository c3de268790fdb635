//! Kinds of values: kinds.tsv, and the tables of values/.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::tsv::{constant, number, rows, variant, words};

/// The kinds, each with its Rust expression; which ones stand beside the value that they explain.
pub struct Kinds {
    expressions: BTreeMap<String, String>,
    beside: BTreeSet<String>,
}

impl Kinds {
    pub fn expression(&self, kind: &str, file: &str, line: usize) -> &str {
        self.expressions.get(kind).unwrap_or_else(|| panic!("{file}:{line}: no kind {kind} in kinds.tsv"))
    }

    pub fn is_beside(&self, kind: &str) -> bool {
        self.beside.contains(kind)
    }
}

/// Writes the tables of values and the list of kinds.
pub fn write(data: &Path, families: &[String], out: &mut String) -> Kinds {
    let mut kinds = Kinds { expressions: BTreeMap::new(), beside: BTreeSet::new() };
    for (line, row) in rows(&data.join("kinds.tsv"), 4) {
        let (name, reader) = (&row[0], row[1].as_str());
        let expression = match reader {
            "own" => {
                if row[2] != "-" {
                    write_values(data, name, &row, families, out);
                }
                format!("Kind::{}", variant(name))
            }
            "mode" | "keystrokes" => format!("Kind::{}", variant(reader)),
            "name" | "values" => {
                write_values(data, name, &row, families, out);
                format!("Kind::{}(&{})", variant(reader), constant(&format!("values.{name}")))
            }
            _ => panic!("kinds.tsv:{line}: no reader {reader}"),
        };
        if !matches!(reader, "own" | "name") {
            kinds.beside.insert(name.clone());
        }
        kinds.expressions.insert(name.clone(), expression);
    }
    writeln!(out, "pub(crate) static KINDS: &[(&str, Kind)] = &[").unwrap();
    for (name, expression) in &kinds.expressions {
        writeln!(out, "({name:?}, {expression}),").unwrap();
    }
    writeln!(out, "];").unwrap();
    kinds
}

type Entry<'a> = (u64, Option<u64>, &'a str);

/// One table for most architectures, and one for each family that has its own.
fn write_values(data: &Path, name: &str, kind: &[String], families: &[String], out: &mut String) {
    let path = data.join("values").join(name).with_extension("tsv");
    let table = rows(&path, 4);
    let mut by_family: BTreeMap<&str, Vec<Entry<'_>>> = BTreeMap::new();
    for (line, row) in &table {
        let mask = (row[2] != "-").then(|| number(&row[2], &path, *line));
        for family in row[0].split(',') {
            assert!(
                family == "*" || families.iter().any(|known| known == family),
                "{}:{line}: no family {family} in arches.tsv",
                path.display()
            );
            by_family.entry(family).or_default().push((number(&row[1], &path, *line), mask, &row[3]));
        }
    }
    let own = constant(&format!("values.{name}"));
    for (family, entries) in &by_family {
        let table = format!("{own}_{}", if *family == "*" { "ALL".to_owned() } else { constant(family) });
        write_table(&table, entries, &path, out);
    }
    let refs: Vec<String> = families
        .iter()
        .map(|family| {
            let table = if by_family.contains_key(family.as_str()) { constant(family) } else { "ALL".to_owned() };
            format!("&{own}_{table}")
        })
        .collect();
    if !by_family.contains_key("*") {
        writeln!(out, "static {own}_ALL: Table = Table::Names(&[]);").unwrap();
    }
    let base = match kind[2].as_str() {
        "dec" => "Decimal",
        "err" => "Error",
        "hex" => "Hex",
        "oct" => "Octal",
        "auto" => "Prefixed",
        other => panic!("kinds.tsv: {name}: no base {other}"),
    };
    writeln!(
        out,
        "pub(crate) static {own}: Values = Values {{ name: {name:?}, base: Base::{base}, width: {}, tables: &[{}] }};",
        kind[3],
        refs.join(", ")
    )
    .unwrap();
}

fn write_table(table: &str, entries: &[Entry<'_>], path: &Path, out: &mut String) {
    let is_enumeration = entries.iter().all(|(_, mask, _)| mask.is_none());
    assert!(
        is_enumeration || entries.iter().all(|(_, mask, _)| mask.is_some()),
        "{}: an enumeration and bits in one table",
        path.display()
    );
    if is_enumeration {
        let sorted: BTreeMap<u64, &str> = entries.iter().rev().map(|&(value, _, name)| (value, name)).collect();
        let sorted: Vec<_> = sorted.into_iter().collect();
        writeln!(out, "static {table}: Table = Table::Names(&{sorted:?});").unwrap();
        return;
    }
    writeln!(out, "static {table}: Table = Table::Bits(&[").unwrap();
    for (value, mask, name) in entries {
        writeln!(out, "Bits {{ value: {value}, mask: {}, name: {name:?} }},", mask.unwrap_or(u64::MAX)).unwrap();
    }
    let has_zero = entries.iter().any(|(value, ..)| *value == 0);
    writeln!(out, "], {has_zero});").unwrap();
}

/// Families of architectures that number things their own way, the general one first.
pub fn families(data: &Path) -> Vec<String> {
    let mut names: Vec<String> = vec!["generic".to_owned()];
    for (_, row) in rows(&data.join("arches.tsv"), 6) {
        if !names.contains(&row[5]) {
            names.push(row[5].clone());
        }
    }
    names
}

/// The rows of arguments.tsv by syscall, each as a Rust expression.
pub fn arguments(data: &Path, kinds: &Kinds) -> BTreeMap<String, String> {
    let mut by_syscall: BTreeMap<String, String> = BTreeMap::new();
    for (line, row) in rows(&data.join("arguments.tsv"), 5) {
        let when = match row[3].split_once(':') {
            None => "None".to_owned(),
            Some((argument, names)) => {
                let index = argument.strip_prefix('a').unwrap_or_else(|| panic!("arguments.tsv:{line}: {}", row[3]));
                format!("Some(({index}, &{:?}))", words(names))
            }
        };
        let kind = kinds.expression(&row[2], "arguments.tsv", line);
        let on = match row[4].strip_prefix('!') {
            Some(names) => format!("Machines::Not(&{:?})", words(names)),
            None if row[4] == "64" => "Machines::Bits64".to_owned(),
            None => {
                assert_eq!(row[4], "*", "arguments.tsv:{line}");
                "Machines::All".to_owned()
            }
        };
        writeln!(
            by_syscall.entry(row[0].clone()).or_default(),
            "Argument {{ index: {}, kind: {kind}, when: {when}, on: {on} }},",
            row[1]
        )
        .unwrap();
    }
    by_syscall
}
