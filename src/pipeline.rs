//! The list of named steps that a hit passes, and their runner.
//!
//! The pipeline is data ([`STEPS`]): `drop_*` may refuse the hit, `put_*` adds
//! to it. One runner takes a [`Passage`] through them in order, counts the
//! refusals of each and times one hit in [`HITS_PER_TIMING`]. After the last
//! step the hit becomes a row, which is appended to the spool; the caller awaits
//! the ticket before it answers.
//!
//! Everything here runs to its end without waiting for anything.
//!
//! The order is part of the meaning: what is cheap refuses first; the limits
//! come before anything that costs; a repeated hit is recognised before a cookie
//! is minted, so that the copy that is not kept does not take the cookie with it.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use arc_swap::Guard;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::accept::{Settings, Shared};
use crate::config::Consent;
use crate::enrich::{self, Place, Places, user_agent::UserAgent};
use crate::event::{Client, ConsentState, Hit, Identity, IdentityKind};
use crate::identify::consent::{self, Answer, Kept, Terms};
use crate::identify::crowd::Newcomer;
use crate::identify::sites::SiteState;
use crate::identify::visit::{self, Cookieless};
use crate::mark::{Evidence, Mark};
use crate::parse;
use crate::parse::report::Report;
use crate::privacy::keys::{Cookie, KeyRing};
use crate::reject::Reason;
use crate::spool::seen::Claim;
use crate::spool::{Ticket, Writer};
use crate::store::row::{Row, SCROLL_UNKNOWN};
use crate::subject::choices::Choice;

/// One hit in so many is timed: a clock reading between all steps would cost
/// about as much as the cheaper half of them.
pub const HITS_PER_TIMING: u64 = 64;
/// How many steps there are.
pub const STEP_COUNT: usize = STEPS.len();

/// One step.
pub struct Step {
    pub name: &'static str,
    run: fn(&mut Passage) -> Result<(), Reason>,
}

/// The steps, in order.
pub const STEPS: [Step; 14] = [
    Step { name: "drop_unknown_site", run: drop_unknown_site },
    // Before the hit is read: whoever is not to be counted is told nothing else, and leaves nothing.
    Step { name: "drop_opted_out", run: drop_opted_out },
    Step { name: "drop_signalled", run: drop_signalled },
    Step { name: "drop_unreadable", run: drop_unreadable },
    Step { name: "drop_foreign_host", run: drop_foreign_host },
    Step { name: "drop_rate_limited", run: drop_rate_limited },
    Step { name: "put_user_agent", run: put_user_agent },
    Step { name: "put_visitor", run: put_visitor },
    Step { name: "put_user_key", run: put_user_key },
    Step { name: "drop_duplicate", run: drop_duplicate },
    Step { name: "put_place", run: put_place },
    Step { name: "put_mark", run: put_mark },
    Step { name: "put_crowd_mark", run: put_crowd_mark },
    Step { name: "put_cookie", run: put_cookie },
];

/// What a request brings that all its hits share. What is found out about its sender
/// is found out once, by the first hit that comes so far.
pub struct Request<'a> {
    pub client: &'a Client<'a>,
    /// The `Referer` header.
    pub referer: Option<&'a str>,
    pub now: Timestamp,
    /// The day of `now`, UTC.
    pub today: Date,
    user_agent: OnceCell<Arc<UserAgent>>,
    cookie: OnceCell<Option<Cookie>>,
    /// The cookie's visitor on the site of the last hit, whose address this is.
    visitor: Cell<(*const SiteState, u64)>,
    places: OnceCell<Guard<Arc<Places>>>,
}

/// A hit that was taken. It is durable at the latest when the site's batch is
/// sealed, and soon after the writer is flushed.
pub struct Taken<'a> {
    /// Resolves when the row is durable.
    pub ticket: Ticket,
    pub site: &'a Arc<SiteState>,
    /// The hit was kept, but something about it was not: `bad-user-key`.
    pub note: Option<Reason>,
    /// Whether the row carries the hash of the cookie being minted.
    pub minted: bool,
}

