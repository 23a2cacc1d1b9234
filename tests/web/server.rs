//! The web address in this process, over real sockets, with a stand-in for
//! storage and for the rest of the server; and a small client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use metka::audit::Trail;
use metka::config::{Config, Keys, Site};
use metka::count::Counters;
use metka::enrich::Attribution;
use metka::guard::Asker;
use metka::privacy::keys::KeyRing;
use metka::spool::Backlog;
use metka::web::people::Roster;
use metka::web::role::Role;
use metka::web::running::{
    Answering, Archive, ArchiveError, EngineStatus, Probe, Replayed, Running, StepCount,
};
use metka::web::{self, State};
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub const PASSWORD: &str = "correct horse battery";

/// Milliseconds added to the clock: one for the whole process, so only the one
/// test that moves it may look at expiry.
pub static CLOCK_OFFSET: AtomicI64 = AtomicI64::new(0);

pub struct Server {
    pub state: Arc<State>,
    pub address: SocketAddr,
    pub data: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    served: Option<tokio::task::JoinHandle<()>>,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

/// Answers every question with itself.
struct Echo;

struct Rest;

// === impl Server ===

impl Server {
    pub async fn start() -> Server {
        Server::with(tempfile::tempdir().expect("a directory"), "").await
    }

    pub async fn with(data: tempfile::TempDir, settings: &str) -> Server {
        let text = format!(
            "{settings}\n[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n\
             [[site]]\nid = \"shop\"\nhosts = [\"shop.example\"]\n"
        );
        let mut config = Config::parse(&text, [], data.path()).expect("a valid configuration");
        config.data_dir = data.path().to_owned();
        let counters = Counters::new(config.sites.iter().map(|site| site.id.as_str()));
        let config = Arc::new(ArcSwap::from_pointee(config));
        let keys = KeyRing::open(&Keys::in_dir(&data.path().join("keys"))).expect("the ring opens");
        let trail = Trail::open(data.path(), Arc::new(keys));
        let state =
            State::open(config, counters, Box::new(Rest), Arc::new(trail), true, clock).expect("opened");
        state.set_archive(Box::new(Echo));
        let state = Arc::new(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let serving = web::serve(state.clone(), listener, None, async {
            let _ = stopped.await;
        });
        let served = Some(tokio::spawn(serving));
        Server { state, address, data, stop: Some(stop), served }
    }

    pub async fn stop(mut self) -> tempfile::TempDir {
        drop(self.stop.take());
        self.served.take().expect("started").await.expect("the server ends without a panic");
        self.data
    }

    pub fn add(&self, login: &str, role: Role) {
        let hash = web::password::hash(PASSWORD).expect("hashed");
        self.people(|roster| roster.add(login, role, Some(hash), 0));
    }

    pub fn token(&self, role: Role, site: Option<&str>) -> String {
        let site = site.map(str::to_owned);
        self.people(|roster| roster.create_token("test", role, site, None, 0)).1
    }

    pub fn people<T>(
        &self,
        change: impl FnOnce(&mut Roster) -> Result<T, metka::web::people::PeopleError>,
    ) -> T {
        self.state.people.change(change).expect("changed")
    }

    /// What the audit trail tells, in order.
    pub fn actions(&self) -> Vec<String> {
        let entries = self.state.trail.list(&metka::audit::Filter::last(1000)).expect("readable");
        entries.iter().map(|listed| listed.entry().action.to_string()).collect()
    }

    /// Signs in and returns the cookie as a browser would send it.
    pub async fn sign_in(&self, login: &str) -> String {
        let reply = self.post("/api/v1/session", &[], &json!({ "login": login, "password": PASSWORD })).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.cookie()
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, path, headers, Bytes::new()).await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(Method::POST, path, &all, body.to_string().into()).await
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Reply {
        let stream = tokio::net::TcpStream::connect(self.address).await.expect("the server listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("connected");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(header::HOST, self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}

// === impl Reply ===

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    pub fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().expect("a first part").to_owned()
    }
}

// === impl Archive ===

impl Archive for Echo {
    fn query<'a>(
        &'a self,
        site: &'a Site,
        question: &'a Value,
        _: jiff::Timestamp,
        _: Asker,
        _: Option<&'a metka::query::Together>,
    ) -> Answering<'a, Result<Value, ArchiveError>> {
        Box::pin(async move {
            match question["metrics"].as_array() {
                Some(_) => Ok(json!({ "site": site.id, "question": question })),
                None => {
                    Err(ArchiveError::Question(vec!["#/metrics: is required".to_owned(), "#/x".to_owned()]))
                }
            }
        })
    }

