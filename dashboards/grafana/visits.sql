WITH RECURSIVE
-- Who is blocked is in no number.
nobody AS (SELECT subject FROM ${database}.blocked WHERE site = ${site:singlequote}),
-- The cookies that came back: whoever was offered one of them is its owner from the first hit on.
cookies AS (
    SELECT visitor FROM ${database}.hits
    WHERE site = ${site:singlequote} AND identity = 'cookie'
      AND visitor NOT IN nobody AND minted NOT IN nobody AND before NOT IN nobody AND user_key NOT IN nobody
),
-- The hits that count, a day around the time shown, so that visits over its edges are whole. A mark (robots, crowds)
-- takes a hit out.
countable AS (
    SELECT time, batch, row, kind, visitor, identity, minted, before{{columns}} FROM ${database}.hits
    WHERE site = ${site:singlequote} AND bot = ''
      AND time >= $__fromTime - INTERVAL 86400 SECOND AND time < $__toTime + INTERVAL 86401 SECOND
      AND visitor NOT IN nobody AND minted NOT IN nobody AND before NOT IN nobody AND user_key NOT IN nobody
),
-- Somebody without a cookie has another hash each day. Where a visit goes on over midnight (`before` is today's hash as
-- it was yesterday), both are one person: near, hashes, pairs, chain and links find the first hash of each such person.
near AS (
    SELECT visitor, before, time, minted FROM countable
    WHERE identity = 'cookieless' AND (before != 0 OR visitor IN (SELECT before FROM countable WHERE before != 0))
),
hashes AS (SELECT visitor, before, time FROM near WHERE minted = 0 OR minted NOT IN cookies),
pairs AS (
    SELECT today, argMin(earlier, first) AS earlier
    FROM (
        SELECT seen.1 AS earlier, argMinIf(seen.2, seen.3, seen.2 != 0) AS today, minIf(seen.3, seen.2 != 0) AS first
        FROM (SELECT arrayJoin([(visitor, toUInt64(0), time), (before, visitor, time)]) AS seen FROM hashes)
        WHERE seen.1 != 0
        GROUP BY earlier
        HAVING today != 0 AND countIf(seen.2 = 0) > 0
           AND dateDiff('millisecond', maxIf(seen.3, seen.2 = 0), first) <= 1800000
    )
    GROUP BY today
),
(SELECT groupArray((today, earlier)) FROM pairs) AS all_pairs,
pair AS (SELECT arrayJoin(all_pairs) AS two, two.1 AS today, two.2 AS earlier),
chain AS (
    SELECT today, earlier AS beginning FROM pair WHERE earlier NOT IN (SELECT today FROM pair)
    UNION ALL
    SELECT pair.today, chain.beginning FROM pair INNER JOIN chain ON pair.earlier = chain.today
),
(SELECT (arrayPushBack(groupArray(today), 0), arrayPushBack(groupArray(beginning), 0)) FROM chain) AS links,
-- Each hit beside its person. Kinds: 1 page view, 2 event, 3 ad rendered, 4 ad seen, 5 ad clicked, 6 engagement, 7 consent.
-- An error of a script is no part of a visit.
of_persons AS (
    SELECT
        if(minted != 0 AND minted IN cookies, minted, transform(visitor, links.1, links.2, visitor)) AS person,
        CAST(
            (toUnixTimestamp64Milli(time), batch, row, toInt8(kind){{values}}),
            'Tuple(at Int64, batch UInt64, row UInt32, kind Int8{{types}})'
        ) AS hit
    FROM countable
    WHERE kind != 'error'
),
-- A person's hits in their order, cut into visits. A stretch is hits with no gap of more than 30 minutes between them; a visit
-- begins with the first page view or event of a stretch, and lasts until the last hit of that stretch.
persons AS (
    SELECT
        person,
        arraySort(groupArray(hit)) AS hits,
        arrayMap(y -> y.at, hits) AS times,
        arrayMap(y -> y.kind <= 2, hits) AS starting,
        arrayCumSum(arrayMap(
            (at, previous) -> at - previous > 1800000,
            times, arrayPushFront(arrayPopBack(times), times[1])
        )) AS stretches,
        arrayPushFront(arrayPopBack(arrayFill((stretch, starts) -> starts, stretches, starting)), toUInt64(0)) AS earlier,
        arrayMap(
            (starts, nth, stretch, last) -> starts AND (nth = 1 OR stretch != last),
            starting, arrayCumSum(starting), stretches, earlier
        ) AS begins,
        arraySplit((y, begin) -> begin, hits, begins) AS visits,
        arraySplit((stretch, begin) -> begin, stretches, begins) AS stretches_of_visits
    FROM of_persons
    GROUP BY person
),
visits AS (
    SELECT
        person, n, visit, visit[1] AS entry, arrayLast(y -> y.kind <= 2, visit) AS last,
        arrayCount(y -> y.kind <= 2, visit) = 1 AS bounce,
        visit[countEqual(numbers, numbers[1])].at - visit[1].at AS duration_ms
    FROM persons
    ARRAY JOIN visits AS visit, stretches_of_visits AS numbers, arrayEnumerate(visits) AS n
),
-- The hits (x) of the time shown, each beside the first (entry) and the last page view or event (last) of its visit (n).
shown AS (
    SELECT person, n, x, entry, last, bounce, duration_ms, toDateTime(intDiv(x.at, 1000)) AS second
    FROM visits
    ARRAY JOIN visit AS x
    WHERE $__timeFilter(second)
)
