//! What events mean (actions.tsv), by record type and by syscall; the tables of syscalls.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::document::Places;
use crate::hash::{ends, perfect_hash};
use crate::tsv::{constant, rows, variant, words, Row};

const COLUMNS: usize = 14;
/// Numbers of syscalls up to this far above the lowest are looked up by index; the tables have some 600.
const MAX_NEAR: usize = 4096;

/// The rules of actions.tsv as Rust expressions, by what they are looked up by.
pub struct Actions {
    by: BTreeMap<(String, String), String>,
}

impl Actions {
    pub fn read(data: &Path, places: &Places) -> Self {
        let mut by: BTreeMap<(String, String), String> = BTreeMap::new();
        for row in rows(&data.join("actions.tsv"), COLUMNS) {
            let rule = rule(&row, places);
            writeln!(by.entry((row.1[0].clone(), row.1[1].clone())).or_default(), "{rule},").unwrap();
        }
        Self { by }
    }

    /// The rules of one record type or syscall, in the order of the file.
    pub fn of(&self, by: &str, name: &str) -> &str {
        self.by.get(&(by.to_owned(), name.to_owned())).map_or("", String::as_str)
    }

    fn names(&self, by: &str) -> BTreeSet<&str> {
        self.by.keys().filter(|(kind, _)| kind == by).map(|(_, name)| name.as_str()).collect()
    }
}

fn rule((line, row): &Row, places: &Places) -> String {
    let place = |field: &str| {
        // `path` alone is the file of the event; `data.path` is the field of that name.
        let field = field.strip_prefix("data.").unwrap_or(field);
        let (at, name) = places.get(field).unwrap_or_else(|| panic!("actions.tsv:{line}: no field {field}"));
        format!("Place({at}), Place({name})")
    };
    let source = |word: &&str| match *word {
        "path" => "Source::Path".to_owned(),
        "path2" => "Source::OtherPath".to_owned(),
        "socket" => "Source::Socket".to_owned(),
        "port" => "Source::Port".to_owned(),
        field => format!("Source::Field({})", place(field)),
    };
    let sources = |cell: &str| format!("&[{}]", words(cell).iter().map(source).collect::<Vec<_>>().join(", "));
    let when = match row[2].split_once('=') {
        _ if row[2] == "-" => "None".to_owned(),
        Some((field, word)) => format!("Some(({}, Some({word:?})))", place(field).split_once(", ").expect("two").0),
        None => format!("Some(({}, None))", place(&row[2]).split_once(", ").expect("two").0),
    };
    let (actor, actor_secondary) = match row[7].split_once('/') {
        Some((primary, secondary)) => (sources(primary), sources(secondary)),
        None => (sources(&row[7]), "&[]".to_owned()),
    };
    let (actor, actor_secondary) =
        if row[7] == "-" { (sources("auid"), sources("uid")) } else { (actor, actor_secondary) };
    let choice = |cell: &str| if cell == "-" { "None".to_owned() } else { variant(cell) };
    let object = if row[6] == "-" { "" } else { &row[6] };
    format!(
        "ActionRule {{ when: {when}, action: Action {{ action: {:?}, categories: &{:?}, types: &{:?}, object: {object:?}, \
         actor: {actor}, actor_secondary: {actor_secondary}, how: {}, primary: {}, secondary: {}, path: PathChoice::{}, \
         account: Account::{}, peer: Peer::{} }} }}",
        row[3],
        words(&row[4]),
        words(&row[5]),
        sources(&row[8]),
        sources(&row[9]),
        sources(&row[10]),
        choice(&row[11]),
        choice(&row[12]),
        choice(&row[13]),
    )
}

/// Record types with what an event means that they lead.
pub fn write_record_types(data: &Path, actions: &Actions, out: &mut String) {
    let table = rows(&data.join("record_types.tsv"), 4);
    let auxiliary: Vec<String> =
        rows(&data.join("auxiliary_types.tsv"), 1).into_iter().map(|(_, mut row)| row.remove(0)).collect();
    let mut names = Vec::new();
    writeln!(out, "pub(crate) static RECORD_TYPES: &[RecordType] = &[").unwrap();
    for (index, (_, row)) in table.iter().enumerate() {
        let (number, name) = (&row[0], &row[1]);
        names.push(name.clone());
        writeln!(
            out,
            "RecordType {{ number: {number}, index: {index}, name: {name:?}, ends: {}, lower: {:?}, leads: {}, actions: &[{}], \
             fallbacks: &[{}] }},",
            ends(name),
            name.to_lowercase(),
            !auxiliary.contains(name),
            actions.of("record", name),
            actions.of("fallback", name),
        )
        .unwrap();
    }
    writeln!(out, "];").unwrap();
    for by in ["record", "fallback"] {
        for name in actions.names(by) {
            assert!(names.iter().any(|known| known == name), "actions.tsv: no record type {name}");
        }
    }
    perfect_hash(out, "TYPE", &names, 13);
    writeln!(out, "pub mod record_type {{").unwrap();
    for (_, row) in &table {
        writeln!(out, "pub const {}: u16 = {};", row[1].replace('-', "_"), row[0]).unwrap();
    }
    writeln!(out, "}}").unwrap();
}

