//! The numbers by definition, slowly, from plain rows.
//!
//! Written from the definitions in `query`'s documentation and independent of
//! the compiler: it loops over hits, and knows no SQL.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use metka::event::{ConsentState, IdentityKind, Kind};
use metka::store::row::{HitId, Row};

/// Hits by person and number of the visit.
type ByVisit<'a> = BTreeMap<(u64, usize), Vec<&'a Hit>>;

const MINUTES_30: i64 = 1_800_000;
const DAY: i64 = 86_400_000;

/// A hit with the properties that questions can be about.
#[derive(Clone, Debug)]
pub struct Hit {
    pub id: HitId,
    pub time: i64,
    pub kind: Kind,
    pub visitor: u64,
    pub cookie: bool,
    pub minted: u64,
    /// What `visitor` was before midnight, on hits of a day's first half hour.
    pub before: u64,
    /// Empty for what counts.
    pub mark: &'static str,
    /// By the name of the stored column.
    pub text: BTreeMap<&'static str, String>,
    pub props: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    pub engaged_ms: u32,
    pub scroll: u8,
}

/// A filter as the API writes it.
#[derive(Clone, Debug)]
pub enum Where {
    All(Vec<Where>),
    Any(Vec<Where>),
    Not(Box<Where>),
    Test { operator: &'static str, dimension: String, values: Vec<String>, case_sensitive: bool },
}

pub struct Ask<'a> {
    pub from: i64,
    pub to: i64,
    pub zone: &'a TimeZone,
    pub dimensions: &'a [String],
    pub metrics: &'a [&'static str],
    pub filters: &'a [Where],
    /// Marked hits count too.
    pub bots: bool,
}

/// Values by group; `None` is a number that does not exist.
pub type Groups = BTreeMap<Vec<String>, Vec<Option<f64>>>;

struct Visit<'a> {
    hits: Vec<&'a Hit>,
    /// Begins with a page view or event.
    real: bool,
}

impl Hit {
    pub fn get(&self, column: &str) -> &str {
        self.text.get(column).map_or("", String::as_str)
    }

    pub fn counted(&self) -> bool {
        matches!(self.kind, Kind::Pageview | Kind::Event)
    }

    pub fn row<'a>(&'a self, site: &'a str) -> Row<'a> {
        Row {
            site,
            time: self.time,
            kind: self.kind,
            visitor: self.visitor,
            identity: if self.cookie { IdentityKind::Cookie } else { IdentityKind::Cookieless },
            minted: self.minted,
            user_key: 0,
            before: self.before,
            host: self.get("host"),
            path: self.get("path"),
            query: "",
            title: "",
            referrer_host: self.get("referrer_host"),
            referrer_path: self.get("referrer_path"),
            source: self.get("source"),
            channel: self.get("channel"),
            utm_source: self.get("utm_source"),
            utm_medium: self.get("utm_medium"),
            utm_campaign: self.get("utm_campaign"),
            utm_content: self.get("utm_content"),
            utm_term: self.get("utm_term"),
            ip: [0; 16],
            ip_key: 0,
            country: self.get("country"),
            region: self.get("region"),
            city: self.get("city"),
            asn: 0,
            network: self.get("network"),
            browser: self.get("browser"),
            browser_version: self.get("browser_version"),
            os: self.get("os"),
            os_version: self.get("os_version"),
            device: self.get("device"),
            bot: self.mark,
            language: self.get("language"),
            screen: self.get("screen"),
            ad: self.get("ad"),
            name: self.get("name"),
            props: &self.props,
            engaged_ms: self.engaged_ms,
            scroll: self.scroll,
            timezone: "",
            consent: ConsentState::Unstated,
            policy: "",
            keep_days: 3650,
            ip_days: 3650,
            city_days: 3650,
            user_key_days: 3650,
            props_days: 3650,
            hold: false,
            demo: false,
        }
    }
}

