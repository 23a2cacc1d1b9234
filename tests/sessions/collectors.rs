//! Two real collectors with one key ring, and browsers that use them.
//!
//! What is real: headers read by `parse`, the pipeline with its key ring, the
//! cookies of the answer, the spool (an answer is believed once its ticket says that
//! the row is durable), recovery after a restart. What is not: the sockets, and the
//! clock, which is handed to the pipeline as the collector hands it over.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE, USER_AGENT};
use jiff::Timestamp;
use metka::accept::{Limits, Shared, answer};
use metka::config::{Config, Durability};
use metka::count::Counters;
use metka::enrich::Enricher;
use metka::event::{ConsentState, Kind};
use metka::identify::consent::Answer;
use metka::parse::client::client;
use metka::parse::report::Report;
use metka::pipeline::{self, Request};
use metka::privacy::keys::KeyRing;
use metka::reject::Reason;
use metka::spool::{self, Outlet, Writer};
use metka::store::Storage;
use metka::store::row::columns;

use crate::random::Random;
use crate::reference::Seen;
use crate::world::{Act, Browser, MINUTE, Mode, Script, Step, Word};

/// Small, so that a history makes several batches.
const BATCH_ROWS: u32 = 60;
/// Room for that, and short segments.
const SPOOL_BYTES: u64 = 32 << 20;
/// An answer reaches the browser after so long at most.
const MAX_LATENCY: usize = 300;

/// So long after a hit it may be sent again.
const LAST_RETRY: i64 = 20 * 60 * MINUTE;

/// A collector as it is between a start and an end.
struct Collector {
    dir: PathBuf,
    running: Option<Running>,
}

struct Running {
    shared: Arc<Shared>,
    writer: Writer,
    outlet: Outlet,
}

/// Both, with what they share.
pub struct Installation<'a> {
    pub config: Arc<Config>,
    script: &'a Script,
    collectors: [Collector; 2],
    keys: PathBuf,
    enricher: Arc<Enricher>,
    counters: Arc<Counters>,
    _dir: tempfile::TempDir,
}

/// What was done and found on the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub hits: u64,
    pub cookieless: u64,
    pub minted: u64,
    pub retries_refused: u64,
    pub retries_over_midnight: u64,
    pub restarts: u64,
    pub batches: u64,
    pub resent: u64,
}

/// What a browser keeps.
#[derive(Default)]
struct Jar {
    /// The value, and the number of the hit that it came with.
    visitor: Option<(String, usize)>,
    consents: BTreeMap<String, String>,
    /// Answers on their way, by the time of their arrival.
    coming: VecDeque<(i64, usize, Vec<String>)>,
    last: Option<Sent>,
}

/// A hit that was taken, as its sender remembers it.
#[derive(Clone, Debug)]
struct Sent {
    id: u64,
    site: usize,
    collector: usize,
    kind: Kind,
    at: i64,
    cookie: Option<usize>,
    minted: Option<usize>,
}

// === impl Installation ===

