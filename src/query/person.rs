//! Whose hit it is: the SQL for the person of a hit.
//!
//! In: which hits are looked at (a condition). Out: a `WITH` clause and, for use
//! below it, the expression of the person. The definition is in
//! [`crate::identify::visit`]; here is how it is computed:
//!
//! 1. *adopted* hits, those answered with a cookie that any hit of the site ever
//!    carried, belong to that cookie;
//! 2. `hashes` are the cookieless hits that were not adopted: their person is
//!    their hash, unless midnight makes it another;
//! 3. `pairs`: today's hash and the day before's that a visit over midnight joins;
//! 4. `chain`: the same with the first hash of every chain, found by following
//!    the pairs from their beginnings, a midnight with each step;
//! 5. `links`: that as two arrays, for `transform`.
//!
//! `pairs` and `chain` are scalars, so that each is computed once. They hold a pair
//! for each visit over midnight in the range, which is few.
//!
//! Looking at a range alone gives the same persons as looking at all there is: if
//! both hashes of a pair have hits in the range, the last hit before midnight and
//! the first after it are in it, and these decide.

use crate::identify::visit::TIMEOUT_MS;

/// The `WITH` clause, for hits under `condition`.
pub fn with(database: &str, condition: &str) -> String {
    let adopted = adopted(database);
    format!(
        "WITH RECURSIVE
hashes AS (
    SELECT visitor, before, time FROM {database}.hits
    WHERE {condition} AND identity = 'cookieless' AND NOT ({adopted})
),
pairs AS (
    SELECT today, min(before) AS earlier
    FROM (SELECT visitor AS today, before, min(time) AS first FROM hashes WHERE before != 0 GROUP BY visitor, before) AS begun
    INNER JOIN
    (
        SELECT visitor AS yesterday, max(time) AS last FROM hashes
        WHERE visitor IN (SELECT before FROM hashes WHERE before != 0) GROUP BY visitor
    ) AS left ON begun.before = left.yesterday
    WHERE dateDiff('millisecond', last, first) <= {TIMEOUT_MS}
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
pub fn person(database: &str) -> String {
    format!("if({}, minted, transform(visitor, links.1, links.2, visitor))", adopted(database))
}

fn adopted(database: &str) -> String {
    format!(
        "minted != 0 AND minted IN (SELECT visitor FROM {database}.hits WHERE site = {{site:String}} AND identity = 'cookie')"
    )
}
