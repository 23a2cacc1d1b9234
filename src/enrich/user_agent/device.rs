//! Tokens of user agent strings: what class of device they mean, and which
//! machines announce themselves by them.
//!
//! One pass of an automaton over the string finds all tokens of the table.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::Regex;

/// What the tokens of a string say together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Signs(u32);

const CONSOLE: u32 = 1;
const TV: u32 = 1 << 1;
const TABLET: u32 = 1 << 2;
const ANDROID: u32 = 1 << 3;
const MOBILE: u32 = 1 << 4;
const DESKTOP: u32 = 1 << 5;
/// `Tablet PC` is a laptop's Windows.
const TABLET_PC: u32 = 1 << 6;
const HEADLESS: u32 = 1 << 7;
const AUTOMATION: u32 = 1 << 8;
const LIBRARY: u32 = 1 << 9;
const CRAWLER: u32 = 1 << 10;
/// `bot` somewhere: the expression decides whether it is a word's end.
const MAYBE_BOT: u32 = 1 << 11;
/// Cubot makes telephones.
const CUBOT: u32 = 1 << 12;
const WEBVIEW: u32 = 1 << 13;
/// An address of a page about the sender: crawlers say who they are.
const URL: u32 = 1 << 14;
/// `Mozilla/5.0 (compatible; X/1.0)`: the form of crawlers, and of browsers
/// older than Internet Explorer 11, which name their system after it.
const COMPATIBLE: u32 = 1 << 16;
/// Old Internet Explorers carry the addresses of whoever branded them.
const MSIE: u32 = 1 << 15;

const DEVICES: u32 = CONSOLE | TV | TABLET | ANDROID | MOBILE | DESKTOP;

/// Libraries whose names mean something else further on in a string (`HTC
/// Ruby`, `FirePHP/0.4`, `Java/ASVM`), and WhatsApp, whose browser
/// names it further on and whose link previews begin with it: only at the
/// beginning.
const LIBRARY_STARTS: [&str; 6] = ["whatsapp", "php/", "java/", "ruby", "perl", "php "];

