//! Which answers protect their reader by which headers.

use metka::accept::Limits;

use crate::collector::Collector;
use crate::http::{event, exchange, get, request};
use crate::protection::{Kind, compare};
use crate::unlimited;

#[test]
fn every_answer_carries_the_headers_of_its_kind() {
    let hit = "/pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F";
    let long = format!("/health?{}", "x".repeat(21_000));
    let origin = [("Origin", "http://stats.clinic.example")];
    let own_origin = [("Origin", "https://clinic.example")];
    let one = r#"{"s":"clinic","u":"https://clinic.example/"}"#;
    let answers = [
        (get(hit, &[]), 200, Kind::Embedded),
        (get("/pixel.gif", &[]), 200, Kind::Embedded),
        (request("HEAD", hit, &[], b""), 200, Kind::Embedded),
        (request("PUT", hit, &[], b""), 405, Kind::Data),
        (event(one, &own_origin), 202, Kind::Embedded),
        (event("{", &[]), 400, Kind::Embedded),
        (event(&" ".repeat(1_000_001), &[]), 413, Kind::Embedded),
        (request("OPTIONS", "/event", &own_origin, b""), 204, Kind::Embedded),
        (get("/event", &[]), 405, Kind::Data),
        (get("/health", &[]), 200, Kind::Data),
        (get("/privacy", &[]), 200, Kind::Visitor),
        (get("/privacy/style.css", &[]), 200, Kind::Data),
        (request("POST", "/privacy/opt-out", &origin, b""), 303, Kind::Data),
        (request("POST", "/privacy/opt-in", &origin, b""), 303, Kind::Data),
        (request("POST", "/privacy/opt-out", &[], b""), 403, Kind::Data),
        (get("/privacy/opt-in", &[]), 405, Kind::Data),
        (get("/nothing", &[]), 404, Kind::Data),
        (get(&long, &[]), 414, Kind::Data),
        (b"GET /health HTTP/1.1\r\n\r\n".to_vec(), 400, Kind::Data),
    ];
    for (config, https) in [
        (unlimited(), false),
        (unlimited().replace("[collect]", "[collect]\npublic_url = \"https://stats.clinic.example\""), true),
    ] {
        let collector = Collector::start(&config, Limits::default());
        let mut compared = 0;
        for (bytes, status, kind) in &answers {
            let reply = exchange(collector.address, bytes);
            let what = String::from_utf8_lossy(bytes);
            let what = what.lines().next().unwrap_or_default();
            assert_eq!(reply.status, *status, "{what}");
            compare(what, *kind, https, |name| reply.header(name).map(str::to_owned));
            compared += 1;
        }
        for path in ["/pixel.js", "/errors.js"] {
            let script = exchange(collector.address, &get(path, &[]));
            let is_built = metka::assets::find(&format!("pixel{path}")).is_some();
            let kind = if is_built { Kind::Embedded } else { Kind::Data };
            compare(path, kind, https, |name| script.header(name).map(str::to_owned));
            if let Some(tag) = script.header("etag") {
                let known = exchange(collector.address, &get(path, &[("If-None-Match", tag)]));
                assert_eq!(known.status, 304);
                compare("the known script", kind, https, |name| known.header(name).map(str::to_owned));
            }
            compared += 1;
        }
        println!("{compared} answers carry the headers of their kind, https {https}");
    }
}