impl<'a> Installation<'a> {
    pub fn new(script: &'a Script, enricher: Arc<Enricher>) -> Installation<'a> {
        let dir = scratch();
        let mut text =
            "[collect]\nthreads = 1\nrate_limit_per_minute = 0\nrate_limit_network_per_minute = 0\n"
                .to_owned();
        for place in &script.places {
            let consent = match place.mode {
                Mode::Implied => "implied",
                Mode::OptIn => "opt-in",
                Mode::Cookieless => "cookieless",
            };
            text.push_str(&format!(
                "[[site]]\nid = \"{id}\"\nhosts = [\"*.{id}.example\"]\ntimezone = \"{}\"\nconsent = \"{consent}\"\n\
                 retention.raw_days = 3650\n",
                place.zone_name,
                id = place.id,
            ));
        }
        let config = Arc::new(Config::parse(&text, [], dir.path()).expect("a valid configuration"));
        let counters = Counters::new(config.sites.iter().map(|site| site.id.as_str()));
        let collector = |number: usize| Collector { dir: dir.path().join(number.to_string()), running: None };
        let mut made = Installation {
            collectors: [collector(0), collector(1)],
            keys: dir.path().join("keys"),
            config,
            script,
            enricher,
            counters,
            _dir: dir,
        };
        made.start(0);
        made.start(1);
        made
    }

    fn start(&mut self, number: usize) {
        let options = spool::Options {
            dir: self.collectors[number].dir.clone(),
            spools: 1,
            durability: Durability::Fsync,
            seal_interval: Duration::from_secs(3600),
            batch_rows: BATCH_ROWS,
            max_bytes: SPOOL_BYTES,
        };
        let mut opened = spool::open(options, self.counters.clone()).expect("the spool opens");
        let shared = Shared::new(
            self.config.clone(),
            1,
            Arc::new(KeyRing::open(&metka::config::Keys::in_dir(&self.keys)).expect("the key ring opens")),
            self.enricher.clone(),
            self.counters.clone(),
            opened.seen,
            Limits::default(),
        )
        .expect("the sites load");
        let writer = opened.writers.pop().expect("there is one");
        self.collectors[number].running = Some(Running { shared, writer, outlet: opened.outlet });
    }

    /// What `metka serve` does every minute and at its start.
    fn maintain(&self, number: usize, at: i64) {
        let now = instant(at + self.script.skew[number]);
        let day = |id: &str| Some(now.in_tz(&self.config.site(id)?.timezone).ok()?.date());
        self.running(number).shared.keys.maintain(now, day).expect("the key ring is maintained");
    }

    fn running(&self, number: usize) -> &Running {
        self.collectors[number].running.as_ref().expect("it runs")
    }

    /// Runs the script. Returns what happened on each site.
    pub async fn run(&mut self, random: &mut Random, tally: &mut Tally) -> Vec<Vec<Seen>> {
        let script = self.script;
        let mut jars: Vec<Jar> = script.browsers.iter().map(|_| Jar::default()).collect();
        let mut seen: Vec<Vec<Seen>> = script.places.iter().map(|_| Vec::new()).collect();
        // Hits of one device at one moment have no order but that of their batches.
        let mut moments: HashMap<(usize, &str, &str), HashMap<i64, bool>> = HashMap::new();
        let mut maintained = i64::MIN / 2;
        for (number, step) in script.steps.iter().enumerate() {
            if step.at - maintained > 10 * MINUTE {
                maintained = step.at;
                self.maintain(0, step.at);
                self.maintain(1, step.at);
            }
            if random.chance(1) {
                let which = random.below(2);
                // The writer's end is the end of its process; what it sealed or not, recovery finds.
                self.collectors[which].running = None;
                self.start(which);
                self.maintain(which, step.at);
                tally.restarts += 1;
            }
            let browser = &script.browsers[step.browser];
            let jar = &mut jars[step.browser];
            jar.receive(step.at);
            let (site, collector, kind, id) = match (step.act, jar.last.clone()) {
                (Act::Clear, _) => {
                    jar.visitor = None;
                    jar.consents.clear();
                    continue;
                }
                // The journal of hit ids dates what it finds at a restart by the real clock.
                (Act::Retry, sent) if sent.as_ref().is_none_or(|sent| step.at - sent.at > LAST_RETRY) => {
                    continue;
                }
                (Act::Retry, Some(sent)) => (sent.site, sent.collector, sent.kind, sent.id),
                (act, _) => (step.site, step.collector, kind_of(act), random.next()),
            };
            let place = &script.places[site];
            let counted = matches!(kind, Kind::Pageview | Kind::Event);
            let mut at = step.at + script.skew[collector];
            let taken = moments.entry((site, &browser.network, &browser.agent)).or_default();
            while taken.get(&at).is_some_and(|all_counted| !(*all_counted && counted)) {
                at += 1;
            }
            let may = jar.may(place.mode, &place.id, step.act, browser);
            let cookie = jar.visitor.as_ref().map(|(_, label)| *label).filter(|_| may);
            let outcome = self.send(browser, jar, step, collector, (site, kind, id, at), random).await;
            let answered = match outcome {
                Ok(lines) => lines,
                Err(reason) => {
                    let sent = jar.last.take().expect("a first hit is never refused");
                    assert!(
                        reason == Reason::Duplicate
                            && step.act == Act::Retry
                            && is_repeated(&sent, cookie, |at| place.day(at), at),
                        "{reason:?} of a hit with {cookie:?} at {at} that was sent as {sent:?}"
                    );
                    tally.retries_refused += 1;
                    tally.retries_over_midnight += u64::from(place.day(sent.at) != place.day(at));
                    continue;
                }
            };
            if step.act == Act::Retry {
                let sent = jar.last.as_ref().expect("there was one");
                assert!(!is_repeated(sent, cookie, |at| place.day(at), at), "a repeated hit was taken");
            }
            let set = answered.iter().any(|line| line.starts_with("metka=") && !line.starts_with("metka=;"));
            assert_eq!(set, may && cookie.is_none() && !browser.machine, "who gets a cookie: {answered:?}");
            let minted = set.then_some(number);
            taken.entry(at).and_modify(|all| *all &= counted).or_insert(counted);
            // Once is enough of retries, and words are said once.
            let repeats = !matches!(step.act, Act::Retry | Act::Say(_));
            jar.last = repeats.then_some(Sent { id, site, collector, kind, at, cookie, minted });
            if browser.keeps_cookies {
                let arrives = step.at + 1 + random.below(MAX_LATENCY) as i64;
                jar.coming.push_back((arrives, number, answered));
            }
            tally.hits += 1;
            tally.cookieless += u64::from(cookie.is_none());
            tally.minted += u64::from(set);
            seen[site].push(Seen {
                at,
                history: step.history,
                device: (browser.network.clone(), browser.agent.clone()),
                cookie,
                minted,
                machine: browser.machine,
                view: kind == Kind::Pageview,
                counted,
            });
        }
        seen
    }

    /// Sends a hit and waits until it is durable. Returns the cookies of the answer.
    async fn send(
        &self,
        browser: &Browser,
        jar: &Jar,
        step: &Step,
        collector: usize,
        (site, kind, id, at): (usize, Kind, u64, i64),
        random: &mut Random,
    ) -> Result<Vec<String>, Reason> {
        let running = self.running(collector);
        let settings = running.shared.settings();
        let place = &self.script.places[site];
        let mut headers = HeaderMap::new();
        let mut set = |name: http::HeaderName, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).expect("text"));
        };
        let address = match browser.network.ends_with(':') {
            // Browsers change the second half of their address as they like.
            true => format!("{}{:x}", browser.network, 1 + random.below(60_000)),
            false => browser.network.clone(),
        };
        set(http::HeaderName::from_static("x-forwarded-for"), &address);
        set(USER_AGENT, &browser.agent);
        set(COOKIE, &jar.header());
        if browser.gpc {
            set(http::HeaderName::from_static("sec-gpc"), "1");
        }
        let peer = std::net::IpAddr::from([127, 0, 0, 1]);
        let client = client(peer, &headers, &settings.config.collect);
        let page = format!("https://h{}.{}.example/p{}", step.history, place.id, random.below(3));
        let report = Report {
            site: Cow::Borrowed(&place.id),
            kind: Some(kind),
            page: Some(Cow::Owned(page)),
            name: Cow::Borrowed(if kind == Kind::Event { "call" } else { "" }),
            ad: Cow::Borrowed(if kind == Kind::AdView { "banner-1" } else { "" }),
            consent: match step.act {
                Act::Say(word) => Some(state(word)),
                _ => None,
            },
            id: Some(id),
            ..Report::default()
        };
        let request = Request::new(&client, None, instant(at));
        let mut cookies = Answer::default();
        let taken =
            pipeline::take(&running.shared, &settings, 0, &running.writer, &request, &mut cookies, &report)?;
        running.writer.flush();
        taken.ticket.await?;
        cookies.minted_is_stored = taken.minted;
        let mut reply = answer::pixel("ok");
        answer::set_cookies(&mut reply, &cookies, &running.shared, &settings, request.today);
        let lines = reply.headers().get_all(SET_COOKIE).iter();
        Ok(lines.map(|line| line.to_str().expect("text").to_owned()).collect())
    }

    /// Brings all batches of both spools to storage, in disorder and some twice.
    pub async fn ship(&mut self, storage: &Storage, random: &mut Random, tally: &mut Tally) {
        let mut batches = Vec::new();
        for collector in &mut self.collectors {
            let Running { writer, outlet, shared } = collector.running.take().expect("it runs");
            drop(shared);
            writer.close();
            while let Some(batch) = outlet.try_next().expect("a readable spool") {
                let columns = columns(batch.columns_version).expect("a known version");
                batches.push((columns, batch.token.clone(), batch.body()));
                outlet.acknowledge(&batch).expect("an acknowledgement");
            }
        }
        let tokens: HashSet<&String> = batches.iter().map(|(_, token, _)| token).collect();
        assert_eq!(tokens.len(), batches.len(), "a batch came twice from a spool");
        tally.batches += batches.len() as u64;
        let again: Vec<_> = batches.iter().filter(|_| random.chance(20)).cloned().collect();
        tally.resent += again.len() as u64;
        batches.extend(again);
        for left in (1..batches.len()).rev() {
            batches.swap(left, random.below(left + 1));
        }
        for (columns, token, body) in batches {
            let body: Bytes = body;
            storage.insert(&columns, &token, body).await.expect("the batch is taken");
        }
    }
}

