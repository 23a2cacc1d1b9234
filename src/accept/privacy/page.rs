//! `GET /privacy`: what is recorded, under which policy, whom to ask; the choice to be
//! counted or not; what is kept about this browser; the form of a request, and the
//! requests of this browser.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;

use super::form::Params;
use super::markup::{View, status};
use super::words::Words;
use super::{
    DATA_PATH, DOWNLOAD_PATH, Known, OPT_IN_PATH, OPT_OUT_PATH, PRIVACY_PATH, REQUEST_PATH, client, desk,
    known, request, shown,
};
use crate::accept::Settings;
use crate::accept::answer::Answer;
use crate::accept::route::{Context, Routed};
use crate::config::{Config, Consent, Fields, IpStorage, Site};
use crate::html::escape;
use crate::rights::terms::Kind;
use crate::subject::export::Format;
use crate::visitor::{KINDS, MAX_TEXT_CHARACTERS, Overview, Refusal};

/// A form that was not taken, as it was filled in.
#[derive(Default)]
pub struct Unsent<'a> {
    pub why: &'static str,
    pub kind: Option<Kind>,
    pub text: &'a str,
}

/// What the page is made of.
pub struct Page<'a> {
    pub view: &'a View,
    pub known: &'a Known,
    pub is_opted_out: bool,
    /// This browser's requests and the like; an error where they cannot be looked up now.
    pub overview: Result<&'a Overview, Refusal>,
    pub said: &'a str,
    pub unsent: Unsent<'a>,
}

/// The page. Without a cookie nothing has to be looked up.
pub fn page<'a>(context: Context<'a>, settings: Arc<Settings>, head: &Parts) -> Routed<'a> {
    let params = Params::parse(head.uri.query().unwrap_or_default().as_bytes());
    let view = View::of(&settings, &head.headers, &params);
    let client = client(&context, &settings, &head.headers);
    let is_opted_out = client.opted_out;
    let known = known(context.shared, &client, &view);
    let Known::Browser(browser) = &known else {
        let page = Page {
            view: &view,
            known: &known,
            is_opted_out,
            overview: Ok(&Overview::default()),
            said: params.said.as_deref().unwrap_or_default(),
            unsent: Unsent::default(),
        };
        return Routed::Answered(page.answer(context, &settings, StatusCode::OK));
    };
    let asked = desk(context.shared).map(|desk| desk.overview(browser.clone()));
    Routed::Event(Box::pin(async move {
        let overview = match asked {
            Ok(asked) => asked.await,
            Err(refusal) => Err(refusal),
        };
        let page = Page {
            view: &view,
            known: &known,
            is_opted_out,
            overview: overview.as_ref().map_err(|refusal| *refusal),
            said: params.said.as_deref().unwrap_or_default(),
            unsent: Unsent::default(),
        };
        page.answer(context, &settings, StatusCode::OK)
    }))
}

// === impl Page ===

impl Page<'_> {
    pub fn answer(&self, context: Context<'_>, settings: &Settings, code: StatusCode) -> Answer {
        let words = self.view.words;
        let mut html = String::new();
        match self.said {
            _ if !self.unsent.why.is_empty() => html.push_str(&status(self.unsent.why)),
            "opted-out" if self.is_opted_out => html.push_str(&status(words.choice.now_out)),
            "opted-in" if !self.is_opted_out => html.push_str(&status(words.choice.now_in)),
            _ => {}
        }
        if self.overview.is_ok_and(|overview| overview.has_incidents) {
            html.push_str(&format!(
                "<section class=\"notice\" aria-label=\"{title}\">\n<h2>{title}</h2>\n<p>{} \
                 <a href=\"{}\">{}</a></p>\n</section>\n",
                words.kept.incident_hint,
                escape(&self.view.link(DATA_PATH, &[])),
                words.kept.heading,
                title = words.kept.incident,
            ));
        }
        match &self.view.site {
            Some(state) => {
                describe(&mut html, words, &state.site);
                html.push_str(&self.view.contact());
            }
            None => html.push_str(&format!("<p>{}</p>\n", words.several_sites)),
        }
        self.choice(&mut html);
        if self.view.site.is_some() {
            self.kept(&mut html);
            self.ask(&mut html, context, &settings.config);
        }
        shown(code, self.view.page(PRIVACY_PATH, words.title, &html))
    }

    fn choice(&self, html: &mut String) {
        let words = &self.view.words.choice;
        let (state, action, button) = match self.is_opted_out {
            true => (words.opted_out, OPT_IN_PATH, words.opt_in),
            false => (words.counted, OPT_OUT_PATH, words.opt_out),
        };
        let hint = match (self.is_opted_out, self.known) {
            (false, Known::Browser(_)) => format!("<p class=\"hint\">{}</p>\n", words.hint),
            _ => String::new(),
        };
        html.push_str(&format!(
            "<section aria-labelledby=\"choice\">\n<h2 id=\"choice\">{}</h2>\n<p>{state}</p>\n{hint}\
             <form method=\"post\" action=\"{action}\">{}<button>{button}</button></form>\n</section>\n",
            words.heading,
            self.view.fields(),
        ));
    }

    fn kept(&self, html: &mut String) {
        let words = &self.view.words.kept;
        html.push_str(&format!(
            "<section aria-labelledby=\"kept\">\n<h2 id=\"kept\">{}</h2>\n",
            words.heading
        ));
        match self.known {
            Known::Browser(_) => {
                html.push_str(&format!(
                    "<p>{}</p>\n<form action=\"{DATA_PATH}\">{}<button>{}</button></form>\n",
                    words.intro,
                    self.view.fields(),
                    words.show
                ));
                html.push_str(&downloads(self.view));
            }
            Known::Nobody => html.push_str(&without_cookie(self.view.words, words.no_cookie)),
            Known::Refused => html.push_str(&without_cookie(self.view.words, words.forged)),
        }
        html.push_str("</section>\n");
    }

    fn ask(&self, html: &mut String, context: Context<'_>, config: &Config) {
        let words = &self.view.words.ask;
        html.push_str(&format!("<section aria-labelledby=\"ask\">\n<h2 id=\"ask\">{}</h2>\n", words.heading));
        match (self.known, self.overview) {
            (Known::Browser(_), Ok(Overview { requests, .. })) => {
                html.push_str(&format!("<p>{}</p>\n", words.intro));
                self.form(html, config);
                html.push_str(&format!("<h3>{}</h3>\n", words.yours));
                match requests.is_empty() {
                    true => html.push_str(&format!("<p class=\"hint\">{}</p>\n", words.none)),
                    false => html.push_str(&request::list(self.view, &context.shared.keys, config, requests)),
                }
            }
            (Known::Browser(_), Err(_)) => html.push_str(&format!("<p>{}</p>\n", words.closed)),
            _ => html.push_str(&format!("<p>{}</p>\n", words.no_cookie)),
        }
        html.push_str("</section>\n");
    }

    fn form(&self, html: &mut String, config: &Config) {
        let words = &self.view.words.ask;
        html.push_str(&format!(
            "<form method=\"post\" action=\"{REQUEST_PATH}\">{}\n<fieldset>\n<legend>{}</legend>\n",
            self.view.fields(),
            words.legend
        ));
        for (kind, [name, follows]) in KINDS.iter().zip(words.kinds) {
            let is_at_once = *kind == Kind::Erase && config.rights.erase_at_once;
            let follows = if is_at_once { words.erase_at_once } else { follows };
            let checked = if self.unsent.kind == Some(*kind) { " checked" } else { "" };
            html.push_str(&format!(
                "<div class=\"option\"><input type=\"radio\" name=\"kind\" id=\"{kind}\" value=\"{kind}\" required \
                 aria-describedby=\"{kind}-hint\"{checked}>\
                 <label for=\"{kind}\">{name}</label><p class=\"hint\" id=\"{kind}-hint\">{follows}</p></div>\n"
            ));
        }
        html.push_str(&format!(
            "</fieldset>\n<label class=\"field\" for=\"text\">{}</label>\n\
             <textarea id=\"text\" name=\"text\" rows=\"4\" maxlength=\"{MAX_TEXT_CHARACTERS}\" \
             aria-describedby=\"text-hint\">\n{}</textarea>\n\
             <p class=\"hint\" id=\"text-hint\">{}</p>\n<button>{}</button>\n</form>\n",
            words.text,
            escape(self.unsent.text),
            words.text_hint,
            words.send
        ));
    }
}

