//! How soon another worker has the site, and how soon the work goes on when Postgres is back:
//! `cargo bench -p tests --bench takeover`. Prints the figures, and fails where one breaks its limit.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and what goes wrong ends it"
)]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{Options, OwnPostgres, Process, World, measure, wait_for};
use uuid::Uuid;

const BERTH: &str = env!("CARGO_BIN_EXE_berth-under-test");
const REGION: &str = "sa-east-1";
const AFTER_KILL: Duration = Duration::from_secs(20);
const AFTER_STOP: Duration = Duration::from_secs(1);
const AFTER_RESTART: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    measure::run(async || vec![takeovers().await, postgres_restarts().await])
}

/// Prints a time and whether it keeps its limit, and answers with that.
fn verdict(what: &str, took: Duration, limit: Duration) -> bool {
    println!("{:8.2} s  {what}", took.as_secs_f64());
    measure::verdict(&format!("under {} s", limit.as_secs()), took < limit)
}

/// A worker of the real program, which paces itself as in production.
fn worker(world: &World) -> Process {
    let environment = [
        ("DATABASE_URL", world.database_url.as_str()),
        ("AWS_ENDPOINT_URL", world.endpoint.url.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", world.endpoint.access_key_id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let arguments = [
        "serve",
        "--role",
        "worker",
        "--readiness",
        "instance",
        "--listen",
        "127.0.0.1:0",
    ];
    Process::start(BERTH, &arguments, &environment)
}

async fn owner(world: &World) -> Option<Uuid> {
    sqlx::query_scalar("SELECT lease_owner FROM site")
        .fetch_one(&world.pool)
        .await
        .expect("the site")
}

async fn another_owner(world: &World, than: Option<Uuid>) -> Option<Uuid> {
    wait_for("another worker", || async {
        let owner = owner(world).await;
        (owner.is_some() && owner != than).then_some(owner)
    })
    .await
}

async fn takeovers() -> bool {
    let world = World::without_worker().await;
    let first = worker(&world);
    world.deploy(REGION, "t3.micro", 3, json!({})).await;
    let of_first = owner(&world).await;
    let second = worker(&world);
    // It has looked for sites in vain before the first one dies, as a second replica has.
    world.workers_listen(2).await;
    let killed = Instant::now();
    drop(first);
    let of_second = another_owner(&world, of_first).await;
    let after_kill = killed.elapsed();

    let third = worker(&world);
    world.workers_listen(2).await;
    let stopped = Instant::now();
    second.sigterm();
    another_owner(&world, of_second).await;
    let after_stop = stopped.elapsed();
    drop(third);
    world.finish().await;
    let kill = verdict("from SIGKILL to the next owner", after_kill, AFTER_KILL);
    let stop = verdict("from SIGTERM to the next owner", after_stop, AFTER_STOP);
    kill && stop
}

async fn postgres_restarts() -> bool {
    let mut postgres = OwnPostgres::start().await;
    let world = World::with(Options {
        database_url: Some(postgres.fresh_database().await),
        worker: worker::Config::default(),
        ..Options::patient()
    })
    .await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    let path = cluster["resource_uri"].as_str().expect("a URI").to_owned();
    let answer = world
        .client
        .patch(&path, &json!({"target_num_nodes": 6}))
        .await;
    let action = answer.expect(202).action_uri();
    postgres.restart().await;
    let back = Instant::now();
    wait_for("the end of the scale", || async {
        let action = world.client.get(&action).await;
        (action.body["state"] == "Success").then_some(())
    })
    .await;
    let after_restart = back.elapsed();
    world.finish().await;
    postgres.stop().await;
    verdict(
        "from the end of a restart of Postgres to the end of a scale that it interrupted",
        after_restart,
        AFTER_RESTART,
    )
}
