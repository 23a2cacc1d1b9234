//! The requests: made once, as bytes, before the clock starts.
//!
//! Made-up people look at pages of one clinic, with the user agents that people have,
//! from where people come.

use super::options::Mix;

/// Different requests: as many as a cache of user agents or places should not find
/// too easy, few enough to stay in the generator's own cache.
pub const REQUESTS: usize = 1000;

/// A request and how many hits it holds.
#[derive(Clone)]
pub struct Request {
    pub bytes: Vec<u8>,
    pub hits: u64,
}

/// Somebody who sends requests.
pub struct Visitor {
    address: String,
    agent: String,
    language: &'static str,
    /// Comes with a cookie.
    pub keeps_cookies: bool,
}

const REFERRERS: &[&str] = &[
    "https://yandex.ru/search/?text=clinic",
    "https://www.google.com/",
    "https://vk.com/feed",
    "",
    "https://t.me/",
    "https://2gis.ru/moscow/firm/1",
    "",
];
const LANGUAGES: &[&str] = &["ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "en-US,en;q=0.9", "ru", "de-DE,de;q=0.9"];

/// The people of a mix.
pub fn visitors(mix: &Mix) -> Vec<Visitor> {
    (0..mix.visitors)
        .map(|number| {
            let bot = number * 7919 % 100 < mix.bots;
            Visitor {
                address: address(number),
                agent: if bot { crawler(number) } else { browser(number) },
                language: LANGUAGES[number as usize % LANGUAGES.len()],
                keeps_cookies: !bot && number * 104_729 % 100 < mix.cookies,
            }
        })
        .collect()
}

/// A visitor's page view, for the pixel.
pub fn pixel(visitor: &Visitor, cookie: Option<&str>, site: &str, page: u32, keep_alive: bool) -> Vec<u8> {
    let referrer = REFERRERS[page as usize % REFERRERS.len()];
    let target = format!(
        "/pixel.gif?s={site}&u=https%3A%2F%2Fclinic.example%2F{}%3Futm_source%3Dnewsletter%26utm_medium%3Demail&r={}&t=Page+{page}&w=1920",
        path(page),
        url::form_urlencoded::byte_serialize(referrer.as_bytes()).collect::<String>()
    );
    request("GET", &target, visitor, cookie, b"", keep_alive)
}

/// The requests of a mix; `cookies` has one for each visitor who keeps them.
pub fn requests(
    mix: &Mix,
    visitors: &[Visitor],
    cookies: &[Option<String>],
    site: &str,
    keep_alive: bool,
) -> Vec<Request> {
    let [pixels, events, batches] = mix.shares;
    let turns = pixels + events + batches;
    let mut spread = 0u32;
    (0..REQUESTS as u32)
        .map(|number| {
            let visitor = number as usize % visitors.len();
            let (who, cookie) = (&visitors[visitor], cookies[visitor].as_deref());
            let page = number.wrapping_mul(2_654_435_761) % mix.pages;
            // Evenly mixed: 8:1:1 is no run of eight hundred pixels.
            spread = (spread + 617) % turns.max(1);
            let turn = if turns == 1 { 0 } else { (spread + number) % turns };
            let (bytes, hits) = if turn < pixels {
                (pixel(who, cookie, site, page, keep_alive), 1)
            } else if turn < pixels + events {
                (request("POST", "/event", who, cookie, event(site, page).as_bytes(), keep_alive), 1)
            } else {
                let all: Vec<String> =
                    (0..mix.batch).map(|more| event(site, (page + more) % mix.pages)).collect();
                let body = format!("[{}]", all.join(","));
                (request("POST", "/event", who, cookie, body.as_bytes(), keep_alive), u64::from(mix.batch))
            };
            Request { bytes, hits }
        })
        .collect()
}

/// On average.
pub fn hits_per_request(requests: &[Request]) -> f64 {
    requests.iter().map(|request| request.hits).sum::<u64>() as f64 / requests.len() as f64
}

/// The pixel's requests without cookies of a server's own: as long as those that have one.
pub fn plain_requests(mix: &Mix, keep_alive: bool) -> Vec<Request> {
    let visitors = visitors(mix);
    let cookie = format!("v1.1.20260101.{}.{}", "0".repeat(32), "0".repeat(32));
    let cookies: Vec<_> =
        visitors.iter().map(|visitor| visitor.keeps_cookies.then(|| cookie.clone())).collect();
    requests(mix, &visitors, &cookies, "clinic", keep_alive)
}

fn event(site: &str, page: u32) -> String {
    let referrer = REFERRERS[page as usize % REFERRERS.len()];
    format!(
        r#"{{"s":"{site}","k":"event","n":"zapis","u":"https://clinic.example/{}","r":"{referrer}","t":"Page {page}","w":1920,"z":"Europe/Moscow","p":{{"usluga":"uzi","step":"{}"}}}}"#,
        path(page),
        page % 4
    )
}

fn path(page: u32) -> String {
    let section = ["uslugi", "vrachi", "ceny", "stati"][page as usize % 4];
    format!("{section}/page-{page}/")
}

fn request(
    method: &str,
    target: &str,
    visitor: &Visitor,
    cookie: Option<&str>,
    body: &[u8],
    keep_alive: bool,
) -> Vec<u8> {
    let Visitor { address, agent, language, .. } = visitor;
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nHost: stats.clinic.example\r\nUser-Agent: {agent}\r\nAccept: image/avif,image/webp,*/*\r\n\
         Accept-Language: {language}\r\nReferer: https://clinic.example/\r\nX-Forwarded-For: {address}\r\n"
    );
    if let Some(cookie) = cookie {
        head += &format!("Cookie: metka={cookie}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", body.len());
    }
    head += if keep_alive { "\r\n" } else { "Connection: close\r\n\r\n" };
    [head.as_bytes(), body].concat()
}

/// Made-up addresses of networks that are routed, since no others have a place: two
/// of three people come by IPv4, each from another network.
fn address(number: u32) -> String {
    let spread = number.wrapping_mul(2_654_435_761);
    let [first, second, third, _] = spread.to_be_bytes();
    match number % 3 {
        0 => format!("2a02:{:x}:{second:x}{third:02x}::1", u16::from(first) << 3),
        // Between 77.0.0.0 and 95.255.255.255, which Europe's registry has given out.
        _ => format!("{}.{second}.{third}.{}", 77 + first % 19, number % 250 + 1),
    }
}

fn browser(number: u32) -> String {
    let version = 110 + number % 30;
    match number % 5 {
        0 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
        ),
        1 => format!(
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Mobile Safari/537.36"
        ),
        2 => format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
            number % 7
        ),
        3 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
        ),
        _ => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 YaBrowser/24.{}.0.0 Safari/537.36",
            number % 12
        ),
    }
}

fn crawler(number: u32) -> String {
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    ][number as usize % 2]
        .to_owned()
}
