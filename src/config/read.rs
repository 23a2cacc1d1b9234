//! Reads one section of the configuration key by key, and remembers every
//! mistake instead of stopping at the first.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use toml::{Table, Value};

use super::{
    ENVIRONMENT_PREFIX, Fields, MAX_SITE_ID_BYTES, Mail, MailSecurity, Network, PathRules, TlsFiles,
};
use crate::parse::client::is_https;
use crate::rights::terms::{Rule, Term, Terms};

/// A text that stands in documents fits on a page's line or three.
const MAX_LINE_BYTES: usize = 500;

/// The keys outside of any section.
const TOP_LEVEL_KEYS: [&str; 1] = ["data_dir"];

/// A table, its name for messages, and the mistakes found below it.
pub(super) struct Section {
    name: String,
    table: Table,
    working_dir: PathBuf,
    mistakes: Rc<RefCell<Vec<String>>>,
    /// Every key that was asked for, shared by all sections: what the shipped example must document.
    asked: Rc<RefCell<BTreeSet<String>>>,
}

/// Sets keys from variables such as `METKA_COLLECT__LISTEN`.
pub(super) fn apply_environment(
    table: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
    mistakes: &mut Vec<String>,
) {
    for (variable, text) in environment {
        let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        let path = rest.to_lowercase();
        let parts: Vec<&str> = path.split("__").collect();
        // `METKA_HOME` and the like belong to whoever runs us; `METKA_SECTION__KEY` is meant for us.
        if parts.len() == 1 && !TOP_LEVEL_KEYS.contains(&parts[0]) {
            continue;
        }
        let value = toml::from_str::<Table>(&format!("v = {text}"))
            .ok()
            .and_then(|mut parsed| parsed.remove("v"))
            .filter(|value| !matches!(value, Value::Datetime(_) | Value::Table(_)))
            .unwrap_or_else(|| Value::String(text.clone()));
        if !set(table, &parts, value) {
            mistakes.push(format!("{variable}: names no key of the configuration"));
        }
    }
}

fn set(table: &mut Table, parts: &[&str], value: Value) -> bool {
    match parts {
        [] => false,
        [key] => {
            table.insert((*key).to_owned(), value);
            true
        }
        ["site", index, rest @ ..] if !rest.is_empty() => {
            let Ok(index) = index.parse::<usize>() else { return false };
            let sites = table.entry("site").or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(sites) = sites else { return false };
            if index > sites.len() || index >= super::MAX_SITES {
                return false;
            }
            if index == sites.len() {
                sites.push(Value::Table(Table::new()));
            }
            sites[index].as_table_mut().is_some_and(|site| set(site, rest, value))
        }
        [section, rest @ ..] => table
            .entry(*section)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .is_some_and(|below| set(below, rest, value)),
    }
}

impl Section {
    pub(super) fn root(table: Table, working_dir: &Path) -> Section {
        Section {
            name: String::new(),
            table,
            working_dir: working_dir.to_owned(),
            mistakes: Rc::default(),
            asked: Rc::default(),
        }
    }

    pub(super) fn named(name: &str, table: Table) -> Section {
        Section { name: name.to_owned(), ..Section::root(table, Path::new("/")) }
    }

