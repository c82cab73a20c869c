//! How many heartbeats one replica hears, and what they cost: `cargo bench -p tests --bench heartbeats`. Prints the figures,
//! and fails where one breaks its limit.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and what goes wrong ends it"
)]

use std::{
    fs,
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{
    heartbeat::{Facts, Told},
    host::Settings,
};
use embedded_postgres::EmbeddedPostgres;
use futures::future::join_all;
use serde_json::json;
use sqlx::PgPool;
use store::host::{self, Beat};
use tests::{
    Engine, Host, Options, World, facts,
    measure::{self, Line, Spread, count, sized, verdict},
    wait_for,
};
use tokio::time::sleep_until;
use uuid::Uuid;

const BERTH: &str = env!("CARGO_BIN_EXE_berth-under-test");
/// How much slower than it was asked for the sending may be.
const RATE_MET: f64 = 0.99;
const MAX_P99: Duration = Duration::from_millis(100);
const MAX_CORES: f64 = 0.5;
/// As many as the API writes in one statement when it is asked for the rate.
const BATCH: usize = 50;
const WRITERS: usize = 20;
const MAX_CHANGE: Duration = Duration::from_secs(5);

/// How much is measured.
#[derive(Clone, Copy)]
struct Sizes {
    nodes: usize,
    /// Which are kept, as a proxy in front of the replica does it.
    connections: u32,
    /// Heartbeats a second.
    rate: f64,
    duration: Duration,
    /// Between two heartbeats of a node.
    interval: Duration,
    /// How long each way of writing is measured.
    writing: Duration,
    changes: usize,
}

fn sizes() -> Sizes {
    let second = Duration::from_secs(1);
    let measured = Sizes {
        nodes: 10_000,
        connections: 200,
        rate: 5_000.0,
        duration: 20 * second,
        interval: 30 * second,
        writing: 5 * second,
        changes: 20,
    };
    let tried = Sizes {
        nodes: 100,
        connections: 20,
        rate: 100.0,
        duration: second,
        interval: second,
        writing: second / 10,
        changes: 2,
    };
    sized(measured, tried)
}

fn main() -> ExitCode {
    measure::run(async || vec![heartbeats().await, addresses().await])
}

async fn heartbeats() -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    // As in production: what is committed is on the disk.
    let postgres = EmbeddedPostgres::start(embedded_postgres::Options {
        data_dir: folder.path().join("postgres"),
        durable: true,
    });
    let postgres = postgres.await.expect("a Postgres");
    postgres.create_database("berth").await.expect("a database");
    let database_url = postgres.url("berth");
    let pool = store::connect(&database_url, 1).expect("a pool");
    store::migrate(&pool).await.expect("migrations");
    pool.close().await;
    let world = World::with(Options {
        with_worker: false,
        database_url: Some(database_url),
        ..Options::default()
    })
    .await;
    let sizes = sizes();
    let agents = Arc::new(agents(&world.pool, sizes.nodes).await);
    let (mut server, address) = measure::serve(BERTH, &world, &["--role", "api"]).await;
    println!(
        "{} deployed nodes, one `berth serve --role api`, Postgres on the same machine (durable)",
        sizes.nodes
    );
    let watched = Watched {
        replica: server.id().expect("it runs"),
        postmaster: postmaster(&world.pool).await,
    };
    let good = [
        crowd(&watched, address, &agents, sizes).await,
        at_rest(&watched, address, &agents, sizes).await,
    ];
    server.kill().await.expect("it ran until now");
    writing(&world.pool, &agents, sizes.writing).await;
    world.finish().await;
    postgres.stop().await.expect("it ends");
    !good.contains(&false)
}

/// The node of an agent, and its token.
struct Agent {
    node: Uuid,
    token: String,
}

/// Makes deployed nodes whose owners brought them, as if their engines had answered.
async fn agents(pool: &PgPool, count: usize) -> Vec<Agent> {
    let tokens: Vec<String> = (0..count).map(|_| Uuid::new_v4().to_string()).collect();
    let nodes: Vec<Uuid> = sqlx::query_scalar(
        "WITH given AS (SELECT gen_random_uuid() AS id, namespace.id AS namespace_id, token
                        FROM unnest($1::text[]) AS token, namespace),
              made AS (
                  INSERT INTO node (id, namespace_id, brought_by_owner, state, tags, public_ip, external_fqdn,
                                    agent_version, public_cert, is_reachable, deployed_at, heartbeat_at)
                  SELECT id, namespace_id, true, 'Deployed', '{}', '127.0.0.1', '127.0.0.1', '0.1.0',
                         repeat('certificate ', 70), true, now(), now() FROM given),
              known AS (
                  INSERT INTO node_token (id, namespace_id, sha256, node_id, used_at, used_from)
                  SELECT gen_random_uuid(), namespace_id, sha256(token::bytea), id, now(), '127.0.0.1' FROM given)
         SELECT id FROM given",
    )
    .bind(&tokens)
    .fetch_all(pool)
    .await
    .expect("nodes");
    sqlx::query("VACUUM ANALYZE node")
        .execute(pool)
        .await
        .expect("a vacuum");
    let agents = nodes.into_iter().zip(tokens);
    agents.map(|(node, token)| Agent { node, token }).collect()
}

