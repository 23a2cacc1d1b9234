//! TLS where no proxy ends it, on the collect and on the web address.
//!
//! In: the two PEM files that the configuration names; a connection. Out: the
//! encrypted stream, and which protocol both sides agreed on.
//!
//! TLS 1.2 and 1.3 by rustls; ALPN offers `h2` and `http/1.1`, and a client
//! without ALPN gets HTTP/1.1. Sessions are resumed by tickets, whose keys live
//! in memory and outlive a change of certificate. There is no early data: whoever
//! recorded it could send a hit again. Client certificates are not asked for.
//!
//! A new certificate is taken without a restart: at `SIGHUP`, and within
//! [`LOOK_EVERY`] of a change to either file. Files that do not fit together or
//! cannot be read leave the old certificate in force and are an error in the log,
//! once for each state of the files. Open connections keep what they began with.
//!
//! - [`files`]: from the two files to a certificate and its key, or what is wrong
//! - [`validity`]: from when to when a certificate is valid, read from its DER
//! - [`http2`]: HTTP/2 on the encrypted stream, and its bounds

pub mod files;
pub mod http2;
pub mod validity;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{ProducesTickets, ServerConfig};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::server::TlsStream;

use crate::config::TlsFiles;
pub use files::{Certificate, TlsError, Versions};

/// How often the files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long a handshake may take: three round trips on a bad mobile line.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// One address's certificate in force, and its replacement.
pub struct Terminator {
    /// The address in messages: `collect` or `web`.
    name: &'static str,
    files: TlsFiles,
    tickets: Arc<dyn ProducesTickets>,
    in_force: ArcSwap<InForce>,
    /// The state of the files that was tried last.
    tried: Mutex<Option<Versions>>,
}

/// A certificate that was loaded and is not in force yet.
pub struct Loaded {
    in_force: InForce,
    versions: Option<Versions>,
}

struct InForce {
    config: Arc<ServerConfig>,
    expires: Timestamp,
}

/// An encrypted connection.
pub enum Accepted<S> {
    Http1(TlsStream<S>),
    Http2(TlsStream<S>),
}

// === impl Terminator ===

impl Terminator {
    /// Loads what the configuration names for the address `name`.
    pub fn open(name: &'static str, files: &TlsFiles) -> Result<Arc<Terminator>, TlsError> {
        let tickets = ring::Ticketer::new().map_err(|_| TlsError::NoRandomness)?;
        let loaded = load(files, &tickets)?;
        warn_of_dates(name, &loaded);
        Ok(Arc::new(Terminator {
            name,
            files: files.clone(),
            tickets,
            in_force: ArcSwap::from_pointee(loaded.in_force),
            tried: Mutex::new(loaded.versions),
        }))
    }

    /// `collect` or `web`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// When the certificate in force expires.
    pub fn expires(&self) -> Timestamp {
        self.in_force.load().expires
    }

    /// Shakes hands; `None` if that fails or takes longer than [`HANDSHAKE`].
    pub async fn accept<S>(&self, stream: S) -> Option<Accepted<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.in_force.load().config.clone());
        // Whose fault it was is the peer's affair: it gets the alert.
        let stream = timeout(HANDSHAKE, acceptor.accept(stream)).await.ok()?.ok()?;
        Some(match stream.get_ref().1.alpn_protocol() {
            Some(protocol) if protocol == http2::ALPN => Accepted::Http2(stream),
            _ => Accepted::Http1(stream),
        })
    }

    /// Loads the files as they are now.
    pub fn load(&self) -> Result<Loaded, TlsError> {
        load(&self.files, &self.tickets)
    }

    /// Puts a certificate in force for the connections to come.
    pub fn take(&self, loaded: Loaded) {
        warn_of_dates(self.name, &loaded);
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = loaded.versions;
        self.in_force.store(Arc::new(loaded.in_force));
    }

    /// Takes the files over if they are others than those tried last, and says
    /// in the log what came of it.
    pub fn look(&self) {
        let versions = Versions::of(&self.files).ok();
        let known = {
            let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *tried, versions) == versions
        };
        if known {
            return;
        }
        match self.load() {
            Ok(loaded) => {
                let expires = loaded.in_force.expires;
                self.take(loaded);
                tracing::info!(address = self.name, %expires, "a new certificate is in force");
            }
            Err(error) => {
                tracing::error!(address = self.name, %error, "the old certificate stays in force");
            }
        }
    }
}

fn load(files: &TlsFiles, tickets: &Arc<dyn ProducesTickets>) -> Result<Loaded, TlsError> {
    // Looked at first: a change while they are read is found by the next look.
    let versions = Versions::of(files).ok();
    let Certificate { chain, key, validity, .. } = Certificate::read(files)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| files::judged(files, error))?;
    config.alpn_protocols = vec![http2::ALPN.to_vec(), b"http/1.1".to_vec()];
    config.ticketer = tickets.clone();
    config.max_early_data_size = 0;
    Ok(Loaded { in_force: InForce { config: Arc::new(config), expires: validity.until }, versions })
}

/// A certificate out of date is served all the same: the clock may be wrong, and
/// visitors' browsers judge by their own.
fn warn_of_dates(name: &str, loaded: &Loaded) {
    let expires = loaded.in_force.expires;
    if expires <= Timestamp::now() {
        tracing::error!(address = name, %expires, "the certificate has expired: browsers refuse it");
    }
}
