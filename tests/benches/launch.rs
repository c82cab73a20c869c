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
use tests::{
    Client, Cost, Options, World,
    measure::{self, sized, verdict},
};

const BERTH: &str = env!("CARGO_BIN_EXE_berth-under-test");
const NODES: u32 = 100;
const MAX_LAUNCHES: u64 = 3;
const MAX_CALLS: u64 = 60;
const PLACEMENTS: usize = 1000;
const MAX_PLANNING: Duration = Duration::from_millis(5);
const RUNS: usize = 201;
const MAX_RESIDENT_MB: f64 = 60.0;

fn main() -> ExitCode {
    measure::run(async || {
        let many = sized(1000, 100);
        vec![
            first_launch().await,
            round(NODES, 3, 10, Duration::from_secs(3), 1).await,
            round(many, 12, 30, Duration::from_secs(15), 2).await,
            at_rest().await,
            planning(),
            memory().await,
        ]
    })
}

/// The EC2 calls of a first cluster.
async fn first_launch() -> bool {
    let cost = tests::cost_of_a_first_launch("sa-east-1", "t3.micro", NODES).await;
    println!("{NODES} nodes in a fresh sa-east-1 (t3.micro), until all ids are known");
    print(&cost);
    let launches = verdict(
        &format!("RunInstances without dry runs, at most {MAX_LAUNCHES}"),
        cost.of("RunInstances") <= MAX_LAUNCHES,
    );
    let all = verdict(
        &format!("calls in all, at most {MAX_CALLS}"),
        cost.all() <= MAX_CALLS,
    );
    launches && all && is_not_throttled(&cost)
}

fn print(cost: &Cost) {
    for (action, count) in &cost.calls {
        println!("{count:6}  {action}");
    }
    println!("{:6}  in all", cost.all());
    println!("{:6}  throttled", cost.throttled);
    println!("{:6.1}  seconds", cost.took.as_secs_f64());
}

fn is_not_throttled(cost: &Cost) -> bool {
    verdict("none throttled", cost.throttled == 0)
}

/// A launch into three subnets of a VPC that is there, and the termination of all of it.
async fn round(
    nodes: u32,
    max_launches: u64,
    max_calls: u64,
    max_time: Duration,
    max_terminations: u64,
) -> bool {
    let round = tests::cost_of_a_round_in_given_subnets("sa-east-1", "t3.micro", nodes).await;
    println!("\n{nodes} nodes over 3 given subnets of an existing VPC, until all ids are known");
    print(&round.launch);
    println!(
        "{:6}  TerminateInstances for all of them",
        round.terminations
    );
    [
        verdict(
            &format!("RunInstances, at most {max_launches}"),
            round.launch.of("RunInstances") <= max_launches,
        ),
        verdict(
            &format!("calls in all, at most {max_calls}"),
            round.launch.all() <= max_calls,
        ),
        verdict(
            &format!("all ids known in {} s", max_time.as_secs()),
            round.launch.took <= max_time,
        ),
        verdict(
            &format!("TerminateInstances, at most {max_terminations}"),
            round.terminations <= max_terminations,
        ),
        is_not_throttled(&round.launch),
    ]
    .into_iter()
    .all(|keeps| keeps)
}

/// What watching costs when nothing changes.
async fn at_rest() -> bool {
    let sweeps = sized(20, 5);
    println!("\nDescribeInstances calls in {sweeps} sweeps of a site at rest");
    let mut counts = Vec::new();
    for clusters in [1, 10] {
        let describes = tests::describes_at_rest(clusters, sweeps).await;
        println!("{describes:6}  with {clusters} clusters");
        counts.push(describes);
    }
    verdict(
        "no more than one a sweep, give or take one at each end",
        counts.iter().all(|count| *count <= sweeps + 2),
    )
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
    let (mut server, address) = measure::serve(BERTH, &world, &[]).await;
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
    let idle = Duration::from_secs(sized(10, 0));
    tokio::time::sleep(idle).await;
    let pid = server.id().expect("it runs");
    let [now, peak] = ["VmRSS", "VmHWM"].map(|name| measure::memory(pid, name) / 1e6);
    server.kill().await.expect("it ran until now");
    world.finish().await;
    println!(
        "\nResident memory of `berth serve` after a deploy, a few requests and {} s of idling",
        idle.as_secs()
    );
    println!("{now:10.1} MB  now\n{peak:10.1} MB  at most");
    verdict(
        &format!("now under {MAX_RESIDENT_MB} MB"),
        now < MAX_RESIDENT_MB,
    )
}
