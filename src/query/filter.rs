//! Filters: a bounded tree of conditions over named properties.
//!
//! In: `filters` of a question, and the [`Settings`] of its site. Out: [`Filter`]s that
//! name no setting any more: a goal is there with its aim, a segment with its filters.
//!
//! What may stand where:
//! - `event:goal` at the top level or inside `has_done`, with `is` and `contains`; a goal
//!   that `is` names exists;
//! - `has_done` and `has_not_done` anywhere but inside one another, about properties of
//!   hits only;
//! - a segment anywhere, but not inside another; one alone at the top level is as if its
//!   filters stood there themselves.

use serde_json::{Map, Value};

use super::names::{Bucket, Dimension, EventField, VisitField};
use crate::settings::{Goal, Settings};

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
/// The most that all values may take up, in bytes, as they travel to storage in an address
/// (see [`weight`]): the engine reads 96 KiB of it, and goals and groups go along.
const MAX_WEIGHT: usize = 48 << 10;

/// A condition on a hit and its visit.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Is(Condition),
    /// The hit reaches one of these.
    Goals(Vec<Goal>),
    /// The visit has a hit in the range, of the kinds that this is about, that fulfils it.
    Done(Box<Filter>),
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
    /// The whole value: `*` is anything but `/`, `**` is anything.
    Wildcard,
}

/// Reads filters of one question.
struct Reader<'a> {
    settings: &'a Settings,
    mistakes: &'a mut Vec<String>,
    conditions: usize,
    weight: usize,
}

/// Where a filter stands.
#[derive(Clone, Copy)]
struct Place {
    /// Beside the other filters of the question.
    top: bool,
    /// Inside `has_done`.
    done: bool,
    /// Inside a segment.
    segment: bool,
    /// How much deeper it may go.
    depth: usize,
}

// === impl Filter ===

impl Filter {
    /// Reads `filters`, adding a line to `mistakes` for each fault.
    pub fn parse_all(value: &Value, settings: &Settings, mistakes: &mut Vec<String>) -> Vec<Filter> {
        let Value::Array(items) = value else {
            mistakes.push(format!("#/filters: Invalid filters {}", short(value)));
            return Vec::new();
        };
        let mut reader = Reader { settings, mistakes, conditions: 0, weight: 0 };
        let top = Place { top: true, done: false, segment: false, depth: MAX_DEPTH };
        let filters = reader.list(items, "#/filters", top);
        let (conditions, weight) = (reader.conditions, reader.weight);
        if conditions > MAX_CONDITIONS {
            mistakes
                .push(format!("#/filters: {conditions} conditions, at most {MAX_CONDITIONS} are allowed"));
        }
        if weight > MAX_WEIGHT {
            mistakes.push(format!("#/filters: {weight} bytes of values, at most {MAX_WEIGHT} are allowed"));
        }
        filters
    }

    /// Only visits whose person had agreed to marketing when the visit ended.
    pub fn marketing() -> Filter {
        Filter::Is(Condition {
            dimension: Dimension::Visit(VisitField::Consent),
            operator: Operator::Is,
            negated: false,
            values: vec!["marketing".to_owned()],
            case_sensitive: true,
        })
    }

    /// Calls `visit` for each condition on the hit or its visit, which those inside
    /// `has_done` are not.
    pub fn conditions<'a>(&'a self, visit: &mut dyn FnMut(&'a Condition)) {
        match self {
            Filter::And(children) | Filter::Or(children) => {
                children.iter().for_each(|child| child.conditions(visit));
            }
            Filter::Not(child) => child.conditions(visit),
            Filter::Is(condition) => visit(condition),
            Filter::Goals(_) | Filter::Done(_) => {}
        }
    }

    /// Whether it, or a part of it that is not inside `has_done`, is about single hits.
    pub fn is_of_hits(&self) -> bool {
        match self {
            Filter::And(children) | Filter::Or(children) => children.iter().any(Filter::is_of_hits),
            Filter::Not(child) => child.is_of_hits(),
            Filter::Is(condition) => condition.dimension.is_of_hits(),
            Filter::Goals(_) => true,
            Filter::Done(_) => false,
        }
    }

    /// Whether a goal is anywhere in it.
    pub fn names_goals(&self) -> bool {
        match self {
            Filter::And(children) | Filter::Or(children) => children.iter().any(Filter::names_goals),
            Filter::Not(child) | Filter::Done(child) => child.names_goals(),
            Filter::Is(_) => false,
            Filter::Goals(_) => true,
        }
    }

    /// Whether it goes when a rate of conversions asks how many there were to convert:
    /// it stands alone, and is about a goal or a property that events bring.
    pub fn is_of_conversion(&self) -> bool {
        match self {
            Filter::Goals(_) => true,
            Filter::Is(condition) => matches!(condition.dimension, Dimension::Prop(_)),
            _ => false,
        }
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn wrong(&mut self, at: &str, what: impl std::fmt::Display) {
        self.mistakes.push(format!("{at}: {what}"));
    }

    fn list(&mut self, items: &[Value], at: &str, place: Place) -> Vec<Filter> {
        let mut filters = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let stands_alone = place.top && item.get(1).is_some_and(|named| named == "segment");
            match self.filter(item, &format!("{at}/{index}"), place) {
                Some(Filter::And(children)) if stands_alone => filters.extend(children),
                Some(filter) => filters.push(filter),
                None => {}
            }
        }
        filters
    }

