use std::{fs, net::IpAddr};

use serde_json::json;

use super::*;
use crate::testing::{Call, FakeEngine, FakeMetadata, FakeServer, Machine};

fn members(call: &Call) -> Vec<String> {
    let body = call.body();
    let mut keys: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

const MEMBERS: [&str; 11] = [
    "agent_version",
    "containers",
    "cpu",
    "disk",
    "docker_execdriver",
    "docker_graphdriver",
    "docker_version",
    "instance_id",
    "memory",
    "private_ips",
    "public_ip",
];

#[tokio::test]
async fn a_heartbeat_tells_all_about_the_machine() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let engine = machine.start_docker().await;
    engine.set(|info| info["ContainersRunning"] = json!(2));
    let _agent = machine.boot();
    let heartbeat = server.wait_for_number("heartbeat", 1).await;
    assert_eq!(
        heartbeat.path,
        format!("/api/agent/v1/node/{}/heartbeat/", server.node)
    );
    assert!(heartbeat.authorization().starts_with("TutumAgentToken "));
    assert_eq!(members(&heartbeat), MEMBERS);
    let body = heartbeat.body();
    assert_eq!(body["docker_version"], "26.1.5");
    assert_eq!(body["docker_execdriver"], "runc");
    assert_eq!(body["docker_graphdriver"], "overlay2");
    assert_eq!(body["containers"], 2);
    assert_eq!(body["instance_id"], json!(null));
    for number in ["cpu", "memory", "disk"] {
        assert!(body[number].as_u64().unwrap() > 0, "{number}: {body}");
    }
    let ping = server.wait_for_number("ping", 1).await;
    assert_eq!(
        (ping.path, ping.text.as_str()),
        (format!("/api/agent/v1/node/{}/ping/", server.node), "")
    );
}

#[tokio::test]
async fn a_machine_without_docker_is_alive_and_is_not_pinged_until_docker_is_there() {
    let server = FakeServer::start().await;
    let machine = Machine::new(&server);
    let _agent = machine.boot();
    let heartbeat = server.wait_for_number("heartbeat", 1).await;
    assert_eq!(members(&heartbeat), MEMBERS);
    assert_eq!(heartbeat.body()["docker_version"], json!(null));
    assert!(server.calls("ping").is_empty());
    // The next heartbeat is due in an hour; Docker's start is told at once.
    let _engine =
        FakeEngine::start_at(machine.path("docker.sock"), tempfile::tempdir().unwrap()).await;
    server
        .wait_for("heartbeat", |call| {
            call.body()["docker_version"] == "26.1.5"
        })
        .await;
    server.wait_for_number("ping", 1).await;
}

#[tokio::test]
async fn a_changed_address_is_told_at_once() {
    let server = FakeServer::start().await;
    let service = FakeMetadata::start().await;
    let mut machine = Machine::new(&server);
    machine.settings.metadata_url = Some(service.url.clone());
    let _engine = machine.start_docker().await;
    let _agent = machine.boot();
    let first = server.wait_for_number("heartbeat", 1).await;
    assert_eq!(first.body()["public_ip"], json!(null));
    service.set_public_ip(Some("203.0.113.7"));
    server
        .wait_for("heartbeat", |call| {
            call.body()["public_ip"] == "203.0.113.7"
        })
        .await;
    server.wait_for_number("ping", 2).await;
    service.set_public_ip(Some("203.0.113.8"));
    server
        .wait_for("heartbeat", |call| {
            call.body()["public_ip"] == "203.0.113.8"
        })
        .await;
    assert_eq!(server.calls("register").len(), 1);
}

#[tokio::test]
async fn the_server_tells_the_interval() {
    let server = FakeServer::start().await;
    let machine = Machine::new(&server);
    server.set(
        "heartbeat",
        200,
        &json!({"heartbeat_seconds": 1, "state": "Deployed"}),
    );
    let _agent = machine.boot();
    server.wait_for_number("heartbeat", 3).await;
}

