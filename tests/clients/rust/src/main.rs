//! The whole life of a query with the crate ksqldb over HTTP/2: clients-rust HOST:PORT.
use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::{pin_mut, StreamExt};
use ksqldb::KsqlDB;
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize, PartialEq)]
struct Hit {
    usr: String,
    n: i64,
}

const CREATE: &str = "CREATE STREAM clicks (usr STRING KEY, url STRING, n INT)
                      WITH (kafka_topic='clicks', value_format='JSON', partitions=1);";
const SUCCESS: &str = "Success";

fn none() -> HashMap<String, String> {
    HashMap::new()
}

async fn insert(client: &KsqlDB, usr: &str, n: i64) {
    let statement = format!("INSERT INTO clicks (usr, url, n) VALUES ('{usr}', '/x', {n});");
    let answer: Vec<Value> = client.execute_statement(&statement, &none(), None).await.unwrap();
    assert!(answer.is_empty());
}

async fn pulled(client: &KsqlDB, sql: &str) -> Vec<Hit> {
    let rows = client.select::<Hit>(sql, &none()).await.unwrap();
    pin_mut!(rows);
    let mut all = Vec::new();
    while let Some(row) = rows.next().await {
        all.push(row.unwrap());
    }
    all
}

async fn await_rows(client: &KsqlDB, sql: &str, wanted: &[Hit]) {
    let end = Instant::now() + Duration::from_secs(30);
    while pulled(client, sql).await != wanted && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(pulled(client, sql).await, wanted);
}

async fn push(client: &KsqlDB) {
    let rows = client.select::<Hit>("SELECT usr, n FROM clicks EMIT CHANGES LIMIT 5;", &none()).await.unwrap();
    pin_mut!(rows);
    for n in 10..15 {
        insert(client, "cid", n).await;
        let row = tokio::time::timeout(Duration::from_secs(30), rows.next()).await.expect("a row in time");
        assert_eq!(row.unwrap().unwrap(), Hit { usr: "cid".into(), n });
    }
    assert!(rows.next().await.is_none());
}

async fn life(address: String) {
    let client = KsqlDB::new(address, Client::builder(), false).unwrap();
    let done = |status: Option<ksqldb::types::CommandStatus>| assert_eq!(format!("{:?}", status.unwrap().status), SUCCESS);

    done(client.create(CREATE, &none(), None).await.unwrap().remove(0).command_status);
    for (usr, n) in [("ann", 1), ("bob", 2), ("ann", 3)] {
        insert(&client, usr, n).await;
    }
    // The client's streamProperties are not what a server reads (streamsProperties), so it is SET.
    let aggregate = "SET 'auto.offset.reset' = 'earliest';
                     CREATE TABLE hits AS SELECT usr, COUNT(*) AS n FROM clicks GROUP BY usr EMIT CHANGES;";
    done(client.create(aggregate, &none(), None).await.unwrap().remove(0).command_status);
    await_rows(&client, "SELECT * FROM hits WHERE usr = 'ann';", &[Hit { usr: "ann".into(), n: 2 }]).await;

    let streams = client.list_streams("SHOW STREAMS EXTENDED;", &none(), None).await.unwrap().remove(0).source_descriptions;
    assert!(streams.iter().any(|s| s.name == "CLICKS"));
    let described: Vec<Value> = client.execute_statement("DESCRIBE hits;", &none(), None).await.unwrap();
    assert_eq!(described[0]["sourceDescription"]["name"], "HITS");
    push(&client).await;
    await_rows(&client, "SELECT * FROM hits WHERE usr = 'cid';", &[Hit { usr: "cid".into(), n: 5 }]).await;

    let queries: Vec<Value> = client.execute_statement("SHOW QUERIES;", &none(), None).await.unwrap();
    let query = queries[0]["queries"][0]["id"].as_str().unwrap();
    done(client.terminate(&format!("TERMINATE {query};"), &none(), None).await.unwrap().remove(0).command_status);
    for statement in ["DROP TABLE hits;", "DROP STREAM clicks DELETE TOPIC;"] {
        done(client.drop(statement, &none(), None).await.unwrap().remove(0).command_status);
    }
    assert!(client.list_tables("SHOW TABLES;", &none(), None).await.unwrap().remove(0).tables.is_empty());
    let refused = client.drop("DROP TABLE hits;", &none(), None).await.unwrap_err().to_string();
    assert!(refused.contains("40001"), "{refused}");
    assert!(client.select::<Hit>("SELECT nope FROM clicks;", &none()).await.err().unwrap().to_string().contains("40001"));
}

fn main() {
    let address = std::env::args().nth(1).expect("HOST:PORT");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(life(address));
}
