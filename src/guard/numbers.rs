//! From the exact numbers of one group to those that are shown.
//!
//! - A count that is there but under k is withheld, also one of visits, views or clicks:
//!   fewer than k people made it. The others are rounded to [`STEP`], each by itself, from
//!   its exact value.
//! - A rate is made of its two counts as they are shown, and is withheld with either of
//!   them; so it tells no more than they do. Where one of the counts is no metric of its
//!   own, it is had from the rate and rounded before the rate is made again.
//! - A bounce rate is withheld as well when fewer than k visits bounced, or all but that.
//! - An average is shown for groups of at least k visitors, where it is known of how many
//!   visits it is made. The average scroll depth and time on page are of those only whose
//!   browser told, which is not known: they are withheld. So is money: it is made of few
//!   purchases, whatever the group is.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::hide::is_small;
use super::rule::{Rule, Rules};

/// Counts are shown in steps of this.
pub const STEP: u64 = 5;

/// The exact numbers of one group.
pub struct Group<'a> {
    pub metrics: HashMap<&'a str, &'a Value>,
    /// The visits, and the visitors, that an average of visits is made of; none is not known.
    pub averaged: Option<(u64, u64)>,
    /// All visitors of the question, for a percentage.
    pub visitors: Option<u64>,
}

/// What is shown of counts.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    pub k: u64,
    pub rules: Rules,
}

/// The metrics that must be known beside those that are asked.
pub fn needed(asked: &[String]) -> Vec<&'static str> {
    let mut needed = vec!["visitors"];
    let mut need = |names: &[&'static str]| {
        for name in names {
            if !needed.contains(name) {
                needed.push(name);
            }
        }
    };
    for metric in asked {
        match metric.as_str() {
            "views_per_visit" => need(&["pageviews", "visits"]),
            "bounce_rate" | "visit_duration" | "exit_rate" => need(&["visits"]),
            "ad_ctr" => need(&["ad_views", "ad_clicks"]),
            "ad_viewable_rate" => need(&["ad_views", "ad_viewable"]),
            _ => {}
        }
    }
    needed
}

// === impl Numbers ===

impl Numbers {
    /// A count as it is shown.
    pub fn count(self, count: u64) -> Option<u64> {
        match self.rules.hold(Rule::Counts) && is_small(count, self.k) {
            true => None,
            false => Some(self.rounded(count)),
        }
    }

    pub fn rounded(self, count: u64) -> u64 {
        if self.rules.hold(Rule::Rounding) { (count + STEP / 2) / STEP * STEP } else { count }
    }

    /// A metric as it is shown.
    pub fn metric(self, name: &str, group: &Group<'_>) -> Value {
        let of = |name: &str| group.metrics.get(name).and_then(|value| value.as_u64());
        let exact = group.metrics.get(name).copied().unwrap_or(&Value::Null);
        match name {
            "visitors" | "visits" | "pageviews" | "events" | "ad_views" | "ad_viewable" | "ad_clicks" => {
                json!(of(name).and_then(|count| self.count(count)))
            }
            _ if !self.rules.hold(Rule::Rates) => exact.clone(),
            "views_per_visit" => self.ratio(of("pageviews"), of("visits"), 1, 100),
            "ad_ctr" => self.ratio(of("ad_clicks"), of("ad_views"), 100, 100),
            "ad_viewable_rate" => self.ratio(of("ad_viewable"), of("ad_views"), 100, 100),
            "percentage" => self.ratio(of("visitors"), group.visitors, 100, 10),
            "conversion_rate" | "group_conversion_rate" => self.part(of("visitors"), exact),
            "exit_rate" => self.part(of("visits"), exact),
            "bounce_rate" => match (exact.as_f64(), group.averaged) {
                (Some(rate), Some((visits, visitors))) if !is_small(visitors, self.k) => {
                    let bounced = (rate * visits as f64 / 100.0).round() as u64;
                    let stayed = visits.saturating_sub(bounced);
                    if is_small(stayed, self.k) {
                        return Value::Null;
                    }
                    self.ratio(Some(bounced), Some(visits), 100, 1)
                }
                _ => Value::Null,
            },
            "visit_duration" => match group.averaged {
                Some((_, visitors)) if !is_small(visitors, self.k) => exact.clone(),
                _ => Value::Null,
            },
            _ => Value::Null,
        }
    }

