//! Metka: a first-party analytics pixel and stats collector.
//!
//! ```text
//! browser ──► accept ─► parse ─► identify ─► enrich ─► spool ═╗   one thread per core, never waits for ClickHouse
//!                                                             ║ sealed batches
//!                                                          ship ─► store (ClickHouse's HTTP interface)
//!                                                                     ├─ engine: libchdb in a supervised child process
//!                                                                     └─ or a ClickHouse server, by URL
//! people  ──► web: sign-in, stats API, dashboard ──► query ──┘
//! ```
//!
//! The modules, in the order in which a hit meets them:
//!
//! - [`config`]: every setting, checked as a whole before anything starts
//! - [`accept`]: the collect address: sockets, limits, the four routes, the drain
//! - [`tls`]: certificates, and HTTP/2, where no proxy ends TLS
//! - [`headers`]: what protects whoever reads an answer, in one table
//! - [`parse`]: a request becomes a hit, or a refusal
//! - [`event`]: what a hit is at each stage of its life
//! - [`reject`]: the closed list of reasons for which a hit is refused
//! - [`mark`]: the closed list of reasons for which a kept hit is in no number
//! - [`identify`]: which site, which visitor, with what consent
//! - [`enrich`]: user agent, place, source of the visit
//! - [`pipeline`]: the list of named steps that a hit passes, and their runner
//! - [`refusals`]: what was refused, summed by hour and reason
//! - [`count`]: received = stored + waiting + in flight + refused, per site
//! - [`audit`]: who looked at, changed or took out what: an append-only, chained record
//! - [`privacy`]: the key ring, client addresses, hashes, the inventory of what is stored
//! - [`subject`]: what is done to one person's data: find, export, correct, block, hold, erase
//! - [`spool`]: the durable log that an answer waits for
//! - [`ship`]: sealed batches go to storage, once each
//! - [`store`]: ClickHouse: endpoint, migrations, the row and its encoding
//! - [`engine`]: the embedded ClickHouse, as a child process
//! - [`retention`]: what is past its term goes, daily
//! - [`backup`]: one encrypted, checked file of storage and spool, and back
//! - [`rights`]: what people ask of their data, and until when it must be done
//! - [`policy`]: the published policy clause by clause, with what can be seen of each now
//! - [`visitor`]: what visitors ask on their own page
//! - [`addresses`]: statistics of visitors' addresses, without the addresses; one is opened with a reason
//! - [`disclosure`]: what is handed out to anybody outside, and the log of it
//! - [`case`]: the trail of one visitor, for a stated purpose
//! - [`incident`]: what happened to whose data, until when what is due, whom to tell
//! - [`fraud`]: whether a visitor is plausible, by rules that give their reasons
//! - [`settings`]: goals, funnels, segments, notes, shared links and reports of a site
//! - [`rollup`]: numbers of whole days, made from hits beforehand
//! - [`report`]: guarded numbers by mail
//! - [`query`]: questions in, exact numbers out
//! - [`export`]: an answer as a table for spreadsheets
//! - [`web`]: dashboard, sign-in, API, metrics
//! - [`demo`]: a made-up clinic with some months of made-up visitors
//! - [`assets`]: the files embedded in the binary
//! - [`html`]: text on a page
//! - [`search`]: where the files that npm brings are found
//! - [`serve`]: all of the above, started and stopped in order
//! - `private_file`: small files of the data directory, replaced whole
//! - [`control`]: how commands reach a running server
//! - [`cli`]: the commands
//! - [`log`]: what the process says while it runs

pub mod accept;
pub mod addresses;
pub mod assets;
pub mod audit;
pub mod backup;
pub mod case;
pub mod cli;
pub mod config;
pub mod control;
pub mod count;
pub mod demo;
pub mod disclosure;
pub mod engine;
pub mod enrich;
pub mod event;
pub mod export;
pub mod fraud;
pub mod guard;
pub mod headers;
pub mod html;
pub mod identify;
pub mod incident;
pub mod log;
pub mod mark;
pub mod parse;
pub mod pipeline;
pub mod policy;
pub mod privacy;
mod private_file;
pub mod query;
pub mod refusals;
pub mod reject;
pub mod report;
pub mod retention;
pub mod rights;
pub mod rollup;
pub mod search;
pub mod serve;
pub mod settings;
pub mod ship;
pub mod spool;
pub mod store;
pub mod subject;
pub mod tls;
pub mod visitor;
pub mod web;