/// The answer by definition.
pub fn answer(hits: &[Hit], ask: &Ask) -> Groups {
    let visits = visits(hits, ask.bots, ask.from - DAY, ask.to + DAY);
    let names: Vec<String> = ask.dimensions.iter().cloned().chain(dimensions_of(ask.filters)).collect();
    let about_ads = names.iter().any(|name| name == "event:ad");
    let ads = [Kind::AdView, Kind::AdViewable, Kind::AdClick];
    let wants = |list: &[&str]| ask.metrics.iter().any(|metric| list.contains(metric));
    let of_ads = wants(&["ad_views", "ad_viewable", "ad_clicks", "ad_ctr", "ad_viewable_rate"]);
    let of_engagement = wants(&["scroll_depth", "time_on_page"]);
    let of_others = ask.metrics.iter().any(|metric| !metric.starts_with("ad_"))
        && wants(&[
            "visitors",
            "visits",
            "pageviews",
            "views_per_visit",
            "bounce_rate",
            "visit_duration",
            "events",
            "percentage",
        ]);
    let relevant = |kind: Kind| {
        if about_ads {
            return ads.contains(&kind);
        }
        match kind {
            Kind::Pageview | Kind::Event => of_others,
            Kind::Engagement => of_engagement,
            Kind::Consent => false,
            _ => of_ads,
        }
    };

    // Which hits of which visits are in which group.
    let mut groups: BTreeMap<Vec<String>, ByVisit> = BTreeMap::new();
    let mut all: BTreeSet<u64> = BTreeSet::new();
    for ((person, number), visit) in &visits {
        for hit in &visit.hits {
            if hit.time < ask.from || hit.time >= ask.to || !relevant(hit.kind) {
                continue;
            }
            if !ask.filters.iter().all(|filter| passes(filter, hit, hit, visit, ask.zone)) {
                continue;
            }
            let group = ask.dimensions.iter().map(|name| value_of(name, hit, hit, visit, ask.zone)).collect();
            groups.entry(group).or_default().entry((*person, *number)).or_default().push(hit);
            if about_ads || hit.counted() {
                all.insert(*person);
            }
        }
    }
    if ask.dimensions.is_empty() {
        groups.entry(Vec::new()).or_default();
    }

    let pages = ["event:page", "event:hostname"];
    let filtered_by_page = dimensions_of(ask.filters).iter().any(|name| pages.contains(&name.as_str()));
    groups
        .into_iter()
        .map(|(group, members)| {
            let mut persons = HashSet::new();
            let (mut present, mut own, mut bounced, mut lasted) = (0.0, 0.0, 0.0, 0.0);
            let mut kinds: BTreeMap<&str, f64> = BTreeMap::new();
            let (mut engaged, mut engaged_visits, mut depth, mut depths) = (0.0, 0.0, 0.0, 0.0);
            for ((person, number), hits) in &members {
                let visit = &visits[&(*person, *number)];
                let is_present = about_ads || hits.iter().any(|hit| hit.counted());
                if is_present {
                    persons.insert(*person);
                }
                if is_present && visit.real {
                    present += 1.0;
                    let entered = hits.iter().any(|hit| {
                        let entry = visit.hits[0];
                        ask.dimensions.iter().filter(|name| pages.contains(&name.as_str())).all(|name| {
                            value_of(name, hit, hit, visit, ask.zone)
                                == value_of(name, hit, entry, visit, ask.zone)
                        }) && (!filtered_by_page
                            || ask.filters.iter().all(|filter| passes(filter, hit, entry, visit, ask.zone)))
                    });
                    if entered {
                        own += 1.0;
                        if visit.hits.iter().filter(|hit| hit.counted()).count() == 1 {
                            bounced += 1.0;
                        }
                        lasted +=
                            (visit.hits[visit.hits.len() - 1].time - visit.hits[0].time) as f64 / 1000.0;
                    }
                }
                let mut time_here = 0.0;
                let mut deepest = None;
                for hit in hits {
                    *kinds.entry(hit.kind.name()).or_default() += 1.0;
                    if hit.kind == Kind::Engagement {
                        time_here += f64::from(hit.engaged_ms) / 1000.0;
                        if hit.scroll != 255 {
                            deepest = deepest.max(Some(hit.scroll));
                        }
                    }
                }
                if time_here > 0.0 {
                    engaged += time_here;
                    engaged_visits += 1.0;
                }
                if let Some(deepest) = deepest {
                    depth += f64::from(deepest);
                    depths += 1.0;
                }
            }
            let kind = |name: &str| kinds.get(name).copied().unwrap_or(0.0);
            let over = |value: f64, by: f64| (by > 0.0).then(|| value / by);
            let values = ask
                .metrics
                .iter()
                .map(|metric| match *metric {
                    "visitors" => Some(persons.len() as f64),
                    "visits" => Some(present),
                    "pageviews" => Some(kind("pageview")),
                    "events" => Some(kind("pageview") + kind("event")),
                    "views_per_visit" => over(kind("pageview"), present),
                    "bounce_rate" => over(100.0 * bounced, own),
                    "visit_duration" => over(lasted, own),
                    "percentage" => over(100.0 * persons.len() as f64, all.len() as f64),
                    "scroll_depth" => over(depth, depths),
                    "time_on_page" => over(engaged, engaged_visits),
                    "ad_views" => Some(kind("ad_view")),
                    "ad_viewable" => Some(kind("ad_viewable")),
                    "ad_clicks" => Some(kind("ad_click")),
                    "ad_ctr" => over(100.0 * kind("ad_click"), kind("ad_view")),
                    "ad_viewable_rate" => over(100.0 * kind("ad_viewable"), kind("ad_view")),
                    other => panic!("no definition of {other}"),
                })
                .collect();
            (group, values)
        })
        .collect()
}

