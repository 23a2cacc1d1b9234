//! Configuration: every setting, typed, with its default and the reason for it.
//!
//! In: the text of `metka.toml` and the environment, both passed in. Each key
//! is also an environment variable, `METKA_SECTION__KEY` (`METKA_DATA_DIR`,
//! `METKA_COLLECT__LISTEN`, `METKA_SITE__0__ID`), which wins over the file.
//! Lists are written as in TOML (`["a", "b"]`). `METKA_LOG` and other variables
//! without a section are none of ours. The master key of the key ring is no key
//! of the file: see [`MasterKeySource`].
//! Out: a [`Config`], or **all** mistakes at once, each naming its key and value.
//!
//! Invariants: nothing is read lazily later, no key is ignored (an unknown one
//! is a mistake), paths are absolute. It opens no files but the one named.

mod chosen;
mod fraud;
mod master;
mod path_rules;
mod preset;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub use chosen::SiteError;
pub use fraud::Fraud;
pub use master::{Hidden, MASTER_KEY_VARIABLE, MasterKeySource};
pub use path_rules::{MAX_PATH_RULES, MAX_RULE_PATH_BYTES, PathRules};
use preset::Defaults;
use read::Section;

use crate::enrich::junk::MAX_ADDED;
use crate::identify::consent::GPC_PATH;
use crate::rights::terms::Terms;

/// The most sites one collector serves: site ids are metric labels and are
/// matched on the hit path, so their number is bounded.
pub const MAX_SITES: usize = 256;
/// The longest site id, in bytes.
pub const MAX_SITE_ID_BYTES: usize = 64;
/// The prefix of the environment variables that set keys.
pub const ENVIRONMENT_PREFIX: &str = "METKA_";

/// The whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Everything the server writes is below this directory. Absolute.
    pub data_dir: PathBuf,
    /// The day (UTC) on which the file was last written, or without a file the day
    /// of reading; `None`: the text came from elsewhere.
    pub written: Option<Date>,
    pub collect: Collect,
    pub web: Web,
    pub storage: Storage,
    pub ship: Ship,
    pub engine: Engine,
    pub geo: Geo,
    pub enrich: Enrich,
    pub fraud: Fraud,
    pub keys: Keys,
    pub backup: Backup,
    pub operator: Operator,
    pub rights: Rights,
    /// None where no mail server is configured.
    pub mail: Option<Mail>,
    pub sites: Vec<Site>,
}

/// `[collect]`: the address that takes hits.
#[derive(Clone, Debug, PartialEq)]
pub struct Collect {
    pub listen: SocketAddr,
    /// The address that browsers see. `https` makes the cookie `Secure` and
    /// names it `__Host-metka`.
    pub public_url: String,
    pub client_address: ClientAddress,
    /// Networks whose forwarding header is believed, in CIDR form.
    pub trusted_proxies: Vec<Network>,
    /// Hits per minute from one IPv4 address or IPv6 /64; 0 is off.
    pub rate_limit_per_minute: u32,
    /// Hits per minute from one IPv4 /24 or IPv6 /48; 0 is off.
    pub rate_limit_network_per_minute: u32,
    /// Hits per minute for one site, from all addresses together; 0 is off.
    pub rate_limit_site_per_minute: u32,
    /// New visitors that one address may add to a site's numbers in a day; 0 is off.
    pub max_new_visitors_per_address_per_day: u32,
    pub pixel_path: String,
    pub script_path: String,
    /// The script that reports errors of the pages' other scripts.
    pub errors_path: String,
    pub event_path: String,
    pub durability: Durability,
    /// Threads of the hit path; 0 is one per core.
    pub threads: usize,
    /// How long a drain waits for open requests.
    pub drain: Duration,
    /// Without it the address speaks plain HTTP, and a proxy ends TLS.
    pub tls: Option<TlsFiles>,
}

/// Where an address that ends TLS itself has its certificate from: two PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and after it those of its issuers.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Where the client's address comes from; exactly one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    XForwardedFor,
    Forwarded,
    ProxyProtocol,
    Peer,
}

/// What an answer of success waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `fdatasync` of the hit's group has returned.
    Fsync,
    /// The hit's group has been given to the kernel: survives a crash of the
    /// process, not of the machine.
    Write,
}

