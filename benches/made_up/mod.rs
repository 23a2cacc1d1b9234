//! Made-up hits of a large site, for the benches that look for people among them.
//!
//! A visitor's hits are in visits of three pages over some days; one visitor in ten is
//! without a cookie and offered a new one with each hit, one in twenty has a user key, one hit
//! in seven is an event with properties; places, networks, browsers and pages are as of a
//! large site, and every column is filled as the collector fills it.

use crate::server::Server;

/// Rows of one insert.
const CHUNK: u64 = 1_000_000;

/// Has the engine make up the hits and merge them.
pub fn load(server: &Server, rows: u64, visitors: u64, days: u64) {
    let storage = server.storage();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // The server may still be making the table.
    server.rows("SELECT count() FROM metka.blocked");
    for from in (0..rows).step_by(CHUNK as usize) {
        let sql = insert(from, CHUNK.min(rows - from), visitors, days);
        runtime.block_on(storage.execute(&sql, &[])).expect("a chunk is made up");
    }
    runtime.block_on(storage.execute("OPTIMIZE TABLE metka.hits FINAL", &[])).expect("merged");
}

/// `n` numbers the hits, `v` their visitors, `s` the hits of one visitor.
fn insert(from: u64, rows: u64, visitors: u64, days: u64) -> String {
    format!(
        "INSERT INTO metka.hits SELECT 'clinic',
            toDateTime64(toStartOfDay(now('UTC')), 3, 'UTC') - toIntervalDay(1 + day)
                + toIntervalMillisecond(cityHash64(v, visit, 't') % 80000000 + (s % 3) * 40000 + n % 1000),
            multiIf(s % 7 = 6, 'event', s % 3 = 2, 'engagement', 'pageview'),
            h, if(v % 10 = 0, 'cookieless', 'cookie'),
            multiIf(v % 10 = 0, cityHash64(n, 'm'), s = 0, h, 0),
            if(v % 20 = 1, cityHash64(v, 'u'), 0), 0,
            'clinic.example', concat('/statya-', toString(page), '/'), '', concat('Статья ', toString(page)),
            if(s % 3 = 0, concat('site-', toString(h % 600), '.example'), ''), if(s % 3 = 0, concat('/tema/', toString(h % 900)), ''),
            if(s % 3 = 0, concat('site-', toString(h % 600), '.example'), ''), if(s % 3 = 0, 'referral', 'direct'),
            if(h % 11 = 0, 'yandex', ''), if(h % 11 = 0, 'cpc', ''), if(h % 11 = 0, concat('autumn-', toString(h % 40)), ''), '', '',
            MD5(concat(toString(v), '-', toString(day))), 20261101,
            'RU', concat('RU-', toString(h % 80)), concat('Город ', toString(h % 400)), 8000 + h % 500,
            concat('Сеть ', toString(h % 500)),
            ['Chrome', 'Yandex Browser', 'Safari', 'Firefox'][1 + h % 4], toString(60 + h % 90),
            ['Windows', 'Android', 'iOS', 'Linux'][1 + h % 4], toString(1 + h % 20),
            ['desktop', 'mobile', 'mobile', 'desktop'][1 + h % 4], '', 'ru', ['lg', 'sm', 'sm', 'xl'][1 + h % 4],
            '', if(s % 7 = 6, 'booked', ''),
            if(s % 7 = 6, map('doctor', concat('Врач ', toString(h % 50)), 'summa', toString(n % 60 * 500)), map()),
            if(s % 3 = 2, 1000 + cityHash64(n) % 120000, 0), if(s % 3 = 2, cityHash64(n, 's') % 101, 255), 'Europe/Moscow',
            if(h % 9 = 0, 'marketing', 'granted'), '2026-03', 730, 90, 365, 365, 365, false, false,
            intDiv(n, 5000) + 1, n % 5000
        FROM (
            SELECT number AS n, n % {visitors} AS v, intDiv(n, {visitors}) AS s, intDiv(s, 3) AS visit,
                greatest(cityHash64(v), 1) AS h, cityHash64(v, visit, 'd') % {days} AS day,
                toUInt32(3000 * pow((cityHash64(n, 'p') % 1000000) / 1000000, 3)) AS page
            FROM numbers({from}, {rows})
        )"
    )
}
