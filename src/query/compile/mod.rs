//! A [`Query`] becomes SQL: text of ours, and values beside it.
//!
//! The text holds nothing that a person typed. Values are parameters
//! (`{p0:String}`), identifiers come from the closed lists of [`super::names`].
//!
//! The shape, from the inside out (terms as in `docs`, "the life of a query"):
//!
//! 1. the site's hits of the range and a day around it, marked ones left out, each
//!    with its *person* ([`super::person`]): the minted cookie once any hit carries
//!    it, else the visitor, over midnights;
//! 2. per person one sorted array of hits, split into visits at the first page view
//!    or event after a gap of more than 30 minutes ([`split`]);
//! 3. hits again, each beside its visit's entry (`e`), exit (`l`), bounce and
//!    duration; only those in the range, of the kinds asked about, and passing
//!    the filters;
//! 4. one row per group and visit;
//! 5. one row per group: the answer; rates of one group by another are put beside it.
//!
//! Step 2 is [`Builder::visits`], what the metrics need of the others is in `metrics`,
//! values of dimensions in `dimensions`, conditions in `filters`.
//!
//! A hit of another kind that comes after the gap which ended a visit (a page that was
//! read for an hour) is listed with that visit, under its attributes, and does not
//! lengthen it. One that comes before its person's first page view or event (in the day
//! before the range) is in no visit; it counts for ad blocks and engagement,
//! under its own attributes.

mod dimensions;
mod filters;
mod metrics;

pub(super) use dimensions::Of;

use super::names::{Dimension, Metric};
use super::parse::{Column, Direction, Query};
use super::person::{Since, person, with};
use super::visible::Visible;
use super::visits::{DURATION, split};
use crate::store::Param;

/// How far around its range a question looks, so that visits over its edges
/// are whole. A visit that lasts longer is cut there.
pub const LOOK_AROUND_MS: i64 = 86_400_000;

/// Kinds of hits of questions about ad blocks.
const ABOUT_ADS: &str = "3, 4, 5";
/// Kinds of hits that reach goals.
const ABOUT_GOALS: &str = "1, 2, 5, 6";

/// SQL text, and the values that it names.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub sql: String,
    pub params: Vec<(String, Param)>,
}

/// What one question needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Statements {
    /// The rows of the answer: dimensions, then metrics. `percentage` and
    /// `conversion_rate` stand as the number of visitors, to be divided by a total.
    pub rows: Statement,
    /// How many rows there are without pagination.
    pub total_rows: Option<Statement>,
    /// The visitors of all rows together.
    pub total_visitors: Option<Statement>,
    /// All who were there to be converted ([`Query::before_goals`]).
    pub visitors_before_goals: Option<Statement>,
}

/// The inside: which stored fields travel along, and the values so far.
pub(super) struct Builder<'a> {
    query: &'a Query,
    visible: Visible<'a>,
    fields: Vec<String>,
    /// A further condition on hits, ` AND …`, which leaves out persons the question is not about.
    pub(super) narrowed: &'static str,
    pub(super) params: Vec<(String, Param)>,
}

/// Which hits there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bots {
    /// Those that count.
    LeftOut,
    /// Marked ones too.
    Included,
}

/// Compiles for these rows.
pub fn compile(query: &Query, visible: Visible<'_>) -> Statements {
    let visitors = |question: Query| {
        let visitors = Query { metrics: vec![Metric::Visitors], ..question };
        Builder::new(&visitors, visible).rows(None)
    };
    let asks = |metric: Metric| query.metrics.contains(&metric);
    Statements {
        rows: Builder::new(query, visible).rows(Some((query.limit, query.offset))),
        total_rows: query.include.total_rows.then(|| {
            let Statement { sql, params } = Builder::new(query, visible).rows(None);
            Statement { sql: format!("SELECT count() FROM (\n{sql}\n)"), params }
        }),
        total_visitors: asks(Metric::Percentage).then(|| visitors(query.whole())),
        visitors_before_goals: asks(Metric::ConversionRate)
            .then(|| visitors(Query { dimensions: Vec::new(), ..query.before_goals() })),
    }
}

