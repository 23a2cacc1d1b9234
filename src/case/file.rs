//! The case file as a document: JSON for programs, CSV for a spreadsheet, a page to be
//! printed, lines for a terminal.
//!
//! ```text
//! {"site","made","by","recipient","who","purpose","words","basis","from","to","offset","limit","more",
//!  "summary":{"hits","visits","visitors","first","last","days","addresses","countries":[…],"devices":[…]},
//!  "around":{"at","minutes"},"visit_at":{"number","first","last","offset","away_ms"},"notes":[…],
//!  "visits":[{"number","visitor","first","last","hits","events","is_at","trail":[{"time",…}]}]}
//! ```
//!
//! `visits` has those of which a hit is on this page. What stands in a hit is
//! [`super::trail::CELLS`]. CSV has the hits alone, each with the numbers of its visit and
//! visitor; no cell of it is a formula ([`crate::export`]).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::trail::{CELLS, Part, Span, Trail};
use super::visits::Visit;
use super::{Around, moment, page};
use crate::audit::Purpose;
use crate::export::{self, MARK};
use crate::policy::Language;
use crate::subject::note::Note;

/// The cell that goes to a state body or a court only.
const IDENTIFYING: &str = "address";
/// What a line of a terminal shows of a hit.
const IN_A_LINE: [&str; 7] = ["kind", "host", "path", "name", "country", "browser", "mark"];
/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    Csv,
    Html,
}

/// An opened case file. Holds what is about one person.
#[derive(Clone, Debug)]
pub struct File {
    pub site: String,
    pub timezone: String,
    pub made: Timestamp,
    /// Who opened it.
    pub by: String,
    /// Who gets it outside, if anybody does.
    pub recipient: Option<String>,
    /// By what the person was identified, without the value.
    pub who: &'static str,
    pub purpose: Purpose,
    pub words: String,
    pub basis: Option<String>,
    pub notes: Vec<Note>,
    pub around: Option<Around>,
    pub span: Span,
    pub part: Part,
    pub trail: Trail,
    pub format: Format,
    /// Of the page.
    pub language: Language,
    /// Whether the tokens of addresses are shown.
    pub has_addresses: bool,
}

// === impl File ===

impl File {
    /// In the form that was asked for.
    pub fn text(&self) -> String {
        match self.format {
            Format::Json => self.json().to_string(),
            Format::Csv => self.csv(),
            Format::Html => page::html(self),
        }
    }

    pub fn json(&self) -> Value {
        let summary = &self.trail.summary;
        let visits: Vec<Value> =
            self.shown().map(|(place, visit, hits)| self.visit(place, visit, &hits)).collect();
        json!({
            "site": self.site,
            "made": self.made.to_string(),
            "by": self.by,
            "recipient": self.recipient,
            "who": self.who,
            "purpose": self.purpose,
            "words": self.words,
            "basis": self.basis,
            "from": moment(self.span.from).to_string(),
            "to": moment(self.span.to).to_string(),
            "offset": self.part.offset,
            "limit": self.part.limit,
            "more": self.trail.more,
            "summary": {
                "hits": summary.hits,
                "visits": summary.visits,
                "visitors": summary.visitors,
                "first": summary.first.map(|at| moment(at).to_string()),
                "last": summary.last.map(|at| moment(at).to_string()),
                "days": summary.days,
                "addresses": self.has_addresses.then_some(summary.addresses),
                "countries": summary.countries,
                "devices": summary.devices,
            },
            "around": self.around.map(|around| {
                json!({ "at": moment(around.at).to_string(), "minutes": around.minutes })
            }),
            "visit_at": self.visit_at().map(|(place, away_ms)| {
                let visit = &self.trail.visits[place];
                json!({
                    "number": place + 1,
                    "first": moment(visit.first).to_string(),
                    "last": moment(visit.last).to_string(),
                    "offset": self.trail.offset_of(place),
                    "away_ms": away_ms,
                })
            }),
            "notes": self.notes,
            "visits": visits,
        })
    }