    fn filter(&mut self, value: &Value, at: &str, place: Place) -> Option<Filter> {
        let invalid = || format!("Invalid filter {}", short(value));
        let (Value::Array(parts), Some(Value::String(operator))) = (value, value.get(0)) else {
            self.wrong(at, invalid());
            return None;
        };
        let below = Place { top: false, depth: place.depth.saturating_sub(1), ..place };
        match (operator.as_str(), parts.as_slice()) {
            ("and" | "or" | "not" | "has_done" | "has_not_done", _) if place.depth == 0 => {
                self.wrong(at, format_args!("Filters are nested deeper than {MAX_DEPTH}"));
                None
            }
            ("and" | "or", [_, Value::Array(children)]) if !children.is_empty() => {
                let parsed = self.list(children, &format!("{at}/1"), below);
                Some(if operator == "and" { Filter::And(parsed) } else { Filter::Or(parsed) })
            }
            ("not", [_, child]) => {
                self.filter(child, &format!("{at}/1"), below).map(|child| Filter::Not(Box::new(child)))
            }
            ("has_done" | "has_not_done", [_, _]) if place.done => {
                self.wrong(at, "Behavioral filters (has_done, has_not_done) cannot be nested");
                None
            }
            ("has_done" | "has_not_done", [_, child]) => {
                let inside = Place { done: true, ..below };
                let done = Filter::Done(Box::new(self.filter(child, &format!("{at}/1"), inside)?));
                Some(if operator == "has_done" { done } else { Filter::Not(Box::new(done)) })
            }
            ("and" | "or" | "not" | "has_done" | "has_not_done", _) => {
                self.wrong(at, invalid());
                None
            }
            (_, [_, Value::String(dimension), Value::Array(values), rest @ ..]) if rest.len() <= 1 => {
                self.conditions += 1;
                match dimension.as_str() {
                    "segment" => self.segment(at, operator, values, rest.first(), place),
                    "event:goal" => self.goals(at, operator, values, rest.first(), place),
                    _ => self.condition(at, operator, dimension, values, rest.first(), place),
                }
            }
            _ => {
                self.wrong(at, invalid());
                None
            }
        }
    }

    fn condition(
        &mut self,
        at: &str,
        operator: &str,
        dimension: &str,
        values: &[Value],
        options: Option<&Value>,
        place: Place,
    ) -> Option<Filter> {
        let before = self.mistakes.len();
        let (operator, negated) = self.operator(at, operator)?;
        let known = match Dimension::parse(dimension, Bucket::Day) {
            Some(Dimension::Time(_)) | None => {
                self.wrong(
                    &format!("{at}/1"),
                    format_args!("Invalid dimension {}", short(&Value::from(dimension))),
                );
                None
            }
            // A NUL cannot be stored, nor can every client send it.
            Some(Dimension::Prop(key)) if key.contains('\0') => {
                self.wrong(
                    &format!("{at}/1"),
                    format_args!("Invalid dimension {}", short(&Value::from(dimension))),
                );
                None
            }
            known => known,
        };
        if place.done && known.as_ref().is_some_and(|known| !known.is_of_hits()) {
            self.wrong(
                &format!("{at}/1"),
                "Behavioral filters (has_done, has_not_done) can only be used with event dimension filters",
            );
        }
        let is_pattern = matches!(operator, Operator::Matches | Operator::Wildcard);
        let texts = self.values(at, values, if is_pattern { MAX_PATTERNS } else { MAX_VALUES });
        let case_sensitive = self.case(at, options);
        let dimension = known?;
        (self.mistakes.len() == before).then_some(Filter::Is(Condition {
            dimension,
            operator,
            negated,
            values: texts,
            case_sensitive,
        }))
    }

    fn goals(
        &mut self,
        at: &str,
        operator: &str,
        values: &[Value],
        options: Option<&Value>,
        place: Place,
    ) -> Option<Filter> {
        let before = self.mistakes.len();
        let (operator, negated) = self.operator(at, operator)?;
        if negated || !matches!(operator, Operator::Is | Operator::Contains) {
            self.wrong(
                &format!("{at}/0"),
                "Dimension `event:goal` allows only the operators is and contains",
            );
        }
        if !place.top && !place.done {
            self.wrong(&format!("{at}/1"), "Dimension `event:goal` can only be filtered at the top level");
        }
        let texts = self.values(at, values, MAX_VALUES);
        let case_sensitive = self.case(at, options);
        let settings = self.settings;
        let fold = |text: &str| if case_sensitive { text.to_owned() } else { text.to_lowercase() };
        let fits = |goal: &Goal, wanted: &str| match operator {
            Operator::Is => fold(&goal.name) == fold(wanted),
            _ => fold(&goal.name).contains(&fold(wanted)),
        };
        if operator == Operator::Is {
            for (index, text) in texts.iter().enumerate() {
                if !settings.goals.iter().any(|goal| fits(goal, text)) {
                    let named = short(&Value::from(text.as_str()));
                    self.wrong(
                        &format!("{at}/2/{index}"),
                        format_args!("The goal {named} is not configured for this site"),
                    );
                }
            }
        }
        let fitting = settings.goals.iter().filter(|goal| texts.iter().any(|text| fits(goal, text)));
        (self.mistakes.len() == before).then(|| Filter::Goals(fitting.cloned().collect()))
    }

