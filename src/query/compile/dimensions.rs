//! Values of dimensions, as the answer shows them.

use super::super::countries;
use super::super::goal::{self, Place};
use super::super::names::{Bucket, Dimension, EventField, VisitField};
use super::Builder;
use crate::settings::Goal;
use crate::store::Param;

/// The hit whose properties are meant.
#[derive(Clone, Copy, PartialEq)]
pub(in super::super) enum Of {
    /// The hit itself.
    Hit,
    /// The hit itself, on the page of the first counted hit of its visit.
    Entry,
    /// Any hit of the visit, under the name `y`.
    Any,
}

/// A hit where goals look at it.
struct HitOfGoal<'b, 'a> {
    builder: &'b mut Builder<'a>,
    hit: &'static str,
}

// === impl Of ===

impl Of {
    /// Whose name, ad block, properties and goals are meant.
    const fn hit(self) -> &'static str {
        match self {
            Of::Hit | Of::Entry => "x",
            Of::Any => "y",
        }
    }

    /// Whose page and host are meant.
    const fn page(self) -> &'static str {
        match self {
            Of::Hit => "x",
            Of::Entry => "e",
            Of::Any => "y",
        }
    }
}

// === impl HitOfGoal ===

impl Place for HitOfGoal<'_, '_> {
    fn column(&mut self, column: &'static str) -> String {
        match column {
            "kind" => format!("{}.4", self.hit),
            other => format!("{}.{}", self.hit, self.builder.field(other)),
        }
    }

    fn bind(&mut self, text: String) -> String {
        format!("{{{}:String}}", self.builder.param(Param::Text(text)))
    }
}

// === impl Builder ===

impl Builder<'_> {
    /// The value of a dimension as the answer shows it.
    pub(in super::super) fn dimension(&mut self, dimension: &Dimension, of: Of) -> String {
        let (hit, page) = (of.hit(), of.page());
        match dimension {
            Dimension::Time(bucket) => time_label(*bucket).to_owned(),
            Dimension::Event(EventField::Page) => format!("{page}.{}", self.field("path")),
            Dimension::Event(EventField::Hostname) => format!("{page}.{}", self.field("host")),
            Dimension::Event(EventField::Name) => {
                let name = self.field("name");
                let [named, kind] =
                    [format!("{hit}.{name}"), format!("{hit}.{}", self.field("toString(kind)"))];
                format!("if({hit}.4 = 2, {named}, {kind})")
            }
            Dimension::Event(EventField::Ad) => format!("{hit}.{}", self.field("ad")),
            Dimension::Event(EventField::Mark) => labelled(&format!("{hit}.{}", self.field("bot")), "(none)"),
            Dimension::Event(EventField::Goal) => self.goal_names(of),
            Dimension::Prop(key) => {
                let param = self.prop_param(key);
                let field = self.field(&format!("props[{{{param}:String}}]"));
                labelled(&format!("{hit}.{field}"), "(none)")
            }
            Dimension::Visit(field) => self.visit_field(*field),
        }
    }

    /// Whether a hit reaches a goal.
    pub(in super::super) fn goal(&mut self, goal: &Goal, of: Of) -> String {
        goal::condition(&goal.aim, &mut HitOfGoal { builder: self, hit: of.hit() })
    }

    /// The goals that a hit reaches, each a row of its own.
    fn goal_names(&mut self, of: Of) -> String {
        let query = self.query;
        if query.goals.is_empty() {
            return "arrayJoin(emptyArrayString())".to_owned();
        }
        let pairs: Vec<String> = query
            .goals
            .iter()
            .map(|goal| {
                let reached = self.goal(goal, of);
                let name = self.param(Param::Text(goal.name.clone()));
                format!("({reached}, {{{name}:String}})")
            })
            .collect();
        format!("arrayJoin(arrayMap(g -> g.2, arrayFilter(g -> g.1, [{}])))", pairs.join(", "))
    }

    /// One parameter for each key, so that the same key is the same field.
    fn prop_param(&mut self, key: &str) -> String {
        let value = Param::Text(key.to_owned());
        let known = self.params.iter().find(|(name, known)| name.starts_with('k') && *known == value);
        if let Some((name, _)) = known {
            return name.clone();
        }
        let name = format!("k{}", self.params.len());
        self.params.push((name.clone(), value));
        name
    }

    fn visit_field(&mut self, field: VisitField) -> String {
        let column = match field {
            VisitField::EntryPage | VisitField::ExitPage => "path",
            VisitField::EntryPageHostname | VisitField::ExitPageHostname => "host",
            VisitField::Source => "source",
            VisitField::Channel => "channel",
            VisitField::Referrer => "concat(referrer_host, referrer_path)",
            VisitField::UtmSource => "utm_source",
            VisitField::UtmMedium => "utm_medium",
            VisitField::UtmCampaign => "utm_campaign",
            VisitField::UtmContent => "utm_content",
            VisitField::UtmTerm => "utm_term",
            VisitField::Country | VisitField::CountryName => "country",
            VisitField::Region | VisitField::RegionName => "region",
            VisitField::City | VisitField::CityName => "city",
            VisitField::Device => "device",
            VisitField::Browser => "browser",
            VisitField::BrowserVersion => "browser_version",
            VisitField::Os => "os",
            VisitField::OsVersion => "os_version",
            VisitField::Language => "language",
            VisitField::Screen => "screen",
            VisitField::Network => "network",
            VisitField::Consent => "toString(consent)",
        };
        let hit = match field {
            VisitField::ExitPage | VisitField::ExitPageHostname => "l",
            VisitField::Consent => "v[-1]",
            _ => "e",
        };
        let value = format!("{hit}.{}", self.field(column));
        match (field, field.label_of_empty()) {
            (VisitField::Channel, label) => {
                // The collector stores the word; an empty one is of older data.
                format!("if({value} IN ('', 'direct'), '{label}', {value})")
            }
            (VisitField::CountryName, _) => countries::named(&format!("toString({value})")),
            (_, "") => value,
            (_, label) => labelled(&value, label),
        }
    }
}

fn time_label(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Minute => {
            "formatDateTime(fromUnixTimestamp64Milli(x.1, {zone:String}), '%Y-%m-%d %H:%i:00', {zone:String})"
        }
        Bucket::Hour => {
            "formatDateTime(fromUnixTimestamp64Milli(x.1, {zone:String}), '%Y-%m-%d %H:00:00', {zone:String})"
        }
        Bucket::Day => "toString(toDate(fromUnixTimestamp64Milli(x.1, {zone:String}), {zone:String}))",
        Bucket::Week => {
            "toString(toMonday(toDate(fromUnixTimestamp64Milli(x.1, {zone:String}), {zone:String})))"
        }
        Bucket::Month => {
            "toString(toStartOfMonth(toDate(fromUnixTimestamp64Milli(x.1, {zone:String}), {zone:String})))"
        }
    }
}

fn labelled(value: &str, label: &str) -> String {
    format!("if({value} = '', '{label}', {value})")
}
