//! The groups of many questions without a filter, from sums by day.
//!
//! Three kinds of statements, put at once: one about the whole, one about each kind of buckets of
//! time, and one about all other properties together, whose rows say which they are of.
//!
//! Bounds: [`MAX_GROUPS`]; beyond it each question is put by itself, which has storage cut its rows.

use std::collections::HashMap;

use tokio::task::JoinSet;

use super::tally::{By, Groups, MAX_GROUPS, Sums, Uncounted};
use super::{Plan, read};
use crate::query::names::{Dimension, EventField, Metric};
use crate::query::{Query, QueryError, Statement, Visible, quick};
use crate::rollup::Cover;
use crate::store::native::{Broken, Column, Reader, Type};
use crate::store::{Storage, StorageError};

/// The columns of the statements: the property, the value, and its sums.
const TYPES: [Type; 2 + quick::SUMS.len()] = {
    let mut types = [Type::UInt64; 2 + quick::SUMS.len()];
    types[0] = Type::Words;
    types[1] = Type::Words;
    types
};

/// Reads. `None` where there are no sums of these days, or too many.
pub(super) async fn run(
    plan: &Plan,
    storage: &Storage,
    cover: &Cover,
    visible: Visible<'_>,
) -> Result<Option<HashMap<By, Groups>>, QueryError> {
    let mut statements: Vec<(Statement, HashMap<String, By>)> = Vec::new();
    let (mut others, mut metrics): (Vec<By>, Vec<Metric>) = (Vec::new(), Vec::new());
    for (by, asked) in &plan.asked {
        match by {
            By::All | By::Time(_) => {
                let Some(statement) = statement(plan, &[*by], asked, cover, visible) else { return Ok(None) };
                statements.push(statement);
            }
            _ => {
                others.push(*by);
                metrics.extend(asked);
            }
        }
    }
    if !others.is_empty() {
        let Some(statement) = statement(plan, &others, &metrics, cover, visible) else { return Ok(None) };
        statements.push(statement);
    }
    let mut under_way = JoinSet::new();
    for (statement, properties) in statements {
        let storage = storage.clone();
        under_way.spawn(async move {
            // More rows than may be come as an error, before any of them.
            let most = (MAX_GROUPS * properties.len()).to_string();
            let settings = [("max_result_rows", most.as_str())];
            read(&storage, &statement, &[], &settings, move |mut chunks| {
                groups(&mut Reader::new(std::iter::from_fn(|| chunks.blocking_recv())), &properties)
            })
            .await
        });
    }
    // A property of which there is nothing has no group.
    let mut all: HashMap<By, Groups> = plan.asked.iter().map(|(by, _)| (*by, Groups::new())).collect();
    while let Some(ended) = under_way.join_next().await {
        match ended {
            Ok(Ok(groups)) => all.extend(groups),
            Ok(Err(failed)) => return failed.of_query().map_or(Ok(None), Err),
            Err(error) => return Err(StorageError::Unreadable(error.to_string()).into()),
        }
    }
    Ok(Some(all))
}

/// The statement about some properties, and which of them its rows name how.
fn statement(
    plan: &Plan,
    by: &[By],
    metrics: &[Metric],
    cover: &Cover,
    visible: Visible<'_>,
) -> Option<(Statement, HashMap<String, By>)> {
    let properties: HashMap<String, By> = by.iter().map(|by| (property(*by), *by)).collect();
    let names: Vec<String> = properties.keys().cloned().collect();
    let dimensions = match by {
        [By::Time(bucket)] => vec![Dimension::Time(*bucket)],
        _ => Vec::new(),
    };
    let query = Query { dimensions, metrics: metrics.to_vec(), ..plan.query.clone() };
    Some((quick::sums_of(&query, &names, cover, visible)?, properties))
}

/// The name of a property in the tables.
fn property(by: By) -> String {
    match by {
        By::All | By::Time(_) => String::new(),
        By::Visit(field) => Dimension::Visit(field).name(),
        By::Page => Dimension::Event(EventField::Page).name(),
        By::Name => Dimension::Event(EventField::Name).name(),
    }
}

fn groups<S: Iterator<Item = bytes::Bytes>>(
    reader: &mut Reader<S>,
    properties: &HashMap<String, By>,
) -> Result<HashMap<By, Groups>, Uncounted> {
    let mut all: HashMap<By, Groups> = HashMap::new();
    while let Some(block) = reader.block(&TYPES)? {
        let mut block = block.into_iter();
        let (Some(Column::Words(named)), Some(Column::Words(values))) = (block.next(), block.next()) else {
            return Err(Broken::misplaced().into());
        };
        let mut numbers = Vec::with_capacity(quick::SUMS.len());
        for column in block {
            let Column::UInt64(column) = column else { return Err(Broken::misplaced().into()) };
            numbers.push(column);
        }
        let by: Vec<Option<By>> = named
            .keys
            .iter()
            .map(|name| std::str::from_utf8(name).ok().and_then(|name| properties.get(name)).copied())
            .collect();
        for (row, (name, value)) in named.codes.iter().zip(&values.codes).enumerate() {
            let Some(by) = by[*name as usize] else { return Err(Broken::misplaced().into()) };
            let groups = all.entry(by).or_default();
            if groups.len() >= MAX_GROUPS {
                return Err(Uncounted::Groups);
            }
            let of = |nth: usize| numbers[nth][row];
            let sums = Sums {
                people: of(0),
                visits: of(1),
                views: of(2),
                counted: of(3),
                own: of(4),
                bounced: of(5),
                lasted: of(6),
            };
            groups.entry(values.keys[*value as usize].clone()).or_default().add(&sums);
        }
    }
    Ok(all)
}
