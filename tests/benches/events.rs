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
use tests::{
    Client, Options, Socket, World,
    measure::{self, Spread, count, sized, verdict},
};
use tokio::{sync::mpsc, time::timeout};

const BERTH: &str = env!("CARGO_BIN_EXE_berth-under-test");
const MAX_MEDIAN: Duration = Duration::from_millis(250);
const MAX_BYTES: f64 = 50_000.0;
/// The memory is compared before and after, so what the first requests bring is brought before.
const WARM_UP: usize = 20;
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    measure::run(async || vec![fan_out().await])
}

async fn fan_out() -> bool {
    let world = World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await;
    let (sockets, changes) = sized((1000, 200), (50, 5));
    let (mut server, address) = measure::serve(BERTH, &world, &["--role", "api"]).await;
    let client = Client::new(format!("http://{address}"), DEV_USER, DEV_KEY);
    let resident = || measure::memory(server.id().expect("it runs"), "VmRSS");
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
    let idle = resident();
    let begun = Instant::now();
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let open = (0..sockets).map(|_| Socket::open(&client, "/api/audit/v1/events/"));
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
    let open = resident();

    let (mut to_all, mut to_first) = (Vec::new(), Vec::new());
    for _ in 0..changes {
        let start = Instant::now();
        change().await;
        let mut times = Vec::with_capacity(sockets);
        while times.len() < sockets {
            let next = timeout(DEADLINE, hearing.recv()).await;
            let at = next.expect("every socket hears of every change");
            times.push(at.expect("the readers live") - start);
        }
        to_first.extend(times.iter().min());
        to_all.extend(times.iter().max());
    }
    let busy = resident();
    for reader in readers {
        reader.abort();
    }
    server.kill().await.expect("it ran until now");
    world.finish().await;
    println!(
        "{sockets} event sockets on one replica, opened in {:.1} s; {changes} changes, one after the other, from just \
         before the request that makes it",
        opened_in.as_secs_f64()
    );
    Spread::of(&to_first).print("until the first socket has it");
    let to_all = Spread::of(&to_all);
    to_all.print("until the last socket has it");
    let each = |resident: f64| (resident - idle) / count(sockets);
    println!("\nResident memory of `berth serve`");
    println!("{:10.1} MB  before the sockets are open", idle / 1e6);
    println!("{:10.1} MB  with all of them open", open / 1e6);
    println!("{:10.1} MB  after the changes", busy / 1e6);
    println!("{:10.1} KB  a socket when opened", each(open) / 1e3);
    println!("{:10.1} KB  a socket after the changes", each(busy) / 1e3);
    let in_time = verdict(
        &format!("median under {} ms", MAX_MEDIAN.as_millis()),
        to_all.p50 < MAX_MEDIAN,
    );
    let is_small = verdict(
        &format!("a socket under {} KB", MAX_BYTES / 1e3),
        each(open).max(each(busy)) < MAX_BYTES,
    );
    in_time && is_small
}