// === impl Jar ===

impl Jar {
    /// Takes what has arrived by now.
    fn receive(&mut self, now: i64) {
        while self.coming.front().is_some_and(|(arrives, ..)| *arrives <= now) {
            let (_, label, lines) = self.coming.pop_front().expect("it is there");
            for line in lines {
                let (pair, attributes) = line.split_once(';').expect("attributes");
                let (name, value) = pair.split_once('=').expect("a value");
                let gone = attributes.contains("Max-Age=0");
                match (name, gone) {
                    ("metka", false) => self.visitor = Some((value.to_owned(), label)),
                    ("metka", true) => self.visitor = None,
                    (name, false) => {
                        self.consents.insert(name.to_owned(), value.to_owned());
                    }
                    (name, true) => {
                        self.consents.remove(name);
                    }
                }
            }
        }
    }

    fn header(&self) -> String {
        let visitor = self.visitor.iter().map(|(value, _)| format!("metka={value}"));
        let consents = self.consents.iter().map(|(name, value)| format!("{name}={value}"));
        visitor.chain(consents).collect::<Vec<_>>().join("; ")
    }

    /// Whether the site may use a cookie for this hit: by what it says or said before.
    fn may(&self, mode: Mode, site: &str, act: Act, browser: &Browser) -> bool {
        let said = self.consents.get(&format!("metka_consent_{site}")).map(String::as_str);
        let word = match act {
            Act::Say(Word::Granted) => Some("granted"),
            Act::Say(Word::Denied) => Some("denied"),
            Act::Say(Word::Marketing) => Some("marketing"),
            _ => said,
        };
        !browser.gpc
            && match mode {
                Mode::Implied => word != Some("denied"),
                Mode::OptIn => matches!(word, Some("granted" | "marketing")),
                Mode::Cookieless => false,
            }
    }
}

/// Whether a hit sent again is known for what it is: it comes from the same cookie,
/// or the one that its first try was answered with; or from the same device on the
/// same day, or within half an hour of it.
fn is_repeated(sent: &Sent, cookie: Option<usize>, day: impl Fn(i64) -> jiff::civil::Date, now: i64) -> bool {
    let near = day(sent.at) == day(now) || day(sent.at) == day(now - 30 * MINUTE);
    match cookie {
        Some(cookie) => sent.cookie == Some(cookie) || sent.minted == Some(cookie),
        None => sent.cookie.is_none() && near,
    }
}

fn kind_of(act: Act) -> Kind {
    match act {
        Act::View | Act::Retry | Act::Clear => Kind::Pageview,
        Act::Event => Kind::Event,
        Act::AdView => Kind::AdView,
        Act::Engagement => Kind::Engagement,
        Act::Say(_) => Kind::Consent,
    }
}

fn state(word: Word) -> ConsentState {
    match word {
        Word::Granted => ConsentState::Granted,
        Word::Denied => ConsentState::Denied,
        Word::Marketing => ConsentState::Marketing,
    }
}

fn instant(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).expect("in range")
}

/// In memory where there is room: this is about who and when, not about disks.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    let made = if room > 1 << 30 { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}