/// As many heartbeats as ten times the nodes would send, and as many as it takes.
async fn crowd(
    watched: &Watched,
    address: SocketAddr,
    agents: &Arc<Vec<Agent>>,
    sizes: Sizes,
) -> bool {
    let Sizes {
        connections, rate, ..
    } = sizes;
    let cpu = Cpu::of(watched);
    let begun = Instant::now();
    let latencies = send(
        address,
        agents,
        connections,
        Some(rate),
        sizes.duration,
        true,
    )
    .await;
    let took = begun.elapsed().as_secs_f64();
    let answered = count(latencies.len()) / took;
    println!(
        "\n{rate} heartbeats a second over {connections} connections for {} s",
        sizes.duration.as_secs()
    );
    println!("{answered:10.0}     heartbeats a second were answered");
    let spread = Spread::of(&latencies);
    spread.print("until the answer");
    cpu.print(watched, took);
    let latencies = send(address, agents, connections, None, sizes.writing, true).await;
    let most = count(latencies.len()) / sizes.writing.as_secs_f64();
    println!("{most:10.0}     a second, when each connection sends the next one at once");
    let is_met = verdict(&format!("{rate} a second"), answered >= rate * RATE_MET);
    let is_soon = verdict(
        &format!("p99 under {} ms", MAX_P99.as_millis()),
        spread.p99 < MAX_P99,
    );
    is_met && is_soon
}

/// What the nodes cost when nothing happens.
async fn at_rest(
    watched: &Watched,
    address: SocketAddr,
    agents: &Arc<Vec<Agent>>,
    sizes: Sizes,
) -> bool {
    let Sizes {
        connections,
        interval,
        ..
    } = sizes;
    let rate = count(sizes.nodes) / interval.as_secs_f64();
    let cpu = Cpu::of(watched);
    let begun = Instant::now();
    let latencies = send(address, agents, connections, Some(rate), interval, false).await;
    let took = begun.elapsed().as_secs_f64();
    println!(
        "\nEvery node sends one heartbeat in {} s ({rate:.0} a second), each over a connection of its own",
        interval.as_secs()
    );
    Spread::of(&latencies).print("until the answer");
    let cores = cpu.print(watched, took);
    verdict(
        &format!("the replica takes under {MAX_CORES} cores"),
        cores < MAX_CORES,
    )
}

/// Sends heartbeats at a steady rate, or as fast as they are answered, each to be answered with 200. Answers with how long
/// each took from the moment at which it was due.
async fn send(
    address: SocketAddr,
    agents: &Arc<Vec<Agent>>,
    connections: u32,
    rate: Option<f64>,
    duration: Duration,
    is_kept: bool,
) -> Vec<Duration> {
    let interval = rate.map(|rate| Duration::from_secs_f64(f64::from(connections) / rate));
    let begin = tokio::time::Instant::now() + Duration::from_millis(100);
    let senders = (0..connections).map(|number| {
        let agents = Arc::clone(agents);
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut kept = None;
            let mut due = begin
                + interval
                    .unwrap_or_default()
                    .mul_f64(f64::from(number) / f64::from(connections));
            let mine = agents
                .iter()
                .skip(number as usize)
                .step_by(connections as usize);
            for agent in mine.cycle() {
                if due >= begin + duration {
                    break;
                }
                sleep_until(due).await;
                let mut line = match kept.take() {
                    Some(line) => line,
                    None => Line::to(address).await,
                };
                beat(&mut line, agent).await;
                latencies.push(due.elapsed());
                kept = is_kept.then_some(line);
                due = match interval {
                    Some(interval) => due + interval,
                    None => tokio::time::Instant::now(),
                };
            }
            latencies
        })
    });
    let all = join_all(senders).await.into_iter();
    all.flat_map(|latencies| latencies.expect("every heartbeat is answered"))
        .collect()
}

