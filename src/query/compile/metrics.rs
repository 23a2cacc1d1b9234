//! What the metrics need: columns of the row per visit and group, and of the row per group.

use super::super::money::{AMOUNT, DIGITS, DIVIDED_DIGITS, Money, PROPERTY};
use super::super::names::{Dimension, EventField, Metric, VisitField};
use super::super::parse::Query;
use super::dimensions::Of;
use super::{ABOUT_ADS, ABOUT_GOALS, Builder};
use crate::event::Kind;

/// No number, but of a group: without an aggregate there would be a row for each visit.
const NOTHING: &str = "nullIf(count(), count())";

/// Columns of the metrics.
pub(super) struct Columns {
    /// Of the row per visit and group, each with its name.
    pub(super) inner: Vec<String>,
    /// Of the row per group, in the order of the metrics.
    pub(super) outer: Vec<String>,
}

/// Numbers of other groups that stand beside those of a group.
pub(super) struct Beside {
    /// The statement of the others.
    sql: String,
    /// Columns of the groups and of the others that are the same.
    same: Vec<(String, String)>,
    /// The metric that is divided by the others' number, as `m0`.
    metric: usize,
}

// === impl Columns ===

impl Columns {
    fn need(&mut self, sql: String) {
        if !self.inner.contains(&sql) {
            self.inner.push(sql);
        }
    }

    fn need_views(&mut self) {
        self.need("countIf(x.4 = 1) AS views".to_owned());
    }

    /// The number of hits of one kind, summed over visits.
    fn need_ads(&mut self, kind: Kind) -> String {
        let name = kind.name();
        self.need(format!("countIf(x.4 = {}) AS {name}s", kind as i8));
        format!("sum({name}s)")
    }
}

// === impl Builder ===