/// Tokens, in lower case; strings are matched without regard to case.
#[rustfmt::skip] // One token on a line would be four hundred lines.
const TOKENS: &[(u32, &[&str])] = &[
    (CONSOLE, &["playstation", "xbox", "nintendo"]),
    (TV, &[
        "smart-tv", "smarttv", "smart tv", "googletv", "google tv", "android tv", "androidtv", "appletv",
        "apple tv", "hbbtv", "netcast", "web0s", "webos.tv", "bravia", "viera", "vidaa", "roku", "crkey", "dtv",
        "inettvbrowser", "tizen/tv", "tizen tv", "mitv", "mibox", "; aft", "mi box", "boxee", "opera tv", "sraf",
        "philipstv", "nettv", "ce-html", "tv safari", "large screen", "tvos", "shield android tv", "kdl-",
        "tpm171e",
    ]),
    (TABLET, &[
        "ipad", "tablet", "kindle", "playbook", "; kf", "silk/", "sm-t", "gt-p", "lenovo tb", "xoom", "nexus 7",
        "nexus 9", "nexus 10", "transformer", "mediapad", "touchpad", "sch-i800", "hp slate",
    ]),
    (TABLET_PC, &["tablet pc"]),
    (ANDROID, &["android"]),
    (MOBILE, &[
        "mobi", "iphone", "ipod", "phone", "blackberry", "bb10", "symbian", "opera mini", "nokia", "j2me", "midp",
        "kaios", "up.browser", "docomo", "dalvik", "windows ce", "palm", "ucweb", "fennec", "kddi", "softbank",
        "vodafone", "sonyericsson", "samsung-", "lg-", "mot-", "openwave", "netfront", "maui", "iemobile", "htc_",
        "portalmmm", "wap", "obigo", "cldc", "teleca", "brew", "rim9", "up/4", "zte-",
    ]),
    (DESKTOP, &[
        "windows nt", "macintosh", "mac os x", "mac_powerpc", "x11", "cros ", "linux", "windows 9", "win9",
        "windows;", "winnt", "windows xp", "freebsd", "openbsd", "sunos", "konqueror",
    ]),
    (WEBVIEW, &["; wv)"]),
    (HEADLESS, &[
        "headlesschrome", "headless", "phantomjs", "slimerjs", "htmlunit", "jsdom", "zombie.js", "splash ",
        "nightmarejs",
    ]),
    (AUTOMATION, &[
        "selenium", "webdriver", "puppeteer", "playwright", "cypress/", "chrome-lighthouse", "ptst/", "gtmetrix",
        "pingdom", "uptimerobot", "statuscake", "site24x7", "testcafe", "speedcurve", "catchpoint", "dareboost",
        "calibre", "newrelicpinger", "datadogsynthetics", "yottaamonitor", "monitis", "nagios", "check_http",
        "zabbix", "better uptime", "freshping", "hetrixtools",
    ]),
    (LIBRARY, &[
        "curl/", "libcurl", "wget", "python", "aiohttp", "httpx/", "urllib", "go-http-client", "go http package",
        "gohttp", "okhttp", "apache-httpclient", "httpclient", "http-client", "http_client", "jakarta", "lwp::",
        "libwww-", "lwp-", "node-fetch", "node.js", "nodejs", "axios/", "undici", "got/", "got (", "needle/",
        "superagent", "guzzle", "pecl::http", "php-curl", "http_request", "faraday", "typhoeus", "rest-client",
        "restsharp", "scrapy", "colly", "postmanruntime", "insomnia/", "httpie", "reqwest", "hyper/", "winhttp",
        "powershell", "dart/", "dart:io", "mechanize", "feedparser", "simplepie", "magpierss", "aria2", "axel/",
        "fasthttp", "http.rb", "httrack", "libfetch", "snoopy", "zend_http", "zend\\http", "wininet",
        "indy library", "synapse)", "nsurlconnection", "synapse", "akka-http", "ktor-client", "jersey/", "jaunt/",
        "unirest", "grequests", "pycurl", "mojolicious", "poe-component", "wsr-agent", "winhttprequest",
    ]),
    (CRAWLER, &[
        "crawl", "indexer", "collector", "extractor", "harvest", "reaper", "larbin", "binlar", "coccoc", "ichiro",
        "datanyze", "google-inspection", "google-safety", "google-read-aloud", "google-site", "google-structured",
        "google-adwords", "google-cloudvertex", "google-extended", "link preview", "url preview", "linkpreview",
        "newsgator", "feedbin", "rssreader", "spider", "slurp", "archiver", "archive.org", "scanner", "scraper",
        "scan/", "spyder", "fetcher", "feedburner", "feedfetch", "facebookexternalhit", "facebookcatalog",
        "meta-external", "ips-agent", "httpunit", "gigablast", "linkdex", "linkfinder", "analyzer", "webthumbnail",
        "pagepeeker", "gomezagent", "admantx", "metauri", "daumoa", "appinsights", "yahoocachesystem",
        "internetarchive", "skypeuripreview", "bingpreview", "mediapartners", "adsbot", "apis-google",
        "google favicon", "google page speed", "google web preview", "googleother", "duplexweb",
        "yandexmobilescreen", "yandexrender", "yandexmetrika", "yandexdirect", "yandeximage",
        "yandexaccessibility", "yandexscreenshot", "mail.ru_bot", "vkshare", "embedly", "quora link preview",
        "outbrain", "pinterest/0", "nuzzel", "flipboardproxy", "tumblr/", "bitlybot", "w3c_", "link check",
        "linkcheck", "checklink", "xenu", "nutch", "heritrix", "ia_archiver", "baiduspider", "ahrefs", "semrush",
        "dataprovider", "netcraft", "nmap", "nikto", "sqlmap", "zgrab", "masscan", "censys", "shodan", "expanse",
        "wordpress/", "favicon", "proximic", "appengine-google", "siteexplorer", "sitemap", "siteimprove",
        "qwantify", "yeti/", "netsystemsresearch", "internet-measurement", "feedly", "inoreader", "newsblur",
        "yahoo pipes", "twitterbot", "bytespider", "claude-web", "anthropic", "chatgpt-user", "gptbot",
        "oai-searchbot", "perplexity", "cohere-ai", "imagesift", "cloudflare-", "detectify", "acunetix",
        "netsparker", "w3af", "openvas", "wappalyzer", "builtwith",
    ]),
    (URL, &["http://", "https://"]),
    (MSIE, &["msie "]),
    (COMPATIBLE, &["(compatible"]),
    (MAYBE_BOT, &["bot"]),
    (CUBOT, &["cubot"]),
];

