//! A report becomes a hit, once its site is known: addresses are read, text is
//! cleaned, scrubbed and cut, what the site does not collect is dropped, and
//! pages are grouped by the site's path rules.
//!
//! Every text of a [`Hit`] that a page has a say in comes from
//! [`super::hygiene`], here or in [`super::page`]; the test below takes a hit
//! apart field by field, so that a new one has to be thought of.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use super::report::{MAX_URL_BYTES, Report, may_be_zone};
use super::text::clean;
use super::{hygiene, page, script_error};
use crate::config::Site;
use crate::event::{
    ConsentState, Hit, Kind, MAX_NAME_BYTES, MAX_PROP_VALUE_BYTES, MAX_TITLE_BYTES, MAX_USER_KEY_BYTES, Props,
};
use crate::reject::Reason;

/// The name of the event that the script sends for a link to another site.
pub const OUTBOUND: &str = "outbound";
/// The name of the event that the script sends for a file.
pub const DOWNLOAD: &str = "download";
/// `KEY.MAC`: the key's bound, a dot, 64 hex digits.
const MAX_USER_KEY_FIELD_BYTES: usize = MAX_USER_KEY_BYTES + 1 + 64;

/// Time zone names that are taken from a page: exactly those of the IANA database.
static TIME_ZONES: LazyLock<HashSet<String>> =
    LazyLock::new(|| jiff::tz::db().available().map(|name| name.to_string()).collect());

/// Makes the hit of `report` on `site`. `header` is the `Referer` header, which
/// is the page when the report names none.
pub fn hit<'a>(report: &'a Report, header: Option<&'a str>, site: &Site) -> Result<Hit<'a>, Reason> {
    let address = report.page.as_deref().or(header).ok_or(Reason::BadRequest)?;
    let mut page = page::page(address, site)?;
    // The title of a grouped page says which of the group it is.
    let is_grouped = site.path_rules.apply(&mut page.path);
    let referrer = page::referrer(&report.referrer, site)?;
    let kind = report.kind.unwrap_or(Kind::Pageview);
    let ad = name(&report.ad)?;
    let name = match kind {
        Kind::Error => error_name(&report.name, site)?,
        _ => name(&report.name)?,
    };
    let fields = site.fields;

    let complete = match kind {
        Kind::Pageview => true,
        Kind::Event => !name.is_empty(),
        Kind::AdView | Kind::AdViewable | Kind::AdClick => !ad.is_empty(),
        Kind::Engagement => fields.engaged || fields.scroll,
        Kind::Consent => report.consent.is_some(),
        Kind::Error => true,
    };
    let collected = match (kind, &*name) {
        (Kind::Event, OUTBOUND) => fields.outbound,
        (Kind::Event, DOWNLOAD) => fields.downloads,
        (Kind::Error, _) => fields.errors,
        _ => true,
    };
    if !complete || !collected {
        return Err(Reason::BadRequest);
    }
    if report.user_key.len() > MAX_USER_KEY_FIELD_BYTES {
        return Err(Reason::TooLarge);
    }
    Ok(Hit {
        kind,
        page,
        referrer,
        title: kept(fields.title && !is_grouped, || hygiene::kept("", &report.title, MAX_TITLE_BYTES)),
        // An error is its class and its place.
        props: if kind == Kind::Error { Props::new() } else { props(report, kind, &name, site)? },
        name,
        ad,
        width: if fields.width { report.width } else { 0 },
        engaged_ms: if fields.engaged { report.engaged_ms } else { 0 },
        scroll: report.scroll.filter(|_| fields.scroll),
        timezone: if fields.timezone && is_zone(&report.timezone) { &report.timezone } else { "" },
        user_key: &report.user_key,
        consent: report.consent.unwrap_or(ConsentState::Unstated),
        id: report.id,
        impossible: report.engaged_impossibly || !may_be_zone(&report.timezone),
    })
}

fn kept<'a>(field: bool, text: impl FnOnce() -> Cow<'a, str>) -> Cow<'a, str> {
    if field { text() } else { Cow::Borrowed("") }
}

fn is_zone(name: &str) -> bool {
    !name.is_empty() && TIME_ZONES.contains(name)
}

