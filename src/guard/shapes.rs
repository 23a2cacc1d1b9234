//! What is shown of the answers that are not rows of metrics: who is there now, funnels,
//! journeys, retention.
//!
//! Each asks the module that answers exactly by a closure ([`Asks`]), also for the
//! questions beside it: without each filter and, for a day or a week, over the week and the
//! month. A number of a question is shown if it is 0 or at least k, and so is what each of
//! these has more.
//! - *Live*: a number under k reads `"<10"`; rows of pages and sources as in a breakdown.
//! - *Funnel*: each step is a part of the last step that is shown, and of all visitors.
//! - *Journeys*: a pair of pages needs k visitors (visits, where `visitors` of the row is
//!   not told) and pages that are shown by themselves; entries and exits are shown as their
//!   breakdowns are.
//! - *Retention*: weeks that the range has only a part of are left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::answer::OTHER;
use super::calendar::{Days, Unit};
use super::cells::{Cells, Scope, Verdicts};
use super::exact::Stored;
use super::hide::{differs_little, hidden, is_small};
use super::numbers::Numbers;
use super::rule::{Refused, Rules};
use super::{Asker, Guard};
use crate::config::Site;
use crate::query::{self, QueryError, Report};
use crate::settings::Settings;
use crate::store::Storage;
use crate::web::running::Answering;

/// Answers a question of one of these shapes exactly.
pub type Asks<'a> = dyn Fn(Value) -> Answering<'a, Result<Value, QueryError>> + Send + Sync + 'a;

/// Answers a question about whole visits, or about who is there now.
pub async fn report(
    report: Report,
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
    asker: Asker,
) -> Result<Value, QueryError> {
    let asker = asker.on(site);
    let ask = |question: Value| -> Answering<'_, Result<Value, QueryError>> {
        Box::pin(async move { query::report::run(report, storage, site, settings, &question, now).await })
    };
    match report {
        Report::Funnel => funnel(storage, site, settings, question, now, asker, &ask).await,
        Report::Journeys => journeys(storage, site, settings, question, now, asker, &ask).await,
        Report::Retention => retention(storage, site, settings, question, now, asker, &ask).await,
        Report::Live => {
            let answer = ask(question.clone()).await?;
            Ok(match asker {
                Asker::Exact => answer,
                Asker::Guarded => live_shown(&answer, u64::from(site.min_group)),
            })
        }
    }
}

/// Answers a question of `/api/v2/funnel`.
pub async fn funnel(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
    asker: Asker,
    ask: &Asks<'_>,
) -> Result<Value, QueryError> {
    let answer = ask(question.clone()).await?;
    if asker == Asker::Exact {
        return Ok(answer);
    }
    let stored = Stored { storage, site, settings, now, together: None };
    let guard = Guard { site, settings, now, rules: Rules::default() };
    let mut cells = Cells::new(&stored, &site.id, guard.k(), guard.rules);
    let scope = match guard.scope(question) {
        // Steps of one's own are conditions that nobody has looked at.
        Ok(_) if question.get("steps").is_some() => {
            return Ok(guard.refusal(Refused::Combination, understood(answer)));
        }
        Ok(scope) => scope,
        Err(refused) => return Ok(guard.refusal(refused, understood(answer))),
    };
    if let Some(refused) = guard.refused(&mut cells, &scope).await? {
        return Ok(guard.refusal(refused, understood(answer)));
    }
    let all = visitors(&mut cells, &scope).await?;
    let mut around = Vec::new();
    for beside in beside(&scope) {
        around.push(steps(&ask(asked_in(question, &beside)).await?));
    }
    Ok(guarded(&guard, funnel_shown(answer, all, &around, guard.k()), 0))
}

