//! The script that makes a machine a node, and the programs that it fetches: both served by Berth.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use serde_json::json;
use tempfile::TempDir;
use tests::{Options, World};
use tokio::process::Command;

/// A stand-in for the agent's program: it says how it was called.
const PROGRAM: &str = "#!/bin/sh\necho \"the agent is told: $*\"\n";
/// The name under which it is served to this machine.
#[cfg(target_arch = "x86_64")]
const NAME: &str = "berth-agent-linux-amd64";
#[cfg(target_arch = "aarch64")]
const NAME: &str = "berth-agent-linux-arm64";

/// A world that serves the stand-in, and the folder that it is in.
async fn world() -> (World, TempDir) {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join(NAME), PROGRAM).expect("a program");
    let world = World::with(Options {
        with_worker: false,
        with_agents: true,
        agent_dir: Some(folder.path().to_owned()),
        ..Options::default()
    })
    .await;
    (world, folder)
}

/// A folder with programs that a machine has, which do nothing.
fn machine(programs: &[&str]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for program in programs {
        let file = folder.path().join(program);
        fs::write(&file, "#!/bin/sh\n").expect("a program");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a program");
    }
    folder
}

/// Runs a script as a machine does that has these programs beside its own. Answers with what it printed, and whether all
/// went well.
async fn run(script: &str, machine: &Path, prefix: &Path, arguments: &[&str]) -> (String, bool) {
    let path = format!(
        "{}:{}",
        machine.display(),
        std::env::var("PATH").expect("a PATH")
    );
    let ended = Command::new("sh")
        .args(["-c", script, "sh"])
        .args(arguments)
        .env("PATH", path)
        .env("BERTH_PREFIX", prefix)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("a shell");
    let printed = [ended.stdout, ended.stderr].concat();
    (
        String::from_utf8_lossy(&printed).into_owned(),
        ended.status.success(),
    )
}

/// What stands in for being root, and for Docker.
const ROOT_WITH_DOCKER: &[&str] = &["dockerd"];

async fn script(world: &World) -> String {
    let url = format!("{}/agent/install.sh", world.client.base);
    let answer = reqwest::get(url).await.expect("the API answers");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("a script")
}

/// As root, whoever runs the tests.
fn as_root(script: &str) -> String {
    script.replace("$(id -u)", "0")
}

#[tokio::test]
async fn a_machine_is_made_a_node_by_the_command_that_comes_with_its_token() {
    let (world, _programs) = world().await;
    let answer = world.client.post("/token", &json!({})).await.expect(201);
    let (token, command) = (&answer.body["token"], &answer.body["command"]);
    let (token, command) = (token.as_str().unwrap(), command.as_str().unwrap());
    let url = format!("{}/agent/install.sh", world.client.base);
    assert_eq!(command, format!("curl -fsSL {url} | sudo sh -s {token}"));

    let (machine, prefix) = (machine(ROOT_WITH_DOCKER), TempDir::new().unwrap());
    let script = as_root(&script(&world).await);
    let (printed, is_well) = run(&script, machine.path(), prefix.path(), &[token]).await;
    assert!(is_well, "{printed}");
    let told = format!(
        "the agent is told: install --host {} --token {token}",
        world.client.base
    );
    assert!(printed.contains(&told), "{printed}");
    let installed = fs::read_to_string(prefix.path().join("bin/berth-agent")).unwrap();
    assert_eq!(installed, PROGRAM);

    // A launched node has its token in its configuration already.
    let (printed, is_well) = run(&script, machine.path(), prefix.path(), &[]).await;
    assert!(is_well, "{printed}");
    let told = format!("the agent is told: install --host {}\n", world.client.base);
    assert!(printed.contains(&told), "{printed}");
    world.finish().await;
}

#[tokio::test]
async fn a_program_that_was_changed_on_its_way_is_not_installed() {
    let (world, programs) = world().await;
    let script = as_root(&script(&world).await);
    fs::write(programs.path().join(NAME), "#!/bin/sh\necho evil\n").unwrap();
    let (machine, prefix) = (machine(ROOT_WITH_DOCKER), TempDir::new().unwrap());
    let (printed, is_well) = run(&script, machine.path(), prefix.path(), &["token"]).await;
    assert!(!is_well);
    assert!(
        printed.contains("has another checksum than this script expects"),
        "{printed}"
    );
    assert!(!prefix.path().join("bin/berth-agent").exists());
    world.finish().await;
}

#[tokio::test]
async fn a_machine_that_can_not_be_a_node_is_told_why() {
    let (world, programs) = world().await;
    let prefix = TempDir::new().unwrap();
    let of_today = script(&world).await;
    let as_somebody = of_today.replace("$(id -u)", "1000");
    let on_a_mac = of_today.replace("$(uname -s)", "Darwin");
    let on_mips = as_root(&of_today).replace("$(uname -m)", "mips");
    for (script, expected) in [
        (as_somebody, "this must be run as root, as with sudo"),
        (on_a_mac, "Darwin is not supported"),
        (on_mips, "there is no agent for mips"),
    ] {
        let machine = machine(ROOT_WITH_DOCKER);
        let (printed, is_well) = run(&script, machine.path(), prefix.path(), &["token"]).await;
        assert!(!is_well && printed.contains(expected), "{printed}");
    }
    fs::remove_file(programs.path().join(NAME)).unwrap();
    let script = as_root(&script(&world).await);
    let machine = machine(ROOT_WITH_DOCKER);
    let (printed, is_well) = run(&script, machine.path(), prefix.path(), &["token"]).await;
    assert!(
        !is_well && printed.contains(&format!("has no {NAME}")),
        "{printed}"
    );
    world.finish().await;
}

#[tokio::test]
async fn programs_that_are_not_there_are_told_by_name() {
    let (world, _programs) = world().await;
    for (name, expected) in [
        (
            "berth-agent-linux-mips",
            "there is no program berth-agent-linux-mips; there are",
        ),
        ("..%2f..%2fetc%2fpasswd", "there is no program"),
    ] {
        let answer = world
            .client
            .get(&format!("/agent/{name}"))
            .await
            .expect(404);
        assert!(answer.error().contains(expected), "{}", answer.text);
    }
    let found = world
        .client
        .get(&format!("/agent/{NAME}"))
        .await
        .expect(200);
    assert_eq!(found.text, PROGRAM);
    world.finish().await;
}
