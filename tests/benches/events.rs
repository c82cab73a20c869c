//! How soon a change reaches a thousand open event sockets of one replica, and what a socket costs:
//! `cargo bench -p tests --bench events`. Prints the figures, and fails where one breaks its limit.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and what goes wrong ends it"
)]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use berth::local::{DEV_KEY, DEV_USER};
use futures::future::join_all;
use serde_json::json;
use tests::{Client, Options, Socket, World, free_port, wait_for};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

const SOCKETS: usize = 1000;
const CHANGES: usize = 200;
const MAX_MEDIAN: Duration = Duration::from_millis(250);
const MAX_BYTES: f64 = 50_000.0;
/// The memory is compared before and after, so what the first requests bring is brought before.
const WARM_UP: usize = 20;
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(fan_out()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Prints whether a figure keeps its limit, and answers with it.
fn verdict(what: &str, keeps: bool) -> bool {
    println!("  {what}: {}", if keeps { "ok" } else { "BROKEN" });
    keeps
}

async fn fan_out() -> bool {
    let world = World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await;
    let (mut server, client) = serve(&world).await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let uri = cluster["resource_uri"].as_str().expect("a URI");
    let mut changed = 0;
    let mut change = async || {
        changed += 1;
        let tags = json!({"tags": [{"name": format!("t{changed}")}]});
        client.patch(uri, &tags).await.expect(202);
    };
    for _ in 0..WARM_UP {
        change().await;
    }
    let idle = resident(&server);
    let begun = Instant::now();
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let open = (0..SOCKETS).map(|_| Socket::open(&client, "/api/audit/v1/events/"));
    let readers: Vec<_> = join_all(open)
        .await
        .into_iter()
        .map(|mut socket| {
            let heard = heard.clone();
            tokio::spawn(async move {
                loop {
                    socket.frame().await;
                    heard.send(Instant::now()).expect("somebody waits for it");
                }
            })
        })
        .collect();
    let opened_in = begun.elapsed();
    let open = resident(&server);

    let (mut to_all, mut to_first) = (Vec::new(), Vec::new());
    for _ in 0..CHANGES {
        let start = Instant::now();
        change().await;
        let mut times = Vec::with_capacity(SOCKETS);
        while times.len() < SOCKETS {
            let next = timeout(DEADLINE, hearing.recv()).await;
            let at = next.expect("every socket hears of every change");
            times.push(at.expect("the readers live") - start);
        }
        to_first.extend(times.iter().min());
        to_all.extend(times.iter().max());
    }
    let busy = resident(&server);
    for reader in readers {
        reader.abort();
    }
    server.kill().await.expect("it ran until now");
    world.finish().await;
    report(&mut to_first, &mut to_all, opened_in, [idle, open, busy])
}

fn report(
    to_first: &mut [Duration],
    to_all: &mut [Duration],
    opened_in: Duration,
    [idle, open, busy]: [f64; 3],
) -> bool {
    to_first.sort();
    to_all.sort();
    let median = to_all[to_all.len() / 2];
    println!(
        "{SOCKETS} event sockets on one replica, opened in {:.1} s; {CHANGES} changes, one after the other, from just \
         before the request that makes it",
        opened_in.as_secs_f64()
    );
    for (what, time) in [
        (
            "until the first socket has it, median",
            to_first[to_first.len() / 2],
        ),
        ("until the last socket has it, median", median),
        (
            "until the last socket has it, p99",
            to_all[to_all.len() * 99 / 100],
        ),
        (
            "until the last socket has it, at most",
            to_all[to_all.len() - 1],
        ),
    ] {
        println!("{:10.1} ms  {what}", time.as_secs_f64() * 1e3);
    }
    let sockets = f64::from(u32::try_from(SOCKETS).expect("a small number"));
    let each = |resident: f64| (resident - idle) / sockets;
    println!("\nResident memory of `berth serve`");
    println!("{:10.1} MB  before the sockets are open", idle / 1e6);
    println!("{:10.1} MB  with all of them open", open / 1e6);
    println!("{:10.1} MB  after the changes", busy / 1e6);
    println!("{:10.1} KB  a socket when opened", each(open) / 1e3);
    println!("{:10.1} KB  a socket after the changes", each(busy) / 1e3);
    let in_time = verdict(
        &format!("median under {} ms", MAX_MEDIAN.as_millis()),
        median < MAX_MEDIAN,
    );
    let is_small = verdict(
        &format!("a socket under {} KB", MAX_BYTES / 1e3),
        each(open).max(each(busy)) < MAX_BYTES,
    );
    in_time && is_small
}

/// The real program on the world's database, and a client of it.
async fn serve(world: &World) -> (Child, Client) {
    let address = format!("127.0.0.1:{}", free_port());
    let server = Command::new(env!("CARGO_BIN_EXE_berth-under-test"))
        .args([
            "--log",
            "error",
            "serve",
            "--role",
            "api",
            "--readiness",
            "instance",
            "--listen",
            &address,
        ])
        .env("DATABASE_URL", &world.database_url)
        .env("BERTH_AMBIENT_NAMESPACES", "*")
        .kill_on_drop(true)
        .spawn()
        .expect("berth starts");
    wait_for("the server to listen", || async {
        TcpStream::connect(&address).await.ok()
    })
    .await;
    let client = Client::new(format!("http://{address}"), DEV_USER, DEV_KEY);
    (server, client)
}

/// The resident memory of a process in bytes; `/proc/…/status` counts in KiB.
fn resident(process: &Child) -> f64 {
    let pid = process.id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux's /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.expect("Linux's /proc").trim_end_matches("kB").trim();
    kib.parse::<f64>().expect("a number") * 1024.0
}
