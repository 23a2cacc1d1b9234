//! The row of `hits`, and its RowBinary encoding, which is also the payload of
//! a spool record: shipping re-encodes nothing.
//!
//! Invariant: the fields of [`Row`], the list [`COLUMNS`] and `schema/` have
//! the same columns in the same order; a test compares them with the engine's
//! own `system.columns`. The first column is the site, so that
//! [`site_of`] can tell whose row a payload is.
//!
//! Rows that an older version left in the spool are sent with the columns of that
//! version ([`columns`]); storage fills in the others.

use std::borrow::Cow;

use crate::event::{ConsentState, IdentityKind, Kind};

/// The columns in the order of the encoding, as in `INSERT INTO hits (…)`.
pub const COLUMNS: &[&str] = &[
    "site",
    "time",
    "kind",
    "visitor",
    "identity",
    "minted",
    "user_key",
    "before",
    "host",
    "path",
    "query",
    "title",
    "referrer_host",
    "referrer_path",
    "source",
    "channel",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "ip",
    "ip_key",
    "country",
    "region",
    "city",
    "asn",
    "network",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "device",
    "bot",
    "language",
    "screen",
    "ad",
    "name",
    "props",
    "engaged_ms",
    "scroll",
    "timezone",
    "consent",
    "policy",
    "keep_days",
    "ip_days",
    "city_days",
    "user_key_days",
    "props_days",
    "hold",
    "demo",
    "batch",
    "row",
];

/// The version of [`COLUMNS`]; raised when the list changes, so that rows which
/// wait in the spool over an upgrade are sent with their own columns.
pub const COLUMNS_VERSION: u16 = 2;
/// The first version whose rows have `before`.
const WITH_BEFORE: u16 = 2;

/// The end of every encoded row: keep_days, four more terms, hold, demo, batch, row (see
/// [`Row::encode`]).
const TAIL_BYTES: usize = 5 * 2 + 1 + 1 + 8 + 4;
/// Where `hold` stands in it.
const HOLD_AT: usize = 5 * 2;

/// `scroll` when it is not known.
pub const SCROLL_UNKNOWN: u8 = 255;

/// One stored hit, borrowing from the stages before it.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    pub site: &'a str,
    /// Milliseconds since 1970, UTC: the server's clock at arrival.
    pub time: i64,
    pub kind: Kind,
    pub visitor: u64,
    pub identity: IdentityKind,
    pub minted: u64,
    pub user_key: u64,
    /// What `visitor` was before midnight; 0 when that is of no use.
    pub before: u64,
    pub host: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub title: &'a str,
    pub referrer_host: &'a str,
    pub referrer_path: &'a str,
    /// The name of the source (`Yandex`, `Telegram`, a host), or empty for direct.
    pub source: &'a str,
    /// `direct search social mail messenger paid referral internal`
    pub channel: &'a str,
    pub utm_source: &'a str,
    pub utm_medium: &'a str,
    pub utm_campaign: &'a str,
    pub utm_content: &'a str,
    pub utm_term: &'a str,
    /// The protected address; zeros when not stored.
    pub ip: [u8; 16],
    /// The id of the key that protects it; 0 when not stored.
    pub ip_key: u32,
    /// ISO 3166-1 alpha-2, or empty.
    pub country: &'a str,
    pub region: &'a str,
    pub city: &'a str,
    pub asn: u32,
    pub network: &'a str,
    pub browser: &'a str,
    pub browser_version: &'a str,
    pub os: &'a str,
    pub os_version: &'a str,
    /// `desktop mobile tablet tv console other`, or empty.
    pub device: &'a str,
    /// Empty for what counts; else the name of its [`crate::mark::Mark`].
    pub bot: &'a str,
    pub language: &'a str,
    /// A class of screen widths, or empty.
    pub screen: &'a str,
    pub ad: &'a str,
    pub name: &'a str,
    pub props: &'a [(Cow<'a, str>, Cow<'a, str>)],
    pub engaged_ms: u32,
    pub scroll: u8,
    pub timezone: &'a str,
    pub consent: ConsentState,
    pub policy: &'a str,
    pub keep_days: u16,
    pub ip_days: u16,
    pub city_days: u16,
    pub user_key_days: u16,
    pub props_days: u16,
    /// Kept beyond its terms (a claim); set by the officer's jobs.
    pub hold: bool,
    /// Made up by the demo.
    pub demo: bool,
}

