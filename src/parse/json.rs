//! The event's JSON: one object, or an array of them.
//!
//! A syntax error or a lone surrogate refuses the whole body, because nothing
//! after it can be told apart. A known key with the wrong type refuses its own
//! element only. Values that are not looked at are skipped, however deep, without
//! being built and without recursion, so that memory stays within the body's own
//! size times a small factor.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::report::{self, Report};
use crate::event::{Kind, MAX_PROPS};
use crate::reject::Reason;

/// The most elements of one array: the script sends a handful at once.
pub const MAX_ELEMENTS: usize = 100;

/// The elements of a body, each read or refused.
#[derive(Debug)]
pub struct Body<'a> {
    pub elements: Vec<Result<Report<'a>, Reason>>,
}

/// Reads a body. `Err` refuses it as a whole.
pub fn parse(body: &[u8]) -> Result<Body<'_>, Reason> {
    let text = std::str::from_utf8(body).map_err(|_| Reason::BadRequest)?;
    match serde_json::from_str::<Elements>(text) {
        Ok(Elements(Some(elements))) => Ok(Body { elements }),
        Ok(Elements(None)) => Err(Reason::TooLarge),
        Err(_) => Err(Reason::BadRequest),
    }
}

/// `None` when there are more than [`MAX_ELEMENTS`].
struct Elements<'a>(Option<Vec<Result<Report<'a>, Reason>>>);

struct Element<'a>(Result<Report<'a>, Reason>);

/// A value of which only plain ones are looked at.
enum Plain<'a> {
    Text(Cow<'a, str>),
    /// Apart from [`Plain::Number`], so that a long order number stays exact.
    Integer(i128),
    Number(f64),
    Truth(bool),
    Null,
    /// An array or an object.
    Nested,
}

/// The properties of an event.
struct Props<'a>(Result<crate::event::Props<'a>, Reason>);

struct ElementsVisitor;
struct ElementVisitor;
struct PlainVisitor;
struct PropsVisitor;

// === impl Elements ===

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementsVisitor)
    }
}

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        let mut fits = true;
        while fits {
            match seq.next_element::<Element>()? {
                Some(_) if elements.len() == MAX_ELEMENTS => fits = false,
                Some(Element(element)) => elements.push(element),
                None => return Ok(Elements(Some(elements))),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Elements(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let Element(element) = ElementVisitor.visit_map(map)?;
        Ok(Elements(Some(vec![element])))
    }
}

// === impl Element ===

impl<'de> Deserialize<'de> for Element<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

/// An element that is no object refuses itself, not its neighbours.
macro_rules! not_an_object {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Element(Err(Reason::BadRequest)))
        })*
    };
}

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    not_an_object!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Element(Err(Reason::BadRequest)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Element(Err(Reason::BadRequest)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut report = Report::default();
        let mut seen = 0_u16;
        let mut refused = None;
        while let Some(key) = map.next_key::<Key>()? {
            const KEYS: [&str; 14] =
                ["s", "k", "u", "r", "t", "n", "p", "w", "ad", "d", "sd", "z", "uk", "c"];
            let position = KEYS.iter().position(|known| *known == key.0);
            let position = if key.0 == "i" { Some(KEYS.len()) } else { position };
            let Some(position) = position else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & (1 << position) != 0 {
                refused = Some(Reason::BadRequest);
            }
            seen |= 1 << position;
            let outcome = if key.0 == "p" {
                let Props(props) = map.next_value()?;
                props.map(|props| report.props = props)
            } else {
                let value: Plain = map.next_value()?;
                put(&mut report, &key.0, value).ok_or(Reason::BadRequest)
            };
            refused = refused.or(outcome.err());
        }
        Ok(Element(match refused {
            Some(reason) => Err(reason),
            None => Ok(report),
        }))
    }
}

/// Puts one value where its key says; `None` if it has the wrong type.
fn put<'a>(report: &mut Report<'a>, key: &str, value: Plain<'a>) -> Option<()> {
    let value = match value {
        // `null` is what scripts send for what they do not know.
        Plain::Null => return Some(()),
        Plain::Integer(number) => return put_number(report, key, number as f64),
        Plain::Number(number) => return put_number(report, key, number),
        Plain::Text(text) => text,
        Plain::Truth(_) | Plain::Nested => return None,
    };
    match key {
        "s" => report.site = value,
        "k" => report.kind = Some(Kind::parse(&value)?),
        "u" => report.page = Some(value).filter(|page| !page.is_empty()),
        "r" => report.referrer = value,
        "t" => report.title = value,
        "n" => report.name = value,
        "ad" => report.ad = value,
        "z" => report.timezone = value,
        "uk" => report.user_key = value,
        "c" => report.consent = Some(report::consent(&value)?),
        "i" => report.id = Some(report::hit_id(&value)?),
        _ => return None,
    }
    Some(())
}

fn put_number(report: &mut Report, key: &str, number: f64) -> Option<()> {
    match key {
        "w" => report.width = report::width(number)?,
        "d" => {
            report.engaged_ms = report::engaged_ms(number)?;
            report.engaged_impossibly = number >= report::IMPOSSIBLE_ENGAGED_MS;
        }
        "sd" => report.scroll = Some(report::scroll(number)?),
        _ => return None,
    }
    Some(())
}

// === impl Props ===

impl<'de> Deserialize<'de> for Props<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PropsVisitor)
    }
}

macro_rules! not_props {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Props(Err(Reason::BadRequest)))
        })*
    };
}

