//! ClickHouse's HTTP interface, byte by byte.

use std::io::{Read, Write};

use super::harness::{Answer, Engine, wait};

fn engine() -> (tempfile::TempDir, Engine) {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start(directory.path());
    (directory, engine)
}

/// A value for a URL.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn ping_needs_no_secret() {
    let (_directory, engine) = engine();
    for path in ["/", "/ping", "/replicas_status"] {
        let answer = engine.send("GET", path, &[], b"");
        assert_eq!((answer.status, answer.text().as_str()), (200, "Ok.\n"), "{path}");
    }
    assert_eq!(engine.send("GET", "/nowhere", &[], b"").status, 404);
    assert_eq!(engine.send("DELETE", "/", &[], b"").exception(), (Some("48"), 501));
}

#[test]
fn every_way_of_giving_the_secret_is_accepted_and_nothing_else() {
    let (_directory, engine) = engine();
    let secret = engine.secret.clone();
    let basic = {
        // `default:<64 hex digits>` in base64, by the engine itself.
        engine.query(&format!("SELECT base64Encode('default:{secret}') FORMAT TSVRaw"))
    };
    let basic = format!("Basic {}", basic.trim());
    let right: [(&str, Vec<(&str, &str)>); 4] = [
        ("/", vec![("X-ClickHouse-Key", &secret)]),
        ("/", vec![("X-ClickHouse-User", "default"), ("X-ClickHouse-Key", &secret)]),
        ("/", vec![("Authorization", &basic)]),
        (&format!("/?user=default&password={secret}"), vec![]),
    ];
    for (target, headers) in &right {
        let answer = engine.send("POST", target, headers, b"SELECT 42");
        assert_eq!((answer.status, answer.text().as_str()), (200, "42\n"), "{headers:?}");
    }
    let wrong: [(&str, Vec<(&str, &str)>); 6] = [
        ("/", vec![]),
        ("/", vec![("X-ClickHouse-Key", "")]),
        ("/", vec![("X-ClickHouse-Key", &secret[..63])]),
        ("/", vec![("X-ClickHouse-User", "root"), ("X-ClickHouse-Key", &secret)]),
        ("/?password=x", vec![]),
        ("/?user=default", vec![("X-ClickHouse-Key", &secret)]),
    ];
    for (target, headers) in &wrong {
        let answer = engine.send("POST", target, headers, b"SELECT 42");
        assert_eq!(answer.exception(), (Some("516"), 403), "{target} {headers:?}");
        assert!(answer.text().contains("AUTHENTICATION_FAILED"), "{}", answer.text());
        assert!(!answer.text().contains(&secret));
    }
}

#[test]
fn the_query_comes_in_the_url_in_the_body_or_in_both() {
    let (_directory, engine) = engine();
    let key = engine.secret.clone();
    let get = engine.send("GET", "/?query=SELECT%201", &[("X-ClickHouse-Key", &key)], b"");
    assert_eq!(get.text(), "1\n");
    assert_eq!(engine.post("/?query=SELECT", b"2").text(), "2\n");
    assert_eq!(engine.post("/", b"SELECT 3").text(), "3\n");
    // A GET only reads.
    let create = format!("/?query={}", escaped("CREATE DATABASE x"));
    assert_eq!(engine.send("GET", &create, &[("X-ClickHouse-Key", &key)], b"").exception().0, Some("164"));
    assert_eq!(engine.post("/", b"").exception(), (Some("62"), 400));
    assert_eq!(engine.post("/", b"SELECT 1; SELECT 2").exception(), (Some("62"), 400));
}