/// The identity that the spool gives a row: unique in the whole installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HitId {
    /// The batch: node, spool and number (see `spool`).
    pub batch: u64,
    /// The row's number within the batch.
    pub row: u32,
}

// === impl Row ===

impl Row<'_> {
    /// Appends the row as RowBinary.
    pub fn encode(&self, id: HitId, out: &mut Vec<u8>) {
        string(out, self.site);
        out.extend_from_slice(&self.time.to_le_bytes());
        out.push(self.kind as u8);
        out.extend_from_slice(&self.visitor.to_le_bytes());
        out.push(self.identity as u8);
        out.extend_from_slice(&self.minted.to_le_bytes());
        out.extend_from_slice(&self.user_key.to_le_bytes());
        out.extend_from_slice(&self.before.to_le_bytes());
        for text in [
            self.host,
            self.path,
            self.query,
            self.title,
            self.referrer_host,
            self.referrer_path,
            self.source,
            self.channel,
            self.utm_source,
            self.utm_medium,
            self.utm_campaign,
            self.utm_content,
            self.utm_term,
        ] {
            string(out, text);
        }
        out.extend_from_slice(&self.ip);
        out.extend_from_slice(&self.ip_key.to_le_bytes());
        for text in [self.country, self.region, self.city] {
            string(out, text);
        }
        out.extend_from_slice(&self.asn.to_le_bytes());
        for text in [
            self.network,
            self.browser,
            self.browser_version,
            self.os,
            self.os_version,
            self.device,
            self.bot,
            self.language,
            self.screen,
            self.ad,
            self.name,
        ] {
            string(out, text);
        }
        varint(out, self.props.len() as u64);
        for (key, value) in self.props {
            string(out, key);
            string(out, value);
        }
        out.extend_from_slice(&self.engaged_ms.to_le_bytes());
        out.push(self.scroll);
        string(out, self.timezone);
        out.push(self.consent as u8);
        string(out, self.policy);
        for days in [self.keep_days, self.ip_days, self.city_days, self.user_key_days, self.props_days] {
            out.extend_from_slice(&days.to_le_bytes());
        }
        out.push(u8::from(self.hold));
        out.push(u8::from(self.demo));
        out.extend_from_slice(&id.batch.to_le_bytes());
        out.extend_from_slice(&id.row.to_le_bytes());
    }
}

impl<'a> Row<'a> {
    /// A row with nothing in it but what every row has.
    pub fn blank(site: &'a str, time: i64) -> Row<'a> {
        Row {
            site,
            time,
            kind: Kind::Pageview,
            visitor: 0,
            identity: IdentityKind::Cookieless,
            minted: 0,
            user_key: 0,
            before: 0,
            host: "",
            path: "",
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
            ip: [0; 16],
            ip_key: 0,
            country: "",
            region: "",
            city: "",
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
            props: &[],
            engaged_ms: 0,
            scroll: SCROLL_UNKNOWN,
            timezone: "",
            consent: ConsentState::Unstated,
            policy: "",
            keep_days: 730,
            ip_days: 0,
            city_days: 0,
            user_key_days: 0,
            props_days: 0,
            hold: false,
            demo: false,
        }
    }
}

/// The columns of the rows that a version of the list describes; `None` for a
/// version that this program does not know.
pub fn columns(version: u16) -> Option<Vec<&'static str>> {
    let later: &[&str] = match version {
        COLUMNS_VERSION => &[],
        1 => &["before"],
        _ => return None,
    };
    Some(COLUMNS.iter().copied().filter(|column| !later.contains(column)).collect())
}

