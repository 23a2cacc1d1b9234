//! What a script's error may be called.
//!
//! In: the name (`n`) of a hit `error`. Out: what is stored of it, if it is of the one
//! form that is taken:
//!
//! ```text
//! TypeError                      what it was
//! TypeError /js/clinic.js:12     and in which file of the site's, on which line
//! ```
//!
//! An error's message is never asked for: scripts put into it what they were about, which
//! may be a person. So its class and its place are all there is, and what does not read as
//! them is refused. The name of a class ends with `Error`, as those of the language and of
//! browsers do; the embedded script calls all others `Error`.
//!
//! A script that stands in the page itself has the page's path, so the site's path rules group
//! it as they group pages; and [`super::hygiene`] looks at it as at every stored text.

use std::borrow::Cow;

use super::{hygiene, page};
use crate::config::Site;
use crate::event::MAX_NAME_BYTES;

/// The longest name of a class, in bytes; the longest of browsers' own are below 30.
const MAX_CLASS_BYTES: usize = 64;
/// The most digits of a line's number: packed scripts are one line, generated ones are long.
const MAX_LINE_DIGITS: usize = 7;

/// What is stored of `name`; none if it says anything but what an error was, and where.
pub fn kept<'a>(name: &'a str, site: &Site) -> Option<Cow<'a, str>> {
    let Some((class, place)) = name.split_once(' ') else {
        return is_class(name).then_some(Cow::Borrowed(name));
    };
    let (path, line) = place.rsplit_once(':').filter(|(path, line)| is_path(path) && is_line(line))?;
    if !is_class(class) {
        return None;
    }
    Some(match page::own_path(path, site) {
        Some(grouped) => {
            hygiene::kept_of("", Cow::Owned(format!("{class} {grouped}:{line}")), MAX_NAME_BYTES)
        }
        None => hygiene::kept("", name, MAX_NAME_BYTES),
    })
}

fn is_class(text: &str) -> bool {
    text.len() <= MAX_CLASS_BYTES
        && text.ends_with("Error")
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
}

fn is_line(text: &str) -> bool {
    (1..=MAX_LINE_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PathRules;

    #[test]
    fn a_class_and_a_place_are_a_name_and_nothing_else_is() {
        let site = Site::with_defaults("clinic", &["clinic.example"]);
        for name in [
            "Error",
            "TypeError",
            "E2Error",
            "SecurityError /:1",
            "TypeError /js/clinic.js:12",
            "TypeError /js/a%20b,2.js:1234567",
        ] {
            assert_eq!(kept(name, &site).as_deref(), Some(name));
        }
        let long = format!("{}Error", "A".repeat(MAX_CLASS_BYTES));
        for name in [
            "",
            "error",
            "typeError",
            "Type_Error",
            "Failure",
            "ОшибкаError",
            "Error: Anna is not a function",
            "Anna Error",
            "Error Anna",
            "Error ",
            " Error",
            "Error /js/clinic.js",
            "Error /js/clinic.js:",
            "Error /js/clinic.js:12345678",
            "Error /js/clinic.js:1 /b.js:2",
            "Error js/clinic.js:1",
            "Error https://clinic.example/a.js:1",
            "Error /a.js?name=anna:1",
            "Error /a.js#anna:1",
            "Error /доктор.js:1",
            long.as_str(),
        ] {
            assert_eq!(kept(name, &site), None, "{name}");
        }
    }

    #[test]
    fn the_place_of_a_script_within_a_page_is_grouped_as_the_page_is() {
        let mut site = Site::with_defaults("clinic", &["clinic.example"]);
        (site.path_rules, _) = PathRules::read(&["/vrachi/* => /vrachi/:doctor"]);
        for (name, stored) in [
            ("TypeError /vrachi/anna:12", "TypeError /vrachi/:doctor:12"),
            ("TypeError /%76rachi/anna:12", "TypeError /vrachi/:doctor:12"),
            ("TypeError /js/clinic.js:12", "TypeError /js/clinic.js:12"),
            ("TypeError /js/anna@clinic.example.js:12", "TypeError /js/[email]:12"),
        ] {
            assert_eq!(kept(name, &site).as_deref(), Some(stored));
        }
    }
}
