//! Which fact belongs to which clause, and when it is as the policy says.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};

use super::clauses::{CLAUSES, Words};
use super::facts::{Facts, Found, Hits};
use super::{Clause, Evidence, Report, Setting, State};
use crate::config::{Config, Consent, Durability, Fields, IpStorage, Signals, Site};
use crate::retention::terms::Kind;
use crate::web::role::Role;

/// Retention runs daily; a run that is so old is missed.
const LAST_RUN: SignedDuration = SignedDuration::from_hours(48);
/// A backup that is so old is missed.
const LAST_BACKUP: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The table.
pub(super) fn report(config: &Config, site: &Site, facts: &Facts) -> Report {
    let clauses: Vec<Clause> = CLAUSES.iter().map(|words| clause(words, config, site, facts)).collect();
    Report {
        site: site.id.clone(),
        version: site.policy_version.clone(),
        url: site.policy_url.clone(),
        made: facts.now.to_string(),
        state: State::all(clauses.iter().map(|clause| clause.state)),
        clauses,
    }
}

fn clause(words: &Words, config: &Config, site: &Site, facts: &Facts) -> Clause {
    let mut lines = Lines::default();
    lines.add(words.id, config, site, facts);
    Clause {
        clause: words.id.to_owned(),
        ru: words.ru.to_owned(),
        en: words.en.to_owned(),
        does_ru: words.does_ru.to_owned(),
        does_en: words.does_en.to_owned(),
        state: State::all(lines.evidence.iter().map(|evidence| evidence.state)),
        settings: lines.settings,
        evidence: lines.evidence,
    }
}

#[derive(Default)]
struct Lines {
    settings: Vec<Setting>,
    evidence: Vec<Evidence>,
}

// === impl Lines ===

impl Lines {
    fn add(&mut self, id: &str, config: &Config, site: &Site, facts: &Facts) {
        match id {
            "1.1.6, 1.1.7" => self.addresses(site, facts),
            "2.1, 2.2" => self.consent(site, facts),
            "2.3" => {
                self.setting("hosts", site.hosts.join(", "));
                self.none_of(
                    "обращений с чужих сайтов за час",
                    "hits from other hosts in an hour",
                    &facts.foreign,
                    |n| *n,
                );
            }
            "3.3" => self.fields(site, facts),
            "3.3.1" => self.number(
                "обращений без cookie за 30 дней",
                "hits without a cookie in 30 days",
                &facts.hits,
                |hits| hits.cookieless,
            ),
            "3.3.2" => {
                self.number(
                    "просмотров статистики адресов за 30 дней",
                    "looks at statistics of addresses in 30 days",
                    &facts.on_disk.looks,
                    |looks| looks.listings,
                );
                self.number(
                    "открыто адресов за 30 дней",
                    "addresses opened in 30 days",
                    &facts.on_disk.looks,
                    |looks| looks.addresses,
                );
            }
            "3.4, 6.2.2" => self.grants(facts),
            "4.1.4" => {
                let files: Vec<String> = config
                    .geo
                    .files
                    .iter()
                    .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                    .collect();
                self.setting("geo.files", files.join(", "));
                self.setting("retention.city_days", site.retention.city_days);
                self.setting("fraud.threshold", config.fraud.threshold);
                self.setting("fraud.window_days", config.fraud.window_days);
                self.number(
                    "проверок посетителей за 30 дней",
                    "checks of visitors in 30 days",
                    &facts.on_disk.looks,
                    |looks| looks.checks,
                );
            }
            "4.1.8, 4.1.9" => self.number(
                "открыто дел за 30 дней",
                "case files opened in 30 days",
                &facts.on_disk.looks,
                |looks| looks.cases,
            ),
            "4.1.10" => self.number(
                "обращений с согласием на рекламу за 30 дней",
                "hits with consent to marketing in 30 days",
                &facts.hits,
                |hits| hits.marketing,
            ),
            "5.1" => self.terms(site, facts),
            "5.2, 5.3" => {
                self.number(
                    "передач в журнале",
                    "disclosures in the log",
                    &facts.on_disk.disclosures,
                    |disclosures| *disclosures,
                );
            }
            "5.4, 5.6" => {
                let incidents = &facts.on_disk.incidents;
                self.number("инцидентов", "incidents", incidents, |incidents| incidents.all);
                self.number("из них открытых", "of them open", incidents, |incidents| {
                    incidents.open
                });
                self.none_of(
                    "пропущенных сроков 24 и 72 часа",
                    "missed terms of 24 and 72 hours",
                    incidents,
                    |incidents| incidents.late as u64,
                );
            }
            "5.5, 6.2.3" => self.measures(config, facts),
            "6.2.1" => {
                self.number(
                    "просмотров данных за 30 дней",
                    "looks at people's data in 30 days",
                    &facts.on_disk.looks,
                    |looks| looks.all,
                );
                self.none_of(
                    "из них без цели",
                    "of them without a purpose",
                    &facts.on_disk.looks,
                    |looks| looks.without_purpose as u64,
                );
            }
            "6.2.4" => {
                self.number("заблокированных идентификаторов", "blocked identifiers", &facts.blocked, |n| *n);
                self.number("записей на удержании", "rows on hold", &facts.hits, |hits| {
                    hits.held
                });
            }
            "8.2" => self.requests(facts),
            "152-ФЗ 21" => {
                self.number("актов об уничтожении", "acts of destruction", &facts.on_disk.acts, |n| *n);
                self.number(
                    "уничтожение не закончено",
                    "an erasure is under way",
                    &facts.on_disk.erasing,
                    |erasing| yes_or_no(*erasing),
                );
            }
            "9.1, 9.2" => {
                self.setting("policy_version", &site.policy_version);
                self.line(
                    "редакция указана",
                    "the version is given",
                    given(&site.policy_version),
                    State::of(!site.policy_version.is_empty()),
                );
                self.number("обращений за час", "hits in an hour", &facts.hits, |hits| {
                    hits.recent
                });
                self.number(
                    "из них по действующей редакции",
                    "of them under the version in force",
                    &facts.hits,
                    |hits| hits.in_force,
                );
            }
            "9.3, 9.4" => {
                for (key, value, ru, en) in [
                    (
                        "policy_url",
                        &site.policy_url,
                        "адрес политики указан",
                        "the policy's address is given",
                    ),
                    ("contact", &site.contact, "контакт указан", "the contact is given"),
                ] {
                    self.setting(key, value);
                    self.line(ru, en, given(value), State::of(!value.is_empty()));
                }
            }
            _ => {}
        }
    }

