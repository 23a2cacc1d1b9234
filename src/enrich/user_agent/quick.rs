//! The quick answer: woothee, our own tokens, and a few browsers that woothee
//! does not know. Some microseconds, no allocation beyond the answer's strings.

use std::borrow::Cow;

use woothee::parser::Parser;
use woothee::woothee::VALUE_UNKNOWN;

use super::UserAgent;
use super::device::Signs;
use super::names;

/// Browsers that woothee takes for the one they are built on: the token before
/// their version, and their name in the vocabulary.
const MORE_BROWSERS: &[(&str, &str)] = &[
    ("YaApp_Android/", "Yandex App"),
    ("YaSearchBrowser/", "Yandex App"),
    ("MiuiBrowser/", "MIUI Browser"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("UCBrowser/", "UC Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Instagram ", "Instagram"),
    ("FBAV/", "Facebook"),
    ("Whale/", "Whale"),
    ("QQBrowser/", "QQ Browser"),
    ("Opera Mini/", "Opera Mini"),
    ("OPT/", "Opera Touch"),
    ("OPX/", "Opera GX"),
    ("Vivaldi/", "Vivaldi"),
    ("Atom/", "Atom"),
    ("Puffin/", "Puffin"),
    ("Focus/", "Firefox Focus"),
    ("Klar/", "Firefox Klar"),
    ("SeaMonkey/", "SeaMonkey"),
    ("PaleMoon/", "Pale Moon"),
    ("Silk/", "Amazon Silk"),
];

/// Whether woothee's word for "a machine" may be believed.
const CRAWLER: &str = "crawler";

pub(super) fn classify(text: &str) -> UserAgent {
    if text.is_empty() || text == "-" {
        return UserAgent { device: "other", bot: "empty", ..UserAgent::default() };
    }
    let signs = Signs::of(text);
    let result = Parser::new().parse(text).unwrap_or_default();
    let mut browser = known(result.name);
    let mut version = Cow::Borrowed(known(result.version));
    if let Some((name, token)) = more_browser(text) {
        browser = name;
        version = Cow::Owned(digits_after(text, token));
    } else if signs.is_webview() && browser != "Yandex Browser" {
        browser = "WebView";
        version = Cow::Owned(digits_after(text, "Chrome/"));
    } else if signs.is_android() && browser == "Safari" {
        // There is no Safari for Android: it is the browser that Android 4 came with.
        browser = "Android";
    }
    let bot = match signs.bot() {
        "" if result.category == CRAWLER && !signs.is_cubot() => CRAWLER,
        bot => bot,
    };
    let (os, os_version) = names::quick_os(known(result.os), known(&result.os_version));
    let by_category = match result.category {
        "pc" => "desktop",
        "smartphone" | "mobilephone" => "mobile",
        _ => "other",
    };
    UserAgent {
        browser: if bot == CRAWLER { String::new() } else { names::browser(browser).into_owned() },
        browser_version: if bot == CRAWLER { String::new() } else { names::version(&version) },
        os,
        os_version,
        device: signs.device().unwrap_or(by_category),
        bot,
    }
}

fn more_browser(text: &str) -> Option<(&'static str, &'static str)> {
    // All of these have their token after the parenthesis.
    let products = text.find(')').map_or(text, |end| &text[end..]);
    MORE_BROWSERS.iter().find(|(token, _)| products.contains(token)).map(|(token, name)| (*name, *token))
}

fn digits_after(text: &str, token: &str) -> String {
    let Some((_, rest)) = text.rsplit_once(token) else { return String::new() };
    rest.chars().take_while(|character| character.is_ascii_digit() || *character == '.').collect()
}

fn known(text: &str) -> &str {
    if text == VALUE_UNKNOWN { "" } else { text }
}
