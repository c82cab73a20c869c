use serde_json::json;

use super::*;
use crate::testing::{FakeMetadata, FakeServer, Machine, TOKEN};

#[tokio::test]
async fn a_machine_registers_and_announces_as_the_original_agent_does() {
    let server = FakeServer::start().await;
    let machine = Machine::new(&server);
    let _agent = machine.boot();
    server.wait_for_number("heartbeat", 1).await;
    assert_eq!(server.order()[..2], ["register", "announce"]);
    let register = &server.calls("register")[0];
    assert_eq!(register.path, "/api/agent/v1/node/");
    assert_eq!(register.authorization(), format!("TutumAgentToken {TOKEN}"));
    assert_eq!(register.headers["content-type"], "application/json");
    assert_eq!(
        register.headers["user-agent"],
        format!("berth-agent/{VERSION}")
    );
    assert_eq!(register.body(), json!({"agent_version": VERSION}));
    let announce = &server.calls("announce")[0];
    assert_eq!(
        announce.path,
        format!("/api/agent/v1/node/{}/", server.node)
    );
    assert_eq!(announce.authorization(), format!("TutumAgentToken {TOKEN}"));
    let cert = machine.read("cert.pem").unwrap();
    // There is no Docker, so there is no docker_version.
    assert_eq!(
        announce.body(),
        json!({"agent_version": VERSION, "public_cert": cert})
    );
    assert_eq!(machine.read("ca.pem").unwrap(), server.authority);
    assert_eq!(machine.json("state.json")["uuid"], json!(server.node));
}

#[tokio::test]
async fn after_a_reboot_it_announces_the_same_certificate_and_does_not_register() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    drop(machine.boot_until_heartbeat(&server, 1).await);
    let _engine = machine.start_docker().await;
    let _agent = machine.boot_until_heartbeat(&server, 2).await;
    let announcements = server.calls("announce");
    let [first, second] = announcements.as_slice() else {
        panic!("{announcements:#?}");
    };
    assert_eq!(second.body()["public_cert"], first.body()["public_cert"]);
    assert_eq!(second.body()["docker_version"], "26.1.5");
    assert_eq!(server.calls("register").len(), 1);
}

#[tokio::test]
async fn an_instance_says_which_one_it_is() {
    let server = FakeServer::start().await;
    let service = FakeMetadata::start().await;
    let mut machine = Machine::new(&server);
    machine.settings.metadata_url = Some(service.url.clone());
    let _agent = machine.boot_until_heartbeat(&server, 1).await;
    for name in ["register", "announce"] {
        let body = server.calls(name)[0].body();
        assert_eq!(body["instance_id"], "i-0123456789abcdef0");
        assert_eq!(body["instance_identity"]["rsa2048"], "MIAGCSqG");
        let document = body["instance_identity"]["document"].as_str().unwrap();
        assert_eq!(document, "{\n  \"instanceId\" : \"i-0123456789abcdef0\"\n}");
    }
    let heartbeat = server.calls("heartbeat")[0].body();
    assert_eq!(heartbeat["instance_id"], "i-0123456789abcdef0");
}

#[tokio::test]
async fn a_node_that_is_given_a_token_of_its_own_speaks_with_it_until_it_is_forgotten() {
    let server = FakeServer::start().await;
    let machine = Machine::new(&server);
    let form = json!({"uuid": server.node, "token": "its-own"});
    server.once("register", 201, &form.to_string());
    drop(machine.boot_until_heartbeat(&server, 1).await);
    let with = |name: &str, call: usize| server.calls(name)[call].authorization().to_owned();
    let (shared, own) = (
        format!("TutumAgentToken {TOKEN}"),
        "TutumAgentToken its-own".to_owned(),
    );
    assert_eq!(with("register", 0), shared);
    assert_eq!(
        (with("announce", 0), with("heartbeat", 0)),
        (own.clone(), own.clone())
    );
    // After a reboot, too.
    server.once("announce", 401, r#"{"error": "forgotten"}"#);
    let _agent = machine.boot_until_heartbeat(&server, 2).await;
    assert_eq!(with("announce", 1), own);
    assert_eq!(
        (with("register", 1), with("announce", 2)),
        (shared.clone(), shared)
    );
}

#[tokio::test]
async fn the_disk_of_another_instance_is_no_identity() {
    let server = FakeServer::start().await;
    let service = FakeMetadata::start().await;
    let mut machine = Machine::new(&server);
    machine.settings.metadata_url = Some(service.url.clone());
    drop(machine.boot_until_heartbeat(&server, 1).await);
    let cert = machine.read("cert.pem").unwrap();
    let text = machine.read("state.json").unwrap();
    let copy = text.replace("i-0123456789abcdef0", "i-0fedcba9876543210");
    std::fs::write(machine.path("state.json"), copy).unwrap();
    let _agent = machine.boot_until_heartbeat(&server, 2).await;
    assert_eq!(server.calls("register").len(), 2);
    assert_ne!(machine.read("cert.pem").unwrap(), cert);
}

#[tokio::test]
async fn a_node_that_was_made_for_the_machine_is_claimed_without_registration() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    machine.settings.uuid = Some(server.node.to_string());
    let _agent = machine.boot_until_heartbeat(&server, 1).await;
    assert_eq!(server.order()[..2], ["get", "announce"]);
    assert!(server.calls("register").is_empty());
}

