//! When a hit reaches a goal: the SQL for an [`Aim`].
//!
//! In: the aim, and where the stored columns of a hit stand in the statement. Out: a
//! condition on one hit. Its text is ours; what people typed is bound.
//!
//! Definitions:
//! - an *event* goal is reached by an event of exactly that name, whatever it is worth;
//! - a *page* goal by a page view whose path fits the pattern as a whole: `*` stands for any
//!   number of characters that are not `/`, none included, `**` for any at all; every other
//!   character stands for itself, upper and lower case apart; the host does not matter;
//! - a *scroll* goal by an engagement that says how far a page was seen (`scroll`), on a page
//!   that fits the pattern, from the percentage on;
//! - an *ad click* goal by a click on that ad block, or on any for the empty name.
//!
//! `tests/support/goal.rs` has the same by hand, for references.

use crate::event::Kind;
use crate::settings::Aim;
use crate::store::row::SCROLL_UNKNOWN;

/// Where the hit of a condition stands in the statement.
pub trait Place {
    /// The SQL of a stored column: `kind` as its number (`toInt8`), `name`, `path`, `ad`
    /// and `scroll` as they are.
    fn column(&mut self, column: &'static str) -> String;
    /// Binds a text, and says how the statement names it: `{p0:String}`.
    fn bind(&mut self, text: String) -> String;
}

/// Whether a hit reaches the goal, as SQL that is 0 or 1.
pub fn condition(aim: &Aim, place: &mut dyn Place) -> String {
    match aim {
        Aim::Event { value, .. } => {
            let (kind, name) = (is(Kind::Event, place), place.column("name"));
            format!("({kind} AND {name} = {})", place.bind(value.clone()))
        }
        Aim::Page { value } => {
            let kind = is(Kind::Pageview, place);
            format!("({kind} AND {})", fits(value, place))
        }
        Aim::Scroll { value, percent } => {
            let (kind, scroll) = (is(Kind::Engagement, place), place.column("scroll"));
            let fits = fits(value, place);
            format!("({kind} AND {scroll} != {SCROLL_UNKNOWN} AND {scroll} >= {percent} AND {fits})")
        }
        Aim::AdClick { value } if value.is_empty() => format!("({})", is(Kind::AdClick, place)),
        Aim::AdClick { value } => {
            let (kind, ad) = (is(Kind::AdClick, place), place.column("ad"));
            format!("({kind} AND {ad} = {})", place.bind(value.clone()))
        }
    }
}

fn is(kind: Kind, place: &mut dyn Place) -> String {
    format!("{} = {}", place.column("kind"), kind as i8)
}

fn fits(pattern: &str, place: &mut dyn Place) -> String {
    let path = place.column("path");
    match pattern.contains('*') {
        false => format!("{path} = {}", place.bind(pattern.to_owned())),
        true => format!("match({path}, {})", place.bind(expression(pattern))),
    }
}

/// A page pattern as an RE2 expression.
pub(super) fn expression(pattern: &str) -> String {
    let mut expression = "(?s)^".to_owned();
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' => {
                let mut stars = 1;
                while rest.next_if_eq(&'*').is_some() {
                    stars += 1;
                }
                expression.push_str(if stars == 1 { "[^/]*" } else { ".*" });
            }
            '\\' | '.' | '+' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                expression.push('\\');
                expression.push(character);
            }
            other => expression.push(other),
        }
    }
    expression.push('$');
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns under their names.
    #[derive(Default)]
    struct Row(Vec<String>);

    impl Place for Row {
        fn column(&mut self, column: &'static str) -> String {
            column.to_owned()
        }

        fn bind(&mut self, text: String) -> String {
            self.0.push(text);
            format!("{{p{}:String}}", self.0.len() - 1)
        }
    }

    #[test]
    fn what_people_typed_is_bound_and_each_kind_of_goal_has_its_condition() {
        let text = |value: &str| value.to_owned();
        for (aim, sql, bound) in [
            (
                Aim::Event { value: text("it's"), currency: None },
                "(kind = 2 AND name = {p0:String})",
                vec!["it's"],
            ),
            (Aim::Page { value: text("/a.b") }, "(kind = 1 AND path = {p0:String})", vec!["/a.b"]),
            (
                Aim::Page { value: text("/a.b/*/(c)**") },
                "(kind = 1 AND match(path, {p0:String}))",
                vec!["(?s)^/a\\.b/[^/]*/\\(c\\).*$"],
            ),
            (Aim::Page { value: text("***") }, "(kind = 1 AND match(path, {p0:String}))", vec!["(?s)^.*$"]),
            (
                Aim::Scroll { value: text("/a"), percent: 50 },
                "(kind = 6 AND scroll != 255 AND scroll >= 50 AND path = {p0:String})",
                vec!["/a"],
            ),
            (Aim::AdClick { value: text("") }, "(kind = 5)", vec![]),
            (Aim::AdClick { value: text("b") }, "(kind = 5 AND ad = {p0:String})", vec!["b"]),
        ] {
            let mut row = Row::default();
            assert_eq!(condition(&aim, &mut row), sql, "{aim:?}");
            assert_eq!(row.0, bound, "{aim:?}");
        }
    }
}
