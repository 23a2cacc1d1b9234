//! HTTP/2 on an encrypted connection, and its bounds.
//!
//! In: a stream on which both sides agreed on `h2`, and the service that answers
//! HTTP/1.1 too; out: the connection's end. What the service sees is the same in
//! both protocols: [`prepare`] gives a request its `Host` from `:authority`, and
//! refuses what HTTP/1.1 would have refused.
//!
//! What stands against the known attacks; the parser is the `h2` crate:
//!
//! | attack | bound |
//! |---|---|
//! | many streams | [`MAX_STREAMS`] at once; more are refused and may be tried again |
//! | rapid reset (CVE-2023-44487) | [`MAX_PENDING_RESETS`] before the connection ends; a reset stops its handler; [`MAX_REQUESTS`] in the connection's life |
//! | resets provoked by malformed streams (CVE-2025-8671, RUSTSEC-2024-0003) | [`MAX_LOCAL_RESETS`] |
//! | CONTINUATION flood (RUSTSEC-2024-0332), header bombs | `h2` bounds the frames by [`MAX_HEAD_BYTES`] and the decoded list by the same; the compression table keeps its 4 KiB |
//! | windows of zero, answers that nobody reads | bodies wait, at most [`MAX_STREAMS`] of them, until the connection is idle for too long |
//! | SETTINGS, PING, PRIORITY, WINDOW_UPDATE floods | each answer must be written before the next frame is read; they are no progress, so that the connection ends as idle |
//! | tiny DATA frames | `h2`'s budget for frames below 256 bytes |
//!
//! Nothing is pushed: no answer asks for it, and hyper has no way to.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::accept::limits::{MAX_HEAD_BYTES, MAX_HEADERS};

/// The protocol's name in ALPN.
pub const ALPN: &[u8] = b"h2";
/// Requests at once on one connection: a page sends a handful, and every answer
/// that is not read is held.
pub const MAX_STREAMS: u32 = 32;
/// Requests in the life of a connection. After them the peer is asked to open
/// another: whoever resets streams for a living pays for handshakes.
pub const MAX_REQUESTS: u32 = 10_000;
/// Streams that the peer has reset before anybody looked at them.
pub const MAX_PENDING_RESETS: usize = 20;
/// Streams that had to be reset because they were malformed, or one too many: a
/// browser that does not know [`MAX_STREAMS`] yet may open a hundred.
pub const MAX_LOCAL_RESETS: usize = 256;
/// What a peer may send of one body, and of all, before somebody reads it, in bytes.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// What is buffered of one answer, in bytes; the rest waits in the answer.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// How long a connection lives on when nothing happens.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a request.
    pub idle: Duration,
    /// After the peer was asked to end: no shorter than a request takes.
    pub parting: Duration,
}

/// What a connection's service notes of its requests.
pub struct Progress {
    began: Instant,
    /// Milliseconds from `began` to the last request.
    last: AtomicU64,
    requests: AtomicU32,
}

/// Answered without looking further.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: StatusCode,
    pub text: &'static str,
}

/// Serves one connection until it ends by itself, or is asked to: because it is
/// idle, has had [`MAX_REQUESTS`], or `stop` turned true.
pub async fn serve<I, S, E>(
    stream: I,
    executor: E,
    service: S,
    progress: &Progress,
    patience: Patience,
    mut stop: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = std::convert::Infallible>,
    S::Future: 'static,
    E: Http2ServerConnExec<S::Future, Full<Bytes>>,
{
    let connection = http2::Builder::new(executor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = std::pin::pin!(async move {
        // An error means that whoever would say stop is gone.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    loop {
        let idle_at = progress.last() + patience.idle;
        tokio::select! {
            // A broken connection is the peer's affair; nothing is left to answer.
            _ = &mut connection => return,
            () = &mut stopping => break,
            () = progress.enough() => break,
            () = sleep_until(idle_at) => {
                if progress.last() + patience.idle <= Instant::now() {
                    break;
                }
            }
        }
    }
    // The peer hears which of its requests were taken, and sends others elsewhere.
    connection.as_mut().graceful_shutdown();
    let _ = timeout(patience.parting, connection).await;
}

/// Makes a request what HTTP/1.1 would have made of it.
pub fn prepare(mut request: Request<Incoming>) -> Result<Request<Incoming>, Refused> {
    check(&mut request).map(|()| request)
}

fn check<B>(request: &mut Request<B>) -> Result<(), Refused> {
    let refuse = |status, text| Err(Refused { status, text });
    if request.headers().len() > MAX_HEADERS {
        return refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "there are too many headers\n");
    }
    if request.method() == Method::CONNECT {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "this is no proxy\n");
    }
    // RFC 9113, 8.3.1: a Host beside :authority must agree with it.
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let hosts = request.headers().get_all(HOST);
    let agrees = authority
        .is_none_or(|name| hosts.iter().all(|host| host.as_bytes().eq_ignore_ascii_case(name.as_bytes())));
    let named = hosts.iter().next().is_some();
    if !agrees || (authority.is_none() && !named) {
        return refuse(StatusCode::BAD_REQUEST, "exactly one authority is needed\n");
    }
    if !named && let Some(host) = authority.and_then(|name| HeaderValue::from_str(name).ok()) {
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

// === impl Progress ===

impl Progress {
    /// Of a connection that begins now.
    pub fn new() -> Progress {
        Progress { began: Instant::now(), last: AtomicU64::new(0), requests: AtomicU32::new(0) }
    }

    /// A request has come.
    pub fn arrived(&self) {
        let since = self.began.elapsed().as_millis();
        self.last.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
        self.requests.fetch_add(1, Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.last.load(Relaxed))
    }

    fn is_enough(&self) -> bool {
        self.requests.load(Relaxed) >= MAX_REQUESTS
    }

    /// Resolves when there were [`MAX_REQUESTS`]. It wakes nobody: a request wakes
    /// the connection beside which it is polled.
    async fn enough(&self) {
        std::future::poll_fn(|_| {
            if self.is_enough() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

impl Default for Progress {
    fn default() -> Self {
        Progress::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, hosts: &[&'static str]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).expect("a request")
    }

    #[test]
    fn the_authority_becomes_the_host_and_must_agree_with_it() {
        for (uri, hosts, expected) in [
            ("https://stats.example/pixel.gif?s=x", &[][..], Some("stats.example")),
            ("https://stats.example:8443/", &[], Some("stats.example:8443")),
            ("https://stats.example/", &["STATS.example"], Some("STATS.example")),
            ("/", &["stats.example"], Some("stats.example")),
            ("https://stats.example/", &["other.example"], None),
            ("https://stats.example/", &["stats.example", "other.example"], None),
            ("/", &[], None),
        ] {
            let mut request = request(uri, hosts);
            let outcome = check(&mut request)
                .map(|()| request.headers().get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned));
            assert_eq!(outcome.ok().flatten().as_deref(), expected, "{uri} {hosts:?}");
        }
    }

    #[test]
    fn too_many_headers_and_tunnels_are_refused() {
        let mut many = request("https://stats.example/", &[]);
        for number in 0..=MAX_HEADERS {
            let name = http::header::HeaderName::try_from(format!("x-{number}")).expect("a name");
            many.headers_mut().insert(name, HeaderValue::from_static("1"));
        }
        let refused = check(&mut many).expect_err("refused");
        assert_eq!(refused.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        let mut tunnel = request("stats.example:443", &[]);
        *tunnel.method_mut() = Method::CONNECT;
        assert_eq!(check(&mut tunnel).expect_err("refused").status, StatusCode::METHOD_NOT_ALLOWED);
    }
}