/// The site of an encoded row; `None` if the payload is not one.
pub fn site_of(payload: &[u8]) -> Option<&str> {
    // Site ids are at most 64 bytes, so their length is one byte.
    let (&length, rest) = payload.split_first()?;
    std::str::from_utf8(rest.get(..usize::from(length))?).ok()
}

/// Has an encoded row, of any version, kept past its terms, or not.
pub fn set_hold(payload: &mut [u8], hold: bool) {
    if let Some(at) = payload.len().checked_sub(TAIL_BYTES) {
        payload[at + HOLD_AT] = u8::from(hold);
    }
}

/// Whose an encoded row is, and for how long: what decides whether it may still
/// be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    pub site: &'a str,
    /// Milliseconds since 1970, UTC.
    pub time: i64,
    pub visitor: u64,
    pub minted: u64,
    pub user_key: u64,
    pub before: u64,
    pub keep_days: u16,
    pub hold: bool,
}

// === impl Head ===

impl<'a> Head<'a> {
    /// Reads the ends of a row encoded by a version; `None` if the payload is not one.
    pub fn of(payload: &'a [u8], columns_version: u16) -> Option<Head<'a>> {
        let site = site_of(payload)?;
        let head = payload.get(1 + site.len()..)?;
        let tail = payload.get(payload.len().checked_sub(TAIL_BYTES)?..)?;
        let u64_at = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        Some(Head {
            site,
            time: u64_at(0)?.cast_signed(),
            // The kind stands between time and visitor, the identity before minted.
            visitor: u64_at(9)?,
            minted: u64_at(18)?,
            user_key: u64_at(26)?,
            before: if columns_version >= WITH_BEFORE { u64_at(34)? } else { 0 },
            keep_days: u16::from_le_bytes([tail[0], tail[1]]),
            hold: tail[HOLD_AT] != 0,
        })
    }

    /// Whether the row's own term has run out.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        !self.hold && now_ms - self.time >= i64::from(self.keep_days) * 86_400_000
    }
}

/// Appends a text as RowBinary.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_row_is_read_from_both_its_ends_and_no_part_of_a_row_is_one() {
        let row = Row {
            visitor: 7,
            minted: 8,
            user_key: 9,
            before: 10,
            keep_days: 2,
            path: "/цены",
            ..Row::blank("clinic", 1000)
        };
        let mut payload = Vec::new();
        row.encode(HitId { batch: 1, row: 2 }, &mut payload);
        let head = Head::of(&payload, COLUMNS_VERSION).expect("a row");
        assert_eq!(
            head,
            Head {
                site: "clinic",
                time: 1000,
                visitor: 7,
                minted: 8,
                user_key: 9,
                before: 10,
                keep_days: 2,
                hold: false
            }
        );
        let day = 86_400_000;
        assert_eq!([head.is_expired(1000 + 2 * day - 1), head.is_expired(1000 + 2 * day)], [false, true]);
        let held = Head { hold: true, ..head };
        assert!(!held.is_expired(1000 + 3 * day));
        let mut changed = payload.clone();
        set_hold(&mut changed, true);
        assert_eq!(Head::of(&changed, COLUMNS_VERSION), Some(held));
        let mut encoded = Vec::new();
        Row { hold: true, ..row }.encode(HitId { batch: 1, row: 2 }, &mut encoded);
        assert_eq!(changed, encoded, "nothing else has changed");
        for length in 0..40 {
            assert_eq!(Head::of(&payload[..length], COLUMNS_VERSION), None, "{length} bytes");
        }
        // The first version's rows are the same without `before`.
        let at = 1 + "clinic".len() + 34;
        let earlier = [&payload[..at], &payload[at + 8..]].concat();
        assert_eq!(Head::of(&earlier, 1), Some(Head { before: 0, ..head }));
    }

    #[test]
    fn every_version_of_the_columns_is_known_and_no_later_one() {
        let columns = |version| columns(version).map(|columns| columns.len());
        assert_eq!([1, 2].map(columns), [Some(COLUMNS.len() - 1), Some(COLUMNS.len())]);
        assert_eq!([0, COLUMNS_VERSION + 1].map(columns), [None, None]);
    }
}
