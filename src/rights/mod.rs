//! What people may ask of their data, and until when it must be done.
//!
//! ```text
//! a request ─► terms (which duty, which term) ─► calendar (which days count) ─► due date
//!                                                                                  │
//!              register (requests.json: who asked what, until when, what was done) ◄┘
//! ```
//!
//! - [`calendar`]: the working days of Russia, by decree and by the Labour Code
//! - [`terms`]: which kind of request has which term, and what it is counted by
//! - [`register`]: the requests on disk, by keyed hash alone
//! - [`desk`]: the three together: a request is received, extended, watched
//! - [`numbered`]: files of numbered records: disclosures ([`crate::disclosure`]) and incidents
//!   ([`crate::incident`])
//!
//! What a request does to the data (finding, export, block, erasure) is not here.

pub mod calendar;
pub mod desk;
pub mod numbered;
pub mod register;
pub mod request;
pub mod terms;