    fn segment(
        &mut self,
        at: &str,
        operator: &str,
        values: &[Value],
        options: Option<&Value>,
        place: Place,
    ) -> Option<Filter> {
        let before = self.mistakes.len();
        if operator != "is" {
            self.wrong(&format!("{at}/0"), "A segment allows only the operator is");
        }
        if place.segment {
            self.wrong(&format!("{at}/1"), "A segment cannot name a segment");
            return None;
        }
        if let Some(options) = options {
            self.wrong(&format!("{at}/3"), format_args!("Invalid options {}", short(options)));
        }
        let ids = self.values(at, values, MAX_VALUES);
        if self.mistakes.len() > before {
            return None;
        }
        let alone = ids.len() == 1;
        let within = Place { top: place.top && alone, segment: true, ..place };
        let mut segments = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            let named = format!("{at}/2/{index}");
            let Some(segment) = self.settings.segment(id) else {
                let id = short(&Value::from(id.as_str()));
                self.wrong(&named, format_args!("The segment {id} does not exist on this site"));
                continue;
            };
            match &segment.filters {
                Value::Array(items) => {
                    segments.push(Filter::And(self.list(items, &format!("{named}/filters"), within)));
                }
                other => self.wrong(&named, format_args!("Invalid filters {}", short(other))),
            }
            // Each names its conditions again: what it costs is bounded with the rest.
            if self.conditions > MAX_CONDITIONS {
                break;
            }
        }
        if self.mistakes.len() > before {
            return None;
        }
        Some(if alone { segments.pop()? } else { Filter::Or(segments) })
    }

    fn operator(&mut self, at: &str, operator: &str) -> Option<(Operator, bool)> {
        Some(match operator {
            "is" => (Operator::Is, false),
            "is_not" => (Operator::Is, true),
            "contains" => (Operator::Contains, false),
            "contains_not" => (Operator::Contains, true),
            "matches" => (Operator::Matches, false),
            "matches_not" => (Operator::Matches, true),
            "matches_wildcard" => (Operator::Wildcard, false),
            "matches_wildcard_not" => (Operator::Wildcard, true),
            _ => {
                self.wrong(
                    &format!("{at}/0"),
                    format_args!("Unknown operator {}", short(&Value::from(operator))),
                );
                return None;
            }
        })
    }

    fn values(&mut self, at: &str, values: &[Value], most: usize) -> Vec<String> {
        if values.is_empty() || values.len() > most {
            self.wrong(&format!("{at}/2"), format_args!("{} values, 1 to {most} are allowed", values.len()));
            return Vec::new();
        }
        let mut texts = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            match value {
                // A NUL cannot be stored, nor can every client send it.
                Value::String(text) if text.len() <= MAX_VALUE_BYTES && !text.contains('\0') => {
                    self.weight += weight(text);
                    texts.push(text.clone());
                }
                _ => self.wrong(&format!("{at}/2/{index}"), format_args!("Invalid value {}", short(value))),
            }
        }
        texts
    }

    /// Whether upper and lower case are told apart.
    fn case(&mut self, at: &str, options: Option<&Value>) -> bool {
        let known = match options {
            None => Some(true),
            Some(Value::Object(options)) => case_of(options),
            Some(_) => None,
        };
        known.unwrap_or_else(|| {
            let options = options.map(short).unwrap_or_default();
            self.wrong(&format!("{at}/3"), format_args!("Invalid options {options}"));
            true
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

/// Whether one of the filters names this property of hits, outside of `has_done`.
pub fn names(filters: &[Filter], field: EventField) -> bool {
    let mut found = false;
    for filter in filters {
        filter.conditions(&mut |condition| found |= condition.dimension == Dimension::Event(field));
    }
    found
}

/// How many bytes a bound text takes up in an address, at most: quoted, escaped twice, and
/// with `%` for what is no letter or digit.
pub fn weight(text: &str) -> usize {
    const AROUND: usize = 12;
    let bytes = text.bytes().map(|byte| match byte {
        b'\\' | b'\'' | b'\t' | b'\n' | b'\r' => 12,
        byte if byte.is_ascii_alphanumeric() => 1,
        _ => 3,
    });
    bytes.sum::<usize>() + AROUND
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
