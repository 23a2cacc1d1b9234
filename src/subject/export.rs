//! Everything that is held of one person, as a copy for them: JSON for programs,
//! CSV for a spreadsheet, a page to be read. Each with the meaning and the source
//! of every field, from [`crate::privacy::inventory`].
//!
//! Addresses are shown as they were, where their key is not destroyed: they are
//! the person's own. Hashes are left out of what is said in words: they mean
//! nothing outside. A cell of the CSV that a spreadsheet would take for a formula
//! begins with an apostrophe.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::find::{COVERED, params};
use super::{Office, Person, SubjectError};
use crate::html::escape;
use crate::privacy::inventory::{self, Place};
use crate::store::Limits;
use crate::store::row::COLUMNS;

/// The most rows of one export: a person who comes every day stays far below it for
/// years, and the document fits into memory.
pub const MAX_ROWS: u64 = 100_000;
/// Columns that are about how rows are stored, and not about the person.
const INTERNAL: &[&str] = &["batch", "row", "demo", "ip_key"];
/// What a spreadsheet takes for the beginning of a formula, wide forms included.
const FORMULA: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Json,
    Csv,
    Html,
}

/// A copy of what is held.
pub struct Export {
    pub person: Person,
    pub made: Timestamp,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

// === impl Format ===

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "JSON",
            Format::Csv => "CSV",
            Format::Html => "HTML",
        }
    }
}

// === impl Office ===

impl Office {
    /// Everything held of a person, also if they are blocked.
    pub async fn export(&self, person: Person, now: Timestamp) -> Result<Export, SubjectError> {
        let columns: Vec<&str> =
            COLUMNS.iter().copied().filter(|column| !INTERNAL.contains(column)).collect();
        let shown = |column: &&str| match *column {
            "time" => "formatDateTime(time, '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC')".to_owned(),
            "ip" => "concat(hex(ip), '-', toString(ip_key))".to_owned(),
            "visitor" | "minted" | "before" | "user_key" => {
                format!("if({column} = 0, '', lower(hex({column})))")
            }
            other => other.to_owned(),
        };
        // `time` and the like would otherwise be taken for the text that is made of them.
        let named = |column: &&str| format!("{} AS shown_{column}", shown(column));
        let sql = format!(
            "SELECT {} FROM {}.hits WHERE site = {{site:String}} AND {COVERED} ORDER BY time, batch, row LIMIT {}",
            columns.iter().map(named).collect::<Vec<_>>().join(", "),
            self.storage.database(),
            MAX_ROWS + 1
        );
        let limits = Limits { result_rows: MAX_ROWS + 1, ..Limits::default() };
        let mut rows = self.storage.json(&sql, &params(&person), &limits).await?;
        if rows.len() as u64 > MAX_ROWS {
            return Err(SubjectError::TooLong(MAX_ROWS));
        }
        if let Some(ip) = columns.iter().position(|column| *column == "ip") {
            for row in &mut rows {
                if let Some(cell) = row.get_mut(ip) {
                    *cell = self.revealed(cell.as_str().unwrap_or_default());
                }
            }
        }
        Ok(Export { person, made: now, columns, rows })
    }

    /// `HEX-KEY` as the address that it is.
    pub(super) fn revealed(&self, stored: &str) -> Value {
        let Some((hex, key)) = stored.split_once('-') else { return json!("") };
        let bytes = u128::from_str_radix(hex, 16).unwrap_or_default().to_be_bytes();
        match key.parse::<u32>() {
            Ok(0) | Err(_) => json!(""),
            Ok(key) => match self.keys.reveal(bytes, key) {
                Some(address) => json!(address.lookup(|address| address.to_string())),
                None => json!("unreadable: its key is destroyed"),
            },
        }
    }
}

// === impl Export ===

impl Export {
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    pub fn text(&self, format: Format) -> String {
        match format {
            Format::Json => self.json().to_string(),
            Format::Csv => self.csv(),
            Format::Html => self.html(),
        }
    }

