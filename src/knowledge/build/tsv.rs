//! Rows of the data files, and how they are spelled as Rust.

use std::fs;
use std::path::Path;

/// A row and the number of its line.
pub type Row = (usize, Vec<String>);

/// Rows of a TSV file after the comment lines and the line of column names. A malformed one stops the build.
pub fn rows(path: &Path, columns: usize) -> Vec<Row> {
    println!("cargo:rerun-if-changed={}", path.display());
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    let body = lines.filter(|(_, line)| !line.starts_with('#') && !line.is_empty()).skip(1);
    body.map(|(number, line)| {
        let row: Vec<String> = line.split('\t').map(str::to_owned).collect();
        assert!(row.len() == columns, "{}:{number}: expected {columns} columns, found {}", path.display(), row.len());
        (number, row)
    })
    .collect()
}

/// The name of a place or table as a Rust constant: `process.parent.pid` is `PROCESS_PARENT_PID`.
pub fn constant(path: &str) -> String {
    path.trim_start_matches('@').replace(['.', '-'], "_").to_uppercase()
}

/// The name of a kind as a variant of an enum.
pub fn variant(kind: &str) -> String {
    kind.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

/// A field's name as the document spells it.
pub fn snake(field: &str) -> String {
    field.replace('-', "_").to_lowercase()
}

/// The words of a cell: separated by commas, `-` for none.
pub fn words(cell: &str) -> Vec<&str> {
    if cell == "-" {
        Vec::new()
    } else {
        cell.split(',').collect()
    }
}

/// A number as the tables write it: hex with `0x`, else decimal.
pub fn number(cell: &str, path: &Path, line: usize) -> u64 {
    let parsed = cell.strip_prefix("0x").map_or_else(|| cell.parse(), |hex| u64::from_str_radix(hex, 16));
    parsed.unwrap_or_else(|e| panic!("{}:{line}: {cell}: {e}", path.display()))
}
