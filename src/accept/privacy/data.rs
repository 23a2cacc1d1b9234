//! `GET /privacy/data`: what is kept about this browser; `GET /privacy/download`: a copy.
//!
//! Both are a look at one person's data, which the audit trail tells of.

use std::sync::Arc;

use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, HeaderValue};
use http::request::Parts;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::form::Params;
use super::markup::View;
use super::page::{downloads, without_cookie};
use super::words::{Language, Words};
use super::{DATA_PATH, Known, client, desk, known, refused, shown};
use crate::accept::Settings;
use crate::accept::answer::{self, Answer};
use crate::accept::route::{Context, Routed};
use crate::config::{Config, Retention};
use crate::html::escape;
use crate::identify::sites::SiteState;
use crate::incident::kinds::KINDS;
use crate::privacy::inventory::{self, Field, Place, Term};
use crate::subject::export::Format;
use crate::subject::glance::Seen;
use crate::visitor::{Browser, Kept};

/// What is kept, as a page.
pub fn kept<'a>(context: Context<'a>, settings: Arc<Settings>, head: &Parts) -> Routed<'a> {
    let params = Params::parse(head.uri.query().unwrap_or_default().as_bytes());
    let view = View::of(&settings, &head.headers, &params);
    let browser = match browser(context, &settings, head, &view) {
        Ok(browser) => browser,
        Err(answer) => return Routed::Answered(*answer),
    };
    let asked = desk(context.shared).map(|desk| desk.kept(browser));
    Routed::Event(Box::pin(async move {
        let kept = match asked {
            Ok(asked) => asked.await,
            Err(refusal) => Err(refusal),
        };
        match (kept, &view.site) {
            (Ok(kept), Some(site)) => {
                let inside = Told { view: &view, site, config: &settings.config, kept: &kept }.html();
                shown(StatusCode::OK, view.page(DATA_PATH, view.words.kept.heading, &inside))
            }
            (Ok(_), None) => refused(&view, crate::visitor::Refusal::Nobody),
            (Err(refusal), _) => refused(&view, refusal),
        }
    }))
}

/// A copy, as a file.
pub fn download<'a>(context: Context<'a>, settings: Arc<Settings>, head: &Parts) -> Routed<'a> {
    let params = Params::parse(head.uri.query().unwrap_or_default().as_bytes());
    let view = View::of(&settings, &head.headers, &params);
    let format = match params.format.as_deref() {
        Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some("html") => Format::Html,
        _ => {
            let text = "format is one of json, csv, html\n";
            return Routed::Answered(answer::text(StatusCode::BAD_REQUEST, text));
        }
    };
    let browser = match browser(context, &settings, head, &view) {
        Ok(browser) => browser,
        Err(answer) => return Routed::Answered(*answer),
    };
    let (site, today) = (browser.site.clone(), Timestamp::now().strftime("%Y-%m-%d").to_string());
    let asked = desk(context.shared).map(|desk| desk.copy(browser, format));
    Routed::Event(Box::pin(async move {
        let copy = match asked {
            Ok(asked) => asked.await,
            Err(refusal) => Err(refusal),
        };
        match copy {
            Ok(text) => {
                let (kind, ending) = match format {
                    Format::Json => ("application/json", "json"),
                    Format::Csv => ("text/csv; charset=utf-8", "csv"),
                    Format::Html => ("text/html; charset=utf-8", "html"),
                };
                let mut answer = answer::data(kind, text);
                // A site's id has letters, digits and hyphens only.
                let file = format!("attachment; filename=\"{site}-{today}.{ending}\"");
                if let Ok(value) = HeaderValue::from_str(&file) {
                    answer.headers_mut().insert(CONTENT_DISPOSITION, value);
                }
                answer
            }
            Err(refusal) => refused(&view, refusal),
        }
    }))
}

