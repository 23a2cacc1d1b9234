//! The vocabulary: one name for each browser and system, whichever rules found
//! it, and one form of version.

use std::borrow::Cow;

/// The longest name or version kept, in bytes.
const MAX_NAME_BYTES: usize = 48;

/// Browsers' names in the rules, and here.
const BROWSERS: &[(&str, &str)] = &[
    ("Other", ""),
    ("Chrome Mobile", "Chrome"),
    ("Chrome Mobile iOS", "Chrome"),
    ("Chromium", "Chrome"),
    ("Chrome Mobile WebView", "WebView"),
    ("Webview", "WebView"),
    ("Mobile Safari UI/WKWebView", "WebView"),
    ("Mobile Safari", "Safari"),
    ("Firefox Mobile", "Firefox"),
    ("Firefox iOS", "Firefox"),
    ("Firefox Beta", "Firefox"),
    ("Firefox Alpha", "Firefox"),
    ("Edge Mobile", "Edge"),
    ("Opera Mobile", "Opera"),
    ("Opera Coast", "Opera"),
    ("IE", "Internet Explorer"),
    ("IE Mobile", "Internet Explorer"),
    ("IE Large Screen", "Internet Explorer"),
    ("SamsungBrowser", "Samsung Internet"),
    ("MiuiBrowser", "MIUI Browser"),
    ("HuaweiBrowser", "Huawei Browser"),
    ("Google", "Google App"),
    ("Google Search App", "Google App"),
    ("Android", "Android Browser"),
    ("DuckDuckGo Mobile", "DuckDuckGo"),
    ("QQ Browser Mobile", "QQ Browser"),
    ("QQ Browser Mini", "QQ Browser"),
    ("UC Browser", "UC Browser"),
    ("Yandex Browser", "Yandex Browser"),
    ("YandexSearch", "Yandex App"),
    ("Mobile Internet Explorer", "Internet Explorer"),
    ("AmazonBrowser", "Amazon Silk"),
    ("BlackBerry WebKit", "BlackBerry"),
    ("Pale Moon (Firefox Variant)", "Pale Moon"),
];

/// Systems' names in the rules, and here.
const SYSTEMS: &[(&str, &str)] = &[
    ("Other", ""),
    ("Mac OS X", "macOS"),
    ("Mac OSX", "macOS"),
    ("Mac OS", "macOS"),
    ("Mac OS Classic", "macOS"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("iPod", "iOS"),
    ("iOS", "iOS"),
    ("ChromeOS", "Chrome OS"),
    ("ATV OS X", "tvOS"),
    ("Apple TV", "tvOS"),
    ("SymbianOS", "Symbian"),
    ("Symbian OS", "Symbian"),
    ("Nokia Series 40", "Symbian"),
    ("Windows Phone OS", "Windows Phone"),
    ("Windows Mobile", "Windows Phone"),
    ("Ubuntu", "Linux"),
    ("Debian", "Linux"),
    ("Fedora", "Linux"),
    ("Red Hat", "Linux"),
    ("SUSE", "Linux"),
    ("Gentoo", "Linux"),
    ("Mint", "Linux"),
    ("Linux Mint", "Linux"),
    ("CentOS", "Linux"),
    ("Arch Linux", "Linux"),
    ("Mandriva", "Linux"),
    ("Slackware", "Linux"),
    ("Kubuntu", "Linux"),
    ("Puppy", "Linux"),
    ("PCLinuxOS", "Linux"),
    ("VRE", "Linux"),
    ("GNU/Linux", "Linux"),
    ("FreeBSD", "BSD"),
    ("OpenBSD", "BSD"),
    ("NetBSD", "BSD"),
    ("DragonFly", "BSD"),
    ("BlackBerry Tablet OS", "BlackBerry OS"),
    ("BlackBerry", "BlackBerry OS"),
    ("BlackBerry 10", "BlackBerry OS"),
];

/// Versions of Windows as the rules name them.
const WINDOWS_VERSIONS: &[(&str, &str)] = &[
    ("NT 10.0", "10"),
    ("NT 6.3", "8.1"),
    ("NT 6.2", "8"),
    ("NT 6.1", "7"),
    ("NT 6.0", "Vista"),
    ("NT 5.2", "XP"),
    ("NT 5.1", "XP"),
    ("NT 5.0", "2000"),
    ("NT 4.0", "NT 4.0"),
    ("NT 4", "NT 4.0"),
    ("NT", "NT"),
];

/// A browser's name; those not in the table are taken as they are, cut.
pub fn browser(name: &str) -> Cow<'_, str> {
    match BROWSERS.iter().find(|(known, _)| *known == name) {
        Some((_, ours)) => Cow::Borrowed(ours),
        None => Cow::Borrowed(cut(name)),
    }
}

/// A system's name and version from the full rules.
pub fn os(name: &str, major: &str, minor: &str) -> (String, String) {
    let name = rename(name);
    let version = match name {
        "" => String::new(),
        "Windows" => windows_version(&join(major, minor)),
        "Linux" => String::new(),
        _ => version(&join(major, minor)),
    };
    (cut(name).to_owned(), version)
}

/// The same from woothee, which has Windows' version in its name.
pub fn quick_os(name: &str, os_version: &str) -> (String, String) {
    if let Some(rest) = name.strip_prefix("Windows ")
        && !rest.starts_with("Phone")
        && !rest.starts_with("CE")
    {
        let rest = if rest == "UNKNOWN Ver" { os_version } else { rest };
        return ("Windows".to_owned(), windows_version(rest));
    }
    let name = rename(name);
    let version = match name {
        "" | "Linux" | "BSD" => String::new(),
        _ => version(&os_version.replace('_', ".")),
    };
    (cut(name).to_owned(), version)
}

/// `131.0.6778.86` is `131`, `17.4.1` is `17.4`: two numbers, the second only
/// when it is not 0. What does not begin with a number is no version.
pub fn version(text: &str) -> String {
    let mut numbers = text.split('.');
    let major = numbers.next().filter(|number| is_number(number)).unwrap_or_default();
    match numbers.next().filter(|minor| is_number(minor) && minor.bytes().any(|byte| byte != b'0')) {
        Some(minor) if !major.is_empty() => format!("{major}.{minor}"),
        _ => major.to_owned(),
    }
}

fn windows_version(text: &str) -> String {
    let known = WINDOWS_VERSIONS.iter().find(|(name, _)| *name == text);
    cut(known.map_or(text, |(_, version)| version)).to_owned()
}

fn rename(name: &str) -> &str {
    SYSTEMS.iter().find(|(known, _)| *known == name).map_or(name, |(_, ours)| ours)
}

fn join(major: &str, minor: &str) -> String {
    if minor.is_empty() { major.to_owned() } else { format!("{major}.{minor}") }
}

/// Versions have up to five digits; more is noise that would fill dictionaries.
fn is_number(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_NAME_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
