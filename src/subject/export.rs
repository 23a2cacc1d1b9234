//! Everything that is held of one person, as a copy for them: JSON for programs,
//! CSV for a spreadsheet, a page to be read. Each with the meaning and the source
//! of every field, from [`crate::privacy::inventory`].
//!
//! Addresses are shown as they were, where their key is not destroyed: they are
//! the person's own. Hashes are left out of what is said in words: they mean
//! nothing outside. JSON and the page tell to whom their data were disclosed
//! ([`crate::disclosure`]); CSV has the rows alone. A cell of the CSV that a spreadsheet would take for a formula
//! begins with an apostrophe.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::find::{COVERED, params};
use super::rows::Rows;
use super::{Office, Person, SubjectError, off_thread};
use crate::disclosure::Log;
use crate::disclosure::told::{Told, told};
use crate::html::escape;
use crate::policy::Language;
use crate::privacy::inventory::{self, Place};
use crate::store::Limits;
use crate::store::row::COLUMNS;

/// The most rows of one export: a person who comes every day stays far below it for
/// years, and the document fits into memory.
pub const MAX_ROWS: u64 = 100_000;
/// Columns that are about how rows are stored, and not about the person.
pub(crate) const INTERNAL: &[&str] = &["batch", "row", "demo", "ip_key"];
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
    /// To whom their data were handed out.
    disclosures: Vec<Told>,
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
        let rows = self
            .rows(&Rows {
                columns: &columns,
                condition: &format!("site = {{site:String}} AND {COVERED}"),
                params: &params(&person),
                most: MAX_ROWS,
                time: Limits::default().time,
                before: "",
                besides: None,
            })
            .await?;
        let times = times(&columns, &rows);
        let (log, of) = (Log::new(&self.config.data_dir), person.clone());
        let disclosures = off_thread(move || told(&log, &of, &times)).await??;
        Ok(Export { person, made: now, columns, rows, disclosures })
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

    /// `{"site", "made", "notes", "fields": [{"name", "meaning", "source", "kept"}],
    /// "disclosures": [{"number", "at", "recipient", …, "possibly"}], "rows": [{…}]}`
    pub fn json(&self) -> Value {
        json!({
            "site": self.person.site,
            "made": self.made.to_string(),
            "notes": self.person.notes,
            "fields": self.columns.iter().map(|column| described(column)).collect::<Vec<_>>(),
            "disclosures": self.disclosures,
            "rows": objects(&self.columns, &self.rows),
        })
    }

    /// A head, then a line for each row; by RFC 4180.
    pub fn csv(&self) -> String {
        csv(&self.columns, &self.rows)
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
            let [russian, english] =
                [Language::Ru, Language::En].map(|language| escape(&note.text(language)));
            out.push_str(&format!("<p>{russian}<br><span lang=\"en\">{english}</span></p>\n"));
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
        out.push_str(&disclosed(&self.disclosures));
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

/// To whom their data were disclosed, for the page.
fn disclosed(disclosures: &[Told]) -> String {
    let mut out = String::from(
        "<h2>Кому передавались данные<br><span lang=\"en\">To whom data were disclosed</span></h2>\n",
    );
    if disclosures.is_empty() {
        out.push_str("<p>Никому. <span lang=\"en\">To nobody.</span></p>\n");
        return out;
    }
    out.push_str("<ul>\n");
    for one in disclosures {
        let possibly = if one.possibly {
            "; возможно, среди них были ваши <span lang=\"en\">(yours may have been among them)</span>"
        } else {
            ""
        };
        out.push_str(&format!(
            "<li>{}, {}: {} ({}). {}; {}{possibly}</li>\n",
            one.number,
            escape(&one.at),
            escape(&one.recipient),
            one.recipient_kind,
            escape(&one.basis),
            escape(&one.purpose),
        ));
    }
    out.push_str("</ul>\n");
    out
}

/// When rows came, in milliseconds since 1970.
fn times(columns: &[&str], rows: &[Vec<Value>]) -> Vec<i64> {
    let Some(at) = columns.iter().position(|column| *column == "time") else { return Vec::new() };
    let time = |row: &Vec<Value>| row.get(at)?.as_str()?.parse::<Timestamp>().ok();
    rows.iter().filter_map(time).map(|time| time.as_millisecond()).collect()
}

/// Rows as objects with the names of their columns.
pub(crate) fn objects(columns: &[&str], rows: &[Vec<Value>]) -> Vec<Value> {
    let object = |row: &Vec<Value>| {
        let cells = columns.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), cell.clone()));
        Value::Object(cells.collect::<Map<_, _>>())
    };
    rows.iter().map(object).collect()
}

/// A head, then a line for each row; by RFC 4180.
pub(crate) fn csv(columns: &[&str], rows: &[Vec<Value>]) -> String {
    let mut out = columns.join(",");
    out.push_str("\r\n");
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| quoted(&plain(cell))).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

/// What a column of `hits` is, for the person whose it is.
pub(crate) fn described(column: &str) -> Value {
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
