//! The letter: a subject, and the same content as text and as HTML.
//!
//! The HTML has its styles in it, loads nothing, and has one link, to the dashboard.
//! Names of pages, sources and cities come from visitors: they are escaped, and their
//! dots and `://` are followed by a sign without width, so that no mail program makes
//! a link of them.

use std::fmt::Write;

use super::numbers::{Headline, Metric, Numbers};
use super::period::Period;
use super::words::Language;
use crate::html::escape;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// No width, and no part of an address.
const BREAK: char = '\u{200b}';

const BODY: &str = "font-family:sans-serif;color:#1f2328;max-width:36em;margin:0 auto;padding:16px";
const CELL: &str = "padding:4px 8px 4px 0;border-bottom:1px solid #d0d7de";
const NUMBER: &str =
    "padding:4px 0 4px 8px;border-bottom:1px solid #d0d7de;text-align:right;white-space:nowrap";
const SMALL: &str = "font-size:13px;color:#59636e";

/// Writes a report's letter.
pub fn write(
    site: &str,
    report: &str,
    period: &Period,
    numbers: &Numbers,
    language: Language,
    url: &str,
) -> Letter {
    let title = language.subject(site, period);
    Letter {
        text: text(&title, site, report, period, numbers, language, url),
        html: html(&title, site, report, period, numbers, language, url),
        subject: title,
    }
}

fn text(
    title: &str,
    site: &str,
    report: &str,
    period: &Period,
    numbers: &Numbers,
    language: Language,
    url: &str,
) -> String {
    let mut lines = vec![title.to_owned(), String::new()];
    lines.push(summary(numbers, language).unwrap_or_else(|| language.nothing().to_owned()));
    lines.push(String::new());
    for headline in shown(numbers) {
        let change = language.change(headline).map(|change| format!(" ({change})")).unwrap_or_default();
        lines.push(format!("{}: {}{change}", language.metric(headline.metric), language.value(headline)));
    }
    if is_compared(numbers, language) {
        lines.push(language.compared(period.every).to_owned());
    }
    for list in &numbers.lists {
        lines.extend([String::new(), language.list(list.of).to_owned()]);
        for (name, visitors) in &list.rows {
            let visitors = visitors.map_or_else(|| "—".to_owned(), |visitors| language.number(visitors));
            lines.push(format!("  {visitors}  {}", unlinked(&language.row(list.of, name))));
        }
    }
    lines.push(String::new());
    lines.extend(numbers.least.map(|least| language.guarded(least)));
    lines.push(format!("{}: {url}", language.more()));
    lines.extend([String::new(), language.why(site, report), String::new()]);
    lines.join("\n")
}

fn html(
    title: &str,
    site: &str,
    report: &str,
    period: &Period,
    numbers: &Numbers,
    language: Language,
    url: &str,
) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"{BODY}\">\n<h1 style=\"font-size:20px\">{}</h1>\n<p>{}</p>\n",
        language.code(),
        escape(title),
        escape(title),
        escape(&summary(numbers, language).unwrap_or_else(|| language.nothing().to_owned())),
    );
    let mut rows = String::new();
    for headline in shown(numbers) {
        let change = language.change(headline).unwrap_or_default();
        row(&mut rows, language.metric(headline.metric), &[&language.value(headline), &change]);
    }
    table(&mut html, &rows);
    if is_compared(numbers, language) {
        paragraph(&mut html, language.compared(period.every));
    }
    for list in &numbers.lists {
        // A string takes all that is written.
        let _ = writeln!(html, "<h2 style=\"font-size:16px\">{}</h2>", language.list(list.of));
        let mut rows = String::new();
        for (name, visitors) in &list.rows {
            let visitors = visitors.map_or_else(|| "—".to_owned(), |visitors| language.number(visitors));
            row(&mut rows, &unlinked(&language.row(list.of, name)), &[&visitors]);
        }
        table(&mut html, &rows);
    }
    if let Some(least) = numbers.least {
        paragraph(&mut html, &language.guarded(least));
    }
    let _ = writeln!(html, "<p><a href=\"{}\">{}</a></p>", escape(url), language.more());
    paragraph(&mut html, &language.why(site, report));
    html.push_str("</body>\n</html>\n");
    html
}

fn row(html: &mut String, name: &str, values: &[&str]) {
    let _ = write!(html, "<tr><td style=\"{CELL}\">{}</td>", escape(name));
    for value in values {
        let _ = write!(html, "<td style=\"{NUMBER}\">{}</td>", escape(value));
    }
    html.push_str("</tr>\n");
}

fn table(html: &mut String, rows: &str) {
    if !rows.is_empty() {
        let _ = write!(html, "<table style=\"border-collapse:collapse;width:100%\">\n{rows}</table>\n");
    }
}

fn paragraph(html: &mut String, text: &str) {
    let _ = writeln!(html, "<p style=\"{SMALL}\">{}</p>", escape(text));
}

