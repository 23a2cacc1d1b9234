//! The closed lists: what may be asked, and by what it may be broken down.
//!
//! Every identifier that reaches SQL comes from here; what a person typed is
//! only ever compared with these names or bound as a value.

/// A number that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    Visitors,
    Visits,
    Pageviews,
    ViewsPerVisit,
    BounceRate,
    VisitDuration,
    Events,
    Percentage,
    ScrollDepth,
    TimeOnPage,
    AdViews,
    AdViewable,
    AdClicks,
    AdCtr,
    AdViewableRate,
    ConversionRate,
    GroupConversionRate,
    ExitRate,
    TotalRevenue,
    AverageRevenue,
}

/// The length of one bucket of time, in the site's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    Minute,
    Hour,
    Day,
    /// From Monday.
    Week,
    Month,
}

/// What a breakdown or a filter is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    Time(Bucket),
    /// A property of the hit itself.
    Event(EventField),
    /// `event:props:KEY`; the key is a value, never an identifier.
    Prop(String),
    /// A property of the hit's visit.
    Visit(VisitField),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventField {
    Page,
    Hostname,
    Name,
    Ad,
    /// The mark that keeps the hit out of the numbers.
    Mark,
    /// A goal that the hit reaches; a hit may reach several, or none.
    Goal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VisitField {
    EntryPage,
    ExitPage,
    Source,
    Channel,
    Referrer,
    UtmSource,
    UtmMedium,
    UtmCampaign,
    UtmContent,
    UtmTerm,
    Country,
    Region,
    City,
    Device,
    Browser,
    BrowserVersion,
    Os,
    OsVersion,
    Language,
    Screen,
    Network,
    CountryName,
    RegionName,
    CityName,
    EntryPageHostname,
    ExitPageHostname,
    /// What the person had said when the visit ended.
    Consent,
}

/// The longest key of `event:props:KEY`, in bytes; the collector cuts keys there.
const MAX_PROP_KEY_BYTES: usize = 128;

// === impl Metric ===

impl Metric {
    pub const ALL: &[(&str, Metric)] = &[
        ("visitors", Metric::Visitors),
        ("visits", Metric::Visits),
        ("pageviews", Metric::Pageviews),
        ("views_per_visit", Metric::ViewsPerVisit),
        ("bounce_rate", Metric::BounceRate),
        ("visit_duration", Metric::VisitDuration),
        ("events", Metric::Events),
        ("percentage", Metric::Percentage),
        ("scroll_depth", Metric::ScrollDepth),
        ("time_on_page", Metric::TimeOnPage),
        ("ad_views", Metric::AdViews),
        ("ad_viewable", Metric::AdViewable),
        ("ad_clicks", Metric::AdClicks),
        ("ad_ctr", Metric::AdCtr),
        ("ad_viewable_rate", Metric::AdViewableRate),
        ("conversion_rate", Metric::ConversionRate),
        ("group_conversion_rate", Metric::GroupConversionRate),
        ("exit_rate", Metric::ExitRate),
        ("total_revenue", Metric::TotalRevenue),
        ("average_revenue", Metric::AverageRevenue),
    ];

    pub fn parse(name: &str) -> Option<Metric> {
        find(Metric::ALL, name)
    }

    pub fn name(self) -> &'static str {
        name_in(Metric::ALL, self)
    }

    /// Whether it is a number of whole visits, which an event has no part of.
    pub fn is_of_visits(self) -> bool {
        matches!(self, Metric::ViewsPerVisit | Metric::BounceRate | Metric::VisitDuration)
    }

    pub fn is_of_ads(self) -> bool {
        matches!(
            self,
            Metric::AdViews | Metric::AdViewable | Metric::AdClicks | Metric::AdCtr | Metric::AdViewableRate
        )
    }

    pub fn is_of_engagement(self) -> bool {
        matches!(self, Metric::ScrollDepth | Metric::TimeOnPage)
    }

    /// Whether it needs a goal in the question.
    pub fn is_of_conversion(self) -> bool {
        matches!(self, Metric::ConversionRate | Metric::GroupConversionRate)
    }

    pub fn is_of_revenue(self) -> bool {
        matches!(self, Metric::TotalRevenue | Metric::AverageRevenue)
    }

    /// Whether it is a share in percent: two of them differ by points, not by percent.
    pub fn is_share(self) -> bool {
        matches!(
            self,
            Metric::BounceRate
                | Metric::Percentage
                | Metric::AdCtr
                | Metric::AdViewableRate
                | Metric::ConversionRate
                | Metric::GroupConversionRate
                | Metric::ExitRate
        )
    }
}

// === impl Bucket ===

impl Bucket {
    const ALL: &[(&str, Bucket)] = &[
        ("time:minute", Bucket::Minute),
        ("time:hour", Bucket::Hour),
        ("time:day", Bucket::Day),
        ("time:week", Bucket::Week),
        ("time:month", Bucket::Month),
    ];
}

// === impl Dimension ===

impl Dimension {
    pub const GOAL: Dimension = Dimension::Event(EventField::Goal);