/// All syscalls of all architectures, and the numbers of each architecture.
pub fn write_syscalls(
    data: &Path,
    families: &[String],
    arguments: &BTreeMap<String, String>,
    actions: &Actions,
    out: &mut String,
) {
    let arches = rows(&data.join("arches.tsv"), 6);
    let mut tables: BTreeMap<&str, BTreeMap<usize, String>> = BTreeMap::new();
    for (_, row) in arches.iter().filter(|(_, row)| row[2] != "-") {
        tables.entry(&row[2]).or_insert_with(|| {
            let path = data.join("syscalls").join(format!("{}.tsv", row[2]));
            let number = |cell: &str, line| cell.parse().unwrap_or_else(|e| panic!("{}:{line}: {e}", path.display()));
            rows(&path, 2).into_iter().map(|(line, row)| (number(&row[0], line), row[1].clone())).collect()
        });
    }
    let names: BTreeSet<&str> = tables.values().flat_map(BTreeMap::values).map(String::as_str).collect();
    for name in arguments.keys().map(String::as_str).chain(actions.names("syscall")) {
        assert!(names.contains(name), "arguments.tsv or actions.tsv: no syscall {name}");
    }
    writeln!(out, "pub(crate) static SYSCALLS: &[Syscall] = &[").unwrap();
    for name in &names {
        let arguments = arguments.get(*name).map_or("", String::as_str);
        let actions = actions.of("syscall", name);
        writeln!(out, "Syscall {{ name: {name:?}, actions: &[{actions}], arguments: &[{arguments}] }},").unwrap();
    }
    writeln!(out, "];").unwrap();
    let index: BTreeMap<&str, usize> = names.iter().enumerate().map(|(i, name)| (*name, i)).collect();
    for (table, numbers) in &tables {
        let first = numbers.keys().next().copied().unwrap_or(0);
        let last = numbers.range(..first + MAX_NEAR).next_back().map_or(first, |(nr, _)| *nr);
        let slot = |nr: usize| numbers.get(&nr).map_or(0, |name| index[name.as_str()] + 1);
        let slots: Vec<usize> = (first..=last).map(slot).collect();
        let others: Vec<(usize, usize)> = numbers.range(last + 1..).map(|(nr, _)| (*nr, slot(*nr))).collect();
        let calls = calls(table);
        writeln!(out, "static {calls}: Calls = Calls {{ first: {first}, slots: &{slots:?}, others: &{others:?} }};")
            .unwrap();
    }
    write_arches(data, &arches, families, out);
}

fn calls(table: &str) -> String {
    constant(&format!("calls.{table}"))
}

fn write_arches(data: &Path, arches: &[Row], families: &[String], out: &mut String) {
    let errno: BTreeSet<&str> = arches.iter().map(|(_, row)| row[3].as_str()).collect();
    for name in errno {
        let path: PathBuf = data.join("errno").join(format!("{name}.tsv"));
        super::write_number_table(out, &constant(&format!("errno.{name}")), &path);
    }
    let mut sorted: Vec<&Row> = arches.iter().collect();
    sorted.sort_by_key(|(_, row)| u32::from_str_radix(&row[0], 16).expect("audit_arch is hex"));
    writeln!(out, "pub(crate) static ARCHES: &[Arch] = &[").unwrap();
    for (_, row) in sorted {
        let table = if row[2] == "-" { "NO_CALLS".to_owned() } else { calls(&row[2]) };
        let family = families.iter().position(|family| *family == row[5]).expect("families come from here");
        writeln!(
            out,
            "Arch {{ value: 0x{}, name: {:?}, family: {family}, calls: &{table}, errno: {}, big_endian: {} }},",
            row[0],
            row[1],
            constant(&format!("errno.{}", row[3])),
            row[4] == "big"
        )
        .unwrap();
    }
    writeln!(out, "];").unwrap();
}
