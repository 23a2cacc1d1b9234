//! The numbers of a report: what is asked of storage, and what came back.
//!
//! All of it is asked as somebody who sees guarded numbers only: a mail leaves the house
//! and is read by whoever gets it. Both periods are whole days, weeks or months of the
//! site's calendar, as the guard wants them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::period::Period;
use crate::config::Site;
use crate::guard::Asker;
use crate::settings::Settings;
use crate::web::running::{Archive, ArchiveError};

/// The rows of each list.
const ROWS: u64 = 10;
/// The longest name of a row, in characters.
const MAX_NAME_CHARS: usize = 120;

/// What stands in a mail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    pub headline: Vec<Headline>,
    pub lists: Vec<List>,
    /// Below so many visitors nothing is shown; none where storage did not say.
    pub least: Option<u64>,
}

/// One number, of the period and of the one before; none is withheld or of nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Headline {
    pub metric: Metric,
    pub now: Option<f64>,
    pub before: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Visitors,
    Visits,
    Pageviews,
    BounceRate,
    VisitDuration,
}

/// The most frequent values of something, with their visitors.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    pub of: ListOf,
    pub rows: Vec<(String, Option<f64>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOf {
    Pages,
    Sources,
    Cities,
    Goals,
}

/// Asks for all of it.
pub async fn collect(
    archive: &dyn Archive,
    site: &Site,
    settings: &Settings,
    period: &Period,
    now: Timestamp,
) -> Result<Numbers, ArchiveError> {
    let metrics: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let headline =
        |period: &Period| json!({ "site_id": site.id, "metrics": metrics, "date_range": period.days() });
    let answer = ask(archive, site, &headline(period), now).await?;
    let before = ask(archive, site, &headline(&period.before()), now).await?;
    let value = |answer: &Value, index: usize| answer["results"][0]["metrics"][index].as_f64();
    let mut numbers = Numbers {
        headline: Metric::ALL
            .iter()
            .enumerate()
            .map(|(index, metric)| Headline {
                metric: *metric,
                now: value(&answer, index),
                before: value(&before, index),
            })
            .collect(),
        lists: Vec::new(),
        least: answer["meta"]["guard"]["k"].as_u64(),
    };
    for of in ListOf::ALL {
        if of == ListOf::Goals && settings.goals.is_empty() {
            continue;
        }
        let question = json!({
            "site_id": site.id,
            "metrics": ["visitors"],
            "date_range": period.days(),
            "dimensions": [of.dimension()],
            "pagination": { "limit": ROWS },
        });
        let answer = match ask(archive, site, &question, now).await {
            Ok(answer) => answer,
            // Goals change while the report is made; the rest is worth sending.
            Err(ArchiveError::Question(_)) if of == ListOf::Goals => continue,
            Err(error) => return Err(error),
        };
        let rows = answer["results"].as_array().into_iter().flatten();
        let rows: Vec<_> =
            rows.map(|row| (name(&row["dimensions"][0]), row["metrics"][0].as_f64())).collect();
        if !rows.is_empty() {
            numbers.lists.push(List { of, rows });
        }
    }
    Ok(numbers)
}

/// The one place from which a report asks anything.
async fn ask(
    archive: &dyn Archive,
    site: &Site,
    question: &Value,
    now: Timestamp,
) -> Result<Value, ArchiveError> {
    archive.query(site, question, now, Asker::Guarded, None).await
}

fn name(value: &Value) -> String {
    let text = crate::parse::text::clean(value.as_str().unwrap_or_default());
    match text.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

// === impl Metric ===

impl Metric {
    pub const ALL: [Metric; 5] =
        [Metric::Visitors, Metric::Visits, Metric::Pageviews, Metric::BounceRate, Metric::VisitDuration];

    /// As questions name it.
    const fn name(self) -> &'static str {
        match self {
            Metric::Visitors => "visitors",
            Metric::Visits => "visits",
            Metric::Pageviews => "pageviews",
            Metric::BounceRate => "bounce_rate",
            Metric::VisitDuration => "visit_duration",
        }
    }
}

// === impl ListOf ===

impl ListOf {
    pub const ALL: [ListOf; 4] = [ListOf::Pages, ListOf::Sources, ListOf::Cities, ListOf::Goals];

    const fn dimension(self) -> &'static str {
        match self {
            ListOf::Pages => "event:page",
            ListOf::Sources => "visit:source",
            ListOf::Cities => "visit:city",
            ListOf::Goals => "event:goal",
        }
    }
}