    const EVENT: &[(&str, EventField)] = &[
        ("event:page", EventField::Page),
        ("event:hostname", EventField::Hostname),
        ("event:name", EventField::Name),
        ("event:ad", EventField::Ad),
        ("event:mark", EventField::Mark),
        ("event:goal", EventField::Goal),
    ];
    const VISIT: &[(&str, VisitField)] = &[
        ("visit:entry_page", VisitField::EntryPage),
        ("visit:exit_page", VisitField::ExitPage),
        ("visit:source", VisitField::Source),
        ("visit:channel", VisitField::Channel),
        ("visit:referrer", VisitField::Referrer),
        ("visit:utm_source", VisitField::UtmSource),
        ("visit:utm_medium", VisitField::UtmMedium),
        ("visit:utm_campaign", VisitField::UtmCampaign),
        ("visit:utm_content", VisitField::UtmContent),
        ("visit:utm_term", VisitField::UtmTerm),
        ("visit:country", VisitField::Country),
        ("visit:region", VisitField::Region),
        ("visit:city", VisitField::City),
        ("visit:device", VisitField::Device),
        ("visit:browser", VisitField::Browser),
        ("visit:browser_version", VisitField::BrowserVersion),
        ("visit:os", VisitField::Os),
        ("visit:os_version", VisitField::OsVersion),
        ("visit:language", VisitField::Language),
        ("visit:screen", VisitField::Screen),
        ("visit:network", VisitField::Network),
        ("visit:country_name", VisitField::CountryName),
        ("visit:region_name", VisitField::RegionName),
        ("visit:city_name", VisitField::CityName),
        ("visit:entry_page_hostname", VisitField::EntryPageHostname),
        ("visit:exit_page_hostname", VisitField::ExitPageHostname),
        ("visit:consent", VisitField::Consent),
    ];

    /// Reads a name; `time` alone is `auto`.
    pub fn parse(name: &str, auto: Bucket) -> Option<Dimension> {
        if name == "time" {
            return Some(Dimension::Time(auto));
        }
        if let Some(key) = name.strip_prefix("event:props:") {
            let fits = !key.is_empty() && key.len() <= MAX_PROP_KEY_BYTES;
            return fits.then(|| Dimension::Prop(key.to_owned()));
        }
        find(Bucket::ALL, name)
            .map(Dimension::Time)
            .or_else(|| find(Dimension::EVENT, name).map(Dimension::Event))
            .or_else(|| find(Dimension::VISIT, name).map(Dimension::Visit))
    }

    pub fn name(&self) -> String {
        match self {
            Dimension::Time(bucket) => name_in(Bucket::ALL, *bucket).to_owned(),
            Dimension::Event(field) => name_in(Dimension::EVENT, *field).to_owned(),
            Dimension::Visit(field) => name_in(Dimension::VISIT, *field).to_owned(),
            Dimension::Prop(key) => format!("event:props:{key}"),
        }
    }

    /// All that have a fixed name, for tests and documentation.
    pub fn all() -> impl Iterator<Item = Dimension> {
        Bucket::ALL
            .iter()
            .map(|(_, bucket)| Dimension::Time(*bucket))
            .chain(Dimension::EVENT.iter().map(|(_, field)| Dimension::Event(*field)))
            .chain(Dimension::VISIT.iter().map(|(_, field)| Dimension::Visit(*field)))
    }

    /// Whether a number of whole visits has no meaning beside it: the property
    /// belongs to a single event. A page and a host belong to the visit as well,
    /// as those of its entry.
    pub fn splits_visits(&self) -> bool {
        matches!(
            self,
            Dimension::Prop(_) | Dimension::Event(EventField::Name | EventField::Mark | EventField::Goal)
        )
    }

    /// Whether it is a property of single hits.
    pub fn is_of_hits(&self) -> bool {
        matches!(self, Dimension::Event(_) | Dimension::Prop(_))
    }
}

// === impl EventField ===

impl EventField {
    /// Whether a visit has this as the property of its entry.
    pub fn is_of_entry(self) -> bool {
        matches!(self, EventField::Page | EventField::Hostname)
    }
}

// === impl VisitField ===

impl VisitField {
    /// What an empty value reads.
    pub fn label_of_empty(self) -> &'static str {
        match self {
            VisitField::Source | VisitField::Referrer => "Direct / None",
            VisitField::Channel => "Direct",
            VisitField::Country
            | VisitField::Region
            | VisitField::City
            | VisitField::CountryName
            | VisitField::RegionName
            | VisitField::CityName
            | VisitField::Consent => "",
            _ => "(not set)",
        }
    }
}

fn find<T: Copy>(list: &[(&str, T)], name: &str) -> Option<T> {
    list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn name_in<T: PartialEq>(list: &[(&'static str, T)], value: T) -> &'static str {
    list.iter().find(|(_, known)| *known == value).map(|(name, _)| *name).expect("every value is in its list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for dimension in Dimension::all().chain([Dimension::Prop("цена".to_owned())]) {
            assert_eq!(Dimension::parse(&dimension.name(), Bucket::Day), Some(dimension.clone()));
        }
        for (name, metric) in Metric::ALL {
            assert_eq!((Metric::parse(name), metric.name()), (Some(*metric), *name));
        }
        for unknown in ["", "visit", "time:", "event:props:", "visit:SOURCE", "event:page "] {
            assert_eq!(Dimension::parse(unknown, Bucket::Day), None, "{unknown:?}");
        }
    }
}
