//! Every bound of the collect address.

use std::time::Duration;

/// The longest request target, in bytes: two addresses of 8 KiB and the rest.
pub const MAX_URL_BYTES: usize = 20_480;
/// The longest head of a request, target and headers together, in bytes; a
/// longer one is answered 431 by hyper.
pub const MAX_HEAD_BYTES: usize = 61_440;
/// What one connection may buffer, in bytes; at least a head.
pub const MAX_BUFFER_BYTES: usize = 65_536;
/// The most headers of a request: hyper's own bound without an allocation;
/// browsers send about 20.
pub const MAX_HEADERS: usize = 100;
/// The longest body, in bytes.
pub const MAX_BODY_BYTES: usize = 1_000_000;
/// So much of a body that is too long is read and thrown away, so that its
/// sender lives to read the 413; beyond it the connection is closed.
pub const MAX_DISCARDED_BYTES: usize = 8_000_000;
/// How long a `429` asks to wait, in seconds: the limits are per minute.
pub const RETRY_LIMITED_SECONDS: u32 = 60;
/// How long a `503` asks to wait, in seconds.
pub const RETRY_UNAVAILABLE_SECONDS: u32 = 5;
/// How many connections the kernel queues for a thread.
pub const BACKLOG: i32 = 4096;

/// The bounds that tests shorten.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A request's head must arrive within this after the connection was opened or
    /// the last answer made; so an idle connection is kept for as long, and one whose
    /// answers are not read. Longer than the 15 s between the pixel's retries.
    pub head_read: Duration,
    /// A request's body must arrive within this.
    pub body_read: Duration,
    /// A request must be answered within this, or its connection is closed.
    pub stall: Duration,
    /// Open connections of one thread; about 10 KB each.
    pub connections_per_thread: usize,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_read: Duration::from_secs(30),
            body_read: Duration::from_secs(15),
            stall: Duration::from_secs(120),
            connections_per_thread: 8192,
        }
    }
}
