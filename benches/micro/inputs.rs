//! What the benches are given: one visitor of the clinic with a cookie, as a browser
//! sends them, and what the stages make of that.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, LazyLock, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::civil::Date;
use metka::config::{Config, Durability, Site};
use metka::count::Counters;
use metka::enrich::Enricher;
use metka::event::{Client, ConsentState, Hit, IdentityKind};
use metka::identify::crowd::Crowd;
use metka::identify::limit::{PerMinute, RateLimits};
use metka::parse::report::Report;
use metka::parse::{client, hit, json, query};
use metka::privacy::address::ClientIp;
use metka::privacy::keys::KeyRing;
use metka::search::Search;
use metka::spool::{self, Opened, Options, Seen, Tuning};
use metka::store::row::Row;

/// The pixel's query string.
pub const QUERY: &str = "s=clinic&u=https%3A%2F%2Fclinic.example%2Fuslugi%2Fpage-17%2F%3Futm_source%3Dnewsletter%26utm_medium%3Demail&r=https%3A%2F%2Fyandex.ru%2Fsearch%2F%3Ftext%3Dclinic&t=Page+17&w=1920";
/// One event.
pub const EVENT: &str = r#"{"s":"clinic","k":"event","n":"zapis","u":"https://clinic.example/uslugi/page-17/","r":"https://yandex.ru/search/?text=clinic","t":"Page 17","w":1920,"z":"Europe/Moscow","p":{"usluga":"uzi","step":"3"}}"#;
/// Fifty of them.
pub static ARRAY: LazyLock<String> = LazyLock::new(|| format!("[{}]", [EVENT; 50].join(",")));
pub const PAGE: &str = "https://clinic.example/uslugi/page-17/?utm_source=newsletter&utm_medium=email";
pub const REFERRER: &str = "https://yandex.ru/search/?text=clinic";
/// A title with nothing to hide, and one with a telephone number.
pub const TITLES: [&str; 2] =
    ["Запись на приём к врачу – клиника «Пример»", "Перезвоните мне: +7 916 123-45-67, Анна"];
pub const USER_AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
/// The peer is a proxy on this machine; the visitor is in the header.
pub const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const ADDRESS: &str = "203.0.113.77";
/// Of a database, not of documentation: an address that is somewhere.
pub const PLACED_ADDRESS: &str = "77.88.8.8";
/// 26 November 2026, in the units that the stages take.
pub const TODAY: Date = Date::constant(2026, 11, 26);
pub const DAY: i64 = 20_783;
pub const MONTH: u32 = 2026 * 12 + 11;
pub const NOW_MS: u64 = 1_795_651_200_000;
pub const COOKIE_ID: [u8; 16] = [7; 16];

const CONFIG: &str = r#"
# The helper thread would be measured with whatever runs beside it.
[enrich]
user_agent_cpu_percent = 0
[[site]]
id = "clinic"
hosts = ["clinic.example"]
"#;
/// More rows than all samples of one bench append fit into a segment of this size.
const SEGMENT_BYTES: u64 = 16 << 20;

static INPUTS: OnceLock<Inputs> = OnceLock::new();

/// What is made from the constants. What others borrow from stays for good.
pub struct Inputs {
    pub config: Config,
    pub site: Site,
    pub headers: &'static HeaderMap,
    pub client: Client<'static>,
    pub ip: ClientIp,
    pub placed_ip: ClientIp,
    pub cookie: String,
    pub report: &'static Report<'static>,
    pub hit: Hit<'static>,
    pub keys: KeyRing,
    pub enricher: Enricher,
    pub rates: RateLimits,
    pub crowd: Crowd,
    pub seen: Seen,
}

