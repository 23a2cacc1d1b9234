//! Applies `schema/`, and refuses to run on settings that break a promise.
//!
//! Migrations are numbered files in one dialect, embedded in the binary. Three
//! placeholders make the cluster form of them: `{{database}}`, `{{on_cluster}}`
//! and `{{merge_tree}}`. A statement ends with `;` at the end of a line. What
//! was applied is noted in the table `migrations` with a hash of the file: a
//! file that was applied never changes. Every statement may run twice
//! (`IF NOT EXISTS`), since a crash may come between a statement and its note.

use super::{INSERT_SETTINGS, Limits, Param, Storage, StorageError};

/// The files of `schema/`, in order.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "hits", text: include_str!("../../schema/0001_hits.sql") },
    Migration { number: 2, name: "erase_queue", text: include_str!("../../schema/0002_erase_queue.sql") },
    Migration { number: 3, name: "before", text: include_str!("../../schema/0003_before.sql") },
    Migration { number: 4, name: "refusals", text: include_str!("../../schema/0004_refusals.sql") },
    Migration { number: 5, name: "blocked", text: include_str!("../../schema/0005_blocked.sql") },
    Migration { number: 6, name: "corrections", text: include_str!("../../schema/0006_corrections.sql") },
    Migration { number: 7, name: "held", text: include_str!("../../schema/0007_held.sql") },
    Migration { number: 8, name: "rollups", text: include_str!("../../schema/0008_rollups.sql") },
    Migration {
        number: 9,
        name: "people_by_previous_day",
        text: include_str!("../../schema/0009_people_by_previous_day.sql"),
    },
    Migration {
        number: 10,
        name: "pages_of_visits",
        text: include_str!("../../schema/0010_pages_of_visits.sql"),
    },
    Migration {
        number: 11,
        name: "places_of_refusals",
        text: include_str!("../../schema/0011_places_of_refusals.sql"),
    },
    Migration {
        number: 12,
        name: "script_errors",
        text: include_str!("../../schema/0012_script_errors.sql"),
    },
    Migration { number: 13, name: "whose_hit", text: include_str!("../../schema/0013_whose_hit.sql") },
    Migration { number: 14, name: "jobs", text: include_str!("../../schema/0014_jobs.sql") },
    Migration { number: 15, name: "ended", text: include_str!("../../schema/0015_ended.sql") },
];

/// The number of the last migration.
pub const LATEST: u32 = MIGRATIONS.len() as u32;

/// Made before the first migration, for the notes about them.
const MIGRATIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS {{database}}.migrations {{on_cluster}}
(
    number  UInt32,
    name    String,
    hash    String,
    applied DateTime64(3, 'UTC')
)
ENGINE = {{merge_tree}}
ORDER BY number
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1";

/// What the settings of each table of hits must be, and why.
const TABLE_SETTINGS: &[(&str, Bound)] = &[
    // Off by default: without it a repeated batch counts twice.
    ("non_replicated_deduplication_window", Bound::AtLeast(10_000)),
    // An acknowledged batch leaves the spool, so it must be on the disk.
    ("fsync_after_insert", Bound::Is(1)),
    ("fsync_part_directory", Bound::Is(1)),
    ("min_rows_to_fsync_after_merge", Bound::Is(1)),
    ("min_compressed_bytes_to_fsync_after_merge", Bound::Is(1)),
    // Erased bytes leave the disk at once, not after minutes.
    ("old_parts_lifetime", Bound::Is(0)),
    ("cleanup_delay_period", Bound::AtMost(1)),
    ("cleanup_delay_period_random_add", Bound::Is(0)),
    ("max_cleanup_delay_period", Bound::AtMost(1)),
    // With 1 a column's term waits for the row's.
    ("ttl_only_drop_parts", Bound::Is(0)),
    ("merge_with_ttl_timeout", Bound::AtMost(3600)),
];

/// The same for a replicated table.
const REPLICATED_SETTINGS: &[(&str, Bound)] = &[
    ("replicated_deduplication_window", Bound::AtLeast(10_000)),
    ("replicated_deduplication_window_seconds", Bound::AtLeast(604_800)),
];

struct Migration {
    number: u32,
    name: &'static str,
    text: &'static str,
}