impl<'de> Visitor<'de> for PropsVisitor {
    type Value = Props<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of properties")
    }

    not_props!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Props(Ok(Vec::new())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Props(Err(Reason::BadRequest)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut props = crate::event::Props::new();
        let mut refused = None;
        while let Some(Key(key)) = map.next_key()? {
            if props.len() == MAX_PROPS {
                map.next_value::<IgnoredAny>()?;
                refused = refused.or(Some(Reason::TooLarge));
                continue;
            }
            let value = match map.next_value::<Plain>()? {
                Plain::Text(text) => text,
                Plain::Integer(number) => Cow::Owned(number.to_string()),
                Plain::Number(number) => Cow::Owned(number.to_string()),
                Plain::Truth(truth) => Cow::Borrowed(if truth { "true" } else { "false" }),
                Plain::Null => continue,
                Plain::Nested => {
                    refused = Some(Reason::BadRequest);
                    continue;
                }
            };
            if props.iter().any(|(known, _)| *known == key) {
                refused = Some(Reason::BadRequest);
            }
            props.push((key, value));
        }
        Ok(Props(match refused {
            Some(reason) => Err(reason),
            None => Ok(props),
        }))
    }
}

// === impl Plain ===

/// A key, borrowed when it holds no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(PlainVisitor)? {
            Plain::Text(text) => Ok(Key(text)),
            _ => Err(D::Error::custom("a key that is no text")),
        }
    }
}

impl<'de> Deserialize<'de> for Plain<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Plain::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Plain::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Plain::Truth(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Plain::Integer(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Plain::Integer(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Plain::Number(number))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Plain::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Plain::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Plain::Nested)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_object_and_an_array_are_read() {
        let one = parse(br#"{"s":"clinic","k":"event","n":"book","p":{"a":"x","n":2,"long":9007199254740993,"t":true,"z":null},"w":1536.5,"d":90000000,"sd":100,"c":"granted","i":"00000000000000ff","extra":[1,{"a":[]}]}"#)
            .expect("valid");
        let report = one.elements[0].as_ref().expect("kept");
        assert_eq!(report.site, "clinic");
        assert_eq!(report.kind, Some(Kind::Event));
        let props: Vec<_> = report.props.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(props, [("a", "x"), ("n", "2"), ("long", "9007199254740993"), ("t", "true")]);
        assert_eq!((report.width, report.engaged_ms, report.scroll), (1536, 86_400_000, Some(100)));
        assert_eq!(report.id, Some(255));

        let many = parse(br#" [{"s":"a"}, 5, null, "x", [], {"s":1}, {"s":"b","s":"b"}, {"s":"c"}] "#)
            .expect("valid");
        let sites: Vec<_> = many
            .elements
            .iter()
            .map(|element| element.as_ref().map(|report| report.site.as_ref()).ok())
            .collect();
        assert_eq!(sites, [Some("a"), None, None, None, None, None, None, Some("c")]);
    }

    #[test]
    fn a_body_that_cannot_be_told_apart_is_refused_whole() {
        for body in [
            &b""[..],
            b"{",
            b"5",
            b"null",
            b"\"x\"",
            b"[{\"s\":\"a\"}",
            b"{} {}",
            b"{\"s\":\"\\ud800\"}",
            b"{\"s\":NaN}",
            b"\xff\xfe",
            b"{\"t\":\"\xc0\x80\"}",
            b"{'s':'a'}",
            b"{\"s\":\"a\",}",
            b"{\"s\":\"a\nb\"}",
        ] {
            assert_eq!(parse(body).err(), Some(Reason::BadRequest), "{}", body.escape_ascii());
        }
        let many = format!("[{}{{}}]", "{},".repeat(MAX_ELEMENTS));
        assert_eq!(parse(many.as_bytes()).err(), Some(Reason::TooLarge));
    }

    #[test]
    fn depth_costs_nothing() {
        for (key, expected) in [("x", None), ("t", Some(Reason::BadRequest)), ("p", Some(Reason::BadRequest))]
        {
            let body = format!("{{\"{key}\":{}{}}}", "[".repeat(400_000), "]".repeat(400_000));
            let parsed = parse(body.as_bytes()).expect("readable");
            assert_eq!(parsed.elements[0].as_ref().err().copied(), expected, "{key}");
        }
        let open = "[".repeat(900_000);
        assert_eq!(parse(open.as_bytes()).err(), Some(Reason::BadRequest));
    }

    #[test]
    fn an_element_with_a_wrong_type_refuses_itself() {
        for element in [
            r#"{"s":1}"#,
            r#"{"k":"view"}"#,
            r#"{"w":"1920"}"#,
            r#"{"w":-1}"#,
            r#"{"w":1e9}"#,
            r#"{"sd":101}"#,
            r#"{"d":-5}"#,
            r#"{"t":{}}"#,
            r#"{"t":true}"#,
            r#"{"p":[]}"#,
            r#"{"p":"x"}"#,
            r#"{"p":{"a":{}}}"#,
            r#"{"p":{"a":1,"a":2}}"#,
            r#"{"c":"yes"}"#,
            r#"{"c":1}"#,
            r#"{"i":"xyz"}"#,
            r#"{"i":5}"#,
            r#"{"u":1}"#,
        ] {
            let body = parse(element.as_bytes()).expect("readable");
            assert_eq!(body.elements[0], Err(Reason::BadRequest), "{element}");
        }
        let props: Vec<String> = (0..=MAX_PROPS).map(|index| format!("\"k{index}\":1")).collect();
        let body = format!("{{\"p\":{{{}}}}}", props.join(","));
        assert_eq!(parse(body.as_bytes()).expect("readable").elements[0], Err(Reason::TooLarge));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
        }

        #[test]
        fn what_was_written_is_read_back(title in any::<String>()) {
            let body = serde_json::json!({"s": "a", "t": title}).to_string();
            let parsed = parse(body.as_bytes()).expect("valid");
            prop_assert_eq!(&parsed.elements[0].as_ref().expect("kept").title, &title);
        }
    }
}