/// Makes the inputs, with files in `dir`.
pub fn prepare(dir: &Path) {
    let config = Config::parse(CONFIG, [], dir).expect("a valid configuration");
    let site = config.sites[0].clone();
    let keys = KeyRing::open(&config.keys).expect("the key ring opens");
    let cookie = keys.sign_cookie(COOKIE_ID, TODAY);
    let headers: &HeaderMap = Box::leak(Box::new(headers(&cookie)));
    let report = query::parse(QUERY, Box::leak(Box::default())).expect("a valid query");
    let report: &Report = Box::leak(Box::new(report));
    let seen = dir.join("seen");
    std::fs::create_dir(&seen).expect("a directory");
    // Once a minute is never met here: the cost is that of a hit which is admitted.
    let per_minute = PerMinute { address: u32::MAX, network: u32::MAX, site: 0 };
    let inputs = Inputs {
        client: client::client(PEER, headers, &config.collect),
        ip: ClientIp::parse(ADDRESS).expect("an address"),
        placed_ip: ClientIp::parse(PLACED_ADDRESS).expect("an address"),
        hit: hit::hit(report, None, &site).expect("a valid hit"),
        enricher: Enricher::open(&config, &Search::new(None, Path::new(env!("CARGO_MANIFEST_DIR"))))
            .expect("the enricher opens"),
        rates: RateLimits::new(per_minute),
        crowd: Crowd::default(),
        seen: Seen::open(&seen, NOW_MS).expect("an empty journal"),
        config,
        site,
        headers,
        cookie,
        report,
        keys,
    };
    assert!(INPUTS.set(inputs).is_ok(), "made once");
}

/// What [`prepare`] made.
pub fn inputs() -> &'static Inputs {
    INPUTS.get().expect("main prepares them first")
}

fn headers(cookie: &str) -> HeaderMap {
    let cookie = format!("metka={cookie}");
    [
        ("host", "stats.clinic.example"),
        ("user-agent", USER_AGENT),
        ("accept", "image/avif,image/webp,*/*"),
        ("accept-language", "ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7"),
        ("referer", "https://clinic.example/"),
        ("x-forwarded-for", ADDRESS),
        ("cookie", &cookie),
    ]
    .into_iter()
    .map(|(name, value)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header's characters"))
    })
    .collect()
}

/// The row of the visitor's hit.
pub fn row() -> Row<'static> {
    let Inputs { hit, .. } = inputs();
    Row {
        visitor: 0x0123_4567_89ab_cdef,
        identity: IdentityKind::Cookie,
        host: &hit.page.host,
        path: &hit.page.path,
        title: &hit.title,
        referrer_host: &hit.referrer.host,
        referrer_path: &hit.referrer.path,
        source: "newsletter",
        channel: "mail",
        utm_source: &hit.page.utm.source,
        utm_medium: &hit.page.utm.medium,
        ip: [9; 16],
        ip_key: 1,
        country: "RU",
        region: "Moscow",
        city: "Moscow",
        asn: 13238,
        network: "YANDEX LLC",
        browser: "Chrome",
        browser_version: "131",
        os: "Windows",
        os_version: "10",
        device: "desktop",
        language: "ru-ru",
        screen: "desktop",
        consent: ConsentState::Unstated,
        ..Row::blank("clinic", NOW_MS as i64)
    }
}

/// An empty spool in `dir`, and the counters of its hits' site.
pub fn spool(dir: &Path, durability: Durability) -> (Opened, Arc<metka::count::SiteCounters>) {
    let counters = Counters::new(["clinic"]);
    let options = Options {
        dir: dir.to_owned(),
        spools: 1,
        durability,
        seal_interval: std::time::Duration::from_secs(3600),
        batch_rows: 1_000_000,
        max_bytes: 64 << 30,
    };
    let tuning = Tuning { segment_bytes: Some(SEGMENT_BYTES), ..Tuning::default() };
    let opened = spool::open_with(options, tuning, counters.clone()).expect("the spool opens");
    (opened, counters.site("clinic"))
}

/// The array as the parser takes it.
pub fn array() -> &'static [u8] {
    assert_eq!(json::parse(ARRAY.as_bytes()).expect("valid").elements.len(), 50);
    ARRAY.as_bytes()
}