    fn addresses(&mut self, site: &Site, facts: &Facts) {
        let how = match site.ip {
            IpStorage::Encrypted => "encrypted",
            IpStorage::Truncated => "truncated",
            IpStorage::None => "none",
        };
        self.setting("ip", how);
        self.none_of(
            "адресов без шифрования в хранилище",
            "addresses stored without encryption",
            &facts.hits,
            |hits| hits.bare_addresses,
        );
        let oldest = facts.oldest_address_key().map_or("-", |created| created.get(..10).unwrap_or(created));
        self.line("самый старый ключ адресов, с", "the oldest address key, since", oldest, State::None);
        let destroyed = facts.address_keys_destroyed();
        self.line("ключей адресов уничтожено", "address keys destroyed", destroyed, State::None);
    }

    fn consent(&mut self, site: &Site, facts: &Facts) {
        let mode = match site.consent {
            Consent::Implied => "implied",
            Consent::OptIn => "opt-in",
            Consent::Cookieless => "cookieless",
        };
        let signals = match site.signals {
            Signals::Ignore => "ignore",
            Signals::NoId => "no-id",
            Signals::Drop => "drop",
        };
        self.setting("consent", mode);
        self.setting("signals", signals);
        self.none_of(
            "записей сверх счётчика после отказа",
            "rows beyond a count after a no",
            &facts.hits,
            |hits| hits.beyond_a_no,
        );
        if site.consent != Consent::Implied {
            self.none_of(
                "записей с cookie без согласия за час",
                "rows with a cookie and without consent in an hour",
                &facts.hits,
                |hits| hits.cookie_before_yes,
            );
        }
    }

    fn fields(&mut self, site: &Site, facts: &Facts) {
        let mut fields = site.fields;
        let on = Fields::NAMES.iter().filter(|name| fields.flag(name).is_some_and(|collected| *collected));
        let on: Vec<&str> = on.copied().collect();
        self.setting("fields", if on.is_empty() { "-".to_owned() } else { on.join(" ") });
        self.none_of(
            "записей за час с тем, что не собирается",
            "rows of an hour with what is not collected",
            &facts.hits,
            |hits: &Hits| hits.not_collected.iter().map(|(_, rows)| rows).sum(),
        );
    }

    fn grants(&mut self, facts: &Facts) {
        let people = match &facts.on_disk.people {
            Ok(people) => people,
            Err(error) => return self.failed("кому выдан доступ", "who has access", error),
        };
        for role in Role::ALL {
            let persons = people.people.iter().filter(|person| person.role == role).count();
            let tokens = people.tokens.iter().filter(|token| token.role == role).count();
            let value = format!("{persons} + {tokens}");
            let (ru, en) = (
                format!("людей и токенов с ролью {role}"),
                format!("people and tokens with the role {role}"),
            );
            self.line(&ru, &en, value, State::None);
        }
        let endless = people.tokens.iter().filter(|token| token.expires.is_none()).count();
        self.line("токенов без срока", "tokens without an end", endless, State::None);
    }