#[tokio::test]
async fn a_forgotten_node_begins_anew_while_it_runs() {
    for status in [401, 404] {
        let mut server = FakeServer::start().await;
        let machine = Machine::new(&server);
        server.once("heartbeat", 200, r#"{"heartbeat_seconds": 1}"#);
        server.once("heartbeat", status, r#"{"error": "gone"}"#);
        let _agent = machine.boot();
        server.wait_for_number("heartbeat", 1).await;
        server.become_node(Uuid::from_u128(8));
        let again = server.wait_for_number("heartbeat", 3).await;
        assert!(
            again.path.contains(&server.node.to_string()),
            "{}",
            again.path
        );
        assert_eq!(server.calls("register").len(), 2, "{status}");
    }
}

#[tokio::test]
async fn a_removed_node_whose_token_is_worth_nothing_is_managed_no_more() {
    let server = FakeServer::start().await;
    let machine = Machine::new(&server);
    let agent = machine.boot();
    server.wait_for_number("heartbeat", 1).await;
    drop(agent);
    server.once("heartbeat", 404, "{}");
    server.set("register", 401, &json!({"error": "removed"}));
    assert!(matches!(
        machine.boot().ended().await,
        Error::Refused { .. }
    ));
    for name in ["key.pem", "cert.pem", "ca.pem"] {
        assert!(!machine.path(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn trouble_and_garbage_end_nothing() {
    let server = FakeServer::start().await;
    let machine = Machine::new(&server);
    for (status, text) in [
        (500, ""),
        (503, "<html>"),
        (403, "{}"),
        (401, ""),
        (404, "<html>"),
        (200, ""),
        (200, "[1]"),
        (200, r#"{"heartbeat_seconds": "soon"}"#),
        (200, r#"{"heartbeat_seconds": -1}"#),
        (204, ""),
        (
            200,
            r#"{"heartbeat_seconds": 0, "state": null, "external_fqdn": null, "more": {}}"#,
        ),
    ] {
        server.once("heartbeat", status, text);
    }
    let _agent = machine.boot();
    server.wait_for_number("heartbeat", 12).await;
    assert_eq!(server.calls("register").len(), 1);
    assert_eq!(server.calls("announce").len(), 1);
}

#[tokio::test]
async fn an_unreachable_node_asks_again() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let _engine = machine.start_docker().await;
    server.set("ping", 200, &json!({"reachable": false}));
    server.set(
        "heartbeat",
        200,
        &json!({"heartbeat_seconds": 1, "state": "Deploying"}),
    );
    let _agent = machine.boot();
    server.wait_for_number("ping", 2).await;
    server.set("ping", 200, &json!({"reachable": true}));
    server.tell("Deployed");
    let asked = server.calls("ping").len();
    let beats = server.calls("heartbeat").len();
    server.wait_for_number("heartbeat", beats + 1).await;
    // At most one was on its way.
    assert!(server.calls("ping").len() <= asked + 2);
}

#[tokio::test]
async fn an_ordered_upgrade_is_carried_out_once_and_reported() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let _engine = machine.start_docker().await;
    let ran = machine.path("ran");
    machine.settings.upgrade_command = Some(format!("echo >> '{}'", ran.display()));
    let order = json!({"heartbeat_seconds": 1, "state": "Upgrading", "upgrade": "7"});
    server.set("heartbeat", 200, &order);
    let _agent = machine.boot();
    let outcome = |call: &Call| call.body()["upgrade"]["outcome"].clone();
    let done = server
        .wait_for("heartbeat", |call| outcome(call) == "Success")
        .await;
    assert_eq!(
        done.body()["upgrade"],
        json!({"order": "7", "outcome": "Success", "message": "26.1.5"})
    );
    // It is reported until the order is gone, and carried out once.
    let beats = server.calls("heartbeat").len();
    server.wait_for_number("heartbeat", beats + 2).await;
    assert_eq!(fs::read_to_string(&ran).unwrap(), "\n");
    server.set(
        "heartbeat",
        200,
        &json!({"heartbeat_seconds": 1, "state": "Deployed"}),
    );
    let beats = server.calls("heartbeat").len();
    let quiet = server.wait_for_number("heartbeat", beats + 2).await;
    assert_eq!(members(&quiet), MEMBERS);
    // The same id at another time is another order.
    server.set("heartbeat", 200, &order);
    let beats = server.calls("heartbeat").len();
    server.wait_for_number("heartbeat", beats + 1).await;
    server
        .wait_for("heartbeat", |_| fs::read_to_string(&ran).unwrap() == "\n\n")
        .await;
}

#[tokio::test]
async fn an_upgrade_that_was_interrupted_begins_again_after_the_reboot() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let _engine = machine.start_docker().await;
    machine.settings.upgrade_command = Some("sleep 600".to_owned());
    server.set(
        "heartbeat",
        200,
        &json!({"heartbeat_seconds": 1, "state": "Upgrading"}),
    );
    let agent = machine.boot();
    let outcome = |call: &Call| call.body()["upgrade"]["outcome"].clone();
    server
        .wait_for("heartbeat", |call| outcome(call) == "Running")
        .await;
    drop(agent);
    machine.settings.upgrade_command = Some("echo broken; false".to_owned());
    let _agent = machine.boot();
    let done = server
        .wait_for("heartbeat", |call| outcome(call) == "Failed")
        .await;
    let upgrade = &done.body()["upgrade"];
    assert_eq!(upgrade["order"], "Upgrading");
    assert!(
        upgrade["message"].as_str().unwrap().ends_with("broken"),
        "{upgrade}"
    );
}

#[tokio::test]
async fn addresses_are_those_of_the_interfaces() {
    let server = FakeServer::start().await;
    let machine = Machine::new(&server);
    let _agent = machine.boot();
    let body = server.wait_for_number("heartbeat", 1).await.body();
    for address in body["private_ips"].as_array().unwrap() {
        assert!(address["name"].is_string(), "{address}");
        let cidr = address["CIDR"].as_str().unwrap();
        let (ip, prefix) = cidr.split_once('/').unwrap();
        assert!(
            ip.parse::<IpAddr>().is_ok() && prefix.parse::<u8>().is_ok(),
            "{cidr}"
        );
    }
}