#[test]
fn exceptions_have_code_status_and_text_of_clickhouse() {
    let (_directory, engine) = engine();
    for (sql, code, status, name) in [
        ("SELECT * FROM nosuch", "60", 404, "UNKNOWN_TABLE"),
        ("SELECT nosuch", "47", 404, "UNKNOWN_IDENTIFIER"),
        ("SELEC 1", "62", 400, "SYNTAX_ERROR"),
        ("foo", "62", 400, "SYNTAX_ERROR"),
        ("SELECT nosuch()", "46", 404, "UNKNOWN_FUNCTION"),
        ("SELECT 1 SETTINGS nosuch = 1", "115", 404, "UNKNOWN_SETTING"),
        ("SELECT throwIf(1)", "395", 500, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("INSERT INTO nosuch VALUES (1)", "60", 404, "UNKNOWN_TABLE"),
        ("SELECT {a:UInt8}", "456", 500, "UNKNOWN_QUERY_PARAMETER"),
        ("SELECT * FROM file('/etc/hostname') SETTINGS readonly = 1", "164", 500, "READONLY"),
    ] {
        let answer = engine.post("/", sql.as_bytes());
        assert_eq!(answer.exception(), (Some(code), status), "{sql}: {}", answer.text());
        let text = answer.text();
        assert!(text.starts_with(&format!("Code: {code}. DB::Exception: ")), "{sql}: {text}");
        assert!(text.contains(&format!("({name}) (version 26.7")), "{sql}: {text}");
    }
    for (target, code) in [("/?database=nosuch", "81"), ("/?nosuch=1", "115"), ("/?role=x", "48")] {
        assert_eq!(engine.post(target, b"SELECT 1").exception().0, Some(code), "{target}");
    }
}

#[test]
fn an_exception_in_mid_stream_is_seen_and_the_answer_is_not_complete() {
    let (_directory, engine) = engine();
    let sql = b"SELECT number, throwIf(number = 5000) FROM numbers(10000) SETTINGS max_block_size = 1000";
    for target in ["/?default_format=CSVWithNames", "/?default_format=RowBinaryWithNamesAndTypes"] {
        let answer = engine.post(target, sql);
        assert_eq!(answer.status, 200, "the first rows were under way");
        assert!(!answer.complete, "a client that knows no tags sees a broken answer");
        let tag = answer.header("x-clickhouse-exception-tag").unwrap();
        let end = format!(" {tag}\r\n__exception__\r\n");
        let body = answer.text();
        assert!(body.ends_with(&end), "{body:?}");
        assert!(
            body.contains(&format!("\r\n__exception__\r\n{tag}\r\nCode: 395. DB::Exception: ")),
            "{body:?}"
        );
    }
    // Held back until the end, it is a plain exception.
    let answer = engine.post("/?wait_end_of_query=1", sql);
    assert_eq!(answer.exception(), (Some("395"), 500));
    assert!(answer.complete);
    // Compressed, the exception is inside of the compression.
    let answer =
        engine.send("POST", "/", &[("X-ClickHouse-Key", &engine.secret), ("Accept-Encoding", "gzip")], sql);
    assert!(!answer.complete);
    let mut text = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut text).unwrap();
    assert!(text.contains("Code: 395. DB::Exception: "), "{text:?}");
}

#[test]
fn settings_and_databases_do_not_leak() {
    let (_directory, engine) = engine();
    engine.query("CREATE DATABASE other");
    let ask = "SELECT getSetting('max_threads'), currentDatabase()";
    let before = engine.query(ask);
    assert_eq!(engine.post("/?max_threads=7&database=other", ask.as_bytes()).text(), "7\tother\n");
    assert_eq!(engine.query(ask), before);
    assert_eq!(engine.query("SELECT getSetting('max_threads') SETTINGS max_threads = 5"), "5\n");
    engine.query("SET max_threads = 9");
    engine.query("USE other");
    assert_eq!(engine.query(ask), before);
    // After a failure too, and an insert with settings of its own.
    assert_eq!(engine.post("/?max_threads=7", b"SELECT throwIf(1)").status, 500);
    engine.query("CREATE TABLE other.t (a Int32) ENGINE = MergeTree ORDER BY a");
    engine.query("INSERT INTO other.t SETTINGS max_threads = 3 VALUES (1)");
    assert_eq!(engine.query(ask), before);
    // A value is a value: nothing of it becomes SQL.
    let hostile = format!("/?log_comment={}", escaped("x', max_threads = '8\\"));
    let answer =
        engine.post(&hostile, b"SELECT getSetting('log_comment'), getSetting('max_threads') FORMAT TSVRaw");
    assert!(answer.text().starts_with("x', max_threads = '8\\\t"), "{}", answer.text());
    assert!(!answer.text().ends_with("\t8\n"));
}

