//! The inventory against `schema/` and the engine, in both directions.

use std::collections::BTreeSet;

use metka::privacy::inventory::{self, Place};

use crate::ask;
use crate::storage::fresh;

/// `table.column` of all `CREATE TABLE` and `ADD COLUMN` in the migrations, but those that a later one drops.
fn in_schema() -> BTreeSet<String> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let mut found = BTreeSet::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "sql")) {
        let text = std::fs::read_to_string(file).expect("readable");
        let mut table = String::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let Some(name) = words.iter().find_map(|word| word.strip_prefix("{{database}}.")) {
                name.clone_into(&mut table);
            }
            let column = match words.as_slice() {
                ["ALTER", .., "ADD", "COLUMN", "IF", "NOT", "EXISTS", column, _] => Some(*column),
                _ => words
                    .iter()
                    .position(|word| *word == "EXISTS")
                    .filter(|_| words[0] == "ALTER" && words.contains(&"COLUMN"))
                    .map(|at| words[at + 1]),
            };
            let in_body = line.starts_with("    ")
                && line.ends_with(|end| end == ',' || end == ')' || char::is_alphanumeric(end));
            let is_type = words.get(1).is_some_and(|word| word.starts_with(char::is_uppercase));
            if let Some(column) = column.or_else(|| (in_body && is_type).then(|| words[0])) {
                let name = format!("{table}.{}", column.trim_matches(['`', ';']));
                if words.contains(&"DROP") {
                    found.remove(&name)
                } else {
                    found.insert(name)
                };
            }
        }
    }
    found
}

#[tokio::test]
async fn every_column_is_in_the_inventory_and_nothing_else_is() {
    let storage = fresh().await;
    let sql = format!("SELECT table, name FROM system.columns WHERE database = '{}'", storage.database());
    let engine: BTreeSet<String> = ask(&storage, &sql)
        .await
        .iter()
        .map(|row| {
            // The tables in memory have the columns of those on disk.
            let table = row[0].as_str().expect("a table").trim_end_matches("_today");
            format!("{table}.{}", row[1].as_str().expect("a column"))
        })
        .collect();
    let told: BTreeSet<String> = inventory::all()
        .filter_map(|field| match field.place {
            Place::Table(table) => Some(format!("{table}.{}", field.name)),
            _ => None,
        })
        .collect();
    assert_eq!(engine, told);
    // The table of migrations is made by the program, before the first file.
    let of_files: BTreeSet<String> =
        told.iter().filter(|name| !name.starts_with("migrations.")).cloned().collect();
    assert_eq!(in_schema(), of_files);
    let personal = inventory::all().filter(|field| field.personal.is_of_a_visitor()).count();
    println!(
        "{} fields, {} of them columns; {personal} are a visitor's",
        inventory::all().count(),
        told.len()
    );
}