    fn label(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(super) fn mistake(&self, key: &str, text: impl std::fmt::Display) {
        self.mistakes.borrow_mut().push(format!("{}: {text}", self.label(key)));
    }

    fn child(&self, name: String, table: Table) -> Section {
        Section {
            name,
            table,
            working_dir: self.working_dir.clone(),
            mistakes: Rc::default(),
            asked: self.asked.clone(),
        }
    }

    /// Takes a key out of the table, so that what remains is what nobody asked for.
    fn take(&mut self, key: &str) -> Option<Value> {
        let label = self.label(key);
        // `site[3].id` is the key `site.id`.
        let plain: String = match (label.find('['), label.find(']')) {
            (Some(open), Some(close)) => format!("{}{}", &label[..open], &label[close + 1..]),
            _ => label,
        };
        self.asked.borrow_mut().insert(plain);
        self.table.remove(key)
    }

    /// All keys asked for so far, in all sections.
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    /// A table below this one; empty when absent.
    pub(super) fn section(&mut self, key: &str) -> Section {
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.mistake(key, format_args!("expected a section, found {other}"));
                Table::new()
            }
        };
        self.child(self.label(key), table)
    }

    /// An array of tables.
    pub(super) fn sections(&mut self, key: &str) -> Vec<Section> {
        match self.table.remove(key) {
            None => Vec::new(),
            Some(Value::Array(items)) if items.iter().all(Value::is_table) => items
                .into_iter()
                .enumerate()
                .filter_map(|(index, item)| match item {
                    Value::Table(table) => Some(self.child(format!("{}[{index}]", self.label(key)), table)),
                    _ => None,
                })
                .collect(),
            Some(other) => {
                self.mistake(key, format_args!("expected [[{key}]] sections, found {other}"));
                Vec::new()
            }
        }
    }

    /// Reports what was found wrong, and every key that nobody asked for.
    pub(super) fn finish(self, mistakes: &mut Vec<String>) {
        for key in self.table.keys() {
            self.mistake(key, "is not a key of the configuration");
        }
        mistakes.append(&mut self.mistakes.borrow_mut());
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            // From the environment, `METKA_STORAGE__USER=12` reads as a number.
            Value::Integer(number) => Some(number.to_string()),
            other => {
                self.mistake(key, format_args!("expected a string, found {other}"));
                None
            }
        }
    }

    pub(super) fn string(&mut self, key: &str, default: &str) -> String {
        self.text(key).unwrap_or_else(|| default.to_owned())
    }

    /// A text of one line as it stands in documents; empty when it is not given.
    pub(super) fn line(&mut self, key: &str) -> String {
        let text = self.string(key, "");
        if text.len() > MAX_LINE_BYTES || text.chars().any(char::is_control) {
            self.mistake(key, format_args!("expected one line of at most {MAX_LINE_BYTES} bytes"));
        }
        text
    }

    pub(super) fn strings(&mut self, key: &str) -> Vec<String> {
        match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(items)) if items.iter().all(Value::is_str) => {
                items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(other) => {
                self.mistake(key, format_args!("expected a list of strings, found {other}"));
                Vec::new()
            }
        }
    }

    pub(super) fn number(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.take(key) else { return default };
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
        match number {
            Some(number) if range.contains(&number) => number,
            _ => {
                self.mistake(
                    key,
                    format_args!(
                        "expected a number from {} to {}, found {value}",
                        range.start(),
                        range.end()
                    ),
                );
                default
            }
        }
    }

    /// A list of numbers, `most` at most.
    pub(super) fn numbers(&mut self, key: &str, range: RangeInclusive<u64>, most: usize) -> Vec<u32> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let number = |item: &Value| {
            let number = item.as_integer().and_then(|number| u64::try_from(number).ok())?;
            u32::try_from(number).ok().filter(|_| range.contains(&number))
        };
        match value.as_array().and_then(|items| items.iter().map(number).collect::<Option<Vec<u32>>>()) {
            Some(numbers) if numbers.len() <= most => return numbers,
            Some(numbers) => {
                self.mistake(key, format_args!("{} numbers, at most {most} are allowed", numbers.len()));
            }
            None => self.mistake(
                key,
                format_args!(
                    "expected a list of numbers from {} to {}, found {value}",
                    range.start(),
                    range.end()
                ),
            ),
        }
        Vec::new()
    }

    /// A list of host names, `most` at most.
    pub(super) fn host_names(&mut self, key: &str, most: usize) -> Vec<String> {
        let texts = self.strings(key);
        if texts.len() > most {
            self.mistake(key, format_args!("{} names, at most {most} are allowed", texts.len()));
            return Vec::new();
        }
        texts
            .iter()
            .filter_map(|text| {
                let name = host_name(text).filter(|name| name.contains('.'));
                if name.is_none() {
                    self.mistake(key, format_args!("expected a host name, found {text:?}"));
                }
                name
            })
            .collect()
    }

    /// `500ms`, `2s`, `5m`, `1h`.
    pub(super) fn duration(&mut self, key: &str, default: &str) -> Duration {
        let text = self.string(key, default);
        parse_duration(&text).unwrap_or_else(|| {
            self.mistake(
                key,
                format_args!("expected a duration such as 500ms, 2s, 5m or 1h, found {text:?}"),
            );
            Duration::ZERO
        })
    }

    pub(super) fn address(&mut self, key: &str, default: &str) -> SocketAddr {
        let text = self.string(key, default);
        text.parse().unwrap_or_else(|_| {
            self.mistake(key, format_args!("expected ADDRESS:PORT, found {text:?}"));
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    pub(super) fn http_url(&mut self, key: &str, default: &str) -> String {
        let text = self.string(key, default);
        match url::Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => {
                text.trim_end_matches('/').to_owned()
            }
            _ => {
                self.mistake(key, format_args!("expected an http or https address, found {text:?}"));
                default.to_owned()
            }
        }
    }

    /// The address that others see; by default the one that is listened on.
    pub(super) fn public_url(&mut self, listen: SocketAddr, tls: Option<&TlsFiles>) -> String {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = self.http_url("public_url", &format!("{scheme}://{listen}"));
        if tls.is_some() && !is_https(&url) {
            self.mistake(
                "public_url",
                format_args!("expected https, since tls_certificate_file is set, found {url:?}"),
            );
        }
        url
    }

    /// Certificate and key; neither or both.
    pub(super) fn tls_files(&mut self) -> Option<TlsFiles> {
        const NAMES: [&str; 2] = ["tls_certificate_file", "tls_key_file"];
        let given = NAMES.map(|name| self.table.contains_key(name));
        let files = NAMES.map(|name| self.path(name, None));
        if let [true, false] | [false, true] = given {
            let (set, missing) = if given[0] { (NAMES[0], NAMES[1]) } else { (NAMES[1], NAMES[0]) };
            self.mistake(missing, format_args!("is needed, since {set} is set"));
        }
        let [Some(certificate), Some(key)] = files else { return None };
        Some(TlsFiles { certificate, key })
    }

    pub(super) fn optional_http_url(&mut self, key: &str) -> String {
        match self.table.get(key) {
            None => {
                self.take(key);
                String::new()
            }
            Some(Value::String(text)) if text.is_empty() => {
                self.take(key);
                String::new()
            }
            Some(_) => self.http_url(key, ""),
        }
    }

    /// The whole section `[mail]`; none without a url.
    pub(super) fn mail(&mut self) -> Option<Mail> {
        const SCHEMES: [(&str, MailSecurity, u16); 3] = [
            ("smtp", MailSecurity::Plain, 25),
            ("smtp+starttls", MailSecurity::StartTls, 587),
            ("smtps", MailSecurity::Tls, 465),
        ];
        let url = self.string("url", "");
        let (user, from) = (self.string("user", ""), self.string("from", ""));
        let password_file = self.path("password_file", None);
        if url.is_empty() {
            let others = [
                ("user", !user.is_empty()),
                ("from", !from.is_empty()),
                ("password_file", password_file.is_some()),
            ];
            for (key, _) in others.iter().filter(|(_, given)| *given) {
                self.mistake(key, "means nothing without mail.url");
            }
            return None;
        }
        let parsed = url::Url::parse(&url).ok();
        let scheme = parsed.as_ref().and_then(|url| SCHEMES.iter().find(|(name, ..)| *name == url.scheme()));
        let host = parsed.as_ref().and_then(url::Url::host_str).filter(|host| !host.is_empty());
        // A password in the address would stand in this message, too.
        let is_plain = parsed.as_ref().is_some_and(|url| {
            let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
            bare && url.username().is_empty() && url.password().is_none()
        });
        let (Some((_, security, port)), Some(host), true) = (scheme, host, is_plain) else {
            self.mistake("url", "expected smtp://HOST:PORT, smtp+starttls://HOST:PORT or smtps://HOST:PORT");
            return None;
        };
        if user.is_empty() != password_file.is_none() {
            self.mistake("password_file", "is needed beside mail.user, and only there");
        }
        let is_here = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if *security == MailSecurity::Plain && !user.is_empty() && !is_here {
            self.mistake("url", "a password goes over smtps or smtp+starttls only, or stays on this machine");
        }
        if from.parse::<lettre::message::Mailbox>().is_err() {
            self.mistake(
                "from",
                format_args!("expected a sender such as Metka <metka@clinic.example>, found {from:?}"),
            );
        }
        let port = parsed.as_ref().and_then(url::Url::port).unwrap_or(*port);
        let host = host.trim_matches(['[', ']']).to_owned();
        Some(Mail { security: *security, host, port, user, password_file, from })
    }

    pub(super) fn url_path(&mut self, key: &str, default: &str) -> String {
        let text = self.string(key, default);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte);
        if text.len() > 1 && text.starts_with('/') && !text.starts_with("//") && text.bytes().all(fits) {
            return text;
        }
        self.mistake(key, format_args!("expected a path such as {default}, found {text:?}"));
        default.to_owned()
    }

    pub(super) fn identifier(&mut self, key: &str, default: &str) -> String {
        let text = self.string(key, default);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !text.is_empty() && text.len() <= 64 && text.bytes().all(fits) {
            return text;
        }
        self.mistake(key, format_args!("expected letters, digits and _, found {text:?}"));
        default.to_owned()
    }

    pub(super) fn path(&mut self, key: &str, default: Option<&str>) -> Option<PathBuf> {
        let text = self.text(key).or(default.map(str::to_owned))?;
        if text.is_empty() {
            self.mistake(key, "expected a path, found an empty string");
            return None;
        }
        Some(self.absolute(&text))
    }

    pub(super) fn paths(&mut self, key: &str) -> Vec<PathBuf> {
        self.strings(key).iter().map(|text| self.absolute(text)).collect()
    }

    fn absolute(&self, text: &str) -> PathBuf {
        // Components, so that `./data` becomes `/dir/data` and not `/dir/./data`.
        self.working_dir.join(text).components().collect()
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, default: T, choices: &[(&str, T)]) -> T {
        self.optional_choice(key, choices).unwrap_or(default)
    }

    pub(super) fn optional_choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.mistake(key, format_args!("expected {}, found {text:?}", names.join(" or ")));
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn networks(&mut self, key: &str, default: &[&str]) -> Vec<Network> {
        let texts = if self.table.contains_key(key) {
            self.strings(key)
        } else {
            self.take(key);
            default.iter().map(|text| (*text).to_owned()).collect()
        };
        texts
            .iter()
            .filter_map(|text| {
                let network = Network::parse(text);
                if network.is_none() {
                    self.mistake(key, format_args!("expected a network such as 10.0.0.0/8, found {text:?}"));
                }
                network
            })
            .collect()
    }

    pub(super) fn site_id(&mut self, key: &str) -> String {
        let text = self.string(key, "");
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.is_empty() || text.len() > MAX_SITE_ID_BYTES || !text.bytes().all(fits) || text == "-" {
            self.mistake(
                key,
                format_args!(
                    "expected 1 to {MAX_SITE_ID_BYTES} letters, digits, dots, dashes or underscores, found {text:?}"
                ),
            );
        }
        text
    }

    pub(super) fn hosts(&mut self, key: &str) -> Vec<String> {
        let hosts = self.strings(key);
        if hosts.is_empty() {
            self.mistake(key, "expected at least one host name");
        }
        hosts
            .into_iter()
            .filter_map(|text| {
                let (prefix, name) = match text.strip_prefix("*.") {
                    Some(parent) => ("*.", parent),
                    None => ("", text.as_str()),
                };
                match host_name(name) {
                    Some(host) => Some(format!("{prefix}{host}")),
                    None => {
                        self.mistake(key, format_args!("expected a host name, found {text:?}"));
                        None
                    }
                }
            })
            .collect()
    }

    /// The keys of all rules; what lengthens another term is a length.
    pub(super) fn terms(&mut self) -> Terms {
        let mut terms = Terms::default();
        for rule in Rule::ALL {
            let Some(text) = self.text(rule.key()) else { continue };
            match Term::parse(&text) {
                Some(term) if term != Term::AtOnce || !rule.is_extension() => terms.set(rule, term),
                _ => self.mistake(
                    rule.key(),
                    format_args!(
                        "expected a term such as {}10 working days, 30 days or 1 month, found {text:?}",
                        if rule.is_extension() { "" } else { "at once, " }
                    ),
                ),
            }
        }
        terms
    }

    pub(super) fn path_rules(&mut self, key: &str) -> PathRules {
        let (rules, mistakes) = PathRules::read(&self.strings(key));
        mistakes.iter().for_each(|text| self.mistake(key, text));
        rules
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Boolean(flag)) => flag,
            Some(other) => {
                self.mistake(key, format_args!("expected true or false, found {other}"));
                default
            }
        }
    }

    pub(super) fn timezone(&mut self, key: &str, default: &str) -> String {
        let text = self.string(key, default);
        if jiff::tz::TimeZone::get(&text).is_err() {
            self.mistake(key, format_args!("expected an IANA time zone such as {default}, found {text:?}"));
            return default.to_owned();
        }
        text
    }

    pub(super) fn fields(&mut self, key: &str, default: Fields) -> Fields {
        if !self.table.contains_key(key) {
            self.take(key);
            return default;
        }
        let mut fields = Fields::NONE;
        for name in self.strings(key) {
            match fields.flag(&name) {
                Some(flag) => *flag = true,
                None => self.mistake(
                    key,
                    format_args!("expected names of {}, found {name:?}", Fields::NAMES.join(", ")),
                ),
            }
        }
        fields
    }
}

/// A host name as browsers send it: the URL parser lower-cases and turns `клиника.рф`
/// into its ASCII form.
fn host_name(text: &str) -> Option<String> {
    let url = url::Url::parse(&format!("http://{text}/")).ok()?;
    let is_plain = !text.is_empty() && !text.contains(['/', '@', '?', '#', ' ']) && url.port().is_none();
    is_plain.then(|| url.host_str().map(str::to_owned)).flatten()
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let milliseconds = match &text[digits..] {
        "ms" => number,
        "s" => number.checked_mul(1000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        _ => return None,
    };
    (milliseconds > 0).then_some(Duration::from_millis(milliseconds))
}
