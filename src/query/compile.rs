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
//! 2. per person one sorted array of hits, split into visits where a page view
//!    or event comes more than 30 minutes after the hit before it;
//! 3. hits again, each beside its visit's entry (`e`), exit (`l`), bounce and
//!    duration; only those in the range, of the kinds asked about, and passing
//!    the filters;
//! 4. one row per group and visit;
//! 5. one row per group: the answer.
//!
//! The first two are those of questions about whole visits too ([`super::report`]).
//!
//! A hit that comes before its person's first page view or event (in the day
//! before the range) is in no visit; it counts for ad blocks and engagement,
//! under its own attributes.

use super::filter::{Condition, Filter, Operator};
use super::names::{Bucket, Dimension, EventField, Metric, VisitField};
use super::parse::{Column, Direction, Query};
use super::person::{person, with};
use super::visible::Visible;
use crate::event::Kind;
use crate::identify::visit::TIMEOUT_MS;
use crate::store::Param;

/// How far around its range a question looks, so that visits over its edges
/// are whole. A visit that lasts longer is cut there.
pub const LOOK_AROUND_MS: i64 = 86_400_000;

/// SQL text, and the values that it names.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub sql: String,
    pub params: Vec<(String, Param)>,
}

/// What one question needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Statements {
    /// The rows of the answer: dimensions, then metrics. `percentage` stands
    /// as the number of visitors, to be divided by the total.
    pub rows: Statement,
    /// How many rows there are without pagination.
    pub total_rows: Option<Statement>,
    /// The visitors of all rows together.
    pub total_visitors: Option<Statement>,
}

/// The inside: which stored fields travel along, and the values so far.
pub(super) struct Builder<'a> {
    query: &'a Query,
    visible: Visible<'a>,
    fields: Vec<String>,
    /// A further condition on hits, ` AND …`, which leaves out persons the question is not about.
    pub(super) only: &'static str,
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

/// The hit whose property is meant.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Of {
    /// The hit itself.
    Hit,
    /// The first counted hit of its visit.
    Entry,
}