/// An address prefix: `10.0.0.0/8`, `2001:db8::/32`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// IPv4 networks are held as `::ffff:a.b.c.d`, so that both families compare alike.
    base: u128,
    mask: u128,
}

/// `[web]`: dashboard, API, metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Web {
    pub listen: SocketAddr,
    /// The address that people see: https makes the session cookie `Secure`.
    pub public_url: String,
    /// As [`Collect::tls`].
    pub tls: Option<TlsFiles>,
}

/// `[storage]`: an outside ClickHouse. With an empty `url` the embedded engine is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    pub url: String,
    pub user: String,
    pub password_file: Option<PathBuf>,
    pub database: String,
    /// Whether this process keeps rollups: one of those that share a storage may.
    pub rollups: bool,
}

/// `[ship]`: from the spool to storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Ship {
    /// A batch is sealed at the latest so long after its first hit.
    pub interval: Duration,
    /// A batch is sealed at the latest with so many hits.
    pub batch_rows: u32,
    /// The spool refuses hits beyond this size.
    pub spool_max_bytes: u64,
}

/// `[engine]`: the embedded ClickHouse.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// `libchdb.so`; when not set it is searched beside the binary in
    /// `../lib/metka`, then in the repository's `node_modules`.
    pub library: Option<PathBuf>,
    /// What all of the engine's queries together may use.
    pub max_memory_bytes: u64,
}

/// `[geo]`: MaxMind-format databases.
#[derive(Clone, Debug, PartialEq)]
pub struct Geo {
    /// Searched like `engine.library` when empty. The first file that knows an
    /// address answers; a network (ASN) database adds to it.
    pub files: Vec<PathBuf>,
}

/// `[enrich]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Enrich {
    /// uap-core's `regexes.yaml`; searched like `engine.library` when not set.
    pub user_agent_rules: Option<PathBuf>,
    /// How much of one core the full classification of unknown user agents may
    /// use, in percent; beyond it the quick class stays.
    pub user_agent_cpu_percent: u32,
    /// Hosts of false referrers, beyond the built-in list.
    pub referrer_spam: Vec<String>,
    /// Whether hits of a browser that poses as another version of itself are marked.
    pub mark_contradictions: bool,
    /// Whether hits from networks of rented servers are marked.
    pub mark_datacentres: bool,
    /// Numbers of such networks, beyond the built-in list.
    pub datacentre_networks: Vec<u32>,
}

/// `[keys]`
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    /// The key ring; shared by the collectors that work for one site.
    pub dir: PathBuf,
    /// Where the key comes from that wraps all keys in it.
    pub master: MasterKeySource,
}

/// `[backup]`
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    /// Where backups are written, and where tombstones are kept for them.
    pub dir: PathBuf,
    /// A backup older than this is destroyed.
    pub max_age_days: u32,
}

/// `[operator]`: whose data it is by law, for acts and notices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operator {
    pub name: String,
    pub address: String,
    /// Who processes on the operator's behalf; empty when nobody does.
    pub processor: String,
    pub processor_address: String,
    /// Name and post of whoever signs acts.
    pub official: String,
}

/// `[rights]`: requests of the people whose data this is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rights {
    /// The working days of Russia; the built-in ones when not set. Not read here.
    pub calendar_file: Option<PathBuf>,
    pub terms: Terms,
    /// Whether an erasure that a visitor asks for on their own page waits for nobody.
    pub erase_at_once: bool,
}

/// `[mail]`: the server that reports are given to.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    pub security: MailSecurity,
    pub host: String,
    pub port: u16,
    /// Who signs in there; empty where nobody does.
    pub user: String,
    pub password_file: Option<PathBuf>,
    /// Whom mails come from, such as `Metka <metka@clinic.example>`.
    pub from: String,
}

/// How the way to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// `smtp`: not at all; a server on this machine.
    Plain,
    /// `smtp+starttls`: from the first words on, or nothing is sent.
    StartTls,
    /// `smtps`
    Tls,
}

