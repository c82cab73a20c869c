//! I4: no transaction is open across a network call.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use axum::{
    Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, response::IntoResponse,
};
use berth::replica::bind;
use serde_json::json;
use sqlx::PgPool;
use tests::{Options, World, wait_for};

/// A gate between Berth and AWS. It holds each request until no session of the database is idle in a transaction: one
/// that Berth keeps open across the call stays open for as long as the call is held, and any other one ends.
struct Gate {
    aws: String,
    database: OnceLock<PgPool>,
    passed: AtomicU32,
}

async fn pass(State(gate): State<Arc<Gate>>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    if let Some(database) = gate.database.get() {
        wait_for(
            "all transactions to end while a call of AWS is held",
            || async {
                let open: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
                )
                .fetch_one(database)
                .await
                .unwrap();
                (open == 0).then_some(())
            },
        )
        .await;
        gate.passed.fetch_add(1, Ordering::Relaxed);
    }
    let mut request = reqwest::Client::new().post(&gate.aws).body(body);
    for name in ["authorization", "content-type"] {
        request = request.header(name, &headers[name]);
    }
    let answer = request.send().await.unwrap();
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
    (
        status,
        [("content-type", "text/xml")],
        answer.bytes().await.unwrap(),
    )
}

#[tokio::test]
async fn i4_no_transaction_is_open_while_aws_is_called() {
    // The first world only lends its AWS; it is asked through the gate.
    let aws = World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await;
    let gate = Arc::new(Gate {
        aws: aws.endpoint.url.clone(),
        database: OnceLock::new(),
        passed: AtomicU32::new(0),
    });
    let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let served = Router::new().fallback(pass).with_state(Arc::clone(&gate));
    let server = tokio::spawn(async move { axum::serve(listener, served).await });

    let world = World::with(Options {
        endpoint: Some(endpoint),
        ..Options::default()
    })
    .await;
    gate.database
        .set(store::connect(&world.database_url, 2).unwrap())
        .unwrap();
    let (cluster, action) = world.deploy("sa-east-1", "t3.micro", 4, json!({})).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    let cluster = world.scale(&cluster, 2).await;
    world.terminate(&cluster).await;
    assert!(
        gate.passed.load(Ordering::Relaxed) > 30,
        "the calls went through the gate"
    );
    world.finish().await;
    server.abort();
    aws.finish().await;
}