/// One heartbeat over this connection.
async fn beat(line: &mut Line, agent: &Agent) {
    let body = facts().to_string();
    let request = format!(
        "POST /api/agent/v1/node/{}/heartbeat/ HTTP/1.1\r\nHost: berth\r\nAuthorization: TutumAgentToken {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        agent.node,
        agent.token,
        body.len()
    );
    let answer = line.ask(&request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// The processes whose cost is measured.
struct Watched {
    replica: u32,
    /// All others of Postgres are its children.
    postmaster: u32,
}

async fn postmaster(pool: &PgPool) -> u32 {
    let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(pool)
        .await
        .expect("an id");
    let backend = u32::try_from(backend).expect("an id");
    let (parent, _) = measure::cpu(backend).expect("Postgres runs on this machine");
    parent
}

/// The seconds of processors that the replica and Postgres have used.
#[derive(Default)]
struct Cpu {
    replica: f64,
    postgres: f64,
}

impl Cpu {
    fn of(watched: &Watched) -> Self {
        let processes = fs::read_dir("/proc").expect("Linux's /proc").flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let mut cpu = Self::default();
        // A process may end while it is looked at.
        for (id, (parent, seconds)) in ids.filter_map(|id| Some((id, measure::cpu(id)?))) {
            if id == watched.replica {
                cpu.replica = seconds;
            } else if id == watched.postmaster || parent == watched.postmaster {
                cpu.postgres += seconds;
            }
        }
        cpu
    }

    /// Prints what was used since then, and answers with how many cores the replica has taken.
    fn print(&self, watched: &Watched, took: f64) -> f64 {
        let now = Self::of(watched);
        let replica = (now.replica - self.replica) / took;
        let postgres = (now.postgres - self.postgres) / took;
        println!("{replica:10.2}     cores of the replica");
        println!("{postgres:10.2}     cores of Postgres");
        replica
    }
}

/// The statement alone, over as many connections: one heartbeat at a time, and many at a time.
async fn writing(pool: &PgPool, agents: &[Agent], duration: Duration) {
    let beats: Vec<Beat> = agents.iter().map(as_beat).collect();
    let mut rates = Vec::new();
    for size in [1, BATCH] {
        // Each has nodes of its own.
        let writers = beats
            .chunks(beats.len() / WRITERS)
            .map(|beats| write(pool, beats, size, duration));
        rates.push(join_all(writers).await.into_iter().sum::<f64>());
    }
    println!("\nThe statement alone, over {WRITERS} connections");
    println!("{:10.0}     heartbeats a second one by one", rates[0]);
    println!("{:10.0}     a second, {BATCH} at a time", rates[1]);
    println!("{:10.1}     times as many", rates[1] / rates[0]);
}

/// Writes batches of this size over one connection; answers with how many heartbeats a second.
async fn write(pool: &PgPool, beats: &[Beat], size: usize, duration: Duration) -> f64 {
    let mut connection = pool.acquire().await.expect("a connection");
    let limits = Settings::default().limits;
    let begun = Instant::now();
    let mut written = 0;
    for batch in beats.chunks(size).cycle() {
        let answers = host::hear(&mut connection, batch, limits).await;
        written += answers.expect("answers").len();
        if begun.elapsed() > duration {
            break;
        }
    }
    count(written) / begun.elapsed().as_secs_f64()
}

fn as_beat(agent: &Agent) -> Beat {
    let facts = Facts::new(Told {
        agent_version: Some("0.1.0".to_owned()),
        docker_version: Some("26.1.5".to_owned()),
        docker_execdriver: Some("runc".to_owned()),
        docker_graphdriver: Some("overlay2".to_owned()),
        cpu: Some(2),
        memory: Some(2_048_000),
        disk: Some(30),
        containers: Some(3),
        private_ips: Some(vec![("eth0".to_owned(), "10.78.112.4/18".to_owned())]),
        ..Told::default()
    });
    Beat {
        token_sha256: api::auth::key_digest(&agent.token),
        node: agent.node.into(),
        address: "127.0.0.1".to_owned(),
        is_address_told: false,
        facts: facts.expect("facts"),
    }
}

/// How soon an address that an agent tells is in DNS, with the product's own pace.
async fn addresses() -> bool {
    let patient = Options::patient();
    let world = World::with(Options {
        worker: worker::Config {
            secret_key: patient.worker.secret_key.clone(),
            ..worker::Config::default()
        },
        with_names: true,
        ..patient
    })
    .await;
    let host = Host::registered(&world).await;
    let engine = Engine::start(&host).await;
    host.ping().await.expect(200);
    let name = world.name_of(&host.uuid);
    let changes = sizes().changes;
    let mut times = Vec::with_capacity(changes);
    for change in 0..changes {
        let address = format!("203.0.113.{change}");
        let begun = Instant::now();
        host.heartbeat(json!({"public_ip": address}))
            .await
            .expect(200);
        let address = address.parse().ok();
        wait_for("the address in the zone", || async {
            let names = world.names_in_zone().await;
            (names.get(&name).copied() == address).then_some(())
        })
        .await;
        times.push(begun.elapsed());
    }
    drop(engine);
    println!(
        "\n{changes} addresses, one after the other, from the heartbeat that tells it until it is in Route 53 (simulated)"
    );
    let spread = Spread::of(&times);
    spread.print("until it is there");
    world.finish().await;
    verdict(
        &format!("within {} s", MAX_CHANGE.as_secs()),
        spread.most < MAX_CHANGE,
    )
}