/// One `[[site]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    pub id: String,
    /// Exact host names, or `*.example.org` for all below it. Ports are ignored.
    pub hosts: Vec<String>,
    /// An IANA time zone: the site's days begin at its midnight.
    pub timezone: String,
    pub consent: Consent,
    pub preset: Option<Preset>,
    /// What is collected beyond clause 3.3 of the policy.
    pub fields: Fields,
    pub policy_version: String,
    pub policy_url: String,
    pub contact: String,
    /// The file with the secret that signs user keys.
    pub user_key_secret_file: Option<PathBuf>,
    /// The smallest group of visitors that a viewer is shown.
    pub min_group: u32,
    /// How addresses are stored.
    pub ip: IpStorage,
    /// What Sec-GPC and DNT do.
    pub signals: Signals,
    /// Query parameters of page addresses that are kept, apart from `utm_*`.
    pub query_parameters: Vec<String>,
    /// How paths are grouped that would tell too much about who reads them.
    pub path_rules: PathRules,
    pub retention: Retention,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Using the site is consent (policy clause 2.1).
    Implied,
    /// A cookieless count only, until the page says otherwise.
    OptIn,
    /// Never a cookie.
    Cookieless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Ru152Fz,
    Gdpr,
    Cnil,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpStorage {
    /// Encrypted with the month's key.
    Encrypted,
    /// Cut to /24 or /48, then encrypted.
    Truncated,
    /// Not stored.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signals {
    Ignore,
    /// Counted without a cookie.
    NoId,
    /// Refused.
    Drop,
}

/// The optional fields of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Fields {
    pub title: bool,
    pub width: bool,
    pub scroll: bool,
    pub engaged: bool,
    pub outbound: bool,
    pub downloads: bool,
    pub props: bool,
    pub timezone: bool,
    /// Errors of the pages' scripts.
    pub errors: bool,
}

/// How long each kind of data is kept, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub raw_days: u16,
    pub ip_days: u16,
    pub city_days: u16,
    pub user_key_days: u16,
    pub props_days: u16,
    pub audit_days: u16,
}

/// All that is wrong with a configuration, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{} in the configuration:\n{}", match .0.len() { 1 => "1 mistake".to_owned(), n => format!("{n} mistakes") }, .0.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<String>);

// === impl Config ===