    /// A head, then a line for each hit; by RFC 4180.
    pub fn csv(&self) -> String {
        let columns: Vec<usize> = self.columns().collect();
        let line = |cells: Vec<Value>| {
            let cells: Vec<String> = cells.iter().map(export::cell).collect();
            format!("{}\r\n", cells.join(","))
        };
        let names = columns.iter().map(|column| json!(CELLS[*column].0));
        let mut text = String::from(MARK);
        text.push_str(&line([json!("visit"), json!("visitor")].into_iter().chain(names).collect()));
        for (visit, cells) in &self.trail.hits {
            let numbers = [json!(visit + 1), json!(self.trail.visits[*visit].visitor)];
            let cells = columns.iter().map(|column| cells[*column].clone());
            text.push_str(&line(numbers.into_iter().chain(cells).collect()));
        }
        text
    }

    /// For a terminal.
    pub fn lines(document: &Value) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let names = |list: &Value| {
            let names: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
            names.join(", ")
        };
        let summary = &document["summary"];
        let mut lines = vec![
            format!(
                "site {}, by {}, purpose {}: {}",
                text(&document["site"]),
                text(&document["who"]),
                text(&document["purpose"]),
                text(&document["words"])
            ),
            format!("range       {} to {}", text(&document["from"]), text(&document["to"])),
            format!(
                "held        {} hits in {} visits of {} visitors on {} days, {} addresses",
                summary["hits"],
                summary["visits"],
                summary["visitors"],
                summary["days"],
                summary["addresses"]
            ),
            format!("first, last {}, {}", text(&summary["first"]), text(&summary["last"])),
            format!("countries   {}", names(&summary["countries"])),
            format!("devices     {}", names(&summary["devices"])),
        ];
        if !document["around"].is_null() {
            let at = text(&document["around"]["at"]);
            lines.push(match document["visit_at"]["number"].as_u64() {
                Some(number) => {
                    format!("around      {at}: visit {number}, hit {}", document["visit_at"]["offset"])
                }
                None => format!("around      {at}: no visit"),
            });
        }
        lines.extend(
            document["notes"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|note| format!("note        {}", text(note))),
        );
        for visit in document["visits"].as_array().into_iter().flatten() {
            lines.push(format!(
                "visit {} of visitor {}: {} to {}, {} hits",
                visit["number"],
                visit["visitor"],
                text(&visit["first"]),
                text(&visit["last"]),
                visit["hits"]
            ));
            for hit in visit["trail"].as_array().into_iter().flatten() {
                let cells = IN_A_LINE.iter().filter_map(|name| hit[name].as_str());
                // A stranger's text must not steer the terminal.
                let cells: Vec<String> = cells
                    .filter(|cell| !cell.is_empty())
                    .map(|cell| cell.chars().filter(|letter| !letter.is_control()).collect())
                    .collect();
                lines.push(format!("  {}  {}", text(&hit["time"]), cells.join("  ")));
            }
        }
        if document["more"] == true {
            lines.push("more hits follow: see --offset".to_owned());
        }
        lines
    }

    /// The visit that the moment asked about is in or near.
    pub fn visit_at(&self) -> Option<(usize, i64)> {
        let around = self.around?;
        self.trail.visit_at(around.at, i64::from(around.minutes) * MINUTE_MS)
    }

    /// The places of the cells that are shown.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        (0..CELLS.len()).filter(|column| self.has_addresses || CELLS[*column].0 != IDENTIFYING)
    }

    /// The visits of this page: place, visit, and the hits that are on it.
    pub(super) fn shown(&self) -> impl Iterator<Item = (usize, &Visit, Vec<&Vec<Value>>)> {
        let of_visits = self.trail.hits.chunk_by(|one, other| one.0 == other.0);
        of_visits.map(|hits| {
            let place = hits[0].0;
            (place, &self.trail.visits[place], hits.iter().map(|(_, cells)| cells).collect())
        })
    }

    fn visit(&self, place: usize, visit: &Visit, hits: &[&Vec<Value>]) -> Value {
        let hit = |cells: &&Vec<Value>| {
            let cells = self.columns().map(|column| (CELLS[column].0.to_owned(), cells[column].clone()));
            Value::Object(cells.collect::<Map<_, _>>())
        };
        json!({
            "number": place + 1,
            "visitor": visit.visitor,
            "first": moment(visit.first).to_string(),
            "last": moment(visit.last).to_string(),
            "hits": visit.hits.len(),
            "events": visit.events,
            "is_at": self.visit_at().is_some_and(|(at, _)| at == place),
            "trail": hits.iter().map(hit).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::case::trail::Summary;

    /// One visit with one hit, whose texts are these.
    pub fn file(text: &str) -> File {
        let cells = CELLS.iter().map(|(name, _)| match *name {
            "time" => json!("2026-11-26T10:00:00.000Z"),
            "signed_in" => json!(true),
            _ => json!(text),
        });
        let visit = Visit { visitor: 1, first: 0, last: 1000, events: 1, hits: vec![0] };
        File {
            site: "clinic".to_owned(),
            timezone: "Europe/Moscow".to_owned(),
            made: Timestamp::UNIX_EPOCH,
            by: text.to_owned(),
            recipient: None,
            who: "cookie",
            purpose: Purpose::Payments,
            words: text.to_owned(),
            basis: Some(text.to_owned()),
            notes: vec![Note::Other(text.to_owned())],
            around: Some(Around { at: 500, minutes: 0 }),
            span: Span { from: 0, to: 2000 },
            part: Part { offset: 0, limit: 10 },
            trail: Trail {
                visits: vec![visit],
                hits: vec![(0, cells.collect())],
                more: false,
                summary: Summary {
                    hits: 1,
                    visits: 1,
                    visitors: 1,
                    first: Some(0),
                    last: Some(0),
                    days: 1,
                    addresses: 1,
                    countries: [text.to_owned()].into(),
                    devices: [text.to_owned()].into(),
                },
            },
            format: Format::Html,
            language: Language::Ru,
            has_addresses: true,
        }
    }

    #[test]
    fn no_text_is_markup_on_the_page_or_a_formula_in_the_table() {
        let text = "<script>alert('1')</script>\"><img src=x>";
        for language in [Language::Ru, Language::En] {
            let html = File { language, ..file(text) }.text();
            assert!(html.contains("&lt;script&gt;"), "{html}");
            assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        }
        let csv = file("=HYPERLINK(\"x\")").csv();
        let line = csv.lines().nth(1).expect("a line");
        assert!(line.contains("\"'=HYPERLINK(\"\"x\"\")\""), "{line}");
        assert!(!line.contains(",=") && !line.contains(",\"="), "{line}");
    }

    #[test]
    fn addresses_are_left_out_where_the_reader_may_not_have_them() {
        let with = file("token");
        let without = File { has_addresses: false, ..file("token") };
        assert_eq!(with.json()["visits"][0]["trail"][0]["address"], "token");
        assert!(without.json()["visits"][0]["trail"][0].get("address").is_none());
        assert!(without.json()["summary"]["addresses"].is_null());
        let head = |file: &File| file.csv().lines().next().unwrap_or_default().to_owned();
        assert_eq!(head(&with), format!("{},address", head(&without)));
        let cells = |file: &File| file.csv().lines().nth(1).map_or(0, |line| line.split(',').count());
        assert_eq!((cells(&with), cells(&without)), (CELLS.len() + 2, CELLS.len() + 1));
    }

    #[test]
    fn the_visit_of_a_payment_is_named_with_the_place_of_its_first_hit() {
        let json = file("x").json();
        assert_eq!((&json["visit_at"]["number"], &json["visit_at"]["offset"]), (&json!(1), &json!(0)));
        assert_eq!(json["visits"][0]["is_at"], true);
        let other = File { around: Some(Around { at: 100_000, minutes: 1 }), ..file("x") }.json();
        assert!(other["visit_at"].is_null() && other["visits"][0]["is_at"] == false, "{other}");
        assert!(File::lines(&other).iter().any(|line| line.contains("no visit")));
    }
}
