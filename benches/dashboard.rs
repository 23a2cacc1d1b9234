//! Measures a marketer's dashboard on a large table:
//!
//! ```text
//! cargo bench --bench dashboard -- [--hits N] [--rounds N] [--rollups BOOL]
//! ```
//!
//! It starts the built binary on a directory of its own, has the engine make up a year of hits,
//! waits until the rollups are made (with them), starts the server again, and asks the
//! whole unfiltered dashboard of the last 30 days and of the year, and both under one filter,
//! as the page does: fourteen questions in one `POST /api/v2/queries`. Each round asks for
//! another number of rows, so that no answer is one that was remembered. Printed are the first
//! round after the start, the median and the slowest of twenty; the bytes on disk of a hit with all
//! tables; and what making the rollups took. It fails where a question is not answered.
//!
//! The hits: of each ten million, 0.3 million cookie visitors and 0.7 million cookieless ids, 3.2 hits
//! per visit, 3,000 paths, 400 cities and 600 referrers by Zipf's law, 2,000 user agents, one hit in twenty
//! an event, every column filled. Default: 2 million hits, which takes a few minutes.

#[path = "../tests/support/http.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared client")]
mod http;
#[path = "../tests/support/place.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared place")]
mod place;
#[path = "../tests/support/server.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared server")]
mod server;

use std::time::{Duration, Instant};

use jiff::ToSpan;
use serde_json::{Value, json};

use place::Place;
use server::Server;

const ZONE: &str = "Europe/Moscow";
/// Hits of a visit, in the mean.
const HITS_PER_VISIT: f64 = 3.2;
/// How long the rollups of a year may take to be made.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

struct Options {
    hits: u64,
    rounds: u64,
    rollups: bool,
}

fn main() {
    let Options { hits, rounds, rollups } = options();
    let place = Place::with(&format!(
        "[storage]\nrollups = {rollups}\n[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\ntimezone = \"{ZONE}\"\n"
    ));
    let server = place.serve();
    // The server may still be making the table.
    server.rows("SELECT count() FROM metka.blocked");
    let started = Instant::now();
    let visits = (hits as f64 / HITS_PER_VISIT) as u64;
    for month in 1..=12 {
        execute(&server, &insert(visits, month));
    }
    execute(&server, "OPTIMIZE TABLE metka.hits FINAL");
    let stored = number(&server, "SELECT count() FROM metka.hits");
    println!("{stored} hits made up and merged in {:.1?}", started.elapsed());
    if rollups {
        let started = Instant::now();
        // A server that finds the hits when it starts.
        assert_eq!(server.terminate().0, Some(0));
        let server = place.serve();
        let made = "SELECT count() FROM (SELECT day, argMax(numbers, version) AS made FROM metka.rollup_days GROUP BY day HAVING made)";
        // A day is made three hours after it.
        let days = "SELECT uniqExact(toDate(time, 'Europe/Moscow') AS day) FROM metka.hits WHERE day < toDate(now() - INTERVAL 3 HOUR, 'Europe/Moscow')";
        let days = number(&server, days);
        while number(&server, made) < days {
            assert!(started.elapsed() < PATIENCE, "the rollups are not made");
            #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
            std::thread::sleep(Duration::from_secs(1));
        }
        println!("rollups of {days} days made in {:.1?}", started.elapsed());
        assert_eq!(server.terminate().0, Some(0));
    } else {
        assert_eq!(server.terminate().0, Some(0));
    }
    let server = place.serve();
    server.rows("SELECT count() FROM metka.blocked");
    let bytes =
        number(&server, "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'metka' AND active");
    println!("{:<44} {:>9.1}", "bytes on disk per hit, all tables", bytes as f64 / stored as f64);
    let made = server.command(&["token", "create", "--name", "bench", "--role", "owner"]);
    let token = format!("Bearer {}", made["token"].as_str().expect("a token"));
    // Questions are answered a moment after storage is there.
    let live = http::get("/api/v1/live?site_id=clinic", &[("Authorization", &token)]);
    server::wait_for("questions to be answered", || {
        (http::exchange(server.web, &live).status == 200).then_some(())
    });
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get(ZONE).expect("a zone")).date();
    let until = |days: i64| {
        let day = |back: i64| today.checked_sub(back.days()).expect("a day").to_string();
        json!([day(days), day(1)])
    };
    let mut limits = (500..10_000).cycle();
    for (name, days, filter) in [
        ("30 days", 30, json!([])),
        ("the year", 365, json!([])),
        ("30 days, one country", 30, json!([["is", "visit:country", ["KZ"]]])),
        ("the year, one country", 365, json!([["is", "visit:country", ["KZ"]]])),
        ("the year, one page", 365, json!([["is", "event:page", ["/statya-3/"]]])),
    ] {
        let range = until(days);
        let mut took: Vec<f64> = (0..rounds)
            .map(|_| ask(&token, &server, &range, &filter, limits.next().expect("endless")))
            .collect();
        let first = took[0];
        took.sort_by(f64::total_cmp);
        println!(
            "{name:<28} first {first:>8.0} ms, median {:>8.0} ms, slowest {:>8.0} ms",
            took[took.len() / 2],
            took[took.len() - 1]
        );
    }
    assert_eq!(server.terminate().0, Some(0));
}