/// A hit on its way through the steps. What a `put_` step adds is empty before it.
struct Passage<'a> {
    shared: &'a Shared,
    settings: &'a Settings,
    request: &'a Request<'a>,
    answer: &'a mut Answer,
    report: &'a Report<'a>,
    site: Option<&'a Arc<SiteState>>,
    hit: Option<Hit<'a>>,
    user_agent: Option<&'a UserAgent>,
    terms: Option<Terms>,
    identity: Identity,
    /// Who is new today; none for a visitor who was there before.
    newcomer: Option<Newcomer>,
    place: Place<'a>,
    mark: Option<Mark>,
    crowd: Option<Counted>,
    note: Option<Reason>,
    /// Keys in the journal of hit ids that become durable with the row.
    claimed: Vec<u64>,
}

/// A newcomer among the counted ones of their address.
struct Counted {
    address: u64,
    day: i64,
    may_offer: bool,
}

/// The counters of one thread's runner.
#[derive(Default)]
pub struct StepCounters {
    hits: AtomicU64,
    refused: [AtomicU64; STEP_COUNT],
    timed: [AtomicU64; STEP_COUNT],
    nanoseconds: [AtomicU64; STEP_COUNT],
    panicked: AtomicU64,
}

/// What a step did so far, over all threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StepCount {
    pub name: &'static str,
    pub entered: u64,
    pub refused: u64,
    /// How many passages were timed, and how long they took together.
    pub timed: u64,
    pub nanoseconds: u64,
}

/// Counts a hit as refused when it is left behind without an outcome, as by a panic.
struct Arrival<'a> {
    site: Option<&'a SiteState>,
    shared: &'a Shared,
    counters: &'a StepCounters,
    settled: bool,
}

/// Takes one hit through all steps and appends its row. `thread` says whose
/// counters and whose writer these are.
pub fn take<'a>(
    shared: &Shared,
    settings: &'a Settings,
    thread: usize,
    writer: &Writer,
    request: &Request,
    answer: &mut Answer,
    report: &Report,
) -> Result<Taken<'a>, Reason> {
    let counters = shared.steps(thread);
    let site = settings.sites.get(&report.site);
    let mut arrival = Arrival::new(site.map(|site| &**site), shared, counters);
    let mut passage = Passage {
        shared,
        settings,
        request,
        answer,
        report,
        site,
        hit: None,
        user_agent: None,
        terms: None,
        identity: Identity { kind: IdentityKind::Cookieless, visitor: 0, minted: 0, before: 0, user_key: 0 },
        newcomer: None,
        place: Place::default(),
        mark: None,
        crowd: None,
        note: None,
        claimed: Vec::new(),
    };
    if let Err(reason) = counters.run(&mut passage) {
        arrival.refuse(reason);
        return Err(reason);
    }
    let minted = passage.identity.minted != 0;
    let note = passage.note;
    let ticket = match append(passage, writer) {
        Ok(ticket) => ticket,
        Err(reason) => {
            arrival.refuse(reason);
            return Err(reason);
        }
    };
    // From here on the spool counts the hit.
    arrival.settled = true;
    let site = site.ok_or(Reason::UnknownSite)?;
    Ok(Taken { ticket, site, note, minted })
}

// === The steps ===

fn drop_unknown_site(passage: &mut Passage) -> Result<(), Reason> {
    match passage.site {
        Some(_) => Ok(()),
        None => Err(Reason::UnknownSite),
    }
}

fn drop_opted_out(passage: &mut Passage) -> Result<(), Reason> {
    if passage.request.client.opted_out {
        return Err(Reason::OptedOut);
    }
    if passage.chosen(Choice::OptOut).is_some() {
        passage.answer.opt_out = true;
        return Err(Reason::OptedOut);
    }
    Ok(())
}

fn drop_signalled(passage: &mut Passage) -> Result<(), Reason> {
    let dropped = consent::is_dropped_by_signal(&passage.site().site, passage.request.client);
    if dropped { Err(Reason::SignalDropped) } else { Ok(()) }
}

fn drop_unreadable(passage: &mut Passage) -> Result<(), Reason> {
    let hit = parse::hit::hit(passage.report, passage.request.referer, &passage.site().site)?;
    passage.hit = Some(hit);
    Ok(())
}

