//! The numbers by definition, slowly, from plain rows.
//!
//! Written from the definitions in `query`'s documentation and independent of
//! the compiler: it loops over hits, and knows no SQL.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use metka::event::{ConsentState, IdentityKind, Kind};
use metka::settings::{Aim, Goal};
use metka::store::row::{HitId, Row};

use crate::goal;

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
    pub consent: ConsentState,
}

/// A filter as the API writes it.
#[derive(Clone, Debug)]
pub enum Where {
    All(Vec<Where>),
    Any(Vec<Where>),
    Not(Box<Where>),
    /// `has_done`, or `has_not_done`.
    Done {
        done: bool,
        what: Box<Where>,
    },
    /// `event:goal`: the goals that it names.
    Goals {
        operator: &'static str,
        values: Vec<String>,
        case_sensitive: bool,
    },
    /// Any of these segments: id and filters.
    Segments(Vec<(String, Vec<Where>)>),
    Test {
        operator: &'static str,
        dimension: String,
        values: Vec<String>,
        case_sensitive: bool,
    },
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
    pub goals: &'a [Goal],
    /// It is of all rows together of a breakdown by ad blocks.
    pub of_ads: bool,
}

/// Values by group; `None` is a number that does not exist.
pub type Groups = BTreeMap<Vec<String>, Vec<Option<f64>>>;

struct Visit<'a> {
    hits: Vec<&'a Hit>,
    /// Begins with a page view or event.
    real: bool,
    /// The last hit before the gap that ended it.
    last: i64,
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
            consent: self.consent,
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

/// The numbers of all rows together, by definition.
pub fn totals(hits: &[Hit], ask: &Ask) -> Vec<Option<f64>> {
    let mut filters = ask.filters.to_vec();
    let mut of_ads = ask.of_ads;
    for name in ask.dimensions {
        match name.as_str() {
            "event:goal" => filters.push(Where::Goals {
                operator: "is",
                values: rows_of_goals(ask).iter().map(|goal| goal.name.clone()).collect(),
                case_sensitive: true,
            }),
            "event:ad" => of_ads = true,
            _ => {}
        }
    }
    let whole = Ask { dimensions: &[], filters: &filters, of_ads, ..*ask };
    answer(hits, &whole).remove(&Vec::new()).expect("there is always a row without dimensions")
}

/// The goals that have rows: those that all filters by goal name.
fn rows_of_goals<'a>(ask: &Ask<'a>) -> Vec<&'a Goal> {
    let named = |goal: &Goal| {
        top(ask.filters).into_iter().all(|filter| match filter {
            Where::Goals { .. } => names_goal(filter, goal),
            _ => true,
        })
    };
    ask.goals.iter().filter(|goal| named(goal)).collect()
}

/// The filters that stand alone: one segment is its filters.
fn top(filters: &[Where]) -> Vec<&Where> {
    filters
        .iter()
        .flat_map(|filter| match filter {
            Where::Segments(segments) if segments.len() == 1 => top(&segments[0].1),
            other => vec![other],
        })
        .collect()
}

fn names_goal(filter: &Where, goal: &Goal) -> bool {
    let Where::Goals { operator, values, case_sensitive } = filter else { return false };
    let fold = |text: &str| if *case_sensitive { text.to_owned() } else { text.to_lowercase() };
    values.iter().any(|value| match *operator {
        "is" => fold(&goal.name) == fold(value),
        _ => fold(&goal.name).contains(&fold(value)),
    })
}

fn reaches(hit: &Hit, goal: &Goal) -> bool {
    let seen = goal::Seen {
        kind: hit.kind,
        name: hit.get("name"),
        path: hit.get("path"),
        ad: hit.get("ad"),
        scroll: hit.scroll,
    };
    goal::reached(&goal.aim, seen)
}

fn currency(goal: &Goal) -> Option<&str> {
    match &goal.aim {
        Aim::Event { currency, .. } => currency.as_deref(),
        _ => None,
    }
}

/// The money of a row, and the goals whose revenue it is.
pub fn money<'a>(ask: &Ask<'a>, group: &[String]) -> Option<(&'a str, Vec<&'a Goal>)> {
    let of_row = ask.dimensions.iter().position(|name| name == "event:goal");
    let goals: Vec<&Goal> = rows_of_goals(ask)
        .into_iter()
        .filter(|goal| currency(goal).is_some() && of_row.is_none_or(|index| goal.name == group[index]))
        .collect();
    let currencies: BTreeSet<&str> = goals.iter().filter_map(|goal| currency(goal)).collect();
    match currencies.len() {
        1 => currencies.into_iter().next().map(|one| (one, goals)),
        _ => None,
    }
}