/// One dashboard; milliseconds.
fn ask(token: &str, server: &Server, range: &Value, filter: &Value, limit: u64) -> f64 {
    let question = |metrics: &[&str], dimension: Option<&str>| {
        json!({
            "site_id": "clinic", "metrics": metrics, "date_range": range, "filters": filter,
            "dimensions": dimension.map_or(vec![], |one| vec![one]), "pagination": { "limit": limit },
        })
    };
    let headline = ["visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration"];
    let mut questions = vec![question(&headline, None), question(&["visitors"], Some("time:day"))];
    questions.push(question(&["visitors", "pageviews"], Some("event:page")));
    for dimension in [
        "visit:entry_page",
        "visit:exit_page",
        "visit:source",
        "visit:channel",
        "visit:utm_campaign",
        "visit:country",
        "visit:region",
        "visit:city",
        "visit:device",
        "visit:browser",
        "visit:os",
    ] {
        questions.push(question(&["visitors"], Some(dimension)));
    }
    let body = json!({ "site_id": "clinic", "queries": questions }).to_string();
    let headers = [("Authorization", token), ("Content-Type", "application/json")];
    let begun = Instant::now();
    let reply =
        http::exchange(server.web, &http::request("POST", "/api/v2/queries", &headers, body.as_bytes()));
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    assert_eq!(reply.status, 200, "{}", reply.json());
    let answers = reply.json();
    for (question, answer) in questions.iter().zip(answers["answers"].as_array().expect("answers")) {
        assert!(answer["answer"]["results"].is_array(), "{question}: {answer}");
    }
    took
}

fn execute(server: &Server, sql: &str) {
    let storage = server.storage();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(storage.execute(sql, &[])).expect("executed");
}

fn number(server: &Server, sql: &str) -> u64 {
    server.rows(sql)[0][0].as_u64().expect("a number")
}