/// Links to the copies.
pub fn downloads(view: &View) -> String {
    let words = &view.words.kept;
    let mut html =
        format!("<p id=\"copy\">{}</p>\n<ul class=\"links\" aria-labelledby=\"copy\">\n", words.download);
    for (format, name) in [Format::Json, Format::Csv, Format::Html].iter().zip(words.formats) {
        let format = format.name().to_ascii_lowercase();
        let link = escape(&view.link(DOWNLOAD_PATH, &[("format", &format)]));
        html.push_str(&format!("<li><a href=\"{link}\" download>{name}</a></li>\n"));
    }
    html.push_str("</ul>\n");
    html
}

/// What can be done without a cookie, and what cannot.
pub fn without_cookie(words: &Words, why: &str) -> String {
    format!("<p>{why}</p>\n<p>{}</p>\n<p>{}</p>\n", words.kept.nobody_can, words.kept.by_contact)
}

fn describe(html: &mut String, words: &Words, site: &Site) {
    let told = &words.recorded;
    html.push_str(&format!(
        "<section aria-labelledby=\"recorded\">\n<h2 id=\"recorded\">{}</h2>\n<p>{}</p>\n<ul>\n",
        told.heading, told.intro
    ));
    for line in recorded(words, site) {
        html.push_str(&format!("<li>{line}</li>\n"));
    }
    let days = |days: u16| words.count(days.into(), words.days);
    html.push_str(&format!("</ul>\n<p>{} {}", told.kept, days(site.retention.raw_days)));
    if site.ip != IpStorage::None {
        html.push_str(&format!("; {} {}", told.kept_address, days(site.retention.ip_days)));
    }
    html.push_str(".</p>\n");
    let is_web = url::Url::parse(&site.policy_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_web {
        html.push_str(&format!("<p><a href=\"{}\">{}</a></p>\n", escape(&site.policy_url), told.policy));
    }
    if !site.policy_version.is_empty() {
        html.push_str(&format!("<p>{} {}</p>\n", told.version, escape(&site.policy_version)));
    }
    html.push_str("</section>\n");
}

/// What is recorded on the site, a line each.
fn recorded(words: &Words, site: &Site) -> Vec<&'static str> {
    let told = &words.recorded;
    let ip = match site.ip {
        IpStorage::Encrypted => told.ip[0],
        IpStorage::Truncated => told.ip[1],
        IpStorage::None => told.ip[2],
    };
    let consent = match site.consent {
        Consent::Implied => told.consent[0],
        Consent::OptIn => told.consent[1],
        Consent::Cookieless => told.consent[2],
    };
    let mut lines = told.always.to_vec();
    lines.extend([ip, consent, told.without_cookie]);
    if site.user_key_secret_file.is_some() {
        lines.push(told.user_key);
    }
    let mut fields = site.fields;
    for (name, text) in Fields::NAMES.iter().zip(told.fields) {
        if fields.flag(name).is_some_and(|collected| *collected) {
            lines.push(text);
        }
    }
    lines
}