#[tokio::test]
async fn a_node_that_is_claimed_instead_of_another_gets_a_certificate_of_its_own() {
    let mut server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    drop(machine.boot_until_heartbeat(&server, 1).await);
    server.become_node(Uuid::from_u128(8));
    machine.settings.uuid = Some(server.node.to_string());
    let _agent = machine.boot_until_heartbeat(&server, 2).await;
    let announcements = server.calls("announce");
    assert!(announcements[1].path.contains(&server.node.to_string()));
    assert_ne!(
        announcements[1].body()["public_cert"],
        announcements[0].body()["public_cert"]
    );
}

#[tokio::test]
async fn a_forgotten_node_registers_anew_and_its_configured_id_is_not_claimed_again() {
    for status in [401, 404] {
        let mut server = FakeServer::start().await;
        let mut machine = Machine::new(&server);
        machine.settings.uuid = Some(server.node.to_string());
        drop(machine.boot_until_heartbeat(&server, 1).await);
        let cert = machine.read("cert.pem").unwrap();
        server.once("announce", status, r#"{"error": "no such node"}"#);
        server.become_node(Uuid::from_u128(8));
        drop(machine.boot_until_heartbeat(&server, 2).await);
        assert_eq!(server.calls("register").len(), 1, "{status}");
        assert_ne!(machine.read("cert.pem").unwrap(), cert, "{status}");
        let _agent = machine.boot_until_heartbeat(&server, 3).await;
        let last = server.calls("announce").pop().unwrap();
        assert!(
            last.path.contains(&server.node.to_string()),
            "{}",
            last.path
        );
    }
}

#[tokio::test]
async fn a_refused_token_ends_the_agent_for_good() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    server.once("register", 401, "{}");
    let error = machine.boot().ended().await;
    assert_eq!(error.exit_status(), 78);
    let words = error.to_string();
    assert!(
        words.contains("docker-cloud node byo") && words.contains("dockercloud-agent.conf"),
        "{words}"
    );
    // A reboot does not ask again.
    assert!(matches!(
        machine.boot().ended().await,
        Error::Refused { .. }
    ));
    assert_eq!(server.calls("register").len(), 1);
    // A fresh token does.
    machine.settings.token = Some("another".to_owned());
    let _agent = machine.boot_until_heartbeat(&server, 1).await;
    assert_eq!(server.calls("register").len(), 2);
}

#[tokio::test]
async fn trouble_with_the_server_is_waited_out() {
    let server = FakeServer::start().await;
    let machine = Machine::new(&server);
    let another = json!({"uuid": Uuid::from_u128(9)}).to_string();
    for name in ["register", "announce"] {
        for (status, text) in [
            (500, "oops"),
            (401, "<html>"),
            (404, "<html>"),
            (204, ""),
            (301, ""),
            (429, ""),
            (200, ""),
            (200, "<html>"),
            (200, "[]"),
            (200, r#"{"uuid": "../../../etc/passwd"}"#),
            (200, r#"{"uuid": null}"#),
            (
                201,
                r#"{"uuid": "00000000-0000-0000-0000-000000000009", "user_ca_cert": "x"}"#,
            ),
        ] {
            server.once(name, status, text);
        }
    }
    server.once("announce", 200, &another);
    let _agent = machine.boot_until_heartbeat(&server, 1).await;
    assert_eq!(server.calls("register").len(), 13);
    assert_eq!(server.calls("announce").len(), 14);
    assert_eq!(machine.json("state.json")["uuid"], json!(server.node));
    assert_eq!(machine.read("ca.pem").unwrap(), server.authority);
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let server = FakeServer::start().await;
    let mut machine = Machine::new(&server);
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    machine.settings.host = Some(format!("http://127.0.0.1:{port}"));
    let mut agent = machine.agent();
    let registered = tokio::time::timeout(std::time::Duration::from_millis(200), agent.run());
    assert!(registered.await.is_err());
    assert_eq!(machine.read("state.json").unwrap_or_default(), "");
    machine.settings.host = Some(server.url.clone());
    let _agent = machine.boot_until_heartbeat(&server, 1).await;
}

#[tokio::test]
async fn the_name_in_the_certificate_may_be_configured_or_missing() {
    let server = FakeServer::start().await;
    server.set(
        "register",
        201,
        &json!({"uuid": server.node, "external_fqdn": "", "user_ca_cert": ""}),
    );
    server.set("announce", 200, &json!({"uuid": server.node}));
    let machine = Machine::new(&server);
    let _agent = machine.boot_until_heartbeat(&server, 1).await;
    assert!(
        machine
            .read("cert.pem")
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    assert!(!machine.path("ca.pem").exists());
}
