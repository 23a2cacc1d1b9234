//! `metka check`

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome};
use super::keys::days_since;
use super::storage;
use crate::config::{Config, Mail, MasterKeySource, TlsFiles};
use crate::engine::library;
use crate::enrich::Enricher;
use crate::privacy::keys::{KeyInfo, KeyRing, look};
use crate::privacy::memory::{self, Openness};
use crate::report::post;
use crate::rights::desk::Desk;
use crate::search::Search;
use crate::settings::Store;
use crate::store::migrate;
use crate::tls::Certificate;
use crate::tls::validity::Validity;

#[derive(clap::Args)]
pub struct CheckArgs {}

/// Whoever renews by themselves has done it by then: ACME clients begin thirty days before.
const RENEW_BEFORE: jiff::SignedDuration = jiff::SignedDuration::from_hours(14 * 24);

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    result: Result<Found, String>,
}

/// What was found right.
enum Found {
    Good(String),
    /// It works, with less.
    Lacking(String),
}

/// What storage is called among the findings: its faults are of the moment, the
/// others' are of the configuration.
const STORAGE: &str = "storage";

pub fn run(_: &CheckArgs, context: &Context) -> Outcome {
    // Mistakes in the configuration itself end here, all named, with exit code 2.
    let config = context.config()?;
    let mut findings = vec![
        Finding { what: "sites", result: sites(&config) },
        Finding { what: "data directory", result: data_dir(&config) },
        Finding { what: "people", result: people(context) },
        Finding { what: "requests", result: requests(&config) },
        Finding { what: "memory", result: memory() },
    ];
    for (what, files, url) in [
        ("collect TLS", &config.collect.tls, &config.collect.public_url),
        ("web TLS", &config.web.tls, &config.web.public_url),
    ] {
        let checked = files.as_ref().map(|files| certificate(files, url, jiff::Timestamp::now()));
        findings.extend(checked.map(|result| Finding { what, result }));
    }
    findings.extend(config.mail.iter().map(|mail| Finding { what: "mail", result: mail_way(mail) }));
    findings.extend(keys(&config).into_iter().map(|result| Finding { what: "keys", result }));
    findings.extend(enrichment(&config).into_iter().map(|result| Finding { what: "enrichment", result }));
    findings
        .push(Finding { what: STORAGE, result: context.block_on(async { Ok(in_storage(&config).await) })? });
    report(context, &findings)
}

fn report(context: &Context, findings: &[Finding]) -> Outcome {
    let described: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let (state, text) = finding.described();
            json!({ "what": finding.what, "state": state, "text": text })
        })
        .collect();
    let lines = findings.iter().map(|finding| {
        let (state, text) = finding.described();
        format!("{state:<7}  {}: {text}", finding.what)
    });
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| finding.result.is_err()).collect();
    context.print(&json!({ "ok": wrong.is_empty(), "findings": described }), lines)?;
    let text = match wrong.len() {
        0 => return Ok(()),
        1 => "1 thing is wrong".to_owned(),
        more => format!("{more} things are wrong"),
    };
    if wrong.iter().all(|finding| finding.what == STORAGE) {
        Err(Failure::failed(text))
    } else {
        Err(Failure::usage(text))
    }
}

fn sites(config: &Config) -> Result<Found, String> {
    let unreadable = config.sites.iter().filter_map(|site| {
        let path = site.user_key_secret_file.as_deref()?;
        readable(path).err().map(|error| format!("{}.user_key_secret_file: {error}", site.id))
    });
    let store = Store::new(&config.data_dir);
    let damaged =
        config.sites.iter().filter_map(|site| store.read(&site.id).err().map(|error| error.to_string()));
    let unreadable: Vec<String> = unreadable.chain(damaged).collect();
    if !unreadable.is_empty() {
        return Err(unreadable.join("; "));
    }
    match config.sites.len() {
        0 => Ok(Found::Lacking("none is configured, only serve --demo would start".to_owned())),
        1 => Ok(Found::Good("1 is configured".to_owned())),
        more => Ok(Found::Good(format!("{more} are configured"))),
    }
}

fn data_dir(config: &Config) -> Result<Found, String> {
    let path = &config.data_dir;
    let named = |text: &str| format!("{} {text}", path.display());
    if !path.exists() {
        return Ok(Found::Good(named("is made at the first start")));
    }
    match rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) if path.is_dir() => Ok(Found::Good(named("can be written"))),
        Ok(()) => Err(named("is not a directory")),
        Err(error) => Err(named(&format!("cannot be written: {error}"))),
    }
}

fn people(context: &Context) -> Result<Found, String> {
    let people = context.people().map_err(|failure| failure.to_string())?;
    let roster = people.read().map_err(|error| error.to_string())?;
    Ok(Found::Good(format!("{} people, {} tokens", roster.people.len(), roster.tokens.len())))
}

/// The password and the roots can be read; the server itself is not asked.
fn mail_way(mail: &Mail) -> Result<Found, String> {
    post::open(mail).map_err(|error| error.to_string())?;
    Ok(Found::Good(format!("reports go to {}:{}", mail.host, mail.port)))
}

/// The register, and whether the decrees of this year and the next are known.
fn requests(config: &Config) -> Result<Found, String> {
    let desk = Desk::open(config).map_err(|error| error.to_string())?;
    let now = Timestamp::now();
    let open = desk.attention(None, now).map_err(|error| error.to_string())?.open;
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    let known: Vec<String> = desk.calendar().decrees().map(|(year, _)| year.to_string()).collect();
    let found = format!("{open} are open; working days by decree for {}", known.join(", "));
    // Decrees come in the autumn before, and a term may reach into the next year.
    let is_next_needed = now.to_zoned(jiff::tz::TimeZone::UTC).month() >= 11;
    if !desk.calendar().knows(year) || (is_next_needed && !desk.calendar().knows(year + 1)) {
        return Ok(Found::Lacking(format!("{found}: a newer calendar is needed (docs/rights.md)")));
    }
    Ok(Found::Good(found))
}