impl Builder<'_> {
    pub(super) fn metrics(&mut self) -> Columns {
        let query = self.query;
        let averages = [Metric::BounceRate, Metric::VisitDuration];
        let counts_for_visit = match query.metrics.iter().any(|metric| averages.contains(metric)) {
            true => self.counts_for_visit(),
            false => String::new(),
        };
        let visits = "countIf(present > 0 AND is_visit)";
        let mut columns = Columns { inner: Vec::new(), outer: Vec::new() };
        for metric in &query.metrics {
            let sql = match metric {
                Metric::Visitors
                | Metric::Percentage
                | Metric::ConversionRate
                | Metric::GroupConversionRate => "uniqExactIf(person, present > 0)".to_owned(),
                Metric::Visits => visits.to_owned(),
                Metric::Pageviews => {
                    columns.need_views();
                    "sum(views)".to_owned()
                }
                Metric::Events => {
                    // A goal is reached as often as there are such hits, but how often a
                    // page was reported to be read means nothing.
                    let counted = if query.about_goals { "x.4 != 6" } else { "x.4 <= 2" };
                    columns.need(format!("countIf({counted}) AS counted"));
                    "sum(counted)".to_owned()
                }
                Metric::ViewsPerVisit => {
                    columns.need_views();
                    ratio("round(sum(views) / {}, 2)", visits)
                }
                Metric::BounceRate => {
                    columns.need("any(bounce) AS bounced".to_owned());
                    columns.need(counts_for_visit.clone());
                    ratio("round(100 * countIf(own AND bounced) / {})", "countIf(own)")
                }
                Metric::VisitDuration => {
                    columns.need("any(duration) AS lasted".to_owned());
                    columns.need(counts_for_visit.clone());
                    ratio("round(sumIf(lasted, own) / {} / 1000)", "countIf(own)")
                }
                Metric::ScrollDepth => {
                    let scroll = self.field("scroll");
                    columns.need(format!("maxIf(x.{scroll}, x.4 = 6 AND x.{scroll} != 255) AS depth"));
                    columns.need(format!("countIf(x.4 = 6 AND x.{scroll} != 255) AS depths"));
                    ratio("round(sumIf(depth, depths > 0) / {})", "countIf(depths > 0)")
                }
                Metric::TimeOnPage => {
                    let engaged = self.field("engaged_ms");
                    columns.need(format!("sumIf(x.{engaged}, x.4 = 6) AS engaged"));
                    ratio("round(sum(engaged) / {} / 1000)", "countIf(engaged > 0)")
                }
                Metric::AdViews => columns.need_ads(Kind::AdView),
                Metric::AdViewable => columns.need_ads(Kind::AdViewable),
                Metric::AdClicks => columns.need_ads(Kind::AdClick),
                Metric::AdCtr => {
                    let views = columns.need_ads(Kind::AdView);
                    let clicks = columns.need_ads(Kind::AdClick);
                    ratio(&format!("round(100 * {clicks} / {{}}, 2)"), &views)
                }
                Metric::AdViewableRate => {
                    let views = columns.need_ads(Kind::AdView);
                    let viewable = columns.need_ads(Kind::AdViewable);
                    ratio(&format!("round(100 * {viewable} / {{}}, 2)"), &views)
                }
                // Of a page it is divided by the page's views, see `beside`.
                Metric::ExitRate if !query.dimensions.is_empty() => visits.to_owned(),
                Metric::ExitRate => {
                    columns.need_views();
                    ratio(&format!("round(100 * {visits} / {{}}, 1)"), "sum(views)")
                }
                Metric::TotalRevenue => match self.need_revenue(&mut columns) {
                    true => "sum(revenue)".to_owned(),
                    false => NOTHING.to_owned(),
                },
                Metric::AverageRevenue => match self.need_revenue(&mut columns) {
                    true => format!(
                        "if(sum(revenues) = 0, NULL, \
                         toDecimal256(sum(revenue), {DIVIDED_DIGITS}) / greatest(sum(revenues), 1))"
                    ),
                    false => NOTHING.to_owned(),
                },
            };
            columns.outer.push(sql);
        }
        columns
    }

    /// The sum of amounts and their number; or that there is no money in the question.
    fn need_revenue(&mut self, columns: &mut Columns) -> bool {
        let reached = match self.query.money() {
            Money::OfRows { .. } => None,
            Money::One { goals, .. } => {
                let goals: Vec<String> = goals.iter().map(|goal| self.goal(goal, Of::Hit)).collect();
                Some(format!("({}) AND ", goals.join(" OR ")))
            }
            Money::None | Money::Several => return false,
        };
        let amount = format!("x.{}", self.field(&format!("props['{PROPERTY}']")));
        let taken = format!("{}match({amount}, '{AMOUNT}')", reached.unwrap_or_default());
        columns.need(format!("sumIf(toDecimal128OrZero({amount}, {DIGITS}), {taken}) AS revenue"));
        columns.need(format!("countIf({taken}) AS revenues"));
        true
    }

    /// Which visits the averages are about. A question about pages or hosts is
    /// answered by the visits that entered there.
    fn counts_for_visit(&mut self) -> String {
        let query = self.query;
        let mut conditions = vec!["present > 0".to_owned(), "is_visit".to_owned()];
        let mut entry = Vec::new();
        for dimension in &query.dimensions {
            if let Dimension::Event(field) = dimension
                && field.is_of_entry()
            {
                entry.push(format!(
                    "{} = {}",
                    self.dimension(dimension, Of::Hit),
                    self.dimension(dimension, Of::Entry)
                ));
            }
        }
        if query.filters_name(EventField::Page) || query.filters_name(EventField::Hostname) {
            entry.extend(query.filters.iter().map(|filter| self.filter(filter, Of::Entry)));
        }
        if !entry.is_empty() {
            conditions.push(format!("max({}) > 0", entry.join(" AND ")));
        }
        format!("{} AS own", conditions.join(" AND "))
    }

    /// The kinds of hits that the question is about.
    pub(super) fn kinds(&self) -> String {
        let query = self.query;
        if query.about_ads {
            return ABOUT_ADS.to_owned();
        }
        if query.about_goals {
            return ABOUT_GOALS.to_owned();
        }
        let mut kinds = Vec::new();
        if query.metrics.iter().any(|metric| !metric.is_of_ads() && !metric.is_of_engagement()) {
            kinds.push("1, 2");
        }
        if query.metrics.iter().any(|metric| metric.is_of_ads()) {
            kinds.push(ABOUT_ADS);
        }
        if query.metrics.iter().any(|metric| metric.is_of_engagement()) {
            kinds.push("6");
        }
        kinds.join(", ")
    }

    /// What stands beside the groups: for `group_conversion_rate` the visitors who were
    /// there to be converted, for `exit_rate` the views of the page. A question has
    /// one of them at most: one wants a goal, the other no property of hits.
    pub(super) fn beside(&mut self, keys: &[String]) -> Option<Beside> {
        let query = self.query;
        let at = |wanted: Metric| query.metrics.iter().position(|metric| *metric == wanted);
        if let Some(metric) = at(Metric::GroupConversionRate) {
            let others = query.before_goals();
            let kept =
                query.dimensions.iter().zip(keys).filter(|(dimension, _)| **dimension != Dimension::GOAL);
            let same = kept.enumerate().map(|(index, (_, key))| (key.clone(), format!("d{index}"))).collect();
            let sql = self.others(&others);
            return Some(Beside { sql, same, metric });
        }
        let metric = at(Metric::ExitRate).filter(|_| !keys.is_empty())?;
        let page = Dimension::Event(EventField::Page);
        let views = Query {
            metrics: vec![Metric::Pageviews],
            dimensions: vec![page],
            order: Vec::new(),
            only: None,
            ..query.clone()
        };
        let label = VisitField::ExitPage.label_of_empty();
        let sql = self.others(&views);
        let sql = format!(
            "SELECT if(d0 = '', '{label}', d0) AS page, sum(m0) AS m0 FROM (SELECT d0, m0 FROM (\n{sql}\n)) GROUP BY page"
        );
        Some(Beside { sql, same: vec![("d0".to_owned(), "page".to_owned())], metric })
    }

    /// The groups of another question, with the values of this one.
    fn others(&mut self, query: &Query) -> String {
        let params = std::mem::take(&mut self.params);
        let mut other =
            Builder { query, visible: self.visible, fields: Vec::new(), narrowed: self.narrowed, params };
        let keys: Vec<String> = (0..query.dimensions.len()).map(|index| format!("d{index}")).collect();
        let sql = other.groups(&keys);
        self.params = other.params;
        sql
    }
}

