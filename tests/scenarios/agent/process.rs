//! Berth's own agent as a process, from its owner's token to the machine's end as a node.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tests::{DOCKER_PORT, Engine, EngineSocket, Options, World, docker_ping, wait_for};
use tokio::process::{Child, Command};

const AGENT: &str = env!("CARGO_BIN_EXE_berth-agent-under-test");
const OLD_VERSION: &str = "26.1.5";
const NEW_VERSION: &str = "27.0.1";

/// The agent of a machine without systemd, whose owner sets Docker up. What upgrades Docker there is only a new version.
fn start(world: &World, home: &Path, token: &str) -> Child {
    Command::new(AGENT)
        .arg("run")
        .env_clear()
        .env("BERTH_AGENT_HOME", home)
        .env("BERTH_AGENT_HOST", &world.client.base)
        .env("BERTH_AGENT_TOKEN", token)
        .env("BERTH_AGENT_CONFIGURE_DOCKER", "false")
        .env("BERTH_AGENT_DOCKER_SOCKET", home.join("docker.sock"))
        .env("BERTH_AGENT_METADATA_URL", "off")
        .env(
            "BERTH_AGENT_UPGRADE_COMMAND",
            format!("echo {NEW_VERSION} >'{}/engine-version'", home.display()),
        )
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the agent starts")
}

/// The only node that there is, in this state.
async fn node(world: &World, state: &str) -> Value {
    wait_for(&format!("a node that is {state}"), || async {
        let list = world.fetch("/api/infra/v1/node/").await;
        let node = list["objects"][0].clone();
        (node["state"] == state).then_some(node)
    })
    .await
}

#[tokio::test]
async fn a_machine_with_berths_agent_becomes_a_node_that_a_docker_client_can_use_until_its_owner_removes_it()
 {
    let _port = super::OWN_PORT.lock().await;
    let mut options = Options::default();
    options.worker.hosts.heartbeat = Duration::from_secs(1);
    let world = World::with(options).await;
    let home = tempfile::tempdir().unwrap();
    let _socket = EngineSocket::start(home.path(), OLD_VERSION);
    let answer = world.client.post("/token", &json!({})).await.expect(201);
    let token = answer.body["token"].as_str().unwrap();
    let mut agent = start(&world, home.path(), token);

    node(&world, "Deploying").await;
    wait_for("the files that the engine needs", || async {
        let are_there = ["key.pem", "cert.pem", "ca.pem"]
            .iter()
            .all(|name| home.path().join(name).exists());
        are_there.then_some(())
    })
    .await;
    let told = wait_for("what a heartbeat tells", || async {
        let node = node(&world, "Deploying").await;
        (node["cpu"].as_u64() > Some(0) && node["memory"].as_u64() > Some(0)).then_some(node)
    })
    .await;
    // Berth asks where the agent says that the machine is; the user's client, where the agent called from at first, since
    // that is the name in the certificate.
    let home_address = SocketAddr::from((Ipv4Addr::LOCALHOST, DOCKER_PORT));
    let address: IpAddr = told["public_ip"].as_str().unwrap().parse().unwrap();
    let mut engines = vec![Engine::with_files_of_agent(home.path(), home_address).await];
    if !address.is_loopback() {
        let address = SocketAddr::new(address, DOCKER_PORT);
        engines.push(Engine::with_files_of_agent(home.path(), address).await);
    }
    let deployed = node(&world, "Deployed").await;
    let uri = deployed["resource_uri"].as_str().unwrap();
    let bundle = world
        .client
        .get(&format!("{uri}certificate/"))
        .await
        .expect(200);
    let said = docker_ping(&bundle.body, home_address).await.unwrap();
    assert!(said.ends_with("OK"), "{said}");

    // A restart is no new machine.
    agent.kill().await.unwrap();
    let mut agent = start(&world, home.path(), token);
    let seen = || async { node(&world, "Deployed").await["last_seen"].clone() };
    let before = seen().await;
    wait_for("a heartbeat", || async {
        (seen().await != before).then_some(())
    })
    .await;
    let list = world.fetch("/api/infra/v1/node/").await;
    assert_eq!(list["meta"]["total_count"], 1);

    assert_eq!(
        node(&world, "Deployed").await["docker_version"],
        OLD_VERSION
    );
    let path = format!("{uri}docker-upgrade/");
    let upgrade = world.client.post(&path, &json!({})).await.expect(202);
    let upgrade = world.ended(&upgrade.action_uri()).await;
    assert_eq!(upgrade["state"], "Success", "{upgrade}");
    let said = format!("was upgraded from {OLD_VERSION} to {NEW_VERSION}");
    assert!(
        upgrade["log"].as_str().unwrap().contains(&said),
        "{upgrade}"
    );
    assert_eq!(
        node(&world, "Deployed").await["docker_version"],
        NEW_VERSION
    );

    assert_eq!(world.terminate(&deployed).await["state"], "Terminated");
    let ended = tokio::time::timeout(Duration::from_secs(60), agent.wait()).await;
    ended
        .expect("the agent ends when its node is gone")
        .unwrap();
    assert!(!home.path().join("key.pem").exists());
    drop(engines);
    world.finish().await;
}
