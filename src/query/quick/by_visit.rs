//! From `visits`, a row per visit and day: filters and properties of visits and pages. Read the site's visits of
//! the range.

use super::{Builder, label};
use crate::query::filter::{Condition, Filter, Operator};
use crate::query::names::{Dimension, EventField, VisitField};
use crate::query::scan::tally::{Columns, Measure};
use crate::rollup::numbers::entered_at;
use crate::rollup::{fields, keep};
use crate::store::Param;

/// What a question says of a row of `visits`, where it is about visits and, by a filter,
/// about some of their pages.
struct OfVisit {
    /// Whether it is meant.
    wanted: String,
    /// Its counted hits and page views that are meant.
    present: String,
    views: String,
    /// Whether averages are about it.
    own: String,
    /// Whether it was meant on the day before.
    was_there: String,
}

// === impl Builder ===

impl Builder<'_> {
    /// The same from visits.
    pub(super) fn by_visit(&mut self) -> String {
        let query = self.query;
        let about_page = query.dimensions.contains(&Dimension::Event(EventField::Page));
        let page_filtered = query.filters_name(EventField::Page);
        let fields = query.dimensions.iter().filter_map(|dimension| match dimension {
            Dimension::Visit(field) => Some(*field),
            _ => None,
        });
        let columns = self.columns(fields, about_page || page_filtered);
        // With a page in the group or the filters, `present` hits of the visit are meant.
        let (join, OfVisit { wanted, present, views, own, was_there }) = if about_page {
            let wanted = self.filters("page");
            let entered = entered_at("page");
            let own =
                if page_filtered { format!("{entered} AND {}", self.filters("entry")) } else { entered };
            let of_page = OfVisit {
                wanted,
                present: "countEqual(pages, page)".to_owned(),
                views: "arrayCount((p, kind) -> p = page AND kind = 1, pages, kinds)".to_owned(),
                own,
                was_there: "has(earlier_pages, page)".to_owned(),
            };
            ("\nARRAY JOIN arrayDistinct(pages) AS page", of_page)
        } else {
            ("", self.of_visit())
        };
        let start = self.start();
        let keys: Vec<String> = query
            .dimensions
            .iter()
            .enumerate()
            .map(|(index, dimension)| {
                let value = match dimension {
                    Dimension::Time(bucket) => label(*bucket),
                    Dimension::Visit(field) => fields::column(*field).unwrap_or("''"),
                    _ => "page",
                };
                format!("{value} AS d{index}, ")
            })
            .collect();
        let again = format!("(earlier AND day > {start} AND {was_there})");
        let mut sql = format!(
            "SELECT {}uniqExact(person) AS people, countIf(NOT {again}) AS visits, sum({views}) AS views_, sum({present}) AS counted_,
    countIf({own} AND NOT {again}) AS own, countIf({own} AND bounce AND NOT {again}) AS bounced, sumIf(lasted, {own} AND NOT {again}) AS lasted_
FROM {}{join}
WHERE {wanted}",
            keys.concat(),
            self.visits(&columns),
        );
        if !query.dimensions.is_empty() {
            let keys: Vec<String> = (0..query.dimensions.len()).map(|index| format!("d{index}")).collect();
            sql.push_str(&format!("\nGROUP BY {}", keys.join(", ")));
        }
        let keys: String = (0..query.dimensions.len()).map(|index| format!("d{index}, ")).collect();
        format!(
            "SELECT {keys}people, visits, views_ AS views, counted_ AS counted, own, bounced, lasted_ AS lasted FROM\n(\n{sql}\n)"
        )
    }

    /// What is true of each visit, in the order of [`Columns`].
    pub(super) fn columns_of_visits(&mut self, columns: &Columns) -> String {
        let OfVisit { wanted, present, views, own, was_there } = self.of_visit();
        let mut asked = vec!["person".to_owned()];
        if columns.day {
            asked.push("toUInt16(day) AS day_".to_owned());
        }
        for measure in &columns.measures {
            let sql = match measure {
                Measure::Earlier => &format!("earlier AND {was_there}"),
                Measure::Views => &views,
                Measure::Counted => &present,
                Measure::Own => &own,
                Measure::Bounce => "bounce",
                Measure::Lasted => "lasted",
            };
            asked.push(format!("CAST({sql}, 'UInt32') AS {measure:?}"));
        }
        for field in &columns.fields {
            let column = fields::column(*field).unwrap_or("''");
            asked.push(format!("CAST({column}, 'LowCardinality(String)') AS {column}_"));
        }
        let page_filtered = self.query.filters_name(EventField::Page);
        if columns.pages {
            let (mut pages, mut kinds) = ("pages".to_owned(), "kinds".to_owned());
            if page_filtered {
                let hit = self.filters("p");
                pages = format!("arrayFilter(p -> {hit}, pages)");
                kinds = format!("arrayFilter((kind, p) -> {hit}, kinds, pages)");
            }
            asked.push(format!("CAST({pages}, 'Array(LowCardinality(String))') AS pages_"));
            asked.push(format!("CAST({kinds}, 'Array(UInt8)') AS kinds_"));
        }
        let from = self.columns(columns.fields.iter().copied(), columns.pages || page_filtered);
        format!("SELECT {}\nFROM {}\nWHERE {wanted}", asked.join(", "), self.visits(&from))
    }

    /// With a page in the filters, the hits of such pages are meant.
    fn of_visit(&mut self) -> OfVisit {
        if !self.query.filters_name(EventField::Page) {
            return OfVisit {
                wanted: self.filters("''"),
                present: "counted".to_owned(),
                views: "views".to_owned(),
                own: "1".to_owned(),
                was_there: "1".to_owned(),
            };
        }
        let hit = self.filters("p");
        OfVisit {
            wanted: format!("arrayExists(p -> {hit}, pages)"),
            present: format!("arrayCount(p -> {hit}, pages)"),
            views: format!("arrayCount((p, kind) -> kind = 1 AND {hit}, pages, kinds)"),
            own: self.filters("entry"),
            was_there: format!("arrayExists(p -> {hit}, earlier_pages)"),
        }
    }

    /// The columns of `visits` for what is broken down by and filtered.
    fn columns(&self, of: impl Iterator<Item = VisitField>, pages: bool) -> String {
        let mut columns = vec!["day", "person", "earlier", "bounce", "lasted", "views", "counted"];
        let mut need = |name: &'static str| {
            if !columns.contains(&name) {
                columns.push(name);
            }
        };
        of.filter_map(fields::column).for_each(&mut need);
        for filter in &self.query.filters {
            filter.conditions(&mut |condition| {
                if let Dimension::Visit(field) = condition.dimension {
                    fields::column(field).map(&mut need);
                }
            });
        }
        if pages {
            ["`seen.page` AS pages", "`seen.kind` AS kinds", "entry", "earlier_pages"]
                .into_iter()
                .for_each(&mut need);
        }
        columns.join(", ")
    }

    /// All filters, on a visit and on the page that `page` is.
    fn filters(&mut self, page: &str) -> String {
        let all: Vec<String> = self.query.filters.iter().map(|filter| self.filter(filter, page)).collect();
        if all.is_empty() { "1".to_owned() } else { all.join(" AND ") }
    }

    /// The visits of days that are made and, where they are asked about, of those that are open.
    fn visits(&self, columns: &str) -> String {
        let (database, condition) = (self.visible.database, self.condition());
        let of = |table: &str| format!("SELECT {columns} FROM {database}.{table} WHERE {condition}");
        match self.cover.open {
            None => format!("({})", of(keep::MADE[0])),
            Some(_) => format!("({} UNION ALL {})", of(keep::MADE[0]), of(keep::OPEN)),
        }
    }

    /// A filter on a visit and, where it names a page, on the page that `page` is.
    fn filter(&mut self, filter: &Filter, page: &str) -> String {
        let mut join = |children: &[Filter], word: &str| {
            let parts: Vec<String> = children.iter().map(|child| self.filter(child, page)).collect();
            format!("({})", parts.join(word))
        };
        match filter {
            Filter::And(children) => join(children, " AND "),
            Filter::Or(children) => join(children, " OR "),
            Filter::Not(child) => format!("(NOT {})", self.filter(child, page)),
            Filter::Is(condition) => self.condition_of(condition, page),
            // Such a question was not taken.
            Filter::Goals(_) | Filter::Done(_) => "0".to_owned(),
        }
    }

    fn condition_of(&mut self, condition: &Condition, page: &str) -> String {
        let value = match condition.dimension {
            Dimension::Visit(field) => fields::column(field).unwrap_or("''"),
            _ => page,
        };
        let folded = if condition.case_sensitive { value.to_owned() } else { format!("lowerUTF8({value})") };
        let list = |name: &str| {
            let list = format!("{{{name}:Array(String)}}");
            if condition.case_sensitive { list } else { format!("arrayMap(w -> lowerUTF8(w), {list})") }
        };
        let sql = match condition.operator {
            Operator::Is => match (condition.case_sensitive, condition.values.as_slice()) {
                // Compared once with each different value, not in each row; one is cheaper than a list of one.
                (true, [one]) => format!("{value} = {{{}:String}}", self.param(Param::Text(one.clone()))),
                (true, several) => {
                    format!("{value} IN {{{}:Array(String)}}", self.param(Param::Texts(several.to_vec())))
                }
                (false, several) => {
                    let name = self.param(Param::Texts(several.to_vec()));
                    format!("has({}, {folded})", list(&name))
                }
            },
            Operator::Contains => {
                let name = self.param(Param::Texts(condition.values.clone()));
                format!("arrayExists(w -> position({folded}, w) > 0, {})", list(&name))
            }
            // Refused by `filter_is_known`: patterns of pages are rare in filters.
            Operator::Wildcard => "0".to_owned(),
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
