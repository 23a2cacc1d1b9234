use super::*;

/// User agents as browsers send them, with the quick answer.
#[test]
fn common_browsers_are_named_at_once() {
    for (text, browser, os, device) in [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            "Chrome 131",
            "Windows 10",
            "desktop",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 YaBrowser/24.10.0.0 Safari/537.36",
            "Yandex Browser 24.10",
            "Windows 10",
            "desktop",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15",
            "Safari 17.4",
            "macOS 10.15",
            "desktop",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
            "Firefox 132",
            "Linux",
            "desktop",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Mobile/15E148 Safari/604.1",
            "Safari 17.4",
            "iOS 17.4",
            "mobile",
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
            "Safari 16.6",
            "iOS 16.6",
            "tablet",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
            "Chrome 131",
            "Android 10",
            "mobile",
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            "Chrome 131",
            "Android 13",
            "tablet",
        ),
        (
            "Mozilla/5.0 (Linux; Android 12; CUBOT X50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0.4844.73 Mobile Safari/537.36",
            "Chrome 99",
            "Android 12",
            "mobile",
        ),
        (
            "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/4.0 Chrome/76.0.3809.146 TV Safari/537.36",
            "Samsung Internet 4",
            "Linux",
            "tv",
        ),
    ] {
        let found = classify_quickly(text);
        let joined = |name: &str, version: &str| format!("{name} {version}").trim().to_owned();
        assert_eq!(joined(&found.browser, &found.browser_version), browser, "{text}");
        assert_eq!(joined(&found.os, &found.os_version), os, "{text}");
        assert_eq!((found.device, found.bot), (device, ""), "{text}");
    }
}

#[test]
fn machines_are_marked_at_once() {
    for (text, bot) in [
        ("", "empty"),
        ("-", "empty"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "crawler"),
        ("Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "crawler"),
        (
            "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/W.X.Y.Z Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "crawler",
        ),
        ("TelegramBot (like TwitterBot)", "crawler"),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "crawler"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36",
            "headless",
        ),
        (
            "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1",
            "headless",
        ),
        ("curl/8.5.0", "library"),
        ("python-requests/2.31.0", "library"),
        ("Go-http-client/1.1", "library"),
        ("okhttp/4.12.0", "library"),
        ("Java/17.0.9", "library"),
        ("PostmanRuntime/7.36.0", "library"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.0.0 Safari/537.36 Chrome-Lighthouse", "automation"),
    ] {
        assert_eq!(classify_quickly(text).bot, bot, "{text}");
    }
}

#[test]
fn odd_strings_get_an_answer() {
    for text in [
        "x",
        "Mozilla/5.0",
        "\u{44f}\u{437}\u{44b}\u{43a}",
        "(((((",
        "Mozilla/5.0 (",
        ")",
        "/",
        "\u{0}\u{1}",
        &"a".repeat(100_000),
        &"\u{44f}".repeat(1000),
        &"(".repeat(512),
        &"Android ".repeat(100),
    ] {
        let found = classify_quickly(text);
        assert!(!found.device.is_empty(), "{text:?}");
        assert!(found.browser.len() <= 48 && found.os.len() <= 48);
    }
}

#[test]
fn without_rules_everything_works_and_a_warning_says_so() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let config = Enrich { user_agent_cpu_percent: 10, ..Enrich::default() };
    let search = Search::new(None, dir.path());
    let classifier = Classifier::open(&config, &search).expect("opens");
    assert!(classifier.warnings()[0].contains("npm ci"), "{:?}", classifier.warnings());
    let text = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0";
    assert_eq!(classifier.classify(text).browser, "Firefox");
    assert_eq!(classifier.classify(text).browser, "Firefox");
    let stats = classifier.stats();
    assert_eq!((stats.cache_entries, stats.cache_hits, stats.cache_misses, stats.refined), (1, 1, 1, 0));

    let config = Enrich { user_agent_rules: Some(dir.path().join("gone.yaml")), ..config };
    let error = Classifier::open(&config, &search).err().expect("absent").to_string();
    assert!(error.contains("gone.yaml"), "{error}");
}

#[test]
fn the_rules_answer_the_same_after_they_forgot_their_searches() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let put = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("writable");
        dir.path().join(name)
    };
    let rules = put(
        "regexes.yaml",
        "user_agent_parsers:\n  - regex: '(Firefox)/(\\d+)\\.(\\d+)'\nos_parsers:\n  - regex: '(Linux)'\n\
         device_parsers:\n  - regex: '(looker)'\n    device_replacement: 'Spider'\n",
    );
    let crawlers = put("crawlers.json", r#"[{"pattern": "wanderer"}]"#);
    let mut rules = Rules::load(&rules, Some(&crawlers)).expect("they load");
    for round in 0..3 {
        for (text, browser, bot) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox", ""),
            ("Mozilla/5.0 (X11; Linux x86_64) looker", "", "crawler"),
            ("Mozilla/5.0 (X11; Linux x86_64) wanderer", "", "crawler"),
        ] {
            let found = rules.classify(text);
            assert_eq!((found.browser.as_str(), found.bot), (browser, bot), "round {round}: {text}");
            assert_eq!(found.os, "Linux", "round {round}: {text}");
        }
        rules.forget_searches();
    }
}