fn drop_foreign_host(passage: &mut Passage) -> Result<(), Reason> {
    let is_own = passage.site().site.has_host(&passage.hit().page.host);
    if is_own { Ok(()) } else { Err(Reason::ForeignHost) }
}

fn drop_rate_limited(passage: &mut Passage) -> Result<(), Reason> {
    let (keys, ip) = (&passage.shared.keys, &passage.request.client.ip);
    let admitted = passage.settings.rates.admit(
        || keys.limiter_key(&[&ip.prefix()]),
        || keys.limiter_key(&[&ip.network_prefix()]),
        &passage.site().site.id,
    );
    if admitted { Ok(()) } else { Err(Reason::RateLimited) }
}

fn put_user_agent(passage: &mut Passage) -> Result<(), Reason> {
    let request = passage.request;
    let classify = || passage.shared.enricher.classify_user_agent(&request.client.user_agent);
    passage.user_agent = Some(request.user_agent.get_or_init(classify));
    Ok(())
}

/// By the cookie where the terms allow it and the signature holds; else by the
/// day's salt, the address prefix and the user agent.
fn put_visitor(passage: &mut Passage) -> Result<(), Reason> {
    let request = passage.request;
    let (client, now, today) = (request.client, request.now, request.today);
    let site = passage.site();
    let said = passage.hit().consent;
    let mut terms = consent::terms(&site.site, client, said);
    if terms.state == ConsentState::Marketing
        && let Some(visitor) = passage.chosen(Choice::NoMarketing)
    {
        match said {
            ConsentState::Marketing => passage.answer.renewed.push((site.site.id.clone(), visitor)),
            _ => terms = terms.without_marketing(&site.site, client),
        }
    }
    passage.terms = Some(terms);
    let keys = &passage.shared.keys;
    // Whoever was erased is somebody new, and is offered a new cookie.
    if terms.cookie
        && let Some((day, visitor)) = passage.cookie()
        && !passage.shared.is_erased(&site.site.id, visitor)
    {
        passage.identity.kind = IdentityKind::Cookie;
        passage.identity.visitor = visitor;
        passage.newcomer = (day >= today).then_some(Newcomer::Cookie(visitor));
        return Ok(());
    }
    // Without random numbers for a salt there is no hash that nobody could make again.
    let Cookieless { visitor, before } =
        visit::cookieless(keys, site, client, now).ok_or(Reason::Unavailable)?;
    passage.identity.visitor = visitor;
    passage.identity.before = before;
    passage.newcomer = Some(Newcomer::Cookieless(passage.identity.visitor));
    Ok(())
}

/// A wrong key does not cost the visitor the hit: it is kept without the key.
fn put_user_key(passage: &mut Passage) -> Result<(), Reason> {
    let (site, value) = (passage.site(), passage.hit().user_key);
    if value.is_empty() || passage.terms.is_none_or(|terms| terms.kept != Kept::Whole) {
        return Ok(());
    }
    let id = &site.site.id;
    let verified =
        site.user_key_secret.as_deref().and_then(|secret| KeyRing::verify_user_key(secret, id, value).ok());
    match verified {
        Some(key) => passage.identity.user_key = passage.shared.keys.user_key_hash(id, key),
        None => passage.note = Some(Reason::BadUserKey),
    }
    Ok(())
}

/// The same hit id from the same visitor within a day. The id is claimed here
/// and becomes durable with the row, so that a retry of a hit that was lost counts.
fn drop_duplicate(passage: &mut Passage) -> Result<(), Reason> {
    let Some(id) = passage.hit().id else { return Ok(()) };
    if passage.identity.before != 0 {
        // The first try may have been before midnight. It is only looked up: from
        // here on the id is today's visitor's.
        let key = hit_key(passage.identity.before, id);
        match passage.shared.seen.claim(key, milliseconds(passage.request.now)) {
            Claim::New => passage.shared.seen.forget(&[key]),
            Claim::Pending => return Err(Reason::Unavailable),
            Claim::Duplicate => return Err(Reason::Duplicate),
        }
    }
    let key = hit_key(passage.identity.visitor, id);
    match passage.shared.seen.claim(key, milliseconds(passage.request.now)) {
        Claim::New => {
            passage.claimed.push(key);
            passage.answer.claimed.push(key);
            Ok(())
        }
        // Twice in one request: the answer says what became of the first.
        Claim::Pending if passage.answer.claimed.contains(&key) => Err(Reason::Duplicate),
        // Another request has it under way, and may yet fail: come again.
        Claim::Pending => Err(Reason::Unavailable),
        Claim::Duplicate => Err(Reason::Duplicate),
    }
}