#[derive(Clone, Copy)]
enum Bound {
    Is(u64),
    AtLeast(u64),
    AtMost(u64),
}

/// How the placeholders are filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The cluster's name, an identifier; `None` for one server or the embedded engine.
    pub cluster: Option<String>,
}

// === impl Form ===

impl Form {
    fn fill(&self, database: &str, text: &str) -> String {
        let (on_cluster, merge_tree) = match &self.cluster {
            Some(cluster) => (
                format!("ON CLUSTER {cluster}"),
                "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')"
                    .to_owned(),
            ),
            None => (String::new(), "MergeTree".to_owned()),
        };
        text.replace("{{database}}", database)
            .replace("{{on_cluster}}", &on_cluster)
            .replace("{{merge_tree}}", &merge_tree)
    }
}

/// Applies what is missing, then checks. Returns the numbers it applied.
pub async fn run(storage: &Storage, form: &Form) -> Result<Vec<u32>, StorageError> {
    let database = storage.database();
    storage
        .execute(&form.fill(database, "CREATE DATABASE IF NOT EXISTS {{database}} {{on_cluster}}"), &[])
        .await?;
    storage.execute(&form.fill(database, MIGRATIONS_TABLE), &[]).await?;

    let mut applied = Vec::new();
    let noted = noted(storage).await?;
    if let Some((number, _)) = noted.iter().find(|(number, _)| MIGRATIONS.iter().all(|m| m.number != *number))
    {
        return Err(StorageError::NewerDatabase { number: *number });
    }
    for migration in MIGRATIONS {
        let hash = blake3::hash(migration.text.as_bytes()).to_hex().to_string();
        match noted.iter().find(|(number, _)| *number == migration.number) {
            Some((_, before)) if *before == hash => continue,
            Some(_) => return Err(StorageError::ChangedMigration { number: migration.number }),
            None => {}
        }
        for statement in statements(migration.text) {
            storage.execute(&form.fill(database, &statement), &[]).await?;
        }
        storage
            .execute(
                &format!(
                    "INSERT INTO {database}.migrations SELECT {{number:UInt32}}, {{name:String}}, {{hash:String}}, now64(3)"
                ),
                &[
                    ("number".to_owned(), Param::Number(i64::from(migration.number))),
                    ("name".to_owned(), Param::Text(migration.name.to_owned())),
                    ("hash".to_owned(), Param::Text(hash)),
                ],
            )
            .await?;
        applied.push(migration.number);
    }
    check(storage).await?;
    Ok(applied)
}

/// Checks the settings of the tables and of an insert's session.
pub async fn check(storage: &Storage) -> Result<(), StorageError> {
    let mut mistakes = Vec::new();
    let database = storage.database();
    let tables = storage
        .json(
            "SELECT name, engine, engine_full FROM system.tables WHERE database = {database:String} AND name = 'hits'",
            &[("database".to_owned(), Param::Text(database.to_owned()))],
            &Limits::default(),
        )
        .await?;
    if tables.is_empty() {
        mistakes.push(format!("  {database}.hits does not exist"));
    }
    let defaults = name_values(
        storage.json("SELECT name, value FROM system.merge_tree_settings", &[], &Limits::default()).await?,
    );
    for table in &tables {
        let [name, engine, full] = [text(table, 0), text(table, 1), text(table, 2)];
        let replicated = if engine.starts_with("Replicated") { REPLICATED_SETTINGS } else { &[] };
        for (setting, bound) in TABLE_SETTINGS.iter().chain(replicated) {
            let value = setting_in(full, setting).or_else(|| {
                defaults.iter().find(|(name, _)| name == setting).map(|(_, value)| value.clone())
            });
            if let Some(mistake) = bound.mistake(setting, value.as_deref()) {
                mistakes.push(format!("  {database}.{name}: {mistake}"));
            }
        }
    }
    mistakes.extend(session_mistakes(storage).await?);
    if mistakes.is_empty() { Ok(()) } else { Err(StorageError::Settings(mistakes)) }
}

