//! `/debug/hit`: what the collector sees of one's own browser.
//!
//! The answer names the asker's own address and cookie state, so it goes to
//! nobody else: it is neither cached nor logged. As JSON, or as a page where
//! the browser asks for one.

use http::StatusCode;
use http::header;
use serde_json::Value;

use super::answer::{self, Answer};
use super::routes::Asked;
use super::running::Probe;
use crate::headers::{Kind, protect};
use crate::html::escape;

pub async fn hit(asked: Asked) -> Answer {
    let wanted = asked.parameter("site_id");
    if let Some(id) = &wanted
        && (asked.state.config.load().site(id).is_none() || !asked.principal().may_see(id))
    {
        return answer::unauthorized();
    }
    let wants_page = asked
        .headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let principal = asked.principal().clone();
    let mut seen = asked.state.running.explain(&Probe { peer: asked.peer, headers: asked.headers });
    if let Some(sites) = seen.get_mut("sites").and_then(Value::as_array_mut) {
        sites.retain(|site| {
            let id = site["site"].as_str().unwrap_or_default();
            principal.may_see(id) && wanted.as_deref().is_none_or(|wanted| wanted == id)
        });
    }
    if !wants_page {
        return answer::json(StatusCode::OK, &seen);
    }
    let mut page = answer::body(StatusCode::OK, "text/html; charset=utf-8", page(&seen).into());
    protect(page.headers_mut(), Kind::Own);
    page
}

fn page(seen: &Value) -> String {
    let mut rows = String::new();
    describe("", seen, &mut rows);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Metka: your hit</title></head>\n\
         <body><h1>What the collector sees of this browser</h1>\n<table>\n{rows}</table>\n</body></html>\n"
    )
}

/// One row for each leaf, named by its path.
fn describe(name: &str, value: &Value, rows: &mut String) {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(parts) => parts.iter().for_each(|(key, part)| describe(&below(key), part, rows)),
        Value::Array(parts) if parts.iter().any(|part| part.is_object() || part.is_array()) => {
            parts
                .iter()
                .enumerate()
                .for_each(|(index, part)| describe(&below(&index.to_string()), part, rows));
        }
        leaf => {
            let text = leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned);
            rows.push_str(&format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n",
                escape(name),
                escape(&text)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_browser_sent_cannot_become_markup() {
        let page = page(&json!({ "agent": "<script>\"&", "proxy": { "trusted": true }, "hops": ["a", "b"] }));
        assert!(page.contains("<td>&lt;script&gt;&quot;&amp;</td>"), "{page}");
        assert!(page.contains("<th scope=\"row\">proxy.trusted</th><td>true</td>"), "{page}");
        assert!(!page.contains("<script>"));
    }
}