/// What holds for every command, this one included.
fn memory() -> Result<Found, String> {
    let openness = memory::openness().map_err(|error| error.to_string())?;
    match openness {
        Openness { dumps_core: false, is_dumpable: false } => {
            Ok(Found::Good("no core dumps, closed to other processes of the same user".to_owned()))
        }
        _ => Ok(Found::Lacking(format!(
            "core dumps: {}, open to other processes of the same user: {}",
            yes_or_no(openness.dumps_core),
            yes_or_no(openness.is_dumpable)
        ))),
    }
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// The ring as a whole, then each key that exists.
fn keys(config: &Config) -> Vec<Result<Found, String>> {
    let (dir, master) = (&config.keys.dir, &config.keys.master);
    if !KeyRing::exists(dir) {
        return vec![Ok(Found::Good(format!("{} is made at the first start", dir.display())))];
    }
    let look = match look(&config.keys) {
        Ok(look) => look,
        Err(error) => return vec![Err(error.to_string())],
    };
    let alive: Vec<&KeyInfo> = look.keys.iter().filter(|key| key.destroyed.is_empty()).collect();
    let ring = format!(
        "{}: {} keys and {} salts, {} destroyed; modes 0700 and 0600; under the master key in {master}",
        dir.display(),
        alive.len(),
        look.salts,
        look.keys.len() - alive.len()
    );
    let unused = MasterKeySource::beside(dir);
    let mut found = vec![Ok(match (look.is_wrapped, master, &unused) {
        (false, ..) => Found::Lacking(format!("{}: its keys are plain until the next start", dir.display())),
        (true, MasterKeySource::Beside(_), _) => Found::Lacking(format!(
            "{ring}, beside the ring: only copies without it are protected (docs/keys.md)"
        )),
        (true, _, MasterKeySource::Beside(path)) if path.exists() => {
            Found::Lacking(format!("{ring}; {} is not used and better removed", path.display()))
        }
        _ => Found::Good(ring),
    })];
    let now = Timestamp::now();
    found.extend(alive.iter().map(|key| Ok(Found::Good(aged(key, now)))));
    found
}

/// A key as people read it.
fn aged(key: &KeyInfo, now: Timestamp) -> String {
    let days = |date: &str| days_since(date, now).map_or("?".to_owned(), |days| days.to_string());
    let mut text =
        format!("{} {}: {} days old, made {}", key.purpose, key.id, days(&key.created), key.created);
    if !key.retired.is_empty() {
        text.push_str(&format!(", retired {} days ago, {}", days(&key.retired), key.retired));
    }
    text
}

/// Certificate and key of an address that ends TLS itself.
fn certificate(files: &TlsFiles, public_url: &str, now: jiff::Timestamp) -> Result<Found, String> {
    let certificate = Certificate::read(files).map_err(|error| error.to_string())?;
    let file = files.certificate.display();
    let Validity { from, until } = certificate.validity;
    if now < from {
        return Err(format!("{file}: the certificate is not valid before {from}"));
    }
    if until < now {
        return Err(format!("{file}: the certificate has expired at {until}"));
    }
    let host = url::Url::parse(public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    if let Some(host) = host.filter(|host| !certificate.names(host)) {
        return Ok(Found::Lacking(format!(
            "{file}: the certificate is not for {host}, which public_url names: browsers refuse it"
        )));
    }
    if until.duration_since(now) < RENEW_BEFORE {
        return Ok(Found::Lacking(format!("{file}: the certificate expires at {until}")));
    }
    Ok(Found::Good(format!("{file} and its key fit together; valid until {until}")))
}

fn enrichment(config: &Config) -> Vec<Result<Found, String>> {
    match Enricher::open(config, &Search::here()) {
        Err(error) => vec![Err(error.to_string())],
        Ok(enricher) => {
            let warnings = enricher.warnings();
            let mut found: Vec<Found> = warnings.into_iter().map(Found::Lacking).collect();
            if found.is_empty() {
                found.push(Found::Good("geo data and user agent rules can be read".to_owned()));
            }
            found.extend(enricher.databases(Timestamp::now()).iter().map(|database| {
                match database.is_lacking() {
                    true => Found::Lacking(database.to_string()),
                    false => Found::Good(database.to_string()),
                }
            }));
            found.into_iter().map(Ok).collect()
        }
    }
}

async fn in_storage(config: &Config) -> Result<Found, String> {
    if config.storage.url.is_empty() {
        library::find(config.engine.library.as_deref()).map_err(|error| error.to_string())?;
        // Opening would make one; a check must not.
        if !config.data_dir.join("engine").is_dir() {
            return Ok(Found::Good("the embedded engine, made at the first start".to_owned()));
        }
    }
    let opened = storage::open(config).await.map_err(|failure| failure.to_string())?;
    let checked = migrate::check(&opened.storage).await;
    opened.close().await;
    checked.map_err(|error| error.to_string())?;
    let which = if config.storage.url.is_empty() { "the embedded engine" } else { &config.storage.url };
    Ok(Found::Good(format!("{which} answers, its settings are right")))
}

fn readable(path: &Path) -> Result<(), String> {
    std::fs::File::open(path).map(drop).map_err(|error| format!("{}: {error}", path.display()))
}

// === impl Finding ===

impl Finding {
    fn described(&self) -> (&'static str, &str) {
        match &self.result {
            Ok(Found::Good(text)) => ("ok", text),
            Ok(Found::Lacking(text)) => ("lacking", text),
            Err(text) => ("WRONG", text),
        }
    }
}
