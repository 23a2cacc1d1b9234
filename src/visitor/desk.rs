//! The desk itself: each question is a task of the main runtime, bounded in time, and
//! looks are bounded in number. A request is waited for within its time and finished
//! however long it takes: it is registered and carried out, or neither.
//!
//! What reads or writes the disk (trail, register) runs on the runtime's blocking threads.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::carry::{PURPOSE, is_at_once};
use super::limit::Limits;
use super::{
    Asking, Browser, COPY_TIME, EFFECT_TIME, Kept, LOOK_TIME, MAX_LOOKS, MAX_QUESTIONS, Overview, Refusal,
    Registered, VisitorDesk, WHO, Wish,
};
use crate::audit::{Action, Actor, Entry, Purpose, Subject};
use crate::disclosure;
use crate::incident::{self, Affecting};
use crate::rights::desk::{Desk, Received};
use crate::rights::register::{Filter, Register, RegisterError};
use crate::rights::request::{IdentifiedBy, Request};
use crate::subject::export::Format;
use crate::subject::find::Held;
use crate::subject::job::{Asked, Job};
use crate::subject::{Office, SubjectError};

/// How many requests of one browser are shown.
const MAX_SHOWN: usize = 50;

/// Makes the office that works under the configuration in force.
pub type Offices = Box<dyn Fn() -> Office + Send + Sync>;

/// The desk. Cheap to clone.
#[derive(Clone)]
pub struct Visitors(Arc<Inner>);

struct Inner {
    runtime: Handle,
    offices: Offices,
    register: Register,
    incidents: incident::Register,
    disclosures: disclosure::Log,
    limits: Limits,
    questions: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    hands: Arc<Semaphore>,
    /// Who registers looks first what is there.
    registering: Mutex<()>,
}

// === impl Visitors ===

impl Visitors {
    /// A desk whose work is done on this runtime.
    pub fn new(runtime: Handle, offices: Offices) -> Visitors {
        let data_dir = offices().config.data_dir.clone();
        Visitors(Arc::new(Inner {
            runtime,
            offices,
            register: Register::new(&data_dir),
            incidents: incident::Register::new(&data_dir),
            disclosures: disclosure::Log::new(&data_dir),
            limits: Limits::default(),
            questions: Arc::new(Semaphore::new(MAX_QUESTIONS)),
            looks: Arc::new(Semaphore::new(MAX_LOOKS)),
            hands: Arc::new(Semaphore::new(1)),
            registering: Mutex::new(()),
        }))
    }

    pub(super) fn office(&self) -> Office {
        (self.0.offices)()
    }

    pub(super) fn register(&self) -> &Register {
        &self.0.register
    }

    /// Held while something is carried out.
    pub(super) async fn hand(&self) -> Option<OwnedSemaphorePermit> {
        self.0.hands.clone().acquire_owned().await.ok()
    }

