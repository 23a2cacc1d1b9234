//! Whose hit it is: the SQL for the person of a hit.
//!
//! In: which hits are looked at (a condition) among those that are [`Visible`]. Out: a `WITH` clause and, for use
//! below it, the expression of the person. The definition is in
//! [`crate::identify::visit`]; here is how it is computed:
//!
//! 1. *adopted* hits, those answered with a cookie that any hit of the site ever
//!    carried, belong to that cookie; none did before it was offered, so hits before the
//!    range ([`Since`]) need not be looked at;
//! 2. `near`: the cookieless hits of hashes that are on either side of a midnight;
//!    `hashes`: those of them that were not adopted, so that their person is their
//!    hash unless midnight makes it another;
//! 3. `pairs`: today's hash and the day before's, where the visit went on;
//! 4. `chain`: the same with the first hash of every chain, found by following
//!    the pairs from their beginnings, a midnight with each step;
//! 5. `links`: that as two arrays, for `transform`.
//!
//! A `WITH` is computed anew wherever it is named, a scalar once: so `pairs` and
//! `chain` become scalars, and only what is near a midnight is looked up among the
//! cookies. They hold a pair for each visit over midnight in the range, which is few.
//!
//! Looking at a range alone gives the same persons as looking at all there is: if
//! both hashes of a pair have hits in the range, the last hit before midnight and
//! the first after it are in it, and these decide.

use super::visible::Visible;
use crate::identify::visit::TIMEOUT_MS;

/// From when on it is looked which cookies came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Among all hits.
    Ever,
    /// Among those from `{look_from:Int64}` on: a cookie that is offered in the range cannot have come back
    /// before, and collectors' clocks differ by less than a question looks around.
    Look,
}

/// The `WITH` clause, for hits under `condition`.
pub fn with(visible: Visible<'_>, condition: &str, since: Since) -> String {
    let (database, returned) = (visible.database, returned(visible, since));
    format!(
        "WITH RECURSIVE
near AS (
    SELECT visitor, before, time, minted FROM {database}.hits
    WHERE {condition} AND identity = 'cookieless'
      AND (before != 0 OR visitor IN (SELECT before FROM {database}.hits WHERE {condition} AND before != 0))
),
hashes AS (
    SELECT visitor, before, time FROM near
    WHERE minted = 0 OR minted NOT IN ({returned} AND visitor IN (SELECT minted FROM near))
),
pairs AS (
    SELECT today, argMin(earlier, first) AS earlier
    FROM
    (
        SELECT seen.1 AS earlier, argMinIf(seen.2, seen.3, seen.2 != 0) AS today, minIf(seen.3, seen.2 != 0) AS first
        FROM (SELECT arrayJoin([(visitor, toUInt64(0), time), (before, visitor, time)]) AS seen FROM hashes)
        WHERE seen.1 != 0
        GROUP BY earlier
        HAVING today != 0 AND countIf(seen.2 = 0) > 0
           AND dateDiff('millisecond', maxIf(seen.3, seen.2 = 0), first) <= {TIMEOUT_MS}
    )
    GROUP BY today
),
(SELECT groupArray((today, earlier)) FROM pairs) AS all_pairs,
pair AS (SELECT arrayJoin(all_pairs) AS hashes_of_two_days, hashes_of_two_days.1 AS today, hashes_of_two_days.2 AS earlier),
chain AS (
    SELECT today, earlier AS beginning FROM pair WHERE earlier NOT IN (SELECT today FROM pair)
    UNION ALL
    SELECT pair.today, chain.beginning FROM pair INNER JOIN chain ON pair.earlier = chain.today
),
(SELECT (arrayPushBack(groupArray(today), 0), arrayPushBack(groupArray(beginning), 0)) FROM chain) AS links"
    )
}

/// The person of a hit, under [`with`]. (`transform` takes no empty array, so the
/// links end with 0, which is nobody's hash.)
pub fn person(visible: Visible<'_>, since: Since) -> String {
    format!("if({}, minted, transform(visitor, links.1, links.2, visitor))", adopted(visible, since))
}

fn adopted(visible: Visible<'_>, since: Since) -> String {
    format!("minted != 0 AND minted IN ({})", returned(visible, since))
}

/// The cookies that any hit carried.
pub fn returned(visible: Visible<'_>, since: Since) -> String {
    let since = match since {
        Since::Ever => "",
        Since::Look => " AND time >= fromUnixTimestamp64Milli({look_from:Int64})",
    };
    format!(
        "SELECT visitor FROM {}.hits WHERE site = {{site:String}} AND identity = 'cookie'{since}{}",
        visible.database,
        visible.condition()
    )
}
