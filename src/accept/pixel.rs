//! `GET` pixel path: one hit in the query, always answered with the image.
//!
//! All but the wait for the disk is done at once ([`pixel`]); what waits for it
//! ([`Waiting`]) is small, since there may be thousands.

use std::sync::Arc;

use http::HeaderMap;
use http::header::REFERER;
use http::request::Parts;
use jiff::civil::Date;

use super::Settings;
use super::answer::{self, Answer};
use super::limits::MAX_URL_BYTES;
use super::route::Context;
use crate::identify::consent::Answer as Cookies;
use crate::identify::sites::SiteState;
use crate::parse;
use crate::pipeline;
use crate::privacy::address::ClientIp;
use crate::reject::Reason;
use crate::spool::Ticket;

/// A hit that is not durable yet, and what its answer needs.
pub struct Waiting {
    ticket: Ticket,
    settings: Arc<Settings>,
    site: Arc<SiteState>,
    ip: ClientIp,
    today: Date,
    note: Option<Reason>,
    cookies: Cookies,
}

/// A hit that was refused.
pub struct Refused {
    reason: Reason,
    /// The officer opted this browser out, and it is told so.
    opt_out: bool,
}

/// Takes the hit in the query of a request whose whole target has `length` bytes.
pub fn pixel(
    context: &Context<'_>,
    settings: &Arc<Settings>,
    head: &Parts,
    length: usize,
) -> Result<Waiting, Refused> {
    let client = parse::client::client(context.peer, &head.headers, &settings.config.collect);
    let request = pipeline::Request::new(&client, referer(&head.headers), context.now());
    let mut cookies = Cookies::default();
    let mut decoded = Vec::new();
    let report = if length > MAX_URL_BYTES {
        Err(Reason::TooLarge)
    } else {
        parse::query::parse(head.uri.query().unwrap_or_default(), &mut decoded)
    };
    let taken = match &report {
        Ok(report) => context.take(settings, &request, &mut cookies, report),
        Err(reason) => Err(context.refuse_unread(settings, &client, *reason)),
    };
    let taken = taken.map_err(|reason| Refused { reason, opt_out: cookies.opt_out })?;
    cookies.minted_is_stored = taken.minted;
    Ok(Waiting {
        ticket: taken.ticket,
        site: taken.site.clone(),
        settings: settings.clone(),
        ip: client.ip,
        today: request.today,
        note: taken.note,
        cookies,
    })
}

/// The `Referer` header, if it is text.
pub fn referer(headers: &HeaderMap) -> Option<&str> {
    headers.get(REFERER).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
}

// === impl Refused ===

impl Refused {
    pub fn answer(self, settings: &Settings) -> Answer {
        let mut answer = answer::pixel(self.reason.name());
        if self.opt_out {
            answer::opt_out(&mut answer, settings);
        }
        answer
    }
}

// === impl Waiting ===

impl Waiting {
    /// The answer, once the hit is durable.
    pub async fn answer(self, context: &Context<'_>) -> Answer {
        let Waiting { ticket, settings, site, ip, today, note, cookies } = self;
        match context.durable(&settings, &site, &ip, ticket).await {
            Ok(()) => {
                context.renew(&cookies).await;
                let mut answer = answer::pixel(note.map_or("ok", Reason::name));
                answer::set_cookies(&mut answer, &cookies, context.shared, &settings, today);
                answer
            }
            Err(reason) => answer::pixel(reason.name()),
        }
    }
}