/// Compiles for these rows.
pub fn compile(query: &Query, visible: Visible<'_>) -> Statements {
    let whole = Query { dimensions: Vec::new(), order: Vec::new(), ..query.clone() };
    Statements {
        rows: Builder::new(query, visible).rows(Some((query.limit, query.offset))),
        total_rows: query.include.total_rows.then(|| {
            let Statement { sql, params } = Builder::new(query, visible).rows(None);
            Statement { sql: format!("SELECT count() FROM (\n{sql}\n)"), params }
        }),
        total_visitors: query.metrics.contains(&Metric::Percentage).then(|| {
            let visitors = Query { metrics: vec![Metric::Visitors], ..whole };
            Builder::new(&visitors, visible).rows(None)
        }),
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
        Builder { query, visible, fields: Vec::new(), only: "", params }
    }

    /// The statement, with `page` as limit and offset.
    fn rows(mut self, page: Option<(u64, u64)>) -> Statement {
        let query = self.query;
        let dimensions: Vec<String> =
            query.dimensions.iter().map(|dimension| self.dimension(dimension, Of::Hit)).collect();
        let conditions: Vec<String> =
            query.filters.iter().map(|filter| self.filter(filter, Of::Hit)).collect();
        let averages = [Metric::BounceRate, Metric::VisitDuration];
        let counts_for_visit = match query.metrics.iter().any(|metric| averages.contains(metric)) {
            true => self.counts_for_visit(),
            false => String::new(),
        };
        let about_ads = query.about_ads;

        let mut inner: Vec<String> = vec!["person".to_owned(), "n".to_owned()];
        inner.extend(dimensions.iter().enumerate().map(|(index, sql)| format!("{sql} AS d{index}")));
        let counted = if about_ads { "count()" } else { "countIf(x.4 <= 2)" };
        inner.push(format!("{counted} AS present"));
        inner.push("any(e.4 <= 2) AS is_visit".to_owned());
        let mut outer: Vec<String> = (0..dimensions.len()).map(|index| format!("d{index}")).collect();
        let mut need = |sql: &str| {
            if !inner.iter().any(|known| known == sql) {
                inner.push(sql.to_owned());
            }
        };
        for (index, metric) in query.metrics.iter().enumerate() {
            let sql = match metric {
                Metric::Visitors | Metric::Percentage => "uniqExactIf(person, present > 0)".to_owned(),
                Metric::Visits => "countIf(present > 0 AND is_visit)".to_owned(),
                Metric::Pageviews => {
                    need("countIf(x.4 = 1) AS views");
                    "sum(views)".to_owned()
                }
                Metric::Events => {
                    need("countIf(x.4 <= 2) AS counted");
                    "sum(counted)".to_owned()
                }
                Metric::ViewsPerVisit => {
                    need("countIf(x.4 = 1) AS views");
                    ratio("round(sum(views) / {}, 2)", "countIf(present > 0 AND is_visit)")
                }
                Metric::BounceRate => {
                    need("any(bounce) AS bounced");
                    need(&counts_for_visit);
                    ratio("round(100 * countIf(own AND bounced) / {})", "countIf(own)")
                }
                Metric::VisitDuration => {
                    need("any(duration) AS lasted");
                    need(&counts_for_visit);
                    ratio("round(sumIf(lasted, own) / {} / 1000)", "countIf(own)")
                }
                Metric::ScrollDepth => {
                    let scroll = self.field("scroll");
                    need(&format!("maxIf(x.{scroll}, x.4 = 6 AND x.{scroll} != 255) AS depth"));
                    need(&format!("countIf(x.4 = 6 AND x.{scroll} != 255) AS depths"));
                    ratio("round(sumIf(depth, depths > 0) / {})", "countIf(depths > 0)")
                }
                Metric::TimeOnPage => {
                    let engaged = self.field("engaged_ms");
                    need(&format!("sumIf(x.{engaged}, x.4 = 6) AS engaged"));
                    ratio("round(sum(engaged) / {} / 1000)", "countIf(engaged > 0)")
                }
                Metric::AdViews => ad_count(Kind::AdView, &mut need),
                Metric::AdViewable => ad_count(Kind::AdViewable, &mut need),
                Metric::AdClicks => ad_count(Kind::AdClick, &mut need),
                Metric::AdCtr => {
                    let views = ad_count(Kind::AdView, &mut need);
                    let clicks = ad_count(Kind::AdClick, &mut need);
                    ratio(&format!("round(100 * {clicks} / {{}}, 2)"), &views)
                }
                Metric::AdViewableRate => {
                    let views = ad_count(Kind::AdView, &mut need);
                    let viewable = ad_count(Kind::AdViewable, &mut need);
                    ratio(&format!("round(100 * {viewable} / {{}}, 2)"), &views)
                }
            };
            outer.push(format!("{sql} AS m{index}"));
        }

        let mut wanted =
            vec!["x.1 >= {from:Int64} AND x.1 < {to:Int64}".to_owned(), format!("x.4 IN ({})", self.kinds())];
        wanted.extend(conditions);
        let keys: Vec<String> = (0..dimensions.len()).map(|index| format!("d{index}")).collect();
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
        if let Some((limit, offset)) = page {
            if !keys.is_empty() {
                sql.push_str(&format!("\nORDER BY {}", self.order(&keys).join(", ")));
            }
            sql.push_str(&format!("\nLIMIT {limit} OFFSET {offset}"));
        }
        Statement { sql, params: self.params }
    }

    /// Steps 1 and 2: a row per visit, with its hits as the array `v`.
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
    arrayCount(y -> y.4 <= 2, v) = 1 AS bounce, v[-1].1 - v[1].1 AS duration
FROM
(
SELECT person, arraySort(groupArray(hit)) AS hits, hits.1 AS times, arrayMap(y -> y.4 <= 2, hits) AS counted,
    arrayMap((at, previous, is_counted, nth) -> is_counted AND (nth = 1 OR at - previous > {TIMEOUT_MS}),
        times, arrayPushFront(arrayPopBack(times), toInt64(0)), counted, arrayCumSum(counted)) AS begins,
    arraySplit((y, begin) -> begin, hits, begins) AS visits
FROM
(
{with}
SELECT {person} AS person,
    tuple(toUnixTimestamp64Milli(time), batch, row, toInt8(kind){fields}) AS hit
FROM {database}.hits
WHERE {condition}{only}
)
GROUP BY person
)
ARRAY JOIN visits AS v, arrayEnumerate(visits) AS n",
            with = with(self.visible, &condition),
            person = person(self.visible),
            database = self.visible.database,
            only = self.only,
        )
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
    fn kinds(&self) -> String {
        let query = self.query;
        let mut kinds = Vec::new();
        if query.about_ads {
            kinds.extend([Kind::AdView, Kind::AdViewable, Kind::AdClick]);
        } else {
            if query.metrics.iter().any(|metric| !metric.is_of_ads() && !metric.is_of_engagement()) {
                kinds.extend([Kind::Pageview, Kind::Event]);
            }
            if query.metrics.iter().any(|metric| metric.is_of_ads()) {
                kinds.extend([Kind::AdView, Kind::AdViewable, Kind::AdClick]);
            }
            if query.metrics.iter().any(|metric| metric.is_of_engagement()) {
                kinds.push(Kind::Engagement);
            }
        }
        kinds.iter().map(|kind| (*kind as i8).to_string()).collect::<Vec<_>>().join(", ")
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

    pub(super) fn param(&mut self, value: Param) -> String {
        let name = format!("p{}", self.params.len());
        self.params.push((name.clone(), value));
        name
    }

    /// The value of a dimension as the answer shows it.
    pub(super) fn dimension(&mut self, dimension: &Dimension, of: Of) -> String {
        let hit = if of == Of::Hit { "x" } else { "e" };
        match dimension {
            Dimension::Time(bucket) => time_label(*bucket).to_owned(),
            Dimension::Event(EventField::Page) => format!("{hit}.{}", self.field("path")),
            Dimension::Event(EventField::Hostname) => format!("{hit}.{}", self.field("host")),
            Dimension::Event(EventField::Name) => {
                let name = self.field("name");
                let [named, kind] = [format!("x.{name}"), format!("x.{}", self.field("toString(kind)"))];
                format!("if(x.4 = 2, {named}, {kind})")
            }
            Dimension::Event(EventField::Ad) => format!("x.{}", self.field("ad")),
            Dimension::Event(EventField::Mark) => labelled(&format!("x.{}", self.field("bot")), "(none)"),
            Dimension::Prop(key) => {
                let param = self.prop_param(key);
                let field = self.field(&format!("props[{{{param}:String}}]"));
                labelled(&format!("x.{field}"), "(none)")
            }
            Dimension::Visit(field) => self.visit_field(*field),
        }
    }

    /// One parameter for each key, so that the same key is the same field.
    fn prop_param(&mut self, key: &str) -> String {
        let value = Param::Text(key.to_owned());
        let known = self.params.iter().find(|(name, known)| name.starts_with('k') && *known == value);
        if let Some((name, _)) = known {
            return name.clone();
        }
        let name = format!("k{}", self.params.len());
        self.params.push((name.clone(), value));
        name
    }

    fn visit_field(&mut self, field: VisitField) -> String {
        let column = match field {
            VisitField::EntryPage | VisitField::ExitPage => "path",
            VisitField::Source => "source",
            VisitField::Channel => "channel",
            VisitField::Referrer => "concat(referrer_host, referrer_path)",
            VisitField::UtmSource => "utm_source",
            VisitField::UtmMedium => "utm_medium",
            VisitField::UtmCampaign => "utm_campaign",
            VisitField::UtmContent => "utm_content",
            VisitField::UtmTerm => "utm_term",
            VisitField::Country => "country",
            VisitField::Region => "region",
            VisitField::City => "city",
            VisitField::Device => "device",
            VisitField::Browser => "browser",
            VisitField::BrowserVersion => "browser_version",
            VisitField::Os => "os",
            VisitField::OsVersion => "os_version",
            VisitField::Language => "language",
            VisitField::Screen => "screen",
            VisitField::Network => "network",
        };
        let hit = if field == VisitField::ExitPage { "l" } else { "e" };
        let value = format!("{hit}.{}", self.field(column));
        match (field, field.label_of_empty()) {
            (VisitField::Channel, label) => {
                // The collector stores the word; an empty one is of older data.
                format!("if({value} IN ('', 'direct'), '{label}', {value})")
            }
            (_, "") => value,
            (_, label) => labelled(&value, label),
        }
    }

    pub(super) fn filter(&mut self, filter: &Filter, of: Of) -> String {
        let mut join = |children: &[Filter], word: &str| {
            let parts: Vec<String> = children.iter().map(|child| self.filter(child, of)).collect();
            format!("({})", parts.join(word))
        };
        match filter {
            Filter::And(children) => join(children, " AND "),
            Filter::Or(children) => join(children, " OR "),
            Filter::Not(child) => format!("(NOT {})", self.filter(child, of)),
            Filter::Is(condition) => self.condition(condition, of),
        }
    }

    fn condition(&mut self, condition: &Condition, of: Of) -> String {
        let value = self.dimension(&condition.dimension, of);
        let folded = if condition.case_sensitive { value.clone() } else { format!("lowerUTF8({value})") };
        let wanted = |name: &str| {
            let list = format!("{{{name}:Array(String)}}");
            if condition.case_sensitive { list } else { format!("arrayMap(w -> lowerUTF8(w), {list})") }
        };
        let sql = match condition.operator {
            Operator::Is => {
                let name = self.param(Param::Texts(condition.values.clone()));
                format!("has({}, {folded})", wanted(&name))
            }
            Operator::Contains => {
                let name = self.param(Param::Texts(condition.values.clone()));
                format!("arrayExists(w -> position({folded}, w) > 0, {})", wanted(&name))
            }
            Operator::Matches => {
                let patterns: Vec<String> = condition
                    .values
                    .iter()
                    .map(|pattern| {
                        let flags = if condition.case_sensitive { "" } else { "(?i)" };
                        let name = self.param(Param::Text(format!("{flags}{pattern}")));
                        format!("match({value}, {{{name}:String}})")
                    })
                    .collect();
                format!("({})", patterns.join(" OR "))
            }
        };
        if condition.negated { format!("(NOT {sql})") } else { sql }
    }
}

