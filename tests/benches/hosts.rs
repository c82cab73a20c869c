//! What 10,000 virtual hosts cost: `cargo bench -p tests --bench hosts`. Their agents call a server that only nods, in
//! this process, so that its part is counted with theirs. Prints the figures, and fails where one breaks its limit.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and what goes wrong ends it"
)]

use std::{
    env,
    process::{self, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aws::{Clouds, Connector, Link};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{patch, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use berth::local::SimServer;
use domain::catalogue::Architecture;
use rcgen::generate_simple_self_signed;
use serde_json::{Value, json};
use sim::{HostConfig, Simulator};
use tests::{
    ACCOUNT,
    measure::{self, sized, verdict},
};
use tokio::{net::TcpListener, time::sleep};
use uuid::Uuid;

const REGION: &str = "us-east-1";
/// As EC2 launches them, many at once.
const BATCH: u32 = 500;
const HEARTBEAT_SECONDS: u32 = 30;
/// How much of a core they may cost.
const MOST_OF_A_CORE: f64 = 0.5;

#[derive(Clone)]
struct Server {
    authority: Arc<String>,
    announced: Arc<AtomicU64>,
    heartbeats: Arc<AtomicU64>,
}

fn main() -> ExitCode {
    let count = env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let count = count.unwrap_or(sized(10_000, 100));
    measure::run(async || vec![cost_of(count).await])
}

async fn cost_of(count: u32) -> bool {
    let authority = generate_simple_self_signed([]).expect("a certificate");
    let authority = authority.cert.pem();
    let server = Server {
        authority: Arc::new(authority),
        announced: Arc::default(),
        heartbeats: Arc::default(),
    };
    let url = serve(server.clone()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let simulator = Simulator::new(sim::Config {
        hosts: Some(HostConfig::default()),
        ..sim::Config::default()
    });
    let sim = SimServer::start(simulator, listener).expect("a simulator");
    let (memory, cpu, began) = (resident_kb(), cpu_seconds(), Instant::now());
    launch(&sim, &url, count).await;
    while server.announced.load(Ordering::Relaxed) < count.into() {
        sleep(Duration::from_millis(100)).await;
    }
    println!(
        "{count} hosts: all have called home {:.1} s after the first launch, for {:.1} s of CPU time; {:.1} kB of memory each",
        began.elapsed().as_secs_f64(),
        cpu_seconds() - cpu,
        (resident_kb() - memory) / f64::from(count)
    );
    let (heartbeats, cpu) = (server.heartbeats.load(Ordering::Relaxed), cpu_seconds());
    let watched = Duration::from_secs(sized(60, 1));
    sleep(watched).await;
    let heartbeats = server.heartbeats.load(Ordering::Relaxed) - heartbeats;
    let of_a_core = (cpu_seconds() - cpu) / watched.as_secs_f64();
    println!(
        "{heartbeats} heartbeats in {} s cost {of_a_core:.3} of a core",
        watched.as_secs()
    );
    sim.simulator.end_hosts();
    sim.stop().await;
    verdict(
        &format!("under {MOST_OF_A_CORE} of a core"),
        of_a_core < MOST_OF_A_CORE,
    )
}

/// Launches them over all zones, by requests of its own: Berth's client launches as slowly as EC2 lets an account.
async fn launch(sim: &SimServer, url: &str, count: u32) {
    let configuration = json!({"Host": url, "Token": "a"}).to_string();
    let user_data = json!({"write_files": [
        {"path": "/etc/dockercloud/agent/dockercloud-agent.conf", "content": configuration},
    ]});
    let user_data = STANDARD.encode(format!("#cloud-config\n{user_data}\n"));
    let cloud = Connector::to(sim.endpoint())
        .cloud(&Link::AMBIENT, REGION)
        .await;
    let image = cloud.newest_image(Architecture::Amd64).await;
    let image = image.expect("images").expect("an image").id;
    let subnets = sim.simulator.network(ACCOUNT, REGION).subnets;
    let offered = subnets.iter().filter(|subnet| !subnet.zone.ends_with('e'));
    let scope = format!("owner/20260101/{REGION}/ec2/aws4_request");
    let http = reqwest::Client::new();
    for (number, subnet) in (0..count.div_ceil(BATCH)).zip(offered.cycle()) {
        let these = BATCH.min(count - number * BATCH).to_string();
        let parameters = [
            ("Action", "RunInstances"),
            ("ImageId", &image),
            ("InstanceType", "t3.micro"),
            ("MinCount", &these),
            ("MaxCount", &these),
            ("SubnetId", &subnet.id),
            ("UserData", &user_data),
        ];
        let query = reqwest::Url::parse_with_params(&sim.endpoint().url, &parameters);
        let query = query.expect("parameters");
        let launched = http
            .post(&sim.endpoint().url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            )
            .body(query.query().unwrap_or_default().to_owned())
            .send()
            .await
            .expect("an answer");
        assert!(launched.status().is_success(), "{launched:?}");
    }
}

/// A server that nods to everything.
async fn serve(server: Server) -> String {
    let app = Router::new()
        .route("/api/agent/v1/node/", post(register))
        .route("/api/agent/v1/node/{uuid}/", patch(announce))
        .route("/api/agent/v1/node/{uuid}/heartbeat/", post(hear))
        .route(
            "/api/agent/v1/node/{uuid}/ping/",
            post(async || Json(json!({"reachable": true}))),
        )
        .with_state(server);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn register(State(server): State<Server>) -> (StatusCode, Json<Value>) {
    let form = json!({"uuid": Uuid::new_v4(), "user_ca_cert": *server.authority});
    (StatusCode::CREATED, Json(form))
}

async fn announce(
    State(server): State<Server>,
    axum::extract::Path(uuid): axum::extract::Path<Uuid>,
) -> Json<Value> {
    server.announced.fetch_add(1, Ordering::Relaxed);
    Json(json!({"uuid": uuid, "user_ca_cert": *server.authority}))
}

async fn hear(State(server): State<Server>) -> Json<Value> {
    server.heartbeats.fetch_add(1, Ordering::Relaxed);
    Json(json!({"heartbeat_seconds": HEARTBEAT_SECONDS, "state": "Deployed"}))
}

/// The resident memory of this process, in kB.
fn resident_kb() -> f64 {
    measure::memory(process::id(), "VmRSS") / 1e3
}

/// The CPU time of this process so far.
fn cpu_seconds() -> f64 {
    let (_, seconds) = measure::cpu(process::id()).expect("Linux's /proc");
    seconds
}
