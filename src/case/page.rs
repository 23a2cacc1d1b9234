//! A case file as a page to be printed, in Russian or English. Every text on it that is not
//! ours is escaped. Moments are in the site's time zone.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::file::File;
use super::moment;
use super::trail::CELLS;
use crate::audit::Purpose;
use crate::html::escape;
use crate::policy::Language;

const STYLE: &str = "body{font:10.5pt/1.45 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1b1d21;background:#fff}\
h1{font-size:1.4em}h2{font-size:1.05em;margin:1.4em 0 .4em}table{border-collapse:collapse;width:100%}\
th,td{border:1px solid #8a8d91;padding:.35em;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
.about th{width:28%}.at{font-weight:600}.token{font-family:monospace;font-size:.8em}tr{break-inside:avoid}";

/// What stands in one column of a visit's table: names of cells.
const COLUMNS: [&[&str]; 6] = [
    &["kind", "name", "ad"],
    &["host", "path"],
    &["source", "referrer"],
    &["country", "region", "city", "network"],
    &["browser", "os", "device", "screen", "language", "timezone"],
    &["consent", "identity", "mark", "address"],
];

struct Words {
    language: &'static str,
    title: &'static str,
    /// Site, who asked, who gets it, by what, purpose, why, basis, range, hits, visits and visitors, days,
    /// first, last, addresses, countries, devices, the moment.
    about: [&'static str; 17],
    heads: [&'static str; 7],
    visit: &'static str,
    visitor: &'static str,
    is_at: &'static str,
    no_visit: &'static str,
    none: &'static str,
    more: &'static str,
    note: &'static str,
}

static RUSSIAN: Words = Words {
    language: "ru",
    title: "Посещения одного лица",
    about: [
        "Сайт",
        "Кто составил, когда",
        "Получатель",
        "По чему найдено лицо",
        "Цель",
        "Зачем",
        "Основание",
        "Период",
        "Обращений, из них на этой странице",
        "Визитов, посетителей",
        "Дней с обращениями",
        "Первое обращение",
        "Последнее обращение",
        "Разных адресов (в виде меток)",
        "Страны",
        "Устройства",
        "Момент, о котором спрашивают",
    ],
    heads: [
        "Время",
        "Событие",
        "Страница",
        "Откуда",
        "Место и сеть",
        "Браузер и устройство",
        "Согласие, метки",
    ],
    visit: "Визит",
    visitor: "посетитель",
    is_at: "в этот визит попадает момент, о котором спрашивают",
    no_visit: "визита не было",
    none: "Ничего не найдено.",
    more: "Это не все обращения: дальше следуют другие.",
    note: "Просмотр записан в журнал доступа. Передача за пределы организации — только через журнал передач.",
};

static ENGLISH: Words = Words {
    language: "en",
    title: "The trail of one visitor",
    about: [
        "Site",
        "Made by, at",
        "Recipient",
        "The person was identified by",
        "Purpose",
        "Why",
        "Basis",
        "Range",
        "Hits, of them on this page",
        "Visits, visitors",
        "Days with hits",
        "First hit",
        "Last hit",
        "Distinct addresses (as tokens)",
        "Countries",
        "Devices",
        "The moment asked about",
    ],
    heads: [
        "Time",
        "Event",
        "Page",
        "From where",
        "Place and network",
        "Browser and device",
        "Consent, marks",
    ],
    visit: "Visit",
    visitor: "visitor",
    is_at: "the moment asked about is in this visit",
    no_visit: "there was no visit",
    none: "Nothing was found.",
    more: "These are not all hits: others follow.",
    note: "This look is in the audit trail. Outside it goes by the log of disclosures only.",
};

/// The page, in the file's language.
pub(super) fn html(file: &File) -> String {
    let words = match file.language {
        Language::Ru => &RUSSIAN,
        Language::En => &ENGLISH,
    };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{}</title>\n\
         <style>{STYLE}</style></head>\n<body><h1>{}: {}</h1>\n<table class=\"about\">\n",
        words.language,
        words.title,
        words.title,
        escape(&file.site),
    );
    for (name, value) in words.about.iter().zip(about(file, words)) {
        if !value.is_empty() {
            out.push_str(&format!("<tr><th>{name}</th><td>{}</td></tr>\n", escape(&value)));
        }
    }
    out.push_str("</table>\n");
    for note in &file.notes {
        out.push_str(&format!("<p lang=\"en\">{}</p>\n", escape(note)));
    }
    if file.trail.hits.is_empty() {
        out.push_str(&format!("<p>{}</p>\n", words.none));
    }
    let at = file.visit_at().map(|(place, _)| place);
    for (place, visit, hits) in file.shown() {
        out.push_str(&format!(
            "<h2>{} {}, {} {}: {} – {}</h2>\n",
            words.visit,
            place + 1,
            words.visitor,
            visit.visitor,
            escape(&local(file, visit.first)),
            escape(&local(file, visit.last)),
        ));
        if at == Some(place) {
            out.push_str(&format!("<p class=\"at\">{}</p>\n", words.is_at));
        }
        out.push_str("<table><thead><tr>");
        words.heads.iter().for_each(|head| out.push_str(&format!("<th>{head}</th>")));
        out.push_str("</tr></thead><tbody>\n");
        hits.iter().for_each(|cells| out.push_str(&row(file, cells)));
        out.push_str("</tbody></table>\n");
    }
    if file.trail.more {
        out.push_str(&format!("<p>{}</p>\n", words.more));
    }
    if file.recipient.is_none() {
        out.push_str(&format!("<p>{}</p>\n", words.note));
    }
    out.push_str("</body></html>\n");
    out
}

/// In the order of [`Words::about`]; what is empty is left out.
fn about(file: &File, words: &Words) -> [String; 17] {
    let summary = &file.trail.summary;
    let list = |names: &std::collections::BTreeSet<String>| {
        names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let optional = |at: Option<i64>| at.map(|at| local(file, at)).unwrap_or_default();
    let around = file.around.map(|around| match file.visit_at() {
        Some((place, _)) => format!("{}: {} {}", local(file, around.at), words.visit, place + 1),
        None => format!("{}: {}", local(file, around.at), words.no_visit),
    });
    [
        file.site.clone(),
        format!("{}, {}", file.by, local(file, file.made.as_millisecond())),
        file.recipient.clone().unwrap_or_default(),
        named(file.who, file.language).to_owned(),
        purpose(file.purpose, file.language).to_owned(),
        file.words.clone(),
        file.basis.clone().unwrap_or_default(),
        format!("{} – {}", local(file, file.span.from), local(file, file.span.to)),
        format!("{}, {}", summary.hits, file.trail.hits.len()),
        format!("{}, {}", summary.visits, summary.visitors),
        summary.days.to_string(),
        optional(summary.first),
        optional(summary.last),
        if file.has_addresses { summary.addresses.to_string() } else { String::new() },
        list(&summary.countries),
        list(&summary.devices),
        around.unwrap_or_default(),
    ]
}

/// One hit.
fn row(file: &File, cells: &[Value]) -> String {
    let text = |name: &str| {
        let column = file.columns().find(|column| CELLS[*column].0 == name);
        column.and_then(|column| cells[column].as_str()).unwrap_or_default()
    };
    let time = text("time").parse::<jiff::Timestamp>().map(|at| local(file, at.as_millisecond()));
    let mut out = format!("<tr><td>{}</td>", escape(&time.unwrap_or_default()));
    for names in COLUMNS {
        let lines = names.iter().map(|name| (name, text(name))).filter(|(_, cell)| !cell.is_empty());
        let lines: Vec<String> = lines
            .map(|(name, cell)| match *name {
                "address" => format!("<span class=\"token\">{}</span>", escape(cell)),
                _ => escape(cell),
            })
            .collect();
        out.push_str(&format!("<td>{}</td>", lines.join("<br>")));
    }
    out.push_str("</tr>\n");
    out
}

/// A moment as people of the site read it.
fn local(file: &File, milliseconds: i64) -> String {
    let zone = TimeZone::get(&file.timezone).unwrap_or(TimeZone::UTC);
    moment(milliseconds).to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

fn named(who: &'static str, language: Language) -> &'static str {
    match (language, who) {
        (Language::Ru, "cookie") => "cookie-файл",
        (Language::Ru, "user key") => "ключ пользователя",
        (Language::Ru, "address") => "IP-адрес и время",
        (Language::Ru, "request") => "обращение из реестра",
        (_, who) => who,
    }
}

fn purpose(purpose: Purpose, language: Language) -> &'static str {
    match (language, purpose) {
        (Language::Ru, Purpose::Fraud) => "предотвращение мошенничества (4.1.4)",
        (Language::Ru, Purpose::Payments) => "подтверждение и оспаривание платежей (4.1.8)",
        (Language::Ru, Purpose::Support) => "техническая поддержка (4.1.9)",
        (Language::Ru, Purpose::Claim) => "рассмотрение претензии (8.2)",
        (Language::Ru, Purpose::Security) => "безопасность, законность платежей (3.3.2)",
        (Language::Ru, Purpose::StateBody) => "запрос государственного органа (5.3)",
        (Language::En, Purpose::Fraud) => "fraud (4.1.4)",
        (Language::En, Purpose::Payments) => "payments confirmed or contested (4.1.8)",
        (Language::En, Purpose::Support) => "technical support (4.1.9)",
        (Language::En, Purpose::Claim) => "a claim (8.2)",
        (Language::En, Purpose::Security) => "security, lawfulness of payments (3.3.2)",
        (Language::En, Purpose::StateBody) => "a state body asks (5.3)",
        // Nothing is opened for these.
        (_, other @ (Purpose::Marketing | Purpose::Rights)) => other.name(),
    }
}
