//! How a person's hits are cut into visits: the SQL for it.
//!
//! In: `hits`, a person's hits as an array of tuples in their order, the time in milliseconds
//! first. Out: `visits`, the array cut into arrays, each but perhaps the first beginning
//! with a page view or event, and `stretches_of_visits` beside it. The definition is in
//! [`crate::identify::visit`]; here is how it is computed:
//!
//! 1. `stretches`: a number for each hit; hits with no gap of more than the time-out
//!    between them have the same;
//! 2. a visit begins with the first page view or event of a stretch that has one;
//! 3. what follows belongs to it until the next begins, but only the hits of the
//!    stretch in which it began make it last.

use crate::identify::visit::TIMEOUT_MS;

/// `… AS visits, … AS stretches_of_visits`; `counted` tells of a hit `y` whether it is a page view or event.
pub fn split(counted: &str) -> String {
    format!(
        "hits.1 AS times, arrayMap(y -> {counted}, hits) AS counted,
    arrayCumSum(arrayMap((at, previous) -> at - previous > {TIMEOUT_MS}, times, arrayPushFront(arrayPopBack(times), times[1]))) AS stretches,
    arrayFill((stretch, is_counted) -> is_counted, stretches, counted) AS last_counted,
    arrayMap((is_counted, nth, stretch, last) -> is_counted AND (nth = 1 OR stretch != last),
        counted, arrayCumSum(counted), stretches, arrayPushFront(arrayPopBack(last_counted), toUInt64(0))) AS begins,
    arraySplit((y, begin) -> begin, hits, begins) AS visits,
    arraySplit((stretch, begin) -> begin, stretches, begins) AS stretches_of_visits"
    )
}

/// How long one of these, `v`, lasts, in milliseconds; `stretches_of_v` is beside it.
pub const DURATION: &str = "v[countEqual(stretches_of_v, stretches_of_v[1])].1 - v[1].1";