fn put_place(passage: &mut Passage) -> Result<(), Reason> {
    let request = passage.request;
    let places = request.places.get_or_init(|| passage.shared.enricher.places());
    passage.place = places.locate(&request.client.ip);
    Ok(())
}

fn put_mark(passage: &mut Passage) -> Result<(), Reason> {
    let client = passage.request.client;
    let unknown = UserAgent::default();
    let evidence = Evidence {
        agent: passage.user_agent.unwrap_or(&unknown),
        user_agent: &client.user_agent,
        hints: client.hints,
        impossible: passage.hit().impossible,
        referrer_host: &passage.hit().referrer.host,
        asn: passage.place.asn,
    };
    passage.mark = Mark::of(&evidence, &passage.settings.junk);
    Ok(())
}

/// After the duplicates, which take nobody's place; and only for hits that would count.
fn put_crowd_mark(passage: &mut Passage) -> Result<(), Reason> {
    let cap = passage.settings.config.collect.max_new_visitors_per_address_per_day;
    let (Some(newcomer), None, 1..) = (passage.newcomer, passage.mark, cap) else { return Ok(()) };
    let site = passage.site();
    let address = passage.shared.crowd_key(&site.site.id, &passage.request.client.ip);
    let day =
        visit::day(passage.request.now, &site.timezone).duration_since(Date::constant(1970, 1, 1)).as_hours()
            / 24;
    let admission = passage.shared.crowd.admit(address, newcomer, day, cap);
    if admission.counted {
        passage.crowd = Some(Counted { address, day, may_offer: admission.may_offer });
    } else {
        passage.mark = Some(Mark::Crowd);
    }
    Ok(())
}

/// Mints the request's cookie, or takes part in it, where the terms allow one.
fn put_cookie(passage: &mut Passage) -> Result<(), Reason> {
    let Some(terms) = passage.terms else { return Ok(()) };
    let site = passage.site();
    let stated = passage.hit().consent;
    if terms.remember {
        passage.answer.say(&site.site.id, terms.state);
    }
    if stated != ConsentState::Unstated && site.site.consent != Consent::Cookieless {
        passage.answer.forget = stated == ConsentState::Denied;
    }
    if passage.identity.kind == IdentityKind::Cookie || passage.mark.is_some() {
        return Ok(());
    }
    let offered_before =
        passage.crowd.as_ref().is_some_and(|counted| passage.answer.offered.contains(&counted.address));
    let may_offer = offered_before || passage.crowd.as_ref().is_none_or(|counted| counted.may_offer);
    if terms.cookie && may_offer {
        passage.identity.minted = match minted_id(passage.answer) {
            Some(id) => passage.shared.keys.cookie_visitor(&site.site.id, &id),
            // Without random bytes the hit still counts, without a cookie.
            None => 0,
        };
    }
    if let Some(counted) = &passage.crowd {
        let Identity { visitor, minted, .. } = passage.identity;
        let made = minted != 0 && !offered_before;
        if made {
            passage.answer.offered.push(counted.address);
        }
        passage.shared.crowd.settle(counted.address, visitor, minted, made, counted.day);
    }
    if passage.identity.minted == 0 {
        return Ok(());
    }
    if let Some(id) = passage.hit().id {
        // A retry may come with the cookie that this answer sets.
        let key = hit_key(passage.identity.minted, id);
        if passage.shared.seen.claim(key, milliseconds(passage.request.now)) == Claim::New {
            passage.claimed.push(key);
        }
    }
    Ok(())
}

