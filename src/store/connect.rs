//! HTTP connections over a Unix socket, for the embedded engine.
//!
//! The host of the URL is ignored: every connection goes to one socket. A
//! connection is made anew when the engine was restarted.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// Idle connections are dropped before a server drops them (ClickHouse's own
/// default is 3 s or more), so that a request does not meet one that just went.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// A client whose every connection goes to the socket at `path`.
pub fn unix(path: &Path) -> clickhouse::Client {
    let connector = UnixConnector { path: Arc::new(path.to_owned()) };
    let http = legacy::Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_TIMEOUT).build(connector);
    clickhouse::Client::with_http_client(http).with_url("http://localhost/")
}

#[derive(Clone)]
struct UnixConnector {
    path: Arc<PathBuf>,
}

/// A stream that hyper may pool.
struct UnixConnection(UnixStream);

// === impl UnixConnector ===

impl tower_service::Service<http::Uri> for UnixConnector {
    type Response = TokioIo<UnixConnection>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let path = self.path.clone();
        Box::pin(async move { Ok(TokioIo::new(UnixConnection(UnixStream::connect(path.as_path()).await?))) })
    }
}

// === impl UnixConnection ===

impl Connection for UnixConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

// `TokioIo<T>` is a connection if `T` is; hyper wants the trait on `T` itself.
impl AsyncRead for UnixConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for UnixConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