/// The visits of all people, by person and number.
fn visits(hits: &[Hit], bots: bool, from: i64, to: i64) -> BTreeMap<(u64, usize), Visit<'_>> {
    let cookies: HashSet<u64> = hits.iter().filter(|hit| hit.cookie).map(|hit| hit.visitor).collect();
    let is_adopted = |hit: &Hit| hit.minted != 0 && cookies.contains(&hit.minted);
    let seen: Vec<&Hit> = hits
        .iter()
        .filter(|hit| (bots || hit.mark.is_empty()) && hit.time >= from && hit.time < to)
        .collect();
    let hashed: Vec<&Hit> = seen.iter().copied().filter(|hit| !hit.cookie && !is_adopted(hit)).collect();
    let mut people: BTreeMap<u64, Vec<&Hit>> = BTreeMap::new();
    for hit in seen {
        let mut person = if is_adopted(hit) { hit.minted } else { hit.visitor };
        while let Some(earlier) = before_midnight(person, &hashed) {
            person = earlier;
        }
        people.entry(person).or_default().push(hit);
    }
    let mut visits = BTreeMap::new();
    for (person, mut hits) in people {
        hits.sort_by_key(|hit| (hit.time, hit.id.batch, hit.id.row));
        let mut number = 0;
        let mut began = false;
        let mut last = None;
        for hit in hits {
            let late = last.is_none_or(|last| hit.time - last > MINUTES_30);
            if hit.counted() && (!began || late) {
                began = true;
                number += 1;
            }
            last = Some(hit.time);
            visits
                .entry((person, number))
                .or_insert_with(|| Visit { hits: Vec::new(), real: began })
                .hits
                .push(hit);
        }
    }
    visits
}

/// The hash of the day before whose visit this hash continues.
fn before_midnight(hash: u64, hashed: &[&Hit]) -> Option<u64> {
    let first =
        hashed.iter().filter(|hit| hit.visitor == hash && hit.before != 0).min_by_key(|hit| hit.time)?;
    let last = hashed.iter().filter(|hit| hit.visitor == first.before).map(|hit| hit.time).max()?;
    (first.time - last <= MINUTES_30).then_some(first.before)
}

