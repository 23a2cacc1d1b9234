//! What a row of `visits` knows of a visit: under which column, and how it is made from the
//! visit's hits. Values are kept as answers show them, so that a question groups by the
//! column itself.

use crate::query::names::VisitField;

/// Properties of a visit, the columns of `visits` that hold them, and the columns of the
/// hit that has them: the visit's first counted one, but for the exit page.
pub const FIELDS: &[(VisitField, &str, &str)] = &[
    (VisitField::Source, "source", "source"),
    (VisitField::Channel, "channel", "channel"),
    (VisitField::Referrer, "referrer", "concat(referrer_host, referrer_path)"),
    (VisitField::UtmSource, "utm_source", "utm_source"),
    (VisitField::UtmMedium, "utm_medium", "utm_medium"),
    (VisitField::UtmCampaign, "utm_campaign", "utm_campaign"),
    (VisitField::UtmContent, "utm_content", "utm_content"),
    (VisitField::UtmTerm, "utm_term", "utm_term"),
    (VisitField::Country, "country", "country"),
    (VisitField::Region, "region", "region"),
    (VisitField::City, "city", "city"),
    (VisitField::Device, "device", "device"),
    (VisitField::Browser, "browser", "browser"),
    (VisitField::BrowserVersion, "browser_version", "browser_version"),
    (VisitField::Os, "os", "os"),
    (VisitField::OsVersion, "os_version", "os_version"),
    (VisitField::Language, "language", "language"),
    (VisitField::Screen, "screen", "screen"),
    (VisitField::Network, "network", "network"),
    (VisitField::EntryPage, "entry", "path"),
    (VisitField::ExitPage, "exit", "path"),
];

/// A value of a hit as an answer shows it.
pub fn shown(field: VisitField, value: &str) -> String {
    match (field, field.label_of_empty()) {
        (VisitField::Channel, label) => {
            format!("if({value} IN ('', 'direct'), '{label}', toString({value}))")
        }
        (_, "") => format!("toString({value})"),
        (_, label) => format!("if({value} = '', '{label}', toString({value}))"),
    }
}

/// The column of `visits` that holds a property of visits.
pub fn column(field: VisitField) -> Option<&'static str> {
    FIELDS.iter().find(|(known, ..)| *known == field).map(|(_, column, _)| *column)
}
