//! A case file as a page to be printed, in Russian or English: what storage keeps by a name of
//! a closed list stands in words ([`super::words`]), notes are in the page's language too.
//! Every text on it that is not ours is escaped. Moments are in the site's time zone.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::file::File;
use super::trail::CELLS;
use super::{moment, words};
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
        "Разных адресов (в виде условных обозначений)",
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
        out.push_str(&format!("<p>{}</p>\n", escape(&note.text(file.language))));
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
fn about(file: &File, of_page: &Words) -> [String; 17] {
    let summary = &file.trail.summary;
    let list = |cell: &str, names: &BTreeSet<String>| {
        names.iter().map(|name| words::cell(cell, name, file.language)).collect::<Vec<_>>().join(", ")
    };
    let optional = |at: Option<i64>| at.map(|at| local(file, at)).unwrap_or_default();
    let around = file.around.map(|around| match file.visit_at() {
        Some((place, _)) => format!("{}: {} {}", local(file, around.at), of_page.visit, place + 1),
        None => format!("{}: {}", local(file, around.at), of_page.no_visit),
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
        list("country", &summary.countries),
        list("device", &summary.devices),
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
                name => escape(words::cell(name, cell, file.language)),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::file::tests::file;
    use super::words::tests::names;
    use super::*;
    use crate::subject::note::Note;

    /// The texts of a page, without its markup.
    fn texts(page: &str) -> Vec<&str> {
        let after = page.split('<').filter_map(|part| part.split_once('>'));
        after.map(|(_, text)| text.trim()).filter(|text| !text.is_empty()).collect()
    }

    /// A page with this in one cell, and where that is a device in its summary too.
    fn page(cell: &str, stored: &str, language: Language) -> String {
        let mut file = File { language, notes: Note::all(3).into(), ..file("x") };
        let place = CELLS.iter().position(|(name, _)| *name == cell).expect("a cell");
        file.trail.hits[0].1[place] = json!(stored);
        if cell == "device" {
            file.trail.summary.devices = [stored.to_owned()].into();
        }
        file.text()
    }

    #[test]
    fn what_storage_names_stands_on_the_page_in_its_language() {
        for (cell, name) in names() {
            for language in [Language::Ru, Language::En] {
                let page = page(cell, name, language);
                let (about, hits) = page.split_once("</thead>").expect("a hit");
                let (about, hits) = (texts(about), texts(hits));
                let expected = escape(words::cell(cell, name, language));
                let expected = expected.as_str();
                assert!(hits.contains(&expected) && !hits.contains(&name), "{cell} {name}: {hits:?}");
                if cell == "device" {
                    assert!(about.contains(&expected) && !about.contains(&name), "{name}: {about:?}");
                }
            }
        }
        let page = page("mark", "alien", Language::Ru);
        assert!(texts(&page).contains(&"alien"), "as it is stored: {page}");
    }

    #[test]
    fn notes_are_in_the_pages_language_and_in_answers_in_english() {
        for note in Note::all(3) {
            let [russian, english] = [Language::Ru, Language::En].map(|language| {
                let page = page("kind", "pageview", language);
                let shown = escape(&note.text(language));
                assert!(texts(&page).contains(&shown.as_str()), "{shown}");
                assert!(!page.contains("lang=\"en\">") || language == Language::En, "{page}");
                page
            });
            assert!(!russian.contains(&escape(&note.to_string())), "{note}");
            assert!(!english.contains(&escape(&note.text(Language::Ru))), "{note}");
            let json = File { notes: vec![note.clone()], ..file("x") }.json();
            assert_eq!(json["notes"], json!([note.to_string()]));
        }
    }
}
