//! A client that speaks HTTP/1.1 or HTTP/2 over TLS and trusts what it is told to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::pem::Pair;

pub const H1: &[u8] = b"http/1.1";
pub const H2: &[u8] = b"h2";

/// Whom to ask, and how.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub config: Arc<ClientConfig>,
    pub name: &'static str,
    /// Sent before TLS begins.
    pub before: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A connection on which requests can be sent.
pub enum Sender {
    One(conn::http1::SendRequest<Full<Bytes>>),
    Two(conn::http2::SendRequest<Full<Bytes>>),
}

// === impl Client ===

impl Client {
    /// Trusts this certificate only, for `name`.
    pub fn new(address: SocketAddr, trusted: &Pair, name: &'static str, protocols: &[&[u8]]) -> Client {
        Client::with_versions(address, trusted, name, protocols, ALL_VERSIONS)
    }

    pub fn with_versions(
        address: SocketAddr,
        trusted: &Pair,
        name: &'static str,
        protocols: &[&[u8]],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(trusted.der())).expect("a certificate that can be trusted");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Client { address, config: Arc::new(config), name, before: Vec::new() }
    }

    /// Connects and shakes hands.
    pub async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&self.before).await?;
        let name = ServerName::try_from(self.name).expect("a name");
        TlsConnector::from(self.config.clone()).connect(name, stream).await
    }

    /// A connection in the protocol that was agreed on.
    pub async fn open(&self) -> io::Result<Sender> {
        let stream = self.connect().await?;
        let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let stream = TokioIo::new(stream);
        if protocol.as_deref() == Some(H2) {
            let (sender, connection) =
                conn::http2::handshake(TokioExecutor::new(), stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            return Ok(Sender::Two(sender));
        }
        let (sender, connection) = conn::http1::handshake(stream).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Sender::One(sender))
    }

    /// One request on its own connection.
    pub async fn get(&self, target: &str) -> io::Result<Reply> {
        self.open().await?.get(self.name, target).await
    }
}

// === impl Sender ===

impl Sender {
    pub async fn get(&mut self, host: &str, target: &str) -> io::Result<Reply> {
        self.send(host, Request::builder().method(Method::GET), target, Bytes::new()).await
    }

    pub async fn send(
        &mut self,
        host: &str,
        request: hyper::http::request::Builder,
        target: &str,
        body: Bytes,
    ) -> io::Result<Reply> {
        let request = request.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.0.0");
        let body = Full::new(body);
        let answer = match self {
            Sender::One(sender) => {
                let request = request.uri(target).header("host", host).body(body).expect("a request");
                sender.send_request(request).await
            }
            Sender::Two(sender) => {
                let request = request.uri(format!("https://{host}{target}")).body(body).expect("a request");
                sender.send_request(request).await
            }
        };
        Reply::read(answer.map_err(io::Error::other)?).await
    }
}

// === impl Reply ===

impl Reply {
    async fn read(answer: Response<Incoming>) -> io::Result<Reply> {
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Reply { status: parts.status, version: parts.version, headers: parts.headers, body })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