fn time_label(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Minute => {
            "formatDateTime(fromUnixTimestamp64Milli(x.1, {zone:String}), '%Y-%m-%d %H:%i:00', {zone:String})"
        }
        Bucket::Hour => {
            "formatDateTime(fromUnixTimestamp64Milli(x.1, {zone:String}), '%Y-%m-%d %H:00:00', {zone:String})"
        }
        Bucket::Day => "toString(toDate(fromUnixTimestamp64Milli(x.1, {zone:String}), {zone:String}))",
        Bucket::Week => {
            "toString(toMonday(toDate(fromUnixTimestamp64Milli(x.1, {zone:String}), {zone:String})))"
        }
        Bucket::Month => {
            "toString(toStartOfMonth(toDate(fromUnixTimestamp64Milli(x.1, {zone:String}), {zone:String})))"
        }
    }
}

fn labelled(value: &str, label: &str) -> String {
    format!("if({value} = '', '{label}', {value})")
}

/// A ratio that does not exist when nothing is divided by.
fn ratio(form: &str, divisor: &str) -> String {
    format!("if({divisor} = 0, NULL, {})", form.replace("{}", divisor))
}

/// The number of hits of one kind, summed over visits.
fn ad_count(kind: Kind, need: &mut dyn FnMut(&str)) -> String {
    let name = kind.name();
    need(&format!("countIf(x.4 = {}) AS {name}s", kind as i8));
    format!("sum({name}s)")
}