/// Whose browser it is, or the page that says that nobody can tell.
fn browser(
    context: Context<'_>,
    settings: &Settings,
    head: &Parts,
    view: &View,
) -> Result<Browser, Box<Answer>> {
    let words = view.words;
    let why = match known(context.shared, &client(&context, settings, &head.headers), view) {
        Known::Browser(browser) => return Ok(browser),
        Known::Nobody if view.site.is_none() => words.several_sites,
        Known::Nobody => words.kept.no_cookie,
        Known::Refused => words.kept.forged,
    };
    let inside = format!("{}{}", without_cookie(words, why), view.contact());
    Err(Box::new(shown(StatusCode::FORBIDDEN, view.page(DATA_PATH, words.kept.heading, &inside))))
}

/// What the page is made of.
struct Told<'a> {
    view: &'a View,
    site: &'a SiteState,
    config: &'a Config,
    kept: &'a Kept,
}

// === impl Told ===

impl Told<'_> {
    fn html(&self) -> String {
        let words = self.view.words;
        let mut html = String::new();
        for one in &self.kept.incidents {
            let text = of(words.language, &one.notice.ru, &one.notice.en);
            html.push_str(&format!(
                "<section class=\"notice\" aria-label=\"{title}\">\n<h2>{title}</h2>\n{}</section>\n",
                paragraphs(text),
                title = words.kept.incident,
            ));
        }
        self.summary(&mut html);
        if self.kept.held.rows > 0 {
            html.push_str(&downloads(self.view));
            self.kinds(&mut html);
        }
        self.elsewhere(&mut html);
        if self.kept.held.rows > 0 {
            self.hits(&mut html);
        }
        html.push_str(&self.view.contact());
        html
    }

    fn summary(&self, html: &mut String) {
        let (words, held) = (&self.view.words.kept, &self.kept.held);
        if held.rows == 0 {
            html.push_str(&format!("<p role=\"status\">{}</p>\n", words.none));
        }
        html.push_str("<dl class=\"facts\">\n");
        let mut fact = |name: &str, value: &str| {
            html.push_str(&format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
        };
        if held.rows > 0 {
            fact(words.rows, &held.rows.to_string());
            for (name, at) in [(words.first, &held.first), (words.last, &held.last)] {
                let at = at.as_deref().and_then(|text| text.parse().ok());
                fact(
                    name,
                    &at.map_or_else(String::new, |at| moment(self.view.words, at, &self.site.timezone)),
                );
            }
        }
        fact(words.block, if held.blocked { words.blocked } else { words.not_blocked });
        let disclosed = match self.kept.disclosures.is_empty() {
            true => words.disclosed_to_nobody.to_owned(),
            false => {
                let lines = self.kept.disclosures.iter().map(|one| {
                    let at = one.at.parse().unwrap_or_default();
                    format!(
                        "<li>{}: {}. {}. {} {}.{}</li>",
                        moment(self.view.words, at, &self.site.timezone),
                        escape(&one.recipient),
                        escape(&one.purpose),
                        words.basis,
                        escape(&one.basis),
                        if one.possibly { words.possibly } else { "" }
                    )
                });
                format!("<ul>{}</ul>", lines.collect::<String>())
            }
        };
        fact(words.disclosed, &disclosed);
        html.push_str(&format!(
            "</dl>\n<p class=\"hint\">{} {} {}</p>\n",
            words.without_cookie,
            words.zone,
            escape(&self.site.site.timezone).replace('_', " ")
        ));
    }

    fn kinds(&self, html: &mut String) {
        let words = self.view.words;
        html.push_str(&format!(
            "<section aria-labelledby=\"kinds\">\n<h2 id=\"kinds\">{}</h2>\n<p>{}</p>\n",
            words.kept.kinds, words.kept.kinds_intro
        ));
        for (kind, rows) in KINDS.iter().zip(self.kept.glance.rows) {
            if rows == 0 {
                continue;
            }
            let name = capitalised(of(words.language, kind.russian, kind.english));
            html.push_str(&format!(
                "<details><summary><span>{name}</span> <span class=\"soft\">{}</span></summary>\n<ul>\n",
                words.count(rows, words.hits)
            ));
            let fields =
                kind.columns.iter().filter_map(|column| inventory::field(Place::Table("hits"), column));
            for field in fields {
                let meaning = of(words.language, field.russian, field.english);
                let days = days(field, &self.site.site.retention);
                html.push_str(&format!(
                    "<li>{meaning} <span class=\"soft\">{} {}</span></li>\n",
                    words.kept.for_days,
                    words.count(days.into(), words.days)
                ));
            }
            html.push_str("</ul>\n</details>\n");
        }
        html.push_str("</section>\n");
    }

    fn elsewhere(&self, html: &mut String) {
        let words = self.view.words;
        html.push_str(&format!(
            "<section aria-labelledby=\"elsewhere\">\n<h2 id=\"elsewhere\">{}</h2>\n<ul>\n",
            words.kept.elsewhere
        ));
        for line in words.kept.elsewhere_list {
            html.push_str(&format!("<li>{line}</li>\n"));
        }
        html.push_str(&format!(
            "<li>{} {}.</li>\n</ul>\n</section>\n",
            words.kept.backups,
            words.count(self.config.backup.max_age_days.into(), words.days)
        ));
    }

    fn hits(&self, html: &mut String) {
        let words = self.view.words;
        html.push_str(&format!(
            "<section aria-labelledby=\"hits\">\n<h2 id=\"hits\">{}</h2>\n<p>{}</p>\n<ol class=\"hits\">\n",
            words.kept.hits, words.kept.hits_intro
        ));
        for hit in &self.kept.glance.hits {
            let kind = words.hit_kind(hit.get("kind"));
            html.push_str(&format!(
                "<li><p><span class=\"soft\">{}</span> · {}</p>\n<p class=\"page\">{}{}</p>\n<p class=\"soft\">{}</p></li>\n",
                moment(words, hit.at, &self.site.timezone),
                kind.unwrap_or_default(),
                escape(hit.get("host")),
                escape(hit.get("path")),
                escape(&about(words, hit))
            ));
        }
        html.push_str("</ol>\n</section>\n");
    }
}

