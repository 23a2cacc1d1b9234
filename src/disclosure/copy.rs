//! The rows as they are handed out.
//!
//! JSON is `{"site","made","recipient","basis","purpose","notes","fields":[{"name",
//! "meaning","meaning_ru","source","kept"}],"rows":[{…}]}`; CSV a head and a line for each
//! row; of a case file what [`crate::case::file`] says. Addresses of rows are shown as they were, where their key is not destroyed.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::asked::{Format, Wanted};
use super::log::Disclosed;
use super::{DisclosureError, MAX_COPY_BYTES, MAX_ROWS};
use crate::case::{self, Part, Span};
use crate::config::Site;
use crate::query::Visible;
use crate::query::person::{Since, person as person_of, with};
use crate::subject::export::{csv, described, objects};
use crate::subject::find::{COVERED, params};
use crate::subject::rows::{IN_RANGE, Rows, in_range};
use crate::subject::{Office, Person, Who};

/// How long storage may take for the rows of a long range.
const READING: Duration = Duration::from_secs(120);

/// Of whom, when it is known who that is.
pub(super) enum Found {
    Person(Person),
    /// In milliseconds since 1970.
    Range {
        from: i64,
        to: i64,
    },
    Case {
        person: Person,
        /// Holds personal data.
        who: Who,
        span: Span,
    },
}

/// What is handed out, and what the log says of it.
pub(super) struct Copy {
    pub text: String,
    pub rows: u64,
    pub visitors: u64,
    pub scope: Disclosed,
}

// === impl Office ===

impl Office {
    pub(super) async fn copy(
        &self,
        site: &Site,
        wanted: &Wanted,
        found: Found,
        now: Timestamp,
    ) -> Result<Copy, DisclosureError> {
        let database = self.storage.database();
        let unblocked = Visible::unblocked(database);
        let (condition, params, visible, scope, notes) = match found {
            Found::Person(person) => {
                let visible =
                    if wanted.recipient_kind.may_identify() { Visible::all(database) } else { unblocked };
                let condition = format!("site = {{site:String}} AND {COVERED}{}", visible.condition());
                let params = params(&person);
                (condition, params, visible, Disclosed::Person { subjects: person.subjects }, person.notes)
            }
            // Of its own kind: see `case_copy`.
            Found::Case { person, who, span } => {
                return self.case_copy(site, wanted, (person, who), span, now).await;
            }
            Found::Range { from, to } => {
                let condition = format!("{IN_RANGE}{}", unblocked.condition());
                (
                    condition,
                    in_range(&site.id, from, to),
                    unblocked,
                    Disclosed::Range { from, to },
                    Vec::new(),
                )
            }
        };
        let question = Rows {
            columns: &wanted.fields,
            condition: &condition,
            params: &params,
            most: MAX_ROWS,
            time: READING,
            before: &with(visible, &condition, Since::Ever),
            besides: Some(&person_of(visible, Since::Ever)),
        };
        let mut rows = self.rows(&question).await?;
        let visitors: HashSet<u64> =
            rows.iter_mut().filter_map(|row| row.pop().and_then(|person| person.as_u64())).collect();
        let text = match wanted.format {
            Format::Csv => csv(&wanted.fields, &rows),
            // No page is made of rows, which was refused before.
            Format::Json | Format::Html => json!({
                "site": site.id,
                "made": now.to_string(),
                "recipient": wanted.recipient,
                "basis": wanted.basis,
                "purpose": wanted.stated,
                "notes": notes,
                "fields": wanted.fields.iter().map(|field| described(field)).collect::<Vec<_>>(),
                "rows": objects(&wanted.fields, &rows),
            })
            .to_string(),
        };
        if text.len() > MAX_COPY_BYTES {
            return Err(DisclosureError::TooLong { bytes: text.len() });
        }
        Ok(Copy { text, rows: rows.len() as u64, visitors: visitors.len() as u64, scope })
    }

    /// A case file, whole.
    async fn case_copy(
        &self,
        site: &Site,
        wanted: &Wanted,
        (person, who): (Person, Who),
        span: Span,
        now: Timestamp,
    ) -> Result<Copy, DisclosureError> {
        let may_identify = wanted.recipient_kind.may_identify();
        let database = self.storage.database();
        let visible = if may_identify { Visible::all(database) } else { Visible::unblocked(database) };
        let part = Part { offset: 0, limit: MAX_ROWS };
        let trail = self.trail(&person, span, part, visible).await?;
        let file = case::File {
            site: site.id.clone(),
            timezone: site.timezone.clone(),
            made: now,
            by: self.config.operator.name.clone(),
            recipient: Some(wanted.recipient.clone()),
            who: who.name(),
            purpose: wanted.purpose(),
            words: wanted.stated.clone(),
            basis: Some(wanted.basis.clone()),
            notes: case::notes(&person, &who, &trail, may_identify),
            around: None,
            span,
            part,
            trail,
            format: wanted.format.of_case(),
            language: wanted.language,
            has_addresses: may_identify,
        };
        let text = file.text();
        if text.len() > MAX_COPY_BYTES {
            return Err(DisclosureError::TooLong { bytes: text.len() });
        }
        Ok(Copy {
            text,
            rows: file.trail.hits.len() as u64,
            // A hit that went meanwhile was counted, and is not handed out.
            visitors: file.trail.summary.visitors.min(file.trail.hits.len() as u64),
            scope: Disclosed::Case { subjects: person.subjects, from: span.from, to: span.to },
        })
    }
}
