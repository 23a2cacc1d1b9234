//! What a form or an address passes: `application/x-www-form-urlencoded`, of which the
//! names that are known here count, each at its first place.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use tokio::time::timeout;

/// The largest form, in bytes: a thousand characters of text, each of up to four bytes
/// of three signs, and the rest.
pub const MAX_FORM_BYTES: usize = 16_384;

/// The values by their names.
#[derive(Default)]
pub struct Params {
    pub site: Option<String>,
    pub language: Option<String>,
    /// What the page that came before has done.
    pub said: Option<String>,
    pub format: Option<String>,
    pub kind: Option<String>,
    pub text: Option<String>,
}

/// Why there is no form.
pub enum Unread {
    TooLarge,
    TooSlow,
    Broken,
}

// === impl Params ===

impl Params {
    pub fn parse(text: &[u8]) -> Params {
        let mut params = Params::default();
        for (name, value) in url::form_urlencoded::parse(text) {
            let place = match name.as_ref() {
                "s" => &mut params.site,
                "lang" => &mut params.language,
                "said" => &mut params.said,
                "format" => &mut params.format,
                "kind" => &mut params.kind,
                "text" => &mut params.text,
                _ => continue,
            };
            place.get_or_insert_with(|| value.into_owned());
        }
        params
    }

    pub fn is_empty(&self) -> bool {
        let all = [&self.site, &self.language, &self.said, &self.format, &self.kind, &self.text];
        all.into_iter().all(Option::is_none)
    }
}

/// Reads a form.
pub async fn read<B>(body: B, within: Duration) -> Result<Params, Unread>
where
    B: Body<Data = Bytes> + Unpin,
{
    // The body's own errors need not be sendable; what they say does not matter.
    let reading = Limited::new(body.map_err(|_| Broken), MAX_FORM_BYTES).collect();
    match timeout(within, reading).await {
        Ok(Ok(read)) => Ok(Params::parse(&read.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => Err(Unread::TooSlow),
    }
}

/// The body ended early.
#[derive(Debug, thiserror::Error)]
#[error("the body is broken")]
struct Broken;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_read_once_and_others_are_not() {
        let params = Params::parse("s=clinic&s=other&kind=block&text=%D1%8F+x%0D%0Ay&evil=1&lang".as_bytes());
        assert_eq!(
            (
                params.site.as_deref(),
                params.kind.as_deref(),
                params.text.as_deref(),
                params.language.as_deref()
            ),
            (Some("clinic"), Some("block"), Some("я x\r\ny"), Some(""))
        );
        assert!(!params.is_empty() && Params::parse(b"").is_empty());
        assert_eq!(Params::parse(b"text=%FF").text.as_deref(), Some("\u{FFFD}"));
    }
}
