use serde_json::{Value, json};

use super::*;
use crate::testing::{FakeEngine, FakeServer, Machine};

const KEYS: [&str; 5] = ["hosts", "tlscacert", "tlscert", "tlskey", "tlsverify"];

#[tokio::test]
async fn docker_is_set_up_once_and_asked_for_after_that() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let _engine = machine.start_docker().await;
    machine.let_docker_be_configured();
    let agent = machine.boot();
    server.wait_for_number("ping", 1).await;
    let file = machine.json("daemon.json");
    assert_eq!(
        file["hosts"],
        json!(["unix:///var/run/docker.sock", "tcp://0.0.0.0:2376"])
    );
    assert_eq!(file["tlskey"], json!(machine.path("key.pem")));
    assert_eq!((&file["tlsverify"], machine.restarts()), (&json!(true), 1));
    drop(agent);
    // After a reboot there is nothing to do.
    let _agent = machine.boot();
    server.wait_for_number("ping", 2).await;
    assert_eq!(machine.restarts(), 1);
}

#[tokio::test]
async fn another_authority_takes_a_restart() {
    let mut server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let _engine = machine.start_docker().await;
    machine.let_docker_be_configured();
    let agent = machine.boot();
    server.wait_for_number("ping", 1).await;
    drop(agent);
    server.authority = crate::keys::tests::authority();
    server.become_node(server.node);
    let _agent = machine.boot();
    server.wait_for_number("ping", 2).await;
    assert_eq!(
        (machine.read("ca.pem").unwrap(), machine.restarts()),
        (server.authority.clone(), 2)
    );
}

#[tokio::test]
async fn an_engine_that_does_not_start_gets_its_old_configuration_back() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let engine = machine.start_docker().await;
    machine.let_docker_be_configured();
    fs::write(machine.path("daemon.json"), r#"{"debug": true}"#).unwrap();
    // A restart with TLS leaves no engine behind.
    let socket = engine.socket.display();
    let restart = machine.settings.restart_command.take().unwrap();
    machine.settings.restart_command = Some(format!(
        "{restart}; if grep -q tlsverify '{}'; then mv '{socket}' '{socket}.gone'; else mv '{socket}.gone' '{socket}'; fi",
        machine.path("daemon.json").display()
    ));
    let _agent = machine.boot();
    server
        .wait_for("heartbeat", |call| {
            call.body()["docker_version"] == "26.1.5"
        })
        .await;
    assert_eq!(
        machine.json("daemon.json"),
        json!({"debug": true, "live-restore": true})
    );
    let state = machine.json("state.json");
    assert_eq!(
        (&state["docker_before"], &state["docker_on_trial"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(machine.restarts(), 2);
}

#[tokio::test]
async fn a_trial_that_the_agents_end_has_interrupted_is_ended_by_the_next() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    machine.let_docker_be_configured();
    // No engine: it did not come back.
    fs::write(
        machine.path("daemon.json"),
        r#"{"tlsverify": true, "hosts": ["fd://", "tcp://0.0.0.0:2376"]}"#,
    )
    .unwrap();
    fs::write(
        machine.path("state.json"),
        r#"{"docker_on_trial": true, "docker_before": {"hosts": ["fd://"]}}"#,
    )
    .unwrap();
    let _agent = machine.boot();
    server.wait_for_number("heartbeat", 1).await;
    assert_eq!(machine.json("daemon.json"), json!({"hosts": ["fd://"]}));
    assert_eq!(
        (
            machine.restarts(),
            &machine.json("state.json")["docker_on_trial"]
        ),
        (1, &json!(false))
    );
}

#[tokio::test]
async fn an_authority_that_the_server_has_later_is_fetched() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let _engine = machine.start_docker().await;
    machine.let_docker_be_configured();
    for name in ["register", "announce", "get"] {
        server.once(name, 200, &json!({"uuid": server.node}).to_string());
    }
    server.set("heartbeat", 200, &json!({"heartbeat_seconds": 1}));
    let _agent = machine.boot();
    // Before that, there is nothing to be reached.
    server.wait_for_number("ping", 1).await;
    assert_eq!((server.calls("get").len(), machine.restarts()), (2, 1));
    assert_eq!(machine.read("ca.pem").unwrap(), server.authority);
}

async fn docker_of(machine: &Machine, systemd: Option<Systemd>) -> (Docker, StateFile) {
    let config = machine.config();
    let keys = Keys::of(&config.home);
    keys.renew("a").unwrap();
    keys.keep_authority("-").unwrap();
    let engine = Engine::new(config.docker_socket.clone());
    let docker = Docker::new(&config, engine, systemd, Duration::from_secs(30));
    (docker, StateFile::open(&config.home).unwrap())
}

async fn machine_with_docker() -> (Machine, FakeEngine) {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let engine = machine.start_docker().await;
    machine.let_docker_be_configured();
    (machine, engine)
}

#[tokio::test]
async fn running_containers_are_not_stopped() {
    let (machine, engine) = machine_with_docker().await;
    let (mut docker, mut state) = docker_of(&machine, None).await;
    engine.set(|info| info["ContainersRunning"] = json!(2));
    let info = docker.engine.info().await.unwrap();
    let error = docker.configure(&mut state, &info).await.unwrap_err();
    assert!(error.to_string().contains("live-restore"), "{error}");
    assert_eq!(
        (machine.restarts(), machine.path("daemon.json").exists()),
        (0, false)
    );
    engine.set(|info| {
        info["ContainersRunning"] = json!(2);
        info["LiveRestoreEnabled"] = json!(true);
    });
    let info = docker.engine.info().await.unwrap();
    assert!(docker.configure(&mut state, &info).await.unwrap());
    assert!(!docker.configure(&mut state, &info).await.unwrap());
}

#[tokio::test]
async fn what_is_missing_is_said_and_nothing_is_touched() {
    let (mut machine, _engine) = machine_with_docker().await;
    machine.settings.restart_command = None;
    let (mut docker, mut state) = docker_of(&machine, None).await;
    let info = docker.engine.info().await.unwrap();
    let error = docker
        .configure(&mut state, &info)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("RestartCommand") && error.contains("systemd"),
        "{error}"
    );
    assert!(!machine.path("daemon.json").exists());

    fs::write(machine.path("daemon.json"), "{ broken").unwrap();
    let error = docker
        .configure(&mut state, &info)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("daemon.json"), "{error}");
    assert_eq!(machine.read("daemon.json").unwrap(), "{ broken");

    fs::remove_file(machine.path("ca.pem")).unwrap();
    let error = docker
        .configure(&mut state, &info)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("user_ca_cert"), "{error}");
}

