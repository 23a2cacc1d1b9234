//! The act of destruction and the export of the event log, by Roskomnadzor's order
//! 179 of 28 October 2022, which asks for both where data is processed by machine.
//! They are kept for three years, in `DATA/rights/acts/`: `NUMBER.json` for
//! programs, `NUMBER.html` to be printed and signed.
//!
//! An act does not hold what was destroyed: it names the subject by the number of
//! the request and by keyed hashes, which nobody can turn back.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::SubjectError;
use super::erase::Order;
use super::note::Note;
use crate::config::Config;
use crate::html::escape;
use crate::policy::Language;
use crate::private_file as file;
use crate::rights::request::Subject;

/// Below `DATA/rights`.
const DIRECTORY: &str = "acts";
/// What rows hold of a person, by the order's words.
const CATEGORIES: &[[&str; 2]] = &[
    ["идентификатор посетителя из cookie-файла", "visitor's identifier from the cookie"],
    ["IP-адрес (зашифрованный) и примерное местоположение", "IP address (encrypted) and coarse location"],
    ["сведения о браузере и устройстве", "browser and device"],
    ["время посещения, адреса страниц, реферер", "time of visits, page addresses, referrer"],
    ["ключ пользователя (хеш) и события сайта", "user key (hash) and events of the site"],
];
const METHOD: [&str; 2] = [
    "удаление строк из базы данных с физическим удалением её файлов, перезапись журнала приёма нулями; \
     без возможности восстановления",
    "rows deleted from the database together with the files that held them, intake log overwritten with \
     zeros; cannot be undone",
];

/// The longest name of an act, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// One person's act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The name of its files.
    pub number: String,
    pub operator: String,
    pub operator_address: String,
    /// Who processes for the operator; empty when nobody does.
    pub processor: String,
    pub processor_address: String,
    /// Who destroyed: name and post.
    pub by: String,
    /// The number of the request; empty without one.
    pub request: String,
    pub site: String,
    pub subjects: Vec<Subject>,
    /// In Russian and in English.
    pub categories: Vec<[String; 2]>,
    pub system: String,
    pub method: [String; 2],
    pub reason: String,
    /// When it was done, RFC 3339.
    pub at: String,
    /// Rows of hits that were destroyed.
    pub rows: u64,
    /// The day by which the last backup that may hold the rows is destroyed too, RFC 3339. A
    /// restored one is erased again before it can be used.
    pub backups_until: String,
    /// Files that were set aside as damaged, and that nobody can be looked up in.
    pub files_set_aside: usize,
    /// What could not be found.
    pub notes: Vec<Note>,
}

/// The file, as far as it is read again: the log's export follows from the act.
#[derive(Deserialize)]
struct Written {
    act: Act,
}

// === impl Act ===

impl Act {
    pub(super) fn new(
        config: &Config,
        order: Order,
        rows: u64,
        files_set_aside: usize,
        at: Timestamp,
    ) -> Act {
        let Order { person, request, reason, by, used: _ } = order;
        let age = SignedDuration::from_hours(24 * i64::from(config.backup.max_age_days));
        let first =
            person.subjects.first().map_or_else(|| "nobody".to_owned(), |subject| subject.hash.to_string());
        let number = match &request {
            Some(request) => format!("{request}-{}", at.strftime("%Y%m%dT%H%M%SZ")),
            None => format!("{}-{}", at.strftime("%Y%m%dT%H%M%SZ"), &first[..8.min(first.len())]),
        };
        let operator = &config.operator;
        Act {
            number,
            operator: operator.name.clone(),
            operator_address: operator.address.clone(),
            processor: operator.processor.clone(),
            processor_address: operator.processor_address.clone(),
            by,
            request: request.unwrap_or_default(),
            site: person.site,
            subjects: person.subjects,
            categories: CATEGORIES.iter().map(|both| both.map(str::to_owned)).collect(),
            system: format!("Metka {}, {}", env!("CARGO_PKG_VERSION"), config.storage.database),
            method: METHOD.map(str::to_owned),
            reason,
            at: at.to_string(),
            rows,
            backups_until: at.checked_add(age).unwrap_or(at).to_string(),
            files_set_aside,
            notes: person.notes,
        }
    }

    /// The export of the event log: subject, categories, system, reason, date.
    pub fn log_export(&self) -> serde_json::Value {
        serde_json::json!({
            "subject": self.subject(),
            "categories": self.categories.iter().map(|both| &both[0]).collect::<Vec<_>>(),
            "system": self.system,
            "reason": self.reason,
            "date": self.at,
        })
    }