/// The time of the site's first hit; of the marked ones too with `bots`.
pub fn first_hit(site: &str, bots: Bots, visible: Visible<'_>) -> Statement {
    Statement {
        sql: format!(
            "SELECT count(), toUnixTimestamp64Milli(min(time)) FROM {}.hits WHERE site = {{site:String}}{}{}",
            visible.database,
            bots.condition(),
            visible.condition()
        ),
        params: vec![("site".to_owned(), Param::Text(site.to_owned()))],
    }
}

// === impl Bots ===

impl Bots {
    const fn condition(self) -> &'static str {
        match self {
            Bots::LeftOut => " AND bot = ''",
            Bots::Included => "",
        }
    }
}

// === impl Builder ===

impl<'a> Builder<'a> {
    pub(super) fn new(query: &'a Query, visible: Visible<'a>) -> Self {
        let range = &query.range;
        let number = |name: &str, value: i64| (name.to_owned(), Param::Number(value));
        let text = |name: &str, value: &str| (name.to_owned(), Param::Text(value.to_owned()));
        let params = vec![
            text("site", &query.site),
            number("from", range.from),
            number("to", range.to),
            number("look_from", range.from.saturating_sub(LOOK_AROUND_MS)),
            number("look_to", range.to.saturating_add(LOOK_AROUND_MS)),
            text("zone", range.zone.iana_name().unwrap_or("UTC")),
        ];
        Builder { query, visible, fields: Vec::new(), narrowed: "", params }
    }

    /// The statement, with `page` as limit and offset.
    fn rows(mut self, page: Option<(u64, u64)>) -> Statement {
        let keys: Vec<String> = (0..self.query.dimensions.len()).map(|index| format!("d{index}")).collect();
        let mut sql = self.groups(&keys);
        if let Some(beside) = self.beside(&keys) {
            sql = beside.join(&sql, &keys, self.query.metrics.len());
        }
        if let Some((limit, offset)) = page {
            if !keys.is_empty() {
                sql.push_str(&format!("\nORDER BY {}", self.order(&keys).join(", ")));
            }
            sql.push_str(&format!("\nLIMIT {limit} OFFSET {offset}"));
        }
        Statement { sql, params: self.params }
    }

