//! Hostile requests: each with the answer it must get, and the row it must leave.

use std::net::SocketAddr;

use metka::accept::Limits;
use serde_json::{Value, json};

use crate::collector::{Collector, Stored};
use crate::http::{Connection, event, exchange, get, request};
use crate::server::Server;
use crate::unlimited;

/// What must come back.
enum Expected {
    /// The image, and this in `X-Metka`.
    Pixel(&'static str),
    /// This status, and for events the reasons by index (empty: all kept).
    Event(u16, &'static [(u64, &'static str)]),
    /// This status, whatever the body.
    Status(u16),
    /// The connection is closed, with this status or without any answer.
    Closed(u16),
}

struct Case {
    name: &'static str,
    send: Vec<u8>,
    expected: Expected,
    /// The columns that matter of each row that must be stored.
    stored: Vec<Value>,
}

use Expected::{Closed, Event, Pixel, Status};

fn case(name: &'static str, send: Vec<u8>, expected: Expected, stored: Vec<Value>) -> Case {
    Case { name, send, expected, stored }
}

/// A pixel request with this query.
fn pixel(query: &str) -> Vec<u8> {
    get(&format!("/pixel.gif?{query}"), &[])
}

/// A page of the clinic, encoded.
const PAGE: &str = "s=clinic&u=https%3A%2F%2Fclinic.example%2F";