#[test]
fn a_session_keeps_its_state_and_no_other_sees_it() {
    let (_directory, engine) = engine();
    let ask = b"SELECT getSetting('max_block_size')";
    let usual = engine.post("/", ask).text();
    assert_eq!(engine.post("/?session_id=a", ask).text(), usual);
    assert_eq!(engine.post("/?session_id=a", b"SET max_block_size = 77").status, 200);
    assert_eq!(engine.post("/?session_id=a", ask).text(), "77\n");
    assert_eq!(engine.post("/?session_id=b", ask).text(), usual);
    // Settings of one request are not settings of the session.
    assert_eq!(engine.post("/?session_id=a&max_block_size=55", ask).text(), "55\n");
    assert_eq!(engine.post("/?session_id=a", ask).text(), "77\n");
    engine.post("/?session_id=a", b"CREATE TEMPORARY TABLE t (x Int32)");
    assert_eq!(engine.post("/?session_id=a", b"INSERT INTO t VALUES (1), (2)").status, 200);
    let key = engine.secret.clone();
    let get =
        engine.send("GET", "/?session_id=a&query=SELECT+sum(x)+FROM+t", &[("X-ClickHouse-Key", &key)], b"");
    assert_eq!(get.text(), "3\n");
    assert_eq!(engine.post("/?session_id=b", b"SELECT sum(x) FROM t").exception().0, Some("60"));
    assert_eq!(engine.post("/?session_id=c&session_check=1", ask).exception().0, Some("372"));
    assert_eq!(engine.post("/?session_id=a&close_session=1", ask).text(), "77\n");
    // It is closed when the statement has ended, which may be just after its answer.
    wait("the session's end", || (engine.post("/?session_id=a", ask).text() == usual).then_some(()));
}

#[test]
fn parameters_of_each_type_arrive_as_they_were_given() {
    let (_directory, engine) = engine();
    for (kind, value, shown) in [
        ("UInt64", "18446744073709551615", "18446744073709551615"),
        ("Int8", "-128", "-128"),
        ("Float64", "0.5", "0.5"),
        ("String", "it's \"q\" `b` -- ; \u{43f}\u{440}", "it's \"q\" `b` -- ; \u{43f}\u{440}"),
        ("String", "a\\tb\\\\c\\n", "a\tb\\c\n"),
        ("Nullable(String)", "\\N", "\\N"),
        ("Date", "2026-11-23", "2026-11-23"),
        ("DateTime64(3, 'UTC')", "2026-11-23 01:02:03.004", "2026-11-23 01:02:03.004"),
        ("Array(String)", "['a','it\\'s']", "['a','it\\'s']"),
        ("Array(UInt64)", "[1,2]", "[1,2]"),
        ("UUID", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001"),
        ("IPv6", "2001:db8::1", "2001:db8::1"),
        ("Bool", "true", "true"),
        ("Map(String, UInt8)", "{'a':1}", "{'a':1}"),
        ("Tuple(UInt8, String)", "(1,'x')", "(1,'x')"),
        ("Decimal(10, 2)", "1.25", "1.25"),
        ("Identifier", "number", "0"),
    ] {
        let from = if kind == "Identifier" { " FROM numbers(1)" } else { "" };
        let sql = format!("SELECT {{p:{kind}}}{from} FORMAT TSVRaw");
        let url = engine.post(&format!("/?param_p={}", escaped(value)), sql.as_bytes());
        assert_eq!(url.text(), format!("{shown}\n"), "{kind} in the URL");
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n{sql}\r\n--b\r\nContent-Disposition: form-data; name=\"param_p\"\r\n\r\n{value}\r\n--b--\r\n"
        );
        let headers = [
            ("X-ClickHouse-Key", engine.secret.as_str()),
            ("Content-Type", "multipart/form-data; boundary=b"),
        ];
        let form = engine.send("POST", "/", &headers, form.as_bytes());
        assert_eq!(form.text(), format!("{shown}\n"), "{kind} in a form");
    }
    assert_eq!(engine.post("/?param_p=x", b"SELECT {p:UInt8}").exception().0, Some("457"));
    let file = b"--b\r\nContent-Disposition: form-data; name=\"t\"; filename=\"t\"\r\n\r\n1\r\n--b--\r\n";
    let headers =
        [("X-ClickHouse-Key", engine.secret.as_str()), ("Content-Type", "multipart/form-data; boundary=b")];
    assert_eq!(engine.send("POST", "/", &headers, file).exception(), (Some("48"), 501));
}