    /// Steps 3 to 5: a row per group.
    fn groups(&mut self, keys: &[String]) -> String {
        let query = self.query;
        let dimensions: Vec<String> =
            query.dimensions.iter().map(|dimension| self.dimension(dimension, Of::Hit)).collect();
        let conditions: Vec<String> =
            query.filters.iter().map(|filter| self.filter(filter, Of::Hit)).collect();
        let metrics = self.metrics();

        let mut inner: Vec<String> = vec!["person".to_owned(), "n".to_owned()];
        inner.extend(dimensions.iter().zip(keys).map(|(sql, key)| format!("{sql} AS {key}")));
        let by_hit = query.about_ads || query.about_goals;
        inner.push(format!("{} AS present", if by_hit { "count()" } else { "countIf(x.4 <= 2)" }));
        inner.push("any(e.4 <= 2) AS is_visit".to_owned());
        inner.extend(metrics.inner);
        let numbers = metrics.outer.iter().enumerate().map(|(index, sql)| format!("{sql} AS m{index}"));
        let outer: Vec<String> = keys.iter().cloned().chain(numbers).collect();

        let mut wanted =
            vec!["x.1 >= {from:Int64} AND x.1 < {to:Int64}".to_owned(), format!("x.4 IN ({})", self.kinds())];
        wanted.extend(conditions);
        let inner_keys: Vec<&str> =
            ["person", "n"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        let mut sql = format!(
            "SELECT {}\nFROM\n(\nSELECT {}\nFROM\n(\n{}\n)\nARRAY JOIN v AS x\nWHERE {}\nGROUP BY {}\n)",
            outer.join(", "),
            inner.join(", "),
            self.visits(),
            wanted.join("\n  AND "),
            inner_keys.join(", "),
        );
        if !keys.is_empty() {
            sql.push_str(&format!("\nGROUP BY {}", keys.join(", ")));
        }
        if let Some(only) = self.only(keys) {
            sql.push_str(&format!("\nHAVING {only}"));
        }
        sql
    }

    /// Only the groups that the question names.
    fn only(&mut self, keys: &[String]) -> Option<String> {
        let groups = self.query.only.as_ref()?;
        let named: Vec<&String> = self
            .query
            .dimensions
            .iter()
            .zip(keys)
            .filter(|(dimension, _)| !matches!(dimension, Dimension::Time(_)))
            .map(|(_, key)| key)
            .collect();
        if named.is_empty() {
            return None;
        }
        // With its length before it, no value runs into the next.
        let value: Vec<String> =
            named.iter().map(|key| format!("toString(length({key})), ':', {key}")).collect();
        let texts = groups
            .iter()
            .map(|group| group.iter().map(|value| format!("{}:{value}", value.len())).collect())
            .collect();
        let name = self.param(Param::Texts(texts));
        Some(format!("concat({}) IN (SELECT arrayJoin({{{name}:Array(String)}}))", value.join(", ")))
    }

    /// Steps 1 and 2: a row per visit, with its hits as the array `v`. Errors of scripts are no part
    /// of one, and so in nothing that is asked of visits; they tell who is who as all hits do.
    pub(super) fn visits(&self) -> String {
        let fields: String = self.fields.iter().map(|field| format!(", {field}")).collect();
        let condition = format!(
            "site = {{site:String}}{} AND time >= fromUnixTimestamp64Milli({{look_from:Int64}}) \
             AND time < fromUnixTimestamp64Milli({{look_to:Int64}}){}",
            self.query.bots().condition(),
            self.visible.condition()
        );
        format!(
            "SELECT person, n, v, v[1] AS e, arrayLast(y -> y.4 <= 2, v) AS l,
    arrayCount(y -> y.4 <= 2, v) = 1 AS bounce, {duration} AS duration
FROM
(
SELECT person, arraySort(groupArray(hit)) AS hits, {split}
FROM
(
{with}
SELECT {person} AS person,
    tuple(toUnixTimestamp64Milli(time), batch, row, toInt8(kind){fields}) AS hit
FROM {database}.hits
WHERE {condition}{narrowed} AND kind != 'error'
)
GROUP BY person
)
ARRAY JOIN visits AS v, stretches_of_visits AS stretches_of_v, arrayEnumerate(visits) AS n",
            with = with(self.visible, &condition, Since::Look),
            split = split("y.4 <= 2"),
            duration = DURATION,
            person = person(self.visible, Since::Look),
            database = self.visible.database,
            narrowed = self.narrowed,
        )
    }

    /// The order that was asked for, then the dimensions, so that pages of an
    /// answer never overlap.
    fn order(&self, keys: &[String]) -> Vec<String> {
        let mut order: Vec<String> = Vec::new();
        for (column, direction) in &self.query.order {
            let name = match column {
                Column::Dimension(index) => format!("d{index}"),
                Column::Metric(index) => format!("m{index}"),
            };
            order.push(match direction {
                Direction::Ascending => format!("{name} ASC"),
                Direction::Descending => format!("{name} DESC"),
            });
        }
        order.extend(keys.iter().map(|key| format!("{key} ASC")));
        order
    }

    /// The index in the hit's tuple of a stored field.
    pub(super) fn field(&mut self, column: &str) -> usize {
        let index = self.fields.iter().position(|known| known == column).unwrap_or_else(|| {
            self.fields.push(column.to_owned());
            self.fields.len() - 1
        });
        // Time, batch, row and kind come first.
        index + 5
    }

    /// The name of a bound value; the same value is bound once.
    pub(super) fn param(&mut self, value: Param) -> String {
        let known = self.params.iter().find(|(name, known)| name.starts_with('p') && *known == value);
        if let Some((name, _)) = known {
            return name.clone();
        }
        let name = format!("p{}", self.params.len());
        self.params.push((name.clone(), value));
        name
    }
}