/// Answers a question of `/api/v2/journeys`.
pub async fn journeys(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
    asker: Asker,
    ask: &Asks<'_>,
) -> Result<Value, QueryError> {
    let mut answer = ask(question.clone()).await?;
    if asker == Asker::Exact {
        return Ok(answer);
    }
    let stored = Stored { storage, site, settings, now, together: None };
    let guard = Guard { site, settings, now, rules: Rules::default() };
    let mut cells = Cells::new(&stored, &site.id, guard.k(), guard.rules);
    let scope = match guard.scope(question) {
        Ok(scope) => scope,
        Err(refused) => return Ok(guard.refusal(refused, understood(answer))),
    };
    if let Some(refused) = guard.refused(&mut cells, &scope).await? {
        return Ok(guard.refusal(refused, understood(answer)));
    }
    let mut pages = BTreeMap::new();
    for dimension in ["event:page", "visit:entry_page", "visit:exit_page"] {
        pages.insert(dimension, cells.verdicts(scope.clone(), vec![dimension.to_owned()]).await?);
    }
    if question["from"].as_str().is_some_and(|page| !is_shown(&pages["event:page"], page)) {
        return Ok(guard.refusal(Refused::SetTooSmall, understood(answer)));
    }
    let mut around = Vec::new();
    for beside in beside(&scope) {
        around.push(ask(asked_in(question, &beside)).await?);
    }
    let mut merged = 0;
    for place in ["/results", "/meta/before"] {
        let rows =
            |answer: &Value| answer.pointer(place).and_then(Value::as_array).cloned().unwrap_or_default();
        let around: Vec<Vec<Value>> = around.iter().map(&rows).collect();
        let kept = pairs_shown(rows(&answer), &around, &pages["event:page"], guard.k(), &mut merged);
        if let Some(found) = answer.pointer_mut(place) {
            *found = Value::Array(kept);
        }
    }
    for (place, dimension) in [("/meta/entries", "visit:entry_page"), ("/meta/exits", "visit:exit_page")] {
        if let Some(Value::Array(rows)) = answer.pointer_mut(place) {
            *rows = ends_shown(std::mem::take(rows), &pages[dimension], guard.k(), &mut merged);
        }
    }
    Ok(guarded(&guard, answer, merged))
}

/// Answers a question of `/api/v2/retention`.
pub async fn retention(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
    asker: Asker,
    ask: &Asks<'_>,
) -> Result<Value, QueryError> {
    let answer = ask(question.clone()).await?;
    if asker == Asker::Exact {
        return Ok(answer);
    }
    let stored = Stored { storage, site, settings, now, together: None };
    let guard = Guard { site, settings, now, rules: Rules::default() };
    let mut cells = Cells::new(&stored, &site.id, guard.k(), guard.rules);
    let scope = match guard.scope(question) {
        Ok(scope) if scope.days.unit == Unit::Day => {
            return Ok(guard.refusal(Refused::Range, understood(answer)));
        }
        Ok(scope) => scope,
        Err(refused) => return Ok(guard.refusal(refused, understood(answer))),
    };
    if let Some(refused) = guard.refused(&mut cells, &scope).await? {
        return Ok(guard.refusal(refused, understood(answer)));
    }
    let mut around = Vec::new();
    for beside in beside(&scope).into_iter().filter(|beside| beside.days == scope.days) {
        around.push(weeks(&ask(asked_in(question, &beside)).await?));
    }
    let (answer, left_out) = retention_shown(answer, scope.days, &around, guard.k());
    Ok(guarded(&guard, answer, left_out))
}

/// What is shown of `{"visitors":n,"pages":[…],"sources":[…]}`.
pub fn live_shown(answer: &Value, k: u64) -> Value {
    let numbers = Numbers { k, rules: Rules::default() };
    let all = answer["visitors"].as_u64().unwrap_or(0);
    let mut shown = Map::new();
    let few = all < k;
    shown.insert(
        "visitors".to_owned(),
        if few { json!(format!("<{k}")) } else { json!(numbers.rounded(all)) },
    );
    for name in ["pages", "sources"] {
        let Some(rows) = answer[name].as_array() else { continue };
        let counts: Vec<u64> = rows.iter().map(|row| row["visitors"].as_u64().unwrap_or(0)).collect();
        let hidden = hidden(&counts, all, k, Rules::default());
        let mut kept = Vec::new();
        let mut rest = all;
        for ((row, count), hidden) in rows.iter().zip(counts).zip(hidden) {
            if !hidden && !few {
                rest = rest.saturating_sub(count);
                kept.push((numbers.rounded(count), row["name"].clone()));
            }
        }
        // By what is shown: rows that read alike are in the order of their names.
        kept.sort_by(|one, two| two.0.cmp(&one.0).then_with(|| one.1.as_str().cmp(&two.1.as_str())));
        let mut kept: Vec<Value> =
            kept.into_iter().map(|(visitors, name)| json!({ "name": name, "visitors": visitors })).collect();
        if rest >= k && rest > 0 {
            kept.push(json!({ "name": OTHER, "visitors": numbers.rounded(rest) }));
        }
        shown.insert(name.to_owned(), Value::Array(kept));
    }
    Value::Object(shown)
}