#[test]
fn inserted_bytes_are_never_cut() {
    let (_directory, engine) = engine();
    engine.query("CREATE TABLE t (s String) ENGINE = MergeTree ORDER BY tuple()");
    let every: Vec<u8> = (0..=255u8).chain(*b"; FORMAT CSV\n\n\0 SELECT").collect();
    let row = |bytes: &[u8]| {
        [&[u8::try_from((bytes.len() % 128) | 0x80).unwrap(), (bytes.len() / 128) as u8], bytes].concat()
    };
    let body: Vec<u8> = (0..1000).flat_map(|_| row(&every)).collect();
    let url = format!("/?query={}", escaped("INSERT INTO t FORMAT RowBinary"));
    assert_eq!(engine.post(&url, &body).status, 200);
    let whole = [b"INSERT INTO t FORMAT RowBinary\n".as_slice(), &body].concat();
    assert_eq!(engine.post("/", &whole).status, 200);
    assert_eq!(
        engine.query("SELECT count(), uniqExact(s), any(length(s)) FROM t"),
        format!("2000\t1\t{}\n", every.len())
    );
    let hex: String = every.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(engine.query("SELECT hex(any(s)) FROM t"), format!("{hex}\n"));
    // A body that breaks off stores nothing.
    let broken = format!(
        "POST {url} HTTP/1.1\r\nHost: e\r\nX-ClickHouse-Key: {}\r\nContent-Length: {}\r\n\r\n",
        engine.secret,
        body.len()
    );
    {
        let mut stream =
            std::os::unix::net::UnixStream::connect(engine.listen.strip_prefix("unix:").unwrap()).unwrap();
        stream.write_all(broken.as_bytes()).unwrap();
        stream.write_all(&body[..body.len() / 2]).unwrap();
    }
    let cut = engine.post(&url, &body[..body.len() - 1]);
    assert_eq!(cut.exception().0, Some("33"), "{}", cut.text());
    assert_eq!(engine.query("SELECT count() FROM t"), "2000\n");
}

#[test]
fn failing_inserts_say_so() {
    let (_directory, engine) = engine();
    engine.query("CREATE TABLE t (a Int32, p Int32, CONSTRAINT c CHECK a > 0) ENGINE = MergeTree ORDER BY a PARTITION BY p");
    for (sql, code) in [
        ("INSERT INTO t FORMAT CSV\n-1,1\n", "469"),
        ("INSERT INTO t FORMAT CSV\n1,x\n", "117"),
        ("INSERT INTO t SETTINGS max_partitions_per_insert_block = 1 FORMAT CSV\n1,1\n2,2\n", "252"),
        ("INSERT INTO t (zz) VALUES (1)", "16"),
        ("INSERT INTO t SELECT * FROM input('a Int32, p Int32') FORMAT CSV\n1,1\n", "48"),
    ] {
        assert_eq!(engine.post("/", sql.as_bytes()).exception().0, Some(code), "{sql}");
    }
    assert_eq!(engine.query("SELECT count() FROM t"), "0\n");
    let answer = engine.post("/", b"INSERT INTO t VALUES (1, 1), (2, 1)");
    let summary: serde_json::Value =
        serde_json::from_str(answer.header("x-clickhouse-summary").unwrap()).unwrap();
    assert_eq!(summary["written_rows"], "2");
}