impl Config {
    /// Reads `file`, or the defaults when it is not given, under `environment`.
    pub fn load(
        file: Option<&Path>,
        data_dir: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        working_dir: &Path,
    ) -> Result<Config, ConfigError> {
        let text = match file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| ConfigError(vec![format!("{}: {error}", path.display())]))?,
            None => String::new(),
        };
        let mut config = Config::parse(&text, environment, working_dir)?;
        let written = file.and_then(|path| path.metadata().ok()?.modified().ok());
        let written = written.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_else(Timestamp::now);
        config.written = Some(written.to_zoned(TimeZone::UTC).date());
        if let Some(dir) = data_dir {
            let before = std::mem::replace(&mut config.data_dir, working_dir.join(dir));
            for (followed, name) in [(&mut config.keys.dir, "keys"), (&mut config.backup.dir, "backups")] {
                if *followed == before.join(name) {
                    *followed = config.data_dir.join(name);
                }
            }
            if let MasterKeySource::Beside(_) = config.keys.master {
                config.keys.master = MasterKeySource::beside(&config.keys.dir);
            }
        }
        Ok(config)
    }

    /// Reads the text of a configuration. Relative paths are below `working_dir`.
    pub fn parse(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        working_dir: &Path,
    ) -> Result<Config, ConfigError> {
        Config::parse_with_keys(text, environment, working_dir).map(|(config, _)| config)
    }

    /// Also returns the names of all keys that were looked for.
    fn parse_with_keys(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        working_dir: &Path,
    ) -> Result<(Config, BTreeSet<String>), ConfigError> {
        let mut table: toml::Table = toml::from_str(text)
            .map_err(|error| ConfigError(vec![error.to_string().trim_end().to_owned()]))?;
        let mut mistakes = Vec::new();
        let mut environment: Vec<(String, String)> = environment.into_iter().collect();
        let surroundings = master::Surroundings::take(&mut environment);
        read::apply_environment(&mut table, environment, &mut mistakes);
        let mut root = Section::root(table, working_dir);

        let data_dir = root.path("data_dir", Some("./data")).unwrap_or_default();
        let mut section = root.section("collect");
        let listen = section.address("listen", "127.0.0.1:8080");
        let tls = section.tls_files();
        let collect = Collect {
            listen,
            public_url: section.public_url(listen, tls.as_ref()),
            client_address: section.choice(
                "client_address",
                ClientAddress::XForwardedFor,
                &[
                    ("x-forwarded-for", ClientAddress::XForwardedFor),
                    ("forwarded", ClientAddress::Forwarded),
                    ("proxy-protocol", ClientAddress::ProxyProtocol),
                    ("peer", ClientAddress::Peer),
                ],
            ),
            trusted_proxies: section.networks("trusted_proxies", &["127.0.0.1/32"]),
            rate_limit_per_minute: section.number("rate_limit_per_minute", 600, 0..=1_000_000_000) as u32,
            rate_limit_network_per_minute: section.number(
                "rate_limit_network_per_minute",
                6000,
                0..=1_000_000_000,
            ) as u32,
            rate_limit_site_per_minute: section.number("rate_limit_site_per_minute", 0, 0..=1_000_000_000)
                as u32,
            // Each counted visitor of the day is remembered, so that a limit beyond
            // what an address can honestly hold would only cost memory.
            max_new_visitors_per_address_per_day: section.number(
                "max_new_visitors_per_address_per_day",
                50,
                0..=10_000,
            ) as u32,
            pixel_path: section.url_path("pixel_path", "/pixel.gif"),
            script_path: section.url_path("script_path", "/pixel.js"),
            errors_path: section.url_path("errors_path", "/errors.js"),
            event_path: section.url_path("event_path", "/event"),
            durability: section.choice(
                "durability",
                Durability::Fsync,
                &[("fsync", Durability::Fsync), ("write", Durability::Write)],
            ),
            threads: section.number("threads", 0, 0..=64) as usize,
            drain: section.duration("drain", "10s"),
            tls,
        };
        section.finish(&mut mistakes);
        let paths = [&collect.pixel_path, &collect.script_path, &collect.errors_path, &collect.event_path];
        for (index, path) in paths.iter().enumerate() {
            let own = ["/health", GPC_PATH].contains(&path.as_str()) || path.starts_with("/privacy");
            if own || paths[..index].contains(path) {
                mistakes.push(format!("collect: the path {path:?} is used twice"));
            }
        }

        let mut section = root.section("web");
        let listen = section.address("listen", "127.0.0.1:8090");
        let tls = section.tls_files();
        let web = Web { listen, public_url: section.public_url(listen, tls.as_ref()), tls };
        section.finish(&mut mistakes);
        let mut section = root.section("storage");
        let url = section.optional_http_url("url");
        // A storage of one's own has nobody else who could keep them.
        let embedded = url.is_empty();
        let storage = Storage {
            url,
            user: section.string("user", "default"),
            password_file: section.path("password_file", None),
            database: section.identifier("database", "metka"),
            rollups: section.flag("rollups", embedded),
        };
        section.finish(&mut mistakes);

        let mut section = root.section("ship");
        let ship = Ship {
            interval: section.duration("interval", "2s"),
            batch_rows: section.number("batch_rows", 100_000, 1..=1_000_000) as u32,
            spool_max_bytes: section.number("spool_max_bytes", 32 << 30, (64 << 20)..=(1 << 50)),
        };
        section.finish(&mut mistakes);

        let mut section = root.section("engine");
        let engine = Engine {
            library: section.path("library", None),
            max_memory_bytes: section.number("max_memory_bytes", 4 << 30, (256 << 20)..=(1 << 50)),
        };
        section.finish(&mut mistakes);

        let mut section = root.section("geo");
        let geo = Geo { files: section.paths("files") };
        section.finish(&mut mistakes);

        let mut section = root.section("enrich");
        let enrich = Enrich {
            user_agent_rules: section.path("user_agent_rules", None),
            user_agent_cpu_percent: section.number("user_agent_cpu_percent", 10, 0..=100) as u32,
            referrer_spam: section.host_names("referrer_spam", MAX_ADDED),
            mark_contradictions: section.choice("contradictions", false, &[("count", false), ("mark", true)]),
            mark_datacentres: section.choice("datacentres", false, &[("count", false), ("mark", true)]),
            datacentre_networks: section.numbers("datacentre_networks", 1..=u64::from(u32::MAX), MAX_ADDED),
        };
        section.finish(&mut mistakes);

        let mut section = root.section("fraud");
        let fraud = Fraud::read(&mut section, &mut mistakes);
        section.finish(&mut mistakes);

        let mut section = root.section("keys");
        let dir = section.path("dir", None).unwrap_or_else(|| data_dir.join("keys"));
        let master = surroundings.source(section.path("master_key_file", None), &dir, &mut mistakes);
        let keys = Keys { dir, master };
        section.finish(&mut mistakes);

        let mut section = root.section("backup");
        let backup = Backup {
            dir: section.path("dir", None).unwrap_or_else(|| data_dir.join("backups")),
            max_age_days: section.number("max_age", 30, 1..=3650) as u32,
        };
        section.finish(&mut mistakes);

        let mut section = root.section("operator");
        let operator = Operator {
            name: section.line("name"),
            address: section.line("address"),
            processor: section.line("processor"),
            processor_address: section.line("processor_address"),
            official: section.line("official"),
        };
        section.finish(&mut mistakes);

        let mut section = root.section("rights");
        let calendar_file = section.path("calendar_file", None);
        // Destruction cannot be undone: by default somebody looks at what is asked first.
        let erase_at_once = section.flag("erase_at_once", false);
        let mut below = section.section("terms");
        let rights = Rights { calendar_file, terms: below.terms(), erase_at_once };
        below.finish(&mut mistakes);
        section.finish(&mut mistakes);

        let mut section = root.section("mail");
        let mail = section.mail();
        section.finish(&mut mistakes);

        let mut sites = Vec::new();
        for section in root.sections("site") {
            sites.push(Site::read(section, &mut mistakes));
        }
        if sites.len() > MAX_SITES {
            mistakes.push(format!("site: {} sites, at most {MAX_SITES} are allowed", sites.len()));
        }
        let mut seen = BTreeMap::new();
        for (index, site) in sites.iter().enumerate() {
            if let Some(first) = seen.insert(site.id.clone(), index) {
                mistakes.push(format!("site[{index}].id: {:?} is already site[{first}]", site.id));
            }
        }
        let keys_asked = root.asked();
        root.finish(&mut mistakes);
        if mistakes.is_empty() {
            let config = Config {
                data_dir,
                written: None,
                collect,
                web,
                storage,
                ship,
                engine,
                geo,
                enrich,
                fraud,
                keys,
                backup,
                operator,
                rights,
                mail,
                sites,
            };
            Ok((config, keys_asked))
        } else {
            Err(ConfigError(mistakes))
        }
    }

    /// The site with this id.
    pub fn site(&self, id: &str) -> Option<&Site> {
        self.sites.iter().find(|site| site.id == id)
    }
}

