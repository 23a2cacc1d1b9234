//! From a request to the module that answers it.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, TRANSFER_ENCODING};
use http::{Method, Request, StatusCode, Version};
use hyper::body::Body;
use jiff::Timestamp;
use serde_json::json;

use super::answer::{self, Answer};
use super::privacy_page::{self, OPT_IN_PATH, OPT_OUT_PATH, PRIVACY_PATH, STYLE_PATH};
use super::{Settings, Shared, event, pixel, script};
use crate::accept::limits::{MAX_URL_BYTES, RETRY_UNAVAILABLE_SECONDS};
use crate::identify::consent::{Answer as Cookies, GPC_PATH, gpc_statement};
use crate::identify::sites::SiteState;
use crate::parse::report::Report;
use crate::pipeline::{self, Taken};
use crate::privacy::address::ClientIp;
use crate::refusals::Terms;
use crate::reject::Reason;
use crate::spool::Writer;

/// What answering a request needs besides the request.
pub struct Context<'a> {
    pub shared: &'a Shared,
    pub writer: &'a Writer,
    pub thread: usize,
    pub peer: IpAddr,
}

/// What a request asks for.
pub struct Target {
    pub query: String,
    /// The length of the whole target, in bytes.
    pub length: usize,
}

/// Answers a request.
pub async fn route<B>(context: &Context<'_>, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let hosts = head.headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && head.version == Version::HTTP_11) {
        return answer::close(answer::text(StatusCode::BAD_REQUEST, "exactly one Host header is needed\n"));
    }
    if !body.is_end_stream() && is_framed_oddly(&head.headers) {
        return answer::close(answer::text(StatusCode::BAD_REQUEST, "a body is chunked once, or not\n"));
    }
    let settings = context.shared.settings();
    let collect = &settings.config.collect;
    let path = head.uri.path();
    let length = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let is_read = matches!(head.method, Method::GET | Method::HEAD);

    if path == collect.pixel_path {
        if !is_read {
            return answer::close(answer::method_not_allowed("GET, HEAD"));
        }
        let target = Target { query: head.uri.query().unwrap_or_default().to_owned(), length };
        return pixel::pixel(context, &target, &head.headers).await;
    }
    if length > MAX_URL_BYTES {
        return answer::close(answer::text(StatusCode::URI_TOO_LONG, "the address is too long\n"));
    }
    if path == collect.event_path {
        return match head.method {
            Method::POST => event::event(context, &head.headers, body).await,
            Method::OPTIONS => event::preflight(&settings, &head.headers),
            _ => answer::close(answer::method_not_allowed("POST, OPTIONS")),
        };
    }
    if path == OPT_OUT_PATH || path == OPT_IN_PATH {
        return match head.method {
            Method::POST => answer::close(privacy_page::choose(&settings, &head.headers, path)),
            _ => answer::close(answer::method_not_allowed("POST")),
        };
    }
    let known =
        path == collect.script_path || matches!(path, "/health" | PRIVACY_PATH | STYLE_PATH | GPC_PATH);
    if known && !is_read {
        return answer::close(answer::method_not_allowed("GET, HEAD"));
    }
    if path == collect.script_path {
        script::script(&head.headers)
    } else if path == "/health" {
        health(context)
    } else if path == GPC_PATH {
        answer::json(StatusCode::OK, &gpc_statement(&settings.config))
    } else if path == STYLE_PATH {
        privacy_page::style()
    } else if path == PRIVACY_PATH {
        privacy_page::page(context, &settings, &head.headers, head.uri.query().unwrap_or_default())
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

// === impl Context ===

impl Context<'_> {
    /// The server's clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Takes one hit through the pipeline.
    pub fn take(
        &self,
        settings: &Settings,
        request: &pipeline::Request,
        cookies: &mut Cookies,
        report: &Report,
    ) -> Result<Taken, Reason> {
        pipeline::take(self.shared, settings, self.thread, self.writer, request, cookies, report).inspect_err(
            |reason| {
                let site = settings.sites.get(&report.site).map(|site| &**site);
                self.note_refusal(settings, site, &request.client.ip, *reason);
            },
        )
    }

    /// Awaits that a taken hit is durable.
    pub async fn durable(
        &self,
        settings: &Settings,
        request: &pipeline::Request<'_>,
        taken: Taken,
    ) -> Result<(), Reason> {
        taken
            .ticket
            .await
            .inspect_err(|reason| self.note_refusal(settings, Some(&taken.site), &request.client.ip, *reason))
    }

    /// Counts a hit that could not be read far enough to name its site.
    pub fn refuse_unread(&self, settings: &Settings, ip: &ClientIp, reason: Reason) -> Reason {
        let unknown = self.shared.counters.unknown();
        unknown.arrived();
        unknown.refused(reason);
        self.note_refusal(settings, None, ip, reason);
        reason
    }

    /// For the table of refusals; the counters have it already.
    fn note_refusal(&self, settings: &Settings, site: Option<&SiteState>, ip: &ClientIp, reason: Reason) {
        let (id, terms) = match site {
            Some(state) => (state.site.id.as_str(), Terms::of(&state.site)),
            None => ("", settings.refusal_terms),
        };
        self.shared.refusals.add(id, reason, ip, terms, &self.shared.keys, self.now());
    }
}