/// Whether the settings of an insert arrive as sent.
async fn session_mistakes(storage: &Storage) -> Result<Vec<String>, StorageError> {
    let names: Vec<String> = INSERT_SETTINGS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let sql = "SELECT name, value FROM system.settings WHERE has({names:Array(String)}, name)";
    let params = [("names".to_owned(), Param::Texts(names))];
    let rows = storage.json_with(sql, &params, &Limits::default(), INSERT_SETTINGS).await?;
    let found = name_values(rows);
    Ok(INSERT_SETTINGS
        .iter()
        .filter_map(|(name, value)| match found.iter().find(|(found, _)| found == name) {
            Some((_, found)) if found == value => None,
            Some((_, found)) => Some(format!("  an insert's {name} is {found}, not {value}")),
            None => Some(format!("  an insert's {name} is not known to this version")),
        })
        .collect())
}

// === impl Bound ===

impl Bound {
    fn mistake(self, name: &str, value: Option<&str>) -> Option<String> {
        let Some(value) = value else {
            return Some(format!("{name} is not known to this version"));
        };
        let number = match value {
            "true" => Ok(1),
            "false" => Ok(0),
            digits => digits.parse::<u64>(),
        };
        let (fits, wanted) = match (self, number) {
            (Bound::Is(wanted), number) => (number == Ok(wanted), wanted.to_string()),
            (Bound::AtLeast(wanted), number) => {
                (number.is_ok_and(|n| n >= wanted), format!("{wanted} or more"))
            }
            (Bound::AtMost(wanted), number) => {
                (number.is_ok_and(|n| n <= wanted), format!("{wanted} or less"))
            }
        };
        (!fits).then(|| format!("{name} is {value}, it must be {wanted}"))
    }
}

async fn noted(storage: &Storage) -> Result<Vec<(u32, String)>, StorageError> {
    let sql = format!("SELECT DISTINCT number, hash FROM {}.migrations ORDER BY number", storage.database());
    let rows = storage.json(&sql, &[], &Limits::default()).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let number = row.first().and_then(serde_json::Value::as_u64).unwrap_or_default();
            (u32::try_from(number).unwrap_or(u32::MAX), text(row, 1).to_owned())
        })
        .collect())
}

/// The statements of a migration, without comments.
fn statements(file: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut current = String::new();
    for line in file.lines().filter(|line| !line.trim_start().starts_with("--")) {
        match line.trim_end().strip_suffix(';') {
            Some(last) => {
                current.push_str(last);
                all.push(std::mem::take(&mut current));
            }
            None => {
                current.push_str(line);
                current.push('\n');
            }
        }
    }
    if !current.trim().is_empty() {
        all.push(current);
    }
    all
}

/// The value of a setting in `system.tables.engine_full`.
fn setting_in(engine_full: &str, name: &str) -> Option<String> {
    let (_, settings) = engine_full.rsplit_once(" SETTINGS ")?;
    settings.split(", ").find_map(|assignment| {
        let (found, value) = assignment.split_once(" = ")?;
        (found == name).then(|| value.trim_matches('\'').to_owned())
    })
}

fn name_values(rows: Vec<Vec<serde_json::Value>>) -> Vec<(String, String)> {
    rows.iter().map(|row| (text(row, 0).to_owned(), text(row, 1).to_owned())).collect()
}

fn text(row: &[serde_json::Value], index: usize) -> &str {
    row.get(index).and_then(serde_json::Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps_and_hold_no_unknown_placeholder() {
        for (migration, number) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.number, number, "{}", migration.name);
            for form in [Form::default(), Form { cluster: Some("stats".to_owned()) }] {
                let filled = form.fill("metka", migration.text);
                assert!(!filled.contains("{{"), "{}", migration.name);
            }
        }
    }

    #[test]
    fn statements_end_with_a_semicolon_at_the_end_of_a_line() {
        let file = "-- why; not here;\nCREATE a\n  (x);\nCREATE b;\n\n";
        assert_eq!(statements(file), ["CREATE a\n  (x)", "CREATE b"]);
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_value() {
        let full = "MergeTree ORDER BY x SETTINGS index_granularity = 8192, fsync_after_insert = true";
        assert_eq!(setting_in(full, "fsync_after_insert").as_deref(), Some("true"));
        assert_eq!(Bound::Is(1).mistake("fsync_after_insert", Some("true")), None);
        assert_eq!(
            Bound::AtLeast(10_000).mistake("window", Some("0")).as_deref(),
            Some("window is 0, it must be 10000 or more")
        );
        assert!(Bound::AtMost(1).mistake("gone", None).is_some());
    }
}