    /// The act and the log's export on one printable page.
    pub fn html(&self) -> String {
        let or_line = |text: &str| match text {
            "" => "______________________".to_owned(),
            text => escape(text),
        };
        let mut categories = String::from("<ul>");
        for [russian, english] in &self.categories {
            categories.push_str(&format!(
                "<li>{}<br><span lang=\"en\">{}</span></li>",
                escape(russian),
                escape(english)
            ));
        }
        categories.push_str("</ul>");
        let method =
            format!("{}<br><span lang=\"en\">{}</span>", escape(&self.method[0]), escape(&self.method[1]));
        let mut left = vec![format!(
            "Резервные копии, сделанные раньше, уничтожаются не позднее {0}; восстановленная копия очищается до \
             использования.<br><span lang=\"en\">Backups made before end by {0} at the latest; a restored one is \
             erased again before it can be used.</span>",
            escape(&self.backups_until)
        )];
        if self.files_set_aside > 0 {
            left.push(format!(
                "Повреждённые файлы журнала приёма, в которых нельзя искать: {0}; их удаляют вручную \
                 (spool/quarantine).<br><span lang=\"en\">Damaged files of the intake log in which nobody can be \
                 looked up: {0}; they are removed by hand (spool/quarantine).</span>",
                self.files_set_aside
            ));
        }
        left.extend(self.notes.iter().map(|note| {
            let [russian, english] =
                [Language::Ru, Language::En].map(|language| escape(&note.text(language)));
            format!("{russian}<br><span lang=\"en\">{english}</span>")
        }));
        let subject = escape(&self.subject());
        let (reason, system, at) = (escape(&self.reason), escape(&self.system), escape(&self.at));
        let act = [
            ("Оператор", "Operator", or_line(&self.operator)),
            ("Адрес оператора", "Its address", or_line(&self.operator_address)),
            ("Лицо, обрабатывающее данные по поручению", "Processor", or_line(&self.processor)),
            ("Его адрес", "Its address", or_line(&self.processor_address)),
            ("Субъект", "Subject", subject.clone()),
            ("Кто уничтожил", "Destroyed by", or_line(&self.by)),
            ("Категории данных", "Categories", categories.clone()),
            ("Информационная система", "Information system", system.clone()),
            ("Способ уничтожения", "Method", method),
            ("Причина", "Reason", reason.clone()),
            ("Дата и время", "Date and time", at.clone()),
            ("Уничтожено строк", "Rows destroyed", self.rows.to_string()),
            ("Что остаётся и до каких пор", "What is left, and until when", left.join("<br>")),
            ("Подпись", "Signature", or_line("")),
        ];
        let log = [
            ("Субъект", "Subject", subject),
            ("Категории данных", "Categories", categories),
            ("Информационная система", "Information system", system),
            ("Причина", "Reason", reason),
            ("Дата", "Date", at),
        ];
        let number = escape(&self.number);
        format!(
            "<!doctype html>\n<html lang=\"ru\"><head><meta charset=\"utf-8\"><title>Акт {number}</title>\n\
             <style>body{{font:11pt/1.4 serif;max-width:48em;margin:2em auto;padding:0 1em}}\
             h1,h2{{font-size:1.2em}}table{{border-collapse:collapse;width:100%}}\
             th,td{{border:1px solid;padding:.4em;text-align:left;vertical-align:top}}th{{width:32%}}\
             ul{{margin:0;padding-left:1.2em}}[lang=en]{{font-size:.9em;font-weight:normal}}</style></head>\n\
             <body><h1>Акт об уничтожении персональных данных № {number}<br>\
             <span lang=\"en\">Act of destruction of personal data</span></h1>\n{}\n\
             <h2>Выгрузка из журнала регистрации событий<br>\
             <span lang=\"en\">Export of the event log</span></h2>\n{}\n</body></html>\n",
            table(&act),
            table(&log),
        )
    }

    /// Writes both files of each; they are durable when this returns.
    pub(super) fn write_all(acts: &[Act], dir: &Path) -> Result<(), SubjectError> {
        let files = acts.iter().flat_map(|act| {
            let json = serde_json::json!({ "act": act, "event_log": act.log_export() });
            act.paths(dir).into_iter().zip([json.to_string().into_bytes(), act.html().into_bytes()])
        });
        let directory = dir.join(DIRECTORY);
        file::replace_each(&directory, &files.collect::<Vec<_>>())
            .map_err(|source| SubjectError::File { path: directory, source })
    }

    /// The act of this name; none if there is none, or if it is no name of one.
    pub fn read(data_dir: &Path, number: &str) -> Result<Option<Act>, SubjectError> {
        let is_name = !number.is_empty()
            && number.len() <= MAX_NAME_BYTES
            && number.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_name {
            return Ok(None);
        }
        let path = data_dir.join("rights").join("acts").join(format!("{number}.json"));
        let bytes = file::read(&path).map_err(|source| SubjectError::File { path: path.clone(), source })?;
        let Some(bytes) = bytes else { return Ok(None) };
        let written: Written = serde_json::from_slice(&bytes)
            .map_err(|error| SubjectError::Format { path, what: error.to_string() })?;
        Ok(Some(written.act))
    }

    /// All acts of a data directory; a file that is none is an error.
    pub fn all(data_dir: &Path) -> Result<Vec<Act>, SubjectError> {
        let dir = data_dir.join("rights").join("acts");
        let at = |source| SubjectError::File { path: dir.clone(), source };
        let listed = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(at)?,
        };
        let mut acts = Vec::new();
        for entry in listed {
            let path = entry.map_err(at)?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == "json") {
                acts.extend(Act::read(data_dir, name)?);
            }
        }
        Ok(acts)
    }

    /// Where its files are.
    pub fn files(&self, dir: &Path) -> Vec<String> {
        self.paths(dir).map(|path| path.display().to_string()).into()
    }

    fn paths(&self, dir: &Path) -> [PathBuf; 2] {
        ["json", "html"].map(|extension| dir.join(DIRECTORY).join(format!("{}.{extension}", self.number)))
    }

    fn subject(&self) -> String {
        let hashes: Vec<String> = self.subjects.iter().map(Subject::to_string).collect();
        let request = if self.request.is_empty() { String::new() } else { format!("{}: ", self.request) };
        format!("{request}{}", hashes.join(", "))
    }
}

fn table(rows: &[(&str, &str, String)]) -> String {
    let mut out = String::from("<table>");
    for (russian, english, value) in rows {
        out.push_str(&format!(
            "<tr><th>{russian}<br><span lang=\"en\">{english}</span></th><td>{value}</td></tr>"
        ));
    }
    out.push_str("</table>");
    out
}
