//! The specification page shows the tables that the code runs on.

use std::fmt::Write as _;
use std::path::Path;

use gantral_core::state::{ActorKind, State};
use gantral_core::table::{Actors, SEALED, TABLE, published};

use crate::matrix::golden;

fn actors(set: Actors) -> String {
    let names: Vec<&str> =
        ActorKind::ALL.iter().filter(|kind| set.contains(**kind)).map(|kind| kind.as_str()).collect();
    names.join(", ")
}

fn moves() -> String {
    let mut text = String::from("| from | event | by | to |\n|---|---|---|---|\n");
    for row in TABLE {
        let from = row.from.map_or("(nothing)".to_owned(), |state| format!("`{state}`"));
        let _ = writeln!(text, "| {from} | `{}` | {} | `{}` |", row.event, actors(row.by), row.to);
    }
    text
}

fn sealed() -> String {
    let mut text = String::from("| event | by | within |\n|---|---|---|\n");
    for row in SEALED {
        let within: Vec<String> = row.within.iter().map(|state: &State| format!("`{state}`")).collect();
        let _ = writeln!(text, "| `{}` | {} | {} |", row.event, actors(row.by), within.join(", "));
    }
    text
}

/// Puts a table between its marker and the end mark that follows.
fn with(page: &str, marker: &str, table: &str) -> String {
    let (before, rest) = page.split_once(marker).expect("the page has the marker");
    let (_, after) = rest.split_once("<!-- end -->").expect("the page has the end mark");
    format!("{before}{marker}\n{table}<!-- end -->{after}")
}

#[test]
fn the_specification_shows_the_table_of_the_code() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/states.md"));
    let page = std::fs::read_to_string(path).expect("spec/states.md");
    let page = with(&page, "<!-- moves -->", &moves());
    golden(path, &with(&page, "<!-- sealed -->", &sealed()));
}

#[test]
fn the_rules_of_the_specification_are_numbered_without_gaps() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/states.md"));
    let page = std::fs::read_to_string(path).expect("spec/states.md");
    let numbers: Vec<usize> = page
        .split("- **S")
        .skip(1)
        .filter_map(|rest| rest.split_once('.').and_then(|(number, _)| number.parse().ok()))
        .collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

#[test]
fn the_published_table_lists_every_row_once() {
    let text = published();
    let lines: Vec<&str> = text.lines().collect();
    let rows = TABLE.len() + SEALED.iter().map(|row| row.within.len()).sum::<usize>();
    assert_eq!(lines.len(), 1 + rows);
    let distinct: std::collections::BTreeSet<&&str> = lines.iter().collect();
    assert_eq!(distinct.len(), lines.len());
    assert!(lines.contains(&"move WAITING_FOR_HUMAN approved APPROVED human"));
}
