//! `POST /privacy/request`: registers what a visitor asks for, and goes on to it.
//! `GET /privacy/request/NUMBER-CODE`: how far it has come, with the cookie or without.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use hyper::body::Body;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::data::moment;
use super::form::{self, Params};
use super::markup::{View, status};
use super::page::{Page, Unsent, without_cookie};
use super::words::Words;
use super::{
    Known, PRIVACY_PATH, REQUEST_PATH, client, desk, is_same_origin, known, refused, see_other, set_cookie,
    shown, unread_form,
};
use crate::accept::Settings;
use crate::accept::answer::{self, Answer};
use crate::accept::route::{Context, Routed};
use crate::config::Config;
use crate::event::ConsentState;
use crate::html::escape;
use crate::identify::consent::consent_cookie;
use crate::parse::client::stored_consent;
use crate::privacy::keys::KeyRing;
use crate::rights::request::Request;
use crate::rights::terms::Kind;
use crate::visitor::carry::{Standing, is_at_once, standing};
use crate::visitor::{KINDS, MAX_TEXT_CHARACTERS, Registered, WHO, Wish, ticket};

/// Takes a form that this very page sent.
pub fn ask<'a, B>(context: Context<'a>, settings: Arc<Settings>, head: Parts, body: B) -> Routed<'a>
where
    B: Body<Data = Bytes> + Unpin + 'a,
{
    if !is_same_origin(&head.headers, &settings.config.collect.public_url) {
        let view = View::of(&settings, &head.headers, &Params::default());
        let page = shown(StatusCode::FORBIDDEN, view.message(view.words.refused.forbidden));
        return Routed::Answered(answer::close(page));
    }
    Routed::Event(Box::pin(async move {
        match form::read(body, context.shared.limits.body_read).await {
            Ok(params) => asked(context, &settings, &head, &params).await,
            Err(unread) => unread_form(&settings, &head.headers, unread),
        }
    }))
}

async fn asked(context: Context<'_>, settings: &Settings, head: &Parts, params: &Params) -> Answer {
    let view = View::of(settings, &head.headers, params);
    let (words, client) = (view.words, client(&context, settings, &head.headers));
    let known = known(context.shared, &client, &view);
    let Known::Browser(browser) = &known else {
        let why = match known {
            _ if view.site.is_none() => words.several_sites,
            Known::Refused => words.kept.forged,
            _ => words.ask.no_cookie,
        };
        let inside = format!("{}{}", without_cookie(words, why), view.contact());
        return shown(StatusCode::FORBIDDEN, view.page(PRIVACY_PATH, words.ask.heading, &inside));
    };
    let desk = match desk(context.shared) {
        Ok(desk) => desk,
        Err(refusal) => return refused(&view, refusal),
    };
    // Browsers send an end of line as two signs and count it as one.
    let text = params.text.as_deref().unwrap_or_default().replace('\r', "");
    let kind = KINDS.into_iter().find(|kind| Some(kind.name()) == params.kind.as_deref());
    let is_long = text.chars().count() > MAX_TEXT_CHARACTERS;
    let Some(kind) = kind.filter(|_| !is_long) else {
        let overview = desk.overview(browser.clone()).await;
        let page = Page {
            view: &view,
            known: &known,
            is_opted_out: client.opted_out,
            overview: overview.as_ref().map_err(|refusal| *refusal),
            said: "",
            unsent: Unsent {
                why: if is_long { words.ask.long_text } else { words.ask.unknown_kind },
                kind,
                text: &text,
            },
        };
        return page.answer(context, settings, StatusCode::BAD_REQUEST);
    };
    let registered = match desk.ask(browser.clone(), Wish { kind, text }).await {
        Ok(registered) => registered,
        Err(refusal) => return refused(&view, refusal),
    };
    let Registered { request, was_open } = registered;
    let path = format!("{REQUEST_PATH}/{}", ticket::issue(&context.shared.keys, &request.number));
    let said = if was_open { "open" } else { "registered" };
    let mut answer = see_other(&view.link(&path, &[("said", said)]));
    // Whoever never agreed to marketing has agreed to nothing more by withdrawing it.
    if kind == Kind::Marketing && stored_consent(&client, &browser.site) == ConsentState::Marketing {
        set_cookie(&mut answer, &consent_cookie(&browser.site, ConsentState::Granted, settings.secure));
    }
    answer
}

