//! The way to the mail server.
//!
//! A message goes to all addresses of a report in one transaction: the server takes it
//! for all of them or for none. What a server says in words may hold an address, so of
//! its answer only the number is told.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::letter::Letter;
use super::period::Period;
use crate::config::{Mail, MailSecurity};
use crate::settings::Report;

/// How long each step of a transaction may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest password file, in bytes.
const MAX_PASSWORD_BYTES: u64 = 1024;
/// Where a `Message-ID` comes from when the web address has no name.
const NO_HOST: &str = "localhost";

/// An opened way; nothing is connected yet.
pub type Way = AsyncSmtpTransport<Tokio1Executor>;

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("mail.password_file: cannot read {path}: {source}")]
    Password { path: String, source: std::io::Error },
    /// Number `0` of the report's addresses cannot be one.
    #[error("the address {0} of the report cannot be used")]
    Address(usize),
    #[error("mail.from: {0:?} cannot be used")]
    From(String),
    #[error("the mail could not be put together: {0}")]
    Message(String),
    /// The server answered, and not yes.
    #[error("the mail server refused it with {0}")]
    Refused(String),
    /// It did not answer, or not as agreed.
    #[error("the mail server could not be used: {0}")]
    Away(String),
}

/// Puts a letter into the form that goes over the wire.
pub fn message(
    mail: &Mail,
    public_url: &str,
    site: &str,
    report: &Report,
    period: &Period,
    letter: &Letter,
) -> Result<Message, PostError> {
    let from: Mailbox = mail.from.parse().map_err(|_| PostError::From(mail.from.clone()))?;
    let host = url::Url::parse(public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_else(|| NO_HOST.to_owned());
    // The same for the same period, so that what is sent twice is known to be one.
    let id = format!("<report.{site}.{}.{}.{}@{host}>", report.id, period.every.name(), period.first);
    // Nobody's answer: no notices of absence come back (RFC 3834).
    let automatic =
        HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let mut builder =
        Message::builder().from(from).subject(&letter.subject).message_id(Some(id)).raw_header(automatic);
    for (index, address) in report.to.iter().enumerate() {
        builder = builder.to(address.parse().map_err(|_| PostError::Address(index))?);
    }
    builder
        .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
        .map_err(|error| PostError::Message(error.to_string()))
}

/// Reads the password, and the roots by which certificates are judged. Blocks.
pub fn open(mail: &Mail) -> Result<Way, PostError> {
    let tls = || TlsParameters::new(mail.host.clone()).map_err(|error| PostError::Away(error.to_string()));
    let tls = match mail.security {
        MailSecurity::Plain => Tls::None,
        MailSecurity::StartTls => Tls::Required(tls()?),
        MailSecurity::Tls => Tls::Wrapper(tls()?),
    };
    let mut way = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host)
        .port(mail.port)
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let Some(path) = &mail.password_file {
        let trouble = |source| PostError::Password { path: path.display().to_string(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(trouble)?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_PASSWORD_BYTES), &mut text)
            .map_err(trouble)?;
        let password = text.trim_end_matches(['\r', '\n']).to_owned();
        way = way.credentials(Credentials::new(mail.user.clone(), password));
    }
    Ok(way.build())
}

/// Sends it to all addresses, or to none.
pub async fn send(way: &Way, message: Message) -> Result<(), PostError> {
    match way.send(message).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.status() {
            Some(code) => PostError::Refused(code.to_string()),
            None => PostError::Away(told(&error)),
        }),
    }
}

/// What failed, with its cause.
fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) if !error.to_string().contains(&source.to_string()) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}