fn pixel_cases() -> Vec<Case> {
    let long_name = "n".repeat(200);
    let long_page = format!("s=clinic&u=https%3A%2F%2Fclinic.example%2F{}", "a".repeat(9000));
    let long_path = format!("s=clinic&u=https%3A%2F%2Fclinic.example%2F{}", "a".repeat(3000));
    let long_target = format!("{PAGE}&t={}", "a".repeat(21_000));
    let long_title = format!("{PAGE}&t={}", "%D1%8F".repeat(600));
    let many = format!("{PAGE}&{}", "x=1&".repeat(100));
    let ok = |row: Value| vec![row];
    vec![
        case("a plain page view", pixel(PAGE), Pixel("ok"), ok(json!({"host": "clinic.example", "path": "/", "kind": 1}))),
        case("no query at all", get("/pixel.gif", &[]), Pixel("unknown-site"), vec![]),
        case("an empty query", pixel(""), Pixel("unknown-site"), vec![]),
        case("no site", pixel("u=https%3A%2F%2Fclinic.example%2F"), Pixel("unknown-site"), vec![]),
        case("an empty site", pixel("s=&u=https%3A%2F%2Fclinic.example%2F"), Pixel("unknown-site"), vec![]),
        case("an unknown site", pixel("s=other&u=https%3A%2F%2Fclinic.example%2F"), Pixel("unknown-site"), vec![]),
        case("a site in other letters", pixel("s=Clinic&u=https%3A%2F%2Fclinic.example%2F"), Pixel("unknown-site"), vec![]),
        case("a site with NUL", pixel("s=clinic%00&u=https%3A%2F%2Fclinic.example%2F"), Pixel("unknown-site"), vec![]),
        case("a site that is the counters' label for none", pixel("s=-&u=https%3A%2F%2Fclinic.example%2F"), Pixel("unknown-site"), vec![]),
        case("SQL in the site", pixel("s=clinic'--&u=https%3A%2F%2Fclinic.example%2F"), Pixel("unknown-site"), vec![]),
        case("two sites", pixel("s=clinic&s=other&u=https%3A%2F%2Fclinic.example%2F"), Pixel("bad-request"), vec![]),
        case("two pages", pixel(&format!("{PAGE}&u=https%3A%2F%2Fclinic.example%2Fx")), Pixel("bad-request"), vec![]),
        case("a foreign host", pixel("s=clinic&u=https%3A%2F%2Fevil.example%2F"), Pixel("foreign-host"), vec![]),
        case("a host that only ends alike", pixel("s=clinic&u=https%3A%2F%2Fevilclinic.example%2F"), Pixel("foreign-host"), vec![]),
        case("the own host as a foreign subdomain", pixel("s=clinic&u=https%3A%2F%2Fclinic.example.evil.example%2F"), Pixel("foreign-host"), vec![]),
        case("the own host as user name", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%40evil.example%2F"), Pixel("foreign-host"), vec![]),
        case("the own host after a backslash", pixel("s=clinic&u=https%3A%2F%2Fevil.example%5C%40clinic.example%2F"), Pixel("foreign-host"), vec![]),
        case("a host in another site", pixel("s=clinic&u=https%3A%2F%2Fstrict.example%2F"), Pixel("foreign-host"), vec![]),
        case("a page without a scheme", pixel("s=clinic&u=clinic.example%2F"), Pixel("bad-request"), vec![]),
        case("a relative page", pixel("s=clinic&u=%2Fa"), Pixel("bad-request"), vec![]),
        case("a page that is a script", pixel("s=clinic&u=javascript%3Aalert(1)"), Pixel("bad-request"), vec![]),
        case("a page that is a file", pixel("s=clinic&u=file%3A%2F%2F%2Fetc%2Fpasswd"), Pixel("bad-request"), vec![]),
        case("a page that is data", pixel("s=clinic&u=data%3Atext%2Fhtml%2Cx"), Pixel("bad-request"), vec![]),
        case("about:blank", pixel("s=clinic&u=about%3Ablank"), Pixel("bad-request"), vec![]),
        case("a page without a host", pixel("s=clinic&u=https%3A%2F%2F"), Pixel("bad-request"), vec![]),
        case("a port out of range", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%3A70000%2F"), Pixel("bad-request"), vec![]),
        case("a page with a line end", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%2Fa%0D%0Ab"), Pixel("bad-request"), vec![]),
        case("a page with NUL", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%2F%00"), Pixel("bad-request"), vec![]),
        case("a page with a tab", pixel("s=clinic&u=https%3A%2F%2Fclinic.ex%09ample%2F"), Pixel("bad-request"), vec![]),
        case("a page too long", pixel(&long_page), Pixel("too-large"), vec![]),
        case("a referrer too long", pixel(&format!("{PAGE}&r=https%3A%2F%2Fx.example%2F{}", "a".repeat(9000))), Pixel("too-large"), vec![]),
        case("a target too long", pixel(&long_target), Pixel("too-large"), vec![]),
        case("too many parameters", pixel(&many), Pixel("too-large"), vec![]),
        case("no page and no Referer", pixel("s=clinic"), Pixel("bad-request"), vec![]),
        case("a broken escape", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%2F&t=%"), Pixel("bad-request"), vec![]),
        case("half an escape", pixel(&format!("{PAGE}&t=%4")), Pixel("bad-request"), vec![]),
        case("an escape that is no hex", pixel(&format!("{PAGE}&t=%zz")), Pixel("bad-request"), vec![]),
        case("a title that is no UTF-8", pixel(&format!("{PAGE}&t=%FF%FE")), Pixel("bad-request"), vec![]),
        case("an overlong encoding", pixel(&format!("{PAGE}&t=%C0%AF")), Pixel("bad-request"), vec![]),
        case("an encoded surrogate", pixel(&format!("{PAGE}&t=%ED%A0%80")), Pixel("bad-request"), vec![]),
        case("windows-1251", pixel(&format!("{PAGE}&t=%CF%F0%E8%B8%EC")), Pixel("bad-request"), vec![]),
        case("an unknown kind", pixel(&format!("{PAGE}&k=view")), Pixel("bad-request"), vec![]),
        case("an empty kind", pixel(&format!("{PAGE}&k=")), Pixel("bad-request"), vec![]),
        case("an event without a name", pixel(&format!("{PAGE}&k=event")), Pixel("bad-request"), vec![]),
        case("an event with a blank name", pixel(&format!("{PAGE}&k=event&n=%00+%0A")), Pixel("bad-request"), vec![]),
        case("an ad without a block", pixel(&format!("{PAGE}&k=ad_view")), Pixel("bad-request"), vec![]),
        case("consent that says nothing", pixel(&format!("{PAGE}&k=consent")), Pixel("bad-request"), vec![]),
        case("a name too long", pixel(&format!("{PAGE}&k=event&n={long_name}")), Pixel("too-large"), vec![]),
        case("an ad name too long", pixel(&format!("{PAGE}&k=ad_view&ad={long_name}")), Pixel("too-large"), vec![]),
        case("a negative width", pixel(&format!("{PAGE}&w=-1")), Pixel("bad-request"), vec![]),
        case("a width in words", pixel(&format!("{PAGE}&w=wide")), Pixel("bad-request"), vec![]),
        case("a width beyond everything", pixel(&format!("{PAGE}&w=99999999999999999999")), Pixel("bad-request"), vec![]),
        case("a short hit id", pixel(&format!("{PAGE}&i=ff")), Pixel("bad-request"), vec![]),
        case("a hit id that is no hex", pixel(&format!("{PAGE}&i=zzzzzzzzzzzzzzzz")), Pixel("bad-request"), vec![]),
        case("a signed hit id", pixel(&format!("{PAGE}&i=%2B000000000000001")), Pixel("bad-request"), vec![]),
        case("an opted-out browser", get(&format!("/pixel.gif?{PAGE}"), &[("Cookie", "metka_optout=1")]), Pixel("opted-out"), vec![]),
        case("a signal where signals drop", get("/pixel.gif?s=dropper&u=https%3A%2F%2Fdropper.example%2F", &[("Sec-GPC", "1")]), Pixel("signal-dropped"), vec![]),
        case("DNT where signals drop", get("/pixel.gif?s=dropper&u=https%3A%2F%2Fdropper.example%2F", &[("DNT", "1")]), Pixel("signal-dropped"), vec![]),
        case("a signal that is not exactly one", get("/pixel.gif?s=dropper&u=https%3A%2F%2Fdropper.example%2F", &[("Sec-GPC", "yes")]), Pixel("ok"), ok(json!({"site": "dropper"}))),
        case("a user key nobody signed", pixel(&format!("{PAGE}&uk=somebody.00")), Pixel("bad-user-key"), ok(json!({"user_key": 0, "path": "/"}))),
        case("a user key too long", pixel(&format!("{PAGE}&uk={}", "k".repeat(300))), Pixel("too-large"), vec![]),
        case("an outbound link where they are not collected", pixel("s=strict&u=https%3A%2F%2Fstrict.example%2F&k=event&n=outbound"), Pixel("bad-request"), vec![]),
        case("an error where it is not collected", pixel("s=strict&u=https%3A%2F%2Fstrict.example%2F&k=error&n=TypeError"), Pixel("bad-request"), vec![]),
        case("engagement where it is not collected", pixel("s=strict&u=https%3A%2F%2Fstrict.example%2F&k=engagement"), Pixel("bad-request"), vec![]),
        case("fields that are not collected are not stored", pixel("s=strict&u=https%3A%2F%2Fstrict.example%2F&t=secret&w=1920"), Pixel("ok"), ok(json!({"site": "strict", "title": "", "screen": ""}))),
        case("the Referer header is the page", get("/pixel.gif?s=clinic", &[("Referer", "https://clinic.example/ref?page=2&x=1")]), Pixel("ok"), ok(json!({"path": "/ref", "query": "page=2"}))),
        case("an origin-only Referer", get("/pixel.gif?s=clinic", &[("Referer", "https://clinic.example")]), Pixel("ok"), ok(json!({"path": "/"}))),
        case("a foreign Referer", get("/pixel.gif?s=clinic", &[("Referer", "https://evil.example/")]), Pixel("foreign-host"), vec![]),
        case("an empty page falls back to the Referer", get("/pixel.gif?s=clinic&u=", &[("Referer", "https://clinic.example/r")]), Pixel("ok"), ok(json!({"path": "/r"}))),
        case("HEAD counts like GET", request("HEAD", &format!("/pixel.gif?{PAGE}"), &[], b""), Pixel("ok"), ok(json!({"path": "/"}))),
        case("control characters in a title", pixel(&format!("{PAGE}&t=a%00b%0D%0Ac%1B%5B31md%7F")), Pixel("ok"), ok(json!({"title": "a b c [31md"}))),
        case("an override in a title", pixel(&format!("{PAGE}&t=%E2%80%AEgpj.exe%E2%80%A8x")), Pixel("ok"), ok(json!({"title": "gpj.exe x"}))),
        case("markup in a title is only text", pixel(&format!("{PAGE}&t=%3Cscript%3Ealert(1)%3C%2Fscript%3E")), Pixel("ok"), ok(json!({"title": "<script>alert(1)</script>"}))),
        case("a title is cut at a character", pixel(&long_title), Pixel("ok"), ok(json!({"title": "я".repeat(256)}))),
        case("a path is cut", pixel(&long_path), Pixel("ok"), ok(json!({"path": format!("/{}", "a".repeat(1023))}))),
        case("user, password, port and fragment are dropped", pixel("s=clinic&u=https%3A%2F%2Fu%3Apw%40Clinic.Example%3A8443%2Fa%23f"), Pixel("ok"), ok(json!({"host": "clinic.example", "path": "/a"}))),
        case("a final dot is the same host", pixel("s=clinic&u=https%3A%2F%2Fclinic.example.%2Fdot"), Pixel("ok"), ok(json!({"host": "clinic.example", "path": "/dot"}))),
        case("a path is shown in its letters", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%2F%25D0%25B0%25D0%25B1"), Pixel("ok"), ok(json!({"path": "/аб"}))),
        case("a path that is no UTF-8 stays encoded", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%2F%25FF"), Pixel("ok"), ok(json!({"path": "/%FF"}))),
        case("encoded control characters stay encoded", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%2F%250A%2500"), Pixel("ok"), ok(json!({"path": "/%0A%00"}))),
        case("dot segments are resolved", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%2Fa%2F..%2F..%2Fb"), Pixel("ok"), ok(json!({"path": "/b"}))),
        case("only listed parameters are kept", pixel("s=clinic&u=https%3A%2F%2Fclinic.example%2F%3Ftoken%3Dsecret%26page%3D3%26utm_source%3Dvk%26yclid%3D77"), Pixel("ok"), ok(json!({"query": "page=3", "utm_source": "vk"}))),
        case("a referrer on the own site is none", pixel(&format!("{PAGE}&r=https%3A%2F%2Fwww.clinic.example%2Fx")), Pixel("ok"), ok(json!({"referrer_host": "", "referrer_path": ""}))),
        case("a referrer loses its query", pixel(&format!("{PAGE}&r=https%3A%2F%2Fother.example%2Fp%3Fq%3Dsecret")), Pixel("ok"), ok(json!({"referrer_host": "other.example", "referrer_path": "/p"}))),
        case("an unreadable referrer is none", pixel(&format!("{PAGE}&r=javascript%3Aalert(1)")), Pixel("ok"), ok(json!({"referrer_host": ""}))),
        case("a referrer with line ends is none", pixel(&format!("{PAGE}&r=https%3A%2F%2Fx.example%2F%0D%0Ay")), Pixel("ok"), ok(json!({"referrer_host": ""}))),
        case("unknown parameters are ignored", pixel(&format!("{PAGE}&visitor=5&v=%FF&zz=%")), Pixel("ok"), ok(json!({"path": "/"}))),
        case("a visitor id in the query is nothing", pixel(&format!("{PAGE}&metka=v1.1.1.00.00&visitor=1")), Pixel("ok"), ok(json!({"identity": 0}))),
        case("a forged cookie is not believed", get(&format!("/pixel.gif?{PAGE}"), &[("Cookie", "metka=v1.1.20260101.00112233445566778899aabbccddeeff.00000000000000000000000000000000")]), Pixel("ok"), ok(json!({"identity": 0}))),
        case("a cookie of rubbish", get(&format!("/pixel.gif?{PAGE}"), &[("Cookie", "metka=;;;===; \"; metka")]), Pixel("ok"), ok(json!({"identity": 0}))),
        case("a giant cookie", get(&format!("/pixel.gif?{PAGE}"), &[("Cookie", &format!("metka={}", "a".repeat(8000)))]), Pixel("ok"), ok(json!({"identity": 0}))),
        case("a long user agent", get(&format!("/pixel.gif?{PAGE}"), &[("User-Agent", &"Mozilla/5.0 ".repeat(700))]), Pixel("ok"), ok(json!({"path": "/"}))),
        case("headers that are no UTF-8", [&b"GET /pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\xfe\r\nAccept-Language: \xff\r\nCookie: \xff\r\nReferer: \xff\r\n\r\n"[..]].concat(), Pixel("ok"), ok(json!({"path": "/"}))),
        case("forwarding headers of rubbish", get(&format!("/pixel.gif?{PAGE}"), &[("X-Forwarded-For", ",,,unknown,[::,%,999.1.1.1")]), Pixel("ok"), ok(json!({"path": "/"}))),
        case("an absolute request target", get("http://evil.example/pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2Fabs", &[]), Pixel("ok"), ok(json!({"path": "/abs"}))),
    ]
}

fn event_cases() -> Vec<Case> {
    let page = r#""s":"clinic","u":"https://clinic.example/e""#;
    let one = |rest: &str| event(&format!("{{{page}{rest}}}"), &[]);
    let props: Vec<String> = (0..31).map(|index| format!("\"k{index}\":1")).collect();
    let ok = |row: Value| vec![row];
    const BAD: &[(u64, &str)] = &[(0, "bad-request")];
    const LARGE: &[(u64, &str)] = &[(0, "too-large")];
    vec![
        case("one object", one(""), Event(202, &[]), ok(json!({"path": "/e", "kind": 1}))),
        case(
            "an array",
            event(&format!("[{{{page}}},{{{page},\"k\":\"event\",\"n\":\"x\"}}]"), &[]),
            Event(202, &[]),
            vec![json!({"kind": 1}), json!({"kind": 2, "name": "x"})],
        ),
        case(
            "an array with one bad element",
            event(&format!("[{{{page}}},5,{{\"s\":\"nobody\",\"u\":\"https://clinic.example/\"}}]"), &[]),
            Event(202, &[(1, "bad-request"), (2, "unknown-site")]),
            ok(json!({"path": "/e"})),
        ),
        case("an empty array", event("[]", &[]), Event(400, &[]), vec![]),
        case("an empty body", event("", &[]), Event(400, BAD), vec![]),
        case("an empty object", event("{}", &[]), Event(400, &[(0, "unknown-site")]), vec![]),
        case("a body that is a number", event("5", &[]), Event(400, BAD), vec![]),
        case("a body that is null", event("null", &[]), Event(400, BAD), vec![]),
        case("broken JSON", event("{\"s\":\"clinic\"", &[]), Event(400, BAD), vec![]),
        case("a comma too many", event(&format!("{{{page},}}"), &[]), Event(400, BAD), vec![]),
        case("two bodies", event(&format!("{{{page}}}{{{page}}}"), &[]), Event(400, BAD), vec![]),
        case("single quotes", event("{'s':'clinic'}", &[]), Event(400, BAD), vec![]),
        case("NaN", one(",\"w\":NaN"), Event(400, BAD), vec![]),
        case("a comment", event(&format!("/* x */{{{page}}}"), &[]), Event(400, BAD), vec![]),
        case("a byte order mark", event(&format!("\u{feff}{{{page}}}"), &[]), Event(400, BAD), vec![]),
        case("a leading surrogate", one(r#","t":"\ud800""#), Event(400, BAD), vec![]),
        case("a trailing surrogate", one(r#","t":"\udc00x""#), Event(400, BAD), vec![]),
        case("a raw control character", one(",\"t\":\"a\u{1}b\""), Event(400, BAD), vec![]),
        case(
            "a body that is no UTF-8",
            request("POST", "/event", &[("Content-Type", "application/json")], b"{\"s\":\"\xff\"}"),
            Event(400, BAD),
            vec![],
        ),
        case("UTF-16", request("POST", "/event", &[], b"\xff\xfe{\0}\0"), Event(400, BAD), vec![]),
        case(
            "depth",
            one(&format!(",\"x\":{}{}", "[".repeat(200_000), "]".repeat(200_000))),
            Event(202, &[]),
            ok(json!({"path": "/e"})),
        ),
        case(
            "depth in a known key",
            one(&format!(",\"t\":{}{}", "[".repeat(200_000), "]".repeat(200_000))),
            Event(400, BAD),
            vec![],
        ),
        case("depth without an end", event(&"[".repeat(500_000), &[]), Event(400, BAD), vec![]),
        case(
            "many unknown keys",
            one(&(0..30_000).map(|index| format!(",\"x{index}\":{index}")).collect::<String>()),
            Event(202, &[]),
            ok(json!({"path": "/e"})),
        ),
        case("a known key twice", one(r#","s":"strict""#), Event(400, BAD), vec![]),
        case("a key twice, once escaped", one(r#","\u0073":"strict""#), Event(400, BAD), vec![]),
        case(
            "a site that is a number",
            event(r#"{"s":1,"u":"https://clinic.example/"}"#, &[]),
            Event(400, BAD),
            vec![],
        ),
        case(
            "a page that is a list",
            event(r#"{"s":"clinic","u":["https://clinic.example/"]}"#, &[]),
            Event(400, BAD),
            vec![],
        ),
        case("a width that is text", one(r#","w":"1920""#), Event(400, BAD), vec![]),
        case("a negative width", one(r#","w":-5"#), Event(400, BAD), vec![]),
        case("an infinite width", one(r#","w":1e999"#), Event(400, BAD), vec![]),
        case("scroll beyond the page", one(r#","k":"engagement","sd":101"#), Event(400, BAD), vec![]),
        case("engaged time before zero", one(r#","k":"engagement","d":-1"#), Event(400, BAD), vec![]),
        case(
            "engaged time beyond a day is a day",
            one(r#","k":"engagement","d":1e15,"sd":50"#),
            Event(202, &[]),
            ok(json!({"engaged_ms": 86_400_000, "scroll": 50})),
        ),
        case("an unknown kind", one(r#","k":"page_view""#), Event(400, BAD), vec![]),
        case("consent in other words", one(r#","k":"consent","c":"yes""#), Event(400, BAD), vec![]),
        case("properties that are a list", one(r#","p":[1]"#), Event(400, BAD), vec![]),
        case("nested properties", one(r#","p":{"a":{"b":1}}"#), Event(400, BAD), vec![]),
        case("a property twice", one(r#","p":{"a":1,"a":2}"#), Event(400, BAD), vec![]),
        case("a property twice after cleaning", one(r#","p":{"a":1,"a\u0000":2}"#), Event(400, BAD), vec![]),
        case("a property without a name", one(r#","p":{"":1}"#), Event(400, BAD), vec![]),
        case(
            "too many properties",
            one(&format!(",\"p\":{{{}}}", props.join(","))),
            Event(413, LARGE),
            vec![],
        ),
        case(
            "a property name too long",
            one(&format!(",\"p\":{{\"{}\":1}}", "k".repeat(200))),
            Event(413, LARGE),
            vec![],
        ),
        case(
            "property values are cut, cleaned and scrubbed",
            one(&format!(
                r#","p":{{"a":"{}","b":"x\u0000\u202ey","n":9007199254740993,"t":true,"z":null}}"#,
                "v".repeat(400)
            )),
            Event(202, &[]),
            ok(json!({"props": {"a": "v".repeat(256), "b": "x y", "n": "[document]", "t": "true"}})),
        ),
        case(
            "a name too long",
            one(&format!(",\"k\":\"event\",\"n\":\"{}\"", "n".repeat(129))),
            Event(413, LARGE),
            vec![],
        ),
        case(
            "NUL in a name",
            one(r#","k":"event","n":"a\u0000b""#),
            Event(202, &[]),
            ok(json!({"name": "a b"})),
        ),
        case(
            "NUL in the page",
            event(r#"{"s":"clinic","u":"https://clinic.example/\u0000"}"#, &[]),
            Event(400, BAD),
            vec![],
        ),
        case(
            "a foreign page",
            event(r#"{"s":"clinic","u":"https://evil.example/"}"#, &[]),
            Event(400, &[(0, "foreign-host")]),
            vec![],
        ),
        case(
            "a time zone that is none",
            one(r#","z":"Mars/Olympus""#),
            Event(202, &[]),
            ok(json!({"timezone": ""})),
        ),
        case(
            "a time zone that is a path",
            one(r#","z":"../../etc/passwd""#),
            Event(202, &[]),
            ok(json!({"timezone": ""})),
        ),
        case(
            "a time zone that is one",
            one(r#","z":"Asia/Yekaterinburg""#),
            Event(202, &[]),
            ok(json!({"timezone": "Asia/Yekaterinburg"})),
        ),
        case(
            "a user key nobody signed",
            one(r#","uk":"somebody.00""#),
            Event(202, &[]),
            ok(json!({"user_key": 0})),
        ),
        case(
            "an opted-out browser",
            event(&format!("{{{page}}}"), &[("Cookie", "metka_optout=1")]),
            Event(400, &[(0, "opted-out")]),
            vec![],
        ),
        case(
            "one hit id twice in a request",
            event(
                &format!("[{{{page},\"i\":\"00000000000000aa\"}},{{{page},\"i\":\"00000000000000aa\"}}]"),
                &[],
            ),
            Event(202, &[(1, "duplicate")]),
            ok(json!({"path": "/e"})),
        ),
        case(
            "the same hit id again",
            one(r#","i":"00000000000000AA""#),
            Event(400, &[(0, "duplicate")]),
            vec![],
        ),
        case(
            "an outbound link loses its query",
            one(r#","k":"event","n":"outbound","p":{"url":"https://u:p@vk.com/x?token=1#f"}"#),
            Event(202, &[]),
            ok(json!({"props": {"url": "https://vk.com/x"}})),
        ),
        case(
            "an outbound link as the script writes it",
            one(r#","k":"event","n":"outbound","p":{"url":"vk.com/x"}"#),
            Event(202, &[]),
            ok(json!({"props": {"url": "vk.com/x"}})),
        ),
        case(
            "an outbound link to a mailbox",
            one(r#","k":"event","n":"outbound","p":{"url":"mailto:somebody@clinic.example"}"#),
            Event(202, &[]),
            ok(json!({"props": {"url": ""}})),
        ),
        case(
            "a form",
            request("POST", "/event", &[("Content-Type", "application/x-www-form-urlencoded")], b"s=clinic"),
            Event(400, BAD),
            vec![],
        ),
        case(
            "XML",
            request("POST", "/event", &[("Content-Type", "text/xml")], b"<s/>"),
            Event(400, BAD),
            vec![],
        ),
        case(
            "a packed body",
            request("POST", "/event", &[("Content-Encoding", "gzip")], b"\x1f\x8b\x08\0"),
            Event(415, BAD),
            vec![],
        ),
        case(
            "no content type",
            request("POST", "/event", &[], format!("{{{page}}}").as_bytes()),
            Event(202, &[]),
            ok(json!({"path": "/e"})),
        ),
        case(
            "too many elements",
            event(&format!("[{}]", vec!["{}"; 101].join(",")), &[]),
            Event(413, LARGE),
            vec![],
        ),
        case(
            "a body too long",
            event(&format!("{{{page},\"x\":\"{}\"}}", "x".repeat(1_000_000)), &[]),
            Event(413, LARGE),
            vec![],
        ),
        case(
            "a body said to be far too long",
            b"POST /event HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".to_vec(),
            Event(413, LARGE),
            vec![],
        ),
    ]
}

fn wire_cases() -> Vec<Case> {
    let body = r#"{"s":"clinic","u":"https://clinic.example/w"}"#;
    let chunked = format!(
        "POST /event HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let raw = |text: &str| text.as_bytes().to_vec();
    let many = (0..150).map(|index| format!("X-{index}: 1\r\n")).collect::<String>();
    vec![
        case("a chunked body", raw(&chunked), Event(202, &[]), vec![json!({"path": "/w"})]),
        case("an unknown address", get("/nothing", &[]), Status(404), vec![]),
        case("the root", get("/", &[]), Status(404), vec![]),
        case("a path out of the tree", get("/../../etc/passwd", &[]), Status(404), vec![]),
        case("the pixel with a slash", get("/pixel.gif/", &[]), Status(404), vec![]),
        case("the pixel by POST", request("POST", "/pixel.gif", &[], b"x"), Status(405), vec![]),
        case("the pixel by PUT", request("PUT", "/pixel.gif", &[], b"x"), Status(405), vec![]),
        case("events by GET", get("/event", &[]), Status(405), vec![]),
        case("events by DELETE", request("DELETE", "/event", &[], b""), Status(405), vec![]),
        case("events by a made-up method", request("BREW", "/event", &[], b""), Status(405), vec![]),
        case("health by POST", request("POST", "/health", &[], b""), Status(405), vec![]),
        case("the script by POST", request("POST", "/pixel.js", &[], b""), Status(405), vec![]),
        case("the script of errors by POST", request("POST", "/errors.js", &[], b""), Status(405), vec![]),
        case("opting out by GET", get("/privacy/opt-out", &[]), Status(405), vec![]),
        case(
            "opting somebody out from elsewhere",
            request("POST", "/privacy/opt-out", &[("Origin", "https://evil.example")], b""),
            Status(403),
            vec![],
        ),
        case(
            "opting out without an origin",
            request("POST", "/privacy/opt-out", &[], b""),
            Status(403),
            vec![],
        ),
        case("TRACE", request("TRACE", "/", &[], b""), Status(404), vec![]),
        case(
            "a target too long for any page",
            get(&format!("/x?{}", "a".repeat(25_000)), &[]),
            Status(414),
            vec![],
        ),
        case("giant headers", get("/health", &[("X-Big", &"a".repeat(100_000))]), Closed(431), vec![]),
        case("a giant target", get(&format!("/health?{}", "a".repeat(70_000)), &[]), Closed(431), vec![]),
        case(
            "too many headers",
            raw(&format!("GET /health HTTP/1.1\r\nHost: x\r\n{many}\r\n")),
            Closed(431),
            vec![],
        ),
        case("no Host", raw("GET /health HTTP/1.1\r\n\r\n"), Closed(400), vec![]),
        case("two Hosts", raw("GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), Closed(400), vec![]),
        case("no HTTP at all", raw("hello\r\n\r\n"), Closed(400), vec![]),
        case(
            "TLS on a plain port",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            Closed(400),
            vec![],
        ),
        case("HTTP/2 without being asked", raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Closed(400), vec![]),
        case("HTTP/3.7", raw("GET /health HTTP/3.7\r\nHost: x\r\n\r\n"), Closed(400), vec![]),
        case(
            "a header name with a space",
            raw("GET /health HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n"),
            Closed(400),
            vec![],
        ),
        case(
            "a space before the colon",
            raw("POST /event HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello"),
            Closed(400),
            vec![],
        ),
        case(
            "NUL in a header",
            raw("GET /health HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"),
            Closed(400),
            vec![],
        ),
        case(
            "a folded header",
            raw("GET /health HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n"),
            Closed(400),
            vec![],
        ),
        case(
            "NUL in the target",
            raw("GET /pixel.gif?s=\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
            Closed(400),
            vec![],
        ),
        case(
            "two lengths",
            raw("POST /event HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}"),
            Closed(400),
            vec![],
        ),
        case(
            "a negative length",
            raw("POST /event HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
            Closed(400),
            vec![],
        ),
        case(
            "a length with a sign",
            raw("POST /event HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}"),
            Closed(400),
            vec![],
        ),
        case(
            "an unknown transfer encoding",
            raw("POST /event HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n{}"),
            Closed(400),
            vec![],
        ),
        case(
            "a transfer encoding in HTTP/1.0",
            raw("POST /event HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Closed(400),
            vec![],
        ),
        case(
            "a chunk size that is no number",
            raw("POST /event HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
            Closed(400),
            vec![],
        ),
        case(
            "a chunk size beyond 64 bits",
            raw(
                "POST /event HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
            ),
            Closed(400),
            vec![],
        ),
    ]
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = [pixel_cases(), event_cases(), wire_cases()].into_iter().flatten().collect();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    cases
}

/// Sends every case and names those with another answer than theirs.
fn send(address: SocketAddr, cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        if let Err(what) = check(address, case) {
            wrong.push(format!("{}: {what}", case.name));
        }
        // Whatever was sent, the next visitor is served.
        assert_eq!(exchange(address, &get("/health", &[])).status, 200, "after {:?}", case.name);
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Compares what was stored, in the order of the requests, with what should be.
fn compare(rows: &[Stored], cases: &[Case]) {
    let expected: Vec<(&str, &Value)> =
        cases.iter().flat_map(|case| case.stored.iter().map(|row| (case.name, row))).collect();
    assert_eq!(rows.len(), expected.len());
    for (row, (name, columns)) in rows.iter().zip(expected) {
        for (column, value) in columns.as_object().expect("columns") {
            assert_eq!(&row[column], value, "{name}: {column}");
        }
        for (column, value) in row {
            let text = value.to_string();
            assert!(!text.contains("\\u00") && !text.contains("secret"), "{name}: {column} holds {text}");
        }
    }
}

#[test]
fn every_hostile_request_gets_its_answer_and_leaves_only_what_it_should() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let cases = cases();
    send(collector.address, &cases);

    let accept = collector.shared.counts();
    assert_eq!(accept.panics, 0);
    assert!(accept.cookies_refused >= 2, "the forged cookies were not noticed");
    let kept: u64 = cases.iter().map(|case| case.stored.len() as u64).sum();
    let waiting: u64 = collector.shared.counters.counts().values().map(|site| site.waiting).sum();
    let in_flight: u64 = collector.shared.counters.counts().values().map(|site| site.in_flight).sum();
    assert_eq!((waiting, in_flight), (kept, 0));

    compare(&collector.finish(), &cases);
}

#[test]
fn the_built_server_answers_the_same_and_clickhouse_holds_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("metka.toml"), unlimited()).expect("written");
    let server = Server::start(dir.path(), &[]);
    let cases = cases();
    send(server.collect, &cases);
    for site in ["clinic", "strict", "optin", "cookieless"] {
        server.settled(site);
    }
    let columns = metka::store::row::COLUMNS;
    let rows: Vec<Stored> = server
        .rows(
            "SELECT * REPLACE (toInt8(kind) AS kind, toInt8(identity) AS identity, toInt8(consent) AS consent, \
             hex(ip) AS ip) FROM metka.hits ORDER BY batch, row",
        )
        .into_iter()
        .map(|row| columns.iter().map(|column| (*column).to_owned()).zip(row).collect())
        .collect();
    compare(&rows, &cases);
    let sites = server.command(&["status"])["sites"].clone();
    let sites = sites.as_object().expect("sites");
    let stored: u64 = sites.values().filter_map(|counts| counts["stored"].as_u64()).sum();
    assert_eq!(stored, rows.len() as u64, "the counters agree with the table");
    assert_eq!(server.terminate().0, Some(0));
    println!("{} hostile requests, {} rows stored", cases.len(), rows.len());
}

fn check(address: SocketAddr, case: &Case) -> Result<(), String> {
    let mut connection = Connection::open(address);
    connection.send(&case.send);
    if let Closed(_) = case.expected {
        connection.end();
    }
    let reply = connection.reply(case.send.starts_with(b"HEAD "));
    let found = |what: &str| Err(format!("{what}: {reply:?}"));
    match &case.expected {
        Pixel(outcome) => {
            if reply.status != 200 || reply.header("x-metka") != Some(outcome) {
                return found("another outcome");
            }
            let length = if case.send.starts_with(b"HEAD ") { 0 } else { 43 };
            if reply.body.len() != length || reply.header("content-length") != Some("43") {
                return found("not 43 bytes");
            }
            if reply.header("cache-control") != Some("no-store")
                || reply.header("content-type") != Some("image/gif")
            {
                return found("wrong headers");
            }
        }
        Event(status, refused) => {
            let body = reply.json();
            let refused: Vec<Value> =
                refused.iter().map(|(index, reason)| json!({"index": index, "reason": reason})).collect();
            if reply.status != *status
                || body["accepted"] != json!(case.stored.len())
                || body["refused"] != Value::Array(refused)
            {
                return found(&format!("another answer, with body {body}"));
            }
            if reply.header("x-content-type-options") != Some("nosniff") {
                return found("no nosniff");
            }
        }
        Status(status) => {
            if reply.status != *status {
                return found("another status");
            }
            if *status == 405 && reply.header("allow").is_none() {
                return found("405 without Allow");
            }
        }
        Closed(status) => {
            if reply.status != *status && reply.status != 0 {
                return found("another status");
            }
            if !connection.is_closed() {
                return found("the connection stays open");
            }
        }
    }
    Ok(())
}
