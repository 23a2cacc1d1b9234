//! A report as a page to be printed and signed.

use super::{Language, Report, State};
use crate::html::escape;

const STYLE: &str = "body{font:10.5pt/1.45 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1b1d21;background:#fff}\
h1{font-size:1.4em}table{border-collapse:collapse;width:100%}\
th,td{border:1px solid #8a8d91;padding:.45em;text-align:left;vertical-align:top}\
ul{margin:0;padding-left:1.1em}.red{color:#8f2418;font-weight:600}.green{color:#0f5a3b}\
.key{font-family:monospace;font-size:.92em;overflow-wrap:anywhere}tr{break-inside:avoid}";

struct Words {
    language: &'static str,
    title: &'static str,
    made: &'static str,
    version: &'static str,
    heads: [&'static str; 5],
    states: [&'static str; 3],
}

static RUSSIAN: Words = Words {
    language: "ru",
    title: "Исполнение политики конфиденциальности",
    made: "Составлено",
    version: "Редакция",
    heads: ["Пункт", "Что обещано", "Чем исполняется", "Настройки", "Что видно сейчас"],
    states: ["✓ исполняется", "✗ требует внимания", "—"],
};

static ENGLISH: Words = Words {
    language: "en",
    title: "How the privacy policy is carried out",
    made: "Made",
    version: "Version",
    heads: ["Clause", "What is promised", "What carries it out", "Settings", "What is seen now"],
    states: ["✓ carried out", "✗ needs attention", "—"],
};

/// The page, in one language.
pub fn html(report: &Report, language: Language) -> String {
    let words = match language {
        Language::Ru => &RUSSIAN,
        Language::En => &ENGLISH,
    };
    let is_russian = language == Language::Ru;
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{}</title>\n\
         <style>{STYLE}</style></head>\n<body><h1>{}: {}</h1>\n<p>{} {}. {} {}. {}</p>\n<table><thead><tr>",
        words.language,
        words.title,
        words.title,
        escape(&report.site),
        words.made,
        escape(&report.made),
        words.version,
        escape(if report.version.is_empty() { "—" } else { &report.version }),
        state(words, report.state),
    );
    for head in words.heads {
        out.push_str(&format!("<th>{head}</th>"));
    }
    out.push_str("</tr></thead><tbody>\n");
    for clause in &report.clauses {
        let (says, does) =
            if is_russian { (&clause.ru, &clause.does_ru) } else { (&clause.en, &clause.does_en) };
        out.push_str(&format!(
            "<tr><td>{}<br>{}</td><td>{}</td><td>{}</td><td>",
            escape(&clause.clause),
            state(words, clause.state),
            escape(says),
            escape(does)
        ));
        for setting in &clause.settings {
            out.push_str(&format!(
                "<div class=\"key\">{} = {}</div>",
                escape(&setting.key),
                escape(&setting.value)
            ));
        }
        out.push_str("</td><td><ul>");
        for line in &clause.evidence {
            let label = if is_russian { &line.ru } else { &line.en };
            out.push_str(&format!(
                "<li class=\"{}\">{}: {}</li>",
                line.state.name(),
                escape(label),
                escape(&line.value)
            ));
        }
        out.push_str("</ul></td></tr>\n");
    }
    out.push_str("</tbody></table></body></html>\n");
    out
}

fn state(words: &Words, state: State) -> String {
    let text = match state {
        State::Green => words.states[0],
        State::Red => words.states[1],
        State::None => words.states[2],
    };
    format!("<span class=\"{}\">{text}</span>", state.name())
}
