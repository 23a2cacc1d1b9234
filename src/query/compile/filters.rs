//! Conditions on a hit and its visit.

use super::super::filter::{Condition, Filter, Operator, names};
use super::super::goal;
use super::super::names::EventField;
use super::dimensions::Of;
use super::{ABOUT_ADS, ABOUT_GOALS, Builder};
use crate::store::Param;

// === impl Builder ===

impl Builder<'_> {
    pub(in super::super) fn filter(&mut self, filter: &Filter, of: Of) -> String {
        let mut join = |children: &[Filter], word: &str| {
            let parts: Vec<String> = children.iter().map(|child| self.filter(child, of)).collect();
            format!("({})", if parts.is_empty() { "1".to_owned() } else { parts.join(word) })
        };
        match filter {
            Filter::And(children) => join(children, " AND "),
            Filter::Or(children) => join(children, " OR "),
            Filter::Not(child) => format!("(NOT {})", self.filter(child, of)),
            Filter::Is(condition) => self.condition(condition, of),
            Filter::Goals(goals) if goals.is_empty() => "0".to_owned(),
            Filter::Goals(goals) => {
                let reached: Vec<String> = goals.iter().map(|goal| self.goal(goal, of)).collect();
                format!("({})", reached.join(" OR "))
            }
            Filter::Done(child) => {
                let kinds = kinds_of_done(child);
                let fulfilled = self.filter(child, Of::Any);
                format!(
                    "arrayExists(y -> y.1 >= {{from:Int64}} AND y.1 < {{to:Int64}} AND y.4 IN ({kinds}) \
                     AND {fulfilled}, v)"
                )
            }
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
                let patterns = condition.values.iter().cloned();
                self.matches(&value, patterns, condition.case_sensitive)
            }
            Operator::Wildcard => {
                let patterns = condition.values.iter().map(|pattern| goal::expression(pattern));
                self.matches(&value, patterns, condition.case_sensitive)
            }
        };
        if condition.negated { format!("(NOT {sql})") } else { sql }
    }

    fn matches(
        &mut self,
        value: &str,
        patterns: impl Iterator<Item = String>,
        case_sensitive: bool,
    ) -> String {
        let flags = if case_sensitive { "" } else { "(?i)" };
        let patterns: Vec<String> = patterns
            .map(|pattern| {
                let name = self.param(Param::Text(format!("{flags}{pattern}")));
                format!("match({value}, {{{name}:String}})")
            })
            .collect();
        format!("({})", patterns.join(" OR "))
    }
}

/// The kinds of hits that `has_done` is about: as of a question with that filter.
fn kinds_of_done(child: &Filter) -> &'static str {
    if names(std::slice::from_ref(child), EventField::Ad) {
        ABOUT_ADS
    } else if child.names_goals() {
        ABOUT_GOALS
    } else {
        "1, 2"
    }
}
