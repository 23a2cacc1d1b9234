//! From a request to the module that answers it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, StatusCode, Version};
use hyper::body::Body;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;

use super::answer::{self, Answer};
use super::{Settings, Shared, event, pixel, privacy, script};
use crate::accept::limits::{MAX_URL_BYTES, RETRY_UNAVAILABLE_SECONDS};
use crate::config::Site;
use crate::event::Client;
use crate::identify::consent::{self, Answer as Cookies, GPC_PATH, gpc_statement};
use crate::identify::sites::SiteState;
use crate::parse::report::Report;
use crate::pipeline::{self, Taken};
use crate::privacy::address::ClientIp;
use crate::refusals::{Place, Terms};
use crate::reject::Reason;
use crate::spool::{Ticket, Writer};

/// What answering a request needs besides the request.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub shared: &'a Shared,
    pub writer: &'a Writer,
    pub thread: usize,
    pub peer: IpAddr,
    /// Rung when a hit was gathered: the writer is to be flushed when all that is
    /// ready has been taken.
    pub gathered: &'a Notify,
}

/// What becomes of a request.
pub enum Routed<'a> {
    Answered(Answer),
    /// A pixel's hit, which is not durable yet.
    Pixel(pixel::Waiting),
    /// Its body is to be read, or another runtime asked.
    Event(Pin<Box<dyn Future<Output = Answer> + 'a>>),
}

/// Answers a request as far as that can be done at once.
pub fn route<'a, B>(context: Context<'a>, request: Request<B>) -> Routed<'a>
where
    B: Body<Data = Bytes> + Unpin + 'a,
{
    let (head, body) = request.into_parts();
    let settings = context.shared.settings();
    let collect = &settings.config.collect;
    let length = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if let Err(refused) = check(&head, &body) {
        return Routed::Answered(answer::close(answer::text(StatusCode::BAD_REQUEST, refused)));
    }
    if head.uri.path() == collect.pixel_path {
        return if matches!(head.method, Method::GET | Method::HEAD) {
            match pixel::pixel(&context, &settings, &head, length) {
                Ok(waiting) => Routed::Pixel(waiting),
                Err(refused) => Routed::Answered(refused.answer(&settings)),
            }
        } else {
            Routed::Answered(answer::close(answer::method_not_allowed("GET, HEAD")))
        };
    }
    if length <= MAX_URL_BYTES && head.uri.path() == collect.event_path && head.method == Method::POST {
        return Routed::Event(Box::pin(async move {
            event::event(&context, &settings, &head.headers, body).await
        }));
    }
    if length <= MAX_URL_BYTES && privacy::is_here(head.uri.path()) {
        return privacy::route(context, settings, head, body);
    }
    Routed::Answered(seldom(&context, &settings, &head, length))
}

/// What is wrong with how a request is framed.
fn check(head: &Parts, body: &impl Body) -> Result<(), &'static str> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let has_host = hosts.next().is_some();
    if hosts.next().is_some() || (!has_host && head.version == Version::HTTP_11) {
        return Err("exactly one Host header is needed\n");
    }
    if !body.is_end_stream() && is_framed_oddly(&head.headers) {
        return Err("a body is chunked once, or not\n");
    }
    Ok(())
}

/// Answers what is no hit.
fn seldom(context: &Context<'_>, settings: &Settings, head: &Parts, length: usize) -> Answer {
    let collect = &settings.config.collect;
    let path = head.uri.path();
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    if length > MAX_URL_BYTES {
        return answer::close(answer::text(StatusCode::URI_TOO_LONG, "the address is too long\n"));
    }
    if path == collect.event_path {
        return match head.method {
            Method::OPTIONS => event::preflight(settings, &head.headers),
            _ => answer::close(answer::method_not_allowed("POST, OPTIONS")),
        };
    }
    let script = match path {
        _ if path == collect.script_path => Some(script::PIXEL),
        _ if path == collect.errors_path => Some(script::ERRORS),
        _ => None,
    };
    let known = script.is_some() || matches!(path, "/health" | GPC_PATH);
    if known && !is_read {
        return answer::close(answer::method_not_allowed("GET, HEAD"));
    }
    if let Some(name) = script {
        script::script(name, &head.headers)
    } else if path == "/health" {
        health(context)
    } else if path == GPC_PATH {
        answer::json(StatusCode::OK, &gpc_statement(&settings.config))
    } else {
        // The body of a request that nobody asked for is not read.
        answer::close(answer::text(StatusCode::NOT_FOUND, "nothing is here\n"))
    }
}

/// Whether a proxy may have seen another end of the body than hyper, which looks
/// at the last coding only: anything but one `chunked`.
pub fn is_framed_oddly(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let once = codings.next().is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    !once || codings.next().is_some()
}

