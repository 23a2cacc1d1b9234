//! Bare hyper: one thread, one fixed image, nothing else. What it costs is what
//! HTTP costs; the rest of a hit is Metka's own.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::Context;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use metka::accept::answer::PIXEL;

use super::process::Running;

/// `load bare`: serves until it is killed; prints its address first.
pub fn bare() -> anyhow::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    serve(listener)
}

/// Starts `load bare` as a process of its own, and says where it listens.
pub fn start() -> anyhow::Result<(Running, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("bare")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("piped")?;
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok((running, line.trim().parse().with_context(|| format!("expected an address, found {line:?}"))?))
}

/// Serves for good.
pub fn serve(listener: std::net::TcpListener) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(async move {
                let service = service_fn(|_| async {
                    let mut answer = Response::new(Full::new(Bytes::from_static(&PIXEL)));
                    answer.headers_mut().insert("content-type", http::HeaderValue::from_static("image/gif"));
                    Ok::<_, Infallible>(answer)
                });
                // A connection that breaks is the generator's to report.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}