/// A name is not cut, because a cut name would be another name. (A scrubbed one
/// may be: it is another name already.)
fn name(text: &str) -> Result<Cow<'_, str>, Reason> {
    let cleaned = clean(text);
    if cleaned.len() > MAX_NAME_BYTES {
        return Err(Reason::TooLarge);
    }
    Ok(hygiene::kept_of("", cleaned, MAX_NAME_BYTES))
}

/// The name of an error is of one form.
fn error_name<'a>(text: &'a str, site: &Site) -> Result<Cow<'a, str>, Reason> {
    if text.len() > MAX_NAME_BYTES {
        return Err(Reason::TooLarge);
    }
    script_error::kept(text, site).ok_or(Reason::BadRequest)
}

fn props<'a>(report: &'a Report, kind: Kind, event: &str, site: &Site) -> Result<Props<'a>, Reason> {
    let is_link = kind == Kind::Event && (event == OUTBOUND || event == DOWNLOAD);
    let mut props = Props::with_capacity(report.props.len());
    for (index, (raw, value)) in report.props.iter().enumerate() {
        let key = name(raw)?;
        let cleaned = clean(raw);
        if key.is_empty() || report.props[..index].iter().any(|(other, _)| clean(other) == cleaned) {
            return Err(Reason::BadRequest);
        }
        // Names that differed only in what was taken out: the first stays.
        if props.iter().any(|(known, _)| *known == key) {
            continue;
        }
        // The link's own address belongs to the field that collects links.
        let is_target = is_link && key == "url";
        if !is_target && !site.fields.props {
            continue;
        }
        let value = if is_target {
            if value.len() > MAX_URL_BYTES {
                return Err(Reason::TooLarge);
            }
            Cow::Owned(page::target(value, site, MAX_PROP_VALUE_BYTES))
        } else {
            let grouped = page::own_path(value, site).map(Cow::Owned);
            grouped.unwrap_or_else(|| hygiene::kept(&key, value, MAX_PROP_VALUE_BYTES))
        };
        props.push((key, value));
    }
    Ok(props)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fields;

    fn site(fields: Fields) -> Site {
        Site { fields, ..Site::with_defaults("clinic", &["clinic.example"]) }
    }

    fn report(kind: Kind) -> Report<'static> {
        Report { page: Some("https://clinic.example/".into()), kind: Some(kind), ..Report::default() }
    }

    #[test]
    fn every_kind_needs_what_it_is_about() {
        let all = site(Fields::ALL);
        for (kind, complete) in [
            (Kind::Pageview, true),
            (Kind::Engagement, true),
            (Kind::Event, false),
            (Kind::AdView, false),
            (Kind::AdViewable, false),
            (Kind::AdClick, false),
            (Kind::Consent, false),
            (Kind::Error, false),
        ] {
            assert_eq!(hit(&report(kind), None, &all).is_ok(), complete, "{}", kind.name());
        }
        let control_only = Report { name: "\u{0}\n".into(), ..report(Kind::Event) };
        assert_eq!(hit(&control_only, None, &all).err(), Some(Reason::BadRequest));
    }

    #[test]
    fn what_the_site_does_not_collect_is_dropped_or_refused() {
        let full = Report {
            title: "t".into(),
            props: vec![("a".into(), "b".into())],
            width: 100,
            engaged_ms: 5,
            scroll: Some(7),
            timezone: "Europe/Moscow".into(),
            ..report(Kind::Pageview)
        };
        let none = hit(&full, None, &site(Fields::NONE)).expect("kept");
        assert_eq!(
            (&*none.title, none.props.len(), none.width, none.engaged_ms, none.scroll, none.timezone),
            ("", 0, 0, 0, None, "")
        );
        let all = hit(&full, None, &site(Fields::ALL)).expect("kept");
        assert_eq!(
            (&*all.title, all.props.len(), all.width, all.engaged_ms, all.scroll, all.timezone),
            ("t", 1, 100, 5, Some(7), "Europe/Moscow")
        );
        for (report, fields) in [
            (report(Kind::Engagement), Fields::NONE),
            (
                Report { name: OUTBOUND.into(), ..report(Kind::Event) },
                Fields { outbound: false, ..Fields::ALL },
            ),
            (
                Report { name: DOWNLOAD.into(), ..report(Kind::Event) },
                Fields { downloads: false, ..Fields::ALL },
            ),
            (
                Report { name: "TypeError".into(), ..report(Kind::Error) },
                Fields { errors: false, ..Fields::ALL },
            ),
        ] {
            assert_eq!(hit(&report, None, &site(fields)).err(), Some(Reason::BadRequest));
        }
    }

    #[test]
    fn an_error_keeps_its_class_and_its_place_only() {
        let all = site(Fields::ALL);
        let told = Report {
            name: "TypeError /js/0f3a9c21b4d5e6f708.js:12".into(),
            props: vec![("message".into(), "Anna is not a function".into())],
            ..report(Kind::Error)
        };
        let kept = hit(&told, None, &all).expect("kept");
        assert_eq!((&*kept.name, kept.props.len()), ("TypeError /js/[token].js:12", 0));
        let message = Report { name: "TypeError: Anna is not a function".into(), ..report(Kind::Error) };
        assert_eq!(hit(&message, None, &all).err(), Some(Reason::BadRequest));
    }

    #[test]
    fn names_are_bounded_and_text_is_cut() {
        let all = site(Fields::ALL);
        let long = "я".repeat(MAX_TITLE_BYTES);
        let titled =
            Report { title: long.as_str().into(), timezone: "Mars/Olympus".into(), ..report(Kind::Pageview) };
        let titled = hit(&titled, None, &all).expect("kept");
        assert_eq!((titled.title.len(), titled.timezone), (MAX_TITLE_BYTES, ""));
        for oversized in [
            Report { name: long.as_str().into(), ..report(Kind::Event) },
            Report { ad: long.as_str().into(), ..report(Kind::AdView) },
            Report { props: vec![(long.as_str().into(), "x".into())], ..report(Kind::Pageview) },
            Report { user_key: long.as_str().into(), ..report(Kind::Pageview) },
        ] {
            assert_eq!(hit(&oversized, None, &all).err(), Some(Reason::TooLarge));
        }
    }

    #[test]
    fn what_cannot_have_been_measured_is_impossible_and_kept() {
        let all = site(Fields::ALL);
        for (zone, engaged_impossibly, expected) in [
            ("", false, false),
            ("Europe/Moscow", false, false),
            // Newer than our database, or without a name.
            ("America/Coyhaique", false, false),
            ("Etc/GMT-14", false, false),
            ("+05:45", false, false),
            ("Europe/Moscow", true, true),
            ("<script>", false, true),
            ("Europe/Moscow\u{0}", false, true),
            ("Москва", false, true),
            (&"a".repeat(65), false, true),
        ] {
            let told = Report { timezone: zone.into(), engaged_impossibly, ..report(Kind::Engagement) };
            assert_eq!(hit(&told, None, &all).expect("kept").impossible, expected, "{zone:?}");
        }
    }

    #[test]
    fn the_referer_header_is_the_page_when_none_is_named() {
        let bare = Report::default();
        assert_eq!(
            hit(&bare, Some("https://clinic.example/a"), &site(Fields::ALL)).expect("kept").page.path,
            "/a"
        );
        assert_eq!(hit(&bare, None, &site(Fields::ALL)).err(), Some(Reason::BadRequest));
    }

    #[test]
    fn links_keep_their_target_without_its_query() {
        let link = Report {
            name: OUTBOUND.into(),
            props: vec![("url".into(), "https://vk.com/a?token=1".into()), ("x".into(), "y".into())],
            ..report(Kind::Event)
        };
        let fields = Fields { props: false, ..Fields::ALL };
        let kept = hit(&link, None, &site(fields)).expect("kept");
        assert_eq!(kept.props, [("url".into(), "https://vk.com/a".into())]);
    }

    /// Every text of a hit: one that is added must be listed here.
    fn texts<'a>(hit: &'a Hit) -> Vec<(&'static str, &'a str)> {
        let Hit {
            kind: _,
            page,
            referrer,
            title,
            name,
            props,
            ad,
            width: _,
            engaged_ms: _,
            scroll: _,
            timezone,
            // Verified and hashed; never stored as it came.
            user_key: _,
            consent: _,
            id: _,
            impossible: _,
        } = hit;
        let crate::event::Page { host: _, path, query, utm, paid_click: _ } = page;
        let crate::event::Referrer { host: _, path: referrer_path } = referrer;
        let crate::event::Utm { source, medium, campaign, content, term } = utm;
        let mut texts = vec![
            ("path", &**path),
            ("query", query),
            ("utm_source", source),
            ("utm_medium", medium),
            ("utm_campaign", campaign),
            ("utm_content", content),
            ("utm_term", term),
            ("referrer_path", referrer_path),
            ("title", title),
            ("name", name),
            ("ad", ad),
            ("timezone", timezone),
        ];
        texts.extend(props.iter().flat_map(|(key, value)| [("a property", &**key), ("a value", value)]));
        texts
    }

    #[test]
    fn no_text_of_a_hit_keeps_what_hygiene_takes_out() {
        let mut all = site(Fields::ALL);
        all.query_parameters = vec!["q".to_owned()];
        let secret = "canary@example.ru";
        let address = |path: &str| {
            let utm: String = ["source", "medium", "campaign", "content", "term"]
                .map(|key| format!("&utm_{key}={secret}"))
                .concat();
            format!("https://{path}/{secret}/?q={secret}{utm}")
        };
        for (kind, event) in [(Kind::Event, secret), (Kind::Event, OUTBOUND), (Kind::AdView, "")] {
            let report = Report {
                page: Some(address("clinic.example").into()),
                referrer: address("other.example").into(),
                title: secret.into(),
                name: event.into(),
                ad: secret.into(),
                timezone: secret.into(),
                props: vec![
                    ("url".into(), address("other.example").into()),
                    (secret.into(), secret.into()),
                    (format!("{secret}x").into(), "dropped".into()),
                ],
                ..report(kind)
            };
            let hit = hit(&report, None, &all).expect("kept");
            let texts = texts(&hit);
            let kept: Vec<_> = texts.iter().filter(|(_, text)| text.contains("canary")).collect();
            assert!(kept.is_empty(), "{kept:?}");
            let marked = texts.iter().filter(|(_, text)| text.contains("[email]")).count();
            assert!(marked >= 12, "{texts:?}");
            assert_eq!(hit.props.len(), 2, "the second of two names that became one is dropped");
        }
    }

    #[test]
    fn a_grouped_page_keeps_neither_path_nor_title() {
        let mut grouped = site(Fields::ALL);
        grouped.path_rules = crate::config::PathRules::read(&["/doctors/** => /doctors/:doctor"]).0;
        let report = |name: &'static str, props: &[(&'static str, &'static str)]| Report {
            page: Some("https://clinic.example/%64octors/ivanova/?utm_source=vk".into()),
            referrer: "https://other.example/doctors/ivanova".into(),
            title: "Ivanova".into(),
            name: name.into(),
            props: props.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            ..report(Kind::Event)
        };
        let props = [
            ("path", "/doctors/%69vanova?x=1"),
            ("url", "/doctors/ivanova"),
            ("other", "/prices/2024"),
            ("text", "see /doctors/ivanova"),
        ];
        let missing = report("404", &props);
        let event = hit(&missing, None, &grouped).expect("kept");
        assert_eq!((&*event.page.path, &*event.title), ("/doctors/:doctor", ""));
        assert_eq!(&*event.page.utm.source, "vk");
        assert_eq!(&*event.referrer.path, "/doctors/ivanova", "another site's paths are its own");
        let values: Vec<&str> = event.props.iter().map(|(_, value)| &**value).collect();
        assert_eq!(values, ["/doctors/:doctor", "/doctors/:doctor", "/prices/2024", "see /doctors/ivanova"]);
        for (url, stored) in [
            ("https://clinic.example/doctors/ivanova/diploma.pdf", "https://clinic.example/doctors/:doctor"),
            ("clinic.example/doctors/ivanova/diploma.pdf", "clinic.example/doctors/:doctor"),
            ("https://other.example/doctors/ivanova", "https://other.example/doctors/ivanova"),
        ] {
            let link = Report { props: vec![("url".into(), url.into())], ..report(DOWNLOAD, &[]) };
            assert_eq!(hit(&link, None, &grouped).expect("kept").props[0].1, stored);
        }
        let elsewhere = Report { page: Some("https://clinic.example/doctors/".into()), ..report("x", &[]) };
        let elsewhere = hit(&elsewhere, None, &grouped).expect("kept");
        assert_eq!((&*elsewhere.page.path, &*elsewhere.title), ("/doctors/", "Ivanova"));
    }
}