    /// `{"site", "made", "notes", "fields": [{"name", "meaning", "source", "kept"}], "rows": [{…}]}`
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let cells =
                    self.columns.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), cell.clone()));
                Value::Object(cells.collect::<Map<_, _>>())
            })
            .collect();
        json!({
            "site": self.person.site,
            "made": self.made.to_string(),
            "notes": self.person.notes,
            "fields": self.columns.iter().map(|column| described(column)).collect::<Vec<_>>(),
            "rows": rows,
        })
    }

    /// A head, then a line for each row; by RFC 4180.
    pub fn csv(&self) -> String {
        let mut out = self.columns.join(",");
        out.push_str("\r\n");
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| quoted(&plain(cell))).collect();
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        }
        out
    }

    /// A page in Russian and English: what each field means, then each hit with what is not empty in it.
    pub fn html(&self) -> String {
        let site = escape(&self.person.site);
        let mut out = format!(
            "<!doctype html>\n<html lang=\"ru\"><head><meta charset=\"utf-8\"><title>{site}</title>\n\
             <style>body{{font:11pt/1.45 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}\
             table{{border-collapse:collapse;width:100%}}th,td{{border:1px solid #888;padding:.3em;text-align:left;\
             vertical-align:top}}dl{{display:grid;grid-template-columns:12em 1fr;gap:.1em 1em}}dd{{margin:0;\
             overflow-wrap:anywhere}}</style></head>\n<body><h1>Ваши данные на сайте {site}<br>\
             <span lang=\"en\">Your data on the site {site}</span></h1>\n<p>{}; {} <span lang=\"en\">hits</span></p>\n",
            escape(&self.made.to_string()),
            self.rows.len()
        );
        for note in &self.person.notes {
            out.push_str(&format!("<p lang=\"en\">{}</p>\n", escape(note)));
        }
        out.push_str("<table><tr><th>Поле<br><span lang=\"en\">Field</span></th><th>Значение<br><span lang=\"en\">Meaning</span></th><th>Источник<br><span lang=\"en\">Source</span></th></tr>\n");
        for column in &self.columns {
            let field = described(column);
            let cell = |name: &str| escape(field[name].as_str().unwrap_or_default());
            out.push_str(&format!(
                "<tr><td>{column}</td><td>{}<br><span lang=\"en\">{}</span></td><td>{}</td></tr>\n",
                cell("meaning_ru"),
                cell("meaning"),
                cell("source")
            ));
        }
        out.push_str("</table>\n");
        for row in &self.rows {
            out.push_str("<h2></h2><dl>");
            for (column, cell) in self.columns.iter().zip(row) {
                let text = plain(cell);
                if !text.is_empty() && text != "{}" {
                    out.push_str(&format!("<dt>{column}</dt><dd>{}</dd>", escape(&text)));
                }
            }
            out.push_str("</dl>\n");
        }
        out.push_str("</body></html>\n");
        out
    }
}

/// What a column of `hits` is, for the person whose it is.
fn described(column: &str) -> Value {
    let field = inventory::field(Place::Table("hits"), column);
    let field = field.expect("a test compares the inventory with the columns");
    json!({
        "name": column,
        "meaning": field.english,
        "meaning_ru": field.russian,
        "source": field.source.name(),
        "kept": field.term.name(),
    })
}

/// A cell without JSON's quotes.
fn plain(cell: &Value) -> String {
    match cell {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A cell of a CSV file.
fn quoted(text: &str) -> String {
    let guard = if text.starts_with(FORMULA) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_ends_its_line() {
        for (text, cell) in [
            ("plain", "\"plain\""),
            ("=1+1", "\"'=1+1\""),
            ("＝cmd", "\"'＝cmd\""),
            ("@x\"y", "\"'@x\"\"y\""),
            ("\r=x", "\"'\r=x\""),
            ("a,b\nc", "\"a,b\nc\""),
        ] {
            assert_eq!(quoted(text), cell);
        }
    }
}