    /// Runs what reads or writes the disk.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.0.runtime.spawn_blocking(work).await.unwrap_or(Err(Refusal::Failed))
    }

    /// Has the main runtime do it, within this time.
    fn have_done<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Asking<T> {
        let Ok(place) = self.0.questions.clone().try_acquire_owned() else { return refused(Refusal::Busy) };
        self.waited_for(within, async move {
            let _place = place;
            work.await
        })
    }

    /// Has the main runtime finish it, however long that takes; for the answer it is waited
    /// for within this time. Its place is free when it is done.
    fn have_finished<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Asking<T> {
        let Ok(place) = self.0.questions.clone().try_acquire_owned() else { return refused(Refusal::Busy) };
        let task = self.0.runtime.spawn(async move {
            let _place = place;
            work.await
        });
        self.waited_for(within, async move { task.await.unwrap_or(Err(Refusal::Failed)) })
    }

    /// Waits for it on the main runtime, within this time.
    fn waited_for<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Asking<T> {
        let task = self
            .0
            .runtime
            .spawn(async move { tokio::time::timeout(within, work).await.unwrap_or(Err(Refusal::Away)) });
        // A panic in it has been reported.
        Box::pin(async move { task.await.unwrap_or(Err(Refusal::Failed)) })
    }

    /// A place among those who look.
    fn place(&self, browser: &Browser) -> Result<OwnedSemaphorePermit, Refusal> {
        let place = self.0.looks.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        self.0.limits.look(browser.address)?;
        Ok(place)
    }

    /// Looks at a browser's data, which the trail says first.
    async fn look(&self, browser: &Browser, job: Job) -> Result<serde_json::Value, Refusal> {
        let asked = Asked {
            job,
            site: browser.site.clone(),
            who: browser.who(),
            purpose: PURPOSE.to_owned(),
            request: None,
            by: None,
            wait: true,
        };
        self.office().answer(asked, Actor::Visitor, Timestamp::now()).await.map_err(|error| told(&error))
    }

    async fn kept_of(&self, browser: Browser) -> Result<Kept, Refusal> {
        let found = self.look(&browser, Job::Find).await?;
        let held: Held = serde_json::from_value(found).map_err(|error| {
            tracing::error!(%error, "what was found of a visitor does not read");
            Refusal::Failed
        })?;
        let glance = self.office().glance(&held.person).await.map_err(|error| told(&error))?;
        let desk = self.clone();
        self.blocking(move || {
            let (person, times) = (&held.person, &glance.times);
            let log = &desk.0.disclosures;
            let disclosures = disclosure::told::told(log, person, times).map_err(|error| failed(&error))?;
            let mut incidents = desk.incidents(&person.site)?;
            incidents.retain(|one| times.iter().any(|time| one.covers(*time)));
            Ok(Kept { held, glance, disclosures, incidents })
        })
        .await
    }

    /// The open incidents of a site.
    fn incidents(&self, site: &str) -> Result<Vec<Affecting>, Refusal> {
        incident::affects(&self.0.incidents, &self.office().config, site).map_err(|error| failed(&error))
    }

    async fn copy_of(&self, browser: Browser, format: Format) -> Result<String, Refusal> {
        let mut answer = self.look(&browser, Job::Export(format)).await?;
        match answer["text"].take() {
            serde_json::Value::String(text) => Ok(text),
            _ => Err(Refusal::Failed),
        }
    }

    /// Puts a wish into the register, unless one of its kind is open there.
    fn registered(&self, browser: &Browser, wish: &Wish) -> Result<Registered, Refusal> {
        let _alone = self.0.registering.lock().map_err(|_| Refusal::Failed)?;
        let all = self.0.register.list(&Filter::default()).map_err(|error| failed(&error))?;
        let open = all.iter().find(|request| {
            request.is_open()
                && request.kind == wish.kind
                && request.site == browser.site
                && request.subjects.contains(&browser.subject())
        });
        if let Some(request) = open {
            return Ok(Registered { request: request.clone(), was_open: true });
        }
        let (office, now) = (self.office(), Timestamp::now());
        let site = office.config.site(&browser.site).ok_or(Refusal::Failed)?;
        self.0.limits.request(browser.address, &all, now.as_millisecond())?;
        let desk = Desk::open(&office.config).map_err(|error| failed(&error))?;
        let entry = Entry::new(now, Actor::Visitor, Action::RequestReceived)
            .site(&site.id)
            .subject(Subject::hash(browser.hash))
            .purpose(Purpose::Rights, Some(PURPOSE))
            .detail(wish.kind.name());
        office.trail.append(&entry).map_err(|error| failed(&error))?;
        let received = Received {
            kind: wish.kind,
            about: None,
            identified: IdentifiedBy::Cookie,
            subjects: vec![browser.subject()],
            at: now,
            purpose: wish.text.clone(),
        };
        let request = desk.receive(site, received, WHO, now).map_err(|error| failed(&error))?;
        Ok(Registered { request, was_open: false })
    }

    /// Registers a wish and carries out what takes effect at once. To be let finish: what is
    /// registered and not carried out would wait for the next start.
    async fn asked(self, browser: Browser, wish: Wish) -> Result<Registered, Refusal> {
        let desk = self.clone();
        let mut registered = self.blocking(move || desk.registered(&browser, &wish)).await?;
        let request = &registered.request;
        if !registered.was_open && is_at_once(request.kind, &self.office().config) {
            let carrying = tokio::spawn(self.clone().carry_out(request.clone()));
            // It goes on when this does not wait any more.
            drop(tokio::time::timeout(EFFECT_TIME, carrying).await);
            if let Ok(Some(now)) = self.request_of(request.number.clone()).await {
                registered.request = now;
            }
        }
        Ok(registered)
    }

    async fn request_of(&self, number: String) -> Result<Option<Request>, Refusal> {
        let desk = self.clone();
        self.blocking(move || match desk.0.register.get(&number) {
            Ok(request) => Ok(Some(request)),
            Err(RegisterError::NoRequest(_)) => Ok(None),
            Err(error) => Err(failed(&error)),
        })
        .await
    }

    async fn overview_of(&self, browser: Browser) -> Result<Overview, Refusal> {
        let desk = self.clone();
        self.blocking(move || {
            let filter = Filter {
                site: Some(browser.site.clone()),
                subject: Some(browser.subject()),
                ..Filter::default()
            };
            let mut requests = desk.0.register.list(&filter).map_err(|error| failed(&error))?;
            requests.reverse();
            requests.truncate(MAX_SHOWN);
            let has_incidents = !desk.incidents(&browser.site)?.is_empty();
            Ok(Overview { requests, has_incidents })
        })
        .await
    }
}

impl VisitorDesk for Visitors {
    fn kept(&self, browser: Browser) -> Asking<Kept> {
        let place = match self.place(&browser) {
            Ok(place) => place,
            Err(refusal) => return refused(refusal),
        };
        let desk = self.clone();
        self.have_done(LOOK_TIME, async move {
            let _place = place;
            desk.kept_of(browser).await
        })
    }

    fn copy(&self, browser: Browser, format: Format) -> Asking<String> {
        let place = match self.place(&browser) {
            Ok(place) => place,
            Err(refusal) => return refused(refusal),
        };
        let desk = self.clone();
        self.have_done(COPY_TIME, async move {
            let _place = place;
            desk.copy_of(browser, format).await
        })
    }

    fn ask(&self, browser: Browser, wish: Wish) -> Asking<Registered> {
        let desk = self.clone();
        self.have_finished(LOOK_TIME + EFFECT_TIME, async move { desk.asked(browser, wish).await })
    }

    fn overview(&self, browser: Browser) -> Asking<Overview> {
        let desk = self.clone();
        self.have_done(LOOK_TIME, async move { desk.overview_of(browser).await })
    }

    fn request(&self, number: String) -> Asking<Option<Request>> {
        let desk = self.clone();
        self.have_done(LOOK_TIME, async move { desk.request_of(number).await })
    }
}

fn refused<T: Send + 'static>(refusal: Refusal) -> Asking<T> {
    Box::pin(async move { Err(refusal) })
}

/// What a visitor is told; the log says the rest.
fn told(error: &SubjectError) -> Refusal {
    let refusal = Refusal::of(error);
    match refusal {
        Refusal::Failed => tracing::error!(%error, "a visitor's question could not be answered"),
        _ => tracing::debug!(%error, "a visitor's question is not answered now"),
    }
    refusal
}

fn failed(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(%error, "a visitor's request could not be registered or read");
    Refusal::Failed
}
