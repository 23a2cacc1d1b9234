//! What all of the visitor's pages have: language and site, which links and forms pass
//! on, and the frame.

use std::sync::Arc;

use http::header::{ACCEPT_LANGUAGE, HeaderMap, REFERER};

use super::form::Params;
use super::words::{Language, Titled, Words};
use super::{PRIVACY_PATH, STYLE_PATH};
use crate::accept::Settings;
use crate::html::escape;
use crate::identify::sites::SiteState;

/// In which language, and about which site.
pub struct View {
    pub words: &'static Words,
    /// Whether the language was chosen on the page, so that it goes along.
    is_chosen: bool,
    pub site: Option<Arc<SiteState>>,
}

// === impl View ===

impl View {
    pub fn of(settings: &Settings, headers: &HeaderMap, params: &Params) -> View {
        let chosen = params.language.as_deref().and_then(Language::parse);
        let language = chosen.unwrap_or_else(|| preferred(headers));
        View {
            words: language.words(),
            is_chosen: chosen.is_some(),
            site: site(settings, headers, params.site.as_deref()),
        }
    }

    /// A link to another of the pages.
    pub fn link(&self, path: &str, more: &[(&str, &str)]) -> String {
        self.link_in(self.is_chosen.then_some(self.words.code), path, more)
    }

    fn link_in(&self, language: Option<&str>, path: &str, more: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(site) = &self.site {
            query.append_pair("s", &site.site.id);
        }
        if let Some(language) = language {
            query.append_pair("lang", language);
        }
        query.extend_pairs(more);
        match query.finish() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    /// The same for a form.
    pub fn fields(&self) -> String {
        let field = |name: &str, value: &str| {
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
        };
        let mut fields = self.site.as_ref().map_or_else(String::new, |site| field("s", &site.site.id));
        if self.is_chosen || fields.is_empty() {
            fields.push_str(&field("lang", self.words.code));
        }
        fields
    }

    /// A page at `path` with this title and what is in it; all but the first lead back to it.
    pub fn page(&self, path: &str, title: &str, inside: &str) -> String {
        self.framed(path, path != PRIVACY_PATH, title, inside)
    }

    fn framed(&self, path: &str, leads_back: bool, title: &str, inside: &str) -> String {
        let words = self.words;
        let mut switch = String::new();
        for language in Language::ALL {
            let (code, name) = (language.words().code, language.name());
            if language == words.language {
                switch
                    .push_str(&format!("<li><span lang=\"{code}\" aria-current=\"true\">{name}</span></li>"));
            } else {
                let link = escape(&self.link_in(Some(code), path, &[]));
                switch.push_str(&format!(
                    "<li><a lang=\"{code}\" hreflang=\"{code}\" href=\"{link}\">{name}</a></li>"
                ));
            }
        }
        let back = match leads_back {
            false => String::new(),
            true => format!(
                "<a class=\"back\" href=\"{}\"><span aria-hidden=\"true\">←</span> {}</a>",
                escape(&self.link(PRIVACY_PATH, &[])),
                words.back
            ),
        };
        format!(
            "<!doctype html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n\
             <link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n<body>\n\
             <header>{back}<nav aria-label=\"{}\"><ul>{switch}</ul></nav></header>\n\
             <main>\n<h1>{title}</h1>\n{inside}</main>\n</body>\n</html>\n",
            words.switch,
            code = words.code,
            title = escape(title),
        )
    }

    /// A page that says one thing, and whom to ask.
    pub fn message(&self, [title, text]: Titled) -> String {
        let mut inside = format!("<p role=\"status\">{text}</p>\n");
        inside.push_str(&self.contact());
        // Another language is of the first page: what was asked is not asked again by it.
        self.framed(PRIVACY_PATH, true, title, &inside)
    }

    /// Whom to ask; empty where the site says nobody.
    pub fn contact(&self) -> String {
        let contact = self.site.as_ref().map_or("", |state| state.site.contact.as_str());
        if contact.is_empty() {
            return String::new();
        }
        format!("<p>{} {}</p>\n", self.words.contact, escape(contact))
    }
}

/// What the page did before it was shown, or why it did not.
pub fn status(text: &str) -> String {
    format!("<p class=\"status\" role=\"status\">{text}</p>\n")
}

fn site(settings: &Settings, headers: &HeaderMap, named: Option<&str>) -> Option<Arc<SiteState>> {
    if let Some(site) = named.and_then(|id| settings.sites.get(id)) {
        return Some(site.clone());
    }
    let referer = headers
        .get(REFERER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| url::Url::parse(text).ok());
    if let Some(host) = referer.as_ref().and_then(url::Url::host_str)
        && let Some(site) = settings.sites.iter().find(|site| site.site.has_host(host))
    {
        return Some(site.clone());
    }
    let mut all = settings.sites.iter();
    all.next().filter(|_| all.next().is_none()).cloned()
}

/// Russian where it stands before English, or before everything, in the header.
fn preferred(headers: &HeaderMap) -> Language {
    let list = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    list.split(',')
        .map(|range| range.split([';', '-']).next().unwrap_or_default().trim())
        .find_map(|language| Language::parse(&language.to_ascii_lowercase()))
        .unwrap_or(Language::English)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_page_is_in_the_language_that_comes_first() {
        for (header, expected) in [
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Russian),
            ("en-US,en;q=0.9,ru;q=0.8", Language::English),
            ("de,ru;q=0.5", Language::Russian),
            ("RU", Language::Russian),
            ("de", Language::English),
            ("", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(header));
            assert_eq!(preferred(&headers), expected, "{header}");
        }
    }
}
