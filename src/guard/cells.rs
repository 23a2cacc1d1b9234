//! Which numbers may be shown: a *cell* is the set of visitors who have all of some
//! conditions in some days.
//!
//! The conditions of a cell are its filters and, if it is a row of a breakdown, the values
//! of the row: for the guard it is all the same which of them is which, so that what is
//! hidden in a breakdown cannot be had by a filter, nor the other way round.
//!
//! A cell is shown if it is 0 or at least k, and for each of its conditions
//! - the cell without the condition has 0 or at least k visitors more (*complement*);
//! - among the cells that differ from it in the value of that property only, it is not
//!   one that [`hide::hidden`] hides (*siblings*);
//! - if the condition changes nothing, the cell without it is shown (*equal*): two
//!   conditions that say the same would else shield each other.
//!
//! Days are conditions too: a day has its piece of a week and its month for parents and
//! the days of its piece for siblings ([`super::calendar`]).
//!
//! Each table of counts is asked of storage once in a question. A breakdown by one property
//! over a month takes 2 questions beside its own and 2 for what is merged; a filter adds 3
//! and as many for what is merged, a day or a week adds 2 or 3, each of several values 1;
//! conditions that change nothing add those of the question without them.
//! [`MAX_QUESTIONS`] bounds them all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::calendar::{Days, Unit};
use super::conditions::Condition;
use super::exact::Exact;
use super::hide::{differs_little, hidden, is_small};
use super::rule::{Refused, Rule, Rules};
use crate::query::QueryError;
use crate::web::running::Answering;

/// The most questions to storage for one of a viewer's. What would need more is not shown.
pub const MAX_QUESTIONS: usize = 64;
/// The most rows of a table, as of any answer; what is beyond is not shown.
pub const MAX_ROWS: usize = 10_000;

/// The values of a row, in the order of its dimensions.
pub type Key = Vec<String>;

/// Where a cell is: what holds, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    pub conditions: Vec<Condition>,
    pub days: Days,
}

/// Visitors by row.
#[derive(Debug, Default)]
pub struct Table {
    pub rows: BTreeMap<Key, u64>,
    /// Whether these are all rows.
    whole: bool,
}

/// What becomes of each row; none is shown.
pub type Verdicts = BTreeMap<Key, Option<Refused>>;

/// The cells of one question.
pub struct Cells<'a> {
    pub exact: &'a dyn Exact,
    pub site: &'a str,
    pub k: u64,
    pub rules: Rules,
    tables: HashMap<String, Arc<Table>>,
    verdicts: HashMap<String, Arc<Verdicts>>,
    asked: usize,
}

/// A row with as many visitors as one of a smaller question.
struct Equal {
    row: Key,
    scope: Scope,
    dimensions: Vec<String>,
    parent: Key,
}

// === impl Scope ===

impl Scope {
    /// As a part of a question.
    pub fn question(&self, site: &str, metrics: &Value, dimensions: &[String]) -> Value {
        json!({
            "site_id": site,
            "metrics": metrics,
            "date_range": self.days.date_range(),
            "dimensions": dimensions,
            "filters": self.conditions.iter().map(Condition::json).collect::<Vec<_>>(),
        })
    }

    /// With one condition less.
    pub(super) fn less(&self, index: usize) -> Scope {
        let mut less = self.clone();
        less.conditions.remove(index);
        less
    }

    /// With one condition more.
    pub fn and(&self, condition: Condition) -> Scope {
        let mut more = self.clone();
        more.conditions.push(condition);
        more
    }

    /// In other days.
    pub(super) fn over(&self, days: Days) -> Scope {
        Scope { conditions: self.conditions.clone(), days }
    }
}

// === impl Cells ===