/// The sentence with the counts; none where one of them is withheld.
fn summary(numbers: &Numbers, language: Language) -> Option<String> {
    let of = |metric| numbers.headline.iter().find(|one| one.metric == metric).and_then(|one| one.now);
    Some(language.summary(of(Metric::Visitors)?, of(Metric::Visits)?, of(Metric::Pageviews)?))
}

/// The headline, where any number of it is shown.
fn shown(numbers: &Numbers) -> &[Headline] {
    match numbers.headline.iter().any(|headline| headline.now.is_some()) {
        true => &numbers.headline,
        false => &[],
    }
}

fn is_compared(numbers: &Numbers, language: Language) -> bool {
    numbers.headline.iter().any(|headline| language.change(headline).is_some())
}

fn unlinked(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        safe.push(letter);
        if letter == '.' || letter == ':' || letter == '@' {
            safe.push(BREAK);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::numbers::{List, ListOf};
    use super::*;
    use crate::settings::Every;

    fn period() -> Period {
        Period::holding(Every::Week, "2026-11-20".parse().expect("a day"))
    }

    fn numbers(values: [Option<f64>; 5]) -> Numbers {
        let headline = Metric::ALL.iter().zip(values);
        let headline =
            headline.map(|(metric, now)| Headline { metric: *metric, now, before: Some(100.0) }).collect();
        Numbers { headline, lists: Vec::new(), least: Some(10) }
    }

    const URL: &str = "https://metka.clinic.example/?site=clinic";

    #[test]
    fn the_text_says_what_the_html_says() {
        let mut numbers = numbers([Some(1235.0), Some(1500.0), Some(4000.0), Some(45.0), Some(125.0)]);
        numbers.lists = vec![
            List {
                of: ListOf::Pages,
                rows: vec![("/prices".to_owned(), Some(400.0)), ("(other)".to_owned(), None)],
            },
            List { of: ListOf::Sources, rows: vec![("Direct / None".to_owned(), Some(900.0))] },
        ];
        let letter = write("clinic", "r1", &period(), &numbers, Language::Russian, URL);
        let plain = letter.text.replace('\u{a0}', " ");
        assert_eq!(
            plain,
            "Посещения сайта clinic: 16–22 ноября 2026 г.\n\n\
             1 235 посетителей, 1 500 визитов, 4 000 просмотров страниц.\n\n\
             Посетители: 1 235 (+1135 %)\nВизиты: 1 500 (+1400 %)\nПросмотры страниц: 4 000 (+3900 %)\n\
             Показатель отказов: 45 % (−55 п. п.)\nСредняя длительность визита: 2 мин 5 с (+25 %)\n\
             Изменения — по сравнению с предыдущей неделей.\n\n\
             Страницы\n  400  /prices\n  —  Прочее\n\nИсточники\n  900  Прямые заходы\n\n\
             Числа округлены; группы меньше 10 посетителей не показаны.\n\
             Подробнее: https://metka.clinic.example/?site=clinic\n\n\
             Вы получили это письмо, потому что ваш адрес указан в отчёте r1 сайта clinic.\n"
        );
        let html = letter.html.replace('\u{a0}', " ");
        for said in ["1 235", "/prices", "Прочее", "Прямые заходы", "+25 %", "lang=\"ru\""]
        {
            assert!(html.contains(said), "{said}: {html}");
        }
        let english = write("clinic", "r1", &period(), &numbers, Language::English, URL);
        assert!(english.text.contains("1,235\u{a0}visitors"), "{}", english.text);
        assert_eq!(english.subject, "Visits to clinic: November 16–22, 2026");
    }

    #[test]
    fn what_is_withheld_is_said_and_shown_nowhere() {
        let letter = write("clinic", "r1", &period(), &numbers([None; 5]), Language::English, URL);
        assert!(letter.text.contains("There were too few visitors"), "{}", letter.text);
        assert!(!letter.text.contains("Bounce") && !letter.html.contains("<table"), "{}", letter.text);
    }

    #[test]
    fn names_from_outside_are_neither_markup_nor_links() {
        let mut numbers = numbers([Some(20.0); 5]);
        let hostile = [
            "<script>alert(1)</script>",
            "evil.example",
            "https://evil.example/x",
            "me@evil.example",
            "\"'&",
        ];
        let rows = hostile.iter().map(|name| ((*name).to_owned(), Some(20.0))).collect();
        numbers.lists = vec![List { of: ListOf::Sources, rows }];
        let letter = write("clinic", "r1", &period(), &numbers, Language::Russian, URL);
        for part in [&letter.text, &letter.html] {
            assert!(!part.contains("evil.example"), "{part}");
            assert!(!part.contains("https://evil"), "{part}");
        }
        assert!(!letter.html.contains("<script"), "{}", letter.html);
        assert_eq!(letter.html.matches("href=").count(), 1);
        assert_eq!(letter.html.matches("://").count(), 1);
    }
}