// === impl Beside ===

impl Beside {
    /// The groups with the metric divided by the others' number, in percent.
    pub(super) fn join(&self, groups: &str, keys: &[String], metrics: usize) -> String {
        let numbers = (0..metrics).map(|index| match index == self.metric {
            true => {
                let rate = ratio(&format!("round(100 * a.m{index} / {{}}, 1)"), "b.m0");
                format!("{rate} AS m{index}")
            }
            false => format!("a.m{index} AS m{index}"),
        });
        let columns: Vec<String> =
            keys.iter().map(|key| format!("a.{key} AS {key}")).chain(numbers).collect();
        let on: Vec<String> =
            self.same.iter().map(|(ours, theirs)| format!("a.{ours} = b.{theirs}")).collect();
        let (join, on) = match on.is_empty() {
            // The others are one row.
            true => ("CROSS JOIN", String::new()),
            false => ("LEFT JOIN", format!(" ON {}", on.join(" AND "))),
        };
        format!("SELECT {}\nFROM (\n{groups}\n) AS a\n{join} (\n{}\n) AS b{on}", columns.join(", "), self.sql)
    }
}

/// A ratio that does not exist when nothing is divided by.
fn ratio(form: &str, divisor: &str) -> String {
    format!("if({divisor} = 0, NULL, {})", form.replace("{}", divisor))
}