/// The hits of one month of the year's visits: a month is a partition.
fn insert(visits: u64, month: u32) -> String {
    let (cookies, cookieless) = (visits * 12 / 125, visits * 28 / 125);
    format!(
        "INSERT INTO metka.hits
SELECT 'clinic' AS site, fromUnixTimestamp64Milli(at + offs[h]) AS time,
 multiIf(h=1,'pageview', cityHash64(i,h,'e')%1000<73,'event','pageview') AS kind,
 if(cl, cityHash64(i,'v'), if(k=0 AND h=1, cityHash64(p,'d'), cityHash64(p,'c'))) AS visitor,
 if(cl OR (k=0 AND h=1),'cookieless','cookie') AS identity,
 if(cl, cityHash64(i,h,'m'), if(k=0 AND h=1, cityHash64(p,'c'), 0)) AS minted,
 if(NOT cl AND p%20=0, cityHash64(p,'u'),0) AS user_key, 0 AS before,
 'clinic.example' AS host, concat('/statya-', toString(pg[h]), '/') AS path, if(cityHash64(i,h,'q')%20=0, concat('a=',toString(cityHash64(i,h)%100)),'') AS query,
 concat('Статья ', toString(pg[h])) AS title,
 if(src>0 AND h=1, concat('site-',toString(src),'.example'),'') AS referrer_host, if(src>0 AND h=1, concat('/tema/',toString(src*7%900)),'') AS referrer_path,
 if(src>0 AND h=1, concat('Site ',toString(src)),'') AS source, if(src=0 OR h>1,'direct',arrayElement(['organic','referral','social','paid','email'],1+src%5)) AS channel,
 if(camp AND h=1, concat('utm-',toString(src%20)),'') AS utm_source, if(camp AND h=1,'cpc','') AS utm_medium, if(camp AND h=1,concat('autumn-',toString(src%40)),'') AS utm_campaign,
 if(camp AND h=1,concat('c',toString(src%10)),'') AS utm_content, if(camp AND h=1,concat('t',toString(src%10)),'') AS utm_term,
 MD5(toString(cityHash64(if(cl,i,p), day))) AS ip, 20261101 AS ip_key,
 arrayElement(['RU','RU','RU','RU','KZ','BY','DE','UZ','AM','GE'],1+ci%10) AS country, concat('R-',toString(ci%80)) AS region, concat('Город ',toString(ci)) AS city,
 8000+ci%300 AS asn, concat('Сеть ',toString(ci%300)) AS network,
 arrayElement(['Chrome','Yandex','Safari','Firefox','Edge','Opera','Samsung'],1+ua%7) AS browser, toString(60+ua%90) AS browser_version,
 arrayElement(['Windows','Android','iOS','Mac','Linux'],1+intDiv(ua,7)%5) AS os, toString(1+ua%20) AS os_version, arrayElement(['mobile','desktop','tablet'],1+ua%3) AS device,
 '' AS bot, arrayElement(['ru','ru','ru','en','kk'],1+ci%5) AS language, toString(320+80*(ua%20)) AS screen, '' AS ad,
 if(kind='event', arrayElement(['signup','call','download','outbound','form'],1+cityHash64(i,h)%5),'') AS name,
 if(kind='event', map('knopka',toString(cityHash64(i,h)%9)), map()) AS props,
 0 AS engaged_ms, 255 AS scroll, 'Europe/Moscow' AS timezone, 'granted' AS consent, '2026-03' AS policy,
 1200,1200,1200,1200,1200, false, false, intDiv(i,1500)+1 AS batch, toUInt32(i%1500*20+h) AS row
FROM (
 SELECT i, cl, p, k, day, at, n, arrayCumSum(arrayMap(x -> if(x=1, 0, 5000+toInt64(cityHash64(i,x,'o')%240000)), range(1,n+1))) AS offs,
  arrayMap(x -> toUInt32(floor(exp((cityHash64(i,x,'pg')%1000000)/1000000*log(3001)))), range(1,n+1)) AS pg, range(1,n+1) AS hs,
  if(cityHash64(i,'s')%10<4,0,toUInt32(floor(exp((cityHash64(i,'sr')%1000000)/1000000*log(601))))) AS src, cityHash64(i,'ca')%10=0 AND src>0 AS camp,
  toUInt32(floor(exp((cityHash64(if(cl,i,p),'ci')%1000000)/1000000*log(401)))) AS ci, toUInt32(floor(exp((cityHash64(if(cl,i,p),'ua')%1000000)/1000000*log(2001)))) AS ua
 FROM (
  SELECT number AS i, number < {cookieless} AS cl, if(cl, 0, (number-{cookieless}) % {cookies}) AS p, if(cl,0,intDiv(number-{cookieless},{cookies})) AS k,
   toUInt32(if(cl, cityHash64(number,'day')%365, if(k=0, cityHash64(p,'d0')%365, cityHash64(p,'d0')%365 + cityHash64(p,k,'dk')%(365-cityHash64(p,'d0')%365)))) AS day,
   toUnixTimestamp(toDate(now(), 'Europe/Moscow') - 366, 'Europe/Moscow') * 1000 + toInt64(day)*86400000 + if(k=0, 0, 43200000) + toInt64(cityHash64(number,'tm')%43200000)*9/10 AS at0, toInt64(at0) AS at,
   1 + least(30, toUInt32(floor(log(1 - (cityHash64(number,'n')%1000000)/1000000.0)/log(1-1/3.2)))) AS n
  FROM numbers({visits}) WHERE toMonth(fromUnixTimestamp64Milli(at))={month}
 )
) ARRAY JOIN hs AS h
SETTINGS max_partitions_per_insert_block = 100, min_insert_block_size_rows = 1000000"
    )
}

fn options() -> Options {
    let mut options = Options { hits: 2_000_000, rounds: 20, rollups: true };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument}: expected a value"));
        let number =
            |text: String| text.replace('_', "").parse().unwrap_or_else(|_| panic!("{text}: no number"));
        match argument.as_str() {
            "--hits" => options.hits = number(value()),
            "--rounds" => options.rounds = number(value()),
            "--rollups" => options.rollups = value() == "true",
            // cargo's own
            "--bench" => {}
            other => panic!("{other}: expected --hits N, --rounds N or --rollups BOOL"),
        }
    }
    options
}