/// What is shown of a funnel; `around` has the steps of the questions beside it.
fn funnel_shown(mut answer: Value, all: u64, around: &[Vec<u64>], k: u64) -> Value {
    let numbers = Numbers { k, rules: Rules::default() };
    let counts = steps(&answer);
    let (mut before, mut shown): (u64, Vec<Option<u64>>) = (all, Vec::new());
    for (index, count) in counts.iter().enumerate() {
        let is_told_apart =
            around.iter().any(|steps| steps.get(index).is_none_or(|other| differs_little(*other, *count, k)));
        if is_small(*count, k) || differs_little(before, *count, k) || is_told_apart {
            shown.push(None);
        } else {
            before = *count;
            shown.push(Some(numbers.rounded(*count)));
        }
    }
    let first = shown.first().copied().flatten();
    let share = |part: Option<u64>, of: Option<u64>| match (part, of) {
        (Some(part), Some(of)) if of > 0 => json!(((part * 1000) as f64 / of as f64).round() / 10.0),
        _ => Value::Null,
    };
    for (index, row) in answer["results"].as_array_mut().into_iter().flatten().enumerate() {
        let count = shown.get(index).copied().flatten();
        let previous = match index.checked_sub(1) {
            Some(previous) => shown.get(previous).copied().flatten(),
            None => count,
        };
        row["visitors"] = json!(count);
        row["dropped"] = json!(previous.zip(count).map(|(previous, count)| previous.saturating_sub(count)));
        row["from_first"] = share(count, first);
        row["from_previous"] = share(count, previous);
    }
    answer
}

/// The pairs of pages that are shown.
fn pairs_shown(
    rows: Vec<Value>,
    around: &[Vec<Value>],
    pages: &Verdicts,
    k: u64,
    merged: &mut usize,
) -> Vec<Value> {
    let numbers = Numbers { k, rules: Rules::default() };
    let people = |row: &Value| row["visitors"].as_u64().or(row["visits"].as_u64()).unwrap_or(0);
    let page_of = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let mut kept = Vec::new();
    for row in rows {
        let (from, to, count) = (page_of(&row, "from"), page_of(&row, "to"), people(&row));
        let is_apart = around.iter().all(|rows| {
            let same = rows.iter().find(|other| other["from"] == row["from"] && other["to"] == row["to"]);
            same.is_some_and(|other| !differs_little(people(other), count, k))
        });
        let visits = row["visits"].as_u64().and_then(|visits| numbers.count(visits));
        match visits {
            Some(visits) if count >= k && is_apart && is_shown(pages, &from) && is_shown(pages, &to) => {
                kept.push((visits, from, to));
            }
            _ => *merged += 1,
        }
    }
    kept.sort_by(|one, two| two.0.cmp(&one.0).then_with(|| (&one.1, &one.2).cmp(&(&two.1, &two.2))));
    kept.into_iter().map(|(visits, from, to)| json!({ "from": from, "to": to, "visits": visits })).collect()
}

/// The pages of entry or exit that are shown.
fn ends_shown(rows: Vec<Value>, pages: &Verdicts, k: u64, merged: &mut usize) -> Vec<Value> {
    let numbers = Numbers { k, rules: Rules::default() };
    let mut kept = Vec::new();
    for row in rows {
        let page = row["page"].as_str().unwrap_or_default().to_owned();
        match row["visits"].as_u64().and_then(|visits| numbers.count(visits)) {
            Some(visits) if is_shown(pages, &page) => kept.push((visits, page)),
            _ => *merged += 1,
        }
    }
    kept.sort_by(|one, two| two.0.cmp(&one.0).then_with(|| one.1.cmp(&two.1)));
    kept.into_iter().map(|(visits, page)| json!({ "page": page, "visits": visits })).collect()
}

