//! The Rust crate `clickhouse` against the engine, with its defaults: row
//! validation and LZ4.

use clickhouse::{Client, Compression, Row};
use serde::{Deserialize, Serialize};

use super::harness::Engine;

#[derive(Row, Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Visit {
    id: u64,
    name: String,
    note: Option<String>,
    tags: Vec<String>,
    score: f64,
}

fn visit(id: u64) -> Visit {
    Visit {
        id,
        name: format!("visit {id} \u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} \0 '\\"),
        note: id.is_multiple_of(3).then(|| "a note".to_owned()),
        tags: vec![format!("tag{}", id % 5); (id % 3) as usize],
        score: id as f64 / 8.0,
    }
}

async fn with_client<F: Future<Output = ()>>(work: impl FnOnce(Client) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start_tcp(directory.path());
    let client =
        Client::default().with_url(&engine.listen).with_user("default").with_password(engine.secret.trim());
    client
        .query(
            "CREATE TABLE visits (id UInt64, name String, note Nullable(String), tags Array(String), score Float64)
             ENGINE = MergeTree ORDER BY id",
        )
        .execute()
        .await
        .unwrap();
    work(client).await;
}

async fn fill(client: &Client, rows: u64) {
    let mut insert = client.insert::<Visit>("visits").await.unwrap();
    for id in 0..rows {
        insert.write(&visit(id)).await.unwrap();
    }
    insert.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_back_as_they_were_inserted() {
    with_client(|client| async move {
        fill(&client, 1000).await;
        for compression in [Compression::Lz4, Compression::None] {
            let client = client.clone().with_compression(compression);
            let rows: Vec<Visit> = client
                .query("SELECT ?fields FROM visits WHERE id >= ? AND id < {end:UInt64} ORDER BY id")
                .bind(10)
                .param("end", 900)
                .fetch_all()
                .await
                .unwrap();
            assert_eq!(rows, (10..900).map(visit).collect::<Vec<_>>());
            let hostile = "it's \\ {x} ?? \u{43f}\n";
            let echoed: String =
                client.query("SELECT {text:String}").param("text", hostile).fetch_one().await.unwrap();
            assert_eq!(echoed, hostile);
        }
        // Its validation is on: a wrong type is seen before any row is read.
        #[derive(Row, Deserialize, Debug)]
        struct Wrong {
            #[expect(dead_code, reason = "only its type matters")]
            id: i32,
        }
        let wrong = client.query("SELECT id FROM visits").fetch_all::<Wrong>().await;
        assert!(format!("{wrong:?}").contains("id"), "{wrong:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_stream() {
    with_client(|client| async move {
        fill(&client, 1_000_000).await;
        let mut rows = client.query("SELECT ?fields FROM visits ORDER BY id").fetch::<Visit>().unwrap();
        let mut id = 0;
        while let Some(row) = rows.next().await.unwrap() {
            assert_eq!(row, visit(id));
            id += 1;
        }
        assert_eq!(id, 1_000_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exceptions_come_as_such_in_mid_stream_too() {
    with_client(|client| async move {
        fill(&client, 10).await;
        let error = client.query("SELECT * FROM nosuch").execute().await.unwrap_err().to_string();
        assert!(error.contains("Code: 60. DB::Exception: ") && error.contains("UNKNOWN_TABLE"), "{error}");
        for compression in [Compression::Lz4, Compression::None] {
            let client = client.clone().with_compression(compression);
            let mut rows = client
                .query("SELECT number + throwIf(number = 500000) AS n FROM numbers(1000000)")
                .fetch::<u64>()
                .unwrap();
            let mut read = 0;
            let error = loop {
                match rows.next().await {
                    Ok(Some(_)) => read += 1,
                    Ok(None) => panic!("the answer ended after {read} rows as if it were whole"),
                    Err(error) => break error.to_string(),
                }
            };
            assert!(read > 0 && error.contains("Code: 395"), "{read} rows, then {error}");
        }
        let mut insert = client
            .insert::<Visit>("visits")
            .await
            .unwrap()
            .with_setting("max_partitions_per_insert_block", "no number");
        let failed = match insert.write(&visit(1)).await {
            Ok(()) => insert.end().await,
            Err(error) => Err(error),
        };
        assert!(failed.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_run_at_the_same_time() {
    with_client(|client| async move {
        fill(&client, 10_000).await;
        let asked: Vec<_> = (0..32u64)
            .map(|n| {
                let client = client.clone();
                tokio::spawn(async move {
                    client
                        .query("SELECT sum(id) + ? FROM visits")
                        .bind(n)
                        .with_setting("max_threads", "1")
                        .fetch_one::<u64>()
                        .await
                })
            })
            .collect();
        for (n, asked) in asked.into_iter().enumerate() {
            assert_eq!(asked.await.unwrap().unwrap(), 49_995_000 + n as u64);
        }
    })
    .await;
}