/// Shows a request to whoever has its number and code.
pub fn follow<'a>(context: Context<'a>, settings: Arc<Settings>, head: &Parts, given: &str) -> Routed<'a> {
    let params = Params::parse(head.uri.query().unwrap_or_default().as_bytes());
    let mut view = View::of(&settings, &head.headers, &params);
    let Some(number) = ticket::number(&context.shared.keys, given) else {
        return Routed::Answered(unknown(&view));
    };
    let path = format!("{REQUEST_PATH}/{}", ticket::issue(&context.shared.keys, &number));
    let asked = desk(context.shared).map(|desk| desk.request(number));
    Routed::Event(Box::pin(async move {
        let found = match asked {
            Ok(asked) => asked.await,
            Err(refusal) => Err(refusal),
        };
        let request = match found {
            Ok(Some(request)) => request,
            Ok(None) => return unknown(&view),
            Err(refusal) => return refused(&view, refusal),
        };
        // It is about its own site, whatever the address says.
        view.site = settings.sites.get(&request.site).cloned();
        let words = view.words;
        let said = match params.said.as_deref() {
            Some("registered") => status(words.followed.registered),
            Some("open") => status(words.followed.was_open),
            _ => String::new(),
        };
        let title = format!("{} № {}", words.followed.title, request.number);
        let link = escape(&path);
        // As it can be written down.
        let shown_link = escape(settings.config.collect.public_url.trim_end_matches('/'));
        let inside = format!(
            "{said}{}<p>{}: <a class=\"ticket\" href=\"{link}\">{shown_link}{link}</a></p>\n<p class=\"hint\">{}</p>\n{}",
            described(words, &request, &settings.config),
            words.followed.link,
            words.followed.keep_link,
            view.contact()
        );
        shown(StatusCode::OK, view.page(&path, &title, &inside))
    }))
}

/// The requests of a browser, with a link to each.
pub fn list(view: &View, keys: &KeyRing, config: &Config, requests: &[Request]) -> String {
    let words = view.words;
    let mut html = String::from("<ul class=\"requests\">\n");
    for request in requests {
        let path = format!("{REQUEST_PATH}/{}", ticket::issue(keys, &request.number));
        html.push_str(&format!(
            "<li><p><a href=\"{}\">№ {}</a> <span class=\"state\">{}</span></p>\n<p>{}</p>\n<p class=\"soft\">{} {}</p>\n",
            escape(&view.link(&path, &[])),
            request.number,
            words.state(request.state),
            words.kind(request.kind),
            words.followed.due.to_lowercase(),
            words.date(request.due().date)
        ));
        if let Some(effect) = effect(words, request, config) {
            html.push_str(&format!("<p>{effect}</p>\n"));
        }
        if let Some(answer) = answer_of(request) {
            html.push_str(&format!("<p>{}: {}</p>\n", words.followed.answer, escape(answer)));
        }
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n");
    html
}

/// The same answer for a wrong code and for a number that there is not.
fn unknown(view: &View) -> Answer {
    shown(StatusCode::NOT_FOUND, view.message(view.words.refused.not_found))
}

/// What an officer answered; what the page itself closed is told in the reader's language.
fn answer_of(request: &Request) -> Option<&str> {
    let by_page = request.history.last().is_some_and(|last| last.who == WHO) && standing(request).is_some();
    (!request.answer.is_empty() && !by_page).then_some(request.answer.as_str())
}

fn described(words: &Words, request: &Request, config: &Config) -> String {
    let told = &words.followed;
    let zone = TimeZone::get(&request.zone).unwrap_or(TimeZone::UTC);
    let received = Timestamp::from_millisecond(request.received).unwrap_or_default();
    let mut html = String::from("<dl class=\"facts\">\n");
    let mut fact = |name: &str, value: String| {
        html.push_str(&format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
    };
    fact(told.asked, words.kind(request.kind).to_owned());
    if let Some(about) = request.about {
        fact(told.asked, format!("{} {}", told.claim_about, words.kind(about)));
    }
    fact(told.received, moment(words, received, &zone));
    let due = request.due();
    let mut until = format!("{} ({})", words.date(due.date), words.term(&due.term));
    if let Some(extension) = &request.extension {
        until.push_str(&format!("<br>{} {}", told.extended, escape(&extension.reason)));
    }
    fact(told.due, until);
    let is_over = request.is_open() && request.is_overdue(Timestamp::now().as_millisecond());
    let over = if is_over { format!(" {}", told.overdue) } else { String::new() };
    fact(told.state, format!("<span class=\"state\">{}</span>{over}", words.state(request.state)));
    if let Some(effect) = effect(words, request, config) {
        fact(told.effect, effect.to_owned());
    }
    if !request.purpose.is_empty() {
        fact(told.words, escape(&request.purpose));
    }
    if let Some(answer) = answer_of(request) {
        fact(told.answer, escape(answer));
    }
    if !request.acts.is_empty() {
        fact(told.acts, request.acts.iter().map(|act| escape(act)).collect::<Vec<_>>().join("<br>"));
    }
    html.push_str("</dl>\n");
    html
}

/// What has been done so far; nothing to say of a closed request that was answered in words.
fn effect(words: &Words, request: &Request, config: &Config) -> Option<&'static str> {
    let told = &words.followed;
    match (standing(request), request.kind) {
        (Some(Standing::Lifted), _) => Some(told.lifted),
        (Some(Standing::Done), Kind::Block) => Some(told.blocked),
        (Some(Standing::Done), Kind::Marketing) => Some(told.marketing),
        (Some(Standing::Done), _) => Some(told.erased),
        _ if !request.is_open() => None,
        (Some(Standing::Pending), kind) if is_at_once(kind, config) => Some(told.pending),
        _ => Some(told.officer),
    }
}
