//! Counts the groups of many questions under one filter, from one reading of `visits`.
//!
//! Why we count here what the engine could: a statement for each panel reads every visit again,
//! 0.45 s of CPU on 31 million of a year, and one for all of them (`GROUPING SETS`) pays as much for counting
//! different people by each property. Fourteen panels, two cores, one country of ten: 7.7 s by
//! statements, 1.7 s here (benches/README.md); one statement of the engine's took 2.2 s of CPU, and that about
//! pages 3.2 more, which would be 2.7 s.
//!
//! - *Slices*: people whose numbers are next to each other lie next to each other in
//!   `visits`, so a slice of them is read by its own statement, which costs little more (the
//!   dictionaries of words, 45 ms at that size). As many slices as cores are read at
//!   once. A slice that turns out to be too large to be held is cut in parts.
//! - One scan at a time: others wait for their turn, as they would for the cores.
//!
//! Bounds: [`SLICE_HITS`], [`MAX_CUTS`], and those of [`super::tally`] and [`crate::store::native`].

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::tally::{By, Columns, Groups, Measure, Tally, Uncounted, Wanted};
use super::{Failed, Plan, read};
use crate::query::names::Metric;
use crate::query::{QueryError, Visible, quick};
use crate::rollup::Cover;
use crate::store::native::Reader;
use crate::store::{Param, Storage, StorageError};

/// The hits whose visits a slice has, at first.
pub const SLICE_HITS: u64 = 25_000_000;
/// Below it there is nothing to be read by several.
const MIN_SHARED_HITS: u64 = 1_000_000;
/// A slice that is too large is cut in so many, and these again up to so often.
const PARTS: u64 = 4;
const MAX_CUTS: u32 = 3;
/// The most slices that are read at once: more would only share the engine's memory.
const MAX_AT_ONCE: usize = 4;
/// Of large blocks the engine makes fewer, each with its own words. How many rows there are is bounded here.
const SETTINGS: &[(&str, &str)] = &[
    ("max_threads", "1"),
    ("max_block_size", "1000000"),
    ("preferred_block_size_bytes", "100000000"),
    ("wait_end_of_query", "0"),
    ("max_result_rows", "0"),
];

/// One scan is under way at a time.
static TURN: Semaphore = Semaphore::const_new(1);

/// People whose numbers are between two, both belonging to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    least: u64,
    most: u64,
    /// How often it was cut.
    cuts: u32,
}

// === impl Slice ===

impl Slice {
    const ALL: Slice = Slice { least: 0, most: u64::MAX, cuts: 0 };

    fn bounds(self) -> [(String, Param); 2] {
        [("least", self.least), ("most", self.most)]
            .map(|(name, value)| (name.to_owned(), Param::Text(value.to_string())))
    }

    fn parts(self, many: u64) -> Vec<Slice> {
        let width = (self.most - self.least) / many;
        let part = |nth: u64| Slice {
            least: self.least + nth * width,
            most: if nth + 1 == many { self.most } else { self.least + (nth + 1) * width - 1 },
            cuts: self.cuts + 1,
        };
        (0..many).map(part).collect()
    }
}

/// Reads and counts. `None` where it is too much.
pub(super) async fn run(
    plan: &Plan,
    storage: &Storage,
    cover: &Cover,
    visible: Visible<'_>,
) -> Result<Option<HashMap<By, Groups>>, QueryError> {
    let (columns, wanted) = needed(&plan.asked);
    let Some(statement) = quick::visits_of(&plan.query, &columns, cover, visible) else {
        return Ok(None);
    };
    // It is never closed.
    let Ok(_turn) = TURN.acquire().await else { return Ok(None) };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_AT_ONCE);
    let slices = match cover.hits {
        few if few < MIN_SHARED_HITS => 1,
        many => many.div_ceil(SLICE_HITS).max(cores as u64),
    };
    let statement = Arc::new(statement);
    let mut left = Slice::ALL.parts(slices);
    let mut under_way = JoinSet::new();
    let mut all: HashMap<By, Groups> = HashMap::new();
    loop {
        while under_way.len() < cores
            && let Some(slice) = left.pop()
        {
            let (storage, statement, types) = (storage.clone(), statement.clone(), columns.types());
            let mut tally = Tally::new(columns.clone(), &wanted, cover.days.first);
            under_way.spawn(async move {
                let bounds = slice.bounds();
                let counted = read(&storage, &statement, &bounds, SETTINGS, move |mut chunks| {
                    let mut reader = Reader::new(std::iter::from_fn(|| chunks.blocking_recv()));
                    while let Some(block) = reader.block(&types)? {
                        tally.add(block)?;
                    }
                    tally.end_slice();
                    Ok(tally.groups())
                });
                (slice, counted.await)
            });
        }
        let groups = match under_way.join_next().await {
            None => return Ok(Some(all)),
            Some(Ok((_, Ok(groups)))) => groups,
            Some(Ok((slice, Err(Failed::Uncounted(Uncounted::Slice))))) if slice.cuts < MAX_CUTS => {
                left.extend(slice.parts(PARTS));
                continue;
            }
            Some(Ok((_, Err(failed)))) => return failed.of_query().map_or(Ok(None), Err),
            Some(Err(error)) => return Err(StorageError::Unreadable(error.to_string()).into()),
        };
        for (by, groups) in groups {
            let all = all.entry(by).or_default();
            for (value, sums) in groups {
                all.entry(value).or_default().add(&sums);
            }
        }
    }
}

/// What is to be read for what is asked, and added up of it.
fn needed(asked: &[(By, Vec<Metric>)]) -> (Columns, Vec<Wanted>) {
    let mut columns = Columns::default();
    let mut all = Vec::new();
    for (by, metrics) in asked {
        let mut measures: Vec<Measure> = Vec::new();
        for metric in metrics {
            measures.extend(match metric {
                Metric::Pageviews => &[Measure::Views] as &[_],
                Metric::Events => &[Measure::Counted],
                Metric::Visits => &[Measure::Earlier],
                Metric::ViewsPerVisit => &[Measure::Earlier, Measure::Views],
                Metric::BounceRate => &[Measure::Earlier, Measure::Own, Measure::Bounce],
                Metric::VisitDuration => &[Measure::Earlier, Measure::Own, Measure::Lasted],
                _ => &[],
            });
        }
        match by {
            By::All | By::Name => {}
            By::Time(_) => columns.day = true,
            By::Visit(field) => columns.fields.push(*field),
            // Those of pages are in the lists of pages.
            By::Page => {
                columns.pages = true;
                measures.clear();
            }
        }
        columns.day |= measures.contains(&Measure::Earlier);
        for measure in &measures {
            if !columns.measures.contains(measure) {
                columns.measures.push(*measure);
            }
        }
        all.push(Wanted { by: *by, measures });
    }
    (columns, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_everybody_and_nobody_twice() {
        for many in [1, 2, 3, 4, 33] {
            for whole in [Slice::ALL, Slice { least: 7, most: 1007, cuts: 1 }] {
                let parts = whole.parts(many);
                assert_eq!(parts.len() as u64, many);
                assert_eq!((parts[0].least, parts[parts.len() - 1].most), (whole.least, whole.most));
                assert!(parts.iter().all(|part| part.least <= part.most && part.cuts == whole.cuts + 1));
                assert!(parts.windows(2).all(|two| two[0].most + 1 == two[1].least), "{parts:?}");
            }
        }
    }
}