#[tokio::test]
async fn a_configuration_that_has_failed_is_not_tried_again() {
    let (mut machine, _engine) = machine_with_docker().await;
    let restart = machine.settings.restart_command.take().unwrap();
    let file = machine.path("daemon.json");
    machine.settings.restart_command = Some(format!(
        "{restart}; ! grep -q tlsverify '{}'",
        file.display()
    ));
    let (mut docker, mut state) = docker_of(&machine, None).await;
    let info = docker.engine.info().await.unwrap();
    let error = docker.configure(&mut state, &info).await.unwrap_err();
    assert!(matches!(error, DockerError::Reverted(_)), "{error}");
    assert!(!docker.configure(&mut state, &info).await.unwrap());
    assert_eq!(machine.restarts(), 2);
}

#[tokio::test]
async fn a_trial_that_went_well_is_over() {
    let (machine, _engine) = machine_with_docker().await;
    let (mut docker, mut state) = docker_of(&machine, None).await;
    state.change(|state| state.docker_on_trial = true).unwrap();
    docker.settle(&mut state).await.unwrap();
    assert!(!state.get().docker_on_trial);
    assert_eq!(machine.restarts(), 0);
}

/// A systemd that runs Docker as its packages have it and writes down what it is told.
fn systemd(machine: &Machine) -> Systemd {
    let script = format!(
        "#!/bin/sh\n[ $1 = cat ] || echo $@ >> '{}'\necho '# /lib/systemd/system/docker.service'\n\
         echo 'ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/c.sock'\n",
        machine.path("told").display()
    );
    let systemctl = machine.path("systemctl");
    fs::write(&systemctl, script).unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    Systemd {
        systemctl: systemctl.display().to_string(),
        drop_in: machine.path("docker.service.d").join(drop_in::NAME),
    }
}

#[tokio::test]
async fn where_systemd_runs_docker_the_command_line_makes_room_for_the_file() {
    let (mut machine, _engine) = machine_with_docker().await;
    machine.settings.restart_command = None;
    machine.settings.docker_opts = Some("--debug".to_owned());
    fs::write(machine.path("daemon.json"), r#"{"log-driver": "journald"}"#).unwrap();
    let (mut docker, mut state) = docker_of(&machine, Some(systemd(&machine))).await;
    let info = docker.engine.info().await.unwrap();
    assert!(docker.configure(&mut state, &info).await.unwrap());
    let drop_in = machine.read("docker.service.d/berth-agent.conf").unwrap();
    assert!(
        drop_in.ends_with(
            "\nExecStart=\nExecStart=/usr/bin/dockerd --containerd=/run/c.sock --debug\n"
        ),
        "{drop_in}"
    );
    assert_eq!(
        machine.json("daemon.json")["hosts"],
        json!(["fd://", "tcp://0.0.0.0:2376"])
    );
    let restart = "daemon-reload\nreset-failed docker\nrestart docker\n";
    assert_eq!(machine.read("told").unwrap(), restart);

    docker.withdraw(&mut state).await.unwrap();
    assert_eq!(
        machine.json("daemon.json"),
        json!({"log-driver": "journald", "live-restore": true})
    );
    assert!(!machine.path("docker.service.d/berth-agent.conf").exists());
    assert_eq!(machine.read("told").unwrap(), restart.repeat(2));
    let file = machine.json("daemon.json");
    assert!(KEYS.iter().all(|key| file.get(key).is_none()), "{file}");
}

#[tokio::test]
async fn a_private_daemon_json_stays_private() {
    let (machine, _engine) = machine_with_docker().await;
    let path = machine.path("daemon.json");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let (mut docker, mut state) = docker_of(&machine, None).await;
    let info = docker.engine.info().await.unwrap();
    docker.configure(&mut state, &info).await.unwrap();
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}
