//! What a site's `preset` means: other defaults, and bounds where the rule that
//! it is named after states one. docs/consent.md has the same as a table.
//!
//! A preset never overrules a key that the site sets: what is beyond a bound is
//! a mistake that the configuration is refused for, so that a site which names
//! the rule keeps it.

use super::read::Section;
use super::{Consent, Fields, IpStorage, Preset, Signals, Site};

/// CNIL: at most 25 months, which are at their shortest two years of 365 days
/// and a February of 28.
pub const CNIL_RAW_DAYS: u16 = 758;

/// The defaults that presets change.
pub struct Defaults {
    pub consent: Consent,
    pub fields: Fields,
    pub ip: IpStorage,
    pub signals: Signals,
    pub raw_days: u16,
}

// === impl Defaults ===

impl Defaults {
    pub fn of(preset: Option<Preset>) -> Defaults {
        let plain = Defaults {
            consent: Consent::Implied,
            fields: Fields::USUAL,
            ip: IpStorage::Encrypted,
            signals: Signals::NoId,
            // Two years show a year against the last.
            raw_days: 730,
        };
        match preset {
            None => plain,
            // Clauses 2.1 and 3.3 of the policy: use is consent, for exactly these fields.
            Some(Preset::Ru152Fz) => Defaults { fields: Fields::NONE, ..plain },
            Some(Preset::Gdpr) => Defaults { consent: Consent::OptIn, ip: IpStorage::Truncated, ..plain },
            // Exempt from consent as long as the numbers are anonymous: an address
            // has done its work once it gave the city.
            Some(Preset::Cnil) => Defaults { ip: IpStorage::None, raw_days: CNIL_RAW_DAYS, ..plain },
        }
    }
}

// === impl Preset ===

impl Preset {
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Ru152Fz => "ru-152fz",
            Preset::Gdpr => "gdpr",
            Preset::Cnil => "cnil",
        }
    }
}

/// Reports the settings of `site` that its preset does not allow.
pub fn check(site: &Site, section: &Section) {
    let Some(preset) = site.preset else { return };
    let european = matches!(preset, Preset::Gdpr | Preset::Cnil);
    for (broken, key, rule) in [
        (
            preset == Preset::Gdpr && site.consent == Consent::Implied,
            "consent",
            "takes opt-in or cookieless: consent is not implied",
        ),
        (
            european && site.signals == Signals::Ignore,
            "signals",
            "takes no-id or drop: a browser's signal is an objection",
        ),
        (
            preset == Preset::Cnil && site.ip == IpStorage::Encrypted,
            "ip",
            "takes none or truncated: no whole address is kept",
        ),
        (
            preset == Preset::Cnil && site.retention.raw_days > CNIL_RAW_DAYS,
            "retention.raw_days",
            "takes at most 758 days, which is 25 months",
        ),
        (
            preset == Preset::Cnil && site.user_key_secret_file.is_some(),
            "user_key_secret_file",
            "takes no user keys: visits are not joined with accounts",
        ),
    ] {
        if broken {
            section.mistake(key, format_args!("the preset {} {rule}", preset.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Retention};

    fn read(preset: &str, more: &str) -> Result<Site, String> {
        let preset = if preset.is_empty() { String::new() } else { format!("preset = \"{preset}\"\n") };
        let text = format!("[[site]]\nid = \"a\"\nhosts = [\"a.example\"]\n{preset}{more}");
        let read = Config::parse(&text, [], Path::new("/srv"));
        read.map(|mut config| config.sites.remove(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn presets_are_the_table_of_the_documentation() {
        let document = include_str!("../../docs/consent.md");
        for (preset, consent, fields, ip, raw_days) in [
            ("", Consent::Implied, Fields::USUAL, IpStorage::Encrypted, 730),
            ("ru-152fz", Consent::Implied, Fields::NONE, IpStorage::Encrypted, 730),
            ("gdpr", Consent::OptIn, Fields::USUAL, IpStorage::Truncated, 730),
            ("cnil", Consent::Implied, Fields::USUAL, IpStorage::None, 758),
        ] {
            let site = read(preset, "").expect("a preset alone is valid");
            assert_eq!((site.consent, site.fields, site.ip), (consent, fields, ip), "{preset}");
            assert_eq!((site.signals, site.min_group), (Signals::NoId, 10), "{preset}");
            let others = Retention {
                raw_days,
                ip_days: 90,
                city_days: 365,
                user_key_days: 365,
                props_days: 365,
                audit_days: 1095,
            };
            assert_eq!(site.retention, others, "{preset}");

            let consent = match consent {
                Consent::Implied => "`implied`",
                Consent::OptIn => "`opt-in`",
                Consent::Cookieless => "`cookieless`",
            };
            let ip = match ip {
                IpStorage::Encrypted => "`encrypted`",
                IpStorage::Truncated => "`truncated`",
                IpStorage::None => "`none`",
            };
            let fields = if fields == Fields::USUAL { "all but `errors`" } else { "none" };
            let name = if preset.is_empty() { "without".to_owned() } else { format!("`{preset}`") };
            let line = format!("| {name} | {consent} | {fields} | {ip} | `no-id` | {raw_days} |");
            assert!(document.contains(&line), "docs/consent.md has no line {line}");
        }
    }

    #[test]
    fn what_a_preset_does_not_allow_is_a_mistake_by_name() {
        for (preset, more, key) in [
            ("gdpr", "consent = \"implied\"", "consent"),
            ("gdpr", "signals = \"ignore\"", "signals"),
            ("cnil", "signals = \"ignore\"", "signals"),
            ("cnil", "ip = \"encrypted\"", "ip"),
            ("cnil", "user_key_secret_file = \"x\"", "user_key_secret_file"),
            ("cnil", "[site.retention]\nraw_days = 759", "retention.raw_days"),
        ] {
            let text = read(preset, more).expect_err("a mistake");
            let start = format!("site[0].{key}: the preset {preset} takes ");
            assert!(text.contains(&start), "{start:?} is missing in:\n{text}");
            assert!(text.starts_with("1 mistake "), "{text}");
            read("ru-152fz", more).expect("the policy does not forbid it");
            read("", more).expect("without a preset it is allowed");
        }
        for (preset, more) in [
            ("gdpr", "consent = \"cookieless\"\nsignals = \"drop\"\nip = \"encrypted\""),
            ("cnil", "consent = \"opt-in\"\nip = \"truncated\"\n[site.retention]\nraw_days = 758"),
            ("ru-152fz", "fields = [\"title\"]"),
        ] {
            read(preset, more).expect("allowed");
        }
    }
}