/// An amount in ten-thousandths: digits, and at most four after the point.
fn amount(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let plain = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !plain(whole, 15) || part.is_some_and(|part| !plain(part, 4)) {
        return None;
    }
    let part: i64 = format!("{:0<4}", part.unwrap_or("")).parse().ok()?;
    Some(sign * (whole.parse::<i64>().ok()? * 10_000 + part))
}

/// The visitors of each group who were there to be converted.
fn before_goals(hits: &[Hit], ask: &Ask, dimensions: &[String]) -> BTreeMap<Vec<String>, f64> {
    let filters: Vec<Where> = top(ask.filters)
        .into_iter()
        .filter(|filter| match filter {
            Where::Goals { .. } => false,
            Where::Test { dimension, .. } => !dimension.starts_with("event:props:"),
            _ => true,
        })
        .cloned()
        .collect();
    let dimensions: Vec<String> = dimensions.iter().filter(|name| *name != "event:goal").cloned().collect();
    let before =
        Ask { dimensions: &dimensions, metrics: &["visitors"], filters: &filters, of_ads: false, ..*ask };
    answer(hits, &before).into_iter().map(|(group, values)| (group, values[0].expect("a count"))).collect()
}

/// The answer by definition.
pub fn answer(hits: &[Hit], ask: &Ask) -> Groups {
    let visits = visits(hits, ask.bots, ask.from - DAY, ask.to + DAY);
    let names: Vec<String> = ask.dimensions.iter().cloned().chain(dimensions_of(ask.filters)).collect();
    let about_ads = ask.of_ads || names.iter().any(|name| name == "event:ad");
    let about_goals = ask.dimensions.iter().any(|name| name == "event:goal")
        || top(ask.filters).iter().any(|filter| matches!(filter, Where::Goals { .. }));
    let by_hit = about_ads || about_goals;
    let ads = [Kind::AdView, Kind::AdViewable, Kind::AdClick];
    let wants = |list: &[&str]| ask.metrics.iter().any(|metric| list.contains(metric));
    let of_ads = wants(&["ad_views", "ad_viewable", "ad_clicks", "ad_ctr", "ad_viewable_rate"]);
    let of_engagement = wants(&["scroll_depth", "time_on_page"]);
    let of_others = ask
        .metrics
        .iter()
        .any(|metric| !metric.starts_with("ad_") && !["scroll_depth", "time_on_page"].contains(metric));
    let relevant = |kind: Kind| {
        if about_ads {
            return ads.contains(&kind);
        }
        if about_goals {
            return kind != Kind::Consent;
        }
        match kind {
            Kind::Pageview | Kind::Event => of_others,
            Kind::Engagement => of_engagement,
            Kind::Consent => false,
            _ => of_ads,
        }
    };
    let rows_of_goals = rows_of_goals(ask);

    // Which hits of which visits are in which group.
    let mut groups: BTreeMap<Vec<String>, ByVisit> = BTreeMap::new();
    let mut all: BTreeSet<u64> = BTreeSet::new();
    for ((person, number), visit) in &visits {
        for hit in &visit.hits {
            if hit.time < ask.from || hit.time >= ask.to || !relevant(hit.kind) {
                continue;
            }
            if !ask.filters.iter().all(|filter| passes(filter, hit, hit, visit, ask)) {
                continue;
            }
            // A hit is in the row of each goal that it reaches.
            let mut rows = vec![Vec::new()];
            for name in ask.dimensions {
                let values: Vec<String> = match name.as_str() {
                    "event:goal" => {
                        let reached = rows_of_goals.iter().filter(|goal| reaches(hit, goal));
                        reached.map(|goal| goal.name.clone()).collect()
                    }
                    name => vec![value_of(name, hit, hit, visit, ask.zone)],
                };
                let longer = |row: &Vec<String>| {
                    let row = row.clone();
                    values
                        .iter()
                        .map(move |value| [row.clone(), vec![value.clone()]].concat())
                        .collect::<Vec<_>>()
                };
                rows = rows.iter().flat_map(longer).collect();
            }
            for group in rows {
                groups.entry(group).or_default().entry((*person, *number)).or_default().push(hit);
                if by_hit || hit.counted() {
                    all.insert(*person);
                }
            }
        }
    }
    if ask.dimensions.is_empty() {
        groups.entry(Vec::new()).or_default();
    }

    let pages = ["event:page", "event:hostname"];
    let filtered_by_page = dimensions_of(ask.filters).iter().any(|name| pages.contains(&name.as_str()));
    let is_conversion = wants(&["conversion_rate", "group_conversion_rate"]);
    let before = if is_conversion { before_goals(hits, ask, ask.dimensions) } else { BTreeMap::new() };
    let before_all = if is_conversion { before_goals(hits, ask, &[]) } else { BTreeMap::new() };
    let views_of_pages = match wants(&["exit_rate"]) && !ask.dimensions.is_empty() {
        true => {
            let dimensions = ["event:page".to_owned()];
            answer(hits, &Ask { dimensions: &dimensions, metrics: &["pageviews"], ..*ask })
        }
        false => Groups::new(),
    };
    groups
        .into_iter()
        .map(|(group, members)| {
            let mut persons = HashSet::new();
            let (mut present, mut own, mut bounced, mut lasted) = (0.0, 0.0, 0.0, 0.0);
            let mut kinds: BTreeMap<&str, f64> = BTreeMap::new();
            let (mut engaged, mut engaged_visits, mut depth, mut depths) = (0.0, 0.0, 0.0, 0.0);
            for ((person, number), hits) in &members {
                let visit = &visits[&(*person, *number)];
                let is_present = by_hit || hits.iter().any(|hit| hit.counted());
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
                            || ask.filters.iter().all(|filter| passes(filter, hit, entry, visit, ask)))
                    });
                    if entered {
                        own += 1.0;
                        if visit.hits.iter().filter(|hit| hit.counted()).count() == 1 {
                            bounced += 1.0;
                        }
                        lasted += (visit.last - visit.hits[0].time) as f64 / 1000.0;
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
            let (mut taken, mut amounts) = (0, 0);
            let money = money(ask, &group);
            for hit in members.values().flatten() {
                let reached =
                    money.as_ref().is_some_and(|(_, goals)| goals.iter().any(|goal| reaches(hit, goal)));
                let said = hit.props.iter().find(|(key, _)| key == "revenue");
                if let (true, Some(amount)) = (reached, said.and_then(|(_, text)| amount(text))) {
                    taken += amount;
                    amounts += 1;
                }
            }
            let there: Vec<String> = ask
                .dimensions
                .iter()
                .zip(&group)
                .filter(|(name, _)| *name != "event:goal")
                .map(|(_, value)| value.clone())
                .collect();
            let page_views = || {
                let path = group.first()?;
                let path = if path == "(not set)" { String::new() } else { path.clone() };
                views_of_pages.get(&vec![path])?[0]
            };
            let kind = |name: &str| kinds.get(name).copied().unwrap_or(0.0);
            let over = |value: f64, by: f64| (by > 0.0).then(|| value / by);
            let values = ask
                .metrics
                .iter()
                .map(|metric| match *metric {
                    "visitors" => Some(persons.len() as f64),
                    "visits" => Some(present),
                    "pageviews" => Some(kind("pageview")),
                    "events" if about_goals => {
                        Some(kinds.iter().filter(|(name, _)| **name != "engagement").map(|(_, n)| n).sum())
                    }
                    "events" => Some(kind("pageview") + kind("event")),
                    "conversion_rate" => {
                        let all = before_all.get(&Vec::new()).copied().unwrap_or(0.0);
                        over(100.0 * persons.len() as f64, all)
                    }
                    "group_conversion_rate" => {
                        let there = before.get(&there).copied().unwrap_or(0.0);
                        over(100.0 * persons.len() as f64, there)
                    }
                    "exit_rate" if ask.dimensions.is_empty() => over(100.0 * present, kind("pageview")),
                    "exit_rate" => over(100.0 * present, page_views().unwrap_or(0.0)),
                    "total_revenue" => money.as_ref().map(|_| (taken as f64) / 10_000.0),
                    "average_revenue" => {
                        money.as_ref().and_then(|_| over((taken as f64) / 10_000.0, f64::from(amounts)))
                    }
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
    // None comes back before it is offered.
    let cookies: HashSet<u64> =
        hits.iter().filter(|hit| hit.cookie && hit.time >= from).map(|hit| hit.visitor).collect();
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
        // Nothing that the visitor did.
        if hit.kind != Kind::Error {
            people.entry(person).or_default().push(hit);
        }
    }
    let mut visits = BTreeMap::new();
    for (person, mut hits) in people {
        hits.sort_by_key(|hit| (hit.time, hit.id.batch, hit.id.row));
        let mut number = 0;
        let mut last = i64::MIN / 2;
        // Nothing goes on after a gap, whatever comes then.
        let mut goes_on = false;
        for hit in hits {
            goes_on &= hit.time - last <= MINUTES_30;
            if hit.counted() && !goes_on {
                goes_on = true;
                number += 1;
            }
            last = hit.time;
            let visit = visits.entry((person, number)).or_insert_with(|| Visit {
                hits: Vec::new(),
                real: goes_on,
                last,
            });
            visit.hits.push(hit);
            if goes_on {
                visit.last = last;
            }
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

/// The dimensions that filters name, outside of `has_done`.
fn dimensions_of(filters: &[Where]) -> Vec<String> {
    filters
        .iter()
        .flat_map(|filter| match filter {
            Where::All(children) | Where::Any(children) => dimensions_of(children),
            Where::Not(child) => dimensions_of(std::slice::from_ref(child)),
            Where::Segments(segments) => {
                segments.iter().flat_map(|(_, filters)| dimensions_of(filters)).collect()
            }
            Where::Done { .. } | Where::Goals { .. } => Vec::new(),
            Where::Test { dimension, .. } => vec![dimension.clone()],
        })
        .collect()
}

fn mentions_goals(filter: &Where) -> bool {
    match filter {
        Where::All(children) | Where::Any(children) => children.iter().any(mentions_goals),
        Where::Not(child) | Where::Done { what: child, .. } => mentions_goals(child),
        Where::Segments(segments) => segments.iter().any(|(_, filters)| filters.iter().any(mentions_goals)),
        Where::Goals { .. } => true,
        Where::Test { .. } => false,
    }
}

/// `page` is the hit that stands for `event:page` and `event:hostname`.
fn passes(filter: &Where, hit: &Hit, page: &Hit, visit: &Visit, ask: &Ask) -> bool {
    match filter {
        Where::All(children) => children.iter().all(|child| passes(child, hit, page, visit, ask)),
        Where::Any(children) => children.iter().any(|child| passes(child, hit, page, visit, ask)),
        Where::Not(child) => !passes(child, hit, page, visit, ask),
        Where::Segments(segments) => segments
            .iter()
            .any(|(_, filters)| filters.iter().all(|child| passes(child, hit, page, visit, ask))),
        Where::Goals { .. } => ask.goals.iter().any(|goal| names_goal(filter, goal) && reaches(hit, goal)),
        Where::Done { done, what } => {
            let of_ads = dimensions_of(std::slice::from_ref(what)).iter().any(|name| name == "event:ad");
            let looked_at = |hit: &Hit| match hit.kind {
                Kind::Consent | Kind::Error => false,
                Kind::Pageview | Kind::Event => !of_ads,
                Kind::Engagement => !of_ads && mentions_goals(what),
                Kind::AdClick => of_ads || mentions_goals(what),
                Kind::AdView | Kind::AdViewable => of_ads,
            };
            let found = visit.hits.iter().any(|other| {
                let in_range = other.time >= ask.from && other.time < ask.to;
                in_range && looked_at(other) && passes(what, other, other, visit, ask)
            });
            found == *done
        }
        Where::Test { operator, dimension, values, case_sensitive } => {
            let fold = |text: &str| if *case_sensitive { text.to_owned() } else { text.to_lowercase() };
            let value = fold(&value_of(dimension, hit, page, visit, ask.zone));
            let any = |test: &dyn Fn(&str) -> bool| values.iter().any(|wanted| test(&fold(wanted)));
            match *operator {
                "is" => any(&|wanted| value == wanted),
                "is_not" => !any(&|wanted| value == wanted),
                "contains" => any(&|wanted| value.contains(wanted)),
                "contains_not" => !any(&|wanted| value.contains(wanted)),
                // The tests use `^text`, which needs no engine of expressions.
                "matches" => any(&|wanted| value.starts_with(&wanted[1..])),
                "matches_not" => !any(&|wanted| value.starts_with(&wanted[1..])),
                "matches_wildcard" => any(&|wanted| goal::fits(wanted, &value)),
                "matches_wildcard_not" => !any(&|wanted| goal::fits(wanted, &value)),
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
        "visit:country_name" => match entry.get("country") {
            "RU" => "Russia".to_owned(),
            "KZ" => "Kazakhstan".to_owned(),
            other => other.to_owned(),
        },
        "visit:region_name" => entry.get("region").to_owned(),
        "visit:city_name" => entry.get("city").to_owned(),
        "visit:entry_page_hostname" => or(entry.get("host"), "(not set)"),
        "visit:exit_page_hostname" => {
            let last = visit.hits.iter().rev().find(|hit| hit.counted());
            or(last.map_or("", |hit| hit.get("host")), "(not set)")
        }
        "visit:consent" => match visit.hits[visit.hits.len() - 1].consent {
            ConsentState::Unstated => "unstated",
            ConsentState::Granted => "granted",
            ConsentState::Denied => "denied",
            ConsentState::Marketing => "marketing",
        }
        .to_owned(),
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