    /// A ratio of two counts as they are shown, times `times`, to one part in `parts`.
    fn ratio(self, of: Option<u64>, all: Option<u64>, times: u64, parts: u64) -> Value {
        let (Some(of), Some(all)) = (of.and_then(|of| self.count(of)), all.and_then(|all| self.count(all)))
        else {
            return Value::Null;
        };
        if all == 0 {
            return Value::Null;
        }
        let ratio = (of * times * parts) as f64 / all as f64;
        let shown = ratio.round() / parts as f64;
        // A part of the whole is not more than it, though both are rounded.
        let most = if times == 100 { 100.0 } else { f64::MAX };
        if parts == 1 { json!(shown.min(most) as u64) } else { json!(shown.min(most)) }
    }

    /// A share, of which only the count and the exact rate are known.
    fn part(self, of: Option<u64>, rate: &Value) -> Value {
        let (Some(of), Some(rate)) = (of, rate.as_f64()) else { return Value::Null };
        if of == 0 {
            return json!(0.0);
        }
        if rate <= 0.0 {
            return Value::Null;
        }
        let all = (of as f64 * 100.0 / rate).round() as u64;
        if is_small(all.abs_diff(of), self.k) {
            return Value::Null;
        }
        self.ratio(Some(of), Some(all), 100, 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(metrics: Value, name: &str, averaged: Option<(u64, u64)>) -> Value {
        let metrics = metrics.as_object().expect("an object").clone();
        let group = Group {
            metrics: metrics.iter().map(|(name, value)| (name.as_str(), value)).collect(),
            averaged,
            visitors: Some(203),
        };
        Numbers { k: 10, rules: Rules::default() }.metric(name, &group)
    }

    #[test]
    fn counts_are_rounded_or_withheld() {
        for (count, expected) in [
            (0, json!(0)),
            (1, Value::Null),
            (9, Value::Null),
            (10, json!(10)),
            (12, json!(10)),
            (13, json!(15)),
            (1_000_002, json!(1_000_000)),
        ] {
            for name in ["visitors", "visits", "pageviews", "events", "ad_views", "ad_viewable", "ad_clicks"]
            {
                assert_eq!(shown(json!({ name: count }), name, None), expected, "{name} {count}");
            }
        }
    }

    #[test]
    fn rates_are_made_of_what_is_shown() {
        for (metrics, name, averaged, expected) in [
            (json!({ "pageviews": 58, "visits": 31 }), "views_per_visit", None, json!(2.0)),
            (json!({ "pageviews": 9, "visits": 31 }), "views_per_visit", None, Value::Null),
            (json!({ "pageviews": 0, "visits": 0 }), "views_per_visit", None, Value::Null),
            (json!({ "ad_clicks": 11, "ad_views": 402 }), "ad_ctr", None, json!(2.5)),
            (json!({ "ad_clicks": 3, "ad_views": 402 }), "ad_ctr", None, Value::Null),
            (json!({ "ad_viewable": 201, "ad_views": 402 }), "ad_viewable_rate", None, json!(50.0)),
            (json!({ "visitors": 52 }), "percentage", None, json!(24.4)),
            (json!({ "visitors": 9 }), "percentage", None, Value::Null),
            // 50 of 102, and 50 of 53.
            (json!({ "visitors": 50, "conversion_rate": 49.0 }), "conversion_rate", None, json!(50.0)),
            (json!({ "visitors": 50, "conversion_rate": 94.3 }), "conversion_rate", None, Value::Null),
            (json!({ "visitors": 50, "conversion_rate": 100.0 }), "conversion_rate", None, json!(100.0)),
            (json!({ "visitors": 0, "conversion_rate": 0.0 }), "conversion_rate", None, json!(0.0)),
            // One of fifty bounced; all but one did.
            (json!({ "bounce_rate": 2 }), "bounce_rate", Some((50, 50)), Value::Null),
            (json!({ "bounce_rate": 98 }), "bounce_rate", Some((50, 50)), Value::Null),
            (json!({ "bounce_rate": 42 }), "bounce_rate", Some((50, 50)), json!(40)),
            (json!({ "bounce_rate": 0 }), "bounce_rate", Some((50, 50)), json!(0)),
            (json!({ "bounce_rate": 42 }), "bounce_rate", Some((50, 9)), Value::Null),
            (json!({ "bounce_rate": 42 }), "bounce_rate", None, Value::Null),
            (json!({ "visit_duration": 123 }), "visit_duration", Some((50, 50)), json!(123)),
            (json!({ "visit_duration": 123 }), "visit_duration", Some((50, 3)), Value::Null),
            (json!({ "scroll_depth": 60 }), "scroll_depth", Some((50, 50)), Value::Null),
            (json!({ "total_revenue": { "value": 1 } }), "total_revenue", Some((50, 50)), Value::Null),
        ] {
            assert_eq!(shown(metrics.clone(), name, averaged), expected, "{name} of {metrics}");
        }
    }
}