fn dimensions_of(filters: &[Where]) -> Vec<String> {
    filters
        .iter()
        .flat_map(|filter| match filter {
            Where::All(children) | Where::Any(children) => dimensions_of(children),
            Where::Not(child) => dimensions_of(std::slice::from_ref(child)),
            Where::Test { dimension, .. } => vec![dimension.clone()],
        })
        .collect()
}

/// `page` is the hit that stands for `event:page` and `event:hostname`.
fn passes(filter: &Where, hit: &Hit, page: &Hit, visit: &Visit, zone: &TimeZone) -> bool {
    match filter {
        Where::All(children) => children.iter().all(|child| passes(child, hit, page, visit, zone)),
        Where::Any(children) => children.iter().any(|child| passes(child, hit, page, visit, zone)),
        Where::Not(child) => !passes(child, hit, page, visit, zone),
        Where::Test { operator, dimension, values, case_sensitive } => {
            let fold = |text: &str| if *case_sensitive { text.to_owned() } else { text.to_lowercase() };
            let value = fold(&value_of(dimension, hit, page, visit, zone));
            let any = |test: &dyn Fn(&str) -> bool| values.iter().any(|wanted| test(&fold(wanted)));
            match *operator {
                "is" => any(&|wanted| value == wanted),
                "is_not" => !any(&|wanted| value == wanted),
                "contains" => any(&|wanted| value.contains(wanted)),
                "contains_not" => !any(&|wanted| value.contains(wanted)),
                // The tests use `^text`, which needs no engine of expressions.
                "matches" => any(&|wanted| value.starts_with(&wanted[1..])),
                "matches_not" => !any(&|wanted| value.starts_with(&wanted[1..])),
                other => panic!("no definition of {other}"),
            }
        }
    }
}

fn value_of(name: &str, hit: &Hit, page: &Hit, visit: &Visit, zone: &TimeZone) -> String {
    let entry = visit.hits[0];
    let or = |value: &str, label: &str| if value.is_empty() { label.to_owned() } else { value.to_owned() };
    let local = Timestamp::from_millisecond(hit.time).expect("in range").to_zoned(zone.clone());
    match name {
        "time:minute" => local.strftime("%Y-%m-%d %H:%M:00").to_string(),
        "time:hour" => local.strftime("%Y-%m-%d %H:00:00").to_string(),
        "time:day" => local.date().to_string(),
        "time:week" => {
            let mut day = local.date();
            while day.weekday() != jiff::civil::Weekday::Monday {
                day = day.yesterday().expect("in range");
            }
            day.to_string()
        }
        "time:month" => local.date().first_of_month().to_string(),
        "event:page" => page.get("path").to_owned(),
        "event:hostname" => page.get("host").to_owned(),
        "event:name" if hit.kind == Kind::Event => hit.get("name").to_owned(),
        "event:name" => hit.kind.name().to_owned(),
        "event:ad" => hit.get("ad").to_owned(),
        "event:mark" => or(hit.mark, "(none)"),
        "visit:entry_page" => or(entry.get("path"), "(not set)"),
        "visit:exit_page" => {
            let last = visit.hits.iter().rev().find(|hit| hit.counted());
            or(last.map_or("", |hit| hit.get("path")), "(not set)")
        }
        "visit:source" => or(entry.get("source"), "Direct / None"),
        "visit:channel" if matches!(entry.get("channel"), "" | "direct") => "Direct".to_owned(),
        "visit:channel" => entry.get("channel").to_owned(),
        "visit:referrer" => {
            let whole = format!("{}{}", entry.get("referrer_host"), entry.get("referrer_path"));
            or(&whole, "Direct / None")
        }
        "visit:country" | "visit:region" | "visit:city" => entry.get(&name[6..]).to_owned(),
        other => match (other.strip_prefix("event:props:"), other.strip_prefix("visit:")) {
            (Some(key), _) => {
                let value = hit.props.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value);
                or(value, "(none)")
            }
            (_, Some(column)) => or(entry.get(column), "(not set)"),
            _ => panic!("no definition of {other}"),
        },
    }
}
