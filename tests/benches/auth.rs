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
/// How much slower the others' requests may be.
const MAX_SLOWDOWN: f64 = 1.1;
/// The operation whose place in the table of permissions both handlers have.
const PATH: &str = "/api/infra/v1/provider/";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    measure::conclude(&[
        runtime.block_on(authentication()),
        runtime.block_on(guesses()),
    ])
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

/// Asks, expects this status, and answers with how long it took.
async fn time(line: &mut Line, request: &str, status: u16) -> Duration {
    let begun = Instant::now();
    let answer = line.ask(request).await;
    let took = begun.elapsed();
    let expected = format!("HTTP/1.1 {status} ");
    assert!(answer.starts_with(&expected), "{answer}");
    took
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
/// wrong keys, one after the other.
async fn guesses() -> bool {
    let guesses = sized(10_000, 200);
    let world = world().await;
    let arguments = ["--role", "api", "--requests-per-second", "0"];
    let (mut server, address) = measure::serve(BERTH, &world, &arguments).await;
    println!("\nA user's requests, one after the other");
    let mut line = Line::to(address).await;
    let honest = request(PATH, DEV_KEY);
    let mut alone = Vec::new();
    for _ in 0..guesses {
        alone.push(time(&mut line, &honest, 200).await);
    }
    let alone = Spread::of(&alone);
    alone.print("alone");
    let everybodys = "GET /healthz HTTP/1.1\r\nHost: berth\r\n\r\n".to_owned();
    let requests = vec![(everybodys, 200); guesses];
    let beside_others = beside(address, requests).await;
    beside_others.print("beside requests that need no key");
    // So many a minute are looked up, and what follows them is not.
    let looked_up = api::Edge::default().failed_logins_per_minute;
    let wrong = (0..guesses).map(|number| {
        let status = if number < looked_up as usize {
            401
        } else {
            429
        };
        (request(PATH, &format!("guess-{number}")), status)
    });
    let beside_guesses = beside(address, wrong.collect()).await;
    beside_guesses.print("beside wrong keys");
    server.kill().await.expect("it ran until now");
    world.finish().await;
    let times = |other: Spread| beside_guesses.p50.as_secs_f64() / other.p50.as_secs_f64();
    println!(
        "{:10.2}     times as long in the median as alone",
        times(alone)
    );
    println!(
        "{:10.2}     times as long as beside the other requests",
        times(beside_others)
    );
    verdict(
        &format!("at most {MAX_SLOWDOWN} times as long as alone"),
        times(alone) <= MAX_SLOWDOWN,
    )
}

/// How long a user's requests take while these are made from another address.
async fn beside(address: SocketAddr, requests: Vec<(String, u16)>) -> Spread {
    let mut line = Line::to(address).await;
    let honest = request(PATH, DEV_KEY);
    let mut other = Line::between(Ipv4Addr::new(127, 0, 0, 2), address).await;
    let others = tokio::spawn(async move {
        for (request, status) in requests {
            time(&mut other, &request, status).await;
        }
    });
    let mut times = Vec::new();
    while !others.is_finished() {
        times.push(time(&mut line, &honest, 200).await);
    }
    others.await.expect("every one is answered as expected");
    Spread::of(&times)
}
