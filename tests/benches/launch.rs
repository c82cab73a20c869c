//! What a launch costs: `cargo bench -p tests --bench launch`. Prints the figures, and fails where one breaks its limit.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and what goes wrong ends it"
)]

use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use berth::local::{DEV_KEY, DEV_USER};
use domain::placement::{Subnet, place};
use serde_json::json;
use tests::{Client, Options, World, free_port, wait_for};
use tokio::{net::TcpStream, process::Command};

const NODES: u32 = 100;
const MAX_LAUNCHES: u64 = 3;
const MAX_CALLS: u64 = 60;
const PLACEMENTS: usize = 1000;
const MAX_PLANNING: Duration = Duration::from_millis(5);
const RUNS: usize = 201;
const MAX_RESIDENT_MB: f64 = 60.0;
const IDLE_FOR: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let good = [
        runtime.block_on(calls()),
        planning(),
        runtime.block_on(memory()),
    ];
    if good.contains(&false) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Prints whether a figure keeps its limit, and answers with it.
fn verdict(what: &str, keeps: bool) -> bool {
    println!("  {what}: {}", if keeps { "ok" } else { "BROKEN" });
    keeps
}

/// The EC2 calls of a first cluster.
async fn calls() -> bool {
    let calls = tests::calls_of_a_launch("sa-east-1", "t3.micro", NODES).await;
    println!("EC2 calls until all ids of {NODES} nodes in a fresh sa-east-1 (t3.micro) are known");
    for (action, count) in &calls {
        println!("{count:6}  {action}");
    }
    let all: u64 = calls.values().sum();
    println!("{all:6}  in all");
    let launches = calls.get("RunInstances").copied().unwrap_or_default();
    let launches = verdict(
        &format!("RunInstances without dry runs, at most {MAX_LAUNCHES}"),
        launches <= MAX_LAUNCHES,
    );
    let all = verdict(
        &format!("calls in all, at most {MAX_CALLS}"),
        all <= MAX_CALLS,
    );
    launches && all
}

/// The median time of many runs.
fn median<T>(mut run: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

/// The planning of many nodes, beside the least that any placement could do.
fn planning() -> bool {
    let subnets: Vec<Subnet> = ["a", "b", "c"]
        .map(|zone| Subnet {
            subnet_id: format!("subnet-0123456789abcde{zone}"),
            zone: format!("sa-east-1{zone}"),
            cidr: "10.78.0.0/18".parse().expect("a block"),
            free_addresses: 16_000,
        })
        .into();
    let planned = median(|| place(black_box(PLACEMENTS), black_box(&subnets), &[]));
    let trivial = median(|| {
        (0..black_box(PLACEMENTS))
            .map(|n| n % black_box(&subnets).len())
            .collect::<Vec<usize>>()
    });
    println!(
        "\nPlanning of {PLACEMENTS} placements over {} subnets, median of {RUNS}",
        subnets.len()
    );
    println!("{:10.1} µs  placement::place", micros(planned));
    println!(
        "{:10.1} µs  a round robin that looks at nothing",
        micros(trivial)
    );
    println!(
        "{:10.1}     times as long",
        micros(planned) / micros(trivial)
    );
    verdict(
        &format!("at most {} ms", MAX_PLANNING.as_millis()),
        planned < MAX_PLANNING,
    )
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The resident memory of an idle server that has deployed a cluster and served a few requests.
async fn memory() -> bool {
    let world = World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await;
    let address = format!("127.0.0.1:{}", free_port());
    let mut server = Command::new(env!("CARGO_BIN_EXE_berth-under-test"))
        .args(["--log", "error", "serve", "--listen", &address])
        .env("DATABASE_URL", &world.database_url)
        .env("AWS_ENDPOINT_URL", &world.endpoint.url)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key)
        .kill_on_drop(true)
        .spawn()
        .expect("berth starts");
    wait_for("the server to listen", || async {
        TcpStream::connect(&address).await.ok()
    })
    .await;
    world.deploy("sa-east-1", "t3.micro", 3, json!({})).await;
    let client = Client::new(format!("http://{address}"), DEV_USER, DEV_KEY);
    for path in [
        "/readyz",
        "/api/infra/v1/nodetype/?limit=1000",
        "/api/infra/v1/node/",
        "/api/audit/v1/action/",
    ] {
        client.get(path).await.expect(200);
    }
    tokio::time::sleep(IDLE_FOR).await;
    let pid = server.id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux's /proc");
    let (now, peak) = (megabytes(&status, "VmRSS:"), megabytes(&status, "VmHWM:"));
    server.kill().await.expect("it ran until now");
    world.finish().await;
    println!(
        "\nResident memory of `berth serve` after a deploy, a few requests and {} s of idling",
        IDLE_FOR.as_secs()
    );
    println!("{now:10.1} MB  now\n{peak:10.1} MB  at most");
    verdict(
        &format!("now under {MAX_RESIDENT_MB} MB"),
        now < MAX_RESIDENT_MB,
    )
}

/// A line of `/proc/…/status`, which counts in KiB.
fn megabytes(status: &str, name: &str) -> f64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect("Linux's /proc");
    let kib = line.trim_end_matches("kB").trim();
    kib.parse::<f64>().expect("a number") * 1024.0 / 1e6
}
