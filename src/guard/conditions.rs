//! The filters of a question as the guard can check them: a few conditions that all hold.
//!
//! In: `filters` of a question that is known to be one. Out: [`Condition`]s joined by
//! *and*, or a [`Refused`]:
//! - segments count as what they contain, consent to marketing as a filter;
//! - a condition is a list of whole values of one property (`is`, `is_not`), or one
//!   `has_done`/`has_not_done` of one value; `contains`, `matches` and letters of either
//!   case are free text, whatever the property: two patterns that differ by a letter are
//!   two sets that differ by a few people;
//! - `or` holds between values of one property only, `not` before one condition only.

use serde_json::{Value, json};

use super::rule::{Refused, Rule, Rules};
use crate::settings::Settings;

/// The most conditions of one question.
pub const MAX_CONDITIONS: usize = 3;
/// The most values of all its conditions together: each is a question to storage.
pub const MAX_VALUES: usize = 10;
/// A segment is made of filters, and these may not name a segment again.
const MAX_DEPTH: usize = 9;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A property has one of the values, or none of them.
    Is { dimension: String, values: Vec<String>, negated: bool },
    /// A visitor did what a condition says, or did not.
    Done { dimension: String, value: String, negated: bool },
    /// A pattern, as it was asked; it comes this far only where a test switches the rule off.
    Text(Value),
}

// === impl Condition ===

impl Condition {
    /// As a question has it.
    pub fn json(&self) -> Value {
        match self {
            Condition::Is { dimension, values, negated } => {
                json!([if *negated { "is_not" } else { "is" }, dimension, values])
            }
            Condition::Done { dimension, value, negated } => {
                json!([if *negated { "has_not_done" } else { "has_done" }, ["is", dimension, [value]]])
            }
            Condition::Text(filter) => filter.clone(),
        }
    }

    /// Its opposite.
    pub fn flipped(&self) -> Condition {
        let mut flipped = self.clone();
        match &mut flipped {
            Condition::Is { negated, .. } | Condition::Done { negated, .. } => *negated = !*negated,
            Condition::Text(filter) => *filter = json!(["not", filter]),
        }
        flipped
    }

    /// The same without one of several values.
    pub fn without(&self, value: &str) -> Option<Condition> {
        match self {
            Condition::Is { dimension, values, negated } if values.len() > 1 => Some(Condition::Is {
                dimension: dimension.clone(),
                values: values.iter().filter(|other| *other != value).cloned().collect(),
                negated: *negated,
            }),
            _ => None,
        }
    }

    fn values(&self) -> usize {
        match self {
            Condition::Is { values, .. } => values.len(),
            Condition::Done { .. } | Condition::Text(_) => 1,
        }
    }
}

/// The conditions of a question.
pub fn read(question: &Value, settings: &Settings, rules: Rules) -> Result<Vec<Condition>, Refused> {
    let mut found = Vec::new();
    if let Some(filters) = question["filters"].as_array() {
        for filter in filters {
            add(filter, settings, rules, MAX_DEPTH, &mut found)?;
        }
    }
    if question["include"]["marketing"] == Value::Bool(true) {
        push(
            Condition::Is {
                dimension: "visit:consent".to_owned(),
                values: vec!["marketing".to_owned()],
                negated: false,
            },
            &mut found,
        );
    }
    let values: usize = found.iter().map(Condition::values).sum();
    match found.len() > MAX_CONDITIONS || values > MAX_VALUES {
        true => Err(Refused::TooManyFilters),
        false => Ok(found),
    }
}

