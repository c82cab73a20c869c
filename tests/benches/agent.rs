//! What the agent takes of a machine's memory: `cargo bench -p tests --bench agent`. Prints the figures, and fails where they
//! break the limit.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and what goes wrong ends it"
)]

use std::{fs, net::SocketAddr, path::Path, process::ExitCode};

use rcgen::generate_simple_self_signed;
use tests::{
    EngineSocket, World, fresh_token,
    measure::{self, sized, verdict},
    wait_for,
};
use tokio::process::{Child, Command};

const MAX_MB: f64 = 15.0;

fn main() -> ExitCode {
    measure::run(async || {
        let peak = peak_mb().await;
        vec![verdict(&format!("under {MAX_MB} MB"), peak < MAX_MB)]
    })
}

/// The life of an agent as it is by default, with the system's certificates, over TLS. Answers with its peak.
async fn peak_mb() -> f64 {
    let world = World::without_worker().await;
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path();
    let (mut server, address) = serve(&world, home).await;
    let _engine = EngineSocket::start(home, "26.1.5");
    let mut agent = run(&world, home, address).await;
    // As if its engine had answered: else the question whether it does, for 5 s, follows each heartbeat.
    wait_for("the first such question", || async {
        let deployed = "UPDATE node SET state = 'Deployed', is_reachable = true, deployed_at = now() WHERE NOT is_reachable";
        let deployed = sqlx::query(deployed).execute(&world.pool).await;
        (deployed.expect("the node").rows_affected() == 1).then_some(())
    })
    .await;
    // One a second, as fast as a server can ask for.
    let count = sized(40, 2);
    heartbeats(&world, count).await;
    let id = agent.id().expect("it runs");
    let profile = match cfg!(debug_assertions) {
        true => "not optimized: the figures that count are those of `cargo bench`",
        false => "optimized",
    };
    println!("One agent ({profile}) and one `berth serve`, by TLS, after {count} heartbeats");
    let [peak, now, own] =
        ["VmHWM", "VmRSS", "RssAnon"].map(|name| measure::memory(id, name) / 1e6);
    println!("{peak:8.1} MB  at its peak\n{now:8.1} MB  now\n{own:8.1} MB  of them its own data");
    for child in [&mut agent, &mut server] {
        child.kill().await.expect("it ran until now");
    }
    world.finish().await;
    peak
}

/// The real server, with TLS for this machine.
async fn serve(world: &World, folder: &Path) -> (Child, SocketAddr) {
    let identity = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]);
    let identity = identity.expect("a certificate");
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let arguments = [
        "--role",
        "api",
        "--heartbeat-seconds",
        "1",
        "--unreachable-after-seconds",
        "10",
        "--tls-certificate",
        &write("server.pem", identity.cert.pem()),
        "--tls-key",
        &write("server-key.pem", identity.signing_key.serialize_pem()),
        "--secret-key-file",
        &write("secret.key", "A".repeat(43) + "="),
    ];
    measure::serve(env!("CARGO_BIN_EXE_berth-under-test"), world, &arguments).await
}

/// The real agent, on a machine without systemd.
async fn run(world: &World, home: &Path, server: SocketAddr) -> Child {
    let token = fresh_token(world).await;
    Command::new(env!("CARGO_BIN_EXE_berth-agent-under-test"))
        .arg("run")
        .env_clear()
        .env("BERTH_AGENT_HOME", home)
        .env("BERTH_AGENT_HOST", format!("https://{server}"))
        .env("BERTH_AGENT_TOKEN", token)
        .env("BERTH_AGENT_CA_FILE", home.join("server.pem"))
        .env("BERTH_AGENT_CONFIGURE_DOCKER", "false")
        .env("BERTH_AGENT_DOCKER_SOCKET", home.join("docker.sock"))
        .env("BERTH_AGENT_METADATA_URL", "off")
        .env("BERTH_AGENT_LOG", "warn")
        .kill_on_drop(true)
        .spawn()
        .expect("the agent starts")
}

/// Waits for so many heartbeats.
async fn heartbeats(world: &World, count: usize) {
    let mut last: Option<String> = None;
    for _ in 0..count {
        let next = wait_for("another heartbeat", || async {
            let at: Option<String> = sqlx::query_scalar(
                "SELECT to_json(heartbeat_at)::text FROM node WHERE heartbeat_at IS NOT NULL",
            )
            .fetch_optional(&world.pool)
            .await
            .expect("the node");
            at.filter(|at| last.as_ref().is_none_or(|last| at > last))
        })
        .await;
        last = Some(next);
    }
}