// === impl Keys ===

impl Keys {
    /// A ring with its master key beside it.
    pub fn in_dir(dir: &Path) -> Keys {
        Keys { dir: dir.to_owned(), master: MasterKeySource::beside(dir) }
    }
}

// === impl Site ===

impl Site {
    fn read(mut section: Section, mistakes: &mut Vec<String>) -> Site {
        let preset = section.optional_choice(
            "preset",
            &[("ru-152fz", Preset::Ru152Fz), ("gdpr", Preset::Gdpr), ("cnil", Preset::Cnil)],
        );
        let defaults = Defaults::of(preset);
        let site = Site {
            id: section.site_id("id"),
            hosts: section.hosts("hosts"),
            timezone: section.timezone("timezone", "Europe/Moscow"),
            consent: section.choice(
                "consent",
                defaults.consent,
                &[
                    ("implied", Consent::Implied),
                    ("opt-in", Consent::OptIn),
                    ("cookieless", Consent::Cookieless),
                ],
            ),
            preset,
            fields: section.fields("fields", defaults.fields),
            policy_version: section.string("policy_version", ""),
            policy_url: section.string("policy_url", ""),
            contact: section.string("contact", ""),
            user_key_secret_file: section.path("user_key_secret_file", None),
            min_group: section.number("min_group", 10, 0..=1_000_000) as u32,
            ip: section.choice(
                "ip",
                defaults.ip,
                &[
                    ("encrypted", IpStorage::Encrypted),
                    ("truncated", IpStorage::Truncated),
                    ("none", IpStorage::None),
                ],
            ),
            signals: section.choice(
                "signals",
                defaults.signals,
                &[("ignore", Signals::Ignore), ("no-id", Signals::NoId), ("drop", Signals::Drop)],
            ),
            query_parameters: section.strings("query_parameters"),
            path_rules: section.path_rules("path_rules"),
            retention: Retention::read(&mut section, defaults.raw_days, mistakes),
        };
        preset::check(&site, &section);
        section.finish(mistakes);
        site
    }

