//! Filters: a bounded tree of conditions over named properties.

use serde_json::{Map, Value};

use super::names::{Bucket, Dimension};

/// The deepest nesting of `and`, `or` and `not`; what people build by hand ends at three.
const MAX_DEPTH: usize = 8;
/// The most conditions in one question.
pub const MAX_CONDITIONS: usize = 64;
/// The most values of one condition.
const MAX_VALUES: usize = 1000;
/// The most patterns of one condition: each is a regular expression to run.
const MAX_PATTERNS: usize = 20;
/// The longest value, in bytes; the longest stored value is a path of 1024.
const MAX_VALUE_BYTES: usize = 2048;

/// A condition on a hit and its visit.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Is(Condition),
}

/// One property compared with values, of which any may fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub dimension: Dimension,
    pub operator: Operator,
    pub negated: bool,
    pub values: Vec<String>,
    pub case_sensitive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Is,
    Contains,
    /// An RE2 expression that matches anywhere.
    Matches,
}

// === impl Filter ===

impl Filter {
    /// Reads `filters`, adding a line to `mistakes` for each fault.
    pub fn parse_all(value: &Value, mistakes: &mut Vec<String>) -> Vec<Filter> {
        let Value::Array(items) = value else {
            mistakes.push(format!("#/filters: Invalid filters {}", short(value)));
            return Vec::new();
        };
        let mut conditions = 0;
        let filters = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| {
                Filter::parse(item, &format!("#/filters/{index}"), MAX_DEPTH, &mut conditions, mistakes)
            })
            .collect();
        if conditions > MAX_CONDITIONS {
            mistakes
                .push(format!("#/filters: {conditions} conditions, at most {MAX_CONDITIONS} are allowed"));
        }
        filters
    }

    fn parse(
        value: &Value,
        at: &str,
        depth: usize,
        conditions: &mut usize,
        mistakes: &mut Vec<String>,
    ) -> Option<Filter> {
        let mut wrong = |what: &str| {
            mistakes.push(format!("{at}: {what} {}", short(value)));
            None
        };
        let Value::Array(parts) = value else { return wrong("Invalid filter") };
        let Some(Value::String(operator)) = parts.first() else { return wrong("Invalid filter") };
        match (operator.as_str(), parts.as_slice()) {
            ("and" | "or" | "not", _) if depth == 0 => {
                mistakes.push(format!("{at}: Filters are nested deeper than {MAX_DEPTH}"));
                None
            }
            ("and" | "or", [_, Value::Array(children)]) if !children.is_empty() => {
                let parsed: Vec<Filter> = children
                    .iter()
                    .enumerate()
                    .filter_map(|(index, child)| {
                        Filter::parse(child, &format!("{at}/1/{index}"), depth - 1, conditions, mistakes)
                    })
                    .collect();
                Some(if operator == "and" { Filter::And(parsed) } else { Filter::Or(parsed) })
            }
            ("not", [_, child]) => Filter::parse(child, &format!("{at}/1"), depth - 1, conditions, mistakes)
                .map(|child| Filter::Not(Box::new(child))),
            ("and" | "or" | "not", _) => wrong("Invalid filter"),
            (_, [_, Value::String(dimension), Value::Array(values), rest @ ..]) if rest.len() <= 1 => {
                *conditions += 1;
                Condition::parse(at, operator, dimension, values, rest.first(), mistakes).map(Filter::Is)
            }
            _ => wrong("Invalid filter"),
        }
    }

    /// Calls `visit` for each condition below.
    pub fn conditions<'a>(&'a self, visit: &mut dyn FnMut(&'a Condition)) {
        match self {
            Filter::And(children) | Filter::Or(children) => {
                children.iter().for_each(|child| child.conditions(visit));
            }
            Filter::Not(child) => child.conditions(visit),
            Filter::Is(condition) => visit(condition),
        }
    }
}

// === impl Condition ===

impl Condition {
    fn parse(
        at: &str,
        operator: &str,
        dimension: &str,
        values: &[Value],
        options: Option<&Value>,
        mistakes: &mut Vec<String>,
    ) -> Option<Condition> {
        let before = mistakes.len();
        let (operator, negated) = match operator {
            "is" => (Operator::Is, false),
            "is_not" => (Operator::Is, true),
            "contains" => (Operator::Contains, false),
            "contains_not" => (Operator::Contains, true),
            "matches" => (Operator::Matches, false),
            "matches_not" => (Operator::Matches, true),
            _ => {
                mistakes.push(format!("{at}/0: Unknown operator {}", short(&Value::from(operator))));
                return None;
            }
        };
        let known = match Dimension::parse(dimension, Bucket::Day) {
            Some(Dimension::Time(_)) | None => {
                mistakes.push(format!("{at}/1: Invalid dimension {}", short(&Value::from(dimension))));
                None
            }
            known => known,
        };
        let most = if operator == Operator::Matches { MAX_PATTERNS } else { MAX_VALUES };
        if values.is_empty() || values.len() > most {
            mistakes.push(format!("{at}/2: {} values, 1 to {most} are allowed", values.len()));
        }
        let mut texts = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            match value {
                // A NUL cannot be stored, nor can every client send it.
                Value::String(text) if text.len() <= MAX_VALUE_BYTES && !text.contains('\0') => {
                    texts.push(text.clone());
                }
                _ => mistakes.push(format!("{at}/2/{index}: Invalid value {}", short(value))),
            }
        }
        let case_sensitive = match options {
            None => true,
            Some(Value::Object(options)) => case_of(options).unwrap_or_else(|| {
                mistakes.push(format!("{at}/3: Invalid options {}", short(&Value::Object(options.clone()))));
                true
            }),
            Some(other) => {
                mistakes.push(format!("{at}/3: Invalid options {}", short(other)));
                true
            }
        };
        let dimension = known?;
        (mistakes.len() == before).then_some(Condition {
            dimension,
            operator,
            negated,
            values: texts,
            case_sensitive,
        })
    }
}

fn case_of(options: &Map<String, Value>) -> Option<bool> {
    match options.iter().collect::<Vec<_>>().as_slice() {
        [] => Some(true),
        [(key, Value::Bool(sensitive))] if *key == "case_sensitive" => Some(*sensitive),
        _ => None,
    }
}

/// A value as an error quotes it: JSON, cut.
pub fn short(value: &Value) -> String {
    const MAX_CHARS: usize = 120;
    let text = value.to_string();
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
