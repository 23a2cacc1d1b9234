//! What visitors ask on their own page: what is kept of their browser, a copy of it,
//! and requests that they can follow.
//!
//! ```text
//! collect thread (src/accept/privacy)             main runtime
//!   Browser, proven by its signed cookie ──► VisitorDesk ─┬─ Office: storage, audit trail
//!   a page, 503, 429 ◄─────────────────────────────────── ┴─ register of requests
//! ```
//!
//! In: a [`Browser`], whose cookie the collect address found genuine, or the number of
//! a request with its code ([`ticket`]). Out: values that the page tells in words, or a
//! [`Refusal`].
//!
//! Invariants:
//! - A hit never waits for any of it: the work is done on the main runtime, by few at once
//!   ([`MAX_LOOKS`]) and within a bounded time; who finds no place is told to come again.
//! - Each look at a person's data stands in the audit trail first, and so does each request
//!   and what is done for it, as the visitor's.
//! - A request is registered whether storage is there or not. What takes effect at once
//!   ([`carry`]) is tried until it is done, also after a restart.
//! - Nobody fills the register or the trail ([`limit`]).
//! - Cookie and address are kept nowhere: the register holds the keyed hash.
//!
//! - [`desk`]: does it
//! - [`carry`]: what is carried out without an officer
//! - [`limit`]: how much visitors may ask
//! - [`ticket`]: number and code, by which a request is followed

pub mod carry;
pub mod desk;
pub mod limit;
pub mod ticket;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::disclosure::told::Told;
use crate::incident::Affecting;
use crate::rights::request::{Request, Subject};
use crate::rights::terms::Kind;
use crate::subject::export::Format;
use crate::subject::find::Held;
use crate::subject::glance::Glance;
use crate::subject::{SubjectError, Who};

/// So many looks at once: each may hold a copy of all that is kept of somebody in memory.
pub const MAX_LOOKS: usize = 2;
/// So many questions of any kind at once: each may wait for the disk.
pub const MAX_QUESTIONS: usize = 32;
/// A look takes a moment; storage that does not answer within this is away.
pub const LOOK_TIME: Duration = Duration::from_secs(10);
/// A copy may have a hundred thousand rows.
pub const COPY_TIME: Duration = Duration::from_secs(30);
/// So long an answer waits for what takes effect at once, so that it can say that it has.
pub const EFFECT_TIME: Duration = Duration::from_secs(8);
/// What a person may write besides, in characters: some paragraphs. In bytes this is within
/// what the register takes.
pub const MAX_TEXT_CHARACTERS: usize = 1000;
/// Who registers what visitors ask, as histories name it.
pub const WHO: &str = "visitor's page";
/// What may be asked here.
pub const KINDS: [Kind; 6] =
    [Kind::Access, Kind::Rectify, Kind::Block, Kind::Erase, Kind::Marketing, Kind::Claim];

/// What a question to the desk is answered with.
pub type Asking<T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send>>;

/// A browser that has shown a genuine cookie. Holds personal data: it cannot be printed.
#[derive(Clone)]
pub struct Browser {
    pub site: String,
    /// The visitor's hash on this site.
    pub hash: u64,
    pub cookie: String,
    /// The limiters' key of the address that it comes from.
    pub address: u64,
}

/// What is kept of a browser.
pub struct Kept {
    pub held: Held,
    pub glance: Glance,
    /// To whom it was disclosed, as the log of disclosures says.
    pub disclosures: Vec<Told>,
    /// Open incidents in whose time hits of this browser came.
    pub incidents: Vec<Affecting>,
}

/// What can be said of a browser without a look at its data.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Its requests, the newest first.
    pub requests: Vec<Request>,
    /// Whether the site has an open incident, which may touch it.
    pub has_incidents: bool,
}

/// What a visitor asks for.
#[derive(Clone)]
pub struct Wish {
    /// One of [`KINDS`].
    pub kind: Kind,
    /// In the visitor's words; may be empty.
    pub text: String,
}

/// A request in the register.
#[derive(Clone, Debug)]
pub struct Registered {
    pub request: Request,
    /// One of its kind was open already: this is it.
    pub was_open: bool,
}

/// Why a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// As many as may are being answered.
    #[error("too many questions at once")]
    Busy,
    /// Storage is away, or slow.
    #[error("storage does not answer")]
    Away,
    /// The visitor, their address, or all visitors together have asked enough for a time.
    #[error("too many questions from there")]
    Limited,
    /// Visitors have as many requests in the register as they may.
    #[error("the register takes no more requests of visitors")]
    Full,
    /// More is kept than one copy holds.
    #[error("more rows than one copy holds")]
    TooLong,
    /// The cookie is none of ours after all: its key was destroyed meanwhile.
    #[error("the cookie identifies nobody")]
    Nobody,
    /// A fault of ours, which the log names.
    #[error("it could not be done")]
    Failed,
}

/// Answers visitors, on another runtime than that of hits.
pub trait VisitorDesk: Send + Sync {
    /// What is kept of a browser.
    fn kept(&self, browser: Browser) -> Asking<Kept>;
    /// A copy of it.
    fn copy(&self, browser: Browser, format: Format) -> Asking<String>;
    /// Registers a request, or shows the one of its kind that is open; carries out what takes
    /// effect at once.
    fn ask(&self, browser: Browser, wish: Wish) -> Asking<Registered>;
    /// The requests of a browser, and whether there is an incident to look for.
    fn overview(&self, browser: Browser) -> Asking<Overview>;
    /// The request with this number, whose code was right.
    fn request(&self, number: String) -> Asking<Option<Request>>;
}

// === impl Browser ===

impl Browser {
    pub fn subject(&self) -> Subject {
        Subject::visitor(self.hash)
    }

    fn who(&self) -> Who {
        Who::Cookie(self.cookie.clone())
    }
}

// === impl Refusal ===

impl Refusal {
    /// What an outsider is told of an error.
    fn of(error: &SubjectError) -> Refusal {
        match error {
            SubjectError::Cookie(_) | SubjectError::CookieKey { .. } => Refusal::Nobody,
            SubjectError::TooLong(_) => Refusal::TooLong,
            SubjectError::Waiting | SubjectError::Storage(_) => Refusal::Away,
            _ => Refusal::Failed,
        }
    }
}