/// `bot` at the end of a word or before a number or an underscore: `Googlebot/2.1`, `MJ12bot`,
/// `bot_x`; not `bottle`.
const BOT_EXPRESSION: &str = r"(?i)bot(?:[^a-z]|s\b|$)";

/// Makers whose telephones named nothing but themselves.
#[rustfmt::skip]
const PHONE_STARTS: [&str; 31] = [
    "acer", "alcatel", "amoi", "asus", "audiovox", "benq", "bird", "haier", "htc", "huawei", "kwc-", "kyocera",
    "lenovo", "lg", "lumia", "mot", "nec", "panasonic", "pantech", "philips", "sagem", "samsung", "sanyo", "sec-",
    "sharp", "sie-", "sony", "tcl", "zte", "gt-", "[fban",
];

struct Table {
    automaton: AhoCorasick,
    signs: Vec<u32>,
    bot: Regex,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let tokens = || TOKENS.iter().flat_map(|(sign, tokens)| tokens.iter().map(move |token| (*sign, *token)));
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(aho_corasick::AhoCorasickKind::DFA))
        .build(tokens().map(|(_, token)| token))
        .expect("the table of tokens is small");
    Table {
        automaton,
        signs: tokens().map(|(sign, _)| sign).collect(),
        bot: Regex::new(BOT_EXPRESSION).expect("the expression is well formed"),
    }
});

// === impl Signs ===

impl Signs {
    pub fn of(text: &str) -> Signs {
        let table = &*TABLE;
        let mut signs = 0;
        for found in table.automaton.find_overlapping_iter(text) {
            signs |= table.signs[found.pattern().as_usize()];
        }
        if signs & (URL | MSIE) == URL {
            signs |= CRAWLER;
        }
        let begins =
            |start: &str| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        // Browsers name their system in parentheses, and telephones have a token
        // or their maker in front. What has none of it is a program.
        if signs & DEVICES == 0 {
            if PHONE_STARTS.iter().any(|start| begins(start)) {
                signs |= MOBILE;
            } else if signs & (COMPATIBLE | MSIE) == COMPATIBLE {
                signs |= CRAWLER;
            } else if !text.contains('(') {
                signs |= LIBRARY;
            }
        }
        if LIBRARY_STARTS.iter().any(|start| begins(start)) {
            signs |= LIBRARY;
        }
        if signs & MAYBE_BOT != 0 {
            let is_bot = match signs & CUBOT {
                0 => table.bot.is_match(text),
                _ => table.bot.is_match(&text.to_ascii_lowercase().replace("cubot", "")),
            };
            if is_bot {
                signs |= CRAWLER;
            }
        }
        Signs(signs)
    }

    /// The machine that announces itself, or empty.
    pub fn bot(self) -> &'static str {
        // The most telling first: a crawler's headless browser is a crawler.
        [(CRAWLER, "crawler"), (AUTOMATION, "automation"), (HEADLESS, "headless"), (LIBRARY, "library")]
            .into_iter()
            .find(|(sign, _)| self.0 & sign != 0)
            .map_or("", |(_, name)| name)
    }

    /// Whether a maker's name looks like a crawler's.
    pub fn is_cubot(self) -> bool {
        self.0 & CUBOT != 0
    }

    /// Whether it is an Internet Explorer up to 10, whose strings hold whatever
    /// was installed beside it.
    pub fn is_msie(self) -> bool {
        self.0 & MSIE != 0
    }

    pub fn is_android(self) -> bool {
        self.0 & ANDROID != 0
    }

    pub fn is_webview(self) -> bool {
        self.0 & WEBVIEW != 0
    }

    /// The class of the device; `None` if no token says.
    pub fn device(self) -> Option<&'static str> {
        let has = |sign| self.0 & sign != 0;
        Some(if has(CONSOLE) {
            "console"
        } else if has(TV) {
            "tv"
        } else if has(TABLET) && !has(TABLET_PC) {
            "tablet"
        } else if has(MOBILE) {
            "mobile"
        } else if has(ANDROID) {
            // Google's rule: phones say Mobile, tablets do not.
            "tablet"
        } else if has(DESKTOP) {
            "desktop"
        } else {
            return None;
        })
    }
}
