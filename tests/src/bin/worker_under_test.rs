//! A worker as a process of its own, as fast as the ones in the tests' own process: it can be killed.
#![expect(
    clippy::expect_used,
    reason = "what goes wrong at its start ends it, and the test with it"
)]

use std::{env, io, sync::Arc};

use aws::Endpoint;
use domain::user_data::PublicUrl;
use engine::Way;
use store::naming::Zone;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use worker::Worker;

/// The pool is small: many of these run at once.
const CONNECTIONS: u32 = 6;

fn setting(name: &str) -> String {
    env::var(name).expect(name)
}

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt()
        .with_env_filter(env::var("BERTH_LOG").unwrap_or_else(|_| "error".to_owned()))
        .with_writer(io::stderr)
        .init();
    let pool = store::connect(&setting("DATABASE_URL"), CONNECTIONS).expect("a pool");
    let endpoint = Endpoint {
        url: setting("AWS_ENDPOINT_URL"),
        access_key_id: setting("AWS_ACCESS_KEY_ID"),
        secret_access_key: setting("AWS_SECRET_ACCESS_KEY"),
    };
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let mut asked = signal(SignalKind::terminate()).expect("SIGTERM can be waited for");
    tokio::spawn(async move {
        asked.recv().await;
        stop.cancel();
    });
    let connector = tests::fast_connector(endpoint);
    let zone = Zone {
        hosted_zone_id: setting("BERTH_HOSTED_ZONE_ID"),
        domain: setting("BERTH_NODE_DOMAIN"),
    };
    let config = worker::Config {
        names: (!zone.domain.is_empty()).then_some(zone),
        public_url: PublicUrl::new("URL", &setting("BERTH_PUBLIC_URL")).ok(),
        engines: Way::through(setting("BERTH_ENGINE_PROXY").parse().ok()),
        ..tests::fast_worker()
    };
    Worker::new(pool, Arc::new(connector), config)
        .run(shutdown)
        .await;
}