    /// A site with defaults, for the demo and for tests.
    pub fn with_defaults(id: &str, hosts: &[&str]) -> Site {
        let mut table = toml::Table::new();
        table.insert("id".to_owned(), id.into());
        table.insert("hosts".to_owned(), hosts.to_vec().into());
        let mut mistakes = Vec::new();
        let site = Site::read(Section::named("site", table), &mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        site
    }

    /// Whether a page on `host` (lower case, without port) belongs to the site.
    pub fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => {
                host.strip_suffix(parent).is_some_and(|below| below.len() > 1 && below.ends_with('.'))
            }
            None => pattern == host,
        })
    }
}

// === impl Retention ===

impl Retention {
    fn read(section: &mut Section, raw_days: u16, mistakes: &mut Vec<String>) -> Retention {
        // What points at a person goes sooner than the row.
        let mut section = section.section("retention");
        let mut days = |key, default| section.number(key, default, 1..=u64::from(Retention::MAX_DAYS)) as u16;
        let retention = Retention {
            raw_days: days("raw_days", raw_days.into()),
            ip_days: days("ip_days", 90),
            city_days: days("city_days", 365),
            user_key_days: days("user_key_days", 365),
            props_days: days("props_days", 365),
            audit_days: days("audit_days", 1095),
        };
        section.finish(mistakes);
        retention
    }

    /// Ten years: no purpose of the policy needs more.
    pub const MAX_DAYS: u16 = 3650;
}

// === impl Fields ===

impl Fields {
    pub const NONE: Fields = Fields {
        title: false,
        width: false,
        scroll: false,
        engaged: false,
        outbound: false,
        downloads: false,
        props: false,
        timezone: false,
        errors: false,
    };
    /// What marketers' numbers are made of. Errors are not, so a site has to ask for them.
    pub const USUAL: Fields = Fields { errors: false, ..Fields::ALL };
    pub const ALL: Fields = Fields {
        title: true,
        width: true,
        scroll: true,
        engaged: true,
        outbound: true,
        downloads: true,
        props: true,
        timezone: true,
        errors: true,
    };
    /// The names in the configuration, in the order of the contract.
    pub const NAMES: [&'static str; 9] =
        ["title", "width", "scroll", "engaged", "outbound", "downloads", "props", "timezone", "errors"];

    /// The flag behind a name of [`Fields::NAMES`].
    pub fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "title" => &mut self.title,
            "width" => &mut self.width,
            "scroll" => &mut self.scroll,
            "engaged" => &mut self.engaged,
            "outbound" => &mut self.outbound,
            "downloads" => &mut self.downloads,
            "props" => &mut self.props,
            "timezone" => &mut self.timezone,
            "errors" => &mut self.errors,
            _ => return None,
        })
    }
}

// === impl Network ===

impl Network {
    /// Reads `ADDRESS/BITS` or `ADDRESS`.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: std::net::IpAddr = address.parse().ok()?;
        let (width, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return None;
        }
        let mask = match 128 - (bits + offset) {
            128 => 0,
            shift => u128::MAX << shift,
        };
        let base = mapped(address);
        (base & !mask == 0).then_some(Network { base, mask })
    }

    /// Whether `address` is in the network; `::ffff:a.b.c.d` counts as IPv4.
    pub fn contains(&self, address: std::net::IpAddr) -> bool {
        mapped(address) & self.mask == self.base
    }
}

fn mapped(address: std::net::IpAddr) -> u128 {
    match address {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        std::net::IpAddr::V6(v6) => v6.to_bits(),
    }
}