fn add(
    filter: &Value,
    settings: &Settings,
    rules: Rules,
    depth: usize,
    found: &mut Vec<Condition>,
) -> Result<(), Refused> {
    let parts = filter.as_array().ok_or(Refused::Combination)?;
    let operator = parts.first().and_then(Value::as_str).ok_or(Refused::Combination)?;
    let depth = depth.checked_sub(1).ok_or(Refused::Combination)?;
    let below = |value: Option<&Value>, found: &mut Vec<Condition>| -> Result<(), Refused> {
        add(value.ok_or(Refused::Combination)?, settings, rules, depth, found)
    };
    match operator {
        "and" => parts
            .get(1)
            .and_then(Value::as_array)
            .ok_or(Refused::Combination)?
            .iter()
            .try_for_each(|child| below(Some(child), found)),
        "or" => {
            let mut children = Vec::new();
            for child in parts.get(1).and_then(Value::as_array).ok_or(Refused::Combination)? {
                let mut one = Vec::new();
                below(Some(child), &mut one)?;
                children.push(alone(one)?);
            }
            push(joined(children)?, found);
            Ok(())
        }
        "not" => {
            let mut one = Vec::new();
            below(parts.get(1), &mut one)?;
            push(alone(one)?.flipped(), found);
            Ok(())
        }
        "has_done" | "has_not_done" => {
            let mut one = Vec::new();
            below(parts.get(1), &mut one)?;
            match alone(one)? {
                Condition::Is { dimension, values, negated: false } if values.len() == 1 => {
                    let value = values.into_iter().next().ok_or(Refused::Combination)?;
                    push(Condition::Done { dimension, value, negated: operator == "has_not_done" }, found);
                    Ok(())
                }
                _ => Err(Refused::Combination),
            }
        }
        "is" | "is_not" => {
            let dimension = parts.get(1).and_then(Value::as_str).ok_or(Refused::Combination)?;
            let values: Vec<String> = parts
                .get(2)
                .and_then(Value::as_array)
                .ok_or(Refused::Combination)?
                .iter()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect();
            if parts.get(3).is_some_and(|options| options["case_sensitive"] == Value::Bool(false)) {
                return Err(Refused::FreeText);
            }
            if dimension == "segment" {
                return segment(&values, operator == "is_not", settings, rules, depth, found);
            }
            let condition =
                Condition::Is { dimension: dimension.to_owned(), values, negated: operator == "is_not" };
            push(tidy(condition), found);
            Ok(())
        }
        _ if !rules.hold(Rule::FreeText) => {
            push(Condition::Text(filter.clone()), found);
            Ok(())
        }
        _ => Err(Refused::FreeText),
    }
}

fn segment(
    ids: &[String],
    negated: bool,
    settings: &Settings,
    rules: Rules,
    depth: usize,
    found: &mut Vec<Condition>,
) -> Result<(), Refused> {
    let [id] = ids else { return Err(Refused::Combination) };
    let segment = settings.segment(id).ok_or(Refused::Combination)?;
    let mut contained = Vec::new();
    for filter in segment.filters.as_array().ok_or(Refused::Combination)? {
        add(filter, settings, rules, depth, &mut contained)?;
    }
    if negated {
        contained = vec![alone(contained)?.flipped()];
    }
    contained.into_iter().for_each(|condition| push(condition, found));
    Ok(())
}

fn alone(found: Vec<Condition>) -> Result<Condition, Refused> {
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Refused::Combination),
    }
}

/// Values of one property, of which one may be had.
fn joined(children: Vec<Condition>) -> Result<Condition, Refused> {
    let mut all = Vec::new();
    let mut about = None;
    for child in children {
        match child {
            Condition::Is { dimension, values, negated: false }
                if about.as_ref().is_none_or(|known| *known == dimension) =>
            {
                about = Some(dimension);
                all.extend(values);
            }
            _ => return Err(Refused::Combination),
        }
    }
    let dimension = about.ok_or(Refused::Combination)?;
    Ok(tidy(Condition::Is { dimension, values: all, negated: false }))
}

fn tidy(condition: Condition) -> Condition {
    match condition {
        Condition::Is { dimension, mut values, negated } => {
            values.sort();
            values.dedup();
            Condition::Is { dimension, values, negated }
        }
        other => other,
    }
}

/// A condition that is there already says nothing more.
fn push(condition: Condition, found: &mut Vec<Condition>) {
    if !found.contains(&condition) {
        found.push(condition);
    }
}
