use super::*;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, environment, Path::new("/srv"))
}

#[test]
fn an_empty_file_gives_the_defaults_of_the_contract() {
    let config = parse("", &[]).expect("defaults are valid");
    assert_eq!(config.data_dir, Path::new("/srv/data"));
    assert_eq!(config.keys.dir, Path::new("/srv/data/keys"));
    assert_eq!(config.backup.dir, Path::new("/srv/data/backups"));
    assert_eq!(config.backup.max_age_days, 30);
    assert_eq!(config.collect.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:8090");
    assert_eq!(config.ship.interval, Duration::from_secs(2));
    assert_eq!(config.collect.rate_limit_per_minute, 600);
    assert_eq!(config.collect.durability, Durability::Fsync);
    assert_eq!(config.collect.event_path, "/event");
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = parse(
        "data_dir = \"a\"\n[collect]\nlisten = \"127.0.0.1:1\"",
        &[
            ("METKA_DATA_DIR", "/b"),
            ("METKA_COLLECT__LISTEN", "127.0.0.1:2"),
            ("METKA_COLLECT__TRUSTED_PROXIES", "[\"10.0.0.0/8\"]"),
            ("METKA_SHIP__INTERVAL", "500ms"),
            ("METKA_SITE__0__ID", "clinic"),
            ("METKA_SITE__0__HOSTS", "[\"Clinic.example\"]"),
            ("METKA_SITE__0__RETENTION__IP_DAYS", "7"),
            ("METKA_SITE__0__PATH_RULES", "[\"/doctors/* => /doctors/:doctor\"]"),
            ("PATH", "/bin"),
            ("METKA_BIN", "/usr/local/bin/metka"),
        ],
    )
    .expect("valid");
    assert_eq!(config.data_dir, Path::new("/b"));
    assert_eq!(config.collect.listen.port(), 2);
    assert!(config.collect.trusted_proxies[0].contains([10, 1, 2, 3].into()));
    assert_eq!(config.ship.interval, Duration::from_millis(500));
    assert_eq!(config.sites[0].hosts, ["clinic.example"]);
    assert_eq!(config.sites[0].retention.ip_days, 7);
    let mut path = "/doctors/ivanova/".into();
    assert!(config.sites[0].path_rules.apply(&mut path));
    assert_eq!(path, "/doctors/:doctor");
}

#[test]
fn the_master_key_comes_from_exactly_one_place() {
    let key = "0123456789abcdef".repeat(4);
    let credentials = tempfile::tempdir().expect("a directory");
    let dir = credentials.path().to_str().expect("plain").to_owned();
    let (variable, directory) =
        ((MASTER_KEY_VARIABLE, key.as_str()), ("CREDENTIALS_DIRECTORY", dir.as_str()));
    let file = "[keys]\nmaster_key_file = 'k'";
    let source = |text: &str, environment: &[(&str, &str)]| {
        parse(text, environment).map(|config| config.keys.master).map_err(|error| error.to_string())
    };
    let beside = Ok(MasterKeySource::Beside("/srv/data/keys/master.key".into()));
    assert_eq!(source("", &[]), beside);
    // A unit may have other credentials.
    assert_eq!(source("", &[directory]), beside);
    assert_eq!(source(file, &[directory]), Ok(MasterKeySource::File("/srv/k".into())));
    assert_eq!(source("", &[variable]), Ok(MasterKeySource::Environment(Hidden(key.clone()))));
    let credential = credentials.path().join("metka-master-key");
    std::fs::write(&credential, &key).expect("written");
    assert_eq!(source("", &[directory]), Ok(MasterKeySource::Credential(credential)));
    for (text, environment, named) in [
        (file, &[variable][..], &["keys.master_key_file", MASTER_KEY_VARIABLE][..]),
        (file, &[directory], &["keys.master_key_file", "credential"]),
        ("", &[variable, directory], &[MASTER_KEY_VARIABLE, "credential"]),
        (file, &[variable, directory], &["keys.master_key_file", MASTER_KEY_VARIABLE, "credential"]),
    ] {
        let error = source(text, environment).expect_err("two are a conflict");
        assert!(error.contains("exactly one is used") && !error.contains(&key), "{error}");
        assert!(named.iter().all(|name| error.contains(name)), "{error}");
    }
    let short = source("", &[(MASTER_KEY_VARIABLE, "abc-secret")]).expect_err("not a key");
    assert!(short.contains("64 hex digits") && !short.contains("secret"), "{short}");
    // It is no key of the file, where it would lie in the clear.
    let error = source("[keys]\nmaster_key = 'abc-secret'", &[]).expect_err("no such key");
    assert!(error.contains("keys.master_key") && !error.contains("secret"), "{error}");
    let config = parse("", &[variable]).expect("valid");
    assert!(!format!("{config:?}").contains(&key), "the key is not printed");
}

#[test]
fn all_mistakes_are_reported_at_once_by_name() {
    let error = parse(
        r#"
        colect = 1
        [collect]
        listen = "localhost"
        durability = "maybe"
        trusted_proxies = ["10.0.0.0/40", "10.0.0.1/8"]
        pixel_path = "/event"
        [ship]
        interval = "2"
        batch_rows = 0
        [[site]]
        id = "a b"
        hosts = []
        timezone = "Mars/Olympus"
        fields = ["title", "dreams"]
        path_rules = ["/doctors/dr-* => /doctors", "/a/* => /b"]
        [site.retention]
        raw_days = 0
        [[site]]
        id = "a b"
        hosts = ["x.example/path"]
        "#,
        &[("METKA_COLLECT__SPEED", "fast")],
    )
    .expect_err("mistakes");
    let text = error.to_string();
    for part in [
        "colect: is not a key",
        "collect.speed: is not a key",
        "collect.listen: expected ADDRESS:PORT, found \"localhost\"",
        "collect.durability: expected fsync or write, found \"maybe\"",
        "found \"10.0.0.0/40\"",
        "found \"10.0.0.1/8\"",
        "the path \"/event\" is used twice",
        "ship.interval: expected a duration",
        "ship.batch_rows: expected a number from 1 to 1000000, found 0",
        "site[0].id: expected",
        "site[0].hosts: expected at least one",
        "site[0].timezone: expected an IANA time zone",
        "found \"dreams\"",
        "site[0].path_rules: expected a rule such as \"/doctors/* => /doctors/:doctor\", found \"/doctors/dr-* => /doctors\": \"dr-*\": a star stands for a whole segment",
        "site[0].retention.raw_days",
        "site[1].hosts: expected a host name",
        "site[1].id: \"a b\" is already site[0]",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn a_certificate_needs_its_key_and_makes_the_address_https() {
    let config = parse(
        "[collect]\ntls_certificate_file = 'a.pem'\ntls_key_file = '/b.pem'\n[web]\nlisten = '127.0.0.1:9'",
        &[],
    )
    .expect("valid");
    let files = TlsFiles { certificate: "/srv/a.pem".into(), key: "/b.pem".into() };
    assert_eq!((config.collect.tls, config.web.tls), (Some(files), None));
    assert_eq!(config.collect.public_url, "https://127.0.0.1:8080");
    assert_eq!(config.web.public_url, "http://127.0.0.1:9");
    let error = parse(
        "[collect]\ntls_key_file = 'b.pem'\n[web]\ntls_certificate_file = 'a.pem'\ntls_key_file = 'b.pem'\npublic_url = 'http://metka.example'",
        &[("METKA_WEB__TLS_KEY_FILE", "c.pem")],
    )
    .expect_err("mistakes")
    .to_string();
    for part in [
        "collect.tls_certificate_file: is needed, since tls_key_file is set",
        "web.public_url: expected https, since tls_certificate_file is set, found \"http://metka.example\"",
    ] {
        assert!(error.contains(part), "{part:?} is missing in:\n{error}");
    }
}

#[test]
fn presets_set_defaults_that_a_site_may_override() {
    let config = parse(
        "[[site]]\nid='a'\nhosts=['a.example']\npreset='ru-152fz'\n[[site]]\nid='b'\nhosts=['b.example']\npreset='ru-152fz'\nfields=['title']",
        &[],
    )
    .expect("valid");
    assert_eq!(config.sites[0].fields, Fields::NONE);
    assert_eq!(config.sites[1].fields, Fields { title: true, ..Fields::NONE });
}

#[test]
fn hosts_match_exactly_or_below_a_wildcard() {
    let site = Site::with_defaults("a", &["clinic.example", "*.clinic.example", "клиника.рф"]);
    assert!(site.hosts[2].starts_with("xn--"), "a Cyrillic host is held in its ASCII form");
    for host in ["clinic.example", "www.clinic.example", "a.b.clinic.example", site.hosts[2].as_str()] {
        assert!(site.has_host(host), "{host}");
    }
    for host in ["clinic.example.evil", "evilclinic.example", ".clinic.example", "", "example"] {
        assert!(!site.has_host(host), "{host}");
    }
}

#[test]
fn networks_hold_their_own_addresses_only() {
    let four = Network::parse("192.0.2.0/24").expect("valid");
    assert!(four.contains("192.0.2.255".parse().expect("address")));
    assert!(four.contains("::ffff:192.0.2.1".parse().expect("address")));
    assert!(!four.contains("192.0.3.0".parse().expect("address")));
    let all = Network::parse("::/0").expect("valid");
    assert!(all.contains("2001:db8::1".parse().expect("address")));
    assert!(!Network::parse("0.0.0.0/0").expect("valid").contains("2001:db8::1".parse().expect("address")));
}

/// The lines of the shipped example with every commented-out setting switched on.
fn example_in_full() -> String {
    include_str!("../../metka.example.toml")
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => setting,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_shipped_example_is_valid_as_it_is_and_in_full() {
    let config = parse(include_str!("../../metka.example.toml"), &[]).expect("the example is valid");
    assert_eq!(config.sites[0].id, "clinic");
    parse(&example_in_full(), &[]).expect("the example is valid with every setting switched on");
}

#[test]
fn the_shipped_example_documents_every_key_and_no_other() {
    let text = example_in_full();
    let (_, asked) = Config::parse_with_keys(&text, [], Path::new("/srv")).expect("valid");
    let table: toml::Table = toml::from_str(&text).expect("valid");
    let mut documented = BTreeSet::new();
    let mut pending: Vec<(String, &toml::Value)> =
        table.iter().map(|(key, value)| (key.clone(), value)).collect();
    while let Some((name, value)) = pending.pop() {
        match value {
            toml::Value::Table(below) => {
                pending.extend(below.iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            toml::Value::Array(items) if items.first().is_some_and(toml::Value::is_table) => {
                pending.extend(items.iter().map(|item| (name.clone(), item)));
            }
            _ => {
                documented.insert(name);
            }
        }
    }
    assert_eq!(documented, asked);
}

#[test]
fn the_shipped_example_shows_the_defaults() {
    let defaults = parse(
        "[[site]]\nid='clinic'\nhosts=['clinic.example', 'www.clinic.example']\npreset='ru-152fz'",
        &[],
    )
    .expect("valid");
    let example = parse(&example_in_full(), &[]).expect("valid");
    assert_eq!(example.collect.drain, defaults.collect.drain);
    assert_eq!(
        Collect { public_url: String::new(), tls: None, ..example.collect },
        Collect { public_url: String::new(), ..defaults.collect }
    );
    assert_eq!(example.ship, defaults.ship);
    assert_eq!(example.engine.max_memory_bytes, defaults.engine.max_memory_bytes);
    assert_eq!(example.keys.dir, defaults.keys.dir);
    assert_eq!(example.backup, defaults.backup);
    assert_eq!(example.rights.terms, defaults.rights.terms);
    assert_eq!(example.rights.erase_at_once, defaults.rights.erase_at_once);
    assert_eq!(example.sites[0].retention, defaults.sites[0].retention);
    assert_eq!(example.sites[0].signals, defaults.sites[0].signals);
}

#[test]
fn the_mail_server_is_read_and_each_mistake_is_named() {
    let mail = |text: &str| parse(&format!("[mail]\n{text}"), &[]).map(|config| config.mail);
    assert_eq!(parse("", &[]).expect("valid").mail, None);
    let from = "from = 'Metka <metka@clinic.example>'\n";
    for (url, security, host, port) in [
        ("smtp://127.0.0.1:2525", MailSecurity::Plain, "127.0.0.1", 2525),
        ("smtp://mail.example", MailSecurity::Plain, "mail.example", 25),
        ("smtps://mail.example", MailSecurity::Tls, "mail.example", 465),
        ("smtp+starttls://mail.example/", MailSecurity::StartTls, "mail.example", 587),
    ] {
        let found = mail(&format!("url = '{url}'\n{from}")).expect("valid").expect("a server");
        assert_eq!((found.security, found.host.as_str(), found.port), (security, host, port), "{url}");
    }
    let environment = [("METKA_MAIL__URL", "smtps://mail.example"), ("METKA_MAIL__FROM", "m@clinic.example")];
    assert!(parse("", &environment).expect("valid").mail.is_some());
    for (text, expected) in [
        ("url = 'http://mail.example'\nfrom = 'm@clinic.example'", "mail.url: expected smtp://HOST:PORT"),
        (
            "url = 'smtps://u:secret@mail.example'\nfrom = 'm@clinic.example'",
            "mail.url: expected smtp://HOST:PORT",
        ),
        ("url = 'smtps://mail.example'", "mail.from: expected a sender"),
        ("url = 'smtps://mail.example'\nfrom = 'nobody'", "mail.from: expected a sender"),
        (
            "url = 'smtps://mail.example'\nfrom = 'm@clinic.example'\nuser = 'u'",
            "mail.password_file: is needed",
        ),
        ("from = 'm@clinic.example'", "mail.from: means nothing without mail.url"),
        (
            "url = 'smtp://mail.example'\nfrom = 'm@clinic.example'\nuser = 'u'\npassword_file = 'p'",
            "mail.url: a password goes over smtps",
        ),
        ("host = 'mail.example'", "mail.host"),
    ] {
        let error = mail(text).expect_err("a mistake").to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
    }
}