/// What is shown of retention, and how many weeks were left out.
fn retention_shown(
    mut answer: Value,
    days: Days,
    around: &[BTreeMap<String, Vec<u64>>],
    k: u64,
) -> (Value, usize) {
    let numbers = Numbers { k, rules: Rules::default() };
    let rows = answer["results"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let before = rows.len();
    let mut kept = Vec::new();
    for mut row in rows {
        let week = row["week"].as_str().unwrap_or_default().to_owned();
        let whole = week.parse::<Date>().ok().and_then(Days::week);
        if whole.is_none_or(|whole| whole.first < days.first || whole.last > days.last) {
            continue;
        }
        let returned = returned(&row);
        let all = row["visitors"].as_u64().unwrap_or(0);
        let is_apart = |index: usize, count: u64| {
            around.iter().all(|weeks| {
                let others = weeks.get(&week).and_then(|returned| returned.get(index));
                others.is_some_and(|other| !differs_little(*other, count, k))
            })
        };
        let whole_is_shown = !is_small(all, k) && is_apart(0, all);
        let shown: Vec<Option<u64>> = returned
            .iter()
            .enumerate()
            .map(|(index, count)| {
                let shown = whole_is_shown && !differs_little(all, *count, k) && is_apart(index, *count);
                numbers.count(*count).filter(|_| shown)
            })
            .collect();
        row["visitors"] = json!(whole_is_shown.then(|| numbers.rounded(all)));
        row["returned"] = json!(shown);
        kept.push(row);
    }
    let left_out = before - kept.len();
    answer["results"] = Value::Array(kept);
    (answer, left_out)
}

/// The scopes that contain this one and are asked beside it.
fn beside(scope: &Scope) -> Vec<Scope> {
    let mut around: Vec<Scope> = (0..scope.conditions.len()).map(|index| scope.less(index)).collect();
    let month = scope.days.is_in_one_month().then(|| Days::month(scope.days.first));
    let week = Days::week(scope.days.first).filter(|_| scope.days.unit == Unit::Day);
    let longer = match scope.days.unit {
        Unit::Day | Unit::Week => [week, month],
        Unit::Month | Unit::Free => [None, None],
    };
    around.extend(longer.into_iter().flatten().map(|days| scope.over(days)));
    around
}

/// A question in another scope.
fn asked_in(question: &Value, scope: &Scope) -> Value {
    let mut asked = question.clone();
    let parts = scope.question("", &Value::Null, &[]);
    asked["date_range"] = parts["date_range"].clone();
    asked["filters"] = parts["filters"].clone();
    asked
}

async fn visitors(cells: &mut Cells<'_>, scope: &Scope) -> Result<u64, QueryError> {
    let table = cells.table(scope, &[]).await?;
    Ok(table.rows.get(&Vec::new()).copied().unwrap_or(0))
}

fn steps(answer: &Value) -> Vec<u64> {
    let rows = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().map(|row| row["visitors"].as_u64().unwrap_or(0)).collect()
}

fn weeks(answer: &Value) -> BTreeMap<String, Vec<u64>> {
    let rows = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().map(|row| (row["week"].as_str().unwrap_or_default().to_owned(), returned(row))).collect()
}

fn returned(row: &Value) -> Vec<u64> {
    let counts = row["returned"].as_array().map(Vec::as_slice).unwrap_or_default();
    counts.iter().map(|count| count.as_u64().unwrap_or(0)).collect()
}

fn is_shown(verdicts: &Verdicts, page: &str) -> bool {
    verdicts.get(&vec![page.to_owned()]).is_some_and(Option::is_none)
}

fn understood(mut answer: Value) -> Value {
    answer["query"].take()
}

fn guarded(guard: &Guard<'_>, mut answer: Value, merged: usize) -> Value {
    answer["meta"]["guard"] = guard.described(None, merged);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_numbers_under_k_are_not_told() {
        for (answer, expected) in [
            (json!({ "visitors": 0 }), json!({ "visitors": "<10" })),
            (json!({ "visitors": 9 }), json!({ "visitors": "<10" })),
            (json!({ "visitors": 13 }), json!({ "visitors": 15 })),
            (
                json!({ "visitors": 9, "pages": [{ "name": "/", "visitors": 9 }], "sources": [] }),
                json!({ "visitors": "<10", "pages": [], "sources": [] }),
            ),
            (
                json!({
                    "visitors": 63,
                    "pages": [{ "name": "/", "visitors": 40 }, { "name": "/a", "visitors": 20 }, { "name": "/b", "visitors": 3 }],
                    "sources": [{ "name": "Google", "visitors": 31 }, { "name": "Yandex", "visitors": 32 }],
                }),
                json!({
                    "visitors": 65,
                    "pages": [{ "name": "/", "visitors": 40 }, { "name": "(other)", "visitors": 25 }],
                    "sources": [{ "name": "Google", "visitors": 30 }, { "name": "Yandex", "visitors": 30 }],
                }),
            ),
        ] {
            assert_eq!(live_shown(&answer, 10), expected, "{answer}");
        }
    }

    #[test]
    fn a_step_of_a_funnel_is_shown_beside_the_last_that_is() {
        for (all, counts, around, expected) in [
            (200, vec![120, 60, 20], vec![], vec![Some(120), Some(60), Some(20)]),
            (200, vec![120, 118, 60], vec![], vec![Some(120), None, Some(60)]),
            (200, vec![120, 60, 3], vec![], vec![Some(120), Some(60), None]),
            (123, vec![120, 60, 0], vec![], vec![None, Some(60), Some(0)]),
            (200, vec![120, 60], vec![vec![150, 64]], vec![Some(120), None]),
            (200, vec![120, 60], vec![vec![120, 60]], vec![Some(120), Some(60)]),
        ] {
            let rows: Vec<Value> =
                counts.iter().map(|count| json!({ "goal": "a", "visitors": count })).collect();
            let shown = funnel_shown(json!({ "results": rows }), all, &around, 10);
            let found: Vec<Option<u64>> = shown["results"]
                .as_array()
                .expect("rows")
                .iter()
                .map(|row| row["visitors"].as_u64())
                .collect();
            assert_eq!(found, expected, "{counts:?} of {all}");
        }
        let rows = json!([{ "visitors": 151 }, { "visitors": 118 }]);
        let shown = funnel_shown(json!({ "results": rows }), 500, &[], 10);
        assert_eq!(
            shown["results"][1],
            json!({ "visitors": 120, "dropped": 30, "from_first": 80.0, "from_previous": 80.0 })
        );
    }

    #[test]
    fn a_pair_of_pages_needs_its_people_and_its_pages() {
        let pages: Verdicts = [("/a", None), ("/b", None), ("/rare", Some(Refused::SetTooSmall))]
            .into_iter()
            .map(|(page, verdict)| (vec![page.to_owned()], verdict))
            .collect();
        let rows = vec![
            json!({ "from": "/a", "to": "/b", "visits": 33, "visitors": 21 }),
            json!({ "from": "/b", "to": "/a", "visits": 33, "visitors": 2 }),
            json!({ "from": "/a", "to": "/rare", "visits": 33, "visitors": 21 }),
        ];
        let mut merged = 0;
        let shown = pairs_shown(rows.clone(), &[], &pages, 10, &mut merged);
        assert_eq!((shown, merged), (vec![json!({ "from": "/a", "to": "/b", "visits": 35 })], 2));
        // All but one of them have the filter.
        let around = vec![vec![json!({ "from": "/a", "to": "/b", "visits": 34, "visitors": 22 })]];
        assert!(pairs_shown(rows, &around, &pages, 10, &mut merged).is_empty());
    }

    #[test]
    fn a_cohort_is_shown_whole_and_its_parts_beside_it() {
        let day = |text: &str| text.parse::<Date>().expect("a day");
        let month = Days::month(day("2026-03-10"));
        let answer = json!({ "results": [
            { "week": "2026-02-23", "visitors": 50, "returned": [50, 20] },
            { "week": "2026-03-02", "visitors": 50, "returned": [50, 45, 20, 3, 0] },
            { "week": "2026-03-09", "visitors": 8, "returned": [8, 0] },
        ] });
        let (shown, left_out) = retention_shown(answer, month, &[], 10);
        assert_eq!(left_out, 1);
        assert_eq!(
            shown["results"],
            json!([
                { "week": "2026-03-02", "visitors": 50, "returned": [50, null, 20, null, 0] },
                { "week": "2026-03-09", "visitors": null, "returned": [null, null] },
            ])
        );
    }
}