    fn together<'a>(
        &'a self,
        _: &'a Site,
        _: &'a [Value],
        _: jiff::Timestamp,
        _: Asker,
    ) -> Answering<'a, Result<Option<metka::query::Together>, ArchiveError>> {
        Box::pin(async { Ok(None) })
    }

    fn report<'a>(
        &'a self,
        report: metka::query::Report,
        site: &'a Site,
        question: &'a Value,
        _: jiff::Timestamp,
        asker: Asker,
    ) -> Answering<'a, Result<Value, ArchiveError>> {
        Box::pin(async move {
            match question["limit"].as_u64() {
                Some(0) => Err(ArchiveError::Question(vec!["#/limit: is wrong".to_owned()])),
                _ => Ok(json!({
                    "report": report.name(), "site": site.id, "question": question,
                    "guarded": asker == Asker::Guarded,
                })),
            }
        })
    }

    fn refusals<'a>(
        &'a self,
        site: &'a str,
        from: jiff::Timestamp,
        to: jiff::Timestamp,
    ) -> Answering<'a, Result<Value, ArchiveError>> {
        Box::pin(async move { Ok(json!({ "site": site, "seconds": (to - from).get_seconds() })) })
    }

    fn remove_demo(&self) -> Answering<'_, Result<u64, ArchiveError>> {
        Box::pin(async { Ok(7) })
    }
}

impl Running for Rest {
    fn backlog(&self) -> Backlog {
        Backlog {
            rows: 5,
            batches: 2,
            bytes: 600,
            oldest: Some(1),
            unverified_batches: 3,
            dead_rows: 1,
            damaged_rows: 0,
        }
    }

    fn engine(&self) -> EngineStatus {
        EngineStatus { state: "ready", restarts: 2 }
    }

    fn steps(&self) -> Vec<StepCount> {
        vec![StepCount { name: "put_place", hits: 4, refused: 0, seconds: 0.25 }]
    }

    fn attribution(&self) -> Vec<Attribution> {
        vec![Attribution { text: "geo data by somebody", url: "https://geo.example/" }]
    }

    fn explain(&self, probe: &Probe) -> Value {
        json!({ "loopback": probe.peer.is_loopback(), "sites": [{ "site": "clinic" }, { "site": "shop" }] })
    }

    fn reload(&self) -> Result<Vec<String>, String> {
        Ok(vec!["geo".to_owned()])
    }

    fn jobs(&self) -> Value {
        json!({ "ship": { "attempts": 9, "retries": 2, "mended_batches": 1 } })
    }

    fn flush(&self) -> Answering<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn replay(&self, only: Option<u64>) -> Answering<'_, Result<Replayed, String>> {
        Box::pin(async move {
            match only {
                Some(id) => Err(format!("no dead letter {id:016x}")),
                None => Ok(Replayed { replayed: 2, dead: Vec::new() }),
            }
        })
    }
}

fn clock() -> jiff::Timestamp {
    let now = jiff::Timestamp::now().as_millisecond() + CLOCK_OFFSET.load(Ordering::Relaxed);
    jiff::Timestamp::from_millisecond(now).expect("within the range")
}
