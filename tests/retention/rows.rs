//! Rows whose every personal value tells their number, so that a sum tells who is there.

use std::collections::BTreeMap;

use bytes::Bytes;
use metka::event::{ConsentState, IdentityKind, Kind};
use metka::store::Storage;
use metka::store::row::{COLUMNS, HitId, Row};

use crate::{DAY_MS, ask};

/// Terms in days.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub keep: u16,
    pub ip: u16,
    pub city: u16,
    pub user_key: u16,
    pub props: u16,
}

/// One row as the test knows it.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    pub site: &'static str,
    pub time: i64,
    pub terms: Terms,
    pub hold: bool,
    /// Its batch and its number there.
    pub id: (u64, u32),
    /// 0: it has no address.
    pub key: u32,
}

/// What a site has: rows, and for each kind of value how many rows have it and their
/// weighted sum.
pub type Sums = BTreeMap<String, Vec<u64>>;

// === impl Hit ===

impl Hit {
    /// Its visitor, and what else tells it from the others.
    pub fn number(&self) -> u64 {
        self.id.0 * 100_000 + u64::from(self.id.1) + 1
    }

    /// `yyyymm`.
    pub fn month(&self) -> u32 {
        let day =
            jiff::Timestamp::from_millisecond(self.time).expect("a moment").to_zoned(jiff::tz::TimeZone::UTC);
        u32::try_from(i32::from(day.year()) * 100 + i32::from(day.month())).expect("a month")
    }

    /// Whether a term of so many days has run out at `now`.
    fn is_over(&self, days: u16, now: i64) -> bool {
        !self.hold && now - self.time >= i64::from(days) * DAY_MS
    }

    pub fn is_gone(&self, now: i64) -> bool {
        self.is_over(self.terms.keep, now)
    }

    pub fn has_address(&self, now: i64) -> bool {
        self.key != 0 && !self.is_gone(now) && !self.is_over(self.terms.ip, now)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let number = self.number();
        let mut ip = [0; 16];
        if self.key != 0 {
            ip[..8].copy_from_slice(&number.to_le_bytes());
        }
        let (path, city) = (format!("/p/{number}"), format!("c{number}"));
        let props = [("n".into(), number.to_string().into())];
        let row = Row {
            site: self.site,
            time: self.time,
            kind: Kind::Pageview,
            visitor: number,
            identity: IdentityKind::Cookie,
            minted: 0,
            user_key: number,
            before: 0,
            host: "clinic.example",
            path: &path,
            query: "",
            title: "",
            referrer_host: "",
            referrer_path: "",
            source: "",
            channel: "",
            utm_source: "",
            utm_medium: "",
            utm_campaign: "",
            utm_content: "",
            utm_term: "",
            ip,
            ip_key: self.key,
            country: "RU",
            region: "",
            city: &city,
            asn: 0,
            network: "",
            browser: "",
            browser_version: "",
            os: "",
            os_version: "",
            device: "",
            bot: "",
            language: "",
            screen: "",
            ad: "",
            name: "",
            props: &props,
            engaged_ms: 0,
            scroll: 0,
            timezone: "",
            consent: ConsentState::Unstated,
            policy: "1",
            keep_days: self.terms.keep,
            ip_days: self.terms.ip,
            city_days: self.terms.city,
            user_key_days: self.terms.user_key,
            props_days: self.terms.props,
            hold: self.hold,
            demo: false,
        };
        row.encode(HitId { batch: self.id.0, row: self.id.1 }, out);
    }
}

/// Inserts rows as the collector does: one insert for each month.
pub async fn insert(storage: &Storage, hits: &[Hit]) {
    let mut months: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for hit in hits {
        hit.encode(months.entry(hit.month()).or_default());
    }
    for payload in months.into_values() {
        let token = blake3::hash(&payload).to_hex().to_string();
        storage.insert(COLUMNS, &token, Bytes::from(payload)).await.expect("inserted");
    }
}

/// What storage has.
pub async fn stored(storage: &Storage) -> Sums {
    let weighed = |value: &str| format!("countIf({value} != 0), sum({value} * (2 * number + 1))");
    let sql = format!(
        "SELECT site, count(), {}, {}, {}, {}, {} FROM (SELECT *, batch * 100000 + row + 1 AS number FROM {}.hits) \
         GROUP BY site",
        weighed("toUInt64OrZero(substring(path, 4))"),
        weighed("reinterpretAsUInt64(substring(ip, 1, 8))"),
        weighed("toUInt64OrZero(substring(city, 2))"),
        weighed("user_key"),
        weighed("toUInt64OrZero(props['n'])"),
        storage.database()
    );
    let rows = ask(storage, &sql).await;
    rows.iter()
        .map(|row| {
            let numbers = row[1..].iter().map(|number| number.as_u64().expect("a number")).collect();
            (row[0].as_str().expect("a site").to_owned(), numbers)
        })
        .collect()
}

/// What it should have at `now`, by the rules in words.
pub fn expected(hits: &[Hit], now: i64) -> Sums {
    let mut sums = Sums::new();
    for hit in hits.iter().filter(|hit| !hit.is_gone(now)) {
        let sum = sums.entry(hit.site.to_owned()).or_insert_with(|| vec![0; 11]);
        sum[0] += 1;
        let kept = [
            true,
            hit.has_address(now),
            !hit.is_over(hit.terms.city, now),
            !hit.is_over(hit.terms.user_key, now),
            !hit.is_over(hit.terms.props, now),
        ];
        for (index, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
            sum[1 + 2 * index] += 1;
            let weighed = hit.number().wrapping_mul(2 * hit.number() + 1);
            sum[2 + 2 * index] = sum[2 + 2 * index].wrapping_add(weighed);
        }
    }
    sums
}
