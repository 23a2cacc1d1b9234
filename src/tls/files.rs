//! From two PEM files to a certificate with its key, or what is wrong with which.
//!
//! The certificate's file holds the chain, own certificate first; the key's file
//! one private key without a passphrase, PKCS#8, PKCS#1 or SEC1. Group members
//! may read the key (that is how distributions hand keys to services); anybody
//! else who can makes it known, and it is refused. Nothing of the key's file is
//! ever part of a message.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::CertifiedKey;

use super::validity::Validity;
use crate::config::TlsFiles;

/// The largest file that is read, in bytes: a chain has some 10 KB.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most certificates in a file: chains have two to four, and every
/// handshake sends them all.
const MAX_CHAIN: usize = 16;
/// What a key's file must not allow: writing to the group, anything to others.
const FORBIDDEN_MODE: u32 = 0o027;

/// A certificate that fits its key.
pub struct Certificate {
    /// The own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub validity: Validity,
}

/// Tells one state of both files from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    certificate: Version,
    key: Version,
}

/// Device, inode, change time and size; symbolic links are followed.
type Version = (u64, u64, (i64, i64), u64);

/// Why there is no certificate to serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Opening or reading failed.
    #[error("{}: {error}", .file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error("{}: it has {bytes} bytes, at most {MAX_FILE_BYTES} are read", .file.display())]
    TooLarge { file: PathBuf, bytes: u64 },
    #[error("{}: it is not well-formed PEM: {fault}", .file.display())]
    NotPem { file: PathBuf, fault: &'static str },
    #[error("{}: it holds no BEGIN CERTIFICATE section", .file.display())]
    NoCertificate { file: PathBuf },
    #[error("{}: it holds {count} certificates, at most {MAX_CHAIN} are served", .file.display())]
    LongChain { file: PathBuf, count: usize },
    #[error("{}: certificate {number} in it cannot be read", .file.display())]
    BrokenCertificate { file: PathBuf, number: usize },
    #[error("{}: its mode is {mode:04o}: expected 0600, or 0640 for a group that may read it", .file.display())]
    OpenKey { file: PathBuf, mode: u32 },
    #[error("{}: its key is protected by a passphrase: expected one without", .file.display())]
    EncryptedKey { file: PathBuf },
    #[error("{}: it holds no private key", .file.display())]
    NoKey { file: PathBuf },
    #[error("{}: its key is of no kind that can sign: expected RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384, or Ed25519", .file.display())]
    UnknownKey { file: PathBuf },
    #[error("{}: its key is not the one of the certificate in {}", .key.display(), .certificate.display())]
    Mismatch { key: PathBuf, certificate: PathBuf },
    /// The system gave no random bytes for the keys of session tickets.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

// === impl Certificate ===

impl Certificate {
    /// Reads both files and checks that they fit together.
    pub fn read(files: &TlsFiles) -> Result<Certificate, TlsError> {
        let chain = chain(&files.certificate)?;
        let key = key(&files.key)?;
        let validity = Validity::of(&chain[0])
            .ok_or_else(|| TlsError::BrokenCertificate { file: files.certificate.clone(), number: 1 })?;
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &ring::default_provider())
            .map_err(|error| judged(files, error))?;
        Ok(Certificate { chain, key, validity })
    }

    /// Whether browsers take it for `host`, a name or an address.
    pub fn names(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (Ok(own), Ok(name)) = (ParsedCertificate::try_from(&self.chain[0]), ServerName::try_from(host))
        else {
            return false;
        };
        verify_server_name(&own, &name).is_ok()
    }
}

/// What rustls says against the pair.
pub(super) fn judged(files: &TlsFiles, error: rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { key: files.key.clone(), certificate: files.certificate.clone() }
        }
        rustls::Error::InvalidCertificate(_) => {
            TlsError::BrokenCertificate { file: files.certificate.clone(), number: 1 }
        }
        _ => TlsError::UnknownKey { file: files.key.clone() },
    }
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (bytes, _) = read(file)?;
    let chain = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::NotPem { file: file.to_owned(), fault: fault(&error) })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { file: file.to_owned() });
    }
    if chain.len() > MAX_CHAIN {
        return Err(TlsError::LongChain { file: file.to_owned(), count: chain.len() });
    }
    match chain.iter().position(|certificate| ParsedCertificate::try_from(certificate).is_err()) {
        Some(index) => Err(TlsError::BrokenCertificate { file: file.to_owned(), number: index + 1 }),
        None => Ok(chain),
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let (bytes, mode) = read(file)?;
    if mode & FORBIDDEN_MODE != 0 {
        return Err(TlsError::OpenKey { file: file.to_owned(), mode });
    }
    let holds = |mark: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
    if holds(b"BEGIN ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::EncryptedKey { file: file.to_owned() });
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { file: file.to_owned() },
        error => TlsError::NotPem { file: file.to_owned(), fault: fault(&error) },
    })
}

/// In words of our own: the parser's would quote the file.
fn fault(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is cut or misspelt",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "a section cannot be read",
    }
}

/// The file's bytes and its mode.
fn read(file: &Path) -> Result<(Vec<u8>, u32), TlsError> {
    let unreadable = |error| TlsError::Unreadable { file: file.to_owned(), error };
    let open = File::open(file).map_err(unreadable)?;
    let found = open.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(unreadable(io::Error::other("it is not a file")));
    }
    if found.len() > MAX_FILE_BYTES {
        return Err(TlsError::TooLarge { file: file.to_owned(), bytes: found.len() });
    }
    let mut bytes = Vec::new();
    open.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok((bytes, found.mode() & 0o777))
}

// === impl Versions ===

impl Versions {
    pub fn of(files: &TlsFiles) -> io::Result<Versions> {
        let version = |path: &Path| {
            let found = std::fs::metadata(path)?;
            Ok::<_, io::Error>((found.dev(), found.ino(), (found.ctime(), found.ctime_nsec()), found.size()))
        };
        Ok(Versions { certificate: version(&files.certificate)?, key: version(&files.key)? })
    }
}