    fn terms(&mut self, site: &Site, facts: &Facts) {
        let terms = &site.retention;
        for (key, days) in [
            ("retention.raw_days", terms.raw_days),
            ("retention.ip_days", terms.ip_days),
            ("retention.city_days", terms.city_days),
            ("retention.user_key_days", terms.user_key_days),
            ("retention.props_days", terms.props_days),
            ("retention.audit_days", terms.audit_days),
        ] {
            self.setting(key, days);
        }
        match &facts.terms {
            Err(error) => self.failed("сроки хранения", "terms of storage", error),
            Ok(counts) => {
                for kind in Kind::ALL {
                    let count = counts.get(&kind).copied().unwrap_or_default();
                    let name = kind.name();
                    let (ru, en) = (
                        format!("{name}: просрочено больше чем на день"),
                        format!("{name}: past the term by more than a day"),
                    );
                    self.line(&ru, &en, count.expired, State::of(count.expired == 0));
                    let (ru, en) =
                        (format!("{name}: самая старая запись"), format!("{name}: the oldest row"));
                    let oldest = (count.oldest_ms > 0)
                        .then(|| Timestamp::from_millisecond(count.oldest_ms).ok())
                        .flatten();
                    self.line(&ru, &en, oldest.map_or_else(|| "-".to_owned(), day), State::None);
                }
            }
        }
        let last = facts
            .on_disk
            .last_run
            .as_ref()
            .map(|last| last.as_ref().and_then(|report| report.at.parse::<Timestamp>().ok()));
        self.recent("последнее удаление по срокам", "the last run of retention", last, facts.now, LAST_RUN);
        self.none_of(
            "ключей адресов, которые пора уничтожить",
            "address keys that are due",
            &facts.keys_left,
            |n| *n as u64,
        );
    }

    fn measures(&mut self, config: &Config, facts: &Facts) {
        let durability = match config.collect.durability {
            Durability::Fsync => "fsync",
            Durability::Write => "write",
        };
        self.setting("collect.durability", durability);
        self.setting("backup.max_age", format!("{} days", config.backup.max_age_days));
        match &facts.on_disk.trail {
            Ok(verified) => {
                self.line(
                    "журнал аудита цел, записей",
                    "the audit trail is whole, entries",
                    verified.entries,
                    State::Green,
                );
            }
            Err(error) => self.failed("журнал аудита", "the audit trail", error),
        }
        let last = facts.on_disk.backup.as_ref().map(|last| *last);
        self.recent(
            "последняя проверенная резервная копия",
            "the last verified backup",
            last,
            facts.now,
            LAST_BACKUP,
        );
    }

    fn requests(&mut self, facts: &Facts) {
        self.number("открытых обращений", "open requests", &facts.on_disk.requests, |requests| requests.open);
        self.none_of(
            "из них просрочено",
            "of them overdue",
            &facts.on_disk.requests,
            |requests| requests.overdue.len() as u64,
        );
        self.number(
            "срок в ближайшие два рабочих дня",
            "due within two working days",
            &facts.on_disk.requests,
            |requests| requests.due_within_2_working_days.len(),
        );
    }

    fn setting(&mut self, key: &str, value: impl Display) {
        self.settings.push(Setting { key: key.to_owned(), value: value.to_string() });
    }

    fn line(&mut self, ru: &str, en: &str, value: impl Display, state: State) {
        let (ru, en) = (ru.to_owned(), en.to_owned());
        self.evidence.push(Evidence { ru, en, value: value.to_string(), state });
    }

    /// What could not be looked at.
    fn failed(&mut self, ru: &str, en: &str, error: &str) {
        self.line(ru, en, error, State::Red);
    }

    /// A bare number.
    fn number<T, N: Display>(&mut self, ru: &str, en: &str, found: &Found<T>, of: impl FnOnce(&T) -> N) {
        match found {
            Ok(found) => self.line(ru, en, of(found), State::None),
            Err(error) => self.failed(ru, en, error),
        }
    }

    /// A number that is to be 0.
    fn none_of<T>(&mut self, ru: &str, en: &str, found: &Found<T>, of: impl FnOnce(&T) -> u64) {
        match found.as_ref().map(of) {
            Ok(number) => self.line(ru, en, number, State::of(number == 0)),
            Err(error) => self.failed(ru, en, error),
        }
    }

    /// A moment that is not to be long ago.
    fn recent(
        &mut self,
        ru: &str,
        en: &str,
        last: Result<Option<Timestamp>, &String>,
        now: Timestamp,
        most: SignedDuration,
    ) {
        match last {
            Ok(Some(at)) => self.line(ru, en, minute(at), State::of(now.duration_since(at) <= most)),
            Ok(None) => self.line(ru, en, "-", State::Red),
            Err(error) => self.failed(ru, en, error),
        }
    }
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "+" } else { "-" }
}

fn given(value: &str) -> &'static str {
    yes_or_no(!value.is_empty())
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