/// What else can be read of a hit, in one line.
fn about(words: &Words, hit: &Seen) -> String {
    let joined = |names: &[&str], by: &str| {
        let parts: Vec<&str> =
            names.iter().map(|name| hit.get(name)).filter(|text| !text.is_empty()).collect();
        parts.join(by)
    };
    let told = |name: &str, text: String| if text.is_empty() { text } else { format!("{name} {text}") };
    let source = if hit.get("referrer_host").is_empty() { "source" } else { "referrer_host" };
    let parts = [
        joined(&["title"], ""),
        joined(&["name", "ad"], ", "),
        told(words.kept.from, joined(&[source], "")),
        joined(&["city", "country"], ", "),
        joined(&["network"], ""),
        joined(&["browser", "browser_version"], " "),
        joined(&["os", "os_version"], " "),
        joined(&["language"], ""),
        told(words.kept.address, joined(&["ip"], "")),
        told(words.kept.version, joined(&["policy"], "")),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// A moment for people and for programs.
pub fn moment(words: &Words, at: Timestamp, zone: &TimeZone) -> String {
    format!("<time datetime=\"{at}\">{}</time>", words.moment(at, zone))
}

/// A text whose paragraphs are told apart by empty lines, and its lines as they are.
fn paragraphs(text: &str) -> String {
    let one = |paragraph: &str| format!("<p>{}</p>\n", escape(paragraph.trim()).replace('\n', "<br>"));
    text.split("\n\n").map(one).collect()
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn of<'a>(language: Language, russian: &'a str, english: &'a str) -> &'a str {
    match language {
        Language::Russian => russian,
        Language::English => english,
    }
}

/// For how long the site keeps a field of a hit.
fn days(field: &Field, retention: &Retention) -> u16 {
    match field.term {
        Term::IpDays => retention.ip_days,
        Term::CityDays => retention.city_days,
        Term::UserKeyDays => retention.user_key_days,
        Term::PropsDays => retention.props_days,
        _ => retention.raw_days,
    }
}