#[test]
fn native_compression_works_in_both_directions() {
    use metka::engine::codec::{BlockReader, BlockWriter, Sink};
    #[derive(Clone, Default)]
    struct Memory(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl Sink for Memory {
        fn finish(self: Box<Self>) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (_directory, engine) = engine();
    engine.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let memory = Memory::default();
    let mut writer = Box::new(BlockWriter::new(Box::new(memory.clone())));
    for number in 0..500_000u64 {
        writer.write_all(&number.to_le_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let mut blocks = memory.0.lock().unwrap().clone();
    let url = format!("/?decompress=1&query={}", escaped("INSERT INTO t FORMAT RowBinary"));
    assert_eq!(engine.post(&url, &blocks).status, 200);
    let answer = engine.post("/?compress=1", b"SELECT a FROM t ORDER BY a FORMAT RowBinary");
    let mut rows = Vec::new();
    BlockReader::new(answer.body.as_slice()).read_to_end(&mut rows).unwrap();
    assert!(rows == (0..500_000u64).flat_map(u64::to_le_bytes).collect::<Vec<u8>>());
    blocks[3] ^= 1;
    assert_eq!(engine.post(&url, &blocks).exception().0, Some("40"));
    assert_eq!(
        engine.post(&url, b"not compressed at all, but long enough to be read").exception().0,
        Some("39")
    );
    assert_eq!(engine.query("SELECT count() FROM t"), "500000\n");
}

#[test]
fn http_compression_works_in_both_directions() {
    use metka::engine::codec::Coding;
    let (_directory, engine) = engine();
    engine.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let sql = b"SELECT number FROM numbers(100000) FORMAT TSV";
    let plain = engine.post("/", sql).body;
    for (name, coding) in [
        ("gzip", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("br", Coding::Brotli),
        ("zstd", Coding::Zstd),
        ("lz4", Coding::Lz4),
    ] {
        let headers = [("X-ClickHouse-Key", engine.secret.as_str()), ("Accept-Encoding", name)];
        let answer = engine.send("POST", "/?enable_http_compression=1", &headers, sql);
        assert_eq!(answer.header("content-encoding"), Some(name));
        assert!(answer.complete && answer.body.len() < plain.len());
        let mut body = Vec::new();
        coding.reader(answer.body.as_slice()).unwrap().read_to_end(&mut body).unwrap();
        assert!(body == plain, "{name}");
        // Back in, as rows of an insert.
        let headers = [("X-ClickHouse-Key", engine.secret.as_str()), ("Content-Encoding", name)];
        let url = format!("/?query={}", escaped("INSERT INTO t FORMAT TSV"));
        let answer = engine.send("POST", &url, &headers, &answer.body);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    assert_eq!(engine.query("SELECT count(), uniqExact(a) FROM t"), "500000\t100000\n");
    let headers = [("X-ClickHouse-Key", engine.secret.as_str()), ("Accept-Encoding", "gzip")];
    let off = engine.send("POST", "/?enable_http_compression=0", &headers, sql);
    assert_eq!(off.header("content-encoding"), None);
    let headers = [("X-ClickHouse-Key", engine.secret.as_str()), ("Content-Encoding", "snappy")];
    assert_eq!(engine.send("POST", "/", &headers, b"x").exception(), (Some("48"), 501));
}

/// Answers in pieces are what the engine gives in one.
#[test]
fn formats_come_as_clickhouse_sends_them() {
    let (_directory, engine) = engine();
    // A name that holds every quote and a line end, and several blocks of rows.
    let columns = "number AS `a \"b\" 'c'\n`, toString(number) AS s";
    let from = "FROM numbers(5000) ORDER BY number";
    for format in [
        "TSV",
        "TSVWithNames",
        "TSVWithNamesAndTypes",
        "CSV",
        "CSVWithNames",
        "CSVWithNamesAndTypes",
        "JSONEachRow",
        "JSONCompactEachRow",
        "JSONCompactEachRowWithNames",
        "JSONCompactEachRowWithNamesAndTypes",
        "JSONStringsEachRow",
        "RowBinary",
        "RowBinaryWithNames",
        "RowBinaryWithNamesAndTypes",
        "TSVRaw",
        "Values",
        "XML",
        "JSONCompact",
        "JSON",
        "JSONColumns",
        "Pretty",
        "Markdown",
    ] {
        let ask = |settings: &str| -> Answer {
            engine
                .post("/", format!("SELECT {columns} {from} FORMAT {format} SETTINGS {settings}").as_bytes())
        };
        let (pieces, one) = (ask("max_block_size = 500"), ask("max_block_size = 100000"));
        assert!(pieces.status == 200 && pieces.complete, "{format}");
        assert_eq!(pieces.header("x-clickhouse-format"), Some(format));
        let rows = |answer: &Answer| {
            // The one thing that differs from run to run.
            let text = answer.text();
            let end = text.rfind("\"elapsed\"").or(text.rfind("<elapsed>")).unwrap_or(text.len());
            text[..end].to_owned()
        };
        if format != "Pretty" {
            assert!(rows(&pieces) == rows(&one), "{format}");
        }
    }
    let totals = "SELECT number % 3 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k FORMAT TSVWithNames";
    assert_eq!(engine.query(totals), "k\tcount()\n0\t4\n1\t3\n2\t3\n\n0\t10\n");
    let extremes = engine.post("/?extremes=1", b"SELECT number AS n FROM numbers(3) FORMAT TSVWithNames");
    assert_eq!(extremes.text(), "n\n0\n1\n2\n\n0\n2\n");
    assert_eq!(engine.query("SELECT 1 AS a WHERE 0 FORMAT TSVWithNames"), "a\n");
    assert_eq!(engine.post("/", b"SELECT 1 FORMAT NoSuch").exception(), (Some("73"), 404));
}

/// Ten million rows: 80 MB pass, the engine's memory stays where it was.
#[test]
fn a_long_answer_streams_in_flat_memory() {
    let (_directory, engine) = engine();
    let resident = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", engine.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    };
    let answer = engine.post("/", b"SELECT number FROM numbers(1000000) FORMAT RowBinary");
    assert_eq!(answer.body.len(), 8_000_000);
    let before = resident();
    let answer = engine.post("/", b"SELECT number FROM numbers(30000000) FORMAT RowBinary");
    assert!(answer.complete);
    assert_eq!(answer.body.len(), 240_000_000);
    let grown = resident() - before;
    assert!(grown < 100, "the peak grew by {grown} MiB while 229 MiB passed");
}

#[test]
fn statements_run_at_the_same_time() {
    let (_directory, engine) = engine();
    let engine = &engine;
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..16u64)
            .map(|n| {
                scope.spawn(move || engine.query(&format!("SELECT sum(number) + {n} FROM numbers(1000000)")))
            })
            .collect();
        for (n, asked) in asked.into_iter().enumerate() {
            assert_eq!(asked.join().unwrap(), format!("{}\n", 499_999_500_000u64 + n as u64));
        }
    });
    // One that sleeps holds up no other.
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| engine.query("SELECT sleep(2)"));
        let begun = std::time::Instant::now();
        let mut quick = 0;
        while !slow.is_finished() {
            engine.query("SELECT 1");
            quick += 1;
        }
        slow.join().unwrap();
        assert!(quick > 3, "{quick} quick statements within {:?}", begun.elapsed());
    });
}