/// The id of the cookie that the request is answered with; makes it the first time.
fn minted_id(answer: &mut Answer) -> Option<[u8; 16]> {
    if answer.minted.is_none() {
        let mut id = [0; 16];
        getrandom::fill(&mut id).ok()?;
        answer.minted = Some(id);
    }
    answer.minted
}

// === impl Request ===

impl<'a> Request<'a> {
    pub fn new(client: &'a Client<'a>, referer: Option<&'a str>, now: Timestamp) -> Request<'a> {
        Request {
            client,
            referer,
            now,
            today: utc_day(now),
            user_agent: OnceCell::new(),
            cookie: OnceCell::new(),
            visitor: Cell::new((std::ptr::null(), 0)),
            places: OnceCell::new(),
        }
    }
}

// === impl Passage ===

impl<'a> Passage<'a> {
    fn site(&self) -> &'a Arc<SiteState> {
        self.site.expect("drop_unknown_site comes first")
    }

    fn hit(&self) -> &Hit<'a> {
        self.hit.as_ref().expect("drop_unreadable comes before all that look at the hit")
    }

    /// The day of the visitor's cookie, and whose it is on the site; none without a
    /// genuine one.
    fn cookie(&self) -> Option<(Date, u64)> {
        let (request, shared, site) = (self.request, self.shared, self.site());
        let value = request.client.cookie?;
        let read = || {
            let cookie = shared.keys.read_cookie(value, request.today);
            cookie.inspect_err(|_| shared.cookie_refused()).ok()
        };
        let cookie = request.cookie.get_or_init(read).as_ref()?;
        let visitor = match request.visitor.get() {
            (last, visitor) if std::ptr::eq(last, &**site) => visitor,
            _ => shared.keys.cookie_visitor(&site.site.id, &cookie.id),
        };
        request.visitor.set((&**site, visitor));
        Some((cookie.day, visitor))
    }

    /// The visitor, if an officer has noted this for them. Where nobody has anything noted,
    /// no cookie is read for it.
    fn chosen(&self, choice: Choice) -> Option<u64> {
        let list = self.shared.choices.list();
        if list.is_empty() {
            return None;
        }
        let (_, visitor) = self.cookie()?;
        list.has(choice, &self.site().site.id, visitor).then_some(visitor)
    }
}

/// Makes the row and appends it to the spool.
fn append(passage: Passage, writer: &Writer) -> Result<Ticket, Reason> {
    let site = passage.site();
    let (hit, client, now) = (passage.hit(), passage.request.client, passage.request.now);
    let (keys, place) = (&passage.shared.keys, &passage.place);
    let unknown = UserAgent::default();
    let agent = passage.user_agent.unwrap_or(&unknown);
    let source = enrich::source::classify(&hit.referrer, &hit.page, &site.site);
    let month = month_of(passage.request.today);
    let (ip, ip_key) = keys.protect(&client.ip, site.site.ip, month);
    let retention = site.site.retention;
    let row = Row {
        site: &site.site.id,
        time: now.as_millisecond(),
        kind: hit.kind,
        visitor: passage.identity.visitor,
        identity: passage.identity.kind,
        minted: passage.identity.minted,
        user_key: passage.identity.user_key,
        before: passage.identity.before,
        host: &hit.page.host,
        path: &hit.page.path,
        query: &hit.page.query,
        title: &hit.title,
        referrer_host: &hit.referrer.host,
        referrer_path: &hit.referrer.path,
        source: &source.name,
        channel: source.channel,
        utm_source: &hit.page.utm.source,
        utm_medium: &hit.page.utm.medium,
        utm_campaign: &hit.page.utm.campaign,
        utm_content: &hit.page.utm.content,
        utm_term: &hit.page.utm.term,
        ip,
        ip_key,
        country: &place.country,
        region: place.region,
        city: place.city,
        asn: place.asn,
        network: place.network,
        browser: &agent.browser,
        browser_version: &agent.browser_version,
        os: &agent.os,
        os_version: &agent.os_version,
        device: agent.device,
        bot: passage.mark.map_or("", Mark::name),
        language: client.language.as_str(),
        screen: enrich::screen_class(hit.width),
        ad: &hit.ad,
        name: &hit.name,
        props: &hit.props,
        engaged_ms: hit.engaged_ms,
        scroll: hit.scroll.unwrap_or(SCROLL_UNKNOWN),
        timezone: hit.timezone,
        consent: passage.terms.map_or(hit.consent, |terms| terms.state),
        policy: &site.site.policy_version,
        keep_days: retention.raw_days,
        ip_days: retention.ip_days,
        city_days: retention.city_days,
        user_key_days: retention.user_key_days,
        props_days: retention.props_days,
        hold: false,
        demo: false,
    };
    let row = match passage.terms.map(|terms| terms.kept) {
        Some(Kept::Whole | Kept::WithoutId) => row,
        Some(Kept::Count) | None => consent::count_only(&row),
    };
    writer.gather(&site.counters, month, &passage.claimed, |id, out| row.encode(id, out))
}

