//! Berth's own agent on a machine with a real Docker engine, and Docker's own client that uses it.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    path::Path,
    process::Stdio,
};

use serde_json::{Value, json};
use tests::{DOCKER_PORT, Docker, Ended, RealEngine, World, wait_for};
use tokio::process::{Child, Command};

const AGENT: &str = env!("CARGO_BIN_EXE_berth-agent-under-test");

/// The address at which the agent says that this machine is, or from which it calls.
fn own_address() -> IpAddr {
    let towards_others = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Nothing is sent.
        socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9))?;
        socket.local_addr()
    };
    match towards_others().map(|address| address.ip()) {
        Ok(IpAddr::V4(own)) if !own.is_private() => own.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    }
}

fn start(world: &World, home: &Path, token: &str, engine: &RealEngine, address: IpAddr) -> Child {
    Command::new(AGENT)
        .arg("run")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("BERTH_AGENT_HOME", home)
        .env("BERTH_AGENT_HOST", &world.client.base)
        .env("BERTH_AGENT_TOKEN", token)
        .env("BERTH_AGENT_CERT_COMMON_NAME", address.to_string())
        .env(
            "BERTH_AGENT_DOCKER_HOST",
            format!("tcp://{address}:{DOCKER_PORT}"),
        )
        .env("BERTH_AGENT_DOCKER_SOCKET", engine.socket())
        .env("BERTH_AGENT_DAEMON_JSON", engine.daemon_json())
        .env("BERTH_AGENT_RESTART_COMMAND", engine.restart_command())
        .env("BERTH_AGENT_METADATA_URL", "off")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the agent starts")
}

/// What a command has written, which must have succeeded.
fn said(ended: &Ended) -> String {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout.trim().to_owned()
}

#[tokio::test]
async fn a_machine_with_a_real_engine_becomes_a_node_on_which_docker_runs_containers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(engine) = RealEngine::start(folder.path()).await else {
        // `process` does with a stand-in what can be done without one.
        return;
    };
    let _port = super::OWN_PORT.lock().await;
    let before = fs::read_to_string(engine.daemon_json()).unwrap();
    let world = World::start().await;
    let answer = world.client.post("/token", &json!({})).await.expect(201);
    let token = answer.body["token"].as_str().unwrap();
    let home = tempfile::tempdir().unwrap();
    let address = own_address();
    let mut agent = start(&world, home.path(), token, &engine, address);

    let node = wait_for("a node that is deployed", || async {
        let list = world.fetch("/api/infra/v1/node/").await;
        let node = list["objects"][0].clone();
        (node["state"] == "Deployed").then_some(node)
    })
    .await;
    let uri = node["resource_uri"].as_str().unwrap();
    let bundle = world.fetch(&format!("{uri}certificate/")).await;
    let name = node["external_fqdn"].as_str().unwrap();
    let docker = Docker::without_proxy(&bundle);
    let version = ["version", "--format", "{{.Server.Version}}"];
    let version = said(&docker.run(name, &version).await);
    assert_eq!(node["docker_version"], version);

    // There is no registry here: an image of nothing, in which the machine's own programs run.
    let nothing = folder.path().join("nothing.tar");
    fs::write(&nothing, [0; 1024]).unwrap();
    let import = ["import", nothing.to_str().unwrap(), "nothing"];
    said(&docker.run(name, &import).await);
    let with_programs: Vec<String> = ["/usr", "/lib", "/lib64"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .map(|path| format!("--volume={path}:{path}:ro"))
        .collect();
    let mut run = vec!["run", "--rm", "--network=none"];
    run.extend(with_programs.iter().map(String::as_str));
    run.extend(["nothing", "/usr/bin/echo", "ahoy"]);
    assert_eq!(said(&docker.run(name, &run).await), "ahoy");

    // Nobody without a certificate of the namespace's authority.
    let nobody = Docker::without_proxy(&json!({"ca": bundle["ca"]}));
    let refused = nobody.run(name, &["version"]).await;
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("tls"), "{refused:?}");

    // It is set back when the node goes.
    assert_eq!(world.terminate(&node).await["state"], "Terminated");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(120), agent.wait()).await;
    ended.expect("the agent ends with its node").unwrap();
    wait_for("the engine as it was", || async {
        engine.answers().then_some(())
    })
    .await;
    assert_ne!(docker.run(name, &["version"]).await.code, Some(0));
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let mut after = parse(&fs::read_to_string(engine.daemon_json()).unwrap());
    // What keeps containers running over the agent's restarts stays (docs/AGENT.md).
    after.as_object_mut().unwrap().remove("live-restore");
    assert_eq!(after, parse(&before));
    world.finish().await;
}