impl<'a> Cells<'a> {
    pub fn new(exact: &'a dyn Exact, site: &'a str, k: u64, rules: Rules) -> Cells<'a> {
        let (tables, verdicts) = (HashMap::new(), HashMap::new());
        Cells { exact, site, k, rules, tables, verdicts, asked: 0 }
    }

    /// How many questions storage was asked.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// The visitors of each row.
    pub async fn table(&mut self, scope: &Scope, dimensions: &[String]) -> Result<Arc<Table>, QueryError> {
        let question = scope.question(self.site, &json!(["visitors"]), dimensions);
        let name = question.to_string();
        if let Some(known) = self.tables.get(&name) {
            return Ok(known.clone());
        }
        let answer = self.ask(&question).await?;
        let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        let rows: BTreeMap<Key, u64> = results
            .iter()
            .map(|row| (key(&row["dimensions"]), row["metrics"][0].as_u64().unwrap_or(0)))
            .collect();
        let table = Arc::new(Table { whole: results.len() < MAX_ROWS, rows });
        self.tables.insert(name, table.clone());
        Ok(table)
    }

    /// Asks storage.
    pub async fn ask(&mut self, question: &Value) -> Result<Value, QueryError> {
        self.asked += 1;
        self.exact.answer(question).await
    }

    /// What becomes of the rows of a question, of the one row if it has no dimensions.
    pub fn verdicts<'b>(
        &'b mut self,
        scope: Scope,
        dimensions: Vec<String>,
    ) -> Answering<'b, Result<Arc<Verdicts>, QueryError>> {
        Box::pin(async move {
            let name = format!("{scope:?} {dimensions:?}");
            if let Some(known) = self.verdicts.get(&name) {
                return Ok(known.clone());
            }
            let verdicts = Arc::new(self.judged(&scope, &dimensions).await?);
            self.verdicts.insert(name, verdicts.clone());
            Ok(verdicts)
        })
    }

    async fn judged(&mut self, scope: &Scope, dimensions: &[String]) -> Result<Verdicts, QueryError> {
        let table = self.table(scope, dimensions).await?;
        let small = |count: u64| self.rules.hold(Rule::Set) && is_small(count, self.k);
        let mut verdicts: Verdicts = table
            .rows
            .iter()
            .map(|(key, count)| (key.clone(), small(*count).then_some(Refused::SetTooSmall)))
            .collect();
        let mut equal = Vec::new();
        let time = dimensions.iter().position(|name| name.starts_with("time"));
        for index in (0..dimensions.len()).filter(|index| Some(*index) != time) {
            self.judge_by_dimension(scope, dimensions, index, &table, &mut verdicts, &mut equal).await?;
        }
        self.judge_by_time(scope, dimensions, time, &table, &mut verdicts, &mut equal).await?;
        for index in 0..scope.conditions.len() {
            self.judge_by_condition(scope, dimensions, index, &table, &mut verdicts, &mut equal).await?;
        }
        if self.rules.hold(Rule::Equal) {
            self.judge_by_equals(equal, &mut verdicts).await?;
        }
        Ok(verdicts)
    }

    /// A value of a row is a condition: the rows that differ in it only are its siblings.
    async fn judge_by_dimension(
        &mut self,
        scope: &Scope,
        dimensions: &[String],
        index: usize,
        table: &Table,
        verdicts: &mut Verdicts,
        equal: &mut Vec<Equal>,
    ) -> Result<(), QueryError> {
        let fewer = removed(dimensions, index);
        let parents = self.table(scope, &fewer).await?;
        for (parent, rows) in families(table, index) {
            let Some(total) = parents.rows.get(&parent).copied() else {
                rows.iter().for_each(|(key, _)| refuse(verdicts, key));
                continue;
            };
            let counts: Vec<u64> = rows.iter().map(|(_, count)| *count).collect();
            for ((key, count), hidden) in rows.iter().zip(hidden(&counts, total, self.k, self.rules)) {
                if hidden {
                    refuse(verdicts, key);
                } else if *count == total {
                    let (scope, dimensions) = (scope.clone(), fewer.clone());
                    equal.push(Equal { row: key.clone(), scope, dimensions, parent: parent.clone() });
                }
            }
        }
        Ok(())
    }

    /// A filter is a condition: the rows without it are parents, and the other values of its
    /// property siblings.
    async fn judge_by_condition(
        &mut self,
        scope: &Scope,
        dimensions: &[String],
        index: usize,
        table: &Table,
        verdicts: &mut Verdicts,
        equal: &mut Vec<Equal>,
    ) -> Result<(), QueryError> {
        let fewer = scope.less(index);
        let parents = self.table(&fewer, dimensions).await?;
        for (key, count) in &table.rows {
            let parent = parents.rows.get(key).copied().unwrap_or(*count);
            if self.rules.hold(Rule::Complement) && differs_little(parent, *count, self.k) {
                refuse(verdicts, key);
            } else if parent == *count {
                let (row, parent) = (key.clone(), key.clone());
                equal.push(Equal { row, scope: fewer.clone(), dimensions: dimensions.to_vec(), parent });
            }
        }
        let condition = &scope.conditions[index];
        match condition {
            Condition::Is { dimension, values, .. } if self.rules.hold(Rule::Siblings) => {
                self.judge_by_siblings(&fewer, dimensions, dimension, values, verdicts).await?;
            }
            Condition::Done { .. } if self.rules.hold(Rule::Complement) => {
                let others = self.table(&fewer.and(condition.flipped()), dimensions).await?;
                for key in table.rows.keys() {
                    if others.rows.get(key).is_some_and(|count| is_small(*count, self.k)) {
                        refuse(verdicts, key);
                    }
                }
            }
            _ => {}
        }
        let Condition::Is { values, .. } = condition else { return Ok(()) };
        if values.len() > MAX_SINGLE || !self.rules.hold(Rule::Values) {
            return Ok(());
        }
        for value in values {
            let Some(without) = condition.without(value) else { continue };
            let fewer_values = fewer.and(without);
            let others = self.table(&fewer_values, dimensions).await?;
            for (key, count) in &table.rows {
                let other = others.rows.get(key).copied().unwrap_or(0);
                if differs_little(other, *count, self.k) {
                    refuse(verdicts, key);
                } else if other == *count {
                    let (row, parent) = (key.clone(), key.clone());
                    let scope = fewer_values.clone();
                    equal.push(Equal { row, scope, dimensions: dimensions.to_vec(), parent });
                }
            }
        }
        Ok(())
    }

    /// Refuses rows that are filtered by a value whose own row would be hidden.
    async fn judge_by_siblings(
        &mut self,
        fewer: &Scope,
        dimensions: &[String],
        dimension: &str,
        values: &[String],
        verdicts: &mut Verdicts,
    ) -> Result<(), QueryError> {
        let (wide, place) = match dimensions.iter().position(|known| known == dimension) {
            Some(place) => (dimensions.to_vec(), place),
            None => {
                let mut wide = dimensions.to_vec();
                wide.push(dimension.to_owned());
                (wide, dimensions.len())
            }
        };
        let is_row = wide.len() == dimensions.len();
        let table = self.table(fewer, &wide).await?;
        let parents = self.table(fewer, &removed(&wide, place)).await?;
        let mut refused: HashMap<Key, Vec<String>> = HashMap::new();
        for (parent, rows) in families(&table, place) {
            let total = parents.rows.get(&parent).copied().unwrap_or(0);
            let counts: Vec<u64> = rows.iter().map(|(_, count)| *count).collect();
            let hidden = hidden(&counts, total, self.k, self.rules);
            let hidden = rows.iter().zip(hidden).filter(|(_, hidden)| *hidden);
            refused.insert(parent, hidden.map(|((key, _), _)| key[place].clone()).collect());
        }
        for (key, verdict) in verdicts.iter_mut() {
            let family = if is_row { less(key, place) } else { key.clone() };
            let is_refused = |value: &String| {
                let hidden = refused.get(&family).is_some_and(|hidden| hidden.contains(value));
                let mut full = key.clone();
                if is_row {
                    full[place].clone_from(value)
                } else {
                    full.push(value.clone())
                }
                hidden || (!table.whole && !table.rows.contains_key(&full))
            };
            if verdict.is_none() && values.iter().any(is_refused) {
                *verdict = Some(Refused::ComplementTooSmall);
            }
        }
        Ok(())
    }

    /// The days of a question, or of its rows, are a condition.
    async fn judge_by_time(
        &mut self,
        scope: &Scope,
        dimensions: &[String],
        time: Option<usize>,
        table: &Table,
        verdicts: &mut Verdicts,
        equal: &mut Vec<Equal>,
    ) -> Result<(), QueryError> {
        let bucket = time.map_or("", |index| dimensions[index].as_str());
        if let Some(index) = time
            && (bucket == "time:hour" || scope.days.unit == Unit::Free)
        {
            self.judge_by_dimension(scope, dimensions, index, table, verdicts, equal).await?;
        }
        if !self.rules.hold(Rule::Calendar) || scope.days.unit == Unit::Free {
            return Ok(());
        }
        let rows_are_days =
            matches!((bucket, scope.days.unit), ("time:day" | "time:week", Unit::Week | Unit::Month));
        if scope.days.unit == Unit::Month && !rows_are_days {
            return Ok(());
        }
        let others = time.map_or_else(|| dimensions.to_vec(), |index| removed(dimensions, index));
        let mut months = Vec::new();
        for month in scope.days.months() {
            let over = scope.over(month);
            months.push((over, self.tree(&scope.over(month), &others).await?));
        }
        for (row, count) in &table.rows {
            let (family, label) = match time {
                Some(index) => (less(row, index), Some(row[index].clone())),
                None => (row.clone(), None),
            };
            // Which days, as the tree names them.
            let (label, unit) = match label {
                Some(label) if rows_are_days => {
                    (label, if bucket == "time:day" { Unit::Day } else { Unit::Week })
                }
                _ => (scope.days.first.to_string(), scope.days.unit),
            };
            let parts = months.iter().filter_map(|(over, tree)| {
                let part = if unit == Unit::Day { tree.days.get(&family) } else { tree.pieces.get(&family) };
                let total = tree.totals.get(&family).copied().unwrap_or(0);
                part.and_then(|part| part.get(&label))
                    .map(|(visitors, shown)| (over, *visitors, *shown, total))
            });
            let whole = unit == Unit::Day || scope.days.is_in_one_month() || scope.days.unit == Unit::Month;
            if unit == Unit::Day
                && let Some(week) = label.parse().ok().and_then(Days::week)
                && week.is_in_one_month()
                && self.rules.hold(Rule::Equal)
            {
                let of_week = months.iter().find_map(|(_, tree)| {
                    tree.pieces.get(&family)?.get(&week.first.to_string()).map(|(visitors, _)| *visitors)
                });
                if of_week == Some(*count) {
                    let (row, scope, parent) = (row.clone(), scope.over(week), family.clone());
                    equal.push(Equal { row, scope, dimensions: others.clone(), parent });
                }
            }
            for (over, visitors, shown, total) in parts {
                if !shown || (!whole && differs_little(*count, visitors, self.k)) {
                    refuse(verdicts, row);
                } else if whole && visitors == total {
                    equal.push(Equal {
                        row: row.clone(),
                        scope: over.clone(),
                        dimensions: others.clone(),
                        parent: family.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// What is shown of a month's pieces of weeks, and of their days.
    async fn tree(&mut self, month: &Scope, others: &[String]) -> Result<Tree, QueryError> {
        let with = |bucket: &str| {
            let mut dimensions = others.to_vec();
            dimensions.push(bucket.to_owned());
            dimensions
        };
        let totals = self.table(month, others).await?;
        let pieces = self.table(month, &with("time:week")).await?;
        let days = self.table(month, &with("time:day")).await?;
        let place = others.len();
        let mut tree = Tree { totals: totals.rows.clone(), ..Tree::default() };
        for (family, rows) in families(&pieces, place) {
            let total = totals.rows.get(&family).copied().unwrap_or(0);
            tree.pieces.insert(family, self.branch(&rows, place, total, true));
        }
        for (family, rows) in families(&days, place) {
            let mut weeks: BTreeMap<String, Vec<(Key, u64)>> = BTreeMap::new();
            for row in rows {
                let monday = row.0[place].parse().ok().and_then(super::calendar::monday);
                weeks.entry(monday.map(|day| day.to_string()).unwrap_or_default()).or_default().push(row);
            }
            for (week, rows) in weeks {
                let piece = tree.pieces.get(&family).and_then(|pieces| pieces.get(&week));
                let (total, shown) = piece.copied().unwrap_or((0, false));
                let branch = self.branch(&rows, place, total, shown);
                tree.days.entry(family.clone()).or_default().extend(branch);
            }
        }
        Ok(tree)
    }

    fn branch(&self, rows: &[(Key, u64)], place: usize, total: u64, shown: bool) -> Branch {
        let counts: Vec<u64> = rows.iter().map(|(_, count)| *count).collect();
        let hidden = hidden(&counts, total, self.k, self.rules);
        rows.iter()
            .zip(hidden)
            .map(|((key, count), hidden)| (key[place].clone(), (*count, shown && !hidden)))
            .collect()
    }

    /// A row that a condition does not change is shown as the row without it is.
    async fn judge_by_equals(
        &mut self,
        equal: Vec<Equal>,
        verdicts: &mut Verdicts,
    ) -> Result<(), QueryError> {
        for Equal { row, scope, dimensions, parent } in equal {
            if verdicts.get(&row).is_none_or(Option::is_some) {
                continue;
            }
            let shown = self.asked < MAX_QUESTIONS
                && self.verdicts(scope, dimensions).await?.get(&parent).is_none_or(Option::is_none);
            if !shown {
                refuse(verdicts, &row);
            }
        }
        Ok(())
    }
}

/// A condition with more values is one of the guard's own, which takes all rows that are
/// shown out of a set.
const MAX_SINGLE: usize = super::conditions::MAX_VALUES;

/// Visitors and whether they are shown, by label of time.
type Branch = BTreeMap<String, (u64, bool)>;

/// A month, by the other values of a row.
#[derive(Default)]
struct Tree {
    totals: BTreeMap<Key, u64>,
    pieces: BTreeMap<Key, Branch>,
    days: BTreeMap<Key, Branch>,
}

/// The values of a row as text.
pub fn key(dimensions: &Value) -> Key {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    dimensions.as_array().map(|values| values.iter().map(text).collect()).unwrap_or_default()
}

/// Rows that differ in one value only, by the others.
fn families(table: &Table, place: usize) -> BTreeMap<Key, Vec<(Key, u64)>> {
    let mut families: BTreeMap<Key, Vec<(Key, u64)>> = BTreeMap::new();
    for (key, count) in &table.rows {
        families.entry(less(key, place)).or_default().push((key.clone(), *count));
    }
    families
}

fn refuse(verdicts: &mut Verdicts, key: &Key) {
    if let Some(verdict @ None) = verdicts.get_mut(key) {
        *verdict = Some(Refused::ComplementTooSmall);
    }
}

fn less(key: &Key, place: usize) -> Key {
    removed(key, place)
}

fn removed(list: &[String], index: usize) -> Vec<String> {
    let mut list = list.to_vec();
    list.remove(index);
    list
}