/// The day of an instant, UTC.
pub fn utc_day(now: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(now).date()
}

/// The month of a day, as year × 12 + month.
pub fn month_of(day: Date) -> u32 {
    day.year() as u32 * 12 + day.month() as u32
}

/// Visitor hashes are keyed and spread: their mix with an id needs no key. Never 0.
fn hit_key(visitor: u64, id: u64) -> u64 {
    let mut mixed = visitor ^ id.rotate_left(32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ id;
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)).max(1)
}

fn milliseconds(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}

// === impl StepCounters ===

impl StepCounters {
    fn run(&self, passage: &mut Passage) -> Result<(), Reason> {
        let number = self.hits.fetch_add(1, Relaxed);
        let mut clock = number.is_multiple_of(HITS_PER_TIMING).then(Instant::now);
        for (index, step) in STEPS.iter().enumerate() {
            let outcome = (step.run)(passage);
            if let Some(started) = &mut clock {
                let now = Instant::now();
                self.timed[index].fetch_add(1, Relaxed);
                self.nanoseconds[index].fetch_add((now - *started).as_nanos() as u64, Relaxed);
                *started = now;
            }
            if let Err(reason) = outcome {
                self.refused[index].fetch_add(1, Relaxed);
                return Err(reason);
            }
        }
        Ok(())
    }

    /// The sums over several threads.
    pub fn sum<'a>(threads: impl IntoIterator<Item = &'a StepCounters>) -> Vec<StepCount> {
        let mut counts: Vec<StepCount> = STEPS
            .iter()
            .map(|step| StepCount { name: step.name, entered: 0, refused: 0, timed: 0, nanoseconds: 0 })
            .collect();
        for counters in threads {
            let mut left = counters.hits.load(Relaxed);
            for (index, count) in counts.iter_mut().enumerate() {
                let refused = counters.refused[index].load(Relaxed);
                count.entered += left;
                count.refused += refused;
                count.timed += counters.timed[index].load(Relaxed);
                count.nanoseconds += counters.nanoseconds[index].load(Relaxed);
                left = left.saturating_sub(refused);
            }
        }
        counts
    }
}

// === impl Arrival ===

impl<'a> Arrival<'a> {
    fn new(site: Option<&'a SiteState>, shared: &'a Shared, counters: &'a StepCounters) -> Self {
        let arrival = Arrival { site, shared, counters, settled: false };
        arrival.site_counters().arrived();
        arrival
    }

    fn site_counters(&self) -> &crate::count::SiteCounters {
        match self.site {
            Some(site) => &site.counters,
            None => self.shared.counters.unknown(),
        }
    }

    fn refuse(&mut self, reason: Reason) {
        self.site_counters().refused(reason);
        self.settled = true;
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.counters.panicked.fetch_add(1, Relaxed);
            self.site_counters().refused(Reason::Unavailable);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_steps_say_what_they_may_do() {
        for step in &STEPS {
            assert!(step.name.starts_with("drop_") || step.name.starts_with("put_"), "{}", step.name);
        }
    }

    #[test]
    fn a_hit_key_depends_on_visitor_and_id() {
        let keys: std::collections::HashSet<u64> =
            (0..100).flat_map(|visitor| (0..100).map(move |id| hit_key(visitor, id))).collect();
        assert_eq!(keys.len(), 10_000);
    }
}
