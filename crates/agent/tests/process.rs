//! The program as a process.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what failed")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::Request};
use serde_json::json;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

/// The program in an empty environment, with this folder as its home and without Docker.
fn agent(command: &str, home: &Path) -> Command {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_berth-agent"));
    agent
        .arg(command)
        .env_clear()
        .env("BERTH_AGENT_HOME", home)
        .env("BERTH_AGENT_DOCKER_SOCKET", home.join("docker.sock"))
        .env("BERTH_AGENT_DAEMON_JSON", home.join("daemon.json"))
        .env("BERTH_AGENT_METADATA_URL", "off")
        .env("BERTH_AGENT_CONFIGURE_DOCKER", "false");
    agent
}

/// A server that takes every agent, and how many heartbeats it got.
async fn server() -> (String, Arc<AtomicUsize>) {
    let heartbeats = Arc::new(AtomicUsize::new(0));
    let counter = heartbeats.clone();
    let app = Router::new().fallback(async move |request: Request| {
        if request.uri().path().ends_with("/heartbeat/") {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Json(json!({
            "uuid": "75d20367-0948-4f10-8ba4-ffb4d16ed3c6", "external_fqdn": "a.node.example.com",
            "state": "Deployed", "heartbeat_seconds": 1,
        }))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, heartbeats)
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A machine with a configuration file, and its agent, which has sent a few heartbeats.
async fn living() -> (TempDir, Running) {
    let (url, heartbeats) = server().await;
    let home = tempfile::tempdir().unwrap();
    let config = json!({"Host": url, "Token": "t"}).to_string();
    fs::write(home.path().join("dockercloud-agent.conf"), config).unwrap();
    let mut command = agent("run", home.path());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let running = Running(child);
    until("three heartbeats came", || {
        heartbeats.load(Ordering::SeqCst) >= 3
    })
    .await;
    (home, running)
}

#[tokio::test]
async fn it_ends_cleanly_at_sigterm_and_leaves_its_files_private() {
    let (home, mut agent) = living().await;
    let id = agent.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let mut status = None;
    until("the agent ended", || {
        status = agent.0.try_wait().unwrap();
        status.is_some()
    })
    .await;
    assert_eq!(status.unwrap().code(), Some(0));
    for name in ["key.pem", "state.json", "lock"] {
        let mode = fs::metadata(home.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn it_needs_less_than_15_mb() {
    let (_home, agent) = living().await;
    let status = fs::read_to_string(format!("/proc/{}/status", agent.0.id())).unwrap();
    let kb = |name: &str| -> u64 {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    // Even of an unoptimized build, whose text is several times as large.
    assert!(kb("VmHWM:") < 15_000, "{status}");
    // One thread to live in, and one that looks names up.
    assert!(kb("Threads:") <= 2, "{status}");
}

#[tokio::test]
async fn two_do_not_live_in_one_home() {
    let (home, _agent) = living().await;
    let output = agent("run", home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("another berth-agent"),
        "{}",
        stderr(&output)
    );
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_configuration_that_is_wrong_ends_it_for_systemd_to_leave_it_at_that() {
    let home = tempfile::tempdir().unwrap();
    let output = agent("run", home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(
        stderr(&output).starts_with("berth-agent: there is no Host"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_unit_is_printed_and_what_is_missing_is_told() {
    let home = tempfile::tempdir().unwrap();
    let unit = |home: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_berth-agent"))
            .args(["unit", "--home"])
            .arg(home)
            .env_clear()
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let text = unit(home.path());
    let start = text
        .lines()
        .find(|line| line.starts_with("ExecStart="))
        .unwrap();
    assert!(
        start.contains("berth-agent") && start.contains("--home"),
        "{text}"
    );
    assert!(!unit(Path::new("/etc/dockercloud/agent")).contains("--home"));

    let output = agent("check", home.path())
        .args(["--host", "http://127.0.0.1:1", "--token", "t"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("MISSING  there is no Docker engine"),
        "{said}"
    );
}
