//! What authentication adds to a request, and what somebody who guesses keys costs everybody else:
//! `cargo bench -p tests --bench auth`. Prints the figures, and fails where one breaks its limit.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and what goes wrong ends it"
)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::{Duration, Instant},
};

use api::{App, auth::Caller};
use axum::{Router, http::StatusCode, routing::get};
use base64::{Engine, engine::general_purpose::STANDARD};
use berth::local::{DEV_KEY, DEV_USER};
use tests::{
    Options, World,
    measure::{self, Line, Spread, millis, sized, verdict},
};
use tokio::net::TcpListener;

const BERTH: &str = env!("CARGO_BIN_EXE_berth-under-test");
const MAX_ADDED: Duration = Duration::from_micros(200);
/// How much slower a user's requests may be for the keys being wrong.
const MAX_SLOWDOWN: f64 = 1.1;
/// The operation whose place in the table of permissions both handlers have.
const PATH: &str = "/api/infra/v1/provider/";

fn main() -> ExitCode {
    measure::run(async || vec![authentication().await, guesses().await])
}

async fn world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

/// A request of the user with this key.
fn request(path: &str, key: &str) -> String {
    let credentials = STANDARD.encode(format!("{DEV_USER}:{key}"));
    format!("GET {path} HTTP/1.1\r\nHost: berth\r\nAuthorization: Basic {credentials}\r\n\r\n")
}

/// Asks, expects one of these statuses, and answers with that and with how long it took.
async fn ask(line: &mut Line, request: &str, statuses: &[u16]) -> (u16, Duration) {
    let begun = Instant::now();
    let answer = line.ask(request).await;
    let took = begun.elapsed();
    let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status = status.filter(|it| statuses.contains(it)).expect(&answer);
    (status, took)
}

/// How long a request takes that is answered with this status.
async fn time(line: &mut Line, request: &str, status: u16) -> Duration {
    ask(line, request, &[status]).await.1
}

/// One handler with the caller among its arguments, and the same without, each asked in turn.
async fn authentication() -> bool {
    let requests = sized(10_000, 100);
    let world = world().await;
    let config = api::Config {
        edge: api::Edge {
            requests_per_second: 0,
            ..api::Edge::default()
        },
        ..api::Config::default()
    };
    let app = App::new(world.pool.clone(), config);
    let with = get(async |_: Caller| StatusCode::NO_CONTENT);
    let with = serve(Router::new().route(PATH, with).with_state(app)).await;
    let without = get(async || StatusCode::NO_CONTENT);
    let without = serve(Router::new().route(PATH, without)).await;
    let (mut with, mut without) = (Line::to(with).await, Line::to(without).await);
    let request = request(PATH, DEV_KEY);
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..requests {
        known.push(time(&mut with, &request, 204).await);
        unknown.push(time(&mut without, &request, 204).await);
    }
    println!("{requests} requests to a handler that does nothing, one after the other");
    Spread::of(&unknown).print("without authentication");
    Spread::of(&known).print("with authentication");
    let added = Spread::of(&known)
        .p50
        .saturating_sub(Spread::of(&unknown).p50);
    println!("{:10.2} ms  added in the median", millis(added));
    world.finish().await;
    verdict(
        &format!("under {} ms", millis(MAX_ADDED)),
        added < MAX_ADDED,
    )
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// What a user's requests take while somebody else at another address does nothing, asks for what is everybody's, or tries
/// wrong keys, one after the other. They take turns, so that what else the machine does is the same for each.
async fn guesses() -> bool {
    let turns = sized(10, 2);
    let at_once = 1_000;
    let world = world().await;
    let arguments = ["--role", "api", "--requests-per-second", "0"];
    let (mut server, address) = measure::serve(BERTH, &world, &arguments).await;
    let everybodys = "GET /healthz HTTP/1.1\r\nHost: berth\r\n\r\n".to_owned();
    let mut line = Line::to(address).await;
    let honest = request(PATH, DEV_KEY);
    let (mut alone, mut others, mut guesses) = (Vec::new(), Vec::new(), Vec::new());
    let (mut looked_up, begun) = (0, Instant::now());
    for turn in 0..turns {
        for _ in 0..at_once {
            alone.push(time(&mut line, &honest, 200).await);
        }
        let requests = vec![everybodys.clone(); at_once];
        others.extend(beside(address, requests, &[200]).await.0);
        let wrong = (0..at_once).map(|number| request(PATH, &format!("guess-{turn}-{number}")));
        let (times, statuses) = beside(address, wrong.collect(), &[401, 429]).await;
        guesses.extend(times);
        looked_up += statuses.iter().filter(|status| **status == 401).count();
    }
    // So many are looked up at once, and then as many a minute.
    let burst = api::Edge::default().failed_logins_per_minute;
    let most = f64::from(burst) * (1.0 + begun.elapsed().as_secs_f64() / 60.0);
    assert!(measure::count(looked_up) <= most + 1.0, "{looked_up}");
    server.kill().await.expect("it ran until now");
    world.finish().await;
    println!(
        "\nA user's requests, one after the other, while somebody else sends {} others in a row",
        turns * at_once
    );
    let [alone, others, guesses] = [alone, others, guesses].map(|times| Spread::of(&times));
    alone.print("alone");
    others.print("beside requests that need no key");
    guesses.print("beside wrong keys");
    let times = |other: Spread| guesses.p50.as_secs_f64() / other.p50.as_secs_f64();
    for (other, what) in [(alone, "alone"), (others, "beside the other requests")] {
        println!(
            "{:10.2}     times as long in the median as {what}",
            times(other)
        );
    }
    // Who sends them takes processors of the same machine, which elsewhere they do not.
    verdict(
        &format!("at most {MAX_SLOWDOWN} times as long as beside the other requests"),
        times(others) <= MAX_SLOWDOWN,
    )
}

/// How long a user's requests take while these are made from another address, and how those were answered.
async fn beside(
    address: SocketAddr,
    requests: Vec<String>,
    statuses: &'static [u16],
) -> (Vec<Duration>, Vec<u16>) {
    let mut line = Line::to(address).await;
    let honest = request(PATH, DEV_KEY);
    let mut other = Line::between(Ipv4Addr::new(127, 0, 0, 2), address).await;
    let others = tokio::spawn(async move {
        let mut answered = Vec::with_capacity(requests.len());
        for request in requests {
            answered.push(ask(&mut other, &request, statuses).await.0);
        }
        answered
    });
    let mut times = vec![time(&mut line, &honest, 200).await];
    while !others.is_finished() {
        times.push(time(&mut line, &honest, 200).await);
    }
    let answered = others.await.expect("every one is answered as expected");
    (times, answered)
}