/// 200 while hits can be made durable, however much waits for storage.
fn health(context: &Context) -> Answer {
    let backlog = context.shared.backlog();
    let now = u64::try_from(context.now().as_millisecond()).unwrap_or_default();
    let backlog = json!({
        "rows": backlog.rows,
        "batches": backlog.batches,
        "bytes": backlog.bytes,
        "oldest_seconds": backlog.oldest.map(|oldest| now.saturating_sub(oldest) / 1000),
    });
    match context.writer.health() {
        Ok(()) => answer::json(StatusCode::OK, &json!({"status": "ok", "backlog": backlog})),
        Err(reason) => {
            let body = json!({"status": "unavailable", "reason": reason.name(), "backlog": backlog});
            let mut answer = answer::json(StatusCode::SERVICE_UNAVAILABLE, &body);
            answer::retry_after(&mut answer, RETRY_UNAVAILABLE_SECONDS);
            answer
        }
    }
}

/// The address that a refusal is summed by: none of whoever opted out, or sent a signal for which
/// the site drops hits (any site, where the hit is of none), whatever it was refused for.
fn told_apart<'a>(
    settings: &Settings,
    site: Option<&SiteState>,
    client: &'a Client,
    reason: Reason,
) -> Option<&'a ClientIp> {
    let is_dropped = |site: &Site| consent::is_dropped_by_signal(site, client);
    let is_signalled = match site {
        Some(state) => is_dropped(&state.site),
        None => settings.config.sites.iter().any(is_dropped),
    };
    // An officer's opt-out is known by the cookie, which only the pipeline looks up.
    let is_nobodys = client.opted_out || is_signalled || reason == Reason::OptedOut;
    (!is_nobodys).then_some(&client.ip)
}

// === impl Context ===

impl Context<'_> {
    /// The server's clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Takes one hit through the pipeline.
    pub fn take<'a>(
        &self,
        settings: &'a Settings,
        request: &pipeline::Request,
        cookies: &mut Cookies,
        report: &Report,
    ) -> Result<Taken<'a>, Reason> {
        let taken = pipeline::take(self.shared, settings, self.thread, self.writer, request, cookies, report);
        match &taken {
            Ok(_) => self.gathered.notify_one(),
            Err(reason) => {
                let site = settings.sites.get(&report.site).map(|site| &**site);
                self.note_refusal(
                    settings,
                    site,
                    told_apart(settings, site, request.client, *reason),
                    *reason,
                );
            }
        }
        taken
    }

    /// Awaits that a taken hit is durable. It was taken, so its sender may be told apart.
    pub async fn durable(
        &self,
        settings: &Settings,
        site: &SiteState,
        ip: &ClientIp,
        ticket: Ticket,
    ) -> Result<(), Reason> {
        ticket.await.inspect_err(|reason| self.note_refusal(settings, Some(site), Some(ip), *reason))
    }

    /// What visitors said anew ends what an officer had noted for them, before they are
    /// answered. It waits for the disk, which happens once for each such note.
    pub async fn renew(&self, cookies: &Cookies) {
        if cookies.renewed.is_empty() {
            return;
        }
        let (choices, renewed) = (self.shared.choices.clone(), cookies.renewed.clone());
        let done = tokio::task::spawn_blocking(move || choices.end_no_marketing(&renewed)).await;
        if let Ok(Err(error)) = done {
            tracing::error!(%error, "a new consent to marketing was not noted: it counts for this hit only");
        }
    }

    /// Counts a hit that could not be read far enough to name its site.
    pub fn refuse_unread(&self, settings: &Settings, client: &Client, reason: Reason) -> Reason {
        let unknown = self.shared.counters.unknown();
        unknown.arrived();
        unknown.refused(reason);
        self.note_refusal(settings, None, told_apart(settings, None, client, reason), reason);
        reason
    }

    /// For the table of refusals; the counters have it already.
    fn note_refusal(
        &self,
        settings: &Settings,
        site: Option<&SiteState>,
        ip: Option<&ClientIp>,
        reason: Reason,
    ) {
        let (id, terms) = match site {
            Some(state) => (state.site.id.as_str(), Terms::of(&state.site)),
            None => ("", settings.refusal_terms),
        };
        let place = || ip.map(|ip| self.place(ip)).unwrap_or_default();
        self.shared.refusals.add(id, reason, ip, terms, &self.shared.keys, place, self.now());
    }

    fn place(&self, ip: &ClientIp) -> Place {
        let places = self.shared.enricher.places();
        let place = places.locate(ip);
        Place { asn: place.asn, country: place.country.into_owned() }
    }
}
